//! A caller's earlier calls, for the `history` of rules: those in the store, and those that wait to be
//! written.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::{AssertSqlSafe, Executor, Row};
use uuid::Uuid;

use super::query::uuid;
use super::row::CallRow;
use super::{NumberPolicy, Store, StoreError};
use crate::domain::party::Party;

/// Calls of one caller that are counted; the newest ones.
const MAX_CALLS: usize = 1_000;

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

impl Store {
    /// Creates the index by which histories are found, which only those pay for who use them: a random
    /// page of it is written for each call.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn index_history(&self) -> Result<(), StoreError> {
        // PostgreSQL goes on writing calls meanwhile.
        let concurrently = if self.is_postgres { "CONCURRENTLY" } else { "" };
        let statement = format!(
            "CREATE INDEX {concurrently} IF NOT EXISTS calls_history \
             ON calls (substr(from_party, 1, 64), source, at_ms)"
        );
        self.deleting_pool().execute(AssertSqlSafe(statement)).await?;
        Ok(())
    }

    /// Returns the newest calls of a caller to a source, at most a thousand.
    ///
    /// # Errors
    /// Fails with the reason for which they are unknown.
    pub async fn history(
        &self,
        source: &str,
        caller: &Party,
        numbers: &NumberPolicy,
    ) -> Result<Vec<EarlierCall>, &'static str> {
        if !numbers.identifies_callers() {
            return Err("records store masked numbers");
        }
        let forms = numbers.stored_forms(caller);
        let calls = self.calls_of(source, &forms).await;
        calls.map_err(|_| "the record store cannot be read")
    }

    async fn calls_of(
        &self,
        source: &str,
        forms: &[String],
    ) -> Result<Vec<EarlierCall>, StoreError> {
        let mut calls = Vec::new();
        for form in forms {
            let statement = format!(
                "SELECT id, at_ms, agent, rule FROM calls \
                 WHERE substr(from_party, 1, 64) = substr($1, 1, 64) AND from_party = $1 \
                 AND source = $2 ORDER BY at_ms DESC LIMIT {MAX_CALLS}"
            );
            let query = sqlx::query(AssertSqlSafe(statement)).bind(form).bind(source);
            for row in query.fetch_all(&self.pool).await? {
                calls.push(EarlierCall {
                    id: uuid(&row, 0)?,
                    at_ms: row.try_get(1)?,
                    agent: row.try_get(2)?,
                    rule: row.try_get(3)?,
                });
            }
        }
        Ok(calls)
    }
}
