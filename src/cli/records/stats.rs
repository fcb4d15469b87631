//! `switchboard records stats`: how many calls, by rule, by outcome, by hour of the day.

use std::io::Write;

use clap::Args;
use jiff::tz::TimeZone;
use serde_json::json;

use super::filter::FilterFlags;
use super::row::{time, zone_name};
use super::table::cut;
use super::{OpenStore, plain, width};
use crate::cli::{ConfigFile, Exit};
use crate::records::{Counts, Filter};

/// Of the last 7 days, unless --since says otherwise.
#[derive(Debug, Args)]
pub(super) struct Stats {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    filter: FilterFlags,
    /// For programs
    #[arg(long)]
    json: bool,
}

const SINCE: &str = "7d";
/// How wide it is where no terminal says.
const WIDTH: usize = 100;
/// The longest name that is shown whole.
const NAME: usize = 32;

impl Stats {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let zone = self.filter.zone()?;
        let opened = OpenStore::of(&self.config).await?;
        let filter = self.filter.read(opened.now, &opened.numbers, Some(SINCE))?;
        let counts = opened.store.counts(&filter).await?;
        let hours = by_hour(&counts, &zone);
        let all: u64 = hours.iter().sum();
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
                "calls": all,
                "by_rule": pairs(&counts.by_rule, "rule"),
                "by_outcome": pairs(&outcomes, "outcome"),
                "by_hour": hours,
            });
            writeln!(stdout, "{whole:#}")?;
        } else {
            people(&mut stdout, &counts, &hours, &filter, &zone)?;
        }
        Ok(Exit::Success)
    }
}

/// The calls of each hour of the day.
fn by_hour(counts: &Counts, zone: &TimeZone) -> [u64; 24] {
    let mut hours = [0; 24];
    for (begins, calls) in &counts.by_quarter {
        let hour = begins.to_zoned(zone.clone()).hour();
        hours[usize::from(hour.unsigned_abs())] += calls;
    }
    hours
}

fn people(
    mut out: impl Write,
    counts: &Counts,
    hours: &[u64; 24],
    filter: &Filter,
    zone: &TimeZone,
) -> std::io::Result<()> {
    let all: u64 = hours.iter().sum();
    let since = filter.since.map(|at| format!(" since {}", time(at, zone))).unwrap_or_default();
    let until = filter.until.map(|at| format!(" until {}", time(at, zone))).unwrap_or_default();
    let noun = if all == 1 { "call" } else { "calls" };
    writeln!(out, "{all} {noun}{since}{until} ({})", zone_name(zone))?;
    let rules = counts.by_rule.iter().map(|(rule, calls)| {
        let name = rule.as_deref().map_or("(no rule)".to_owned(), plain);
        (name, *calls)
    });
    let hours = hours.iter().enumerate();
    let hours = hours.map(|(hour, calls)| (format!("{hour:02}:00"), *calls));
    let parts = [
        ("by rule", rules.collect::<Vec<_>>()),
        ("by outcome", counts.by_outcome.clone()),
        ("by hour of the day", hours.collect()),
    ];
    for (title, rows) in parts.into_iter().filter(|_| all > 0) {
        write!(out, "\n{title}\n{}", bars(&rows, all, width().unwrap_or(WIDTH)))?;
    }
    Ok(())
}

/// A name, a count, a percentage and a bar each; the longest bar ends where the line may end.
fn bars(rows: &[(String, u64)], all: u64, width: usize) -> String {
    let length = |name: &String| name.chars().count().min(NAME);
    let name_width = rows.iter().map(|(name, _)| length(name)).max().unwrap_or_default();
    let most = rows.iter().map(|(_, calls)| *calls).max().unwrap_or_default().max(1);
    let count_width = most.to_string().len();
    let room = width.saturating_sub(name_width + count_width + 15).max(4) as u64;
    let rows = rows.iter().map(|(name, calls)| {
        let percent = *calls as f64 * 100.0 / all.max(1) as f64;
        // Whoever counted at all is seen.
        let bar = "█".repeat((calls * room).div_ceil(most) as usize);
        let name = cut(name, NAME);
        let line = format!("  {name:name_width$}  {calls:>count_width$}  {percent:>5.1} %  {bar}");
        line.trim_end().to_owned() + "\n"
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fit_the_line_and_the_longest_fills_it() {
        let rows = [("a".repeat(50), 1_000), ("vip".to_owned(), 500), ("none".to_owned(), 1)];
        for width in [60, 80, 200] {
            let shown = bars(&rows, 1_501, width);
            let widths: Vec<usize> = shown.lines().map(|line| line.chars().count()).collect();
            assert!(widths[0] <= width && widths[0] + 2 >= width, "{width}: {widths:?}\n{shown}");
            assert!(widths[1] < widths[0] && shown.lines().all(|line| line.ends_with('█')));
        }
    }

    #[test]
    fn an_hour_is_one_of_the_zones() {
        let quarter = "2026-11-21T23:30:00Z".parse().unwrap();
        let counts = Counts { by_quarter: vec![(quarter, 3)], ..Counts::default() };
        let hours = |name| by_hour(&counts, &TimeZone::get(name).unwrap());
        assert_eq!(hours("UTC")[23], 3);
        assert_eq!(hours("Europe/Berlin")[0], 3);
        assert_eq!(hours("Asia/Kathmandu")[5], 3);
    }
}
