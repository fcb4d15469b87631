//! Metrics of the look-ups of rule tables. The names are those of the live table, so the series are
//! bounded.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::exposition::{label, write_header, write_sample};
use super::histogram::Histogram;
use crate::domain::facts::{LookupAnswer, LookupState};

/// Counts look-ups by name and state, and measures them. Clones share the counts.
#[derive(Clone, Default)]
pub struct LookupCounters(Arc<RwLock<BTreeMap<Box<str>, Arc<Series>>>>);

struct Series {
    by_state: [AtomicU64; LookupState::ALL.len()],
    /// Answers from the cache, of any state.
    cached: AtomicU64,
    seconds: Histogram,
}

impl Default for Series {
    fn default() -> Self {
        Series {
            by_state: Default::default(),
            cached: AtomicU64::default(),
            seconds: Histogram::of_durations(),
        }
    }
}

impl LookupCounters {
    /// Gives each name series of its own. A name that had some keeps them; the others end.
    pub(super) fn replace_names<'n>(&self, names: impl Iterator<Item = &'n str>) {
        let mut series = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let kept = names.map(|name| (name.into(), series.remove(name).unwrap_or_default()));
        *series = kept.collect::<Vec<_>>().into_iter().collect();
    }

    /// Counts an answer.
    pub fn asked(&self, name: &str, answer: &LookupAnswer) {
        let series = self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        // A request that started with an older table may ask a look-up that is gone.
        let Some(series) = series else { return };
        let state = LookupState::ALL.iter().position(|state| *state == answer.state);
        if let Some(state) = state {
            series.by_state[state].fetch_add(1, Ordering::Relaxed);
        }
        if answer.cached {
            series.cached.fetch_add(1, Ordering::Relaxed);
        }
        series.seconds.record(answer.took);
    }

    /// Appends the metrics.
    pub(super) fn write(&self, text: &mut String) {
        let series = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let name = "switchboard_lookups_total";
        write_header(text, name, "counter", "Look-ups by name and state");
        for (lookup, series) in &*series {
            for (state, count) in LookupState::ALL.iter().zip(&series.by_state) {
                let labels =
                    format!("{},{}", label("lookup", lookup), label("state", state.as_str()));
                write_sample(text, name, &labels, count.load(Ordering::Relaxed) as f64);
            }
        }
        let name = "switchboard_lookups_cached_total";
        write_header(text, name, "counter", "Look-ups that were answered from the cache");
        for (lookup, series) in &*series {
            let cached = series.cached.load(Ordering::Relaxed) as f64;
            write_sample(text, name, &label("lookup", lookup), cached);
        }
        let name = "switchboard_lookup_seconds";
        write_header(text, name, "histogram", "Time for which a call waited for a look-up");
        for (lookup, series) in &*series {
            series.seconds.write(text, name, &label("lookup", lookup));
        }
    }
}
