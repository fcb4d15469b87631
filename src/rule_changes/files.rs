//! The files at `[rules] path`, as the table reads them: TOML files, lists and calendars.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::rules::{self, CheckContext, LoadedTable, ReadError, Snapshot};

/// The files of the rule table on disk, with or without errors.
#[derive(Debug, Clone)]
pub struct RuleFiles {
    path: PathBuf,
    is_folder: bool,
    snapshot: Snapshot,
    fingerprint: String,
    context: CheckContext,
}

/// Error of reading the files.
#[derive(Debug, thiserror::Error)]
pub enum ReadFilesError {
    /// A file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// The files are too large to be held in memory, or one is not text.
    #[error("the current files are too large, or not UTF-8")]
    TooLarge,
}

/// A file of the rule table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFile<'f> {
    /// Path relative to the folder of the table.
    pub name: String,
    /// Path as the table reads it.
    pub path: &'f Path,
    /// Contents.
    pub text: &'f str,
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
}

impl RuleFileKind {
    /// Returns whether an edit may replace the file.
    pub fn is_editable(self) -> bool {
        match self {
            RuleFileKind::Rules | RuleFileKind::List | RuleFileKind::Other => true,
            RuleFileKind::Outside | RuleFileKind::Copy => false,
        }
    }
}

impl RuleFiles {
    /// Reads the files. Blocks.
    ///
    /// # Errors
    /// Fails if a file cannot be read, or if the files are larger than memory should hold.
    pub fn read(path: &Path, context: &CheckContext) -> Result<RuleFiles, ReadFilesError> {
        let LoadedTable { table, snapshot, .. } = rules::load(path, context, &mut |_| {})?;
        let snapshot = snapshot.ok_or(ReadFilesError::TooLarge)?;
        let fingerprint = match table {
            Some(table) => table.fingerprint,
            // Files with errors have no fingerprint of their own.
            None => hash(&snapshot)[..12].to_owned(),
        };
        let (is_folder, path, context) = (path.is_dir(), path.to_owned(), context.clone());
        Ok(RuleFiles { path, is_folder, snapshot, fingerprint, context })
    }

    /// Returns whether the files on disk are others than those that were read. Blocks.
    ///
    /// # Errors
    /// Fails as [`RuleFiles::read`] does.
    pub fn have_changed(&self) -> Result<bool, ReadFilesError> {
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
        hash(&self.snapshot)
    }

    /// Returns the files as the records store them.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Returns the files: rules in the order in which they are read, then the others by name.
    pub fn files(&self) -> Vec<RuleFile<'_>> {
        let rules = self.snapshot.rules();
        let others = self.snapshot.paths().filter(|path| !rules.iter().any(|rule| rule == path));
        rules.iter().map(PathBuf::as_path).chain(others).map(|path| self.file(path)).collect()
    }

    /// Returns the file with this name.
    pub fn find(&self, name: &str) -> Option<RuleFile<'_>> {
        self.files().into_iter().find(|file| file.name == name)
    }

    /// Returns the texts by name, without copies of lists that live elsewhere.
    pub fn texts(&self) -> BTreeMap<String, &str> {
        let files = self.files().into_iter().filter(|file| file.kind != RuleFileKind::Copy);
        files.map(|file| (file.name, file.text)).collect()
    }

    fn file<'f>(&'f self, path: &'f Path) -> RuleFile<'f> {
        let relative = path.strip_prefix(self.folder()).unwrap_or(path);
        let extension = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
        let kind = match extension.to_ascii_lowercase().as_str() {
            _ if rules::is_list_copy(path) => RuleFileKind::Copy,
            _ if !is_below(relative) => RuleFileKind::Outside,
            _ if self.snapshot.rules().iter().any(|rule| rule == path) => RuleFileKind::Rules,
            "ics" => RuleFileKind::Other,
            _ => RuleFileKind::List,
        };
        let text = self.snapshot.text(path).unwrap_or_default();
        RuleFile { name: relative.display().to_string(), path, text, kind }
    }

    /// Returns the name of a path of the table.
    pub(crate) fn name(&self, path: &Path) -> String {
        path.strip_prefix(self.folder()).unwrap_or(path).display().to_string()
    }
}

fn hash(files: &Snapshot) -> String {
    let mut digest = Sha256::new();
    for (path, text) in files.texts().filter(|(path, _)| !rules::is_list_copy(path)) {
        for part in [path.as_os_str().as_encoded_bytes(), text.as_bytes()] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
    }
    hex::encode(&digest.finalize()[..16])
}

/// Returns whether a relative path stays below its folder.
pub(crate) fn is_below(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}
