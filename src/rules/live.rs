//! The live table: the rule set that decides calls, replaced atomically by a reload.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};
use jiff::Timestamp;

use super::RuleSet;
use crate::diagnostics::Report;

/// The rule set in use, with the result of the last attempt to replace it.
///
/// ```
/// use jiff::Timestamp;
/// use switchboard::rules::live::LiveTable;
/// use switchboard::rules::{self, CheckContext};
///
/// let text = "[[rule]]\nname = \"everyone\"\nkeep = true\n";
/// let loaded = rules::parse("rules.toml", text.to_owned(), &CheckContext::default());
/// let live = LiveTable::new(loaded.table.expect("a valid table"), Timestamp::UNIX_EPOCH);
///
/// assert_eq!(&*live.table().rules[0].name, "everyone");
/// let (_, status) = live.table_and_status();
/// assert!(status.last_error.is_none());
/// ```
pub struct LiveTable {
    table: ArcSwap<RuleSet>,
    status: Mutex<LiveStatus>,
}

/// Load time of the rule set in use, and the result of the last attempt to replace it.
#[derive(Debug, Clone)]
pub struct LiveStatus {
    /// Time at which the rule set in use was loaded.
    pub loaded_at: Timestamp,
    /// Time of the last load attempt.
    pub last_attempt_at: Timestamp,
    /// Report of the last attempt when it failed.
    pub last_error: Option<Arc<Report>>,
}

impl LiveTable {
    /// Creates a live table with the rule set that was loaded at startup.
    pub fn new(table: RuleSet, now: Timestamp) -> LiveTable {
        let status = LiveStatus { loaded_at: now, last_attempt_at: now, last_error: None };
        LiveTable { table: ArcSwap::from_pointee(table), status: Mutex::new(status) }
    }

    /// Returns the current rule set. The guard keeps it alive across a reload.
    pub fn table(&self) -> Guard<Arc<RuleSet>> {
        self.table.load()
    }

    /// Returns the current rule set and its status, consistent with each other.
    pub fn table_and_status(&self) -> (Arc<RuleSet>, LiveStatus) {
        let status = self.status();
        (self.table.load_full(), status.clone())
    }

    /// Publishes a new rule set and returns the previous one.
    pub(crate) fn replace(&self, table: RuleSet, now: Timestamp) -> Arc<RuleSet> {
        let mut status = self.status();
        *status = LiveStatus { loaded_at: now, last_attempt_at: now, last_error: None };
        self.table.swap(Arc::new(table))
    }

    /// Keeps the current rule set after an attempt that failed or found no change.
    pub(crate) fn keep_current(&self, last_error: Option<Arc<Report>>, now: Timestamp) {
        let mut status = self.status();
        *status = LiveStatus { loaded_at: status.loaded_at, last_attempt_at: now, last_error };
    }

    fn status(&self) -> MutexGuard<'_, LiveStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
