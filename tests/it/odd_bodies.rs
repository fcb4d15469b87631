//! Bodies that no documentation describes: each value of a documented request is replaced by odd ones. No call
//! loses its reply, and no reply hangs up, since no rule rejects.

use axum::http::StatusCode;
use serde_json::{Value, json};
use switchboard::dialect;
use switchboard::dialect::Dialect;
use switchboard::domain::call::Channel;
use switchboard::domain::party::NumberFormat;

use crate::dialects::request;
use crate::properties::pointers;
use crate::support::app::{self, App, app, root, verified};
use crate::support::replies::{accepts, is_rejection};

/// Rules that reject nobody.
const RULES: &str = r#"
[[rule]]
name = "Germans"
from = "DE"
keep = true

[[rule]]
name = "everyone"
agent = "agent_1"
variables = { caller = "${from}", dialled = "${to}" }
metadata = { rule = "${rule}" }
"#;

/// Platforms whose requests are JSON objects with the kind of request at this place, if they have one.
const PLATFORMS: [(&str, &str); 7] = [
    ("vapi", "/message/type"),
    ("elevenlabs", ""),
    ("telnyx", "/data/event_type"),
    ("telnyx-call-control", "/data/event_type"),
    ("openai", "/type"),
    ("openai-live", "/type"),
    ("pipecat", ""),
];

/// Values that no field has, as JSON.
fn odd_values() -> Vec<String> {
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(5_000), close.repeat(5_000));
    let mut values: Vec<_> = [
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1e400",
        "99999999999999999999",
        "1.5",
        "[]",
        "[null]",
        "{}",
        r#"{"":{}}"#,
        r#""""#,
        r#"" ""#,
        r#""null""#,
        r#""\ud800""#,
        r#""\u0000""#,
        r#""📞""#,
        r#""+１２１３""#,
        r#""sip:@""#,
        r#""<script>""#,
        r#"{"number":"+1"}"#,
        // The name that serde_json gives to raw values.
        r#"{"$serde_json::private::RawValue":"}"}"#,
    ]
    .map(str::to_owned)
    .into();
    values.extend([
        deep("[", "]"),
        deep("{\"k\":", "}"),
        format!("\"{}\"", "9".repeat(20_000)),
        format!("\"{}\"", "é".repeat(9_000)),
        format!("[{}]", vec!["{}"; 2_000].join(",")),
    ]);
    values
}

/// Returns the documented request with odd values: one in each place, and a text in its own place.
fn odd_bodies(dialect: &dyn Dialect, kind: &str) -> Vec<String> {
    const MARK: &str = "the place of the odd value";
    let platform = dialect.platform().as_str();
    let path = format!("tests/fixtures/{platform}/documented_request/request.json");
    let documented = std::fs::read_to_string(root().join(path)).unwrap();
    let documented: Value = serde_json::from_str(&documented).unwrap();
    let mut bodies = Vec::new();
    for place in pointers(&documented) {
        for odd in odd_values() {
            // Another word there is another kind of request.
            let is_another_kind = place == kind && odd.len() > 5 && odd.starts_with('"');
            if is_another_kind || place.is_empty() {
                continue;
            }
            let mut body = documented.clone();
            *body.pointer_mut(&place).expect("a place") = json!(MARK);
            bodies.push(body.to_string().replace(&format!("\"{MARK}\""), &odd));
        }
    }
    bodies
}

/// Returns whether the body does not say what it is about: its outermost object has an odd value.
fn is_about_nothing(dialect: &dyn Dialect, body: &str) -> bool {
    let verified = verified(dialect, body.as_bytes().to_vec());
    dialect.parse(&verified, &NumberFormat::default()).is_err_and(|_| !body.contains("+441632"))
}

/// Returns what is wrong with the answer to a body.
async fn mistake(app: &App, dialect: &dyn Dialect, body: &str) -> Option<String> {
    let answer = app.send(request(app, dialect, "inbound", body.as_bytes())).await;
    let reply = String::from_utf8_lossy(&answer.body).into_owned();
    if answer.status == StatusCode::BAD_REQUEST && is_about_nothing(dialect, body) {
        return None;
    }
    let has_no_assistant = dialect.platform().as_str() == "vapi" && reply == "{}";
    let problem = if answer.status != StatusCode::OK {
        Some(answer.status.to_string())
    } else if is_rejection(dialect.platform(), &answer.body) || has_no_assistant {
        Some("hangs up".to_owned())
    } else {
        accepts(dialect.platform(), Channel::Call, &answer.body).err()
    };
    problem.map(|problem| format!("{problem}: {reply:.200} to {body:.300}"))
}

#[tokio::test]
async fn no_odd_value_of_a_request_hangs_up() {
    for (platform, kind) in PLATFORMS {
        let dialect = dialect::by_name(platform).unwrap();
        let app = app(app::settings_of(dialect), &app::rules_for(dialect, RULES));
        let bodies = odd_bodies(dialect, kind);
        assert!(bodies.len() >= 100, "{platform} has {} bodies", bodies.len());
        let mut wrong = Vec::new();
        for body in &bodies {
            wrong.extend(mistake(&app, dialect, body).await);
        }
        assert!(wrong.is_empty(), "{platform}: {}\n{}", wrong.len(), wrong.join("\n"));
        assert!(app.metrics().await.contains("switchboard_panics_total 0"), "something panicked");
    }
}

#[tokio::test]
async fn a_body_that_is_no_object_is_refused() {
    for (platform, _) in PLATFORMS {
        let dialect = dialect::by_name(platform).unwrap();
        let app = app(app::settings_of(dialect), &app::rules_for(dialect, RULES));
        for body in
            ["", " ", "[]", "null", "\"x\"", "{", "{}}", "a=b", "<a/>", "\u{feff}{}", "{'a':1}"]
        {
            let answer = app.send(request(&app, dialect, "inbound", body.as_bytes())).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{platform}: {body:?}");
        }
    }
}
