//! Connections: how many, how slow they may be, and how they end.
//!
//! An accept loop of our own, because `axum::serve` installs no timer: silent and dripping clients
//! would stay for ever. The listener and the stop signal are arguments.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::BoxError;
use axum::http::{HeaderValue, Request, Response, Version, header};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{Either as EitherFuture, ready};
use http_body_util::Either;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::HttpProblem;

/// The size of the buffer that a header has to fit, in bytes; hyper may grow it once.
const HEADER_BYTES: usize = 64 << 10;
/// How long to wait when the kernel has no more file descriptors.
const NO_DESCRIPTORS: Duration = Duration::from_millis(50);

/// How many connections may wait to be accepted; the kernel's own limit may be lower.
const BACKLOG: u32 = 4096;
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// How connections are treated.
#[derive(Debug, Clone)]
pub struct Connections {
    /// How many at once; more wait in the kernel.
    pub most: usize,
    /// How long one may be silent, or take for a header.
    pub header_timeout: Duration,
    /// What requests in flight are given when the service stops.
    pub grace: Duration,
}

impl Connections {
    /// For the admin listener, which few people ask, and nobody waits for at the end.
    pub const FOR_AN_OPERATOR: Connections = Connections {
        most: 64,
        header_timeout: Duration::from_secs(30),
        grace: Duration::from_secs(1),
    };
}

/// Listens at `address`. Connections beyond the cap wait in a queue of the kernel's.
///
/// # Errors
/// When the address is taken or not this machine's.
pub fn listen_at(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `stop`, then takes no more connections, lets requests in flight finish, and ends
/// what is not done after the grace. `answer` is given each request and the other end's address.
pub async fn serve<A, F, B>(
    listener: TcpListener,
    answer: A,
    limits: Connections,
    stop: impl Future<Output = ()>,
) where
    A: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(limits.most));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(HEADER_BYTES);
    let start = |(stream, peer): (TcpStream, SocketAddr), place: OwnedSemaphorePermit| {
        // Replies are one small packet each: waiting for more to send only delays them.
        drop(stream.set_nodelay(true));
        let answer = answer.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            // Of a Content-Length beside a Transfer-Encoding hyper shows nothing, so a connection ends
            // after every chunked request: what another reader takes for the next is never read.
            let chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
            let answered = match malformed(&request) {
                None => EitherFuture::Left(
                    answer(request, peer).map(|response| response.map(Either::Left)),
                ),
                Some(what) => EitherFuture::Right(ready(
                    HttpProblem::Malformed(what).into_response().map(Either::Right),
                )),
            };
            answered.map(move |mut response| {
                if chunked {
                    response.headers_mut().insert(header::CONNECTION, CLOSE);
                }
                Ok::<_, Infallible>(response)
            })
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%peer, %error, "connection ended");
            }
            drop(place);
        });
    };
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            (connection, place) = accept(&listener, &places) => start(connection, place),
        }
    }
    // Whoever was already waiting in the kernel would otherwise see a reset.
    while let Some((connection, place)) = accept(&listener, &places).now_or_never() {
        start(connection, place);
    }
    drop(listener);
    if tokio::time::timeout(limits.grace, graceful.shutdown()).await.is_err() {
        tracing::warn!(grace_ms = limits.grace.as_millis() as u64, "requests were still in flight");
    }
}

/// The next connection, when there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> ((TcpStream, SocketAddr), OwnedSemaphorePermit) {
    let place = places.clone().acquire_owned().await.expect("nobody closes the semaphore");
    loop {
        match listener.accept().await {
            Ok(connection) => return (connection, place),
            Err(error) => {
                tracing::warn!(%error, "no connection could be accepted");
                tokio::time::sleep(NO_DESCRIPTORS).await;
            }
        }
    }
}

/// What hyper lets through and RFC 9112 does not: a request without its one Host.
fn malformed(request: &Request<Incoming>) -> Option<&'static str> {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    (request.version() == Version::HTTP_11 && hosts != 1)
        .then_some("there has to be one Host header")
}
