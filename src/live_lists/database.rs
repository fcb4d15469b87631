//! Lists in a database: all rows of a query, as CSV.

use csv::Writer;
use futures_util::TryStreamExt;
use serde_json::{Map, Value};
use sqlx::AssertSqlSafe;

use super::{Download, MAX_BYTES, TIMEOUT};
use crate::domain::secret::SecretSource;
use crate::lookup::sql::{
    RowError, SqlPool, SqliteRows, describe, describe_in_full, end_after, postgres_row,
    postgres_rows,
};
use crate::rules::SqlLookup;

/// Largest row. A larger one is not received.
const MAX_ROW_BYTES: usize = 1 << 20;

/// Runs the query. Without rows there are no names of columns; then they are those of the copy.
pub(super) async fn rows_as_csv(
    sql: &SqlLookup,
    secrets: &dyn SecretSource,
    header: impl FnOnce() -> Option<String>,
) -> Result<Download, String> {
    let url = secrets.secret(&sql.database).ok_or("the URL of the database is missing")?;
    let pool = SqlPool::new(&url, 1, TIMEOUT)?;
    let mut table = Table::default();
    let query = &sql.query.text;
    match pool {
        SqlPool::Postgres(pool) => {
            let text = postgres_rows(query, MAX_ROW_BYTES, "OFFSET 0");
            let mut rows = sqlx::query(AssertSqlSafe(text)).fetch(&pool);
            while let Some(row) = rows.try_next().await.map_err(|error| describe(&error))? {
                table.add(&postgres_row(&row).map_err(problem)?)?;
            }
        }
        SqlPool::Sqlite(pool) => {
            let connection = pool.acquire().await;
            let mut connection = connection.map_err(|error| describe_in_full(&error))?;
            let limited = end_after(&mut connection, TIMEOUT).await;
            limited.map_err(|error| describe(&error))?;
            let wrapped = SqliteRows::of(&mut connection, query, MAX_ROW_BYTES, "").await;
            let wrapped = wrapped.map_err(|error| describe_in_full(&error))?;
            let query = sqlx::query(AssertSqlSafe(wrapped.text.clone()));
            let mut rows = query.fetch(&mut *connection);
            while let Some(row) = rows.try_next().await.map_err(|error| describe(&error))? {
                table.add(&wrapped.read(&row).map_err(problem)?)?;
            }
        }
    }
    let content = match table.writer {
        Some(writer) => writer.into_inner().map_err(|error| error.to_string())?,
        None => header().ok_or("the query has no rows")?.into_bytes(),
    };
    Ok(Download { content, etag: None, last_modified: None })
}

fn problem(error: RowError) -> String {
    match error {
        RowError::TooLarge => "a row has more than 1 MiB".to_owned(),
        RowError::Unusable(error) => describe_in_full(&error),
        RowError::Database(error) => describe(&error),
    }
}

/// Rows as CSV.
#[derive(Default)]
struct Table {
    /// `None` before the first row.
    writer: Option<Writer<Vec<u8>>>,
}

impl Table {
    fn add(&mut self, row: &Value) -> Result<(), String> {
        let Value::Object(row) = row else { return Err("the row cannot be read".to_owned()) };
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let writer = self.writer.insert(Writer::from_writer(Vec::new()));
                writer.write_record(row.keys()).map_err(|error| error.to_string())?;
                writer
            }
        };
        writer.write_record(cells(row)).map_err(|error| error.to_string())?;
        match writer.get_ref().len() > MAX_BYTES {
            true => Err("the answer has more than 64 MiB".to_owned()),
            false => Ok(()),
        }
    }
}

fn cells(row: &Map<String, Value>) -> impl Iterator<Item = String> {
    row.values().map(|value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    })
}
