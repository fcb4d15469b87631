//! The rule tables that have answered calls.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sqlx::Row;

use super::query::{json, time};
use super::{RuleChange, RuleSnapshot, Store, StoreError, rule_history};

/// A rule table that became live, or that decided calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTable {
    /// Fingerprint.
    pub fingerprint: String,
    /// Its files; `None` if they were not stored.
    pub snapshot: Option<RuleSnapshot>,
    /// The last time at which it became live; `None` if it is not known to have been live. Files that were stored
    /// because a change replaced them need not have been.
    pub live_since: Option<Timestamp>,
    /// Times of its first and its last recorded call.
    pub used: Option<(Timestamp, Timestamp)>,
    /// Number of recorded calls that it decided.
    pub calls: u64,
    /// All changes that led to it, newest first.
    pub changes: Vec<RuleChange>,
    /// Whether the newest of them made it live last: the files can be edited by other means.
    pub is_by_change: bool,
}

impl StoredTable {
    fn new(fingerprint: &str) -> StoredTable {
        let fingerprint = fingerprint.to_owned();
        StoredTable {
            fingerprint,
            snapshot: None,
            live_since: None,
            used: None,
            calls: 0,
            changes: Vec::new(),
            is_by_change: false,
        }
    }

    /// Returns the change that made the table live last, unless the files were edited by other means.
    pub fn change(&self) -> Option<&RuleChange> {
        self.changes.first().filter(|_| self.is_by_change)
    }

    /// Returns the last time at which the table is known to have been live.
    pub fn last_seen(&self) -> Option<Timestamp> {
        self.live_since.max(self.used.map(|(_, last)| last))
    }

    /// Returns whether its files were stored by this change, which replaced them, and it has decided no calls.
    fn was_only_replaced_by(&self, change: &RuleChange) -> bool {
        let is_old = change.old_fingerprint == self.fingerprint;
        let stored = self.live_since.map(Timestamp::as_millisecond);
        is_old && self.used.is_none() && stored == Some(change.at.as_millisecond())
    }
}

impl Store {
    /// Returns the fingerprints of the rule tables whose files are stored, with the last time at which each
    /// became live, newest first.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn stored_versions(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let versions = "SELECT at_ms, fingerprint FROM rule_snapshots ORDER BY at_ms DESC";
        let rows = sqlx::query(versions).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((row.try_get(1)?, time(row, 0)?))).collect()
    }

    /// Returns all rule tables, those that were live last first.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn rule_tables(&self) -> Result<Vec<StoredTable>, StoreError> {
        let mut tables: BTreeMap<String, StoredTable> = BTreeMap::new();
        let rows = sqlx::query("SELECT at_ms, files, fingerprint FROM rule_snapshots");
        for row in rows.fetch_all(&self.pool).await? {
            let fingerprint: String = row.try_get(2)?;
            let (at, files) = (time(&row, 0)?, json(&row, 1)?);
            let snapshot = RuleSnapshot { fingerprint: fingerprint.clone(), at, files };
            let table = StoredTable {
                live_since: Some(at),
                snapshot: Some(snapshot),
                ..StoredTable::new(&fingerprint)
            };
            tables.insert(fingerprint, table);
        }
        let used = "SELECT MIN(at_ms), MAX(at_ms), COUNT(*), fingerprint FROM calls \
                    GROUP BY fingerprint";
        for row in sqlx::query(used).fetch_all(&self.pool).await? {
            let fingerprint: String = row.try_get(3)?;
            let calls: i64 = row.try_get(2)?;
            let unknown = || StoredTable::new(&fingerprint);
            let table = tables.entry(fingerprint.clone()).or_insert_with(unknown);
            table.used = Some((time(&row, 0)?, time(&row, 1)?));
            table.calls = calls.unsigned_abs();
        }
        let changes = self.rule_changes().await?;
        for change in &changes {
            let old = tables.get_mut(&change.old_fingerprint);
            if let Some(old) = old.filter(|old| old.was_only_replaced_by(change)) {
                old.live_since = None;
            }
        }
        let live_since = |table: &StoredTable| Some((table.fingerprint.clone(), table.live_since?));
        let versions: Vec<_> = tables.values().filter_map(live_since).collect();
        let mut last_step = BTreeSet::new();
        for step in rule_history(&changes, &versions) {
            let Some(table) = tables.get_mut(&step.fingerprint) else { continue };
            if last_step.insert(step.fingerprint) {
                table.is_by_change = step.change.is_some();
            }
            table.changes.extend(step.change);
        }
        let mut tables: Vec<_> = tables.into_values().collect();
        tables.sort_by_key(|table| std::cmp::Reverse(table.last_seen()));
        Ok(tables)
    }
}
