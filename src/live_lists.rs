//! Lists that live elsewhere: fetches them in the background, and keeps the last good answer of each as a file
//! that the rule table reads.
//!
//! An answer replaces the copy only if it is a list, has enough rows and, with `strict`, has no row with an
//! error. Whatever happens to the other system, the copy stays.

mod copies;
mod database;
mod download;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use crate::domain::phone_number::mask_numbers;
use crate::domain::secret::SecretSource;
use crate::rules::{CopyInfo, LiveList, LookupBackend, RowCount, count_rows, decode_text};
use copies::Copy;

/// Largest answer.
const MAX_BYTES: usize = 64 << 20;
/// Longest time for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest time for which a table waits for lists that have no copy.
const NEW_TIMEOUT: Duration = Duration::from_secs(10);
/// Time until the next fetch after the first one that failed. It doubles with each further one, up to
/// [`MAX_RETRY`].
const RETRY: Duration = Duration::from_secs(2);
/// Longest time until the next fetch after one that failed, unless the list is fetched more often anyway.
const MAX_RETRY: Duration = Duration::from_secs(60);

/// What became of a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The other system has the same rows as the copy.
    Unchanged,
    /// The answer is the new copy, with this number of rows.
    Replaced(usize),
}

/// Why the copy stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotFetched {
    /// The other system failed, or its answer is no list.
    Failed(String),
    /// The answer has too few rows, or rows with errors.
    Held(String),
}

impl NotFetched {
    /// Returns what went wrong, with masked numbers.
    pub fn problem(&self) -> String {
        let (NotFetched::Failed(problem) | NotFetched::Held(problem)) = self;
        mask_numbers(problem)
    }
}

/// State of a list, for `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListStatus {
    /// Name of the list.
    pub name: Box<str>,
    /// Time at which the copy was fetched or found unchanged; `None` without a copy.
    pub confirmed_at: Option<Timestamp>,
    /// Result of the last fetch: `pending`, `ok`, `failed` or `held`.
    pub state: &'static str,
}

/// Fetches the lists of the live table.
#[derive(Default)]
pub struct LiveLists {
    secrets: Option<Arc<dyn SecretSource>>,
    entries: Mutex<BTreeMap<Box<str>, ScheduledList>>,
}

/// A list with the time of its next fetch.
struct ScheduledList {
    list: Arc<LiveList>,
    next: Instant,
    /// Fetches that have failed since the last one that did not.
    failures: u32,
    state: &'static str,
    /// Held during a fetch.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

/// Fetches a list and replaces its copy. `forced` takes an answer with few rows.
///
/// # Errors
/// Fails if the copy stays as it is.
pub async fn fetch(
    list: &Arc<LiveList>,
    secrets: &dyn SecretSource,
    forced: bool,
    now: Timestamp,
) -> Result<Fetched, NotFetched> {
    let copy = Copy::of(list);
    // A large copy takes a while to read and to hash.
    let (of_copy, of_list) = (copy.clone(), list.clone());
    let validators = tokio::task::spawn_blocking(move || of_copy.validators(&of_list)).await;
    let validators = validators.unwrap_or_default();
    let has_validators = validators.is_some();
    let download = download(list, validators, secrets).await?;
    if download.is_none() && !has_validators {
        let problem = "status 304, although the request had no condition";
        return Err(NotFetched::Failed(problem.to_owned()));
    }
    let list = list.clone();
    let saved = tokio::task::spawn_blocking(move || match download {
        Some(download) => save(&list, &copy, download, forced, now),
        None => copy.confirm(now).map(|()| Fetched::Unchanged).map_err(|error| unwritten(&error)),
    });
    let saved = saved.await;
    saved.unwrap_or_else(|_panic| Err(NotFetched::Failed("checking the answer failed".to_owned())))
}

/// Fetches a list without a copy on disk, and returns its text and the number of its rows.
///
/// # Errors
/// Fails if the answer cannot be used.
pub async fn fetch_text(
    list: &LiveList,
    secrets: &dyn SecretSource,
) -> Result<(String, usize), NotFetched> {
    let answer = download(list, None, secrets).await?;
    let Some(answer) = answer else { return Err(NotFetched::Failed("no answer".to_owned())) };
    let text = text_of(answer.content)?;
    let count = usable(list, text.clone())?;
    check_rows(list, &count, None, false)?;
    Ok((text, count.rows))
}

/// Returns the time at which a copy was fetched or found unchanged, if there is one.
pub fn confirmed_at(copy: &Path) -> Option<Timestamp> {
    Copy::at(copy).confirmed_at()
}

/// Notes that a copy has another text now. It still counts as the answer of the other system, which need not send
/// it again.
///
/// # Errors
/// Fails if the file about the copy cannot be written.
pub fn note_edited(copy: &Path, text: &str) -> std::io::Result<()> {
    Copy::at(copy).note_edited(text)
}

/// Answer of another system.
struct Download {
    content: Vec<u8>,
    etag: Option<String>,
    last_modified: Option<String>,
}

/// What tells the other system which answer the copy is.
struct Validators {
    etag: Option<String>,
    last_modified: Option<String>,
}

/// Asks the other system. Returns `None` if it says that nothing has changed.
async fn download(
    list: &LiveList,
    validators: Option<Validators>,
    secrets: &dyn SecretSource,
) -> Result<Option<Download>, NotFetched> {
    let asking = async {
        match &list.backend {
            LookupBackend::Http(http) => download::download(http, validators, secrets).await,
            LookupBackend::Sql(sql) => {
                let header = || Copy::of(list).header();
                database::rows_as_csv(sql, secrets, header).await.map(Some)
            }
        }
    };
    match timeout(TIMEOUT, asking).await {
        Ok(answer) => answer.map_err(NotFetched::Failed),
        Err(_elapsed) => Err(NotFetched::Failed("no answer in time".to_owned())),
    }
}

/// Checks an answer and makes it the copy.
fn save(
    list: &LiveList,
    copy: &Copy,
    download: Download,
    forced: bool,
    now: Timestamp,
) -> Result<Fetched, NotFetched> {
    let Download { content, etag, last_modified } = download;
    let text = text_of(content)?;
    let before = copy.text();
    if before.as_deref() == Some(&text) {
        copy.keep(list, &text, Validators { etag, last_modified }, now)
            .map_err(|error| unwritten(&error))?;
        return Ok(Fetched::Unchanged);
    }
    // Rows that came from another place say nothing about these.
    let before = before.filter(|_| !CopyInfo::is_foreign(list));
    let before = before.and_then(|text| count_rows(list, text).ok());
    let count = usable(list, text.clone())?;
    if before.as_ref().is_some_and(|before| count.is_message_in_place_of(before)) {
        let problem = "the answer has no rows, and no column of the copy: it is no list";
        return Err(NotFetched::Failed(problem.to_owned()));
    }
    check_rows(list, &count, before.map(|before| before.rows), forced)?;
    copy.replace(list, &text, Validators { etag, last_modified }, now)
        .map_err(|error| unwritten(&error))?;
    Ok(Fetched::Replaced(count.rows))
}

fn unwritten(error: &std::io::Error) -> NotFetched {
    NotFetched::Failed(format!("the copy cannot be written: {error}"))
}

fn text_of(content: Vec<u8>) -> Result<String, NotFetched> {
    let text = decode_text(content);
    let text = text.ok_or_else(|| NotFetched::Failed("the answer is not UTF-8".to_owned()))?;
    let start = text.trim_start_matches('\u{feff}').trim_start();
    if start.starts_with('<') {
        let problem = "the answer is a web page, not CSV; is the table shared with everyone?";
        return Err(NotFetched::Failed(problem.to_owned()));
    }
    Ok(text)
}

fn usable(list: &LiveList, text: String) -> Result<RowCount, NotFetched> {
    let counted = count_rows(list, text);
    counted.map_err(|problem| NotFetched::Failed(format!("the answer cannot be used: {problem}")))
}

/// Refuses an answer with too few rows or, with `strict`, with a row that has an error.
fn check_rows(
    list: &LiveList,
    count: &RowCount,
    before: Option<usize>,
    forced: bool,
) -> Result<(), NotFetched> {
    if let (true, Some((line, problem))) = (list.is_strict, &count.first_bad) {
        let (bad, message) = (count.bad, &problem.message);
        let rows = if bad == 1 { "row has an error," } else { "rows have errors, the first" };
        let problem = format!("{bad} {rows} on line {line}: {message}");
        return Err(NotFetched::Held(problem));
    }
    match list.limits.problem(&list.name, count.rows, before).filter(|_| !forced) {
        Some(problem) => Err(NotFetched::Held(problem.to_string())),
        None => Ok(()),
    }
}

impl LiveLists {
    /// Sets where secrets are found.
    pub fn set_secrets(&mut self, secrets: Arc<dyn SecretSource>) {
        self.secrets = Some(secrets);
    }

    /// Returns the state of each list of the live table.
    pub fn statuses(&self) -> Vec<ListStatus> {
        let states: Vec<_> = {
            let entries = self.entries();
            entries.values().map(|entry| (entry.list.clone(), entry.state)).collect()
        };
        // Without the lock, since files are read.
        let statuses = states.into_iter().map(|(list, state)| ListStatus {
            name: list.name.clone(),
            confirmed_at: confirmed_at(&list.copy),
            state,
        });
        statuses.collect()
    }

    /// Takes over the lists of the live table. A list that is new or has changed is due at once.
    pub fn update(&self, lists: &[Arc<LiveList>]) {
        let mut entries = self.entries();
        entries.retain(|name, _| lists.iter().any(|list| list.name == *name));
        for list in lists {
            let known = entries.get(&list.name);
            if known.is_some_and(|entry| entry.list == *list) {
                continue;
            }
            // Both have the same copy, so a fetch of the list as it was has to end first.
            let fetching = known.map(|entry| entry.fetching.clone()).unwrap_or_default();
            let entry = ScheduledList {
                list: list.clone(),
                next: Instant::now(),
                failures: 0,
                state: "pending",
                fetching,
            };
            entries.insert(list.name.clone(), entry);
        }
    }

    /// Fetches lists that a table is about to use, like [`fetch_new`], and logs what fails. Returns whether one has
    /// been fetched.
    pub(crate) async fn fetch_new(&self, lists: &[Arc<LiveList>], now: Timestamp) -> bool {
        let Some(secrets) = &self.secrets else { return false };
        let failed = fetch_new(lists, &**secrets, now).await;
        let is_one_fetched = failed.len() < lists.len();
        for (list, reason) in failed {
            log(&list, &Err(reason));
        }
        is_one_fetched
    }

    /// Makes the lists due whose request contains a secret, which may be another one now.
    pub fn secrets_have_changed(&self) {
        let now = Instant::now();
        for entry in self.entries().values_mut() {
            if !entry.list.backend.secret_references().is_empty() {
                entry.next = now;
            }
        }
    }

    /// Returns the lists that are due and are not being fetched. They are not due again until their next fetch.
    pub fn take_due(&self, now: Instant) -> Vec<Arc<LiveList>> {
        let mut entries = self.entries();
        // A fetch can take longer than `refresh_s`; further ones would pile up behind it.
        let is_due =
            |entry: &&mut ScheduledList| entry.next <= now && entry.fetching.try_lock().is_ok();
        let due = entries.values_mut().filter(is_due);
        due.map(|entry| {
            entry.next = now + entry.list.refresh;
            entry.list.clone()
        })
        .collect()
    }

    /// Fetches a list, after a fetch of the same list that is going on. Returns whether there is a new copy.
    pub async fn refresh(&self, list: Arc<LiveList>, forced: bool, now: Timestamp) -> bool {
        let fetching = self.entries().get(&list.name).map(|entry| entry.fetching.clone());
        let (Some(fetching), Some(secrets)) = (fetching, &self.secrets) else { return false };
        let _fetching = fetching.lock().await;
        let result = fetch(&list, &**secrets, forced, now).await;
        let state = match &result {
            Ok(_) => "ok",
            Err(NotFetched::Failed(_)) => "failed",
            Err(NotFetched::Held(_)) => "held",
        };
        log(&list, &result);
        if let Some(entry) = self.entries().get_mut(&list.name).filter(|entry| entry.list == list) {
            entry.state = state;
            entry.note(matches!(result, Err(NotFetched::Failed(_))));
        }
        matches!(result, Ok(Fetched::Replaced(_)))
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<Box<str>, ScheduledList>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ScheduledList {
    /// Notes whether a fetch failed. After a failure, the next one comes soon, whatever `refresh_s` says.
    fn note(&mut self, failed: bool) {
        if !failed {
            self.failures = 0;
            return;
        }
        let delay = RETRY.saturating_mul(1 << self.failures.min(5)).min(MAX_RETRY);
        self.failures += 1;
        self.next = self.next.min(Instant::now() + delay);
    }
}

/// Fetches lists without a copy that a table is about to use, at most ten seconds long. Returns those that have
/// none afterwards, and why.
pub async fn fetch_new(
    lists: &[Arc<LiveList>],
    secrets: &dyn SecretSource,
    now: Timestamp,
) -> Vec<(Arc<LiveList>, NotFetched)> {
    let fetches = lists.iter().map(async |list| {
        let reason = match timeout(NEW_TIMEOUT, fetch(list, secrets, false, now)).await {
            Ok(fetched) => fetched.err()?,
            Err(_elapsed) => NotFetched::Failed("no answer in time".to_owned()),
        };
        Some((list.clone(), reason))
    });
    join_all(fetches).await.into_iter().flatten().collect()
}

fn log(list: &LiveList, result: &Result<Fetched, NotFetched>) {
    let name = &*list.name;
    match result {
        Ok(Fetched::Unchanged) => tracing::debug!(list = name, "list unchanged"),
        Ok(Fetched::Replaced(rows)) => tracing::info!(list = name, rows, "list fetched"),
        Err(reason) if list.copy.exists() => {
            let problem = reason.problem();
            tracing::warn!(list = name, problem, "list not fetched, kept its last good copy");
        }
        Err(reason) => {
            let problem = reason.problem();
            tracing::error!(
                list = name,
                problem,
                "list not fetched, and it has no copy: it is empty"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{HttpLookup, HttpMethod, RequestTemplate, RowLimits};

    fn list(url: &str) -> Arc<LiveList> {
        let http = HttpLookup {
            method: HttpMethod::Get,
            url: RequestTemplate::parse(url).unwrap(),
            headers: Vec::new(),
            body: None,
            result: "".into(),
            allow_private: false,
        };
        Arc::new(LiveList {
            name: "vip".into(),
            backend: LookupBackend::Http(http),
            refresh: Duration::from_secs(10),
            is_strict: false,
            limits: RowLimits::default(),
            number_columns: Vec::new(),
            used_columns: Vec::new(),
            country: None,
            copy: "vip.csv".into(),
        })
    }

    #[test]
    fn a_list_is_fetched_once_at_a_time_even_if_its_definition_changes() {
        let lists = LiveLists::default();
        let (old, new) = (list("https://example.com/old"), list("https://example.com/new"));
        lists.update(std::slice::from_ref(&old));
        assert_eq!(lists.take_due(Instant::now()), [old]);
        let fetching = lists.entries()["vip"].fetching.clone().try_lock_owned().unwrap();
        let later = Instant::now() + Duration::from_secs(60);
        assert!(lists.take_due(later).is_empty(), "the first fetch goes on");
        lists.update(std::slice::from_ref(&new));
        assert!(lists.take_due(later).is_empty(), "it writes to the same copy");
        drop(fetching);
        assert_eq!(lists.take_due(later), [new]);
        assert!(lists.take_due(later).is_empty());
    }
}
