//! Bodies of both dialects, from parsing to the reply: every reply is a JSON object, and none hangs up.

use std::sync::LazyLock;

use super::{now, policy, request};
use switchboard::authenticate::{Mode, authenticate};
use switchboard::dialect::{self, Incoming, RenderContext};
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
        let reply = dialect.render(&RenderContext::of_channel(call.channel()), &decision).body();
        let reply: serde_json::Value = serde_json::from_slice(&reply).expect("a JSON reply");
        let (_, inner) = reply.as_object().and_then(|reply| reply.iter().next()).expect("a key");
        assert!(inner.get("reject").is_none(), "no rule rejects");
        // On Synthflow an empty object hangs up.
        let keeps =
            dialect.platform().as_str() != "synthflow" || inner.get("override_model_id").is_some();
        assert!(keeps, "the reply hangs up");
    }
}
