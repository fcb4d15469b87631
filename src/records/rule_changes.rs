//! Who changed the rule files, when and why. The files before and after are stored as rule snapshots.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::Row;
use uuid::Uuid;

use super::batch::Param;
use super::query::{time, uuid};
use super::{ImportError, RuleSnapshot, Store, StoreError, TransferLine};

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

    fn parse(word: &str) -> Option<RuleAction> {
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

impl Store {
    /// Stores a change together with the files before it, in one transaction.
    ///
    /// # Errors
    /// Fails, and stores nothing, if the database cannot be written.
    pub async fn add_rule_change(
        &self,
        change: &RuleChange,
        before: RuleSnapshot,
    ) -> Result<(), ImportError> {
        let change = TransferLine::Change(change.clone().into());
        self.import(&[TransferLine::Rules(before.into()), change]).await.map(drop)
    }

    /// Deletes a change that was not carried out.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn delete_rule_change(&self, id: Uuid) -> Result<(), StoreError> {
        let delete = sqlx::query("DELETE FROM rule_changes WHERE id = $1").bind(id.to_string());
        delete.execute(self.deleting_pool()).await?;
        Ok(())
    }

    /// Returns all stored changes, the newest first.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn rule_changes(&self) -> Result<Vec<RuleChange>, StoreError> {
        let changes = "SELECT id, at_ms, who, action, note, old_fingerprint, new_fingerprint \
                       FROM rule_changes ORDER BY id DESC";
        let rows = sqlx::query(changes).fetch_all(&self.pool).await?;
        let change = |row: &sqlx::any::AnyRow| {
            let action: String = row.try_get(3)?;
            let unknown = || StoreError::Unreadable(format!("unknown action `{action}`"));
            Ok(RuleChange {
                id: uuid(row, 0)?,
                at: time(row, 1)?,
                who: row.try_get(2)?,
                action: RuleAction::parse(&action).ok_or_else(unknown)?,
                note: row.try_get(4)?,
                old_fingerprint: row.try_get(5)?,
                new_fingerprint: row.try_get(6)?,
            })
        };
        rows.iter().map(change).collect()
    }
}
