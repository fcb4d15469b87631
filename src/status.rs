//! State of the running service: whether it is ready, and what operators should know about it.

use serde::Serialize;
use serde_json::Value;

use crate::diagnostics::{Diagnostic, Report};
use crate::live_lists::ListStatus;
use crate::pipeline::Switchboard;
use crate::reload::ReloadHandle;
use crate::rules::HeldList;

/// Readiness. A running process has a valid rule table, so it is always ready; warnings report what an operator
/// should look at.
#[derive(Debug, Clone, Serialize)]
pub struct Readiness {
    /// The service answers calls.
    pub ready: bool,
    /// All warnings in one text.
    pub warning: Option<String>,
    /// The warnings.
    #[serde(skip)]
    pub warnings: Vec<&'static str>,
    /// The live rule table.
    pub table: TableStatus,
    /// Secrets and certificates.
    pub credentials: CredentialsStatus,
    /// The record store; `None` if records are off.
    pub records: Option<RecordsStatus>,
    /// Names of look-ups that are suspended after failures.
    pub suspended_lookups: Vec<Box<str>>,
    /// Lists that live elsewhere.
    pub live_lists: Vec<LiveListStatus>,
}

/// The live rule table, its age, and the result of the last reload.
#[derive(Debug, Clone, Serialize)]
pub struct TableStatus {
    /// Fingerprint of the files.
    pub fingerprint: String,
    /// Number of rules.
    pub rules: usize,
    /// Time at which it was loaded.
    pub loaded_at: String,
    /// Time since then.
    pub age_seconds: i64,
    /// Copy on disk from which it was loaded, if it was.
    pub last_good: Option<LastGoodStatus>,
    /// Files with errors, whose last good versions are live.
    pub isolated: Vec<IsolatedStatus>,
    /// Lists that keep their last good rows.
    pub held_lists: Vec<HeldStatus>,
    /// The last reload.
    pub last_reload: LastReload,
}

/// The copy on disk of the last table without errors.
#[derive(Debug, Clone, Serialize)]
pub struct LastGoodStatus {
    /// Time at which it was saved.
    pub saved_at: String,
    /// Time since then.
    pub age_seconds: i64,
}

/// A file with errors.
#[derive(Debug, Clone, Serialize)]
pub struct IsolatedStatus {
    /// Path.
    pub file: String,
    /// There is no good version of it.
    pub left_out: bool,
}

/// A list that keeps its last good rows.
#[derive(Debug, Clone, Serialize)]
pub struct HeldStatus {
    /// Name.
    pub list: Box<str>,
    /// Rows in use.
    pub rows: usize,
    /// Rows of its file.
    pub rows_of_file: usize,
}

/// The last reload.
#[derive(Debug, Clone, Serialize)]
pub struct LastReload {
    /// It succeeded.
    pub ok: bool,
    /// Time.
    pub at: String,
    /// Number of errors.
    pub errors: usize,
    /// Locations of the first errors.
    pub diagnostics: Vec<Value>,
}

/// Result of the last reload of secrets and certificates.
#[derive(Debug, Clone, Serialize)]
pub struct CredentialsStatus {
    /// It succeeded.
    pub ok: bool,
    /// Locations of the first errors.
    pub diagnostics: Vec<Value>,
}

/// State of the record store. The reason of an outage is in the log only, since it can contain the name of a host
/// or a user.
#[derive(Debug, Clone, Serialize)]
pub struct RecordsStatus {
    /// Records can be written.
    pub ok: bool,
    /// Start of the outage.
    pub failing_since: Option<String>,
    /// Records that wait to be written.
    pub waiting: usize,
}

/// A list that lives elsewhere: the age of its copy, and the result of the last fetch.
#[derive(Debug, Clone, Serialize)]
pub struct LiveListStatus {
    /// Name.
    pub list: Box<str>,
    /// Time since the copy was fetched or found unchanged; `None` without a copy.
    pub age_seconds: Option<i64>,
    /// Result: `pending`, `ok`, `failed` or `held`.
    pub state: &'static str,
}

impl Readiness {
    /// Returns the current state. Without a `handle`, the process does not reload.
    pub fn of(app: &Switchboard, handle: Option<&ReloadHandle>) -> Readiness {
        let mut readiness = Readiness {
            ready: true,
            warning: None,
            warnings: Vec::new(),
            table: TableStatus::of(app),
            credentials: CredentialsStatus::of(handle),
            records: RecordsStatus::of(app),
            suspended_lookups: app.lookups().suspended(),
            live_lists: live_lists(app),
        };
        readiness.warnings = readiness.find_warnings();
        let text = readiness.warnings.join("; ");
        readiness.warning = Some(text).filter(|text| !text.is_empty());
        readiness
    }

    fn find_warnings(&self) -> Vec<&'static str> {
        let is_empty = |list: &LiveListStatus| list.age_seconds.is_none();
        let is_old = |list: &LiveListStatus| !matches!(list.state, "ok" | "pending");
        let warnings = [
            (
                !self.table.held_lists.is_empty(),
                "lists lost more rows than they may; their last good rows are live",
            ),
            (self.live_lists.iter().any(is_empty), "lists were never fetched; they are empty"),
            (
                self.live_lists.iter().any(|list| is_old(list) && !is_empty(list)),
                "lists could not be fetched; their last good copies are live",
            ),
            (!self.credentials.ok, "secrets and certificates could not be reloaded"),
            (
                self.records.as_ref().is_some_and(|records| !records.ok),
                "records cannot be written; they are queued",
            ),
            (!self.suspended_lookups.is_empty(), "look-ups are suspended after failures"),
        ];
        let of_parts = warnings.into_iter().filter(|(applies, _)| *applies).map(|(_, text)| text);
        self.table.warning().into_iter().chain(of_parts).collect()
    }
}

impl TableStatus {
    /// Returns the state of the live table.
    pub fn of(app: &Switchboard) -> TableStatus {
        let (table, status) = app.live_table().table_and_status();
        let age = |at| app.now().duration_since(at).as_secs();
        let last_good = status.last_good_at.map(|saved_at| LastGoodStatus {
            saved_at: saved_at.to_string(),
            age_seconds: age(saved_at),
        });
        let isolated = status.isolated.iter().map(|file| IsolatedStatus {
            file: file.path.display().to_string(),
            left_out: file.is_left_out,
        });
        let held_lists = status.held_lists.into_iter().map(|list| {
            let HeldList { name, rows, rows_of_file } = list;
            HeldStatus { list: name, rows, rows_of_file }
        });
        let error = status.last_error.as_deref();
        TableStatus {
            fingerprint: table.fingerprint.clone(),
            rules: table.rules.len(),
            loaded_at: status.loaded_at.to_string(),
            age_seconds: age(status.loaded_at),
            last_good,
            isolated: isolated.collect(),
            held_lists: held_lists.collect(),
            last_reload: LastReload {
                ok: error.is_none(),
                at: status.last_attempt_at.to_string(),
                errors: error.map_or(0, Report::error_count),
                diagnostics: error.map(locations).unwrap_or_default(),
            },
        }
    }

    fn warning(&self) -> Option<&'static str> {
        if self.last_reload.ok {
            return None;
        }
        Some(if self.last_good.is_some() {
            "the rule table has errors; the last good one of the disk is live"
        } else if self.isolated.is_empty() {
            "the last reload failed; an older rule table is live"
        } else {
            "some files of the rule table have errors; the others are live"
        })
    }
}

impl CredentialsStatus {
    fn of(handle: Option<&ReloadHandle>) -> CredentialsStatus {
        let errors = handle.and_then(ReloadHandle::credential_errors);
        let diagnostics = errors.as_deref().map(locations).unwrap_or_default();
        CredentialsStatus { ok: errors.is_none(), diagnostics }
    }
}

impl RecordsStatus {
    /// Returns the state of the record store; `None` if records are off.
    pub fn of(app: &Switchboard) -> Option<RecordsStatus> {
        let outage = app.recorder().health()?.outage();
        Some(RecordsStatus {
            ok: outage.is_none(),
            failing_since: outage.map(|outage| outage.since.to_string()),
            waiting: app.recorder().waiting(),
        })
    }
}

fn live_lists(app: &Switchboard) -> Vec<LiveListStatus> {
    let lists = app.live_lists().statuses().into_iter().map(|list| {
        let ListStatus { name, confirmed_at, state } = list;
        let age_seconds = confirmed_at.map(|at| app.now().duration_since(at).as_secs());
        LiveListStatus { list: name, age_seconds, state }
    });
    lists.collect()
}

/// Locations of the first diagnostics, without messages: health requires no token, and a message can
/// contain a customer's phone number.
fn locations(report: &Report) -> Vec<Value> {
    const MAX_DIAGNOSTICS: usize = 20;
    let keys = ["severity", "code", "file", "line", "column"];
    let diagnostics = report.diagnostics().iter().take(MAX_DIAGNOSTICS).map(Diagnostic::to_json);
    let location = |diagnostic: Value| keys.map(|key| (key.to_owned(), diagnostic[key].clone()));
    diagnostics
        .map(|diagnostic| Value::Object(location(diagnostic).into_iter().collect()))
        .collect()
}
