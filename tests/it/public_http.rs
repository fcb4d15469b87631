//! The listeners' statuses, headers and problem bodies, by path, method and size.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use futures_util::future::join_all;
use hyper::body::Frame;
use serde_json::json;
use switchboard::domain::secret::Secret;
use switchboard::http::admin;
use switchboard::http::public::{EVENT_BYTES, INBOUND_BYTES};
use tower::ServiceExt;

use crate::support::app::{
    self, Answer, RULES, SETTINGS, URL_TOKEN, app, post, retell_call, retell_request,
};

async fn ask(method: Method, path: &str) -> Answer {
    let app = app(SETTINGS, RULES);
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    app.send(request).await
}

#[tokio::test]
async fn get_reports_that_the_service_is_alive() {
    let with_token = format!("/events/synthflow/{URL_TOKEN}");
    for path in ["/inbound/retell", "/events/retell", "/inbound/synthflow", &with_token, "/healthz"]
    {
        let answer = ask(Method::GET, path).await;
        assert_eq!(
            (answer.status, answer.json()),
            (StatusCode::OK, json!({ "ok": true })),
            "{path}"
        );
    }
}

#[tokio::test]
async fn unknown_paths_and_sources_are_404() {
    for path in [
        "/",
        "/inbound",
        "/inbound/",
        "/inbound/unknown",
        "/inbound/retell/token",
        "/inbound/retell/",
        "/events/synthflow/a/b",
        "/healthz/x",
        "/metrics",
        "*",
    ] {
        for method in [Method::GET, Method::POST] {
            let answer = ask(method, path).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
            assert_eq!(answer.headers["content-type"], "application/problem+json");
            assert_eq!(answer.json()["status"], 404);
        }
    }
}

#[tokio::test]
async fn other_methods_are_405_with_an_allow_header() {
    let answer = ask(Method::PUT, "/inbound/retell").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers["allow"], "GET,HEAD,POST");
    let answer = ask(Method::POST, "/healthz").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers["allow"], "GET,HEAD");
}

/// A retell call padded to this many bytes.
fn padded(bytes: usize) -> String {
    let mut call = retell_call("+12137771234", "+12137771235");
    call.push_str(&" ".repeat(bytes - call.len()));
    call
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_with_or_without_content_length() {
    let app = app(SETTINGS, RULES);
    for (path, most) in [("/inbound/retell", INBOUND_BYTES), ("/events/retell", EVENT_BYTES)] {
        let accepted = app.send(retell_request(path, padded(most).as_bytes())).await;
        assert_eq!(accepted.status, StatusCode::OK, "{path}");
        let undeclared = app.send(retell_request(path, padded(most + 1).as_bytes())).await;
        assert_eq!(undeclared.status, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
        let mut request = post(path, b"");
        request.headers_mut().insert("content-length", (most + 1).into());
        let declared = app.send(request).await;
        assert_eq!(declared.status, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
        assert_eq!(declared.headers["connection"], "close");
    }
}

/// A body that never ends.
struct Stalls;

impl hyper::body::Body for Stalls {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_408() {
    let app = app(SETTINGS, RULES);
    let start = tokio::time::Instant::now();
    let request = Request::post("/inbound/retell").body(Body::new(Stalls)).unwrap();
    let answer = app.send(request).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert!(start.elapsed() >= Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn too_many_at_once_are_503_with_retry_after() {
    let settings = format!("[server]\nmax_in_flight = 2\n{SETTINGS}");
    let app = Arc::new(app(&settings, RULES));
    let slow = |app: Arc<app::App>| async move {
        app.send(Request::post("/inbound/retell").body(Body::new(Stalls)).unwrap()).await
    };
    let third = async {
        tokio::task::yield_now().await;
        let answer = app.retell(retell_call("+12137771234", "+12137771235")).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers["retry-after"], "1");
    };
    let both = join_all([slow(app.clone()), slow(app.clone())]);
    tokio::join!(both, third);
    let after = app.retell(retell_call("+12137771234", "+12137771235")).await;
    assert_eq!(after.status, StatusCode::OK, "places in flight are given back");
    assert!(app.metrics().await.contains("switchboard_overloaded_total 1"));
}

#[tokio::test]
async fn a_response_has_the_request_id_of_the_client_or_a_new_one() {
    let app = app(SETTINGS, RULES);
    let call = retell_call("+12137771234", "+12137771235");
    let mut request = retell_request("/inbound/retell", call.as_bytes());
    request.headers_mut().insert("x-request-id", "abc-123".parse().unwrap());
    assert_eq!(app.send(request).await.headers["x-request-id"], "abc-123");
    let new = app.retell(&call).await.headers["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(uuid::Uuid::parse_str(&new).unwrap().get_version_num(), 7);
    let mut strange = retell_request("/inbound/retell", call.as_bytes());
    strange.headers_mut().insert("x-request-id", "a b\tc".parse().unwrap());
    assert_ne!(app.send(strange).await.headers["x-request-id"], "a b\tc");
}

#[tokio::test]
async fn readiness_reports_the_live_table() {
    let app = app(SETTINGS, RULES);
    let request = Request::get("/readyz").body(Body::empty()).unwrap();
    let answer = app::collect(app.admin.oneshot(request).await.unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
    let body = answer.json();
    assert_eq!((&body["ready"], &body["warning"]), (&json!(true), &json!(null)));
    assert_eq!(body["table"]["rules"], json!(1));
    assert_eq!(body["table"]["fingerprint"], json!(app.app.table().fingerprint));
}

#[tokio::test]
async fn the_admin_token_protects_metrics_but_not_health() {
    let app = app(SETTINGS, RULES);
    let router = admin::router(app.app.clone(), None, Some(Secret::new("admin_0123456789abcdef")));
    for (path, authorization, expected) in [
        ("/metrics", None, StatusCode::UNAUTHORIZED),
        ("/metrics", Some("Bearer wrong"), StatusCode::UNAUTHORIZED),
        ("/metrics", Some("Bearer admin_0123456789abcdef"), StatusCode::OK),
        ("/healthz", None, StatusCode::OK),
        ("/readyz", None, StatusCode::OK),
    ] {
        let mut request = Request::get(path);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), expected, "{path} {authorization:?}");
    }
}

#[tokio::test]
async fn without_an_admin_token_foreign_hosts_are_refused() {
    let app = app(SETTINGS, RULES);
    let own = [
        "127.0.0.1:9090",
        "localhost:9090",
        "LocalHost",
        "[::1]:9090",
        "127.0.0.2",
        "[::ffff:127.0.0.1]",
    ];
    let strange = [
        "evil.example:9090",
        "localhost.evil.example",
        "10.0.0.1:9090",
        "127.0.0.1.evil.example",
        "",
        "a b",
    ];
    let token = Secret::new("admin_0123456789abcdef");
    let with_token = admin::router(app.app.clone(), None, Some(token));
    let get = async |router: &axum::Router, path: &str, host: &str| {
        let request = Request::get(path)
            .header("host", host)
            .header("authorization", "Bearer admin_0123456789abcdef");
        app::collect(router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap())
            .await
    };
    for path in ["/metrics", "/records", "/explain?from=%2B12137771234"] {
        for host in own {
            let answer = get(&app.admin, path, host).await;
            assert_ne!(answer.status, StatusCode::FORBIDDEN, "{path} {host}");
        }
        for host in strange {
            let answer = get(&app.admin, path, host).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {host}");
            let why = answer.json()["detail"].as_str().unwrap().to_owned();
            assert!(why.contains("admin.token"), "{why}");
            let answer = get(&with_token, path, host).await;
            assert_ne!(answer.status, StatusCode::FORBIDDEN, "with a token, {path} {host}");
        }
    }
    assert_eq!(get(&app.admin, "/healthz", "probe.example").await.status, StatusCode::OK);
}

/// Sends a GET to the admin listener with one additional header.
async fn admin_get(path: &str, name: &'static str, value: &str) -> Answer {
    let request = Request::get(path).header("host", "localhost").header(name, value);
    let router = app(SETTINGS, RULES).admin;
    app::collect(router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()).await
}

#[tokio::test]
async fn admin_responses_have_security_headers_and_a_request_id() {
    for path in ["/readyz", "/metrics", "/nowhere"] {
        let answer = admin_get(path, "x-request-id", "id-1").await;
        assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(answer.headers["x-request-id"], "id-1", "{path}");
    }
    let answer = admin_get("/readyz", "accept", "*/*").await;
    assert_eq!(answer.headers["x-request-id"].len(), 36, "a generated id");
}

#[tokio::test]
async fn admin_responses_are_compressed_on_request() {
    let plain = admin_get("/metrics", "accept-encoding", "identity").await;
    assert!(plain.headers.get("content-encoding").is_none());
    let compressed = admin_get("/metrics", "accept-encoding", "gzip").await;
    assert_eq!(compressed.headers["content-encoding"], "gzip");
    assert!(compressed.body.len() < plain.body.len());
}

#[tokio::test]
async fn admin_errors_are_problem_bodies() {
    for (path, status) in [("/nowhere", 404), ("/explain?form=1", 400), ("/records", 404)] {
        let answer = admin_get(path, "accept", "*/*").await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{path}");
        assert_eq!(answer.json()["status"], status, "{path}");
        assert!(answer.json()["detail"].is_string(), "{path}");
    }
}
