//! Sets of days: the entries of `days`, the file, and the zone.

use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use super::reporter::Reporter;
use crate::diagnostics::{Location, Problem, Severity, SourceFile};
use crate::regular_file;
use crate::rules::load::date_files;
use crate::rules::load::file_days::LineProblem;
use crate::rules::load::files::TableFiles;
use crate::rules::load::list_rows::{is_missing, is_other_format, read_dates};
use crate::rules::load::raw::{RawDates, Spanned};
use crate::rules::model::zone::parse_zone;
use crate::rules::{Dates, DaySpec, ListedDays};

/// Number of lines of a file whose problems are reported one by one.
const MAX_REPORTED_LINES: usize = 20;

/// Checks a set of days. Returns it with the hash of its file.
pub(super) fn check(
    raw: &RawDates,
    today: Date,
    files: &mut TableFiles,
    reporter: &mut Reporter<'_>,
) -> (Dates, Option<[u8; 32]>) {
    let zone = raw.zone.as_ref().and_then(|zone| own_zone(zone, reporter));
    let days = raw.days.iter().filter_map(|day| parse_day(day, today, reporter)).collect();
    let mut dates = Dates { zone, ..Dates::new(&raw.name.value, days) };
    let digest =
        raw.file.as_ref().and_then(|file| add_file(&mut dates, file, today, files, reporter));
    (dates, digest)
}

fn own_zone(raw: &Spanned<String>, reporter: &mut Reporter<'_>) -> Option<TimeZone> {
    parse_zone(&raw.value).map_err(|problem| reporter.problem(&raw.span, problem)).ok()
}

/// Parses a day, and warns if it is in the past.
pub(super) fn parse_day(
    raw: &Spanned<String>,
    today: Date,
    reporter: &mut Reporter<'_>,
) -> Option<DaySpec> {
    match DaySpec::parse(&raw.value) {
        Ok(day) => {
            if day.is_over(today) {
                reporter
                    .warning("date-over", &raw.span, format!("{day} is over"))
                    .help("remove it, or omit the year if it recurs every year");
            }
            if let Some(problem) = day.doubt() {
                reporter.push(Severity::Warning, &raw.span, problem);
            }
            Some(day)
        }
        Err(problem) => {
            reporter.problem(&raw.span, problem);
            None
        }
    }
}

/// Adds the days of a file. Returns the hash of the file.
fn add_file(
    dates: &mut Dates,
    file: &Spanned<String>,
    today: Date,
    files: &mut TableFiles,
    reporter: &mut Reporter<'_>,
) -> Option<[u8; 32]> {
    let path = reporter.resolve_path(&file.value);
    let text = match read_dates(files, &path) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("cannot read `{}`: {error}", path.display());
            let similar = regular_file::help_for_missing(&path).filter(|_| is_missing(&error));
            let relative = || "paths are relative to the file that contains them".to_owned();
            let help = Some(similar.unwrap_or_else(relative)).filter(|_| !is_other_format(&error));
            reporter.error("no-file", &file.span, message).maybe_help(help);
            return None;
        }
    };
    let mut found = date_files::read(&text);
    let shown = path.display().to_string();
    let is_empty = found.ranges.is_empty() && found.days.is_empty();
    let is_valid = found.errors.is_empty();
    report(Severity::Error, found.errors, &shown, file, reporter);
    report(Severity::Warning, found.warnings, &shown, file, reporter);
    if is_empty && is_valid {
        let message = format!("`{shown}` has no days");
        let help = "write a day a line, such as 2026-12-24, or a range such as \
                    2026-12-24..2026-12-26; a calendar needs events that last all day";
        reporter.error("no-days", &file.span, message).help(help);
    }
    dates.listed = ListedDays::new(found.ranges);
    let has_only_listed_days = dates.days.is_empty() && found.days.is_empty();
    if has_only_listed_days && dates.listed.last().is_some_and(|last| last < today) {
        let message = format!("all days of `{shown}` are over");
        reporter.warning("date-over", &file.span, message).help("add the days of this year");
    }
    dates.days.append(&mut found.days);
    Some(Sha256::digest(text.as_bytes()).into())
}

/// Reports problems of lines: the first ones with their line, the others by their number.
fn report(
    severity: Severity,
    problems: Vec<LineProblem>,
    path: &str,
    file: &Spanned<String>,
    reporter: &mut Reporter<'_>,
) {
    let more = problems.len().saturating_sub(MAX_REPORTED_LINES);
    let code = problems.last().map(|last| last.problem.code);
    for LineProblem { line, text, span, problem } in problems.into_iter().take(MAX_REPORTED_LINES) {
        let excerpt = Arc::new(SourceFile::excerpt(path, line, text));
        reporter.report.push(severity, Some(Location { file: excerpt, span }), problem);
    }
    if let (Some(code), 1..) = (code, more) {
        let (lines, have) = if more == 1 { ("line", "has") } else { ("lines", "have") };
        let message = format!("{more} more {lines} of {path} {have} problems");
        reporter.push(severity, &file.span, Problem::new(code, message));
    }
}
