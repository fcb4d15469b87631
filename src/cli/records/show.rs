//! `switchboard records show`: one call, what was answered, why, and what became of it.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::row::{outcome, seconds, told, zone_name};
use super::{OpenStore, plain, zone};
use crate::cli::{ConfigFile, Exit, load_rules};
use crate::explain::recorded::{
    RecordedExplanation, TableChoice, explanation_as_of_then, table_of_then,
};
use crate::records::{CallRecord, EventRecord, LookupResult, SHORTEST_PREFIX};
use crate::rules::RuleSet;
use crate::settings::{LoadedSettings, Purpose};
use crate::source::Source;

/// Shows numbers as they are recorded. Exits 1 when there is no such record.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The id of a record, its first 8 characters or more, or the platform's id of the call
    id: String,
    #[command(flatten)]
    config: ConfigFile,
    /// The table to explain it with [default: the one of then]
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// The zone of the times that are shown
    #[arg(long, default_value = "UTC")]
    zone: String,
    /// For programs
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let zone = zone(&self.zone)?;
        let opened = OpenStore::of(&self.config).await?;
        let call = match opened.store.lookup(&self.id).await? {
            LookupResult::One(call) => call,
            LookupResult::None => {
                writeln!(
                    std::io::stderr(),
                    "no call is recorded whose id is or begins with `{}` ({SHORTEST_PREFIX} \
                     characters or more), nor one with this id at its platform",
                    plain(&self.id)
                )?;
                return Ok(Exit::Failure);
            }
            LookupResult::Several(ids) => {
                let mut stderr = std::io::stderr();
                writeln!(stderr, "`{}` can mean several calls, among them", plain(&self.id))?;
                for id in ids {
                    writeln!(stderr, "  {id}")?;
                }
                return Ok(Exit::Failure);
            }
        };
        let events = opened.store.events_of(&call).await?;
        let table = self.table(&opened, &call).await?;
        let asked = match (&table, &self.rules) {
            (Some(table), Some(_)) => TableChoice::Given(table),
            (Some(table), None) => TableChoice::Recorded(table),
            (None, _) => TableChoice::None,
        };
        let sources: Vec<&Source> = opened.settings.sources.iter().collect();
        let then = explanation_as_of_then(&call, asked, &sources);
        let mut stdout = std::io::stdout().lock();
        if self.json {
            let events = events.iter().map(|event| Value::Object(event.to_json()));
            let whole = json!({
                "call": call.to_json(),
                "events": events.collect::<Vec<_>>(),
                "explanation": then.to_json(),
            });
            writeln!(stdout, "{whole:#}")?;
        } else {
            decision(&mut stdout, &call, &zone)?;
            timeline(&mut stdout, &call, &events)?;
            explanation(&mut stdout, &then)?;
        }
        Ok(Exit::Success)
    }

    /// The table to ask: the one that was named, else the one of then, else that of the settings;
    /// none when that has mistakes.
    async fn table(
        &self,
        opened: &OpenStore,
        call: &CallRecord,
    ) -> anyhow::Result<Option<RuleSet>> {
        let around = opened.settings.check_context();
        if let Some(path) = &self.rules {
            let loaded = load_rules(path, around, false)?;
            let Some(table) = loaded.table else {
                anyhow::bail!(
                    "{} has mistakes\n\n{}",
                    path.display(),
                    loaded.report.without_notes()
                );
            };
            return Ok(Some(table));
        }
        let kept = opened.store.rule_snapshot(&call.fingerprint).await?;
        if let Some(table) = table_of_then(kept.as_ref()) {
            return Ok(Some(table));
        }
        let LoadedSettings { rules, .. } = self.config.load(Purpose::Inspect)?;
        let loaded = rules.and_then(|path| load_rules(&path, around, false).ok());
        Ok(loaded.and_then(|loaded| loaded.table))
    }
}

fn decision(mut out: impl Write, call: &CallRecord, zone: &TimeZone) -> std::io::Result<()> {
    let details = &call.details;
    let at = call.at.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M:%S%.3f").to_string();
    let with_version = |agent: &str, version: &Option<Value>| match version {
        Some(version) => format!("{agent}, version {}", word(version)),
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
        ("agent there", agent_in.map(|agent| with_version(agent, &details.agent_version_in))),
        ("sip", texts(&details.sip)),
        ("answered", Some(outcome(call))),
        ("agent id", agent_id.map(|id| with_version(id, &details.agent_version))),
        ("rule", Some(call.rule.clone().unwrap_or_else(|| "none".to_owned()))),
        ("split arm", details.arm.map(|arm| (arm + 1).to_string())),
        ("added by", Some(details.added_by.join(", ")).filter(|by| !by.is_empty())),
        ("variables", texts(&details.variables)),
        ("metadata", Some(&metadata).filter(|value| !value.is_null()).map(object)),
        ("override", Some(&settings).filter(|value| !value.is_null()).map(object)),
        ("delay", Some(details.delay_ms).filter(|ms| *ms > 0).map(|ms| seconds(ms as i64))),
        ("delivered", Some(times(call.attempts))),
        ("numbers", Some(format!("kept {}", details.numbers))),
        ("table", Some(call.fingerprint.clone())),
    ];
    writeln!(out, "call {}", call.id)?;
    for (name, value) in lines {
        if let Some(value) = value {
            writeln!(out, "  {name:<12} {}", plain(&value))?;
        }
    }
    Ok(())
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn times(count: i64) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

fn timeline(mut out: impl Write, call: &CallRecord, events: &[EventRecord]) -> std::io::Result<()> {
    let latency_us = call.details.latency_us as f64 / 1000.0;
    writeln!(out, "\ntimeline")?;
    writeln!(out, "  {:>10}  {} (decided in {latency_us:.1} ms)", "+0.0 s", outcome(call))?;
    for event in events {
        let offset = event.at.duration_since(call.at).as_millis() as i64;
        let offset = format!("{}{}", if offset < 0 { "" } else { "+" }, seconds(offset));
        let told = told(event);
        let colon = if told.is_empty() { "" } else { ": " };
        let again = match event.attempts {
            1 => String::new(),
            attempts => format!(" ({})", times(attempts)),
        };
        writeln!(out, "  {offset:>10}  {}{again}{colon}{told}", plain(&event.kind))?;
    }
    if events.is_empty() {
        writeln!(out, "  {:>10}  no event was told of this call", "")?;
    }
    Ok(())
}

fn explanation(mut out: impl Write, then: &RecordedExplanation) -> std::io::Result<()> {
    writeln!(out, "\nexplanation")?;
    match then {
        RecordedExplanation::Unavailable(why) => writeln!(out, "  {why}"),
        RecordedExplanation::Available { text, notes, .. } => {
            for note in notes {
                writeln!(out, "  note: {note}")?;
            }
            for line in text.lines() {
                match line.is_empty() {
                    true => writeln!(out)?,
                    false => writeln!(out, "  {}", plain(line))?,
                }
            }
            Ok(())
        }
    }
}
