//! Secrets of look-ups and of lists that live elsewhere, in files: they are read again when they change.

use std::path::Path;

use super::settle::Settling;
use crate::rules::{FileStamp, LookupBackend, RuleSet};

/// The files of secrets to which a table refers, as they were when they were read.
#[derive(Default)]
pub(super) struct SecretFiles {
    files: Vec<FileStamp>,
    settling: Settling,
}

impl SecretFiles {
    /// Returns the files of a table, as they are now.
    pub(super) fn of(table: &RuleSet) -> SecretFiles {
        let lookups = table.lookups.iter().map(|lookup| &lookup.backend);
        let lists = table.live_lists.iter().map(|list| &list.backend);
        let references = lookups.chain(lists).flat_map(LookupBackend::secret_references);
        let mut references: Vec<String> = references.collect();
        references.sort();
        references.dedup();
        let paths = references.iter().filter_map(|reference| reference.strip_prefix("file:"));
        let files = paths.map(|path| FileStamp::current(Path::new(path))).collect();
        SecretFiles { files, settling: Settling::default() }
    }

    /// Returns whether a file has changed, and not any more since the last poll.
    pub(super) fn have_changed(&mut self) -> bool {
        self.settling.poll(&self.files)
    }
}
