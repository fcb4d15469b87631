//! Lists, before their rows are read. Rules refer to their columns, of which only those in use are
//! kept.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::guards::ListGuard;
use super::live_lists::{LiveListChecker, copy_name};
use super::raw_table::RawTable;
use super::reporter::{LISTS, Reporter};
use super::values;
use super::where_rows::WhereUse;
use crate::diagnostics::{Location, Problem, Severity, SourceFile, did_you_mean};
use crate::domain::phone_number::Country;
use crate::regular_file;
use crate::rules::load::files::TableFiles;
use crate::rules::load::list_rows::{ListRows, column_name, is_missing, is_other_format};
use crate::rules::load::raw::{RawList, Spanned};
use crate::rules::load::windows_path;
use crate::rules::model::condition::WhereClause;
use crate::rules::model::lists::{Cell, ColumnId, ListId};
use crate::rules::{CheckContext, CopyInfo, Lists, LiveList};

/// Names in front of a dot that mean no list.
const RESERVED_NAMES: [&str; 4] = ["sip", "history", "env", "attr"];

/// Lists of a table whose rows have not been read yet.
#[derive(Default)]
pub(super) struct OpenLists {
    /// Lists without rows, and the columns to keep.
    pub(super) lists: Lists,
    pub(super) open: Vec<OpenList>,
}

/// A list whose rows have not been read yet.
pub(super) struct OpenList {
    pub(super) id: ListId,
    /// Location of the name.
    pub(super) location: Location,
    pub(super) columns: Vec<String>,
    /// Country of numbers without `+`.
    pub(super) country: Option<Country>,
    /// A rule matches on the list.
    pub(super) used: bool,
    /// Columns with names of agents, hours, dates or splits.
    pub(super) name_columns: Vec<NameColumn>,
    /// Columns that rules fill into texts.
    pub(super) text_columns: BTreeSet<usize>,
    /// Entries of `where` on columns of the list.
    pub(super) where_uses: Vec<WhereUse>,
    pub(super) guard: ListGuard,
    /// The list lives elsewhere, and its file is a copy.
    pub(super) live: Option<Arc<LiveList>>,
    /// The copy came from another place than the list does now, and its columns may be others.
    pub(super) has_foreign_copy: bool,
    pub(super) source: ListSource,
}

/// What the names in a column of a list mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameKind {
    Agent,
    Hours,
    Dates,
    Split,
    /// Numbers and SIP addresses to which calls are transferred.
    Target,
}

/// A column with names of one kind.
pub(super) struct NameColumn {
    pub(super) column: ColumnId,
    pub(super) kind: NameKind,
    /// Location of the list.
    pub(super) location: Location,
    /// An empty cell is no error: the rules have a default, or do not match.
    pub(super) may_be_empty: bool,
    /// Positions of the items that the rows name.
    pub(super) found: BTreeSet<usize>,
    /// Number of rows with an empty cell, and the line of the first.
    pub(super) empty: Option<(usize, usize)>,
}

pub(super) enum ListSource {
    Inline(Vec<Spanned<String>>),
    File(Box<ListFile>),
    /// A list that lives elsewhere and has no copy yet, so its columns are unknown.
    Missing,
    /// The file cannot be read or has no columns, which has been reported.
    Unreadable(PathBuf),
    /// The definition is invalid, which has been reported.
    Invalid,
}

/// An open file of a list.
pub(super) struct ListFile {
    pub(super) path: String,
    pub(super) rows: ListRows,
    /// Positions of the columns that hold the numbers, at least one.
    pub(super) number_columns: Vec<usize>,
}

impl OpenList {
    /// Returns the names of the columns, or `None` if the list is invalid, which has been reported.
    pub(super) fn columns(&self) -> Option<&[String]> {
        match self.source {
            ListSource::Invalid | ListSource::Unreadable(_) | ListSource::Missing => None,
            ListSource::File(_) if self.has_foreign_copy => None,
            ListSource::Inline(_) | ListSource::File(_) => Some(&self.columns),
        }
    }

    /// Notes the columns without which an answer for a list that lives elsewhere is of no use.
    pub(super) fn note_used_columns(&mut self, lists: &Lists) {
        if let Some(live) = &mut self.live {
            let used_columns = lists.kept_columns(self.id).to_vec();
            *live = Arc::new(LiveList { used_columns, ..(**live).clone() });
        }
    }

    /// Returns whether the copy of the list came from another place, and lacks a column that rules use.
    pub(super) fn has_useless_copy(&self, lists: &Lists) -> bool {
        let mut kept = lists.kept_columns(self.id).iter();
        self.has_foreign_copy
            && kept.any(|name| !self.columns.iter().any(|column| **column == **name))
    }

    /// Returns the help for a column that is named below the first line of the file.
    pub(super) fn title_help(&self, column: &str) -> Option<String> {
        let ListSource::File(file) = &self.source else { return None };
        title_help(file.rows.line_of_column(column))
    }
}

impl OpenLists {
    /// Opens the lists of all files.
    pub(super) fn open(
        table: &mut RawTable,
        country: Option<Country>,
        context: &CheckContext,
        files: &mut TableFiles,
        reporter: &mut Reporter<'_>,
    ) -> OpenLists {
        let mut opener =
            ListOpener { opened: OpenLists::default(), country, context, files, reporter };
        for file in &mut table.files {
            opener.reporter.set_file(&file.source);
            for raw in file.definitions.iter_mut().flat_map(|raw| std::mem::take(&mut raw.lists)) {
                opener.list(raw);
            }
        }
        opener.opened
    }

    /// Returns the list with this name and marks it as used, or reports an unknown name.
    pub(super) fn find_used(
        &mut self,
        name: &Spanned<String>,
        reporter: &mut Reporter<'_>,
    ) -> Option<ListId> {
        let found = self.lists.find(&name.value);
        match found {
            Some(list) => self.open[list.index()].used = true,
            None => {
                let defined: Vec<_> = self.lists.all().iter().map(|list| &*list.name).collect();
                reporter.unknown_name(&LISTS, name, &defined, None);
            }
        }
        found
    }

    /// Returns whether there is a list with this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.lists.find(name).is_some()
    }

    /// Notes that a rule fills this column into a text.
    pub(super) fn note_text_column(&mut self, cell: Cell) {
        self.open[cell.list.index()].text_columns.insert(cell.column.index());
    }

    /// Notes that a rule compares this cell.
    pub(super) fn add_where_use(&mut self, cell: Cell, location: Location, clause: WhereClause) {
        let uses = &mut self.open[cell.list.index()].where_uses;
        uses.push(WhereUse::new(cell.column, location, clause));
    }

    /// Notes that a rule takes names of this kind from a column.
    pub(super) fn add_name_column(&mut self, cell: Cell, kind: NameKind, may_be_empty: bool) {
        let column = cell.column;
        let OpenList { name_columns: columns, location, .. } = &mut self.open[cell.list.index()];
        match columns.iter_mut().find(|other| other.column == column && other.kind == kind) {
            Some(known) => known.may_be_empty &= may_be_empty,
            None => {
                let found = BTreeSet::new();
                let location = location.clone();
                columns.push(NameColumn {
                    column,
                    kind,
                    location,
                    may_be_empty,
                    found,
                    empty: None,
                });
            }
        }
    }
}

struct ListOpener<'c, 'r> {
    opened: OpenLists,
    /// Country of lists without one.
    country: Option<Country>,
    context: &'c CheckContext,
    files: &'c mut TableFiles,
    reporter: &'c mut Reporter<'r>,
}

impl ListOpener<'_, '_> {
    fn list(&mut self, mut raw: RawList) {
        let name = &raw.name;
        if let Some(first) = self.opened.lists.find(&name.value) {
            let first = &self.opened.open[first.index()].location;
            return self.reporter.duplicate_name("a list", name, Some(first));
        }
        if RESERVED_NAMES.contains(&name.value.as_str()) {
            let message = format!("`{}` is not allowed as the name of a list", name.value);
            self.reporter
                .error("duplicate-name", &name.span, message)
                .help(format!("${{{}.…}} has another meaning in templates", name.value));
        }
        let is_live = raw.url.is_some() || raw.database.is_some();
        let file = match &raw.file {
            Some(file) => Some(self.reporter.resolve_path(&file.value)),
            None => is_live.then(|| self.copy_path(&name.value)),
        };
        let file = file.map(|path| path.display().to_string());
        let id = self.opened.lists.add(&name.value, file.as_deref());
        let location = self.reporter.location(&name.span);
        let own = raw.country.as_ref().and_then(|country| values::country(country, self.reporter));
        let country = own.or(self.country);
        let mut guard = ListGuard::new(&raw, self.reporter);
        let (mut live, mut has_foreign_copy) = (None, false);
        let source = match is_live && raw.file.is_none() && raw.numbers.is_none() {
            true => {
                live = self.live_list(&mut raw, guard, country);
                // The copy was checked when it was fetched.
                guard = ListGuard { skips_bad_rows: !raw.is_strict(), ..ListGuard::default() };
                has_foreign_copy = live.as_deref().is_some_and(|list| self.is_foreign(list));
                live.as_ref().map(|list| self.copy(list, &raw, has_foreign_copy))
            }
            false => self.source(raw),
        };
        let source = source.unwrap_or(ListSource::Invalid);
        let columns = match &source {
            ListSource::File(file) => file.rows.columns.clone(),
            ListSource::Inline(_)
            | ListSource::Missing
            | ListSource::Unreadable(_)
            | ListSource::Invalid => Vec::new(),
        };
        self.opened.open.push(OpenList {
            id,
            location,
            columns,
            country,
            used: false,
            name_columns: Vec::new(),
            text_columns: BTreeSet::new(),
            where_uses: Vec::new(),
            guard,
            has_foreign_copy,
            live,
            source,
        });
    }

    /// Returns whether the copy of a list came from another place. An answer that stands in for the copy did not.
    fn is_foreign(&self, list: &LiveList) -> bool {
        !self.files.is_replaced(&list.copy) && CopyInfo::is_foreign(list)
    }

    fn source(&mut self, raw: RawList) -> Option<ListSource> {
        let of_live = [
            ("url", raw.url.as_ref().map(|key| &key.span)),
            ("database", raw.database.as_ref().map(|key| &key.span)),
            ("query", raw.query.as_ref().map(|key| &key.span)),
            ("headers", raw.headers.first().map(|(name, _)| &name.span)),
            ("refresh_s", raw.refresh_s.as_ref().map(|key| &key.span)),
        ];
        for (key, span) in of_live.into_iter().filter_map(|(key, span)| Some((key, span?))) {
            let message = format!("a list with `numbers` or a `file` has no `{key}`");
            self.reporter.error("list-form", span, message).help("split it into two lists");
        }
        let of_files = [
            ("max_shrink", raw.max_shrink.as_ref().map(|key| &key.span)),
            ("min_rows", raw.min_rows.as_ref().map(|key| &key.span)),
            ("bad_rows", raw.bad_rows.as_ref().map(|key| &key.span)),
            ("column", raw.columns.first().map(|key| &key.span)),
        ];
        let of_files = of_files.into_iter().filter_map(|(key, span)| Some((key, span?)));
        let (span, message, help) = match (raw.numbers, raw.file) {
            _ if raw.invalid => return None,
            (Some(numbers), None) => {
                for (key, span) in of_files {
                    let message = format!("`{key}` requires a list with a `file`");
                    self.reporter.error("list-form", span, message);
                }
                return Some(ListSource::Inline(numbers));
            }
            (None, Some(file)) => {
                let path = self.reporter.resolve_path(&file.value);
                return Some(match self.file(&file, &raw.columns) {
                    Some(file) => ListSource::File(Box::new(file)),
                    None => ListSource::Unreadable(path),
                });
            }
            (Some(_), Some(file)) => {
                let message = "a list has either `numbers` or a `file`".to_owned();
                (file.span, message, "split it into two lists")
            }
            (None, None) => {
                let message =
                    format!("list `{}` has neither `numbers` nor a `file`", raw.name.value);
                let help = "set numbers = [\"+12137771234\"] or file = \"vip.csv\"";
                (raw.name.span, message, help)
            }
        };
        self.reporter.error("list-form", &span, message).help(help);
        None
    }

    /// Returns the path of the copy of a list that lives elsewhere.
    fn copy_path(&self, name: &str) -> PathBuf {
        match &self.context.lists_dir {
            Some(folder) => folder.join(copy_name(name)),
            None => self.reporter.resolve_path(&copy_name(name)),
        }
    }

    fn live_list(
        &mut self,
        raw: &mut RawList,
        guard: ListGuard,
        country: Option<Country>,
    ) -> Option<Arc<LiveList>> {
        let copy = self.copy_path(&raw.name.value);
        let mut checker = LiveListChecker { context: self.context, reporter: self.reporter };
        checker.check(raw, guard, country, copy).map(Arc::new)
    }

    fn missing_copy(&mut self, name: &Spanned<String>, problem: Problem) -> ListSource {
        self.reporter.push(Severity::Warning, &name.span, problem);
        ListSource::Missing
    }

    /// Opens the copy of a list that lives elsewhere.
    fn copy(&mut self, list: &LiveList, raw: &RawList, is_foreign: bool) -> ListSource {
        let path = &list.copy;
        let rows = match ListRows::open(self.files, path) {
            Ok(rows) => rows,
            Err(error) if is_missing(&error) => {
                return self.missing_copy(&raw.name, no_copy(&raw.name.value));
            }
            Err(error) if is_other_format(&error) => {
                return self.missing_copy(&raw.name, useless_copy(&raw.name.value, &error));
            }
            Err(error) => {
                let message = format!("cannot read `{}`: {error}", path.display());
                self.reporter.error("no-file", &raw.name.span, message);
                return ListSource::Invalid;
            }
        };
        let is_header = |column: &Spanned<String>| rows.columns.contains(&column.value);
        if is_foreign && !raw.columns.iter().all(is_header) {
            return self.missing_copy(&raw.name, no_copy(&raw.name.value));
        }
        if let Some(HeaderProblem { problem, .. }) = header_problem(&rows, &raw.columns) {
            let problem = useless_copy(&raw.name.value, &problem.message);
            return self.missing_copy(&raw.name, problem);
        }
        let number_columns = self.number_columns(&raw.columns, &rows);
        let Some(number_columns) = number_columns else { return ListSource::Invalid };
        let path = path.display().to_string();
        ListSource::File(Box::new(ListFile { path, rows, number_columns }))
    }

    fn number_columns(
        &mut self,
        columns: &[Spanned<String>],
        rows: &ListRows,
    ) -> Option<Vec<usize>> {
        if columns.is_empty() {
            return Some(vec![0]);
        }
        // All of them are checked before the first problem counts.
        let found: Vec<_> = columns.iter().map(|column| self.number_column(column, rows)).collect();
        found.into_iter().collect()
    }

    fn file(&mut self, file: &Spanned<String>, columns: &[Spanned<String>]) -> Option<ListFile> {
        if file.value.trim().is_empty() {
            let message = "`file` is empty".to_owned();
            self.reporter.error("list-form", &file.span, message).help("set file = \"vip.csv\"");
            return None;
        }
        let path = self.reporter.resolve_path(&file.value);
        let opened = ListRows::open(self.files, &path);
        let opened = opened.map_err(|error| {
            let message = format!("cannot read `{}`: {error}", path.display());
            let similar = || regular_file::help_for_missing(&path).filter(|_| is_missing(&error));
            let help = windows_path::help(&file.value)
                .or_else(similar)
                .unwrap_or_else(|| "paths are relative to the file that contains them".to_owned());
            let help = Some(help).filter(|_| !is_other_format(&error));
            self.reporter.error("no-file", &file.span, message).maybe_help(help);
        });
        let rows = opened.ok()?;
        self.check_header(&rows, &path, file, columns)?;
        if columns.is_empty() {
            self.check_title(&rows, &path)?;
        }
        let number_columns = self.number_columns(columns, &rows)?;
        Some(ListFile { path: path.display().to_string(), rows, number_columns })
    }

    /// Checks the header of a CSV file. Reports a missing one and returns `None`.
    fn check_header(
        &mut self,
        rows: &ListRows,
        path: &Path,
        file: &Spanned<String>,
        columns: &[Spanned<String>],
    ) -> Option<()> {
        let Some(HeaderProblem { problem, cell }) = header_problem(rows, columns) else {
            return Some(());
        };
        let Some((line, span)) = cell else {
            self.reporter.problem(&file.span, problem);
            return None;
        };
        let file = Arc::new(SourceFile::excerpt(&path.display().to_string(), 1, line));
        self.reporter.report.push(Severity::Error, Some(Location { file, span }), problem);
        None
    }

    /// Reports a title above the names of the columns, and returns `None`. A list that names its column does so
    /// where it is not found.
    fn check_title(&mut self, rows: &ListRows, path: &Path) -> Option<()> {
        let Some(separator) = rows.separator else { return Some(()) };
        let Some(line) = line_below_title(rows) else { return Some(()) };
        let title = rows.columns.join(&separator.to_string());
        let end = title.trim_end_matches(separator).len();
        let file = Arc::new(SourceFile::excerpt(&path.display().to_string(), 1, title));
        let location = Location { file, span: 0..end };
        let message = "the first line is a title; that of a CSV file must name its columns";
        let help = title_help(Some(line)).unwrap_or_default();
        self.reporter.report.error("no-header", Some(location), message).help(help);
        None
    }

    fn number_column(&mut self, column: &Spanned<String>, rows: &ListRows) -> Option<usize> {
        let columns = &rows.columns;
        if let Some(problem) = column_problem("the file", columns, &column.value) {
            let title = title_help(rows.line_of_column(&column.value));
            self.reporter.problem(&column.span, problem.maybe_help(title));
            return None;
        }
        columns.iter().position(|name| *name == column.value)
    }
}

/// What is wrong with the first line of a CSV file.
pub(super) struct HeaderProblem {
    pub(super) problem: Problem,
    /// The line, and the span in it that the problem is about; `None` if the file is empty.
    cell: Option<(String, Range<usize>)>,
}

/// Returns what is wrong with the line that must name the columns. Plain text has none.
///
/// `named` are the columns that the definition of the list names.
pub(super) fn header_problem(rows: &ListRows, named: &[Spanned<String>]) -> Option<HeaderProblem> {
    let (separator, columns) = (rows.separator?, &rows.columns);
    if columns.iter().all(|name| name.is_empty()) {
        let message = "the file is empty; the first line of a CSV file must name its columns";
        let problem = Problem::new("no-header", message).help("add a header such as `number,name`");
        return Some(HeaderProblem { problem, cell: None });
    }
    let line = columns.join(&separator.to_string());
    let is_not_text = |c: char| c == '\0' || c == char::REPLACEMENT_CHARACTER;
    if line.contains(is_not_text) {
        let problem = Problem::new("bad-row", "the file is not UTF-8");
        let problem = problem.help("save the file as CSV in UTF-8");
        return Some(HeaderProblem { problem, cell: Some((line, 0..0)) });
    }
    let number = columns.iter().find(|name| looks_like_a_number(name))?;
    let header = proposed_header(columns, named, separator);
    let message = "the first line of a CSV file must name its columns; this is a number";
    let help = match columns.len() {
        1 => format!("add the header `{header}` above it, or use the extension .txt"),
        _ if named.is_empty() && !looks_like_a_number(&columns[0]) => format!(
            "add a header above it, such as `{header}`, and write column = \"number\" below the file of the list"
        ),
        _ => format!("add a header above it, such as `{header}`"),
    };
    let (problem, span) = (Problem::new("no-header", message).help(help), cell_span(&line, number));
    Some(HeaderProblem { problem, cell: Some((line, span)) })
}

/// Returns a header for rows whose first one is `cells`: the cells with numbers have the columns that the list names.
fn proposed_header(cells: &[String], named: &[Spanned<String>], separator: char) -> String {
    let is_taken = named.iter().any(|column| column.value == "name");
    let other = if is_taken { "text" } else { "name" };
    let mut named = named.iter().map(|column| column.value.as_str());
    let (mut others, mut numbers) = (0, 0);
    let names = cells.iter().map(|cell| {
        let (count, default) = match looks_like_a_number(cell) {
            true => (&mut numbers, "number"),
            false => (&mut others, other),
        };
        *count += 1;
        let own = if default == "number" { named.next() } else { None };
        own.map(str::to_owned).unwrap_or_else(|| match *count {
            1 => default.to_owned(),
            count => format!("{default}{count}"),
        })
    });
    names.collect::<Vec<_>>().join(&separator.to_string())
}

/// Returns the warning for a list that lives elsewhere and has no copy that could be used.
pub(super) fn no_copy(list: &str) -> Problem {
    Problem::new("no-list-copy", format!("list `{list}` is empty: it was never fetched"))
        .help(FETCHED_BY_SERVE)
}

/// Help for a list that has no usable copy.
const FETCHED_BY_SERVE: &str = "`serve` fetches it at start and every refresh_s";

/// Returns the warning for a list that lives elsewhere and whose copy is damaged.
fn useless_copy(list: &str, problem: &impl fmt::Display) -> Problem {
    let message = format!("list `{list}` is empty: its copy cannot be used: {problem}");
    Problem::new("no-list-copy", message).help(FETCHED_BY_SERVE)
}

/// Returns the span of a cell in its line, or the whole line if the cell cannot be found.
pub(super) fn cell_span(line: &str, cell: &str) -> Range<usize> {
    let is_boundary = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    let mut spans = line.match_indices(cell).map(|(start, _)| start..start + cell.len());
    let found = spans.find(|span| {
        is_boundary(line[..span.start].chars().next_back())
            && is_boundary(line[span.end..].chars().next())
    });
    found.filter(|span| !span.is_empty()).unwrap_or(0..line.len())
}

/// Returns whether a cell has a number, in whichever form.
fn looks_like_a_number(cell: &str) -> bool {
    const MIN_DIGITS: usize = 7;
    let digits = cell.chars().filter(char::is_ascii_digit).count();
    digits >= MIN_DIGITS && !cell.contains(char::is_alphabetic)
}

/// Words in the names of columns with numbers, in lower case.
const NUMBER_HEADINGS: [&str; 22] = [
    "number",
    "numbers",
    "phone",
    "phonenumber",
    "telephone",
    "tel",
    "mobile",
    "cell",
    "caller",
    "msisdn",
    "telefon",
    "telefonnummer",
    "rufnummer",
    "nummer",
    "handy",
    "mobil",
    "téléphone",
    "numéro",
    "teléfono",
    "número",
    "telefone",
    "telefono",
];

/// Words in titles that name what is below them.
const TITLE_WORDS: [&str; 6] = ["list", "liste", "lista", "export", "report", "book"];

/// Returns whether a cell is the name of a column with numbers, and no title such as `Phone list`.
fn is_number_heading(cell: &str) -> bool {
    const MAX_WORDS: usize = 3;
    let cell = cell.to_lowercase();
    let words = || cell.split([' ', '_', '-', '.']).filter(|word| !word.is_empty());
    words().count() <= MAX_WORDS
        && words().any(|word| NUMBER_HEADINGS.contains(&word))
        && !words().any(|word| TITLE_WORDS.contains(&word))
}

/// Returns the number of the line that names the columns, if the first line is a title: the line above the first number
/// has more cells than the title, or the name of a column with numbers.
fn line_below_title(rows: &ListRows) -> Option<usize> {
    let filled = |cells: &[String]| cells.iter().filter(|cell| !cell.is_empty()).count();
    let has_number = |cells: &Vec<String>| cells.iter().any(|cell| looks_like_a_number(cell));
    let first_number = rows.next_lines.iter().position(has_number)?;
    let (at, names) = rows.next_lines[..first_number]
        .iter()
        .enumerate()
        .rfind(|(_, cells)| filled(cells) > 0 && **cells != rows.columns)?;
    let is_header = !rows.columns.iter().any(|name| is_number_heading(name))
        && (filled(names) > filled(&rows.columns)
            || names.iter().any(|name| is_number_heading(name)));
    is_header.then_some(at + 2)
}

/// Returns the help for a title above the names of the columns.
fn title_help(line: Option<usize>) -> Option<String> {
    let line = line?;
    let above = if line == 2 { "the line".to_owned() } else { format!("the {} lines", line - 1) };
    Some(format!("the columns are named on line {line}; remove {above} above it"))
}

/// Returns the problem with the name of a column, if there is one.
pub(super) fn column_problem(noun: &str, columns: &[String], column: &str) -> Option<Problem> {
    let message = match columns.iter().filter(|known| *known == column).count() {
        0 => format!("{noun} has no column `{column}`"),
        1 => return None,
        _ => format!("{noun} has several columns `{column}`"),
    };
    let plain = column_name(column);
    if plain != column && columns.contains(&plain) {
        let help = format!("write `{plain}` with plain spaces, and without invisible characters");
        return Some(Problem::new("unknown-column", message).help(help));
    }
    let others = columns.iter().map(String::as_str).filter(|name| *name != column);
    let all = match columns {
        [] => "only .csv files have columns".to_owned(),
        columns => {
            let named: Vec<_> =
                columns.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
            format!("it has {}", named.join(", "))
        }
    };
    Some(Problem::new("unknown-column", message).help(did_you_mean(column, others).unwrap_or(all)))
}
