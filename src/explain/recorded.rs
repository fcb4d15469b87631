//! Explanations of recorded calls, with the rules and at the time of the call.

use serde_json::{Value, json};

use super::view::ExplainedView;
use super::{Explained, Question, explain_call, listed_rules};
use crate::domain::decision::Decision;
use crate::pipeline::Switchboard;
use crate::records::{CallRecord, RuleSnapshot};
use crate::rules::{self, CheckContext, RuleSet};
use crate::source::Source;

/// Explanation of a recorded call.
pub enum RecordedExplanation {
    /// The explanation.
    Available {
        /// Text for people.
        text: String,
        /// The same as JSON.
        json: Value,
        /// The same as plain data.
        view: Box<ExplainedView>,
        /// Remarks on the explanation.
        notes: Vec<String>,
    },
    /// Reason for which there is no explanation.
    Unavailable(String),
}

/// Rule set that explains a recorded call.
#[derive(Clone, Copy)]
pub enum TableChoice<'t> {
    /// The snapshot from the time of the call, or the live rule set if there is none. Used only if its
    /// fingerprint matches the record's.
    Recorded(&'t RuleSet),
    /// The snapshot from the time of the call, from which a number was erased.
    Edited(&'t RuleSet),
    /// A rule set that the operator chose, whatever its fingerprint.
    Given(&'t RuleSet),
    /// No rule set could be loaded.
    None,
}

/// Loads a snapshot of the rules. Returns `None` if there is none, or if this version reads it differently.
/// A snapshot from which a number was erased has the fingerprint of the table that decided.
pub fn load_snapshot(snapshot: Option<&RuleSnapshot>) -> Option<RuleSet> {
    let snapshot = snapshot?;
    let mut read = rules::parse_snapshot(&snapshot.files, &CheckContext::default()).table?;
    if snapshot.files.is_edited() {
        read.fingerprint.clone_from(&snapshot.fingerprint);
    }
    Some(read).filter(|table| table.fingerprint == snapshot.fingerprint)
}

/// Loads a snapshot as [`load_snapshot`] does, to explain a recorded call.
pub fn recorded_table(snapshot: Option<&RuleSnapshot>) -> Option<RecordedTable> {
    let is_edited = snapshot.is_some_and(|snapshot| snapshot.files.is_edited());
    load_snapshot(snapshot).map(|table| RecordedTable { table, is_edited })
}

/// The table that decided a call, read from its snapshot.
pub struct RecordedTable {
    table: RuleSet,
    is_edited: bool,
}

impl RecordedTable {
    /// Returns the table as the choice for an explanation.
    pub fn choice(&self) -> TableChoice<'_> {
        match self.is_edited {
            true => TableChoice::Edited(&self.table),
            false => TableChoice::Recorded(&self.table),
        }
    }
}

/// Explains a recorded call with the rules of its time, from their snapshot, or else with the live ones if they
/// are the same. Takes a while for a large table, so it is not for a thread that answers calls.
pub fn explain_with_snapshot(
    record: &CallRecord,
    snapshot: Option<&RuleSnapshot>,
    app: &Switchboard,
) -> RecordedExplanation {
    let (recorded, live) = (recorded_table(snapshot), app.table());
    let choice = recorded.as_ref().map_or(TableChoice::Recorded(&live), RecordedTable::choice);
    explain_recorded(record, choice, &app.sources(), WantedRules::default())
}

/// Rules that an explanation lists, besides those that are relevant.
#[derive(Debug, Clone, Copy, Default)]
pub struct WantedRules<'q> {
    /// Every rule of the table.
    pub all: bool,
    /// The rule with this name.
    pub why_not: Option<&'q str>,
}

/// Explains a recorded call at its own time.
pub fn explain_recorded(
    record: &CallRecord,
    choice: TableChoice<'_>,
    sources: &[&Source],
    wanted: WantedRules<'_>,
) -> RecordedExplanation {
    let fields = match record.fields() {
        Ok(fields) => fields,
        Err(error) => {
            return RecordedExplanation::Unavailable(format!(
                "the call cannot be explained: {error}"
            ));
        }
    };
    let Some(source) = sources.iter().find(|source| *source.name == *record.source) else {
        let reason = format!("the settings no longer have the source `{}`", record.source);
        return RecordedExplanation::Unavailable(reason);
    };
    let (table, is_chosen) = match choice {
        TableChoice::Recorded(table) | TableChoice::Edited(table) => (table, false),
        TableChoice::Given(table) => (table, true),
        TableChoice::None => {
            let reason =
                "the rules cannot be loaded: run `switchboard check`, or pass --rules FILE";
            return RecordedExplanation::Unavailable(reason.to_owned());
        }
    };
    if table.fingerprint != record.fingerprint && !is_chosen {
        return RecordedExplanation::Unavailable(format!(
            "the rules have changed since the call, from {} to {}; pass the old ones with \
             --rules FILE",
            record.fingerprint, table.fingerprint
        ));
    }
    let listed = match listed_rules(table, wanted.all, wanted.why_not) {
        Ok(listed) => listed,
        Err(unknown) => return RecordedExplanation::Unavailable(format!("--why-not: {unknown}")),
    };
    let facts = record.facts(table);
    let question = Question { source, fields: &fields, facts: &facts, listed };
    let explained = match explain_call(table, std::iter::once(*source), question) {
        Ok(explained) => Explained { is_recorded: true, ..explained },
        Err(mismatch) => return RecordedExplanation::Unavailable(mismatch.to_string()),
    };
    RecordedExplanation::Available {
        text: explained.to_string(),
        json: explained.to_json(),
        view: Box::new(explained.view()),
        notes: notes(record, table, choice, &explained.explanation.decision),
    }
}

/// Returns remarks on an explanation with this table.
fn notes(
    record: &CallRecord,
    table: &RuleSet,
    choice: TableChoice<'_>,
    decision: &Decision<'_>,
) -> Vec<String> {
    let has_same_rules = table.fingerprint == record.fingerprint;
    let is_same_decision =
        decision.rule() == record.rule.as_deref() && decision.outcome().as_str() == record.outcome;
    let mut notes = Vec::new();
    if record.lacks_lookups() {
        notes.push(
            "the answers of look-ups were not kept, so their values are unknown here; \
             `[records] lookups = true` keeps them"
                .to_owned(),
        );
    }
    if !has_same_rules {
        notes.push(format!(
            "these rules ({}) differ from the rules at the time of the call ({})",
            table.fingerprint, record.fingerprint
        ));
    }
    if matches!(choice, TableChoice::Edited(_)) {
        let note = "the stored rule table was edited by an erasure: a number was removed from it";
        notes.push(note.to_owned());
    }
    if has_same_rules && !is_same_decision {
        notes.push("the recorded decision differs: see the record's `reason`".to_owned());
    }
    notes
}

impl RecordedExplanation {
    /// Returns the explanation with its notes as JSON, or the reason for which there is none.
    pub fn to_json(&self) -> Value {
        match self {
            RecordedExplanation::Available { json, notes, .. } => {
                let mut json = json.clone();
                json["notes"] = json!(notes);
                json
            }
            RecordedExplanation::Unavailable(reason) => json!({ "unavailable": reason }),
        }
    }
}
