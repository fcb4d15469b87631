//! `/change`: an edit of the rule files is checked, replayed with recorded calls, and applied.
//!
//! Nothing is kept on the server between the steps: each form carries the texts, the version of the files that
//! they were made from, and after a check a hash of what was checked.

mod form;
mod history;
mod list;
mod preview;
mod workbench;

use askama::Template;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::access::Reader;
use super::page::{Editor, Frame, HtmlPage, PageError, PageSection, Parameters, with_problem};
use super::state::Console;
use crate::http::HttpProblem;
use crate::records::{RuleAction, RuleChange};
use crate::rule_changes::{
    Author, CarryOutError, ChangePlan, Grid, Mistake, RuleFileKind, TableNames, Versions,
    carry_out, store_of,
};
use form::{Draft, FormFields, text_hash};
use preview::{DiffView, Preview};
use workbench::{Workbench, differences};

/// Days of calls that are replayed unless the form says otherwise.
const DAYS: u32 = 7;
/// Choices of days.
const CHOICES: [u32; 4] = [1, 7, 30, 90];
/// Largest text that is sent to a page.
const MAX_SHOWN_BYTES: usize = 512 << 10;

/// Largest body of a form: texts that are escaped for a form can be three times as long.
const MAX_FORM_BYTES: usize = 8 << 20;

/// Returns the routes of an edit.
pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/change", get(show))
        .route("/change/check", post(check).get(async || Redirect::to("/change")))
        .route("/change/lint", post(lint))
        .route("/change/apply", post(apply).get(async || Redirect::to("/change")))
        .route("/change/download", post(download_typed))
        .route("/change/file", get(download))
        .route("/change/schema", get(schema))
        .route("/change/list", get(list::edit).post(list::save))
        .route("/change/versions", get(history::list))
        .route("/change/versions/{fingerprint}", get(history::show).post(history::back))
        .route("/change/versions/{fingerprint}/restore", post(history::restore))
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES))
}

#[derive(Template)]
#[template(path = "change/change.html")]
struct ChangePage {
    frame: Frame,
    csrf: String,
    is_editor: bool,
    /// Version of the files that the texts were made from.
    version: String,
    files: Vec<FileView>,
    is_folder: bool,
    new_name: String,
    new_text: String,
    days: u32,
    note: String,
    /// Line to go to in the file that is open.
    line: Option<u32>,
    /// Names for completion, as JSON.
    names: String,
    /// Reason for which nothing can be applied here.
    refusal: Option<String>,
    /// The live table is not that of the files.
    is_live: bool,
    problem: Option<String>,
    /// The texts are an edit that is not applied.
    is_draft: bool,
    conflict: Vec<DiffView>,
    preview: Option<Preview>,
    /// The change that was applied.
    done: Option<RuleChange>,
}

/// A file in the editor.
struct FileView {
    name: String,
    /// Number in the page, for ids.
    number: usize,
    text: String,
    /// Hash of the text of the file, by which a form tells whether it was edited.
    sent: String,
    /// Mode of the editor: `toml`, or none.
    mode: &'static str,
    kind: &'static str,
    is_open: bool,
    is_editable: bool,
    /// Too large for a page.
    is_large: bool,
    size: String,
    is_changed: bool,
    /// Link to the grid, if the list can be edited as one.
    grid: Option<String>,
    can_remove: bool,
    is_removed: bool,
}

impl ChangePage {
    fn choices(&self) -> impl Iterator<Item = u32> {
        CHOICES.into_iter()
    }
}

/// Query parameters of the page.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ChangeQuery {
    /// File to open.
    file: Option<String>,
    /// Line of the file to go to.
    line: Option<u32>,
    /// The change that was just applied.
    done: Option<Uuid>,
}

/// Shows the files.
pub(super) async fn show(
    State(console): State<Console>,
    reader: Reader,
    Parameters(query): Parameters<ChangeQuery>,
) -> Result<Response, PageError> {
    let bench = Workbench::open(&console).await?;
    let mut page = ChangePage::new(&console, &bench, &reader, None);
    page.open(query.file.as_deref());
    page.line = query.line;
    if let Some(id) = query.done {
        let changes = match console.app.recorder().store() {
            Ok(store) => store.rule_changes().await?,
            Err(_) => Vec::new(),
        };
        page.done = changes.into_iter().find(|change| change.id == id);
    }
    Ok(HtmlPage(page).into_response())
}

impl ChangePage {
    fn new(
        console: &Console,
        bench: &Workbench,
        reader: &Reader,
        draft: Option<&Draft>,
    ) -> ChangePage {
        let table = console.app.live_table().shared_table();
        ChangePage {
            frame: Frame::new("Change", PageSection::Change, reader),
            csrf: reader.csrf.clone(),
            is_editor: reader.is_editor(),
            version: bench.files.version(),
            files: FileView::all(bench, reader, draft),
            is_folder: bench.files.is_folder(),
            new_name: draft.map(|draft| draft.new_name.clone()).unwrap_or_default(),
            new_text: draft.map(|draft| draft.new_text.clone()).unwrap_or_default(),
            days: draft.map_or(DAYS, |draft| draft.days),
            note: draft.map(|draft| draft.note.clone()).unwrap_or_default(),
            line: None,
            names: serde_json::to_string(&TableNames::of(&table)).unwrap_or_default(),
            refusal: bench.refusal.clone(),
            is_live: table.fingerprint == bench.files.fingerprint(),
            problem: None,
            is_draft: draft.is_some(),
            conflict: Vec::new(),
            preview: None,
            done: None,
        }
    }

    /// Opens the file with this name, and those that have changed; or the first one.
    fn open(&mut self, name: Option<&str>) {
        for file in &mut self.files {
            file.is_open = file.is_changed || Some(file.name.as_str()) == name;
        }
        if !self.files.iter().any(|file| file.is_open)
            && let Some(first) = self.files.first_mut()
        {
            first.is_open = true;
        }
    }
}

impl FileView {
    fn all(bench: &Workbench, reader: &Reader, draft: Option<&Draft>) -> Vec<FileView> {
        let files = bench.files.files();
        let rules = files.iter().filter(|file| file.kind == RuleFileKind::Rules).count();
        let view = |(number, file): (usize, &crate::rule_changes::RuleFile<'_>)| {
            let typed = draft.and_then(|draft| draft.texts.get(&file.name));
            let text = typed.map_or(file.text, String::as_str);
            let is_large = text.len() > MAX_SHOWN_BYTES;
            let is_editable = file.kind.is_editable() && reader.is_editor();
            let has_grid = is_editable && typed.is_none() && Grid::parse(&file.name, text).is_ok();
            FileView {
                name: file.name.clone(),
                number,
                sent: text_hash(file.text),
                text: if is_large { String::new() } else { reader.text(text).into_owned() },
                mode: if file.kind == RuleFileKind::Rules { "toml" } else { "" },
                kind: match file.kind {
                    RuleFileKind::Rules => "rules",
                    RuleFileKind::List => "list",
                    RuleFileKind::Other => "calendar",
                    RuleFileKind::Outside => "outside of the folder of the rules",
                    RuleFileKind::Copy => "copy of a list that lives elsewhere",
                },
                is_open: false,
                is_editable: is_editable && !is_large,
                is_large,
                size: size(text.len()),
                is_changed: text != file.text,
                grid: has_grid.then(|| link("/change/list", &file.name)),
                can_remove: is_editable
                    && bench.files.is_folder()
                    && file.kind == RuleFileKind::Rules
                    && rules > 1,
                is_removed: draft.is_some_and(|draft| draft.removed.contains(&file.name)),
            }
        };
        let mut views: Vec<FileView> = files.iter().enumerate().map(view).collect();
        // Texts of files that someone else has removed.
        let typed = draft.iter().flat_map(|draft| &draft.texts);
        for (name, text) in typed.filter(|(name, _)| bench.files.find(name).is_none()) {
            views.push(FileView {
                name: name.clone(),
                number: views.len(),
                sent: String::new(),
                text: text.clone(),
                mode: "",
                kind: "no file of the rules",
                is_open: false,
                is_editable: true,
                is_large: false,
                size: size(text.len()),
                is_changed: true,
                grid: None,
                can_remove: false,
                is_removed: false,
            });
        }
        views
    }

    /// Link to the file as it is on disk.
    fn download(&self) -> String {
        link("/change/file", &self.name)
    }
}

fn size(bytes: usize) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        _ => format!("{} KB", bytes / 1024),
    }
}

fn link(path: &str, file: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new());
    format!("{path}?{}", { query }.append_pair("file", file).finish())
}

/// Checks the texts of a form and replays calls with them.
pub(super) async fn check(
    State(console): State<Console>,
    Editor(reader): Editor,
    fields: FormFields,
) -> Result<Response, PageError> {
    let bench = Workbench::open(&console).await?;
    let draft = Draft::read(&fields, &bench.files);
    render(&console, bench, &reader, draft, None).await
}

/// Renders the page with the typed texts, and with what they would change.
async fn render(
    console: &Console,
    bench: Workbench,
    reader: &Reader,
    draft: Draft,
    problem: Option<HttpProblem>,
) -> Result<Response, PageError> {
    let mut page = ChangePage::new(console, &bench, reader, Some(&draft));
    page.open(None);
    let plan = draft.plan(&bench.files);
    if draft.version != bench.files.version() {
        let message = bench.conflict_message(console).await;
        if let Ok(plan) = plan {
            page.conflict = conflict(&bench, &plan, reader).await?;
        }
        page.problem = Some(message.clone());
        return Ok(with_problem(HttpProblem::Conflict(message), page));
    }
    let plan = match plan {
        Ok(plan) => plan,
        Err(error) => {
            page.problem = Some(error.to_string());
            return Ok(with_problem(HttpProblem::Invalid(error.to_string()), page));
        }
    };
    let mut preview = Preview::of(console, bench, plan, draft.days, reader).await?;
    for mistake in &mut preview.mistakes {
        let name = mistake.mistake.file.as_deref();
        let file = page.files.iter().find(|file| Some(&*file.name) == name);
        mistake.anchor = file.map(|file| format!("file-{}", file.number)).unwrap_or_default();
    }
    page.problem = problem.as_ref().map(ToString::to_string).or_else(|| preview.problem());
    page.preview = Some(preview);
    Ok(match problem {
        Some(problem) => with_problem(problem, page),
        None => HtmlPage(page).into_response(),
    })
}

/// Returns how the typed texts differ from the files as they are now.
async fn conflict(
    bench: &Workbench,
    plan: &ChangePlan,
    reader: &Reader,
) -> Result<Vec<DiffView>, HttpProblem> {
    let changed = differences(bench.files.texts(), plan.texts_after(&bench.files)).await?;
    Ok(changed.iter().map(|file| DiffView::new(file, reader)).collect())
}

/// Checks texts while they are typed. Returns the mistakes as JSON.
pub(super) async fn lint(
    State(console): State<Console>,
    Editor(_): Editor,
    fields: FormFields,
) -> Result<Json<Value>, PageError> {
    let bench = Workbench::open(&console).await?;
    let draft = Draft::read(&fields, &bench.files);
    let is_current = draft.version == bench.files.version();
    let plan = draft.plan(&bench.files);
    let plan = plan.map_err(|error| HttpProblem::Invalid(error.to_string()))?;
    let checked = bench.check(&console, plan).await?;
    let mistakes: &[Mistake] = &checked.checked.mistakes;
    let names = checked.checked.table.as_ref().map(TableNames::of);
    Ok(Json(json!({
        "mistakes": mistakes,
        "errors": checked.checked.errors,
        "warnings": checked.checked.warnings,
        "tests": checked.checked.tests,
        "names": names,
        "is_current": is_current,
    })))
}

/// Applies the texts of a form that were checked before.
pub(super) async fn apply(
    State(console): State<Console>,
    Editor(reader): Editor,
    fields: FormFields,
) -> Result<Response, PageError> {
    let bench = Workbench::open(&console).await?;
    let draft = Draft::read(&fields, &bench.files);
    let plan = match draft.plan(&bench.files) {
        Ok(plan) if draft.version == bench.files.version() => plan,
        Ok(_) | Err(_) => return render(&console, bench, &reader, draft, None).await,
    };
    if !bench.is_checked(&plan, &draft.checked) {
        let message = "the texts differ from those that were checked: look at what they would \
                       change, then apply them";
        let problem = HttpProblem::Invalid(message.to_owned());
        return render(&console, bench, &reader, draft, Some(problem)).await;
    }
    let note = draft.note.clone();
    match carry_out_now(&console, bench, plan, RuleAction::Apply, &reader, note).await {
        Ok(change) => Ok(Redirect::to(&format!("/change?done={}", change.id)).into_response()),
        Err(problem) => {
            let bench = Workbench::open(&console).await?;
            render(&console, bench, &reader, draft, Some(problem)).await
        }
    }
}

/// Returns the time at which the live table was loaded, if it has this fingerprint.
fn loaded_at(console: &Console, fingerprint: &str) -> Option<Timestamp> {
    let (table, status) = console.app.live_table().table_and_status();
    (table.fingerprint == fingerprint).then_some(status.loaded_at)
}

/// Checks a plan once more, carries it out, and reloads the rules.
async fn carry_out_now(
    console: &Console,
    bench: Workbench,
    plan: ChangePlan,
    action: RuleAction,
    reader: &Reader,
    note: String,
) -> Result<RuleChange, HttpProblem> {
    if let Some(refusal) = bench.refusal {
        return Err(HttpProblem::Unavailable(refusal));
    }
    let checked = bench.check(console, plan).await?;
    let Some(table) = checked.checked.table else {
        return Err(HttpProblem::Invalid("the rules have errors".to_owned()));
    };
    let fingerprint = table.fingerprint;
    let author = Author { who: reader.name.clone(), note, at: console.app.now() };
    let console = console.clone();
    // A browser that goes away must not leave half a change.
    let done = tokio::spawn(async move {
        let recorder = console.app.recorder();
        let store = store_of(recorder)?;
        let since = loaded_at(&console, checked.files.fingerprint());
        let versions = Versions::new(&store, recorder.numbers()).live_since(since);
        let (files, plan) = (checked.files, checked.plan);
        let change = carry_out(files, plan, &fingerprint, action, author, versions).await?;
        if let Some(handle) = &console.reload_handle {
            // The page that follows shows the result.
            drop(handle.reload().await);
        }
        Ok::<_, CarryOutError>(change)
    });
    let done = done.await.map_err(|panic| HttpProblem::Internal(panic.to_string()))?;
    done.map_err(|error| match error {
        CarryOutError::Conflict => HttpProblem::Conflict(error.to_string()),
        CarryOutError::NotKept(_)
        | CarryOutError::Read(_)
        | CarryOutError::Store(_)
        | CarryOutError::Write(_) => HttpProblem::Unavailable(error.to_string()),
    })
}

/// Sends a file as it was typed.
pub(super) async fn download_typed(
    State(console): State<Console>,
    Editor(_): Editor,
    fields: FormFields,
) -> Result<Response, PageError> {
    let bench = Workbench::open(&console).await?;
    let wanted = fields.get("download").unwrap_or_default().to_owned();
    let draft = Draft::read(&fields, &bench.files);
    let text = draft.texts.get(&wanted).map(String::as_str);
    let text = text.or_else(|| (draft.new_name == wanted).then_some(draft.new_text.as_str()));
    let kept = bench.files.find(&wanted);
    let text = text.or(kept.as_ref().map(|file| file.text));
    let text = text.ok_or_else(|| HttpProblem::NotFound("no such file".to_owned()))?;
    Ok(attachment(&wanted, text.to_owned()))
}

/// Sends a file as it is on disk.
pub(super) async fn download(
    State(console): State<Console>,
    Editor(_): Editor,
    Parameters(query): Parameters<ChangeQuery>,
) -> Result<Response, PageError> {
    let bench = Workbench::open(&console).await?;
    let file = query.file.as_deref().and_then(|name| bench.files.find(name));
    let file = file.ok_or_else(|| HttpProblem::NotFound("no such file".to_owned()))?;
    Ok(attachment(&file.name, file.text.to_owned()))
}

fn attachment(name: &str, text: String) -> Response {
    let name = name.rsplit('/').next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{name}\""));
    let disposition = disposition.unwrap_or(HeaderValue::from_static("attachment"));
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    ([(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, disposition)], text).into_response()
}

/// Sends the JSON Schema of a rule table, for completion.
pub(super) async fn schema(_: Reader) -> Response {
    let keep = (header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=600"));
    ([keep], Json(crate::rules::json_schema())).into_response()
}
