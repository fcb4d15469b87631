//! Reads regular files of a limited size: rules, lists, settings and secrets.
//!
//! Never opens a named pipe, which blocks until another process writes to it, nor a device, which may
//! have no end. Symbolic links are followed.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, FileType, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::diagnostics::{did_you_mean, nearest};

/// Maximum size of a file of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SizeLimit {
    bytes: u64,
    /// Size for messages: `64 MB`.
    shown: &'static str,
}

impl SizeLimit {
    /// Each TOML file of a rule table.
    pub(crate) const RULES: SizeLimit = SizeLimit { bytes: 256_000_000, shown: "256 MB" };
    /// File of a list.
    pub(crate) const LIST: SizeLimit = SizeLimit { bytes: 1_000_000_000, shown: "1 GB" };
    /// Settings file.
    pub(crate) const SETTINGS: SizeLimit = SizeLimit { bytes: 1_000_000, shown: "1 MB" };
    /// File with a certificate chain or a private key.
    pub(crate) const CERTIFICATE: SizeLimit = SizeLimit { bytes: 1_000_000, shown: "1 MB" };
    /// File with a secret.
    pub(crate) const SECRET: SizeLimit = SizeLimit { bytes: 64_000, shown: "64 kB" };

    fn check(self, bytes: u64) -> io::Result<()> {
        if bytes <= self.bytes {
            return Ok(());
        }
        let message = format!("it has {bytes} bytes, and the limit is {}", self.shown);
        Err(io::Error::new(io::ErrorKind::FileTooLarge, message))
    }
}

/// Opens a regular file and returns its size.
///
/// # Errors
/// Fails for anything other than a regular file, and for a file beyond the limit.
pub(crate) fn open(path: &Path, limit: SizeLimit) -> io::Result<(File, u64)> {
    let metadata = fs::metadata(path)?;
    check_type(metadata.file_type())?;
    limit.check(metadata.len())?;
    Ok((File::open(path)?, metadata.len()))
}

/// Ending of the name of a file that has not been renamed to its own name yet. A crash can leave one.
pub(crate) const UNFINISHED: &str = ".new";

/// Returns the path at which [`replace`] writes a file first.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    let mut beside = path.to_owned().into_os_string();
    beside.push(UNFINISHED);
    beside.into()
}

/// Replaces a file, which a crash leaves either old or new, and creates its folder. Only the owner can read both,
/// and stays the owner when another user, such as root, replaces it.
///
/// # Errors
/// Fails if the file cannot be written.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    create_private_folder(folder)?;
    let beside = unfinished(path);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&beside)?;
    keep_owner(path, &file)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(folder)?.sync_all()
}

/// Creates a folder that other users cannot enter. One that exists keeps its mode.
///
/// # Errors
/// Fails if the folder cannot be created.
pub(crate) fn create_private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Returns the folder of a file.
pub(crate) fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Gives a file to the owner of the one that it replaces, if there is one.
fn keep_owner(replaced: &Path, file: &File) -> io::Result<()> {
    let (Ok(old), new) = (fs::metadata(replaced), file.metadata()?) else { return Ok(()) };
    if (old.uid(), old.gid()) == (new.uid(), new.gid()) {
        return Ok(());
    }
    match std::os::unix::fs::fchown(file, Some(old.uid()), Some(old.gid())) {
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
        // Only root may give a file away.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Reads a regular file.
///
/// # Errors
/// Fails for anything other than a regular file, and for a file beyond the limit, even if it grows while
/// it is read.
pub(crate) fn read(path: &Path, limit: SizeLimit) -> io::Result<Vec<u8>> {
    let (file, size) = open(path, limit)?;
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    file.take(limit.bytes + 1).read_to_end(&mut bytes)?;
    limit.check(bytes.len() as u64)?;
    Ok(bytes)
}

/// Returns whether `error` means that the path leads to something other than a regular file of
/// acceptable size.
pub(crate) fn is_unusable(error: &io::Error) -> bool {
    [io::ErrorKind::InvalidInput, io::ErrorKind::FileTooLarge].contains(&error.kind())
}

/// Returns whether every user of the machine may read the file. Folders in which an orchestrator places
/// secrets are left out: there the file belongs to one container, and its mode is often not ours to set.
pub(crate) fn is_exposed(path: &Path) -> bool {
    const OTHERS_READ: u32 = 0o004;
    let is_placed = ["/run/secrets", "/var/run/secrets"].iter().any(|root| path.starts_with(root))
        // A projected volume of Kubernetes.
        || path.parent().is_some_and(|folder| folder.join("..data").exists());
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file);
    let mode = metadata.map_or(0, |metadata| metadata.permissions().mode());
    !is_placed && mode & OTHERS_READ != 0
}

/// Returns which path was probably meant by one at which there is no file, as a help text.
pub(crate) fn help_for_missing(path: &Path) -> Option<String> {
    if path.components().any(|part| part.as_os_str() == "~") {
        return Some("`~` is not expanded: write the whole path of the home directory".to_owned());
    }
    let name = path.file_name()?.to_str()?;
    let entries = fs::read_dir(folder_of(path)).ok()?.flatten();
    let files = entries.filter(|entry| entry.path().is_file());
    let extension = |name: &str| Path::new(name).extension().map(OsStr::to_ascii_lowercase);
    let mut names: Vec<String> = files
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|other| extension(other) == extension(name) || other.starts_with(name))
        .collect();
    names.sort();
    let stem = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let similar = |other: &&String| {
        other.starts_with(name) || nearest(&stem(name), [&*stem(other)]).is_some()
    };
    did_you_mean(name, names.iter().filter(similar).map(String::as_str))
}

fn check_type(file_type: FileType) -> io::Result<()> {
    let kinds = [
        (file_type.is_dir(), "a folder"),
        (file_type.is_fifo(), "a named pipe"),
        (file_type.is_socket(), "a socket"),
        (file_type.is_char_device() || file_type.is_block_device(), "a device"),
    ];
    match kinds.into_iter().find(|(is_kind, _)| *is_kind) {
        None => Ok(()),
        Some((_, kind)) => {
            let message = format!("it is {kind}, not a regular file");
            Err(io::Error::new(io::ErrorKind::InvalidInput, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: SizeLimit = SizeLimit { bytes: 10, shown: "10 bytes" };

    #[track_caller]
    fn rejects(path: &Path, expected: &str) {
        let error = read(path, LIMIT).unwrap_err();
        assert_eq!(error.to_string(), expected, "{}", path.display());
        assert!(is_unusable(&error), "{error:?}");
    }

    #[test]
    fn a_replaced_file_and_its_new_folder_belong_to_the_owner_alone() {
        let outside = tempfile::tempdir().unwrap();
        let path = outside.path().join("data/file");
        replace(&path, b"old").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(folder_of(&path)), mode(&path)), (0o700, 0o600));
    }

    #[test]
    fn reads_regular_files_up_to_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "0123456789").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(read(&link, LIMIT).unwrap(), b"0123456789");
        fs::write(&path, "0123456789a").unwrap();
        rejects(&link, "it has 11 bytes, and the limit is 10 bytes");
        File::create(&path).unwrap().set_len(2_000_000_000).unwrap();
        rejects(&path, "it has 2000000000 bytes, and the limit is 10 bytes");
    }

    #[test]
    fn a_similar_file_beside_a_missing_one_is_proposed() {
        for (existing, missing, expected) in [
            ("customers.csv", "Customers.csv", Some("did you mean `customers.csv`?")),
            ("customer.csv", "customers.csv", Some("did you mean `customer.csv`?")),
            ("customers.csv.txt", "customers.csv", Some("did you mean `customers.csv.txt`?")),
            ("stores.csv", "customers.csv", None),
            ("customers.toml", "customers.csv", None),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(existing), "").unwrap();
            let found = help_for_missing(&folder.path().join(missing));
            assert_eq!(found.as_deref(), expected, "{existing} {missing}");
        }
        assert!(help_for_missing(Path::new("~/a.csv")).unwrap().contains("not expanded"));
    }

    #[test]
    fn a_replaced_file_keeps_its_owner() {
        const OTHER: u32 = 12_345;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "old").unwrap();
        // Only root may give a file away.
        let owner = match std::os::unix::fs::chown(&path, Some(OTHER), Some(OTHER)) {
            Ok(()) => OTHER,
            Err(_) => fs::metadata(&path).unwrap().uid(),
        };
        replace(&path, b"new").unwrap();
        assert_eq!(
            (fs::metadata(&path).unwrap().uid(), fs::read(&path).unwrap()),
            (owner, b"new".to_vec())
        );
    }

    #[test]
    fn a_file_that_everyone_can_read_is_exposed_unless_an_orchestrator_placed_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "0123456789").unwrap();
        for (mode, expected) in [(0o600, false), (0o640, false), (0o644, true), (0o604, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_exposed(&path), expected, "{mode:o}");
        }
        fs::create_dir(folder.path().join("..data")).unwrap();
        assert!(!is_exposed(&path));
    }

    #[test]
    fn rejects_everything_but_regular_files_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        rejects(&link, "it is a named pipe, not a regular file");
        rejects(folder.path(), "it is a folder, not a regular file");
        rejects(Path::new("/dev/zero"), "it is a device, not a regular file");
        let missing = read(&folder.path().join("missing"), LIMIT).unwrap_err();
        assert!(!is_unusable(&missing), "{missing:?}");
    }
}
