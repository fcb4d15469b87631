//! Look-ups in a database: the first row of a query, as a JSON object.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteRow};
use sqlx::{
    AssertSqlSafe, Column, Connection, Executor, PgPool, Row, SqlSafeStr, SqliteConnection,
    SqlitePool, Statement, TypeInfo, ValueRef,
};
use tokio::time::Instant;

use super::json::parse_answer;
use super::{NoRequest, SystemAnswer};
use crate::domain::call::Call;
use crate::domain::secret::Secret;
use crate::rules::{Lookup, SqlLookup};

/// Why an answer that is larger than `max_bytes` is none.
pub(super) const TOO_LARGE: &str = "the answer is too large";

/// Why there is no row.
pub(crate) enum RowError {
    /// The row has more bytes than it may. It was not received.
    TooLarge,
    /// The database cannot be opened, or does not understand the query. No value was bound to it yet.
    Unusable(sqlx::Error),
    /// The database returned an error.
    Database(sqlx::Error),
}

impl From<sqlx::Error> for RowError {
    fn from(error: sqlx::Error) -> RowError {
        RowError::Database(error)
    }
}

/// Connections to the database of one look-up.
#[derive(Clone)]
pub(crate) enum SqlPool {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

impl SqlPool {
    /// Creates the pool. Connections are opened when they are needed, and one of them stays open.
    ///
    /// # Errors
    /// Fails if the text is no URL of SQLite or PostgreSQL. The error does not contain it.
    pub(crate) fn new(
        url: &Secret,
        connections: usize,
        timeout: Duration,
    ) -> Result<SqlPool, &'static str> {
        let url = str::from_utf8(url.expose()).map_err(|_| "the database URL is not text")?;
        let connections = u32::try_from(connections).unwrap_or(u32::MAX);
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url);
            let options = options.map_err(|_| "the URL of the SQLite file is invalid")?;
            // A look-up never changes the database, and never creates one.
            let options = options.read_only(true).create_if_missing(false);
            let options = options.busy_timeout(timeout);
            let file = Arc::new(SqliteFile::new(options.get_filename()));
            let pool = SqlitePoolOptions::new()
                .before_acquire(move |_, connection| {
                    let file = file.clone();
                    Box::pin(async move { Ok(file.is_read_since(connection.age)) })
                })
                .min_connections(1)
                .max_connections(connections)
                .acquire_timeout(timeout)
                .idle_timeout(None)
                .connect_lazy_with(options);
            return Ok(SqlPool::Sqlite(pool));
        }
        if !url.starts_with("postgres:") && !url.starts_with("postgresql:") {
            return Err("the database URL begins with neither sqlite: nor postgres:");
        }
        let options = PgConnectOptions::from_str(url);
        let options = options.map_err(|_| "the URL of the PostgreSQL database is invalid")?;
        let pool = PgPoolOptions::new()
            .min_connections(1)
            .max_connections(connections)
            .acquire_timeout(timeout)
            .connect_lazy_with(options.options(limits(timeout)));
        Ok(SqlPool::Postgres(pool))
    }

    /// Opens a connection in the background, so that the first call does not wait for it.
    pub(super) fn connect(&self) {
        let pool = self.clone();
        tokio::spawn(async move {
            // Whatever is wrong now, the first question will tell.
            match pool {
                SqlPool::Postgres(pool) => drop(pool.acquire().await),
                SqlPool::Sqlite(pool) => drop(pool.acquire().await),
            }
        });
    }

    /// Runs the query and reads its first row, of at most `max_bytes`.
    pub(super) async fn ask(
        &self,
        query: &SqlLookup,
        parameters: Vec<String>,
        lookup: &Lookup,
    ) -> SystemAnswer {
        let max_bytes = lookup.max_bytes;
        let row = match self {
            SqlPool::Postgres(pool) => {
                first_row_of_postgres(pool, query, parameters, max_bytes).await
            }
            SqlPool::Sqlite(pool) => first_row_of_sqlite(pool, query, parameters, lookup).await,
        };
        match row {
            Ok(Some(row)) => SystemAnswer::Found(row),
            Ok(None) => SystemAnswer::Empty,
            Err(RowError::TooLarge) => SystemAnswer::Refused(TOO_LARGE.into()),
            Err(RowError::Unusable(error)) => SystemAnswer::failed(&describe_in_full(&error)),
            Err(RowError::Database(error)) if was_too_slow(&error) => SystemAnswer::Late,
            // A value that the query cannot use, such as a text where it needs a number, or a row that is no text.
            Err(RowError::Database(error)) if has_bad_value(&error) => {
                SystemAnswer::Refused(describe(&error).into())
            }
            Err(RowError::Database(error)) => SystemAnswer::failed(&describe(&error)),
        }
    }
}

/// The file of a SQLite database, which an export may replace by another one of the same name.
struct SqliteFile {
    path: PathBuf,
    /// The file, if there is one, and the time since which it is known. Connections that are older read another one.
    known: Mutex<(Option<FileId>, Instant)>,
}

/// Device and inode.
type FileId = (u64, u64);

impl SqliteFile {
    /// Notes which file is there, before it is opened.
    fn new(path: &Path) -> SqliteFile {
        let path = path.to_owned();
        let known = Mutex::new((SqliteFile::id_at(&path), Instant::now()));
        SqliteFile { path, known }
    }

    fn id_at(path: &Path) -> Option<FileId> {
        path.metadata().ok().map(|found| (found.dev(), found.ino()))
    }

    /// Returns whether a connection of this age reads the file that is there now. A file that is away for a moment
    /// stays open.
    fn is_read_since(&self, age: Duration) -> bool {
        let Some(id) = SqliteFile::id_at(&self.path) else { return true };
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != Some(id) {
            *known = (Some(id), now);
        }
        now.checked_sub(age).is_some_and(|opened| opened >= known.1)
    }
}

/// Returns how long a query may take within the timeout of a look-up. The database ends it a little earlier than
/// the look-up, so that the connection is free again instead of closed in the middle of a query.
fn query_time(timeout: Duration) -> Duration {
    const MARGIN: Duration = Duration::from_millis(20);
    timeout.saturating_sub(MARGIN).max(timeout / 2)
}

/// The database ends a query in time, and refuses to write.
fn limits(timeout: Duration) -> [(&'static str, String); 2] {
    [
        ("statement_timeout", query_time(timeout).as_millis().to_string()),
        ("default_transaction_read_only", "on".to_owned()),
    ]
}

/// Returns the values of the query's parameters for a call.
pub(super) fn parameters(query: &SqlLookup, call: &Call<'_>) -> Result<Vec<String>, NoRequest> {
    let values = query
        .parameters
        .iter()
        .map(|value| value.of(call).map(|value| value.into_owned()).ok_or(NoRequest::UnknownValue));
    values.collect()
}

async fn first_row_of_postgres(
    pool: &PgPool,
    query: &SqlLookup,
    parameters: Vec<String>,
    max_bytes: usize,
) -> Result<Option<Value>, RowError> {
    let text = postgres_rows(&query.query.text, max_bytes, "LIMIT 1");
    let statement = sqlx::query(AssertSqlSafe(text));
    let statement =
        parameters.into_iter().fold(statement, |statement, value| statement.bind(value));
    let row = statement.fetch_optional(pool).await?;
    row.map(|row| postgres_row(&row)).transpose()
}

/// Returns a query for the rows of `query` that [`postgres_row`] reads: PostgreSQL itself converts them to
/// JSON, since it knows all its types, and does not send one that is too large. `limit` also keeps PostgreSQL
/// from converting each row twice.
pub(crate) fn postgres_rows(query: &str, max_bytes: usize, limit: &str) -> String {
    // The line break ends a comment at the end of the query.
    format!(
        "SELECT CASE WHEN octet_length(line) <= {max_bytes} THEN line END \
         FROM (SELECT to_json(answer.*)::text AS line FROM ({query}\n) AS answer {limit}) AS sized"
    )
}

/// Reads a row of [`postgres_rows`] as a JSON object.
pub(crate) fn postgres_row(row: &PgRow) -> Result<Value, RowError> {
    let line: Option<&str> = row.try_get(0)?;
    let line = line.ok_or(RowError::TooLarge)?;
    Ok(parse_answer(line.as_bytes()).map_err(|error| sqlx::Error::Decode(error.into()))?)
}

async fn first_row_of_sqlite(
    pool: &SqlitePool,
    query: &SqlLookup,
    parameters: Vec<String>,
    lookup: &Lookup,
) -> Result<Option<Value>, RowError> {
    let (text, max_bytes) = (&query.query.text, lookup.max_bytes);
    let mut connection = pool.acquire().await.map_err(RowError::Unusable)?;
    end_after(&mut connection, query_time(lookup.timeout)).await?;
    let rows = SqliteRows::of(&mut connection, text, max_bytes, "LIMIT 1").await;
    let rows = rows.map_err(RowError::Unusable)?;
    let statement = sqlx::query(AssertSqlSafe(rows.text.clone()));
    let statement =
        parameters.into_iter().fold(statement, |statement, value| statement.bind(value));
    match statement.fetch_optional(&mut *connection).await {
        Ok(row) => row.map(|row| rows.read(&row)).transpose(),
        Err(error) => {
            // The columns of `SELECT *` may have changed since the statement was prepared.
            drop(connection.clear_cached_statements().await);
            Err(error.into())
        }
    }
}

/// Number of SQLite's instructions between two looks at the clock: some 10 µs.
const INSTRUCTIONS_PER_LOOK: i32 = 1_000;

/// Ends the queries of a connection after this time, as `statement_timeout` does in PostgreSQL: nobody waits for
/// them any more.
pub(crate) async fn end_after(
    connection: &mut SqliteConnection,
    time: Duration,
) -> Result<(), sqlx::Error> {
    let deadline = Instant::now() + time;
    let mut handle = connection.lock_handle().await?;
    handle.set_progress_handler(INSTRUCTIONS_PER_LOOK, move || Instant::now() < deadline);
    Ok(())
}

/// A query for rows of limited size.
pub(crate) struct SqliteRows {
    /// Text of the query.
    pub(crate) text: String,
    /// Names of the columns.
    names: Vec<String>,
    max_bytes: usize,
}

impl SqliteRows {
    /// Wraps a query, so that SQLite does not hand over a row that is too large.
    pub(crate) async fn of(
        connection: &mut SqliteConnection,
        query: &str,
        max_bytes: usize,
        limit: &str,
    ) -> Result<SqliteRows, sqlx::Error> {
        let described = connection.prepare(AssertSqlSafe(query.to_owned()).into_sql_str()).await?;
        let columns = described.columns().iter();
        let names: Vec<String> = columns.map(|column| column.name().to_owned()).collect();
        let list = |column: &dyn Fn(usize) -> String, separator: &str| {
            (0..names.len()).map(column).collect::<Vec<_>>().join(separator)
        };
        let columns = list(&|at| format!("c{at}"), ", ");
        let bytes = list(&|at| format!("COALESCE(octet_length(c{at}), 0)"), " + ");
        let values = list(&|at| format!("CASE WHEN bytes <= {max_bytes} THEN c{at} END"), ", ");
        // The line break ends a comment at the end of the query.
        let text = format!(
            "WITH answer({columns}) AS ({query}\n) SELECT {values}, bytes \
             FROM (SELECT *, {bytes} AS bytes FROM answer {limit})"
        );
        Ok(SqliteRows { text, names, max_bytes })
    }

    /// Reads a row as a JSON object.
    pub(crate) fn read(&self, row: &SqliteRow) -> Result<Value, RowError> {
        let bytes: i64 = row.try_get(self.names.len())?;
        if usize::try_from(bytes).is_ok_and(|bytes| bytes > self.max_bytes) {
            return Err(RowError::TooLarge);
        }
        let mut object = Map::new();
        for (at, name) in self.names.iter().enumerate() {
            object.insert(name.clone(), sqlite_value(row, at)?);
        }
        Ok(Value::Object(object))
    }
}

fn sqlite_value(row: &SqliteRow, at: usize) -> Result<Value, sqlx::Error> {
    let raw = row.try_get_raw(at)?;
    Ok(match (raw.is_null(), raw.type_info().name()) {
        (true, _) => Value::Null,
        (false, "INTEGER") => row.try_get::<i64, _>(at)?.into(),
        (false, "REAL") => row.try_get::<f64, _>(at)?.into(),
        (false, "BLOB") => String::from_utf8(row.try_get(at)?).map_or(Value::Null, Value::from),
        (false, _) => row.try_get_unchecked::<String, _>(at)?.into(),
    })
}

/// Returns whether a database ended a query: PostgreSQL's `query_canceled` and SQLite's `SQLITE_INTERRUPT`.
fn was_too_slow(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| matches!(&*code, "57014" | "9"))
}

/// Returns whether an error is about a value of this question or its row (SQLSTATE class 22, "data exception").
fn has_bad_value(error: &sqlx::Error) -> bool {
    if let sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } = error {
        return true;
    }
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.len() == 5 && code.starts_with("22"))
}

/// Returns what went wrong, without values of the call. A message of the database can quote a value, unless it is
/// about the query itself (SQLSTATE class 42); a code cannot.
pub(crate) fn describe(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(|error| error.code());
    match code.is_some_and(|code| code.len() == 5 && code.starts_with("42")) {
        true => describe_in_full(error),
        false => describe_by_code(error),
    }
}

/// Returns what went wrong with the message of the database, which must not be about values.
pub(crate) fn describe_in_full(error: &sqlx::Error) -> String {
    let message = error.as_database_error().map(|error| format!(": {}", error.message()));
    describe_by_code(error) + &message.unwrap_or_default()
}

fn describe_by_code(error: &sqlx::Error) -> String {
    if let sqlx::Error::Database(error) = error {
        return match error.code() {
            Some(code) => format!("database error {code}"),
            None => "database error".to_owned(),
        };
    }
    let is_unreachable =
        matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) | sqlx::Error::Tls(_));
    let problem =
        if is_unreachable { "cannot connect to the database" } else { "the row cannot be read" };
    problem.to_owned()
}
