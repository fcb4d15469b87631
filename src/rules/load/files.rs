//! Reads the files of a rule table. With `list_rows` and `copy_info`, the only module below `rules` that
//! touches the disk. Keeps a stamp of each file, so that changes are detected.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Cursor, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::encoding::{decode_text, is_utf_16};
use crate::diagnostics::{Location, Report, SourceFile};
use crate::regular_file::{self, SizeLimit};

/// End of the names of copies of lists that live elsewhere.
pub(crate) const COPY_EXTENSION: &str = ".live.csv";

/// Returns whether a file of a table is the copy of a list that lives elsewhere.
pub fn is_list_copy(path: &Path) -> bool {
    let name = path.file_name().map(OsStr::as_encoded_bytes);
    name.is_some_and(|name| name.ends_with(COPY_EXTENSION.as_bytes()))
}

/// State of a file or folder at the time of reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStamp {
    path: PathBuf,
    state: FileState,
}

/// Metadata that changes whenever a file changes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum FileState {
    Missing,
    /// Device, inode, length, and change time in seconds and nanoseconds.
    File([i64; 5]),
    /// Paths of the TOML files in a folder.
    Folder(Vec<PathBuf>),
}

impl FileStamp {
    /// Returns the state of a file as bytes; none for a folder and for a file that is missing.
    pub(crate) fn state_bytes(&self) -> Vec<u8> {
        match &self.state {
            FileState::File(state) => state.iter().flat_map(|part| part.to_be_bytes()).collect(),
            FileState::Missing | FileState::Folder(_) => Vec::new(),
        }
    }

    /// Returns the current stamp of a path.
    pub fn current(path: &Path) -> FileStamp {
        FileStamp { path: path.to_owned(), state: state(path) }
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the current stamp of the same path.
    #[must_use]
    pub fn refreshed(&self) -> FileStamp {
        FileStamp::current(&self.path)
    }

    /// Returns the current stamps of the same paths, and of the files that have come to their folders.
    pub fn all_current(stamps: &[FileStamp]) -> Vec<FileStamp> {
        let (mut current, mut known) = (Vec::new(), HashSet::new());
        let mut add = |stamp: FileStamp| {
            if known.insert(stamp.path.clone()) {
                current.push(stamp);
            }
        };
        for stamp in stamps {
            let stamp = stamp.refreshed();
            let FileState::Folder(paths) = &stamp.state else {
                add(stamp);
                continue;
            };
            let inside: Vec<_> = paths.iter().map(|path| FileStamp::current(path)).collect();
            add(stamp);
            inside.into_iter().for_each(&mut add);
        }
        current
    }

    /// Compares the stamp with the file as it is now.
    pub fn has_changed(&self) -> bool {
        state(&self.path) != self.state
    }
}

fn state(path: &Path) -> FileState {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            toml_files(path).map_or(FileState::Missing, FileState::Folder)
        }
        Ok(metadata) => FileState::File([
            metadata.dev().cast_signed(),
            metadata.ino().cast_signed(),
            metadata.len().cast_signed(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        ]),
        Err(_) => FileState::Missing,
    }
}

/// Returns the TOML files of a folder, sorted by name. Hidden files are skipped: Kubernetes creates
/// some in mounted config maps.
fn toml_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes()[0] == b'.');
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Contents of a rule table's files at the time of loading.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// Paths of the TOML files, in order.
    pub(super) rules: Vec<PathBuf>,
    /// Text of each file by path, lists included.
    pub(super) files: BTreeMap<PathBuf, String>,
    /// A number was erased from a text, so the texts no longer have the fingerprint of the table.
    #[serde(default, rename = "edited", skip_serializing_if = "is_false")]
    pub(super) is_edited: bool,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Snapshot {
    /// Maximum size in bytes of a snapshot in the records. A rule table with larger files, such as a list
    /// of a million numbers, has none.
    pub const MAX_BYTES: u64 = 1 << 20;
    /// Maximum size in bytes of a copy outside of the records.
    const MAX_COPY_BYTES: u64 = 32 << 20;

    /// Returns whether the records store the snapshot.
    pub fn fits_into_records(&self) -> bool {
        self.bytes() <= Snapshot::MAX_BYTES
    }

    /// Returns the text of a file.
    pub fn text(&self, path: &Path) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Returns the paths of the TOML files, in order.
    pub fn rules(&self) -> &[PathBuf] {
        &self.rules
    }

    /// Returns the paths of all files, lists included.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// Returns whether a number was erased from a text since the table was live.
    pub fn is_edited(&self) -> bool {
        self.is_edited
    }

    /// Returns the texts of the files, with their paths.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.files.iter().map(|(path, text)| (&**path, &**text))
    }

    /// Returns the text of a list. The copy of a list that lives elsewhere can be in another folder than
    /// when the snapshot was taken.
    fn list_text(&self, path: &Path) -> Option<&str> {
        let name = path.file_name().filter(|_| is_list_copy(path));
        let same_copy = || self.paths().find(|other| name.is_some() && other.file_name() == name);
        self.text(path).or_else(|| self.text(same_copy()?))
    }

    fn bytes(&self) -> u64 {
        self.files.values().map(|text| text.len() as u64).sum()
    }
}

/// Reason for which the text of a file is not held in memory. The table reads the file all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotHeldReason {
    /// All files together would be larger than a copy may be.
    TooLarge,
    /// The file contains bytes that are not UTF-8.
    NotUtf8,
}

impl NotHeldReason {
    /// Returns the reason in words that follow the name of the file.
    pub fn as_str(self) -> &'static str {
        match self {
            NotHeldReason::TooLarge => "has, with the other files, more than 32 MB",
            NotHeldReason::NotUtf8 => "is not UTF-8",
        }
    }

    /// Returns what to do, to follow the reason; empty if nothing can be done to the file alone.
    pub fn advice(self) -> &'static str {
        match self {
            NotHeldReason::TooLarge => "",
            NotHeldReason::NotUtf8 => "; save it as UTF-8",
        }
    }
}

/// A file whose text is not held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotHeldFile {
    /// State of the file when it was read.
    pub stamp: FileStamp,
    /// Length in bytes.
    pub bytes: u64,
    /// Reason.
    pub reason: NotHeldReason,
}

/// The files of a rule table of which not all can be held. It is no [`Snapshot`], so that nothing loads or stores
/// the held files as if they were the whole table.
#[derive(Debug, Clone, Default)]
pub struct PartialSnapshot {
    /// The texts that are held.
    pub held: Snapshot,
    /// The other files, by path.
    pub not_held: BTreeMap<PathBuf, NotHeldFile>,
}

/// A file, or its copy in a snapshot.
pub(crate) trait Readable: Read + Seek {}

impl<T: Read + Seek> Readable for T {}

/// Reader of a rule table's files. Collects their stamps and a snapshot.
#[derive(Debug)]
pub(crate) struct TableFiles {
    pub(crate) stamps: Vec<FileStamp>,
    /// Texts of the files that were read, except for those in `not_held`; or the snapshot that is read.
    held: Snapshot,
    /// Files whose texts are not held, by path.
    not_held: BTreeMap<PathBuf, NotHeldFile>,
    /// Paths of the files of dates.
    dates: BTreeSet<PathBuf>,
    /// Reads from `held`, in place of the disk.
    is_in_snapshot: bool,
    /// Files to read in another version than the one on disk.
    replaced: Replacements,
}

/// Files of a folder to read in another version than the one on disk, or to leave out.
#[derive(Debug, Clone, Default)]
pub struct Replacements(BTreeMap<PathBuf, Option<String>>);

impl Replacements {
    /// Replaces the text of a file, or leaves it out.
    pub fn add(&mut self, path: PathBuf, text: Option<String>) {
        self.0.insert(path, text);
    }

    /// Returns whether the file is replaced.
    pub fn contains(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }

    /// Returns all replaced files.
    pub fn isolated(&self) -> Vec<IsolatedFile> {
        let files = self.0.iter();
        let isolated = files
            .map(|(path, text)| IsolatedFile { path: path.clone(), is_left_out: text.is_none() });
        isolated.collect()
    }

    fn text(&self, path: &Path) -> Option<&str> {
        self.0.get(path)?.as_deref()
    }

    fn is_left_out(&self, path: &Path) -> bool {
        self.0.get(path).is_some_and(Option::is_none)
    }

    /// Adds the files that are gone from the folder, and removes those that are left out.
    fn apply(&self, folder: &Path, paths: &mut Vec<PathBuf>) {
        let is_rule_file = |path: &Path| path.extension().is_some_and(|end| end == "toml");
        for (path, text) in &self.0 {
            let is_in_folder = path.parent() == Some(folder) && is_rule_file(path);
            if text.is_some() && is_in_folder && !paths.contains(path) {
                paths.push(path.clone());
            }
        }
        paths.retain(|path| !self.is_left_out(path));
        paths.sort();
    }
}

/// A file that has errors while the other files of its folder are live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsolatedFile {
    /// Path of the file.
    pub path: PathBuf,
    /// It has no last good version.
    pub is_left_out: bool,
}

impl TableFiles {
    /// Reads from the disk.
    pub(crate) fn on_disk() -> TableFiles {
        TableFiles::on_disk_except(Replacements::default())
    }

    /// Reads from the disk, except the replaced files.
    pub(crate) fn on_disk_except(replaced: Replacements) -> TableFiles {
        TableFiles {
            stamps: Vec::new(),
            held: Snapshot::default(),
            not_held: BTreeMap::new(),
            dates: BTreeSet::new(),
            is_in_snapshot: false,
            replaced,
        }
    }

    /// Reads from a snapshot, without touching the disk.
    pub(crate) fn in_snapshot(snapshot: &Snapshot) -> TableFiles {
        TableFiles { held: snapshot.clone(), is_in_snapshot: true, ..TableFiles::on_disk() }
    }

    /// Returns whether a file is read in another version than the one on disk.
    pub(crate) fn is_replaced(&self, path: &Path) -> bool {
        self.is_in_snapshot || self.replaced.contains(path)
    }

    /// Returns what was read: the stamps of the files, their texts, and the paths of the files of dates. The texts
    /// are a snapshot if all of them are held.
    pub(crate) fn finish(self) -> FilesRead {
        let TableFiles { stamps, held, not_held, dates, .. } = self;
        let texts = match not_held.is_empty() {
            true => Ok(held),
            false => Err(PartialSnapshot { held, not_held }),
        };
        FilesRead { stamps, texts, dates }
    }

    /// Returns the text of a file, or of all TOML files of a folder. Reports text that is not UTF-8.
    pub(crate) fn texts(
        &mut self,
        path: &Path,
        report: &mut Report,
    ) -> io::Result<Vec<Arc<SourceFile>>> {
        self.stamps.push(FileStamp::current(path));
        if !fs::metadata(path)?.is_dir() {
            return Ok(vec![self.text(path, report)?]);
        }
        let mut paths = toml_files(path)?;
        // Files that are left out are watched all the same.
        let left_out = paths.iter().filter(|path| self.replaced.is_left_out(path));
        self.stamps.extend(left_out.map(|path| FileStamp::current(path)));
        self.replaced.apply(path, &mut paths);
        if paths.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the folder has no *.toml files"));
        }
        let mut texts = Vec::new();
        for path in paths {
            self.stamps.push(FileStamp::current(&path));
            let with_path = |error: io::Error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            };
            texts.push(self.text(&path, report).map_err(with_path)?);
        }
        Ok(texts)
    }

    fn text(&mut self, path: &Path, report: &mut Report) -> io::Result<Arc<SourceFile>> {
        let file = match self.replaced.text(path) {
            Some(text) => Arc::new(SourceFile::new(&path.display().to_string(), text.to_owned())),
            None => read_text(path, report)?,
        };
        self.held.rules.push(path.to_owned());
        self.hold(path, &file.text);
        Ok(file)
    }

    /// Returns the texts of the TOML files in the snapshot that is read.
    pub(crate) fn snapshot_texts(&self) -> Vec<Arc<SourceFile>> {
        let file = |path: &PathBuf| {
            let text = self.held.text(path).unwrap_or_default();
            Arc::new(SourceFile::new(&path.display().to_string(), text.to_owned()))
        };
        self.held.rules.iter().map(file).collect()
    }

    /// Opens a list's file, and returns its length.
    pub(crate) fn open(&mut self, path: &Path) -> io::Result<(Box<dyn Readable>, u64)> {
        if self.is_in_snapshot {
            let text = self.held.list_text(path).map(str::to_owned).ok_or_else(|| {
                io::Error::new(io::ErrorKind::NotFound, "the snapshot does not contain it")
            })?;
            let bytes = text.len() as u64;
            return Ok((Box::new(Cursor::new(text.into_bytes())), bytes));
        }
        self.stamps.push(FileStamp::current(path));
        if let Some(text) = self.replaced.text(path).map(str::to_owned) {
            self.hold(path, &text);
            let bytes = text.len() as u64;
            return Ok((Box::new(Cursor::new(text.into_bytes())), bytes));
        }
        let (mut file, bytes) = regular_file::open(path, SizeLimit::LIST)?;
        if !self.has_room_for(path, bytes) {
            self.note_not_held(path, bytes, NotHeldReason::TooLarge);
            return Ok((Box::new(file), bytes));
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        match decode_text(text.clone()) {
            Some(text) => self.hold(path, &text),
            None => self.note_not_held(path, bytes, NotHeldReason::NotUtf8),
        }
        Ok((Box::new(Cursor::new(text)), bytes))
    }

    /// Opens a file of dates like [`TableFiles::open`].
    pub(crate) fn open_dates(&mut self, path: &Path) -> io::Result<(Box<dyn Readable>, u64)> {
        self.dates.insert(path.to_owned());
        self.open(path)
    }

    fn hold(&mut self, path: &Path, text: &str) {
        let bytes = text.len() as u64;
        match self.has_room_for(path, bytes) {
            true => drop(self.held.files.insert(path.to_owned(), text.to_owned())),
            false => self.note_not_held(path, bytes, NotHeldReason::TooLarge),
        }
    }

    /// Returns whether the texts with this one are no larger than a copy may be. A file can be read twice.
    fn has_room_for(&self, path: &Path, bytes: u64) -> bool {
        let others = self.held.bytes() - self.held.text(path).map_or(0, |text| text.len() as u64);
        others + bytes <= Snapshot::MAX_COPY_BYTES
    }

    fn note_not_held(&mut self, path: &Path, bytes: u64, reason: NotHeldReason) {
        self.held.files.remove(path);
        let file = NotHeldFile { stamp: FileStamp::current(path), bytes, reason };
        self.not_held.insert(path.to_owned(), file);
    }
}

/// What was read of the files of a table.
pub(crate) struct FilesRead {
    pub(crate) stamps: Vec<FileStamp>,
    pub(crate) texts: Result<Snapshot, PartialSnapshot>,
    pub(crate) dates: BTreeSet<PathBuf>,
}

fn read_text(path: &Path, report: &mut Report) -> io::Result<Arc<SourceFile>> {
    let name = path.display().to_string();
    let content = regular_file::read(path, SizeLimit::RULES)?;
    if is_utf_16(&content)
        && let Some(text) = decode_text(content.clone())
    {
        let file = Arc::new(SourceFile::new(&name, text));
        let location = Location { file: file.clone(), span: 0..0 };
        report.error("syntax", Some(location), "the file is UTF-16").help("save the file as UTF-8");
        return Ok(file);
    }
    let error = match String::from_utf8(content) {
        Ok(text) => return Ok(Arc::new(SourceFile::new(&name, text))),
        Err(error) => error,
    };
    // Replacement characters change no offset before the first invalid byte.
    let offset = error.utf8_error().valid_up_to();
    let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
    let file = Arc::new(SourceFile::new(&name, text));
    let location = Location { file: file.clone(), span: offset..offset };
    report.error("syntax", Some(location), "invalid UTF-8").help("save the file as UTF-8");
    Ok(file)
}
