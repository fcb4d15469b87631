//! The public listener: an axum router for the platforms' webhooks.
//!
//! An authenticated request receives 200 with the platform's reply; every other request receives a
//! [`HttpProblem`]. This module never parses a body.

use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::poll_immediate;
use ipnet::IpNet;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::Instrument;

use super::HttpProblem;
use super::body::{BodyBudget, BodyKind, read_body};
use super::client_address;
use super::connections::Connection;
use super::paths::{Misses, OriginalTarget, tolerate_slashes};
use super::request_counters::RequestCounters;
use crate::authenticate::{RequestHead, Unverified};
use crate::domain::facts::Facts;
use crate::pipeline::{
    Answer, RequestContext, SourceEndpoint, Switchboard, authenticate, check_head, handle,
};
use crate::settings::ServerSettings;
use crate::telemetry::{RefusalLog, RequestOutcome, spans};

pub use super::body::{EVENT_BYTES, INBOUND_BYTES};

/// Header of the request id, in requests and responses.
pub static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// State of the public listener.
struct PublicState {
    app: Arc<Switchboard>,
    /// One permit for each authenticated request that is being answered.
    in_flight: Semaphore,
    body_budget: BodyBudget,
    request_timeout: Duration,
    trusted_proxies: Vec<IpNet>,
}

/// Creates the router of the public listener.
pub fn router(app: Arc<Switchboard>, server: &ServerSettings) -> Router {
    let state = PublicState {
        app,
        in_flight: Semaphore::new(server.max_in_flight),
        body_budget: BodyBudget::new(server.body_memory_bytes),
        request_timeout: server.request_timeout,
        trusted_proxies: server.trusted_proxies.clone(),
    };
    let misses =
        Arc::new(Misses::new(state.app.counters(), state.app.endpoints().cloned().collect()));
    let mut router = Router::new().route("/healthz", get(alive));
    for endpoint in state.app.endpoints() {
        let name = &endpoint.source.name;
        let webhook = Arc::new(Webhook {
            endpoint: endpoint.clone(),
            requests: RequestCounters::register(state.app.counters(), name),
            refusals: RefusalLog::default(),
        });
        let route = |kind| route(&webhook, &misses, kind);
        router = router
            .route(&format!("/inbound/{name}"), route(BodyKind::Inbound))
            .route(&format!("/events/{name}"), route(BodyKind::Event));
        // Without `url_token` in the settings the longer paths do not exist.
        if endpoint.source.policy.has_url_token() {
            router = router
                .route(&format!("/inbound/{name}/{{token}}"), route(BodyKind::Inbound))
                .route(&format!("/events/{name}/{{token}}"), route(BodyKind::Event));
        }
    }
    let for_methods = misses.clone();
    let routes = router
        .fallback(async move |client: Client, request: Request| {
            misses.wrong_path(&request, client.0)
        })
        .method_not_allowed_fallback(async move |client: Client, request: Request| {
            for_methods.wrong_method(&request, client.0)
        })
        .with_state(Arc::new(state));
    tolerate_slashes(routes)
}

/// Client address of a request.
struct Client(IpAddr);

impl FromRequestParts<Arc<PublicState>> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &Arc<PublicState>,
    ) -> Result<Client, Infallible> {
        let peer = parts.extensions.get::<Arc<Connection>>().map(|connection| connection.peer());
        Ok(Client(client_address(peer, &parts.headers, &state.trusted_proxies)))
    }
}

/// The webhook of a source: its endpoint, and what is known about the requests to it.
struct Webhook {
    endpoint: Arc<SourceEndpoint>,
    requests: RequestCounters,
    refusals: RefusalLog,
}

/// A path of a webhook: the platform sends requests by POST, and checks the URL by GET when an operator
/// saves it. A platform whose users choose the method sends requests by GET, too, in the query, which the
/// signature must then cover. Elsewhere a query by GET is a mistake, about which both sides must learn.
fn route(
    webhook: &Arc<Webhook>,
    misses: &Arc<Misses>,
    kind: BodyKind,
) -> MethodRouter<Arc<PublicState>> {
    let source = &webhook.endpoint.source;
    let policy = source.policy_of(kind == BodyKind::Event);
    let on_get =
        if source.dialect.accepts_get() && policy.admits_queries() {
            let webhook = webhook.clone();
            get(async move |State(state): State<Arc<PublicState>>, request: SourceRequest| {
                match request.without_body() {
                    Some(request) => receive(&state, &webhook, request, kind).await,
                    None => alive().await,
                }
            })
        } else {
            let misses = misses.clone();
            get(async move |client: Client, request: Request| {
                let is_check = request.uri().query().is_none_or(str::is_empty);
                if is_check || request.method() != Method::GET {
                    return alive().await;
                }
                let mut response = misses.wrong_method(&request, client.0);
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
                response
            })
        };
    let webhook = webhook.clone();
    on_get.post(async move |State(state): State<Arc<PublicState>>, request: SourceRequest| {
        receive(&state, &webhook, request, kind).await
    })
}

async fn alive() -> Response {
    reply(Bytes::from_static(b"{\"ok\":true}"), "application/json")
}

/// Answers a webhook request, and counts it. Either outcome carries the request's id.
async fn receive(
    state: &PublicState,
    webhook: &Webhook,
    request: SourceRequest,
    kind: BodyKind,
) -> Response {
    let SourceRequest { id, received_at, is_test, unread } = request;
    let client = unread.head.client();
    let is_event = kind == BodyKind::Event;
    let span = spans::request(&webhook.endpoint.source.name, is_event, unread.head.headers());
    let trace_id = spans::trace_id(&span);
    let context = RequestContext {
        request_id: id.as_str(),
        trace_id: trace_id.as_deref(),
        is_event,
        is_test,
        received_at,
    };
    let answered = {
        let answering = pin!(answer(state, &webhook.endpoint, unread, kind, context));
        // The pipeline turns a panic into the fallback reply; this is for what precedes it. `AssertUnwindSafe`:
        // a panic leaves nothing of the request behind.
        AssertUnwindSafe(answering.instrument(span.clone())).catch_unwind().await
    };
    let answered = answered.unwrap_or_else(|_panic| {
        state.app.counters().panics.increment(1);
        Err(HttpProblem::Internal("internal error".to_owned()))
    });
    let (outcome, mut response) = match answered {
        Ok(answer) => (Some(answer.outcome), reply(answer.body, answer.content_type)),
        Err(problem) => {
            webhook.log_refusal(&problem, context, client);
            let challenge = webhook.challenge(&problem, is_event);
            let mut response = (problem.outcome(), problem.into_response());
            if let Some(challenge) = challenge {
                let challenge = HeaderValue::from_static(challenge);
                response.1.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            response
        }
    };
    if let Some(outcome) = outcome {
        webhook.requests.count(outcome);
        spans::record_outcome(&span, outcome, response.status().as_u16());
    }
    response.headers_mut().insert(&REQUEST_ID, id.0);
    response
}

impl Webhook {
    /// Returns how a client can authenticate, for schemes of HTTP itself. It depends on the path alone, so
    /// that it tells nothing about the reason of a refusal.
    fn challenge(&self, problem: &HttpProblem, is_event: bool) -> Option<&'static str> {
        let is_refusal = matches!(problem, HttpProblem::Unauthenticated(_));
        let policy = self.endpoint.source.policy_of(is_event);
        policy.scheme.challenge().filter(|_| is_refusal)
    }

    /// Logs a refused request, unless there have been too many for the same reason.
    fn log_refusal(&self, problem: &HttpProblem, context: RequestContext<'_>, client: IpAddr) {
        let outcome = problem.outcome().map_or("", RequestOutcome::as_str);
        let reason = if let HttpProblem::Unauthenticated(error) = problem {
            error.as_str()
        } else {
            outcome
        };
        let Some(suppressed) = self.refusals.admit(reason, Instant::now()) else { return };
        let RequestContext { request_id, trace_id, .. } = context;
        let source = &*self.endpoint.source.name;
        tracing::warn!(
            request_id, trace_id, source, %client, outcome, %problem, suppressed, "request refused"
        );
    }
}

/// Authenticates a request and finds its reply. A place in flight is taken after authentication, so
/// that nobody else can take all of them.
async fn answer(
    state: &PublicState,
    endpoint: &SourceEndpoint,
    request: UnreadRequest,
    kind: BodyKind,
    context: RequestContext<'_>,
) -> Result<Answer, HttpProblem> {
    let UnreadRequest { head, connection, body } = request;
    let body = {
        let mut reservation = state.body_budget.reservation(kind, head.client());
        let mut reading = pin!(read_body(body, head.headers(), &mut reservation));
        // Nearly all bodies arrive with their headers, and need no timer.
        match poll_immediate(&mut reading).await {
            Some(body) => body?,
            None => {
                // A request that its header gives away is refused before its body has arrived.
                check_head(endpoint, &head, context.is_event, state.app.now())?;
                let deadline = context.received_at + kind.timeout(state.request_timeout);
                let read = tokio::time::timeout_at(deadline, reading).await;
                read.unwrap_or(Err(HttpProblem::BodyTimeout))?
            }
        }
    };
    // Signatures, hours and dates use the same time.
    let facts = Facts::before_lookups(state.app.now());
    let verified = spans::step("authenticate").in_scope(|| {
        let request = Unverified::new(head, body);
        authenticate(endpoint, request, context, facts.at)
    })?;
    if let Some(connection) = connection {
        connection.authenticated();
    }
    let _permit = state.in_flight.try_acquire().map_err(|_full| HttpProblem::Overloaded)?;
    // Pinned where it is made: an awaited future of this size would first be copied twice.
    let handling = pin!(handle(&state.app, endpoint, verified, context, facts));
    Ok(handling.await?)
}

/// A request to a source.
struct SourceRequest {
    id: RequestId,
    received_at: Instant,
    is_test: bool,
    unread: UnreadRequest,
}

/// A request before its body is read.
struct UnreadRequest {
    head: Box<RequestHead>,
    /// None in tests without sockets.
    connection: Option<Arc<Connection>>,
    body: Body,
}

/// Marks the request of a test call, which this process sends to itself, in its extensions.
#[derive(Debug, Clone, Copy)]
pub struct TestCall;

impl SourceRequest {
    /// Returns a GET request with a query, without its body, which no signature of such a request covers.
    /// `None` for any other request.
    fn without_body(self) -> Option<SourceRequest> {
        let head = &self.unread.head;
        let has_query = head.query().is_some_and(|query| !query.is_empty());
        let is_request = head.method() == Method::GET && has_query;
        let without_body = |unread| UnreadRequest { body: Body::empty(), ..unread };
        is_request.then(|| SourceRequest { unread: without_body(self.unread), ..self })
    }
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
        let is_test = parts.extensions.remove::<TestCall>().is_some();
        let original = parts.extensions.remove::<OriginalTarget>();
        let uri = original.map_or(parts.uri, |original| original.0);
        let head = RequestHead::with_target(parts.method, uri, parts.headers, client, token);
        let unread = UnreadRequest { head: Box::new(head), connection, body };
        Ok(SourceRequest { id, received_at, is_test, unread })
    }
}

/// Id of a request: the client's own if it is 1 to 64 printable ASCII characters, otherwise a new one.
struct RequestId(HeaderValue);

impl RequestId {
    fn new(headers: &HeaderMap) -> RequestId {
        let is_valid = |id: &&HeaderValue| {
            (1..=64).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        let own = headers.get(&REQUEST_ID).filter(is_valid).cloned();
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

fn reply(body: Bytes, content_type: &'static str) -> Response {
    let mut response = Response::new(Body::from(body));
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
