//! Why a call is answered as it is: the rules until the deciding one, and what each said.
//!
//! Asks the same `evaluate` as `decide`, so it cannot tell another story. Asks index and scan, and
//! fails when they differ. Shows numbers whole: it is for the operator, never for a log.

use std::fmt;

use serde_json::json;

use super::evaluate::{MatchContext, Mismatch, evaluate, numbers};
use super::{decide, scan};
use crate::domain::call::Call;
use crate::domain::decision::{Decision, KeepReason, Outcome};
use crate::domain::facts::Facts;
use crate::rules::{Action, NamedRef, RuleSet, Selector};

/// What a rule said to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It does not fit, because of this.
    No(String),
    /// It fits, adds, and the next ones are tried.
    Adds,
    /// It fits, and that is that.
    Decides,
}

/// One rule that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step<'t> {
    /// Its number in the table, counted from 1.
    pub number: usize,
    /// Its name.
    pub rule: &'t str,
    /// What it said.
    pub verdict: Verdict,
}

/// The story of one decision.
#[derive(Debug)]
pub struct Explanation<'t> {
    /// The rules that were tried, in order, and what they said.
    pub steps: Vec<Step<'t>>,
    /// How many more were tried, whose numbers do not fit.
    pub left_out: usize,
    /// What came of it.
    pub decision: Decision<'t>,
    /// A rule wanted to know what time it is.
    pub looked_at_the_clock: bool,
}

/// Index and scan decide differently, which they never may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the index decides by {index}, the scan by {scan}: this is a defect of Switchboard, please report it"
)]
pub struct IndexMismatch {
    index: String,
    scan: String,
}

/// In a longer table rules are left out whose numbers do not fit.
const FEW: usize = 20;

/// Tells how `table` decides `call`; with `all`, every rule that was tried.
///
/// # Errors
/// When index and scan differ.
pub fn explain<'t>(
    table: &'t RuleSet,
    call: &Call<'_>,
    facts: &Facts,
    all: bool,
) -> Result<Explanation<'t>, IndexMismatch> {
    let decision = decide(table, call, facts);
    let scanned = scan(table, call, facts);
    if decision != scanned {
        let name = |decision: &Decision<'_>| format!("{:?}", decision.rule().unwrap_or("none"));
        return Err(IndexMismatch { index: name(&decision), scan: name(&scanned) });
    }
    let case = MatchContext::new(table, call, facts);
    let mut steps = Vec::new();
    let mut left_out = 0;
    for (at, rule) in table.rules.iter().enumerate() {
        let verdict = match evaluate(rule, &case) {
            Err(_) if !all && table.rules.len() > FEW && numbers(rule, &case).is_err() => {
                left_out += 1;
                continue;
            }
            Err(unmet) => Verdict::No(StepReason(&unmet, &case).to_string()),
            Ok(()) if rule.does == Action::Continue => Verdict::Adds,
            Ok(()) => Verdict::Decides,
        };
        let decides = verdict == Verdict::Decides;
        steps.push(Step { number: at + 1, rule: &rule.name, verdict });
        if decides {
            break;
        }
    }
    let looked_at_the_clock = case.looked_at_the_clock();
    Ok(Explanation { steps, left_out, decision, looked_at_the_clock })
}

/// `from +493012345678 is not in @blocked, +1900*`. Shows numbers whole.
struct StepReason<'e, 'c>(&'e Mismatch<'e>, &'e MatchContext<'c>);

impl fmt::Display for StepReason<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StepReason(unmet, case) = self;
        let call = case.placed.call;
        match unmet {
            Mismatch::Channel(wanted) => {
                write!(f, "channel {} is not in {wanted}", call.channel())
            }
            Mismatch::To(wanted) => write!(f, "to {} is not in {wanted}", call.to().unmasked()),
            Mismatch::From(wanted) => {
                write!(f, "from {} is not in {wanted}", call.from().unmasked())
            }
            Mismatch::Platform(wanted) => {
                write!(f, "platform {} is not in {wanted}", call.platform())
            }
            Mismatch::Source(wanted) => write!(f, "source {} is not in {wanted}", call.source()),
            Mismatch::Hours(wanted) => {
                let hours = &case.table.hours;
                let told = all_of(wanted).map(|one| hours[one.at].status(case.at()).to_string());
                write!(f, "hours {wanted}: {}", told.collect::<Vec<_>>().join(", "))
            }
            Mismatch::Dates(wanted) => write!(f, "dates {wanted}: today is {}", case.today()),
            Mismatch::Where(condition) => match condition.fact.of(&case.placed) {
                Some(actual) => {
                    write!(f, "where {} is {actual:?}, not {}", condition.name, condition.wanted)
                }
                None => write!(f, "where {} is unknown", condition.name),
            },
        }
    }
}

fn all_of(either: &Selector<NamedRef>) -> impl Iterator<Item = &NamedRef> {
    either.any_of.iter().chain(&either.none_of)
}

impl Explanation<'_> {
    /// For programs.
    pub fn to_json(&self) -> serde_json::Value {
        let steps = self.steps.iter().map(|Step { number, rule, verdict }| match verdict {
            Verdict::No(why) => {
                json!({ "number": number, "rule": rule, "verdict": "no", "why": why })
            }
            Verdict::Adds => json!({ "number": number, "rule": rule, "verdict": "adds" }),
            Verdict::Decides => json!({ "number": number, "rule": rule, "verdict": "decides" }),
        });
        let variables = self.decision.additions().variables.iter();
        let variables = variables.map(|variable| {
            json!({ "name": variable.name, "value": variable.value, "rule": variable.rule })
        });
        let (agent, why) = match self.decision.outcome() {
            Outcome::Agent(chosen) => (Some(chosen.name), None),
            Outcome::Reject(reason) => (None, Some(*reason)),
            Outcome::Keep(kept) => (None, Some(kept.as_str())),
        };
        json!({
            "rules": steps.collect::<Vec<_>>(),
            "left_out": self.left_out,
            "outcome": self.decision.outcome().as_str(),
            "rule": self.decision.rule(),
            "arm": self.decision.arm(),
            "agent": agent,
            "why": why,
            "added_by": self.decision.additions().rules,
            "variables": variables.collect::<Vec<_>>(),
            "delay_ms": self.decision.additions().delay.as_millis() as u64,
        })
    }
}

/// One line a rule, then the outcome, then which rule set what.
impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Step { number, rule, verdict } in &self.steps {
            let (word, why) = match verdict {
                Verdict::No(why) => ("no", why.as_str()),
                Verdict::Adds => ("adds", ""),
                Verdict::Decides => ("DECIDES", ""),
            };
            writeln!(f, "{}", format!("{number:>4}  {word:<8} {rule:<28} {why}").trim_end())?;
        }
        if self.left_out > 0 {
            writeln!(f, "      {} rules are not listed: their numbers do not fit", self.left_out)?;
        }
        match self.decision.outcome() {
            Outcome::Agent(chosen) => write!(f, "\nagent {} ({})", chosen.name, chosen.id)?,
            Outcome::Reject("") => write!(f, "\nreject")?,
            Outcome::Reject(reason) => write!(f, "\nreject ({reason})")?,
            Outcome::Keep(kept) => write!(f, "\nkeep: {}", because(*kept))?,
        }
        match self.decision.arm() {
            Some(arm) => writeln!(f, ", by arm {} of the split", arm + 1)?,
            None => writeln!(f)?,
        }
        let added = self.decision.additions();
        for variable in &added.variables {
            let (name, value, rule) = (variable.name, &variable.value, variable.rule);
            writeln!(f, "  {name} = {value:?}   from rule `{rule}`")?;
        }
        if !added.delay.is_zero() {
            writeln!(f, "  rings for {} ms first", added.delay.as_millis())?;
        }
        Ok(())
    }
}

fn because(kept: KeepReason) -> &'static str {
    match kept {
        KeepReason::ByRule => "the rule says so",
        KeepReason::NoRule => "no rule fits",
        KeepReason::NoAgentId => "the chosen agent has no id at this platform",
        KeepReason::NoSuchAgent => "what the rule takes its agent from names nobody",
        KeepReason::Fallback => "something broke",
    }
}
