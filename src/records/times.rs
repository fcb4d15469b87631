//! Times as operators write them: one reader for every command and the admin listener.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::rules;

/// Parses a time: an age (`90m`, `24h`, `7d`, `2w`), a day (`today`, `yesterday`, `monday`), a date or
/// time on the wall clock of `zone`, or a time with an offset from UTC.
///
/// A day means its start, and the name of a weekday the last such day, which may be today.
///
/// # Errors
/// Returns a message that lists the accepted forms.
pub fn parse_time(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Some(ago) = ago(text) {
        return now.checked_sub(ago).map_err(|_| format!("`{text}` is too long ago"));
    }
    if let Some(day) = day(text, now, zone) {
        let start = zone.to_timestamp(day.to_datetime(Time::midnight()));
        return start.map_err(|_| format!("`{text}` has no start in this time zone"));
    }
    let in_future = text.strip_prefix(['-', '+']).filter(|rest| ago(rest).is_some());
    if let Some(age) = in_future {
        return Err(format!("`{text}` has a sign, and an age has none: write {age}, as in 7d"));
    }
    rules::parse_timestamp(text, zone).map_err(|problem| {
        // Whoever writes a year first means a date.
        if text.split_once('-').is_some_and(|(year, _)| is_year(year)) {
            return problem.to_string();
        }
        format!(
            "`{text}` is not a time: use an age, 90m, 24h or 7d; a day, today, yesterday or monday; \
             a date, 2026-11-01; a time, \"2026-11-01 09:30\"; or a time with an offset from UTC, \
             2026-11-01T09:30:00Z"
        )
    })
}

fn is_year(text: &str) -> bool {
    text.len() == "2026".len() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the day that a word names.
fn day(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Date> {
    let today = now.to_zoned(zone.clone()).date();
    let word = text.to_ascii_lowercase();
    match word.as_str() {
        "today" => return Some(today),
        "yesterday" => return today.yesterday().ok(),
        _ => {}
    }
    let mut days = std::iter::successors(Some(today), |day| day.yesterday().ok()).take(7);
    days.find(|day| {
        let name = day.strftime("%A").to_string().to_ascii_lowercase();
        word == name || word == name[..3]
    })
}

fn ago(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        'w' => 7 * 24 * 60 * 60,
        _ => return None,
    };
    let digits = text.strip_suffix(unit)?;
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // A count that overflows is too long ago, not a syntax error.
    let count: i64 = all_digits.then(|| digits.parse().unwrap_or(i64::MAX))?;
    Some(SignedDuration::from_secs(count.saturating_mul(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-21T12:00:00Z";

    #[track_caller]
    fn check(text: &str, zone: &str, expected: &str) {
        let zone = TimeZone::get(zone).unwrap();
        let time = parse_time(text, NOW.parse().unwrap(), &zone);
        assert_eq!(time.map(|at| at.to_string()), Ok(expected.to_owned()), "{text}");
    }

    #[test]
    fn parses_an_age_a_date_or_a_time() {
        check("90m", "UTC", "2026-11-21T10:30:00Z");
        check("24h", "UTC", "2026-11-20T12:00:00Z");
        check("7d", "Europe/Berlin", "2026-11-14T12:00:00Z");
        check("2w", "UTC", "2026-11-07T12:00:00Z");
        check("30s", "UTC", "2026-11-21T11:59:30Z");
        check("2026-11-01", "UTC", "2026-11-01T00:00:00Z");
        check("2026-11-01", "Europe/Berlin", "2026-10-31T23:00:00Z");
        check("2026-11-01T09:30", "America/New_York", "2026-11-01T14:30:00Z");
        check("2026-11-01 09:30", "UTC", "2026-11-01T09:30:00Z");
        check("2026-11-01T09:30:00+01:00", "America/New_York", "2026-11-01T08:30:00Z");
        check("today", "UTC", "2026-11-21T00:00:00Z");
        check("today", "Pacific/Auckland", "2026-11-21T11:00:00Z");
        check("Yesterday", "Europe/Berlin", "2026-11-19T23:00:00Z");
        check("monday", "UTC", "2026-11-16T00:00:00Z");
        check("saturday", "UTC", "2026-11-21T00:00:00Z");
        check("sun", "UTC", "2026-11-15T00:00:00Z");
        check("2h", "UTC", "2026-11-21T10:00:00Z");
        check("2026-11-01T09:30:00.25Z", "UTC", "2026-11-01T09:30:00.25Z");
    }

    #[test]
    fn lists_the_accepted_forms_of_a_time() {
        for text in ["", "d", "7", "7 days", "tomorrow", "mond", "13-01", "7D"] {
            let error = parse_time(text, NOW.parse().unwrap(), &TimeZone::UTC).unwrap_err();
            assert!(error.contains("7d") && error.contains("2026-11-01 09:30"), "{text}: {error}");
        }
        for (text, expected) in [
            ("-7d", "write 7d"),
            ("2026-11-31", "November 2026 has 30 days"),
            ("2026-13-01", "there is no month 13"),
            ("2026-11-01 25:00", "25:00"),
        ] {
            let error = parse_time(text, NOW.parse().unwrap(), &TimeZone::UTC).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let error = parse_time("99999999999999999999d", NOW.parse().unwrap(), &TimeZone::UTC);
        assert!(error.unwrap_err().contains("too long ago"));
    }
}
