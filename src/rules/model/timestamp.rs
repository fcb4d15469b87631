//! Times of calls in rule tables, on the command line and in queries.

use jiff::civil::{DateTime, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{Timestamp, ToSpan};

use super::dates::parse;
use super::hours::parse_start_time;
use crate::diagnostics::Problem;

const BAD_TIME: &str = "bad-time";
/// Help for a text that is neither a date nor a date and a time.
const TIMESTAMP_FORM: &str = "write a date, or a date and a time, as in `2026-12-24 17:30`";

/// Code of the error about a local time that the clocks skip.
const SKIPPED_TIME: &str = "skipped-time";

/// Parses a timestamp: `2026-12-25 00:10` or `2026-12-25T00:10:30` in the given zone, or
/// `2026-12-25T00:10:00-05:00` with its own offset. A date alone means midnight. A repeated local
/// time means its first occurrence; a skipped one is an error.
///
/// ```
/// use jiff::tz::TimeZone;
/// use switchboard::rules::parse_timestamp;
///
/// let zone = TimeZone::get("America/New_York").unwrap();
/// let at = parse_timestamp("2026-12-25 00:10", &zone).unwrap();
/// assert_eq!(at.to_string(), "2026-12-25T05:10:00Z");
/// ```
///
/// # Errors
/// Returns the problem and its correction.
pub fn parse_timestamp(text: &str, zone: &TimeZone) -> Result<Timestamp, Problem> {
    let text = text.trim();
    let starts_with_a_digit = text.starts_with(|c: char| c.is_ascii_digit());
    let parts = text.split_once(['T', 't', ' ']).filter(|_| starts_with_a_digit);
    if parts.is_none() && parse_start_time(text).is_ok() {
        let help = format!("the date comes first, as in `2026-12-25 {text}`");
        return Err(Problem::new(BAD_TIME, format!("`{text}` has no date")).help(help));
    }
    let (date, time) = parts.unwrap_or((text, "00:00"));
    let date = parse::parse_date(date).map_err(|problem| match problem.help.as_deref() {
        Some(parse::DATE_FORM) => problem.help(TIMESTAMP_FORM),
        Some(help) if parts.is_some() && parse_start_time(time.trim()).is_ok() => {
            // The help proposes a date, and its time stays.
            let help = help.replace("`?", &format!(" {}`?", time.trim()));
            problem.help(help)
        }
        Some(_) | None => problem,
    })?;
    let time = time.trim();
    let invalid = || {
        let help = "write `2026-12-25 00:10`, `2026-12-25T00:10:30` or, with a UTC offset, \
                    `2026-12-25T00:10:30-05:00`";
        Problem::new(BAD_TIME, format!("`{text}` is not a date and time")).help(help)
    };
    if has_offset(text) {
        let parsed = text.parse().ok().filter(|_| !time.contains('['));
        return parsed.ok_or_else(invalid);
    }
    let (time, second) = match time.rsplit_once(':') {
        Some((time, second)) if time.contains(':') => (time, parse::two_digits(second)),
        _ => (time, Some(0)),
    };
    let minute = parse_start_time(time)?;
    let civil_time = |second| Time::new((minute / 60) as i8, (minute % 60) as i8, second, 0).ok();
    let civil_time = second.and_then(civil_time).ok_or_else(invalid)?;
    let local = DateTime::from_parts(date, civil_time);
    let ambiguous = zone.to_ambiguous_timestamp(local);
    if let AmbiguousOffset::Gap { before, after } = ambiguous.offset() {
        return Err(skipped(local, zone, before, after));
    }
    ambiguous.earlier().map_err(|_| invalid())
}

/// Returns the problem with a local time that the clocks of a zone skip.
fn skipped(local: DateTime, zone: &TimeZone, before: Offset, after: Offset) -> Problem {
    let shown = local.strftime("%Y-%m-%d %H:%M");
    let message = format!("{shown} never comes in {}", name_of(zone));
    // The clocks jump at the first local time that exists with the later offset.
    let jump = i64::from(after.seconds() - before.seconds());
    let next = local.checked_add(jump.seconds()).unwrap_or(local);
    let next = next.strftime("%Y-%m-%d %H:%M");
    Problem::new(SKIPPED_TIME, message)
        .help(format!("the clocks go forward past it; write `{next}`"))
}

fn name_of(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("this zone")
}

/// Returns which occurrence is meant if a text names a local time that comes twice.
///
/// ```
/// use jiff::tz::TimeZone;
/// use switchboard::rules::repeated_time;
///
/// let zone = TimeZone::get("America/New_York").unwrap();
/// let note = repeated_time("2026-11-01 01:30", &zone).unwrap();
/// assert!(note.starts_with("2026-11-01 01:30 comes twice in America/New_York"), "{note}");
/// assert_eq!(repeated_time("2026-11-01T01:30:00-05:00", &zone), None);
/// ```
pub fn repeated_time(text: &str, zone: &TimeZone) -> Option<String> {
    let at = parse_timestamp(text, zone).ok()?;
    let local = zone.to_datetime(at);
    let ambiguous = zone.to_ambiguous_timestamp(local);
    if has_offset(text) || !matches!(ambiguous.offset(), AmbiguousOffset::Fold { .. }) {
        return None;
    }
    let with_offset =
        |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
    let second = ambiguous.later().ok()?;
    Some(format!(
        "{} comes twice in {}; this is the first, {}; the second is {}",
        local.strftime("%Y-%m-%d %H:%M"),
        name_of(zone),
        with_offset(at),
        with_offset(second),
    ))
}

/// Returns whether a timestamp has an offset from UTC of its own.
fn has_offset(text: &str) -> bool {
    let time = text.trim().split_once(['T', 't', ' ']).map_or("", |(_, time)| time);
    time.contains(['+', '-', 'Z', 'z', '['])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::model::zone::parse_zone;

    #[track_caller]
    fn check_error(read: Result<Timestamp, Problem>, code: &str, message: &str, help: &str) {
        let error = read.unwrap_err();
        assert_eq!(
            (error.code, error.message.as_str(), error.help.as_deref()),
            (code, message, Some(help))
        );
    }

    #[test]
    fn refuses_local_times_that_the_clocks_skip() {
        let check = |text: &str, zone_name: &str, shown: &str, next: &str| {
            let zone = parse_zone(zone_name).unwrap();
            let message = format!("{shown} never comes in {zone_name}");
            let help = format!("the clocks go forward past it; write `{next}`");
            check_error(parse_timestamp(text, &zone), "skipped-time", &message, &help);
            assert!(parse_timestamp(next, &zone).is_ok());
        };
        let (new_york, berlin) = ("America/New_York", "Europe/Berlin");
        check("2026-03-08 02:30", new_york, "2026-03-08 02:30", "2026-03-08 03:30");
        check("2026-03-08T02:00:00", new_york, "2026-03-08 02:00", "2026-03-08 03:00");
        check("2026-03-29 02:59", berlin, "2026-03-29 02:59", "2026-03-29 03:59");
        assert!(parse_timestamp("2026-03-08 01:59", &parse_zone(new_york).unwrap()).is_ok());
        assert!(parse_timestamp("2026-03-08 03:00", &parse_zone(new_york).unwrap()).is_ok());
        let proposed = parse_timestamp("12/25/2026 10:00", &TimeZone::UTC).unwrap_err().help;
        assert_eq!(proposed.as_deref(), Some("did you mean `2026-12-25 10:00`?"));
        assert!(parse_timestamp("2026-12-25 10:00", &TimeZone::UTC).is_ok());
        let santiago = "America/Santiago";
        check("2026-09-06", santiago, "2026-09-06 00:00", "2026-09-06 01:00");
    }

    #[test]
    fn says_which_of_two_local_times_is_meant() {
        let zone = parse_zone("America/New_York").unwrap();
        let note = "2026-11-01 01:30 comes twice in America/New_York; this is the first, \
                    2026-11-01T01:30:00-04:00; the second is 2026-11-01T01:30:00-05:00";
        assert_eq!(repeated_time("2026-11-01 01:30", &zone).as_deref(), Some(note));
        for text in ["2026-11-01 02:00", "2026-11-01T01:30:00-05:00", "nonsense"] {
            assert_eq!(repeated_time(text, &zone), None);
        }
    }

    #[track_caller]
    fn check_timestamp(text: &str, zone_name: &str, expected: &str) {
        let zone = parse_zone(zone_name).unwrap();
        assert_eq!(parse_timestamp(text, &zone).unwrap().to_string(), expected, "{text}");
    }

    #[test]
    fn parses_timestamps_in_the_zone_or_with_an_offset() {
        check_timestamp("2026-12-25 00:10", "America/New_York", "2026-12-25T05:10:00Z");
        check_timestamp("2026-07-01 9:00", "America/New_York", "2026-07-01T13:00:00Z");
        check_timestamp(" 2026-12-25T00:10:30 ", "Asia/Kolkata", "2026-12-24T18:40:30Z");
        check_timestamp("2026-12-25", "Europe/Berlin", "2026-12-24T23:00:00Z");
        check_timestamp("2026-12-25T00:10:00-05:00", "Europe/Berlin", "2026-12-25T05:10:00Z");
        check_timestamp("2026-12-25 00:10+05:30", "Europe/Berlin", "2026-12-24T18:40:00Z");
        check_timestamp("2026-12-25t00:10:00z", "Europe/Berlin", "2026-12-25T00:10:00Z");
    }

    #[test]
    fn takes_the_first_of_repeated_local_times() {
        check_timestamp("2026-11-01 01:30", "America/New_York", "2026-11-01T05:30:00Z");
        check_timestamp("2026-10-25 02:30", "Europe/Berlin", "2026-10-25T00:30:00Z");
        check_timestamp("2026-04-05 01:45", "Australia/Lord_Howe", "2026-04-04T14:45:00Z");
    }

    #[test]
    fn rejects_invalid_timestamps_with_help() {
        let parse = |text| parse_timestamp(text, &TimeZone::UTC);
        let date = TIMESTAMP_FORM;
        check_error(parse("tomorrow"), "bad-date", "`tomorrow` is not a date", date);
        let before = "the date comes first, as in `2026-12-25 00:10`";
        check_error(parse("00:10"), "bad-time", "`00:10` has no date", before);
        check_error(parse("12-25 00:10"), "bad-date", "`12-25` has no year", date);
        let meant = "did you mean `2026-01-05 00:10`?";
        check_error(parse("2026-1-5 00:10"), "bad-date", "`2026-1-5` is not a date", meant);
        let turned = "did you mean `2026-12-24 00:10`?";
        let message = "`2026-24-12` is not a date: there is no month 24";
        check_error(parse("2026-24-12 00:10"), "bad-date", message, turned);
        let error = parse("2026-02-30 00:10").unwrap_err();
        let message = "`2026-02-30` is not a date: February 2026 has 28 days";
        assert_eq!((error.code, error.message.as_str()), ("bad-date", message));
        let range = "times range from 00:00 to 24:00";
        check_error(parse("2026-12-25 25:10"), "bad-time", "`25:10` is not a time", range);
        let next = "write `00:00` for the start of the next day";
        check_error(parse("2026-12-25 24:00"), "bad-time", "`24:00` cannot be a start", next);
        let form = "write hours and minutes in 24-hour format, as in `09:00` or `17:30`";
        check_error(parse("2026-12-25 noon"), "bad-time", "`noon` is not a time", form);
        let forms = "write `2026-12-25 00:10`, `2026-12-25T00:10:30` or, with a UTC offset, \
                     `2026-12-25T00:10:30-05:00`";
        for text in [
            "2026-12-25 00:10:60",
            "2026-12-25 00:10:5",
            "2026-12-25 00:10 -05:00",
            "2026-12-25T00:10:00-99:00",
            "2026-12-25T00:10:00-05:00[America/New_York]",
            "2026-12-25T00:10:00[America/New_York]",
            "9999-12-31 23:59",
        ] {
            let message = format!("`{text}` is not a date and time");
            check_error(parse(text), "bad-time", &message, forms);
        }
    }
}
