//! Who takes this call: the table and the call in, the decision out.
//!
//! Pure: no clock, no network, no chance. The same table and the same call give the same decision.

pub mod explain;

use std::borrow::Cow;

use serde_json::Value;

use crate::call::{Call, Channel, Platform};
use crate::decision::{Added, Chosen, Decision, Kept, Object, Outcome, Variable};
use crate::rules::{Does, Either, Filling, Numbers, Rule, Shape, Table};

/// Tries the rules in order. The first that fits and does not say `continue` decides; none: keep.
pub fn decide<'t>(table: &'t Table, call: &Call<'_>) -> Decision<'t> {
    let mut added = Added::default();
    for rule in table.rules.iter().filter(|rule| judge(rule, call).is_ok()) {
        add(&mut added, rule, call);
        if let Some(outcome) = outcome(table, rule, call) {
            return Decision::new(outcome, Some(&rule.name), added);
        }
        added.by.push(&rule.name);
    }
    Decision::new(Outcome::Keep(Kept::NoRule), None, added)
}

/// Whether a rule fits, and if not, which of its conditions does not hold.
pub(crate) fn judge<'t>(rule: &'t Rule, call: &Call<'_>) -> Result<(), Unmet<'t>> {
    if !rule.channel.holds(|channel| *channel == call.channel()) {
        return Err(Unmet::Channel(&rule.channel));
    }
    if !rule.to.fit(call.to()) {
        return Err(Unmet::To(&rule.to));
    }
    if !rule.from.fit(call.from()) {
        return Err(Unmet::From(&rule.from));
    }
    if !rule.platform.holds(|platform| *platform == call.platform()) {
        return Err(Unmet::Platform(&rule.platform));
    }
    if !rule.source.holds(|source| **source == *call.source()) {
        return Err(Unmet::Source(&rule.source));
    }
    Ok(())
}

/// The condition of a rule that does not hold.
#[derive(Debug)]
pub(crate) enum Unmet<'t> {
    Channel(&'t Either<Channel>),
    To(&'t Numbers),
    From(&'t Numbers),
    Platform(&'t Either<Platform>),
    Source(&'t Either<Box<str>>),
}

/// None when the rule only adds.
fn outcome<'t>(table: &'t Table, rule: &'t Rule, call: &Call<'_>) -> Option<Outcome<'t>> {
    match &rule.does {
        Does::Agent(at) => Some(agent(table, *at, call.platform())),
        Does::Reject(reason) => Some(Outcome::Reject(reason)),
        Does::Keep => Some(Outcome::Keep(Kept::ByRule)),
        Does::Continue => None,
    }
}

fn agent(table: &Table, at: usize, platform: Platform) -> Outcome<'_> {
    let agent = &table.agents[at];
    match agent.id_at(platform) {
        Some(id) => {
            Outcome::Agent(Chosen { name: &agent.name, id, version: agent.version.as_ref() })
        }
        None => Outcome::Keep(Kept::NoAgentId),
    }
}

/// The decision for the moment when everything else broke: the agent of this name, when it has an
/// id where the call came from, else the platform's own.
pub fn fallback_to<'t>(table: &'t Table, agent: &str, platform: Platform) -> Decision<'t> {
    let found = table.agents.iter().position(|known| *known.name == *agent);
    let outcome = found.map(|at| self::agent(table, at, platform));
    Decision::fallback(outcome.unwrap_or(Outcome::Keep(Kept::Fallback)))
}

/// Merges what a rule adds over what is there: the later one wins, tables merge deeply.
fn add<'t>(added: &mut Added<'t>, rule: &'t Rule, call: &Call<'_>) {
    let with = Filling { call, rule: &rule.name };
    added.variables.reserve(rule.adds.variables.len());
    for (name, template) in &rule.adds.variables {
        let Some(value) = template.fill(with) else { continue };
        added.variables.retain(|variable| variable.name != &**name);
        added.variables.push(Variable { name, value, rule: &rule.name });
    }
    merge_shape(&mut added.metadata, rule.adds.metadata.as_ref(), with);
    merge_shape(&mut added.agent_override, rule.adds.agent_override.as_ref(), with);
    added.delay = rule.adds.delay.unwrap_or(added.delay);
}

fn merge_shape<'t>(
    into: &mut Option<Cow<'t, Object>>,
    shape: Option<&'t Shape>,
    with: Filling<'_>,
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
