//! `golden.json`: a request, a decision, and the reply that the official builders make of it.

use serde_json::Value;
use switchboard::dialect::{Incoming, RenderContext};
use switchboard::domain::party::NumberFormat;

use super::{dialect, rules_of_agent, table, with_decision};
use crate::support::app::{root, verified};

pub(super) fn read(name: &str) -> Value {
    let path = root().join("tests/fixtures/vectors").join(name);
    serde_json::from_slice(&std::fs::read(&path).expect("a file")).expect("JSON")
}

/// The cases of Twilio and TeXML.
fn cases() -> Vec<(&'static str, Value)> {
    let Value::Array(cases) = read("golden.json") else { panic!("golden.json is a list") };
    let platform = |case: &Value| match (case["platform"].as_str()?, case["name"].as_str()?) {
        ("twilio", _) => Some("twilio"),
        ("telnyx", name) if name.starts_with("texml_") => Some("texml"),
        _ => None,
    };
    cases.into_iter().filter_map(|case| Some((platform(&case)?, case))).collect()
}

/// Requests to which cases refer, and which the vectors do not have: the documented fields, with the contact of
/// the case.
const DOCUMENTED: [(&str, &str); 2] = [
    (
        "telnyx/texml_form_ok",
        "AccountSid=0d5e7f00-0000-4000-8000-000000000001&CallSid=v3%3Aex&CallSidLegacy=v3%3Aex&ConnectionId=1494404757140276705\
         &From=%2B441632960123&To=%2B15005550006",
    ),
    (
        "twilio/sms_ok",
        "MessageSid=SM00000000000000000000000000000001&AccountSid=AC00000000000000000000000000000001&From=%2B441632960123\
         &To=%2B15005550006&Body=Hi&NumMedia=0&NumSegments=1&SmsStatus=received",
    ),
];

/// The body of the request to which a case refers: `twilio/voice_ok`.
#[track_caller]
fn request_body(reference: &str) -> Vec<u8> {
    let documented = DOCUMENTED.iter().find(|(name, _)| *name == reference);
    if let Some((_, body)) = documented {
        return (*body).into();
    }
    let (file, name) = reference.split_once('/').expect("a file and a name");
    let vectors = read(&format!("{file}.json"));
    let vectors = vectors["vectors"].as_array().expect("a list");
    let vector = vectors.iter().find(|vector| vector["name"] == name).expect("a vector");
    vector["body"].as_str().expect("a body").into()
}

/// A rule table that leads to the decision of a case.
fn rules(platform: &str, decision: &Value) -> String {
    let text = |key: &str| decision[key].as_str();
    let variables = decision["variables"].as_object().map(|variables| {
        let pairs = variables.iter().map(|(name, value)| format!("{name} = {value}"));
        format!("variables = {{ {} }}\n", pairs.collect::<Vec<_>>().join(", "))
    });
    let greeting = text("greeting").map(|text| format!("say = {text:?}\n"));
    let keys = [variables, greeting].into_iter().flatten().collect::<String>();
    if let Some(id) = text("connect") {
        let id = if id.starts_with("wss:") { format!("relay:{id}") } else { id.to_owned() };
        return rules_of_agent(platform, &id, &keys);
    }
    let outcome = match (text("reject"), text("transfer"), text("reject_say")) {
        (Some(reason), _, _) => format!("reject = {reason:?}"),
        (_, Some(target), _) => format!("transfer = {target:?}"),
        (_, _, Some(say)) => format!("reject = true\nsay = {say:?}"),
        (None, None, None) => "keep = true".to_owned(),
    };
    format!("[[rule]]\nname = \"everyone\"\n{outcome}\n{keys}")
}

#[test]
fn replies_as_the_official_builders_do() {
    let cases = cases();
    assert_eq!(cases.len(), 8, "golden.json has other cases");
    for (platform, case) in cases {
        let form = request_body(case["request_vector"].as_str().expect("a reference"));
        let dialect = dialect(platform);
        let table = table(&rules(platform, &case["decision"]));
        let reply = with_decision(platform, &form, &table, |call, decision| {
            let context = RenderContext {
                call: Some(call),
                events_url: Some("https://hooks.example.net/twilio/t1/connect-done"),
                ..RenderContext::of_channel(call.channel())
            };
            dialect.render(&context, decision)
        });
        let body = String::from_utf8(reply.body().to_vec()).expect("UTF-8");
        assert_eq!(body, case["reply"]["body"].as_str().expect("a text"), "{}", case["name"]);
        assert_eq!(dialect.content_type(), case["reply"]["content_type"], "{}", case["name"]);
        assert_eq!(reply.left_out(), [], "{}", case["name"]);
    }
}

#[test]
fn reads_the_contacts_of_the_requests() {
    for (platform, case) in cases() {
        let form = request_body(case["request_vector"].as_str().expect("a reference"));
        let verified = verified(dialect(platform), form);
        let parsed = dialect(platform).parse(&verified, &NumberFormat::default());
        let Ok(Incoming::Inbound(call)) = parsed else { panic!("{parsed:?}") };
        let contact = &case["contact"];
        assert_eq!(call.from().unmasked(), contact["from"].as_str().expect("a caller"));
        assert_eq!(call.to().unmasked(), contact["to"].as_str().expect("a called number"));
        assert_eq!(call.call_id(), contact["call_id"].as_str());
        let is_text = contact["kind"] == "text";
        assert_eq!(call.channel().as_str(), if is_text { "sms" } else { "call" });
        let is_verified = contact["caller_verified"].as_bool().map(|it| it.to_string());
        assert_eq!(call.attribute("verified"), is_verified.as_deref());
    }
}
