//! Rules by which an event of a calendar recurs every year: `RRULE:FREQ=YEARLY`.

use jiff::civil::{Date, Weekday};

use crate::diagnostics::Problem;

/// Last year into which an event without an end recurs.
const LAST_YEAR: i16 = 2100;

/// A rule of yearly recurrence.
pub(super) struct Recurrence {
    /// Years from one occurrence to the next.
    interval: i16,
    /// Number of occurrences, the first included.
    count: Option<usize>,
    /// Last day on which the event can begin.
    until: Option<Date>,
    month: Option<i8>,
    day: DayOfMonth,
}

enum DayOfMonth {
    /// The day on which the event begins first.
    AsFirst,
    Number(i8),
    /// Such a weekday, counted from the start of the month or, below 0, from its end.
    Weekday(i8, Weekday),
}

impl Recurrence {
    /// Parses the value of an `RRULE`.
    pub(super) fn parse(rule: &str) -> Result<Recurrence, Problem> {
        let mut found = Recurrence {
            interval: 1,
            count: None,
            until: None,
            month: None,
            day: DayOfMonth::AsFirst,
        };
        let upper = rule.to_ascii_uppercase();
        let mut is_yearly = false;
        for part in upper.split(';').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let is_read = match key {
                "FREQ" => {
                    is_yearly = value == "YEARLY";
                    is_yearly
                }
                "INTERVAL" => {
                    found.interval = value.parse().unwrap_or(0);
                    found.interval > 0
                }
                "COUNT" => {
                    found.count = value.parse().ok();
                    found.count.is_some()
                }
                "UNTIL" => {
                    let day = value.split('T').next().unwrap_or_default();
                    found.until = Date::strptime("%Y%m%d", day).ok();
                    found.until.is_some()
                }
                "BYMONTH" => {
                    found.month = value.parse().ok().filter(|month| (1..=12).contains(month));
                    found.month.is_some()
                }
                "BYMONTHDAY" => match value.parse() {
                    Ok(day) if (1..=31).contains(&day) => {
                        found.day = DayOfMonth::Number(day);
                        true
                    }
                    Ok(_) | Err(_) => false,
                },
                "BYDAY" => match parse_weekday(value) {
                    Some((nth, weekday)) => {
                        found.day = DayOfMonth::Weekday(nth, weekday);
                        true
                    }
                    None => false,
                },
                "WKST" => true,
                _ => false,
            };
            if !is_read {
                return Err(unreadable(part));
            }
        }
        let has_month = found.month.is_some() || matches!(found.day, DayOfMonth::AsFirst);
        if is_yearly && has_month { Ok(found) } else { Err(unreadable(&upper)) }
    }

    /// Returns the days on which an event begins, the first included.
    pub(super) fn days_from(&self, first: Date) -> Vec<Date> {
        let mut days = Vec::new();
        let years = (first.year()..=LAST_YEAR).step_by(usize::from(self.interval.unsigned_abs()));
        for day in years.filter_map(|year| self.day_in(year, first)) {
            let is_over = self.until.is_some_and(|until| day > until)
                || self.count.is_some_and(|count| days.len() >= count);
            if is_over {
                break;
            }
            if day >= first {
                days.push(day);
            }
        }
        days
    }

    /// Returns the day of a year, unless the year has none.
    fn day_in(&self, year: i16, first: Date) -> Option<Date> {
        let month = self.month.unwrap_or(first.month());
        match self.day {
            DayOfMonth::AsFirst => Date::new(year, month, first.day()).ok(),
            DayOfMonth::Number(day) => Date::new(year, month, day).ok(),
            DayOfMonth::Weekday(nth, weekday) => {
                Date::new(year, month, 1).ok()?.nth_weekday_of_month(nth, weekday).ok()
            }
        }
    }
}

/// Parses `4TH` and `-1MO`.
fn parse_weekday(text: &str) -> Option<(i8, Weekday)> {
    let (nth, name) = text.split_at_checked(text.len().checked_sub(2)?)?;
    let names = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
    let index = names.iter().position(|known| *known == name)?;
    let weekday = Weekday::from_monday_zero_offset(index as i8).ok()?;
    let nth: i8 = nth.parse().ok().filter(|nth| *nth != 0 && (-5..=5).contains(nth))?;
    Some((nth, weekday))
}

fn unreadable(part: &str) -> Problem {
    let message = format!("`{part}`: only simple yearly events are read");
    Problem::new("bad-calendar", message).help(
        "take the event out of the calendar, and write its days in `days`, such as \
         `every 2nd fri from 2026-11-27` or `last mon of may`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, first: &str, expected: &[&str]) {
        let recurrence = Recurrence::parse(rule).unwrap_or_else(|problem| panic!("{problem:?}"));
        let days = recurrence.days_from(first.parse().unwrap());
        let shown: Vec<_> = days.iter().take(3).map(ToString::to_string).collect();
        assert_eq!(shown, expected, "{rule}");
    }

    #[test]
    fn recurs_every_year() {
        check("FREQ=YEARLY", "2026-12-24", &["2026-12-24", "2027-12-24", "2028-12-24"]);
        check("FREQ=YEARLY;INTERVAL=2", "2026-12-24", &["2026-12-24", "2028-12-24", "2030-12-24"]);
        check("FREQ=YEARLY", "2024-02-29", &["2024-02-29", "2028-02-29", "2032-02-29"]);
        check("FREQ=YEARLY;COUNT=2;WKST=MO", "2026-12-24", &["2026-12-24", "2027-12-24"]);
        check("FREQ=YEARLY;UNTIL=20261231T000000Z", "2026-12-24", &["2026-12-24"]);
        let day = "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24";
        check(day, "2026-12-24", &["2026-12-24", "2027-12-24", "2028-12-24"]);
        let nth = "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH";
        check(nth, "2026-11-26", &["2026-11-26", "2027-11-25", "2028-11-23"]);
        let last = "FREQ=YEARLY;BYMONTH=5;BYDAY=-1MO;COUNT=3";
        check(last, "2026-05-25", &["2026-05-25", "2027-05-31", "2028-05-29"]);
    }

    #[test]
    fn refuses_other_rules() {
        for rule in [
            "FREQ=WEEKLY",
            "FREQ=MONTHLY;BYDAY=1MO",
            "FREQ=YEARLY;BYDAY=MO",
            "FREQ=YEARLY;BYDAY=20MO",
            "FREQ=YEARLY;BYMONTHDAY=1",
            "FREQ=YEARLY;BYMONTH=1,2",
            "FREQ=YEARLY;BYWEEKNO=20",
            "FREQ=YEARLY;INTERVAL=0",
            "COUNT=2",
            "",
        ] {
            assert!(Recurrence::parse(rule).is_err(), "{rule}");
        }
    }
}
