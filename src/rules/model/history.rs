//! `history`: the built-in look-up of the caller's earlier calls to the same source.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Value, json};

use super::lookup::BreakerPolicy;
use crate::diagnostics::{Problem, did_you_mean};
use crate::domain::facts::{LookupAnswer, LookupState};

/// How the records are asked for histories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryPolicy {
    /// Longest time for which a call waits.
    pub timeout: Duration,
    /// Maximum number of questions at the same time.
    pub max_concurrent: usize,
    /// When the records are left alone.
    pub breaker: BreakerPolicy,
}

impl Default for HistoryPolicy {
    fn default() -> HistoryPolicy {
        HistoryPolicy {
            timeout: Duration::from_millis(500),
            max_concurrent: 8,
            breaker: BreakerPolicy { failures: 5, pause: Duration::from_secs(10) },
        }
    }
}

/// Name of the look-up.
pub(crate) const NAME: &str = "history";

/// Names of its fields.
pub(crate) const FIELDS: [&str; 6] =
    ["calls_1h", "calls_24h", "calls_30d", "last_agent", "last_rule", "last_seen_days"];

/// Calls of one caller that are counted; the newest ones.
pub(crate) const MAX_CALLS: usize = 1_000;
/// Largest number of days since a call: the longest time for which records are kept.
const MAX_DAYS: usize = 36_500;

/// Returns the values that a field can have; `None` if it is a text.
pub(crate) fn numbers_of(field: &str) -> Option<RangeInclusive<usize>> {
    match field {
        "calls_1h" | "calls_24h" | "calls_30d" => Some(0..=MAX_CALLS),
        "last_seen_days" => Some(0..=MAX_DAYS),
        _ => None,
    }
}

/// Returns the history of a caller who calls for the first time.
pub(crate) fn of_new_caller() -> Value {
    json!({ "calls_1h": 0, "calls_24h": 0, "calls_30d": 0 })
}

/// Returns the answer about a caller whose number is withheld, who has no history.
pub(crate) fn of_withheld_caller() -> LookupAnswer {
    let problem = Some("the number is withheld".into());
    LookupAnswer { problem, ..LookupAnswer::unknown(LookupState::NotAsked) }
}

/// Returns the problem of a field that the history does not have.
pub(crate) fn unknown_field(field: &str) -> Option<Problem> {
    if FIELDS.contains(&field) {
        return None;
    }
    let names = FIELDS.map(|field| format!("`{NAME}.{field}`")).join(", ");
    let message = format!("the history has no field `{field}`");
    let help = did_you_mean(field, FIELDS).unwrap_or_else(|| format!("use one of {names}"));
    Some(Problem::new("unknown-value", message).help(help))
}
