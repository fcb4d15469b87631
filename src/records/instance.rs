//! Detects that two services write to one SQLite file: each tries to lock a file beside it, for as
//! long as it runs.
//!
//! Two services are not an error: both run for some seconds when one replaces the other. SQLite
//! protects the records, but each service waits for the transactions of the other, and a retry that
//! reaches the other one is decided again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::settings::RecordsLocation;

/// Pause between two attempts to lock the file.
const RETRY: Duration = Duration::from_secs(1);

/// State of the lock after an attempt.
enum Attempt {
    /// Held until the file is closed.
    Locked(File),
    /// Another process holds it, and has written its id, or is about to.
    HeldBy(Option<u32>),
    /// The folder of the records does not exist yet.
    NoFolder,
}

/// Warns while another process serves with the same SQLite file. Runs until it is dropped.
pub async fn watch_for_other_instances(location: RecordsLocation) {
    let RecordsLocation::Sqlite(path) = location else { return };
    let path = lock_path(&path);
    let mut warned_of = None;
    let _lock = loop {
        match attempt(&path) {
            Ok(Attempt::Locked(file)) => break file,
            Ok(Attempt::HeldBy(Some(pid))) if warned_of != Some(pid) => {
                tracing::warn!(
                    pid,
                    "another process serves with the same record file; give each its own file, \
                     or use PostgreSQL"
                );
                warned_of = Some(pid);
            }
            Ok(Attempt::HeldBy(_) | Attempt::NoFolder) => {}
            // A folder that cannot be written is reported by the store.
            Err(_) => return,
        }
        tokio::time::sleep(RETRY).await;
    };
    if warned_of.is_some() {
        tracing::info!("no other process serves with the same record file any more");
    }
    std::future::pending().await
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(".lock");
    name.into()
}

fn attempt(path: &Path) -> std::io::Result<Attempt> {
    let options = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path);
    let mut file = match options {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Attempt::NoFolder),
        file => file?,
    };
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            write!(file, "{}", std::process::id())?;
            Ok(Attempt::Locked(file))
        }
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid)?;
            Ok(Attempt::HeldBy(pid.parse().ok()))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}
