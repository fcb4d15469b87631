//! `replay`: recorded calls through another table, by the library and by the real program.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use switchboard::domain::call::{Call, Channel, Fields, Platform};
use switchboard::domain::clock::Clock;
use switchboard::domain::facts::Facts;
use switchboard::domain::phone_number::Party;
use switchboard::domain::secret::Secret;
use switchboard::http::public;
use switchboard::pipeline::Switchboard;
use switchboard::records::{CallRecord, Filter, NewCall, Order, Page, Recorder, Store};
use switchboard::replay::Replay;
use switchboard::rules;
use switchboard::rules::engine::decide;
use switchboard::rules::{CheckContext, RuleSet};
use switchboard::settings::{NumberStorage, Purpose, RecordsLocation, RecordsSettings, Settings};
use switchboard::source::Source;
use switchboard::telemetry::Counters;
use tokio_util::sync::CancellationToken;

use crate::rules::matches_snapshot;
use crate::support::app::{self, NOW_MS, answer, retell_call, retell_request};
use crate::support::program::{program, text};
use crate::support::wait;

/// Answers each call by `table`, at its own time, and writes that down in this file.
pub(crate) async fn record(
    file: &Path,
    numbers: NumberStorage,
    stamp: bool,
    table: &RuleSet,
    calls: &[(Call<'_>, Timestamp)],
) {
    let place = RecordsLocation::Sqlite(file.to_owned());
    let records = RecordsSettings { location: place, numbers, stamp, ..RecordsSettings::off() };
    let clock = Clock::Fixed(Timestamp::UNIX_EPOCH);
    let (recorder, writer) = Recorder::new(records, &Counters::default(), clock);
    let stop = CancellationToken::new();
    let writer = tokio::spawn(writer.expect("records are on").run(stop.clone()));
    for (call, at) in calls {
        let decision = decide(table, call, &Facts { at: *at });
        let fingerprint = &table.fingerprint;
        let id = recorder.id(*at);
        recorder.record_call(NewCall {
            id,
            at: *at,
            call,
            decision: &decision,
            fingerprint,
            latency_us: 7,
        });
    }
    stop.cancel();
    writer.await.expect("it ends when all is written");
}

/// All that is recorded in this file, through another table.
pub(crate) async fn replayed(file: &Path, table: &RuleSet, sources: &[Source]) -> Value {
    let mut replay = Replay::new(table, sources, 3);
    all(file).await.iter().for_each(|record| replay.call(record));
    replay.to_json()
}

async fn all(file: &Path) -> Vec<CallRecord> {
    let store =
        Store::open_to_read(&RecordsLocation::Sqlite(file.to_owned())).await.expect("a store");
    let page = Page { limit: 1_000, order: Order::OldestFirst, beyond: None };
    let records = store.calls(&Filter::default(), page).await.expect("records");
    store.close().await;
    records
}

// ---- the real program

const SETTINGS: &str = r#"
[rules]
path = "rules.toml"
[records]
url = "sqlite:records.db"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
[sources.synthflow]
platform = "synthflow"
secrets = ["env:SYNTHFLOW_SECRET"]
url_token = "env:URL_TOKEN"
"#;

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

/// Settings, a table and records in a folder of their own.
struct House(tempfile::TempDir);

impl House {
    fn new() -> House {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("switchboard.toml"), SETTINGS).expect("a file");
        std::fs::write(folder.path().join("rules.toml"), RULES).expect("a file");
        House(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Answers calls by the table of this house.
    fn answers(&self, numbers: NumberStorage, calls: &[(Call<'_>, Timestamp)]) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            record(&self.path("records.db"), numbers, true, &table(RULES), calls).await;
        });
    }

    /// Sixteen calls of a day, of each kind some.
    fn answers_a_day(&self) {
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
        self.answers(NumberStorage::Full, &calls);
    }

    /// `replay` of all records through a table that differs in this.
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

/// What it prints, with the ids of records, which differ each time, in their place.
#[track_caller]
fn said(output: &Output) -> String {
    let ids = |word: &str| word.len() == 36 && word.matches('-').count() == 4;
    let out = text(&output.stdout);
    let lines = out.lines().map(|line| {
        let (rest, last) = line.rsplit_once(' ').unwrap_or(("", line));
        if ids(last) { format!("{rest} ID\n") } else { format!("{line}\n") }
    });
    lines.collect()
}

#[track_caller]
fn snapshot(name: &str, changes: &[(&str, &str)], output: &Output) {
    let changes = changes.iter().map(|(old, new)| format!("{old}\n    is now {new}\n"));
    matches_snapshot("replay", name, &changes.collect::<String>(), &said(output));
}

#[track_caller]
fn code(output: &Output) -> i32 {
    output.status.code().expect("it ends by itself")
}

#[test]
fn the_table_that_answered_changes_nothing() {
    let house = House::new();
    house.answers_a_day();
    let output = house.replay(&["--expect-same"]);
    assert_eq!(code(&output), 0, "{}{}", text(&output.stdout), text(&output.stderr));
    snapshot("the_same_table", &[], &output);
}

#[test]
fn what_would_go_elsewhere_is_told_by_its_rules_most_first() {
    let house = House::new();
    house.answers_a_day();
    let changes = [
        ("mon-fri = \"09:00-18:00\"", "mon-fri = \"09:00-23:00\""),
        ("reject = \"blocklist\"", "agent = \"night\""),
        ("tier = \"${sip.x-tier|none}\"", "tier = \"${sip.x-tier|silver}\""),
    ];
    let output = house.replay_with(&changes, &["--examples", "2", "--expect-same"]);
    assert_eq!(code(&output), 1, "{}", text(&output.stderr));
    snapshot("calls_that_go_elsewhere", &changes, &output);
}

#[test]
fn other_rules_that_answer_the_same_are_told_and_no_change() {
    let house = House::new();
    house.answers_a_day();
    let changes = [
        ("name = \"after hours\"", "name = \"nobody is there\""),
        ("name = \"greeting\"", "name = \"who rings\""),
    ];
    let output = house.replay_with(&changes, &["--expect-same"]);
    assert_eq!(code(&output), 0, "{}{}", text(&output.stdout), text(&output.stderr));
    snapshot("calls_by_other_rules", &changes, &output);
}

#[test]
fn what_an_agent_hears_otherwise_is_told_by_its_names() {
    let house = House::new();
    house.answers_a_day();
    let changes = [
        ("caller = \"${from}\"", "number = \"${from}\""),
        ("metadata = { desk = 1 }", "metadata = { desk = 2 }"),
        ("delay_ms = 1500", "delay_ms = 1000"),
    ];
    let output = house.replay_with(&changes, &["--examples", "1", "--expect-same"]);
    assert_eq!(code(&output), 1, "{}", text(&output.stderr));
    snapshot("calls_that_are_told_something_else", &changes, &output);
}

#[test]
fn a_call_in_the_night_is_judged_at_its_own_time() {
    let house = House::new();
    let night = (call("retell", "+13125550170", "+12137771235"), at(NIGHT, 0));
    let noon = (call("retell", "+13125550171", "+12137771235"), at(NOON, 0));
    house.answers(NumberStorage::Full, &[night, noon]);
    let told = |changes: &[(&str, &str)]| -> Value {
        let output = house.replay_with(changes, &["--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    };
    assert_eq!(told(&[])["unchanged"], 2);
    let later = told(&[("18:00", "22:31")]);
    let group = &later["rerouted"]["groups"][0];
    assert_eq!(
        (&group["old"]["rule"], &group["new"]["rule"]),
        (&"after hours".into(), &"everyone else".into())
    );
    assert_eq!(group["examples"][0]["at"], "2026-11-21T03:30:00Z");
    assert_eq!((&later["unchanged"], &later["rerouted"]["calls"]), (&1.into(), &1.into()));
    assert_eq!(told(&[("18:00", "22:30")])["unchanged"], 2, "it came in a moment later");
}

#[test]
fn calls_that_cannot_be_replayed_are_told_apart() {
    let house = House::new();
    let one = |source, from| (call(source, from, "+12137771235"), at(NOON, 0));
    house
        .answers(NumberStorage::Full, &[one("retell", "+13125550170"), one("old", "+13125550171")]);
    let key = NumberStorage::Hashed(Secret::new("0123456789abcdef"));
    house.answers(key, &[one("retell", "+13125550172")]);
    house.answers(
        NumberStorage::Masked,
        &[one("retell", "+13125550173"), one("retell", "+13125550174")],
    );
    let output = house.replay(&["--expect-same"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    snapshot("calls_that_cannot_be_replayed", &[], &output);
    let output = house.replay(&["--source", "old"]);
    assert_eq!(code(&output), 2, "nothing could be found out");
    snapshot("no_call_that_can_be_replayed", &[], &output);
}

#[test]
fn a_fallback_is_not_replayed() {
    let house = House::new();
    let (one, at) = (call("retell", "+13125550170", "+12137771235"), at(NOON, 0));
    house.answers(NumberStorage::Full, &[(one.clone(), at)]);
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
        let mut record = runtime.block_on(all(&house.path("records.db"))).remove(0);
        record.outcome = outcome.to_owned();
        record.rule = rule.map(str::to_owned);
        record.details.reason = why.map(Into::into);
        let mut replay = Replay::new(&table, &sources, 0);
        replay.call(&record);
        assert_eq!(replay.replayed(), u64::from(is_replayed), "{outcome} {rule:?} {why:?}");
    }
}

#[test]
fn calls_are_chosen_as_records_are_listed() {
    let house = House::new();
    house.answers_a_day();
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
        let output = house.replay(&[arguments, &["--json"]].concat());
        assert_eq!(code(&output), 0, "{arguments:?}: {}", text(&output.stderr));
        let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(
            (&told["unchanged"], &told["replayed"]),
            (&calls.into(), &calls.into()),
            "{arguments:?}"
        );
    }
}

#[test]
fn what_keeps_it_from_running_is_told_with_exit_2() {
    let house = House::new();
    let stderr = |arguments: &[&str], expected: i32| {
        let output = house.replay(arguments);
        assert_eq!(code(&output), expected, "{arguments:?}: {output:?}");
        text(&output.stderr).replace(&utf8(house.0.path()), "FOLDER")
    };
    assert_eq!(
        stderr(&[], 2),
        "error: there is no FOLDER/records.db: nothing has been recorded yet\n"
    );
    house.answers_a_day();
    assert_eq!(stderr(&[], 0), "");
    assert!(stderr(&["--since", "yesterday"], 2).starts_with("error: --since: "));
    assert!(
        stderr(&["--rules", "none.toml"], 2).starts_with("error: cannot read the rules none.toml")
    );
    let bad = RULES.replace("agent = \"night\"", "agent = \"nigth\"");
    std::fs::write(house.path("bad.toml"), bad).expect("a file");
    let told = stderr(&["--rules", &utf8(&house.path("bad.toml"))], 2);
    assert!(told.contains("FOLDER/bad.toml:") && told.contains("did you mean `night`"), "{told}");
    for (url, why) in [("off", "records are off"), ("memory:", "in the memory of the service")] {
        let settings = SETTINGS.replace("sqlite:records.db", url);
        std::fs::write(house.path("switchboard.toml"), settings).expect("a file");
        assert!(stderr(&[], 2).contains(why), "{url}");
    }
}

#[test]
fn a_time_without_calls_is_no_mistake() {
    let house = House::new();
    house.answers_a_day();
    let output = house.replay(&["--until", "2026-11-02", "--expect-same"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "no matching calls are recorded\n");
}

#[test]
fn no_call_is_missed_or_met_twice_however_many_there_are() {
    let house = House::new();
    let calls = (0..4_100).map(|number| {
        let from = format!("+1312555{number:04}");
        (call("retell", &from, "+12137771235"), at(NOON, number / 100))
    });
    house.answers(NumberStorage::Full, &calls.collect::<Vec<_>>());
    for (limit, expected) in [("4200", 4_100), ("4000", 4_000), ("1", 1)] {
        let output = house.replay(&["--json", "--limit", limit]);
        let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(
            (&told["unchanged"], &told["recorded"]),
            (&expected.into(), &4_100.into()),
            "{told:#}"
        );
    }
    let output = house.replay(&["--limit", "7"]);
    assert!(
        said(&output)
            .ends_with("\nreplayed the first 7 of 4100 calls; raise --limit to replay more\n"),
        "{output:?}"
    );
}

#[tokio::test]
async fn the_id_of_the_record_in_a_reply_is_no_change() {
    let house = House::new();
    let settings = || app::load_settings(SETTINGS, Purpose::Serve).0.expect("good settings");
    let (file, Settings { sources, server, .. }) = (house.path("records.db"), settings());
    let place = RecordsLocation::Sqlite(file.clone());
    let records = RecordsSettings { location: place, stamp: true, ..RecordsSettings::off() };
    let clock = Clock::Fixed(Timestamp::from_millisecond(NOW_MS).expect("a time"));
    let (app, writer) = Switchboard::with_records(sources, table(RULES), clock, records);
    let door = public::router(Arc::new(app), &server);
    // With metadata of the rules' own, and without.
    for from in ["+13125550170", "+19005550100"] {
        let body = retell_call(from, "+12137771235");
        let answered = answer(&door, retell_request("/inbound/retell", body.as_bytes())).await;
        assert!(from.contains("900") || text(&answered.body).contains("switchboard_id"));
    }
    let stop = CancellationToken::new();
    stop.cancel();
    writer.expect("records are on").run(stop.clone()).await;
    drop(stop);
    let told = replayed(&file, &table(RULES), &settings().sources).await;
    assert_eq!((&told["unchanged"], &told["replayed"]), (&2.into(), &2.into()), "{told:#}");
    let silent = RULES.replace("metadata = { desk = 1 }", "");
    let told = replayed(&file, &table(&silent), &settings().sources).await;
    assert_eq!(
        told["payload_changed"]["groups"][0]["fields"],
        json!(["metadata.desk"]),
        "{told:#}"
    );
}
