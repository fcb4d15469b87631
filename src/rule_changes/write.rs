//! Writes the files of a plan: all of them beside their places first, so that an error changes nothing.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::files::RuleFiles;
use super::plan::ChangePlan;
use crate::regular_file;

/// A file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {error}{}", .path.display(), advice(.error))]
pub struct WriteError {
    action: &'static str,
    path: PathBuf,
    error: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    let is_mounted = error.kind() == io::ErrorKind::ResourceBusy;
    let advice = "; a file that is mounted on its own cannot be replaced: mount its folder";
    if is_mounted { advice } else { "" }
}

/// A text beside the place that it will take. Removed unless it takes it.
struct Staged {
    beside: PathBuf,
    place: PathBuf,
    /// Contents and mode of the file that it replaces.
    old: Former,
    is_placed: bool,
}

impl ChangePlan {
    /// Writes all files beside their places, then renames them: an error leaves the files as they were.
    /// Each file keeps its mode. Blocks.
    ///
    /// # Errors
    /// Fails if a file cannot be written or removed.
    pub fn write(&self) -> Result<(), WriteError> {
        let mut staged = Vec::new();
        for (path, text) in self.writes() {
            staged.push(Staged::write(path, text.as_bytes())?);
        }
        let mut done = Done::default();
        for file in staged {
            done.place(file).map_err(|error| done.undo(error))?;
        }
        for path in self.removals() {
            done.remove(path).map_err(|error| done.undo(error))?;
        }
        done.sync_folders();
        Ok(())
    }
}

impl Staged {
    fn write(path: &Path, text: &[u8]) -> Result<Staged, WriteError> {
        // A link stays a link.
        let place = fs::canonicalize(path).unwrap_or_else(|_missing| path.to_owned());
        let old = read(&place).map_err(|error| failed("read", &place, error))?;
        let staged = Staged { beside: beside(&place), place, old, is_placed: false };
        staged.fill(text).map_err(|error| failed("write", &staged.beside, error))?;
        Ok(staged)
    }

    fn fill(&self, text: &[u8]) -> io::Result<()> {
        self.place.parent().map_or(Ok(()), fs::create_dir_all)?;
        let mut file = File::create(&self.beside)?;
        if let Ok(metadata) = fs::metadata(&self.place) {
            file.set_permissions(metadata.permissions())?;
            // Only the superuser may give a file to its former owner; for others it stays the service's.
            drop(std::os::unix::fs::fchown(&file, Some(metadata.uid()), Some(metadata.gid())));
        }
        file.write_all(text)?;
        file.sync_all()
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_placed {
            // It may not have been created.
            drop(fs::remove_file(&self.beside));
        }
    }
}

/// Contents and mode of a file before it was replaced; `None` if there was none.
type Former = Option<(Vec<u8>, Permissions)>;

/// Files that were replaced or removed, with what they were before.
#[derive(Default)]
struct Done(Vec<(PathBuf, Former)>);

impl Done {
    fn place(&mut self, mut file: Staged) -> Result<(), WriteError> {
        fs::rename(&file.beside, &file.place)
            .map_err(|error| failed("replace", &file.place, error))?;
        file.is_placed = true;
        self.0.push((file.place.clone(), file.old.take()));
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> Result<(), WriteError> {
        let old = read(path).map_err(|error| failed("read", path, error))?;
        fs::remove_file(path).map_err(|error| failed("remove", path, error))?;
        self.0.push((path.to_owned(), old));
        Ok(())
    }

    /// Restores the files after an error.
    fn undo(&self, error: WriteError) -> WriteError {
        for (path, old) in self.0.iter().rev() {
            let restored = match old {
                Some((bytes, mode)) => Staged::write(path, bytes).and_then(|file| {
                    fs::set_permissions(&file.beside, mode.clone())
                        .map_err(|error| failed("write", &file.beside, error))?;
                    Done::default().place(file)
                }),
                None => fs::remove_file(path).map_err(|error| failed("remove", path, error)),
            };
            if let Err(error) = restored {
                tracing::error!(%error, "a file of the rules could not be restored after an error");
            }
        }
        error
    }

    /// Makes the new names durable.
    fn sync_folders(&self) {
        for (path, _) in &self.0 {
            let folder = File::open(regular_file::folder_of(path));
            let synced = folder.and_then(|folder| folder.sync_all());
            // The contents are durable; some file systems cannot sync a folder.
            drop(synced);
        }
    }
}

/// Returns the path of a file before it takes its place. A folder of rules does not read hidden files.
fn beside(place: &Path) -> PathBuf {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    place.with_file_name(format!(".{name}.new"))
}

fn read(path: &Path) -> io::Result<Former> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some((bytes, fs::metadata(path)?.permissions()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn failed(action: &'static str, path: &Path, error: io::Error) -> WriteError {
    WriteError { action, path: path.to_owned(), error }
}

/// Checks that the files can be replaced, without changing anything.
///
/// # Errors
/// Fails with the first folder that cannot be written.
pub fn check_writable(files: &RuleFiles) -> Result<(), WriteError> {
    let editable = files.files().into_iter().filter(|file| file.kind.is_editable());
    for file in editable {
        let place = fs::canonicalize(file.path).unwrap_or_else(|_missing| file.path.to_owned());
        let folder = place.parent().unwrap_or(Path::new("."));
        is_writable(folder).map_err(|error| failed("write into", folder, error))?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn is_writable(folder: &Path) -> io::Result<()> {
    use rustix::fs::Access;
    Ok(rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

#[cfg(not(target_os = "linux"))]
fn is_writable(folder: &Path) -> io::Result<()> {
    match fs::metadata(folder)?.permissions().readonly() {
        true => Err(io::ErrorKind::PermissionDenied.into()),
        false => Ok(()),
    }
}
