//! HTTP over real sockets: malformed requests, limits on connections, and shutdown.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use bytes::Bytes;
use switchboard::http::{ConnectionLimits, Transport, serve};
use switchboard::pipeline::Switchboard;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tower::ServiceExt;

use crate::support::app::{NOW_MS, RETELL_KEY, RULES, SETTINGS, app, retell_call, sign};
use crate::support::wait::{self, DEADLINE, within_deadline};

pub(crate) struct Running {
    app: Arc<Switchboard>,
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

pub(crate) const LIMITS: ConnectionLimits = ConnectionLimits {
    max_connections: 100,
    max_unauthenticated_per_address: 100,
    trusted_proxies: Vec::new(),
    first_header_timeout: DEADLINE,
    header_timeout: DEADLINE,
    write_timeout: DEADLINE,
    shutdown_grace: DEADLINE,
};

async fn run(limits: ConnectionLimits, rules: &str) -> Running {
    run_with(SETTINGS, rules, limits, Transport::default()).await
}

pub(crate) async fn run_with(
    settings: &str,
    rules: &str,
    limits: ConnectionLimits,
    transport: Transport,
) -> Running {
    let app = app(settings, rules);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let stopped = async { drop(stopped.await) };
    let task = tokio::spawn(serve(listener, app.public.clone(), limits, transport, stopped));
    Running { app: app.app, address, stop, task }
}

impl Running {
    /// Waits until a call has been decided; its reply may still be delayed.
    async fn until_decided(&self) {
        let decided = "switchboard_decision_seconds_count 1\n";
        let is_decided = async || self.app.counters().to_text().contains(decided);
        assert!(wait::until_async(is_decided).await, "the call was not decided");
    }
}

/// Sends bytes and reads until the server closes the connection.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    read_to_end(&mut stream).await
}

/// Reads until the server closes the connection.
pub(crate) async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let end = within_deadline("the end of the connection", stream.read_to_end(&mut bytes)).await;
    // A server that closes before it has read everything resets the connection.
    assert!(end.is_ok() || bytes.is_empty(), "{end:?}");
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(crate) fn signed(call: &str) -> String {
    let (name, value) = sign("retell", call.as_bytes(), NOW_MS, RETELL_KEY);
    format!(
        "POST /inbound/retell HTTP/1.1\r\nHost: h\r\n{name}: {value}\r\nContent-Length: {}\r\n\r\n{call}",
        call.len()
    )
}

#[track_caller]
pub(crate) fn status(answer: &str) -> u16 {
    let first = answer.split_whitespace().nth(1);
    first.and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no status in {answer:?}"))
}

#[tokio::test]
async fn answers_two_calls_on_one_connection() {
    let running = run(LIMITS, RULES).await;
    let call = retell_call("+12137771234", "+12137771235");
    let answer = exchange(running.address, signed(&call).repeat(2).as_bytes()).await;
    let reply = r#"{"call_inbound":{"override_agent_id":"agent_1"}}"#;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
    assert_eq!(answer.matches(reply).count(), 2, "{answer}");
}

#[tokio::test]
async fn malformed_requests_receive_their_status() {
    let running = run(LIMITS, RULES).await;
    // A well-formed signature, so that the body is read.
    let (name, value) = sign("retell", b"", NOW_MS, RETELL_KEY);
    let chunked = format!(
        "POST /inbound/retell HTTP/1.1\r\nHost: h\r\n{name}: {value}\r\nTransfer-Encoding: chunked\r\n"
    );
    let over = format!("{chunked}\r\n{:x}\r\n{}\r\n0\r\n\r\n", 70_000, " ".repeat(70_000));
    let many = format!("GET /healthz HTTP/1.1\r\nHost: h\r\n{}\r\n", "a: b\r\n".repeat(10_000));
    for (what, request, expected) in [
        ("no Host", "GET /healthz HTTP/1.1\r\n\r\n", 400),
        ("two Hosts", "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (
            "two lengths",
            "POST /inbound/retell HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            400,
        ),
        ("chunks over the limit", &over, 413),
        ("wrong chunk", &format!("{chunked}\r\nzz\r\n\r\n"), 400),
        ("10,000 headers", &many, 431),
        ("NUL in a header", "GET /healthz HTTP/1.1\r\nHost: h\r\na: \0\r\n\r\n", 400),
        ("not HTTP", "hello\r\n\r\n", 400),
        ("HTTP/1.0 without Host", "GET /healthz HTTP/1.0\r\n\r\n", 200),
    ] {
        let answer = exchange(running.address, request.as_bytes()).await;
        assert_eq!(status(&answer), expected, "{what}: {answer}");
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "not one answer: {what}");
    }
}

#[tokio::test]
async fn an_invalid_host_is_a_400() {
    let running = run(LIMITS, RULES).await;
    let get = |target: &str, host: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    };
    for host in [
        "h",
        "h.example:8080",
        "192.0.2.1",
        "[2001:db8::1]:443",
        "xn--bcher-kva.example",
        "a_b",
        "",
    ] {
        let answer = exchange(running.address, get("/healthz", host).as_bytes()).await;
        assert_eq!(status(&answer), 200, "{host}: {answer}");
    }
    for host in [
        "a b", "a/b", "a,b", "user@h", "h:port", "h:99999", "[::1", "[zz]", "h?x", "h#x", ":80",
        "<h>",
    ] {
        let answer = exchange(running.address, get("/healthz", host).as_bytes()).await;
        assert_eq!(status(&answer), 400, "{host}: {answer}");
    }
    let user = exchange(running.address, get("http://user@h/healthz", "h").as_bytes()).await;
    assert_eq!(status(&user), 400, "{user}");
}

#[tokio::test]
async fn bytes_after_a_chunked_request_are_never_another_request() {
    let running = run(LIMITS, RULES).await;
    let smuggled = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
    let (length, chunked) = ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n");
    for headers in [format!("{length}{chunked}"), format!("{chunked}{length}")] {
        let first = format!("POST /inbound/retell HTTP/1.1\r\nHost: h\r\n{headers}\r\n0\r\n\r\n");
        let answer = exchange(running.address, format!("{first}{smuggled}").as_bytes()).await;
        // The chunks are the body, which is not signed.
        assert_eq!(status(&answer), 401, "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn silent_and_slow_clients_are_disconnected() {
    let short = Duration::from_millis(200);
    for limits in [
        ConnectionLimits { header_timeout: short, ..LIMITS },
        ConnectionLimits { first_header_timeout: short, ..LIMITS },
    ] {
        let running = run(limits, RULES).await;
        for bytes in ["", "GET /healthz HTTP/1.1\r\nHos"] {
            let mut stream = TcpStream::connect(running.address).await.unwrap();
            stream.write_all(bytes.as_bytes()).await.unwrap();
            read_to_end(&mut stream).await;
        }
    }
}

#[tokio::test]
async fn a_connection_is_closed_after_100_requests_unless_one_is_authenticated() {
    let running = run(LIMITS, RULES).await;
    let health = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n".to_owned();
    let call = signed(&retell_call("+12137771234", "+12137771235"));
    for (first, is_closed) in [(&health, true), (&call, false)] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let mut last = String::new();
        for request in [first].into_iter().chain(std::iter::repeat_n(&health, 99)) {
            assert!(!last.contains("connection: close"), "{last}");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut bytes = [0; 4096];
            let length = within_deadline("a response", stream.read(&mut bytes)).await.unwrap();
            last = String::from_utf8_lossy(&bytes[..length]).into_owned();
            assert_eq!(status(&last), 200, "{last}");
        }
        assert_eq!(last.contains("connection: close"), is_closed, "{last}");
    }
}

#[tokio::test]
async fn connections_beyond_the_maximum_wait() {
    let running = run(ConnectionLimits { max_connections: 1, ..LIMITS }, RULES).await;
    let call = signed(&retell_call("+12137771234", "+12137771235"));
    let mut first = TcpStream::connect(running.address).await.unwrap();
    first.write_all(call.as_bytes()).await.unwrap();
    // One byte of the response shows that the request has been authenticated.
    within_deadline("the first answer", first.read_u8()).await.unwrap();
    let second = tokio::spawn({
        let call = call.clone();
        async move { exchange(running.address, call.as_bytes()).await }
    });
    tokio::task::yield_now().await;
    assert!(!second.is_finished());
    drop(first);
    let answer = within_deadline("the second answer", second).await.unwrap();
    assert_eq!(status(&answer), 200);
}

#[tokio::test]
async fn a_connection_without_an_authenticated_request_makes_room() {
    let full = ConnectionLimits { max_connections: 2, ..LIMITS };
    let crowded = ConnectionLimits { max_unauthenticated_per_address: 2, ..LIMITS };
    let call = signed(&retell_call("+12137771234", "+12137771235"));
    for limits in [full, crowded] {
        let running = run(limits, RULES).await;
        let mut silent = TcpStream::connect(running.address).await.unwrap();
        let mut refused = TcpStream::connect(running.address).await.unwrap();
        refused.write_all(b"POST /inbound/retell HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        within_deadline("the refusal", refused.read_u8()).await.unwrap();
        assert_eq!(status(&exchange(running.address, call.as_bytes()).await), 200);
        read_to_end(&mut silent).await;
    }
}

#[tokio::test]
async fn a_client_that_reads_no_response_is_disconnected() {
    let limits = ConnectionLimits { write_timeout: Duration::from_millis(100), ..LIMITS };
    let running = run(limits, RULES).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let requests = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n".repeat(1000);
    // The loop ends when the connection is reset.
    let until_reset = async { while stream.write_all(requests.as_bytes()).await.is_ok() {} };
    within_deadline("the end of the connection", until_reset).await;
}

/// Serves the admin listener with its own limits.
async fn run_admin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = app(SETTINGS, RULES).admin;
    let stop = std::future::pending();
    tokio::spawn(serve(listener, router, ConnectionLimits::ADMIN, Transport::default(), stop));
    address
}

#[tokio::test]
async fn stalled_connections_to_the_admin_listener_make_room_for_probes() {
    let address = run_admin().await;
    let body_withheld = "POST /explain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n";
    let responses_unread = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(500);
    let mut stalled = Vec::new();
    for index in 0..ConnectionLimits::ADMIN.max_connections {
        let request = if index % 16 == 0 { &responses_unread } else { body_withheld };
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stalled.push(stream);
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert_eq!(status(&exchange(address, request.as_bytes()).await), 200, "{path}");
    }
}

#[tokio::test]
async fn a_connection_that_reads_records_is_not_closed_to_make_room() {
    let address = run_admin().await;
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut records = TcpStream::connect(address).await.unwrap();
    records.write_all(request("/records").as_bytes()).await.unwrap();
    within_deadline("an answer", records.read_u8()).await.unwrap();
    let mut crowd = Vec::new();
    for _ in 0..ConnectionLimits::ADMIN.max_connections * 2 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: lo").await.unwrap();
        crowd.push(stream);
    }
    // The last of them is accepted after all others.
    let (first, last) = (crowd.remove(0), crowd.pop().unwrap());
    drop(last);
    read_to_end(&mut { first }).await;
    let close = request("/records/0").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    records.write_all(close.as_bytes()).await.unwrap();
    let answers = read_to_end(&mut records).await;
    assert_eq!(answers.matches("TTP/1.1 404").count(), 2, "{answers}");
}

#[tokio::test(start_paused = true)]
async fn the_admin_listener_waits_a_limited_time_for_a_body() {
    let withheld =
        axum::body::Body::from_stream(futures_util::stream::pending::<Result<Bytes, Infallible>>());
    let request = Request::post("/explain").header("host", "localhost").body(withheld).unwrap();
    let response = app(SETTINGS, RULES).admin.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 408);
}

#[tokio::test]
async fn connections_opened_before_shutdown_are_answered() {
    let running = run(LIMITS, RULES).await;
    let call = signed(&retell_call("+12137771234", "+12137771235"));
    let mut open = Vec::new();
    for _ in 0..20 {
        open.push(TcpStream::connect(running.address).await.unwrap());
    }
    running.stop.send(()).unwrap();
    for mut stream in open {
        stream.write_all(call.as_bytes()).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert_eq!(status(&answer), 200);
        assert!(answer.contains("connection: close"), "{answer}");
    }
    within_deadline("the end of the service", running.task).await.unwrap();
}

const SLOW: &str = "[[rule]]\nname = \"slow\"\nagent = \"agent_1\"\ndelay_ms = 300\n";

#[tokio::test]
async fn shutdown_waits_for_requests_in_flight() {
    let running = run(LIMITS, SLOW).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(signed(&retell_call("+12137771234", "")).as_bytes()).await.unwrap();
    running.until_decided().await;
    running.stop.send(()).unwrap();
    assert_eq!(status(&read_to_end(&mut stream).await), 200);
    within_deadline("the end of the service", running.task).await.unwrap();
    assert!(TcpStream::connect(running.address).await.is_err(), "the listener is still open");
}

#[tokio::test]
async fn shutdown_ends_requests_after_the_grace_time() {
    let limits = ConnectionLimits { shutdown_grace: Duration::from_millis(100), ..LIMITS };
    let (started, mut start) = mpsc::channel(1);
    let never_replies = async move || -> &'static str {
        started.send(()).await.unwrap();
        std::future::pending().await
    };
    let router = axum::Router::new().route("/", axum::routing::get(never_replies));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = async move { start.recv().await.expect("the handler sends") };
    let task = tokio::spawn(serve(listener, router, limits, Transport::default(), shutdown));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    within_deadline("the end of the service", task).await.unwrap();
}

#[tokio::test]
async fn a_panic_in_a_handler_is_a_500_and_the_service_continues() {
    let panics = async || -> &'static str { panic!("deliberate") };
    let router = axum::Router::new()
        .route("/panic", axum::routing::get(panics))
        .route("/alive", axum::routing::get(async || "alive"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, router, LIMITS, Transport::default(), std::future::pending()));
    let request =
        |path: &str| format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let answer = exchange(address, request("/panic").as_bytes()).await;
    assert_eq!(status(&answer), 500);
    assert!(answer.contains("application/problem+json"), "{answer}");
    assert_eq!(status(&exchange(address, request("/alive").as_bytes()).await), 200);
}
