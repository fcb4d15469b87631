//! Why a rule matches a call, or not: what each condition found. Numbers are not masked.

use jiff::civil::Date;

use super::evaluate::{MatchContext, Mismatch, ScopeKey};
use crate::domain::dialling_plan::{self, SharedCode};
use crate::domain::facts::LookupState;
use crate::domain::party::Party;
use crate::rules::{
    Conditions, NamedRef, NumberMatcher, NumberPattern, RefTarget, ResolvedParty, Rule, Selector,
    Side, WhereClause,
};

/// Returns `from +493012345678 is not in @blocked, +1900*`.
pub(super) fn mismatch_reason(mismatch: &Mismatch<'_>, context: &MatchContext<'_>) -> String {
    let call = context.call.call;
    match mismatch {
        Mismatch::Scope(scope, key) => {
            let value = match key {
                ScopeKey::To => format!("to {}", call.to().unmasked()),
                ScopeKey::From => format!("from {}", call.from().unmasked()),
                ScopeKey::Channel => format!("channel {}", call.channel()),
                ScopeKey::Platform => format!("platform {}", call.platform()),
                ScopeKey::Source => format!("source {}", call.source()),
                ScopeKey::NumberId => match call.number_id() {
                    Some(id) => format!("number_id {id}"),
                    None => "a call without number_id".to_owned(),
                },
            };
            format!("{value} is outside the scope of {}", scope.file)
        }
        Mismatch::Channel(expected) => format!("channel {} is not in {expected}", call.channel()),
        Mismatch::To(expected) => number_mismatch("to", expected, &context.call.to, context),
        Mismatch::From(expected) => number_mismatch("from", expected, &context.call.from, context),
        Mismatch::Platform(expected) => {
            format!("platform {} is not in {expected}", call.platform())
        }
        Mismatch::Source(expected) => format!("source {} is not in {expected}", call.source()),
        Mismatch::NumberId(expected) => match call.number_id() {
            Some(id) => format!("number_id {id} is not in {expected}"),
            None => "the request has no id of the called number".to_owned(),
        },
        Mismatch::ForwardedFrom(expected) => match context.call.forwarded_from() {
            Some(number) => number_mismatch("forwarded_from", expected, number, context),
            None => "no SIP header names a number that forwarded the call".to_owned(),
        },
        Mismatch::Hours(expected) => hours(expected, context),
        Mismatch::Dates(expected) => dates(expected, context),
        Mismatch::Split(split) => {
            let target = RefTarget::Cell(split.cell);
            format!("split {}: {}", split.name, names_none(&split.name, target, context))
        }
        Mismatch::Where(condition) => where_mismatch(condition, context),
        Mismatch::Pending(_) => unreachable!("complete facts need no look-up"),
    }
}

fn where_mismatch(condition: &WhereClause, context: &MatchContext<'_>) -> String {
    let WhereClause { name, operand, expected } = condition;
    match (operand.value(&context.call, context.lookups), operand.lookup()) {
        (Some(actual), _) => format!("where {name} is {actual:?}, not {expected}"),
        (None, None) => format!("where {name} is unknown"),
        (None, Some(lookup)) => {
            let state = context.lookups.get(lookup).map(|answer| answer.state);
            let state = state.unwrap_or(LookupState::NotAsked);
            match state == LookupState::Found {
                true => format!("where {name} is unknown"),
                false => format!("where {name} is unknown ({})", state.describe()),
            }
        }
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
    if let (Some(conditions), Some(number)) = (&rule.conditions, call.forwarded_from())
        && !conditions.forwarded_from.is_anything()
    {
        let matcher = &conditions.forwarded_from;
        reasons.push(number_match("forwarded_from", matcher, number, context));
    }
    if let Some(conditions) = &rule.conditions {
        add_reasons(conditions, context, &mut reasons);
    }
    if let Some(scope) = &rule.scope {
        reasons.push(format!("the call is in the scope of {}", scope.file));
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
    if let Some(id) = call.number_id().filter(|_| !conditions.number_id.is_anything()) {
        reasons.push(format!("number_id is {id}"));
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
    match operand.value(&context.call, context.lookups) {
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
        None => {
            let shared = shared_code(party.party(), matcher);
            format!("{side} {shown} is not in {matcher}{shared}")
        }
    }
}

/// Returns what explains a condition on a country for a number that belongs to no country of North America
/// alone.
fn shared_code(party: &Party, expected: &NumberMatcher) -> &'static str {
    let is_country = |pattern: &NumberPattern| matches!(pattern, NumberPattern::Country(_));
    let shared = party.number().and_then(dialling_plan::shared_north_american);
    match shared.filter(|_| expected.any_of().iter().chain(expected.none_of()).any(is_country)) {
        Some(SharedCode::TollFree) => " (toll-free, read as US)",
        Some(SharedCode::Special) => " (a code of all of +1, read as US)",
        None => "",
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
    let state = |entry: &NamedRef| match context.hours_of(entry) {
        Some(hours) => {
            let status = context.table.hours[hours].status(context.at());
            format!("{status:#}{}", in_row(entry, context))
        }
        None => names_none(&entry.name, entry.target, context),
    };
    let states = expected.entries().map(state);
    format!("hours {expected}: {}", states.collect::<Vec<_>>().join(", "))
}

/// Returns `dates holidays: today is 2026-12-25, which is in holidays (12-25)`.
fn dates(expected: &Selector<NamedRef>, context: &MatchContext<'_>) -> String {
    let mut days: Vec<(Date, Option<&str>)> = Vec::new();
    let mut states = Vec::new();
    for entry in expected.entries() {
        let Some(dates) = context.dates_of(entry) else {
            let none = names_none(&entry.name, entry.target, context);
            return format!("dates {expected}: {none}");
        };
        let dates = &context.table.dates[dates];
        let day = context.date_of(dates);
        let zone = dates.zone.as_ref().and_then(|zone| zone.iana_name());
        let (name, row) = (&dates.name, in_row(entry, context));
        if !days.contains(&(day, zone)) {
            days.push((day, zone));
            let zone = zone.map(|zone| format!(" in {zone}")).unwrap_or_default();
            states.push(format!("today is {day}{zone}"));
        }
        states.push(match dates.entry(day) {
            Some(entry) => format!("which is in {name} ({entry}){row}"),
            None => format!("which is not in {name}{row}"),
        });
    }
    format!("dates {expected}: {}", states.join(", "))
}

/// Returns ` (in the row of +13125550117)` for an item that a row names.
fn in_row(entry: &NamedRef, context: &MatchContext<'_>) -> String {
    match row_owner(entry.target, context) {
        Some(party) => format!(" (in the row of {})", party.unmasked()),
        None => String::new(),
    }
}

/// Returns a phrase for a row whose cell is empty.
fn names_none(name: &str, target: RefTarget, context: &MatchContext<'_>) -> String {
    let Some(party) = row_owner(target, context) else { return format!("{name} is unknown") };
    format!("the row of {} names none", party.unmasked())
}

/// Returns the party whose row names an item.
fn row_owner<'e>(target: RefTarget, context: &'e MatchContext<'_>) -> Option<&'e Party> {
    let RefTarget::Cell(cell) = target else { return None };
    match cell.side {
        Side::From => Some(context.call.call.from()),
        Side::To => Some(context.call.call.to()),
        Side::ForwardedFrom => context.call.forwarded_from().map(|number| number.party()),
    }
}
