//! The documentation: printed commands run as printed and print what the page shows, and every
//! link leads somewhere.
//!
//! A fenced block marked `console` holds commands (`$ …`) with their output. The commands of a page
//! run in order, in one scratch copy of the shipped files, against one service. In the output, `…`
//! stands for anything on its line, and for any number of lines if it is alone. `UPDATE_DOCS=1`
//! rewrites outputs that differ. Three comments prepare the commands: `<!-- run: COMMAND -->`,
//! `<!-- file: NAME -->` and `<!-- log -->`; see [`Step`].

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::app::root;
use crate::support::program::Running;

/// Commands that are not run, by how they begin, each with its reason.
const NOT_RUN: &[(&str, &str)] = &[
    ("cargo ", "compiles; `cargo run … -- …` runs as the compiled program"),
    ("docker ", "needs a container runtime"),
    ("systemctl ", "needs systemd"),
    ("openssl ", "prints a random value"),
    ("kill ", "needs the process id of the reader's service"),
    ("just ", "runs this test"),
    (".ci/run", "runs this test"),
    ("time ", "measures large generated rule tables"),
    ("git ", "needs the network or a repository"),
    ("mkdir -p etc ", "prepares a container"),
    ("switchboard records follow", "does not end by itself"),
];

/// Fields of log lines and JSON whose values differ from run to run.
const VOLATILE: &[&str] = &["latency_us=", "\"latency_us\":", "\"age_seconds\":", "age_seconds="];

// ---- pages and blocks

fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for folder in ["", "docs", "docs/decisions", "examples"] {
        pages.extend(markdown_in(&root().join(folder)));
    }
    let examples = std::fs::read_dir(root().join("examples")).expect("a folder");
    for example in examples.map(|entry| entry.expect("an entry").path()) {
        if example.is_dir() {
            pages.extend(markdown_in(&example));
        }
    }
    pages.sort();
    pages
}

fn markdown_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "md")).collect()
}

/// One step of a page. Ranges are line numbers.
#[derive(Debug)]
enum Step {
    /// A printed command and the output below it.
    Command(String, Range<usize>),
    /// `<!-- run: … -->`: a command that the page does not show.
    Hidden(String),
    /// `<!-- file: NAME -->`: the block below it is saved under this name.
    File(String, Range<usize>),
    /// `<!-- log -->`: the lines of the block below it are in the service's log.
    Log(Range<usize>),
}

/// Returns the steps of a page, in order.
fn steps_of(lines: &[&str]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut number = 0;
    while number < lines.len() {
        let line = lines[number];
        let directive = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
        if let Some(command) = directive.and_then(|text| text.strip_prefix("run: ")) {
            steps.push(Step::Hidden(command.to_owned()));
        } else if let Some(name) = directive.and_then(|text| text.strip_prefix("file: ")) {
            steps.push(Step::File(name.to_owned(), block_at(lines, number + 1)));
        } else if directive == Some("log") {
            steps.push(Step::Log(block_at(lines, number + 1)));
        } else if line.trim_start().starts_with("```") {
            let block = block_at(lines, number);
            if line.trim() == "```console" {
                steps.extend(commands_of(lines, block.clone()));
            }
            number = block.end;
        }
        number += 1;
    }
    steps
}

/// Returns the lines inside of the fenced block that opens at `start`.
fn block_at(lines: &[&str], start: usize) -> Range<usize> {
    let closing = lines[start + 1..].iter().position(|line| line.trim() == "```");
    start + 1..start + 1 + closing.expect("a closing fence")
}

fn commands_of(lines: &[&str], block: Range<usize>) -> Vec<Step> {
    let mut commands: Vec<(String, Range<usize>)> = Vec::new();
    let mut continued = false;
    for number in block {
        let line = lines[number];
        let after = number + 1;
        if continued {
            let (command, output) = commands.last_mut().expect("a command to continue");
            write!(command, "\n{line}").expect("memory");
            *output = after..after;
            continued = line.ends_with('\\');
        } else if let Some(command) = line.strip_prefix("$ ") {
            commands.push((command.to_owned(), after..after));
            continued = line.ends_with('\\');
        } else {
            commands.last_mut().expect("a block opens with a command").1.end = after;
        }
    }
    commands.into_iter().map(|(command, output)| Step::Command(command, output)).collect()
}

// ---- running a page

/// A scratch copy of the shipped files, and the service that the page's commands talk to.
struct Scratch {
    folder: tempfile::TempDir,
    /// Folder in which the commands run.
    at: PathBuf,
    service: Option<Service>,
}

struct Service {
    _running: Running,
    public: String,
    admin: String,
    /// Lines up to the one that says that it serves.
    printed: String,
    /// Lines after that one.
    log: Arc<Mutex<Vec<String>>>,
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).expect("a folder");
        for entry in std::fs::read_dir(from).expect("a folder") {
            let entry = entry.expect("an entry");
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        std::fs::copy(from, to).expect("a copy");
    }
}

impl Scratch {
    fn new() -> Scratch {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().join("switchboard");
        for name in ["config", "examples"] {
            copy(&root().join(name), &at.join(name));
        }
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).expect("a folder");
        let program = bin.join("switchboard");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_switchboard"), program).expect("a link");
        Scratch { folder, at, service: None }
    }

    fn shell(&self, command: &str) -> Command {
        let mut shell = Command::new("sh");
        let path = std::env::var("PATH").unwrap_or_default();
        shell.args(["-c", &format!("exec 2>&1\n{command}")]).current_dir(&self.at);
        shell.env("PATH", format!("{}:{path}", self.folder.path().join("bin").display()));
        for secret in ["RETELL_API_KEY", "SYNTHFLOW_SECRET", "SYNTHFLOW_URL_TOKEN"] {
            shell.env_remove(secret);
        }
        let (public, admin) = match &self.service {
            Some(service) => (&*service.public, &*service.admin),
            None => ("127.0.0.1:0", "127.0.0.1:0"),
        };
        shell.env("SWITCHBOARD__SERVER__LISTEN", public).env("SWITCHBOARD__ADMIN__LISTEN", admin);
        shell.stdout(Stdio::piped()).stdin(Stdio::null());
        shell
    }

    fn serve(&mut self, command: &str) {
        // Replaces the shell, so that ending the child ends the service.
        let child = self.shell(&format!("exec {command}")).spawn().expect("a shell");
        let mut running = Running(child);
        let mut out = BufReader::new(running.0.stdout.take().expect("piped"));
        let (mut printed, mut public, mut admin) = (String::new(), String::new(), String::new());
        while admin.is_empty() {
            let mut line = String::new();
            assert!(out.read_line(&mut line).expect("text") > 0, "`{command}` ended:\n{printed}");
            let field = |name: &str| {
                let (_, rest) = line.split_once(name)?;
                rest.split_whitespace().next().map(str::to_owned)
            };
            public = field(" address=").unwrap_or(public);
            admin = field("admin_address=").unwrap_or_default();
            printed.push_str(&line);
        }
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = log.clone();
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).for_each(|line| lines.lock().unwrap().push(line));
        });
        self.service = Some(Service { _running: running, public, admin, printed, log });
    }

    /// Returns the output of a command with the ports of the page.
    fn run(&mut self, command: &str) -> String {
        if command.contains("switchboard serve") {
            self.serve(command);
            return self.with_documented_ports(&self.service.as_ref().expect("started").printed);
        }
        let command = match &self.service {
            Some(service) => command
                .replace("127.0.0.1:8080", &service.public)
                .replace("127.0.0.1:9090", &service.admin),
            None => command.to_owned(),
        };
        let output = self.shell(&command).output().expect("a shell");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success() || !text.is_empty(), "`{command}` failed silently");
        self.with_documented_ports(&text)
    }

    fn with_documented_ports(&self, text: &str) -> String {
        match &self.service {
            Some(service) => text
                .replace(&service.public, "127.0.0.1:8080")
                .replace(&service.admin, "127.0.0.1:9090"),
            None => text.to_owned(),
        }
    }
}

/// Returns the command that runs in place of the printed one; `None` for those that are not run.
fn runnable(command: &str) -> Option<String> {
    if let Some((_, arguments)) = command.split_once("cargo run --release -- ") {
        return Some(format!("switchboard {arguments}"));
    }
    let not_run = NOT_RUN.iter().any(|(start, _reason)| command.starts_with(start));
    (!not_run).then(|| command.to_owned())
}

// ---- comparing outputs

/// Replaces what differs from run to run: times, dates, ids, signatures and durations.
fn normalized(line: &str) -> String {
    let mut line = line.to_owned();
    for name in VOLATILE {
        if let Some((before, rest)) = line.split_once(name) {
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            line = format!("{before}{name}#{rest}");
        }
    }
    let words: Vec<_> = line.split_whitespace().collect();
    let mut text = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let unit = words.get(index + 1).is_some_and(|next| next.starts_with("ms") || *next == "s");
        let number = word.trim_start_matches(['(', '+']).parse::<f64>().is_ok();
        text.push(if unit && number { "#".to_owned() } else { without_ids(word) });
    }
    text.join(" ")
}

/// Replaces runs of hexadecimal digits, and of digits with the signs of a time or a date.
fn without_ids(word: &str) -> String {
    let is_part = |c: char| c.is_ascii_hexdigit() || "-:.TZ".contains(c);
    let mut text = String::new();
    let mut rest = word;
    while !rest.is_empty() {
        let run = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (found, after) = rest.split_at(run);
        let digits = found.chars().filter(char::is_ascii_digit).count();
        let signs = found.chars().filter(|c| "-:".contains(*c)).count();
        let is_id = found.len() >= 24 && digits > 4 && found.contains(char::is_numeric);
        let is_time = signs >= 1 && digits >= 4 && found.len() >= 5;
        text.push_str(if is_id || is_time { "#" } else { found });
        let next = after.chars().next().map_or(0, char::len_utf8);
        text.push_str(&after[..next]);
        rest = &after[next..];
    }
    text
}

fn line_matches(shown: &str, real: &str) -> bool {
    let (shown, real) = (normalized(shown), normalized(real));
    let mut parts = shown.split('…').map(str::trim);
    let Some(mut rest) = parts.next().and_then(|first| real.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<_> = parts.collect();
    for (index, part) in parts.iter().enumerate() {
        let last = index + 1 == parts.len();
        let found = if last && rest.ends_with(part) {
            Some(rest.len() - part.len())
        } else if last {
            None
        } else {
            rest.find(part)
        };
        let Some(at) = found else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.trim().is_empty() || (parts.last().is_some_and(|last| last.is_empty()))
}

fn matches(shown: &[&str], real: &[&str]) -> bool {
    match (shown.split_first(), real.split_first()) {
        (None, None) => true,
        (Some((first, others)), _) if first.trim() == "…" => {
            (0..=real.len()).any(|skipped| matches(others, &real[skipped..]))
        }
        (Some((first, others)), Some((line, lines))) => {
            line_matches(first, line) && matches(others, lines)
        }
        _ => false,
    }
}

#[test]
fn the_matcher_accepts_what_varies_and_nothing_else() {
    assert!(line_matches("200 OK in 0.5 ms", "200 OK in 12.25 ms"));
    assert!(line_matches("a … z", "a b c z"));
    assert!(line_matches(
        "12:30:01  id 01a1fe18-bdf4-7819-99ba-9926638f24ce",
        "09:01:59 id 01b2fe18-bdf4-7819-99ba-9926638f24ce"
    ));
    assert!(!line_matches("9 rules, 5 agents", "8 rules, 5 agents"));
    assert!(!line_matches("agent concierge", "agent night"));
    assert!(matches(&["a", "…"], &["a", "b", "c"]));
    assert!(!matches(&["a", "…", "d"], &["a", "b", "c"]));
}

// ---- the tests

/// A page while its commands run.
struct Page<'p> {
    lines: Vec<&'p str>,
    scratch: Scratch,
    differences: Vec<String>,
    /// The page with the real outputs, by the line at which each begins.
    outputs: Vec<(Range<usize>, Vec<String>)>,
}

impl Page<'_> {
    fn step(&mut self, step: Step) {
        match step {
            Step::Command(command, output) => {
                if let Some(run) = runnable(&command) {
                    let real = self.scratch.run(&run);
                    let real = real.lines().map(|line| line.trim_end().to_owned()).collect();
                    self.compare(&command, output, real);
                }
            }
            Step::Hidden(command) => {
                self.scratch.run(&command);
            }
            Step::File(name, block) => {
                let text = self.lines[block].join("\n") + "\n";
                std::fs::write(self.scratch.at.join(name), text).expect("a file");
            }
            Step::Log(block) => self.compare_log(block),
        }
    }

    fn compare(&mut self, command: &str, output: Range<usize>, mut real: Vec<String>) {
        let shown = &self.lines[output.clone()];
        let lines: Vec<_> = real.iter().map(String::as_str).collect();
        if matches(shown, &lines) {
            return;
        }
        let (shown_text, real_text) = (shown.join("\n"), lines.join("\n"));
        self.differences
            .push(format!("$ {command}\n--- shown\n{shown_text}\n--- real\n{real_text}\n"));
        if shown.last().is_some_and(|last| last.trim() == "…") && real.len() >= shown.len() {
            real.truncate(shown.len() - 1);
            real.push("…".to_owned());
        }
        self.outputs.push((output, real));
    }

    /// Compares shown log lines with those of the service, which may still be on their way.
    fn compare_log(&mut self, block: Range<usize>) {
        let service = self.scratch.service.as_ref().expect("a service that logs");
        let begun = Instant::now();
        loop {
            let log = service.log.lock().unwrap().clone();
            let is_logged = |shown: &&str| log.iter().any(|line| line_matches(shown, line));
            if self.lines[block.clone()].iter().all(is_logged) {
                return;
            }
            if begun.elapsed() > Duration::from_secs(3) {
                let real = log[log.len().saturating_sub(block.len())..].to_vec();
                return self.compare("(log)", block, real);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn updated(mut self) -> String {
        let mut page: Vec<_> = self.lines.iter().map(|line| (*line).to_owned()).collect();
        // From the last to the first, so that line numbers stay valid.
        while let Some((range, lines)) = self.outputs.pop() {
            page.splice(range, lines);
        }
        page.join("\n") + "\n"
    }
}

#[test]
fn printed_commands_run_and_print_what_the_page_shows() {
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    let mut report = String::new();
    let mut run = 0;
    for path in pages() {
        let text = std::fs::read_to_string(&path).expect("a page");
        let lines: Vec<_> = text.lines().collect();
        let steps = steps_of(&lines);
        if steps.is_empty() {
            continue;
        }
        run += steps.len();
        let (differences, outputs) = (Vec::new(), Vec::new());
        let mut page = Page { lines, scratch: Scratch::new(), differences, outputs };
        steps.into_iter().for_each(|step| page.step(step));
        for difference in &page.differences {
            writeln!(report, "== {}\n{difference}", path.display()).expect("memory");
        }
        if update && !page.outputs.is_empty() {
            std::fs::write(&path, page.updated()).expect("a page");
        }
    }
    assert!(run > 10, "{run} commands");
    assert!(update || report.is_empty(), "{report}\nUPDATE_DOCS=1 rewrites the pages");
}

/// Anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut anchors = BTreeSet::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let Some(heading) = line.strip_prefix('#').filter(|_| !fenced) else { continue };
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        anchors.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
    }
    anchors
}

/// Targets of the Markdown links of a page, outside of code blocks.
fn links(text: &str) -> Vec<String> {
    let outside = text.split("```").step_by(2).collect::<String>();
    let ends = outside.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    ends.map(str::to_owned).collect()
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page");
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = page.parent().expect("a folder");
            let target = if file.is_empty() { page.clone() } else { folder.join(file) };
            let known = target.exists()
                && (anchor.is_empty()
                    || std::fs::read_to_string(&target)
                        .is_ok_and(|text| anchors(&text).contains(anchor)));
            if !known {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_block_with_a_prompt_is_marked_as_console() {
    let mut unmarked = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page");
        for block in text.split("```").skip(1).step_by(2) {
            let (mark, body) = block.split_once('\n').unwrap_or((block, ""));
            if mark != "console" && body.trim_start().starts_with("$ ") {
                unmarked.push(format!("{}: {}", page.display(), body.lines().next().unwrap_or("")));
            }
        }
    }
    assert!(unmarked.is_empty(), "{}", unmarked.join("\n"));
}
