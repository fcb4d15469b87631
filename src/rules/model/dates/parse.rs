//! The text of days: parses and prints the entries of `[dates.NAME]`.

use std::fmt;

use jiff::civil::{Date, Weekday};

use super::day::{DaySpec, LEAP_YEAR, MAX_WEEKS, MonthDay, MovesTo};
use super::suggest;
use crate::diagnostics::{self, Problem};
use crate::rules::model::spelling::number;

impl DaySpec {
    /// Parses an entry, ignoring case and surrounding spaces.
    ///
    /// # Errors
    /// Returns the problem, with a suggested correction where possible.
    pub fn parse(text: &str) -> Result<DaySpec, Problem> {
        day_spec(text).map_err(|problem| with_suggestion(text.trim(), problem))
    }

    /// Returns the problem with a range over the new year that was probably meant to be short.
    pub(crate) fn doubt(&self) -> Option<Problem> {
        let meant = self.turned_around()?;
        let message = format!(
            "{self} goes over the new year, and has all days except those between its ends"
        );
        Some(
            Problem::new("range-over-new-year", message).help(format!("{DID_YOU_MEAN} `{meant}`?")),
        )
    }
}

/// Adds the entry that a text probably means as a whole, unless the problem says what was meant. A correction of
/// one end of a range does not correct the range.
fn with_suggestion(text: &str, problem: Problem) -> Problem {
    let is_corrected = problem.help.as_deref().is_some_and(|help| help.starts_with(DID_YOU_MEAN));
    if is_corrected && !text.contains("..") {
        return problem;
    }
    let Some(day) = suggest::suggest(text) else { return problem };
    let is_about_all = problem.message.contains(&format!("`{text}`"));
    let problem = match is_about_all {
        true => problem,
        false => Problem::new(BAD_DATE, format!("`{text}` is not a date")),
    };
    problem.help(format!("{DID_YOU_MEAN} `{day}`?"))
}

/// Beginning of a help text that has a correction.
const DID_YOU_MEAN: &str = "did you mean";

fn day_spec(text: &str) -> Result<DaySpec, Problem> {
    let text = text.trim();
    if let Some((from, to)) = text.split_once("..") {
        return parse_range(text, from.trim(), to.trim());
    }
    let special = parse_easter(text).or_else(|| parse_weeks(text)).or_else(|| parse_moved(text));
    if let Some(parsed) = special {
        return parsed;
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    if let [which, weekday, of, month @ ..] = &words[..]
        && of.eq_ignore_ascii_case("of")
        && !month.is_empty()
    {
        let month = month.join(" ");
        let (month, offset_days) = split_offset(&month)?;
        return parse_weekday_of_month(which, weekday, month, offset_days);
    }
    Ok(match parse_day(text)? {
        Day::EveryYear(day) => DaySpec::Yearly(day),
        Day::Once(date) => DaySpec::Once(date),
    })
}

/// Prints the canonical form: `3rd mon of jan`.
impl fmt::Display for DaySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DaySpec::Yearly(day) => day.fmt(f),
            DaySpec::YearlyRange { from, to } => write!(f, "{from}..{to}"),
            DaySpec::Nth { nth, weekday, month, offset_days } => {
                let nth = NTH[*nth as usize - 1];
                write!(f, "{nth} {} of {}", short_weekday(*weekday), short_month(*month))?;
                write_offset(f, *offset_days)
            }
            DaySpec::Last { weekday, month, offset_days } => {
                write!(f, "last {} of {}", short_weekday(*weekday), short_month(*month))?;
                write_offset(f, *offset_days)
            }
            DaySpec::Easter { offset_days } => {
                f.write_str(EASTER)?;
                write_offset(f, *offset_days)
            }
            DaySpec::OrthodoxEaster { offset_days } => {
                f.write_str(ORTHODOX_EASTER)?;
                write_offset(f, *offset_days)
            }
            DaySpec::Moved { day, to: MovesTo::NearestWorkday } => write!(f, "{day} observed"),
            DaySpec::Moved { day, to: MovesTo::NextWorkday } => write!(f, "{day} next workday"),
            DaySpec::Weeks { even } => f.write_str(if *even { EVEN_WEEKS } else { ODD_WEEKS }),
            DaySpec::EveryNth { weeks, weekday, from } => {
                let day = weekday.map_or("week", short_weekday);
                match weeks {
                    1 => write!(f, "every {day} from {from}"),
                    weeks => write!(f, "every {} {day} from {from}", ordinal(*weeks)),
                }
            }
            DaySpec::Once(date) => date.fmt(f),
            DaySpec::Range { from, to } => write!(f, "{from}..{to}"),
        }
    }
}

/// Writes the days after a day, unless there are none.
fn write_offset(f: &mut fmt::Formatter<'_>, offset_days: i16) -> fmt::Result {
    if offset_days == 0 { Ok(()) } else { write!(f, "{offset_days:+}") }
}

const BAD_DATE: &str = "bad-date";

const EASTER: &str = "easter";
const ORTHODOX_EASTER: &str = "orthodox-easter";
const EVEN_WEEKS: &str = "even weeks";
const ODD_WEEKS: &str = "odd weeks";

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
    for end in [from, to] {
        // An end that is itself a range is not parsed, since a text of many dots would recurse too deeply.
        let is_other_entry =
            !end.contains("..") && year_month_day(end).is_none() && day_spec(end).is_ok();
        if is_other_entry {
            let message = format!("`{end}` cannot be an end of the range `{text}`");
            return Err(Problem::new(BAD_DATE, message).help(each_day(from, to).unwrap_or_else(
                || "ends are dates, as in `12-24..12-26` or `2026-12-24..2026-12-26`".to_owned(),
            )));
        }
    }
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

/// Most days that a help text lists.
const MAX_LISTED_DAYS: i16 = 10;

/// Returns the help for a range such as `easter-2..easter+1`: its days one by one.
fn each_day(from: &str, to: &str) -> Option<String> {
    if to.contains("..") {
        return None;
    }
    let with_offset = |text: &str, offset_days: i16| {
        Some(match day_spec(text).ok()? {
            DaySpec::Easter { offset_days: own } => (own, DaySpec::Easter { offset_days }),
            DaySpec::OrthodoxEaster { offset_days: own } => {
                (own, DaySpec::OrthodoxEaster { offset_days })
            }
            DaySpec::Nth { nth, weekday, month, offset_days: own } => {
                (own, DaySpec::Nth { nth, weekday, month, offset_days })
            }
            DaySpec::Last { weekday, month, offset_days: own } => {
                (own, DaySpec::Last { weekday, month, offset_days })
            }
            DaySpec::Yearly(_)
            | DaySpec::YearlyRange { .. }
            | DaySpec::Moved { .. }
            | DaySpec::Weeks { .. }
            | DaySpec::EveryNth { .. }
            | DaySpec::Once(_)
            | DaySpec::Range { .. } => return None,
        })
    };
    let ((first, base), (last, other_base)) = (with_offset(from, 0)?, with_offset(to, 0)?);
    let is_listed = base == other_base && (first + 1..first + MAX_LISTED_DAYS).contains(&last);
    let days = (first..=last).map(|offset| with_offset(from, offset).map(|(_, day)| day));
    let days = days.map(|day| day.map(|day| format!("\"{day}\""))).collect::<Option<Vec<_>>>()?;
    is_listed.then(|| format!("name each day: {}", days.join(", ")))
}

/// Maximum offset in days; a larger one would be closer to the same day of another year.
const MAX_OFFSET: i16 = 366;

/// Splits `easter - 2` into the day and its offset.
fn split_offset(text: &str) -> Result<(&str, i16), Problem> {
    let Some(at) = text.find(['+', '-']) else { return Ok((text.trim(), 0)) };
    let (day, offset) = text.split_at(at);
    let Some(days) = number::<i16>(offset[1..].trim()).filter(|days| *days <= MAX_OFFSET) else {
        let of = if day.trim().eq_ignore_ascii_case(EASTER) { " from Easter" } else { "" };
        let example = if of.is_empty() { "4th thu of nov+1" } else { "easter-2" };
        let help = format!("write an offset of at most {MAX_OFFSET} days, as in `{example}`");
        return Err(
            Problem::new(BAD_DATE, format!("`{text}` is not a valid offset{of}")).help(help)
        );
    };
    Ok((day.trim(), if offset.starts_with('-') { -days } else { days }))
}

/// Parses `easter`, `orthodox-easter` and their offsets.
fn parse_easter(text: &str) -> Option<Result<DaySpec, Problem>> {
    let lower = text.to_ascii_lowercase();
    let (is_orthodox, rest) = match lower.strip_prefix(ORTHODOX_EASTER) {
        Some(rest) => (true, rest),
        None => (false, lower.strip_prefix(EASTER)?),
    };
    if !rest.trim_start().is_empty() && !rest.trim_start().starts_with(['+', '-']) {
        let help = match is_orthodox {
            true => "write `orthodox-easter`, `orthodox-easter-2` or `orthodox-easter+1`",
            false => "write `easter`, `easter-2` or `easter+1`",
        };
        return Some(Err(Problem::new(BAD_DATE, format!("`{text}` is not a date")).help(help)));
    }
    let offset =
        split_offset(&format!("{EASTER}{rest}")).map(|(_, offset_days)| match is_orthodox {
            true => DaySpec::OrthodoxEaster { offset_days },
            false => DaySpec::Easter { offset_days },
        });
    Some(offset)
}

/// Parses `07-04 observed` and `12-26 next workday`; `None` for a text without such words.
fn parse_moved(text: &str) -> Option<Result<DaySpec, Problem>> {
    let (day, words) = text.split_once(char::is_whitespace)?;
    let words = words.to_lowercase();
    let words = words.trim_matches(['(', ')', ' ']);
    let to = match words.split_whitespace().collect::<Vec<_>>()[..] {
        ["observed"] => Some(MovesTo::NearestWorkday),
        ["next", "workday"] => Some(MovesTo::NextWorkday),
        _ => None,
    };
    let means_observed = words.contains("observ");
    let means_next = ["next", "substitute", "in lieu"].iter().any(|word| words.contains(word));
    if to.is_none() && !means_observed && !means_next || words.contains("from ") {
        return None;
    }
    let parsed = match (parse_day(day), to) {
        (Ok(Day::EveryYear(day)), Some(to)) => Ok(DaySpec::Moved { day, to }),
        (Ok(Day::EveryYear(day)), None) => {
            let word = if means_observed { "observed" } else { "next workday" };
            let help = format!("did you mean `{day} {word}`?");
            Err(Problem::new(BAD_DATE, format!("`{text}` is not a date")).help(help))
        }
        (Ok(Day::Once(_)), _) => Err(only_days_of_every_year_move(
            text,
            "write the day itself and the day on which it is observed, each with its year",
        )),
        (Err(_), _) => Err(only_days_of_every_year_move(
            text,
            "write `07-04 observed` or `12-26 next workday`; what falls on the same weekday every \
             year takes an offset, as in `easter+1`",
        )),
    };
    Some(parsed)
}

fn only_days_of_every_year_move(text: &str, help: &str) -> Problem {
    let message = format!("`{text}`: only a day of every year, such as `07-04`, can move");
    Problem::new(BAD_DATE, message).help(help)
}

/// Parses `even weeks` and `every 2nd fri from 2026-11-27`; `None` for a text without such words.
fn parse_weeks(text: &str) -> Option<Result<DaySpec, Problem>> {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    let spec = match words[..] {
        [parity @ ("even" | "odd"), "weeks"] => Ok(DaySpec::Weeks { even: parity == "even" }),
        [parity @ ("even" | "odd"), ..] => {
            let help = format!("did you mean `{parity} weeks`?");
            Err(Problem::new(BAD_DATE, format!("`{text}` is not a date")).help(help))
        }
        ["every", day, "from", date] => every_nth("1st", day, date),
        ["every", nth, day, "from", date] => every_nth(nth, day, date),
        ["every" | "biweekly" | "fortnightly", ..] => {
            let help = "write `every 2nd week from 2026-11-30`, `every 2nd fri from 2026-11-27`, \
                        `even weeks` or `odd weeks`";
            Err(Problem::new(BAD_DATE, format!("`{text}` is not a date")).help(help))
        }
        _ => return None,
    };
    Some(spec)
}

fn every_nth(nth: &str, day: &str, date: &str) -> Result<DaySpec, Problem> {
    let weekday = match day {
        "week" => None,
        day => Some(parse_weekday(day, BAD_DATE)?),
    };
    let from = parse_date(date)?;
    let digits = nth.trim_end_matches(char::is_alphabetic);
    let weeks = number::<i32>(digits).filter(|weeks| (1..=MAX_WEEKS).contains(weeks));
    match weeks {
        Some(weeks) if nth == ordinal(weeks) => Ok(DaySpec::EveryNth { weeks, weekday, from }),
        weeks => {
            let meant = if nth == "other" || nth == "second" { Some(2) } else { weeks };
            let help = meant.map_or_else(
                || format!("write `2nd` for every other week; at most `{}`", ordinal(MAX_WEEKS)),
                |weeks| format!("did you mean `every {} {day} from {date}`?", ordinal(weeks)),
            );
            let message = format!("`{nth}` is not a number of weeks");
            Err(Problem::new(BAD_DATE, message).help(help))
        }
    }
}

/// Returns `1st`, `2nd`, `11th`.
fn ordinal(number: i32) -> String {
    let suffix = match (number % 10, number % 100) {
        (1, rest) if rest != 11 => "st",
        (2, rest) if rest != 12 => "nd",
        (3, rest) if rest != 13 => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}

fn parse_weekday_of_month(
    which: &str,
    weekday_name: &str,
    month_name: &str,
    offset_days: i16,
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
        Some(index) => DaySpec::Nth { nth: index as i8 + 1, weekday, month, offset_days },
        None => DaySpec::Last { weekday, month, offset_days },
    })
}

/// A parsed date, with or without a year.
enum Day {
    EveryYear(MonthDay),
    Once(Date),
}

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

/// Help for a text that is no date with a year.
pub(crate) const DATE_FORM: &str = "write year, month and day, as in `2026-12-24`";

/// Parses a date with a year.
pub(crate) fn parse_date(text: &str) -> Result<Date, Problem> {
    if year_month_day(text).is_none() {
        return Err(not_a_date(text, DATE_FORM));
    }
    match parse_day(text)? {
        Day::Once(date) => Ok(date),
        Day::EveryYear(_) => {
            Err(Problem::new(BAD_DATE, format!("`{text}` has no year")).help(DATE_FORM))
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

fn not_a_date(text: &str, default_help: &str) -> Problem {
    let near = suggest::suggest(text).map(|day| format!("{DID_YOU_MEAN} `{day}`?"));
    let near = near.or_else(|| {
        diagnostics::did_you_mean(text, [EASTER, ORTHODOX_EASTER, EVEN_WEEKS, ODD_WEEKS])
    });
    let text = if text.is_empty() { "an empty text".into() } else { format!("`{text}`") };
    Problem::new(BAD_DATE, format!("{text} is not a date"))
        .help(near.unwrap_or_else(|| default_help.to_owned()))
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
