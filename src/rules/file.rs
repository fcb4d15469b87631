//! The table as it is written: TOML in, values with their places out.
//!
//! Finds what is wrong with the form (a misspelt key, a number where a text is due), and leaves
//! what is wrong with the meaning to `check`.

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::report::{Place, Report, SourceFile, did_you_mean};

/// A value and the bytes of the file that say it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// A whole file.
pub(super) struct Written {
    pub(super) file: Arc<SourceFile>,
    /// None when there is no `[agents]`: then rules name raw ids.
    pub(super) agents: Option<Vec<WrittenAgent>>,
    /// None when they could not be read, which has been reported.
    pub(super) rules: Option<Vec<WrittenRule>>,
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

#[derive(Default)]
pub(super) struct WrittenRule {
    /// The `[[rule]]` itself.
    pub(super) span: Range<usize>,
    pub(super) name: Option<At<String>>,
    /// There is a name of the wrong kind, which has been reported.
    pub(super) name_unreadable: bool,
    pub(super) to: Vec<At<String>>,
    pub(super) from: Vec<At<String>>,
    pub(super) channel: Vec<At<String>>,
    pub(super) platform: Vec<At<String>>,
    pub(super) source: Vec<At<String>>,
    pub(super) disabled: bool,
    pub(super) outcomes: Vec<At<WrittenOutcome>>,
    pub(super) variables: Entries,
    pub(super) metadata: Option<Entries>,
    pub(super) agent_override: Option<Entries>,
    pub(super) delay_ms: Option<At<i64>>,
}

pub(super) enum WrittenOutcome {
    Agent(At<String>),
    Reject(String),
    Keep,
    Continue,
    /// It was wrong, and has been reported.
    Unreadable,
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

const TABLE_KEYS: [&str; 2] = ["agents", "rule"];
const RULE_KEYS: [&str; 15] = [
    "name",
    "to",
    "from",
    "channel",
    "platform",
    "source",
    "enabled",
    "agent",
    "reject",
    "keep",
    "continue",
    "variables",
    "metadata",
    "agent_override",
    "delay_ms",
];

/// Reads a table. Mistakes go into the report, and what can be read is returned all the same.
pub(super) fn read(file: &Arc<SourceFile>, report: &mut Report) -> Written {
    let mut written = Written { file: file.clone(), agents: None, rules: None };
    let (document, errors) = DeTable::parse_recoverable(&file.text);
    let mut reader = Reader { file, report };
    for error in &errors {
        let span = error.span().unwrap_or_default();
        reader.error("syntax", &span, format!("this is not TOML: {}", error.message()));
    }
    if !errors.is_empty() {
        return written;
    }
    written.rules = Some(Vec::new());
    for (key, value) in document.get_ref() {
        match key.get_ref().as_ref() {
            "agents" => {
                written.agents = reader.table("agents", value).map(|table| reader.agents(table))
            }
            "rule" => written.rules = reader.rules(value),
            _ => reader.unknown(key, &TABLE_KEYS, "a table"),
        }
    }
    written
}

type Item<'i> = Spanned<DeValue<'i>>;

struct Reader<'r> {
    file: &'r Arc<SourceFile>,
    report: &'r mut Report,
}

impl Reader<'_> {
    fn error(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: String,
    ) -> &mut crate::report::Mistake {
        let place = Place { file: self.file.clone(), span: span.clone() };
        self.report.error(code, Some(place), message)
    }

    fn unknown(&mut self, key: &Spanned<DeString<'_>>, known: &[&str], of: &str) {
        let name = key.get_ref();
        let help = did_you_mean(name, known.iter().copied());
        let all = format!("{of} has {}", known.join(", "));
        let mistake = self.error("unknown-key", &key.span(), format!("unknown key `{name}`"));
        mistake.help(all).maybe_help(help);
    }

    fn wrong_kind(&mut self, key: &str, value: &Item<'_>, wanted: &str) {
        let message = format!("`{key}` has to be {wanted}, this is {}", kind(value.get_ref()));
        self.error("wrong-kind", &value.span(), message);
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
            self.wrong_kind(key, value, "a text");
            return None;
        };
        Some(At { value: text.to_owned(), span: value.span() })
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
        self.wrong_kind(key, value, "a text or a list of texts");
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
        Some(At { value: number?, span: value.span() })
    }

    fn agents(&mut self, table: &DeTable<'_>) -> Vec<WrittenAgent> {
        let read = table.iter().map(|(key, value)| {
            let item = value.get_ref();
            let ids = if let Some(id) = item.as_str() {
                WrittenIds::Everywhere(At { value: id.to_owned(), span: value.span() })
            } else if let Some(table) = item.as_table() {
                WrittenIds::Table(self.entries(table))
            } else {
                self.wrong_kind(key.get_ref(), value, "an id, or a table of ids by platform");
                WrittenIds::Unreadable
            };
            WrittenAgent { name: named(key), ids }
        });
        read.collect()
    }

    fn rules(&mut self, value: &Item<'_>) -> Option<Vec<WrittenRule>> {
        let list = value.get_ref().as_array();
        let Some(list) = list.filter(|list| list.iter().all(|item| item.get_ref().is_table()))
        else {
            self.error("wrong-kind", &value.span(), "`rule` has to be a list of tables".to_owned())
                .help("write [[rule]], in double brackets");
            return None;
        };
        let tables = list.iter().filter_map(|item| Some((item.span(), item.get_ref().as_table()?)));
        Some(tables.map(|(span, table)| self.rule(span, table)).collect())
    }

    fn rule(&mut self, span: Range<usize>, table: &DeTable<'_>) -> WrittenRule {
        let mut rule = WrittenRule { span, ..WrittenRule::default() };
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
                "enabled" => rule.disabled = self.boolean(name, value) == Some(false),
                "agent" | "reject" | "keep" | "continue" => {
                    let outcome = self.outcome(name, value);
                    rule.outcomes.push(At { value: outcome, span: key.span() });
                }
                "variables" => {
                    rule.variables = self.object(name, value).unwrap_or_default();
                }
                "metadata" => rule.metadata = self.object(name, value),
                "agent_override" => rule.agent_override = self.object(name, value),
                "delay_ms" => rule.delay_ms = self.integer(name, value),
                _ => self.unknown(key, &RULE_KEYS, "a rule"),
            }
        }
        rule
    }

    fn outcome(&mut self, key: &str, value: &Item<'_>) -> WrittenOutcome {
        match (key, value.get_ref()) {
            ("agent", DeValue::String(agent)) => {
                WrittenOutcome::Agent(At { value: agent.to_string(), span: value.span() })
            }
            ("reject", DeValue::String(reason)) => WrittenOutcome::Reject(reason.to_string()),
            ("reject", DeValue::Boolean(true)) => WrittenOutcome::Reject(String::new()),
            ("keep", DeValue::Boolean(true)) => WrittenOutcome::Keep,
            ("continue", DeValue::Boolean(true)) => WrittenOutcome::Continue,
            _ => {
                let wanted = match key {
                    "agent" => "the name of an agent",
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
            .filter_map(|(key, value)| Some((named(key), self.value(key.get_ref(), value)?)))
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
        Some(At { value: written, span: value.span() })
    }
}

fn named(key: &Spanned<DeString<'_>>) -> At<String> {
    At { value: key.get_ref().to_string(), span: key.span() }
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
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
