//! The public listener: an axum router for the platforms' webhooks.
//!
//! An authenticated request receives 200 with the platform's reply; every other request receives a
//! [`HttpProblem`]. This module never parses a body.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use futures_util::future::poll_immediate;
use ipnet::IpNet;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::HttpProblem;
use super::body::{BodyBudget, BodyKind, read_body};
use super::client_address;
use super::connections::Connection;
use crate::authenticate::{RequestHead, Unverified};
use crate::domain::facts::Facts;
use crate::pipeline::{
    RequestContext, SourceEndpoint, Switchboard, authenticate, check_head, handle,
};
use crate::settings::ServerSettings;
use crate::telemetry::RefusalLog;

pub use super::body::{EVENT_BYTES, INBOUND_BYTES};

/// Header of the request id, in requests and responses.
pub const REQUEST_ID: &str = "x-request-id";

/// State of the public listener.
struct PublicState {
    app: Arc<Switchboard>,
    /// One permit for each authenticated request that is being answered.
    in_flight: Semaphore,
    body_budget: BodyBudget,
    refusals: RefusalLog,
    request_timeout: Duration,
    trusted_proxies: Vec<IpNet>,
}

/// Creates the router of the public listener.
pub fn router(app: Arc<Switchboard>, server: &ServerSettings) -> Router {
    let state = PublicState {
        app,
        in_flight: Semaphore::new(server.max_in_flight),
        body_budget: BodyBudget::new(server.body_memory_bytes),
        refusals: RefusalLog::default(),
        request_timeout: server.request_timeout,
        trusted_proxies: server.trusted_proxies.clone(),
    };
    let mut router = Router::new().route("/healthz", get(alive));
    for endpoint in state.app.endpoints() {
        let name = &endpoint.source.name;
        router = router
            .route(&format!("/inbound/{name}"), webhook(endpoint, BodyKind::Inbound))
            .route(&format!("/events/{name}"), webhook(endpoint, BodyKind::Event));
        // Without `url_token` in the settings the longer paths do not exist.
        if endpoint.source.policy.has_url_token() {
            router = router
                .route(&format!("/inbound/{name}/{{token}}"), webhook(endpoint, BodyKind::Inbound))
                .route(&format!("/events/{name}/{{token}}"), webhook(endpoint, BodyKind::Event));
        }
    }
    router
        .fallback(async || HttpProblem::Path)
        .method_not_allowed_fallback(async || HttpProblem::Method)
        .with_state(Arc::new(state))
}

/// A webhook path of a source: its platform sends requests by POST, and checks the URL by GET when an
/// operator saves it.
fn webhook(endpoint: &Arc<SourceEndpoint>, kind: BodyKind) -> MethodRouter<Arc<PublicState>> {
    let endpoint = endpoint.clone();
    get(alive).post(async move |State(state): State<Arc<PublicState>>, request: SourceRequest| {
        receive(&state, &endpoint, request, kind).await
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
    kind: BodyKind,
) -> Response {
    let (id, client) = (request.id.clone(), request.head.client());
    let mut response = match answer(state, endpoint, request, kind).await {
        Ok(reply) => json(reply),
        Err(problem) => {
            let source = &*endpoint.source.name;
            if let Some(suppressed) = state.refusals.admit(source, problem.reason(), Instant::now())
            {
                tracing::warn!(
                    request_id = id.as_str(), source, %client, %problem, suppressed, "request refused"
                );
            }
            problem.into_response()
        }
    };
    response.headers_mut().insert(REQUEST_ID, id.0);
    response
}

/// Authenticates a request and finds its reply. A place in flight is taken after authentication, so
/// that nobody else can take all of them.
async fn answer(
    state: &PublicState,
    endpoint: &SourceEndpoint,
    request: SourceRequest,
    kind: BodyKind,
) -> Result<Bytes, HttpProblem> {
    let SourceRequest { head, id, received_at, connection, body } = request;
    let context = RequestContext { request_id: id.as_str(), received_at };
    let body = {
        let mut reservation = state.body_budget.reservation(kind, head.client());
        let timeout = state.request_timeout;
        let reading = read_body(body, head.headers(), &mut reservation, received_at, timeout);
        let mut reading = pin!(reading);
        // A request that its header gives away is refused before its body has arrived.
        match poll_immediate(&mut reading).await {
            Some(body) => body?,
            None => {
                check_head(endpoint, &head, state.app.now())?;
                reading.await?
            }
        }
    };
    // Signatures, hours and dates use the same time.
    let facts = Facts { at: state.app.now() };
    let verified = authenticate(endpoint, Unverified::new(head, body), facts.at)?;
    if let Some(connection) = connection {
        connection.authenticated();
    }
    let Ok(_permit) = state.in_flight.try_acquire() else {
        state.app.counters().overloaded.increment(1);
        return Err(HttpProblem::Overloaded);
    };
    Ok(handle(&state.app, endpoint, verified, context, facts).await?)
}

/// A request to a source, before its body is read.
struct SourceRequest {
    head: RequestHead,
    id: RequestId,
    received_at: Instant,
    /// None in tests without sockets.
    connection: Option<Arc<Connection>>,
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
        let connection = parts.extensions.remove::<Arc<Connection>>();
        let peer = connection.as_ref().map(|connection| connection.peer());
        let client = client_address(peer, &parts.headers, &state.trusted_proxies);
        let id = RequestId::new(&parts.headers);
        let head = RequestHead::new(parts.headers, client, token);
        Ok(SourceRequest { head, id, received_at, connection, body })
    }
}

/// Id of a request: the client's own if it is 1 to 64 printable ASCII characters, otherwise a new one.
#[derive(Clone)]
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

fn json(body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
