//! The last good table on disk: a copy of the files of the live table, with which the service can start when
//! the files themselves have errors.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::run_tests;
use crate::regular_file::{self, SizeLimit};
use crate::rules::{self, CheckContext, LoadedTable, Snapshot};

/// The file of the last good table.
#[derive(Debug, Clone)]
pub struct LastGood {
    path: PathBuf,
}

/// Content of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedTable {
    /// Fingerprint of the table.
    pub fingerprint: String,
    /// Time at which the table became the live one.
    pub saved_at: Timestamp,
    /// Text of its files.
    pub files: Snapshot,
}

impl SavedTable {
    /// Checks the table again and runs its tests, without reading other files. The tests of a table from which
    /// a number was erased are not run: they can be about it.
    pub fn load(&self, context: &CheckContext) -> LoadedTable {
        let loaded = rules::parse_snapshot(&self.files, context);
        match self.files.is_edited() {
            true => loaded,
            false => run_tests(loaded, false),
        }
    }
}

impl LastGood {
    /// Creates the last good table at `path`.
    pub fn new(path: PathBuf) -> LastGood {
        LastGood { path }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file. Returns `None` if there is none.
    ///
    /// # Errors
    /// Fails if the file cannot be read, or is no last good table.
    pub fn read(&self) -> io::Result<Option<SavedTable>> {
        match regular_file::read(&self.path, SizeLimit::RULES) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the file, which a crash leaves either old or new. Only its owner can read it: a table can
    /// contain phone numbers.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn save(&self, table: &SavedTable) -> io::Result<()> {
        regular_file::replace(&self.path, &serde_json::to_vec(table)?)
    }

    /// Deletes the file: a table that is too large for a copy has become the live one, and the file is no
    /// longer the last good one.
    ///
    /// # Errors
    /// Fails if the file cannot be deleted.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_written_file_beside_it_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let last_good = LastGood::new(folder.path().join("below/last-good-table"));
        assert_eq!(last_good.read().unwrap(), None);
        let (fingerprint, saved_at) = ("abc".to_owned(), Timestamp::UNIX_EPOCH);
        let table = SavedTable { fingerprint, saved_at, files: Snapshot::default() };
        last_good.save(&table).unwrap();
        let beside = folder.path().join("below/last-good-table.new");
        assert!(!beside.exists());
        fs::write(&beside, "{\"fingerprint\":").unwrap();
        assert_eq!(last_good.read().unwrap(), Some(table.clone()));
        last_good.save(&table).unwrap();
        assert!(!beside.exists(), "the rest of a crash is replaced");
        fs::write(last_good.path(), "{").unwrap();
        assert!(last_good.read().is_err());
        last_good.remove().unwrap();
        last_good.remove().unwrap();
    }
}
