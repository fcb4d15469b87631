//! The public listener: an axum router for the platforms' webhooks.
//!
//! An authenticated request receives 200 with the platform's reply; every other request receives a
//! [`HttpProblem`]. This module never parses a body.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use ipnet::IpNet;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::HttpProblem;
use super::client_address;
use crate::authenticate::Unverified;
use crate::pipeline::{RequestContext, SourceEndpoint, Switchboard, handle};
use crate::settings::ServerSettings;

/// Maximum size of the body of an inbound request, in bytes.
pub const INBOUND_BYTES: usize = 64 << 10;
/// Maximum size of the body of an event, in bytes: the transcript of a long call has megabytes.
pub const EVENT_BYTES: usize = 10 << 20;
/// Header of the request id, in requests and responses.
pub const REQUEST_ID: &str = "x-request-id";

/// State of the public listener.
struct PublicState {
    app: Arc<Switchboard>,
    /// One permit for each request whose body may be read.
    in_flight: Semaphore,
    request_timeout: Duration,
    trusted_proxies: Vec<IpNet>,
}

/// Creates the router of the public listener.
pub fn router(app: Arc<Switchboard>, server: &ServerSettings) -> Router {
    let state = PublicState {
        app,
        in_flight: Semaphore::new(server.max_in_flight),
        request_timeout: server.request_timeout,
        trusted_proxies: server.trusted_proxies.clone(),
    };
    let mut router = Router::new().route("/healthz", get(alive));
    for endpoint in state.app.endpoints() {
        let name = &endpoint.source.name;
        router = router
            .route(&format!("/inbound/{name}"), webhook(endpoint, INBOUND_BYTES))
            .route(&format!("/events/{name}"), webhook(endpoint, EVENT_BYTES));
        // Without `url_token` in the settings the longer paths do not exist.
        if endpoint.source.policy.url_token.is_some() {
            router = router
                .route(&format!("/inbound/{name}/{{token}}"), webhook(endpoint, INBOUND_BYTES))
                .route(&format!("/events/{name}/{{token}}"), webhook(endpoint, EVENT_BYTES));
        }
    }
    router
        .fallback(async || HttpProblem::Path)
        .method_not_allowed_fallback(async || HttpProblem::Method)
        .with_state(Arc::new(state))
}

/// A webhook path of a source: its platform sends requests by POST, and checks the URL by GET when an
/// operator saves it.
fn webhook(endpoint: &Arc<SourceEndpoint>, limit_bytes: usize) -> MethodRouter<Arc<PublicState>> {
    let endpoint = endpoint.clone();
    get(alive).post(async move |State(state): State<Arc<PublicState>>, request: SourceRequest| {
        receive(&state, &endpoint, request, limit_bytes).await
    })
}

async fn alive() -> Response {
    json(Bytes::from_static(b"{\"ok\":true}"))
}

/// Answers a webhook request. Either outcome carries the request's id.
async fn receive(
    state: &PublicState,
    endpoint: &SourceEndpoint,
    request: SourceRequest,
    limit_bytes: usize,
) -> Response {
    let SourceRequest { token, client, id, received_at, headers, body } = request;
    let result = async {
        let Ok(_permit) = state.in_flight.try_acquire() else {
            state.app.counters().overloaded.increment(1);
            return Err(HttpProblem::Overloaded);
        };
        let deadline = received_at + state.request_timeout;
        let body = read_body(body, &headers, limit_bytes, deadline).await?;
        let unverified = Unverified::new(headers, body, client, token);
        let context = RequestContext { request_id: id.as_str(), received_at };
        Ok(handle(&state.app, endpoint, unverified, context).await?)
    };
    let mut response = match result.await {
        Ok(reply) => json(reply),
        Err(problem) => {
            let source = &*endpoint.source.name;
            tracing::warn!(request_id = id.as_str(), source, %client, %problem, "request refused");
            problem.into_response()
        }
    };
    response.headers_mut().insert(REQUEST_ID, id.0);
    response
}

/// A request to a source, before its body is read.
struct SourceRequest {
    token: Option<Box<str>>,
    client: IpAddr,
    id: RequestId,
    received_at: Instant,
    headers: HeaderMap,
    body: Body,
}

impl FromRequest<Arc<PublicState>> for SourceRequest {
    type Rejection = HttpProblem;

    async fn from_request(
        request: Request,
        state: &Arc<PublicState>,
    ) -> Result<SourceRequest, HttpProblem> {
        let received_at = Instant::now();
        let (mut parts, body) = request.into_parts();
        let params = RawPathParams::from_request_parts(&mut parts, state).await;
        let params = params.map_err(|_invalid_utf8| HttpProblem::Path)?;
        let token = params.iter().next().map(|(_, token)| Box::from(token));
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
        let client = client_address(peer, &parts.headers, &state.trusted_proxies);
        let id = RequestId::new(&parts.headers);
        Ok(SourceRequest { token, client, id, received_at, headers: parts.headers, body })
    }
}

/// Id of a request: the client's own if it is 1 to 64 printable ASCII characters, otherwise a new one.
struct RequestId(HeaderValue);

impl RequestId {
    fn new(headers: &HeaderMap) -> RequestId {
        let is_valid = |id: &&HeaderValue| {
            (1..=64).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        let own = headers.get(REQUEST_ID).filter(is_valid).cloned();
        RequestId(own.unwrap_or_else(|| {
            let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
            let text = uuid::Uuid::now_v7().as_hyphenated().encode_lower(&mut text);
            HeaderValue::from_str(text).expect("a UUID is printable ASCII")
        }))
    }

    fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Reads the whole body within a size limit and a deadline.
async fn read_body(
    body: Body,
    headers: &HeaderMap,
    limit_bytes: usize,
    deadline: Instant,
) -> Result<Bytes, HttpProblem> {
    let content_length = headers.get(header::CONTENT_LENGTH);
    let announced = content_length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > limit_bytes as u64) {
        return Err(HttpProblem::TooLarge { limit_bytes });
    }
    let collected = Limited::new(body, limit_bytes).collect();
    match tokio::time::timeout_at(deadline, collected).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(HttpProblem::TooLarge { limit_bytes })
        }
        Ok(Err(_)) => Err(HttpProblem::BadRequest(
            "the body ends before its announced length, or its chunks are invalid".into(),
        )),
        Err(_elapsed) => Err(HttpProblem::BodyTimeout),
    }
}

fn json(body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
