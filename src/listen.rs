//! HTTP in and out: the public listener, and the only place with status codes beside `admin`.
//!
//! Nothing here reads a body's content. Whatever is proved gets a 200, whatever is not gets the
//! same 401.

mod connections;
mod client;
mod refusal;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use ipnet::IpNet;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::authenticate::Unverified;
use crate::pipeline::{Arrival, Switchboard, answer};
use crate::settings::Server;

pub use client::client_address;
pub use connections::{Connections, Peer, serve};
pub use refusal::Refused;

/// The most that an inbound request has, in bytes.
pub const INBOUND_BYTES: usize = 64 << 10;
/// The most that an event has, in bytes: a long call's transcript runs to megabytes.
pub const EVENT_BYTES: usize = 10 << 20;
/// The header that names a request, in both directions.
pub const REQUEST_ID: &str = "x-request-id";

/// What the public routes share.
struct Front {
    board: Arc<Switchboard>,
    in_flight: Semaphore,
    request_timeout: Duration,
    trusted_proxies: Vec<IpNet>,
}

/// The public routes.
pub fn router(board: Arc<Switchboard>, server: &Server) -> Router {
    let front = Arc::new(Front {
        board,
        in_flight: Semaphore::new(server.max_in_flight),
        request_timeout: server.request_timeout,
        trusted_proxies: server.trusted_proxies.clone(),
    });
    let ask = || get(probe).post(inbound);
    let tell = || get(probe).post(event);
    Router::new()
        .route("/inbound/{source}", ask())
        .route("/inbound/{source}/{token}", ask())
        .route("/events/{source}", tell())
        .route("/events/{source}/{token}", tell())
        .route("/healthz", get(health))
        .method_not_allowed_fallback(async || Refused::Method)
        .fallback(async || Refused::Path)
        .with_state(front)
}

async fn health() -> Response {
    json(Bytes::from_static(b"{\"ok\":true}"))
}

/// Platforms look whether anybody is there when the URL is saved.
async fn probe(State(front): State<Arc<Front>>, params: RawPathParams) -> Result<Response, Refused> {
    front.place(&params)?;
    Ok(health().await)
}

async fn inbound(
    State(front): State<Arc<Front>>,
    params: RawPathParams,
    request: Request,
) -> Result<Response, Refused> {
    front.answer(&params, request, INBOUND_BYTES).await
}

async fn event(
    State(front): State<Arc<Front>>,
    params: RawPathParams,
    request: Request,
) -> Result<Response, Refused> {
    front.answer(&params, request, EVENT_BYTES).await
}

impl Front {
    async fn answer(
        &self,
        params: &RawPathParams,
        request: Request,
        most_bytes: usize,
    ) -> Result<Response, Refused> {
        let at = Instant::now();
        let (desk, token) = self.place(params)?;
        let _place_in_flight = self.in_flight.try_acquire().map_err(|_| {
            self.board.counters().overloaded.increment(1);
            Refused::Overloaded
        })?;
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
        let (parts, body) = request.into_parts();
        let arrival = Arrival { request_id: request_id(&parts.headers), at };
        let body = read(body, &parts.headers, most_bytes, at + self.request_timeout).await?;
        let client = client_address(peer, &parts.headers, &self.trusted_proxies);
        let id = HeaderValue::from_str(&arrival.request_id);
        let unverified = Unverified::new(parts.headers, body, client, token);
        let log_id = arrival.request_id.clone();
        let answered = answer(&self.board, desk, unverified, arrival).await;
        let reply = answered.map_err(|refusal| {
            tracing::warn!(request_id = log_id, source = &*desk.source.name, %client, %refusal, "refused");
            Refused::from(refusal)
        })?;
        let mut response = json(reply);
        if let Ok(id) = id {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        Ok(response)
    }

    /// The source that the path names, and the token behind it. Without `url_token` in the
    /// settings there is no such path.
    fn place<'p>(
        &self,
        params: &'p RawPathParams,
    ) -> Result<(&crate::pipeline::Desk, Option<&'p str>), Refused> {
        let mut values = params.iter().map(|(_, value)| value);
        let desk = values.next().and_then(|source| self.board.desk(source)).ok_or(Refused::Path)?;
        let token = values.next();
        if token.is_some() && desk.source.policy.url_token.is_none() {
            return Err(Refused::Path);
        }
        Ok((desk, token))
    }
}

/// The whole body, when it is small enough and comes in time.
async fn read(body: Body, headers: &HeaderMap, most: usize, until: Instant) -> Result<Bytes, Refused> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes: u64| bytes > most as u64) {
        return Err(Refused::TooLarge { most });
    }
    let collected = tokio::time::timeout_at(until, Limited::new(body, most).collect()).await;
    match collected.map_err(|_| Refused::Slow)? {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refused::TooLarge { most }),
        Err(_) => Err(Refused::Malformed("the body ends before its length, or its chunks are wrong")),
    }
}

/// The caller's own id of the request, when it is one; else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let fine = |id: &&str| (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    let theirs = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(fine);
    theirs.map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned)
}

fn json(body: Bytes) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], body).into_response()
}

