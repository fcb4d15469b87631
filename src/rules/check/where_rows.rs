//! Entries of `where` that no row of their list satisfies, found while the rows are read.

use crate::diagnostics::{Location, Problem, Report};
use crate::rules::ExpectedValue;
use crate::rules::model::condition::{Number, WhereClause};
use crate::rules::model::lists::ColumnId;

/// Maximum number of values of a column that a warning names.
const MAX_NAMED_VALUES: usize = 4;

/// An entry of `where` on a column of a list, and what the rows have there.
pub(super) struct WhereUse {
    column: ColumnId,
    location: Location,
    clause: WhereClause,
    has_match: bool,
    /// The first values that are not as expected, each once.
    others: Vec<String>,
}

impl WhereUse {
    /// Creates the use of a clause that accepts some values of `column`.
    pub(super) fn new(column: ColumnId, location: Location, clause: WhereClause) -> WhereUse {
        // A clause that only excludes values is satisfied by what nobody has written yet.
        let has_match = clause.expected.any_of.is_empty();
        WhereUse { column, location, clause, has_match, others: Vec::new() }
    }

    /// Notes the cells of a row. Returns a problem and its cell if a number is expected and the cell has none.
    pub(super) fn add_row<'c>(&mut self, cells: &[&'c str]) -> Option<(Problem, &'c str)> {
        let cell = cells.get(self.column.index()).copied().unwrap_or_default();
        if cell.is_empty() {
            return None;
        }
        let has_match = self.clause.expected.matches(|expected| expected.matches(cell));
        self.has_match |= has_match;
        let is_known = has_match || self.others.iter().any(|other| other == cell);
        if !is_known && self.others.len() <= MAX_NAMED_VALUES {
            self.others.push(cell.to_owned());
        }
        if let Some(problem) = self.truth_problem(cell) {
            return Some((problem, cell));
        }
        if has_match {
            return None;
        }
        let mut expected = self.clause.expected.any_of.iter();
        let number = expected.find(|expected| matches!(expected, ExpectedValue::Number(..)))?;
        if Number::parse(cell).is_some() {
            return None;
        }
        let name = &self.clause.name;
        let message = format!("`{cell}` is not a number, so `{name}` is not {number} here");
        let problem = Problem::new("not-a-number", message)
            .maybe_help(plain_number(cell).map(|number| format!("write `{number}`")));
        Some((problem, cell))
    }

    /// Returns the problem with a cell that is no truth value, if it is compared with nothing else.
    fn truth_problem(&self, cell: &str) -> Option<Problem> {
        let expected = &self.clause.expected;
        let all = || expected.any_of.iter().chain(&expected.none_of);
        let is_of_truth = all().next().is_some()
            && all().all(|expected| matches!(expected, ExpectedValue::Truth(_)));
        if !is_of_truth || ExpectedValue::is_truth_value(cell) {
            return None;
        }
        let name = &self.clause.name;
        let message =
            format!("`{cell}` is neither true nor false, with which `{name}` is compared");
        Some(Problem::new("no-truth-value", message).help("write `true` or `false`"))
    }

    /// Warns if no row has an expected value.
    pub(super) fn warn(&self, path: &str, report: &mut Report) {
        let WhereUse { clause, others, location, .. } = self;
        if self.has_match {
            return;
        }
        let expected: Vec<_> =
            clause.expected.any_of.iter().map(|value| format!("`{value}`")).collect();
        let column = clause.name.split_once('.').map_or(&*clause.name, |(_, column)| column);
        let expected = expected.join(" or ");
        let message = format!("no row of {path} has {expected} in `{column}`");
        let help = clause.comparison_in_words();
        let help = help.unwrap_or_else(|| match others.as_slice() {
            [] => format!("the column `{column}` is empty"),
            [all @ .., _] if others.len() > MAX_NAMED_VALUES => {
                format!("the rows have {} and others", all.join(", "))
            }
            all => format!("the rows have {}", all.join(", ")),
        });
        report.warning("no-such-value", Some(location.clone()), message).help(help);
    }
}

/// Returns the digits of a price or a number with separators, if it has one reading: `$1,200`, `1.234,50`.
fn plain_number(text: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_digit() || c == '.' || c == ',';
    let number = text.trim_matches(|c: char| !is_part(c));
    let decimal = number.rfind(['.', ',']);
    let other = |separator: char| if separator == '.' { ',' } else { '.' };
    let separator = decimal.and_then(|at| number[at..].chars().next());
    let is_decimal = separator.is_some_and(|separator| {
        let behind = decimal.map_or(0, |at| number.len() - at - 1);
        number.matches(separator).count() == 1 && (behind != 3 || number.contains(other(separator)))
    });
    let plain: String = number
        .char_indices()
        .filter_map(|(at, c)| match c {
            _ if c.is_ascii_digit() => Some(c),
            _ if is_decimal && Some(at) == decimal => Some('.'),
            _ => None,
        })
        .collect();
    let is_clean = number.chars().all(is_part) && !plain.is_empty() && plain != text;
    is_clean.then_some(plain)
}
