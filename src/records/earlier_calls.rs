//! A caller's earlier calls, and the question about them.

use std::cmp::Reverse;

use jiff::Timestamp;
use uuid::Uuid;

use super::NumberPolicy;
use super::row::{CallRow, DeliveryKey};
use crate::domain::call::Call;
use crate::rules::MAX_CALLS;

/// A question about the earlier calls of a call's caller to the same source.
#[derive(Debug, Clone)]
pub(crate) struct HistoryQuestion {
    pub(crate) source: String,
    /// Every form in which the store may hold the caller.
    pub(crate) forms: Vec<String>,
    /// The call itself, which another replica or an earlier delivery may have recorded. `None` if nothing
    /// tells its deliveries from other calls.
    pub(crate) at_hand: Option<DeliveryKey>,
}

impl HistoryQuestion {
    /// Asks about the caller of a call that arrived at `at`.
    ///
    /// # Errors
    /// Fails with the reason for which there is no answer.
    pub(crate) fn new(
        call: &Call<'_>,
        at: Timestamp,
        numbers: &NumberPolicy,
    ) -> Result<HistoryQuestion, &'static str> {
        if !numbers.identifies_callers() {
            return Err("records store masked numbers");
        }
        Ok(HistoryQuestion {
            source: call.source().to_owned(),
            forms: numbers.stored_forms(call.from()),
            at_hand: DeliveryKey::of_call(call, at, numbers),
        })
    }
}

/// An earlier call of a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierCall {
    /// Id of the record.
    pub id: Uuid,
    /// Identifies the delivery.
    pub key: DeliveryKey,
    /// Time of arrival, in Unix milliseconds.
    pub at_ms: i64,
    /// Agent that was selected.
    pub agent: Option<String>,
    /// Rule that decided.
    pub rule: Option<String>,
}

impl From<&CallRow> for EarlierCall {
    fn from(row: &CallRow) -> EarlierCall {
        EarlierCall {
            id: row.id,
            key: row.dedup_key,
            at_ms: row.at_ms,
            agent: row.agent.clone(),
            rule: row.rule.clone(),
        }
    }
}

/// Keeps the last decision of each call, since a call can be found twice: it waits and was written
/// meanwhile, or was delivered and decided again. The newest calls come first.
pub(crate) fn newest_of_each(mut calls: Vec<EarlierCall>) -> Vec<EarlierCall> {
    let age = |call: &EarlierCall| Reverse((call.at_ms, call.id));
    calls.sort_unstable_by_key(|call| (call.key, age(call)));
    calls.dedup_by_key(|call| call.key);
    calls.sort_unstable_by_key(age);
    calls.truncate(MAX_CALLS);
    calls
}
