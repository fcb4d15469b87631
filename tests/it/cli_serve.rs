//! The real program while its table is edited: what is live, and how soon; what it says; and that
//! nothing holds up a call or the end.

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

/// A service with a table of its own.
struct Own {
    served: Served,
    folder: TempDir,
    settings: String,
}

fn one_rule(agent: &str) -> String {
    format!("[[rule]]\nname = \"everyone\"\nagent = \"{agent}\"\n")
}

/// With this in its `[rules]`, and agent_1 for everyone.
fn serve(rules: &str) -> Own {
    let (folder, settings) =
        program::folder(&format!("{SETTINGS}[rules]\n{rules}\n"), &one_rule("agent_1"));
    let served = Served::new(start(&["--config", &settings]));
    Own { served, folder, settings }
}

impl Own {
    fn rules(&self) -> PathBuf {
        self.folder.path().join("rules.toml")
    }

    fn edit(&self, text: &str) {
        std::fs::write(self.rules(), text).unwrap();
    }

    /// Asks the admin listener.
    fn ask(&self, request: &str) -> (u16, Value) {
        ask(&self.served.admin, request)
    }

    fn agent(&self) -> Value {
        let (status, body) = self.ask("GET /explain?from=%2B12137771234");
        assert_eq!(status, 200, "{body}");
        body["agent"].clone()
    }

    /// Waits until a condition holds.
    #[track_caller]
    fn until(&self, what: &str, condition: impl Fn(&Own) -> bool) {
        assert!(wait::until(|| condition(self)), "{what}: {}", self.served.log());
    }

    /// Sends a call and returns the reply.
    fn call(&self) -> String {
        let sent = run(&["send", "--config", &self.settings, "--url", &self.served.url]);
        assert_eq!(sent.status.code(), Some(0), "{}", text(&sent.stderr));
        text(&sent.stdout)
    }
}

/// Sends one request as any client would: `POST /reload`.
fn ask(address: &str, request: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), serde_json::from_str(body).unwrap_or_default())
}

const MISSPELT: &str = "[[rule]]\nname = \"a\"\nform = \"+1213*\"\nagent = \"x\"\n";

#[test]
fn a_good_edit_goes_live_and_a_broken_one_never_does() {
    let own = serve("");
    own.edit(&one_rule("agent_2"));
    own.until("the edit is live", |own| own.agent() == "agent_2");
    assert!(own.call().contains("agent_2"));
    own.edit(MISSPELT);
    own.until("the error is logged", |own| own.served.log().contains("unknown-key"));
    let log = own.served.log();
    assert!(log.contains("reload failed, kept the previous rules"), "{log}");
    assert!(log.contains("rules.toml:3:1") && log.contains("did you mean `from`?"), "{log}");
    assert!(own.call().contains("agent_2"));
    own.edit(&one_rule("agent_3"));
    own.until("the next good edit is live", |own| own.agent() == "agent_3");
    assert!(own.call().contains("agent_3"));
}

#[test]
fn sighup_and_post_reload_work_without_polling() {
    let own = serve("poll_ms = 0");
    own.edit(&one_rule("agent_2"));
    own.served.signal("-HUP");
    own.until("SIGHUP", |own| own.agent() == "agent_2");
    own.edit(MISSPELT);
    own.served.signal("-HUP");
    own.until("the mistake is told", |own| own.served.log().contains("rules.toml:3:1"));
    assert_eq!(own.agent(), "agent_2");

    let (status, body) = own.ask("POST /reload");
    assert_eq!((status, &body["ok"]), (422, &Value::from(false)));
    let mistakes = body["diagnostics"].as_array().unwrap();
    let unknown = mistakes.iter().find(|mistake| mistake["code"] == "unknown-key").unwrap();
    assert_eq!((&unknown["line"], &unknown["column"]), (&3.into(), &1.into()), "{body}");
    own.edit(&one_rule("agent_3"));
    let (status, body) = own.ask("POST /reload");
    assert_eq!((status, &body["ok"]), (200, &Value::from(true)));
    assert_eq!(own.agent(), "agent_3");
    assert_eq!(own.ask("GET /reload").0, 405);
    let (code, log) = own.served.terminate();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn a_load_that_never_ends_delays_neither_calls_nor_shutdown() {
    let own = serve("poll_ms = 0");
    std::fs::remove_file(own.rules()).unwrap();
    assert!(Command::new("mkfifo").arg(own.rules()).status().unwrap().success());
    let admin = own.served.admin.clone();
    let asked = std::thread::spawn(move || ask(&admin, "POST /reload"));
    let _kept_open = until_read(own.rules());

    assert!(own.call().contains("agent_1"), "calls are answered");
    assert_eq!(own.ask("GET /readyz").0, 200);
    own.served.signal("-HUP");
    let (code, log) = own.served.terminate();
    assert_eq!(code, Some(0), "{log}");
    // The load never ends; the service must not wait for it.
    let (status, body) = asked.join().unwrap();
    assert_eq!((status, &body["detail"]), (503, &"the service is stopping".into()));
}

/// Waits until the service opens a named pipe for reading.
#[track_caller]
fn until_read(pipe: PathBuf) -> File {
    let (open, opened) = mpsc::channel();
    std::thread::spawn(move || open.send(File::options().write(true).open(pipe)));
    opened.recv_timeout(DEADLINE).expect("the table is being read").unwrap()
}

#[test]
fn sighup_during_the_start_does_not_end_the_service() {
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
    assert!(ask(&served.admin, "GET /healthz").0 == 200);
    assert_eq!(served.terminate().0, Some(0));
}

#[test]
fn refuses_to_start_with_an_invalid_table_or_a_failing_test() {
    let failing = one_rule("agent_1")
        + "[[test]]\nname = \"who rings\"\nfrom = \"+12137771234\"\nexpect = { agent = \"agent_2\" }\n";
    for (table, told) in [
        (MISSPELT, &["rules.toml:3:1", "did you mean `from`?"][..]),
        ("", &["the table has no rules"]),
        (
            &failing,
            &[
                "rules.toml:5:8",
                "test `who rings` fails",
                "expected agent \"agent_2\", got \"agent_1\"",
                "1  DECIDES  everyone",
            ],
        ),
    ] {
        let (_folder, settings) = program::folder(SETTINGS, table);
        let ended = run(&["serve", "--dev", "--config", &settings]);
        assert_eq!(ended.status.code(), Some(2), "{table}");
        let said = text(&ended.stderr);
        assert!(told.iter().all(|told| said.contains(told)), "{told:?}: {said}");
    }
    let (folder, settings) = program::folder(SETTINGS, "");
    std::fs::remove_file(folder.path().join("rules.toml")).unwrap();
    let ended = run(&["serve", "--dev", "--config", &settings]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(text(&ended.stderr).contains("cannot read the rules"), "{}", text(&ended.stderr));
}
