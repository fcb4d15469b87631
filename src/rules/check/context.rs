//! Inputs of a check that the table itself does not hold: the sources, the date, the previous lists.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::dialect::Dialects;
use crate::domain::call::Platform;
use crate::rules::RuleSet;

/// Context of a check, from the settings and the clock.
#[derive(Debug, Clone, Default)]
pub struct CheckContext {
    /// Sources of the settings; empty if the settings are unknown.
    pub sources: Vec<SourceInfo>,
    /// Dialects of all platforms that rules can name.
    pub dialects: Dialects,
    /// Names of further platforms, whose declarations have mistakes: rules that name them are not at fault.
    pub invalid_platforms: Vec<String>,
    /// Agents that the settings name as fallbacks.
    pub fallback_agents: Vec<String>,
    /// Current time, for warnings about dates in the past.
    pub now: Timestamp,
    /// Names of the environment variables that are set; `None` if they are unknown.
    pub environment: Option<Arc<HashSet<String>>>,
    /// A missing secret is an error: the table is about to answer calls.
    pub requires_secrets: bool,
    /// Why the caller's history is always unknown, if it is.
    pub no_history: Option<&'static str>,
    /// Folder with the copies of lists that live elsewhere; `None` if the settings are unknown.
    pub lists_dir: Option<PathBuf>,
    /// Lists of the previous table.
    pub previous_lists: Vec<PreviousList>,
    /// Lists are taken as they are, however much they shrank.
    pub takes_shrunk_lists: bool,
}

impl CheckContext {
    /// Returns the context of a check of a table that would replace `live` now.
    #[must_use]
    pub fn after(mut self, live: &RuleSet, now: Timestamp) -> CheckContext {
        self.now = now;
        let previous = live.lists.all().iter().map(|list| PreviousList {
            name: list.name.clone(),
            rows: list.rows,
            digest: list.digest,
            file: list.file().map(Box::from),
        });
        self.previous_lists = previous.collect();
        self
    }

    /// Returns whether the settings have a source at a platform, which may be if they are unknown.
    pub(crate) fn may_have_source_at(&self, platform: Platform) -> bool {
        self.sources.is_empty() || self.sources.iter().any(|source| source.platform == platform)
    }

    /// Returns the list of the previous table with this name.
    pub(crate) fn previous_list(&self, name: &str) -> Option<&PreviousList> {
        self.previous_lists.iter().find(|list| *list.name == *name)
    }
}

/// A list of the previous table.
#[derive(Debug, Clone, Default)]
pub struct PreviousList {
    /// Name.
    pub name: Box<str>,
    /// Number of rows.
    pub rows: usize,
    /// Hash of the file; `None` if the rows were in the rule table.
    pub digest: Option<[u8; 32]>,
    /// Path of the file.
    pub file: Option<Box<str>>,
}

/// A source, as far as it concerns rules.
#[derive(Debug, Clone)]
pub struct SourceInfo {
    /// Name.
    pub source: String,
    /// Platform.
    pub platform: Platform,
    /// Reply deadline.
    pub reply_within: Duration,
    /// Agent that the settings name as the fallback. It answers in place of the platform's own if the platform has
    /// none.
    pub fallback_agent: Option<String>,
}

/// Progress of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'p> {
    /// Bytes of the rule files read so far, and their total.
    Reading(usize, usize),
    /// Path of a list, and the rows read so far.
    List(&'p str, usize),
    /// The search for unreachable rules has started.
    Comparing,
}
