//! Days of the calendar: the entries of `[dates.NAME]`, and the keys of `open` in `[hours.NAME]`.
//!
//! `01-01`, `12-24..12-26`, `3rd mon of jan`, `last mon of may`, `easter-2`, `2026-12-24`,
//! `2026-12-28..2026-12-30`. Which day it is now, and in which zone, is never asked here: dates
//! come as arguments.

use std::fmt;

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};

use crate::diagnostics::{self, Problem};

/// `[dates.NAME]`: days that have a name together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dates {
    /// The name that rules and hours use.
    pub name: Box<str>,
    /// Any of these.
    pub days: Vec<DaySpec>,
}

impl Dates {
    /// Whether this date is one of them.
    pub fn hold(&self, date: Date) -> bool {
        self.days.iter().any(|day| day.holds(date))
    }
}

/// One entry of `days`: which dates it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DaySpec {
    /// This day, every year that has it.
    Yearly(MonthDay),
    /// These days, every year; over the new year when `to` comes before `from`.
    YearlyRange {
        /// The first.
        from: MonthDay,
        /// The last.
        to: MonthDay,
    },
    /// The first to fifth such weekday of a month; not every month has a fifth.
    Nth {
        /// Counted from 1.
        which: i8,
        /// Of this weekday.
        weekday: Weekday,
        /// From 1 to 12.
        month: i8,
    },
    /// The last such weekday of a month.
    Last {
        /// Of this weekday.
        weekday: Weekday,
        /// From 1 to 12.
        month: i8,
    },
    /// Easter Sunday of the western churches, or a day counted from it.
    Easter {
        /// Below zero: so many days before.
        offset_days: i16,
    },
    /// This one date.
    Once(Date),
    /// These dates; `to` is never before `from`.
    Range {
        /// The first.
        from: Date,
        /// The last.
        to: Date,
    },
}

/// A day of every year. They compare as they follow each other in the year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MonthDay {
    /// From 1 to 12.
    pub month: i8,
    /// From 1 to 31, and no day that the month never has.
    pub day: i8,
}

impl DaySpec {
    /// Whether it means this date.
    pub fn holds(&self, date: Date) -> bool {
        let today = MonthDay { month: date.month(), day: date.day() };
        match *self {
            DaySpec::Yearly(day) => day == today,
            DaySpec::YearlyRange { from, to } if from <= to => (from..=to).contains(&today),
            DaySpec::YearlyRange { from, to } => today >= from || today <= to,
            DaySpec::Nth { which, weekday, month } => {
                month == today.month
                    && weekday == date.weekday()
                    && which == (today.day - 1) / 7 + 1
            }
            DaySpec::Last { weekday, month } => {
                month == today.month
                    && weekday == date.weekday()
                    && today.day > date.days_in_month() - 7
            }
            DaySpec::Easter { offset_days } => date
                .checked_sub(i64::from(offset_days).days())
                .is_ok_and(|sunday| easter(sunday.year()) == Some(sunday)),
            DaySpec::Once(once) => once == date,
            DaySpec::Range { from, to } => (from..=to).contains(&date),
        }
    }

    /// Whether it names days of one year only.
    pub fn has_a_year(&self) -> bool {
        matches!(self, DaySpec::Once(_) | DaySpec::Range { .. })
    }

    /// Whether it names only dates before `today`. What comes back every year is never over.
    pub fn is_over(&self, today: Date) -> bool {
        match self {
            DaySpec::Once(last) | DaySpec::Range { to: last, .. } => *last < today,
            DaySpec::Yearly(_)
            | DaySpec::YearlyRange { .. }
            | DaySpec::Nth { .. }
            | DaySpec::Last { .. }
            | DaySpec::Easter { .. } => false,
        }
    }

    /// Reads an entry. Capitals and spaces around it make no difference.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right when that can be told.
    pub fn parse(text: &str) -> Result<DaySpec, Problem> {
        let text = text.trim();
        if let Some((from, to)) = text.split_once("..") {
            return range(text, from.trim(), to.trim());
        }
        if let Some((word, offset)) = text.split_at_checked(EASTER.len())
            && word.eq_ignore_ascii_case(EASTER)
        {
            return counted_from_easter(text, offset.trim_start());
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        if let [which, weekday, of, month] = words[..]
            && of.eq_ignore_ascii_case("of")
        {
            return weekday_of_month(which, weekday, month);
        }
        Ok(match day(text)? {
            Day::EveryYear(day) => DaySpec::Yearly(day),
            Day::Once(date) => DaySpec::Once(date),
        })
    }
}

/// As it is best written: `3rd mon of jan`.
impl fmt::Display for DaySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DaySpec::Yearly(day) => day.fmt(f),
            DaySpec::YearlyRange { from, to } => write!(f, "{from}..{to}"),
            DaySpec::Nth { which, weekday, month } => {
                let which = NTH[*which as usize - 1];
                write!(f, "{which} {} of {}", short_weekday(*weekday), short_month(*month))
            }
            DaySpec::Last { weekday, month } => {
                write!(f, "last {} of {}", short_weekday(*weekday), short_month(*month))
            }
            DaySpec::Easter { offset_days: 0 } => f.write_str(EASTER),
            DaySpec::Easter { offset_days } => write!(f, "{EASTER}{offset_days:+}"),
            DaySpec::Once(date) => date.fmt(f),
            DaySpec::Range { from, to } => write!(f, "{from}..{to}"),
        }
    }
}

impl fmt::Display for MonthDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}-{:02}", self.month, self.day)
    }
}

const BAD_DATE: &str = "bad-date";

const EASTER: &str = "easter";

const NTH: [&str; 5] = ["1st", "2nd", "3rd", "4th", "5th"];

/// From Monday on. The first three letters are the short form.
const WEEKDAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// The first three letters are the short form.
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The place of a name, short or in full.
fn place(text: &str, names: &[&str]) -> Option<usize> {
    let is_it =
        |name: &&str| text.eq_ignore_ascii_case(name) || text.eq_ignore_ascii_case(&name[..3]);
    names.iter().position(is_it)
}

fn did_you_mean(text: &str, names: &[&'static str]) -> Option<String> {
    let shorts = names.iter().map(|name| &name[..3]);
    diagnostics::did_you_mean(text, shorts.chain(names.iter().copied()))
}

/// Reads the name of a weekday; a mistake has the code of what it stands in.
pub(crate) fn weekday(text: &str, code: &'static str) -> Result<Weekday, Problem> {
    let found =
        place(text, &WEEKDAYS).and_then(|place| Weekday::from_monday_zero_offset(place as i8).ok());
    found.ok_or_else(|| {
        let all = || format!("weekdays are {}", WEEKDAYS.map(|name| &name[..3]).join(", "));
        let help = did_you_mean(text, &WEEKDAYS).unwrap_or_else(all);
        Problem::new(code, format!("`{text}` is not a weekday")).help(help)
    })
}

fn short_weekday(weekday: Weekday) -> &'static str {
    &WEEKDAYS[weekday.to_monday_zero_offset() as usize][..3]
}

fn month(text: &str) -> Result<i8, Problem> {
    let found = place(text, &MONTHS).map(|place| place as i8 + 1);
    found.ok_or_else(|| {
        let all = || format!("months are {}", MONTHS.map(|name| &name[..3]).join(", "));
        let help = did_you_mean(text, &MONTHS).unwrap_or_else(all);
        Problem::new(BAD_DATE, format!("`{text}` is not a month")).help(help)
    })
}

fn short_month(month: i8) -> &'static str {
    &MONTHS[month as usize - 1][..3]
}

fn range(text: &str, from: &str, to: &str) -> Result<DaySpec, Problem> {
    match (day(from)?, day(to)?) {
        (Day::EveryYear(from), Day::EveryYear(to)) => Ok(DaySpec::YearlyRange { from, to }),
        (Day::Once(from), Day::Once(to)) if from <= to => Ok(DaySpec::Range { from, to }),
        (Day::Once(from), Day::Once(to)) => {
            Err(Problem::new(BAD_DATE, format!("`{text}` ends before it starts"))
                .help(format!("did you mean `{to}..{from}`?")))
        }
        (Day::EveryYear(_), Day::Once(_)) | (Day::Once(_), Day::EveryYear(_)) => {
            Err(Problem::new(BAD_DATE, format!("`{text}` has a year at one end only"))
                .help("write the year at both ends, or at neither for every year"))
        }
    }
}

/// Easter Sunday in the Gregorian calendar: the algorithm of Meeus, Jones and Butcher.
fn easter(year: i16) -> Option<Date> {
    let year = i32::from(year);
    let (golden, century, in_century) = (year % 19, year / 100, year % 100);
    let moon_steps = (century - (century + 8) / 25 + 1) / 3;
    let epact = (19 * golden + century - century / 4 - moon_steps + 15) % 30;
    let to_sunday = (32 + 2 * (century % 4) + 2 * (in_century / 4) - epact - in_century % 4) % 7;
    let late = (golden + 11 * epact + 22 * to_sunday) / 451;
    let in_march = 22 + epact + to_sunday - 7 * late;
    let (month, day) = if in_march > 31 { (4, in_march - 31) } else { (3, in_march) };
    Date::new(i16::try_from(year).ok()?, month, i8::try_from(day).ok()?).ok()
}

/// Further away it is another year's Easter that somebody means.
const MOST_DAYS_FROM_EASTER: i16 = 366;

fn counted_from_easter(text: &str, offset: &str) -> Result<DaySpec, Problem> {
    if offset.is_empty() {
        return Ok(DaySpec::Easter { offset_days: 0 });
    }
    let sign = match offset.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => {
            let help = "write `easter`, `easter-2` or `easter+1`".to_owned();
            return Err(Problem::new(BAD_DATE, format!("`{text}` is not a date")).help(help));
        }
    };
    let days = number::<i16>(offset[1..].trim_start());
    let Some(days) = days.filter(|days| *days <= MOST_DAYS_FROM_EASTER) else {
        let help = format!("count with a number of days up to {MOST_DAYS_FROM_EASTER}: `easter-2`");
        return Err(
            Problem::new(BAD_DATE, format!("`{text}` does not count days from Easter")).help(help)
        );
    };
    Ok(DaySpec::Easter { offset_days: sign * days })
}

fn weekday_of_month(which: &str, weekday_name: &str, of: &str) -> Result<DaySpec, Problem> {
    let nth = NTH.iter().position(|nth| which.eq_ignore_ascii_case(nth));
    if nth.is_none() && !which.eq_ignore_ascii_case("last") {
        let words = ["first", "second", "third", "fourth", "fifth"];
        let word = words.iter().position(|word| which.eq_ignore_ascii_case(word));
        let digit = |nth: &&&str| which.trim_end_matches(char::is_alphabetic) == &nth[..1];
        let meant = word.map(|at| &NTH[at]).or_else(|| NTH.iter().find(digit));
        let help = match meant {
            Some(nth) => Some(format!("did you mean `{nth}`?")),
            None => diagnostics::did_you_mean(which, ["last"]),
        };
        return Err(Problem::new(BAD_DATE, format!("`{which}` is neither 1st to 5th nor last"))
            .maybe_help(help));
    }
    let (weekday, month) = (weekday(weekday_name, BAD_DATE)?, month(of)?);
    Ok(match nth {
        Some(place) => DaySpec::Nth { which: place as i8 + 1, weekday, month },
        None => DaySpec::Last { weekday, month },
    })
}

/// What a plain date means.
enum Day {
    EveryYear(MonthDay),
    Once(Date),
}

/// It has every day that a year can have.
const LEAP_YEAR: i16 = 2024;

fn day(text: &str) -> Result<Day, Problem> {
    let Some((year, month, day)) = year_month_day(text) else {
        let help = "write `12-24`, `2026-12-24`, `3rd mon of jan`, `last mon of may` or \
                    `easter-2`, a range as `12-24..12-26`";
        return Err(not_a_date(text, help));
    };
    match (year, Date::new(year.unwrap_or(LEAP_YEAR), month, day)) {
        (None, Ok(_)) => Ok(Day::EveryYear(MonthDay { month, day })),
        (Some(_), Ok(date)) => Ok(Day::Once(date)),
        (_, Err(_)) => Err(no_such_day(text, year, month, day)),
    }
}

/// Reads a date with its year.
pub(crate) fn date(text: &str) -> Result<Date, Problem> {
    const HELP: &str = "write year, month and day, as in `2026-12-24`";
    if year_month_day(text).is_none() {
        return Err(not_a_date(text, HELP));
    }
    match day(text)? {
        Day::Once(date) => Ok(date),
        Day::EveryYear(_) => {
            Err(Problem::new(BAD_DATE, format!("`{text}` comes back every year")).help(HELP))
        }
    }
}

fn year_month_day(text: &str) -> Option<(Option<i16>, i8, i8)> {
    let parts: Vec<&str> = text.split('-').collect();
    match parts[..] {
        [month, day] => Some((None, two_digits(month)?, two_digits(day)?)),
        [year, month, day] if year.len() == 4 => {
            Some((Some(number(year)?), two_digits(month)?, two_digits(day)?))
        }
        _ => None,
    }
}

/// Exactly two digits.
pub(crate) fn two_digits(text: &str) -> Option<i8> {
    (text.len() == 2).then(|| number(text))?
}

/// Nothing but digits: no sign, no spaces.
pub(crate) fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn not_a_date(text: &str, otherwise: &str) -> Problem {
    let near = meant_day(text).map(|day| format!("did you mean `{day}`?"));
    let near = near.or_else(|| diagnostics::did_you_mean(text, [EASTER]));
    let text = if text.is_empty() { "an empty text".into() } else { format!("`{text}`") };
    Problem::new(BAD_DATE, format!("{text} is not a date"))
        .help(near.unwrap_or_else(|| otherwise.to_owned()))
}

/// A day that is written another way: `7-4`, `24.12.`, `12/25/2026`. None when day and month could
/// be either.
fn meant_day(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.trim_end_matches('.').split(['-', '/', '.']).collect();
    let numbers: Vec<i16> = parts.iter().map(|part| number(part)).collect::<Option<_>>()?;
    let is_year = |at: usize| parts[at].len() == 4;
    let (year, first, second) = match numbers[..] {
        [first, second] => (None, first, second),
        [year, first, second] if is_year(0) => (Some(year), first, second),
        [first, second, year] if is_year(2) => (Some(year), first, second),
        _ => return None,
    };
    let day_comes_first = first > 12 || text.contains('.') && !is_year(0);
    let could_be_either = parts.len() == 3 && is_year(2) && !day_comes_first && second <= 12;
    let (month, day) = if day_comes_first { (second, first) } else { (first, second) };
    let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    Date::new(year.unwrap_or(LEAP_YEAR), month, day).ok().filter(|_| !could_be_either)?;
    let year = year.map_or(String::new(), |year| format!("{year:04}-"));
    Some(format!("{year}{month:02}-{day:02}"))
}

fn no_such_day(text: &str, year: Option<i16>, month: i8, day: i8) -> Problem {
    let Ok(first) = Date::new(year.unwrap_or(LEAP_YEAR), month, 1) else {
        let turned = match year {
            Some(year) => format!("{year:04}-{day:02}-{month:02}"),
            None => format!("{day:02}-{month:02}"),
        };
        let help =
            (month > 0 && (1..=12).contains(&day)).then(|| format!("did you mean `{turned}`?"));
        let help = help.unwrap_or_else(|| "the month comes first, 01 to 12".to_owned());
        return Problem::new(BAD_DATE, format!("`{text}` is not a date: no month is {month:02}"))
            .help(help);
    };
    let (initial, rest) = MONTHS[month as usize - 1].split_at(1);
    let name = format!("{}{rest}", initial.to_ascii_uppercase());
    let days = first.days_in_month();
    let has = match (year, month) {
        (Some(year), _) => format!("{name} {year} has {days} days"),
        (None, 2) => format!("{name} has {days} days at most"),
        (None, _) => format!("{name} has {days} days"),
    };
    Problem::new(BAD_DATE, format!("`{text}` is not a date: {has}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(date: &str) -> Date {
        date.parse().unwrap()
    }

    #[track_caller]
    fn check(day: &str, date: &str, expected: bool) {
        let day = DaySpec::parse(day).unwrap();
        assert_eq!(day.holds(on(date)), expected, "{day} {date}");
    }

    #[test]
    fn a_day_comes_back_every_year() {
        check("01-01", "2026-01-01", true);
        check("01-01", "2031-01-01", true);
        check("01-01", "2026-01-02", false);
        check("01-02", "2026-02-01", false);
    }

    #[test]
    fn the_leap_day_is_in_leap_years_only() {
        check("02-29", "2028-02-29", true);
        check("02-29", "2026-02-28", false);
        check("02-29", "2026-03-01", false);
        check("02-29..03-01", "2026-03-01", true);
        check("02-28..03-01", "2028-02-29", true);
        check("2028-02-29", "2028-02-29", true);
    }

    #[test]
    fn a_yearly_range_includes_both_ends() {
        check("12-24..12-26", "2026-12-23", false);
        check("12-24..12-26", "2026-12-24", true);
        check("12-24..12-26", "2027-12-26", true);
        check("12-24..12-26", "2026-12-27", false);
        check("07-04..07-04", "2026-07-04", true);
        check("07-04..07-04", "2026-07-05", false);
    }

    #[test]
    fn a_yearly_range_may_wrap_the_new_year() {
        check("12-28..01-02", "2026-12-27", false);
        check("12-28..01-02", "2026-12-28", true);
        check("12-28..01-02", "2027-01-02", true);
        check("12-28..01-02", "2027-01-03", false);
        check("12-28..01-02", "2026-06-15", false);
    }

    #[test]
    fn weekdays_of_a_month_are_counted_from_its_first_day() {
        check("3rd mon of jan", "2026-01-19", true);
        check("3rd mon of jan", "2026-01-12", false);
        check("3rd mon of jan", "2026-01-26", false);
        check("3rd mon of jan", "2026-01-20", false);
        check("3rd mon of jan", "2026-02-16", false);
        check("1st mon of sep", "2026-09-07", true);
        check("1st tue of sep", "2026-09-01", true);
        check("2nd mon of oct", "2026-10-12", true);
        check("4th thu of nov", "2026-11-26", true);
        check("4th thu of nov", "2027-11-25", true);
        check("5th sun of aug", "2026-08-30", true);
        check("5th mon of aug", "2026-08-31", true);
        check("5th tue of aug", "2026-09-01", false);
    }

    #[test]
    fn the_last_weekday_is_the_fourth_or_the_fifth() {
        check("last mon of may", "2026-05-25", true);
        check("last mon of may", "2026-05-18", false);
        check("last mon of may", "2027-05-31", true);
        check("last mon of may", "2027-05-24", false);
        check("last sun of feb", "2026-02-22", true);
        check("last tue of feb", "2028-02-29", true);
        check("last tue of feb", "2028-02-22", false);
    }

    #[test]
    fn easter_is_known_for_every_year() {
        let sundays = [
            "1583-04-10",
            "1818-03-22",
            "1954-04-18",
            "1981-04-19",
            "2000-04-23",
            "2008-03-23",
            "2011-04-24",
            "2019-04-21",
            "2024-03-31",
            "2025-04-20",
            "2026-04-05",
            "2027-03-28",
            "2028-04-16",
            "2029-04-01",
            "2030-04-21",
            "2038-04-25",
            "2049-04-18",
            "2076-04-19",
            "2285-03-22",
        ];
        for sunday in sundays {
            assert_eq!(easter(on(sunday).year()), Some(on(sunday)));
        }
        for year in 1583..=9999 {
            let sunday = easter(year).unwrap();
            assert_eq!(sunday.weekday(), Weekday::Sunday, "{sunday}");
            let day = (sunday.month(), sunday.day());
            assert!(((3, 22)..=(4, 25)).contains(&day), "{sunday}");
        }
    }

    #[test]
    fn days_are_counted_from_easter() {
        check("easter", "2026-04-05", true);
        check("easter", "2026-04-06", false);
        check("easter-2", "2026-04-03", true);
        check("easter+1", "2026-04-06", true);
        check("easter+39", "2026-05-14", true);
        check("easter-47", "2027-02-09", true);
        check("easter+300", "2027-01-30", true);
        check("easter-1", "9999-12-31", false);
    }

    #[test]
    fn a_date_with_a_year_comes_once() {
        check("2026-12-24", "2026-12-24", true);
        check("2026-12-24", "2027-12-24", false);
        check("2026-12-28..2027-01-02", "2026-12-27", false);
        check("2026-12-28..2027-01-02", "2026-12-28", true);
        check("2026-12-28..2027-01-02", "2027-01-02", true);
        check("2026-12-28..2027-01-02", "2027-01-03", false);
        check("2026-12-28..2027-01-02", "2027-12-30", false);
    }

    #[test]
    fn dates_hold_on_any_of_their_days() {
        let days = ["12-25", "easter-2"].map(|day| DaySpec::parse(day).unwrap()).to_vec();
        let dates = Dates { name: "holidays".into(), days };
        assert!(dates.hold(on("2026-12-25")));
        assert!(dates.hold(on("2026-04-03")));
        assert!(!dates.hold(on("2026-04-04")));
    }

    #[test]
    fn only_dates_with_a_year_can_be_over() {
        let is_over = |day: &str, today| DaySpec::parse(day).unwrap().is_over(on(today));
        assert!(!is_over("2026-12-24", "2026-12-24"));
        assert!(is_over("2026-12-24", "2026-12-25"));
        assert!(!is_over("2026-12-28..2026-12-30", "2026-12-30"));
        assert!(is_over("2026-12-28..2026-12-30", "2026-12-31"));
        for yearly in ["01-01", "01-01..01-02", "1st mon of jan", "last mon of jan", "easter"] {
            assert!(!is_over(yearly, "2026-12-31"), "{yearly}");
        }
    }

    #[track_caller]
    fn prints(day: &str, expected: &str) {
        let read = DaySpec::parse(day).unwrap();
        assert_eq!(read.to_string(), expected);
        assert_eq!(DaySpec::parse(expected).unwrap(), read, "what it prints means the same");
    }

    #[test]
    fn an_entry_prints_as_it_is_best_written() {
        prints(" 01-01 ", "01-01");
        prints("12-28 .. 01-02", "12-28..01-02");
        prints("3RD  Monday of JANUARY", "3rd mon of jan");
        prints("Last fri OF sep", "last fri of sep");
        prints("5th sunday of may", "5th sun of may");
        prints("Easter", "easter");
        prints("easter+0", "easter");
        prints("EASTER - 2", "easter-2");
        prints("easter+1", "easter+1");
        prints("2026-12-24", "2026-12-24");
        prints(" 2026-12-28..2026-12-30", "2026-12-28..2026-12-30");
    }

    #[track_caller]
    fn refused(day: &str, message: &str, help: Option<&str>) {
        let error = DaySpec::parse(day).unwrap_err();
        assert_eq!(
            (error.code, error.message.as_str(), error.help.as_deref()),
            ("bad-date", message, help)
        );
    }

    #[test]
    fn a_day_that_does_not_exist_is_refused() {
        refused("02-30", "`02-30` is not a date: February has 29 days at most", None);
        refused("04-31", "`04-31` is not a date: April has 30 days", None);
        refused("01-00", "`01-00` is not a date: January has 31 days", None);
        refused("2026-02-29", "`2026-02-29` is not a date: February 2026 has 28 days", None);
        refused("02-28..02-30", "`02-30` is not a date: February has 29 days at most", None);
        refused("25-12", "`25-12` is not a date: no month is 25", Some("did you mean `12-25`?"));
        refused(
            "2026-24-12",
            "`2026-24-12` is not a date: no month is 24",
            Some("did you mean `2026-12-24`?"),
        );
        refused(
            "13-32",
            "`13-32` is not a date: no month is 13",
            Some("the month comes first, 01 to 12"),
        );
    }

    #[test]
    fn what_is_no_date_is_refused() {
        let help = Some(
            "write `12-24`, `2026-12-24`, `3rd mon of jan`, `last mon of may` or `easter-2`, \
             a range as `12-24..12-26`",
        );
        refused("", "an empty text is not a date", help);
        refused("christmas", "`christmas` is not a date", help);
        refused("12/25", "`12/25` is not a date", Some("did you mean `12-25`?"));
        refused("24.12.", "`24.12.` is not a date", Some("did you mean `12-24`?"));
        refused("12/25/2026", "`12/25/2026` is not a date", Some("did you mean `2026-12-25`?"));
        refused("03/04/2026", "`03/04/2026` is not a date", help);
        refused("+1-01", "`+1-01` is not a date", help);
        refused("26-12-24", "`26-12-24` is not a date", help);
        refused("12-24..", "an empty text is not a date", help);
        refused("12\u{2013}24", "`12\u{2013}24` is not a date", help);
        refused("1-1", "`1-1` is not a date", Some("did you mean `01-01`?"));
        refused("2026-1-5", "`2026-1-5` is not a date", Some("did you mean `2026-01-05`?"));
        refused("eastre", "`eastre` is not a date", Some("did you mean `easter`?"));
    }

    #[test]
    fn a_range_that_is_none_is_refused() {
        refused(
            "2026-12-30..2026-12-28",
            "`2026-12-30..2026-12-28` ends before it starts",
            Some("did you mean `2026-12-28..2026-12-30`?"),
        );
        let help = Some("write the year at both ends, or at neither for every year");
        refused("2026-12-28..12-30", "`2026-12-28..12-30` has a year at one end only", help);
        refused("12-28..2027-01-02", "`12-28..2027-01-02` has a year at one end only", help);
    }

    #[test]
    fn a_weekday_that_nobody_can_count_is_refused() {
        let no_count = |word: &str| format!("`{word}` is neither 1st to 5th nor last");
        refused("6th mon of jan", &no_count("6th"), None);
        refused("12th mon of jan", &no_count("12th"), None);
        refused("3th mon of jan", &no_count("3th"), Some("did you mean `3rd`?"));
        refused("lsat mon of jan", &no_count("lsat"), Some("did you mean `last`?"));
        refused("1st thur of jan", "`thur` is not a weekday", Some("did you mean `thu`?"));
        refused(
            "1st workday of jan",
            "`workday` is not a weekday",
            Some("weekdays are mon, tue, wed, thu, fri, sat, sun"),
        );
        refused("1st mon of sept", "`sept` is not a month", Some("did you mean `sep`?"));
        refused(
            "1st mon of brumaire",
            "`brumaire` is not a month",
            Some("months are jan, feb, mar, apr, may, jun, jul, aug, sep, oct, nov, dec"),
        );
    }

    #[test]
    fn days_that_nobody_can_count_from_easter_are_refused() {
        let help = Some("write `easter`, `easter-2` or `easter+1`");
        refused("easter monday", "`easter monday` is not a date", help);
        refused("easter2", "`easter2` is not a date", help);
        let help = Some("count with a number of days up to 366: `easter-2`");
        refused("easter-", "`easter-` does not count days from Easter", help);
        refused("easter+one", "`easter+one` does not count days from Easter", help);
        refused("easter+367", "`easter+367` does not count days from Easter", help);
        refused("easter+99999", "`easter+99999` does not count days from Easter", help);
        refused("easter--2", "`easter--2` does not count days from Easter", help);
    }
}
