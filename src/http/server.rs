//! The accept loop of both listeners: limits on connections, header timeouts, graceful shutdown.
//!
//! `axum::serve` installs no timer, so silent and slow clients would stay connected forever; this loop
//! drives hyper's HTTP/1 connections itself. The listener and the stop signal are arguments.

use std::any::Any;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, Response, Version, header};
use axum::response::IntoResponse;
use axum::{BoxError, Router};
use bytes::Bytes;
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service;
use tower_http::catch_panic::{CatchPanic, ResponseForPanic};

use super::HttpProblem;

/// Size of the read buffer, which bounds a request's header, in bytes; hyper may grow it once.
const HEADER_BYTES: usize = 64 << 10;
/// Pause before the next accept when the process has no more file descriptors.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(50);
/// Connections that may wait to be accepted; the kernel's own limit may be lower.
const BACKLOG: u32 = 4096;
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Limits on the connections of a listener.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Maximum number of open connections; further ones wait in the kernel's queue.
    pub max_connections: usize,
    /// Maximum time for a connection to send a request's header, idle time included.
    pub header_timeout: Duration,
    /// Time for requests in flight to finish at shutdown.
    pub shutdown_grace: Duration,
}

impl ConnectionLimits {
    /// Limits of the admin listener, which has few clients and no calls in flight at shutdown.
    pub const ADMIN: ConnectionLimits = ConnectionLimits {
        max_connections: 64,
        header_timeout: Duration::from_secs(30),
        shutdown_grace: Duration::from_secs(1),
    };
}

/// Binds a listening socket to `address`.
///
/// # Errors
/// Fails if the address is in use or does not belong to this machine.
pub fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Allows an immediate restart on the same port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves `router` until `stop` completes; a panic in it becomes a 500. Then stops accepting, lets requests in flight finish, and
/// drops those that take longer than the grace time.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    stop: impl Future<Output = ()>,
) {
    // Around the router, not a layer of it, which would box the future of every request once more.
    let router = CatchPanic::custom(router, PanicResponse);
    let permits = Arc::new(Semaphore::new(limits.max_connections));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(HEADER_BYTES);
    let start = |(stream, peer): (TcpStream, SocketAddr), permit: OwnedSemaphorePermit| {
        // A reply is one small packet; waiting for more data would only delay it.
        drop(stream.set_nodelay(true));
        let router = router.clone();
        let service = service_fn(move |request| respond(router.clone(), request, peer));
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%peer, %error, "connection ended");
            }
            drop(permit);
        });
    };
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            (connection, permit) = accept(&listener, &permits) => start(connection, permit),
        }
    }
    // Connections that the kernel has already established would otherwise be reset.
    while let Some((connection, permit)) = accept(&listener, &permits).now_or_never() {
        start(connection, permit);
    }
    drop(listener);
    if tokio::time::timeout(limits.shutdown_grace, graceful.shutdown()).await.is_err() {
        let grace_ms = limits.shutdown_grace.as_millis() as u64;
        tracing::warn!(grace_ms, "shutdown grace expired with requests in flight");
    }
}

/// Response to a request whose handler panicked.
#[derive(Debug, Clone, Copy)]
struct PanicResponse;

impl ResponseForPanic for PanicResponse {
    type ResponseBody = Body;

    fn response_for_panic(&mut self, _: Box<dyn Any + Send>) -> Response<Body> {
        HttpProblem::Internal("internal error".to_owned()).into_response()
    }
}

/// Routes one request.
async fn respond<S, B>(
    mut router: S,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Result<Response<Body>, Infallible>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    B: hyper::body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    // If a request has both Content-Length and Transfer-Encoding, hyper hides the former. Closing the
    // connection after every chunked request prevents smuggling: bytes that another parser takes for
    // the next request are never read.
    let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    let mut response = match check_host(&request) {
        Err(problem) => problem.into_response(),
        Ok(()) => {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            router.call(request).await?.map(Body::new)
        }
    };
    if is_chunked {
        response.headers_mut().insert(header::CONNECTION, CLOSE);
    }
    Ok(response)
}

/// Accepts the next connection for which there is a permit.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> ((TcpStream, SocketAddr), OwnedSemaphorePermit) {
    let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok(connection) => return (connection, permit),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
            }
        }
    }
}

/// Checks for exactly one Host header, which hyper does not (RFC 9112, section 3.2).
fn check_host(request: &Request<Incoming>) -> Result<(), HttpProblem> {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if request.version() == Version::HTTP_11 && hosts != 1 {
        return Err(HttpProblem::BadRequest("a request must have exactly one Host header".into()));
    }
    Ok(())
}
