//! Why a call is answered as it is: every rule until the deciding one, and what each added.
//!
//! Asks the same `judge` as `decide`, so it cannot tell another story. Shows numbers whole: it is
//! for the operator, never for a log.

use std::fmt;

use serde_json::json;

use super::{Unmet, decide, judge};
use crate::call::Call;
use crate::decision::{Decision, Kept, Outcome};
use crate::rules::Table;

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

/// The story of one decision.
#[derive(Debug)]
pub struct Explanation<'t> {
    /// The rules that were tried, in order, and what they said.
    pub steps: Vec<(&'t str, Verdict)>,
    /// What came of it.
    pub decision: Decision<'t>,
}

/// Tells how `table` decides `call`.
pub fn explain<'t>(table: &'t Table, call: &Call<'_>) -> Explanation<'t> {
    let decision = decide(table, call);
    let mut steps = Vec::new();
    for rule in &table.rules {
        let verdict = match judge(rule, call) {
            Err(unmet) => Verdict::No(Why(&unmet, call).to_string()),
            Ok(()) if decision.rule() == Some(&*rule.name) => Verdict::Decides,
            Ok(()) => Verdict::Adds,
        };
        let decided = verdict == Verdict::Decides;
        steps.push((&*rule.name, verdict));
        if decided {
            break;
        }
    }
    Explanation { steps, decision }
}

/// `from +493012345678 is not in +1900*`, for `explain`. Shows numbers whole.
struct Why<'e>(&'e Unmet<'e>, &'e Call<'e>);

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Why(unmet, call) = self;
        let (name, value, wanted) = match unmet {
            Unmet::Channel(wanted) => {
                ("channel", call.channel().as_str().into(), wanted.to_string())
            }
            Unmet::To(wanted) => ("to", call.to().in_full(), wanted.to_string()),
            Unmet::From(wanted) => ("from", call.from().in_full(), wanted.to_string()),
            Unmet::Platform(wanted) => {
                ("platform", call.platform().as_str().into(), wanted.to_string())
            }
            Unmet::Source(wanted) => ("source", call.source().into(), wanted.to_string()),
        };
        write!(f, "{name} {value} is not in {wanted}")
    }
}

impl Explanation<'_> {
    /// For programs.
    pub fn to_json(&self) -> serde_json::Value {
        let steps = self.steps.iter().map(|(rule, verdict)| match verdict {
            Verdict::No(why) => json!({ "rule": rule, "verdict": "no", "why": why }),
            Verdict::Adds => json!({ "rule": rule, "verdict": "adds" }),
            Verdict::Decides => json!({ "rule": rule, "verdict": "decides" }),
        });
        let variables = self.decision.added().variables.iter();
        let variables = variables.map(|variable| {
            json!({ "name": variable.name, "value": variable.value, "rule": variable.rule })
        });
        json!({
            "rules": steps.collect::<Vec<_>>(),
            "outcome": self.decision.outcome().as_str(),
            "rule": self.decision.rule(),
            "variables": variables.collect::<Vec<_>>(),
            "delay_ms": self.decision.added().delay.as_millis() as u64,
        })
    }
}

/// One line a rule, then the outcome, then which rule set what.
impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (rule, verdict)) in self.steps.iter().enumerate() {
            let (word, why) = match verdict {
                Verdict::No(why) => ("no", why.as_str()),
                Verdict::Adds => ("adds", ""),
                Verdict::Decides => ("DECIDES", ""),
            };
            writeln!(f, "{}", format!("{:>4}  {word:<8} {rule:<28} {why}", at + 1).trim_end())?;
        }
        match self.decision.outcome() {
            Outcome::Agent(chosen) => writeln!(f, "\nagent {} ({})", chosen.name, chosen.id)?,
            Outcome::Reject("") => writeln!(f, "\nreject")?,
            Outcome::Reject(reason) => writeln!(f, "\nreject ({reason})")?,
            Outcome::Keep(kept) => writeln!(f, "\nkeep: {}", because(*kept))?,
        }
        let added = self.decision.added();
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

fn because(kept: Kept) -> &'static str {
    match kept {
        Kept::ByRule => "the rule says so",
        Kept::NoRule => "no rule fits",
        Kept::NoAgentId => "the chosen agent has no id at this platform",
        Kept::Fallback => "something broke",
    }
}
