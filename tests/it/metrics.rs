//! `/metrics`: exact values after known requests, bounded labels, and the names that the documentation, the
//! dashboard and the alert rules use.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use axum::http::StatusCode;

use crate::support::app::{
    App, NOW_MS, RETELL_KEY, RULES, SETTINGS, URL_TOKEN, app, post, retell_call, retell_request,
    retell_request_at, root,
};
use crate::support::tls::SelfSigned;

const RULES_OF_THREE: &str = r#"
[agents]
concierge = "agent_1"
sales = "agent_2"

[[rule]]
name = "vip"
from = "+12137771234"
agent = "concierge"

[[rule]]
name = "blocked"
from = "+12137770000"
reject = "blocklist"
"#;

/// Samples, as name with labels and value.
fn samples(metrics: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = metrics.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.rsplit_once(' ').expect("a sample has a value"))
}

/// Counters after [`send_one_of_each`], without those that are 0.
const EXPECTED: &str = r#"switchboard_agent_calls_total{agent="concierge"} 1
switchboard_kept_total{source="retell",reason="no_rule"} 1
switchboard_refused_total{source="retell",reason="missing"} 1
switchboard_refused_total{source="synthflow",reason="token"} 1
switchboard_requests_total{source="retell",kind="call",outcome="agent",status="200"} 1
switchboard_requests_total{source="retell",kind="call",outcome="keep",status="200"} 1
switchboard_requests_total{source="retell",kind="call",outcome="reject",status="200"} 1
switchboard_requests_total{source="retell",kind="call",outcome="retry",status="200"} 1
switchboard_requests_total{source="retell",kind="event",outcome="accepted",status="200"} 1
switchboard_requests_total{source="retell",kind="event",outcome="unknown_event",status="200"} 1
switchboard_requests_total{source="retell",kind="unknown",outcome="refused",status="401"} 1
switchboard_requests_total{source="retell",kind="unknown",outcome="unreadable",status="400"} 1
switchboard_requests_total{source="synthflow",kind="probe",outcome="keep",status="200"} 1
switchboard_requests_total{source="synthflow",kind="unknown",outcome="refused",status="401"} 1
switchboard_rule_calls_total{rule="blocked"} 1
switchboard_rule_calls_total{rule="vip"} 1"#;

/// Names of all metrics, with their types.
fn types(metrics: &str) -> BTreeMap<String, String> {
    let types = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

/// Sends one request of each outcome that records = off can have, and returns their statuses.
async fn send_one_of_each(app: &App) -> Vec<u16> {
    let vip = r#"{"event":"call_inbound","call_inbound":{"call_id":"call_1","from_number":"+12137771234"}}"#;
    let synthflow = format!("/inbound/synthflow/{URL_TOKEN}");
    let requests = [
        retell_request("/inbound/retell", vip.as_bytes()),
        retell_request("/inbound/retell", vip.as_bytes()),
        retell_request("/inbound/retell", retell_call("+12137770000", "+1").as_bytes()),
        retell_request("/inbound/retell", retell_call("+12137779999", "+1").as_bytes()),
        retell_request("/events/retell", br#"{"event":"call_ended","call":{"call_id":"call_1"}}"#),
        retell_request("/events/retell", br#"{"event":"call_sung","call":{"call_id":"call_1"}}"#),
        retell_request("/inbound/retell", b"not JSON"),
        post("/inbound/retell", vip.as_bytes()),
        post("/inbound/synthflow/wrong", b"{}"),
        post(&synthflow, b""),
    ];
    let mut statuses = Vec::new();
    for request in requests {
        statuses.push(app.send(request).await.status.as_u16());
    }
    statuses
}

#[tokio::test]
async fn known_requests_give_exactly_these_counters() {
    let app = app(SETTINGS, RULES_OF_THREE);
    let statuses = send_one_of_each(&app).await;
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 400, 401, 401, 200]);
    let metrics = app.metrics().await;
    let types = types(&metrics);
    let mut counted: Vec<_> = samples(&metrics)
        .filter(|(name, value)| {
            let name = name.split('{').next().unwrap_or_default();
            name.starts_with("switchboard_")
                && types.get(name).is_some_and(|kind| kind == "counter")
                && *value != "0"
        })
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    counted.sort_unstable();
    assert_eq!(counted, EXPECTED.lines().collect::<Vec<_>>());
}

#[tokio::test]
async fn histograms_count_calls_and_events_apart() {
    let app = app(SETTINGS, RULES_OF_THREE);
    send_one_of_each(&app).await;
    let metrics = app.metrics().await;
    for line in [
        "switchboard_decision_seconds_count 3\n",
        "switchboard_decision_seconds_bucket{le=\"+Inf\"} 3\n",
        "switchboard_answer_seconds_count{source=\"retell\",kind=\"call\"} 4\n",
        "switchboard_answer_seconds_bucket{source=\"retell\",kind=\"call\",le=\"10\"} 4\n",
        "switchboard_answer_seconds_count{source=\"retell\",kind=\"event\"} 2\n",
        "switchboard_answer_seconds_count{source=\"synthflow\",kind=\"call\"} 0\n",
    ] {
        assert!(metrics.contains(line), "{line}is not in\n{metrics}");
    }
}

#[tokio::test]
async fn the_clock_skew_of_verified_signatures_is_measured() {
    let app = app(SETTINGS, RULES_OF_THREE);
    let call = retell_call("+12137771234", "+12137771235");
    for (behind_ms, key) in [(1_500, RETELL_KEY), (-20_000, RETELL_KEY), (7_000, "another key")] {
        let request =
            retell_request_at("/inbound/retell", call.as_bytes(), NOW_MS - behind_ms, key);
        app.send(request).await;
    }
    app.send(post(&format!("/inbound/synthflow/{URL_TOKEN}"), b"{}")).await;
    let metrics = app.metrics().await;
    for line in [
        "switchboard_clock_skew_seconds_bucket{source=\"retell\",le=\"-30\"} 0\n",
        "switchboard_clock_skew_seconds_bucket{source=\"retell\",le=\"-10\"} 1\n",
        "switchboard_clock_skew_seconds_bucket{source=\"retell\",le=\"1\"} 1\n",
        "switchboard_clock_skew_seconds_bucket{source=\"retell\",le=\"2\"} 2\n",
        "switchboard_clock_skew_seconds_sum{source=\"retell\"} -18.5\n",
        "switchboard_clock_skew_seconds_count{source=\"retell\"} 2\n",
    ] {
        assert!(metrics.contains(line), "{line}is not in\n{metrics}");
    }
    assert!(!metrics.contains("switchboard_clock_skew_seconds_count{source=\"synthflow\"}"));
}

/// Builds a table with `count` rules, each with an agent of its own.
fn table_of(count: usize) -> String {
    let mut text = "[agents]\n".to_owned();
    for number in 0..count {
        writeln!(text, "\"agent {number}\" = \"agent_{number}\"").unwrap();
    }
    for number in 0..count {
        let from = format!("+1213777{number:04}");
        writeln!(
            text,
            "[[rule]]\nname = \"rule {number}\"\nfrom = \"{from}\"\nagent = \"agent {number}\""
        )
        .unwrap();
    }
    text
}

#[tokio::test]
async fn the_names_of_600_rules_and_agents_make_501_series_each() {
    let app = app(SETTINGS, &table_of(600));
    for number in [0, 499, 500, 599] {
        app.retell(retell_call(&format!("+1213777{number:04}"), "+12137771235")).await;
    }
    let metrics = app.metrics().await;
    for label in ["rule", "agent"] {
        let name = format!("switchboard_{label}_calls_total{{{label}=");
        assert_eq!(samples(&metrics).filter(|(sample, _)| sample.starts_with(&name)).count(), 501);
        for line in [
            format!("{name}\"{label} 0\"}} 1\n"),
            format!("{name}\"{label} 1\"}} 0\n"),
            format!("{name}\"{label} 499\"}} 1\n"),
            format!("{name}\"other\"}} 2\n"),
        ] {
            assert!(metrics.contains(&line), "{line}is not in\n{metrics}");
        }
    }
}

#[tokio::test]
async fn no_sample_occurs_twice_and_each_metric_has_help_and_type() {
    let metrics = app(SETTINGS, RULES_OF_THREE).metrics().await;
    let mut seen = BTreeSet::new();
    let types = types(&metrics);
    for (sample, _) in samples(&metrics) {
        assert!(seen.insert(sample), "{sample} occurs twice");
        let name = sample.split('{').next().unwrap_or_default();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let is_typed = types.contains_key(name)
            || family
                .is_some_and(|family| types.get(family).is_some_and(|kind| kind == "histogram"));
        assert!(is_typed, "{sample} has no TYPE");
    }
    for (name, kind) in &types {
        assert!(metrics.contains(&format!("# HELP {name} ")), "{name} has no HELP");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
    }
}

#[tokio::test]
async fn the_process_describes_itself() {
    let metrics = app(SETTINGS, RULES).metrics().await;
    let value = |name: &str| {
        let value = samples(&metrics).find(|(sample, _)| *sample == name).map(|(_, value)| value);
        value.unwrap_or_else(|| panic!("no {name}")).parse::<f64>().expect("a number")
    };
    #[expect(clippy::disallowed_methods, reason = "the process started by the system's clock")]
    let now = jiff::Timestamp::now().as_second() as f64;
    let started = value("process_start_time_seconds");
    assert!(started <= now + 1.0 && started > now - 86_400.0, "{started} is not today");
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert!(value("process_cpu_seconds_total") >= 0.0);
    assert!(value("process_open_fds") >= 3.0);
    assert!(value("process_max_fds") >= value("process_open_fds"));
    let build = format!("switchboard_build_info{{version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION"));
    assert!(metrics.contains(&build));
}

/// Names of the metrics in the tables of `docs/operating.md`, each with its type.
fn documented() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root().join("docs/operating.md")).unwrap();
    let (_, section) = text.split_once("\n## Metrics\n").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("a next section");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let metrics =
        rows.filter(|(name, _)| name.starts_with("switchboard_") || name.starts_with("process_"));
    let kind = |rest: &str| match rest {
        rest if rest.starts_with(" (gauge") => "gauge",
        rest if rest.starts_with(" (histogram)") => "histogram",
        _ => "counter",
    };
    metrics.map(|(name, rest)| (name.to_owned(), kind(rest).to_owned())).collect()
}

#[tokio::test]
async fn the_documentation_lists_exactly_the_metrics_that_exist() {
    let with_effects = format!(
        "{SETTINGS}\n[sources.calls]\nplatform = \"telnyx-call-control\"\nauth = \"off\"\nallow_from = \
         \"127.0.0.1\"\napi_key = \"env:API_KEY\"\nfallback = \"concierge\"\n"
    );
    let app = app(&with_effects, RULES_OF_THREE);
    app.app.counters().certificates(&[SelfSigned::new(&["hooks.example"]).certificate()]);
    assert_eq!(types(&app.metrics().await), documented());
}

#[tokio::test]
async fn requests_that_failed_authentication_are_logged_with_the_words_of_the_metrics() {
    use switchboard::authenticate::AuthError;
    use switchboard::http::HttpProblem;
    for error in AuthError::ALL {
        let problem = HttpProblem::Unauthenticated(error).to_string();
        assert_eq!(problem.split(':').next(), Some(error.as_str()), "{problem}");
    }
    let app = app(SETTINGS, RULES);
    let refused = app.send(post("/inbound/retell", b"{}")).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(!String::from_utf8_lossy(&refused.body).contains("missing"), "the client learns why");
}
