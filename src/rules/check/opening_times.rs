//! Opening times of weekdays and of dates, with the corrected line for times as people write them.

use std::ops::Range;

use jiff::civil::Weekday;

use super::reporter::Reporter;
use crate::diagnostics::{Problem, nearest};
use crate::rules::DaySpec;
use crate::rules::load::raw::{RawTimes, Spanned};
use crate::rules::model::hours::suggest::{Correction, correct_date, correct_week};
use crate::rules::model::hours::twelve_hours;
use crate::rules::model::hours::{TimeSpan, parse_spans, parse_weekdays};
use crate::rules::model::zone::split_abbreviation;

/// Returns the spans of each weekday, from Monday.
pub(super) fn of_week(raw: &RawTimes, reporter: &mut Reporter<'_>) -> [Vec<TimeSpan>; 7] {
    let mut week: [Vec<_>; 7] = Default::default();
    let mut keys: [Option<&str>; 7] = [None; 7];
    for (days, times) in raw {
        if let Some(key) = nearest(&days.value, ["zone", "closed", "open"]) {
            let message = format!("`{}` is not a weekday", days.value);
            reporter.error("bad-time", &days.span, message).help(format!("did you mean `{key}`?"));
            continue;
        }
        let (weekdays, times) = week_line(days, times, reporter);
        let indexes = weekdays.into_iter();
        let indexes = indexes.map(|day| usize::from(day.to_monday_zero_offset().unsigned_abs()));
        let indexes: Vec<_> = indexes.collect();
        if let Some(first) = indexes.iter().find_map(|day| keys[*day]) {
            let part = if indexes.len() > 1 { "a day of " } else { "" };
            let message = format!("{part}`{}` is in `{first}` already", days.value);
            reporter
                .error("bad-time", &days.span, message)
                .help("name each weekday once; separate several times with commas");
        }
        for day in indexes {
            keys[day] = Some(&days.value);
            week[day].clone_from(&times);
        }
    }
    week
}

/// Reads a key of weekdays with its times. A line that can be corrected as a whole has one error.
fn week_line(
    days: &Spanned<String>,
    times: &[Spanned<String>],
    reporter: &mut Reporter<'_>,
) -> (Vec<Weekday>, Vec<TimeSpan>) {
    let weekdays = parse_weekdays(&days.value);
    let (spans, mut problems) = read_spans(times);
    let weekdays = weekdays.unwrap_or_else(|problem| {
        problems.insert(0, (days.span.clone(), no_weekday(&days.value, problem)));
        Vec::new()
    });
    let advise = || advice(times, |times| correct_week(&days.value, times), |day| day.to_owned());
    report_problems(problems, advise, reporter);
    warn_of_last_minute(times, advise, reporter);
    warn_of_twelve_hours(&days.value, times, |day| day.to_owned(), reporter);
    (weekdays, spans)
}

/// Adds the help for a key that is a date or a break.
fn no_weekday(key: &str, problem: Problem) -> Problem {
    const BREAKS: [&str; 5] = ["lunch", "break", "pause", "mittag", "siesta"];
    let lower = key.to_lowercase();
    if DaySpec::parse(key).is_ok() {
        let help =
            format!("single days belong in `open`: open = {{ \"{key}\" = \"09:00-12:00\" }}");
        return Problem { message: format!("`{key}` is not a weekday"), ..problem }.help(help);
    }
    match BREAKS.iter().any(|word| lower.contains(word)) {
        true => problem.help(
            "weekdays have the times before and after a break: mon-fri = \"09:00-12:00, 13:00-17:00\"",
        ),
        false => problem,
    }
}

/// Returns the spans of a date, a key of `open`.
pub(super) fn of_date(
    date: &Spanned<String>,
    times: &[Spanned<String>],
    reporter: &mut Reporter<'_>,
) -> Vec<TimeSpan> {
    let (spans, problems) = read_spans(times);
    let in_quotes = |date: &str| format!("\"{date}\"");
    let advise = || advice(times, |times| correct_date(&date.value, times), in_quotes);
    report_problems(problems, advise, reporter);
    warn_of_last_minute(times, advise, reporter);
    warn_of_twelve_hours(&date.value, times, in_quotes, reporter);
    spans
}

type Located = (Range<usize>, Problem);

fn read_spans(times: &[Spanned<String>]) -> (Vec<TimeSpan>, Vec<Located>) {
    let (mut spans, mut problems) = (Vec::new(), Vec::new());
    for text in times {
        match parse_spans(&text.value) {
            Ok(read) => spans.extend(read),
            Err(problem) => problems.push((text.span.clone(), problem)),
        }
    }
    (spans, problems)
}

/// Reports the problems of a line: the first one with the corrected line, otherwise each with its own
/// help.
fn report_problems(
    problems: Vec<Located>,
    advise: impl Fn() -> Option<String>,
    reporter: &mut Reporter<'_>,
) {
    let mut problems = problems.into_iter();
    let Some((span, first)) = problems.next() else { return };
    let Some(advice) = advise() else {
        reporter.problem(&span, first);
        return problems.for_each(|(span, problem)| reporter.problem(&span, problem));
    };
    reporter.problem(&span, first.help(advice));
}

fn warn_of_last_minute(
    times: &[Spanned<String>],
    advise: impl Fn() -> Option<String>,
    reporter: &mut Reporter<'_>,
) {
    let leaves_out = |text: &&Spanned<String>| {
        parse_spans(&text.value)
            .is_ok_and(|spans| spans.iter().any(|span| span.leaves_out_the_last_minute()))
    };
    let Some(text) = times.iter().find(leaves_out) else { return };
    let Some(advice) = advise() else { return };
    let message = "the minute from 23:59 to midnight is closed: an end is not included".to_owned();
    reporter.warning("last-minute", &text.span, message).help(advice);
}

/// Warns of times that are probably those of a 12-hour clock.
fn warn_of_twelve_hours(
    days: &str,
    times: &[Spanned<String>],
    key: impl Fn(&str) -> String,
    reporter: &mut Reporter<'_>,
) {
    let texts: Vec<&str> = times.iter().map(|text| text.value.as_str()).collect();
    let Some(found) = twelve_hours::find(&texts) else { return };
    let when = match found.is_overnight {
        true => "lasts until the next morning",
        false => "is early in the morning",
    };
    let message = format!("`{}` {when}: times are those of a 24-hour clock", found.written);
    let correction = Correction::Lines(vec![(days.to_owned(), found.meant)]);
    let span = &times[found.text].span;
    reporter.warning("twelve-hour-clock", span, message).help(help(&correction, key));
}

/// Returns the help with the corrected times. Times with the abbreviation of a zone have none in a rule table.
fn advice(
    times: &[Spanned<String>],
    correct: impl Fn(&[&str]) -> Option<Correction>,
    key: impl Fn(&str) -> String,
) -> Option<String> {
    let mut texts: Vec<&str> = times.iter().map(|text| text.value.as_str()).collect();
    if let Some(correction) = correct(&texts) {
        return Some(help(&correction, key));
    }
    let mut zone = None;
    for text in &mut texts {
        if let Some((times, city)) = split_abbreviation(text) {
            (*text, zone) = (times, Some(city));
        }
    }
    let (zone, correction) = (zone?, correct(&texts)?);
    Some(format!("{}; the zone of the hours is set by zone = \"{zone}\"", help(&correction, key)))
}

fn help(correction: &Correction, key: impl Fn(&str) -> String) -> String {
    match correction {
        Correction::Closed => {
            "remove this entry: a weekday without a key is closed; other closed days \
                               belong in a [dates] table, which `closed` names"
                .to_owned()
        }
        Correction::Lines(lines) => {
            let lines = lines.iter().map(|(days, times)| format!("`{} = \"{times}\"`", key(days)));
            format!("write {}", lines.collect::<Vec<_>>().join(" and "))
        }
    }
}
