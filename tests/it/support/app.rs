//! A service in memory, with settings and rules as text and a fixed clock.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::Value;
use switchboard::authenticate::{
    Key, Mode, Outgoing, Policy, RequestHead, Scheme, SignError, Unverified, Verified,
    VerifyInputs, authenticate,
};
use switchboard::console::{self, ConsoleSetup};
use switchboard::diagnostics::Report;
use switchboard::dialect::Dialect;
use switchboard::domain::call::Call;
use switchboard::domain::clock::Clock;
use switchboard::domain::decision::Decision;
use switchboard::domain::facts::Facts;
use switchboard::domain::secret::Secret;
use switchboard::http::admin;
use switchboard::http::public;
use switchboard::pipeline::Switchboard;
use switchboard::rules::engine;
use switchboard::rules::engine::test_runner;
use switchboard::rules::{CheckContext, LoadedTable, RuleSet};
use switchboard::settings::{AdminSettings, Inputs, Purpose, Settings};
use switchboard::{dialect, rules, settings};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Time at which the vectors were signed.
pub(crate) const NOW_MS: i64 = 1_780_012_672_200;
pub(crate) const RETELL_KEY: &str = "key_0123456789abcdef0123456789ab";
pub(crate) const SYNTHFLOW_SECRET: &str = "sf_secret_0123456789";
/// Secret of the vectors of OpenAI.
const PIPECAT_SECRET: &str = "ZGFpbHktcGlubGVzcy1obWFjLXNlY3JldC0zMmJ5dGU=";
const OPENAI_SECRET: &str = "whsec_b3BlbmFpLXZlY3Rvci1zZWNyZXQtMzItYnl0ZXMtb2s=";
pub(crate) const URL_TOKEN: &str = "token_0123456789abcdef";
pub(crate) const VAPI_SECRET: &str = "vapi_secret_0123456789";
pub(crate) const TWILIO_TOKEN: &str = "12345678901234567890123456789012";
pub(crate) const ELEVENLABS_SECRET: &str = "el_secret_0123456789";
pub(crate) const ELEVENLABS_EVENTS_SECRET: &str = "wsec_0123456789abcdef";
/// A key pair of the tests, so that they can sign.
pub(crate) const TELNYX_KEY: &str = "whsk_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// Settings with one source per platform.
pub(crate) const SETTINGS: &str = r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]

[sources.synthflow]
platform = "synthflow"
secrets = ["env:SYNTHFLOW_SECRET"]
url_token = "env:URL_TOKEN"
"#;

/// Settings of a source of each platform that [`SETTINGS`] does not have. Their platforms cannot express every
/// rule, so the other tests do without them.
const FURTHER_SETTINGS: [(&str, &str); 9] = [
    (
        "vapi",
        r#"
[sources.vapi]
platform = "vapi"
secrets = ["env:VAPI_SECRET"]
fallback = "front-desk"
"#,
    ),
    (
        "elevenlabs",
        r#"
[sources.elevenlabs]
platform = "elevenlabs"
secrets = ["env:ELEVENLABS_SECRET"]
events_secrets = ["env:ELEVENLABS_EVENTS_SECRET"]
"#,
    ),
    (
        "telnyx",
        r#"
[sources.telnyx]
platform = "telnyx"
secrets = ["env:TELNYX_PUBLIC_KEY"]
"#,
    ),
    (
        "telnyx-call-control",
        r#"
[sources.telnyx-call-control]
platform = "telnyx-call-control"
secrets = ["env:TELNYX_PUBLIC_KEY"]
api_key = "env:API_KEY"
fallback = "front-desk"
"#,
    ),
    (
        "pipecat",
        r#"
[sources.pipecat]
platform = "pipecat"
secrets = ["env:PIPECAT_SECRET"]
api_key = "env:API_KEY"
fallback = "front-desk"
"#,
    ),
    (
        "openai",
        r#"
[sources.openai]
platform = "openai"
secrets = ["env:OPENAI_SECRET"]
api_key = "env:API_KEY"
fallback = "front-desk"
"#,
    ),
    (
        "openai-live",
        r#"
[sources.openai-live]
platform = "openai-live"
secrets = ["env:OPENAI_SECRET"]
api_key = "env:API_KEY"
fallback = "front-desk"
"#,
    ),
    (
        "texml",
        r#"
[sources.texml]
platform = "texml"
secrets = ["env:TELNYX_PUBLIC_KEY"]
fallback = "front-desk"
"#,
    ),
    (
        "twilio",
        r#"
[sources.twilio]
platform = "twilio"
secrets = ["env:TWILIO_AUTH_TOKEN"]
public_base_url = "https://calls.example"
fallback = "front-desk"
"#,
    ),
];

/// Agents whose ids are addresses, for platforms that know no others.
const ADDRESSES: &str = r#"
[agents]
agent_1 = { texml = "sip:agent_1@pbx.example", twilio = "sip:agent_1@pbx.example", openai = { model = "m" }, openai-live = { model = "m" } }
front-desk = { texml = "sip:front@pbx.example", twilio = "sip:front@pbx.example", openai = { model = "m" }, openai-live = { model = "m" } }
"#;

/// Returns settings with a source of each platform, which has the platform's name.
pub(crate) fn settings_of_all() -> String {
    let further = FURTHER_SETTINGS.iter().map(|(_, settings)| *settings);
    [SETTINGS].into_iter().chain(further).collect()
}

/// Returns settings with a source of this platform, which has the platform's name.
pub(crate) fn settings_of(dialect: &dyn Dialect) -> &'static str {
    let platform = dialect.platform().as_str();
    let further = FURTHER_SETTINGS.iter().find(|(name, _)| *name == platform);
    further.map_or(SETTINGS, |(_, settings)| settings)
}

/// Returns rules in a form that a platform can express: one that has chosen the agent already keeps it, and the
/// agents of another are addresses.
pub(crate) fn rules_for(dialect: &dyn Dialect, rules: &str) -> String {
    match (dialect.capabilities().agent, dialect.check_agent_id("agent_1")) {
        (true, Ok(())) => rules.to_owned(),
        (true, Err(_)) => format!("{ADDRESSES}{rules}"),
        (false, _) => rules.replace("agent = \"agent_1\"", "keep = true"),
    }
}

/// Signs a request as the platform of a source does. Returns the headers, with the content type.
#[track_caller]
pub(crate) fn signed_headers(
    dialect: &dyn Dialect,
    policy: &Policy,
    method: &Method,
    target: &str,
    body: &[u8],
) -> HeaderMap {
    let content_type = HeaderValue::from_static(dialect.request_content_type());
    let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type)]);
    let now = Timestamp::from_millisecond(NOW_MS).expect("a time");
    match policy.sign(&Outgoing { method, target, body }, now, &mut headers) {
        Ok(()) | Err(SignError::NothingToSign) => headers,
        Err(error) => panic!("{error}"),
    }
}

/// Returns [`SETTINGS`] with the longest reply deadline, for replies that wait for a record on a busy machine.
pub(crate) fn settings_with_longest_deadline() -> String {
    SETTINGS.replace("platform =", "reply_within_ms = 9000\nplatform =")
}

/// One rule that matches every call.
pub(crate) const RULES: &str = r#"
[[rule]]
name = "everyone"
agent = "agent_1"
"#;

pub(crate) struct App {
    pub(crate) app: Arc<Switchboard>,
    pub(crate) public: Router,
    /// With the console.
    pub(crate) admin: Router,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// Environment variables of the tests.
pub(crate) fn environment() -> HashMap<String, String> {
    let pairs = [
        ("RETELL_API_KEY", RETELL_KEY),
        ("SYNTHFLOW_SECRET", SYNTHFLOW_SECRET),
        ("URL_TOKEN", URL_TOKEN),
        ("VAPI_SECRET", VAPI_SECRET),
        ("ELEVENLABS_SECRET", ELEVENLABS_SECRET),
        ("ELEVENLABS_EVENTS_SECRET", ELEVENLABS_EVENTS_SECRET),
        ("TELNYX_PUBLIC_KEY", TELNYX_KEY),
        ("TWILIO_AUTH_TOKEN", TWILIO_TOKEN),
        ("OPENAI_SECRET", OPENAI_SECRET),
        ("PIPECAT_SECRET", PIPECAT_SECRET),
        ("API_KEY", "sk_0123456789abcdef"),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// Writes `text` as a settings file and reads it, with the environment of the tests.
pub(crate) fn load_settings(
    text: &str,
    purpose: Purpose,
) -> (Option<Settings>, switchboard::diagnostics::Report) {
    load_settings_with(text, purpose, environment())
}

pub(crate) fn load_settings_with(
    text: &str,
    purpose: Purpose,
    environment: HashMap<String, String>,
) -> (Option<Settings>, switchboard::diagnostics::Report) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("switchboard.toml");
    std::fs::write(&file, text).expect("a file");
    let inputs = Inputs { file: Some(file), environment, purpose };
    let settings::LoadedSettings { settings, report, .. } =
        settings::load(&inputs).expect("a readable file");
    (settings, report)
}

/// Parses a table and runs its tests. Returns the table, if it has no errors, and the report.
pub(crate) fn parse_rules(
    path: &str,
    text: String,
    context: &CheckContext,
) -> (Option<RuleSet>, Report) {
    let LoadedTable { table, tests, mut report, .. } = rules::parse(path, text, context);
    if let Some(table) = &table {
        test_runner::run(table, &tests, &mut report);
    }
    (table.filter(|_| report.error_count() == 0), report)
}

/// Authenticates a body with a policy that accepts every request.
#[track_caller]
pub(crate) fn verified(dialect: &dyn Dialect, body: Vec<u8>) -> Verified {
    let policy = Policy {
        source: dialect.platform().as_str().into(),
        mode: Mode::Off,
        scheme: dialect.scheme(),
        public_base_url: None,
        secrets: ArcSwap::default(),
        allow_from: Vec::new(),
    };
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let unverified =
        Unverified::new(RequestHead::new(HeaderMap::new(), client, None), Bytes::from(body));
    let now = Timestamp::from_millisecond(NOW_MS).expect("a time");
    authenticate(unverified, &policy, now).expect("every request is accepted")
}

/// Decides a call at [`NOW_MS`], with the index and with the scan.
#[track_caller]
pub(crate) fn decide<'t>(table: &'t RuleSet, call: &Call<'_>) -> Decision<'t> {
    decide_at(table, call, Timestamp::from_millisecond(NOW_MS).expect("a time"))
}

#[track_caller]
pub(crate) fn decide_at<'t>(table: &'t RuleSet, call: &Call<'_>, at: Timestamp) -> Decision<'t> {
    let facts = Facts::at(at);
    let decision = engine::decide(table, call, &facts);
    assert_eq!(decision, engine::scan(table, call, &facts), "the index and the scan differ");
    decision.expect("no look-ups")
}

/// Builds a service with these settings and rules, at [`NOW_MS`].
#[track_caller]
pub(crate) fn app(settings: &str, rules_text: &str) -> App {
    app_with(settings, rules_text, environment())
}

/// Builds such a service with these environment variables.
#[track_caller]
pub(crate) fn app_with(
    settings: &str,
    rules_text: &str,
    environment: HashMap<String, String>,
) -> App {
    let now = Timestamp::from_millisecond(NOW_MS).expect("a time");
    app_at(now, settings, rules_text, environment, Purpose::Serve)
}

/// Builds such a service at this time. `--dev` accepts short secrets.
#[track_caller]
pub(crate) fn app_at(
    now: Timestamp,
    settings: &str,
    rules_text: &str,
    environment: HashMap<String, String>,
    purpose: Purpose,
) -> App {
    let (settings, report) = load_settings_with(settings, purpose, environment);
    let settings = settings.unwrap_or_else(|| panic!("{report}"));
    let (table, report) =
        parse_rules("rules.toml", rules_text.to_owned(), &settings.check_context());
    let table = table.unwrap_or_else(|| panic!("{report}"));
    let clock = Clock::Fixed(now);
    let context = settings.check_context();
    let app = Switchboard::new(settings.sources, table, clock).with_secrets(settings.secrets);
    let app = Arc::new(app);
    let console = console_setup(&app, settings.admin, context);
    App {
        public: public::router(app.clone(), &settings.server),
        admin: admin::router(app.clone(), None, console.token.clone(), console::router(console)),
        app,
    }
}

/// Returns the console of a service whose rules are no file.
pub(crate) fn console_setup(
    app: &Arc<Switchboard>,
    admin: AdminSettings,
    context: CheckContext,
) -> ConsoleSetup {
    let AdminSettings { token, users, reveal_numbers, edit, .. } = admin;
    ConsoleSetup {
        app: app.clone(),
        reload_handle: None,
        token: token.into(),
        users: users.into(),
        reveal_numbers,
        edit,
        rules_path: PathBuf::from("rules.toml"),
        context,
        trusted_proxies: Vec::new(),
        public: None,
        public_url: Some("http://127.0.0.1:8080".to_owned()),
        stop: CancellationToken::new(),
    }
}

impl App {
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        answer(&self.public, request).await
    }

    /// Sends a body that is signed as Retell signs it, at [`NOW_MS`].
    pub(crate) async fn retell(&self, body: impl AsRef<[u8]>) -> Answer {
        self.send(retell_request("/inbound/retell", body.as_ref())).await
    }

    /// Sends an unsigned body with the URL token of Synthflow. A documented body has no call id to sign.
    pub(crate) async fn synthflow(&self, body: impl AsRef<[u8]>) -> Answer {
        let path = format!("/inbound/synthflow/{URL_TOKEN}");
        self.send(post(&path, body.as_ref())).await
    }

    pub(crate) async fn metrics(&self) -> String {
        let request = Request::get("/metrics").body(Body::empty()).expect("a request");
        let response = self.admin.clone().oneshot(request).await.expect("a router never fails");
        String::from_utf8(collect(response).await.body).expect("text")
    }
}

/// Sends a request to a router.
pub(crate) async fn answer(router: &Router, request: Request<Body>) -> Answer {
    collect(router.clone().oneshot(request).await.expect("a router never fails")).await
}

/// Reads the body of a response.
pub(crate) async fn collect<B: hyper::body::Body<Error: std::fmt::Debug>>(
    response: Response<B>,
) -> Answer {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a complete body").to_bytes().to_vec();
    Answer { status: parts.status, headers: parts.headers, body }
}

pub(crate) fn post(path: &str, body: &[u8]) -> Request<Body> {
    Request::post(path).body(Body::from(body.to_vec())).expect("a request")
}

/// Builds a request that is signed as Retell signs it, at [`NOW_MS`].
pub(crate) fn retell_request(path: &str, body: &[u8]) -> Request<Body> {
    retell_request_at(path, body, NOW_MS, RETELL_KEY)
}

pub(crate) fn retell_request_at(path: &str, body: &[u8], at_ms: i64, key: &str) -> Request<Body> {
    let (name, value) = sign("retell", body, at_ms, key);
    let mut request = post(path, body);
    request.headers_mut().insert(name, value.parse().expect("a header"));
    request
}

/// Signs a body with the scheme of a platform. Returns the name and the value of the header.
pub(crate) fn sign(platform: &str, body: &[u8], at_ms: i64, key: &str) -> (&'static str, String) {
    let scheme = dialect::by_name(platform).expect("a platform").scheme();
    let key = scheme.key(&Secret::new(key)).expect("a key");
    let now = Timestamp::from_millisecond(at_ms).expect("a time");
    let headers = sign_with(&*scheme, &key, body, now).expect("signable");
    let (name, value) = headers.iter().next().expect("a header");
    // The names of headers with a signature.
    let names = ["x-retell-signature", "synthflow-signature"];
    let name = names.into_iter().find(|known| known == name).expect("a known header");
    (name, value.to_str().expect("text").to_owned())
}

/// Signs a POST request to `/` with this key. Returns the headers.
pub(crate) fn sign_with(
    scheme: &dyn Scheme,
    key: &Key,
    body: &[u8],
    now: Timestamp,
) -> Result<HeaderMap, SignError> {
    let outgoing = Outgoing { method: &Method::POST, target: "/", body };
    let inputs = VerifyInputs { keys: std::slice::from_ref(key), public_base_url: "", now };
    let mut headers = HeaderMap::new();
    scheme.sign(&outgoing, &inputs, &mut headers).map(|()| headers)
}

/// Builds the body of Retell's request about a call.
pub(crate) fn retell_call(from: &str, to: &str) -> String {
    format!(
        r#"{{"event":"call_inbound","call_inbound":{{"from_number":"{from}","to_number":"{to}"}}}}"#
    )
}

/// Path of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
