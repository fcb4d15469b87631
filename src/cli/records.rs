//! `switchboard records`: recorded calls and their events. One file per subcommand.

mod bars;
mod export;
mod filter;
mod follow;
mod forget;
mod import;
mod list;
mod row;
mod show;
mod stats;
pub(super) mod table;

use anyhow::Context;
use clap::{Args, Subcommand};
use jiff::Timestamp;

pub(super) use filter::FilterFlags;

use super::{ConfigFile, Exit, load_settings};
use crate::diagnostics::Report;
use crate::records::{NumberPolicy, Store, StoreError};
use crate::settings::{RecordsLocation, Settings};
use crate::telemetry::is_unsafe_to_show;

/// Read or fill the record store of `[records] url`, whether or not the service is running.
#[derive(Debug, Args)]
pub(super) struct RecordsArgs {
    #[command(subcommand)]
    command: RecordsCommand,
}

#[derive(Debug, Subcommand)]
enum RecordsCommand {
    /// List calls, newest first
    List(list::ListCalls),
    /// Show one call: its decision, its events and its explanation
    Show(show::ShowCall),
    /// Print calls and events as they are recorded
    Follow(follow::Follow),
    /// Export all calls with their events, oldest first
    Export(export::Export),
    /// Import an export into the store of the settings
    Import(import::Import),
    /// Erase everything that is recorded about a phone number, and verify it
    Forget(forget::Forget),
    /// Count calls by rule, agent, called number, hour, day, source and outcome
    Stats(stats::Stats),
}

impl RecordsArgs {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let result = runtime.block_on(async {
            match &self.command {
                RecordsCommand::List(list) => list.run().await,
                RecordsCommand::Show(show) => show.run().await,
                RecordsCommand::Follow(follow) => follow.run().await,
                RecordsCommand::Export(export) => export.run().await,
                RecordsCommand::Import(import) => import.run().await,
                RecordsCommand::Forget(forget) => forget.run().await,
                RecordsCommand::Stats(stats) => stats.run().await,
            }
        });
        runtime.shutdown_background();
        result
    }
}

/// The record store, opened for reading, with its settings.
pub(super) struct OpenStore {
    pub(super) settings: Settings,
    pub(super) store: Store,
    pub(super) numbers: NumberPolicy,
    pub(super) now: Timestamp,
}

impl OpenStore {
    pub(super) async fn open(config: &ConfigFile) -> anyhow::Result<OpenStore> {
        OpenStore::with_settings(load_records_settings(config)?).await
    }

    async fn with_settings(settings: Settings) -> anyhow::Result<OpenStore> {
        let location = &settings.records.location;
        let store = Store::open_to_read(location).await;
        let store = store.map_err(|error| describe(error, location))?;
        let numbers = NumberPolicy::new(settings.records.numbers.clone());
        Ok(OpenStore { settings, store, numbers, now: now() })
    }
}

#[expect(clippy::disallowed_methods, reason = "relative times such as `7d` count from now")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// Loads settings with the location and the keys that the service uses.
pub(super) fn load_records_settings(config: &ConfigFile) -> anyhow::Result<Settings> {
    let (settings, report) = load_settings(config)?;
    reject_placeholders(&report)?;
    Ok(settings)
}

/// Refuses the placeholders for missing secrets, memory for a URL and `dev` for a key: the service does
/// not use them.
fn reject_placeholders(report: &Report) -> anyhow::Result<()> {
    let missing = report.diagnostics().iter().find(|diagnostic| {
        diagnostic.code == "secret-missing" && diagnostic.message.starts_with("`records.")
    });
    let Some(missing) = missing else { return Ok(()) };
    let help = missing.help.as_deref().unwrap_or_default();
    anyhow::bail!(
        "{}\nthe service has it; {}",
        missing.message.replace(", so records stay in memory", ""),
        help.trim_start_matches("before you run `serve`, ")
    )
}

pub(super) fn describe(error: StoreError, location: &RecordsLocation) -> anyhow::Error {
    let is_missing = matches!(error, StoreError::NoStore(_));
    let error = anyhow::Error::new(error);
    match location {
        RecordsLocation::Off => error.context("`[records] url` is \"off\""),
        RecordsLocation::Memory => error,
        RecordsLocation::Sqlite(path) if is_missing => {
            error.context(format!("there is no {}", path.display()))
        }
        RecordsLocation::Sqlite(path) => error.context(format!("cannot read {}", path.display())),
        RecordsLocation::Postgres(_) => error.context("cannot query the database of the records"),
    }
}

/// Replaces control characters, which a terminal would interpret, in a text of unknown origin.
pub(super) fn sanitize(text: &str) -> String {
    text.chars().map(|c| if is_unsafe_to_show(c) { '\u{fffd}' } else { c }).collect()
}

/// Parses the value of `--zone`.
fn zone(name: &str) -> anyhow::Result<jiff::tz::TimeZone> {
    jiff::tz::TimeZone::get(name).with_context(|| {
        format!("--zone: `{name}` is not a time zone; use a name such as Europe/Berlin, or UTC")
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::settings::{self, Inputs, Purpose};

    #[test]
    fn a_missing_url_is_reported_with_the_variable_to_set() {
        let variable = ("SWITCHBOARD__RECORDS__URL".to_owned(), "env:DATABASE_URL".to_owned());
        let environment = HashMap::from([variable]);
        let inputs = Inputs { file: None, environment, purpose: Purpose::Inspect };
        let report = settings::load(&inputs).unwrap().report;
        assert_eq!(
            reject_placeholders(&report).unwrap_err().to_string(),
            "`records.url`: there is no URL at env:DATABASE_URL (from SWITCHBOARD__RECORDS__URL)\n\
             the service has it; set the environment variable DATABASE_URL"
        );
    }
}
