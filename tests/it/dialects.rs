//! Requests and replies of each platform: golden files, events, malformed bodies.
//!
//! A case is a folder `tests/fixtures/PLATFORM/CASE/` with `request.json`, the raw request; `reply.json`,
//! which equals the raw reply except for white space; and an optional `rules.toml` that replaces the
//! shared one. A form is in `request.form`, the query of a GET request in `request.query`, each without the line
//! break at its end, and XML in `reply.xml`, which equals the raw reply. Their content follows the platforms' documentation and is never copied from our output.
//! `effects.json` has the requests to the platform's API that follow the reply.
//! `events.rs` covers the columns of events.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use switchboard::dialect;
use switchboard::dialect::{Dialect, Incoming};
use switchboard::domain::call::{Channel, Fields};
use switchboard::domain::party::NumberFormat;

use crate::events;
use crate::support::app::{self, Answer, App, app, post, root};
use crate::support::replies::{accepts, is_rejection};

const KEEP: &str = r#"
[[rule]]
name = "the platform's own agent"
keep = true
"#;

fn fixtures() -> PathBuf {
    root().join("tests/fixtures")
}

/// Names of the folders in `folder`, in alphabetical order.
#[track_caller]
fn folders_in(folder: &Path) -> Vec<String> {
    let entries =
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let folders =
        entries.map(|entry| entry.expect("an entry")).filter(|entry| entry.path().is_dir());
    let names = folders.map(|entry| entry.file_name().into_string().expect("a name in UTF-8"));
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

#[track_caller]
fn text_of(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A request to this platform's source, signed if it contains anything that can be signed. `path` is
/// `inbound` or `events`.
#[track_caller]
pub(crate) fn request(app: &App, dialect: &dyn Dialect, path: &str, body: &[u8]) -> Request<Body> {
    let platform = dialect.platform().as_str();
    let endpoint = app
        .app
        .endpoint(platform)
        .unwrap_or_else(|| panic!("the settings have no source `{platform}`"));
    let policy = endpoint.source.policy_of(path == "events");
    let secrets = policy.secrets.load();
    let token = secrets.url_token.as_ref();
    let token = token.map(|token| format!("/{}", String::from_utf8_lossy(token.expose())));
    let target = format!("/{path}/{platform}{}", token.unwrap_or_default());
    let mut request = post(&target, body);
    *request.headers_mut() = app::signed_headers(dialect, policy, &Method::POST, &target, body);
    request
}

/// A signed GET request with this query.
#[track_caller]
fn get_request(app: &App, dialect: &dyn Dialect, query: &str) -> Request<Body> {
    let platform = dialect.platform().as_str();
    let target = format!("/inbound/{platform}?{query}");
    let mut request = Request::get(&target).body(Body::empty()).expect("a request");
    let policy = &app.app.endpoint(platform).expect("a source").source.policy;
    *request.headers_mut() = app::signed_headers(dialect, policy, &Method::GET, &target, b"");
    request
}

async fn send_inbound(app: &App, dialect: &dyn Dialect, body: &[u8]) -> Answer {
    app.send(request(app, dialect, "inbound", body)).await
}

/// JSON without white space between tokens.
fn minified(json: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    let kept = json.chars().filter(|&c| {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
            return true;
        }
        quoted = c == '"';
        !c.is_ascii_whitespace()
    });
    kept.collect()
}

/// Files of a case: a request, which is a body or the query of a GET request; its reply; and its rules.
const CASE_FILES: [&str; 7] = [
    "request.json",
    "request.form",
    "request.query",
    "reply.json",
    "reply.xml",
    "effects.json",
    "rules.toml",
];

/// Runs one golden case.
async fn run_case(dialect: &dyn Dialect, case: &Path) -> Result<(), String> {
    for entry in std::fs::read_dir(case).map_err(|error| error.to_string())? {
        let name = entry.map_err(|error| error.to_string())?.file_name();
        if !CASE_FILES.iter().any(|known| name == *known) {
            return Err(format!("{} does not belong to a case", name.display()));
        }
    }
    let is_xml = dialect.content_type().starts_with("text/xml");
    let reply = text_of(&case.join(if is_xml { "reply.xml" } else { "reply.json" }));
    let own = case.join("rules.toml");
    let shared = if dialect.capabilities().agent { "rules.toml" } else { "variables.toml" };
    let rules = if own.exists() { own } else { fixtures().join(shared) };
    let app = app(app::settings_of(dialect), &text_of(&rules));
    let answer = app.send(request_of_case(&app, dialect, case)).await;
    let body = String::from_utf8_lossy(&answer.body);
    if answer.status != StatusCode::OK {
        return Err(format!("{} {body}", answer.status));
    }
    assert_eq!(answer.headers[header::CONTENT_TYPE], dialect.content_type());
    if dialect.api().is_some() {
        compare_effects(&app, dialect, case)?;
    }
    if is_xml {
        let is_equal = reply.strip_suffix('\n').unwrap_or(&reply) == body;
        return is_equal.then_some(()).ok_or(format!("answered {body}\n     expected {reply}"));
    }
    let expected: Value =
        serde_json::from_str(&reply).map_err(|error| format!("reply.json: {error}"))?;
    let differ = serde_json::from_str::<Value>(&body).ok() != Some(expected);
    let (expected, differs) = match (differ, minified(&reply)) {
        (true, expected) => (expected, "the content differs"),
        (false, expected) if body != expected => (expected, "the encoding differs"),
        (false, _) => return Ok(()),
    };
    Err(format!("{differs}\n     answered {body}\n     expected {expected}"))
}

/// Compares the effects of a case with `effects.json`.
fn compare_effects(app: &App, dialect: &dyn Dialect, case: &Path) -> Result<(), String> {
    let expected: Value = serde_json::from_str(&text_of(&case.join("effects.json")))
        .map_err(|error| format!("effects.json: {error}"))?;
    let verified = app::verified(dialect, text_of(&case.join("request.json")).into_bytes());
    let incoming = dialect.parse(&verified, &NumberFormat::default());
    let Ok(Incoming::Inbound(call)) = incoming else { return Err("it is no call".to_owned()) };
    let source = &app.app.endpoint(dialect.platform().as_str()).expect("a source").source;
    let table = app.app.table();
    let decision = app::decide(&table, &call);
    let effects = source.effects(&table, &call, &decision).into_iter().map(|effect| {
        if let Some(problem) = effect.problem() {
            return json!({ "action": effect.action, "problem": problem });
        }
        let mut json = json!({ "action": effect.action, "path": effect.path, "body": effect.body });
        if let Some(key) = effect.idempotency_key {
            json["idempotency_key"] = key.into();
        }
        json
    });
    let effects: Value = effects.collect();
    // Compared as texts, in which the order of members counts.
    let (effects, expected) = (effects.to_string(), expected.to_string());
    match effects == expected {
        true => Ok(()),
        false => Err(format!("effects {effects}\n     expected {expected}")),
    }
}

/// The request of a case.
#[track_caller]
fn request_of_case(app: &App, dialect: &dyn Dialect, case: &Path) -> Request<Body> {
    let query = case.join("request.query");
    if query.exists() {
        return get_request(app, dialect, text_of(&query).trim_end());
    }
    let form = case.join("request.form");
    if form.exists() {
        return request(app, dialect, "inbound", text_of(&form).trim_end().as_bytes());
    }
    let body = text_of(&case.join("request.json"));
    request(app, dialect, "inbound", body.as_bytes())
}

#[tokio::test]
async fn every_platform_replies_as_in_its_golden_files() {
    let mut wrong = Vec::new();
    for dialect in dialect::ALL {
        let platform = dialect.platform().as_str();
        let mut cases = folders_in(&fixtures().join(platform));
        // `events.rs` covers these.
        cases.retain(|case| case != "events");
        assert!(!cases.is_empty(), "tests/fixtures/{platform} holds no case");
        for case in cases {
            let folder = fixtures().join(platform).join(&case);
            if let Err(why) = run_case(dialect, &folder).await {
                wrong.push(format!("{platform}/{case}: {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} golden files fail\n  {}", wrong.len(), wrong.join("\n  "));
}

/// `check` warns of facts that no dialect announces.
#[test]
fn calls_have_no_facts_but_those_that_their_dialect_announces() {
    for dialect in dialect::ALL {
        let platform = dialect.platform();
        let announced = BTreeSet::from_iter(dialect.attributes());
        let attributes = announced.iter().map(|name| ((*name).into(), "true".into()));
        let played = Fields {
            call_id: Some("1".into()),
            number_id: dialect.sends_number_id().then(|| "pn_1".into()),
            attributes: attributes.collect(),
            ..Fields::unknown(Channel::Call)
        };
        let folder = fixtures().join(platform.as_str());
        let cases = folders_in(&folder).into_iter().flat_map(|case| {
            let files = ["request.json", "request.form"].map(|file| folder.join(&case).join(file));
            files.into_iter().filter_map(|file| std::fs::read(file).ok())
        });
        let mut calls = 0;
        for body in cases.chain([dialect.encode_request(&played)]) {
            let verified = app::verified(dialect, body);
            let incoming = dialect.parse(&verified, &NumberFormat::default());
            let Ok(Incoming::Inbound(call)) = incoming else { continue };
            calls += 1;
            let found = BTreeSet::from_iter(call.attributes().map(|(name, _)| name));
            assert!(found.is_subset(&announced), "{platform}: {found:?}");
            assert!(dialect.sends_number_id() || call.number_id().is_none(), "{platform}");
            let has_headers = call.sip_headers().next().is_some();
            assert!(dialect.sends_sip_headers() || !has_headers, "{platform}");
        }
        assert!(calls > 1, "{platform}");
    }
}

#[test]
fn every_fixture_folder_belongs_to_a_platform() {
    let others = ["bad-tables", "presets", "vectors"];
    let known = |name: &str| others.contains(&name) || dialect::by_name(name).is_some();
    let unknown: Vec<_> = folders_in(&fixtures()).into_iter().filter(|name| !known(name)).collect();
    assert!(
        unknown.is_empty(),
        "these fixture folders belong to no platform: {}",
        unknown.join(", ")
    );
}

#[test]
fn minifying_keeps_white_space_inside_strings() {
    assert_eq!(minified(" { \"a b\" : [ 1 , \" \\\" { \\\\\" ] }\n"), r#"{"a b":[1," \" { \\"]}"#);
}

const URLS: [&str; 4] = [
    "/inbound/retell",
    "/events/retell",
    "/inbound/synthflow/token_0123456789abcdef",
    "/events/synthflow/token_0123456789abcdef",
];

#[tokio::test]
async fn get_succeeds_at_every_url() {
    let app = app(app::SETTINGS, app::RULES);
    for url in URLS {
        let answer = app.send(Request::get(url).body(Body::empty()).unwrap()).await;
        assert_eq!(
            (answer.status, answer.json()),
            (StatusCode::OK, json!({ "ok": true })),
            "{url}"
        );
    }
}

#[tokio::test]
async fn synthflows_empty_post_is_answered_and_counted_as_a_probe() {
    let app = app(app::SETTINGS, app::RULES);
    for (at, body) in ["", " ", "\r\n\t"].into_iter().enumerate() {
        let answer = app.synthflow(body).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.body, br#"{"call_inbound":{"override_model_id":""}}"#, "after {body:?}");
        assert_counted(&app, "synthflow", ["probe", "keep"], at + 1).await;
    }
}

#[tokio::test]
async fn synthflows_empty_post_with_a_wrong_token_is_refused() {
    let app = app(app::SETTINGS, app::RULES);
    for url in ["/inbound/synthflow", "/inbound/synthflow/token_0123456789abcdeg"] {
        assert_eq!(app.send(post(url, b"")).await.status, StatusCode::UNAUTHORIZED, "{url}");
    }
}

/// Asserts how many requests of a source had this kind and outcome.
async fn assert_counted(app: &App, source: &str, [kind, outcome]: [&str; 2], times: usize) {
    let line = format!(
        "switchboard_requests_total{{source=\"{source}\",kind=\"{kind}\",outcome=\"{outcome}\",status=\"200\"}} {times}\n"
    );
    let metrics = app.metrics().await;
    assert!(metrics.contains(&line), "{line}is not in\n{metrics}");
}

/// Asserts that both paths accept a body as an event.
async fn assert_accepted_as_event(app: &App, platform: &str, body: &str) {
    let dialect = dialect::by_name(platform).expect("a platform");
    for path in ["inbound", "events"] {
        let answer = app.send(request(app, dialect, path, body.as_bytes())).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {body}");
        assert_eq!(answer.body, b"{}", "{path}: {body}");
    }
}

#[tokio::test]
async fn both_paths_accept_the_events_of_every_platform() {
    for dialect in dialect::ALL {
        let app = app(app::settings_of(dialect), &app::rules_for(dialect, app::RULES));
        for case in events::cases(dialect) {
            let body = std::fs::read(&case).unwrap();
            for path in ["inbound", "events"] {
                let answer = app.send(request(&app, dialect, path, &body)).await;
                let place = format!("{path}: {}", case.display());
                assert_eq!(answer.status, StatusCode::OK, "{place}");
                assert_eq!(answer.body, dialect.acknowledgement().as_bytes(), "{place}");
            }
        }
    }
}

/// Vapi sends every message to one URL, which can be either path.
#[tokio::test]
async fn both_paths_answer_the_calls_of_every_platform() {
    for dialect in dialect::ALL {
        let app = app(app::settings_of(dialect), &app::rules_for(dialect, app::RULES));
        let unknown = Fields::unknown(Channel::Call);
        let call = Fields { call_id: Some("call_1".into()), ..unknown };
        let body = dialect.encode_request(&call);
        for path in ["events", "inbound"] {
            let answer = app.send(request(&app, dialect, path, &body)).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}");
            let platform = dialect.platform();
            assert_eq!(accepts(platform, Channel::Call, &answer.body), Ok(()), "{path}");
            assert!(!is_rejection(platform, &answer.body), "{path}");
        }
    }
}

#[tokio::test]
async fn each_path_of_elevenlabs_has_its_own_signature() {
    let elevenlabs = dialect::by_name("elevenlabs").unwrap();
    let app = app(app::settings_of(elevenlabs), &app::rules_for(elevenlabs, app::RULES));
    let event = br#"{"type":"post_call_transcription","data":{"conversation_id":"c"}}"#;
    for (path, other) in [("inbound", "events"), ("events", "inbound")] {
        let signed = request(&app, elevenlabs, path, event);
        let mut misdirected = request(&app, elevenlabs, other, event);
        *misdirected.headers_mut() = signed.headers().clone();
        assert_eq!(app.send(signed).await.status, StatusCode::OK, "{path}");
        assert_eq!(app.send(misdirected).await.status, StatusCode::UNAUTHORIZED, "{other}");
    }
}

/// A retry of Vapi has another time of the message.
#[tokio::test]
async fn a_repeated_request_gets_the_same_reply() {
    for (platform, time) in [("vapi", "/message/timestamp"), ("telnyx", "/data/occurred_at")] {
        let dialect = dialect::by_name(platform).unwrap();
        let app = app(app::settings_of(dialect), &app::rules_for(dialect, app::RULES));
        let documented = fixtures().join(platform).join("documented_request/request.json");
        let mut body: Value = serde_json::from_str(&text_of(&documented)).unwrap();
        for at in ["2026-11-26T13:33:20Z", "2026-11-26T13:33:21Z"] {
            *body.pointer_mut(time).unwrap() = at.into();
            send_inbound(&app, dialect, body.to_string().as_bytes()).await;
        }
        let retry = if dialect.capabilities().agent { "agent" } else { "keep" };
        assert_counted(&app, platform, ["call", retry], 1).await;
        assert_counted(&app, platform, ["call", "retry"], 1).await;
    }
}

#[test]
fn the_recording_of_elevenlabs_is_not_stored() {
    let elevenlabs = dialect::by_name("elevenlabs").unwrap();
    let body = text_of(&fixtures().join("elevenlabs/events/post_call_audio.json"));
    let stored = elevenlabs.redact_body(body.as_bytes());
    let stored: Value = serde_json::from_slice(&stored).unwrap();
    assert_eq!(stored["data"]["full_audio"], Value::Null);
    assert_eq!(stored["data"]["conversation_id"], "conv_ex1");
}

const RETELL_CALL_EVENTS: [&str; 8] = [
    "call_started",
    "call_ended",
    "call_analyzed",
    "transcript_updated",
    "transfer_started",
    "transfer_bridged",
    "transfer_cancelled",
    "transfer_ended",
];
const RETELL_CHAT_EVENTS: [&str; 3] = ["chat_started", "chat_ended", "chat_analyzed"];

#[tokio::test]
async fn accepts_every_documented_retell_event() {
    let app = app(app::SETTINGS, app::RULES);
    for event in RETELL_CALL_EVENTS {
        let call =
            json!({ "call_id": "call_1", "from_number": "+12137771234", "call_status": "ended" });
        assert_accepted_as_event(
            &app,
            "retell",
            &json!({ "event": event, "call": call }).to_string(),
        )
        .await;
    }
    for event in RETELL_CHAT_EVENTS {
        let chat = json!({ "chat_id": "chat_1", "chat_status": "ended" });
        assert_accepted_as_event(
            &app,
            "retell",
            &json!({ "event": event, "chat": chat }).to_string(),
        )
        .await;
    }
    assert_counted(&app, "retell", ["event", "accepted"], 22).await;
    assert_counted(&app, "retell", ["event", "unknown_event"], 0).await;
}

#[tokio::test]
async fn accepts_synthflows_post_call_webhook() {
    let app = app(app::SETTINGS, app::RULES);
    let body = json!({
        "status": "completed",
        "error_message": "",
        "lead": { "name": "Ann", "phone_number": "+12137771234", "prompt_variables": {} },
        "call": {
            "call_id": "d9b1c6a0-6f0e-4a43-9d7b-0f1e2d3c4b5a",
            "status": "completed",
            "end_call_reason": "agent_goodbye",
            "model_id": "1713",
            "timezone": "Europe/Berlin",
            "duration": 113,
            "start_time": "2025-10-27T10:59:46+01:00",
            "transcript": "\nbot: Guten Tag\nhuman: …",
        },
        "executed_actions": { "book": { "action_type": "CUSTOM", "parameters_from_llm": "{\"day\":1}" } },
        "analysis": { "persona": "true", "goal": null },
        "collected_variables": { "user_name": { "value": "Julian", "collected": true } },
    });
    assert_accepted_as_event(&app, "synthflow", &body.to_string()).await;
    assert_counted(&app, "synthflow", ["event", "accepted"], 2).await;
    assert_counted(&app, "synthflow", ["event", "unknown_event"], 0).await;
}

#[tokio::test]
async fn accepts_unknown_events_and_counts_them_separately() {
    let app = app(app::SETTINGS, app::RULES);
    for (platform, body) in [
        ("retell", r#"{"event":"call_teleported","call":{"call_id":"call_1"}}"#),
        ("synthflow", r#"{"event":"call_teleported","call":{"call_id":"call_1"}}"#),
    ] {
        assert_accepted_as_event(&app, platform, body).await;
        assert_counted(&app, platform, ["event", "unknown_event"], 2).await;
        assert_counted(&app, platform, ["event", "accepted"], 0).await;
    }
}

#[tokio::test]
async fn ignores_the_content_type() {
    for dialect in dialect::ALL {
        let body = dialect.encode_request(&Fields::unknown(Channel::Call));
        let app = app(app::settings_of(dialect), &app::rules_for(dialect, app::RULES));
        // Twilio signs forms in another way than other bodies.
        if dialect.request_content_type() != "application/json" {
            continue;
        }
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "nonsense",
            "application/json; charset=latin1",
        ] {
            let mut request = request(&app, dialect, "inbound", &body);
            request.headers_mut().insert(header::CONTENT_TYPE, kind.parse().unwrap());
            let answer = app.send(request).await;
            assert_eq!(answer.status, StatusCode::OK, "{kind}");
            let has_agent = String::from_utf8_lossy(&answer.body).contains("agent_1");
            let decides = dialect.capabilities().agent && dialect.api().is_none();
            assert_eq!(has_agent, decides, "{kind}");
        }
    }
}

/// One text of metadata, filled from several headers: one value is not as long.
const METADATA: &str = r#"
[[rule]]
name = "everyone"
agent = "agent_1"
metadata = { big = "${sip.x-0|}${sip.x-1|}${sip.x-2|}${sip.x-3|}${sip.x-4|}${sip.x-5|}${sip.x-6|}${sip.x-7|}${sip.x-8|}${sip.x-9|}${sip.x-10|}${sip.x-11|}${sip.x-12|}" }
"#;

#[tokio::test]
async fn sends_metadata_of_up_to_50_000_bytes() {
    for (bytes, sent) in [(50_000, true), (50_001, false)] {
        let app = app(app::SETTINGS, METADATA);
        let value = "b".repeat(bytes - r#"{"big":""}"#.len());
        let parts = value.as_bytes().chunks(4_096).map(String::from_utf8_lossy).enumerate();
        let headers: serde_json::Map<String, Value> =
            parts.map(|(at, part)| (format!("x-{at}"), json!(part))).collect();
        let inner = json!({ "custom_sip_headers": headers });
        let answer =
            app.retell(json!({ "event": "call_inbound", "call_inbound": inner }).to_string()).await;
        let mut expected = json!({ "override_agent_id": "agent_1" });
        if sent {
            expected["metadata"] = json!({ "big": value });
        }
        assert!(answer.json()["call_inbound"] == expected, "with {bytes} bytes");
        let counted = format!(
            r#"switchboard_values_left_out_total{{source="retell",reason="platform_limit"}} {}"#,
            u8::from(!sent)
        );
        assert!(app.metrics().await.contains(&counted), "with {bytes} bytes");
    }
}

/// Treatment of a body under a single rule without conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// 200; the rule's agent answers the call.
    Routed,
    /// 200; the platform's own agent answers the call.
    Kept,
    /// 200 and `{}`: an event.
    Event,
    /// 400.
    Refused,
}
use Fate::{Event, Kept, Refused, Routed};

/// A body that no documentation describes, and its treatment for Retell and for Synthflow.
struct Unusual(&'static str, Vec<u8>, Fate, Fate);

/// An unusual body with the same treatment for both platforms.
fn both(name: &'static str, body: impl Into<Vec<u8>>, fate: Fate) -> Unusual {
    Unusual(name, body.into(), fate, fate)
}

/// A call with these fields.
fn with_fields(name: &'static str, fields: &str) -> Unusual {
    both(name, format!(r#"{{"event":"call_inbound","call_inbound":{{{fields}}}}}"#), Routed)
}

/// A call with this value of `call_inbound`.
fn with_inbound(name: &'static str, value: &str) -> Unusual {
    both(name, format!(r#"{{"event":"call_inbound","call_inbound":{value}}}"#), Routed)
}

/// A call with these additional keys beside `call_inbound`.
fn with_keys(name: &'static str, keys: &str) -> Unusual {
    let call = r#""call_inbound":{"from_number":"+12137771234","to_number":"+12137771235"}"#;
    both(name, format!(r#"{{{keys},"event":"call_inbound",{call}}}"#), Routed)
}

fn deep(open: &str, close: &str) -> String {
    format!("{}1{}", open.repeat(10_000), close.repeat(10_000))
}

/// Unusual bodies of calls.
fn unusual_calls() -> Vec<Unusual> {
    let deep_list = deep("[", "]");
    let deep_object = deep("{\"k\":", "}");
    let many_headers: Vec<_> = (0..2_500).map(|at| format!("\"x-{at}\":\"{at}\"")).collect();
    vec![
        with_keys("duplicate event, the last one counts", r#""event":"call_ended""#),
        with_keys("duplicate call_inbound", r#""call_inbound":{"from_number":[]}"#),
        with_fields(
            "duplicate from_number",
            r#""from_number":"+19005550100","from_number":"+12137771234""#,
        ),
        with_keys("10,000 lists in an unknown key", &format!("\"x\":{deep_list}")),
        with_keys("10,000 objects in an unknown key", &format!("\"x\":{}", deep("{\"\":", "}"))),
        with_fields("10,000 lists for a number", &format!("\"from_number\":{deep_list}")),
        with_fields(
            "10,000 lists in the SIP headers",
            &format!("\"custom_sip_headers\":{{\"x\":{deep_list}}}"),
        ),
        with_inbound("10,000 lists for a call", &deep_list),
        with_inbound("10,000 objects for a call", &deep_object),
        with_fields("half a surrogate pair for a number", r#""from_number":"\ud800""#),
        with_fields("two halves in the wrong order", r#""from_number":"\udc00\ud800""#),
        with_fields("half a surrogate pair in a call id", r#""call_id":"call_\udfff""#),
        with_keys("half a surrogate pair in an unknown value", r#""x":"\ud83d""#),
        with_fields("64 digits for a number", &format!("\"from_number\":{}", "9".repeat(64))),
        with_fields("64 digits in quotes", &format!("\"from_number\":\"+{}\"", "9".repeat(64))),
        with_fields(
            "a number too big for any double",
            r#""from_number":1e400,"agent_version":1e400"#,
        ),
        with_fields("a number below zero", r#""from_number":-12137771234,"agent_version":-1"#),
        with_fields("a fraction for a version", r#""agent_version":1.5,"call_id":0.1"#),
        with_keys("a timestamp too big for 64 bits", r#""event_timestamp":99999999999999999999"#),
        with_keys("a timestamp that is a text", r#""event_timestamp":"yesterday""#),
        with_keys("a timestamp that is an object", r#""event_timestamp":{"$numberLong":"1"}"#),
        with_keys("a number too big in an unknown key", r#""x":[1e999,-1E-999,-0.0]"#),
        with_inbound("null for a call", "null"),
        with_inbound("a list for a call", r#"[{"from_number":"+12137771234"}]"#),
        with_inbound("a text for a call", r#""+12137771234""#),
        with_inbound("a number for a call", "1"),
        with_inbound("true for a call", "true"),
        with_inbound("an empty call", "{}"),
        both("no call", r#"{"event":"call_inbound"}"#, Routed),
        with_fields(
            "nested nulls",
            r#""from_number":[null,[null]],"to_number":{"x":null},"custom_sip_headers":{"x":null}"#,
        ),
        with_fields("an object for a number", r#""from_number":{"e164":"+12137771234"}"#),
        with_fields("true for a number", r#""from_number":true,"to_number":false"#),
        with_fields(
            "the word null for a number",
            r#""from_number":"null","to_number":"undefined""#,
        ),
        with_fields("NUL in a number", r#""from_number":"+1213\u0000777""#),
        with_fields("an emoji for a number", r#""from_number":"📞""#),
        with_fields("other scripts' digits", r#""from_number":"+１２１３７７７１２３４""#),
        with_fields(
            "invisible marks around a number",
            r#""from_number":"\u202a+12137771234\u202c""#,
        ),
        with_fields(
            "a number of 40,000 characters",
            &format!("\"from_number\":\"{}\"", "+".repeat(40_000)),
        ),
        with_fields("a list for the SIP headers", r#""custom_sip_headers":["x-a","b"]"#),
        with_fields("a text for the SIP headers", r#""custom_sip_headers":"x-a: b""#),
        with_fields(
            "objects in the SIP headers",
            r#""custom_sip_headers":{"x-a":{"b":1},"":"","x-c":[1]}"#,
        ),
        with_fields(
            "2,500 SIP headers",
            &format!("\"custom_sip_headers\":{{{}}}", many_headers.join(",")),
        ),
        with_fields("an object for a call id", r#""call_id":{"id":1},"agent_id":[],"model_id":{}"#),
        with_fields("an empty call id", r#""call_id":"","agent_id":"""#),
        with_keys("a key without a name", r#""":0,"__proto__":{"reject":true},"constructor":null"#),
        with_keys(
            "a text message beside the call",
            r#""chat_inbound":{"chat_id":"c","from_number":"+19005550100"}"#,
        ),
        with_fields(
            "the words of a reply",
            r#""reject":true,"override_model_id":null,"override_agent_id":"x""#,
        ),
        both(
            "escapes in keys",
            r#"{"\u0065vent":"call\u005finbound","call\u005finbound":{}}"#,
            Routed,
        ),
        both(
            "white space everywhere",
            "\r\n\t {\n\"event\" :\r\n\"call_inbound\" , \"x\":[ ] }\n\n",
            Routed,
        ),
    ]
}

/// Bodies without a call for at least one platform.
fn bodies_without_a_call() -> Vec<Unusual> {
    let call = r#""call_inbound":{"from_number":"+12137771234"}"#;
    vec![
        Unusual("nothing", Vec::new(), Refused, Kept),
        Unusual("white space", b" \r\n".to_vec(), Refused, Kept),
        Unusual("no event, but a call", format!("{{{call}}}").into(), Refused, Routed),
        Unusual("null for the event", format!("{{\"event\":null,{call}}}").into(), Refused, Routed),
        Unusual(
            "an object for the event",
            format!("{{\"event\":{{}},{call}}}").into(),
            Refused,
            Routed,
        ),
        Unusual(
            "a list for the event",
            format!("{{\"event\":[\"call_inbound\"],{call}}}").into(),
            Refused,
            Routed,
        ),
        Unusual(
            "no event, but a past call",
            br#"{"call":{"call_id":"c"}}"#.to_vec(),
            Refused,
            Event,
        ),
        Unusual(
            "a text message",
            br#"{"event":"chat_inbound","chat_inbound":{}}"#.to_vec(),
            Routed,
            Event,
        ),
        both("an unknown event", r#"{"event":"call_teleported"}"#, Event),
        both("an event without a name", r#"{"event":""}"#, Event),
        both("an event with a number for a name", r#"{"event":7}"#, Event),
        both("an event with true for a name", r#"{"event":true,"call":null}"#, Event),
        both("an event with capitals", r#"{"event":"CALL_ENDED","call":{"call_id":"c"}}"#, Event),
        both("an event of a list", r#"{"event":"call_ended","call":[{"call_id":"c"}]}"#, Event),
        both("an empty object", "{}", Refused),
        both("an object without an event", r#"{"x":{"event":"call_inbound"}}"#, Refused),
    ]
}

/// Bodies that are not JSON objects.
fn bodies_that_are_not_objects() -> Vec<Unusual> {
    vec![
        both("a list", r#"[{"event":"call_inbound","call_inbound":{}}]"#, Refused),
        both("a text", r#""call_inbound""#, Refused),
        both("a number", "42", Refused),
        both("null", "null", Refused),
        both("10,000 lists", deep("[", "]"), Refused),
        both("10,000 lists that never end", "[".repeat(10_000), Refused),
        both("words", "which agent takes this call?", Refused),
        both("a form", "event=call_inbound&from_number=%2B12137771234", Refused),
        both("XML", "<?xml version=\"1.0\"?><event>call_inbound</event>", Refused),
        both("half of a body", r#"{"event":"call_inbound","call_inbound":{"from_num"#, Refused),
        both("trailing garbage", r#"{"event":"call_inbound","call_inbound":{}}}"#, Refused),
        both("two bodies", "{\"event\":\"call_inbound\"}\n{\"event\":\"call_inbound\"}", Refused),
        both("a trailing comma", r#"{"event":"call_inbound",}"#, Refused),
        both("a comment", "{\"event\":\"call_inbound\" /* comment */}", Refused),
        both("single quotes", "{'event':'call_inbound'}", Refused),
        both("no quotes", "{event:call_inbound}", Refused),
        both("NaN", r#"{"event":"call_inbound","x":NaN}"#, Refused),
        both("a number with leading zeros", r#"{"event":"call_inbound","x":007}"#, Refused),
        both("an invalid escape", r#"{"event":"call_inbound","x":"\x41"}"#, Refused),
        both("a line break inside a text", "{\"event\":\"call_inbound\",\"x\":\"a\nb\"}", Refused),
        both(
            "a byte order mark",
            "\u{feff}{\"event\":\"call_inbound\",\"call_inbound\":{}}",
            Refused,
        ),
        both(
            "UTF-16",
            "{\"event\":\"call_inbound\"}"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect::<Vec<_>>(),
            Refused,
        ),
        both("Latin-1", b"{\"event\":\"call_inbound\",\"name\":\"Zo\xeb\"}", Refused),
        both("an overlong NUL", b"{\"event\":\"call_inbound\",\"x\":\"\xc0\x80\"}", Refused),
        both(
            "a surrogate in UTF-8",
            b"{\"event\":\"call_inbound\",\"x\":\"\xed\xa0\x80\"}",
            Refused,
        ),
        both("NULs", vec![0; 64], Refused),
        both("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03".to_vec(), Refused),
    ]
}

/// Classifies a reply by its effect at the platform.
fn fate(platform: &str, answer: &Answer) -> Result<Fate, String> {
    let (routed, kept) = match platform {
        "retell" => (r#"{"override_agent_id":"agent_1"}"#, "{}"),
        "synthflow" => (r#"{"override_model_id":"agent_1"}"#, r#"{"override_model_id":""}"#),
        other => panic!("the replies of {other} are missing here"),
    };
    let body = String::from_utf8_lossy(&answer.body);
    let is = |inner: &str| {
        body == format!(r#"{{"call_inbound":{inner}}}"#)
            || body == format!(r#"{{"chat_inbound":{inner}}}"#)
    };
    match answer.status {
        StatusCode::OK if is(routed) => Ok(Routed),
        StatusCode::OK if is(kept) => Ok(Kept),
        StatusCode::OK if body == "{}" => Ok(Event),
        StatusCode::BAD_REQUEST => Ok(Refused),
        status => Err(format!("{status} {body}")),
    }
}

#[tokio::test]
async fn unusual_bodies_are_treated_as_documented_and_never_hang_up() {
    let route_all = app(app::SETTINGS, app::RULES);
    let keep_all = app(app::SETTINGS, KEEP);
    let bodies = [unusual_calls(), bodies_without_a_call(), bodies_that_are_not_objects()];
    let mut wrong = Vec::new();
    for Unusual(name, body, retell, synthflow) in bodies.into_iter().flatten() {
        assert!(
            body.len() <= switchboard::http::public::INBOUND_BYTES,
            "{name} would be too large"
        );
        for (platform, expected) in [("retell", retell), ("synthflow", synthflow)] {
            let dialect = dialect::by_name(platform).expect("a platform");
            let without_agent = if expected == Routed { Kept } else { expected };
            for (app, expected) in [(&route_all, expected), (&keep_all, without_agent)] {
                let fate = fate(platform, &send_inbound(app, dialect, &body).await);
                if fate != Ok(expected) {
                    wrong.push(format!("{platform}: {name}: expected {expected:?}, not {fate:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} bodies\n  {}", wrong.len(), wrong.join("\n  "));
    for app in [route_all, keep_all] {
        assert!(app.metrics().await.contains("switchboard_panics_total 0"), "something panicked");
    }
}

/// A rule that returns the parsed caller and a SIP header as variables.
const ECHO: &str = r#"
[[rule]]
name = "everyone"
agent = "agent_1"
variables = { caller = "${from}", tier = "${sip.x-tier|none}" }
"#;

/// Asserts the caller and the tier that [`ECHO`] returned.
#[track_caller]
fn assert_echo(answer: &Answer, caller: &str, tier: &str) {
    let expected = json!({ "caller": caller, "tier": tier });
    assert_eq!(answer.json()["call_inbound"]["dynamic_variables"], expected);
}

fn retell_with(fields: &str) -> String {
    format!(r#"{{"event":"call_inbound","call_inbound":{{{fields}}}}}"#)
}

#[tokio::test]
async fn two_callers_with_an_empty_call_id_are_distinct() {
    let app = app(app::SETTINGS, ECHO);
    for caller in ["+12137771234", "+12137771235"] {
        let fields = format!(r#""call_id":"","from_number":"{caller}""#);
        assert_echo(&app.retell(retell_with(&fields)).await, caller, "none");
    }
}

#[tokio::test]
async fn an_unusual_key_hides_no_other_key() {
    for fields in [
        r#""call_inbound":{"from_number":"+1213","custom_sip_headers":{"x-tier":"gold"}},"\ud800":1"#,
        r#""call_inbound":{"\ud800":1,"from_number":"+1213","custom_sip_headers":{"x-tier":"gold"}}"#,
        r#""call_inbound":{"from_number":"+1213","custom_sip_headers":{"\udfff":"1","x-tier":"gold"}}"#,
    ] {
        let app = app(app::SETTINGS, ECHO);
        let answer = app.retell(format!(r#"{{"event":"call_inbound",{fields}}}"#)).await;
        assert_eq!(answer.status, StatusCode::OK, "{fields}");
        assert_echo(&answer, "+1213", "gold");
    }
}

#[tokio::test]
async fn the_last_duplicate_sip_header_counts() {
    let app = app(app::SETTINGS, ECHO);
    let headers = r#""from_number":"1","custom_sip_headers":{"x-tier":"tin","x-tier":"gold"}"#;
    assert_echo(&app.retell(retell_with(headers)).await, "1", "gold");
}

#[tokio::test]
async fn every_spelling_of_a_caller_is_the_same_caller() {
    for (written, meant) in [
        ("12137771234.0", ["+12137771234", "12137771234.0"]),
        ("1.2137771234e10", ["+12137771234", "1.2137771234e10"]),
        (r#""+266-696-687""#, ["withheld"; 2]),
        (r#""266 696 687""#, ["withheld"; 2]),
        (r#""tel:+266.696.687""#, ["withheld"; 2]),
        (r#""anonymous@anonymous.invalid""#, ["withheld"; 2]),
    ] {
        let app = app(app::SETTINGS, ECHO);
        let answer = app.retell(retell_with(&format!(r#""from_number":{written}"#))).await.json();
        let caller = answer["call_inbound"]["dynamic_variables"]["caller"].as_str();
        assert!(caller.is_some_and(|it| meant.contains(&it)), "{written} was taken for {caller:?}");
    }
}

#[tokio::test]
async fn synthflow_never_receives_an_empty_reply_to_a_call() {
    let app = app(app::SETTINGS, app::RULES);
    for event in
        ["7", "true", r#""""#, r#""CALL_INBOUND""#, r#""call_inbound ""#, r#""inbound_call""#]
    {
        let call = r#"{"from_number":"+12137771234","to_number":"+12137771235"}"#;
        let answer = app.synthflow(format!(r#"{{"event":{event},"call_inbound":{call}}}"#)).await;
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        let expected = r#"{"call_inbound":{"override_model_id":"agent_1"}}"#;
        assert_eq!((answer.status, body.as_str()), (StatusCode::OK, expected), "after {event}");
    }
}
