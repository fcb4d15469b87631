//! `switchboard records export`: everything that is recorded, oldest first.

use std::io::{BufWriter, Write};

use clap::Args;
use serde_json::Value;
use uuid::Uuid;

use super::OpenStore;
use super::filter::FilterFlags;
use super::row::{COLUMNS, cells, named};
use crate::cli::{ConfigFile, Exit, progress};
use crate::records::{CallRecord, EventRecord, Filter, Order, Page, Store, first_id_at};

/// A JSON object a line: each call with its events in it, and events of which no call is recorded.
#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    filter: FilterFlags,
    /// Calls alone, for spreadsheets
    #[arg(long)]
    csv: bool,
}

/// So many calls are read at once.
const PAGE: usize = 200;
/// So many events of no call: each may be as big as a body may be.
const LONE_PAGE: usize = 20;

impl Export {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let opened = OpenStore::of(&self.config).await?;
        let filter = self.filter.read(opened.now, &opened.numbers, None)?;
        let whole = opened.store.count(&filter).await?;
        let mut progress = progress::ProgressLine::default();
        let mut stdout = BufWriter::new(std::io::stdout().lock());
        let done = match self.csv {
            true => csv(&opened.store, &filter, &mut stdout, whole, &mut progress).await,
            false => lines(&opened.store, &filter, &mut stdout, whole, &mut progress).await,
        };
        progress.clear();
        done?;
        stdout.flush()?;
        Ok(Exit::Success)
    }
}

async fn csv(
    store: &Store,
    filter: &Filter,
    out: impl Write,
    whole: u64,
    progress: &mut progress::ProgressLine,
) -> anyhow::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(COLUMNS)?;
    let mut pages = Pages { beyond: None, done: 0 };
    while let Some(calls) = pages.next(store, filter).await? {
        for call in &calls {
            csv.write_record(cells(call))?;
        }
        progress.say(|| format!("{} of {whole} calls", pages.done));
    }
    Ok(csv.flush()?)
}

async fn lines(
    store: &Store,
    filter: &Filter,
    mut out: impl Write,
    whole: u64,
    progress: &mut progress::ProgressLine,
) -> anyhow::Result<()> {
    let mut pages = Pages { beyond: None, done: 0 };
    let beyond = filter.since.map_or(Uuid::nil(), first_id_at);
    let mut lone = Lone { beyond, waiting: Vec::new(), at_the_end: false };
    while let Some(calls) = pages.next(store, filter).await? {
        for call in &calls {
            while let Some(event) = lone.before(store, filter, Some(call.id)).await? {
                writeln!(out, "{}", named("event", event.to_json()))?;
            }
            let events = store.events_of(call).await?;
            let events = events.iter().map(|event| Value::Object(event.to_json()));
            let mut object = call.to_json();
            object.insert("events".to_owned(), events.collect::<Vec<_>>().into());
            writeln!(out, "{}", named("call", object))?;
        }
        progress.say(|| format!("{} of {whole} calls", pages.done));
    }
    while let Some(event) = lone.before(store, filter, None).await? {
        writeln!(out, "{}", named("event", event.to_json()))?;
    }
    Ok(out.flush()?)
}

/// Calls, some at a time.
struct Pages {
    beyond: Option<Uuid>,
    done: usize,
}

impl Pages {
    async fn next(
        &mut self,
        store: &Store,
        filter: &Filter,
    ) -> anyhow::Result<Option<Vec<CallRecord>>> {
        let page = Page { limit: PAGE, order: Order::OldestFirst, beyond: self.beyond };
        let calls = store.calls(filter, page).await?;
        self.beyond = calls.last().map(|call| call.id).or(self.beyond);
        self.done += calls.len();
        Ok(Some(calls).filter(|calls| !calls.is_empty()))
    }
}

/// Events of no recorded call, in their places among the calls.
struct Lone {
    beyond: Uuid,
    /// The next one is the last of them.
    waiting: Vec<EventRecord>,
    at_the_end: bool,
}

impl Lone {
    /// The next one that came before this call; before the end of all when there is none.
    async fn before(
        &mut self,
        store: &Store,
        filter: &Filter,
        call: Option<Uuid>,
    ) -> anyhow::Result<Option<EventRecord>> {
        while self.waiting.is_empty() && !self.at_the_end {
            let (events, last) = store.lone_events(self.beyond, LONE_PAGE).await?;
            self.at_the_end = last.is_none();
            self.beyond = last.unwrap_or(self.beyond);
            self.waiting
                .extend(events.into_iter().filter(|event| filter.matches_event(event)).rev());
        }
        let is_due = |event: &mut EventRecord| call.is_none_or(|call| event.id < call);
        Ok(self.waiting.pop_if(is_due))
    }
}
