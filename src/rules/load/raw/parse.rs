//! Reads TOML into raw values with their locations.
//!
//! Reports errors of form (a misspelt key, a number in place of a string), all of them at once.
//! Errors of meaning are left to `check`.

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::recover::{broken_list, parse_recoverable, second_item, unclosed_string};
use super::suggest::{self, Suggestion, TopKey};
use super::{
    Entries, RawAgent, RawArm, RawCondition, RawDefinitions, RawIds, RawOutcome, RawRule, RawTest,
    RawTimes, RawValue, RawWhere, Spanned,
};
use crate::diagnostics::{Diagnostic, Location, Report, SourceFile};
use crate::rules::NumberPattern;
use crate::rules::load::chunks::{Chunk, ChunkKind, key_defined_twice};
use crate::rules::load::windows_path;
use crate::rules::model::condition::Number;
use crate::rules::model::pattern::MIN_NATIONAL_DIGITS;
use crate::rules::model::row_limits::suggest_share;
use crate::schema::TableSpec;
use crate::toml_advice;

/// Keys of a table, as `toml_table!` declares them.
pub(crate) trait TableKeys: Default {
    /// Returns the declaration.
    fn spec() -> &'static TableSpec;

    /// Reads a key into its field; false when the key is not declared.
    fn read_key(&mut self, key: &str, entry: &mut Entry<'_, '_>) -> bool;

    /// Sets the fields that describe the table itself.
    fn set_header(&mut self, _: Header) {}
}

/// Parts of a table that do not follow from its declaration.
pub(crate) trait TomlTable: TableKeys {
    /// Runs after a declared key has been read.
    fn after_key(&mut self, _: &Entry<'_, '_>) {}

    /// Handles a key that is not declared.
    fn other_key(&mut self, entry: &mut Entry<'_, '_>) {
        entry.unknown_key(Self::spec());
    }

    /// Runs after all keys have been read.
    fn finish(&mut self, _: &mut TomlReader<'_>) {}
}

/// Name and location of a table that has been read.
pub(crate) struct Header {
    /// Name of a `[lists.NAME]`; empty for tables without a name.
    pub(crate) name: Spanned<String>,
    pub(crate) span: Range<usize>,
    /// The table has an error, which has been reported.
    pub(crate) invalid: bool,
}

/// Reads the definitions of a file, of which these are all chunks; `None` when they are not TOML. Errors
/// go to the report; everything readable is returned.
pub(crate) fn definitions(
    file: &Arc<SourceFile>,
    chunk: &Chunk,
    chunks: &[Chunk],
    report: &mut Report,
) -> Option<RawDefinitions> {
    let text = chunk.text(&file.text);
    let mut own_report = Report::default();
    let mut toml = TomlReader::new(file, chunk, &mut own_report);
    let Some(document) = toml.document(&text) else {
        report_pieces(file, chunk, own_report, report);
        return None;
    };
    let lists = key_defined_twice(document.get_ref(), chunks).and_then(|key| {
        let (name, value) = document.get_ref().get_key_value(key)?;
        value.get_ref().is_array().then(|| (key, name.span()))
    });
    if let Some((key, span)) = lists {
        let message = format!("`{key}` is a list here, and [[{key}]] extends it elsewhere");
        toml.error("syntax", &span, message).help(format!("write each {key} as [[{key}]]"));
    }
    let definitions = toml.read_table(Spanned::default(), &(0..0), document.get_ref());
    report.append(own_report);
    Some(definitions)
}

/// Reports what is wrong with definitions: the errors inside their pieces if there are any, otherwise
/// those between them, such as a table that is defined twice.
fn report_pieces(file: &Arc<SourceFile>, chunk: &Chunk, whole: Report, report: &mut Report) {
    let before = report.error_count();
    for piece in chunk.pieces.iter().filter(|_| chunk.pieces.len() > 1) {
        let part = Chunk::new(chunk.kind, [piece.clone()]);
        TomlReader::new(file, &part, report).document(&file.text[piece.clone()]);
    }
    if report.error_count() == before {
        report.append(whole);
    }
}

/// Reads a chunk of a file into its rules or tests; `None` when it is not TOML.
pub(crate) type ReadChunk<T> = fn(&Arc<SourceFile>, &Chunk, &mut Report) -> Option<Vec<T>>;

/// Reads a chunk of rules; `None` when it is not TOML.
pub(crate) fn rules(
    file: &Arc<SourceFile>,
    chunk: &Chunk,
    report: &mut Report,
) -> Option<Vec<RawRule>> {
    tables(file, chunk, report, "rule")
}

/// Reads a chunk of tests; `None` when it is not TOML.
pub(crate) fn tests(
    file: &Arc<SourceFile>,
    chunk: &Chunk,
    report: &mut Report,
) -> Option<Vec<RawTest>> {
    tables(file, chunk, report, "test")
}

fn tables<T: TomlTable>(
    file: &Arc<SourceFile>,
    chunk: &Chunk,
    report: &mut Report,
    name: &str,
) -> Option<Vec<T>> {
    let text = chunk.text(&file.text);
    let mut toml = TomlReader::new(file, chunk, report);
    let document = toml.document(&text)?;
    let (key, value) = document.get_ref().get_key_value(name)?;
    Some(Entry { toml: &mut toml, name, key: key.span(), value }.tables())
}

/// Returns the help for an invalid escape in a path with backslashes: `"C:\lists\vip.csv"`.
fn help_for_escape(text: &str, at: usize) -> Option<String> {
    let start = text[..at].rfind(['"', '\n']).filter(|start| text[*start..].starts_with('"'))?;
    let inside = &text[start + 1..];
    let inside = &inside[..inside.find(['"', '\n'])?];
    if !inside.contains('\\') || inside.contains([' ', '\'', '{']) {
        return None;
    }
    let line = text[..start].rsplit('\n').next().unwrap_or_default();
    // The system has paths with slashes; any other text may be meant as it is.
    match line.trim_start().starts_with("file") {
        true => windows_path::help(inside),
        false => {
            Some(format!("a backslash is an escape here; for a literal one, write `'{inside}'`"))
        }
    }
}

type Item<'i> = toml::Spanned<DeValue<'i>>;

/// Reader of one chunk of a file.
pub(crate) struct TomlReader<'r> {
    file: &'r Arc<SourceFile>,
    chunk: &'r Chunk,
    report: &'r mut Report,
    /// Paths such as `lists.vip` whose value is unreadable, which has been reported.
    pub(crate) unreadable: Vec<String>,
    /// Keys of the top of the file that stand below a table, which has been reported, with their values.
    pub(crate) misplaced: Vec<(TopKey, Spanned<String>)>,
}

impl<'r> TomlReader<'r> {
    fn new(file: &'r Arc<SourceFile>, chunk: &'r Chunk, report: &'r mut Report) -> TomlReader<'r> {
        TomlReader { file, chunk, report, unreadable: Vec::new(), misplaced: Vec::new() }
    }

    fn document<'t>(&mut self, text: &'t str) -> Option<toml::Spanned<DeTable<'t>>> {
        let (document, errors) = parse_recoverable(text);
        if errors.is_empty() {
            return Some(document);
        }
        if let Some(start) = unclosed_string(text, &errors) {
            let message = "this multi-line string is not closed".to_owned();
            self.error("syntax", &(start..start + 3), message);
            return None;
        }
        self.syntax_errors(text, errors);
        None
    }

    /// Reports the errors of a text that is not TOML. What follows a list without its brackets is read anew.
    fn syntax_errors(&mut self, text: &str, mut errors: Vec<toml::de::Error>) {
        const MAX_BROKEN_LISTS: usize = 10;
        let mut start = 0;
        for _ in 0..MAX_BROKEN_LISTS {
            let Some(list) = broken_list(&text[start..], &errors) else {
                return self.errors_of_lines(text, start, &errors);
            };
            let is_before = |error: &toml::de::Error| {
                error.span().is_some_and(|span| span.start < list.line_start)
            };
            errors.retain(is_before);
            self.errors_of_lines(text, start, &errors);
            let span = start + list.span.start..start + list.span.end;
            self.error("syntax", &span, list.message).help(list.help);
            start += list.end;
            errors = parse_recoverable(&text[start..]).1;
        }
    }

    /// Reports errors whose spans begin at `offset`, one of each line.
    fn errors_of_lines(&mut self, text: &str, offset: usize, errors: &[toml::de::Error]) {
        let item = match self.chunk.kind {
            ChunkKind::Definitions => None,
            ChunkKind::Rules => Some("rule"),
            ChunkKind::Tests => Some("test"),
        };
        let second = item.zip(second_item(&text[offset..], errors));
        let mut first_repeated = second.as_ref();
        // Start of the previous error.
        let mut previous: Option<usize> = None;
        for error in errors {
            let span = error.span().unwrap_or_default();
            let span = offset + span.start..offset + span.end;
            let start = span.start.min(text.len());
            // Further errors on the same line mostly follow from the first.
            if previous.replace(start).is_some_and(|previous| {
                !text.as_bytes()[previous.min(start)..previous.max(start)].contains(&b'\n')
            }) {
                continue;
            }
            if let Some(key) = single_brackets(text, &span) {
                self.error("syntax", &span, format!("[{key}] is defined a second time here"))
                    .help(format!("write [[{key}]], in double brackets"));
                break;
            }
            let is_duplicate = error.message() == "duplicate key";
            if is_duplicate && second.is_some() {
                if let Some((item, key)) = first_repeated.take() {
                    let message = format!("`{key}` is set a second time in this {item}");
                    let help = format!("if a second {item} begins here, write [[{item}]] above it");
                    self.error("syntax", &span, message).help(help);
                }
                continue;
            }
            let twice = "a file defines it once, with all its entries";
            let help = is_duplicate.then(|| twice.to_owned());
            let help = help.or_else(|| help_for_escape(text, start));
            let help = help.or_else(|| suggest::for_operator(text, start));
            let help = help.or_else(|| Some(toml_advice::advise(text, start)?.help()));
            if toml_advice::is_conflict(text, start) {
                self.error("syntax", &span, "the file has a merge conflict".to_owned())
                    .maybe_help(help);
                break;
            }
            // What follows is a term of the parser.
            let reason = error.message().trim_end_matches(", expected literal string");
            let message = format!("invalid TOML: {reason}");
            self.error("syntax", &span, message).maybe_help(help);
        }
    }

    /// Reads the keys of a table.
    pub(crate) fn read_table<T: TomlTable>(
        &mut self,
        name: Spanned<String>,
        span: &Range<usize>,
        table: &DeTable<'_>,
    ) -> T {
        let before = self.report.error_count();
        let mut raw = T::default();
        for (key, value) in table {
            let mut entry = Entry { toml: self, name: key.get_ref(), key: key.span(), value };
            if raw.read_key(entry.name, &mut entry) {
                raw.after_key(&entry);
            } else {
                raw.other_key(&mut entry);
            }
        }
        let invalid = self.report.error_count() > before;
        raw.set_header(Header { name, span: self.in_file(span), invalid });
        raw.finish(self);
        raw
    }

    /// Converts a span in the chunk to one in the file.
    fn in_file(&self, span: &Range<usize>) -> Range<usize> {
        self.chunk.in_file(span)
    }

    /// Reports an error at a span in the chunk.
    fn error(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: String,
    ) -> &mut Diagnostic {
        let span = self.in_file(span);
        self.error_in_file(code, &span, message)
    }

    /// Reports an error at a span in the file.
    pub(crate) fn error_in_file(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: String,
    ) -> &mut Diagnostic {
        let location = Location { file: self.file.clone(), span: span.clone() };
        self.report.error(code, Some(location), message)
    }
}

/// A key and its value.
pub(crate) struct Entry<'e, 'r> {
    pub(crate) toml: &'e mut TomlReader<'r>,
    pub(crate) name: &'e str,
    /// Span of the key in the chunk.
    key: Range<usize>,
    pub(crate) value: &'e Item<'e>,
}

/// Values of one type each.
impl<'e, 'r> Entry<'e, 'r> {
    pub(crate) fn text(&mut self) -> Option<Spanned<String>> {
        let Some(text) = self.value.get_ref().as_str() else {
            self.not_a_string("a string");
            return None;
        };
        Some(self.spanned(text.to_owned()))
    }

    /// A string or a list of strings.
    pub(crate) fn texts(&mut self) -> Vec<Spanned<String>> {
        if let Some(list) = self.value.get_ref().as_array() {
            if list.is_empty() {
                let message = format!("`{}` is an empty list, which never matches", self.name);
                self.error("empty-list", message).help("leave the key out to match every call");
            }
            return list.iter().filter_map(|item| self.child(self.name, item).text()).collect();
        }
        if self.value.get_ref().is_str() {
            return self.text().into_iter().collect();
        }
        self.not_a_string("a string or a list of strings");
        Vec::new()
    }

    pub(crate) fn texts_or_empty(&mut self) -> Vec<Spanned<String>> {
        if self.is_empty_list() { Vec::new() } else { self.texts() }
    }

    /// Opening times of a day or a range of days.
    pub(crate) fn times(&mut self) -> Vec<Spanned<String>> {
        let value = self.value.get_ref();
        if !value.is_str() && !value.is_array() {
            self.wrong_type("a string or a list of strings")
                .help("start and end stand in quotes, as in `\"09:00-17:00\"`");
            return Vec::new();
        }
        if !self.is_empty_list() {
            return self.texts();
        }
        let message = format!("`{}` has no times", self.name);
        self.error("empty-list", message)
            .help("leave a weekday out to close it; list other closed days in `closed`");
        Vec::new()
    }

    pub(crate) fn opening_times(&mut self) -> RawTimes {
        let mut open = Vec::new();
        for (date, value) in self.table().into_iter().flatten() {
            let times = self.child(date.get_ref(), value).times();
            open.push((self.spanned_key(date), times));
        }
        open
    }

    pub(crate) fn boolean(&mut self) -> Option<bool> {
        let boolean = self.value.get_ref().as_bool();
        if boolean.is_none() {
            self.wrong_type("true or false");
        }
        boolean
    }

    pub(crate) fn integer(&mut self) -> Option<Spanned<i64>> {
        let number = self.value.get_ref().as_integer().and_then(to_i64);
        if number.is_none() {
            self.wrong_type("an integer");
        }
        Some(self.spanned(number?))
    }

    pub(crate) fn percent(&mut self) -> Option<Spanned<f64>> {
        let number = json_number(self.value.get_ref()).and_then(|number| number.as_f64());
        if number.is_none() {
            self.wrong_type("a number");
        }
        Some(self.spanned(number?))
    }

    /// A point in time, as a string or as a TOML date-time.
    pub(crate) fn timestamp(&mut self) -> Option<Spanned<String>> {
        match self.value.get_ref().as_datetime() {
            Some(time) => Some(self.spanned(time.to_string())),
            None => self.text(),
        }
    }

    pub(crate) fn table(&mut self) -> Option<&'e DeTable<'e>> {
        let table = self.value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type("a table");
        }
        table
    }

    pub(crate) fn object(&mut self) -> Option<Entries> {
        self.table().map(|table| self.entries(table))
    }

    fn entries(&mut self, table: &'e DeTable<'e>) -> Entries {
        let entries = table.iter().filter_map(|(key, value)| {
            let value = self.child(key.get_ref(), value).any()?;
            Some((self.spanned_key(key), value))
        });
        entries.collect()
    }

    /// A value of any type.
    fn any(&mut self) -> Option<Spanned<RawValue>> {
        let value = match self.value.get_ref() {
            DeValue::String(text) => RawValue::Text(text.to_string()),
            DeValue::Datetime(time) => RawValue::Text(time.to_string()),
            DeValue::Boolean(boolean) => RawValue::Plain(Value::Bool(*boolean)),
            DeValue::Array(list) => {
                let items = list.iter().filter_map(|item| self.child(self.name, item).any());
                RawValue::List(items.collect())
            }
            DeValue::Table(table) => RawValue::Table(self.entries(table)),
            DeValue::Integer(_) | DeValue::Float(_) => {
                let number = json_number(self.value.get_ref());
                if number.is_none() {
                    self.wrong_type("a number that JSON can hold");
                }
                RawValue::Plain(number?)
            }
        };
        Some(self.spanned(value))
    }

    /// `[[rule]]` or `[[test]]`, any number of times.
    pub(crate) fn tables<T: TomlTable>(&mut self) -> Vec<T> {
        let list = self.value.get_ref().as_array();
        let Some(list) = list.filter(|list| list.iter().all(|item| item.get_ref().is_table()))
        else {
            let message = format!("`{}` must be a list of tables", self.name);
            let help = format!("write [[{}]], in double brackets", self.name);
            self.error("wrong-kind", message).help(help);
            return Vec::new();
        };
        let tables = list.iter().filter_map(|item| Some((item.span(), item.get_ref().as_table()?)));
        let tables =
            tables.map(|(span, table)| self.toml.read_table(Spanned::default(), &span, table));
        tables.collect()
    }

    /// Tables with names that the operator chooses: `[lists.vip]`.
    pub(crate) fn named_tables<T: TomlTable>(&mut self) -> Vec<T> {
        let mut tables = Vec::new();
        for (name, value) in self.table().into_iter().flatten() {
            if let Some(table) = value.get_ref().as_table() {
                let name = self.spanned_key(name);
                tables.push(self.toml.read_table(name, &value.span(), table));
                continue;
            }
            let below = format!("below [{}]", self.name);
            if self.child(name.get_ref(), value).report_top_key(name.span(), &below) {
                continue;
            }
            let path = format!("{}.{}", self.name, name.get_ref());
            let example = match self.name {
                "lists" => "numbers = [\"+12137771234\"]",
                "dates" => "days = [\"01-01\"]",
                "splits" => "arms = [{ agent = \"front-desk\", percent = 100 }]",
                "lookup" => "url = \"https://crm.example.com/by-phone?phone=${from}\"",
                _ => "mon-fri = \"09:00-17:00\"",
            };
            let help = format!("write [{path}], and below it {example}");
            self.child(&path, value).wrong_type("a table").help(help);
            self.toml.unreadable.push(path);
        }
        tables
    }

    pub(crate) fn agents(&mut self) -> Option<Vec<RawAgent>> {
        let agents = self.table()?.iter().filter_map(|(key, value)| {
            let mut entry = self.child(key.get_ref(), value);
            if entry.report_top_key(key.span(), "below [agents], so it is an agent") {
                return None;
            }
            let ids = if let Some(id) = value.get_ref().as_str() {
                RawIds::Everywhere(entry.spanned(id.to_owned()))
            } else if let Some(table) = value.get_ref().as_table() {
                RawIds::Table(entry.entries(table))
            } else {
                entry.wrong_type("an id, or a table of ids by platform");
                RawIds::Invalid
            };
            Some(RawAgent { name: self.spanned_key(key), ids })
        });
        Some(agents.collect())
    }
}

/// Conditions and outcomes of rules.
impl Entry<'_, '_> {
    pub(crate) fn where_clauses(&mut self) -> Vec<RawWhere> {
        let mut where_clauses = Vec::new();
        for (name, value) in self.table().into_iter().flatten() {
            let name = self.spanned_key(name);
            self.child(&name.value, value).conditions(&name, &mut where_clauses);
        }
        where_clauses
    }

    /// `"stores.tier" = …`; without the quotes, TOML reads a table in a table with the same meaning.
    fn conditions(&mut self, name: &Spanned<String>, where_clauses: &mut Vec<RawWhere>) {
        let Some(table) = self.value.get_ref().as_table() else {
            let expected = self.condition_values();
            where_clauses.push((name.clone(), expected));
            return;
        };
        if table.is_empty() {
            self.wrong_type("a string, a number, or a list of them");
        }
        for (key, value) in table {
            let key = self.spanned_key(key);
            let path = format!("{}.{}", name.value, key.value);
            let path = Spanned { value: path, span: name.span.start..key.span.end };
            self.child(&path.value, value).conditions(&path, where_clauses);
        }
    }

    fn condition_values(&mut self) -> Vec<Spanned<RawCondition>> {
        let list = self.value.get_ref().as_array();
        let list = list.map_or(std::slice::from_ref(self.value), |list| list);
        if list.is_empty() {
            let message = format!("`{}` is an empty list, which never matches", self.name);
            self.error("empty-list", message);
        }
        list.iter().filter_map(|item| self.child(self.name, item).condition_value()).collect()
    }

    fn condition_value(&mut self) -> Option<Spanned<RawCondition>> {
        let number = || Number::parse(&json_number(self.value.get_ref())?.to_string());
        let condition = match self.value.get_ref() {
            DeValue::String(text) => Some(RawCondition::Text(text.to_string())),
            DeValue::Boolean(boolean) => Some(RawCondition::Text(boolean.to_string())),
            DeValue::Integer(_) | DeValue::Float(_) => number().map(RawCondition::Number),
            DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
        };
        if condition.is_none() {
            self.wrong_type("a string, a number, or a list of them");
        }
        Some(self.spanned(condition?))
    }

    /// Outcome of a rule, read from one of the keys in `OUTCOMES`.
    pub(crate) fn outcome(&mut self) -> RawOutcome {
        let expected = match (self.name, self.value.get_ref()) {
            ("agent", DeValue::String(agent)) => {
                return RawOutcome::Agent(self.spanned(agent.to_string()));
            }
            ("split", DeValue::Array(list)) if !list.is_empty() => {
                return self.split(list).map_or(RawOutcome::Invalid, RawOutcome::Split);
            }
            ("split", DeValue::String(name)) => {
                return RawOutcome::NamedSplit(self.spanned(name.to_string()));
            }
            ("transfer", DeValue::String(target)) => {
                return RawOutcome::Transfer(self.spanned(target.to_string()));
            }
            ("reject", DeValue::String(reason)) => return RawOutcome::Reject(reason.to_string()),
            ("reject", DeValue::Boolean(true)) => return RawOutcome::Reject(String::new()),
            ("keep", DeValue::Boolean(true)) => return RawOutcome::Keep,
            ("continue", DeValue::Boolean(true)) => return RawOutcome::Continue,
            ("agent", _) => "the name of an agent",
            ("split", _) => ARMS_OR_NAME,
            ("transfer", _) => "a phone number or a SIP address",
            ("reject", _) => "true or the reason",
            _ => "true (or absent)",
        };
        let is_true = self.value.get_ref().as_str() == Some("true");
        let help = (is_true && expected == "true (or absent)")
            .then_some("it is a value without quotes: true");
        self.wrong_type(expected).maybe_help(help.map(str::to_owned));
        RawOutcome::Invalid
    }

    fn split(&mut self, list: &[Item<'_>]) -> Option<Vec<RawArm>> {
        if let Some(other) = list.iter().find(|item| !item.get_ref().is_table()) {
            let texts: Option<Vec<&str>> =
                list.iter().map(|item| item.get_ref().as_str()).collect();
            let help = texts.and_then(|texts| suggest::arms_of_texts(self.name, &texts));
            self.child(self.name, other).wrong_type(ARMS).maybe_help(help);
            return None;
        }
        Some(self.tables())
    }

    /// Arms of a named split.
    pub(crate) fn arms(&mut self) -> Vec<RawArm> {
        let list = self.value.get_ref().as_array();
        let Some(list) = list.filter(|list| !list.is_empty()) else {
            self.wrong_type(ARMS);
            return Vec::new();
        };
        self.split(list).unwrap_or_default()
    }
}

/// Wording of the type of `arms`.
const ARMS: &str = "a list of { agent = …, percent = … }";
/// Wording of the type of `split`.
const ARMS_OR_NAME: &str = "a list of { agent = …, percent = … } or the name of a split";

/// Locations and errors.
impl<'e, 'r> Entry<'e, 'r> {
    /// An entry for a value inside this one.
    fn child<'s>(&'s mut self, name: &'s str, value: &'s Item<'s>) -> Entry<'s, 'r> {
        Entry { toml: self.toml, name, key: self.key.clone(), value }
    }

    /// A value with the location of this entry's value.
    pub(crate) fn spanned<T>(&self, value: T) -> Spanned<T> {
        Spanned { value, span: self.toml.in_file(&self.value.span()) }
    }

    fn spanned_key(&self, key: &toml::Spanned<toml::de::DeString<'_>>) -> Spanned<String> {
        Spanned { value: key.get_ref().to_string(), span: self.toml.in_file(&key.span()) }
    }

    /// The key, with its location in the file.
    pub(crate) fn key(&self) -> Spanned<String> {
        Spanned { value: self.name.to_owned(), span: self.key_span() }
    }

    /// Location of the key in the file.
    pub(crate) fn key_span(&self) -> Range<usize> {
        self.toml.in_file(&self.key)
    }

    fn is_empty_list(&self) -> bool {
        self.value.get_ref().as_array().is_some_and(|list| list.is_empty())
    }

    /// Reports an error at the value.
    fn error(&mut self, code: &'static str, message: String) -> &mut Diagnostic {
        self.toml.error(code, &self.value.span(), message)
    }

    /// Reports a key that is not declared, and returns the declared key that it resembles.
    pub(crate) fn unknown_key(&mut self, spec: &'static TableSpec) -> Option<&'static str> {
        let Suggestion { intended, help } =
            suggest::for_unknown_key(self.name, self.value.get_ref(), spec);
        let (key, message) = (self.key.clone(), format!("unknown key `{}`", self.name));
        self.toml.error("unknown-key", &key, message).help(help);
        self.read_top_key();
        intended
    }

    /// Returns whether a key of opening hours is another word for one of their other keys, or a key of the top of
    /// the file.
    pub(crate) fn is_no_weekday(&self, spec: &'static TableSpec) -> bool {
        let value = self.value.get_ref().as_str();
        let top_key = value.and_then(|value| suggest::top_key(self.name, value));
        top_key.is_some() || suggest::synonym(self.name, spec).is_some()
    }

    /// Reads a key of the top of the file that stands elsewhere, which is reported: what depends on it is right.
    fn read_top_key(&mut self) -> Option<TopKey> {
        let value = self.value.get_ref().as_str()?;
        let key = suggest::top_key(self.name, value)?;
        let value = self.spanned(value.to_owned());
        self.toml.misplaced.push((key, value));
        Some(key)
    }

    /// Reports a key of the top of the file that a table takes for one of its own. Returns whether it is one.
    fn report_top_key(&mut self, key: Range<usize>, place: &str) -> bool {
        let Some(top_key) = self.read_top_key() else { return false };
        let message = format!("`{}` stands {place}", self.name);
        let help = suggest::move_to_the_top(self.name, top_key);
        self.toml.error("unknown-key", &key, message).help(help);
        true
    }

    fn wrong_type(&mut self, expected: &str) -> &mut Diagnostic {
        let found = type_name(self.value.get_ref());
        let help = suggest::for_wrong_type(self.name, self.value.get_ref());
        self.error("wrong-kind", format!("`{}` must be {expected}, not {found}", self.name))
            .maybe_help(help)
    }

    /// Reports a value that is not a string. A number may lack its quotes.
    fn not_a_string(&mut self, expected: &str) {
        let text = &self.toml.file.text[self.toml.in_file(&self.value.span())];
        let lacks_quotes = matches!(
            self.value.get_ref(),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_)
        );
        let is_number = ["from", "to", "forwarded_from", "numbers"].contains(&self.name);
        let share = (self.name == "max_shrink").then(|| suggest_share(text)).flatten();
        let help = lacks_quotes.then(|| match share {
            Some(share) => format!("write max_shrink = \"{share}\""),
            None if is_number => help_for_unquoted_number(text),
            None => format!("put it in quotes: \"{text}\""),
        });
        self.wrong_type(expected).maybe_help(help);
    }
}

/// Returns the help for a phone number without quotes, which lacks its `+` in most cases.
fn help_for_unquoted_number(text: &str) -> String {
    const MIN_INTERNATIONAL_DIGITS: usize = 11;
    let with_plus = format!("+{text}");
    let (proposed, hint) = match text.len() {
        _ if text.starts_with('+') => (text.to_owned(), ""),
        MIN_INTERNATIONAL_DIGITS.. => (with_plus, ", with `+` before the country code"),
        _ => (format!("={text}"), ", with `=` if it is no number but an extension"),
    };
    match NumberPattern::parse(&proposed) {
        Ok(_) if !proposed.starts_with('=') || text.len() < MIN_NATIONAL_DIGITS => {
            format!("put it in quotes{hint}: \"{proposed}\"")
        }
        _ => "put it in quotes, with `+` and the country code".to_owned(),
    }
}

/// Recognizes `[rule]` and `[test]`, which need double brackets.
fn single_brackets(text: &str, key: &Range<usize>) -> Option<&'static str> {
    let before = text.get(..key.start)?.trim_end_matches(' ');
    let line = before.rsplit('\n').next()?.trim_start();
    let key = text.get(key.clone())?;
    ["rule", "test"].into_iter().find(|known| *known == key && line == "[")
}

fn to_i64(integer: &toml::de::DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn json_number(value: &DeValue<'_>) -> Option<Value> {
    if let Some(integer) = value.as_integer() {
        return to_i64(integer).map(Value::from);
    }
    let float: f64 = value.as_float()?.as_str().parse().ok()?;
    serde_json::Number::from_f64(float).map(Value::Number)
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(number) if to_i64(number).is_none() => "an integer beyond 64 bits",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(float) if float.as_str().ends_with(['f', 'n']) => {
            "an infinite or invalid number"
        }
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(true) => "true",
        DeValue::Boolean(false) => "false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(list) if list.is_empty() => "an empty list",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
