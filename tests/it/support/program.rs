//! Runs the real binary: its output, its log and its exit code.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::support::app::root;
use crate::support::wait::{self, DEADLINE, Running};

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

#[track_caller]
pub(crate) fn run(arguments: &[&str]) -> Output {
    wait::output(program().args(arguments))
}

#[track_caller]
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// A service that is listening.
pub(crate) struct Served {
    running: Running,
    log: Arc<Mutex<String>>,
    log_reader: JoinHandle<()>,
    /// What the program has printed until it was listening.
    pub(crate) start: String,
    pub(crate) url: String,
    /// Address of the admin listener: `127.0.0.1:41234`.
    pub(crate) admin: String,
    pub(crate) curl: String,
}

/// Starts `serve --dev`.
pub(crate) fn start(arguments: &[&str]) -> Running {
    start_with(program(), arguments)
}

/// Starts `serve --dev` with a soft limit of open files.
pub(crate) fn start_with_file_limit(limit: u32) -> Running {
    start_with(in_shell(&format!("ulimit -S -n {limit}")), &[])
}

/// Returns the program, to be started by a shell after `preparation`.
pub(crate) fn in_shell(preparation: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{preparation} && exec \"$0\" \"$@\""));
    shell.arg(env!("CARGO_BIN_EXE_switchboard")).current_dir(root());
    for (name, value) in program().get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// Starts `serve --dev` with a command of [`program`].
pub(crate) fn start_with(mut serve: Command, arguments: &[&str]) -> Running {
    serve.args(["serve", "--dev"]).args(arguments);
    let sets_records =
        |path: &&str| std::fs::read_to_string(path).is_ok_and(|text| text.contains("[records]"));
    if !arguments.iter().any(sets_records) {
        // The default would write records into the folder of the repository.
        serve.env("SWITCHBOARD__RECORDS__URL", "memory:");
    }
    Running::start(&mut serve)
}

pub(crate) fn serve() -> Served {
    Served::new(start(&[]))
}

impl Served {
    /// Waits until the service is listening.
    #[track_caller]
    pub(crate) fn new(mut running: Running) -> Served {
        let mut stdout = running.take_stdout();
        let (mut url, mut admin, mut curl) = (String::new(), String::new(), String::new());
        let mut start = String::new();
        while admin.is_empty() {
            let line = stdout.read_line();
            if line.is_empty() {
                break;
            }
            start.push_str(&line);
            if let Some(rest) = line.strip_prefix("Listening on ") {
                rest.split(". ").next().unwrap().clone_into(&mut url);
            }
            if line.trim_start().starts_with("curl ") {
                line.trim().clone_into(&mut curl);
            }
            let address = line.split_once("admin_address=");
            let address = address.or_else(|| line.split_once("\"admin_address\":\""));
            if let Some((_, rest)) = address {
                rest.split([' ', '"']).next().unwrap().clone_into(&mut admin);
            }
        }
        assert!(url.contains("://127.0.0.1:") || url.contains("://[::1]:"), "{url}");
        let log = Arc::new(Mutex::new(String::new()));
        let log_reader = stdout.read_rest({
            let log = log.clone();
            move |line| log.lock().unwrap().push_str(line)
        });
        Served { running, log, log_reader, start, url, admin, curl }
    }

    /// Returns the log since the start.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn signal(&self, signal: &str) {
        self.running.signal(signal);
    }

    /// Waits until the log contains a text.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, text: &str) {
        assert!(wait::until(|| self.log().contains(text)), "{text}\n{}", self.log());
    }

    /// Returns the id of the process.
    pub(crate) fn id(&self) -> u32 {
        self.running.id()
    }

    /// Sends SIGTERM. Returns the exit code and the log.
    #[track_caller]
    pub(crate) fn terminate(mut self) -> (Option<i32>, String) {
        self.signal("-TERM");
        let code = self.running.wait();
        self.log_reader.join().expect("the log was read to its end");
        (code, self.log.lock().unwrap().clone())
    }
}

/// Sends a request such as `POST /reload` with further header lines. Returns the status and the body.
pub(crate) fn admin_request(address: &str, request: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let close = "Host: localhost\r\nConnection: close";
    write!(stream, "{request} HTTP/1.1\r\n{close}\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a response");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), body.to_owned())
}

/// A folder with settings and rules; returns it with the path of the settings.
pub(crate) fn folder(settings: &str, rules: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("s.toml"), settings).unwrap();
    std::fs::write(folder.path().join("rules.toml"), rules).unwrap();
    let path = folder.path().join("s.toml").to_str().unwrap().to_owned();
    (folder, path)
}

/// Settings with a single Retell source.
pub(crate) const SETTINGS: &str =
    "[sources.retell]\nplatform = \"retell\"\nsecrets = [\"env:RETELL_API_KEY\"]\n";
