//! Decides when files that have changed may be read: once nobody writes to them any more.
//!
//! A program that writes a file can pause half-way, so a change is not read at the poll that sees it, but
//! at the next one that sees the same files.

use std::time::Duration;

use crate::rules::{FileStamp, RuleSet};

/// Time without changes before files are read. It exceeds the timestamp resolution of every file
/// system, so a later change is visible in the timestamp even if the length stays the same.
const SETTLE_TIME: Duration = Duration::from_millis(25);
/// Maximum number of settle checks; files that keep changing are then read anyway.
const MAX_SETTLE_CHECKS: usize = 40;
/// Polls that must see the same files before a change is read.
const POLLS: usize = 1;
/// Polls that must see the same files before a table that lost something is used: a download often begins
/// with an empty file.
const POLLS_AFTER_LOSS: usize = 5;
/// Polls in a row that see a change, after which the log says so.
const POLLS_UNTIL_WARNING: usize = 30;

/// A change of files that polls have seen, until the files are read.
#[derive(Debug, Default)]
pub(super) struct Settling {
    /// The files at the last poll; empty without a change.
    seen: Vec<FileStamp>,
    /// Polls that have seen these files, besides the first one.
    polls: usize,
    /// Polls that have to see them.
    needed: usize,
    /// Polls in a row that have seen a change.
    changes: usize,
}

impl Settling {
    /// Notes the state of the files at a poll. `used` are the files as they were read last. Returns whether
    /// they have changed since then, and may be read now.
    pub(super) fn poll(&mut self, used: &[FileStamp]) -> bool {
        if self.seen.is_empty() {
            if has_changed(used) {
                self.wait_for(FileStamp::all_current(used));
            }
            return false;
        }
        let now = FileStamp::all_current(&self.seen);
        if now != self.seen {
            if !has_changed(used) {
                *self = Settling::default();
                return false;
            }
            self.wait_for(now);
            self.changes += 1;
            if self.changes == POLLS_UNTIL_WARNING {
                tracing::warn!(
                    "files of the rules keep changing; SIGHUP or POST /reload reads them now"
                );
            }
            return false;
        }
        self.changes = 0;
        self.polls += 1;
        self.polls >= self.needed
    }

    /// Returns whether a table that was read from these files may be used. Otherwise further polls decide:
    /// a file may be new, and still be written.
    pub(super) fn accept(&mut self, files: &[FileStamp]) -> bool {
        let is_seen = files.iter().all(|file| self.seen.contains(file));
        if !is_seen {
            self.wait_for(FileStamp::all_current(files));
        }
        is_seen
    }

    /// Returns whether a table that lost something may replace the live one. Otherwise further polls decide.
    pub(super) fn accept_loss(&mut self) -> bool {
        self.needed = POLLS + POLLS_AFTER_LOSS;
        self.polls >= self.needed
    }

    /// Forgets the change, because the files were read.
    pub(super) fn finish(&mut self) {
        *self = Settling::default();
    }

    fn wait_for(&mut self, files: Vec<FileStamp>) {
        (self.seen, self.polls, self.needed) = (files, 0, POLLS);
    }
}

/// Returns what calls would lose if the new table replaced the live one: all rows of a list, or the rule for
/// every call. Such a change can be one half of an edit.
pub(super) fn loss(live: &RuleSet, new: &RuleSet) -> Option<String> {
    let emptied = new.lists.all().iter().find(|list| {
        let before = live.lists.find(&list.name).map(|before| live.lists.list(before).size);
        list.size == 0 && before.is_some_and(|size| size > 0)
    });
    if let Some(list) = emptied {
        return Some(format!("list `{}` is empty now", list.name));
    }
    let is_lost = live.has_rule_for_every_call() && !new.has_rule_for_every_call();
    is_lost.then(|| "no rule matches every call any more".to_owned())
}

/// Returns whether any of the files has changed.
pub(super) fn has_changed(files: &[FileStamp]) -> bool {
    files.iter().any(FileStamp::has_changed)
}

/// Waits until the files have not changed for [`SETTLE_TIME`], and returns their state.
pub(super) fn wait_until_settled(files: &[FileStamp]) -> Vec<FileStamp> {
    let current = || files.iter().map(FileStamp::refreshed).collect::<Vec<_>>();
    let mut stamps = current();
    for _ in 0..MAX_SETTLE_CHECKS {
        std::thread::sleep(SETTLE_TIME);
        if !has_changed(&stamps) {
            break;
        }
        stamps = current();
    }
    stamps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_settled_when_the_next_poll_sees_the_same_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let write = |text: &str| {
            // Another inode each time, whatever the resolution of the timestamps.
            let beside = folder.path().join(format!("key.{}", text.len()));
            std::fs::write(&beside, text).unwrap();
            std::fs::rename(beside, &path).unwrap();
        };
        write("a");
        let used = [FileStamp::current(&path)];
        let mut settling = Settling::default();
        assert!(!settling.poll(&used), "nothing has changed");
        for text in ["ab", "abc", "abcd"] {
            write(text);
            assert!(!settling.poll(&used), "still being written");
        }
        assert!(settling.poll(&used));
        assert!(settling.accept(&[FileStamp::current(&path)]));
        let new = FileStamp::current(&folder.path().join("new"));
        assert!(!settling.accept(&[FileStamp::current(&path), new]), "no poll has seen it");
        assert!(settling.poll(&used));
        assert!(!settling.accept_loss());
        let further = (0..POLLS_AFTER_LOSS).filter(|_| settling.poll(&used)).count();
        assert_eq!(further, 1, "only the last of the further polls");
        assert!(settling.accept_loss());
        settling.finish();
        assert!(!settling.poll(&[FileStamp::current(&path)]));
    }
}
