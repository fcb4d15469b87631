//! `/calls/live`: new calls as server-sent events, each with the rows that a page inserts.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Interval, MissedTickBehavior};
use uuid::Uuid;

use super::access::{NumberView, Reader};
use super::calls::{self, MOST_SEARCHED};
use super::guard::session_cookie;
use super::live_feeds::{INTERVAL, LiveRows, MOST_ROWS, before_late_calls};
use super::page::{PageError, Parameters, off_thread};
use super::state::Console;
use crate::http::HttpProblem;
use crate::records::{Filter, FilterArgs, time_of_id};

/// Time for which a page can have been away without waiting for its turn to search.
const SHORT_ABSENCE: SignedDuration = SignedDuration::from_mins(1);
/// Interval at which a quiet stream is written to. A page that was left is noticed when that fails, and only then
/// makes room for another.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// Headers of the stream. Proxies such as nginx would otherwise keep events until they fill a buffer.
const STREAM_HEADERS: [(HeaderName, HeaderValue); 2] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
];

/// Query parameters of the stream.
#[derive(Debug, Default, Deserialize)]
pub(super) struct LiveQuery {
    #[serde(flatten)]
    filter: FilterArgs,
    /// Id from which on the page has no calls.
    after: Option<Uuid>,
}

/// A page that is live.
struct Follower {
    console: Console,
    /// Cookie of the session: the stream ends with it.
    cookie: String,
    view: NumberView,
    filter: Filter,
    rows: Receiver<LiveRows>,
    /// Time up to which the page has all calls, apart from late ones.
    seen_until: Timestamp,
    /// Whether the page lacks calls that its feed does not repeat.
    is_behind: bool,
    session_check: Interval,
    _place: OwnedSemaphorePermit,
}

/// Follows the calls that match.
pub(super) async fn follow(
    State(console): State<Console>,
    reader: Reader,
    headers: HeaderMap,
    Parameters(LiveQuery { filter, after }): Parameters<LiveQuery>,
) -> Result<Response, PageError> {
    let place = console.live_feeds.place();
    let place =
        place.ok_or_else(|| HttpProblem::Unavailable("too many pages are live".to_owned()))?;
    let store = console.store().await?;
    let args = filter.without_blanks();
    let filter = calls::read_filter(&console, &store, &args).await;
    let filter =
        Filter { since: None, ..filter.map_err(|error| calls::filter_problem(error, &reader))? };
    // A browser that connects again says what it has received.
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let after = last.and_then(|id| id.parse().ok()).or(after);
    let view = reader.number_view();
    // Before the store is asked for what the page lacks: a call may come twice, but it is not missed.
    let rows = console.live_feeds.join(filter.clone(), view, &console.app, &console.stop)?;
    let mut session_check = tokio::time::interval(INTERVAL);
    session_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let follower = Follower {
        seen_until: after.map_or_else(|| console.app.now(), time_of_id),
        console,
        cookie: session_cookie(&headers).unwrap_or_default(),
        view,
        filter,
        rows,
        is_behind: true,
        session_check,
        _place: place,
    };
    let events = Sse::new(events(follower)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    let mut response = events.into_response();
    for (name, value) in STREAM_HEADERS {
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// Returns the events until the service stops.
fn events(follower: Follower) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(follower, async |mut follower| {
        let stop = follower.console.stop.clone();
        let rows = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            rows = follower.next() => rows,
        }?;
        follower.seen_until = follower.seen_until.max(time_of_id(rows.newest));
        let event = Event::default().event("calls").id(rows.newest.to_string()).data(rows.html);
        Some((Ok(event), follower))
    })
}

impl Follower {
    /// Waits for new rows. Returns `None` if the session has ended, or the person has another role: the browser
    /// connects again, and is answered as that allows. Rows may repeat calls: the page knows them by their ids.
    async fn next(&mut self) -> Option<LiveRows> {
        loop {
            let received = tokio::select! {
                _ = self.session_check.tick() => None,
                received = self.rows.recv(), if !self.is_behind => Some(received),
            };
            let reader = self.console.access.reader_at_rest(&self.cookie)?;
            if reader.number_view() != self.view {
                return None;
            }
            match received {
                Some(Ok(rows)) => return Some(rows),
                Some(Err(RecvError::Lagged(_))) => self.is_behind = true,
                Some(Err(RecvError::Closed)) => return None,
                None => {}
            }
            // A store that fails for a while is asked again.
            if self.is_behind
                && let Ok(missed) = self.missed().await
            {
                self.is_behind = false;
                if missed.is_some() {
                    return missed;
                }
            }
        }
    }

    /// Finds the newest calls that the page may lack. The search takes a bounded time, whether or not calls match.
    async fn missed(&self) -> Result<Option<LiveRows>, HttpProblem> {
        let since = before_late_calls(self.seen_until);
        let filter = Filter { since: Some(since), ..self.filter.clone() };
        let absence = self.console.app.now().duration_since(since);
        let turn = match absence > SHORT_ABSENCE {
            true => Some(self.console.counting.wait().await),
            false => None,
        };
        let (app, view, runtime) = (self.console.app.clone(), self.view, Handle::current());
        let search = async move {
            let _turn = turn;
            let store = app.recorder().store()?;
            let found = store.search(&filter, None, MOST_ROWS, MOST_SEARCHED).await?;
            let last_events = store.last_events(&found.calls).await?;
            LiveRows::new(&app, &found.calls, &last_events, view)
        };
        off_thread(move || runtime.block_on(search)).await?
    }
}
