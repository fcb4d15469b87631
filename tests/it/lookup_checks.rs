//! Checks of tables with look-ups, and what `explain` says about the look-ups of a call.

use switchboard::rules::CheckContext;

use crate::rules::{codes_of, two_sources};
use crate::support::app::parse_rules;
use crate::support::program::{self, run, text};

/// Returns the codes of a table with the look-ups `a`, `b` and `c` of a second each, at sources that reply
/// within three seconds.
fn codes(rules: &str) -> Vec<&'static str> {
    let lookup =
        |name| format!("[lookup.{name}]\nurl = \"https://{name}.example.com/${{from}}\"\n");
    let lookups: String = ["a", "b", "c"].map(lookup).concat();
    let everyone = "[[rule]]\nname = \"everyone\"\nagent = \"agent_1\"\n\
                    variables = { a = \"${a.x|}\", b = \"${b.x|}\", c = \"${c.x|}\" }\n";
    let text = format!("{lookups}{rules}{everyone}");
    let (_, report) = parse_rules("rules.toml", text, &two_sources());
    codes_of(&report)
}

#[test]
fn the_time_of_look_ups_is_that_of_the_rounds_in_which_they_are_asked() {
    let where_rule = |name: &str, conditions: &str, more: &str| {
        format!("[[rule]]\nname = \"{name}\"\nwhere = {{ {conditions} }}\n{more}\n")
    };
    let agent = "agent = \"agent_1\"";
    let one = where_rule("one", "\"a.x\" = \"1\"", agent);
    let two = where_rule("two", "\"b.x\" = \"1\"", agent);
    let three = where_rule("three", "\"c.x\" = \"1\"", agent);
    assert_eq!(codes(""), [""; 0], "all at the same time");
    assert_eq!(
        codes(&format!("{one}{two}")),
        ["lookups-over-budget"; 2],
        "three rounds, per source"
    );
    assert_eq!(codes(&format!("{one}{two}{three}")), ["lookups-over-budget"; 2]);
    let together = where_rule("both", "\"a.x\" = \"1\", \"b.x\" = \"1\"", agent);
    assert_eq!(codes(&together), [""; 0], "two rounds");
    // The values of a rule that does not decide are not asked for.
    let with_value = where_rule(
        "one",
        "\"a.x\" = \"1\"",
        "agent = \"agent_1\"\nvariables = { b = \"${b.x|}\" }",
    );
    assert_eq!(codes(&with_value), [""; 0], "a, then b or the others");
    // What `continue` rules need is asked together with the conditions of the next rule.
    let continuing =
        "[[rule]]\nname = \"more\"\ncontinue = true\nvariables = { b = \"${b.x|}\" }\n";
    assert_eq!(codes(&format!("{continuing}{one}")), [""; 0], "a and b, then c");
    let conditional =
        where_rule("more", "\"b.x\" = \"1\"", "continue = true\nvariables = { c = \"${c.x|}\" }");
    assert_eq!(codes(&format!("{conditional}{one}")), [""; 0], "a and b, then c");
    let rejecting = where_rule("blocked", "\"a.x\" = \"1\"", "reject = true");
    assert_eq!(codes(&format!("{conditional}{rejecting}")), [""; 0], "a, then b and c");
    let and_another = where_rule("two", "\"a.x\" = \"2\"", agent);
    let all = format!("{conditional}{rejecting}{and_another}");
    assert_eq!(codes(&all), ["lookups-over-budget"; 2], "a, then b, then c");
}

const SETTINGS: &str =
    "[sources.retell]\nplatform = \"retell\"\nsecrets = [\"env:RETELL_API_KEY\"]\n";

const RULES: &str = r#"
[agents]
front = "agent_front"
night = "agent_night"

[lookup.crm]
url = "https://crm.example.com/by-phone?phone=${from}"

[lookup.orders]
url = "https://orders.example.com/${sip.x-customer}"

[[rule]]
name = "new callers"
where = { "history.calls_30d" = "< 1" }
agent = "night"

[[rule]]
name = "open orders"
where = { "orders.open" = ">= 1" }
agent = "night"

[[rule]]
name = "everyone"
agent = "${crm.agent|front}"
"#;

fn explain(arguments: &[&str]) -> String {
    let (_folder, settings) = program::folder(SETTINGS, RULES);
    let ran = run(&[&["explain", "--config", &settings], arguments].concat());
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    text(&ran.stdout)
}

#[test]
fn explain_names_every_look_up_that_the_decision_does_without() {
    let known = explain(&["--from", "+12137771234"]);
    for expected in [
        "where history.calls_30d is unknown (the look-up was not asked)",
        "\nlook-up history: not asked; --live asks\n",
        "\nlook-up orders: not asked, it needs `sip.x-customer`, which this call does not have\n",
        "\nlook-up crm: not asked; --live asks\n  GET https://crm.example.com/by-phone?phone=%2B12137771234\n",
    ] {
        assert!(known.contains(expected), "{expected}: {known}");
    }
    let withheld = explain(&["--from", "withheld"]);
    for expected in [
        "\nlook-up history: not asked, the number is withheld\n",
        "\nlook-up crm: not asked, it needs `from`, which this call does not have\n",
    ] {
        assert!(withheld.contains(expected), "{expected}: {withheld}");
    }
}

/// A test without a `history` is about a caller who calls for the first time; an explanation that asks
/// nothing knows nothing about the caller.
#[test]
fn a_test_that_explain_prints_passes_in_a_table_with_a_history() {
    for (from, rule) in [("+12137771234", "new callers"), ("withheld", "everyone")] {
        let test = explain(&["--from", from, "--as-test"]);
        assert!(test.contains(&format!("rule = \"{rule}\"")), "{test}");
        let (table, report) =
            parse_rules("rules.toml", format!("{RULES}{test}"), &CheckContext::default());
        assert!(table.is_some(), "{report}");
    }
}

#[test]
fn a_condition_that_no_history_satisfies_is_reported() {
    for (condition, expected) in [
        (r#""history.calls_24h" = ">= 1000""#, &[][..]),
        (r#""history.calls_24h" = "> 999""#, &[]),
        (r#""history.calls_1h" = 5"#, &[]),
        (r#""history.calls_1h" = "5""#, &[]),
        (r#""history.calls_1h" = "!0""#, &[]),
        (r#""history.last_seen_days" = ">= 30""#, &[]),
        (r#""history.last_agent" = "nobody""#, &[]),
        (r#""history.calls_24h" = ">= 2000""#, &["no-such-value"]),
        (r#""history.calls_24h" = "> 1000""#, &["no-such-value"]),
        (r#""history.calls_1h" = "many""#, &["no-such-value"]),
        (r#""history.calls_1h" = 2.5"#, &["no-such-value"]),
        (r#""history.calls_30d" = "!>= 0""#, &["no-such-value"]),
        (r#""history.last_seen_days" = "< 0""#, &["no-such-value"]),
    ] {
        let rule = format!(
            "[[rule]]\nname = \"often\"\nwhere = {{ {condition} }}\nagent = \"agent_1\"\n\
             variables = {{ a = \"\", b = \"\", c = \"\" }}\n"
        );
        assert_eq!(codes(&rule), expected, "{condition}");
    }
}
