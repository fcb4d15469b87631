//! Rows of a list's file: plain text with one number per line, or CSV whose first line names the
//! columns. Reads row by row; a million rows are never in memory at once.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};
use sha2::{Digest, Sha256};

use super::files::{Readable, TableFiles};

/// Reader of a file, past its header.
pub(crate) struct ListRows {
    reader: csv::Reader<HashingReader>,
    /// Names of the columns; empty for plain text.
    pub(crate) columns: Vec<String>,
    /// Separator of the cells; `None` for plain text.
    pub(crate) separator: Option<char>,
    /// Length of the file.
    pub(crate) file_bytes: u64,
}

/// File that hashes everything read from it.
struct HashingReader {
    file: Box<dyn Readable>,
    digest: Sha256,
    bytes: u64,
    last_byte: Option<u8>,
    /// Lines end with a carriage return and a line feed.
    has_carriage_returns: bool,
}

impl HashingReader {
    fn new(file: Box<dyn Readable>) -> HashingReader {
        let digest = Sha256::new();
        HashingReader { file, digest, bytes: 0, last_byte: None, has_carriage_returns: false }
    }
}

impl Read for HashingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.digest.update(&buffer[..read]);
        self.bytes += read as u64;
        self.last_byte = buffer[..read].last().copied().or(self.last_byte);
        self.has_carriage_returns |= buffer[..read].contains(&b'\r');
        Ok(read)
    }
}

/// Row with its location.
pub(crate) struct CsvRow<'r> {
    record: &'r ByteRecord,
    /// Number of the line, from 1, at which reading began: comments and blank lines may precede the
    /// row.
    pub(crate) line: usize,
    /// Number of the row's own first line.
    pub(crate) own_line: u32,
    /// Offset of its first byte.
    pub(crate) offset: u64,
}

impl CsvRow<'_> {
    /// Returns a cell without surrounding spaces: empty when the row is too short, `None` when it is
    /// not UTF-8.
    pub(crate) fn cell(&self, column: usize) -> Option<&str> {
        // The csv crate trims by copying each row.
        std::str::from_utf8(self.record.get(column).unwrap_or_default()).ok().map(str::trim)
    }

    /// Returns whether no cell has a content.
    pub(crate) fn is_blank(&self) -> bool {
        self.record.iter().all(|cell| cell.trim_ascii().is_empty())
    }

    /// Returns the number of cells.
    pub(crate) fn cells(&self) -> usize {
        self.record.len()
    }

    /// Returns the lines of multi-line cells, except the first line of each.
    pub(crate) fn further_lines(&self) -> impl Iterator<Item = String> {
        let has_some = self.record.as_slice().contains(&b'\n');
        let cells = self.record.iter().filter(move |cell| has_some && cell.contains(&b'\n'));
        cells
            .flat_map(|cell| cell.split(|byte| *byte == b'\n').skip(1))
            .map(|line| String::from_utf8_lossy(line).into_owned())
    }
}

impl ListRows {
    /// Opens a file and reads its header. Files named `*.csv` are CSV, separated by commas or
    /// semicolons or tabs; all others are plain text.
    pub(crate) fn open(files: &mut TableFiles, path: &Path) -> io::Result<ListRows> {
        let (mut file, file_bytes) = files.open(path)?;
        refuse_other_formats(&mut *file)?;
        let is_csv =
            path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true);
        if !is_csv {
            // A NUL byte as the separator, so that each line is one cell.
            builder.quoting(false).delimiter(0).comment(Some(b'#'));
            let reader = builder.from_reader(HashingReader::new(file));
            return Ok(ListRows { reader, columns: Vec::new(), separator: None, file_bytes });
        }
        let Separator { separator, is_declared } = separator(&mut *file)?;
        file.seek(SeekFrom::Start(0))?;
        builder.delimiter(separator as u8);
        let mut reader = builder.from_reader(HashingReader::new(file));
        let mut header = ByteRecord::new();
        reader.read_byte_record(&mut header)?;
        if is_declared {
            // The line `sep=;`, which spreadsheets read and write.
            reader.read_byte_record(&mut header)?;
        }
        let columns = header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned());
        Ok(ListRows { columns: columns.collect(), reader, separator: Some(separator), file_bytes })
    }

    /// Calls `handle` with each row.
    pub(crate) fn for_each(&mut self, mut handle: impl FnMut(CsvRow<'_>)) -> io::Result<()> {
        let mut record = ByteRecord::new();
        while self.reader.read_byte_record(&mut record)? {
            let position = record.position();
            let line = position.map_or(0, |position| position.line() as usize);
            let offset = position.map_or(0, |position| position.byte());
            let own_line = self.own_line(&record);
            handle(CsvRow { record: &record, line, own_line, offset });
        }
        Ok(())
    }

    /// Returns the number of the first line of the row that was just read.
    fn own_line(&self, record: &ByteRecord) -> u32 {
        let (position, file) = (self.reader.position(), self.reader.get_ref());
        let is_unfinished = position.byte() == file.bytes && file.last_byte != Some(b'\n');
        // The line feed after a carriage return is read with the next row.
        let is_counted = !is_unfinished && !file.has_carriage_returns;
        let in_cells = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        let line = position.line().saturating_sub(u64::from(is_counted) + in_cells);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    /// Returns the SHA-256 of everything read so far.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.reader.get_ref().digest.clone().finalize().into()
    }

    /// Returns the first row at or after this offset as text, cut to 500 bytes, and the number of
    /// lines without a row before it.
    pub(crate) fn line_at(&mut self, offset: u64) -> io::Result<(usize, String)> {
        const MAX_BYTES: u64 = 500;
        let is_csv = self.separator.is_some();
        let file = &mut self.reader.get_mut().file;
        file.seek(SeekFrom::Start(offset))?;
        let lines = BufReader::new(file).take(MAX_BYTES).split(b'\n');
        for (skipped, line) in lines.enumerate() {
            let line = String::from_utf8_lossy(&line?).trim_end().to_owned();
            if !line.is_empty() && (is_csv || !line.starts_with('#')) {
                return Ok((skipped, line));
            }
        }
        Ok((0, String::new()))
    }
}

/// Separator of the cells of a file.
struct Separator {
    separator: char,
    /// The first line declares it: `sep=;`.
    is_declared: bool,
}

/// Detects the separator in the first line that is not blank, outside quoted cells.
fn separator(file: &mut dyn Readable) -> io::Result<Separator> {
    const MAX_HEADER_BYTES: u64 = 1_000_000;
    let mut line = Vec::new();
    let mut reader = BufReader::new(file.take(MAX_HEADER_BYTES));
    while line.trim_ascii().is_empty() {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
    }
    let text = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line);
    let declared = text.strip_prefix(b"sep=").or_else(|| text.strip_prefix(b"\"sep="));
    if let Some(&[separator @ (b',' | b';' | b'\t'), ..]) = declared {
        return Ok(Separator { separator: char::from(separator), is_declared: true });
    }
    let outside_of_quotes = line.split(|byte| *byte == b'"').step_by(2);
    let unquoted: Vec<u8> = outside_of_quotes.flatten().copied().collect();
    let others = [b',', b';', b'\t'].into_iter().find(|separator| unquoted.contains(separator));
    let separator = others.map_or(',', char::from);
    Ok(Separator { separator, is_declared: false })
}

/// Returns whether a file was refused because it is no list.
pub(crate) fn is_other_format(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

/// Refuses files that are no text, by their first bytes.
fn refuse_other_formats(file: &mut dyn Readable) -> io::Result<()> {
    let mut first = Vec::new();
    file.take(16).read_to_end(&mut first)?;
    file.seek(SeekFrom::Start(0))?;
    let format = if first.starts_with(b"PK\x03\x04") || first.starts_with(b"\xd0\xcf\x11\xe0") {
        "it is a spreadsheet; export the sheet as CSV in UTF-8"
    } else if first.to_ascii_uppercase().starts_with(b"BEGIN:VCARD") {
        "it consists of vCards; export the contacts as CSV"
    } else if first.starts_with(b"\xff\xfe") || first.starts_with(b"\xfe\xff") {
        "it is UTF-16; save it as CSV in UTF-8"
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::InvalidData, format))
}
