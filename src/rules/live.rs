//! The table that answers now, swapped atomically by a reload.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};
use jiff::Timestamp;

use super::RuleSet;
use crate::diagnostics::Report;

/// The table that answers, and what came of the last try to replace it.
pub struct LiveTable {
    table: ArcSwap<RuleSet>,
    state: Mutex<LiveStatus>,
}

/// Since when the table answers, and what came of the last try to replace it.
#[derive(Debug, Clone)]
pub struct LiveStatus {
    /// When the table that answers was loaded.
    pub since: Timestamp,
    /// When the last try was.
    pub tried: Timestamp,
    /// What was wrong with the last try; none when it is the table that answers.
    pub wrong: Option<Arc<Report>>,
}

impl LiveTable {
    /// With the table of the start.
    pub fn new(table: RuleSet, now: Timestamp) -> LiveTable {
        let state = LiveStatus { since: now, tried: now, wrong: None };
        LiveTable { table: ArcSwap::from_pointee(table), state: Mutex::new(state) }
    }

    /// The table that answers now. Who holds it goes on with it, whatever comes after.
    pub fn table(&self) -> Guard<Arc<RuleSet>> {
        self.table.load()
    }

    /// The table that answers now, since when, and what came after: all of the same moment.
    pub fn table_and_state(&self) -> (Arc<RuleSet>, LiveStatus) {
        let state = self.state();
        (self.table.load_full(), state.clone())
    }

    /// Lets another table answer from here on, and gives back the one that did.
    pub(crate) fn replace(&self, table: RuleSet, now: Timestamp) -> Arc<RuleSet> {
        let mut state = self.state();
        *state = LiveStatus { since: now, tried: now, wrong: None };
        self.table.swap(Arc::new(table))
    }

    /// Leaves the table as it is, after a try that was wrong or has changed nothing.
    pub(crate) fn keep(&self, wrong: Option<Arc<Report>>, now: Timestamp) {
        let mut state = self.state();
        *state = LiveStatus { since: state.since, tried: now, wrong };
    }

    fn state(&self) -> MutexGuard<'_, LiveStatus> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
