//! Variables that agents require and no rule sets.

use std::collections::HashSet;

use super::agents::Agents;
use super::capabilities::agents_of;
use super::rules::EnabledRules;
use crate::diagnostics::Report;
use crate::rules::{Action, Rule};

/// Warns of rules that select an agent whose variables neither they nor a `continue` rule before them set.
pub(super) fn warn_unset(rules: &EnabledRules, agents: &Agents, report: &mut Report) {
    if !agents.have_required_variables() {
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
            let unset: Vec<_> =
                agent.required_variables.iter().map(|name| &**name).filter(is_unset).collect();
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

fn variables_of(rule: &Rule) -> impl Iterator<Item = &str> {
    let additions = rule.additions.as_deref().into_iter();
    additions.flat_map(|added| added.variables.iter().map(|(name, _)| &**name))
}
