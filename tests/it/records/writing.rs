//! The writer: what it does with many, with what is refused, and with others that write.

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
use tokio::sync::watch;

use super::{KeepReason, Place, at, call, call_from, event, everywhere, kept, unwritten};
use crate::support::app::{self, NOW_MS, RULES, app};
use crate::support::postgres::Postgres;

#[tokio::test]
async fn a_reply_that_waits_comes_after_the_commit() {
    everywhere(async |place| {
        let (kept, writer) = unwritten(&place, RULES, NOW_MS);
        let asked = call("call_1");
        let reply = kept.ask(&asked);
        tokio::pin!(reply);
        let waits = tokio::time::timeout(Duration::from_millis(200), &mut reply).await;
        assert!(waits.is_err(), "nobody has written it");
        let (stop, stopped) = watch::channel(false);
        let writer = tokio::spawn(writer.run(stopped));
        assert_eq!(reply.await["call_inbound"]["override_agent_id"], "agent_1");
        assert_eq!(kept.store().count(&Filter::default()).await.unwrap(), 1);
        assert_eq!(kept.metric("switchboard_records_uncommitted_total").await, 0);
        stop.send_replace(true);
        writer.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_is_off_is_not_written_and_events_are_heard() {
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
async fn a_full_queue_is_counted_and_nobody_waits() {
    let place = Place::new("memory", RecordsLocation::Memory);
    let place = place.with(|records| records.wait = Wait::No);
    let (kept, writer) = unwritten(&place, RULES, NOW_MS);
    // A long call id makes a row of 60 kB: then the bytes are the bound, not the rows.
    let long = "x".repeat(60_000);
    let lost = "switchboard_records_lost_total{reason=\"queue_full\"}";
    let mut asked = 0;
    while kept.metric(lost).await < 3 {
        for _ in 0..100 {
            kept.ask(&call(&format!("{long}{asked}"))).await;
            asked += 1;
        }
        assert!(asked < 2_000, "some 64 MB are the most");
    }
    let before = kept.metric(lost).await as usize;
    assert_eq!(kept.app.recorder().waiting(), asked - before);
    let (stop, stopped) = watch::channel(true);
    writer.run(stopped).await;
    drop(stop);
    assert_eq!(
        kept.metric("switchboard_records_written_total{kind=\"call\"}").await as usize,
        asked - before
    );
}

#[tokio::test]
async fn one_delivery_twice_in_a_group_is_one_row() {
    everywhere(async |place| {
        let place = place.with(|records| records.wait = Wait::No);
        let (kept, writer) = unwritten(&place, RULES, NOW_MS);
        // Two that the memory of answers tells apart, and one of them again.
        for header in ["one", "two", "two"] {
            let mut asked = call_from("client:jane", None);
            asked["call_inbound"]["custom_sip_headers"] = json!({ "x-header": header });
            kept.ask(&asked).await;
        }
        let told = event("call_ended", "call_1").to_string();
        let (one, other, ..) = tokio::join!(
            kept.send("/events/retell", told.as_bytes()),
            kept.send("/events/retell", told.as_bytes()),
            async {
                let (stop, stopped) = watch::channel(false);
                tokio::spawn(writer.run(stopped));
                // It ends with the test.
                std::mem::forget(stop);
            }
        );
        assert_eq!((one.status, other.status), (StatusCode::OK, StatusCode::OK));
        let attempts: Vec<_> = kept.calls().await.iter().map(|call| call.attempts).collect();
        assert_eq!(attempts.iter().sum::<i64>(), 3, "{attempts:?}");
        assert_eq!(attempts.len(), 2);
        let told = kept.events(&super::events::unrecorded("call_1")).await;
        assert_eq!((told.len(), told[0].attempts), (1, 2));
    })
    .await;
}

/// The same deliveries to several at the same moment, in different orders.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn switchboards_that_write_the_same_are_not_in_each_others_way() {
    everywhere(async |place| {
        if !place.lasts() {
            return;
        }
        let place = place.with(|records| records.wait = Wait::No);
        // Also the tables are made by all of them at once.
        let boards: Vec<KeepReason> = (0..3).map(|_| kept(&place)).collect();
        let ask = async |app: &KeepReason, backwards: bool| {
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
        join_all(boards.iter().map(KeepReason::written)).await;
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
async fn a_row_that_the_database_does_not_take_is_left_out_alone() {
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
    let (kept, writer) = unwritten(&place, RULES, NOW_MS);
    for call_id in ["one", "two", "bad", "three", "four", "five"] {
        kept.ask(&call(call_id)).await;
    }
    let (stop, stopped) = watch::channel(false);
    let writer = tokio::spawn(writer.run(stopped));
    let body = event("call_ended", "bad").to_string();
    let refused = kept.send("/events/retell", body.as_bytes()).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    kept.tell(&event("call_ended", "one")).await;
    assert_eq!(kept.calls().await.len(), 5);
    assert_eq!(kept.metric("switchboard_records_lost_total{reason=\"refused\"}").await, 2);
    assert_eq!(kept.app.recorder().health().unwrap().outage(), None);
    stop.send_replace(true);
    writer.await.unwrap();
}

/// In Danish `aa` is a letter of its own, behind `z`, and ids are hexadecimal.
#[tokio::test]
async fn ids_are_sorted_as_bytes_in_every_language() {
    let Some(postgres) = Postgres::shared() else { return };
    let url = postgres.fresh();
    let place = RecordsLocation::Postgres(switchboard::domain::secret::Secret::new(url.clone()));
    drop(Store::open(&place).await.unwrap());
    let collation = "SELECT collation_name FROM information_schema.columns \
                     WHERE column_name = 'id' AND table_name IN ('calls', 'events')";
    assert_eq!(postgres.query(&url, collation), "C\nC");
}

/// In SQLite what was deleted would stand in the log, and a log that nobody empties grows.
#[tokio::test]
async fn the_settings_of_a_connection_are_made_in_each() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a folder/records?#%.db");
    let place = Place::new("sqlite", RecordsLocation::Sqlite(path.clone()));
    let kept = kept(&place);
    kept.ask(&call("call_1")).await;
    assert!(path.exists(), "also with a strange name");
    // Several readers beside the writer: each has a connection of its own.
    let all = (0..8).map(|_| kept.found_now());
    assert!(join_all(all).await.into_iter().all(|found| found == 1));
    kept.stopped().await;
    let log = path.with_extension("db-wal");
    assert!(!log.exists(), "the last one that closes it empties the log");
}

impl KeepReason {
    async fn found_now(&self) -> u64 {
        self.store().count(&Filter::default()).await.unwrap()
    }
}

#[tokio::test]
async fn nobody_else_may_read_the_file() {
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/records.db");
    let place = Place::new("sqlite", RecordsLocation::Sqlite(path.clone()));
    let kept = kept(&place);
    kept.ask(&call("call_1")).await;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for file in [&path, &path.with_extension("db-wal"), &path.with_extension("db-shm")] {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    kept.stopped().await;
}

#[tokio::test]
async fn who_reads_makes_nothing_and_changes_no_file_of_somebody_else() {
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

/// 64 MB of them, so that a list that changes all day long does not fill the disk.
#[tokio::test]
async fn of_the_copies_of_tables_the_newest_are_kept() {
    const TABLES: i64 = 70;
    everywhere(async |place| {
        let kept = kept(&place);
        let text = "#".repeat(1_000_000);
        let copies = json!({ "rules": ["r.toml"], "files": { "r.toml": text } });
        let copies: Snapshot = serde_json::from_value(copies).unwrap();
        let name = |n: i64| format!("table-{n}");
        for n in 0..TABLES {
            kept.app.recorder().store_snapshot(&name(n), Some(&copies), at(NOW_MS + n));
            // A call that is answered is committed, and so is what came before it.
            kept.ask(&call(&format!("call_{n}"))).await;
        }
        let store = kept.app.recorder().health().unwrap().store().unwrap();
        for (n, is_there) in [(0, false), (2, false), (TABLES - 60, true), (TABLES - 1, true)] {
            let table = store.rule_snapshot(&name(n)).await.unwrap();
            assert_eq!(table.is_some(), is_there, "{n}");
        }
        kept.stopped().await;
    })
    .await;
}
