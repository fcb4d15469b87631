//! Variables that agents require and no rule sets: those that the table lists, and the placeholders of sessions.

use std::collections::HashSet;

use super::agents::Agents;
use super::capabilities::agents_of;
use super::rows::AgentsOfColumns;
use super::rules::EnabledRules;
use super::sources::{can_match_platform, can_match_source};
use crate::diagnostics::Report;
use crate::domain::session::SessionTemplate;
use crate::rules::{Action, Agent, AgentRef, CheckContext, Rule, Template};

/// Agents with what decides which of them a rule can select.
pub(super) struct RequiredVariables<'c> {
    pub(super) agents: &'c Agents,
    pub(super) of_columns: &'c AgentsOfColumns,
    pub(super) context: &'c CheckContext,
}

/// An agent that a rule can give a call, with the variables that it requires there and no rule sets.
struct Unset<'c> {
    agent: &'c Agent,
    variables: Vec<&'c str>,
}

impl<'c> RequiredVariables<'c> {
    /// Warns of rules that select an agent whose variables neither they nor a `continue` rule before them set.
    pub(super) fn warn_unset(&self, rules: &EnabledRules, report: &mut Report) {
        let has_sessions = self.agents.all.iter().any(|agent| !agent.sessions.is_empty());
        if !has_sessions && !self.agents.have_required_variables() {
            return;
        }
        let mut continued = HashSet::new();
        for (number, rule) in rules.rules.iter().enumerate() {
            if rule.action == Action::Continue {
                continued.extend(variables_of(rule));
                continue;
            }
            let own: HashSet<_> = variables_of(rule).collect();
            let is_unset = |name: &&str| !own.contains(*name) && !continued.contains(*name);
            let mut unset = self.required_by(rule);
            unset.iter_mut().for_each(|one| one.variables.retain(is_unset));
            unset.retain(|one| !one.variables.is_empty());
            if selects_by_value(&rule.action) && unset.len() > 1 {
                // A list can name any number of agents.
                unset.truncate(1);
            }
            for Unset { agent, variables } in unset {
                let (verb, takes) = if rule.action == Action::Keep {
                    ("keeps calls, which the fallback agent", " then takes")
                } else if selects_by_value(&rule.action) {
                    ("can select agent", "")
                } else {
                    ("selects agent", "")
                };
                let more = match variables.len() {
                    1 => String::new(),
                    count => format!(" and {} more", count - 1),
                };
                let message = format!(
                    "rule `{}` {verb} `{}`{takes}, and no rule sets its variable `{}`{more}",
                    rule.name, agent.name, variables[0]
                );
                report
                    .warning("required-variable", Some(rules.locations.get(number)), message)
                    .help("it is sent as an empty text; set it in `variables`");
            }
        }
    }

    /// Returns the agents that a rule can give a call, with all variables that they require.
    fn required_by(&self, rule: &Rule) -> Vec<Unset<'c>> {
        if rule.action == Action::Keep {
            return self.stand_ins(rule);
        }
        let selected = agents_of(rule).chain(self.agents_by_value(&rule.action));
        let required = selected.map(|agent| {
            let agent = &self.agents.all[agent];
            Unset { agent, variables: self.required_variables(agent, rule) }
        });
        required.collect()
    }

    /// Returns the agents that a value of the call selects: those of a column, or any.
    fn agents_by_value(&self, action: &Action) -> Vec<usize> {
        match action {
            Action::Agent(AgentRef::Template(template)) => self.agents_of_template(template),
            Action::SplitOfRow(of_row) => self.of_columns.of(of_row.cell).collect(),
            Action::Agent(AgentRef::Agent(_))
            | Action::Split(_)
            | Action::Transfer(_)
            | Action::Reject(_)
            | Action::Keep
            | Action::Continue => Vec::new(),
        }
    }

    fn agents_of_template(&self, template: &Template) -> Vec<usize> {
        let Some(value) = template.single_placeholder() else { return Vec::new() };
        let default = value.default.and_then(|name| self.agents.find(name));
        match value.cell {
            Some(cell) => self.of_columns.of(cell).chain(default).collect(),
            None => (0..self.agents.all.len()).collect(),
        }
    }

    /// Returns the fallback agents that take the calls that a rule keeps, at platforms without an agent of their own.
    fn stand_ins(&self, rule: &Rule) -> Vec<Unset<'c>> {
        let context = self.context;
        let mut stand_ins: Vec<Unset<'c>> = Vec::new();
        for source in &context.sources {
            let dialect = context.dialects.by_name(source.platform.as_str());
            let has_own = dialect.is_none_or(|dialect| dialect.capabilities().keep);
            let agent = source.fallback_agent.as_ref().and_then(|name| self.agents.find(name));
            let Some(agent) = agent.filter(|_| !has_own) else { continue };
            if !can_match_source(rule, source, context) {
                continue;
            }
            let agent = &self.agents.all[agent];
            let mut names = listed_variables(agent);
            let session = agent.session_at(source.platform);
            add_names(&mut names, session.map(SessionTemplate::variable_names).unwrap_or_default());
            match stand_ins.iter_mut().find(|one| one.agent.name == agent.name) {
                Some(known) => add_names(&mut known.variables, names),
                None => stand_ins.push(Unset { agent, variables: names }),
            }
        }
        stand_ins
    }

    /// Returns the variables that an agent requires, each once: those that the table lists, and the placeholders of
    /// its sessions at platforms whose calls can match the rule.
    fn required_variables(&self, agent: &'c Agent, rule: &Rule) -> Vec<&'c str> {
        let mut names = listed_variables(agent);
        for (platform, session) in &agent.sessions {
            let placeholders = session.variable_names();
            let adds_some = placeholders.iter().any(|name| !names.contains(name));
            if adds_some && can_match_platform(rule, *platform, self.context) {
                add_names(&mut names, placeholders);
            }
        }
        names
    }
}

/// Returns whether the agent depends on a value of the call.
fn selects_by_value(action: &Action) -> bool {
    matches!(action, Action::Agent(AgentRef::Template(_)) | Action::SplitOfRow(_))
}

/// Returns the variables that the table lists for an agent.
fn listed_variables(agent: &Agent) -> Vec<&str> {
    agent.required_variables.iter().map(|name| &**name).collect()
}

fn add_names<'c>(names: &mut Vec<&'c str>, more: Vec<&'c str>) {
    for name in more {
        if !names.contains(&name) {
            names.push(name);
        }
    }
}

fn variables_of(rule: &Rule) -> impl Iterator<Item = &str> {
    let additions = rule.additions.as_deref().into_iter();
    additions.flat_map(|added| added.variables.iter().map(|(name, _)| &**name))
}
