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
    Place, Service, at, call, call_from, event, everywhere, service, service_without_writer,
};
use crate::support::app::{self, NOW_MS, RULES, app};
use crate::support::postgres::Postgres;

#[tokio::test]
async fn a_waiting_reply_comes_after_the_commit() {
    everywhere(async |place| {
        let (service, writer) = service_without_writer(&place, RULES, NOW_MS);
        let asked = call("call_1");
        let reply = service.ask(&asked);
        tokio::pin!(reply);
        let waits = tokio::time::timeout(Duration::from_millis(200), &mut reply).await;
        assert!(waits.is_err(), "nobody has written it");
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
    let place = Place::new("memory", RecordsLocation::Memory);
    let place = place.with(|records| records.wait = Wait::No);
    let (service, writer) = service_without_writer(&place, RULES, NOW_MS);
    // A long call id makes a row of 60 kB: then the bytes are the bound, not the rows.
    let long = "x".repeat(60_000);
    let lost = "switchboard_records_lost_total{reason=\"queue_full\"}";
    let mut asked = 0;
    while service.metric(lost).await < 3 {
        for _ in 0..100 {
            service.ask(&call(&format!("{long}{asked}"))).await;
            asked += 1;
        }
        assert!(asked < 2_000, "some 64 MB are the most");
    }
    let before = service.metric(lost).await as usize;
    assert_eq!(service.app.recorder().waiting(), asked - before);
    let stop = CancellationToken::new();
    stop.cancel();
    writer.run(stop.clone()).await;
    drop(stop);
    assert_eq!(
        service.metric("switchboard_records_written_total{kind=\"call\"}").await as usize,
        asked - before
    );
}

#[tokio::test]
async fn a_delivery_twice_in_a_group_is_one_row() {
    everywhere(async |place| {
        let place = place.with(|records| records.wait = Wait::No);
        let (service, writer) = service_without_writer(&place, RULES, NOW_MS);
        // Two that the memory of answers tells apart, and one of them again.
        for header in ["one", "two", "two"] {
            let mut asked = call_from("client:jane", None);
            asked["call_inbound"]["custom_sip_headers"] = json!({ "x-header": header });
            service.ask(&asked).await;
        }
        let told = event("call_ended", "call_1").to_string();
        let (one, other, ..) = tokio::join!(
            service.send("/events/retell", told.as_bytes()),
            service.send("/events/retell", told.as_bytes()),
            async {
                let stop = CancellationToken::new();
                tokio::spawn(writer.run(stop.clone()));
                // It ends with the test.
                std::mem::forget(stop);
            }
        );
        assert_eq!((one.status, other.status), (StatusCode::OK, StatusCode::OK));
        let attempts: Vec<_> = service.calls().await.iter().map(|call| call.attempts).collect();
        assert_eq!(attempts.iter().sum::<i64>(), 3, "{attempts:?}");
        assert_eq!(attempts.len(), 2);
        let told = service.events(&super::events::unrecorded("call_1")).await;
        assert_eq!((told.len(), told[0].attempts), (1, 2));
    })
    .await;
}

/// Sends the same deliveries to several services at the same time, in different orders.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_write_the_same_calls_do_not_block_each_other() {
    everywhere(async |place| {
        if !place.lasts() {
            return;
        }
        let place = place.with(|records| records.wait = Wait::No);
        // Also the tables are made by all of them at once.
        let boards: Vec<Service> = (0..3).map(|_| service(&place)).collect();
        let ask = async |app: &Service, backwards: bool| {
            for n in 0..100 {
                let n = if backwards { 99 - n } else { n };
                app.ask(&call(&format!("call_{n}"))).await;
                if n % 10 == 0 {
                    app.tell(&event("call_ended", &format!("call_{n}"))).await;
                    app.ask(&call(&format!("call_{}", 99 - n))).await;
                }
            }
        };
        join_all(boards.iter().enumerate().map(|(n, app)| ask(app, n % 2 == 1))).await;
        join_all(boards.iter().map(Service::written)).await;
        let calls = boards[0].calls().await;
        assert_eq!(calls.len(), 100);
        for app in boards {
            assert_eq!(app.app.recorder().health().unwrap().outage(), None);
            assert_eq!(app.metric("switchboard_events_not_stored_total").await, 0);
            app.stopped().await;
        }
        for call in calls.iter().filter(|call| call.call_id.as_deref().unwrap().ends_with('0')) {
            assert!(call.attempts >= 3, "{call:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn leaves_out_only_the_row_that_the_database_rejects() {
    let Some(postgres) = Postgres::shared() else { return };
    let url = postgres.fresh();
    let place = Place::new(
        "postgres",
        RecordsLocation::Postgres(switchboard::domain::secret::Secret::new(url.clone())),
    );
    drop(Store::open(&place.records.location).await.unwrap());
    postgres.query(&url, "ALTER TABLE calls ADD CHECK (call_id <> 'bad')");
    postgres.query(&url, "ALTER TABLE events ADD CHECK (call_id <> 'bad')");
    let place = place.with(|records| records.wait = Wait::No);
    let (service, writer) = service_without_writer(&place, RULES, NOW_MS);
    for call_id in ["one", "two", "bad", "three", "four", "five"] {
        service.ask(&call(call_id)).await;
    }
    let stop = CancellationToken::new();
    let writer = tokio::spawn(writer.run(stop.clone()));
    let body = event("call_ended", "bad").to_string();
    let refused = service.send("/events/retell", body.as_bytes()).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    service.tell(&event("call_ended", "one")).await;
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
    let place = RecordsLocation::Postgres(switchboard::domain::secret::Secret::new(url.clone()));
    drop(Store::open(&place).await.unwrap());
    let collation = "SELECT collation_name FROM information_schema.columns \
                     WHERE column_name = 'id' AND table_name IN ('calls', 'events')";
    assert_eq!(postgres.query(&url, collation), "C\nC");
}

/// SQLite's log would keep deleted rows, and grow.
#[tokio::test]
async fn sets_up_each_connection() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a folder/records?#%.db");
    let place = Place::new("sqlite", RecordsLocation::Sqlite(path.clone()));
    let service = service(&place);
    service.ask(&call("call_1")).await;
    assert!(path.exists(), "also with a strange name");
    // Several readers beside the writer: each has a connection of its own.
    let all = (0..8).map(|_| service.found_now());
    assert!(join_all(all).await.into_iter().all(|found| found == 1));
    service.stopped().await;
    let log = path.with_extension("db-wal");
    assert!(!log.exists(), "the last one that closes it empties the log");
}

impl Service {
    async fn found_now(&self) -> u64 {
        self.store().count(&Filter::default()).await.unwrap()
    }
}

#[tokio::test]
async fn other_users_cannot_read_the_file() {
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/records.db");
    let place = Place::new("sqlite", RecordsLocation::Sqlite(path.clone()));
    let service = service(&place);
    service.ask(&call("call_1")).await;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for file in [&path, &path.with_extension("db-wal"), &path.with_extension("db-shm")] {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    service.stopped().await;
}

#[tokio::test]
async fn reading_creates_nothing_and_changes_no_foreign_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("another.db");
    let place = RecordsLocation::Sqlite(path.clone());
    let nothing = |opened: Result<Store, StoreError>| match opened.err() {
        Some(StoreError::NoStore(why)) => assert_eq!(why, "nothing has been recorded yet"),
        other => panic!("{other:?}"),
    };
    nothing(Store::open_to_read(&place).await);
    assert!(!path.exists());
    let url = format!("sqlite:{}?mode=rwc", path.display());
    sqlx::any::install_default_drivers();
    let mut another = sqlx::AnyConnection::connect(&url).await.unwrap();
    another.execute("CREATE TABLE songs (name TEXT)").await.unwrap();
    another.close().await.unwrap();
    let before = std::fs::read(&path).unwrap();
    nothing(Store::open_to_read(&place).await);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    if let Some(postgres) = Postgres::shared() {
        let url = postgres.fresh();
        let place =
            RecordsLocation::Postgres(switchboard::domain::secret::Secret::new(url.clone()));
        nothing(Store::open_to_read(&place).await);
        assert_eq!(
            postgres.query(&url, "SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'"),
            "0"
        );
        drop(Store::open(&place).await.unwrap());
        Store::open_to_read(&place).await.unwrap();
    }
}

/// The limit is 64 MB, so that a list that changes all day does not fill the disk.
#[tokio::test]
async fn keeps_the_newest_rule_snapshots() {
    const TABLES: i64 = 70;
    everywhere(async |place| {
        let service = service(&place);
        let text = "#".repeat(1_000_000);
        let copies = json!({ "rules": ["r.toml"], "files": { "r.toml": text } });
        let copies: Snapshot = serde_json::from_value(copies).unwrap();
        let name = |n: i64| format!("table-{n}");
        for n in 0..TABLES {
            service.app.recorder().store_snapshot(&name(n), Some(&copies), at(NOW_MS + n));
            // A call that is answered is committed, and so is what came before it.
            service.ask(&call(&format!("call_{n}"))).await;
        }
        let store = service.app.recorder().health().unwrap().store().unwrap();
        for (n, is_there) in [(0, false), (2, false), (TABLES - 60, true), (TABLES - 1, true)] {
            let table = store.rule_snapshot(&name(n)).await.unwrap();
            assert_eq!(table.is_some(), is_there, "{n}");
        }
        service.stopped().await;
    })
    .await;
}
