//! The operator's listener: is it alive, is it ready, what has it counted, why would a call go
//! where, what was recorded; and: read the rules anew.
//!
//! On loopback by default; elsewhere only with a token. Health and readiness need none, for the
//! probes of an orchestrator have none to give. Without a token the rest is for who calls this
//! machine by a name of its own: a page in a browser here can reach loopback, too.

mod records;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::diagnostics::{Diagnostic, Report};
use crate::domain::call::{Channel, Fields};
use crate::domain::facts::Facts;
use crate::domain::phone_number::Party;
use crate::domain::secret::Secret;
use crate::explain::{Question, asking, inquire, moment_of, party_of, saved_call};
use crate::pipeline::Switchboard;
use crate::reload::{ReloadHandle, Reloaded};
use records::RecordsError;

/// What the routes share.
#[derive(Clone)]
struct AdminState {
    app: Arc<Switchboard>,
    /// None where nobody reloads.
    reload_handle: Option<ReloadHandle>,
}

/// The admin routes. Without a `reload_handle` nothing can be reloaded.
pub fn router(
    app: Arc<Switchboard>,
    reload_handle: Option<ReloadHandle>,
    token: Option<Secret>,
) -> Router {
    let token = token.map(Arc::new);
    Router::new()
        .route("/metrics", get(metrics))
        .route("/reload", post(reload))
        .route("/explain", get(explain).post(explain))
        .route("/records", get(list_records))
        .route("/records/{id}", get(one_record))
        .route_layer(middleware::from_fn_with_state(token, require_token))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .with_state(AdminState { app, reload_handle })
}

/// With a token whoever has it; without one whoever asks for this machine by a name of its own.
async fn require_token(
    State(token): State<Option<Arc<Secret>>>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    let offered = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let offered = offered.and_then(|value| value.strip_prefix(b"Bearer ")).unwrap_or_default();
    match token {
        Some(token) if !token.equals(offered) => {
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response()
        }
        None if !is_for_loopback(&headers) => problem(
            StatusCode::FORBIDDEN,
            "without admin.token only http://localhost or a loopback address is answered",
        ),
        Some(_) | None => next.run(request).await,
    }
}

/// Whether the request is not one of a page that has made its own name mean this machine (DNS
/// rebinding): a browser sends that name as the host.
fn is_for_loopback(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return true };
    let Ok(host) = Authority::try_from(host.as_bytes()) else { return false };
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

async fn health(State(office): State<AdminState>) -> Response {
    let (table, records) = (table(&office.app), records(&office.app));
    answer(StatusCode::OK, &json!({ "ok": true, "table": table, "records": records }))
}

/// Ready as long as some table answers, with a warning when it is not the newest, or when nothing
/// can be recorded: calls are answered all the same.
async fn ready(State(office): State<AdminState>) -> Response {
    let (table, records) = (table(&office.app), records(&office.app));
    let stale = table["last_reload"]["ok"] == false;
    let stale = stale.then_some("the last reload failed: an older table answers");
    let unwritten = records["ok"] == false;
    let unwritten = unwritten.then_some("records cannot be written: they wait");
    let warnings: Vec<_> = stale.into_iter().chain(unwritten).collect();
    let warning = (!warnings.is_empty()).then(|| warnings.join("; "));
    let ready = json!({ "ready": true, "warning": warning, "table": table, "records": records });
    answer(StatusCode::OK, &ready)
}

/// How the store of the records is; null where they are off. Why it is not well stands in the log:
/// it may name a host or a user.
fn records(app: &Switchboard) -> Value {
    let Some(state) = app.recorder().state() else { return Value::Null };
    let trouble = state.trouble();
    json!({
        "ok": trouble.is_none(),
        "failing_since": trouble.map(|trouble| trouble.since.to_string()),
        "waiting": app.recorder().waiting(),
    })
}

/// Which table answers, since when, and what came of the last try to replace it.
fn table(app: &Switchboard) -> Value {
    let (table, state) = app.current().table_and_status();
    let age = app.now().duration_since(state.loaded_at);
    json!({
        "fingerprint": table.fingerprint,
        "rules": table.rules.len(),
        "loaded_at": state.loaded_at.to_string(),
        "age_seconds": age.as_secs(),
        "last_reload": {
            "ok": state.last_error.is_none(),
            "at": state.last_attempt_at.to_string(),
            "errors": state.last_error.as_deref().map_or(0, Report::error_count),
            "mistakes": state.last_error.as_deref().map(places).unwrap_or_default(),
        },
    })
}

/// Where the first mistakes are. Not what they are: health needs no token, and a message may name a
/// customer's number.
fn places(report: &Report) -> Vec<Value> {
    const MOST: usize = 20;
    let keys = ["severity", "code", "file", "line", "column"];
    let mistakes = report.diagnostics().iter().take(MOST).map(Diagnostic::to_json);
    let told = |mistake: Value| keys.map(|key| (key.to_owned(), mistake[key].clone()));
    mistakes.map(|mistake| Value::Object(told(mistake).into_iter().collect())).collect()
}

async fn metrics(State(office): State<AdminState>) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4");
    ([(header::CONTENT_TYPE, kind)], office.app.counters().to_text()).into_response()
}

/// Reads the rules anew, now. 422 when they are wrong, and the old ones stay.
async fn reload(State(office): State<AdminState>) -> Response {
    let Some(reload_handle) = office.reload_handle else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "nobody reloads here");
    };
    match reload_handle.reload().await {
        Some(Reloaded { ok, report }) => {
            let status = if ok { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
            let mistakes = report.to_json();
            answer(status, &json!({ "ok": ok, "table": table(&office.app), "mistakes": mistakes }))
        }
        None => problem(StatusCode::SERVICE_UNAVAILABLE, "the service is stopping"),
    }
}

/// `GET /explain?from=…&to=…&channel=…&source=…&at=…&all=true`; or a saved body, posted.
async fn explain(State(office): State<AdminState>, uri: Uri, body: Bytes) -> Response {
    // Of a million rules the scan takes its time, which calls must not wait for.
    let explained = tokio::task::spawn_blocking(move || {
        explained(&office.app, uri.query().unwrap_or_default(), &body)
    });
    match explained.await {
        Ok(Ok(story)) => answer(StatusCode::OK, &story),
        Ok(Err(ExplainError::BadRequest(why))) => problem(StatusCode::BAD_REQUEST, &why),
        Ok(Err(ExplainError::IndexMismatch(why))) => {
            problem(StatusCode::INTERNAL_SERVER_ERROR, &why)
        }
        Err(_panic) => problem(StatusCode::INTERNAL_SERVER_ERROR, "explaining it panicked"),
    }
}

/// Calls that were answered, newest first; what the parameters are is said in [`records::list`].
async fn list_records(State(office): State<AdminState>, uri: Uri) -> Response {
    told(records::list(&office.app, uri.query().unwrap_or_default()).await)
}

/// One of them, by its id or its platform's.
async fn one_record(State(office): State<AdminState>, Path(id): Path<String>) -> Response {
    told(records::one(&office.app, &id).await)
}

fn told(told: Result<Value, RecordsError>) -> Response {
    match told {
        Ok(value) => answer(StatusCode::OK, &value),
        Err(RecordsError::BadRequest(why)) => problem(StatusCode::BAD_REQUEST, &why),
        Err(RecordsError::NotFound(why)) => problem(StatusCode::NOT_FOUND, &why),
        Err(RecordsError::Unavailable(why)) => problem(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

enum ExplainError {
    /// The question makes no sense.
    BadRequest(String),
    /// Index and scan differ.
    IndexMismatch(String),
}

fn explained(app: &Switchboard, query: &str, body: &[u8]) -> Result<Value, ExplainError> {
    let asked = ExplainQuery::read(query).map_err(ExplainError::BadRequest)?;
    let sources = app.sources();
    let source = asking(&sources, asked.source.as_deref()).map_err(ExplainError::BadRequest)?;
    let fields = match (body.is_empty(), asked.fields) {
        (true, fields) => fields.unwrap_or(Fields::unknown(Channel::Call)),
        (false, None) => saved_call(source, body.to_vec()).map_err(ExplainError::BadRequest)?,
        (false, Some(_)) => {
            let why = "say either from, to and channel, or post a body".to_owned();
            return Err(ExplainError::BadRequest(why));
        }
    };
    let table = app.table();
    let at = match asked.at {
        Some(text) => moment_of(&text, &table).map_err(ExplainError::BadRequest)?,
        None => app.now(),
    };
    let question = Question { source, fields: &fields, facts: Facts { at }, all: asked.all };
    let inquiry = inquire(&table, sources.iter().copied(), question);
    inquiry
        .map(|inquiry| inquiry.to_json())
        .map_err(|differ| ExplainError::IndexMismatch(differ.to_string()))
}

/// What the parameters say.
#[derive(Default)]
struct ExplainQuery {
    /// None when they say nothing of the call.
    fields: Option<Fields<'static>>,
    source: Option<String>,
    at: Option<String>,
    all: bool,
}

impl ExplainQuery {
    fn read(query: &str) -> Result<ExplainQuery, String> {
        let mut asked = ExplainQuery::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let fields = || Fields::unknown(Channel::Call);
            match &*name {
                "from" => asked.fields.get_or_insert_with(fields).from = party(&value)?,
                "to" => asked.fields.get_or_insert_with(fields).to = party(&value)?,
                "channel" => {
                    let found = Channel::ALL.into_iter().find(|known| known.as_str() == value);
                    let none = || format!("channel `{value}`: there are call and sms");
                    asked.fields.get_or_insert_with(fields).channel = found.ok_or_else(none)?;
                }
                "source" => asked.source = Some(value.into_owned()),
                "at" => asked.at = Some(value.into_owned()),
                "all" => {
                    asked.all = match &*value {
                        "true" | "" => true,
                        "false" => false,
                        other => return Err(format!("all `{other}`: there are true and false")),
                    }
                }
                other => {
                    let known = "there are from, to, channel, source, at, all";
                    return Err(format!("unknown parameter `{other}`: {known}"));
                }
            }
        }
        Ok(asked)
    }
}

/// In a query a `+` that nobody encoded means a space.
fn party(text: &str) -> Result<Party, String> {
    let plus = text.strip_prefix(' ').map(|rest| format!("+{rest}"));
    party_of(plus.as_deref().unwrap_or(text))
}

fn problem(status: StatusCode, detail: &str) -> Response {
    answer(status, &json!({ "error": detail }))
}

fn answer(status: StatusCode, value: &Value) -> Response {
    let kind = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, kind)], value.to_string()).into_response()
}
