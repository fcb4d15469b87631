//! Runs the real binary: its output, its log and its exit code.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::app::root;

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

/// Time after which a wait fails, on a machine that is busy with something else.
const DEADLINE: Duration = Duration::from_secs(60);

/// A service, killed at the end of the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A service that is listening.
pub(crate) struct Served {
    pub(crate) running: Running,
    pub(crate) log: Arc<Mutex<String>>,
    pub(crate) reading: JoinHandle<()>,
    pub(crate) url: String,
    /// Address of the admin listener: `127.0.0.1:41234`.
    pub(crate) admin: String,
    pub(crate) curl: String,
}

/// Starts `serve --dev`.
pub(crate) fn start(arguments: &[&str]) -> Running {
    let mut serve = program();
    serve.args(["serve", "--dev"]).args(arguments);
    let says = |path: &&str| std::fs::read_to_string(path).is_ok_and(|s| s.contains("[records]"));
    if !arguments.iter().any(says) {
        // Otherwise it would write records into the folder of the repository.
        serve.env("SWITCHBOARD__RECORDS__URL", "memory:");
    }
    started(serve)
}

/// Starts a service with a command.
pub(crate) fn started(mut serve: Command) -> Running {
    Running(serve.stdout(Stdio::piped()).spawn().expect("it starts"))
}

pub(crate) fn serve() -> Served {
    start(&[]).until_it_serves()
}

impl Running {
    pub(crate) fn signal(&self, signal: &str) {
        let killed = Command::new("kill").args([signal, &self.0.id().to_string()]).status();
        assert!(killed.expect("kill").success());
    }

    /// Waits for the end of the process. The deadline is generous: the machine may be busy.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let begun = Instant::now();
        while begun.elapsed() < DEADLINE {
            if let Some(ended) = self.0.try_wait().expect("a child") {
                return ended.code();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("the service does not end");
    }

    /// Waits until the service is listening.
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
    /// Returns the log since the start.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn signal(&self, signal: &str) {
        self.running.signal(signal);
    }

    /// Waits until the log contains a text.
    #[track_caller]
    pub(crate) fn until_log(&self, says: &str) {
        let begun = Instant::now();
        while !self.log().contains(says) {
            assert!(begun.elapsed() < DEADLINE, "{says}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns the id of the process.
    pub(crate) fn id(&self) -> u32 {
        self.running.0.id()
    }

    /// Sends SIGTERM. Returns the exit code and the log.
    pub(crate) fn terminate(mut self) -> (Option<i32>, String) {
        self.signal("-TERM");
        let code = self.running.end();
        self.reading.join().expect("it was read to its end");
        (code, self.log.lock().unwrap().clone())
    }
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
