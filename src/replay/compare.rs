//! Comparison of a recorded and a new decision.

use serde_json::Value;

use crate::dialect::RECORD_ID_KEY;
use crate::domain::call::Version;
use crate::domain::decision::{Decision, Object, Outcome, Variable};
use crate::records::{CallRecord, Details, Texts};

/// Difference between two decisions.
#[derive(Debug)]
pub(super) enum Difference {
    /// No difference.
    None,
    /// The outcome, the agent, or the reason of a rejection.
    Rerouted(Change),
    /// The variables, metadata or other payload of the reply, with the values before and after.
    PayloadChanged(Change, Vec<FieldChange>),
    /// The rules; the reply is the same.
    RuleChanged(Change),
}

/// A change, from the recorded to the new decision.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Change {
    pub(super) old: Routing,
    pub(super) new: Routing,
    /// Changed fields of the payload: `variables.tier`, `delay_ms`.
    pub(super) fields: Vec<String>,
}

/// A changed field of the payload.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FieldChange {
    /// `variables.tier`, `delay_ms`.
    pub(super) name: String,
    /// None where the reply had no such field.
    pub(super) old: Option<Value>,
    pub(super) new: Option<Value>,
}

/// Destination of a call, and the rule that decided it.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Routing {
    pub(super) rule: Option<String>,
    /// The matching `continue` rules, if they differ.
    pub(super) added_by: Option<Vec<String>>,
    pub(super) destination: Destination,
}

/// Destination of a call.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Destination {
    Agent { name: String, id: String, version: Option<String> },
    Reject(String),
    Transfer(String),
    Keep(String),
}

/// Compares a record with a new decision.
pub(super) fn compare(record: &CallRecord, decision: &Decision<'_>) -> Difference {
    let change =
        |fields| Change { old: Routing::recorded(record), new: Routing::decided(decision), fields };
    if !has_same_destination(record, decision.outcome()) {
        return Difference::Rerouted(change(Vec::new()));
    }
    let changes = changed_fields(record, decision);
    if !changes.is_empty() {
        let names = changes.iter().map(|field| field.name.clone()).collect();
        return Difference::PayloadChanged(change(names), changes);
    }
    let added_by = &record.details.added_by;
    let same_continued = same_list(added_by, &decision.additions().rules);
    if record.rule.as_deref() == decision.rule() && same_continued {
        return Difference::None;
    }
    let mut change = change(Vec::new());
    if !same_continued {
        let now = decision.additions().rules.iter().map(|rule| (*rule).to_owned());
        change.old.added_by = Some(added_by.iter().map(|rule| rule.to_string()).collect());
        change.new.added_by = Some(now.collect());
    }
    Difference::RuleChanged(change)
}

fn has_same_destination(record: &CallRecord, outcome: &Outcome<'_>) -> bool {
    let details = &record.details;
    record.outcome == outcome.as_str()
        && match outcome {
            Outcome::Agent(selected) => {
                record.agent.as_deref() == Some(selected.name)
                    && details.agent_id.as_deref() == Some(selected.id)
                    && same_version(details.agent_version.as_ref(), selected.version)
            }
            Outcome::Reject(reason) => details.reason.as_deref().unwrap_or_default() == *reason,
            Outcome::Transfer(target) => details.transfer.as_deref() == Some(&*target.unmasked()),
            Outcome::Keep(_) => true,
        }
}

fn same_version(recorded: Option<&Value>, decided: Option<&Version>) -> bool {
    match decided {
        None => recorded.is_none(),
        Some(Version::Number(number)) => recorded.and_then(Value::as_i64) == Some(*number),
        Some(Version::Tag(tag)) => recorded.and_then(Value::as_str) == Some(tag),
    }
}

/// Returns the payload's fields that differ.
fn changed_fields(record: &CallRecord, decision: &Decision<'_>) -> Vec<FieldChange> {
    let (details, additions) = (&record.details, decision.additions());
    let mut fields = Vec::new();
    add_changed_texts("variables", &details.variables, &additions.variables, &mut fields);
    add_changed_texts("sip_headers", &details.sip_headers, &additions.sip_headers, &mut fields);
    if details.say.as_deref() != additions.say.as_deref() {
        let (old, new) = (details.say.as_deref(), additions.say.as_deref());
        let (old, new) = (old.map(Into::into), new.map(Into::into));
        fields.push(FieldChange { name: "say".to_owned(), old, new });
    }
    let record_id_key = record_id_key(record);
    add_changed_keys(
        "metadata",
        details.metadata.as_deref(),
        additions.metadata.as_deref(),
        record_id_key,
        &mut fields,
    );
    let (old, new) = (details.agent_override.as_deref(), additions.agent_override.as_deref());
    add_changed_keys("agent_override", old, new, None, &mut fields);
    if u128::from(details.delay_ms) != additions.delay.as_millis() {
        let new = u64::try_from(additions.delay.as_millis()).unwrap_or(u64::MAX);
        let (old, new) = (Some(details.delay_ms.into()), Some(new.into()));
        fields.push(FieldChange { name: "delay_ms".to_owned(), old, new });
    }
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    fields
}

/// Adds the texts in which a reply differs: variables or SIP headers.
fn add_changed_texts(
    prefix: &str,
    recorded: &Texts<'_>,
    decided: &[Variable<'_>],
    fields: &mut Vec<FieldChange>,
) {
    let recorded = || recorded.0.iter().map(|(name, value)| (&**name, &**value));
    let decided = || decided.iter().map(|text| (text.name, &*text.value));
    let all_same = recorded().count() == decided().count()
        && recorded().zip(decided()).all(|(old, new)| old == new);
    if all_same {
        return;
    }
    for (name, value) in recorded() {
        let now = decided().find(|(other, _)| *other == name);
        if now.is_none_or(|(_, now)| now != value) {
            fields.push(FieldChange {
                name: format!("{prefix}.{name}"),
                old: Some(value.into()),
                new: now.map(|(_, now)| now.into()),
            });
        }
    }
    let is_new = |name: &str| !recorded().any(|(other, _)| other == name);
    let new = decided().filter(|(name, _)| is_new(name));
    fields.extend(new.map(|(name, value)| FieldChange {
        name: format!("{prefix}.{name}"),
        old: None,
        new: Some(value.into()),
    }));
}

/// Returns the metadata key of the record's own id if the reply contained it: rules do not set it.
fn record_id_key(record: &CallRecord) -> Option<&'static str> {
    let Details { metadata, .. } = &record.details;
    let id = metadata.as_deref().and_then(|metadata| metadata.get(RECORD_ID_KEY)?.as_str());
    id.filter(|id| *id == record.id.to_string()).map(|_| RECORD_ID_KEY)
}

/// Adds the top-level keys in which two objects differ. A missing object equals an empty one.
fn add_changed_keys(
    prefix: &str,
    old: Option<&Object>,
    new: Option<&Object>,
    ignored: Option<&str>,
    fields: &mut Vec<FieldChange>,
) {
    let nothing = Object::new();
    let (old, new) = (old.unwrap_or(&nothing), new.unwrap_or(&nothing));
    if old == new {
        return;
    }
    let differs = |(name, value): &(&String, &Value)| {
        new.get(*name).is_none_or(|now| !same_value(value, now))
    };
    let only_new = new.iter().filter(|(name, _)| !old.contains_key(*name));
    let names = old.iter().filter(differs).chain(only_new).map(|(name, _)| name.as_str());
    let names = names.filter(|name| ignored != Some(name));
    fields.extend(names.map(|name| FieldChange {
        name: format!("{prefix}.{name}"),
        old: old.get(name).cloned(),
        new: new.get(name).cloned(),
    }));
}

/// Compares values after a round trip through JSON: without its feature `float_roundtrip`, serde_json
/// does not always parse a fraction to the last bit.
fn same_value(recorded: &Value, decided: &Value) -> bool {
    let as_read_back = || serde_json::from_str::<Value>(&decided.to_string());
    recorded == decided || as_read_back().is_ok_and(|again| again == *recorded)
}

fn same_list<T: AsRef<str>>(recorded: &[T], decided: &[&str]) -> bool {
    recorded.len() == decided.len()
        && recorded.iter().zip(decided).all(|(old, new)| old.as_ref() == *new)
}

impl Destination {
    /// Returns the outcome as a word.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Destination::Agent { .. } => "agent",
            Destination::Reject(_) => "reject",
            Destination::Transfer(_) => "transfer",
            Destination::Keep(_) => "keep",
        }
    }
}

impl Routing {
    fn recorded(record: &CallRecord) -> Routing {
        let CallRecord { rule, agent, details, .. } = record;
        let reason = || details.reason.as_deref().unwrap_or_default().to_owned();
        let destination = match record.outcome.as_str() {
            "agent" => Destination::Agent {
                name: agent.clone().unwrap_or_default(),
                id: details.agent_id.as_deref().unwrap_or_default().to_owned(),
                version: details.agent_version.as_ref().map(|version| {
                    version.as_str().map_or_else(|| version.to_string(), str::to_owned)
                }),
            },
            "reject" => Destination::Reject(reason()),
            "transfer" => {
                Destination::Transfer(details.transfer.as_deref().unwrap_or_default().to_owned())
            }
            _ => Destination::Keep(reason()),
        };
        Routing { rule: rule.clone(), added_by: None, destination }
    }

    fn decided(decision: &Decision<'_>) -> Routing {
        let destination = match decision.outcome() {
            Outcome::Agent(selected) => Destination::Agent {
                name: selected.name.to_owned(),
                id: selected.id.to_owned(),
                version: selected.version.map(|version| match version {
                    Version::Number(number) => number.to_string(),
                    Version::Tag(tag) => tag.to_string(),
                }),
            },
            Outcome::Reject(reason) => Destination::Reject((*reason).to_owned()),
            Outcome::Transfer(target) => Destination::Transfer(target.unmasked().into_owned()),
            Outcome::Keep(reason) => Destination::Keep(reason.as_str().to_owned()),
        };
        let rule = decision.rule().map(str::to_owned);
        Routing { rule, added_by: None, destination }
    }
}
