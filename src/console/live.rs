//! `/calls/live`: new calls as server-sent events, each with the rows that a page inserts.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::time::{Interval, MissedTickBehavior};
use uuid::Uuid;

use super::access::Reader;
use super::calls::{self, CallItem};
use super::guard::session_cookie;
use super::page::{PageError, Parameters};
use super::state::Console;
use crate::http::HttpProblem;
use crate::records::{Filter, FilterArgs, Order, PageCursor};

/// Interval at which the store is asked for new calls. It does not depend on how many there are.
const INTERVAL: Duration = Duration::from_secs(1);
/// Longest usual time from the arrival of a call to the commit of its record.
const LATE: SignedDuration = SignedDuration::from_secs(30);
/// Rows of one event. A page keeps the newest ones anyway.
const MOST_ROWS: usize = 50;
/// Maximum number of pages that are live; the admin listener has 64 connections.
const MOST_FOLLOWERS: usize = 32;

static FOLLOWERS: AtomicUsize = AtomicUsize::new(0);

/// A page that is live. Counts while it exists.
struct Follower;

impl Follower {
    fn new() -> Option<Follower> {
        let before = FOLLOWERS.fetch_add(1, Ordering::Relaxed);
        let follower = Follower;
        (before < MOST_FOLLOWERS).then_some(follower)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        FOLLOWERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Query parameters of the stream.
#[derive(Debug, Default, Deserialize)]
pub(super) struct LiveQuery {
    #[serde(flatten)]
    filter: FilterArgs,
    /// Newest call that the page has.
    after: Option<Uuid>,
}

#[derive(Template)]
#[template(path = "call_rows.html")]
struct RowsPart {
    rows: Vec<CallItem>,
}

/// What a stream needs from one event to the next.
struct Following {
    console: Console,
    /// Cookie of the session: the stream ends with it.
    cookie: String,
    filter: Filter,
    /// Time from which on calls can be new.
    since: Timestamp,
    /// Calls since then that were sent.
    sent: HashSet<Uuid>,
    interval: Interval,
    _follower: Follower,
}

/// Follows the calls that match.
pub(super) async fn follow(
    State(console): State<Console>,
    _: Reader,
    headers: HeaderMap,
    Parameters(LiveQuery { filter, after }): Parameters<LiveQuery>,
) -> Result<Response, PageError> {
    let follower = Follower::new()
        .ok_or_else(|| HttpProblem::Unavailable("too many pages are live".to_owned()))?;
    let store = console.app.recorder().store()?;
    let args = filter.without_blanks();
    let filter = calls::read_filter(&console, &store, &args).await;
    let filter = filter.map_err(calls::filter_problem)?;
    // A browser that connects again says what it has received.
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let after = last.and_then(|id| id.parse().ok()).or(after);
    let since = before_late_calls(after.map_or_else(|| console.app.now(), calls::time_of));
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // A page that has been asleep for longer is loaded again.
    let since = since.max(before_late_calls(before_late_calls(console.app.now())));
    let cookie = session_cookie(&headers).unwrap_or_default();
    let sent = HashSet::new();
    let following =
        Following { console, cookie, filter, since, sent, interval, _follower: follower };
    let events = Sse::new(events(following)).keep_alive(KeepAlive::new());
    Ok(events.into_response())
}

/// Returns the events until the service stops.
fn events(following: Following) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(following, async |mut following| {
        loop {
            let stop = following.console.stop.clone();
            tokio::select! {
                () = stop.cancelled() => return None,
                _ = following.interval.tick() => {}
            }
            // Also after a log-out, and for a person who has lost a role.
            let reader = following.console.access.reader_at_rest(&following.cookie)?;
            // A store that fails for a while is asked again.
            if let Ok(Some(event)) = following.next_event(&reader).await {
                return Some((Ok(event), following));
            }
        }
    })
}

/// Returns the time from which on calls can still be recorded after one of this time.
fn before_late_calls(at: Timestamp) -> Timestamp {
    at.saturating_sub(LATE).unwrap_or(at)
}

impl Following {
    /// Returns an event with the new calls, if there are some. It may repeat calls that the page had from the
    /// beginning: the page knows them by their ids.
    async fn next_event(&mut self, reader: &Reader) -> Result<Option<Event>, PageError> {
        let store = self.console.app.recorder().store()?;
        let now = self.console.app.now();
        let filter = Filter { since: Some(self.since), ..self.filter.clone() };
        let page = PageCursor { limit: MOST_ROWS, order: Order::NewestFirst, beyond: None };
        let mut calls = store.calls(&filter, page).await?;
        // Whether or not calls match: the next search must not begin further and further back.
        self.since = self.since.max(before_late_calls(now));
        calls.retain(|call| self.sent.insert(call.id));
        self.sent.retain(|id| calls::time_of(*id) >= self.since);
        let Some(newest) = calls.first().map(|call| call.id) else { return Ok(None) };
        let zone = calls::zone(&self.console);
        let rows = calls::rows(&store, &calls, reader, &zone).await?;
        let html = RowsPart { rows }.render().map_err(|error| {
            HttpProblem::Internal(format!("the rows could not be rendered: {error}"))
        })?;
        Ok(Some(Event::default().event("calls").id(newest.to_string()).data(html)))
    }
}
