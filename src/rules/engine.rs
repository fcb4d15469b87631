//! Decides a call: from a rule set, a call and facts to a decision.
//!
//! The functions are pure (no clock, no I/O, no randomness): the same inputs give the same decision.

mod additions;
mod evaluate;
pub mod explain;
mod needed;
mod reasons;
pub mod test_runner;

use sha2::{Digest, Sha256};

use super::{
    Action, AgentRef, MAX_VALUE_BYTES, Rule, RuleSet, SentAdditions, Split, TemplateContext,
    TransferRef,
};
use crate::domain::call::{Call, Platform};
use crate::domain::decision::{Decision, KeepReason, Outcome, SelectedAgent};
use crate::domain::facts::{Facts, LookupAnswer, LookupId, LookupSet, LookupState};
use crate::domain::party::Party;
use crate::domain::transfer::TransferTarget;

use additions::Merger;
use evaluate::{MatchContext, Mismatch, evaluate};
use needed::needed_lookups;

/// Decides a call by the first matching rule that does not continue; without one, the platform keeps
/// its own agent. Merges the additions of the matching `continue` rules before it, in order.
///
/// ```
/// use jiff::Timestamp;
/// use switchboard::domain::call::{Call, Channel, Fields, Platform};
/// use switchboard::domain::facts::Facts;
/// use switchboard::domain::party::Party;
/// use switchboard::rules::engine::decide;
/// use switchboard::rules::{self, CheckContext};
///
/// let text = r#"
///     [[rule]]
///     name = "los angeles"
///     from = "+1213*"
///     agent = "agent_la"
/// "#;
/// let loaded = rules::parse("rules.toml", text.to_owned(), &CheckContext::default());
/// let table = loaded.table.expect("a valid table");
///
/// let from = Party::parse(Some("+12137771234")).party;
/// let fields = Fields { from, ..Fields::unknown(Channel::Call) };
/// let call = Call::synthetic("my-workspace", Platform::new("retell"), fields);
/// let decision = decide(&table, &call, &Facts::at(Timestamp::UNIX_EPOCH)).expect("no look-ups");
/// assert_eq!(decision.rule(), Some("los angeles"));
/// ```
///
/// # Errors
/// Returns the look-ups that must be asked first: those of the first rule that may decide, and of the
/// `continue` rules before it.
pub fn decide<'t>(
    table: &'t RuleSet,
    call: &Call<'_>,
    facts: &Facts,
) -> Result<Decision<'t>, LookupSet> {
    let context = MatchContext::new(table, call, facts);
    let resolved = &context.call;
    let may_match = |rule: u32| may_match(&table.rules[rule as usize], &context);
    let keys = table.deciding_index.keys(&resolved.to, &resolved.from);
    let deciding = table.deciding_index.first(&keys, may_match);
    let mut continuing = Vec::new();
    if !table.continuing_index.is_empty() {
        let keys = table.continuing_index.keys(&resolved.to, &resolved.from);
        let mut numbers = table.continuing_index.all(&keys, deciding.unwrap_or(u32::MAX));
        numbers.retain(|rule| may_match(*rule));
        continuing.extend(numbers.into_iter().map(|rule| &table.rules[rule as usize]));
    }
    let deciding = deciding.map(|rule| &table.rules[rule as usize]);
    conclude(table, deciding, continuing, &context)
}

/// Decides a call by evaluating every rule in order. Slow; used to verify the index.
///
/// # Errors
/// Returns the look-ups that must be asked first.
pub fn scan<'t>(
    table: &'t RuleSet,
    call: &Call<'_>,
    facts: &Facts,
) -> Result<Decision<'t>, LookupSet> {
    let context = MatchContext::new(table, call, facts);
    let mut continuing = Vec::new();
    for rule in table.rules.iter().filter(|rule| may_match(rule, &context)) {
        if rule.action != Action::Continue {
            return conclude(table, Some(rule), continuing, &context);
        }
        continuing.push(rule);
    }
    conclude(table, None, continuing, &context)
}

/// Decides a call with the answers that the facts have. Other look-ups count as not asked.
pub fn decide_offline<'t>(table: &'t RuleSet, call: &Call<'_>, facts: &Facts) -> Decision<'t> {
    decide(table, call, facts).unwrap_or_else(|_needed| {
        let mut facts = facts.clone();
        facts.lookups.complete();
        decide(table, call, &facts).expect("complete facts need no look-up")
    })
}

/// Returns the look-ups that the decision about a call needs and that have no answer, in the order in which
/// rules need them. Without their answers, their values are unknown.
pub fn unanswered_lookups(table: &RuleSet, call: &Call<'_>, facts: &Facts) -> Vec<LookupId> {
    let mut unanswered = Vec::new();
    if !table.uses_lookups {
        return unanswered;
    }
    let mut facts = Facts { at: facts.at, lookups: facts.lookups.clone().resumed() };
    while let Err(needed) = decide(table, call, &facts) {
        for id in needed.iter() {
            facts.lookups.insert(id, LookupAnswer::unknown(LookupState::NotAsked));
            unanswered.push(id);
        }
    }
    unanswered
}

/// Returns whether a rule matches, or can be told to match only after a look-up.
fn may_match(rule: &Rule, context: &MatchContext<'_>) -> bool {
    matches!(evaluate(rule, context), Ok(()) | Err(Mismatch::Pending(_)))
}

/// Builds the decision, unless the rules that lead to it need a look-up that has not been asked.
fn conclude<'t>(
    table: &'t RuleSet,
    deciding: Option<&'t Rule>,
    mut continuing: Vec<&'t Rule>,
    context: &MatchContext<'_>,
) -> Result<Decision<'t>, LookupSet> {
    if table.uses_lookups {
        let needed = needed_lookups(deciding, &continuing, context);
        if !needed.is_empty() {
            return Err(needed);
        }
        continuing.retain(|rule| evaluate(rule, context).is_ok());
    }
    Ok(build_decision(table, deciding, continuing, context))
}

/// Builds the decision of the deciding rule and the matching `continue` rules before it.
fn build_decision<'t>(
    table: &'t RuleSet,
    deciding: Option<&'t Rule>,
    continuing: Vec<&'t Rule>,
    context: &MatchContext<'_>,
) -> Decision<'t> {
    let mut merger = Merger::new(context);
    for rule in continuing {
        merger.add(rule);
        merger.additions.rules.push(&rule.name);
    }
    let (outcome, arm) = match deciding {
        Some(rule) => {
            let decided = outcome(table, rule, context);
            match is_dropped(&rule.action, &decided.0) {
                true => merger.add_without_speech(rule),
                false => merger.add(rule),
            }
            decided
        }
        None => (Outcome::Keep(KeepReason::NoRule), None),
    };
    let required = required_variables(table, &outcome, context.call.call);
    merger.additions.require_variables(required);
    Decision::new(outcome, deciding.map(|rule| &*rule.name), arm, merger.finish())
}

/// Returns whether a rejection or a transfer became *keep*. What the rule says and its SIP headers belong to that
/// outcome, not to the agent that now takes the call.
fn is_dropped(action: &Action, outcome: &Outcome<'_>) -> bool {
    let of_outcome = action.sent_additions() != SentAdditions::All;
    of_outcome && matches!(outcome, Outcome::Keep(_))
}

/// Returns the variables that the agent which answers a call requires: the selected agent, or the platform's own.
fn required_variables<'t>(
    table: &'t RuleSet,
    outcome: &Outcome<'t>,
    call: &Call<'_>,
) -> &'t [Box<str>] {
    if !table.has_required_variables {
        return &[];
    }
    let agent = match outcome {
        Outcome::Agent(selected) => table.agent(selected.name),
        Outcome::Keep(_) => call.agent().and_then(|own| {
            table.agents.iter().find(|agent| agent.id_at(call.platform()) == Some(own))
        }),
        Outcome::Reject(_) | Outcome::Transfer(_) => None,
    };
    agent.map_or(&[], |agent| &agent.required_variables)
}

/// Returns the outcome of a rule, and the arm when it is a split.
fn outcome<'t>(
    table: &'t RuleSet,
    rule: &'t Rule,
    context: &MatchContext<'_>,
) -> (Outcome<'t>, Option<usize>) {
    if rule.is_unsupported_at(context.call.call.platform()) {
        return (Outcome::Keep(KeepReason::Unsupported), None);
    }
    match &rule.action {
        Action::Agent(agent) => (resolve_agent(table, agent, &rule.name, context), None),
        Action::Split(_) | Action::SplitOfRow(_) => match chosen_arm(table, rule, context) {
            Some((split, arm)) => {
                let agent = &split.arms[arm].agent;
                (resolve_agent(table, agent, &rule.name, context), Some(arm))
            }
            // The rule does not match a row without a split.
            None => (Outcome::Keep(KeepReason::ByRule), None),
        },
        Action::Transfer(target) => (resolve_target(table, target, &rule.name, context), None),
        Action::Reject(reason) => (Outcome::Reject(reason), None),
        Action::Keep | Action::Continue => (Outcome::Keep(KeepReason::ByRule), None),
    }
}

/// Returns the split of a rule, and the arm that takes the call. `None` if there is no split.
fn chosen_arm<'t>(
    table: &'t RuleSet,
    rule: &'t Rule,
    context: &MatchContext<'_>,
) -> Option<(&'t Split, usize)> {
    let (split, key) = match &rule.action {
        Action::Split(split) => (&**split, &split.key),
        Action::SplitOfRow(of_row) => {
            let split = context.split_of(table, of_row)?;
            (split, of_row.key.as_ref().unwrap_or(&split.key))
        }
        Action::Agent(_)
        | Action::Transfer(_)
        | Action::Reject(_)
        | Action::Keep
        | Action::Continue => return None,
    };
    Some((split, select_arm(split, key, context.call.call.from())))
}

/// Selects the arm of a split for a caller: the first eight bytes of SHA-256(key, newline, caller),
/// modulo 10,000. The result is the same for every retry, server and restart. A withheld number takes
/// the first arm.
fn select_arm(split: &Split, key: &str, caller: &Party) -> usize {
    if *caller == Party::Withheld {
        return 0;
    }
    let mut digest = Sha256::new();
    digest.update(key.as_bytes());
    digest.update(b"\n");
    digest.update(caller.unmasked().as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest.finalize()[..8]);
    let point = u64::from_be_bytes(first) % 10_000;
    let found = split.arms.iter().position(|arm| point < u64::from(arm.end));
    found.unwrap_or(split.arms.len() - 1)
}

fn resolve_agent<'t>(
    table: &'t RuleSet,
    agent: &'t AgentRef,
    rule: &str,
    context: &MatchContext<'_>,
) -> Outcome<'t> {
    let platform = context.call.call.platform();
    match agent {
        AgentRef::Agent(index) => agent_outcome(table, *index as usize, platform),
        AgentRef::Template(template) => {
            let values = TemplateContext { call: &context.call, lookups: context.lookups, rule };
            let name = template.render(values, MAX_VALUE_BYTES).ok();
            let found = name.and_then(|name| table.agent_index(&name));
            // Whoever is asked may answer with an agent that the table does not have.
            let default = || table.agent_index(template.single_placeholder()?.default?);
            match found.or_else(default) {
                Some(index) => agent_outcome(table, index, platform),
                None => Outcome::Keep(KeepReason::NoSuchAgent),
            }
        }
    }
}

fn resolve_target<'t>(
    table: &RuleSet,
    target: &TransferRef,
    rule: &str,
    context: &MatchContext<'_>,
) -> Outcome<'t> {
    let template = match target {
        TransferRef::Target(target) => return Outcome::Transfer(TransferTarget::clone(target)),
        TransferRef::Template(template) => template,
    };
    let parse = |text: &str| TransferTarget::parse_in(text, table.country).ok();
    let values = TemplateContext { call: &context.call, lookups: context.lookups, rule };
    let text = template.render(values, MAX_VALUE_BYTES).ok();
    // Whoever is asked may answer with a text that is no target.
    let default = || parse(template.single_placeholder()?.default?);
    match text.and_then(|text| parse(&text)).or_else(default) {
        Some(target) => Outcome::Transfer(target),
        None => Outcome::Keep(KeepReason::NoTarget),
    }
}

fn agent_outcome(table: &RuleSet, index: usize, platform: Platform) -> Outcome<'_> {
    let agent = &table.agents[index];
    match agent.id_at(platform) {
        Some(id) => Outcome::Agent(SelectedAgent {
            name: &agent.name,
            id,
            version: agent.version.as_ref(),
            session: agent.session_at(platform),
        }),
        None => Outcome::Keep(KeepReason::NoAgentId),
    }
}

/// Returns the fallback decision after an internal error: the named agent if it has an id on this
/// platform, otherwise the platform's own agent.
pub fn fallback_to<'t>(table: &'t RuleSet, agent: &str, platform: Platform) -> Decision<'t> {
    let outcome = table.agent_index(agent).map(|index| agent_outcome(table, index, platform));
    Decision::fallback(outcome.unwrap_or(Outcome::Keep(KeepReason::Fallback)))
}

/// Returns a fallback decision about a call with the variables that the agent requires, which no rule has set.
pub fn with_required_variables<'t>(
    table: &'t RuleSet,
    decision: Decision<'t>,
    call: &Call<'_>,
) -> Decision<'t> {
    let required = required_variables(table, decision.outcome(), call);
    decision.with_required_variables(required)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{AgentRef, Arm};

    #[test]
    fn a_split_uses_the_documented_hash() {
        // printf 'try the new greeting\n+16045550123' | sha256sum → b4102ce01cce6625… → 4037
        let caller = Party::parse(Some("+16045550123")).party;
        let split = |end| {
            let arm = |end| Arm { agent: AgentRef::Agent(0), end };
            Split { key: "try the new greeting".into(), arms: vec![arm(end), arm(10_000)] }
        };
        let arm = |end, caller| select_arm(&split(end), &split(end).key, caller);
        assert_eq!((arm(4037, &caller), arm(4038, &caller)), (1, 0));
        assert_eq!(arm(1, &Party::Withheld), 0);
    }
}
