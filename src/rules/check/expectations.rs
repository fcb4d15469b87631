//! Expectations of a table's tests: the decision to which each call must lead.

use super::table_tests::{TestChecker, object};
use super::transfer;
use super::values;
use crate::diagnostics::did_you_mean;
use crate::domain::transfer::TransferTarget;
use crate::rules::Expected;
use crate::rules::load::raw::{RawExpectation, Spanned};

impl TestChecker<'_, '_> {
    /// Checks the expected decision.
    pub(super) fn expected(&mut self, raw: &RawExpectation) -> Expected {
        let before = self.reporter.report.error_count();
        if let Some(rule) = &raw.rule {
            self.check_rule(rule);
        }
        if let Some(agent) = &raw.agent {
            self.check_agent(agent);
        }
        let reason = raw.reject.as_ref().and_then(|reject| reject.value.as_deref());
        let outcome = self.outcome(raw);
        let delay = raw.delay_ms.as_ref();
        let delay = delay.and_then(|delay| values::delay(delay, "this test", self.reporter));
        let expected = Expected {
            rule: raw.rule.as_ref().map(|rule| rule.value.as_str().into()),
            agent: raw.agent.as_ref().map(|agent| agent.value.as_str().into()),
            outcome,
            reason: reason.map(Box::from),
            transfer: raw.transfer.as_ref().and_then(|target| self.target(target)),
            say: raw.say.as_ref().map(|text| text.value.as_str().into()),
            sip_headers: self.texts(&raw.sip_headers),
            variables: self.texts(&raw.variables),
            metadata: raw.metadata.as_ref().map(object).unwrap_or_default(),
            agent_override: raw.agent_override.as_ref().map(object).unwrap_or_default(),
            delay,
        };
        if expected.is_empty() && self.reporter.report.error_count() == before && !raw.invalid {
            self.reporter
                .error("no-expectation", &raw.span, "the test expects nothing".to_owned())
                .help("expect a `rule`, an `agent`, `variables`, `transfer`, `reject` or `keep`");
        }
        expected
    }

    /// Returns the expected target of a transfer.
    fn target(&mut self, raw: &Spanned<String>) -> Option<TransferTarget> {
        let target = transfer::target(&raw.value, self.definitions.country);
        target.map_err(|problem| self.reporter.problem(&raw.span, problem)).ok()
    }

    /// Returns the expected outcome, if there is one.
    fn outcome(&mut self, raw: &RawExpectation) -> Option<Box<str>> {
        let keys = [
            raw.agent.as_ref().map(|agent| (&agent.span, "agent")),
            raw.transfer.as_ref().map(|target| (&target.span, "transfer")),
            raw.reject.as_ref().map(|reject| (&reject.span, "reject")),
            raw.keep.as_ref().map(|keep| (&keep.span, "keep")),
        ];
        let mut outcomes: Vec<_> =
            keys.into_iter().flatten().map(|(span, name)| (span, name.into())).collect();
        if let Some(outcome) = &raw.outcome {
            outcomes.extend(self.outcome_name(outcome).map(|name| (&outcome.span, name)));
        }
        let (_, first) = outcomes.first().cloned()?;
        if let Some((span, other)) = outcomes.iter().find(|(_, name)| *name != first) {
            let message = format!("a call has one outcome; the test expects {first} and {other}");
            self.reporter.error("one-outcome", span, message);
        }
        // An agent is compared by its name.
        Some(first).filter(|_| raw.agent.is_none())
    }

    fn check_rule(&mut self, rule: &Spanned<String>) {
        if let Some(found) = self.rules.find(&rule.value) {
            if self.rules.is_disabled(found) {
                let message = format!("rule `{}` is disabled, so no call reaches it", rule.value);
                self.reporter
                    .error("unknown-rule", &rule.span, message)
                    .help("remove the test, or `enabled = false` from the rule");
            }
            return;
        }
        let suggestion = did_you_mean(&rule.value, self.rules.rules.iter().map(|rule| &*rule.name));
        let message = format!("unknown rule `{}`", rule.value);
        self.reporter.error("unknown-rule", &rule.span, message).maybe_help(suggestion);
    }

    fn check_agent(&mut self, agent: &Spanned<String>) {
        let agents = &self.definitions.agents;
        if !agents.raw_ids && agents.find(&agent.value).is_none() {
            agents.report_unknown(&agent.value, &agent.span, self.reporter);
        }
    }

    fn outcome_name(&mut self, raw: &Spanned<String>) -> Option<Box<str>> {
        let known = ["agent", "transfer", "reject", "keep"];
        if known.contains(&&*raw.value) {
            return Some(raw.value.as_str().into());
        }
        let message = format!("unknown outcome `{}`", raw.value);
        self.reporter
            .error("unknown-outcome", &raw.span, message)
            .help("use agent, transfer, reject or keep");
        None
    }
}
