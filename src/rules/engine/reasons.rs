//! Why a rule matches a call, or not: what each condition found. Numbers are not masked.

use super::evaluate::{MatchContext, Mismatch};
use crate::rules::{
    Conditions, NamedRef, NumberMatcher, NumberPattern, ResolvedParty, Rule, Selector, WhereClause,
};

/// Returns `from +493012345678 is not in @blocked, +1900*`.
pub(super) fn mismatch_reason(mismatch: &Mismatch<'_>, context: &MatchContext<'_>) -> String {
    let call = context.call.call;
    match mismatch {
        Mismatch::Channel(expected) => format!("channel {} is not in {expected}", call.channel()),
        Mismatch::To(expected) => number_mismatch("to", expected, &context.call.to, context),
        Mismatch::From(expected) => number_mismatch("from", expected, &context.call.from, context),
        Mismatch::Platform(expected) => {
            format!("platform {} is not in {expected}", call.platform())
        }
        Mismatch::Source(expected) => format!("source {} is not in {expected}", call.source()),
        Mismatch::Hours(expected) => hours(expected, context),
        Mismatch::Dates(expected) => dates(expected, context),
        Mismatch::Where(condition) => match condition.operand.value(&context.call) {
            Some(actual) => {
                format!("where {} is {actual:?}, not {}", condition.name, condition.expected)
            }
            None => format!("where {} is unknown", condition.name),
        },
    }
}

/// Returns what each condition of a matching rule found.
pub(super) fn reasons(rule: &Rule, context: &MatchContext<'_>) -> Vec<String> {
    let call = &context.call;
    let mut reasons = Vec::new();
    for (side, matcher, party) in [("to", &rule.to, &call.to), ("from", &rule.from, &call.from)] {
        if !matcher.is_anything() {
            reasons.push(number_match(side, matcher, party, context));
        }
    }
    if let Some(conditions) = &rule.conditions {
        add_reasons(conditions, context, &mut reasons);
    }
    if reasons.is_empty() {
        reasons.push("it has no conditions".to_owned());
    }
    reasons
}

fn add_reasons(conditions: &Conditions, context: &MatchContext<'_>, reasons: &mut Vec<String>) {
    let call = context.call.call;
    if !conditions.channel.is_anything() {
        reasons.push(format!("channel is {}", call.channel()));
    }
    if !conditions.platform.is_anything() {
        reasons.push(format!("platform is {}", call.platform()));
    }
    if !conditions.source.is_anything() {
        reasons.push(format!("source is {}", call.source()));
    }
    if !conditions.hours.is_anything() {
        reasons.push(hours(&conditions.hours, context));
    }
    if !conditions.dates.is_anything() {
        reasons.push(dates(&conditions.dates, context));
    }
    reasons
        .extend(conditions.where_clauses.iter().map(|condition| where_match(condition, context)));
}

fn where_match(condition: &WhereClause, context: &MatchContext<'_>) -> String {
    let WhereClause { name, operand, expected } = condition;
    match operand.value(&context.call) {
        Some(actual) => format!("where {name} is {actual:?} ({expected})"),
        None => format!("where {name} is unknown"),
    }
}

/// Returns `from +19005550100 is in @blocked (blocked.csv line 3)`.
fn number_match(
    side: &str,
    matcher: &NumberMatcher,
    party: &ResolvedParty<'_>,
    context: &MatchContext<'_>,
) -> String {
    let shown = party.party().unmasked();
    match matcher.any_of().iter().find(|pattern| pattern.matches(party)) {
        Some(pattern) => format!("{side} {shown} is in {}", described(pattern, party, context)),
        None => {
            let excluded = matcher.none_of().iter().map(NumberPattern::to_string);
            format!("{side} {shown} is not in {}", excluded.collect::<Vec<_>>().join(", "))
        }
    }
}

fn number_mismatch(
    side: &str,
    matcher: &NumberMatcher,
    party: &ResolvedParty<'_>,
    context: &MatchContext<'_>,
) -> String {
    let shown = party.party().unmasked();
    match matcher.none_of().iter().find(|pattern| pattern.matches(party)) {
        Some(pattern) => {
            format!("{side} {shown} is excluded by !{}", described(pattern, party, context))
        }
        None => format!("{side} {shown} is not in {matcher}"),
    }
}

/// Returns a matching pattern, with the row of a list.
fn described(
    pattern: &NumberPattern,
    party: &ResolvedParty<'_>,
    context: &MatchContext<'_>,
) -> String {
    let NumberPattern::List(list, _) = pattern else { return pattern.to_string() };
    let row = party.row(*list);
    match row.and_then(|row| context.table.lists.place(*list, row)) {
        Some(place) => format!("{pattern} ({} line {})", place.file, place.line),
        None => pattern.to_string(),
    }
}

/// Returns `hours office: office is open on Mon 2026-11-23 at 10:00 (09:00-17:00 in Europe/Berlin)`.
fn hours(expected: &Selector<NamedRef>, context: &MatchContext<'_>) -> String {
    let states = entries(expected)
        .map(|entry| format!("{:#}", context.table.hours[entry.index].status(context.at())));
    format!("hours {expected}: {}", states.collect::<Vec<_>>().join(", "))
}

/// Returns `dates holidays: today is 2026-12-25, which is in holidays (12-25)`.
fn dates(expected: &Selector<NamedRef>, context: &MatchContext<'_>) -> String {
    let today = context.today();
    let states = entries(expected).map(|entry| {
        let dates = &context.table.dates[entry.index];
        match dates.entry(today) {
            Some(day) => format!("which is in {} ({day})", dates.name),
            None => format!("which is not in {}", dates.name),
        }
    });
    format!("dates {expected}: today is {today}, {}", states.collect::<Vec<_>>().join(", "))
}

fn entries(selector: &Selector<NamedRef>) -> impl Iterator<Item = &NamedRef> {
    selector.any_of.iter().chain(&selector.none_of)
}
