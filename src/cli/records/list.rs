//! `switchboard records list`: calls, newest first.

use std::collections::HashMap;
use std::io::Write;
use std::num::NonZeroUsize;

use clap::Args;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use uuid::Uuid;

use super::filter::FilterFlags;
use super::row::{COLUMNS, cells, outcome, time, zone_name};
use super::table::table;
use super::{OpenStore, plain, width};
use crate::cli::{ConfigFile, Exit};
use crate::records::{CallRecord, Order, Page};

/// Newest first; as wide as the terminal, whole where nobody looks.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    filter: FilterFlags,
    /// So many at most
    #[arg(long, default_value = "50")]
    limit: NonZeroUsize,
    /// For programs: an object a line
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// For spreadsheets: all columns
    #[arg(long)]
    csv: bool,
}

/// So much of an id tells it from others, on a terminal.
const SHOWN_OF_ID: usize = 18;
/// What a narrow terminal does without, the least first.
const LEAST: [&str; 8] =
    ["last event", "tries", "source", "to", "agent", "from", "rule", "outcome"];

impl ListArgs {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let zone = self.filter.zone()?;
        let opened = OpenStore::of(&self.config).await?;
        let filter = self.filter.read(opened.now, &opened.numbers, None)?;
        let limit = self.limit.get();
        // One more tells whether there are more.
        let page = Page { limit: limit.saturating_add(1), order: Order::NewestFirst, beyond: None };
        let mut calls = opened.store.calls(&filter, page).await?;
        let is_all = calls.len() <= limit;
        calls.truncate(limit);
        let last = opened.store.last_events(&calls).await?;
        let stdout = std::io::stdout().lock();
        match (self.json, self.csv) {
            (true, _) => json(stdout, &calls, &last)?,
            (false, true) => csv(stdout, &calls, &last)?,
            (false, false) => people(stdout, &calls, &last, &zone, is_all)?,
        }
        Ok(Exit::Success)
    }
}

fn json(
    mut out: impl Write,
    calls: &[CallRecord],
    last: &HashMap<Uuid, String>,
) -> anyhow::Result<()> {
    for call in calls {
        let mut object = call.to_json();
        object.insert("last_event".to_owned(), json!(last.get(&call.id)));
        writeln!(out, "{}", Value::Object(object))?;
    }
    Ok(())
}

fn csv(out: impl Write, calls: &[CallRecord], last: &HashMap<Uuid, String>) -> anyhow::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(COLUMNS.iter().chain(["last_event"].iter()))?;
    for call in calls {
        let last = last.get(&call.id).cloned().unwrap_or_default();
        csv.write_record(cells(call).into_iter().chain([last]))?;
    }
    Ok(csv.flush()?)
}

fn people(
    mut out: impl Write,
    calls: &[CallRecord],
    last: &HashMap<Uuid, String>,
    zone: &TimeZone,
    is_all: bool,
) -> anyhow::Result<()> {
    if calls.is_empty() {
        writeln!(out, "no such call is recorded")?;
        return Ok(());
    }
    let width = width();
    let time_title = format!("time ({})", zone_name(zone));
    let heading = [
        &*time_title,
        "source",
        "from",
        "to",
        "outcome",
        "rule",
        "agent",
        "tries",
        "last event",
        "id",
    ];
    let may_be_cut = [false, true, true, true, true, true, true, false, true, false];
    let rows: Vec<Vec<String>> = calls
        .iter()
        .map(|call| {
            let id = call.id.to_string();
            let of_id = width.map_or(id.len(), |_| SHOWN_OF_ID);
            let word = if call.agent.is_some() { call.outcome.clone() } else { outcome(call) };
            let or_nothing =
                |text: Option<&String>| text.map_or("-".to_owned(), |text| plain(text));
            vec![
                time(call.at, zone),
                plain(&call.source),
                plain(&call.from),
                plain(&call.to),
                word,
                or_nothing(call.rule.as_ref()),
                or_nothing(call.agent.as_ref()),
                call.attempts.to_string(),
                or_nothing(last.get(&call.id)),
                id[..of_id].to_owned(),
            ]
        })
        .collect();
    write!(out, "{}", table(&heading, &may_be_cut, &LEAST, &rows, width))?;
    if !is_all {
        writeln!(out, "\n--limit: the newest {} calls; there are more", calls.len())?;
    }
    Ok(())
}
