//! The listeners' statuses, headers and problem bodies, by path, method and size.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use serde_json::json;
use switchboard::domain::secret::Secret;
use switchboard::http::admin;
use switchboard::http::public::{EVENT_BYTES, INBOUND_BYTES};
use tower::ServiceExt;

use crate::support::app::{
    self, Answer, NOW_MS, RETELL_KEY, RULES, SETTINGS, URL_TOKEN, app, post, retell_call,
    retell_request, retell_request_at,
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
async fn slashes_at_the_end_and_doubled_ones_do_no_harm() {
    let app = app(SETTINGS, RULES);
    let token = format!("/inbound/synthflow/{URL_TOKEN}/");
    let events = format!("//events//synthflow/{URL_TOKEN}");
    for path in ["/inbound/retell/", "//inbound/retell", "/inbound//retell//", "/events/retell/"] {
        let call = retell_call("+12137771234", "+12137771235");
        let answer = app.send(retell_request(path, call.as_bytes())).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        let metrics = app.metrics().await;
        assert!(!metrics.contains("missed_paths_total{reason=\"path\"} 1"), "{path}: {metrics}");
    }
    for path in [&token, &events, "/healthz/", "//healthz"] {
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(ask(method, path).await.status, StatusCode::OK, "{path}");
        }
    }
    // An empty request with the right token is the probe that Synthflow sends.
    assert_eq!(app.send(post(&token, b"")).await.status, StatusCode::OK);
    let wrong = app.send(post("/inbound/synthflow/wrong/", b"")).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    for path in ["/readyz/", "//metrics", "/records/?limit=x"] {
        let answer = admin_get(path, "accept", "*/*").await;
        assert_ne!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
    }
}

#[tokio::test]
async fn requests_that_reach_no_source_are_counted_and_told_the_right_case() {
    let app = app(SETTINGS, RULES);
    let with_token = format!("/Events/Synthflow/{URL_TOKEN}");
    for (path, reason, proposed) in [
        ("/Inbound/Retell", "letter_case", Some("/inbound/retell")),
        ("/INBOUND/retell/", "letter_case", Some("/inbound/retell")),
        (&with_token, "letter_case", Some("/events/synthflow")),
        ("/inbound/reteil", "unknown_source", None),
        ("/inbound/retell/token", "unexpected_token", None),
        ("/inbound", "path", None),
        ("/events/synthflow/a/b", "path", None),
    ] {
        let series = format!("switchboard_missed_paths_total{{reason=\"{reason}\"}} ");
        let count = async || {
            let metrics = app.metrics().await;
            let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
            line.expect("all series exist from the start").parse::<u64>().unwrap()
        };
        let before = count().await;
        let answer = app.send(post(path, b"{}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(count().await, before + 1, "{path}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with("not found"), "{detail}");
        let names_path = proposed.is_some_and(|right| detail.ends_with(&format!(": {right}")));
        assert_eq!(names_path, proposed.is_some(), "{path}: {detail}");
        assert!(!detail.contains(URL_TOKEN), "{detail}");
    }
    let answer = app.send(Request::put("/inbound/retell").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    let metrics = app.metrics().await;
    assert!(metrics.contains("missed_paths_total{reason=\"method\"} 1"), "{metrics}");
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

#[tokio::test]
async fn a_query_by_get_is_405_where_no_call_comes_by_get() {
    let app = app(SETTINGS, RULES);
    let with_token = format!("/inbound/synthflow/{URL_TOKEN}");
    let paths = ["/inbound/retell", "/events/retell", "//inbound/retell/", &with_token];
    for (before, path) in paths.into_iter().enumerate() {
        let get = |query: &str| {
            Request::get(format!("{path}{query}")).body(Body::empty()).expect("a request")
        };
        for query in ["", "?"] {
            assert_eq!(app.send(get(query)).await.status, StatusCode::OK, "{path}{query}");
        }
        let answer = app.send(get("?From=%2B12137771234&CallSid=CA1")).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(answer.headers["allow"], "POST", "{path}");
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{path}");
        assert_eq!(answer.json()["status"], 405, "{path}");
        let line = format!("switchboard_missed_paths_total{{reason=\"method\"}} {}\n", before + 1);
        let metrics = app.metrics().await;
        assert!(metrics.contains(&line), "{path}: {metrics}");
    }
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

/// A signed request whose body begins with `start` and never ends.
fn stalled(path: &str, start: Bytes) -> Request<Body> {
    let begun = stream::iter([Ok::<_, Infallible>(start)]);
    let body = Body::from_stream(begun.chain(stream::pending()));
    retell_request(path, b"").map(|_| body)
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_408() {
    let app = app(SETTINGS, RULES);
    for (path, seconds) in [("/inbound/retell", 2), ("/events/retell", 10)] {
        let start = tokio::time::Instant::now();
        let answer = app.send(stalled(path, Bytes::from_static(b"{"))).await;
        assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
        assert_eq!(start.elapsed().as_secs(), seconds, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_its_header_gives_away_is_refused_before_its_body_arrives() {
    let settings = format!("{SETTINGS}allow_from = [\"203.0.113.0/24\"]\n");
    let app = app(&settings, RULES);
    let unsigned = post("/inbound/retell", b"");
    let mut malformed = retell_request("/inbound/retell", b"");
    malformed.headers_mut().insert("x-retell-signature", "v=1,d=2".parse().unwrap());
    let stale = retell_request_at("/inbound/retell", b"", NOW_MS - 301_000, RETELL_KEY);
    let wrong_token = post("/inbound/synthflow/wrong", b"");
    let foreign = post(&format!("/inbound/synthflow/{URL_TOKEN}"), b"");
    let start = tokio::time::Instant::now();
    for request in [unsigned, malformed, stale, wrong_token, foreign] {
        let never = stream::pending::<Result<Bytes, Infallible>>();
        let answer = app.send(request.map(|_| Body::from_stream(never))).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_takes_no_place_in_flight() {
    let settings = format!("[server]\nmax_in_flight = 1\n{SETTINGS}");
    let app = app(&settings, RULES);
    let stalled = join_all((0..10).map(|_| app.send(stalled("/inbound/retell", Bytes::new()))));
    let call = async {
        tokio::task::yield_now().await;
        let answer = app.retell(retell_call("+12137771234", "+12137771235")).await;
        assert_eq!(answer.status, StatusCode::OK);
    };
    tokio::join!(stalled, call);
}

#[tokio::test(start_paused = true)]
async fn bodies_of_one_address_use_at_most_half_of_the_memory() {
    let settings = format!("[server]\nbody_memory_mb = 32\n{SETTINGS}");
    let app = app(&settings, RULES);
    let events = (0..3).map(|_| app.send(stalled("/events/retell", vec![b' '; 6 << 20].into())));
    let statuses: Vec<_> = join_all(events).await.iter().map(|answer| answer.status).collect();
    let timeout = StatusCode::REQUEST_TIMEOUT;
    assert_eq!(statuses, [timeout, timeout, StatusCode::SERVICE_UNAVAILABLE]);
    let metrics = app.metrics().await;
    assert!(metrics.contains(r#"outcome="body_timeout",status="408"} 2"#), "{metrics}");
    assert!(metrics.contains(r#"outcome="overloaded",status="503"} 1"#), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn too_many_at_once_are_503_with_retry_after() {
    const SLOW: &str = "[[rule]]\nname = \"slow\"\nagent = \"agent_1\"\ndelay_ms = 2000\n";
    let settings = format!("[server]\nmax_in_flight = 2\n{SETTINGS}");
    let app = app(&settings, SLOW);
    let call = |from: &str| app.retell(retell_call(from, "+12137771235"));
    let third = async {
        tokio::task::yield_now().await;
        let answer = call("+12137771003").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers["retry-after"], "1");
    };
    let (first, second, ()) = tokio::join!(call("+12137771001"), call("+12137771002"), third);
    assert_eq!((first.status, second.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(call("+12137771003").await.status, StatusCode::OK, "places are given back");
    assert!(app.metrics().await.contains(r#"outcome="overloaded",status="503"} 1"#));
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
    let router = admin::router(
        app.app.clone(),
        None,
        Some(Secret::new("admin_0123456789abcdef")),
        Router::new(),
    );
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
    let with_token = admin::router(app.app.clone(), None, Some(token), Router::new());
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
    for path in ["/readyz", "/metrics", "/records", "/records/id", "/nowhere"] {
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
