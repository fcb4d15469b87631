//! Capabilities of a platform: the outcomes and additions that its replies can express.

use std::time::Duration;

use super::call::Platform;

/// A platform with its constant properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// The platform, by its name in settings and rules.
    pub platform: Platform,
    /// What its replies can express.
    pub capabilities: Capabilities,
    /// Times that it keeps.
    pub timing: Timing,
}

/// Outcomes and additions that the replies of a platform can express. `docs/platforms.md` prints all of them
/// in one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Replies can select an agent.
    pub agent: bool,
    /// Replies can select a version of the agent.
    pub agent_version: bool,
    /// Replies can leave the call to the agent that the platform has assigned to the number. Otherwise, the
    /// source's fallback agent stands in for it.
    pub keep: bool,
    /// Ways in which a reply can reject a call.
    pub reject: Reject,
    /// Targets to which a reply can transfer a call.
    pub transfer: Transfer,
    /// Replies can contain the first sentence that the selected agent speaks.
    pub greeting: bool,
    /// Replies that select an agent can carry dynamic variables.
    pub variables: bool,
    /// Limits of the dynamic variables of any reply.
    pub variable_limits: VariableLimits,
    /// Replies that select an agent can carry metadata.
    pub metadata: bool,
    /// Replies that select an agent can carry settings of it for one call.
    pub agent_override: bool,
    /// Replies that select an agent with a SIP address can carry SIP headers for it.
    pub sip_headers: bool,
    /// Additions of replies that leave the call to the platform's own agent; `None` if they are those of replies
    /// that select an agent.
    pub keep_additions: Option<CarriedAdditions>,
}

impl Capabilities {
    /// Returns the additions of replies that select an agent.
    pub fn agent_additions(&self) -> CarriedAdditions {
        CarriedAdditions {
            greeting: self.greeting,
            variables: self.variables,
            metadata: self.metadata,
            agent_override: self.agent_override,
            sip_headers: self.sip_headers,
        }
    }

    /// Returns the additions of replies to calls that a rule keeps. A stand-in is selected like any agent.
    pub fn kept_additions(&self) -> CarriedAdditions {
        self.keep_additions.filter(|_| self.keep).unwrap_or_else(|| self.agent_additions())
    }
}

/// Additions that replies of one kind can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarriedAdditions {
    /// The first sentence that the agent speaks.
    pub greeting: bool,
    /// Dynamic variables.
    pub variables: bool,
    /// Metadata.
    pub metadata: bool,
    /// Settings of the agent for one call.
    pub agent_override: bool,
    /// SIP headers.
    pub sip_headers: bool,
}

impl CarriedAdditions {
    /// Returns the additions that replies of either kind can carry.
    pub fn union(self, other: CarriedAdditions) -> CarriedAdditions {
        CarriedAdditions {
            greeting: self.greeting || other.greeting,
            variables: self.variables || other.variables,
            metadata: self.metadata || other.metadata,
            agent_override: self.agent_override || other.agent_override,
            sip_headers: self.sip_headers || other.sip_headers,
        }
    }
}

/// Ways in which a reply can reject a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reject {
    /// None.
    Impossible,
    /// The caller hears nothing.
    Silent,
    /// The caller hears a text; there is no rejection without one.
    Spoken,
    /// The caller hears nothing, or a text.
    SilentOrSpoken,
}

impl Reject {
    /// Returns whether a call can be rejected so that the caller hears nothing.
    pub fn can_be_silent(self) -> bool {
        matches!(self, Reject::Silent | Reject::SilentOrSpoken)
    }

    /// Returns whether a call can be rejected with a text that the caller hears.
    pub fn can_speak(self) -> bool {
        matches!(self, Reject::Spoken | Reject::SilentOrSpoken)
    }
}

/// Targets to which a reply can transfer a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// None.
    Impossible,
    /// Phone numbers and SIP addresses.
    Possible {
        /// The caller can hear a text before the transfer.
        spoken: bool,
        /// The reply can carry SIP headers for a target with a SIP address.
        sip_headers: bool,
    },
}

impl Transfer {
    /// Returns whether the caller can hear a text before the transfer.
    pub fn can_speak(self) -> bool {
        matches!(self, Transfer::Possible { spoken: true, .. })
    }

    /// Returns whether the reply can carry SIP headers for the target.
    pub fn has_sip_headers(self) -> bool {
        matches!(self, Transfer::Possible { sip_headers: true, .. })
    }
}

/// Limits of the dynamic variables of a reply. Values are texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VariableLimits {
    /// Maximum number of variables.
    pub count: Option<usize>,
    /// Maximum length of a value, in characters.
    pub value_chars: Option<usize>,
    /// Beginnings of names that the platform reserves.
    pub reserved: &'static [&'static str],
    /// Names that the platform reserves.
    pub reserved_names: &'static [&'static str],
}

impl VariableLimits {
    /// No limits beside those of every reply.
    pub const NONE: VariableLimits =
        VariableLimits { count: None, value_chars: None, reserved: &[], reserved_names: &[] };

    /// Returns whether the platform reserves this name of a variable.
    pub fn reserves(&self, name: &str) -> bool {
        let begins_so = |start: &&str| name.starts_with(*start);
        self.reserved.iter().any(begins_so) || self.reserved_names.contains(&name)
    }

    /// Returns whether a value is longer than the platform accepts.
    pub fn is_too_long(&self, value: &str) -> bool {
        self.value_chars.is_some_and(|most| value.chars().nth(most).is_some())
    }
}

/// Times that a platform keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Reply deadline of a source whose settings name none.
    pub reply_within: Duration,
    /// Time after which the platform stops waiting, if that is known.
    pub timeout: Option<Duration>,
    /// Result of a missing reply, in words for the documentation.
    pub silence: &'static str,
    /// Time for which a repeated delivery receives the first reply again.
    pub retry_window: Duration,
}
