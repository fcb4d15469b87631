//! Reports of rules that are never reached, and similar rules that are not reported.

use switchboard::dialect;
use switchboard::rules;
use switchboard::rules::CheckContext;

use super::never_reached;

/// Checks which rules of a table are reported. The rules have these conditions, and the names `a`, `b`, `c`
/// and so on.
#[track_caller]
fn check(definitions: &str, conditions: &[&str], expected: &str) {
    let found = reported(definitions, conditions);
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.join(" "), expected, "{conditions:#?}");
}

fn reported(definitions: &str, conditions: &[&str]) -> Vec<(String, String)> {
    let rules = conditions.iter().zip('a'..).map(|(conditions, name)| {
        let continues = conditions.contains("continue");
        let outcome = if continues { "variables = { x = \"y\" }" } else { "keep = true" };
        format!("[[rule]]\nname = \"{name}\"\n{conditions}\n{outcome}\n")
    });
    let text = format!("zone = \"UTC\"\n{definitions}\n{}", rules.collect::<String>());
    let loaded = rules::parse("rules.toml", text, &CheckContext::default());
    assert_eq!(loaded.report.error_count(), 0, "{}", loaded.report);
    never_reached(&loaded.report)
}

/// Checks that the second of two rules is never reached.
#[track_caller]
fn shadows(above: &str, below: &str) {
    check(DEFINITIONS, &[above, below], "b");
}

/// Checks that calls can reach the second of two rules.
#[track_caller]
fn does_not_shadow(above: &str, below: &str) {
    check(DEFINITIONS, &[above, below], "");
}

const DEFINITIONS: &str = r#"
[lists.vip]
numbers = ["+12135550100", "+1415*", "=1001"]
[lists.few]
numbers = ["+12135550100"]
[lists.nobody]
numbers = []
[dates.holidays]
days = ["12-25"]
[dates.summer]
days = ["07-01..08-31"]
[hours.office]
mon-fri = "09:00-17:00"
[hours.shop]
mon-sat = "08:00-20:00"
"#;

#[test]
fn a_rule_after_a_catch_all_is_never_reached() {
    for below in [
        "",
        "from = \"+12135550100\"",
        "to = \"@vip\"",
        "from = \"withheld\"",
        "hours = \"office\"",
    ] {
        shadows("", below);
    }
    check("", &["", "", ""], "b c");
    does_not_shadow("continue = true", "");
    does_not_shadow("enabled = false", "");
    shadows("", "continue = true");
}

#[test]
fn a_number_is_shadowed_by_each_pattern_that_matches_it() {
    for above in [
        "+1*",
        "+1213*",
        "+1213555010*",
        "+12135550100*",
        "US",
        "+1213555XXXX",
        "+XXXXXXXXXXX",
        "@vip",
        "+1 (213) 555-0100",
    ] {
        shadows(&format!("from = {above:?}"), "from = \"+12135550100\"");
        shadows(&format!("to = [\"DE\", {above:?}]"), "to = \"+12135550100\"");
    }
    for above in ["+1214*", "CA", "+1213555XXX1", "+1213556XXXX", "+121355501000*", "@nobody"] {
        does_not_shadow(&format!("from = {above:?}"), "from = \"+12135550100\"");
    }
}

#[test]
fn a_prefix_is_shadowed_by_a_shorter_prefix_its_country_or_a_list() {
    shadows("from = \"+1213*\"", "from = \"+12135*\"");
    shadows("from = \"+1213*\"", "from = \"+1213*\"");
    does_not_shadow("from = \"+12135*\"", "from = \"+1213*\"");
    does_not_shadow("from = \"+1213555XXXX\"", "from = \"+1213555*\"");
    does_not_shadow("from = \"+12135550100\"", "from = \"+12135550100*\"");
    shadows("from = \"DE\"", "from = \"+49*\"");
    shadows("from = \"US\"", "from = \"+1213*\"");
    shadows("from = \"GG\"", "from = \"+447781*\"");
    shadows("from = \"@vip\"", "from = \"+1415*\"");
    shadows("from = \"@vip\"", "from = \"+1415555*\"");
    does_not_shadow("from = \"@vip\"", "from = \"+141*\"");
    does_not_shadow("from = \"@few\"", "from = \"+12135550100*\"");
}

#[test]
fn no_country_shadows_a_prefix_that_several_countries_share() {
    does_not_shadow("from = \"US\"", "from = \"+1*\"");
    does_not_shadow("from = \"US\"", "from = \"+12*\"");
    does_not_shadow("from = \"CA\"", "from = \"+1*\"");
    does_not_shadow("from = \"RU\"", "from = \"+7*\"");
    does_not_shadow("from = \"GB\"", "from = \"+44*\"");
    does_not_shadow("from = \"GB\"", "from = \"+4477*\"");
    does_not_shadow("from = [\"US\", \"CA\"]", "from = \"+1*\"");
}

#[test]
fn a_country_is_shadowed_only_by_itself() {
    shadows("from = \"DE\"", "from = \"DE\"");
    shadows("from = [\"AT\", \"DE\"]", "from = [\"DE\", \"AT\"]");
    does_not_shadow("from = \"DE\"", "from = [\"DE\", \"AT\"]");
    does_not_shadow("from = \"US\"", "from = \"CA\"");
    does_not_shadow("from = \"+4930*\"", "from = \"DE\"");
}

#[test]
fn a_masked_number_is_shadowed_by_a_wider_mask_and_by_its_prefix() {
    shadows("from = \"+1213555XXXX\"", "from = \"+1213555XXXX\"");
    shadows("from = \"+1213XXXXXXX\"", "from = \"+1213555X1XX\"");
    shadows("from = \"+1213*\"", "from = \"+1213555XXXX\"");
    shadows("from = \"US\"", "from = \"+1213555XXXX\"");
    shadows("from = \"@vip\"", "from = \"+1415555XXXX\"");
    shadows("from = \"+XXXXXXXXXXX\"", "from = \"+X213555XXXX\"");
    does_not_shadow("from = \"+1213555XX1X\"", "from = \"+1213555XXXX\"");
    does_not_shadow("from = \"+4930XXXXXX\"", "from = \"+4930XXXXXXX\"");
    does_not_shadow("from = \"+1213*\"", "from = \"+1X13555XXXX\"");
    does_not_shadow("from = \"US\"", "from = \"+1XXXXXXXXXX\"");
    does_not_shadow("from = \"+12135550100\"", "from = \"+1213555010X\"");
}

#[test]
fn a_list_is_shadowed_only_by_itself() {
    shadows("from = \"@vip\"", "from = \"@vip\"");
    shadows("to = [\"DE\", \"@vip\"]", "to = \"@vip\"");
    does_not_shadow("from = \"@few\"", "from = \"@vip\"");
    does_not_shadow("from = \"US\"", "from = \"@few\"");
    does_not_shadow("from = \"@vip\"", "to = \"@vip\"");
}

#[test]
fn a_literal_is_shadowed_by_itself_in_any_case_and_by_its_list() {
    shadows("from = \"=sip:bob@example.com\"", "from = \"=sip:BOB@example.com\"");
    shadows("from = \"@vip\"", "from = \"=1001\"");
    shadows("from = \"!DE\"", "from = \"=1001\"");
    does_not_shadow("from = \"=1001\"", "from = \"=1002\"");
    does_not_shadow("from = \"@few\"", "from = \"=1001\"");
    does_not_shadow("from = \"US\"", "from = \"=1001\"");
}

#[test]
fn withheld_numbers_are_shadowed_only_by_withheld() {
    shadows("from = \"withheld\"", "from = \"withheld\"");
    shadows("from = [\"withheld\", \"DE\"]", "from = [\"withheld\", \"+49*\"]");
    shadows("from = [\"withheld\", \"!DE\"]", "from = \"withheld\"");
    does_not_shadow("from = \"!DE\"", "from = \"withheld\"");
    does_not_shadow("from = \"!withheld\"", "from = \"withheld\"");
    does_not_shadow("from = \"!withheld\"", "");
    does_not_shadow("from = \"withheld\"", "");
    does_not_shadow("from = [\"!DE\", \"!withheld\"]", "from = [\"!DE\", \"withheld\"]");
    does_not_shadow("from = \"+1*\"", "from = [\"+1213*\", \"withheld\"]");
}

#[test]
fn calls_excluded_by_an_earlier_rule_reach_a_later_one() {
    does_not_shadow("from = [\"US\", \"!+1213*\"]", "from = \"+1213*\"");
    does_not_shadow("from = [\"US\", \"!+1213*\"]", "from = \"+12*\"");
    does_not_shadow("from = [\"US\", \"!+12135550100\"]", "from = \"+1213*\"");
    does_not_shadow("from = [\"+1*\", \"!US\"]", "from = \"+1213*\"");
    does_not_shadow("from = [\"+1*\", \"!@vip\"]", "from = \"+12135550100\"");
    does_not_shadow("from = [\"+1*\", \"!@vip\"]", "from = \"+1213*\"");
    does_not_shadow("from = [\"+1*\", \"!+1213555XXXX\"]", "from = \"+1213555*\"");
    shadows("from = [\"US\", \"!+1213*\"]", "from = \"+1415*\"");
    shadows("from = [\"US\", \"!+1213*\"]", "from = \"+12145550100\"");
    shadows("from = [\"US\", \"!withheld\", \"!=1001\"]", "from = \"+1415*\"");
    shadows("from = [\"+1*\", \"!CA\"]", "from = \"+1415*\"");
    shadows("from = [\"US\", \"!+1213*\"]", "from = [\"US\", \"!+1213*\"]");
    shadows("from = [\"US\", \"!+1213*\"]", "from = [\"US\", \"!+12*\"]");
    shadows("from = [\"US\", \"!@vip\"]", "from = [\"US\", \"!@vip\", \"!+1213*\"]");
    does_not_shadow("from = [\"US\", \"!+12*\"]", "from = [\"US\", \"!+1213*\"]");
}

#[test]
fn negations_alone_match_all_other_numbers() {
    shadows("from = \"!DE\"", "from = \"!DE\"");
    shadows("from = \"!DE\"", "from = [\"!AT\", \"!DE\"]");
    shadows("from = \"!+4930*\"", "from = \"!+49*\"");
    shadows("from = \"!DE\"", "from = \"US\"");
    shadows("from = \"!DE\"", "from = \"+1213*\"");
    shadows("from = \"!+4930*\"", "from = \"+12135550100\"");
    does_not_shadow("from = \"!DE\"", "from = \"!AT\"");
    does_not_shadow("from = [\"!DE\", \"!AT\"]", "from = \"!DE\"");
    does_not_shadow("from = \"!DE\"", "");
    does_not_shadow("from = \"!DE\"", "from = \"+4*\"");
    does_not_shadow("from = \"!@vip\"", "from = \"US\"");
    shadows("", "from = \"!DE\"");
}

#[test]
fn a_rule_that_excludes_all_of_its_own_numbers_is_never_reached() {
    for nobody in [
        "from = [\"US\", \"!US\"]",
        "from = [\"+1213*\", \"!+1*\"]",
        "from = [\"+1213*\", \"!US\"]",
        "from = [\"+12135550100\", \"=1001\", \"!@vip\"]",
        "from = [\"withheld\", \"!withheld\"]",
        "to = [\"@vip\", \"!@vip\"]",
    ] {
        check(DEFINITIONS, &[nobody, ""], "a");
    }
    check(DEFINITIONS, &["from = [\"US\", \"!+1213*\"]", "from = [\"US\", \"DE\", \"!US\"]"], "");
    // Only German numbers remain, and the earlier rule matches them.
    shadows("from = \"DE\"", "from = [\"US\", \"DE\", \"!US\"]");
}

#[test]
fn several_rules_together_shadow_a_rule() {
    let rules = ["from = \"DE\"", "from = \"AT\"", "from = [\"AT\", \"DE\"]"];
    check("", &rules, "c");
    let (_, help) = &reported("", &rules)[0];
    assert!(help.contains("goes to `b`"), "the example is for Austria, the first pattern: {help}");
    check("", &["from = \"DE\"", "to = \"AT\"", "from = \"DE\"\nto = \"AT\""], "c");
    check("", &["from = \"DE\"", "from = \"AT\"", "from = [\"AT\", \"DE\", \"CH\"]"], "");
    check(
        "",
        &[
            "from = \"DE\"\nto = \"+49*\"",
            "from = \"AT\"\nto = \"+43*\"",
            "from = [\"AT\", \"DE\"]\nto = \"+49*\"",
        ],
        "",
    );
    check(
        "",
        &[
            "from = \"DE\"\nto = \"+49*\"",
            "from = \"AT\"\nto = \"+49*\"",
            "from = [\"AT\", \"DE\"]\nto = [\"+4930*\", \"+4989*\"]",
        ],
        "c",
    );
}

#[test]
fn a_rule_is_shadowed_only_if_both_numbers_are() {
    shadows("to = \"DE\"", "to = \"+49*\"\nfrom = \"US\"");
    does_not_shadow("to = \"DE\"\nfrom = \"US\"", "to = \"DE\"");
    does_not_shadow("to = \"DE\"\nfrom = \"US\"", "from = \"US\"");
    does_not_shadow("to = \"+1*\"", "from = \"+1*\"");
}

#[test]
fn an_earlier_rule_with_more_conditions_shadows_nothing() {
    for more in [
        "channel = \"sms\"",
        "channel = \"!call\"",
        "platform = \"retell\"",
        "source = \"shop\"",
        "source = \"!shop\"",
        "number_id = \"pn_1\"",
        "number_id = \"!pn_1\"",
        "where = { \"attr.plan\" = \"gold\" }",
        "hours = \"office\"",
        "dates = \"!holidays\"",
        "where = { \"sip.x-tier\" = \"gold\" }",
    ] {
        does_not_shadow(more, "");
        does_not_shadow(&format!("{more}\nfrom = \"DE\""), "from = \"DE\"");
        shadows(more, &format!("{more}\nfrom = \"DE\""));
        shadows("from = \"DE\"", &format!("{more}\nfrom = \"DE\""));
    }
}

#[test]
fn a_condition_shadows_a_narrower_condition() {
    shadows("channel = [\"call\", \"sms\"]", "");
    shadows("channel = \"!sms\"", "channel = \"call\"");
    does_not_shadow("channel = \"call\"", "channel = \"sms\"");
    let all = dialect::ALL.map(|dialect| dialect.platform().as_str());
    shadows(&format!("platform = {all:?}"), "");
    does_not_shadow(&format!("platform = {:?}", &all[1..]), "");
    shadows("platform = \"!synthflow\"", "platform = \"retell\"");
    does_not_shadow("platform = \"retell\"", "platform = \"synthflow\"");
    shadows("source = [\"shop\", \"farm\"]", "source = \"farm\"");
    shadows("source = \"!shop\"", "source = \"farm\"");
    shadows("number_id = [\"pn_1\", \"pn_2\"]", "number_id = \"pn_2\"\nfrom = \"DE\"");
    shadows("number_id = \"!pn_1\"", "number_id = [\"pn_2\", \"pn_3\"]");
    shadows("number_id = \"!pn_1\"", "number_id = \"!pn_1\"");
    does_not_shadow("number_id = \"pn_1\"", "number_id = [\"pn_1\", \"pn_2\"]");
    does_not_shadow("number_id = \"!pn_1\"", "number_id = \"pn_1\"");
    // A call without an id matches neither.
    does_not_shadow("number_id = \"!pn_1\"", "");
    shadows(
        "where = { \"attr.plan\" = \"gold\" }",
        "where = { \"attr.plan\" = \"gold\" }\nfrom = \"DE\"",
    );
    does_not_shadow("where = { \"attr.plan\" = \"gold\" }", "");
    shadows("source = \"!shop\"", "source = [\"!shop\", \"!farm\"]");
    does_not_shadow("source = [\"shop\", \"farm\"]", "");
    does_not_shadow("source = [\"!shop\", \"!farm\"]", "source = \"!shop\"");
    shadows("hours = \"office\"", "hours = \"office\"\nsource = \"shop\"");
    does_not_shadow("hours = \"office\"", "hours = \"shop\"");
    does_not_shadow("hours = \"office\"", "hours = \"!office\"");
    does_not_shadow("hours = \"shop\"", "hours = \"office\"\nfrom = \"DE\"");
    shadows("dates = \"summer\"", "dates = \"summer\"");
    does_not_shadow("dates = \"holidays\"", "dates = \"summer\"");
    let gold = "where = { \"sip.x-tier\" = \"gold\" }";
    shadows(gold, "where = { \"sip.x-tier\" = \"gold\", \"sip.x-a\" = \"b\" }");
    does_not_shadow("where = { \"sip.x-tier\" = \"gold\", \"sip.x-a\" = \"b\" }", gold);
    does_not_shadow(gold, "where = { \"sip.x-tier\" = \"silver\" }");
}

#[track_caller]
fn check_example(conditions: &[&str], expected: &str) {
    let found = reported(DEFINITIONS, conditions);
    let (_, help) = found.last().unwrap();
    assert_eq!(help.split(';').next(), Some(expected));
}

#[test]
fn the_help_gives_an_example_call_and_the_rule_that_matches_it() {
    check_example(
        &["from = \"+1213*\"", "from = \"+12135550100\""],
        "a call from +12135550100 to +12135550100 goes to `a`",
    );
    // The example avoids the number that the first rule matches.
    check_example(
        &["to = \"+1213*\"", "", "to = [\"US\", \"DE\"]"],
        "a call from +4930901820 to +13246661211 goes to `b`",
    );
    // The first rule matches text messages only.
    check_example(
        &["channel = \"sms\"", "", "from = \"DE\""],
        "a call from +49324666121 to +12135550100 goes to `b`",
    );
    // The first rule matches outside of office hours.
    check_example(
        &["hours = \"!office\"", "", "from = \"withheld\""],
        "a call from withheld to +12135550100 goes to `b` at the latest",
    );
}
