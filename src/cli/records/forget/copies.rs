//! Copies of rules and lists that the service keeps on disk outside of the records, and the files of the
//! rules themselves, which are only searched.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::live_lists;
use crate::records::NumberTraces;
use crate::regular_file::{self, SizeLimit};
use crate::reload::SavedTable;
use crate::rules::{self, CheckContext, Snapshot};
use crate::settings::Settings;

/// A copy on disk.
pub(super) struct CopyOnDisk {
    pub(super) path: PathBuf,
    kind: CopyKind,
}

/// Content of a copy.
#[derive(Clone, Copy)]
enum CopyKind {
    LastGood,
    List,
    /// What a crash leaves of a copy, and what is known about one.
    Other,
}

/// What became of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CopyErasure {
    Edited,
    Deleted,
}

impl fmt::Display for CopyOnDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            CopyKind::LastGood => "the last good table",
            CopyKind::List => "the copy of a list,",
            CopyKind::Other => "the file",
        };
        write!(f, "{kind} {}", self.path.display())
    }
}

/// Returns the copies that the service keeps with these settings, or has kept with others.
///
/// # Errors
/// Fails if a folder cannot be read.
pub(super) fn find(settings: &Settings) -> anyhow::Result<Vec<CopyOnDisk>> {
    let mut copies = Vec::new();
    for path in settings.last_good_paths() {
        copies.push(CopyOnDisk { path: regular_file::unfinished(&path), kind: CopyKind::Other });
        copies.push(CopyOnDisk { path, kind: CopyKind::LastGood });
    }
    for folder in settings.lists_dirs() {
        let files =
            files_in(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        copies.extend(files.into_iter().filter_map(|path| {
            let kind = list_kind(&path)?;
            Some(CopyOnDisk { path, kind })
        }));
    }
    copies.retain(|copy| copy.path.is_file());
    Ok(copies)
}

fn files_in(folder: &Path) -> io::Result<BTreeSet<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    }
}

/// Returns what a file in a folder of lists is; `None` for files of others.
fn list_kind(path: &Path) -> Option<CopyKind> {
    let name = path.file_name().and_then(OsStr::to_str)?;
    let finished = name.strip_suffix(regular_file::UNFINISHED).unwrap_or(name);
    let is_list = rules::is_list_copy(Path::new(finished));
    match (is_list, finished == name) {
        (true, true) => Some(CopyKind::List),
        (true, false) => Some(CopyKind::Other),
        (false, _) => finished.ends_with(".live.json").then_some(CopyKind::Other),
    }
}

impl CopyOnDisk {
    /// Returns whether the copy, or its name, contains the number.
    ///
    /// # Errors
    /// Fails if the copy cannot be read.
    pub(super) fn contains(&self, traces: &NumberTraces) -> anyhow::Result<bool> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let Some(text) = self.text()? else { return Ok(false) };
        Ok(traces.match_text(&name)
            || match saved_table(&text) {
                // In the JSON, a line break can separate two digits of other numbers.
                Some(saved) => traces.match_snapshot(&saved.files),
                None => traces.match_text(&text),
            })
    }

    /// Removes the number from the copy, or deletes the copy if that is impossible.
    ///
    /// # Errors
    /// Fails if the copy cannot be written.
    pub(super) fn erase(&self, traces: &NumberTraces) -> anyhow::Result<CopyErasure> {
        let context = || format!("cannot write {}", self.path.display());
        let Some(text) = self.text()? else { return Ok(CopyErasure::Deleted) };
        if let Some(edited) = self.edited(text, traces)? {
            regular_file::replace(&self.path, &edited).with_context(context)?;
            if let (CopyKind::List, Ok(text)) = (self.kind, str::from_utf8(&edited)) {
                // Otherwise the list would be fetched again at once, perhaps with the number.
                live_lists::note_edited(&self.path, text).with_context(context)?;
            }
            return Ok(CopyErasure::Edited);
        }
        fs::remove_file(&self.path).with_context(context)?;
        Ok(CopyErasure::Deleted)
    }

    /// Returns the copy without the number; `None` if it cannot be used without.
    fn edited(&self, text: String, traces: &NumberTraces) -> anyhow::Result<Option<Vec<u8>>> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        if traces.match_text(&name) {
            return Ok(None);
        }
        match self.kind {
            CopyKind::LastGood => {
                let Some(saved) = saved_table(&text) else { return Ok(None) };
                let files = traces.erase_from_snapshot(&saved.files);
                let edited = files.map(|files| serde_json::to_vec(&SavedTable { files, ..saved }));
                Ok(edited.transpose()?)
            }
            CopyKind::List => {
                let edited = Snapshot::list_without(&self.path, text, &|text| traces.places(text));
                Ok(Some(edited).filter(|text| !traces.match_text(text)).map(String::into_bytes))
            }
            CopyKind::Other => Ok(None),
        }
    }

    /// Returns the text; `None` if the copy is gone, as one is that becomes the next version of another.
    fn text(&self) -> anyhow::Result<Option<String>> {
        let bytes = match regular_file::read(&self.path, SizeLimit::LIST) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.with_context(|| format!("cannot read {}", self.path.display()))?,
        };
        let text = String::from_utf8(bytes);
        Ok(Some(
            text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        ))
    }
}

fn saved_table(text: &str) -> Option<SavedTable> {
    serde_json::from_str(text).ok()
}

/// A file of the rules that contains the number.
pub(super) struct RulesFile {
    pub(super) path: PathBuf,
    /// Lines that contain it.
    pub(super) lines: Vec<usize>,
}

/// Returns the files of the rules, lists included, that contain the number.
pub(super) fn rules_with_number(settings: &Settings, traces: &NumberTraces) -> Vec<RulesFile> {
    let loaded = rules::load(&settings.rules.path, &CheckContext::default(), &mut |_| {});
    let files = loaded.map_or_else(|error| error.files, |loaded| loaded.files);
    let paths: BTreeSet<_> = files.iter().map(|file| file.path().to_owned()).collect();
    let paths = paths.into_iter().filter(|path| path.is_file() && !rules::is_list_copy(path));
    let found = paths.map(|path| RulesFile { lines: lines_with(&path, traces), path });
    found.filter(|file| !file.lines.is_empty()).collect()
}

/// Returns the lines of a file that contain the number. What cannot be read has none.
fn lines_with(path: &Path, traces: &NumberTraces) -> Vec<usize> {
    let Ok((file, _)) = regular_file::open(path, SizeLimit::LIST) else { return Vec::new() };
    let lines = BufReader::new(file).split(b'\n').map_while(Result::ok).enumerate();
    let found = lines.filter(|(_, line)| traces.match_text(&String::from_utf8_lossy(line)));
    found.map(|(at, _)| at + 1).collect()
}
