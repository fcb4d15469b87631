//! What was decided about a call: the outcome, and what goes along with it.
//!
//! Borrows from the table that decided. It says nothing about how a platform writes it down.

use std::borrow::Cow;
use std::time::Duration;

use super::call::Version;

/// A JSON object, in the order in which it was written.
pub type Object = serde_json::Map<String, serde_json::Value>;

/// What becomes of the call.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome<'t> {
    /// This agent takes it.
    Agent(SelectedAgent<'t>),
    /// It is turned away; the reason is for the log and the record, never for the caller.
    Reject(&'t str),
    /// The agent that the number has at the platform takes it.
    Keep(KeepReason),
}

/// The agent that was chosen, by its name in the table and its id at the platform that asks.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectedAgent<'t> {
    /// The name in `[agents]`, or the raw id where the table has no agents.
    pub name: &'t str,
    /// The id at the platform.
    pub id: &'t str,
    /// The version to use, when one is pinned.
    pub version: Option<&'t Version>,
}

/// Why the platform's own agent keeps the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeepReason {
    /// A rule says `keep = true`.
    ByRule,
    /// No rule decides.
    NoRule,
    /// The chosen agent has no id at this platform.
    NoAgentId,
    /// What the rule takes its agent from names nobody.
    NoSuchAgent,
    /// Something broke on the way.
    Fallback,
}

impl KeepReason {
    /// All of them.
    pub const ALL: [KeepReason; 5] = [
        KeepReason::ByRule,
        KeepReason::NoRule,
        KeepReason::NoAgentId,
        KeepReason::NoSuchAgent,
        KeepReason::Fallback,
    ];

    /// The word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            KeepReason::ByRule => "rule",
            KeepReason::NoRule => "no_rule",
            KeepReason::NoAgentId => "no_agent_id",
            KeepReason::NoSuchAgent => "no_such_agent",
            KeepReason::Fallback => "fallback",
        }
    }
}

/// A variable for the agent's prompt: always text, for platforms take nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable<'t> {
    /// Its name in the prompt.
    pub name: &'t str,
    /// What it stands for.
    pub value: Cow<'t, str>,
    /// The rule that set it.
    pub rule: &'t str,
}

/// A decision. Made by `decide`, and by the spine for the moment when everything else broke.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision<'t> {
    outcome: Outcome<'t>,
    rule: Option<&'t str>,
    arm: Option<usize>,
    added: Additions<'t>,
}

/// What the rules that fit sent along.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Additions<'t> {
    /// The rules that added something and did not decide, in order.
    pub by: Vec<&'t str>,
    /// Variables, each name once.
    pub variables: Vec<Variable<'t>>,
    /// Comes back on every later event of the call.
    pub metadata: Option<Cow<'t, Object>>,
    /// Settings of the agent for this call only, as the platform wants them.
    pub agent_override: Option<Cow<'t, Object>>,
    /// How long to let it ring, counted from the arrival of the request.
    pub delay: Duration,
}

impl<'t> Decision<'t> {
    /// What `decide` found.
    pub(crate) fn new(
        outcome: Outcome<'t>,
        rule: Option<&'t str>,
        arm: Option<usize>,
        added: Additions<'t>,
    ) -> Self {
        Decision { outcome, rule, arm, added }
    }

    /// The reply to give when something broke.
    pub(crate) fn fallback(outcome: Outcome<'t>) -> Self {
        Decision { outcome, rule: None, arm: None, added: Additions::default() }
    }

    /// The same, with one more entry in its metadata.
    pub(crate) fn with_metadata(mut self, key: &str, value: String) -> Self {
        let metadata = self.added.metadata.get_or_insert_default().to_mut();
        metadata.insert(key.to_owned(), value.into());
        self
    }

    /// What becomes of the call.
    pub fn outcome(&self) -> &Outcome<'t> {
        &self.outcome
    }

    /// The rule that decided.
    pub fn rule(&self) -> Option<&'t str> {
        self.rule
    }

    /// The arm of the rule's split that the caller took, counted from 0.
    pub fn arm(&self) -> Option<usize> {
        self.arm
    }

    /// What goes along.
    pub fn added(&self) -> &Additions<'t> {
        &self.added
    }
}

impl Outcome<'_> {
    /// The word for logs and metrics: `agent`, `reject` or `keep`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Outcome::Agent(_) => "agent",
            Outcome::Reject(_) => "reject",
            Outcome::Keep(_) => "keep",
        }
    }
}
