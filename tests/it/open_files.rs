//! File descriptors run out while the real program serves.

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::time::Instant;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::support::connection::{KeptConnection, call_at, now_ms};
use crate::support::program::{SETTINGS, Served, admin_request, folder, in_shell, start_with};
use crate::support::wait;

const RULES: &str = "[[rule]]\nname = \"everyone\"\nagent = \"agent_1\"\n";
const ERRORS: &str = "switchboard_accept_errors_total";

/// Starts the service in a shell after `preparation`. It closes no idle connection during the test.
fn serve(preparation: &str) -> (tempfile::TempDir, Served) {
    let settings = format!("[server]\nheader_timeout_ms = 3600000\n{SETTINGS}");
    let (folder, settings) = folder(&settings, RULES);
    let mut command = in_shell(preparation);
    command.env("RETELL_API_KEY", crate::support::app::RETELL_KEY);
    let served = Served::new(start_with(command, &["--config", &settings]));
    (folder, served)
}

fn connect(served: &Served) -> KeptConnection {
    KeptConnection::open(served.url.trim_start_matches("http://"))
}

/// Sets the soft limit of open files of a running process.
fn set_limit(process: u32, limit: u64) {
    let pid = Pid::from_raw(process.try_into().unwrap());
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    prlimit(pid, Resource::Nofile, Rlimit { current: Some(limit), maximum }).unwrap();
}

/// Returns the lowest file descriptor that a process does not use, which is the next one.
fn next_descriptor(process: u32) -> u64 {
    let open = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let open: BTreeSet<u64> =
        open.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    (0..).find(|number| !open.contains(number)).unwrap()
}

/// Returns the number of errors that the metrics show.
fn errors(admin: &mut KeptConnection) -> u64 {
    let metrics = admin.request("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let line = metrics.lines().find_map(|line| line.strip_prefix(ERRORS)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {ERRORS} in {metrics}")).parse().unwrap()
}

#[test]
fn without_a_descriptor_open_connections_are_served_and_accepting_goes_on_when_there_is_one() {
    let (_folder, served) = serve("true");
    let mut admin = KeptConnection::open(&served.admin);
    assert_eq!(errors(&mut admin), 0);
    let mut open: Vec<_> = (0..3).map(|_| connect(&served)).collect();
    for connection in &mut open {
        assert!(connection.request(&call_at(now_ms())).contains("agent_1"));
    }
    let start = Instant::now();
    set_limit(served.id(), next_descriptor(served.id()));
    // In the queue of the kernel.
    let mut waiting = connect(&served);
    waiting.send(&call_at(now_ms()));
    assert!(wait::until(|| errors(&mut admin) >= 3), "{}", served.log());
    for connection in &mut open {
        assert!(connection.request(&call_at(now_ms())).contains("agent_1"));
    }
    // An attempt each 50 ms, and one more each second; a line each 10 s.
    let (count, log, seconds) = (errors(&mut admin), served.log(), start.elapsed().as_secs() + 1);
    assert!(count <= 21 * seconds, "{count} attempts in {seconds} s");
    let lines = log.matches("cannot accept a connection").count() as u64;
    assert!((1..=1 + seconds / 10).contains(&lines), "{log}");
    set_limit(served.id(), 1024);
    assert!(waiting.response().contains("agent_1"));
    assert!(connect(&served).request(&call_at(now_ms())).contains("agent_1"));
    assert_eq!(served.terminate().0, Some(0));
}

#[test]
fn a_connection_without_a_call_gives_its_descriptor_to_a_new_one() {
    let (_folder, served) = serve("true");
    let mut unauthenticated = connect(&served);
    let health = unauthenticated.request("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    set_limit(served.id(), next_descriptor(served.id()));
    assert!(connect(&served).request(&call_at(now_ms())).contains("agent_1"));
    assert!(unauthenticated.is_closed());
}

#[test]
fn a_low_limit_of_open_files_lowers_the_number_of_connections() {
    let (_folder, served) = serve("ulimit -n 128");
    let warning = served.start.lines().find(|line| line.contains("limit of open files")).unwrap();
    assert!(
        warning.contains("below max_connections") && warning.contains("allowed=64"),
        "{warning}"
    );
    let address = served.url.trim_start_matches("http://");
    let _silent: Vec<_> = (0..200).map(|_| TcpStream::connect(address).unwrap()).collect();
    assert!(connect(&served).request(&call_at(now_ms())).contains("agent_1"));
    let (_, metrics) = admin_request(&served.admin, "GET /metrics", "");
    assert!(metrics.contains(&format!("{ERRORS} 0\n")), "{metrics}");
}
