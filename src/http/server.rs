//! The accept loop of both listeners: limits on connections, timeouts, TLS, graceful shutdown.
//!
//! `axum::serve` installs no timer, so silent and slow clients would stay connected forever; this loop
//! drives hyper's connections itself. The listener and the stop signal are arguments.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{Ipv6Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, Version, header};
use axum::response::IntoResponse;
use axum::{BoxError, Router};
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tower::Service;

use super::connections::{Connection, Connections};
use super::{HttpProblem, proxy_protocol};
use crate::telemetry::AcceptErrors;
use crate::tls::{HTTP_2, LiveCertificates};

/// Size of the read buffer, which bounds a request's header, in bytes; hyper may grow it once.
const HEADER_BYTES: usize = 64 << 10;
/// Bytes that an HTTP/2 client may send before they are read: about as many as the read buffer of an
/// HTTP/1 connection holds.
const WINDOW_BYTES: u32 = 128 << 10;
/// Maximum number of requests in flight on one HTTP/2 connection.
const MAX_STREAMS: u32 = 100;
/// Longest pause before the next accept when the process has no more file descriptors.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(50);
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

/// Layers below HTTP on the connections of a listener.
#[derive(Debug, Clone, Default)]
pub struct Transport {
    /// Certificates; `None` for HTTP in the clear.
    pub tls: Option<LiveCertificates>,
    /// Offers HTTP/2 to TLS clients.
    pub http2: bool,
    /// Connections from trusted proxies begin with a PROXY header.
    pub proxy_protocol: bool,
}

/// Serves `router` until `stop` completes; a panic in it becomes a 500. Then stops accepting, answers the
/// requests that open connections begin within a moment, lets requests in flight finish, and drops those
/// that take longer than the grace time.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    transport: Transport,
    stop: impl Future<Output = ()>,
) {
    let ConnectionLimits { first_header_timeout, shutdown_grace, .. } = limits;
    let connections = Connections::new(
        limits.max_connections,
        limits.max_unauthenticated_per_address,
        limits.trusted_proxies.clone(),
    );
    let server = Server::new(router, connections.clone(), &limits, &transport);
    let mut silence_check = tokio::time::interval(SILENCE_CHECK_INTERVAL);
    silence_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut errors = AcceptErrors::default();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            _ = silence_check.tick() => connections.close_silent(first_header_timeout),
            (stream, peer) = accept(&listener, &connections, &mut errors) => server.start(stream, peer),
        }
    }
    server.state.is_stopping.store(true, Ordering::Relaxed);
    // Connections that the kernel has already established would otherwise be reset.
    while let Some((stream, peer)) = accept(&listener, &connections, &mut errors).now_or_never() {
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

/// Starts connections.
struct Server {
    state: Arc<ServerState>,
    connections: Connections,
    write_timeout: Duration,
    graceful: GracefulShutdown,
}

/// Everything that the tasks of connections share.
struct ServerState {
    router: Router,
    tls: Option<TlsAcceptor>,
    proxy_protocol: bool,
    /// Connections from trusted proxies without a valid PROXY header.
    proxy_errors: Mutex<AcceptErrors>,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    /// Whether responses ask clients to close their connection.
    is_stopping: AtomicBool,
}

impl Server {
    fn new(
        router: Router,
        connections: Connections,
        limits: &ConnectionLimits,
        transport: &Transport,
    ) -> Server {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            // A client may close its side after the request and wait for the response.
            .half_close(true)
            // Copying a small reply behind its header takes less time than a write from two buffers.
            .writev(false)
            .max_buf_size(HEADER_BYTES);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .max_header_list_size(HEADER_BYTES as u32)
            // A client that does not answer a ping within hyper's 20 s is disconnected.
            .keep_alive_interval(limits.header_timeout);
        let state = ServerState {
            router,
            tls: transport.tls.as_ref().map(|tls| tls.server_config(transport.http2).into()),
            proxy_protocol: transport.proxy_protocol,
            proxy_errors: Mutex::default(),
            http1,
            http2,
            is_stopping: AtomicBool::default(),
        };
        Server {
            state: Arc::new(state),
            connections,
            write_timeout: limits.write_timeout,
            graceful: GracefulShutdown::new(),
        }
    }

    /// Starts the task of a connection.
    fn start(&self, stream: TcpStream, peer: SocketAddr) {
        // A reply is one small packet; waiting for more data would only delay it.
        drop(stream.set_nodelay(true));
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.write_timeout));
        let connection = self.connections.add(peer);
        let number = connection.number();
        let serving = self.state.clone().run(stream, connection, self.graceful.watcher());
        let task = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::debug!(%peer, error, "connection ended");
            }
        });
        self.connections.started(number, task.abort_handle());
    }
}

impl ServerState {
    /// Serves a connection until it closes. Everything before the first request has to happen within
    /// the time for its header.
    async fn run(
        self: Arc<ServerState>,
        stream: TimeoutStream<TcpStream>,
        mut connection: Connection,
        watcher: Watcher,
    ) -> Result<(), BoxError> {
        let mut stream = Box::pin(stream);
        if self.proxy_protocol
            && connection.is_from_proxy()
            && let Some(client) = self.read_proxy_header(&mut stream).await?
        {
            connection.set_client(client);
        }
        let Some(tls) = &self.tls else {
            return self.serve_http1(stream, connection, watcher).await;
        };
        let stream = tls.accept(stream).await?;
        match stream.get_ref().1.alpn_protocol() {
            Some(HTTP_2) => self.serve_http2(stream, connection, watcher).await,
            _ => self.serve_http1(stream, connection, watcher).await,
        }
    }

    /// Reads the client's address. A load balancer that sends another header, or none, loses all calls, so the log
    /// says so; a connection that ends before it is a check of the port.
    async fn read_proxy_header(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<Option<SocketAddr>> {
        let read = proxy_protocol::read_header(stream).await;
        if let Err(error) = &read
            && error.kind() == ErrorKind::InvalidData
        {
            let mut errors = self.proxy_errors.lock().unwrap_or_else(PoisonError::into_inner);
            errors.note(error, Instant::now());
        }
        read
    }

    async fn serve_http1(
        self: &Arc<ServerState>,
        stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
        connection: Connection,
        watcher: Watcher,
    ) -> Result<(), BoxError> {
        let serving = self.http1.serve_connection(TokioIo::new(stream), self.service(connection));
        Ok(watcher.watch(serving).await?)
    }

    async fn serve_http2(
        self: &Arc<ServerState>,
        stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
        connection: Connection,
        watcher: Watcher,
    ) -> Result<(), BoxError> {
        let serving = self.http2.serve_connection(TokioIo::new(stream), self.service(connection));
        Ok(watcher.watch(serving).await?)
    }

    /// Returns the service that answers the requests of a connection.
    fn service(
        self: &Arc<ServerState>,
        connection: Connection,
    ) -> impl HttpService<
        Incoming,
        ResBody = Body,
        Error = Infallible,
        Future = impl Future<Output = Result<Response<Body>, Infallible>> + Send + use<>,
    > + use<> {
        let (state, connection) = (self.clone(), Arc::new(connection));
        service_fn(move |request| state.clone().respond(request, connection.clone()))
    }

    /// Answers one request. A panic becomes a 500.
    async fn respond(
        self: Arc<ServerState>,
        request: Request<Incoming>,
        connection: Arc<Connection>,
    ) -> Result<Response<Body>, Infallible> {
        connection.request_begun();
        let is_http1 = request.version() < Version::HTTP_2;
        // If a request has both Content-Length and Transfer-Encoding, hyper hides the former. Closing the
        // connection after every chunked request prevents smuggling: bytes that another parser takes for
        // the next request are never read.
        let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
        let mut response = match check_host(&request) {
            Err(problem) => problem.into_response(),
            Ok(()) => {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(connection.clone());
                // Not a layer, which would put each response into two more boxes. `AssertUnwindSafe`: a
                // panic leaves nothing of the request behind.
                let routing = async { self.router.clone().call(request).await };
                AssertUnwindSafe(routing).catch_unwind().await.unwrap_or_else(|_panic| {
                    Ok(HttpProblem::Internal("internal error".to_owned()).into_response())
                })?
            }
        };
        let is_last = self.is_stopping.load(Ordering::Relaxed) || connection.has_used_up_requests();
        // HTTP/2 has no such header; its connections end with a frame.
        if is_chunked || is_http1 && is_last {
            response.headers_mut().insert(header::CONNECTION, CLOSE);
        }
        Ok(response)
    }
}

/// Accepts the next connection once there is room for it. Without a file descriptor for it, the oldest
/// connection without an authenticated request makes room.
async fn accept(
    listener: &TcpListener,
    connections: &Connections,
    errors: &mut AcceptErrors,
) -> (TcpStream, SocketAddr) {
    connections.room().await;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_client(error.kind()) => {}
            // The kernel takes the descriptor first, so that the call fails although nothing waits.
            Err(_) if !is_connection_waiting(listener) => {
                tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
            }
            Err(error) => {
                errors.note(&error, Instant::now());
                // An error means that no connection has closed; the next attempt may still succeed.
                drop(tokio::time::timeout(ACCEPT_RETRY_INTERVAL, connections.make_room()).await);
            }
        }
    }
}

/// Returns whether a connection can be accepted, as far as the system tells.
#[cfg(target_os = "linux")]
fn is_connection_waiting(listener: &TcpListener) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let mut listeners = [PollFd::new(listener, PollFlags::IN)];
    poll(&mut listeners, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

#[cfg(not(target_os = "linux"))]
fn is_connection_waiting(_: &TcpListener) -> bool {
    true
}

/// Returns whether an error concerns only the connection that would have been accepted.
fn is_of_client(error: ErrorKind) -> bool {
    matches!(
        error,
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset
    )
}

/// Checks for exactly one valid Host header, which hyper does not (RFC 9112, section 3.2). It may be
/// empty. In HTTP/2 the authority takes its place.
fn check_host(request: &Request<Incoming>) -> Result<(), HttpProblem> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    let is_required = request.version() == Version::HTTP_11;
    if second.is_some() || is_required && host.is_none() {
        return Err(HttpProblem::BadRequest("a request must have exactly one Host header".into()));
    }
    let is_valid = |text: &str| text.is_empty() || is_host(text);
    let authority = request.uri().authority();
    let has_valid_authority = authority.is_none_or(|authority| is_valid(authority.as_str()));
    if !has_valid_authority || !host.is_none_or(|host| host.to_str().is_ok_and(is_valid)) {
        return Err(HttpProblem::BadRequest(
            "the Host must be a name or address, and a port".into(),
        ));
    }
    Ok(())
}

/// Returns whether a text is a name or an address, with or without a port.
fn is_host(text: &str) -> bool {
    let is_address = |literal: &str| literal.parse::<Ipv6Addr>().is_ok();
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._~%".contains(&c))
    };
    // `:` and nothing behind it is valid, too.
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_port = |port: &str| port.is_empty() || is_digits(port) && port.parse::<u16>().is_ok();
    match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').is_some_and(|(literal, rest)| {
            is_address(literal) && rest.strip_prefix(':').map_or(rest.is_empty(), is_port)
        }),
        None => {
            let (name, port) = text.split_once(':').unwrap_or((text, ""));
            is_name(name) && is_port(port)
        }
    }
}
