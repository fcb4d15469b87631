//! Runs a table's own tests: what became of each call, held against what was expected of it.

use std::collections::HashSet;

use serde_json::Value;

use super::explain::{Explanation, explain};
use crate::diagnostics::Report;
use crate::domain::call::Call;
use crate::domain::decision::{Object, Outcome};
use crate::domain::facts::Facts;
use crate::rules::{Action, Expected, RuleLocations, RuleSet, Test};
use jiff::Timestamp;

/// Which rules, and which arms of splits, the tests reached.
#[derive(Debug, Default)]
pub struct Coverage<'t> {
    rules: HashSet<&'t str>,
    arms: HashSet<(&'t str, usize)>,
}

/// Runs all tests. Those that fail are reported, each with the explanation of its call.
pub fn run<'t>(table: &'t RuleSet, tests: &[Test], report: &mut Report) -> Coverage<'t> {
    let mut reached = Coverage::default();
    for test in tests {
        let call = Call::synthetic(&test.source, test.platform, test.fields.clone());
        let facts = Facts { at: test.at.unwrap_or(Timestamp::UNIX_EPOCH) };
        let explanation = match explain(table, &call, &facts, false) {
            Ok(explanation) => explanation,
            Err(differ) => {
                let message = format!("test `{}`: {differ}", test.name);
                report.error("index-differs", Some(test.place.clone()), message);
                continue;
            }
        };
        let decision = &explanation.decision;
        reached.rules.extend(decision.rule());
        reached.rules.extend(&decision.additions().rules);
        reached.arms.extend(decision.rule().zip(decision.arm()));
        if test.at.is_none() && explanation.looked_at_the_clock {
            let message =
                format!("test `{}` says no time, and a rule looks at the clock", test.name);
            report
                .error("missing-time", Some(test.place.clone()), message)
                .help("write at = \"2026-12-24 10:00\"");
        } else {
            compare(test, &explanation, report);
        }
    }
    reached
}

fn compare(test: &Test, explanation: &Explanation<'_>, report: &mut Report) {
    let differences = differences(&test.expected, explanation);
    if differences.is_empty() {
        return;
    }
    let message = format!("test `{}` fails", test.name);
    let detail = format!("{}\n\n{explanation}", differences.join("\n"));
    report.error("failing-test", Some(test.place.clone()), message).detail(detail);
}

/// A line for each thing that is not as expected.
fn differences(expected: &Expected, explanation: &Explanation<'_>) -> Vec<String> {
    let decision = &explanation.decision;
    let (agent, reason) = match decision.outcome() {
        Outcome::Agent(chosen) => (Some(chosen.name), None),
        Outcome::Reject(reason) => (None, Some(*reason)),
        Outcome::Keep(_) => (None, None),
    };
    let added = decision.additions();
    let mut lines = Vec::new();
    let mut same = |what: &str, expected: Option<&str>, got: Option<&str>| {
        if expected.is_some() && expected != got {
            let got = got.map_or("none".to_owned(), |got| format!("{got:?}"));
            lines.push(format!("expected {what} {:?}, got {got}", expected.unwrap_or_default()));
        }
    };
    same("rule", expected.rule.as_deref(), decision.rule());
    same("outcome", expected.outcome.as_deref(), Some(decision.outcome().as_str()));
    same("agent", expected.agent.as_deref(), agent);
    same("reason", expected.reason.as_deref(), reason);
    for (name, value) in &expected.variables {
        let got = added.variables.iter().find(|variable| *variable.name == **name);
        same(&format!("variable {name}"), Some(value), got.map(|variable| &*variable.value));
    }
    let nothing = Object::new();
    let metadata = added.metadata.as_deref().unwrap_or(&nothing);
    inside("metadata", &expected.metadata, metadata, &mut lines);
    let agent_override = added.agent_override.as_deref().unwrap_or(&nothing);
    inside("agent_override", &expected.agent_override, agent_override, &mut lines);
    if expected.delay.is_some_and(|delay| delay != added.delay) {
        let (expected, got) = (expected.delay.unwrap_or_default(), added.delay);
        lines.push(format!("expected delay_ms {}, got {}", expected.as_millis(), got.as_millis()));
    }
    lines
}

/// Whether all that is expected is there, among whatever else.
fn inside(path: &str, expected: &Object, got: &Object, lines: &mut Vec<String>) {
    for (name, value) in expected {
        let path = format!("{path}.{name}");
        match (value, got.get(name)) {
            (Value::Object(expected), Some(Value::Object(got))) => {
                inside(&path, expected, got, lines);
            }
            (value, Some(got)) if value == got => {}
            (value, got) => {
                let got = got.map_or("none".to_owned(), Value::to_string);
                lines.push(format!("expected {path} {value}, got {got}"));
            }
        }
    }
}

/// Warns of rules, and of arms of splits, that no test reached.
pub fn warn_of_the_rest(
    table: &RuleSet,
    reached: &Coverage<'_>,
    places: &RuleLocations,
    report: &mut Report,
) {
    for (at, rule) in table.rules.iter().enumerate() {
        let name = &*rule.name;
        if !reached.rules.contains(name) {
            let message = format!("no test reaches rule `{name}`");
            report
                .warning("untested-rule", Some(places.of(at)), message)
                .help("`switchboard explain --as-test` writes one");
            continue;
        }
        let Action::Split(split) = &rule.does else { continue };
        let share = |arm: &usize| {
            split.arms[*arm].end - arm.checked_sub(1).map_or(0, |before| split.arms[before].end)
        };
        let untested = (0..split.arms.len()).filter(|arm| !reached.arms.contains(&(name, *arm)));
        // Nobody takes an arm of no percent, but who withholds the number.
        for arm in untested.filter(|arm| share(arm) > 0) {
            let message = format!("no test reaches arm {} of rule `{name}`", arm + 1);
            report
                .warning("untested-arm", Some(places.of(at)), message)
                .help("who takes it is told by the caller's number: try some");
        }
    }
}
