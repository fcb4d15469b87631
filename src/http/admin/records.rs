//! `/records`: what the running service has recorded, also where it records into memory.

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::explain::recorded::{TableChoice, explanation_as_of_then, table_of_then};
use crate::pipeline::Switchboard;
use crate::records::{FilterArgs, LookupResult, Order, Page, Store, StoreError};

/// Why there is nothing to tell.
pub(crate) enum RecordsError {
    /// The question makes no sense.
    BadRequest(String),
    /// No such record.
    NotFound(String),
    /// The store is closed, or says no.
    Unavailable(String),
}

impl From<StoreError> for RecordsError {
    fn from(error: StoreError) -> RecordsError {
        RecordsError::Unavailable(format!("the records cannot be read: {error}"))
    }
}

const LIMIT: usize = 50;
const MOST: usize = 1_000;
const KNOWN: &str = "there are since, until, number, rule, source, outcome, call_id, limit, before";

/// `GET /records?since=…&until=…&number=…&rule=…&source=…&outcome=…&call_id=…&limit=…&before=ID`.
pub(crate) async fn list(app: &Switchboard, query: &str) -> Result<Value, RecordsError> {
    let (words, page) = read(query).map_err(RecordsError::BadRequest)?;
    let store = store(app)?;
    let numbers = app.recorder().numbers();
    let filter = words.parse(app.now(), &TimeZone::UTC, numbers);
    let filter = filter.map_err(|bad| RecordsError::BadRequest(bad.to_string()))?;
    let calls = store.calls(&filter, page).await?;
    let last = store.last_events(&calls).await?;
    // One that is full may be the last one; then the next one is empty.
    let next = calls.last().filter(|_| calls.len() == page.limit).map(|call| call.id);
    let calls: Vec<Value> = calls
        .iter()
        .map(|call| {
            let mut object = call.to_json();
            object.insert("last_event".to_owned(), json!(last.get(&call.id)));
            Value::Object(object)
        })
        .collect();
    Ok(json!({ "records": calls, "next": next }))
}

/// `GET /records/{id}`: the call, its events, and why it was answered so.
pub(crate) async fn one(app: &Arc<Switchboard>, id: &str) -> Result<Value, RecordsError> {
    let store = store(app)?;
    let call = match store.lookup(id).await? {
        LookupResult::One(call) => *call,
        LookupResult::None => {
            return Err(RecordsError::NotFound("no call is recorded under this id".to_owned()));
        }
        LookupResult::Several(ids) => {
            let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
            let why = format!("this can mean several calls, among them {}", ids.join(", "));
            return Err(RecordsError::NotFound(why));
        }
    };
    let events = store.events_of(&call).await?;
    let events: Vec<Value> = events.iter().map(|event| Value::Object(event.to_json())).collect();
    let object = call.to_json();
    let kept = store.rule_snapshot(&call.fingerprint).await?;
    let app = app.clone();
    // Of a million rules the scan takes its time, which calls must not wait for.
    let explained = tokio::task::spawn_blocking(move || {
        let (kept, now) = (table_of_then(kept.as_ref()), app.table());
        let asked = TableChoice::Recorded(kept.as_ref().unwrap_or(&now));
        explanation_as_of_then(&call, asked, &app.sources()).to_json()
    });
    let explanation =
        explained.await.unwrap_or_else(|_panic| json!({ "unexplained": "it panicked" }));
    Ok(json!({ "call": object, "events": events, "explanation": explanation }))
}

fn store(app: &Switchboard) -> Result<Arc<Store>, RecordsError> {
    let off = || RecordsError::NotFound("records are off: `[records] url` is \"off\"".to_owned());
    let state = app.recorder().health().ok_or_else(off)?;
    let closed = || {
        RecordsError::Unavailable("the store of the records is not open: see /readyz".to_owned())
    };
    state.store().ok_or_else(closed)
}

fn read(query: &str) -> Result<(FilterArgs, Page), String> {
    let mut words = FilterArgs::default();
    let mut page = Page { limit: LIMIT, order: Order::NewestFirst, beyond: None };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let text = Some(value.to_string());
        match &*name {
            "since" => words.since = text,
            "until" => words.until = text,
            // A `+` that nobody encoded means a space.
            "number" => {
                words.number = text.map(|text| match text.strip_prefix(' ') {
                    Some(rest) => format!("+{rest}"),
                    None => text,
                });
            }
            "rule" => words.rule = text,
            "source" => words.source = text,
            "outcome" => words.outcome = text,
            "call_id" => words.call_id = text,
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
                let wrong = || format!("limit `{value}`: a number from 1 to {MOST}");
                page.limit = limit.ok_or_else(wrong)?;
            }
            "before" => {
                let id = value.parse();
                page.beyond =
                    Some(id.map_err(|_| format!("before `{value}`: the id of a record"))?);
            }
            other => return Err(format!("unknown parameter `{other}`: {KNOWN}")),
        }
    }
    Ok((words, page))
}
