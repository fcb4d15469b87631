//! Numbers in SIP headers: `forwarded_from` in rules, and headers that name the parties.

use axum::body::Body;
use axum::http::Request;
use jiff::Timestamp;
use serde_json::Value;
use switchboard::dialect;
use switchboard::dialect::Incoming;
use switchboard::domain::call::{Call, Channel, Fields};
use switchboard::domain::facts::Facts;
use switchboard::domain::party::{NumberFormat, Party};
use switchboard::rules::engine::decide_offline;
use switchboard::rules::engine::explain::{Listed, explain};
use switchboard::rules::{CheckContext, RuleSet};
use tower::ServiceExt;

use crate::rules::codes_of;
use crate::support::app::{app, collect, parse_rules, verified};

const SETTINGS: &str = r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
from = ["sip.P-Asserted-Identity", "from_number"]
to = ["sip.diversion"]
"#;

const TABLE: &str = r#"
[lists.clients]
file = "clients.csv"

[[rule]]
name = "forwarded by a client"
forwarded_from = ["+12137770001", "DE"]
agent = "agent_acme"
variables = { client = "${forwarded_from|nobody}" }

[[rule]]
name = "forwarded by others"
forwarded_from = "!+12137770001"
agent = "agent_others"

[[rule]]
name = "everyone"
agent = "agent_front"
variables = { client = "${forwarded_from|nobody}", caller = "${from|unknown}", gone = "${to?}", word = "${from}" }
"#;

fn table(text: &str) -> RuleSet {
    let (table, report) = parse_rules("rules.toml", text.to_owned(), &CheckContext::default());
    table.unwrap_or_else(|| panic!("{report}"))
}

fn call(headers: &[(&'static str, &'static str)]) -> Call<'static> {
    let sip = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let fields = Fields { sip, ..Fields::unknown(Channel::Call) };
    Call::synthetic("retell", dialect::by_name("retell").unwrap().platform(), fields)
}

/// Twilio has a field of its own for the number, which counts before the headers.
#[test]
fn a_field_of_the_platform_names_the_forwarding_number() {
    let table = table(&TABLE.replace("[lists.clients]\nfile = \"clients.csv\"\n", ""));
    let facts = Facts::at(Timestamp::UNIX_EPOCH);
    let twilio = dialect::by_name("twilio").unwrap();
    for (form, rule) in [
        ("ForwardedFrom=%2B12137770001", "forwarded by a client"),
        (
            "ForwardedFrom=%2B12137770001&SipHeader_Diversion=%3Csip%3A%2B12137770002%40h%3E",
            "forwarded by a client",
        ),
        (
            "ForwardedFrom=anonymous&SipHeader_Diversion=%3Csip%3A%2B12137770002%40h%3E",
            "forwarded by others",
        ),
        ("ForwardedFrom=%2B12137770002", "forwarded by others"),
        ("ForwardedFrom=", "everyone"),
    ] {
        let form = format!("CallSid=CA1&CallStatus=ringing&From=%2B12137771234&{form}");
        let request = verified(twilio, form.clone().into());
        let Ok(Incoming::Inbound(call)) = twilio.parse(&request, &NumberFormat::default()) else {
            panic!("no call: {form}")
        };
        assert_eq!(decide_offline(&table, &call, &facts).rule(), Some(rule), "{form}");
    }
}

#[test]
fn a_rule_matches_the_number_that_forwarded_the_call() {
    let table = table(&TABLE.replace("[lists.clients]\nfile = \"clients.csv\"\n", ""));
    let facts = Facts::at(Timestamp::UNIX_EPOCH);
    for (headers, rule) in [
        (
            &[("diversion", "<sip:+12137770001@10.1.1.1>;reason=no-answer")][..],
            "forwarded by a client",
        ),
        (
            &[("history-info", "<sip:pbx@host>;index=1, <tel:+4930901820>;index=2")],
            "forwarded by a client",
        ),
        (&[("diversion", "<sip:+12137770002@10.1.1.1>")], "forwarded by others"),
        (&[("diversion", "<sip:anonymous@anonymous.invalid>")], "everyone"),
        (&[], "everyone"),
    ] {
        let call = call(headers);
        assert_eq!(decide_offline(&table, &call, &facts).rule(), Some(rule), "{headers:?}");
        let explanation = explain(&table, &call, &facts, Listed::All).unwrap();
        assert_eq!(explanation.decision.rule(), Some(rule), "{headers:?}");
    }
    let forwarded = call(&[("diversion", "<sip:+12137770001@10.1.1.1>")]);
    let decision = decide_offline(&table, &forwarded, &facts);
    assert_eq!(decision.additions().variables[0].value, "+12137770001");
    let direct = call(&[]);
    let explanation = explain(&table, &direct, &facts, Listed::All).unwrap().to_string();
    assert!(
        explanation.contains("no SIP header names a number that forwarded the call"),
        "{explanation}"
    );
}

#[test]
fn a_withheld_number_is_unknown_to_a_placeholder_with_a_default() {
    let table = table(&TABLE.replace("[lists.clients]\nfile = \"clients.csv\"\n", ""));
    let call = call(&[]);
    let decision = decide_offline(&table, &call, &Facts::at(Timestamp::UNIX_EPOCH));
    let variables: Vec<_> = decision
        .additions()
        .variables
        .iter()
        .map(|variable| (variable.name, variable.value.as_ref()))
        .collect();
    let expected = [("client", "nobody"), ("caller", "unknown"), ("word", "withheld")];
    assert_eq!(variables, expected);
}

#[test]
fn the_row_of_the_number_that_forwarded_the_call_has_columns() {
    let folder = tempfile::tempdir().unwrap();
    let rules = "[lists.clients]\nfile = \"clients.csv\"\n\
                 [[rule]]\nname = \"client\"\nforwarded_from = \"@clients\"\nagent = \"${clients.agent}\"\n\
                 [[rule]]\nname = \"everyone\"\nkeep = true\n\
                 [[test]]\nname = \"busy\"\nforwarded_from = \"+12137770001\"\n\
                 expect = { rule = \"client\", agent = \"agent_1\" }\n";
    std::fs::write(folder.path().join("rules.toml"), rules).unwrap();
    std::fs::write(folder.path().join("clients.csv"), "number,agent\n+12137770001,agent_1\n")
        .unwrap();
    let path = folder.path().join("rules.toml");
    let loaded =
        switchboard::reload::load(&path, &CheckContext::default(), false, &mut |_| {}).unwrap();
    assert!(loaded.table.is_some(), "{}", loaded.report);
    assert_eq!(codes_of(&loaded.report), [""; 0]);
}

#[test]
fn toll_free_numbers_are_explained() {
    let table = table(
        "[[rule]]\nname = \"Canada\"\nfrom = \"CA\"\nagent = \"agent_ca\"\n[[rule]]\nname = \"everyone\"\nkeep = true\n",
    );
    for (from, expected) in [
        ("+18005550123", "from +18005550123 is not in CA (toll-free, read as US)"),
        ("+18885550123", "(toll-free, read as US)"),
        ("+19005550123", "(a code of all of +1, read as US)"),
        ("+12135550123", "from +12135550123 is not in CA\n"),
    ] {
        let fields =
            Fields { from: Party::parse(Some(from)).party, ..Fields::unknown(Channel::Call) };
        let call =
            Call::synthetic("retell", dialect::by_name("retell").unwrap().platform(), fields);
        let facts = Facts::at(Timestamp::UNIX_EPOCH);
        let text = explain(&table, &call, &facts, Listed::All).unwrap().to_string();
        assert!(text.contains(expected), "{text}");
    }
}

/// Explains a request of the source with these fields, and returns the deciding rule.
async fn rule_for(fields: &str) -> String {
    let rules = "[[rule]]\nname = \"Ann\"\nfrom = \"+13125550177\"\nkeep = true\n\
                 [[rule]]\nname = \"client\"\nto = \"+12137770001\"\nkeep = true\n\
                 [[rule]]\nname = \"withheld\"\nfrom = \"withheld\"\nkeep = true\n\
                 [[rule]]\nname = \"everyone\"\nkeep = true\n";
    let body = format!("{{\"event\":\"call_inbound\",\"call_inbound\":{{{fields}}}}}");
    let request = Request::post("/explain?source=retell").body(Body::from(body)).unwrap();
    let response = app(SETTINGS, rules).admin.clone().oneshot(request).await.unwrap();
    let answer = collect(response).await;
    let explanation: Value = serde_json::from_slice(&answer.body).unwrap();
    explanation["rule"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_source_can_read_its_numbers_from_headers() {
    let asserted =
        r#""custom_sip_headers":{"P-Asserted-Identity":"<sip:+13125550177@sipgate.example>"}"#;
    let account = format!(r#""from_number":"2345678e0",{asserted}"#);
    assert_eq!(rule_for(&account).await, "Ann");
    // The settings list the header, so it names a caller whose From is anonymous.
    assert_eq!(rule_for(&format!(r#""from_number":"anonymous",{asserted}"#)).await, "Ann");
    assert_eq!(rule_for(r#""from_number":"anonymous""#).await, "withheld");
    let diverted = r#""from_number":"+12125550100","to_number":"+12137771235","custom_sip_headers":{"diversion":"<sip:+12137770001@host>"}"#;
    assert_eq!(rule_for(diverted).await, "client");
    let direct = r#""from_number":"+12125550100","to_number":"+12137770001""#;
    assert_eq!(rule_for(direct).await, "client");
    assert_eq!(rule_for(r#""from_number":"+12125550100""#).await, "everyone");
}
