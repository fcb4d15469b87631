//! `switchboard records follow`: prints calls and events as any service commits them to the store.

use std::collections::HashSet;
use std::io::Write;
use std::os::fd::AsFd;
use std::time::Duration;

use clap::Args;
use console::truncate_str;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::io::Interest;
use tokio::net::unix::pipe;
use tokio::time::Instant;
use uuid::Uuid;

use super::filter::FilterFlags;
use super::row::{format_outcome, summarize_event, tagged};
use super::sanitize;
use crate::cli::{ConfigFile, Exit, output};
use crate::records::{CallRecord, EventRecord, Filter, Store, StoreError, first_id_at};

/// Print new calls and events of this store, from all services that write to it. Ends with Ctrl-C.
///
/// Exit status: 0 interrupted; 2 the records cannot be read or a filter is invalid.
#[derive(Debug, Args)]
pub(super) struct Follow {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    filter: FilterFlags,
    /// Print JSON, one object per line
    #[arg(long)]
    json: bool,
}

/// Minimum time between two polls; longer if a poll takes long.
const POLL_INTERVAL: Duration = Duration::from_millis(300);
/// Usual maximum time between the arrival of a call and the commit of its record.
const USUAL_DELAY: SignedDuration = SignedDuration::from_secs(30);
/// Maximum such time after an outage of the store, and between the clocks of replicas.
const MAX_DELAY: SignedDuration = SignedDuration::from_mins(15);
/// Number of polls of which one also looks for such late records.
const LATE_EVERY: u32 = 20;

impl Follow {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let zone = self.filter.zone()?;
        let opened = self.filter.open(&self.config).await?;
        let filter = self.filter.read(&opened, &self.config, None).await?;
        let from = filter.since.unwrap_or(opened.now);
        let mut shown = ShownIds { from, has_polled: false, ids: HashSet::new() };
        if !self.filter.has_since() {
            shown.skip_existing(&opened.store, opened.now).await?;
        }
        let follow = async {
            for poll in 0_u32.. {
                let started = Instant::now();
                let delay = if poll % LATE_EVERY == 0 { MAX_DELAY } else { USUAL_DELAY };
                #[expect(clippy::disallowed_methods, reason = "the poll covers the time up to now")]
                let now = Timestamp::now();
                for new in shown.poll(&opened.store, &filter, now, delay).await? {
                    self.show(&new, &zone)?;
                }
                tokio::time::sleep(POLL_INTERVAL.max(started.elapsed() * 2)).await;
            }
            anyhow::Ok(())
        };
        tokio::select! {
            ended = follow => ended?,
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            () = output_closed() => {}
        }
        Ok(Exit::Success)
    }

    fn show(&self, new: &New, zone: &TimeZone) -> std::io::Result<()> {
        let mut stdout = std::io::stdout().lock();
        match self.json {
            true => writeln!(stdout, "{}", new.to_json())?,
            false => {
                let line = new.to_line(zone);
                let width = output::terminal_width().map_or(usize::MAX, usize::from);
                writeln!(stdout, "{}", truncate_str(&line, width, "…"))?;
            }
        }
        stdout.flush()
    }
}

/// Completes when the reader of standard output has gone; never if that cannot be detected.
async fn output_closed() {
    let stdout = std::io::stdout().as_fd().try_clone_to_owned();
    // Only watched, never written to. A file cannot be watched, and has no reader that could go.
    let pipe = stdout.and_then(pipe::Sender::from_owned_fd_unchecked);
    if let Ok(pipe) = pipe
        && pipe.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// Ids of the records that were printed, or existed before.
struct ShownIds {
    /// Records that arrived before this time are never printed.
    from: Timestamp,
    /// The first poll goes back to `from`; later polls do not, since old ids are not kept.
    has_polled: bool,
    ids: HashSet<Uuid>,
}

enum New {
    Call(Box<CallRecord>),
    Event(Box<EventRecord>),
}

impl ShownIds {
    /// Skips the records that exist already.
    async fn skip_existing(&mut self, store: &Store, now: Timestamp) -> Result<(), StoreError> {
        self.from = now.checked_sub(MAX_DELAY).unwrap_or(now);
        let (calls, events) = store.ids_since(first_id_at(self.from)).await?;
        self.ids.extend(calls.into_iter().chain(events));
        Ok(())
    }

    /// Returns new records in the order of arrival.
    async fn poll(
        &mut self,
        store: &Store,
        filter: &Filter,
        now: Timestamp,
        delay: SignedDuration,
    ) -> Result<Vec<New>, StoreError> {
        let window = now.checked_sub(delay).unwrap_or(now);
        let from = if self.has_polled { window.max(self.from) } else { self.from };
        let (calls, events) = store.ids_since(first_id_at(from)).await?;
        self.has_polled = true;
        let mut new = Vec::new();
        for id in calls {
            if self.ids.insert(id)
                && let Some(call) = store.call(id).await?
                && filter.matches(&call)
            {
                new.push((id, New::Call(Box::new(call))));
            }
        }
        for id in events {
            if !self.ids.contains(&id)
                && let Some(event) = store.event(id).await?
            {
                self.ids.insert(id);
                if matches_filter(store, filter, &event).await? {
                    new.push((id, New::Event(Box::new(event))));
                }
            }
        }
        let oldest = first_id_at(now.checked_sub(MAX_DELAY * 2).unwrap_or(now));
        self.ids.retain(|id| *id >= oldest);
        new.sort_by_key(|(id, _)| *id);
        Ok(new.into_iter().map(|(_, new)| new).collect())
    }
}

/// Returns whether an event, or the call that it belongs to, matches the filter.
async fn matches_filter(
    store: &Store,
    filter: &Filter,
    event: &EventRecord,
) -> Result<bool, StoreError> {
    let call = match event.call {
        Some(id) => store.call(id).await?,
        None => None,
    };
    // A call of yesterday can end today.
    let any_time = Filter { since: None, until: None, ..filter.clone() };
    Ok(call.map_or_else(|| filter.matches_event(event), |call| any_time.matches(&call)))
}

impl New {
    fn to_json(&self) -> Value {
        match self {
            New::Call(call) => tagged("call", call.to_json()),
            New::Event(event) => tagged("event", event.to_json()),
        }
    }

    fn to_line(&self, zone: &TimeZone) -> String {
        let time = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%H:%M:%S%.3f").to_string();
        match self {
            New::Call(call) => {
                let rule = call.rule.as_deref().map(|rule| format!(" by rule {}", sanitize(rule)));
                format!(
                    "{}  {:<5}  {}  {} -> {}  {}{}  {}",
                    time(call.at),
                    call.channel,
                    sanitize(&call.source),
                    sanitize(&call.from),
                    sanitize(&call.to),
                    format_outcome(call),
                    rule.unwrap_or_default(),
                    call.id
                )
            }
            New::Event(event) => {
                let call = event.call.map_or("unrecorded call".to_owned(), |id| id.to_string());
                let (source, kind) = (sanitize(&event.source), sanitize(&event.kind));
                format!(
                    "{}  event  {source}  {kind}  {}  {call}",
                    time(event.at),
                    summarize_event(event)
                )
            }
        }
    }
}
