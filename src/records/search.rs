//! Reading for pages: a search that ends, and counts for a chart.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::Row;
use uuid::Uuid;

use super::query::{FilterSql, QUARTER_MS, timestamp, uuid};
use super::store::time_of_id;
use super::{CallRecord, Filter, Order, PageCursor, Store, StoreError};

/// The newest calls that match, as far as a search went.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundCalls {
    /// Calls, newest first.
    pub calls: Vec<CallRecord>,
    /// The oldest record that was looked at, if there are older ones: where to go on.
    pub resume_before: Option<Uuid>,
}

/// Numbers of calls by outcome, one for each quarter of an hour that has calls.
pub type OutcomeCounts = BTreeMap<(Timestamp, String), u64>;

/// Records in the first part of a search, and in each later one. The first page is often in the first part.
const FIRST_PART: usize = 1_000;
const PART: usize = 20_000;

impl Store {
    /// Finds the newest calls that match, up to `limit` of them, among the newest `most` records before
    /// `before`. However rare the calls are, and whatever the filter, the search takes a bounded time.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn search(
        &self,
        filter: &Filter,
        before: Option<Uuid>,
        limit: usize,
        most: usize,
    ) -> Result<FoundCalls, StoreError> {
        let is_only_number = Filter { number: None, since: None, until: None, ..filter.clone() }
            == Filter::default();
        if filter.call_id.is_some() || filter.number.is_some() && is_only_number {
            // Found by an index.
            let page = PageCursor { limit, order: Order::NewestFirst, beyond: before };
            let calls = self.calls(filter, page).await?;
            let last = calls.last().filter(|_| calls.len() >= limit).map(|call| call.id);
            return Ok(FoundCalls { calls, resume_before: last });
        }
        let mut calls = Vec::new();
        let (mut beyond, mut seen, mut part) = (before, 0, FIRST_PART);
        loop {
            let size = part.min(most - seen);
            let first = self.id_before(filter, beyond, size).await?;
            let page = PageCursor { limit: limit - calls.len(), order: Order::NewestFirst, beyond };
            calls.extend(self.calls_since(filter, page, first).await?);
            if calls.len() >= limit {
                let last = calls.last().map(|call| call.id);
                return Ok(FoundCalls { calls, resume_before: last });
            }
            // Fewer records than a part are the rest.
            let Some(first) = first else { return Ok(FoundCalls { calls, resume_before: None }) };
            seen += size;
            if seen >= most {
                return Ok(FoundCalls { calls, resume_before: Some(first) });
            }
            (beyond, part) = (Some(first), PART);
        }
    }

    /// Returns the id of the record that is `count` records older than `beyond`, or than the newest one.
    async fn id_before(
        &self,
        filter: &Filter,
        beyond: Option<Uuid>,
        count: usize,
    ) -> Result<Option<Uuid>, StoreError> {
        let page = PageCursor { limit: 1, order: Order::NewestFirst, beyond };
        let times = Filter { since: filter.since, until: filter.until, ..Filter::default() };
        let wanted = FilterSql::new(&times).page(page);
        let statement = format!(
            "SELECT id FROM calls {} ORDER BY id DESC LIMIT 1 OFFSET {}",
            wanted.clause(),
            count.saturating_sub(1)
        );
        let row = wanted.bound(statement).fetch_optional(&self.pool).await?;
        row.map(|row| uuid(&row, 0)).transpose()
    }

    /// Returns the time of the oldest of the newest `count` records in the time of a filter, if there are more.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn time_of_record(
        &self,
        filter: &Filter,
        count: usize,
    ) -> Result<Option<Timestamp>, StoreError> {
        let id = self.id_before(filter, None, count).await?;
        Ok(id.map(time_of_id))
    }

    /// Counts the calls that match by quarter of an hour and outcome.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn outcome_counts(&self, filter: &Filter) -> Result<OutcomeCounts, StoreError> {
        let mut counts = OutcomeCounts::new();
        for wanted in self.parts(filter).await? {
            // In the order of the index, which covers it.
            let statement = format!(
                "SELECT at_ms / {QUARTER_MS}, outcome, COUNT(*) FROM calls {} GROUP BY 1, 2",
                wanted.clause()
            );
            for row in wanted.bound(statement).fetch_all(&self.pool).await? {
                let start = timestamp(row.try_get::<i64, _>(0)? * QUARTER_MS)?;
                let count = row.try_get::<i64, _>(2)?.unsigned_abs();
                *counts.entry((start, row.try_get(1)?)).or_default() += count;
            }
        }
        Ok(counts)
    }
}
