//! Health of the record store, shared by the writer, the recorder and readiness.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Store;

/// New calls do not wait for a commit that takes longer than this.
const STUCK: Duration = Duration::from_secs(1);

/// State of the store.
pub struct StoreHealth {
    store: ArcSwapOption<Store>,
    outage: Mutex<Option<Outage>>,
    /// Wakes the replies that wait for a commit when the store breaks.
    pub(crate) broken: watch::Sender<bool>,
    /// Start of the current write, in milliseconds since `created`; 0 while nothing is written.
    writing_since: AtomicU64,
    created: Instant,
}

/// A time during which nothing can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// Start of the outage.
    pub since: Timestamp,
    /// Error message, without the rows that were to be written.
    pub reason: String,
}

impl StoreHealth {
    pub(crate) fn new() -> StoreHealth {
        StoreHealth {
            store: ArcSwapOption::empty(),
            outage: Mutex::new(None),
            broken: watch::Sender::new(false),
            writing_since: AtomicU64::new(0),
            created: Instant::now(),
        }
    }

    /// Returns the store once it is open.
    pub fn store(&self) -> Option<Arc<Store>> {
        self.store.load_full()
    }

    /// Returns the current outage, if there is one.
    pub fn outage(&self) -> Option<Outage> {
        self.guarded().clone()
    }

    pub(crate) fn set_store(&self, store: Option<Store>) {
        self.store.store(store.map(Arc::new));
    }

    /// Ends an outage; returns true if there was one.
    pub(crate) fn end_outage(&self) -> bool {
        self.broken.send_replace(false);
        self.guarded().take().is_some()
    }

    /// Begins or continues an outage; returns true if it is a new one.
    pub(crate) fn begin_outage(&self, reason: String, now: Timestamp) -> bool {
        let mut outage = self.guarded();
        let since = outage.as_ref().map(|before| before.since);
        *outage = Some(Outage { since: since.unwrap_or(now), reason });
        self.broken.send_replace(true);
        since.is_none()
    }

    pub(crate) fn set_writing(&self, is_writing: bool) {
        let elapsed = self.created.elapsed().as_millis() as u64;
        self.writing_since.store(if is_writing { elapsed.max(1) } else { 0 }, Ordering::Relaxed);
    }

    /// True if waiting for a commit is pointless: the store is broken, or has been busy for long.
    pub(crate) fn is_stuck(&self) -> bool {
        let since = self.writing_since.load(Ordering::Relaxed);
        let busy = || (self.created.elapsed().as_millis() as u64).saturating_sub(since);
        since > 0 && busy() > STUCK.as_millis() as u64 || self.guarded().is_some()
    }

    fn guarded(&self) -> MutexGuard<'_, Option<Outage>> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
