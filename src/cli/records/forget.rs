//! `switchboard records forget`: everything that is recorded of a number goes, and that is proved.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::OpenStore;
use crate::cli::{ConfigFile, Exit};
use crate::domain::phone_number::Party;
use crate::records::{NumberMatches, NumberTraces, Overwritten, parse_party};
use crate::settings::RecordsLocation;

/// Deletes every call from or to the number with its events, and every other row that holds its
/// digits; then looks again. Asks nothing. Exits 0 when nothing is left, 1 when something is.
#[derive(Debug, Args)]
pub(super) struct Forget {
    #[command(flatten)]
    config: ConfigFile,
    /// Whom to forget, in any spelling
    #[arg(long, allow_hyphen_values = true)]
    number: String,
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
}

/// A service that runs may write of the number while it is being forgotten.
const ROUNDS: usize = 3;

impl Forget {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let party = parse_party(&self.number).map_err(|why| anyhow::anyhow!("--number: {why}"))?;
        let opened = OpenStore::of(&self.config).await?;
        let traces = NumberTraces::new(&party, &opened.numbers)
            .context("--number: callers who show no number are all alike, and none can be told")?;
        let store = &opened.store;
        let mut left = store.find_number(&traces).await?;
        if self.dry_run {
            say_found(&left, "would go", &traces, &party)?;
            return Ok(Exit::Success);
        }
        let mut gone = NumberMatches::default();
        for _ in 0..ROUNDS {
            if left.total() == 0 {
                break;
            }
            store.erase(&left).await?;
            gone.extend(left);
            left = store.find_number(&traces).await?;
        }
        // An earlier run may have deleted rows whose bytes are still there.
        let overwritten = store.overwrite().await;
        // Before its file is read: to close a file ends SQLite's locks of it, in the whole process.
        store.close().await;
        let files = files(&opened.settings.records.place);
        let in_files = in_files(&files, &traces)?;
        say_found(&gone, "deleted", &traces, &party)?;
        say_proof(&left, &overwritten, &files, &in_files)?;
        let proved = left.total() == 0 && overwritten == Overwritten::Done && in_files.is_empty();
        Ok(if proved { Exit::Success } else { Exit::Failure })
    }
}

fn say_found(
    found: &NumberMatches,
    word: &str,
    traces: &NumberTraces,
    party: &Party,
) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    let count =
        |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    writeln!(stdout, "number   {}", traces.masked())?;
    writeln!(
        stdout,
        "{word:<8} {}, {}, {}",
        count(found.calls(), "call"),
        count(found.events(), "event"),
        count(found.snapshots(), "stored table")
    )?;
    if found.by_mask > 0 {
        writeln!(
            stdout,
            "         {} kept as {}: everybody who is masked like this, for they cannot be told apart",
            count(found.by_mask as usize, "call"),
            traces.masked()
        )?;
    }
    if found.snapshots() > 0 {
        writeln!(
            stdout,
            "         a table of rules names the number: take it out of your rules and lists, too"
        )?;
    }
    if matches!(party, Party::Literal(_)) {
        writeln!(
            stdout,
            "         numbers begin with + and the country code: this is looked for as the very text"
        )?;
    }
    Ok(())
}

fn say_proof(
    left: &NumberMatches,
    overwritten: &Overwritten,
    files: &[PathBuf],
    in_files: &[&Path],
) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "proof    {} of {} rows still hold it", left.total(), left.rows)?;
    for file in files {
        let holds = if in_files.contains(&&**file) { "still hold it" } else { "do not hold it" };
        writeln!(stdout, "         the bytes of {} {holds}", file.display())?;
    }
    if let Overwritten::NotYet(why) = overwritten {
        writeln!(
            stdout,
            "         what was deleted may not be overwritten yet: {why}; run it again"
        )?;
    }
    writeln!(stdout, "A service that runs forgets its own copy of the last answers within 60 s.")?;
    Ok(())
}

/// The files of SQLite's that are there: the database and its log.
fn files(place: &RecordsLocation) -> Vec<PathBuf> {
    match place {
        RecordsLocation::Sqlite(path) => {
            let mut log = path.clone().into_os_string();
            log.push("-wal");
            let files = [path.clone(), PathBuf::from(log)];
            files.into_iter().filter(|file| file.exists()).collect()
        }
        RecordsLocation::Off | RecordsLocation::Memory | RecordsLocation::Postgres(_) => Vec::new(),
    }
}

/// The files that hold the number.
fn in_files<'f>(files: &'f [PathBuf], traces: &NumberTraces) -> anyhow::Result<Vec<&'f Path>> {
    let mut found = Vec::new();
    for file in files {
        let holds = holds(file, &traces.bytes());
        if holds.with_context(|| format!("cannot read {}", file.display()))? {
            found.push(&**file);
        }
    }
    Ok(found)
}

fn holds(file: &Path, wanted: &[Vec<u8>]) -> std::io::Result<bool> {
    const PIECE: usize = 1 << 20;
    let overlap = wanted.iter().map(Vec::len).max().unwrap_or_default();
    let mut file = std::fs::File::open(file)?;
    let mut bytes: Vec<u8> = Vec::with_capacity(PIECE + overlap);
    loop {
        let read = Read::by_ref(&mut file).take(PIECE as u64).read_to_end(&mut bytes)?;
        let text = |wanted: &Vec<u8>| bytes.windows(wanted.len()).any(|piece| piece == &**wanted);
        if wanted.iter().any(text) {
            return Ok(true);
        }
        if read == 0 {
            return Ok(false);
        }
        bytes.drain(..bytes.len().saturating_sub(overlap));
    }
}
