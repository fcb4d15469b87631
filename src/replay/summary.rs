//! Result of a replay as plain data, for pages. Phone numbers are masked, except for targets of transfers.

use jiff::Timestamp;

use super::compare::{Change, Routing};
use super::{Group, Groups, Replay};

/// What a replay has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Number of replayed calls.
    pub replayed: u64,
    /// Arrival of the first and the last replayed call.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Number of calls that nothing would change for.
    pub unchanged: u64,
    /// Calls that would go elsewhere, largest groups first.
    pub rerouted: Vec<ChangedCalls>,
    /// Calls with the same destination and a different payload.
    pub payload_changed: Vec<ChangedCalls>,
    /// Calls with the same reply, by different rules.
    pub rule_changed: Vec<ChangedCalls>,
    /// Reasons for which calls could not be replayed, with their numbers.
    pub left_out: Vec<(String, u64)>,
    /// Look-ups that were not asked at the time, and the number of calls that were decided as if they had no
    /// answer.
    pub without_lookup: Vec<(String, u64)>,
}

/// Calls with the same change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedCalls {
    /// Number of calls.
    pub calls: u64,
    /// As recorded.
    pub old: Route,
    /// By the table of the replay.
    pub new: Route,
    /// Changed values of the payload, the most frequent ones first within each field.
    pub values: Vec<ChangedValue>,
    /// Number of changed values that are only counted.
    pub more_values: u64,
    /// Some of the calls.
    pub examples: Vec<ExampleCall>,
}

/// Destination of calls, and the rule that decided them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The rule; `None` if no rule decided.
    pub rule: Option<String>,
    /// The matching `continue` rules, if they differ.
    pub added_by: Option<Vec<String>>,
    /// `agent`, `reject`, `transfer` or `keep`.
    pub outcome: &'static str,
    /// The outcome in words: `agent front-desk`.
    pub destination: String,
}

/// A changed value of the payload, as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedValue {
    /// `variables.tier`, `delay_ms`.
    pub field: String,
    /// Recorded value; `None` if the reply had none.
    pub old: Option<String>,
    /// Value by the table of the replay; `None` if the reply would have none.
    pub new: Option<String>,
    /// Number of calls.
    pub calls: u64,
}

/// A call with a change. Its numbers are masked; its record has the full ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExampleCall {
    /// Id of the record.
    pub id: String,
    /// Time of arrival.
    pub at: Timestamp,
    /// Caller.
    pub from: String,
    /// Called number.
    pub to: String,
}

impl Replay<'_> {
    /// Returns the result as plain data.
    pub fn summary(&self) -> Summary {
        let left_out = self.left_out.iter().map(|(reason, calls)| (reason.to_string(), *calls));
        let without_lookup = self.without_lookup.iter().map(|(name, calls)| (name.clone(), *calls));
        Summary {
            replayed: self.replayed(),
            span: self.span,
            unchanged: self.unchanged,
            rerouted: self.rerouted.summary(),
            payload_changed: self.payload_changed.summary(),
            rule_changed: self.rule_changed.summary(),
            left_out: left_out.collect(),
            without_lookup: without_lookup.collect(),
        }
    }
}

impl Summary {
    /// Returns the number of calls with a different reply.
    pub fn changed(&self) -> u64 {
        let changed = self.rerouted.iter().chain(&self.payload_changed);
        changed.map(|group| group.calls).sum()
    }
}

impl Groups {
    fn summary(&self) -> Vec<ChangedCalls> {
        let groups = self.sorted().into_iter();
        groups.map(|(change, group)| group.summary(change)).collect()
    }
}

impl Group {
    fn summary(&self, change: &Change) -> ChangedCalls {
        let values = self.values.sorted().into_iter().map(|(value, calls)| ChangedValue {
            field: value.field.clone(),
            old: value.old.clone(),
            new: value.new.clone(),
            calls,
        });
        ChangedCalls {
            calls: self.calls,
            old: change.old.summary(),
            new: change.new.summary(),
            values: values.collect(),
            more_values: self.values.others,
            examples: self.examples.clone(),
        }
    }
}

impl Routing {
    fn summary(&self) -> Route {
        Route {
            rule: self.rule.clone(),
            added_by: self.added_by.clone(),
            outcome: self.destination.outcome(),
            destination: self.destination.to_string(),
        }
    }
}
