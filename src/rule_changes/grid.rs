//! A list as a grid: rows that did not change keep their bytes, quotes included.

use std::io::Cursor;

use csv::{ReaderBuilder, StringRecord, Terminator, WriterBuilder};

use crate::rules::{Separator, separator};

/// The rows of a CSV file whose first line names the columns, after a line that declares the separator if there is
/// one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Cells of each row, as many as there are columns.
    pub rows: Vec<Vec<String>>,
    separator: u8,
    /// The text up to the first row, without the end of the line.
    head: String,
    /// The text of each row, without the end of the line.
    texts: Vec<String>,
    line_end: &'static str,
    ends_with_line_end: bool,
}

/// A row of an edited grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GridRow {
    /// Place of the row in the file before the edit; `None` if it is new.
    pub original: Option<usize>,
    /// Cells.
    pub cells: Vec<String>,
}

/// Reason for which a list is no grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAGrid {
    /// The file is not CSV.
    #[error("its name does not end with .csv")]
    Name,
    /// The CSV cannot be parsed, or it has no header.
    #[error("it cannot be read as CSV")]
    Unreadable,
    /// A row has more cells with a content than the header.
    #[error("a row has more cells than the first line has columns")]
    Ragged,
    /// A cell has several lines.
    #[error("a cell has several lines")]
    SeveralLines,
    /// There are too many rows.
    #[error("it has more than {} rows", Grid::MAX_ROWS)]
    TooLong,
}

impl Grid {
    /// Maximum number of rows.
    pub const MAX_ROWS: usize = 2_000;

    /// Parses the file of a list.
    ///
    /// # Errors
    /// Fails with the reason if the list cannot be edited row by row.
    pub fn parse(name: &str, text: &str) -> Result<Grid, NotAGrid> {
        if !name.to_ascii_lowercase().ends_with(".csv") {
            return Err(NotAGrid::Name);
        }
        // As the rule table finds it.
        let Separator { separator, is_declared } = separator(&mut Cursor::new(text.as_bytes()))
            .map_err(|_invalid| NotAGrid::Unreadable)?;
        let separator = u8::try_from(separator).map_err(|_wide| NotAGrid::Unreadable)?;
        let above = usize::from(is_declared);
        let mut records = records(text, separator, above)?;
        records.drain(..above.min(records.len()));
        let starts: Vec<usize> = records.iter().map(|record| start(record, text)).collect();
        let (header, rows) = records.split_first().ok_or(NotAGrid::Unreadable)?;
        let columns: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        // The rule table ignores empty cells at the end of a row.
        let is_ragged =
            |row: &StringRecord| row.iter().skip(columns.len()).any(|cell| !cell.trim().is_empty());
        if rows.iter().any(is_ragged) {
            return Err(NotAGrid::Ragged);
        }
        if records.iter().flatten().any(|cell| cell.contains(['\n', '\r'])) {
            return Err(NotAGrid::SeveralLines);
        }
        let end_of = |at: usize| starts.get(at + 1).copied().unwrap_or(text.len());
        let texts = (1..records.len()).map(|at| without_line_end(&text[starts[at]..end_of(at)]));
        let cells = rows.iter().map(|row| {
            let cells = row.iter().map(str::to_owned);
            cells.chain(std::iter::repeat(String::new())).take(columns.len()).collect()
        });
        Ok(Grid {
            rows: cells.collect(),
            texts: texts.map(str::to_owned).collect(),
            head: without_line_end(&text[..end_of(0)]).to_owned(),
            line_end: if text.contains("\r\n") { "\r\n" } else { "\n" },
            ends_with_line_end: text.ends_with('\n') || rows.is_empty(),
            columns,
            separator,
        })
    }

    /// Returns the text of the file with edited rows. Rows without content are left out.
    pub fn write(&self, rows: &[GridRow]) -> String {
        let mut text = self.head.clone();
        for GridRow { original, cells } in rows {
            if cells.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            text.push_str(self.line_end);
            let unchanged = original.filter(|at| self.rows.get(*at) == Some(cells));
            match unchanged {
                Some(at) => text.push_str(&self.texts[at]),
                None => text.push_str(&self.write_row(cells)),
            }
        }
        if self.ends_with_line_end {
            text.push_str(self.line_end);
        }
        text
    }

    fn write_row(&self, cells: &[String]) -> String {
        let mut writer = WriterBuilder::new()
            .delimiter(self.separator)
            .terminator(Terminator::Any(b'\n'))
            .from_writer(Vec::new());
        let line = |cell: &String| cell.replace(['\r', '\n'], " ");
        writer.write_record(cells.iter().map(line)).expect("writing into memory");
        let bytes = writer.into_inner().expect("writing into memory");
        let row = String::from_utf8(bytes).expect("cells are text");
        without_line_end(&row).to_owned()
    }
}

/// Returns the records of a text: so many above the header, the header, and the rows.
fn records(text: &str, separator: u8, above: usize) -> Result<Vec<StringRecord>, NotAGrid> {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator)
        .from_reader(text.as_bytes());
    let mut records = Vec::new();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|_invalid| NotAGrid::Unreadable)? {
        if records.len() > above + Grid::MAX_ROWS {
            return Err(NotAGrid::TooLong);
        }
        records.push(record.clone());
    }
    Ok(records)
}

/// Returns where a record begins, with the blank lines before it.
fn start(record: &StringRecord, text: &str) -> usize {
    let byte = record.position().map(csv::Position::byte).unwrap_or_default();
    let start = usize::try_from(byte).unwrap_or_default();
    // The reader ends a record at the first byte of CR and LF.
    let is_within = start > 0 && text.as_bytes().get(start - 1..=start) == Some(b"\r\n");
    start + usize::from(is_within)
}

fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(original: usize, cells: &[&str]) -> GridRow {
        let cells = cells.iter().map(|cell| (*cell).to_owned()).collect();
        GridRow { original: Some(original), cells }
    }

    #[test]
    fn rows_that_did_not_change_keep_their_quotes() {
        let text =
            "number,city\r\n\"+1213\" , Los Angeles\r\n\r\n+1415,\"San Francisco\"\r\n+1212\r\n";
        let grid = Grid::parse("stores.CSV", text).unwrap();
        assert_eq!(grid.columns, ["number", "city"]);
        assert_eq!(grid.rows[2], ["+1212", ""]);
        let unchanged: Vec<_> = grid
            .rows
            .iter()
            .enumerate()
            .map(|(at, cells)| GridRow { original: Some(at), cells: cells.clone() })
            .collect();
        assert_eq!(grid.write(&unchanged), text);
        let mut edited = unchanged;
        edited[1].cells[1] = "Oakland, \"CA\"".to_owned();
        edited.remove(0);
        edited.push(GridRow { original: None, cells: vec!["+1503".into(), "Portland".into()] });
        edited.push(GridRow { original: None, cells: vec![String::new(), " ".into()] });
        assert_eq!(
            grid.write(&edited),
            "number,city\r\n+1415,\"Oakland, \"\"CA\"\"\"\r\n+1212\r\n+1503,Portland\r\n"
        );
    }

    #[test]
    fn the_separator_and_a_missing_line_end_stay() {
        let grid = Grid::parse("a.csv", "number;agent\n+1;a,b\n+2;c").unwrap();
        assert_eq!(grid.rows, [["+1", "a,b"], ["+2", "c"]]);
        let rows = [row(1, &["+2", "c"]), row(0, &["+1", "x;y"])];
        assert_eq!(grid.write(&rows), "number;agent\n+2;c\n+1;\"x;y\"");
        let empty = Grid::parse("a.csv", "number,agent").unwrap();
        let added = GridRow { original: None, cells: vec!["+1".into(), "a".into()] };
        assert_eq!(empty.write(&[added]), "number,agent\n+1,a\n");
    }

    #[test]
    fn files_of_spreadsheets_are_read_as_the_rule_table_reads_them() {
        for (text, columns, cells) in [
            ("SEP=;\r\nnumber;note\r\n+1;a,b\r\n", ["number", "note"], ["+1", "a,b"]),
            ("\u{feff}\"sep=;\"\nnumber;note\n+1;a,b\n", ["number", "note"], ["+1", "a,b"]),
            ("\r\nnumber;note\r\n+1;a,b\r\n", ["number", "note"], ["+1", "a,b"]),
            ("number,note\n+1,a,,\n", ["number", "note"], ["+1", "a"]),
        ] {
            let grid = Grid::parse("a.csv", text).unwrap();
            assert_eq!(
                (&*grid.columns, &*grid.rows[0]),
                (&columns.map(str::to_owned)[..], &cells.map(str::to_owned)[..]),
                "{text}"
            );
            assert_eq!(grid.write(&[row(0, &cells)]), text, "the bytes stay");
            let added = GridRow { original: None, cells: vec!["+2".into(), "x".into()] };
            let both = grid.write(&[row(0, &cells), added]);
            assert!(both.starts_with(text) && Grid::parse("a.csv", &both).unwrap().rows.len() == 2);
        }
    }

    #[test]
    fn a_list_that_is_no_grid_says_why() {
        for (name, text, expected) in [
            ("a.txt", "+1\n", NotAGrid::Name),
            ("a.csv", "", NotAGrid::Unreadable),
            ("a.csv", "sep=;\n", NotAGrid::Unreadable),
            ("a.csv", "a,b\n1,2,3\n", NotAGrid::Ragged),
            ("a.csv", "a,b\n1,\"2\n3\"\n", NotAGrid::SeveralLines),
        ] {
            assert_eq!(Grid::parse(name, text), Err(expected), "{text}");
        }
        let long = format!("a\n{}", "1\n".repeat(Grid::MAX_ROWS + 1));
        assert_eq!(Grid::parse("a.csv", &long), Err(NotAGrid::TooLong));
        let most = format!("a\n{}", "1\n".repeat(Grid::MAX_ROWS));
        assert_eq!(Grid::parse("a.csv", &most).unwrap().rows.len(), Grid::MAX_ROWS);
    }
}
