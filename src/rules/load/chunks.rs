//! Splits the text of a rule table into chunks that are TOML each, so that a million rules are read
//! a few at a time: parsed all at once, they would take about 4 kB of memory each.

use std::ops::Range;

/// Part of a file that can be parsed by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) kind: ChunkKind,
    pub(crate) span: Range<usize>,
}

/// Contents of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChunkKind {
    /// Agents, lists, dates and hours, to which rules refer.
    Definitions,
    /// `[[rule]]`s only.
    Rules,
    /// `[[test]]`s only.
    Tests,
}

/// Length in bytes after which a chunk of rules or tests ends at the next header.
pub(crate) const CHUNK_BYTES: usize = 32 << 10;

/// Returns the chunks of a text, in order; together they cover it. A chunk of rules or tests ends at
/// the first header after `max_bytes`.
pub(crate) fn split_chunks(text: &str, max_bytes: usize) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut open = Chunk { kind: ChunkKind::Definitions, span: 0..0 };
    for (start, header) in headers(text) {
        let kind = match header {
            HeaderKind::Rule => ChunkKind::Rules,
            HeaderKind::Test => ChunkKind::Tests,
            HeaderKind::Inside => continue,
            HeaderKind::Other => ChunkKind::Definitions,
        };
        let fits = kind == ChunkKind::Definitions || start - open.span.start < max_bytes;
        if kind != open.kind || !fits {
            open.span.end = start;
            chunks.push(std::mem::replace(&mut open, Chunk { kind, span: start..start }));
        }
    }
    open.span.end = text.len();
    chunks.push(open);
    chunks.retain(|chunk| !chunk.span.is_empty());
    chunks
}

/// Kind of a table header.
enum HeaderKind {
    Rule,
    Test,
    /// `[rule.variables]`: part of the rule or test above it.
    Inside,
    Other,
}

/// Returns the table headers with their offsets. A bracket at the start of a line is not a header
/// inside a multi-line string or list.
fn headers(text: &str) -> impl Iterator<Item = (usize, HeaderKind)> {
    let mut offset = 0;
    std::iter::from_fn(move || {
        while offset < text.len() {
            let line = offset;
            let header = header(&text[line..]);
            offset = match header {
                Some(_) => next_line(text.as_bytes(), line),
                None => end_of_value(text.as_bytes(), line),
            };
            if let Some(header) = header {
                return Some((line, header));
            }
        }
        None
    })
}

fn header(line: &str) -> Option<HeaderKind> {
    let inside = line.trim_start_matches([' ', '\t']).strip_prefix('[')?;
    let list = inside.strip_prefix('[');
    let name = list.unwrap_or(inside).trim_start_matches([' ', '\t']);
    let known = [("rule", HeaderKind::Rule), ("test", HeaderKind::Test)];
    let found =
        known.into_iter().find_map(|(word, header)| Some((name.strip_prefix(word)?, header)));
    let Some((rest, header)) = found else { return Some(HeaderKind::Other) };
    let rest = rest.trim_start_matches([' ', '\t']);
    Some(match (list, rest.as_bytes().first()) {
        (Some(_), Some(b']')) => header,
        (_, Some(b'.')) => HeaderKind::Inside,
        _ => HeaderKind::Other,
    })
}

/// Returns the start of the next line.
fn next_line(text: &[u8], offset: usize) -> usize {
    (end_of_line(text, offset) + 1).min(text.len())
}

/// Returns the offset of the next newline, or the end of the text.
fn end_of_line(text: &[u8], offset: usize) -> usize {
    text[offset..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |end| offset + end)
}

/// Returns the start of the line after the key and value at `offset`. Strings and lists may span
/// several lines.
fn end_of_value(text: &[u8], mut offset: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(byte) = text.get(offset) {
        match byte {
            b'\n' if depth == 0 || starts_rule(&text[offset + 1..]) => return offset + 1,
            b'#' => {
                offset = end_of_line(text, offset);
                continue;
            }
            b'"' | b'\'' => {
                offset = end_of_string(text, offset);
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        offset += 1;
    }
    text.len()
}

/// Recognizes `[[rule]]` and `[[test]]`. They are not values, so a list that is still open at one of
/// them was not closed.
fn starts_rule(text: &[u8]) -> bool {
    text.starts_with(b"[[rule]]") || text.starts_with(b"[[test]]")
}

/// Returns the end of the quoted string at `start`. An unclosed one ends with its line.
fn end_of_string(text: &[u8], start: usize) -> usize {
    let quote = text[start];
    let multiline = text[start..].starts_with(&[quote; 3]);
    let mut offset = start + if multiline { 3 } else { 1 };
    while let Some(byte) = text.get(offset) {
        match byte {
            b'\\' if quote == b'"' => offset += 1,
            b'\n' if !multiline => return offset,
            byte if *byte == quote && !multiline => return offset + 1,
            byte if *byte == quote && text[offset..].starts_with(&[quote; 3]) => {
                // A multi-line string may itself end with one or two quotes.
                let more =
                    text[offset + 3..].iter().take(2).take_while(|byte| **byte == quote).count();
                return offset + 3 + more;
            }
            _ => {}
        }
        offset += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(ChunkKind, &str)]) {
        let chunks = split_chunks(text, 1);
        let shown: Vec<_> =
            chunks.iter().map(|chunk| (chunk.kind, &text[chunk.span.clone()])).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn splits_rules_from_definitions() {
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
    fn ignores_brackets_inside_strings_and_lists() {
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
    fn an_unclosed_value_ends_at_the_next_rule() {
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
    fn short_rules_share_a_chunk() {
        let text = "[[rule]]\n[[rule]]\n[[rule]]\n";
        let spans: Vec<_> = split_chunks(text, 18).into_iter().map(|chunk| chunk.span).collect();
        assert_eq!(spans, [0..18, 18..27]);
    }

    // ---- generated texts

    use proptest::prelude::*;
    use proptest::sample::select;
    use toml::de::{DeTable, DeValue};

    fn cases() -> ProptestConfig {
        ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
    }

    /// Values, many of which contain something like a header.
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

    /// TOML in which each key is unique.
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
                let keyed = parts.map(|(index, part)| match index {
                    0 => part.to_owned(),
                    index => format!("k{index}{part}"),
                });
                keyed.collect()
            })
            .boxed()
    }

    /// Checks that each chunk has the right kind, and that the chunks cover the text.
    fn covers(text: &str, chunks: &[Chunk]) -> Result<(), TestCaseError> {
        let mut offset = 0;
        for chunk in chunks {
            prop_assert_eq!(chunk.span.start, offset);
            prop_assert!(!chunk.span.is_empty());
            offset = chunk.span.end;
            let begins = match header(&text[chunk.span.clone()]) {
                Some(HeaderKind::Rule) => ChunkKind::Rules,
                Some(HeaderKind::Test) => ChunkKind::Tests,
                Some(HeaderKind::Inside | HeaderKind::Other) | None => ChunkKind::Definitions,
            };
            prop_assert_eq!(chunk.kind, begins);
        }
        prop_assert_eq!(offset, text.len());
        Ok(())
    }

    #[test]
    fn the_chunks_of_any_text_cover_it() {
        let others = ["[", "]]", "\n", "\"", "'", "\"\"\"", "\\", "#", "é", " = "];
        let word = select([&VALUES[..], &HEADERS, &others].concat()).prop_map_into();
        let words = prop::collection::vec(prop_oneof![4 => word, 1 => any::<String>()], 0..20);
        proptest!(cases(), |(text in words, max in 0..200_usize)| {
            let text = text.concat();
            covers(&text, &split_chunks(&text, max))?;
        });
    }

    #[test]
    fn parsing_chunks_is_parsing_the_whole_text() {
        let max = select(vec![0_usize, 40, 100, CHUNK_BYTES]);
        proptest!(cases(), |(text in any_toml(), max in max)| {
            let whole = DeTable::parse(&text).expect("this is TOML");
            let chunks = split_chunks(&text, max);
            covers(&text, &chunks)?;
            let mut read = [Vec::new(), Vec::new()];
            for chunk in chunks {
                let part = DeTable::parse(&text[chunk.span.clone()]);
                let part = part.map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
                let known = |key: &str| part.get_ref().contains_key(key);
                let only = match chunk.kind {
                    ChunkKind::Definitions => !known("rule") && !known("test"),
                    ChunkKind::Rules => known("rule") && part.get_ref().len() == 1,
                    ChunkKind::Tests => known("test") && part.get_ref().len() == 1,
                };
                prop_assert!(only, "{:?}: {}", chunk.kind, &text[chunk.span]);
                for (read, key) in read.iter_mut().zip(["rule", "test"]) {
                    read.extend(items(part.get_ref(), key));
                }
            }
            let at_once = ["rule", "test"].map(|key| items(whole.get_ref(), key));
            prop_assert_eq!(read, at_once, "{}", text);
        });
    }

    /// Returns the items of a list of tables, without their locations.
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
