//! Platforms that settings declare, and those of `config/platforms/`: requests in JSON, forms and queries, the
//! replies of each outcome, and the mistakes of a declaration.

use std::collections::HashMap;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use switchboard::authenticate::Outgoing;
use switchboard::diagnostics::Severity;
use switchboard::settings::Purpose;

use crate::rules::codes_of;
use crate::support::app::{App, NOW_MS, app_with, load_settings_with, parse_rules, root};
use crate::support::program::{program, text};
use crate::support::wait;

const KEY: &str = "generic-key-0123456789";
const CALLER: &str = "+441632960123";
const DIALLED: &str = "+15005550006";

/// The platforms of `config/platforms/`.
pub(crate) const PRESETS: [&str; 8] =
    ["assemblyai", "bolna", "fish", "jambonz", "millis", "signalwire", "turncall", "vogent"];

fn environment() -> HashMap<String, String> {
    [("KEY".to_owned(), KEY.to_owned())].into()
}

/// Settings of one source of a platform.
fn settings_of(platform: &str) -> String {
    let more = match platform {
        "jambonz" => "fallback = \"desk\"",
        "signalwire" => "fallback = \"desk\"\npublic_base_url = \"https://hooks.example.net\"",
        _ => "",
    };
    let secrets = match platform {
        "vogent" => "allow_from = [\"0.0.0.0/0\", \"::/0\"]",
        _ => "secrets = [\"env:KEY\"]",
    };
    format!("[sources.calls]\nplatform = \"{platform}\"\n{secrets}\n{more}\n")
}

/// Sends a request, signed as the source demands.
async fn send(app: &App, path: &str, body: &[u8]) -> (StatusCode, Value) {
    let source = &app.app.endpoint("calls").expect("a source").source;
    let is_query = source.dialect.sends_query();
    let (method, target, body) = match is_query {
        true => {
            let query = String::from_utf8(body.to_vec()).expect("text");
            (Method::GET, format!("{path}?{query}"), Vec::new())
        }
        false => (Method::POST, path.to_owned(), body.to_vec()),
    };
    let mut request =
        Request::builder().method(&method).uri(&target).body(Body::from(body.clone())).unwrap();
    let content_type = HeaderValue::from_static(source.dialect.request_content_type());
    request.headers_mut().insert(HeaderName::from_static("content-type"), content_type);
    let outgoing = Outgoing { method: &method, target: &target, body: &body };
    let now = Timestamp::from_millisecond(NOW_MS).expect("a time");
    let signed = source.policy.sign(&outgoing, now, request.headers_mut());
    assert!(signed.is_ok() || source.policy.has_second_factor(), "{signed:?}");
    let answer = app.send(request).await;
    let reply = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    (answer.status, reply)
}

/// Returns the reply to the documented request of a platform.
async fn reply(platform: &str, rules: &str) -> Value {
    let app = app_with(&settings_of(platform), rules, environment());
    let (status, reply) = send(&app, "/inbound/calls", documented(platform).as_bytes()).await;
    assert_eq!(status, StatusCode::OK, "{platform}: {reply}");
    reply
}

/// Reads a fixture of a platform of `config/platforms/`.
#[track_caller]
fn fixture(platform: &str, file: &str) -> Option<String> {
    let path = root().join("tests/fixtures/presets").join(platform).join(file);
    std::fs::read_to_string(path).ok()
}

/// The request of a platform, as it documents it.
#[track_caller]
fn documented(platform: &str) -> String {
    let body = fixture(platform, "request.json").or_else(|| fixture(platform, "request.query"));
    body.unwrap_or_else(|| panic!("no request of {platform}"))
}

/// Rules that decide the caller of the documented request, and add what the platform can express.
fn rules(outcome: &str, additions: &str) -> String {
    format!(
        r#"
        [agents]
        desk = {{ jambonz = "sip:desk@pbx.example", signalwire = "sip:desk@pbx.example", turncall = "a2" }}

        [[rule]]
        name = "caller"
        from = "{CALLER}"
        {outcome}
        {additions}
        "#
    )
}

const ADA: &str = "variables = { customer_name = \"Ada\" }";

#[tokio::test]
async fn each_platform_of_the_table_gets_its_documented_reply() {
    for platform in PRESETS {
        let rules = fixture(platform, "rules.toml").expect("rules");
        let expected = fixture(platform, "reply.json").expect("a reply");
        let expected: Value = serde_json::from_str(&expected).expect("JSON");
        assert_eq!(reply(platform, &rules).await, expected, "{platform}");
    }
    let turncall = rules("keep = true", ADA);
    let variables = json!({ "variables": { "customer_name": "Ada" } });
    assert_eq!(reply("turncall", &turncall).await, variables);
    let reject = rules("reject = \"busy\"", "");
    assert_eq!(reply("assemblyai", &reject).await, json!({ "reject": true }));
    let declined = json!([{ "verb": "sip:decline", "status": 486, "reason": "busy" }]);
    assert_eq!(reply("jambonz", &reject).await, declined);
}

#[tokio::test]
async fn a_platform_without_an_agent_of_its_own_gets_the_fallback_agent() {
    let keep = rules("keep = true", "");
    let dial = json!([{ "verb": "dial", "target": [
        { "type": "sip", "sipUri": "sip:desk@pbx.example" },
    ] }]);
    assert_eq!(reply("jambonz", &keep).await, dial);
}

#[tokio::test]
async fn rules_match_what_the_pointers_lead_to() {
    let by_id = "[[rule]]\nname = \"by id\"\nnumber_id = \"pn1\"\nkeep = true\nvariables = { by = \"id\" }\n";
    let expected = json!({ "call_agent_input": { "by": "id" }, "keywords": [] });
    assert_eq!(reply("vogent", by_id).await, expected);
    let by_header = "[agents]\ndesk = { jambonz = \"sip:desk@pbx.example\" }\n\n[[rule]]\nname = \"gold\"\n\
                     where = { \"sip.x-tier\" = \"gold\" }\nreject = true\n";
    assert_eq!(
        reply("jambonz", by_header).await,
        json!([{ "verb": "sip:decline", "status": 603 }])
    );
}

/// The encoded request of `send` is read as the documented one.
#[tokio::test]
async fn send_plays_each_platform() {
    for platform in PRESETS {
        let keep = rules("keep = true", "");
        let app = app_with(&settings_of(platform), &keep, environment());
        let dialect = app.app.endpoint("calls").expect("a source").source.dialect.clone();
        let (_, expected) = send(&app, "/inbound/calls", documented(platform).as_bytes()).await;
        let fields = switchboard::domain::call::Fields {
            from: switchboard::domain::party::Party::parse(Some(CALLER)).party,
            call_id: Some("another".into()),
            ..switchboard::domain::call::Fields::unknown(switchboard::domain::call::Channel::Call)
        };
        let encoded = dialect.encode_request(&fields);
        let (status, reply) = send(&app, "/inbound/calls", &encoded).await;
        assert_eq!((status, reply), (StatusCode::OK, expected), "{platform}");
        let metrics = app.metrics().await;
        let sample = r#"switchboard_rule_calls_total{rule="caller"} 2"#;
        assert!(metrics.contains(sample), "{platform}: {metrics}");
    }
}

#[tokio::test]
async fn a_request_that_asks_nothing_is_an_event() {
    let app = app_with(&settings_of("fish"), &rules("keep = true", ADA), environment());
    let event = json!({ "event": "call.ended", "call": { "twilio_call_sid": "CA00ff" } });
    let (status, reply) = send(&app, "/inbound/calls", event.to_string().as_bytes()).await;
    assert_eq!((status, reply), (StatusCode::OK, json!({})));
}

/// A declaration without `when` cannot tell events from calls, but their path does.
#[tokio::test]
async fn every_request_on_the_path_of_events_is_an_event_without_a_when() {
    let app = app_with(&settings_of("millis"), &rules("keep = true", ADA), environment());
    let (status, reply) = send(&app, "/events/calls", documented("millis").as_bytes()).await;
    assert_eq!((status, reply), (StatusCode::OK, json!({})));
}

/// Bolna and Millis send queries. A POST is not what they document, but it has the same query.
#[tokio::test]
async fn a_platform_of_queries_is_understood_by_post_too() {
    let app = app_with(&settings_of("bolna"), &rules("keep = true", ADA), environment());
    let source = &app.app.endpoint("calls").expect("a source").source;
    let target = format!("/inbound/calls?{}", documented("bolna"));
    let outgoing = Outgoing { method: &Method::POST, target: &target, body: b"" };
    let mut request = Request::post(&target).body(Body::empty()).unwrap();
    let now = Timestamp::from_millisecond(NOW_MS).expect("a time");
    source.policy.sign(&outgoing, now, request.headers_mut()).expect("a signature");
    let answer = app.send(request).await;
    assert_eq!(answer.status, StatusCode::OK);
    let reply: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(reply, json!({ "customer_name": "Ada" }), "the rule of the caller");
}

/// Bolna and Vogent do not send the called number.
#[test]
fn conditions_on_what_a_platform_never_sends_are_reported() {
    for (platform, help) in [
        ("bolna", "remove the condition, or accept calls of other platforms as well"),
        ("vogent", "compare the platform's id of the called number: `number_id`"),
    ] {
        let rules = format!(
            "[[rule]]\nname = \"store\"\nfrom = \"{CALLER}\"\nto = \"{DIALLED}\"\nkeep = true\n"
        );
        let (settings, report) =
            load_settings_with(&settings_of(platform), Purpose::Serve, environment());
        let settings = settings.unwrap_or_else(|| panic!("{report}"));
        let (_, report) = parse_rules("rules.toml", rules, &settings.check_context());
        let shown = report.to_string();
        let message = format!(
            "warning[unknown-fact]: rule `store` compares `to`, which source `calls` ({platform}) does not send"
        );
        assert!(shown.contains(&message) && shown.contains(help), "{shown}");
        assert!(!shown.contains("compares `from`"), "{shown}");
    }
}

/// The same holds for the scope of a file.
#[test]
fn a_scope_with_what_a_platform_never_sends_is_reported() {
    let rules = format!("[scope]\nto = \"{DIALLED}\"\n\n[[rule]]\nname = \"store\"\nkeep = true\n");
    let (settings, report) =
        load_settings_with(&settings_of("bolna"), Purpose::Serve, environment());
    let settings = settings.unwrap_or_else(|| panic!("{report}"));
    let (_, report) = parse_rules("rules.toml", rules, &settings.check_context());
    let shown = report.to_string();
    let message = "the scope compares `to`, which source `calls` (bolna) does not send";
    assert!(shown.contains(message), "{shown}");
}

/// An explanation decides as the service does, without what the source never sends.
#[test]
fn an_explanation_leaves_out_what_the_source_never_sends() {
    let folder = tempfile::tempdir().unwrap();
    let rules = format!(
        "[[rule]]\nname = \"store\"\nto = \"{DIALLED}\"\nkeep = true\n\n\
         [[rule]]\nname = \"caller\"\nfrom = \"{CALLER}\"\nkeep = true\n"
    );
    let settings = format!("{}\n[rules]\npath = \"rules.toml\"\n", settings_of("bolna"));
    std::fs::write(folder.path().join("switchboard.toml"), settings).unwrap();
    std::fs::write(folder.path().join("rules.toml"), rules).unwrap();
    let mut command = program();
    command.current_dir(folder.path()).envs(environment());
    command.args(["explain", "--from", CALLER, "--to", DIALLED]);
    let output = wait::output(&mut command);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{shown}{}", text(&output.stderr));
    assert!(shown.contains("source calls (bolna) never sends to: decided without"), "{shown}");
    assert!(shown.contains("by rule `caller`"), "{shown}");
}

/// A platform of one's own, with everything that a declaration can say.
const NOVA: &str = r#"
[platforms.nova]
request = "form"
probe = { pointer = "/Test", equals = ["test", "ping"] }
from = ["/Caller", "/From"]
to = "/To"
call_id = "/CallSid"
attributes = { city = "/FromCity" }
timeout_ms = 5000
reply_within_ms = 1500

[platforms.nova.signature]
kind = "hmac"
signature_header = "x-nova-signature"
message = "{body}"

[platforms.nova.reply]
agent = '{ "agent": "$agent", "greeting": "$say", "vars": "$variables", "meta": "$metadata" }'
keep = '{ "vars": "$variables" }'
reject = '{ "hangup": { "code": "$sip_status", "why": "call of rule: $reason", "say": "$say" } }'
transfer = '{ "forward": "$target" }'
empty = "drop"

[platforms.nova.variables]
form = "list"
max = 2
max_chars = 5
reserved = ["nova_"]

[sources.calls]
platform = "nova"
secrets = ["env:KEY"]
"#;

async fn nova(rules: &str, form: &str) -> Value {
    let app = app_with(NOVA, rules, environment());
    let (status, reply) = send(&app, "/inbound/calls", form.as_bytes()).await;
    assert_eq!(status, StatusCode::OK, "{reply}");
    reply
}

const FORM: &str = "From=%2B441632960123&Caller=&To=%2B15005550006&CallSid=c1&FromCity=London";

#[tokio::test]
async fn a_platform_of_ones_own_is_declared_in_settings() {
    let london = r#"
        [agents]
        desk = { nova = "agent-7" }

        [[rule]]
        name = "london"
        where = { "attr.city" = "London" }
        agent = "desk"
        say = "Hi from ${attr.city|afar}"
        variables = { a = "1", city = "${attr.city|x}" }
        metadata = { rule = "${rule}" }
    "#;
    let expected = json!({
        "agent": "agent-7", "greeting": "Hi from London",
        "vars": [{ "name": "a", "value": "1" }],
        "meta": { "rule": "london" },
    });
    // "London" has more than five characters, and an attribute is only known with the call.
    assert_eq!(nova(london, FORM).await, expected);
    let reject = "[[rule]]\nname = \"r\"\nreject = \"busy\"\nsay = \"Closed.\"\n";
    let expected =
        json!({ "hangup": { "code": 486, "why": "call of rule: busy", "say": "Closed." } });
    assert_eq!(nova(reject, FORM).await, expected);
    let transfer = "[[rule]]\nname = \"t\"\ntransfer = \"+15005550010\"\n";
    assert_eq!(nova(transfer, FORM).await, json!({ "forward": "+15005550010" }));
    let keep = "[[rule]]\nname = \"k\"\nkeep = true\n";
    assert_eq!(nova(keep, FORM).await, json!({}));
    assert_eq!(nova(transfer, "Test=ping").await, json!({}), "a probe");
}

/// Variables beyond the limits of a platform are reported, all at once, and never sent.
#[tokio::test]
async fn variables_beyond_the_limits_are_reported_and_left_out() {
    let limits = "max = 2\nmax_chars = 5\nreserved = [\"nova_\"]";
    assert!(NOVA.contains(limits));
    let declared = NOVA
        .replace(limits, "max = 5\nmax_chars = 5\nreserved = [\"nova_\"]\nnames = \"identifiers\"");
    let variables =
        |names: &str| format!("[[rule]]\nname = \"k\"\nkeep = true\nvariables = {{ {names} }}\n");
    let beyond =
        "ok = \"1\", nova_a = \"1\", a-b = \"1\", long = \"123456\", part = \"12345${from?}6\"";
    let (settings, report) = load_settings_with(&declared, Purpose::Serve, environment());
    let settings = settings.unwrap_or_else(|| panic!("{report}"));
    let (_, report) = parse_rules("rules.toml", variables(beyond), &settings.check_context());
    let shown = report.to_string();
    for problem in [
        "the variable `nova_a` has a name that is not accepted at source `calls` (nova)",
        "the variable `a-b` has a name that is not accepted at source `calls` (nova)",
        "the variable `long` has at least 6 characters, and 5 is the maximum at source `calls` (nova)",
        "the variable `part` has at least 6 characters, and 5 is the maximum at source `calls` (nova)",
    ] {
        assert!(shown.contains(problem), "{problem}: {shown}");
    }
    let errors = codes_of(&report).into_iter().filter(|code| *code == "unsupported-variable");
    assert_eq!(errors.count(), 4, "{shown}");
}

#[test]
fn each_mistake_of_a_declaration_is_reported_with_its_place() {
    for (from, to, code, message) in [
        (
            "from = [\"/Caller\", \"/From\"]",
            "from = \"$.call.from\"",
            "bad-value",
            "`$.call.from` is not a pointer",
        ),
        (
            "from = [\"/Caller\", \"/From\"]",
            "from = \"/a/b\"",
            "bad-value",
            "a form or a query has no fields inside fields",
        ),
        ("\"$target\"", "\"$traget\"", "bad-value", "there is no value `$traget`"),
        ("{ \"forward\": \"$target\" }", "{ forward: $target }", "bad-value", "it is not JSON"),
        ("request = \"form\"", "request = \"xml\"", "bad-value", "cannot be `xml`"),
        ("form = \"list\"", "form = \"array\"", "bad-value", "cannot be `array`"),
        (
            "equals = [\"test\", \"ping\"]",
            "equal = \"test\"",
            "unknown-key",
            "unknown key `platforms.nova.probe.equal`",
        ),
        ("platforms.nova", "platforms.Nova", "bad-value", "cannot be the name of a platform"),
        ("platforms.nova", "platforms.retell", "bad-value", "is a platform that Switchboard knows"),
        (
            "platform = \"nova\"",
            "platform = \"novva\"",
            "unknown-platform",
            "unknown platform `novva`",
        ),
        ("message = \"{body}\"", "message = \"{bdoy}\"", "bad-value", "{bdoy}"),
        ("keep = '{ \"vars\": \"$variables\" }'", "keep = '$variables'", "bad-value", "not JSON"),
        ("{ \"vars\": \"$variables\" }", "[\"$agent\"]", "bad-value", "`$agent` has no value"),
        ("$reason", "$target", "bad-value", "`$target` has no value in this outcome"),
        ("$target", "$reason", "bad-value", "`$reason` has no value in this outcome"),
        ("\"$target\"", "\"elsewhere\"", "bad-value", "does not contain `$target`"),
        ("\"$agent\",", "\"a\",", "bad-value", "does not contain `$agent`"),
    ] {
        assert!(NOVA.contains(from), "{from}");
        let text = NOVA.replace(from, to);
        let (settings, report) = load_settings_with(&text, Purpose::Serve, environment());
        assert!(settings.is_none(), "{to} is accepted");
        let shown = report.to_string();
        assert!(shown.contains(message), "{to}: {shown}");
        let errors = report.diagnostics().iter().filter(|one| one.severity == Severity::Error);
        let codes = codes_of(&report);
        assert!(codes.contains(&code), "{to}: {shown}");
        // The platform has templates for every call, although one of them is invalid.
        assert!(!codes.contains(&"no-fallback-agent"), "{to}: {shown}");
        let has_help = errors.clone().all(|error| error.help.is_some());
        assert!(has_help, "{to}: {shown}");
    }
}

/// A platform on which calls can only be rejected or transferred has no reply to the other calls.
#[test]
fn a_declaration_has_a_reply_for_every_call() {
    let lines =
        NOVA.lines().filter(|line| !line.starts_with("keep =") && !line.starts_with("agent ="));
    let text: Vec<_> = lines.collect();
    let (settings, report) = load_settings_with(&text.join("\n"), Purpose::Serve, environment());
    assert!(settings.is_none());
    let shown = report.to_string();
    assert_eq!(codes_of(&report), ["missing-key"], "{shown}");
    assert!(shown.contains("`platforms.nova.reply` needs `keep` or `agent`"), "{shown}");
}

#[test]
fn the_reply_deadline_leaves_time_before_the_timeout() {
    for (timeout, own, expected, late) in [
        ("timeout_ms = 800", "", 480, false),
        ("timeout_ms = 5000", "", 3000, false),
        ("timeout_ms = 60000", "", 3000, false),
        ("", "", 3000, false),
        ("timeout_ms = 1", "", 1, false),
        ("timeout_ms = 800", "reply_within_ms = 700", 700, false),
        ("timeout_ms = 800", "reply_within_ms = 900", 900, true),
    ] {
        let text = NOVA.replace("timeout_ms = 5000", timeout);
        let text = text.replace("reply_within_ms = 1500", own);
        let (settings, report) = load_settings_with(&text, Purpose::Serve, environment());
        let settings = settings.unwrap_or_else(|| panic!("{report}"));
        let found = settings.sources[0].reply_within.as_millis();
        assert_eq!(found, expected, "{timeout} {own}");
        let shown = report.to_string();
        let is_late = shown.contains(
            "warning[late-reply]: `platforms.nova.reply_within_ms`: nova stops waiting after 800 ms",
        );
        assert_eq!(is_late, late, "{timeout} {own}: {shown}");
        assert_eq!(codes_of(&report).contains(&"late-reply"), late, "{timeout} {own}: {shown}");
    }
}

/// A source's own deadline is compared as well, and the advice leads to one in time.
#[test]
fn a_late_deadline_of_a_source_names_its_key() {
    let text = format!("{}reply_within_ms = 900\n", NOVA.replace("5000", "800"));
    let (_, report) = load_settings_with(&text, Purpose::Serve, environment());
    let shown = report.to_string();
    assert!(shown.contains("`sources.calls.reply_within_ms`: nova stops waiting"), "{shown}");
    assert!(shown.contains("write less than 800"), "{shown}");
}

/// Returns the codes about additions of a table for the source of a platform.
fn codes_of_rules(settings: &str, rules: &str) -> Vec<String> {
    let (settings, report) = load_settings_with(settings, Purpose::Serve, environment());
    let settings = settings.unwrap_or_else(|| panic!("{report}"));
    let (_, report) = parse_rules("rules.toml", rules.to_owned(), &settings.check_context());
    let codes = codes_of(&report).into_iter().filter(|code| code.ends_with("-addition"));
    codes.map(str::to_owned).collect()
}

#[test]
fn additions_are_compared_with_the_template_of_the_outcome() {
    let lost = ["unsupported-addition"];
    let say = "say = \"Hello.\"";
    let keep = |additions: &str| rules("keep = true", additions);
    let assemblyai = settings_of("assemblyai");
    assert!(codes_of_rules(&assemblyai, &keep(say)).is_empty());
    assert_eq!(codes_of_rules(&assemblyai, &rules("reject = true", say)), lost);
    assert_eq!(codes_of_rules(&assemblyai, &keep("metadata = { a = \"b\" }")), lost);
    // The templates of NOVA have `$say` and `$metadata` for agents alone.
    let nova = |rules: &str| codes_of_rules(NOVA, &rules.replace("jambonz =", "nova ="));
    assert_eq!(nova(&keep(say)), lost);
    assert_eq!(nova(&keep("metadata = { a = \"b\" }")), lost);
    assert!(nova(&keep("variables = { a = \"b\" }")).is_empty());
    let agent = rules("agent = \"desk\"", &format!("{say}\nmetadata = {{ a = \"b\" }}"));
    assert!(nova(&agent).is_empty());
}

/// An agent's reply has no place for what the other replies carry.
#[test]
fn variables_and_sip_headers_are_compared_with_the_template_of_the_outcome() {
    let lost = ["unsupported-addition"];
    let headers = "sip_headers = { X-Tier = \"gold\" }";
    let keep = rules("keep = true", ADA);
    let agent = |additions: &str| rules("agent = \"desk\"", additions);
    let transfer = |additions: &str| rules("transfer = \"+15005550010\"", additions);
    let codes_with = |templates: &str, rules: &str| {
        let declared = format!(
            "[platforms.plain]\nfrom = \"/from\"\nsignature = {{ kind = \"bearer\" }}\n\n\
             [platforms.plain.reply]\n{templates}\n\n{}url_token = \"env:KEY\"\n",
            settings_of("plain")
        );
        codes_of_rules(&declared, &rules.replace("jambonz =", "plain ="))
    };
    let kept = "agent = '{ \"a\": \"$agent\" }'\nkeep = '{ \"v\": \"$variables\" }'";
    assert!(codes_with(kept, &keep).is_empty());
    assert_eq!(codes_with(kept, &agent(ADA)), lost);
    let of_agent = "agent = '{ \"a\": \"$agent\", \"h\": \"$sip_headers\" }'\n\
                    keep = '{}'\ntransfer = '{ \"t\": \"$target\" }'";
    assert!(codes_with(of_agent, &agent(headers)).is_empty());
    assert_eq!(codes_with(of_agent, &transfer(headers)), lost);
    let of_transfer = "agent = '{ \"a\": \"$agent\" }'\n\
                       keep = '{}'\ntransfer = '{ \"t\": \"$target\", \"h\": \"$sip_headers\" }'";
    assert_eq!(codes_with(of_transfer, &agent(headers)), lost);
    assert!(codes_with(of_transfer, &transfer(headers)).is_empty());
}

/// Settings of a platform that sends queries, with this signature.
fn query_settings(signature: &str) -> String {
    format!(
        "{}public_base_url = \"https://hooks.example.net\"\nsignature = {{ {signature} }}\n",
        settings_of("millis")
    )
}

const HEADERS: &str = "signature_header = \"x-sig\", timestamp_header = \"x-time\"";

#[test]
fn a_signature_must_cover_the_query_that_has_the_call() {
    for (signature, codes) in [
        (
            format!("kind = \"hmac\", {HEADERS}, message = \"{{timestamp}}.{{body}}\""),
            &["unsigned-query"][..],
        ),
        ("kind = \"standard_webhooks\"".to_owned(), &["unsigned-query"]),
        (
            "all = [{ kind = \"url_token\", secrets = [\"env:KEY\"] }, { kind = \"retell\" }]"
                .to_owned(),
            &["unsigned-query"],
        ),
        (format!("kind = \"hmac\", {HEADERS}, message = \"{{timestamp}}.{{query}}\""), &[]),
        (format!("kind = \"hmac\", {HEADERS}, message = \"{{timestamp}}.{{url}}{{body}}\""), &[]),
        // It has no time, and others prove the sender alone.
        ("kind = \"twilio\"".to_owned(), &["one-factor"]),
        ("kind = \"bearer\"".to_owned(), &["one-factor"]),
    ] {
        let (_, report) =
            load_settings_with(&query_settings(&signature), Purpose::Serve, environment());
        assert_eq!(codes_of(&report), codes, "{signature}: {report}");
    }
    // A second factor does not make a query the one that was sent; without a signature there is none to lack.
    let by_body = query_settings("kind = \"retell\"");
    for (more, expected) in [
        ("allow_from = \"192.0.2.1\"", true),
        ("allow_from = \"192.0.2.1\"\nauth = \"off\"", false),
    ] {
        let text = by_body.replace("signature =", &format!("{more}\nsignature ="));
        let (_, report) = load_settings_with(&text, Purpose::Serve, environment());
        assert_eq!(codes_of(&report).contains(&"unsigned-query"), expected, "{report}");
    }
}

#[tokio::test]
async fn a_captured_signature_is_not_valid_for_another_query() {
    let signature = format!("kind = \"hmac\", {HEADERS}, message = \"{{timestamp}}.{{query}}\"");
    let app = app_with(&query_settings(&signature), &rules("keep = true", ADA), environment());
    let source = &app.app.endpoint("calls").expect("a source").source;
    let target = format!("/inbound/calls?{}", documented("millis"));
    let outgoing = Outgoing { method: &Method::GET, target: &target, body: b"" };
    let now = Timestamp::from_millisecond(NOW_MS).expect("a time");
    for (sent, status) in
        [(target.clone(), StatusCode::OK), (format!("{target}&x=1"), StatusCode::UNAUTHORIZED)]
    {
        let mut request = Request::get(&sent).body(Body::empty()).unwrap();
        source.policy.sign(&outgoing, now, request.headers_mut()).expect("a signature");
        assert_eq!(app.send(request).await.status, status, "{sent}");
    }
}

#[test]
fn each_file_of_platforms_is_a_preset() {
    let folder = root().join("config/platforms");
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let names: Vec<_> =
        names.iter().map(|path| path.file_stem().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, PRESETS);
    for platform in PRESETS {
        let settings = settings_of(platform);
        let (settings, report) = load_settings_with(&settings, Purpose::Serve, environment());
        assert!(settings.is_some(), "{platform}: {report}");
    }
}

/// Runs `send --curl` with these settings, and returns the command that it prints.
fn curl(settings: &str, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("switchboard.toml"), settings).unwrap();
    let mut command = program();
    command.current_dir(folder.path()).envs(environment());
    let output = wait::output(command.args(["send", "--curl"]).args(arguments));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn send_plays_what_a_platform_sends_besides_the_numbers() {
    let sent = curl(&settings_of("vogent"), &["--number-id", "pn1"]);
    assert!(sent.contains(r#""dest_number_id":"pn1""#), "{sent}");
    let sent = curl(NOVA, &["--attr", "city=London"]);
    assert!(sent.contains("FromCity=London"), "{sent}");
    let sent = curl(&settings_of("bolna"), &[]);
    assert!(sent.contains("/inbound/calls?contact_number=%2B12137771234"), "{sent}");
    assert!(sent.contains("authorization: Bearer"), "{sent}");
}

#[test]
fn send_signs_events_as_the_platform_does() {
    let settings = "[sources.el]\nplatform = \"elevenlabs\"\nsecrets = [\"env:KEY\"]\nevents_secrets = \
                    [\"env:KEY\"]\nallow_from = [\"127.0.0.1\"]\n";
    let url = |path: &str| format!("http://127.0.0.1:8080/{path}/el");
    let event = curl(settings, &["--url", &url("events")]);
    let call = curl(settings, &["--url", &url("inbound")]);
    assert!(event.contains("elevenlabs-signature: t="), "{event}");
    assert!(!call.contains("elevenlabs-signature"), "{call}");
}

#[test]
fn records_can_find_the_numbers_of_a_form() {
    let app = app_with(NOVA, &rules("keep = true", ""), environment());
    let dialect = app.app.endpoint("calls").expect("a source").source.dialect.clone();
    let stored = dialect.redact_body(b"Caller=%2B1%20212%20555%201234&x=%28212%29+555-1234");
    let stored: Value = serde_json::from_slice(&stored).expect("JSON");
    assert_eq!(stored, json!({ "Caller": "+1 212 555 1234", "x": "(212) 555-1234" }));
}
