//! Calls that wait to be written, by caller: a history counts them, too.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::row::CallRow;

/// An earlier call of a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierCall {
    /// Id of the record.
    pub id: Uuid,
    /// Time of arrival, in Unix milliseconds.
    pub at_ms: i64,
    /// Agent that was selected.
    pub agent: Option<String>,
    /// Rule that decided.
    pub rule: Option<String>,
}

/// Calls that wait to be written, by caller. Nothing is noted until a rule table asks for histories.
#[derive(Default)]
pub(crate) struct WaitingCalls {
    is_used: AtomicBool,
    by_caller: Mutex<HashMap<Caller, Vec<EarlierCall>>>,
}

/// Name of a source, and a caller in the form in which records store numbers.
type Caller = (Box<str>, Box<str>);

/// A call that waits, until this value is dropped.
pub(crate) struct WaitingCall {
    calls: Arc<WaitingCalls>,
    caller: Caller,
    id: Uuid,
}

impl WaitingCalls {
    /// Begins to note calls. Returns whether it did not before.
    pub(crate) fn use_from_now_on(&self) -> bool {
        !self.is_used.swap(true, Ordering::Relaxed)
    }

    /// Notes a call that is about to be queued.
    pub(crate) fn add(self: &Arc<WaitingCalls>, row: &CallRow) -> Option<WaitingCall> {
        if !self.is_used.load(Ordering::Relaxed) {
            return None;
        }
        let call = EarlierCall {
            id: row.id,
            at_ms: row.at_ms,
            agent: row.agent.clone(),
            rule: row.rule.clone(),
        };
        let caller: Caller = (row.source.as_str().into(), row.from.as_str().into());
        self.guarded().entry(caller.clone()).or_default().push(call);
        Some(WaitingCall { calls: self.clone(), caller, id: row.id })
    }

    /// Returns the calls of a caller that wait.
    pub(crate) fn of(&self, source: &str, forms: &[String]) -> Vec<EarlierCall> {
        let by_caller = self.guarded();
        let calls =
            forms.iter().filter_map(|form| by_caller.get(&(source.into(), (**form).into())));
        calls.flatten().cloned().collect()
    }

    fn guarded(&self) -> MutexGuard<'_, HashMap<Caller, Vec<EarlierCall>>> {
        self.by_caller.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WaitingCall {
    fn drop(&mut self) {
        let mut by_caller = self.calls.guarded();
        if let Some(calls) = by_caller.get_mut(&self.caller) {
            calls.retain(|call| call.id != self.id);
            if calls.is_empty() {
                by_caller.remove(&self.caller);
            }
        }
    }
}
