//! Rows of lists. They are read after the rules, when the columns in use are known.

use std::sync::Arc;

use super::agents::Agents;
use super::lists::{ListFile, ListSource, OpenList, OpenLists, cell_span};
use super::reporter::Reporter;
use super::rules::{AgentColumnUse, CheckedRules};
use super::sources::warn_missing_id;
use crate::diagnostics::{Location, Problem, Severity, SourceFile};
use crate::domain::party::Party;
use crate::domain::phone_number::Country;
use crate::rules::load::list_rows::{CsvRow, ListRows};
use crate::rules::load::raw::Spanned;
use crate::rules::model::lists::{Item, ListId};
use crate::rules::model::pattern::{help_for, is_national, suggest_number};
use crate::rules::{CheckContext, Lists, NumberPattern, Progress};

/// Maximum number of bad rows to report; further ones are counted.
const MAX_REPORTED_ROWS: usize = 100;
/// Number of rows between two progress reports.
const ROWS_PER_PROGRESS: usize = 10_000;

/// Lists of a table with their rows.
pub(super) struct FilledLists {
    pub(super) lists: Lists,
    /// Digest of each list's file; zeros without a file.
    pub(super) digests: Vec<[u8; 32]>,
    /// Lists that no rule uses, with the locations of their names.
    pub(super) unused: Vec<(ListId, Location)>,
}

/// Fills the lists that checked rules refer to.
pub(super) struct ListFiller<'c, 'r> {
    pub(super) context: &'c CheckContext,
    pub(super) rules: &'c CheckedRules,
    pub(super) agents: &'c mut Agents,
    pub(super) reporter: &'c mut Reporter<'r>,
}

/// List to which the rows of a file are added.
struct RowTarget<'l> {
    lists: &'l mut Lists,
    list: &'l mut OpenList,
    layout: RowLayout,
}

/// Layout of a list's file.
struct RowLayout {
    /// Position of the column that holds the numbers.
    number_column: usize,
    /// Positions of the columns to keep; `None` for a column that the file does not have.
    kept_columns: Vec<Option<usize>>,
    /// Separator of the cells; `None` for plain text.
    separator: Option<char>,
}

/// A problem of a row.
struct RowProblem {
    problem: Problem,
    /// Text of the cell; empty for the whole row.
    cell: String,
    /// Many rows have this problem if one has it; only the first one is shown.
    is_repeated: bool,
}

impl RowProblem {
    /// Creates a problem of the whole row.
    fn row(message: impl Into<String>, help: impl Into<String>) -> RowProblem {
        let problem = Problem::new("bad-row", message).help(help);
        RowProblem { problem, cell: String::new(), is_repeated: false }
    }

    /// Creates a problem of a cell.
    fn cell(problem: Problem, cell: &str) -> RowProblem {
        RowProblem { problem, cell: cell.to_owned(), is_repeated: false }
    }

    fn repeated(self) -> RowProblem {
        RowProblem { is_repeated: true, ..self }
    }
}

/// The first problems of rows, and the number of all.
#[derive(Default)]
struct RowProblems {
    /// Problems with the line of the row and its offset in bytes.
    first: Vec<(usize, u64, RowProblem)>,
    count: usize,
    /// Number of those that are repeated.
    repeated: usize,
}

impl RowProblems {
    fn push(&mut self, row: &CsvRow<'_>, problem: RowProblem) {
        if problem.is_repeated {
            self.repeated += 1;
            if self.repeated == 1 {
                self.first.push((row.line, row.offset, problem));
            }
            return;
        }
        self.count += 1;
        if self.first.len() < MAX_REPORTED_ROWS {
            self.first.push((row.line, row.offset, problem));
        }
    }
}

impl ListFiller<'_, '_> {
    /// Reads the rows of all lists.
    pub(super) fn fill(
        mut self,
        open_lists: OpenLists,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> FilledLists {
        let OpenLists { mut lists, mut open } = open_lists;
        let mut digests = vec![[0; 32]; open.len()];
        for (list, digest) in open.iter_mut().zip(&mut digests) {
            match std::mem::replace(&mut list.source, ListSource::Invalid) {
                ListSource::Inline(numbers) => self.add_numbers(list, &numbers, &mut lists),
                ListSource::File(mut file) => {
                    self.add_rows(list, &mut file, &mut lists, progress);
                    *digest = file.rows.digest();
                }
                ListSource::Invalid => continue,
            }
            self.warn_if_emptied(list, &lists);
        }
        for column_use in &self.rules.agent_columns {
            self.warn_missing_ids(column_use, &open);
        }
        let unused = open.into_iter().filter(|list| !list.used);
        let unused = unused.map(|list| (list.id, list.location)).collect();
        FilledLists { lists, digests, unused }
    }

    fn add_numbers(&mut self, list: &OpenList, numbers: &[Spanned<String>], lists: &mut Lists) {
        self.reporter.set_file(&list.location.file);
        for number in numbers {
            match parse_item(&number.value, list.country) {
                Ok(item) => {
                    if !lists.insert(list.id, &item, 0, std::iter::empty()) {
                        let message = format!("`{}` is in the list twice", number.value);
                        self.reporter.warning("duplicate-number", &number.span, message);
                    }
                }
                Err(problem) => self.reporter.problem(&number.span, problem),
            }
        }
    }

    fn add_rows(
        &mut self,
        list: &mut OpenList,
        file: &mut ListFile,
        lists: &mut Lists,
        progress: &mut dyn FnMut(Progress<'_>),
    ) {
        let location = list.location.clone();
        let ListFile { path, rows, number_column } = file;
        let mut target = RowTarget::new(list, rows, *number_column, lists);
        let (mut errors, mut warnings) = (RowProblems::default(), RowProblems::default());
        let mut count = 0;
        let file_bytes = rows.file_bytes;
        let result = rows.for_each(|row| {
            count += 1;
            if count % ROWS_PER_PROGRESS == 0 {
                progress(Progress::List(path, count));
            }
            if count == ROWS_PER_PROGRESS {
                // The average length of a row is known now.
                let rest = file_bytes.saturating_sub(row.offset) * ROWS_PER_PROGRESS as u64
                    / row.offset.max(1);
                target.lists.reserve_rows(target.list.id, rest as usize);
            }
            match target.add_row(&row, self.agents) {
                Ok(None) => {}
                Ok(Some(warning)) => warnings.push(&row, warning),
                Err(error) => errors.push(&row, error),
            }
        });
        if let Err(error) = result {
            let message = format!("cannot read {path} to its end: {error}");
            self.reporter.report.error("no-file", Some(location.clone()), message);
        }
        self.report_rows(file, errors, Severity::Error, &location);
        self.report_rows(file, warnings, Severity::Warning, &location);
    }

    fn report_rows(
        &mut self,
        file: &mut ListFile,
        problems: RowProblems,
        severity: Severity,
        list: &Location,
    ) {
        let path = &file.path;
        let report = &mut self.reporter.report;
        let shown = problems.first.iter().filter(|(.., problem)| !problem.is_repeated).count();
        let more = problems.count - shown;
        let last_code = problems.first.last().map(|(.., last)| last.problem.code);
        for (line, offset, RowProblem { problem, cell, .. }) in problems.first {
            let (skipped, text) = file.rows.line_at(offset).unwrap_or_default();
            let span = cell_span(&text, &cell);
            let file = Arc::new(SourceFile::excerpt(path, line + skipped, text));
            report.push(severity, Some(Location { file, span }), problem);
        }
        if let (Some(code), 1..) = (last_code, more) {
            let verb = match severity {
                Severity::Error => "have errors",
                Severity::Warning | Severity::Note => "have warnings",
            };
            let message = format!("{more} more rows of {path} {verb}");
            report.push(severity, Some(list.clone()), Problem::new(code, message));
        }
        if problems.repeated > 1 {
            let (code, what) = match severity {
                Severity::Error => ("bad-pattern", "without a country code"),
                Severity::Warning | Severity::Note => ("bad-row", "without a number, skipped"),
            };
            let more = problems.repeated - 1;
            let rows = if more == 1 { "row" } else { "rows" };
            let message = format!("{path} has {more} more {rows} {what}");
            report.push(severity, Some(list.clone()), Problem::new(code, message));
        }
    }

    fn warn_if_emptied(&mut self, list: &OpenList, lists: &Lists) {
        let filled = lists.list(list.id);
        let was_filled = self.context.filled_lists.contains(&filled.name);
        if filled.size == 0 && was_filled {
            let message = format!("list `{}` is empty now", filled.name);
            self.reporter
                .report
                .warning("list-emptied", Some(list.location.clone()), message)
                .help("it had entries in the previous table");
        }
    }

    /// Warns of agents in a column that have no id at the platform of a source.
    fn warn_missing_ids(&mut self, column_use: &AgentColumnUse, open: &[OpenList]) {
        let AgentColumnUse { rule, location, cell } = column_use;
        if self.rules.is_disabled(*rule) {
            return;
        }
        let columns = &open[cell.list.index()].agent_columns;
        let column = columns.iter().find(|other| other.column == cell.column);
        for agent in column.into_iter().flat_map(|column| &column.agents) {
            let (rule, agent) = (&self.rules.rules[*rule], &self.agents.all[*agent]);
            warn_missing_id(rule, agent, location.clone(), self.context, self.reporter);
        }
    }
}

impl<'l> RowTarget<'l> {
    fn new(
        list: &'l mut OpenList,
        rows: &ListRows,
        number_column: usize,
        lists: &'l mut Lists,
    ) -> RowTarget<'l> {
        let position = |name: &str| list.columns.iter().position(|other| other == name);
        let kept = lists.kept_columns(list.id).iter();
        let kept_columns = kept.map(|name| position(name)).collect();
        let separator = rows.separator;
        RowTarget { lists, list, layout: RowLayout { number_column, kept_columns, separator } }
    }

    /// Adds a row. Returns a problem that only deserves a warning.
    fn add_row(
        &mut self,
        row: &CsvRow<'_>,
        agents: &mut Agents,
    ) -> Result<Option<RowProblem>, RowProblem> {
        let RowLayout { number_column, kept_columns, separator } = &self.layout;
        // Spreadsheets export the empty rows below a table.
        if row.is_blank() {
            return Ok(None);
        }
        if let Some(separator) = *separator {
            check_form(row, self.list.columns.len(), *number_column, separator)?;
        }
        let cells =
            kept_columns.iter().map(|kept| kept.map_or(Some(""), |column| row.cell(column)));
        let cells: Option<Vec<&str>> = cells.collect();
        let (Some(text), Some(cells)) = (row.cell(*number_column), cells) else {
            return Err(RowProblem::row("the row is not UTF-8", "save the file as UTF-8"));
        };
        let text = match separator {
            None => text.split('#').next().unwrap_or_default().trim(),
            Some(_) => text,
        };
        if text.is_empty() && separator.is_none() {
            return Ok(None);
        }
        if text.bytes().all(|byte| byte == b'0') {
            let skipped = "the row has no number, and is skipped";
            return Ok(Some(
                RowProblem::row(skipped, "remove the row, or add its number").repeated(),
            ));
        }
        let country = self.list.country;
        let items = numbers_of(text).map(|number| {
            parse_item(number, country).map_err(|problem| {
                let is_repeated = country.is_none() && is_national(number);
                RowProblem { is_repeated, ..RowProblem::cell(problem, text) }
            })
        });
        let items = items.collect::<Result<Vec<_>, _>>()?;
        for column in &mut self.list.agent_columns {
            let agent = row_agent(cells[column.column.index()], column.may_be_empty, agents)?;
            column.agents.extend(agent);
        }
        let mut is_new = true;
        for item in &items {
            let line = row.own_line;
            is_new &= self.lists.insert(self.list.id, item, line, cells.iter().copied());
        }
        if is_new {
            return Ok(None);
        }
        let message = format!("`{text}` is already in this list");
        let problem = Problem::new("duplicate-number", message).help("the first row counts");
        Ok(Some(RowProblem::cell(problem, text)))
    }
}

/// Returns the agent of a row, or `None` if the cell is allowed to be empty.
fn row_agent(
    name: &str,
    may_be_empty: bool,
    agents: &mut Agents,
) -> Result<Option<usize>, RowProblem> {
    if let Some(agent) = agents.find(name) {
        agents.usage.mark_used(agent);
        return Ok(Some(agent));
    }
    let unknown = |message: String, help| {
        let problem = Problem::new("unknown-agent", message).maybe_help(help);
        Err(RowProblem::cell(problem, name))
    };
    match name {
        "" if may_be_empty => Ok(None),
        "" => unknown(
            "this row has no agent, but a rule takes its agent from this column".into(),
            None,
        ),
        id if agents.raw_ids => Ok(Some(agents.find_or_add_raw_id(id))),
        name => unknown(format!("unknown agent `{name}`"), agents.suggest(name)),
    }
}

/// Checks that a CSV row has as many cells as the header, and no further rows inside a cell.
fn check_form(
    row: &CsvRow<'_>,
    columns: usize,
    number_column: usize,
    separator: char,
) -> Result<(), RowProblem> {
    let name = if separator == ';' { "semicolon" } else { "comma" };
    let cells = row.cells();
    if cells != columns {
        let noun = if cells == 1 { "cell" } else { "cells" };
        let message = format!("the row has {cells} {noun}, the header has {columns}");
        let help = match cells > columns {
            true => format!("quote a cell that contains a {name}"),
            false => format!("an empty cell needs its {name}, too"),
        };
        return Err(RowProblem::row(message, help));
    }
    let is_a_row = |line: &String| {
        let cells: Vec<_> =
            line.split(separator).map(|cell| cell.trim_matches([' ', '"'])).collect();
        columns > 1 && cells.len() == columns && NumberPattern::parse(cells[number_column]).is_ok()
    };
    if row.further_lines().any(|line| is_a_row(&line)) {
        let message = "a quote opens here and spans further rows";
        return Err(RowProblem::row(message, "close the quote, or double it for a literal one"));
    }
    Ok(())
}

/// Returns the numbers of a cell, which contact managers separate by `:::`. Removes what spreadsheets put
/// around a number, so that it stays a text: `'+1213…`, `="+1213…"`.
fn numbers_of(cell: &str) -> impl Iterator<Item = &str> {
    let cell = match cell.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"')) {
        Some(inside) => inside,
        None => cell.strip_prefix('\'').unwrap_or(cell),
    };
    let is_several = cell.match_indices('+').count() > 1;
    let numbers = cell.split(move |c: char| is_several && ":,;/".contains(c)).map(str::trim);
    numbers.filter(move |number| !is_several || !number.is_empty())
}

/// Parses an entry of a list, whose numbers are written as in `country`.
fn parse_item(text: &str, country: Option<Country>) -> Result<Item, Problem> {
    const HELP: &str = "lists contain numbers, prefixes and =texts; put this into the rule";
    let text = text.trim();
    let refuse =
        |message: String, help: String| Err(Problem::new("bad-pattern", message).help(help));
    let not_allowed = || refuse(format!("`{text}` is not allowed in a list"), HELP.to_owned());
    match NumberPattern::parse_in(text, country) {
        _ if text.is_empty() => refuse("the number is missing".into(), "remove the row".into()),
        _ if text.starts_with(['@', '!']) => not_allowed(),
        Ok(NumberPattern::Exact(number)) => Ok(Item::Number(number)),
        Ok(NumberPattern::Prefix(prefix)) => Ok(Item::Prefix(prefix)),
        Ok(NumberPattern::Literal(text)) => Ok(Item::Text(text)),
        Ok(_) => not_allowed(),
        Err(problem) if problem.code == "bad-number" || text.starts_with('=') => Err(problem),
        Err(_) => {
            let help = match Party::parse(Some(text)).party {
                Party::Withheld => {
                    "for callers without a number, use `withheld` in a rule".to_owned()
                }
                _ if is_national(text) => {
                    let number = suggest_number(text).unwrap_or_default();
                    let end = if number.ends_with('?') { "" } else { "." };
                    let country = "If all numbers are of one country, set `country` on the list";
                    format!("{number}{end} {country}").trim_start_matches([' ', '.']).to_owned()
                }
                Party::Number(_) | Party::Literal(_) => help_for(text),
            };
            refuse(format!("`{text}` is not a number"), help)
        }
    }
}
