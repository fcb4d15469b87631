//! `switchboard records show`: shows one recorded call, its events and its explanation.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::row::{format_outcome, summarize_event};
use super::{OpenStore, sanitize, zone};
use crate::cli::output::print_message;
use crate::cli::{ConfigFile, Exit, load_rules, load_table};
use crate::explain::recorded::{
    RecordedExplanation, RecordedTable, TableChoice, WantedRules, explain_recorded, recorded_table,
};
use crate::records::{CallRecord, EventRecord, LookupResult, SHORTEST_PREFIX, format_seconds};
use crate::rules::RuleSet;
use crate::settings::{LoadedSettings, Purpose};
use crate::source::Source;

/// Show one recorded call. Phone numbers appear as they are stored.
///
/// Exit status: 0 shown; 1 there is no such record, or the id is ambiguous; 2 the records cannot be read.
#[derive(Debug, Args)]
pub(super) struct ShowCall {
    /// Id of the record, its first 8 characters or more, or the platform's id of the call
    id: String,
    #[command(flatten)]
    config: ConfigFile,
    /// Rule file or directory to explain the call with; `-` reads standard input [default: the rules at
    /// the time of the call]
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// List every rule of the table in the explanation
    #[arg(long)]
    all: bool,
    /// Also say why this rule did not decide, even if it was not tried
    #[arg(long, value_name = "RULE")]
    why_not: Option<String>,
    /// Time zone of the output
    #[arg(long, default_value = "UTC")]
    zone: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The table that explains a call.
enum ExplanationTable {
    /// From `--rules`.
    Given(RuleSet),
    /// From the time of the call.
    Recorded(RecordedTable),
    /// From the settings.
    Current(RuleSet),
}

impl ShowCall {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let zone = zone(&self.zone)?;
        let opened = OpenStore::open(&self.config).await?;
        let call = match opened.store.lookup(&self.id).await? {
            LookupResult::One(call) => call,
            LookupResult::None => {
                print_message(format!(
                    "no recorded call has the id `{}`, an id that starts with it (at least \
                     {SHORTEST_PREFIX} characters), or this id at its platform",
                    sanitize(&self.id)
                ));
                return Ok(Exit::Failure);
            }
            LookupResult::Several(ids) => {
                print_message(format!("`{}` is ambiguous; it matches", sanitize(&self.id)));
                for id in ids {
                    print_message(format!("  {id}"));
                }
                return Ok(Exit::Failure);
            }
        };
        let events = opened.store.events_of(&call).await?;
        let table = self.table(&opened, &call).await?;
        let choice = match &table {
            Some(ExplanationTable::Given(table)) => TableChoice::Given(table),
            Some(ExplanationTable::Recorded(table)) => table.choice(),
            Some(ExplanationTable::Current(table)) => TableChoice::Recorded(table),
            None => TableChoice::None,
        };
        let sources: Vec<&Source> = opened.settings.sources.iter().collect();
        let wanted = WantedRules { all: self.all, why_not: self.why_not.as_deref() };
        let explanation = explain_recorded(&call, choice, &sources, wanted);
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
    ) -> anyhow::Result<Option<ExplanationTable>> {
        if let Some(path) = &self.rules {
            return Ok(Some(ExplanationTable::Given(load_table(path, &opened.settings)?)));
        }
        let snapshot = opened.store.rule_snapshot(&call.fingerprint).await?;
        if let Some(table) = recorded_table(snapshot.as_ref()) {
            return Ok(Some(ExplanationTable::Recorded(table)));
        }
        let LoadedSettings { rules, .. } = self.config.load(Purpose::Inspect)?;
        let loaded =
            rules.and_then(|path| load_rules(&path, opened.settings.check_context(), false).ok());
        Ok(loaded.and_then(|loaded| loaded.table).map(ExplanationTable::Current))
    }
}

fn write_decision(mut out: impl Write, call: &CallRecord, zone: &TimeZone) -> std::io::Result<()> {
    writeln!(out, "call {}", call.id)?;
    for (name, value) in call.in_words(zone) {
        writeln!(out, "  {name:<14} {}", sanitize(&value))?;
    }
    Ok(())
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
