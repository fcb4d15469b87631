//! The files at `[rules] path`, as the table reads them: TOML files, lists and calendars.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::regular_file::{self, SizeLimit};
use crate::rules::{
    self, CheckContext, LoadedTable, NotHeldFile, NotHeldReason, PartialSnapshot, ReadError,
    Snapshot,
};

/// The files of the rule table on disk, with or without errors.
#[derive(Debug, Clone)]
pub struct RuleFiles {
    path: PathBuf,
    is_folder: bool,
    /// The texts of the files, except for those in `not_held`.
    held: Snapshot,
    /// Files whose texts are not held.
    not_held: BTreeMap<PathBuf, NotHeldFile>,
    date_files: BTreeSet<PathBuf>,
    fingerprint: String,
    context: CheckContext,
}

/// A file of the rule table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFile<'f> {
    /// Path relative to the folder of the table.
    pub name: String,
    /// Path as the table reads it.
    pub path: &'f Path,
    /// Contents; empty if they are not held.
    pub text: &'f str,
    /// Length in bytes.
    pub bytes: u64,
    /// Contents by their form.
    pub kind: RuleFileKind,
}

/// What a file of the rule table contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleFileKind {
    /// Rules and definitions, in TOML.
    Rules,
    /// Rows of a list.
    List,
    /// Days of a calendar, or another file.
    Other,
    /// A list or calendar outside of the folder of the table.
    Outside,
    /// The copy of a list that lives elsewhere, which the service writes.
    Copy,
    /// A file that the table reads, and whose text is not held.
    NotHeld(NotHeldReason),
}

impl RuleFileKind {
    /// Returns whether an edit may replace the file.
    pub fn is_editable(self) -> bool {
        match self {
            RuleFileKind::Rules | RuleFileKind::List | RuleFileKind::Other => true,
            RuleFileKind::Outside | RuleFileKind::Copy | RuleFileKind::NotHeld(_) => false,
        }
    }
}

impl RuleFile<'_> {
    /// Opens the file as it is on disk now. Blocks.
    ///
    /// # Errors
    /// Fails if it cannot be opened.
    pub fn open(&self) -> io::Result<File> {
        regular_file::open(self.path, SizeLimit::LIST).map(|(file, _)| file)
    }
}

impl RuleFiles {
    /// Reads the files. Blocks.
    ///
    /// # Errors
    /// Fails if a file cannot be read.
    pub fn read(path: &Path, context: &CheckContext) -> Result<RuleFiles, ReadError> {
        let loaded = rules::load(path, context, &mut |_| {})?;
        let LoadedTable { table, snapshot, partial, date_files, .. } = loaded;
        let whole = snapshot.map(|held| PartialSnapshot { held, not_held: BTreeMap::new() });
        let PartialSnapshot { held, not_held } = whole.or(partial).unwrap_or_default();
        let fingerprint = match table {
            Some(table) => table.fingerprint,
            // Files with errors have no fingerprint of their own.
            None => hash(&held, &not_held)[..12].to_owned(),
        };
        let (is_folder, path, context) = (path.is_dir(), path.to_owned(), context.clone());
        Ok(RuleFiles { path, is_folder, held, not_held, date_files, fingerprint, context })
    }

    /// Returns whether the files on disk are others than those that were read. Blocks.
    ///
    /// # Errors
    /// Fails as [`RuleFiles::read`] does.
    pub fn have_changed(&self) -> Result<bool, ReadError> {
        let current = RuleFiles::read(&self.path, &self.context)?;
        Ok(current.version() != self.version())
    }

    /// Returns the path of the settings.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the table is a folder, to which files can be added.
    pub fn is_folder(&self) -> bool {
        self.is_folder
    }

    /// Returns the folder of the table.
    pub fn folder(&self) -> &Path {
        if self.is_folder { &self.path } else { self.path.parent().unwrap_or(Path::new("")) }
    }

    /// Returns the fingerprint of the table, or of its texts if it has errors.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Returns a hash of all names and texts, by which an edit notices that the files have changed. Copies of
    /// lists that live elsewhere do not count.
    pub fn version(&self) -> String {
        hash(&self.held, &self.not_held)
    }

    /// Returns the files as the records store them.
    ///
    /// # Errors
    /// Fails with the name of the first file whose text is not held, and the reason.
    pub fn snapshot(&self) -> Result<&Snapshot, (String, NotHeldReason)> {
        match self.not_held.iter().next() {
            Some((path, file)) => Err((self.name(path), file.reason)),
            None => Ok(&self.held),
        }
    }

    /// Returns the paths of the TOML files, in the order in which they are read.
    pub fn rules(&self) -> &[PathBuf] {
        self.held.rules()
    }

    /// Returns the files: rules in the order in which they are read, then the others by name.
    pub fn files(&self) -> Vec<RuleFile<'_>> {
        let rules = self.rules();
        let not_held = self.not_held.keys().map(PathBuf::as_path);
        let paths: BTreeSet<&Path> = self.held.paths().chain(not_held).collect();
        let others = paths.into_iter().filter(|path| !rules.iter().any(|rule| rule == path));
        rules.iter().map(PathBuf::as_path).chain(others).map(|path| self.file(path)).collect()
    }

    /// Returns the file with this name.
    pub fn find(&self, name: &str) -> Option<RuleFile<'_>> {
        self.files().into_iter().find(|file| file.name == name)
    }

    /// Returns the texts that are held, by name, without copies of lists that live elsewhere.
    pub fn texts(&self) -> BTreeMap<String, &str> {
        let has_text = |kind| !matches!(kind, RuleFileKind::Copy | RuleFileKind::NotHeld(_));
        let files = self.files().into_iter().filter(|file| has_text(file.kind));
        files.map(|file| (file.name, file.text)).collect()
    }

    fn file<'f>(&'f self, path: &'f Path) -> RuleFile<'f> {
        let relative = path.strip_prefix(self.folder()).unwrap_or(path);
        let extension = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
        let not_held = self.not_held.get(path);
        let kind = match (not_held, extension.to_ascii_lowercase().as_str()) {
            (Some(file), _) => RuleFileKind::NotHeld(file.reason),
            _ if rules::is_list_copy(path) => RuleFileKind::Copy,
            _ if !is_below(relative) => RuleFileKind::Outside,
            _ if self.rules().iter().any(|rule| rule == path) => RuleFileKind::Rules,
            _ if self.date_files.contains(path) => RuleFileKind::Other,
            (None, "ics") => RuleFileKind::Other,
            _ => RuleFileKind::List,
        };
        let text = self.held.text(path).unwrap_or_default();
        let bytes = not_held.map_or(text.len() as u64, |file| file.bytes);
        RuleFile { name: relative.display().to_string(), path, text, bytes, kind }
    }

    /// Returns the name of a path of the table.
    pub(crate) fn name(&self, path: &Path) -> String {
        path.strip_prefix(self.folder()).unwrap_or(path).display().to_string()
    }
}

/// Returns a hash of the texts, and of the states of the files whose texts are not held.
fn hash(held: &Snapshot, not_held: &BTreeMap<PathBuf, NotHeldFile>) -> String {
    let mut digest = Sha256::new();
    let mut add = |path: &Path, content: &[u8]| {
        for part in [path.as_os_str().as_encoded_bytes(), content] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
    };
    for (path, text) in held.texts().filter(|(path, _)| !rules::is_list_copy(path)) {
        add(path, text.as_bytes());
    }
    for (path, file) in not_held.iter().filter(|(path, _)| !rules::is_list_copy(path)) {
        add(path, &file.stamp.state_bytes());
    }
    hex::encode(&digest.finalize()[..16])
}

/// Returns whether a relative path stays below its folder.
pub(crate) fn is_below(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}
