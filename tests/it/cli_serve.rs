//! The real program while its rules are edited: valid edits go live, errors are logged, and a reload delays
//! neither calls nor shutdown.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::program::{self, SETTINGS, Served, admin_request, run, start, text};
use crate::support::wait;

/// A running service and its rules.
struct Service {
    served: Served,
    folder: TempDir,
    settings: String,
}

fn one_rule(agent: &str) -> String {
    format!("[[rule]]\nname = \"everyone\"\nagent = \"{agent}\"\n")
}

/// Starts a service with these settings in `[rules]`, and a rule that sends every call to agent_1.
fn serve(rules: &str) -> Service {
    let (folder, settings) =
        program::folder(&format!("{SETTINGS}[rules]\n{rules}\n"), &one_rule("agent_1"));
    let served = Served::new(start(&["--config", &settings]));
    Service { served, folder, settings }
}

impl Service {
    fn rules(&self) -> PathBuf {
        self.folder.path().join("rules.toml")
    }

    fn edit(&self, text: &str) {
        std::fs::write(self.rules(), text).unwrap();
    }

    /// Sends a request to the admin listener.
    fn admin(&self, request: &str) -> (u16, Value) {
        send(&self.served.admin, request)
    }

    fn agent(&self) -> Value {
        let (status, body) = self.admin("GET /explain?from=%2B12137771234");
        assert_eq!(status, 200, "{body}");
        body["agent"].clone()
    }

    /// Waits until a condition holds.
    #[track_caller]
    fn until(&self, what: &str, condition: impl Fn(&Service) -> bool) {
        assert!(wait::until(|| condition(self)), "{what}: {}", self.served.log());
    }

    /// Sends a call and returns the reply.
    fn call(&self) -> String {
        let sent = run(&["send", "--config", &self.settings, "--url", &self.served.url]);
        assert_eq!(sent.status.code(), Some(0), "{}", text(&sent.stderr));
        text(&sent.stdout)
    }
}

/// Sends a request such as `POST /reload`. Returns the status and the JSON body.
fn send(address: &str, request: &str) -> (u16, Value) {
    let (status, body) = program::admin_request(address, request, "");
    (status, serde_json::from_str(&body).unwrap_or_default())
}

const MISSPELT: &str = "[[rule]]\nname = \"a\"\nform = \"+1213*\"\nagent = \"x\"\n";

#[test]
fn a_valid_edit_goes_live_and_an_invalid_one_does_not() {
    let service = serve("");
    service.edit(&one_rule("agent_2"));
    service.until("the edit is live", |service| service.agent() == "agent_2");
    assert!(service.call().contains("agent_2"));
    service.edit(MISSPELT);
    service.until("the error is logged", |service| service.served.log().contains("unknown-key"));
    let log = service.served.log();
    assert!(log.contains("reload failed, kept the previous rules"), "{log}");
    assert!(log.contains("rules.toml:3:1") && log.contains("did you mean `from`?"), "{log}");
    assert!(service.call().contains("agent_2"));
    service.edit(&one_rule("agent_3"));
    service.until("the next valid edit is live", |service| service.agent() == "agent_3");
    assert!(service.call().contains("agent_3"));
}

#[test]
fn sighup_and_post_reload_work_without_polling() {
    let service = serve("poll_ms = 0");
    service.edit(&one_rule("agent_2"));
    service.served.signal("-HUP");
    service.until("SIGHUP", |service| service.agent() == "agent_2");
    service.edit(MISSPELT);
    service.served.signal("-HUP");
    service.until("the error is logged", |service| service.served.log().contains("rules.toml:3:1"));
    assert_eq!(service.agent(), "agent_2");

    let (status, body) = service.admin("POST /reload");
    assert_eq!((status, &body["ok"]), (422, &Value::from(false)));
    let diagnostics = body["diagnostics"].as_array().unwrap();
    let unknown =
        diagnostics.iter().find(|diagnostic| diagnostic["code"] == "unknown-key").unwrap();
    assert_eq!((&unknown["line"], &unknown["column"]), (&3.into(), &1.into()), "{body}");
    service.edit(&one_rule("agent_3"));
    let (status, body) = service.admin("POST /reload");
    assert_eq!((status, &body["ok"]), (200, &Value::from(true)));
    assert_eq!(service.agent(), "agent_3");
    assert_eq!(service.admin("GET /reload").0, 405);
    let (code, log) = service.served.terminate();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn a_long_load_delays_neither_calls_nor_shutdown() {
    let service = serve("poll_ms = 0");
    let rules = many_rules(400_000);
    let loading_after = bytes_read(service.served.id()) + rules.len() as u64;
    service.edit(&rules);
    let admin = service.served.admin.clone();
    let reload = std::thread::spawn(move || send(&admin, "POST /reload"));
    service.until("the load has begun", |service| bytes_read(service.served.id()) >= loading_after);

    assert!(service.call().contains("agent_1"), "calls are answered");
    assert_eq!(service.admin("GET /readyz").0, 200);
    service.served.signal("-HUP");
    let (code, log) = service.served.terminate();
    assert_eq!(code, Some(0), "{log}");
    // The service must not wait for the load.
    let (status, body) = reload.join().unwrap();
    assert_eq!((status, &body["detail"]), (503, &"the service is stopping".into()));
}

/// Returns a table that takes a while to load.
fn many_rules(count: usize) -> String {
    let rule =
        |at| format!("[[rule]]\nname = \"{at}\"\nto = \"+1213{at:07}\"\nagent = \"agent_1\"\n");
    (0..count).map(rule).chain([one_rule("agent_1")]).collect()
}

/// Returns the number of bytes that a process has read from files.
fn bytes_read(process: u32) -> u64 {
    let counters = std::fs::read_to_string(format!("/proc/{process}/io")).unwrap();
    let read = counters.lines().find_map(|line| line.strip_prefix("rchar: "));
    read.and_then(|read| read.parse().ok()).expect("a counter of read bytes")
}

#[test]
fn sighup_during_startup_does_not_end_the_service() {
    let rules = many_rules(50_000);
    let (_folder, settings) = program::folder(&format!("{SETTINGS}[rules]\npoll_ms = 0\n"), &rules);
    let starting = start(&["--config", &settings]);
    let is_loading = || bytes_read(starting.id()) >= rules.len() as u64;
    assert!(wait::until(is_loading), "the service reads the table");
    starting.signal("-HUP");
    let served = Served::new(starting);
    assert!(send(&served.admin, "GET /healthz").0 == 200);
    assert_eq!(served.terminate().0, Some(0));
}

#[test]
fn refuses_to_start_with_a_named_pipe_as_settings_rules_or_secret() {
    let secret = SETTINGS.replace("env:RETELL_API_KEY", "file:pipe");
    for (settings, pipe, expected) in [
        (SETTINGS, "s.toml", "s.toml: it is a named pipe, not a regular file"),
        (SETTINGS, "rules.toml", "rules.toml: it is a named pipe, not a regular file"),
        (&secret, "pipe", "cannot read file:pipe: it is a named pipe, not a regular file"),
    ] {
        let (folder, path) = program::folder(settings, &one_rule("agent_1"));
        let pipe = folder.path().join(pipe);
        drop(std::fs::remove_file(&pipe));
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let ended = run(&["serve", "--dev", "--config", &path]);
        let stderr = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(expected), "{expected}: {stderr}");
    }
}

#[test]
fn refuses_to_start_with_an_invalid_table_or_a_failing_test() {
    let failing = one_rule("agent_1")
        + "[[test]]\nname = \"a test\"\nfrom = \"+12137771234\"\nexpect = { agent = \"agent_2\" }\n";
    for (table, expected) in [
        (MISSPELT, &["rules.toml:3:1", "did you mean `from`?"][..]),
        ("", &["the table has no rules"]),
        (
            &failing,
            &[
                "rules.toml:5:8",
                "test `a test` fails",
                "expected agent \"agent_2\", got \"agent_1\"",
                "1  DECIDES  everyone",
            ],
        ),
    ] {
        let (_folder, settings) = program::folder(SETTINGS, table);
        let ended = run(&["serve", "--dev", "--config", &settings]);
        assert_eq!(ended.status.code(), Some(2), "{table}");
        let stderr = text(&ended.stderr);
        assert!(expected.iter().all(|text| stderr.contains(text)), "{expected:?}: {stderr}");
    }
    let (folder, settings) = program::folder(SETTINGS, "");
    std::fs::remove_file(folder.path().join("rules.toml")).unwrap();
    let ended = run(&["serve", "--dev", "--config", &settings]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(text(&ended.stderr).contains("cannot read the rules"), "{}", text(&ended.stderr));
}

#[test]
fn a_second_service_on_one_record_file_names_the_first_until_that_ends() {
    let settings = format!("{SETTINGS}\n[records]\nurl = \"sqlite:records/r.db\"\n");
    let (folder, path) = program::folder(&settings, &one_rule("agent_1"));
    let first = Served::new(start(&["--config", &path]));
    let lock = folder.path().join("records/r.db.lock");
    let holder = || std::fs::read_to_string(&lock).unwrap_or_default();
    assert!(wait::until(|| holder() == first.id().to_string()), "{}", holder());
    let second = Served::new(start(&["--config", &path]));
    second.wait_for_log("another process serves with the same record file");
    assert!(second.log().contains(&format!("pid={}", first.id())), "{}", second.log());
    let (code, log) = first.terminate();
    assert_eq!(code, Some(0));
    assert!(!log.contains("another process"), "{log}");
    second.wait_for_log("no other process serves with the same record file");
    assert_eq!(holder(), second.id().to_string());
}

#[test]
fn a_request_that_reaches_no_source_is_logged_without_its_token_and_not_too_often() {
    let served = program::serve();
    let address = served.url.trim_start_matches("http://");
    for _ in 0..8 {
        let (status, _) = admin_request(address, "POST /inbound/reteil/t0ken_0123456789", "");
        assert_eq!(status, 404);
    }
    let (status, _) = admin_request(address, "POST /Inbound/Retell", "");
    assert_eq!(status, 404);
    served.wait_for_log("reason=\"letter_case\"");
    let (_, log) = served.terminate();
    assert_eq!(log.matches("reason=\"unknown_source\"").count(), 5, "{log}");
    let line = r#"method=POST path="/inbound/reteil/…" sources="retell, synthflow""#;
    assert!(log.contains(line), "{log}");
    assert!(!log.contains("t0ken"), "{log}");
}
