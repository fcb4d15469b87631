//! The copy of a list on disk, and beside it what the other system said about it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Validators;
use crate::regular_file::{self, SizeLimit};
use crate::rules::LiveList;

/// The copy of a list.
pub(super) struct Copy {
    path: PathBuf,
    /// Path of the file about the copy.
    about: PathBuf,
}

/// What is known about a copy.
#[derive(Serialize, Deserialize)]
struct About {
    /// Time at which the copy was fetched or found unchanged.
    confirmed_at: Timestamp,
    /// Hash of the definition from which it came.
    definition: String,
    etag: Option<String>,
    last_modified: Option<String>,
}

impl Copy {
    pub(super) fn of(list: &LiveList) -> Copy {
        Copy::at(&list.copy)
    }

    pub(super) fn at(path: &Path) -> Copy {
        Copy { path: path.to_owned(), about: path.with_extension("json") }
    }

    /// Returns the text.
    pub(super) fn text(&self) -> Option<String> {
        String::from_utf8(regular_file::read(&self.path, SizeLimit::LIST).ok()?).ok()
    }

    /// Returns the line with the names of the columns.
    pub(super) fn header(&self) -> Option<String> {
        Some(self.text()?.lines().next()?.to_owned())
    }

    fn about(&self) -> Option<About> {
        let bytes = regular_file::read(&self.about, SizeLimit::SETTINGS).ok()?;
        serde_json::from_slice(&bytes).ok().filter(|_| self.path.exists())
    }

    pub(super) fn confirmed_at(&self) -> Option<Timestamp> {
        Some(self.about()?.confirmed_at)
    }

    /// Returns what the other system said about the copy, if the list still comes from there.
    pub(super) fn validators(&self, list: &LiveList) -> Option<Validators> {
        let About { definition, etag, last_modified, .. } = self.about()?;
        (definition == hash(list)).then_some(Validators { etag, last_modified })
    }

    /// Notes that the copy is still what the other system has.
    pub(super) fn confirm(&self, now: Timestamp) -> io::Result<()> {
        match self.about() {
            Some(about) => self.write(&About { confirmed_at: now, ..about }),
            None => Ok(()),
        }
    }

    /// Notes what the other system says about a copy whose text is the same.
    pub(super) fn keep(&self, list: &LiveList, said: Validators, now: Timestamp) -> io::Result<()> {
        let Validators { etag, last_modified } = said;
        self.write(&About { confirmed_at: now, definition: hash(list), etag, last_modified })
    }

    /// Replaces the copy, which a crash leaves either old or new.
    pub(super) fn replace(
        &self,
        list: &LiveList,
        text: &str,
        said: Validators,
        now: Timestamp,
    ) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        // Without it, the old text could be taken for the one that the new validators describe.
        drop(fs::remove_file(&self.about));
        regular_file::replace(&self.path, text.as_bytes())?;
        self.keep(list, said, now)
    }

    fn write(&self, about: &About) -> io::Result<()> {
        regular_file::replace(&self.about, &serde_json::to_vec(about)?)
    }
}

/// Returns a hash of where a list comes from. It contains no secret: a definition refers to secrets by name.
fn hash(list: &LiveList) -> String {
    hex::encode(Sha256::digest(format!("{:?}", list.backend).as_bytes()))
}
