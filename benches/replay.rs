//! How long `replay` takes for as many calls as a busy week has: a store is filled, and the program
//! goes through it. Prints figures; passes or fails on none.
//!
//! `cargo bench --bench replay`; `cargo bench --bench replay -- --calls=10000` for fewer.

#![expect(clippy::print_stdout, reason = "figures are what it is for")]

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use switchboard::domain::call::{Call, Channel, Fields, Platform};
use switchboard::domain::clock::Clock;
use switchboard::domain::facts::Facts;
use switchboard::domain::party::Party;
use switchboard::records::{NewCall, Recorder};
use switchboard::rules;
use switchboard::rules::engine::decide_offline;
use switchboard::rules::{CheckContext, RuleSet};
use switchboard::settings::{RecordsLocation, RecordsSettings};
use switchboard::telemetry::Counters;
use tokio_util::sync::CancellationToken;

const CALLS: usize = 100_000;
/// As many as wait to be written at most, and some room.
const AT_ONCE: usize = 50_000;
/// 2026-11-13 00:00 UTC, and a call each six seconds from there on: a week.
const BEGIN: i64 = 1_794_528_000;
const BETWEEN: i64 = 6;

const SETTINGS: &str = r#"
[rules]
path = "rules.toml"
[records]
url = "sqlite:records.db"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

fn main() {
    let calls = std::env::args().find_map(|arg| arg.strip_prefix("--calls=")?.parse().ok());
    let calls = calls.unwrap_or(CALLS);
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("switchboard.toml"), SETTINGS).expect("a file");
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    for name in ["rules.toml", "blocked.csv", "customers.csv", "stores.csv"] {
        std::fs::copy(config.join(name), folder.path().join(name)).expect("a file");
    }
    let rules = folder.path().join("rules.toml");
    let loaded = rules::load(&rules, &CheckContext::default(), &mut |_| {}).expect("a file");
    let table = loaded.table.expect("a good table");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let begun = Instant::now();
    for first in (0..calls).step_by(AT_ONCE) {
        let some = first..calls.min(first + AT_ONCE);
        runtime.block_on(record(&folder.path().join("records.db"), &table, some));
    }
    println!("{calls} calls recorded in {:.2} s", begun.elapsed().as_secs_f64());
    let text = std::fs::read_to_string(&rules).expect("a file");
    let other = text.replace("13:30-18:00", "13:30-20:00").replace("city = \"${", "town = \"${");
    let (other, _tests) = other.split_once("[[test]]").expect("its tests");
    for text in [&text, other] {
        std::fs::write(&rules, text).expect("a file");
        let begun = Instant::now();
        let output = Command::new(env!("CARGO_BIN_EXE_switchboard"))
            .args(["replay", "--since", "2026-11-01", "--zone", "America/New_York", "--config"])
            .arg(folder.path().join("switchboard.toml"))
            .output()
            .expect("it starts");
        let seconds = begun.elapsed().as_secs_f64();
        println!("\nreplayed in {seconds:.2} s, {:.1} us a call", seconds * 1e6 / calls as f64);
        println!("{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    }
}

/// Answers some calls by the table, and records that.
async fn record(file: &Path, table: &RuleSet, calls: std::ops::Range<usize>) {
    let records = RecordsSettings {
        location: RecordsLocation::Sqlite(file.to_owned()),
        ..RecordsSettings::off()
    };
    let (recorder, writer) = Recorder::new(records, &Counters::default(), Clock::System);
    let stop = CancellationToken::new();
    let writer = tokio::spawn(writer.expect("records are on").run(stop.clone()));
    for number in calls {
        let at = Timestamp::from_second(BEGIN).expect("a time");
        let at = at + SignedDuration::from_secs(number as i64 * BETWEEN);
        let fields = Fields {
            call_id: Some(format!("call_{number:032}").into()),
            from: party(&format!("+1{}", 2_130_000_000 + number * 7_919 % 7_000_000_000)),
            to: party(["+12137771235", "+12135550100", "+17185550142"][number % 3]),
            ..Fields::unknown(Channel::Call)
        };
        let call = Call::synthetic("retell", Platform::new("retell"), fields);
        let decision = decide_offline(table, &call, &Facts::at(at));
        let (id, call, fingerprint) = (recorder.id(at), &call, &*table.fingerprint);
        let decision = &decision;
        recorder.record_call(NewCall {
            id,
            at,
            call,
            decision,
            fingerprint,
            lookups: &[],
            latency_us: 41,
        });
    }
    stop.cancel();
    writer.await.expect("it ends when all is written");
}

fn party(text: &str) -> Party {
    Party::parse(Some(text)).party
}
