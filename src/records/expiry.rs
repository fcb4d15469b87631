//! Deletes records that are too old, or more than memory may hold.

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::Store;
use super::store::first_id_at;

/// Limits of a store in memory; the newest records are kept.
pub(crate) struct MemoryLimits {
    pub(crate) calls: i64,
    pub(crate) events: i64,
    /// Length of the bodies and details of events.
    pub(crate) event_characters: i64,
}

impl Store {
    /// Deletes some of the records older than `before`, and returns how many it deleted. Zero means
    /// that none is left.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn delete_expired(&self, before: Timestamp) -> Result<u64, sqlx::Error> {
        const ROWS: i64 = 2_000;
        let mut deleted = 0;
        for table in ["calls", "events"] {
            let statement = format!(
                "DELETE FROM {table} WHERE id IN \
                 (SELECT id FROM {table} WHERE at_ms < $1 AND id < $2 ORDER BY id LIMIT {ROWS})"
            );
            let done = sqlx::query(AssertSqlSafe(statement))
                .bind(before.as_millisecond())
                .bind(first_id_at(before).to_string())
                .execute(self.deleting_pool())
                .await?;
            deleted += done.rows_affected();
        }
        // The current rule table stays, however old it is, and so do those of younger changes.
        let snapshots = "DELETE FROM rule_snapshots WHERE at_ms < $1 \
                         AND at_ms < (SELECT MAX(at_ms) FROM rule_snapshots) \
                         AND NOT EXISTS (SELECT 1 FROM calls \
                         WHERE calls.fingerprint = rule_snapshots.fingerprint) \
                         AND NOT EXISTS (SELECT 1 FROM rule_changes \
                         WHERE old_fingerprint = rule_snapshots.fingerprint \
                         OR new_fingerprint = rule_snapshots.fingerprint)";
        if deleted == 0 {
            let changes = sqlx::query("DELETE FROM rule_changes WHERE at_ms < $1");
            changes.bind(before.as_millisecond()).execute(self.deleting_pool()).await?;
            let snapshots = sqlx::query(snapshots).bind(before.as_millisecond());
            snapshots.execute(self.deleting_pool()).await?;
            self.truncate_log().await?;
        }
        Ok(deleted)
    }

    /// Empties SQLite's log: deleted rows stay in it until it is written again.
    async fn truncate_log(&self) -> Result<(), sqlx::Error> {
        if !self.is_postgres {
            let truncate = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)");
            truncate.execute(self.deleting_pool()).await?;
        }
        Ok(())
    }

    /// Deletes the oldest records beyond these limits, and returns how many it deleted.
    pub(crate) async fn enforce(&self, limits: &MemoryLimits) -> Result<u64, sqlx::Error> {
        let old_calls = "DELETE FROM calls WHERE id <= \
                         (SELECT id FROM calls ORDER BY id DESC LIMIT 1 OFFSET $1)";
        let old_events = "DELETE FROM events WHERE id <= (SELECT MAX(id) FROM (SELECT id, \
                          ROW_NUMBER() OVER newest AS place, \
                          SUM(LENGTH(body) + LENGTH(details)) OVER newest AS characters \
                          FROM events WINDOW newest AS (ORDER BY id DESC)) AS counted \
                          WHERE place > $1 OR characters > $2)";
        let calls = sqlx::query(old_calls).bind(limits.calls);
        let calls = calls.execute(self.deleting_pool()).await?;
        let events = sqlx::query(old_events).bind(limits.events).bind(limits.event_characters);
        let events = events.execute(self.deleting_pool()).await?;
        Ok(calls.rows_affected() + events.rows_affected())
    }
}
