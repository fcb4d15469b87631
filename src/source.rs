//! A source: one workspace of a platform that sends requests, and its policy.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use url::Url;

use crate::authenticate::Policy;
use crate::dialect::{DialectRef, RenderContext, Reply};
use crate::domain::call::{Call, Channel};
use crate::domain::decision::{Decision, Outcome, SelectedAgent};
use crate::domain::effect::Effect;
use crate::domain::party::NumberFormat;
use crate::domain::secret::LiveSecret;
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
    pub dialect: DialectRef,
    /// Notation of its phone numbers.
    pub numbers: NumberFormat,
    /// Authentication policy.
    pub policy: Policy,
    /// Authentication policy of the path of events; `None` if it is the same.
    pub events_policy: Option<Policy>,
    /// Access to the platform's API, for decisions that a reply cannot carry out.
    pub api: Option<ApiAccess>,
    /// Reply deadline, measured from the arrival of the request.
    pub reply_within: Duration,
    /// Reply to a request that fails after authentication.
    pub fallback: Fallback,
    /// URL of its events; `None` if its address is unknown, or if the URL contains a secret.
    pub events_url: Option<Box<str>>,
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
        let context = RenderContext {
            channel,
            call,
            stand_in: stand_in.as_ref(),
            events_url: self.events_url.as_deref(),
        };
        self.dialect.render(&context, decision)
    }

    /// Returns the reply to a probe: that of the fallback agent where it stands in for the platform's own, or else
    /// the default reply. `keep` is the decision about a call that matches no rule.
    pub fn probe_reply(&self, rules: &RuleSet, keep: &Decision<'_>) -> Bytes {
        match self.stand_in(rules, keep) {
            Some(_) => self.render(rules, Channel::Call, None, keep).into_body(),
            None => Bytes::copy_from_slice(self.dialect.default_reply(Channel::Call).as_bytes()),
        }
    }

    /// Returns a decision with the variables that the agent requires which takes a kept call in place of the
    /// platform's own. Those that no rule has set are empty texts.
    pub fn with_variables_of_stand_in<'t>(
        &self,
        rules: &'t RuleSet,
        decision: Decision<'t>,
    ) -> Decision<'t> {
        if !rules.has_required_variables || !matches!(decision.outcome(), Outcome::Keep(_)) {
            return decision;
        }
        let stand_in = self.stand_in(rules, &decision);
        match stand_in.and_then(|agent| rules.agent(agent.name)) {
            Some(agent) => decision.with_required_variables(&agent.required_variables),
            None => decision,
        }
    }

    /// Returns the requests to the platform's API that carry out a decision, in order.
    pub fn effects(
        &self,
        rules: &RuleSet,
        call: &Call<'_>,
        decision: &Decision<'_>,
    ) -> Vec<Effect> {
        let stand_in = self.stand_in(rules, decision);
        let context = RenderContext {
            channel: call.channel(),
            call: Some(call),
            stand_in: stand_in.as_ref(),
            events_url: self.events_url.as_deref(),
        };
        self.dialect.effects(&context, decision)
    }

    /// Returns the agent that answers in place of the platform's own, on a platform that has none. A platform
    /// that transfers only calls that it has answered needs it, too.
    fn stand_in<'t>(
        &self,
        rules: &'t RuleSet,
        decision: &Decision<'_>,
    ) -> Option<SelectedAgent<'t>> {
        let Fallback::Agent(name) = &self.fallback else { return None };
        let is_needed = matches!(decision.outcome(), Outcome::Keep(_) | Outcome::Transfer(_));
        if self.dialect.capabilities().keep || !is_needed {
            return None;
        }
        match fallback_to(rules, name, self.dialect.platform()).into_outcome() {
            Outcome::Agent(agent) => Some(agent),
            Outcome::Reject(_) | Outcome::Transfer(_) | Outcome::Keep(_) => None,
        }
    }
}

/// Access to a platform's API.
pub struct ApiAccess {
    /// Base URL, without a query.
    pub base_url: Url,
    /// Bearer token; `None` if it is missing, which settings allow for a look at them only.
    pub key: LiveSecret,
    /// The host may have an address that is not on the internet: the settings name it.
    pub allow_private: bool,
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
