//! One rule table and one process for all platforms: each gets its own form of the same decision.

use serde_json::{Value, json};
use switchboard::dialect;
use switchboard::domain::call::{Channel, Fields};
use switchboard::domain::party::Party;

use crate::dialects::request;
use crate::support::app::{self, App, app};

/// An agent with an id at each platform that selects agents, and rules for all of them.
const RULES: &str = r#"
[agents]
front-desk = { retell = "agent_1", synthflow = "1716a", vapi = "b1c2", telnyx-call-control = "assistant-1", twilio = "sip:desk@pbx.example", texml = "assistant-1", openai = { model = "m", instructions = "For {{name}}." }, openai-live = { model = "m" }, pipecat = "bot" }

[[rule]]
name = "blocked callers"
from = "+1900*"
platform = ["!elevenlabs", "!telnyx", "!pipecat"]
reject = "blocklist"
say = "Goodbye."

[[rule]]
name = "sales"
from = "+1312*"
transfer = "+15005550010"
unsupported = "keep"

[[rule]]
name = "agents of their own"
platform = ["elevenlabs", "telnyx"]
keep = true
variables = { name = "Ada" }

[[rule]]
name = "everyone"
agent = "front-desk"
variables = { name = "Ada" }
unsupported = "keep"
"#;

/// Sends a call to each platform's source. Returns its reply, and the requests that follow it.
async fn answers(app: &App, from: &str) -> Vec<(&'static str, String)> {
    let mut answers = Vec::new();
    for dialect in dialect::ALL {
        let platform = dialect.platform().as_str();
        let party = |text| Party::parse(Some(text)).party;
        let fields = Fields {
            from: party(from),
            to: party("+15005550006"),
            call_id: Some("call-1".into()),
            ..Fields::unknown(Channel::Call)
        };
        let body = dialect.encode_request(&fields);
        let answer = app.send(request(app, dialect, "inbound", &body)).await;
        assert_eq!(answer.status, 200, "{platform}");
        let mut text = String::from_utf8(answer.body).expect("text");
        text = text.replace(r#"<?xml version="1.0" encoding="UTF-8"?>"#, "");
        if let Some(source) = app.app.endpoint(platform).filter(|_| dialect.api().is_some()) {
            let verified = app::verified(dialect, body);
            let parsed = dialect.parse(&verified, &Default::default());
            let Ok(dialect::Incoming::Inbound(call)) = parsed else { panic!("no call") };
            let table = app.app.table();
            let effects = source.source.effects(&table, &call, &app::decide(&table, &call));
            let effects = effects.iter().map(|one| format!("{} {}", one.action, one.body));
            text = effects.collect::<Vec<_>>().join(", ");
            // The id of the command is that of the event.
            text = text.replace(r#","command_id":"event-call-1""#, "");
        }
        answers.push((platform, text));
    }
    answers
}

fn service() -> App {
    app(&app::settings_of_all(), RULES)
}

/// The start of an agent of Pipecat Cloud for a caller.
fn start(from: &str) -> String {
    let sip = json!({ "display_name": from, "sip_mode": "dial-in", "num_endpoints": 1 });
    let dialin = json!({
        "From": from, "To": "+15005550006", "call_id": "call-1", "call_domain": "domain",
    });
    let body = json!({
        "createDailyRoom": true,
        "dailyRoomProperties": { "sip": sip },
        "body": { "dialin_settings": dialin, "variables": { "name": "Ada" } },
    });
    format!("start {body}")
}

#[tokio::test]
async fn an_agent() {
    let name = json!({ "name": "Ada" });
    let session = json!({ "type": "realtime", "model": "m", "instructions": "For Ada." });
    let answer = |assistant: Value| format!("answer {assistant}");
    let assistant = json!({ "assistant": { "id": "assistant-1", "dynamic_variables": name } });
    let expected = [
        ("retell", json!({ "call_inbound": { "override_agent_id": "agent_1", "dynamic_variables": name } }).to_string()),
        ("synthflow", json!({ "call_inbound": { "override_model_id": "1716a", "custom_variables": name } }).to_string()),
        ("vapi", json!({ "assistantId": "b1c2", "assistantOverrides": { "variableValues": name } }).to_string()),
        ("elevenlabs", json!({ "type": "conversation_initiation_client_data", "dynamic_variables": name }).to_string()),
        ("telnyx", json!({ "dynamic_variables": name }).to_string()),
        ("telnyx-call-control", answer(assistant)),
        ("openai", format!("accept {session}")),
        ("openai-live", format!("accept {}", json!({ "session": { "type": "live", "model": "m" } }))),
        ("pipecat", start("+441632960123")),
        ("texml", r#"<Response><Connect><AIAssistant id="assistant-1"/></Connect></Response>"#.to_owned()),
        ("twilio", r#"<Response><Dial answerOnBridge="true" timeout="20"><Sip>sip:desk@pbx.example?X-Name=Ada</Sip></Dial></Response>"#.to_owned()),
    ];
    assert_eq!(answers(&service(), "+441632960123").await, expected);
}

#[tokio::test]
async fn a_rejection() {
    let reject = |body: Value| format!("reject {body}");
    let name = json!({ "name": "Ada" });
    let spoken = "<Response><Say>Goodbye.</Say><Hangup/></Response>".to_owned();
    let expected = [
        ("retell", json!({ "call_inbound": { "reject": true } }).to_string()),
        ("synthflow", json!({ "call_inbound": {} }).to_string()),
        ("vapi", json!({ "error": "Goodbye." }).to_string()),
        (
            "elevenlabs",
            json!({ "type": "conversation_initiation_client_data", "dynamic_variables": name })
                .to_string(),
        ),
        ("telnyx", json!({ "dynamic_variables": name }).to_string()),
        ("telnyx-call-control", reject(json!({ "cause": "CALL_REJECTED" }))),
        ("openai", reject(json!({ "status_code": 603 }))),
        ("openai-live", reject(json!({ "status_code": 603 }))),
        ("pipecat", start("+19005550100")),
        ("texml", spoken.clone()),
        ("twilio", spoken),
    ];
    assert_eq!(answers(&service(), "+19005550100").await, expected);
}

#[tokio::test]
async fn a_transfer_where_the_platform_can() {
    let answers = answers(&service(), "+13125550177").await;
    let of = |platform: &str| {
        answers.iter().find(|(name, _)| *name == platform).map(|(_, text)| text.as_str()).unwrap()
    };
    // Its own agent takes the call where a reply cannot transfer it.
    assert_eq!(of("retell"), r#"{"call_inbound":{}}"#);
    assert_eq!(of("synthflow"), r#"{"call_inbound":{"override_model_id":""}}"#);
    assert!(of("vapi").contains(r#""number":"+15005550010""#), "{}", of("vapi"));
    assert!(of("telnyx-call-control").starts_with(r#"transfer {"to":"+15005550010""#));
    assert!(
        of("openai").ends_with(r#"refer {"target_uri":"tel:+15005550010"}"#),
        "{}",
        of("openai")
    );
    assert!(of("twilio").contains("<Dial callerId=\"+15005550006\">+15005550010</Dial>"));
    assert!(of("texml").contains("+15005550010</Dial>"));
}
