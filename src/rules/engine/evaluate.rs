//! Evaluates the conditions of a rule for a call.
//!
//! Expensive facts are computed at most once for each call: list rows, the local date, and the state
//! of opening hours.

use std::cell::{Cell, OnceCell};

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::call::{Call, Channel, Platform};
use crate::domain::facts::{Facts, LookupAnswers, LookupSet};
use crate::rules::{
    Action, Conditions, Dates, NamedRef, NumberMatcher, RefTarget, ResolvedCall, Rule, RuleSet,
    Scope, Selector, Split, SplitOfRow, WhereClause,
};

/// A call with the facts that conditions need.
pub(crate) struct MatchContext<'c> {
    pub(crate) call: ResolvedCall<'c>,
    pub(crate) table: &'c RuleSet,
    pub(crate) lookups: &'c LookupAnswers,
    at: Timestamp,
    today: OnceCell<Date>,
    /// State of each of the table's hours, computed on first use.
    open_hours: OnceCell<Box<[Cell<Option<bool>>]>>,
    used_time: Cell<bool>,
}

impl<'c> MatchContext<'c> {
    pub(crate) fn new(
        table: &'c RuleSet,
        call: &'c Call<'c>,
        facts: &'c Facts,
    ) -> MatchContext<'c> {
        MatchContext {
            call: ResolvedCall::new(&table.lists, call),
            table,
            lookups: &facts.lookups,
            at: facts.at,
            today: OnceCell::new(),
            open_hours: OnceCell::new(),
            used_time: Cell::new(false),
        }
    }

    pub(crate) fn at(&self) -> Timestamp {
        self.at
    }

    /// Returns whether a rule has used the time.
    pub(crate) fn depends_on_time(&self) -> bool {
        self.used_time.get()
    }

    pub(crate) fn today(&self) -> Date {
        self.used_time.set(true);
        *self.today.get_or_init(|| self.at.to_zoned(self.table.zone.clone()).date())
    }

    /// Returns the hours that a condition means for this call: those with this name, or those that the
    /// matching row names.
    pub(crate) fn hours_of(&self, hours: &NamedRef) -> Option<usize> {
        self.position(hours, |name| self.table.hours_index(name))
    }

    /// Returns the dates that a condition means for this call.
    pub(crate) fn dates_of(&self, dates: &NamedRef) -> Option<usize> {
        self.position(dates, |name| self.table.dates_index(name))
    }

    /// Returns the split that the matching row names.
    pub(crate) fn split_of<'t>(&self, table: &'t RuleSet, split: &SplitOfRow) -> Option<&'t Split> {
        table.split(self.call.cell(split.cell)?)
    }

    fn position(
        &self,
        reference: &NamedRef,
        find: impl Fn(&str) -> Option<usize>,
    ) -> Option<usize> {
        match reference.target {
            RefTarget::Position(position) => Some(position),
            RefTarget::Cell(cell) => find(self.call.cell(cell)?),
        }
    }

    fn is_open(&self, hours: usize) -> bool {
        self.used_time.set(true);
        let states = self
            .open_hours
            .get_or_init(|| self.table.hours.iter().map(|_| Cell::new(None)).collect());
        states[hours].get().unwrap_or_else(|| {
            let open = self.table.hours[hours].is_open(self.at);
            states[hours].set(Some(open));
            open
        })
    }

    /// Returns the date of the call in the zone of a set of days.
    pub(crate) fn date_of(&self, dates: &Dates) -> Date {
        self.used_time.set(true);
        dates.date_at(self.at, &self.table.zone)
    }

    fn is_date(&self, dates: usize) -> bool {
        let dates = &self.table.dates[dates];
        dates.contains(if dates.zone.is_none() { self.today() } else { self.date_of(dates) })
    }
}

/// Returns whether a condition on named items matches. An unknown item never matches, negated or not.
fn matches_named(
    selector: &Selector<NamedRef>,
    position: impl Fn(&NamedRef) -> Option<usize>,
    holds: impl Fn(usize) -> bool,
) -> bool {
    selector.is_anything()
        || selector.entries().all(|entry| position(entry).is_some())
            && selector.matches(|entry| position(entry).is_some_and(&holds))
}

/// Evaluates a rule. The error is the first condition that does not match.
pub(crate) fn evaluate<'r>(rule: &'r Rule, context: &MatchContext<'_>) -> Result<(), Mismatch<'r>> {
    let call = context.call.call;
    if let Some(scope) = &rule.scope {
        evaluate_scope(scope, context)?;
    }
    let conditions = rule.conditions.as_deref();
    if let Some(conditions) = conditions
        && !conditions.channel.matches(|channel| *channel == call.channel())
    {
        return Err(Mismatch::Channel(&conditions.channel));
    }
    evaluate_own_numbers(rule, context)?;
    if let Some(conditions) = conditions {
        evaluate_conditions(conditions, context)?;
    }
    if let Action::SplitOfRow(split) = &rule.action
        && context.split_of(context.table, split).is_none()
    {
        return Err(Mismatch::Split(split));
    }
    conditions.map_or(Ok(()), |conditions| evaluate_where(&conditions.where_clauses, context))
}

/// Evaluates the conditions of a scope.
fn evaluate_scope<'r>(scope: &'r Scope, context: &MatchContext<'_>) -> Result<(), Mismatch<'r>> {
    let outside = |key| Err(Mismatch::Scope(scope, key));
    if let Some(key) = number_outside(scope, &context.call) {
        return outside(key);
    }
    let (call, conditions) = (context.call.call, &scope.conditions);
    if !conditions.channel.matches(|channel| *channel == call.channel()) {
        return outside(ScopeKey::Channel);
    }
    if !conditions.platform.matches(|platform| *platform == call.platform()) {
        return outside(ScopeKey::Platform);
    }
    if !conditions.source.matches(|source| **source == *call.source()) {
        return outside(ScopeKey::Source);
    }
    if !conditions.accept_number_id(call.number_id()) {
        return outside(ScopeKey::NumberId);
    }
    Ok(())
}

/// Returns the first number of a call that is outside a scope.
fn number_outside(scope: &Scope, call: &ResolvedCall<'_>) -> Option<ScopeKey> {
    if !scope.to.matches(&call.to) {
        return Some(ScopeKey::To);
    }
    (!scope.from.matches(&call.from)).then_some(ScopeKey::From)
}

/// Evaluates only the number conditions of a rule and its scope.
pub(crate) fn evaluate_numbers<'r>(
    rule: &'r Rule,
    context: &MatchContext<'_>,
) -> Result<(), Mismatch<'r>> {
    if let Some(scope) = &rule.scope
        && let Some(key) = number_outside(scope, &context.call)
    {
        return Err(Mismatch::Scope(scope, key));
    }
    evaluate_own_numbers(rule, context)
}

fn evaluate_own_numbers<'r>(
    rule: &'r Rule,
    context: &MatchContext<'_>,
) -> Result<(), Mismatch<'r>> {
    if !rule.to.matches(&context.call.to) {
        return Err(Mismatch::To(&rule.to));
    }
    if !rule.from.matches(&context.call.from) {
        return Err(Mismatch::From(&rule.from));
    }
    Ok(())
}

/// Evaluates the conditions other than numbers, channel and `where`.
fn evaluate_conditions<'r>(
    conditions: &'r Conditions,
    context: &MatchContext<'_>,
) -> Result<(), Mismatch<'r>> {
    let call = context.call.call;
    if !conditions.platform.matches(|platform| *platform == call.platform()) {
        return Err(Mismatch::Platform(&conditions.platform));
    }
    if !conditions.source.matches(|source| **source == *call.source()) {
        return Err(Mismatch::Source(&conditions.source));
    }
    if !conditions.accept_number_id(call.number_id()) {
        return Err(Mismatch::NumberId(&conditions.number_id));
    }
    if !conditions.forwarded_from.is_anything() {
        let forwarded_from = context.call.forwarded_from();
        if !forwarded_from.is_some_and(|number| conditions.forwarded_from.matches(number)) {
            return Err(Mismatch::ForwardedFrom(&conditions.forwarded_from));
        }
    }
    let is_open = |hours| context.is_open(hours);
    if !matches_named(&conditions.hours, |hours| context.hours_of(hours), is_open) {
        return Err(Mismatch::Hours(&conditions.hours));
    }
    let is_date = |dates| context.is_date(dates);
    if !matches_named(&conditions.dates, |dates| context.dates_of(dates), is_date) {
        return Err(Mismatch::Dates(&conditions.dates));
    }
    Ok(())
}

/// Evaluates `where`, after everything else: the look-ups are needed only if that matches, and then all at
/// once.
fn evaluate_where<'r>(
    clauses: &'r [WhereClause],
    context: &MatchContext<'_>,
) -> Result<(), Mismatch<'r>> {
    let mut pending = LookupSet::default();
    for clause in clauses {
        match clause.operand.lookup() {
            Some(lookup) if context.lookups.is_pending(lookup) => pending.insert(lookup),
            Some(_) | None if clause.matches(&context.call, context.lookups) => {}
            Some(_) | None => return Err(Mismatch::Where(clause)),
        }
    }
    if pending.is_empty() { Ok(()) } else { Err(Mismatch::Pending(pending)) }
}

/// Key of a scope.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ScopeKey {
    To,
    From,
    Channel,
    Platform,
    Source,
    NumberId,
}

/// Condition that did not match.
#[derive(Debug)]
pub(crate) enum Mismatch<'r> {
    /// The call is outside the scope of the rule's file, by this key.
    Scope(&'r Scope, ScopeKey),
    Channel(&'r Selector<Channel>),
    To(&'r NumberMatcher),
    From(&'r NumberMatcher),
    Platform(&'r Selector<Platform>),
    Source(&'r Selector<Box<str>>),
    NumberId(&'r Selector<Box<str>>),
    ForwardedFrom(&'r NumberMatcher),
    Hours(&'r Selector<NamedRef>),
    Dates(&'r Selector<NamedRef>),
    Where(&'r WhereClause),
    /// The rule matches as far as can be told before these look-ups are asked.
    Pending(LookupSet),
    /// The matching row names no split.
    Split(&'r SplitOfRow),
}
