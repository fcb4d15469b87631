//! Writes to SQLite through one connection, with statements that are prepared once.
//!
//! It blocks, so [`SqliteWriter::write`] runs it on a thread for blocking work: one change of
//! thread per batch, where sqlx takes one per statement. Reading goes through sqlx.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{
    CachedStatement, Connection, InterruptHandle, OpenFlags, Transaction, TransactionBehavior,
    params, params_from_iter,
};

use super::batch::{Batch, BatchError, Imported, Param};
use super::row::{CallRow, EventRow};
use super::sql;
use super::transfer::{RowCounts, TransferLine};

/// A handle to the connection that writes.
#[derive(Clone)]
pub(crate) struct SqliteWriter {
    connection: Arc<Mutex<Option<WriteConnection>>>,
    interrupt: Arc<InterruptHandle>,
}

struct WriteConnection {
    connection: Connection,
    statements: Statements,
    buckets: Buckets,
}

/// The text of the statements, with the placeholders of SQLite.
struct Statements {
    insert_call: String,
    insert_event: String,
    replace_event: String,
    set_call_id: String,
}

/// A bucket holds so many calls, then the next one begins: few enough that the index pages of the
/// newest bucket are written together, many enough that a search by number visits few buckets.
const CALLS_PER_BUCKET: i64 = 1_024;
/// After so many rows the thread offers the core to a request that waits for it.
const ROWS_BETWEEN_YIELDS: usize = 8;
/// The pages of the log that are copied into the file at once; 16 MB, the size that the log keeps.
/// The default of 1,000 writes the pages of a random index four times as often.
const CHECKPOINT_PAGES: u32 = 4_000;

impl SqliteWriter {
    /// Opens the database of this URI, which exists, with these settings of a connection.
    pub(crate) fn open(uri: &str, pragmas: &str) -> Result<SqliteWriter, rusqlite::Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(uri, flags)?;
        connection
            .execute_batch(&format!("{pragmas} PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};"))?;
        let interrupt = Arc::new(connection.get_interrupt_handle());
        let (statements, buckets) = (Statements::new(), Buckets::default());
        let connection = WriteConnection { connection, statements, buckets };
        Ok(SqliteWriter { connection: Arc::new(Mutex::new(Some(connection))), interrupt })
    }

    /// Writes a batch; all of it or none. A write whose waiter has gone is interrupted.
    pub(crate) async fn write(&self, batch: Batch) -> Result<(), BatchError> {
        self.run(move |connection| connection.write(&batch)).await
    }

    /// Stores the rows that are not stored yet; all of them or none.
    pub(crate) async fn import(&self, lines: Vec<TransferLine>) -> Result<RowCounts, BatchError> {
        self.run(move |connection| connection.import(&lines)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut WriteConnection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, BatchError> {
        let mut interrupt = InterruptOnDrop(Some(self.interrupt.clone()));
        let writer = self.clone();
        let done = tokio::task::spawn_blocking(move || match &mut *writer.guarded() {
            Some(connection) => work(connection).map_err(BatchError::from),
            None => Err(BatchError::Store("the connection is closed".to_owned())),
        });
        let done = done.await;
        interrupt.0 = None;
        done.unwrap_or_else(|panic| Err(BatchError::Store(panic.to_string())))
    }

    /// Closes the connection, after the write that uses it.
    pub(crate) async fn close(&self) {
        let writer = self.clone();
        drop(tokio::task::spawn_blocking(move || drop(writer.guarded().take())).await);
    }

    fn guarded(&self) -> MutexGuard<'_, Option<WriteConnection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Interrupts the running statement unless the write has ended.
struct InterruptOnDrop(Option<Arc<InterruptHandle>>);

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.interrupt();
        }
    }
}

impl WriteConnection {
    fn write(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        self.in_transaction(|transaction, statements, buckets| {
            write_rows(transaction, statements, buckets, batch)
        })
    }

    fn import(&mut self, lines: &[TransferLine]) -> rusqlite::Result<RowCounts> {
        self.in_transaction(|transaction, _, buckets| import_rows(transaction, buckets, lines))
    }

    fn in_transaction<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &Statements, &mut Buckets) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        // A transaction that has read first cannot write after another process has written.
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&transaction, &self.statements, &mut self.buckets);
        let committed = done.and_then(|value| transaction.commit().map(|()| value));
        if committed.is_err() {
            self.buckets = Buckets::default();
        }
        committed
    }
}

fn import_rows(
    transaction: &Transaction<'_>,
    buckets: &mut Buckets,
    lines: &[TransferLine],
) -> rusqlite::Result<RowCounts> {
    let mut new = RowCounts::default();
    buckets.reload_after_others(transaction)?;
    for line in lines {
        if let Some(call) = line.call() {
            let bucket = buckets.assign(call.at.as_millisecond(), transaction)?;
            let mut insert = prepared(transaction, &sql::import_call())?;
            let row = Imported::call(call);
            new.calls += insert.execute(params_from_iter(row.params(bucket)))? as u64;
        }
        for event in line.events() {
            let mut insert = prepared(transaction, sql::IMPORT_EVENT)?;
            let row = Imported::event(event);
            new.events += insert.execute(params_from_iter(row.params()))? as u64;
        }
        if let Some(snapshot) = line.snapshot() {
            let at_ms = snapshot.at.as_millisecond();
            let parameters = params![snapshot.fingerprint, at_ms, snapshot.files_json()];
            let mut insert = prepared(transaction, sql::IMPORT_SNAPSHOT)?;
            new.snapshots += insert.execute(parameters)? as u64;
        }
        if let Some(change) = line.change() {
            let id = change.id.to_string();
            let mut insert = prepared(transaction, sql::IMPORT_CHANGE)?;
            new.changes += insert.execute(params_from_iter(change.params(&id)))? as u64;
        }
    }
    if new.changes > 0 {
        prepared(transaction, sql::TRIM_CHANGES)?.execute([sql::CHANGES])?;
    }
    if new.snapshots > 0 {
        prepared(transaction, sql::TRIM_SNAPSHOTS)?.execute([sql::SNAPSHOT_BYTES])?;
    }
    Ok(new)
}

fn write_rows(
    transaction: &Transaction<'_>,
    statements: &Statements,
    buckets: &mut Buckets,
    batch: &Batch,
) -> Result<(), rusqlite::Error> {
    insert_calls(transaction, statements, buckets, batch)?;
    if !batch.retries.is_empty() {
        let mut count = prepared(transaction, sql::COUNT_RETRY)?;
        for (key, times) in &batch.retries {
            count.execute(params![times, key.as_str()])?;
        }
    }
    for event in &batch.events {
        insert_event(transaction, statements, event)?;
    }
    for snapshot in &batch.snapshots {
        let at_ms = snapshot.at.as_millisecond();
        let parameters = params![snapshot.fingerprint, at_ms, snapshot.files_json()];
        prepared(transaction, sql::INSERT_SNAPSHOT)?.execute(parameters)?;
    }
    if !batch.snapshots.is_empty() {
        prepared(transaction, sql::TRIM_SNAPSHOTS)?.execute([sql::SNAPSHOT_BYTES])?;
    }
    Ok(())
}

/// Inserts calls by time, which appends to the index of their ids.
fn insert_calls(
    transaction: &Transaction<'_>,
    statements: &Statements,
    buckets: &mut Buckets,
    batch: &Batch,
) -> Result<(), rusqlite::Error> {
    if batch.calls.is_empty() {
        return Ok(());
    }
    let mut calls: Vec<&CallRow> = batch.calls.iter().map(|call| &**call).collect();
    calls.sort_unstable_by_key(|call| call.id);
    buckets.reload_after_others(transaction)?;
    let mut insert = transaction.prepare_cached(&statements.insert_call)?;
    let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
    for (number, call) in calls.into_iter().enumerate() {
        let bucket = buckets.assign(call.at_ms, transaction)?;
        let id: &str = call.id.hyphenated().encode_lower(&mut id);
        insert.execute(params![
            id,
            call.dedup_key.as_str(),
            call.at_ms,
            call.source,
            call.platform,
            call.channel,
            call.call_id,
            call.from,
            call.to,
            call.outcome,
            call.rule,
            call.agent,
            call.fingerprint,
            call.details,
            bucket,
        ])?;
        if number % ROWS_BETWEEN_YIELDS == ROWS_BETWEEN_YIELDS - 1 {
            std::thread::yield_now();
        }
    }
    Ok(())
}

fn insert_event(
    transaction: &Transaction<'_>,
    statements: &Statements,
    event: &EventRow,
) -> Result<(), rusqlite::Error> {
    let insert =
        if event.last_counts { &statements.replace_event } else { &statements.insert_event };
    transaction.prepare_cached(insert)?.execute(params_from_iter(event.params()))?;
    if let Some(call_id) = &event.call_id {
        let mut set = transaction.prepare_cached(&statements.set_call_id)?;
        set.execute(params![call_id, event.dedup_key])?;
    }
    Ok(())
}

impl Statements {
    fn new() -> Statements {
        let values = (1..=CallRow::COLUMNS.len() + 1).map(|place| format!("?{place}"));
        let values = values.collect::<Vec<_>>().join(", ");
        Statements {
            insert_call: sql::insert_calls(&format!("VALUES ({values}, 1)")),
            insert_event: numbered(&sql::insert_event(false)),
            replace_event: numbered(&sql::insert_event(true)),
            set_call_id: numbered(sql::SET_CALL_ID),
        }
    }
}

/// In SQLite, `$1` is a name and `?1` a number.
fn numbered(statement: &str) -> String {
    statement.replace('$', "?")
}

fn prepared<'c>(
    transaction: &'c Transaction<'_>,
    statement: &str,
) -> Result<CachedStatement<'c>, rusqlite::Error> {
    transaction.prepare_cached(&numbered(statement))
}

impl ToSql for Param<'_> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>, rusqlite::Error> {
        let value = match self {
            Param::Text(text) => text.map_or(ValueRef::Null, ValueRef::from),
            Param::Number(number) => number.map_or(ValueRef::Null, ValueRef::Integer),
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

/// Assigns calls to buckets of time. A call belongs to the last bucket that starts at or before its
/// own time, so buckets never overlap. A bucket starts after the newest call, never before one.
#[derive(Default)]
struct Buckets {
    /// None before the first call, and when another connection may have changed it.
    newest: Option<NewestBucket>,
    /// Changes when another connection commits.
    data_version: Option<i64>,
}

struct NewestBucket {
    start: i64,
    calls: i64,
    newest_at_ms: i64,
}

impl Buckets {
    fn reload_after_others(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let version = transaction
            .prepare_cached("PRAGMA data_version")?
            .query_row([], |row| row.get::<_, i64>(0))?;
        if self.data_version == Some(version) {
            return Ok(());
        }
        let newest = "SELECT bucket, COUNT(*), MAX(at_ms) FROM calls \
                      WHERE bucket = (SELECT MAX(bucket) FROM calls) GROUP BY bucket";
        let mut newest = transaction.prepare_cached(newest)?;
        let mut rows = newest.query([])?;
        self.newest = match rows.next()? {
            Some(row) => {
                let (start, calls, newest_at_ms) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Some(NewestBucket { start, calls, newest_at_ms })
            }
            None => None,
        };
        self.data_version = Some(version);
        Ok(())
    }

    fn assign(&mut self, at_ms: i64, transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
        let fresh = NewestBucket { start: at_ms, calls: 0, newest_at_ms: at_ms };
        let newest = self.newest.get_or_insert(fresh);
        if at_ms < newest.start {
            let earlier = "SELECT COALESCE(MAX(bucket), ?1) FROM calls WHERE bucket <= ?1";
            return transaction.prepare_cached(earlier)?.query_row([at_ms], |row| row.get(0));
        }
        if newest.calls >= CALLS_PER_BUCKET && at_ms > newest.newest_at_ms {
            *newest = NewestBucket { start: at_ms, calls: 0, newest_at_ms: at_ms };
        }
        newest.calls += 1;
        newest.newest_at_ms = newest.newest_at_ms.max(at_ms);
        Ok(newest.start)
    }
}

impl From<rusqlite::Error> for BatchError {
    fn from(error: rusqlite::Error) -> BatchError {
        use rusqlite::ErrorCode::{ConstraintViolation, TooBig, TypeMismatch};
        let reason = error.to_string();
        match error.sqlite_error_code() {
            Some(TooBig | ConstraintViolation | TypeMismatch) => BatchError::Row(reason),
            _ => BatchError::Store(reason),
        }
    }
}
