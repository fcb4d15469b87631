//! Who changed the rule files, when and why. The files before and after are stored as rule snapshots.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::batch::Param;

/// A change of the rule files by a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleChange {
    /// Id, a UUIDv7.
    pub id: Uuid,
    /// Time of the change.
    pub at: Timestamp,
    /// User of the console, or of the operating system.
    pub who: String,
    /// Kind of the change.
    pub action: RuleAction,
    /// Reason that the person gave; may be empty.
    pub note: String,
    /// Fingerprint of the rule table before the change.
    pub old_fingerprint: String,
    /// Fingerprint of the rule table after the change.
    pub new_fingerprint: String,
}

/// Kind of a change of the rule files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    /// The files were edited.
    Apply,
    /// A stored version was restored.
    Restore,
}

impl RuleAction {
    /// Returns the word of the store and of the log.
    pub fn as_str(self) -> &'static str {
        match self {
            RuleAction::Apply => "apply",
            RuleAction::Restore => "restore",
        }
    }

    pub(super) fn parse(word: &str) -> Option<RuleAction> {
        [RuleAction::Apply, RuleAction::Restore].into_iter().find(|action| action.as_str() == word)
    }
}

impl RuleChange {
    /// The parameters of [`IMPORT_CHANGE`](super::sql::IMPORT_CHANGE), in order.
    pub(crate) fn params<'a>(&'a self, id: &'a str) -> [Param<'a>; 7] {
        use Param::{Number, Text};
        [
            Text(Some(id)),
            Number(Some(self.at.as_millisecond())),
            Text(Some(&self.who)),
            Text(Some(self.action.as_str())),
            Text(Some(&self.note)),
            Text(Some(&self.old_fingerprint)),
            Text(Some(&self.new_fingerprint)),
        ]
    }
}
