//! The live table: the rule set that decides calls, replaced atomically by a reload.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};
use jiff::Timestamp;

use super::{IsolatedFile, RuleSet, TablePlaces};
use crate::diagnostics::Report;

/// The rule set in use, with the result of the last attempt to replace it.
///
/// ```
/// use jiff::Timestamp;
/// use switchboard::rules::live::LiveTable;
/// use switchboard::rules::{self, CheckContext};
///
/// let text = "[[rule]]\nname = \"everyone\"\nkeep = true\n";
/// let loaded = rules::parse("rules.toml", text.to_owned(), &CheckContext::default());
/// let live = LiveTable::new(loaded.table.expect("a valid table"), Timestamp::UNIX_EPOCH);
///
/// assert_eq!(&*live.table().rules[0].name, "everyone");
/// let (_, status) = live.table_and_status();
/// assert!(status.last_error.is_none());
/// ```
pub struct LiveTable {
    table: ArcSwap<RuleSet>,
    status: Mutex<LiveStatus>,
}

/// Load time of the rule set in use, and the result of the last attempt to replace it.
#[derive(Debug, Clone)]
pub struct LiveStatus {
    /// Time at which the rule set in use was loaded.
    pub loaded_at: Timestamp,
    /// Time of the last load attempt.
    pub last_attempt_at: Timestamp,
    /// Report of the last attempt when it failed, or isolated files.
    pub last_error: Option<Arc<Report>>,
    /// Time at which the rule set in use was saved, if it was read from the copy on disk.
    pub last_good_at: Option<Timestamp>,
    /// Files that have errors; the rule set in use has their last good version, if there is one.
    pub isolated: Vec<IsolatedFile>,
    /// Lists of the rule set in use that keep their last good rows.
    pub held_lists: Vec<HeldList>,
    /// Places of the parts of the rule set in use, if they are known.
    pub places: Option<Arc<TablePlaces>>,
}

/// A list whose file lost more rows than it may, so its last good rows are in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldList {
    /// Name of the list.
    pub name: Box<str>,
    /// Rows in use.
    pub rows: usize,
    /// Rows of the file.
    pub rows_of_file: usize,
}

impl LiveStatus {
    /// Returns the status of a rule set that is loaded now.
    fn new(now: Timestamp) -> LiveStatus {
        LiveStatus {
            loaded_at: now,
            last_attempt_at: now,
            last_error: None,
            last_good_at: None,
            isolated: Vec::new(),
            held_lists: Vec::new(),
            places: None,
        }
    }
}

impl LiveTable {
    /// Creates a live table with the rule set that was loaded at startup.
    pub fn new(table: RuleSet, now: Timestamp) -> LiveTable {
        let status = Mutex::new(LiveStatus::new(now));
        LiveTable { table: ArcSwap::from_pointee(table), status }
    }

    /// Returns the current rule set. The guard keeps it alive across a reload.
    ///
    /// Not to be held while something is awaited: each thread has eight slots for guards, and a task that
    /// holds one leaves fewer to the others; see [`LiveTable::shared_table`].
    pub fn table(&self) -> Guard<Arc<RuleSet>> {
        self.table.load()
    }

    /// Returns the current rule set, for a task that awaits something while it uses it.
    ///
    /// This costs 59 instructions in place of 56, and all threads count at one place, some 90 ns when two do
    /// nothing else; a request takes 15 µs. Guards that wait for look-ups would be worse: when eight of them
    /// exist on a thread, each further load of a table there costs 146 instructions, of either kind.
    pub fn shared_table(&self) -> Arc<RuleSet> {
        self.table.load_full()
    }

    /// Returns the current rule set and its status, consistent with each other.
    pub fn table_and_status(&self) -> (Arc<RuleSet>, LiveStatus) {
        let status = self.status();
        (self.table.load_full(), status.clone())
    }

    /// Notes the places of the parts of the current rule set.
    pub fn note_places(&self, places: TablePlaces) {
        self.status().places = Some(Arc::new(places));
    }

    /// Publishes a new rule set and returns the previous one.
    pub(crate) fn replace(
        &self,
        table: RuleSet,
        places: Option<TablePlaces>,
        now: Timestamp,
    ) -> Arc<RuleSet> {
        let mut status = self.status();
        *status = LiveStatus { places: places.map(Arc::new), ..LiveStatus::new(now) };
        self.table.swap(Arc::new(table))
    }

    /// Keeps the current rule set after an attempt that failed or found no change.
    pub(crate) fn keep_current(&self, last_error: Option<Arc<Report>>, now: Timestamp) {
        let mut status = self.status();
        status.last_attempt_at = now;
        if last_error.is_none() {
            (status.last_good_at, status.isolated) = (None, Vec::new());
        }
        status.last_error = last_error;
    }

    /// Notes that the files of the current rule set have errors: it is the copy that was saved at
    /// `last_good_at`, or some files are isolated.
    pub fn note_errors(
        &self,
        errors: Arc<Report>,
        last_good_at: Option<Timestamp>,
        isolated: Vec<IsolatedFile>,
    ) {
        let mut status = self.status();
        status.last_error = Some(errors);
        (status.last_good_at, status.isolated) = (last_good_at, isolated);
    }

    /// Notes which lists of the current rule set keep their last good rows.
    pub(crate) fn note_held_lists(&self, held_lists: Vec<HeldList>) {
        self.status().held_lists = held_lists;
    }

    fn status(&self) -> MutexGuard<'_, LiveStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
