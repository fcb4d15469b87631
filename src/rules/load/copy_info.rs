//! The file beside the copy of a list that lives elsewhere.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::regular_file::{self, SizeLimit};
use crate::rules::LiveList;

/// What is known about the copy of a list. It is in a file beside the copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyInfo {
    /// Time at which the copy was fetched or found unchanged.
    pub confirmed_at: Timestamp,
    /// [`LiveList::definition`] of the list from which the copy came.
    pub definition: String,
    /// [`CopyInfo::hash`] of the copy.
    pub hash: String,
    /// `ETag` of the answer (RFC 9110).
    pub etag: Option<String>,
    /// `Last-Modified` of the answer.
    pub last_modified: Option<String>,
}

impl CopyInfo {
    /// Returns the path of the file about a copy.
    pub fn path(copy: &Path) -> PathBuf {
        copy.with_extension("json")
    }

    /// Returns the SHA-256 of a text, in hexadecimal.
    pub fn hash(text: &str) -> String {
        hex::encode(Sha256::digest(text.as_bytes()))
    }

    /// Reads what is known about a copy, if there is one.
    pub fn of(copy: &Path) -> Option<CopyInfo> {
        let bytes = regular_file::read(&CopyInfo::path(copy), SizeLimit::SETTINGS).ok()?;
        serde_json::from_slice(&bytes).ok().filter(|_| copy.exists())
    }

    /// Returns whether the copy of a list came from another place than the list does now: another URL or
    /// query. Its columns may be others.
    pub fn is_foreign(list: &LiveList) -> bool {
        CopyInfo::of(&list.copy).is_some_and(|copy| copy.definition != list.definition())
    }
}
