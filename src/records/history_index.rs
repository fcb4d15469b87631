//! The index by which histories are found. Only those pay for it who use histories: a random page of it is
//! written for each call.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor, Row};

use super::{Store, StoreError};

const INDEX: &str = "calls_history ON calls (substr(from_party, 1, 64), source, at_ms)";
/// Advisory lock of the replica that builds the index. Any number will do.
const LOCK: i64 = 0x5357_4248_4953_5431;
/// Name and state of the index. A build that was interrupted leaves an invalid one, which costs every write
/// and helps no query.
const STATE: &str = "SELECT indexrelid::regclass::text, indisvalid FROM pg_index \
    JOIN pg_class ON pg_class.oid = indexrelid \
    WHERE indrelid = to_regclass('calls') AND relname = 'calls_history'";

impl Store {
    /// Creates the index of histories. Returns whether it can be used; otherwise another replica is
    /// building it.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn index_history(&self) -> Result<bool, StoreError> {
        if !self.is_postgres {
            self.pool.execute(AssertSqlSafe(format!("CREATE INDEX IF NOT EXISTS {INDEX}"))).await?;
            return Ok(true);
        }
        // A connection of its own: the build can take minutes, in which records are written.
        let mut connection = AnyConnection::connect_with(&self.pool.connect_options()).await?;
        let is_ready = build_in_postgres(&mut connection).await?;
        // Also releases the lock.
        connection.close().await?;
        Ok(is_ready)
    }
}

async fn build_in_postgres(connection: &mut AnyConnection) -> Result<bool, sqlx::Error> {
    if is_valid(state(connection).await?)? {
        return Ok(true);
    }
    // Waiting for the lock would keep a snapshot, for whose end the build of the other replica waits.
    let lock = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LOCK);
    if !lock.fetch_one(&mut *connection).await? {
        return Ok(false);
    }
    connection.execute("SET statement_timeout = 0").await?;
    connection.execute("SET lock_timeout = 0").await?;
    let found = state(connection).await?;
    if let Some(row) = &found
        && !row.try_get::<bool, _>(1)?
    {
        let name: String = row.try_get(0)?;
        tracing::warn!(
            index = name,
            "an interrupted build left an invalid index, which is replaced"
        );
        connection.execute(AssertSqlSafe(format!("DROP INDEX CONCURRENTLY {name}"))).await?;
    }
    // Calls are written meanwhile.
    let build = format!("CREATE INDEX CONCURRENTLY IF NOT EXISTS {INDEX}");
    connection.execute(AssertSqlSafe(build)).await?;
    is_valid(state(connection).await?)
}

async fn state(connection: &mut AnyConnection) -> Result<Option<AnyRow>, sqlx::Error> {
    sqlx::query(STATE).fetch_optional(connection).await
}

fn is_valid(state: Option<AnyRow>) -> Result<bool, sqlx::Error> {
    state.map_or(Ok(false), |row| row.try_get(1))
}
