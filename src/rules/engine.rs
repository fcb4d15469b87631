//! Who takes this call: table, call and facts in, the decision out.
//!
//! Pure: no clock, no network, no chance. The same table, call and facts give the same decision.

mod evaluate;
pub mod explain;
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
use crate::domain::phone_number::Party;

use evaluate::{MatchContext, evaluate};

/// The first rule that fits and does not say `continue` decides; none: keep. What the `continue`
/// rules before it add is merged in order.
pub fn decide<'t>(table: &'t RuleSet, call: &Call<'_>, facts: &Facts) -> Decision<'t> {
    let case = MatchContext::new(table, call, facts);
    let fits = |rule: u32| evaluate(&table.rules[rule as usize], &case).is_ok();
    let keys = table.deciding.keys(&case.placed.to, &case.placed.from);
    let deciding = table.deciding.first(&keys, fits);
    let mut adding = Vec::new();
    if !table.adding.is_empty() {
        let keys = table.adding.keys(&case.placed.to, &case.placed.from);
        let mut numbers = table.adding.all(&keys, deciding.unwrap_or(u32::MAX));
        numbers.retain(|rule| fits(*rule));
        adding.extend(numbers.into_iter().map(|rule| &table.rules[rule as usize]));
    }
    let deciding = deciding.map(|rule| &table.rules[rule as usize]);
    build_decision(table, deciding, adding, &case)
}

/// The same, by looking at every rule from the top. Slow, and plain: the index is held against it.
pub fn scan<'t>(table: &'t RuleSet, call: &Call<'_>, facts: &Facts) -> Decision<'t> {
    let case = MatchContext::new(table, call, facts);
    let mut adding = Vec::new();
    for rule in table.rules.iter().filter(|rule| evaluate(rule, &case).is_ok()) {
        if rule.does != Action::Continue {
            return build_decision(table, Some(rule), adding, &case);
        }
        adding.push(rule);
    }
    build_decision(table, None, adding, &case)
}

/// Of the rule that decides, and those that add before it.
fn build_decision<'t>(
    table: &'t RuleSet,
    deciding: Option<&'t Rule>,
    adding: Vec<&'t Rule>,
    case: &MatchContext<'_>,
) -> Decision<'t> {
    let mut added = Additions::default();
    for rule in adding {
        add(&mut added, rule, case);
        added.rules.push(&rule.name);
    }
    let Some(rule) = deciding else {
        return Decision::new(Outcome::Keep(KeepReason::NoRule), None, None, added);
    };
    add(&mut added, rule, case);
    let (outcome, arm) = outcome(table, rule, case);
    Decision::new(outcome, Some(&rule.name), arm, added)
}

/// What becomes of the call, and by which arm of a split.
fn outcome<'t>(
    table: &'t RuleSet,
    rule: &'t Rule,
    case: &MatchContext<'_>,
) -> (Outcome<'t>, Option<usize>) {
    match &rule.does {
        Action::Agent(taker) => (resolve_agent(table, taker, &rule.name, case), None),
        Action::Split(split) => {
            let arm = arm(split, case.placed.call.from());
            (resolve_agent(table, &split.arms[arm].agent, &rule.name, case), Some(arm))
        }
        Action::Reject(reason) => (Outcome::Reject(reason), None),
        Action::Keep | Action::Continue => (Outcome::Keep(KeepReason::ByRule), None),
    }
}

/// The arm of a split that this caller takes, on every retry, server and restart: the first eight
/// bytes of SHA-256(key, newline, caller), modulo ten thousand. Who withholds the number takes the
/// first.
fn arm(split: &Split, caller: &Party) -> usize {
    if *caller == Party::Withheld {
        return 0;
    }
    let mut digest = Sha256::new();
    digest.update(split.key.as_bytes());
    digest.update(b"\n");
    digest.update(caller.unmasked().as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest.finalize()[..8]);
    let place = u64::from_be_bytes(first) % 10_000;
    let found = split.arms.iter().position(|arm| place < u64::from(arm.end));
    found.unwrap_or(split.arms.len() - 1)
}

fn resolve_agent<'t>(
    table: &'t RuleSet,
    taker: &'t AgentRef,
    rule: &str,
    case: &MatchContext<'_>,
) -> Outcome<'t> {
    let platform = case.placed.call.platform();
    match taker {
        AgentRef::Agent(at) => agent(table, *at as usize, platform),
        AgentRef::Template(template) => {
            let said = template.fill(TemplateContext { placed: &case.placed, rule });
            let found = said.and_then(|name| table.agent_at(&name));
            match found {
                Some(at) => agent(table, at, platform),
                None => Outcome::Keep(KeepReason::NoSuchAgent),
            }
        }
    }
}

fn agent(table: &RuleSet, at: usize, platform: Platform) -> Outcome<'_> {
    let agent = &table.agents[at];
    match agent.id_at(platform) {
        Some(id) => {
            Outcome::Agent(SelectedAgent { name: &agent.name, id, version: agent.version.as_ref() })
        }
        None => Outcome::Keep(KeepReason::NoAgentId),
    }
}

/// The decision for the moment when everything else broke: the agent of this name, when it has an
/// id where the call came from, else the platform's own.
pub fn fallback_to<'t>(table: &'t RuleSet, agent: &str, platform: Platform) -> Decision<'t> {
    let outcome = table.agent_at(agent).map(|at| self::agent(table, at, platform));
    Decision::fallback(outcome.unwrap_or(Outcome::Keep(KeepReason::Fallback)))
}

/// Merges what a rule adds over what is there: the later one wins, tables merge deeply.
fn add<'t>(added: &mut Additions<'t>, rule: &'t Rule, case: &MatchContext<'_>) {
    let Some(adds) = &rule.adds else { return };
    let with = TemplateContext { placed: &case.placed, rule: &rule.name };
    added.variables.reserve(adds.variables.len());
    for (name, template) in &adds.variables {
        let Some(value) = template.fill(with) else { continue };
        added.variables.retain(|variable| variable.name != &**name);
        added.variables.push(Variable { name, value, rule: &rule.name });
    }
    merge_shape(&mut added.metadata, adds.metadata.as_ref(), with);
    merge_shape(&mut added.agent_override, adds.agent_override.as_ref(), with);
    added.delay = adds.delay.unwrap_or(added.delay);
}

fn merge_shape<'t>(
    into: &mut Option<Cow<'t, Object>>,
    shape: Option<&'t ObjectTemplate>,
    with: TemplateContext<'_>,
) {
    let Some(shape) = shape else { return };
    let over = shape.fill(with);
    match into {
        Some(under) => merge(under.to_mut(), over.into_owned()),
        None => *into = Some(over),
    }
}

fn merge(under: &mut Object, over: Object) {
    for (name, value) in over {
        match (under.get_mut(&name), value) {
            (Some(Value::Object(under)), Value::Object(over)) => merge(under, over),
            (_, value) => {
                under.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{AgentRef, Arm};

    #[test]
    fn a_split_goes_by_the_documented_hash() {
        // printf 'try the new greeting\n+16045550123' | sha256sum → b4102ce01cce6625… → 4037
        let caller = Party::parse(Some("+16045550123")).party;
        let split = |end| {
            let arm = |end| Arm { agent: AgentRef::Agent(0), end };
            Split { key: "try the new greeting".into(), arms: vec![arm(end), arm(10_000)] }
        };
        assert_eq!((arm(&split(4037), &caller), arm(&split(4038), &caller)), (1, 0));
        assert_eq!(arm(&split(1), &Party::Withheld), 0);
    }
}
