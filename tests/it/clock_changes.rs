//! The clock of the machine jumps while the real program serves. libfaketime changes it for that process
//! alone.

use std::path::{Path, PathBuf};

use crate::support::app::RETELL_KEY;
use crate::support::connection::{KeptConnection, call_at, now_ms};
use crate::support::program::{SETTINGS, Served, admin_request, folder, program, start_with};
use crate::support::required;

const RULES: &str = "[[rule]]\nname = \"everyone\"\nagent = \"agent_1\"\n";
const HOUR_MS: i64 = 3_600_000;

/// Returns the library that changes the clock of a process.
fn libfaketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let candidates = folders.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    let found = candidates.into_iter().find(|file| file.is_file());
    if found.is_none() {
        required::skip_test("libfaketime", "no libfaketime on this machine (Debian: libfaketime)");
    }
    found
}

/// Sets the clock of the process ahead of that of the machine.
fn set_clock(file: &Path, hours: i64) {
    // The process must never read a half of it.
    let next = file.with_extension("next");
    std::fs::write(&next, format!("{:+}\n", hours * 3600)).unwrap();
    std::fs::rename(next, file).unwrap();
}

/// Number of calls with this outcome.
fn calls(served: &Served, outcome: &str) -> u64 {
    let (_, metrics) = admin_request(&served.admin, "GET /metrics", "");
    let outcome = format!("outcome=\"{outcome}\"");
    let is_of_call = |line: &&str| {
        line.starts_with("switchboard_requests_total{")
            && line.contains("kind=\"call\"")
            && line.contains(&outcome)
    };
    let values = metrics.lines().filter(is_of_call).filter_map(|line| line.rsplit_once(' '));
    values.map(|(_, value)| value.parse::<u64>().unwrap()).sum()
}

#[test]
fn a_jump_of_the_clock_changes_the_time_of_signatures_and_nothing_else() {
    let Some(library) = libfaketime() else { return };
    let (folder, settings) = folder(SETTINGS, RULES);
    let clock = folder.path().join("clock");
    set_clock(&clock, 0);
    let mut command = program();
    command
        .env("RETELL_API_KEY", RETELL_KEY)
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("FAKETIME_NO_CACHE", "1")
        // As a change of the real clock does, leave the monotonic one and the times of files alone.
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("NO_FAKE_STAT", "1");
    let served = Served::new(start_with(command, &["--config", &settings]));
    // The connection is never idle for the hours that the clock jumps.
    let mut connection = KeptConnection::open(served.url.trim_start_matches("http://"));
    assert!(connection.request(&call_at(now_ms())).contains("agent_1"));
    let mut clock_before = 0;
    for (number, hours) in [3, -3, 40 * 24, 0].into_iter().enumerate() {
        set_clock(&clock, hours);
        let stale = connection.request(&call_at(now_ms() + clock_before * HOUR_MS));
        assert!(stale.starts_with("HTTP/1.1 401"), "at {hours} h: {stale}");
        let repeated = connection.request(&call_at(now_ms() + hours * HOUR_MS));
        assert!(repeated.contains("agent_1"), "at {hours} h: {repeated}");
        // The reply comes from memory, whose 60 s have not passed.
        let counted = (calls(&served, "agent"), calls(&served, "retry"));
        assert_eq!(counted, (1, number as u64 + 1), "at {hours} h");
        assert_eq!(admin_request(&served.admin, "GET /readyz", "").0, 200, "at {hours} h");
        clock_before = hours;
    }
    assert_eq!(calls(&served, "fallback"), 0);
    let (code, log) = served.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stale"), "{log}");
}
