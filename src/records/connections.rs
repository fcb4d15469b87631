//! Connections to a store: how each is set up, and those that read histories.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Executor};

/// Longest wait for a locked SQLite file.
const BUSY_MS: u32 = 2_000;
/// Longest wait for a connection.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that read histories: the largest `max_concurrent`, which limits how many there are.
const MAX_CONNECTIONS: u32 = 1_024;

/// Deleted rows are overwritten, because they were personal data.
pub(crate) fn sqlite_pragmas(pragmas: &str) -> String {
    format!("PRAGMA busy_timeout = {BUSY_MS}; PRAGMA secure_delete = ON; {pragmas}")
}

/// Sets up a connection before its first use.
pub(crate) async fn set_up(
    connection: &mut AnyConnection,
    pragmas: &str,
) -> Result<(), sqlx::Error> {
    if connection.backend_name() == "SQLite" {
        connection.execute(AssertSqlSafe(sqlite_pragmas(pragmas))).await?;
    }
    Ok(())
}

/// Connections of one store that read histories. They are opened by those who use them.
pub(crate) struct HistoryPool {
    options: AnyConnectOptions,
    pragmas: &'static str,
    current: Mutex<Option<(Duration, AnyPool)>>,
}

impl HistoryPool {
    /// Creates a pool without connections.
    pub(crate) fn new(options: AnyConnectOptions, pragmas: &'static str) -> HistoryPool {
        HistoryPool { options, pragmas, current: Mutex::default() }
    }

    /// Returns the connections whose queries end after `timeout`, since nobody waits longer: PostgreSQL would
    /// go on with them, and they would pile up.
    pub(crate) fn with_timeout(&self, timeout: Duration) -> AnyPool {
        let mut current = self.guarded();
        match &*current {
            Some((known, pool)) if *known == timeout => pool.clone(),
            Some(_) | None => current.insert((timeout, self.connect_lazily(timeout))).1.clone(),
        }
    }

    /// Closes the connections once they are idle.
    pub(crate) async fn close(&self) {
        let current = self.guarded().take();
        if let Some((_, pool)) = current {
            pool.close().await;
        }
    }

    fn connect_lazily(&self, timeout: Duration) -> AnyPool {
        let pragmas = self.pragmas;
        AnyPoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .acquire_timeout(CONNECT_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if connection.backend_name() == "PostgreSQL" {
                        let limit = format!("SET statement_timeout = {}", timeout.as_millis());
                        connection.execute(AssertSqlSafe(limit)).await?;
                    }
                    set_up(connection, pragmas).await
                })
            })
            .connect_lazy_with(self.options.clone())
    }

    fn guarded(&self) -> MutexGuard<'_, Option<(Duration, AnyPool)>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
