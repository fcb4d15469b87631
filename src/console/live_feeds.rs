//! Feeds of new calls: all live pages with the same filter share one, which asks the store and renders the rows.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use askama::Template;
use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::access::NumberView;
use super::call_rows::RowsPart;
use crate::http::HttpProblem;
use crate::pipeline::Switchboard;
use crate::priority::lower_priority;
use crate::records::{CallRecord, Filter, Order, PageCursor, Store, WrittenCalls, time_of_id};

/// Interval at which a feed asks the store for new calls. It does not depend on how many there are.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);
/// Longest usual time from the arrival of a call to the commit of its record.
const LATE: SignedDuration = SignedDuration::from_secs(30);
/// Rows that a page receives at once. A page keeps the newest ones anyway.
pub(super) const MOST_ROWS: usize = 50;
/// Maximum number of pages that are live; the admin listener has 64 connections.
pub(super) const MOST_PAGES: usize = 32;
/// Rows that wait for a page, in seconds. A page that is slower asks the store itself for what it missed.
const CAPACITY: usize = 4;
/// Number of ticks of which one also looks for calls that another process has written to the same file.
const FOREIGN_EVERY: u64 = 10;

/// Rows of new calls.
#[derive(Debug, Clone)]
pub(super) struct LiveRows {
    pub(super) newest: Uuid,
    pub(super) html: Arc<str>,
}

impl LiveRows {
    /// Renders calls, newest first; `None` if there are none.
    pub(super) fn new(
        app: &Switchboard,
        calls: &[CallRecord],
        last_events: &HashMap<Uuid, String>,
        view: NumberView,
    ) -> Result<Option<LiveRows>, HttpProblem> {
        let Some(newest) = calls.first().map(|call| call.id) else { return Ok(None) };
        let rows = RowsPart::new(calls, last_events, view, &app.table().zone);
        let html = rows.render().map_err(|error| {
            HttpProblem::Internal(format!("the rows could not be rendered: {error}"))
        })?;
        // One line: an event repeats its field name on each.
        let lines: Vec<_> = html.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        Ok(Some(LiveRows { newest, html: lines.join(" ").into() }))
    }
}

/// Returns the time from which on calls can still be recorded after one of this time.
pub(super) fn before_late_calls(at: Timestamp) -> Timestamp {
    at.saturating_sub(LATE).unwrap_or(at)
}

/// The feeds that have followers, by their filters. Clones share them.
#[derive(Clone)]
pub(super) struct LiveFeeds {
    feeds: Arc<Mutex<HashMap<Filter, Arc<Feed>>>>,
    /// One permit per live page.
    pages: Arc<Semaphore>,
}

/// A feed: its filter, and the channels to its followers.
struct Feed {
    filter: Filter,
    whole: broadcast::Sender<LiveRows>,
    masked: broadcast::Sender<LiveRows>,
}

impl Default for LiveFeeds {
    fn default() -> LiveFeeds {
        LiveFeeds { feeds: Arc::default(), pages: Arc::new(Semaphore::new(MOST_PAGES)) }
    }
}

impl LiveFeeds {
    /// Returns the place of one more page, which it keeps while it is live; `None` if there are too many.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.pages.clone().try_acquire_owned().ok()
    }

    /// Follows the feed of a filter, which begins with its first follower, and ends within a second after its last
    /// one.
    pub(super) fn join(
        &self,
        filter: Filter,
        view: NumberView,
        app: &Arc<Switchboard>,
        stop: &CancellationToken,
    ) -> Result<broadcast::Receiver<LiveRows>, HttpProblem> {
        let mut feeds = self.guarded();
        if let Some(feed) = feeds.get(&filter) {
            return Ok(feed.rows(view).subscribe());
        }
        let feed = Arc::new(Feed::new(filter.clone()));
        let rows = feed.rows(view).subscribe();
        feeds.insert(filter, feed.clone());
        drop(feeds);
        // Removes the feed again if no thread can start.
        FeedReader::new(self.clone(), feed, app.clone()).start(stop.clone())?;
        Ok(rows)
    }

    /// Removes a feed unless it has followers. Returns whether it was removed.
    fn remove_if_unused(&self, feed: &Feed) -> bool {
        let mut feeds = self.guarded();
        let is_unused = !feed.has_followers();
        if is_unused {
            feeds.remove(&feed.filter);
        }
        is_unused
    }

    fn guarded(&self) -> MutexGuard<'_, HashMap<Filter, Arc<Feed>>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed {
    fn new(filter: Filter) -> Feed {
        let [whole, masked] = [(), ()].map(|()| broadcast::Sender::new(CAPACITY));
        Feed { filter, whole, masked }
    }

    fn rows(&self, view: NumberView) -> &broadcast::Sender<LiveRows> {
        match view {
            NumberView::Whole => &self.whole,
            NumberView::Masked => &self.masked,
        }
    }

    fn has_followers(&self) -> bool {
        [&self.whole, &self.masked].iter().any(|rows| rows.receiver_count() > 0)
    }
}

/// Reads new calls for a feed, on a thread of its own: calls must not wait for it.
struct FeedReader {
    feeds: LiveFeeds,
    feed: Arc<Feed>,
    app: Arc<Switchboard>,
    written: Option<WrittenCalls>,
    ticks: u64,
    /// Whether the last look failed, so that the next one must not rely on what was written since.
    has_failed: bool,
    /// Calls that were sent, as far back as late ones can come.
    sent: HashSet<Uuid>,
}

impl FeedReader {
    fn new(feeds: LiveFeeds, feed: Arc<Feed>, app: Arc<Switchboard>) -> FeedReader {
        let written = app.recorder().health().map(|health| health.follow_written_calls());
        FeedReader { feeds, feed, app, written, ticks: 0, has_failed: false, sent: HashSet::new() }
    }

    fn start(self, stop: CancellationToken) -> Result<(), HttpProblem> {
        let runtime = Handle::current();
        let thread = std::thread::Builder::new().name("live calls".to_owned());
        let started = thread.spawn(move || {
            lower_priority();
            runtime.block_on(self.run(stop));
        });
        started.map(drop).map_err(|error| {
            HttpProblem::Unavailable(format!("a thread for live calls cannot start: {error}"))
        })
    }

    async fn run(mut self, stop: CancellationToken) {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = interval.tick() => {}
            }
            if self.feeds.remove_if_unused(&self.feed) {
                return;
            }
            // A store that fails for a while is asked again.
            self.has_failed = self.look().await.is_err();
        }
    }

    /// Sends the calls that are new.
    async fn look(&mut self) -> Result<(), HttpProblem> {
        let store = self.app.recorder().store()?;
        let Some(since) = self.earliest_new(&store) else { return Ok(()) };
        let filter = Filter { since: Some(since), ..self.feed.filter.clone() };
        let page = PageCursor { limit: MOST_ROWS, order: Order::NewestFirst, beyond: None };
        let mut calls = store.calls(&filter, page).await?;
        calls.retain(|call| !self.sent.contains(&call.id));
        if calls.is_empty() {
            return Ok(());
        }
        self.send(&calls, &store.last_events(&calls).await?)?;
        self.sent.extend(calls.iter().map(|call| call.id));
        let kept_since = before_late_calls(self.app.now());
        self.sent.retain(|id| time_of_id(*id) >= kept_since);
        Ok(())
    }

    /// Returns the time from which on there can be new calls; `None` if there is none.
    fn earliest_new(&mut self, store: &Store) -> Option<Timestamp> {
        let earliest = before_late_calls(self.app.now());
        let written = self.written.as_mut().and_then(WrittenCalls::oldest);
        let looks_for_foreign =
            store.has_other_writers() || self.ticks.is_multiple_of(FOREIGN_EVERY);
        self.ticks += 1;
        match looks_for_foreign || self.has_failed {
            true => Some(earliest),
            false => written.map(|oldest| time_of_id(oldest).max(earliest)),
        }
    }

    /// Renders rows once for each way in which a follower sees numbers.
    fn send(
        &self,
        calls: &[CallRecord],
        last_events: &HashMap<Uuid, String>,
    ) -> Result<(), HttpProblem> {
        for view in [NumberView::Whole, NumberView::Masked] {
            let followers = self.feed.rows(view);
            if followers.receiver_count() > 0
                && let Some(rows) = LiveRows::new(&self.app, calls, last_events, view)?
            {
                // Without a receiver, the last follower has just left.
                drop(followers.send(rows));
            }
        }
        Ok(())
    }
}

impl Drop for FeedReader {
    /// Ends the feed if the reader panicked or stopped: its followers end when no sender is left, and join again.
    fn drop(&mut self) {
        let mut feeds = self.feeds.guarded();
        if feeds.get(&self.feed.filter).is_some_and(|feed| Arc::ptr_eq(feed, &self.feed)) {
            feeds.remove(&self.feed.filter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::Clock;
    use crate::rules::{self, CheckContext, RuleSet};
    use crate::settings::{RecordsLocation, RecordsSettings};

    fn table() -> RuleSet {
        let text = "[[rule]]\nname = \"all\"\nreject = \"closed\"\n".to_owned();
        let loaded = rules::parse("rules.toml", text, &CheckContext::default());
        loaded.table.expect("no errors")
    }

    #[tokio::test]
    async fn pages_with_the_same_filter_share_a_feed_until_the_last_one_leaves() {
        let (feeds, stop) = (LiveFeeds::default(), CancellationToken::new());
        let app = Arc::new(Switchboard::new(Vec::new(), table(), Clock::System));
        let of_rule = |rule: &str| Filter { rule: Some(rule.to_owned()), ..Filter::default() };
        let join = |rule: &str, view| feeds.join(of_rule(rule), view, &app, &stop).unwrap();
        let first = join("a", NumberView::Whole);
        let second = join("a", NumberView::Masked);
        let other = join("b", NumberView::Whole);
        assert_eq!(feeds.guarded().len(), 2);
        let feed = feeds.guarded().get(&of_rule("a")).cloned().unwrap();
        assert_eq!([&feed.whole, &feed.masked].map(|rows| rows.receiver_count()), [1, 1]);
        drop((first, other));
        assert!(!feeds.remove_if_unused(&feed), "the second page follows it");
        drop(second);
        assert!(feeds.remove_if_unused(&feed));
        let _again = join("a", NumberView::Whole);
        let current = feeds.guarded().get(&of_rule("a")).cloned().unwrap();
        assert!(!Arc::ptr_eq(&feed, &current));
        stop.cancel();
    }

    #[tokio::test]
    async fn the_store_is_asked_only_after_a_call_was_written_or_now_and_then() {
        let location = RecordsLocation::Memory;
        let store = Store::open(&location).await.unwrap();
        let records = RecordsSettings { location, ..RecordsSettings::off() };
        let (app, _writer) = Switchboard::with_records(Vec::new(), table(), Clock::System, records);
        let app = Arc::new(app);
        let feed = Arc::new(Feed::new(Filter::default()));
        let mut reader = FeedReader::new(LiveFeeds::default(), feed, app.clone());
        let earliest: Vec<_> = (0..=FOREIGN_EVERY).map(|_| reader.earliest_new(&store)).collect();
        let asked = earliest.iter().map(Option::is_some).collect::<Vec<_>>();
        let every = [&[true][..], &[false; FOREIGN_EVERY as usize - 1], &[true]].concat();
        assert_eq!(asked, every);
        let id = app.recorder().id(app.now());
        app.recorder().health().unwrap().announce_written(Some(id));
        assert_eq!(reader.earliest_new(&store), Some(time_of_id(id)));
        assert_eq!(reader.earliest_new(&store), None);
        reader.has_failed = true;
        assert!(reader.earliest_new(&store) < Some(time_of_id(id)), "what was written is unknown");
    }
}
