//! Bodies of all dialects, from parsing to the reply: every reply is a JSON object or XML, and none hangs up.

use std::sync::LazyLock;

use super::{now, policy, request};
use serde_json::{Map, Value};
use switchboard::authenticate::{Mode, authenticate};
use switchboard::dialect::{self, Incoming, RenderContext};
use switchboard::domain::call::Platform;
use switchboard::domain::decision::SelectedAgent;
use switchboard::domain::facts::Facts;
use switchboard::domain::party::NumberFormat;
use switchboard::rules::{self, CheckContext, RuleSet, engine};

const RULES: &str = r#"
[[rule]]
name = "tier"
from = "+1213*"
agent = "agent_1"
variables = { caller = "${from}", tier = "${sip.x-tier|standard}" }
metadata = { to = "${to}", who = "${sip.x-name?}" }

[[rule]]
name = "withheld"
from = "withheld"
agent = "agent_2"
"#;

static TABLE: LazyLock<RuleSet> = LazyLock::new(|| {
    let loaded = rules::parse("rules.toml", RULES.to_owned(), &CheckContext::default());
    loaded.table.unwrap_or_else(|| panic!("{}", loaded.report))
});

/// Runs one input.
pub fn run(body: &[u8]) {
    for dialect in dialect::ALL {
        let verified =
            authenticate(request(Default::default(), body), &policy(dialect, Mode::Off), now());
        let verified = verified.expect("signatures are off");
        let Ok(Incoming::Inbound(call)) = dialect.parse(&verified, &NumberFormat::default()) else {
            continue;
        };
        let facts = Facts::at(now());
        let decided = engine::decide(&TABLE, &call, &facts);
        assert_eq!(decided, engine::scan(&TABLE, &call, &facts), "the index and the scan differ");
        let decision = decided.expect("the table has no look-up");
        let context = RenderContext {
            stand_in: Some(match dialect.check_agent_id(STAND_IN.id) {
                Ok(()) => &STAND_IN,
                Err(_) => &ADDRESS,
            }),
            ..RenderContext::of_channel(call.channel())
        };
        let reply = dialect.render(&context, &decision).into_body();
        if dialect.content_type() != "application/json" {
            let text = std::str::from_utf8(&reply).expect("text");
            assert!(text.ends_with("</Response>") || text.ends_with("<Response/>"), "{text}");
            assert!(!text.contains("<Reject") && !text.contains("<Hangup"), "no rule rejects");
            continue;
        }
        let reply: Value = serde_json::from_slice(&reply).expect("a JSON reply");
        let reply = reply.as_object().expect("an object");
        assert!(!hangs_up(dialect.platform(), reply), "no rule rejects");
    }
}

/// Agent that answers where the platform has none.
static STAND_IN: SelectedAgent<'static> =
    SelectedAgent { name: "agent_3", id: "agent_3", version: None, session: None };

/// Agent at platforms that know addresses alone.
static ADDRESS: SelectedAgent<'static> =
    SelectedAgent { name: "agent_3", id: "sip:agent_3@pbx.example", version: None, session: None };

/// Returns whether a reply ends the call, from the platform's documentation.
fn hangs_up(platform: Platform, reply: &Map<String, Value>) -> bool {
    let inner = || reply.values().next().expect("a key");
    match platform.as_str() {
        "retell" => inner().get("reject").is_some(),
        // An empty object hangs up.
        "synthflow" => inner().get("override_model_id").is_none(),
        "vapi" => !reply.contains_key("assistantId"),
        // Without it, the call fails.
        "elevenlabs" => !reply.contains_key("type"),
        // Its replies cannot end a call.
        "telnyx" | "telnyx-call-control" | "openai" | "openai-live" | "pipecat" => false,
        other => panic!("what hangs up at {other} is missing here"),
    }
}
