//! The table as it is written: TOML in, values with their places out.
//!
//! Finds what is wrong with the form (a misspelt key, a number where a text is due), and leaves
//! what is wrong with the meaning to `check`.

mod definitions;
mod rule;
mod test;

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;
use toml::de::{DeString, DeTable, DeValue};

use super::raw::{Entries, RawDefinitions, RawRule, RawTest, RawValue, Spanned};
use crate::diagnostics::{Diagnostic, Location, Report, SourceFile, nearest};

pub(crate) use rule::OUTCOMES;
use test::{EXPECT_KEYS, TEST_KEYS};

const TABLE_KEYS: [&str; 7] = ["zone", "agents", "lists", "dates", "hours", "rule", "test"];

/// Reads a piece of a file that may hold everything; none when it is no TOML. Mistakes go into the
/// report, and what can be read is returned all the same.
pub(crate) fn house(
    file: &Arc<SourceFile>,
    span: &Range<usize>,
    report: &mut Report,
) -> Option<RawDefinitions> {
    let mut reader = TomlReader { file, base: span.start, report };
    let document = reader.document(span)?;
    let mut house = RawDefinitions::default();
    for (key, value) in document.get_ref() {
        let name = key.get_ref().as_ref();
        match name {
            "zone" => house.zone = reader.text(name, value),
            "agents" => house.agents = reader.table(name, value).map(|table| reader.agents(table)),
            "lists" => {
                house.lists =
                    reader.named_tables(key, value, TomlReader::list, &mut house.unreadable)
            }
            "dates" => {
                house.dates =
                    reader.named_tables(key, value, TomlReader::dates, &mut house.unreadable)
            }
            "hours" => {
                house.hours =
                    reader.named_tables(key, value, TomlReader::hours, &mut house.unreadable)
            }
            "rule" => house.rules = reader.list_of(name, value, TomlReader::rule),
            "test" => house.tests = reader.list_of(name, value, TomlReader::test),
            _ => {
                reader.unknown(key, &TABLE_KEYS, "a table");
                let inside = value.get_ref().as_table().into_iter().flatten();
                let it = meant(name, &TABLE_KEYS).unwrap_or(name);
                let paths = inside.map(|(inner, _)| format!("{it}.{}", inner.get_ref()));
                house.unreadable.extend(paths);
            }
        }
    }
    Some(house)
}

/// Reads a piece of a file: its parts, or none when it is no TOML.
pub(crate) type ReadPiece<T> = fn(&Arc<SourceFile>, &Range<usize>, &mut Report) -> Option<Vec<T>>;

/// Reads a piece of rules; none when it is no TOML.
pub(crate) fn rules(
    file: &Arc<SourceFile>,
    span: &Range<usize>,
    report: &mut Report,
) -> Option<Vec<RawRule>> {
    let mut reader = TomlReader { file, base: span.start, report };
    let document = reader.document(span)?;
    let value = document.get_ref().get("rule")?;
    Some(reader.list_of("rule", value, TomlReader::rule))
}

/// Reads a piece of tests; none when it is no TOML.
pub(crate) fn tests(
    file: &Arc<SourceFile>,
    span: &Range<usize>,
    report: &mut Report,
) -> Option<Vec<RawTest>> {
    let mut reader = TomlReader { file, base: span.start, report };
    let document = reader.document(span)?;
    let value = document.get_ref().get("test")?;
    Some(reader.list_of("test", value, TomlReader::test))
}

type Item<'i> = toml::Spanned<DeValue<'i>>;

struct TomlReader<'r> {
    file: &'r Arc<SourceFile>,
    /// Where in the file the piece begins.
    base: usize,
    report: &'r mut Report,
}

impl<'r> TomlReader<'r> {
    fn document(&mut self, span: &Range<usize>) -> Option<toml::Spanned<DeTable<'r>>> {
        let text = &self.file.text[span.clone()];
        let (document, errors) = DeTable::parse_recoverable(text);
        if let Some(start) = unclosed_text(text, &errors) {
            let message = "a text in three quotes begins here and does not end".to_owned();
            self.error("syntax", &(start..start + 3), message);
            return None;
        }
        let mut told = None;
        for error in &errors {
            let span = error.span().unwrap_or_default();
            let line = text[..span.start.min(text.len())].matches('\n').count();
            // What else is said of the line mostly follows from the first.
            if told.replace(line) == Some(line) {
                continue;
            }
            if let Some(key) = single_brackets(text, &span) {
                self.error("syntax", &span, format!("[{key}] stands here for the second time"))
                    .help(format!("write [[{key}]], in double brackets"));
                break;
            }
            self.error("syntax", &span, format!("this is not TOML: {}", error.message()));
        }
        errors.is_empty().then_some(document)
    }

    /// A span of the piece as one of the file.
    fn in_file(&self, span: &Range<usize>) -> Range<usize> {
        self.base + span.start..self.base + span.end
    }

    fn at<T>(&self, value: T, span: &Range<usize>) -> Spanned<T> {
        Spanned { value, span: self.in_file(span) }
    }

    fn named(&self, key: &toml::Spanned<DeString<'_>>) -> Spanned<String> {
        self.at(key.get_ref().to_string(), &key.span())
    }

    fn error(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: String,
    ) -> &mut Diagnostic {
        let place = Location { file: self.file.clone(), span: self.in_file(span) };
        self.report.error(code, Some(place), message)
    }

    fn unknown(&mut self, key: &toml::Spanned<DeString<'_>>, known: &[&str], of: &str) {
        let name: &str = key.get_ref();
        let near = meant(name, known).map(|known| format!("did you mean `{known}`?"));
        let elsewhere = || {
            let help = if known == TEST_KEYS && EXPECT_KEYS.contains(&name) {
                format!("what has to become of the call stands in expect = {{ {name} = … }}")
            } else if known != TABLE_KEYS && TABLE_KEYS.contains(&name) {
                format!("`{name}` belongs to the table itself, outside of rules and tests")
            } else {
                return None;
            };
            Some(help)
        };
        let help = near.or_else(elsewhere);
        let all = format!("{of} has {}", known.join(", "));
        let mistake = self.error("unknown-key", &key.span(), format!("unknown key `{name}`"));
        mistake.help(all).maybe_help(help);
    }

    fn wrong_kind(&mut self, key: &str, value: &Item<'_>, wanted: &str) -> &mut Diagnostic {
        let message = format!("`{key}` has to be {wanted}, this is {}", kind(value.get_ref()));
        self.error("wrong-kind", &value.span(), message)
    }

    /// Something else stands where a text is due; a number was perhaps meant as one.
    fn no_text(&mut self, key: &str, value: &Item<'_>, wanted: &str) {
        let as_written = &self.file.text[self.in_file(&value.span())];
        let is_one_word = matches!(
            value.get_ref(),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_)
        );
        let help = is_one_word.then(|| format!("put it in quotes: \"{as_written}\""));
        self.wrong_kind(key, value, wanted).maybe_help(help);
    }

    fn table<'t, 'i>(&mut self, key: &str, value: &'t Item<'i>) -> Option<&'t DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_kind(key, value, "a table");
        }
        table
    }

    fn text(&mut self, key: &str, value: &Item<'_>) -> Option<Spanned<String>> {
        let Some(text) = value.get_ref().as_str() else {
            self.no_text(key, value, "a text");
            return None;
        };
        Some(self.at(text.to_owned(), &value.span()))
    }

    /// A text, or a list of texts.
    fn texts(&mut self, key: &str, value: &Item<'_>) -> Vec<Spanned<String>> {
        if let Some(list) = value.get_ref().as_array() {
            if list.is_empty() {
                let message = format!("`{key}` is an empty list, which would fit nobody");
                let help = "leave the key out to match everybody";
                self.error("empty-list", &value.span(), message).help(help);
            }
            return list.iter().filter_map(|item| self.text(key, item)).collect();
        }
        if value.get_ref().is_str() {
            return self.text(key, value).into_iter().collect();
        }
        self.no_text(key, value, "a text or a list of texts");
        Vec::new()
    }

    fn boolean(&mut self, key: &str, value: &Item<'_>) -> Option<bool> {
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            self.wrong_kind(key, value, "true or false");
        }
        boolean
    }

    fn integer(&mut self, key: &str, value: &Item<'_>) -> Option<Spanned<i64>> {
        let number = value.get_ref().as_integer().and_then(to_i64);
        if number.is_none() {
            self.wrong_kind(key, value, "a whole number");
        }
        Some(self.at(number?, &value.span()))
    }

    /// Tables that the operator names: `[lists.vip]`.
    fn named_tables<T>(
        &mut self,
        key: &toml::Spanned<DeString<'_>>,
        value: &Item<'_>,
        read: fn(&mut Self, Spanned<String>, &DeTable<'_>) -> T,
        unreadable: &mut Vec<String>,
    ) -> Vec<T> {
        let key = key.get_ref();
        let mut tables = Vec::new();
        for (name, value) in self.table(key, value).into_iter().flatten() {
            let path = format!("{key}.{}", name.get_ref());
            if let Some(table) = value.get_ref().as_table() {
                let name = self.named(name);
                tables.push(read(self, name, table));
                continue;
            }
            let example = match &**key {
                "lists" => "numbers = [\"+12137771234\"]",
                "dates" => "days = [\"01-01\"]",
                _ => "mon-fri = \"09:00-17:00\"",
            };
            self.wrong_kind(&path, value, "a table")
                .help(format!("write [{path}], and below it {example}"));
            unreadable.push(path);
        }
        tables
    }

    /// An error at a span of the file.
    fn error_at(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: String,
    ) -> &mut Diagnostic {
        let place = Location { file: self.file.clone(), span: span.clone() };
        self.report.error(code, Some(place), message)
    }

    /// `[[rule]]` or `[[test]]`, however often.
    fn list_of<T>(
        &mut self,
        key: &str,
        value: &Item<'_>,
        read: fn(&mut Self, &Range<usize>, &DeTable<'_>) -> T,
    ) -> Vec<T> {
        let list = value.get_ref().as_array();
        let Some(list) = list.filter(|list| list.iter().all(|item| item.get_ref().is_table()))
        else {
            let message = format!("`{key}` has to be a list of tables");
            self.error("wrong-kind", &value.span(), message)
                .help(format!("write [[{key}]], in double brackets"));
            return Vec::new();
        };
        let tables = list.iter().filter_map(|item| Some((item.span(), item.get_ref().as_table()?)));
        tables.map(|(span, table)| read(self, &span, table)).collect()
    }

    fn object(&mut self, key: &str, value: &Item<'_>) -> Option<Entries> {
        self.table(key, value).map(|table| self.entries(table))
    }

    fn entries(&mut self, table: &DeTable<'_>) -> Entries {
        table
            .iter()
            .filter_map(|(key, value)| {
                let value = self.value(key.get_ref(), value)?;
                Some((self.named(key), value))
            })
            .collect()
    }

    fn value(&mut self, key: &str, value: &Item<'_>) -> Option<Spanned<RawValue>> {
        let written = match value.get_ref() {
            DeValue::String(text) => RawValue::Text(text.to_string()),
            DeValue::Datetime(at) => RawValue::Text(at.to_string()),
            DeValue::Boolean(boolean) => RawValue::Plain(Value::Bool(*boolean)),
            DeValue::Array(list) => {
                RawValue::List(list.iter().filter_map(|item| self.value(key, item)).collect())
            }
            DeValue::Table(table) => RawValue::Table(self.entries(table)),
            DeValue::Integer(_) | DeValue::Float(_) => {
                let number = plain_number(value.get_ref());
                if number.is_none() {
                    self.wrong_kind(key, value, "a number that JSON can hold");
                }
                RawValue::Plain(number?)
            }
        };
        Some(self.at(written, &value.span()))
    }
}

/// The key that was perhaps meant: `form`, `from_number`, `timezone`.
fn meant<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    nearest(name, known.iter().copied()).or_else(|| {
        let is_in_it = |known: &&str| {
            let ends_so = known.len() > 3 && name.ends_with(known);
            ends_so || name.split(['_', '-']).any(|word| word == *known)
        };
        known.iter().copied().find(is_in_it)
    })
}

fn is_empty_list(value: &Item<'_>) -> bool {
    value.get_ref().as_array().is_some_and(|list| list.is_empty())
}

/// Where the text in three quotes begins that goes on to the end.
fn unclosed_text(text: &str, errors: &[toml::de::Error]) -> Option<usize> {
    let goes_on = |error: &&toml::de::Error| {
        let at_the_end = error.span().is_some_and(|span| text[span.start..].trim().is_empty());
        at_the_end && error.message().starts_with("invalid multi-line")
    };
    let error = errors.iter().find(goes_on)?;
    let quotes = if error.message().contains("literal") { "'''" } else { "\"\"\"" };
    text.rfind(quotes)
}

/// `[rule]` or `[test]`, where each table has double brackets.
fn single_brackets(text: &str, key: &Range<usize>) -> Option<&'static str> {
    let before = text.get(..key.start)?.trim_end_matches(' ');
    let line = before.rsplit('\n').next()?.trim_start();
    let key = text.get(key.clone())?;
    ["rule", "test"].into_iter().find(|known| *known == key && line == "[")
}

fn to_i64(integer: &toml::de::DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn plain_number(value: &DeValue<'_>) -> Option<Value> {
    if let Some(integer) = value.as_integer() {
        return to_i64(integer).map(Value::from);
    }
    let float: f64 = value.as_float()?.as_str().parse().ok()?;
    serde_json::Number::from_f64(float).map(Value::Number)
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(number) if to_i64(number).is_none() => "a number beyond all bounds",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(float) if float.as_str().ends_with(['f', 'n']) => "no number at all",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(true) => "true",
        DeValue::Boolean(false) => "false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(list) if list.is_empty() => "an empty list",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
