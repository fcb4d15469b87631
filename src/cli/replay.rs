//! `switchboard replay`: recorded calls through another table, and what would change.

use std::io::{IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use jiff::tz::TimeZone;

use super::records::{FilterFlags, OpenStore};
use super::{ConfigFile, Exit, load_rules, progress};
use crate::records::{Filter, Order, Page, Store};
use crate::replay::Replay;
use crate::rules::RuleSet;
use crate::settings::Settings;

/// Decides each recorded call anew, at its own time, and tells what would become other than it was.
///
/// Exits 0, with --expect-same 1 when a call would go elsewhere or its agent would hear something
/// else, and 2 when that could not be found out. Without --since: calls of the last 7 days.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// The other table: a file, or a folder of them [default: the one that the settings name]
    #[arg(long, value_name = "PATH")]
    rules: Option<PathBuf>,
    #[command(flatten)]
    filter: FilterFlags,
    /// Exit 1 when a call would go elsewhere, or its agent would hear something else
    #[arg(long)]
    expect_same: bool,
    /// So many calls are shown of those that change in the same way
    #[arg(long, value_name = "N", default_value_t = 3)]
    examples: usize,
    /// So many calls at most, from the oldest on
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroUsize>,
    /// For programs
    #[arg(long)]
    json: bool,
}

/// Where nobody says since when.
const SINCE: &str = "7d";
/// So many records are held at once.
const PAGE: usize = 2_000;

impl ReplayArgs {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let zone = self.filter.zone()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let opened = runtime.block_on(OpenStore::of(&self.config))?;
        let filter = self.filter.read(opened.now, &opened.numbers, Some(SINCE))?;
        let Some(table) = self.table(&opened.settings)? else { return Ok(Exit::Error) };
        let mut replayed = Replay::new(&table, &opened.settings.sources, self.examples);
        let recorded = runtime.block_on(async {
            let recorded = self.go_through(&opened.store, &filter, &mut replayed).await;
            opened.store.close().await;
            recorded
        })?;
        self.tell(&replayed, recorded, &zone)?;
        if replayed.replayed() == 0 && replayed.left_out() > 0 {
            return Ok(Exit::Error);
        }
        let is_other = self.expect_same && replayed.changed() > 0;
        Ok(if is_other { Exit::Failure } else { Exit::Success })
    }

    /// What is wrong with it is said on standard error; then there is none.
    fn table(&self, settings: &Settings) -> anyhow::Result<Option<RuleSet>> {
        let path = self.rules.as_ref().unwrap_or(&settings.rules.path);
        let loaded = load_rules(path, settings.surroundings(), false)?;
        if loaded.report.error_count() > 0 {
            let mut stderr = std::io::stderr();
            let report = loaded.report.without_notes();
            writeln!(stderr, "{}", report.to_text(stderr.is_terminal()))?;
        }
        Ok(loaded.table)
    }

    /// How many such calls have been recorded, --limit or not.
    async fn go_through(
        &self,
        store: &Store,
        filter: &Filter,
        replayed: &mut Replay<'_>,
    ) -> anyhow::Result<u64> {
        let most = self.limit.map_or(usize::MAX, NonZeroUsize::get);
        let recorded = store.count(filter).await?;
        let whole = recorded.min(most as u64);
        let mut progress = progress::ProgressLine::default();
        let (mut seen, mut beyond) = (0, None);
        loop {
            let limit = PAGE.min(most - seen);
            let page = store.calls(filter, Page { limit, order: Order::OldestFirst, beyond });
            let page = page.await.context("the records cannot be read")?;
            let Some(last) = page.last() else { break };
            beyond = Some(last.id);
            page.iter().for_each(|record| replayed.call(record));
            seen += page.len();
            progress.count("replaying", seen as u64, whole);
        }
        progress.clear();
        Ok(recorded)
    }

    fn tell(&self, replayed: &Replay<'_>, recorded: u64, zone: &TimeZone) -> anyhow::Result<()> {
        let seen = replayed.replayed() + replayed.left_out();
        let mut stdout = std::io::stdout().lock();
        if self.json {
            let mut whole = replayed.to_json();
            whole["recorded"] = recorded.into();
            writeln!(stdout, "{whole:#}")?;
        } else if seen == 0 {
            writeln!(stdout, "no such call has been recorded in that time")?;
        } else {
            write!(stdout, "{}", replayed.told(zone))?;
            if seen < recorded {
                writeln!(stdout, "\n--limit: the first {seen} of {recorded} calls")?;
            }
        }
        Ok(())
    }
}
