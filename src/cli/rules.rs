//! `switchboard rules`: the rule tables that have answered calls. One file per subcommand.

mod diff;
mod list;
mod restore;
mod show;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};

use super::Exit;
use super::records::{OpenStore, sanitize};
use crate::records::StoredTable;
use crate::rules::{self, Snapshot};

/// Read the rule tables in the record store of `[records] url`. Their files are stored while `[records]
/// numbers` is "full", up to 1 MB for each table.
#[derive(Debug, Args)]
pub(super) struct RulesArgs {
    #[command(subcommand)]
    command: RulesCommand,
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// List the tables, those that were live last first
    List(list::ListTables),
    /// Print the files of a table, or write them into a folder
    Show(show::ShowTable),
    /// Compare two tables, file by file
    Diff(diff::Diff),
    /// Write the files of a table to `[rules] path`
    Restore(restore::Restore),
}

impl RulesArgs {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let result = runtime.block_on(async {
            match &self.command {
                RulesCommand::List(list) => list.run().await,
                RulesCommand::Show(show) => show.run().await,
                RulesCommand::Diff(diff) => diff.run().await,
                RulesCommand::Restore(restore) => restore.run().await,
            }
        });
        runtime.shutdown_background();
        result
    }
}

/// Length of the part of a fingerprint that identifies a table as well as the whole of it.
const SHORT: usize = 7;

/// A version of the rule table: the live files, or those that a fingerprint identifies.
struct TableVersion {
    /// Short fingerprint, or `live`.
    name: String,
    snapshot: Snapshot,
}

impl TableVersion {
    /// Finds a table by the beginning of its fingerprint. `HEAD` and `live` are the files at `[rules] path`.
    async fn find(id: &str, opened: &OpenStore) -> anyhow::Result<TableVersion> {
        if id == "HEAD" || id == "live" {
            let path = &opened.settings.rules.path;
            let snapshot = current_files(path)?;
            return Ok(TableVersion { name: "live".to_owned(), snapshot });
        }
        let tables = opened.store.rule_tables().await?;
        let table = find(id, &tables)?;
        let snapshot = table.snapshot.as_ref().with_context(|| {
            format!(
                "the files of {} are not stored: they are larger than 1 MB, or `[records] numbers` was not \
                 \"full\"",
                table.fingerprint
            )
        })?;
        Ok(TableVersion {
            name: short(&table.fingerprint).to_owned(),
            snapshot: snapshot.files.clone(),
        })
    }

    /// Returns the folder of the table.
    fn folder(&self) -> &Path {
        let first = self.snapshot.rules().first();
        first.and_then(|path| path.parent()).unwrap_or(Path::new(""))
    }

    /// Returns the texts by relative path. The path of a list outside of the folder stays as it is.
    fn by_path(&self) -> BTreeMap<&Path, &str> {
        let relative = |path| Path::strip_prefix(path, self.folder()).unwrap_or(path);
        let files = self.snapshot.paths();
        files.map(|path| (relative(path), self.snapshot.text(path).unwrap_or_default())).collect()
    }
}

/// Reads the files at the path of the settings, with or without errors.
fn current_files(path: &Path) -> anyhow::Result<Snapshot> {
    let loaded = rules::load(path, &rules::CheckContext::default(), &mut |_| {})?;
    let first = loaded.partial.as_ref().and_then(|partial| partial.not_held.iter().next());
    let reason = first.map(|(path, file)| {
        format!("{} {}{}", shown(path), file.reason.as_str(), file.reason.advice())
    });
    loaded.snapshot.with_context(|| reason.unwrap_or_default())
}

fn find<'t>(id: &str, tables: &'t [StoredTable]) -> anyhow::Result<&'t StoredTable> {
    let mut found =
        tables.iter().filter(|table| !id.is_empty() && table.fingerprint.starts_with(id));
    let first = found.next().with_context(|| {
        format!(
            "no stored rule table has the fingerprint {}; see `switchboard rules list`",
            sanitize(id)
        )
    })?;
    anyhow::ensure!(found.next().is_none(), "several fingerprints begin with {id}");
    Ok(first)
}

fn short(fingerprint: &str) -> &str {
    fingerprint.get(..SHORT).unwrap_or(fingerprint)
}

/// Returns a path for messages.
fn shown(path: &Path) -> String {
    sanitize(&path.display().to_string())
}

/// Returns where a file of a table goes, if the table goes to `folder`.
fn target(folder: &Path, path: &Path) -> PathBuf {
    // An absolute path replaces the folder: the table names the list by it.
    folder.join(path)
}
