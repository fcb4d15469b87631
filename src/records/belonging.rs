//! Which call an event belongs to: one condition for every way of reading events.
//!
//! An event has the id of its call from the moment when both are stored. It may have been stored
//! before the call, or before the call was decided again under a new id; then the call id of the
//! platform finds the call.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::lookup::placeholders;
use super::query::{EVENT_COLUMNS, event_record, uuid};
use super::row::dedup_key_of_call_id;
use super::sql::REDECIDED_WITHIN_MS;
use super::store::{first_id_at, time_of_id};
use super::{CallRecord, EventRecord, Store, StoreError};

/// Maximum number of calls whose events one statement reads.
const CALLS: usize = 500;

/// The keys by which an event finds its call.
struct EventKeys {
    source: String,
    call_id: Option<String>,
    /// The call as it was when the event was stored.
    call: Option<Uuid>,
}

impl Store {
    /// Returns the events of a call, in the order in which they arrived.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn events_of(&self, call: &CallRecord) -> Result<Vec<EventRecord>, StoreError> {
        let rows = self.event_rows(call, EVENT_COLUMNS).await?;
        let mut events = Vec::new();
        for row in &rows {
            let event = self.with_its_call(event_record(row)?).await?;
            if event.call == Some(call.id) {
                events.push(event);
            }
        }
        Ok(events)
    }

    /// Returns the ids of the events of a call, in the order in which they arrived. The events of a call can
    /// be larger than the memory; by their ids they can be read one by one.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn event_ids_of(&self, call: &CallRecord) -> Result<Vec<Uuid>, StoreError> {
        let mut ids = Vec::new();
        for row in &self.event_rows(call, "id, source, call_id, call").await? {
            let of_call: Option<String> = row.try_get(3)?;
            let of_call = of_call.and_then(|id| id.parse().ok());
            let keys =
                EventKeys { source: row.try_get(1)?, call_id: row.try_get(2)?, call: of_call };
            if self.call_of(&keys).await? == Some(call.id) {
                ids.push(uuid(row, 0)?);
            }
        }
        Ok(ids)
    }

    /// Returns columns of the events that may belong to a call.
    async fn event_rows(
        &self,
        call: &CallRecord,
        columns: &str,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let statement = format!(
            "SELECT {columns} FROM events WHERE call = $1 OR (source = $2 \
             AND substr(call_id, 1, 64) = substr($3, 1, 64) AND call_id = $3) ORDER BY id"
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(call.id.to_string())
            .bind(&call.source)
            .bind(&call.call_id)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows)
    }

    /// Returns the kind of the last event of each of these calls.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn last_events(
        &self,
        calls: &[CallRecord],
    ) -> Result<HashMap<Uuid, String>, StoreError> {
        let mut last = HashMap::new();
        for some in calls.chunks(CALLS) {
            let ids: Vec<String> = some.iter().map(|call| call.id.to_string()).collect();
            let call_ids: Vec<&String> =
                some.iter().filter_map(|call| call.call_id.as_ref()).collect();
            let (ids_end, count) = (ids.len(), ids.len() + call_ids.len());
            let places = |from: usize, to: usize, format: &dyn Fn(usize) -> String| {
                (from + 1..=to).map(format).collect::<Vec<_>>().join(", ")
            };
            let by_call_id = match call_ids.is_empty() {
                true => String::new(),
                false => format!(
                    " OR (substr(call_id, 1, 64) IN ({}) AND call_id IN ({}))",
                    places(ids_end, count, &|place| format!("substr(${place}, 1, 64)")),
                    places(ids_end, count, &|place| format!("${place}")),
                ),
            };
            let statement = format!(
                "SELECT source, call_id, call, kind FROM events WHERE call IN ({}){by_call_id} \
                 ORDER BY id",
                placeholders(ids_end)
            );
            let query = sqlx::query(AssertSqlSafe(statement));
            let query = ids.iter().fold(query, |query, id| query.bind(id.clone()));
            let query = call_ids.into_iter().fold(query, |query, id| query.bind(id.clone()));
            for row in query.fetch_all(&self.pool).await? {
                let call: Option<String> = row.try_get(2)?;
                let call = call.and_then(|id| id.parse().ok());
                let keys = EventKeys { source: row.try_get(0)?, call_id: row.try_get(1)?, call };
                let is_listed = call.is_some_and(|id| some.iter().any(|call| call.id == id));
                let owner = if is_listed { call } else { self.call_of(&keys).await? };
                if let Some(owner) = owner {
                    last.insert(owner, row.try_get(3)?);
                }
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
            let event = self.with_its_call(event_record(row)?).await?;
            if event.call.is_none() {
                lone.push(event);
            }
        }
        Ok((lone, last))
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
        match row.fetch_optional(&self.pool).await? {
            Some(row) => Ok(Some(self.with_its_call(event_record(&row)?).await?)),
            None => Ok(None),
        }
    }

    /// Replaces the stored id of the call by that of the recorded call to which the event belongs.
    async fn with_its_call(&self, event: EventRecord) -> Result<EventRecord, StoreError> {
        let keys = EventKeys {
            source: event.source.clone(),
            call_id: event.call_id.clone(),
            call: event.call,
        };
        Ok(EventRecord { call: self.call_of(&keys).await?, ..event })
    }

    /// Returns the recorded call to which an event belongs.
    async fn call_of(&self, event: &EventKeys) -> Result<Option<Uuid>, StoreError> {
        if let Some(call) = event.call
            && self.find_id("SELECT id FROM calls WHERE id = $1", &[&call.to_string()]).await?
                == Some(call)
        {
            return Ok(Some(call));
        }
        let EventKeys { source, call_id: Some(call_id), call } = event else { return Ok(None) };
        let key = dedup_key_of_call_id(source, call_id);
        let by_key = "SELECT id FROM calls WHERE dedup_key = $1";
        if let Some(found) = self.find_id(by_key, &[key.as_str()]).await? {
            return Ok(Some(found));
        }
        if let Some(call) = call {
            // Decided again under another id, a moment later.
            let at = |ms: i64| Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
            let until = time_of_id(*call).as_millisecond().saturating_add(REDECIDED_WITHIN_MS + 1);
            let again = "SELECT id FROM calls WHERE id > $1 AND id < $2 AND source = $3 \
                         AND call_id = $4 ORDER BY id LIMIT 1";
            let (from, until) = (call.to_string(), first_id_at(at(until)).to_string());
            if let Some(found) = self.find_id(again, &[&from, &until, source, call_id]).await? {
                return Ok(Some(found));
            }
        }
        // Another event of the call has found it by the numbers.
        let by_event = "SELECT calls.id FROM events JOIN calls ON calls.id = events.call \
                        WHERE substr(events.call_id, 1, 64) = substr($1, 1, 64) \
                        AND events.call_id = $1 AND events.source = $2 \
                        ORDER BY events.id LIMIT 1";
        self.find_id(by_event, &[call_id, source]).await
    }

    async fn find_id(&self, statement: &str, texts: &[&str]) -> Result<Option<Uuid>, StoreError> {
        let query = sqlx::query(AssertSqlSafe(statement.to_owned()));
        let query = texts.iter().fold(query, |query, text| query.bind((*text).to_owned()));
        let row = query.fetch_optional(&self.pool).await?;
        row.as_ref().map(|row| uuid(row, 0)).transpose()
    }
}
