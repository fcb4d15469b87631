//! Verifies signed requests from standard input, one JSON object a line, and prints `accept` or `refuse`
//! for each. `tests/differential` compares these answers with those of the platforms' own libraries.
//!
//! A line is `{"scheme": "retell", "key": TEXT, "headers": [[NAME, VALUE], …], "body": BASE64,
//! "time_ms": NUMBER}`. There is no second factor.

use std::io::{self, BufRead, Write};

use anyhow::{Context, anyhow};
use arc_swap::ArcSwap;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use switchboard::authenticate::{
    Key, Mode, Policy, PolicySecrets, RequestHead, Unverified, authenticate,
};
use switchboard::dialect;
use switchboard::domain::secret::Secret;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    scheme: String,
    key: String,
    headers: Vec<(String, String)>,
    body: String,
    time_ms: i64,
}

fn main() -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line?)?;
        writeln!(out, "{}", if is_accepted(&request)? { "accept" } else { "refuse" })?;
    }
    out.flush().context("cannot write")
}

fn is_accepted(request: &Request) -> anyhow::Result<bool> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        // An HTTP server refuses a value that contains control characters.
        let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) else {
            return Ok(false);
        };
        headers.append(HeaderName::from_bytes(name.as_bytes())?, value);
    }
    let dialect = dialect::by_name(&request.scheme)
        .ok_or_else(|| anyhow!("unknown scheme `{}`", request.scheme))?;
    let secrets =
        PolicySecrets { keys: vec![Key::new(&Secret::new(request.key.as_str()))], url_token: None };
    let policy = Policy {
        source: request.scheme.as_str().into(),
        mode: Mode::Required,
        scheme: dialect.scheme(),
        secrets: ArcSwap::from_pointee(secrets),
        allow_from: Vec::new(),
    };
    let head = RequestHead::new(headers, [127, 0, 0, 1].into(), None);
    let unverified = Unverified::new(head, STANDARD.decode(&request.body)?.into());
    let now = Timestamp::from_millisecond(request.time_ms)?;
    Ok(authenticate(unverified, &policy, now).is_ok())
}
