//! Look-ups that a decision needs next. A look-up is asked only when a rule that needs it is reached, and
//! only for what will be sent.

use super::chosen_arm;
use super::evaluate::{MatchContext, Mismatch, evaluate};
use crate::domain::facts::LookupSet;
use crate::rules::{Action, Rule, RuleAdditions, TemplateContext};

/// Returns the look-ups that must be asked before the deciding rule, and the `continue` rules before it,
/// can be applied.
pub(super) fn needed_lookups(
    deciding: Option<&Rule>,
    continuing: &[&Rule],
    context: &MatchContext<'_>,
) -> LookupSet {
    // What is added to a rejection is never sent.
    let is_rejected = deciding.is_some_and(|rule| matches!(rule.action, Action::Reject(_)));
    let continuing = if is_rejected { &[] } else { continuing };
    let mut needed = LookupSet::default();
    let mut replaced = Vec::new();
    // The last rule first, since its variables replace those of the others.
    for rule in continuing.iter().copied().chain(deciding).rev() {
        needed = needed.union(match evaluate(rule, context) {
            Ok(()) => of_values(rule, &mut replaced, context),
            Err(Mismatch::Pending(lookups)) => lookups,
            Err(_) => LookupSet::default(),
        });
    }
    needed
}

/// Returns the look-ups that the values of a matching rule need: its agent, and its additions apart from
/// the variables that later rules replace. Adds the variables that this rule replaces.
fn of_values<'r>(
    rule: &'r Rule,
    replaced: &mut Vec<&'r str>,
    context: &MatchContext<'_>,
) -> LookupSet {
    let of_agent = of_agent(rule, context);
    let Some(added) = rule.additions.as_deref() else { return of_agent };
    let mut needed = of_agent;
    if !context.lookups.pending(added.lookups).is_empty() {
        needed = needed.union(of_additions(rule, added, replaced, context));
    }
    // A text with placeholders may be left out, and then the earlier value stays.
    let certain = added.variables.iter().filter(|(_, template)| template.literal().is_some());
    replaced.extend(certain.map(|(name, _)| &**name));
    needed
}

/// Returns the look-ups that name the agent: those of the one arm that takes the call.
fn of_agent(rule: &Rule, context: &MatchContext<'_>) -> LookupSet {
    let lookups = match &rule.action {
        Action::Agent(agent) => agent.lookups(),
        Action::Split(_) | Action::SplitOfRow(_) => {
            match chosen_arm(context.table, rule, context) {
                Some((split, arm)) => split.arms[arm].agent.lookups(),
                None => LookupSet::default(),
            }
        }
        Action::Reject(_) | Action::Keep | Action::Continue => LookupSet::default(),
    };
    context.lookups.pending(lookups)
}

fn of_additions(
    rule: &Rule,
    added: &RuleAdditions,
    replaced: &[&str],
    context: &MatchContext<'_>,
) -> LookupSet {
    let values =
        TemplateContext { call: &context.call, lookups: context.lookups, rule: &rule.name };
    let sent = added.variables.iter().filter(|(name, _)| !replaced.contains(&&**name));
    let of_variables = sent.map(|(_, template)| template.pending(values));
    let objects = [&added.metadata, &added.agent_override].into_iter().flatten();
    let of_objects = objects.map(|object| object.pending(values));
    of_variables.chain(of_objects).fold(LookupSet::default(), LookupSet::union)
}
