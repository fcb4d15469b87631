//! The side of the records that the walk sees. It takes what is to be written, and returns at once.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use uuid::{NoContext, Uuid};

use super::health::StoreHealth;
use super::queue::{Entry, QueuedCall, QueuedEvent, QueuedSnapshot};
use super::row::{CallRow, EventRow};
use super::writer::Writer;
use super::{NewCall, NewEvent, NumberPolicy, RuleSnapshot};
use crate::domain::clock::Clock;
use crate::rules::Snapshot;
use crate::settings::{RecordsLocation, RecordsSettings, Wait};
use crate::telemetry::{Counters, RecordCounters};

/// Takes what is to be recorded.
pub struct Recorder {
    /// None: records are off.
    queue: Option<mpsc::Sender<Entry>>,
    numbers: NumberPolicy,
    wait: Wait,
    stamp: bool,
    /// One permit for each byte of calls that wait to be written.
    rows: Arc<Semaphore>,
    /// One permit for each kilobyte of events that wait to be written, and some more for small ones.
    bodies: Arc<Semaphore>,
    /// One permit for each table that waits to be written.
    tables: Arc<Semaphore>,
    state: Arc<StoreHealth>,
    counters: RecordCounters,
}

/// So many calls and events wait to be written at most, some 50 MB; more are lost, and counted.
const QUEUE: usize = 65_536;
/// And of calls so many bytes at most: with much metadata they are fewer.
const ROWS_BYTES: usize = 64 << 20;
/// Bodies of events that wait to be written, in kilobytes.
const BODIES_KB: usize = 64 << 10;
/// An event counts for so much at least: 1,024 of them wait at most. Each holds one of the places in
/// flight, and while the store is broken there have to be some for calls.
const EVENT_KB: usize = 64;
/// Tables that wait to be written, of a megabyte each.
const TABLES: usize = 8;

/// Told once a record is committed.
pub struct Committed {
    told: oneshot::Receiver<()>,
    state: Arc<StoreHealth>,
}

impl Committed {
    /// Waits for the commit; true when it was in time. Nobody waits for a store that is broken.
    pub async fn by(self, deadline: Instant) -> bool {
        let mut broken = self.state.broken.subscribe();
        tokio::select! {
            biased;
            told = self.told => told.is_ok(),
            _ = broken.wait_for(|broken| *broken) => false,
            () = tokio::time::sleep_until(deadline) => false,
        }
    }
}

/// Why an event is not stored. The platform sends it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotStored {
    /// Too much waits to be written.
    #[error("too many events wait to be stored")]
    Full,
    /// Not in time, or the store is broken.
    #[error("the event could not be stored in time")]
    Late,
}

impl Recorder {
    /// As the settings say, and the writer, which has to run; none where records are off.
    pub fn new(
        records: RecordsSettings,
        counters: &Counters,
        clock: Clock,
    ) -> (Recorder, Option<Writer>) {
        let counters = counters.records();
        let state = Arc::new(StoreHealth::new());
        let is_off = matches!(records.location, RecordsLocation::Off);
        let (queue, entries) = mpsc::channel(if is_off { 1 } else { QUEUE });
        let RecordsSettings { location: place, retain, numbers, wait, stamp } = records;
        let recorder = Recorder {
            queue: (!is_off).then_some(queue),
            numbers: NumberPolicy::new(numbers),
            wait,
            stamp,
            rows: Arc::new(Semaphore::new(ROWS_BYTES)),
            bodies: Arc::new(Semaphore::new(BODIES_KB)),
            tables: Arc::new(Semaphore::new(TABLES)),
            state: state.clone(),
            counters: counters.clone(),
        };
        let writer = Writer::new(entries, place, retain, wait, state, counters, clock);
        (recorder, (!is_off).then_some(writer))
    }

    /// A new id for the record of a call or an event of this moment.
    pub fn id(&self, at: Timestamp) -> Uuid {
        let seconds = u64::try_from(at.as_second()).unwrap_or_default();
        let nanos = u32::try_from(at.subsec_nanosecond()).unwrap_or_default();
        Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanos))
    }

    /// Whether replies carry the id of their record.
    pub fn stamps(&self) -> bool {
        self.stamp && self.queue.is_some()
    }

    /// Records what was answered. Where replies wait for the commit, what to wait for.
    pub fn answered(&self, answered: NewCall<'_>) -> Option<Committed> {
        let queue = self.queue.as_ref()?;
        let row = CallRow::of(answered, &self.numbers);
        let bytes = u32::try_from(row.columns.len()).unwrap_or(u32::MAX);
        let room = self.rows.clone().try_acquire_many_owned(bytes).ok();
        self.send(queue, |tell| Some(Entry::Call(QueuedCall { row, tell, _room: room? })))
    }

    /// The same delivery once more. What to wait for is committed after the first record, which may
    /// still wait.
    pub fn again(&self, id: Uuid) -> Option<Committed> {
        self.send(self.queue.as_ref()?, |tell| Some(Entry::Retry(id, tell)))
    }

    /// There is no entry where there is no room for one.
    fn send(
        &self,
        queue: &mpsc::Sender<Entry>,
        entry: impl FnOnce(Option<oneshot::Sender<()>>) -> Option<Entry>,
    ) -> Option<Committed> {
        let waits = self.wait == Wait::Commit;
        let worth_it = waits && !self.state.is_stuck();
        if waits && !worth_it {
            self.counters.uncommitted.increment(1);
        }
        let (tell, told) = if worth_it { Some(oneshot::channel()) } else { None }.unzip();
        let taken = entry(tell).and_then(|entry| queue.try_send(entry).ok());
        if taken.is_none() {
            self.counters.lost_full.increment(1);
        }
        taken.and(told).map(|told| Committed { told, state: self.state.clone() })
    }

    /// A reply that waited in vain for its commit.
    pub fn was_late(&self) {
        self.counters.uncommitted.increment(1);
    }

    /// Stores an event; done when it is committed.
    ///
    /// # Errors
    /// When that is not done by then: it has to be sent again.
    pub async fn told(&self, told: NewEvent<'_>, by: Instant) -> Result<(), NotStored> {
        let Some(queue) = &self.queue else { return Ok(()) };
        let kilobytes = (told.body.len() / 1024 + 1).max(EVENT_KB);
        let kilobytes = u32::try_from(kilobytes).unwrap_or(u32::MAX);
        let stored = match self.bodies.clone().try_acquire_many_owned(kilobytes) {
            Err(_full) => Err(NotStored::Full),
            Ok(room) => {
                let row = EventRow::of(told, &self.numbers);
                let (tell, told) = oneshot::channel();
                let in_time = async {
                    tokio::time::timeout_at(by, told).await.is_ok_and(|told| told.is_ok())
                };
                let event = QueuedEvent { row, tell, _room: room };
                match queue.try_send(Entry::Event(Box::new(event))) {
                    // It also waits for a store that is broken, which may be back in time.
                    Ok(()) if in_time.await => Ok(()),
                    Ok(()) => Err(NotStored::Late),
                    Err(_full) => Err(NotStored::Full),
                }
            }
        };
        if stored.is_err() {
            self.counters.events_not_stored.increment(1);
        }
        stored
    }

    /// Keeps the files of a table that begins to answer, where they were copied. Never where numbers
    /// are not kept in full: a table may hold some.
    pub fn table(&self, fingerprint: &str, copies: Option<&Snapshot>, at: Timestamp) {
        let Some(queue) = self.queue.as_ref().filter(|_| self.numbers.are_full()) else { return };
        // Where there is no room, an explanation will want the operator's own copy.
        if let (Some(copies), Ok(room)) = (copies, self.tables.clone().try_acquire_owned()) {
            let copy =
                RuleSnapshot { fingerprint: fingerprint.to_owned(), at, copies: copies.clone() };
            drop(queue.try_send(Entry::Table(Box::new(QueuedSnapshot { copy, _room: room }))));
        }
    }

    /// How the store is; none where records are off.
    pub fn state(&self) -> Option<&StoreHealth> {
        self.queue.as_ref().map(|_| &*self.state)
    }

    /// How much waits to be written.
    pub fn waiting(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.max_capacity() - queue.capacity())
    }

    /// How numbers are kept.
    pub fn numbers(&self) -> &NumberPolicy {
        &self.numbers
    }
}
