//! Reads the metrics of this service from its own exposition: the recorder of the `metrics` crate keeps its values
//! to itself.

use std::collections::{BTreeMap, BTreeSet};

/// Samples of metrics.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples(Vec<Sample>);

#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Sample {
    fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }

    fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels.iter().all(|(name, value)| self.label(name) == Some(value))
    }
}

impl Samples {
    /// Reads the Prometheus text format, as `Counters::to_text` writes it. A line that
    /// is no sample is left out.
    pub fn parse(text: &str) -> Samples {
        Samples(text.lines().filter_map(sample).collect())
    }

    fn named<'s>(
        &'s self,
        name: &'s str,
        labels: &'s [(&str, &str)],
    ) -> impl Iterator<Item = &'s Sample> {
        self.0.iter().filter(move |sample| sample.name == name && sample.has(labels))
    }

    /// Returns the sum of the samples of a metric with these labels; 0 if there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.named(name, labels).map(|sample| sample.value).sum()
    }

    /// Returns the sums of the samples of a metric with these labels by the value of another label, except those
    /// that are 0, the largest first.
    pub fn by(&self, name: &str, labels: &[(&str, &str)], label: &str) -> Vec<(String, f64)> {
        let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
        for sample in self.named(name, labels) {
            if let Some(value) = sample.label(label) {
                *sums.entry(value).or_default() += sample.value;
            }
        }
        let sums = sums.into_iter().filter(|(_, sum)| *sum != 0.0);
        let mut sums: Vec<(String, f64)> =
            sums.map(|(value, sum)| (value.to_owned(), sum)).collect();
        sums.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        sums
    }

    /// Returns the values that a label of a metric has, sorted.
    pub fn values(&self, name: &str, label: &str) -> Vec<String> {
        self.values_of(name, &[], label)
    }

    /// Returns the values that a label of a metric with these labels has, sorted.
    pub fn values_of(&self, name: &str, labels: &[(&str, &str)], label: &str) -> Vec<String> {
        let values = self.named(name, labels).filter_map(|sample| sample.label(label));
        let values: BTreeSet<&str> = values.collect();
        values.into_iter().map(str::to_owned).collect()
    }

    /// Returns the upper bound of the bucket of a histogram that has this part of its samples, in seconds:
    /// infinite if it is the last one. `None` without samples.
    pub fn quantile(&self, name: &str, labels: &[(&str, &str)], part: f64) -> Option<f64> {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for sample in self.named(&format!("{name}_bucket"), labels) {
            let bound = match sample.label("le")? {
                "+Inf" => f64::INFINITY,
                bound => bound.parse().ok()?,
            };
            // Several series of the same labels are one.
            match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, count)) => *count += sample.value,
                None => buckets.push((bound, sample.value)),
            }
        }
        let total = buckets.iter().map(|(_, count)| *count).fold(0.0, f64::max);
        if total == 0.0 {
            return None;
        }
        buckets.into_iter().find(|(_, count)| *count >= total * part).map(|(bound, _)| bound)
    }
}

/// Reads a line: `name{label="value"} 1`.
fn sample(line: &str) -> Option<Sample> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, self::labels(labels.strip_suffix('}')?)?),
        None => (series, Vec::new()),
    };
    Some(Sample { name: name.to_owned(), labels, value })
}

/// Reads the text between the braces.
fn labels(mut text: &str) -> Option<Vec<(String, String)>> {
    let mut labels = Vec::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = rest.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => match chars.next()?.1 {
                    'n' => value.push('\n'),
                    escaped => value.push(escaped),
                },
                (_, plain) => value.push(plain),
            }
        };
        labels.push((name.to_owned(), value));
        text = rest[end + 1..].trim_start_matches(',');
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::exposition::{label, write_sample};
    use crate::telemetry::histogram::Histogram;

    #[test]
    fn samples_are_read_as_they_are_written() {
        let mut text =
            String::from("# HELP a_total Help\n# TYPE a_total counter\nb 2.5\nbroken{ 1\n");
        for (source, reason, value) in [
            ("x", "missing", 3.0),
            ("x", "stale", 5.0),
            ("y", "stale", 7.0),
            ("y", "\"\\\n,}", 1.0),
        ] {
            let labels = [label("source", source), label("reason", reason)].join(",");
            write_sample(&mut text, "a_total", &labels, value);
        }
        let samples = Samples::parse(&text);
        assert_eq!(samples.sum("b", &[]), 2.5);
        assert_eq!(samples.sum("a_total", &[]), 16.0);
        assert_eq!(samples.sum("a_total", &[("source", "y"), ("reason", "stale")]), 7.0);
        let by_reason = samples.by("a_total", &[("source", "x")], "reason");
        assert_eq!(by_reason, [("stale".to_owned(), 5.0), ("missing".to_owned(), 3.0)]);
        assert_eq!(samples.sum("a_total", &[("reason", "\"\\\n,}")]), 1.0);
        assert_eq!(samples.sum("c", &[]), 0.0);
    }

    #[test]
    fn a_quantile_is_the_bound_of_its_bucket() {
        let histogram = Histogram::of_durations();
        for ms in [1, 1, 1, 40] {
            histogram.record(Duration::from_millis(ms));
        }
        let mut text = String::new();
        histogram.write(&mut text, "x_seconds", "");
        let samples = Samples::parse(&text);
        let [half, most] = [0.5, 0.99].map(|part| samples.quantile("x_seconds", &[], part));
        assert_eq!(half, Some(0.001));
        assert!(most.is_some_and(|bound| bound >= 0.04), "{most:?}");
        assert_eq!(samples.quantile("y_seconds", &[], 0.5), None);
    }
}
