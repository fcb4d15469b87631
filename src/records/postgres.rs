//! Writes to PostgreSQL: one statement for all calls of a batch, since each is a round trip.

use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AnyPool, AssertSqlSafe};

use super::batch::{Batch, Imported, Param};
use super::row::CallRow;
use super::sql;
use super::transfer::{RowCounts, TransferLine};

/// A bucket is an hour: unlike SQLite's writer, this one has no state that two replicas would have
/// to agree on.
const BUCKET_MS: i64 = 60 * 60 * 1000;

/// Writes a batch; all of it or none.
pub(crate) async fn write(pool: &AnyPool, batch: &Batch) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    if !batch.calls.is_empty() {
        let calls: Vec<_> = batch.calls.iter().map(|call| call.to_json()).collect();
        let calls = format!("[{}]", calls.join(","));
        let insert = sqlx::query(AssertSqlSafe(insert_calls())).bind(calls);
        insert.execute(&mut *transaction).await?;
    }
    for (key, times) in &batch.retries {
        let count = sqlx::query(sql::COUNT_RETRY).bind(i64::from(*times)).bind(key.as_str());
        count.execute(&mut *transaction).await?;
    }
    for event in &batch.events {
        let insert = sqlx::query(AssertSqlSafe(sql::insert_event(event.last_counts)));
        let insert = event.params().into_iter().fold(insert, bind);
        insert.execute(&mut *transaction).await?;
        if let Some(call_id) = &event.call_id {
            let set = sqlx::query(sql::SET_CALL_ID).bind(call_id).bind(&event.dedup_key);
            set.execute(&mut *transaction).await?;
        }
    }
    for snapshot in &batch.snapshots {
        sqlx::query(sql::INSERT_SNAPSHOT)
            .bind(&snapshot.fingerprint)
            .bind(snapshot.at.as_millisecond())
            .bind(snapshot.files_json())
            .execute(&mut *transaction)
            .await?;
    }
    if !batch.snapshots.is_empty() {
        let trim = sqlx::query(sql::TRIM_SNAPSHOTS).bind(sql::SNAPSHOT_BYTES);
        trim.execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

/// Stores the rows that are not stored yet; all of them or none.
pub(crate) async fn import(
    pool: &AnyPool,
    lines: &[TransferLine],
) -> Result<RowCounts, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let mut new = RowCounts::default();
    for line in lines {
        if let Some(call) = line.call() {
            let bucket = call.at.as_millisecond() / BUCKET_MS * BUCKET_MS;
            let row = Imported::call(call);
            let insert = sqlx::query(AssertSqlSafe(sql::import_call()));
            let insert = row.params(bucket).into_iter().fold(insert, bind);
            new.calls += insert.execute(&mut *transaction).await?.rows_affected();
        }
        for event in line.events() {
            let row = Imported::event(event);
            let insert = row.params().into_iter().fold(sqlx::query(sql::IMPORT_EVENT), bind);
            new.events += insert.execute(&mut *transaction).await?.rows_affected();
        }
        if let Some(snapshot) = line.snapshot() {
            let insert = sqlx::query(sql::IMPORT_SNAPSHOT)
                .bind(&snapshot.fingerprint)
                .bind(snapshot.at.as_millisecond())
                .bind(snapshot.files_json());
            new.snapshots += insert.execute(&mut *transaction).await?.rows_affected();
        }
        if let Some(change) = line.change() {
            let id = change.id.to_string();
            let insert = change.params(&id).into_iter().fold(sqlx::query(sql::IMPORT_CHANGE), bind);
            new.changes += insert.execute(&mut *transaction).await?.rows_affected();
        }
    }
    if new.changes > 0 {
        let trim = sqlx::query(sql::TRIM_CHANGES).bind(sql::CHANGES);
        trim.execute(&mut *transaction).await?;
    }
    if new.snapshots > 0 {
        let trim = sqlx::query(sql::TRIM_SNAPSHOTS).bind(sql::SNAPSHOT_BYTES);
        trim.execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(new)
}

/// All rows are one parameter, a JSON array: fourteen times as many parameters took ten times as
/// long.
fn insert_calls() -> String {
    let columns = CallRow::COLUMNS.iter().enumerate().map(|(place, name)| match *name {
        "at_ms" => format!("CAST(value ->> {place} AS BIGINT)"),
        _ => format!("value ->> {place}"),
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    let at = CallRow::COLUMNS.iter().position(|name| *name == "at_ms").unwrap_or_default();
    let at = format!("CAST(value ->> {at} AS BIGINT)");
    sql::insert_calls(&format!(
        "SELECT {columns}, {at} / {BUCKET_MS} * {BUCKET_MS}, 1 \
         FROM json_array_elements($1::json) AS each(value) WHERE true"
    ))
}

fn bind<'q>(
    query: Query<'q, Any, AnyArguments>,
    parameter: Param<'q>,
) -> Query<'q, Any, AnyArguments> {
    match parameter {
        Param::Text(text) => query.bind(text),
        Param::Number(number) => query.bind(number),
    }
}
