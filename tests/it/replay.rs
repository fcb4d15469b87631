//! `replay`: recorded calls decided again with another table, by the library and by the program.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use switchboard::domain::call::{Call, Channel, Fields, Platform};
use switchboard::domain::clock::Clock;
use switchboard::domain::facts::Facts;
use switchboard::domain::party::Party;
use switchboard::domain::secret::Secret;
use switchboard::http::public;
use switchboard::pipeline::Switchboard;
use switchboard::records::{CallRecord, Filter, NewCall, Order, PageCursor, Recorder, Store};
use switchboard::replay::Replay;
use switchboard::rules;
use switchboard::rules::engine::decide_offline;
use switchboard::rules::{CheckContext, RuleSet};
use switchboard::settings::{NumberStorage, Purpose, RecordsLocation, RecordsSettings, Settings};
use switchboard::source::Source;
use switchboard::telemetry::Counters;
use tokio_util::sync::CancellationToken;

use crate::rules::matches_snapshot;
use crate::support::app::{self, NOW_MS, SETTINGS, retell_call, retell_request};
use crate::support::program::{program, text};
use crate::support::wait;

/// Decides each call with `table` at its time, and records it in a file.
pub(crate) async fn record(
    file: &Path,
    numbers: NumberStorage,
    stamp: bool,
    table: &RuleSet,
    calls: &[(Call<'_>, Timestamp)],
) {
    let location = RecordsLocation::Sqlite(file.to_owned());
    let records = RecordsSettings { location, numbers, stamp, ..RecordsSettings::off() };
    let clock = Clock::Fixed(Timestamp::UNIX_EPOCH);
    let (recorder, writer) = Recorder::new(records, &Counters::default(), clock);
    let stop = CancellationToken::new();
    let writer = tokio::spawn(writer.expect("records are on").run(stop.clone()));
    for (call, at) in calls {
        let decision = decide_offline(table, call, &Facts::at(*at));
        let fingerprint = &table.fingerprint;
        let id = recorder.id(*at);
        recorder.record_call(NewCall {
            id,
            at: *at,
            call,
            decision: &decision,
            fingerprint,
            lookups: &[],
            latency_us: 7,
        });
    }
    stop.cancel();
    writer.await.expect("the writer ends");
}

/// Decides this many calls with `table`, a minute apart, and records them in a file.
pub(crate) async fn record_some(file: &Path, table: &RuleSet, calls: u32) {
    let number = |text: &str| Party::parse(Some(text)).party;
    let from = number("+12137771234");
    let call = |number: u32| {
        let fields = Fields { from: from.clone(), ..Fields::unknown(Channel::Call) };
        let platform = Platform::new("retell");
        let at = Timestamp::from_millisecond(NOW_MS + i64::from(number) * 60_000).unwrap();
        (Call::synthetic("retell", platform, fields), at)
    };
    let calls: Vec<_> = (0..calls).map(call).collect();
    record(file, NumberStorage::Full, false, table, &calls).await;
}

/// Replays all records of a file with another table. Returns the report.
pub(crate) async fn replay(file: &Path, table: &RuleSet, sources: &[Source]) -> Value {
    let mut replay = Replay::new(table, sources, 3);
    read_calls(file).await.iter().for_each(|record| replay.call(record));
    replay.to_json()
}

async fn read_calls(file: &Path) -> Vec<CallRecord> {
    let store =
        Store::open_to_read(&RecordsLocation::Sqlite(file.to_owned())).await.expect("a store");
    let page = PageCursor { limit: 1_000, order: Order::OldestFirst, beyond: None };
    let records = store.calls(&Filter::default(), page).await.expect("records");
    store.close().await;
    records
}

// ---- the real program

const RECORDS_URL: &str = "sqlite:records.db";

/// Settings for the program, with rules and records beside the file.
fn settings(records_url: &str) -> String {
    format!("[rules]\npath = \"rules.toml\"\n[records]\nurl = \"{records_url}\"\n{SETTINGS}")
}

const RULES: &str = r#"
zone = "America/New_York"

[agents]
night = "agent_n1ght"
desk = { retell = "agent_fr0nt", version = 3, synthflow = "1716" }
desk-v2 = { retell = "agent_fr0nt", version = 4, synthflow = "1717" }

[hours.office]
mon-fri = "09:00-18:00"

[[rule]]
name = "blocked"
from = "+1900*"
reject = "blocklist"

[[rule]]
name = "greeting"
continue = true
variables = { caller = "${from}", tier = "${sip.x-tier|none}" }
metadata = { desk = 1 }

[[rule]]
name = "after hours"
hours = "!office"
agent = "night"
delay_ms = 1500

[[rule]]
name = "new greeting"
to = "+12135550100"
split = [{ agent = "desk", percent = 50 }, { agent = "desk-v2", percent = 50 }]

[[rule]]
name = "everyone else"
agent = "desk"
"#;

/// A Friday, in office hours.
const NOON: &str = "2026-11-20T12:00:00-05:00";
const NIGHT: &str = "2026-11-20T22:30:00-05:00";

fn call<'c>(source: &'c str, from: &str, to: &str) -> Call<'c> {
    let party = |text| Party::parse(Some(text)).party;
    let platform = if source == "synthflow" { "synthflow" } else { "retell" };
    let fields = Fields { from: party(from), to: party(to), ..Fields::unknown(Channel::Call) };
    Call::synthetic(source, Platform::new(platform), fields)
}

fn at(time: &str, seconds: i64) -> Timestamp {
    let time: Timestamp = time.parse().expect("a time");
    time + jiff::SignedDuration::from_secs(seconds)
}

#[track_caller]
fn table(text: &str) -> RuleSet {
    let loaded = rules::parse("rules.toml", text.to_owned(), &CheckContext::default());
    loaded.table.unwrap_or_else(|| panic!("{}", loaded.report))
}

/// A folder with settings, a table and records.
struct Workspace(tempfile::TempDir);

impl Workspace {
    fn new() -> Workspace {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("switchboard.toml"), settings(RECORDS_URL))
            .expect("a file");
        std::fs::write(folder.path().join("rules.toml"), RULES).expect("a file");
        Workspace(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Decides calls with [`RULES`] and records them.
    fn record(&self, numbers: NumberStorage, calls: &[(Call<'_>, Timestamp)]) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            record(&self.path("records.db"), numbers, true, &table(RULES), calls).await;
        });
    }

    /// Records sixteen calls of all kinds.
    fn record_sixteen_calls(&self) {
        let mut calls = Vec::new();
        for caller in 0..4 {
            let from = format!("+1312555017{caller}");
            let seconds = caller * 60;
            calls.push((call("retell", &from, "+12137771235"), at(NOON, seconds)));
            calls.push((call("retell", &from, "+12135550100"), at(NOON, seconds + 1)));
            calls.push((call("synthflow", &from, "+12137771235"), at(NIGHT, seconds)));
        }
        calls.push((call("retell", "+19005550100", "+12137771235"), at(NOON, 500)));
        calls.push((call("retell", "+19005550101", "+12137771235"), at(NIGHT, 500)));
        calls.push((call("retell", "anonymous", "+12135550100"), at(NOON, 600)));
        calls.push((call("retell", "client:jane", "1001"), at(NIGHT, 600)));
        self.record(NumberStorage::Full, &calls);
    }

    /// Runs `replay` with a changed table.
    fn replay_with(&self, changes: &[(&str, &str)], arguments: &[&str]) -> Output {
        let new = changes.iter().fold(RULES.to_owned(), |text, (old, new)| {
            assert!(text.contains(old), "{old}");
            text.replace(old, new)
        });
        let path = self.path("new.toml");
        std::fs::write(&path, new).expect("a file");
        self.replay(&[&["--rules", &utf8(&path)], arguments].concat())
    }

    fn replay(&self, arguments: &[&str]) -> Output {
        let config = utf8(&self.path("switchboard.toml"));
        let mut replay = program();
        replay.args(["replay", "--config", &config, "--zone", "America/New_York"]).args(arguments);
        if !arguments.contains(&"--since") {
            replay.args(["--since", "2026-11-01"]);
        }
        wait::output(&mut replay)
    }
}

fn utf8(path: &Path) -> String {
    path.to_str().expect("text").to_owned()
}

/// Returns the output with record ids, which differ in each run, replaced by `ID`.
#[track_caller]
fn printed(output: &Output) -> String {
    let is_id = |word: &str| word.len() == 36 && word.matches('-').count() == 4;
    let out = text(&output.stdout);
    let lines = out.lines().map(|line| {
        let (rest, last) = line.rsplit_once(' ').unwrap_or(("", line));
        if is_id(last) { format!("{rest} ID\n") } else { format!("{line}\n") }
    });
    lines.collect()
}

#[track_caller]
fn snapshot(name: &str, changes: &[(&str, &str)], output: &Output) {
    let changes = changes.iter().map(|(old, new)| format!("{old}\n    is now {new}\n"));
    matches_snapshot("replay", name, &changes.collect::<String>(), &printed(output));
}

#[track_caller]
fn code(output: &Output) -> i32 {
    output.status.code().expect("no signal ended it")
}

#[test]
fn replaying_with_the_same_table_changes_nothing() {
    let workspace = Workspace::new();
    workspace.record_sixteen_calls();
    let output = workspace.replay(&["--expect-same"]);
    assert_eq!(code(&output), 0, "{}{}", text(&output.stdout), text(&output.stderr));
    snapshot("same_table", &[], &output);
}

#[test]
fn rerouted_calls_are_grouped_by_rule_most_first() {
    let workspace = Workspace::new();
    workspace.record_sixteen_calls();
    let changes = [
        ("mon-fri = \"09:00-18:00\"", "mon-fri = \"09:00-23:00\""),
        ("reject = \"blocklist\"", "agent = \"night\""),
        ("tier = \"${sip.x-tier|none}\"", "tier = \"${sip.x-tier|silver}\""),
    ];
    let output = workspace.replay_with(&changes, &["--examples", "2", "--expect-same"]);
    assert_eq!(code(&output), 1, "{}", text(&output.stderr));
    snapshot("rerouted_calls", &changes, &output);
}

#[test]
fn a_renamed_rule_with_the_same_reply_is_listed_but_is_not_a_change() {
    let workspace = Workspace::new();
    workspace.record_sixteen_calls();
    let changes = [
        ("name = \"after hours\"", "name = \"outside office hours\""),
        ("name = \"greeting\"", "name = \"caller\""),
    ];
    let output = workspace.replay_with(&changes, &["--expect-same"]);
    assert_eq!(code(&output), 0, "{}{}", text(&output.stdout), text(&output.stderr));
    snapshot("renamed_rules", &changes, &output);
}

#[test]
fn changed_payloads_are_listed_by_field() {
    let workspace = Workspace::new();
    workspace.record_sixteen_calls();
    let changes = [
        ("caller = \"${from}\"", "number = \"${from}\""),
        ("metadata = { desk = 1 }", "metadata = { desk = 2 }"),
        ("delay_ms = 1500", "delay_ms = 1000"),
    ];
    let output = workspace.replay_with(&changes, &["--examples", "1", "--expect-same"]);
    assert_eq!(code(&output), 1, "{}", text(&output.stderr));
    snapshot("changed_payloads", &changes, &output);
}

#[test]
fn a_call_is_replayed_at_the_time_it_was_received() {
    let workspace = Workspace::new();
    let night = (call("retell", "+13125550170", "+12137771235"), at(NIGHT, 0));
    let noon = (call("retell", "+13125550171", "+12137771235"), at(NOON, 0));
    workspace.record(NumberStorage::Full, &[night, noon]);
    let replay = |changes: &[(&str, &str)]| -> Value {
        let output = workspace.replay_with(changes, &["--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    };
    assert_eq!(replay(&[])["unchanged"], 2);
    let later = replay(&[("18:00", "22:31")]);
    let group = &later["rerouted"]["groups"][0];
    assert_eq!(
        (&group["old"]["rule"], &group["new"]["rule"]),
        (&"after hours".into(), &"everyone else".into())
    );
    assert_eq!(group["examples"][0]["at"], "2026-11-21T03:30:00Z");
    assert_eq!((&later["unchanged"], &later["rerouted"]["calls"]), (&1.into(), &1.into()));
    assert_eq!(replay(&[("18:00", "22:30")])["unchanged"], 2, "the call came at 22:30");
}

#[test]
fn calls_that_cannot_be_replayed_are_counted_by_reason() {
    let workspace = Workspace::new();
    let one = |source, from| (call(source, from, "+12137771235"), at(NOON, 0));
    workspace
        .record(NumberStorage::Full, &[one("retell", "+13125550170"), one("old", "+13125550171")]);
    let key = NumberStorage::Hashed(Secret::new("0123456789abcdef"));
    workspace.record(key, &[one("retell", "+13125550172")]);
    workspace.record(
        NumberStorage::Masked,
        &[one("retell", "+13125550173"), one("retell", "+13125550174")],
    );
    let output = workspace.replay(&["--expect-same"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    snapshot("calls_not_replayed", &[], &output);
    let output = workspace.replay(&["--source", "old"]);
    assert_eq!(code(&output), 2, "no call could be replayed");
    snapshot("only_calls_not_replayed", &[], &output);
}

#[test]
fn a_fallback_is_not_replayed() {
    let workspace = Workspace::new();
    let (one, at) = (call("retell", "+13125550170", "+12137771235"), at(NOON, 0));
    workspace.record(NumberStorage::Full, &[(one.clone(), at)]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (settings, _) = app::load_settings(SETTINGS, Purpose::Inspect);
    let sources = settings.expect("good settings").sources;
    let table = table(RULES);
    for (outcome, rule, why, is_replayed) in [
        ("keep", None, Some("fallback"), false),
        ("keep", None, Some("no_agent_id"), false),
        ("reject", None, Some("fallback"), false),
        ("agent", None, None, false),
        ("keep", None, Some("no_rule"), true),
        ("keep", Some("gone"), Some("no_agent_id"), true),
        ("reject", Some("gone"), None, true),
    ] {
        let mut record = runtime.block_on(read_calls(&workspace.path("records.db"))).remove(0);
        record.outcome = outcome.to_owned();
        record.rule = rule.map(str::to_owned);
        record.details.reason = why.map(Into::into);
        let mut replay = Replay::new(&table, &sources, 0);
        replay.call(&record);
        assert_eq!(replay.replayed(), u64::from(is_replayed), "{outcome} {rule:?} {why:?}");
    }
}

#[test]
fn replay_has_the_filters_of_records_list() {
    let workspace = Workspace::new();
    workspace.record_sixteen_calls();
    for (arguments, calls) in [
        (&["--source", "synthflow"][..], 4),
        (&["--rule", "new greeting"], 5),
        (&["--number", "+1 (312) 555-0171"], 3),
        (&["--number", "+12135550100"], 5),
        (&["--number", "withheld"], 1),
        (&["--outcome", "reject"], 2),
        (&["--until", "2026-11-20 12:01"], 2),
        (&["--since", "2026-11-20 22:00", "--until", "2026-11-21"], 6),
        (&["--limit", "5"], 5),
        (&["--since", "2026-11-21"], 0),
    ] {
        let output = workspace.replay(&[arguments, &["--json"]].concat());
        assert_eq!(code(&output), 0, "{arguments:?}: {}", text(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(
            (&report["unchanged"], &report["replayed"]),
            (&calls.into(), &calls.into()),
            "{arguments:?}"
        );
    }
}

#[test]
fn exit_status_2_means_that_replay_could_not_run() {
    let workspace = Workspace::new();
    let stderr = |arguments: &[&str], expected: i32| {
        let output = workspace.replay(arguments);
        assert_eq!(code(&output), expected, "{arguments:?}: {output:?}");
        text(&output.stderr).replace(&utf8(workspace.0.path()), "FOLDER")
    };
    assert_eq!(
        stderr(&[], 2),
        "error: there is no FOLDER/records.db: nothing has been recorded yet\n"
    );
    workspace.record_sixteen_calls();
    assert_eq!(stderr(&[], 0), "");
    assert!(stderr(&["--since", "some day"], 2).starts_with("error: --since: "));
    assert!(
        stderr(&["--rules", "none.toml"], 2).starts_with("error: cannot read the rules none.toml")
    );
    let bad = RULES.replace("agent = \"night\"", "agent = \"nigth\"");
    std::fs::write(workspace.path("bad.toml"), bad).expect("a file");
    let report = stderr(&["--rules", &utf8(&workspace.path("bad.toml"))], 2);
    assert!(
        report.contains("FOLDER/bad.toml:") && report.contains("did you mean `night`"),
        "{report}"
    );
    for (url, why) in [("off", "records are off"), ("memory:", "in the memory of the service")] {
        std::fs::write(workspace.path("switchboard.toml"), settings(url)).expect("a file");
        assert!(stderr(&[], 2).contains(why), "{url}");
    }
}

#[test]
fn a_time_without_calls_is_not_an_error() {
    let workspace = Workspace::new();
    workspace.record_sixteen_calls();
    let output = workspace.replay(&["--until", "2026-11-02", "--expect-same"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "no matching calls are recorded\n");
}

#[test]
fn every_call_of_many_pages_is_replayed_once() {
    let workspace = Workspace::new();
    let calls = (0..4_100).map(|number| {
        let from = format!("+1312555{number:04}");
        (call("retell", &from, "+12137771235"), at(NOON, number / 100))
    });
    workspace.record(NumberStorage::Full, &calls.collect::<Vec<_>>());
    for (limit, expected) in [("4200", 4_100), ("4000", 4_000), ("1", 1)] {
        let output = workspace.replay(&["--json", "--limit", limit]);
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(
            (&report["unchanged"], &report["recorded"]),
            (&expected.into(), &4_100.into()),
            "{report:#}"
        );
    }
    let output = workspace.replay(&["--limit", "7"]);
    assert!(
        printed(&output)
            .ends_with("\nreplayed the first 7 of 4100 calls; raise --limit to replay more\n"),
        "{output:?}"
    );
}

#[tokio::test]
async fn the_record_id_in_a_reply_is_not_a_change() {
    let workspace = Workspace::new();
    let load = || app::load_settings(SETTINGS, Purpose::Serve).0.expect("good settings");
    let (file, Settings { sources, server, .. }) = (workspace.path("records.db"), load());
    let location = RecordsLocation::Sqlite(file.clone());
    let records = RecordsSettings { location, stamp: true, ..RecordsSettings::off() };
    let clock = Clock::Fixed(Timestamp::from_millisecond(NOW_MS).expect("a time"));
    let (app, writer) = Switchboard::with_records(sources, table(RULES), clock, records);
    let router = public::router(Arc::new(app), &server);
    // The first call has metadata from the rules, the second has none.
    for from in ["+13125550170", "+19005550100"] {
        let body = retell_call(from, "+12137771235");
        let answer = app::answer(&router, retell_request("/inbound/retell", body.as_bytes())).await;
        assert!(from.contains("900") || text(&answer.body).contains("switchboard_id"));
    }
    let stop = CancellationToken::new();
    stop.cancel();
    writer.expect("records are on").run(stop.clone()).await;
    drop(stop);
    let report = replay(&file, &table(RULES), &load().sources).await;
    assert_eq!((&report["unchanged"], &report["replayed"]), (&2.into(), &2.into()), "{report:#}");
    let without_metadata = RULES.replace("metadata = { desk = 1 }", "");
    let report = replay(&file, &table(&without_metadata), &load().sources).await;
    assert_eq!(
        report["payload_changed"]["groups"][0]["fields"],
        json!(["metadata.desk"]),
        "{report:#}"
    );
}
