//! Limits how often refused requests are logged, so that a client cannot fill the disk with them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Number of lines per source and reason in each interval.
const MAX_LINES: u64 = 5;
/// Length of an interval.
const INTERVAL: Duration = Duration::from_secs(10);
/// Maximum number of pairs of source and reason. Further pairs share one limit.
const MAX_PAIRS: usize = 1_000;

/// Decides which refusals are logged: the first few per source and reason in each interval.
#[derive(Debug, Default)]
pub struct RefusalLog(Mutex<HashMap<(String, &'static str), Interval>>);

#[derive(Debug)]
struct Interval {
    start: Instant,
    lines: u64,
    suppressed: u64,
}

impl RefusalLog {
    /// Returns `None` if this refusal must not be logged, and otherwise the number of refusals that
    /// were suppressed since the last line for the same source and reason.
    ///
    /// ```
    /// use switchboard::telemetry::RefusalLog;
    /// use tokio::time::Instant;
    ///
    /// let log = RefusalLog::default();
    /// assert_eq!(log.admit("retell", "bad signature", Instant::now()), Some(0));
    /// ```
    pub fn admit(&self, source: &str, reason: &'static str, now: Instant) -> Option<u64> {
        let mut intervals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (source.to_owned(), reason);
        if intervals.len() >= MAX_PAIRS && !intervals.contains_key(&key) {
            key = (String::new(), "");
        }
        let first = Interval { start: now, lines: 0, suppressed: 0 };
        let interval = intervals.entry(key).or_insert(first);
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
        let admitted: Vec<_> = (0..8).map(|_| log.admit("a", "signature", start)).collect();
        assert_eq!(admitted, [[Some(0); 5].as_slice(), &[None; 3]].concat());
        let before_the_end = start + INTERVAL - Duration::from_millis(1);
        assert_eq!(log.admit("a", "signature", before_the_end), None);
        assert_eq!(log.admit("a", "signature", start + INTERVAL), Some(4));
        assert_eq!(log.admit("a", "signature", start + INTERVAL), Some(0));
    }

    #[test]
    fn sources_and_reasons_have_separate_limits() {
        let (log, now) = (RefusalLog::default(), Instant::now());
        for _ in 0..5 {
            assert_eq!(log.admit("a", "signature", now), Some(0));
        }
        assert_eq!(log.admit("a", "signature", now), None);
        assert_eq!(log.admit("b", "signature", now), Some(0));
        assert_eq!(log.admit("a", "token", now), Some(0));
    }

    #[test]
    fn memory_is_bounded() {
        let (log, now) = (RefusalLog::default(), Instant::now());
        for at in 0..2 * MAX_PAIRS {
            log.admit(&at.to_string(), "unknown", now);
        }
        assert_eq!(log.0.lock().unwrap().len(), MAX_PAIRS + 1);
    }
}
