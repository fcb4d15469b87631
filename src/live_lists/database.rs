//! Lists in a database: all rows of a query, as CSV.

use csv::Writer;
use futures_util::TryStreamExt;
use serde_json::{Map, Value};
use sqlx::AssertSqlSafe;

use super::{Download, MAX_BYTES, TIMEOUT};
use crate::domain::secret::SecretSource;
use crate::lookup::sql::{SqlPool, describe, to_json};
use crate::rules::SqlLookup;

/// Runs the query. Without rows there are no names of columns; then they are those of the copy.
pub(super) async fn rows_as_csv(
    sql: &SqlLookup,
    secrets: &dyn SecretSource,
    header: impl FnOnce() -> Option<String>,
) -> Result<Download, String> {
    let url = secrets.secret(&sql.database).ok_or("the URL of the database is missing")?;
    let pool = SqlPool::new(&url, 1, TIMEOUT)?;
    let mut table = Table::default();
    match pool {
        SqlPool::Postgres(pool) => {
            // PostgreSQL itself converts the rows to JSON: it knows all its types. The line break ends a comment
            // at the end of the query.
            let text =
                format!("SELECT to_json(answer)::text FROM ({}\n) AS answer", sql.query.text);
            let query = sqlx::query_scalar::<_, String>(AssertSqlSafe(text));
            let mut rows = query.fetch(&pool);
            while let Some(row) = rows.try_next().await.map_err(|error| describe(&error))? {
                let row = serde_json::from_str(&row).map_err(|_| "the row cannot be read")?;
                table.add(&row)?;
            }
        }
        SqlPool::Sqlite(pool) => {
            let query = sqlx::query(AssertSqlSafe(sql.query.text.to_string()));
            let mut rows = query.fetch(&pool);
            while let Some(row) = rows.try_next().await.map_err(|error| describe(&error))? {
                table.add(&to_json(&row).map_err(|error| describe(&error))?)?;
            }
        }
    }
    let content = match table.writer {
        Some(writer) => writer.into_inner().map_err(|error| error.to_string())?,
        None => header().ok_or("the query has no rows")?.into_bytes(),
    };
    Ok(Download { content, etag: None, last_modified: None })
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
