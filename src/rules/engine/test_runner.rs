//! Runs the tests of a table and compares each decision with the expected one.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::Value;

use super::explain::{Explanation, Listed, explain};
use super::unanswered_lookups;
use crate::diagnostics::Report;
use crate::domain::call::Call;
use crate::domain::decision::{Object, Outcome};
use crate::domain::facts::Facts;
use crate::domain::transfer::TransferTarget;
use crate::rules::{Action, Expected, RuleLocations, RuleSet, Test};

/// Rules and split arms that the tests reached.
#[derive(Debug, Default)]
pub struct TestCoverage<'t> {
    rules: HashSet<&'t str>,
    arms: HashSet<(&'t str, usize)>,
}

/// Runs all tests. Reports each failing test with the explanation of its call.
pub fn run<'t>(table: &'t RuleSet, tests: &[Test], report: &mut Report) -> TestCoverage<'t> {
    let mut coverage = TestCoverage::default();
    for test in tests {
        let call = Call::synthetic(&test.source, test.platform, test.fields.clone());
        let at = test.at.unwrap_or(Timestamp::UNIX_EPOCH);
        let facts = Facts { at, lookups: test.lookups.clone() };
        let explanation = match explain(table, &call, &facts, Listed::Relevant) {
            Ok(explanation) => explanation,
            Err(mismatch) => {
                let message = format!("test `{}`: {mismatch}", test.name);
                report.error("index-differs", Some(test.location.clone()), message);
                continue;
            }
        };
        let decision = &explanation.decision;
        coverage.rules.extend(decision.rule());
        coverage.rules.extend(&decision.additions().rules);
        coverage.arms.extend(decision.rule().zip(decision.arm()));
        if test.at.is_none() && explanation.depends_on_time {
            let message =
                format!("test `{}` has no `at`, but a rule depends on the time", test.name);
            report
                .error("missing-time", Some(test.location.clone()), message)
                .help("add a time, such as `at = \"2026-12-24 10:00\"`");
        } else {
            let unanswered = unanswered_lookups(table, &call, &facts);
            let names = unanswered.into_iter().map(|id| table.lookup_name(id));
            compare(test, &explanation, &names.collect::<Vec<_>>(), report);
        }
    }
    coverage
}

/// Reports a test with another decision. `unanswered` are the look-ups of which it gives no answer.
fn compare(test: &Test, explanation: &Explanation<'_>, unanswered: &[&str], report: &mut Report) {
    let differences = differences(&test.expected, explanation);
    if differences.is_empty() {
        return;
    }
    let message = format!("test `{}` fails", test.name);
    let detail = format!("{}\n\n{explanation}", differences.join("\n"));
    let help = (!unanswered.is_empty()).then(|| {
        let names = unanswered.iter().map(|name| format!("{name} = {{ … }}"));
        let names = names.collect::<Vec<_>>().join(", ");
        format!("the test has no answer of these look-ups: lookup = {{ {names} }}")
    });
    let location = Some(test.location.clone());
    report.error("failing-test", location, message).detail(detail).maybe_help(help);
}

/// Returns a line for each difference.
fn differences(expected: &Expected, explanation: &Explanation<'_>) -> Vec<String> {
    let decision = &explanation.decision;
    let (agent, reason, target) = match decision.outcome() {
        Outcome::Agent(agent) => (Some(agent.name), None, None),
        Outcome::Reject(reason) => (None, Some(*reason), None),
        Outcome::Transfer(target) => (None, None, Some(target.unmasked())),
        Outcome::Keep(_) => (None, None, None),
    };
    let added = decision.additions();
    let mut lines = Vec::new();
    let mut compare = |field: &str, expected: Option<&str>, got: Option<&str>| {
        if let Some(expected) = expected.filter(|expected| got != Some(*expected)) {
            let got = got.map_or("none".to_owned(), |got| format!("{got:?}"));
            lines.push(format!("expected {field} {expected:?}, got {got}"));
        }
    };
    compare("rule", expected.rule.as_deref(), decision.rule());
    compare("outcome", expected.outcome.as_deref(), Some(decision.outcome().as_str()));
    compare("agent", expected.agent.as_deref(), agent);
    compare("reason", expected.reason.as_deref(), reason);
    let expected_target = expected.transfer.as_ref().map(TransferTarget::unmasked);
    compare("transfer", expected_target.as_deref(), target.as_deref());
    compare("say", expected.say.as_deref(), added.say.as_deref());
    for (name, value) in &expected.sip_headers {
        let mut headers = added.sip_headers.iter();
        let got = headers.find(|header| header.name.eq_ignore_ascii_case(name));
        compare(&format!("SIP header {name}"), Some(value), got.map(|header| &*header.value));
    }
    for (name, value) in &expected.variables {
        let got = added.variables.iter().find(|variable| *variable.name == **name);
        compare(&format!("variable {name}"), Some(value), got.map(|variable| &*variable.value));
    }
    let empty = Object::new();
    let metadata = added.metadata.as_deref().unwrap_or(&empty);
    compare_objects("metadata", &expected.metadata, metadata, &mut lines);
    let agent_override = added.agent_override.as_deref().unwrap_or(&empty);
    compare_objects("agent_override", &expected.agent_override, agent_override, &mut lines);
    if let Some(expected) = expected.delay.filter(|delay| *delay != added.delay) {
        let (expected, got) = (expected.as_millis(), added.delay.as_millis());
        lines.push(format!("expected delay_ms {expected}, got {got}"));
    }
    lines
}

/// Compares expected entries with an object that may have further entries.
fn compare_objects(path: &str, expected: &Object, got: &Object, lines: &mut Vec<String>) {
    for (name, value) in expected {
        let path = format!("{path}.{name}");
        match (value, got.get(name)) {
            (Value::Object(expected), Some(Value::Object(got))) => {
                compare_objects(&path, expected, got, lines);
            }
            (value, Some(got)) if value == got => {}
            (value, got) => {
                let got = got.map_or("none".to_owned(), Value::to_string);
                lines.push(format!("expected {path} {value}, got {got}"));
            }
        }
    }
}

/// Warns about rules and split arms that no test reached.
pub fn warn_untested(
    table: &RuleSet,
    coverage: &TestCoverage<'_>,
    locations: &RuleLocations,
    report: &mut Report,
) {
    for (index, rule) in table.rules.iter().enumerate() {
        let name = &*rule.name;
        if !coverage.rules.contains(name) {
            let message = format!("rule `{name}` has no test");
            report
                .warning("untested-rule", Some(locations.get(index)), message)
                .help("`switchboard explain --as-test` generates one");
            continue;
        }
        let Action::Split(split) = &rule.action else { continue };
        let share = |arm: &usize| {
            split.arms[*arm].end - arm.checked_sub(1).map_or(0, |before| split.arms[before].end)
        };
        let untested = (0..split.arms.len()).filter(|arm| !coverage.arms.contains(&(name, *arm)));
        // Only withheld numbers can reach an arm of 0 percent.
        for arm in untested.filter(|arm| share(arm) > 0) {
            let message = format!("arm {} of rule `{name}` has no test", arm + 1);
            report
                .warning("untested-arm", Some(locations.get(index)), message)
                .help("the caller's number selects the arm; try other numbers");
        }
    }
}
