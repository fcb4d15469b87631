//! Where the files of a table are read: the one place of this room, with `rows`, that touches the
//! disk. Remembers what each file looked like, so that a change is noticed.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::report::{Place, Report, SourceFile};

/// A file or a folder, as it was when it was read.
#[derive(Debug, Clone)]
pub struct Seen {
    path: PathBuf,
    look: Look,
}

/// What tells one state of a file from another, without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Look {
    Missing,
    /// Device, inode, length, and when it was changed: seconds and nanoseconds.
    File([i64; 5]),
    Folder(Vec<PathBuf>),
}

impl Seen {
    /// As it is now.
    pub fn now(path: &Path) -> Seen {
        Seen { path: path.to_owned(), look: look(path) }
    }

    /// The same file or folder, as it is now.
    pub fn again(&self) -> Seen {
        Seen::now(&self.path)
    }

    /// Whether it is another one than when it was read.
    pub fn has_changed(&self) -> bool {
        look(&self.path) != self.look
    }
}

fn look(path: &Path) -> Look {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => tables_in(path).map_or(Look::Missing, Look::Folder),
        Ok(metadata) => Look::File([
            metadata.dev().cast_signed(),
            metadata.ino().cast_signed(),
            metadata.len().cast_signed(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        ]),
        Err(_) => Look::Missing,
    }
}

/// The tables of a folder, by name. Hidden files are left out: a mounted config map has some.
fn tables_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes()[0] == b'.');
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Reads files, and remembers what they looked like.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) seen: Vec<Seen>,
}

impl Shelf {
    /// The text of a file, or those of all tables of a folder. What is not UTF-8 is reported.
    pub(super) fn texts(
        &mut self,
        path: &Path,
        report: &mut Report,
    ) -> io::Result<Vec<Arc<SourceFile>>> {
        self.seen.push(Seen::now(path));
        if !fs::metadata(path)?.is_dir() {
            return Ok(vec![text(path, report)?]);
        }
        let paths = tables_in(path)?;
        if paths.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the folder has no *.toml files"));
        }
        let mut texts = Vec::new();
        for path in paths {
            self.seen.push(Seen::now(&path));
            let name = |error: io::Error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            };
            texts.push(text(&path, report).map_err(name)?);
        }
        Ok(texts)
    }

    /// Opens a file that a table names.
    pub(super) fn open(&mut self, path: &Path) -> io::Result<File> {
        self.seen.push(Seen::now(path));
        // Asked before it is opened: a named pipe would wait for somebody to write into it.
        match fs::metadata(path)?.is_file() {
            true => File::open(path),
            false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")),
        }
    }
}

fn text(path: &Path, report: &mut Report) -> io::Result<Arc<SourceFile>> {
    let name = path.display().to_string();
    let bad = match String::from_utf8(fs::read(path)?) {
        Ok(text) => return Ok(Arc::new(SourceFile::new(&name, text))),
        Err(bad) => bad,
    };
    // Up to there the text with stand-ins is the same, so that the place is right.
    let at = bad.utf8_error().valid_up_to();
    let text = String::from_utf8_lossy(bad.as_bytes()).into_owned();
    let file = Arc::new(SourceFile::new(&name, text));
    let place = Place { file: file.clone(), span: at..at };
    report.error("syntax", Some(place), "this is not UTF-8").help("save the file as UTF-8");
    Ok(file)
}
