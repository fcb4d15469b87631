//! The real program: its exit codes, what it prints, and how it stops.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::app::root;

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    for secret in ["RETELL_API_KEY", "SYNTHFLOW_SECRET", "SYNTHFLOW_URL_TOKEN"] {
        command.env_remove(secret);
    }
    command
        .current_dir(root())
        .env("SWITCHBOARD__SERVER__LISTEN", "127.0.0.1:0")
        .env("SWITCHBOARD__ADMIN__LISTEN", "127.0.0.1:0");
    command
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().expect("it starts")
}

#[track_caller]
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// A service, ended when the test is.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A service that has said where it listens.
pub(crate) struct Served {
    running: Running,
    log: Arc<Mutex<String>>,
    reading: JoinHandle<()>,
    pub(crate) url: String,
    /// Where the admin listener is: `127.0.0.1:41234`.
    pub(crate) admin: String,
    curl: String,
}

/// Starts `serve --dev`.
pub(crate) fn start(arguments: &[&str]) -> Running {
    let mut serve = program();
    serve.args(["serve", "--dev"]).args(arguments);
    let says = |path: &&str| std::fs::read_to_string(path).is_ok_and(|s| s.contains("[records]"));
    if !arguments.iter().any(says) {
        // Else it would record into the folder of the project.
        serve.env("SWITCHBOARD__RECORDS__URL", "memory:");
    }
    started(serve)
}

/// Starts a service in another way.
pub(crate) fn started(mut serve: Command) -> Running {
    Running(serve.stdout(Stdio::piped()).spawn().expect("it starts"))
}

fn serve() -> Served {
    start(&[]).until_it_serves()
}

impl Running {
    pub(crate) fn signal(&self, signal: &str) {
        let killed = Command::new("kill").args([signal, &self.0.id().to_string()]).status();
        assert!(killed.expect("kill").success());
    }

    /// Waits for its end, and no longer than any grace.
    fn end(&mut self) -> Option<i32> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(15) {
            if let Some(ended) = self.0.try_wait().expect("a child") {
                return ended.code();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("it does not end");
    }

    /// Waits until it has said where it listens.
    pub(crate) fn until_it_serves(mut self) -> Served {
        let mut out = BufReader::new(self.0.stdout.take().expect("piped"));
        let (mut url, mut admin, mut curl) = (String::new(), String::new(), String::new());
        let mut line = String::new();
        while admin.is_empty() && out.read_line(&mut line).expect("text") > 0 {
            if let Some(rest) = line.strip_prefix("Listening on ") {
                rest.split(". ").next().unwrap().clone_into(&mut url);
            }
            if line.trim_start().starts_with("curl ") {
                line.trim().clone_into(&mut curl);
            }
            if let Some((_, rest)) = line.split_once("admin_address=") {
                rest.split(' ').next().unwrap().clone_into(&mut admin);
            }
            line.clear();
        }
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        let log = Arc::new(Mutex::new(String::new()));
        let reading = std::thread::spawn({
            let log = log.clone();
            move || {
                while out.read_line(&mut line).expect("text") > 0 {
                    log.lock().unwrap().push_str(&line);
                    line.clear();
                }
            }
        });
        Served { running: self, log, reading, url, admin, curl }
    }
}

impl Served {
    /// What it has logged since it serves.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn signal(&self, signal: &str) {
        self.running.signal(signal);
    }

    /// Waits until the log says this.
    #[track_caller]
    pub(crate) fn until_log(&self, says: &str) {
        let begun = Instant::now();
        while !self.log().contains(says) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{says}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.running.0.id()
    }

    /// Sends SIGTERM, and returns the exit code and the log.
    pub(crate) fn terminate(mut self) -> (Option<i32>, String) {
        self.signal("-TERM");
        let code = self.running.end();
        self.reading.join().expect("it was read to its end");
        (code, self.log.lock().unwrap().clone())
    }
}

#[test]
fn the_first_five_minutes_of_a_newcomer() {
    let served = serve();
    let pasted = Command::new("sh").args(["-c", &served.curl]).output().expect("sh");
    assert!(pasted.status.success(), "{}: {}", served.curl, text(&pasted.stderr));
    assert!(
        text(&pasted.stdout).contains(r#""override_agent_id":"agent_c0nc1erge""#),
        "{}",
        text(&pasted.stdout)
    );

    for (arguments, expected) in [
        (vec!["--source", "retell"], r#""override_agent_id": "agent_c0nc1erge""#),
        (vec!["--source", "retell", "--channel", "sms"], r#""override_agent_id": "agent_sms""#),
        (vec!["--source", "retell", "--from", "+19005550100"], r#""reject": true"#),
        (vec!["--source", "synthflow"], r#""override_model_id": "agent_c0nc1erge""#),
    ] {
        let sent = run(&[&["send", "--url", &served.url], arguments.as_slice()].concat());
        assert_eq!(sent.status.code(), Some(0), "{}", text(&sent.stderr));
        assert!(text(&sent.stdout).contains(expected), "{arguments:?}: {}", text(&sent.stdout));
        let said = text(&sent.stderr);
        assert!(said.contains("200 OK in ") && said.contains("using `dev`"), "{said}");
    }

    let health = run(&["health", "--url", &format!("{}/healthz", served.url)]);
    assert_eq!(health.status.code(), Some(0));
    let (code, log) = served.terminate();
    assert_eq!(code, Some(0), "SIGTERM ends it well");
    assert!(
        log.contains(r#"from="+1213***1234""#) && !log.contains("+12137771234"),
        "masked: {log}"
    );
    assert_eq!(log.matches(" call ").count(), 5, "one line a call: {log}");
}

#[test]
fn a_curl_line_of_send_works_when_pasted() {
    let served = serve();
    let printed = run(&["send", "--curl", "--url", &served.url, "--from", "+4930901820"]);
    let pasted = Command::new("sh").args(["-c", &text(&printed.stdout)]).output().expect("sh");
    assert!(text(&pasted.stdout).contains(r#""language":"de""#), "{}", text(&pasted.stdout));
}

#[test]
fn a_saved_body_is_sent_and_explained_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let body = folder.path().join("body.json");
    std::fs::write(
        &body,
        r#"{"event":"call_inbound","call_inbound":{"from_number":"+14155550100"}}"#,
    )
    .unwrap();
    let body = body.to_str().unwrap();
    let served = serve();
    let sent = run(&["send", "--url", &served.url, "--body", body]);
    assert!(text(&sent.stdout).contains("our valued guest"), "{}", text(&sent.stdout));
    let explained = run(&["explain", "--body", body]);
    let explained = text(&explained.stdout);
    assert!(explained.contains("DECIDES  vip"), "{explained}");
}

#[test]
fn what_is_not_well_exits_1() {
    let served = serve();
    let mut refused = program();
    refused.env("RETELL_API_KEY", "a key of somebody else").args(["send", "--url", &served.url]);
    let refused = refused.output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).starts_with("401"), "{}", text(&refused.stderr));
    let nobody = run(&["health", "--url", "http://127.0.0.1:9/healthz"]);
    assert_eq!(nobody.status.code(), Some(1));
}

#[test]
fn explain_tells_each_rule_until_the_deciding_one_as_text_and_json() {
    let at = ["--from", "+13125550100", "--at", "2026-11-20 10:00"];
    let explained = run(&[&["explain"], at.as_slice()].concat());
    let explained = text(&explained.stdout);
    assert!(explained.contains("no       blocked callers"), "{explained}");
    assert!(explained.contains("from +13125550100 is not in @blocked, +1900*"), "{explained}");
    assert!(explained.contains("hours !office: office is open on Fri 2026-11-20 at 10:00"));
    assert!(explained.contains("DECIDES  everyone else"), "{explained}");
    let json = run(&[&["explain", "--json"], at.as_slice()].concat());
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["rule"], "everyone else");
    assert_eq!(json["replies"]["synthflow"]["call_inbound"]["override_model_id"], "1716a");
}

/// A folder with settings and rules; returns it with the path of the settings.
pub(crate) fn folder(settings: &str, rules: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("s.toml"), settings).unwrap();
    std::fs::write(folder.path().join("rules.toml"), rules).unwrap();
    let path = folder.path().join("s.toml").to_str().unwrap().to_owned();
    (folder, path)
}

pub(crate) const SETTINGS: &str =
    "[sources.retell]\nplatform = \"retell\"\nsecrets = [\"env:RETELL_API_KEY\"]\n";
const MISSPELT: &str = "[[rule]]\nname = \"a\"\nform = \"+1213*\"\nagent = \"x\"\n";

#[test]
fn check_names_every_mistake_with_its_line_and_exits_1() {
    let (_folder, settings) = folder(&format!("{SETTINGS}fallbak = \"keep\"\n"), MISSPELT);
    let settings_only = run(&["check", "--config", &settings]);
    assert_eq!(settings_only.status.code(), Some(1));
    let said = text(&settings_only.stdout);
    assert!(said.contains("s.toml:4:1") && said.contains("did you mean `fallback`?"), "{said}");
    let (_folder, settings) = folder(SETTINGS, MISSPELT);
    let checked = run(&["check", "--config", &settings]);
    let said = text(&checked.stdout);
    assert!(said.contains("rules.toml:3:1") && said.contains("did you mean `from`?"), "{said}");
    let json = run(&["check", "--json", "--config", &settings]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["ok"], false);
    let mistakes = json["mistakes"].as_array().unwrap();
    let mistake = mistakes.iter().find(|mistake| mistake["code"] == "unknown-key").unwrap();
    assert_eq!((&mistake["line"], &mistake["column"]), (&3.into(), &1.into()));
}

#[test]
fn check_names_mistakes_of_settings_and_rules_in_one_run() {
    let (_folder, settings) = folder(&format!("{SETTINGS}fallbak = \"keep\"\n"), MISSPELT);
    let said = text(&run(&["check", "--config", &settings]).stdout);
    assert!(
        said.contains("did you mean `fallback`?") && said.contains("did you mean `from`?"),
        "{said}"
    );
}

#[test]
fn strict_takes_warnings_for_errors() {
    let (_folder, settings) =
        folder(SETTINGS, "[[rule]]\nname = \"a\"\nto = \"+1213*\"\nagent = \"x\"\n");
    assert_eq!(run(&["check", "--config", &settings]).status.code(), Some(0));
    assert_eq!(run(&["check", "--strict", "--config", &settings]).status.code(), Some(1));
}

#[test]
fn the_shipped_table_passes_the_strict_check() {
    let checked = run(&["check", "--strict"]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stdout));
    let alone = run(&["check", "--strict", "--rules", "config/rules.toml"]);
    assert_eq!(alone.status.code(), Some(0), "{}", text(&alone.stdout));
}

#[test]
fn what_cannot_run_exits_2_and_says_what_to_set() {
    let (folder, settings) = folder(SETTINGS, MISSPELT.replace("form", "from").as_str());
    let no_secret = run(&["serve", "--config", &settings]);
    assert_eq!(no_secret.status.code(), Some(2));
    let said = text(&no_secret.stderr);
    assert!(said.contains("set the environment variable RETELL_API_KEY"), "{said}");
    std::fs::write(folder.path().join("rules.toml"), MISSPELT).unwrap();
    let bad_rules = run(&["serve", "--dev", "--config", &settings]);
    assert_eq!(bad_rules.status.code(), Some(2));
    let nothing = run(&["check", "--config", "no/such/file.toml"]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(text(&nothing.stderr).contains("no/such/file.toml"));
    let nobody = run(&["send", "--url", "http://127.0.0.1:9", "--config", &settings]);
    assert_eq!(nobody.status.code(), Some(2));
}

#[test]
fn every_command_has_help() {
    for command in ["serve", "send", "check", "explain", "health"] {
        let help = text(&run(&[command, "--help"]).stdout);
        assert!(help.contains("--config"), "{help}");
        assert!(help.lines().next().is_some_and(|line| line.len() > 10), "{help}");
    }
}

#[test]
fn it_stops_within_the_grace_even_with_an_idle_connection() {
    let served = serve();
    let address = served.url.trim_start_matches("http://").to_owned();
    let _idle = std::net::TcpStream::connect(address).unwrap();
    let (code, _) = served.terminate();
    assert_eq!(code, Some(0));
}
