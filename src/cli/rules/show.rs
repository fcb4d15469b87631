//! `switchboard rules show`: prints the files of a table, or writes them into a folder.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::{TableVersion, shown, target};
use crate::cli::records::OpenStore;
use crate::cli::{ConfigFile, Exit};
use crate::rule_changes::is_below;

/// Print the files of a table, or write them into a folder, to check them or to explain calls with them.
///
/// Exit status: 0 printed; 2 there is no such table.
#[derive(Debug, Args)]
pub(super) struct ShowTable {
    #[command(flatten)]
    config: ConfigFile,
    /// Beginning of the fingerprint; `HEAD` or `live` for the files at `[rules] path`
    id: String,
    /// Folder to write the files into; it must not exist or be empty
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

impl ShowTable {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let opened = OpenStore::open(&self.config).await?;
        let table = TableVersion::find(&self.id, &opened).await?;
        let mut stdout = std::io::stdout().lock();
        let Some(folder) = &self.to else {
            for (path, text) in table.by_path() {
                let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
                write!(stdout, "==> {} <==\n{text}{end}", shown(path))?;
            }
            return Ok(Exit::Success);
        };
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let is_empty = std::fs::read_dir(folder)?.next().is_none();
        anyhow::ensure!(is_empty, "{} is not empty", folder.display());
        // Printed at the end, since a closed pipe must not leave files out.
        let mut lines = Vec::new();
        for (path, text) in table.by_path() {
            if !is_below(path) {
                lines.push(format!("skipped {}: outside of the table's folder", shown(path)));
                continue;
            }
            let path = target(folder, path);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(&path, text)
                .with_context(|| format!("cannot write {}", path.display()))?;
            lines.push(format!("wrote {}", shown(&path)));
        }
        for line in lines {
            writeln!(stdout, "{line}")?;
        }
        Ok(Exit::Success)
    }
}
