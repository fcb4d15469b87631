//! Writes queued records in groups: the entries that wait become one transaction.
//!
//! A group that cannot be written is retried until the store is back. A single row that the
//! database rejects is left out, and counted.

use std::mem;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Store;
use super::batch::{Batch, BatchError};
use super::expiry::MemoryLimits;
use super::health::StoreHealth;
use super::queue::QueueEntry;
use super::reserve::DiskReserve;
use crate::domain::clock::Clock;
use crate::priority::lower_priority;
use crate::settings::{RecordsLocation, Wait};
use crate::telemetry::RecordCounters;

/// Writes the entries of a recorder's queue.
pub struct Writer {
    queue: mpsc::Receiver<QueueEntry>,
    location: RecordsLocation,
    retain: Duration,
    /// Whether replies wait for the commit.
    wait: Wait,
    health: Arc<StoreHealth>,
    counters: RecordCounters,
    clock: Clock,
    /// None for stores without a file.
    reserve: Option<DiskReserve>,
    /// None while the store is closed.
    store: Option<Store>,
    /// Time to give up; none before the service stops.
    give_up_at: Option<Instant>,
    stopped: bool,
    /// Records that were given up.
    lost: usize,
    /// Rows that the current clean-up has deleted.
    expired: u64,
    /// Rows written since the limits of memory were last enforced.
    unchecked: usize,
}

/// Next step of the loop.
enum WriterStep {
    Stop,
    Write(usize),
    DeleteExpired,
}

/// Maximum number of entries in a transaction.
const GROUP: usize = 1_000;
/// Time for which a group grows where no reply waits for the commit.
const GATHER: Duration = Duration::from_millis(25);
/// A transaction that takes longer is interrupted and retried.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after the first failure; doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Maximum number of collisions in a row that are retried at once.
const COLLISIONS: u32 = 10;
/// Time that a broken store has to come back when the service stops, the longest time between two
/// groups then, and the longest wait for queries when the store is closed.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Interval of deleting old records.
const EXPIRE_EVERY: Duration = Duration::from_secs(600);
/// Limits of `memory:`, exceeded by at most [`CHECK_AFTER`] rows.
const MEMORY_LIMITS: MemoryLimits =
    MemoryLimits { calls: 10_000, events: 10_000, event_characters: 64 << 20 };
const CHECK_AFTER: usize = 1_000;

impl Writer {
    pub(crate) fn new(
        queue: mpsc::Receiver<QueueEntry>,
        location: RecordsLocation,
        retain: Duration,
        wait: Wait,
        health: Arc<StoreHealth>,
        counters: RecordCounters,
        clock: Clock,
    ) -> Writer {
        let reserve = DiskReserve::of(&location);
        Writer {
            queue,
            reserve,
            location,
            retain,
            wait,
            health,
            counters,
            clock,
            store: None,
            give_up_at: None,
            stopped: false,
            lost: 0,
            expired: 0,
            unchecked: 0,
        }
    }

    /// Starts the writer on a thread of its own, on which the threads of SQLite start, too. Where
    /// no reply waits for the commit, they have a lower priority than the threads that reply.
    ///
    /// # Errors
    /// Fails when no thread can be started.
    pub fn start(self, stop: CancellationToken) -> std::io::Result<JoinHandle<()>> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.thread_name("records").enable_all().build()?;
        std::thread::Builder::new().name("records".to_owned()).spawn(move || {
            if self.wait == Wait::No {
                lower_priority();
            }
            runtime.block_on(self.run(stop));
            // A write that hangs must not keep the service from ending.
            runtime.shutdown_background();
        })
    }

    /// Runs until `stop` is cancelled, and then until everything is written.
    pub async fn run(mut self, stop: CancellationToken) {
        let gather = match self.wait {
            Wait::No => GATHER,
            Wait::Commit => Duration::ZERO,
        };
        let mut next_expiry = Instant::now();
        let mut group = Vec::with_capacity(GROUP);
        while !self.stopped {
            let step = tokio::select! {
                biased;
                () = stop.cancelled() => WriterStep::Stop,
                // Before writing, which under load is always due.
                () = tokio::time::sleep_until(next_expiry) => WriterStep::DeleteExpired,
                count = self.queue.recv_many(&mut group, GROUP) => WriterStep::Write(count),
            };
            match step {
                WriterStep::Stop | WriterStep::Write(0) => self.stop(),
                WriterStep::DeleteExpired => {
                    next_expiry = Instant::now() + self.delete_expired(&stop).await;
                }
                WriterStep::Write(_) => {
                    self.persist(mem::take(&mut group), &stop).await;
                    pause(gather, &stop).await;
                }
            }
        }
        self.drain(&stop).await;
        if let Some(store) = self.store {
            // A query that takes long must not keep the service from ending.
            drop(tokio::time::timeout(STOP_TIMEOUT, store.close()).await);
        }
    }

    fn stop(&mut self) {
        self.stopped = true;
        self.give_up_at.get_or_insert_with(|| Instant::now() + STOP_TIMEOUT);
    }

    /// Writes the rest of the queue: every sender has stopped by now.
    async fn drain(&mut self, stop: &CancellationToken) {
        while let Ok(first) = self.queue.try_recv() {
            let mut group = vec![first];
            group.extend(std::iter::from_fn(|| self.queue.try_recv().ok()).take(GROUP - 1));
            self.persist(group, stop).await;
        }
        if self.lost > 0 {
            self.counters.lost_stopped.increment(self.lost as u64);
            let lost = self.lost;
            tracing::error!(lost, "records lost, the store did not come back before the stop");
        }
    }

    /// Writes a group, and retries until it is written or given up.
    async fn persist(&mut self, group: Vec<QueueEntry>, stop: &CancellationToken) {
        let mut groups = vec![group];
        let mut wait = FIRST_PAUSE;
        let mut collisions = 0;
        while let Some(mut group) = groups.pop() {
            group.retain(|entry| !entry.is_abandoned());
            if group.is_empty() {
                continue;
            }
            if self.give_up_at.is_some_and(|at| Instant::now() >= at) {
                let is_record = |entry: &&QueueEntry| {
                    matches!(entry, QueueEntry::Call(_) | QueueEntry::Event(_))
                };
                self.lost += group.iter().filter(is_record).count();
                continue;
            }
            match self.write(&group, stop).await {
                Ok(()) => {
                    (wait, collisions) = (FIRST_PAUSE, 0);
                    self.notify(group).await;
                }
                Err(Failure::Write(BatchError::Row(reason))) if group.len() == 1 => {
                    self.counters.lost_refused.increment(1);
                    tracing::error!(reason, "record lost, the database rejects the row");
                }
                Err(Failure::Write(BatchError::Row(_))) => halve(group, &mut groups),
                Err(Failure::Write(BatchError::Collision(_))) if collisions < COLLISIONS => {
                    collisions += 1;
                    groups.push(group);
                }
                Err(failure) => {
                    self.begin_outage(failure.reason());
                    if stop.is_cancelled() {
                        self.stop();
                    }
                    // A group that takes too long may fit into two transactions.
                    if matches!(failure, Failure::Timeout) && group.len() > 1 {
                        halve(group, &mut groups);
                    } else {
                        groups.push(group);
                    }
                    pause(wait, stop).await;
                    wait = (wait * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn write(
        &mut self,
        group: &[QueueEntry],
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        self.health.set_writing(true);
        let written = tokio::select! {
            written = async {
                let store = opened(&mut self.store, &self.location, &self.health).await;
                store.map_err(BatchError::Store)?.write(Batch::new(group)).await
            } => written.map_err(Failure::Write),
            () = timeout(&mut self.give_up_at, stop) => Err(Failure::Timeout),
        };
        self.health.set_writing(false);
        written
    }

    /// Wakes the replies that wait for this group.
    async fn notify(&mut self, group: Vec<QueueEntry>) {
        self.end_outage();
        self.unchecked += group.len();
        let ids = group.iter().filter_map(|entry| match entry {
            QueueEntry::Call(call) => Some(call.row.id),
            QueueEntry::Retry(..) | QueueEntry::Event(_) | QueueEntry::Snapshot(_) => None,
        });
        self.health.announce_written(ids.min());
        for entry in group {
            let committed = match entry {
                QueueEntry::Call(call) => {
                    self.counters.calls.increment(1);
                    call.committed
                }
                QueueEntry::Event(event) => {
                    self.counters.events.increment(1);
                    Some(event.committed)
                }
                QueueEntry::Retry(_, committed) => committed,
                QueueEntry::Snapshot(_) => None,
            };
            if let Some(committed) = committed {
                let _no_longer_waits = committed.send(());
            }
        }
        self.counters.waiting.set(self.queue.len() as f64);
        if matches!(self.location, RecordsLocation::Memory) && self.unchecked >= CHECK_AFTER {
            self.enforce_memory_limits().await;
        }
    }

    async fn enforce_memory_limits(&mut self) {
        self.unchecked = 0;
        let Some(store) = &self.store else { return };
        match store.enforce(&MEMORY_LIMITS).await {
            Ok(deleted) => self.counters.expired.increment(deleted),
            Err(error) => self.begin_outage(&error.to_string()),
        }
    }

    fn end_outage(&mut self) {
        self.counters.store_up.set(1.0);
        if self.health.end_outage() {
            tracing::info!("record store is back");
        }
        // The store makes progress, so the next group gets the whole time again.
        self.give_up_at = self.give_up_at.map(|_| Instant::now() + STOP_TIMEOUT);
    }

    /// Closes the store, which is opened again for the next attempt: the connection may be broken.
    fn begin_outage(&mut self, reason: &str) {
        self.counters.store_up.set(0.0);
        self.counters.waiting.set(self.queue.len() as f64);
        if self.health.begin_outage(reason.to_owned(), self.clock.now()) {
            tracing::error!(reason, "records cannot be written, calls are still answered");
        }
        self.release_reserve();
        // Closing a store in memory would delete it.
        if !matches!(self.location, RecordsLocation::Memory)
            && let Some(store) = self.store.take()
        {
            self.health.set_store(None);
            tokio::spawn(async move { store.close().await });
        }
    }

    /// Takes up the reserve again, which a full disk may have cost.
    fn take_reserve(&self) {
        if let Some(Err(error)) = self.reserve.as_ref().map(DiskReserve::take) {
            tracing::warn!(%error, "cannot reserve room on the disk of the records");
        }
    }

    /// Gives the reserve to a store on a full disk, before it is closed, which empties its log.
    fn release_reserve(&self) {
        match self.reserve.as_ref().map(DiskReserve::release_if_full) {
            Some(Ok(true)) => {
                tracing::warn!("the disk is full, its reserve is given to the records")
            }
            Some(Err(error)) => tracing::warn!(%error, "cannot give back the reserve of the disk"),
            Some(Ok(false)) | None => {}
        }
    }

    /// Deletes some of the records that are too old, few enough that no group waits for long, and
    /// returns the time until the next deletion. Notices that a store is back when there is nothing
    /// to write.
    async fn delete_expired(&mut self, stop: &CancellationToken) -> Duration {
        let retain =
            jiff::SignedDuration::try_from(self.retain).unwrap_or(jiff::SignedDuration::MAX);
        let before = self.clock.now().checked_sub(retain).unwrap_or(Timestamp::MIN);
        self.health.set_writing(true);
        let expired = tokio::select! {
            expired = async {
                let store = opened(&mut self.store, &self.location, &self.health).await?;
                let message = |error: sqlx::Error| error.to_string();
                // Deleting nothing from a full disk returns no error.
                if self.health.outage().is_some() {
                    store.check_writable().await.map_err(message)?;
                }
                store.delete_expired(before).await.map_err(message)
            } => expired,
            () = timeout(&mut self.give_up_at, stop) => Err(NO_ANSWER.to_owned()),
        };
        self.health.set_writing(false);
        match expired {
            Ok(0) => {
                self.end_outage();
                self.take_reserve();
                let deleted = mem::take(&mut self.expired);
                if deleted > 0 {
                    tracing::info!(deleted, %before, "expired records deleted");
                }
                EXPIRE_EVERY
            }
            Ok(deleted) => {
                self.end_outage();
                self.expired += deleted;
                self.counters.expired.increment(deleted);
                GATHER
            }
            Err(reason) => {
                self.begin_outage(&reason);
                LONGEST_PAUSE
            }
        }
    }
}

/// Reason of an outage in which the store does not even return an error.
const NO_ANSWER: &str = "it does not answer";

/// Returns the store, and opens it if it is closed.
async fn opened<'s>(
    store: &'s mut Option<Store>,
    location: &RecordsLocation,
    health: &StoreHealth,
) -> Result<&'s Store, String> {
    match store {
        Some(store) => Ok(store),
        None => {
            let new = Store::open(location).await.map_err(|error| error.to_string())?;
            health.set_store(Some(new.clone()));
            Ok(store.insert(new))
        }
    }
}

/// Waits until a transaction has to be interrupted: it has taken too long, or the service stops and
/// nothing was written in the time that is left.
async fn timeout(give_up_at: &mut Option<Instant>, stop: &CancellationToken) {
    let latest = Instant::now() + WRITE_TIMEOUT;
    if give_up_at.is_none() {
        let stop = tokio::time::timeout_at(latest, stop.cancelled()).await;
        if stop.is_err() {
            return;
        }
        *give_up_at = Some(Instant::now() + STOP_TIMEOUT);
    }
    tokio::time::sleep_until(give_up_at.map_or(latest, |at| at.min(latest))).await;
}

/// Reason why a group was not written.
enum Failure {
    Write(BatchError),
    /// The store does not answer.
    Timeout,
}

impl Failure {
    fn reason(&self) -> &str {
        match self {
            Failure::Write(
                BatchError::Row(reason) | BatchError::Collision(reason) | BatchError::Store(reason),
            ) => reason,
            Failure::Timeout => NO_ANSWER,
        }
    }
}

/// Splits a group; the first half is written next.
fn halve(mut group: Vec<QueueEntry>, groups: &mut Vec<Vec<QueueEntry>>) {
    let rest = group.split_off(group.len() / 2);
    groups.extend([rest, group]);
}

/// Waits, but not for long once the service stops.
async fn pause(time: Duration, stop: &CancellationToken) {
    if stop.is_cancelled() {
        return tokio::time::sleep(time.min(FIRST_PAUSE)).await;
    }
    // Either way the pause is over.
    drop(tokio::time::timeout(time, stop.cancelled()).await);
}
