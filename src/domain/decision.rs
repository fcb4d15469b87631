//! The decision about a call: the outcome, and the variables and metadata that accompany it.
//!
//! Borrows from the rule set. Rendering it for a platform is the dialect's work.

use std::borrow::Cow;
use std::time::Duration;

use super::call::Version;
use super::session::SessionTemplate;
use super::transfer::TransferTarget;

/// A JSON object that keeps the order of its keys.
pub type Object = serde_json::Map<String, serde_json::Value>;

/// Outcome of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome<'t> {
    /// The selected agent answers.
    Agent(SelectedAgent<'t>),
    /// The call is rejected. The reason appears in the log and the record; the caller never hears it.
    /// [`Additions::say`] is what the caller hears, on platforms that can speak.
    Reject(&'t str),
    /// The call is transferred to another number or SIP address.
    Transfer(TransferTarget),
    /// The agent that the platform has assigned to the number answers.
    Keep(KeepReason),
}

/// The agent that was selected: its name in the rule table and its id at the requesting platform.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectedAgent<'t> {
    /// Name in `[agents]`, or the raw id if the table has no `[agents]`.
    pub name: &'t str,
    /// Id at the platform.
    pub id: &'t str,
    /// Pinned version, if any.
    pub version: Option<&'t Version>,
    /// Settings of its session, on platforms that receive them with each call.
    pub session: Option<&'t SessionTemplate>,
}

/// Reason for [`Outcome::Keep`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeepReason {
    /// A rule says `keep = true`.
    ByRule,
    /// No rule matched.
    NoRule,
    /// The selected agent has no id at this platform.
    NoAgentId,
    /// A template resolved to an unknown agent.
    NoSuchAgent,
    /// A template resolved to a text to which no call can be transferred.
    NoTarget,
    /// The platform cannot do what the rule says, and the rule accepts that.
    Unsupported,
    /// The request failed, and the source's fallback was sent.
    Fallback,
}

impl KeepReason {
    /// All reasons.
    pub const ALL: [KeepReason; 7] = [
        KeepReason::ByRule,
        KeepReason::NoRule,
        KeepReason::NoAgentId,
        KeepReason::NoSuchAgent,
        KeepReason::NoTarget,
        KeepReason::Unsupported,
        KeepReason::Fallback,
    ];

    /// Returns the label used in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            KeepReason::ByRule => "rule",
            KeepReason::NoRule => "no_rule",
            KeepReason::NoAgentId => "no_agent_id",
            KeepReason::NoSuchAgent => "no_such_agent",
            KeepReason::NoTarget => "no_target",
            KeepReason::Unsupported => "unsupported",
            KeepReason::Fallback => "fallback",
        }
    }
}

/// A dynamic variable for the agent's prompt, or a SIP header. Its value is text, which every platform accepts.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable<'t> {
    /// Name in the prompt, or of the header.
    pub name: &'t str,
    /// Value.
    pub value: Cow<'t, str>,
    /// Rule that set the variable; `None` for one that the agent requires and no rule sets.
    pub rule: Option<&'t str>,
}

/// A decision. Created by the rule engine, or by the pipeline when a request fails.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision<'t> {
    outcome: Outcome<'t>,
    rule: Option<&'t str>,
    arm: Option<usize>,
    /// In a box, since it is large, and the decision is handed on several times.
    additions: Box<Additions<'t>>,
}

/// Variables, metadata and settings that the matching rules add to a reply, merged.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Additions<'t> {
    /// Names of the `continue` rules that matched, in order.
    pub rules: Vec<&'t str>,
    /// Dynamic variables; each name occurs once.
    pub variables: Vec<Variable<'t>>,
    /// Metadata that the platform returns with every later event of the call.
    pub metadata: Option<Cow<'t, Object>>,
    /// Agent settings for this call only, in the platform's format.
    pub agent_override: Option<Cow<'t, Object>>,
    /// Text that the caller hears: before a rejection or a transfer, or as the agent's first sentence.
    pub say: Option<Cow<'t, str>>,
    /// SIP headers for the agent or the transfer target, where that is a SIP address; each name occurs once.
    pub sip_headers: Vec<Variable<'t>>,
    /// Time to let the phone ring, measured from the arrival of the request.
    pub delay: Duration,
    /// Parts that are too large to be sent.
    pub left_out: Vec<LeftOut>,
}

/// A part of a reply that is not sent, because of its size or because of the platform. It is never cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name in rules: `variables.city`, `metadata.desk.note`, `metadata`.
    pub name: String,
    /// The limit that it exceeds, or the platform's.
    pub reason: LeftOutReason,
}

/// Limit because of which a part of a reply is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOutReason {
    /// A value of the call is too long.
    ValueTooLong,
    /// The variables of the reply are too large together.
    VariablesTooLarge,
    /// The texts filled into metadata and agent settings are too large together.
    TextsTooLarge,
    /// The text to speak, or the value of a SIP header, is too long.
    TextTooLong,
    /// The platform does not accept it here: it accepts no more, or has no place for it.
    PlatformLimit,
}

impl LeftOutReason {
    /// All reasons.
    pub const ALL: [LeftOutReason; 5] = [
        LeftOutReason::ValueTooLong,
        LeftOutReason::VariablesTooLarge,
        LeftOutReason::TextsTooLarge,
        LeftOutReason::TextTooLong,
        LeftOutReason::PlatformLimit,
    ];

    /// Returns the label used in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            LeftOutReason::ValueTooLong => "value_too_long",
            LeftOutReason::VariablesTooLarge => "variables_too_large",
            LeftOutReason::TextsTooLarge => "texts_too_large",
            LeftOutReason::TextTooLong => "text_too_long",
            LeftOutReason::PlatformLimit => "platform_limit",
        }
    }
}

impl<'t> Additions<'t> {
    /// Adds those of the variables that no rule has set, as empty texts.
    pub(crate) fn require_variables(&mut self, names: &'t [Box<str>]) {
        for name in names {
            if !self.variables.iter().any(|variable| *variable.name == **name) {
                self.variables.push(Variable { name, value: Cow::Borrowed(""), rule: None });
            }
        }
    }
}

impl<'t> Decision<'t> {
    /// Creates the decision of the rule engine.
    pub(crate) fn new(
        outcome: Outcome<'t>,
        rule: Option<&'t str>,
        arm: Option<usize>,
        additions: impl Into<Box<Additions<'t>>>,
    ) -> Self {
        Decision { outcome, rule, arm, additions: additions.into() }
    }

    /// Creates the decision for a request that failed.
    pub(crate) fn fallback(outcome: Outcome<'t>) -> Self {
        Decision { outcome, rule: None, arm: None, additions: Box::default() }
    }

    /// Adds those of the variables that no rule has set, as empty texts.
    pub(crate) fn with_required_variables(mut self, names: &'t [Box<str>]) -> Self {
        self.additions.require_variables(names);
        self
    }

    /// Adds an entry to the metadata.
    pub(crate) fn with_metadata(mut self, key: &str, value: String) -> Self {
        let metadata = self.additions.metadata.get_or_insert_default().to_mut();
        metadata.insert(key.to_owned(), value.into());
        self
    }

    /// Returns the outcome alone.
    pub(crate) fn into_outcome(self) -> Outcome<'t> {
        self.outcome
    }

    /// Returns the outcome.
    pub fn outcome(&self) -> &Outcome<'t> {
        &self.outcome
    }

    /// Returns the name of the deciding rule.
    pub fn rule(&self) -> Option<&'t str> {
        self.rule
    }

    /// Returns the arm of the rule's split, counted from 0.
    pub fn arm(&self) -> Option<usize> {
        self.arm
    }

    /// Returns the variables, metadata and settings of the reply.
    pub fn additions(&self) -> &Additions<'t> {
        &self.additions
    }
}

/// Returns whether the reason of a rejection says that the line is busy, which platforms tell the caller.
pub fn is_busy(reason: &str) -> bool {
    reason.trim().eq_ignore_ascii_case("busy")
}

impl Outcome<'_> {
    /// Returns the label used in logs and metrics: `agent`, `reject`, `transfer` or `keep`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Outcome::Agent(_) => "agent",
            Outcome::Reject(_) => "reject",
            Outcome::Transfer(_) => "transfer",
            Outcome::Keep(_) => "keep",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_a_word_in_any_case() {
        for (reason, expected) in
            [("busy", true), ("Busy", true), (" BUSY\n", true), ("busy line", false), ("", false)]
        {
            assert_eq!(is_busy(reason), expected, "{reason:?}");
        }
    }
}
