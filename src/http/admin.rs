//! The admin listener: the console, health, readiness, metrics, reload, explanations and records.
//!
//! Bound to loopback by default, elsewhere only with a token. `/healthz` and `/readyz` require no token,
//! since an orchestrator's probes cannot send one. Without a token the other paths accept only requests
//! whose `Host` names this machine, so that a web page cannot reach them by DNS rebinding.

mod records;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::TryFutureExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tower::ServiceBuilder;
use tower_http::ServiceBuilderExt;
use tower_http::request_id::{MakeRequestId, RequestId};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;

use super::HttpProblem;
use super::connections::Connection;
use super::host::{is_cross_site, is_for_loopback};
use super::paths::tolerate_slashes;
use crate::authenticate::credentials;
use crate::domain::phone_number::mask_numbers;
use crate::domain::secret::LiveSecret;
use crate::explain::query::{Base, ExplainError, ExplainQuery, explain_query};
use crate::pipeline::Switchboard;
use crate::reload::{ReloadHandle, Reloaded};
use crate::status::{Readiness, RecordsStatus, TableStatus};

/// State that the routes share.
#[derive(Clone)]
struct AdminState {
    app: Arc<Switchboard>,
    /// `None` if the process does not reload.
    reload_handle: Option<ReloadHandle>,
}

/// Creates the span of a request for the log, without the query, which can contain numbers and names.
fn request_span(request: &Request) -> tracing::Span {
    let uri = request.uri();
    tracing::debug_span!("request", method = %request.method(), path = mask_numbers(uri.path()))
}

/// Creates the router of the admin listener. Without a `reload_handle`, `/reload` answers 503. `console` has
/// the pages for people, which check sessions themselves.
pub fn router(
    app: Arc<Switchboard>,
    reload_handle: Option<ReloadHandle>,
    token: impl Into<LiveSecret>,
    console: Router,
) -> Router {
    let no_store = HeaderValue::from_static("no-store");
    let nosniff = HeaderValue::from_static("nosniff");
    let layers = ServiceBuilder::new()
        .sensitive_request_headers([header::AUTHORIZATION].into())
        .set_x_request_id(NewRequestId)
        .layer(TraceLayer::new_for_http().make_span_with(request_span))
        .propagate_x_request_id()
        .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, no_store))
        .layer(SetResponseHeaderLayer::overriding(header::X_CONTENT_TYPE_OPTIONS, nosniff))
        .compression();
    let state = AdminState { app, reload_handle };
    let probes = Router::new().route("/healthz", get(health)).route("/readyz", get(ready));
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/reload", post(reload))
        .route("/explain", get(explain).post(explain))
        .route("/records", get(list_records).layer(middleware::from_fn(keep_connection)))
        .route("/records/{id}", get(show_record).layer(middleware::from_fn(keep_connection)))
        .route_layer(middleware::from_fn_with_state(token.into(), require_token))
        .with_state(state.clone())
        .merge(console)
        .route_layer(middleware::from_fn(reject_cross_site_post))
        .merge(probes.with_state(state))
        .fallback(async || HttpProblem::NotFound("not found".to_owned()))
        .method_not_allowed_fallback(async || HttpProblem::Method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(layers);
    tolerate_slashes(routes)
}

/// Keeps the connection of a request for records, which the token has let through, from being closed to
/// make room: a long answer takes its time. A client that does not read it is disconnected.
async fn keep_connection(request: Request, next: Next) -> Response {
    if let Some(connection) = request.extensions().get::<Arc<Connection>>() {
        connection.authenticated();
    }
    next.run(request).await
}

/// Creates ids for requests that arrive without one.
#[derive(Clone, Copy)]
struct NewRequestId;

impl MakeRequestId for NewRequestId {
    fn make_request_id<B>(&mut self, _: &axum::http::Request<B>) -> Option<RequestId> {
        let id = uuid::Uuid::now_v7().to_string();
        HeaderValue::try_from(id).ok().map(RequestId::new)
    }
}

/// Requires the token, or without a token a `Host` that names this machine.
async fn require_token(
    State(token): State<LiveSecret>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Result<Response, HttpProblem> {
    let offered = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let offered = offered.and_then(|value| credentials(value, b"bearer").ok()).unwrap_or_default();
    let allowed = match &*token.get() {
        Some(token) if !token.equals(offered) => Err(HttpProblem::AdminToken),
        None if !is_for_loopback(&headers) => Err(HttpProblem::Forbidden(
            "without admin.token, the Host must be localhost or a loopback address",
        )),
        Some(_) | None => Ok(()),
    };
    allowed?;
    Ok(next.run(request).await)
}

/// Rejects a `POST` from a web page of another site. Without a token, the `Host` of such a request is
/// valid, and a browser sends it even though the page cannot read the response.
async fn reject_cross_site_post(request: Request, next: Next) -> Result<Response, HttpProblem> {
    if request.method() == Method::POST && is_cross_site(request.headers()) {
        return Err(HttpProblem::Forbidden("web pages of other sites must not send this request"));
    }
    Ok(next.run(request).await)
}

/// Query parameters of a path.
trait QueryParams: DeserializeOwned {
    /// Names of all parameters, for error messages.
    const NAMES: &'static str;
}

/// Extractor of [`QueryParams`], on top of axum's `Query`: a mistake is a 400 that says what would be
/// right.
struct Params<T>(T);

impl<T: QueryParams, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = HttpProblem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpProblem> {
        let error = match Query::from_request_parts(parts, state).await {
            Ok(Query(params)) => return Ok(Params(params)),
            Err(error) => error,
        };
        let text = error.body_text();
        let cause = text.split_once("query string: ").map_or(&*text, |(_, cause)| cause);
        let unknown = cause.split_once("unknown field ").map(|(_, rest)| rest);
        let unknown = unknown.and_then(|rest| rest.split(',').next());
        Err(HttpProblem::BadRequest(match unknown {
            Some(name) => format!("unknown parameter {name}: known are {}", T::NAMES).into(),
            None => cause.to_owned().into(),
        }))
    }
}

/// Maximum size of a body, in bytes, unless a page of the console allows more.
pub(crate) const MAX_BODY_BYTES: usize = 2 << 20;
/// Maximum time for receiving the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Waits for a body that an extractor of axum reads, which would wait for it forever.
pub(crate) async fn within<T>(
    limit: Duration,
    reading: impl Future<Output = Result<T, HttpProblem>>,
) -> Result<T, HttpProblem> {
    let read = tokio::time::timeout(limit, reading).await;
    read.unwrap_or(Err(HttpProblem::BodyTimeout))
}

/// Extractor of a body, which has to arrive in time.
struct TimelyBody(Bytes);

impl<S: Send + Sync> FromRequest<S> for TimelyBody {
    type Rejection = HttpProblem;

    async fn from_request(request: Request, state: &S) -> Result<Self, HttpProblem> {
        let reading = Bytes::from_request(request, state).map_err(|error| {
            HttpProblem::unread_body(error.status(), error.body_text(), MAX_BODY_BYTES)
        });
        within(BODY_TIMEOUT, reading).await.map(TimelyBody)
    }
}

async fn health(State(state): State<AdminState>) -> Json<Value> {
    let (table, records) = (TableStatus::of(&state.app), RecordsStatus::of(&state.app));
    Json(json!({ "ok": true, "table": table, "records": records }))
}

/// Always ready: a running process has a valid rule table, and answers calls whatever happens to the
/// records. Warnings report a failed reload and an unavailable record store.
async fn ready(State(state): State<AdminState>) -> Json<Readiness> {
    Json(Readiness::of(&state.app, state.reload_handle.as_ref()))
}

async fn metrics(State(state): State<AdminState>) -> impl IntoResponse {
    const PROMETHEUS: (HeaderName, &str) = (header::CONTENT_TYPE, "text/plain; version=0.0.4");
    ([PROMETHEUS], state.app.counters().to_text())
}

/// Query parameters of `/reload`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReloadQuery {
    /// Takes lists as they are, however much they shrank.
    #[serde(default)]
    force: bool,
}

impl QueryParams for ReloadQuery {
    const NAMES: &'static str = "force";
}

/// Reloads the rules, secrets and certificates. 422 if some of them have errors; then the previous ones
/// stay live.
async fn reload(
    State(state): State<AdminState>,
    Params(ReloadQuery { force }): Params<ReloadQuery>,
) -> Result<(StatusCode, Json<Value>), HttpProblem> {
    let unavailable = |reason: &str| HttpProblem::Unavailable(reason.to_owned());
    let handle = state.reload_handle.ok_or_else(|| unavailable("reloading is not available"))?;
    let requester = "POST /reload";
    let reloaded = match force {
        true => handle.force_reload_for(requester).await,
        false => handle.reload_for(requester).await,
    };
    let Some(Reloaded { ok, report }) = reloaded else {
        return Err(unavailable("the service is stopping"));
    };
    let status = if ok { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let table = TableStatus::of(&state.app);
    Ok((status, Json(json!({ "ok": ok, "table": table, "diagnostics": report.to_json() }))))
}

impl QueryParams for ExplainQuery {
    const NAMES: &'static str =
        "from, to, channel, number_id, attr, source, at, all, why_not and live";
}

async fn explain(
    State(state): State<AdminState>,
    Params(query): Params<ExplainQuery>,
    TimelyBody(body): TimelyBody,
) -> Result<Json<Value>, HttpProblem> {
    // The scan of a million rules takes a while; calls must not wait for it.
    let runtime = Handle::current();
    let explained =
        tokio::task::spawn_blocking(move || answer_query(&state.app, &query, &body, &runtime));
    let panicked = |_| HttpProblem::Internal("the explanation panicked".to_owned());
    explained.await.map_err(panicked)?.map(Json)
}

fn answer_query(
    app: &Switchboard,
    query: &ExplainQuery,
    body: &[u8],
    runtime: &Handle,
) -> Result<Value, HttpProblem> {
    let base = if body.is_empty() { Base::Unknown } else { Base::Body(body) };
    explain_query(app, query, base, runtime, |explained| explained.to_json())
        .map_err(HttpProblem::from)
}

impl From<ExplainError> for HttpProblem {
    fn from(error: ExplainError) -> HttpProblem {
        match error {
            ExplainError::Invalid(invalid) => {
                let invalid: Vec<String> = invalid.iter().map(ToString::to_string).collect();
                HttpProblem::BadRequest(invalid.join("; ").into())
            }
            ExplainError::Body(reason) => HttpProblem::BadRequest(reason.into()),
            ExplainError::Mismatch(mismatch) => HttpProblem::Internal(mismatch.to_string()),
        }
    }
}

/// Returns recorded calls, newest first.
async fn list_records(
    State(state): State<AdminState>,
    Params(query): Params<records::ListQuery>,
) -> Result<Json<Value>, HttpProblem> {
    records::list(&state.app, query).await.map(Json)
}

/// Returns one recorded call, by its id or the platform's.
async fn show_record(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    Params(query): Params<records::ShowQuery>,
) -> Result<Response, HttpProblem> {
    records::show(&state.app, &id, query).await
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_post_from_a_web_page_of_another_site_is_rejected() {
        let router = Router::new()
            .route("/", get(async || "").post(async || ""))
            .route_layer(middleware::from_fn(reject_cross_site_post));
        for (method, name, value, expected) in [
            ("POST", "origin", "https://attacker.example", 403),
            ("POST", "origin", "null", 403),
            ("POST", "origin", "http://localhost:1234", 403),
            ("POST", "sec-fetch-site", "cross-site", 403),
            ("POST", "sec-fetch-site", "same-site", 403),
            ("POST", "origin", "http://localhost:9090", 200),
            ("POST", "sec-fetch-site", "same-origin", 200),
            ("POST", "accept", "*/*", 200),
            ("GET", "sec-fetch-site", "cross-site", 200),
        ] {
            let request = Request::builder().method(method).uri("/").header(name, value);
            let request = request.header("host", "localhost:9090").body(Body::empty()).unwrap();
            let status = router.clone().oneshot(request).await.unwrap().status();
            assert_eq!(status.as_u16(), expected, "{method} {name}: {value}");
        }
    }
}
