//! Reload: loads, checks and tests a new table in the background, then publishes it atomically. Secrets and
//! certificates are reloaded too.
//!
//! A table with errors or failing tests is never published; the previous one stays live.

mod credentials;

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::diagnostics::{Report, Severity};
use crate::domain::phone_number::{EXAMPLE_NUMBER, mask_numbers};
use crate::pipeline::Switchboard;
use crate::rules;
use crate::rules::engine::test_runner;
use crate::rules::{CheckContext, FileStamp, LoadedTable, Progress, ReadError, RuleSet, Snapshot};
use crate::settings::RulesSettings;

/// Loads a table, checks it and runs its tests. With `coverage`, warns about untested rules.
///
/// ```
/// use switchboard::reload;
/// use switchboard::rules::CheckContext;
///
/// let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("rules.toml");
/// std::fs::write(
///     &path,
///     r#"
///         [[rule]]
///         name = "everyone"
///         agent = "agent_1"
///
///         [[test]]
///         name = "a caller"
///         from = "+12137771234"
///         expect = { agent = "agent_2" }
///     "#,
/// )
/// .unwrap();
/// let loaded = reload::load(&path, &CheckContext::default(), false, &mut |_| {}).unwrap();
/// assert!(loaded.table.is_none());
/// assert_eq!(loaded.report.diagnostics()[0].code, "failing-test");
/// ```
///
/// # Errors
/// Returns an error when the files cannot be read. Mistakes in the table and failing tests are in the
/// report.
pub fn load(
    path: &Path,
    context: &CheckContext,
    coverage: bool,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<LoadedTable, ReadError> {
    Ok(test(rules::load(path, context, progress)?, coverage))
}

/// Loads a table from a text, which `name` names in messages, and runs its tests like [`load`]. Files of
/// lists are found in the folder of `name`.
pub fn load_text(name: &str, text: String, context: &CheckContext, coverage: bool) -> LoadedTable {
    test(rules::parse(name, text, context), coverage)
}

/// Runs the tests of a table.
fn test(mut loaded: LoadedTable, coverage: bool) -> LoadedTable {
    if let Some(table) = &loaded.table {
        let reached = test_runner::run(table, &loaded.tests, &mut loaded.report);
        if coverage {
            test_runner::warn_untested(table, &reached, &loaded.locations, &mut loaded.report);
        }
        loaded.report.sort();
    }
    loaded.table = loaded.table.filter(|_| loaded.report.error_count() == 0);
    loaded
}

pub use credentials::{CredentialStatus, Credentials};

/// Result of a reload.
#[derive(Debug, Clone)]
pub struct Reloaded {
    /// The table and the credentials on disk are valid and live.
    pub ok: bool,
    /// Errors and warnings.
    pub report: Arc<Report>,
}

/// Handle to request reloads.
#[derive(Debug, Clone)]
pub struct ReloadHandle {
    requests: mpsc::Sender<oneshot::Sender<Reloaded>>,
    credentials: CredentialStatus,
}

impl ReloadHandle {
    /// Reloads the table and returns the result, or `None` when the service is stopping. All requests
    /// that arrive during a reload share the next one.
    pub async fn reload(&self) -> Option<Reloaded> {
        let (reply, result) = oneshot::channel();
        self.requests.send(reply).await.ok()?;
        result.await.ok()
    }

    /// Returns the report of the last reload of the credentials if it failed.
    pub fn credential_errors(&self) -> Option<Arc<Report>> {
        self.credentials.last_error()
    }
}

/// Polls the files of the table, and reloads when they change or on request.
pub struct Reloader {
    loader: Loader,
    /// Polling interval, if polling is enabled.
    poll: Option<Duration>,
    requests: mpsc::Receiver<oneshot::Sender<Reloaded>>,
}

/// State of the reload thread.
struct Loader {
    app: Arc<Switchboard>,
    path: PathBuf,
    context: CheckContext,
    /// Files of the last load attempt, successful or not.
    files: Vec<FileStamp>,
    /// `None` if nothing but the table is reloaded.
    credentials: Option<Credentials>,
    /// Replaced tables. They are dropped here once no request uses them, because dropping a million
    /// rules takes too long for a request.
    retired: Vec<Arc<RuleSet>>,
}

/// Valid table that has not been published yet.
struct NewTable {
    table: RuleSet,
    snapshot: Option<Snapshot>,
}

/// Work for the reload thread.
#[derive(Clone, Copy)]
enum Job {
    ReloadIfChanged,
    Reload,
    DropRetired,
}

/// Time without changes before files are read. It exceeds the timestamp resolution of every file
/// system, so a later change is visible in the timestamp even if the length stays the same.
const SETTLE_TIME: Duration = Duration::from_millis(25);
/// Maximum number of settle checks; files that keep changing are then read anyway.
const MAX_SETTLE_CHECKS: usize = 40;
/// Maximum number of loads when files change while they are read.
const MAX_LOADS: usize = 3;
/// Delay before retired tables are dropped; requests rarely take longer.
const DROP_DELAY: Duration = Duration::from_secs(1);
/// Maximum number of queued reload requests: the connection limit of the admin listener.
const MAX_QUEUED_REQUESTS: usize = 64;
/// Maximum number of diagnostics in the log for each reload.
const MAX_LOGGED: usize = 50;

impl Reloader {
    /// Creates a reloader for the table at `path`, which was loaded from `files`, and for the
    /// credentials.
    pub fn new(
        app: Arc<Switchboard>,
        RulesSettings { path, poll }: RulesSettings,
        context: CheckContext,
        files: Vec<FileStamp>,
        credentials: Option<Credentials>,
    ) -> (Reloader, ReloadHandle) {
        let (sender, requests) = mpsc::channel(MAX_QUEUED_REQUESTS);
        let status = credentials.as_ref().map(Credentials::status).unwrap_or_default();
        let loader = Loader { app, path, context, files, credentials, retired: Vec::new() };
        let handle = ReloadHandle { requests: sender, credentials: status };
        (Reloader { loader, poll, requests }, handle)
    }

    /// Runs until `stop` is cancelled. Does not wait for a load in progress.
    pub async fn run(self, stop: CancellationToken) {
        let Reloader { mut loader, poll, mut requests } = self;
        let mut poll = poll.map(tokio::time::interval);
        if let Some(poll) = &mut poll {
            poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        let mut stop = pin!(stop.cancelled());
        loop {
            let mut waiting = Vec::new();
            let job = tokio::select! {
                () = &mut stop => return,
                () = tick(&mut poll) => Job::ReloadIfChanged,
                Some(first) = requests.recv() => {
                    waiting.push(first);
                    waiting.extend(std::iter::from_fn(|| requests.try_recv().ok()));
                    Job::Reload
                }
                () = tokio::time::sleep(DROP_DELAY), if !loader.retired.is_empty() => Job::DropRetired,
            };
            // A load can take long, so it runs on its own thread.
            let task = tokio::task::spawn_blocking(move || {
                let reloaded = loader.run(job);
                (loader, reloaded)
            });
            let done = tokio::select! {
                () = &mut stop => return,
                done = task => done,
            };
            // The job catches panics, so an error means that the runtime is shutting down.
            let Ok((returned, reloaded)) = done else { return };
            loader = returned;
            for (reply, reloaded) in waiting.into_iter().zip(reloaded.iter().cycle()) {
                // The requester may have gone away.
                drop(reply.send(reloaded.clone()));
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
    /// Runs a job and returns the result of the reload, if there was one. A panic counts as a failed
    /// reload.
    fn run(&mut self, job: Job) -> Option<Reloaded> {
        let work = || match job {
            Job::ReloadIfChanged => {
                self.drop_retired();
                if self.credentials.as_ref().is_some_and(Credentials::have_changed) {
                    self.reload_credentials();
                }
                has_changed(&self.files).then(|| self.reload(&mut |_| {}))
            }
            Job::Reload => {
                let credentials = self.reload_credentials();
                let Reloaded { ok, report } = self.reload(&mut |_| {});
                let (ok, mut report) = (ok && credentials.error_count() == 0, (*report).clone());
                report.append(credentials);
                Some(Reloaded { ok, report: Arc::new(report) })
            }
            Job::DropRetired => {
                self.drop_retired();
                None
            }
        };
        std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_panic| {
            let message = "loading the rules panicked; please report this bug".to_owned();
            Some(self.publish(None, Report::from_error("no-table", message)))
        })
    }

    fn reload_credentials(&mut self) -> Report {
        let report = self.credentials.as_mut().map(Credentials::reload).unwrap_or_default();
        log_diagnostics(&report, "settings");
        report
    }

    fn drop_retired(&mut self) {
        self.retired.retain(|table| Arc::strong_count(table) > 1);
    }

    /// Loads, checks and tests the table, then publishes it if it is valid.
    fn reload(&mut self, progress: &mut dyn FnMut(Progress<'_>)) -> Reloaded {
        self.update_context();
        let (mut table, mut report) = self.load(progress);
        for _ in 1..MAX_LOADS {
            // Otherwise a load could mix files from before and after an edit.
            if !has_changed(&self.files) {
                break;
            }
            (table, report) = self.load(progress);
        }
        self.publish(table, report)
    }

    fn update_context(&mut self) {
        self.context.now = self.app.now();
        let live = self.app.table();
        let filled = live.lists.all().iter().filter(|list| list.size > 0);
        self.context.filled_lists = filled.map(|list| list.name.clone()).collect();
    }

    fn load(&mut self, progress: &mut dyn FnMut(Progress<'_>)) -> (Option<NewTable>, Report) {
        self.files = wait_until_settled(&self.files);
        match load(&self.path, &self.context, false, progress) {
            Ok(LoadedTable { table, report, files, snapshot, .. }) => {
                self.files = files;
                (table.map(|table| NewTable { table, snapshot }), report)
            }
            Err(read_error) => {
                let message = read_error.to_string();
                self.files = read_error.files;
                (None, Report::from_error("no-table", message))
            }
        }
    }

    fn publish(&mut self, table: Option<NewTable>, report: Report) -> Reloaded {
        let ok = table.is_some();
        let report = Arc::new(report.with_excerpts_only());
        let now = self.app.now();
        match table {
            Some(NewTable { table, .. }) if table.fingerprint == self.app.table().fingerprint => {
                tracing::info!(fingerprint = table.fingerprint, "rules unchanged");
                self.app.live_table().keep_current(None, now);
            }
            Some(NewTable { table, snapshot }) => {
                self.app.recorder().store_snapshot(&table.fingerprint, snapshot.as_ref(), now);
                tracing::info!(
                    rules = table.rules.len(),
                    fingerprint = table.fingerprint,
                    warnings = report.warning_count(),
                    "rules reloaded"
                );
                self.retired.push(self.app.live_table().replace(table, now));
                self.app.counters().table(&self.app.table(), now);
            }
            None => {
                let errors = report.error_count();
                tracing::error!(errors, "reload failed, kept the previous rules");
                self.app.live_table().keep_current(Some(report.clone()), now);
            }
        }
        self.app.counters().reloaded(ok);
        log_diagnostics(&report, "rules");
        Reloaded { ok, report }
    }
}

/// Logs a line for each diagnostic of the rules or the settings, with masked numbers and without the details of failing tests.
fn log_diagnostics(report: &Report, of: &str) {
    for diagnostic in report.diagnostics().iter().take(MAX_LOGGED) {
        let location = diagnostic.location.as_ref().map(|location| location.to_string());
        let (code, problem) = (diagnostic.code, mask_numbers(&diagnostic.message));
        let help = diagnostic.help.as_deref().map(mask_all_but_example);
        match diagnostic.severity {
            Severity::Error => tracing::error!(code, location, problem, help, "error in {of}"),
            Severity::Warning | Severity::Note => {
                tracing::warn!(code, location, problem, help, "warning in {of}");
            }
        }
    }
    let more = report.diagnostics().len().saturating_sub(MAX_LOGGED);
    if more > 0 {
        tracing::warn!(more, "further diagnostics not logged: `switchboard check` lists all");
    }
}

/// Masks the numbers in a help, except the one with which helps show the form of a number.
fn mask_all_but_example(help: &str) -> String {
    let parts = help.split(EXAMPLE_NUMBER).map(mask_numbers);
    parts.collect::<Vec<_>>().join(EXAMPLE_NUMBER)
}

fn has_changed(files: &[FileStamp]) -> bool {
    files.iter().any(FileStamp::has_changed)
}

/// Waits until the files have not changed for [`SETTLE_TIME`], and returns their state.
fn wait_until_settled(files: &[FileStamp]) -> Vec<FileStamp> {
    let current = || files.iter().map(FileStamp::refreshed).collect::<Vec<_>>();
    let mut stamps = current();
    for _ in 0..MAX_SETTLE_CHECKS {
        std::thread::sleep(SETTLE_TIME);
        if !has_changed(&stamps) {
            break;
        }
        stamps = current();
    }
    stamps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::Clock;

    #[test]
    fn rereads_files_that_change_during_a_load() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules.toml");
        let write = |agent: &str| {
            let next = folder.path().join("next");
            std::fs::write(&next, format!("[[rule]]\nname = \"everyone\"\nagent = \"{agent}\"\n"))
                .unwrap();
            std::fs::rename(next, &path).unwrap();
        };
        write("agent_1");
        let context = CheckContext::default();
        let LoadedTable { table, files, .. } = load(&path, &context, false, &mut |_| {}).unwrap();
        let clock = Clock::Fixed(jiff::Timestamp::UNIX_EPOCH);
        let app = Arc::new(Switchboard::new(Vec::new(), table.unwrap(), clock));
        let mut loader = Loader {
            app: app.clone(),
            path: path.clone(),
            context,
            files,
            credentials: None,
            retired: Vec::new(),
        };
        write("agent_2");
        let mut is_changed = false;
        let reloaded = loader.reload(&mut |_| {
            if !std::mem::replace(&mut is_changed, true) {
                write("agent_3");
            }
        });
        assert!(is_changed && reloaded.ok, "{}", reloaded.report);
        assert_eq!(&*app.table().agents[0].name, "agent_3");
        assert_eq!(loader.retired.len(), 1, "agent_2 never took a call");
    }
}
