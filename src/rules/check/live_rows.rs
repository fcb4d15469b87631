//! Rows of an answer, before it becomes the copy of a list: which of them can be used.

use std::ops::ControlFlow;

use super::lists::{column_problem, header_problem};
use super::row_problems::RowProblem;
use super::rows::{check_form, check_lengths, items_of};
use crate::diagnostics::Problem;
use crate::rules::load::list_rows::{CsvRow, ListRows};
use crate::rules::model::live_list::LiveList;

/// Rows of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowCount {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows with a number.
    pub rows: usize,
    /// Rows with an error.
    pub bad: usize,
    /// Line and problem of the first row with an error.
    pub first_bad: Option<(usize, Problem)>,
}

impl RowCount {
    /// Returns whether an answer without rows is a message of the other system rather than an empty list: it has
    /// none of the columns that the list had `before`.
    pub fn is_message_in_place_of(&self, before: &RowCount) -> bool {
        let is_known = |name: &String| before.columns.contains(name);
        self.rows == 0 && self.bad == 0 && !self.columns.iter().any(is_known)
    }
}

/// Counts the rows of a text in the form of CSV.
///
/// # Errors
/// Fails if the text is no list at all, with the reason.
pub fn count_rows(list: &LiveList, text: String) -> Result<RowCount, String> {
    let mut rows = ListRows::of_csv(text).map_err(|error| error.to_string())?;
    let separator = rows.separator.unwrap_or(',');
    if rows.columns.iter().all(String::is_empty) {
        return Err("it is empty; its first line must name the columns".to_owned());
    }
    if let Some(header) = header_problem(&rows, &[]) {
        return Err(header.problem.message);
    }
    let mut needed = list.number_columns.iter().chain(&list.used_columns);
    if let Some(problem) = needed.find_map(|name| column_problem("it", &rows.columns, name)) {
        return Err(problem.message);
    }
    let position = |name: &str| rows.columns.iter().position(|column| column == name);
    let mut number_columns: Vec<_> =
        list.number_columns.iter().filter_map(|name| position(name)).collect();
    if number_columns.is_empty() {
        number_columns.push(0);
    }
    let columns = rows.columns.len();
    let mut count = RowCount { columns: rows.columns.clone(), ..RowCount::default() };
    let read = rows.for_each(|row| {
        match has_number(&row, list, columns, &number_columns, separator) {
            Ok(has_number) => count.rows += usize::from(has_number),
            Err(problem) => {
                count.bad += 1;
                count.first_bad.get_or_insert((row.own_line as usize, problem));
            }
        }
        ControlFlow::Continue(())
    });
    read.map_err(|error| error.to_string())?;
    Ok(count)
}

fn has_number(
    row: &CsvRow<'_>,
    list: &LiveList,
    columns: usize,
    number_columns: &[usize],
    separator: char,
) -> Result<bool, Problem> {
    if row.is_blank() {
        return Ok(false);
    }
    let first = number_columns.first().copied().unwrap_or_default();
    let texts = number_columns.iter().filter_map(|column| row.cell(*column));
    let texts: Vec<_> = texts.filter(|text| !text.bytes().all(|byte| byte == b'0')).collect();
    let items = check_form(row, columns, first, separator)
        .and_then(|()| check_lengths(&texts))
        .and_then(|()| items_of(&texts, list.country));
    items.map(|items| !items.is_empty()).map_err(RowProblem::into_problem)
}
