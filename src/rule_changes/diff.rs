//! Differences between versions, file by file.

use std::collections::BTreeMap;
use std::time::Duration;

use similar::{ChangeTag, TextDiff};

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDiff {
    /// Name of the file.
    pub name: String,
    /// The version before does not have it.
    pub is_added: bool,
    /// The version after does not have it.
    pub is_removed: bool,
    /// Number of added and of removed lines.
    pub lines: (usize, usize),
    /// Groups of changed lines with some lines around them.
    pub hunks: Vec<Hunk>,
    /// Number of changed lines that are left out, because there are too many.
    pub more: usize,
}

/// Changed lines that are next to each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hunk {
    /// Lines.
    pub lines: Vec<DiffLine>,
}

/// A line of a hunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffLine {
    /// `+`, `-`, or a blank for a line that did not change.
    pub sign: char,
    /// Number of the line in the version before.
    pub old: Option<usize>,
    /// Number of the line in the version after.
    pub new: Option<usize>,
    /// Text without the end of the line.
    pub text: String,
}

/// Lines around a change.
const CONTEXT: usize = 3;
/// Maximum number of lines of a file.
const MAX_LINES: usize = 1_000;
/// Time after which a difference may be larger than necessary.
const TIMEOUT: Duration = Duration::from_millis(500);

/// Returns the files that differ between two versions, by name.
pub fn diff(before: &BTreeMap<String, &str>, after: &BTreeMap<String, &str>) -> Vec<FileDiff> {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let differs = |name: &&String| before.get(*name) != after.get(*name);
    let names = names.into_iter().filter(differs);
    names.map(|name| file_diff(name, before.get(name).copied(), after.get(name).copied())).collect()
}

fn file_diff(name: &str, old: Option<&str>, new: Option<&str>) -> FileDiff {
    let (is_added, is_removed) = (old.is_none(), new.is_none());
    let mut config = TextDiff::configure();
    let diff = config.timeout(TIMEOUT).diff_lines(old.unwrap_or_default(), new.unwrap_or_default());
    let mut file = FileDiff {
        name: name.to_owned(),
        is_added,
        is_removed,
        lines: (0, 0),
        hunks: Vec::new(),
        more: 0,
    };
    let mut shown = 0;
    for group in diff.grouped_ops(CONTEXT) {
        let mut hunk = Hunk::default();
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            file.lines.0 += usize::from(sign == '+');
            file.lines.1 += usize::from(sign == '-');
            if shown >= MAX_LINES {
                file.more += usize::from(sign != ' ');
                continue;
            }
            shown += 1;
            let number = |index: Option<usize>| index.map(|index| index + 1);
            hunk.lines.push(DiffLine {
                sign,
                old: number(change.old_index()),
                new: number(change.new_index()),
                text: change.value().trim_end_matches(['\r', '\n']).to_owned(),
            });
        }
        if !hunk.lines.is_empty() {
            file.hunks.push(hunk);
        }
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_differ_are_compared_line_by_line() {
        let version = |texts: &[(&str, &'static str)]| {
            let texts = texts.iter().map(|(name, text)| ((*name).to_owned(), *text));
            texts.collect::<BTreeMap<_, _>>()
        };
        let before = version(&[("a.toml", "1\n2\n3\n4\n5\n6\n7\n8\n9\n"), ("b.toml", "x\n")]);
        let after = version(&[("a.toml", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n"), ("c.csv", "y")]);
        let found = diff(&before, &after);
        let kinds: Vec<_> =
            found.iter().map(|file| (&*file.name, file.is_added, file.is_removed)).collect();
        assert_eq!(
            kinds,
            [("a.toml", false, false), ("b.toml", false, true), ("c.csv", true, false)]
        );
        let lines: Vec<_> =
            found[0].hunks[0].lines.iter().map(|line| (line.sign, line.new)).collect();
        assert_eq!(found[0].lines, (1, 1));
        assert_eq!(lines[3..5], [('-', None), ('+', Some(5))]);
        assert!(diff(&before, &before).is_empty());
        let long = "line\n".repeat(MAX_LINES + 10);
        let long = diff(&version(&[]), &BTreeMap::from([("a".to_owned(), &*long)]));
        assert_eq!((long[0].lines, long[0].more), ((MAX_LINES + 10, 0), 10));
    }
}
