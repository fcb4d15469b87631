//! Health of the records store, shared by the writer, the recorder and readiness.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Store;

/// A commit that takes longer than this is not waited for any more by calls that come in.
const STUCK: Duration = Duration::from_secs(1);

/// How the store is.
pub struct StoreHealth {
    store: ArcSwapOption<Store>,
    trouble: Mutex<Option<Outage>>,
    /// Tells who waits for a commit of trouble.
    pub(crate) broken: watch::Sender<bool>,
    /// Since when the writer is busy with one batch, in milliseconds since `begun`; 0 when it is not.
    writing_since: AtomicU64,
    begun: Instant,
}

/// Why nothing can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// When it began.
    pub since: Timestamp,
    /// In words, without what was to be written.
    pub why: String,
}

impl StoreHealth {
    pub(crate) fn new() -> StoreHealth {
        StoreHealth {
            store: ArcSwapOption::empty(),
            trouble: Mutex::new(None),
            broken: watch::Sender::new(false),
            writing_since: AtomicU64::new(0),
            begun: Instant::now(),
        }
    }

    /// The store, once it is open.
    pub fn store(&self) -> Option<Arc<Store>> {
        self.store.load_full()
    }

    /// Why nothing can be written; none when all is well.
    pub fn trouble(&self) -> Option<Outage> {
        self.guarded().clone()
    }

    pub(crate) fn opened(&self, store: Option<Store>) {
        self.store.store(store.map(Arc::new));
    }

    /// True when it is news.
    pub(crate) fn is_well(&self) -> bool {
        self.broken.send_replace(false);
        self.guarded().take().is_some()
    }

    /// True when it is news.
    pub(crate) fn is_in_trouble(&self, why: String, now: Timestamp) -> bool {
        let mut trouble = self.guarded();
        let since = trouble.as_ref().map(|before| before.since);
        *trouble = Some(Outage { since: since.unwrap_or(now), why });
        self.broken.send_replace(true);
        since.is_none()
    }

    pub(crate) fn writes(&self, begins: bool) {
        let elapsed = self.begun.elapsed().as_millis() as u64;
        self.writing_since.store(if begins { elapsed.max(1) } else { 0 }, Ordering::Relaxed);
    }

    /// Whether a commit is not worth waiting for: the store is broken, or busy for long.
    pub(crate) fn is_stuck(&self) -> bool {
        let since = self.writing_since.load(Ordering::Relaxed);
        let busy = || (self.begun.elapsed().as_millis() as u64).saturating_sub(since);
        since > 0 && busy() > STUCK.as_millis() as u64 || self.guarded().is_some()
    }

    fn guarded(&self) -> MutexGuard<'_, Option<Outage>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
