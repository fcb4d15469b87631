//! `switchboard records forget`: erases everything that is recorded about a number, and verifies it.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::{OpenStore, counted};
use crate::cli::{ConfigFile, Exit};
use crate::domain::party::{NumberFormat, Party};
use crate::records::{Erased, MatchedCall, NumberMatches, NumberTraces, Overwritten};
use crate::rules::parse_party;
use crate::settings::RecordsLocation;

/// Delete every call from or to the number with its events, and every other row that contains its
/// digits; remove it from stored rule tables; then search again. Asks first; without a terminal, `--yes` is needed.
///
/// Exit status: 0 nothing is left; 1 something is left; 2 the records cannot be read.
#[derive(Debug, Args)]
pub(super) struct Forget {
    #[command(flatten)]
    config: ConfigFile,
    /// Phone number to erase, in any notation
    #[arg(long, allow_hyphen_values = true)]
    number: String,
    /// Show what would be deleted, without deleting
    #[arg(long)]
    dry_run: bool,
    /// Delete without asking
    #[arg(long, short)]
    yes: bool,
}

/// Maximum number of passes: a running service can record the number meanwhile.
const MAX_PASSES: usize = 3;

impl Forget {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let party = parse_party(&self.number, &NumberFormat::default());
        let party = party.map_err(|reason| anyhow::anyhow!("--number: {reason}"))?;
        let opened = OpenStore::open(&self.config).await?;
        let traces = NumberTraces::new(&party, &opened.numbers)
            .context("--number: withheld callers cannot be told apart")?;
        let store = &opened.store;
        let mut remaining = store.find_number(&traces).await?;
        if self.dry_run || !self.yes {
            print_matches(&remaining, &traces, &party)?;
            print_calls(&remaining)?;
        }
        if self.dry_run || (remaining.total() > 0 && !self.may_delete(&party)?) {
            return Ok(Exit::Success);
        }
        let (mut erased, by_mask) = (Erased::default(), remaining.by_mask);
        for _ in 0..MAX_PASSES {
            if remaining.total() == 0 {
                break;
            }
            erased.add(store.erase(&remaining, &traces).await?);
            remaining = store.find_number(&traces).await?;
        }
        // An earlier run may have deleted rows whose bytes are still in the file.
        let overwritten = store.overwrite().await;
        // Before the file is read: closing any handle of a file releases SQLite's locks on it in the
        // whole process.
        store.close().await;
        let files = files(&opened.settings.records.location);
        let containing = containing_files(&files, &traces, &remaining)?;
        print_erased(erased, by_mask, &traces, &party)?;
        print_verification(&remaining, &overwritten, &files, &containing)?;
        let is_erased =
            remaining.total() == 0 && overwritten == Overwritten::Done && containing.is_empty();
        Ok(if is_erased { Exit::Success } else { Exit::Failure })
    }
}

impl Forget {
    /// Asks on the terminal.
    fn may_delete(&self, party: &Party) -> anyhow::Result<bool> {
        if self.yes {
            return Ok(true);
        }
        anyhow::ensure!(
            std::io::stdin().is_terminal(),
            "nothing was deleted: there is no terminal to ask on; write --yes to delete"
        );
        let mut stderr = std::io::stderr();
        write!(stderr, "Delete everything about {}? [y/N] ", party.unmasked())?;
        stderr.flush()?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
    }
}

/// Prints the first of the calls that were found, so that another caller's is noticed.
fn print_calls(found: &NumberMatches) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    for MatchedCall { id, from, to } in &found.examples {
        writeln!(stdout, "         call {id} from {from} to {to}")?;
    }
    let more = found.calls().saturating_sub(found.examples.len());
    if more > 0 {
        writeln!(stdout, "         and {more} more calls")?;
    }
    Ok(())
}

fn print_matches(
    found: &NumberMatches,
    traces: &NumberTraces,
    party: &Party,
) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "number   {}", traces.masked())?;
    writeln!(
        stdout,
        "found    {}, {}, {}",
        counted(found.calls() as u64, "call"),
        counted(found.events() as u64, "event"),
        counted(found.snapshots() as u64, "stored rule table")
    )?;
    print_remarks(&mut stdout, found.by_mask, found.snapshots() > 0, traces, party)
}

fn print_erased(
    erased: Erased,
    by_mask: u64,
    traces: &NumberTraces,
    party: &Party,
) -> anyhow::Result<()> {
    let Erased { calls, events, edited_snapshots, deleted_snapshots } = erased;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "number   {}", traces.masked())?;
    writeln!(stdout, "deleted  {}, {}", counted(calls, "call"), counted(events, "event"))?;
    if edited_snapshots > 0 {
        let tables = counted(edited_snapshots, "stored rule table");
        writeln!(stdout, "edited   {tables}, to explain other calls without the number")?;
    }
    if deleted_snapshots > 0 {
        let tables = counted(deleted_snapshots, "stored rule table");
        writeln!(stdout, "         deleted {tables} that cannot be read without the number")?;
    }
    let has_snapshots = edited_snapshots + deleted_snapshots > 0;
    print_remarks(&mut stdout, by_mask, has_snapshots, traces, party)
}

fn print_remarks(
    mut out: impl Write,
    by_mask: u64,
    has_snapshots: bool,
    traces: &NumberTraces,
    party: &Party,
) -> anyhow::Result<()> {
    if by_mask > 0 {
        writeln!(
            out,
            "         {} stored as {}: all callers with this mask, since they cannot be told apart",
            counted(by_mask, "call"),
            traces.masked()
        )?;
    }
    if has_snapshots {
        writeln!(out, "         remove the number from your rules and lists, too")?;
    }
    if matches!(party, Party::Literal(_)) {
        writeln!(
            out,
            "         not an international number (+ and country code); searched for as text"
        )?;
    }
    Ok(())
}

fn print_verification(
    remaining: &NumberMatches,
    overwritten: &Overwritten,
    files: &[PathBuf],
    containing: &[&Path],
) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "verified {} of {} rows still contain it", remaining.total(), remaining.rows)?;
    for file in files {
        let still =
            if containing.contains(&&**file) { "still contains" } else { "does not contain" };
        writeln!(stdout, "         the file {} {still} it", file.display())?;
    }
    if let Overwritten::NotYet(reason) = overwritten {
        writeln!(
            stdout,
            "         deleted data may not be overwritten yet: {reason}; run the command again"
        )?;
    }
    writeln!(stdout, "A running service drops its cached replies within 60 s.")?;
    Ok(())
}

/// Returns the existing files of a SQLite store: the database and its write-ahead log.
fn files(location: &RecordsLocation) -> Vec<PathBuf> {
    match location {
        RecordsLocation::Sqlite(path) => {
            let mut log = path.clone().into_os_string();
            log.push("-wal");
            let files = [path.clone(), PathBuf::from(log)];
            files.into_iter().filter(|file| file.exists()).collect()
        }
        RecordsLocation::Off | RecordsLocation::Memory | RecordsLocation::Postgres(_) => Vec::new(),
    }
}

/// Returns the files that contain the number, other than inside a longer number of another caller.
fn containing_files<'f>(
    files: &'f [PathBuf],
    traces: &NumberTraces,
    remaining: &NumberMatches,
) -> anyhow::Result<Vec<&'f Path>> {
    let longer: Vec<&[u8]> = remaining.longer_numbers.iter().map(String::as_bytes).collect();
    let mut found = Vec::new();
    for file in files {
        let contains = file_contains(file, &traces.bytes(), &longer);
        if contains.with_context(|| format!("cannot read {}", file.display()))? {
            found.push(&**file);
        }
    }
    Ok(found)
}

fn file_contains(file: &Path, patterns: &[Vec<u8>], longer: &[&[u8]]) -> std::io::Result<bool> {
    const CHUNK_BYTES: usize = 1 << 20;
    let lengths = patterns.iter().map(Vec::len).chain(longer.iter().map(|longer| longer.len()));
    let context = lengths.max().unwrap_or_default();
    let mut file = std::fs::File::open(file)?;
    let mut bytes: Vec<u8> = Vec::with_capacity(CHUNK_BYTES + 2 * context);
    // A place is examined when as many bytes as a number has are read before and behind it.
    let mut first = 0;
    loop {
        let read = Read::by_ref(&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut bytes)?;
        let end = if read == 0 { bytes.len() } else { bytes.len().saturating_sub(context) };
        let occurs = |pattern: &Vec<u8>| {
            (first..end).any(|at| {
                bytes[at..].starts_with(pattern) && !is_inside_longer(&bytes, at, pattern, longer)
            })
        };
        if patterns.iter().any(occurs) {
            return Ok(true);
        }
        if read == 0 {
            return Ok(false);
        }
        let done = end.saturating_sub(context);
        bytes.drain(..done);
        first = end - done;
    }
}

/// Returns whether the pattern at this place is a part of one of these longer numbers.
fn is_inside_longer(bytes: &[u8], at: usize, pattern: &[u8], longer: &[&[u8]]) -> bool {
    let digits = pattern.strip_prefix(b"+").unwrap_or(pattern);
    let at = at + pattern.len() - digits.len();
    longer.iter().any(|longer| {
        let offsets = longer.windows(digits.len()).enumerate();
        let mut offsets = offsets.filter(|(_, window)| *window == digits).map(|(offset, _)| offset);
        offsets.any(|offset| {
            at.checked_sub(offset).is_some_and(|start| bytes[start..].starts_with(longer))
        })
    })
}
