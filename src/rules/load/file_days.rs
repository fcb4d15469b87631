//! Days read from a file, and the problems of its lines.

use std::ops::Range;

use jiff::civil::Date;

use crate::diagnostics::Problem;
use crate::rules::model::dates::DaySpec;

/// Days of a file, and the problems of its lines.
#[derive(Debug, Default)]
pub(crate) struct FileDays {
    /// First and last days of dates and ranges with a year.
    pub(crate) ranges: Vec<(Date, Date)>,
    /// Days of every year.
    pub(crate) days: Vec<DaySpec>,
    pub(crate) errors: Vec<LineProblem>,
    pub(crate) warnings: Vec<LineProblem>,
}

/// A problem with a line of the file.
#[derive(Debug)]
pub(crate) struct LineProblem {
    /// Number of the line, from 1.
    pub(crate) line: usize,
    pub(crate) text: String,
    /// Part of the text at fault.
    pub(crate) span: Range<usize>,
    pub(crate) problem: Problem,
}

impl LineProblem {
    /// Creates a problem with a line of which `part` is at fault.
    pub(crate) fn at(line: usize, text: &str, part: &str, problem: Problem) -> LineProblem {
        let start = text.find(part).filter(|_| !part.is_empty());
        let span = start.map_or(0..text.len(), |start| start..start + part.len());
        LineProblem { line, text: text.to_owned(), span, problem }
    }
}
