//! The tests of a table, `[[test]]`: a synthetic call and the expected decision.

use std::time::Duration;

use jiff::Timestamp;

use crate::diagnostics::Location;
use crate::domain::call::{Fields, Platform};
use crate::domain::decision::Object;
use crate::domain::facts::LookupAnswers;
use crate::domain::transfer::TransferTarget;

/// A checked test that has not run yet.
#[derive(Debug)]
pub struct Test {
    /// Name of the test.
    pub name: Box<str>,
    /// Fields of the call.
    pub fields: Fields<'static>,
    /// Source of the call.
    pub source: Box<str>,
    /// Platform of that source.
    pub platform: Platform,
    /// Time of the call, when the test sets one.
    pub at: Option<Timestamp>,
    /// Answers of look-ups, and the caller's history.
    pub lookups: LookupAnswers,
    /// Expected decision.
    pub expected: Expected,
    /// Location of the test's name.
    pub location: Location,
}

/// Expected decision for a call. Absent fields match anything.
#[derive(Debug, Default)]
pub struct Expected {
    /// Name of the deciding rule.
    pub rule: Option<Box<str>>,
    /// Name of the agent in the table.
    pub agent: Option<Box<str>>,
    /// `agent`, `transfer`, `reject` or `keep`.
    pub outcome: Option<Box<str>>,
    /// Reason of a rejection.
    pub reason: Option<Box<str>>,
    /// Target of a transfer.
    pub transfer: Option<TransferTarget>,
    /// Text that the caller hears.
    pub say: Option<Box<str>>,
    /// SIP headers that must be present; others may be too.
    pub sip_headers: Vec<(Box<str>, Box<str>)>,
    /// Variables that must be present; others may be too.
    pub variables: Vec<(Box<str>, Box<str>)>,
    /// Metadata entries that must be present; others may be too.
    pub metadata: Object,
    /// Agent settings that must be present; others may be too.
    pub agent_override: Object,
    /// Ringing time before the reply.
    pub delay: Option<Duration>,
}

impl Expected {
    /// Returns whether every decision matches.
    pub fn is_empty(&self) -> bool {
        self.rule.is_none()
            && self.agent.is_none()
            && self.outcome.is_none()
            && self.reason.is_none()
            && self.transfer.is_none()
            && self.say.is_none()
            && self.sip_headers.is_empty()
            && self.variables.is_empty()
            && self.metadata.is_empty()
            && self.agent_override.is_empty()
            && self.delay.is_none()
    }
}
