//! Runs the commands of one page.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use super::output::{line_matches, matches, most_similar, update};
use crate::support::app::root;
use crate::support::program::program;
use crate::support::wait::{self, Running};

/// Commands that do not run here, by their beginning, and why.
const NOT_RUN: [(&str, &str); 13] = [
    ("cargo test", "runs this test"),
    ("cargo bench", "takes minutes"),
    ("docker ", "needs a container runtime"),
    ("kubectl ", "needs a cluster"),
    ("apt ", "changes the machine"),
    ("deploy/debian/build ", "needs cargo-deb and a release build"),
    (".ci/build ", "builds a release"),
    ("sqlite3 ", "needs the shell of SQLite"),
    ("just", "needs tools that a build does not"),
    ("kill ", "needs the id of a process"),
    ("openssl ", "prints random text"),
    ("switchboard records follow", "does not end"),
    ("time ", "needs a table of a million rules"),
];

/// Stands for output that is not written yet.
const PLACEHOLDER: &str = "?";

/// A step of a page.
enum Step {
    /// Runs a command. The printed output, if there is one, must match.
    Run { command: String, printed: Vec<String> },
    /// Writes a file.
    Write { name: String, text: String },
    /// Compares lines with the log of the service.
    Log { printed: Vec<String> },
}

/// Splits a page into steps. Prose and other blocks are no steps.
fn steps(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = text.lines();
    let mut directive = None;
    while let Some(line) = lines.next() {
        if let Some(comment) = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"))
        {
            match comment.strip_prefix("run: ") {
                Some(command) => {
                    steps.push(Step::Run { command: command.to_owned(), printed: Vec::new() });
                }
                None => directive = Some(comment),
            }
        } else if let Some(language) = line.strip_prefix("```") {
            let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            let block: Vec<String> = block.into_iter().map(str::to_owned).collect();
            match directive.take() {
                Some("log") => steps.push(Step::Log { printed: block }),
                Some(other) if other.starts_with("file: ") => {
                    let name = other["file: ".len()..].to_owned();
                    steps.push(Step::Write { name, text: block.join("\n") + "\n" });
                }
                Some(_) | None if language == "console" => steps.extend(commands(&block)),
                Some(_) | None => {}
            }
        }
    }
    steps
}

/// Splits a block into commands with their output.
fn commands(block: &[String]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in block {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => {
                steps.push(Step::Run { command: command.to_owned(), printed: Vec::new() });
            }
            (None, Some(Step::Run { command, printed })) => {
                if command.ends_with('\\') && printed.is_empty() {
                    *command += &format!("\n{line}");
                } else {
                    printed.push(line.clone());
                }
            }
            (None, _) => panic!("a block begins with output: {line}"),
        }
    }
    steps
}

/// A running service, its addresses, and what it has printed.
struct Service {
    _process: Running,
    public: String,
    admin: String,
    printed: Arc<Mutex<Vec<String>>>,
}

/// The directory in which the commands of a page run.
struct Session {
    folder: tempfile::TempDir,
    /// Where commands run: the folder, or one that a `cd` of the page has entered.
    working_directory: PathBuf,
    service: Option<Service>,
}

impl Session {
    fn new() -> Session {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join(".bin");
        std::fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_switchboard"), bin.join("switchboard"))
            .unwrap();
        let cargo =
            "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nexec switchboard \"$@\"\n";
        std::fs::write(bin.join("cargo"), cargo).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(bin.join("cargo"), executable).unwrap();
        for name in ["config", "examples"] {
            copy(&root().join(name), &folder.path().join(name));
        }
        let working_directory = folder.path().to_owned();
        Session { folder, working_directory, service: None }
    }

    /// Prepares a command in a shell. The listeners are those of the running service.
    fn shell(&self, command: &str) -> Command {
        let mut shell = program();
        let bin = self.folder.path().join(".bin");
        #[expect(
            clippy::disallowed_methods,
            reason = "the shell needs the programs of the machine"
        )]
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        // A page that edits rules reloads them itself; a poll would make the number of reloads random.
        shell.env("SWITCHBOARD__RULES__POLL_MS", "0");
        let mut command = command.to_owned();
        if let Some(service) = &self.service {
            command = command.replace("127.0.0.1:8080", &service.public);
            command = command.replace("127.0.0.1:9090", &service.admin);
            shell.env("SWITCHBOARD__SERVER__LISTEN", &service.public);
            shell.env("SWITCHBOARD__ADMIN__LISTEN", &service.admin);
        }
        let mut bash = Command::new("bash");
        bash.envs(shell.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .env("PATH", path)
            .env("LC_ALL", "C.UTF-8")
            .current_dir(&self.working_directory)
            .args(["-c", &command]);
        for (name, value) in shell.get_envs() {
            if value.is_none() {
                bash.env_remove(name);
            }
        }
        bash
    }

    /// Runs a command to its end. Returns its output, and whether it succeeded.
    fn run(&mut self, command: &str) -> (Vec<String>, bool) {
        if let Some(folder) = command.strip_prefix("cd ").filter(|rest| !rest.contains(' ')) {
            self.working_directory.push(folder);
            return (Vec::new(), self.working_directory.is_dir());
        }
        if is_serve(command) {
            return (self.serve(command), true);
        }
        // One stream, so that the order of both outputs is that of a terminal.
        let output = wait::output(&mut self.shell(&format!("exec 2>&1\n{command}")));
        let text = String::from_utf8_lossy(&output.stdout);
        (text.lines().map(|line| self.as_printed(line)).collect(), output.status.success())
    }

    /// Restores the addresses and paths that a page shows.
    fn as_printed(&self, line: &str) -> String {
        let mut line = line.replace(&format!("{}/", self.folder.path().display()), "");
        if let Some(service) = &self.service {
            line = line.replace(&service.public, "127.0.0.1:8080");
            line = line.replace(&service.admin, "127.0.0.1:9090");
        }
        line
    }

    /// Starts a service in the background. Returns what it prints until it serves.
    fn serve(&mut self, command: &str) -> Vec<String> {
        self.service = None;
        let mut process = Running::start(&mut self.shell(&format!("exec {command}")));
        let mut output = process.take_stdout();
        let mut lines: Vec<String> = Vec::new();
        let line = loop {
            let line = output.read_line();
            lines.extend(line.strip_suffix('\n').map(str::to_owned));
            if line.is_empty() || line.contains("admin_address=") {
                break line;
            }
        };
        let address = |name: &str| {
            let rest = line.split_once(name).unwrap_or_else(|| panic!("{lines:#?}")).1;
            rest.split(' ').next().unwrap_or_default().to_owned()
        };
        let (public, admin) = (address(" address="), address("admin_address="));
        let printed = Arc::new(Mutex::new(Vec::new()));
        output.read_rest({
            let printed = printed.clone();
            move |line| printed.lock().unwrap().push(line.trim_end_matches('\n').to_owned())
        });
        self.service = Some(Service { _process: process, public, admin, printed });
        lines.iter().map(|line| self.as_printed(line)).collect()
    }

    /// Returns the log so far, once it contains a line like each of `printed`. After the deadline the
    /// caller finds that a line is missing.
    fn log(&self, printed: &[String]) -> Vec<String> {
        let service = self.service.as_ref().expect("the page starts a service");
        let mut log = Vec::new();
        wait::until(|| {
            log.clone_from(&service.printed.lock().unwrap());
            printed.iter().all(|line| log.iter().any(|entry| line_matches(line, entry)))
        });
        log.iter().map(|line| self.as_printed(line)).collect()
    }
}

fn is_serve(command: &str) -> bool {
    command.split(" -- ").last().is_some_and(|arguments| {
        arguments.starts_with("serve") || arguments.starts_with("switchboard serve")
    })
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Runs the commands of a page, and compares or updates their printed output.
#[track_caller]
pub(super) fn check_page(name: &str) {
    let path = root().join(name);
    let text = std::fs::read_to_string(&path).expect("a page");
    let mut session = Session::new();
    let mut wrong = Vec::new();
    for step in steps(&text) {
        match step {
            Step::Write { name, text } => {
                std::fs::write(session.folder.path().join(name), text).unwrap();
            }
            Step::Log { printed } => {
                let log = session.log(&printed);
                let is_logged = |line: &String| log.iter().any(|entry| line_matches(line, entry));
                if !printed.iter().all(is_logged) {
                    let similar = |line: &String| {
                        let at = most_similar(line, &log).filter(|_| !is_logged(line));
                        at.map_or_else(|| line.clone(), |at| log[at].clone())
                    };
                    let updated = printed.iter().map(similar).collect();
                    wrong.push(("the log".to_owned(), printed, updated));
                }
            }
            Step::Run { command, .. }
                if NOT_RUN.iter().any(|(begin, _)| command.starts_with(begin)) => {}
            Step::Run { command, printed } => {
                let (output, is_success) = session.run(&command);
                assert!(!printed.is_empty() || is_success, "{name}: {command}\n{output:#?}");
                if !printed.is_empty() && !matches(&printed, &output) {
                    let is_placeholder = printed == [PLACEHOLDER];
                    let updated = if is_placeholder { output } else { update(&printed, &output) };
                    wrong.push((command, printed, updated));
                }
            }
        }
    }
    report(name, &wrong);
}

/// Writes updates into the page if the developer asks for it, and otherwise fails with them.
#[track_caller]
fn report(name: &str, wrong: &[(String, Vec<String>, Vec<String>)]) {
    #[expect(clippy::disallowed_methods, reason = "set by the developer who runs the tests")]
    let is_update = std::env::var_os("UPDATE_GOLDEN").is_some();
    if is_update {
        // Read again, since the reference tables of a page are updated by another test.
        let mut page = std::fs::read_to_string(root().join(name)).unwrap();
        for (command, printed, updated) in wrong {
            let before = if command == "the log" { "text".to_owned() } else { command.clone() };
            let old = format!("{before}\n{}\n", printed.join("\n"));
            let new = format!("{before}\n{}\n", updated.join("\n"));
            page = page.replacen(&old, &new, 1);
        }
        std::fs::write(root().join(name), page).unwrap();
        return;
    }
    let differences = wrong.iter().map(|(command, printed, updated)| {
        format!(
            "$ {command}\n--- printed\n{}\n--- output\n{}\n",
            printed.join("\n"),
            updated.join("\n")
        )
    });
    let differences: String = differences.collect();
    assert!(
        wrong.is_empty(),
        "{name}: UPDATE_GOLDEN=1 cargo test docs:: updates it\n{differences}"
    );
}
