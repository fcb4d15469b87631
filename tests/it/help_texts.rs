//! Help texts that propose a replacement: each is followed in a copy of its bad table, and the diagnostic must
//! be gone, without a new error at that place.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use switchboard::diagnostics::{Diagnostic, Location, Report, Severity};
use switchboard::reload;

use crate::bad_tables::{cases, context, load_case};
use crate::support::app;

/// Beginnings of help texts whose first proposal does not stand in the place of what is marked, with the
/// reason.
const NOT_A_REPLACEMENT: [(&str, &str); 12] = [
    ("rule tables are stored", "the name of the header is marked, to hide its value"),
    ("write `12-24`, `2026-12-24`", "examples of all forms of a day"),
    ("write `09:00-12:30, 13:30-18:00`", "examples of opening times"),
    ("write `easter`, `easter-2`", "examples of days around Easter"),
    ("write `00:00` for the start", "the date changes with it"),
    ("write `$${` for a literal", "what was intended is unknown"),
    ("use `>=`, `<=`", "a list of operators"),
    ("if this is intended", "the country replaces the entry in the rule, not in the list"),
    ("remove the row if it is no entry", "the header of a text file is no caller"),
    ("limit the rule with", "a further key of the rule"),
    ("write unsupported", "a further key of the rule"),
    ("write the key", "a key in place of an entry of `where`"),
];

/// Number of proposals that are tried for one help text of a table.
const MAX_REPEATED: usize = 3;

fn load(rules: &Path, is_untested: bool) -> Report {
    match reload::load(rules, &context(), is_untested, &mut |_| {}) {
        Ok(loaded) => loaded.report,
        Err(error) => panic!("{}: {error}", rules.display()),
    }
}

/// Copies a folder with its files and folders.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, target).unwrap();
        }
    }
}

/// Returns the text that the help proposes.
fn proposal(help: &str) -> Option<&str> {
    if NOT_A_REPLACEMENT.iter().any(|(start, _)| help.starts_with(start)) {
        return None;
    }
    let (_, rest) =
        ["did you mean `", "write `"].into_iter().find_map(|lead| help.split_once(lead))?;
    rest.split_once('`').map(|(text, _)| text)
}

/// Returns the offset of a location in its whole file, and the marked text.
fn marked<'l>(location: &'l Location, content: &str) -> Option<(usize, &'l str)> {
    let text = location.file.text.get(location.span.clone())?;
    let (line, column) = location.line_and_column();
    let start = content.split_inclusive('\n').take(line - 1).map(str::len).sum::<usize>();
    let chars = content[start..].char_indices().map(|(at, _)| at).chain([content[start..].len()]);
    let at = start + chars.into_iter().nth(column - 1)?;
    content[at..].starts_with(text).then_some((at, text))
}

/// Returns what the marked text can become: a word that the message names is replaced, or all of it.
fn replacements(diagnostic: &Diagnostic, marked: &str, proposed: &str) -> Vec<String> {
    let escaped = |c: char| match c.is_control() {
        true => format!("\\u{:04X}", c as u32),
        false => c.to_string(),
    };
    let proposed: String = proposed.chars().map(escaped).collect();
    let words = diagnostic.message.split('`').skip(1).step_by(2);
    let named = words.filter(|word| !word.is_empty() && marked.contains(word));
    let mut found: Vec<_> = named.map(|word| marked.replacen(word, &proposed, 1)).collect();
    let is_quoted =
        |quote| marked.len() > 1 && marked.starts_with(quote) && marked.ends_with(quote);
    found.push(
        match ['"', '\''].into_iter().any(is_quoted) && !proposed.starts_with(['"', '\'']) {
            true => format!("\"{proposed}\""),
            false => proposed.clone(),
        },
    );
    found
}

/// Returns the entry `KEY = "TEXT"` or `KEY = ["TEXT"]` at an offset: in its line, or in an inline table.
fn entry_at(content: &str, at: usize) -> Option<Range<usize>> {
    let start = content[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = content[start..].lines().next()?;
    let mut is_quoted = false;
    let outside = line.char_indices().filter(|(_, c)| {
        is_quoted ^= *c == '"';
        !is_quoted
    });
    let signs: Vec<_> = outside.filter(|(_, c)| "={,".contains(*c)).collect();
    let mut entries = signs.iter().enumerate().filter(|(_, (_, sign))| *sign == '=').filter_map(
        |(nth, (equals, _))| {
            let before = signs[..nth].iter().rfind(|(_, sign)| "{,".contains(*sign));
            let key = before.map_or(0, |(before, _)| before + 1);
            let value = line[equals + 1..].trim_start();
            let close = match value.chars().next()? {
                '[' => ']',
                '"' => '"',
                _ => return None,
            };
            let end =
                value[1..].find(close).map_or(line.len(), |end| line.len() - value.len() + end + 2);
            let key = key + line[key..].len() - line[key..].trim_start().len();
            Some(start + key..start + end)
        },
    );
    entries.rfind(|entry| entry.contains(&at))
}

/// Returns the line at an offset, without the spaces around it.
fn line_at(content: &str, at: usize) -> Option<Range<usize>> {
    let start = content[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = content[start..].lines().next()?;
    let start = start + line.len() - line.trim_start().len();
    Some(start..start + line.trim().len())
}

/// Follows a proposal in a copy of the case. Returns whether that leaves nothing to report there.
fn is_right(case: &Path, diagnostic: &Diagnostic, proposed: &str) -> bool {
    let location = diagnostic.location.as_ref().expect("a location");
    let relative = Path::new(&location.file.path).strip_prefix(case).expect("a file of the case");
    let content = std::fs::read_to_string(case.join(relative)).unwrap_or_default();
    let Some((mut at, mut text)) = marked(location, &content) else { return true };
    let marked_at = at;
    let is_line = diagnostic.code == "syntax" && proposed.contains(" = ");
    let is_literal = !is_line && proposed.starts_with(['"', '\'']);
    let is_in_text = |start: &usize| {
        let line = content[..at].rfind('\n').map_or(0, |end| end + 1);
        *start >= line && content[line..at].matches('"').count() % 2 == 1
    };
    let start = content[..at].rfind('"').filter(is_in_text);
    if let Some(start) = start.filter(|_| is_literal && !text.starts_with(['"', '\''])) {
        // A part of a string is marked, and the help has the whole one.
        let end = content[start + 1..].find('"').map_or(content.len(), |end| start + 1 + end + 1);
        (at, text) = (start, &content[start..end]);
    }
    let entry = match diagnostic.code {
        // The help has the whole line.
        "syntax" if proposed.contains(" = ") || proposed.starts_with('[') => line_at(&content, at),
        _ => entry_at(&content, at).filter(|_| proposed.contains(" = ")),
    };
    let is_entry = entry.is_some();
    if let Some(entry) = entry {
        (at, text) = (entry.start, &content[entry]);
    }
    let is_untested = case.file_name().unwrap().to_str().unwrap().starts_with("untested");
    let name = if case.join("rules").is_dir() { "rules" } else { "rules.toml" };
    let (line, column) = location.line_and_column();
    let before = content.get(at..marked_at).map_or(0, |before| before.chars().count());
    let place = (line, column.saturating_sub(before));
    let replacements = match is_entry {
        true => vec![proposed.to_owned()],
        false => replacements(diagnostic, text, proposed),
    };
    replacements.into_iter().any(|replacement| {
        let folder = tempfile::tempdir().unwrap();
        copy(case, folder.path());
        let file = folder.path().join(relative);
        let edited = [&content[..at], &replacement, &content[at + text.len()..]].concat();
        std::fs::write(&file, edited).unwrap();
        let report = load(&folder.path().join(name), is_untested);
        let path = file.display().to_string();
        let end = place.1 + replacement.chars().count();
        !report.diagnostics().iter().any(|other| {
            let Some(location) = &other.location else { return false };
            let (line, column) = location.line_and_column();
            let is_here = location.file.path == path && line == place.0;
            let is_same = other.code == diagnostic.code && other.message == diagnostic.message;
            let is_new_error =
                other.severity == Severity::Error && (place.1..end).contains(&column);
            is_here && (is_same && column == place.1 || is_new_error)
        })
    })
}

/// Diagnostics of golden reports without a location: code, and the reason.
const WITHOUT_LOCATION: [(&str, &str); 0] = [];

#[test]
fn every_diagnostic_of_a_golden_report_has_a_location() {
    let mut without = Vec::new();
    let mut count = 0;
    for case in cases() {
        // The others are about a path at which there is nothing.
        let Ok(loaded) = load_case(&case) else { continue };
        for diagnostic in loaded.report.diagnostics() {
            count += 1;
            let is_known = WITHOUT_LOCATION.iter().any(|(code, _)| *code == diagnostic.code);
            if diagnostic.location.is_none() && !is_known {
                let case = case.strip_prefix(app::root()).unwrap().display();
                without.push(format!("{case}: {}: {}", diagnostic.code, diagnostic.message));
            }
        }
    }
    assert!(without.is_empty(), "{}", without.join("\n"));
    assert!(count > 300, "only {count} diagnostics");
}

#[test]
fn every_proposal_of_a_help_text_is_right_when_followed() {
    let mut wrong = Vec::new();
    let mut followed = 0;
    for case in cases() {
        let name = if case.join("rules").is_dir() { "rules" } else { "rules.toml" };
        if case.join(name).is_dir() && std::fs::read_dir(case.join(name)).unwrap().count() == 0 {
            continue;
        }
        let is_untested = case.file_name().unwrap().to_str().unwrap().starts_with("untested");
        let Ok(loaded) = reload::load(&case.join(name), &context(), is_untested, &mut |_| {})
        else {
            continue;
        };
        let mut repeated: BTreeMap<String, usize> = BTreeMap::new();
        for diagnostic in loaded.report.diagnostics().iter().filter(|one| one.location.is_some()) {
            let Some(proposed) = diagnostic.help.as_deref().and_then(proposal) else { continue };
            let count = repeated.entry(format!("{} {proposed}", diagnostic.code)).or_default();
            *count += 1;
            if *count > MAX_REPEATED {
                continue;
            }
            followed += 1;
            if !is_right(&case, diagnostic, proposed) {
                let case = case.strip_prefix(app::root()).unwrap().display();
                wrong.push(format!(
                    "{case}: {}: {}: `{proposed}`",
                    diagnostic.code, diagnostic.message
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {followed}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(followed > 100, "only {followed} proposals");
}
