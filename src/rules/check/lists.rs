//! Lists: opened before the rules, which refer to their columns; their rows are read after the rules,
//! when the columns in use are known.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::Checker;
use super::definitions::AgentColumnUse;
use crate::diagnostics::{Location, Problem, Severity, SourceFile, did_you_mean};
use crate::domain::phone_number::Party;
use crate::rules::load::files::TableFiles;
use crate::rules::load::list_rows::{CsvRow, ListRows};
use crate::rules::load::raw::{RawList, Spanned};
use crate::rules::model::lists::{Cell, Column, Item, ListId};
use crate::rules::model::pattern::suggest_number;
use crate::rules::{NumberPattern, Progress};

/// A list whose rows have not been read yet.
pub(super) struct OpenList {
    pub(super) id: ListId,
    /// Location of the name.
    pub(super) place: Location,
    pub(super) columns: Vec<String>,
    /// Whether a rule matches on the list.
    pub(super) used: bool,
    /// Columns from which rules take their agents.
    agents: Vec<AgentColumn>,
    /// Digest of the file's content.
    pub(super) digest: [u8; 32],
    from: ListSource,
}

struct AgentColumn {
    column: Column,
    /// Whether the rules have a default for an empty cell.
    may_be_empty: bool,
    /// Agents found in the column.
    named: BTreeSet<usize>,
}

/// A problem of a row.
struct Wrong {
    problem: Problem,
    /// Text of the cell; empty for the whole row.
    cell: String,
}

impl Wrong {
    /// Creates a problem of the whole row.
    fn row(message: impl Into<String>, help: impl Into<String>) -> Wrong {
        Wrong { problem: Problem::new("bad-row", message).help(help), cell: String::new() }
    }
}

enum ListSource {
    Table(Vec<Spanned<String>>),
    File {
        path: String,
        rows: Box<ListRows>,
        number: usize,
    },
    /// The definition is invalid, which has been reported.
    Nowhere,
}

/// Maximum number of bad rows to report; further ones are counted.
const MOST_BAD_ROWS: usize = 100;
/// Number of rows between two progress reports.
const ROWS_A_STEP: usize = 10_000;

/// The first bad rows, and the number of all.
#[derive(Default)]
struct BadRows {
    /// Bad rows with their line and its offset in bytes.
    first: Vec<(usize, u64, Wrong)>,
    count: usize,
}

impl BadRows {
    fn push(&mut self, row: &CsvRow<'_>, wrong: Wrong) {
        self.count += 1;
        if self.first.len() < MOST_BAD_ROWS {
            self.first.push((row.line, row.at, wrong));
        }
    }
}

impl OpenList {
    /// Names of the columns; `None` if the list could not be read, which has been reported.
    pub(super) fn columns(&self) -> Option<&[String]> {
        match self.from {
            ListSource::Nowhere => None,
            ListSource::Table(_) | ListSource::File { .. } => Some(&self.columns),
        }
    }
}

impl Checker<'_> {
    pub(super) fn open_list(&mut self, written: RawList, table_files: &mut TableFiles) {
        let name = &written.name;
        if let Some(first) = self.lists.find(&name.value) {
            let first = self.open_lists[first.index()].place.clone();
            return self.reporter.duplicate_name("a list", name, Some(&first));
        }
        if name.value == "sip" || name.value == "history" {
            let message = format!("`{}` is not allowed as the name of a list", name.value);
            self.reporter
                .error("duplicate-name", &name.span, message)
                .help(format!("${{{}.…}} has another meaning in templates", name.value));
        }
        let id = self.lists.add(&name.value);
        let place = self.reporter.location(&name.span);
        let (columns, from) = self.list_from(written, table_files);
        let (agents, digest) = (Vec::new(), [0; 32]);
        self.open_lists.push(OpenList { id, place, columns, used: false, agents, digest, from });
    }

    fn list_from(
        &mut self,
        written: RawList,
        table_files: &mut TableFiles,
    ) -> (Vec<String>, ListSource) {
        let nowhere = (Vec::new(), ListSource::Nowhere);
        match (written.numbers, written.file) {
            _ if written.invalid => nowhere,
            (Some(numbers), None) => {
                if let Some(column) = &written.column {
                    let message = "`column` requires a list with a `file`".to_owned();
                    self.reporter.error("list-form", &column.span, message);
                }
                (Vec::new(), ListSource::Table(numbers))
            }
            (None, Some(file)) => {
                self.list_file(&file, written.column.as_ref(), table_files).unwrap_or(nowhere)
            }
            (Some(_), Some(file)) => {
                let message = "a list has either `numbers` or a `file`".to_owned();
                self.reporter
                    .error("list-form", &file.span, message)
                    .help("split it into two lists");
                nowhere
            }
            (None, None) => {
                let message =
                    format!("list `{}` has neither `numbers` nor a `file`", written.name.value);
                self.reporter
                    .error("list-form", &written.name.span, message)
                    .help("set numbers = [\"+12137771234\"] or file = \"vip.csv\"");
                nowhere
            }
        }
    }

    fn list_file(
        &mut self,
        file: &Spanned<String>,
        column: Option<&Spanned<String>>,
        table_files: &mut TableFiles,
    ) -> Option<(Vec<String>, ListSource)> {
        if file.value.trim().is_empty() {
            let message = "`file` is empty".to_owned();
            self.reporter.error("list-form", &file.span, message).help("set file = \"vip.csv\"");
            return None;
        }
        let path = self.resolve_path(&file.value);
        let opened = ListRows::open(table_files, &path);
        let rows = opened.map_err(|error| {
            let message = format!("cannot read `{}`: {error}", path.display());
            self.reporter
                .error("no-file", &file.span, message)
                .help("paths are relative to the file that contains them");
        });
        let rows = rows.ok()?;
        self.header(&rows, &path, file)?;
        let columns = rows.columns.clone();
        let number = match column {
            None => 0,
            Some(column) => self.number_column(column, &columns)?,
        };
        let path = path.display().to_string();
        Some((columns, ListSource::File { path, rows: Box::new(rows), number }))
    }

    /// Parses the header of a CSV file. Reports a missing one and returns `None`.
    fn header(&mut self, rows: &ListRows, path: &Path, file: &Spanned<String>) -> Option<()> {
        let Some(separator) = rows.separator else { return Some(()) };
        let columns = &rows.columns;
        if columns.iter().all(|name| name.is_empty()) {
            let message = "the file is empty; the first line of a CSV file must name its columns";
            self.reporter
                .error("no-header", &file.span, message.to_owned())
                .help("add a header such as `number,name`");
            return None;
        }
        let line = columns.join(&separator.to_string());
        let is_no_text = |c: char| c == '\0' || c == char::REPLACEMENT_CHARACTER;
        let digits = |name: &str| name.chars().filter(char::is_ascii_digit).count();
        let looks_like_a_number =
            |name: &String| digits(name) > 6 && !name.contains(char::is_alphabetic);
        let (code, span, message, help) = if line.contains(is_no_text) {
            ("bad-row", 0..0, "the file is not UTF-8", "save the file as CSV in UTF-8")
        } else if columns[0].starts_with("sep=") {
            let help = "remove the line; the separator is detected without it";
            ("no-header", 0..line.len(), "this line is a spreadsheet directive, not a header", help)
        } else if let Some(name) = columns.iter().find(|name| looks_like_a_number(name)) {
            let message = "the first line of a CSV file must name its columns; this is a number";
            let help = "add a header such as `number,name` above it, or use the extension .txt";
            ("no-header", span_in(&line, name), message, help)
        } else if line.contains('\t') && columns.len() == 1 {
            let help = "save the file with commas or semicolons";
            ("no-header", 0..line.len(), "the columns are separated by tabs", help)
        } else {
            return Some(());
        };
        let file = Arc::new(SourceFile::excerpt(&path.display().to_string(), 1, line));
        self.reporter.report.error(code, Some(Location { file, span }), message).help(help);
        None
    }

    fn number_column(&mut self, column: &Spanned<String>, columns: &[String]) -> Option<usize> {
        if let Some(problem) = no_column("the file", columns, &column.value) {
            self.reporter.problem(&column.span, problem);
            return None;
        }
        columns.iter().position(|name| *name == column.value)
    }

    /// Reads the rows of all lists.
    pub(super) fn rows(&mut self, progress: &mut dyn FnMut(Progress<'_>)) {
        let mut lists = std::mem::take(&mut self.open_lists);
        for list in &mut lists {
            match std::mem::replace(&mut list.from, ListSource::Nowhere) {
                ListSource::Table(numbers) => self.numbers_of(list, &numbers),
                ListSource::File { path, rows, number } => {
                    self.file_rows(list, &path, *rows, number, progress);
                }
                ListSource::Nowhere => continue,
            }
            self.warn_if_emptied(list);
        }
        self.open_lists = lists;
        for said in std::mem::take(&mut self.said) {
            self.said_agents(&said);
        }
    }

    fn numbers_of(&mut self, list: &OpenList, numbers: &[Spanned<String>]) {
        self.reporter.set_file(&list.place.file.clone());
        for number in numbers {
            match item(&number.value) {
                Ok(item) => {
                    if !self.lists.insert(list.id, &item, std::iter::empty()) {
                        let message = format!("`{}` is in the list twice", number.value);
                        self.reporter.warning("duplicate-number", &number.span, message);
                    }
                }
                Err(problem) => self.reporter.problem(&number.span, problem),
            }
        }
    }

    fn file_rows(
        &mut self,
        list: &mut OpenList,
        path: &str,
        mut rows: ListRows,
        number: usize,
        progress: &mut dyn FnMut(Progress<'_>),
    ) {
        let kept = self.lists.kept_columns(list.id).iter();
        let kept: Vec<_> =
            kept.map(|name| list.columns.iter().position(|column| *column == **name)).collect();
        let (mut bad, mut twice) = (BadRows::default(), BadRows::default());
        let separator = rows.separator;
        let mut count = 0;
        let bytes = rows.bytes;
        let read = rows.each(|row| {
            count += 1;
            if count % ROWS_A_STEP == 0 {
                progress(Progress::List(path, count));
            }
            if count == ROWS_A_STEP {
                // The length of a row can be estimated now.
                let rest = bytes.saturating_sub(row.at) * ROWS_A_STEP as u64 / row.at.max(1);
                self.lists.reserve_rows(list.id, rest as usize);
            }
            match self.row(list, &row, number, &kept, separator) {
                Ok(None) => {}
                Ok(Some(stands_twice)) => twice.push(&row, stands_twice),
                Err(wrong) => bad.push(&row, wrong),
            }
        });
        list.digest = rows.digest();
        if let Err(error) = read {
            let message = format!("cannot read {path} to its end: {error}");
            self.reporter.report.error("no-file", Some(list.place.clone()), message);
        }
        self.bad_rows(list, path, &mut rows, bad, Severity::Error);
        self.bad_rows(list, path, &mut rows, twice, Severity::Warning);
    }

    /// Adds a row. Returns a problem that only deserves a warning.
    fn row(
        &mut self,
        list: &mut OpenList,
        row: &CsvRow<'_>,
        number: usize,
        kept: &[Option<usize>],
        separator: Option<char>,
    ) -> Result<Option<Wrong>, Wrong> {
        if let Some(separator) = separator {
            has_the_form(row, list.columns.len(), number, separator)?;
        }
        let cells: Option<Vec<&str>> =
            kept.iter().map(|at| at.map_or(Some(""), |at| row.cell(at))).collect();
        let (Some(text), Some(cells)) = (row.cell(number), cells) else {
            return Err(Wrong::row("the row is not UTF-8", "save the file as UTF-8"));
        };
        let text = match separator {
            None => text.split('#').next().unwrap_or_default().trim(),
            Some(_) => text,
        };
        if text.is_empty() && separator.is_none() {
            return Ok(None);
        }
        let wrong = |problem| Wrong { problem, cell: text.to_owned() };
        let item = item(text).map_err(wrong)?;
        for agents in &mut list.agents {
            let named = self.row_agent(cells[agents.column.index()], agents.may_be_empty)?;
            agents.named.extend(named);
        }
        let is_new = self.lists.insert(list.id, &item, cells.into_iter());
        let message = || format!("`{text}` is already in this list");
        let twice = || Problem::new("duplicate-number", message()).help("the first row counts");
        Ok((!is_new).then(|| wrong(twice())))
    }

    /// Returns the agent of a row, or `None` if the cell is allowed to be empty.
    fn row_agent(&mut self, name: &str, may_be_empty: bool) -> Result<Option<usize>, Wrong> {
        if let Some(at) = self.agent_named(name) {
            self.agents_used.mark(at);
            return Ok(Some(at));
        }
        let wrong = |message: String, help| {
            let problem = Problem::new("unknown-agent", message).maybe_help(help);
            Err(Wrong { problem, cell: name.to_owned() })
        };
        match name {
            "" if may_be_empty => Ok(None),
            "" => wrong(
                "this row has no agent, but a rule takes its agent from this column".into(),
                None,
            ),
            id if self.any_agent => Ok(Some(self.raw_agent(id))),
            name => wrong(format!("unknown agent `{name}`"), self.agent_meant(name)),
        }
    }

    fn bad_rows(
        &mut self,
        list: &OpenList,
        path: &str,
        rows: &mut ListRows,
        bad: BadRows,
        severity: Severity,
    ) {
        let more = bad.count - bad.first.len();
        let last = bad.first.last().map(|(.., wrong)| wrong.problem.code);
        for (line, at, Wrong { problem, cell }) in bad.first {
            let (passed, text) = rows.line_at(at).unwrap_or_default();
            let span = span_in(&text, &cell);
            let file = Arc::new(SourceFile::excerpt(path, line + passed, text));
            let place = Some(Location { file, span });
            self.reporter.report.push(severity, place, problem);
        }
        if let (Some(code), 1..) = (last, more) {
            let what = match severity {
                Severity::Error => "have errors",
                Severity::Warning | Severity::Note => "have warnings",
            };
            let message = format!("{more} more rows of {path} {what}");
            self.reporter.report.push(
                severity,
                Some(list.place.clone()),
                Problem::new(code, message),
            );
        }
    }

    fn warn_if_emptied(&mut self, list: &OpenList) {
        let of = self.lists.list(list.id);
        let was_filled = self.context.filled_lists.contains(&of.name);
        if of.size == 0 && was_filled {
            let message = format!("list `{}` is empty now", of.name);
            self.reporter
                .report
                .warning("list-emptied", Some(list.place.clone()), message)
                .help("it had entries in the previous table");
        }
    }

    /// Warns of agents in a column that have no id at a platform of a source.
    fn said_agents(&mut self, said: &AgentColumnUse) {
        if self.off.contains(&said.rule) {
            return;
        }
        let columns = &self.open_lists[said.cell.list.index()].agents;
        let column = columns.iter().find(|agents| agents.column == said.cell.column);
        let named: Vec<_> = column.into_iter().flat_map(|agents| &agents.named).copied().collect();
        for agent in named {
            self.missing_ids(said.rule, agent, &said.place);
        }
    }

    /// Notes that a rule takes its agent from this column.
    pub(super) fn agent_column(
        &mut self,
        cell: Cell,
        may_be_empty: bool,
        rule: usize,
        place: Location,
    ) {
        let agents = &mut self.open_lists[cell.list.index()].agents;
        match agents.iter_mut().find(|agents| agents.column == cell.column) {
            Some(agents) => agents.may_be_empty &= may_be_empty,
            None => {
                let named = BTreeSet::new();
                agents.push(AgentColumn { column: cell.column, may_be_empty, named });
            }
        }
        self.said.push(AgentColumnUse { rule, place, cell });
    }
}

/// Checks that a CSV row has as many cells as the header, and no further rows inside a cell.
fn has_the_form(
    row: &CsvRow<'_>,
    columns: usize,
    number: usize,
    separator: char,
) -> Result<(), Wrong> {
    let name = if separator == ';' { "semicolon" } else { "comma" };
    let cells = row.cells();
    if cells != columns {
        let cell = if cells == 1 { "cell" } else { "cells" };
        let message = format!("the row has {cells} {cell}, the header has {columns}");
        let help = match cells > columns {
            true => format!("quote a cell that contains a {name}"),
            false => format!("an empty cell needs its {name}, too"),
        };
        return Err(Wrong::row(message, help));
    }
    let is_a_row = |line: &String| {
        let cells: Vec<_> =
            line.split(separator).map(|cell| cell.trim_matches([' ', '"'])).collect();
        columns > 1 && cells.len() == columns && NumberPattern::parse(cells[number]).is_ok()
    };
    if row.further_lines().any(|line| is_a_row(&line)) {
        let message = "a quote opens here and spans further rows";
        return Err(Wrong::row(message, "close the quote, or double it for a literal one"));
    }
    Ok(())
}

/// Returns the span of a cell in its line, or the whole line if the cell cannot be found.
fn span_in(line: &str, cell: &str) -> Range<usize> {
    let apart = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    let found = line.match_indices(cell).map(|(at, _)| at..at + cell.len()).find(|span| {
        apart(line[..span.start].chars().next_back()) && apart(line[span.end..].chars().next())
    });
    found.filter(|span| !span.is_empty()).unwrap_or(0..line.len())
}

/// Parses an entry of a list.
fn item(text: &str) -> Result<Item, Problem> {
    const HELP: &str = "lists contain numbers, prefixes and =texts; put this into the rule";
    let text = text.trim();
    let refuse =
        |message: String, help: String| Err(Problem::new("bad-pattern", message).help(help));
    let has_no_place = || refuse(format!("`{text}` is not allowed in a list"), HELP.to_owned());
    match NumberPattern::parse(text) {
        _ if text.is_empty() => refuse("the number is missing".into(), "remove the row".into()),
        _ if text.starts_with(['@', '!']) => has_no_place(),
        Ok(NumberPattern::Exact(number)) => Ok(Item::Number(number)),
        Ok(NumberPattern::Prefix(prefix)) => Ok(Item::Prefix(prefix)),
        Ok(NumberPattern::Literal(text)) => Ok(Item::Text(text)),
        Ok(_) => has_no_place(),
        Err(wrong) if wrong.code == "bad-number" || text.starts_with('=') => Err(wrong),
        Err(_) => {
            let help = match Party::parse(Some(text)).party {
                Party::Withheld => {
                    "for callers without a number, use `withheld` in a rule".to_owned()
                }
                Party::Number(_) | Party::Literal(_) => suggest_number(text)
                    .unwrap_or_else(|| format!("for exactly this text, use `={text}`")),
            };
            refuse(format!("`{text}` is not a number"), help)
        }
    }
}

/// Returns the problem with the name of a column, if there is one.
pub(super) fn no_column(of: &str, columns: &[String], column: &str) -> Option<Problem> {
    let message = match columns.iter().filter(|known| *known == column).count() {
        0 => format!("{of} has no column `{column}`"),
        1 => return None,
        _ => format!("{of} has several columns `{column}`"),
    };
    let others = columns.iter().map(String::as_str).filter(|name| *name != column);
    let all = match columns {
        [] => "only .csv files have columns".to_owned(),
        columns => format!("it has {}", columns.join(", ")),
    };
    Some(Problem::new("unknown-column", message).help(did_you_mean(column, others).unwrap_or(all)))
}
