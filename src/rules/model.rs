//! The checked rule set: the types that rules and other definitions become once every check has
//! passed.

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

use condition::WhereClause;
use dates::Dates;
use hours::Hours;
use index::Index;
use lists::Lists;
use name_index::NameIndex;
use pattern::{NumberMatcher, Selector};
use template::{ObjectTemplate, Template};

/// A checked rule table. The first matching rule with an outcome decides.
#[derive(Debug)]
pub struct RuleSet {
    /// Agents that can take a call.
    pub agents: Vec<Agent>,
    /// Enabled rules, in evaluation order.
    pub rules: Vec<Rule>,
    /// Lists that rules match on.
    pub lists: Lists,
    /// Hours that rules refer to.
    pub hours: Vec<Hours>,
    /// Dates that rules and hours refer to.
    pub dates: Vec<Arc<Dates>>,
    /// Time zone in which dates and the times of tests are evaluated.
    pub zone: TimeZone,
    /// Hash of the table's files, to identify the table that decided a call.
    pub fingerprint: String,
    /// Index of the rules with an outcome.
    pub deciding_index: Index,
    /// Index of the rules that continue.
    pub continuing_index: Index,
    pub(crate) agents_by_name: NameIndex,
    /// The table has no `[agents]`, so rules use raw platform ids.
    pub raw_agent_ids: bool,
}

/// An agent that can take a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// Name used by rules.
    pub name: Box<str>,
    /// Id on each platform.
    pub ids: PlatformIds,
    /// Version, on platforms that have versions.
    pub version: Option<Version>,
}

/// Platform ids of an agent.
#[derive(Debug, Clone, PartialEq)]
pub enum PlatformIds {
    /// The same id on every platform.
    Everywhere(Box<str>),
    /// One id for each platform.
    ByPlatform(Vec<(Platform, Box<str>)>),
}

impl Agent {
    /// Returns the id of this agent on a platform.
    pub fn id_at(&self, platform: Platform) -> Option<&str> {
        match &self.ids {
            PlatformIds::Everywhere(id) => Some(id),
            PlatformIds::ByPlatform(ids) => {
                ids.iter().find(|(other, _)| *other == platform).map(|(_, id)| id.as_ref())
            }
        }
    }
}

/// A rule: conditions and an action. Kept small, because a table may have a million rules.
#[derive(Debug)]
pub struct Rule {
    /// Unique name.
    pub name: Box<str>,
    /// Condition on the called number.
    pub to: NumberMatcher,
    /// Condition on the caller's number.
    pub from: NumberMatcher,
    /// Further conditions, if any.
    pub conditions: Option<Box<Conditions>>,
    /// Action for a matching call.
    pub action: Action,
    /// Variables, metadata, agent settings and delay that the rule adds to the reply.
    pub additions: Option<Box<RuleAdditions>>,
}

/// Conditions of a rule other than its numbers.
#[derive(Debug, Default, PartialEq)]
pub struct Conditions {
    /// Channels.
    pub channel: Selector<Channel>,
    /// Platforms.
    pub platform: Selector<Platform>,
    /// Sources.
    pub source: Selector<Box<str>>,
    /// Entries of [`RuleSet::hours`].
    pub hours: Selector<NamedRef>,
    /// Entries of [`RuleSet::dates`].
    pub dates: Selector<NamedRef>,
    /// Conditions on list columns and SIP headers.
    pub where_clauses: Vec<WhereClause>,
}

impl Conditions {
    /// Returns whether a call from this platform can satisfy `platform` and `channel`.
    pub(crate) fn can_match_dialect(&self, dialect: &dyn Dialect) -> bool {
        let accepts = |channel: &Channel| self.channel.matches(|accepted| accepted == channel);
        dialect.channels().iter().any(accepts)
            && self.platform.matches(|platform| *platform == dialect.platform())
    }
}

/// Reference to a named item of the table: its position, and its name for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRef {
    /// Position, counted from 0.
    pub index: usize,
    /// Name in the table.
    pub name: Box<str>,
}

impl std::fmt::Display for NamedRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// Action of a rule for a matching call.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Routes the call to this agent.
    Agent(AgentRef),
    /// Routes the call to one of several agents, always the same one for the same caller.
    Split(Box<Split>),
    /// Rejects the call with this reason.
    Reject(Box<str>),
    /// Keeps the agent that the platform has configured.
    Keep,
    /// Adds its additions and continues with the next rule.
    Continue,
}

/// Reference to an agent in a rule.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentRef {
    /// Position in [`RuleSet::agents`].
    Agent(u32),
    /// Template that resolves to an agent's name.
    Template(Box<Template>),
}

/// Percentage split of callers between agents.
///
/// ```
/// use switchboard::rules::{self, Action, CheckContext};
///
/// let text = r#"
///     [[rule]]
///     name = "greeting test"
///     split = [{ agent = "agent_a", percent = 90 }, { agent = "agent_b", percent = 10 }]
/// "#;
/// let loaded = rules::parse("rules.toml", text.to_owned(), &CheckContext::default());
/// let table = loaded.table.expect("a valid table");
/// let Action::Split(split) = &table.rules[0].action else { panic!("not a split") };
/// let ends: Vec<u16> = split.arms.iter().map(|arm| arm.end).collect();
/// assert_eq!(ends, [9_000, 10_000]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Key that is hashed together with the caller.
    pub key: Box<str>,
    /// Arms in order: consecutive ranges of 0 to 10,000.
    pub arms: Vec<Arm>,
}

/// An arm of a split.
#[derive(Debug, Clone, PartialEq)]
pub struct Arm {
    /// Agent that takes the call.
    pub agent: AgentRef,
    /// Exclusive end of the range, in hundredths of a percent.
    pub end: u16,
}

/// Additions of a rule to the reply.
#[derive(Debug, Default)]
pub struct RuleAdditions {
    /// Variables for the agent's prompt.
    pub variables: Vec<(Box<str>, Template)>,
    /// Metadata that the platform returns on later events.
    pub metadata: Option<ObjectTemplate>,
    /// Agent settings for this call.
    pub agent_override: Option<ObjectTemplate>,
    /// Ringing time before the reply, measured from the request's arrival.
    pub delay: Option<Duration>,
}

impl Rule {
    /// Returns whether the rule decides every call that no earlier rule decides.
    pub(crate) fn matches_every_call(&self) -> bool {
        let matches_all =
            self.to.is_anything() && self.from.is_anything() && self.conditions.is_none();
        matches_all && self.action != Action::Continue
    }
}

impl RuleSet {
    /// Returns whether some rule decides each call.
    pub fn has_rule_for_every_call(&self) -> bool {
        self.rules.iter().any(Rule::matches_every_call)
    }

    /// Returns the agent with this name.
    pub fn agent(&self, name: &str) -> Option<&Agent> {
        self.agent_index(name).map(|index| &self.agents[index])
    }

    /// Returns the position in [`RuleSet::agents`] of the agent with this name.
    pub fn agent_index(&self, name: &str) -> Option<usize> {
        self.agents_by_name.find(name, |index| &self.agents[index].name)
    }
}
