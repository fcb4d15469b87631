//! The table as it is written: TOML in, values with their places out.
//!
//! Finds what is wrong with the form (a misspelt key, a number where a text is due), and leaves
//! what is wrong with the meaning to `check`.

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::report::{Mistake, Place, Report, SourceFile, nearest};

/// A value and the bytes of the file that say it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// What rules refer to, as one piece of a file says it.
#[derive(Default)]
pub(super) struct House {
    pub(super) zone: Option<At<String>>,
    /// None when there is no `[agents]`.
    pub(super) agents: Option<Vec<WrittenAgent>>,
    pub(super) lists: Vec<WrittenList>,
    pub(super) dates: Vec<WrittenDates>,
    pub(super) hours: Vec<WrittenHours>,
    /// `lists.vip`: what stands there cannot be read, which has been reported.
    pub(super) unreadable: Vec<String>,
    /// Rules in a form that a piece of rules cannot have: `rule = [{ … }]`.
    pub(super) rules: Vec<WrittenRule>,
    pub(super) tests: Vec<WrittenTest>,
}

pub(super) struct WrittenAgent {
    pub(super) name: At<String>,
    pub(super) ids: WrittenIds,
}

pub(super) enum WrittenIds {
    Everywhere(At<String>),
    /// `{ retell = "…", version = 3 }`: the keys are not looked at yet.
    Table(Vec<(At<String>, At<WrittenValue>)>),
    /// It was wrong, and has been reported.
    Unreadable,
}

pub(super) struct WrittenList {
    pub(super) name: At<String>,
    pub(super) numbers: Option<Vec<At<String>>>,
    pub(super) file: Option<At<String>>,
    pub(super) column: Option<At<String>>,
    /// Something was wrong in it, and has been reported.
    pub(super) flawed: bool,
}

pub(super) struct WrittenDates {
    pub(super) name: At<String>,
    pub(super) days: Vec<At<String>>,
}

pub(super) struct WrittenHours {
    pub(super) name: At<String>,
    pub(super) zone: Option<At<String>>,
    /// `mon-fri` and its times; the keys are not looked at yet.
    pub(super) week: Vec<(At<String>, Vec<At<String>>)>,
    pub(super) closed: Vec<At<String>>,
    pub(super) open: Vec<(At<String>, Vec<At<String>>)>,
}

#[derive(Default)]
pub(super) struct WrittenRule {
    /// The `[[rule]]` itself.
    pub(super) span: Range<usize>,
    pub(super) name: Option<At<String>>,
    /// There is a name of the wrong kind, which has been reported.
    pub(super) name_unreadable: bool,
    /// Something was wrong in it, and has been reported.
    pub(super) flawed: bool,
    pub(super) to: Vec<At<String>>,
    pub(super) from: Vec<At<String>>,
    pub(super) channel: Vec<At<String>>,
    pub(super) platform: Vec<At<String>>,
    pub(super) source: Vec<At<String>>,
    pub(super) hours: Vec<At<String>>,
    pub(super) dates: Vec<At<String>>,
    pub(super) wheres: Vec<WrittenWhere>,
    pub(super) disabled: bool,
    pub(super) outcomes: Vec<At<WrittenOutcome>>,
    /// A key was perhaps meant as an outcome, which has been reported.
    pub(super) outcome_misspelt: bool,
    pub(super) split_key: Option<At<String>>,
    pub(super) variables: Entries,
    pub(super) metadata: Option<Entries>,
    pub(super) agent_override: Option<Entries>,
    /// The first key that adds something.
    pub(super) adds_at: Option<Range<usize>>,
    pub(super) delay_ms: Option<At<i64>>,
}

/// What is looked at, and what it may be.
pub(super) type WrittenWhere = (At<String>, Vec<At<WrittenWanted>>);

pub(super) enum WrittenWanted {
    Text(String),
    Number(f64),
}

pub(super) enum WrittenOutcome {
    Agent(At<String>),
    Split(Vec<WrittenArm>),
    Reject(String),
    Keep,
    Continue,
    /// It was wrong, and has been reported.
    Unreadable,
}

pub(super) struct WrittenArm {
    pub(super) span: Range<usize>,
    pub(super) agent: Option<At<String>>,
    pub(super) percent: Option<At<f64>>,
    /// Something was wrong in it, and has been reported.
    pub(super) flawed: bool,
}

/// A `[[test]]`.
#[derive(Default)]
pub(super) struct WrittenTest {
    pub(super) span: Range<usize>,
    pub(super) name: Option<At<String>>,
    pub(super) flawed: bool,
    pub(super) from: Option<At<String>>,
    pub(super) to: Option<At<String>>,
    pub(super) channel: Option<At<String>>,
    pub(super) platform: Option<At<String>>,
    pub(super) source: Option<At<String>>,
    pub(super) at: Option<At<String>>,
    pub(super) sip: Entries,
    pub(super) expect: Option<WrittenExpectation>,
}

#[derive(Default)]
pub(super) struct WrittenExpectation {
    pub(super) span: Range<usize>,
    /// Something was wrong in it, and has been reported.
    pub(super) flawed: bool,
    pub(super) rule: Option<At<String>>,
    pub(super) agent: Option<At<String>>,
    pub(super) outcome: Option<At<String>>,
    /// True, or the reason.
    pub(super) reject: Option<At<Option<String>>>,
    pub(super) keep: Option<At<()>>,
    pub(super) variables: Entries,
    pub(super) metadata: Option<Entries>,
    pub(super) agent_override: Option<Entries>,
    pub(super) delay_ms: Option<At<i64>>,
}

/// What stands in an inline table, in the order in which it stands there.
pub(super) type Entries = Vec<(At<String>, At<WrittenValue>)>;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum WrittenValue {
    Text(String),
    /// A number or a boolean.
    Plain(Value),
    List(Vec<At<WrittenValue>>),
    Table(Vec<(At<String>, At<WrittenValue>)>),
}

const TABLE_KEYS: [&str; 7] = ["zone", "agents", "lists", "dates", "hours", "rule", "test"];
const LIST_KEYS: [&str; 3] = ["numbers", "file", "column"];
const DATES_KEYS: [&str; 1] = ["days"];
const RULE_KEYS: [&str; 20] = [
    "name",
    "to",
    "from",
    "channel",
    "platform",
    "source",
    "hours",
    "dates",
    "where",
    "enabled",
    "agent",
    "split",
    "split_key",
    "reject",
    "keep",
    "continue",
    "variables",
    "metadata",
    "agent_override",
    "delay_ms",
];
pub(super) const OUTCOMES: [&str; 5] = ["agent", "split", "reject", "keep", "continue"];
const ARM_KEYS: [&str; 2] = ["agent", "percent"];
const TEST_KEYS: [&str; 9] =
    ["name", "from", "to", "channel", "platform", "source", "at", "sip", "expect"];
const EXPECT_KEYS: [&str; 9] = [
    "rule",
    "agent",
    "outcome",
    "reject",
    "keep",
    "variables",
    "metadata",
    "agent_override",
    "delay_ms",
];

/// Reads a piece of a file that may hold everything; none when it is no TOML. Mistakes go into the
/// report, and what can be read is returned all the same.
pub(super) fn house(
    file: &Arc<SourceFile>,
    span: &Range<usize>,
    report: &mut Report,
) -> Option<House> {
    let mut reader = Reader { file, base: span.start, report };
    let document = reader.document(span)?;
    let mut house = House::default();
    for (key, value) in document.get_ref() {
        let name = key.get_ref().as_ref();
        match name {
            "zone" => house.zone = reader.text(name, value),
            "agents" => house.agents = reader.table(name, value).map(|table| reader.agents(table)),
            "lists" => {
                house.lists = reader.named_tables(key, value, Reader::list, &mut house.unreadable)
            }
            "dates" => {
                house.dates = reader.named_tables(key, value, Reader::dates, &mut house.unreadable)
            }
            "hours" => {
                house.hours = reader.named_tables(key, value, Reader::hours, &mut house.unreadable)
            }
            "rule" => house.rules = reader.list_of(name, value, Reader::rule),
            "test" => house.tests = reader.list_of(name, value, Reader::test),
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
pub(super) type ReadPiece<T> = fn(&Arc<SourceFile>, &Range<usize>, &mut Report) -> Option<Vec<T>>;

/// Reads a piece of rules; none when it is no TOML.
pub(super) fn rules(
    file: &Arc<SourceFile>,
    span: &Range<usize>,
    report: &mut Report,
) -> Option<Vec<WrittenRule>> {
    let mut reader = Reader { file, base: span.start, report };
    let document = reader.document(span)?;
    let value = document.get_ref().get("rule")?;
    Some(reader.list_of("rule", value, Reader::rule))
}

/// Reads a piece of tests; none when it is no TOML.
pub(super) fn tests(
    file: &Arc<SourceFile>,
    span: &Range<usize>,
    report: &mut Report,
) -> Option<Vec<WrittenTest>> {
    let mut reader = Reader { file, base: span.start, report };
    let document = reader.document(span)?;
    let value = document.get_ref().get("test")?;
    Some(reader.list_of("test", value, Reader::test))
}

type Item<'i> = Spanned<DeValue<'i>>;

struct Reader<'r> {
    file: &'r Arc<SourceFile>,
    /// Where in the file the piece begins.
    base: usize,
    report: &'r mut Report,
}

impl<'r> Reader<'r> {
    fn document(&mut self, span: &Range<usize>) -> Option<Spanned<DeTable<'r>>> {
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

    fn at<T>(&self, value: T, span: &Range<usize>) -> At<T> {
        At { value, span: self.in_file(span) }
    }

    fn named(&self, key: &Spanned<DeString<'_>>) -> At<String> {
        self.at(key.get_ref().to_string(), &key.span())
    }

    fn error(&mut self, code: &'static str, span: &Range<usize>, message: String) -> &mut Mistake {
        let place = Place { file: self.file.clone(), span: self.in_file(span) };
        self.report.error(code, Some(place), message)
    }

    fn unknown(&mut self, key: &Spanned<DeString<'_>>, known: &[&str], of: &str) {
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

    fn wrong_kind(&mut self, key: &str, value: &Item<'_>, wanted: &str) -> &mut Mistake {
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

    fn text(&mut self, key: &str, value: &Item<'_>) -> Option<At<String>> {
        let Some(text) = value.get_ref().as_str() else {
            self.no_text(key, value, "a text");
            return None;
        };
        Some(self.at(text.to_owned(), &value.span()))
    }

    /// A text, or a list of texts.
    fn texts(&mut self, key: &str, value: &Item<'_>) -> Vec<At<String>> {
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

    fn integer(&mut self, key: &str, value: &Item<'_>) -> Option<At<i64>> {
        let number = value.get_ref().as_integer().and_then(to_i64);
        if number.is_none() {
            self.wrong_kind(key, value, "a whole number");
        }
        Some(self.at(number?, &value.span()))
    }

    fn agents(&mut self, table: &DeTable<'_>) -> Vec<WrittenAgent> {
        let read = table.iter().map(|(key, value)| {
            let item = value.get_ref();
            let ids = if let Some(id) = item.as_str() {
                WrittenIds::Everywhere(self.at(id.to_owned(), &value.span()))
            } else if let Some(table) = item.as_table() {
                WrittenIds::Table(self.entries(table))
            } else {
                self.wrong_kind(key.get_ref(), value, "an id, or a table of ids by platform");
                WrittenIds::Unreadable
            };
            WrittenAgent { name: self.named(key), ids }
        });
        read.collect()
    }

    /// Tables that the operator names: `[lists.vip]`.
    fn named_tables<T>(
        &mut self,
        key: &Spanned<DeString<'_>>,
        value: &Item<'_>,
        read: fn(&mut Self, At<String>, &DeTable<'_>) -> T,
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

    fn list(&mut self, name: At<String>, table: &DeTable<'_>) -> WrittenList {
        let before = self.report.errors();
        let (mut numbers, mut file, mut column) = (None, None, None);
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "numbers" if is_empty_list(value) => numbers = Some(Vec::new()),
                "numbers" => numbers = Some(self.texts("numbers", value)),
                "file" => file = self.text("file", value),
                "column" => column = self.text("column", value),
                _ => self.unknown(key, &LIST_KEYS, "a list"),
            }
        }
        WrittenList { name, numbers, file, column, flawed: self.report.errors() > before }
    }

    fn dates(&mut self, name: At<String>, table: &DeTable<'_>) -> WrittenDates {
        let before = self.report.errors();
        let mut days = Vec::new();
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "days" if is_empty_list(value) => {}
                "days" => days = self.texts("days", value),
                _ => self.unknown(key, &DATES_KEYS, "a table of dates"),
            }
        }
        if days.is_empty() && self.report.errors() == before {
            let message = format!("dates `{}` have no `days`", name.value);
            self.error_at("no-days", &name.span, message)
                .help("write days = [\"01-01\", \"last mon of may\", \"2026-12-24\"]");
        }
        WrittenDates { name, days }
    }

    /// An error at a span of the file.
    fn error_at(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: String,
    ) -> &mut Mistake {
        let place = Place { file: self.file.clone(), span: span.clone() };
        self.report.error(code, Some(place), message)
    }

    fn hours(&mut self, name: At<String>, table: &DeTable<'_>) -> WrittenHours {
        let mut hours = WrittenHours {
            name,
            zone: None,
            week: Vec::new(),
            closed: Vec::new(),
            open: Vec::new(),
        };
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "zone" => hours.zone = self.text("zone", value),
                "closed" if is_empty_list(value) => {}
                "closed" => hours.closed = self.texts("closed", value),
                "open" => {
                    for (date, value) in self.table("open", value).into_iter().flatten() {
                        let times = self.times(date.get_ref(), value);
                        hours.open.push((self.named(date), times));
                    }
                }
                days => {
                    let times = self.times(days, value);
                    hours.week.push((self.named(key), times));
                }
            }
        }
        hours
    }

    fn times(&mut self, days: &str, value: &Item<'_>) -> Vec<At<String>> {
        if is_empty_list(value) {
            let message = format!("`{days}` has no times");
            self.error("empty-list", &value.span(), message)
                .help("a weekday that is left out is closed, other days stand in `closed`");
            return Vec::new();
        }
        self.texts(days, value)
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

    fn rule(&mut self, span: &Range<usize>, table: &DeTable<'_>) -> WrittenRule {
        let before = self.report.errors();
        let mut rule = WrittenRule { span: self.in_file(span), ..WrittenRule::default() };
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            match name {
                "name" => {
                    rule.name = self.text(name, value);
                    rule.name_unreadable = rule.name.is_none();
                }
                "to" => rule.to = self.texts(name, value),
                "from" => rule.from = self.texts(name, value),
                "channel" => rule.channel = self.texts(name, value),
                "platform" => rule.platform = self.texts(name, value),
                "source" => rule.source = self.texts(name, value),
                "hours" => rule.hours = self.texts(name, value),
                "dates" => rule.dates = self.texts(name, value),
                "where" => rule.wheres = self.wheres(value),
                "enabled" => rule.disabled = self.boolean(name, value) == Some(false),
                "agent" | "split" | "reject" | "keep" | "continue" => {
                    let outcome = self.outcome(name, value);
                    let outcome = self.at(outcome, &key.span());
                    rule.outcomes.push(outcome);
                }
                "split_key" => rule.split_key = self.text(name, value),
                "variables" => {
                    rule.variables = self.object(name, value).unwrap_or_default();
                }
                "metadata" => rule.metadata = self.object(name, value),
                "agent_override" => rule.agent_override = self.object(name, value),
                "delay_ms" => rule.delay_ms = self.integer(name, value),
                _ => {
                    self.unknown(key, &RULE_KEYS, "a rule");
                    let meant = meant(name, &RULE_KEYS);
                    rule.outcome_misspelt |= meant.is_some_and(|it| OUTCOMES.contains(&it));
                }
            }
            if let "variables" | "metadata" | "agent_override" = name {
                let at = self.in_file(&key.span());
                rule.adds_at = rule.adds_at.filter(|first| first.start < at.start).or(Some(at));
            }
        }
        rule.flawed = self.report.errors() > before;
        rule
    }

    fn wheres(&mut self, value: &Item<'_>) -> Vec<WrittenWhere> {
        let mut wheres = Vec::new();
        for (name, value) in self.table("where", value).into_iter().flatten() {
            self.conditions(self.named(name), value, &mut wheres);
        }
        wheres
    }

    /// `"stores.tier" = …`; without the quotes TOML takes it for a table in a table, and it means
    /// the same.
    fn conditions(&mut self, name: At<String>, value: &Item<'_>, wheres: &mut Vec<WrittenWhere>) {
        for (deeper, value) in value.get_ref().as_table().into_iter().flatten() {
            let deeper = self.named(deeper);
            let value_of = format!("{}.{}", name.value, deeper.value);
            let whole = At { value: value_of, span: name.span.start..deeper.span.end };
            self.conditions(whole, value, wheres);
        }
        if let Some(table) = value.get_ref().as_table() {
            if table.is_empty() {
                self.wrong_kind(&name.value, value, "a text, a number, or a list of them");
            }
            return;
        }
        let one = std::slice::from_ref(value);
        let list = value.get_ref().as_array().map_or(one, |list| list);
        if list.is_empty() {
            let message = format!("`{}` is an empty list, which nothing is", name.value);
            self.error("empty-list", &value.span(), message);
        }
        let wanted = list.iter().filter_map(|item| self.wanted(&name.value, item)).collect();
        wheres.push((name, wanted));
    }

    fn wanted(&mut self, name: &str, value: &Item<'_>) -> Option<At<WrittenWanted>> {
        let number = || plain_number(value.get_ref())?.as_f64();
        let wanted = match value.get_ref() {
            DeValue::String(text) => Some(WrittenWanted::Text(text.to_string())),
            DeValue::Boolean(boolean) => Some(WrittenWanted::Text(boolean.to_string())),
            DeValue::Integer(_) | DeValue::Float(_) => number().map(WrittenWanted::Number),
            DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
        };
        if wanted.is_none() {
            self.wrong_kind(name, value, "a text, a number, or a list of them");
        }
        Some(self.at(wanted?, &value.span()))
    }

    fn arms(&mut self, list: &[Item<'_>]) -> WrittenOutcome {
        if let Some(other) = list.iter().find(|item| !item.get_ref().is_table()) {
            self.wrong_kind("split", other, "a list of { agent = …, percent = … }");
            return WrittenOutcome::Unreadable;
        }
        let tables = list.iter().filter_map(|item| Some((item.span(), item.get_ref().as_table()?)));
        WrittenOutcome::Split(tables.map(|(span, table)| self.arm(&span, table)).collect())
    }

    fn arm(&mut self, span: &Range<usize>, table: &DeTable<'_>) -> WrittenArm {
        let before = self.report.errors();
        let span = self.in_file(span);
        let mut arm = WrittenArm { span, agent: None, percent: None, flawed: false };
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "agent" => arm.agent = self.text("agent", value),
                "percent" => {
                    let number = plain_number(value.get_ref()).and_then(|number| number.as_f64());
                    match number {
                        Some(number) => arm.percent = Some(self.at(number, &value.span())),
                        None => {
                            self.wrong_kind("percent", value, "a number")
                                .help("write percent = 90");
                        }
                    }
                }
                _ => self.unknown(key, &ARM_KEYS, "an arm of a split"),
            }
        }
        arm.flawed = self.report.errors() > before;
        arm
    }

    fn test(&mut self, span: &Range<usize>, table: &DeTable<'_>) -> WrittenTest {
        let before = self.report.errors();
        let mut test = WrittenTest { span: self.in_file(span), ..WrittenTest::default() };
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            match name {
                "name" => test.name = self.text(name, value),
                "from" => test.from = self.text(name, value),
                "to" => test.to = self.text(name, value),
                "channel" => test.channel = self.text(name, value),
                "platform" => test.platform = self.text(name, value),
                "source" => test.source = self.text(name, value),
                "at" => test.at = self.moment(name, value),
                "sip" => test.sip = self.object(name, value).unwrap_or_default(),
                "expect" => test.expect = self.expectation(value),
                _ => self.unknown(key, &TEST_KEYS, "a test"),
            }
        }
        test.flawed = self.report.errors() > before;
        test
    }

    /// A time, as a text or as TOML has it.
    fn moment(&mut self, key: &str, value: &Item<'_>) -> Option<At<String>> {
        match value.get_ref().as_datetime() {
            Some(at) => Some(self.at(at.to_string(), &value.span())),
            None => self.text(key, value),
        }
    }

    fn expectation(&mut self, value: &Item<'_>) -> Option<WrittenExpectation> {
        let table = self.table("expect", value)?;
        let span = self.in_file(&value.span());
        let before = self.report.errors();
        let mut expect = WrittenExpectation { span, ..WrittenExpectation::default() };
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            match name {
                "rule" => expect.rule = self.text(name, value),
                "agent" => expect.agent = self.text(name, value),
                "outcome" => expect.outcome = self.text(name, value),
                "reject" => {
                    if let WrittenOutcome::Reject(reason) = self.outcome(name, value) {
                        let reason = Some(reason).filter(|reason| !reason.is_empty());
                        expect.reject = Some(self.at(reason, &value.span()));
                    }
                }
                "keep" => match self.outcome(name, value) {
                    WrittenOutcome::Keep => expect.keep = Some(self.at((), &value.span())),
                    WrittenOutcome::Agent(_)
                    | WrittenOutcome::Split(_)
                    | WrittenOutcome::Reject(_)
                    | WrittenOutcome::Continue
                    | WrittenOutcome::Unreadable => expect.keep = None,
                },
                "variables" => expect.variables = self.object(name, value).unwrap_or_default(),
                "metadata" => expect.metadata = self.object(name, value),
                "agent_override" => expect.agent_override = self.object(name, value),
                "delay_ms" => expect.delay_ms = self.integer(name, value),
                _ => self.unknown(key, &EXPECT_KEYS, "an expectation"),
            }
        }
        expect.flawed = self.report.errors() > before;
        Some(expect)
    }

    fn outcome(&mut self, key: &str, value: &Item<'_>) -> WrittenOutcome {
        match (key, value.get_ref()) {
            ("agent", DeValue::String(agent)) => {
                WrittenOutcome::Agent(self.at(agent.to_string(), &value.span()))
            }
            ("split", DeValue::Array(list)) if !list.is_empty() => self.arms(list),
            ("reject", DeValue::String(reason)) => WrittenOutcome::Reject(reason.to_string()),
            ("reject", DeValue::Boolean(true)) => WrittenOutcome::Reject(String::new()),
            ("keep", DeValue::Boolean(true)) => WrittenOutcome::Keep,
            ("continue", DeValue::Boolean(true)) => WrittenOutcome::Continue,
            _ => {
                let wanted = match key {
                    "agent" => "the name of an agent",
                    "split" => "a list of { agent = …, percent = … }",
                    "reject" => "true, or the reason",
                    _ => "true (or left out)",
                };
                self.wrong_kind(key, value, wanted);
                WrittenOutcome::Unreadable
            }
        }
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

    fn value(&mut self, key: &str, value: &Item<'_>) -> Option<At<WrittenValue>> {
        let written = match value.get_ref() {
            DeValue::String(text) => WrittenValue::Text(text.to_string()),
            DeValue::Datetime(at) => WrittenValue::Text(at.to_string()),
            DeValue::Boolean(boolean) => WrittenValue::Plain(Value::Bool(*boolean)),
            DeValue::Array(list) => {
                WrittenValue::List(list.iter().filter_map(|item| self.value(key, item)).collect())
            }
            DeValue::Table(table) => WrittenValue::Table(self.entries(table)),
            DeValue::Integer(_) | DeValue::Float(_) => {
                let number = plain_number(value.get_ref());
                if number.is_none() {
                    self.wrong_kind(key, value, "a number that JSON can hold");
                }
                WrittenValue::Plain(number?)
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
