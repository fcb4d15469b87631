//! `switchboard check`: every mistake in one run, and what no test reaches.

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
split = [{ agent = "a", percent = 50 }, { agent = "b", percent = 50 }]

[[rule]]
name = "withheld"
from = "withheld"
reject = true

[[rule]]
name = "everyone"
agent = "c"
"#;

/// Somebody whose number falls into this half of the split.
fn caller(arm: usize) -> String {
    let number = |tail: u64| format!("+1213777{tail:04}");
    let falls = |number: &String| {
        let (_folder, settings) = program::folder(SETTINGS, SPLIT);
        let call = ["--from", number, "--to", "+12135550100"];
        let told = run(&[&["explain", "--json", "--config", &settings], &call[..]].concat());
        let told: Value = serde_json::from_slice(&told.stdout).unwrap();
        told["arm"] == arm
    };
    (0..50).map(number).find(falls).expect("half of them fall there")
}

fn test(name: &str, from: &str, to: &str, rule: &str) -> String {
    format!(
        "[[test]]\nname = \"{name}\"\nfrom = \"{from}\"\nto = \"{to}\"\nexpect = {{ rule = \"{rule}\" }}\n"
    )
}

#[test]
fn coverage_names_the_rules_and_the_arms_that_no_test_reaches() {
    let first = test("first arm", &caller(0), "+12135550100", "switched");
    let second = test("second arm", &caller(1), "+12135550100", "switched");
    let else_ = test("everyone", "+12137771234", "+12135550101", "everyone");
    let nobody = test("nobody", "withheld", "+12135550101", "withheld");
    let some = format!("{SPLIT}{first}{else_}");
    let told = text(&check(&some, &["--coverage"]).stdout);
    assert!(told.contains("rule `withheld` has no test"), "{told}");
    assert!(told.contains("arm 2 of rule `switched` has no test"), "{told}");
    assert!(!told.contains("arm 1") && !told.contains("rule `everyone`"), "{told}");
    assert!(told.contains("0 errors, 2 warnings"), "{told}");
    for (table, arguments, code) in [
        (&some, &["--coverage"][..], 0),
        (&some, &["--strict"], 0),
        (&some, &["--strict", "--coverage"], 1),
        (&format!("{some}{second}{nobody}"), &["--strict", "--coverage"], 0),
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
    let told = text(&checked.stdout);
    assert_eq!(checked.status.code(), Some(0), "{told}");
    assert!(told.contains("2 rules, 2 agents, 1 test passed; 0 errors, 0 warnings"), "{told}");
    file("20-all.toml", "[[rule]]\nname = \"vip\"\nagnt = \"a\"\n");
    file("15-latin.toml", "# nothing\n");
    std::fs::write(folder.path().join("15-latin.toml"), b"# caf\xe9\n").unwrap();
    let checked = run(&["check", "--rules", path]);
    let told = text(&checked.stdout);
    assert_eq!(checked.status.code(), Some(1), "{told}");
    for place in ["15-latin.toml:1:6", "20-all.toml:2:8", "20-all.toml:3:1"] {
        assert!(told.contains(place), "{place}: {told}");
    }
    for (what, path) in [("an empty folder", "empty"), ("nothing", "missing")] {
        std::fs::create_dir_all(folder.path().join("empty")).unwrap();
        let path = folder.path().join(path);
        let checked = run(&["check", "--rules", path.to_str().unwrap()]);
        assert_eq!(checked.status.code(), Some(2), "{what}");
        let said = text(&checked.stderr);
        assert!(said.contains("cannot read the rules"), "{what}: {said}");
        assert_eq!(said.matches(path.to_str().unwrap()).count(), 1, "{said}");
    }
}

#[test]
fn four_different_mistakes_are_told_in_one_run() {
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
    let told: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let mistakes = told["diagnostics"].as_array().unwrap().iter();
    let mistakes: Vec<_> = mistakes
        .map(|mistake| {
            let file = mistake["file"].as_str().unwrap_or_default().rsplit('/').next().unwrap();
            format!("{} {file}:{}", mistake["code"].as_str().unwrap(), mistake["line"])
        })
        .collect();
    for expected in [
        "unknown-key rules.toml:6",
        "bad-split rules.toml:13",
        "never-reached rules.toml:20",
        "bad-number vip.csv:3",
    ] {
        assert!(mistakes.contains(&expected.to_owned()), "{expected}: {mistakes:#?}");
    }
    assert_eq!(mistakes.len(), 4, "and nothing that follows from them: {mistakes:#?}");
}
