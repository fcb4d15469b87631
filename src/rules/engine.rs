//! Decides a call: from a rule set, a call and facts to a decision.
//!
//! The functions are pure (no clock, no I/O, no randomness): the same inputs give the same decision.

mod evaluate;
pub mod explain;
mod reasons;
pub mod test_runner;

use std::borrow::Cow;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Action, AgentRef, ObjectTemplate, Rule, RuleSet, Split, TemplateContext};
use crate::domain::call::{Call, Platform};
use crate::domain::decision::{
    Additions, Decision, KeepReason, Object, Outcome, SelectedAgent, Variable,
};
use crate::domain::facts::Facts;
use crate::domain::party::Party;

use evaluate::{MatchContext, evaluate};

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
/// let decision = decide(&table, &call, &Facts { at: Timestamp::UNIX_EPOCH });
/// assert_eq!(decision.rule(), Some("los angeles"));
/// ```
pub fn decide<'t>(table: &'t RuleSet, call: &Call<'_>, facts: &Facts) -> Decision<'t> {
    let context = MatchContext::new(table, call, facts);
    let resolved = &context.call;
    let matches = |rule: u32| evaluate(&table.rules[rule as usize], &context).is_ok();
    let keys = table.deciding_index.keys(&resolved.to, &resolved.from);
    let deciding = table.deciding_index.first(&keys, matches);
    let mut continuing = Vec::new();
    if !table.continuing_index.is_empty() {
        let keys = table.continuing_index.keys(&resolved.to, &resolved.from);
        let mut numbers = table.continuing_index.all(&keys, deciding.unwrap_or(u32::MAX));
        numbers.retain(|rule| matches(*rule));
        continuing.extend(numbers.into_iter().map(|rule| &table.rules[rule as usize]));
    }
    let deciding = deciding.map(|rule| &table.rules[rule as usize]);
    build_decision(table, deciding, continuing, &context)
}

/// Decides a call by evaluating every rule in order. Slow; used to verify the index.
pub fn scan<'t>(table: &'t RuleSet, call: &Call<'_>, facts: &Facts) -> Decision<'t> {
    let context = MatchContext::new(table, call, facts);
    let mut continuing = Vec::new();
    for rule in table.rules.iter().filter(|rule| evaluate(rule, &context).is_ok()) {
        if rule.action != Action::Continue {
            return build_decision(table, Some(rule), continuing, &context);
        }
        continuing.push(rule);
    }
    build_decision(table, None, continuing, &context)
}

/// Builds the decision of the deciding rule and the matching `continue` rules before it.
fn build_decision<'t>(
    table: &'t RuleSet,
    deciding: Option<&'t Rule>,
    continuing: Vec<&'t Rule>,
    context: &MatchContext<'_>,
) -> Decision<'t> {
    let mut added = Additions::default();
    for rule in continuing {
        merge_additions(&mut added, rule, context);
        added.rules.push(&rule.name);
    }
    let Some(rule) = deciding else {
        return Decision::new(Outcome::Keep(KeepReason::NoRule), None, None, added);
    };
    merge_additions(&mut added, rule, context);
    let (outcome, arm) = outcome(table, rule, context);
    Decision::new(outcome, Some(&rule.name), arm, added)
}

/// Returns the outcome of a rule, and the arm when it is a split.
fn outcome<'t>(
    table: &'t RuleSet,
    rule: &'t Rule,
    context: &MatchContext<'_>,
) -> (Outcome<'t>, Option<usize>) {
    match &rule.action {
        Action::Agent(agent) => (resolve_agent(table, agent, &rule.name, context), None),
        Action::Split(split) => {
            let arm = select_arm(split, context.call.call.from());
            (resolve_agent(table, &split.arms[arm].agent, &rule.name, context), Some(arm))
        }
        Action::Reject(reason) => (Outcome::Reject(reason), None),
        Action::Keep | Action::Continue => (Outcome::Keep(KeepReason::ByRule), None),
    }
}

/// Selects the arm of a split for a caller: the first eight bytes of SHA-256(key, newline, caller),
/// modulo 10,000. The result is the same for every retry, server and restart. A withheld number takes
/// the first arm.
fn select_arm(split: &Split, caller: &Party) -> usize {
    if *caller == Party::Withheld {
        return 0;
    }
    let mut digest = Sha256::new();
    digest.update(split.key.as_bytes());
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
            let name = template.render(TemplateContext { call: &context.call, rule });
            let found = name.and_then(|name| table.agent_index(&name));
            match found {
                Some(index) => agent_outcome(table, index, platform),
                None => Outcome::Keep(KeepReason::NoSuchAgent),
            }
        }
    }
}

fn agent_outcome(table: &RuleSet, index: usize, platform: Platform) -> Outcome<'_> {
    let agent = &table.agents[index];
    match agent.id_at(platform) {
        Some(id) => {
            Outcome::Agent(SelectedAgent { name: &agent.name, id, version: agent.version.as_ref() })
        }
        None => Outcome::Keep(KeepReason::NoAgentId),
    }
}

/// Returns the fallback decision after an internal error: the named agent if it has an id on this
/// platform, otherwise the platform's own agent.
pub fn fallback_to<'t>(table: &'t RuleSet, agent: &str, platform: Platform) -> Decision<'t> {
    let outcome = table.agent_index(agent).map(|index| agent_outcome(table, index, platform));
    Decision::fallback(outcome.unwrap_or(Outcome::Keep(KeepReason::Fallback)))
}

/// Merges the additions of a rule into those of earlier rules. Later values win; objects merge
/// recursively.
fn merge_additions<'t>(target: &mut Additions<'t>, rule: &'t Rule, context: &MatchContext<'_>) {
    let Some(additions) = &rule.additions else { return };
    let values = TemplateContext { call: &context.call, rule: &rule.name };
    target.variables.reserve(additions.variables.len());
    for (name, template) in &additions.variables {
        let Some(value) = template.render(values) else { continue };
        target.variables.retain(|variable| variable.name != &**name);
        target.variables.push(Variable { name, value, rule: &rule.name });
    }
    merge_object(&mut target.metadata, additions.metadata.as_ref(), values);
    merge_object(&mut target.agent_override, additions.agent_override.as_ref(), values);
    target.delay = additions.delay.unwrap_or(target.delay);
}

fn merge_object<'t>(
    target: &mut Option<Cow<'t, Object>>,
    template: Option<&'t ObjectTemplate>,
    values: TemplateContext<'_>,
) {
    let Some(template) = template else { return };
    let added = template.render(values);
    match target {
        Some(target) => merge(target.to_mut(), added.into_owned()),
        None => *target = Some(added),
    }
}

fn merge(target: &mut Object, added: Object) {
    for (name, value) in added {
        match (target.get_mut(&name), value) {
            (Some(Value::Object(target)), Value::Object(added)) => merge(target, added),
            (_, value) => {
                target.insert(name, value);
            }
        }
    }
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
        assert_eq!((select_arm(&split(4037), &caller), select_arm(&split(4038), &caller)), (1, 0));
        assert_eq!(select_arm(&split(1), &Party::Withheld), 0);
    }
}
