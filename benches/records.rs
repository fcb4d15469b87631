//! CPU time of a record, beside plain SQLite, and the time that look-ups take in a large store.
//! Prints figures; passes or fails on none.
//!
//! `cargo bench --bench records`; `-- --rounds=1 --rows=100000` for fewer.

#![expect(clippy::print_stdout, reason = "prints its figures")]
#![expect(clippy::disallowed_methods, reason = "records calls of the present time")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};
use switchboard::domain::call::{Call, Channel, Fields, Platform};
use switchboard::domain::clock::Clock;
use switchboard::domain::facts::Facts;
use switchboard::domain::party::Party;
use switchboard::records::{NewCall, Recorder};
use switchboard::rules::engine::decide_offline;
use switchboard::rules::{self, CheckContext, RuleSet};
use switchboard::settings::{RecordsLocation, RecordsSettings, Wait};
use switchboard::telemetry::Counters;
use tokio_util::sync::CancellationToken;

/// Calls of a round in large groups, and of a round at a steady rate.
const BURST: usize = 50_000;
const STEADY: usize = 10_000;
/// Calls per second of a steady round.
const RATE: u64 = 2_000;
const CALLED: [&str; 3] = ["+12137771235", "+12135550100", "+17185550142"];
/// 2026-11-13 00:00 UTC.
const BEGIN: i64 = 1_794_528_000;
const SETTINGS: &str = "[rules]\npath = \"rules.toml\"\n[records]\nurl = \"sqlite:records.db\"\n\
                        [sources.retell]\nplatform = \"retell\"\nsecrets = [\"env:RETELL_API_KEY\"]\n";

fn main() {
    let rounds: usize = argument("--rounds=").unwrap_or(5);
    let rows: usize = argument("--rows=").unwrap_or(500_000);
    let folder = tempfile::tempdir().expect("a folder");
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    for name in ["rules.toml", "blocked.csv", "customers.csv", "stores.csv"] {
        std::fs::copy(config.join(name), folder.path().join(name)).expect("a file");
    }
    let rules = folder.path().join("rules.toml");
    let loaded = rules::load(&rules, &CheckContext::default(), &mut |_| {}).expect("a file");
    let table = loaded.table.expect("valid rules");
    println!("{:<18} {:>9} {:>9} {:>7}", "CPU us per record", "records", "plain", "ratio");
    compare("groups of 1,000", rounds, &folder, &table, BURST, 1_000);
    compare("2,000/s", rounds, &folder, &table, STEADY, 50);
    commit_latency(&folder, &table);
    look_up(folder.path(), &table, rows);
}

fn argument(name: &str) -> Option<usize> {
    std::env::args().find_map(|arg| arg.strip_prefix(name)?.parse().ok())
}

/// Measures a record and a row of plain SQLite in turns, and prints the medians.
fn compare(
    title: &str,
    rounds: usize,
    folder: &tempfile::TempDir,
    table: &RuleSet,
    calls: usize,
    group: usize,
) {
    let is_steady = calls == STEADY;
    let (mut records, mut plain, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let off = record(RecordsSettings::off(), table, 0..calls, is_steady);
        let file = folder.path().join(format!("{group}-{round}.db"));
        let on = record(sqlite(&file, Wait::No), table, 0..calls, is_steady);
        let rows = plain_rows(&file.with_extension("plain"), calls, group);
        let each = |time: Duration| time.as_secs_f64() * 1e6 / calls as f64;
        records.push(each(on.saturating_sub(off)));
        plain.push(each(rows));
        ratios.push(records[round] / plain[round]);
    }
    let (records, plain, ratio) = (median(records), median(plain), median(ratios));
    println!("{title:<18} {records:>9.1} {plain:>9.1} {ratio:>7.2}");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn sqlite(file: &Path, wait: Wait) -> RecordsSettings {
    let place = RecordsLocation::Sqlite(file.to_owned());
    RecordsSettings { location: place, wait, ..RecordsSettings::off() }
}

/// CPU time of all threads of this process.
fn cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Decides and records calls, at once or at a steady rate, and returns the CPU time of it.
fn record(
    records: RecordsSettings,
    table: &RuleSet,
    calls: std::ops::Range<usize>,
    is_steady: bool,
) -> Duration {
    let (recorder, writer) = Recorder::new(records, &Counters::default(), Clock::System);
    let stop = CancellationToken::new();
    let writer = writer.map(|writer| writer.start(stop.clone()).expect("a thread"));
    // Opening the store is not part of a record.
    while writer.is_some() && recorder.health().is_some_and(|health| health.store().is_none()) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let (begun, cpu_before) = (Instant::now(), cpu());
    for number in calls {
        if is_steady {
            let due = begun + Duration::from_micros(number as u64 * 1_000_000 / RATE);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        record_one(&recorder, table, number, Timestamp::now());
    }
    stop.cancel();
    if let Some(writer) = writer {
        writer.join().expect("everything is written");
    }
    cpu() - cpu_before
}

fn record_one(recorder: &Recorder, table: &RuleSet, number: usize, at: Timestamp) {
    drop(record_call(recorder, table, number, at));
}

fn record_call(
    recorder: &Recorder,
    table: &RuleSet,
    number: usize,
    at: Timestamp,
) -> Option<switchboard::records::Committed> {
    let fields = Fields {
        call_id: Some(call_id(number).into()),
        from: party(&caller(number)),
        to: party(CALLED[number % 3]),
        ..Fields::unknown(Channel::Call)
    };
    let call = Call::synthetic("retell", Platform::new("retell"), fields);
    let decision = decide_offline(table, &call, &Facts::at(at));
    let (id, call, fingerprint) = (recorder.id(at), &call, &*table.fingerprint);
    let decision = &decision;
    let call = NewCall { id, at, call, decision, fingerprint, lookups: &[], latency_us: 41 };
    recorder.record_call(call).and_then(|recorded| recorded.committed)
}

fn caller(number: usize) -> String {
    format!("+1{}", 2_130_000_000 + number * 7_919_111 % 7_000_000)
}

/// Not in order, like those of a platform.
fn call_id(number: usize) -> String {
    format!(
        "call_{:032x}",
        (number as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
    )
}

fn party(text: &str) -> Party {
    Party::parse(Some(text)).party
}

/// Writes the same rows to the same tables through the bare driver, and returns the CPU time of it.
fn plain_rows(file: &Path, calls: usize, group: usize) -> Duration {
    let mut database = Connection::open(file).expect("a database");
    let tables = include_str!("../migrations/0001_records.sql");
    let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";
    database.execute_batch(settings).expect("settings");
    database.execute_batch(tables).expect("tables");
    let details = r#"{"numbers":"full","agent_id":"agent_0123456789abcdef","latency_us":41}"#;
    let insert = "INSERT INTO calls VALUES (?1, ?2, ?3, ?4, 'retell', 'retell', 'call', ?5, ?6, ?7, \
                  'agent', 'everyone', 'agent', '0123456789abcdef', 1, ?8)";
    let before = cpu();
    for first in (0..calls).step_by(group) {
        let transaction = database.transaction().expect("a transaction");
        for number in first..calls.min(first + group) {
            let at = BEGIN * 1000 + (number / 2) as i64;
            let id = format!("{at:012x}-{number:023}");
            let key = &call_id(number)[5..21];
            let mut insert = transaction.prepare_cached(insert).expect("a statement");
            let (from, to) = (caller(number), CALLED[number % 3]);
            let bucket = (number / 1_024) as i64;
            let row = params![id, key, bucket, at, call_id(number), from, to, details];
            insert.execute(row).expect("a row");
        }
        transaction.commit().expect("a commit");
    }
    cpu() - before
}

/// Prints how long replies wait with `wait = "commit"` at a steady rate.
fn commit_latency(folder: &tempfile::TempDir, table: &RuleSet) {
    let records = sqlite(&folder.path().join("commit.db"), Wait::Commit);
    let (recorder, writer) = Recorder::new(records, &Counters::default(), Clock::System);
    let stop = CancellationToken::new();
    let writer = writer.expect("records are on").start(stop.clone()).expect("a thread");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut waits = Vec::new();
    let begun = Instant::now();
    for number in 0..STEADY {
        let due = begun + Duration::from_micros(number as u64 * 1_000_000 / RATE);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let begun = Instant::now();
        let committed = record_call(&recorder, table, number, Timestamp::now());
        let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
        waits.extend(committed.map(|committed| {
            runtime.spawn(async move { committed.before(deadline).await.then(|| begun.elapsed()) })
        }));
    }
    let waits = waits.into_iter().filter_map(|wait| runtime.block_on(wait).expect("a wait"));
    let mut waits: Vec<f64> = waits.map(|wait| wait.as_secs_f64() * 1e3).collect();
    waits.sort_by(f64::total_cmp);
    let (p50, p99) = (waits[waits.len() / 2], waits[waits.len() * 99 / 100]);
    println!("wait = \"commit\" at 2,000/s: p50 {p50:.1} ms, p99 {p99:.1} ms");
    stop.cancel();
    writer.join().expect("everything is written");
}

/// Fills a store with a week of calls and prints how long the program takes to look into it.
fn look_up(folder: &Path, table: &RuleSet, rows: usize) {
    let between = SignedDuration::from_hours(7 * 24) / rows as i32;
    for first in (0..rows).step_by(BURST) {
        let records = sqlite(&folder.join("records.db"), Wait::No);
        let (recorder, writer) = Recorder::new(records, &Counters::default(), Clock::System);
        let stop = CancellationToken::new();
        let writer = writer.expect("records are on").start(stop.clone()).expect("a thread");
        for number in first..rows.min(first + BURST) {
            let at = Timestamp::from_second(BEGIN).expect("a time");
            record_one(&recorder, table, number, at + between * number as i32);
        }
        stop.cancel();
        writer.join().expect("everything is written");
    }
    println!("resident memory after {rows} records: {} MB", resident_kilobytes() / 1024);
    std::fs::write(folder.join("switchboard.toml"), SETTINGS).expect("a file");
    let often = ["list", "--number", CALLED[0]];
    let (first, last) = (caller(0), caller(rows - 1));
    run(folder, "list --number, oldest caller", &["list", "--number", &first]);
    run(folder, "list --number, newest caller", &["list", "--number", &last]);
    run(folder, "list --number, called number", &often);
    run(folder, "list --number, unknown", &["list", "--number", "+4930901820"]);
    run(folder, "list --call-id", &["list", "--call-id", &call_id(rows / 2)]);
    run(folder, "stats of all", &["stats", "--since", "2026-11-12"]);
    run(folder, "stats of a day", &["stats", "--since", "2026-11-15", "--until", "2026-11-16"]);
}

/// Prints the median time of a command.
fn run(folder: &Path, title: &str, arguments: &[&str]) {
    let times = (0..5).map(|_| {
        let begun = Instant::now();
        let output = Command::new(env!("CARGO_BIN_EXE_switchboard"))
            .arg("records")
            .args(arguments)
            .arg("--config")
            .arg(folder.join("switchboard.toml"))
            .output()
            .expect("the program starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        begun.elapsed().as_secs_f64() * 1e3
    });
    println!("{title:<32} {:>8.1} ms", median(times.collect()));
}

fn resident_kilobytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or_default()
}
