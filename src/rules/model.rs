//! The checked rule set: the types that a table of rules becomes once every check has passed.

pub(crate) mod condition;
pub(crate) mod dates;
pub(crate) mod hours;
pub(crate) mod index;
pub(crate) mod lists;
pub(crate) mod name_index;
pub(crate) mod pattern;
pub(crate) mod template;
pub(crate) mod test;

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::dialect::Dialect;
use crate::domain::call::{Channel, Platform, Version};

use condition::Where;
use dates::Dates;
use hours::Hours;
use index::Index;
use lists::Lists;
use name_index::Names;
use pattern::{NumberMatcher, Selector};
use template::{ObjectTemplate, Template};

/// A checked table. The first rule that fits decides.
#[derive(Debug)]
pub struct RuleSet {
    /// Who can take a call.
    pub agents: Vec<Agent>,
    /// In the order in which they are tried; those that are switched off are gone.
    pub rules: Vec<Rule>,
    /// The lists that rules match on.
    pub lists: Lists,
    /// The hours that rules look at.
    pub hours: Vec<Hours>,
    /// The dates that rules and hours look at.
    pub dates: Vec<Arc<Dates>>,
    /// Whose wall clock tells what day it is, and when tests happen.
    pub zone: TimeZone,
    /// The same for the same texts: tells which table answered.
    pub fingerprint: String,
    /// Finds the rules that decide.
    pub deciding: Index,
    /// Finds the rules that add and continue.
    pub adding: Index,
    pub(crate) by_name: Names,
    /// There is no `[agents]`: every id is taken as it is.
    pub any_agent: bool,
}

/// Somebody who can take a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// The name that rules use.
    pub name: Box<str>,
    /// The id at each platform.
    pub ids: PlatformIds,
    /// The version, for platforms that have some.
    pub version: Option<Version>,
}

/// An agent's ids.
#[derive(Debug, Clone, PartialEq)]
pub enum PlatformIds {
    /// The same everywhere.
    Everywhere(Box<str>),
    /// One for each platform that it lives on.
    ByPlatform(Vec<(Platform, Box<str>)>),
}

impl Agent {
    /// Its id at a platform.
    pub fn id_at(&self, platform: Platform) -> Option<&str> {
        match &self.ids {
            PlatformIds::Everywhere(id) => Some(id),
            PlatformIds::ByPlatform(ids) => {
                ids.iter().find(|(at, _)| *at == platform).map(|(_, id)| id.as_ref())
            }
        }
    }
}

/// One rule: when it fits, and what it does then. Small, for there may be a million.
#[derive(Debug)]
pub struct Rule {
    /// Unique.
    pub name: Box<str>,
    /// What may have been dialled.
    pub to: NumberMatcher,
    /// Who may ring.
    pub from: NumberMatcher,
    /// What else has to hold, when anything has to.
    pub also: Option<Box<Conditions>>,
    /// What it does.
    pub does: Action,
    /// What it sends along, when it does.
    pub adds: Option<Box<RuleAdditions>>,
}

/// The conditions of a rule besides its numbers.
#[derive(Debug, Default, PartialEq)]
pub struct Conditions {
    /// On which channels.
    pub channel: Selector<Channel>,
    /// From which platforms.
    pub platform: Selector<Platform>,
    /// From which sources.
    pub source: Selector<Box<str>>,
    /// During which of [`RuleSet::hours`].
    pub hours: Selector<NamedRef>,
    /// On which of [`RuleSet::dates`].
    pub dates: Selector<NamedRef>,
    /// What lists and headers have to say.
    pub wheres: Vec<Where>,
}

impl Conditions {
    /// Whether calls from this platform can be on a channel that is asked for.
    pub(crate) fn may_come_from(&self, dialect: &dyn Dialect) -> bool {
        let asks_on = |channel: &Channel| self.channel.holds(|one| one == channel);
        dialect.channels().iter().any(asks_on)
            && self.platform.holds(|platform| *platform == dialect.platform())
    }
}

/// Something of the table by its place, and by its name for whoever reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRef {
    /// The place, counted from 0.
    pub at: usize,
    /// The name that the operator gave it.
    pub name: Box<str>,
}

impl std::fmt::Display for NamedRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// What a rule does with a call that fits.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Gives it to this agent.
    Agent(AgentRef),
    /// Gives it to one of several, always the same for the same caller.
    Split(Box<Split>),
    /// Turns it away, for this reason.
    Reject(Box<str>),
    /// Leaves it to the platform's own agent.
    Keep,
    /// Adds what it has to add; the next rules are tried.
    Continue,
}

/// Who takes a call, as a rule says it.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentRef {
    /// The agent at this place in [`RuleSet::agents`].
    Agent(u32),
    /// The agent whose name the template gives.
    Template(Box<Template>),
}

/// How callers are shared out.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// What is hashed together with the caller.
    pub key: Box<str>,
    /// Consecutive ranges of ten thousand, in order; the last one ends there.
    pub arms: Vec<Arm>,
}

/// One of the ways that a split goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Arm {
    /// Who takes the call.
    pub agent: AgentRef,
    /// Where its range ends, in hundredths of a percent.
    pub end: u16,
}

/// What a rule sends along.
#[derive(Debug, Default)]
pub struct RuleAdditions {
    /// Variables of the agent's prompt.
    pub variables: Vec<(Box<str>, Template)>,
    /// Comes back on later events.
    pub metadata: Option<ObjectTemplate>,
    /// Settings of the agent for this call.
    pub agent_override: Option<ObjectTemplate>,
    /// How long to let it ring, counted from arrival.
    pub delay: Option<Duration>,
}

impl RuleSet {
    /// The agent of this name.
    pub fn agent(&self, name: &str) -> Option<&Agent> {
        self.agent_at(name).map(|at| &self.agents[at])
    }

    /// The place in [`RuleSet::agents`] of the agent of this name.
    pub fn agent_at(&self, name: &str) -> Option<usize> {
        self.by_name.find(name, |at| &self.agents[at].name)
    }
}
