//! Which rules are reported as never reached, and which look much the same and are not.

use switchboard::rules;
use switchboard::rules::CheckContext;

use super::never_reached;

/// A table of rules with these conditions, `a`, `b`, `c` and so on, of which exactly those named
/// in `expected` are reported. A rule that says no outcome gets one.
#[track_caller]
fn check(house: &str, conditions: &[&str], expected: &str) {
    let found = told(house, conditions);
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.join(" "), expected, "{conditions:#?}");
}

fn told(house: &str, conditions: &[&str]) -> Vec<(String, String)> {
    let rules = conditions.iter().zip('a'..).map(|(conditions, name)| {
        let continues = conditions.contains("continue");
        let outcome = if continues { "variables = { x = \"y\" }" } else { "keep = true" };
        format!("[[rule]]\nname = \"{name}\"\n{conditions}\n{outcome}\n")
    });
    let text = format!("zone = \"UTC\"\n{house}\n{}", rules.collect::<String>());
    let loaded = rules::parse("rules.toml", text, &CheckContext::default());
    assert_eq!(loaded.report.error_count(), 0, "{}", loaded.report);
    never_reached(&loaded.report)
}

/// The second of two rules is never reached.
#[track_caller]
fn hides(above: &str, below: &str) {
    check(HOUSE, &[above, below], "b");
}

/// Calls come to the second of two rules.
#[track_caller]
fn leaves_some(above: &str, below: &str) {
    check(HOUSE, &[above, below], "");
}

const HOUSE: &str = r#"
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
fn what_is_behind_a_rule_for_everyone_is_never_reached() {
    for below in [
        "",
        "from = \"+12135550100\"",
        "to = \"@vip\"",
        "from = \"withheld\"",
        "hours = \"office\"",
    ] {
        hides("", below);
    }
    check("", &["", "", ""], "b c");
    leaves_some("continue = true", "");
    leaves_some("enabled = false", "");
    hides("", "continue = true");
}

#[test]
fn a_number_is_hidden_by_what_it_begins_with() {
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
        hides(&format!("from = {above:?}"), "from = \"+12135550100\"");
        hides(&format!("to = [\"DE\", {above:?}]"), "to = \"+12135550100\"");
    }
    for above in ["+1214*", "CA", "+1213555XXX1", "+1213556XXXX", "+121355501000*", "@nobody"] {
        leaves_some(&format!("from = {above:?}"), "from = \"+12135550100\"");
    }
}

#[test]
fn a_prefix_is_hidden_by_a_shorter_one_its_country_or_a_list() {
    hides("from = \"+1213*\"", "from = \"+12135*\"");
    hides("from = \"+1213*\"", "from = \"+1213*\"");
    leaves_some("from = \"+12135*\"", "from = \"+1213*\"");
    leaves_some("from = \"+1213555XXXX\"", "from = \"+1213555*\"");
    leaves_some("from = \"+12135550100\"", "from = \"+12135550100*\"");
    hides("from = \"DE\"", "from = \"+49*\"");
    hides("from = \"US\"", "from = \"+1213*\"");
    hides("from = \"GG\"", "from = \"+447781*\"");
    hides("from = \"@vip\"", "from = \"+1415*\"");
    hides("from = \"@vip\"", "from = \"+1415555*\"");
    leaves_some("from = \"@vip\"", "from = \"+141*\"");
    leaves_some("from = \"@few\"", "from = \"+12135550100*\"");
}

#[test]
fn a_prefix_that_several_countries_share_is_in_none() {
    leaves_some("from = \"US\"", "from = \"+1*\"");
    leaves_some("from = \"US\"", "from = \"+12*\"");
    leaves_some("from = \"CA\"", "from = \"+1*\"");
    leaves_some("from = \"RU\"", "from = \"+7*\"");
    leaves_some("from = \"GB\"", "from = \"+44*\"");
    leaves_some("from = \"GB\"", "from = \"+4477*\"");
    leaves_some("from = [\"US\", \"CA\"]", "from = \"+1*\"");
}

#[test]
fn a_country_is_hidden_only_by_itself() {
    hides("from = \"DE\"", "from = \"DE\"");
    hides("from = [\"AT\", \"DE\"]", "from = [\"DE\", \"AT\"]");
    leaves_some("from = \"DE\"", "from = [\"DE\", \"AT\"]");
    leaves_some("from = \"US\"", "from = \"CA\"");
    leaves_some("from = \"+4930*\"", "from = \"DE\"");
}

#[test]
fn digits_are_hidden_by_wider_digits_and_by_what_they_begin_with() {
    hides("from = \"+1213555XXXX\"", "from = \"+1213555XXXX\"");
    hides("from = \"+1213XXXXXXX\"", "from = \"+1213555X1XX\"");
    hides("from = \"+1213*\"", "from = \"+1213555XXXX\"");
    hides("from = \"US\"", "from = \"+1213555XXXX\"");
    hides("from = \"@vip\"", "from = \"+1415555XXXX\"");
    hides("from = \"+XXXXXXXXXXX\"", "from = \"+X213555XXXX\"");
    leaves_some("from = \"+1213555XX1X\"", "from = \"+1213555XXXX\"");
    leaves_some("from = \"+4930XXXXXX\"", "from = \"+4930XXXXXXX\"");
    leaves_some("from = \"+1213*\"", "from = \"+1X13555XXXX\"");
    leaves_some("from = \"US\"", "from = \"+1XXXXXXXXXX\"");
    leaves_some("from = \"+12135550100\"", "from = \"+1213555010X\"");
}

#[test]
fn a_list_is_hidden_only_by_itself() {
    hides("from = \"@vip\"", "from = \"@vip\"");
    hides("to = [\"DE\", \"@vip\"]", "to = \"@vip\"");
    leaves_some("from = \"@few\"", "from = \"@vip\"");
    leaves_some("from = \"US\"", "from = \"@few\"");
    leaves_some("from = \"@vip\"", "to = \"@vip\"");
}

#[test]
fn a_text_is_hidden_by_itself_whatever_its_capitals_and_by_its_list() {
    hides("from = \"=sip:bob@example.com\"", "from = \"=sip:BOB@example.com\"");
    hides("from = \"@vip\"", "from = \"=1001\"");
    hides("from = \"!DE\"", "from = \"=1001\"");
    leaves_some("from = \"=1001\"", "from = \"=1002\"");
    leaves_some("from = \"@few\"", "from = \"=1001\"");
    leaves_some("from = \"US\"", "from = \"=1001\"");
}

#[test]
fn who_withholds_the_number_is_hidden_only_by_what_says_so() {
    hides("from = \"withheld\"", "from = \"withheld\"");
    hides("from = [\"withheld\", \"DE\"]", "from = [\"withheld\", \"+49*\"]");
    hides("from = [\"withheld\", \"!DE\"]", "from = \"withheld\"");
    leaves_some("from = \"!DE\"", "from = \"withheld\"");
    leaves_some("from = \"!withheld\"", "from = \"withheld\"");
    leaves_some("from = \"!withheld\"", "");
    leaves_some("from = \"withheld\"", "");
    leaves_some("from = [\"!DE\", \"!withheld\"]", "from = [\"!DE\", \"withheld\"]");
    leaves_some("from = \"+1*\"", "from = [\"+1213*\", \"withheld\"]");
}

#[test]
fn what_a_rule_above_takes_away_reaches_the_rule_below() {
    leaves_some("from = [\"US\", \"!+1213*\"]", "from = \"+1213*\"");
    leaves_some("from = [\"US\", \"!+1213*\"]", "from = \"+12*\"");
    leaves_some("from = [\"US\", \"!+12135550100\"]", "from = \"+1213*\"");
    leaves_some("from = [\"+1*\", \"!US\"]", "from = \"+1213*\"");
    leaves_some("from = [\"+1*\", \"!@vip\"]", "from = \"+12135550100\"");
    leaves_some("from = [\"+1*\", \"!@vip\"]", "from = \"+1213*\"");
    leaves_some("from = [\"+1*\", \"!+1213555XXXX\"]", "from = \"+1213555*\"");
    hides("from = [\"US\", \"!+1213*\"]", "from = \"+1415*\"");
    hides("from = [\"US\", \"!+1213*\"]", "from = \"+12145550100\"");
    hides("from = [\"US\", \"!withheld\", \"!=1001\"]", "from = \"+1415*\"");
    hides("from = [\"+1*\", \"!CA\"]", "from = \"+1415*\"");
    hides("from = [\"US\", \"!+1213*\"]", "from = [\"US\", \"!+1213*\"]");
    hides("from = [\"US\", \"!+1213*\"]", "from = [\"US\", \"!+12*\"]");
    hides("from = [\"US\", \"!@vip\"]", "from = [\"US\", \"!@vip\", \"!+1213*\"]");
    leaves_some("from = [\"US\", \"!+12*\"]", "from = [\"US\", \"!+1213*\"]");
}

#[test]
fn only_negations_are_for_all_others() {
    hides("from = \"!DE\"", "from = \"!DE\"");
    hides("from = \"!DE\"", "from = [\"!AT\", \"!DE\"]");
    hides("from = \"!+4930*\"", "from = \"!+49*\"");
    hides("from = \"!DE\"", "from = \"US\"");
    hides("from = \"!DE\"", "from = \"+1213*\"");
    hides("from = \"!+4930*\"", "from = \"+12135550100\"");
    leaves_some("from = \"!DE\"", "from = \"!AT\"");
    leaves_some("from = [\"!DE\", \"!AT\"]", "from = \"!DE\"");
    leaves_some("from = \"!DE\"", "");
    leaves_some("from = \"!DE\"", "from = \"+4*\"");
    leaves_some("from = \"!@vip\"", "from = \"US\"");
    hides("", "from = \"!DE\"");
}

#[test]
fn a_rule_that_takes_away_all_that_it_asks_for_is_never_reached() {
    for nobody in [
        "from = [\"US\", \"!US\"]",
        "from = [\"+1213*\", \"!+1*\"]",
        "from = [\"+1213*\", \"!US\"]",
        "from = [\"+12135550100\", \"=1001\", \"!@vip\"]",
        "from = [\"withheld\", \"!withheld\"]",
        "to = [\"@vip\", \"!@vip\"]",
    ] {
        check(HOUSE, &[nobody, ""], "a");
    }
    check(HOUSE, &["from = [\"US\", \"!+1213*\"]", "from = [\"US\", \"DE\", \"!US\"]"], "");
    // What is left of it is what a rule above takes.
    hides("from = \"DE\"", "from = [\"US\", \"DE\", \"!US\"]");
}

#[test]
fn several_rules_together_hide_a_rule_and_are_named() {
    let rules = ["from = \"DE\"", "from = \"AT\"", "from = [\"AT\", \"DE\"]"];
    check("", &rules, "c");
    let (_, help) = &told("", &rules)[0];
    assert!(help.contains("goes to `b`"), "the example is of Austria, the first: {help}");
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
fn both_sides_have_to_be_taken() {
    hides("to = \"DE\"", "to = \"+49*\"\nfrom = \"US\"");
    leaves_some("to = \"DE\"\nfrom = \"US\"", "to = \"DE\"");
    leaves_some("to = \"DE\"\nfrom = \"US\"", "from = \"US\"");
    leaves_some("to = \"+1*\"", "from = \"+1*\"");
}

#[test]
fn a_rule_above_that_asks_for_more_leaves_some() {
    for more in [
        "channel = \"sms\"",
        "channel = \"!call\"",
        "platform = \"retell\"",
        "source = \"shop\"",
        "source = \"!shop\"",
        "hours = \"office\"",
        "dates = \"!holidays\"",
        "where = { \"sip.x-tier\" = \"gold\" }",
    ] {
        leaves_some(more, "");
        leaves_some(&format!("{more}\nfrom = \"DE\""), "from = \"DE\"");
        hides(more, &format!("{more}\nfrom = \"DE\""));
        hides("from = \"DE\"", &format!("{more}\nfrom = \"DE\""));
    }
}

#[test]
fn conditions_hold_one_another_where_that_can_be_told() {
    hides("channel = [\"call\", \"sms\"]", "");
    hides("channel = \"!sms\"", "channel = \"call\"");
    leaves_some("channel = \"call\"", "channel = \"sms\"");
    hides("platform = [\"synthflow\", \"retell\"]", "");
    hides("platform = \"!synthflow\"", "platform = \"retell\"");
    leaves_some("platform = \"retell\"", "platform = \"synthflow\"");
    hides("source = [\"shop\", \"farm\"]", "source = \"farm\"");
    hides("source = \"!shop\"", "source = \"farm\"");
    hides("source = \"!shop\"", "source = [\"!shop\", \"!farm\"]");
    leaves_some("source = [\"shop\", \"farm\"]", "");
    leaves_some("source = [\"!shop\", \"!farm\"]", "source = \"!shop\"");
    hides("hours = \"office\"", "hours = \"office\"\nsource = \"shop\"");
    leaves_some("hours = \"office\"", "hours = \"shop\"");
    leaves_some("hours = \"office\"", "hours = \"!office\"");
    leaves_some("hours = \"shop\"", "hours = \"office\"\nfrom = \"DE\"");
    hides("dates = \"summer\"", "dates = \"summer\"");
    leaves_some("dates = \"holidays\"", "dates = \"summer\"");
    let gold = "where = { \"sip.x-tier\" = \"gold\" }";
    hides(gold, "where = { \"sip.x-tier\" = \"gold\", \"sip.x-a\" = \"b\" }");
    leaves_some("where = { \"sip.x-tier\" = \"gold\", \"sip.x-a\" = \"b\" }", gold);
    leaves_some(gold, "where = { \"sip.x-tier\" = \"silver\" }");
}

#[track_caller]
fn says(conditions: &[&str], expected: &str) {
    let told = told(HOUSE, conditions);
    let (_, help) = told.last().unwrap();
    assert_eq!(help.split(';').next(), Some(expected));
}

#[test]
fn the_example_is_a_call_that_goes_where_it_says() {
    says(
        &["from = \"+1213*\"", "from = \"+12135550100\""],
        "a call from +12135550100 to +12135550100 goes to `a`",
    );
    // Not the number that the first rule takes.
    says(
        &["to = \"+1213*\"", "", "to = [\"US\", \"DE\"]"],
        "a call from +4930901820 to +13246661211 goes to `b`",
    );
    // Text messages are no calls.
    says(
        &["channel = \"sms\"", "", "from = \"DE\""],
        "a call from +49324666121 to +12135550100 goes to `b`",
    );
    // Who comes in at night is taken before.
    says(
        &["hours = \"!office\"", "", "from = \"withheld\""],
        "a call from withheld to +12135550100 goes to `b` at the latest",
    );
}
