//! Splits the text of a rule table into chunks that are TOML each, so that a million rules are read
//! a few at a time: parsed all at once, they would take about 4 kB of memory each.

mod rule_text;

use std::borrow::Cow;
use std::ops::Range;

use toml::de::DeTable;

pub(crate) use rule_text::rule_pieces;

/// Part of a file that can be parsed by itself. The chunks of a file, parsed one by one, are accepted if
/// and only if the whole file is, and have the same values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) kind: ChunkKind,
    /// Ranges of the file, in order. Tables of one chunk need not stand together.
    pub(crate) pieces: Vec<Range<usize>>,
    /// Offset of each piece in the text of the chunk.
    offsets: Vec<usize>,
}

/// Contents of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChunkKind {
    /// Agents, lists, dates and hours, to which rules refer. A file has at most one such chunk.
    Definitions,
    /// `[[rule]]`s only.
    Rules,
    /// `[[test]]`s only.
    Tests,
}

impl ChunkKind {
    /// Returns the key whose tables make up such a chunk.
    fn key(self) -> Option<&'static str> {
        match self {
            ChunkKind::Definitions => None,
            ChunkKind::Rules => Some("rule"),
            ChunkKind::Tests => Some("test"),
        }
    }
}

impl Chunk {
    /// Creates a chunk of these ranges of a file.
    pub(crate) fn new(kind: ChunkKind, pieces: impl IntoIterator<Item = Range<usize>>) -> Chunk {
        let mut chunk = Chunk { kind, pieces: Vec::new(), offsets: Vec::new() };
        pieces.into_iter().for_each(|piece| chunk.push(piece));
        chunk
    }

    fn push(&mut self, piece: Range<usize>) {
        if !piece.is_empty() {
            self.offsets.push(self.bytes());
            self.pieces.push(piece);
        }
    }

    /// Returns the length in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let last = self.offsets.last().zip(self.pieces.last());
        last.map_or(0, |(offset, piece)| offset + piece.len())
    }

    /// Returns the text of the chunk, given that of the file.
    pub(crate) fn text<'t>(&self, file: &'t str) -> Cow<'t, str> {
        match self.pieces.as_slice() {
            [piece] => Cow::Borrowed(&file[piece.clone()]),
            pieces => pieces.iter().map(|piece| &file[piece.clone()]).collect::<String>().into(),
        }
    }

    /// Converts a span in the text of the chunk to one in the file.
    pub(crate) fn in_file(&self, span: &Range<usize>) -> Range<usize> {
        let index = self.piece_at(span.start);
        let Some((piece, offset)) = self.pieces.get(index).zip(self.offsets.get(index)) else {
            return 0..0;
        };
        let start = (piece.start + span.start - offset).min(piece.end);
        start..(start + span.len()).min(piece.end)
    }

    /// Returns the index of the piece that contains an offset in the text of the chunk.
    fn piece_at(&self, offset: usize) -> usize {
        self.offsets.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    /// Splits the chunk into its rules or tests.
    pub(crate) fn parts(&self, file: &str) -> Vec<Chunk> {
        let in_file = |part: Chunk| {
            Chunk::new(part.kind, part.pieces.iter().flat_map(|piece| self.pieces_of(piece)))
        };
        split_chunks(&self.text(file), 0).into_iter().map(in_file).collect()
    }

    /// Returns the ranges of the file that a range of the chunk's text comes from.
    fn pieces_of(&self, range: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let first = self.piece_at(range.start);
        let pieces = self.pieces.iter().zip(&self.offsets).skip(first);
        let pieces = pieces.take_while(|(_, offset)| **offset < range.end);
        pieces.map(|(piece, offset)| {
            let start = range.start.max(*offset) - offset;
            let end = (range.end - offset).min(piece.len());
            piece.start + start..piece.start + end
        })
    }
}

/// Returns a key of the definitions that is also a list of tables, `[[rule]]` or `[[test]]`, elsewhere in
/// the file.
pub(crate) fn key_defined_twice(
    definitions: &DeTable<'_>,
    chunks: &[Chunk],
) -> Option<&'static str> {
    let mut keys = chunks.iter().filter_map(|chunk| chunk.kind.key());
    keys.find(|key| definitions.contains_key(*key))
}

/// Length in bytes after which a chunk of rules or tests ends at the next header.
pub(crate) const CHUNK_BYTES: usize = 32 << 10;

/// Returns the chunks of a text; together they cover it. Definitions come first, rules and tests in their
/// order. A chunk of rules or tests ends at the first `[[rule]]` or `[[test]]` after `max_bytes`.
pub(crate) fn split_chunks(text: &str, max_bytes: usize) -> Vec<Chunk> {
    let mut chunks = vec![Chunk::new(ChunkKind::Definitions, [])];
    // Index and start of the chunk that is being extended.
    let (mut open, mut start) = (0, 0);
    for (header_start, header) in headers(text) {
        let last_of = |kind| chunks.iter().rposition(|chunk| chunk.kind == kind);
        let target = match header {
            HeaderKind::Other => Some(0),
            HeaderKind::Inside(kind) => Some(last_of(kind).unwrap_or(0)),
            HeaderKind::Item(kind) => {
                let fits = chunks[open].bytes() + header_start - start < max_bytes;
                Some(open).filter(|open| chunks[*open].kind == kind && fits)
            }
        };
        if target == Some(open) {
            continue;
        }
        chunks[open].push(start..header_start);
        start = header_start;
        open = target.unwrap_or(chunks.len());
        if let HeaderKind::Item(kind) = header {
            chunks.push(Chunk::new(kind, []));
        }
    }
    chunks[open].push(start..text.len());
    chunks.retain(|chunk| !chunk.pieces.is_empty());
    chunks
}

/// Kind of a table header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HeaderKind {
    /// `[[rule]]`, `[[test]]`
    Item(ChunkKind),
    /// `[rule.variables]`: part of the last rule or test.
    Inside(ChunkKind),
    Other,
}

/// Returns the table headers with their offsets. A bracket at the start of a line is not a header
/// inside a multi-line string or list.
fn headers(text: &str) -> impl Iterator<Item = (usize, HeaderKind)> {
    let mut offset = text.len() - text.trim_start_matches(BYTE_ORDER_MARK).len();
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

const BYTE_ORDER_MARK: char = '\u{feff}';

fn header(line: &str) -> Option<HeaderKind> {
    let blanks = [' ', '\t'];
    let inside = line.trim_start_matches(blanks).strip_prefix('[')?;
    let list = inside.strip_prefix('[');
    let Some((key, rest)) = first_key(list.unwrap_or(inside).trim_start_matches(blanks)) else {
        return Some(HeaderKind::Other);
    };
    let kinds = [ChunkKind::Rules, ChunkKind::Tests];
    let kind = kinds.into_iter().find(|kind| kind.key() == Some(&*key));
    let rest = rest.trim_start_matches(blanks);
    Some(match (kind, list, rest.as_bytes().first()) {
        (Some(kind), Some(_), Some(b']')) => HeaderKind::Item(kind),
        (Some(kind), _, Some(b'.')) => HeaderKind::Inside(kind),
        _ => HeaderKind::Other,
    })
}

/// Splits off the first key of a dotted name, bare or quoted.
fn first_key(name: &str) -> Option<(Cow<'_, str>, &str)> {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.starts_with(['"', '\'']) {
        let rest = name.trim_start_matches(is_bare);
        return Some((name[..name.len() - rest.len()].into(), rest));
    }
    let (quoted, rest) = name.split_at(end_of_string(name.as_bytes(), 0));
    let entry = format!("{quoted} = 0");
    let document = DeTable::parse(&entry).ok()?;
    let (key, _) = document.get_ref().iter().next()?;
    Some((key.get_ref().to_string().into(), rest))
}

/// Returns the start of the next line.
fn next_line(text: &[u8], offset: usize) -> usize {
    (end_of_line(text, offset) + 1).min(text.len())
}

/// Returns the offset of the next newline, or the end of the text.
pub(crate) fn end_of_line(text: &[u8], offset: usize) -> usize {
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
pub(crate) fn end_of_string(text: &[u8], start: usize) -> usize {
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
            chunks.iter().map(|chunk| (chunk.kind, chunk.text(text).into_owned())).collect();
        let expected: Vec<_> =
            expected.iter().map(|(kind, text)| (*kind, (*text).to_owned())).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn splits_rules_from_definitions() {
        check(
            "zone = \"UTC\"\n[agents]\na = \"1\"\n[[rule]]\nname = \"one\"\n  [[ rule ]] # two\n[rule.variables]\nx = \"y\"\n[lists.vip]\nnumbers = []\n[[test]]\n[test.expect]\n",
            &[
                (
                    ChunkKind::Definitions,
                    "zone = \"UTC\"\n[agents]\na = \"1\"\n[lists.vip]\nnumbers = []\n",
                ),
                (ChunkKind::Rules, "[[rule]]\nname = \"one\"\n"),
                (ChunkKind::Rules, "  [[ rule ]] # two\n[rule.variables]\nx = \"y\"\n"),
                (ChunkKind::Tests, "[[test]]\n[test.expect]\n"),
            ],
        );
    }

    #[test]
    fn a_table_of_a_rule_belongs_to_the_last_rule_wherever_it_is() {
        for inside in
            ["[rule.x]", "[\"rule\".x]", "[ rule . x ]", "['rule'.x]", "[\"\\u0072ule\".x]"]
        {
            check(
                &format!("[[rule]]\n[[test]]\n[agents]\n{inside}\n[[rule]]\n"),
                &[
                    (ChunkKind::Definitions, "[agents]\n"),
                    (ChunkKind::Rules, &format!("[[rule]]\n{inside}\n")),
                    (ChunkKind::Tests, "[[test]]\n"),
                    (ChunkKind::Rules, "[[rule]]\n"),
                ],
            );
        }
    }

    #[test]
    fn spans_of_a_chunk_are_spans_of_the_file() {
        let text = "zone = 1\n[[rule]]\n[agents]\na = 2\n[rule.x]\ny = 3\n";
        for chunk in split_chunks(text, 1) {
            let own = chunk.text(text);
            for (at, character) in own.char_indices().filter(|(_, c)| c.is_ascii_digit()) {
                let span = chunk.in_file(&(at..at + 1));
                assert_eq!(text[span], character.to_string());
            }
        }
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
                &[(ChunkKind::Definitions, "[agents]\n"), (ChunkKind::Rules, rule)],
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
        let chunks = split_chunks(text, 18).into_iter();
        let pieces: Vec<_> = chunks.flat_map(|chunk| chunk.pieces).collect();
        assert_eq!(pieces, [0..18, 18..27]);
    }

    // ---- generated texts

    use std::cell::Cell;
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use proptest::sample::select;
    use toml::de::DeValue;

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

    /// Checks that the chunks cover the text, and that only the first one has definitions.
    fn covers(text: &str, chunks: &[Chunk]) -> Result<(), TestCaseError> {
        let mut pieces: Vec<_> = chunks.iter().flat_map(|chunk| chunk.pieces.clone()).collect();
        pieces.sort_by_key(|piece| piece.start);
        let mut offset = 0;
        for piece in pieces {
            prop_assert_eq!(piece.start, offset);
            prop_assert!(!piece.is_empty());
            offset = piece.end;
        }
        prop_assert_eq!(offset, text.len());
        for chunk in chunks.iter().skip(1) {
            prop_assert_ne!(chunk.kind, ChunkKind::Definitions);
        }
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

    /// Parses the chunks of a text one by one. `None` if one of them is no TOML.
    fn parse_chunks(text: &str, max_bytes: usize) -> Option<BTreeMap<String, String>> {
        let chunks = split_chunks(text, max_bytes);
        let mut values = BTreeMap::new();
        let mut items: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for chunk in &chunks {
            let own = chunk.text(text);
            let document = DeTable::parse(&own).ok()?;
            match chunk.kind.key() {
                None if key_defined_twice(document.get_ref(), &chunks).is_some() => return None,
                None => values = entries(document.get_ref()),
                Some(key) => {
                    assert_eq!(document.get_ref().len(), 1, "{own}");
                    let list = document.get_ref().get(key)?.get_ref().as_array()?;
                    let read = list.iter().map(|item| shown(item.get_ref()));
                    items.entry(key).or_default().extend(read);
                }
            }
        }
        let lists = items.into_iter();
        values.extend(lists.map(|(key, list)| (key.to_owned(), format!("[{}]", list.join(", ")))));
        Some(values)
    }

    fn entries(table: &DeTable<'_>) -> BTreeMap<String, String> {
        let entry = |(key, value): (
            &toml::Spanned<toml::de::DeString<'_>>,
            &toml::Spanned<DeValue<'_>>,
        )| { (key.get_ref().to_string(), shown(value.get_ref())) };
        table.iter().map(entry).collect()
    }

    #[test]
    fn parsing_chunks_is_parsing_the_whole_text() {
        let max = select(vec![0_usize, 40, 100, CHUNK_BYTES]);
        proptest!(cases(), |(text in any_toml(), max in max)| {
            let whole = DeTable::parse(&text).expect("this is TOML");
            covers(&text, &split_chunks(&text, max))?;
            prop_assert_eq!(parse_chunks(&text, max), Some(entries(whole.get_ref())), "{}", text);
        });
    }

    /// Lines of which many exclude each other.
    const LINES: [&str; 40] = [
        "[[rule]]",
        "[[rule]]",
        "[[rule]]",
        "[[ \"rule\" ]]",
        "[['rule']] # x",
        "[[\"\\u0072ule\"]]",
        "[rule]",
        "[rule.x]",
        "[ rule . x ]",
        "[\"rule\".x]",
        "[rule.'x'.y]",
        "[[rule.x]]",
        "rule = []",
        "rule = [{ a = 1 }]",
        "rule.x = 1",
        "\"rule\" = 2",
        "[[test]]",
        "[[test]]",
        "[test.expect]",
        "[test]",
        "test = [{}]",
        "[agents]",
        "[agents]",
        "[agents.x]",
        "[[agents]]",
        "agents = {}",
        "agents.x = 1",
        "[lists.a]",
        "[lists.b]",
        "[lists]",
        "a = 1",
        "b = 2",
        "x = 3",
        "x.y = 4",
        "'' = 5",
        "c = [",
        "]",
        "d = \"\"\"",
        "\"\"\"",
        "[[rule]",
    ];

    #[test]
    fn chunks_are_accepted_if_and_only_if_the_whole_text_is() {
        let lines = prop::collection::vec(select(&LINES[..]), 0..8);
        let begin = select(vec!["", "\u{feff}"]);
        let (accepted, refused) = (Cell::new(0), Cell::new(0));
        let config = ProptestConfig { cases: 4096, ..cases() };
        proptest!(config, |(begin in begin, lines in lines, max in select(vec![0_usize, 20, CHUNK_BYTES]))| {
            let text = format!("{begin}{}\n", lines.join("\n"));
            let whole = DeTable::parse(&text).ok();
            let whole = whole.as_ref().map(|whole| entries(whole.get_ref()));
            let counter = if whole.is_some() { &accepted } else { &refused };
            counter.set(counter.get() + 1);
            prop_assert_eq!(parse_chunks(&text, max), whole, "{}", text);
        });
        let (accepted, refused) = (accepted.get(), refused.get());
        assert!(accepted > 200 && refused > 200, "{accepted} accepted, {refused} refused");
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
