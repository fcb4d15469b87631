//! `explain`, on the command line and on the admin listener.

use std::process::Output;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use switchboard::dialect;
use switchboard::domain::secret::Secret;
use switchboard::http::admin;
use tower::ServiceExt;

use crate::support::app::{self, App, app, retell_call};
use crate::support::program::{self, Served, run, start, text};
use crate::support::wait;

const SETTINGS: &str = r#"
[sources.clinic]
platform = "synthflow"
secrets = ["env:SYNTHFLOW_SECRET"]
allow_from = ["127.0.0.1"]

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

const RULES: &str = r#"
zone = "America/New_York"

[hours.office]
mon-fri = "09:00-17:00"

[[rule]]
name = "german"
from = "DE"
continue = true
variables = { language = "de" }

[[rule]]
name = "one number"
number_id = "pn_1"
where = { "attr.plan" = "gold" }
agent = "agent_gold"

[[rule]]
name = "after hours"
hours = "!office"
agent = "agent_night"
delay_ms = 1000

[[rule]]
name = "text messages"
channel = "sms"
reject = "no texts"

[[rule]]
name = "the clinic"
source = "clinic"
agent = "agent_clinic"

[[rule]]
name = "everyone"
agent = "agent_1"
"#;

async fn send(app: &App, request: Request<Body>) -> (StatusCode, Value) {
    let response = app.admin.clone().oneshot(request).await.unwrap();
    let answer = app::collect(response).await;
    let body = serde_json::from_slice(&answer.body).unwrap_or_default();
    (answer.status, body)
}

async fn explain_query(query: &str) -> (StatusCode, Value) {
    let request = Request::get(format!("/explain?{query}")).body(Body::empty()).unwrap();
    send(&app(SETTINGS, RULES), request).await
}

#[tokio::test]
async fn each_query_parameter_sets_a_field_of_the_call() {
    let open = "at=2026-11-20T10:00";
    for (query, rule) in [
        ("from=%2B12137771234&at=2026-11-20T10:00", "the clinic"),
        ("source=retell&at=2026-11-20T10:00", "everyone"),
        ("source=retell&at=2026-11-20T20:00", "after hours"),
        ("source=retell&at=2026-11-20T10:00:00Z", "after hours"),
        ("source=retell&at=2026-11-20+10:00&channel=sms", "text messages"),
    ] {
        let (status, explanation) = explain_query(query).await;
        assert_eq!(
            (status, &explanation["rule"]),
            (StatusCode::OK, &json!(rule)),
            "{query}: {explanation}"
        );
    }
    for german in
        ["from=%2B4930901820", "from=+4930901820", "from=004930901820", "from=%2B49+30+901820"]
    {
        let (_, explanation) = explain_query(&format!("{german}&{open}")).await;
        let expected = json!([{ "name": "language", "value": "de", "rule": "german" }]);
        let is_number = !german.contains("=00");
        assert_eq!(explanation["variables"] == expected, is_number, "{german}: {explanation}");
    }
    let (_, now) = explain_query("source=retell").await;
    assert_eq!(
        now["at"],
        json!("2026-05-28T19:57:52-04:00"),
        "the current time in the zone of the table"
    );
}

#[tokio::test]
async fn an_invalid_query_is_400_with_help() {
    for (query, why) in [
        (
            "form=%2B12137771234",
            "unknown parameter `form`: known are from, to, channel, number_id, attr, source, at, all, why_not and live",
        ),
        ("source=nobody", "no source `nobody`; the settings have clinic, retell"),
        ("attr=account", "attr: `account` is not NAME=VALUE"),
        ("channel=fax", "channel: unknown variant `fax`, expected `call` or `sms`"),
        ("all=yes", "all: provided string was not `true` or `false`"),
        ("at=tomorrow", "`tomorrow`"),
        ("at=2026-02-30", "2026-02-30"),
    ] {
        let (status, body) = explain_query(query).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {body}");
        assert!(
            body["detail"].as_str().is_some_and(|detail| detail.contains(why)),
            "{query}: {body}"
        );
    }
}

async fn explain_body(query: &str, body: &str) -> (StatusCode, Value) {
    let request = Request::post(format!("/explain?{query}"));
    send(&app(SETTINGS, RULES), request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn a_posted_body_is_parsed_like_a_request_to_its_source() {
    let call = retell_call("+4930901820", "+12137771235");
    let (status, explanation) = explain_body("source=retell&at=2026-11-20T10:00", &call).await;
    assert_eq!(
        (status, &explanation["rule"]),
        (StatusCode::OK, &json!("everyone")),
        "{explanation}"
    );
    assert_eq!(explanation["variables"][0]["value"], json!("de"));
    let event = r#"{"event":"call_ended","call":{"call_id":"call_1"}}"#;
    for (query, body, why) in [
        ("source=retell", event, "the body is the event `call_ended`, not a call"),
        ("source=retell", "no JSON", "the body is not a JSON object"),
        (
            "source=retell&from=%2B12137771234",
            &call,
            "send either from, to and channel, or a request body",
        ),
    ] {
        let (status, body) = explain_body(query, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {body}");
        assert!(
            body["detail"].as_str().is_some_and(|detail| detail.contains(why)),
            "{query}: {body}"
        );
    }
}

#[tokio::test]
async fn explain_and_reload_require_the_admin_token() {
    let app = app(SETTINGS, RULES);
    let token = Some(Secret::new("admin_0123456789abcdef"));
    let router = admin::router(app.app.clone(), None, token, axum::Router::new());
    let app = App { admin: router, ..app };
    for (method, path, with_token, expected) in [
        ("GET", "/explain", false, 401),
        ("GET", "/explain", true, 200),
        ("POST", "/explain", false, 401),
        ("POST", "/reload", false, 401),
        ("POST", "/reload", true, 503),
        ("GET", "/reload", true, 405),
        ("DELETE", "/explain", true, 405),
        ("GET", "/healthz", false, 200),
        ("GET", "/readyz", false, 200),
    ] {
        let mut request = Request::builder().method(method).uri(path);
        if with_token {
            request = request.header("authorization", "Bearer admin_0123456789abcdef");
        }
        let (status, body) = send(&app, request.body(Body::empty()).unwrap()).await;
        assert_eq!(status.as_u16(), expected, "{method} {path} {with_token}: {body}");
    }
}

#[track_caller]
fn parsed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)))
}

#[test]
fn the_listener_and_the_command_return_the_same_explanation() {
    let (folder, settings) = program::folder(SETTINGS, RULES);
    let served = Served::new(start(&["--config", &settings]));
    let body = folder.path().join("body.json");
    std::fs::write(&body, retell_call("+4930901820", "+12137771235")).unwrap();
    let body = body.to_str().unwrap();
    let url = format!("http://{}/explain", served.admin);
    for (query, arguments) in [
        (
            "from=%2B12137771234&to=%2B12137771235&at=2026-11-20T10:00",
            &["--from", "+12137771234", "--to", "+12137771235", "--at", "2026-11-20T10:00"][..],
        ),
        (
            "from=withheld&to=1001&source=retell&channel=sms&all=true&at=2026-11-21T10:00",
            &[
                "--from",
                "withheld",
                "--to",
                "1001",
                "--source",
                "retell",
                "--channel",
                "sms",
                "--all",
                "--at",
                "2026-11-21T10:00",
            ],
        ),
        (
            "number_id=pn_1&attr=plan=gold,account=acme&at=2026-11-20T10:00",
            &[
                "--from",
                "withheld",
                "--to",
                "withheld",
                "--number-id",
                "pn_1",
                "--attr",
                "plan=gold",
                "--attr",
                "account=acme",
                "--at",
                "2026-11-20T10:00",
            ],
        ),
        (
            "source=retell&at=2026-11-20T10:00&body",
            &["--source", "retell", "--at", "2026-11-20T10:00", "--body", body],
        ),
    ] {
        let mut curl = std::process::Command::new("curl");
        curl.args(["-s", "-S", "--max-time", "60"]);
        match query.strip_suffix("&body") {
            Some(query) => {
                curl.args(["--data-binary", &format!("@{body}"), &format!("{url}?{query}")])
            }
            None => curl.arg(format!("{url}?{query}")),
        };
        let explanation = parsed(&wait::output(&mut curl));
        assert!(explanation["rule"].is_string(), "{explanation}");
        let command = [&["explain", "--json", "--config", &settings], arguments].concat();
        assert_eq!(explanation, parsed(&run(&command)), "{query}");
    }
}

// ---- on the command line

fn explain(rules: &str, arguments: &[&str]) -> Output {
    let (_folder, settings) = program::folder(SETTINGS, rules);
    run(&[&["explain", "--config", &settings], arguments].concat())
}

#[test]
fn a_test_printed_by_explain_passes() {
    for call in [
        &["--from", "+4930901820", "--at", "2026-11-20 10:00"][..],
        &["--from", "withheld", "--source", "retell", "--at", "2026-11-20 20:00"],
        &[
            "--from",
            "a \"b\" \\ c",
            "--to",
            "=1001",
            "--source",
            "retell",
            "--channel",
            "sms",
            "--at",
            "2026-11-20 10:00",
        ],
        &["--number-id", "pn \"1\"", "--attr", "plan=gold=1", "--at", "2026-11-20 10:00"],
        &["--source", "retell"],
    ] {
        let printed = explain(RULES, &[call, &["--as-test"]].concat());
        let test = text(&printed.stdout);
        assert!(test.starts_with("[[test]]\n"), "{call:?}: {}", text(&printed.stderr));
        let (_folder, settings) = program::folder(SETTINGS, &format!("{RULES}\n{test}"));
        let checked = run(&["check", "--config", &settings]);
        assert_eq!(checked.status.code(), Some(0), "{test}\n{}", text(&checked.stdout));
        assert!(text(&checked.stdout).contains("1 test passed"), "{}", text(&checked.stdout));
    }
}

#[test]
fn a_long_table_is_explained_without_rules_for_other_numbers_unless_all_is_set() {
    let rule = |number| {
        format!(
            "[[rule]]\nname = \"r{number}\"\nfrom = \"+1213777{number:04}\"\nagent = \"a{number}\"\n"
        )
    };
    let mut rules: String = (0..30).map(rule).collect();
    rules += "[[rule]]\nname = \"everyone\"\nagent = \"agent_1\"\n";
    let few = text(&explain(&rules, &["--from", "+4930901820"]).stdout);
    assert!(few.contains("30 rules not listed: their numbers do not match"), "{few}");
    assert!(few.contains("DECIDES  everyone") && !few.contains("r29"), "{few}");
    let all = text(&explain(&rules, &["--from", "+4930901820", "--all"]).stdout);
    assert!(all.contains("r29") && !all.contains("not listed"), "{all}");
    assert_eq!(all.matches(" is not in +1213777").count(), 30, "{all}");
}

#[test]
fn explain_exits_with_2_and_a_reason_if_it_cannot_run() {
    for (arguments, why) in [
        (&["--at", "tomorrow"][..], "--at: `tomorrow`"),
        (&["--source", "nobody"], "the settings have clinic, retell"),
        (&["--body", "no/such/file"], "cannot read no/such/file"),
        (&["--attr", "plan"], "write NAME=VALUE, as in account=acme"),
        (&["--body", "x", "--number-id", "pn_1"], "cannot be used with"),
        (&["--body", "x", "--from", "+12137771234"], "cannot be used with"),
        (&["--as-test", "--json"], "cannot be used with"),
    ] {
        let ended = explain(RULES, arguments);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}");
        assert!(text(&ended.stderr).contains(why), "{arguments:?}: {}", text(&ended.stderr));
    }
    let bad = explain("[[rule]]\nname = \"a\"\n", &[]);
    assert_eq!(bad.status.code(), Some(2));
    assert!(text(&bad.stderr).contains("rules.toml:1:1"), "{}", text(&bad.stderr));
}

#[tokio::test]
async fn explain_rejects_patterns() {
    for pattern in ["+1213*", "DE", "@vip", "+1213555XXXX", "!DE", "+0123"] {
        let output = explain(RULES, &["--from", pattern]);
        assert_eq!(output.status.code(), Some(2), "{pattern}");
        let stderr = text(&output.stderr);
        let reason = match pattern {
            "@vip" => "is a list;",
            "+0123" => "no country code starts with 0",
            _ => "is a pattern",
        };
        assert!(stderr.contains(reason), "{stderr}");
        let encoded: String = pattern.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let (status, explanation) = explain_query(&format!("to={encoded}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{pattern}: {explanation}");
    }
}

const REASONS: &str = r#"
zone = "Europe/Berlin"

[dates.holidays]
days = ["12-24..12-26", "easter+1"]

[hours.office]
mon-fri = "09:00-17:00"
closed = ["holidays"]

[lists.blocked]
file = "blocked.csv"

[[rule]]
name = "holiday"
dates = "holidays"
agent = "agent_holiday"

[[rule]]
name = "blocked"
from = ["@blocked", "+1900*"]
reject = "spam"

[[rule]]
name = "not germany"
from = ["!DE", "!@blocked"]
hours = "office"
agent = "agent_office"

[[rule]]
name = "gold"
from = "DE"
where = { "sip.x-tier" = "gold" }
agent = "agent_gold"

[[rule]]
name = "everyone"
agent = "agent_1"
"#;

const BLOCKED: &str = "number,note\n\n+33199000001,\"two\nlines\"\n+33199000002,x\n";

fn explain_reasons(blocked: &str, arguments: &[&str]) -> Output {
    let (folder, settings) = program::folder(SETTINGS, REASONS);
    std::fs::write(folder.path().join("blocked.csv"), blocked).unwrap();
    run(&[&["explain", "--source", "retell", "--config", &settings], arguments].concat())
}

#[test]
fn an_explanation_names_what_each_condition_found() {
    let blocked = BLOCKED.to_owned();
    for blocked in [blocked.clone(), blocked.replace('\n', "\r\n"), blocked.trim_end().to_owned()] {
        for (from, line) in [("+33199000001", 3), ("+33199000002", 5)] {
            let output = explain_reasons(&blocked, &["--from", from, "--at", "2026-11-23 10:00"]);
            let output = text(&output.stdout);
            let expected = format!("from {from} is in @blocked (");
            assert!(output.contains(&expected), "{output}");
            assert!(output.contains(&format!("blocked.csv line {line})")), "{blocked:?}: {output}");
        }
    }
    for (arguments, expected) in [
        (&["--from", "+19005550100"][..], "from +19005550100 is in +1900*"),
        (&["--from", "+4930901820"], "from +4930901820 is excluded by !DE"),
        (
            &["--from", "+33199000009"],
            "from +33199000009 is not in DE, @blocked; hours office: office is open on \
             Mon 2026-11-23 at 10:00 (09:00-17:00 in Europe/Berlin)",
        ),
        (
            &["--from", "+33199000009"],
            "dates holidays: today is 2026-11-23, which is not in holidays",
        ),
        (&["--from", "+4930901820"], "DECIDES  everyone                     it has no conditions"),
        (&["--from", "+4930901820"], "where sip.x-tier is unknown"),
        (
            &["--from", "+33199000009", "--at", "2026-12-25 10:00"],
            "dates holidays: today is 2026-12-25, which is in holidays (12-24..12-26)",
        ),
        (
            &["--from", "+33199000009", "--at", "2026-12-25 10:00", "--why-not", "not germany"],
            "rule 1 decides; by itself it would not match: hours office: office is closed on \
             Fri 2026-12-25 at 10:00 (holidays: closed all day in Europe/Berlin)",
        ),
        (
            &["--from", "+33199000002", "--why-not", "everyone"],
            "rule 2 decides; by itself it would match: it has no conditions",
        ),
    ] {
        let at = ["--at", "2026-11-23 10:00"];
        let at = if arguments.contains(&"--at") { &[][..] } else { &at };
        let output = explain_reasons(&blocked, &[arguments, at].concat());
        let output = text(&output.stdout);
        assert!(output.contains(expected), "{arguments:?}: expected {expected}\n{output}");
    }
}

#[test]
fn a_list_of_plain_text_names_its_lines() {
    let rules = REASONS.replace("blocked.csv", "blocked.txt");
    let list = "# first\n\n+33199000001 # noted\n# second\n+33199000002";
    for list in [list.to_owned(), format!("{list}\n"), list.replace('\n', "\r\n")] {
        let (folder, settings) = program::folder(SETTINGS, &rules);
        std::fs::write(folder.path().join("blocked.txt"), &list).unwrap();
        for (from, line) in [("+33199000001", 3), ("+33199000002", 5)] {
            let at = ["--at", "2026-11-23 10:00", "--config", &settings];
            let output = run(&[&["explain", "--from", from][..], &at].concat());
            let output = text(&output.stdout);
            assert!(output.contains(&format!("blocked.txt line {line})")), "{list:?}: {output}");
        }
    }
}

#[test]
fn other_rules_stand_in_for_those_of_the_settings() {
    let (folder, settings) = program::folder(SETTINGS, "[[rule]]\nthis table is broken");
    let other = folder.path().join("other.toml");
    std::fs::write(&other, "[[rule]]\nname = \"other\"\nagent = \"agent_9\"\n").unwrap();
    let other = other.to_str().unwrap();
    let output = run(&["explain", "--config", &settings, "--rules", other]);
    assert!(text(&output.stdout).contains("agent_9"), "{}", text(&output.stderr));
    std::fs::write(other, "[[rule]]\n").unwrap();
    let output = run(&["explain", "--config", &settings, "--rules", other]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("other.toml has errors"), "{}", text(&output.stderr));
}

#[tokio::test]
async fn why_not_explains_a_rule_that_is_not_tried_and_suggests_a_name() {
    let query = "from=%2B12137771234&at=2026-11-20T20:00";
    let (status, explained) = explain_query(&format!("{query}&why_not=everyone")).await;
    assert_eq!(status, StatusCode::OK, "{explained}");
    let rules = explained["rules"].as_array().unwrap();
    let expected = json!({ "number": 6, "rule": "everyone", "verdict": "not_tried",
        "matches": true, "because": ["it has no conditions"] });
    assert_eq!(rules.last(), Some(&expected));
    assert_eq!(rules.len(), 4, "the tried rules, and the one that was asked about");
    let (_, all) = explain_query(&format!("{query}&all=true")).await;
    assert_eq!(all["rules"].as_array().unwrap().len(), 6, "{all}");

    let (status, unknown) = explain_query(&format!("{query}&why_not=evryone")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{unknown}");
    let output = explain(RULES, &["--why-not", "evryone"]);
    assert_eq!(output.status.code(), Some(2));
    let expected = "--why-not: the table has no rule `evryone`; did you mean `everyone`?";
    assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
}

#[test]
fn why_not_lists_a_rule_of_a_long_table_whose_numbers_do_not_match() {
    let rule = |number| {
        format!(
            "[[rule]]\nname = \"r{number}\"\nfrom = \"+1213777{number:04}\"\nagent = \"a{number}\"\n"
        )
    };
    let rules: String = (0..30).map(rule).collect();
    let output = text(&explain(&rules, &["--from", "+4930901820", "--why-not", "r7"]).stdout);
    assert!(output.contains("r7") && output.contains("29 rules not listed"), "{output}");
}

/// A call that did not arrive has neither the id nor the attributes that requests to an API need.
#[test]
fn the_effect_of_a_decision_is_explained_on_every_platform_with_an_api() {
    let rules = r#"
[agents]
desk = { pipecat = "bot", telnyx-call-control = "assistant-1", openai = { model = "m" }, openai-live = { model = "m" } }

[[rule]]
name = "everyone"
agent = "desk"
"#;
    for dialect in dialect::ALL.into_iter().filter(|dialect| dialect.api().is_some()) {
        let platform = dialect.platform().as_str();
        let settings = format!(
            "[sources.calls]\nplatform = \"{platform}\"\nsecrets = [\"env:SECRET\"]\napi_key = \
             \"env:KEY\"\nfallback = \"desk\"\n"
        );
        let (_folder, path) = program::folder(&settings, rules);
        let explained = |more: &[&str]| -> Value {
            let arguments = ["explain", "--json", "--config", &path, "--from", "+441632960123"];
            let output = run(&[&arguments, more].concat());
            serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)))
        };
        let effects = explained(&[])["effects"]["calls"].clone();
        assert_eq!(effects.as_array().map(Vec::len), Some(1), "{platform}: {effects}");
        if platform == "pipecat" {
            let settings = &effects[0]["body"]["body"]["dialin_settings"];
            assert_eq!(settings["call_id"], "CALL-ID");
            assert_eq!(settings["call_domain"], "CALL-DOMAIN");
            let given = explained(&["--attr", "call_domain=d1"]);
            let body = &given["effects"]["calls"][0]["body"]["body"];
            assert_eq!(body["dialin_settings"]["call_domain"], "d1");
        }
    }
}
