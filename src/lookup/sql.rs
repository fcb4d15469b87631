//! Look-ups in a database: the first row of a query, as a JSON object.

use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Column, PgPool, Row, SqlitePool, TypeInfo, ValueRef};

use super::{NoRequest, SystemAnswer};
use crate::domain::call::Call;
use crate::domain::secret::Secret;
use crate::rules::SqlLookup;

/// Connections to the database of one look-up.
pub(crate) enum SqlPool {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

impl SqlPool {
    /// Creates the pool. Connections are opened when they are needed, and stay open.
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
            let pool = SqlitePoolOptions::new()
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
            .max_connections(connections)
            .acquire_timeout(timeout)
            .connect_lazy_with(options.options(limits(timeout)));
        Ok(SqlPool::Postgres(pool))
    }

    /// Runs the query and reads its first row.
    pub(super) async fn ask(&self, query: &SqlLookup, parameters: Vec<String>) -> SystemAnswer {
        let row = match self {
            SqlPool::Postgres(pool) => first_row_of_postgres(pool, query, parameters).await,
            SqlPool::Sqlite(pool) => first_row_of_sqlite(pool, query, parameters).await,
        };
        match row {
            Ok(Some(row)) => SystemAnswer::Found(row),
            Ok(None) => SystemAnswer::Empty,
            // A value that the query cannot use, such as a text where it needs a number.
            Err(error) if has_bad_value(&error) => SystemAnswer::Refused(describe(&error).into()),
            Err(error) => SystemAnswer::failed(&describe(&error)),
        }
    }
}

/// The database ends a query when nobody waits for it any more, and refuses to write.
fn limits(timeout: Duration) -> [(&'static str, String); 2] {
    [
        ("statement_timeout", timeout.as_millis().to_string()),
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

/// PostgreSQL itself converts the row to JSON: it knows all its types.
async fn first_row_of_postgres(
    pool: &PgPool,
    query: &SqlLookup,
    parameters: Vec<String>,
) -> Result<Option<Value>, sqlx::Error> {
    // The line break ends a comment at the end of the query.
    let text =
        format!("SELECT to_json(answer)::text FROM ({}\n) AS answer LIMIT 1", query.query.text);
    let statement = sqlx::query_scalar(AssertSqlSafe(text));
    let statement =
        parameters.into_iter().fold(statement, |statement, value| statement.bind(value));
    let row: Option<String> = statement.fetch_optional(pool).await?;
    row.map(|row| serde_json::from_str(&row).map_err(|error| sqlx::Error::Decode(error.into())))
        .transpose()
}

async fn first_row_of_sqlite(
    pool: &SqlitePool,
    query: &SqlLookup,
    parameters: Vec<String>,
) -> Result<Option<Value>, sqlx::Error> {
    let statement = sqlx::query(AssertSqlSafe(query.query.text.to_string()));
    let statement =
        parameters.into_iter().fold(statement, |statement, value| statement.bind(value));
    statement.fetch_optional(pool).await?.map(|row| to_json(&row)).transpose()
}

/// Returns a row as a JSON object.
pub(crate) fn to_json(row: &SqliteRow) -> Result<Value, sqlx::Error> {
    let mut object = Map::new();
    for column in row.columns() {
        let at = column.ordinal();
        let raw = row.try_get_raw(at)?;
        let value = match (raw.is_null(), raw.type_info().name()) {
            (true, _) => Value::Null,
            (false, "INTEGER") => row.try_get::<i64, _>(at)?.into(),
            (false, "REAL") => row.try_get::<f64, _>(at)?.into(),
            (false, "BOOLEAN") => row.try_get::<bool, _>(at)?.into(),
            (false, "BLOB") => String::from_utf8(row.try_get(at)?).map_or(Value::Null, Value::from),
            (false, _) => row.try_get_unchecked::<String, _>(at)?.into(),
        };
        object.insert(column.name().to_owned(), value);
    }
    Ok(Value::Object(object))
}

/// Returns whether a database error is about a value (SQLSTATE class 22, "data exception").
fn has_bad_value(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.len() == 5 && code.starts_with("22"))
}

/// Returns what went wrong, without values of the call. A message of the database names what is wrong
/// with the query, and can quote a value; its code cannot.
pub(crate) fn describe(error: &sqlx::Error) -> String {
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
