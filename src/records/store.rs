//! Where records are: SQLite or PostgreSQL, behind one interface and with one text for each
//! statement. `memory:` is a SQLite database that ends with the process. Here it is opened and
//! written to; see [`super::query`] for the other way.
//!
//! Times are Unix milliseconds, JSON is text; see `migrations/`.

use std::borrow::Cow;
use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection, Executor, SqlSafeStr};
use uuid::Uuid;

use super::row::{CallRow, EventRow};
use crate::rules::Snapshot;
use crate::settings::RecordsLocation;

/// An open store.
#[derive(Clone)]
pub struct Store {
    pub(crate) pool: AnyPool,
    /// For what the service writes: one connection, whose cache is not outdated each time. It is the
    /// same as `pool` in memory, and where nothing is to be written.
    writing: AnyPool,
    pub(crate) is_postgres: bool,
    /// Of SQLite's file.
    file: Option<OpenFile>,
}

/// Which file was opened: one that is moved or deleted can be written to, and nobody finds it. So
/// can a log (`-wal`) that somebody deleted.
#[derive(Clone, PartialEq, Eq)]
struct OpenFile {
    path: PathBuf,
    device_and_inode: (u64, u64),
}

/// What is written at once: all of it or nothing.
#[derive(Debug, Default)]
pub(crate) struct Batch<'a> {
    /// Each delivery once.
    pub(crate) calls: Vec<&'a CallRow>,
    /// Calls that were delivered again, and how often.
    pub(crate) again: Vec<(Uuid, u32)>,
    pub(crate) events: Vec<&'a EventRow>,
    /// Tables that began to answer.
    pub(crate) tables: Vec<&'a RuleSnapshot>,
}

/// The files of a rule table, as they were when it began to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSnapshot {
    /// Of the table.
    pub fingerprint: String,
    /// When it began to answer.
    pub at: Timestamp,
    /// Its files.
    pub copies: Snapshot,
}

/// Why a store cannot be opened or asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Records are `off`, or in the memory of the service.
    #[error("{0}")]
    NoStore(&'static str),
    /// The database says no. Never holds its URL.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// Its tables cannot be made.
    #[error("the tables of the records cannot be made: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The folder of the file cannot be made.
    #[error("cannot make the folder {0}: {1}")]
    Folder(String, std::io::Error),
    /// There is a row that no version of this program wrote.
    #[error("a record cannot be read: {0}")]
    Unreadable(String),
}

/// A locked file is waited for so long.
const BUSY_MS: u32 = 2_000;
/// A database that does not answer is waited for so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// Who reads at the same time.
const READERS: u32 = 3;
/// Of the copies of tables so much is kept at most, the newest.
const BYTES_OF_TABLES: i64 = 64 << 20;
/// Event and decision of the same numbers belong together within this time.
const SAME_CALL_MS: i64 = 10 * 60 * 1000;
/// A call that is delivered again within this time was answered anew: the last answer counts.
const AGAIN_MS: i64 = 60_000;

fn migrator(is_postgres: bool) -> Migrator {
    const RECORDS: &str = include_str!("../../migrations/0001_records.sql");
    // Sorted as bytes, as SQLite does: in Danish, `aa` comes behind `z`.
    let records = match is_postgres {
        true => RECORDS.replace("TEXT PRIMARY KEY", "TEXT COLLATE \"C\" PRIMARY KEY"),
        false => RECORDS.to_owned(),
    };
    let records = AssertSqlSafe(records);
    let records = Migration::new(
        1,
        Cow::Borrowed("records"),
        MigrationType::Simple,
        records.into_sql_str(),
        false,
    );
    Migrator::with_migrations(vec![records])
}

impl Store {
    /// Opens it, makes what is missing.
    ///
    /// # Errors
    /// When there is none, or it does not answer.
    pub async fn open(place: &RecordsLocation) -> Result<Store, StoreError> {
        if let RecordsLocation::Sqlite(path) = place {
            make_file(path)?;
        }
        let options = reached(place, WAL).await?;
        let writing = connected(&options, 1, WAL).await?;
        let pool = match place {
            // Each connection would have a database of its own.
            RecordsLocation::Memory => writing.clone(),
            RecordsLocation::Off | RecordsLocation::Sqlite(_) | RecordsLocation::Postgres(_) => {
                connected(&options, READERS, WAL).await?
            }
        };
        let is_postgres = matches!(place, RecordsLocation::Postgres(_));
        let migrator = migrator(is_postgres);
        // Another process may just make the same tables in the same file.
        if migrator.run(&writing).await.is_err() {
            migrator.run(&writing).await?;
        }
        let file = match place {
            RecordsLocation::Sqlite(path) => Some(OpenFile::at(path)?),
            RecordsLocation::Off | RecordsLocation::Memory | RecordsLocation::Postgres(_) => None,
        };
        Ok(Store { pool, writing, is_postgres, file })
    }

    /// Opens what the service has written; makes nothing, and leaves a file of somebody else as it
    /// is.
    ///
    /// # Errors
    /// When there is nothing, or it does not answer.
    pub async fn open_to_read(place: &RecordsLocation) -> Result<Store, StoreError> {
        const NOTHING: StoreError = StoreError::NoStore("nothing has been recorded yet");
        match place {
            RecordsLocation::Memory => Err(StoreError::NoStore(
                "records are in the memory of the service: ask its admin listener for /records",
            )),
            RecordsLocation::Sqlite(path) if !path.exists() => Err(NOTHING),
            RecordsLocation::Off | RecordsLocation::Sqlite(_) | RecordsLocation::Postgres(_) => {
                let pool = connected(&reached(place, "").await?, READERS, "").await?;
                let is_postgres = matches!(place, RecordsLocation::Postgres(_));
                let store = Store { writing: pool.clone(), pool, is_postgres, file: None };
                match store.has_records().await? {
                    true => Ok(store),
                    false => Err(NOTHING),
                }
            }
        }
    }

    /// Whether its tables are there.
    async fn has_records(&self) -> Result<bool, sqlx::Error> {
        let asked = match self.is_postgres {
            true => "SELECT to_regclass('calls')::text AS name",
            false => "SELECT MAX(name) AS name FROM sqlite_schema WHERE name = 'calls'",
        };
        let name: Option<String> = sqlx::query_scalar(asked).fetch_one(&self.pool).await?;
        Ok(name.is_some())
    }

    /// Closes it when nobody uses it any more.
    pub async fn close(&self) {
        self.pool.close().await;
        self.writing.close().await;
    }
}

/// How to connect, tried once: a pool would try until its time is up, and log each failure.
async fn reached(
    place: &RecordsLocation,
    pragmas: &'static str,
) -> Result<AnyConnectOptions, StoreError> {
    install_default_drivers();
    let url = match place {
        RecordsLocation::Off => return Err(StoreError::NoStore("records are off")),
        RecordsLocation::Memory => "sqlite::memory:".to_owned(),
        RecordsLocation::Sqlite(path) => format!("sqlite:{}", escaped(path)),
        RecordsLocation::Postgres(url) => String::from_utf8_lossy(url.expose()).into_owned(),
    };
    let options = AnyConnectOptions::from_str(&url)?;
    let first = tokio::time::timeout(PATIENCE, async {
        let mut first = AnyConnection::connect_with(&options).await?;
        set_up(&mut first, pragmas).await?;
        first.close().await
    });
    first.await.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
    Ok(options)
}

async fn connected(
    options: &AnyConnectOptions,
    connections: u32,
    pragmas: &'static str,
) -> Result<AnyPool, sqlx::Error> {
    AnyPoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |connection, _| Box::pin(set_up(connection, pragmas)))
        .connect_with(options.clone())
        .await
}

impl OpenFile {
    fn at(path: &Path) -> Result<OpenFile, sqlx::Error> {
        let file = std::fs::metadata(path)?;
        Ok(OpenFile { path: path.to_owned(), device_and_inode: (file.dev(), file.ino()) })
    }

    fn is_still_there(&self) -> Result<(), sqlx::Error> {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        let has_log = std::fs::metadata(log).is_ok();
        if has_log && OpenFile::at(&self.path).is_ok_and(|now| now == *self) {
            return Ok(());
        }
        Err(std::io::Error::other("the file, or its log, is no longer where it was").into())
    }
}

/// Readers do not wait for the writer. What is committed survives a power cut. A log that grew
/// becomes small again.
const WAL: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                   PRAGMA journal_size_limit = 16777216;";

/// What is deleted is overwritten, for it was personal data.
async fn set_up(connection: &mut AnyConnection, pragmas: &str) -> Result<(), sqlx::Error> {
    if connection.backend_name() == "SQLite" {
        let pragmas =
            format!("PRAGMA busy_timeout = {BUSY_MS}; PRAGMA secure_delete = ON; {pragmas}");
        connection.execute(AssertSqlSafe(pragmas)).await?;
    }
    Ok(())
}

/// A folder and a file that nobody else may read, for numbers are in it; what SQLite puts beside the
/// file is as the file is. One that is there stays as it is.
fn make_file(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| StoreError::Folder(folder.display().to_string(), error))?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(StoreError::Database(error.into()))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// A path inside of a URL.
fn escaped(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.replace('%', "%25").replace('?', "%3F").replace('#', "%23")
}

/// Whether it is a row that the database does not take, and not the database that is broken.
pub(crate) fn is_about_a_row(error: &sqlx::Error) -> bool {
    const TOO_BIG_OR_CONSTRAINT_OR_MISMATCH: [i32; 3] = [18, 19, 20];
    // Of PostgreSQL: data exception, integrity constraint violation, program limit exceeded.
    const CLASSES: [&str; 3] = ["22", "23", "54"];
    if matches!(error, sqlx::Error::Encode(_)) {
        return true;
    }
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let code = code.unwrap_or_default();
    match code.len() {
        5 => CLASSES.contains(&&code[..2]),
        _ => {
            let primary = code.parse::<i32>().map(|extended| extended & 0xff);
            primary.is_ok_and(|code| TOO_BIG_OR_CONSTRAINT_OR_MISMATCH.contains(&code))
        }
    }
}

/// Whether two writers were in each other's way: one of them has to try again, and finds it free.
pub(crate) fn is_a_collision(error: &sqlx::Error) -> bool {
    // Of PostgreSQL: a deadlock, or an order that cannot be kept.
    const CODES: [&str; 2] = ["40001", "40P01"];
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| CODES.contains(&&*code))
}

/// Writing.
impl Store {
    /// Writes a batch; all of it or nothing.
    pub(crate) async fn write(&self, batch: &Batch<'_>) -> Result<(), sqlx::Error> {
        let mut connection = self.writing.acquire().await?;
        let mut writing = match self.is_postgres {
            true => connection.begin().await?,
            // Who has read first may not write when another process wrote in between.
            false => connection.begin_with("BEGIN IMMEDIATE").await?,
        };
        let insert = self.insert_calls();
        for calls in batch.calls.chunks(self.rows_at_once(batch.calls.len())) {
            let rows: Vec<&str> = calls.iter().map(|row| &*row.columns).collect();
            sqlx::query(AssertSqlSafe(&*insert))
                .bind(format!("[{}]", rows.join(",")))
                .execute(&mut *writing)
                .await?;
        }
        for (id, times) in &batch.again {
            sqlx::query("UPDATE calls SET attempts = attempts + $1 WHERE id = $2")
                .bind(i64::from(*times))
                .bind(id.to_string())
                .execute(&mut *writing)
                .await?;
        }
        for event in &batch.events {
            insert_event(&mut writing, event).await?;
        }
        for table in &batch.tables {
            sqlx::query(
                "INSERT INTO tables (fingerprint, at_ms, files) VALUES ($1, $2, $3) \
                 ON CONFLICT (fingerprint) DO UPDATE SET at_ms = excluded.at_ms",
            )
            .bind(&table.fingerprint)
            .bind(table.at.as_millisecond())
            .bind(serde_json::to_string(&table.copies).expect("plain JSON into memory"))
            .execute(&mut *writing)
            .await?;
        }
        if !batch.tables.is_empty() {
            // A list that changes all day long must not fill the disk.
            sqlx::query(
                "DELETE FROM tables WHERE at_ms <= (SELECT MAX(at_ms) FROM (SELECT at_ms, \
                 SUM(OCTET_LENGTH(files)) OVER (ORDER BY at_ms DESC) AS bytes \
                 FROM tables) AS counted WHERE bytes > $1)",
            )
            .bind(BYTES_OF_TABLES)
            .execute(&mut *writing)
            .await?;
        }
        writing.commit().await?;
        // What went into a file that is gone is written again, into the one that comes after it.
        self.file.as_ref().map_or(Ok(()), OpenFile::is_still_there)
    }

    /// How many of so many rows one statement inserts. SQLite's thread lets go of the core between
    /// two of them, so a call that has to wait for the core waits less; at PostgreSQL each is a
    /// round trip.
    fn rows_at_once(&self, rows: usize) -> usize {
        const FEW: usize = 16;
        const STATEMENTS: usize = 4;
        match self.is_postgres {
            true => rows.max(1),
            false => rows.div_ceil(STATEMENTS).max(FEW),
        }
    }

    /// All rows in one parameter, for the bulk of the time is spent between here and the database.
    fn insert_calls(&self) -> String {
        let columns = CallRow::COLUMNS;
        let picked = columns.iter().enumerate().map(|(at, name)| match *name {
            "at_ms" => format!("CAST(value ->> {at} AS BIGINT)"),
            _ => format!("value ->> {at}"),
        });
        let picked = picked.collect::<Vec<_>>().join(", ");
        let last = columns.iter().map(|name| {
            // One that an event told stays.
            let last = match *name {
                "call_id" => "COALESCE(excluded.call_id, calls.call_id)".to_owned(),
                _ => format!("excluded.{name}"),
            };
            format!(
                "{name} = CASE WHEN excluded.at_ms - calls.at_ms BETWEEN 0 AND {AGAIN_MS} \
                 THEN {last} ELSE calls.{name} END"
            )
        });
        let last = last.collect::<Vec<_>>().join(", ");
        let rows = self.each_row();
        format!(
            "WITH rows AS MATERIALIZED (SELECT value FROM {rows}) \
             INSERT INTO calls ({}, attempts) SELECT {picked}, 1 FROM rows WHERE true \
             ON CONFLICT (delivery) DO UPDATE SET {last}, attempts = calls.attempts \
             + CASE WHEN calls.id = excluded.id THEN 0 ELSE 1 END",
            columns.join(", "),
        )
    }

    fn each_row(&self) -> &'static str {
        if self.is_postgres {
            "json_array_elements($1::json) AS each(value)"
        } else {
            "json_each($1)"
        }
    }

    /// Writes, and changes nothing.
    pub(crate) async fn takes_something(&self) -> Result<(), sqlx::Error> {
        let same = sqlx::query("UPDATE _sqlx_migrations SET description = description");
        same.execute(&self.writing).await?;
        self.file.as_ref().map_or(Ok(()), OpenFile::is_still_there)
    }

    /// Deletes what is older than `before`, some rows at a time; how many it deleted.
    ///
    /// # Errors
    /// When the database says no.
    pub async fn sweep(&self, before: Timestamp) -> Result<u64, sqlx::Error> {
        const AT_ONCE: i64 = 2_000;
        let mut deleted = 0;
        for table in ["calls", "events"] {
            let statement = format!(
                "DELETE FROM {table} WHERE id IN \
                 (SELECT id FROM {table} WHERE at_ms < $1 AND id < $2 ORDER BY id LIMIT {AT_ONCE})"
            );
            let done = sqlx::query(AssertSqlSafe(statement))
                .bind(before.as_millisecond())
                .bind(first_id_at(before).to_string())
                .execute(&self.writing)
                .await?;
            deleted += done.rows_affected();
        }
        // The table that answers now stays, whenever it began to.
        let tables = "DELETE FROM tables WHERE at_ms < $1 \
                      AND at_ms < (SELECT MAX(at_ms) FROM tables) \
                      AND NOT EXISTS (SELECT 1 FROM calls \
                      WHERE calls.fingerprint = tables.fingerprint)";
        if deleted == 0 {
            sqlx::query(tables).bind(before.as_millisecond()).execute(&self.writing).await?;
            self.empty_the_log().await?;
        }
        Ok(deleted)
    }

    /// What was deleted also stands in SQLite's log until that is written anew.
    pub(crate) async fn empty_the_log(&self) -> Result<(), sqlx::Error> {
        if !self.is_postgres {
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.writing).await?;
        }
        Ok(())
    }

    /// Deletes all but the newest: so many calls, and so many events with so many characters.
    pub(crate) async fn keep_newest(
        &self,
        calls: i64,
        events: i64,
        characters: i64,
    ) -> Result<u64, sqlx::Error> {
        let old_calls = "DELETE FROM calls WHERE id <= \
                         (SELECT id FROM calls ORDER BY id DESC LIMIT 1 OFFSET $1)";
        let old_events = "DELETE FROM events WHERE id <= (SELECT MAX(id) FROM (SELECT id, \
                          ROW_NUMBER() OVER newest AS place, \
                          SUM(LENGTH(body) + LENGTH(details)) OVER newest AS characters \
                          FROM events WINDOW newest AS (ORDER BY id DESC)) AS counted \
                          WHERE place > $1 OR characters > $2)";
        let calls = sqlx::query(old_calls).bind(calls).execute(&self.writing).await?;
        let events =
            sqlx::query(old_events).bind(events).bind(characters).execute(&self.writing).await?;
        Ok(calls.rows_affected() + events.rows_affected())
    }
}

/// The smallest id of this millisecond: what is below was made before.
pub(crate) fn first_id_at(at: Timestamp) -> Uuid {
    let ms = u128::try_from(at.as_millisecond()).unwrap_or_default();
    Uuid::from_u128(ms << 80)
}

/// A repeated event is stored once, and counted.
async fn insert_event(writing: &mut AnyConnection, event: &EventRow) -> Result<(), sqlx::Error> {
    let found = call_of(writing, event).await?;
    let newer = "CASE WHEN excluded.sent_ms IS NULL OR events.sent_ms IS NULL \
                 OR excluded.sent_ms >= events.sent_ms THEN";
    let last = ["at_ms", "sent_ms", "details", "body"];
    let last =
        last.map(|name| format!(", {name} = {newer} excluded.{name} ELSE events.{name} END"));
    let replaced = if event.last_counts { last.concat() } else { String::new() };
    let statement = format!(
        "INSERT INTO events (id, delivery, at_ms, source, platform, kind, call_id, sent_ms, \
         attempts, details, body, call) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $10, $11) \
         ON CONFLICT (delivery) DO UPDATE SET attempts = events.attempts \
         + CASE WHEN events.id = excluded.id THEN 0 ELSE 1 END, \
         call = COALESCE(excluded.call, events.call){replaced}"
    );
    sqlx::query(AssertSqlSafe(statement))
        .bind(event.id.to_string())
        .bind(&event.delivery)
        .bind(event.at_ms)
        .bind(&event.source)
        .bind(event.platform)
        .bind(&event.kind)
        .bind(&event.call_id)
        .bind(event.sent_ms)
        .bind(&event.details)
        .bind(&event.body)
        .bind(found.as_ref().map(Found::call))
        .execute(&mut *writing)
        .await?;
    if let (Some(Found::Otherwise(call)), Some(call_id)) = (&found, &event.call_id) {
        // What is told of it later may only know this id.
        sqlx::query("UPDATE calls SET call_id = $1 WHERE id = $2 AND call_id IS NULL")
            .bind(call_id)
            .bind(call)
            .execute(&mut *writing)
            .await?;
    }
    Ok(())
}

/// The record of the call that an event is about.
enum Found {
    ByCallId(String),
    Otherwise(String),
}

impl Found {
    fn call(&self) -> &str {
        match self {
            Found::ByCallId(call) | Found::Otherwise(call) => call,
        }
    }
}

/// The call that an event is about: by its call id, else by its stamp, else by numbers and time.
async fn call_of(
    writing: &mut AnyConnection,
    event: &EventRow,
) -> Result<Option<Found>, sqlx::Error> {
    if let (Some(call_id), Some(delivery)) = (&event.call_id, &event.call_delivery) {
        // Where the request had no id, an event before this one may have found its call.
        let asked = "SELECT COALESCE((SELECT id FROM calls WHERE delivery = $1), \
                     (SELECT call FROM events WHERE source = $2 \
                     AND substr(call_id, 1, 64) = substr($3, 1, 64) AND call_id = $3 \
                     AND call IS NOT NULL LIMIT 1))";
        let asked = sqlx::query_scalar(asked).bind(delivery).bind(&event.source).bind(call_id);
        let found: Option<String> = asked.fetch_one(&mut *writing).await?;
        if let Some(found) = found {
            return Ok(Some(Found::ByCallId(found)));
        }
    }
    if let Some(stamp) = event.stamp {
        let asked = sqlx::query_scalar("SELECT id FROM calls WHERE id = $1 AND source = $2")
            .bind(stamp.to_string())
            .bind(&event.source);
        if let Some(found) = asked.fetch_optional(&mut *writing).await? {
            return Ok(Some(Found::Otherwise(found)));
        }
    }
    let Some(from) = &event.from else { return Ok(None) };
    // Of a body that says only who rang, that has to do. A call whose id is known is another one.
    let asked = "SELECT id FROM calls WHERE substr(from_party, 1, 64) = substr($1, 1, 64) \
                 AND from_party = $1 AND at_ms BETWEEN $2 AND $3 \
                 AND source = $4 AND call_id IS NULL AND (to_party = $5 OR $5 = '') \
                 ORDER BY ABS(at_ms - $6), id LIMIT 1";
    let found: Option<String> = sqlx::query_scalar(asked)
        .bind(from)
        .bind(event.began_ms.saturating_sub(SAME_CALL_MS))
        .bind(event.began_ms.saturating_add(SAME_CALL_MS))
        .bind(&event.source)
        .bind(event.to.as_deref().unwrap_or_default())
        .bind(event.began_ms)
        .fetch_optional(&mut *writing)
        .await?;
    Ok(found.map(Found::Otherwise))
}
