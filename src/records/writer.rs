//! Writes records, in groups: what waits when it comes round is one transaction.
//!
//! What cannot be written now is kept and tried again, until the store is back. A single row that
//! the database does not take is left out, and counted.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use uuid::Uuid;

use super::Store;
use super::health::StoreHealth;
use super::queue::{Entry, QueuedCall};
use super::row::CallRow;
use super::store::{Batch, is_a_collision, is_about_a_row};
use crate::domain::clock::Clock;
use crate::settings::{RecordsLocation, Wait};
use crate::telemetry::RecordCounters;

/// Runs beside the walk.
pub struct Writer {
    queue: mpsc::Receiver<Entry>,
    place: RecordsLocation,
    retain: Duration,
    /// Whether replies wait for what it writes.
    wait: Wait,
    state: Arc<StoreHealth>,
    counters: RecordCounters,
    clock: Clock,
    /// None while it is closed.
    store: Option<Store>,
    /// When to give up; none before the service stops.
    until: Option<Instant>,
    stopped: bool,
    /// Records that were given up.
    lost: usize,
    /// Rows that the sweep which goes on has deleted.
    expired: u64,
    /// Rows that were written since memory was last looked through.
    unlooked: usize,
}

/// What comes next.
enum WriterStep {
    Stop,
    Write(usize),
    Sweep,
}

/// As many rows are one transaction at most.
const GROUP: usize = 1_000;
/// Where nobody waits, a group grows for so long.
const GATHER: Duration = Duration::from_millis(25);
/// A transaction that takes longer is given up, and tried anew.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// After a failure the next try is so much later, twice as much after the next, and so on.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// So often in a row a group may be in the way of another writer's.
const COLLISIONS: u32 = 10;
/// A store that is broken when the service stops may come back for so long; nor may it take longer
/// from one group to the next.
const LAST_CHANCE: Duration = Duration::from_secs(5);
/// How often what is too old is deleted.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// In memory so much is kept at most, the newest, and what came since the last look.
const CALLS_IN_MEMORY: i64 = 10_000;
const EVENTS_IN_MEMORY: i64 = 10_000;
const CHARACTERS_IN_MEMORY: i64 = 64 << 20;
/// After so many rows memory is looked through.
const LOOK_AFTER: usize = 1_000;

/// How far a thread that nobody waits for stands behind the others; see `nice(2)`. It still gets a
/// quarter of a core that has too much to do: enough for some thousand records a second.
#[cfg(target_os = "linux")]
const BEHIND: i32 = 5;

impl Writer {
    pub(crate) fn new(
        queue: mpsc::Receiver<Entry>,
        place: RecordsLocation,
        retain: Duration,
        wait: Wait,
        state: Arc<StoreHealth>,
        counters: RecordCounters,
        clock: Clock,
    ) -> Writer {
        Writer {
            queue,
            place,
            retain,
            wait,
            state,
            counters,
            clock,
            store: None,
            until: None,
            stopped: false,
            lost: 0,
            expired: 0,
            unlooked: 0,
        }
    }

    /// Starts a thread that runs it, and SQLite. Where no reply waits for it, the threads that reply
    /// go first.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub fn start(self, stopped: watch::Receiver<bool>) -> std::io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("records".to_owned()).spawn(move || {
            if self.wait == Wait::No {
                let_others_go_first();
            }
            runtime.block_on(self.run(stopped));
        })
    }

    /// Goes on until it is told to stop, and then until everything is written.
    pub async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let gather = match self.wait {
            Wait::No => GATHER,
            Wait::Commit => Duration::ZERO,
        };
        let mut next_sweep = Instant::now();
        let mut group = Vec::with_capacity(GROUP);
        while !self.stopped {
            let turn = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => WriterStep::Stop,
                // Before the writing, which under load is always due.
                () = tokio::time::sleep_until(next_sweep) => WriterStep::Sweep,
                count = self.queue.recv_many(&mut group, GROUP) => WriterStep::Write(count),
            };
            match turn {
                WriterStep::Stop | WriterStep::Write(0) => self.stop(),
                WriterStep::Sweep => next_sweep = Instant::now() + self.sweep(&mut stopped).await,
                WriterStep::Write(_) => {
                    self.persist(mem::take(&mut group), &mut stopped).await;
                    pause(gather, &mut stopped).await;
                }
            }
        }
        // Whoever could send something has ended before.
        while let Ok(first) = self.queue.try_recv() {
            group.push(first);
            group.extend(std::iter::from_fn(|| self.queue.try_recv().ok()).take(GROUP - 1));
            self.persist(mem::take(&mut group), &mut stopped).await;
        }
        if self.lost > 0 {
            self.counters.lost_stopped.increment(self.lost as u64);
            let lost = self.lost;
            tracing::error!(lost, "the service stops and these records cannot be written");
        }
        if let Some(store) = self.store {
            store.close().await;
        }
    }

    fn stop(&mut self) {
        self.stopped = true;
        self.until.get_or_insert_with(|| Instant::now() + LAST_CHANCE);
    }

    /// Writes a group, however often that has to be tried.
    async fn persist(&mut self, group: Vec<Entry>, stopped: &mut watch::Receiver<bool>) {
        let mut groups = vec![group];
        let mut wait = FIRST_PAUSE;
        let mut collisions = 0;
        while let Some(mut group) = groups.pop() {
            // Who was told to send it again does so.
            group.retain(|entry| !entry.is_given_up());
            if group.is_empty() {
                continue;
            }
            if self.until.is_some_and(|until| Instant::now() >= until) {
                let is_record = |entry: &&Entry| matches!(entry, Entry::Call(_) | Entry::Event(_));
                self.lost += group.iter().filter(is_record).count();
                continue;
            }
            match self.write(&group, stopped).await {
                Ok(()) => {
                    (wait, collisions) = (FIRST_PAUSE, 0);
                    self.written(group).await;
                }
                Err(Failed::OneRow(why)) if group.len() == 1 => {
                    self.counters.lost_refused.increment(1);
                    tracing::error!(why, "the database does not take this record, it is left out");
                }
                Err(Failed::OneRow(_)) => halve(group, &mut groups),
                Err(Failed::Collision(_)) if collisions < COLLISIONS => {
                    collisions += 1;
                    groups.push(group);
                }
                Err(failed) => {
                    self.in_trouble(failed.why()).await;
                    if *stopped.borrow() {
                        self.stop();
                    }
                    // What took too long for one transaction may fit into two.
                    if matches!(failed, Failed::Late) && group.len() > 1 {
                        halve(group, &mut groups);
                    } else {
                        groups.push(group);
                    }
                    pause(wait, stopped).await;
                    wait = (wait * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn write(
        &mut self,
        group: &[Entry],
        stopped: &mut watch::Receiver<bool>,
    ) -> Result<(), Failed> {
        self.state.writes(true);
        let written = tokio::select! {
            written = async {
                let store = opened(&mut self.store, &self.place, &self.state).await;
                let store = store.map_err(Failed::Store)?;
                store.write(&batch(group)).await.map_err(|error| Failed::of(&error))
            } => written,
            () = too_late(&mut self.until, stopped) => Err(Failed::Late),
        };
        self.state.writes(false);
        written
    }

    fn is_well(&mut self) {
        self.counters.store_up.set(1.0);
        if self.state.is_well() {
            tracing::info!("the store of the records is back");
        }
        // There is progress: the next group has as long as this one had.
        self.until = self.until.map(|_| Instant::now() + LAST_CHANCE);
    }

    async fn written(&mut self, group: Vec<Entry>) {
        self.is_well();
        self.unlooked += group.len();
        for entry in group {
            let tell = match entry {
                Entry::Call(call) => {
                    self.counters.calls.increment(1);
                    call.tell
                }
                Entry::Event(event) => {
                    self.counters.events.increment(1);
                    Some(event.tell)
                }
                Entry::Retry(_, tell) => tell,
                Entry::Table(_) => None,
            };
            if let Some(tell) = tell {
                let _has_stopped_waiting = tell.send(());
            }
        }
        self.counters.waiting.set(self.queue.len() as f64);
        if matches!(self.place, RecordsLocation::Memory) && self.unlooked >= LOOK_AFTER {
            self.keep_newest().await;
        }
    }

    /// So that records in memory do not fill it.
    async fn keep_newest(&mut self) {
        self.unlooked = 0;
        let Some(store) = &self.store else { return };
        let most = (CALLS_IN_MEMORY, EVENTS_IN_MEMORY, CHARACTERS_IN_MEMORY);
        match store.keep_newest(most.0, most.1, most.2).await {
            Ok(deleted) => self.counters.expired.increment(deleted),
            Err(error) => self.in_trouble(&error.to_string()).await,
        }
    }

    /// Opened anew next time, for what broke may be the connection.
    async fn in_trouble(&mut self, why: &str) {
        self.counters.store_up.set(0.0);
        self.counters.waiting.set(self.queue.len() as f64);
        if self.state.is_in_trouble(why.to_owned(), self.clock.now()) {
            tracing::error!(why, "records cannot be written; calls are answered all the same");
        }
        // What is only in memory would be gone.
        if !matches!(self.place, RecordsLocation::Memory)
            && let Some(store) = self.store.take()
        {
            self.state.opened(None);
            tokio::spawn(async move { store.close().await });
        }
    }

    /// Deletes some of what is too old, so that nobody waits for long; when to come back. That the
    /// store is back is seen here, too, when there is nothing to write.
    async fn sweep(&mut self, stopped: &mut watch::Receiver<bool>) -> Duration {
        let retain =
            jiff::SignedDuration::try_from(self.retain).unwrap_or(jiff::SignedDuration::MAX);
        let now: Timestamp = self.clock.now();
        let before = now.checked_sub(retain).unwrap_or(Timestamp::MIN);
        self.state.writes(true);
        let expired = tokio::select! {
            expired = async {
                let store = opened(&mut self.store, &self.place, &self.state).await?;
                let said = |error: sqlx::Error| error.to_string();
                // A store that is full deletes nothing without an error.
                if self.state.trouble().is_some() {
                    store.takes_something().await.map_err(said)?;
                }
                store.sweep(before).await.map_err(said)
            } => expired,
            () = too_late(&mut self.until, stopped) => Err(SILENT.to_owned()),
        };
        self.state.writes(false);
        match expired {
            Ok(0) => {
                self.is_well();
                let deleted = mem::take(&mut self.expired);
                if deleted > 0 {
                    tracing::info!(deleted, %before, "records that are too old are deleted");
                }
                SWEEP_EVERY
            }
            Ok(some) => {
                self.is_well();
                self.expired += some;
                self.counters.expired.increment(some);
                GATHER
            }
            Err(why) => {
                self.in_trouble(&why).await;
                LONGEST_PAUSE
            }
        }
    }
}

/// Puts this thread, and those that it starts, behind the others of the machine.
fn let_others_go_first() {
    // Elsewhere it is the whole process that would stand behind.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, BEHIND) {
        tracing::warn!(%error, "the thread of the records keeps its priority");
    }
}

/// Why a store that says nothing is broken.
const SILENT: &str = "it does not answer";

/// The store, opened when it is not.
async fn opened<'s>(
    store: &'s mut Option<Store>,
    place: &RecordsLocation,
    state: &StoreHealth,
) -> Result<&'s Store, String> {
    match store {
        Some(store) => Ok(store),
        None => {
            let new = Store::open(place).await.map_err(|error| error.to_string())?;
            state.opened(Some(new.clone()));
            Ok(store.insert(new))
        }
    }
}

/// Waits until a transaction has to be given up: when it has taken too long, or when the service is
/// to stop and nothing was written in the time that is left then.
async fn too_late(until: &mut Option<Instant>, stopped: &mut watch::Receiver<bool>) {
    let most = Instant::now() + WRITE_WITHIN;
    if until.is_none() {
        let told = tokio::time::timeout_at(most, stopped.wait_for(|stopped| *stopped)).await;
        if told.is_err() {
            return;
        }
        *until = Some(Instant::now() + LAST_CHANCE);
    }
    tokio::time::sleep_until(until.map_or(most, |until| until.min(most))).await;
}

enum Failed {
    /// Of one of the rows.
    OneRow(String),
    /// Another service wrote the same rows at the same time: it is worth trying again, at once.
    Collision(String),
    Store(String),
    /// It does not answer.
    Late,
}

impl Failed {
    fn of(error: &sqlx::Error) -> Failed {
        let why = error.to_string();
        match () {
            () if is_about_a_row(error) => Failed::OneRow(why),
            () if is_a_collision(error) => Failed::Collision(why),
            () => Failed::Store(why),
        }
    }

    fn why(&self) -> &str {
        match self {
            Failed::OneRow(why) | Failed::Collision(why) | Failed::Store(why) => why,
            Failed::Late => SILENT,
        }
    }
}

/// The first half is next.
fn halve(mut group: Vec<Entry>, groups: &mut Vec<Vec<Entry>>) {
    let rest = group.split_off(group.len() / 2);
    groups.extend([rest, group]);
}

/// Of one delivery the last answer is written, and how often there was one. In an order that is the
/// same for every writer, for two that lock the same rows would wait for each other for ever.
fn batch(group: &[Entry]) -> Batch<'_> {
    let mut batch = Batch::default();
    let mut calls: BTreeMap<&str, (&CallRow, u32)> = BTreeMap::new();
    let mut again: BTreeMap<Uuid, u32> = BTreeMap::new();
    for entry in group {
        match entry {
            Entry::Call(QueuedCall { row, .. }) => {
                let call = calls.entry(&row.delivery).or_insert((row, 0));
                *call = (row, call.1 + 1);
            }
            Entry::Retry(id, _) => *again.entry(*id).or_default() += 1,
            Entry::Event(event) => batch.events.push(&event.row),
            Entry::Table(table) => batch.tables.push(&table.copy),
        }
    }
    for (row, times) in calls.into_values() {
        batch.calls.push(row);
        if times > 1 {
            *again.entry(row.id).or_default() += times - 1;
        }
    }
    batch.again = again.into_iter().collect();
    batch.events.sort_by(|one, other| {
        (&one.call_id, &one.delivery).cmp(&(&other.call_id, &other.delivery))
    });
    batch
}

/// Shorter once the service is to stop.
async fn pause(time: Duration, stopped: &mut watch::Receiver<bool>) {
    if *stopped.borrow() {
        return tokio::time::sleep(time.min(FIRST_PAUSE)).await;
    }
    // An error means that nobody is left who could tell: then it is time to stop, too.
    drop(tokio::time::timeout(time, stopped.wait_for(|stopped| *stopped)).await);
}
