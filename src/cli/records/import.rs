//! `switchboard records import`: stores the lines of an export, in the store of the settings.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::{describe, load_records_settings};
use crate::cli::confusion::kind_of;
use crate::cli::input::is_stdin;
use crate::cli::output::{counted, exit_after, print_message};
use crate::cli::{ConfigFile, Exit, progress};
use crate::file_kind::FileKind;
use crate::records::{ImportError, NumberPolicy, RowCounts, Store, TransferLine};
use crate::settings::RecordsLocation;

/// Import what `records export` has written: calls, events, rule tables and their changes. Records that the store
/// has are skipped, so an import can be repeated. A line is stored as a whole or not at all.
///
/// Exit status: 0 everything is stored; 1 some lines were not imported; 2 the command could not run.
#[derive(Debug, Args)]
pub(super) struct Import {
    #[command(flatten)]
    config: ConfigFile,
    /// Exported file, or `-` for standard input
    file: PathBuf,
}

/// Maximum number of lines of a transaction.
const LINES: usize = 500;
/// Size at which a transaction ends.
const BYTES: usize = 4 << 20;
/// Maximum length of a line: a call with its events, each as large as a request body.
const LINE_BYTES: u64 = 256 << 20;
/// Maximum number of faulty lines that are described.
const DESCRIBED: u64 = 20;

impl Import {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let records = load_records_settings(&self.config)?.records;
        let (location, numbers) = (records.location, NumberPolicy::new(records.numbers));
        if matches!(location, RecordsLocation::Memory) {
            anyhow::bail!("`[records] url` is \"memory:\", which ends with the process");
        }
        let input: Box<dyn Read> = match is_stdin(&self.file) {
            true => Box::new(std::io::stdin()),
            false => Box::new(
                File::open(&self.file)
                    .with_context(|| format!("cannot read {}", self.file.display()))?,
            ),
        };
        if let Some(kind @ (FileKind::Rules | FileKind::Settings)) = kind_of(&self.file) {
            let (file, kind) = (self.file.display(), kind.as_str());
            anyhow::bail!("{file} is {kind}; import what `switchboard records export` has written");
        }
        let store = Store::open(&location).await.map_err(|error| describe(error, &location))?;
        let mut importer = Importer {
            store: &store,
            numbers,
            lines: Vec::new(),
            stored: RowCounts::default(),
            read: RowCounts::default(),
            failed: 0,
        };
        let result = importer.read(BufReader::new(input)).await;
        let printed = importer.print_result();
        store.close().await;
        result.context("the import is incomplete; run it again to complete it")?;
        let exit = if importer.failed == 0 { Exit::Success } else { Exit::Failure };
        exit_after(printed, exit)
    }
}

/// An import in progress.
struct Importer<'s> {
    store: &'s Store,
    numbers: NumberPolicy,
    /// The lines of the next transaction, with their line numbers.
    lines: Vec<(u64, TransferLine)>,
    /// Rows that are new in the store.
    stored: RowCounts,
    /// Rows of the lines that are in the store now.
    read: RowCounts,
    failed: u64,
}

impl Importer<'_> {
    async fn read(&mut self, mut input: impl BufRead) -> anyhow::Result<()> {
        let mut progress = progress::ProgressLine::default();
        let mut line = Vec::new();
        let mut bytes = 0;
        for number in 1_u64.. {
            line.clear();
            let length = input.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line);
            let length = length.with_context(|| format!("cannot read line {number}"))?;
            if length == 0 {
                break;
            }
            if length as u64 == LINE_BYTES {
                anyhow::bail!("line {number} is longer than {} MB", LINE_BYTES >> 20);
            }
            self.add(number, &line)?;
            bytes += length;
            if self.lines.len() == LINES || bytes >= BYTES {
                self.store_lines().await?;
                bytes = 0;
                progress.show(|| format!("{number} lines"));
            }
        }
        self.store_lines().await?;
        progress.clear();
        Ok(())
    }

    /// Adds a line to the next transaction, or describes what is wrong with it.
    fn add(&mut self, number: u64, line: &[u8]) -> anyhow::Result<()> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        if number == 1 && line.starts_with(b"id,at,") {
            anyhow::bail!("this is CSV, which lacks events; export without --csv");
        }
        match TransferLine::parse(line) {
            Ok(parsed) if !parsed.is_allowed_by(&self.numbers) => {
                let policy = self.numbers.as_str();
                self.reject(
                    number,
                    &format!(
                        "its numbers are stored in full, and `[records] numbers` is \"{policy}\""
                    ),
                );
            }
            Ok(parsed) => self.lines.push((number, parsed)),
            Err(reason) => self.reject(number, &reason),
        }
        Ok(())
    }

    fn reject(&mut self, number: u64, reason: &str) {
        self.failed += 1;
        if self.failed <= DESCRIBED {
            print_message(format!("line {number}: {reason}"));
        } else if self.failed == DESCRIBED + 1 {
            print_message("further faulty lines are only counted");
        }
    }

    /// Stores the lines in one transaction. If the database rejects a row, stores each line in its
    /// own, to find the faulty ones.
    async fn store_lines(&mut self) -> anyhow::Result<()> {
        let lines = std::mem::take(&mut self.lines);
        let (numbers, lines): (Vec<u64>, Vec<TransferLine>) = lines.into_iter().unzip();
        match self.store.import(&lines).await {
            Ok(new) => self.count(&lines, new),
            Err(ImportError::Row(_)) => {
                for (number, line) in numbers.into_iter().zip(&lines) {
                    let line = std::slice::from_ref(line);
                    match self.store.import(line).await {
                        Ok(new) => self.count(line, new),
                        Err(ImportError::Row(reason)) => self.reject(number, &reason),
                        Err(error @ ImportError::Store(_)) => return Err(error.into()),
                    }
                }
            }
            Err(error @ ImportError::Store(_)) => return Err(error.into()),
        }
        Ok(())
    }

    fn count(&mut self, lines: &[TransferLine], new: RowCounts) {
        self.stored.add(new);
        lines.iter().for_each(|line| self.read.add(line.counts()));
    }

    fn print_result(&self) -> anyhow::Result<()> {
        let mut stdout = std::io::stdout().lock();
        let RowCounts { calls, events, snapshots, changes } = self.stored;
        let skipped = self.read.total() - self.stored.total();
        writeln!(
            stdout,
            "imported {}, {}, {}",
            counted(calls, "call"),
            counted(events, "event"),
            counted(snapshots, "rule table")
        )?;
        if changes > 0 {
            writeln!(stdout, "         {}", counted(changes, "rule change"))?;
        }
        writeln!(stdout, "skipped  {skipped} that are stored already")?;
        if self.failed > 0 {
            writeln!(
                stdout,
                "failed   {}; correct the file and import it again",
                counted(self.failed, "line")
            )?;
        }
        Ok(())
    }
}
