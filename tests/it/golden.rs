//! `tests/fixtures/vectors/golden.json`: signed requests, what they mean, decisions, and the exact replies. Each
//! case runs through the whole service, with rules that decide as the case says.

use std::collections::HashMap;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use switchboard::dialect;
use switchboard::dialect::{Dialect, Incoming};
use switchboard::domain::call::Call;
use switchboard::domain::party::NumberFormat;
use switchboard::settings::Purpose;

use crate::events::parse_columns;
use crate::signatures::{to_toml, vectors};
use crate::support::app::{self, app_at, verified};

/// Platforms whose cases run here. `texml` has those of Telnyx that reply with XML.
const PLATFORMS: [&str; 3] = ["vapi", "elevenlabs", "telnyx"];

/// Cases that run elsewhere, and why.
const ELSEWHERE: [(&str, &str); 3] = [
    ("texml_choose_assistant", "a case of TeXML"),
    ("texml_reject", "a case of TeXML"),
    ("call_control_answer_by_effect", "Call Control is answered by a command"),
];

/// The post-call webhook of the ElevenLabs section of the vendor notes, whose body other vectors share.
const POST_OK: (&str, &str) = (
    "post_ok_29min_old",
    "t=1795700000,v0=84caaa2ad108fb2a675407c3c597eeab55ff8e2cc507bd6713e06b61739021f6",
);

fn cases() -> Vec<Value> {
    let path = app::root().join("tests/fixtures/vectors/golden.json");
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let is_ours = |case: &Value| PLATFORMS.iter().any(|platform| case["platform"] == *platform);
    let runs_here = |case: &Value| !ELSEWHERE.iter().any(|(name, _)| case["name"] == *name);
    cases.into_iter().filter(|case| is_ours(case) && runs_here(case)).collect()
}

/// A signed request with the settings that verify it.
struct Signed {
    headers: Vec<(String, String)>,
    body: String,
    signature: Value,
    key: String,
    now: Timestamp,
}

impl Signed {
    fn of(case: &Value) -> Signed {
        let Some(name) = case["request_vector"].as_str() else { return Signed::written_out(case) };
        let (file, name) = name.split_once('/').expect("FILE/NAME");
        let is_post_ok = name == "post_ok";
        let name = if is_post_ok { POST_OK.0 } else { name };
        let vector = vectors(file).into_iter().find(|vector| vector["name"] == name);
        let mut vector = vector.unwrap_or_else(|| panic!("no vector {file}/{name}"));
        if is_post_ok {
            vector["headers"]["elevenlabs-signature"] = POST_OK.1.into();
        }
        let mut signature = vector["scheme"].take();
        signature.as_object_mut().unwrap().retain(|_, value| *value != json!(""));
        Signed {
            headers: texts(&vector["headers"]),
            body: vector["body"].as_str().unwrap().to_owned(),
            signature,
            key: vector["keys"][0].as_str().unwrap().to_owned(),
            now: Timestamp::from_second(vector["now_unix"].as_i64().unwrap()).unwrap(),
        }
    }

    /// A request whose case has it in full: with a secret in a header.
    fn written_out(case: &Value) -> Signed {
        let headers = texts(&case["request"]["headers"]);
        let secret = headers.iter().find(|(name, _)| name.starts_with("x-")).unwrap().clone();
        Signed {
            headers,
            body: case["request"]["body"].to_string(),
            signature: json!({ "kind": "shared", "header": secret.0 }),
            key: secret.1,
            now: Timestamp::from_second(1_795_700_000).unwrap(),
        }
    }

    fn settings(&self, platform: &str) -> String {
        format!(
            "[sources.{platform}]\nplatform = \"{platform}\"\nsecrets = [\"env:KEY\"]\n\
             fallback = \"stand-in\"\nsignature = {}\n",
            to_toml(&self.signature)
        )
    }

    fn request(&self, platform: &str) -> Request<Body> {
        let request = Request::post(format!("/inbound/{platform}"));
        let headers = self.headers.iter();
        let request = headers.fold(request, |request, (name, value)| request.header(name, value));
        request.body(Body::from(self.body.clone())).unwrap()
    }
}

fn texts(object: &Value) -> Vec<(String, String)> {
    let entries = object.as_object().expect("an object").iter();
    entries.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// Writes rules that decide as a case says.
fn rules(platform: &str, decision: &Value) -> String {
    let agent = match (&decision["connect"], &decision["connect_squad"]) {
        (Value::String(id), _) => Some(id.clone()),
        (_, Value::String(id)) => Some(format!("squad:{id}")),
        _ => None,
    };
    let outcome = match (&agent, &decision["transfer"]) {
        (Some(_), _) => "agent = \"chosen\"".to_owned(),
        (None, Value::String(target)) => format!("transfer = \"{target}\""),
        (None, _) => "keep = true".to_owned(),
    };
    let additions = ["variables", "metadata"].into_iter().filter_map(|key| {
        let value = decision.get(key)?;
        Some(format!("{key} = {}\n", to_toml(value)))
    });
    let id = agent.unwrap_or_else(|| "unused-0001".to_owned());
    format!(
        "[agents]\nchosen = {{ {platform} = \"{id}\" }}\n\
         stand-in = {{ {platform} = \"CONFIGURED_FALLBACK_ASSISTANT\" }}\n\
         [[rule]]\nname = \"everyone\"\n{outcome}\n{}",
        additions.collect::<String>()
    )
}

/// Returns what a dialect understands of a call, by the names that the cases use.
fn contact(call: &Call<'_>) -> Value {
    let attribute = |name: &str| call.attribute(name);
    let flag = |name: &str| attribute(name).map(|text| text == "true");
    json!({
        "from": call.from().unmasked(),
        "to": call.to().unmasked(),
        "call_id": call.call_id(),
        "default_agent": call.agent(),
        "number_id": call.number_id(),
        "carrier_call_id": attribute("carrier_call_id"),
        "channel": attribute("conversation_channel"),
        "caller_verified": flag("verified"),
    })
}

/// Returns the columns of an event, by the names that the cases use.
fn event_contact(dialect: &dyn Dialect, body: &[u8]) -> Value {
    let columns = parse_columns(dialect, body);
    json!({
        "event": "call_ended",
        "call_id": columns["call_id"],
        "agent": columns["agent"],
        "duration_ms": columns["duration_ms"],
        "ended_reason": columns["end_reason"],
        "cost_usd": columns["cost"],
        "summary": columns["summary"],
        "successful": columns["successful"],
    })
}

/// Checks that a request was understood as its case says.
#[track_caller]
fn check_contact(dialect: &dyn Dialect, body: &str, case: &Value) {
    let request = verified(dialect, body.as_bytes().to_vec());
    let understood = match dialect.parse(&request, &NumberFormat::default()) {
        Ok(Incoming::Inbound(call)) => contact(&call),
        _ => event_contact(dialect, body.as_bytes()),
    };
    for (name, expected) in case["contact"].as_object().expect("a contact") {
        assert_eq!(&understood[name], expected, "`{name}` of {}", case["name"]);
    }
}

#[tokio::test]
async fn every_case_is_answered_byte_for_byte() {
    let cases = cases();
    assert_eq!(cases.len(), 9, "cases are missing");
    for case in cases {
        let platform = case["platform"].as_str().unwrap();
        let dialect = dialect::by_name(platform).unwrap();
        let signed = Signed::of(&case);
        check_contact(dialect, &signed.body, &case);
        let environment = HashMap::from([("KEY".to_owned(), signed.key.clone())]);
        let rules = rules(platform, &case["decision"]);
        let settings = signed.settings(platform);
        let app = app_at(signed.now, &settings, &rules, environment, Purpose::Dev);
        let answer = app.send(signed.request(platform)).await;
        let (name, reply) = (&case["name"], &case["reply"]);
        assert_eq!(answer.status, StatusCode::OK, "{name}");
        assert_eq!(answer.headers[header::CONTENT_TYPE], reply["content_type"].as_str().unwrap());
        let body = String::from_utf8(answer.body).unwrap();
        assert_eq!(body, reply["body"].to_string(), "{name}");
    }
}
