//! Limits how often refused requests are logged, so that a client cannot fill the disk with them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Number of lines per reason in each interval.
const MAX_LINES: u64 = 5;
/// Length of an interval.
const INTERVAL: Duration = Duration::from_secs(10);

/// Decides which refusals of one source are logged: the first few per reason in each interval.
#[derive(Debug, Default)]
pub struct RefusalLog(Mutex<HashMap<&'static str, Interval>>);

#[derive(Debug)]
struct Interval {
    start: Instant,
    lines: u64,
    suppressed: u64,
}

impl RefusalLog {
    /// Returns `None` if this refusal must not be logged, and otherwise the number of refusals that
    /// were suppressed since the last line for the same reason.
    ///
    /// ```
    /// use switchboard::telemetry::RefusalLog;
    /// use tokio::time::Instant;
    ///
    /// let log = RefusalLog::default();
    /// assert_eq!(log.admit("no_match", Instant::now()), Some(0));
    /// ```
    pub fn admit(&self, reason: &'static str, now: Instant) -> Option<u64> {
        let mut intervals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = Interval { start: now, lines: 0, suppressed: 0 };
        let interval = intervals.entry(reason).or_insert(first);
        if now.saturating_duration_since(interval.start) >= INTERVAL {
            (interval.start, interval.lines) = (now, 0);
        }
        if interval.lines == MAX_LINES {
            interval.suppressed += 1;
            return None;
        }
        interval.lines += 1;
        Some(std::mem::take(&mut interval.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_five_refusals_through_and_counts_the_rest_until_the_next_interval() {
        let (log, start) = (RefusalLog::default(), Instant::now());
        let admitted: Vec<_> = (0..8).map(|_| log.admit("no_match", start)).collect();
        assert_eq!(admitted, [[Some(0); 5].as_slice(), &[None; 3]].concat());
        let before_the_end = start + INTERVAL - Duration::from_millis(1);
        assert_eq!(log.admit("no_match", before_the_end), None);
        assert_eq!(log.admit("no_match", start + INTERVAL), Some(4));
        assert_eq!(log.admit("no_match", start + INTERVAL), Some(0));
    }

    #[test]
    fn reasons_have_separate_limits() {
        let (log, now) = (RefusalLog::default(), Instant::now());
        for _ in 0..5 {
            assert_eq!(log.admit("no_match", now), Some(0));
        }
        assert_eq!(log.admit("no_match", now), None);
        assert_eq!(log.admit("token", now), Some(0));
    }
}
