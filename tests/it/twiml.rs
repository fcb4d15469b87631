//! Twilio and TeXML: exact replies, kinds of agents, forms that no documentation describes, and escaping.
//!
//! `dialects.rs` runs the fixtures of both platforms.

mod golden;
mod odd_forms;
mod service;
mod xml;

use switchboard::dialect;
use switchboard::dialect::{Dialect, Incoming, RenderContext, Reply};
use switchboard::domain::call::Call;
use switchboard::domain::decision::Decision;
use switchboard::domain::party::NumberFormat;
use switchboard::rules::{CheckContext, RuleSet};

use crate::support::app::{decide, parse_rules, verified};

/// Platforms whose replies are XML.
const PLATFORMS: [&str; 2] = ["twilio", "texml"];

/// A recorded request about a call.
const CALL: &str = "AccountSid=AC00000000000000000000000000000001&ApiVersion=2010-04-01&CallSid=CA1&CallStatus=ringing\
    &Called=%2B15005550006&Caller=%2B441632960123&Direction=inbound&From=%2B441632960123&FromCity=&FromCountry=GB\
    &StirVerstat=TN-Validation-Passed-A&To=%2B15005550006&ToCountry=US";

/// URL of events.
const EVENTS_URL: &str = "https://calls.example/events/twilio";

#[track_caller]
fn dialect(platform: &str) -> &'static dyn Dialect {
    dialect::by_name(platform).expect("a platform")
}

#[track_caller]
fn table(rules: &str) -> RuleSet {
    let (table, report) = parse_rules("rules.toml", rules.to_owned(), &CheckContext::default());
    table.unwrap_or_else(|| panic!("{report}\n{rules}"))
}

/// A table whose rule hands every call to one agent. `keys` are further lines of the rule.
fn rules_of_agent(platform: &str, id: &str, keys: &str) -> String {
    format!(
        "[agents]\ndesk = {{ {platform} = {id:?} }}\n\n[[rule]]\nname = \"everyone\"\nagent = \"desk\"\n{keys}\n"
    )
}

/// Decides the call of a form, and passes it on.
#[track_caller]
fn with_decision<T>(
    platform: &str,
    form: &[u8],
    table: &RuleSet,
    then: impl FnOnce(&Call<'_>, &Decision<'_>) -> T,
) -> T {
    let dialect = dialect(platform);
    let verified = verified(dialect, form.to_vec());
    match dialect.parse(&verified, &NumberFormat::default()) {
        Ok(Incoming::Inbound(call)) => then(&call, &decide(table, &call)),
        other => panic!("expected a call, not {other:?}: {}", String::from_utf8_lossy(form)),
    }
}

/// Returns the reply to a form.
#[track_caller]
fn reply(platform: &str, form: &[u8], rules: &str) -> Reply {
    with_decision(platform, form, &table(rules), |call, decision| {
        let context = RenderContext {
            call: Some(call),
            events_url: Some(EVENTS_URL),
            ..RenderContext::of_channel(call.channel())
        };
        dialect(platform).render(&context, decision)
    })
}

/// Returns what is between `<Response>` and `</Response>`, and the names of what is left out.
#[track_caller]
fn content(reply: &Reply) -> (String, Vec<&str>) {
    let body = String::from_utf8(reply.body().to_vec()).expect("UTF-8");
    let inner = body
        .strip_prefix(r#"<?xml version="1.0" encoding="UTF-8"?><Response>"#)
        .and_then(|rest| rest.strip_suffix("</Response>"));
    let inner = inner.unwrap_or_else(|| panic!("{body}")).to_owned();
    (inner, reply.left_out().iter().map(|left_out| &*left_out.name).collect())
}

#[track_caller]
fn check_agent(platform: &str, id: &str, keys: &str, expected: &str) {
    let reply = reply(platform, CALL.as_bytes(), &rules_of_agent(platform, id, keys));
    assert_eq!(content(&reply), (expected.to_owned(), Vec::new()), "{platform}: {id} {keys}");
}

const GREETING: &str = "say = \"Hi.\"";
const TIER: &str = "variables = { tier = \"gold\" }";

#[test]
fn each_kind_of_agent_has_its_element() {
    for platform in PLATFORMS {
        check_agent(
            platform,
            "https://a.example/x",
            TIER,
            r#"<Redirect method="POST">https://a.example/x?tier=gold</Redirect>"#,
        );
        check_agent(
            platform,
            "sip:a@b.example",
            TIER,
            r#"<Dial answerOnBridge="true" timeout="20"><Sip>sip:a@b.example?X-Tier=gold</Sip></Dial>"#,
        );
        check_agent(
            platform,
            "relay:wss://a.example/x",
            "",
            r#"<Connect action="https://calls.example/events/twilio"><ConversationRelay url="wss://a.example/x"/></Connect>"#,
        );
        check_agent(
            platform,
            "stream:wss://a.example/x",
            TIER,
            r#"<Connect><Stream url="wss://a.example/x"><Parameter name="tier" value="gold"/></Stream></Connect>"#,
        );
        check_agent(
            platform,
            "stream:wss://a.example/x",
            "",
            r#"<Connect><Stream url="wss://a.example/x"/></Connect>"#,
        );
    }
    let expected = r#"<Connect><AIAssistant id="assistant-1"/></Connect>"#;
    check_agent("texml", "assistant-1", "", expected);
}

#[test]
fn the_greeting_is_spoken_before_an_agent_that_cannot_speak_it() {
    for (id, expected) in [
        (
            "relay:wss://a.example",
            r#"<Connect action="https://calls.example/events/twilio"><ConversationRelay url="wss://a.example" welcomeGreeting="Hi."/></Connect>"#,
        ),
        (
            "stream:wss://a.example",
            r#"<Say>Hi.</Say><Connect><Stream url="wss://a.example"/></Connect>"#,
        ),
        (
            "https://a.example",
            r#"<Say>Hi.</Say><Redirect method="POST">https://a.example</Redirect>"#,
        ),
        (
            "sip:a@b.example",
            r#"<Say>Hi.</Say><Dial answerOnBridge="true" timeout="20"><Sip>sip:a@b.example</Sip></Dial>"#,
        ),
    ] {
        PLATFORMS.iter().for_each(|platform| check_agent(platform, id, GREETING, expected));
    }
    let expected = r#"<Say>Hi.</Say><Connect><AIAssistant id="assistant-1"/></Connect>"#;
    check_agent("texml", "assistant-1", GREETING, expected);
}

#[test]
fn an_assistant_takes_no_variables() {
    let reply = reply("texml", CALL.as_bytes(), &rules_of_agent("texml", "assistant-1", TIER));
    let expected = r#"<Connect><AIAssistant id="assistant-1"/></Connect>"#;
    assert_eq!(content(&reply), (expected.to_owned(), vec!["variables.tier"]));
}

#[test]
fn only_sip_addresses_take_headers() {
    const HEADERS: &str = "sip_headers = { X-Tier = \"gold\" }";
    for platform in PLATFORMS {
        for (id, expected) in [
            ("sip:a@b.example", vec![]),
            ("https://a.example", vec!["sip_headers.X-Tier"]),
            ("stream:wss://a.example", vec!["sip_headers.X-Tier"]),
            ("relay:wss://a.example", vec!["sip_headers.X-Tier"]),
        ] {
            let rules = rules_of_agent(platform, id, HEADERS);
            let reply = reply(platform, CALL.as_bytes(), &rules);
            assert_eq!(content(&reply).1, expected, "{platform}: {id}");
        }
        let rules =
            format!("[[rule]]\nname = \"everyone\"\ntransfer = \"+12137771234\"\n{HEADERS}\n");
        let reply = reply(platform, CALL.as_bytes(), &rules);
        assert_eq!(content(&reply).1, ["sip_headers.X-Tier"], "{platform}");
    }
}

/// Checks the reply to a rule with these keys.
#[track_caller]
fn check_rule(keys: &str, expected: &str) {
    for platform in PLATFORMS {
        let rules = format!("[[rule]]\nname = \"everyone\"\n{keys}\n");
        let reply = reply(platform, CALL.as_bytes(), &rules);
        assert_eq!(content(&reply).0, expected, "{platform}: {keys}");
    }
}

#[test]
fn a_rejection_comes_first_or_is_spoken() {
    check_rule("reject = true", r#"<Reject reason="rejected"/>"#);
    check_rule("reject = \"blocklist\"", r#"<Reject reason="rejected"/>"#);
    check_rule("reject = \"busy\"", r#"<Reject reason="busy"/>"#);
    check_rule("reject = true\nsay = \"Closed.\"", "<Say>Closed.</Say><Hangup/>");
    check_rule("reject = true\nsay = \"${sip.x-none|}\"", r#"<Reject reason="rejected"/>"#);
}

#[test]
fn a_transfer_dials() {
    check_rule(
        "transfer = \"+12137771234\"",
        r#"<Dial callerId="+15005550006">+12137771234</Dial>"#,
    );
    check_rule(
        "transfer = \"+12137771234\"\nsay = \"One moment.\"",
        r#"<Say>One moment.</Say><Dial callerId="+15005550006">+12137771234</Dial>"#,
    );
    check_rule(
        "transfer = \"sip:a@b.example;transport=tls\"\nsip_headers = { X-Tier = \"gold & co\" }",
        r#"<Dial answerOnBridge="true" timeout="20"><Sip>sip:a@b.example;transport=tls?X-Tier=gold%20%26%20co</Sip></Dial>"#,
    );
}

#[test]
fn a_called_sip_address_is_no_caller_id() {
    let rules = "[[rule]]\nname = \"everyone\"\ntransfer = \"+12137771234\"\n";
    let reply = reply("twilio", b"CallSid=CA1&From=client%3Ajane&To=sip%3Aa%40b.example", rules);
    assert_eq!(content(&reply).0, "<Dial>+12137771234</Dial>");
}

/// Nobody can take the call: that is the cheapest end for the caller. With a fallback agent in the settings,
/// the agent takes it.
#[test]
fn a_call_that_is_kept_goes_to_the_fallback_agent() {
    let keep = "[[rule]]\nname = \"everyone\"\nkeep = true\n";
    let table = table(&format!("[agents]\ndesk = {{ twilio = \"sip:a@b.example\" }}\n\n{keep}"));
    let kept = reply("twilio", CALL.as_bytes(), keep);
    assert_eq!(content(&kept).0, r#"<Reject reason="busy"/>"#);
    let agent = switchboard::domain::decision::SelectedAgent {
        name: "desk",
        id: "sip:a@b.example",
        version: None,
        session: None,
    };
    let rendered = with_decision("twilio", CALL.as_bytes(), &table, |call, decision| {
        let context =
            RenderContext { stand_in: Some(&agent), ..RenderContext::of_channel(call.channel()) };
        dialect("twilio").render(&context, decision)
    });
    let expected = r#"<Dial answerOnBridge="true" timeout="20"><Sip>sip:a@b.example</Sip></Dial>"#;
    assert_eq!(content(&rendered).0, expected);
}

#[test]
fn a_text_message_gets_no_answer() {
    let message =
        b"MessageSid=SM1&From=%2B441632960123&To=%2B15005550006&Body=Hi&SmsStatus=received";
    for keys in ["keep = true", "reject = true", "transfer = \"+12137771234\""] {
        let rules = format!("[[rule]]\nname = \"everyone\"\n{keys}\n");
        let reply = reply("twilio", message, &rules);
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#;
        assert_eq!(reply.body(), expected.as_bytes(), "{keys}");
        assert_eq!(reply.left_out(), []);
    }
    let rules = "[[rule]]\nname = \"everyone\"\nreject = true\nsay = \"Closed.\"\n";
    let reply = reply("twilio", message, rules);
    assert_eq!(reply.left_out().iter().map(|it| &*it.name).collect::<Vec<_>>(), ["say"]);
}
