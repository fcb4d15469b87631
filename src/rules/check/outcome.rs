//! Outcome of a rule: the agent, or the arms of a split.

use std::ops::Range;

use super::Checker;
use super::rule::{RuleNumbers, called, may_ask};
use crate::diagnostics::Location;
use crate::rules::InvalidTemplate;
use crate::rules::load::raw::{OUTCOMES, RawArm, RawOutcome, RawRule, Spanned};
use crate::rules::{Action, AgentRef, Arm, PlatformIds, SourceInfo, Split, Template};

/// The whole of a split, in hundredths of a percent.
const WHOLE: u16 = 10_000;

const AGENT_OR_ELSE: &str = "use ${…|agent} to name the agent for an unknown value";

impl Checker<'_> {
    pub(super) fn does(
        &mut self,
        written: &RawRule,
        name: &str,
        number: usize,
        on: RuleNumbers<'_>,
    ) -> Option<Action> {
        let unreadable = |outcome: &Spanned<_>| matches!(outcome.value, RawOutcome::Invalid);
        if written.outcomes.iter().any(unreadable) {
            return None;
        }
        let [outcome] = written.outcomes.as_slice() else {
            let (span, said) = match written.outcomes.as_slice() {
                [.., last] => (&last.span, "several"),
                [] if written.misspelled_outcome => return None,
                [] => (&written.span, "none"),
            };
            let message = format!(
                "{}: set exactly one of `agent`, `split`, `reject`, `keep`, `continue`; there is {said}",
                called(name),
            );
            let help = swallowed(written).filter(|_| written.outcomes.is_empty());
            self.reporter.error("one-outcome", span, message).maybe_help(help);
            return None;
        };
        match &outcome.value {
            RawOutcome::Agent(agent) => {
                self.taker(&agent.value, &agent.span, number, on).map(Action::Agent)
            }
            RawOutcome::Split(arms) => {
                let key = written.split_key.as_ref().map_or(name, |key| &key.value);
                let arms = self.arms(arms, &outcome.span, number, on)?;
                Some(Action::Split(Box::new(Split { key: key.into(), arms })))
            }
            RawOutcome::Reject(reason) => Some(Action::Reject(reason.as_str().into())),
            RawOutcome::Keep => Some(Action::Keep),
            RawOutcome::Continue => Some(Action::Continue),
            RawOutcome::Invalid => None,
        }
    }

    fn arms(
        &mut self,
        written: &[RawArm],
        split: &Range<usize>,
        number: usize,
        on: RuleNumbers<'_>,
    ) -> Option<Vec<Arm>> {
        let mut arms = Vec::new();
        let mut whole = Some(0_u32);
        for arm in written {
            let hundredths = self.percent(arm);
            whole = whole.zip(hundredths).map(|(whole, more)| whole + u32::from(more));
            let Some(agent) = &arm.agent else {
                if !arm.invalid {
                    let message = "a split arm needs an `agent`".to_owned();
                    self.reporter.error("bad-split", &arm.span, message);
                }
                continue;
            };
            let taker = self.taker(&agent.value, &agent.span, number, on);
            let end = whole.and_then(|whole| u16::try_from(whole).ok());
            arms.extend(taker.zip(end).map(|(agent, end)| Arm { agent, end }));
        }
        let whole = whole?;
        if whole == u32::from(WHOLE) {
            return Some(arms);
        }
        let percent = f64::from(whole) / 100.0;
        let message = format!("the percentages add up to {percent} instead of 100");
        let help = match whole {
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
        if exact && (0.0..=f64::from(WHOLE)).contains(&rounded) {
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
    fn taker(
        &mut self,
        text: &str,
        span: &Range<usize>,
        number: usize,
        on: RuleNumbers<'_>,
    ) -> Option<AgentRef> {
        if text.contains("${") {
            let read = Template::parse(text, &mut self.in_rule(on));
            let read = read.map_err(|mut mistakes| {
                for InvalidTemplate { problem, .. } in &mut mistakes {
                    if problem.code == "may-be-unknown" {
                        problem.help = Some(AGENT_OR_ELSE.to_owned());
                    }
                }
                self.bad_template(text, span, mistakes);
            });
            let template = self.said(read.ok()?, span, number)?;
            return Some(AgentRef::Template(Box::new(template)));
        }
        self.agent(text, span).map(|at| AgentRef::Agent(at as u32))
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
        if self.any_agent {
            return Some(self.raw_agent(name));
        }
        let found = self.agent_named(name);
        match found {
            Some(at) => self.agents_used.mark(at),
            None => self.no_such_agent(name, span),
        }
        found
    }

    /// Parses an agent given by a single placeholder; all its values must be agents.
    fn said(&mut self, template: Template, span: &Range<usize>, number: usize) -> Option<Template> {
        let Some(value) = template.single_placeholder() else {
            let message = "an agent is one name or one ${…}, without other text".to_owned();
            self.reporter.error("bad-agent", span, message);
            return None;
        };
        if value.omitted {
            let message = "an agent cannot be omitted".to_owned();
            self.reporter.error("bad-agent", span, message).help(AGENT_OR_ELSE);
            return None;
        }
        let (cell, default) = (value.cell, value.default.map(str::to_owned));
        if let Some(default) = &default {
            self.agent(default, span)?;
        }
        match cell {
            Some(cell) => {
                let place = self.reporter.location(span);
                self.agent_column(cell, default.is_some(), number, place);
            }
            None if self.any_agent => {
                let message =
                    "the caller controls this value and could select any agent".to_owned();
                self.reporter
                    .error("bad-agent", span, message)
                    .help("add an [agents] table; then only its agents can be selected");
                return None;
            }
            // Any agent can be selected.
            None => (0..self.agents.len()).for_each(|at| self.agents_used.mark(at)),
        }
        Some(template)
    }

    /// Warns of platforms from which calls can match this rule and at which its agent has no id.
    pub(super) fn missing_ids(&mut self, rule: usize, agent: usize, place: &Location) {
        let agent = &self.agents[agent];
        let unreadable = agent.ids == PlatformIds::ByPlatform(Vec::new());
        let Some(rule) = self.rules.get(rule) else { return };
        let lacking = self.context.sources.iter().find(|asking| {
            may_ask(rule, asking) && !unreadable && agent.id_at(asking.platform).is_none()
        });
        if let Some(SourceInfo { source, platform, .. }) = lacking {
            let message = format!(
                "agent `{}` has no id at {platform}: calls from source `{source}` would be kept by \
                 the platform's own agent",
                agent.name,
            );
            self.reporter
                .report
                .warning("no-id-at-platform", Some(place.clone()), message)
                .help(format!("add one, or limit the rule with `platform = \"!{platform}\"`"));
        }
    }

    pub(super) fn missing_ids_of_arms(&mut self, written: &RawRule, number: usize) {
        let RawOutcome::Split(written) = &written.outcomes[0].value else { return };
        for arm in written.iter().filter_map(|arm| arm.agent.as_ref()) {
            if let Some(agent) = self.agent_named(&arm.value) {
                let place = self.reporter.location(&arm.span);
                self.missing_ids(number, agent, &place);
            }
        }
    }
}

/// Suggests that a variable was intended as an outcome: `agent` below `[rule.variables]`.
fn swallowed(written: &RawRule) -> Option<String> {
    let tables = [
        ("variables", Some(&written.variables)),
        ("metadata", written.metadata.as_ref()),
        ("agent_override", written.agent_override.as_ref()),
    ];
    tables.into_iter().find_map(|(table, entries)| {
        let mut names = entries?.iter().map(|(name, _)| name.value.as_str());
        let outcome = names.find(|name| OUTCOMES.contains(name))?;
        Some(format!("`{outcome}` belongs to `{table}` here; move it above [rule.{table}]"))
    })
}
