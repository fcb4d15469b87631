//! Reads days as people write them, such as `Dec 25`, `24.12. bis 26.12.` or `Good Friday`, and returns the entry
//! that a rule table has instead. Only help texts use them.

use jiff::civil::{Date, Weekday};

use super::day::{DaySpec, LEAP_YEAR, MAX_WEEKS, MonthDay};
use crate::rules::model::spelling::{TO, number, plain, replace_words, weekday};

/// Names of the months, in English and in the other languages of calendars.
const MONTHS: [&str; 12] = [
    "january jan januar jän jänner janvier janv enero ene gennaio gen januari janeiro",
    "february feb februar février févr fév febrero febbraio febr februari fevereiro fev",
    "march mar märz mär mars marzo maart mrt março",
    "april apr avril avr abril abr aprile",
    "may mai mayo maggio mag mei maio",
    "june jun juni juin junio giugno giu junho",
    "july jul juli juillet juil julio luglio lug julho",
    "august aug août agosto ago augustus",
    "september sep sept septembre septiembre settembre set setembro",
    "october oct oktober okt octobre octubre ottobre ott outubro out",
    "november nov novembre noviembre novembro",
    "december dec dezember dez décembre déc diciembre dic dicembre desember dezembro",
];

/// Words for the position of a weekday in its month, and of a week in a series.
const ORDINALS: [&str; 5] = [
    "first 1 1st one",
    "second 2 2nd two 2th other",
    "third 3 3rd three 3th",
    "fourth 4 4th four",
    "fifth 5 5th five",
];

/// Holidays by their names, with the entry of each.
const HOLIDAYS: [(&str, DaySpec); 26] = [
    ("good friday|holy friday|karfreitag|vendredi saint|viernes santo|goede vrijdag", easter(-2)),
    ("maundy thursday|holy thursday|gründonnerstag|jueves santo", easter(-3)),
    ("easter sunday|easter day|ostersonntag|ostern|pâques|pascua|pasqua", easter(0)),
    ("easter monday|ostermontag|lundi de pâques|pasquetta|lunes de pascua", easter(1)),
    ("ascension|ascension day|ascension thursday|himmelfahrt|christi himmelfahrt", easter(39)),
    ("whit sunday|whitsun|pentecost|pfingsten|pfingstsonntag|pentecôte", easter(49)),
    ("whit monday|pentecost monday|pfingstmontag|lundi de pentecôte", easter(50)),
    ("corpus christi|fronleichnam|corpus domini", easter(60)),
    ("ash wednesday|aschermittwoch|miércoles de ceniza", easter(-46)),
    ("shrove tuesday|mardi gras|faschingsdienstag", easter(-47)),
    ("rose monday|rosenmontag", easter(-48)),
    (
        "new year|new years|new year's day|new years day|neujahr|jour de l'an|año nuevo",
        yearly(1, 1),
    ),
    (
        "christmas|christmas day|xmas|xmas day|noël|navidad|natale|erster weihnachtstag",
        yearly(12, 25),
    ),
    ("christmas eve|xmas eve|heiligabend|nochebuena", yearly(12, 24)),
    ("boxing day|st stephen's day|st. stephen's day|zweiter weihnachtstag", yearly(12, 26)),
    ("new year's eve|new years eve|silvester|nochevieja", yearly(12, 31)),
    ("epiphany|heilige drei könige|dreikönigstag", yearly(1, 6)),
    ("labour day|may day|tag der arbeit|fête du travail", yearly(5, 1)),
    ("juneteenth", yearly(6, 19)),
    ("veterans day|veterans' day", yearly(11, 11)),
    ("martin luther king day|martin luther king jr. day|mlk day", nth(3, Weekday::Monday, 1, 0)),
    ("presidents day|presidents' day|washington's birthday", nth(3, Weekday::Monday, 2, 0)),
    ("labor day", nth(1, Weekday::Monday, 9, 0)),
    ("columbus day|indigenous peoples' day", nth(2, Weekday::Monday, 10, 0)),
    ("thanksgiving|thanksgiving day", nth(4, Weekday::Thursday, 11, 0)),
    ("black friday|day after thanksgiving", nth(4, Weekday::Thursday, 11, 1)),
];

const fn easter(offset_days: i16) -> DaySpec {
    DaySpec::Easter { offset_days }
}

const fn yearly(month: i8, day: i8) -> DaySpec {
    DaySpec::Yearly(MonthDay { month, day })
}

const fn nth(nth: i8, weekday: Weekday, month: i8, offset_days: i16) -> DaySpec {
    DaySpec::Nth { nth, weekday, month, offset_days }
}

/// Size of the longest text that can mean a day, in bytes. Ranges take quadratic time.
const MAX_BYTES: usize = 200;

/// Returns the entry that a text probably means.
pub(super) fn suggest(text: &str) -> Option<DaySpec> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let text = plain(text);
    let text = text.strip_prefix("the ").unwrap_or(&text);
    if text.contains("..") {
        return range(text);
    }
    holiday(text)
        .or_else(|| every(text))
        .or_else(|| weekday_of_month(text))
        .or_else(|| date(without_time(text)))
        .or_else(|| range(text))
}

/// Returns whether a text is a date with a year in another form than that of a rule table.
pub(crate) fn is_date_with_year(text: &str) -> bool {
    matches!(date(&plain(text)), Some(DaySpec::Once(_)))
}

fn holiday(text: &str) -> Option<DaySpec> {
    if text == "memorial day" {
        return Some(DaySpec::Last { weekday: Weekday::Monday, month: 5, offset_days: 0 });
    }
    let known = HOLIDAYS.iter().find(|(names, _)| names.split('|').any(|name| name == text));
    known.map(|(_, day)| day.clone())
}

/// Returns the position of a word in a list of its spellings.
fn position(word: &str, names: &[&str]) -> Option<i8> {
    let word = word.trim_matches('.');
    let has = |names: &&str| !word.is_empty() && names.split(' ').any(|name| name == word);
    names.iter().position(has).and_then(|at| i8::try_from(at + 1).ok())
}

fn weekday_named(word: &str) -> Option<Weekday> {
    weekday(word).and_then(|at| Weekday::from_monday_zero_offset(i8::try_from(at).ok()?).ok())
}

/// Reads `1st monday in september` and `last friday november`.
fn weekday_of_month(text: &str) -> Option<DaySpec> {
    let words = text.split([' ', ',']).filter(|word| !["", "the", "in", "of"].contains(word));
    let [which, day, month] = words.collect::<Vec<_>>()[..] else { return None };
    let (weekday, month) = (weekday_named(day)?, position(month, &MONTHS)?);
    match which {
        "last" => Some(DaySpec::Last { weekday, month, offset_days: 0 }),
        "other" | "one" | "two" | "three" | "four" | "five" => None,
        which => Some(nth(position(which, &ORDINALS)?, weekday, month, 0)),
    }
}

/// Reads `every 2 weeks from 2026-11-27`, `every other friday starting 2026-11-27`.
fn every(text: &str) -> Option<DaySpec> {
    let (series, start) = ["from", "starting", "since", "beginning", "after", "ab"]
        .iter()
        .find_map(|word| text.split_once(&format!(" {word} ")))?;
    let start =
        ["on ", "at ", "from "].iter().find_map(|word| start.strip_prefix(word)).unwrap_or(start);
    let DaySpec::Once(from) = date(start)? else { return None };
    let words: Vec<&str> = series.split(' ').filter(|word| *word != "on").collect();
    let (weeks, rest) = match words[..] {
        ["biweekly" | "fortnightly", ref rest @ ..] => (2, rest),
        ["weekly", ref rest @ ..] => (1, rest),
        ["every" | "each", count, ref rest @ ..] if !rest.is_empty() => {
            (number_of_weeks(count)?, rest)
        }
        ["every" | "each", ref rest @ ..] => (1, rest),
        _ => return None,
    };
    let is_week = |word: &str| ["week", "weeks", "wk", "wks"].contains(&word);
    let weekday = match rest {
        [] => None,
        [week] if is_week(week) => None,
        [day] => Some(weekday_named(day)?),
        [week, day] if is_week(week) => Some(weekday_named(day)?),
        _ => return None,
    };
    Some(DaySpec::EveryNth { weeks, weekday, from })
}

fn number_of_weeks(word: &str) -> Option<i32> {
    let digits = word.trim_end_matches(|c: char| "stndrh.".contains(c));
    let weeks = position(word, &ORDINALS).map(i32::from).or_else(|| number(digits));
    weeks.filter(|weeks| (1..=MAX_WEEKS).contains(weeks))
}

/// Removes the time of `2026-12-24 00:00:00` and `2026-12-24t00:00z`.
fn without_time(text: &str) -> &str {
    let Some((day, time)) = text.split_once([' ', 't']) else { return text };
    let is_time =
        time.contains(':') && time.chars().all(|c| c.is_ascii_digit() || ":.+-z".contains(c));
    if is_time { day } else { text }
}

/// Parts of a day; at least the day of the month.
#[derive(Clone, Copy, Default)]
struct Parts {
    year: Option<i16>,
    month: Option<i8>,
    day: i8,
}

impl Parts {
    fn date(self) -> Option<Date> {
        Date::new(self.year.unwrap_or(LEAP_YEAR), self.month?, self.day).ok()
    }

    fn spec(self) -> Option<DaySpec> {
        let date = self.date()?;
        Some(match self.year {
            Some(_) => DaySpec::Once(date),
            None => yearly(date.month(), date.day()),
        })
    }
}

fn date(text: &str) -> Option<DaySpec> {
    parts(text)?.spec()
}

/// Reads a day, or the part of one beside the other end of a range.
fn parts(text: &str) -> Option<Parts> {
    let words: Vec<&str> =
        text.split([' ', ',', '.', '/', '-']).filter(|word| !word.is_empty()).collect();
    let words = match words[..] {
        // `Friday, December 25`
        [day, ref rest @ ..]
            if !rest.is_empty() && weekday(day).is_some() && position(day, &MONTHS).is_none() =>
        {
            rest
        }
        ref all => all,
    };
    let fillers = ["the", "of", "de", "den", "der", "le", "el"];
    let words: Vec<&str> = words.iter().copied().filter(|word| !fillers.contains(word)).collect();
    let named = words.iter().position(|word| position(word, &MONTHS).is_some());
    match named {
        Some(at) => with_month_name(&words, at),
        None => numeric(&words, text),
    }
}

/// Reads a number of digits, with or without the ending of an ordinal.
fn day_number(word: &str) -> Option<i16> {
    let digits =
        ["st", "nd", "rd", "th", "er", "º", "ª"].iter().find_map(|end| word.strip_suffix(end));
    number(digits.unwrap_or(word))
}

/// Century of years with two digits.
const CENTURY: i16 = 2000;

/// Reads `25 dec`, `dec 25 2026` and `24-dec-26`, with the position of the month.
fn with_month_name(words: &[&str], at: usize) -> Option<Parts> {
    let month = position(words[at], &MONTHS);
    let numbers: Vec<i16> = words
        .iter()
        .enumerate()
        .filter(|(nth, _)| *nth != at)
        .map(|(_, word)| day_number(word))
        .collect::<Option<_>>()?;
    let (year, day) = match numbers[..] {
        [day] => (None, day),
        [year, day] if year >= 1000 => (Some(year), day),
        [day, year] if year >= 1000 => (Some(year), day),
        [day, year] if at == 1 && words[2].len() == 2 => (Some(CENTURY + year), day),
        _ => return None,
    };
    let day = i8::try_from(day).ok()?;
    Some(Parts { year, month, day })
}

/// Reads `7-4`, `24.12.`, `12/25/2026` and `20261224`; `None` when day and month are ambiguous.
fn numeric(words: &[&str], text: &str) -> Option<Parts> {
    if let [digits] = words
        && digits.len() == 8
        && digits.is_ascii()
    {
        return numeric(&[&digits[..4], &digits[4..6], &digits[6..]], "-");
    }
    let numbers: Vec<i16> = words.iter().map(|word| day_number(word)).collect::<Option<_>>()?;
    let is_year = |at: usize| words[at].len() == 4;
    let has_dots = text.contains('.') && !text.contains(['-', '/']);
    let (year, first, second) = match numbers[..] {
        [day] => return Some(Parts { day: i8::try_from(day).ok()?, ..Parts::default() }),
        [first, second] if is_year(1) => (Some(second), 0, first), // `26, 2026` beside a month
        [first, second] => (None, first, second),
        [year, first, second] if is_year(0) => (Some(year), first, second),
        [first, second, year] if is_year(2) => (Some(year), first, second),
        [first, second, year] if words[2].len() == 2 && (has_dots || text.contains('/')) => {
            (Some(CENTURY + year), first, second)
        }
        _ => return None,
    };
    let year_comes_first = words.len() == 3 && is_year(0);
    let day_comes_first = first > 12 || has_dots && !year_comes_first && first > 0;
    let is_ambiguous = words.len() == 3 && !year_comes_first && !day_comes_first && second <= 12;
    let (month, day) = if day_comes_first { (second, first) } else { (first, second) };
    let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    let month = Some(month).filter(|month| *month > 0);
    (!is_ambiguous).then_some(Parts { year, month, day })
}

/// Reads `12-24 - 12-26`, `dec 24 to jan 2`, `24.-26.12.2026`.
fn range(text: &str) -> Option<DaySpec> {
    let text = text.strip_prefix("from ").or(text.strip_prefix("vom ")).unwrap_or(text);
    let with_sign = replace_words(text, &TO, "..");
    if let Some((from, to)) = with_sign.split_once("..").or(with_sign.split_once(" - ")) {
        return ends(from, to);
    }
    // `24-12-26` is no range, and nobody knows which day it is.
    let is_numeric = text.bytes().all(|byte| byte.is_ascii_digit() || b"-/".contains(&byte));
    let is_whole = |end: &str| date(end).is_some();
    let signs = text.char_indices().filter(|(_, c)| "-/".contains(*c));
    let halves = signs.map(|(at, _)| (&text[..at], &text[at + 1..]));
    let mut found = halves
        .filter(|(from, to)| !is_numeric || is_whole(from) && is_whole(to))
        .filter_map(|(from, to)| ends(from, to));
    found.next()
}

/// Returns the range between two days, of which one may lack what the other has.
fn ends(from: &str, to: &str) -> Option<DaySpec> {
    let (mut from, mut to) = (parts(without_time(from.trim()))?, parts(without_time(to.trim()))?);
    let (own_from, own_to) = (from, to);
    from.month = own_from.month.or(own_to.month);
    to.month = own_to.month.or(own_from.month);
    from.year = own_from.year.or(own_to.year);
    to.year = own_to.year.or(own_from.year);
    let is_over_new_year = from.date()? > to.date()?;
    match (own_from.year, own_to.year) {
        (Some(year), None) if is_over_new_year => to.year = Some(year + 1),
        (None, Some(year)) if is_over_new_year => from.year = Some(year - 1),
        (Some(_), Some(_)) if is_over_new_year => return None,
        _ => {}
    }
    match (from.spec()?, to.spec()?) {
        (DaySpec::Once(from), DaySpec::Once(to)) if from <= to => Some(DaySpec::Range { from, to }),
        (DaySpec::Yearly(from), DaySpec::Yearly(to)) if from != to => {
            Some(DaySpec::YearlyRange { from, to })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = suggest(text).map(|day| day.to_string()).unwrap_or_default();
        assert_eq!(found, expected, "{text}");
        if !expected.is_empty() {
            assert!(DaySpec::parse(expected).is_ok(), "{expected}");
        }
    }

    #[test]
    fn days_as_people_write_them() {
        for text in [
            "Dec 25",
            "25 Dec",
            "December 25th",
            "Dec. 25",
            "25. Dezember",
            "25 de diciembre",
            "the 25th of December",
            "Friday, December 25",
            "25-Dec",
            "12/25",
            "25.12.",
            "25. 12.",
            "12-25",
            "Christmas Day",
            "25 décembre",
        ] {
            check(text, "12-25");
        }
        for text in [
            "24-Dec-26",
            "24-Dec-2026",
            "24 Dec 2026",
            "Dec 24, 2026",
            "2026 Dec 24",
            "20261224",
            "24.12.2026",
            "24. 12. 2026",
            "24.12.26",
            "12/24/26",
            "2026/12/24",
            "2026-12-24T00:00:00Z",
            "2026-12-24 00:00:00",
            "Thu, 24 Dec 2026",
            "24/12/2026",
        ] {
            check(text, "2026-12-24");
        }
        for text in [
            "04/05/2026",
            "04/05/26",
            "24-12-26",
            "Christmas party",
            "soon",
            "",
            "Dec",
            "32 Dec",
            "12",
            "2026",
            "2026-12",
            "12-24 and 12-26",
        ] {
            check(text, "");
        }
    }

    #[test]
    fn ranges_as_people_write_them() {
        for text in [
            "12-24 - 12-26",
            "12-24 to 12-26",
            "12-24 \u{2013} 12-26",
            "Dec 24-26",
            "24-26 Dec",
            "24.-26.12.",
            "24.12. bis 26.12.",
            "Dec 24 - Dec 26",
            "from Dec 24 until Dec 26",
            "12/24-12/26",
            "24.12.-26.12.",
            "Dec 24..Dec 26",
            "12-24-12-26",
        ] {
            check(text, "12-24..12-26");
        }
        for text in [
            "2026-12-24 - 2026-12-26",
            "2026-12-24/2026-12-26",
            "24.12. - 26.12.2026",
            "Dec 24-26, 2026",
            "24.-26.12.2026",
            "2026-12-24 to 12-26",
            "24.12.2026..26.12.2026",
        ] {
            check(text, "2026-12-24..2026-12-26");
        }
        check("Dec 24 - Jan 2", "12-24..01-02");
        check("24.12.2026 - 2.1.", "2026-12-24..2027-01-02");
        check("24.12. - 2.1.2027", "2026-12-24..2027-01-02");
        check("2026-12-26 - 2026-12-24", "");
    }

    #[test]
    fn weekdays_and_weeks_as_people_write_them() {
        check("1st monday in september", "1st mon of sep");
        check("First Monday of September", "1st mon of sep");
        check("last friday november", "last fri of nov");
        check("the 4th Thursday of November", "4th thu of nov");
        check("every 2 weeks from 2026-11-27", "every 2nd week from 2026-11-27");
        check("every other week starting 2026-11-27", "every 2nd week from 2026-11-27");
        check("every two weeks from Nov 27, 2026", "every 2nd week from 2026-11-27");
        check("every second Friday from 2026-11-27", "every 2nd fri from 2026-11-27");
        check("every 2 weeks on Friday from 2026-11-27", "every 2nd fri from 2026-11-27");
        check("biweekly from 2026-11-27", "every 2nd week from 2026-11-27");
        check("every fridays from 2026-11-27", "every fri from 2026-11-27");
        check("every 2 weeks", "");
        check("every 60 weeks from 2026-11-27", "");
    }

    #[test]
    fn holidays_by_name() {
        check("good friday", "easter-2");
        check("Karfreitag", "easter-2");
        check("Thanksgiving", "4th thu of nov");
        check("Memorial Day", "last mon of may");
        for (names, day) in HOLIDAYS {
            for name in names.split('|') {
                check(name, &day.to_string());
            }
        }
    }
}
