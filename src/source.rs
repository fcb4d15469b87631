//! A source: one workspace of a platform that sends requests, and its policy.

use std::sync::Arc;
use std::time::Duration;

use crate::authenticate::Policy;
use crate::dialect::{Dialect, RenderContext, Reply};
use crate::domain::call::{Call, Channel};
use crate::domain::decision::{Decision, Outcome, SelectedAgent};
use crate::domain::party::NumberFormat;
use crate::rules::RuleSet;
use crate::rules::engine::fallback_to;

/// Time that remains before the deadline of a reply when its look-ups are given up.
const TIME_TO_DECIDE: Duration = Duration::from_millis(50);

/// Returns the time that look-ups have in a source that replies within `reply_within`: what follows them
/// takes time, too.
pub fn time_for_lookups(reply_within: Duration) -> Duration {
    reply_within - TIME_TO_DECIDE.min(reply_within / 2)
}

/// A validated `[sources.NAME]` section of the settings.
pub struct Source {
    /// Name, which is also part of the URL path.
    pub name: Arc<str>,
    /// Dialect of its platform.
    pub dialect: &'static dyn Dialect,
    /// How its numbers are written.
    pub numbers: NumberFormat,
    /// Authentication policy.
    pub policy: Policy,
    /// Authentication policy of the path of events; `None` if it is the same.
    pub events_policy: Option<Policy>,
    /// Reply deadline, measured from the arrival of the request.
    pub reply_within: Duration,
    /// Reply to a request that fails after authentication.
    pub fallback: Fallback,
}

impl Source {
    /// Returns the authentication policy of a path.
    pub fn policy_of(&self, is_events_path: bool) -> &Policy {
        self.events_policy.as_ref().filter(|_| is_events_path).unwrap_or(&self.policy)
    }

    /// Renders the reply to a request of this source. `call` is `None` if the request could not be parsed.
    pub fn render(
        &self,
        rules: &RuleSet,
        channel: Channel,
        call: Option<&Call<'_>>,
        decision: &Decision<'_>,
    ) -> Reply {
        let stand_in = self.stand_in(rules, decision);
        let context = RenderContext { channel, call, stand_in: stand_in.as_ref() };
        self.dialect.render(&context, decision)
    }

    /// Returns the agent that answers in place of the platform's own, on a platform that has none.
    fn stand_in<'t>(
        &self,
        rules: &'t RuleSet,
        decision: &Decision<'_>,
    ) -> Option<SelectedAgent<'t>> {
        let Fallback::Agent(name) = &self.fallback else { return None };
        if self.dialect.capabilities().keep || !matches!(decision.outcome(), Outcome::Keep(_)) {
            return None;
        }
        match fallback_to(rules, name, self.dialect.platform()).into_outcome() {
            Outcome::Agent(agent) => Some(agent),
            Outcome::Reject(_) | Outcome::Transfer(_) | Outcome::Keep(_) => None,
        }
    }
}

/// Fallback reply of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fallback {
    /// Keep the agent that the platform has assigned to the number.
    Keep,
    /// Reject the call.
    Reject,
    /// Route the call to the agent of this name.
    Agent(Box<str>),
}
