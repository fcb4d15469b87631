//! A caller's earlier calls in the store, for the `history` of rules.

use sqlx::{AssertSqlSafe, Executor, Row};

use super::query::uuid;
use super::waiting_calls::EarlierCall;
use super::{NumberPolicy, Store, StoreError};
use crate::domain::party::Party;

/// Calls of one caller that are counted; the newest ones.
const MAX_CALLS: usize = 1_000;

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
