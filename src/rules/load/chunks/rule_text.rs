//! The lines of one rule in the text of a file.

use std::ops::Range;

use super::{BYTE_ORDER_MARK, ChunkKind, HeaderKind, header, headers};

/// Returns the ranges of a file that contain the rule whose name is at `offset`: from the comment above its
/// `[[rule]]` to its last value. Tables of the rule that stand apart are ranges of their own. Returns
/// `None` for a rule without a header of its own, such as an element of `rule = [{ … }]`.
pub(crate) fn rule_pieces(text: &str, offset: usize) -> Option<Vec<Range<usize>>> {
    let start = rule_start(text, offset)?;
    let mut pieces = Vec::new();
    let mut open = Some(start);
    for (at, found) in headers(&text[start..]).skip(1) {
        let at = start + at;
        let is_inside = matches!(found, HeaderKind::Inside(ChunkKind::Rules));
        let is_next = matches!(found, HeaderKind::Item(ChunkKind::Rules));
        match open {
            Some(from) if !is_inside => {
                pieces.push(from..at);
                open = None;
            }
            None if is_inside => open = Some(at),
            Some(_) | None => {}
        }
        if is_next {
            break;
        }
    }
    pieces.extend(open.map(|from| from..text.len()));
    pieces.iter_mut().for_each(|piece| piece.end = piece.start + content(&text[piece.clone()]));
    if let Some(first) = pieces.first_mut() {
        first.start = with_comment(text, first.start);
    }
    Some(pieces)
}

/// Returns the start of the line with the header of the rule. The name comes before any table of the rule,
/// so no other header can be between them.
fn rule_start(text: &str, offset: usize) -> Option<usize> {
    let mut start = line_end(text, offset);
    for line in text[..start].split_inclusive('\n').rev() {
        start -= line.len();
        match header(text[start..].trim_start_matches(BYTE_ORDER_MARK)) {
            Some(HeaderKind::Item(ChunkKind::Rules)) => return Some(start),
            Some(HeaderKind::Item(_) | HeaderKind::Inside(_) | HeaderKind::Other) => return None,
            None => {}
        }
    }
    None
}

fn line_end(text: &str, offset: usize) -> usize {
    let rest = text.get(offset..).unwrap_or_default();
    rest.find('\n').map_or(text.len(), |newline| offset + newline + 1)
}

/// Returns the length of a text without the comments and empty lines at its end, which belong to what
/// follows.
fn content(text: &str) -> usize {
    let mut length = text.len();
    for line in text.split_inclusive('\n').rev() {
        let trimmed = line.trim();
        if !trimmed.is_empty() && !trimmed.starts_with('#') {
            break;
        }
        length -= line.len();
    }
    length
}

/// Returns the start of the comment right above the line that starts at `start`.
fn with_comment(text: &str, start: usize) -> usize {
    let mut first = start;
    for line in text[..start].split_inclusive('\n').rev() {
        if !line.trim_start().starts_with('#') {
            break;
        }
        first -= line.len();
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, name: &str, expected: Option<&[&str]>) {
        let offset = text.find(&format!("\"{name}\"")).expect("the name");
        let pieces = rule_pieces(text, offset);
        let found = pieces.map(|pieces| {
            pieces.into_iter().map(|piece| text[piece].to_owned()).collect::<Vec<_>>()
        });
        let expected = expected
            .map(|pieces| pieces.iter().map(|piece| (*piece).to_owned()).collect::<Vec<_>>());
        assert_eq!(found, expected);
    }

    #[test]
    fn a_rule_reaches_from_its_comment_to_its_last_value() {
        let text = "zone = \"UTC\"\n\n# VIPs\n# first\n[[rule]] # one\nname = \"a\"\nkeep = true\n\n\
                    # the others\n[[rule]]\nname = \"b\"\nagent = \"x\"\n# end\n";
        let first = "# VIPs\n# first\n[[rule]] # one\nname = \"a\"\nkeep = true\n";
        check(text, "a", Some(&[first]));
        check(text, "b", Some(&["# the others\n[[rule]]\nname = \"b\"\nagent = \"x\"\n"]));
    }

    #[test]
    fn a_rule_can_end_in_a_comment_without_a_line_break() {
        let text = "[[rule]]\nkeep = true\nname = \"a\" # caf\u{e9}";
        check(text, "a", Some(&[text]));
    }

    #[test]
    fn a_rule_can_follow_a_byte_order_mark() {
        let text = "\u{feff}[[rule]]\nname = \"a\"\nkeep = true\n";
        check(text, "a", Some(&[text]));
    }

    #[test]
    fn tables_of_a_rule_belong_to_it_wherever_they_are() {
        let text = "[[rule]]\nname = \"a\"\nkeep = true\n[rule.variables]\nx = \"1\"\n[agents]\n\
                    b = \"c\"\n[rule.metadata]\ny = 2\n\n[[test]]\nname = \"t\"\n[[rule]]\nname = \"z\"\n";
        let pieces = [
            "[[rule]]\nname = \"a\"\nkeep = true\n[rule.variables]\nx = \"1\"\n",
            "[rule.metadata]\ny = 2\n",
        ];
        check(text, "a", Some(&pieces));
        check(text, "z", Some(&["[[rule]]\nname = \"z\"\n"]));
    }

    #[test]
    fn brackets_in_values_are_no_headers() {
        let text =
            "[[rule]]\nname = \"a\"\nsay = \"\"\"\n[[rule]]\n[x]\n\"\"\"\nkeep = true\n[hours.x]\n";
        let rule = "[[rule]]\nname = \"a\"\nsay = \"\"\"\n[[rule]]\n[x]\n\"\"\"\nkeep = true\n";
        check(text, "a", Some(&[rule]));
    }

    #[test]
    fn a_rule_without_a_header_has_no_lines_of_its_own() {
        check("rule = [{ name = \"a\", keep = true }]\n", "a", None);
        check("[x]\ny = 1\n[[test]]\nname = \"a\"\n", "a", None);
    }
}
