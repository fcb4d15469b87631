//! Records to look at: one by what somebody knows of its id, the last event of each, what is new.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::query::{EVENT_COLUMNS, call_record, event_record, uuid};
use super::row::{CallRow, delivery_of};
use super::{CallRecord, EventRecord, Filter, Order, Page, Store, StoreError};

/// The records that an id may mean.
#[derive(Debug, Clone, PartialEq)]
pub enum LookupResult {
    /// This one.
    One(Box<CallRecord>),
    /// No record of a call.
    None,
    /// Several; some of their ids, newest first.
    Several(Vec<Uuid>),
}

/// A shorter text could mean too much.
pub const SHORTEST_PREFIX: usize = 8;
/// So many are named of those that are meant.
const NAMED: usize = 10;

impl Store {
    /// The record with this id, with an id that begins so, or with this id at its platform.
    ///
    /// # Errors
    /// When the database says no.
    pub async fn meant(&self, text: &str) -> Result<LookupResult, StoreError> {
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
            // No id has a `g`, and it comes after whatever an id has.
            let rows = sqlx::query(AssertSqlSafe(format!(
                "SELECT {}, attempts FROM calls WHERE id >= $1 AND id < $2 \
                 ORDER BY id DESC LIMIT {NAMED}",
                CallRow::COLUMNS.join(", ")
            )))
            .bind(prefix.clone())
            .bind(format!("{prefix}g"))
            .fetch_all(&self.pool)
            .await?;
            let found: Result<Vec<_>, _> = rows.iter().map(call_record).collect();
            match LookupResult::of(found?) {
                LookupResult::None => {}
                found @ (LookupResult::One(_) | LookupResult::Several(_)) => return Ok(found),
            }
        }
        let filter = Filter { call_id: Some(text.to_owned()), ..Filter::default() };
        let page = Page { limit: NAMED, order: Order::NewestFirst, beyond: None };
        Ok(LookupResult::of(self.calls(&filter, page).await?))
    }

    /// The kind of the event of each of these calls that was told last.
    ///
    /// # Errors
    /// When the database says no.
    pub async fn last_events(
        &self,
        calls: &[CallRecord],
    ) -> Result<HashMap<Uuid, String>, StoreError> {
        const AT_ONCE: usize = 500;
        let mut last = HashMap::new();
        for some in calls.chunks(AT_ONCE) {
            let statement = format!(
                "SELECT call, kind FROM events WHERE call IN ({}) ORDER BY id",
                places(some.len())
            );
            let query = sqlx::query(AssertSqlSafe(statement));
            let query = some.iter().fold(query, |query, call| query.bind(call.id.to_string()));
            for row in query.fetch_all(&self.pool).await? {
                last.insert(uuid(&row, 0)?, row.try_get(1)?);
            }
        }
        Ok(last)
    }

    /// Events that come after `beyond` and belong to no call that is recorded, oldest first;
    /// `limit` of them at most are looked at. Where that ended, none at the end of all.
    ///
    /// # Errors
    /// When the database says no.
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
            // One that was told before its call was written belongs to it all the same.
            let of_a_call = match &event.call_id {
                Some(call_id) => self.is_delivered(&event.source, call_id).await?,
                None => false,
            };
            if !of_a_call {
                lone.push(event);
            }
        }
        Ok((lone, last))
    }

    async fn is_delivered(&self, source: &str, call_id: &str) -> Result<bool, StoreError> {
        let asked = sqlx::query("SELECT id FROM calls WHERE delivery = $1")
            .bind(delivery_of(source, call_id));
        Ok(asked.fetch_optional(&self.pool).await?.is_some())
    }

    /// The ids of calls and of events from `first` on.
    ///
    /// # Errors
    /// When the database says no.
    pub async fn ids_since(&self, first: Uuid) -> Result<(Vec<Uuid>, Vec<Uuid>), StoreError> {
        let ids = async |table: &str| {
            let statement = format!("SELECT id FROM {table} WHERE id >= $1 ORDER BY id");
            let asked = sqlx::query(AssertSqlSafe(statement)).bind(first.to_string());
            let rows = asked.fetch_all(&self.pool).await?;
            rows.iter().map(|row| uuid(row, 0)).collect::<Result<Vec<_>, StoreError>>()
        };
        Ok((ids("calls").await?, ids("events").await?))
    }

    /// The event of this record.
    ///
    /// # Errors
    /// When the database says no.
    pub async fn event(&self, id: Uuid) -> Result<Option<EventRecord>, StoreError> {
        let statement = format!("SELECT {EVENT_COLUMNS} FROM events WHERE id = $1");
        let row = sqlx::query(AssertSqlSafe(statement)).bind(id.to_string());
        row.fetch_optional(&self.pool).await?.as_ref().map(event_record).transpose()
    }
}

impl LookupResult {
    fn of(mut found: Vec<CallRecord>) -> LookupResult {
        match found.len() {
            0 => LookupResult::None,
            1 => LookupResult::One(Box::new(found.remove(0))),
            _ => LookupResult::Several(found.iter().map(|call| call.id).collect()),
        }
    }
}

/// `$1, $2, $3`.
pub(crate) fn places(count: usize) -> String {
    (1..=count).map(|at| format!("${at}")).collect::<Vec<_>>().join(", ")
}
