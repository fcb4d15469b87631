//! Places of the parts of a rule table in its files, and the texts of its rules.

use std::ops::Range;
use std::sync::Arc;

use super::load::chunks::rule_pieces;
use super::{LoadedTable, UnreachableRule};
use crate::diagnostics::{Location, SourceFile};

/// Places of the rules and definitions of a table. The texts of its TOML files are kept unless they are
/// large.
///
/// ```
/// use switchboard::rules::{self, CheckContext, TablePlaces};
///
/// let text = "[[rule]]\nname = \"everyone\"\nkeep = true\n";
/// let loaded = rules::parse("rules.toml", text.to_owned(), &CheckContext::default());
/// let places = TablePlaces::new(&loaded);
/// assert_eq!(places.rule(0).unwrap().to_string(), "rules.toml:2");
/// assert_eq!(places.rule_text(0).unwrap().pieces[0].text, text);
/// ```
#[derive(Debug, Default)]
pub struct TablePlaces {
    files: Vec<PlacedFile>,
    rules: Vec<CompactPlace>,
    disabled: Vec<DisabledRule>,
    /// Ascending by the index of the rule.
    unreachable: Vec<UnreachableRule>,
    definitions: [Vec<Option<CompactPlace>>; 6],
}

#[derive(Debug)]
struct PlacedFile {
    path: Box<str>,
    /// `None` if the texts of the table are too large.
    text: Option<Arc<SourceFile>>,
}

/// Compact, since a table can have a million rules.
#[derive(Debug, Clone, Copy)]
struct CompactPlace {
    file: u32,
    line: u32,
    offset: u32,
}

/// A disabled rule, which the rule set does not contain.
#[derive(Debug)]
pub(super) struct DisabledRule {
    pub(super) name: Box<str>,
    /// Number of enabled rules before it.
    pub(super) before: usize,
    place: CompactPlace,
}

/// Kind of a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DefinitionKind {
    /// `[agents]`
    Agent,
    /// `[hours.NAME]`
    Hours,
    /// `[dates.NAME]`
    Dates,
    /// `[splits.NAME]`
    Split,
    /// `[lookup.NAME]`
    Lookup,
    /// `[lists.NAME]`
    List,
}

/// Line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Path of the file.
    pub file: Box<str>,
    /// Number of the line, from 1.
    pub line: usize,
}

/// Prints `rules.toml:12`.
impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Lines of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    /// Consecutive lines; several if parts of the rule stand apart.
    pub pieces: Vec<TextPiece>,
    /// The rule is longer than what is shown of it.
    pub is_cut: bool,
}

/// Consecutive lines of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextPiece {
    /// Number of the first line, from 1.
    pub line: usize,
    /// The lines.
    pub text: String,
}

/// Maximum size of the lines of a rule, in bytes.
const MAX_RULE_BYTES: usize = 16 << 10;

impl TablePlaces {
    /// Maximum size of the TOML files whose texts are kept, in bytes.
    pub const MAX_TEXT_BYTES: usize = 8 << 20;

    /// Collects the places of a table.
    pub fn new(loaded: &LoadedTable) -> TablePlaces {
        TablePlaces::with_limit(loaded, TablePlaces::MAX_TEXT_BYTES)
    }

    /// Collects the places of a table, and keeps texts up to `max_bytes`.
    fn with_limit(loaded: &LoadedTable, max_bytes: usize) -> TablePlaces {
        let LoadedTable { texts, locations, definitions, .. } = loaded;
        let keeps_texts = texts.iter().map(|file| file.text.len()).sum::<usize>() <= max_bytes;
        let files = texts.iter().map(|file| PlacedFile {
            path: file.path.as_str().into(),
            text: keeps_texts.then(|| file.clone()),
        });
        let mut cursor = Cursor::new(texts);
        let rules = (0..locations.len()).filter_map(|rule| cursor.place(&locations.get(rule)));
        let rules = rules.collect();
        let mut cursor = Cursor::new(texts);
        let disabled = locations.disabled().filter_map(|(name, location, before)| {
            Some(DisabledRule { name: name.into(), before, place: cursor.place(&location)? })
        });
        let disabled = disabled.collect();
        let all = [
            &definitions.agents,
            &definitions.hours,
            &definitions.dates,
            &definitions.splits,
            &definitions.lookups,
            &definitions.lists,
        ];
        let definitions = all.map(|locations| {
            let mut cursor = Cursor::new(texts);
            let places = locations.iter().map(|location| cursor.place(location.as_ref()?));
            places.collect()
        });
        let unreachable = loaded.unreachable.clone();
        TablePlaces { files: files.collect(), rules, disabled, unreachable, definitions }
    }

    /// Returns the place of a rule's name, by the index of the rule.
    pub fn rule(&self, rule: usize) -> Option<Place> {
        self.rules.get(rule).map(|place| self.place(*place))
    }

    /// Returns the lines of a rule, if the texts of the table are kept.
    pub fn rule_text(&self, rule: usize) -> Option<SourceText> {
        self.text_at(*self.rules.get(rule)?)
    }

    /// Returns the place of a definition's name, by its index.
    pub(crate) fn definition(&self, kind: DefinitionKind, index: usize) -> Option<Place> {
        let place = *self.definitions[kind as usize].get(index)?;
        place.map(|place| self.place(place))
    }

    /// Returns why no call can reach a rule, if so.
    pub fn unreachable(&self, rule: usize) -> Option<&UnreachableRule> {
        let found = self.unreachable.binary_search_by_key(&rule, |found| found.rule);
        found.ok().map(|position| &self.unreachable[position])
    }

    /// Returns the number of rules that no call can reach.
    pub fn unreachable_count(&self) -> usize {
        self.unreachable.len()
    }

    /// Returns whether the texts are kept.
    pub fn has_texts(&self) -> bool {
        self.files.iter().all(|file| file.text.is_some())
    }

    /// Returns the paths of the TOML files, each with its text if the texts are kept.
    pub fn files(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let files = self.files.iter();
        files.map(|file| (&*file.path, file.text.as_ref().map(|file| file.text.as_str())))
    }

    pub(super) fn disabled(&self) -> &[DisabledRule] {
        &self.disabled
    }

    pub(super) fn place_of_disabled(&self, rule: &DisabledRule) -> Place {
        self.place(rule.place)
    }

    pub(super) fn text_of_disabled(&self, rule: &DisabledRule) -> Option<SourceText> {
        self.text_at(rule.place)
    }

    fn place(&self, CompactPlace { file, line, .. }: CompactPlace) -> Place {
        Place { file: self.files[file as usize].path.clone(), line: line as usize }
    }

    fn text_at(&self, place: CompactPlace) -> Option<SourceText> {
        let text = &self.files[place.file as usize].text.as_ref()?.text;
        let (offset, line) = (place.offset as usize, place.line as usize);
        let pieces = rule_pieces(text, offset).unwrap_or_else(|| vec![line_at(text, offset)]);
        let mut is_cut = false;
        let mut left = MAX_RULE_BYTES;
        let mut shown = Vec::new();
        for piece in pieces {
            let line = match piece.start <= offset {
                true => line - newlines(&text[piece.start..offset]),
                false => line + newlines(&text[offset..piece.start]),
            };
            let whole = &text[piece];
            let part = &whole[..whole.floor_char_boundary(left)];
            is_cut |= part.len() < whole.len();
            left -= part.len();
            if !part.is_empty() {
                shown.push(TextPiece { line, text: part.to_owned() });
            }
        }
        Some(SourceText { pieces: shown, is_cut })
    }
}

/// Returns the range of the line that contains an offset.
fn line_at(text: &str, offset: usize) -> Range<usize> {
    let start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[offset..].find('\n').map_or(text.len(), |newline| offset + newline + 1);
    start..end
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// Finds the lines of locations. Fast for locations in the order of the files.
struct Cursor<'t> {
    files: &'t [Arc<SourceFile>],
    file: usize,
    offset: usize,
    line: usize,
}

impl<'t> Cursor<'t> {
    fn new(files: &'t [Arc<SourceFile>]) -> Cursor<'t> {
        Cursor { files, file: 0, offset: 0, line: 1 }
    }

    /// Returns the place of a location, or `None` if it is in no file of the table.
    fn place(&mut self, location: &Location) -> Option<CompactPlace> {
        let is_same = self.files.get(self.file).is_some_and(|it| Arc::ptr_eq(it, &location.file));
        if !is_same {
            self.file = self.files.iter().position(|file| Arc::ptr_eq(file, &location.file))?;
        }
        let start = location.span.start;
        if !is_same || start < self.offset {
            (self.offset, self.line) = (0, 1);
        }
        let bytes = location.file.text.as_bytes().get(self.offset..start)?;
        self.line += bytes.iter().filter(|byte| **byte == b'\n').count();
        self.offset = start;
        let compact = |number: usize| u32::try_from(number).ok();
        Some(CompactPlace {
            file: compact(self.file)?,
            line: compact(self.line)?,
            offset: compact(start)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{CheckContext, parse};

    const TABLE: &str = "[agents]\na = \"agent_1\"\nb = \"agent_2\"\n\n[[rule]]\nname = \"off\"\n\
                         enabled = false\nagent = \"b\"\n\n# Both\n[[rule]]\nname = \"one\"\n\
                         agent = \"a\"\n\n[[rule]]\nname = \"two\"\nagent = \"b\"\n";

    fn load(text: &str) -> LoadedTable {
        let loaded = parse("rules.toml", text.to_owned(), &CheckContext::default());
        assert!(loaded.table.is_some(), "{}", loaded.report);
        loaded
    }

    #[test]
    fn rules_and_definitions_have_lines() {
        let places = TablePlaces::new(&load(TABLE));
        let lines: Vec<_> = (0..2).map(|rule| places.rule(rule).unwrap().line).collect();
        assert_eq!(lines, [12, 16]);
        let agents = [0, 1].map(|agent| places.definition(DefinitionKind::Agent, agent).unwrap());
        assert_eq!(agents.map(|place| place.to_string()), ["rules.toml:2", "rules.toml:3"]);
        assert_eq!(places.definition(DefinitionKind::List, 0), None);
        let text = places.rule_text(0).unwrap();
        assert_eq!((text.pieces[0].line, text.is_cut), (10, false));
        assert_eq!(text.pieces[0].text, "# Both\n[[rule]]\nname = \"one\"\nagent = \"a\"\n");
    }

    #[test]
    fn disabled_rules_are_between_the_others() {
        let places = TablePlaces::new(&load(TABLE));
        let [off] = places.disabled() else { panic!("one disabled rule") };
        assert_eq!((&*off.name, off.before), ("off", 0));
        assert_eq!(places.place_of_disabled(off).line, 6);
        assert!(places.text_of_disabled(off).unwrap().pieces[0].text.contains("enabled = false"));
    }

    #[test]
    fn an_unreachable_rule_names_the_rule_that_takes_its_calls() {
        let loaded = load(TABLE);
        let places = TablePlaces::new(&loaded);
        assert_eq!(places.unreachable(0), None);
        let rules = &loaded.table.as_ref().unwrap().rules;
        let reason = places.unreachable(1).unwrap().reason(rules);
        assert_eq!(reason, "rule `one` above it takes its calls");
        assert!(loaded.report.to_string().contains(&reason));
    }

    #[test]
    fn large_texts_are_not_kept() {
        let loaded = load(TABLE);
        let places = TablePlaces::with_limit(&loaded, TABLE.len() - 1);
        assert_eq!(places.rule(1).unwrap().line, 16);
        assert_eq!((places.rule_text(1), places.has_texts()), (None, false));
        assert!(TablePlaces::with_limit(&loaded, TABLE.len()).has_texts());
    }

    #[test]
    fn a_long_rule_is_cut() {
        let long = "é".repeat(MAX_RULE_BYTES);
        let text =
            format!("[[rule]]\nname = \"one\"\nkeep = true\nmetadata = {{ x = \"{long}\" }}\n");
        let text = TablePlaces::new(&load(&text)).rule_text(0).unwrap();
        assert!(text.is_cut);
        let length = text.pieces[0].text.len();
        assert!((MAX_RULE_BYTES - 1..=MAX_RULE_BYTES).contains(&length), "{length}");
    }
}
