//! The rule table: matching, outcomes and additions, and the diagnostics of tables with errors.
//!
//! The input is a table as text; the output is a decision or a report as text.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use switchboard::diagnostics::Report;
use switchboard::domain::call::{Call, Channel, Fields, Platform, Version};
use switchboard::domain::decision::{Decision, Outcome, SelectedAgent};
use switchboard::domain::party::Party;
use switchboard::reload;
use switchboard::rules::{CheckContext, LoadedTable, RuleSet, SourceInfo};
use switchboard::settings;
use switchboard::settings::{Inputs, Purpose};

use crate::support::app::{self, decide};

// ---- calls, tables and decisions in short form

const CALLER: &str = "+12137771234";
const DIALLED: &str = "+12135550100";

fn fields(from: &str, to: &str) -> Fields<'static> {
    let party = |text| Party::parse(Some(text)).party;
    Fields { from: party(from), to: party(to), ..Fields::unknown(Channel::Call) }
}

fn call_at(source: &'static str, platform: &'static str, fields: Fields<'static>) -> Call<'static> {
    Call::synthetic(source, Platform::new(platform), fields)
}

fn call_from(caller: &str) -> Call<'static> {
    call_at("retell", "retell", fields(caller, DIALLED))
}

fn call_to(dialled: &str) -> Call<'static> {
    call_at("retell", "retell", fields(CALLER, dialled))
}

fn call_through(source: &'static str, platform: &'static str) -> Call<'static> {
    call_at(source, platform, fields(CALLER, DIALLED))
}

fn text_message() -> Call<'static> {
    call_at("retell", "retell", Fields { channel: Channel::Sms, ..fields(CALLER, DIALLED) })
}

fn with_sip(name: &'static str, value: &'static str) -> Call<'static> {
    let sip = vec![(name.into(), value.into())];
    call_at("shop", "retell", Fields { sip, ..fields(CALLER, DIALLED) })
}

/// Platforms pass on `X-Tier` with and without its `X-`.
#[test]
fn a_header_is_found_in_both_spellings() {
    let rules = |header: &str| {
        format!(
            "[[rule]]\nname = \"vip\"\nwhere = {{ \"sip.{header}\" = \"gold\" }}\nagent = \"a1\"\n"
        )
    };
    for (sent, compared) in
        [("tier", "x-tier"), ("x-tier", "tier"), ("x-tier", "X-Tier"), ("tier", "tier")]
    {
        let table = table(&rules(compared));
        let found = summarize(&decide(&table, &with_sip(sent, "gold")));
        assert_eq!(found, "vip: agent a1 (a1)", "{sent} {compared}");
    }
    let both = vec![("tier".into(), "silver".into()), ("x-tier".into(), "gold".into())];
    let call = call_at("shop", "retell", Fields { sip: both, ..fields(CALLER, DIALLED) });
    assert_eq!(summarize(&decide(&table(&rules("x-tier")), &call)), "vip: agent a1 (a1)");
    assert_eq!(summarize(&decide(&table(&rules("tier")), &call)), "-: keep (no_rule)");
}

/// Parses a table without errors. The sources are unknown.
#[track_caller]
fn table(text: &str) -> RuleSet {
    let (table, report) = parse(text, &CheckContext::default());
    table.unwrap_or_else(|| panic!("{report}"))
}

fn parse(text: &str, context: &CheckContext) -> (Option<RuleSet>, Report) {
    app::parse_rules("rules.toml", text.trim_start_matches('\n').to_owned(), context)
}

fn load(path: &Path, context: &CheckContext) -> Result<LoadedTable, switchboard::rules::ReadError> {
    reload::load(path, context, false, &mut |_| {})
}

/// Writes a decision as `vip: agent desk (agent_1)` or `-: keep (no_rule)`.
fn summarize(decision: &Decision<'_>) -> String {
    let outcome = match decision.outcome() {
        Outcome::Agent(SelectedAgent { name, id, version: None, .. }) => {
            format!("agent {name} ({id})")
        }
        Outcome::Agent(SelectedAgent {
            name, id, version: Some(Version::Number(number)), ..
        }) => {
            format!("agent {name} ({id}) version {number}")
        }
        Outcome::Agent(SelectedAgent { name, id, version: Some(Version::Tag(tag)), .. }) => {
            format!("agent {name} ({id}) version {tag:?}")
        }
        Outcome::Reject(reason) => format!("reject ({reason})"),
        Outcome::Transfer(target) => format!("transfer ({})", target.unmasked()),
        Outcome::Keep(kept) => format!("keep ({})", kept.as_str()),
    };
    format!("{}: {outcome}", decision.rule().unwrap_or("-"))
}

/// Checks the decision of a table about a call.
#[track_caller]
fn check_decision(text: &str, call: &Call<'_>, expected: &str) {
    assert_eq!(summarize(&decide(&table(text), call)), expected, "{text}\n{call:?}");
}

/// Checks whether a rule with these conditions matches a call.
#[track_caller]
fn check_match(conditions: &str, call: &Call<'_>, expected: bool) {
    let table = table(&format!("[[rule]]\nname = \"it\"\n{conditions}\nkeep = true\n"));
    assert_eq!(decide(&table, call).rule() == Some("it"), expected, "{conditions} and {call:?}");
}

/// Returns the additions to the decision about a call.
#[track_caller]
fn additions(text: &str, call: &Call<'_>) -> Value {
    let table = table(text);
    let decision = decide(&table, call);
    let added = decision.additions();
    let variables = added.variables.iter();
    let variables = variables.map(|one| (one.name.to_owned(), Value::from(&*one.value)));
    json!({
        "variables": variables.collect::<Value>(),
        "metadata": added.metadata.as_deref(),
        "agent_override": added.agent_override.as_deref(),
    })
}

// ---- matching

#[test]
fn the_first_matching_rule_decides() {
    let general_first = r#"
[[rule]]
name = "everyone"
agent = "agent_1"
[[rule]]
name = "exactly you"
from = "+12137771234"
agent = "agent_2"
"#;
    check_decision(general_first, &call_from(CALLER), "everyone: agent agent_1 (agent_1)");
    let special_first = r#"
[[rule]]
name = "exactly you"
from = "+12137771234"
agent = "agent_2"
[[rule]]
name = "everyone"
agent = "agent_1"
"#;
    check_decision(special_first, &call_from(CALLER), "exactly you: agent agent_2 (agent_2)");
    check_decision(special_first, &call_from("+12137771235"), "everyone: agent agent_1 (agent_1)");
}

#[test]
fn a_rule_without_conditions_matches_every_call() {
    for call in [
        call_from(CALLER),
        call_from("withheld"),
        call_from("sip:bob@example.com"),
        call_to(""),
        text_message(),
    ] {
        check_match("", &call, true);
    }
}

#[test]
fn from_matches_the_caller() {
    check_match(r#"from = "+12137771234""#, &call_from("+12137771234"), true);
    check_match(r#"from = "+12137771234""#, &call_from("+12137771235"), false);
    check_match(r#"from = "+1 (213) 777-12.34""#, &call_from("+12137771234"), true);
    check_match(r#"from = "+12137771234""#, &call_to("+12137771235"), true);
    check_match(r#"from = "+12135550100""#, &call_to("+12135550100"), false);
    check_match(r#"from = "+12137771234""#, &call_from("sip:+12137771234@example.com"), true);
    check_match(r#"from = "+12137771234""#, &call_from("12137771234"), true);
}

#[test]
fn to_matches_the_dialled_number() {
    check_match(r#"to = "+1213*""#, &call_to("+12135550100"), true);
    check_match(r#"to = "+1213*""#, &call_to("+12145550100"), false);
    check_match(r#"to = "+12137771234""#, &call_to("+12135550100"), false);
    check_match(r#"to = "!+1213*""#, &call_to("+12145550100"), true);
    check_match(r#"to = "!+1213*""#, &call_to("+12135550100"), false);
    check_match(r#"to = ["+1213*", "!+12135550100"]"#, &call_to("+12135550100"), false);
    check_match(r#"to = ["+1213*", "!+12135550100"]"#, &call_to("+12135550101"), true);
    check_match(r#"to = "+1213*""#, &call_to(""), false);
}

#[test]
fn each_kind_of_pattern_matches() {
    check_match(r#"from = "+1213555XXXX""#, &call_from("+12135551234"), true);
    check_match(r#"from = "+1213555XXXX""#, &call_from("+12135561234"), false);
    check_match(r#"from = "+1213555XXXX""#, &call_from("+121355512345"), false);
    check_match(r#"from = "+1 213 555 XX.XX""#, &call_from("+12135551234"), true);
    check_match(r#"from = "DE""#, &call_from("+4930901820"), true);
    check_match(r#"from = "DE""#, &call_from("+43190182000"), false);
    check_match(r#"from = "US""#, &call_from("+12137771234"), true);
    check_match(r#"from = "US""#, &call_from("+16045550123"), false);
    check_match(r#"from = "CA""#, &call_from("+16045550123"), true);
    check_match(r#"from = "=sip:bob@example.com""#, &call_from("SIP:Bob@example.com"), true);
    check_match(r#"from = "=sip:bob@example.com""#, &call_from("sip:alice@example.com"), false);
    check_match(r#"from = "=1001""#, &call_from("1001"), true);
    check_match(r#"from = "=1001""#, &call_from("1002"), false);
    check_match(r#"from = "+1*""#, &call_from("1001"), false);
}

#[test]
fn a_list_matches_if_any_pattern_does() {
    let list = r#"from = ["+1900*", "DE", "=1001"]"#;
    check_match(list, &call_from("+19005550100"), true);
    check_match(list, &call_from("+4930901820"), true);
    check_match(list, &call_from("1001"), true);
    check_match(list, &call_from("+12137771234"), false);
}

#[test]
fn a_negation_excludes_numbers_at_any_position() {
    for list in [
        r#"from = ["US", "!+1907*"]"#,
        r#"from = ["!+1907*", "US"]"#,
        r#"from = ["US", "! +1907*"]"#,
    ] {
        check_match(list, &call_from("+12137771234"), true);
        check_match(list, &call_from("+19075550100"), false);
        check_match(list, &call_from("+4930901820"), false);
    }
    check_match(r#"from = ["!+1907*", "!DE"]"#, &call_from("+12137771234"), true);
    check_match(r#"from = ["!+1907*", "!DE"]"#, &call_from("+19075550100"), false);
    check_match(r#"from = ["!+1907*", "!DE"]"#, &call_from("+4930901820"), false);
    check_match(r#"from = "!=1001""#, &call_from("1001"), false);
    check_match(r#"from = "!=1001""#, &call_from("1002"), true);
}

#[test]
fn withheld_callers_match_only_withheld_and_rules_without_from() {
    for spelling in ["anonymous", "", "Restricted", "sip:anonymous@anonymous.invalid", "+266696687"]
    {
        let caller = call_from(spelling);
        check_match("", &caller, true);
        check_match(r#"to = "+12135550100""#, &caller, true);
        check_match(r#"from = "withheld""#, &caller, true);
        check_match(r#"from = ["DE", "withheld"]"#, &caller, true);
        check_match(r#"from = ["withheld", "!DE"]"#, &caller, true);
        check_match(r#"from = "US""#, &caller, false);
        check_match(r#"from = "!DE""#, &caller, false);
        check_match(r#"from = "!withheld""#, &caller, false);
        check_match(r#"from = ["withheld", "!withheld"]"#, &caller, false);
    }
    check_match(r#"from = "withheld""#, &call_from(CALLER), false);
    check_match(r#"from = "!withheld""#, &call_from(CALLER), true);
    check_match(r#"from = "!withheld""#, &call_from("1001"), true);
}

#[test]
fn channel_distinguishes_calls_and_text_messages() {
    check_match(r#"channel = "sms""#, &text_message(), true);
    check_match(r#"channel = "sms""#, &call_from(CALLER), false);
    check_match(r#"channel = "call""#, &call_from(CALLER), true);
    check_match(r#"channel = "call""#, &text_message(), false);
    check_match(r#"channel = ["call", "sms"]"#, &text_message(), true);
    check_match(r#"channel = "!sms""#, &call_from(CALLER), true);
    check_match(r#"channel = "!sms""#, &text_message(), false);
    check_match(r#"channel = ["call", "sms", "!sms"]"#, &text_message(), false);
}

#[test]
fn platform_matches_the_platform_of_the_source() {
    check_match(r#"platform = "retell""#, &call_through("shop", "retell"), true);
    check_match(r#"platform = "retell""#, &call_through("shop", "synthflow"), false);
    check_match(r#"platform = ["retell", "synthflow"]"#, &call_through("shop", "synthflow"), true);
    check_match(r#"platform = "!retell""#, &call_through("shop", "synthflow"), true);
    check_match(r#"platform = "!retell""#, &call_through("shop", "retell"), false);
    check_match(
        r#"platform = ["retell", "synthflow", "!retell"]"#,
        &call_through("shop", "retell"),
        false,
    );
}

#[test]
fn source_matches_the_name_of_the_source() {
    check_match(r#"source = "shop""#, &call_through("shop", "retell"), true);
    check_match(r#"source = "shop""#, &call_through("clinic", "retell"), false);
    check_match(r#"source = ["shop", "clinic"]"#, &call_through("clinic", "retell"), true);
    check_match(r#"source = "!shop""#, &call_through("clinic", "retell"), true);
    check_match(r#"source = "!shop""#, &call_through("shop", "retell"), false);
    check_match(r#"source = ["shop", "clinic", "!shop"]"#, &call_through("shop", "retell"), false);
}

#[test]
fn a_condition_key_needs_no_quotes() {
    for conditions in [r#"where = { "sip.x-tier" = "gold" }"#, "where = { sip.x-tier = \"gold\" }"]
    {
        check_match(conditions, &with_sip("x-tier", "gold"), true);
        check_match(conditions, &with_sip("x-tier", "silver"), false);
        check_match(conditions, &call_from(CALLER), false);
    }
}

#[test]
fn a_date_with_a_year_takes_precedence_over_a_yearly_date() {
    for open in [
        r#"{ "12-24" = "03:00-04:00", "2026-12-24" = "01:00-02:00" }"#,
        r#"{ "2026-12-24" = "01:00-02:00", "12-24" = "03:00-04:00" }"#,
    ] {
        let text = format!(
            "zone = \"UTC\"\n[hours.office]\nopen = {open}\n[[rule]]\nname = \"it\"\nhours = \"office\"\nkeep = true\n"
        );
        let table = table(&text);
        for (at, expected) in [
            ("2026-12-24T01:30:00Z", true),
            ("2026-12-24T03:30:00Z", false),
            ("2027-12-24T03:30:00Z", true),
        ] {
            let call = call_from(CALLER);
            let decision = app::decide_at(&table, &call, at.parse().unwrap());
            assert_eq!(decision.rule().is_some(), expected, "{open} {at}");
        }
    }
}

#[test]
fn all_conditions_of_a_rule_must_match() {
    let all = r#"
from = "US"
to = "+1213*"
channel = "call"
platform = "retell"
source = "shop""#;
    let call = fields(CALLER, DIALLED);
    check_match(all, &call_at("shop", "retell", call.clone()), true);
    check_match(all, &call_at("clinic", "retell", call.clone()), false);
    check_match(all, &call_at("shop", "synthflow", call.clone()), false);
    check_match(
        all,
        &call_at("shop", "retell", Fields { channel: Channel::Sms, ..call.clone() }),
        false,
    );
    check_match(all, &call_at("shop", "retell", fields("+4930901820", DIALLED)), false);
    check_match(all, &call_at("shop", "retell", fields(CALLER, "+14155550100")), false);
}

#[test]
fn a_disabled_rule_is_skipped() {
    let text = |enabled| {
        format!(
            "[[rule]]\nname = \"one\"\nenabled = {enabled}\nagent = \"agent_1\"\n[[rule]]\nname = \"two\"\nkeep = true\n"
        )
    };
    check_decision(&text("true"), &call_from(CALLER), "one: agent agent_1 (agent_1)");
    check_decision(&text("false"), &call_from(CALLER), "two: keep (rule)");
    assert_eq!(table(&text("false")).rules.len(), 1);
}

#[test]
fn a_disabled_rule_is_still_checked() {
    let (table, report) = parse(
        "[[rule]]\nname = \"off\"\nenabled = false\nfrom = \"UK\"\nkeep = true\n[[rule]]\nname = \"on\"\nkeep = true\n",
        &CheckContext::default(),
    );
    assert!(table.is_none());
    assert_eq!(codes_of(&report), ["bad-country"], "{report}");
}

// ---- outcomes

const AGENTS: &str = r#"
[agents]
everywhere = "agent_1"
here-only = { retell = "agent_2" }
counted = { retell = "agent_3", version = 3, synthflow = "1716a" }
named = { retell = "agent_4", version = "latest" }
"#;

/// Checks the decision about a call from each platform, by a rule with this agent.
#[track_caller]
fn check_agent(agent: &str, at_retell: &str, at_synthflow: &str) {
    let text = format!("{AGENTS}[[rule]]\nname = \"it\"\nagent = \"{agent}\"\n");
    check_decision(&text, &call_through("shop", "retell"), at_retell);
    check_decision(&text, &call_through("shop", "synthflow"), at_synthflow);
}

#[test]
fn an_agent_has_one_id_or_one_per_platform() {
    check_agent("everywhere", "it: agent everywhere (agent_1)", "it: agent everywhere (agent_1)");
    check_agent(
        "counted",
        "it: agent counted (agent_3) version 3",
        "it: agent counted (1716a) version 3",
    );
}

#[test]
fn a_version_is_a_number_or_a_name() {
    check_agent(
        "counted",
        "it: agent counted (agent_3) version 3",
        "it: agent counted (1716a) version 3",
    );
    check_agent("named", "it: agent named (agent_4) version \"latest\"", "it: keep (no_agent_id)");
}

#[test]
fn a_call_is_kept_if_the_agent_has_no_id_at_its_platform() {
    check_agent("here-only", "it: agent here-only (agent_2)", "it: keep (no_agent_id)");
}

#[test]
fn without_an_agents_table_a_rule_names_raw_ids() {
    let text = "[[rule]]\nname = \"it\"\nagent = \"agent_0123456789abcdef\"\n";
    let expected = "it: agent agent_0123456789abcdef (agent_0123456789abcdef)";
    check_decision(text, &call_through("shop", "retell"), expected);
    check_decision(text, &call_through("shop", "synthflow"), expected);
}

#[test]
fn reject_takes_an_optional_reason() {
    check_decision(
        "[[rule]]\nname = \"it\"\nreject = \"blocklist\"\n",
        &call_from(CALLER),
        "it: reject (blocklist)",
    );
    check_decision("[[rule]]\nname = \"it\"\nreject = true\n", &call_from(CALLER), "it: reject ()");
}

#[test]
fn a_rule_can_keep_the_platforms_own_agent() {
    check_decision("[[rule]]\nname = \"it\"\nkeep = true\n", &call_from(CALLER), "it: keep (rule)");
}

#[test]
fn a_call_that_no_rule_decides_is_kept() {
    let text = r#"
[[rule]]
name = "adds"
continue = true
variables = { tier = "gold" }
[[rule]]
name = "germans"
from = "DE"
agent = "agent_1"
"#;
    check_decision(text, &call_from(CALLER), "-: keep (no_rule)");
    assert_eq!(additions(text, &call_from(CALLER))["variables"], json!({ "tier": "gold" }));
}

// ---- additions

const MERGING: &str = r#"
[[rule]]
name = "first"
continue = true
variables = { greeting = "hello", language = "en", tier = "none" }
metadata = { desk = { floor = 1, room = "a" }, list = [1, 2], was = { a = 1 } }
agent_override = { agent = { voice_speed = 1.0, volume = 1 } }
[[rule]]
name = "does not fit"
from = "DE"
continue = true
variables = { greeting = "Guten Tag" }
[[rule]]
name = "second"
continue = true
variables = { tier = "silver", language = "fr" }
metadata = { desk = { room = "b" }, list = [3], was = "text" }
agent_override = { agent = { volume = 2 } }
[[rule]]
name = "decides"
agent = "agent_1"
variables = { tier = "gold" }
metadata = { desk = { phone = true } }
[[rule]]
name = "comes too late"
continue = true
variables = { greeting = "too late" }
"#;

#[test]
fn additions_are_merged_in_order_and_later_rules_win() {
    check_decision(MERGING, &call_from(CALLER), "decides: agent agent_1 (agent_1)");
    let expected = json!({
        "variables": { "greeting": "hello", "language": "fr", "tier": "gold" },
        "metadata": { "desk": { "floor": 1, "room": "b", "phone": true }, "list": [3], "was": "text" },
        "agent_override": { "agent": { "voice_speed": 1.0, "volume": 2 } },
    });
    assert_eq!(additions(MERGING, &call_from(CALLER)), expected);
    assert_eq!(additions(MERGING, &call_from("+4930901820"))["variables"]["greeting"], "Guten Tag");
}

#[test]
fn an_omitted_value_leaves_that_of_an_earlier_rule() {
    let text = r#"
[[rule]]
name = "first"
continue = true
variables = { x = "first" }
metadata = { x = "first" }
[[rule]]
name = "second"
keep = true
variables = { x = "${sip.x-name?}" }
metadata = { x = "${sip.x-name?}" }
"#;
    let additions = additions(text, &call_from(CALLER));
    assert_eq!(additions["variables"], json!({ "x": "first" }));
    assert_eq!(additions["metadata"], json!({ "x": "first" }));
}

#[test]
fn a_decision_names_the_rule_of_each_addition() {
    let table = table(MERGING);
    let call = call_from(CALLER);
    let decision = decide(&table, &call);
    assert_eq!(decision.additions().rules, ["first", "second"]);
    let set_by =
        decision.additions().variables.iter().map(|one| (one.name, one.rule.unwrap_or_default()));
    let mut set_by: Vec<_> = set_by.collect();
    set_by.sort_unstable();
    assert_eq!(set_by, [("greeting", "first"), ("language", "second"), ("tier", "decides")]);
}

#[test]
fn the_last_rule_that_sets_a_delay_wins() {
    let text = |deciding: &str| {
        format!(
            "[[rule]]\nname = \"one\"\ncontinue = true\ndelay_ms = 1500\n[[rule]]\nname = \"two\"\nkeep = true\n{deciding}"
        )
    };
    for (deciding, expected_ms) in [("", 1500), ("delay_ms = 3000", 3000), ("delay_ms = 0", 0)] {
        let table = table(&text(deciding));
        let call = call_from(CALLER);
        let decision = decide(&table, &call);
        assert_eq!(decision.additions().delay, Duration::from_millis(expected_ms), "{deciding}");
    }
}

/// Checks the variable `x` of a call through `shop` with `x-tier: gold`. None if it is omitted.
#[track_caller]
fn check_variable(template: &str, expected: Option<&str>) {
    check_variable_for(&with_sip("x-tier", "gold"), template, expected);
}

#[track_caller]
fn check_variable_for(call: &Call<'_>, template: &str, expected: Option<&str>) {
    let text =
        format!("[[rule]]\nname = \"the rule\"\nkeep = true\nvariables = {{ x = '{template}' }}\n");
    let additions = additions(&text, call);
    assert_eq!(additions["variables"]["x"].as_str(), expected, "{template}");
}

#[test]
fn a_template_can_use_fields_of_the_call() {
    check_variable("${from}", Some("+12137771234"));
    check_variable("${to}", Some("+12135550100"));
    check_variable("${channel}", Some("call"));
    check_variable("${source}", Some("shop"));
    check_variable("${rule}", Some("the rule"));
    check_variable("${ from }", Some("+12137771234"));
    check_variable("from ${from} to ${to}.", Some("from +12137771234 to +12135550100."));
    check_variable("${from|nobody}", Some("+12137771234"));
    check_variable_for(&text_message(), "${channel}", Some("sms"));
    check_variable_for(&call_from("anonymous"), "${from}", Some("withheld"));
    check_variable_for(&call_from("sip:bob@example.com"), "${from}", Some("sip:bob@example.com"));
}

#[test]
fn header_names_in_templates_ignore_case() {
    check_variable("${sip.x-tier|none}", Some("gold"));
    check_variable("${sip.X-Tier|none}", Some("gold"));
    check_variable("${sip.x-tier?}", Some("gold"));
}

#[test]
fn an_unknown_value_is_replaced_or_omitted() {
    check_variable("${sip.x-name|our guest}", Some("our guest"));
    check_variable("${sip.x-name|}", Some(""));
    check_variable("${sip.x-name|a|b?}", Some("a|b?"));
    check_variable("Dear ${sip.x-name|guest}!", Some("Dear guest!"));
    check_variable("${sip.x-name?}", None);
    check_variable("Dear ${sip.x-name?}!", None);
}

#[test]
fn other_dollars_and_braces_are_unchanged() {
    check_variable("$${from}", Some("${from}"));
    check_variable("$$${from}", Some("$${from}"));
    check_variable("$${from} is ${from}", Some("${from} is +12137771234"));
    check_variable("5 $, $5 and $$", Some("5 $, $5 and $$"));
    check_variable("{{customer_name}} and {from}", Some("{{customer_name}} and {from}"));
    check_variable("{{${channel}}}", Some("{{call}}"));
    check_variable("", Some(""));
}

#[test]
fn metadata_and_agent_override_keep_types_and_render_strings() {
    let text = r#"
[[rule]]
name = "it"
agent = "agent_1"
metadata = { desk = 1, share = 0.5, vip = true, who = "${from}", name = "${sip.x-name?}", tags = ["${channel}", 2, "${sip.x-name?}"], at = { source = "${source}" } }
agent_override = { retell_llm = { begin_message = "You rang ${to}" } }
"#;
    let expected = json!({
        "variables": {},
        "metadata": {
            "desk": 1, "share": 0.5, "vip": true, "who": "+12137771234", "tags": ["call", 2],
            "at": { "source": "shop" },
        },
        "agent_override": { "retell_llm": { "begin_message": "You rang +12135550100" } },
    });
    assert_eq!(additions(text, &with_sip("x-tier", "gold")), expected);
}

#[test]
fn a_variable_is_always_sent_as_text() {
    let text =
        "[[rule]]\nname = \"it\"\nkeep = true\nvariables = { tier = 3, vip = true, share = 0.5 }\n";
    let expected = json!({ "tier": "3", "vip": "true", "share": "0.5" });
    assert_eq!(additions(text, &call_from(CALLER))["variables"], expected);
}

#[test]
fn different_tables_have_different_fingerprints() {
    let keeps = "[[rule]]\nname = \"it\"\nkeep = true\n";
    assert_eq!(table(keeps).fingerprint, table(keeps).fingerprint);
    assert_ne!(
        table(keeps).fingerprint,
        table("[[rule]]\nname = \"it\"\nreject = true\n").fingerprint
    );
    let folder = tempfile::tempdir().unwrap();
    let fingerprint = |files: &[(&str, &str)]| {
        let folder = tempfile::tempdir_in(&folder).unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let context = CheckContext::default();
        let loaded = switchboard::rules::load(folder.path(), &context, &mut |_| {}).unwrap();
        loaded.table.expect("a valid table").fingerprint
    };
    let other = "[[rule]]\nname = \"other\"\nfrom = \"DE\"\nkeep = true\n";
    let both = format!("{other}{keeps}");
    let several = fingerprint(&[("1.toml", other), ("2.toml", keeps)]);
    assert_eq!(several, fingerprint(&[("1.toml", other), ("2.toml", keeps)]), "in another folder");
    for moved in [
        &[("1.toml", &*both), ("2.toml", "")][..],
        &[("1.toml", ""), ("2.toml", &both)],
        &[("1.toml", other), ("3.toml", keeps)],
        &[("1.toml", &both)],
    ] {
        assert_ne!(several, fingerprint(moved), "{moved:?}");
    }
    assert_eq!(fingerprint(&[("1.toml", &both)]), table(&both).fingerprint, "a single file");
}

// ---- diagnostics

/// Context of a service with a source at each platform.
pub(crate) fn two_sources() -> CheckContext {
    let source_info = |source: &str, platform| SourceInfo {
        source: source.to_owned(),
        platform: Platform::new(platform),
        reply_within: Duration::from_secs(3),
        fallback_agent: None,
    };
    CheckContext {
        sources: vec![source_info("shop", "retell"), source_info("clinic", "synthflow")],
        fallback_agents: Vec::new(),
        ..CheckContext::default()
    }
}

pub(crate) fn codes_of(report: &Report) -> Vec<&'static str> {
    report.diagnostics().iter().map(|diagnostic| diagnostic.code).collect()
}

/// Compares the output with the snapshot of this name, which begins with the input unless that is long.
#[track_caller]
pub(crate) fn matches_snapshot(area: &str, name: &str, input: &str, output: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_snapshot_path(Path::new("snapshots").join(area));
    let input = if input.len() < 2_000 { input.trim() } else { "(long)" };
    settings.bind(|| insta::assert_snapshot!(name, format!("{input}\n\n======\n{output}")));
}

/// Defines one test per table. The table has one diagnostic, with this code, and its report matches the
/// snapshot of the same name.
macro_rules! diagnostic_tests {
    ($($name:ident: $code:literal in $table:expr;)*) => {
        $(
            #[test]
            fn $name() {
                let text = $table.to_string();
                let (_, report) = parse(&text, &two_sources());
                assert_eq!(codes_of(&report), [$code], "{report}");
                matches_snapshot("rules", stringify!($name), &text, &report.to_text(false));
            }
        )*
    };
}

diagnostic_tests! {
    // ---- syntax and types

    invalid_toml: "syntax" in r#"
[[rule]]
name = "everyone
keep = true
"#;

    duplicate_key: "syntax" in r#"
[[rule]]
name = "everyone"
keep = true
name = "everybody"
"#;

    misspelt_rule_key: "unknown-key" in r#"
[[rule]]
name = "germans"
form = "DE"
agent = "agent_1"
"#;

    misspelt_table: "unknown-key" in r#"
[[rules]]
name = "everyone"
keep = true
"#;

    key_unlike_any_other: "unknown-key" in r#"
[[rule]]
name = "everyone"
colour = "red"
keep = true
"#;

    string_in_place_of_a_number: "wrong-kind" in r#"
[[rule]]
name = "everyone"
keep = true
delay_ms = "3000"
"#;

    fraction_in_place_of_an_integer: "wrong-kind" in r#"
[[rule]]
name = "everyone"
keep = true
delay_ms = 1.5
"#;

    unquoted_number: "wrong-kind" in r#"
[[rule]]
name = "one"
from = 12137771234
keep = true
"#;

    unquoted_number_in_a_list: "wrong-kind" in r#"
[[rule]]
name = "one"
from = ["DE", 12137771234]
keep = true
"#;

    string_in_place_of_a_boolean: "wrong-kind" in r#"
[[rule]]
name = "everyone"
enabled = "no"
keep = true
"#;

    rule_in_single_brackets: "wrong-kind" in r#"
[rule]
name = "everyone"
keep = true
"#;

    agents_not_a_table: "wrong-kind" in r#"
agents = "agent_1"
"#;

    number_as_an_agent: "wrong-kind" in r#"
[agents]
desk = 1716
"#;

    number_as_a_platform_id: "wrong-kind" in r#"
[agents]
desk = { retell = "agent_1", synthflow = 1716 }

[[rule]]
name = "everyone"
agent = "desk"
platform = "retell"
"#;

    fractional_version: "wrong-kind" in r#"
[agents]
desk = { retell = "agent_1", version = 1.5, synthflow = "1716a" }

[[rule]]
name = "everyone"
agent = "desk"
"#;

    outcome_that_is_not_an_agent_name: "wrong-kind" in r#"
[[rule]]
name = "everyone"
agent = ["agent_1", "agent_2"]
"#;

    reject_false: "wrong-kind" in r#"
[[rule]]
name = "everyone"
reject = false
"#;

    outcome_false: "wrong-kind" in r#"
[[rule]]
name = "everyone"
keep = false
"#;

    variables_not_a_table: "wrong-kind" in r#"
[[rule]]
name = "everyone"
keep = true
variables = "gold"
"#;

    list_as_a_variable: "wrong-kind" in r#"
[[rule]]
name = "everyone"
keep = true
variables = { tier = "gold", desks = ["a", "b"] }
"#;

    number_not_valid_in_json: "wrong-kind" in r#"
[[rule]]
name = "everyone"
keep = true
metadata = { share = inf }
"#;

    empty_list: "empty-list" in r#"
[[rule]]
name = "nobody"
from = []
keep = true
"#;

    // ---- agents

    empty_id: "empty-id" in r#"
[agents]
desk = ""

[[rule]]
name = "everyone"
keep = true
"#;

    agent_without_ids: "no-id" in r#"
[agents]
desk = { version = 3 }

[[rule]]
name = "everyone"
keep = true
"#;

    misspelt_platform_of_an_id: "unknown-platform" in r#"
[agents]
desk = { retell = "agent_1", sinthflow = "1716a" }

[[rule]]
name = "everyone"
agent = "desk"
platform = "retell"
"#;

    unknown_platform: "unknown-platform" in r#"
[[rule]]
name = "one"
platform = "phonograph"
keep = true
"#;

    misspelt_agent: "unknown-agent" in r#"
[agents]
front-desk = "agent_1"

[[rule]]
name = "everyone"
agent = "front-dsk"
"#;

    raw_id_beside_agents: "unknown-agent" in r#"
[agents]
front-desk = "agent_1"

[[rule]]
name = "one"
from = "DE"
agent = "agent_0123456789"

[[rule]]
name = "everyone"
agent = "front-desk"
"#;

    agent_without_id_at_a_source_platform: "no-id-at-platform" in r#"
[agents]
desk = { retell = "agent_1" }

[[rule]]
name = "everyone"
agent = "desk"
"#;

    unused_agent: "unused-agent" in r#"
[agents]
desk = "agent_1"
night = { retell = "agent_2" }

[[rule]]
name = "everyone"
agent = "desk"
"#;

    // ---- rules

    empty_table: "no-rules" in "";

    agents_without_rules: "no-rules" in r#"
[agents]
desk = "agent_1"
"#;

    rule_without_a_name: "no-name" in r#"
[[rule]]
from = "DE"
agent = "agent_1"
"#;

    empty_rule_name: "no-name" in r#"
[[rule]]
name = " "
from = "DE"
agent = "agent_1"
"#;

    duplicate_rule_name: "duplicate-name" in r#"
[[rule]]
name = "germans"
from = "DE"
agent = "agent_1"

[[rule]]
name = "germans"
agent = "agent_2"
"#;

    rule_without_outcome: "one-outcome" in r#"
[[rule]]
name = "germans"
from = "DE"
"#;

    two_outcomes: "one-outcome" in r#"
[[rule]]
name = "everyone"
agent = "agent_1"
reject = true
"#;

    unknown_channel: "unknown-channel" in r#"
[[rule]]
name = "one"
channel = ["call", "text"]
keep = true
"#;

    misspelt_source: "unknown-source" in r#"
[[rule]]
name = "one"
source = "!clinc"
keep = true
"#;

    no_catch_all_rule: "no-rule-for-everyone" in r#"
[[rule]]
name = "germans"
from = "DE"
agent = "agent_1"

[[rule]]
name = "calls"
channel = "call"
agent = "agent_2"
"#;

    last_rule_continues: "no-rule-for-everyone" in r#"
[[rule]]
name = "adds"
continue = true
variables = { tier = "gold" }
"#;

    reject_with_additions: "never-sent" in r#"
[[rule]]
name = "everyone"
reject = true
variables = { tier = "gold" }
"#;

    continue_without_additions: "adds-nothing" in r#"
[[rule]]
name = "germans"
from = "DE"
continue = true

[[rule]]
name = "everyone"
keep = true
"#;

    number_as_a_variable: "sent-as-text" in r#"
[[rule]]
name = "everyone"
keep = true
variables = { desk = 1 }
"#;

    metadata_too_big: "metadata-too-big" in format!(r#"
[[rule]]
name = "everyone"
keep = true
metadata = {{ much = "{}" }}
"#, "a".repeat(50_000));

    delay_over_platform_limit: "delay-too-long" in r#"
[[rule]]
name = "everyone"
keep = true
delay_ms = 8001
"#;

    negative_delay: "delay-too-long" in r#"
[[rule]]
name = "everyone"
keep = true
delay_ms = -1
"#;

    delay_over_source_budget: "delay-over-budget" in r#"
[[rule]]
name = "everyone"
keep = true
delay_ms = 3001
"#;

    override_out_of_range: "outside-range" in r#"
[[rule]]
name = "everyone"
platform = "retell"
agent = "agent_1"
agent_override = { agent = { voice_speed = 3 } }

[[rule]]
name = "others"
keep = true
"#;

    override_below_minimum: "outside-range" in r#"
[[rule]]
name = "everyone"
platform = "retell"
agent = "agent_1"
agent_override = { agent = { end_call_after_silence_ms = 5000 } }

[[rule]]
name = "others"
keep = true
"#;

    // ---- patterns

    number_with_too_few_digits: "bad-number" in r#"
[[rule]]
name = "one"
from = "+1213777123"
keep = true
"#;

    number_too_short: "bad-number" in r#"
[[rule]]
name = "one"
from = "+49123"
keep = true
"#;

    number_too_long: "bad-number" in r#"
[[rule]]
name = "one"
from = "+4930901820123456"
keep = true
"#;

    number_with_letters: "bad-number" in r#"
[[rule]]
name = "one"
to = "+1800FLOWERS"
keep = true
"#;

    number_with_leading_zeros: "bad-number" in r#"
[[rule]]
name = "one"
from = "+0049309018200"
keep = true
"#;

    star_in_the_middle: "bad-number" in r#"
[[rule]]
name = "one"
from = "+1213*1234"
keep = true
"#;

    mask_with_too_few_digits: "bad-number" in r#"
[[rule]]
name = "one"
from = ["DE", "!+1213555XXX"]
keep = true
"#;

    plus_alone: "bad-number" in r#"
[[rule]]
name = "one"
from = "+"
keep = true
"#;

    country_by_common_name: "bad-country" in r#"
[[rule]]
name = "one"
from = ["DE", "UK"]
keep = true
"#;

    lowercase_country: "bad-country" in r#"
[[rule]]
name = "one"
from = "de"
keep = true
"#;

    unknown_country: "bad-country" in r#"
[[rule]]
name = "one"
from = "XX"
keep = true
"#;

    number_without_plus: "bad-pattern" in r#"
[[rule]]
name = "one"
from = "12137771234"
keep = true
"#;

    prefix_without_plus: "bad-pattern" in r#"
[[rule]]
name = "one"
from = "1213*"
keep = true
"#;

    misspelt_withheld: "bad-pattern" in r#"
[[rule]]
name = "one"
from = "witheld"
keep = true
"#;

    synonym_of_withheld: "bad-pattern" in r#"
[[rule]]
name = "one"
from = "anonymous"
keep = true
"#;

    extension_without_equals_sign: "bad-pattern" in r#"
[[rule]]
name = "one"
from = "1001"
keep = true
"#;

    literal_that_is_a_number: "bad-pattern" in r#"
[[rule]]
name = "one"
from = "=sip:+12137771234@example.com"
keep = true
"#;

    literal_that_is_withheld: "bad-pattern" in r#"
[[rule]]
name = "one"
from = "=anonymous"
keep = true
"#;

    empty_pattern: "bad-pattern" in r#"
[[rule]]
name = "one"
from = ""
keep = true
"#;

    // ---- templates

    misspelt_value: "unknown-value" in r#"
[[rule]]
name = "everyone"
keep = true
variables = { greeting = "Grüß Gott, ${form}!" }
"#;

    value_unlike_any_other: "unknown-value" in r#"
[[rule]]
name = "everyone"
keep = true
metadata = { at = { time = "${now}" } }
"#;

    optional_value_without_default: "may-be-unknown" in r#"
[[rule]]
name = "everyone"
keep = true
variables = { name = "${sip.x-name}" }
"#;

    value_without_closing_brace: "bad-template" in r#"
[[rule]]
name = "everyone"
keep = true
variables = { who = "You are ${from" }
"#;

    platform_template: "double-braces" in r#"
[[rule]]
name = "everyone"
keep = true
variables = { who = "You are {{from}}" }
"#;
}

/// Ten errors with different codes.
const TEN_ERRORS: &str = r#"
agent = "agent_1"

[agents]
desk = ""

[[rule]]
name = "one"
form = "DE"
from = "+1213777123"
agent = "dsk"

[[rule]]
name = "one"
to = "UK"
channel = "text"
agent = "desk"
reject = true

[[rule]]
delay_ms = 9000
variables = { who = "${form}", name = "${sip.x-name}" }
keep = true
"#;

#[test]
fn all_errors_are_reported_at_once_with_their_locations() {
    let (table, report) = parse(TEN_ERRORS, &two_sources());
    assert!(table.is_none());
    let text = report.to_text(false);
    let codes: BTreeSet<_> = codes_of(&report).into_iter().collect();
    assert!(codes.len() >= 10, "{codes:?}");
    for diagnostic in report.diagnostics() {
        let (line, column) = diagnostic.location.as_ref().expect("a location").line_and_column();
        assert!(text.contains(&format!("rules.toml:{line}:{column}\n")), "{line}:{column}\n{text}");
    }
    matches_snapshot("rules", "ten_errors_at_once", TEN_ERRORS, &text);
}

#[test]
fn a_report_can_be_written_as_json() {
    let (_, report) =
        parse("[[rule]]\nname = \"grüße\"\nkeep = true\nform = \"DE\"\n", &two_sources());
    let json = serde_json::to_string_pretty(&report.to_json()).unwrap();
    matches_snapshot("rules", "diagnostic_as_json", "", &json);
}

#[test]
fn a_misspelt_key_is_reported_with_its_location() {
    let text = "[[rule]]\nname = \"germans\"\nform = \"DE\"\nkeep = true\n";
    let (table, report) = parse(text, &CheckContext::default());
    assert!(table.is_none());
    let [diagnostic] = report.diagnostics() else { panic!("{report}") };
    assert_eq!(diagnostic.code, "unknown-key");
    assert_eq!(diagnostic.location.as_ref().unwrap().line_and_column(), (3, 1));
    assert_eq!(diagnostic.help.as_deref(), Some("did you mean `from`?"));
}

#[test]
fn columns_count_characters_and_tabs_as_one() {
    for (text, expected) in [
        ("[[rule]]\r\nname = \"one\"\r\nkeep = true\r\nform = \"DE\"\r\n", (4, 1)),
        ("[[rule]]\nname = \"one\"\nkeep = true\n\tform = \"DE\"\n", (4, 2)),
        (
            "[[rule]]\nname = \"one\"\nkeep = true\nvariables = { a = \"ü\", x = \"ü${form}\" }\n",
            (4, 30),
        ),
    ] {
        let (_, report) = parse(text, &CheckContext::default());
        let [diagnostic] = report.diagnostics() else { panic!("{report}") };
        assert_eq!(diagnostic.location.as_ref().unwrap().line_and_column(), expected, "{text:?}");
        let (line, column) = expected;
        assert!(
            report.to_text(false).contains(&format!("rules.toml:{line}:{column}\n")),
            "{report}"
        );
        assert!(!report.to_text(false).contains('\r'), "{report}");
    }
}

#[test]
fn a_table_with_warnings_is_valid() {
    let text = "[[rule]]\nname = \"germans\"\nfrom = \"DE\"\nkeep = true\n";
    let (table, report) = parse(text, &CheckContext::default());
    assert!(table.is_some());
    assert_eq!((report.error_count(), report.warning_count()), (0, 1), "{report}");
}

#[test]
fn a_fallback_must_be_an_agent_of_the_table() {
    let context = CheckContext { fallback_agents: vec!["dsk".to_owned()], ..two_sources() };
    let text = "[agents]\ndesk = \"agent_1\"\n\n[[rule]]\nname = \"everyone\"\nagent = \"desk\"\n";
    let (table, report) = parse(text, &context);
    assert!(table.is_none());
    assert_eq!(codes_of(&report), ["unknown-agent"], "{report}");
    matches_snapshot("rules", "unknown_fallback_agent", text, &report.to_text(false));
}

#[test]
fn an_agent_used_only_as_a_fallback_is_not_unused() {
    let context = CheckContext { fallback_agents: vec!["desk".to_owned()], ..two_sources() };
    let text = "[agents]\ndesk = \"agent_1\"\n\n[[rule]]\nname = \"everyone\"\nkeep = true\n";
    let (_, report) = parse(text, &context);
    assert!(report.diagnostics().is_empty(), "{report}");
}

#[test]
fn without_an_agents_table_a_fallback_is_a_raw_id() {
    let context = CheckContext { fallback_agents: vec!["agent_9".to_owned()], ..two_sources() };
    let (table, report) = parse("[[rule]]\nname = \"everyone\"\nkeep = true\n", &context);
    assert!(report.diagnostics().is_empty(), "{report}");
    let table = table.expect("a table");
    let agent = table.agent("agent_9").expect("the fallback");
    assert_eq!(agent.id_at(Platform::new("retell")), Some("agent_9"));
}

#[test]
fn without_settings_any_source_name_is_accepted() {
    let text = "[[rule]]\nname = \"one\"\nsource = \"anything\"\nkeep = true\n[[rule]]\nname = \"everyone\"\nkeep = true\n";
    let (_, report) = parse(text, &CheckContext::default());
    assert!(report.diagnostics().is_empty(), "{report}");
}

#[test]
fn a_missing_file_is_a_read_error() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("rules.toml");
    assert!(load(&missing, &CheckContext::default()).is_err());
    std::fs::write(&missing, "[[rule]]\nname = \"it\"\nform = \"DE\"\nkeep = true\n").unwrap();
    let LoadedTable { table, report, .. } = load(&missing, &CheckContext::default()).unwrap();
    assert!(table.is_none());
    assert!(report.to_text(false).contains(&format!("{}:3:1", missing.display())), "{report}");
}

/// Checks the codes of all diagnostics of a table.
#[track_caller]
fn check_codes(text: &str, expected: &[&str]) {
    let (_, report) = parse(text, &two_sources());
    assert_eq!(codes_of(&report), expected, "{report}");
}

#[test]
fn every_agent_without_an_id_is_reported() {
    check_codes(
        "[agents]\na = {}\nb = {}\n[[rule]]\nname = \"it\"\nkeep = true\n",
        &["no-id", "no-id"],
    );
}

#[test]
fn an_empty_id_does_not_hide_an_error_beside_it() {
    check_codes(
        "[agents]\na = { retell = \"\", sinthflow = \"1\" }\n[[rule]]\nname = \"it\"\nkeep = true\n",
        &["empty-id", "unknown-platform"],
    );
}

#[test]
fn a_delay_is_checked_against_the_budgets_of_matching_sources() {
    let settings = r#"
[sources.slow]
platform = "retell"
secrets = "env:RETELL_API_KEY"
reply_within_ms = 9000
[sources.fast]
platform = "retell"
secrets = "env:RETELL_API_KEY"
reply_within_ms = 2000
"#;
    let (settings, _) = app::load_settings(settings, Purpose::Serve);
    let text = "[[rule]]\nname = \"it\"\nsource = \"slow\"\nkeep = true\ndelay_ms = 8000\n[[rule]]\nname = \"everyone\"\nkeep = true\n";
    let (_, report) = parse(text, &settings.unwrap().check_context());
    assert!(report.diagnostics().is_empty(), "{report}");
}

#[test]
fn a_catch_all_rule_need_not_be_last() {
    let text = "[[rule]]\nname = \"everyone\"\nkeep = true\n[[rule]]\nname = \"germans\"\nfrom = \"DE\"\nkeep = true\n";
    let (_, report) = parse(text, &two_sources());
    assert!(!codes_of(&report).contains(&"no-rule-for-everyone"), "{report}");
}

#[test]
fn an_agent_needs_no_id_at_platforms_that_its_rules_exclude() {
    for condition in ["source = \"shop\"", "source = \"!clinic\"", "platform = \"retell\""] {
        check_codes(&agent_rule_with(condition), &[]);
    }
    check_codes(&agent_rule_with("source = \"clinic\""), &["no-id-at-platform"]);
}

/// Returns a table with an agent that has an id at one platform, and a rule for it with this condition.
fn agent_rule_with(condition: &str) -> String {
    format!(
        "[agents]\na = {{ retell = \"agent_1\" }}\n[[rule]]\nname = \"it\"\n{condition}\nagent = \"a\"\n[[rule]]\nname = \"everyone\"\nkeep = true\n"
    )
}

// ---- documentation of codes

#[test]
fn every_code_is_documented() {
    check_documented("docs/errors.md", table_codes());
}

/// Returns the codes of all diagnostics about tables, from the source text.
pub(crate) fn table_codes() -> BTreeSet<String> {
    let mut codes = codes_in("src/rules.rs");
    for folder in [
        "src/rules",
        "src/rules/check",
        "src/rules/model",
        "src/rules/model/dates",
        "src/rules/model/zone",
        "src/rules/load",
        "src/rules/load/calendar",
        "src/rules/load/raw",
        "src/rules/engine",
    ] {
        for file in std::fs::read_dir(app::root().join(folder)).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".rs") {
                codes.extend(codes_in(&format!("{folder}/{name}")));
            }
        }
    }
    codes
}

#[track_caller]
pub(crate) fn check_documented(document: &str, codes: BTreeSet<String>) {
    let text = std::fs::read_to_string(app::root().join(document)).expect("the document");
    let missing: Vec<_> =
        codes.into_iter().filter(|code| !text.contains(&format!("`{code}`"))).collect();
    assert!(missing.is_empty(), "{document} does not describe {missing:?}");
}

/// Returns the codes in a source file: the first argument of certain calls, as a literal or as a constant of
/// this file.
#[track_caller]
pub(crate) fn codes_in(file: &str) -> BTreeSet<String> {
    let source = std::fs::read_to_string(app::root().join(file)).expect("a source file");
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for opening in [".error(", ".warning(", ".note(", "Problem::new("] {
        let uses =
            code.match_indices(opening).map(|(at, _)| code[at + opening.len()..].trim_start());
        found.extend(uses.filter_map(|first| code_of(first, &code)));
    }
    // Other functions take a code as their first argument, too: `("bad-row", …)`, `error_at("no-days", …)`.
    let firsts = code.split('(').filter_map(|rest| rest.trim_start().strip_prefix('"'));
    let texts = firsts.filter_map(|text| text.split_once("\","));
    let looks_like_a_code = |text: &&str| {
        let words: Vec<_> = text.split('-').collect();
        let is_word = |word: &&str| word.len() > 1 && word.bytes().all(|c| c.is_ascii_lowercase());
        words.len() > 1 && words.iter().all(is_word)
    };
    found.extend(texts.map(|(text, _)| text).filter(looks_like_a_code).map(str::to_owned));
    found
}

/// Returns the code in an argument, which is a literal or a constant. None if the argument is a variable.
#[track_caller]
fn code_of(argument: &str, source: &str) -> Option<String> {
    if let Some(text) = argument.strip_prefix('"') {
        return Some(text.split('"').next()?.to_owned());
    }
    let word = argument.split(|c: char| !(c.is_alphanumeric() || "_.&'".contains(c))).next()?;
    if !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || c == '_') {
        let declaration = format!("const {word}: &str = \"");
        // That of another file is found there.
        let (_, value) = source.split_once(&declaration)?;
        return Some(value.split('"').next()?.to_owned());
    }
    assert!(["", "code"].contains(&word), "unexpected argument {word}");
    None
}

// ---- example tables

#[test]
fn the_example_table_has_no_diagnostics() {
    let inputs = Inputs {
        file: Some(app::root().join("config/switchboard.toml")),
        environment: [].into(),
        purpose: Purpose::Inspect,
    };
    let loaded = settings::load(&inputs).expect("a readable file");
    let settings = loaded.settings.unwrap_or_else(|| panic!("{}", loaded.report));
    let LoadedTable { table, report, .. } =
        load(&settings.rules.path, &settings.check_context()).expect("a file");
    assert!(report.diagnostics().is_empty(), "{report}");
    assert!(table.is_some_and(|table| table.rules.len() > 3));
}

#[test]
fn the_table_in_the_readme_has_no_diagnostics() {
    let readme = std::fs::read_to_string(app::root().join("README.md")).expect("a README");
    let blocks = readme.split("```toml\n").skip(1).filter_map(|block| block.split("```").next());
    let block = blocks.into_iter().find(|block| block.contains("[[rule]]")).expect("a table");
    let (table, report) = parse(block, &CheckContext::default());
    assert!(report.diagnostics().is_empty(), "{report}");
    assert!(table.is_some());
}

// ---- details of diagnostics

#[test]
fn an_unknown_agent_is_located_at_its_value() {
    let text = "[agents]\ndesk = \"agent_1\"\n[[rule]]\nname = \"it\"\nagent = \"dsk\"\n";
    let (_, report) = parse(text, &two_sources());
    assert_eq!(
        report.diagnostics()[0].location.as_ref().unwrap().line_and_column(),
        (5, 9),
        "{report}"
    );
}

#[test]
fn errors_in_agents_are_reported_beside_rules_in_single_brackets() {
    check_codes(
        "[agents]\na = \"\"\n[rule]\nname = \"it\"\nkeep = true\n",
        &["empty-id", "wrong-kind"],
    );
}

#[test]
fn an_invalid_agent_is_not_reported_as_lacking_ids() {
    check_codes("[agents]\na = \"\"\n[[rule]]\nname = \"it\"\nagent = \"a\"\n", &["empty-id"]);
}

#[test]
fn each_error_is_reported_once() {
    check_codes("[[rule]]\nname = 3\nkeep = true\n", &["wrong-kind"]);
    check_codes("[[rule]]\nname = \"it\"\nkeep = true\ncontinue = false\n", &["wrong-kind"]);
}

#[test]
fn a_wrong_kind_is_described_precisely() {
    for value in ["delay_ms = 1.5", "metadata = { x = inf }", "metadata = { x = nan }"] {
        let (_, report) = parse(
            &format!("[[rule]]\nname = \"it\"\nkeep = true\n{value}\n"),
            &CheckContext::default(),
        );
        assert!(!report.diagnostics()[0].message.ends_with("this is a number"), "{report}");
    }
}

#[test]
fn a_range_without_a_maximum_is_not_printed_as_infinite() {
    let text = "[[rule]]\nname = \"it\"\nkeep = true\nagent_override = { agent = { end_call_after_silence_ms = 5 } }\n";
    let (_, report) = parse(text, &CheckContext::default());
    assert!(!report.diagnostics()[0].message.contains("inf"), "{report}");
}

#[test]
fn the_help_for_a_prefix_without_plus_adds_it() {
    let (_, report) =
        parse("[[rule]]\nname = \"it\"\nfrom = \"1213*\"\nkeep = true\n", &CheckContext::default());
    let help = report.diagnostics()[0].help.as_deref().unwrap();
    assert!(help.contains("+1213*"), "{help}");
}

#[test]
fn an_empty_agent_is_not_reported_as_unknown() {
    let (_, report) = parse("[[rule]]\nname = \"it\"\nagent = \"\"\n", &CheckContext::default());
    let [diagnostic] = report.diagnostics() else { panic!("{report}") };
    assert!(!diagnostic.help.as_deref().unwrap_or_default().contains("[agents]"), "{report}");
}

#[test]
fn a_template_value_cannot_be_nested() {
    let text =
        "[[rule]]\nname = \"it\"\nkeep = true\nvariables = { x = \"${sip.x-name|${from}}\" }\n";
    let (table, report) = parse(text, &CheckContext::default());
    assert!(table.is_none(), "{report}");
}

#[test]
fn all_errors_of_a_template_are_reported() {
    check_codes(
        "[[rule]]\nname = \"it\"\nkeep = true\nvariables = { x = \"${form} ${too}\" }\n",
        &["unknown-value", "unknown-value"],
    );
}

#[test]
fn the_keypad_spelling_of_anonymous_is_not_a_number() {
    let text = "[[rule]]\nname = \"it\"\nfrom = \"+266696687\"\nkeep = true\n";
    let (table, report) = parse(text, &CheckContext::default());
    assert!(table.is_none(), "{report}");
}

#[test]
fn a_disabled_rule_causes_no_warning() {
    check_codes(&agent_rule_with("enabled = false"), &[]);
}

#[test]
fn an_agent_for_text_messages_needs_no_id_at_platforms_without_them() {
    check_codes(&agent_rule_with("channel = \"sms\""), &[]);
}

#[test]
fn an_empty_version_is_rejected() {
    let text = "[agents]\na = { retell = \"agent_1\", synthflow = \"id\", version = \"\" }\n[[rule]]\nname = \"it\"\nagent = \"a\"\n";
    check_codes(text, &["wrong-kind"]);
}

#[test]
fn a_value_cannot_be_both_optional_and_replaced() {
    check_codes(
        "[[rule]]\nname = \"it\"\nkeep = true\nvariables = { x = \"${sip.x-name?|y}\" }\n",
        &["bad-template"],
    );
}
