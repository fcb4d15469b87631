//! Files that were confused with others: settings for rules, folders for files.

use std::path::Path;

use crate::diagnostics::Problem;
use crate::file_kind::FileKind;
use crate::regular_file::{self, SizeLimit};
use crate::settings::Inputs;
use crate::{rules, settings};

/// Returns what a file is that was given as a rule table, and is none.
pub(super) fn instead_of_rules(path: &Path) -> Option<Problem> {
    if path.is_dir() {
        return settings_among(path);
    }
    let shown = path.display();
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
        let message = format!("{shown} is a list in CSV, not a rule table");
        let help = format!("a rule table names it: [lists.NAME], and below it file = \"{shown}\"");
        return Some(Problem::new("wrong-file", message).help(help));
    }
    let kind = kind_of(path)?;
    let help = match kind {
        FileKind::Rules => return None,
        FileKind::Settings => format!(
            "settings are named by --config, which every command takes: write `--config {shown}` in place of it"
        ),
        FileKind::Variables | FileKind::Json | FileKind::Yaml => {
            "a rule table is TOML: [[rule]], and below it name = \"everyone\" and agent = \"…\"; \
             `switchboard init DIR` writes one into a new folder"
                .to_owned()
        }
    };
    let message = format!("{shown} is {}, not a rule table", kind.as_str());
    Some(Problem::new("wrong-file", message).help(help))
}

/// Returns what a file is, if it can be read and its content shows it.
pub(super) fn kind_of(path: &Path) -> Option<FileKind> {
    // A larger file is no settings file.
    let text = String::from_utf8(regular_file::read(path, SizeLimit::SETTINGS).ok()?).ok()?;
    FileKind::of(path, &text, &rules::json_schema(), &settings::json_schema())
}

/// Returns the problem of a folder of rules in which a settings file is.
fn settings_among(folder: &Path) -> Option<Problem> {
    let paths = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    paths.sort();
    let found = paths.iter().find(|path| kind_of(path) == Some(FileKind::Settings))?.display();
    let message =
        format!("{found} is a settings file, and all *.toml files of the folder are rules");
    let help = "keep the settings outside of the folder, or name the file of the rules";
    Some(Problem::new("wrong-file", message).help(help))
}

/// Returns advice, to append to a message, if a folder was given as the settings file.
pub(super) fn settings_in(folder: &Path) -> Option<String> {
    if !folder.is_dir() {
        return None;
    }
    let file = folder.join("switchboard.toml");
    Some(match file.is_file() {
        true => format!("; write --config {}", file.display()),
        false => "; a folder of rules is named by --rules".to_owned(),
    })
}

const FOLDER: &str = "for a table of several files, name their folder";

/// Returns what names the rule table, and the folder from which its path starts.
pub(super) fn where_rules_are(inputs: &Inputs) -> String {
    match inputs.variable(&["rules", "path"]) {
        Some(name) => {
            format!("{name} names the rule table, relative to the working directory; {FOLDER}")
        }
        None => {
            format!("`[rules] path` names the rule table, relative to the settings file; {FOLDER}")
        }
    }
}
