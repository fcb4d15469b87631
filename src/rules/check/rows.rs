//! Rows of lists. They are read after the rules, when the columns in use are known.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use super::agents::{Agents, placeholder_id};
use super::definitions::Definitions;
use super::guards::ShrunkList;
use super::lists::{ListFile, ListSource, NameColumn, NameKind, OpenList, OpenLists, no_copy};
use super::reporter::{DATES, DefinitionSection, HOURS, Reporter, SPLITS};
use super::row_problems::{RowProblem, RowProblems};
use super::rule::describe_rule;
use super::rules::{CheckedRules, NameColumnUse};
use super::sources::warn_missing_id;
use super::transfer;
use super::usage::UsageTracker;
use super::whole_countries::whole_countries;
use crate::diagnostics::{Location, Problem, Severity, did_you_mean};
use crate::domain::party::Party;
use crate::domain::phone_number::{Country, MAX_DIGITS, PhoneNumber};
use crate::rules::load::list_rows::{self, CsvRow, ListRows, MAX_ROW_BYTES};
use crate::rules::load::raw::Spanned;
use crate::rules::model::lists::{Cell, ColumnId, Item, ListId};
use crate::rules::model::pattern::{
    after_not, help_for, is_file_name, is_national, national_help, suggest_number,
};
use crate::rules::model::template::MAX_VALUE_BYTES;
use crate::rules::{CheckContext, Lists, LiveList, NumberPattern, Progress};

/// Number of rows between two progress reports.
const ROWS_PER_PROGRESS: usize = 10_000;

/// Maximum size of the cell of a number, which may contain several numbers, in bytes.
const MAX_NUMBER_CELL_BYTES: usize = 4_096;

/// Lists of a table with their rows.
pub(super) struct FilledLists {
    pub(super) lists: Lists,
    /// Locations of the names.
    pub(super) locations: Vec<Location>,
    /// Digest of each list's file; zeros without a file.
    pub(super) digests: Vec<[u8; 32]>,
    /// Lists that no rule uses, with the locations of their names.
    pub(super) unused: Vec<(ListId, Location)>,
    pub(super) shrunk: Vec<ShrunkList>,
    /// Lists that live elsewhere, and those of them that have no copy.
    pub(super) live: Vec<Arc<LiveList>>,
    pub(super) missing_copies: Vec<Arc<LiveList>>,
    pub(super) agents_of_columns: AgentsOfColumns,
}

/// Positions of the agents that rows name in the columns from which rules take an agent, themselves or by a split.
#[derive(Default)]
pub(super) struct AgentsOfColumns(Vec<(ListId, ColumnId, BTreeSet<usize>)>);

impl AgentsOfColumns {
    fn insert(&mut self, cell: Cell, agents: BTreeSet<usize>) {
        if self.of(cell).next().is_none() {
            self.0.push((cell.list, cell.column, agents));
        }
    }

    /// Returns the agents of the column of a cell.
    pub(super) fn of(&self, cell: Cell) -> impl Iterator<Item = usize> {
        let columns = self.0.iter();
        let found =
            columns.filter(move |(list, column, _)| (*list, *column) == (cell.list, cell.column));
        found.flat_map(|(.., agents)| agents.iter().copied())
    }
}

/// Fills the lists that checked rules refer to.
pub(super) struct ListFiller<'c, 'r> {
    pub(super) context: &'c CheckContext,
    pub(super) rules: &'c CheckedRules,
    pub(super) definitions: &'c mut Definitions,
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
    /// Positions of the columns that hold the numbers.
    number_columns: Vec<usize>,
    /// Positions of the columns to keep; `None` for a column that the file does not have.
    kept_columns: Vec<Option<usize>>,
    /// Separator of the cells; `None` for plain text.
    separator: Option<char>,
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
        let (mut shrunk, mut missing_copies) = (Vec::new(), Vec::new());
        open.iter_mut().for_each(|list| list.note_used_columns(&lists));
        let live = open.iter().filter_map(|list| list.live.clone()).collect();
        for (list, digest) in open.iter_mut().zip(&mut digests) {
            match std::mem::replace(&mut list.source, ListSource::Invalid) {
                ListSource::Inline(numbers) => self.add_numbers(list, &numbers, &mut lists),
                ListSource::File(_) if list.has_useless_copy(&lists) => {
                    let location = Some(list.location.clone());
                    let problem = no_copy(&lists.list(list.id).name);
                    self.reporter.report.push(Severity::Warning, location, problem);
                    missing_copies.extend(list.live.clone());
                    continue;
                }
                ListSource::File(mut file) => {
                    self.add_rows(list, &mut file, &mut lists, progress);
                    *digest = file.rows.digest();
                    lists.set_digest(list.id, *digest, list.guard.limits_rows());
                    shrunk.extend(self.check_guard(list, &file.path, &lists));
                }
                ListSource::Missing => {
                    missing_copies.extend(list.live.clone());
                    continue;
                }
                ListSource::Unreadable(path) => {
                    shrunk.extend(self.unreadable(list, path, &lists));
                    continue;
                }
                ListSource::Invalid => continue,
            }
            self.warn_if_empty(list, &lists);
        }
        let agents_of_columns = self.check_name_columns(&open, &lists);
        let locations = open.iter().map(|list| list.location.clone()).collect();
        let unused = open.into_iter().filter(|list| !list.used);
        let unused = unused.map(|list| (list.id, list.location)).collect();
        FilledLists {
            lists,
            locations,
            digests,
            unused,
            shrunk,
            live,
            missing_copies,
            agents_of_columns,
        }
    }

    /// Checks the names in the columns that rules use, and returns the agents among them.
    fn check_name_columns(&mut self, open: &[OpenList], lists: &Lists) -> AgentsOfColumns {
        let mut agents_of_columns = AgentsOfColumns::default();
        for column_use in &self.rules.name_columns {
            let columns = &open[column_use.cell.list.index()].name_columns;
            let column = columns.iter().find(|column| {
                column.column == column_use.cell.column && column.kind == column_use.kind
            });
            let Some(column) = column.filter(|_| !self.rules.is_disabled(column_use.rule)) else {
                continue;
            };
            let named = self.named_agents(column);
            self.warn_missing_ids(column_use, &named);
            agents_of_columns.insert(column_use.cell, named);
            self.warn_empty(column_use, column, lists);
        }
        agents_of_columns
    }

    fn add_numbers(&mut self, list: &OpenList, numbers: &[Spanned<String>], lists: &mut Lists) {
        self.reporter.set_file(&list.location.file);
        for number in numbers {
            match parse_item(&number.value, list.country) {
                Ok(item) => {
                    let whole =
                        prefix_of(&item).and_then(|prefix| whole_countries(prefix, &number.value));
                    if let Some(problem) = whole {
                        self.reporter.push(Severity::Warning, &number.span, problem);
                    }
                    let is_new = lists.insert(list.id, &item, 0, std::iter::empty());
                    lists.count_row(list.id, is_new);
                    if !is_new {
                        let message = format!("`{}` is in the list twice", number.value);
                        self.reporter.warning("duplicate-number", &number.span, message);
                    }
                }
                Err(problem) => {
                    let is_file = numbers.len() == 1 && is_file_name(&number.value);
                    let file = || format!("for a file, write `file = {:?}`", number.value);
                    self.reporter.problem(&number.span, problem.maybe_help(is_file.then(file)));
                }
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
        let ListFile { path, rows, number_columns } = file;
        let mut errors = match list.guard.skips_bad_rows {
            true => RowProblems::of_skipped_rows(),
            false => RowProblems::new(Severity::Error),
        };
        let mut warnings = RowProblems::new(Severity::Warning);
        let mut target = RowTarget::new(list, rows, number_columns.clone(), lists);
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
            match target.add_row(&row, self.definitions) {
                Ok(found) => found.into_iter().for_each(|warning| warnings.push(&row, warning)),
                Err(error) => errors.push(&row, error),
            }
            if let Some(warning) = target.long_cell(&row) {
                warnings.push(&row, warning);
            }
            match errors.are_too_many() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        if result.as_ref().is_err_and(list_rows::is_long_row) {
            let message = format!("the row has more than {MAX_ROW_BYTES} bytes");
            let help = "close the quote that opens in this row, or double it for a literal one";
            let mut last = RowProblems::new(Severity::Error);
            last.push_last(rows.last_row, RowProblem::row(message, help));
            last.report(file, &location, self.reporter.report);
        } else if let Err(error) = result {
            let message = format!("cannot read {path} to its end: {error}");
            self.reporter.report.error("no-file", Some(location.clone()), message);
        }
        errors.report(file, &location, self.reporter.report);
        warnings.report(file, &location, self.reporter.report);
        if lists.list(list.id).size > 0 {
            list.where_uses.iter().for_each(|clause| clause.warn(&file.path, self.reporter.report));
        }
    }

    /// Warns of a list that lost all entries, and notes one that never had any: a blocklist may begin empty.
    fn warn_if_empty(&mut self, list: &OpenList, lists: &Lists) {
        let filled = lists.list(list.id);
        let was_filled = self.context.previous_list(&filled.name).is_some_and(|list| list.rows > 0);
        if filled.size == 0 && was_filled {
            let message = format!("list `{}` is empty now", filled.name);
            self.reporter
                .report
                .warning("list-emptied", Some(list.location.clone()), message)
                .help("it had entries in the previous table");
        } else if filled.size == 0 && list.used && self.reporter.report.error_count() == 0 {
            let message = format!("list `{}` has no entries, so no number is in it", filled.name);
            let help = match filled.file() {
                Some(_) => "add rows; with min_rows = 1, an empty list is an error",
                None => "add numbers, or leave it until there are some",
            };
            let location = Some(list.location.clone());
            self.reporter.report.note("no-entries", location, message).help(help);
        }
    }

    /// Reports a list that lost more rows than it may.
    fn check_guard(&mut self, list: &OpenList, path: &str, lists: &Lists) -> Option<ShrunkList> {
        let filled = lists.list(list.id);
        let found = list.guard.problem(&filled.name, filled.rows, filled.digest, self.context);
        let problem = found?;
        let location = list.location.clone();
        self.reporter.report.push(Severity::Error, Some(location.clone()), problem.clone());
        let (name, rows) = (filled.name.clone(), filled.rows);
        Some(ShrunkList { name, file: path.into(), rows, location, problem })
    }

    /// Returns a list with a guard whose file cannot be read, which has been reported: it lost all rows.
    fn unreadable(&self, list: &OpenList, file: PathBuf, lists: &Lists) -> Option<ShrunkList> {
        let name = lists.list(list.id).name.clone();
        if !list.guard.limits_rows() || self.context.takes_shrunk_lists {
            return None;
        }
        let message = format!("list `{name}` cannot be read from its file");
        let problem = Problem::new("list-shrank", message);
        Some(ShrunkList { name, file, rows: 0, location: list.location.clone(), problem })
    }

    /// Returns the agents that a column names, itself or by a split.
    fn named_agents(&self, column: &NameColumn) -> BTreeSet<usize> {
        let splits = &self.definitions.splits.all;
        match column.kind {
            NameKind::Agent => column.found.clone(),
            NameKind::Split => {
                column.found.iter().flat_map(|split| splits[*split].split.agents()).collect()
            }
            NameKind::Hours | NameKind::Dates | NameKind::Target => BTreeSet::new(),
        }
    }

    /// Warns of agents that a column names and that have no id at the platform of a source.
    fn warn_missing_ids(&mut self, column_use: &NameColumnUse, named: &BTreeSet<usize>) {
        let agents = &self.definitions.agents.all;
        let rule = &self.rules.rules[column_use.rule];
        for agent in named {
            let location = column_use.location.clone();
            warn_missing_id(rule, &agents[*agent], location, self.context, self.reporter);
        }
    }

    /// Warns of rows that a rule does not match, because they name no hours, dates or split.
    fn warn_empty(&mut self, column_use: &NameColumnUse, column: &NameColumn, lists: &Lists) {
        let has_default = matches!(column.kind, NameKind::Agent | NameKind::Target);
        let Some((count, first)) = column.empty.filter(|_| !has_default) else {
            return;
        };
        let list = column_use.cell.list;
        let (rows, verb) = if count == 1 { ("row", "has") } else { ("rows", "have") };
        let message = format!(
            "{count} {rows} of list `{}` {verb} no `{}`, the first on line {first}; {} does not match \
             them",
            lists.list(list).name,
            lists.kept_columns(list)[column.column.index()],
            describe_rule(&self.rules.rules[column_use.rule].name),
        );
        self.reporter
            .report
            .warning("empty-cell", Some(column_use.location.clone()), message)
            .help("fill the cells, or write a rule for these rows below it");
    }
}

impl<'l> RowTarget<'l> {
    fn new(
        list: &'l mut OpenList,
        rows: &ListRows,
        number_columns: Vec<usize>,
        lists: &'l mut Lists,
    ) -> RowTarget<'l> {
        let position = |name: &str| list.columns.iter().position(|other| other == name);
        let kept = lists.kept_columns(list.id).iter();
        let kept_columns = kept.map(|name| position(name)).collect();
        let separator = rows.separator;
        RowTarget { lists, list, layout: RowLayout { number_columns, kept_columns, separator } }
    }

    /// Adds a row. Returns problems that only deserve a warning.
    fn add_row(
        &mut self,
        row: &CsvRow<'_>,
        definitions: &mut Definitions,
    ) -> Result<Vec<RowProblem>, RowProblem> {
        let RowLayout { number_columns, kept_columns, separator } = &self.layout;
        // Spreadsheets export the empty rows below a table.
        if row.is_blank() {
            return Ok(Vec::new());
        }
        if let Some(separator) = *separator {
            check_form(row, self.list.columns.len(), number_columns[0], separator)?;
        }
        let cells =
            kept_columns.iter().map(|kept| kept.map_or(Some(""), |column| row.cell(column)));
        let cells: Option<Vec<&str>> = cells.collect();
        let texts = number_columns.iter().map(|column| row.cell(*column));
        let texts: Option<Vec<&str>> = texts.collect();
        let (Some(mut texts), Some(cells)) = (texts, cells) else {
            return Err(RowProblem::row("the row is not UTF-8", "save the file as UTF-8"));
        };
        if separator.is_none() {
            texts = texts
                .into_iter()
                .map(|text| text.split('#').next().unwrap_or_default().trim())
                .filter(|text| !text.is_empty())
                .collect();
            if texts.is_empty() {
                return Ok(Vec::new());
            }
        }
        texts.retain(|text| !text.bytes().all(|byte| byte == b'0'));
        if texts.is_empty() {
            let skipped = "the row has no number, and is skipped";
            let problem = RowProblem::row(skipped, "remove the row, or add its number");
            return Ok(vec![problem.repeated("without a number, skipped")]);
        }
        check_lengths(&texts)?;
        let items = items_of(&texts, self.list.country)
            .map_err(|problem| advise(problem, row, &self.list.columns, &texts))?;
        for column in &mut self.list.name_columns {
            note_name(cells[column.column.index()], row.line, column, definitions)?;
        }
        Ok(self.add_items(&items, row.own_line, &cells))
    }

    /// Adds the entries of a row, all with the same cells. Returns problems that only deserve a warning.
    fn add_items(&mut self, items: &[(&str, Item)], line: u32, cells: &[&str]) -> Vec<RowProblem> {
        let mut warnings = Vec::new();
        let (mut known, mut is_new) = (None, false);
        for (text, item) in items {
            match self.lists.insert(self.list.id, item, line, cells.iter().copied()) {
                true => is_new = true,
                false => known = known.or(Some(*text)),
            }
            let whole = prefix_of(item).and_then(|prefix| whole_countries(prefix, text));
            warnings.extend(whole.map(|problem| RowProblem::cell(problem, text)));
        }
        self.lists.count_row(self.list.id, is_new);
        let clauses = self.list.where_uses.iter_mut();
        let problems = clauses.filter_map(|clause| clause.add_row(cells));
        warnings.extend(problems.map(|(problem, cell)| {
            let what = match problem.code {
                "no-truth-value" => "with a value that is neither true nor false",
                _ => "without the number that `where` compares",
            };
            RowProblem::cell(problem, cell).repeated(what)
        }));
        if let Some(text) = known {
            let message = format!("`{text}` is already in this list");
            let problem = Problem::new("duplicate-number", message).help("the first row counts");
            warnings.push(RowProblem::cell(problem, text));
        }
        warnings
    }

    /// Returns a warning of a cell that no text can contain.
    fn long_cell(&self, row: &CsvRow<'_>) -> Option<RowProblem> {
        let kept = &self.layout.kept_columns;
        let mut columns = self.list.text_columns.iter().filter_map(|column| kept[*column]);
        let too_long =
            |column: &usize| row.cell(*column).is_some_and(|cell| cell.len() > MAX_VALUE_BYTES);
        let column = columns.find(too_long)?;
        let bytes = row.cell(column)?.len();
        let name = &self.list.columns[column];
        let message = format!(
            "the cell `{name}` is never sent: {bytes} bytes, and the maximum is {MAX_VALUE_BYTES}"
        );
        let help = "shorten it, or put an id there with which the agent looks the text up";
        let problem = Problem::new("value-too-long", message).help(help);
        Some(RowProblem::cell(problem, "").repeated("with a cell that is too long"))
    }
}

/// Advises on a row whose cell is no number: another column may have it, or the row is no entry.
fn advise(problem: RowProblem, row: &CsvRow<'_>, columns: &[String], texts: &[&str]) -> RowProblem {
    if is_sum(row, texts) {
        return problem.with_help(|_| {
            "it is too short for a number; if the row is no caller, remove it, or set bad_rows = \"skip\" \
             on the list"
                .to_owned()
        });
    }
    let is_word = |text: &&str| text.chars().all(|c| !c.is_ascii_digit()) && !text.starts_with('#');
    if !texts.iter().all(is_word) {
        return problem;
    }
    let is_number = |cell: &str| {
        numbers_of(cell).all(|number| {
            matches!(NumberPattern::parse(number), Ok(NumberPattern::Exact(_)))
                || (is_national(number) && number.len() > 6)
        })
    };
    let other = row.position(is_number).and_then(|at| columns.get(at));
    problem.with_help(|help| match other {
        Some(column) => {
            format!("if the numbers are in another column, write column = \"{column}\" in the list")
        }
        None => format!("remove the row if it is no entry; {help}"),
    })
}

/// Returns whether a row has a short number of one or two digits, or the sum of a column.
fn is_sum(row: &CsvRow<'_>, texts: &[&str]) -> bool {
    const SUMS: [&str; 7] = ["total", "totals", "sum", "count", "summe", "gesamt", "anzahl"];
    const MAX_DIGITS_OF_A_COUNT: usize = 2;
    const MIN_DIGITS_OF_A_NUMBER: usize = 6;
    let has_sum = row.position(|cell| SUMS.contains(&&*cell.trim().to_lowercase())).is_some();
    let max = if has_sum { MIN_DIGITS_OF_A_NUMBER - 1 } else { MAX_DIGITS_OF_A_COUNT };
    let is_short = |text: &&str| text.len() <= max && text.bytes().all(|b| b.is_ascii_digit());
    texts.iter().all(is_short)
}

/// Notes the item that a cell names, or that the cell is empty.
fn note_name(
    name: &str,
    line: usize,
    column: &mut NameColumn,
    definitions: &mut Definitions,
) -> Result<(), RowProblem> {
    column.found.extend(named_item(name, column, definitions)?);
    if name.is_empty() {
        let (count, first) = column.empty.unwrap_or((0, line));
        column.empty = Some((count + 1, first));
    }
    Ok(())
}

/// Returns the item that a cell names and marks it as used, or `None` if the cell is allowed to be empty.
fn named_item(
    name: &str,
    column: &NameColumn,
    definitions: &mut Definitions,
) -> Result<Option<usize>, RowProblem> {
    match column.kind {
        NameKind::Agent => row_agent(name, column, &mut definitions.agents),
        NameKind::Target => check_target(name, column, definitions.country),
        _ if name.is_empty() => Ok(None),
        NameKind::Hours => {
            let names = definitions.hours.iter().map(|hours| &*hours.name);
            find_named(name, names, &HOURS, &mut definitions.hours_usage)
        }
        NameKind::Dates => {
            let names = definitions.dates.iter().map(|dates| &*dates.name);
            find_named(name, names, &DATES, &mut definitions.dates_usage)
        }
        NameKind::Split => {
            let names = definitions.splits.all.iter().map(|split| &*split.name);
            find_named(name, names, &SPLITS, &mut definitions.splits.usage)
        }
    }
}

/// Returns the position of a definition and marks it as used.
fn find_named<'d>(
    name: &str,
    defined: impl Iterator<Item = &'d str> + Clone,
    section: &DefinitionSection,
    usage: &mut UsageTracker,
) -> Result<Option<usize>, RowProblem> {
    if let Some(found) = defined.clone().position(|other| other == name) {
        usage.mark_used(found);
        return Ok(Some(found));
    }
    let DefinitionSection { noun, code, .. } = *section;
    let all: Vec<_> = defined.collect();
    let help = did_you_mean(name, all.iter().copied()).unwrap_or_else(|| match &*all {
        [] => format!("the table defines no {noun}"),
        all => format!("the table has {}", all.join(", ")),
    });
    let problem = Problem::new(code, format!("unknown {noun} `{name}`")).help(help);
    Err(RowProblem::cell(problem, name))
}

/// Checks the target of a transfer in a row. No item of the table is meant.
fn check_target(
    text: &str,
    column: &NameColumn,
    country: Option<Country>,
) -> Result<Option<usize>, RowProblem> {
    if text.is_empty() && column.may_be_empty {
        return Ok(None);
    }
    let problem = match text {
        "" => {
            let message = "this row has no target, but a rule transfers calls to this column";
            Some(Problem::new("bad-transfer", message))
        }
        text => transfer::target(text, country).err(),
    };
    match problem {
        Some(problem) => {
            Err(RowProblem::cell(problem, text).repeated("without a target of transfers"))
        }
        None => Ok(None),
    }
}

/// Checks the sizes of the number cells of a row.
pub(super) fn check_lengths(texts: &[&str]) -> Result<(), RowProblem> {
    match texts.iter().find(|text| text.len() > MAX_NUMBER_CELL_BYTES) {
        Some(text) => {
            let message = format!("the cell of the number has {} bytes", text.len());
            let help = "close the quote that opens in this row, or double it for a literal one";
            Err(RowProblem::row(message, help))
        }
        None => Ok(()),
    }
}

/// Parses the entries of the number cells of a row, each with the text of its cell.
pub(super) fn items_of<'t>(
    texts: &[&'t str],
    country: Option<Country>,
) -> Result<Vec<(&'t str, Item)>, RowProblem> {
    let numbers = texts.iter().flat_map(|text| numbers_of(text).map(move |number| (*text, number)));
    let items = numbers.map(|(text, number)| match parse_item(number, country) {
        Ok(item) => Ok((text, item)),
        Err(problem) => {
            let problem = RowProblem::cell(problem, text);
            let is_repeated = country.is_none() && is_national(number);
            Err(if is_repeated { problem.repeated("without a country code") } else { problem })
        }
    });
    items.collect()
}

/// Returns the prefix of an entry that is one.
fn prefix_of(item: &Item) -> Option<PhoneNumber> {
    match item {
        Item::Prefix(prefix) => Some(*prefix),
        Item::Number(_) | Item::Text(_) => None,
    }
}

/// Returns the agent of a row, or `None` if the cell is allowed to be empty.
fn row_agent(
    name: &str,
    column: &NameColumn,
    agents: &mut Agents,
) -> Result<Option<usize>, RowProblem> {
    let NameColumn { may_be_empty, location, .. } = column;
    if let Some(agent) = agents.find(name) {
        agents.usage.mark_used(agent);
        return Ok(Some(agent));
    }
    let unknown = |message: String, help| {
        let problem = Problem::new("unknown-agent", message).maybe_help(help);
        Err(RowProblem::cell(problem, name))
    };
    match name {
        "" if *may_be_empty => Ok(None),
        "" => unknown(
            "this row has no agent, but a rule takes its agent from this column".into(),
            None,
        ),
        id if agents.raw_ids => match placeholder_id(id) {
            None => Ok(Some(agents.find_or_add_raw_id(id, Some(location.clone())))),
            Some(problem) => {
                let problem = match may_be_empty {
                    true => problem.help("copy the id from the platform, or leave the cell empty"),
                    false => problem,
                };
                Err(RowProblem::cell(problem, id).repeated("whose agent is not an id"))
            }
        },
        name => unknown(format!("unknown agent `{name}`"), agents.suggest(name)),
    }
}

/// Checks that a CSV row has as many cells as the header, and no further rows inside a cell.
pub(super) fn check_form(
    row: &CsvRow<'_>,
    columns: usize,
    number_column: usize,
    separator: char,
) -> Result<(), RowProblem> {
    let name = name_of_separator(separator);
    // Programs add empty cells at the end of some rows.
    let cells = row.cells_up_to_last(columns);
    if cells < columns && row.further_lines().next().is_some() {
        return Err(RowProblem::row(OPEN_QUOTE, CLOSE_QUOTE));
    }
    if cells == 1
        && let Some(other) = other_separator(row.cell(0).unwrap_or_default(), columns, separator)
    {
        let other = name_of_separator(other);
        let message = format!("the header is separated by {name}s, and this row by {other}s");
        let help =
            format!("save the file with one separator: write a {name} in place of each {other}");
        return Err(
            RowProblem::row(message, help).repeated("with another separator than the header")
        );
    }
    if cells != columns {
        let noun = if cells == 1 { "cell" } else { "cells" };
        let message = format!("the row has {cells} {noun}, the header has {columns}");
        let help = match cells > columns {
            true if columns == 1 => {
                format!(
                    "the first line names the columns, separated by a {name}; remove what is above it"
                )
            }
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
        return Err(RowProblem::row(OPEN_QUOTE, CLOSE_QUOTE));
    }
    Ok(())
}

const OPEN_QUOTE: &str = "a quote opens here and spans further rows";
const CLOSE_QUOTE: &str = "close the quote, or double it for a literal one";

fn name_of_separator(separator: char) -> &'static str {
    match separator {
        ';' => "semicolon",
        '\t' => "tab",
        '|' => "vertical bar",
        _ => "comma",
    }
}

/// Returns the separator, other than that of the header, that divides a row into as many cells as the header has.
fn other_separator(row: &str, columns: usize, separator: char) -> Option<char> {
    let others = [',', ';', '\t', '|'].into_iter().filter(|other| *other != separator);
    others.into_iter().find(|other| columns > 1 && row.split(*other).count() == columns)
}

/// Returns the numbers of a cell, which contact managers separate by `:::`. Removes what spreadsheets put
/// around a number, so that it stays a text: `'+1213…`, `="+1213…"`.
fn numbers_of(cell: &str) -> impl Iterator<Item = &str> {
    let cell = match cell.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"')) {
        Some(inside) => inside,
        None => cell.strip_prefix('\'').unwrap_or(cell),
    };
    let is_several = cell.match_indices('+').count() > 1;
    let is_between = |c: char| c.is_alphabetic() || ":,;/|&\r\n".contains(c);
    let national = if is_several { None } else { national_numbers(cell) };
    let is_national = national.is_some();
    let numbers = cell.split(move |c: char| is_several && is_between(c)).map(str::trim);
    let numbers = numbers.filter(move |number| !is_several || !number.is_empty());
    numbers.filter(move |_| !is_national).chain(national.into_iter().flatten())
}

/// Returns the parts of a cell that separators divide into numbers of at least seven digits each, if it has several.
fn national_numbers(cell: &str) -> Option<Vec<&str>> {
    let separators = [":::", ";", ",", " / ", "|", "\n", " & ", " or ", " and ", " oder ", " und "];
    let separator = separators.into_iter().find(|separator| cell.contains(separator))?;
    let parts: Vec<&str> =
        cell.split(separator).map(str::trim).filter(|part| !part.is_empty()).collect();
    let is_number = |part: &&str| {
        let digits = part.bytes().filter(u8::is_ascii_digit).count();
        (MIN_DIGITS_OF_SEVERAL..=MAX_DIGITS).contains(&digits)
            && part.chars().all(|c| c.is_ascii_digit() || " +-().".contains(c))
    };
    (parts.len() > 1 && parts.iter().all(is_number)).then_some(parts)
}

/// Digits of each number, if a cell has several without `+`: fewer can be an extension.
const MIN_DIGITS_OF_SEVERAL: usize = 7;

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
        _ if after_not(text).is_some_and(|rest| NumberPattern::parse(rest).is_ok()) => {
            not_allowed()
        }
        Ok(NumberPattern::Exact(number)) => Ok(Item::Number(number)),
        Ok(NumberPattern::Prefix(prefix)) => Ok(Item::Prefix(prefix)),
        Ok(NumberPattern::Literal(text)) => Ok(Item::Text(text)),
        Ok(_) => not_allowed(),
        Err(problem) if problem.code == "bad-number" || text.starts_with('=') => Err(problem),
        Err(_) => {
            let of_country = country.and_then(|country| national_help(text, country));
            let help = of_country.unwrap_or_else(|| match Party::parse(Some(text)).party {
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
            });
            refuse(format!("`{text}` is not a number"), help)
        }
    }
}
