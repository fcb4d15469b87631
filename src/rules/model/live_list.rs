//! Lists that live elsewhere: in a table that a service publishes as CSV, or in a database.

use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::lookup::LookupBackend;
use super::row_limits::RowLimits;
use crate::domain::phone_number::Country;

/// A list that is fetched from another system. A rule table reads the copy on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveList {
    /// Name of the list.
    pub name: Box<str>,
    /// Where the rows are. No part of the request needs a call.
    pub backend: LookupBackend,
    /// Time between two fetches.
    pub refresh: Duration,
    /// A row with an error refuses the whole answer.
    pub is_strict: bool,
    /// How many rows an answer may lose.
    pub limits: RowLimits,
    /// Columns that hold the numbers; empty for the first column.
    pub number_columns: Vec<Box<str>>,
    /// Columns that rules use.
    pub used_columns: Vec<Box<str>>,
    /// Country of numbers without `+`.
    pub country: Option<Country>,
    /// Path of the copy on disk.
    pub copy: PathBuf,
}

impl LiveList {
    /// Returns a hash of where the list comes from. It contains no secret: a definition refers to secrets by
    /// name.
    pub fn definition(&self) -> String {
        hex::encode(Sha256::digest(format!("{:?}", self.backend).as_bytes()))
    }
}
