//! The dashboard and the alert rules in `deploy/`: every metric and label exists, every alert is documented and
//! tested.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::support::app::{App, RULES, SETTINGS, app, root};
use crate::support::required::{self, variable};
use crate::support::tls::SelfSigned;
use crate::support::wait;

const ALERTS: &str = "deploy/prometheus/alerts.yml";
const ALERT_TESTS: &str = "deploy/prometheus/alerts.test.yml";
const DASHBOARD: &str = "deploy/grafana/switchboard.json";

/// Labels that Prometheus adds.
const ADDED: [&str; 2] = ["instance", "job"];

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// Values of each label of each metric.
type Labels = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

async fn labels(app: &App) -> Labels {
    let metrics = app.metrics().await;
    let mut all = Labels::new();
    for sample in metrics.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (series, _) = sample.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let known = all.entry(name.to_owned()).or_default();
        for (label, value) in matchers(labels.trim_end_matches('}')) {
            known.entry(label.to_owned()).or_default().insert(value.to_owned());
        }
    }
    all
}

/// Labels with their values in `a="1",b=~"2|3"`.
fn matchers(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts = text.split("\",").filter(|part| !part.trim().is_empty());
    parts.map(|part| {
        let (label, value) = part.split_once('=').expect("a matcher");
        (label.trim().trim_end_matches('!'), value.trim_start_matches('~').trim_matches('"'))
    })
}

fn expressions_of_alerts() -> Vec<String> {
    let text = read(ALERTS);
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    lines.map(str::to_owned).collect()
}

fn expressions_of_dashboard() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let panels = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let queries = variables.filter_map(|variable| {
        let query = variable["query"].as_str()?.strip_prefix("label_values(")?;
        let (metric, label) = query.strip_suffix(')')?.split_once(", ")?;
        Some(format!("sum by ({label}) ({metric})"))
    });
    panels.chain(queries).collect()
}

/// Returns what of an expression does not exist.
fn unknown(expression: &str, known: &Labels) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut labels: BTreeSet<&str> = ADDED.into();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for prefix in ["switchboard_", "process_"] {
        for (at, _) in expression.match_indices(prefix) {
            let rest = &expression[at..];
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            let (name, rest) = rest.split_at(end);
            let Some(of_metric) = known.get(name) else {
                wrong.push(name.to_owned());
                continue;
            };
            labels.extend(of_metric.keys().map(String::as_str));
            let selector = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            for (label, value) in matchers(selector.map_or("", |(selector, _)| selector)) {
                if ADDED.contains(&label) || value.starts_with('$') {
                    continue;
                }
                let values = of_metric.get(label).cloned().unwrap_or_default();
                let missing = value.split('|').filter(|value| !values.contains(*value));
                wrong.extend(missing.map(|value| format!("{name}{{{label}={value}}}")));
            }
        }
    }
    for clause in ["by (", "on (", "group_left ("] {
        for rest in expression.split(clause).skip(1) {
            let list = rest.split(')').next().unwrap_or_default().split(',').map(str::trim);
            wrong.extend(list.filter(|label| !labels.contains(label)).map(str::to_owned));
        }
    }
    wrong
}

#[tokio::test]
async fn every_metric_and_label_of_the_dashboard_and_the_alerts_exists() {
    let app = app(SETTINGS, RULES);
    app.app.counters().certificates(&[SelfSigned::new(&["a.example"]).certificate()]);
    let known = labels(&app).await;
    let (alerts, panels) = (expressions_of_alerts(), expressions_of_dashboard());
    assert!(alerts.len() > 10 && panels.len() > 25, "{} {}", alerts.len(), panels.len());
    for expression in alerts.iter().chain(&panels) {
        assert_eq!(unknown(expression, &known), Vec::<String>::new(), "in {expression}");
    }
}

#[tokio::test]
async fn unknown_metrics_labels_and_values_are_found() {
    let known = labels(&app(SETTINGS, RULES)).await;
    for (expression, expected) in [
        ("rate(switchboard_replies_total[5m])", "switchboard_replies_total"),
        ("switchboard_rules{rule=\"a\"}", "switchboard_rules{rule=a}"),
        (
            "switchboard_fallbacks_total{cause=~\"panic|timeout\"}",
            "switchboard_fallbacks_total{cause=timeout}",
        ),
        ("sum by (source, reason) (switchboard_fallbacks_total)", "reason"),
    ] {
        assert_eq!(unknown(expression, &known), [expected]);
    }
}

#[test]
fn every_alert_has_a_section_and_two_tests() {
    let (alerts, tests, page) = (read(ALERTS), read(ALERT_TESTS), read("docs/operating.md"));
    let (_, section) = page.split_once("\n## What to alert on\n").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("a next section");
    let documented: Vec<_> = section.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let named: Vec<_> =
        alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert_eq!(documented, named);
    for alert in named {
        let link = format!("runbook_url: docs/operating.md#{}\n", alert.to_lowercase());
        assert_eq!(alerts.matches(&link).count(), 1, "{alert} has no link to its section");
        for kind in ["fires", "is silent"] {
            assert!(tests.contains(&format!("  - name: {alert} {kind}\n")), "{alert} {kind}");
        }
    }
}

/// Returns the path of `promtool`, on `PATH` or where `.ci/setup` installs it.
fn promtool() -> Option<std::path::PathBuf> {
    let path = variable("PATH");
    let cache = match variable("XDG_CACHE_HOME") {
        unset if unset.is_empty() => Path::new(&variable("HOME")).join(".cache"),
        cache => cache.into(),
    };
    let folders = std::env::split_paths(&path).chain([cache.join("switchboard/tools/bin")]);
    let found = folders.map(|folder| folder.join("promtool")).find(|file| file.is_file());
    if found.is_none() {
        required::skip_test("promtool", "no promtool on this machine (Debian: prometheus)");
    }
    found
}

#[test]
fn the_alert_rules_are_valid_and_pass_their_tests() {
    let Some(promtool) = promtool() else { return };
    for arguments in [["check", "rules", ALERTS], ["test", "rules", ALERT_TESTS]] {
        let output =
            wait::output(std::process::Command::new(&promtool).args(arguments).current_dir(root()));
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(output.status.success(), "promtool {arguments:?}\n{}", text.concat());
    }
}
