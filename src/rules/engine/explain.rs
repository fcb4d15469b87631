//! Explains a decision: the evaluated rules up to the deciding one, with the reason for each.
//!
//! Uses the same `evaluate` as `decide`, and fails when index and scan differ. Numbers are not masked:
//! explanations are for the operator, never for a log.

use std::fmt;

use serde_json::json;

use super::evaluate::{MatchContext, evaluate, evaluate_numbers};
use super::reasons::{mismatch_reason, reasons};
use super::{decide, scan};
use crate::domain::call::Call;
use crate::domain::decision::{Decision, KeepReason, LeftOut, LeftOutReason, Outcome};
use crate::domain::facts::Facts;
use crate::rules::model::template::{
    MAX_OBJECT_TEXTS_BYTES, MAX_SPEECH_BYTES, MAX_VALUE_BYTES, MAX_VARIABLES_BYTES,
};
use crate::rules::{Action, Rule, RuleSet};

/// Result of evaluating a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The rule does not match, for this reason.
    NoMatch(String),
    /// The rule matches, adds its additions and continues.
    Adds,
    /// The rule matches and decides the call.
    Decides,
    /// An earlier rule decides. By itself, the rule would match, or not match for this reason.
    NotTried(Result<(), String>),
}

/// Rules that an explanation lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Listed<'q> {
    /// The rules that are tried; in a long table without those whose numbers do not match.
    #[default]
    Relevant,
    /// Those, and the rule with this name.
    And(&'q str),
    /// Every rule of the table.
    All,
}

impl Listed<'_> {
    fn names(self, rule: &Rule) -> bool {
        match self {
            Listed::Relevant => false,
            Listed::And(name) => *rule.name == *name,
            Listed::All => true,
        }
    }
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
    /// What each condition of a matching rule found; empty if the rule does not match.
    pub because: Vec<String>,
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
#[error("the index decides by {index}, a scan by {scan}: a bug in Switchboard, please report it")]
pub struct IndexMismatch {
    index: String,
    scan: String,
}

/// Tables with more rules than this omit the rules whose numbers do not match.
const MAX_FULL_LIST: usize = 20;

/// Explains how `table` decides `call`.
///
/// ```
/// use jiff::Timestamp;
/// use switchboard::domain::call::{Call, Channel, Fields, Platform};
/// use switchboard::domain::facts::Facts;
/// use switchboard::rules::engine::explain::{Listed, Verdict, explain};
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
/// let explanation = explain(&table, &call, &facts, Listed::Relevant).unwrap();
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
    listed: Listed<'_>,
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
    let is_long = table.rules.len() > MAX_FULL_LIST;
    let mut rules = table.rules.iter().enumerate();
    for (index, rule) in rules.by_ref() {
        let verdict = match evaluate(rule, &context) {
            Err(_)
                if is_long && !listed.names(rule) && evaluate_numbers(rule, &context).is_err() =>
            {
                omitted += 1;
                continue;
            }
            Err(mismatch) => Verdict::NoMatch(mismatch_reason(&mismatch, &context)),
            Ok(()) if rule.action == Action::Continue => Verdict::Adds,
            Ok(()) => Verdict::Decides,
        };
        let because = match &verdict {
            Verdict::NoMatch(_) | Verdict::NotTried(_) => Vec::new(),
            Verdict::Adds | Verdict::Decides => reasons(rule, &context),
        };
        let decides = verdict == Verdict::Decides;
        steps.push(Step { number: index + 1, rule: &rule.name, verdict, because });
        if decides {
            break;
        }
    }
    let depends_on_time = context.depends_on_time();
    for (index, rule) in rules.filter(|(_, rule)| listed.names(rule)) {
        let alone =
            evaluate(rule, &context).map_err(|mismatch| mismatch_reason(&mismatch, &context));
        let because = if alone.is_ok() { reasons(rule, &context) } else { Vec::new() };
        let verdict = Verdict::NotTried(alone);
        steps.push(Step { number: index + 1, rule: &rule.name, verdict, because });
    }
    Ok(Explanation { steps, omitted, decision, depends_on_time })
}

impl Step<'_> {
    fn to_json(&self) -> serde_json::Value {
        let Step { number, rule, verdict, because } = self;
        let mut json = json!({ "number": number, "rule": rule, "verdict": verdict.as_str() });
        if let Verdict::NoMatch(reason) | Verdict::NotTried(Err(reason)) = verdict {
            json["reason"] = json!(reason);
        }
        if let Verdict::NotTried(alone) = verdict {
            json["matches"] = json!(alone.is_ok());
        }
        if !because.is_empty() {
            json["because"] = json!(because);
        }
        json
    }

    /// Returns the reason in words.
    pub(crate) fn reason(&self, deciding: Option<usize>) -> String {
        let because = self.because.join("; ");
        match &self.verdict {
            Verdict::NoMatch(reason) => reason.clone(),
            Verdict::Adds | Verdict::Decides => because,
            Verdict::NotTried(alone) => {
                let deciding = deciding.unwrap_or_default();
                let (matches, reason) = match alone {
                    Ok(()) => ("match", because),
                    Err(reason) => ("not match", reason.clone()),
                };
                format!("rule {deciding} decides; by itself it would {matches}: {reason}")
            }
        }
    }
}

impl Verdict {
    /// Returns the verdict as a word: `no`, `adds`, `decides` or `not_tried`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Verdict::NoMatch(_) => "no",
            Verdict::Adds => "adds",
            Verdict::Decides => "decides",
            Verdict::NotTried(_) => "not_tried",
        }
    }
}

impl Explanation<'_> {
    /// Returns the number of the rule that decides.
    pub(crate) fn deciding(&self) -> Option<usize> {
        let mut steps = self.steps.iter();
        steps.find(|step| step.verdict == Verdict::Decides).map(|step| step.number)
    }

    /// Returns the outcome in words.
    pub fn outcome_text(&self) -> String {
        let outcome = match self.decision.outcome() {
            Outcome::Agent(agent) => format!("agent {} ({})", agent.name, agent.id),
            Outcome::Reject("") => "reject".to_owned(),
            Outcome::Reject(reason) => format!("reject ({reason})"),
            Outcome::Transfer(target) => format!("transfer to {}", target.unmasked()),
            Outcome::Keep(reason) => format!("keep: {}", keep_reason(*reason)),
        };
        match self.decision.arm() {
            Some(arm) => format!("{outcome}, arm {} of the split", arm + 1),
            None => outcome,
        }
    }

    /// Renders the explanation as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        let steps = self.steps.iter().map(Step::to_json);
        let variables = self.decision.additions().variables.iter();
        let variables = variables.map(|variable| {
            json!({ "name": variable.name, "value": variable.value, "rule": variable.rule })
        });
        let headers = self.decision.additions().sip_headers.iter();
        let headers = headers.map(
            |header| json!({ "name": header.name, "value": header.value, "rule": header.rule }),
        );
        let left_out = self.decision.additions().left_out.iter().map(left_out_json);
        let (agent, reason, transfer) = match self.decision.outcome() {
            Outcome::Agent(agent) => (Some(agent.name), None, None),
            Outcome::Reject(reason) => (None, Some(*reason), None),
            Outcome::Transfer(target) => (None, None, Some(target.unmasked())),
            Outcome::Keep(reason) => (None, Some(reason.as_str()), None),
        };
        json!({
            "rules": steps.collect::<Vec<_>>(),
            "omitted": self.omitted,
            "outcome": self.decision.outcome().as_str(),
            "rule": self.decision.rule(),
            "arm": self.decision.arm(),
            "agent": agent,
            "reason": reason,
            "transfer": transfer,
            "say": self.decision.additions().say,
            "sip_headers": headers.collect::<Vec<_>>(),
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
        let deciding = self.deciding();
        for step in &self.steps {
            let label = match step.verdict {
                Verdict::NoMatch(_) => "no",
                Verdict::Adds => "adds",
                Verdict::Decides => "DECIDES",
                Verdict::NotTried(_) => "-",
            };
            let (number, rule, reason) = (step.number, step.rule, step.reason(deciding));
            writeln!(f, "{}", format!("{number:>4}  {label:<8} {rule:<28} {reason}").trim_end())?;
        }
        if self.omitted > 0 {
            writeln!(f, "      {} rules not listed: their numbers do not match", self.omitted)?;
        }
        writeln!(f, "\n{}", self.outcome_text())?;
        let added = self.decision.additions();
        if let Some(text) = &added.say {
            writeln!(f, "  says {text:?}")?;
        }
        for variable in &added.variables {
            let (name, value) = (variable.name, &variable.value);
            match variable.rule {
                Some(rule) => writeln!(f, "  {name} = {value:?}   from rule `{rule}`")?,
                None => writeln!(f, "  {name} = {value:?}   required by the agent")?,
            }
        }
        for header in &added.sip_headers {
            let (name, value, rule) = (header.name, &header.value, header.rule.unwrap_or_default());
            writeln!(f, "  {name}: {value:?}   from rule `{rule}`")?;
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
    left_out.iter().try_for_each(|part| writeln!(f, "  {}", left_out_text(part)))
}

/// Returns which part a reply leaves out, and why.
pub(crate) fn left_out_text(LeftOut { name, reason }: &LeftOut) -> String {
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
        LeftOutReason::TextTooLong => format!("the text would exceed {MAX_SPEECH_BYTES} bytes"),
        LeftOutReason::PlatformLimit => "the platform does not accept it here".to_owned(),
    };
    format!("{name} is left out: {reason}")
}

fn keep_reason(reason: KeepReason) -> &'static str {
    match reason {
        KeepReason::ByRule => "set by the rule",
        KeepReason::NoRule => "no rule matches",
        KeepReason::NoAgentId => "the selected agent has no id on this platform",
        KeepReason::NoSuchAgent => "the rule's template resolves to an unknown agent",
        KeepReason::NoTarget => "no call can be transferred to the value of the rule's template",
        KeepReason::Unsupported => "the platform cannot do what the rule says",
        KeepReason::Fallback => "internal error",
    }
}
