//! Values of every kind come through an XML parser as they were.

use percent_encoding::percent_decode_str;
use proptest::prelude::*;

use super::{reply, rules_of_agent};
use crate::properties::cases;
use crate::support::xml::{Element, parse};

/// The characters that XML 1.0 allows.
fn allowed(text: &str) -> String {
    let is_allowed = |c: &char| match *c {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        c => c >= ' ',
    };
    text.chars().filter(is_allowed).collect()
}

/// The reply to a call whose SIP header `X-V` has this value. `keys` are lines of the rule.
#[track_caller]
fn reply_to(value: &str, id: &str, keys: &str) -> Element {
    let encoded = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
    let form = format!("CallSid=CA1&From=%2B441632960123&SipHeader_X-V={encoded}");
    let reply = reply("twilio", form.as_bytes(), &rules_of_agent("twilio", id, keys));
    assert_eq!(reply.left_out(), []);
    parse(std::str::from_utf8(reply.body()).expect("UTF-8"))
}

const VARIABLE: &str = "variables = { v = \"${sip.x-v|}\" }";
const SAY: &str = "say = \"${sip.x-v|}\"";

/// Texts, with many of the characters that have a meaning in XML.
fn texts() -> impl Strategy<Value = String> {
    let special = prop::sample::select(
        "<>&\"'=/?!-[] \t\r\n\0\u{b}\u{1b}\u{7f}\u{85}\u{2028}\u{fffe}\u{ffff}#;%+;"
            .chars()
            .collect::<Vec<_>>(),
    );
    prop::collection::vec(prop_oneof![3 => special, 1 => any::<char>()], 1..40)
        .prop_map(|text| text.into_iter().collect())
}

#[track_caller]
fn check(text: &str) {
    let sent = allowed(text);
    let relay = reply_to(text, "relay:wss://a.example", &format!("{VARIABLE}\n{SAY}"));
    assert_eq!(relay.find("Parameter").expect("a parameter").attribute("value"), sent);
    let greeting = relay.find("ConversationRelay").expect("a relay");
    if !text.trim().is_empty() {
        assert_eq!(greeting.attribute("welcomeGreeting"), sent);
    }

    let stream = reply_to(text, "stream:wss://a.example", &format!("{VARIABLE}\n{SAY}"));
    assert_eq!(stream.find("Parameter").expect("a parameter").attribute("value"), sent);
    let spoken = stream.find("Say").map(|say| say.text.as_str());
    assert_eq!(spoken, Some(&*sent).filter(|_| !text.trim().is_empty()));

    // Values in URLs are escaped there, whatever they are.
    let redirect = reply_to(text, "https://a.example/x", VARIABLE);
    let (_, value) =
        redirect.find("Redirect").expect("a URL").text.split_once("?v=").expect("a query");
    assert_eq!(percent_decode_str(value).decode_utf8().expect("UTF-8"), text);
    let dial = reply_to(text, "sip:a@b.example", VARIABLE);
    let (_, value) =
        dial.find("Sip").expect("an address").text.split_once("?X-V=").expect("a header");
    assert_eq!(percent_decode_str(value).decode_utf8().expect("UTF-8"), text);
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn every_value_comes_through_a_parser(text in texts()) {
        check(&text);
    }
}

#[test]
fn known_values_come_through_a_parser() {
    for text in [
        "Hi \"Ada\" & co <1>",
        "]]>",
        "<![CDATA[x]]>",
        "&amp;",
        "&#60;",
        "a\r\nb\tc",
        "<!-- -->",
        "\u{1f44b}",
    ] {
        check(text);
    }
}
