//! What the service says about itself: log lines and counters.
//!
//! Numbers are masked before they come here, bodies and secrets never do. Labels are bounded:
//! sources, reasons and outcomes, never a number or an id.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use metrics::{Counter, counter, describe_counter, describe_gauge, gauge, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::authenticate::Unproved;
use crate::decision::{Kept, Outcome};
use crate::rules::Table;
use crate::settings::{Log, LogFormat};
use crate::source::Source;

/// Starts logging to standard output. Lines are written by a thread of their own, so that a slow
/// terminal delays nobody; when the guard is dropped all of them have been written.
///
/// # Errors
/// When something in this process logs already.
pub fn start_logging(log: &Log) -> anyhow::Result<LogGuard> {
    let lines = Lines::default();
    let filter = EnvFilter::try_new(&log.level)?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines.clone());
    let started = match log.format {
        LogFormat::Pretty => subscriber.with_target(false).with_ansi(is_terminal()).try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).with_current_span(false).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!(error))?;
    let writer = lines.clone();
    let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.write_out())?;
    Ok(LogGuard { lines, thread: Some(thread) })
}

fn is_terminal() -> bool {
    io::IsTerminal::is_terminal(&io::stdout())
}

/// Lines on their way to standard output.
#[derive(Clone, Default)]
struct Lines(Arc<(Mutex<Waiting>, Condvar)>);

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    lost: u64,
    closed: bool,
}

/// Lines beyond this are lost, and their number is told: a log that nobody reads must not fill
/// the memory.
const MOST_WAITING_BYTES: usize = 8 << 20;
/// How long lines are gathered before they are written together.
const GATHER: Duration = Duration::from_millis(10);

impl Lines {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until it is closed: sleeps until there is a line, gathers more for a moment, writes all.
    fn write_out(&self) {
        let mut batch = Vec::new();
        loop {
            let mut waiting = self.lock();
            while waiting.bytes.is_empty() && !waiting.closed {
                waiting = self.0.1.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            let closed = waiting.closed;
            if !closed {
                drop(waiting);
                std::thread::sleep(GATHER);
                waiting = self.lock();
            }
            std::mem::swap(&mut batch, &mut waiting.bytes);
            let lost = std::mem::take(&mut waiting.lost);
            drop(waiting);
            if lost > 0 {
                batch.extend_from_slice(format!("({lost} log lines lost: nobody reads them)\n").as_bytes());
            }
            // A log that cannot be written is no reason to stop answering, and there is nowhere
            // to say so.
            let mut out = io::stdout().lock();
            drop(out.write_all(&batch).and_then(|()| out.flush()));
            batch.clear();
            if closed {
                return;
            }
        }
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.lock();
        if waiting.bytes.len() + line.len() > MOST_WAITING_BYTES {
            waiting.lost += 1;
        } else {
            let first = waiting.bytes.is_empty();
            waiting.bytes.extend_from_slice(line);
            if first {
                self.0.1.notify_one();
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Lines {
    type Writer = Lines;

    fn make_writer(&'w self) -> Lines {
        self.clone()
    }
}

/// Keeps the log's thread; see [`start_logging`].
pub struct LogGuard {
    lines: Lines,
    thread: Option<JoinHandle<()>>,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.lines.lock().closed = true;
        self.lines.0.1.notify_one();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// The counters of the whole service.
pub struct Counters {
    exporter: PrometheusHandle,
    recorder: metrics_exporter_prometheus::PrometheusRecorder,
    /// Walks that panicked.
    pub panics: Counter,
    /// Requests that were turned away because there were too many.
    pub overloaded: Counter,
}

impl Default for Counters {
    fn default() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let (panics, overloaded) = with_local_recorder(&recorder, || {
            describe_counter!("switchboard_requests_total", "Proved requests, by what came of them");
            describe_counter!("switchboard_refused_total", "Requests that were not proved, by reason");
            describe_counter!("switchboard_observed_total", "Requests of observed sources that would have been refused");
            describe_counter!("switchboard_kept_total", "Calls left to the platform's own agent, by why");
            describe_counter!("switchboard_plus_added_total", "Numbers that came without their +");
            describe_counter!("switchboard_metadata_left_out_total", "Replies whose metadata was too big to send");
            describe_counter!("switchboard_panics_total", "Walks that panicked and got the fallback reply");
            describe_counter!("switchboard_overloaded_total", "Requests answered 503 because too many were in flight");
            describe_gauge!("switchboard_rules", "Rules in the table, by its fingerprint");
            (counter!("switchboard_panics_total"), counter!("switchboard_overloaded_total"))
        });
        Counters { exporter: recorder.handle(), recorder, panics, overloaded }
    }
}

impl Counters {
    /// Shows which table answers.
    pub fn table(&self, table: &Table) {
        with_local_recorder(&self.recorder, || {
            gauge!("switchboard_rules", "fingerprint" => table.fingerprint.clone()).set(table.rules.len() as f64);
        });
    }

    /// The counters of one source, all of them there from the start.
    pub fn source(&self, source: &Source) -> SourceCounters {
        with_local_recorder(&self.recorder, || {
            let name = || source.name.to_string();
            let requests = |outcome: &'static str| {
                counter!("switchboard_requests_total", "source" => name(), "outcome" => outcome)
            };
            let unproved = |metric: &'static str| {
                Unproved::ALL.map(|reason| counter!(metric, "source" => name(), "reason" => reason.as_str()))
            };
            SourceCounters {
                agent: requests("agent"),
                reject: requests("reject"),
                keep: requests("keep"),
                fallback: requests("fallback"),
                retry: requests("retry"),
                event: requests("event"),
                unknown_event: requests("unknown_event"),
                probe: requests("probe"),
                unreadable: requests("unreadable"),
                kept: Kept::ALL.map(|why| {
                    counter!("switchboard_kept_total", "source" => name(), "why" => why.as_str())
                }),
                refused: unproved("switchboard_refused_total"),
                observed: unproved("switchboard_observed_total"),
                plus_added: counter!("switchboard_plus_added_total", "source" => name()),
                metadata_left_out: counter!("switchboard_metadata_left_out_total", "source" => name()),
            }
        })
    }

    /// All counters in Prometheus' text format.
    pub fn to_text(&self) -> String {
        self.exporter.render()
    }
}

/// The counters of one source.
pub struct SourceCounters {
    agent: Counter,
    reject: Counter,
    keep: Counter,
    /// Calls answered with the source's fallback.
    pub fallback: Counter,
    /// Deliveries that came again and were answered from memory.
    pub retry: Counter,
    /// Events.
    pub event: Counter,
    /// Events of a kind that the dialect does not know.
    pub unknown_event: Counter,
    /// Set-up probes.
    pub probe: Counter,
    /// Bodies that the dialect cannot read.
    pub unreadable: Counter,
    kept: [Counter; Kept::ALL.len()],
    refused: [Counter; Unproved::ALL.len()],
    observed: [Counter; Unproved::ALL.len()],
    /// Numbers without their `+`.
    pub plus_added: Counter,
    /// Replies whose metadata was left out.
    pub metadata_left_out: Counter,
}

impl SourceCounters {
    /// Counts a decision.
    pub fn decided(&self, outcome: &Outcome<'_>) {
        match outcome {
            Outcome::Agent(_) => self.agent.increment(1),
            Outcome::Reject(_) => self.reject.increment(1),
            Outcome::Keep(why) => {
                self.keep.increment(1);
                let at = Kept::ALL.iter().position(|known| known == why);
                at.map(|at| self.kept[at].increment(1)).unwrap_or_default();
            }
        }
    }

    /// Counts a refusal.
    pub fn refused(&self, reason: Unproved) {
        increment(&self.refused, reason);
    }

    /// Counts what would have been a refusal.
    pub fn observed(&self, reason: Unproved) {
        increment(&self.observed, reason);
    }
}

fn increment(counters: &[Counter; Unproved::ALL.len()], reason: Unproved) {
    let at = Unproved::ALL.iter().position(|known| known.as_str() == reason.as_str());
    at.map(|at| counters[at].increment(1)).unwrap_or_default();
}
