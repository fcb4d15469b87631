//! `switchboard rules restore`: writes the files of a stored table to the path of the rules.

use std::io::Write;

use anyhow::Context;
use clap::Args;

use super::{TableVersion, short, shown};
use crate::cli::input::confirm;
use crate::cli::records::{OpenStore, describe};
use crate::cli::{ConfigFile, Exit};
use crate::records::{RuleAction, Store};
use crate::rule_changes::{Author, ChangePlan, RuleFiles, Versions, carry_out, check};
use crate::settings::user_name;

/// Write the files of a stored table to `[rules] path`, after storing the current ones as a table of their
/// own. A running service takes them like any edit. Asks first; without a terminal, `--yes` is needed.
///
/// Exit status: 0 restored, or answered with no; 2 there is no such table, or a file cannot be written.
#[derive(Debug, Args)]
pub(super) struct Restore {
    #[command(flatten)]
    config: ConfigFile,
    /// Beginning of the fingerprint
    id: String,
    /// Reason for the change, which `rules list` shows
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// Restore without asking
    #[arg(long, short)]
    yes: bool,
}

impl Restore {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let opened = OpenStore::open(&self.config).await?;
        let table = TableVersion::find(&self.id, &opened).await?;
        let path = &opened.settings.rules.path;
        let plan = ChangePlan::of_version(path, &table.snapshot).map_err(anyhow::Error::msg)?;
        let mut stdout = std::io::stdout();
        if plan.is_empty() {
            writeln!(stdout, "the files are those of {} already", table.name)?;
            return Ok(Exit::Success);
        }
        let printed = print(&plan);
        // With `--yes`, a closed pipe does not stop it.
        if !self.yes {
            printed?;
            let without_terminal =
                "nothing was written: there is no terminal to ask on; write --yes to restore";
            if !confirm("Replace the rules?", without_terminal)? {
                return Ok(Exit::Success);
            }
        }
        self.carry_out(&opened, plan).await?;
        writeln!(stdout, "restored {}", table.name)?;
        Ok(Exit::Success)
    }

    /// Stores the current files, so that they can be restored in turn, and writes those of the plan.
    async fn carry_out(&self, opened: &OpenStore, plan: ChangePlan) -> anyhow::Result<()> {
        let path = &opened.settings.rules.path;
        let context = opened.settings.check_context();
        let Ok(files) = RuleFiles::read(path, &context) else {
            // There is nothing to keep.
            return Ok(plan.write()?);
        };
        let checked = check(&files, &plan, &context)?;
        let fingerprint = checked.table.map_or_else(|| self.id.clone(), |table| table.fingerprint);
        let location = &opened.settings.records.location;
        let store = Store::open(location).await.map_err(|error| describe(error, location))?;
        let versions = Versions::new(&store, &opened.numbers);
        let author = Author { who: user_name(), note: self.note.clone(), at: opened.now };
        let action = RuleAction::Restore;
        let done = carry_out(files, plan, &fingerprint, action, author, versions).await;
        store.close().await;
        let change = done.context("nothing was written")?;
        writeln!(
            std::io::stdout(),
            "kept the current rules as {}",
            short(&change.old_fingerprint)
        )?;
        Ok(())
    }
}

fn print(plan: &ChangePlan) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    for (path, _) in plan.writes() {
        writeln!(stdout, "write   {}", shown(path))?;
    }
    for path in plan.removals() {
        writeln!(stdout, "remove  {}", shown(path))?;
    }
    Ok(())
}
