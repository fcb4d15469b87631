//! Why a call was answered as it was: asked again, of the table and at the time of then.

use serde_json::{Value, json};

use super::{Question, inquire};
use crate::domain::facts::Facts;
use crate::records::{CallRecord, RuleSnapshot};
use crate::rules;
use crate::rules::{CheckContext, RuleSet};
use crate::source::Source;

/// The story of a recorded call.
pub enum RecordedExplanation {
    /// As `explain` tells it.
    Available {
        /// For people.
        text: String,
        /// For programs.
        json: Value,
        /// What else there is to know.
        notes: Vec<String>,
    },
    /// Why it cannot be told.
    Unavailable(String),
}

/// The table that is asked.
#[derive(Clone, Copy)]
pub enum TableChoice<'t> {
    /// The one of then, where it was kept, else the one that answers now; it is asked only when it is
    /// the one of then.
    Recorded(&'t RuleSet),
    /// One that somebody named, whichever it is.
    Given(&'t RuleSet),
    /// None could be read.
    None,
}

/// The table of then, when its files were kept with the records; none for one that this version does
/// not read as it was read.
pub fn table_of_then(kept: Option<&RuleSnapshot>) -> Option<RuleSet> {
    let kept = kept?;
    let read = rules::parse_snapshot(&kept.copies, &CheckContext::default()).table;
    read.filter(|table| table.fingerprint == kept.fingerprint)
}

/// Explains a record by its own call, at its own time.
pub fn explanation_as_of_then(
    record: &CallRecord,
    asked: TableChoice<'_>,
    sources: &[&Source],
) -> RecordedExplanation {
    let fields = match record.fields() {
        Ok(fields) => fields,
        Err(error) => {
            return RecordedExplanation::Unavailable(format!(
                "it cannot be explained again: {error}"
            ));
        }
    };
    let Some(source) = sources.iter().find(|source| *source.name == *record.source) else {
        let why = format!("the settings have no source `{}` any more", record.source);
        return RecordedExplanation::Unavailable(why);
    };
    let (table, is_named) = match asked {
        TableChoice::Recorded(table) => (table, false),
        TableChoice::Given(table) => (table, true),
        TableChoice::None => {
            let why = "the table cannot be read: see `switchboard check`, or say --rules FILE";
            return RecordedExplanation::Unavailable(why.to_owned());
        }
    };
    let is_the_same = table.fingerprint == record.fingerprint;
    if !is_the_same && !is_named {
        return RecordedExplanation::Unavailable(format!(
            "the table has changed since: {} answered, now it is {}; --rules FILE takes the table \
             of then",
            record.fingerprint, table.fingerprint
        ));
    }
    let facts = Facts { at: record.at };
    let question = Question { source, fields: &fields, facts, all: false };
    let inquiry = match inquire(table, std::iter::once(*source), question) {
        Ok(inquiry) => inquiry,
        Err(differ) => return RecordedExplanation::Unavailable(differ.to_string()),
    };
    let mut notes = Vec::new();
    if !is_the_same {
        notes.push(format!(
            "this is another table than the one that answered: {}, and then it was {}",
            table.fingerprint, record.fingerprint
        ));
    }
    let decision = &inquiry.explanation.decision;
    let is_alike =
        decision.rule() == record.rule.as_deref() && decision.outcome().as_str() == record.outcome;
    if is_the_same && !is_alike {
        notes.push("what was answered is something else: see `why` of the record".to_owned());
    }
    RecordedExplanation::Available { text: inquiry.to_string(), json: inquiry.to_json(), notes }
}

impl RecordedExplanation {
    /// For programs: what `explain` says, with notes; or why there is nothing to say.
    pub fn to_json(&self) -> Value {
        match self {
            RecordedExplanation::Available { json, notes, .. } => {
                let mut told = json.clone();
                told["notes"] = json!(notes);
                told
            }
            RecordedExplanation::Unavailable(why) => json!({ "unexplained": why }),
        }
    }
}
