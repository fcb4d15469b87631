//! The copy of a list on disk, and beside it what the other system said about it.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Validators;
use crate::regular_file::{self, SizeLimit};
use crate::rules::{CopyInfo, LiveList};

/// The copy of a list.
#[derive(Clone)]
pub(super) struct Copy {
    path: PathBuf,
}

impl Copy {
    pub(super) fn of(list: &LiveList) -> Copy {
        Copy::at(&list.copy)
    }

    pub(super) fn at(path: &Path) -> Copy {
        Copy { path: path.to_owned() }
    }

    /// Returns the text.
    pub(super) fn text(&self) -> Option<String> {
        String::from_utf8(regular_file::read(&self.path, SizeLimit::LIST).ok()?).ok()
    }

    /// Returns the line with the names of the columns.
    pub(super) fn header(&self) -> Option<String> {
        let (file, _) = regular_file::open(&self.path, SizeLimit::LIST).ok()?;
        BufReader::new(file).lines().next()?.ok()
    }

    fn about(&self) -> Option<CopyInfo> {
        CopyInfo::of(&self.path)
    }

    pub(super) fn confirmed_at(&self) -> Option<Timestamp> {
        Some(self.about()?.confirmed_at)
    }

    /// Returns what the other system said about the copy, if the list still comes from there and nothing else
    /// has written to the copy.
    pub(super) fn validators(&self, list: &LiveList) -> Option<Validators> {
        let CopyInfo { definition, hash, etag, last_modified, .. } = self.about()?;
        let is_same = || self.text().is_some_and(|text| CopyInfo::hash(&text) == hash);
        let is_usable = definition == list.definition() && is_same();
        is_usable.then_some(Validators { etag, last_modified })
    }

    /// Notes that the copy is still what the other system has.
    pub(super) fn confirm(&self, now: Timestamp) -> io::Result<()> {
        match self.about() {
            Some(about) => self.write(&CopyInfo { confirmed_at: now, ..about }),
            None => Ok(()),
        }
    }

    /// Notes what the other system says about a copy that has this text already.
    pub(super) fn keep(
        &self,
        list: &LiveList,
        text: &str,
        said: Validators,
        now: Timestamp,
    ) -> io::Result<()> {
        let Validators { etag, last_modified } = said;
        let (definition, hash) = (list.definition(), CopyInfo::hash(text));
        self.write(&CopyInfo { confirmed_at: now, definition, hash, etag, last_modified })
    }

    /// Notes that the copy has this text now, and is still the answer of the other system.
    pub(super) fn note_edited(&self, text: &str) -> io::Result<()> {
        match self.about() {
            Some(about) => self.write(&CopyInfo { hash: CopyInfo::hash(text), ..about }),
            None => Ok(()),
        }
    }

    /// Replaces the copy, which a crash leaves either old or new.
    pub(super) fn replace(
        &self,
        list: &LiveList,
        text: &str,
        said: Validators,
        now: Timestamp,
    ) -> io::Result<()> {
        // Without it, the old text could be taken for the one that the new validators describe.
        drop(fs::remove_file(CopyInfo::path(&self.path)));
        regular_file::replace(&self.path, text.as_bytes())?;
        self.keep(list, text, said, now)
    }

    fn write(&self, about: &CopyInfo) -> io::Result<()> {
        regular_file::replace(&CopyInfo::path(&self.path), &serde_json::to_vec(about)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_the_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let copy = Copy::at(&folder.path().join("vip.csv"));
        assert_eq!(copy.header(), None);
        for (text, expected) in [("", None), ("a,b", Some("a,b")), ("a,b\r\n1,2\r\n", Some("a,b"))]
        {
            fs::write(&copy.path, text).unwrap();
            assert_eq!(copy.header().as_deref(), expected, "{text:?}");
        }
    }
}
