//! What the service says about itself: log lines and counters.
//!
//! Numbers are masked before they come here, bodies and secrets never do.

mod counters;
mod json;
mod lines;

use std::io::{self, IsTerminal};
use std::thread::JoinHandle;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::settings::{LogFormat, LogSettings};

pub use counters::{Counters, RecordCounters, SourceCounters};

use json::JsonLines;
use lines::Lines;

/// Starts logging to standard output. Lines are written by a thread of their own, so that a slow
/// terminal delays nobody; when the guard is dropped all of them have been written.
///
/// # Errors
/// When something in this process logs already.
pub fn start_logging(log: &LogSettings) -> anyhow::Result<LogGuard> {
    let lines = Lines::default();
    // An option of a database's URL that it does not know it logs with its value: a password, when
    // its name is misspelt.
    let url_options = "sqlx_postgres::options=off".parse()?;
    let filter = EnvFilter::try_new(&log.level)?.add_directive(url_options);
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

/// Keeps the log's thread; see [`start_logging`].
pub struct LogGuard {
    lines: Lines,
    thread: Option<JoinHandle<()>>,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.lines.close();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
