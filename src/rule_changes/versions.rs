//! Carries out a change: stores the files before it, who made it and why, and then replaces them.

use std::sync::Arc;

use jiff::Timestamp;

use super::files::RuleFiles;
use super::plan::ChangePlan;
use super::write::WriteError;
use crate::domain::phone_number::mask_numbers;
use crate::records::{
    ImportError, NumberPolicy, Recorder, RuleAction, RuleChange, RuleSnapshot, Store, new_id,
};
use crate::rules::{NotHeldReason, ReadError, Snapshot};

/// Where the files before a change are kept.
#[derive(Clone, Copy)]
pub struct Versions<'s> {
    store: &'s Store,
    numbers: &'s NumberPolicy,
    live_since: Option<Timestamp>,
}

/// Who makes a change, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// User of the console, or of the operating system.
    pub who: String,
    /// Reason; may be empty.
    pub note: String,
    /// Time.
    pub at: Timestamp,
}

/// Reason for which the files before a change cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    /// Records are off.
    #[error("`[records] url` is \"off\", so the current version cannot be kept")]
    Off,
    /// The record store cannot be reached at the moment.
    #[error("the record store is not available, so the current version cannot be kept")]
    Unavailable,
    /// Files of rules can contain whole numbers.
    #[error(
        "`[records] numbers` is \"{0}\", so files with whole numbers cannot be kept in the records"
    )]
    Numbers(&'static str),
    /// The files are larger than a stored version may be.
    #[error(
        "the current files are larger than 1 MB together, so they cannot be kept in the records"
    )]
    TooLarge,
    /// The text of a file is not held.
    #[error(
        "{file} {}, so the current files cannot be kept in the records{}",
        .reason.as_str(), .reason.advice()
    )]
    NotHeld {
        /// Name of the file.
        file: String,
        /// Reason.
        reason: NotHeldReason,
    },
}

/// Error of a change. Nothing has been written.
#[derive(Debug, thiserror::Error)]
pub enum CarryOutError {
    /// The files before the change cannot be kept.
    #[error(transparent)]
    NotKept(#[from] NotKept),
    /// The files cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The files on disk have changed since the plan was made.
    #[error("the files have changed in the meantime")]
    Conflict,
    /// The record store returned an error.
    #[error("the current rules cannot be stored: {0}")]
    Store(#[from] ImportError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Maximum number of characters of a note.
const MAX_NOTE_CHARS: usize = 1_000;
/// Maximum number of characters of a user's name.
const MAX_WHO_CHARS: usize = 100;

impl<'s> Versions<'s> {
    /// Keeps versions in a store, which has this policy for numbers.
    pub fn new(store: &'s Store, numbers: &'s NumberPolicy) -> Versions<'s> {
        Versions { store, numbers, live_since: None }
    }

    /// Names the time since which the current files are live, if they are. Without it, a version that was not
    /// stored before is stored with the time of the change.
    pub fn live_since(self, at: Option<Timestamp>) -> Versions<'s> {
        Versions { live_since: at, ..self }
    }

    /// Checks that these files can be kept, and returns them as they are stored: numbers are stored in full, since
    /// files of rules can contain some, and the files are UTF-8 and not too large.
    ///
    /// # Errors
    /// Fails with the reason if they cannot.
    pub fn check(self, files: &RuleFiles) -> Result<&Snapshot, NotKept> {
        if !self.numbers.stores_full() {
            return Err(NotKept::Numbers(self.numbers.as_str()));
        }
        let files = files.snapshot().map_err(|(file, reason)| NotKept::NotHeld { file, reason })?;
        match files.fits_into_records() {
            true => Ok(files),
            false => Err(NotKept::TooLarge),
        }
    }
}

/// Returns the store of a running service, if it can be written now.
///
/// # Errors
/// Fails with the reason if there is none.
pub fn store_of(recorder: &Recorder) -> Result<Arc<Store>, NotKept> {
    let health = recorder.health().ok_or(NotKept::Off)?;
    let store = health.store().filter(|_| health.outage().is_none());
    store.ok_or(NotKept::Unavailable)
}

/// Stores the current files and the change, replaces the files, and logs who did it. `files` are those for
/// which the plan was made.
///
/// # Errors
/// Fails, with all files as they were, if the current ones cannot be kept, have changed since they were read,
/// or cannot be replaced.
pub async fn carry_out(
    files: RuleFiles,
    plan: ChangePlan,
    new_fingerprint: &str,
    action: RuleAction,
    author: Author,
    versions: Versions<'_>,
) -> Result<RuleChange, CarryOutError> {
    /// One change at a time in this process.
    static CHANGING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _changing = CHANGING.lock().await;
    let kept = versions.check(&files)?.clone();
    let (files, changed) = blocking(move || {
        let changed = files.have_changed();
        (files, changed)
    })
    .await;
    if changed? {
        return Err(CarryOutError::Conflict);
    }
    let change = RuleChange {
        id: new_id(author.at),
        at: author.at,
        who: plain(&author.who, MAX_WHO_CHARS),
        action,
        note: plain(&author.note, MAX_NOTE_CHARS),
        old_fingerprint: files.fingerprint().to_owned(),
        new_fingerprint: new_fingerprint.to_owned(),
    };
    let before = RuleSnapshot {
        fingerprint: change.old_fingerprint.clone(),
        at: versions.live_since.unwrap_or(author.at),
        files: kept,
    };
    versions.store.add_rule_change(&change, before).await?;
    if let Err(error) = blocking(move || plan.write()).await {
        if let Err(error) = versions.store.delete_rule_change(change.id).await {
            tracing::warn!(%error, "a change of the rules that failed is stored as a change");
        }
        return Err(error.into());
    }
    tracing::info!(
        who = mask_numbers(&change.who),
        action = change.action.as_str(),
        note = mask_numbers(&change.note),
        old = change.old_fingerprint,
        new = change.new_fingerprint,
        "rules changed"
    );
    Ok(change)
}

/// Runs work that blocks on a thread of its own.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
    }
}

/// Returns the beginning of a text, on one line.
fn plain(text: &str, chars: usize) -> String {
    let visible = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    visible.take(chars).collect()
}
