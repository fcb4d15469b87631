//! The stored changes of the rule files.

use sqlx::Row;
use uuid::Uuid;

use super::query::{time, uuid};
use super::{ImportError, RuleAction, RuleChange, RuleSnapshot, Store, StoreError, TransferLine};

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
