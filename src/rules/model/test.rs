//! A table's own tests, `[[test]]`: a call that nobody made, and what has to become of it.

use std::time::Duration;

use jiff::Timestamp;

use crate::diagnostics::Location;
use crate::domain::call::{Fields, Platform};
use crate::domain::decision::Object;

/// One test, checked and not run yet.
#[derive(Debug)]
pub struct Test {
    /// What it is called.
    pub name: Box<str>,
    /// The call.
    pub fields: Fields<'static>,
    /// The source that it comes from.
    pub source: Box<str>,
    /// The platform of that source.
    pub platform: Platform,
    /// When it comes; none when the test does not say.
    pub at: Option<Timestamp>,
    /// What has to become of it.
    pub expected: Expected,
    /// Where it stands.
    pub place: Location,
}

/// What has to become of a call. What is none, or not named, may be anything.
#[derive(Debug, Default)]
pub struct Expected {
    /// The rule that decides.
    pub rule: Option<Box<str>>,
    /// The agent that takes the call, by its name in the table.
    pub agent: Option<Box<str>>,
    /// `agent`, `reject` or `keep`.
    pub outcome: Option<Box<str>>,
    /// The reason of a rejection.
    pub reason: Option<Box<str>>,
    /// Variables, among others.
    pub variables: Vec<(Box<str>, Box<str>)>,
    /// Entries of the metadata, among others.
    pub metadata: Object,
    /// Entries of the agent's settings, among others.
    pub agent_override: Object,
    /// How long it rings first.
    pub delay: Option<Duration>,
}

impl Expected {
    /// Whether anything may become of the call.
    pub fn is_empty(&self) -> bool {
        self.rule.is_none()
            && self.agent.is_none()
            && self.outcome.is_none()
            && self.variables.is_empty()
            && self.metadata.is_empty()
            && self.agent_override.is_empty()
            && self.delay.is_none()
    }
}
