//! What platforms differ in: transfers, texts to speak, SIP headers, ids of called numbers, attributes, outcomes
//! that a platform cannot express, and variables that an agent requires.

use serde_json::json;
use switchboard::domain::call::{Call, Channel, Fields, Platform};
use switchboard::domain::decision::{Decision, Outcome};
use switchboard::domain::facts::{Facts, LookupAnswer, LookupSet};
use switchboard::domain::party::Party;
use switchboard::explain::{Question, explain_call};
use switchboard::rules::engine::explain::{Listed, explain};
use switchboard::rules::engine::{self, fallback_to, with_required_variables};
use switchboard::rules::{CheckContext, RuleSet};
use switchboard::settings::{NumberStorage, Purpose};

use crate::replay::record;
use crate::rules::codes_of;
use crate::support::app::{self, decide};
use crate::support::program::{run, text};

const CALLER: &str = "+12137771234";
const STORE: &str = "+12135550101";

/// Parses a table without errors. The sources are unknown.
#[track_caller]
fn table(text: &str) -> RuleSet {
    let (table, report) = app::parse_rules("rules.toml", text.to_owned(), &CheckContext::default());
    table.unwrap_or_else(|| panic!("{report}"))
}

fn fields() -> Fields<'static> {
    let party = |text| Party::parse(Some(text)).party;
    Fields { from: party(CALLER), to: party(STORE), ..Fields::unknown(Channel::Call) }
}

fn call_with(platform: &'static str, fields: Fields<'static>) -> Call<'static> {
    Call::synthetic("main", Platform::new(platform), fields)
}

fn call_at(platform: &'static str) -> Call<'static> {
    call_with(platform, fields())
}

fn call_with_id(id: Option<&'static str>) -> Call<'static> {
    call_with("vapi", Fields { number_id: id.map(Into::into), ..fields() })
}

fn call_with_attribute(name: &'static str, value: &'static str) -> Call<'static> {
    let attributes = vec![(name.into(), value.into())];
    call_with("vapi", Fields { attributes, ..fields() })
}

fn call_with_sip(name: &'static str, value: &'static str) -> Call<'static> {
    call_with("vapi", Fields { sip: vec![(name.into(), value.into())], ..fields() })
}

/// Writes an outcome as `transfer +12135550199`, `agent desk`, `reject blocked` or `keep no_target`.
fn outcome(decision: &Decision<'_>) -> String {
    match decision.outcome() {
        Outcome::Agent(agent) => format!("agent {}", agent.name),
        Outcome::Reject(reason) => format!("reject {reason}"),
        Outcome::Transfer(target) => format!("transfer {}", target.unmasked()),
        Outcome::Keep(reason) => format!("keep {}", reason.as_str()),
    }
}

#[track_caller]
fn check(text: &str, call: &Call<'_>, expected: &str) {
    assert_eq!(outcome(&decide(&table(text), call)), expected, "{text}");
}

fn one_rule(keys: &str) -> String {
    format!("[[rule]]\nname = \"it\"\n{keys}\n")
}

// ---- transfers

#[test]
fn a_transfer_names_a_number_or_an_address() {
    for (target, expected) in [
        ("+1 (213) 555-0199", "transfer +12135550199"),
        ("tel:+12135550199", "transfer +12135550199"),
        ("sip:desk@pbx.example.com", "transfer sip:desk@pbx.example.com"),
    ] {
        check(&one_rule(&format!("transfer = {target:?}")), &call_at("vapi"), expected);
    }
    let national = "country = \"DE\"\n[[rule]]\nname = \"it\"\ntransfer = \"030 901820\"\n";
    check(national, &call_at("vapi"), "transfer +4930901820");
}

#[test]
fn a_template_is_a_target_once_its_values_are_known() {
    let address = one_rule("transfer = \"sip:${sip.x-extension|desk}@pbx.example.com\"");
    check(&address, &call_at("vapi"), "transfer sip:desk@pbx.example.com");
    let extension = |text| call_with_sip("x-extension", text);
    check(&address, &extension("200"), "transfer sip:200@pbx.example.com");
    // Nothing in a value changes the host.
    for text in ["evil.example@x", "a b", "\"x\"", "<sip:x>"] {
        check(&address, &extension(text), "keep no_target");
    }
    let number = one_rule("transfer = \"${attr.desk|+12135550199}\"");
    check(&number, &call_at("vapi"), "transfer +12135550199");
    check(&number, &call_with_attribute("desk", "+4930901820"), "transfer +4930901820");
    // An unusable value is like an unknown one.
    check(&number, &call_with_attribute("desk", "the desk"), "transfer +12135550199");
}

#[test]
fn a_text_without_a_default_that_is_no_target_keeps_the_call() {
    let text = one_rule("transfer = \"+${attr.desk|none}\"");
    check(&text, &call_with_attribute("desk", "12135550199"), "transfer +12135550199");
    check(&text, &call_at("vapi"), "keep no_target");
}

#[test]
fn a_column_has_the_targets() {
    let folder = tempfile::tempdir().unwrap();
    let csv = format!("number,phone\n{STORE},sip:one@pbx.example.com\n+12135550102,\n");
    std::fs::write(folder.path().join("stores.csv"), csv).unwrap();
    let text = "[lists.stores]\nfile = \"stores.csv\"\n[[rule]]\nname = \"it\"\nto = \"@stores\"\n\
                transfer = \"${stores.phone|+12135550199}\"\n";
    let path = folder.path().join("rules.toml").display().to_string();
    let (table, report) = app::parse_rules(&path, text.to_owned(), &CheckContext::default());
    let table = table.unwrap_or_else(|| panic!("{report}"));
    assert_eq!(outcome(&decide(&table, &call_at("vapi"))), "transfer sip:one@pbx.example.com");
    let to = Party::parse(Some("+12135550102")).party;
    let other = call_with("vapi", Fields { to, ..fields() });
    assert_eq!(outcome(&decide(&table, &other)), "transfer +12135550199");
    // Without the default, the empty cell is an error.
    let text = text.replace("|+12135550199", "");
    let (_, report) = app::parse_rules(&path, text, &CheckContext::default());
    assert_eq!(codes_of(&report)[0], "bad-transfer", "{report}");
}

// ---- texts to speak and SIP headers

const SPEAKING: &str = r#"
[[rule]]
name = "greeting"
continue = true
say = "Hello ${attr.name|there}"
sip_headers = { X-Tier = "standard", X-From = "${from}" }

[[rule]]
name = "gold"
where = { "attr.tier" = "gold" }
continue = true
say = "${attr.name?}, welcome back"
sip_headers = { x-tier = "gold" }

[[rule]]
name = "silence"
where = { "attr.tier" = "silent" }
agent = "agent_1"
say = "${attr.name|}"

[[rule]]
name = "desk"
agent = "agent_1"
sip_headers = { X-Note = "${attr.note?}" }
"#;

fn spoken(call: &Call<'_>) -> (Option<String>, Vec<String>) {
    let table = table(SPEAKING);
    let decision = decide(&table, call);
    let added = decision.additions();
    let headers = added.sip_headers.iter().map(|one| format!("{}: {}", one.name, one.value));
    (added.say.as_deref().map(str::to_owned), headers.collect())
}

#[test]
fn the_last_text_counts_and_headers_are_merged_in_any_case() {
    let standard = vec!["X-Tier: standard".to_owned(), format!("X-From: {CALLER}")];
    assert_eq!(spoken(&call_at("vapi")), (Some("Hello there".to_owned()), standard));
    // A text that is omitted does not replace the earlier one.
    let gold = vec![format!("X-From: {CALLER}"), "x-tier: gold".to_owned()];
    let call = call_with_attribute("tier", "gold");
    assert_eq!(spoken(&call), (Some("Hello there".to_owned()), gold.clone()));
    let attributes = [("tier", "gold"), ("name", "Jane")];
    let attributes = attributes.map(|(name, value)| (name.into(), value.into())).into();
    let call = call_with("vapi", Fields { attributes, ..fields() });
    assert_eq!(spoken(&call), (Some("Jane, welcome back".to_owned()), gold));
    assert_eq!(spoken(&call_with_attribute("tier", "silent")).0, None, "an empty text is silence");
}

#[test]
fn a_value_cannot_end_a_header_and_no_text_is_too_long() {
    let (_, headers) = spoken(&call_with_attribute("note", "a\r\nX-Evil: 1"));
    assert_eq!(headers.last().map(String::as_str), Some("X-Note: a  X-Evil: 1"));
    let text = one_rule("agent = \"agent_1\"\nsay = \"${attr.a|}${attr.b|}\"");
    let long = |name: &'static str| (name.into(), "x".repeat(2_500).into());
    let call = call_with("vapi", Fields { attributes: vec![long("a"), long("b")], ..fields() });
    let table = table(&text);
    let decision = decide(&table, &call);
    assert_eq!(decision.additions().say, None);
    let left_out = &decision.additions().left_out[0];
    assert_eq!((left_out.name.as_str(), left_out.reason.as_str()), ("say", "text_too_long"));
}

// ---- ids of called numbers, and attributes

#[test]
fn the_id_of_the_called_number_is_a_condition_and_a_value() {
    let matches = |conditions: &str, id| {
        let text = format!("[[rule]]\nname = \"it\"\n{conditions}\nreject = true\n");
        decide(&table(&text), &call_with_id(id)).rule() == Some("it")
    };
    assert!(matches("number_id = \"pn_1\"", Some("pn_1")));
    assert!(matches("number_id = [\"pn_1\", \"pn_2\"]", Some("pn_2")));
    assert!(!matches("number_id = \"pn_1\"", Some("PN_1")), "ids are compared exactly");
    assert!(matches("number_id = \"!pn_1\"", Some("pn_2")));
    assert!(!matches("number_id = \"!pn_1\"", Some("pn_1")));
    // An unknown id never matches, negated or not.
    assert!(!matches("number_id = \"pn_1\"", None));
    assert!(!matches("number_id = \"!pn_1\"", None));
    let text = one_rule("agent = \"agent_1\"\nvariables = { id = \"${number_id|none}\" }");
    for (id, value) in [(Some("pn_1"), "pn_1"), (None, "none")] {
        let table = table(&text);
        let decision = decide(&table, &call_with_id(id));
        assert_eq!(decision.additions().variables[0].value, value);
    }
}

#[test]
fn attributes_are_compared_like_other_values() {
    let matches = |condition: &str, call: &Call<'_>| {
        let text = one_rule(&format!("where = {{ \"attr.visits\" = {condition} }}\nreject = true"));
        decide(&table(&text), call).rule() == Some("it")
    };
    let visits = |text| call_with_attribute("visits", text);
    assert!(matches("\">= 6\"", &visits("7")));
    assert!(!matches("\">= 6\"", &visits("5")));
    assert!(matches("[\"5\", \"6\"]", &visits("6")));
    assert!(matches("\"!5\"", &visits("6")));
    assert!(!matches("\"!5\"", &call_at("vapi")), "an unknown value never matches");
    assert!(!matches("\"5\"", &call_with_attribute("Visits", "5")), "names are exact");
}

#[test]
fn explanations_name_ids_attributes_and_targets() {
    let text = r#"
[[rule]]
name = "another number"
number_id = "pn_2"
reject = true

[[rule]]
name = "gold"
where = { "attr.tier" = "gold" }
reject = true

[[rule]]
name = "this number"
number_id = ["pn_1", "!pn_3"]
transfer = "+12135550199"
say = "One moment."
sip_headers = { X-Tier = "gold" }
"#;
    let table = table(text);
    let shown = |call: &Call<'_>| {
        let facts = Facts::at(jiff::Timestamp::UNIX_EPOCH);
        let explanation = explain(&table, call, &facts, Listed::All).expect("index and scan agree");
        (explanation.to_string(), explanation.to_json())
    };
    let (printed, json) = shown(&call_with_id(Some("pn_1")));
    for expected in [
        "number_id pn_1 is not in pn_2",
        "where attr.tier is unknown",
        "number_id is pn_1",
        "transfer to +12135550199",
        "says \"One moment.\"",
        "X-Tier: \"gold\"   from rule `this number`",
    ] {
        assert!(printed.contains(expected), "{expected}\n{printed}");
    }
    assert_eq!(json["outcome"], "transfer");
    assert_eq!(json["transfer"], "+12135550199");
    assert_eq!(json["say"], "One moment.");
    assert_eq!(
        json["sip_headers"],
        json!([{ "name": "X-Tier", "value": "gold", "rule": "this number" }])
    );
    let (printed, json) = shown(&call_with_id(None));
    assert!(printed.contains("the request has no id of the called number"), "{printed}");
    assert_eq!((&json["transfer"], &json["say"]), (&json!(null), &json!(null)));
}

// ---- what a platform cannot do

#[test]
fn a_rule_that_accepts_it_keeps_the_calls_of_platforms_that_cannot() {
    let transfer = one_rule("transfer = \"+12135550199\"\nunsupported = \"keep\"");
    check(&transfer, &call_at("vapi"), "transfer +12135550199");
    for platform in ["retell", "synthflow", "elevenlabs", "telnyx"] {
        check(&transfer, &call_at(platform), "keep unsupported");
    }
    let agent = one_rule("agent = \"agent_1\"\nunsupported = \"keep\"");
    check(&agent, &call_at("retell"), "agent agent_1");
    check(&agent, &call_at("telnyx"), "keep unsupported");
    let silent = one_rule("reject = true\nunsupported = \"keep\"");
    check(&silent, &call_at("retell"), "reject ");
    check(&silent, &call_at("vapi"), "keep unsupported");
    let spoken = one_rule("reject = true\nsay = \"Sorry.\"\nunsupported = \"keep\"");
    check(&spoken, &call_at("vapi"), "reject ");
    check(&spoken, &call_at("elevenlabs"), "keep unsupported");
}

#[test]
fn the_additions_of_an_unsupported_rule_stay() {
    let keys = "transfer = \"+12135550199\"\nunsupported = \"keep\"\ndelay_ms = 700";
    let table = table(&one_rule(keys));
    let decision = decide(&table, &call_at("retell"));
    assert_eq!(decision.rule(), Some("it"));
    assert_eq!(decision.additions().delay.as_millis(), 700);
}

/// The text and the headers of earlier rules stay: they do not belong to the outcome.
#[test]
fn what_a_dropped_outcome_says_is_dropped_too() {
    let shared = "[[rule]]\nname = \"all\"\ncontinue = true\nsay = \"Hello.\"\n\
                  sip_headers = { X-Tier = \"standard\" }\n\n";
    let own = "say = \"One moment.\"\nsip_headers = { X-Tier = \"gold\" }\n\
               variables = { tier = \"gold\" }\nmetadata = { desk = 1 }\n";
    for (outcome_keys, platform, expected) in [
        ("transfer = \"+12135550199\"\nunsupported = \"keep\"", "elevenlabs", "keep unsupported"),
        ("reject = true\nunsupported = \"keep\"", "elevenlabs", "keep unsupported"),
        ("transfer = \"+${attr.desk|none}\"", "vapi", "keep no_target"),
    ] {
        let text = format!("{shared}{}", one_rule(&format!("{outcome_keys}\n{own}")));
        let table = table(&text);
        let call = call_at(platform);
        let decision = decide(&table, &call);
        assert_eq!(outcome(&decision), expected);
        let added = decision.additions();
        assert_eq!(added.say.as_deref(), Some("Hello."), "{text}");
        let headers: Vec<_> = added.sip_headers.iter().map(|header| &*header.value).collect();
        assert_eq!(headers, ["standard"]);
        assert_eq!(variables(&decision), ["tier=gold it"]);
        assert!(added.metadata.as_ref().is_some_and(|metadata| metadata["desk"] == 1));
        let facts = Facts::at(jiff::Timestamp::UNIX_EPOCH);
        let explained = explain(&table, &call, &facts, Listed::Relevant).expect("no mismatch");
        assert_eq!(explained.to_json()["say"], "Hello.");
    }
    // An outcome that the platform has carries all of it.
    let text = format!("{shared}{}", one_rule(&format!("transfer = \"+12135550199\"\n{own}")));
    let table = table(&text);
    assert_eq!(decide(&table, &call_at("vapi")).additions().say.as_deref(), Some("One moment."));
}

// ---- look-ups

const LOOKUPS: &str = r#"
[lookup.one]
url = "https://crm.example.com/one/${from}"
[lookup.two]
url = "https://crm.example.com/two/${number_id}/${attr.account}"
[lookup.three]
url = "https://crm.example.com/three/${from}"

[[rule]]
name = "variables"
continue = true
variables = { tier = "${one.tier|}" }

[[rule]]
name = "header"
continue = true
sip_headers = { X-Tier = "${two.tier|}" }

[[rule]]
name = "text"
continue = true
say = "Hello ${three.name|}"
"#;

/// Returns the names of the look-ups that a table with this last rule asks first.
#[track_caller]
fn asked_first(last: &str) -> Vec<String> {
    asked_first_at("vapi", last)
}

#[track_caller]
fn asked_first_at(platform: &'static str, last: &str) -> Vec<String> {
    let table = table(&format!("{LOOKUPS}\n[[rule]]\nname = \"last\"\n{last}\n"));
    let facts = Facts::before_lookups(jiff::Timestamp::UNIX_EPOCH);
    let needed = match engine::decide(&table, &call_at(platform), &facts) {
        Ok(_) => LookupSet::default(),
        Err(needed) => needed,
    };
    assert_eq!(engine::scan(&table, &call_at(platform), &facts).err().unwrap_or_default(), needed);
    needed.iter().map(|id| table.lookup_name(id).to_owned()).collect()
}

#[test]
fn only_what_an_outcome_carries_is_asked() {
    assert_eq!(asked_first("agent = \"agent_1\""), ["one", "two", "three"]);
    assert_eq!(asked_first("transfer = \"+12135550199\""), ["two", "three"]);
    assert_eq!(asked_first("reject = true"), ["three"]);
    // A text that replaces another one for certain.
    assert_eq!(asked_first("reject = true\nsay = \"Sorry.\""), [""; 0]);
    assert_eq!(asked_first("transfer = \"+12135550199\"\nsay = \"One moment.\""), ["two"]);
    assert_eq!(
        asked_first(
            "transfer = \"${one.phone|+12135550199}\"\nsay = \"One moment.\"\nsip_headers = { X-Tier = \"x\" }"
        ),
        ["one"]
    );
    let unsupported = "transfer = \"${one.phone|+12135550199}\"\nunsupported = \"keep\"";
    assert_eq!(asked_first(unsupported), ["one", "two", "three"], "Vapi transfers calls");
    // A call that is kept in place of a transfer carries variables, and not what the rule says.
    let dropped = "transfer = \"+12135550199\"\nsay = \"One moment.\"\nunsupported = \"keep\"";
    assert_eq!(asked_first(dropped), ["two"]);
    assert_eq!(asked_first_at("telnyx", dropped), ["one", "two", "three"]);
    let asks = "transfer = \"+12135550199\"\nsay = \"${one.text|}\"\nunsupported = \"keep\"\n";
    let all = "variables = { tier = \"gold\" }\nsip_headers = { X-Tier = \"${one.tier|}\" }";
    assert_eq!(asked_first_at("telnyx", &format!("{asks}{all}")), ["two", "three"]);
}

#[test]
fn the_answer_of_a_look_up_is_the_target() {
    let text = "[lookup.crm]\nurl = \"https://crm.example.com/${from}\"\n[[rule]]\nname = \"it\"\n\
                transfer = \"${crm.phone|+12135550199}\"\n";
    let table = table(text);
    let crm = table.lookup_id("crm").expect("the look-up");
    for (answer, expected) in [
        (json!({ "phone": "+4930901820" }), "transfer +4930901820"),
        (json!({ "phone": "ask the desk" }), "transfer +12135550199"),
        (json!({}), "transfer +12135550199"),
    ] {
        let mut facts = Facts::at(jiff::Timestamp::UNIX_EPOCH);
        facts.lookups.insert(crm, LookupAnswer::found(answer));
        let decision = engine::decide(&table, &call_at("vapi"), &facts).expect("all answers");
        assert_eq!(outcome(&decision), expected);
    }
}

// ---- required variables

const REQUIRED: &str = r#"
[agents]
desk = { vapi = "assistant-1", elevenlabs = "agent_1", variables = ["customer_name", "tier"] }
night = { vapi = "assistant-2", elevenlabs = "agent_2" }

[[rule]]
name = "tier"
from = "US"
continue = true
variables = { tier = "gold" }

[[rule]]
name = "night"
platform = "vapi"
to = "+1213*"
agent = "night"

[[rule]]
name = "desk"
platform = "vapi"
agent = "desk"
"#;

fn variables(decision: &Decision<'_>) -> Vec<String> {
    let all = decision.additions().variables.iter();
    all.map(|one| format!("{}={} {}", one.name, one.value, one.rule.unwrap_or("-"))).collect()
}

#[test]
fn variables_that_an_agent_requires_are_never_missing() {
    let table = table(REQUIRED);
    let to = |text| Fields { to: Party::parse(Some(text)).party, ..fields() };
    let selected = call_with("vapi", to("+4930901820"));
    assert_eq!(variables(&decide(&table, &selected)), ["tier=gold tier", "customer_name= -"]);
    assert_eq!(variables(&decide(&table, &call_at("vapi"))), ["tier=gold tier"]);
    // A kept call has the agent that the platform names.
    let kept = |agent: &'static str| {
        call_with("elevenlabs", Fields { agent: Some(agent.into()), ..fields() })
    };
    let own = variables(&decide(&table, &kept("agent_1")));
    assert_eq!(own, ["tier=gold tier", "customer_name= -"]);
    assert_eq!(variables(&decide(&table, &kept("agent_2"))), ["tier=gold tier"]);
    assert_eq!(variables(&decide(&table, &call_at("elevenlabs"))), ["tier=gold tier"]);
}

#[test]
fn a_fallback_has_the_required_variables_too() {
    let table = table(REQUIRED);
    let call = call_at("vapi");
    let decision = fallback_to(&table, "desk", Platform::new("vapi"));
    let decision = with_required_variables(&table, decision, &call);
    assert_eq!(variables(&decision), ["customer_name= -", "tier= -"]);
}

// ---- tests of a table

#[test]
fn tests_of_a_table_have_ids_attributes_and_expect_transfers() {
    let text = r#"
[[rule]]
name = "this number"
number_id = "pn_1"
where = { "attr.carrier" = "gold" }
transfer = "+12135550199"
say = "One moment, ${attr.name|please}."
sip_headers = { X-Plan = "${attr.carrier|}" }
unsupported = "keep"

[[rule]]
name = "this caller"
from = "+12135550123"
transfer = "+12135550199"
unsupported = "keep"

[[rule]]
name = "everyone"
keep = true

[[test]]
name = "transferred"
platform = "vapi"
number_id = "pn_1"
attr = { carrier = "gold", name = "Jane" }
expect = { transfer = "+1 213 555 0199", say = "One moment, Jane.", sip_headers = { x-plan = "gold" } }

[[test]]
name = "by its kind"
platform = "vapi"
number_id = "pn_1"
attr = { carrier = "gold" }
expect = { outcome = "transfer", rule = "this number" }

[[test]]
name = "kept where that is impossible"
platform = "retell"
from = "+12135550123"
expect = { keep = true, rule = "this caller" }

[[test]]
name = "another plan"
number_id = "pn_1"
attr = { carrier = "silver" }
expect = { rule = "everyone" }
"#;
    table(text);
    for (right, wrong, difference) in [
        (
            "+1 213 555 0199",
            "+12135550198",
            "expected transfer \"+12135550198\", got \"+12135550199\"",
        ),
        ("Jane.\"", "Joe.\"", "expected say \"One moment, Joe.\", got \"One moment, Jane.\""),
        (
            "x-plan = \"gold\"",
            "x-plan = \"red\"",
            "expected SIP header x-plan \"red\", got \"gold\"",
        ),
    ] {
        let text = text.replace(right, wrong);
        let (_, report) = app::parse_rules("rules.toml", text, &CheckContext::default());
        assert_eq!(codes_of(&report), ["failing-test"], "{report}");
        assert!(report.to_string().contains(difference), "{report}");
    }
}

#[test]
fn a_test_made_from_an_explanation_has_all_of_it() {
    let settings = "[sources.main]\nplatform = \"vapi\"\nsecrets = [\"env:RETELL_API_KEY\"]\n\
                    fallback = \"desk\"\n";
    let (settings, report) = app::load_settings(settings, Purpose::Inspect);
    let settings = settings.unwrap_or_else(|| panic!("{report}"));
    let text = "[agents]\ndesk = { vapi = \"assistant-1\", variables = [\"name\"] }\n\
                [[rule]]\nname = \"gold\"\nnumber_id = \"pn_1\"\nwhere = { \"attr.carrier\" = \"gold\" }\n\
                transfer = \"sip:desk@pbx.example.com\"\nsay = \"One moment.\"\n\
                sip_headers = { X-Plan = \"gold\" }\n\
                [[rule]]\nname = \"everyone\"\nagent = \"desk\"\n";
    let context = settings.check_context();
    let (table, report) = app::parse_rules("rules.toml", text.to_owned(), &context);
    let table = table.unwrap_or_else(|| panic!("{report}"));
    for (id, expected) in [
        (
            "pn_1",
            "number_id = \"pn_1\"\nattr = { carrier = \"gold\" }\nexpect = { rule = \"gold\", \
             transfer = \"sip:desk@pbx.example.com\", say = \"One moment.\", \
             sip_headers = { X-Plan = \"gold\" } }\n",
        ),
        (
            "pn_2",
            "number_id = \"pn_2\"\nattr = { carrier = \"gold\" }\nexpect = { rule = \"everyone\", \
             agent = \"desk\", variables = { name = \"\" } }\n",
        ),
    ] {
        let attributes = vec![("carrier".into(), "gold".into())];
        let fields = Fields { number_id: Some(id.into()), attributes, ..fields() };
        let facts = Facts::at(jiff::Timestamp::UNIX_EPOCH);
        let (source, listed) = (&settings.sources[0], Listed::Relevant);
        let question = Question { source, fields: &fields, facts: &facts, listed };
        let test = explain_call(&table, settings.sources.iter(), question).unwrap().as_test();
        assert!(test.ends_with(expected), "{test}");
        let (table, report) = app::parse_rules("rules.toml", format!("{text}{test}"), &context);
        assert!(table.is_some(), "{report}");
    }
}

// ---- records

const SETTINGS: &str = r#"
[rules]
path = "rules.toml"
[records]
url = "sqlite:records.db"
[sources.main]
platform = "vapi"
secrets = ["env:RETELL_API_KEY"]
fallback = "desk"
"#;

const TRANSFERRING: &str = r#"
[agents]
desk = "assistant-1"

[[rule]]
name = "this number"
number_id = "pn_1"
transfer = "+12135550199"
say = "One moment, ${attr.name|please}."
sip_headers = { X-Tier = "gold" }

[[rule]]
name = "everyone"
agent = "desk"
"#;

#[test]
fn a_transfer_is_recorded_listed_shown_and_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("switchboard.toml"), SETTINGS).unwrap();
    std::fs::write(path("rules.toml"), TRANSFERRING).unwrap();
    let attributes = vec![("name".into(), "Jane".into())];
    let transferred = Fields { number_id: Some("pn_1".into()), attributes, ..fields() };
    let at: jiff::Timestamp = "2026-11-20T12:00:00Z".parse().expect("a time");
    let calls = [(call_with("vapi", transferred), at), (call_at("vapi"), at)];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let file = folder.path().join("records.db");
    runtime.block_on(record(&file, NumberStorage::Full, false, &table(TRANSFERRING), &calls));

    let config = path("switchboard.toml");
    let printed = |arguments: &[&str]| {
        let output = run(&[arguments, &["--config", &config]].concat());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let since = "2026-11-01";
    let listed = printed(&["records", "list", "--outcome", "transfer", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("one call");
    assert_eq!(listed["transfer"], "+12135550199");
    assert_eq!(listed["say"], "One moment, Jane.");
    assert_eq!(listed["sip_headers"], json!({ "X-Tier": "gold" }));
    assert_eq!(listed["number_id"], "pn_1");
    assert_eq!(listed["attributes"], json!({ "name": "Jane" }));
    let csv = printed(&["records", "list", "--outcome", "transfer", "--csv"]);
    assert!(csv.contains("+12135550199") && csv.contains("\"\"X-Tier\"\":\"\"gold\"\""), "{csv}");
    let shown = printed(&["records", "show", listed["id"].as_str().expect("an id")]);
    for line in [
        "number id      pn_1",
        "attributes     name = Jane",
        "outcome        transfer to +12135550199",
        "says           One moment, Jane.",
        "sip headers    X-Tier = gold",
        "number_id is pn_1",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    let stats = printed(&["records", "stats", "--since", since, "--json"]);
    assert!(stats.contains("\"transfer\""), "{stats}");

    let same = printed(&["replay", "--since", since, "--json"]);
    let same: serde_json::Value = serde_json::from_str(&same).expect("JSON");
    assert_eq!((&same["replayed"], &same["unchanged"]), (&json!(2), &json!(2)), "{same:#}");
    let replay_with = |from: &str, to: &str| {
        std::fs::write(path("new.toml"), TRANSFERRING.replace(from, to)).unwrap();
        printed(&["replay", "--since", since, "--rules", &path("new.toml")])
    };
    let rerouted = replay_with("5550199", "5550198");
    assert!(rerouted.contains("transfer to +12135550198"), "{rerouted}");
    let other_text = replay_with("One moment", "Wait");
    assert!(other_text.contains("say") && other_text.contains("Wait, Jane."), "{other_text}");
    let other_header = replay_with("X-Tier = \"gold\"", "X-Tier = \"red\"");
    assert!(other_header.contains("sip_headers.X-Tier"), "{other_header}");
}
