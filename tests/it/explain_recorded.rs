//! The rules of then: what a table's files said is kept, and an answer is explained with it.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use serde_json::Value;
use switchboard::explain::recorded::load_snapshot;
use switchboard::records::RuleSnapshot;
use switchboard::rules::{CheckContext, RuleSet, Snapshot, load, parse_snapshot};

use crate::support::program::{Served, folder, run, start, text};

const RULES: &str = r#"
[agents]
desk = "agent_desk"
night = "agent_night"

[lists.vip]
file = "lists/vip.csv"

[[rule]]
name = "vip"
from = "@vip"
agent = "desk"
variables = { greeting = "${vip.greeting}" }

[[rule]]
name = "everyone"
agent = "night"
"#;

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[track_caller]
fn loaded(path: &Path) -> (RuleSet, Option<Snapshot>) {
    let loaded = load(path, &CheckContext::default(), &mut |_| {}).unwrap();
    let report = loaded.report;
    (loaded.table.unwrap_or_else(|| panic!("{report}")), loaded.snapshot)
}

#[test]
fn a_table_is_made_again_of_its_copies_when_its_files_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "rules.toml", RULES);
    write(folder.path(), "lists/vip.csv", "number,greeting\n+12137771234,\"Hello, you\"\n");
    let (table, copies) = loaded(&folder.path().join("rules.toml"));
    let copies = copies.expect("a small table is copied");
    let written = serde_json::to_string(&copies).unwrap();
    folder.close().unwrap();

    let read: Snapshot = serde_json::from_str(&written).unwrap();
    assert_eq!(read, copies);
    let again = parse_snapshot(&read, &CheckContext::default());
    let again = again.table.unwrap_or_else(|| panic!("{}", again.report));
    assert_eq!(again.fingerprint, table.fingerprint);
    assert_eq!((again.rules.len(), again.lists.all().len()), (2, 1));
}

#[test]
fn the_files_of_a_folder_are_copied_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let rule = |name: &str| format!("[[rule]]\nname = \"{name}\"\nfrom = \"DE\"\nagent = \"a\"\n");
    write(folder.path(), "20.toml", &rule("second"));
    write(folder.path(), "10.toml", &rule("first"));
    let (table, copies) = loaded(folder.path());
    let again = parse_snapshot(&copies.unwrap(), &CheckContext::default()).table.unwrap();
    assert_eq!(again.fingerprint, table.fingerprint);
    let names: Vec<_> = again.rules.iter().map(|rule| &*rule.name).collect();
    assert_eq!(names, ["first", "second"]);
}

#[test]
fn copies_that_are_read_as_another_table_explain_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "rules.toml", RULES);
    write(folder.path(), "lists/vip.csv", "number,greeting\n");
    let (table, copies) = loaded(&folder.path().join("rules.toml"));
    let kept = |fingerprint: &str| RuleSnapshot {
        fingerprint: fingerprint.to_owned(),
        at: Timestamp::UNIX_EPOCH,
        files: copies.clone().unwrap(),
    };
    let then = load_snapshot(Some(&kept(&table.fingerprint))).expect("it is the same");
    assert_eq!(then.fingerprint, table.fingerprint);
    assert!(load_snapshot(Some(&kept("0123456789ab"))).is_none());
    assert!(load_snapshot(None).is_none());
}

#[test]
fn a_table_of_more_than_a_megabyte_is_not_copied() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "rules.toml", RULES);
    let most = Snapshot::MAX_BYTES as usize - RULES.len();
    for (bytes, is_copied) in [(most, true), (most + 1, false)] {
        let header = "number,greeting\n";
        let rows = format!("{header}{}", "\n".repeat(bytes - header.len()));
        write(folder.path(), "lists/vip.csv", &rows);
        let (_, copies) = loaded(&folder.path().join("rules.toml"));
        assert_eq!(copies.is_some(), is_copied, "{bytes} bytes of a list");
    }
}

#[test]
fn what_is_no_text_is_not_copied_and_a_list_that_is_not_copied_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "rules.toml", RULES);
    fs::create_dir(folder.path().join("lists")).unwrap();
    fs::write(folder.path().join("lists/vip.csv"), b"number,greeting\n+12137771234,\xff\n")
        .unwrap();
    let table = load(&folder.path().join("rules.toml"), &CheckContext::default(), &mut |_| {});
    assert_eq!(table.unwrap().snapshot, None);

    let foreign = r#"{"rules":["/nowhere/rules.toml"],"files":{"/nowhere/rules.toml":"[lists.a]\nfile = \"a.csv\"\n[[rule]]\nname = \"x\"\nfrom = \"@a\"\nagent = \"y\"\n"}}"#;
    let read = parse_snapshot(&serde_json::from_str(foreign).unwrap(), &CheckContext::default());
    assert!(read.table.is_none());
    assert!(
        read.report.to_string().contains("the snapshot does not contain it"),
        "{}",
        read.report
    );
}

/// A service that answers a call, and then has another list. What `records show` tells of the call.
fn explained_after_an_edit(numbers: &str) -> Value {
    let settings = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [rules]\npath = \"rules.toml\"\n\
         [records]\nurl = \"sqlite:records.db\"\nwait = \"commit\"\nnumbers = \"{numbers}\"\n\
         [sources.retell]\nplatform = \"retell\"\nsecrets = [\"env:RETELL_API_KEY\"]\n"
    );
    let (folder, config) = folder(&settings, RULES);
    let vip = |number: &str| format!("number,greeting\n{number},Hello\n");
    write(folder.path(), "lists/vip.csv", &vip("+12137771234"));
    let served = Served::new(start(&["--config", &config]));
    let url = format!("{}/inbound/retell", served.url);
    let sent = run(&["send", "--config", &config, "--url", &url, "--from", "+12137771234"]);
    assert!(text(&sent.stdout).contains("agent_desk"), "{sent:?}");

    write(folder.path(), "lists/vip.csv", &vip("+12135550100"));
    served.signal("-HUP");
    served.wait_for_log("rules reloaded");
    let sent = run(&["send", "--config", &config, "--url", &url, "--from", "+12137771234"]);
    assert!(text(&sent.stdout).contains("agent_night"), "{sent:?}");

    let listed = run(&["records", "list", "--config", &config, "--json", "--rule", "vip"]);
    let call: Value = serde_json::from_slice(&listed.stdout).expect("one call");
    let id = call["id"].as_str().unwrap();
    let shown = run(&["records", "show", id, "--config", &config, "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).expect("a call");
    shown["explanation"].clone()
}

#[test]
fn an_answer_is_explained_with_the_lists_of_then() {
    let explained = explained_after_an_edit("full");
    assert_eq!((&explained["rule"], &explained["agent"]), (&"vip".into(), &"desk".into()));
    assert_eq!(explained["notes"], Value::Array(Vec::new()), "{explained:#}");
}

#[test]
fn where_numbers_are_masked_no_table_is_kept_and_it_is_told_why_nothing_is_explained() {
    let explained = explained_after_an_edit("masked");
    let why = explained["unavailable"].as_str().expect("why it is not");
    assert!(why.contains("masked"), "{why}");
}
