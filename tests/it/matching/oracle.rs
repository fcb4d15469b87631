//! An independent implementation of the rule language, written from its documentation: it works on text,
//! rule by rule. It shares only the country table with the code under test.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::civil::{DateTime, Weekday, date, time};
use jiff::tz::TimeZone;
use switchboard::domain::call::Channel;
use switchboard::domain::phone_number::Country;

use super::model::{Action, CallContext, Row, RuleModel, SOURCES, Side, TableModel};

/// Decision about a call.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Summary {
    /// The deciding rule.
    pub(super) rule: Option<String>,
    /// The rules with `continue` that match before it.
    pub(super) added_by: Vec<String>,
    /// `agent desk`, `transfer +12135550199`, `reject blocklist`, `keep` or `split`.
    pub(super) outcome: String,
    pub(super) variables: BTreeMap<String, String>,
}

/// Decides a call by the first matching rule, with the additions of matching rules that continue.
pub(super) fn decide(model: &TableModel, from: &str, to: &str, context: &CallContext) -> Summary {
    let mut summary = Summary { outcome: "keep".to_owned(), ..Summary::default() };
    for (at, rule) in model.rules.iter().enumerate() {
        if !matches(model, rule, from, to, context) {
            continue;
        }
        let name = format!("r{at}");
        let row = lookup_row(model, rule, from, to);
        let variables = rule.variables.iter();
        summary.variables.extend(variables.map(|variable| (variable.to_string(), name.clone())));
        if rule.lookup_list().is_some() {
            let tier = row.map(|row| row.tier).filter(|tier| !tier.is_empty());
            summary.variables.insert("tier".to_owned(), tier.unwrap_or("none").to_owned());
        }
        if rule.action == Action::Continue {
            summary.added_by.push(name);
            continue;
        }
        summary.rule = Some(name);
        summary.outcome = outcome(rule, row, SOURCES[context.source].1);
        break;
    }
    summary
}

fn outcome(rule: &RuleModel, row: Option<&Row>, platform: &str) -> String {
    let agent = match &rule.action {
        Action::Agent(agent) => agent,
        Action::AgentOfRow if rule.lookup_list().is_some() => {
            row.map(|row| row.agent).filter(|agent| !agent.is_empty()).unwrap_or("desk")
        }
        Action::Split(_) => return "split".to_owned(),
        Action::SplitOfRow if rule.lookup_list().is_some() => return "split".to_owned(),
        // Only Vapi transfers calls, and it rejects none without a text.
        Action::Transfer(target) if platform == "vapi" => return format!("transfer {target}"),
        Action::Reject(reason) if platform != "vapi" => return format!("reject {reason}"),
        Action::Transfer(_) | Action::Reject(_) => return "keep".to_owned(),
        Action::AgentOfRow | Action::SplitOfRow | Action::Keep | Action::Continue => {
            return "keep".to_owned();
        }
    };
    // These agents have no id at these platforms.
    let has_no_id = match agent {
        "texting" => platform != "retell",
        "night" => platform == "vapi",
        _ => false,
    };
    if has_no_id {
        return "keep".to_owned();
    }
    format!("agent {agent}")
}

/// Returns whether all conditions of a rule match.
pub(super) fn matches(
    model: &TableModel,
    rule: &RuleModel,
    from: &str,
    to: &str,
    context: &CallContext,
) -> bool {
    !rule.disabled
        && matches_party(model, &rule.to, to)
        && matches_party(model, &rule.from, from)
        && matches_context(rule, context)
        && matches_hours(rule, lookup_row(model, rule, from, to), context)
        && (rule.action != Action::SplitOfRow
            || rule.lookup_list().is_none()
            || lookup_row(model, rule, from, to).is_some_and(|row| !row.split.is_empty()))
        && matches_where(model, rule, from, to, context)
        && rule.scope.as_ref().is_none_or(|scope| matches(model, scope, from, to, context))
}

fn matches_context(rule: &RuleModel, context: &CallContext) -> bool {
    let channel = match context.channel {
        Channel::Call => "call",
        Channel::Sms => "sms",
    };
    let (source, platform) = SOURCES[context.source];
    matches_selector(&rule.channel, |one| one == channel)
        && matches_selector(&rule.platform, |one| one == platform)
        && matches_selector(&rule.source, |one| one == source)
        && matches_id(&rule.number_id, context.number_id)
        && matches_selector(&rule.dates, |_| is_holiday(clock("America/New_York", context)))
}

/// Returns whether `number_id` matches. A call without an id matches none.
fn matches_id(words: &[&str], id: Option<&str>) -> bool {
    words.is_empty() || id.is_some_and(|id| matches_selector(words, |one| one == id))
}

/// Returns whether `hours` matches. A row without hours never matches.
fn matches_hours(rule: &RuleModel, row: Option<&Row>, context: &CallContext) -> bool {
    let words = rule.hours.iter().copied();
    let has_list = rule.lookup_list().is_some();
    let words: Vec<_> = words.filter(|word| has_list || !word.contains("ROW")).collect();
    let of_row = row.map(|row| row.hours).filter(|hours| !hours.is_empty());
    if of_row.is_none() && words.iter().any(|word| word.contains("ROW")) {
        return false;
    }
    matches_selector(&words, |hours| {
        is_open(if hours == "ROW" { of_row.unwrap_or_default() } else { hours }, context)
    })
}

/// Returns whether a rule can match voice calls.
pub(super) fn can_match_calls(rule: &RuleModel) -> bool {
    matches_selector(&rule.channel, |one| one == "call")
}

/// Returns whether `matches` holds for any word without `!` (or there are none), and for no word with `!`.
fn matches_selector<S: AsRef<str>>(words: &[S], matches: impl Fn(&str) -> bool) -> bool {
    let words = || words.iter().map(AsRef::as_ref);
    let mut positive = words().filter(|word| !word.starts_with('!')).peekable();
    let is_selected = positive.peek().is_none() || positive.any(&matches);
    let mut negated = words().filter_map(|word| word.strip_prefix('!'));
    is_selected && !negated.any(|word| matches(word.trim()))
}

/// Returns whether patterns match a party. A withheld number matches only `withheld`, and no patterns at
/// all.
pub(super) fn matches_party(model: &TableModel, patterns: &[String], party: &str) -> bool {
    let has_withheld = patterns.iter().any(|pattern| pattern == "withheld");
    let can_match = !is_withheld(party) || has_withheld || patterns.is_empty();
    can_match && matches_selector(patterns, |pattern| matches_pattern(model, pattern, party))
}

fn is_withheld(party: &str) -> bool {
    ["", "anonymous", "withheld"].contains(&party)
}

fn matches_pattern(model: &TableModel, pattern: &str, party: &str) -> bool {
    if let Some(list) = pattern.strip_prefix('@') {
        return row(model, list, party).is_some();
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

/// Returns the row of a list that matches a party: an exact number wins over a prefix, a longer prefix over
/// a shorter one, and an earlier row over a later one.
fn row<'s>(model: &'s TableModel, list: &str, party: &str) -> Option<&'s Row> {
    let rows = model.list(list).iter().filter(|row| matches_pattern(model, &row.number, party));
    rows.min_by_key(|row| {
        let is_prefix = row.number.ends_with('*');
        (is_prefix, Reverse(if is_prefix { row.number.len() } else { 0 }))
    })
}

/// Returns the row that `where` and `${…}` of a rule use.
fn lookup_row<'s>(
    model: &'s TableModel,
    rule: &RuleModel,
    from: &str,
    to: &str,
) -> Option<&'s Row> {
    let (list, side) = rule.lookup_list()?;
    row(model, list, if side == Side::To { to } else { from })
}

/// Returns whether `where` matches. An unknown value never matches.
fn matches_where(
    model: &TableModel,
    rule: &RuleModel,
    from: &str,
    to: &str,
    context: &CallContext,
) -> bool {
    let tier =
        lookup_row(model, rule, from, to).map(|row| row.tier).filter(|tier| !tier.is_empty());
    let header = context.headers.iter().rev().find(|(name, _)| *name == "x-tier");
    let matches = |wanted: &[&str], actual: Option<&str>| {
        wanted.is_empty()
            || actual
                .is_some_and(|actual| matches_selector(wanted, |one| value_matches(one, actual)))
    };
    (rule.lookup_list().is_none() || matches(&rule.tier, tier))
        && matches(&rule.header, header.map(|(_, value)| *value))
        && matches(&rule.plan, context.plan)
}

fn value_matches(wanted: &str, actual: &str) -> bool {
    let Some((sign, number)) = wanted.split_once(' ') else { return wanted == actual };
    let Ok(actual) = actual.trim().parse::<f64>() else { return false };
    let number: f64 = number.parse().expect("a number after the operator");
    match sign {
        ">=" => actual >= number,
        "<=" => actual <= number,
        ">" => actual > number,
        "<" => actual < number,
        other => panic!("unknown operator {other}"),
    }
}

fn clock(zone: &str, context: &CallContext) -> DateTime {
    context.at.to_zoned(TimeZone::get(zone).expect("a zone")).datetime()
}

fn is_open(hours: &str, context: &CallContext) -> bool {
    match hours {
        "office" => {
            let now = clock("America/New_York", context);
            let weekend = [Weekday::Saturday, Weekday::Sunday].contains(&now.weekday());
            let open = (time(9, 30, 0, 0)..time(17, 15, 0, 0)).contains(&now.time());
            open && !weekend && !is_holiday(now)
        }
        "berlin-night" => {
            let day = time(7, 0, 0, 0)..time(22, 30, 0, 0);
            !day.contains(&clock("Europe/Berlin", context).time())
        }
        other => panic!("unknown hours {other}"),
    }
}

fn is_holiday(now: DateTime) -> bool {
    let today = now.date();
    (today.month(), today.day()) == (12, 25)
        || (date(2026, 7, 3)..=date(2026, 7, 5)).contains(&today)
}
