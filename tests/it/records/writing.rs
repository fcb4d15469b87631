//! The writer: groups, rejected rows, and concurrent writers.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use axum::http::StatusCode;
use futures_util::future::join_all;
use serde_json::json;
use sqlx::{Connection, Executor};
use switchboard::records::{Filter, Store, StoreError};
use switchboard::rules::Snapshot;
use switchboard::settings::{RecordsLocation, RecordsSettings, Wait};
use tokio_util::sync::CancellationToken;

use super::{
    Service, TestStore, at, call, call_from, event, for_each_store, service, service_without_writer,
};
use crate::support::app::{self, NOW_MS, RULES, app};
use crate::support::postgres::Postgres;

#[tokio::test]
async fn with_wait_commit_a_reply_follows_the_commit() {
    for_each_store(async |test_store| {
        let (service, writer) = service_without_writer(&test_store, RULES, NOW_MS);
        let body = call("call_1");
        let reply = service.send_call(&body);
        tokio::pin!(reply);
        let waits = tokio::time::timeout(Duration::from_millis(200), &mut reply).await;
        assert!(waits.is_err(), "the writer does not run yet");
        let stop = CancellationToken::new();
        let writer = tokio::spawn(writer.run(stop.clone()));
        assert_eq!(reply.await["call_inbound"]["override_agent_id"], "agent_1");
        assert_eq!(service.store().count(&Filter::default()).await.unwrap(), 1);
        assert_eq!(service.metric("switchboard_records_uncommitted_total").await, 0);
        stop.cancel();
        writer.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn accepts_events_with_records_off() {
    let app = app(app::SETTINGS, RULES);
    assert!(app.app.recorder().health().is_none());
    app.retell(call("call_1").to_string()).await;
    let body = event("call_ended", "call_1").to_string();
    let answer = app.send(app::retell_request("/events/retell", body.as_bytes())).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, &b"{}"[..]));
    assert_eq!(app.app.recorder().waiting(), 0);
    assert!(Store::open(&RecordsSettings::off().location).await.is_err());
}

#[tokio::test]
async fn counts_calls_lost_to_a_full_queue_and_delays_none() {
    let test_store = TestStore::new("memory", RecordsLocation::Memory);
    let test_store = test_store.with(|records| records.wait = Wait::No);
    let (service, writer) = service_without_writer(&test_store, RULES, NOW_MS);
    // A long call id makes a row of 60 kB, so that the limit in bytes is reached before the limit in rows.
    let long = "x".repeat(60_000);
    let lost = "switchboard_records_lost_total{reason=\"queue_full\"}";
    let mut sent = 0;
    while service.metric(lost).await < 3 {
        for _ in 0..100 {
            service.send_call(&call(&format!("{long}{sent}"))).await;
            sent += 1;
        }
        assert!(sent < 2_000, "the queue holds more than 64 MB");
    }
    let before = service.metric(lost).await as usize;
    assert_eq!(service.app.recorder().waiting(), sent - before);
    let stop = CancellationToken::new();
    stop.cancel();
    writer.run(stop.clone()).await;
    drop(stop);
    assert_eq!(
        service.metric("switchboard_records_written_total{kind=\"call\"}").await as usize,
        sent - before
    );
}

#[tokio::test]
async fn repeated_deliveries_in_one_batch_are_one_row() {
    for_each_store(async |test_store| {
        let test_store = test_store.with(|records| records.wait = Wait::No);
        let (service, writer) = service_without_writer(&test_store, RULES, NOW_MS);
        // Two calls that are distinct in the cache of replies, and a retry of the second.
        for header in ["one", "two", "two"] {
            let mut body = call_from("client:jane", None);
            body["call_inbound"]["custom_sip_headers"] = json!({ "x-header": header });
            service.send_call(&body).await;
        }
        let body = event("call_ended", "call_1").to_string();
        let (one, other, ..) = tokio::join!(
            service.send("/events/retell", body.as_bytes()),
            service.send("/events/retell", body.as_bytes()),
            async {
                let stop = CancellationToken::new();
                tokio::spawn(writer.run(stop.clone()));
                // The writer runs until the end of the test.
                std::mem::forget(stop);
            }
        );
        assert_eq!((one.status, other.status), (StatusCode::OK, StatusCode::OK));
        let attempts: Vec<_> = service.calls().await.iter().map(|call| call.attempts).collect();
        assert_eq!(attempts.iter().sum::<i64>(), 3, "{attempts:?}");
        assert_eq!(attempts.len(), 2);
        let events = service.events_with_id("retell", "call_1").await;
        assert_eq!((events.len(), events[0].attempts), (1, 2));
    })
    .await;
}

/// Sends the same deliveries to several services at the same time, in different orders.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_write_the_same_calls_do_not_block_each_other() {
    for_each_store(async |test_store| {
        if !test_store.is_persistent() {
            return;
        }
        let test_store = test_store.with(|records| records.wait = Wait::No);
        // The services also create the tables at the same time.
        let services: Vec<Service> = (0..3).map(|_| service(&test_store)).collect();
        let send = async |service: &Service, backwards: bool| {
            for n in 0..100 {
                let n = if backwards { 99 - n } else { n };
                service.send_call(&call(&format!("call_{n}"))).await;
                if n % 10 == 0 {
                    service.send_event(&event("call_ended", &format!("call_{n}"))).await;
                    service.send_call(&call(&format!("call_{}", 99 - n))).await;
                }
            }
        };
        join_all(services.iter().enumerate().map(|(n, service)| send(service, n % 2 == 1))).await;
        join_all(services.iter().map(Service::flush)).await;
        let calls = services[0].calls().await;
        assert_eq!(calls.len(), 100);
        for service in services {
            assert_eq!(service.app.recorder().health().unwrap().outage(), None);
            let not_stored = r#"switchboard_requests_total{source="retell",kind="event",outcome="not_stored",status="503"}"#;
            assert_eq!(service.metric(not_stored).await, 0);
            service.stop().await;
        }
        for call in calls.iter().filter(|call| call.call_id.as_deref().unwrap().ends_with('0')) {
            assert!(call.attempts >= 3, "{call:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn skips_only_the_row_that_the_database_rejects() {
    let Some(postgres) = Postgres::shared() else { return };
    let url = postgres.fresh();
    let test_store = TestStore::new(
        "postgres",
        RecordsLocation::Postgres(switchboard::domain::secret::Secret::new(url.clone())),
    );
    drop(Store::open(&test_store.records.location).await.unwrap());
    postgres.query(&url, "ALTER TABLE calls ADD CHECK (call_id <> 'bad')");
    postgres.query(&url, "ALTER TABLE events ADD CHECK (call_id <> 'bad')");
    let test_store = test_store.with(|records| records.wait = Wait::No);
    let (service, writer) = service_without_writer(&test_store, RULES, NOW_MS);
    for call_id in ["one", "two", "bad", "three", "four", "five"] {
        service.send_call(&call(call_id)).await;
    }
    let stop = CancellationToken::new();
    let writer = tokio::spawn(writer.run(stop.clone()));
    let body = event("call_ended", "bad").to_string();
    let answer = service.send("/events/retell", body.as_bytes()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    service.send_event(&event("call_ended", "one")).await;
    assert_eq!(service.calls().await.len(), 5);
    assert_eq!(service.metric("switchboard_records_lost_total{reason=\"refused\"}").await, 2);
    assert_eq!(service.app.recorder().health().unwrap().outage(), None);
    stop.cancel();
    writer.await.unwrap();
}

/// In Danish, `aa` is a letter that sorts after `z`, and ids are hexadecimal.
#[tokio::test]
async fn sorts_ids_as_bytes_in_every_locale() {
    let Some(postgres) = Postgres::shared() else { return };
    let url = postgres.fresh();
    let location = RecordsLocation::Postgres(switchboard::domain::secret::Secret::new(url.clone()));
    drop(Store::open(&location).await.unwrap());
    let collation = "SELECT collation_name FROM information_schema.columns \
                     WHERE column_name = 'id' AND table_name IN ('calls', 'events')";
    assert_eq!(postgres.query(&url, collation), "C\nC");
}

/// Without these settings, SQLite's write-ahead log would keep deleted rows, and grow.
#[tokio::test]
async fn each_sqlite_connection_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a folder/records?#%.db");
    let test_store = TestStore::new("sqlite", RecordsLocation::Sqlite(path.clone()));
    let service = service(&test_store);
    service.send_call(&call("call_1")).await;
    assert!(path.exists(), "a path with special characters");
    // Each reader has its own connection beside that of the writer.
    let counts = (0..8).map(|_| service.count_calls());
    assert!(join_all(counts).await.into_iter().all(|count| count == 1));
    service.stop().await;
    let log = path.with_extension("db-wal");
    assert!(!log.exists(), "the last connection empties the log");
}

impl Service {
    async fn count_calls(&self) -> u64 {
        self.store().count(&Filter::default()).await.unwrap()
    }
}

#[tokio::test]
async fn other_users_cannot_read_the_file() {
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/records.db");
    let test_store = TestStore::new("sqlite", RecordsLocation::Sqlite(path.clone()));
    let service = service(&test_store);
    service.send_call(&call("call_1")).await;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for file in [&path, &path.with_extension("db-wal"), &path.with_extension("db-shm")] {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    service.stop().await;
}

#[tokio::test]
async fn reading_creates_nothing_and_changes_no_foreign_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("another.db");
    let location = RecordsLocation::Sqlite(path.clone());
    let assert_no_store = |opened: Result<Store, StoreError>| match opened.err() {
        Some(StoreError::NoStore(message)) => assert_eq!(message, "nothing has been recorded yet"),
        other => panic!("{other:?}"),
    };
    assert_no_store(Store::open_to_read(&location).await);
    assert!(!path.exists());
    let url = format!("sqlite:{}?mode=rwc", path.display());
    sqlx::any::install_default_drivers();
    let mut database = sqlx::AnyConnection::connect(&url).await.unwrap();
    database.execute("CREATE TABLE songs (name TEXT)").await.unwrap();
    database.close().await.unwrap();
    let before = std::fs::read(&path).unwrap();
    assert_no_store(Store::open_to_read(&location).await);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    if let Some(postgres) = Postgres::shared() {
        let url = postgres.fresh();
        let location =
            RecordsLocation::Postgres(switchboard::domain::secret::Secret::new(url.clone()));
        assert_no_store(Store::open_to_read(&location).await);
        assert_eq!(
            postgres.query(&url, "SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'"),
            "0"
        );
        drop(Store::open(&location).await.unwrap());
        Store::open_to_read(&location).await.unwrap();
    }
}

/// The limit of 64 MB keeps a frequently changed list from filling the disk.
#[tokio::test]
async fn keeps_the_newest_rule_snapshots() {
    const TABLES: i64 = 70;
    for_each_store(async |test_store| {
        let service = service(&test_store);
        let text = "#".repeat(1_000_000);
        let snapshot = json!({ "rules": ["r.toml"], "files": { "r.toml": text } });
        let snapshot: Snapshot = serde_json::from_value(snapshot).unwrap();
        let name = |n: i64| format!("table-{n}");
        for n in 0..TABLES {
            service.app.recorder().store_snapshot(&name(n), Some(&snapshot), at(NOW_MS + n));
            // An answered call is committed, and so is everything queued before it.
            service.send_call(&call(&format!("call_{n}"))).await;
        }
        let store = service.app.recorder().health().unwrap().store().unwrap();
        for (n, is_there) in [(0, false), (2, false), (TABLES - 60, true), (TABLES - 1, true)] {
            let table = store.rule_snapshot(&name(n)).await.unwrap();
            assert_eq!(table.is_some(), is_there, "{n}");
        }
        service.stop().await;
    })
    .await;
}
