//! Records through the service: calls and events arrive at the public router, and records are read
//! from the store. Each test runs with a SQLite file, in memory, and with PostgreSQL.

mod decisions;
mod events;
mod explained;
mod history;
mod history_postgres;
mod privacy;
mod reading;
mod recipes;
mod writing;

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use futures_util::FutureExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use switchboard::dialect::Event;
use switchboard::domain::clock::Clock;
use switchboard::domain::secret::Secret;
use switchboard::http::public;
use switchboard::pipeline::Switchboard;
use switchboard::records::{
    CallRecord, EventRecord, Filter, NewEvent, Order, PageCursor, Store, Writer,
};
use switchboard::settings::{NumberStorage, Purpose, RecordsLocation, RecordsSettings, Wait};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::app::{
    self, Answer, NOW_MS, RETELL_KEY, RULES, URL_TOKEN, load_settings, parse_rules, post,
    retell_request_at,
};
use crate::support::postgres::Postgres;

const CALLER: &str = "+12137771234";
const DIALLED: &str = "+12137770000";

/// Kind and settings of the store of a test.
struct TestStore {
    name: &'static str,
    records: RecordsSettings,
}

impl TestStore {
    fn new(name: &'static str, location: RecordsLocation) -> TestStore {
        let retain = Duration::from_secs(30 * 24 * 3600);
        // Answered calls can be read at once.
        let (numbers, wait) = (NumberStorage::Full, Wait::Commit);
        TestStore {
            name,
            records: RecordsSettings {
                location,
                retain,
                numbers,
                wait,
                stamp: false,
                lookups: false,
            },
        }
    }

    /// Returns whether the records outlive the service.
    fn is_persistent(&self) -> bool {
        !matches!(self.records.location, RecordsLocation::Memory)
    }

    fn with(&self, change: impl FnOnce(&mut RecordsSettings)) -> TestStore {
        let mut records = self.records.clone();
        change(&mut records);
        TestStore { name: self.name, records }
    }
}

/// Runs a test with each kind of store.
async fn for_each_store(test: impl AsyncFn(TestStore)) {
    let folder = tempfile::tempdir().unwrap();
    let mut stores = vec![
        TestStore::new("memory", RecordsLocation::Memory),
        TestStore::new("sqlite", RecordsLocation::Sqlite(folder.path().join("records.db"))),
    ];
    if let Some(postgres) = Postgres::shared() {
        let url = Secret::new(postgres.fresh());
        stores.push(TestStore::new("postgres", RecordsLocation::Postgres(url)));
    }
    for test_store in stores {
        let name = test_store.name;
        if let Err(panic) = AssertUnwindSafe(test(test_store)).catch_unwind().await {
            let why = panic.downcast_ref::<String>().cloned();
            match why.or_else(|| panic.downcast_ref::<&str>().map(|why| (*why).to_owned())) {
                Some(why) => panic!("with {name}: {why}"),
                None => resume_unwind(panic),
            }
        }
    }
}

/// A service that records.
struct Service {
    app: Arc<Switchboard>,
    router: axum::Router,
    at_ms: i64,
    stop: CancellationToken,
    writer: JoinHandle<()>,
}

/// Starts a service with a fixed clock.
#[track_caller]
fn service_at(test_store: &TestStore, rules: &str, at_ms: i64) -> Service {
    let (service, writer) = service_without_writer(test_store, rules, at_ms);
    let stop = CancellationToken::new();
    let writer = tokio::spawn(writer.run(stop.clone()));
    Service { writer, stop, ..service }
}

#[track_caller]
fn service(test_store: &TestStore) -> Service {
    service_at(test_store, RULES, NOW_MS)
}

/// Builds a service whose writer does not run yet.
#[track_caller]
fn service_without_writer(test_store: &TestStore, rules: &str, at_ms: i64) -> (Service, Writer) {
    let (settings, report) = load_settings(&app::settings_with_longest_deadline(), Purpose::Serve);
    let settings = settings.unwrap_or_else(|| panic!("{report}"));
    let (table, report) = parse_rules("rules.toml", rules.to_owned(), &settings.check_context());
    let table = table.unwrap_or_else(|| panic!("{report}"));
    let clock = Clock::Fixed(at(at_ms));
    let records = test_store.records.clone();
    let (app, writer) = Switchboard::with_records(settings.sources, table, clock, records);
    let app = Arc::new(app);
    let router = public::router(app.clone(), &settings.server);
    let (stop, nothing) = (CancellationToken::new(), tokio::spawn(async {}));
    (Service { app, router, at_ms, stop, writer: nothing }, writer.expect("records are on"))
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

impl Service {
    async fn send(&self, path: &str, body: &[u8]) -> Answer {
        app::answer(&self.router, retell_request_at(path, body, self.at_ms, RETELL_KEY)).await
    }

    /// Sends a call as Retell does.
    #[track_caller]
    fn send_call(&self, body: &Value) -> impl Future<Output = Value> {
        let body = body.to_string();
        async move {
            let answer = self.send("/inbound/retell", body.as_bytes()).await;
            assert_eq!(answer.status, StatusCode::OK, "sent {body:.200}");
            answer.json()
        }
    }

    /// Sends an event as Retell does; it is stored when this returns.
    async fn send_event(&self, body: &Value) {
        let answer = self.send("/events/retell", body.to_string().as_bytes()).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, &b"{}"[..]));
    }

    /// Sends a request as Synthflow does, without a call id.
    async fn synthflow(&self, path: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let mut request = post(&format!("{path}/{URL_TOKEN}"), body.as_bytes());
        if path.starts_with("/events") {
            let (name, value) =
                app::sign("synthflow", body.as_bytes(), self.at_ms, app::SYNTHFLOW_SECRET);
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let answer = app::answer(&self.router, request).await;
        assert_eq!(answer.status, StatusCode::OK);
        answer
    }

    /// Waits until everything queued so far is written.
    async fn flush(&self) {
        let recorder = self.app.recorder();
        let event = NewEvent {
            id: recorder.id(at(self.at_ms)),
            at: at(self.at_ms),
            source: "test",
            platform: switchboard::dialect::ALL[0].platform(),
            event: &Event::new("flush", false),
            body: b"",
        };
        recorder.store_event(event, deadline()).await.expect("the store accepts writes");
    }

    fn store(&self) -> Arc<Store> {
        self.app.recorder().health().unwrap().store().expect("the store is open")
    }

    /// Returns all calls, oldest first.
    async fn calls(&self) -> Vec<CallRecord> {
        self.find(&Filter::default()).await
    }

    async fn find(&self, filter: &Filter) -> Vec<CallRecord> {
        self.flush().await;
        let page = PageCursor { limit: 1_000, order: Order::OldestFirst, beyond: None };
        self.store().calls(filter, page).await.unwrap()
    }

    /// Returns the only call.
    async fn call(&self) -> CallRecord {
        let calls = self.calls().await;
        assert_eq!(calls.len(), 1, "{calls:?}");
        calls.into_iter().next().unwrap()
    }

    async fn events(&self, call: &CallRecord) -> Vec<EventRecord> {
        self.store().events_of(call).await.unwrap()
    }

    /// Returns the events with this call id, whether or not they belong to a call.
    async fn events_with_id(&self, source: &str, call_id: &str) -> Vec<EventRecord> {
        let store = self.store();
        let (_, ids) = store.ids_since(Uuid::nil()).await.unwrap();
        let mut events = Vec::new();
        for id in ids {
            events.extend(store.event(id).await.unwrap());
        }
        events.retain(|event| event.source == source && event.call_id.as_deref() == Some(call_id));
        events
    }

    async fn metric(&self, name: &str) -> u64 {
        let text = self.app.counters().to_text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    /// Stops the service; everything is written when this returns.
    async fn stop(self) {
        self.stop.cancel();
        self.writer.await.unwrap();
    }
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(120)
}

/// Builds a call of Retell.
fn call(call_id: &str) -> Value {
    call_from(CALLER, Some(call_id))
}

fn call_from(from: &str, call_id: Option<&str>) -> Value {
    let inner = json!({ "call_id": call_id, "from_number": from, "to_number": DIALLED });
    json!({ "event": "call_inbound", "call_inbound": inner })
}

/// Builds an event of Retell.
fn event(kind: &str, call_id: &str) -> Value {
    json!({ "event": kind, "call": { "call_id": call_id, "from_number": CALLER, "to_number": DIALLED } })
}
