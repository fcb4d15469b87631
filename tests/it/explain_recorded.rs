//! Rule snapshots: the files of a table are stored, and recorded calls are explained with them.

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
fn a_snapshot_restores_a_table_whose_files_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "rules.toml", RULES);
    write(folder.path(), "lists/vip.csv", "number,greeting\n+12137771234,\"Hello, you\"\n");
    let (table, snapshot) = loaded(&folder.path().join("rules.toml"));
    let snapshot = snapshot.expect("a small table has a snapshot");
    let written = serde_json::to_string(&snapshot).unwrap();
    folder.close().unwrap();

    let read: Snapshot = serde_json::from_str(&written).unwrap();
    assert_eq!(read, snapshot);
    let restored = parse_snapshot(&read, &CheckContext::default());
    let restored = restored.table.unwrap_or_else(|| panic!("{}", restored.report));
    assert_eq!(restored.fingerprint, table.fingerprint);
    assert_eq!((restored.rules.len(), restored.lists.all().len()), (2, 1));
}

#[test]
fn a_snapshot_keeps_the_order_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let rule = |name: &str| format!("[[rule]]\nname = \"{name}\"\nfrom = \"DE\"\nagent = \"a\"\n");
    write(folder.path(), "20.toml", &rule("second"));
    write(folder.path(), "10.toml", &rule("first"));
    let (table, snapshot) = loaded(folder.path());
    let restored = parse_snapshot(&snapshot.unwrap(), &CheckContext::default()).table.unwrap();
    assert_eq!(restored.fingerprint, table.fingerprint);
    let names: Vec<_> = restored.rules.iter().map(|rule| &*rule.name).collect();
    assert_eq!(names, ["first", "second"]);
}

#[test]
fn a_snapshot_with_a_different_fingerprint_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "rules.toml", RULES);
    write(folder.path(), "lists/vip.csv", "number,greeting\n");
    let (table, snapshot) = loaded(&folder.path().join("rules.toml"));
    let record = |fingerprint: &str| RuleSnapshot {
        fingerprint: fingerprint.to_owned(),
        at: Timestamp::UNIX_EPOCH,
        files: snapshot.clone().unwrap(),
    };
    let loaded =
        load_snapshot(Some(&record(&table.fingerprint))).expect("the fingerprints are equal");
    assert_eq!(loaded.fingerprint, table.fingerprint);
    assert!(load_snapshot(Some(&record("0123456789ab"))).is_none());
    assert!(load_snapshot(None).is_none());
}

#[test]
fn a_table_over_one_megabyte_has_no_snapshot_in_the_records() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "rules.toml", RULES);
    let limit = Snapshot::MAX_BYTES as usize - RULES.len();
    for (bytes, has_snapshot) in [(limit, true), (limit + 1, false)] {
        let header = "number,greeting\n";
        let rows = format!("{header}{}", "\n".repeat(bytes - header.len()));
        write(folder.path(), "lists/vip.csv", &rows);
        let (_, snapshot) = loaded(&folder.path().join("rules.toml"));
        let is_stored = snapshot.is_some_and(|snapshot| snapshot.fits_into_records());
        assert_eq!(is_stored, has_snapshot, "{bytes} bytes of a list");
    }
}

#[test]
fn a_file_that_is_not_utf_8_is_not_in_a_snapshot_and_its_absence_is_an_error() {
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

/// Sends a call, changes a list, and returns the explanation of the call in `records show`.
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
fn a_recorded_call_is_explained_with_its_own_lists() {
    let explained = explained_after_an_edit("full");
    assert_eq!((&explained["rule"], &explained["agent"]), (&"vip".into(), &"desk".into()));
    assert_eq!(explained["notes"], Value::Array(Vec::new()), "{explained:#}");
}

#[test]
fn with_masked_numbers_the_explanation_is_unavailable_and_says_why() {
    let explained = explained_after_an_edit("masked");
    let why = explained["unavailable"].as_str().expect("a reason");
    assert!(why.contains("masked"), "{why}");
}
