//! Isolation: files of a folder that have errors stay at their last good version, and the others go live.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::load_with;
use crate::diagnostics::{Report, Severity};
use crate::rules::{
    CheckContext, FileStamp, IsolatedFile, LoadedTable, Progress, ReadError, Replacements, Snapshot,
};

/// A table of which some files may be isolated.
pub struct IsolatedLoad {
    /// The table of a valid combination of old and new files.
    pub loaded: LoadedTable,
    /// Errors and warnings of the files on disk.
    pub report: Report,
    /// Files that have errors.
    pub isolated: Vec<IsolatedFile>,
}

/// Isolates the files that have errors, after a load of the folder failed with `failure`. `good` has the files
/// of the last good table. Returns `None` if no combination of old and new files is valid.
pub fn load_isolated(
    path: &Path,
    context: &CheckContext,
    good: Option<&Snapshot>,
    failure: &Result<LoadedTable, ReadError>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Option<IsolatedLoad> {
    if !path.is_dir() {
        return None;
    }
    let empty = Snapshot::default();
    let good = good.unwrap_or(&empty);
    // A file that is back in its last good version may name no list that the new one names, but that list
    // is watched all the same.
    let mut files = Vec::new();
    add_files(&mut files, failure);
    let mut replaced = Replacements::default();
    let mut blamed = blame(failure, path, good, &replaced);
    // Each round isolates another file, so this ends.
    while let Some(file) = blamed {
        let text = good.text(&file).map(str::to_owned);
        replaced.add(file, text);
        let attempt = load_with(path, context, false, &replaced, progress);
        add_files(&mut files, &attempt);
        match attempt {
            Ok(loaded) if loaded.table.is_some() => {
                let report = match failure {
                    Ok(failed) => failed.report.clone(),
                    Err(error) => Report::from_error("no-table", error.to_string()),
                };
                let loaded = LoadedTable { files, ..loaded };
                return Some(IsolatedLoad { loaded, report, isolated: replaced.isolated() });
            }
            failed => blamed = blame(&failed, path, good, &replaced),
        }
    }
    None
}

/// Adds the files of an attempt that are not among `files`.
fn add_files(files: &mut Vec<FileStamp>, attempt: &Result<LoadedTable, ReadError>) {
    let read = attempt.as_ref().map_or_else(|error| &error.files, |loaded| &loaded.files);
    for file in read {
        if !files.iter().any(|known| known.path() == file.path()) {
            files.push(file.clone());
        }
    }
}

/// Returns the file to isolate next: one with an error, or else, if those are unchanged, the one that was
/// changed last.
fn blame(
    attempt: &Result<LoadedTable, ReadError>,
    folder: &Path,
    good: &Snapshot,
    replaced: &Replacements,
) -> Option<PathBuf> {
    let is_candidate = |path: &PathBuf| !replaced.contains(path) && is_changed(path, good);
    let with_errors = match attempt {
        Ok(loaded) => files_with_errors(&loaded.report),
        Err(error) => error.files.last().map(|file| file.path().to_owned()).into_iter().collect(),
    };
    let mut candidates: Vec<PathBuf> = with_errors
        .iter()
        .flat_map(|path| rule_files(path, folder, good))
        .filter(is_candidate)
        .collect();
    if candidates.is_empty() {
        let on_disk = FileStamp::all_current(&[FileStamp::current(folder)]);
        let on_disk = on_disk.iter().map(|file| file.path().to_owned());
        let paths = on_disk.filter(|path| path != folder).chain(good.paths().map(Path::to_owned));
        candidates = paths.filter(is_candidate).collect();
    }
    // A file that is gone was changed as well; nobody knows when.
    candidates.into_iter().max_by_key(|path| {
        let at = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        (at.is_none(), at, path.clone())
    })
}

fn files_with_errors(report: &Report) -> BTreeSet<PathBuf> {
    let errors = report.diagnostics().iter().filter(|found| found.severity == Severity::Error);
    errors.filter_map(|error| Some(PathBuf::from(&error.location.as_ref()?.file.path))).collect()
}

/// Returns the files to which an error in `path` is laid. A list without a last good version cannot be left
/// out, so the error is laid to the rule files that name it.
fn rule_files(path: &Path, folder: &Path, good: &Snapshot) -> Vec<PathBuf> {
    let is_rule_file = path.extension().is_some_and(|extension| extension == "toml");
    if is_rule_file || good.text(path).is_some() {
        return vec![path.to_owned()];
    }
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let files = FileStamp::all_current(&[FileStamp::current(folder)]);
    let rule_files = files.iter().map(FileStamp::path).filter(|file| *file != folder);
    let naming = rule_files
        .filter(|file| fs::read_to_string(file).is_ok_and(|text| text.contains(name)))
        .map(Path::to_owned);
    naming.collect()
}

/// Returns whether a file differs from its last good version, or has none.
fn is_changed(path: &Path, good: &Snapshot) -> bool {
    match (good.text(path), fs::read(path)) {
        (Some(text), Ok(bytes)) => text.as_bytes() != bytes,
        (Some(_), Err(_)) | (None, Ok(_) | Err(_)) => true,
    }
}
