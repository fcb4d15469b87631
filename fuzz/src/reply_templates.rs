//! Reply templates of declared platforms: text that is no template is refused, and every template renders a reply
//! that is JSON, and reads the request that it was declared for.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::now;
use switchboard::authenticate::NoScheme;
use switchboard::dialect::generic::{
    GenericDialect, Pointer, ReplyTemplate, ReplyTemplates, RequestFormat, RequestShape,
    VariableShape,
};
use switchboard::dialect::{Dialect, RenderContext};
use switchboard::domain::call::{Call, Channel, Fields, Platform};
use switchboard::domain::capabilities::Timing;
use switchboard::domain::facts::Facts;
use switchboard::domain::party::Party;
use switchboard::rules::{self, CheckContext, RuleSet, engine};

const RULES: &str = r#"
[[rule]]
name = "busy"
from = "+1900*"
reject = "busy"
say = "No."

[[rule]]
name = "sales"
from = "+1312*"
transfer = "sip:desk@pbx.example"
sip_headers = { X-Tier = "gold" }

[[rule]]
name = "everyone"
agent = "agent_1"
variables = { name = "A \"quoted\" $agent {}" }
metadata = { desk = [1, { a = "b" }] }
"#;

static TABLE: LazyLock<RuleSet> = LazyLock::new(|| {
    let loaded = rules::parse("rules.toml", RULES.to_owned(), &CheckContext::default());
    loaded.table.unwrap_or_else(|| panic!("{}", loaded.report))
});

/// Runs one input: a pointer in the first line, and a template in the others.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (pointer, template) = text.split_once('\n').unwrap_or(("/from", text));
    let Ok(template) = ReplyTemplate::parse(template) else { return };
    let dialect = dialect(Pointer::parse(pointer).into_iter().collect(), &template);
    for from in ["+19005550100", "+13125550177", "+12135550199", ""] {
        let party = Party::parse(Some(from)).party;
        let fields = Fields { from: party, ..Fields::unknown(Channel::Call) };
        // Encoding inserts objects on the way to the pointer, whatever its parts are.
        check_json(&dialect.encode_request(&fields), "an encoded request is JSON");
        let call = Call::synthetic("nova", dialect.platform(), fields);
        let decision = engine::decide(&TABLE, &call, &Facts::at(now())).expect("no look-ups");
        let context = RenderContext::of_channel(Channel::Call);
        let reply = dialect.render(&context, &decision).into_body();
        check_json(&reply, "a reply is JSON");
    }
    check_json(dialect.default_reply(Channel::Call).as_bytes(), "the default reply is JSON");
}

/// Checks the syntax alone: in a `Value`, serde_json gives the name of its raw values a meaning of its own.
fn check_json(text: &[u8], expected: &str) {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).expect(expected);
}

/// Returns a platform with this template for every outcome.
fn dialect(from: Vec<Pointer>, template: &ReplyTemplate) -> GenericDialect {
    let template = || Some(template.clone());
    let reply = ReplyTemplates {
        agent: template(),
        keep: template(),
        reject: template(),
        transfer: template(),
        drops_empty: true,
    };
    let request = RequestShape {
        format: RequestFormat::Json,
        when: None,
        probe: None,
        from,
        to: Vec::new(),
        call_id: Vec::new(),
        agent: Vec::new(),
        number_id: Vec::new(),
        sip: None,
        attributes: Vec::new(),
        event: Vec::new(),
    };
    let timing = Timing {
        reply_within: Duration::from_secs(3),
        timeout: None,
        silence: "",
        retry_window: Duration::from_secs(60),
    };
    let (platform, scheme) = (Platform::new("nova"), Arc::new(NoScheme));
    GenericDialect::new(platform, timing, scheme, request, reply, VariableShape::default())
}
