//! Mistakes in the syntax of TOML, several of them at once.

use std::ops::Range;

use toml::de::DeTable;

use crate::rules::load::chunks::{CHUNK_BYTES, end_of_line, end_of_string};

/// Parses a chunk, and returns all its mistakes; of a long chunk those near the first one. The parser keeps each
/// mistake in some 600 bytes, and a quote that is not closed on every line of a long list makes very many.
pub(super) fn parse_recoverable(text: &str) -> (toml::Spanned<DeTable<'_>>, Vec<toml::de::Error>) {
    const LONG: usize = 2 * CHUNK_BYTES;
    if text.len() <= LONG {
        return DeTable::parse_recoverable(text);
    }
    let first = match DeTable::parse(text) {
        Ok(document) => return (document, Vec::new()),
        Err(first) => first,
    };
    let start = first.span().unwrap_or_default().start.min(text.len());
    let after = (start + CHUNK_BYTES).min(text.len());
    let line_end = text.as_bytes()[after..].iter().position(|byte| *byte == b'\n');
    let end = line_end.map_or(text.len(), |line_end| after + line_end + 1);
    let (document, mut errors) = DeTable::parse_recoverable(&text[..end]);
    if end < text.len() {
        // What is not closed at the end of the part may be closed behind it.
        let part = start..text[..end].trim_end().len();
        errors.retain(|error| error.span().is_some_and(|span| part.contains(&span.start)));
        if errors.is_empty() {
            errors.push(first);
        }
    }
    (document, errors)
}

/// Returns the start of a multi-line string that is not closed.
pub(super) fn unclosed_string(text: &str, errors: &[toml::de::Error]) -> Option<usize> {
    let is_unclosed = |error: &&toml::de::Error| {
        error.message().starts_with("invalid multi-line")
            && error.span().is_some_and(|span| text[span.start..].trim_start().is_empty())
    };
    let error = errors.iter().find(is_unclosed)?;
    let quotes = if error.message().contains("literal") { "'''" } else { "\"\"\"" };
    text.rfind(quotes)
}

/// Returns the key of a rule or test at which a second one begins without its header, if the same keys are set
/// again: `name`, or several.
pub(super) fn second_item(text: &str, errors: &[toml::de::Error]) -> Option<String> {
    let duplicates = errors.iter().filter(|error| error.message() == "duplicate key");
    let keys: Vec<&str> = duplicates.filter_map(|error| text.get(error.span()?)).collect();
    let is_second = keys.len() > 1 || keys.first() == Some(&"name");
    keys.first().filter(|_| is_second).map(|key| (*key).to_owned())
}

/// A list without one or both of its brackets.
pub(super) struct BrokenList {
    /// Start of the line on which the list begins.
    pub(super) line_start: usize,
    /// Part of the line to show.
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) help: String,
    /// Start of the line after the list.
    pub(super) end: usize,
}

/// Returns the first list without its brackets.
pub(super) fn broken_list(text: &str, errors: &[toml::de::Error]) -> Option<BrokenList> {
    if errors.is_empty() {
        return None;
    }
    let bare = errors.iter().find_map(|error| bare_list(text, error.span()?.start));
    let unclosed = unclosed_list(text);
    let found = bare.into_iter().chain(unclosed);
    found.min_by_key(|list| list.line_start)
}

/// Finds texts on several lines, separated by commas, that no brackets enclose.
fn bare_list(text: &str, at: usize) -> Option<BrokenList> {
    let is_value = |value: &str| DeTable::parse(&format!("a = {value}")).is_ok();
    let at = text.floor_char_boundary(at);
    let line_start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let mut lines = text[line_start..].split_inclusive('\n');
    let first = lines.next()?;
    let (key, value) = first.split_once('=')?;
    let value = value.trim();
    let is_open = value.is_empty() || (value.starts_with('"') && value.ends_with(','));
    if !is_open || key.trim().is_empty() {
        return None;
    }
    let mut end = line_start + first.len();
    let mut items: Vec<&str> = value.strip_suffix(',').into_iter().collect();
    for line in lines {
        let item = line.trim();
        let item = item.strip_suffix(',').unwrap_or(item);
        if !item.starts_with('"') || !is_value(&format!("[{item}]")) {
            break;
        }
        items.push(item);
        end += line.len();
    }
    let list = format!("[{}]", items.join(", "));
    (items.len() > 1 && is_value(&list)).then(|| BrokenList {
        line_start,
        span: line_start..line_start + first.trim_end().len(),
        message: "the list that begins here has no brackets".to_owned(),
        help: format!("a list stands in brackets: write `{} = {list}`", key.trim()),
        end,
    })
}

/// Finds a list or a table in braces that is still open where the next entry or table begins, or at the end.
fn unclosed_list(text: &str) -> Option<BrokenList> {
    let bytes = text.as_bytes();
    // Offsets of the open brackets.
    let mut open: Vec<usize> = Vec::new();
    let (mut offset, mut is_value, mut last) = (0, false, b' ');
    while let Some(byte) = bytes.get(offset) {
        match byte {
            b'#' => {
                offset = end_of_line(bytes, offset);
                continue;
            }
            b'"' | b'\'' => {
                (offset, last) = (end_of_string(bytes, offset), *byte);
                continue;
            }
            b'=' => is_value = true,
            b'[' | b'{' if is_value => open.push(offset),
            b']' | b'}' => drop(open.pop()),
            b'\n' if open.is_empty() => is_value = false,
            b'\n' => {
                let in_braces = open.last().is_some_and(|at| bytes[*at] == b'{');
                let is_next = begins_next(&text[offset + 1..], in_braces && b",{".contains(&last));
                if is_next {
                    break;
                }
            }
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            last = *byte;
        }
        offset += 1;
    }
    not_closed(text, &open, (offset + 1).min(text.len()))
}

/// Returns whether a line begins with a header, or with a key unless keys are expected.
fn begins_next(line: &str, keys_are_expected: bool) -> bool {
    let line = line.lines().next().unwrap_or_default().trim_start();
    let is_bare = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let name = line.trim_start_matches('[');
    let end = name.find(|c| !is_bare(c)).unwrap_or(name.len());
    let (name, rest) = name.split_at(end);
    let is_word = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && !["true", "false", "inf", "nan"].contains(&name);
    match line.starts_with('[') {
        true => is_word && rest.starts_with(']'),
        false => is_word && rest.trim_start().starts_with('=') && !keys_are_expected,
    }
}

/// Describes a list that is not closed before `end`.
fn not_closed(text: &str, open: &[usize], end: usize) -> Option<BrokenList> {
    let start = *open.first()?;
    if !text[start..end].matches('"').count().is_multiple_of(2) {
        // A quote is missing, and the brackets behind it are a text.
        return None;
    }
    let line_start = text[..start].rfind('\n').map_or(0, |end| end + 1);
    let line = text[line_start..].lines().next()?.trim();
    let closing = |at: &usize| if text.as_bytes()[*at] == b'[' { ']' } else { '}' };
    let missing: String = open.iter().rev().map(closing).collect();
    let what = if missing.ends_with(']') { "list" } else { "table" };
    let whole = format!("{}{missing}", line.trim_end_matches(','));
    let is_empty = |line: &str| line.is_empty() || line.starts_with('#');
    let is_one_line = text[start..end].lines().skip(1).all(|line| is_empty(line.trim()));
    let help = match is_one_line && DeTable::parse(&whole).is_ok() {
        true => format!("write `{whole}`"),
        false => format!("`{missing}` is missing after its last entry"),
    };
    let message = format!("the {what} that opens here is not closed");
    Some(BrokenList { line_start, span: start..start + 1, message, help, end })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(text: &str) -> Option<String> {
        let (_, errors) = parse_recoverable(text);
        assert!(!errors.is_empty(), "{text}");
        broken_list(text, &errors).map(|list| list.help)
    }

    #[test]
    fn a_list_without_its_brackets_gets_them() {
        for text in [
            "a = [\"b\", \"c\"\n[d]\ne = 1\n",
            "a = [\"b\", \"c\"\nd = 1\n",
            "a = [\"b\", \"c\",\n\n# comment\n[d.e]\n",
            "a = [\"b\", \"c\"",
        ] {
            assert_eq!(broken(text).as_deref(), Some("write `a = [\"b\", \"c\"]`"), "{text}");
        }
        for text in ["a = \"b\",\n  \"c\"\n", "a =\n\"b\",\n\"c\",\nd = 1\n"] {
            let help = "a list stands in brackets: write `a = [\"b\", \"c\"]`";
            assert_eq!(broken(text).as_deref(), Some(help), "{text}");
        }
        assert_eq!(
            broken("a = [\n  \"b\",\n[c]\nd = 1\n").as_deref(),
            Some("`]` is missing after its last entry")
        );
        assert_eq!(broken("a = [{ b = 1\nc = 1\n").as_deref(), Some("write `a = [{ b = 1}]`"));
    }

    #[test]
    fn a_list_that_is_closed_is_not_broken() {
        for text in [
            "a = [\n  [\"b\"],\n  [1],\n  [true],\n]\nc = d\n",
            "a = [\"]\", '[', \"\"\"\n[b]\n\"\"\"]\nc = d\n",
            "a = [\"b, \"c\"]\nd = 1\n",
            "a = \"b\",\nc = 1\n",
            "[a\nb = 1\n",
        ] {
            assert_eq!(broken(text), None, "{text}");
        }
    }
}
