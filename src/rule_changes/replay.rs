//! Replays recorded calls page by page, within limits.

use std::time::{Duration, Instant};

use crate::records::{Filter, Order, PageCursor, Store, StoreError};
use crate::replay::Replay;

/// Limits of a replay.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReplayLimits {
    /// Maximum number of calls.
    pub calls: Option<usize>,
    /// Maximum time.
    pub time: Option<Duration>,
}

/// The calls of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayedCalls {
    /// Number of calls that match the filter.
    pub recorded: u64,
    /// Number of calls that were read.
    pub read: u64,
    /// Limit that ended the replay before all calls were read.
    pub stopped: Option<Stopped>,
}

/// Limit that ended a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The number of calls.
    Calls,
    /// The time.
    Time,
}

/// Number of records per query.
const PAGE: usize = 2_000;

/// Replays the calls that match a filter, in this order. Reports the calls read so far, and their total.
/// Deciding the calls of a page blocks for some milliseconds.
///
/// # Errors
/// Fails when the database returns an error.
pub async fn replay_calls(
    store: &Store,
    filter: &Filter,
    order: Order,
    limits: ReplayLimits,
    replay: &mut Replay<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<ReplayedCalls, StoreError> {
    let began = Instant::now();
    let recorded = store.count(filter).await?;
    let most = limits.calls.unwrap_or(usize::MAX);
    let total = recorded.min(most as u64);
    let (mut read, mut beyond) = (0, None);
    let stopped = loop {
        if read == most {
            break Some(Stopped::Calls);
        }
        if limits.time.is_some_and(|time| began.elapsed() >= time) {
            break Some(Stopped::Time);
        }
        let limit = PAGE.min(most - read);
        let page = store.calls(filter, PageCursor { limit, order, beyond }).await?;
        let Some(last) = page.last() else { break None };
        beyond = Some(last.id);
        page.iter().for_each(|record| replay.call(record));
        read += page.len();
        progress(read as u64, total);
    };
    let read = read as u64;
    // The limit may have been reached by the last call.
    let stopped = stopped.filter(|_| read < recorded);
    Ok(ReplayedCalls { recorded, read, stopped })
}
