//! Outcome of a rule: the agent, or the arms of a split.

use std::ops::Range;

use super::agents::placeholder_id;
use super::lists::NameKind;
use super::rule::{RuleNumbers, describe_rule};
use super::rules::RuleChecker;
use crate::rules::load::raw::{OUTCOMES, RawArm, RawOutcome, RawRule, Spanned};
use crate::rules::{Action, AgentRef, Arm, Split, Template};

/// All calls of a split, in hundredths of a percent.
const ALL_CALLS: u16 = 10_000;

const USE_AGENT_DEFAULT: &str = "use ${…|agent} to name the agent for an unknown value";

impl RuleChecker<'_, '_> {
    pub(super) fn action(
        &mut self,
        raw: &RawRule,
        name: &str,
        numbers: RuleNumbers<'_>,
    ) -> Option<Action> {
        let is_invalid = |outcome: &Spanned<_>| matches!(outcome.value, RawOutcome::Invalid);
        if raw.outcomes.iter().any(is_invalid) {
            return None;
        }
        let [outcome] = raw.outcomes.as_slice() else {
            let (span, count) = match raw.outcomes.as_slice() {
                [.., last] => (&last.span, "are several"),
                [] if raw.misspelled_outcome => return None,
                [] => (&raw.span, "is none"),
            };
            let message = format!(
                "{}: set exactly one of `agent`, `split`, `transfer`, `reject`, `keep`, `continue`; there \
                 {count}",
                describe_rule(name),
            );
            let help = misplaced_outcome(raw).filter(|_| raw.outcomes.is_empty());
            self.reporter.error("one-outcome", span, message).maybe_help(help);
            return None;
        };
        match &outcome.value {
            RawOutcome::Agent(agent) => {
                self.agent_ref(&agent.value, &agent.span, numbers).map(Action::Agent)
            }
            RawOutcome::Split(arms) => {
                let key = raw.split_key.as_ref().map_or(name, |key| &key.value);
                let arms = self.arms(arms, &outcome.span, numbers)?;
                Some(Action::Split(Box::new(Split { key: key.into(), arms })))
            }
            RawOutcome::NamedSplit(split) => self.named_split(raw, split, numbers),
            RawOutcome::Transfer(target) => self.transfer(target, numbers).map(Action::Transfer),
            RawOutcome::Reject(reason) => {
                let what = "the reason of a rejection";
                self.reporter.warn_placeholder(what, reason, &outcome.span);
                self.warn_refused_rejection(reason, &outcome.span);
                Some(Action::Reject(reason.as_str().into()))
            }
            RawOutcome::Keep => Some(Action::Keep),
            RawOutcome::Continue => Some(Action::Continue),
            RawOutcome::Invalid => None,
        }
    }

    /// Warns of a reason such as `false`, which rejects calls, too.
    fn warn_refused_rejection(&mut self, reason: &str, span: &Range<usize>) {
        const WORDS: [&str; 6] = ["false", "no", "off", "never", "0", "none"];
        if WORDS.contains(&&*reason.trim().to_lowercase()) {
            let message = format!("the rule rejects calls, and `{reason}` is the reason");
            self.reporter.warning("plain-text", span, message).help(
                "to reject no call, remove the rule or its `reject`; to reject, write reject = true",
            );
        }
    }

    pub(super) fn arms(
        &mut self,
        raw: &[RawArm],
        split: &Range<usize>,
        numbers: RuleNumbers<'_>,
    ) -> Option<Vec<Arm>> {
        let mut arms = Vec::new();
        let mut sum = Some(0_u32);
        for arm in raw {
            let hundredths = self.percent(arm);
            sum = sum.zip(hundredths).map(|(sum, share)| sum + u32::from(share));
            let Some(agent) = &arm.agent else {
                if !arm.invalid {
                    let message = "a split arm needs an `agent`".to_owned();
                    self.reporter.error("bad-split", &arm.span, message);
                }
                continue;
            };
            let agent = self.agent_ref(&agent.value, &agent.span, numbers);
            let end = sum.and_then(|sum| u16::try_from(sum).ok());
            arms.extend(agent.zip(end).map(|(agent, end)| Arm { agent, end }));
        }
        let sum = sum?;
        if sum == u32::from(ALL_CALLS) {
            return Some(arms);
        }
        let percent = f64::from(sum) / 100.0;
        let message = format!("the percentages add up to {percent} instead of 100");
        let help = match sum {
            100 => Some("for nine of ten calls, use percent = 90"),
            9_900..10_000 => Some("two decimals are allowed: 33.33, 33.33 and 33.34"),
            _ => None,
        };
        self.reporter.error("bad-split", split, message).maybe_help(help.map(str::to_owned));
        None
    }

    /// Returns hundredths of a percent.
    fn percent(&mut self, arm: &RawArm) -> Option<u16> {
        let Some(percent) = &arm.percent else {
            if !arm.invalid {
                let message = "a split arm needs a `percent`".to_owned();
                self.reporter.error("bad-split", &arm.span, message);
            }
            return None;
        };
        let hundredths = percent.value * 100.0;
        let rounded = hundredths.round();
        let exact = (hundredths - rounded).abs() < 1e-6;
        if exact && (0.0..=f64::from(ALL_CALLS)).contains(&rounded) {
            return Some(rounded as u16);
        }
        let message = format!(
            "{} is not a percentage from 0 to 100 with at most two decimals",
            percent.value
        );
        self.reporter.error("bad-split", &percent.span, message);
        None
    }

    /// Parses an agent: a name, or a template that resolves to one.
    fn agent_ref(
        &mut self,
        text: &str,
        span: &Range<usize>,
        numbers: RuleNumbers<'_>,
    ) -> Option<AgentRef> {
        if text.contains("${") {
            let template = self.required_template(text, span, USE_AGENT_DEFAULT, numbers)?;
            let template = self.agent_template(template, span)?;
            self.reporter.check_attributes(&template, span);
            return Some(AgentRef::Template(Box::new(template)));
        }
        self.agent(text, span).map(|agent| AgentRef::Agent(agent as u32))
    }

    fn agent(&mut self, name: &str, span: &Range<usize>) -> Option<usize> {
        if name.trim().is_empty() {
            self.reporter.error(
                "unknown-agent",
                span,
                "the name of an agent must not be empty".to_owned(),
            );
            return None;
        }
        let agents = &mut self.definitions.agents;
        if agents.raw_ids {
            if let Some(problem) = placeholder_id(name) {
                self.reporter.problem(span, problem);
                return None;
            }
            return Some(agents.find_or_add_raw_id(name, Some(self.reporter.location(span))));
        }
        let found = agents.find(name);
        match found {
            Some(agent) => agents.usage.mark_used(agent),
            None => agents.report_unknown(name, span, self.reporter),
        }
        found
    }

    /// Parses an agent given by a single placeholder; all its values must be agents.
    fn agent_template(&mut self, template: Template, span: &Range<usize>) -> Option<Template> {
        let Some(value) = template.single_placeholder() else {
            let message = "an agent is one name or one ${…}, without other text".to_owned();
            self.reporter.error("bad-agent", span, message);
            return None;
        };
        if value.omitted {
            let message = "an agent cannot be omitted".to_owned();
            self.reporter.error("bad-agent", span, message).help(USE_AGENT_DEFAULT);
            return None;
        }
        let (cell, default) = (value.cell, value.default.map(str::to_owned));
        if let Some(default) = &default {
            self.agent(default, span)?;
        }
        match cell {
            Some(cell) => {
                self.add_name_column(NameKind::Agent, cell, span, default.is_some());
            }
            None if self.definitions.agents.raw_ids => {
                let message =
                    "the caller controls this value and could select any agent".to_owned();
                self.reporter
                    .error("bad-agent", span, message)
                    .help("add an [agents] table; then only its agents can be selected");
                return None;
            }
            // Any agent can be selected.
            None => self.definitions.agents.usage.mark_all_used(),
        }
        Some(template)
    }
}

/// Suggests that a variable was intended as an outcome: `agent` below `[rule.variables]`.
fn misplaced_outcome(raw: &RawRule) -> Option<String> {
    let tables = [
        ("variables", Some(&raw.variables)),
        ("metadata", raw.metadata.as_ref()),
        ("agent_override", raw.agent_override.as_ref()),
    ];
    tables.into_iter().find_map(|(table, entries)| {
        let mut names = entries?.iter().map(|(name, _)| name.value.as_str());
        let outcome = names.find(|name| OUTCOMES.contains(name))?;
        Some(format!("`{outcome}` belongs to `{table}` here; move it above [rule.{table}]"))
    })
}
