//! Over real sockets: what hyper is given, what it lets through, and how connections end.

use std::net::SocketAddr;
use std::time::Duration;

use switchboard::http::{ConnectionLimits, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::app::{NOW_MS, RETELL_KEY, RULES, SETTINGS, app, retell_call, sign};

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

const LIMITS: ConnectionLimits = ConnectionLimits {
    max_connections: 100,
    header_timeout: Duration::from_secs(5),
    shutdown_grace: Duration::from_secs(5),
};

async fn run(limits: ConnectionLimits, rules: &str) -> Running {
    let app = app(SETTINGS, rules);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(serve(listener, app.public, limits, async { drop(stopped.await) }));
    Running { address, stop, task }
}

/// Sends these bytes and reads until the other end closes.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn signed(call: &str) -> String {
    let (name, value) = sign("retell", call.as_bytes(), NOW_MS, RETELL_KEY);
    format!(
        "POST /inbound/retell HTTP/1.1\r\nHost: h\r\n{name}: {value}\r\nContent-Length: {}\r\n\r\n{call}",
        call.len()
    )
}

#[track_caller]
fn status(answer: &str) -> u16 {
    let first = answer.split_whitespace().nth(1);
    first.and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no status in {answer:?}"))
}

#[tokio::test]
async fn a_signed_call_is_answered_twice_on_one_connection() {
    let running = run(LIMITS, RULES).await;
    let call = retell_call("+12137771234", "+12137771235");
    let answer = exchange(running.address, signed(&call).repeat(2).as_bytes()).await;
    let reply = r#"{"call_inbound":{"override_agent_id":"agent_1"}}"#;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
    assert_eq!(answer.matches(reply).count(), 2, "{answer}");
}

#[tokio::test]
async fn requests_that_are_not_http_as_it_should_be_get_their_status() {
    let running = run(LIMITS, RULES).await;
    let chunked = "POST /inbound/retell HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n";
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
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "one answer to one request: {what}");
    }
}

#[tokio::test]
async fn what_follows_a_chunked_request_is_never_taken_for_another() {
    let running = run(LIMITS, RULES).await;
    let smuggled = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
    let (length, chunked) = ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n");
    for headers in [format!("{length}{chunked}"), format!("{chunked}{length}")] {
        let first = format!("POST /inbound/retell HTTP/1.1\r\nHost: h\r\n{headers}\r\n0\r\n\r\n");
        let answer = exchange(running.address, format!("{first}{smuggled}").as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn silent_and_dripping_clients_are_sent_away() {
    let limits = ConnectionLimits { header_timeout: Duration::from_millis(200), ..LIMITS };
    let running = run(limits, RULES).await;
    for bytes in ["", "GET /healthz HTTP/1.1\r\nHos"] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let ended =
            tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "the connection was closed after {bytes:?}");
    }
}

#[tokio::test]
async fn beyond_the_cap_connections_wait_for_a_place() {
    let running = run(ConnectionLimits { max_connections: 1, ..LIMITS }, RULES).await;
    let first = TcpStream::connect(running.address).await.unwrap();
    let call = retell_call("+12137771234", "+12137771235");
    let second = tokio::spawn({
        let request = signed(&call);
        async move { exchange(running.address, request.as_bytes()).await }
    });
    tokio::task::yield_now().await;
    assert!(!second.is_finished());
    drop(first);
    assert_eq!(status(&second.await.unwrap()), 200);
}

const SLOW: &str = "[[rule]]\nname = \"slow\"\nagent = \"agent_1\"\ndelay_ms = 300\n";

#[tokio::test]
async fn a_request_in_flight_is_finished_before_the_end() {
    let running = run(LIMITS, SLOW).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(signed(&retell_call("+12137771234", "")).as_bytes()).await.unwrap();
    // Accepted and read by then; the reply is due after 300 ms.
    tokio::time::sleep(Duration::from_millis(100)).await;
    running.stop.send(()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(status(&String::from_utf8_lossy(&answer)), 200);
    running.task.await.unwrap();
    assert!(TcpStream::connect(running.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn what_is_not_done_after_the_grace_is_ended() {
    let limits = ConnectionLimits { shutdown_grace: Duration::from_millis(100), ..LIMITS };
    let running = run(limits, &SLOW.replace("300", "3000")).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(signed(&retell_call("+12137771234", "")).as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    running.stop.send(()).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(2), running.task).await;
    assert!(ended.is_ok(), "the service does not wait for ever");
}
