//! The last reloads, for people who ask what happened to the rule table.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

/// Reloads that are kept.
const MOST_RELOADS: usize = 20;

/// A reload that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastReload {
    /// Time at which it ended.
    pub at: Timestamp,
    /// Whether the files are valid, and live.
    pub ok: bool,
    /// Number of errors.
    pub errors: usize,
    /// Number of warnings.
    pub warnings: usize,
    /// Fingerprint of the table that is live since then.
    pub fingerprint: String,
    /// Who or what asked for it; empty if a file has changed.
    pub requesters: Vec<Box<str>>,
}

/// The last reloads. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct ReloadHistory(Arc<Mutex<VecDeque<PastReload>>>);

impl ReloadHistory {
    pub(super) fn add(&self, reload: PastReload) {
        let mut reloads = self.lock();
        reloads.truncate(MOST_RELOADS - 1);
        reloads.push_front(reload);
    }

    /// Returns the last reloads, newest first.
    pub fn newest_first(&self) -> Vec<PastReload> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<PastReload>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
