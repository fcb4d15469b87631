//! Looks up records: a call by a full or partial id, the last events of calls, and what is new.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::query::{EVENT_COLUMNS, call_record, event_record, uuid};
use super::row::{CallRow, dedup_key_of_call_id};
use super::{CallRecord, EventRecord, Filter, Order, Page, Store, StoreError};

/// The calls that a text identifies.
#[derive(Debug, Clone, PartialEq)]
pub enum LookupResult {
    /// One call.
    One(Box<CallRecord>),
    /// No call.
    None,
    /// Several calls: some of their ids, newest first.
    Several(Vec<Uuid>),
}

/// Length of the shortest prefix of an id that is looked up.
pub const SHORTEST_PREFIX: usize = 8;
/// Maximum number of ids in [`LookupResult::Several`].
const MOST_IDS: usize = 10;

impl Store {
    /// Finds a call by its record id, the beginning of it, or its id at the platform.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn lookup(&self, text: &str) -> Result<LookupResult, StoreError> {
        let text = text.trim();
        if let Ok(id) = text.parse::<Uuid>()
            && let Some(call) = self.call(id).await?
        {
            return Ok(LookupResult::One(Box::new(call)));
        }
        let prefix = text.to_ascii_lowercase();
        let is_prefix = prefix.len() >= SHORTEST_PREFIX
            && prefix.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        if is_prefix {
            // A `g` sorts after every character of an id.
            let rows = sqlx::query(AssertSqlSafe(format!(
                "SELECT {}, attempts FROM calls WHERE id >= $1 AND id < $2 \
                 ORDER BY id DESC LIMIT {MOST_IDS}",
                CallRow::COLUMNS.join(", ")
            )))
            .bind(prefix.clone())
            .bind(format!("{prefix}g"))
            .fetch_all(&self.pool)
            .await?;
            let found: Result<Vec<_>, _> = rows.iter().map(call_record).collect();
            match LookupResult::new(found?) {
                LookupResult::None => {}
                found @ (LookupResult::One(_) | LookupResult::Several(_)) => return Ok(found),
            }
        }
        let filter = Filter { call_id: Some(text.to_owned()), ..Filter::default() };
        let page = Page { limit: MOST_IDS, order: Order::NewestFirst, beyond: None };
        Ok(LookupResult::new(self.calls(&filter, page).await?))
    }

    /// Returns the kind of the last event of each of these calls.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn last_events(
        &self,
        calls: &[CallRecord],
    ) -> Result<HashMap<Uuid, String>, StoreError> {
        const CALLS: usize = 500;
        let mut last = HashMap::new();
        for some in calls.chunks(CALLS) {
            let statement = format!(
                "SELECT call, kind FROM events WHERE call IN ({}) ORDER BY id",
                placeholders(some.len())
            );
            let query = sqlx::query(AssertSqlSafe(statement));
            let query = some.iter().fold(query, |query, call| query.bind(call.id.to_string()));
            for row in query.fetch_all(&self.pool).await? {
                last.insert(uuid(&row, 0)?, row.try_get(1)?);
            }
        }
        Ok(last)
    }

    /// Reads up to `limit` events after `beyond` that are linked to no recorded call, oldest first.
    /// Returns those that really belong to none, and the last one read; none at the end.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn lone_events(
        &self,
        beyond: Uuid,
        limit: usize,
    ) -> Result<(Vec<EventRecord>, Option<Uuid>), StoreError> {
        let statement = format!(
            "SELECT {EVENT_COLUMNS} FROM events WHERE id > $1 AND (call IS NULL OR NOT EXISTS \
             (SELECT 1 FROM calls WHERE calls.id = events.call)) ORDER BY id LIMIT {limit}"
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(beyond.to_string())
            .fetch_all(&self.pool)
            .await?;
        let last = rows.last().map(|row| uuid(row, 0)).transpose()?;
        let mut lone = Vec::new();
        for row in &rows {
            let event = event_record(row)?;
            // An event that was stored before its call is not linked to it.
            let has_call = match &event.call_id {
                Some(call_id) => self.has_call(&event.source, call_id).await?,
                None => false,
            };
            if !has_call {
                lone.push(event);
            }
        }
        Ok((lone, last))
    }

    async fn has_call(&self, source: &str, call_id: &str) -> Result<bool, StoreError> {
        let key = dedup_key_of_call_id(source, call_id);
        let query = sqlx::query("SELECT id FROM calls WHERE dedup_key = $1").bind(key.as_str());
        Ok(query.fetch_optional(&self.pool).await?.is_some())
    }

    /// Returns the ids of calls and of events from `first` on.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn ids_since(&self, first: Uuid) -> Result<(Vec<Uuid>, Vec<Uuid>), StoreError> {
        let ids = async |table: &str| {
            let statement = format!("SELECT id FROM {table} WHERE id >= $1 ORDER BY id");
            let query = sqlx::query(AssertSqlSafe(statement)).bind(first.to_string());
            let rows = query.fetch_all(&self.pool).await?;
            rows.iter().map(|row| uuid(row, 0)).collect::<Result<Vec<_>, StoreError>>()
        };
        Ok((ids("calls").await?, ids("events").await?))
    }

    /// Returns the event with this record id.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn event(&self, id: Uuid) -> Result<Option<EventRecord>, StoreError> {
        self.event_with(id, EVENT_COLUMNS).await
    }

    /// Returns the event with this record id, with an empty body, which is not read.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn event_without_body(&self, id: Uuid) -> Result<Option<EventRecord>, StoreError> {
        self.event_with(id, &EVENT_COLUMNS.replace("body", "'' AS body")).await
    }

    async fn event_with(&self, id: Uuid, columns: &str) -> Result<Option<EventRecord>, StoreError> {
        let statement = format!("SELECT {columns} FROM events WHERE id = $1");
        let row = sqlx::query(AssertSqlSafe(statement)).bind(id.to_string());
        row.fetch_optional(&self.pool).await?.as_ref().map(event_record).transpose()
    }
}

impl LookupResult {
    fn new(mut found: Vec<CallRecord>) -> LookupResult {
        match found.len() {
            0 => LookupResult::None,
            1 => LookupResult::One(Box::new(found.remove(0))),
            _ => LookupResult::Several(found.iter().map(|call| call.id).collect()),
        }
    }
}

/// Returns `$1, $2, $3` for a count of 3.
pub(crate) fn placeholders(count: usize) -> String {
    (1..=count).map(|at| format!("${at}")).collect::<Vec<_>>().join(", ")
}
