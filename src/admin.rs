//! The operator's listener: is it alive, is it ready, what has it counted.
//!
//! On loopback by default; elsewhere only with a token. Health and readiness need none, for the
//! probes of an orchestrator have none to give.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use crate::pipeline::Switchboard;
use crate::secret::Secret;

/// The admin routes.
pub fn router(board: Arc<Switchboard>, token: Option<Secret>) -> Router {
    let token = token.map(Arc::new);
    Router::new()
        .route("/metrics", get(metrics))
        .route_layer(middleware::from_fn_with_state(token, only_with_token))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .with_state(board)
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

async fn health() -> Response {
    answer(&json!({ "ok": true }))
}

async fn ready(State(board): State<Arc<Switchboard>>) -> Response {
    let table = board.table();
    answer(&json!({ "ready": true, "rules": table.rules.len(), "fingerprint": table.fingerprint }))
}

async fn metrics(State(board): State<Arc<Switchboard>>) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4");
    ([(header::CONTENT_TYPE, kind)], board.counters().to_text()).into_response()
}

fn answer(value: &serde_json::Value) -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], value.to_string()).into_response()
}
