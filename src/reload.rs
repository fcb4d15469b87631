//! Reload: loads, checks and tests a new table in the background, then publishes it atomically. Secrets and
//! certificates are reloaded too.
//!
//! A table with errors or failing tests is never published; the previous one stays live.

mod credentials;
mod history;
mod hold;
mod isolate;
mod last_good;
mod live;
mod secret_files;
mod settle;

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::diagnostics::{Report, Severity};
use crate::domain::phone_number::{EXAMPLE_NUMBERS, mask_numbers};
use crate::pipeline::Switchboard;
use crate::rules;
use crate::rules::engine::test_runner;
use crate::rules::{
    CheckContext, FileStamp, HeldList, IsolatedFile, LiveList, LoadedTable, Progress, ReadError,
    Replacements, RuleSet, Snapshot, TablePlaces,
};
use crate::settings::RulesSettings;
use hold::{hold_shrunk_lists, note_held};
use secret_files::SecretFiles;
use settle::{Settling, has_changed, loss, wait_until_settled};

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
    load_with(path, context, coverage, &Replacements::default(), progress)
}

/// Loads a table from a text, which `name` names in messages, and runs its tests like [`load`]. Files of
/// lists are found in the folder of `name`.
pub fn load_text(name: &str, text: String, context: &CheckContext, coverage: bool) -> LoadedTable {
    run_tests(rules::parse(name, text, context), coverage)
}

/// Loads a table like [`load`], with some files in another version than the one on disk.
///
/// # Errors
/// Returns an error when the files cannot be read.
pub fn load_with(
    path: &Path,
    context: &CheckContext,
    coverage: bool,
    replaced: &Replacements,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<LoadedTable, ReadError> {
    Ok(run_tests(rules::load_except(path, context, replaced, progress)?, coverage))
}

/// Runs the tests of a loaded table, which has none afterwards if one fails.
fn run_tests(mut loaded: LoadedTable, coverage: bool) -> LoadedTable {
    if let Some(table) = &loaded.table {
        let mut found = Report::default();
        let reached = test_runner::run(table, &loaded.tests, &mut found);
        if !loaded.missing_copies.is_empty() {
            // The tests may need rows of a list that is empty until it is fetched.
            found.lower_errors();
        }
        loaded.report.append(found);
        if coverage {
            test_runner::warn_untested(table, &reached, &loaded.locations, &mut loaded.report);
        }
        loaded.report.sort();
    }
    loaded.table = loaded.table.filter(|_| loaded.report.error_count() == 0);
    loaded
}

pub use credentials::{CredentialStatus, Credentials};
pub use history::{PastReload, ReloadHistory};
pub use isolate::{IsolatedLoad, load_isolated};
pub use last_good::{LastGood, SavedTable};
pub use live::keep_fresh;

/// Result of a reload.
#[derive(Debug, Clone)]
pub struct Reloaded {
    /// The table and the credentials on disk are valid and live.
    pub ok: bool,
    /// Errors and warnings.
    pub report: Arc<Report>,
}

/// A request for a reload.
struct Request {
    /// Lists are taken as they are, however much they shrank.
    is_forced: bool,
    /// Who or what asks, for the history.
    requester: Box<str>,
    reply: oneshot::Sender<Reloaded>,
}

/// Handle to request reloads.
#[derive(Clone)]
pub struct ReloadHandle {
    requests: mpsc::Sender<Request>,
    credentials: CredentialStatus,
    history: ReloadHistory,
    app: Arc<Switchboard>,
}

impl ReloadHandle {
    /// Reloads the table and returns the result, or `None` when the service is stopping. All requests
    /// that arrive during a reload share the next one.
    pub async fn reload(&self) -> Option<Reloaded> {
        self.reload_for("a request").await
    }

    /// Reloads the table like [`ReloadHandle::reload`]. The history tells who or what has asked for it.
    pub async fn reload_for(&self, requester: &str) -> Option<Reloaded> {
        self.request(false, requester).await
    }

    /// Reloads the table like [`ReloadHandle::reload_for`], and takes lists as they are, however much they
    /// shrank. Lists that live elsewhere are fetched first.
    pub async fn force_reload_for(&self, requester: &str) -> Option<Reloaded> {
        live::force_all(&self.app).await;
        self.request(true, requester).await
    }

    async fn request(&self, is_forced: bool, requester: &str) -> Option<Reloaded> {
        let (reply, result) = oneshot::channel();
        self.requests.send(Request { is_forced, requester: requester.into(), reply }).await.ok()?;
        result.await.ok()
    }

    /// Returns the last reloads.
    pub fn history(&self) -> &ReloadHistory {
        &self.history
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
    requests: mpsc::Receiver<Request>,
    history: ReloadHistory,
}

/// State of the reload thread.
struct Loader {
    app: Arc<Switchboard>,
    path: PathBuf,
    context: CheckContext,
    /// Files of the last load attempt, successful or not.
    files: Vec<FileStamp>,
    /// A change of the files that has not been read yet.
    settling: Settling,
    /// Isolates files that have errors.
    isolate: bool,
    /// Files of the live table, if they can be needed again and are not too large.
    good: Option<Snapshot>,
    /// `None` if no copy of the table is kept on disk.
    last_good: Option<LastGood>,
    /// `None` if nothing but the table is reloaded.
    credentials: Option<Credentials>,
    /// Secrets of the live table's look-ups.
    secret_files: SecretFiles,
    /// Replaced tables. They are dropped here once no request uses them, because dropping a million
    /// rules takes too long for a request.
    retired: Vec<Arc<RuleSet>>,
}

/// Valid table that has not been published yet.
struct NewTable {
    table: RuleSet,
    places: TablePlaces,
    snapshot: Option<Snapshot>,
}

/// Result of a load.
#[derive(Default)]
struct Loaded {
    /// `None` if the report has errors.
    table: Option<NewTable>,
    report: Report,
    /// Files that were read.
    files: Vec<FileStamp>,
    /// Files that have errors, without which there is a table.
    isolated: Vec<IsolatedFile>,
    /// Lists that keep their last good rows.
    held: Vec<HeldList>,
}

/// Work for the reload thread.
#[derive(Clone, Copy)]
enum Job {
    ReloadIfChanged,
    Reload { is_forced: bool },
    DropRetired,
}

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
        RulesSettings { path, poll, last_good, isolate, .. }: RulesSettings,
        context: CheckContext,
        files: Vec<FileStamp>,
        credentials: Option<Credentials>,
    ) -> (Reloader, ReloadHandle) {
        let (sender, requests) = mpsc::channel(MAX_QUEUED_REQUESTS);
        let status = credentials.as_ref().map(Credentials::status).unwrap_or_default();
        let secret_files = SecretFiles::of(&app.table());
        let loader = Loader {
            app,
            path,
            context,
            files,
            settling: Settling::default(),
            isolate,
            good: None,
            last_good: last_good.map(LastGood::new),
            credentials,
            secret_files,
            retired: Vec::new(),
        };
        let history = ReloadHistory::default();
        let app = loader.app.clone();
        let handle =
            ReloadHandle { requests: sender, credentials: status, history: history.clone(), app };
        (Reloader { loader, poll, requests, history }, handle)
    }

    /// Keeps the files with which the live table started as the last good version of each file, and also
    /// as the last good table on disk, unless they were read from there.
    #[must_use]
    pub fn keeping(mut self, snapshot: Option<Snapshot>, are_from_disk: bool) -> Reloader {
        if are_from_disk {
            self.loader.keep_good_in_memory(snapshot);
        } else {
            self.loader.keep_good(snapshot);
        }
        self
    }

    /// Runs until `stop` is cancelled. Does not wait for a load in progress.
    pub async fn run(self, stop: CancellationToken) {
        let Reloader { mut loader, poll, mut requests, history } = self;
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
                    Job::Reload { is_forced: waiting.iter().any(|request| request.is_forced) }
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
            if let Some(reloaded) = &reloaded {
                history.add(loader.past_reload(reloaded, &waiting));
            }
            for (Request { reply, .. }, reloaded) in
                waiting.into_iter().zip(reloaded.iter().cycle())
            {
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
                if self.credentials.as_mut().is_some_and(Credentials::have_changed) {
                    self.reload_credentials();
                }
                if self.secret_files.have_changed() {
                    self.reload_lookup_secrets();
                }
                if self.settling.poll(&self.files) { self.reload_settled() } else { None }
            }
            Job::Reload { is_forced } => {
                let credentials = self.reload_credentials();
                self.reload_lookup_secrets();
                self.context.takes_shrunk_lists = is_forced;
                let Reloaded { ok, report } = self.reload(&mut |_| {});
                self.context.takes_shrunk_lists = false;
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
            self.context.takes_shrunk_lists = false;
            let message = "loading the rules panicked; please report this bug".to_owned();
            let (files, report) =
                (FileStamp::all_current(&self.files), Report::from_error("no-table", message));
            Some(self.publish(Loaded { report, files, ..Loaded::default() }))
        })
    }

    fn past_reload(&self, reloaded: &Reloaded, requests: &[Request]) -> PastReload {
        let requesters = requests.iter().map(|request| request.requester.clone()).collect();
        PastReload {
            at: self.app.now(),
            ok: reloaded.ok,
            errors: reloaded.report.error_count(),
            warnings: reloaded.report.warning_count(),
            fingerprint: self.app.table().fingerprint.clone(),
            requesters,
        }
    }

    fn reload_credentials(&mut self) -> Report {
        let report = self.credentials.as_mut().map(Credentials::reload).unwrap_or_default();
        log_diagnostics(&report, "settings");
        report
    }

    /// Reads the secrets of look-ups again, and fetches lists with the new ones.
    fn reload_lookup_secrets(&mut self) {
        let table = self.app.table();
        // Before the secrets are read: a later change is found by the next poll.
        self.secret_files = SecretFiles::of(&table);
        self.app.prepare_lookups(&table);
        self.app.live_lists().secrets_have_changed();
    }

    fn drop_retired(&mut self) {
        self.retired.retain(|table| Arc::strong_count(table) > 1);
        let live = self.app.table();
        let in_use: Vec<&RuleSet> =
            self.retired.iter().chain([&*live]).map(|table| &**table).collect();
        self.app.lookups().keep_only(&in_use);
    }

    /// Loads, checks and tests the table at once, then publishes it if it is valid.
    fn reload(&mut self, progress: &mut dyn FnMut(Progress<'_>)) -> Reloaded {
        let loaded = self.load(progress);
        self.publish(loaded)
    }

    /// Loads files that have not changed between polls. Returns `None` if further polls decide whether the
    /// table may be used.
    fn reload_settled(&mut self) -> Option<Reloaded> {
        let loaded = self.load(&mut |_| {});
        if !self.settling.accept(&loaded.files) {
            return None;
        }
        let lost = loaded.table.as_ref().and_then(|new| loss(&self.app.table(), &new.table));
        if let Some(lost) = lost
            && !self.settling.accept_loss()
        {
            tracing::warn!(
                lost,
                "the new rules wait for further polls, in case they are half written"
            );
            return None;
        }
        Some(self.publish(loaded))
    }

    fn update_context(&mut self) {
        let context = std::mem::take(&mut self.context);
        self.context = context.after(&self.app.table(), self.app.now());
    }

    fn load(&mut self, progress: &mut dyn FnMut(Progress<'_>)) -> Loaded {
        self.update_context();
        let mut files = self.files.clone();
        let mut loads = 0;
        loop {
            let loaded = self.load_once(&files, progress);
            loads += 1;
            // Otherwise a load could mix files from before and after an edit.
            if loads == MAX_LOADS || !has_changed(&loaded.files) {
                return loaded;
            }
            files = loaded.files;
        }
    }

    fn load_once(&self, files: &[FileStamp], progress: &mut dyn FnMut(Progress<'_>)) -> Loaded {
        wait_until_settled(files);
        let mut loaded = load(&self.path, &self.context, false, progress);
        if loaded.as_ref().is_ok_and(|loaded| self.fetch_new_lists(loaded)) {
            loaded = load(&self.path, &self.context, false, progress);
        }
        let good = self.good.as_ref();
        let (loaded, held) = match loaded {
            Ok(loaded) => {
                let (loaded, held) =
                    hold_shrunk_lists(loaded, &self.path, &self.context, good, progress);
                (Ok(loaded), held)
            }
            Err(error) => (Err(error), Vec::new()),
        };
        let has_table = loaded.as_ref().is_ok_and(|loaded| loaded.table.is_some());
        if self.isolate && !has_table {
            let isolated = load_isolated(&self.path, &self.context, good, &loaded, progress);
            if let Some(IsolatedLoad { loaded, report, isolated }) = isolated {
                return Loaded { report, isolated, ..Loaded::new(Ok(loaded)) };
            }
        }
        Loaded { held, ..Loaded::new(loaded) }
    }

    /// Fetches the lists without a copy that the live table does not have, so that the new one does not go live
    /// without their rows. Returns whether one has been fetched.
    fn fetch_new_lists(&self, loaded: &LoadedTable) -> bool {
        let live = self.app.table();
        let is_new = |list: &&Arc<LiveList>| !live.live_lists.contains(list);
        let new: Vec<_> = loaded.missing_copies.iter().filter(is_new).cloned().collect();
        if new.is_empty() {
            return false;
        }
        let fetching = self.app.live_lists().fetch_new(&new, self.app.now());
        tokio::runtime::Handle::current().block_on(fetching)
    }

    fn publish(&mut self, Loaded { table, report, files, isolated, held }: Loaded) -> Reloaded {
        self.files = files;
        self.settling.finish();
        let ok = table.is_some() && isolated.is_empty();
        let report = Arc::new(report.with_excerpts_only());
        let now = self.app.now();
        let has_table = table.is_some();
        match table {
            Some(NewTable { table, .. }) if table.fingerprint == self.app.table().fingerprint => {
                tracing::info!(fingerprint = table.fingerprint, "rules unchanged");
                self.app.live_table().keep_current(None, now);
            }
            Some(NewTable { table, places, snapshot }) => {
                self.app.recorder().store_snapshot(&table.fingerprint, snapshot.as_ref(), now);
                tracing::info!(
                    rules = table.rules.len(),
                    fingerprint = table.fingerprint,
                    warnings = report.warning_count(),
                    "rules reloaded"
                );
                self.secret_files = SecretFiles::of(&table);
                self.app.prepare_lookups(&table);
                let live = self.app.live_table();
                self.retired.push(live.replace(table, Some(places), now));
                self.app.counters().table(&self.app.table(), now);
                self.keep_good(snapshot);
            }
            None => {
                let errors = report.error_count();
                tracing::error!(errors, "reload failed, kept the previous rules");
                self.app.live_table().keep_current(Some(report.clone()), now);
            }
        }
        if has_table {
            note_isolated(&self.app, &report, isolated);
            note_held(&self.app, held);
            self.app.counters().started_from_last_good(false);
        }
        self.app.counters().reloaded(ok);
        log_diagnostics(&report, "rules");
        Reloaded { ok, report }
    }

    /// Keeps the files of the live table, in memory and on disk.
    fn keep_good(&mut self, snapshot: Option<Snapshot>) {
        if let Some(last_good) = &self.last_good {
            let fingerprint = self.app.table().fingerprint.clone();
            let saved = match snapshot.clone() {
                Some(files) => {
                    last_good.save(&SavedTable { fingerprint, saved_at: self.app.now(), files })
                }
                None => {
                    tracing::warn!(
                        "the rules are too large or not UTF-8, so no copy is kept on disk"
                    );
                    last_good.remove()
                }
            };
            if let Err(error) = saved {
                let path = last_good.path().display();
                tracing::warn!(%path, %error, "cannot keep the last good rules on disk");
            }
        }
        self.keep_good_in_memory(snapshot);
    }

    /// Keeps the files of the live table in memory, if one of them may have to stay in use.
    fn keep_good_in_memory(&mut self, snapshot: Option<Snapshot>) {
        let has_guards = self.app.table().lists.all().iter().any(|list| list.is_guarded);
        self.good = snapshot.filter(|_| self.isolate || has_guards);
    }
}

impl Loaded {
    fn new(loaded: Result<LoadedTable, ReadError>) -> Loaded {
        match loaded {
            Ok(loaded) => {
                let places = loaded.table.is_some().then(|| TablePlaces::new(&loaded));
                let LoadedTable { table, report, files, snapshot, .. } = loaded;
                let table = table.zip(places);
                let table = table.map(|(table, places)| NewTable { table, places, snapshot });
                Loaded { table, report, files, ..Loaded::default() }
            }
            Err(error) => {
                let report = Report::from_error("no-table", error.to_string());
                Loaded { report, files: error.files, ..Loaded::default() }
            }
        }
    }
}

/// Publishes and logs which files are isolated.
pub fn note_isolated(app: &Switchboard, report: &Arc<Report>, isolated: Vec<IsolatedFile>) {
    app.counters().files_isolated(isolated.len());
    for IsolatedFile { path, is_left_out } in &isolated {
        let file = path.display();
        match is_left_out {
            true => tracing::error!(%file, "a file of the rules has errors, and is left out"),
            false => {
                tracing::error!(%file, "a file of the rules has errors, kept its last good version");
            }
        }
    }
    if !isolated.is_empty() {
        app.live_table().note_errors(report.clone(), None, isolated);
    }
}

/// Logs a line for each diagnostic of the rules or the settings, with masked numbers and without the details of failing tests.
pub fn log_diagnostics(report: &Report, of: &str) {
    for diagnostic in report.diagnostics().iter().take(MAX_LOGGED) {
        let location = diagnostic.location.as_ref().map(|location| location.to_string());
        let (code, problem) = (diagnostic.code, mask_numbers(&diagnostic.message));
        let help = diagnostic.help.as_deref().map(mask_all_but_examples);
        match diagnostic.severity {
            Severity::Error => tracing::error!(code, location, problem, help, "error in {of}"),
            Severity::Warning => {
                tracing::warn!(code, location, problem, help, "warning in {of}");
            }
            // Nothing is wrong.
            Severity::Note => {}
        }
    }
    let more = report.diagnostics().len().saturating_sub(MAX_LOGGED);
    if more > 0 {
        tracing::warn!(more, "further diagnostics not logged: `switchboard check` lists all");
    }
}

/// Masks the numbers in a help, except those with which helps show the form of a number.
fn mask_all_but_examples(help: &str) -> String {
    let example = EXAMPLE_NUMBERS
        .into_iter()
        .find_map(|example| help.split_once(example).map(|parts| (example, parts)));
    match example {
        Some((example, (before, after))) => {
            [&mask_all_but_examples(before), example, &mask_all_but_examples(after)].concat()
        }
        None => mask_numbers(help),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::Clock;

    #[test]
    fn masks_all_numbers_of_a_help_but_examples() {
        for text in ["030 9018201", "abc", "+1 415", "0049.*", "1213555XXXX", ""] {
            let problem = crate::rules::NumberPattern::parse(text).unwrap_err();
            let help = problem.help.unwrap_or_default();
            assert_eq!(mask_all_but_examples(&help), help, "{text}");
        }
        let help = "numbers start like `+12137771234`; did you mean `+12137771235`?";
        let expected = "numbers start like `+12137771234`; did you mean `+1213***1235`?";
        assert_eq!(mask_all_but_examples(help), expected);
    }

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
            settling: Settling::default(),
            isolate: false,
            good: None,
            last_good: None,
            credentials: None,
            secret_files: SecretFiles::default(),
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
