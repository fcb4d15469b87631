//! How far something long has come, on one line of a terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::rules::Progress;

/// The line. Nothing is shown of a load that is done at once, and nothing where nobody looks.
pub(super) struct ProgressLine {
    begun: Instant,
    shown: Option<Instant>,
    is_terminal: bool,
}

/// A load that is done sooner needs no line.
const PATIENCE: Duration = Duration::from_millis(400);
const BETWEEN: Duration = Duration::from_millis(100);

impl Default for ProgressLine {
    fn default() -> ProgressLine {
        ProgressLine {
            begun: Instant::now(),
            shown: None,
            is_terminal: std::io::stderr().is_terminal(),
        }
    }
}

impl ProgressLine {
    pub(super) fn show(&mut self, progress: Progress<'_>) {
        self.say(|| match progress {
            Progress::Reading(read, whole) => {
                format!("reading the rules: {} %", read * 100 / whole.max(1))
            }
            Progress::List(path, rows) => format!("reading {path}: {rows} rows"),
            Progress::Comparing => "holding the rules against each other".to_owned(),
        });
    }

    /// So many of so many, with a bar.
    pub(super) fn count(&mut self, what: &str, done: u64, whole: u64) {
        const WIDTH: usize = 30;
        self.say(|| {
            let whole = whole.max(done).max(1);
            let full = "#".repeat((done * WIDTH as u64 / whole) as usize);
            format!("{what} [{full:.<WIDTH$}] {} %, {done} of {whole}", done * 100 / whole)
        });
    }

    /// Shows a text, when it is time to show one.
    pub(super) fn say(&mut self, text: impl FnOnce() -> String) {
        let is_due = match self.shown {
            None => self.begun.elapsed() > PATIENCE,
            Some(shown) => shown.elapsed() > BETWEEN,
        };
        if !self.is_terminal || !is_due {
            return;
        }
        self.shown = Some(Instant::now());
        self.write(&text());
    }

    pub(super) fn clear(&mut self) {
        if self.shown.take().is_some() {
            self.write("");
        }
    }

    /// Writes over what stands there.
    fn write(&self, text: &str) {
        const CLEAR_TO_END: &str = "\x1b[K";
        let mut stderr = std::io::stderr();
        // A terminal that has gone away misses nothing.
        drop(write!(stderr, "\r{text}{CLEAR_TO_END}").and_then(|()| stderr.flush()));
    }
}
