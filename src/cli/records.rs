//! `switchboard records`: what was answered, and what became of it. One file a subcommand.

mod export;
mod filter;
mod follow;
mod forget;
mod list;
mod row;
mod show;
mod stats;
mod table;

use std::io::IsTerminal;

use anyhow::Context;
use clap::{Args, Subcommand};
use jiff::Timestamp;

pub(super) use filter::FilterFlags;

use super::{ConfigFile, Exit};
use crate::diagnostics::Report;
use crate::records::{NumberPolicy, Store, StoreError};
use crate::settings::{LoadedSettings, Purpose, RecordsLocation, Settings};

/// Reads the store that `[records] url` names, while the service runs or not.
#[derive(Debug, Args)]
pub(super) struct RecordsArgs {
    #[command(subcommand)]
    command: RecordsCommand,
}

#[derive(Debug, Subcommand)]
enum RecordsCommand {
    /// List calls, newest first
    List(list::ListArgs),
    /// Show one call: what was answered, why, and what became of it
    Show(show::Show),
    /// Print calls and events as they come
    Follow(follow::Follow),
    /// Write out all calls with their events, oldest first
    Export(export::Export),
    /// Delete everything that is recorded of a number, and prove it
    Forget(forget::Forget),
    /// Count calls by rule, by outcome and by hour of the day
    Stats(stats::Stats),
}

impl RecordsArgs {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let done = runtime.block_on(async {
            match &self.command {
                RecordsCommand::List(list) => list.run().await,
                RecordsCommand::Show(show) => show.run().await,
                RecordsCommand::Follow(follow) => follow.run().await,
                RecordsCommand::Export(export) => export.run().await,
                RecordsCommand::Forget(forget) => forget.run().await,
                RecordsCommand::Stats(stats) => stats.run().await,
            }
        });
        runtime.shutdown_background();
        done
    }
}

/// The store, and how numbers are kept in it.
pub(super) struct OpenStore {
    pub(super) settings: Settings,
    pub(super) store: Store,
    pub(super) numbers: NumberPolicy,
    pub(super) now: Timestamp,
}

impl OpenStore {
    pub(super) async fn of(config: &ConfigFile) -> anyhow::Result<OpenStore> {
        let LoadedSettings { settings, report, .. } = config.load(Purpose::Inspect)?;
        let Some(settings) = settings else {
            anyhow::bail!("the settings are wrong\n\n{}", report.without_notes());
        };
        nothing_stands_in(&report)?;
        let place = &settings.records.place;
        let store = Store::open_to_read(place).await.map_err(|error| in_words(error, place))?;
        let numbers = NumberPolicy::new(settings.records.numbers.clone());
        #[expect(clippy::disallowed_methods, reason = "`7d` is said from here on")]
        let now = Timestamp::now();
        Ok(OpenStore { settings, store, numbers, now })
    }
}

/// Memory would stand in for a URL that is not there, and `dev` for a key: neither is what the
/// service writes with.
fn nothing_stands_in(report: &Report) -> anyhow::Result<()> {
    let missing = report.diagnostics().iter().find(|mistake| {
        mistake.code == "secret-missing" && mistake.message.starts_with("`records.")
    });
    let Some(missing) = missing else { return Ok(()) };
    let help = missing.help.as_deref().unwrap_or_default();
    anyhow::bail!(
        "{}\nthe service has it; {}",
        missing.message.trim_end_matches(", records stay in memory"),
        help.trim_start_matches("before it serves, ")
    )
}

fn in_words(error: StoreError, place: &RecordsLocation) -> anyhow::Error {
    let error_is_plain = matches!(error, StoreError::NoStore(_));
    let error = anyhow::Error::new(error);
    match place {
        RecordsLocation::Off => error.context("`[records] url` is \"off\""),
        RecordsLocation::Memory => error,
        RecordsLocation::Sqlite(path) if error_is_plain => {
            error.context(format!("there is no {}", path.display()))
        }
        RecordsLocation::Sqlite(path) => error.context(format!("cannot read {}", path.display())),
        RecordsLocation::Postgres(_) => error.context("cannot ask the database of the records"),
    }
}

/// Of a terminal that does not say how wide it is.
const USUAL_WIDTH: usize = 80;

/// How wide a line may be; none where nobody looks.
fn width() -> Option<usize> {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let size = terminal_size::terminal_size_of(stdout);
    Some(size.map_or(USUAL_WIDTH, |(terminal_size::Width(width), _)| usize::from(width).max(40)))
}

/// A text from outside, without what a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A zone by its name.
fn zone(name: &str) -> anyhow::Result<jiff::tz::TimeZone> {
    jiff::tz::TimeZone::get(name)
        .with_context(|| format!("--zone: `{name}` is no time zone: write Europe/Berlin, or UTC"))
}
