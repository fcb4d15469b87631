//! `switchboard records show`: shows one recorded call, its events and its explanation.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::row::{format_outcome, format_seconds, summarize_event, zone_name};
use super::{OpenStore, sanitize, zone};
use crate::cli::{ConfigFile, Exit, load_rules};
use crate::explain::recorded::{
    RecordedExplanation, RecordedTable, TableChoice, explain_recorded, recorded_table,
};
use crate::records::{AskedLookup, CallRecord, EventRecord, LookupResult, SHORTEST_PREFIX};
use crate::rules::RuleSet;
use crate::settings::{LoadedSettings, Purpose};
use crate::source::Source;

/// Show one recorded call. Phone numbers appear as they are stored.
///
/// Exit status: 0 shown; 1 there is no such record, or the id is ambiguous; 2 the records cannot be read.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Id of the record, its first 8 characters or more, or the platform's id of the call
    id: String,
    #[command(flatten)]
    config: ConfigFile,
    /// Rule file or directory to explain the call with; `-` reads standard input [default: the rules at
    /// the time of the call]
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Time zone of the output
    #[arg(long, default_value = "UTC")]
    zone: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The table that explains a call.
enum LoadedTable {
    /// From `--rules`.
    Given(RuleSet),
    /// From the time of the call.
    Recorded(RecordedTable),
    /// From the settings.
    Current(RuleSet),
}

impl Show {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let zone = zone(&self.zone)?;
        let opened = OpenStore::open(&self.config).await?;
        let call = match opened.store.lookup(&self.id).await? {
            LookupResult::One(call) => call,
            LookupResult::None => {
                writeln!(
                    std::io::stderr(),
                    "no recorded call has the id `{}`, an id that starts with it (at least \
                     {SHORTEST_PREFIX} characters), or this id at its platform",
                    sanitize(&self.id)
                )?;
                return Ok(Exit::Failure);
            }
            LookupResult::Several(ids) => {
                let mut stderr = std::io::stderr();
                writeln!(stderr, "`{}` is ambiguous; it matches", sanitize(&self.id))?;
                for id in ids {
                    writeln!(stderr, "  {id}")?;
                }
                return Ok(Exit::Failure);
            }
        };
        let events = opened.store.events_of(&call).await?;
        let table = self.table(&opened, &call).await?;
        let choice = match &table {
            Some(LoadedTable::Given(table)) => TableChoice::Given(table),
            Some(LoadedTable::Recorded(table)) => table.choice(),
            Some(LoadedTable::Current(table)) => TableChoice::Recorded(table),
            None => TableChoice::None,
        };
        let sources: Vec<&Source> = opened.settings.sources.iter().collect();
        let explanation = explain_recorded(&call, choice, &sources);
        let mut stdout = std::io::stdout().lock();
        if self.json {
            let events = events.iter().map(|event| Value::Object(event.to_json()));
            let whole = json!({
                "call": call.to_json(),
                "events": events.collect::<Vec<_>>(),
                "explanation": explanation.to_json(),
            });
            writeln!(stdout, "{whole:#}")?;
        } else {
            write_decision(&mut stdout, &call, &zone)?;
            write_timeline(&mut stdout, &call, &events)?;
            write_explanation(&mut stdout, &explanation)?;
        }
        Ok(Exit::Success)
    }

    /// Loads the table of `--rules`, else the table at the time of the call, else the current one.
    /// Returns `None` if the current one has errors.
    async fn table(
        &self,
        opened: &OpenStore,
        call: &CallRecord,
    ) -> anyhow::Result<Option<LoadedTable>> {
        let context = opened.settings.check_context();
        if let Some(path) = &self.rules {
            let loaded = load_rules(path, context, false)?;
            let Some(table) = loaded.table else {
                anyhow::bail!("{} has errors\n\n{}", path.display(), loaded.report.without_notes());
            };
            return Ok(Some(LoadedTable::Given(table)));
        }
        let snapshot = opened.store.rule_snapshot(&call.fingerprint).await?;
        if let Some(table) = recorded_table(snapshot.as_ref()) {
            return Ok(Some(LoadedTable::Recorded(table)));
        }
        let LoadedSettings { rules, .. } = self.config.load(Purpose::Inspect)?;
        let loaded = rules.and_then(|path| load_rules(&path, context, false).ok());
        Ok(loaded.and_then(|loaded| loaded.table).map(LoadedTable::Current))
    }
}

fn write_decision(mut out: impl Write, call: &CallRecord, zone: &TimeZone) -> std::io::Result<()> {
    let details = &call.details;
    let at = call.at.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M:%S%.3f").to_string();
    let with_version = |agent: &str, version: &Option<Value>| match version {
        Some(version) => format!("{agent}, version {}", format_value(version)),
        None => agent.to_owned(),
    };
    let agent_in = details.agent_in.as_deref();
    let agent_id = details.agent_id.as_deref();
    let object = |object: &Value| object.to_string();
    let metadata = serde_json::to_value(&details.metadata).unwrap_or_default();
    let settings = serde_json::to_value(&details.agent_override).unwrap_or_default();
    let texts = |texts: &crate::records::Texts<'_>| {
        let texts = texts.0.iter().map(|(name, value)| format!("{name} = {value}"));
        Some(texts.collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
    };
    let lines = [
        ("at", Some(format!("{at} {}", zone_name(zone)))),
        ("source", Some(format!("{} ({}), {}", call.source, call.platform, call.channel))),
        ("call id", call.call_id.clone()),
        ("from", Some(call.from.clone())),
        ("to", Some(call.to.clone())),
        ("platform agent", agent_in.map(|agent| with_version(agent, &details.agent_version_in))),
        ("number id", details.number_id.as_deref().map(str::to_owned)),
        ("attributes", texts(&details.attributes)),
        ("sip", texts(&details.sip)),
        ("outcome", Some(format_outcome(call))),
        ("agent id", agent_id.map(|id| with_version(id, &details.agent_version))),
        ("rule", Some(call.rule.clone().unwrap_or_else(|| "none".to_owned()))),
        ("split arm", details.arm.map(|arm| (arm + 1).to_string())),
        ("continued by", Some(details.added_by.join(", ")).filter(|by| !by.is_empty())),
        ("look-ups", lookups(&details.lookups)),
        ("says", details.say.as_deref().map(str::to_owned)),
        ("variables", texts(&details.variables)),
        ("metadata", Some(&metadata).filter(|value| !value.is_null()).map(object)),
        ("override", Some(&settings).filter(|value| !value.is_null()).map(object)),
        ("sip headers", texts(&details.sip_headers)),
        ("delay", Some(details.delay_ms).filter(|ms| *ms > 0).map(|ms| format_seconds(ms as i64))),
        ("deliveries", Some(call.attempts.to_string())),
        ("numbers", Some(format!("stored {}", details.numbers))),
        ("rule table", Some(call.fingerprint.clone())),
    ];
    writeln!(out, "call {}", call.id)?;
    for (name, value) in lines {
        if let Some(value) = value {
            writeln!(out, "  {name:<14} {}", sanitize(&value))?;
        }
    }
    Ok(())
}

/// Returns how the look-ups ended, in the order in which they were asked.
fn lookups(asked: &[AskedLookup<'_>]) -> Option<String> {
    let ended =
        asked.iter().map(|AskedLookup { name, state, took_us, cached, problem, .. }| {
            let problem = problem.iter().map(|problem| format!(", {problem}")).collect::<String>();
            let from_cache = if *cached { ", from the cache" } else { "" };
            format!(
                "{name} {}{problem} ({} ms{from_cache})",
                state.replace('_', " "),
                took_us / 1_000
            )
        });
    Some(ended.collect::<Vec<_>>().join("; ")).filter(|ended| !ended.is_empty())
}

fn format_value(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn write_timeline(
    mut out: impl Write,
    call: &CallRecord,
    events: &[EventRecord],
) -> std::io::Result<()> {
    let latency_ms = call.details.latency_us as f64 / 1000.0;
    writeln!(out, "\ntimeline")?;
    writeln!(out, "  {:>10}  {} (decided in {latency_ms:.1} ms)", "+0.0 s", format_outcome(call))?;
    for event in events {
        let offset = event.at.duration_since(call.at).as_millis() as i64;
        let offset = format!("{}{}", if offset < 0 { "" } else { "+" }, format_seconds(offset));
        let summary = summarize_event(event);
        let colon = if summary.is_empty() { "" } else { ": " };
        let deliveries = match event.attempts {
            1 => String::new(),
            attempts => format!(" ({attempts} deliveries)"),
        };
        let kind = sanitize(&event.kind);
        writeln!(out, "  {offset:>10}  {kind}{deliveries}{colon}{summary}")?;
    }
    if events.is_empty() {
        writeln!(out, "  {:>10}  no events received", "")?;
    }
    Ok(())
}

fn write_explanation(
    mut out: impl Write,
    explanation: &RecordedExplanation,
) -> std::io::Result<()> {
    writeln!(out, "\nexplanation")?;
    match explanation {
        RecordedExplanation::Unavailable(reason) => writeln!(out, "  {reason}"),
        RecordedExplanation::Available { text, notes, .. } => {
            for note in notes {
                writeln!(out, "  note: {note}")?;
            }
            for line in text.lines() {
                match line.is_empty() {
                    true => writeln!(out)?,
                    false => writeln!(out, "  {}", sanitize(line))?,
                }
            }
            Ok(())
        }
    }
}
