//! Lines of an export, from which an import restores the same rows in another store.
//!
//! An import changes no row that the store has, and stores a line in one transaction, or not at
//! all.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::batch::BatchError;
use super::filter::OUTCOMES;
use super::{CallRecord, EventRecord, NumberPolicy, RuleChange, RuleSnapshot};
use crate::domain::decision::Object;

/// Key of the exact text of a body that its JSON does not determine.
const BODY_TEXT: &str = "body_text";

/// A line of an export.
#[derive(Debug, Clone, PartialEq)]
pub enum TransferLine {
    /// A call with its events.
    Call(Box<CallRecord>, Vec<EventRecord>),
    /// An event without a recorded call.
    Event(Box<EventRecord>),
    /// A rule table that decided calls.
    Rules(Box<RuleSnapshot>),
    /// A change of the rule files by a person.
    Change(Box<RuleChange>),
}

/// The key that tells lines apart.
#[derive(Deserialize)]
struct RecordTag {
    record: String,
}

/// A call as it is written.
#[derive(Serialize)]
struct CallLine<'a> {
    record: &'static str,
    #[serde(flatten)]
    call: &'a CallRecord,
    dedup_key: &'a str,
    events: Vec<Object>,
}

/// Any other record as it is written.
#[derive(Serialize)]
struct Tagged<T> {
    record: &'static str,
    #[serde(flatten)]
    content: T,
}

/// A call as it is read.
#[derive(Deserialize)]
struct ParsedCallLine {
    #[serde(flatten)]
    call: CallRecord,
    events: Vec<Object>,
}

/// Numbers of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowCounts {
    /// Calls.
    pub calls: u64,
    /// Events.
    pub events: u64,
    /// Rule tables.
    pub snapshots: u64,
    /// Changes of the rules.
    pub changes: u64,
}

impl RowCounts {
    /// Returns the number of rows.
    pub fn total(&self) -> u64 {
        self.calls + self.events + self.snapshots + self.changes
    }

    /// Adds other numbers.
    pub fn add(&mut self, other: RowCounts) {
        self.calls += other.calls;
        self.events += other.events;
        self.snapshots += other.snapshots;
        self.changes += other.changes;
    }
}

/// Error of an import.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The database rejects a row and accepts others.
    #[error("{0}")]
    Row(String),
    /// The store cannot be written.
    #[error("{0}")]
    Store(String),
}

impl From<BatchError> for ImportError {
    fn from(error: BatchError) -> ImportError {
        match error {
            BatchError::Row(reason) => ImportError::Row(reason),
            BatchError::Collision(reason) | BatchError::Store(reason) => ImportError::Store(reason),
        }
    }
}

impl TransferLine {
    /// Returns the line as JSON.
    pub fn to_json(&self) -> String {
        let json = match self {
            TransferLine::Call(call, events) => serde_json::to_string(&CallLine {
                record: "call",
                call,
                dedup_key: &call.dedup_key,
                events: events.iter().map(event_object).collect(),
            }),
            TransferLine::Event(event) => {
                serde_json::to_string(&Tagged { record: "event", content: event_object(event) })
            }
            TransferLine::Rules(snapshot) => {
                serde_json::to_string(&Tagged { record: "rules", content: snapshot })
            }
            TransferLine::Change(change) => {
                serde_json::to_string(&Tagged { record: "rule_change", content: change })
            }
        };
        json.expect("plain JSON into memory")
    }

    /// Reads a line.
    ///
    /// # Errors
    /// Fails with a reason if it is not a line of an export.
    pub fn parse(line: &[u8]) -> Result<TransferLine, String> {
        let RecordTag { record } = parse_json(line)?;
        match record.as_str() {
            "call" => {
                // Not through a JSON object: SIP headers may repeat a name.
                let ParsedCallLine { call, events } = parse_json(line)?;
                checked_call(call, events)
            }
            "event" => {
                let mut object: Object = parse_json(line)?;
                object.remove("record");
                parse_event(object).map(|event| TransferLine::Event(event.into()))
            }
            "rules" => Ok(TransferLine::Rules(parse_json(line)?)),
            "rule_change" => Ok(TransferLine::Change(parse_json(line)?)),
            other => Err(format!("unknown record `{other}`: use call, event, rules, rule_change")),
        }
    }

    /// Returns whether a store with this policy may hold the record: an import never stores numbers
    /// in full where the settings say otherwise.
    pub fn is_allowed_by(&self, numbers: &NumberPolicy) -> bool {
        let is_redacted = |form: &str| matches!(form, "masked" | "hashed");
        let is_event_redacted = |event: &EventRecord| {
            event.columns.get("numbers").and_then(Value::as_str).is_some_and(is_redacted)
        };
        !is_redacted(numbers.as_str())
            || match self {
                TransferLine::Call(call, events) => {
                    is_redacted(&call.details.numbers) && events.iter().all(is_event_redacted)
                }
                TransferLine::Event(event) => is_event_redacted(event),
                TransferLine::Rules(_) | TransferLine::Change(_) => true,
            }
    }

    /// Returns the number of rows.
    pub fn counts(&self) -> RowCounts {
        let none = RowCounts::default();
        match self {
            TransferLine::Call(_, events) => {
                RowCounts { calls: 1, events: events.len() as u64, ..none }
            }
            TransferLine::Event(_) => RowCounts { events: 1, ..none },
            TransferLine::Rules(_) => RowCounts { snapshots: 1, ..none },
            TransferLine::Change(_) => RowCounts { changes: 1, ..none },
        }
    }

    pub(crate) fn call(&self) -> Option<&CallRecord> {
        match self {
            TransferLine::Call(call, _) => Some(call),
            TransferLine::Event(_) | TransferLine::Rules(_) | TransferLine::Change(_) => None,
        }
    }

    pub(crate) fn events(&self) -> &[EventRecord] {
        match self {
            TransferLine::Call(_, events) => events,
            TransferLine::Event(event) => std::slice::from_ref(event),
            TransferLine::Rules(_) | TransferLine::Change(_) => &[],
        }
    }

    pub(crate) fn snapshot(&self) -> Option<&RuleSnapshot> {
        match self {
            TransferLine::Rules(snapshot) => Some(snapshot),
            TransferLine::Call(..) | TransferLine::Event(_) | TransferLine::Change(_) => None,
        }
    }

    pub(crate) fn change(&self) -> Option<&RuleChange> {
        match self {
            TransferLine::Change(change) => Some(change),
            TransferLine::Call(..) | TransferLine::Event(_) | TransferLine::Rules(_) => None,
        }
    }
}

/// An event with its keys, and with the exact text of its body.
fn event_object(event: &EventRecord) -> Object {
    let mut object = event.to_json();
    object.insert("dedup_key".to_owned(), event.dedup_key.clone().into());
    if let Some(sent_ms) = event.sent_ms {
        object.insert("sent_ms".to_owned(), sent_ms.into());
    }
    let shown = object.get("body").map(body_of_json);
    if shown.as_ref() != Some(&event.body) {
        object.insert(BODY_TEXT.to_owned(), event.body.clone().into());
    }
    object
}

/// Returns the text of a body that is exported as this value.
fn body_of_json(body: &Value) -> String {
    body.as_str().map_or_else(|| body.to_string(), str::to_owned)
}

/// Parses a line. An error names its column only: to the parser, each line is line 1.
fn parse_json<T: DeserializeOwned>(line: &[u8]) -> Result<T, String> {
    serde_json::from_slice(line)
        .map_err(|error| error.to_string().replace(" at line 1 column ", ", column "))
}

fn checked_call(call: CallRecord, events: Vec<Object>) -> Result<TransferLine, String> {
    if !OUTCOMES.contains(&call.outcome.as_str()) {
        return Err(format!("unknown outcome `{}`: use {}", call.outcome, OUTCOMES.join(", ")));
    }
    let events = events.into_iter().enumerate();
    let events = events.map(|(at, event)| {
        parse_event(event).map_err(|reason| format!("event {}: {reason}", at + 1))
    });
    Ok(TransferLine::Call(call.into(), events.collect::<Result<_, _>>()?))
}

fn parse_event(mut object: Object) -> Result<EventRecord, String> {
    let body = match object.remove(BODY_TEXT) {
        Some(Value::String(text)) => text,
        Some(_) => return Err(format!("`{BODY_TEXT}` is not a text")),
        None => body_of_json(object.get("body").ok_or("missing field `body`")?),
    };
    object.insert("body".to_owned(), body.into());
    serde_json::from_value(Value::Object(object)).map_err(|error| error.to_string())
}
