//! `switchboard records forget`: erases everything that is recorded about a number, and verifies it.

mod copies;
mod files;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::{OpenStore, load_records_settings};
use crate::cli::input::confirm;
use crate::cli::output::{counted, exit_after};
use crate::cli::{ConfigFile, Exit};
use crate::domain::party::{NumberFormat, Party};
use crate::records::{
    Erased, MatchedCall, NumberMatches, NumberPolicy, NumberTraces, Overwritten, Store, StoreError,
};
use crate::rules::parse_party;
use crate::settings::{RecordsLocation, Settings};
use copies::{CopyErasure, CopyOnDisk, RulesFile};

/// Delete every call from or to the number with its events, and every other row that contains its
/// digits; remove it from stored rule tables, from the last good table and from the copies of lists that live
/// elsewhere; then search again. Asks first; without a terminal, `--yes` is needed.
///
/// Exit status: 0 nothing is left, or nothing was to be deleted (--dry-run, or answered with no); 1 something
/// is left; 2 the records cannot be read.
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
        let settings = load_records_settings(&self.config)?;
        let numbers = NumberPolicy::new(settings.records.numbers.clone());
        let traces = NumberTraces::new(&party, &numbers)
            .context("--number: withheld callers cannot be told apart")?;
        let mut search = NumberSearch { party, traces, copies: Vec::new(), settings };
        search.find_copies()?;
        let opened = match OpenStore::open(&self.config).await {
            Ok(opened) => Some(opened),
            // Copies can contain the number although nothing has been recorded.
            Err(error) if !search.copies.is_empty() && is_empty(&error, &search.settings) => None,
            Err(error) => return Err(error),
        };
        let store = opened.map(|opened| opened.store);
        let remaining = match &store {
            Some(store) => store.find_number(&search.traces).await?,
            None => NumberMatches::default(),
        };
        if self.dry_run || !self.yes {
            search.print_matches(&remaining)?;
            print_calls(&remaining)?;
        }
        let has_some = remaining.total() > 0 || !search.copies.is_empty();
        if self.dry_run || (has_some && !self.yes && !search.may_delete()?) {
            return Ok(Exit::Success);
        }
        let erasure = search.erase(store, remaining).await?;
        let exit = if erasure.is_complete() { Exit::Success } else { Exit::Failure };
        let printed = search.print_erased(&erasure);
        exit_after(printed.and_then(|()| search.print_verification(&erasure)), exit)
    }
}

/// Returns whether there are no records, other than in the memory of a service.
fn is_empty(error: &anyhow::Error, settings: &Settings) -> bool {
    let is_none = matches!(error.downcast_ref(), Some(StoreError::NoStore(_)));
    is_none && !matches!(settings.records.location, RecordsLocation::Memory)
}

/// The search for a number.
struct NumberSearch {
    party: Party,
    traces: NumberTraces,
    settings: Settings,
    /// Copies on disk that contain the number.
    copies: Vec<CopyOnDisk>,
}

/// Result of an erasure.
struct Erasure {
    erased: Erased,
    by_mask: u64,
    copies: Vec<(CopyOnDisk, CopyErasure)>,
    remaining: NumberMatches,
    overwritten: Overwritten,
    /// Files of the database, and whether they contain the number still.
    files: Vec<(PathBuf, bool)>,
    /// Copies on disk, and whether they contain the number still.
    copies_on_disk: Vec<(CopyOnDisk, bool)>,
}

impl Erasure {
    fn is_complete(&self) -> bool {
        self.remaining.total() == 0
            && self.overwritten == Overwritten::Done
            && !self.files.iter().any(|(_, contains)| *contains)
            && !self.copies_on_disk.iter().any(|(_, contains)| *contains)
    }
}

impl NumberSearch {
    fn may_delete(&self) -> anyhow::Result<bool> {
        confirm(
            &format!("Delete everything about {}?", self.party.unmasked()),
            "nothing was deleted: there is no terminal to ask on; write --yes to delete",
        )
    }

    fn find_copies(&mut self) -> anyhow::Result<()> {
        for copy in copies::find(&self.settings)? {
            if copy.contains(&self.traces)? {
                self.copies.push(copy);
            }
        }
        Ok(())
    }

    /// Erases what was found, and searches again.
    async fn erase(
        &mut self,
        store: Option<Store>,
        mut remaining: NumberMatches,
    ) -> anyhow::Result<Erasure> {
        let (mut erased, by_mask) = (Erased::default(), remaining.by_mask);
        let mut edited = Vec::new();
        let mut overwritten = Overwritten::Done;
        for copy in std::mem::take(&mut self.copies) {
            let outcome = copy.erase(&self.traces)?;
            edited.push((copy, outcome));
        }
        if let Some(store) = store {
            for _ in 0..MAX_PASSES {
                if remaining.total() == 0 {
                    break;
                }
                erased.add(store.erase(&remaining, &self.traces).await?);
                remaining = store.find_number(&self.traces).await?;
            }
            // An earlier run may have deleted rows whose bytes are still in the file.
            overwritten = store.overwrite().await;
            // Before the file is read: closing any handle of a file releases SQLite's locks on it in the
            // whole process.
            store.close().await;
        }
        let location = &self.settings.records.location;
        let files = files::search(location, &self.traces, &remaining)?;
        let mut copies_on_disk = Vec::new();
        for copy in copies::find(&self.settings)? {
            let contains = copy.contains(&self.traces)?;
            copies_on_disk.push((copy, contains));
        }
        Ok(Erasure {
            erased,
            by_mask,
            copies: edited,
            remaining,
            overwritten,
            files,
            copies_on_disk,
        })
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
        writeln!(stdout, "         and {}", counted(more, "more call"))?;
    }
    Ok(())
}

impl NumberSearch {
    fn print_matches(&self, found: &NumberMatches) -> anyhow::Result<()> {
        let mut stdout = std::io::stdout().lock();
        // Whole, so that a mistyped digit is seen before anything is deleted.
        writeln!(stdout, "number   {}", self.party.unmasked())?;
        writeln!(
            stdout,
            "found    {}, {}, {}",
            counted(found.calls(), "call"),
            counted(found.events(), "event"),
            counted(found.snapshots(), "stored rule table")
        )?;
        if found.changes() > 0 {
            writeln!(stdout, "         {}", counted(found.changes(), "change note"))?;
        }
        for copy in &self.copies {
            writeln!(stdout, "         {copy}")?;
        }
        self.print_remarks(&mut stdout, found.by_mask)
    }

    fn print_erased(&self, erasure: &Erasure) -> anyhow::Result<()> {
        let Erased { calls, events, edited_snapshots, deleted_snapshots, edited_changes } =
            erasure.erased;
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "number   {}", self.traces.masked())?;
        writeln!(stdout, "deleted  {}, {}", counted(calls, "call"), counted(events, "event"))?;
        if edited_snapshots > 0 {
            let tables = counted(edited_snapshots, "stored rule table");
            writeln!(stdout, "edited   {tables}, to explain other calls without the number")?;
        }
        if deleted_snapshots > 0 {
            let tables = counted(deleted_snapshots, "stored rule table");
            writeln!(stdout, "deleted  {tables} that cannot be read without the number")?;
        }
        if edited_changes > 0 {
            writeln!(stdout, "edited   {}", counted(edited_changes, "change note"))?;
        }
        for (copy, outcome) in &erasure.copies {
            match outcome {
                CopyErasure::Edited => writeln!(stdout, "edited   {copy}")?,
                CopyErasure::Deleted => writeln!(stdout, "deleted  {copy}")?,
            }
        }
        self.print_remarks(&mut stdout, erasure.by_mask)
    }

    fn print_remarks(&self, mut out: impl Write, by_mask: u64) -> anyhow::Result<()> {
        if by_mask > 0 {
            writeln!(
                out,
                "         {} stored as {}: all callers with this mask, since they cannot be told apart",
                counted(by_mask, "call"),
                self.traces.masked()
            )?;
        }
        if matches!(self.party, Party::Literal(_)) {
            writeln!(
                out,
                "         not an international number (+ and country code); searched for as text"
            )?;
        }
        for RulesFile { path, lines } in copies::rules_with_number(&self.settings, &self.traces) {
            let (path, lines) = (path.display(), shown_lines(&lines));
            writeln!(
                out,
                "         your file {path} contains it in {lines}: remove it there, too"
            )?;
        }
        Ok(())
    }

    fn print_verification(&self, erasure: &Erasure) -> anyhow::Result<()> {
        let mut stdout = std::io::stdout().lock();
        let NumberMatches { rows, .. } = erasure.remaining;
        let left = erasure.remaining.total();
        writeln!(stdout, "verified {left} of {rows} rows still contain it")?;
        let still = |contains: bool| if contains { "still contains" } else { "does not contain" };
        for (file, contains) in &erasure.files {
            let (file, still) = (file.display(), still(*contains));
            writeln!(stdout, "         the file {file} {still} it")?;
        }
        for (copy, contains) in &erasure.copies_on_disk {
            let (file, still) = (copy.path.display(), still(*contains));
            writeln!(stdout, "         the file {file} {still} it")?;
        }
        if let Overwritten::NotYet(reason) = &erasure.overwritten {
            writeln!(
                stdout,
                "         deleted data may not be overwritten yet: {reason}; run the command again"
            )?;
        }
        if matches!(self.settings.records.location, RecordsLocation::Postgres(_)) {
            writeln!(
                stdout,
                "         not searched: the write-ahead log and replicas of PostgreSQL"
            )?;
        }
        writeln!(stdout, "         not searched: backups and exports")?;
        let windows =
            self.settings.sources.iter().map(|source| source.dialect.timing().retry_window);
        if let Some(longest) = windows.max() {
            let seconds = longest.as_secs();
            writeln!(stdout, "A running service drops its cached replies within {seconds} s.")?;
        }
        Ok(())
    }
}

/// Maximum number of lines of a file that are named.
const SHOWN_LINES: usize = 5;

/// Returns `line 3`, or `lines 3, 8 and 2 more`.
fn shown_lines(lines: &[usize]) -> String {
    let shown: Vec<String> = lines.iter().take(SHOWN_LINES).map(usize::to_string).collect();
    let more = lines.len().saturating_sub(SHOWN_LINES);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("line{} {}{rest}", if lines.len() == 1 { "" } else { "s" }, shown.join(", "))
}
