//! Twilio and TeXML through the whole service: methods, signatures, events, records, and `send`.

use std::process::Command;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use serde_json::Value;

use super::golden::read;
use super::{CALL, dialect};
use crate::support::app::{self, Answer, App, app};
use crate::support::program::{Served, folder, program, start_with, text};
use crate::support::wait;

const RULES: &str = r#"
[agents]
front-desk = { twilio = "sip:a@b.example", texml = "assistant-1" }

[[rule]]
name = "everyone"
agent = "front-desk"
"#;

const AGENT: &str = r#"<?xml version="1.0" encoding="UTF-8"?><Response><Dial answerOnBridge="true" timeout="20"><Sip>sip:a@b.example</Sip></Dial></Response>"#;
const NOTHING: &str = r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#;

fn service(platform: &str) -> App {
    app(app::settings_of(dialect(platform)), RULES)
}

/// A request that is signed as the platform signs it.
#[track_caller]
fn signed(app: &App, platform: &str, method: &Method, target: &str, body: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(target);
    let mut request = request.body(Body::from(body.to_owned())).expect("a request");
    let policy = &app.app.endpoint(platform).expect("a source").source.policy;
    *request.headers_mut() =
        app::signed_headers(dialect(platform), policy, method, target, body.as_bytes());
    request
}

async fn post(app: &App, platform: &str, path: &str, body: &str) -> Answer {
    app.send(signed(app, platform, &Method::POST, &format!("/{path}/{platform}"), body)).await
}

#[track_caller]
fn check(answer: &Answer, expected: &str) {
    let body = String::from_utf8_lossy(&answer.body);
    assert_eq!((answer.status, &*body), (StatusCode::OK, expected));
    assert_eq!(answer.headers[header::CONTENT_TYPE], "text/xml; charset=utf-8");
}

#[tokio::test]
async fn answers_a_call_by_post_and_by_get() {
    let app = service("twilio");
    check(&post(&app, "twilio", "inbound", CALL).await, AGENT);
    let query = CALL.replace("CA1", "CA2");
    let target = format!("/inbound/twilio?{query}");
    check(&app.send(signed(&app, "twilio", &Method::GET, &target, "")).await, AGENT);
    let counted =
        r#"switchboard_requests_total{source="twilio",kind="call",outcome="agent",status="200"} 2"#;
    let metrics = app.metrics().await;
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn a_get_without_a_query_checks_the_url() {
    for (platform, method, target) in [
        ("twilio", Method::GET, "/inbound/twilio".to_owned()),
        ("twilio", Method::GET, "/inbound/twilio?".to_owned()),
        ("twilio", Method::HEAD, format!("/inbound/twilio?{CALL}")),
        ("texml", Method::GET, "/inbound/texml".to_owned()),
        ("texml", Method::HEAD, format!("/inbound/texml?{CALL}")),
    ] {
        let app = service(platform);
        let request = Request::builder().method(&method).uri(&target);
        let answer = app.send(request.body(Body::empty()).expect("a request")).await;
        assert_eq!(answer.status, StatusCode::OK, "{method} {target}");
        let body = if method == Method::HEAD { "" } else { r#"{"ok":true}"# };
        assert_eq!(answer.body, body.as_bytes(), "{method} {target}");
        assert!(!app.metrics().await.contains(r#"outcome="agent",status="200"} 1"#));
    }
}

/// TeXML's signature covers no query: a caller must not wait for an answer to a call that was none.
#[tokio::test]
async fn a_call_by_get_is_refused_where_no_signature_covers_it() {
    let app = service("texml");
    let request = Request::get(format!("/inbound/texml?{CALL}")).body(Body::empty());
    let answer = app.send(request.expect("a request")).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers["allow"], "POST");
    let metrics = app.metrics().await;
    assert!(metrics.contains(r#"missed_paths_total{reason="method"} 1"#), "{metrics}");
}

/// A signature over the body says nothing about a query, so that a captured one would be valid for any.
#[tokio::test]
async fn a_signature_without_the_url_authenticates_no_query() {
    let settings = "[sources.twilio]\nplatform = \"twilio\"\nsecrets = [\"env:TELNYX_PUBLIC_KEY\"]\nfallback = \
                    \"front-desk\"\nsignature = { kind = \"ed25519\" }\n";
    let app = app::app_with(settings, RULES, app::environment());
    check(&post(&app, "twilio", "inbound", CALL).await, AGENT);
    for target in [format!("/inbound/twilio?{CALL}"), format!("/events/twilio?{CALL}")] {
        // An empty body, as a probe has it.
        let captured = signed(&app, "twilio", &Method::POST, "/inbound/twilio", "");
        let mut request = Request::get(&target).body(Body::empty()).expect("a request");
        *request.headers_mut() = captured.headers().clone();
        assert_eq!(app.send(request).await.status, StatusCode::METHOD_NOT_ALLOWED, "{target}");
    }
    let metrics = app.metrics().await;
    let counted = r#"kind="call",outcome="agent",status="200"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
}

/// The signature of a GET request covers the URL alone.
#[tokio::test]
async fn the_body_of_a_get_request_is_not_read() {
    let app = service("twilio");
    let target = format!("/inbound/twilio?{CALL}");
    let mut request = signed(&app, "twilio", &Method::GET, &target, "");
    *request.body_mut() = Body::from("CallSid=CA1&CallStatus=completed");
    check(&app.send(request).await, AGENT);
}

#[tokio::test]
async fn a_changed_request_is_refused() {
    let app = service("twilio");
    let target = format!("/inbound/twilio?{CALL}");
    let by_get = signed(&app, "twilio", &Method::GET, &target, "");
    let by_post = signed(&app, "twilio", &Method::POST, "/inbound/twilio", CALL);
    let change = |request: &Request<Body>, method: Method, target: &str, body: &str| {
        let mut changed = Request::new(Body::from(body.to_owned()));
        *changed.method_mut() = method;
        *changed.uri_mut() = target.parse().unwrap();
        *changed.headers_mut() = request.headers().clone();
        changed
    };
    for request in [
        change(&by_get, Method::GET, &format!("{target}&x=1"), ""),
        change(&by_get, Method::POST, &target, "CallSid=CA1"),
        change(&by_get, Method::POST, "/inbound/twilio", CALL),
        change(&by_post, Method::POST, "/inbound/twilio", &format!("{CALL}&x=1")),
        change(&by_post, Method::POST, "/inbound/twilio?x=1", CALL),
        change(&by_post, Method::POST, "/events/twilio", CALL),
        change(&by_post, Method::GET, &target, ""),
    ] {
        let described = format!("{} {}", request.method(), request.uri());
        assert_eq!(app.send(request).await.status, StatusCode::UNAUTHORIZED, "{described}");
    }
}

/// The requests that Twilio's verifiers accept, signed for the URL of the source.
#[tokio::test]
async fn the_accepted_vectors_are_answered() {
    let vectors = read("twilio.json");
    let mut answered = 0;
    for vector in vectors["vectors"].as_array().expect("a list") {
        let is_form = vector["headers"]["content-type"]
            .as_str()
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        if !is_form || vector["expect"] != "accept" {
            continue;
        }
        let app = service("twilio");
        let body = vector["body"].as_str().expect("a body");
        let answer = post(&app, "twilio", "inbound", body).await;
        check(&answer, AGENT);
        answered += 1;
    }
    assert!(answered > 10, "{answered} vectors");
}

#[tokio::test]
async fn a_sip_header_can_name_the_caller() {
    let settings = app::settings_of(dialect("twilio"));
    let settings = format!("{settings}from = [\"sip.x-caller\", \"From\"]\n");
    let rules = RULES.replace("name =", "from = \"+1213*\"\nname =");
    let rules = format!("{rules}\n[[rule]]\nname = \"others\"\nreject = true\n");
    let app = app(&settings, &rules);
    let form = format!("{CALL}&SipHeader_X-Caller=%2B12137771234");
    check(&post(&app, "twilio", "inbound", &form).await, AGENT);
    let other = post(&app, "twilio", "inbound", &CALL.replace("CA1", "CA2")).await;
    assert!(String::from_utf8_lossy(&other.body).contains("rejected"));
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_reply() {
    for platform in super::PLATFORMS {
        let app = service(platform);
        let first = post(&app, platform, "inbound", CALL).await;
        let second = post(&app, platform, "inbound", CALL).await;
        assert_eq!(first.body, second.body);
        let counted = format!(
            r#"switchboard_requests_total{{source="{platform}",kind="call",outcome="retry",status="200"}} 1"#
        );
        assert!(app.metrics().await.contains(&counted), "{platform}");
    }
}

#[tokio::test]
async fn status_callbacks_are_acknowledged() {
    for platform in super::PLATFORMS {
        let app = service(platform);
        for path in ["events", "inbound"] {
            let body = "CallSid=CA1&CallStatus=completed&CallDuration=3";
            check(&post(&app, platform, path, body).await, NOTHING);
        }
    }
    let app = service("twilio");
    let target = "/events/twilio?CallSid=CA1&CallStatus=completed";
    check(&app.send(signed(&app, "twilio", &Method::GET, target, "")).await, NOTHING);
}

/// Everything on the path of events that is no new call is an event, whatever the platform invents.
#[tokio::test]
async fn the_path_of_events_decides_nothing_but_new_calls() {
    for platform in super::PLATFORMS {
        let app = service(platform);
        for body in [
            "CallSid=CA1&From=%2B441632960123&To=%2B15005550006&Invented=1",
            "CallSid=CA1&CallStatus=in-progress&From=%2B441632960123",
            "Invented=1",
        ] {
            check(&post(&app, platform, "events", body).await, NOTHING);
        }
        let metrics = app.metrics().await;
        let counted = format!(
            r#"switchboard_requests_total{{source="{platform}",kind="event",outcome="unknown_event",status="200"}} 3"#
        );
        assert!(metrics.contains(&counted), "{metrics}");
        let answer = post(&app, platform, "events", CALL).await;
        assert_ne!(&answer.body[..], NOTHING.as_bytes(), "{platform}");
    }
    let app = service("twilio");
    check(&post(&app, "twilio", "events", "MessageSid=SM1&SmsStatus=teleported").await, NOTHING);
}

/// A probe must not hang up: to the platform, the reply is that to a call.
#[tokio::test]
async fn an_empty_request_gets_the_fallback_agent() {
    let assistant = r#"<?xml version="1.0" encoding="UTF-8"?><Response><Connect><AIAssistant id="assistant-1"/></Connect></Response>"#;
    for (platform, expected) in [("twilio", AGENT), ("texml", assistant)] {
        let app = service(platform);
        check(&post(&app, platform, "inbound", "").await, expected);
        let counted = format!(
            r#"switchboard_requests_total{{source="{platform}",kind="probe",outcome="keep",status="200"}} 1"#
        );
        let metrics = app.metrics().await;
        assert!(metrics.contains(&counted), "{metrics}");
    }
}

#[tokio::test]
async fn a_form_about_nothing_is_refused_as_unreadable() {
    for platform in super::PLATFORMS {
        let app = service(platform);
        let answer = post(&app, platform, "inbound", "a=1").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
}

const PROGRAM_SETTINGS: &str = r#"
[server]
listen = "127.0.0.1:0"

[records]
url = "sqlite:records.db"

[sources.twilio]
platform = "twilio"
secrets = ["env:TWILIO_AUTH_TOKEN"]
public_base_url = "https://calls.example"
fallback = "front-desk"

[sources.texml]
platform = "texml"
secrets = ["env:TELNYX_PUBLIC_KEY"]
fallback = "front-desk"
"#;

/// The program with the settings of a folder.
struct Session {
    folder: tempfile::TempDir,
    settings: String,
    served: Served,
}

impl Session {
    fn start() -> Session {
        let (folder, settings) = folder(PROGRAM_SETTINGS, RULES);
        let served = Served::new(start_with(program(), &["--config", &settings]));
        Session { folder, settings, served }
    }

    /// Runs a command with these settings. Returns what it prints.
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> String {
        let mut command = program();
        let ran = wait::output(command.args(arguments).args(["--config", &self.settings]));
        assert!(ran.status.success(), "{arguments:?}: {}", text(&ran.stderr));
        text(&ran.stdout)
    }

    /// Writes a form and sends it, signed, to a path of the source.
    #[track_caller]
    fn send_form(&self, path: &str, form: &str) -> String {
        let file = self.folder.path().join("form");
        std::fs::write(&file, form).unwrap();
        let url = format!("{}{path}", self.served.url);
        self.run(&["send", "--source", "twilio", "--url", &url, "--body", file.to_str().unwrap()])
    }
}

#[test]
fn send_signs_a_call_of_each_platform() {
    let session = Session::start();
    let url = session.served.url.as_str();
    for (source, expected) in [("twilio", "<Sip>sip:a@b.example</Sip>"), ("texml", "assistant-1")] {
        let sent = session.run(&["send", "--source", source, "--url", url]);
        assert!(sent.contains(expected), "{sent}");
        let curl = session.run(&["send", "--source", source, "--url", url, "--curl"]);
        assert!(curl.contains("content-type: application/x-www-form-urlencoded"), "{curl}");
        let pasted = wait::output(Command::new("sh").args(["-c", &curl]));
        assert!(text(&pasted.stdout).contains(expected), "{curl}: {}", text(&pasted.stdout));
    }
    let message = session.run(&["send", "--source", "twilio", "--url", url, "--channel", "sms"]);
    assert_eq!(message.trim(), NOTHING);
}

#[test]
fn records_join_callbacks_to_calls_and_hold_no_text_of_a_message() {
    let session = Session::start();
    session.send_form("/inbound/twilio", CALL);
    session.send_form(
        "/events/twilio",
        "CallSid=CA1&CallStatus=completed&CallDuration=113&CallbackSource=call-progress-events&CallToken=t0ken_of_the_call\
         &ForwardedFrom=%2B12137771234&From=%2B441632960123&To=%2B15005550006",
    );
    session.send_form(
        "/inbound/twilio",
        "MessageSid=SM1&From=%2B441632960123&To=%2B15005550006&Body=t3xt+of+the+message&SmsStatus=received",
    );
    session.send_form(
        "/events/twilio",
        "MessageSid=SM2&MessageStatus=delivered&From=%2B15005550006&To=%2B441632960123&Body=t3xt+of+the+message",
    );
    let shown: Value =
        serde_json::from_str(&session.run(&["records", "show", "CA1", "--json"])).unwrap();
    let event = &shown["events"][0];
    assert_eq!(event["kind"], "call_status", "{shown:#}");
    assert_eq!(event["status"], "completed", "{shown:#}");
    assert_eq!(event["duration_ms"], 113_000, "{shown:#}");
    assert_eq!(event["body"]["CallDuration"], "113", "{shown:#}");
    let log = session.served.log();
    let exported = session.run(&["records", "export"]);
    assert!(exported.contains("SM1"), "{exported}");
    for secret in ["t3xt", "t0ken"] {
        assert!(!exported.contains(secret) && !log.contains(secret), "{secret}: {exported}\n{log}");
    }
    for file in std::fs::read_dir(session.folder.path()).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().is_some_and(|name| name != "form") {
            let content = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            assert!(!content.contains("t3xt"), "{}", path.display());
        }
    }
}
