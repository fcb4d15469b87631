//! A record and a decision: where they part.

use serde_json::Value;

use crate::dialect::STAMP;
use crate::domain::call::Version;
use crate::domain::decision::{Decision, Object, Outcome};
use crate::records::{CallRecord, Details};

/// What became other.
#[derive(Debug)]
pub(super) enum Difference {
    /// Nothing.
    None,
    /// The outcome, the agent, or why it is rejected.
    Elsewhere(Change),
    /// What goes along.
    Otherwise(Change),
    /// The answer is the same, the rules that make it are others.
    ByOtherRules(Change),
}

/// From what to what.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Change {
    pub(super) old: Answer,
    pub(super) new: Answer,
    /// What is said otherwise, by its names: `variables.tier`, `delay_ms`.
    pub(super) said: Vec<String>,
}

/// Who takes a call, and which rule says so.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Answer {
    pub(super) rule: Option<String>,
    /// The rules that added something, where those are others.
    pub(super) added_by: Option<Vec<String>>,
    pub(super) destination: Destination,
}

/// Where a call goes.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Destination {
    Agent { name: String, id: String, version: Option<String> },
    Reject(String),
    Keep(String),
}

/// Holds what was recorded against what is decided now.
pub(super) fn compare(record: &CallRecord, decision: &Decision<'_>) -> Difference {
    let change =
        |said| Change { old: Answer::recorded(record), new: Answer::decided(decision), said };
    if !goes_to_the_same(record, decision.outcome()) {
        return Difference::Elsewhere(change(Vec::new()));
    }
    let said = said_otherwise(record, decision);
    if !said.is_empty() {
        return Difference::Otherwise(change(said));
    }
    let added_by = &record.details.added_by;
    let same_added = same_list(added_by, &decision.additions().rules);
    if record.rule.as_deref() == decision.rule() && same_added {
        return Difference::None;
    }
    let mut change = change(Vec::new());
    if !same_added {
        let now = decision.additions().rules.iter().map(|rule| (*rule).to_owned());
        change.old.added_by = Some(added_by.iter().map(|rule| rule.to_string()).collect());
        change.new.added_by = Some(now.collect());
    }
    Difference::ByOtherRules(change)
}

fn goes_to_the_same(record: &CallRecord, outcome: &Outcome<'_>) -> bool {
    let details = &record.details;
    record.outcome == outcome.as_str()
        && match outcome {
            Outcome::Agent(chosen) => {
                record.agent.as_deref() == Some(chosen.name)
                    && details.agent_id.as_deref() == Some(chosen.id)
                    && same_version(details.agent_version.as_ref(), chosen.version)
            }
            Outcome::Reject(reason) => details.why.as_deref().unwrap_or_default() == *reason,
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

/// The names of what the platform would hear otherwise.
fn said_otherwise(record: &CallRecord, decision: &Decision<'_>) -> Vec<String> {
    let (details, added) = (&record.details, decision.additions());
    let mut said = Vec::new();
    let recorded = || details.variables.0.iter().map(|(name, value)| (&**name, &**value));
    let decided = || added.variables.iter().map(|one| (one.name, &*one.value));
    let all_same = recorded().count() == decided().count()
        && recorded().zip(decided()).all(|(one, other)| one == other);
    if !all_same {
        for (name, value) in recorded() {
            let now = decided().find(|(other, _)| *other == name);
            if now.is_none_or(|(_, now)| now != value) {
                said.push(format!("variables.{name}"));
            }
        }
        let is_new = |name: &str| !recorded().any(|(other, _)| other == name);
        let new = decided().filter(|(name, _)| is_new(name));
        said.extend(new.map(|(name, _)| format!("variables.{name}")));
    }
    let stamp = stamp(record);
    objects("metadata", details.metadata.as_deref(), added.metadata.as_deref(), stamp, &mut said);
    let (old, new) = (details.agent_override.as_deref(), added.agent_override.as_deref());
    objects("agent_override", old, new, None, &mut said);
    if u128::from(details.delay_ms) != added.delay.as_millis() {
        said.push("delay_ms".to_owned());
    }
    said.sort();
    said
}

/// The key of the record's own id, where that went along: the rules do not say it.
fn stamp(record: &CallRecord) -> Option<&'static str> {
    let Details { metadata, .. } = &record.details;
    let stamped = metadata.as_deref().and_then(|metadata| metadata.get(STAMP)?.as_str());
    stamped.filter(|stamped| *stamped == record.id.to_string()).map(|_| STAMP)
}

/// The keys at the top under which two objects differ. One that is not there is like an empty one.
fn objects(
    what: &str,
    old: Option<&Object>,
    new: Option<&Object>,
    besides: Option<&str>,
    said: &mut Vec<String>,
) {
    let nothing = Object::new();
    let (old, new) = (old.unwrap_or(&nothing), new.unwrap_or(&nothing));
    if old == new {
        return;
    }
    let in_both = old
        .iter()
        .filter(|(name, value)| !new.get(*name).is_some_and(|now| same_value(value, now)));
    let only_new = new.iter().filter(|(name, _)| !old.contains_key(*name));
    let names = in_both.chain(only_new).map(|(name, _)| name.as_str());
    let names = names.filter(|name| besides != Some(name));
    said.extend(names.map(|name| format!("{what}.{name}")));
}

/// A number with a fraction is not always read back to the last bit: serde_json needs a feature for
/// that, which the tests switch on and the program does not.
fn same_value(recorded: &Value, decided: &Value) -> bool {
    let as_read_back = || serde_json::from_str::<Value>(&decided.to_string());
    recorded == decided || as_read_back().is_ok_and(|again| again == *recorded)
}

fn same_list<T: AsRef<str>>(recorded: &[T], decided: &[&str]) -> bool {
    recorded.len() == decided.len()
        && recorded.iter().zip(decided).all(|(one, other)| one.as_ref() == *other)
}

impl Answer {
    fn recorded(record: &CallRecord) -> Answer {
        let CallRecord { rule, agent, details, .. } = record;
        let why = || details.why.as_deref().unwrap_or_default().to_owned();
        let destination = match record.outcome.as_str() {
            "agent" => Destination::Agent {
                name: agent.clone().unwrap_or_default(),
                id: details.agent_id.as_deref().unwrap_or_default().to_owned(),
                version: details.agent_version.as_ref().map(|version| {
                    version.as_str().map_or_else(|| version.to_string(), str::to_owned)
                }),
            },
            "reject" => Destination::Reject(why()),
            _ => Destination::Keep(why()),
        };
        Answer { rule: rule.clone(), added_by: None, destination }
    }

    fn decided(decision: &Decision<'_>) -> Answer {
        let destination = match decision.outcome() {
            Outcome::Agent(chosen) => Destination::Agent {
                name: chosen.name.to_owned(),
                id: chosen.id.to_owned(),
                version: chosen.version.map(|version| match version {
                    Version::Number(number) => number.to_string(),
                    Version::Tag(tag) => tag.to_string(),
                }),
            },
            Outcome::Reject(reason) => Destination::Reject((*reason).to_owned()),
            Outcome::Keep(kept) => Destination::Keep(kept.as_str().to_owned()),
        };
        let rule = decision.rule().map(str::to_owned);
        Answer { rule, added_by: None, destination }
    }
}
