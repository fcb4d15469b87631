//! Whole requests through the public router. An input is a path, a newline, header lines, an empty line,
//! and a body. With `!` as its first byte the request is signed for Retell, so that the fuzzer gets
//! behind the signature. No request is answered with a 5xx.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use super::{SECRET, now, policy, sign, split_headers};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use switchboard::authenticate::Mode;
use switchboard::dialect;
use switchboard::domain::clock::Clock;
use switchboard::http::public;
use switchboard::pipeline::Switchboard;
use switchboard::rules;
use switchboard::settings::{self, Inputs, Purpose};
use tower::ServiceExt;

const RULES: &str = r#"
[[rule]]
name = "los angeles"
from = "+1213*"
agent = "agent_1"
variables = { caller = "${from}", tier = "${sip.x-tier|standard}" }

[[rule]]
name = "everyone"
agent = "agent_2"
"#;

static ROUTER: LazyLock<Router> = LazyLock::new(|| {
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let environment = HashMap::from([
        set("SWITCHBOARD__SOURCES__RETELL__PLATFORM", "retell"),
        set("SWITCHBOARD__SOURCES__RETELL__SECRETS", "env:KEY"),
        set("SWITCHBOARD__SOURCES__SYNTHFLOW__PLATFORM", "synthflow"),
        set("SWITCHBOARD__SOURCES__SYNTHFLOW__SECRETS", "env:KEY"),
        set("SWITCHBOARD__SOURCES__SYNTHFLOW__URL_TOKEN", "env:KEY"),
        set("KEY", SECRET),
    ]);
    let inputs = Inputs { file: None, environment, purpose: Purpose::Serve };
    let loaded = settings::load(&inputs).expect("settings");
    let settings = loaded.settings.unwrap_or_else(|| panic!("{}", loaded.report));
    let loaded = rules::parse("rules.toml", RULES.to_owned(), &settings.check_context());
    let table = loaded.table.unwrap_or_else(|| panic!("{}", loaded.report));
    let app = Switchboard::new(settings.sources, table, Clock::Fixed(now()));
    public::router(Arc::new(app), &settings.server)
});

/// Runs one input.
pub fn run(data: &[u8]) {
    let (is_signed, data) = match data.strip_prefix(b"!") {
        Some(rest) => (true, rest),
        None => (false, data),
    };
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (path, rest) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    let (mut headers, body) = split_headers(rest);
    if is_signed {
        let retell = dialect::by_name("retell").expect("a dialect");
        let signed = sign(&policy(retell, Mode::Required), body);
        headers.extend(signed.expect("Retell signs every body"));
    }
    let Ok(mut request) = Request::post(path).body(Body::from(body.to_vec())) else { return };
    *request.headers_mut() = headers;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        let response = ROUTER.clone().oneshot(request).await.expect("a router never fails");
        let status = response.status();
        assert!(!status.is_server_error(), "{status}");
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        assert!(status != 200 || serde_json::from_slice::<serde_json::Value>(&body).is_ok());
    });
}
