//! Where the files of a table are read: the one place of this room, with `rows`, that touches the
//! disk. Remembers what each file looked like, so that a change is noticed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Cursor, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::diagnostics::{Location, Report, SourceFile};

/// A file or a folder, as it was when it was read.
#[derive(Debug, Clone)]
pub struct FileStamp {
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

impl FileStamp {
    /// As it is now.
    pub fn now(path: &Path) -> FileStamp {
        FileStamp { path: path.to_owned(), look: look(path) }
    }

    /// The same file or folder, as it is now.
    pub fn again(&self) -> FileStamp {
        FileStamp::now(&self.path)
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

/// What the files of a table said when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// The paths of the rules, in order.
    rules: Vec<PathBuf>,
    /// Path and text of each file: rules and lists.
    files: BTreeMap<PathBuf, String>,
}

impl Snapshot {
    /// The most that is copied of a table, in bytes. A list of a million numbers is not.
    pub const MOST_BYTES: u64 = 1 << 20;

    fn bytes(&self) -> u64 {
        self.files.values().map(|text| text.len() as u64).sum()
    }
}

/// A file to read, or the copy of one.
pub(crate) trait Readable: Read + Seek {}

impl<T: Read + Seek> Readable for T {}

/// Reads files, and remembers what they looked like and what they said.
#[derive(Debug)]
pub(crate) struct TableFiles {
    pub(crate) seen: Vec<FileStamp>,
    /// None once it would be too much.
    pub(crate) copies: Option<Snapshot>,
    /// These are read instead of the files.
    instead: Option<Snapshot>,
}

impl TableFiles {
    /// Of the files on the disk.
    pub(crate) fn of_files() -> TableFiles {
        TableFiles { seen: Vec::new(), copies: Some(Snapshot::default()), instead: None }
    }

    /// Of copies; the disk is not touched.
    pub(crate) fn of_copies(copies: &Snapshot) -> TableFiles {
        TableFiles { seen: Vec::new(), copies: None, instead: Some(copies.clone()) }
    }

    /// The text of a file, or those of all tables of a folder. What is not UTF-8 is reported.
    pub(crate) fn texts(
        &mut self,
        path: &Path,
        report: &mut Report,
    ) -> io::Result<Vec<Arc<SourceFile>>> {
        self.seen.push(FileStamp::now(path));
        if !fs::metadata(path)?.is_dir() {
            return Ok(vec![self.text(path, report)?]);
        }
        let paths = tables_in(path)?;
        if paths.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the folder has no *.toml files"));
        }
        let mut texts = Vec::new();
        for path in paths {
            self.seen.push(FileStamp::now(&path));
            let name = |error: io::Error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            };
            texts.push(self.text(&path, report).map_err(name)?);
        }
        Ok(texts)
    }

    fn text(&mut self, path: &Path, report: &mut Report) -> io::Result<Arc<SourceFile>> {
        let file = text(path, report)?;
        if let Some(copies) = &mut self.copies {
            copies.rules.push(path.to_owned());
        }
        self.keep(path, &file.text);
        Ok(file)
    }

    /// The rules that were copied.
    pub(crate) fn copied_texts(&self) -> Vec<Arc<SourceFile>> {
        let Some(Snapshot { rules, files }) = &self.instead else { return Vec::new() };
        let file = |path: &PathBuf| {
            let text = files.get(path).cloned().unwrap_or_default();
            Arc::new(SourceFile::new(&path.display().to_string(), text))
        };
        rules.iter().map(file).collect()
    }

    /// Opens a file that a table names, and tells how many bytes it has.
    pub(crate) fn open(&mut self, path: &Path) -> io::Result<(Box<dyn Readable>, u64)> {
        if let Some(instead) = &self.instead {
            let text = instead.files.get(path).cloned().ok_or_else(|| {
                io::Error::new(io::ErrorKind::NotFound, "it is not among the copies")
            })?;
            let bytes = text.len() as u64;
            return Ok((Box::new(Cursor::new(text.into_bytes())), bytes));
        }
        self.seen.push(FileStamp::now(path));
        // Asked before it is opened: a named pipe would wait for somebody to write into it.
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
        }
        let mut file = File::open(path)?;
        let bytes = metadata.len();
        if bytes > Snapshot::MOST_BYTES {
            self.copies = None;
        }
        if self.copies.is_none() {
            return Ok((Box::new(file), bytes));
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        match std::str::from_utf8(&text) {
            Ok(text) => self.keep(path, text),
            Err(_) => self.copies = None,
        }
        Ok((Box::new(Cursor::new(text)), bytes))
    }

    fn keep(&mut self, path: &Path, text: &str) {
        let Some(copies) = &mut self.copies else { return };
        if copies.bytes() + text.len() as u64 > Snapshot::MOST_BYTES {
            self.copies = None;
        } else {
            copies.files.insert(path.to_owned(), text.to_owned());
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
    let place = Location { file: file.clone(), span: at..at };
    report.error("syntax", Some(place), "this is not UTF-8").help("save the file as UTF-8");
    Ok(file)
}
