//! Effects: requests to a platform's API after the reply, against a stand-in that acknowledges, refuses, fails
//! for a while, hangs, or answers 200 without acting.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use switchboard::domain::clock::Clock;
use switchboard::effects;
use switchboard::http::public;
use switchboard::pipeline::Switchboard;
use switchboard::records::{EventRecord, Filter, Order, PageCursor};
use switchboard::settings::{NumberStorage, Purpose, RecordsLocation, RecordsSettings, Wait};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::app::{NOW_MS, answer, load_settings_with, parse_rules, post, signed_headers};
use crate::support::stand_in::{Manner, StandIn, response};
use crate::support::wait;

const KEY: &str = "sk_0123456789abcdef";
const SECRET: &str = "whsec_b3BlbmFpLXZlY3Rvci1zZWNyZXQtMzItYnl0ZXMtb2s=";

const RULES: &str = r#"
[agents.desk.openai]
model = "gpt-realtime-2.1"
instructions = "You answer for ACME. The caller is {{name}}."
audio = { output = { voice = "marin" } }

[agents.desk]
telnyx-call-control = "assistant-ex1"
pipecat = "front-desk-agent"

[[rule]]
name = "busy"
from = "+1312*"
reject = " Busy"
unsupported = "keep"

[[rule]]
name = "everyone"
agent = "desk"
variables = { name = "Ada" }
"#;

/// Keys of a source that authenticates nobody.
const NOBODY: &str = r#"auth = "off"
            allow_from = ["0.0.0.0/0", "::/0"]"#;

/// A service with one source whose decisions are requests to an API.
struct Service {
    app: Arc<Switchboard>,
    router: Router,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Service {
    /// Starts a service that authenticates nobody.
    fn start(platform: &str, api: &StandIn) -> Service {
        Service::start_with(platform, NOBODY, api)
    }

    /// Starts a service whose source has these keys of authentication.
    fn start_with(platform: &str, access: &str, api: &StandIn) -> Service {
        Service::start_with_rules(platform, access, RULES, api)
    }

    fn start_with_rules(platform: &str, access: &str, rules: &str, api: &StandIn) -> Service {
        let settings = format!(
            r#"
            [sources.calls]
            platform = "{platform}"
            {access}
            api_key = "env:API_KEY"
            api_url = "{}"
            fallback = "desk"
            "#,
            api.url("/v1")
        );
        let environment = [("API_KEY", KEY), ("SECRET", SECRET)];
        let environment =
            environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let (settings, report) = load_settings_with(&settings, Purpose::Serve, environment);
        let settings = settings.unwrap_or_else(|| panic!("{report}"));
        let (table, report) =
            parse_rules("rules.toml", rules.to_owned(), &settings.check_context());
        let table = table.unwrap_or_else(|| panic!("{report}"));
        let records = RecordsSettings {
            location: RecordsLocation::Memory,
            retain: Duration::from_secs(3600),
            numbers: NumberStorage::Full,
            wait: Wait::Commit,
            stamp: false,
            lookups: false,
        };
        let clock = Clock::Fixed(Timestamp::from_millisecond(NOW_MS).expect("a time"));
        let (app, writer) = Switchboard::with_records(settings.sources, table, clock, records);
        let (app, stop) = (Arc::new(app), CancellationToken::new());
        tokio::spawn(writer.expect("records are on").run(CancellationToken::new()));
        let running = tokio::spawn(effects::run(app.clone(), stop.clone()));
        Service { router: public::router(app.clone(), &settings.server), app, stop, running }
    }

    async fn send(&self, body: &Value) {
        let sent = answer(&self.router, post("/inbound/calls", body.to_string().as_bytes())).await;
        assert_eq!((sent.status, &*sent.body), (StatusCode::OK, b"{}".as_slice()));
    }

    /// Waits until the records have this many effects.
    async fn effects(&self, count: usize) -> Vec<EventRecord> {
        let mut found = Vec::new();
        let arrived = wait::until_async(async || {
            let store = self.app.recorder().health().and_then(|health| health.store());
            let Some(store) = store else { return false };
            let page = PageCursor { limit: 10, order: Order::OldestFirst, beyond: None };
            let calls = store.calls(&Filter::default(), page).await;
            found.clear();
            for call in calls.expect("a readable store") {
                found.extend(store.events_of(&call).await.expect("a readable store"));
            }
            found.len() >= count
        });
        assert!(arrived.await, "{found:?}");
        found
    }
}

/// A call in the Realtime API.
fn openai_call(id: &str, from: &str) -> Value {
    json!({
        "object": "event", "type": "realtime.call.incoming", "created_at": NOW_MS / 1000,
        "data": { "call_id": id, "sip_headers": [
            { "name": "From", "value": format!("\"Ada\" <sip:{from}@carrier.example>;tag=1") },
            { "name": "To", "value": "<sip:+15005550006@sip.api.openai.com>" },
        ] },
    })
}

/// Splits a recorded request into its first line, its headers and its JSON body.
fn parts(request: &str) -> (&str, &str, Value) {
    let (head, body) = request.split_once("\r\n\r\n").expect("a head and a body");
    let (line, headers) = head.split_once("\r\n").expect("headers");
    (line, headers, serde_json::from_str(body).expect("JSON"))
}

#[tokio::test]
async fn a_call_is_accepted_after_the_reply_and_the_record_says_so() {
    let api = StandIn::json(json!({})).await;
    let service = Service::start("openai", &api);
    service.send(&openai_call("rtc_1", "+441632960123")).await;
    let [effect] = &service.effects(1).await[..] else { panic!("not one effect") };
    assert_eq!((&*effect.kind, effect.call.is_some()), ("effect.accept", true));
    assert_eq!(effect.columns["status"], "acknowledged");
    let [request] = &api.requests().await[..] else { panic!("not one request") };
    let (line, headers, body) = parts(request);
    assert_eq!(line, "POST /v1/realtime/calls/rtc_1/accept HTTP/1.1");
    assert!(headers.contains(&format!("authorization: Bearer {KEY}")), "{headers}");
    assert!(headers.contains("idempotency-key: rtc_1-accept"), "{headers}");
    let expected = json!({
        "type": "realtime", "model": "gpt-realtime-2.1",
        "instructions": "You answer for ACME. The caller is Ada.",
        "audio": { "output": { "voice": "marin" } },
    });
    assert_eq!(body, expected);
    let recorded: Value = serde_json::from_str(&effect.body).expect("JSON");
    assert_eq!((&recorded["status"], &recorded["attempts"]), (&json!(200), &json!(1)));
    assert!(!effect.body.contains(KEY), "{}", effect.body);
}

#[tokio::test]
async fn a_rejection_carries_its_status_and_a_repeated_webhook_acts_once() {
    let api = StandIn::json(json!({})).await;
    let service = Service::start("openai", &api);
    for _ in 0..3 {
        service.send(&openai_call("rtc_1", "+13125550177")).await;
    }
    service.effects(1).await;
    // Effects are sent in the order of their calls, so a second one of the first call would be there.
    service.send(&openai_call("rtc_2", "+13125550177")).await;
    service.effects(2).await;
    let requests = api.requests().await;
    let lines: Vec<_> = requests.iter().map(|request| parts(request).0).collect();
    let path = |id| format!("POST /v1/realtime/calls/{id}/reject HTTP/1.1");
    assert_eq!(lines, [path("rtc_1"), path("rtc_2")]);
    assert_eq!(parts(&requests[0]).2, json!({ "status_code": 486 }));
}

/// The platform reports one call in several webhooks: under its old and its new name, and by another event.
#[tokio::test]
async fn one_call_is_acted_on_once_whatever_else_differs() {
    let mut later = openai_call("rtc_1", "+441632960123");
    later["created_at"] = json!(NOW_MS / 1000 + 1);
    let headers = later["data"]["sip_headers"].as_array_mut().expect("headers");
    headers.push(json!({ "name": "X-Hop", "value": "2" }));
    let live = |kind: &str, created_at: i64| {
        json!({
            "object": "event", "type": kind, "created_at": created_at,
            "data": { "session_id": "live_1", "sip_headers": [] },
        })
    };
    let telnyx = |event_id: &str| {
        json!({ "data": {
            "event_type": "call.initiated", "id": event_id,
            "payload": {
                "call_control_id": "v3:ex", "from": "+441632960123", "to": "+15005550006",
                "direction": "incoming", "state": "parked",
            },
        } })
    };
    let (created, next) = (NOW_MS / 1000, NOW_MS / 1000 + 1);
    for (platform, deliveries) in [
        ("openai", [openai_call("rtc_1", "+441632960123"), later]),
        (
            "openai-live",
            [live("live.transport.incoming", created), live("live.call.incoming", next)],
        ),
        ("telnyx-call-control", [telnyx("event-1"), telnyx("event-2")]),
    ] {
        let api = StandIn::json(json!({})).await;
        let rules = RULES.replace(
            ".openai]",
            &format!(".{}]", platform.replace("telnyx-call-control", "openai")),
        );
        let service = Service::start_with_rules(platform, NOBODY, &rules, &api);
        for delivery in &deliveries {
            service.send(delivery).await;
        }
        service.stop.cancel();
        wait::within_deadline("the effects end", service.running).await.expect("no panic");
        assert_eq!(api.requests().await.len(), 1, "{platform}");
    }
}

/// The first attempt may have answered the call, so that the refusal of the second is no failure of the call.
#[tokio::test]
async fn a_refusal_after_an_attempt_that_may_have_acted_says_so() {
    for (first, expected) in
        [(500, "status 409; an earlier attempt may have been carried out"), (503, "status 409")]
    {
        let answers = vec![response(first, ""), response(409, "")];
        let api = StandIn::start(Manner::InOrder(answers)).await;
        let service = Service::start("openai", &api);
        service.send(&openai_call("rtc_1", "+441632960123")).await;
        let effects = service.effects(1).await;
        assert_eq!(effects[0].columns["status"], "refused", "{first}");
        assert_eq!(effects[0].columns["end_reason"], expected);
        let recorded: Value = serde_json::from_str(&effects[0].body).expect("JSON");
        assert_eq!(recorded["problem"], expected);
    }
}

#[tokio::test]
async fn a_temporary_failure_is_tried_again_with_the_same_key() {
    let answers = vec![response(503, ""), response(429, ""), response(200, "{}")];
    let api = StandIn::start(Manner::InOrder(answers)).await;
    let service = Service::start("openai", &api);
    service.send(&openai_call("rtc_1", "+441632960123")).await;
    let effects = service.effects(1).await;
    let recorded: Value = serde_json::from_str(&effects[0].body).expect("JSON");
    assert_eq!(effects[0].columns["status"], "acknowledged");
    assert_eq!(recorded["attempts"], 3);
    let requests = api.requests().await;
    assert_eq!(requests.len(), 3);
    let repeats_exactly = requests.iter().all(|request| *request == requests[0]);
    assert!(repeats_exactly, "{requests:?}");
}

#[tokio::test]
async fn a_refusal_is_final_and_counted() {
    let api = StandIn::start(Manner::Bytes(response(404, "{}"))).await;
    let service = Service::start("openai", &api);
    service.send(&openai_call("rtc_1", "+441632960123")).await;
    let effects = service.effects(1).await;
    assert_eq!(effects[0].columns["status"], "refused");
    assert_eq!(effects[0].columns["end_reason"], "status 404");
    assert_eq!(api.requests().await.len(), 1);
    let metrics = service.app.counters().to_text();
    let sample = r#"switchboard_effects_total{source="calls",action="accept",result="refused"} 1"#;
    assert!(metrics.contains(sample), "{metrics}");
    assert!(metrics.contains(r#"switchboard_effect_seconds_count{source="calls"} 1"#), "{metrics}");
}

/// Anyone can send a request that only observe mode lets in, and must not act with the account's key.
#[tokio::test]
async fn a_request_that_is_not_authenticated_has_no_effect() {
    let api = StandIn::json(json!({})).await;
    let observe = "auth = \"observe\"\nsecrets = [\"env:SECRET\"]";
    let service = Service::start_with("openai", observe, &api);
    service.send(&openai_call("rtc_1", "+441632960123")).await;
    let [effect] = &service.effects(1).await[..] else { panic!("not one effect") };
    assert_eq!(effect.columns["status"], "failed");
    assert_eq!(effect.columns["end_reason"], "not sent: the request was not authenticated");
    let metrics = service.app.counters().to_text();
    let sample = r#"switchboard_effects_total{source="calls",action="accept",result="failed"} 1"#;
    assert!(metrics.contains(sample), "{metrics}");
    // What was never sent took no time.
    assert!(!metrics.contains("switchboard_effect_seconds_count"), "{metrics}");

    // The call itself, signed, is carried out: the first request decided nothing for it.
    let body = openai_call("rtc_1", "+441632960123").to_string();
    let policy = &service.app.endpoint("calls").expect("a source").source.policy;
    let dialect = switchboard::dialect::by_name("openai").expect("a platform");
    let target = "/inbound/calls";
    let headers = signed_headers(dialect, policy, &Method::POST, target, body.as_bytes());
    let mut request = post(target, body.as_bytes());
    *request.headers_mut() = headers;
    assert_eq!(answer(&service.router, request).await.status, StatusCode::OK);
    service.effects(2).await;
    assert_eq!(api.requests().await.len(), 1);
}

#[tokio::test]
async fn nothing_is_sent_about_a_call_whose_id_is_no_segment_of_a_path() {
    let api = StandIn::json(json!({})).await;
    let service = Service::start("openai", &api);
    for id in [".", "..", "", "rtc_1/../2"] {
        service.send(&openai_call(id, "+441632960123")).await;
    }
    service.effects(4).await;
    let requests = api.requests().await;
    let lines: Vec<_> = requests.iter().map(|request| parts(request).0).collect();
    assert_eq!(lines, ["POST /v1/realtime/calls/rtc_1%2F..%2F2/accept HTTP/1.1"]);
}

#[tokio::test]
async fn attempts_go_on_until_the_deadline() {
    let api = StandIn::start(Manner::Bytes(response(503, ""))).await;
    let service = Service::start("openai", &api);
    service.send(&openai_call("rtc_1", "+441632960123")).await;
    let effects = service.effects(1).await;
    assert_eq!(effects[0].columns["status"], "late");
    assert_eq!(effects[0].columns["end_reason"], "status 503");
    let recorded: Value = serde_json::from_str(&effects[0].body).expect("JSON");
    // The last pause is at most 0.5 s of the 5 s.
    assert!(recorded["took_ms"].as_u64().expect("a number") > 4_000, "{recorded}");
}

#[tokio::test]
async fn an_api_that_hangs_costs_the_reply_nothing() {
    let api = StandIn::start(Manner::Hang).await;
    let service = Service::start("openai", &api);
    // The reply is there although the API never answers.
    service.send(&openai_call("rtc_1", "+441632960123")).await;
    let effects = service.effects(1).await;
    assert_eq!(effects[0].columns["status"], "late");
    assert_eq!(effects[0].columns["end_reason"], "no answer in time");
}

#[tokio::test]
async fn effects_that_are_queued_at_the_end_are_still_sent() {
    let api = StandIn::json(json!({})).await;
    let service = Service::start("telnyx-call-control", &api);
    let call = json!({ "data": {
        "record_type": "event", "event_type": "call.initiated", "id": "event-1",
        "payload": {
            "call_control_id": "v3:ex", "from": "+441632960123", "to": "+15005550006",
            "direction": "incoming", "state": "parked",
        },
    } });
    service.send(&call).await;
    service.stop.cancel();
    wait::within_deadline("the effects end", service.running).await.expect("no panic");
    let [request] = &api.requests().await[..] else { panic!("not one request") };
    let (line, _, body) = parts(request);
    assert_eq!(line, "POST /v1/calls/v3:ex/actions/answer HTTP/1.1");
    let assistant = json!({ "id": "assistant-ex1", "dynamic_variables": { "name": "Ada" } });
    assert_eq!(body, json!({ "assistant": assistant, "command_id": "event-1" }));
}

#[tokio::test]
async fn a_command_about_an_event_without_an_id_has_a_command_id_too() {
    let api = StandIn::json(json!({})).await;
    let service = Service::start("telnyx-call-control", &api);
    let payload = json!({
        "call_control_id": "v3:ex", "from": "+441632960123", "to": "+15005550006",
        "direction": "incoming", "state": "parked",
    });
    let event =
        json!({ "record_type": "event", "event_type": "call.initiated", "payload": payload });
    service.send(&json!({ "data": event })).await;
    service.stop.cancel();
    wait::within_deadline("the effects end", service.running).await.expect("no panic");
    let [request] = &api.requests().await[..] else { panic!("not one request") };
    let (_, _, body) = parts(request);
    assert_eq!(body["command_id"], "answer-v3:ex", "a repetition has the same one");
}

#[tokio::test]
async fn an_event_of_the_other_family_decides_nothing() {
    let api = StandIn::json(json!({})).await;
    let service = Service::start("openai", &api);
    let mut live = openai_call("live_1", "+441632960123");
    live["type"] = json!("live.transport.incoming");
    service.send(&live).await;
    service.send(&openai_call("rtc_1", "+441632960123")).await;
    service.effects(1).await;
    assert_eq!(api.requests().await.len(), 1);
}

/// A call that Daily holds.
fn pipecat_call() -> Value {
    json!({ "From": "+441632960123", "To": "+15005550006", "callId": "c-1", "callDomain": "d-1" })
}

/// Returns the only effect of a call at Pipecat Cloud, and how many requests reached it.
async fn start_at(api: StandIn) -> (EventRecord, usize) {
    let service = Service::start("pipecat", &api);
    service.send(&pipecat_call()).await;
    let mut effects = service.effects(1).await;
    let requests = api.requests().await;
    for request in &requests {
        assert_eq!(parts(request).0, "POST /v1/front-desk-agent/start HTTP/1.1");
    }
    (effects.remove(0), requests.len())
}

#[tokio::test]
async fn an_agent_is_started_with_the_ids_of_the_held_call() {
    let api = StandIn::json(json!({ "sessionId": "s-1" })).await;
    let service = Service::start("pipecat", &api);
    service.send(&pipecat_call()).await;
    let effects = service.effects(1).await;
    assert_eq!((&*effects[0].kind, effects[0].call.is_some()), ("effect.start", true));
    assert_eq!(effects[0].columns["status"], "acknowledged");
    let [request] = &api.requests().await[..] else { panic!("not one request") };
    let (_, headers, body) = parts(request);
    assert!(headers.contains(&format!("authorization: Bearer {KEY}")), "{headers}");
    assert!(!headers.contains("idempotency-key"), "{headers}");
    let dialin = json!({
        "From": "+441632960123", "To": "+15005550006", "call_id": "c-1", "call_domain": "d-1",
    });
    assert_eq!(body["createDailyRoom"], true);
    assert_eq!(body["body"], json!({ "dialin_settings": dialin, "variables": { "name": "Ada" } }));
}

/// A second start would start a second agent.
#[tokio::test]
async fn a_start_is_repeated_only_if_it_was_not_carried_out() {
    let no_capacity = vec![response(429, ""), response(503, ""), response(200, "{}")];
    let (effect, requests) = start_at(StandIn::start(Manner::InOrder(no_capacity)).await).await;
    assert_eq!((effect.columns["status"].as_str(), requests), (Some("acknowledged"), 3));

    for status in [500, 502, 504, 408, 404] {
        let api = StandIn::start(Manner::Bytes(response(status, "{}"))).await;
        let (effect, requests) = start_at(api).await;
        assert_eq!((effect.columns["status"].as_str(), requests), (Some("refused"), 1), "{status}");
    }

    let (effect, requests) = start_at(StandIn::start(Manner::Hang).await).await;
    assert_eq!((effect.columns["status"].as_str(), requests), (Some("late"), 1));
    assert_eq!(effect.columns["end_reason"], "no answer in time");
}

/// The fallback agent takes a call that a rule keeps, and one that matches no rule, with all that it requires.
#[tokio::test]
async fn the_fallback_agent_receives_the_variables_that_it_requires() {
    let rules = r#"
        [agents]
        desk = { telnyx-call-control = "assistant-ex1", variables = ["customer_name", "tier"] }

        [[rule]]
        name = "tier"
        continue = true
        variables = { tier = "gold" }

        [[rule]]
        name = "kept"
        from = "+44*"
        keep = true
    "#;
    let api = StandIn::json(json!({})).await;
    let service = Service::start_with_rules("telnyx-call-control", NOBODY, rules, &api);
    for (count, from) in ["+441632960123", "+12137771234"].into_iter().enumerate() {
        let body = json!({ "data": {
            "record_type": "event", "event_type": "call.initiated", "id": from,
            "payload": {
                "call_control_id": from, "from": from, "to": "+15005550006",
                "direction": "incoming", "state": "parked",
            },
        } });
        service.send(&body).await;
        service.effects(count + 1).await;
        let requests = api.requests().await;
        let (_, _, body) = parts(&requests[count]);
        let expected = json!({ "customer_name": "", "tier": "gold" });
        assert_eq!(body["assistant"]["dynamic_variables"], expected, "{from}: {body}");
    }
}

/// A call that nobody can act upon rings on: the operator must learn of it.
#[tokio::test]
async fn an_effect_that_cannot_be_built_is_reported_as_failed() {
    let telnyx = json!({ "data": {
        "record_type": "event", "event_type": "call.initiated", "id": "event-1",
        "payload": {
            "from": "+441632960123", "to": "+15005550006", "direction": "incoming",
            "state": "parked",
        },
    } });
    let mut pipecat = pipecat_call();
    pipecat.as_object_mut().expect("an object").remove("callDomain");
    for (platform, body, action, field) in [
        ("telnyx-call-control", telnyx, "answer", "call_control_id"),
        ("pipecat", pipecat, "start", "callDomain"),
        ("openai", openai_call("", "+441632960123"), "accept", "call_id"),
    ] {
        let api = StandIn::json(json!({})).await;
        let service = Service::start(platform, &api);
        service.send(&body).await;
        let effects = service.effects(1).await;
        assert_eq!(effects[0].kind, format!("effect.{action}"), "{platform}");
        assert_eq!(effects[0].columns["status"], "failed", "{platform}");
        let problem = format!("not sent: the request has no usable {field}");
        assert_eq!(effects[0].columns["end_reason"], problem, "{platform}");
        let metrics = service.app.counters().to_text();
        let sample = format!(
            "switchboard_effects_total{{source=\"calls\",action=\"{action}\",result=\"failed\"}} 1"
        );
        assert!(metrics.contains(&sample), "{platform}: {metrics}");
        assert_eq!(api.requests().await.len(), 0, "{platform}");
    }
}
