//! Reading records: those that a [`Filter`] asks for, what became of a call, how many there are.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::row::{CallRow, storable};
use super::store::first_id_at;
use super::{CallRecord, EventRecord, Filter, RuleSnapshot, Store, StoreError};

/// In the order of [`event_record`].
pub(crate) const EVENT_COLUMNS: &str =
    "id, at_ms, source, platform, kind, call_id, call, attempts, details, body";

impl Store {
    /// Calls that fit, newest first or oldest first, `page.limit` of them at most.
    ///
    /// # Errors
    /// When the database says no.
    pub async fn calls(&self, filter: &Filter, page: Page) -> Result<Vec<CallRecord>, StoreError> {
        let mut wanted = FilterSql::of(filter);
        let order = match page.order {
            Order::NewestFirst => {
                page.beyond.into_iter().for_each(|id| wanted.and("id <", &id.to_string()));
                "DESC"
            }
            Order::OldestFirst => {
                page.beyond.into_iter().for_each(|id| wanted.and("id >", &id.to_string()));
                "ASC"
            }
        };
        let columns = CallRow::COLUMNS.join(", ");
        let statement = format!(
            "SELECT {columns}, attempts FROM calls {} ORDER BY id {order} LIMIT {}",
            wanted.clause(),
            page.limit.min(i64::MAX as usize)
        );
        let rows = wanted.bound(statement).fetch_all(&self.pool).await?;
        rows.iter().map(call_record).collect()
    }

    /// The call of this record.
    ///
    /// # Errors
    /// When the database says no.
    pub async fn call(&self, id: Uuid) -> Result<Option<CallRecord>, StoreError> {
        let statement =
            format!("SELECT {}, attempts FROM calls WHERE id = $1", CallRow::COLUMNS.join(", "));
        let row = sqlx::query(AssertSqlSafe(statement)).bind(id.to_string());
        row.fetch_optional(&self.pool).await?.as_ref().map(call_record).transpose()
    }

    /// What became of a call, in the order in which it was told.
    ///
    /// # Errors
    /// When the database says no.
    pub async fn events_of(&self, call: &CallRecord) -> Result<Vec<EventRecord>, StoreError> {
        // By the call id is found what was told before the call was written, and what was told of
        // it before it was answered anew.
        let rows = sqlx::query(AssertSqlSafe(format!(
            "SELECT {EVENT_COLUMNS} FROM events WHERE call = $1 OR (source = $2 \
             AND substr(call_id, 1, 64) = substr($3, 1, 64) AND call_id = $3) ORDER BY id"
        )))
        .bind(call.id.to_string())
        .bind(&call.source)
        .bind(&call.call_id)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(event_record).collect()
    }

    /// How many calls fit, by rule, by outcome, and by quarter of an hour since 1970.
    ///
    /// # Errors
    /// When the database says no.
    pub async fn counts(&self, filter: &Filter) -> Result<Counts, StoreError> {
        let wanted = FilterSql::of(filter);
        let clause = wanted.clause();
        let quarter = "CAST(at_ms / 900000 AS BIGINT)";
        let by = |what: &str| {
            format!("SELECT {what}, COUNT(*) FROM calls {clause} GROUP BY 1 ORDER BY 2 DESC, 1")
        };
        let mut counts = Counts::default();
        for row in wanted.bound(by("rule")).fetch_all(&self.pool).await? {
            counts.by_rule.push((row.try_get(0)?, count(&row)?));
        }
        for row in wanted.bound(by("outcome")).fetch_all(&self.pool).await? {
            counts.by_outcome.push((row.try_get(0)?, count(&row)?));
        }
        for row in wanted.bound(by(quarter)).fetch_all(&self.pool).await? {
            let quarter: i64 = row.try_get(0)?;
            let begins = Timestamp::from_second(quarter * 900)
                .map_err(|error| StoreError::Unreadable(error.to_string()))?;
            counts.by_quarter.push((begins, count(&row)?));
        }
        // Who has none comes first in one database, and last in the other.
        counts.by_rule.sort_by(|one, other| (other.1, &one.0).cmp(&(one.1, &other.0)));
        counts.by_quarter.sort();
        Ok(counts)
    }

    /// How many calls fit.
    ///
    /// # Errors
    /// When the database says no.
    pub async fn count(&self, filter: &Filter) -> Result<u64, StoreError> {
        let wanted = FilterSql::of(filter);
        let statement = format!("SELECT 0, COUNT(*) FROM calls {}", wanted.clause());
        Ok(count(&wanted.bound(statement).fetch_one(&self.pool).await?)?)
    }

    /// The files of the table with this fingerprint, when they were kept.
    ///
    /// # Errors
    /// When the database says no.
    pub async fn table(&self, fingerprint: &str) -> Result<Option<RuleSnapshot>, StoreError> {
        let asked = sqlx::query("SELECT at_ms, files FROM tables WHERE fingerprint = $1")
            .bind(fingerprint)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = asked else { return Ok(None) };
        let (at, copies) = (time(&row, 0)?, json(&row, 1)?);
        Ok(Some(RuleSnapshot { fingerprint: fingerprint.to_owned(), at, copies }))
    }
}

/// Some of the calls that fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// So many at most.
    pub limit: usize,
    /// Which way to go.
    pub order: Order,
    /// Where the page before ended.
    pub beyond: Option<Uuid>,
}

/// Which way to go through the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// To look at.
    NewestFirst,
    /// To go through all.
    OldestFirst,
}

/// How many calls there are of each kind, most first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// By the rule that decided; none where no rule did.
    pub by_rule: Vec<(Option<String>, u64)>,
    /// By outcome.
    pub by_outcome: Vec<(String, u64)>,
    /// By quarter of an hour, each by its begin, in order: no zone is off by less.
    pub by_quarter: Vec<(Timestamp, u64)>,
}

/// A `WHERE` and what is bound to it.
struct FilterSql {
    conditions: Vec<String>,
    texts: Vec<String>,
}

impl FilterSql {
    fn of(filter: &Filter) -> FilterSql {
        let mut wanted = FilterSql { conditions: Vec::new(), texts: Vec::new() };
        // Ids are times: the primary key finds both ends.
        filter.since.into_iter().for_each(|at| wanted.and("id >=", &first_id_at(at).to_string()));
        filter.until.into_iter().for_each(|at| wanted.and("id <", &first_id_at(at).to_string()));
        let texts = [
            ("source =", &filter.source),
            ("rule =", &filter.rule),
            ("outcome =", &filter.outcome),
            ("call_id =", &filter.call_id),
        ];
        // The index holds its begin.
        if let Some(call_id) = &filter.call_id {
            let begin: String = call_id.chars().take(64).collect();
            wanted.and("substr(call_id, 1, 64) =", &begin);
        }
        for (condition, text) in texts {
            text.iter().for_each(|text| wanted.and(condition, text));
        }
        if let Some(ways) = &filter.number {
            let places = |column: &str, from: usize| {
                let places = (0..ways.len()).map(|at| format!("{column} = ${}", from + at));
                places.collect::<Vec<_>>().join(" OR ")
            };
            let first = wanted.texts.len() + 1;
            let (from, to) = (places("from_party", first), places("to_party", first));
            wanted.conditions.push(format!("({from} OR {to})"));
            wanted.texts.extend(ways.iter().map(|way| storable(way).into_owned()));
        }
        wanted
    }

    fn and(&mut self, condition: &str, text: &str) {
        self.texts.push(storable(text).into_owned());
        self.conditions.push(format!("{condition} ${}", self.texts.len()));
    }

    fn clause(&self) -> String {
        match self.conditions.is_empty() {
            true => String::new(),
            false => format!("WHERE {}", self.conditions.join(" AND ")),
        }
    }

    fn bound(&self, statement: String) -> Query {
        let query = sqlx::query(AssertSqlSafe(statement));
        self.texts.iter().fold(query, |query, text| query.bind(text.clone()))
    }
}

type Query = sqlx::query::Query<'static, sqlx::Any, sqlx::any::AnyArguments>;

pub(crate) fn call_record(row: &AnyRow) -> Result<CallRecord, StoreError> {
    Ok(CallRecord {
        id: uuid(row, 0)?,
        at: time(row, 2)?,
        source: row.try_get(3)?,
        platform: row.try_get(4)?,
        channel: row.try_get(5)?,
        call_id: row.try_get(6)?,
        from: row.try_get(7)?,
        to: row.try_get(8)?,
        outcome: row.try_get(9)?,
        rule: row.try_get(10)?,
        agent: row.try_get(11)?,
        fingerprint: row.try_get(12)?,
        details: json(row, 13)?,
        attempts: row.try_get(14)?,
    })
}

pub(crate) fn event_record(row: &AnyRow) -> Result<EventRecord, StoreError> {
    let call: Option<String> = row.try_get(6)?;
    Ok(EventRecord {
        id: uuid(row, 0)?,
        at: time(row, 1)?,
        source: row.try_get(2)?,
        platform: row.try_get(3)?,
        kind: row.try_get(4)?,
        call_id: row.try_get(5)?,
        call: call.and_then(|id| id.parse().ok()),
        attempts: row.try_get(7)?,
        // What is nested deeper than can be read again stands in the body.
        columns: json(row, 8).unwrap_or_default(),
        body: row.try_get(9)?,
    })
}

pub(crate) fn uuid(row: &AnyRow, at: usize) -> Result<Uuid, StoreError> {
    let text: String = row.try_get(at)?;
    text.parse().map_err(|error| StoreError::Unreadable(format!("`{text}`: {error}")))
}

fn time(row: &AnyRow, at: usize) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(row.try_get(at)?)
        .map_err(|error| StoreError::Unreadable(error.to_string()))
}

fn json<T: DeserializeOwned>(row: &AnyRow, at: usize) -> Result<T, StoreError> {
    let text: String = row.try_get(at)?;
    serde_json::from_str(&text).map_err(|error| StoreError::Unreadable(error.to_string()))
}

fn count(row: &AnyRow) -> Result<u64, sqlx::Error> {
    let count: i64 = row.try_get(1)?;
    Ok(count.unsigned_abs())
}
