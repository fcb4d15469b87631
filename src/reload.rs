//! Keeps the table current: a new one is read, checked and tried by its own tests aside, and takes
//! the place of the old one at once, or not at all.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;

use crate::decide::trial;
use crate::pipeline::Switchboard;
use crate::report::Report;
use crate::rules::{self, Loaded, Progress, Seen, Surroundings, Table};

/// Reads a table, checks it, and lets its own tests run; with `coverage`, warns of what no test
/// reaches.
///
/// # Errors
/// When the file cannot be read. What is wrong inside it, a failing test among it, stands in the
/// report, and then there is no table.
pub fn load(
    path: &Path,
    around: &Surroundings,
    coverage: bool,
    progress: &mut dyn FnMut(Progress<'_>),
) -> std::io::Result<Loaded> {
    let mut loaded = rules::load(path, around, progress)?;
    if let Some(table) = &loaded.table {
        let reached = trial::run(table, &loaded.tests, &mut loaded.report);
        if coverage {
            trial::warn_of_the_rest(table, &reached, &loaded.places, &mut loaded.report);
        }
        loaded.report.sort();
    }
    loaded.table = loaded.table.filter(|_| loaded.report.errors() == 0);
    Ok(loaded)
}

/// The table that answers, and what came of the last try to replace it.
pub struct Current {
    table: ArcSwap<Table>,
    state: Mutex<State>,
}

/// Since when the table answers, and what came of the last try to replace it.
#[derive(Debug, Clone)]
pub struct State {
    /// When the table that answers was loaded.
    pub since: Timestamp,
    /// When the last try was.
    pub tried: Timestamp,
    /// What was wrong with the last try; none when it is the table that answers.
    pub wrong: Option<Arc<Report>>,
}

impl Current {
    /// With the table of the start.
    pub fn new(table: Table, now: Timestamp) -> Current {
        let state = State { since: now, tried: now, wrong: None };
        Current { table: ArcSwap::from_pointee(table), state: Mutex::new(state) }
    }

    /// The table that answers now. Who holds it goes on with it, whatever comes after.
    pub fn table(&self) -> Guard<Arc<Table>> {
        self.table.load()
    }

    /// Since when, and what came after.
    pub fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets another table answer from here on, and gives back the one that did.
    fn replace(&self, table: Table, now: Timestamp) -> Arc<Table> {
        let old = self.table.swap(Arc::new(table));
        self.set(State { since: now, tried: now, wrong: None });
        old
    }

    fn keep(&self, wrong: Report, now: Timestamp) {
        let since = self.state().since;
        self.set(State { since, tried: now, wrong: Some(Arc::new(wrong)) });
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// What came of a reload.
#[derive(Debug)]
pub struct Reloaded {
    /// The new table answers.
    pub ok: bool,
    /// What is wrong with it, and what could be better.
    pub report: Arc<Report>,
}

/// Asks for a reload.
#[derive(Debug, Clone)]
pub struct Bell(mpsc::Sender<oneshot::Sender<Reloaded>>);

impl Bell {
    /// Reloads, and tells what came of it; none when the service is stopping.
    pub async fn ring(&self) -> Option<Reloaded> {
        let (tell, told) = oneshot::channel();
        self.0.send(tell).await.ok()?;
        told.await.ok()
    }
}

/// Looks whether the files have changed, and reloads when they have or when it is asked to.
pub struct Reloader {
    board: Arc<Switchboard>,
    path: PathBuf,
    around: Surroundings,
    /// How often to look; none: never.
    poll: Option<Duration>,
    files: Vec<Seen>,
    asked: mpsc::Receiver<oneshot::Sender<Reloaded>>,
    /// Tables that no longer answer. They go when no request uses them, and not in a request's time:
    /// a million rules take a while to drop.
    retired: Vec<Arc<Table>>,
}

/// Files that are being written are looked at again after this long, until they are at rest.
const SETTLE: Duration = Duration::from_millis(50);
/// Files that never rest are read all the same.
const MOST_LOOKS: usize = 20;

impl Reloader {
    /// For the table at `path`, which was loaded from `files`.
    pub fn new(
        board: Arc<Switchboard>,
        path: PathBuf,
        around: Surroundings,
        poll: Option<Duration>,
        files: Vec<Seen>,
    ) -> (Reloader, Bell) {
        let (ring, asked) = mpsc::channel(1);
        let retired = Vec::new();
        (Reloader { board, path, around, poll, files, asked, retired }, Bell(ring))
    }

    /// Goes on until it is told to stop.
    ///
    /// # Errors
    /// When SIGHUP cannot be listened to.
    pub async fn run(mut self, mut stopped: watch::Receiver<bool>) -> std::io::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut poll = self.poll.map(tokio::time::interval);
        if let Some(poll) = &mut poll {
            poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        loop {
            // An error means that nobody is left who could tell: then it is time to stop, too.
            let stop = async { drop(stopped.wait_for(|stopped| *stopped).await) };
            let tick = async {
                match &mut poll {
                    Some(poll) => drop(poll.tick().await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop => return Ok(()),
                () = tick => self = self.aside(Reloader::look).await,
                Some(()) = hangup.recv() => self = self.aside(Reloader::reload_and_forget).await,
                Some(tell) = self.asked.recv() => {
                    self = self.aside(|reloader| {
                        // Who asked may have gone away.
                        drop(tell.send(reloader.reload()));
                    }).await;
                }
            }
        }
    }

    /// Does what may take long on a thread of its own.
    async fn aside(mut self, work: impl FnOnce(&mut Reloader) + Send + 'static) -> Reloader {
        let done = tokio::task::spawn_blocking(move || {
            work(&mut self);
            self.retired.retain(|table| Arc::strong_count(table) > 1);
            self
        });
        done.await.expect("a load that panics is caught in `reload`")
    }

    /// Reloads when a file has changed.
    fn look(&mut self) {
        if !self.files.iter().any(Seen::has_changed) {
            return;
        }
        for _ in 0..MOST_LOOKS {
            let looks: Vec<Seen> = self.files.iter().map(Seen::again).collect();
            std::thread::sleep(SETTLE);
            if !looks.iter().any(Seen::has_changed) {
                break;
            }
        }
        self.reload();
    }

    fn reload_and_forget(&mut self) {
        self.reload();
    }

    /// Reads, checks and tries the table, and lets it answer when nothing is wrong with it.
    fn reload(&mut self) -> Reloaded {
        let now = self.board.now();
        self.around.now = now;
        let lists = self.board.table();
        let filled = lists.lists.all().iter().filter(|list| list.size > 0);
        self.around.filled_lists = filled.map(|list| list.name.clone()).collect();
        drop(lists);
        let loading = || load(&self.path, &self.around, false, &mut |_| {});
        let loaded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(loading));
        let (table, report) = match loaded {
            Ok(Ok(Loaded { table, report, files, .. })) => {
                self.files = files;
                (table, report)
            }
            Ok(Err(error)) => {
                self.files = vec![Seen::now(&self.path)];
                let message = format!("cannot read the rules {}: {error}", self.path.display());
                (None, Report::of("no-table", message))
            }
            Err(_panic) => {
                self.files.iter_mut().for_each(|seen| *seen = seen.again());
                let message = "loading the table panicked: please report it".to_owned();
                (None, Report::of("no-table", message))
            }
        };
        self.conclude(table, report, now)
    }

    fn conclude(&mut self, table: Option<Table>, report: Report, now: Timestamp) -> Reloaded {
        let ok = table.is_some();
        self.board.counters().reloaded(ok);
        match table {
            Some(table) => {
                tracing::info!(
                    rules = table.rules.len(),
                    fingerprint = table.fingerprint,
                    warnings = report.warnings(),
                    "the table is another one"
                );
                self.board.counters().table(&table, now);
                self.retired.push(self.board.current().replace(table, now));
            }
            None => {
                for mistake in report.mistakes() {
                    tracing::error!(
                        code = mistake.code,
                        place = mistake.place.as_ref().map(|place| place.to_string()),
                        problem = mistake.message,
                        help = mistake.help,
                        "the table is wrong, the old one stays"
                    );
                }
                self.board.current().keep(report.clone(), now);
            }
        }
        Reloaded { ok, report: Arc::new(report) }
    }
}
