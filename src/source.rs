//! A source: one workspace of a platform that asks, and how it wants to be treated.

use std::sync::Arc;
use std::time::Duration;

use crate::authenticate::Policy;
use crate::dialect::Dialect;

/// One `[sources.NAME]` of the settings, checked.
pub struct Source {
    /// The name, which is also the last part of its path.
    pub name: Arc<str>,
    /// How its platform speaks.
    pub dialect: &'static dyn Dialect,
    /// Who may ask in its name.
    pub policy: Policy,
    /// The budget for an answer, counted from the arrival of the request.
    pub reply_within: Duration,
    /// What to answer when something breaks.
    pub fallback: Fallback,
}

/// The reply for the moment when everything else broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fallback {
    /// The number's own agent.
    Keep,
    /// Turn the caller away.
    Reject,
    /// The agent of this name.
    Agent(Box<str>),
}
