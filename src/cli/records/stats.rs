//! `switchboard records stats`: counts calls by what they have in common.

use std::collections::BTreeMap;
use std::io::Write;

use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, civil};
use serde_json::{Value, json};

use super::bars::bar_chart;
use super::filter::{FilterFlags, check_names, live_table};
use super::row::{format_time, zone_name};
use super::{OpenStore, sanitize};
use crate::cli::output::counted;
use crate::cli::{ConfigFile, Exit, output};
use crate::records::{CountedColumn, Counts, Filter};
use crate::rules::{Action, AgentRef, Rule, RuleSet};

/// Count calls, by default those of the last 7 days, or of the 7 days before --until. Rules, arms of
/// splits, agents and sources without a call are listed with 0.
///
/// Exit status: 0 counted; 2 the records cannot be read or a filter is invalid.
#[derive(Debug, Args)]
pub(super) struct Stats {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    filter: FilterFlags,
    /// What to count by; several are separated by commas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "rule,outcome,hour")]
    by: Vec<By>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What calls are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// Rule that decided; a split rule with its arms
    Rule,
    /// Selected agent
    Agent,
    /// Called number
    To,
    /// Source
    Source,
    /// Outcome
    Outcome,
    /// Hour of the day
    Hour,
    /// Day
    Day,
}

/// Default of `--since`, before `--until`.
const AGE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Width of the output if it is not a terminal.
const WIDTH: u16 = 100;
/// Maximum number of rows per section in the text; JSON contains all.
const MAX_ROWS: usize = 60;

/// Calls, broken down by one thing.
struct Breakdown {
    by: By,
    rows: Vec<BreakdownRow>,
}

/// Number of calls with one value.
struct BreakdownRow {
    /// None where calls have no value.
    name: Option<String>,
    calls: u64,
    arms: Vec<ArmCalls>,
}

/// Number of calls that a split gave to an agent.
struct ArmCalls {
    /// Position of the arm, from 1. None for an agent that a template or the split of a row named.
    arm: Option<usize>,
    agent: String,
    calls: u64,
}

impl BreakdownRow {
    fn new(name: Option<String>, calls: u64) -> BreakdownRow {
        BreakdownRow { name, calls, arms: Vec::new() }
    }
}

impl Stats {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let opened = self.filter.open(&self.config).await?;
        let table = live_table(&opened, &self.config);
        let zone_of_rules = table.as_ref().map_or(TimeZone::UTC, |table| table.zone.clone());
        let zone = self.filter.zone_or(zone_of_rules)?;
        let mut filter = self.filter.parse(&opened, &zone, Some(AGE))?;
        check_names(&opened, &mut filter, table.as_ref()).await?;
        let counts = opened.store.counts(&filter).await?;
        let total: u64 = counts.by_quarter.iter().map(|(_, calls)| calls).sum();
        let mut breakdowns = Vec::new();
        for by in &self.by {
            let rows = rows(*by, &opened, &filter, &counts, table.as_ref(), &zone).await?;
            breakdowns.push(Breakdown { by: *by, rows });
        }
        let mut stdout = std::io::stdout().lock();
        match self.json {
            true => {
                writeln!(stdout, "{:#}", to_json(&breakdowns, total, &filter, &zone))?;
            }
            false => write_text(&mut stdout, &breakdowns, total, &filter, &zone)?,
        }
        Ok(Exit::Success)
    }
}

async fn rows(
    by: By,
    opened: &OpenStore,
    filter: &Filter,
    counts: &Counts,
    table: Option<&RuleSet>,
    zone: &TimeZone,
) -> anyhow::Result<Vec<BreakdownRow>> {
    let sums = async |column| {
        let sums = opened.store.counts_by(filter, [column, column]).await?;
        let mut rows: Vec<BreakdownRow> =
            sums.into_iter().map(|([name, _], calls)| BreakdownRow::new(name, calls)).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.calls));
        anyhow::Ok(rows)
    };
    Ok(match by {
        By::Rule => {
            let by_rule = counts.by_rule.iter().cloned();
            let rows = by_rule.map(|(rule, calls)| BreakdownRow::new(rule, calls)).collect();
            let Some(table) = table else { return Ok(rows) };
            // Reads the records of the rules with a split; the other counts read an index alone.
            let splits = table.rules.iter().filter(|rule| rule.action.is_split());
            let splits: Vec<_> = splits.map(|rule| &*rule.name).collect();
            let by_agent = match splits.is_empty() {
                true => BTreeMap::new(),
                false => opened.store.counts_by_agent(filter, &splits).await?,
            };
            with_rules_of(table, rows, filter, &by_agent)
        }
        By::Agent => {
            let agents = table.iter().flat_map(|table| &table.agents).map(|agent| &*agent.name);
            with_others(sums(CountedColumn::Agent).await?, agents, filter.agent.as_deref())
        }
        By::Source => {
            let sources = opened.settings.sources.iter().map(|source| &*source.name);
            with_others(sums(CountedColumn::Source).await?, sources, filter.source.as_deref())
        }
        By::To => sums(CountedColumn::To).await?,
        By::Outcome => {
            let by_outcome = counts.by_outcome.iter().cloned();
            by_outcome.map(|(outcome, calls)| BreakdownRow::new(Some(outcome), calls)).collect()
        }
        By::Hour => {
            let hours = by_hour(counts, zone).into_iter().enumerate();
            hours
                .map(|(hour, calls)| BreakdownRow::new(Some(format!("{hour:02}:00")), calls))
                .collect()
        }
        By::Day => by_day(counts, zone)
            .into_iter()
            .map(|(day, calls)| BreakdownRow::new(Some(day.to_string()), calls))
            .collect(),
    })
}

/// Appends names without a call; only the wanted one if the filter names one.
fn with_others<'n>(
    mut rows: Vec<BreakdownRow>,
    names: impl Iterator<Item = &'n str>,
    wanted: Option<&str>,
) -> Vec<BreakdownRow> {
    for name in names.filter(|name| wanted.is_none_or(|wanted| wanted == *name)) {
        if !rows.iter().any(|row| row.name.as_deref() == Some(name)) {
            rows.push(BreakdownRow::new(Some(name.to_owned()), 0));
        }
    }
    rows
}

/// Appends the rules of the table that decided no call, and the arms of its splits.
fn with_rules_of(
    table: &RuleSet,
    mut rows: Vec<BreakdownRow>,
    filter: &Filter,
    by_agent: &BTreeMap<[Option<String>; 2], u64>,
) -> Vec<BreakdownRow> {
    let positions: BTreeMap<String, usize> =
        rows.iter().enumerate().filter_map(|(at, row)| Some((row.name.clone()?, at))).collect();
    let deciding = table.rules.iter().filter(|rule| rule.action != Action::Continue);
    for rule in deciding {
        let is_wanted = filter.rule.as_deref().is_none_or(|wanted| *wanted == *rule.name);
        let position = positions.get(&*rule.name).copied();
        let row = match position {
            Some(position) => &mut rows[position],
            None if is_wanted => rows.push_mut(BreakdownRow::new(Some(rule.name.to_string()), 0)),
            None => continue,
        };
        row.arms = arms(table, rule, by_agent);
    }
    rows
}

/// Returns the calls of each arm of the rule's split, in order, then those of agents that a template or the
/// split of a row named.
fn arms(
    table: &RuleSet,
    rule: &Rule,
    by_agent: &BTreeMap<[Option<String>; 2], u64>,
) -> Vec<ArmCalls> {
    let of_split = match &rule.action {
        Action::Split(split) => &*split.arms,
        Action::SplitOfRow(_) => &[],
        Action::Agent(_)
        | Action::Transfer(_)
        | Action::Reject(_)
        | Action::Keep
        | Action::Continue => return Vec::new(),
    };
    let of_rule = by_agent.iter().filter(|([by, _], _)| by.as_deref() == Some(&*rule.name));
    let mut of_rule: BTreeMap<&str, u64> =
        of_rule.filter_map(|([_, agent], calls)| Some((agent.as_deref()?, *calls))).collect();
    let mut arms = Vec::new();
    for (at, arm) in of_split.iter().enumerate() {
        if let AgentRef::Agent(agent) = &arm.agent {
            let agent = table.agents[*agent as usize].name.to_string();
            let calls = of_rule.remove(&*agent).unwrap_or_default();
            arms.push(ArmCalls { arm: Some(at + 1), agent, calls });
        }
    }
    // If the table has an agent for each arm, an earlier table named the others.
    let has_all = !of_split.is_empty() && arms.len() == of_split.len();
    let named = of_rule.into_iter().filter(|_| !has_all);
    arms.extend(named.map(|(agent, calls)| ArmCalls { arm: None, agent: agent.into(), calls }));
    arms
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

/// Returns the number of calls for each day from the first to the last one with a call.
fn by_day(counts: &Counts, zone: &TimeZone) -> Vec<(civil::Date, u64)> {
    let mut days: BTreeMap<civil::Date, u64> = BTreeMap::new();
    for (start, calls) in &counts.by_quarter {
        *days.entry(start.to_zoned(zone.clone()).date()).or_default() += calls;
    }
    let (Some((first, _)), Some((last, _))) = (days.first_key_value(), days.last_key_value())
    else {
        return Vec::new();
    };
    let (first, last) = (*first, *last);
    let all = std::iter::successors(Some(first), |day| day.tomorrow().ok());
    let all = all.take_while(|day| *day <= last);
    all.map(|day| (day, days.get(&day).copied().unwrap_or_default())).collect()
}

impl By {
    fn as_str(self) -> &'static str {
        match self {
            By::Rule => "rule",
            By::Agent => "agent",
            By::To => "to",
            By::Source => "source",
            By::Outcome => "outcome",
            By::Hour => "hour",
            By::Day => "day",
        }
    }

    fn title(self) -> &'static str {
        match self {
            By::Rule => "by rule",
            By::Agent => "by agent",
            By::To => "by called number",
            By::Source => "by source",
            By::Outcome => "by outcome",
            By::Hour => "by hour of the day",
            By::Day => "by day",
        }
    }
}

fn to_json(breakdowns: &[Breakdown], total: u64, filter: &Filter, zone: &TimeZone) -> Value {
    let mut whole = json!({
        "since": filter.since, "until": filter.until, "zone": zone_name(zone), "calls": total,
    });
    for Breakdown { by, rows } in breakdowns {
        let row = |row: &BreakdownRow| {
            let mut object = json!({ by.as_str(): row.name, "calls": row.calls });
            if !row.arms.is_empty() {
                let arms = row.arms.iter().map(|ArmCalls { arm, agent, calls }| {
                    json!({ "arm": arm, "agent": agent, "calls": calls })
                });
                object["arms"] = arms.collect();
            }
            object
        };
        whole[format!("by_{}", by.as_str())] = match by {
            By::Hour => rows.iter().map(|row| json!(row.calls)).collect(),
            By::Rule | By::Agent | By::To | By::Source | By::Outcome | By::Day => {
                rows.iter().map(row).collect()
            }
        };
    }
    whole
}

fn write_text(
    mut out: impl Write,
    breakdowns: &[Breakdown],
    total: u64,
    filter: &Filter,
    zone: &TimeZone,
) -> std::io::Result<()> {
    let since =
        filter.since.map(|at| format!(" since {}", format_time(at, zone))).unwrap_or_default();
    let until =
        filter.until.map(|at| format!(" until {}", format_time(at, zone))).unwrap_or_default();
    writeln!(out, "{}{since}{until} ({})", counted(total, "call"), zone_name(zone))?;
    for Breakdown { by, rows } in breakdowns.iter().filter(|breakdown| !breakdown.rows.is_empty()) {
        if total == 0 && matches!(by, By::Hour | By::Day) {
            continue;
        }
        let none = format!("(no {})", by.as_str());
        let name = |row: &BreakdownRow| row.name.as_deref().map_or(none.clone(), sanitize);
        let shown: Vec<(String, u64)> = rows
            .iter()
            .take(MAX_ROWS)
            .flat_map(|row| {
                let arms = row.arms.iter().map(|ArmCalls { arm, agent, calls }| {
                    let arm = arm.map(|arm| format!(" {arm}")).unwrap_or_default();
                    (format!("  arm{arm}: {}", sanitize(agent)), *calls)
                });
                std::iter::once((name(row), row.calls)).chain(arms)
            })
            .collect();
        let width = output::table_width().unwrap_or(WIDTH);
        write!(out, "\n{}\n{}", by.title(), bar_chart(&shown, total, width))?;
        if let Some(others @ [_, ..]) = rows.get(MAX_ROWS..) {
            let calls: u64 = others.iter().map(|row| row.calls).sum();
            writeln!(out, "  and {} more with {}", others.len(), counted(calls, "call"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_hours_in_the_zone() {
        let quarter = "2026-11-21T23:30:00Z".parse().unwrap();
        let counts = Counts { by_quarter: vec![(quarter, 3)], ..Counts::default() };
        let hours = |name| by_hour(&counts, &TimeZone::get(name).unwrap());
        assert_eq!(hours("UTC")[23], 3);
        assert_eq!(hours("Europe/Berlin")[0], 3);
        assert_eq!(hours("Asia/Kathmandu")[5], 3);
    }

    #[test]
    fn counts_days_in_the_zone_and_those_without_a_call_between() {
        let quarters = [("2026-11-21T23:30:00Z", 3), ("2026-11-24T00:00:00Z", 1)];
        let by_quarter = quarters.map(|(start, calls)| (start.parse().unwrap(), calls)).to_vec();
        let counts = Counts { by_quarter, ..Counts::default() };
        let days = |name| {
            let days = by_day(&counts, &TimeZone::get(name).unwrap());
            days.into_iter().map(|(day, calls)| format!("{day} {calls}")).collect::<Vec<_>>()
        };
        assert_eq!(days("UTC"), ["2026-11-21 3", "2026-11-22 0", "2026-11-23 0", "2026-11-24 1"]);
        assert_eq!(days("Europe/Berlin"), ["2026-11-22 3", "2026-11-23 0", "2026-11-24 1"]);
    }
}
