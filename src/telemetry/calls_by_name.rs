//! Calls counted by a name of the rule table, with a bounded number of series.
//!
//! The names are fixed when a table goes live, so that counting a call is one look-up without a lock.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use foldhash::fast::FixedState;

use super::exposition::{label, write_header, write_sample};

/// Maximum number of names that have a series of their own.
const MAX_NAMES: usize = 500;
/// Label of the calls of all other names.
const OTHER: &str = "other";

type CounterMap = HashMap<Box<str>, Arc<AtomicU64>, FixedState>;

/// A counter metric with one label: a name of the rule table.
pub(super) struct CallsByName {
    metric: &'static str,
    label: &'static str,
    help: &'static str,
    by_name: ArcSwap<CounterMap>,
    other: AtomicU64,
}

impl CallsByName {
    pub(super) fn new(metric: &'static str, label: &'static str, help: &'static str) -> Self {
        let by_name = ArcSwap::default();
        CallsByName { metric, label, help, by_name, other: AtomicU64::new(0) }
    }

    /// Gives the first [`MAX_NAMES`] names a series of their own. A name that had one keeps its count;
    /// the series of names that are gone end.
    pub(super) fn replace_names<'n>(&self, names: impl Iterator<Item = &'n str>) {
        let before = self.by_name.load();
        // A name that equals the label of all others shares its series.
        let names = names.filter(|name| *name != OTHER).take(MAX_NAMES);
        let counters =
            names.map(|name| (name.into(), before.get(name).cloned().unwrap_or_default()));
        self.by_name.store(Arc::new(counters.collect()));
    }

    /// Counts a call.
    pub(super) fn increment(&self, name: &str) {
        let by_name = self.by_name.load();
        let counter = by_name.get(name).map_or(&self.other, |counter| counter);
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Appends the metric.
    pub(super) fn write(&self, text: &mut String) {
        write_header(text, self.metric, "counter", self.help);
        let by_name = self.by_name.load();
        let other = (OTHER, &self.other);
        let named = by_name.iter().map(|(name, counter)| (&**name, &**counter));
        for (name, counter) in named.chain([other]) {
            let count = counter.load(Ordering::Relaxed) as f64;
            write_sample(text, self.metric, &label(self.label, name), count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(calls: &CallsByName, expected: &[&str]) {
        let mut text = String::new();
        calls.write(&mut text);
        let mut lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        lines.sort_unstable();
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_name_keeps_its_count_across_tables_and_a_removed_name_ends() {
        let calls = CallsByName::new("m", "rule", "");
        calls.replace_names(["a", "b"].into_iter());
        ["a", "a", "b", "c"].iter().for_each(|name| calls.increment(name));
        check(&calls, &[r#"m{rule="a"} 2"#, r#"m{rule="b"} 1"#, r#"m{rule="other"} 1"#]);
        calls.replace_names(["c", "a"].into_iter());
        check(&calls, &[r#"m{rule="a"} 2"#, r#"m{rule="c"} 0"#, r#"m{rule="other"} 1"#]);
    }

    #[test]
    fn a_rule_named_other_has_no_second_series() {
        let calls = CallsByName::new("m", "rule", "");
        calls.replace_names(["other"].into_iter());
        calls.increment("other");
        check(&calls, &[r#"m{rule="other"} 1"#]);
    }

    #[test]
    fn names_are_escaped() {
        let calls = CallsByName::new("m", "rule", "");
        calls.replace_names(["a\\b\"c\nd"].into_iter());
        check(&calls, &[r#"m{rule="a\\b\"c\nd"} 0"#, r#"m{rule="other"} 0"#]);
    }
}
