//! `switchboard records follow`: calls and events as they are committed, whoever commits them.

use std::collections::HashSet;
use std::io::Write;
use std::os::fd::AsFd;
use std::time::Duration;

use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::io::Interest;
use tokio::net::unix::pipe;
use tokio::time::Instant;
use uuid::Uuid;

use super::filter::FilterFlags;
use super::row::{named, outcome, told};
use super::table::cut;
use super::{OpenStore, plain, width};
use crate::cli::{ConfigFile, Exit};
use crate::records::{CallRecord, EventRecord, Filter, Store, StoreError, first_id_at};

/// Of this store, whichever service writes to it. Ends with Ctrl-C.
#[derive(Debug, Args)]
pub(super) struct Follow {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    filter: FilterFlags,
    /// For programs: an object a line
    #[arg(long)]
    json: bool,
}

/// Between two looks; longer when a look takes long.
const BETWEEN: Duration = Duration::from_millis(300);
/// A record is committed later than its id says: by so much at most, when all is well.
const USUAL_DELAY: SignedDuration = SignedDuration::from_secs(30);
/// A store that was broken takes what was kept for it when it is back; replicas' clocks differ.
const LONGEST_DELAY: SignedDuration = SignedDuration::from_mins(15);
/// Every so many looks, one looks for what is so late.
const LATE_EVERY: u32 = 20;

impl Follow {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let zone = self.filter.zone()?;
        let opened = OpenStore::of(&self.config).await?;
        let filter = self.filter.read(opened.now, &opened.numbers, None)?;
        let from = filter.since.unwrap_or(opened.now);
        let mut seen = ShownIds { from, has_looked: false, ids: HashSet::new() };
        if !self.filter.say_since() {
            seen.skip(&opened.store, opened.now).await?;
        }
        let follow = async {
            for look in 0_u32.. {
                let begun = Instant::now();
                let delay = if look % LATE_EVERY == 0 { LONGEST_DELAY } else { USUAL_DELAY };
                #[expect(clippy::disallowed_methods, reason = "what is new now")]
                let now = Timestamp::now();
                for new in seen.look(&opened.store, &filter, now, delay).await? {
                    self.show(&new, &zone)?;
                }
                tokio::time::sleep(BETWEEN.max(begun.elapsed() * 2)).await;
            }
            anyhow::Ok(())
        };
        tokio::select! {
            ended = follow => ended?,
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            () = reader_gone() => {}
        }
        Ok(Exit::Success)
    }

    fn show(&self, new: &New, zone: &TimeZone) -> std::io::Result<()> {
        let mut stdout = std::io::stdout().lock();
        match self.json {
            true => writeln!(stdout, "{}", new.to_json())?,
            false => {
                let line = new.to_line(zone);
                writeln!(stdout, "{}", cut(&line, width().unwrap_or(usize::MAX)))?;
            }
        }
        stdout.flush()
    }
}

/// Done when nobody reads standard output any more; never where that cannot be known.
async fn reader_gone() {
    let same = std::io::stdout().as_fd().try_clone_to_owned();
    // Only watched, never written to. A file cannot be watched, and nobody closes it.
    let watched = same.and_then(pipe::Sender::from_owned_fd_unchecked);
    if let Ok(watched) = watched
        && watched.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// What was shown already, or was there before.
struct ShownIds {
    /// What came in before is never shown.
    from: Timestamp,
    /// The first look goes back to there, the others not so far: of what is old no id is kept.
    has_looked: bool,
    ids: HashSet<Uuid>,
}

enum New {
    Call(Box<CallRecord>),
    Event(Box<EventRecord>),
}

impl ShownIds {
    /// What is there already is not new.
    async fn skip(&mut self, store: &Store, now: Timestamp) -> Result<(), StoreError> {
        self.from = now.checked_sub(LONGEST_DELAY).unwrap_or(now);
        let (calls, events) = store.ids_since(first_id_at(self.from)).await?;
        self.ids.extend(calls.into_iter().chain(events));
        Ok(())
    }

    /// In the order in which they came in.
    async fn look(
        &mut self,
        store: &Store,
        filter: &Filter,
        now: Timestamp,
        delay: SignedDuration,
    ) -> Result<Vec<New>, StoreError> {
        let window = now.checked_sub(delay).unwrap_or(now);
        let from = if self.has_looked { window.max(self.from) } else { self.from };
        let (calls, events) = store.ids_since(first_id_at(from)).await?;
        self.has_looked = true;
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
                if wanted(store, filter, &event).await? {
                    new.push((id, New::Event(Box::new(event))));
                }
            }
        }
        let oldest = first_id_at(now.checked_sub(LONGEST_DELAY * 2).unwrap_or(now));
        self.ids.retain(|id| *id >= oldest);
        new.sort_by_key(|(id, _)| *id);
        Ok(new.into_iter().map(|(_, new)| new).collect())
    }
}

async fn wanted(store: &Store, filter: &Filter, event: &EventRecord) -> Result<bool, StoreError> {
    let call = match event.call {
        Some(id) => store.call(id).await?,
        None => None,
    };
    // A call of yesterday may end today.
    let whenever = Filter { since: None, until: None, ..filter.clone() };
    Ok(call.map_or_else(|| filter.matches_event(event), |call| whenever.matches(&call)))
}

impl New {
    fn to_json(&self) -> Value {
        match self {
            New::Call(call) => named("call", call.to_json()),
            New::Event(event) => named("event", event.to_json()),
        }
    }

    fn to_line(&self, zone: &TimeZone) -> String {
        let time = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%H:%M:%S%.3f").to_string();
        match self {
            New::Call(call) => {
                let rule = call.rule.as_deref().map(|rule| format!(" by rule {}", plain(rule)));
                format!(
                    "{}  {:<5}  {}  {} -> {}  {}{}  {}",
                    time(call.at),
                    call.channel,
                    plain(&call.source),
                    plain(&call.from),
                    plain(&call.to),
                    outcome(call),
                    rule.unwrap_or_default(),
                    call.id
                )
            }
            New::Event(event) => {
                let of = event.call.map_or("of no recorded call".to_owned(), |id| id.to_string());
                let (source, kind) = (plain(&event.source), plain(&event.kind));
                format!("{}  event  {source}  {kind}  {}  {of}", time(event.at), told(event))
            }
        }
    }
}
