//! What is too large for a reply is left out of it, never cut, and it is counted and explained.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Map, Value, json};

use crate::support::app::{self, App, SETTINGS, app};

/// A Retell call with these SIP headers.
fn call(headers: &Map<String, Value>) -> String {
    let inner = json!({ "from_number": "+12137771234", "to_number": "+12137771235",
        "custom_sip_headers": headers });
    json!({ "event": "call_inbound", "call_inbound": inner }).to_string()
}

fn header(name: &str, bytes: usize) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), json!("b".repeat(bytes)))])
}

/// Returns `call_inbound` of the reply.
async fn reply(app: &App, headers: &Map<String, Value>) -> Value {
    let answer = app.retell(call(headers)).await;
    assert!(answer.body.len() < 200_000, "a reply of {} bytes", answer.body.len());
    answer.json()["call_inbound"].clone()
}

async fn count(app: &App, reason: &str) -> u64 {
    let metrics = app.metrics().await;
    let series =
        format!(r#"switchboard_values_left_out_total{{source="retell",reason="{reason}"}} "#);
    let value = metrics.split(&series).nth(1).expect("the series exists from the start");
    value.lines().next().unwrap().parse().unwrap()
}

/// Returns a rule whose variables or metadata contain `entries`.
fn rule(key: &str, entries: &str) -> String {
    format!("[[rule]]\nname = \"everyone\"\nagent = \"agent_1\"\n{key} = {{ {entries} }}\n")
}

#[tokio::test]
async fn a_value_of_the_call_is_sent_with_up_to_4096_bytes() {
    for key in ["variables", "metadata"] {
        let rules = rule(key, r#"long = "say ${sip.x-long|}", short = "${from}""#);
        for (bytes, is_sent) in [(4_096, true), (4_097, false), (60_000, false)] {
            let app = app(SETTINGS, &rules);
            let reply = reply(&app, &header("x-long", bytes)).await;
            let sent_as = if key == "variables" { "dynamic_variables" } else { "metadata" };
            let mut expected = json!({ "short": "+12137771234" });
            if is_sent {
                expected["long"] = json!(format!("say {}", "b".repeat(bytes)));
            }
            assert!(reply[sent_as] == expected, "{key} with {bytes} bytes");
            assert_eq!(count(&app, "value_too_long").await, u64::from(!is_sent), "{key} {bytes}");
        }
    }
}

#[tokio::test]
async fn a_value_filled_in_5000_times_makes_no_large_reply() {
    let text = "${sip.x-long|}".repeat(5_000);
    let rules = rule("variables", &format!(r#"long = "{text}", short = "${{from}}""#));
    let app = app(SETTINGS, &rules);
    let reply = reply(&app, &header("x-long", 4_000)).await;
    assert_eq!(reply["dynamic_variables"], json!({ "short": "+12137771234" }));
    assert_eq!(count(&app, "variables_too_large").await, 1);
}

#[tokio::test]
async fn variables_and_filled_texts_have_65536_bytes_of_room_each() {
    let entries: Vec<_> = (10..30).map(|at| format!("v{at} = \"${{sip.x-long|}}\"")).collect();
    for (key, reason) in [("variables", "variables_too_large"), ("metadata", "texts_too_large")] {
        let app = app(SETTINGS, &rule(key, &entries.join(", ")));
        // A variable takes its name, too: 16 of 20 fit, in the order of the rule.
        reply(&app, &header("x-long", 4_000)).await;
        assert_eq!(count(&app, reason).await, 4, "{key}");
    }
    // The variables of several rules share the room, and one that is replaced gives its room back.
    let first =
        rule("continue = true\nvariables", &entries.join(", ")).replacen("everyone", "1", 1);
    let first = first.replace("agent = \"agent_1\"\n", "");
    let second = rule("variables", r#"v10 = "new", more = "${sip.x-long|}", last = "x""#);
    let app = app(SETTINGS, &format!("{first}\n{second}"));
    let reply = reply(&app, &header("x-long", 4_000)).await;
    let variables = reply["dynamic_variables"].as_object().unwrap();
    assert_eq!(variables["v10"], "new");
    assert_eq!(variables["last"], "x");
    assert_eq!(variables["more"].as_str().map(str::len), Some(4_000));
    assert_eq!(count(&app, "variables_too_large").await, 4);
}

#[tokio::test]
async fn a_long_value_does_not_remove_what_an_earlier_rule_set() {
    let first =
        "[[rule]]\nname = \"default\"\ncontinue = true\nvariables = { tier = \"standard\" }\n";
    let second = rule("variables", r#"tier = "${sip.x-tier?}""#);
    let app = app(SETTINGS, &format!("{first}\n{second}"));
    let reply = reply(&app, &header("x-tier", 5_000)).await;
    assert_eq!(reply["dynamic_variables"], json!({ "tier": "standard" }));
}

#[tokio::test]
async fn texts_of_the_rule_table_are_not_limited_like_values_of_the_call() {
    let prompt = "p".repeat(40_000);
    let rules = rule("variables", &format!(r#"faq = "{prompt}""#))
        + &format!("agent_override = {{ retell_llm = {{ general_prompt = \"{prompt}\" }} }}\n");
    let app = app(SETTINGS, &rules);
    let reply = reply(&app, &Map::new()).await;
    assert!(reply["dynamic_variables"]["faq"] == json!(prompt));
    assert!(reply["agent_override"]["retell_llm"]["general_prompt"] == json!(prompt));
}

#[tokio::test]
async fn an_explanation_names_what_is_left_out() {
    let rules = rule("variables", r#"long = "${sip.x-long|}""#)
        + "metadata = { desk = { notes = [\"${sip.x-long|}\"] } }\n";
    let app = app(SETTINGS, &rules);
    let request = Request::builder().method(Method::POST).uri("/explain?source=retell");
    let body = call(&header("x-long", 5_000));
    let answer = app::answer(&app.admin, request.body(Body::from(body)).unwrap()).await;
    assert_eq!(
        answer.json()["left_out"],
        json!([
            { "name": "variables.long", "reason": "value_too_long" },
            { "name": "metadata.desk.notes", "reason": "value_too_long" },
        ]),
        "{}",
        answer.json()
    );
}
