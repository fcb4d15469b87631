//! `switchboard rules restore`: writes the files of a stored table to the path of the rules.

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use sha2::{Digest, Sha256};

use super::{TableFiles, short, shown, target};
use crate::cli::records::{OpenStore, describe};
use crate::cli::{ConfigFile, Exit};
use crate::records::{RuleSnapshot, Store, TransferLine};
use crate::rules::{self, CheckContext, Snapshot};

/// Write the files of a stored table to `[rules] path`, after storing the current ones as a table of their
/// own. A running service takes them like any edit. Asks first; without a terminal, `--yes` is needed.
///
/// Exit status: 0 restored, or not after a no; 2 there is no such table, or a file cannot be written.
#[derive(Debug, Args)]
pub(super) struct Restore {
    #[command(flatten)]
    config: ConfigFile,
    /// Beginning of the fingerprint
    id: String,
    /// Restore without asking
    #[arg(long, short)]
    yes: bool,
}

/// What a restoration changes.
struct Plan<'t> {
    /// Files to write, with their texts.
    write: Vec<(PathBuf, &'t str)>,
    /// TOML files of the folder that the table does not have.
    remove: Vec<PathBuf>,
}

impl Restore {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let opened = OpenStore::open(&self.config).await?;
        let table = TableFiles::find(&self.id, &opened).await?;
        let path = &opened.settings.rules.path;
        let plan = Plan::new(&table, path)?;
        let mut stdout = std::io::stdout();
        if plan.write.is_empty() && plan.remove.is_empty() {
            writeln!(stdout, "the files are those of {} already", table.name)?;
            return Ok(Exit::Success);
        }
        plan.print()?;
        if !self.may_write()? {
            return Ok(Exit::Success);
        }
        self.keep_current(&opened, path).await?;
        plan.apply()?;
        writeln!(stdout, "restored {}", table.name)?;
        Ok(Exit::Success)
    }

    /// Asks on the terminal.
    fn may_write(&self) -> anyhow::Result<bool> {
        if self.yes {
            return Ok(true);
        }
        anyhow::ensure!(
            std::io::stdin().is_terminal(),
            "nothing was written: there is no terminal to ask on; write --yes to restore"
        );
        let mut stderr = std::io::stderr();
        write!(stderr, "Replace the rules? [y/N] ")?;
        stderr.flush()?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
    }

    /// Stores the current files, so that they can be restored in turn.
    async fn keep_current(&self, opened: &OpenStore, path: &Path) -> anyhow::Result<()> {
        let Ok(loaded) = rules::load(path, &CheckContext::default(), &mut |_| {}) else {
            // There is nothing to keep.
            return Ok(());
        };
        let files = loaded.snapshot.filter(Snapshot::fits_into_records);
        let files = files.context("the current rules cannot be stored: over 1 MB, or not UTF-8")?;
        let fingerprint = match loaded.table {
            Some(table) => table.fingerprint,
            None => fingerprint_of(&files),
        };
        let location = &opened.settings.records.location;
        let store = Store::open(location).await.map_err(|error| describe(error, location))?;
        let snapshot = RuleSnapshot { fingerprint, at: opened.now, files };
        let name = short(&snapshot.fingerprint).to_owned();
        let stored = store.import(&[TransferLine::Rules(Box::new(snapshot))]).await;
        store.close().await;
        stored.context("the current rules cannot be stored; nothing was written")?;
        writeln!(std::io::stdout(), "kept the current rules as {name}")?;
        Ok(())
    }
}

/// Returns a fingerprint for files with errors, which have none of their own.
fn fingerprint_of(files: &Snapshot) -> String {
    let mut digest = Sha256::new();
    for path in files.paths() {
        digest.update(path.as_os_str().as_encoded_bytes());
        digest.update(files.text(path).unwrap_or_default());
    }
    hex::encode(&digest.finalize()[..6])
}

impl<'t> Plan<'t> {
    fn new(table: &'t TableFiles, path: &Path) -> anyhow::Result<Plan<'t>> {
        let is_folder = path.is_dir();
        let rules = table.snapshot.rules();
        anyhow::ensure!(
            is_folder || rules.len() == 1,
            "the table consists of {} files, and {} is not a folder",
            rules.len(),
            path.display()
        );
        let folder = if is_folder { path } else { path.parent().unwrap_or(Path::new("")) };
        let only = rules.first().and_then(|rules| rules.file_name()).map(Path::new);
        let place = |relative: &Path| match is_folder {
            false if Some(relative) == only => path.to_owned(),
            _ => target(folder, relative),
        };
        let mut write: Vec<_> =
            table.by_path().into_iter().map(|(path, text)| (place(path), text)).collect();
        let mut remove = Vec::new();
        if is_folder {
            let files = rules::FileStamp::all_current(&[rules::FileStamp::current(path)]);
            let paths = files.iter().map(|file| file.path().to_owned());
            let is_new =
                |file: &PathBuf| file != path && !write.iter().any(|(kept, _)| kept == file);
            remove = paths.filter(is_new).collect();
        }
        write.retain(|(path, text)| fs::read(path).ok().as_deref() != Some(text.as_bytes()));
        Ok(Plan { write, remove })
    }

    fn print(&self) -> anyhow::Result<()> {
        let mut stdout = std::io::stdout().lock();
        for (path, _) in &self.write {
            writeln!(stdout, "write   {}", shown(path))?;
        }
        for path in &self.remove {
            writeln!(stdout, "remove  {}", shown(path))?;
        }
        Ok(())
    }

    /// Writes all files beside their places, then renames them: an error leaves the rules as they were.
    fn apply(&self) -> anyhow::Result<()> {
        let mut written = Vec::new();
        for (path, text) in &self.write {
            // A folder of rules does not read hidden files.
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let beside = path.with_file_name(format!(".{name}.restored"));
            let write = || {
                path.parent().map_or(Ok(()), fs::create_dir_all)?;
                let mut file = fs::File::create(&beside)?;
                file.write_all(text.as_bytes())?;
                file.sync_all()
            };
            write().with_context(|| format!("cannot write {}", beside.display()))?;
            written.push((beside, path));
        }
        for (beside, path) in written {
            fs::rename(&beside, path)
                .with_context(|| format!("cannot replace {}", path.display()))?;
        }
        for path in &self.remove {
            fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(())
    }
}
