//! The checked rule set: the types that rules and other definitions become once every check has
//! passed.

mod action;
pub(crate) mod condition;
pub(crate) mod dates;
pub(crate) mod history;
pub(crate) mod hours;
pub(crate) mod index;
pub(crate) mod lists;
pub(crate) mod live_list;
pub(crate) mod lookup;
pub(crate) mod name_index;
pub(crate) mod object_template;
pub(crate) mod pattern;
pub(crate) mod placeholder;
pub(crate) mod request_template;
pub(crate) mod row_limits;
mod spelling;
pub(crate) mod sql_query;
pub(crate) mod template;
pub(crate) mod test;
pub(crate) mod timestamp;
pub(crate) mod zone;

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::domain::call::{Channel, Platform, Version};
use crate::domain::facts::{LookupAnswer, LookupAnswers, LookupId, LookupSet};
use crate::domain::phone_number::Country;
use crate::domain::session::SessionTemplate;

pub use action::{
    Action, AgentRef, Arm, NamedSplit, SentAdditions, Split, SplitOfRow, TransferRef,
};
use condition::WhereClause;
use dates::Dates;
use history::HistoryPolicy;
use hours::Hours;
use index::{Index, narrower};
use lists::{Cell, Lists, Side};
use live_list::LiveList;
use lookup::Lookup;
use name_index::NameIndex;
use object_template::ObjectTemplate;
use pattern::{NumberMatcher, Selector};
use template::Template;

/// A checked rule table. The first matching rule with an outcome decides.
#[derive(Debug)]
pub struct RuleSet {
    /// Agents that can take a call.
    pub agents: Vec<Agent>,
    /// Enabled rules, in evaluation order.
    pub rules: Vec<Rule>,
    /// Lists that rules match on.
    pub lists: Lists,
    /// Lists that live elsewhere.
    pub live_lists: Vec<Arc<LiveList>>,
    /// Look-ups that rules refer to.
    pub lookups: Vec<Arc<Lookup>>,
    /// Whether a rule needs the answer of a look-up or the caller's history.
    pub uses_lookups: bool,
    /// Whether a rule needs the caller's history.
    pub uses_history: bool,
    /// How the records are asked for histories.
    pub history: HistoryPolicy,
    /// Hours that rules refer to.
    pub hours: Vec<Hours>,
    /// Dates that rules and hours refer to.
    pub dates: Vec<Arc<Dates>>,
    /// Time zone in which dates and the times of tests are evaluated.
    pub zone: TimeZone,
    /// Country in whose form rules and lists write numbers without `+`.
    pub country: Option<Country>,
    /// Hash of the table's files, to identify the table that decided a call.
    pub fingerprint: String,
    /// Index of the rules with an outcome.
    pub deciding_index: Index,
    /// Index of the rules that continue.
    pub continuing_index: Index,
    /// Splits that the rows of lists name.
    pub splits: Vec<NamedSplit>,
    pub(crate) agents_by_name: NameIndex,
    pub(crate) hours_by_name: NameIndex,
    pub(crate) dates_by_name: NameIndex,
    pub(crate) splits_by_name: NameIndex,
    /// The table has no `[agents]`, so rules use raw platform ids.
    pub raw_agent_ids: bool,
    /// Whether an agent has required variables.
    pub has_required_variables: bool,
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
    /// Settings of its session, on platforms that receive them with each call. The id is then the name.
    pub sessions: Vec<(Platform, SessionTemplate)>,
    /// Variables that the agent needs with every call. Those that no rule sets are sent as empty texts.
    pub required_variables: Vec<Box<str>>,
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
    /// Returns the settings of this agent's session on a platform that receives them with each call.
    pub fn session_at(&self, platform: Platform) -> Option<&SessionTemplate> {
        let found = self.sessions.iter().find(|(other, _)| *other == platform);
        found.map(|(_, session)| session)
    }

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
    /// Scope of the file that contains the rule, if it has one. Its conditions hold beside those of the
    /// rule.
    pub scope: Option<Arc<Scope>>,
    /// Action for a matching call.
    pub action: Action,
    /// Variables, metadata, agent settings and delay that the rule adds to the reply.
    pub additions: Option<Box<RuleAdditions>>,
}

impl Rule {
    /// Returns the look-ups whose answers the rule may send along or take its agent from: those of every
    /// arm. `splits` are those of its table.
    pub fn lookups_of_values(&self, splits: &[NamedSplit]) -> LookupSet {
        let of_agent = match &self.action {
            Action::Agent(agent) => agent.lookups(),
            Action::Split(split) => split.lookups(),
            // Any of them, until the row is known.
            Action::SplitOfRow(_) => {
                let splits = splits.iter().map(|named| named.split.lookups());
                splits.fold(LookupSet::default(), LookupSet::union)
            }
            Action::Transfer(target) => target.lookups(),
            Action::Reject(_) | Action::Keep | Action::Continue => LookupSet::default(),
        };
        let additions = self.additions.as_ref();
        let sent = additions.map(|additions| {
            let carried = additions.lookups_of(self.action.sent_additions());
            // A call that is kept in place of the outcome carries the rest.
            match additions.unsupported_at.is_empty() {
                true => carried,
                false => carried.union(additions.lookups_of(SentAdditions::All)),
            }
        });
        of_agent.union(sent.unwrap_or_default())
    }

    /// Returns the look-ups that the conditions of the rule compare.
    pub fn lookups_of_conditions(&self) -> LookupSet {
        let conditions = self.conditions.as_ref();
        let clauses = conditions.map(|conditions| conditions.where_clauses.as_slice());
        let lookups =
            clauses.unwrap_or_default().iter().filter_map(|clause| clause.operand.lookup());
        lookups.collect()
    }

    /// Returns the condition on one of the numbers by which the rule is found: its own or that of its
    /// scope, whichever accepts fewer numbers. The other one still has to hold.
    pub fn narrowest(&self, side: Side) -> &NumberMatcher {
        let own = self.numbers(side);
        self.scope.as_ref().map_or(own, |scope| narrower(own, scope.numbers(side)))
    }

    /// Returns the rule's own condition on one of the numbers.
    pub fn numbers(&self, side: Side) -> &NumberMatcher {
        match side {
            Side::To => &self.to,
            Side::From => &self.from,
            Side::ForwardedFrom => {
                let conditions = self.conditions.as_ref();
                conditions.map_or(&NumberMatcher::Anyone, |conditions| &conditions.forwarded_from)
            }
        }
    }

    /// Returns whether the rule and its scope accept calls from this origin.
    pub(crate) fn accepts(&self, origin: &Origin<'_>) -> bool {
        self.conditions.as_ref().is_none_or(|conditions| conditions.accept(origin))
            && self.scope.as_ref().is_none_or(|scope| scope.conditions.accept(origin))
    }

    /// Returns whether a platform cannot carry out the rule's outcome, so that its own agent takes the call.
    pub(crate) fn is_unsupported_at(&self, platform: Platform) -> bool {
        let additions = self.additions.as_ref();
        additions.is_some_and(|additions| additions.unsupported_at.contains(&platform))
    }

    /// Returns whether the rule decides every call that no earlier rule decides.
    pub(crate) fn matches_every_call(&self) -> bool {
        let matches_all = self.to.is_anything()
            && self.from.is_anything()
            && self.conditions.is_none()
            && self.scope.is_none();
        matches_all && self.action != Action::Continue
    }
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
    /// The platform's ids of the called number.
    pub number_id: Selector<Box<str>>,
    /// Numbers from which the call was forwarded.
    pub forwarded_from: NumberMatcher,
    /// Entries of [`RuleSet::hours`].
    pub hours: Selector<NamedRef>,
    /// Entries of [`RuleSet::dates`].
    pub dates: Selector<NamedRef>,
    /// Conditions on list columns and SIP headers.
    pub where_clauses: Vec<WhereClause>,
}

/// Conditions that every rule and every test of a file has.
#[derive(Debug, Default)]
pub struct Scope {
    /// Name of the file, with its folder.
    pub file: Box<str>,
    /// Condition on the called number.
    pub to: NumberMatcher,
    /// Condition on the caller's number.
    pub from: NumberMatcher,
    /// Channels, platforms, sources and ids of numbers. The other conditions match everything.
    pub conditions: Conditions,
}

impl Scope {
    /// Returns the condition on one of the numbers.
    pub fn numbers(&self, side: Side) -> &NumberMatcher {
        match side {
            Side::To => &self.to,
            Side::From => &self.from,
            Side::ForwardedFrom => &self.conditions.forwarded_from,
        }
    }
}

impl Conditions {
    /// Returns whether channel, platform and source accept calls from this origin.
    pub(crate) fn accept(&self, origin: &Origin<'_>) -> bool {
        self.channel.matches(|channel| *channel == origin.channel)
            && self.platform.matches(|platform| *platform == origin.platform)
            && self.source.matches(|source| **source == *origin.source)
    }

    /// Returns whether the condition on the id of the called number matches. A call without one matches no
    /// condition.
    pub(crate) fn accept_number_id(&self, id: Option<&str>) -> bool {
        self.number_id.is_anything()
            || id.is_some_and(|id| self.number_id.matches(|accepted| **accepted == *id))
    }
}

/// Where a call comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'o> {
    pub(crate) source: &'o str,
    pub(crate) platform: Platform,
    pub(crate) channel: Channel,
}

/// Reference to a named item of the table, and its text in the rule for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRef {
    /// Item that is meant.
    pub target: RefTarget,
    /// Text in the rule: a name, or `${LIST.column}`.
    pub name: Box<str>,
}

/// Item that a reference means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefTarget {
    /// The one at this position, counted from 0.
    Position(usize),
    /// The one that the matching row of a list names.
    Cell(Cell),
}

impl std::fmt::Display for NamedRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
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
    /// Text that the caller hears.
    pub say: Option<Box<Template>>,
    /// SIP headers for the agent or the transfer target.
    pub sip_headers: Box<[(Box<str>, Template)]>,
    /// Ringing time before the reply, measured from the request's arrival.
    pub delay: Option<Duration>,
    /// Platforms that cannot do what the rule says, and whose own agents take its calls for that reason.
    pub unsupported_at: Box<[Platform]>,
    /// Look-ups whose answers the values contain.
    pub lookups: LookupSet,
}

impl RuleAdditions {
    /// Returns the look-ups whose answers appear in the values that are sent.
    pub fn lookups_of(&self, sent: SentAdditions) -> LookupSet {
        let of_say = self.say.as_ref().map(|say| say.lookups()).unwrap_or_default();
        match sent {
            SentAdditions::All => self.lookups,
            SentAdditions::Speech => of_say,
            SentAdditions::SpeechAndHeaders => {
                let headers = self.sip_headers.iter().map(|(_, template)| template.lookups());
                headers.fold(of_say, LookupSet::union)
            }
        }
    }
}

impl RuleSet {
    /// Returns the names of the enabled rules, in evaluation order.
    pub fn rule_names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| &*rule.name)
    }

    /// Returns the names of the agents.
    pub fn agent_names(&self) -> impl Iterator<Item = &str> {
        self.agents.iter().map(|agent| &*agent.name)
    }

    /// Returns the answers with the names of their look-ups, in the order in which they arrived.
    pub fn named_answers<'a>(
        &'a self,
        answers: &'a LookupAnswers,
    ) -> Vec<(&'a str, &'a LookupAnswer)> {
        answers.iter().map(|(id, answer)| (self.lookup_name(id), answer)).collect()
    }

    /// Returns the name of a look-up.
    pub fn lookup_name(&self, id: LookupId) -> &str {
        match id.position() {
            Some(position) => &self.lookups[position].name,
            None => history::NAME,
        }
    }

    /// Returns the look-up with this name.
    pub fn lookup_id(&self, name: &str) -> Option<LookupId> {
        if name == history::NAME {
            return Some(LookupId::HISTORY);
        }
        LookupId::of_position(self.lookups.iter().position(|lookup| *lookup.name == *name)?)
    }

    /// Returns whether a rule decides every call that no earlier rule decides.
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

    /// Returns the position in [`RuleSet::hours`] of the hours with this name.
    pub(crate) fn hours_index(&self, name: &str) -> Option<usize> {
        self.hours_by_name.find(name, |index| &self.hours[index].name)
    }

    /// Returns the position in [`RuleSet::dates`] of the dates with this name.
    pub(crate) fn dates_index(&self, name: &str) -> Option<usize> {
        self.dates_by_name.find(name, |index| &self.dates[index].name)
    }

    /// Returns the split with this name.
    pub(crate) fn split(&self, name: &str) -> Option<&Split> {
        let index = self.splits_by_name.find(name, |index| &self.splits[index].name)?;
        Some(&self.splits[index].split)
    }
}
