//! Opening hours: `[hours.NAME]`, and the times, weekdays and zones that it is written in.
//!
//! What counts is what the wall clock of the zone shows, and nothing else: the hour that a change
//! of the clocks repeats is open both times, the one that it skips never comes. What time it is
//! now is never asked here: instants come as arguments.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::dates;
use super::dates::{Dates, DaySpec};
use crate::diagnostics::{self, Problem};

/// `[hours.NAME]`: when somebody is there.
#[derive(Debug, Clone)]
pub struct Hours {
    /// The name that rules use.
    pub name: Box<str>,
    /// Whose wall clock counts.
    pub zone: TimeZone,
    /// The spans of each weekday, from Monday on.
    pub week: [Vec<TimeSpan>; 7],
    /// Days on which nothing starts, whatever the week says.
    pub closed: Vec<Arc<Dates>>,
    /// Days with spans of their own, whatever the week and `closed` say; the first that holds
    /// counts.
    pub open: Vec<(DaySpec, Vec<TimeSpan>)>,
}

impl Hours {
    /// Whether it is open at this instant.
    pub fn are_open(&self, at: Timestamp) -> bool {
        self.status(at).open
    }

    /// Whether it is open at this instant, and what says so. Allocates nothing.
    pub fn status(&self, at: Timestamp) -> Status<'_> {
        let local = self.zone.to_datetime(at);
        let minute =
            u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        let (today, why) = self.on(local.date());
        let status = |open, why| Status { hours: &self.name, open, local, why };
        if today.iter().any(|span| span.contains(minute)) {
            return status(true, why);
        }
        let runs_on = local.date().yesterday().is_ok_and(|yesterday| {
            self.on(yesterday).0.iter().any(|span| span.contains(minute + DAY))
        });
        if runs_on { status(true, OpenReason::DayBefore) } else { status(false, why) }
    }

    /// The spans that start on a date, and what says so.
    fn on(&self, date: Date) -> (&[TimeSpan], OpenReason<'_>) {
        if let Some((day, spans)) = self.open.iter().find(|(day, _)| day.holds(date)) {
            return (spans, OpenReason::Open(day));
        }
        if let Some(dates) = self.closed.iter().find(|dates| dates.hold(date)) {
            return (&[], OpenReason::Closed(&dates.name));
        }
        let weekday = date.weekday().to_monday_zero_offset().unsigned_abs();
        (&self.week[usize::from(weekday)], OpenReason::Week)
    }
}

/// Open or closed, when, and why. Prints as a sentence for `explain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status<'h> {
    /// The name of the hours.
    pub hours: &'h str,
    /// Whether they are open.
    pub open: bool,
    /// What the wall clock shows.
    pub local: DateTime,
    /// What says so.
    pub why: OpenReason<'h>,
}

/// What says that hours are open or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenReason<'h> {
    /// The weekday.
    Week,
    /// The dates of this name, in `closed`.
    Closed(&'h str),
    /// This entry of `open`.
    Open(&'h DaySpec),
    /// A span that started the day before, and belongs to it.
    DayBefore,
}

/// `office is closed on Fri 2026-12-25 at 00:10 (us-holidays)`
impl fmt::Display for Status<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is = if self.open { "open" } else { "closed" };
        let local = self.local.strftime("%a %Y-%m-%d at %H:%M");
        write!(f, "{} is {is} on {local}", self.hours)?;
        match self.why {
            OpenReason::Week => Ok(()),
            OpenReason::Closed(dates) => write!(f, " ({dates})"),
            OpenReason::Open(day) => write!(f, " (`open` has {day})"),
            OpenReason::DayBefore => f.write_str(" (since the day before)"),
        }
    }
}

/// From one minute of the wall clock until just before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSpan {
    /// Minutes after the midnight that its day starts with, below 1440.
    pub start: u16,
    /// The same, and always later than the start: above 1440 it runs into the next day.
    pub end: u16,
}

/// The minutes of a wall clock's day.
const DAY: u16 = 24 * 60;

impl TimeSpan {
    fn contains(&self, minute: u16) -> bool {
        (self.start..self.end).contains(&minute)
    }
}

/// As it is best written: `22:00-06:00`.
impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.end > DAY { self.end - DAY } else { self.end };
        let (start, start_minute) = (self.start / 60, self.start % 60);
        write!(f, "{start:02}:{start_minute:02}-{:02}:{:02}", end / 60, end % 60)
    }
}

const BAD_TIME: &str = "bad-time";
const BAD_ZONE: &str = "bad-zone";

/// As text processors write them.
const LONG_DASHES: [char; 2] = ['\u{2013}', '\u{2014}'];

/// Reads spans with commas between them: `09:00-12:30, 13:30-18:00`.
///
/// # Errors
/// The first that cannot be read, and what would be right.
pub(crate) fn spans(text: &str) -> Result<Vec<TimeSpan>, Problem> {
    if !text.contains(|c: char| c.is_ascii_digit()) || text.trim() == "24/7" {
        let help = "write `09:00-12:30, 13:30-18:00`, for all day `00:00-24:00`; a weekday that is \
                    left out is closed, other days stand in `closed`";
        let text = if text.is_empty() { "an empty text".into() } else { format!("`{text}`") };
        return Err(Problem::new(BAD_TIME, format!("{text} has no times")).help(help));
    }
    text.split(',').map(|span| read_span(span.trim())).collect()
}

fn read_span(text: &str) -> Result<TimeSpan, Problem> {
    let Some((start, end)) = text.split_once('-') else {
        let message = match text {
            "" => "a comma has no times on one of its sides".to_owned(),
            text => format!("`{text}` is not a start and an end"),
        };
        let help = match text.contains(LONG_DASHES) {
            true => format!("write a plain `-`: `{}`", text.replace(LONG_DASHES, "-")),
            false => "write both, as in `09:00-12:30`".to_owned(),
        };
        return Err(Problem::new(BAD_TIME, message).help(help));
    };
    let (start, end) = (start_time(start.trim())?, time(end.trim())?);
    if start == end {
        let help = "for all day write 00:00-24:00".to_owned();
        return Err(Problem::new(BAD_TIME, format!("`{text}` ends when it starts")).help(help));
    }
    Ok(TimeSpan { start, end: if end < start { end + DAY } else { end } })
}

/// A time that is not the end of a day.
fn start_time(text: &str) -> Result<u16, Problem> {
    let minute = time(text)?;
    if minute < DAY {
        return Ok(minute);
    }
    let help = "the next day starts at 00:00".to_owned();
    Err(Problem::new(BAD_TIME, format!("`{text}` is only the end of a day")).help(help))
}

/// Minutes after midnight, 24:00 included.
fn time(text: &str) -> Result<u16, Problem> {
    let numbers = text.split_once(':').and_then(|(hour, minute)| {
        let hour = (1..=2).contains(&hour.len()).then(|| dates::number::<u16>(hour))??;
        Some((hour, u16::from(dates::two_digits(minute)?.unsigned_abs())))
    });
    let help = match numbers {
        Some((hour, minute)) if minute < 60 && hour * 60 + minute <= DAY => {
            return Ok(hour * 60 + minute);
        }
        Some(_) => "times run from 00:00 to 24:00",
        None => "write hours and minutes of the 24-hour clock, as in `09:00` and `17:30`",
    };
    Err(Problem::new(BAD_TIME, format!("`{text}` is not a time")).help(help))
}

/// Reads one weekday or a range of them, in the order of the week: `mon-fri`, `sat`, `fri-mon`.
///
/// # Errors
/// What is no weekday, and what would be right.
pub(crate) fn weekdays(text: &str) -> Result<Vec<Weekday>, Problem> {
    let text = text.trim();
    let Some((first, last)) = text.split_once('-') else {
        return Ok(vec![dates::weekday(text, BAD_TIME)?]);
    };
    let first = dates::weekday(first.trim(), BAD_TIME)?;
    let last = dates::weekday(last.trim(), BAD_TIME)?;
    if first == last {
        let help = "write one day alone, and the whole week as `mon-sun`".to_owned();
        return Err(
            Problem::new(BAD_TIME, format!("`{text}` ends on the day it starts")).help(help)
        );
    }
    let until_last = first.cycle_forward().take_while(|day| *day != last);
    Ok(until_last.chain([last]).collect())
}

/// Finds a zone in the database that comes with the program: the same on every machine. The
/// system's is never read.
///
/// # Errors
/// When there is no such zone.
pub(crate) fn zone(text: &str) -> Result<TimeZone, Problem> {
    let text = text.trim();
    let zones = TimeZoneDatabase::bundled();
    match zones.get(text) {
        Ok(zone) if !zone.is_unknown() => Ok(zone),
        Ok(_) | Err(_) => {
            let names: Vec<String> = zones.available().map(|name| name.to_string()).collect();
            let help = meant_zone(text, &names).map_or_else(
                || "zones have names like `America/New_York`, `Europe/Berlin`, `UTC`".to_owned(),
                |name| format!("did you mean `{name}`?"),
            );
            let text = if text.is_empty() { "an empty text".into() } else { format!("`{text}`") };
            Err(Problem::new(BAD_ZONE, format!("{text} is not a zone")).help(help))
        }
    }
}

/// The zone of a city, or of one that is written much the same. An abbreviation, `PST`, is not taken
/// for the one that differs by a letter: that is another zone.
fn meant_zone<'n>(text: &str, names: &'n [String]) -> Option<&'n str> {
    let city_of = |name: &'n str| name.rsplit_once('/').map_or(name, |(_, city)| city);
    let begins_so = |name: &str, text: &str| {
        let first = |text: &str| text.chars().next().map(|letter| letter.to_ascii_lowercase());
        first(name) == first(text)
    };
    let text = text.replace(' ', "_");
    let city = text.rsplit_once('/').map_or(&*text, |(_, city)| city);
    let names = names.iter().map(String::as_str);
    let same_city =
        names.clone().find(|name| name.contains('/') && city_of(name).eq_ignore_ascii_case(city));
    // A city that begins otherwise is another city.
    let alike = names.clone().map(city_of).filter(|name| begins_so(name, city));
    let near_city = || diagnostics::nearest(city, alike).filter(|_| city.len() > 4);
    same_city.or_else(|| {
        let near = near_city()?;
        let mut of_it = names.filter(|name| city_of(name) == near);
        let first = of_it.next();
        first.into_iter().chain(of_it).find(|name| begins_so(name, &text)).or(first)
    })
}

/// Reads an instant: `2026-12-25 00:10` or `2026-12-25T00:10:30` on the wall clock of the zone,
/// `2026-12-25T00:10:00-05:00` on none. A date alone is its midnight. What the wall clock shows
/// twice is taken the first time; what it skips is as much later as the skipped part is long.
///
/// # Errors
/// What cannot be read in it, and what would be right.
pub fn moment(text: &str, zone: &TimeZone) -> Result<Timestamp, Problem> {
    let text = text.trim();
    let starts_with_a_digit = text.starts_with(|c: char| c.is_ascii_digit());
    let parts = text.split_once(['T', 't', ' ']).filter(|_| starts_with_a_digit);
    let (date, time) = parts.unwrap_or((text, "00:00"));
    let (date, time) = (dates::date(date)?, time.trim());
    let unreadable = || {
        let help = "write `2026-12-25 00:10`, `2026-12-25T00:10:30` or, with the distance from \
                    UTC, `2026-12-25T00:10:30-05:00`";
        Problem::new(BAD_TIME, format!("`{text}` is not a moment")).help(help)
    };
    if time.contains(['+', '-', 'Z', 'z', '[']) {
        let read = text.parse().ok().filter(|_| !time.contains('['));
        return read.ok_or_else(unreadable);
    }
    let (time, second) = match time.rsplit_once(':') {
        Some((time, second)) if time.contains(':') => (time, dates::two_digits(second)),
        _ => (time, Some(0)),
    };
    let minute = start_time(time)?;
    let wall = |second| Time::new((minute / 60) as i8, (minute % 60) as i8, second, 0).ok();
    let wall = second.and_then(wall).ok_or_else(unreadable)?;
    zone.to_timestamp(DateTime::from_parts(date, wall)).map_err(|_| unreadable())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dates(name: &str, days: &[&str]) -> Arc<Dates> {
        let days = days.iter().map(|day| DaySpec::parse(day).unwrap()).collect();
        Arc::new(Dates { name: name.into(), days })
    }

    fn hours(name: &str, in_zone: &str, lines: &[(&str, &str)]) -> Hours {
        let mut hours = Hours {
            name: name.into(),
            zone: zone(in_zone).unwrap(),
            week: Default::default(),
            closed: Vec::new(),
            open: Vec::new(),
        };
        for (days, times) in lines {
            for weekday in weekdays(days).unwrap() {
                hours.week[weekday.to_monday_zero_offset() as usize] = spans(times).unwrap();
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
            self.open.push((DaySpec::parse(day).unwrap(), spans(times).unwrap()));
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

    /// `at` is in UTC, so that nothing here trusts the zone under test.
    #[track_caller]
    fn check(hours: &Hours, at: &str, expected: &str) {
        let at = at.parse().unwrap();
        let status = hours.status(at);
        assert_eq!(status.to_string(), expected);
        assert_eq!(hours.are_open(at), status.open);
    }

    #[test]
    fn an_office_keeps_its_week() {
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
    fn closed_beats_the_week() {
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
    fn open_beats_both() {
        let office = office();
        let expected = "office is open on Thu 2026-12-24 at 11:59 (`open` has 2026-12-24)";
        check(&office, "2026-12-24T16:59:59Z", expected);
        let expected = "office is closed on Thu 2026-12-24 at 12:00 (`open` has 2026-12-24)";
        check(&office, "2026-12-24T17:00:00Z", expected);
        let expected = "office is closed on Fri 2027-12-24 at 11:00 (us-holidays)";
        check(&office, "2027-12-24T16:00:00Z", expected);
        let sunday = office.open("2026-11-22", "10:00-16:00");
        let expected = "office is open on Sun 2026-11-22 at 10:00 (`open` has 2026-11-22)";
        check(&sunday, "2026-11-22T15:00:00Z", expected);
    }

    #[test]
    fn the_first_that_holds_is_named() {
        let shop = hours("shop", "UTC", &[("mon-sun", "09:00-18:00")])
            .closed(dates("inventory", &["12-30..01-01"]))
            .closed(dates("new-year", &["01-01"]))
            .open("12-30", "10:00-11:00")
            .open("2026-12-30", "15:00-16:00");
        let expected = "shop is closed on Fri 2027-01-01 at 10:00 (inventory)";
        check(&shop, "2027-01-01T10:00:00Z", expected);
        let expected = "shop is open on Wed 2026-12-30 at 10:30 (`open` has 12-30)";
        check(&shop, "2026-12-30T10:30:00Z", expected);
        let expected = "shop is closed on Wed 2026-12-30 at 15:30 (`open` has 12-30)";
        check(&shop, "2026-12-30T15:30:00Z", expected);
    }

    #[test]
    fn a_night_belongs_to_the_day_it_starts() {
        let night = hours("night", "America/New_York", &[("sun", "22:00-06:00")]);
        check(&night, "2026-11-22T08:00:00Z", "night is closed on Sun 2026-11-22 at 03:00");
        check(&night, "2026-11-23T02:59:59Z", "night is closed on Sun 2026-11-22 at 21:59");
        check(&night, "2026-11-23T03:00:00Z", "night is open on Sun 2026-11-22 at 22:00");
        let monday = "night is open on Mon 2026-11-23 at 00:00 (since the day before)";
        check(&night, "2026-11-23T05:00:00Z", monday);
        let monday = "night is open on Mon 2026-11-23 at 05:59 (since the day before)";
        check(&night, "2026-11-23T10:59:59Z", monday);
        check(&night, "2026-11-23T11:00:00Z", "night is closed on Mon 2026-11-23 at 06:00");
        check(&night, "2026-11-24T03:00:00Z", "night is closed on Mon 2026-11-23 at 22:00");
    }

    #[test]
    fn a_week_may_wrap() {
        let weekend = hours("weekend", "Europe/Berlin", &[("fri-mon", "10:00-16:00")]);
        check(&weekend, "2026-11-19T10:00:00Z", "weekend is closed on Thu 2026-11-19 at 11:00");
        check(&weekend, "2026-11-20T10:00:00Z", "weekend is open on Fri 2026-11-20 at 11:00");
        check(&weekend, "2026-11-22T10:00:00Z", "weekend is open on Sun 2026-11-22 at 11:00");
        check(&weekend, "2026-11-23T10:00:00Z", "weekend is open on Mon 2026-11-23 at 11:00");
        check(&weekend, "2026-11-24T10:00:00Z", "weekend is closed on Tue 2026-11-24 at 11:00");
    }

    #[test]
    fn what_starts_on_a_closed_day_does_not_run_into_the_next() {
        let night = hours("night", "Europe/Berlin", &[("mon-sun", "22:00-06:00")])
            .closed(dates("christmas", &["12-25"]));
        let expected = "night is open on Fri 2026-12-25 at 03:00 (since the day before)";
        check(&night, "2026-12-25T02:00:00Z", expected);
        let expected = "night is closed on Fri 2026-12-25 at 06:00 (christmas)";
        check(&night, "2026-12-25T05:00:00Z", expected);
        let expected = "night is closed on Fri 2026-12-25 at 22:30 (christmas)";
        check(&night, "2026-12-25T21:30:00Z", expected);
        check(&night, "2026-12-26T02:00:00Z", "night is closed on Sat 2026-12-26 at 03:00");
        check(&night, "2026-12-26T21:00:00Z", "night is open on Sat 2026-12-26 at 22:00");
    }

    #[test]
    fn what_open_starts_runs_into_a_closed_day() {
        let bar = hours("bar", "UTC", &[("thu", "22:00-23:00")])
            .closed(dates("christmas", &["12-24..12-26"]))
            .open("12-24", "20:00-02:00");
        let expected = "bar is open on Thu 2026-12-24 at 20:00 (`open` has 12-24)";
        check(&bar, "2026-12-24T20:00:00Z", expected);
        let expected = "bar is open on Fri 2026-12-25 at 01:59 (since the day before)";
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
    fn a_zone_may_be_half_an_hour_off() {
        let endpoint = hours("desk", "Asia/Kolkata", &[("mon-fri", "9:00-17:00")]);
        check(&endpoint, "2026-11-19T03:29:59Z", "desk is closed on Thu 2026-11-19 at 08:59");
        check(&endpoint, "2026-11-19T03:30:00Z", "desk is open on Thu 2026-11-19 at 09:00");
        check(&endpoint, "2026-11-19T11:29:59Z", "desk is open on Thu 2026-11-19 at 16:59");
        check(&endpoint, "2026-11-19T11:30:00Z", "desk is closed on Thu 2026-11-19 at 17:00");
    }

    #[test]
    fn an_hour_that_the_clocks_skip_never_comes() {
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
    fn an_hour_that_the_clocks_repeat_counts_twice() {
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
    fn a_night_in_which_the_clocks_change_ends_by_the_wall_clock() {
        let night = hours("night", "Europe/Berlin", &[("sat", "22:00-06:00")]);
        check(&night, "2026-03-28T20:59:59Z", "night is closed on Sat 2026-03-28 at 21:59");
        check(&night, "2026-03-28T21:00:00Z", "night is open on Sat 2026-03-28 at 22:00");
        let short = "night is open on Sun 2026-03-29 at 05:59 (since the day before)";
        check(&night, "2026-03-29T03:59:59Z", short);
        check(&night, "2026-03-29T04:00:00Z", "night is closed on Sun 2026-03-29 at 06:00");
        check(&night, "2026-10-24T20:00:00Z", "night is open on Sat 2026-10-24 at 22:00");
        let long = "night is open on Sun 2026-10-25 at 05:59 (since the day before)";
        check(&night, "2026-10-25T04:59:59Z", long);
        check(&night, "2026-10-25T05:00:00Z", "night is closed on Sun 2026-10-25 at 06:00");
    }

    #[test]
    fn the_ends_of_time_are_no_special_case() {
        let always = hours("always", "UTC", &[("mon-sun", "00:00-24:00")]);
        assert!(always.are_open(Timestamp::MIN));
        assert!(always.are_open(Timestamp::MAX));
        let never = hours("never", "UTC", &[]);
        assert!(!never.are_open(Timestamp::MIN));
        assert!(!never.are_open(Timestamp::MAX));
    }

    #[track_caller]
    fn weekdays_are(text: &str, expected: &[Weekday]) {
        assert_eq!(weekdays(text).unwrap(), expected, "{text}");
    }

    #[test]
    fn weekdays_follow_each_other_and_wrap() {
        use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
        weekdays_are("mon-fri", &[Monday, Tuesday, Wednesday, Thursday, Friday]);
        weekdays_are("sat", &[Saturday]);
        weekdays_are(" Sunday ", &[Sunday]);
        weekdays_are("fri-mon", &[Friday, Saturday, Sunday, Monday]);
        weekdays_are("SATURDAY - sun", &[Saturday, Sunday]);
        weekdays_are("sun-mon", &[Sunday, Monday]);
        assert_eq!(weekdays("tue-mon").unwrap().len(), 7);
    }

    #[track_caller]
    fn spans_print(text: &str, expected: &[&str]) {
        let printed = spans(text).unwrap().iter().map(TimeSpan::to_string).collect::<Vec<_>>();
        assert_eq!(printed, expected);
    }

    #[test]
    fn spans_end_later_than_they_start() {
        assert_eq!(spans("9:00-12:30").unwrap(), [TimeSpan { start: 540, end: 750 }]);
        assert_eq!(spans("22:00-06:00").unwrap(), [TimeSpan { start: 1320, end: 1800 }]);
        assert_eq!(spans("00:00-24:00").unwrap(), [TimeSpan { start: 0, end: 1440 }]);
        assert_eq!(spans("00:01-00:00").unwrap(), [TimeSpan { start: 1, end: 1440 }]);
        spans_print("09:00-12:30,13:30 - 18:00", &["09:00-12:30", "13:30-18:00"]);
        spans_print("22:00-6:00", &["22:00-06:00"]);
        spans_print("22:00-00:00", &["22:00-24:00"]);
    }

    #[track_caller]
    fn refused<T: fmt::Debug>(read: Result<T, Problem>, code: &str, message: &str, help: &str) {
        let error = read.unwrap_err();
        assert_eq!(
            (error.code, error.message.as_str(), error.help.as_deref()),
            (code, message, Some(help))
        );
    }

    #[test]
    fn spans_that_cannot_be_read_say_what_would_be_right() {
        let refused = |text, message, help| refused(spans(text), "bad-time", message, help);
        let range = "times run from 00:00 to 24:00";
        refused("09:00-25:00", "`25:00` is not a time", range);
        refused("09:00-24:01", "`24:01` is not a time", range);
        refused("09:60-10:00", "`09:60` is not a time", range);
        let form = "write hours and minutes of the 24-hour clock, as in `09:00` and `17:30`";
        refused("9-17", "`9` is not a time", form);
        refused("9am-5pm", "`9am` is not a time", form);
        refused("09:0-10:00", "`09:0` is not a time", form);
        refused("009:00-10:00", "`009:00` is not a time", form);
        refused("+9:00-10:00", "`+9:00` is not a time", form);
        refused(":30-10:00", "`:30` is not a time", form);
        refused("09:00-10:00-11:00", "`10:00-11:00` is not a time", form);
        let both = "write both, as in `09:00-12:30`";
        refused("09:00", "`09:00` is not a start and an end", both);
        refused("09:00-12:30,", "a comma has no times on one of its sides", both);
        let plain = "write a plain `-`: `09:00-12:30`";
        refused("09:00\u{2013}12:30", "`09:00\u{2013}12:30` is not a start and an end", plain);
        let whole = "for all day write 00:00-24:00";
        refused("09:00-09:00", "`09:00-09:00` ends when it starts", whole);
        refused("00:00-00:00", "`00:00-00:00` ends when it starts", whole);
        let next = "the next day starts at 00:00";
        refused("24:00-06:00", "`24:00` is only the end of a day", next);
        let none = "write `09:00-12:30, 13:30-18:00`, for all day `00:00-24:00`; a weekday that is \
                    left out is closed, other days stand in `closed`";
        refused("closed", "`closed` has no times", none);
        refused("", "an empty text has no times", none);
    }

    #[test]
    fn weekdays_that_cannot_be_read_say_what_would_be_right() {
        let refused = |text, message, help| refused(weekdays(text), "bad-time", message, help);
        refused("mon-fir", "`fir` is not a weekday", "did you mean `fri`?");
        refused("wendesday", "`wendesday` is not a weekday", "did you mean `wednesday`?");
        let all = "weekdays are mon, tue, wed, thu, fri, sat, sun";
        refused("weekend", "`weekend` is not a weekday", all);
        refused("", "`` is not a weekday", all);
        refused("mon-tue-wed", "`tue-wed` is not a weekday", all);
        let one = "write one day alone, and the whole week as `mon-sun`";
        refused("mon-Monday", "`mon-Monday` ends on the day it starts", one);
    }

    #[test]
    fn zones_are_found_whatever_their_capitals() {
        for name in ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "UTC"] {
            assert_eq!(zone(name).unwrap().iana_name(), Some(name));
            let lower = format!(" {} ", name.to_lowercase());
            assert_eq!(zone(&lower).unwrap().iana_name(), Some(name));
        }
    }

    #[test]
    fn zones_that_do_not_exist_say_which_was_meant() {
        let refused = |text, message, help| refused(zone(text), "bad-zone", message, help);
        let new_york = "did you mean `America/New_York`?";
        refused("america/newyork", "`america/newyork` is not a zone", new_york);
        refused("New York", "`New York` is not a zone", new_york);
        let berlin = "did you mean `Europe/Berlin`?";
        refused("Europe/Berlni", "`Europe/Berlni` is not a zone", berlin);
        refused("berlin", "`berlin` is not a zone", berlin);
        let form = "zones have names like `America/New_York`, `Europe/Berlin`, `UTC`";
        refused("PST", "`PST` is not a zone", form);
        refused("Etc/Unknown", "`Etc/Unknown` is not a zone", form);
        refused("", "an empty text is not a zone", form);
    }

    #[track_caller]
    fn moment_is(text: &str, in_zone: &str, expected: &str) {
        let zone = zone(in_zone).unwrap();
        assert_eq!(moment(text, &zone).unwrap().to_string(), expected, "{text}");
    }

    #[test]
    fn a_moment_is_on_the_wall_clock_unless_it_says_otherwise() {
        moment_is("2026-12-25 00:10", "America/New_York", "2026-12-25T05:10:00Z");
        moment_is("2026-07-01 9:00", "America/New_York", "2026-07-01T13:00:00Z");
        moment_is(" 2026-12-25T00:10:30 ", "Asia/Kolkata", "2026-12-24T18:40:30Z");
        moment_is("2026-12-25", "Europe/Berlin", "2026-12-24T23:00:00Z");
        moment_is("2026-12-25T00:10:00-05:00", "Europe/Berlin", "2026-12-25T05:10:00Z");
        moment_is("2026-12-25 00:10+05:30", "Europe/Berlin", "2026-12-24T18:40:00Z");
        moment_is("2026-12-25t00:10:00z", "Europe/Berlin", "2026-12-25T00:10:00Z");
    }

    #[test]
    fn a_moment_that_comes_twice_or_never_is_still_one() {
        moment_is("2026-11-01 01:30", "America/New_York", "2026-11-01T05:30:00Z");
        moment_is("2026-03-08 02:30", "America/New_York", "2026-03-08T07:30:00Z");
        moment_is("2026-10-25 02:30", "Europe/Berlin", "2026-10-25T00:30:00Z");
        moment_is("2026-03-29 02:30", "Europe/Berlin", "2026-03-29T01:30:00Z");
        moment_is("2026-04-05 01:45", "Australia/Lord_Howe", "2026-04-04T14:45:00Z");
        moment_is("2026-10-04 02:15", "Australia/Lord_Howe", "2026-10-03T15:45:00Z");
    }

    #[test]
    fn moments_that_cannot_be_read_say_what_would_be_right() {
        let moment = |text| moment(text, &TimeZone::UTC);
        let date = "write year, month and day, as in `2026-12-24`";
        refused(moment("tomorrow"), "bad-date", "`tomorrow` is not a date", date);
        refused(moment("00:10"), "bad-date", "`00:10` is not a date", date);
        refused(moment("12-25 00:10"), "bad-date", "`12-25` comes back every year", date);
        let meant = "did you mean `2026-01-05`?";
        refused(moment("2026-1-5 00:10"), "bad-date", "`2026-1-5` is not a date", meant);
        let turned = "did you mean `2026-12-24`?";
        let message = "`2026-24-12` is not a date: no month is 24";
        refused(moment("2026-24-12 00:10"), "bad-date", message, turned);
        let error = moment("2026-02-30 00:10").unwrap_err();
        let message = "`2026-02-30` is not a date: February 2026 has 28 days";
        assert_eq!((error.code, error.message.as_str()), ("bad-date", message));
        let range = "times run from 00:00 to 24:00";
        refused(moment("2026-12-25 25:10"), "bad-time", "`25:10` is not a time", range);
        let next = "the next day starts at 00:00";
        refused(moment("2026-12-25 24:00"), "bad-time", "`24:00` is only the end of a day", next);
        let form = "write hours and minutes of the 24-hour clock, as in `09:00` and `17:30`";
        refused(moment("2026-12-25 noon"), "bad-time", "`noon` is not a time", form);
        let forms = "write `2026-12-25 00:10`, `2026-12-25T00:10:30` or, with the distance from \
                     UTC, `2026-12-25T00:10:30-05:00`";
        for text in [
            "2026-12-25 00:10:60",
            "2026-12-25 00:10:5",
            "2026-12-25 00:10 -05:00",
            "2026-12-25T00:10:00-99:00",
            "2026-12-25T00:10:00-05:00[America/New_York]",
            "2026-12-25T00:10:00[America/New_York]",
            "9999-12-31 23:59",
        ] {
            let message = format!("`{text}` is not a moment");
            refused(moment(text), "bad-time", &message, forms);
        }
    }
}
