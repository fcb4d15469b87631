//! When the newest records of each source arrived.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Row};

use super::query::time;
use super::{Store, StoreError};

/// Newest calls, and newest events, among which a source is searched.
const MOST_CALLS: usize = 200_000;
const MOST_EVENTS: usize = 20_000;

/// Beginning of the platform's call id of a test call, by which its record is recognised.
pub(crate) const TEST_CALL: &str = "switchboard_test_";

/// Times of arrival of the newest records of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LastRecorded {
    /// Of a call.
    pub call: Option<Timestamp>,
    /// Of an event.
    pub event: Option<Timestamp>,
}

impl Store {
    /// Returns the times of the newest call and the newest event of each source, by its name. A source that has none
    /// among the newest records is left out, and test calls of the console are no calls.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn last_recorded(&self) -> Result<BTreeMap<String, LastRecorded>, StoreError> {
        let mut last: BTreeMap<String, LastRecorded> = BTreeMap::new();
        for (source, at) in self.newest_by_source("calls", MOST_CALLS).await? {
            last.entry(source).or_default().call = Some(at);
        }
        for (source, at) in self.newest_by_source("events", MOST_EVENTS).await? {
            last.entry(source).or_default().event = Some(at);
        }
        Ok(last)
    }

    async fn newest_by_source(
        &self,
        table: &str,
        most: usize,
    ) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let statement = format!(
            "SELECT source, MAX(at_ms) FROM (SELECT source, at_ms, call_id FROM {table} ORDER BY id DESC \
             LIMIT {most}) AS newest WHERE call_id IS NULL OR substr(call_id, 1, {}) <> '{TEST_CALL}' \
             GROUP BY source",
            TEST_CALL.len()
        );
        let rows = sqlx::query(AssertSqlSafe(statement)).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, time(row, 1)?))).collect()
    }
}
