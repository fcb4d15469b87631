//! Inputs of a check that the table itself does not hold: the sources, the date, the previous lists.

use std::time::Duration;

use jiff::Timestamp;

use crate::domain::call::Platform;

/// What a table is checked against: what only the settings and the moment know.
#[derive(Debug, Clone, Default)]
pub struct CheckContext {
    /// Who asks; empty when that is not known here.
    pub sources: Vec<SourceInfo>,
    /// The agents that settings name, as a source's fallback.
    pub fallback_agents: Vec<String>,
    /// When it is checked: some dates may be over.
    pub now: Timestamp,
    /// The lists of the table before this one that had somebody on them.
    pub filled_lists: Vec<Box<str>>,
}

/// What rules have to know of a source.
#[derive(Debug, Clone)]
pub struct SourceInfo {
    /// Its name.
    pub source: String,
    /// Its platform.
    pub platform: Platform,
    /// Its budget for an answer.
    pub reply_within: Duration,
}

/// How far a load has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'p> {
    /// So many bytes of so many of the rule files have been read.
    Reading(usize, usize),
    /// So many rows of this list have been read.
    List(&'p str, usize),
    /// The rules are held against each other.
    Comparing,
}
