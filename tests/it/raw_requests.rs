//! Hostile and unusual requests, byte for byte: each has its answers, and the next good call is answered.
//!
//! The statuses of all answers on a connection are compared, so that no request ever gets two of them.

use std::net::SocketAddr;

use switchboard::http::Transport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::sockets::{LIMITS, exchange, run_with, signed, status};
use crate::support::app::{NOW_MS, RETELL_KEY, RULES, SETTINGS, retell_call, sign};
use crate::support::wait::within_deadline;

/// Sends bytes, closes the sending side, and returns the statuses of all answers. A server may close the
/// connection before it has read everything.
async fn statuses(address: SocketAddr, bytes: &[u8]) -> Vec<u16> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let sent = stream.write_all(bytes).await;
    drop(sent.and(stream.shutdown().await));
    let mut answer = Vec::new();
    drop(within_deadline("the end of the connection", stream.read_to_end(&mut answer)).await);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let starts = answer.match_indices("HTTP/1.").map(|(at, _)| &answer[at..]);
    starts.map(status).collect()
}

/// A case: its name, what is sent, and the statuses of the answers. In what is sent, `CALL` stands for a call and
/// `LENGTH` for its length.
type Case = (&'static str, String, &'static [u16]);

async fn check(cases: Vec<Case>, minimum: usize) {
    assert!(cases.len() >= minimum, "{} cases", cases.len());
    let running = run_with(SETTINGS, RULES, LIMITS, Transport::default()).await;
    let good = signed(&call()).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let mut wrong = Vec::new();
    for (name, request, expected) in cases {
        let request = request.replace("LENGTH", &call().len().to_string());
        let request = request.replace("CALL", &call());
        let actual = statuses(running.address, request.as_bytes()).await;
        if actual != expected {
            wrong.push(format!("{name}: {actual:?}, not {expected:?}"));
        }
        assert_eq!(status(&exchange(running.address, good.as_bytes()).await), 200, "after {name}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn call() -> String {
    retell_call("+12137771234", "+12137771235")
}

/// A `GET` of a path that exists, with these lines in its header.
fn get(lines: &str) -> String {
    format!("GET /healthz HTTP/1.1\r\nHost: h\r\n{lines}\r\n")
}

/// A signed call with these lines in its header, and this body in place of the call.
fn post_as(version: &str, lines: &str, body: &str) -> String {
    let (name, value) = sign("retell", call().as_bytes(), NOW_MS, RETELL_KEY);
    format!(
        "POST /inbound/retell HTTP/{version}\r\nHost: h\r\n{name}: {value}\r\n{lines}\r\n{body}"
    )
}

fn post(lines: &str, body: &str) -> String {
    post_as("1.1", lines, body)
}

fn case(name: &'static str, request: String, expected: &'static [u16]) -> Case {
    (name, request, expected)
}

#[tokio::test]
async fn hosts_and_request_lines() {
    let line = |line: &str| format!("{line}\r\nHost: h\r\n\r\n");
    let cases = vec![
        case("no Host", "GET /healthz HTTP/1.1\r\n\r\n".into(), &[400]),
        case("two Hosts", get("Host: i\r\n"), &[400]),
        case("two equal Hosts", get("Host: h\r\n"), &[400]),
        case("an empty Host", "GET /healthz HTTP/1.1\r\nHost:\r\n\r\n".into(), &[200]),
        case("a Host with a blank", "GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n".into(), &[400]),
        case("a Host with a user", "GET /healthz HTTP/1.1\r\nHost: u@h\r\n\r\n".into(), &[400]),
        case("HTTP/1.0 without Host", "GET /healthz HTTP/1.0\r\n\r\n".into(), &[200]),
        case(
            "HTTP/1.0, two Hosts",
            "GET /healthz HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n".into(),
            &[400],
        ),
        case(
            "HTTP/1.0, a signed call",
            post_as("1.0", "Content-Length: LENGTH\r\n", "CALL"),
            &[200],
        ),
        case("HTTP/0.9", "GET /healthz\r\n".into(), &[400]),
        case("HTTP/1.2", line("GET /healthz HTTP/1.2"), &[400]),
        case("HTTP/2.0", line("GET /healthz HTTP/2.0"), &[400]),
        case("http/1.1", line("GET /healthz http/1.1"), &[400]),
        case("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), &[]),
        case("a TLS handshake", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\r\n\r\n".into(), &[400]),
        case("not HTTP", "hello\r\n\r\n".into(), &[400]),
        case("lines before the request", format!("\r\n\r\n{}", get("")), &[200]),
        case("two blanks", line("GET  /healthz HTTP/1.1"), &[400]),
        case("a method with a blank", line("GE T /healthz HTTP/1.1"), &[400]),
        case("a method with a bracket", line("GE(T /healthz HTTP/1.1"), &[400]),
        case("a lower-case method", line("get /healthz HTTP/1.1"), &[405]),
        case("PUT", line("PUT /healthz HTTP/1.1"), &[405]),
        case("TRACE", line("TRACE /healthz HTTP/1.1"), &[405]),
        case("CONNECT", line("CONNECT h:443 HTTP/1.1"), &[404]),
        case("OPTIONS *", line("OPTIONS * HTTP/1.1"), &[404]),
        case("HEAD", line("HEAD /healthz HTTP/1.1"), &[200]),
        case("an absolute target", line("GET http://h/healthz HTTP/1.1"), &[200]),
        case("an absolute target elsewhere", line("GET http://i/healthz HTTP/1.1"), &[200]),
        case("an absolute target with a user", line("GET http://u@h/healthz HTTP/1.1"), &[400]),
        case("a target without a slash", line("GET healthz HTTP/1.1"), &[404]),
        case("NUL in the target", line("GET /heal\0thz HTTP/1.1"), &[400]),
        case("a path outside", line("GET /../healthz HTTP/1.1"), &[404]),
        case("an encoded path", line("GET /%2e%2e/healthz HTTP/1.1"), &[404]),
        case("a long path", line(&format!("GET /{} HTTP/1.1", "a".repeat(70_000))), &[414]),
    ];
    check(cases, 30).await;
}

#[tokio::test]
async fn headers() {
    let many = "a: b\r\n";
    let cases = vec![
        case("98 further headers", get(&many.repeat(98)), &[200]),
        case("100 further headers", get(&many.repeat(100)), &[431]),
        case("10,000 headers", get(&many.repeat(10_000)), &[431]),
        case("a long value", get(&format!("a: {}\r\n", "b".repeat(200_000))), &[431]),
        case("a long name", get(&format!("{}: b\r\n", "a".repeat(200_000))), &[431]),
        case("LF without CR", get("").replace("\r\n", "\n"), &[200]),
        case("CR without LF", get("a: b\rc: d\r\n"), &[400]),
        case("NUL in a value", get("a: \0\r\n"), &[400]),
        case("NUL in a name", get("a\0: b\r\n"), &[400]),
        case("a control character in a value", get("a: \u{1}\r\n"), &[400]),
        case("a tabulator in a value", get("a: b\tc\r\n"), &[200]),
        case("other letters in a value", get("a: ä\r\n"), &[200]),
        case("other letters in a name", get("ä: b\r\n"), &[400]),
        case("a folded value", get("a: b\r\n c\r\n"), &[400]),
        case(
            "a blank before the first name",
            "GET /healthz HTTP/1.1\r\n Host: h\r\n\r\n".into(),
            &[400],
        ),
        case("a blank before the colon", get("a : b\r\n"), &[400]),
        case("no colon", get("a\r\n"), &[400]),
        case("no name", get(": b\r\n"), &[400]),
        case(
            "Expect",
            post("Content-Length: LENGTH\r\nExpect: 100-continue\r\n", "CALL"),
            &[100, 200],
        ),
        case(
            "another Expect",
            post("Content-Length: LENGTH\r\nExpect: 200-ok\r\n", "CALL"),
            &[200],
        ),
        case(
            "Upgrade to a web socket",
            get("Connection: upgrade\r\nUpgrade: websocket\r\n"),
            &[200],
        ),
        case("Upgrade to HTTP/2", get("Connection: upgrade\r\nUpgrade: h2c\r\n"), &[200]),
        case("nothing", String::new(), &[]),
        case("an incomplete header", "GET /healthz HTTP/1.1\r\nHos".into(), &[]),
        case("two requests", get("").repeat(2), &[200, 200]),
        case(
            "a request after a call",
            post("Content-Length: LENGTH\r\n", "CALL") + &get(""),
            &[200, 200],
        ),
        case("nonsense after a request", get("") + "hello\r\n\r\n", &[200, 400]),
        case("a request after the last one", get("Connection: close\r\n") + &get(""), &[200]),
    ];
    check(cases, 25).await;
}

#[tokio::test]
async fn lengths_and_chunks() {
    let length = |value: &str| post(&format!("Content-Length: {value}\r\n"), "CALL");
    let chunks = |lines: &str, body: &str| {
        let size = format!("{:x}", call().len());
        post(&format!("Transfer-Encoding: chunked\r\n{lines}"), &body.replace("SIZE", &size))
    };
    let coding = |value: &str| chunks("", WHOLE).replace(": chunked", &format!(": {value}"));
    const WHOLE: &str = "SIZE\r\nCALL\r\n0\r\n\r\n";
    let extension = format!("SIZE;{}\r\nCALL\r\n0\r\n\r\n", "a".repeat(20_000));
    let trailers = format!("SIZE\r\nCALL\r\n0\r\n{}\r\n", "a: b\r\n".repeat(5_000));
    let cases = vec![
        case("the length", length("LENGTH"), &[200]),
        case("a length among blanks", length("  LENGTH  "), &[200]),
        case("the length twice", length("LENGTH\r\nContent-Length: LENGTH"), &[200]),
        case("two lengths", length("LENGTH\r\nContent-Length: 5"), &[400]),
        case("two lengths, the wrong one first", length("5\r\nContent-Length: LENGTH"), &[400]),
        case("a list of lengths", length("LENGTH, LENGTH"), &[400]),
        case("a negative length", length("-5"), &[400]),
        case("a length with a sign", length("+5"), &[400]),
        case("a hexadecimal length", length("0x5"), &[400]),
        case("a length with a fraction", length("5.0"), &[400]),
        case("an empty length", length(""), &[400]),
        case("a length of 20 digits", length("99999999999999999999"), &[400]),
        case("a length over the limit", length("65537"), &[413]),
        case("too long a length", length("1000"), &[400]),
        case("too short a length", length("5"), &[401, 400]),
        case("no length", post("", "CALL"), &[401, 400]),
        case("a body of GET", get("Content-Length: 5\r\n") + "12345" + &get(""), &[200, 200]),
        case("chunks", chunks("", WHOLE), &[200]),
        case("small chunks", chunks("", "1\r\n{\r\n0\r\n\r\n"), &[401]),
        case("a request after chunks", chunks("", WHOLE) + &get(""), &[200]),
        case("chunks and a trailer", chunks("", "SIZE\r\nCALL\r\n0\r\na: b\r\n\r\n"), &[200]),
        case("chunks and an extension", chunks("", "SIZE;a=b\r\nCALL\r\n0\r\n\r\n"), &[200]),
        case("a size with zeros", chunks("", "0000SIZE\r\nCALL\r\n0\r\n\r\n"), &[200]),
        case("a size that is no number", chunks("", "zz\r\nCALL\r\n0\r\n\r\n"), &[400]),
        case("a negative size", chunks("", "-5\r\nCALL\r\n0\r\n\r\n"), &[400]),
        case("a size with 0x", chunks("", "0xSIZE\r\nCALL\r\n0\r\n\r\n"), &[400]),
        case("an empty size", chunks("", "\r\nCALL\r\n0\r\n\r\n"), &[400]),
        case("a size of 17 digits", chunks("", "10000000000000005\r\nCALL\r\n"), &[400]),
        case("a size that is too small", chunks("", "5\r\nCALL\r\n0\r\n\r\n"), &[400]),
        case("a size after LF", chunks("", "SIZE\nCALL\r\n0\r\n\r\n"), &[400]),
        case("no last chunk", chunks("", "SIZE\r\nCALL\r\n"), &[400]),
        case("half a chunk", chunks("", "SIZE\r\n{"), &[400]),
        case("a long extension", chunks("", &extension), &[400]),
        case("long trailers", chunks("", &trailers), &[400]),
        case("a length and chunks", chunks("Content-Length: 5\r\n", WHOLE) + &get(""), &[200]),
        case("Chunked", coding("Chunked"), &[200]),
        case("another coding last", coding("chunked, gzip"), &[400]),
        case("another coding only", coding("gzip"), &[400]),
        case("identity", coding("identity"), &[400]),
        case("a misspelt coding", coding("xchunked"), &[400]),
        case("a vertical tabulator", coding("\u{b}chunked"), &[400]),
        case("chunks in HTTP/1.0", chunks("", WHOLE).replace("HTTP/1.1", "HTTP/1.0"), &[400]),
    ];
    check(cases, 40).await;
}
