//! `switchboard records list`: lists recorded calls, newest first.

use std::collections::HashMap;
use std::io::Write;
use std::num::NonZeroUsize;

use clap::Args;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::filter::FilterFlags;
use super::row::{COLUMNS, cell, cells, format_outcome, format_time, zone_name};
use super::table::{Fit, TableColumn};
use super::{sanitize, table};
use crate::cli::{ConfigFile, Exit, output, parse_count};
use crate::records::{CallRecord, Order, PageCursor};

/// List calls, newest first. On a terminal, the table fits its width; elsewhere nothing is truncated.
///
/// Exit status: 0 listed; 2 the records cannot be read or a filter is invalid.
#[derive(Debug, Args)]
pub(super) struct ListCalls {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    filter: FilterFlags,
    /// Maximum number of calls
    #[arg(long, default_value = "50", value_parser = parse_count)]
    limit: NonZeroUsize,
    /// Print JSON, one object per line
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV with all columns
    #[arg(long)]
    csv: bool,
}

impl ListCalls {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let zone = self.filter.zone()?;
        let opened = self.filter.open(&self.config).await?;
        let filter = self.filter.read(&opened, &self.config, None).await?;
        let limit = self.limit.get();
        // One more call than shown reveals whether there are more.
        let page =
            PageCursor { limit: limit.saturating_add(1), order: Order::NewestFirst, beyond: None };
        let mut calls = opened.store.calls(&filter, page).await?;
        let is_all = calls.len() <= limit;
        calls.truncate(limit);
        let last_events = opened.store.last_events(&calls).await?;
        let stdout = std::io::stdout().lock();
        match (self.json, self.csv) {
            (true, _) => write_json(stdout, &calls, &last_events)?,
            (false, true) => write_csv(stdout, &calls, &last_events)?,
            (false, false) => write_table(stdout, &calls, &last_events, &zone, is_all)?,
        }
        Ok(Exit::Success)
    }
}

fn write_json(
    mut out: impl Write,
    calls: &[CallRecord],
    last_events: &HashMap<Uuid, String>,
) -> anyhow::Result<()> {
    for call in calls {
        writeln!(out, "{}", call.to_list_item(last_events.get(&call.id)))?;
    }
    Ok(())
}

fn write_csv(
    out: impl Write,
    calls: &[CallRecord],
    last_events: &HashMap<Uuid, String>,
) -> anyhow::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(COLUMNS.iter().chain(["last_event"].iter()))?;
    for call in calls {
        let last_event = last_events.get(&call.id).map(|kind| cell(kind)).unwrap_or_default();
        csv.write_record(cells(call).into_iter().chain([last_event]))?;
    }
    Ok(csv.flush()?)
}

fn write_table(
    mut out: impl Write,
    calls: &[CallRecord],
    last_events: &HashMap<Uuid, String>,
    zone: &TimeZone,
    is_all: bool,
) -> anyhow::Result<()> {
    if calls.is_empty() {
        writeln!(out, "no matching calls are recorded")?;
        return Ok(());
    }
    let width = output::table_width();
    let time_title = format!("time ({})", zone_name(zone));
    let columns = columns(&time_title);
    let rows: Vec<Vec<String>> = calls
        .iter()
        .map(|call| {
            let outcome =
                if call.agent.is_some() { call.outcome.clone() } else { format_outcome(call) };
            let or_dash =
                |text: Option<&String>| text.map_or("-".to_owned(), |text| sanitize(text));
            vec![
                format_time(call.at, zone),
                sanitize(&call.source),
                sanitize(&call.from),
                sanitize(&call.to),
                outcome,
                or_dash(call.rule.as_ref()),
                or_dash(call.agent.as_ref()),
                call.attempts.to_string(),
                or_dash(last_events.get(&call.id)),
                call.id.to_string(),
            ]
        })
        .collect();
    write!(out, "{}", table::format(&columns, &rows, width))?;
    if !is_all {
        writeln!(out, "\nshowing the newest {} calls; raise --limit to see more", calls.len())?;
    }
    Ok(())
}

/// Returns the columns. Times, numbers and ids are whole or absent; a narrow terminal leaves out the
/// columns in the order of their ranks.
fn columns(time_title: &str) -> [TableColumn<'_>; 10] {
    [
        TableColumn { title: time_title, fit: Fit::Whole },
        TableColumn { title: "source", fit: Fit::Truncated(2) },
        TableColumn { title: "from", fit: Fit::Optional(7) },
        TableColumn { title: "to", fit: Fit::Optional(6) },
        TableColumn { title: "outcome", fit: Fit::Truncated(4) },
        TableColumn { title: "rule", fit: Fit::Truncated(5) },
        TableColumn { title: "agent", fit: Fit::Truncated(3) },
        TableColumn { title: "tries", fit: Fit::Optional(1) },
        TableColumn { title: "last event", fit: Fit::Truncated(0) },
        TableColumn { title: "id", fit: Fit::Whole },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ids_are_whole_at_each_width_and_shown_from_100_columns_on() {
        const ID: &str = "01a218a5-4ac9-7744-9520-279707a97ff6";
        const LONG: &str = "callers from the campaign of the autumn";
        let row = |from: &str, to: &str| {
            let cells = [
                "2026-11-26 17:16:55",
                "retell",
                from,
                to,
                "agent",
                LONG,
                LONG,
                "1",
                "call_ended",
                ID,
            ];
            cells.map(str::to_owned).to_vec()
        };
        let rows = [row("+4930901820", "+12137771235"), row("+493***1820", "withheld")];
        for width in [40, 60, 80, 99, 100, 120, 160, 240] {
            let table = table::format(&columns("time (Europe/Berlin)"), &rows, Some(width));
            let header: Vec<&str> = table.lines().next().unwrap().split("  ").collect();
            let shows = |title: &str| header.iter().any(|shown| shown.trim() == title);
            assert!(table.matches(ID).count() == 2, "{width}\n{table}");
            for (title, number) in [("from", "+493***1820"), ("to", "+12137771235")] {
                assert_eq!(shows(title), table.contains(number), "{width}\n{table}");
                assert!(width < 100 || shows(title), "{width}\n{table}");
            }
            let order = ["last event", "tries", "source", "agent", "outcome", "rule", "to", "from"];
            let absent = order.iter().take_while(|title| !shows(title)).count();
            assert!(order[absent..].iter().all(|title| shows(title)), "{width}: {header:?}");
        }
    }
}
