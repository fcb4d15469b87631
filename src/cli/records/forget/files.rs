//! Searches the files of the database for the bytes of a number.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::records::{NumberMatches, NumberTraces};
use crate::settings::RecordsLocation;

/// Returns the existing files of a SQLite store: the database, its write-ahead log and its rollback journal.
fn files(location: &RecordsLocation) -> Vec<PathBuf> {
    match location {
        RecordsLocation::Sqlite(path) => {
            let files = ["", "-wal", "-journal"].map(|end| {
                let mut file = path.clone().into_os_string();
                file.push(end);
                PathBuf::from(file)
            });
            files.into_iter().filter(|file| file.exists()).collect()
        }
        RecordsLocation::Off | RecordsLocation::Memory | RecordsLocation::Postgres(_) => Vec::new(),
    }
}

/// Returns the files of a store, and whether they contain the number, other than inside a longer number of
/// another caller.
///
/// # Errors
/// Fails if a file cannot be read.
pub(super) fn search(
    location: &RecordsLocation,
    traces: &NumberTraces,
    remaining: &NumberMatches,
) -> anyhow::Result<Vec<(PathBuf, bool)>> {
    let longer: Vec<&[u8]> = remaining.longer_numbers.iter().map(String::as_bytes).collect();
    let searched = files(location).into_iter().map(|file| {
        let contains = file_contains(&file, &traces.bytes(), &longer);
        let contains = contains.with_context(|| format!("cannot read {}", file.display()))?;
        Ok((file, contains))
    });
    searched.collect()
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
