//! Calendar days: the entries of `[dates.NAME]`, and the keys of `open` in `[hours.NAME]`.
//!
//! `01-01`, `12-24..12-26`, `3rd mon of jan`, `last mon of may`, `easter-2`, `2026-12-24`,
//! `2026-12-28..2026-12-30`. This module reads neither the clock nor a time zone: dates are
//! arguments.

use std::fmt;

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};

use crate::diagnostics::{self, Problem};

/// `[dates.NAME]`: a named set of days.
///
/// ```
/// use switchboard::rules::{Dates, DaySpec};
///
/// let days = ["12-25", "4th thu of nov"].map(|day| DaySpec::parse(day).unwrap());
/// let holidays = Dates { name: "holidays".into(), days: days.to_vec() };
/// assert!(holidays.contains("2026-11-26".parse().unwrap()));
/// assert!(!holidays.contains("2026-11-27".parse().unwrap()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dates {
    /// Name used by rules and hours.
    pub name: Box<str>,
    /// Days of the set.
    pub days: Vec<DaySpec>,
}

impl Dates {
    /// Returns whether the set contains this date.
    pub fn contains(&self, date: Date) -> bool {
        self.entry(date).is_some()
    }

    /// Returns the first entry that includes this date.
    pub fn entry(&self, date: Date) -> Option<&DaySpec> {
        self.days.iter().find(|day| day.contains(date))
    }
}

/// Entry of `days`: one date or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DaySpec {
    /// Day of every year that has it.
    Yearly(MonthDay),
    /// Days of every year; the range includes the new year when `to` comes before `from`.
    YearlyRange {
        /// First day.
        from: MonthDay,
        /// Last day.
        to: MonthDay,
    },
    /// First to fifth such weekday of a month; not every month has a fifth.
    Nth {
        /// Occurrence in the month, from 1 to 5.
        nth: i8,
        /// Weekday.
        weekday: Weekday,
        /// Month, from 1 to 12.
        month: i8,
    },
    /// Last such weekday of a month.
    Last {
        /// Weekday.
        weekday: Weekday,
        /// Month, from 1 to 12.
        month: i8,
    },
    /// Western Easter Sunday, or a day relative to it.
    Easter {
        /// Days after Easter Sunday; negative before it.
        offset_days: i16,
    },
    /// Single date.
    Once(Date),
    /// Date range; `to` is never before `from`.
    Range {
        /// First day.
        from: Date,
        /// Last day.
        to: Date,
    },
}

/// Day of the year, ordered by month and day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MonthDay {
    /// Month, from 1 to 12.
    pub month: i8,
    /// Day of the month, valid for that month in a leap year.
    pub day: i8,
}

impl DaySpec {
    /// Returns whether the entry includes this date.
    pub fn contains(&self, date: Date) -> bool {
        let today = MonthDay { month: date.month(), day: date.day() };
        match *self {
            DaySpec::Yearly(day) => day == today,
            DaySpec::YearlyRange { from, to } if from <= to => (from..=to).contains(&today),
            DaySpec::YearlyRange { from, to } => today >= from || today <= to,
            DaySpec::Nth { nth, weekday, month } => {
                month == today.month && weekday == date.weekday() && nth == (today.day - 1) / 7 + 1
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

    /// Returns whether the entry names days of a specific year.
    pub fn has_a_year(&self) -> bool {
        matches!(self, DaySpec::Once(_) | DaySpec::Range { .. })
    }

    /// Returns whether all its dates are before `today`. Entries without a year are never over.
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

    /// Parses an entry, ignoring case and surrounding spaces.
    ///
    /// # Errors
    /// Returns the problem, with a suggested correction where possible.
    pub fn parse(text: &str) -> Result<DaySpec, Problem> {
        let text = text.trim();
        if let Some((from, to)) = text.split_once("..") {
            return parse_range(text, from.trim(), to.trim());
        }
        if let Some((word, offset)) = text.split_at_checked(EASTER.len())
            && word.eq_ignore_ascii_case(EASTER)
        {
            return parse_easter_offset(text, offset.trim_start());
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        if let [which, weekday, of, month] = words[..]
            && of.eq_ignore_ascii_case("of")
        {
            return parse_weekday_of_month(which, weekday, month);
        }
        Ok(match parse_day(text)? {
            Day::EveryYear(day) => DaySpec::Yearly(day),
            Day::Once(date) => DaySpec::Once(date),
        })
    }
}

/// Prints the canonical form: `3rd mon of jan`.
impl fmt::Display for DaySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DaySpec::Yearly(day) => day.fmt(f),
            DaySpec::YearlyRange { from, to } => write!(f, "{from}..{to}"),
            DaySpec::Nth { nth, weekday, month } => {
                let nth = NTH[*nth as usize - 1];
                write!(f, "{nth} {} of {}", short_weekday(*weekday), short_month(*month))
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

/// Weekdays from Monday. The first three letters are the short form.
const WEEKDAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Months. The first three letters are the short form.
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

/// Returns the position of a name, given in short or in full.
fn position(text: &str, names: &[&str]) -> Option<usize> {
    let matches =
        |name: &&str| text.eq_ignore_ascii_case(name) || text.eq_ignore_ascii_case(&name[..3]);
    names.iter().position(matches)
}

fn did_you_mean(text: &str, names: &[&'static str]) -> Option<String> {
    let shorts = names.iter().map(|name| &name[..3]);
    diagnostics::did_you_mean(text, shorts.chain(names.iter().copied()))
}

/// Parses the name of a weekday. `code` is the error code of the enclosing value.
pub(crate) fn parse_weekday(text: &str, code: &'static str) -> Result<Weekday, Problem> {
    let found = position(text, &WEEKDAYS)
        .and_then(|index| Weekday::from_monday_zero_offset(index as i8).ok());
    found.ok_or_else(|| {
        let all = || format!("weekdays are {}", WEEKDAYS.map(|name| &name[..3]).join(", "));
        let help = did_you_mean(text, &WEEKDAYS).unwrap_or_else(all);
        Problem::new(code, format!("`{text}` is not a weekday")).help(help)
    })
}

fn short_weekday(weekday: Weekday) -> &'static str {
    &WEEKDAYS[weekday.to_monday_zero_offset() as usize][..3]
}

fn parse_month(text: &str) -> Result<i8, Problem> {
    let found = position(text, &MONTHS).map(|index| index as i8 + 1);
    found.ok_or_else(|| {
        let all = || format!("months are {}", MONTHS.map(|name| &name[..3]).join(", "));
        let help = did_you_mean(text, &MONTHS).unwrap_or_else(all);
        Problem::new(BAD_DATE, format!("`{text}` is not a month")).help(help)
    })
}

fn short_month(month: i8) -> &'static str {
    &MONTHS[month as usize - 1][..3]
}

fn parse_range(text: &str, from: &str, to: &str) -> Result<DaySpec, Problem> {
    match (parse_day(from)?, parse_day(to)?) {
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

/// Computes Gregorian Easter Sunday with the Meeus/Jones/Butcher algorithm.
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

/// Maximum offset from Easter; a larger one would be closer to the Easter of another year.
const MAX_EASTER_OFFSET: i16 = 366;

fn parse_easter_offset(text: &str, offset: &str) -> Result<DaySpec, Problem> {
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
    let Some(days) = days.filter(|days| *days <= MAX_EASTER_OFFSET) else {
        let help = format!("write an offset of at most {MAX_EASTER_OFFSET} days, as in `easter-2`");
        return Err(Problem::new(BAD_DATE, format!("`{text}` is not a valid offset from Easter"))
            .help(help));
    };
    Ok(DaySpec::Easter { offset_days: sign * days })
}

fn parse_weekday_of_month(
    which: &str,
    weekday_name: &str,
    month_name: &str,
) -> Result<DaySpec, Problem> {
    let nth = NTH.iter().position(|nth| which.eq_ignore_ascii_case(nth));
    if nth.is_none() && !which.eq_ignore_ascii_case("last") {
        let words = ["first", "second", "third", "fourth", "fifth"];
        let word = words.iter().position(|word| which.eq_ignore_ascii_case(word));
        let digit = |nth: &&&str| which.trim_end_matches(char::is_alphabetic) == &nth[..1];
        let similar = word.map(|at| &NTH[at]).or_else(|| NTH.iter().find(digit));
        let help = match similar {
            Some(nth) => Some(format!("did you mean `{nth}`?")),
            None => diagnostics::did_you_mean(which, ["last"]),
        };
        return Err(Problem::new(BAD_DATE, format!("`{which}` is not an occurrence in a month"))
            .maybe_help(help));
    }
    let (weekday, month) = (parse_weekday(weekday_name, BAD_DATE)?, parse_month(month_name)?);
    Ok(match nth {
        Some(index) => DaySpec::Nth { nth: index as i8 + 1, weekday, month },
        None => DaySpec::Last { weekday, month },
    })
}

/// A parsed date, with or without a year.
enum Day {
    EveryYear(MonthDay),
    Once(Date),
}

/// Leap year, used to validate days without a year.
const LEAP_YEAR: i16 = 2024;

fn parse_day(text: &str) -> Result<Day, Problem> {
    let Some((year, month, day)) = year_month_day(text) else {
        let help = "write `12-24`, `2026-12-24`, `3rd mon of jan`, `last mon of may` or \
                    `easter-2`, or a range such as `12-24..12-26`";
        return Err(not_a_date(text, help));
    };
    match (year, Date::new(year.unwrap_or(LEAP_YEAR), month, day)) {
        (None, Ok(_)) => Ok(Day::EveryYear(MonthDay { month, day })),
        (Some(_), Ok(date)) => Ok(Day::Once(date)),
        (_, Err(_)) => Err(no_such_day(text, year, month, day)),
    }
}

/// Parses a date with a year.
pub(crate) fn parse_date(text: &str) -> Result<Date, Problem> {
    const HELP: &str = "write year, month and day, as in `2026-12-24`";
    if year_month_day(text).is_none() {
        return Err(not_a_date(text, HELP));
    }
    match parse_day(text)? {
        Day::Once(date) => Ok(date),
        Day::EveryYear(_) => {
            Err(Problem::new(BAD_DATE, format!("`{text}` has no year")).help(HELP))
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

/// Parses exactly two digits.
pub(crate) fn two_digits(text: &str) -> Option<i8> {
    (text.len() == 2).then(|| number(text))?
}

/// Parses ASCII digits without a sign or spaces.
pub(crate) fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn not_a_date(text: &str, default_help: &str) -> Problem {
    let near = suggest_day(text).map(|day| format!("did you mean `{day}`?"));
    let near = near.or_else(|| diagnostics::did_you_mean(text, [EASTER]));
    let text = if text.is_empty() { "an empty text".into() } else { format!("`{text}`") };
    Problem::new(BAD_DATE, format!("{text} is not a date"))
        .help(near.unwrap_or_else(|| default_help.to_owned()))
}

/// Suggests the correct form of `7-4`, `24.12.` or `12/25/2026`. Returns `None` when day and month are
/// ambiguous.
fn suggest_day(text: &str) -> Option<String> {
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
    let is_ambiguous = parts.len() == 3 && is_year(2) && !day_comes_first && second <= 12;
    let (month, day) = if day_comes_first { (second, first) } else { (first, second) };
    let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    Date::new(year.unwrap_or(LEAP_YEAR), month, day).ok().filter(|_| !is_ambiguous)?;
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
        let help = help.unwrap_or_else(|| "write the month first, 01 to 12".to_owned());
        return Problem::new(
            BAD_DATE,
            format!("`{text}` is not a date: there is no month {month:02}"),
        )
        .help(help);
    };
    let (initial, rest) = MONTHS[month as usize - 1].split_at(1);
    let name = format!("{}{rest}", initial.to_ascii_uppercase());
    let days = first.days_in_month();
    let has = match (year, month) {
        (Some(year), _) => format!("{name} {year} has {days} days"),
        (None, 2) => format!("{name} has at most {days} days"),
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
        assert_eq!(day.contains(on(date)), expected, "{day} {date}");
    }

    #[test]
    fn a_day_without_a_year_recurs() {
        check("01-01", "2026-01-01", true);
        check("01-01", "2031-01-01", true);
        check("01-01", "2026-01-02", false);
        check("01-02", "2026-02-01", false);
    }

    #[test]
    fn the_leap_day_occurs_only_in_leap_years() {
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
    fn computes_easter_for_every_year() {
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
    fn supports_offsets_from_easter() {
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
    fn a_date_with_a_year_occurs_once() {
        check("2026-12-24", "2026-12-24", true);
        check("2026-12-24", "2027-12-24", false);
        check("2026-12-28..2027-01-02", "2026-12-27", false);
        check("2026-12-28..2027-01-02", "2026-12-28", true);
        check("2026-12-28..2027-01-02", "2027-01-02", true);
        check("2026-12-28..2027-01-02", "2027-01-03", false);
        check("2026-12-28..2027-01-02", "2027-12-30", false);
    }

    #[test]
    fn dates_contain_all_of_their_days() {
        let days = ["12-25", "easter-2"].map(|day| DaySpec::parse(day).unwrap()).to_vec();
        let dates = Dates { name: "holidays".into(), days };
        assert!(dates.contains(on("2026-12-25")));
        assert!(dates.contains(on("2026-04-03")));
        assert!(!dates.contains(on("2026-04-04")));
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
    fn check_printed(day: &str, expected: &str) {
        let read = DaySpec::parse(day).unwrap();
        assert_eq!(read.to_string(), expected);
        assert_eq!(
            DaySpec::parse(expected).unwrap(),
            read,
            "the printed form parses to the same entry"
        );
    }

    #[test]
    fn prints_the_canonical_form() {
        check_printed(" 01-01 ", "01-01");
        check_printed("12-28 .. 01-02", "12-28..01-02");
        check_printed("3RD  Monday of JANUARY", "3rd mon of jan");
        check_printed("Last fri OF sep", "last fri of sep");
        check_printed("5th sunday of may", "5th sun of may");
        check_printed("Easter", "easter");
        check_printed("easter+0", "easter");
        check_printed("EASTER - 2", "easter-2");
        check_printed("easter+1", "easter+1");
        check_printed("2026-12-24", "2026-12-24");
        check_printed(" 2026-12-28..2026-12-30", "2026-12-28..2026-12-30");
    }

    #[track_caller]
    fn check_error(day: &str, message: &str, help: Option<&str>) {
        let error = DaySpec::parse(day).unwrap_err();
        assert_eq!(
            (error.code, error.message.as_str(), error.help.as_deref()),
            ("bad-date", message, help)
        );
    }

    #[test]
    fn x() {
        check_error("02-30", "`02-30` is not a date: February has at most 29 days", None);
        check_error("04-31", "`04-31` is not a date: April has 30 days", None);
        check_error("01-00", "`01-00` is not a date: January has 31 days", None);
        check_error("2026-02-29", "`2026-02-29` is not a date: February 2026 has 28 days", None);
        check_error("02-28..02-30", "`02-30` is not a date: February has at most 29 days", None);
        check_error(
            "25-12",
            "`25-12` is not a date: there is no month 25",
            Some("did you mean `12-25`?"),
        );
        check_error(
            "2026-24-12",
            "`2026-24-12` is not a date: there is no month 24",
            Some("did you mean `2026-12-24`?"),
        );
        check_error(
            "13-32",
            "`13-32` is not a date: there is no month 13",
            Some("write the month first, 01 to 12"),
        );
    }

    #[test]
    fn rejects_text_that_is_not_a_date() {
        let help = Some(
            "write `12-24`, `2026-12-24`, `3rd mon of jan`, `last mon of may` or `easter-2`, \
             or a range such as `12-24..12-26`",
        );
        check_error("", "an empty text is not a date", help);
        check_error("christmas", "`christmas` is not a date", help);
        check_error("12/25", "`12/25` is not a date", Some("did you mean `12-25`?"));
        check_error("24.12.", "`24.12.` is not a date", Some("did you mean `12-24`?"));
        check_error("12/25/2026", "`12/25/2026` is not a date", Some("did you mean `2026-12-25`?"));
        check_error("03/04/2026", "`03/04/2026` is not a date", help);
        check_error("+1-01", "`+1-01` is not a date", help);
        check_error("26-12-24", "`26-12-24` is not a date", help);
        check_error("12-24..", "an empty text is not a date", help);
        check_error("12\u{2013}24", "`12\u{2013}24` is not a date", help);
        check_error("1-1", "`1-1` is not a date", Some("did you mean `01-01`?"));
        check_error("2026-1-5", "`2026-1-5` is not a date", Some("did you mean `2026-01-05`?"));
        check_error("eastre", "`eastre` is not a date", Some("did you mean `easter`?"));
    }

    #[test]
    fn rejects_invalid_ranges() {
        check_error(
            "2026-12-30..2026-12-28",
            "`2026-12-30..2026-12-28` ends before it starts",
            Some("did you mean `2026-12-28..2026-12-30`?"),
        );
        let help = Some("write the year at both ends, or at neither for every year");
        check_error("2026-12-28..12-30", "`2026-12-28..12-30` has a year at one end only", help);
        check_error("12-28..2027-01-02", "`12-28..2027-01-02` has a year at one end only", help);
    }

    #[test]
    fn rejects_invalid_weekdays_of_a_month() {
        let message = |word: &str| format!("`{word}` is not an occurrence in a month");
        check_error("6th mon of jan", &message("6th"), None);
        check_error("12th mon of jan", &message("12th"), None);
        check_error("3th mon of jan", &message("3th"), Some("did you mean `3rd`?"));
        check_error("lsat mon of jan", &message("lsat"), Some("did you mean `last`?"));
        check_error("1st thur of jan", "`thur` is not a weekday", Some("did you mean `thu`?"));
        check_error(
            "1st workday of jan",
            "`workday` is not a weekday",
            Some("weekdays are mon, tue, wed, thu, fri, sat, sun"),
        );
        check_error("1st mon of sept", "`sept` is not a month", Some("did you mean `sep`?"));
        check_error(
            "1st mon of brumaire",
            "`brumaire` is not a month",
            Some("months are jan, feb, mar, apr, may, jun, jul, aug, sep, oct, nov, dec"),
        );
    }

    #[test]
    fn rejects_invalid_offsets_from_easter() {
        let help = Some("write `easter`, `easter-2` or `easter+1`");
        check_error("easter monday", "`easter monday` is not a date", help);
        check_error("easter2", "`easter2` is not a date", help);
        let help = Some("write an offset of at most 366 days, as in `easter-2`");
        check_error("easter-", "`easter-` is not a valid offset from Easter", help);
        check_error("easter+one", "`easter+one` is not a valid offset from Easter", help);
        check_error("easter+367", "`easter+367` is not a valid offset from Easter", help);
        check_error("easter+99999", "`easter+99999` is not a valid offset from Easter", help);
        check_error("easter--2", "`easter--2` is not a valid offset from Easter", help);
    }
}
