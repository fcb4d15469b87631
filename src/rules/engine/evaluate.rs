//! One call before one table: whether a rule fits it, and if not, why.
//!
//! What costs something is found out once a call: the lists that the parties stand on, what day it
//! is, whether the office is open.

use std::cell::{Cell, OnceCell};

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::call::{Call, Channel, Platform};
use crate::domain::facts::Facts;
use crate::rules::{
    Conditions, NamedRef, NumberMatcher, ResolvedCall, Rule, RuleSet, Selector, Where,
};

/// A call, and what is known of it.
pub(crate) struct MatchContext<'c> {
    pub(crate) placed: ResolvedCall<'c>,
    pub(crate) table: &'c RuleSet,
    at: Timestamp,
    today: OnceCell<Date>,
    /// Of each of the table's hours, whether they are open; empty until somebody asks.
    open: OnceCell<Box<[Cell<Option<bool>>]>>,
    looked_at_the_clock: Cell<bool>,
}

impl<'c> MatchContext<'c> {
    pub(crate) fn new(table: &'c RuleSet, call: &'c Call<'c>, facts: &Facts) -> MatchContext<'c> {
        MatchContext {
            placed: ResolvedCall::new(&table.lists, call),
            table,
            at: facts.at,
            today: OnceCell::new(),
            open: OnceCell::new(),
            looked_at_the_clock: Cell::new(false),
        }
    }

    pub(crate) fn at(&self) -> Timestamp {
        self.at
    }

    /// Whether a rule wanted to know what time it is.
    pub(crate) fn looked_at_the_clock(&self) -> bool {
        self.looked_at_the_clock.get()
    }

    pub(crate) fn today(&self) -> Date {
        self.looked_at_the_clock.set(true);
        *self.today.get_or_init(|| self.at.to_zoned(self.table.zone.clone()).date())
    }

    fn are_open(&self, hours: &NamedRef) -> bool {
        self.looked_at_the_clock.set(true);
        let known =
            self.open.get_or_init(|| self.table.hours.iter().map(|_| Cell::new(None)).collect());
        known[hours.at].get().unwrap_or_else(|| {
            let open = self.table.hours[hours.at].are_open(self.at);
            known[hours.at].set(Some(open));
            open
        })
    }

    fn is_on(&self, dates: &NamedRef) -> bool {
        self.table.dates[dates.at].hold(self.today())
    }
}

/// Whether a rule fits, and if not, which of its conditions does not hold.
pub(crate) fn evaluate<'r>(rule: &'r Rule, case: &MatchContext<'_>) -> Result<(), Mismatch<'r>> {
    let call = case.placed.call;
    let also = rule.also.as_deref();
    if let Some(also) = also
        && !also.channel.holds(|channel| *channel == call.channel())
    {
        return Err(Mismatch::Channel(&also.channel));
    }
    numbers(rule, case)?;
    also.map_or(Ok(()), |also| conditions(also, case))
}

/// The part of a rule that numbers decide.
pub(crate) fn numbers<'r>(rule: &'r Rule, case: &MatchContext<'_>) -> Result<(), Mismatch<'r>> {
    if !rule.to.fit(&case.placed.to) {
        return Err(Mismatch::To(&rule.to));
    }
    if !rule.from.fit(&case.placed.from) {
        return Err(Mismatch::From(&rule.from));
    }
    Ok(())
}

fn conditions<'r>(also: &'r Conditions, case: &MatchContext<'_>) -> Result<(), Mismatch<'r>> {
    let call = case.placed.call;
    if !also.platform.holds(|platform| *platform == call.platform()) {
        return Err(Mismatch::Platform(&also.platform));
    }
    if !also.source.holds(|source| **source == *call.source()) {
        return Err(Mismatch::Source(&also.source));
    }
    if !also.hours.is_anything() && !also.hours.holds(|hours| case.are_open(hours)) {
        return Err(Mismatch::Hours(&also.hours));
    }
    if !also.dates.is_anything() && !also.dates.holds(|dates| case.is_on(dates)) {
        return Err(Mismatch::Dates(&also.dates));
    }
    match also.wheres.iter().find(|condition| !condition.holds(&case.placed)) {
        Some(condition) => Err(Mismatch::Where(condition)),
        None => Ok(()),
    }
}

/// The condition of a rule that does not hold.
#[derive(Debug)]
pub(crate) enum Mismatch<'r> {
    Channel(&'r Selector<Channel>),
    To(&'r NumberMatcher),
    From(&'r NumberMatcher),
    Platform(&'r Selector<Platform>),
    Source(&'r Selector<Box<str>>),
    Hours(&'r Selector<NamedRef>),
    Dates(&'r Selector<NamedRef>),
    Where(&'r Where),
}
