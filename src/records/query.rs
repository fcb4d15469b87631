//! Reads records: calls that match a [`Filter`], and counts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::filter::FALLBACK;
use super::row::{CallRow, dedup_key_prefix, storable};
use super::store::{first_id_at, time_of_id};
use super::{CallRecord, EventRecord, Filter, RuleSnapshot, Store, StoreError};

/// In the order of [`event_record`].
pub(crate) const EVENT_COLUMNS: &str =
    "id, at_ms, source, platform, kind, call_id, call, attempts, details, body, dedup_key, sent_ms";

impl Store {
    /// Returns the calls that match, at most `page.limit` of them.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn calls(
        &self,
        filter: &Filter,
        page: PageCursor,
    ) -> Result<Vec<CallRecord>, StoreError> {
        let Some(numbers) = &filter.number else {
            let statement = FilterSql::new(filter).page(page);
            return self.read_calls(statement, page).await;
        };
        let mut calls = Vec::new();
        for starts in some_at_a_time(&self.buckets(filter, page).await?) {
            let rest = PageCursor { limit: page.limit - calls.len(), ..page };
            let statement = FilterSql::new(filter).page(rest).of_numbers(numbers, starts);
            calls.extend(self.read_calls(statement, rest).await?);
            if calls.len() >= page.limit {
                break;
            }
        }
        Ok(calls)
    }

    /// Returns the calls of a page that match, from the one with the id `first` on. Reads them row by row.
    pub(super) async fn calls_since(
        &self,
        filter: &Filter,
        page: PageCursor,
        first: Option<Uuid>,
    ) -> Result<Vec<CallRecord>, StoreError> {
        let mut wanted = FilterSql::new(filter).page(page);
        if let Some(numbers) = &filter.number {
            wanted.with_party(numbers);
        }
        first.iter().for_each(|id| wanted.and("id >=", &id.to_string()));
        self.read_calls(wanted, page).await
    }

    async fn read_calls(
        &self,
        wanted: FilterSql,
        page: PageCursor,
    ) -> Result<Vec<CallRecord>, StoreError> {
        let statement = format!(
            "SELECT {}, attempts FROM calls {} ORDER BY id {} LIMIT {}",
            CallRow::COLUMNS.join(", "),
            wanted.clause(),
            page.order.as_sql(),
            page.limit.min(i64::MAX as usize)
        );
        let rows = wanted.bound(statement).fetch_all(&self.pool).await?;
        rows.iter().map(call_record).collect()
    }

    /// Returns the starts of the buckets that may hold calls of this page, in its order.
    async fn buckets(&self, filter: &Filter, page: PageCursor) -> Result<Vec<i64>, StoreError> {
        // The index skips from one bucket to the next.
        let starts = "WITH RECURSIVE buckets(start) AS (SELECT MAX(bucket) FROM calls \
                      WHERE bucket < $1 UNION ALL SELECT (SELECT MAX(bucket) FROM calls \
                      WHERE bucket < start) FROM buckets WHERE start > $2) \
                      SELECT start FROM buckets WHERE start IS NOT NULL";
        let beyond = page.beyond.map(|id| time_of_id(id).as_millisecond());
        let (mut since, mut until) = (i64::MIN, i64::MAX);
        match page.order {
            Order::NewestFirst => until = beyond.map_or(until, |ms| ms.saturating_add(1)),
            Order::OldestFirst => since = beyond.unwrap_or(since),
        }
        let since = filter.since.map_or(since, |at| at.as_millisecond().max(since));
        let until = filter.until.map_or(until, |at| at.as_millisecond().min(until));
        let rows = sqlx::query(starts).bind(until).bind(since).fetch_all(&self.pool).await?;
        let starts = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i64>, _>>();
        let mut starts = starts?;
        if page.order == Order::OldestFirst {
            starts.reverse();
        }
        Ok(starts)
    }

    /// Returns the call with this record id.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn call(&self, id: Uuid) -> Result<Option<CallRecord>, StoreError> {
        let statement =
            format!("SELECT {}, attempts FROM calls WHERE id = $1", CallRow::COLUMNS.join(", "));
        let row = sqlx::query(AssertSqlSafe(statement)).bind(id.to_string());
        row.fetch_optional(&self.pool).await?.as_ref().map(call_record).transpose()
    }

    /// Counts the calls that match: by rule, by outcome, and by quarter of an hour since 1970.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn counts(&self, filter: &Filter) -> Result<Counts, StoreError> {
        let mut sums = Sums::default();
        for wanted in self.parts(filter).await? {
            // In the order of the index, which covers it.
            let statement = format!(
                "SELECT at_ms / {QUARTER_MS}, outcome, rule, COUNT(*) FROM calls {} \
                 GROUP BY 1, 2, 3",
                wanted.clause()
            );
            for row in wanted.bound(statement).fetch_all(&self.pool).await? {
                sums.add(&row)?;
            }
        }
        sums.into_counts()
    }

    /// Counts the calls that match by the values of these columns; none where a call has no value.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn counts_by(
        &self,
        filter: &Filter,
        columns: [CountedColumn; 2],
    ) -> Result<BTreeMap<[Option<String>; 2], u64>, StoreError> {
        self.sums_of(self.parts(filter).await?, columns).await
    }

    /// Counts the calls that match and that one of these rules decided, by rule and agent. Reads the rows of
    /// those calls alone, if the rules are not too many.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn counts_by_agent(
        &self,
        filter: &Filter,
        rules: &[&str],
    ) -> Result<BTreeMap<[Option<String>; 2], u64>, StoreError> {
        let mut parts = self.parts(filter).await?;
        if rules.len() <= MOST_RULES {
            parts = parts.into_iter().map(|wanted| wanted.of_rules(rules)).collect();
        }
        self.sums_of(parts, [CountedColumn::Rule, CountedColumn::Agent]).await
    }

    async fn sums_of(
        &self,
        parts: Vec<FilterSql>,
        columns: [CountedColumn; 2],
    ) -> Result<BTreeMap<[Option<String>; 2], u64>, StoreError> {
        let mut sums = BTreeMap::new();
        let [first, second] = columns.map(CountedColumn::as_sql);
        for wanted in parts {
            let statement = format!(
                "SELECT {first}, {second}, COUNT(*) FROM calls {} GROUP BY 1, 2",
                wanted.clause()
            );
            for row in wanted.bound(statement).fetch_all(&self.pool).await? {
                let count = row.try_get::<i64, _>(2)?.unsigned_abs();
                *sums.entry([row.try_get(0)?, row.try_get(1)?]).or_default() += count;
            }
        }
        Ok(sums)
    }

    /// Counts the calls that match.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn count(&self, filter: &Filter) -> Result<u64, StoreError> {
        let mut calls = 0;
        for wanted in self.parts(filter).await? {
            let statement = format!("SELECT COUNT(*) FROM calls {}", wanted.clause());
            let count: i64 = wanted.bound(statement).fetch_one(&self.pool).await?.try_get(0)?;
            calls += count.unsigned_abs();
        }
        Ok(calls)
    }

    /// Returns the conditions of a count; several, with calls of their own, for a number.
    pub(super) async fn parts(&self, filter: &Filter) -> Result<Vec<FilterSql>, StoreError> {
        let Some(numbers) = &filter.number else {
            return Ok(vec![FilterSql::new(filter).between()]);
        };
        let all = PageCursor { limit: usize::MAX, order: Order::NewestFirst, beyond: None };
        let buckets = self.buckets(filter, all).await?;
        let parts = buckets.chunks(MOST_BUCKETS);
        Ok(parts
            .map(|starts| FilterSql::new(filter).between().of_numbers(numbers, starts))
            .collect())
    }

    /// Returns the files of the rule table with this fingerprint, if they are stored.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn rule_snapshot(
        &self,
        fingerprint: &str,
    ) -> Result<Option<RuleSnapshot>, StoreError> {
        let row = sqlx::query("SELECT at_ms, files FROM rule_snapshots WHERE fingerprint = $1")
            .bind(fingerprint)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let (at, files) = (time(&row, 0)?, json(&row, 1)?);
        Ok(Some(RuleSnapshot { fingerprint: fingerprint.to_owned(), at, files }))
    }
}

/// Maximum number of buckets that one statement visits.
const MOST_BUCKETS: usize = 1_000;
/// Maximum number of rules that one statement names.
const MOST_RULES: usize = 1_000;

/// Few buckets first: a number that calls often is found in the newest ones.
fn some_at_a_time(starts: &[i64]) -> impl Iterator<Item = &[i64]> {
    let (mut rest, mut count) = (starts, 8);
    std::iter::from_fn(move || {
        let (some, others) = rest.split_at(count.min(rest.len()));
        (rest, count) = (others, (count * 4).min(MOST_BUCKETS));
        Some(some).filter(|some| !some.is_empty())
    })
}

/// A page of the matching calls: its size, its order, and the call after which it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageCursor {
    /// Maximum number of calls.
    pub limit: usize,
    /// Order of the calls.
    pub order: Order,
    /// Last call of the page before.
    pub beyond: Option<Uuid>,
}

/// Order of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Descending by id.
    NewestFirst,
    /// Ascending by id.
    OldestFirst,
}

impl Order {
    fn as_sql(self) -> &'static str {
        match self {
            Order::NewestFirst => "DESC",
            Order::OldestFirst => "ASC",
        }
    }
}

/// A column by whose values calls are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountedColumn {
    /// The rule that decided.
    Rule,
    /// The selected agent.
    Agent,
    /// The called number.
    To,
    /// The source.
    Source,
}

impl CountedColumn {
    fn as_sql(self) -> &'static str {
        match self {
            CountedColumn::Rule => "rule",
            CountedColumn::Agent => "agent",
            CountedColumn::To => "to_party",
            CountedColumn::Source => "source",
        }
    }
}

/// Numbers of calls, the largest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// By the rule that decided; none where no rule did.
    pub by_rule: Vec<(Option<String>, u64)>,
    /// By outcome.
    pub by_outcome: Vec<(String, u64)>,
    /// By quarter of an hour, each by its start, in order. Every time zone is a multiple of it.
    pub by_quarter: Vec<(Timestamp, u64)>,
}

/// A quarter of an hour, as in the index `calls_counts`.
pub(super) const QUARTER_MS: i64 = 900_000;

/// Sums of the groups of [`Store::counts`].
#[derive(Default)]
struct Sums {
    rules: BTreeMap<Option<String>, u64>,
    outcomes: BTreeMap<String, u64>,
    quarters: BTreeMap<i64, u64>,
}

impl Sums {
    fn add(&mut self, row: &AnyRow) -> Result<(), sqlx::Error> {
        let count = row.try_get::<i64, _>(3)?.unsigned_abs();
        *self.quarters.entry(row.try_get(0)?).or_default() += count;
        *self.outcomes.entry(row.try_get(1)?).or_default() += count;
        *self.rules.entry(row.try_get(2)?).or_default() += count;
        Ok(())
    }

    fn into_counts(self) -> Result<Counts, StoreError> {
        let quarters = self.quarters.into_iter();
        let by_quarter =
            quarters.map(|(quarter, count)| Ok((timestamp(quarter * QUARTER_MS)?, count)));
        Ok(Counts {
            by_rule: largest_first(self.rules),
            by_outcome: largest_first(self.outcomes),
            by_quarter: by_quarter.collect::<Result<_, StoreError>>()?,
        })
    }
}

fn largest_first<K>(sums: BTreeMap<K, u64>) -> Vec<(K, u64)> {
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    sums
}

/// A `WHERE` clause and its parameters.
pub(super) struct FilterSql {
    filter_times: [Option<Timestamp>; 2],
    conditions: Vec<String>,
    texts: Vec<String>,
}

impl FilterSql {
    /// The conditions on columns that no order depends on.
    pub(super) fn new(filter: &Filter) -> FilterSql {
        let mut wanted = FilterSql {
            filter_times: [filter.since, filter.until],
            conditions: Vec::new(),
            texts: Vec::new(),
        };
        for (condition, text) in [
            ("source =", &filter.source),
            ("rule =", &filter.rule),
            ("agent =", &filter.agent),
            ("call_id =", &filter.call_id),
        ] {
            text.iter().for_each(|text| wanted.and(condition, text));
        }
        match filter.outcome.as_deref() {
            // See `CallRecord::is_fallback`. A quote within a value is escaped, so this is a key.
            Some(FALLBACK) => wanted.conditions.push(
                "rule IS NULL AND NOT (outcome = 'keep' AND details LIKE '%\"reason\":\"no_rule\"%')"
                    .to_owned(),
            ),
            Some(outcome) => wanted.and("outcome =", outcome),
            None => {}
        }
        if let Some(call_id) = &filter.call_id {
            wanted.by_call_id(call_id);
        }
        wanted
    }

    /// Finds a call id by the keys that begin with its hash, or by an event that brought it. An id
    /// that was redacted, or stored without a NUL, has the hash of the original.
    fn by_call_id(&mut self, call_id: &str) {
        if call_id.contains(['*', '\0', '\u{fffd}']) {
            return;
        }
        let prefix = dedup_key_prefix(call_id);
        self.texts.extend([prefix.clone(), format!("{prefix}~"), call_id.to_owned()]);
        let last = self.texts.len();
        let (from, to, id) = (last - 2, last - 1, last);
        self.conditions.push(format!(
            "(dedup_key >= ${from} AND dedup_key < ${to} OR id IN (SELECT call FROM events \
             WHERE substr(call_id, 1, 64) = substr(${id}, 1, 64) AND call_id = ${id}))"
        ));
    }

    /// Restricts the ids, which are times: the primary key finds both ends.
    pub(super) fn page(mut self, page: PageCursor) -> FilterSql {
        let [since, until] = self.filter_times;
        since.into_iter().for_each(|at| self.and("id >=", &first_id_at(at).to_string()));
        until.into_iter().for_each(|at| self.and("id <", &first_id_at(at).to_string()));
        let beyond = match page.order {
            Order::NewestFirst => "id <",
            Order::OldestFirst => "id >",
        };
        page.beyond.into_iter().for_each(|id| self.and(beyond, &id.to_string()));
        self
    }

    /// Restricts the times, for counting along the index `calls_counts`.
    fn between(mut self) -> FilterSql {
        let [since, until] = self.filter_times;
        let mut limit = |at: Option<Timestamp>, operator: [&str; 2]| {
            if let Some(ms) = at.map(Timestamp::as_millisecond) {
                let quarter = ms.div_euclid(QUARTER_MS);
                let [quarters, times] = operator;
                self.conditions.push(format!("at_ms / {QUARTER_MS} {quarters} {quarter}"));
                self.conditions.push(format!("at_ms {times} {ms}"));
            }
        };
        limit(since, [">=", ">="]);
        limit(until, ["<=", "<"]);
        self
    }

    /// Restricts the calls to those that one of these rules decided.
    fn of_rules(mut self, rules: &[&str]) -> FilterSql {
        let mut places = Vec::new();
        for rule in rules {
            self.texts.push(storable(rule).into_owned());
            places.push(format!("${}", self.texts.len()));
        }
        self.conditions.push(format!("rule IN ({})", places.join(", ")));
        self
    }

    /// Restricts the calls to those from or to one of these numbers, in these buckets.
    fn of_numbers(mut self, numbers: &[String], starts: &[i64]) -> FilterSql {
        let starts = starts.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
        let mut selects = Vec::new();
        for number in numbers {
            self.texts.push(storable(number).into_owned());
            let place = self.texts.len();
            selects.extend(["from_party", "to_party"].map(|party| {
                format!(
                    "SELECT id FROM calls WHERE bucket IN ({starts}) \
                     AND substr({party}, 1, 64) = substr(${place}, 1, 64) AND {party} = ${place}"
                )
            }));
        }
        self.conditions.push(format!("id IN ({})", selects.join(" UNION ALL ")));
        self
    }

    /// Restricts the calls to those from or to one of these numbers, without an index.
    fn with_party(&mut self, numbers: &[String]) {
        let mut either = Vec::new();
        for number in numbers {
            self.texts.push(storable(number).into_owned());
            let place = self.texts.len();
            either.extend(["from_party", "to_party"].map(|party| format!("{party} = ${place}")));
        }
        self.conditions.push(format!("({})", either.join(" OR ")));
    }

    fn and(&mut self, condition: &str, text: &str) {
        self.texts.push(storable(text).into_owned());
        self.conditions.push(format!("{condition} ${}", self.texts.len()));
    }

    pub(super) fn clause(&self) -> String {
        match self.conditions.is_empty() {
            true => String::new(),
            false => format!("WHERE {}", self.conditions.join(" AND ")),
        }
    }

    pub(super) fn bound(&self, statement: String) -> Query {
        let query = sqlx::query(AssertSqlSafe(statement));
        self.texts.iter().fold(query, |query, text| query.bind(text.clone()))
    }
}

type Query = sqlx::query::Query<'static, sqlx::Any, sqlx::any::AnyArguments>;

pub(crate) fn call_record(row: &AnyRow) -> Result<CallRecord, StoreError> {
    Ok(CallRecord {
        id: uuid(row, 0)?,
        dedup_key: row.try_get(1)?,
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
        // Values that are nested too deeply to be parsed again remain in the body.
        columns: json(row, 8).unwrap_or_default(),
        body: row.try_get(9)?,
        dedup_key: row.try_get(10)?,
        sent_ms: row.try_get(11)?,
    })
}

pub(crate) fn uuid(row: &AnyRow, at: usize) -> Result<Uuid, StoreError> {
    let text: String = row.try_get(at)?;
    text.parse().map_err(|error| StoreError::Unreadable(format!("`{text}`: {error}")))
}

pub(super) fn time(row: &AnyRow, at: usize) -> Result<Timestamp, StoreError> {
    timestamp(row.try_get(at)?)
}

pub(super) fn timestamp(ms: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(ms).map_err(|error| StoreError::Unreadable(error.to_string()))
}

pub(super) fn json<T: DeserializeOwned>(row: &AnyRow, at: usize) -> Result<T, StoreError> {
    let text: String = row.try_get(at)?;
    serde_json::from_str(&text).map_err(|error| StoreError::Unreadable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{Details, TransferLine};
    use crate::settings::RecordsLocation;

    const NUMBER: &str = "+12137771234";

    fn call(ms: i64) -> TransferLine {
        let at = Timestamp::from_millisecond(ms).unwrap();
        let record = CallRecord {
            id: first_id_at(at),
            dedup_key: ms.to_string(),
            at,
            source: "retell".to_owned(),
            platform: "retell".to_owned(),
            channel: "call".to_owned(),
            call_id: None,
            from: NUMBER.to_owned(),
            to: "+12137770000".to_owned(),
            outcome: "keep".to_owned(),
            rule: None,
            agent: None,
            fingerprint: String::new(),
            attempts: 1,
            details: Details::default(),
        };
        TransferLine::Call(record.into(), Vec::new())
    }

    #[tokio::test]
    async fn a_page_of_a_number_is_full_however_many_buckets_its_calls_are_in() {
        let store = Store::open(&RecordsLocation::Memory).await.unwrap();
        // A call that is older than all others begins a bucket.
        let calls: Vec<TransferLine> = (1..=60).rev().map(call).collect();
        store.import(&calls).await.unwrap();
        let filter = Filter { number: Some(vec![NUMBER.to_owned()]), ..Filter::default() };
        for (order, expected) in [
            (Order::NewestFirst, (16..=60).rev().collect::<Vec<i64>>()),
            (Order::OldestFirst, (1..=45).collect()),
        ] {
            let page = PageCursor { limit: 45, order, beyond: None };
            let found = store.calls(&filter, page).await.unwrap();
            let times: Vec<_> = found.iter().map(|call| call.at.as_millisecond()).collect();
            assert_eq!(times, expected, "{order:?}");
        }
    }
}
