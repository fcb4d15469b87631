//! Check of one rule, and warnings about likely mistakes.

use super::Checker;
use crate::dialect;
use crate::rules::load::raw::{Entries, RawOutcome, RawRule};
use crate::rules::{Action, AgentRef, Conditions, NamedRef, NumberMatcher, Rule, SourceInfo};

impl Checker<'_> {
    pub(super) fn rule(&mut self, written: &RawRule) {
        let before = self.reporter.failures();
        let number = self.rules.len();
        let name = self.rule_name(written, number);
        let to = self.numbers(&written.to);
        let from = self.numbers(&written.from);
        let mut also = Conditions {
            channel: self.either(&written.channel, Self::channel),
            platform: self.either(&written.platform, Self::platform),
            source: self.either(&written.source, Self::source),
            hours: self.either(&written.hours, |checker, name| {
                let at = checker.hours_named(name)?;
                Some(NamedRef { index: at, name: name.value.as_str().into() })
            }),
            dates: self.either(&written.dates, |checker, name| {
                let at = checker.dates_named(name)?;
                Some(NamedRef { index: at, name: name.value.as_str().into() })
            }),
            where_clauses: Vec::new(),
        };
        if let (Some(first), false) = (written.dates.first(), also.dates.is_anything()) {
            let message = format!("{} depends on dates, but the table has no zone", called(name));
            self.zone_for(message, &first.span);
        }
        let on = RuleNumbers { to: &to, from: &from };
        also.where_clauses = self.wheres(written, on);
        let adds = self.additions(written, name, on);
        let does = self.does(written, name, number, on);
        let also = Some(also).filter(|also| *also != Conditions::default()).map(Box::new);
        // A rule without an outcome has been reported; its table is never used.
        let rule_does = does.unwrap_or(Action::Keep);
        let rule = Rule {
            name: name.into(),
            to,
            from,
            conditions: also,
            action: rule_does,
            additions: adds,
        };
        let span = written.name.as_ref().map_or(&written.span, |name| &name.span);
        self.places.push(&self.reporter.location(span));
        self.rules.push(rule);
        let invalid = written.invalid || self.reporter.failures() > before;
        self.invalid.push(invalid);
        if written.enabled == Some(false) {
            self.off.push(number);
        } else {
            self.lint_rule(written, number);
        }
    }

    /// Warns of likely mistakes.
    fn lint_rule(&mut self, written: &RawRule, number: usize) {
        let name = self.rules[number].name.clone();
        match self.rules[number].action {
            _ if written.outcomes.len() != 1 => {}
            Action::Agent(AgentRef::Agent(agent)) => {
                if let RawOutcome::Agent(at) = &written.outcomes[0].value {
                    let place = self.reporter.location(&at.span);
                    self.missing_ids(number, agent as usize, &place);
                }
            }
            Action::Split(_) => self.missing_ids_of_arms(written, number),
            Action::Reject(_) => self.never_sent(written, &name),
            Action::Continue => self.adds_nothing(written, &name),
            Action::Keep | Action::Agent(AgentRef::Template(_)) => {}
        }
        if let (Some(key), false) = (&written.split_key, self.splits(number)) {
            let message = format!("{} has a `split_key` but no `split`", called(&name));
            self.reporter.warning("never-used", &key.span, message);
        }
        self.cut_delay(number, written);
    }

    fn splits(&self, number: usize) -> bool {
        matches!(self.rules[number].action, Action::Split(_))
    }

    fn rule_name<'w>(&mut self, rule: &'w RawRule, number: usize) -> &'w str {
        let Some(name) = rule.name.as_ref().filter(|name| !name.value.trim().is_empty()) else {
            if !rule.invalid_name {
                let span = rule.name.as_ref().map_or(&rule.span, |name| &name.span);
                self.reporter
                    .error("no-name", span, "every rule needs a `name`".to_owned())
                    .help("logs and records show it");
            }
            return "";
        };
        let found = self.rules_by_name.find(&name.value, |at| &self.rules[at].name);
        match found {
            Some(first) => {
                let first = self.places.of(first);
                self.reporter.duplicate_name("a rule", name, Some(&first));
            }
            None => {
                let own = &*name.value;
                self.rules_by_name
                    .insert(own, number, |at| self.rules.get(at).map_or(own, |rule| &rule.name));
            }
        }
        &name.value
    }

    fn cut_delay(&mut self, number: usize, written: &RawRule) {
        let rule = &self.rules[number];
        let delay = rule.additions.as_ref().and_then(|adds| adds.delay);
        let (Some(delay), Some(at)) = (delay, &written.delay_ms) else { return };
        let asking = self.context.sources.iter().filter(|asking| may_ask(rule, asking));
        let Some(least) = asking.min_by_key(|asking| asking.reply_within) else { return };
        if least.reply_within < delay {
            let message = format!(
                "{}: source `{}` answers within {} ms, so the delay is shortened to that",
                called(&rule.name),
                least.source,
                least.reply_within.as_millis(),
            );
            self.reporter
                .warning("delay-over-budget", &at.span, message)
                .help("raise reply_within_ms of the source");
        }
    }

    fn never_sent(&mut self, written: &RawRule, name: &str) {
        if let Some(adds) = &written.first_addition {
            let message =
                format!("{} rejects calls, so its additions are never sent", called(name));
            self.reporter.warning("never-sent", adds, message);
        }
    }

    fn adds_nothing(&mut self, written: &RawRule, name: &str) {
        let filled =
            |entries: &Option<Entries>| entries.as_ref().is_some_and(|all| !all.is_empty());
        let adds = filled(&written.metadata)
            || filled(&written.agent_override)
            || !written.variables.is_empty()
            || written.delay_ms.is_some();
        if !adds {
            let message = format!("{} continues without adding anything", called(name));
            self.reporter
                .warning("adds-nothing", &written.outcomes[0].span, message)
                .help("add `variables`, `metadata` or `agent_override`");
        }
    }
}

/// Number conditions of a rule.
#[derive(Clone, Copy)]
pub(super) struct RuleNumbers<'n> {
    pub(super) to: &'n NumberMatcher,
    pub(super) from: &'n NumberMatcher,
}

/// Returns how messages refer to a rule.
pub(super) fn called(name: &str) -> String {
    if name.is_empty() { "this rule".to_owned() } else { format!("rule `{name}`") }
}

/// Returns whether calls of this source can match the rule.
pub(super) fn may_ask(rule: &Rule, asking: &SourceInfo) -> bool {
    let Some(also) = &rule.conditions else { return true };
    let dialect = dialect::by_name(asking.platform.as_str());
    dialect.is_some_and(|dialect| also.may_come_from(dialect))
        && also.source.matches(|source| **source == *asking.source)
}
