//! `/change/versions`: the versions of the rule files, what each changed, and the way back.

use std::collections::BTreeMap;
use std::path::Path as FilePath;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::tz::TimeZone;
use serde::Deserialize;
use uuid::Uuid;

use super::form::FormFields;
use super::preview::{DiffView, Preview, local};
use super::workbench::{Workbench, differences};
use super::{CHOICES, DAYS, carry_out_now};
use crate::console::access::Reader;
use crate::console::page::{
    Editor, Frame, HtmlPage, PageError, PageSection, Parameters, with_problem,
};
use crate::console::state::Console;
use crate::http::HttpProblem;
use crate::records::{RuleAction, RuleSnapshot, RuleStep, Store, rule_history};
use crate::rule_changes::ChangePlan;
use crate::rules::{Snapshot, is_list_copy};

/// Maximum number of steps on a page.
const MAX_STEPS: usize = 200;

#[derive(Template)]
#[template(path = "change/versions.html")]
struct VersionsPage {
    frame: Frame,
    zone: String,
    steps: Vec<StepRow>,
    more: usize,
    /// Reason for which there are no versions.
    problem: Option<String>,
}

/// A version that became live: by a change, or by other means.
struct StepRow {
    fingerprint: String,
    short: String,
    /// The change that led to it.
    change: Option<Uuid>,
    /// The version before that change, in short.
    after: Option<String>,
    /// Time of the change, or the last time at which the version became live.
    at: String,
    who: String,
    action: &'static str,
    note: String,
    /// The files on disk are those of this version, and no later step led to it.
    is_current: bool,
}

/// Query parameters of the page of a version.
#[derive(Debug, Default, Deserialize)]
pub(in crate::console) struct VersionQuery {
    /// The change to show, of those that led to the version; the newest one without it.
    change: Option<Uuid>,
}

#[derive(Template)]
#[template(path = "change/version.html")]
struct VersionPage {
    frame: Frame,
    csrf: String,
    is_editor: bool,
    version: StepRow,
    /// The other times at which the files became those of this version.
    others: Vec<StepRow>,
    /// The version before it.
    before: Option<String>,
    diffs: Vec<DiffView>,
    is_edited: bool,
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
        steps: Vec::new(),
        more: 0,
        problem: None,
    };
    let store = match console.store().await {
        Ok(store) => store,
        Err(reason) => {
            page.problem = Some(reason.to_string());
            return Ok(with_problem(reason.into(), page));
        }
    };
    let current = Workbench::open(&console).await?.files.fingerprint().to_owned();
    let steps = history(&store).await?;
    page.more = steps.len().saturating_sub(MAX_STEPS);
    page.steps = StepRow::all(&steps, &current, &zone, &reader);
    page.steps.truncate(MAX_STEPS);
    Ok(HtmlPage(page).into_response())
}

async fn history(store: &Store) -> Result<Vec<RuleStep>, PageError> {
    Ok(rule_history(&store.rule_changes().await?, &store.stored_versions().await?))
}

impl StepRow {
    fn all(steps: &[RuleStep], current: &str, zone: &TimeZone, reader: &Reader) -> Vec<StepRow> {
        let newest = steps.iter().position(|step| step.fingerprint == current);
        let row = |(number, step)| StepRow::new(step, Some(number) == newest, zone, reader);
        steps.iter().enumerate().map(row).collect()
    }

    fn new(step: &RuleStep, is_current: bool, zone: &TimeZone, reader: &Reader) -> StepRow {
        let change = step.change.as_ref();
        StepRow {
            short: short(&step.fingerprint).to_owned(),
            change: step.change_id(),
            after: change.map(|change| short(&change.old_fingerprint).to_owned()),
            at: local(step.at, zone),
            who: change.map(|change| reader.text(&change.who).into_owned()).unwrap_or_default(),
            action: change.map_or("an edit of the files", |change| match change.action {
                RuleAction::Apply => "applied",
                RuleAction::Restore => "restored",
            }),
            note: change.map(|change| reader.text(&change.note).into_owned()).unwrap_or_default(),
            is_current,
            fingerprint: step.fingerprint.clone(),
        }
    }

    /// Link to the page with what this step changed.
    fn link(&self) -> String {
        let change = self.change.map(|id| format!("?change={id}"));
        format!("/change/versions/{}{}", self.fingerprint, change.unwrap_or_default())
    }
}

/// Returns the beginning of a fingerprint, which identifies a version as well as the whole of it.
fn short(fingerprint: &str) -> &str {
    fingerprint.get(..7).unwrap_or(fingerprint)
}

/// A stored version with the files as they are now.
struct Found {
    store: std::sync::Arc<Store>,
    snapshot: RuleSnapshot,
    bench: Workbench,
}

async fn find(console: &Console, fingerprint: &str) -> Result<Found, PageError> {
    let store = console.store().await?;
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
    Parameters(query): Parameters<VersionQuery>,
) -> Result<Response, PageError> {
    let found = find(&console, &fingerprint).await?;
    let page = VersionPage::new(&console, &found, &reader, query.change).await?;
    Ok(HtmlPage(page).into_response())
}

impl VersionPage {
    /// `change` is one of those that led to the version, in place of the newest step.
    async fn new(
        console: &Console,
        found: &Found,
        reader: &Reader,
        change: Option<Uuid>,
    ) -> Result<VersionPage, PageError> {
        let Found { store, snapshot, bench } = found;
        let steps = history(store).await?;
        let is_of_version = |step: &RuleStep| step.fingerprint == snapshot.fingerprint;
        let is_wanted = |step: &RuleStep| {
            is_of_version(step) && change.is_none_or(|id| step.change_id() == Some(id))
        };
        let shown = steps.iter().position(is_wanted);
        let shown = shown.ok_or_else(|| {
            HttpProblem::NotFound("this change of the version is not stored".to_owned())
        })?;
        let before = before(store, &steps, shown).await?;
        let zone = console.app.table().zone.clone();
        let is_current = snapshot.fingerprint == bench.files.fingerprint();
        let version = StepRow::new(&steps[shown], is_current, &zone, reader);
        let others = steps.iter().enumerate().filter(|(number, _)| *number != shown);
        let others = others
            .filter(|(_, step)| is_of_version(step))
            .map(|(_, step)| StepRow::new(step, is_current, &zone, reader));
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
            diffs: diffs.into_iter().map(|file| DiffView::new(file, reader)).collect(),
            is_edited: snapshot.files.is_edited(),
            refusal: bench.refusal.clone(),
            problem: None,
            days: DAYS,
            note: String::new(),
            preview: None,
            others: others.collect(),
            version,
        })
    }
}

/// Returns the version before a step: that from which the change led, or that of the step before.
async fn before(
    store: &Store,
    steps: &[RuleStep],
    shown: usize,
) -> Result<Option<RuleSnapshot>, PageError> {
    let old = match &steps[shown].change {
        Some(change) => Some(&change.old_fingerprint),
        None => steps.get(shown + 1).map(|step| &step.fingerprint),
    };
    Ok(match old {
        Some(old) => store.rule_snapshot(old).await?,
        None => None,
    })
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
    let mut page = VersionPage::new(console, &found, reader, None).await?;
    page.days = fields.days();
    page.note = fields.note();
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
    let note = fields.note();
    let done = carry_out_now(&console, found.bench, plan, RuleAction::Restore, &reader, note);
    match done.await {
        Ok(change) => Ok(Redirect::to(&format!("/change?done={}", change.id)).into_response()),
        Err(problem) => {
            let found = find(&console, &fingerprint).await?;
            render(&console, found, &reader, &fields, Some(problem)).await
        }
    }
}
