//! The operator's listener: is it alive, is it ready, what has it counted, why would a call go
//! where; and: read the rules anew.
//!
//! On loopback by default; elsewhere only with a token. Health and readiness need none, for the
//! probes of an orchestrator have none to give.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::call::{Channel, Fields};
use crate::facts::Facts;
use crate::inquiry::{Question, inquire, saved_call};
use crate::number::Party;
use crate::pipeline::Switchboard;
use crate::reload::{Bell, Reloaded};
use crate::rules::moment;
use crate::secret::Secret;

/// What the routes share.
#[derive(Clone)]
struct Office {
    board: Arc<Switchboard>,
    /// None where nobody reloads.
    bell: Option<Bell>,
}

/// The admin routes. Without a `bell` nothing can be reloaded.
pub fn router(board: Arc<Switchboard>, bell: Option<Bell>, token: Option<Secret>) -> Router {
    let token = token.map(Arc::new);
    Router::new()
        .route("/metrics", get(metrics))
        .route("/reload", post(reload))
        .route("/explain", get(explain).post(explain))
        .route_layer(middleware::from_fn_with_state(token, only_with_token))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .with_state(Office { board, bell })
}

async fn only_with_token(
    State(token): State<Option<Arc<Secret>>>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    let offered = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let offered = offered.and_then(|value| value.strip_prefix(b"Bearer ")).unwrap_or_default();
    if token.is_some_and(|token| !token.equals(offered)) {
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response();
    }
    next.run(request).await
}

async fn health(State(office): State<Office>) -> Response {
    answer(StatusCode::OK, &json!({ "ok": true, "table": table(&office.board) }))
}

/// Ready as long as some table answers, with a warning when it is not the newest.
async fn ready(State(office): State<Office>) -> Response {
    let table = table(&office.board);
    let stale = table["last_reload"]["ok"] == false;
    let warning = stale.then_some("the last reload failed: an older table answers");
    answer(StatusCode::OK, &json!({ "ready": true, "warning": warning, "table": table }))
}

/// Which table answers, since when, and what came of the last try to replace it.
fn table(board: &Switchboard) -> Value {
    let table = board.table();
    let state = board.current().state();
    let age = board.now().duration_since(state.since);
    json!({
        "fingerprint": table.fingerprint,
        "rules": table.rules.len(),
        "loaded_at": state.since.to_string(),
        "age_seconds": age.as_secs(),
        "last_reload": {
            "ok": state.wrong.is_none(),
            "at": state.tried.to_string(),
            "mistakes": state.wrong.map(|report| report.to_json()).unwrap_or_else(|| json!([])),
        },
    })
}

async fn metrics(State(office): State<Office>) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4");
    ([(header::CONTENT_TYPE, kind)], office.board.counters().to_text()).into_response()
}

/// Reads the rules anew, now. 422 when they are wrong, and the old ones stay.
async fn reload(State(office): State<Office>) -> Response {
    let Some(bell) = office.bell else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "nobody reloads here");
    };
    match bell.ring().await {
        Some(Reloaded { ok, report }) => {
            let status = if ok { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
            let mistakes = report.to_json();
            answer(
                status,
                &json!({ "ok": ok, "table": table(&office.board), "mistakes": mistakes }),
            )
        }
        None => problem(StatusCode::SERVICE_UNAVAILABLE, "the service is stopping"),
    }
}

/// `GET /explain?from=…&to=…&channel=…&source=…&at=…&all=true`; or a saved body, posted.
async fn explain(State(office): State<Office>, uri: Uri, body: Bytes) -> Response {
    match explained(&office.board, uri.query().unwrap_or_default(), &body) {
        Ok(story) => answer(StatusCode::OK, &story),
        Err(Unexplained::Asked(why)) => problem(StatusCode::BAD_REQUEST, &why),
        Err(Unexplained::Differ(why)) => problem(StatusCode::INTERNAL_SERVER_ERROR, &why),
    }
}

enum Unexplained {
    /// The question makes no sense.
    Asked(String),
    /// Index and scan differ.
    Differ(String),
}

fn explained(board: &Switchboard, query: &str, body: &[u8]) -> Result<Value, Unexplained> {
    let mut fields = Fields::unknown(Channel::Call);
    let (mut source, mut at, mut all) = (None, None, false);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "from" => fields.from = Party::read(Some(&value)).party,
            "to" => fields.to = Party::read(Some(&value)).party,
            "channel" => {
                let found = Channel::ALL.into_iter().find(|channel| channel.as_str() == value);
                let none = || Unexplained::Asked("channel is call or sms".to_owned());
                fields.channel = found.ok_or_else(none)?;
            }
            "source" => source = Some(value.into_owned()),
            "at" => at = Some(value.into_owned()),
            "all" => all = value != "false",
            other => {
                let why = format!(
                    "unknown parameter `{other}`: there are from, to, channel, source, at, all"
                );
                return Err(Unexplained::Asked(why));
            }
        }
    }
    let sources = board.sources();
    let source = match source {
        Some(name) => sources.iter().find(|source| *source.name == *name),
        None => sources.first(),
    };
    let no_source = || Unexplained::Asked("there is no such source".to_owned());
    let source = source.copied().ok_or_else(no_source)?;
    if !body.is_empty() {
        let no_call = || Unexplained::Asked("this body asks for no agent".to_owned());
        fields = saved_call(source, body.to_vec()).ok_or_else(no_call)?;
    }
    let table = board.table();
    let at = match at {
        Some(text) => moment(&text, &table.zone).map_err(|bad| Unexplained::Asked(bad.message))?,
        None => board.now(),
    };
    let question = Question { source, fields: &fields, facts: Facts { at }, all };
    let inquiry = inquire(&table, sources.iter().copied(), question);
    inquiry
        .map(|inquiry| inquiry.to_json())
        .map_err(|differ| Unexplained::Differ(differ.to_string()))
}

fn problem(status: StatusCode, detail: &str) -> Response {
    answer(status, &json!({ "error": detail }))
}

fn answer(status: StatusCode, value: &Value) -> Response {
    let kind = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, kind)], value.to_string()).into_response()
}
