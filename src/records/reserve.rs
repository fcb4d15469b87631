//! Room on the disk of an SQLite file, held back for the time when the disk is full.
//!
//! SQLite empties its log by copying it into the file, which then may have to grow. A disk without a free byte
//! leaves no way out: nothing can be appended to the log, and the log cannot be emptied. Deleting a file of this
//! size lets the log be emptied, and what it took up becomes free.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use crate::regular_file;
use crate::settings::RecordsLocation;

/// A little more than the log of SQLite, which the file grows by at most when the log is emptied.
const RESERVE_BYTES: u64 = 20 << 20;

/// The file beside the database that takes up the room.
pub(crate) struct DiskReserve {
    path: PathBuf,
}

impl DiskReserve {
    /// Returns the reserve of an SQLite file; `None` for other stores.
    pub(crate) fn of(location: &RecordsLocation) -> Option<DiskReserve> {
        let RecordsLocation::Sqlite(file) = location else { return None };
        let mut path = file.clone().into_os_string();
        path.push("-reserve");
        Some(DiskReserve { path: path.into() })
    }

    /// Takes up the room, unless it is taken, or the disk has less than twice as much: the rest is for records.
    pub(crate) fn take(&self) -> io::Result<()> {
        if std::fs::metadata(&self.path).is_ok_and(|file| file.len() >= RESERVE_BYTES)
            || self.free_bytes()? < 2 * RESERVE_BYTES
        {
            return Ok(());
        }
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&self.path)?;
        let taken = take_up(&file);
        if taken.is_err() {
            self.remove()?;
        }
        taken
    }

    /// Gives the room back if the disk is full. Returns whether it did.
    pub(crate) fn release_if_full(&self) -> io::Result<bool> {
        let is_full = self.path.exists() && self.free_bytes()? < RESERVE_BYTES / 2;
        if is_full {
            self.remove()?;
        }
        Ok(is_full)
    }

    fn remove(&self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }

    /// Returns what the disk has left for this process.
    fn free_bytes(&self) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(regular_file::folder_of(&self.path))?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

/// Takes up blocks on the disk: a file that is only long has none.
fn take_up(file: &File) -> io::Result<()> {
    let flags = rustix::fs::FallocateFlags::empty();
    Ok(rustix::fs::fallocate(file, flags, 0, RESERVE_BYTES)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn the_room_is_taken_up_once_and_only_given_back_on_a_full_disk() {
        let folder = tempfile::tempdir().unwrap();
        let location = RecordsLocation::Sqlite(folder.path().join("r.db"));
        let reserve = DiskReserve::of(&location).unwrap();
        for _ in 0..2 {
            reserve.take().unwrap();
            let file = std::fs::metadata(folder.path().join("r.db-reserve")).unwrap();
            assert!(file.blocks() * 512 >= RESERVE_BYTES, "{} blocks", file.blocks());
            assert_eq!(file.mode() & 0o777, 0o600);
        }
        assert!(!reserve.release_if_full().unwrap());
        assert!(DiskReserve::of(&RecordsLocation::Memory).is_none());
    }
}
