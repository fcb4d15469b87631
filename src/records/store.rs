//! The record store: SQLite or PostgreSQL behind one interface. `memory:` is a SQLite database that
//! ends with the process. This module opens it; see [`super::query`] for reading, [`super::sqlite`]
//! and [`super::postgres`] for writing, and [`super::expiry`] for deleting.
//!
//! Times are Unix milliseconds, JSON is text; see `migrations/`.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection, SqlSafeStr};
use uuid::{NoContext, Uuid};

use super::RuleSnapshot;
use super::batch::{Batch, BatchError};
use super::connections::{CONNECT_TIMEOUT, HistoryPool, set_up, sqlite_pragmas};
use super::postgres;
use super::sqlite::SqliteWriter;
use super::transfer::{ImportError, RowCounts, TransferLine};
use crate::regular_file;
use crate::settings::RecordsLocation;

/// An open store.
#[derive(Clone)]
pub struct Store {
    /// Connections that read.
    pub(crate) pool: AnyPool,
    /// Connections that read histories. Calls wait for those, so they are apart from the others.
    pub(crate) histories: Arc<HistoryPool>,
    writer: StoreWriter,
    pub(crate) is_postgres: bool,
    /// The file of a SQLite store.
    file: Option<OpenFile>,
}

/// A connection of its own for the rows that the service writes: a pool hands out the connection
/// that rested longest, whose page cache is outdated.
#[derive(Clone)]
enum StoreWriter {
    /// The second connection deletes: it must not wait for those that read.
    Sqlite(SqliteWriter, AnyPool),
    Postgres(AnyPool),
    ReadOnly,
}

/// Identity of the open file. SQLite goes on writing to a file, or a log (`-wal`), that was moved
/// or deleted.
#[derive(Clone, PartialEq, Eq)]
struct OpenFile {
    path: PathBuf,
    device_and_inode: (u64, u64),
}

impl RuleSnapshot {
    pub(crate) fn files_json(&self) -> String {
        serde_json::to_string(&self.files).expect("plain JSON into memory")
    }
}

/// Error of opening or reading a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Records are `off`, or in the memory of the service.
    #[error("{0}")]
    NoStore(&'static str),
    /// The database returned an error, which never contains its URL.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The connection that writes to SQLite could not be opened.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The tables could not be created.
    #[error("cannot create the tables of the record store: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The folder of the file could not be created.
    #[error("cannot create the folder {0}: {1}")]
    Folder(String, std::io::Error),
    /// A row that no version of this program wrote.
    #[error("cannot read a record: {0}")]
    Unreadable(String),
}

/// Connections that read.
const READERS: u32 = 3;

fn migrator(is_postgres: bool) -> Migrator {
    const RECORDS: &str = include_str!("../../migrations/0001_records.sql");
    let records = match is_postgres {
        // Sorted as bytes, as in SQLite: in Danish, `aa` comes after `z`. PostgreSQL limits the
        // size of an index entry, and the name of a rule can be longer.
        true => RECORDS
            .replace("TEXT PRIMARY KEY", "TEXT COLLATE \"C\" PRIMARY KEY")
            .replace("dedup_key TEXT", "dedup_key TEXT COLLATE \"C\"")
            .replace("outcome, rule, at_ms)", "outcome, at_ms)"),
        false => RECORDS.to_owned(),
    };
    let migration = Migration::new(
        1,
        Cow::Borrowed("records"),
        MigrationType::Simple,
        AssertSqlSafe(records).into_sql_str(),
        false,
    );
    Migrator::with_migrations(vec![migration])
}

impl Store {
    /// Opens the store and creates what is missing.
    ///
    /// # Errors
    /// Fails when records are off, or the store does not answer.
    pub async fn open(location: &RecordsLocation) -> Result<Store, StoreError> {
        if let RecordsLocation::Sqlite(path) = location {
            create_file(path)?;
        }
        let url = url(location)?;
        let options = test_connection(&url, WAL).await?;
        // An in-memory database exists while a connection is open.
        let pool = connect(&options, READERS, WAL).await?;
        let histories = Arc::new(HistoryPool::new(options.clone(), WAL));
        let writer = match location {
            RecordsLocation::Postgres(_) => StoreWriter::Postgres(connect(&options, 1, "").await?),
            RecordsLocation::Off | RecordsLocation::Memory | RecordsLocation::Sqlite(_) => {
                let writer = SqliteWriter::open(&sqlite_uri(&url), &sqlite_pragmas(WAL))?;
                StoreWriter::Sqlite(writer, connect(&options, 1, WAL).await?)
            }
        };
        let is_postgres = matches!(location, RecordsLocation::Postgres(_));
        let migrator = migrator(is_postgres);
        // Another process may be creating the same tables.
        if migrator.run(&pool).await.is_err() {
            migrator.run(&pool).await?;
        }
        let file = match location {
            RecordsLocation::Sqlite(path) => Some(OpenFile::at(path)?),
            RecordsLocation::Off | RecordsLocation::Memory | RecordsLocation::Postgres(_) => None,
        };
        Ok(Store { pool, histories, writer, is_postgres, file })
    }

    /// Opens a store for reading; creates nothing and does not change a file of another program.
    ///
    /// # Errors
    /// Fails when nothing has been recorded, or the store does not answer.
    pub async fn open_to_read(location: &RecordsLocation) -> Result<Store, StoreError> {
        const NOTHING: StoreError = StoreError::NoStore("nothing has been recorded yet");
        match location {
            RecordsLocation::Memory => Err(StoreError::NoStore(
                "records are in the memory of the service: ask its admin listener for /records",
            )),
            RecordsLocation::Sqlite(path) if !path.exists() => Err(NOTHING),
            RecordsLocation::Off | RecordsLocation::Sqlite(_) | RecordsLocation::Postgres(_) => {
                let options = test_connection(&url(location)?, "").await?;
                let pool = connect(&options, READERS, "").await?;
                let histories = Arc::new(HistoryPool::new(options, ""));
                let is_postgres = matches!(location, RecordsLocation::Postgres(_));
                let writer = StoreWriter::ReadOnly;
                let store = Store { pool, histories, writer, is_postgres, file: None };
                match store.has_records().await? {
                    true => Ok(store),
                    false => Err(NOTHING),
                }
            }
        }
    }

    async fn has_records(&self) -> Result<bool, sqlx::Error> {
        let query = match self.is_postgres {
            true => "SELECT to_regclass('calls')::text AS name",
            false => "SELECT MAX(name) AS name FROM sqlite_schema WHERE name = 'calls'",
        };
        let name: Option<String> = sqlx::query_scalar(query).fetch_one(&self.pool).await?;
        Ok(name.is_some())
    }

    /// Closes the store once its connections are idle.
    pub async fn close(&self) {
        match &self.writer {
            StoreWriter::Sqlite(writer, pool) => {
                writer.close().await;
                pool.close().await;
            }
            StoreWriter::Postgres(pool) => pool.close().await,
            StoreWriter::ReadOnly => {}
        }
        self.histories.close().await;
        self.pool.close().await;
    }

    /// Writes a batch; all of it or none.
    pub(crate) async fn write(&self, batch: Batch) -> Result<(), BatchError> {
        match &self.writer {
            StoreWriter::Sqlite(writer, _) => writer.write(batch).await?,
            StoreWriter::Postgres(pool) => postgres::write(pool, &batch).await?,
            StoreWriter::ReadOnly => return Err(BatchError::Store("opened to read".to_owned())),
        }
        // Rows that went into a file that is gone are written again, into its successor.
        Ok(self.check_file()?)
    }

    /// Stores what is not stored yet, in one transaction. Returns the numbers of new rows.
    ///
    /// # Errors
    /// Fails, and stores nothing, if the database rejects a row or cannot be written.
    pub async fn import(&self, lines: &[TransferLine]) -> Result<RowCounts, ImportError> {
        let imported = match &self.writer {
            StoreWriter::Sqlite(writer, _) => writer.import(lines.to_vec()).await?,
            StoreWriter::Postgres(pool) => {
                postgres::import(pool, lines).await.map_err(BatchError::from)?
            }
            StoreWriter::ReadOnly => {
                return Err(ImportError::Store("opened to read".to_owned()));
            }
        };
        Ok(imported)
    }

    /// Checks that writing is possible without changing anything.
    pub(crate) async fn check_writable(&self) -> Result<(), sqlx::Error> {
        let unchanged = sqlx::query("UPDATE _sqlx_migrations SET description = description");
        unchanged.execute(self.deleting_pool()).await?;
        self.check_file()
    }

    /// Returns whether other services are meant to write to the same store.
    pub fn has_other_writers(&self) -> bool {
        self.is_postgres
    }

    fn check_file(&self) -> Result<(), sqlx::Error> {
        self.file.as_ref().map_or(Ok(()), OpenFile::check)
    }

    /// The connections that delete and maintain.
    pub(crate) fn deleting_pool(&self) -> &AnyPool {
        match &self.writer {
            StoreWriter::Sqlite(_, pool) | StoreWriter::Postgres(pool) => pool,
            StoreWriter::ReadOnly => &self.pool,
        }
    }
}

fn url(location: &RecordsLocation) -> Result<String, StoreError> {
    static MEMORY_STORES: AtomicUsize = AtomicUsize::new(0);
    match location {
        RecordsLocation::Off => Err(StoreError::NoStore("records are off")),
        // A leading slash makes the database visible to all connections of the process.
        RecordsLocation::Memory => {
            let number = MEMORY_STORES.fetch_add(1, Ordering::Relaxed);
            Ok(format!("sqlite:/switchboard{number}?vfs=memdb&mode=rwc"))
        }
        RecordsLocation::Sqlite(path) => Ok(format!("sqlite:{}", escaped(path))),
        RecordsLocation::Postgres(url) => Ok(String::from_utf8_lossy(url.expose()).into_owned()),
    }
}

/// The same database in the form that SQLite itself reads.
fn sqlite_uri(url: &str) -> String {
    url.replacen("sqlite:", "file:", 1).replace("&mode=rwc", "")
}

/// Connects once: a pool would retry until its timeout, and log each failure.
async fn test_connection(url: &str, pragmas: &str) -> Result<AnyConnectOptions, StoreError> {
    install_default_drivers();
    let options = AnyConnectOptions::from_str(url)?;
    let first = tokio::time::timeout(CONNECT_TIMEOUT, async {
        let mut first = AnyConnection::connect_with(&options).await?;
        set_up(&mut first, pragmas).await?;
        first.close().await
    });
    first.await.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
    Ok(options)
}

async fn connect(
    options: &AnyConnectOptions,
    connections: u32,
    pragmas: &'static str,
) -> Result<AnyPool, sqlx::Error> {
    AnyPoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(CONNECT_TIMEOUT)
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

    fn check(&self) -> Result<(), sqlx::Error> {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        let has_log = std::fs::metadata(log).is_ok();
        if has_log && OpenFile::at(&self.path).is_ok_and(|now| now == *self) {
            return Ok(());
        }
        Err(std::io::Error::other("the file, or its log, is no longer where it was").into())
    }
}

/// Readers do not wait for the writer. A commit survives a power cut. The log is truncated after it
/// has grown.
const WAL: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                   PRAGMA journal_size_limit = 16777216;";

/// Creates a folder and a file that other users cannot read, because they hold phone numbers.
/// SQLite gives the files beside it the same mode. An existing file keeps its mode.
fn create_file(path: &Path) -> Result<(), StoreError> {
    let folder = regular_file::folder_of(path);
    let created = regular_file::create_private_folder(folder);
    created.map_err(|error| StoreError::Folder(folder.display().to_string(), error))?;
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(StoreError::Database(error.into()))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Escapes a path for a URL.
fn escaped(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.replace('%', "%25").replace('?', "%3F").replace('#', "%23")
}

impl From<sqlx::Error> for BatchError {
    fn from(error: sqlx::Error) -> BatchError {
        let reason = error.to_string();
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        match code.as_deref().unwrap_or_default() {
            _ if matches!(error, sqlx::Error::Encode(_)) => BatchError::Row(reason),
            // PostgreSQL: serialization failure, deadlock.
            "40001" | "40P01" => BatchError::Collision(reason),
            // Data exception, integrity constraint violation, program limit exceeded.
            code if ["22", "23", "54"].iter().any(|class| code.starts_with(class)) => {
                BatchError::Row(reason)
            }
            _ => BatchError::Store(reason),
        }
    }
}

/// Returns a new id for a record of this time.
pub(crate) fn new_id(at: Timestamp) -> Uuid {
    let seconds = u64::try_from(at.as_second()).unwrap_or_default();
    let nanos = u32::try_from(at.subsec_nanosecond()).unwrap_or_default();
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanos))
}

/// Returns the time in the id of a record.
pub(crate) fn time_of_id(id: Uuid) -> Timestamp {
    let ms = i64::try_from(id.as_u128() >> 80).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

/// The smallest id of this millisecond: smaller ids are older.
pub(crate) fn first_id_at(at: Timestamp) -> Uuid {
    let ms = u128::try_from(at.as_millisecond()).unwrap_or_default();
    Uuid::from_u128(ms << 80)
}
