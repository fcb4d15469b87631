//! `history` from PostgreSQL: its index, and a database that is slow.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};
use switchboard::domain::secret::Secret;
use switchboard::records::Store;
use switchboard::settings::{RecordsLocation, Wait};

use super::{DIALLED, TestStore, service, service_at};
use crate::support::app::NOW_MS;
use crate::support::postgres::Postgres;
use crate::support::wait;

const RULES: &str = r#"
    [lookup.history]
    timeout_ms = 200
    max_concurrent = 2
    breaker_failures = 3
    breaker_pause_s = 3600

    [[rule]]
    name = "returning"
    where = { "history.last_seen_days" = "<= 30" }
    agent = "agent_again"

    [[rule]]
    name = "everyone"
    agent = "agent_desk"
"#;

const INDEX_STATE: &str =
    "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('calls_history')";

/// Another client of the database, which holds a lock until it is dropped.
async fn lock(url: &str, mode: &str) -> PgConnection {
    let mut other = PgConnection::connect(url).await.expect("a connection");
    other.execute("BEGIN").await.expect("a transaction");
    let lock = match mode {
        "exclusive" => "LOCK TABLE calls IN ACCESS EXCLUSIVE MODE",
        _ => "LOCK TABLE calls IN ROW EXCLUSIVE MODE",
    };
    other.execute(lock).await.expect("the lock");
    other
}

/// A database with the tables of records, and its URL.
async fn database(postgres: &Postgres) -> (TestStore, String) {
    let url = postgres.fresh();
    let store = TestStore::new("postgres", RecordsLocation::Postgres(Secret::new(url.as_str())));
    let first = service(&store);
    first.flush().await;
    first.stop().await;
    (store, url)
}

fn call(number: u32) -> Value {
    let from = format!("+1213888{number:04}");
    json!({ "event": "call_inbound", "call_inbound": { "from_number": from, "to_number": DIALLED } })
}

fn running(postgres: &Postgres, url: &str, query: &str) -> usize {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND state = 'active' AND pid <> pg_backend_pid() AND query LIKE '{query}%'"
    );
    postgres.query(url, &sql).parse().expect("a count")
}

async fn becomes_valid(postgres: &Postgres, url: &str) -> bool {
    wait::until_async(async || postgres.query(url, INDEX_STATE) == "t").await
}

/// The build waits for another transaction, and records are written meanwhile. A second replica does not
/// build the same index.
#[tokio::test]
async fn one_replica_builds_the_index_on_a_connection_of_its_own() {
    let Some(postgres) = Postgres::shared() else { return };
    let (store, url) = database(postgres).await;
    let other = lock(&url, "shared").await;
    let service = service_at(&store, RULES, NOW_MS);
    let is_building = || running(postgres, &url, "CREATE INDEX CONCURRENTLY") == 1;
    assert!(wait::until_async(async || is_building()).await, "nothing is built");
    let reply = service.send_call(&call(1)).await;
    assert_eq!(reply["call_inbound"]["override_agent_id"], "agent_desk");
    assert_eq!(service.calls().await.len(), 1, "the call is written");

    let replica = Store::open(&store.records.location).await.expect("a store");
    let is_ready = wait::within_deadline("the index", replica.index_history()).await;
    assert!(!is_ready.expect("an answer"), "the other replica builds it");
    assert!(is_building());
    drop(other);
    assert!(becomes_valid(postgres, &url).await);
    assert!(replica.index_history().await.expect("an answer"));
    replica.close().await;
    service.stop().await;
}

#[tokio::test]
async fn an_index_that_an_interrupted_build_left_is_replaced() {
    let Some(postgres) = Postgres::shared() else { return };
    let (store, url) = database(postgres).await;
    let invalid = "CREATE INDEX calls_history ON calls (source); \
                   UPDATE pg_index SET indisvalid = false \
                   WHERE indexrelid = to_regclass('calls_history')";
    postgres.query(&url, invalid);
    let service = service_at(&store, RULES, NOW_MS);
    assert!(becomes_valid(postgres, &url).await);
    let definition = "SELECT pg_get_indexdef(to_regclass('calls_history'))";
    assert!(postgres.query(&url, definition).contains("substr(from_party"));
    service.stop().await;
}

/// The queries of a database that does not answer neither pile up nor cost each call the timeout.
#[tokio::test]
async fn a_slow_database_is_left_alone() {
    let Some(postgres) = Postgres::shared() else { return };
    let (store, url) = database(postgres).await;
    let store = store.with(|records| records.wait = Wait::No);
    let service = Arc::new(service_at(&store, RULES, NOW_MS));
    assert!(becomes_valid(postgres, &url).await);
    service.flush().await;
    let other = lock(&url, "exclusive").await;
    let suspended = || service.app.lookups().suspended().contains(&"history".into());
    assert!(!suspended());
    let mut most = 0;
    for round in 0..4 {
        let bodies: Vec<Value> = (0..10).map(|number| call(round * 10 + number)).collect();
        let replies = join_all(bodies.iter().map(|body| service.send_call(body)));
        let watch = async {
            most = most.max(running(postgres, &url, "SELECT id, dedup_key"));
        };
        let (replies, ()) = tokio::join!(replies, watch);
        for reply in replies {
            assert_eq!(reply["call_inbound"]["override_agent_id"], "agent_desk");
        }
    }
    assert!(wait::until_async(async || suspended()).await);
    // Two at the same time, and those that the database has not ended yet when the third one fails.
    assert!(most <= 4, "{most} queries at the same time");
    let all_ended = async || running(postgres, &url, "SELECT id, dedup_key") == 0;
    assert!(wait::until_async(all_ended).await, "the database goes on with queries");
    service.send_call(&call(99)).await;
    let metric = r#"switchboard_lookups_total{lookup="history",state="suspended"}"#;
    assert!(service.metric(metric).await > 0);
    drop(other);
    Arc::into_inner(service).expect("the only user").stop().await;
}
