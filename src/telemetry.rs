//! Telemetry: log lines, metrics and traces.
//!
//! Callers mask phone numbers before logging them, and never log bodies or secrets.

mod accept_errors;
mod calls_by_name;
mod counters;
mod exposition;
mod histogram;
mod json;
mod lines;
mod lookup_counters;
#[cfg(feature = "otlp")]
mod otlp;
mod process;
mod refusal_log;
mod request_outcome;
mod samples;
mod source_counters;
pub mod spans;
#[cfg(feature = "otlp")]
mod trace_context;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::settings::{LogFormat, LogSettings, TracesSettings};

pub use accept_errors::AcceptErrors;
pub use counters::{Counters, RecordCounters};
pub use histogram::Histogram;
pub use lookup_counters::LookupCounters;
pub use refusal_log::RefusalLog;
pub use request_outcome::RequestOutcome;
pub use samples::Samples;
pub use source_counters::{FallbackCause, SourceCounters};

pub(crate) use json::is_unsafe_to_show;

use json::JsonLines;
use lines::Lines;
#[cfg(feature = "otlp")]
use otlp::{TraceExporter, start_exporter};

/// Starts logging to standard output, and exporting traces if the settings ask for it. A dedicated thread
/// writes the lines, so that a slow terminal delays no request. Dropping the guard exports the remaining
/// spans and writes the remaining lines, for at most a second each: a pipe that nobody reads must not keep
/// the process from ending. `colour` applies to the format `pretty`.
///
/// Must not be called within an asynchronous context.
///
/// # Errors
/// Fails if the process already has a global logger, or if the level is invalid.
pub fn start(
    log: &LogSettings,
    traces: &TracesSettings,
    colour: bool,
) -> anyhow::Result<TelemetryGuard> {
    let traces = traces.otlp_endpoint.as_ref().map(start_exporter).transpose()?;
    let lines = Lines::default();
    // sqlx logs unknown options of a database URL with their values, which can be a password if the
    // option's name is misspelt.
    let silence_url_options = "sqlx_postgres::options=off".parse()?;
    let filter = EnvFilter::try_new(&log.level)?
        .add_directive(silence_url_options)
        .add_directive(format!("{}=off", spans::TARGET).parse()?);
    let registry = tracing_subscriber::registry();
    match &traces {
        // A filter of the whole log costs less than a filter of each layer.
        None => registry.with(filter).with(log_layer(log.format, colour, &lines)).try_init()?,
        #[cfg(not(feature = "otlp"))]
        Some(none) => match *none {},
        #[cfg(feature = "otlp")]
        Some(traces) => {
            let log_layer = log_layer(log.format, colour, &lines).with_filter(filter);
            registry.with(log_layer).with(traces.layer()).try_init()?;
        }
    }
    let writer = lines.clone();
    let thread =
        std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.write_out())?;
    Ok(TelemetryGuard { traces, lines, thread: Some(thread) })
}

/// Logs panics in place of the default hook, which prints their messages: a message that is formatted can
/// contain a part of a body. Only the location, and a message without values, are logged.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        let reason = panic.payload().downcast_ref::<&'static str>().copied();
        // Empty unless `RUST_BACKTRACE` asks for it.
        let backtrace = Backtrace::capture();
        let backtrace =
            (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        tracing::error!(location, reason, backtrace, "panic");
    }));
}

fn log_layer<S>(format: LogFormat, colour: bool, lines: &Lines) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    match format {
        LogFormat::Pretty => {
            let pretty = tracing_subscriber::fmt::layer().with_writer(lines.clone());
            pretty.with_target(false).with_ansi(colour).boxed()
        }
        LogFormat::Json => JsonLines(lines.clone()).boxed(),
    }
}

/// Time in which the remaining lines are written when the process ends.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Owner of the log thread and of the exporter of traces; see [`start`].
pub struct TelemetryGuard {
    traces: Option<TraceExporter>,
    lines: Lines,
    thread: Option<JoinHandle<()>>,
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        // Before the log ends: the exporter logs failures.
        self.traces.take();
        self.lines.close();
        let has_ended = self.lines.wait_until_ended(SHUTDOWN_TIMEOUT);
        if let Some(thread) = self.thread.take().filter(|_| has_ended) {
            drop(thread.join());
        }
    }
}

/// Exporter of a build without the feature `otlp`: none.
#[cfg(not(feature = "otlp"))]
type TraceExporter = std::convert::Infallible;

#[cfg(not(feature = "otlp"))]
fn start_exporter(_: &url::Url) -> anyhow::Result<TraceExporter> {
    anyhow::bail!("this build cannot export traces")
}
