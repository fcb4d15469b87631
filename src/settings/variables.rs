//! Environment variables whose names are almost those of settings.

use std::collections::{BTreeMap, HashMap};

use super::Inputs;
use super::keys::secret_mistakes::unquoted;
use super::keys::variable_of;
use crate::diagnostics::{Problem, Report, Severity};

/// Beginning of the names of settings.
const PREFIX: &str = "SWITCHBOARD__";
/// Beginning of names that miss an underscore.
const SHORT_PREFIX: &str = "SWITCHBOARD_";

/// Names that people guess, with the variable that was meant. Kubernetes sets `SWITCHBOARD_PORT`.
const SHORT_NAMES: [(&[&str], &str); 4] = [
    (&["SWITCHBOARD_RULES", "SWITCHBOARD_RULES_FILE"], "SWITCHBOARD__RULES__PATH"),
    (
        &["SWITCHBOARD_LISTEN", "SWITCHBOARD_ADDRESS", "SWITCHBOARD_ADDR", "SWITCHBOARD_BIND"],
        "SWITCHBOARD__SERVER__LISTEN",
    ),
    (&["SWITCHBOARD_LOG"], "SWITCHBOARD__LOG__LEVEL"),
    (
        &["SWITCHBOARD_RECORDS", "SWITCHBOARD_DATABASE_URL", "SWITCHBOARD_DATABASE"],
        "SWITCHBOARD__RECORDS__URL",
    ),
];

/// Returns the variables that can set a key, and reports the names that cannot be what was meant.
pub(super) fn usable(inputs: &Inputs, report: &mut Report) -> HashMap<String, String> {
    let mut usable = inputs.environment.clone();
    let mut names: Vec<_> = inputs.environment.keys().collect();
    names.sort();
    let mut by_key: BTreeMap<String, &str> = BTreeMap::new();
    for name in names {
        let key = name.to_uppercase();
        if !key.starts_with(PREFIX) {
            warn_if_almost(name, &key, report);
            continue;
        }
        // `config` would parse it as the index of a list. A shell cannot set such a name, but other
        // programs can.
        if key.contains(['[', ']']) {
            report.error("unknown-key", None, format!("unknown key (from {name})"));
            usable.remove(name);
            continue;
        }
        if let Some(meant) = variable_of(&key).filter(|meant| *meant != key) {
            let message = format!("{name} names no setting");
            report.error("unknown-key", None, message).help(format!("write {meant}"));
            usable.remove(name);
            continue;
        }
        if let Some((problem, meant)) = kept_punctuation(name, &inputs.environment[name]) {
            report.push(Severity::Error, None, problem);
            usable.insert(name.clone(), meant);
        }
        // Which one would win is a matter of chance.
        if let Some(other) = by_key.insert(key, name) {
            let message = format!("the variables {other} and {name} set the same key");
            report
                .error("ambiguous-variable", None, message)
                .help(format!("remove one of them: unset {name}"));
            usable.remove(name);
        }
    }
    usable
}

/// Returns the problem with a value that still has the quotes or brackets of a file, and the value without them. The
/// value may be a secret, and is not shown.
fn kept_punctuation(name: &str, value: &str) -> Option<(Problem, String)> {
    let problem = |message: &str, help: &str| {
        Problem::new("bad-value", format!("{name} {message}")).help(help)
    };
    if let Some(inside) = unquoted(value.trim()) {
        let help =
            "remove the quotes; docker --env-file and others keep them as parts of the value";
        return Some((problem("is in quotes", help), inside.to_owned()));
    }
    let list = value.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))?;
    let entries = list.split(',').map(str::trim).map(|entry| unquoted(entry).unwrap_or(entry));
    let help = "write the entries with commas between them, without brackets and quotes";
    let is_list =
        !list.trim().is_empty() && !list.contains(['[', '{', '/']) && !list.contains("::")
            || list.contains(['"', '\'']);
    is_list.then(|| (problem("is a list in brackets", help), entries.collect::<Vec<_>>().join(",")))
}

/// Warns of a variable that would set a key if it had all underscores. Kubernetes sets others that begin
/// with `SWITCHBOARD_`.
fn warn_if_almost(name: &str, key: &str, report: &mut Report) {
    let known = SHORT_NAMES.iter().find(|(names, _)| names.contains(&key));
    let help = if key == "SWITCHBOARD_CONFIG" {
        "name the settings file on the command line: --config FILE".to_owned()
    } else if let Some((_, meant)) = known {
        format!("write {meant}, with two underscores between the names")
    } else if let (true, Some(meant)) = (key.starts_with(SHORT_PREFIX), variable_of(key)) {
        format!("write {meant}, with two underscores between the names")
    } else {
        return;
    };
    report.warning("ignored-variable", None, format!("{name} sets nothing")).help(help);
}
