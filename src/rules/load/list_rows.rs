//! Rows of a list's file: plain text with one number per line, or CSV whose first line names the
//! columns. Reads row by row; a million rows are never in memory at once. Also reads files of dates.

use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};
use sha2::{Digest, Sha256};

use super::encoding::{decode_text, is_utf_16};
use super::files::{Readable, TableFiles};
use crate::domain::phone_number::is_invisible;

/// Reader of a file, past its header.
pub(crate) struct ListRows {
    reader: csv::Reader<HashingReader>,
    /// Names of the columns; empty for plain text.
    pub(crate) columns: Vec<String>,
    /// Separator of the cells; `None` for plain text.
    pub(crate) separator: Option<char>,
    /// Length of the file.
    pub(crate) file_bytes: u64,
    /// Line and offset of the row that was read last.
    pub(crate) last_row: (usize, u64),
    /// The cells of the lines below the header, which may name the columns.
    pub(crate) next_lines: Vec<Vec<String>>,
}

/// Maximum size of a row, in bytes. A quote that is not closed would take the rest of the file for one row.
pub(crate) const MAX_ROW_BYTES: usize = 1 << 20;
/// Number of lines in which a title may stand above the names of the columns.
const MAX_TITLE_LINES: usize = 10;
/// Largest file in UTF-16 that is read: the text is in memory.
const MAX_UTF_16_BYTES: u64 = 100_000_000;

/// File that hashes everything read from it.
struct HashingReader {
    file: Box<dyn Readable>,
    digest: Sha256,
    /// Bytes read for the current row, except for those that were read with the row before.
    row_bytes: usize,
    bytes: u64,
    last_byte: Option<u8>,
    /// Lines end with a carriage return and a line feed.
    has_carriage_returns: bool,
}

impl HashingReader {
    fn new(file: Box<dyn Readable>) -> HashingReader {
        HashingReader {
            file,
            digest: Sha256::new(),
            row_bytes: 0,
            bytes: 0,
            last_byte: None,
            has_carriage_returns: false,
        }
    }
}

impl Read for HashingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.row_bytes > MAX_ROW_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let read = self.file.read(buffer)?;
        self.row_bytes += read;
        self.digest.update(&buffer[..read]);
        self.bytes += read as u64;
        self.last_byte = buffer[..read].last().copied().or(self.last_byte);
        self.has_carriage_returns |= buffer[..read].contains(&b'\r');
        Ok(read)
    }
}

/// Maximum size of a file of dates.
const MAX_DATES_BYTES: u64 = 1_000_000;

/// Reads a file of dates as a whole.
pub(crate) fn read_dates(files: &mut TableFiles, path: &Path) -> io::Result<String> {
    let refused = |message: &str| Err(io::Error::new(io::ErrorKind::InvalidData, message));
    let (mut file, bytes) = files.open_dates(path)?;
    if bytes > MAX_DATES_BYTES {
        return refused("a file of dates has at most 1 MB");
    }
    refuse_other_formats(&mut *file)?;
    let mut text = Vec::new();
    file.take(MAX_DATES_BYTES).read_to_end(&mut text)?;
    match decode_text(text) {
        Some(text) => Ok(text),
        None => refused("it is not UTF-8; save it in UTF-8"),
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
    /// Returns a cell without spaces and invisible characters around it: empty when the row is too short,
    /// `None` when it is not UTF-8.
    pub(crate) fn cell(&self, column: usize) -> Option<&str> {
        // The csv crate trims by copying each row.
        let cell = std::str::from_utf8(self.record.get(column).unwrap_or_default()).ok()?;
        Some(cell.trim_matches(|c: char| c.is_whitespace() || is_invisible(c)))
    }

    /// Returns whether no cell has a content.
    pub(crate) fn is_blank(&self) -> bool {
        self.record.iter().all(|cell| cell.trim_ascii().is_empty())
    }

    /// Returns the number of cells, without empty ones at the end that are beyond `columns`.
    pub(crate) fn cells_up_to_last(&self, columns: usize) -> usize {
        let is_extra = |at: &usize| *at > columns && self.record[at - 1].trim_ascii().is_empty();
        let mut counts = (0..=self.record.len()).rev();
        counts.find(|at| !is_extra(at)).unwrap_or_default()
    }

    /// Returns the position of the first cell that `is_wanted`.
    pub(crate) fn position(&self, is_wanted: impl Fn(&str) -> bool) -> Option<usize> {
        (0..self.record.len()).find(|at| self.cell(*at).is_some_and(&is_wanted))
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
        let (file, file_bytes) = files.open(path)?;
        let is_csv =
            path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        ListRows::read(file, file_bytes, is_csv)
    }

    /// Reads the header of a text in the form of CSV.
    pub(crate) fn of_csv(text: String) -> io::Result<ListRows> {
        let bytes = text.len() as u64;
        ListRows::read(Box::new(Cursor::new(text.into_bytes())), bytes, true)
    }

    /// Reads the header of a file that is CSV or plain text.
    fn read(mut file: Box<dyn Readable>, file_bytes: u64, is_csv: bool) -> io::Result<ListRows> {
        refuse_other_formats(&mut *file)?;
        let file_bytes = match read_utf_16(&mut *file, file_bytes)? {
            Some(text) => {
                let bytes = text.len() as u64;
                file = Box::new(Cursor::new(text.into_bytes()));
                bytes
            }
            None => file_bytes,
        };
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true);
        if !is_csv {
            // A NUL byte as the separator, so that each line is one cell.
            builder.quoting(false).delimiter(0).comment(Some(b'#'));
            let reader = builder.from_reader(HashingReader::new(file));
            let (columns, next_lines, last_row) = (Vec::new(), Vec::new(), (0, 0));
            return Ok(ListRows {
                reader,
                columns,
                separator: None,
                file_bytes,
                last_row,
                next_lines,
            });
        }
        let Separator { separator, is_declared } = separator(&mut *file)?;
        let next_lines = next_lines(&mut *file)?;
        file.seek(SeekFrom::Start(0))?;
        builder.delimiter(separator as u8);
        let mut reader = builder.from_reader(HashingReader::new(file));
        let mut header = ByteRecord::new();
        reader.read_byte_record(&mut header).map_err(header_error)?;
        if is_declared {
            // The line before is `sep=;`, which spreadsheets read and write.
            reader.read_byte_record(&mut header).map_err(header_error)?;
        }
        let columns = header.iter().map(|name| column_name(&String::from_utf8_lossy(name)));
        let (columns, separator) = (columns.collect(), Some(separator));
        Ok(ListRows { columns, reader, separator, file_bytes, last_row: (1, 0), next_lines })
    }

    /// Returns the number of the line that has this column, if it is below the first line.
    pub(crate) fn line_of_column(&self, column: &str) -> Option<usize> {
        let has_column = |line: &Vec<String>| line.iter().any(|cell| cell == column);
        self.next_lines.iter().position(has_column).map(|at| at + 2)
    }

    /// Calls `handle` with each row, until it breaks.
    ///
    /// # Errors
    /// Fails if the file cannot be read, or with [`is_long_row`] if a row exceeds [`MAX_ROW_BYTES`]. Then
    /// `last_row` is that row.
    pub(crate) fn for_each(
        &mut self,
        mut handle: impl FnMut(CsvRow<'_>) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let mut record = ByteRecord::new();
        loop {
            self.reader.get_mut().row_bytes = 0;
            let start = self.reader.position();
            self.last_row = (start.line() as usize, start.byte());
            if !self.reader.read_byte_record(&mut record).map_err(io_error)? {
                return Ok(());
            }
            let position = record.position();
            let line = position.map_or(0, |position| position.line() as usize);
            let offset = position.map_or(0, |position| position.byte());
            let own_line = self.own_line(&record);
            if handle(CsvRow { record: &record, line, own_line, offset }).is_break() {
                return Ok(());
            }
        }
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
        const MAX_BYTES: usize = 500;
        let is_csv = self.separator.is_some();
        let file = &mut self.reader.get_mut().file;
        file.seek(SeekFrom::Start(offset))?;
        let lines = BufReader::new(file).take(MAX_ROW_BYTES as u64).split(b'\n');
        for (skipped, line) in lines.enumerate() {
            let mut line = line?;
            line.truncate(MAX_BYTES);
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if !line.is_empty() && (is_csv || !line.starts_with('#')) {
                return Ok((skipped, line));
            }
        }
        Ok((0, String::new()))
    }
}

/// Returns the name of a column as people see it: without invisible characters, and with plain spaces.
pub(crate) fn column_name(name: &str) -> String {
    let visible = name.chars().filter(|c| !is_invisible(*c));
    let plain: String = visible.map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
    plain.trim().to_owned()
}

/// Separator of the cells of a file.
pub(crate) struct Separator {
    pub(crate) separator: char,
    /// The first line declares it: `sep=;`.
    pub(crate) is_declared: bool,
}

/// Detects the separator in the first line that is not blank, outside quoted cells.
pub(crate) fn separator(file: &mut dyn Readable) -> io::Result<Separator> {
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
    let text = text.strip_prefix(b"\"").unwrap_or(text);
    let declared = text.split_at_checked(b"sep=".len());
    let declared = declared.filter(|(word, _)| word.eq_ignore_ascii_case(b"sep="));
    let declared = declared.map(|(_, separator)| separator);
    if let Some(&[separator @ (b',' | b';' | b'\t' | b'|'), ..]) = declared {
        return Ok(Separator { separator: char::from(separator), is_declared: true });
    }
    let outside_of_quotes = line.split(|byte| *byte == b'"').step_by(2);
    let unquoted: Vec<u8> = outside_of_quotes.flatten().copied().collect();
    let found = [b',', b';', b'\t', b'|'].into_iter().find(|byte| unquoted.contains(byte));
    Ok(Separator { separator: found.map_or(',', char::from), is_declared: false })
}

/// Returns the error of the file, which the csv crate wraps into one of its own.
fn io_error(error: csv::Error) -> io::Error {
    if let csv::ErrorKind::Io(inner) = error.kind() {
        return io::Error::new(inner.kind(), inner.to_string());
    }
    error.into()
}

/// Returns the error of reading the header. A quote that is not closed would take the rest of the file for it.
fn header_error(error: csv::Error) -> io::Error {
    let error = io_error(error);
    if !is_long_row(&error) {
        return error;
    }
    let message = "its first row has more than 1 MB; close the quote that opens in it";
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Returns whether reading ended at a row that is too long.
pub(crate) fn is_long_row(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::FileTooLarge
}

/// Returns whether there is no file.
pub(crate) fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Returns whether a file was refused because it is no list.
pub(crate) fn is_other_format(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

/// Refuses files that are no text, by their first bytes.
fn refuse_other_formats(file: &mut dyn Readable) -> io::Result<()> {
    let mut first = Vec::new();
    file.take(64).read_to_end(&mut first)?;
    file.seek(SeekFrom::Start(0))?;
    if is_utf_16(&first) {
        // The first characters of all these formats are ASCII.
        first.retain(|byte| byte.is_ascii() && *byte != 0);
    }
    let first = first.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&first).trim_ascii_start();
    let format = if first.starts_with(b"PK\x03\x04") || first.starts_with(b"\xd0\xcf\x11\xe0") {
        "it is a spreadsheet; export the sheet as CSV in UTF-8"
    } else if first.to_ascii_uppercase().starts_with(b"BEGIN:VCARD") {
        "it consists of vCards; export the contacts as CSV"
    } else if first.starts_with(b"<") {
        "it is a web page or XML; export the list as CSV"
    } else if first.starts_with(b"{\\rtf") || first.starts_with(b"%PDF") {
        "it is a document; export the list as CSV"
    } else if first.starts_with(b"{") || is_json_list(first) {
        "it is JSON; export the list as CSV"
    } else if first.starts_with(b"\x1f\x8b") {
        "it is compressed; unpack it"
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::InvalidData, format))
}

/// Returns whether a file begins with a list of JSON, which holds texts, numbers, lists or objects.
fn is_json_list(first: &[u8]) -> bool {
    let inside = first.strip_prefix(b"[").map(<[u8]>::trim_ascii_start);
    inside.is_some_and(|inside| matches!(inside.first(), Some(b'"' | b'{' | b'[' | b'0'..=b'9')))
}

/// Returns the cells of the lines from the second one on, whatever separates them.
fn next_lines(file: &mut dyn Readable) -> io::Result<Vec<Vec<String>>> {
    const MAX_BYTES: u64 = 100_000;
    file.seek(SeekFrom::Start(0))?;
    let lines = BufReader::new(file.take(MAX_BYTES)).split(b'\n').take(MAX_TITLE_LINES).skip(1);
    let cells = |line: Vec<u8>| {
        let line = String::from_utf8_lossy(&line).into_owned();
        let cells = line.split([',', ';', '\t', '|']);
        cells.map(|cell| column_name(cell.trim().trim_matches('"'))).collect()
    };
    lines.map(|line| Ok(cells(line?))).collect()
}

/// Returns the text of a file in UTF-16, which spreadsheets write as "Unicode text".
fn read_utf_16(file: &mut dyn Readable, bytes: u64) -> io::Result<Option<String>> {
    let mut first = Vec::new();
    file.take(2).read_to_end(&mut first)?;
    file.seek(SeekFrom::Start(0))?;
    if !is_utf_16(&first) {
        return Ok(None);
    }
    let refuse = |problem| Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    if bytes > MAX_UTF_16_BYTES {
        return refuse("it is UTF-16 and larger than 100 MB; save it as CSV in UTF-8");
    }
    let mut content = Vec::new();
    file.take(MAX_UTF_16_BYTES).read_to_end(&mut content)?;
    match decode_text(content) {
        Some(text) => Ok(Some(text)),
        None => refuse("it is UTF-16 with errors; save it as CSV in UTF-8"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_whose_quote_is_not_closed_is_named() {
        let text = format!("phone,\"name\n{}", "+12137771234,x\n".repeat(MAX_ROW_BYTES / 10));
        let error = ListRows::of_csv(text).err().expect("the header is too long");
        assert!(is_other_format(&error));
        assert!(error.to_string().contains("close the quote"), "{error}");
    }

    #[test]
    fn a_row_below_long_comments_is_found() {
        let long = "x".repeat(600);
        let text = format!("# comment\n{}{long}\n", "# and another one\n".repeat(99));
        let bytes = text.len() as u64;
        let mut rows = ListRows::read(Box::new(Cursor::new(text)), bytes, false).unwrap();
        assert_eq!(rows.line_at(0).unwrap(), (100, long[..500].to_owned()));
    }
}
