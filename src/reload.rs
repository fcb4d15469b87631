//! Keeps the table current: a new one is read, checked and tried by its own tests aside, and takes
//! the place of the old one at once, or not at all.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::diagnostics::{Report, Severity};
use crate::domain::phone_number::mask_numbers;
use crate::pipeline::Switchboard;
use crate::rules;
use crate::rules::engine::test_runner;
use crate::rules::{CheckContext, FileStamp, LoadedTable, Progress, ReadError, RuleSet, Snapshot};

/// Reads a table, checks it, and lets its own tests run; with `coverage`, warns of what no test
/// reaches.
///
/// # Errors
/// When the file cannot be read. What is wrong inside it, a failing test among it, stands in the
/// report, and then there is no table.
pub fn load(
    path: &Path,
    around: &CheckContext,
    coverage: bool,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<LoadedTable, ReadError> {
    let mut loaded = rules::load(path, around, progress)?;
    if let Some(table) = &loaded.table {
        let reached = test_runner::run(table, &loaded.tests, &mut loaded.report);
        if coverage {
            test_runner::warn_of_the_rest(table, &reached, &loaded.places, &mut loaded.report);
        }
        loaded.report.sort();
    }
    loaded.table = loaded.table.filter(|_| loaded.report.errors() == 0);
    Ok(loaded)
}

/// What came of a reload.
#[derive(Debug, Clone)]
pub struct Reloaded {
    /// The new table answers.
    pub ok: bool,
    /// What is wrong with it, and what could be better.
    pub report: Arc<Report>,
}

/// Asks for a reload.
#[derive(Debug, Clone)]
pub struct ReloadHandle(mpsc::Sender<oneshot::Sender<Reloaded>>);

impl ReloadHandle {
    /// Reloads, and tells what came of it; none when the service is stopping. Who rings while a
    /// reload is going on waits for the next one, the same for all who wait.
    pub async fn reload(&self) -> Option<Reloaded> {
        let (tell, told) = oneshot::channel();
        self.0.send(tell).await.ok()?;
        told.await.ok()
    }
}

/// Looks whether the files have changed, and reloads when they have or when it is asked to.
pub struct Reloader {
    bench: Loader,
    /// How often to look; none: never.
    poll: Option<Duration>,
    asked: mpsc::Receiver<oneshot::Sender<Reloaded>>,
}

/// Where tables are made.
struct Loader {
    app: Arc<Switchboard>,
    path: PathBuf,
    around: CheckContext,
    /// What the last load looked at, whatever came of it.
    files: Vec<FileStamp>,
    /// Tables that no longer answer. They go when no request uses them, and not in a request's time:
    /// a million rules take a while to drop.
    retired: Vec<Arc<RuleSet>>,
}

/// A table that has just been made, and what its files said.
struct NewTable {
    table: RuleSet,
    copies: Option<Snapshot>,
}

/// What is done aside.
#[derive(Clone, Copy)]
enum Job {
    Look,
    Reload,
    Sweep,
}

/// Files are read when they have not changed for this long. Longer than the clock of any file
/// system takes for a tick: a later change is then seen by its time, even one of the same length.
const SETTLE: Duration = Duration::from_millis(25);
/// Files that never rest are read all the same.
const MOST_LOOKS: usize = 40;
/// Files that change while they are read are read again, and then taken as they are.
const MOST_LOADS: usize = 3;
/// After this long a table that no longer answers can usually go.
const SWEEP: Duration = Duration::from_secs(1);
/// As many as the admin listener has connections.
const MOST_ASKING: usize = 64;
/// More mistakes than these are counted in the log, not told.
const MOST_LOGGED: usize = 50;

impl Reloader {
    /// For the table at `path`, which was loaded from `files`.
    pub fn new(
        app: Arc<Switchboard>,
        path: PathBuf,
        around: CheckContext,
        poll: Option<Duration>,
        files: Vec<FileStamp>,
    ) -> (Reloader, ReloadHandle) {
        let (ring, asked) = mpsc::channel(MOST_ASKING);
        let bench = Loader { app, path, around, files, retired: Vec::new() };
        (Reloader { bench, poll, asked }, ReloadHandle(ring))
    }

    /// Goes on until it is told to stop. A load that is going on then is not waited for.
    pub async fn run(self, stop: CancellationToken) {
        let Reloader { mut bench, poll, mut asked } = self;
        let mut poll = poll.map(tokio::time::interval);
        if let Some(poll) = &mut poll {
            poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        // An error means that nobody is left who could tell: then it is time to stop, too.
        let mut stop = pin!(stop.cancelled());
        loop {
            let mut asking = Vec::new();
            let errand = tokio::select! {
                () = &mut stop => return,
                () = tick(&mut poll) => Job::Look,
                Some(first) = asked.recv() => {
                    asking.push(first);
                    asking.extend(std::iter::from_fn(|| asked.try_recv().ok()));
                    Job::Reload
                }
                () = tokio::time::sleep(SWEEP), if !bench.retired.is_empty() => Job::Sweep,
            };
            // It may take long, so it has a thread of its own.
            let aside = tokio::task::spawn_blocking(move || {
                let reloaded = bench.carry_out(errand);
                (bench, reloaded)
            });
            let done = tokio::select! {
                () = &mut stop => return,
                done = aside => done,
            };
            // Panics are caught aside: it was the runtime that ended it, which is ending itself.
            let Ok((back, reloaded)) = done else { return };
            bench = back;
            for (tell, reloaded) in asking.into_iter().zip(reloaded.iter().cycle()) {
                // Who asked may have gone away.
                drop(tell.send(reloaded.clone()));
            }
        }
    }
}

async fn tick(poll: &mut Option<Interval>) {
    match poll {
        Some(poll) => drop(poll.tick().await),
        None => std::future::pending().await,
    }
}

impl Loader {
    /// What came of the reload, when there was one. A panic is one that failed.
    fn carry_out(&mut self, errand: Job) -> Option<Reloaded> {
        let work = || match errand {
            Job::Look => {
                self.sweep();
                has_changed(&self.files).then(|| self.reload())
            }
            Job::Reload => Some(self.reload()),
            Job::Sweep => {
                self.sweep();
                None
            }
        };
        std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_panic| {
            let message = "loading the table panicked: please report it".to_owned();
            Some(self.conclude(None, Report::of("no-table", message)))
        })
    }

    fn sweep(&mut self) {
        self.retired.retain(|table| Arc::strong_count(table) > 1);
    }

    /// Reads, checks and tries the table, and lets it answer when nothing is wrong with it.
    fn reload(&mut self) -> Reloaded {
        self.around.now = self.app.now();
        let before = self.app.table();
        let filled = before.lists.all().iter().filter(|list| list.size > 0);
        self.around.filled_lists = filled.map(|list| list.name.clone()).collect();
        drop(before);
        let (mut fresh, mut report) = self.load();
        for _ in 1..MOST_LOADS {
            // Else some files might be read as they were before an edit, and some as after it.
            if !has_changed(&self.files) {
                break;
            }
            (fresh, report) = self.load();
        }
        self.conclude(fresh, report)
    }

    fn load(&mut self) -> (Option<NewTable>, Report) {
        self.files = at_rest(&self.files);
        match load(&self.path, &self.around, false, &mut |_| {}) {
            Ok(LoadedTable { table, report, files, copies, .. }) => {
                self.files = files;
                (table.map(|table| NewTable { table, copies }), report)
            }
            Err(no_table) => {
                let message = no_table.to_string();
                self.files = no_table.files;
                (None, Report::of("no-table", message))
            }
        }
    }

    fn conclude(&mut self, fresh: Option<NewTable>, report: Report) -> Reloaded {
        let ok = fresh.is_some();
        let report = Arc::new(report.with_lines_only());
        let now = self.app.now();
        match fresh {
            Some(NewTable { table, .. }) if table.fingerprint == self.app.table().fingerprint => {
                tracing::info!(fingerprint = table.fingerprint, "the table is the same as before");
                self.app.live_table().keep(None, now);
            }
            Some(NewTable { table, copies }) => {
                self.app.recorder().store_snapshot(&table.fingerprint, copies.as_ref(), now);
                tracing::info!(
                    rules = table.rules.len(),
                    fingerprint = table.fingerprint,
                    warnings = report.warnings(),
                    "the table is another one"
                );
                self.retired.push(self.app.live_table().replace(table, now));
                self.app.counters().table(&self.app.table(), now);
            }
            None => {
                tracing::error!(errors = report.errors(), "the table is wrong, the old one stays");
                self.app.live_table().keep(Some(report.clone()), now);
            }
        }
        self.app.counters().reloaded(ok);
        log(&report);
        Reloaded { ok, report }
    }
}

/// A line for each mistake, with its numbers masked. The explanations of failing tests are left out.
fn log(report: &Report) {
    for mistake in report.mistakes().iter().take(MOST_LOGGED) {
        let place = mistake.place.as_ref().map(|place| place.to_string());
        let (code, problem) = (mistake.code, mask_numbers(&mistake.message));
        let help = mistake.help.as_deref().map(mask_numbers);
        match mistake.severity {
            Severity::Error => tracing::error!(code, place, problem, help, "mistake in the table"),
            Severity::Warning | Severity::Note => {
                tracing::warn!(code, place, problem, help, "weakness of the table");
            }
        }
    }
    let more = report.mistakes().len().saturating_sub(MOST_LOGGED);
    if more > 0 {
        tracing::warn!(more, "mistakes that are not told: `switchboard check` tells them all");
    }
}

fn has_changed(files: &[FileStamp]) -> bool {
    files.iter().any(FileStamp::has_changed)
}

/// The files as they are once nobody writes them.
fn at_rest(files: &[FileStamp]) -> Vec<FileStamp> {
    let looks = || files.iter().map(FileStamp::refreshed).collect::<Vec<_>>();
    let mut seen = looks();
    for _ in 0..MOST_LOOKS {
        std::thread::sleep(SETTLE);
        if !has_changed(&seen) {
            break;
        }
        seen = looks();
    }
    seen
}
