//! Opening hours, `[hours.NAME]`, and the parsers for times and weekdays.
//!
//! Hours follow the local time of the zone: when a clock change repeats an hour, both occurrences
//! count; when it skips an hour, that hour does not occur. This module does not read the clock:
//! timestamps are arguments.

pub(crate) mod suggest;
pub(crate) mod twelve_hours;

use std::fmt;
use std::sync::Arc;

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::dates::{Dates, DaySpec, parse};
use super::spelling::number;
use crate::diagnostics::Problem;

/// `[hours.NAME]`: opening hours.
///
/// ```
/// use switchboard::rules::{self, CheckContext};
///
/// let text = r#"
///     [hours.office]
///     zone = "America/New_York"
///     mon-fri = "09:00-17:00"
///
///     [[rule]]
///     name = "day"
///     hours = "office"
///     agent = "agent_front_desk"
/// "#;
/// let loaded = rules::parse("rules.toml", text.to_owned(), &CheckContext::default());
/// let office = &loaded.table.expect("a valid table").hours[0];
/// assert!(office.is_open("2026-11-26T14:00:00Z".parse().unwrap()));
/// let status = office.status("2026-11-26T22:00:00Z".parse().unwrap());
/// assert_eq!(
///     format!("{status:#}"),
///     "office is closed on Thu 2026-11-26 at 17:00 (09:00-17:00 in America/New_York)"
/// );
/// ```
#[derive(Debug, Clone)]
pub struct Hours {
    /// Name used by rules.
    pub name: Box<str>,
    /// Time zone of the hours.
    pub zone: TimeZone,
    /// Time spans of each weekday, from Monday.
    pub week: [Vec<TimeSpan>; 7],
    /// Days without spans of their own, overriding `week`.
    pub closed: Vec<Arc<Dates>>,
    /// Days with other spans, overriding `week` and `closed`; the first matching entry applies.
    pub open: Vec<(DaySpec, Vec<TimeSpan>)>,
}

impl Hours {
    /// Returns whether the hours are open at this time.
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.status(at).open
    }

    /// Returns whether the hours are open at this time, with the reason. Does not allocate.
    pub fn status(&self, at: Timestamp) -> HoursStatus<'_> {
        let local = self.zone.to_datetime(at);
        let minute =
            u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        let (today, reason) = self.spans_on(local.date(), at, 0);
        let zone = self.zone.iana_name();
        let status = |open, spans, reason| HoursStatus {
            hours: &self.name,
            open,
            local,
            spans,
            zone,
            reason,
        };
        if today.iter().any(|span| span.contains(minute)) {
            return status(true, today, reason);
        }
        let yesterday = local.date().yesterday();
        let yesterday = yesterday.map(|yesterday| self.spans_on(yesterday, at, 1).0);
        let yesterday = yesterday.unwrap_or_default();
        if yesterday.iter().any(|span| span.contains(minute + MINUTES_PER_DAY)) {
            status(true, yesterday, OpenReason::DayBefore)
        } else {
            status(false, today, reason)
        }
    }

    /// Returns the spans that start on a date, with the reason: the date at this time, or the one so
    /// many days ago. Closed dates with a zone of their own have another date at this time.
    fn spans_on(&self, date: Date, at: Timestamp, days_ago: i32) -> (&[TimeSpan], OpenReason<'_>) {
        if let Some((day, spans)) = self.open.iter().find(|(day, _)| day.contains(date)) {
            return (spans, OpenReason::Open(day));
        }
        let is_closed = |dates: &&Arc<Dates>| match &dates.zone {
            None => dates.contains(date),
            Some(zone) => {
                let today = dates.date_at(at, zone);
                today.checked_sub(days_ago.days()).is_ok_and(|date| dates.contains(date))
            }
        };
        if let Some(dates) = self.closed.iter().find(is_closed) {
            return (&[], OpenReason::Closed(&dates.name));
        }
        let weekday = date.weekday().to_monday_zero_offset().unsigned_abs();
        (&self.week[usize::from(weekday)], OpenReason::Week)
    }
}

/// State of opening hours at a time. Prints as a sentence for `explain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoursStatus<'h> {
    /// Name of the hours.
    pub hours: &'h str,
    /// The hours are open.
    pub open: bool,
    /// Local time in the zone of the hours.
    pub local: DateTime,
    /// Opening times of the day, or of the day before if they last until now.
    pub spans: &'h [TimeSpan],
    /// Name of the zone.
    pub zone: Option<&'h str>,
    /// Reason of the state.
    pub reason: OpenReason<'h>,
}

/// Reason why hours are open or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenReason<'h> {
    /// Weekly schedule.
    Week,
    /// Dates with this name in `closed`.
    Closed(&'h str),
    /// Entry of `open`.
    Open(&'h DaySpec),
    /// Span that started on the previous day.
    DayBefore,
}

/// Prints `office is closed on Fri 2026-12-25 at 00:10 (us-holidays)`, and in the alternate form
/// (`{:#}`) also the opening times and the zone: `office is open on Fri 2026-12-18 at 10:10
/// (09:00-17:00 in America/New_York)`.
impl fmt::Display for HoursStatus<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.open { "open" } else { "closed" };
        let local = self.local.strftime("%a %Y-%m-%d at %H:%M");
        write!(f, "{} is {state} on {local}", self.hours)?;
        let reason = match self.reason {
            OpenReason::Week => None,
            OpenReason::Closed(dates) => Some(dates.to_owned()),
            OpenReason::Open(day) => Some(format!("`open` has an entry {day}")),
            OpenReason::DayBefore => Some("since the previous day".to_owned()),
        };
        let times = f.alternate().then(|| self.times());
        let remarks: Vec<String> = reason.into_iter().chain(times).collect();
        match remarks.is_empty() {
            true => Ok(()),
            false => write!(f, " ({})", remarks.join(": ")),
        }
    }
}

impl HoursStatus<'_> {
    /// Returns the opening times with the zone.
    fn times(&self) -> String {
        let spans = self.spans.iter().map(TimeSpan::to_string).collect::<Vec<_>>().join(", ");
        let times = if spans.is_empty() { "closed all day".to_owned() } else { spans };
        let zone = self.zone.map(|zone| format!(" in {zone}"));
        times + &zone.unwrap_or_default()
    }
}

/// Time span in minutes of local time; the end is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSpan {
    /// Start in minutes after midnight, below 1440.
    pub start: u16,
    /// End in minutes after the same midnight, always after the start; above 1440 in the next day.
    pub end: u16,
}

/// Minutes of a day.
const MINUTES_PER_DAY: u16 = 24 * 60;

impl TimeSpan {
    /// Returns whether the span leaves out the last minute of its day, as `18:00-23:59` does.
    pub(crate) fn leaves_out_the_last_minute(self) -> bool {
        self.end == MINUTES_PER_DAY - 1
    }

    fn contains(&self, minute: u16) -> bool {
        (self.start..self.end).contains(&minute)
    }
}

/// Prints the canonical form: `22:00-06:00`.
impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.end > MINUTES_PER_DAY { self.end - MINUTES_PER_DAY } else { self.end };
        let (start, start_minute) = (self.start / 60, self.start % 60);
        write!(f, "{start:02}:{start_minute:02}-{:02}:{:02}", end / 60, end % 60)
    }
}

const BAD_TIME: &str = "bad-time";

/// Parses comma-separated spans: `09:00-12:30, 13:30-18:00`.
///
/// # Errors
/// Returns the first problem.
pub(crate) fn parse_spans(text: &str) -> Result<Vec<TimeSpan>, Problem> {
    if !text.contains(|c: char| c.is_ascii_digit()) || text.trim() == "24/7" {
        let help = "write `09:00-12:30, 13:30-18:00`, or `00:00-24:00` for all day; an omitted \
                    weekday is closed, and other closed days belong in `closed`";
        let text = if text.is_empty() { "an empty text".into() } else { format!("`{text}`") };
        return Err(Problem::new(BAD_TIME, format!("{text} contains no times")).help(help));
    }
    text.split(',').map(|span| parse_span(span.trim())).collect()
}

fn parse_span(text: &str) -> Result<TimeSpan, Problem> {
    let Some((start, end)) = text.split_once('-') else {
        let message = match text {
            "" => "no times before or after a comma".to_owned(),
            text => format!("`{text}` is not a time span"),
        };
        let help = "write start and end, as in `09:00-12:30`";
        return Err(Problem::new(BAD_TIME, message).help(help));
    };
    let (start, end) = (parse_start_time(start.trim())?, parse_time(end.trim())?);
    if start == end {
        let help = "for all day, write `00:00-24:00`";
        return Err(Problem::new(BAD_TIME, format!("`{text}` ends at its start")).help(help));
    }
    Ok(TimeSpan { start, end: if end < start { end + MINUTES_PER_DAY } else { end } })
}

/// Parses a time other than 24:00.
pub(super) fn parse_start_time(text: &str) -> Result<u16, Problem> {
    let minute = parse_time(text)?;
    if minute < MINUTES_PER_DAY {
        return Ok(minute);
    }
    let help = "write `00:00` for the start of the next day";
    Err(Problem::new(BAD_TIME, format!("`{text}` cannot be a start")).help(help))
}

/// Parses a time up to and including 24:00 into minutes after midnight.
fn parse_time(text: &str) -> Result<u16, Problem> {
    let numbers = text.split_once(':').and_then(|(hour, minute)| {
        let hour = (1..=2).contains(&hour.len()).then(|| number::<u16>(hour))??;
        Some((hour, u16::from(parse::two_digits(minute)?.unsigned_abs())))
    });
    let help = match numbers {
        Some((hour, minute)) if minute < 60 && hour * 60 + minute <= MINUTES_PER_DAY => {
            return Ok(hour * 60 + minute);
        }
        Some(_) => "times range from 00:00 to 24:00",
        None => "write hours and minutes in 24-hour format, as in `09:00` or `17:30`",
    };
    Err(Problem::new(BAD_TIME, format!("`{text}` is not a time")).help(help))
}

/// Parses a weekday or a range of weekdays: `mon-fri`, `sat`, `fri-mon`.
///
/// # Errors
/// Returns the first problem.
pub(crate) fn parse_weekdays(text: &str) -> Result<Vec<Weekday>, Problem> {
    let text = text.trim();
    let Some((first, last)) = text.split_once('-') else {
        return Ok(vec![parse::parse_weekday(text, BAD_TIME)?]);
    };
    let first = parse::parse_weekday(first.trim(), BAD_TIME)?;
    let last = parse::parse_weekday(last.trim(), BAD_TIME)?;
    if first == last {
        let help = "write a single day without a range, or `mon-sun` for the whole week";
        return Err(
            Problem::new(BAD_TIME, format!("`{text}` starts and ends on the same day")).help(help)
        );
    }
    let until_last = first.cycle_forward().take_while(|day| *day != last);
    Ok(until_last.chain([last]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::model::zone::parse_zone;

    fn dates(name: &str, days: &[&str]) -> Arc<Dates> {
        let days = days.iter().map(|day| DaySpec::parse(day).unwrap()).collect();
        Arc::new(Dates::new(name, days))
    }

    fn hours(name: &str, zone_name: &str, lines: &[(&str, &str)]) -> Hours {
        let mut hours = Hours {
            name: name.into(),
            zone: parse_zone(zone_name).unwrap(),
            week: Default::default(),
            closed: Vec::new(),
            open: Vec::new(),
        };
        for (days, times) in lines {
            for weekday in parse_weekdays(days).unwrap() {
                hours.week[weekday.to_monday_zero_offset() as usize] = parse_spans(times).unwrap();
            }
        }
        hours
    }

    impl Hours {
        fn closed(mut self, dates: Arc<Dates>) -> Hours {
            self.closed.push(dates);
            self
        }

        fn open(mut self, day: &str, times: &str) -> Hours {
            self.open.push((DaySpec::parse(day).unwrap(), parse_spans(times).unwrap()));
            self
        }
    }

    fn office() -> Hours {
        let holidays = ["07-04", "4th thu of nov", "12-24", "12-25"];
        let week = [("mon-fri", "09:00-12:30, 13:30-18:00"), ("sat", "10:00-14:00")];
        hours("office", "America/New_York", &week)
            .closed(dates("us-holidays", &holidays))
            .open("2026-12-24", "09:00-12:00")
    }

    /// `at` is in UTC, independent of the zone under test.
    #[track_caller]
    fn check(hours: &Hours, at: &str, expected: &str) {
        let at = at.parse().unwrap();
        let status = hours.status(at);
        assert_eq!(status.to_string(), expected);
        assert_eq!(hours.is_open(at), status.open);
    }

    #[test]
    fn opens_by_weekday() {
        let office = office();
        check(&office, "2026-11-19T15:00:00Z", "office is open on Thu 2026-11-19 at 10:00");
        check(&office, "2026-11-19T05:00:00Z", "office is closed on Thu 2026-11-19 at 00:00");
        check(&office, "2026-11-21T15:00:00Z", "office is open on Sat 2026-11-21 at 10:00");
        check(&office, "2026-11-21T20:00:00Z", "office is closed on Sat 2026-11-21 at 15:00");
        check(&office, "2026-11-22T15:00:00Z", "office is closed on Sun 2026-11-22 at 10:00");
        check(&office, "2026-07-01T12:59:59Z", "office is closed on Wed 2026-07-01 at 08:59");
        check(&office, "2026-07-01T13:00:00Z", "office is open on Wed 2026-07-01 at 09:00");
    }

    #[test]
    fn a_span_includes_its_start_and_not_its_end() {
        let office = office();
        check(&office, "2026-11-19T13:59:59.999Z", "office is closed on Thu 2026-11-19 at 08:59");
        check(&office, "2026-11-19T14:00:00Z", "office is open on Thu 2026-11-19 at 09:00");
        check(&office, "2026-11-19T17:29:59Z", "office is open on Thu 2026-11-19 at 12:29");
        check(&office, "2026-11-19T17:30:00Z", "office is closed on Thu 2026-11-19 at 12:30");
        check(&office, "2026-11-19T18:30:00Z", "office is open on Thu 2026-11-19 at 13:30");
        check(&office, "2026-11-19T22:59:59.999Z", "office is open on Thu 2026-11-19 at 17:59");
        check(&office, "2026-11-19T23:00:00Z", "office is closed on Thu 2026-11-19 at 18:00");
    }

    #[test]
    fn closed_dates_override_the_week() {
        let office = office();
        let expected = "office is closed on Fri 2026-12-25 at 00:10 (us-holidays)";
        check(&office, "2026-12-25T05:10:00Z", expected);
        let expected = "office is closed on Fri 2026-12-25 at 10:00 (us-holidays)";
        check(&office, "2026-12-25T15:00:00Z", expected);
        let expected = "office is closed on Thu 2026-11-26 at 10:00 (us-holidays)";
        check(&office, "2026-11-26T15:00:00Z", expected);
        let expected = "office is closed on Sat 2026-07-04 at 11:00 (us-holidays)";
        check(&office, "2026-07-04T15:00:00Z", expected);
    }

    #[test]
    fn open_dates_override_closed_and_week() {
        let office = office();
        let expected = "office is open on Thu 2026-12-24 at 11:59 (`open` has an entry 2026-12-24)";
        check(&office, "2026-12-24T16:59:59Z", expected);
        let expected =
            "office is closed on Thu 2026-12-24 at 12:00 (`open` has an entry 2026-12-24)";
        check(&office, "2026-12-24T17:00:00Z", expected);
        let expected = "office is closed on Fri 2027-12-24 at 11:00 (us-holidays)";
        check(&office, "2027-12-24T16:00:00Z", expected);
        let sunday = office.open("2026-11-22", "10:00-16:00");
        let expected = "office is open on Sun 2026-11-22 at 10:00 (`open` has an entry 2026-11-22)";
        check(&sunday, "2026-11-22T15:00:00Z", expected);
    }

    #[test]
    fn the_reason_is_the_first_matching_entry() {
        let shop = hours("shop", "UTC", &[("mon-sun", "09:00-18:00")])
            .closed(dates("inventory", &["12-30..01-01"]))
            .closed(dates("new-year", &["01-01"]))
            .open("12-30", "10:00-11:00")
            .open("2026-12-30", "15:00-16:00");
        let expected = "shop is closed on Fri 2027-01-01 at 10:00 (inventory)";
        check(&shop, "2027-01-01T10:00:00Z", expected);
        let expected = "shop is open on Wed 2026-12-30 at 10:30 (`open` has an entry 12-30)";
        check(&shop, "2026-12-30T10:30:00Z", expected);
        let expected = "shop is closed on Wed 2026-12-30 at 15:30 (`open` has an entry 12-30)";
        check(&shop, "2026-12-30T15:30:00Z", expected);
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_starts() {
        let night = hours("night", "America/New_York", &[("sun", "22:00-06:00")]);
        check(&night, "2026-11-22T08:00:00Z", "night is closed on Sun 2026-11-22 at 03:00");
        check(&night, "2026-11-23T02:59:59Z", "night is closed on Sun 2026-11-22 at 21:59");
        check(&night, "2026-11-23T03:00:00Z", "night is open on Sun 2026-11-22 at 22:00");
        let monday = "night is open on Mon 2026-11-23 at 00:00 (since the previous day)";
        check(&night, "2026-11-23T05:00:00Z", monday);
        let monday = "night is open on Mon 2026-11-23 at 05:59 (since the previous day)";
        check(&night, "2026-11-23T10:59:59Z", monday);
        check(&night, "2026-11-23T11:00:00Z", "night is closed on Mon 2026-11-23 at 06:00");
        check(&night, "2026-11-24T03:00:00Z", "night is closed on Mon 2026-11-23 at 22:00");
    }

    #[test]
    fn a_night_span_wraps_around_the_week() {
        let weekend = hours("weekend", "Europe/Berlin", &[("fri-mon", "10:00-16:00")]);
        check(&weekend, "2026-11-19T10:00:00Z", "weekend is closed on Thu 2026-11-19 at 11:00");
        check(&weekend, "2026-11-20T10:00:00Z", "weekend is open on Fri 2026-11-20 at 11:00");
        check(&weekend, "2026-11-22T10:00:00Z", "weekend is open on Sun 2026-11-22 at 11:00");
        check(&weekend, "2026-11-23T10:00:00Z", "weekend is open on Mon 2026-11-23 at 11:00");
        check(&weekend, "2026-11-24T10:00:00Z", "weekend is closed on Tue 2026-11-24 at 11:00");
    }

    #[test]
    fn a_closed_day_has_no_span_into_the_next_day() {
        let night = hours("night", "Europe/Berlin", &[("mon-sun", "22:00-06:00")])
            .closed(dates("christmas", &["12-25"]));
        let expected = "night is open on Fri 2026-12-25 at 03:00 (since the previous day)";
        check(&night, "2026-12-25T02:00:00Z", expected);
        let expected = "night is closed on Fri 2026-12-25 at 06:00 (christmas)";
        check(&night, "2026-12-25T05:00:00Z", expected);
        let expected = "night is closed on Fri 2026-12-25 at 22:30 (christmas)";
        check(&night, "2026-12-25T21:30:00Z", expected);
        check(&night, "2026-12-26T02:00:00Z", "night is closed on Sat 2026-12-26 at 03:00");
        check(&night, "2026-12-26T21:00:00Z", "night is open on Sat 2026-12-26 at 22:00");
    }

    #[test]
    fn an_open_date_can_extend_into_a_closed_day() {
        let bar = hours("bar", "UTC", &[("thu", "22:00-23:00")])
            .closed(dates("christmas", &["12-24..12-26"]))
            .open("12-24", "20:00-02:00");
        let expected = "bar is open on Thu 2026-12-24 at 20:00 (`open` has an entry 12-24)";
        check(&bar, "2026-12-24T20:00:00Z", expected);
        let expected = "bar is open on Fri 2026-12-25 at 01:59 (since the previous day)";
        check(&bar, "2026-12-25T01:59:00Z", expected);
        let expected = "bar is closed on Fri 2026-12-25 at 02:00 (christmas)";
        check(&bar, "2026-12-25T02:00:00Z", expected);
    }

    #[test]
    fn a_whole_day_ends_at_midnight() {
        let friday = hours("friday", "Asia/Kolkata", &[("fri", "00:00-24:00")]);
        check(&friday, "2026-11-19T18:29:59Z", "friday is closed on Thu 2026-11-19 at 23:59");
        check(&friday, "2026-11-19T18:30:00Z", "friday is open on Fri 2026-11-20 at 00:00");
        check(&friday, "2026-11-20T18:29:59Z", "friday is open on Fri 2026-11-20 at 23:59");
        check(&friday, "2026-11-20T18:30:00Z", "friday is closed on Sat 2026-11-21 at 00:00");
    }

    #[test]
    fn supports_half_hour_offsets() {
        let endpoint = hours("desk", "Asia/Kolkata", &[("mon-fri", "9:00-17:00")]);
        check(&endpoint, "2026-11-19T03:29:59Z", "desk is closed on Thu 2026-11-19 at 08:59");
        check(&endpoint, "2026-11-19T03:30:00Z", "desk is open on Thu 2026-11-19 at 09:00");
        check(&endpoint, "2026-11-19T11:29:59Z", "desk is open on Thu 2026-11-19 at 16:59");
        check(&endpoint, "2026-11-19T11:30:00Z", "desk is closed on Thu 2026-11-19 at 17:00");
    }

    #[test]
    fn a_skipped_hour_does_not_occur() {
        let early = hours("early", "America/New_York", &[("sun", "01:30-02:30")]);
        check(&early, "2026-03-08T06:30:00Z", "early is open on Sun 2026-03-08 at 01:30");
        check(&early, "2026-03-08T06:59:59Z", "early is open on Sun 2026-03-08 at 01:59");
        check(&early, "2026-03-08T07:00:00Z", "early is closed on Sun 2026-03-08 at 03:00");
        let berlin = hours("berlin", "Europe/Berlin", &[("sun", "02:00-03:00")]);
        check(&berlin, "2026-03-29T00:59:59Z", "berlin is closed on Sun 2026-03-29 at 01:59");
        check(&berlin, "2026-03-29T01:00:00Z", "berlin is closed on Sun 2026-03-29 at 03:00");
        check(&berlin, "2026-04-05T00:00:00Z", "berlin is open on Sun 2026-04-05 at 02:00");
        let island = hours("island", "Australia/Lord_Howe", &[("sun", "02:00-02:30")]);
        check(&island, "2026-10-03T15:29:59Z", "island is closed on Sun 2026-10-04 at 01:59");
        check(&island, "2026-10-03T15:30:00Z", "island is closed on Sun 2026-10-04 at 02:30");
        check(&island, "2026-10-10T15:00:00Z", "island is open on Sun 2026-10-11 at 02:00");
    }

    #[test]
    fn a_repeated_hour_is_open_twice() {
        let late = hours("late", "America/New_York", &[("sun", "01:00-02:00")]);
        check(&late, "2026-11-01T04:59:59Z", "late is closed on Sun 2026-11-01 at 00:59");
        check(&late, "2026-11-01T05:00:00Z", "late is open on Sun 2026-11-01 at 01:00");
        check(&late, "2026-11-01T05:59:59Z", "late is open on Sun 2026-11-01 at 01:59");
        check(&late, "2026-11-01T06:00:00Z", "late is open on Sun 2026-11-01 at 01:00");
        check(&late, "2026-11-01T06:59:59Z", "late is open on Sun 2026-11-01 at 01:59");
        check(&late, "2026-11-01T07:00:00Z", "late is closed on Sun 2026-11-01 at 02:00");
        let half = hours("half", "America/New_York", &[("sun", "01:30-02:00")]);
        check(&half, "2026-11-01T05:30:00Z", "half is open on Sun 2026-11-01 at 01:30");
        check(&half, "2026-11-01T06:00:00Z", "half is closed on Sun 2026-11-01 at 01:00");
        check(&half, "2026-11-01T06:30:00Z", "half is open on Sun 2026-11-01 at 01:30");
        let island = hours("island", "Australia/Lord_Howe", &[("sun", "01:30-02:00")]);
        check(&island, "2026-04-04T14:29:59Z", "island is closed on Sun 2026-04-05 at 01:29");
        check(&island, "2026-04-04T14:30:00Z", "island is open on Sun 2026-04-05 at 01:30");
        check(&island, "2026-04-04T15:00:00Z", "island is open on Sun 2026-04-05 at 01:30");
        check(&island, "2026-04-04T15:29:59Z", "island is open on Sun 2026-04-05 at 01:59");
        check(&island, "2026-04-04T15:30:00Z", "island is closed on Sun 2026-04-05 at 02:00");
    }

    #[test]
    fn a_night_with_a_clock_change_ends_at_its_local_time() {
        let night = hours("night", "Europe/Berlin", &[("sat", "22:00-06:00")]);
        check(&night, "2026-03-28T20:59:59Z", "night is closed on Sat 2026-03-28 at 21:59");
        check(&night, "2026-03-28T21:00:00Z", "night is open on Sat 2026-03-28 at 22:00");
        let short = "night is open on Sun 2026-03-29 at 05:59 (since the previous day)";
        check(&night, "2026-03-29T03:59:59Z", short);
        check(&night, "2026-03-29T04:00:00Z", "night is closed on Sun 2026-03-29 at 06:00");
        check(&night, "2026-10-24T20:00:00Z", "night is open on Sat 2026-10-24 at 22:00");
        let long = "night is open on Sun 2026-10-25 at 05:59 (since the previous day)";
        check(&night, "2026-10-25T04:59:59Z", long);
        check(&night, "2026-10-25T05:00:00Z", "night is closed on Sun 2026-10-25 at 06:00");
    }

    #[test]
    fn handles_the_first_and_last_timestamp() {
        let always = hours("always", "UTC", &[("mon-sun", "00:00-24:00")]);
        assert!(always.is_open(Timestamp::MIN));
        assert!(always.is_open(Timestamp::MAX));
        let never = hours("never", "UTC", &[]);
        assert!(!never.is_open(Timestamp::MIN));
        assert!(!never.is_open(Timestamp::MAX));
    }

    #[track_caller]
    fn check_weekdays(text: &str, expected: &[Weekday]) {
        assert_eq!(parse_weekdays(text).unwrap(), expected, "{text}");
    }

    #[test]
    fn weekday_ranges_wrap_around_the_week() {
        use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
        check_weekdays("mon-fri", &[Monday, Tuesday, Wednesday, Thursday, Friday]);
        check_weekdays("sat", &[Saturday]);
        check_weekdays(" Sunday ", &[Sunday]);
        check_weekdays("fri-mon", &[Friday, Saturday, Sunday, Monday]);
        check_weekdays("SATURDAY - sun", &[Saturday, Sunday]);
        check_weekdays("sun-mon", &[Sunday, Monday]);
        assert_eq!(parse_weekdays("tue-mon").unwrap().len(), 7);
    }

    #[track_caller]
    fn check_printed_spans(text: &str, expected: &[&str]) {
        let printed =
            parse_spans(text).unwrap().iter().map(TimeSpan::to_string).collect::<Vec<_>>();
        assert_eq!(printed, expected);
    }

    #[test]
    fn spans_end_after_their_start() {
        assert_eq!(parse_spans("9:00-12:30").unwrap(), [TimeSpan { start: 540, end: 750 }]);
        assert_eq!(parse_spans("22:00-06:00").unwrap(), [TimeSpan { start: 1320, end: 1800 }]);
        assert_eq!(parse_spans("00:00-24:00").unwrap(), [TimeSpan { start: 0, end: 1440 }]);
        assert_eq!(parse_spans("00:01-00:00").unwrap(), [TimeSpan { start: 1, end: 1440 }]);
        check_printed_spans("09:00-12:30,13:30 - 18:00", &["09:00-12:30", "13:30-18:00"]);
        check_printed_spans("22:00-6:00", &["22:00-06:00"]);
        check_printed_spans("22:00-00:00", &["22:00-24:00"]);
    }

    #[track_caller]
    fn check_error<T: fmt::Debug>(read: Result<T, Problem>, code: &str, message: &str, help: &str) {
        let error = read.unwrap_err();
        assert_eq!(
            (error.code, error.message.as_str(), error.help.as_deref()),
            (code, message, Some(help))
        );
    }

    #[test]
    fn rejects_invalid_spans_with_help() {
        let check = |text, message, help| check_error(parse_spans(text), "bad-time", message, help);
        let range = "times range from 00:00 to 24:00";
        check("09:00-25:00", "`25:00` is not a time", range);
        check("09:00-24:01", "`24:01` is not a time", range);
        check("09:60-10:00", "`09:60` is not a time", range);
        let form = "write hours and minutes in 24-hour format, as in `09:00` or `17:30`";
        check("9-17", "`9` is not a time", form);
        check("9am-5pm", "`9am` is not a time", form);
        check("09:0-10:00", "`09:0` is not a time", form);
        check("009:00-10:00", "`009:00` is not a time", form);
        check("+9:00-10:00", "`+9:00` is not a time", form);
        check(":30-10:00", "`:30` is not a time", form);
        check("09:00-10:00-11:00", "`10:00-11:00` is not a time", form);
        let both = "write start and end, as in `09:00-12:30`";
        check("09:00", "`09:00` is not a time span", both);
        check("09:00-12:30,", "no times before or after a comma", both);
        let whole = "for all day, write `00:00-24:00`";
        check("09:00-09:00", "`09:00-09:00` ends at its start", whole);
        check("00:00-00:00", "`00:00-00:00` ends at its start", whole);
        let next = "write `00:00` for the start of the next day";
        check("24:00-06:00", "`24:00` cannot be a start", next);
        let none = "write `09:00-12:30, 13:30-18:00`, or `00:00-24:00` for all day; an omitted \
                    weekday is closed, and other closed days belong in `closed`";
        check("closed", "`closed` contains no times", none);
        check("", "an empty text contains no times", none);
    }

    #[test]
    fn rejects_invalid_weekdays_with_help() {
        let check =
            |text, message, help| check_error(parse_weekdays(text), "bad-time", message, help);
        check("mon-fir", "`fir` is not a weekday", "did you mean `fri`?");
        check("wendesday", "`wendesday` is not a weekday", "did you mean `wednesday`?");
        let all = "weekdays are mon, tue, wed, thu, fri, sat, sun";
        check("weekend", "`weekend` is not a weekday", all);
        check("", "`` is not a weekday", all);
        check("mon-tue-wed", "`tue-wed` is not a weekday", all);
        let one = "write a single day without a range, or `mon-sun` for the whole week";
        check("mon-Monday", "`mon-Monday` starts and ends on the same day", one);
    }
}
