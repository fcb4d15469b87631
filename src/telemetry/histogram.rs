//! A histogram of durations with fixed buckets: constant memory and no lock, also if nobody scrapes.
//!
//! The histogram of the `metrics` crate keeps each sample until the next scrape or upkeep.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::exposition::write_sample;

/// Upper bounds of the buckets, in nanoseconds: from a decision (1 µs) to a reply that waits for its
/// commit until the deadline (3 s by default, at most 10 s).
const BOUNDS_NS: [u64; 18] = [
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

/// A histogram of durations.
#[derive(Default)]
pub struct Histogram {
    /// Samples of each bucket, not cumulative. The last bucket has no upper bound.
    buckets: [AtomicU64; BOUNDS_NS.len() + 1],
    sum_ns: AtomicU64,
}

impl Histogram {
    /// Adds a sample.
    pub fn record(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_NS.iter().position(|bound| nanos <= *bound).unwrap_or(BOUNDS_NS.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Appends the samples of the metric `name`. `labels` is the text between the braces, or empty.
    pub(super) fn write(&self, text: &mut String, name: &str, labels: &str) {
        let separator = if labels.is_empty() { "" } else { "," };
        let bounds = BOUNDS_NS.iter().map(|bound| seconds(*bound).to_string());
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

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_counts_in_its_bucket_and_all_larger_ones() {
        let histogram = Histogram::default();
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
    fn bounds_ascend() {
        assert!(BOUNDS_NS.is_sorted_by(|a, b| a < b));
    }
}
