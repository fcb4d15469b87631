//! Telemetry: log lines and metrics.
//!
//! Callers mask phone numbers before logging them, and never log bodies or secrets.

mod calls_by_name;
mod counters;
mod exposition;
mod histogram;
mod json;
mod lines;
mod process;
mod refusal_log;
mod source_counters;

use std::io::{self, IsTerminal};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::settings::{LogFormat, LogSettings};

pub use counters::{Counters, RecordCounters};
pub use histogram::Histogram;
pub use refusal_log::RefusalLog;
pub use source_counters::{FallbackCause, RequestKind, RequestOutcome, SourceCounters};

pub(crate) use json::is_unsafe_to_show;

use json::JsonLines;
use lines::Lines;

/// Starts logging to standard output. A dedicated thread writes the lines, so that a slow terminal delays
/// no request. Dropping the guard writes the remaining lines, for at most a second: a pipe that nobody
/// reads must not keep the process from ending.
///
/// # Errors
/// Fails if the process already has a global logger, or if the level is invalid.
pub fn start_logging(log: &LogSettings) -> anyhow::Result<LogGuard> {
    let lines = Lines::default();
    // sqlx logs unknown options of a database URL with their values, which can be a password if the
    // option's name is misspelt.
    let silence_url_options = "sqlx_postgres::options=off".parse()?;
    let filter = EnvFilter::try_new(&log.level)?.add_directive(silence_url_options);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match log.format {
        LogFormat::Pretty => {
            let pretty = tracing_subscriber::fmt::layer().with_writer(lines.clone());
            registry
                .with(pretty.with_target(false).with_ansi(io::stdout().is_terminal()))
                .try_init()
        }
        LogFormat::Json => registry.with(JsonLines(lines.clone())).try_init(),
    };
    started?;
    let writer = lines.clone();
    let thread =
        std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.write_out())?;
    Ok(LogGuard { lines, thread: Some(thread) })
}

/// Time in which the remaining lines are written when the process ends.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Owner of the log thread; see [`start_logging`].
pub struct LogGuard {
    lines: Lines,
    thread: Option<JoinHandle<()>>,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.lines.close();
        let has_ended = self.lines.wait_until_ended(SHUTDOWN_TIMEOUT);
        if let Some(thread) = self.thread.take().filter(|_| has_ended) {
            drop(thread.join());
        }
    }
}
