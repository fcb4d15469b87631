//! Why a call was answered as it was: asked again, of the table and at the time of then.

use serde_json::{Value, json};

use super::{Question, inquire};
use crate::domain::facts::Facts;
use crate::records::{CallRecord, TableCopy};
use crate::rules;
use crate::rules::{Surroundings, Table};
use crate::source::Source;

/// The story of a recorded call.
pub enum Then {
    /// As `explain` tells it.
    Told {
        /// For people.
        text: String,
        /// For programs.
        json: Value,
        /// What else there is to know.
        notes: Vec<String>,
    },
    /// Why it cannot be told.
    Untold(String),
}

/// The table that is asked.
#[derive(Clone, Copy)]
pub enum Asked<'t> {
    /// The one of then, where it was kept, else the one that answers now; it is asked only when it is
    /// the one of then.
    Kept(&'t Table),
    /// One that somebody named, whichever it is.
    Named(&'t Table),
    /// None could be read.
    None,
}

/// The table of then, when its files were kept with the records; none for one that this version does
/// not read as it was read.
pub fn table_of_then(kept: Option<&TableCopy>) -> Option<Table> {
    let kept = kept?;
    let read = rules::parse_copies(&kept.copies, &Surroundings::default()).table;
    read.filter(|table| table.fingerprint == kept.fingerprint)
}

/// Explains a record by its own call, at its own time.
pub fn explanation_as_of_then(record: &CallRecord, asked: Asked<'_>, sources: &[&Source]) -> Then {
    let fields = match record.fields() {
        Ok(fields) => fields,
        Err(error) => return Then::Untold(format!("it cannot be explained again: {error}")),
    };
    let Some(source) = sources.iter().find(|source| *source.name == *record.source) else {
        let why = format!("the settings have no source `{}` any more", record.source);
        return Then::Untold(why);
    };
    let (table, is_named) = match asked {
        Asked::Kept(table) => (table, false),
        Asked::Named(table) => (table, true),
        Asked::None => {
            let why = "the table cannot be read: see `switchboard check`, or say --rules FILE";
            return Then::Untold(why.to_owned());
        }
    };
    let is_the_same = table.fingerprint == record.fingerprint;
    if !is_the_same && !is_named {
        return Then::Untold(format!(
            "the table has changed since: {} answered, now it is {}; --rules FILE takes the table \
             of then",
            record.fingerprint, table.fingerprint
        ));
    }
    let facts = Facts { at: record.at };
    let question = Question { source, fields: &fields, facts, all: false };
    let inquiry = match inquire(table, std::iter::once(*source), question) {
        Ok(inquiry) => inquiry,
        Err(differ) => return Then::Untold(differ.to_string()),
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
    Then::Told { text: inquiry.to_string(), json: inquiry.to_json(), notes }
}

impl Then {
    /// For programs: what `explain` says, with notes; or why there is nothing to say.
    pub fn to_json(&self) -> Value {
        match self {
            Then::Told { json, notes, .. } => {
                let mut told = json.clone();
                told["notes"] = json!(notes);
                told
            }
            Then::Untold(why) => json!({ "unexplained": why }),
        }
    }
}
