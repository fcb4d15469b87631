//! Progress of long operations, on a terminal only.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::is_quiet;
use crate::rules::Progress;

/// A progress line on standard error. Stays hidden for operations that finish quickly, and if
/// standard error is not a terminal.
pub(super) struct ProgressLine {
    bar: ProgressBar,
    started: Instant,
}

/// Time after which an operation shows its progress.
const DELAY: Duration = Duration::from_millis(400);
const BAR: &str = "{msg} [{bar:30.}] {percent} %, {pos} of {len}";

impl Default for ProgressLine {
    fn default() -> ProgressLine {
        let target = match is_quiet() {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(ProgressStyle::with_template("{msg}").expect("a valid template"));
        ProgressLine { bar, started: Instant::now() }
    }
}

impl ProgressLine {
    /// Shows the progress of loading a rule table.
    pub(super) fn show_load(&mut self, progress: Progress<'_>) {
        self.show(|| match progress {
            Progress::Reading(read, total) => {
                format!("reading rules: {} %", read * 100 / total.max(1))
            }
            Progress::List(path, rows) => format!("reading {path}: {rows} rows"),
            Progress::Comparing => "looking for unreachable rules".to_owned(),
        });
    }

    /// Shows a count as a bar.
    pub(super) fn show_count(&mut self, activity: &'static str, done: u64, total: u64) {
        if self.is_due() {
            let style = ProgressStyle::with_template(BAR).expect("a valid template");
            self.bar.set_style(style.progress_chars("##."));
            self.bar.set_length(total.max(done));
            self.bar.set_message(activity);
            self.bar.set_position(done);
        }
    }

    /// Shows a message.
    pub(super) fn show(&mut self, message: impl FnOnce() -> String) {
        if self.is_due() {
            self.bar.set_message(message());
        }
    }

    /// Removes the line.
    pub(super) fn clear(&mut self) {
        self.bar.finish_and_clear();
    }

    fn is_due(&self) -> bool {
        !self.bar.is_hidden() && self.started.elapsed() > DELAY
    }
}
