//! `/records`: the calls that the running service has recorded, including those in memory.

use std::future::ready;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::HttpProblem;
use super::QueryParams;
use crate::domain::form::restore_plus;
use crate::explain::recorded::explain_with_snapshot;
use crate::pipeline::Switchboard;
use crate::records::{
    CallRecord, FilterArgs, FilterError, KnownNames, LookupResult, NoStore, Order, PageCursor,
    Store, StoreError,
};

impl From<StoreError> for HttpProblem {
    fn from(error: StoreError) -> HttpProblem {
        HttpProblem::Unavailable(format!("cannot read the records: {error}"))
    }
}

impl From<NoStore> for HttpProblem {
    fn from(reason: NoStore) -> HttpProblem {
        match reason {
            NoStore::Off => HttpProblem::NotFound(reason.to_string()),
            NoStore::Closed => HttpProblem::Unavailable(reason.to_string()),
        }
    }
}

impl From<FilterError> for HttpProblem {
    fn from(error: FilterError) -> HttpProblem {
        match error {
            FilterError::Invalid(invalid) => HttpProblem::BadRequest(invalid.to_string().into()),
            FilterError::Store(error) => error.into(),
        }
    }
}

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 1_000;

/// Query parameters of `/records`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    #[serde(flatten)]
    filter: FilterArgs,
    /// Maximum number of calls, 1 to [`MAX_LIMIT`].
    limit: Option<usize>,
    /// Id of a record: return older calls only.
    before: Option<Uuid>,
}

impl QueryParams for ListQuery {
    const NAMES: &'static str =
        "since, until, number, rule, source, agent, outcome, call_id, limit and before";
}

/// Returns a page of calls, newest first, and the id to pass as `before` for the next page.
pub(super) async fn list(app: &Switchboard, query: ListQuery) -> Result<Value, HttpProblem> {
    let page = query.page()?;
    let store = app.recorder().store()?;
    let known = || KnownNames::new(Some(&app.table()), app.sources());
    let args = query.filter_args();
    let filter =
        app.recorder().read_filter(&store, &args, app.now(), &TimeZone::UTC, known).await?;
    let calls = store.calls(&filter, page).await?;
    let last_events = store.last_events(&calls).await?;
    // A full page may be the last one; then the next page is empty.
    let next = calls.last().filter(|_| calls.len() == page.limit).map(|call| call.id);
    let item = |call: &CallRecord| call.to_list_item(last_events.get(&call.id));
    let calls: Vec<Value> = calls.iter().map(item).collect();
    Ok(json!({ "records": calls, "next": next }))
}

/// Query parameters of `/records/ID`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowQuery {
    /// Whether the events have their bodies, which can be megabytes each.
    #[serde(default)]
    bodies: bool,
}

impl QueryParams for ShowQuery {
    const NAMES: &'static str = "bodies";
}

/// Returns a call, its events, and the explanation of its decision. The events are read and sent one by one:
/// all of them together can be larger than the memory.
pub(super) async fn show(
    app: &Arc<Switchboard>,
    id: &str,
    query: ShowQuery,
) -> Result<Response, HttpProblem> {
    let store = app.recorder().store()?;
    let call = match store.lookup(id).await? {
        LookupResult::One(call) => *call,
        LookupResult::None => {
            return Err(HttpProblem::NotFound("no call is recorded under this id".to_owned()));
        }
        LookupResult::Several(ids) => {
            let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
            let reason = format!("the id is ambiguous; it matches {}", ids.join(", "));
            return Err(HttpProblem::NotFound(reason));
        }
    };
    let events = store.event_ids_of(&call).await?;
    let object = call.to_json();
    let snapshot = store.rule_snapshot(&call.fingerprint).await?;
    let app = app.clone();
    // The scan of a million rules takes a while; calls must not wait for it.
    let explained = tokio::task::spawn_blocking(move || {
        explain_with_snapshot(&call, snapshot.as_ref(), &app).to_json()
    });
    let explanation = explained
        .await
        .unwrap_or_else(|_panic| json!({ "unavailable": "the explanation panicked" }));
    let start = format!("{{\"call\":{},\"events\":[", Value::Object(object));
    let end = format!("],\"explanation\":{explanation}}}");
    let events = event_stream(store, events, query.bodies);
    let body = stream::once(ready(Ok(Bytes::from(start))))
        .chain(events)
        .chain(stream::once(ready(Ok(Bytes::from(end)))));
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((json, Body::from_stream(body)).into_response())
}

/// Reads events one by one, as JSON separated by commas. If the store fails, the stream ends with an error,
/// and the response stays incomplete, which the client notices.
fn event_stream(
    store: Arc<Store>,
    ids: Vec<Uuid>,
    with_bodies: bool,
) -> impl Stream<Item = Result<Bytes, StoreError>> {
    let read = move |id: Uuid| {
        let store = store.clone();
        async move {
            match with_bodies {
                true => store.event(id).await,
                false => store.event_without_body(id).await,
            }
        }
    };
    // An event that has been deleted since is left out.
    let events = stream::iter(ids).then(read).filter_map(async |event| event.transpose());
    events.enumerate().map(move |(at, event)| {
        let mut object = event?.to_json();
        if !with_bodies {
            object.remove("body");
        }
        let comma = if at == 0 { "" } else { "," };
        Ok(Bytes::from(format!("{comma}{}", Value::Object(object))))
    })
}

impl ListQuery {
    fn page(&self) -> Result<PageCursor, HttpProblem> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            let reason = format!("limit `{limit}`: must be from 1 to {MAX_LIMIT}");
            return Err(HttpProblem::BadRequest(reason.into()));
        }
        Ok(PageCursor { limit, order: Order::NewestFirst, beyond: self.before })
    }

    fn filter_args(self) -> FilterArgs {
        let number = self.filter.number.as_deref().map(restore_plus);
        FilterArgs { number, ..self.filter }
    }
}
