//! A histogram of times with fixed buckets: constant memory and no lock, also if nobody scrapes.
//!
//! The histogram of the `metrics` crate keeps each sample until the next scrape or upkeep.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use jiff::SignedDuration;

use super::exposition::write_sample;

/// Upper bounds of the buckets, in nanoseconds: from a decision (1 µs) to a reply that waits for its
/// commit until the deadline (3 s by default, at most 10 s).
const DURATIONS_NS: [i64; 18] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    1_000_000,
    5_000_000,
    10_000_000,
    50_000_000,
    100_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    3_000_000_000,
    10_000_000_000,
];

/// Upper bounds of the buckets of clock skews, in nanoseconds. Signatures more than 300 s away are refused.
const SKEWS_NS: [i64; 18] = [
    -120_000_000_000,
    -60_000_000_000,
    -30_000_000_000,
    -10_000_000_000,
    -5_000_000_000,
    -2_000_000_000,
    -1_000_000_000,
    -500_000_000,
    0,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
    120_000_000_000,
    300_000_000_000,
];

/// A histogram of times.
pub struct Histogram {
    /// Upper bounds of the buckets.
    bounds_ns: &'static [i64],
    /// Samples of each bucket, not cumulative. The last bucket has no upper bound.
    buckets: Box<[AtomicU64]>,
    sum_ns: AtomicI64,
}

impl Histogram {
    /// Creates a histogram of durations from a microsecond to ten seconds.
    pub(super) fn of_durations() -> Histogram {
        Histogram::new(&DURATIONS_NS)
    }

    /// Creates a histogram of differences between two clocks, which may be negative.
    pub(super) fn of_clock_skews() -> Histogram {
        Histogram::new(&SKEWS_NS)
    }

    fn new(bounds_ns: &'static [i64]) -> Histogram {
        let buckets = (0..=bounds_ns.len()).map(|_| AtomicU64::default()).collect();
        Histogram { bounds_ns, buckets, sum_ns: AtomicI64::default() }
    }

    /// Adds a duration.
    pub fn record(&self, duration: Duration) {
        self.record_ns(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX));
    }

    /// Adds a difference between two clocks.
    pub(super) fn record_skew(&self, skew: SignedDuration) {
        self.record_ns(i64::try_from(skew.as_nanos()).unwrap_or(i64::MAX));
    }

    fn record_ns(&self, nanos: i64) {
        let bounds = self.bounds_ns;
        let bucket = bounds.iter().position(|bound| nanos <= *bound).unwrap_or(bounds.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Appends the samples of the metric `name`. `labels` is the text between the braces, or empty.
    pub(super) fn write(&self, text: &mut String, name: &str, labels: &str) {
        let separator = if labels.is_empty() { "" } else { "," };
        let bounds = self.bounds_ns.iter().map(|bound| seconds(*bound).to_string());
        let mut count = 0;
        for (bucket, bound) in self.buckets.iter().zip(bounds.chain(["+Inf".to_owned()])) {
            count += bucket.load(Ordering::Relaxed);
            let labels = format!("{labels}{separator}le=\"{bound}\"");
            write_sample(text, &format!("{name}_bucket"), &labels, count as f64);
        }
        let sum = seconds(self.sum_ns.load(Ordering::Relaxed));
        write_sample(text, &format!("{name}_sum"), labels, sum);
        write_sample(text, &format!("{name}_count"), labels, count as f64);
    }
}

fn seconds(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_counts_in_its_bucket_and_all_larger_ones() {
        let histogram = Histogram::of_durations();
        for nanos in [1_000, 1_001, 3_000_000_000, 11_000_000_000] {
            histogram.record(Duration::from_nanos(nanos));
        }
        let mut text = String::new();
        histogram.write(&mut text, "x_seconds", "source=\"retell\"");
        for line in [
            "x_seconds_bucket{source=\"retell\",le=\"0.000001\"} 1\n",
            "x_seconds_bucket{source=\"retell\",le=\"0.0000025\"} 2\n",
            "x_seconds_bucket{source=\"retell\",le=\"2\"} 2\n",
            "x_seconds_bucket{source=\"retell\",le=\"3\"} 3\n",
            "x_seconds_bucket{source=\"retell\",le=\"10\"} 3\n",
            "x_seconds_bucket{source=\"retell\",le=\"+Inf\"} 4\n",
            "x_seconds_sum{source=\"retell\"} 14.000002001\n",
            "x_seconds_count{source=\"retell\"} 4\n",
        ] {
            assert!(text.contains(line), "{line}is not in\n{text}");
        }
    }

    #[test]
    fn a_negative_sample_counts_from_its_own_bucket_upwards() {
        let histogram = Histogram::of_clock_skews();
        for millis in [-1_500, 250] {
            histogram.record_skew(SignedDuration::from_millis(millis));
        }
        let mut text = String::new();
        histogram.write(&mut text, "x_seconds", "");
        for line in [
            "x_seconds_bucket{le=\"-2\"} 0\n",
            "x_seconds_bucket{le=\"-1\"} 1\n",
            "x_seconds_bucket{le=\"0\"} 1\n",
            "x_seconds_bucket{le=\"0.5\"} 2\n",
            "x_seconds_sum -1.25\n",
            "x_seconds_count 2\n",
        ] {
            assert!(text.contains(line), "{line}is not in\n{text}");
        }
    }

    #[test]
    fn bounds_ascend() {
        for bounds in [DURATIONS_NS, SKEWS_NS] {
            assert!(bounds.is_sorted_by(|a, b| a < b));
        }
    }
}
