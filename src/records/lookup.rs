//! Looks up records: a call by a full or partial id, and what is new.

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::query::{call_record, uuid};
use super::row::CallRow;
use super::{CallRecord, Filter, Order, PageCursor, Store, StoreError};

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
        let page = PageCursor { limit: MOST_IDS, order: Order::NewestFirst, beyond: None };
        Ok(LookupResult::new(self.calls(&filter, page).await?))
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
