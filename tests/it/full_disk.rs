//! A disk without a free byte, on a small file system of its own. Without root there is none, and the test ends.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::records_faults::{Client, Setup, until};

/// A mounted file system.
struct Disk(PathBuf);

impl Disk {
    /// Returns `None` if this user cannot mount a file system.
    fn mount(folder: PathBuf, size: &str) -> Option<Disk> {
        std::fs::create_dir_all(&folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&folder);
        let is_mounted = mount.output().is_ok_and(|output| output.status.success());
        is_mounted.then_some(Disk(folder))
    }

    /// Writes to a file until the disk is full.
    fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).unwrap();
        for bytes in [1 << 20, 4096, 1] {
            while file.write_all(&vec![1; bytes]).is_ok() {}
        }
        drop(file.sync_all());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

/// An event with a body of this size.
fn event(id: &str, bytes: usize) -> String {
    let transcript = "t".repeat(bytes);
    format!(r#"{{"event":"call_ended","call":{{"call_id":"{id}","transcript":"{transcript}"}}}}"#)
}

#[test]
fn a_disk_without_a_free_byte_recovers_with_the_reserve_and_not_without_it() {
    for has_reserve in [true, false] {
        let setup = Setup::sqlite("data/switchboard.db", "commit");
        let folder = setup.file().parent().unwrap().to_owned();
        let Some(disk) = Disk::mount(folder.clone(), "96m") else { return };
        let served = setup.serve();
        let mut client = Client::of(&served);
        let reserve = folder.join("switchboard.db-reserve");
        until(&served, "the reserve is taken", || length(&reserve) > 0);
        if !has_reserve {
            std::fs::remove_file(&reserve).unwrap();
        }
        // The log grows, and is not emptied yet.
        for number in 0..12 {
            let body = event(&format!("before-{number}"), 1 << 20);
            assert_eq!(client.post("/events/retell", &body).unwrap().status, 200);
        }
        let log = folder.join("switchboard.db-wal");
        assert!(length(&log) > 12 << 20, "a log of {} bytes", length(&log));
        disk.fill();
        let mut number = 0;
        let mut is_stored = || {
            number += 1;
            let body = event(&format!("full-{number}"), 1 << 20);
            client.post("/events/retell", &body).unwrap().status == 200
        };
        if has_reserve {
            until(&served, "an event is stored on the full disk", &mut is_stored);
            assert_eq!(length(&reserve), 0);
            until(&served, "the store is back", || served.log().contains("record store is back"));
        } else {
            assert!((0..5).all(|_| !is_stored()), "{}", served.log());
            std::fs::remove_file(folder.join("filler")).unwrap();
            until(&served, "an event is stored when there is room", &mut is_stored);
        }
        assert_eq!(served.terminate().0, Some(0));
        assert!(setup.recorded().events.len() > 12);
        drop(disk);
    }
}
