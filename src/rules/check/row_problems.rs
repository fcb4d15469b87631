//! Problems of the rows of a list: the first ones with their lines, and the number of the others.

use std::sync::Arc;

use super::lists::{ListFile, cell_span};
use crate::diagnostics::{Location, Problem, Report, Severity, SourceFile};
use crate::rules::load::list_rows::CsvRow;

/// Maximum number of bad rows to report; further ones are counted.
const MAX_REPORTED_ROWS: usize = 100;
/// Number of bad rows after which the rest of a file is not read.
const MAX_BAD_ROWS: usize = 1_000;

/// A problem of a row.
pub(super) struct RowProblem {
    problem: Problem,
    /// Text of the cell; empty for the whole row.
    cell: String,
    /// Many rows have this problem if one has it; only the first one is shown, and the others are counted
    /// with these words.
    repeated: Option<&'static str>,
}

impl RowProblem {
    /// Creates a problem of the whole row.
    pub(super) fn row(message: impl Into<String>, help: impl Into<String>) -> RowProblem {
        let problem = Problem::new("bad-row", message).help(help);
        RowProblem { problem, cell: String::new(), repeated: None }
    }

    /// Creates a problem of a cell.
    pub(super) fn cell(problem: Problem, cell: &str) -> RowProblem {
        RowProblem { problem, cell: cell.to_owned(), repeated: None }
    }

    /// Returns the problem itself.
    pub(super) fn into_problem(self) -> Problem {
        self.problem
    }

    /// Replaces the help, if there is one.
    pub(super) fn with_help(self, replace: impl FnOnce(&str) -> String) -> RowProblem {
        let help = self.problem.help.as_deref().map(replace);
        RowProblem { problem: Problem { help, ..self.problem }, ..self }
    }

    /// Shows only the first of these problems, and counts the others with the words `what`.
    pub(super) fn repeated(self, what: &'static str) -> RowProblem {
        RowProblem { repeated: Some(what), ..self }
    }
}

/// Returns the problem of a row that is left out.
fn of_skipped_row(problem: Problem) -> Problem {
    Problem { message: format!("{}; the row is skipped", problem.message), ..problem }
}

/// The first problems of rows, and the number of all.
pub(super) struct RowProblems {
    severity: Severity,
    /// Problems with the line of the row and its offset in bytes.
    first: Vec<(usize, u64, RowProblem)>,
    count: usize,
    /// Code, words and number of those that are repeated.
    repeated: Vec<(&'static str, &'static str, usize)>,
    /// The rows are left out: only the first one is shown, and all others are read.
    are_skipped: bool,
}

impl RowProblems {
    pub(super) fn new(severity: Severity) -> RowProblems {
        RowProblems {
            severity,
            first: Vec::new(),
            count: 0,
            repeated: Vec::new(),
            are_skipped: false,
        }
    }

    /// Creates the problems of rows that are left out.
    pub(super) fn of_skipped_rows() -> RowProblems {
        RowProblems { are_skipped: true, ..RowProblems::new(Severity::Warning) }
    }

    pub(super) fn push(&mut self, row: &CsvRow<'_>, problem: RowProblem) {
        let limit = if self.are_skipped { 1 } else { MAX_REPORTED_ROWS };
        let Some(what) = problem.repeated.filter(|_| !self.are_skipped) else {
            self.count += 1;
            if self.shown() < limit {
                self.first.push((row.line, row.offset, problem));
            }
            return;
        };
        match self.repeated.iter_mut().find(|(_, known, _)| *known == what) {
            Some((.., count)) => *count += 1,
            None => {
                self.repeated.push((problem.problem.code, what, 1));
                self.first.push((row.line, row.offset, problem));
            }
        }
    }

    /// Adds the problem of the row at which reading has stopped: its line, and its offset in bytes.
    pub(super) fn push_last(&mut self, (line, offset): (usize, u64), problem: RowProblem) {
        self.count += 1;
        self.first.push((line, offset, problem));
    }

    /// Returns whether there are so many that the rest of the file need not be read.
    pub(super) fn are_too_many(&self) -> bool {
        self.count >= MAX_BAD_ROWS && !self.are_skipped
    }

    /// Returns the number of problems with their lines, apart from repeated ones.
    fn shown(&self) -> usize {
        self.first.len() - self.repeated.len()
    }

    /// Reports the problems of a list that is defined at `list`.
    pub(super) fn report(self, file: &mut ListFile, list: &Location, report: &mut Report) {
        let more = self.count - self.shown();
        let rest = if self.are_too_many() { ", and the rest is not read" } else { "" };
        let RowProblems { severity, first, repeated, are_skipped, .. } = self;
        let path = &file.path;
        let last_code = first.last().map(|(.., last)| last.problem.code);
        for (line, offset, RowProblem { problem, cell, .. }) in first {
            let (skipped, text) = file.rows.line_at(offset).unwrap_or_default();
            let span = cell_span(&text, &cell);
            let problem = if are_skipped { of_skipped_row(problem) } else { problem };
            let file = Arc::new(SourceFile::excerpt(path, line + skipped, text));
            report.push(severity, Some(Location { file, span }), problem);
        }
        if let (Some(code), 1..) = (last_code, more) {
            let (rows, have, are) =
                if more == 1 { ("row", "has", "is") } else { ("rows", "have", "are") };
            let verb = match severity {
                Severity::Error => format!("{have} errors"),
                Severity::Warning | Severity::Note if are_skipped => {
                    format!("{have} errors, and {are} skipped")
                }
                Severity::Warning | Severity::Note => format!("{have} warnings"),
            };
            let message = format!("{more} more {rows} of {path} {verb}{rest}");
            report.push(severity, Some(list.clone()), Problem::new(code, message));
        }
        for (code, what, count) in repeated.into_iter().filter(|(.., count)| *count > 1) {
            let more = count - 1;
            let rows = if more == 1 { "row" } else { "rows" };
            let message = format!("{path} has {more} more {rows} {what}");
            report.push(severity, Some(list.clone()), Problem::new(code, message));
        }
    }
}
