//! A caller's earlier calls in the store, for the `history` of rules.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Row};

use super::connections::HistoryPool;
use super::earlier_calls::{EarlierCall, HistoryQuestion, newest_of_each};
use super::query::uuid;
use super::row::DeliveryKey;
use super::{NumberPolicy, Store, StoreError};
use crate::domain::call::Call;
use crate::rules::MAX_CALLS;

/// A question about a caller's earlier calls that can be asked without the call.
pub struct HistoryReading {
    histories: Arc<HistoryPool>,
    question: HistoryQuestion,
    /// The caller's calls that are not written yet.
    waiting: Vec<EarlierCall>,
}

impl HistoryReading {
    /// Returns the newest earlier calls, at most a thousand, the newest first. The database ends a query
    /// that takes longer than `timeout`.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn calls(self, timeout: Duration) -> Result<Vec<EarlierCall>, StoreError> {
        let HistoryReading { histories, question, waiting: mut calls } = self;
        let pool = histories.with_timeout(timeout);
        for form in &question.forms {
            let statement = format!(
                "SELECT id, dedup_key, at_ms, agent, rule FROM calls \
                 WHERE substr(from_party, 1, 64) = substr($1, 1, 64) AND from_party = $1 \
                 AND source = $2 AND dedup_key <> $3 ORDER BY at_ms DESC LIMIT {MAX_CALLS}"
            );
            let at_hand = question.at_hand.as_ref().map_or("", DeliveryKey::as_str);
            let query = sqlx::query(AssertSqlSafe(statement));
            let query = query.bind(form).bind(&question.source).bind(at_hand);
            for row in query.fetch_all(&pool).await? {
                calls.push(EarlierCall {
                    id: uuid(&row, 0)?,
                    key: DeliveryKey::of_column(row.try_get(1)?),
                    at_ms: row.try_get(2)?,
                    agent: row.try_get(3)?,
                    rule: row.try_get(4)?,
                });
            }
        }
        Ok(newest_of_each(calls))
    }
}

impl Store {
    /// Prepares the reading of the earlier calls of a call's caller to the same source.
    ///
    /// # Errors
    /// Fails with the reason for which they are unknown.
    pub fn history(
        &self,
        call: &Call<'_>,
        at: Timestamp,
        numbers: &NumberPolicy,
    ) -> Result<HistoryReading, &'static str> {
        Ok(self.read_history(HistoryQuestion::new(call, at, numbers)?, Vec::new()))
    }

    /// Opens a connection, so that the first call does not wait for it.
    pub(crate) async fn connect_for_histories(&self, timeout: Duration) {
        // Whatever is wrong now, the first question will tell.
        drop(self.histories.with_timeout(timeout).acquire().await);
    }

    /// Prepares the reading of a caller's earlier calls; `waiting` are those that are not written yet.
    pub(crate) fn read_history(
        &self,
        question: HistoryQuestion,
        waiting: Vec<EarlierCall>,
    ) -> HistoryReading {
        HistoryReading { histories: self.histories.clone(), question, waiting }
    }
}
