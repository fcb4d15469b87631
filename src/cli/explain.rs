//! `switchboard explain`: explains the decision about a call.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use super::output::print_note;
use super::{
    CallFlags, ConfigFile, Exit, LoadedOk, load_settings, load_table, load_without_errors,
};
use crate::domain::call::Fields;
use crate::domain::facts::Facts;
use crate::explain::{
    Question, ask_lookups, explain_call, listed_rules, parse_saved_call, parse_time,
};
use crate::lookup::{HistorySource, LookupService};
use crate::records::{NumberPolicy, Store, StoreError};
use crate::rules::{RuleSet, repeated_time};
use crate::settings::{Purpose, Settings};
use crate::source::Source;
use crate::telemetry::LookupCounters;

/// Show the rules up to the deciding one, and the reply that each platform would receive.
///
/// Exit status: 0 explained; 2 the settings, the rules or the call are invalid.
#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    call: CallFlags,
    /// Rule file or directory in place of the one in the settings; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Time of the call, in the zone of the rule table: "2026-12-25 00:10" [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// List every rule of the table; by default, those that are tried, and of a long table only those
    /// whose numbers match
    #[arg(long)]
    all: bool,
    /// Ask the look-ups that the decision needs; by default, their values are unknown
    #[arg(long)]
    live: bool,
    /// Also say why this rule does not decide, even if it is not tried
    #[arg(long, value_name = "RULE")]
    why_not: Option<String>,
    /// Print a [[test]] for the rule table
    #[arg(long, conflicts_with = "json")]
    as_test: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let Some((settings, table)) = self.load()? else { return Ok(Exit::Error) };
        let source = self.call.select_source(&settings.sources)?;
        let mut fields = self.call.fields(source)?;
        if self.call.body.is_some() {
            let body = self.call.body(source, &fields)?;
            fields = parse_saved_call(source, body).map_err(anyhow::Error::msg)?;
        }
        let at = match &self.at {
            #[expect(clippy::disallowed_methods, reason = "default of --at")]
            None => Timestamp::now(),
            Some(text) => {
                parse_time(text, &table).map_err(|invalid| anyhow::anyhow!("--at: {invalid}"))?
            }
        };
        if let Some(note) = self.at.as_ref().and_then(|text| repeated_time(text, &table.zone)) {
            print_note(format!("note: {note}"));
        }
        let listed = listed_rules(&table, self.all, self.why_not.as_deref());
        let listed = listed.map_err(|unknown| anyhow::anyhow!("--why-not: {unknown}"))?;
        let facts = match self.live {
            true => ask_live(&settings, &table, source, &fields, at)?,
            false => Facts::at(at),
        };
        let question = Question { source, fields: &fields, facts: &facts, listed };
        let explained = explain_call(&table, settings.sources.iter(), question)?;
        let mut stdout = std::io::stdout().lock();
        if self.as_test {
            write!(stdout, "{}", explained.as_test())?;
        } else if self.json {
            writeln!(stdout, "{:#}", explained.to_json())?;
        } else {
            write!(stdout, "{explained}")?;
        }
        Ok(Exit::Success)
    }

    /// Loads the settings, and the rules that they name or those of `--rules`. Prints errors and returns `None`.
    fn load(&self) -> anyhow::Result<Option<(Settings, RuleSet)>> {
        let Some(path) = &self.rules else {
            let loaded = load_without_errors(&self.config.inputs(Purpose::Inspect))?;
            return Ok(loaded.map(|LoadedOk { settings, table, .. }| (settings, table)));
        };
        let (settings, _) = load_settings(&self.config)?;
        let table = load_table(path, &settings)?;
        Ok(Some((settings, table)))
    }
}

/// Asks the look-ups that the decision about a call needs. The caller's history comes from the records.
fn ask_live(
    settings: &Settings,
    table: &RuleSet,
    source: &Source,
    fields: &Fields<'_>,
    at: Timestamp,
) -> anyhow::Result<Facts> {
    let numbers = NumberPolicy::new(settings.records.numbers.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = match table.uses_history {
            true => Some(Store::open_to_read(&settings.records.location).await),
            false => None,
        };
        let history = match &store {
            Some(Ok(store)) => HistorySource::Store(store, &numbers),
            &Some(Err(StoreError::NoStore(reason))) => HistorySource::None(reason),
            Some(Err(error)) => {
                print_note(format!("note: the records cannot be read: {error}"));
                HistorySource::None("the records cannot be read")
            }
            None => HistorySource::None("the rules do not ask for it"),
        };
        let mut lookups = LookupService::new(LookupCounters::default());
        lookups.set_secrets(settings.secrets.clone());
        lookups.prepare(table);
        Ok(ask_lookups(&lookups, table, source, fields, Facts::before_lookups(at), history).await)
    })
}
