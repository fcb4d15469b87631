//! `switchboard records stats`: counts calls by rule, outcome and hour of the day.

use std::io::Write;

use clap::Args;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use console::{measure_text_width, truncate_str};
use jiff::tz::TimeZone;
use serde_json::json;

use super::filter::FilterFlags;
use super::row::{format_time, zone_name};
use super::{OpenStore, sanitize, terminal_width};
use crate::cli::{ConfigFile, Exit};
use crate::records::{Counts, Filter};

/// Count calls, by default those of the last 7 days, or of the 7 days before --until.
///
/// Exit status: 0 counted; 2 the records cannot be read or a filter is invalid.
#[derive(Debug, Args)]
pub(super) struct Stats {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    filter: FilterFlags,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Default of `--since`.
const SINCE: &str = "7d";
/// Width of the output if it is not a terminal.
const WIDTH: u16 = 100;
/// Maximum width of a name.
const NAME_WIDTH: usize = 32;

impl Stats {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let zone = self.filter.zone()?;
        let opened = OpenStore::open(&self.config).await?;
        let filter = self.filter.read(opened.now, &opened.numbers, Some(SINCE))?;
        let counts = opened.store.counts(&filter).await?;
        let hours = by_hour(&counts, &zone);
        let total: u64 = hours.iter().sum();
        let mut stdout = std::io::stdout().lock();
        if self.json {
            let pairs = |pairs: &[(Option<String>, u64)], name: &str| {
                let pairs = pairs.iter().map(|(what, calls)| json!({ name: what, "calls": calls }));
                pairs.collect::<Vec<_>>()
            };
            let outcomes = counts.by_outcome.iter().cloned();
            let outcomes: Vec<_> = outcomes.map(|(what, calls)| (Some(what), calls)).collect();
            let whole = json!({
                "since": filter.since, "until": filter.until, "zone": zone_name(&zone),
                "calls": total,
                "by_rule": pairs(&counts.by_rule, "rule"),
                "by_outcome": pairs(&outcomes, "outcome"),
                "by_hour": hours,
            });
            writeln!(stdout, "{whole:#}")?;
        } else {
            write_text(&mut stdout, &counts, &hours, &filter, &zone)?;
        }
        Ok(Exit::Success)
    }
}

/// Returns the number of calls for each hour of the day.
fn by_hour(counts: &Counts, zone: &TimeZone) -> [u64; 24] {
    let mut hours = [0; 24];
    for (start, calls) in &counts.by_quarter {
        let hour = start.to_zoned(zone.clone()).hour();
        hours[usize::from(hour.unsigned_abs())] += calls;
    }
    hours
}

fn write_text(
    mut out: impl Write,
    counts: &Counts,
    hours: &[u64; 24],
    filter: &Filter,
    zone: &TimeZone,
) -> std::io::Result<()> {
    let total: u64 = hours.iter().sum();
    let since =
        filter.since.map(|at| format!(" since {}", format_time(at, zone))).unwrap_or_default();
    let until =
        filter.until.map(|at| format!(" until {}", format_time(at, zone))).unwrap_or_default();
    let noun = if total == 1 { "call" } else { "calls" };
    writeln!(out, "{total} {noun}{since}{until} ({})", zone_name(zone))?;
    let rules = counts.by_rule.iter().map(|(rule, calls)| {
        let name = rule.as_deref().map_or("(no rule)".to_owned(), sanitize);
        (name, *calls)
    });
    let hours = hours.iter().enumerate();
    let hours = hours.map(|(hour, calls)| (format!("{hour:02}:00"), *calls));
    let sections = [
        ("by rule", rules.collect::<Vec<_>>()),
        ("by outcome", counts.by_outcome.clone()),
        ("by hour of the day", hours.collect()),
    ];
    for (title, rows) in sections.into_iter().filter(|_| total > 0) {
        write!(out, "\n{title}\n{}", bar_chart(&rows, total, terminal_width().unwrap_or(WIDTH)))?;
    }
    Ok(())
}

/// Formats rows with a name, a count, a percentage and a bar. The longest bar ends at `width`.
fn bar_chart(rows: &[(String, u64)], total: u64, width: u16) -> String {
    let names: Vec<_> = rows.iter().map(|(name, _)| truncate_str(name, NAME_WIDTH, "…")).collect();
    let name_width = names.iter().map(|name| measure_text_width(name)).max().unwrap_or_default();
    let most = rows.iter().map(|(_, calls)| *calls).max().unwrap_or_default().max(1);
    let count_width = most.to_string().len();
    let bar_width = usize::from(width).saturating_sub(name_width + count_width + 15).max(4) as u64;
    let mut table = Table::new();
    table.load_style(NOTHING);
    for ((_, calls), name) in rows.iter().zip(names) {
        let percent = *calls as f64 * 100.0 / total.max(1) as f64;
        // A row with any calls has a visible bar.
        let bar = "█".repeat((calls * bar_width).div_ceil(most) as usize);
        table.add_row([name.into_owned(), calls.to_string(), format!("{percent:>5.1} %"), bar]);
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if at == 0 { 2 } else { 0 }, 2));
        if at == 1 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fit_the_width_and_the_longest_fills_it() {
        let rows = [("a".repeat(50), 1_000), ("夜間".to_owned(), 500), ("none".to_owned(), 1)];
        for width in [60, 80, 200] {
            let chart = bar_chart(&rows, 1_501, width);
            let widths: Vec<usize> = chart.lines().map(measure_text_width).collect();
            let width = usize::from(width);
            assert!(widths[0] <= width && widths[0] + 2 >= width, "{width}: {widths:?}\n{chart}");
            assert!(widths[1] < widths[0] && chart.lines().all(|line| line.ends_with('█')));
        }
    }

    #[test]
    fn counts_hours_in_the_zone() {
        let quarter = "2026-11-21T23:30:00Z".parse().unwrap();
        let counts = Counts { by_quarter: vec![(quarter, 3)], ..Counts::default() };
        let hours = |name| by_hour(&counts, &TimeZone::get(name).unwrap());
        assert_eq!(hours("UTC")[23], 3);
        assert_eq!(hours("Europe/Berlin")[0], 3);
        assert_eq!(hours("Asia/Kathmandu")[5], 3);
    }
}
