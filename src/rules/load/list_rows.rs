//! The rows of a list's file: text with a number on each line, or CSV whose first line names the
//! columns. Reads row by row; a million rows are never in memory at once.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};
use sha2::{Digest, Sha256};

use super::files::{Readable, TableFiles};

/// A file whose first line has been read.
pub(crate) struct ListRows {
    reader: csv::Reader<Hashed>,
    /// The names of the columns; none in a file of plain text.
    pub(crate) columns: Vec<String>,
    /// What stands between the cells of a CSV file; none in a file of plain text.
    pub(crate) separator: Option<char>,
    /// How many bytes the file has.
    pub(crate) bytes: u64,
}

/// A file that remembers what has been read of it, in 32 bytes.
struct Hashed {
    file: Box<dyn Readable>,
    digest: Sha256,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.digest.update(&buffer[..read]);
        Ok(read)
    }
}

/// A row, and where it stands.
pub(crate) struct CsvRow<'r> {
    record: &'r ByteRecord,
    /// The line on which it begins, counted from 1.
    pub(crate) line: usize,
    /// The byte at which it begins.
    pub(crate) at: u64,
}

impl CsvRow<'_> {
    /// A cell without the spaces around it; empty when the row has fewer, none when it is not UTF-8.
    pub(crate) fn cell(&self, at: usize) -> Option<&str> {
        // Not trimmed by the reader, which would make every row a second time.
        std::str::from_utf8(self.record.get(at).unwrap_or_default()).ok().map(str::trim)
    }

    /// How many cells it has.
    pub(crate) fn cells(&self) -> usize {
        self.record.len()
    }

    /// The lines of cells that go over several, but for the first of each.
    pub(crate) fn further_lines(&self) -> impl Iterator<Item = String> {
        let has_some = self.record.as_slice().contains(&b'\n');
        let cells = self.record.iter().filter(move |cell| has_some && cell.contains(&b'\n'));
        cells
            .flat_map(|cell| cell.split(|byte| *byte == b'\n').skip(1))
            .map(|line| String::from_utf8_lossy(line).into_owned())
    }
}

impl ListRows {
    /// Opens a file and reads its header. A name that ends in `.csv` is CSV, with commas or
    /// semicolons between the cells; anything else is plain text.
    pub(crate) fn open(shelf: &mut TableFiles, path: &Path) -> io::Result<ListRows> {
        let (mut file, bytes) = shelf.open(path)?;
        let is_csv =
            path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true);
        if !is_csv {
            // No text has the byte that would part its cells.
            builder.quoting(false).delimiter(0).comment(Some(b'#'));
            let reader = builder.from_reader(Hashed { file, digest: Sha256::new() });
            return Ok(ListRows { reader, columns: Vec::new(), separator: None, bytes });
        }
        let separator = separator(&mut *file)?;
        file.seek(SeekFrom::Start(0))?;
        builder.delimiter(separator as u8);
        let mut reader = builder.from_reader(Hashed { file, digest: Sha256::new() });
        let mut header = ByteRecord::new();
        reader.read_byte_record(&mut header)?;
        let columns = header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned());
        Ok(ListRows { columns: columns.collect(), reader, separator: Some(separator), bytes })
    }

    /// Hands out the rows, one by one.
    pub(crate) fn each(&mut self, mut with: impl FnMut(CsvRow<'_>)) -> io::Result<()> {
        let mut record = ByteRecord::new();
        while self.reader.read_byte_record(&mut record)? {
            let position = record.position();
            let line = position.map_or(0, |position| position.line() as usize);
            let at = position.map_or(0, |position| position.byte());
            with(CsvRow { record: &record, line, at });
        }
        Ok(())
    }

    /// What tells one content of the file from another, when all of it has been read.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.reader.get_ref().digest.clone().finalize().into()
    }

    /// The first line with something on it at or behind this byte, as far as anybody wants to read
    /// it, and how many lines without a row stand before it.
    pub(crate) fn line_at(&mut self, at: u64) -> io::Result<(usize, String)> {
        const MOST_BYTES: u64 = 500;
        let is_csv = self.separator.is_some();
        let file = &mut self.reader.get_mut().file;
        file.seek(SeekFrom::Start(at))?;
        let lines = BufReader::new(file).take(MOST_BYTES).split(b'\n');
        for (passed, line) in lines.enumerate() {
            let line = String::from_utf8_lossy(&line?).trim_end().to_owned();
            if !line.is_empty() && (is_csv || !line.starts_with('#')) {
                return Ok((passed, line));
            }
        }
        Ok((0, String::new()))
    }
}

/// What stands between the cells of the first line with something on it, quoted texts left aside.
fn separator(file: &mut dyn Readable) -> io::Result<char> {
    let mut line = Vec::new();
    let mut reader = BufReader::new(file);
    while line.trim_ascii().is_empty() {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
    }
    let outside_of_quotes = line.split(|byte| *byte == b'"').step_by(2);
    let plain: Vec<u8> = outside_of_quotes.flatten().copied().collect();
    Ok(if !plain.contains(&b',') && plain.contains(&b';') { ';' } else { ',' })
}
