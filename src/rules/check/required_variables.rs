//! Variables that agents require and no rule sets: those that the table lists, and the placeholders of sessions.

use std::collections::HashSet;

use super::agents::Agents;
use super::capabilities::agents_of;
use super::rules::EnabledRules;
use super::sources::can_match_platform;
use crate::diagnostics::Report;
use crate::rules::{Action, Agent, CheckContext, Rule};

/// Warns of rules that select an agent whose variables neither they nor a `continue` rule before them set.
pub(super) fn warn_unset(
    rules: &EnabledRules,
    agents: &Agents,
    context: &CheckContext,
    report: &mut Report,
) {
    let has_sessions = agents.all.iter().any(|agent| !agent.sessions.is_empty());
    if !has_sessions && !agents.have_required_variables() {
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
        for agent in agents_of(rule) {
            let agent = &agents.all[agent];
            let mut unset = required_variables(agent, rule, context);
            unset.retain(is_unset);
            let Some(first) = unset.first() else { continue };
            let more = match unset.len() {
                1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            let message = format!(
                "rule `{}` selects agent `{}`, and no rule sets its variable `{first}`{more}",
                rule.name, agent.name
            );
            report
                .warning("required-variable", Some(rules.locations.get(number)), message)
                .help("it is sent as an empty text; set it in `variables`");
        }
    }
}

/// Returns the variables that an agent requires, each once: those that the table lists, and the placeholders of its
/// sessions at platforms whose calls can match the rule.
fn required_variables<'t>(agent: &'t Agent, rule: &Rule, context: &CheckContext) -> Vec<&'t str> {
    let mut names: Vec<&str> = agent.required_variables.iter().map(|name| &**name).collect();
    for (platform, session) in &agent.sessions {
        let placeholders = session.variable_names();
        if placeholders.iter().all(|name| names.contains(name))
            || !can_match_platform(rule, *platform, context)
        {
            continue;
        }
        for name in placeholders {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

fn variables_of(rule: &Rule) -> impl Iterator<Item = &str> {
    let additions = rule.additions.as_deref().into_iter();
    additions.flat_map(|added| added.variables.iter().map(|(name, _)| &**name))
}
