//! Connections that could not be accepted: counted, and logged at a bounded rate.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Time between two log lines of one listener: a lack of file descriptors lasts, and each attempt fails.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Errors since the start. File descriptors belong to the process, not to a listener.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Returns the number of errors since the start.
pub(super) fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// Decides which errors of one listener are logged.
#[derive(Debug, Default)]
pub struct AcceptErrors {
    last_line: Option<Instant>,
    suppressed: u64,
}

impl AcceptErrors {
    /// Counts an error, and logs it unless there is a line of the last ten seconds.
    pub fn note(&mut self, error: &io::Error, now: Instant) {
        COUNT.fetch_add(1, Ordering::Relaxed);
        if let Some(suppressed) = self.admit(now) {
            tracing::warn!(%error, suppressed, "cannot accept a connection");
        }
    }

    /// Returns the number of errors without a line since the last one, or `None` if this one has no line.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        let is_recent = |last: Instant| now.saturating_duration_since(last) < LOG_INTERVAL;
        if self.last_line.is_some_and(is_recent) {
            self.suppressed += 1;
            return None;
        }
        self.last_line = Some(now);
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_ten_seconds_counts_the_errors_without_a_line() {
        let (mut errors, start) = (AcceptErrors::default(), Instant::now());
        let admitted = [0, 50, 9_999, 10_000, 10_050, 20_000]
            .map(|ms| errors.admit(start + Duration::from_millis(ms)));
        assert_eq!(admitted, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
