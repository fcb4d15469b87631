//! `switchboard records export`: exports all records, oldest first.

use std::collections::HashSet;
use std::io::{BufWriter, Write};

use clap::Args;
use uuid::Uuid;

use super::filter::FilterFlags;
use super::row::{COLUMNS, cells};
use crate::cli::{ConfigFile, Exit, progress};
use crate::records::{
    CallRecord, EventRecord, Filter, Order, PageCursor, Store, TransferLine, first_id_at,
};

/// Export JSON, one object per line: each call with its events, events of unrecorded calls, the rule
/// tables that decided the calls, and the changes of the rules. `records import` reads it.
///
/// Exit status: 0 exported; 2 the records cannot be read or a filter is invalid.
#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    filter: FilterFlags,
    /// Export CSV, calls only
    #[arg(long)]
    csv: bool,
}

/// Number of calls per query.
const PAGE: usize = 200;
/// Number of events of unrecorded calls per query: each can be as large as a request body.
const EVENT_PAGE: usize = 20;

impl Export {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let opened = self.filter.open(&self.config).await?;
        let filter = self.filter.read(&opened, &self.config, None).await?;
        let total = opened.store.count(&filter).await?;
        let mut progress = progress::ProgressLine::default();
        let mut stdout = BufWriter::new(std::io::stdout().lock());
        let result = match self.csv {
            true => write_csv(&opened.store, &filter, &mut stdout, total, &mut progress).await,
            false => write_json(&opened.store, &filter, &mut stdout, total, &mut progress).await,
        };
        progress.clear();
        result?;
        stdout.flush()?;
        Ok(Exit::Success)
    }
}

async fn write_csv(
    store: &Store,
    filter: &Filter,
    out: impl Write,
    total: u64,
    progress: &mut progress::ProgressLine,
) -> anyhow::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(COLUMNS)?;
    let mut pages = PagedCalls { beyond: None, done: 0 };
    while let Some(calls) = pages.next(store, filter).await? {
        for call in &calls {
            csv.write_record(cells(call))?;
        }
        progress.show(|| format!("{} of {total} calls", pages.done));
    }
    Ok(csv.flush()?)
}

async fn write_json(
    store: &Store,
    filter: &Filter,
    mut out: impl Write,
    total: u64,
    progress: &mut progress::ProgressLine,
) -> anyhow::Result<()> {
    let mut pages = PagedCalls { beyond: None, done: 0 };
    let beyond = filter.since.map_or(Uuid::nil(), first_id_at);
    let mut tables = HashSet::new();
    let mut orphans = OrphanEvents { beyond, pending: Vec::new(), is_exhausted: false };
    while let Some(calls) = pages.next(store, filter).await? {
        for call in calls {
            while let Some(event) = orphans.next_before(store, filter, Some(call.id)).await? {
                writeln!(out, "{}", TransferLine::Event(event.into()).to_json())?;
            }
            if tables.insert(call.fingerprint.clone())
                && let Some(snapshot) = store.rule_snapshot(&call.fingerprint).await?
            {
                writeln!(out, "{}", TransferLine::Rules(snapshot.into()).to_json())?;
            }
            let events = store.events_of(&call).await?;
            writeln!(out, "{}", TransferLine::Call(call.into(), events).to_json())?;
        }
        progress.show(|| format!("{} of {total} calls", pages.done));
    }
    while let Some(event) = orphans.next_before(store, filter, None).await? {
        writeln!(out, "{}", TransferLine::Event(event.into()).to_json())?;
    }
    for change in store.rule_changes().await?.into_iter().rev() {
        if !filter.matches_change(&change) {
            continue;
        }
        for fingerprint in [&change.old_fingerprint, &change.new_fingerprint] {
            if tables.insert(fingerprint.clone())
                && let Some(snapshot) = store.rule_snapshot(fingerprint).await?
            {
                writeln!(out, "{}", TransferLine::Rules(snapshot.into()).to_json())?;
            }
        }
        writeln!(out, "{}", TransferLine::Change(change.into()).to_json())?;
    }
    Ok(out.flush()?)
}

/// Calls in pages.
struct PagedCalls {
    beyond: Option<Uuid>,
    done: usize,
}

impl PagedCalls {
    async fn next(
        &mut self,
        store: &Store,
        filter: &Filter,
    ) -> anyhow::Result<Option<Vec<CallRecord>>> {
        let page = PageCursor { limit: PAGE, order: Order::OldestFirst, beyond: self.beyond };
        let calls = store.calls(filter, page).await?;
        self.beyond = calls.last().map(|call| call.id).or(self.beyond);
        self.done += calls.len();
        Ok(Some(calls).filter(|calls| !calls.is_empty()))
    }
}

/// Events of unrecorded calls, merged among the calls by time.
struct OrphanEvents {
    beyond: Uuid,
    /// Events read but not returned yet, in reverse order.
    pending: Vec<EventRecord>,
    is_exhausted: bool,
}

impl OrphanEvents {
    /// Returns the next event that arrived before `call`, or the next one at all without a call.
    async fn next_before(
        &mut self,
        store: &Store,
        filter: &Filter,
        call: Option<Uuid>,
    ) -> anyhow::Result<Option<EventRecord>> {
        while self.pending.is_empty() && !self.is_exhausted {
            let (events, last) = store.lone_events(self.beyond, EVENT_PAGE).await?;
            self.is_exhausted = last.is_none();
            self.beyond = last.unwrap_or(self.beyond);
            self.pending
                .extend(events.into_iter().filter(|event| filter.matches_event(event)).rev());
        }
        let is_due = |event: &mut EventRecord| call.is_none_or(|call| event.id < call);
        Ok(self.pending.pop_if(is_due))
    }
}
