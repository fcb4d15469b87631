//! The accept loop of both listeners: limits on connections, timeouts, graceful shutdown.
//!
//! `axum::serve` installs no timer, so silent and slow clients would stay connected forever; this loop
//! drives hyper's HTTP/1 connections itself. The listener and the stop signal are arguments.

use std::any::Any;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
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
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::MissedTickBehavior;
use tokio_io_timeout::TimeoutStream;
use tower::Service;
use tower_http::catch_panic::{CatchPanic, ResponseForPanic};

use super::HttpProblem;
use super::connections::{Connection, Connections};

/// Size of the read buffer, which bounds a request's header, in bytes; hyper may grow it once.
const HEADER_BYTES: usize = 64 << 10;
/// Pause before the next accept when the process has no more file descriptors.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(50);
/// Connections that may wait to be accepted; the kernel's own limit may be lower.
const BACKLOG: u32 = 4096;
/// Interval at which connections without a request are looked for.
const SILENCE_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Time after the stop signal in which open connections may still begin a request.
const LAST_REQUEST_WINDOW: Duration = Duration::from_millis(500);
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Limits on the connections of a listener.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Maximum number of open connections. A further one replaces the oldest connection without an
    /// authenticated request; if there is none, it waits in the kernel's queue.
    pub max_connections: usize,
    /// Maximum number of connections without an authenticated request from one address. A further one
    /// replaces the oldest.
    pub max_unauthenticated_per_address: usize,
    /// Addresses without a limit of their own.
    pub trusted_proxies: Vec<IpNet>,
    /// Maximum time for a new connection to send the header of its first request.
    pub first_header_timeout: Duration,
    /// Maximum time for a connection to send the header of any request, idle time included.
    pub header_timeout: Duration,
    /// Maximum time for which a client may leave a response unread.
    pub write_timeout: Duration,
    /// Time for requests in flight to finish at shutdown.
    pub shutdown_grace: Duration,
}

impl ConnectionLimits {
    /// Default of `first_header_timeout`.
    pub const FIRST_HEADER_TIMEOUT: Duration = Duration::from_secs(10);
    /// Default of `write_timeout`.
    pub const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
    /// Limits of the admin listener, which has few clients and no calls in flight at shutdown.
    pub const ADMIN: ConnectionLimits = ConnectionLimits {
        max_connections: 64,
        max_unauthenticated_per_address: 64,
        trusted_proxies: Vec::new(),
        first_header_timeout: Self::FIRST_HEADER_TIMEOUT,
        header_timeout: Duration::from_secs(30),
        write_timeout: Self::WRITE_TIMEOUT,
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

/// Serves `router` until `stop` completes; a panic in it becomes a 500. Then stops accepting, answers the
/// requests that open connections begin within a moment, lets requests in flight finish, and drops those
/// that take longer than the grace time.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    stop: impl Future<Output = ()>,
) {
    let ConnectionLimits { first_header_timeout, shutdown_grace, .. } = limits;
    let connections = Connections::new(
        limits.max_connections,
        limits.max_unauthenticated_per_address,
        limits.trusted_proxies.clone(),
    );
    let server = Server::new(router, connections.clone(), &limits);
    let mut silence_check = tokio::time::interval(SILENCE_CHECK_INTERVAL);
    silence_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            _ = silence_check.tick() => connections.close_silent(first_header_timeout),
            (stream, peer) = accept(&listener, &connections) => server.start(stream, peer),
        }
    }
    server.is_stopping.store(true, Ordering::Relaxed);
    // Connections that the kernel has already established would otherwise be reset.
    while let Some((stream, peer)) = accept(&listener, &connections).now_or_never() {
        server.start(stream, peer);
    }
    drop(listener);
    let window = LAST_REQUEST_WINDOW.min(shutdown_grace / 2);
    // An error means that connections are still open, which is normal.
    drop(tokio::time::timeout(window, connections.all_closed()).await);
    let grace = shutdown_grace - window;
    if tokio::time::timeout(grace, server.graceful.shutdown()).await.is_err() {
        let grace_ms = shutdown_grace.as_millis() as u64;
        tracing::warn!(grace_ms, "shutdown grace expired with requests in flight");
    }
}

/// Everything that a new connection needs.
struct Server {
    router: CatchPanic<Router, PanicResponse>,
    connections: Connections,
    http: http1::Builder,
    write_timeout: Duration,
    graceful: GracefulShutdown,
    /// Whether responses ask clients to close their connection.
    is_stopping: Arc<AtomicBool>,
}

impl Server {
    fn new(router: Router, connections: Connections, limits: &ConnectionLimits) -> Server {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(HEADER_BYTES);
        Server {
            // Around the router, not a layer of it, which would box the future of every request once
            // more.
            router: CatchPanic::custom(router, PanicResponse),
            connections,
            http,
            write_timeout: limits.write_timeout,
            graceful: GracefulShutdown::new(),
            is_stopping: Arc::default(),
        }
    }

    /// Starts the task of a connection.
    fn start(&self, stream: TcpStream, peer: SocketAddr) {
        // A reply is one small packet; waiting for more data would only delay it.
        drop(stream.set_nodelay(true));
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.write_timeout));
        let connection = Arc::new(self.connections.add(peer));
        let (number, router) = (connection.number(), self.router.clone());
        let is_stopping = self.is_stopping.clone();
        let service = service_fn(move |request| {
            connection.request_begun();
            let response = respond(router.clone(), request, connection.clone());
            let is_stopping = is_stopping.clone();
            async move {
                let mut response = response.await?;
                if is_stopping.load(Ordering::Relaxed) {
                    response.headers_mut().insert(header::CONNECTION, CLOSE);
                }
                Ok::<_, Infallible>(response)
            }
        });
        let io = TokioIo::new(Box::pin(stream));
        let serving = self.graceful.watch(self.http.serve_connection(io, service));
        let task = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::debug!(%peer, %error, "connection ended");
            }
        });
        self.connections.started(number, task.abort_handle());
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
    connection: Arc<Connection>,
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
            request.extensions_mut().insert(connection);
            router.call(request).await?.map(Body::new)
        }
    };
    if is_chunked {
        response.headers_mut().insert(header::CONNECTION, CLOSE);
    }
    Ok(response)
}

/// Accepts the next connection once there is room for it.
async fn accept(listener: &TcpListener, connections: &Connections) -> (TcpStream, SocketAddr) {
    connections.room().await;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
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
