//! What comes before HTTP on a connection: TLS, HTTP/2, the PROXY protocol.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use axum::http::{Request, StatusCode, Version};
use http_body_util::{BodyExt, Empty, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use ppp::v2::{Builder, Command, Protocol, Version as ProxyVersion};
use switchboard::http::{ConnectionLimits, Transport};
use switchboard::tls::LiveCertificates;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::sockets::{LIMITS, Running, exchange, read_to_end, run_with, signed, status};
use crate::support::app::{NOW_MS, RETELL_KEY, RULES, SETTINGS, retell_call, sign};
use crate::support::program::{self, Served};
use crate::support::tls::{SelfSigned, connect, handshake};
use crate::support::wait::{output, within_deadline};

const H2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";

fn tls(certificates: &[&SelfSigned], http2: bool) -> Transport {
    let certificates = certificates.iter().map(|certificate| certificate.certificate()).collect();
    Transport { tls: Some(LiveCertificates::new(certificates)), http2, ..Transport::default() }
}

async fn run(transport: Transport) -> Running {
    run_with(SETTINGS, RULES, LIMITS, transport).await
}

fn call() -> String {
    retell_call("+12137771234", "+12137771235")
}

const REPLY: &str = r#"{"call_inbound":{"override_agent_id":"agent_1"}}"#;

#[tokio::test]
async fn a_call_over_tls_is_answered() {
    let certificate = SelfSigned::new(&["hooks.example"]);
    let running = run(tls(&[&certificate], false)).await;
    // Without HTTP/2 in the settings, a client that prefers it receives HTTP/1.1.
    for protocols in [&[H2, HTTP_1][..], &[]] {
        let connecting = connect(running.address, "hooks.example", &certificate, protocols);
        let mut stream = connecting.await.unwrap();
        assert_ne!(stream.get_ref().1.alpn_protocol(), Some(H2));
        stream.write_all(signed(&call()).as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with(REPLY), "{answer}");
    }
}

#[tokio::test]
async fn each_server_name_has_its_certificate() {
    let [a, b] = [SelfSigned::new(&["a.example"]), SelfSigned::new(&["b.example"])];
    let running = run(tls(&[&a, &b], false)).await;
    for (name, trusted, expected) in
        [("a.example", &a, true), ("b.example", &b, true), ("b.example", &a, false)]
    {
        let connected = connect(running.address, name, trusted, &[]).await;
        assert_eq!(connected.is_ok(), expected, "{name}: {:?}", connected.err());
    }
}

#[tokio::test]
async fn a_client_may_choose_http2() {
    let certificate = SelfSigned::new(&["hooks.example"]);
    let running = run(tls(&[&certificate], true)).await;
    let connecting = connect(running.address, "hooks.example", &certificate, &[H2, HTTP_1]);
    let stream = connecting.await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(H2));
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let body = call();
    let (name, signature) = sign("retell", body.as_bytes(), NOW_MS, RETELL_KEY);
    let request = Request::post("https://hooks.example/inbound/retell")
        .header(name, signature)
        .body(Full::<bytes::Bytes>::from(body))
        .unwrap();
    let response = within_deadline("the reply", sender.send_request(request)).await.unwrap();
    assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_2));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, REPLY);
    drop(sender);
    within_deadline("the end of the connection", connection).await.unwrap().unwrap();
}

#[tokio::test]
async fn http2_in_the_clear_is_refused() {
    let running = run(Transport { http2: true, ..Transport::default() }).await;
    let stream = TcpStream::connect(running.address).await.unwrap();
    let (mut sender, connection) =
        http2::handshake::<_, _, Empty<&[u8]>>(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://h/healthz").body(Empty::new()).unwrap();
    let response = within_deadline("the end", sender.send_request(request)).await;
    assert!(response.is_err());
}

#[tokio::test]
async fn clients_without_tls_and_silent_ones_are_disconnected() {
    let certificate = SelfSigned::new(&["hooks.example"]);
    let transport = tls(&[&certificate], true);
    let limits = ConnectionLimits { first_header_timeout: Duration::from_millis(200), ..LIMITS };
    let running = run_with(SETTINGS, RULES, limits, transport).await;
    let answer = exchange(running.address, signed(&call()).as_bytes()).await;
    assert!(!answer.contains("HTTP/1.1"), "{answer}");
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    read_to_end(&mut silent).await;
    // The handshake alone is no request.
    let connecting = connect(running.address, "hooks.example", &certificate, &[HTTP_1]);
    let mut stream = connecting.await.unwrap();
    drop(
        within_deadline("the end", async {
            tokio::io::AsyncReadExt::read(&mut stream, &mut [0]).await
        })
        .await,
    );
}

/// Settings in which Retell may send from one address only.
fn allowing_one_address() -> String {
    SETTINGS.replace(
        "secrets = [\"env:RETELL_API_KEY\"]",
        "secrets = [\"env:RETELL_API_KEY\"]\nallow_from = [\"203.0.113.9\"]",
    )
}

fn proxied(command: Command, from: &str) -> Vec<u8> {
    let addresses: (SocketAddr, SocketAddr) =
        (from.parse().unwrap(), "10.0.0.1:443".parse().unwrap());
    Builder::with_addresses(ProxyVersion::Two | command, Protocol::Stream, addresses)
        .build()
        .unwrap()
}

async fn run_behind_proxy(trusted: &str, transport: Transport) -> Running {
    let trusted_proxies = vec![trusted.parse().unwrap()];
    let limits = ConnectionLimits { trusted_proxies, ..LIMITS };
    let transport = Transport { proxy_protocol: true, ..transport };
    run_with(&allowing_one_address(), RULES, limits, transport).await
}

#[tokio::test]
async fn a_proxy_header_tells_the_client_address() {
    let running = run_behind_proxy("127.0.0.0/8", Transport::default()).await;
    for (command, from, expected) in [
        (Command::Proxy, "203.0.113.9:4711", 200),
        (Command::Proxy, "203.0.113.8:4711", 401),
        (Command::Local, "203.0.113.9:4711", 401),
    ] {
        let request = [&proxied(command, from)[..], signed(&call()).as_bytes()].concat();
        let answer = exchange(running.address, &request).await;
        assert_eq!(status(&answer), expected, "{from}: {answer}");
    }
    let without = exchange(running.address, signed(&call()).as_bytes()).await;
    assert_eq!(without, "", "a trusted proxy must send a header");
}

#[test]
fn a_proxy_that_sends_another_header_is_named_in_the_log() {
    let server = "[server]\nproxy_protocol = true\ntrusted_proxies = [\"127.0.0.1\"]\n";
    let (_folder, settings) = program::folder(&format!("{server}{}", program::SETTINGS), RULES);
    let served = Served::new(program::start(&["--config", &settings]));
    let address = served.url.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n").unwrap();
    served.wait_for_log("the connection does not begin with a PROXY header of version 2");
    // The health check sends no such header.
    let mut health = program::program();
    health.env("SWITCHBOARD__SERVER__LISTEN", address);
    health.env("SWITCHBOARD__ADMIN__LISTEN", &served.admin);
    let health = output(health.args(["health", "--config", &settings]));
    assert_eq!(health.status.code(), Some(0), "{}", program::text(&health.stderr));
}

#[tokio::test]
async fn a_proxy_header_from_anyone_else_is_no_request() {
    let running = run_behind_proxy("192.0.2.1/32", Transport::default()).await;
    let header = proxied(Command::Proxy, "203.0.113.9:4711");
    let request = [&header[..], signed(&call()).as_bytes()].concat();
    let answer = exchange(running.address, &request).await;
    assert!(!answer.contains(" 200 "), "{answer}");
}

#[tokio::test]
async fn a_proxy_header_comes_before_the_tls_handshake() {
    let certificate = SelfSigned::new(&["hooks.example"]);
    let running = run_behind_proxy("127.0.0.1/32", tls(&[&certificate], false)).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(&proxied(Command::Proxy, "203.0.113.9:4711")).await.unwrap();
    let mut stream = handshake(stream, "hooks.example", &certificate, &[]).await.unwrap();
    stream.write_all(signed(&call()).as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(status(&read_to_end(&mut stream).await), 200);
}
