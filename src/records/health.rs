//! Health of the record store, shared by the writer, the recorder and readiness.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use uuid::Uuid;

use super::Store;

/// New calls do not wait for a commit that takes longer than this.
const STUCK: Duration = Duration::from_secs(1);
/// Transactions that [`WrittenCalls`] remembers.
const REMEMBERED_WRITES: usize = 256;

/// State of the store.
pub struct StoreHealth {
    store: ArcSwapOption<Store>,
    outage: Mutex<Option<Outage>>,
    /// Wakes the replies that wait for a commit when the store breaks.
    pub(crate) broken: watch::Sender<bool>,
    /// Start of the current write, in milliseconds since `created`; 0 while nothing is written.
    writing_since: AtomicU64,
    created: Instant,
    /// Oldest call of each transaction.
    written: broadcast::Sender<Uuid>,
}

/// Tells which calls this process has written since it was asked last.
pub struct WrittenCalls(broadcast::Receiver<Uuid>);

impl WrittenCalls {
    /// Returns the oldest call that was written since the last question, or the smallest id if that is not
    /// known any more; `None` if no call was written.
    pub fn oldest(&mut self) -> Option<Uuid> {
        let mut oldest = None;
        loop {
            let id = match self.0.try_recv() {
                Ok(id) => id,
                Err(TryRecvError::Lagged(_)) => Uuid::nil(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return oldest,
            };
            oldest = Some(oldest.map_or(id, |before: Uuid| before.min(id)));
        }
    }
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
            written: broadcast::Sender::new(REMEMBERED_WRITES),
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

    /// Begins to collect which calls this process writes.
    pub fn follow_written_calls(&self) -> WrittenCalls {
        WrittenCalls(self.written.subscribe())
    }

    /// Notes that a transaction was committed, with the oldest of its calls.
    pub(crate) fn announce_written(&self, oldest: Option<Uuid>) {
        if let Some(oldest) = oldest.filter(|_| self.written.receiver_count() > 0) {
            drop(self.written.send(oldest));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_calls_are_reported_once_by_the_oldest_of_them() {
        let health = StoreHealth::new();
        let id = |number: u128| Some(Uuid::from_u128(number));
        health.announce_written(id(1));
        let mut written = health.follow_written_calls();
        assert_eq!(written.oldest(), None, "nothing since then");
        [id(5), None, id(3), id(4)].into_iter().for_each(|oldest| health.announce_written(oldest));
        assert_eq!(written.oldest(), id(3));
        assert_eq!(written.oldest(), None);
        for number in 0..=REMEMBERED_WRITES as u128 {
            health.announce_written(id(number + 10));
        }
        assert_eq!(written.oldest(), id(0), "too many to know");
    }
}
