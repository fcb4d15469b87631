//! Cuts the text of a table into pieces that are TOML each, so that a million rules are read a few
//! at a time: all at once they would take some 4 kB of memory each.

use std::ops::Range;

/// A part of a file that can be read by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) kind: ChunkKind,
    pub(crate) span: Range<usize>,
}

/// What stands in a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChunkKind {
    /// Agents, lists, hours: what rules refer to.
    Definitions,
    /// Only `[[rule]]`s.
    Rules,
    /// Only `[[test]]`s.
    Tests,
}

/// A piece of rules that is longer than this ends where the next rule begins.
pub(crate) const PIECE_BYTES: usize = 32 << 10;

/// The pieces of a text, in order; together they are the whole of it. `most_bytes` is after how
/// many bytes rules and tests are cut.
pub(crate) fn cut(text: &str, most_bytes: usize) -> Vec<Chunk> {
    let mut pieces = Vec::new();
    let mut open = Chunk { kind: ChunkKind::Definitions, span: 0..0 };
    for (at, header) in headers(text) {
        let begins = match header {
            Header::Rule => ChunkKind::Rules,
            Header::Test => ChunkKind::Tests,
            Header::Inside => continue,
            Header::Other => ChunkKind::Definitions,
        };
        let fits = begins == ChunkKind::Definitions || at - open.span.start < most_bytes;
        if begins != open.kind || !fits {
            open.span.end = at;
            pieces.push(std::mem::replace(&mut open, Chunk { kind: begins, span: at..at }));
        }
    }
    open.span.end = text.len();
    pieces.push(open);
    pieces.retain(|piece| !piece.span.is_empty());
    pieces
}

/// What a line in brackets opens.
enum Header {
    Rule,
    Test,
    /// `[rule.variables]`: a part of the rule or the test above it.
    Inside,
    Other,
}

/// Where the headers of tables stand. A bracket at the start of a line is none inside of a text or
/// a list that goes over several lines.
fn headers(text: &str) -> impl Iterator<Item = (usize, Header)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < text.len() {
            let line = at;
            let header = header(&text[line..]);
            at = match header {
                Some(_) => end_of_line(text.as_bytes(), line),
                None => end_of_value(text.as_bytes(), line),
            };
            if let Some(header) = header {
                return Some((line, header));
            }
        }
        None
    })
}

fn header(line: &str) -> Option<Header> {
    let inside = line.trim_start_matches([' ', '\t']).strip_prefix('[')?;
    let list = inside.strip_prefix('[');
    let name = list.unwrap_or(inside).trim_start_matches([' ', '\t']);
    let known = [("rule", Header::Rule), ("test", Header::Test)];
    let found =
        known.into_iter().find_map(|(word, header)| Some((name.strip_prefix(word)?, header)));
    let Some((behind, header)) = found else { return Some(Header::Other) };
    let behind = behind.trim_start_matches([' ', '\t']);
    Some(match (list, behind.as_bytes().first()) {
        (Some(_), Some(b']')) => header,
        (_, Some(b'.')) => Header::Inside,
        _ => Header::Other,
    })
}

fn end_of_line(text: &[u8], at: usize) -> usize {
    (before_the_end_of_line(text, at) + 1).min(text.len())
}

fn before_the_end_of_line(text: &[u8], at: usize) -> usize {
    text[at..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |end| at + end)
}

/// The end of the line on which what begins here ends: a text or a list may go over several.
fn end_of_value(text: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\n' if depth == 0 || begins_a_rule(&text[at + 1..]) => return at + 1,
            b'#' => {
                at = before_the_end_of_line(text, at);
                continue;
            }
            b'"' | b'\'' => {
                at = end_of_text(text, at);
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// `[[rule]]` is no value, so a list that goes on until there was not closed.
fn begins_a_rule(text: &[u8]) -> bool {
    text.starts_with(b"[[rule]]") || text.starts_with(b"[[test]]")
}

/// Where the quoted text that begins here ends. One that is not closed ends with its line.
fn end_of_text(text: &[u8], start: usize) -> usize {
    let quote = text[start];
    let thrice = text[start..].starts_with(&[quote; 3]);
    let mut at = start + if thrice { 3 } else { 1 };
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' if quote == b'"' => at += 1,
            b'\n' if !thrice => return at,
            byte if *byte == quote && !thrice => return at + 1,
            byte if *byte == quote && text[at..].starts_with(&[quote; 3]) => {
                // A text in three quotes may itself end with one or two.
                let more = text[at + 3..].iter().take(2).take_while(|byte| **byte == quote).count();
                return at + 3 + more;
            }
            _ => {}
        }
        at += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(ChunkKind, &str)]) {
        let pieces = cut(text, 1);
        let shown: Vec<_> =
            pieces.iter().map(|piece| (piece.kind, &text[piece.span.clone()])).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn each_rule_is_a_piece_and_the_house_around_them() {
        check(
            "zone = \"UTC\"\n[agents]\na = \"1\"\n[[rule]]\nname = \"one\"\n  [[ rule ]] # two\n[rule.variables]\nx = \"y\"\n[lists.vip]\nnumbers = []\n[[test]]\n[test.expect]\n",
            &[
                (ChunkKind::Definitions, "zone = \"UTC\"\n[agents]\na = \"1\"\n"),
                (ChunkKind::Rules, "[[rule]]\nname = \"one\"\n"),
                (ChunkKind::Rules, "  [[ rule ]] # two\n[rule.variables]\nx = \"y\"\n"),
                (ChunkKind::Definitions, "[lists.vip]\nnumbers = []\n"),
                (ChunkKind::Tests, "[[test]]\n[test.expect]\n"),
            ],
        );
    }

    #[test]
    fn a_bracket_inside_of_a_text_or_a_list_opens_nothing() {
        for rule in [
            "[[rule]]\na = \"\"\"\n[[rule]]\n\"\"\"\n",
            "[[rule]]\na = '''\n[agents]\n''''\nb = 1\n",
            "[[rule]]\na = [\n  [1, 2], # ]\n  [3],\n]\n",
            "[[rule]]\na = { b = [\n[\"]\"],\n] }\n",
            "[[rule]]\na = \"\\\"[\" # \"[\n",
            "[[rule]]\na = '\\' # it's\n",
        ] {
            check(
                &format!("{rule}[agents]\n"),
                &[(ChunkKind::Rules, rule), (ChunkKind::Definitions, "[agents]\n")],
            );
        }
    }

    #[test]
    fn what_is_not_closed_ends_where_the_next_rule_begins() {
        for rule in
            ["[[rule]]\nfrom = [\"DE\"\n", "[[rule]]\nname = \"one\n", "[[rule]]\nname = '\n"]
        {
            check(
                &format!("{rule}[[rule]]\n"),
                &[(ChunkKind::Rules, rule), (ChunkKind::Rules, "[[rule]]\n")],
            );
        }
    }

    #[test]
    fn short_rules_share_a_piece() {
        let text = "[[rule]]\n[[rule]]\n[[rule]]\n";
        let spans: Vec<_> = cut(text, 18).into_iter().map(|piece| piece.span).collect();
        assert_eq!(spans, [0..18, 18..27]);
    }

    // ---- whatever the text is

    use proptest::prelude::*;
    use proptest::sample::select;
    use toml::de::{DeTable, DeValue};

    fn cases() -> ProptestConfig {
        ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
    }

    /// What may stand behind a key: much of it looks like a header.
    const VALUES: [&str; 18] = [
        "1",
        "\"]\"",
        "'[[rule]]' # [[rule]]",
        "\"\\\"[\" # \"[",
        "'\\' # it's",
        "\"\"\"\n[[rule]]\n\"\"\"",
        "\"\"\"\n\\\"\"\"\n[test]\n\"\"\"\"\" # [",
        "\"\"\"[\"\"\\\"[\n\"\"\"\"",
        "'''\n[agents]\n'\n'''''",
        "[ # ]\n  [1, 2], # [\n  [3],\n]",
        "[\n\"]\", ']',\n\"\"\"\n[[rule]]\n]\"\"\"\n]",
        "{ b = [\n[\"]\"],\n], c = { d = '}' } }",
        "[\n\n[\n[\n]\n]\n]",
        "[\n  [[1]],\n # [[rule]]\n  { a = '[' },\n]",
        "\"\"",
        "'''''' # '''",
        "[ \"\"\"]\"\"\"\" ]",
        "[ ''''[\"'''' ]",
    ];
    const HEADERS: [&str; 12] = [
        "[[rule]]",
        "  [[ rule ]] # two",
        "[[rule]]\n[rule.x]",
        "[[rule]]\n[[rule.y]]",
        "[[\trule\t]]\n [ rule.\"]\" ] # ]",
        "[[rule]]\r",
        "[[test]]",
        "[[test]]\n[test.expect]",
        "[lists.HERE]",
        "[rules.HERE]",
        "[[rulex]]",
        "[\"[[rule]]\".HERE]",
    ];

    /// TOML in which each key is there once.
    fn any_toml() -> BoxedStrategy<String> {
        let line = select(&VALUES[..]).prop_map(|value| format!("HERE = {value}\n"));
        let blanks = vec!["\n", "# [[rule]]\n", "   \n", "\t# \"\"\"\n", "\r\n"];
        let blank = select(blanks).prop_map_into();
        let lines = prop::collection::vec(prop_oneof![3 => line, 1 => blank], 0..4);
        let lines = lines.prop_map(|lines| lines.concat());
        let table = (select(&HEADERS[..]), lines.clone());
        let table = table.prop_map(|(header, lines)| format!("{header}\n{lines}"));
        (lines, prop::collection::vec(table, 0..12))
            .prop_map(|(lines, tables)| {
                let text = lines + &tables.concat();
                let parts = text.split("HERE").enumerate();
                let keyed = parts.map(|(at, part)| match at {
                    0 => part.to_owned(),
                    at => format!("k{at}{part}"),
                });
                keyed.collect()
            })
            .boxed()
    }

    /// Each piece is of its kind, and together they are the text.
    fn covers(text: &str, pieces: &[Chunk]) -> Result<(), TestCaseError> {
        let mut at = 0;
        for piece in pieces {
            prop_assert_eq!(piece.span.start, at);
            prop_assert!(!piece.span.is_empty());
            at = piece.span.end;
            let begins = match header(&text[piece.span.clone()]) {
                Some(Header::Rule) => ChunkKind::Rules,
                Some(Header::Test) => ChunkKind::Tests,
                Some(Header::Inside | Header::Other) | None => ChunkKind::Definitions,
            };
            prop_assert_eq!(piece.kind, begins);
        }
        prop_assert_eq!(at, text.len());
        Ok(())
    }

    #[test]
    fn the_pieces_of_any_text_are_all_of_it() {
        let others = ["[", "]]", "\n", "\"", "'", "\"\"\"", "\\", "#", "é", " = "];
        let word = select([&VALUES[..], &HEADERS, &others].concat()).prop_map_into();
        let words = prop::collection::vec(prop_oneof![4 => word, 1 => any::<String>()], 0..20);
        proptest!(cases(), |(text in words, most in 0..200_usize)| {
            let text = text.concat();
            covers(&text, &cut(&text, most))?;
        });
    }

    #[test]
    fn what_is_read_in_pieces_is_what_is_read_at_once() {
        let most = select(vec![0_usize, 40, 100, PIECE_BYTES]);
        proptest!(cases(), |(text in any_toml(), most in most)| {
            let whole = DeTable::parse(&text).expect("this is TOML");
            let pieces = cut(&text, most);
            covers(&text, &pieces)?;
            let mut read = [Vec::new(), Vec::new()];
            for piece in pieces {
                let part = DeTable::parse(&text[piece.span.clone()]);
                let part = part.map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
                let known = |key: &str| part.get_ref().contains_key(key);
                let only = match piece.kind {
                    ChunkKind::Definitions => !known("rule") && !known("test"),
                    ChunkKind::Rules => known("rule") && part.get_ref().len() == 1,
                    ChunkKind::Tests => known("test") && part.get_ref().len() == 1,
                };
                prop_assert!(only, "{:?}: {}", piece.kind, &text[piece.span]);
                for (read, key) in read.iter_mut().zip(["rule", "test"]) {
                    read.extend(items(part.get_ref(), key));
                }
            }
            let at_once = ["rule", "test"].map(|key| items(whole.get_ref(), key));
            prop_assert_eq!(read, at_once, "{}", text);
        });
    }

    /// What stands in a list of tables, without the places where it stands.
    fn items(table: &DeTable<'_>, key: &str) -> Vec<String> {
        let list = table.get(key).and_then(|value| value.get_ref().as_array());
        list.into_iter().flat_map(|list| list.iter()).map(|item| shown(item.get_ref())).collect()
    }

    fn shown(value: &DeValue<'_>) -> String {
        match value {
            DeValue::Array(list) => {
                let items = list.iter().map(|item| shown(item.get_ref()));
                format!("[{}]", items.collect::<Vec<_>>().join(", "))
            }
            DeValue::Table(table) => {
                let entries = table.iter();
                let entries = entries.map(|(key, value)| {
                    format!("{:?} = {}", key.get_ref(), shown(value.get_ref()))
                });
                format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => format!("{value:?}"),
        }
    }
}
