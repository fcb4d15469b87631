//! `switchboard replay`: routes recorded calls with different rules and shows what would change.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::records::FilterFlags;
use super::{ConfigFile, Exit, load_rules, output, parse_count, progress};
use crate::records::{Filter, Order, Store};
use crate::replay::Replay;
use crate::rule_changes::{ReplayLimits, replay_calls};
use crate::rules::RuleSet;
use crate::settings::Settings;

/// Decide each recorded call again, at its own time, and show what would change. Without --since, the
/// calls of the last 7 days, or of the 7 days before --until.
///
/// Exit status: 0 replayed; 1 with --expect-same, if a call would be routed differently or its payload
/// would change; 2 the records or the rules cannot be read, or no call can be replayed.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// Rule file or directory to replay with; `-` reads standard input [default: the rules of the
    /// settings]
    #[arg(long, value_name = "PATH")]
    rules: Option<PathBuf>,
    #[command(flatten)]
    filter: FilterFlags,
    /// Exit with status 1 if a call would be routed differently or its payload would change
    #[arg(long)]
    expect_same: bool,
    /// Number of example calls to show per change
    #[arg(long, value_name = "N", default_value_t = 3)]
    examples: usize,
    /// Maximum number of calls, starting with the oldest
    #[arg(long, value_name = "N", value_parser = parse_count)]
    limit: Option<NonZeroUsize>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Default of `--since`, before `--until`.
const AGE: SignedDuration = SignedDuration::from_hours(7 * 24);

impl ReplayArgs {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let zone = self.filter.zone()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let opened = runtime.block_on(self.filter.open(&self.config))?;
        let filter = runtime.block_on(self.filter.read(&opened, &self.config, Some(AGE)))?;
        let Some(table) = self.table(&opened.settings)? else { return Ok(Exit::Error) };
        let mut replay = Replay::new(&table, &opened.settings.sources, self.examples);
        let recorded = runtime.block_on(async {
            let recorded = self.replay_all(&opened.store, &filter, &mut replay).await;
            opened.store.close().await;
            recorded
        })?;
        let exit = if replay.replayed() == 0 && replay.left_out() > 0 {
            Exit::Error
        } else if self.expect_same && replay.changed() > 0 {
            Exit::Failure
        } else {
            Exit::Success
        };
        output::exit_after(self.print(&replay, recorded, &zone), exit)
    }

    /// Loads the rules. Prints errors to standard error and returns `None`.
    fn table(&self, settings: &Settings) -> anyhow::Result<Option<RuleSet>> {
        let path = self.rules.as_ref().unwrap_or(&settings.rules.path);
        let loaded = load_rules(path, settings.check_context(), false)?;
        if loaded.report.error_count() > 0 {
            output::print_report(loaded.report.without_notes());
        }
        Ok(loaded.table)
    }

    /// Replays the calls. Returns the number of recorded calls, regardless of `--limit`.
    async fn replay_all(
        &self,
        store: &Store,
        filter: &Filter,
        replay: &mut Replay<'_>,
    ) -> anyhow::Result<u64> {
        let limits =
            ReplayLimits { calls: self.limit.map(NonZeroUsize::get), ..ReplayLimits::default() };
        let mut line = progress::ProgressLine::default();
        let mut show = |read, total| line.show_count("replaying", read, total);
        let replayed =
            replay_calls(store, filter, Order::OldestFirst, limits, replay, &mut show).await;
        line.clear();
        Ok(replayed.context("cannot read the records")?.recorded)
    }

    fn print(&self, replay: &Replay<'_>, recorded: u64, zone: &TimeZone) -> anyhow::Result<()> {
        let done = replay.replayed() + replay.left_out();
        let mut stdout = std::io::stdout().lock();
        if self.json {
            let mut whole = replay.to_json();
            whole["recorded"] = recorded.into();
            writeln!(stdout, "{whole:#}")?;
        } else if done == 0 {
            writeln!(stdout, "no matching calls are recorded")?;
        } else {
            write!(stdout, "{}", replay.to_text(zone))?;
            if done < recorded {
                writeln!(
                    stdout,
                    "\nreplayed the first {done} of {recorded} calls; raise --limit to replay more"
                )?;
            }
        }
        Ok(())
    }
}
