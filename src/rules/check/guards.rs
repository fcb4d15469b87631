//! Guards of a list against files that lost rows: `max_shrink` and `min_rows`.

use std::path::PathBuf;

use super::reporter::Reporter;
use crate::diagnostics::{Location, Problem};
use crate::rules::CheckContext;
use crate::rules::load::raw::{MAX_LIST_ROWS, RawList, Spanned};
use crate::rules::model::row_limits::{RowLimits, suggest_share};

const BAD_GUARD: &str = "bad-guard";

/// How many rows a list may lose, and what becomes of rows with errors.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct ListGuard {
    pub(super) limits: RowLimits,
    /// Rows with errors are left out.
    pub(super) skips_bad_rows: bool,
}

/// A list whose file lost more rows than its guard allows.
#[derive(Debug, Clone)]
pub struct ShrunkList {
    /// Name of the list.
    pub name: Box<str>,
    /// Path of the file.
    pub file: PathBuf,
    /// Rows of the file.
    pub rows: usize,
    /// Location of the name.
    pub(crate) location: Location,
    /// What the guard found.
    pub(crate) problem: Problem,
}

impl ListGuard {
    /// Checks the keys of a list.
    pub(super) fn new(raw: &RawList, reporter: &mut Reporter<'_>) -> ListGuard {
        let max_shrink = raw.max_shrink.as_ref().and_then(|text| share(text, reporter));
        let min_rows = raw.min_rows.as_ref().and_then(|rows| min_rows(rows, reporter));
        let skips_bad_rows = match raw.bad_rows.as_ref().map(|word| (&*word.value, &word.span)) {
            None | Some(("strict", _)) => false,
            Some(("skip", _)) => true,
            Some((word, span)) => {
                let message = format!("`{word}` is not allowed as `bad_rows`");
                let help = "write bad_rows = \"skip\" or bad_rows = \"strict\"";
                reporter.error(BAD_GUARD, span, message).help(help);
                false
            }
        };
        ListGuard { limits: RowLimits { max_shrink, min_rows }, skips_bad_rows }
    }

    /// Returns whether there is a limit for the rows that the list may lose.
    pub(super) fn limits_rows(&self) -> bool {
        self.limits.exist()
    }

    /// Returns what is wrong with the number of rows of a list. What the previous table has read from the
    /// same file is always allowed: an operator took it, or it was there at the start.
    pub(super) fn problem(
        &self,
        name: &str,
        rows: usize,
        digest: Option<[u8; 32]>,
        context: &CheckContext,
    ) -> Option<Problem> {
        let previous = context.previous_list(name);
        let is_known = digest.is_some() && previous.is_some_and(|list| list.digest == digest);
        if context.takes_shrunk_lists || is_known {
            return None;
        }
        self.limits.problem(name, rows, previous.map(|list| list.rows))
    }
}

/// Returns a share such as `50%`, in percent.
fn share(text: &Spanned<String>, reporter: &mut Reporter<'_>) -> Option<f64> {
    let percent = text.value.trim().strip_suffix('%').map(str::trim_end);
    let percent = percent.and_then(|percent| percent.parse::<f64>().ok());
    let found = percent.filter(|percent| (0.0..100.0).contains(percent));
    if found.is_none() {
        let message = format!("`{}` is not a share that a list may lose", text.value);
        let example = suggest_share(&text.value).unwrap_or_else(|| "50%".to_owned());
        let help = format!("write max_shrink = \"{example}\", from 0% to less than 100%");
        reporter.error(BAD_GUARD, &text.span, message).help(help);
    }
    found
}

fn min_rows(rows: &Spanned<i64>, reporter: &mut Reporter<'_>) -> Option<usize> {
    let found = usize::try_from(rows.value).ok();
    let found = found.filter(|_| (1..=MAX_LIST_ROWS).contains(&rows.value));
    if found.is_none() {
        let message = format!("min_rows is {}; it must be from 1 to {MAX_LIST_ROWS}", rows.value);
        reporter.error(BAD_GUARD, &rows.span, message);
    }
    found
}
