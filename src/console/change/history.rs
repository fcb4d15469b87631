//! `/change/versions`: the versions of the rule files, what each changed, and the way back.

use std::collections::BTreeMap;
use std::path::Path as FilePath;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};

use super::form::FormFields;
use super::preview::{DiffView, Preview, local};
use super::workbench::{Workbench, differences};
use super::{CHOICES, DAYS, carry_out_now};
use crate::console::access::Reader;
use crate::console::page::{Editor, Frame, HtmlPage, PageError, PageSection, with_problem};
use crate::console::state::Console;
use crate::http::HttpProblem;
use crate::records::{RuleAction, RuleChange, RuleSnapshot, Store};
use crate::rule_changes::ChangePlan;
use crate::rules::{Snapshot, is_list_copy};

/// Maximum number of versions on a page.
const MAX_VERSIONS: usize = 200;

#[derive(Template)]
#[template(path = "change/versions.html")]
struct VersionsPage {
    frame: Frame,
    zone: String,
    versions: Vec<VersionRow>,
    more: usize,
    /// Reason for which there are no versions.
    problem: Option<String>,
}

/// A stored version.
struct VersionRow {
    fingerprint: String,
    short: String,
    /// Time at which it became live last.
    at: String,
    who: String,
    action: &'static str,
    note: String,
    is_current: bool,
}

#[derive(Template)]
#[template(path = "change/version.html")]
struct VersionPage {
    frame: Frame,
    csrf: String,
    is_editor: bool,
    version: VersionRow,
    /// The version before it.
    before: Option<String>,
    diffs: Vec<DiffView>,
    is_edited: bool,
    /// Version of the files on disk.
    files_version: String,
    refusal: Option<String>,
    problem: Option<String>,
    days: u32,
    note: String,
    preview: Option<Preview>,
}

impl VersionPage {
    fn choices(&self) -> impl Iterator<Item = u32> {
        CHOICES.into_iter()
    }
}

/// Lists the versions, newest first.
pub(in crate::console) async fn list(
    State(console): State<Console>,
    reader: Reader,
) -> Result<Response, PageError> {
    let zone = console.app.table().zone.clone();
    let mut page = VersionsPage {
        frame: Frame::new("Versions of the rules", PageSection::Change, &reader),
        zone: crate::console::calls::zone_name(&zone),
        versions: Vec::new(),
        more: 0,
        problem: None,
    };
    let store = match console.app.recorder().store() {
        Ok(store) => store,
        Err(reason) => {
            page.problem = Some(reason.to_string());
            return Ok(with_problem(reason.into(), page));
        }
    };
    let current = Workbench::open(&console).await?.files.fingerprint().to_owned();
    let changes = store.rule_changes().await?;
    let mut versions = store.stored_versions().await?;
    page.more = versions.len().saturating_sub(MAX_VERSIONS);
    versions.truncate(MAX_VERSIONS);
    let row = |(fingerprint, at): (String, jiff::Timestamp)| {
        let at = local(at, &zone);
        VersionRow::new(fingerprint, at, &changes, &current, &reader)
    };
    page.versions = versions.into_iter().map(row).collect();
    Ok(HtmlPage(page).into_response())
}

impl VersionRow {
    fn new(
        fingerprint: String,
        at: String,
        changes: &[RuleChange],
        current: &str,
        reader: &Reader,
    ) -> VersionRow {
        let change = changes.iter().find(|change| change.new_fingerprint == fingerprint);
        VersionRow {
            short: fingerprint.get(..7).unwrap_or(&fingerprint).to_owned(),
            at,
            who: change.map(|change| change.who.clone()).unwrap_or_default(),
            action: change.map_or("an edit of the files", |change| match change.action {
                RuleAction::Apply => "applied",
                RuleAction::Restore => "restored",
            }),
            note: change.map(|change| reader.text(&change.note).into_owned()).unwrap_or_default(),
            is_current: fingerprint == current,
            fingerprint,
        }
    }
}

/// A stored version with the files as they are now.
struct Found {
    store: std::sync::Arc<Store>,
    snapshot: RuleSnapshot,
    bench: Workbench,
}

async fn find(console: &Console, fingerprint: &str) -> Result<Found, PageError> {
    let store = console.app.recorder().store()?;
    let snapshot = store.rule_snapshot(fingerprint).await?;
    let snapshot = snapshot
        .ok_or_else(|| HttpProblem::NotFound("this version is not stored any more".to_owned()))?;
    Ok(Found { store, snapshot, bench: Workbench::open(console).await? })
}

/// Shows what a version changed, and how to go back to it.
pub(in crate::console) async fn show(
    State(console): State<Console>,
    reader: Reader,
    Path(fingerprint): Path<String>,
) -> Result<Response, PageError> {
    let found = find(&console, &fingerprint).await?;
    let page = VersionPage::new(&console, &found, &reader).await?;
    Ok(HtmlPage(page).into_response())
}

impl VersionPage {
    async fn new(
        console: &Console,
        found: &Found,
        reader: &Reader,
    ) -> Result<VersionPage, PageError> {
        let Found { store, snapshot, bench } = found;
        let changes = store.rule_changes().await?;
        let before = before(store, &changes, snapshot).await?;
        let zone = console.app.table().zone.clone();
        let (at, fingerprint) = (local(snapshot.at, &zone), snapshot.fingerprint.clone());
        let current = bench.files.fingerprint();
        let version = VersionRow::new(fingerprint, at, &changes, current, reader);
        let old = before.as_ref().map(|before| texts(&before.files)).unwrap_or_default();
        let diffs = match before {
            Some(_) => differences(old, texts(&snapshot.files)).await?,
            None => Vec::new(),
        };
        Ok(VersionPage {
            frame: Frame::new(format!("Version {}", version.short), PageSection::Change, reader),
            csrf: reader.csrf.clone(),
            is_editor: reader.is_editor(),
            before: before.as_ref().map(|before| before.fingerprint.clone()),
            diffs: diffs.iter().map(|file| DiffView::new(file, reader)).collect(),
            is_edited: snapshot.files.is_edited(),
            files_version: bench.files.version(),
            refusal: bench.refusal.clone(),
            problem: None,
            days: DAYS,
            note: String::new(),
            preview: None,
            version,
        })
    }
}

/// Returns the version before a version: that of the change which led to it, or the one that was live before.
async fn before(
    store: &Store,
    changes: &[RuleChange],
    snapshot: &RuleSnapshot,
) -> Result<Option<RuleSnapshot>, PageError> {
    let change = changes.iter().find(|change| change.new_fingerprint == snapshot.fingerprint);
    if let Some(change) = change {
        return Ok(store.rule_snapshot(&change.old_fingerprint).await?);
    }
    let versions = store.stored_versions().await?;
    let older = versions.iter().find(|(_, at)| *at < snapshot.at);
    match older {
        Some((fingerprint, _)) => Ok(store.rule_snapshot(fingerprint).await?),
        None => Ok(None),
    }
}

/// Returns the texts of a stored version by their names in its folder.
fn texts(files: &Snapshot) -> BTreeMap<String, &str> {
    let folder = files.rules().first().and_then(|path| path.parent());
    let folder = folder.unwrap_or(FilePath::new(""));
    let paths = files.paths().filter(|path| !is_list_copy(path));
    paths
        .map(|path| {
            let name = path.strip_prefix(folder).unwrap_or(path);
            (name.display().to_string(), files.text(path).unwrap_or_default())
        })
        .collect()
}

/// Plans the way back to a version.
fn plan(found: &Found) -> Result<ChangePlan, HttpProblem> {
    let files = &found.bench.files;
    let plan = ChangePlan::of_version(files.path(), &found.snapshot.files);
    let plan = plan.map_err(HttpProblem::Invalid)?;
    match plan.outside(files) {
        Some(path) => Err(HttpProblem::Invalid(format!(
            "{} is outside of the folder of the rules: `switchboard rules restore` restores it",
            path.display()
        ))),
        None => Ok(plan),
    }
}

/// Shows what the way back to a version would change.
pub(in crate::console) async fn back(
    State(console): State<Console>,
    Editor(reader): Editor,
    Path(fingerprint): Path<String>,
    fields: FormFields,
) -> Result<Response, PageError> {
    let found = find(&console, &fingerprint).await?;
    render(&console, found, &reader, &fields, None).await
}

async fn render(
    console: &Console,
    found: Found,
    reader: &Reader,
    fields: &FormFields,
    problem: Option<HttpProblem>,
) -> Result<Response, PageError> {
    let mut page = VersionPage::new(console, &found, reader).await?;
    let days = fields.get("days").and_then(|days| days.parse().ok());
    page.days = days.filter(|days| CHOICES.contains(days)).unwrap_or(DAYS);
    page.note = fields.get("note").unwrap_or_default().trim().to_owned();
    let problem = match plan(&found) {
        Ok(plan) => {
            let preview = Preview::of(console, found.bench, plan, page.days, reader).await?;
            page.problem = preview.problem();
            page.preview = Some(preview);
            problem
        }
        Err(refused) => Some(refused),
    };
    page.problem = problem.as_ref().map(ToString::to_string).or(page.problem);
    Ok(match problem {
        Some(problem) => with_problem(problem, page),
        None => HtmlPage(page).into_response(),
    })
}

/// Goes back to a version.
pub(in crate::console) async fn restore(
    State(console): State<Console>,
    Editor(reader): Editor,
    Path(fingerprint): Path<String>,
    fields: FormFields,
) -> Result<Response, PageError> {
    let found = find(&console, &fingerprint).await?;
    let Ok(plan) = plan(&found) else {
        return render(&console, found, &reader, &fields, None).await;
    };
    if !found.bench.is_checked(&plan, fields.get("checked").unwrap_or_default()) {
        let message = "the files have changed since the check: look at what would change now";
        let problem = HttpProblem::Conflict(message.to_owned());
        return render(&console, found, &reader, &fields, Some(problem)).await;
    }
    let note = fields.get("note").unwrap_or_default().to_owned();
    let done = carry_out_now(&console, found.bench, plan, RuleAction::Restore, &reader, note);
    match done.await {
        Ok(change) => Ok(Redirect::to(&format!("/change?done={}", change.id)).into_response()),
        Err(problem) => {
            let found = find(&console, &fingerprint).await?;
            render(&console, found, &reader, &fields, Some(problem)).await
        }
    }
}
