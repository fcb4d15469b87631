//! A switchboard to test: settings and rules as text, a fixed clock, and a way to ask it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::Value;
use switchboard::authenticate::{Key, Mode, Policy, Unverified, Verified, authenticate};
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
use switchboard::settings::{Inputs, Purpose, Settings};
use switchboard::{dialect, rules, settings};
use tower::ServiceExt;

/// The moment at which the vectors were signed.
pub(crate) const NOW_MS: i64 = 1_780_012_672_200;
pub(crate) const RETELL_KEY: &str = "key_0123456789abcdef0123456789ab";
pub(crate) const SYNTHFLOW_SECRET: &str = "sf_secret_0123456789";
pub(crate) const URL_TOKEN: &str = "token_0123456789abcdef";

/// Sources as an operator would set them up.
pub(crate) const SETTINGS: &str = r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]

[sources.synthflow]
platform = "synthflow"
secrets = ["env:SYNTHFLOW_SECRET"]
url_token = "env:URL_TOKEN"
"#;

/// One rule for everybody.
pub(crate) const RULES: &str = r#"
[[rule]]
name = "everyone"
agent = "agent_1"
"#;

pub(crate) struct App {
    pub(crate) app: Arc<Switchboard>,
    pub(crate) public: Router,
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

/// The environment of the tests.
pub(crate) fn environment() -> HashMap<String, String> {
    let pairs = [
        ("RETELL_API_KEY", RETELL_KEY),
        ("SYNTHFLOW_SECRET", SYNTHFLOW_SECRET),
        ("URL_TOKEN", URL_TOKEN),
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
    let ingredients = Inputs { file: Some(file), environment, purpose };
    let settings::LoadedSettings { settings, report, .. } =
        settings::load(&ingredients).expect("a readable file");
    (settings, report)
}

/// A table and what is said about it; its own tests have been run.
pub(crate) fn parse_rules(
    path: &str,
    text: String,
    around: &CheckContext,
) -> (Option<RuleSet>, Report) {
    let LoadedTable { table, tests, mut report, .. } = rules::parse(path, text, around);
    if let Some(table) = &table {
        test_runner::run(table, &tests, &mut report);
    }
    (table.filter(|_| report.error_count() == 0), report)
}

/// The body with nothing asked of who sent it.
#[track_caller]
pub(crate) fn verified(dialect: &dyn Dialect, body: Vec<u8>) -> Verified {
    let policy = Policy {
        source: dialect.platform().as_str().into(),
        mode: Mode::Off,
        scheme: dialect.scheme(),
        keys: Vec::new(),
        url_token: None,
        allow_from: Vec::new(),
    };
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let unverified = Unverified::new(HeaderMap::new(), Bytes::from(body), client, None);
    let now = Timestamp::from_millisecond(NOW_MS).expect("a time");
    authenticate(unverified, &policy, now).expect("nothing was asked")
}

/// What `decide` makes of a call at [`NOW_MS`]; the scan makes the same of it.
#[track_caller]
pub(crate) fn decide<'t>(table: &'t RuleSet, call: &Call<'_>) -> Decision<'t> {
    decide_at(table, call, Timestamp::from_millisecond(NOW_MS).expect("a time"))
}

#[track_caller]
pub(crate) fn decide_at<'t>(table: &'t RuleSet, call: &Call<'_>, at: Timestamp) -> Decision<'t> {
    let facts = Facts { at };
    let decision = engine::decide(table, call, &facts);
    assert_eq!(decision, engine::scan(table, call, &facts), "the index and the scan differ");
    decision
}

/// An app of these settings and rules, at [`NOW_MS`].
#[track_caller]
pub(crate) fn app(settings: &str, rules_text: &str) -> App {
    let (settings, report) = load_settings(settings, Purpose::Serve);
    let settings = settings.unwrap_or_else(|| panic!("{report}"));
    let (table, report) =
        parse_rules("rules.toml", rules_text.to_owned(), &settings.check_context());
    let table = table.unwrap_or_else(|| panic!("{report}"));
    let clock = Clock::Fixed(Timestamp::from_millisecond(NOW_MS).expect("a time"));
    let app = Arc::new(Switchboard::new(settings.sources, table, clock));
    App {
        public: public::router(app.clone(), &settings.server),
        admin: admin::router(app.clone(), None, settings.admin.token),
        app,
    }
}

impl App {
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        answer(&self.public, request).await
    }

    /// Signs like Retell, at [`NOW_MS`], and sends.
    pub(crate) async fn retell(&self, body: impl AsRef<[u8]>) -> Answer {
        self.send(retell_request("/inbound/retell", body.as_ref())).await
    }

    /// Sends to Synthflow's URL with its token, unsigned: the documented body has no call id.
    pub(crate) async fn synthflow(&self, body: impl AsRef<[u8]>) -> Answer {
        let path = format!("/inbound/synthflow/{URL_TOKEN}");
        self.send(post(&path, body.as_ref())).await
    }

    pub(crate) async fn metrics(&self) -> String {
        let request = Request::get("/metrics").body(Body::empty()).expect("a request");
        let response = self.admin.clone().oneshot(request).await.expect("a router never fails");
        String::from_utf8(whole(response).await.body).expect("text")
    }
}

pub(crate) async fn answer(router: &Router, request: Request<Body>) -> Answer {
    whole(router.clone().oneshot(request).await.expect("a router never fails")).await
}

pub(crate) async fn whole<B: hyper::body::Body<Error: std::fmt::Debug>>(
    response: Response<B>,
) -> Answer {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes().to_vec();
    Answer { status: parts.status, headers: parts.headers, body }
}

pub(crate) fn post(path: &str, body: &[u8]) -> Request<Body> {
    Request::post(path).body(Body::from(body.to_vec())).expect("a request")
}

/// A request as Retell signs it at [`NOW_MS`].
pub(crate) fn retell_request(path: &str, body: &[u8]) -> Request<Body> {
    retell_request_at(path, body, NOW_MS, RETELL_KEY)
}

pub(crate) fn retell_request_at(path: &str, body: &[u8], at_ms: i64, key: &str) -> Request<Body> {
    let (name, value) = sign("retell", body, at_ms, key);
    let mut request = post(path, body);
    request.headers_mut().insert(name, value.parse().expect("a header"));
    request
}

/// What a platform's scheme makes of a body.
pub(crate) fn sign(platform: &str, body: &[u8], at_ms: i64, key: &str) -> (&'static str, String) {
    let scheme = dialect::by_name(platform).expect("a platform").scheme();
    let key = Key::new(&Secret::new(key));
    scheme.sign(&key, body, Timestamp::from_millisecond(at_ms).expect("a time")).expect("signable")
}

/// A call as Retell asks about it.
pub(crate) fn retell_call(from: &str, to: &str) -> String {
    format!(
        r#"{{"event":"call_inbound","call_inbound":{{"from_number":"{from}","to_number":"{to}"}}}}"#
    )
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
