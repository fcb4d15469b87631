//! HTTP in and out: the public listener, and the only place with status codes beside `admin`.
//!
//! Nothing here reads a body's content. Whatever is proved gets a 200, whatever is not gets the
//! same 401. Four kinds of path need no router; a request that walks through none is a tenth
//! cheaper.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::BoxError;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Body;
use ipnet::IpNet;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::authenticate::Unverified;
use crate::pipeline::{RequestContext, SourceEndpoint, Switchboard, answer};
use crate::settings::ServerSettings;

pub use super::client_ip::client_address;
pub use super::problem::HttpProblem;
pub use super::server::{Connections, listen_at, serve};

/// The most that an inbound request has, in bytes.
pub const INBOUND_BYTES: usize = 64 << 10;
/// The most that an event has, in bytes: a long call's transcript runs to megabytes.
pub const EVENT_BYTES: usize = 10 << 20;
/// The header that names a request, in both directions.
pub const REQUEST_ID: &str = "x-request-id";

/// The public door.
pub struct Door {
    app: Arc<Switchboard>,
    in_flight: Semaphore,
    request_timeout: Duration,
    trusted_proxies: Vec<IpNet>,
}

/// What a path leads to.
enum Route<'d, 'p> {
    Health,
    /// A source, the token behind it, and the most bytes that a body may have here.
    Source(&'d SourceEndpoint, Option<&'p str>, usize),
}

impl Door {
    /// The door to this switchboard.
    pub fn new(app: Arc<Switchboard>, server: &ServerSettings) -> Door {
        Door {
            app,
            in_flight: Semaphore::new(server.max_in_flight),
            request_timeout: server.request_timeout,
            trusted_proxies: server.trusted_proxies.clone(),
        }
    }

    /// Answers a request, whatever it is. `peer` is the other end of the socket, where there is
    /// one.
    pub async fn answer<B>(
        &self,
        request: Request<B>,
        peer: Option<SocketAddr>,
    ) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let answered = match self.place(request.uri().path()) {
            Err(refused) => Err(refused),
            // Platforms look whether anybody is there when the URL is saved.
            Ok(_) if matches!(*request.method(), Method::GET | Method::HEAD) => {
                Ok(json(Bytes::from_static(b"{\"ok\":true}")))
            }
            Ok(Route::Source(endpoint, token, most)) if *request.method() == Method::POST => {
                let token = token.map(Box::from);
                return self.asked(endpoint, token, most, request, peer).await;
            }
            Ok(Route::Source(..)) => Err(HttpProblem::Method { allow: "GET, HEAD, POST" }),
            Ok(Route::Health) => Err(HttpProblem::Method { allow: "GET, HEAD" }),
        };
        answered.unwrap_or_else(HttpProblem::into_response)
    }

    fn place<'p>(&self, path: &'p str) -> Result<Route<'_, 'p>, HttpProblem> {
        let mut parts = path.strip_prefix('/').unwrap_or_default().split('/');
        let parts = (parts.next(), parts.next(), parts.next(), parts.next());
        let (source, token, most) = match parts {
            (Some("healthz"), None, ..) => return Ok(Route::Health),
            (Some("inbound"), Some(source), token, None) => (source, token, INBOUND_BYTES),
            (Some("events"), Some(source), token, None) => (source, token, EVENT_BYTES),
            _ => return Err(HttpProblem::Path),
        };
        let endpoint = self.app.endpoint(source).ok_or(HttpProblem::Path)?;
        // Without `url_token` in the settings there is no such path.
        if token.is_some() && endpoint.source.policy.url_token.is_none() {
            return Err(HttpProblem::Path);
        }
        Ok(Route::Source(endpoint, token, most))
    }

    /// A request to a source: its answer or its refusal, either with the request's id.
    async fn asked<B>(
        &self,
        endpoint: &SourceEndpoint,
        token: Option<Box<str>>,
        most: usize,
        request: Request<B>,
        peer: Option<SocketAddr>,
    ) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let at = Instant::now();
        let id = request_id(request.headers());
        let client = client_address(peer, request.headers(), &self.trusted_proxies);
        let context = RequestContext { request_id: &id, at };
        let answered = self.reply(endpoint, token, most, request, client, context).await;
        let mut response = answered.unwrap_or_else(|refused| {
            tracing::warn!(request_id = id, source = &*endpoint.source.name, %client, %refused, "refused");
            refused.into_response()
        });
        if let Ok(id) = HeaderValue::from_maybe_shared(Bytes::from(id)) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }

    async fn reply<B>(
        &self,
        endpoint: &SourceEndpoint,
        token: Option<Box<str>>,
        most: usize,
        request: Request<B>,
        client: IpAddr,
        context: RequestContext<'_>,
    ) -> Result<Response<Full<Bytes>>, HttpProblem>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let _place_in_flight = self.in_flight.try_acquire().map_err(|_| {
            self.app.counters().overloaded.increment(1);
            HttpProblem::Overloaded
        })?;
        let (parts, body) = request.into_parts();
        let until = context.at + self.request_timeout;
        let body = read(body, &parts.headers, most, until).await?;
        let unverified = Unverified::new(parts.headers, body, client, token);
        Ok(json(answer(&self.app, endpoint, unverified, context).await?))
    }
}

/// The whole body, when it is small enough and comes in time.
async fn read<B>(
    body: B,
    headers: &HeaderMap,
    most: usize,
    until: Instant,
) -> Result<Bytes, HttpProblem>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes: u64| bytes > most as u64) {
        return Err(HttpProblem::TooLarge { most });
    }
    let collected = tokio::time::timeout_at(until, Limited::new(body, most).collect()).await;
    match collected.map_err(|_| HttpProblem::Slow)? {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(HttpProblem::TooLarge { most }),
        Err(_) => {
            Err(HttpProblem::Malformed("the body ends before its length, or its chunks are wrong"))
        }
    }
}

/// The caller's own id of the request, when it is one; else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let fine =
        |id: &&str| (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    let theirs = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(fine);
    theirs.map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned)
}

fn json(body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
