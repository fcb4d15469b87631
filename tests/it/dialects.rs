//! What each platform says, and what it hears in return: golden files, events, strange bodies.
//!
//! A case is a folder: `tests/fixtures/PLATFORM/CASE/` holds `request.json`, the bytes that come
//! in; `reply.json`, which less its white space is the bytes that go out; and `rules.toml`, when
//! the shared one will not do. What is in them is said by the platforms' documents, never copied
//! from what came out. The columns of events are in `events.rs`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use switchboard::dialect;
use switchboard::dialect::Dialect;

use crate::support::app::{self, Answer, App, NOW_MS, app, post, root};

const KEEP: &str = r#"
[[rule]]
name = "the platform's own agent"
keep = true
"#;

fn fixtures() -> PathBuf {
    root().join("tests/fixtures")
}

/// The names of the folders in a folder, in alphabetical order.
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

/// A request to this platform's source, signed like the platform where there is something to sign.
#[track_caller]
fn request(app: &App, dialect: &dyn Dialect, room: &str, body: &[u8]) -> Request<Body> {
    let platform = dialect.platform().as_str();
    let endpoint = app
        .app
        .endpoint(platform)
        .unwrap_or_else(|| panic!("app::SETTINGS has no source `{platform}`"));
    let token = endpoint.source.policy.url_token.as_ref();
    let token = token.map(|token| format!("/{}", String::from_utf8_lossy(token.expose())));
    let mut request = post(&format!("/{room}/{platform}{}", token.unwrap_or_default()), body);
    let now = Timestamp::from_millisecond(NOW_MS).expect("a time");
    if let Ok((name, value)) = dialect.scheme().sign(&endpoint.source.policy.keys[0], body, now) {
        request.headers_mut().insert(name, value.parse().expect("a header"));
    }
    request
}

async fn ask(app: &App, dialect: &dyn Dialect, body: &[u8]) -> Answer {
    app.send(request(app, dialect, "inbound", body)).await
}

/// JSON without the white space that people put between its parts.
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

/// One golden case; what is wrong with it, when something is.
async fn verdict(dialect: &dyn Dialect, case: &Path) -> Result<(), String> {
    for entry in std::fs::read_dir(case).map_err(|error| error.to_string())? {
        let name = entry.map_err(|error| error.to_string())?.file_name();
        if !["request.json", "reply.json", "rules.toml"].iter().any(|known| name == *known) {
            return Err(format!("{} is no part of a case", name.display()));
        }
    }
    let read =
        |name: &str| std::fs::read(case.join(name)).map_err(|error| format!("{name}: {error}"));
    let (request, reply) = (read("request.json")?, text_of(&case.join("reply.json")));
    let own = case.join("rules.toml");
    let rules = if own.exists() { own } else { fixtures().join("rules.toml") };
    let app = app(app::SETTINGS, &text_of(&rules));
    let answer = ask(&app, dialect, &request).await;
    let body = String::from_utf8_lossy(&answer.body);
    if answer.status != StatusCode::OK {
        return Err(format!("{} {body}", answer.status));
    }
    let expected: Value =
        serde_json::from_str(&reply).map_err(|error| format!("reply.json: {error}"))?;
    let differ = serde_json::from_str::<Value>(&body).ok() != Some(expected);
    let (expected, differs) = match (differ, minified(&reply)) {
        (true, expected) => (expected, "it says something else"),
        (false, expected) if body != expected => (expected, "it is written in another way"),
        (false, _) => return Ok(()),
    };
    Err(format!("{differs}\n     answered {body}\n     expected {expected}"))
}

#[tokio::test]
async fn every_platform_answers_its_golden_files() {
    let mut wrong = Vec::new();
    for dialect in dialect::ALL {
        let platform = dialect.platform().as_str();
        let mut cases = folders_in(&fixtures().join(platform));
        // Those of `events.rs`.
        cases.retain(|case| case != "events");
        assert!(!cases.is_empty(), "tests/fixtures/{platform} holds no case");
        for case in cases {
            let folder = fixtures().join(platform).join(&case);
            if let Err(why) = verdict(dialect, &folder).await {
                wrong.push(format!("{platform}/{case}: {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} golden files fail\n  {}", wrong.len(), wrong.join("\n  "));
}

#[test]
fn every_folder_of_fixtures_is_a_platforms() {
    let others = ["bad-tables", "vectors"];
    let known = |name: &str| others.contains(&name) || dialect::by_name(name).is_some();
    let unknown: Vec<_> = folders_in(&fixtures()).into_iter().filter(|name| !known(name)).collect();
    assert!(unknown.is_empty(), "no platform has these fixtures: {}", unknown.join(", "));
}

#[test]
fn minifying_leaves_texts_alone() {
    assert_eq!(minified(" { \"a b\" : [ 1 , \" \\\" { \\\\\" ] }\n"), r#"{"a b":[1," \" { \\"]}"#);
}

const URLS: [&str; 4] = [
    "/inbound/retell",
    "/events/retell",
    "/inbound/synthflow/token_0123456789abcdef",
    "/events/synthflow/token_0123456789abcdef",
];

#[tokio::test]
async fn a_get_finds_somebody_at_every_url() {
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
async fn synthflows_empty_post_is_kept_and_counted_as_a_probe() {
    let app = app(app::SETTINGS, app::RULES);
    for (at, body) in ["", " ", "\r\n\t"].into_iter().enumerate() {
        let answer = app.synthflow(body).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.body, br#"{"call_inbound":{"override_model_id":""}}"#, "after {body:?}");
        assert_counted(&app, "synthflow", "probe", at + 1).await;
    }
}

#[tokio::test]
async fn synthflows_empty_post_with_a_wrong_token_is_refused() {
    let app = app(app::SETTINGS, app::RULES);
    for url in ["/inbound/synthflow", "/inbound/synthflow/token_0123456789abcdeg"] {
        assert_eq!(app.send(post(url, b"")).await.status, StatusCode::UNAUTHORIZED, "{url}");
    }
}

/// How often a source's requests came to this.
async fn assert_counted(app: &App, source: &str, outcome: &str, times: usize) {
    let line = format!(
        "switchboard_requests_total{{source=\"{source}\",outcome=\"{outcome}\"}} {times}\n"
    );
    let metrics = app.metrics().await;
    assert!(metrics.contains(&line), "{line}is not in\n{metrics}");
}

/// Sends a body to both rooms: each of them takes calls and news alike.
async fn assert_taken_as_news(app: &App, platform: &str, body: &str) {
    let dialect = dialect::by_name(platform).expect("a platform");
    for room in ["inbound", "events"] {
        let answer = app.send(request(app, dialect, room, body.as_bytes())).await;
        assert_eq!(answer.status, StatusCode::OK, "{room}: {body}");
        assert_eq!(answer.body, b"{}", "{room}: {body}");
    }
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
async fn every_event_that_retell_documents_is_taken_note_of() {
    let app = app(app::SETTINGS, app::RULES);
    for event in RETELL_CALL_EVENTS {
        let call =
            json!({ "call_id": "call_1", "from_number": "+12137771234", "call_status": "ended" });
        assert_taken_as_news(&app, "retell", &json!({ "event": event, "call": call }).to_string())
            .await;
    }
    for event in RETELL_CHAT_EVENTS {
        let chat = json!({ "chat_id": "chat_1", "chat_status": "ended" });
        assert_taken_as_news(&app, "retell", &json!({ "event": event, "chat": chat }).to_string())
            .await;
    }
    assert_counted(&app, "retell", "event", 22).await;
    assert_counted(&app, "retell", "unknown_event", 0).await;
}

#[tokio::test]
async fn synthflows_post_call_webhook_is_taken_note_of() {
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
    assert_taken_as_news(&app, "synthflow", &body.to_string()).await;
    assert_counted(&app, "synthflow", "event", 2).await;
    assert_counted(&app, "synthflow", "unknown_event", 0).await;
}

#[tokio::test]
async fn an_event_that_nobody_knows_is_taken_note_of_and_counted_apart() {
    let app = app(app::SETTINGS, app::RULES);
    for (platform, body) in [
        ("retell", r#"{"event":"call_teleported","call":{"call_id":"call_1"}}"#),
        ("synthflow", r#"{"event":"call_teleported","call":{"call_id":"call_1"}}"#),
    ] {
        assert_taken_as_news(&app, platform, body).await;
        assert_counted(&app, platform, "unknown_event", 2).await;
        assert_counted(&app, platform, "event", 0).await;
    }
}

#[tokio::test]
async fn the_content_type_is_not_looked_at() {
    let app = app(app::SETTINGS, app::RULES);
    for dialect in dialect::ALL {
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "nonsense",
            "application/json; charset=latin1",
        ] {
            let mut request =
                request(&app, dialect, "inbound", br#"{"event":"call_inbound","call_inbound":{}}"#);
            request.headers_mut().insert(header::CONTENT_TYPE, kind.parse().unwrap());
            let answer = app.send(request).await;
            assert_eq!(answer.status, StatusCode::OK, "{kind}");
            assert!(String::from_utf8_lossy(&answer.body).contains("agent_1"), "{kind}");
        }
    }
}

const METADATA: &str = r#"
[[rule]]
name = "everyone"
agent = "agent_1"
metadata = { big = "${sip.x-big|}" }
"#;

#[tokio::test]
async fn metadata_of_50_000_bytes_is_sent_and_one_byte_more_is_not() {
    for (bytes, sent) in [(50_000, true), (50_001, false)] {
        let app = app(app::SETTINGS, METADATA);
        let value = "b".repeat(bytes - r#"{"big":""}"#.len());
        let inner = json!({ "custom_sip_headers": { "x-big": value } });
        let answer =
            app.retell(json!({ "event": "call_inbound", "call_inbound": inner }).to_string()).await;
        let mut expected = json!({ "override_agent_id": "agent_1" });
        if sent {
            expected["metadata"] = json!({ "big": value });
        }
        assert!(answer.json()["call_inbound"] == expected, "with {bytes} bytes");
        let counted = format!(
            r#"switchboard_metadata_left_out_total{{source="retell"}} {}"#,
            u8::from(!sent)
        );
        assert!(app.metrics().await.contains(&counted), "with {bytes} bytes");
    }
}

/// What becomes of a body, under one rule for everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// 200, and the rule's agent takes the call.
    Taken,
    /// 200, and the platform's own agent keeps the call.
    KeepReason,
    /// 200 and `{}`: news, not a question.
    Noted,
    /// 400.
    Refused,
}
use Fate::{KeepReason, Noted, Refused, Taken};

/// A body that no document shows, and what becomes of it at Retell and at Synthflow.
struct Strange(&'static str, Vec<u8>, Fate, Fate);

/// Strange, and the same to both.
fn strange(name: &'static str, body: impl Into<Vec<u8>>, comes: Fate) -> Strange {
    Strange(name, body.into(), comes, comes)
}

/// A question about a call, with these fields in it.
fn about(name: &'static str, fields: &str) -> Strange {
    strange(name, format!(r#"{{"event":"call_inbound","call_inbound":{{{fields}}}}}"#), Taken)
}

/// A question about a call, with `call_inbound` being this.
fn inbound_is(name: &'static str, value: &str) -> Strange {
    strange(name, format!(r#"{{"event":"call_inbound","call_inbound":{value}}}"#), Taken)
}

/// A question about a call, with these keys beside it.
fn beside(name: &'static str, keys: &str) -> Strange {
    let call = r#""call_inbound":{"from_number":"+12137771234","to_number":"+12137771235"}"#;
    strange(name, format!(r#"{{{keys},"event":"call_inbound",{call}}}"#), Taken)
}

fn deep(open: &str, close: &str) -> String {
    format!("{}1{}", open.repeat(10_000), close.repeat(10_000))
}

/// Bodies that ask about a call, however oddly.
fn strange_questions() -> Vec<Strange> {
    let deep_list = deep("[", "]");
    let deep_object = deep("{\"k\":", "}");
    let many_headers: Vec<_> = (0..2_500).map(|at| format!("\"x-{at}\":\"{at}\"")).collect();
    vec![
        beside("duplicate event, the last one counts", r#""event":"call_ended""#),
        beside("duplicate call_inbound", r#""call_inbound":{"from_number":[]}"#),
        about(
            "duplicate from_number",
            r#""from_number":"+19005550100","from_number":"+12137771234""#,
        ),
        beside("10,000 lists in an unknown key", &format!("\"x\":{deep_list}")),
        beside("10,000 objects in an unknown key", &format!("\"x\":{}", deep("{\"\":", "}"))),
        about("10,000 lists for a number", &format!("\"from_number\":{deep_list}")),
        about(
            "10,000 lists in the SIP headers",
            &format!("\"custom_sip_headers\":{{\"x\":{deep_list}}}"),
        ),
        inbound_is("10,000 lists for a call", &deep_list),
        inbound_is("10,000 objects for a call", &deep_object),
        about("half a surrogate pair for a number", r#""from_number":"\ud800""#),
        about("two halves in the wrong order", r#""from_number":"\udc00\ud800""#),
        about("half a surrogate pair in a call id", r#""call_id":"call_\udfff""#),
        beside("half a surrogate pair in an unknown value", r#""x":"\ud83d""#),
        about("64 digits for a number", &format!("\"from_number\":{}", "9".repeat(64))),
        about("64 digits in quotes", &format!("\"from_number\":\"+{}\"", "9".repeat(64))),
        about("a number too big for any double", r#""from_number":1e400,"agent_version":1e400"#),
        about("a number below zero", r#""from_number":-12137771234,"agent_version":-1"#),
        about("a fraction for a version", r#""agent_version":1.5,"call_id":0.1"#),
        beside("a timestamp too big for 64 bits", r#""event_timestamp":99999999999999999999"#),
        beside("a timestamp that is a text", r#""event_timestamp":"yesterday""#),
        beside("a timestamp that is an object", r#""event_timestamp":{"$numberLong":"1"}"#),
        beside("a number too big in an unknown key", r#""x":[1e999,-1E-999,-0.0]"#),
        inbound_is("null for a call", "null"),
        inbound_is("a list for a call", r#"[{"from_number":"+12137771234"}]"#),
        inbound_is("a text for a call", r#""+12137771234""#),
        inbound_is("a number for a call", "1"),
        inbound_is("true for a call", "true"),
        inbound_is("nothing known of the call", "{}"),
        strange("no call at all", r#"{"event":"call_inbound"}"#, Taken),
        about(
            "nested nulls",
            r#""from_number":[null,[null]],"to_number":{"x":null},"custom_sip_headers":{"x":null}"#,
        ),
        about("an object for a number", r#""from_number":{"e164":"+12137771234"}"#),
        about("true for a number", r#""from_number":true,"to_number":false"#),
        about("the word null for a number", r#""from_number":"null","to_number":"undefined""#),
        about("NUL in a number", r#""from_number":"+1213\u0000777""#),
        about("an emoji for a number", r#""from_number":"📞""#),
        about("other scripts' digits", r#""from_number":"+１２１３７７７１２３４""#),
        about("invisible marks around a number", r#""from_number":"\u202a+12137771234\u202c""#),
        about(
            "a number of 40,000 characters",
            &format!("\"from_number\":\"{}\"", "+".repeat(40_000)),
        ),
        about("a list for the SIP headers", r#""custom_sip_headers":["x-a","b"]"#),
        about("a text for the SIP headers", r#""custom_sip_headers":"x-a: b""#),
        about(
            "objects in the SIP headers",
            r#""custom_sip_headers":{"x-a":{"b":1},"":"","x-c":[1]}"#,
        ),
        about(
            "2,500 SIP headers",
            &format!("\"custom_sip_headers\":{{{}}}", many_headers.join(",")),
        ),
        about("an object for a call id", r#""call_id":{"id":1},"agent_id":[],"model_id":{}"#),
        about("an empty call id", r#""call_id":"","agent_id":"""#),
        beside("a key without a name", r#""":0,"__proto__":{"reject":true},"constructor":null"#),
        beside(
            "a text message beside the call",
            r#""chat_inbound":{"chat_id":"c","from_number":"+19005550100"}"#,
        ),
        about(
            "the words of a reply",
            r#""reject":true,"override_model_id":null,"override_agent_id":"x""#,
        ),
        strange(
            "escapes in keys",
            r#"{"\u0065vent":"call\u005finbound","call\u005finbound":{}}"#,
            Taken,
        ),
        strange(
            "white space everywhere",
            "\r\n\t {\n\"event\" :\r\n\"call_inbound\" , \"x\":[ ] }\n\n",
            Taken,
        ),
    ]
}

/// Bodies that ask nothing, at one platform at least.
fn strange_statements() -> Vec<Strange> {
    let call = r#""call_inbound":{"from_number":"+12137771234"}"#;
    vec![
        Strange("nothing", Vec::new(), Refused, KeepReason),
        Strange("white space", b" \r\n".to_vec(), Refused, KeepReason),
        Strange("no event, but a call", format!("{{{call}}}").into(), Refused, Taken),
        Strange("null for the event", format!("{{\"event\":null,{call}}}").into(), Refused, Taken),
        Strange(
            "an object for the event",
            format!("{{\"event\":{{}},{call}}}").into(),
            Refused,
            Taken,
        ),
        Strange(
            "a list for the event",
            format!("{{\"event\":[\"call_inbound\"],{call}}}").into(),
            Refused,
            Taken,
        ),
        Strange(
            "no event, but a past call",
            br#"{"call":{"call_id":"c"}}"#.to_vec(),
            Refused,
            Noted,
        ),
        Strange(
            "a text message",
            br#"{"event":"chat_inbound","chat_inbound":{}}"#.to_vec(),
            Taken,
            Noted,
        ),
        strange("an event that nobody knows", r#"{"event":"call_teleported"}"#, Noted),
        strange("an event without a name", r#"{"event":""}"#, Noted),
        strange("an event with a number for a name", r#"{"event":7}"#, Noted),
        strange("an event with true for a name", r#"{"event":true,"call":null}"#, Noted),
        strange(
            "an event with capitals",
            r#"{"event":"CALL_ENDED","call":{"call_id":"c"}}"#,
            Noted,
        ),
        strange("an event of a list", r#"{"event":"call_ended","call":[{"call_id":"c"}]}"#, Noted),
        strange("an empty object", "{}", Refused),
        strange("an object that says nothing", r#"{"x":{"event":"call_inbound"}}"#, Refused),
    ]
}

/// Bodies that are no JSON object.
fn strange_writings() -> Vec<Strange> {
    vec![
        strange("a list", r#"[{"event":"call_inbound","call_inbound":{}}]"#, Refused),
        strange("a text", r#""call_inbound""#, Refused),
        strange("a number", "42", Refused),
        strange("null", "null", Refused),
        strange("10,000 lists", deep("[", "]"), Refused),
        strange("10,000 lists that never end", "[".repeat(10_000), Refused),
        strange("words", "who takes this call?", Refused),
        strange("a form", "event=call_inbound&from_number=%2B12137771234", Refused),
        strange("XML", "<?xml version=\"1.0\"?><event>call_inbound</event>", Refused),
        strange("half of a body", r#"{"event":"call_inbound","call_inbound":{"from_num"#, Refused),
        strange("trailing garbage", r#"{"event":"call_inbound","call_inbound":{}}}"#, Refused),
        strange(
            "two bodies",
            "{\"event\":\"call_inbound\"}\n{\"event\":\"call_inbound\"}",
            Refused,
        ),
        strange("a comma too many", r#"{"event":"call_inbound",}"#, Refused),
        strange("a comment", "{\"event\":\"call_inbound\" /* who? */}", Refused),
        strange("single quotes", "{'event':'call_inbound'}", Refused),
        strange("no quotes", "{event:call_inbound}", Refused),
        strange("NaN", r#"{"event":"call_inbound","x":NaN}"#, Refused),
        strange("a number with zeros in front", r#"{"event":"call_inbound","x":007}"#, Refused),
        strange("an escape that is none", r#"{"event":"call_inbound","x":"\x41"}"#, Refused),
        strange(
            "a line break inside a text",
            "{\"event\":\"call_inbound\",\"x\":\"a\nb\"}",
            Refused,
        ),
        strange(
            "a byte order mark",
            "\u{feff}{\"event\":\"call_inbound\",\"call_inbound\":{}}",
            Refused,
        ),
        strange(
            "UTF-16",
            "{\"event\":\"call_inbound\"}"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect::<Vec<_>>(),
            Refused,
        ),
        strange("Latin-1", b"{\"event\":\"call_inbound\",\"name\":\"Zo\xeb\"}", Refused),
        strange("an overlong NUL", b"{\"event\":\"call_inbound\",\"x\":\"\xc0\x80\"}", Refused),
        strange(
            "a surrogate in UTF-8",
            b"{\"event\":\"call_inbound\",\"x\":\"\xed\xa0\x80\"}",
            Refused,
        ),
        strange("NULs", vec![0; 64], Refused),
        strange("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03".to_vec(), Refused),
    ]
}

/// What became of a body, by what its platform will make of the answer.
fn fate(platform: &str, answer: &Answer) -> Result<Fate, String> {
    let (taken, kept) = match platform {
        "retell" => (r#"{"override_agent_id":"agent_1"}"#, "{}"),
        "synthflow" => (r#"{"override_model_id":"agent_1"}"#, r#"{"override_model_id":""}"#),
        other => panic!("nobody wrote here how {other} is answered"),
    };
    let body = String::from_utf8_lossy(&answer.body);
    let is = |inner: &str| {
        body == format!(r#"{{"call_inbound":{inner}}}"#)
            || body == format!(r#"{{"chat_inbound":{inner}}}"#)
    };
    match answer.status {
        StatusCode::OK if is(taken) => Ok(Taken),
        StatusCode::OK if is(kept) => Ok(KeepReason),
        StatusCode::OK if body == "{}" => Ok(Noted),
        StatusCode::BAD_REQUEST => Ok(Refused),
        status => Err(format!("{status} {body}")),
    }
}

#[tokio::test]
async fn strange_bodies_come_to_what_is_documented_and_never_hang_up() {
    let everyone = app(app::SETTINGS, app::RULES);
    let nobody = app(app::SETTINGS, KEEP);
    let strange = [strange_questions(), strange_statements(), strange_writings()];
    let mut wrong = Vec::new();
    for Strange(name, body, at_retell, at_synthflow) in strange.into_iter().flatten() {
        assert!(
            body.len() <= switchboard::http::public::INBOUND_BYTES,
            "{name} would be too large"
        );
        for (platform, due) in [("retell", at_retell), ("synthflow", at_synthflow)] {
            let dialect = dialect::by_name(platform).expect("a platform");
            let due_from_nobody = if due == Taken { KeepReason } else { due };
            for (app, due) in [(&everyone, due), (&nobody, due_from_nobody)] {
                let fate = fate(platform, &ask(app, dialect, &body).await);
                if fate != Ok(due) {
                    wrong.push(format!("{platform}: {name}: {due:?} is due, not {fate:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} bodies\n  {}", wrong.len(), wrong.join("\n  "));
    for app in [everyone, nobody] {
        assert!(app.metrics().await.contains("switchboard_panics_total 0"), "something panicked");
    }
}

/// What one rule for everybody understood of a call.
const ECHO: &str = r#"
[[rule]]
name = "everyone"
agent = "agent_1"
variables = { caller = "${from}", tier = "${sip.x-tier|none}" }
"#;

/// The caller and the tier that Retell is told after a question with these fields.
#[track_caller]
fn assert_understood(answer: &Answer, caller: &str, tier: &str) {
    let expected = json!({ "caller": caller, "tier": tier });
    assert_eq!(answer.json()["call_inbound"]["dynamic_variables"], expected);
}

fn retell_with(fields: &str) -> String {
    format!(r#"{{"event":"call_inbound","call_inbound":{{{fields}}}}}"#)
}

#[tokio::test]
async fn two_callers_with_an_empty_call_id_are_not_taken_for_one() {
    let app = app(app::SETTINGS, ECHO);
    for caller in ["+12137771234", "+12137771235"] {
        let fields = format!(r#""call_id":"","from_number":"{caller}""#);
        assert_understood(&app.retell(retell_with(&fields)).await, caller, "none");
    }
}

#[tokio::test]
async fn a_strange_key_hides_nothing_beside_it() {
    for fields in [
        r#""call_inbound":{"from_number":"+1213","custom_sip_headers":{"x-tier":"gold"}},"\ud800":1"#,
        r#""call_inbound":{"\ud800":1,"from_number":"+1213","custom_sip_headers":{"x-tier":"gold"}}"#,
        r#""call_inbound":{"from_number":"+1213","custom_sip_headers":{"\udfff":"1","x-tier":"gold"}}"#,
    ] {
        let app = app(app::SETTINGS, ECHO);
        let answer = app.retell(format!(r#"{{"event":"call_inbound",{fields}}}"#)).await;
        assert_eq!(answer.status, StatusCode::OK, "{fields}");
        assert_understood(&answer, "+1213", "gold");
    }
}

#[tokio::test]
async fn of_duplicate_sip_headers_the_last_one_counts() {
    let app = app(app::SETTINGS, ECHO);
    let headers = r#""from_number":"1","custom_sip_headers":{"x-tier":"tin","x-tier":"gold"}"#;
    assert_understood(&app.retell(retell_with(headers)).await, "1", "gold");
}

#[tokio::test]
async fn no_way_of_writing_a_caller_makes_another_one_of_it() {
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
async fn synthflow_is_never_told_news_of_a_call_that_it_asks_about() {
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
