//! `switchboard check`: all diagnostics in one run, and coverage by tests.

use std::process::Output;

use serde_json::Value;

use crate::support::program::{self, SETTINGS, run, text};

fn check(rules: &str, arguments: &[&str]) -> Output {
    let (_folder, settings) = program::folder(SETTINGS, rules);
    run(&[&["check", "--config", &settings], arguments].concat())
}

const SPLIT: &str = r#"[[rule]]
name = "switched"
to = "+12135550100"
split = [{ agent = "agent_a", percent = 50 }, { agent = "agent_b", percent = 50 }]

[[rule]]
name = "withheld"
from = "withheld"
reject = true

[[rule]]
name = "everyone"
agent = "agent_c"
"#;

/// Returns a caller who is assigned to this arm of the split.
fn caller(arm: usize) -> String {
    let number = |tail: u64| format!("+1213777{tail:04}");
    let is_in_arm = |number: &String| {
        let (_folder, settings) = program::folder(SETTINGS, SPLIT);
        let call = ["--from", number, "--to", "+12135550100"];
        let explained = run(&[&["explain", "--json", "--config", &settings], &call[..]].concat());
        let explained: Value = serde_json::from_slice(&explained.stdout).unwrap();
        explained["arm"] == arm
    };
    (0..50).map(number).find(is_in_arm).expect("half of the callers are in each arm")
}

fn test(name: &str, from: &str, to: &str, rule: &str) -> String {
    format!(
        "[[test]]\nname = \"{name}\"\nfrom = \"{from}\"\nto = \"{to}\"\nexpect = {{ rule = \"{rule}\" }}\n"
    )
}

#[test]
fn coverage_reports_rules_and_arms_without_a_test() {
    let first = test("first arm", &caller(0), "+12135550100", "switched");
    let second = test("second arm", &caller(1), "+12135550100", "switched");
    let everyone = test("everyone", "+12137771234", "+12135550101", "everyone");
    let withheld = test("withheld", "withheld", "+12135550101", "withheld");
    let some = format!("{SPLIT}{first}{everyone}");
    let report = text(&check(&some, &["--coverage"]).stdout);
    assert!(report.contains("rule `withheld` has no test"), "{report}");
    assert!(report.contains("arm 2 of rule `switched` has no test"), "{report}");
    assert!(!report.contains("arm 1") && !report.contains("rule `everyone`"), "{report}");
    assert!(report.contains("0 errors, 2 warnings"), "{report}");
    for (table, arguments, code) in [
        (&some, &["--coverage"][..], 0),
        (&some, &["--strict"], 0),
        (&some, &["--strict", "--coverage"], 1),
        (&format!("{some}{second}{withheld}"), &["--strict", "--coverage"], 0),
    ] {
        let checked = check(table, arguments);
        assert_eq!(checked.status.code(), Some(code), "{arguments:?} {}", text(&checked.stdout));
    }
}

#[test]
fn a_folder_is_one_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    file("10-vip.toml", "[[rule]]\nname = \"vip\"\nfrom = \"+12137771234\"\nagent = \"vip\"\n");
    file("20-all.toml", "[[rule]]\nname = \"everyone\"\nagent = \"a\"\n");
    file("30-tests.toml", &test("vip", "+12137771234", "", "vip"));
    let checked = run(&["check", "--strict", "--rules", path]);
    let report = text(&checked.stdout);
    assert_eq!(checked.status.code(), Some(0), "{report}");
    assert!(report.contains("2 rules, 2 agents, 1 test passed; 0 errors, 0 warnings"), "{report}");
    file("20-all.toml", "[[rule]]\nname = \"vip\"\nagnt = \"a\"\n");
    file("15-latin.toml", "# nothing\n");
    std::fs::write(folder.path().join("15-latin.toml"), b"# caf\xe9\n").unwrap();
    let checked = run(&["check", "--rules", path]);
    let report = text(&checked.stdout);
    assert_eq!(checked.status.code(), Some(1), "{report}");
    for location in ["15-latin.toml:1:6", "20-all.toml:2:8", "20-all.toml:3:1"] {
        assert!(report.contains(location), "{location}: {report}");
    }
    for (what, path) in [("an empty folder", "empty"), ("a missing path", "missing")] {
        std::fs::create_dir_all(folder.path().join("empty")).unwrap();
        let path = folder.path().join(path);
        let checked = run(&["check", "--rules", path.to_str().unwrap()]);
        assert_eq!(checked.status.code(), Some(2), "{what}");
        let stderr = text(&checked.stderr);
        assert!(stderr.contains("cannot read the rules"), "{what}: {stderr}");
        assert_eq!(stderr.matches(path.to_str().unwrap()).count(), 1, "{stderr}");
    }
}

#[test]
fn four_different_errors_are_reported_in_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    std::fs::write(folder.path().join("vip.csv"), "number,name\n+12137771234,Ann\n+1213777,Bob\n")
        .unwrap();
    let table = r#"[lists.vip]
file = "vip.csv"

[[rule]]
name = "misspelt"
form = "DE"
from = "@vip"
agent = "a"

[[rule]]
name = "too much"
to = "+12135550100"
split = [{ agent = "a", percent = 50 }, { agent = "b", percent = 60 }]

[[rule]]
name = "everyone"
agent = "a"

[[rule]]
name = "never"
from = "FR"
agent = "b"
"#;
    std::fs::write(&rules, table).unwrap();
    let checked = run(&["check", "--json", "--rules", rules.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let diagnostics = report["diagnostics"].as_array().unwrap().iter();
    let diagnostics: Vec<_> = diagnostics
        .map(|diagnostic| {
            let file = diagnostic["file"].as_str().unwrap_or_default().rsplit('/').next().unwrap();
            format!("{} {file}:{}", diagnostic["code"].as_str().unwrap(), diagnostic["line"])
        })
        .collect();
    for expected in [
        "unknown-key rules.toml:6",
        "bad-split rules.toml:13",
        "never-reached rules.toml:20",
        "bad-number vip.csv:3",
    ] {
        assert!(diagnostics.contains(&expected.to_owned()), "{expected}: {diagnostics:#?}");
    }
    assert_eq!(diagnostics.len(), 4, "no errors that follow from them: {diagnostics:#?}");
}

/// A mistake in the settings must not make rules look wrong that name platforms which the settings declare.
#[test]
fn mistakes_in_the_settings_leave_the_platforms_known() {
    let declared = |name: &str, keep: &str| {
        format!(
            "[platforms.{name}]\nrequest = \"json\"\nfrom = \"/from\"\nto = \"/to\"\n\
             [platforms.{name}.reply]\nkeep = '{keep}'\n\
             agent = '{{}}'\n"
        )
    };
    let rules = r#"
[agents]
desk = { retell = "agent_1", turncall = "b", acme = "c", nova = "d" }

[[rule]]
name = "declared"
platform = ["turncall", "acme", "nova"]
agent = "desk"

[[rule]]
name = "everyone"
agent = "desk"
"#;
    let mistaken = format!("{SETTINGS}surplus = 1\n{}", declared("acme", "{}"));
    let settings = format!("{mistaken}{}", declared("nova", "{"));
    let (_folder, path) = program::folder(&settings, rules);
    let checked = run(&["check", "--config", &path]);
    let report = text(&checked.stdout);
    assert_eq!(checked.status.code(), Some(1), "{report}");
    assert!(report.contains("surplus") && report.contains("platforms.nova"), "{report}");
    assert!(!report.contains("rules.toml"), "{report}");
    // A name that nobody declares is still reported.
    let (_folder, path) = program::folder(&mistaken, rules);
    let report = text(&run(&["check", "--config", &path]).stdout);
    assert_eq!(report.matches("error[unknown-platform]").count(), 2, "{report}");
    assert!(report.contains("unknown platform `nova`"), "{report}");
}

#[test]
fn platforms_that_need_no_declaration_are_known_without_settings() {
    let rules = "[agents]\ndesk = { turncall = \"a\" }\n\n[[rule]]\nname = \"everyone\"\nagent = \"desk\"\n";
    let (folder, _) = program::folder(SETTINGS, rules);
    let path = folder.path().join("rules.toml");
    let checked = run(&["check", path.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stdout));
}
