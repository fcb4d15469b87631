//! Accepts records from the pipeline, queues them for the writer and returns at once.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use super::earlier_calls::HistoryQuestion;
use super::health::StoreHealth;
use super::history::HistoryReading;
use super::queue::{QueueEntry, QueuedCall, QueuedEvent, QueuedSnapshot};
use super::row::{CallRow, DeliveryKey, EventRow};
use super::store::new_id;
use super::waiting_calls::WaitingCalls;
use super::writer::Writer;
use super::{
    Filter, FilterArgs, FilterError, KnownNames, NewCall, NewEvent, NumberPolicy, RuleSnapshot,
    Store,
};
use crate::domain::call::Call;
use crate::domain::clock::Clock;
use crate::rules::Snapshot;
use crate::settings::{RecordsLocation, RecordsSettings, Wait};
use crate::telemetry::{Counters, RecordCounters};

/// Queues records for the writer.
pub struct Recorder {
    /// None when records are off.
    queue: Option<mpsc::Sender<QueueEntry>>,
    numbers: NumberPolicy,
    wait: Wait,
    /// Whether replies carry the id of their record.
    adds_record_ids: bool,
    /// One permit per byte of queued calls.
    call_bytes: Arc<Semaphore>,
    /// One permit per kilobyte of queued events; small events take several.
    event_kilobytes: Arc<Semaphore>,
    /// One permit per queued rule table.
    snapshots: Arc<Semaphore>,
    health: Arc<StoreHealth>,
    counters: RecordCounters,
    /// Calls that histories count although they are not written yet.
    waiting_calls: Arc<WaitingCalls>,
    /// Whether records keep the values of look-ups.
    keeps_lookups: bool,
}

/// Interval at which a task looks whether the store is open.
const STORE_POLL: Duration = Duration::from_millis(200);
/// Pause before the index of histories is looked for again; doubles after each failure.
const INDEX_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_INDEX_PAUSE: Duration = Duration::from_secs(600);
/// Maximum number of queued calls and events, about 50 MB. Further ones are lost, and counted.
const QUEUE: usize = 65_536;
/// Maximum size of queued calls: with much metadata, fewer calls fit.
const CALL_BYTES: usize = 64 << 20;
/// Maximum size of queued events, in kilobytes.
const EVENT_KILOBYTES: usize = 64 << 10;
/// Smallest size that an event counts for, so at most 1,024 events wait. Each holds one of the
/// requests in flight, and while the store is broken some must remain for calls.
const LEAST_EVENT_KILOBYTES: usize = 64;
/// Maximum number of queued rule tables, of up to a megabyte each.
const SNAPSHOTS: usize = 8;

/// A queued call.
pub struct RecordedCall {
    /// Key of the delivery, for [`Recorder::record_retry`].
    pub key: DeliveryKey,
    /// What the reply waits for, where replies wait for the commit.
    pub committed: Option<Committed>,
}

/// Resolves when a record is committed.
pub struct Committed {
    committed: oneshot::Receiver<()>,
    health: Arc<StoreHealth>,
}

impl Committed {
    /// Waits for the commit until `deadline`, and returns whether it happened. Does not wait for a
    /// store that is broken.
    pub async fn before(self, deadline: Instant) -> bool {
        let mut broken = self.health.broken.subscribe();
        tokio::select! {
            biased;
            committed = self.committed => committed.is_ok(),
            _ = broken.wait_for(|broken| *broken) => false,
            () = tokio::time::sleep_until(deadline) => false,
        }
    }
}

/// Reason why an event was not stored. The platform sends the event again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotStored {
    /// The queue is full.
    #[error("too many events wait to be stored")]
    Full,
    /// The deadline passed, or the store is broken.
    #[error("the event could not be stored in time")]
    Late,
    /// Handling the event panicked.
    #[error("an internal error prevented the event from being stored")]
    Failed,
}

/// Reason for which records cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoStore {
    /// The settings turn records off.
    #[error("records are off: `[records] url` is \"off\"")]
    Off,
    /// The store has not been opened yet, or does not answer.
    #[error("the record store is not available; see /readyz")]
    Closed,
}

impl Recorder {
    /// Builds a recorder and the writer that has to run beside it; no writer when records are off.
    pub fn new(
        records: RecordsSettings,
        counters: &Counters,
        clock: Clock,
    ) -> (Recorder, Option<Writer>) {
        let counters = counters.records();
        let health = Arc::new(StoreHealth::new());
        let is_off = matches!(records.location, RecordsLocation::Off);
        let (queue, entries) = mpsc::channel(if is_off { 1 } else { QUEUE });
        let RecordsSettings { location, retain, numbers, wait, stamp, lookups } = records;

        let recorder = Recorder {
            queue: (!is_off).then_some(queue),
            numbers: NumberPolicy::new(numbers),
            wait,
            adds_record_ids: stamp,
            call_bytes: Arc::new(Semaphore::new(CALL_BYTES)),
            event_kilobytes: Arc::new(Semaphore::new(EVENT_KILOBYTES)),
            snapshots: Arc::new(Semaphore::new(SNAPSHOTS)),
            health: health.clone(),
            counters: counters.clone(),
            waiting_calls: Arc::default(),
            keeps_lookups: lookups,
        };
        let writer = Writer::new(entries, location, retain, wait, health, counters, clock);
        (recorder, (!is_off).then_some(writer))
    }

    /// Returns a new id for the record of a call or an event of this time.
    pub fn id(&self, at: Timestamp) -> Uuid {
        new_id(at)
    }

    /// Returns whether replies carry the id of their record.
    pub fn adds_record_ids(&self) -> bool {
        self.adds_record_ids && self.queue.is_some()
    }

    /// Queues a call. Returns `None` if records are off.
    pub fn record_call(&self, new_call: NewCall<'_>) -> Option<RecordedCall> {
        let queue = self.queue.as_ref()?;
        let row = CallRow::new(new_call, &self.numbers, self.keeps_lookups);
        let key = row.dedup_key;
        let bytes = u32::try_from(row.bytes()).unwrap_or(u32::MAX);
        let permit = self.call_bytes.clone().try_acquire_many_owned(bytes).ok();
        let row = Arc::new(row);
        let waiting = self.waiting_calls.add(&row);
        let committed = self.send(queue, |committed| {
            Some(QueueEntry::Call(QueuedCall {
                row,
                committed,
                _permit: permit?,
                _waiting: waiting,
            }))
        });
        Some(RecordedCall { key, committed })
    }

    /// Queues another delivery of a recorded call. Its commit comes after that of the first
    /// delivery, which may still be queued.
    pub fn record_retry(&self, key: DeliveryKey) -> Option<Committed> {
        self.send(self.queue.as_ref()?, |committed| Some(QueueEntry::Retry(key, committed)))
    }

    /// Sends the entry that `entry` builds; none where the queue's budget is used up.
    fn send(
        &self,
        queue: &mpsc::Sender<QueueEntry>,
        entry: impl FnOnce(Option<oneshot::Sender<()>>) -> Option<QueueEntry>,
    ) -> Option<Committed> {
        let waits = self.wait == Wait::Commit;
        let can_commit = waits && !self.health.is_stuck();
        if waits && !can_commit {
            self.counters.uncommitted.increment(1);
        }
        let (sender, committed) = if can_commit { Some(oneshot::channel()) } else { None }.unzip();
        let sent = entry(sender).and_then(|entry| queue.try_send(entry).ok());
        if sent.is_none() {
            self.counters.lost_full.increment(1);
        }
        let health = &self.health;
        sent.and(committed).map(|committed| Committed { committed, health: health.clone() })
    }

    /// Counts a reply that was sent before its record was committed.
    pub fn count_uncommitted(&self) {
        self.counters.uncommitted.increment(1);
    }

    /// Stores an event; returns when it is committed.
    ///
    /// # Errors
    /// Fails when the event is not committed before `deadline`: it has to be sent again.
    pub async fn store_event(
        &self,
        new_event: NewEvent<'_>,
        deadline: Instant,
    ) -> Result<(), NotStored> {
        let Some(queue) = &self.queue else { return Ok(()) };
        let kilobytes = (new_event.body.len() / 1024 + 1).max(LEAST_EVENT_KILOBYTES);
        let kilobytes = u32::try_from(kilobytes).unwrap_or(u32::MAX);
        let permit = self.event_kilobytes.clone().try_acquire_many_owned(kilobytes);
        let permit = permit.map_err(|_full| NotStored::Full)?;
        let row = Arc::new(EventRow::new(new_event, &self.numbers));
        let (sender, committed) = oneshot::channel();
        let event = QueuedEvent { row, committed: sender, _permit: permit };
        queue.try_send(QueueEntry::Event(Box::new(event))).map_err(|_full| NotStored::Full)?;
        // This also waits for a store that is broken, which may recover in time.
        match tokio::time::timeout_at(deadline, committed).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(NotStored::Late),
        }
    }

    /// Stores the files of a rule table that begins to decide calls, if they were copied. Stores
    /// nothing unless numbers are stored in full: a rule table may contain some.
    pub fn store_snapshot(&self, fingerprint: &str, files: Option<&Snapshot>, at: Timestamp) {
        let Some(queue) = self.queue.as_ref().filter(|_| self.numbers.stores_full()) else {
            return;
        };
        let files = files.filter(|files| files.fits_into_records());
        // If the queue is full, an explanation needs the operator's own copy.
        if let (Some(files), Ok(permit)) = (files, self.snapshots.clone().try_acquire_owned()) {
            let snapshot =
                RuleSnapshot { fingerprint: fingerprint.to_owned(), at, files: files.clone() };
            let snapshot = QueuedSnapshot { snapshot: Arc::new(snapshot), _permit: permit };
            drop(queue.try_send(QueueEntry::Snapshot(Box::new(snapshot))));
        }
    }

    /// Prepares the store for [`Recorder::history`], once a rule table needs it. A call waits for `timeout` at
    /// most.
    pub fn use_history(&self, timeout: Duration) {
        if self.queue.is_some() && self.waiting_calls.use_from_now_on() {
            tokio::spawn(prepare_histories(self.health.clone(), timeout));
        }
    }

    /// Prepares the reading of the earlier calls of a call's caller to the same source, also of those that
    /// are not written yet.
    ///
    /// # Errors
    /// Fails with the reason for which they are unknown.
    pub fn history(&self, call: &Call<'_>, at: Timestamp) -> Result<HistoryReading, &'static str> {
        if self.queue.is_none() {
            return Err("records are off");
        }
        let question = HistoryQuestion::new(call, at, &self.numbers)?;
        let store = self.health.store().ok_or("the record store is not open")?;
        // Before the store is read: a call that is written meanwhile is found twice, not missed.
        let waiting = self.waiting_calls.of(&question);
        Ok(store.read_history(question, waiting))
    }

    /// Returns the store for reading.
    ///
    /// # Errors
    /// Fails if records are off, or the store is not open.
    pub fn store(&self) -> Result<Arc<Store>, NoStore> {
        let health = self.health().ok_or(NoStore::Off)?;
        health.store().ok_or(NoStore::Closed)
    }

    /// Parses a filter, and checks that the names in it exist: in recorded calls, or else in `known`.
    ///
    /// # Errors
    /// Fails when a field is invalid or names something unknown, or the store cannot be read.
    pub async fn read_filter(
        &self,
        store: &Store,
        args: &FilterArgs,
        now: Timestamp,
        zone: &TimeZone,
        known: impl FnOnce() -> KnownNames,
    ) -> Result<Filter, FilterError> {
        let mut filter = args.parse(now, zone, &self.numbers, None)?;
        if !store.has_names(&filter).await? {
            store.check_names(&mut filter, &known()).await?;
        }
        Ok(filter)
    }

    /// Returns the health of the store; none when records are off.
    pub fn health(&self) -> Option<&StoreHealth> {
        self.queue.as_ref().map(|_| &*self.health)
    }

    /// Returns the number of queued entries.
    pub fn waiting(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.max_capacity() - queue.capacity())
    }

    /// Returns how numbers are stored.
    pub fn numbers(&self) -> &NumberPolicy {
        &self.numbers
    }
}

/// Connects to the store once it is open, and creates the index of the histories; tries again until it is
/// there. Without it, they take longer to read, and many calls go on without them.
async fn prepare_histories(health: Arc<StoreHealth>, timeout: Duration) {
    let mut pause = INDEX_PAUSE;
    loop {
        let Some(store) = health.store() else {
            tokio::time::sleep(STORE_POLL).await;
            continue;
        };
        store.connect_for_histories(timeout).await;
        match store.index_history().await {
            Ok(true) => return,
            Ok(false) => pause = INDEX_PAUSE,
            Err(error) => {
                pause = (pause * 2).min(LONGEST_INDEX_PAUSE);
                let retry_s = pause.as_secs();
                tracing::warn!(%error, retry_s, "cannot create the index of the callers' histories");
            }
        }
        tokio::time::sleep(pause).await;
    }
}
