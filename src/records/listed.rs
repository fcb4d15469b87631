//! Calls as the rows of a list: only what a row shows.

use jiff::Timestamp;
use serde::Deserialize;
use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::query::{FilterSql, json, time, uuid};
use super::row::is_fallback;
use super::{CallRecord, Filter, Order, PageCursor, Store, StoreError};

/// A recorded call, as a row of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedCall {
    /// Id of the record.
    pub id: Uuid,
    /// Time of arrival.
    pub at: Timestamp,
    /// Name of the source.
    pub source: String,
    /// `call` or `sms`.
    pub channel: String,
    /// Caller.
    pub from: String,
    /// Called number.
    pub to: String,
    /// `agent`, `reject`, `transfer` or `keep`.
    pub outcome: String,
    /// Whether the call received the fallback reply; see [`CallRecord::is_fallback`].
    pub is_fallback: bool,
    /// The rule that decided.
    pub rule: Option<String>,
    /// Name of the selected agent in the rules.
    pub agent: Option<String>,
    /// Number or SIP address to which the call was transferred.
    pub transfer: Option<String>,
    /// Reason of a rejection, or for keeping the platform's agent.
    pub reason: Option<String>,
    /// Number of deliveries.
    pub attempts: i64,
    /// Time from the arrival of the request to the decision, in microseconds.
    pub latency_us: u64,
    /// Kind of the last event.
    pub last_event: Option<String>,
}

/// The part of [`Details`](super::Details) that a row shows.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ListedDetails {
    reason: Option<String>,
    transfer: Option<String>,
    latency_us: u64,
}

/// The columns of a row, and whether the call may have events: most calls that are new have none, and the
/// search for the last one is saved.
const COLUMNS: &str = "id, at_ms, source, channel, from_party, to_party, outcome, rule, agent, \
     attempts, details, call_id, \
     CASE WHEN EXISTS (SELECT 1 FROM events WHERE events.call = calls.id) \
     OR EXISTS (SELECT 1 FROM events WHERE events.call_id = calls.call_id \
     AND substr(events.call_id, 1, 64) = substr(calls.call_id, 1, 64)) \
     THEN 'yes' ELSE 'no' END";

/// A row as it was read.
struct ReadRow {
    call: ListedCall,
    call_id: Option<String>,
    may_have_events: bool,
}

impl Store {
    /// Returns the ids of the newest calls that match, without reading more of them.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn newest_ids(&self, filter: &Filter, limit: usize) -> Result<Vec<Uuid>, StoreError> {
        let rows = self.newest("id", filter, limit).await?;
        rows.iter().map(|row| uuid(row, 0)).collect()
    }

    /// Returns the newest calls that match as rows. Looks at every call in the time of the filter, so that time
    /// has to be short.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn newest_listed(
        &self,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<ListedCall>, StoreError> {
        let rows = self.newest(COLUMNS, filter, limit).await?;
        let mut rows = rows.iter().map(ReadRow::new).collect::<Result<Vec<_>, _>>()?;
        let with_events = rows.iter().filter(|row| row.may_have_events);
        let with_events: Vec<_> =
            with_events.map(|row| (row.call.id, row.call_id.as_deref())).collect();
        let mut events = self.last_events_by_ids(&with_events).await?;
        for ReadRow { call, .. } in &mut rows {
            call.last_event = events.remove(&call.id);
        }
        Ok(rows.into_iter().map(|row| row.call).collect())
    }

    async fn newest(
        &self,
        columns: &str,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let page = PageCursor { limit, order: Order::NewestFirst, beyond: None };
        let wanted = FilterSql::row_by_row(filter, page);
        let clause = wanted.clause();
        let statement =
            format!("SELECT {columns} FROM calls {clause} ORDER BY id DESC LIMIT {limit}");
        Ok(wanted.bound(statement).fetch_all(&self.pool).await?)
    }

    /// Returns records as rows.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn listed(&self, calls: &[CallRecord]) -> Result<Vec<ListedCall>, StoreError> {
        let mut events = self.last_events(calls).await?;
        Ok(calls.iter().map(|call| ListedCall::new(call, events.remove(&call.id))).collect())
    }
}

impl ListedCall {
    fn new(call: &CallRecord, last_event: Option<String>) -> ListedCall {
        let CallRecord { details, .. } = call;
        let text = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(str::to_owned);
        ListedCall {
            id: call.id,
            at: call.at,
            source: call.source.clone(),
            channel: call.channel.clone(),
            from: call.from.clone(),
            to: call.to.clone(),
            outcome: call.outcome.clone(),
            is_fallback: call.is_fallback(),
            rule: call.rule.clone(),
            agent: call.agent.clone(),
            transfer: text(&details.transfer),
            reason: text(&details.reason),
            attempts: call.attempts,
            latency_us: details.latency_us,
            last_event,
        }
    }
}

impl ReadRow {
    /// Reads a row of [`COLUMNS`].
    fn new(row: &AnyRow) -> Result<ReadRow, StoreError> {
        let ListedDetails { reason, transfer, latency_us } = json(row, 10)?;
        let (outcome, rule): (String, Option<String>) = (row.try_get(6)?, row.try_get(7)?);
        let call = ListedCall {
            id: uuid(row, 0)?,
            at: time(row, 1)?,
            source: row.try_get(2)?,
            channel: row.try_get(3)?,
            from: row.try_get(4)?,
            to: row.try_get(5)?,
            is_fallback: is_fallback(rule.as_deref(), &outcome, reason.as_deref()),
            outcome,
            rule,
            agent: row.try_get(8)?,
            transfer,
            reason,
            attempts: row.try_get(9)?,
            latency_us,
            last_event: None,
        };
        let may_have_events = row.try_get::<String, _>(12)? == "yes";
        Ok(ReadRow { call, call_id: row.try_get(11)?, may_have_events })
    }
}
