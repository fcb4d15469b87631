//! Explains a decision: the evaluated rules up to the deciding one, with the reason for each.
//!
//! Uses the same `evaluate` as `decide`, and fails when index and scan differ. Numbers are not masked:
//! explanations are for the operator, never for a log.

use std::fmt;

use serde_json::json;

use super::evaluate::{MatchContext, Mismatch, ScopeKey, evaluate, evaluate_numbers};
use super::{decide, scan};
use crate::domain::call::Call;
use crate::domain::decision::{Decision, KeepReason, LeftOut, LeftOutReason, Outcome};
use crate::domain::dialling_plan::{self, SharedCode};
use crate::domain::facts::{Facts, LookupState};
use crate::domain::party::Party;
use crate::rules::model::template::{MAX_OBJECT_TEXTS_BYTES, MAX_VALUE_BYTES, MAX_VARIABLES_BYTES};
use crate::rules::{
    Action, NamedRef, NumberMatcher, NumberPattern, RefTarget, RuleSet, Selector, Side,
};

/// Result of evaluating a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The rule does not match, for this reason.
    NoMatch(String),
    /// The rule matches, adds its additions and continues.
    Adds,
    /// The rule matches and decides the call.
    Decides,
}

/// An evaluated rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step<'t> {
    /// Rule number, counted from 1.
    pub number: usize,
    /// Rule name.
    pub rule: &'t str,
    /// Result of the evaluation.
    pub verdict: Verdict,
}

/// Explanation of a decision.
#[derive(Debug)]
pub struct Explanation<'t> {
    /// Evaluated rules, in order.
    pub steps: Vec<Step<'t>>,
    /// Number of evaluated rules that are not listed because their numbers do not match.
    pub omitted: usize,
    /// Decision.
    pub decision: Decision<'t>,
    /// An evaluated rule depends on the time.
    pub depends_on_time: bool,
}

/// Index and scan gave different decisions, which is a bug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the index decides by {index}, but a scan decides by {scan}; this is a bug in Switchboard, please report it"
)]
pub struct IndexMismatch {
    index: String,
    scan: String,
}

/// Tables with more rules than this omit the rules whose numbers do not match.
const MAX_FULL_LIST: usize = 20;

/// Explains how `table` decides `call`. With `all`, lists every evaluated rule.
///
/// ```
/// use jiff::Timestamp;
/// use switchboard::domain::call::{Call, Channel, Fields, Platform};
/// use switchboard::domain::facts::Facts;
/// use switchboard::rules::engine::explain::{Verdict, explain};
/// use switchboard::rules::{self, CheckContext};
///
/// let text = r#"
///     [[rule]]
///     name = "germany"
///     from = "DE"
///     agent = "agent_berlin"
/// "#;
/// let loaded = rules::parse("rules.toml", text.to_owned(), &CheckContext::default());
/// let table = loaded.table.expect("a valid table");
///
/// let fields = Fields::unknown(Channel::Call);
/// let call = Call::synthetic("my-workspace", Platform::new("retell"), fields);
/// let facts = Facts::at(Timestamp::UNIX_EPOCH);
/// let explanation = explain(&table, &call, &facts, false).unwrap();
/// assert!(matches!(explanation.steps[0].verdict, Verdict::NoMatch(_)));
/// assert_eq!(explanation.decision.rule(), None);
/// ```
///
/// # Errors
/// Returns an error when index and scan differ.
pub fn explain<'t>(
    table: &'t RuleSet,
    call: &Call<'_>,
    facts: &Facts,
    all: bool,
) -> Result<Explanation<'t>, IndexMismatch> {
    let mut facts = facts.clone();
    facts.lookups.complete();
    let (decision, scanned) = (decide(table, call, &facts), scan(table, call, &facts));
    let (Ok(decision), Ok(scanned)) = (decision, scanned) else {
        unreachable!("complete facts need no look-up")
    };
    if decision != scanned {
        let name = |decision: &Decision<'_>| format!("{:?}", decision.rule().unwrap_or("no rule"));
        return Err(IndexMismatch { index: name(&decision), scan: name(&scanned) });
    }
    let context = MatchContext::new(table, call, &facts);
    let mut steps = Vec::new();
    let mut omitted = 0;
    for (index, rule) in table.rules.iter().enumerate() {
        let verdict = match evaluate(rule, &context) {
            Err(_)
                if !all
                    && table.rules.len() > MAX_FULL_LIST
                    && evaluate_numbers(rule, &context).is_err() =>
            {
                omitted += 1;
                continue;
            }
            Err(mismatch) => Verdict::NoMatch(StepReason(&mismatch, &context).to_string()),
            Ok(()) if rule.action == Action::Continue => Verdict::Adds,
            Ok(()) => Verdict::Decides,
        };
        let decides = verdict == Verdict::Decides;
        steps.push(Step { number: index + 1, rule: &rule.name, verdict });
        if decides {
            break;
        }
    }
    let depends_on_time = context.depends_on_time();
    Ok(Explanation { steps, omitted, decision, depends_on_time })
}

/// Prints `from +493012345678 is not in @blocked, +1900*`, without masking numbers.
struct StepReason<'e, 'c>(&'e Mismatch<'e>, &'e MatchContext<'c>);

impl fmt::Display for StepReason<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StepReason(mismatch, context) = self;
        let call = context.call.call;
        match mismatch {
            Mismatch::Scope(scope, key) => {
                match key {
                    ScopeKey::To => write!(f, "to {}", call.to().unmasked())?,
                    ScopeKey::From => write!(f, "from {}", call.from().unmasked())?,
                    ScopeKey::Channel => write!(f, "channel {}", call.channel())?,
                    ScopeKey::Platform => write!(f, "platform {}", call.platform())?,
                    ScopeKey::Source => write!(f, "source {}", call.source())?,
                }
                write!(f, " is outside the scope of {}", scope.file)
            }
            Mismatch::Channel(expected) => {
                write!(f, "channel {} is not in {expected}", call.channel())
            }
            Mismatch::To(expected) => {
                let shared = shared_code(call.to(), expected);
                write!(f, "to {} is not in {expected}{shared}", call.to().unmasked())
            }
            Mismatch::From(expected) => {
                let shared = shared_code(call.from(), expected);
                write!(f, "from {} is not in {expected}{shared}", call.from().unmasked())
            }
            Mismatch::Platform(expected) => {
                write!(f, "platform {} is not in {expected}", call.platform())
            }
            Mismatch::Source(expected) => {
                write!(f, "source {} is not in {expected}", call.source())
            }
            Mismatch::ForwardedFrom(expected) => match context.call.forwarded_from() {
                Some(number) => {
                    let number = number.party().unmasked();
                    write!(f, "forwarded_from {number} is not in {expected}")
                }
                None => write!(f, "no SIP header names a number that forwarded the call"),
            },
            Mismatch::Hours(expected) => {
                write!(f, "hours {expected}: {}", hours_states(expected, context))
            }
            Mismatch::Dates(expected) => {
                write!(f, "dates {expected}: {}", dates_states(expected, context))
            }
            Mismatch::Split(split) => {
                let target = RefTarget::Cell(split.cell);
                write!(f, "split {}: {}", split.name, names_none(&split.name, target, context))
            }
            Mismatch::Where(condition) => match condition
                .operand
                .value(&context.call, context.lookups)
            {
                Some(actual) => {
                    write!(f, "where {} is {actual:?}, not {}", condition.name, condition.expected)
                }
                None => {
                    write!(f, "where {} is unknown", condition.name)?;
                    let Some(lookup) = condition.operand.lookup() else { return Ok(()) };
                    match context.lookups.get(lookup).map(|answer| answer.state) {
                        Some(LookupState::Found) => Ok(()),
                        Some(state) => write!(f, " ({})", state.describe()),
                        None => write!(f, " ({})", LookupState::NotAsked.describe()),
                    }
                }
            },
            Mismatch::Pending(_) => unreachable!("complete facts need no look-up"),
        }
    }
}

/// Returns the state of each of the hours, or a phrase for a row that names none.
fn hours_states(expected: &Selector<NamedRef>, context: &MatchContext<'_>) -> String {
    let state = |entry: &NamedRef| match context.hours_of(entry) {
        Some(hours) => {
            let status = context.table.hours[hours].status(context.at());
            format!("{status}{}", in_row(entry, context))
        }
        None => names_none(&entry.name, entry.target, context),
    };
    expected.entries().map(state).collect::<Vec<_>>().join(", ")
}

/// Returns the dates that rows name, and the day; or a phrase for a row that names none.
fn dates_states(expected: &Selector<NamedRef>, context: &MatchContext<'_>) -> String {
    let mut states = Vec::new();
    let mut days = Vec::new();
    for entry in expected.entries() {
        let Some(dates) = context.dates_of(entry) else {
            return names_none(&entry.name, entry.target, context);
        };
        days.push(&context.table.dates[dates]);
        if let RefTarget::Cell(_) = entry.target {
            let name = &context.table.dates[dates].name;
            states.push(format!("{name}{}", in_row(entry, context)));
        }
    }
    if days.iter().all(|dates| dates.zone.is_none()) {
        states.push(format!("today is {}", context.today()));
    } else {
        states.extend(days.into_iter().map(|dates| {
            let zone = dates.zone.as_ref().unwrap_or(&context.table.zone);
            let zone = zone.iana_name().unwrap_or("the zone of the table");
            format!("today of {} is {} in {zone}", dates.name, context.date_of(dates))
        }));
    }
    states.join(", ")
}

/// Returns ` (in the row of +13125550117)` for an item that a row names.
fn in_row(entry: &NamedRef, context: &MatchContext<'_>) -> String {
    match row_owner(entry.target, context) {
        Some(party) => format!(" (in the row of {})", party.unmasked()),
        None => String::new(),
    }
}

/// Returns a phrase for a row whose cell is empty.
fn names_none(name: &str, target: RefTarget, context: &MatchContext<'_>) -> String {
    let Some(party) = row_owner(target, context) else { return format!("{name} is unknown") };
    format!("the row of {} names none", party.unmasked())
}

/// Returns the party whose row names an item.
fn row_owner<'e>(target: RefTarget, context: &'e MatchContext<'_>) -> Option<&'e Party> {
    let RefTarget::Cell(cell) = target else { return None };
    match cell.side {
        Side::From => Some(context.call.call.from()),
        Side::To => Some(context.call.call.to()),
        Side::ForwardedFrom => context.call.forwarded_from().map(|number| number.party()),
    }
}

/// Returns what explains a condition on a country for a number that belongs to no country of North America
/// alone.
fn shared_code(party: &Party, expected: &NumberMatcher) -> &'static str {
    let is_country = |pattern: &NumberPattern| matches!(pattern, NumberPattern::Country(_));
    let shared = party.number().and_then(dialling_plan::shared_north_american);
    match shared.filter(|_| expected.any_of().iter().chain(expected.none_of()).any(is_country)) {
        Some(SharedCode::TollFree) => " (toll-free, read as US)",
        Some(SharedCode::Special) => " (a code of all of +1, read as US)",
        None => "",
    }
}

impl Explanation<'_> {
    /// Renders the explanation as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        let steps = self.steps.iter().map(|Step { number, rule, verdict }| match verdict {
            Verdict::NoMatch(reason) => {
                json!({ "number": number, "rule": rule, "verdict": "no", "reason": reason })
            }
            Verdict::Adds => json!({ "number": number, "rule": rule, "verdict": "adds" }),
            Verdict::Decides => json!({ "number": number, "rule": rule, "verdict": "decides" }),
        });
        let variables = self.decision.additions().variables.iter();
        let variables = variables.map(|variable| {
            json!({ "name": variable.name, "value": variable.value, "rule": variable.rule })
        });
        let left_out = self.decision.additions().left_out.iter().map(left_out_json);
        let (agent, reason) = match self.decision.outcome() {
            Outcome::Agent(agent) => (Some(agent.name), None),
            Outcome::Reject(reason) => (None, Some(*reason)),
            Outcome::Keep(reason) => (None, Some(reason.as_str())),
        };
        json!({
            "rules": steps.collect::<Vec<_>>(),
            "omitted": self.omitted,
            "outcome": self.decision.outcome().as_str(),
            "rule": self.decision.rule(),
            "arm": self.decision.arm(),
            "agent": agent,
            "reason": reason,
            "added_by": self.decision.additions().rules,
            "variables": variables.collect::<Vec<_>>(),
            "left_out": left_out.collect::<Vec<_>>(),
            "delay_ms": self.decision.additions().delay.as_millis() as u64,
        })
    }
}

/// Prints one line for each rule, then the outcome, then the additions with their rules.
impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Step { number, rule, verdict } in &self.steps {
            let (label, reason) = match verdict {
                Verdict::NoMatch(reason) => ("no", reason.as_str()),
                Verdict::Adds => ("adds", ""),
                Verdict::Decides => ("DECIDES", ""),
            };
            writeln!(f, "{}", format!("{number:>4}  {label:<8} {rule:<28} {reason}").trim_end())?;
        }
        if self.omitted > 0 {
            writeln!(f, "      {} rules not listed: their numbers do not match", self.omitted)?;
        }
        match self.decision.outcome() {
            Outcome::Agent(agent) => write!(f, "\nagent {} ({})", agent.name, agent.id)?,
            Outcome::Reject("") => write!(f, "\nreject")?,
            Outcome::Reject(reason) => write!(f, "\nreject ({reason})")?,
            Outcome::Keep(reason) => write!(f, "\nkeep: {}", keep_reason(*reason))?,
        }
        match self.decision.arm() {
            Some(arm) => writeln!(f, ", arm {} of the split", arm + 1)?,
            None => writeln!(f)?,
        }
        let added = self.decision.additions();
        for variable in &added.variables {
            let (name, value, rule) = (variable.name, &variable.value, variable.rule);
            writeln!(f, "  {name} = {value:?}   from rule `{rule}`")?;
        }
        if !added.delay.is_zero() {
            writeln!(f, "  delay {} ms", added.delay.as_millis())?;
        }
        write_left_out(f, &added.left_out)?;
        Ok(())
    }
}

/// Renders a part that a reply leaves out as JSON.
pub(crate) fn left_out_json(left_out: &LeftOut) -> serde_json::Value {
    json!({ "name": left_out.name, "reason": left_out.reason.as_str() })
}

/// Prints what a reply leaves out, one line each.
pub(crate) fn write_left_out(f: &mut fmt::Formatter<'_>, left_out: &[LeftOut]) -> fmt::Result {
    for LeftOut { name, reason } in left_out {
        let reason = match reason {
            LeftOutReason::ValueTooLong => {
                format!("a value of the call has more than {MAX_VALUE_BYTES} bytes")
            }
            LeftOutReason::VariablesTooLarge => {
                format!("all variables together would exceed {MAX_VARIABLES_BYTES} bytes")
            }
            LeftOutReason::TextsTooLarge => format!(
                "the texts filled into metadata and agent_override would exceed {MAX_OBJECT_TEXTS_BYTES} bytes"
            ),
            LeftOutReason::PlatformLimit => "it is larger than the platform accepts".to_owned(),
        };
        writeln!(f, "  {name} is left out: {reason}")?;
    }
    Ok(())
}

fn keep_reason(reason: KeepReason) -> &'static str {
    match reason {
        KeepReason::ByRule => "set by the rule",
        KeepReason::NoRule => "no rule matches",
        KeepReason::NoAgentId => "the selected agent has no id on this platform",
        KeepReason::NoSuchAgent => "the rule's template resolves to an unknown agent",
        KeepReason::Fallback => "internal error",
    }
}
