//! An authenticated request is answered with 200 in time, even if a step panics.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use switchboard::authenticate::{
    AuthError, Coverage, Key, KeyError, Outgoing, RequestHead, Scheme, SignError, SignatureScope,
    Unverified, Verified, VerifyInputs,
};
use switchboard::dialect;
use switchboard::dialect::{Dialect, DialectRef, Incoming, ParseError, RenderContext, Reply};
use switchboard::domain::call::{Channel, Fields};
use switchboard::domain::capabilities::Profile;
use switchboard::domain::clock::Clock;
use switchboard::domain::decision::Decision;
use switchboard::domain::party::NumberFormat;
use switchboard::domain::secret::Secret;
use switchboard::http::public;
use switchboard::pipeline::Switchboard;
use switchboard::rules;
use switchboard::settings::Purpose;
use tokio::time::Instant;

use crate::support::app::{
    self, App, NOW_MS, app, load_settings, post, retell_call, retell_request,
};

/// Retell's dialect with one step that panics.
struct PanickingDialect {
    when: Step,
}

#[derive(PartialEq)]
enum Step {
    Parse,
    Render,
    RenderEvenTheFallback,
}

fn retell() -> &'static dyn Dialect {
    dialect::by_name("retell").expect("a platform")
}

impl Dialect for PanickingDialect {
    fn profile(&self) -> &Profile {
        retell().profile()
    }

    fn scheme(&self) -> Arc<dyn Scheme> {
        retell().scheme()
    }

    fn parse<'a>(
        &self,
        request: &'a Verified,
        numbers: &NumberFormat,
    ) -> Result<Incoming<'a>, ParseError> {
        assert!(self.when != Step::Parse, "parse panics deliberately");
        retell().parse(request, numbers)
    }

    fn render(&self, context: &RenderContext<'_>, decision: &Decision<'_>) -> Reply {
        let fallback = decision.rule().is_none();
        assert!(fallback || self.when != Step::Render, "render panics deliberately");
        assert!(self.when != Step::RenderEvenTheFallback, "render panics deliberately");
        retell().render(context, decision)
    }

    fn default_reply(&self, channel: Channel) -> &'static str {
        retell().default_reply(channel)
    }

    fn channels(&self) -> &'static [Channel] {
        retell().channels()
    }

    fn encode_request(&self, call: &Fields<'_>) -> Vec<u8> {
        retell().encode_request(call)
    }
}

/// Sends a request to a source with a panicking dialect. Returns status, reply and metrics.
async fn send_to(
    dialect: &'static PanickingDialect,
    fallback: &str,
    path: &str,
    body: &str,
) -> (StatusCode, String, String) {
    let text = format!(
        "{}fallback = \"{fallback}\"\n",
        &app::SETTINGS[..app::SETTINGS.find("[sources.synth").unwrap()]
    );
    let (settings, report) = load_settings(&text, Purpose::Serve);
    let mut settings = settings.unwrap_or_else(|| panic!("{report}"));
    let (table, report) = app::parse_rules("r", app::RULES.to_owned(), &settings.check_context());
    let table = table.unwrap_or_else(|| panic!("{report}"));
    settings.sources[0].dialect = DialectRef::BuiltIn(dialect);
    let clock = Clock::Fixed(Timestamp::from_millisecond(NOW_MS).unwrap());
    let app = Arc::new(Switchboard::new(settings.sources, table, clock));
    let router = public::router(app.clone(), &settings.server);
    let answer = app::answer(&router, retell_request(path, body.as_bytes())).await;
    (answer.status, String::from_utf8(answer.body).unwrap(), app.counters().to_text())
}

#[tokio::test]
async fn a_panic_becomes_the_fallback_reply() {
    static RENDER: PanickingDialect = PanickingDialect { when: Step::Render };
    static PARSE: PanickingDialect = PanickingDialect { when: Step::Parse };
    static ALL: PanickingDialect = PanickingDialect { when: Step::RenderEvenTheFallback };
    let call = retell_call("+12137771234", "+12137771235");
    let text = r#"{"event":"chat_inbound","chat_inbound":{"from_number":"+12137771234"}}"#;
    for (dialect, fallback, body, expected) in [
        (&RENDER, "keep", call.as_str(), r#"{"call_inbound":{}}"#),
        (&RENDER, "reject", call.as_str(), r#"{"call_inbound":{"reject":true}}"#),
        (&RENDER, "agent_9", call.as_str(), r#"{"call_inbound":{"override_agent_id":"agent_9"}}"#),
        (&RENDER, "keep", text, r#"{"chat_inbound":{}}"#),
        (&PARSE, "keep", call.as_str(), r#"{"call_inbound":{}}"#),
        (&ALL, "agent_9", call.as_str(), r#"{"call_inbound":{}}"#),
        (&ALL, "reject", text, r#"{"chat_inbound":{}}"#),
    ] {
        let (status, reply, metrics) = send_to(dialect, fallback, "/inbound/retell", body).await;
        assert_eq!((status, reply.as_str()), (StatusCode::OK, expected));
        assert!(metrics.contains("switchboard_panics_total 1"), "{metrics}");
        assert!(metrics.contains(r#"outcome="fallback",status="200"} 1"#), "{metrics}");
        assert!(metrics.contains(r#"cause="panic"} 1"#), "{metrics}");
    }
}

#[tokio::test]
async fn an_event_whose_handling_panics_is_refused_and_counted_as_not_stored() {
    static PARSE: PanickingDialect = PanickingDialect { when: Step::Parse };
    let event = r#"{"event":"call_ended","call":{"call_id":"call_1"}}"#;
    let (status, reply, metrics) = send_to(&PARSE, "keep", "/events/retell", event).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{reply}");
    assert!(reply.contains("an internal error prevented the event from being stored"), "{reply}");
    assert!(metrics.contains("switchboard_panics_total 1"), "{metrics}");
    assert!(metrics.contains(r#"kind="event",outcome="not_stored",status="503"} 1"#), "{metrics}");
    assert!(!metrics.contains(r#"outcome="fallback",status="200"} 1"#), "{metrics}");
}

/// A scheme that panics before a request is authenticated.
struct PanickingScheme;

impl Scheme for PanickingScheme {
    fn kind(&self) -> &'static str {
        "panicking"
    }

    fn key(&self, secret: &Secret) -> Result<Key, KeyError> {
        retell().scheme().key(secret)
    }

    fn verify(&self, _: &Unverified, _: &VerifyInputs<'_>) -> Result<SignatureScope, AuthError> {
        panic!("verify panics deliberately")
    }

    fn check_head(&self, head: &RequestHead, inputs: &VerifyInputs<'_>) -> Result<(), AuthError> {
        retell().scheme().check_head(head, inputs)
    }

    fn sign(
        &self,
        request: &Outgoing<'_>,
        inputs: &VerifyInputs<'_>,
        headers: &mut HeaderMap,
    ) -> Result<(), SignError> {
        retell().scheme().sign(request, inputs, headers)
    }

    fn coverage(&self) -> Coverage {
        Coverage::BODY_AND_TIME
    }
}

#[tokio::test]
async fn a_panic_before_authentication_is_a_500_that_the_source_counts() {
    let (settings, report) = load_settings(app::SETTINGS, Purpose::Serve);
    let mut settings = settings.unwrap_or_else(|| panic!("{report}"));
    let (table, report) = app::parse_rules("r", app::RULES.to_owned(), &settings.check_context());
    let table = table.unwrap_or_else(|| panic!("{report}"));
    settings.sources[0].policy.scheme = Arc::new(PanickingScheme);
    let clock = Clock::Fixed(Timestamp::from_millisecond(NOW_MS).unwrap());
    let app = Arc::new(Switchboard::new(settings.sources, table, clock));
    let router = public::router(app.clone(), &settings.server);
    let call = retell_call("+12137771234", "+12137771235");
    let answer = app::answer(&router, retell_request("/inbound/retell", call.as_bytes())).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.headers.contains_key("x-request-id"));
    let metrics = app.counters().to_text();
    let counted = r#"source="retell",kind="unknown",outcome="failed",status="500"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
    assert!(metrics.contains("switchboard_panics_total 1"), "{metrics}");
}

const DELAYED: &str = r#"
[[rule]]
name = "delayed"
agent = "agent_1"
delay_ms = 8000
"#;

#[tokio::test(start_paused = true)]
async fn a_reply_is_held_for_the_delay_but_not_beyond_the_deadline() {
    let budget_9_s = app::SETTINGS
        .replace("\n[sources.synthflow]", "reply_within_ms = 9000\n[sources.synthflow]");
    for (settings, expected_ms) in [(app::SETTINGS, 3000), (&*budget_9_s, 8000)] {
        let app = app(settings, DELAYED);
        let start = Instant::now();
        let answer = app.retell(retell_call("+12137771234", "+12137771235")).await;
        assert_eq!(answer.status, StatusCode::OK);
        let held = start.elapsed();
        let expected = Duration::from_millis(expected_ms);
        assert!(held >= expected && held < expected + Duration::from_millis(50), "{held:?}");
    }
}

const BY_CALLER: &str = r#"
[[rule]]
name = "by sip header"
agent = "agent_1"
variables = { tier = "${sip.x-tier|none}" }
"#;

fn with_tier(call_id: &str, tier: &str) -> String {
    format!(
        r#"{{"event":"call_inbound","call_inbound":{{{call_id}"from_number":"anonymous","custom_sip_headers":{{"x-tier":"{tier}"}}}}}}"#
    )
}

#[tokio::test(start_paused = true)]
async fn a_repeated_delivery_receives_the_same_reply_for_a_minute() {
    let app = app(app::SETTINGS, BY_CALLER);
    let id = r#""call_id":"call_1","#;
    let first = app.retell(with_tier(id, "gold")).await;
    tokio::time::advance(Duration::from_secs(59)).await;
    let again = app.retell(with_tier(id, "gold")).await;
    assert_eq!(again.body, first.body);
    assert_eq!(retries(&app).await, 1);
    tokio::time::advance(Duration::from_secs(2)).await;
    app.retell(with_tier(id, "gold")).await;
    assert_eq!(retries(&app).await, 1, "the reply has expired");
}

/// Returns the number of requests that were recognized as retries.
async fn retries(app: &App) -> u64 {
    let metrics = app.metrics().await;
    let line =
        r#"switchboard_requests_total{source="retell",kind="call",outcome="retry",status="200"} "#;
    let count = metrics.lines().find_map(|found| found.strip_prefix(line));
    count.expect("the metric exists").parse().expect("a count")
}

#[tokio::test]
async fn a_request_that_rules_can_tell_from_the_first_is_no_retry() {
    let inbound = |fields: &str| {
        format!(r#"{{"event":"call_inbound","call_inbound":{{"call_id":"call_1"{fields}}}}}"#)
    };
    let app = app(app::SETTINGS, BY_CALLER);
    for fields in [
        "",
        r#","from_number":"+12137771234""#,
        r#","to_number":"+12137771234""#,
        r#","agent_id":"agent_2""#,
        r#","agent_version":3"#,
        r#","custom_sip_headers":{"x-tier":"gold"}"#,
    ] {
        app.retell(inbound(fields)).await;
        assert_eq!(retries(&app).await, 0, "{fields}");
    }
    app.retell(
        r#"{"event":"call_inbound","event_timestamp":1,"call_inbound":{"call_id":"call_1"}}"#,
    )
    .await;
    assert_eq!(retries(&app).await, 0);
    app.retell(inbound("")).await;
    assert_eq!(retries(&app).await, 1);
}

#[tokio::test]
async fn an_unauthenticated_request_does_not_choose_the_reply_to_an_authenticated_one() {
    let observe =
        app::SETTINGS.replace("\n[sources.synthflow]", "auth = \"observe\"\n[sources.synthflow]");
    let app = app(&observe, BY_CALLER);
    let call = retell_call("+12137771234", "+12137771235");
    app.send(post("/inbound/retell", call.as_bytes())).await;
    app.retell(&call).await;
    assert_eq!(retries(&app).await, 0);
    app.retell(&call).await;
    assert_eq!(retries(&app).await, 1);
}

#[tokio::test]
async fn withheld_callers_without_an_id_are_distinct() {
    let app = app(app::SETTINGS, BY_CALLER);
    let gold = app.retell(with_tier("", "gold")).await;
    let silver = app.retell(with_tier("", "silver")).await;
    assert_ne!(gold.body, silver.body);
    app.retell(with_tier("", "gold")).await;
    assert_eq!(retries(&app).await, 0, "nothing tells the callers apart");
}

#[tokio::test]
async fn a_retry_is_answered_without_the_delay() {
    tokio::time::pause();
    let app = app(app::SETTINGS, DELAYED);
    let call = r#"{"event":"call_inbound","call_inbound":{"call_id":"call_1"}}"#;
    app.retell(call).await;
    let start = Instant::now();
    app.retell(call).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn the_body_of_an_unauthenticated_request_is_never_parsed() {
    static PARSE: PanickingDialect = PanickingDialect { when: Step::Parse };
    let (mut settings, _) = load_settings(app::SETTINGS, Purpose::Serve);
    let mut sources = settings.take().unwrap().sources;
    sources[0].dialect = DialectRef::BuiltIn(&PARSE);
    let (table, _) = app::parse_rules("r", app::RULES.to_owned(), &rules::CheckContext::default());
    let clock = Clock::Fixed(Timestamp::from_millisecond(NOW_MS).unwrap());
    let app = Arc::new(Switchboard::new(sources, table.unwrap(), clock));
    let (settings, _) = load_settings(app::SETTINGS, Purpose::Serve);
    let router = public::router(app.clone(), &settings.unwrap().server);
    let answer = app::answer(&router, post("/inbound/retell", b"{}")).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(app.counters().to_text().contains("switchboard_panics_total 0"));
}
