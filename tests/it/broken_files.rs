//! Broken files of rules: the isolation of files, and the last good table at the start.

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::program::{self, SETTINGS, Served, run, start, text};

const FILES: usize = 40;

/// Settings and rules of an agency, with a file for each client.
struct Agency {
    folder: TempDir,
    settings: String,
}

/// Returns a rule for one client's number.
fn client(at: usize, agent: &str) -> String {
    format!(
        "[[rule]]\nname = \"client {at}\"\nto = \"+1213555{at:04}\"\nagent = \"{agent}_{at}\"\n"
    )
}

impl Agency {
    fn new(rules: &str) -> Agency {
        let sections = format!("[rules]\npath = \"clients\"\npoll_ms = 0\n{rules}\n");
        let records = "[records]\nurl = \"sqlite:records/r.db\"\n";
        let (folder, settings) = program::folder(&format!("{SETTINGS}{sections}{records}"), "");
        std::fs::create_dir(folder.path().join("clients")).unwrap();
        let agency = Agency { folder, settings };
        (1..=FILES).for_each(|at| agency.write(at, &client(at, "old")));
        std::fs::write(
            agency.folder.path().join("clients/zz.toml"),
            "[[rule]]\nname = \"everyone\"\nkeep = true\n",
        )
        .unwrap();
        agency
    }

    fn file(&self, at: usize) -> PathBuf {
        self.folder.path().join(format!("clients/{at:02}.toml"))
    }

    fn write(&self, at: usize, text: &str) {
        std::fs::write(self.file(at), text).unwrap();
    }

    fn serve(&self) -> Served {
        Served::new(start(&["--config", &self.settings]))
    }

    /// Returns an isolated file as `/readyz` shows it.
    fn isolated(&self, at: usize, left_out: bool) -> Value {
        json!({ "file": self.file(at).display().to_string(), "left_out": left_out })
    }
}

fn send(served: &Served, request: &str) -> (u16, Value) {
    let (status, body) = program::admin_request(&served.admin, request, "");
    (status, serde_json::from_str(&body).unwrap_or_default())
}

fn agent(served: &Served, at: usize) -> Value {
    let path = format!("GET /explain?from=%2B12137771234&to=%2B1213555{at:04}");
    send(served, &path).1["agent"].clone()
}

fn metric(served: &Served, name: &str) -> String {
    let (_, body) = program::admin_request(&served.admin, "GET /metrics", "");
    let value = body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{name}")).to_owned()
}

const GAUGE: &str = "switchboard_rules_files_isolated";

#[test]
fn thirty_nine_of_forty_files_go_live_when_one_breaks() {
    let agency = Agency::new("isolate = true");
    let served = agency.serve();
    let broken = |at| client(at, "new").replace("agent", "agnet");
    (1..=FILES).for_each(|at| agency.write(at, &client(at, "new")));
    agency.write(17, &broken(17));
    let (status, body) = send(&served, "POST /reload");
    assert_eq!((status, &body["ok"]), (422, &json!(false)), "{body}");
    assert_eq!(body["table"]["isolated"], json!([agency.isolated(17, false)]));
    for at in 1..=FILES {
        let version = if at == 17 { "old" } else { "new" };
        assert_eq!(agent(&served, at), format!("{version}_{at}"));
    }
    let (status, ready) = send(&served, "GET /readyz");
    assert_eq!((status, &ready["ready"]), (200, &json!(true)));
    let warning = ready["warning"].as_str().unwrap_or_default();
    assert!(warning.contains("some files of the rule table have errors"), "{ready}");
    let diagnostics = ready["table"]["last_reload"]["diagnostics"].as_array().unwrap();
    assert!(diagnostics.iter().any(|found| found["code"] == "unknown-key"), "{ready}");
    assert_eq!(metric(&served, GAUGE), "1");
    served.wait_for_log("kept its last good version");
    served.wait_for_log("did you mean `agent`?");

    // A new file has no last good version, and a failing test isolates its file.
    agency.write(41, &broken(41));
    let test = "[[test]]\nname = \"fails\"\nfrom = \"+12137771234\"\nto = \"+12135550020\"\n";
    let test = format!("{test}expect = {{ agent = \"old_20\" }}\n");
    agency.write(20, &(client(20, "newer") + &test));
    assert_eq!(send(&served, "POST /reload").0, 422);
    let expected =
        [(17, false), (20, false), (41, true)].map(|(at, left_out)| agency.isolated(at, left_out));
    let (_, ready) = send(&served, "GET /readyz");
    assert_eq!(ready["table"]["isolated"], json!(expected));
    assert_eq!((agent(&served, 20), agent(&served, 41)), (json!("new_20"), json!(null)));
    served.wait_for_log("and is left out");

    for at in [17, 20, 41] {
        agency.write(at, &client(at, "newer"));
    }
    let (status, body) = send(&served, "POST /reload");
    assert_eq!((status, &body["table"]["isolated"]), (200, &json!([])), "{body}");
    assert_eq!(metric(&served, GAUGE), "0");
    for at in [17, 20, 41] {
        assert_eq!(agent(&served, at), format!("newer_{at}"));
    }
}

#[test]
fn an_error_that_spans_files_is_laid_to_the_changed_one() {
    let agency = Agency::new("isolate = true");
    agency.write(2, "lists.vip.numbers = [\"+12137771234\"]\n");
    let vip = "[[rule]]\nname = \"vip\"\nfrom = \"@vip\"\nto = \"+12135550003\"\nagent = \"vip\"\n";
    agency.write(3, vip);
    let served = agency.serve();
    // The error is in file 30, which has not changed.
    agency.write(5, &client(30, "new"));
    assert_eq!(send(&served, "POST /reload").0, 422);
    let (_, ready) = send(&served, "GET /readyz");
    assert_eq!(ready["table"]["isolated"], json!([agency.isolated(5, false)]));
    agency.write(5, &client(5, "new"));
    assert_eq!(send(&served, "POST /reload").0, 200);

    // A file that is gone is one that has changed.
    std::fs::remove_file(agency.file(2)).unwrap();
    agency.write(6, &client(6, "new"));
    let (_, body) = send(&served, "POST /reload");
    assert_eq!(body["table"]["isolated"], json!([agency.isolated(2, false)]), "{body}");
    assert_eq!((agent(&served, 3), agent(&served, 6)), (json!("vip"), json!("new_6")));

    // A list without a last good version cannot be left out, but the file that names it can.
    agency.write(2, "lists.vip.numbers = [\"+12137771234\"]\n");
    agency.write(7, &("lists.seven.file = \"seven.csv\"\n".to_owned() + &client(7, "new")));
    std::fs::write(agency.folder.path().join("clients/seven.csv"), "number\nseven\n").unwrap();
    let (_, body) = send(&served, "POST /reload");
    assert_eq!(body["table"]["isolated"], json!([agency.isolated(7, false)]), "{body}");
    assert_eq!(agent(&served, 7), "old_7");
}

#[test]
fn an_isolated_file_stays_at_its_last_good_version_across_a_restart() {
    let agency = Agency::new("isolate = true");
    assert_eq!(agency.serve().terminate().0, Some(0));
    agency.write(17, "[[rule");
    agency.write(18, &client(18, "new"));
    let served = agency.serve();
    assert_eq!((agent(&served, 17), agent(&served, 18)), (json!("old_17"), json!("new_18")));
    assert_eq!(metric(&served, GAUGE), "1");
    let (_, ready) = send(&served, "GET /readyz");
    assert_eq!(ready["table"]["isolated"], json!([agency.isolated(17, false)]), "{ready}");
    agency.write(17, &client(17, "new"));
    assert_eq!(send(&served, "POST /reload").0, 200);
    assert_eq!(agent(&served, 17), "new_17");
}

#[test]
fn the_service_starts_with_the_last_good_table() {
    let agency = Agency::new("");
    agency.write(17, "[[rule");
    let strict = ["serve", "--dev", "--strict-start", "--config", &agency.settings];
    let first = run(&["serve", "--dev", "--config", &agency.settings]);
    assert_eq!(first.status.code(), Some(2), "there is no good table yet");
    agency.write(17, &client(17, "old"));
    let served = agency.serve();
    assert_eq!(send(&served, "GET /readyz").1["table"]["last_good"], json!(null));
    agency.write(18, &client(18, "new"));
    assert_eq!(send(&served, "POST /reload").0, 200);
    assert_eq!(served.terminate().0, Some(0));

    agency.write(17, "[[rule");
    let refused = run(&strict);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("17.toml:1:"), "{}", text(&refused.stderr));
    let served = agency.serve();
    assert_eq!((agent(&served, 17), agent(&served, 18)), (json!("old_17"), json!("new_18")));
    served.wait_for_log("the rules have errors, started with the last good ones");
    served.wait_for_log("error in rules");
    let (status, ready) = send(&served, "GET /readyz");
    assert_eq!((status, &ready["ready"]), (200, &json!(true)));
    assert!(ready["table"]["last_good"]["age_seconds"].is_u64(), "{ready}");
    assert!(ready["warning"].as_str().unwrap().contains("last good one"), "{ready}");
    assert_eq!(metric(&served, "switchboard_table_last_good"), "1");
    assert_eq!(metric(&served, "switchboard_reload_last_successful"), "0");
    // Still broken: the table of the disk stays.
    assert_eq!(send(&served, "POST /reload").0, 422);
    assert!(!send(&served, "GET /readyz").1["table"]["last_good"].is_null());
    agency.write(17, &client(17, "new"));
    assert_eq!(send(&served, "POST /reload").0, 200);
    assert_eq!(agent(&served, 17), "new_17");
    let (_, ready) = send(&served, "GET /readyz");
    assert_eq!((&ready["table"]["last_good"], &ready["warning"]), (&json!(null), &json!(null)));
    assert_eq!(metric(&served, "switchboard_table_last_good"), "0");
    assert_eq!(served.terminate().0, Some(0));

    std::fs::rename(agency.folder.path().join("clients"), agency.folder.path().join("away"))
        .unwrap();
    let served = agency.serve();
    assert_eq!(agent(&served, 17), "new_17", "the folder is missing");
    assert_eq!(served.terminate().0, Some(0));
    std::fs::write(agency.folder.path().join("records/r.db.last-good-table"), "{").unwrap();
    let ended = run(&["serve", "--dev", "--config", &agency.settings]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(text(&ended.stderr).contains("cannot read the last good table"));
}
