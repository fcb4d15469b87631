//! Check of one rule, and warnings about likely mistakes.

use super::rules::RuleChecker;
use super::sources::{can_match_source, warn_missing_id};
use super::whole_countries::whole_countries;
use crate::diagnostics::{Location, Severity};
use crate::rules::load::raw::{Entries, RawOutcome, RawRule};
use crate::rules::{Action, AgentRef, Conditions, NumberMatcher, NumberPattern, Rule, Scope};

/// Number conditions of a rule.
#[derive(Clone, Copy)]
pub(super) struct RuleNumbers<'n> {
    pub(super) to: &'n NumberMatcher,
    pub(super) from: &'n NumberMatcher,
    pub(super) forwarded_from: &'n NumberMatcher,
    /// Scope of the rule's file.
    pub(super) scope: Option<&'n Scope>,
}

impl RuleChecker<'_, '_> {
    pub(super) fn rule(&mut self, raw: &RawRule) {
        let failures = self.reporter.failures();
        let number = self.checked.rules.len();
        let name = self.rule_name(raw, number);
        let to = self.numbers(&raw.to);
        let from = self.numbers(&raw.from);
        let forwarded_from = self.forwarded_from(&raw.forwarded_from);
        let scope = self.file_scope.clone();
        let numbers = RuleNumbers {
            to: &to,
            from: &from,
            forwarded_from: &forwarded_from,
            scope: scope.as_deref(),
        };
        let mut conditions = self.conditions(raw, name, numbers);
        conditions.where_clauses = self.where_clauses(raw, numbers);
        let mut additions = self.additions(raw, name, numbers);
        let action = self.action(raw, name, numbers);
        self.set_unsupported(raw, action.as_ref(), &mut additions);
        conditions.forwarded_from = forwarded_from;
        let has_conditions = conditions != Conditions::default();
        let rule = Rule {
            name: name.into(),
            to,
            from,
            conditions: has_conditions.then(|| Box::new(conditions)),
            scope,
            // The action is missing after an error, and then the table is never used.
            action: action.unwrap_or(Action::Keep),
            additions,
        };
        let span = raw.name.as_ref().map_or(&raw.span, |name| &name.span);
        self.checked.locations.push(&self.reporter.location(span));
        if rule.scope.is_some() {
            self.note_scoped_keys(raw, number);
        }
        self.checked.rules.push(rule);
        if raw.enabled != Some(false) {
            self.check_capabilities(raw, number);
        }
        let has_error = raw.invalid || self.reporter.failures() > failures;
        self.checked.invalid.push(has_error || self.scope_is_invalid);
        if raw.enabled == Some(false) {
            self.checked.disabled.push(number);
        } else {
            self.lint_rule(raw, number);
        }
    }

    fn rule_name<'w>(&mut self, raw: &'w RawRule, number: usize) -> &'w str {
        let Some(name) = raw.name.as_ref().filter(|name| !name.value.trim().is_empty()) else {
            if !raw.invalid_name {
                let span = raw.name.as_ref().map_or(&raw.span, |name| &name.span);
                self.reporter
                    .error("no-name", span, "every rule needs a `name`".to_owned())
                    .help("logs and records show it");
            }
            return "";
        };
        match self.checked.find(&name.value) {
            Some(first) => {
                let first = self.checked.locations.get(first);
                self.reporter.duplicate_name("a rule", name, Some(&first));
            }
            None => {
                // The rule itself is pushed later.
                let rules = &self.checked.rules;
                let name_of =
                    |index: usize| rules.get(index).map_or(name.value.as_str(), |rule| &rule.name);
                self.checked.by_name.insert(&name.value, number, name_of);
            }
        }
        &name.value
    }

    /// Warns of likely mistakes.
    fn lint_rule(&mut self, raw: &RawRule, number: usize) {
        let rule = &self.checked.rules[number];
        if let [outcome] = raw.outcomes.as_slice() {
            match (&rule.action, &outcome.value) {
                (Action::Agent(AgentRef::Agent(agent)), RawOutcome::Agent(name)) => {
                    let location = self.reporter.location(&name.span);
                    self.warn_missing_id(number, *agent as usize, location);
                }
                (Action::Split(_), RawOutcome::Split(arms)) => {
                    for agent in arms.iter().filter_map(|arm| arm.agent.as_ref()) {
                        let Some(found) = self.definitions.agents.find(&agent.value) else {
                            continue;
                        };
                        let location = self.reporter.location(&agent.span);
                        self.warn_missing_id(number, found, location);
                    }
                }
                (Action::Split(split), RawOutcome::NamedSplit(name)) => {
                    let agents: Vec<_> = split.agents().collect();
                    for agent in agents {
                        self.warn_missing_id(number, agent, self.reporter.location(&name.span));
                    }
                }
                (Action::Reject(_), _) => {
                    self.warn_unsent_additions(raw, number, "rejects calls");
                    self.warn_whole_countries(raw);
                }
                (Action::Transfer(_), _) => {
                    self.warn_unsent_additions(raw, number, "transfers calls");
                }
                (Action::Continue, _) => self.warn_no_additions(raw, number),
                (Action::Agent(_) | Action::Split(_) | Action::SplitOfRow(_) | Action::Keep, _) => {
                }
            }
        }
        self.warn_unused_split_key(raw, number);
        self.warn_shortened_delay(raw, number);
    }

    /// Warns of platforms from which calls can match this rule and at which its agent has no id.
    fn warn_missing_id(&mut self, rule: usize, agent: usize, location: Location) {
        let rule = &self.checked.rules[rule];
        let agent = &self.definitions.agents.all[agent];
        warn_missing_id(rule, agent, location, self.context, self.reporter);
    }

    /// Warns of additions that no reply carries beside the outcome of a rule.
    fn warn_unsent_additions(&mut self, raw: &RawRule, number: usize, what: &str) {
        let rule = &self.checked.rules[number];
        let is_rejected = matches!(rule.action, Action::Reject(_));
        let header = raw.sip_headers.first().map(|(name, _)| &name.span);
        let Some(span) = raw.first_addition.as_ref().or(header.filter(|_| is_rejected)) else {
            return;
        };
        let sent = if is_rejected { "`say`" } else { "`say` and `sip_headers`" };
        let rule = describe_rule(&rule.name);
        let message = format!("{rule} {what}, so its additions are never sent");
        self.reporter
            .warning("never-sent", span, message)
            .help(format!("only {sent} can go with this outcome"));
    }

    /// Warns of prefixes in a rejecting rule that take all numbers of a country.
    fn warn_whole_countries(&mut self, raw: &RawRule) {
        for text in raw.from.iter().chain(&raw.to) {
            let Ok(NumberPattern::Prefix(prefix)) = NumberPattern::parse(text.value.trim()) else {
                continue;
            };
            if let Some(problem) = whole_countries(prefix, &text.value) {
                self.reporter.push(Severity::Warning, &text.span, problem);
            }
        }
    }

    fn warn_no_additions(&mut self, raw: &RawRule, number: usize) {
        let has_entries =
            |entries: &Option<Entries>| entries.as_ref().is_some_and(|all| !all.is_empty());
        let has_additions = has_entries(&raw.metadata)
            || has_entries(&raw.agent_override)
            || !raw.variables.is_empty()
            || !raw.sip_headers.is_empty()
            || raw.say.is_some()
            || raw.delay_ms.is_some();
        if !has_additions {
            let rule = describe_rule(&self.checked.rules[number].name);
            let message = format!("{rule} continues without adding anything");
            self.reporter
                .warning("adds-nothing", &raw.outcomes[0].span, message)
                .help("add `variables`, `metadata`, `agent_override`, `say` or `sip_headers`");
        }
    }

    fn warn_unused_split_key(&mut self, raw: &RawRule, number: usize) {
        let rule = &self.checked.rules[number];
        let Some(key) = &raw.split_key else { return };
        self.reporter.warn_placeholder("`split_key`", &key.value, &key.span);
        if !rule.action.is_split() {
            let message = format!("{} has a `split_key` but no `split`", describe_rule(&rule.name));
            self.reporter.warning("never-used", &key.span, message);
        }
    }

    fn warn_shortened_delay(&mut self, raw: &RawRule, number: usize) {
        let rule = &self.checked.rules[number];
        let delay = rule.additions.as_ref().and_then(|additions| additions.delay);
        let (Some(delay), Some(raw_delay)) = (delay, &raw.delay_ms) else { return };
        let sources = self
            .context
            .sources
            .iter()
            .filter(|source| can_match_source(rule, source, self.context));
        let Some(fastest) = sources.min_by_key(|source| source.reply_within) else { return };
        if fastest.reply_within < delay {
            let message = format!(
                "{}: source `{}` answers within {} ms, so the delay is shortened to that",
                describe_rule(&rule.name),
                fastest.source,
                fastest.reply_within.as_millis(),
            );
            self.reporter
                .warning("delay-over-budget", &raw_delay.span, message)
                .help("raise reply_within_ms of the source");
        }
    }
}

/// Returns the phrase by which messages refer to a rule.
pub(super) fn describe_rule(name: &str) -> String {
    if name.is_empty() { "this rule".to_owned() } else { format!("rule `{name}`") }
}
