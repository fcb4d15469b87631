//! Evaluates the conditions of a rule for a call.
//!
//! Expensive facts are computed at most once for each call: list rows, the local date, and the state
//! of opening hours.

use std::cell::{Cell, OnceCell};

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::call::{Call, Channel, Platform};
use crate::domain::facts::Facts;
use crate::rules::{
    Conditions, NamedRef, NumberMatcher, ResolvedCall, Rule, RuleSet, Selector, WhereClause,
};

/// A call with the facts that conditions need.
pub(crate) struct MatchContext<'c> {
    pub(crate) call: ResolvedCall<'c>,
    pub(crate) table: &'c RuleSet,
    at: Timestamp,
    today: OnceCell<Date>,
    /// State of each of the table's hours, computed on first use.
    open_hours: OnceCell<Box<[Cell<Option<bool>>]>>,
    used_time: Cell<bool>,
}

impl<'c> MatchContext<'c> {
    pub(crate) fn new(table: &'c RuleSet, call: &'c Call<'c>, facts: &Facts) -> MatchContext<'c> {
        MatchContext {
            call: ResolvedCall::new(&table.lists, call),
            table,
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

    fn is_open(&self, hours: &NamedRef) -> bool {
        self.used_time.set(true);
        let states = self
            .open_hours
            .get_or_init(|| self.table.hours.iter().map(|_| Cell::new(None)).collect());
        states[hours.index].get().unwrap_or_else(|| {
            let open = self.table.hours[hours.index].is_open(self.at);
            states[hours.index].set(Some(open));
            open
        })
    }

    fn is_date(&self, dates: &NamedRef) -> bool {
        self.table.dates[dates.index].contains(self.today())
    }
}

/// Evaluates a rule. The error is the first condition that does not match.
pub(crate) fn evaluate<'r>(rule: &'r Rule, context: &MatchContext<'_>) -> Result<(), Mismatch<'r>> {
    let call = context.call.call;
    let conditions = rule.conditions.as_deref();
    if let Some(conditions) = conditions
        && !conditions.channel.matches(|channel| *channel == call.channel())
    {
        return Err(Mismatch::Channel(&conditions.channel));
    }
    evaluate_numbers(rule, context)?;
    conditions.map_or(Ok(()), |conditions| evaluate_conditions(conditions, context))
}

/// Evaluates only the number conditions of a rule.
pub(crate) fn evaluate_numbers<'r>(
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
    if !conditions.forwarded_from.is_anything() {
        let forwarded_from = context.call.forwarded_from();
        if !forwarded_from.is_some_and(|number| conditions.forwarded_from.matches(number)) {
            return Err(Mismatch::ForwardedFrom(&conditions.forwarded_from));
        }
    }
    if !conditions.hours.is_anything() && !conditions.hours.matches(|hours| context.is_open(hours))
    {
        return Err(Mismatch::Hours(&conditions.hours));
    }
    if !conditions.dates.is_anything() && !conditions.dates.matches(|dates| context.is_date(dates))
    {
        return Err(Mismatch::Dates(&conditions.dates));
    }
    match conditions.where_clauses.iter().find(|condition| !condition.matches(&context.call)) {
        Some(condition) => Err(Mismatch::Where(condition)),
        None => Ok(()),
    }
}

/// Condition that did not match.
#[derive(Debug)]
pub(crate) enum Mismatch<'r> {
    Channel(&'r Selector<Channel>),
    To(&'r NumberMatcher),
    From(&'r NumberMatcher),
    Platform(&'r Selector<Platform>),
    Source(&'r Selector<Box<str>>),
    ForwardedFrom(&'r NumberMatcher),
    Hours(&'r Selector<NamedRef>),
    Dates(&'r Selector<NamedRef>),
    Where(&'r WhereClause),
}
