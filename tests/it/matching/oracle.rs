//! The rule language once more, as its documentation tells it: on texts, rule by rule, with nothing
//! of the code that it is held against but the table of countries.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::civil::{DateTime, Weekday, date, time};
use jiff::tz::TimeZone;
use switchboard::domain::call::Channel;
use switchboard::domain::phone_number::Country;

use super::sheet::{Action, Line, Row, SOURCES, Setting, Sheet, Side};

/// What becomes of a call.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    /// The rule that decides.
    pub(super) rule: Option<String>,
    /// Those that add before it.
    pub(super) by: Vec<String>,
    /// `agent desk`, `reject blocklist`, `keep`; of a split only that it is one.
    pub(super) outcome: String,
    pub(super) variables: BTreeMap<String, String>,
}

/// The first rule that fits decides; those that continue add.
pub(super) fn tell(sheet: &Sheet, from: &str, to: &str, setting: &Setting) -> Told {
    let mut told = Told { outcome: "keep".to_owned(), ..Told::default() };
    for (at, line) in sheet.rules.iter().enumerate() {
        if !fits(sheet, line, from, to, setting) {
            continue;
        }
        let name = format!("r{at}");
        let row = row_of(sheet, line, from, to);
        let variables = line.variables.iter();
        told.variables.extend(variables.map(|variable| (variable.to_string(), name.clone())));
        if line.row_of().is_some() {
            let tier = row.map(|row| row.tier).filter(|tier| !tier.is_empty());
            told.variables.insert("tier".to_owned(), tier.unwrap_or("none").to_owned());
        }
        if line.does == Action::Continue {
            told.by.push(name);
            continue;
        }
        told.rule = Some(name);
        told.outcome = outcome(line, row, SOURCES[setting.source].1);
        break;
    }
    told
}

fn outcome(line: &Line, row: Option<&Row>, platform: &str) -> String {
    let agent = match &line.does {
        Action::Agent(agent) => agent,
        Action::AgentOfRow if line.row_of().is_some() => {
            row.map(|row| row.agent).filter(|agent| !agent.is_empty()).unwrap_or("desk")
        }
        Action::Split(_) => return "split".to_owned(),
        Action::Reject(reason) => return format!("reject {reason}"),
        Action::AgentOfRow | Action::Keep | Action::Continue => return "keep".to_owned(),
    };
    // The one that has no id everywhere.
    if agent == "texting" && platform == "synthflow" {
        return "keep".to_owned();
    }
    format!("agent {agent}")
}

/// In a rule all keys have to hold.
pub(super) fn fits(sheet: &Sheet, line: &Line, from: &str, to: &str, setting: &Setting) -> bool {
    !line.off
        && numbers(sheet, &line.to, to)
        && numbers(sheet, &line.from, from)
        && besides_numbers(line, setting)
        && wheres(sheet, line, from, to, setting)
}

fn besides_numbers(line: &Line, setting: &Setting) -> bool {
    let channel = match setting.channel {
        Channel::Call => "call",
        Channel::Sms => "sms",
    };
    let (source, platform) = SOURCES[setting.source];
    any_but(&line.channel, |one| one == channel)
        && any_but(&line.platform, |one| one == platform)
        && any_but(&line.source, |one| one == source)
        && any_but(&line.hours, |hours| are_open(hours, setting))
        && any_but(&line.dates, |_| is_holiday(clock("America/New_York", setting)))
}

/// Whether it is for voice calls, among others.
pub(super) fn is_for_calls(line: &Line) -> bool {
    any_but(&line.channel, |one| one == "call")
}

/// Any of the words, but none of those with a `!`.
fn any_but<S: AsRef<str>>(words: &[S], is: impl Fn(&str) -> bool) -> bool {
    let words = || words.iter().map(AsRef::as_ref);
    let mut positive = words().filter(|word| !word.starts_with('!')).peekable();
    let wanted = positive.peek().is_none() || positive.any(&is);
    wanted && !words().filter_map(|word| word.strip_prefix('!')).any(|word| is(word.trim()))
}

/// Who withholds the number fits only `withheld`, and what asks for nothing.
pub(super) fn numbers(sheet: &Sheet, patterns: &[String], party: &str) -> bool {
    let says_withheld = patterns.iter().any(|pattern| pattern == "withheld");
    let shown = !is_withheld(party) || says_withheld || patterns.is_empty();
    shown && any_but(patterns, |pattern| is_for(sheet, pattern, party))
}

fn is_withheld(party: &str) -> bool {
    ["", "anonymous", "withheld"].contains(&party)
}

fn is_for(sheet: &Sheet, pattern: &str, party: &str) -> bool {
    if let Some(list) = pattern.strip_prefix('@') {
        return row(sheet, list, party).is_some();
    }
    if pattern == "withheld" {
        return is_withheld(party);
    }
    if let Some(text) = pattern.strip_prefix('=') {
        return text.eq_ignore_ascii_case(party);
    }
    // No country code starts with 0.
    let digits = party.strip_prefix('+').filter(|digits| !digits.starts_with('0'));
    let Some(digits) = digits else { return false };
    let Some(wanted) = pattern.strip_prefix('+') else { return country(digits) == pattern };
    let wanted = wanted.replace([' ', '-', '(', ')'], "");
    match wanted.strip_suffix('*') {
        Some(prefix) => digits.starts_with(prefix),
        None => {
            let same = |(wanted, digit)| wanted == 'X' || wanted == digit;
            wanted.len() == digits.len() && wanted.chars().zip(digits.chars()).all(same)
        }
    }
}

fn country(digits: &str) -> String {
    let value = digits.parse().expect("digits");
    let country = Country::from_digits(value, digits.len() as u8);
    country.map(|country| country.to_string()).unwrap_or_default()
}

/// The number's own row before that of a prefix, a longer prefix before a shorter one; of the same
/// the first.
fn row<'s>(sheet: &'s Sheet, list: &str, party: &str) -> Option<&'s Row> {
    let rows = sheet.list(list).iter().filter(|row| is_for(sheet, &row.number, party));
    rows.min_by_key(|row| {
        let is_prefix = row.number.ends_with('*');
        (is_prefix, Reverse(if is_prefix { row.number.len() } else { 0 }))
    })
}

/// The row that `where` and `${…}` of this rule look into.
fn row_of<'s>(sheet: &'s Sheet, line: &Line, from: &str, to: &str) -> Option<&'s Row> {
    let (list, side) = line.row_of()?;
    row(sheet, list, if side == Side::To { to } else { from })
}

/// What is unknown never fits.
fn wheres(sheet: &Sheet, line: &Line, from: &str, to: &str, setting: &Setting) -> bool {
    let tier = row_of(sheet, line, from, to).map(|row| row.tier).filter(|tier| !tier.is_empty());
    let header = setting.headers.iter().rev().find(|(name, _)| *name == "x-tier");
    let says = |wanted: &[&str], actual: Option<&str>| {
        wanted.is_empty() || actual.is_some_and(|actual| any_but(wanted, |one| says(one, actual)))
    };
    (line.row_of().is_none() || says(&line.tier, tier))
        && says(&line.header, header.map(|(_, value)| *value))
}

fn says(wanted: &str, actual: &str) -> bool {
    let Some((sign, number)) = wanted.split_once(' ') else { return wanted == actual };
    let Ok(actual) = actual.trim().parse::<f64>() else { return false };
    let number: f64 = number.parse().expect("a number behind the comparison");
    match sign {
        ">=" => actual >= number,
        "<=" => actual <= number,
        ">" => actual > number,
        "<" => actual < number,
        other => panic!("nobody compares with {other}"),
    }
}

fn clock(zone: &str, setting: &Setting) -> DateTime {
    setting.at.to_zoned(TimeZone::get(zone).expect("a zone")).datetime()
}

fn are_open(hours: &str, setting: &Setting) -> bool {
    match hours {
        "office" => {
            let now = clock("America/New_York", setting);
            let weekend = [Weekday::Saturday, Weekday::Sunday].contains(&now.weekday());
            let open = (time(9, 30, 0, 0)..time(17, 15, 0, 0)).contains(&now.time());
            open && !weekend && !is_holiday(now)
        }
        "berlin-night" => {
            let day = time(7, 0, 0, 0)..time(22, 30, 0, 0);
            !day.contains(&clock("Europe/Berlin", setting).time())
        }
        other => panic!("there are no hours {other}"),
    }
}

fn is_holiday(now: DateTime) -> bool {
    let today = now.date();
    (today.month(), today.day()) == (12, 25)
        || (date(2026, 7, 3)..=date(2026, 7, 5)).contains(&today)
}
