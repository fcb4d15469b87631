//! A batch: the entries of one transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::queue::{QueueEntry, QueuedCall};
use super::row::{CallRow, DeliveryKey, EventRow};
use super::sql::{REDECIDED_WITHIN_MS, SAME_CALL_MS};
use super::{CallRecord, EventRecord, RuleSnapshot};

/// Rows that are written together: all of them or none.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// One row per delivery.
    pub(crate) calls: Vec<Arc<CallRow>>,
    /// Calls that were delivered again, and how often.
    pub(crate) retries: Vec<(DeliveryKey, u32)>,
    pub(crate) events: Vec<Arc<EventRow>>,
    pub(crate) snapshots: Vec<Arc<RuleSnapshot>>,
}

/// Error of writing a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BatchError {
    /// The database rejects one of the rows, and accepts others.
    Row(String),
    /// Two writers locked the same rows: the next attempt finds them free.
    Collision(String),
    /// The store is broken.
    Store(String),
}

impl Batch {
    /// Keeps one decision of each delivery, the same as if they were written one by one, and counts
    /// the others. The order is the same for every writer: two writers that lock the same rows in
    /// different orders would wait for each other.
    pub(crate) fn new(group: &[QueueEntry]) -> Batch {
        let mut batch = Batch::default();
        let mut calls: BTreeMap<&str, (&Arc<CallRow>, u32)> = BTreeMap::new();
        let mut retries: BTreeMap<DeliveryKey, u32> = BTreeMap::new();
        for entry in group {
            match entry {
                QueueEntry::Call(QueuedCall { row, .. }) => {
                    let (last, times) = calls.entry(row.dedup_key.as_str()).or_insert((row, 0));
                    *times += 1;
                    if (0..=REDECIDED_WITHIN_MS).contains(&(row.at_ms - last.at_ms)) {
                        *last = row;
                    }
                }
                QueueEntry::Retry(key, _) => *retries.entry(*key).or_default() += 1,
                QueueEntry::Event(event) => batch.events.push(event.row.clone()),
                QueueEntry::Snapshot(snapshot) => batch.snapshots.push(snapshot.snapshot.clone()),
            }
        }
        for (row, times) in calls.into_values() {
            batch.calls.push(row.clone());
            if times > 1 {
                *retries.entry(row.dedup_key).or_default() += times - 1;
            }
        }
        batch.retries = retries.into_iter().collect();
        batch.events.sort_by(|left, right| {
            (&left.call_id, &left.dedup_key).cmp(&(&right.call_id, &right.dedup_key))
        });
        batch
    }
}

/// A parameter of a statement.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Param<'a> {
    Text(Option<&'a str>),
    Number(Option<i64>),
}

/// A record with the texts of its columns, for an import.
pub(crate) struct Imported<'a, R> {
    record: &'a R,
    id: String,
    details: String,
    /// The id of an event's call.
    call: Option<String>,
}

impl<'a> Imported<'a, CallRecord> {
    pub(crate) fn call(record: &'a CallRecord) -> Self {
        let details = serde_json::to_string(&record.details).expect("plain JSON into memory");
        Imported { record, id: record.id.to_string(), details, call: None }
    }

    /// The parameters of [`import_call`](super::sql::import_call), in order.
    pub(crate) fn params(&self, bucket: i64) -> [Param<'_>; 16] {
        use Param::{Number, Text};
        let call = self.record;
        [
            Text(Some(&self.id)),
            Text(Some(&call.dedup_key)),
            Number(Some(call.at.as_millisecond())),
            Text(Some(&call.source)),
            Text(Some(&call.platform)),
            Text(Some(&call.channel)),
            Text(call.call_id.as_deref()),
            Text(Some(&call.from)),
            Text(Some(&call.to)),
            Text(Some(&call.outcome)),
            Text(call.rule.as_deref()),
            Text(call.agent.as_deref()),
            Text(Some(&call.fingerprint)),
            Text(Some(&self.details)),
            Number(Some(bucket)),
            Number(Some(call.attempts)),
        ]
    }
}

impl<'a> Imported<'a, EventRecord> {
    pub(crate) fn event(record: &'a EventRecord) -> Self {
        let details = serde_json::to_string(&record.columns).expect("plain JSON into memory");
        let call = record.call.map(|id| id.to_string());
        Imported { record, id: record.id.to_string(), details, call }
    }

    /// The parameters of [`IMPORT_EVENT`](super::sql::IMPORT_EVENT), in order.
    pub(crate) fn params(&self) -> [Param<'_>; 12] {
        use Param::{Number, Text};
        let event = self.record;
        [
            Text(Some(&self.id)),
            Text(Some(&event.dedup_key)),
            Number(Some(event.at.as_millisecond())),
            Text(Some(&event.source)),
            Text(Some(&event.platform)),
            Text(Some(&event.kind)),
            Text(event.call_id.as_deref()),
            Text(self.call.as_deref()),
            Number(event.sent_ms),
            Number(Some(event.attempts)),
            Text(Some(&self.details)),
            Text(Some(&event.body)),
        ]
    }
}

impl EventRow {
    /// The parameters of [`insert_event`](super::sql::insert_event), in order.
    pub(crate) fn params(&self) -> [Param<'_>; 18] {
        use Param::{Number, Text};
        [
            Text(Some(&self.id)),
            Text(Some(&self.dedup_key)),
            Number(Some(self.at_ms)),
            Text(Some(&self.source)),
            Text(Some(self.platform)),
            Text(Some(&self.kind)),
            Text(self.call_id.as_deref()),
            Number(self.sent_ms),
            Text(Some(&self.details)),
            Text(Some(&self.body)),
            Text(self.call_dedup_key.as_ref().map(DeliveryKey::as_str)),
            Text(self.call_record_id.as_deref()),
            Text(self.from.as_deref()),
            Number(Some(self.began_ms.saturating_sub(SAME_CALL_MS))),
            Number(Some(self.began_ms.saturating_add(SAME_CALL_MS))),
            Text(Some(self.to.as_deref().unwrap_or_default())),
            Number(Some(self.began_ms)),
            Text(Some(self.channel.unwrap_or_default())),
        ]
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;
    use uuid::Uuid;

    use super::*;

    fn decided(at_ms: i64) -> QueueEntry {
        let row = CallRow {
            id: Uuid::from_u128(at_ms.unsigned_abs().into()),
            dedup_key: DeliveryKey::of_column("1"),
            at_ms,
            source: "retell".to_owned(),
            platform: "retell",
            channel: "call",
            call_id: None,
            from: "+12137771234".to_owned(),
            to: "+12137770000".to_owned(),
            outcome: "keep",
            rule: None,
            agent: None,
            fingerprint: String::new(),
            details: String::new(),
        };
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let row = Arc::new(row);
        QueueEntry::Call(QueuedCall { row, committed: None, _permit: permit, _waiting: None })
    }

    #[test]
    fn a_delivery_that_arrives_again_much_later_does_not_replace_the_decision() {
        for (times, expected) in [
            (vec![0, 50_000], 50_000),
            (vec![0, 50_000, 100_000], 100_000),
            (vec![0, 60_001], 0),
            (vec![0, 60_001, 30_000], 30_000),
            (vec![50_000, 0], 50_000),
        ] {
            let group: Vec<QueueEntry> = times.iter().map(|at_ms| decided(*at_ms)).collect();
            let batch = Batch::new(&group);
            let kept: Vec<i64> = batch.calls.iter().map(|call| call.at_ms).collect();
            assert_eq!(kept, [expected], "{times:?}");
            let retries: Vec<u32> = batch.retries.iter().map(|(_, times)| *times).collect();
            assert_eq!(retries, [times.len() as u32 - 1], "{times:?}");
        }
    }
}
