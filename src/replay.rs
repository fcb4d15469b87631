//! Replay of recorded calls with different rules: decides each call again at its own time, compares the
//! decisions, and counts the differences.
//!
//! Pure. No reply is sent.

mod compare;
mod render;
mod summary;

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde_json::Value;

use crate::domain::call::{Call, Platform};
use crate::records::{CallRecord, NotReplayable, NumberPolicy};
use crate::rules::RuleSet;
use crate::rules::engine::{decide_offline, unanswered_lookups};
use crate::settings::NumberStorage;
use crate::source::Source;

use compare::{Change, Difference, FieldChange, compare};
pub use summary::{ChangedCalls, ChangedValue, ExampleCall, Route, Summary};

/// A replay of calls, one after the other.
pub struct Replay<'t> {
    table: &'t RuleSet,
    sources: Vec<(&'t str, Platform)>,
    /// Maximum number of example calls per group.
    examples: usize,
    /// Arrival of the first and the last replayed call.
    span: Option<(Timestamp, Timestamp)>,
    unchanged: u64,
    rerouted: Groups,
    payload_changed: Groups,
    rule_changed: Groups,
    left_out: BTreeMap<ReplayObstacle, u64>,
    /// Calls that were decided without the answer of a look-up, by its name.
    without_lookup: BTreeMap<String, u64>,
    masking: NumberPolicy,
}

/// Calls with the same change.
#[derive(Debug, Default)]
struct Group {
    calls: u64,
    examples: Vec<ExampleCall>,
    values: ValueChanges,
}

/// The changed values of a group, with their calls. Numbers are masked.
#[derive(Debug, Default)]
struct ValueChanges {
    counts: BTreeMap<ValueChange, u64>,
    /// Values that are only counted, because there are too many.
    others: u64,
}

/// A field with its old and its new value as JSON; none where the reply has no such field.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ValueChange {
    field: String,
    old: Option<String>,
    new: Option<String>,
}

impl ValueChanges {
    /// Maximum number of different changes per group.
    const MAX: usize = 1_000;

    fn add(&mut self, change: ValueChange) {
        if self.counts.len() < ValueChanges::MAX || self.counts.contains_key(&change) {
            *self.counts.entry(change).or_default() += 1;
        } else {
            self.others += 1;
        }
    }

    /// Returns the changes, those with the most calls first within each field.
    fn sorted(&self) -> Vec<(&ValueChange, u64)> {
        let mut sorted: Vec<_> =
            self.counts.iter().map(|(change, calls)| (change, *calls)).collect();
        sorted.sort_by(|(a, calls_a), (b, calls_b)| {
            a.field.cmp(&b.field).then(calls_b.cmp(calls_a)).then_with(|| a.cmp(b))
        });
        sorted
    }
}

/// Changes of one kind, with their calls.
#[derive(Debug, Default)]
struct Groups(HashMap<Change, Group>);

/// Reason for which a call cannot be replayed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum ReplayObstacle {
    /// The settings no longer have its source.
    NoSource { source: String, platform: String },
    /// The call received the fallback reply; no rule decided it.
    Fallback,
    /// Its numbers were stored masked or hashed.
    Numbers,
    /// A look-up decided it, and what that found was not kept.
    Lookups,
    /// It has a platform or channel that this version does not know.
    Unknown,
}

impl<'t> Replay<'t> {
    /// Starts a replay with `table`, for calls of `sources`. Keeps up to `examples` calls per group.
    pub fn new(table: &'t RuleSet, sources: &'t [Source], examples: usize) -> Replay<'t> {
        let sources = sources.iter().map(|source| (&*source.name, source.dialect.platform()));
        Replay::of_sources(table, sources.collect(), examples)
    }

    /// Starts a replay for calls of sources with these names and platforms.
    pub fn of_sources(
        table: &'t RuleSet,
        sources: Vec<(&'t str, Platform)>,
        examples: usize,
    ) -> Replay<'t> {
        Replay {
            table,
            sources,
            examples,
            span: None,
            unchanged: 0,
            rerouted: Groups::default(),
            payload_changed: Groups::default(),
            rule_changed: Groups::default(),
            left_out: BTreeMap::new(),
            without_lookup: BTreeMap::new(),
            masking: NumberPolicy::new(NumberStorage::Masked),
        }
    }

    /// Decides a call again, or counts the reason for which that is impossible.
    pub fn call(&mut self, record: &CallRecord) {
        let call = match self.restore_call(record) {
            Ok(call) => call,
            Err(reason) => {
                *self.left_out.entry(reason).or_default() += 1;
                return;
            }
        };
        let facts = record.facts(self.table);
        for id in unanswered_lookups(self.table, &call, &facts) {
            let name = self.table.lookup_name(id).to_owned();
            *self.without_lookup.entry(name).or_default() += 1;
        }
        let decision = decide_offline(self.table, &call, &facts);
        let (first, last) = self.span.unwrap_or((record.at, record.at));
        self.span = Some((first.min(record.at), last.max(record.at)));
        let mut values = Vec::new();
        let (groups, change) = match compare(record, &decision) {
            Difference::None => {
                self.unchanged += 1;
                return;
            }
            Difference::Rerouted(change) => (&mut self.rerouted, change),
            Difference::PayloadChanged(change, fields) => {
                values = fields;
                (&mut self.payload_changed, change)
            }
            Difference::RuleChanged(change) => (&mut self.rule_changed, change),
        };
        let group = groups.0.entry(change).or_default();
        group.calls += 1;
        let redactor = self.masking.redactor([Some(call.from()), Some(call.to())]);
        let masked = |value: Option<Value>| {
            value.map(|mut value| {
                redactor.value(&mut value);
                value.to_string()
            })
        };
        for FieldChange { name, old, new } in values {
            let (old, new) = (masked(old), masked(new));
            group.values.add(ValueChange { field: name, old, new });
        }
        if group.examples.len() < self.examples {
            group.examples.push(ExampleCall {
                id: record.id.to_string(),
                at: record.at,
                from: call.from().masked().into_owned(),
                to: call.to().masked().into_owned(),
            });
        }
    }

    fn restore_call<'r>(&self, record: &'r CallRecord) -> Result<Call<'r>, ReplayObstacle> {
        let source = self.sources.iter().find(|(name, platform)| {
            *name == record.source && platform.as_str() == record.platform
        });
        let Some((_, platform)) = source else {
            let (source, platform) = (record.source.clone(), record.platform.clone());
            return Err(ReplayObstacle::NoSource { source, platform });
        };
        if record.is_fallback() {
            return Err(ReplayObstacle::Fallback);
        }
        if record.lacks_lookups() {
            return Err(ReplayObstacle::Lookups);
        }
        let fields = record.fields().map_err(|error| match error {
            NotReplayable::Numbers(_) => ReplayObstacle::Numbers,
            NotReplayable::Channel(_) => ReplayObstacle::Unknown,
        })?;
        // The store replaces characters that it cannot hold with U+FFFD.
        if [&record.from, &record.to].iter().any(|party| party.contains('\u{fffd}')) {
            return Err(ReplayObstacle::Numbers);
        }
        Ok(Call::synthetic(&record.source, *platform, fields))
    }

    /// Returns the number of replayed calls.
    pub fn replayed(&self) -> u64 {
        self.unchanged
            + self.rerouted.calls()
            + self.payload_changed.calls()
            + self.rule_changed.calls()
    }

    /// Returns the number of calls that cannot be replayed.
    pub fn left_out(&self) -> u64 {
        self.left_out.values().sum()
    }

    /// Returns the number of calls with a different reply; a change of the deciding rule alone does not
    /// count.
    pub fn changed(&self) -> u64 {
        self.rerouted.calls() + self.payload_changed.calls()
    }
}

impl Groups {
    fn calls(&self) -> u64 {
        self.0.values().map(|group| group.calls).sum()
    }

    /// Returns the groups, largest first.
    fn sorted(&self) -> Vec<(&Change, &Group)> {
        let mut groups: Vec<_> = self.0.iter().collect();
        groups.sort_by(|(change_a, group_a), (change_b, group_b)| {
            group_b.calls.cmp(&group_a.calls).then_with(|| change_a.cmp(change_b))
        });
        groups
    }
}
