//! The history of the rule files: the changes by people, and the tables that became live without one.

use std::cmp::Reverse;

use jiff::Timestamp;
use uuid::Uuid;

use super::RuleChange;

/// A table that became live, by a change or by other means, such as an edit of the files on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleStep {
    /// Time of the change, or the last time at which the table became live.
    pub at: Timestamp,
    /// Fingerprint of the table.
    pub fingerprint: String,
    /// The change that led to it; `None` if it became live by other means.
    pub change: Option<RuleChange>,
}

impl RuleStep {
    /// Returns the id of the change, if one led to the table.
    pub fn change_id(&self) -> Option<Uuid> {
        self.change.as_ref().map(|change| change.id)
    }
}

/// Returns the history, newest first: each change, and each table that became live last without one. `versions` are
/// the stored tables, with the last time at which each became live: earlier times are not stored.
pub fn rule_history(changes: &[RuleChange], versions: &[(String, Timestamp)]) -> Vec<RuleStep> {
    let of_changes = changes.iter().map(|change| RuleStep {
        at: change.at,
        fingerprint: change.new_fingerprint.clone(),
        change: Some(change.clone()),
    });
    let others = versions.iter().filter(|version| !is_by_change(version, changes, versions));
    let others = others.map(|(fingerprint, at)| RuleStep {
        at: *at,
        fingerprint: fingerprint.clone(),
        change: None,
    });
    let mut steps: Vec<_> = of_changes.chain(others).collect();
    // A change at the time of another step came after it.
    steps.sort_by_key(|step| (Reverse(step.at), step.change.is_none()));
    steps
}

/// Returns whether the last change before a table became live led to it, and no other table was live in between.
fn is_by_change(
    (fingerprint, at): &(String, Timestamp),
    changes: &[RuleChange],
    versions: &[(String, Timestamp)],
) -> bool {
    let before = changes.iter().filter(|change| change.at <= *at);
    let Some(last) = before.max_by_key(|change| change.at) else { return false };
    let is_between = |other: &(String, Timestamp)| {
        other.0 != *fingerprint && last.at < other.1 && other.1 <= *at
    };
    last.new_fingerprint == *fingerprint && !versions.iter().any(is_between)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::RuleAction;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn change(second: i64, who: &str, old: &str, new: &str) -> RuleChange {
        RuleChange {
            id: Uuid::from_u128(u128::try_from(second).unwrap()),
            at: at(second),
            who: who.to_owned(),
            action: RuleAction::Apply,
            note: String::new(),
            old_fingerprint: old.to_owned(),
            new_fingerprint: new.to_owned(),
        }
    }

    /// Returns the history as `second fingerprint person`.
    fn shown(changes: &[RuleChange], versions: &[(&str, i64)]) -> Vec<String> {
        let versions =
            versions.iter().map(|(fingerprint, second)| ((*fingerprint).to_owned(), at(*second)));
        let steps = rule_history(changes, &versions.collect::<Vec<_>>());
        let row = |step: &RuleStep| {
            let who = step.change.as_ref().map_or("-", |change| &change.who);
            format!("{} {} {who}", step.at.as_second(), step.fingerprint)
        };
        steps.iter().map(row).collect()
    }

    #[test]
    fn every_change_stays_when_a_fingerprint_returns() {
        let changes =
            [change(30, "ann", "b", "a"), change(20, "ann", "a", "b"), change(10, "eve", "0", "a")];
        let versions = [("a", 31), ("b", 21), ("0", 1)];
        assert_eq!(shown(&changes, &versions), ["30 a ann", "20 b ann", "10 a eve", "1 0 -"]);
        // A restart makes the same table live again.
        let restarted = [("a", 99), ("b", 21), ("0", 1)];
        assert_eq!(shown(&changes, &restarted)[0], "30 a ann");
        assert_eq!(shown(&changes, &restarted).len(), 4);
    }

    #[test]
    fn an_edit_on_disk_is_not_taken_for_an_earlier_change_to_the_same_files() {
        let changes = [change(10, "eve", "0", "a")];
        let versions = [("a", 40), ("b", 30), ("0", 1)];
        assert_eq!(shown(&changes, &versions), ["40 a -", "30 b -", "10 a eve", "1 0 -"]);
    }

    #[test]
    fn the_files_before_a_change_that_were_stored_with_it_come_before_it() {
        let changes = [change(10, "eve", "0", "a")];
        assert_eq!(shown(&changes, &[("a", 10), ("0", 10)]), ["10 a eve", "10 0 -"]);
    }
}
