//! `switchboard rules diff`: the differences between two tables, file by file.

use std::collections::BTreeSet;
use std::io::Write;

use clap::Args;
use similar::TextDiff;

use super::{TableVersion, shown};
use crate::cli::output::exit_after;
use crate::cli::records::OpenStore;
use crate::cli::{ConfigFile, Exit};

/// Print a unified diff of each file that differs.
///
/// Exit status: 0 the tables are equal; 1 they differ; 2 there is no such table.
#[derive(Debug, Args)]
pub(super) struct Diff {
    #[command(flatten)]
    config: ConfigFile,
    /// Beginning of a fingerprint; `HEAD` or `live` for the files at `[rules] path`
    before: String,
    /// The same, for the table to compare with
    #[arg(default_value = "live")]
    after: String,
}

impl Diff {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let opened = OpenStore::open(&self.config).await?;
        let before = TableVersion::find(&self.before, &opened).await?;
        let after = TableVersion::find(&self.after, &opened).await?;
        let exit = if before.by_path() == after.by_path() { Exit::Success } else { Exit::Failure };
        exit_after(write_diff(std::io::stdout().lock(), &before, &after), exit)
    }
}

fn write_diff(
    mut out: impl Write,
    before: &TableVersion,
    after: &TableVersion,
) -> anyhow::Result<()> {
    let (old, new) = (before.by_path(), after.by_path());
    let paths: BTreeSet<_> = old.keys().chain(new.keys()).copied().collect();
    for path in paths {
        let (left, right) = (old.get(path).copied(), new.get(path).copied());
        if left == right {
            continue;
        }
        let name = |table: &TableVersion, text: Option<&str>| match text {
            Some(_) => format!("{}/{}", table.name, shown(path)),
            None => "/dev/null".to_owned(),
        };
        let (from, to) = (name(before, left), name(after, right));
        let texts = TextDiff::from_lines(left.unwrap_or_default(), right.unwrap_or_default());
        write!(out, "{}", texts.unified_diff().context_radius(3).header(&from, &to))?;
    }
    Ok(())
}
