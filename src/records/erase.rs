//! Erases a phone number: finds every row that contains it in any stored form, deletes calls and
//! events, removes it from stored rule tables, and overwrites the bytes in the file.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::lookup::placeholders;
use super::{NumberTraces, RuleSnapshot, Store, StoreError};
use crate::domain::party::Party;
use crate::rules;
use crate::rules::{CheckContext, Snapshot};

/// The rows that contain a number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NumberMatches {
    calls: Vec<String>,
    events: Vec<String>,
    snapshots: Vec<String>,
    /// Ids of changes of the rules whose note or user contains the number.
    changes: Vec<String>,
    /// Calls that match by their masked number only, which several callers share.
    pub by_mask: u64,
    /// Number of rows that were searched.
    pub rows: u64,
    /// The first of the calls.
    pub examples: Vec<MatchedCall>,
    /// Numbers of other callers that contain the digits, in rows without the number.
    pub longer_numbers: BTreeSet<String>,
}

/// A call that contains a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchedCall {
    /// Id of the record.
    pub id: String,
    /// The caller, masked.
    pub from: String,
    /// The called number, masked.
    pub to: String,
}

/// Numbers of rows that an erasure has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Erased {
    /// Deleted calls.
    pub calls: u64,
    /// Deleted events.
    pub events: u64,
    /// Stored rule tables without the number now, which still explain other calls.
    pub edited_snapshots: u64,
    /// Stored rule tables that could not be read without the number.
    pub deleted_snapshots: u64,
    /// Changes of the rules without the number now.
    pub edited_changes: u64,
}

impl Erased {
    /// Adds another pass.
    pub fn add(&mut self, other: Erased) {
        self.calls += other.calls;
        self.events += other.events;
        self.edited_snapshots += other.edited_snapshots;
        self.deleted_snapshots += other.deleted_snapshots;
        self.edited_changes += other.edited_changes;
    }
}

/// Maximum number of [`NumberMatches::examples`].
const MAX_EXAMPLES: usize = 20;

impl NumberMatches {
    /// Returns the number of calls.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Returns the number of events.
    pub fn events(&self) -> usize {
        self.events.len()
    }

    /// Returns the number of stored rule tables.
    pub fn snapshots(&self) -> usize {
        self.snapshots.len()
    }

    fn note_longer_numbers(
        &mut self,
        row: &AnyRow,
        columns: &[usize],
        traces: &NumberTraces,
    ) -> Result<(), StoreError> {
        for at in columns {
            let text: Option<String> = row.try_get(*at)?;
            let longer = text.iter().flat_map(|text| traces.longer_numbers(text));
            self.longer_numbers.extend(longer.map(str::to_owned));
        }
        Ok(())
    }

    /// Returns the number of changes of the rules.
    pub fn changes(&self) -> usize {
        self.changes.len()
    }

    /// Returns the number of rows.
    pub fn total(&self) -> usize {
        self.calls() + self.events() + self.snapshots() + self.changes()
    }
}

/// Result of overwriting deleted bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overwritten {
    /// No deleted bytes are left.
    Done,
    /// Deleted bytes may be left, for this reason.
    NotYet(String),
}

/// Longest wait for a log that another connection reads.
const LOG_TIMEOUT: Duration = Duration::from_secs(5);
/// Number of rows deleted in one transaction.
const ROWS: usize = 500;

impl Store {
    /// Searches every row for a number.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn find_number(&self, traces: &NumberTraces) -> Result<NumberMatches, StoreError> {
        let mut found = NumberMatches::default();
        let call_ids = self.find_in_calls(traces, &mut found).await?;
        self.find_in_events(traces, &call_ids, &mut found).await?;
        self.find_in_rules(traces, &mut found).await?;
        Ok(found)
    }

    /// Finds the calls that contain a number. Returns the platform's ids of them, each with its source.
    async fn find_in_calls(
        &self,
        traces: &NumberTraces,
        found: &mut NumberMatches,
    ) -> Result<HashSet<(String, String)>, StoreError> {
        let mut call_ids = HashSet::new();
        let mut rows = sqlx::query(
            "SELECT id, source, call_id, from_party, to_party, details, rule, agent FROM calls",
        )
        .fetch(&self.pool);
        while let Some(row) = rows.try_next().await? {
            found.rows += 1;
            let (from, to): (String, String) = (row.try_get(3)?, row.try_get(4)?);
            let is_party = traces.match_column(&from) || traces.match_column(&to);
            // A party can be a text that contains the number.
            if !is_party && !any_text(&row, &[2, 3, 4, 5, 6, 7], traces)? {
                found.note_longer_numbers(&row, &[2, 3, 4, 5, 6, 7], traces)?;
                continue;
            }
            if found.examples.len() < MAX_EXAMPLES {
                let masked = |party: &str| Party::parse(Some(party)).party.masked().into_owned();
                let id = row.try_get(0)?;
                found.examples.push(MatchedCall { id, from: masked(&from), to: masked(&to) });
            }
            let is_masked = |column: &String| column == traces.masked();
            found.by_mask += u64::from(is_masked(&from) || is_masked(&to));
            found.calls.push(row.try_get(0)?);
            if let Some(call_id) = row.try_get(2)? {
                call_ids.insert((row.try_get(1)?, call_id));
            }
        }
        Ok(call_ids)
    }

    /// Finds the events of the calls that have been found, and others that contain the number.
    async fn find_in_events(
        &self,
        traces: &NumberTraces,
        call_ids: &HashSet<(String, String)>,
        found: &mut NumberMatches,
    ) -> Result<(), StoreError> {
        let calls: HashSet<String> = found.calls.iter().cloned().collect();
        let mut rows =
            sqlx::query("SELECT id, source, call_id, call, kind, details, body FROM events")
                .fetch(&self.pool);
        while let Some(row) = rows.try_next().await? {
            found.rows += 1;
            let call: Option<String> = row.try_get(3)?;
            let call_id: Option<String> = row.try_get(2)?;
            let source: String = row.try_get(1)?;
            let has_call = call.is_some_and(|call| calls.contains(&call))
                || call_id.is_some_and(|call_id| call_ids.contains(&(source, call_id)));
            if has_call || any_text(&row, &[2, 4, 5, 6], traces)? {
                found.events.push(row.try_get(0)?);
            } else {
                found.note_longer_numbers(&row, &[2, 4, 5, 6], traces)?;
            }
        }
        Ok(())
    }

    /// Finds the stored rule tables, and the changes of the rules, that contain a number.
    async fn find_in_rules(
        &self,
        traces: &NumberTraces,
        found: &mut NumberMatches,
    ) -> Result<(), StoreError> {
        let mut rows =
            sqlx::query("SELECT fingerprint, files FROM rule_snapshots").fetch(&self.pool);
        while let Some(row) = rows.try_next().await? {
            found.rows += 1;
            if traces.match_snapshot_json(&row.try_get::<String, _>(1)?) {
                found.snapshots.push(row.try_get(0)?);
            } else {
                found.note_longer_numbers(&row, &[1], traces)?;
            }
        }
        drop(rows);
        let mut rows = sqlx::query("SELECT id, who, note FROM rule_changes").fetch(&self.pool);
        while let Some(row) = rows.try_next().await? {
            found.rows += 1;
            if any_text(&row, &[1, 2], traces)? {
                found.changes.push(row.try_get(0)?);
            } else {
                found.note_longer_numbers(&row, &[1, 2], traces)?;
            }
        }
        Ok(())
    }

    /// Deletes the calls and events that were found, and removes the number from the stored rule
    /// tables and their changes.
    ///
    /// # Errors
    /// Fails when the database returns an error; rows deleted until then stay deleted.
    pub async fn erase(
        &self,
        found: &NumberMatches,
        traces: &NumberTraces,
    ) -> Result<Erased, StoreError> {
        let mut edited = 0;
        let mut deleted = Vec::new();
        for fingerprint in &found.snapshots {
            let Some(snapshot) = self.rule_snapshot(fingerprint).await? else { continue };
            let Some(files) = traces.erase_from_snapshot(&snapshot.files) else {
                deleted.push(fingerprint.clone());
                continue;
            };
            let files = RuleSnapshot { files, ..snapshot }.files_json();
            sqlx::query("UPDATE rule_snapshots SET files = $1 WHERE fingerprint = $2")
                .bind(files)
                .bind(fingerprint.clone())
                .execute(&self.pool)
                .await?;
            edited += 1;
        }
        let tables = [
            ("events", "id", &found.events),
            ("calls", "id", &found.calls),
            ("rule_snapshots", "fingerprint", &deleted),
        ];
        for (table, key, ids) in tables {
            for some in ids.chunks(ROWS) {
                let list = placeholders(some.len());
                let statement = format!("DELETE FROM {table} WHERE {key} IN ({list})");
                let query = sqlx::query(AssertSqlSafe(statement));
                let query = some.iter().fold(query, |query, id| query.bind(id.clone()));
                query.execute(&self.pool).await?;
            }
        }
        for id in &found.changes {
            self.erase_from_change(id, traces).await?;
        }
        Ok(Erased {
            calls: found.calls() as u64,
            events: found.events() as u64,
            edited_snapshots: edited,
            deleted_snapshots: deleted.len() as u64,
            edited_changes: found.changes() as u64,
        })
    }

    async fn erase_from_change(&self, id: &str, traces: &NumberTraces) -> Result<(), StoreError> {
        let texts = sqlx::query("SELECT who, note FROM rule_changes WHERE id = $1").bind(id);
        let Some(row) = texts.fetch_optional(&self.pool).await? else { return Ok(()) };
        let without = |at| row.try_get(at).map(|text: String| traces.erase_from_text(text));
        sqlx::query("UPDATE rule_changes SET who = $1, note = $2 WHERE id = $3")
            .bind(without(0)?)
            .bind(without(1)?)
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Overwrites deleted rows in the file and in its log.
    pub async fn overwrite(&self) -> Overwritten {
        if self.is_postgres {
            for table in ["calls", "events", "rule_snapshots", "rule_changes"] {
                let vacuum = sqlx::raw_sql(AssertSqlSafe(format!("VACUUM {table}")));
                if let Err(error) = vacuum.execute(&self.pool).await {
                    return Overwritten::NotYet(format!("VACUUM failed: {error}"));
                }
            }
            return Overwritten::Done;
        }
        // Moved pages leave no copies in a file that is written from scratch.
        let vacuumed = sqlx::raw_sql("VACUUM").execute(&self.pool).await;
        let begun = tokio::time::Instant::now();
        loop {
            let truncated =
                sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&self.pool).await;
            let is_busy = truncated.and_then(|row| row.try_get::<i64, _>(0));
            match is_busy {
                Ok(0) => break,
                Ok(_) if begun.elapsed() < LOG_TIMEOUT => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Ok(_) => {
                    let reason = "another connection reads the log (-wal), which cannot be emptied";
                    return Overwritten::NotYet(reason.to_owned());
                }
                Err(error) => return Overwritten::NotYet(error.to_string()),
            }
        }
        match vacuumed {
            Ok(_) => Overwritten::Done,
            Err(error) => Overwritten::NotYet(format!("VACUUM failed: {error}")),
        }
    }
}

fn any_text(row: &AnyRow, columns: &[usize], traces: &NumberTraces) -> Result<bool, StoreError> {
    for at in columns {
        let text: Option<String> = row.try_get(*at)?;
        if text.is_some_and(|text| traces.match_text(&text)) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl NumberTraces {
    /// Returns whether the files of a stored rule table, or their names, contain the number.
    fn match_snapshot_json(&self, files: &str) -> bool {
        match serde_json::from_str::<Snapshot>(files) {
            Ok(snapshot) => self.match_snapshot(&snapshot),
            Err(_) => self.match_text(files),
        }
    }

    /// Returns whether the files of a rule table, or their names, contain the number.
    pub(crate) fn match_snapshot(&self, snapshot: &Snapshot) -> bool {
        snapshot.texts().any(|(path, text)| {
            self.match_text(text) || self.match_text(&path.display().to_string())
        })
    }

    /// Returns a text without the number.
    fn erase_from_text(&self, mut text: String) -> String {
        for place in self.places(&text).into_iter().rev() {
            text.replace_range(place, "(erased)");
        }
        text
    }

    /// Returns the files of a rule table without the number; none if this is impossible, or if rules that
    /// could be read no longer can.
    pub(crate) fn erase_from_snapshot(&self, files: &Snapshot) -> Option<Snapshot> {
        let is_table = |files: &Snapshot| {
            rules::parse_snapshot(files, &CheckContext::default()).table.is_some()
        };
        let edited = files.without(&|text| self.places(text));
        let is_usable = !self.match_snapshot(&edited) && (is_table(&edited) || !is_table(files));
        is_usable.then_some(edited)
    }
}
