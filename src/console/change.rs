//! `/change`: an edit of the rule files is checked, replayed with recorded calls, and applied.
//!
//! Nothing is kept on the server between the steps: each form carries the texts, the version of the files that
//! they were made from, and after a check a hash of what was checked.

mod file_view;
mod form;
mod history;
mod list;
mod preview;
mod workbench;

use std::fs::File;
use std::io::{self, Read};

use askama::Template;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::access::Reader;
use super::page::{
    Editor, Frame, HtmlPage, PageError, PageSection, Parameters, off_thread, panicked,
    with_problem, with_query,
};
use super::state::Console;
use crate::http::HttpProblem;
use crate::records::{RuleAction, RuleChange};
use crate::rule_changes::{
    Author, CarryOutError, ChangePlan, Mistake, RuleFile, RuleFileKind, TableNames, Versions,
    carry_out, store_of,
};
use file_view::FileView;
use form::{Draft, FormFields};
use preview::{DiffView, Preview};
use workbench::{Workbench, differences};

/// Days of calls that are replayed unless the form says otherwise.
const DAYS: u32 = 7;
/// Choices of days.
const CHOICES: [u32; 4] = [1, 7, 30, 90];
/// Largest body of a form: texts that are escaped for a form can be three times as long.
const MAX_FORM_BYTES: usize = 8 << 20;
/// Part of a file that is sent at once.
const CHUNK_BYTES: usize = 256 << 10;

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

fn link(path: &str, file: &str) -> String {
    with_query(path, &[("file", file)])
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
    Ok(changed.into_iter().map(|file| DiffView::new(file, reader)).collect())
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
            drop(handle.reload_for(&change.who).await);
        }
        Ok::<_, CarryOutError>(change)
    });
    let done = done.await.map_err(|_panic| panicked())?;
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
    match (text, bench.files.find(&wanted)) {
        (Some(text), _) => Ok(attachment(&wanted, Body::from(text.to_owned()))),
        (None, Some(file)) => on_disk(&file).await,
        (None, None) => Err(HttpProblem::NotFound("no such file".to_owned()).into()),
    }
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
    on_disk(&file).await
}

/// Sends a file, whose bytes may be those of another encoding.
async fn on_disk(file: &RuleFile<'_>) -> Result<Response, PageError> {
    let RuleFileKind::NotHeld(_) = file.kind else {
        return Ok(attachment(&file.name, Body::from(file.text.to_owned())));
    };
    let opened = file.open().map_err(|error| {
        HttpProblem::Unavailable(format!("{} cannot be read: {error}", file.name))
    })?;
    let chunks = stream::try_unfold(opened, async |opened| {
        let read = off_thread(move || chunk(opened)).await;
        read.map_err(|problem| io::Error::other(problem.to_string()))?
    });
    let mut response = attachment(&file.name, Body::from_stream(chunks));
    let kind = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

/// Reads the next part of a file; `None` at its end.
fn chunk(mut file: File) -> io::Result<Option<(Vec<u8>, File)>> {
    let mut bytes = vec![0; CHUNK_BYTES];
    let read = file.read(&mut bytes)?;
    bytes.truncate(read);
    Ok((read > 0).then_some((bytes, file)))
}

fn attachment(name: &str, body: Body) -> Response {
    let name = name.rsplit('/').next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{name}\""));
    let disposition = disposition.unwrap_or(HeaderValue::from_static("attachment"));
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    ([(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, disposition)], body).into_response()
}

/// Sends the JSON Schema of a rule table, for completion.
pub(super) async fn schema(_: Reader) -> Response {
    let keep = (header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=600"));
    ([keep], Json(crate::rules::json_schema())).into_response()
}
