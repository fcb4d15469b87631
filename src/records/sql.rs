//! SQL text shared by the two writers: SQLite's and PostgreSQL's.

use super::row::CallRow;

/// A delivery that arrives again within this time was decided again: the last decision counts. A
/// later one only counts as an attempt, or a replayed request could rewrite an old record.
pub(crate) const REDECIDED_WITHIN_MS: i64 = 60_000;
/// An event without an id of its call belongs to a call of the same parties within this time.
pub(crate) const SAME_CALL_MS: i64 = 10 * 60 * 1000;
/// Total size of the stored rule tables; the newest are kept.
pub(crate) const SNAPSHOT_BYTES: i64 = 64 << 20;
/// Maximum number of stored changes of the rules; the newest are kept, with their rule tables.
pub(crate) const CHANGES: i64 = 200;

/// Counts a delivery that was answered from memory: times, key of the delivery.
pub(crate) const COUNT_RETRY: &str =
    "UPDATE calls SET attempts = attempts + $1 WHERE dedup_key = $2";

/// Stores a rule table: fingerprint, time, files.
pub(crate) const INSERT_SNAPSHOT: &str = "INSERT INTO rule_snapshots (fingerprint, at_ms, files) \
    VALUES ($1, $2, $3) ON CONFLICT (fingerprint) DO UPDATE SET at_ms = excluded.at_ms";

/// Deletes the oldest rule tables beyond a total size, so that a list that changes all day does not
/// fill the disk. The tables of stored changes stay.
pub(crate) const TRIM_SNAPSHOTS: &str = "DELETE FROM rule_snapshots WHERE at_ms <= \
    (SELECT MAX(at_ms) FROM (SELECT at_ms, SUM(OCTET_LENGTH(files)) OVER (ORDER BY at_ms DESC) \
    AS bytes FROM rule_snapshots) AS counted WHERE bytes > $1) \
    AND NOT EXISTS (SELECT 1 FROM rule_changes WHERE old_fingerprint = rule_snapshots.fingerprint \
    OR new_fingerprint = rule_snapshots.fingerprint)";

/// Deletes the oldest changes beyond a number.
pub(crate) const TRIM_CHANGES: &str = "DELETE FROM rule_changes WHERE id <= \
    (SELECT id FROM rule_changes ORDER BY id DESC LIMIT 1 OFFSET $1)";

/// Stores a change unless it is stored: id, time, who, action, note, both fingerprints.
pub(crate) const IMPORT_CHANGE: &str = "INSERT INTO rule_changes (id, at_ms, who, action, note, \
    old_fingerprint, new_fingerprint) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";

/// Gives a call that came without an id the id that one of its events has: call id, key of the
/// event.
pub(crate) const SET_CALL_ID: &str = "UPDATE calls SET call_id = $1 WHERE call_id IS NULL \
    AND id = (SELECT call FROM events WHERE dedup_key = $2)";

/// Inserts calls, or updates those that are stored already. `rows` is a `VALUES` or `SELECT` with
/// the columns of [`CallRow::COLUMNS`], then `bucket`, then `attempts`.
pub(crate) fn insert_calls(rows: &str) -> String {
    let last = CallRow::COLUMNS.iter().chain(&["bucket"]).map(|name| {
        let last = match *name {
            // An id that came with an event stays.
            "call_id" => "COALESCE(excluded.call_id, calls.call_id)".to_owned(),
            _ => format!("excluded.{name}"),
        };
        format!(
            "{name} = CASE WHEN excluded.at_ms - calls.at_ms BETWEEN 0 AND {REDECIDED_WITHIN_MS} \
             THEN {last} ELSE calls.{name} END"
        )
    });
    let last = last.collect::<Vec<_>>().join(", ");
    format!(
        "INSERT INTO calls ({}, bucket, attempts) {rows} ON CONFLICT (dedup_key) DO UPDATE SET \
         {last}, attempts = calls.attempts + CASE WHEN calls.id = excluded.id THEN 0 ELSE 1 END",
        CallRow::COLUMNS.join(", "),
    )
}

/// Stores a call unless it is stored: the columns of [`CallRow::COLUMNS`], then `bucket`, then
/// `attempts`.
pub(crate) fn import_call() -> String {
    let columns = CallRow::COLUMNS.join(", ");
    let values = (1..=CallRow::COLUMNS.len() + 2).map(|place| format!("${place}"));
    let values = values.collect::<Vec<_>>().join(", ");
    format!(
        "INSERT INTO calls ({columns}, bucket, attempts) VALUES ({values}) ON CONFLICT DO NOTHING"
    )
}

/// Stores an event unless it is stored. Parameters: see
/// [`Imported::params`](super::batch::Imported).
pub(crate) const IMPORT_EVENT: &str = "INSERT INTO events (id, dedup_key, at_ms, source, platform, \
    kind, call_id, call, sent_ms, attempts, details, body) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING";

/// Stores a rule table unless it is stored: fingerprint, time, files.
pub(crate) const IMPORT_SNAPSHOT: &str = "INSERT INTO rule_snapshots (fingerprint, at_ms, files) \
    VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

/// Inserts an event, or counts it when it is stored already. Finds its call: by the call's id, else
/// by the record id in the metadata, else by parties and time. Parameters: see
/// [`EventRow::params`](super::row::EventRow::params).
pub(crate) fn insert_event(last_counts: bool) -> String {
    let newer = "CASE WHEN excluded.sent_ms IS NULL OR events.sent_ms IS NULL \
                 OR excluded.sent_ms >= events.sent_ms THEN";
    let replaced = ["at_ms", "sent_ms", "details", "body"];
    let replaced =
        replaced.map(|name| format!(", {name} = {newer} excluded.{name} ELSE events.{name} END"));
    let replaced = if last_counts { replaced.concat() } else { String::new() };
    format!(
        "INSERT INTO events (id, dedup_key, at_ms, source, platform, kind, call_id, sent_ms, \
         attempts, details, body, call) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $10, COALESCE({CALL_BY_ID}, \
         {CALL_BY_EVENT}, {CALL_BY_RECORD_ID}, ({BUCKETS} {CALL_BY_PARTIES}))) \
         ON CONFLICT (dedup_key) DO UPDATE SET attempts = events.attempts \
         + CASE WHEN events.id = excluded.id THEN 0 ELSE 1 END, \
         call = COALESCE(excluded.call, events.call){replaced}"
    )
}

const CALL_BY_ID: &str = "(SELECT id FROM calls WHERE dedup_key = $11)";
/// Where the request had no call id, an earlier event may have found the call.
const CALL_BY_EVENT: &str = "(SELECT call FROM events WHERE source = $4 \
    AND substr(call_id, 1, 64) = substr($7, 1, 64) AND call_id = $7 AND call IS NOT NULL LIMIT 1)";
const CALL_BY_RECORD_ID: &str = "(SELECT id FROM calls WHERE id = $12 AND source = $4)";
/// The caller alone has to do where the body does not name the called number. A call whose id is
/// known is a different one, and a rejected one has no events.
const CALL_BY_PARTIES: &str = "SELECT id FROM buckets CROSS JOIN calls \
    WHERE calls.bucket = start AND substr(from_party, 1, 64) = substr($13, 1, 64) \
    AND from_party = $13 AND at_ms BETWEEN $14 AND $15 AND source = $4 AND call_id IS NULL \
    AND (to_party = $16 OR $16 = '') AND (channel = $18 OR $18 = '') AND outcome <> 'reject' \
    ORDER BY ABS(at_ms - $17), id LIMIT 1";
/// The buckets that may hold calls from `$14` to `$15`.
const BUCKETS: &str = "WITH RECURSIVE buckets(start) AS ( \
    SELECT MAX(bucket) FROM calls WHERE bucket <= $15 UNION ALL \
    SELECT (SELECT MAX(bucket) FROM calls WHERE bucket < start) FROM buckets WHERE start > $14)";
