//! The real program while its rules are edited: valid edits go live, errors are logged, and a reload delays
//! neither calls nor shutdown.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::program::{self, SETTINGS, Served, run, start, text};
use crate::support::wait::{self, DEADLINE};

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
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a response");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), serde_json::from_str(body).unwrap_or_default())
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
fn a_load_that_never_ends_delays_neither_calls_nor_shutdown() {
    let service = serve("poll_ms = 0");
    std::fs::remove_file(service.rules()).unwrap();
    assert!(Command::new("mkfifo").arg(service.rules()).status().unwrap().success());
    let admin = service.served.admin.clone();
    let reload = std::thread::spawn(move || send(&admin, "POST /reload"));
    let _pipe = until_read(service.rules());

    assert!(service.call().contains("agent_1"), "calls are answered");
    assert_eq!(service.admin("GET /readyz").0, 200);
    service.served.signal("-HUP");
    let (code, log) = service.served.terminate();
    assert_eq!(code, Some(0), "{log}");
    // The load never ends; the service must not wait for it.
    let (status, body) = reload.join().unwrap();
    assert_eq!((status, &body["detail"]), (503, &"the service is stopping".into()));
}

/// Waits until the service opens a named pipe for reading.
#[track_caller]
fn until_read(pipe: PathBuf) -> File {
    let (open, opened) = mpsc::channel();
    std::thread::spawn(move || open.send(File::options().write(true).open(pipe)));
    opened.recv_timeout(DEADLINE).expect("the service reads the table").unwrap()
}

#[test]
fn sighup_during_startup_does_not_end_the_service() {
    let (folder, settings) = program::folder(&format!("{SETTINGS}[rules]\npoll_ms = 0\n"), "");
    let rules = folder.path().join("rules.toml");
    std::fs::remove_file(&rules).unwrap();
    assert!(Command::new("mkfifo").arg(&rules).status().unwrap().success());
    let starting = start(&["--config", &settings]);
    let mut pipe = until_read(rules);
    starting.signal("-HUP");
    pipe.write_all(one_rule("agent_1").as_bytes()).unwrap();
    drop(pipe);
    let served = Served::new(starting);
    assert!(send(&served.admin, "GET /healthz").0 == 200);
    assert_eq!(served.terminate().0, Some(0));
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
