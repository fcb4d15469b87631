//! Reads opening hours as people write them, such as `Mo-Fr 9am–5:30pm`, and returns the lines that a
//! rule table has instead. Only help texts use them.

use super::{MINUTES_PER_DAY, TimeSpan, parse_spans, twelve_hours};
use crate::rules::model::spelling::{AND, TO, WEEKDAYS, number, plain, replace_words, weekday};

/// Correction of a key and its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Correction {
    /// Keys with their times.
    Lines(Vec<(String, String)>),
    /// The key is closed all day.
    Closed,
}

/// Corrects the times of days that are a key of `[hours.NAME]`. Times with days of their own override
/// the key.
pub(crate) fn correct_week(key: &str, times: &[&str]) -> Option<Correction> {
    let days_of_key = days(&plain(key));
    let times = plain_times(times);
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut is_closed = false;
    for text in &times {
        for (days, times) in clauses(text)? {
            let days = days.or_else(|| days_of_key.clone())?;
            let Times::Spans(times) = times else {
                is_closed = true;
                continue;
            };
            for day in days {
                match lines.iter_mut().find(|(known, _)| *known == day) {
                    Some((_, known)) => *known = format!("{known}, {times}"),
                    None => lines.push((day, times.clone())),
                }
            }
        }
    }
    lines_or_closed(in_the_afternoon(lines, &times), is_closed)
}

/// Returns the lines of a `[hours.NAME]` for days, for times, or for days with their times.
pub(crate) fn lines_of(text: &str) -> Option<String> {
    let found = correct_week("", &[text])
        .or_else(|| correct_week(text, &["00:00-24:00"]))
        .or_else(|| correct_week("mon-fri", &[text]))?;
    let Correction::Lines(lines) = found else { return None };
    let lines = lines.iter().map(|(days, times)| format!("{days} = \"{times}\""));
    Some(lines.collect::<Vec<_>>().join(" and "))
}

/// Corrects the times of a date, a key of `open`.
pub(crate) fn correct_date(key: &str, times: &[&str]) -> Option<Correction> {
    let times = plain_times(times);
    let mut spans = Vec::new();
    let mut is_closed = false;
    for text in &times {
        match read_times(text)? {
            Times::Spans(times) => spans.push(times),
            Times::Closed => is_closed = true,
        }
    }
    let lines = if spans.is_empty() { Vec::new() } else { vec![(key.into(), spans.join(", "))] };
    lines_or_closed(in_the_afternoon(lines, &times), is_closed)
}

/// Returns the texts in plain characters. A list that consists of a start and an end, `["09:00", "17:00"]`, is
/// one span.
fn plain_times(times: &[&str]) -> Vec<String> {
    let times: Vec<String> = times.iter().map(|text| plain(text)).collect();
    match &times[..] {
        [start, end] if read_time(start).is_some() && read_time(end).is_some() => {
            vec![format!("{start}-{end}")]
        }
        _ => times,
    }
}

/// Corrects spans that follow those of the morning, as in `8-12, 2-6`, unless a text says which half of the day
/// it means.
fn in_the_afternoon(mut lines: Vec<(String, String)>, times: &[String]) -> Vec<(String, String)> {
    if times.iter().any(|text| names_the_morning(text)) {
        return lines;
    }
    for (_, times) in &mut lines {
        if let Some(found) = twelve_hours::find(&[times]) {
            *times = found.meant;
        }
    }
    lines
}

/// Returns whether a time has the ending `am`, or is midnight.
fn names_the_morning(text: &str) -> bool {
    let after_digits = text.split(|c: char| c.is_ascii_digit()).skip(1);
    let mut endings = after_digits.map(|rest| rest.trim_start_matches([' ', ':', '.']));
    text.contains("midnight")
        || endings.any(|rest| rest.starts_with("am") || rest.starts_with("a.m"))
}

/// Returns the correction, provided that a rule table accepts it.
fn lines_or_closed(lines: Vec<(String, String)>, is_closed: bool) -> Option<Correction> {
    match lines.is_empty() {
        true => is_closed.then_some(Correction::Closed),
        false => {
            let accepted = lines.iter().all(|(_, times)| parse_spans(times).is_ok());
            accepted.then_some(Correction::Lines(lines))
        }
    }
}

/// Times of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Times {
    /// Spans in the form of a rule table.
    Spans(String),
    Closed,
}

/// Splits `mon-fri 9-17, sat 10-14` into days and their times. Days that stand alone belong to the
/// next times, and times that stand alone to the days before.
fn clauses(text: &str) -> Option<Vec<(Option<Vec<String>>, Times)>> {
    if let Some(times) = read_times(text) {
        return Some(vec![(None, times)]);
    }
    let mut clauses = Vec::new();
    let mut pending = String::new();
    let mut current: Option<Vec<String>> = None;
    for part in text.split([',', ';']).map(str::trim).filter(|part| !part.is_empty()) {
        if days(part).is_some() {
            pending = if pending.is_empty() { part.into() } else { format!("{pending}, {part}") };
            continue;
        }
        let (own, times) = split_days(part);
        if !own.is_empty() {
            current = Some(days(&match pending.is_empty() {
                true => own.to_owned(),
                false => format!("{pending}, {own}"),
            })?);
        } else if !pending.is_empty() {
            current = Some(days(&pending)?);
        }
        pending.clear();
        clauses.push((current.clone(), read_times(times)?));
    }
    (pending.is_empty() && !clauses.is_empty()).then_some(clauses)
}

/// Splits a text before its first time.
fn split_days(text: &str) -> (&str, &str) {
    let is_digit = |c: char| c.is_ascii_digit();
    let words = ["closed", "off", "noon", "midnight", "open", "all day"];
    let starts = words.iter().filter_map(|word| text.find(word)).chain(text.find(is_digit));
    let start = starts.min().unwrap_or(text.len());
    let (days, times) = text.split_at(start);
    (days.trim_matches([' ', ':', '-']), times)
}

/// Words for several days.
const GROUPS: [(&str, &str); 19] = [
    ("weekdays", "mon-fri"),
    ("weekday", "mon-fri"),
    ("workdays", "mon-fri"),
    ("working days", "mon-fri"),
    ("business days", "mon-fri"),
    ("weekend", "sat-sun"),
    ("weekends", "sat-sun"),
    ("daily", "mon-sun"),
    ("everyday", "mon-sun"),
    ("every day", "mon-sun"),
    ("all days", "mon-sun"),
    ("all", "mon-sun"),
    ("week", "mon-sun"),
    ("täglich", "mon-sun"),
    ("tous les jours", "mon-sun"),
    ("todos los días", "mon-sun"),
    ("all week", "mon-sun"),
    ("7 days a week", "mon-sun"),
    ("24/7", "mon-sun"),
];

/// Reads days into keys of a rule table: `sat & sun` into `sat-sun`, `mon, wed` into two keys.
fn days(text: &str) -> Option<Vec<String>> {
    let text = &text.replace('_', "-");
    if let Some((_, range)) = GROUPS.iter().find(|(words, _)| *words == text) {
        return Some(vec![(*range).to_owned()]);
    }
    let text = replace_words(&replace_words(text, &TO, "-"), &AND, ",");
    let parts =
        text.split([',', ';', '&', '+', '/']).map(|part| part.trim_matches([' ', ':', '.']));
    let mut chosen = [false; 7];
    let mut ranges = Vec::new();
    for part in parts {
        if let Some((_, range)) = GROUPS.iter().find(|(words, _)| *words == part) {
            ranges.push((*range).to_owned());
            let (first, last) = range.split_once('-')?;
            mark(&mut chosen, weekday(first)?, weekday(last)?);
            continue;
        }
        let (first, last) = match weekday(part) {
            // `segunda-feira`
            Some(day) => (day, day),
            None => {
                let (first, last) = part.split_once('-')?;
                (weekday(first)?, weekday(last)?)
            }
        };
        mark(&mut chosen, first, last);
        ranges.push(range(first, last));
    }
    if ranges.len() > 1 { Some(runs(&chosen)) } else { Some(ranges) }
}

fn mark(chosen: &mut [bool; 7], first: usize, last: usize) {
    let length = (last + 7 - first) % 7;
    (first..=first + length).for_each(|day| chosen[day % 7] = true);
}

fn range(first: usize, last: usize) -> String {
    let (first, last) = (WEEKDAYS[first].0, WEEKDAYS[last].0);
    if first == last { first.to_owned() } else { format!("{first}-{last}") }
}

/// Returns the keys for these days, a range for days in a row.
fn runs(chosen: &[bool; 7]) -> Vec<String> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (day, _) in chosen.iter().enumerate().filter(|(_, chosen)| **chosen) {
        match runs.last_mut().filter(|(_, last)| last + 1 == day) {
            Some((_, last)) => *last = day,
            None => runs.push((day, day)),
        }
    }
    runs.into_iter().map(|(first, last)| range(first, last)).collect()
}

const CLOSED: [&str; 10] = [
    "closed",
    "close",
    "off",
    "none",
    "no",
    "-",
    "closed all day",
    "geschlossen",
    "fermé",
    "cerrado",
];

const ALL_DAY: [&str; 14] = [
    "24/7",
    "24x7",
    "24h",
    "24 h",
    "24 hours",
    "24 hrs",
    "24hrs",
    "24 hours a day",
    "all day",
    "allday",
    "always",
    "round the clock",
    "around the clock",
    "24 stunden",
];

/// Reads the times of a day.
fn read_times(text: &str) -> Option<Times> {
    let text = text.trim_matches([' ', '.', ':', '(', ')']);
    if CLOSED.contains(&text) {
        return Some(Times::Closed);
    }
    let text = text.strip_prefix("open ").or(text.strip_suffix(" open")).unwrap_or(text);
    if text == "open" || ALL_DAY.contains(&text) {
        return Some(Times::Spans("00:00-24:00".into()));
    }
    let text = replace_words(&replace_words(text, &TO, "-"), &AND, ",");
    let text = replace_words(
        &text,
        &[
            "uhr", "hrs", "hours", "o'clock", "from", "von", "h", "de", "des", "dalle", "alle",
            "das", "van",
        ],
        "",
    );
    let text = with_commas(&text);
    let spans: Option<Vec<String>> = text.split([',', ';', '&', '/', '+']).map(read_span).collect();
    Some(Times::Spans(spans?.join(", ")))
}

/// Separates spans that stand beside each other: `09:00-12:00 13:00-17:00`.
fn with_commas(text: &str) -> String {
    let text =
        text.split_whitespace().collect::<Vec<_>>().join(" ").replace(" -", "-").replace("- ", "-");
    let is_span = |part: &str| {
        let ends = part.split_once('-');
        ends.is_some_and(|(start, end)| read_time(start).is_some() && read_time(end).is_some())
    };
    match text.split(' ').count() > 1 && text.split(' ').all(is_span) {
        true => text.replace(' ', ","),
        false => text,
    }
}

/// Starts that are after noon when no half of the day is named, in minutes: few places open between 1 and 5 at night.
const AFTERNOON: std::ops::Range<u16> = 60..5 * 60;

/// Reads a span such as `9am - 5:30pm` or `0900-1700`.
fn read_span(text: &str) -> Option<String> {
    let (start, end) = text.split_once('-')?;
    let (start, end) = (read_time(start)?, read_time(end)?);
    let mut from = start.minute(start.half.or(end.half.filter(|_| start.is_twelve_hour())))?;
    let mut until = end.minute(end.half)?;
    if from >= until && start.half.is_none() && end.half == Some(Half::Pm) {
        from = start.minute(None)?; // 9-5pm
    }
    let is_bare = start.is_twelve_hour() && end.is_twelve_hour() && end.half.is_none();
    if until <= from && is_bare && start.half != Some(Half::Pm) && until > 0 {
        until += MINUTES_PER_DAY / 2; // 9-5 and 9am-5
    }
    if is_bare && start.half.is_none() && AFTERNOON.contains(&from) && until < MINUTES_PER_DAY / 2 {
        (from, until) = (from + MINUTES_PER_DAY / 2, until + MINUTES_PER_DAY / 2); // 2-6
    }
    if end.is_last_minute() || until == 0 {
        until = MINUTES_PER_DAY;
    }
    if from == MINUTES_PER_DAY {
        from = 0;
    }
    if from == until || until > MINUTES_PER_DAY {
        return None;
    }
    let end = if until < from { until + MINUTES_PER_DAY } else { until };
    Some(TimeSpan { start: from, end }.to_string())
}

/// Half of the day that a time names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Am,
    Pm,
}

/// A time with what its form says about the clock.
#[derive(Clone, Copy)]
struct WrittenTime {
    hour: u16,
    minute: u16,
    half: Option<Half>,
    /// The hour begins with a zero, as on a 24-hour clock.
    has_leading_zero: bool,
}

impl WrittenTime {
    /// Returns noon, `Pm`, or midnight, `Am`.
    fn twelve(half: Half) -> WrittenTime {
        WrittenTime { hour: 12, minute: 0, half: Some(half), has_leading_zero: false }
    }

    fn is_twelve_hour(self) -> bool {
        (1..=12).contains(&self.hour) && !self.has_leading_zero
    }

    fn is_last_minute(self) -> bool {
        self.minute == 59 && matches!((self.hour, self.half), (23, None) | (11, Some(Half::Pm)))
    }

    /// Returns the minute of the day, in this half of it.
    fn minute(self, half: Option<Half>) -> Option<u16> {
        let hour = match half.filter(|_| (1..=12).contains(&self.hour)) {
            Some(Half::Pm) => self.hour % 12 + 12,
            Some(Half::Am) => self.hour % 12,
            None => self.hour,
        };
        let minute = hour * 60 + self.minute;
        (self.minute < 60 && minute <= MINUTES_PER_DAY).then_some(minute)
    }
}

fn read_time(text: &str) -> Option<WrittenTime> {
    let text = text.replace(' ', "");
    match text.as_str() {
        "noon" | "12noon" | "midday" | "mittag" => return Some(WrittenTime::twelve(Half::Pm)),
        "midnight" | "12midnight" | "mitternacht" => return Some(WrittenTime::twelve(Half::Am)),
        _ => {}
    }
    let suffixes = [
        ("a.m.", Half::Am),
        ("am", Half::Am),
        ("a.m", Half::Am),
        ("p.m.", Half::Pm),
        ("pm", Half::Pm),
        ("p.m", Half::Pm),
    ];
    let half = suffixes.iter().find_map(|(suffix, half)| Some((text.strip_suffix(suffix)?, *half)));
    let (text, half) = half.map_or((text.as_str(), None), |(text, half)| (text, Some(half)));
    let text = text.strip_suffix("uhr").unwrap_or(text).trim_end_matches(['h', '.', ':']);
    let short = |text: &str| number::<u16>(text).filter(|_| text.len() <= 2);
    let mut parts = text.split([':', '.', 'h']);
    let (first, second, third) = (parts.next()?, parts.next(), parts.next());
    let (hour, minute) = match second {
        Some(minute) => (first, short(minute)?),
        None if (3..=4).contains(&first.len()) && first.is_ascii() => {
            let (hour, minute) = first.split_at(first.len() - 2);
            (hour, short(minute)?)
        }
        None => (first, 0),
    };
    let is_end_of_day = || hour == "23" && minute == 59 && third == Some("59");
    if parts.next().is_some() || third.is_some_and(|second| second != "00") && !is_end_of_day() {
        return None;
    }
    let has_leading_zero = hour.len() == 2 && hour.starts_with('0');
    Some(WrittenTime { hour: short(hour)?, minute, half, has_leading_zero })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::model::hours::parse_weekdays;

    #[track_caller]
    fn check(key: &str, times: &str, expected: &[(&str, &str)]) {
        let correction = correct_week(key, &[times]);
        let expected: Vec<(String, String)> =
            expected.iter().map(|(day, times)| ((*day).into(), (*times).into())).collect();
        assert_eq!(correction, Some(Correction::Lines(expected.clone())), "{key} = {times}");
        for (days, times) in expected {
            assert!(parse_weekdays(&days).is_ok(), "{days}");
            assert!(parse_spans(&times).is_ok(), "{times}");
        }
    }

    #[test]
    fn times_as_people_write_them() {
        let day = |times: &str, expected| check("mon-fri", times, &[("mon-fri", expected)]);
        for times in [
            "9 AM\u{2013}5 PM",
            "9\u{202f}AM\u{2009}\u{2013}\u{2009}5\u{202f}PM",
            "9am-5pm",
            "9 a.m. to 5 p.m.",
            "9-5pm",
            "9am-5",
            "9-17",
            "9-5",
            "9:00 to 5:00",
            "9.00-17.00",
            "0900-1700",
            "900-1700",
            "09h00-17h00",
            "9h-17h",
            "9:00 to 17:00",
            "09:00\u{2013}17:00",
            "09:00\u{2014}17:00",
            "09:00\u{a0}-\u{a0}17:00",
            "9:00-17:00 Uhr",
            "9 Uhr - 17 Uhr",
            "9 bis 17 Uhr",
            "from 9 to 17",
            "09:00:00-17:00:00",
            "open 9-17",
        ] {
            day(times, "09:00-17:00");
        }
        day("9am - 5:30pm", "09:00-17:30");
        day("09h00-17h30", "09:00-17:30");
        day("1-5pm", "13:00-17:00");
        day("9am-noon, 1pm-6pm", "09:00-12:00, 13:00-18:00");
        day("9-12 and 13-17", "09:00-12:00, 13:00-17:00");
        day("9:00-12:00 / 13:00-17:00", "09:00-12:00, 13:00-17:00");
        day("9:00-12:00;13:00-17:00", "09:00-12:00, 13:00-17:00");
        day("noon-midnight", "12:00-24:00");
        day("5pm-2am", "17:00-02:00");
        day("22-6", "22:00-06:00");
        day("22:00 to 6:00", "22:00-06:00");
        day("midnight to noon", "00:00-12:00");
        day("12pm-12am", "12:00-24:00");
        for times in [
            "24/7",
            "24 hours",
            "Open 24 hours",
            "all day",
            "0-24",
            "00:00-23:59",
            "00:00-23:59:59",
            "12:00 AM - 11:59 PM",
            "midnight-midnight",
            "24h",
        ] {
            day(times, "00:00-24:00");
        }
        day("18:00-23:59", "18:00-24:00");
    }

    #[test]
    fn a_second_span_without_a_half_is_in_the_afternoon() {
        let day = |times: &str, expected| check("mon-fri", times, &[("mon-fri", expected)]);
        day("8-12, 2-6", "08:00-12:00, 14:00-18:00");
        day("10-2, 4-8", "10:00-14:00, 16:00-20:00");
        day("8:30-12 and 1:30-5", "08:30-12:00, 13:30-17:00");
        day("8-12, 1-17", "08:00-12:00, 13:00-17:00");
        day("9-12, 13-17", "09:00-12:00, 13:00-17:00");
        day("8am-12pm, 2pm-6pm", "08:00-12:00, 14:00-18:00");
        day("8am-12pm, 2am-6am", "08:00-12:00, 02:00-06:00");
        day("2-6", "14:00-18:00");
        day("1-5, 8-10pm", "13:00-17:00, 20:00-22:00");
        day("2am-6", "02:00-06:00");
        day("5-9", "05:00-09:00");
        check("Samstag", "8-12, 2-6", &[("sat", "08:00-12:00, 14:00-18:00")]);
        check("week", "Mo-Fr 8-12, 2-6", &[("mon-fri", "08:00-12:00, 14:00-18:00")]);
        let lines = vec![("12-24".into(), "08:00-12:00, 14:00-18:00".into())];
        assert_eq!(correct_date("12-24", &["8-12, 2-6"]), Some(Correction::Lines(lines)));
    }

    #[test]
    fn days_as_people_write_them() {
        let days = |key: &str, expected: &[&str]| {
            let lines: Vec<_> = expected.iter().map(|day| (*day, "09:00-17:00")).collect();
            check(key, "09:00-17:00", &lines);
        };
        for key in [
            "Mo-Fr",
            "Mon \u{2013} Fri",
            "weekdays",
            "Monday to Friday",
            "Mon.-Fri.",
            "mo bis fr",
            "mondays-fridays",
            "mon,tue,wed,thu,fri",
            "Montag - Freitag",
        ] {
            days(key, &["mon-fri"]);
        }
        days("mon,tue", &["mon-tue"]);
        days("sat & sun", &["sat-sun"]);
        days("weekend", &["sat-sun"]);
        days("sat and sun", &["sat-sun"]);
        days("daily", &["mon-sun"]);
        days("mon/wed/fri", &["mon", "wed", "fri"]);
        days("mon-thu, sat", &["mon-thu", "sat"]);
        days("fr-mo", &["fri-mon"]);
        days("Tues", &["tue"]);
    }

    #[test]
    fn days_and_times_in_one_text() {
        check("mon", "Mo-Fr 09:00-17:00", &[("mon-fri", "09:00-17:00")]);
        check("openingHours", "Mo-Fr 09:00-17:00", &[("mon-fri", "09:00-17:00")]);
        let two = [("mon-fri", "09:00-17:00"), ("sat", "10:00-14:00")];
        check("hours", "Mo-Fr 09:00-17:00, Sa 10:00-14:00", &two);
        check("hours", "Mon-Fri: 9am-5pm; Sat: 10am-2pm; Sun: closed", &two);
        let twice = [("mon-fri", "09:00-12:00, 13:00-17:00")];
        check("hours", "Mo-Fr 09:00-12:00, 13:00-17:00", &twice);
        check("hours", "Mo,Tu 09:00-17:00", &[("mon-tue", "09:00-17:00")]);
        check("24/7", "open", &[("mon-sun", "00:00-24:00")]);
    }

    #[test]
    fn a_closed_day_has_no_line() {
        for times in ["closed", "Closed", "off", "-"] {
            assert_eq!(correct_week("sun", &[times]), Some(Correction::Closed), "{times}");
            assert_eq!(correct_date("2026-12-24", &[times]), Some(Correction::Closed), "{times}");
        }
        let lines = vec![("2026-12-24".into(), "09:00-12:00".into())];
        assert_eq!(correct_date("2026-12-24", &["9-12"]), Some(Correction::Lines(lines)));
    }

    #[test]
    fn what_cannot_be_read_has_no_correction() {
        for times in ["", "by appointment", "09:00", "25-26", "9:75-10:00", "9-12-15", "morning"] {
            assert_eq!(correct_week("mon", &[times]), None, "{times}");
        }
        for days in ["someday", "", "mon-funday"] {
            assert_eq!(correct_week(days, &["09:00-17:00"]), None, "{days}");
        }
    }
}
