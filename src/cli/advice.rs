//! Advice about arguments that a command does not have: files, numbers and settings in the wrong place.

use std::ffi::OsString;
use std::path::Path;

use clap::Command;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::confusion;
use crate::file_kind::FileKind;

/// Flags of other programs that are settings here, with the key and the variable of each, and an example.
const SETTINGS: [(&[&str], &str, &str, &str); 6] = [
    (
        &["--port", "-p", "--listen", "--host", "--bind", "--address", "--addr"],
        "[server] listen",
        "SWITCHBOARD__SERVER__LISTEN",
        "0.0.0.0:8080",
    ),
    (
        &["--rules", "--rule", "--table", "-r"],
        "[rules] path",
        "SWITCHBOARD__RULES__PATH",
        "rules.toml",
    ),
    (
        &["--log-level", "--loglevel", "--log", "--verbose", "-v", "--debug", "--level"],
        "[log] level",
        "SWITCHBOARD__LOG__LEVEL",
        "debug",
    ),
    (&["--log-format"], "[log] format", "SWITCHBOARD__LOG__FORMAT", "json"),
    (
        &["--database", "--database-url", "--db", "--records"],
        "[records] url",
        "SWITCHBOARD__RECORDS__URL",
        "sqlite:records.db",
    ),
    (
        &["--admin", "--admin-listen"],
        "[admin] listen",
        "SWITCHBOARD__ADMIN__LISTEN",
        "127.0.0.1:9090",
    ),
];

/// Adds what to write in place of an argument that the command does not have, if that can be told.
pub(super) fn add(mut error: clap::Error, root: &Command, arguments: &[OsString]) -> clap::Error {
    let is_command = error.kind() == ErrorKind::InvalidSubcommand;
    if !is_command && error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let kind = if is_command { ContextKind::InvalidSubcommand } else { ContextKind::InvalidArg };
    let Some(ContextValue::String(wrong)) = error.get(kind) else { return error };
    let texts: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let (command, names) = named_command(root, &texts);
    let line = format!("switchboard {}", names.join(" "));
    let advice = match is_command {
        true => command_for_file(wrong).or_else(|| {
            let is_known = root.find_subcommand(wrong).is_some();
            is_known.then(|| format!("write `switchboard {wrong}`"))
        }),
        false => value_advice(wrong, line.trim_end(), &texts)
            .or_else(|| flag_in_front(root, command, &texts))
            .or_else(|| advice(wrong, command, line.trim_end(), &texts)),
    };
    if let Some(advice) = advice {
        let tips = ContextValue::StyledStrs(vec![StyledStr::from(advice)]);
        error.insert(ContextKind::Suggested, tips);
    }
    error
}

/// Returns the command that the arguments name, with its names below the program.
fn named_command<'c, 'a>(root: &'c Command, arguments: &[&'a str]) -> (&'c Command, Vec<&'a str>) {
    let (mut command, mut names) = (root, Vec::new());
    for argument in arguments.iter().skip(1).filter(|argument| !argument.starts_with('-')) {
        let Some(below) = command.find_subcommand(argument) else { break };
        (command, names) = (below, [names, vec![*argument]].concat());
    }
    (command, names)
}

/// Returns advice on a value that was taken for another argument: `--since -7d`, `--at 2026-12-25 10:00`.
fn value_advice(wrong: &str, line: &str, arguments: &[&str]) -> Option<String> {
    let is_digit = |c: char| c.is_ascii_digit();
    if wrong.strip_prefix('-').is_some_and(|rest| rest.starts_with(is_digit)) {
        let of_flag = |pair: &&[&str]| pair[0].starts_with("--") && pair[1].starts_with(wrong);
        let pair = arguments.windows(2).find(of_flag)?;
        return Some(format!("write `{line} {} {}`", pair[0], pair[1].trim_start_matches('-')));
    }
    let is_time = wrong.starts_with(is_digit) && wrong.contains(':') && !wrong.contains("://");
    let of_date = |three: &&[&str]| {
        is_time && three[0].starts_with("--") && three[1].starts_with(is_digit) && three[2] == wrong
    };
    let three = arguments.windows(3).find(of_date)?;
    Some(format!(
        "quotes hold a date and its time together: write `{line} {} \"{} {wrong}\"`",
        three[0], three[1]
    ))
}

/// Returns advice on flags that stand in front of their command: `--since 7d records list`.
fn flag_in_front(root: &Command, command: &Command, arguments: &[&str]) -> Option<String> {
    if command.get_name() != root.get_name() {
        return None;
    }
    let at = (1..arguments.len()).find(|at| root.find_subcommand(arguments[*at]).is_some())?;
    let (before, after) = arguments.split_at(at);
    let (meant, _) = named_command(root, &[&before[..1], after].concat());
    let flags = before[1..].iter().filter_map(|argument| argument.strip_prefix("--"));
    let mut names = flags.map(|flag| flag.split('=').next().unwrap_or_default());
    let has = |name: &str| meant.get_arguments().any(|known| known.get_long() == Some(name));
    let quoted = [after, &before[1..]].concat().into_iter().map(|argument| {
        if argument.contains(' ') { format!("\"{argument}\"") } else { argument.to_owned() }
    });
    let line = quoted.collect::<Vec<_>>().join(" ");
    names.all(has).then(|| format!("flags stand behind the command: write `switchboard {line}`"))
}

/// Flags of numbers that some commands have, and others not.
const NUMBER_FLAGS: [&str; 5] = ["--from", "--to", "--caller", "--phone", "--number"];

/// Returns advice on a flag for a number that this command names otherwise.
fn number_flag(flag: &str, arguments: &[&str], has: impl Fn(&str) -> bool) -> Option<String> {
    let value = NUMBER_FLAGS.contains(&flag).then(|| value_of(flag, arguments))?;
    let value = value.unwrap_or("NUMBER");
    if has("from") && has("to") {
        Some(format!(
            "write `--from {value}` for the caller, or `--to {value}` for the called number"
        ))
    } else if has("number") {
        Some(format!("write `--number {value}`: it is the caller's or the called number"))
    } else {
        None
    }
}

fn advice(wrong: &str, command: &Command, line: &str, arguments: &[&str]) -> Option<String> {
    let has = |flag: &str| command.get_arguments().any(|known| known.get_long() == Some(flag));
    let flag = wrong.split(['=', ' ']).next().unwrap_or_default();
    if let Some(advice) = number_flag(flag, arguments, has) {
        return Some(advice);
    }
    if wrong.starts_with('-') {
        let (_, key, variable, example) =
            SETTINGS.iter().find(|(flags, ..)| flags.contains(&flag))?;
        let value = value_of(flag, arguments).map(|value| match value.parse::<u16>() {
            Ok(port) if example.contains(':') => format!("0.0.0.0:{port}"),
            _ => value.to_owned(),
        });
        let value = value.unwrap_or_else(|| (*example).to_owned());
        return has("config").then(|| {
            format!("this is a setting: write {key} = \"{value}\", or set {variable}={value}")
        });
    }
    let is_number = wrong.chars().filter(char::is_ascii_digit).count() >= MIN_DIGITS
        && wrong.chars().all(|c| c.is_ascii_digit() || " +-().".contains(c));
    if is_number {
        let flag = ["number", "from"].into_iter().find(|flag| has(flag))?;
        let number =
            if wrong.contains([' ', '(']) { format!("\"{wrong}\"") } else { wrong.to_owned() };
        return Some(format!("write `{line} --{flag} {number}`"));
    }
    if wrong.contains("://") && has("url") {
        return Some(format!("write `{line} --url {wrong}`"));
    }
    if line.ends_with("records export") {
        let csv = if wrong.ends_with(".csv") { " --csv" } else { "" };
        return Some(format!("the export goes to standard output: write `{line}{csv} > {wrong}`"));
    }
    file_advice(wrong, line, &has)
}

/// Returns the command for a file that was given in place of one.
fn command_for_file(file: &str) -> Option<String> {
    match confusion::kind_of(Path::new(file))? {
        FileKind::Rules => Some(format!("write `switchboard check --rules {file}`")),
        FileKind::Settings => Some(format!("write `switchboard serve --config {file}`")),
        FileKind::Variables | FileKind::Json | FileKind::Yaml => None,
    }
}

/// Digits of an argument that is a phone number.
const MIN_DIGITS: usize = 7;

/// Returns the flag for a file of settings or rules.
fn file_advice(file: &str, line: &str, has: &impl Fn(&str) -> bool) -> Option<String> {
    let path = Path::new(file);
    let kind = confusion::kind_of(path);
    let is_named_so = path.extension().is_some_and(|extension| extension == "toml");
    match kind {
        Some(FileKind::Rules) if has("rules") => Some(format!("write `{line} --rules {file}`")),
        Some(FileKind::Rules) if has("config") => Some(format!(
            "rules are named by the settings: write [rules] path = \"{file}\", or set \
             SWITCHBOARD__RULES__PATH={file}"
        )),
        Some(FileKind::Settings) | None if has("config") && is_named_so => {
            Some(format!("write `{line} --config {file}`"))
        }
        _ => None,
    }
}

/// Returns the value behind a flag: `--port 8080` or `--port=8080`.
fn value_of<'a>(flag: &str, arguments: &[&'a str]) -> Option<&'a str> {
    let mut rest = arguments.iter();
    let found = rest.find(|argument| argument.split('=').next() == Some(flag))?;
    match found.split_once('=') {
        Some((_, value)) => Some(value),
        None => rest.next().copied().filter(|value| !value.starts_with('-')),
    }
}
