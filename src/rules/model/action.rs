//! Actions of rules: the agent, the split, the target of a transfer, and what can go with each.

use super::lists::Cell;
use super::template::Template;
use crate::domain::facts::LookupSet;
use crate::domain::transfer::TransferTarget;

/// Action of a rule for a matching call.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Routes the call to this agent.
    Agent(AgentRef),
    /// Routes the call to one of several agents, always the same one for the same caller.
    Split(Box<Split>),
    /// Does the same by the split that the matching row of a list names.
    SplitOfRow(Box<SplitOfRow>),
    /// Transfers the call.
    Transfer(TransferRef),
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
    /// Position in [`RuleSet::agents`](super::RuleSet::agents).
    Agent(u32),
    /// Template that resolves to an agent's name.
    Template(Box<Template>),
}

impl AgentRef {
    /// Returns the look-ups whose answers name the agent.
    pub fn lookups(&self) -> LookupSet {
        match self {
            AgentRef::Agent(_) => LookupSet::default(),
            AgentRef::Template(template) => template.lookups(),
        }
    }
}

/// Target of a transfer in a rule.
#[derive(Debug, Clone, PartialEq)]
pub enum TransferRef {
    /// A number or SIP address.
    Target(Box<TransferTarget>),
    /// Template that resolves to one.
    Template(Box<Template>),
}

impl TransferRef {
    /// Returns the look-ups whose answers name the target.
    pub fn lookups(&self) -> LookupSet {
        match self {
            TransferRef::Target(_) => LookupSet::default(),
            TransferRef::Template(template) => template.lookups(),
        }
    }
}

/// Additions that a reply can carry beside an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentAdditions {
    /// All of them: beside an agent.
    All,
    /// A text to speak and SIP headers: beside a transfer.
    SpeechAndHeaders,
    /// A text to speak: beside a rejection.
    Speech,
}

impl Action {
    /// Returns whether the caller selects one of several agents.
    pub fn is_split(&self) -> bool {
        matches!(self, Action::Split(_) | Action::SplitOfRow(_))
    }

    /// Returns the additions that a reply can carry beside this action.
    pub fn sent_additions(&self) -> SentAdditions {
        match self {
            Action::Transfer(_) => SentAdditions::SpeechAndHeaders,
            Action::Reject(_) => SentAdditions::Speech,
            Action::Agent(_)
            | Action::Split(_)
            | Action::SplitOfRow(_)
            | Action::Keep
            | Action::Continue => SentAdditions::All,
        }
    }
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

impl Split {
    /// Returns the look-ups whose answers name the agents.
    pub(super) fn lookups(&self) -> LookupSet {
        let arms = self.arms.iter().map(|arm| arm.agent.lookups());
        arms.fold(LookupSet::default(), LookupSet::union)
    }

    /// Returns the positions of the agents that the arms name.
    pub(crate) fn agents(&self) -> impl Iterator<Item = usize> {
        self.arms.iter().filter_map(|arm| match &arm.agent {
            AgentRef::Agent(agent) => Some(*agent as usize),
            AgentRef::Template(_) => None,
        })
    }
}

/// A split that the matching row of a list names.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitOfRow {
    /// Column with the names of splits.
    pub cell: Cell,
    /// Text in the rule: `${LIST.column}`.
    pub name: Box<str>,
    /// Key that is hashed in place of the split's name.
    pub key: Option<Box<str>>,
}

/// A split that rules and rows can name: `[splits.NAME]`.
#[derive(Debug)]
pub struct NamedSplit {
    /// Name in the table.
    pub name: Box<str>,
    /// The split, whose key is its name.
    pub split: Split,
}

/// An arm of a split.
#[derive(Debug, Clone, PartialEq)]
pub struct Arm {
    /// Agent that takes the call.
    pub agent: AgentRef,
    /// Exclusive end of the range, in hundredths of a percent.
    pub end: u16,
}
