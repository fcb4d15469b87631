//! Fuzz targets, and what they share: policies, requests and a fixed time.
//!
//! `fuzz_targets/` connects them to libFuzzer. `tests/it/fuzz_seeds.rs` includes this file and runs the
//! seeds, without nightly.

pub mod call_ids;
pub mod dialects;
pub mod forms;
pub mod numbers;
pub mod reply_templates;
pub mod requests;
pub mod rules;
pub mod settings;
pub mod signatures;
pub mod templates;
pub mod urls;

use std::net::{IpAddr, Ipv4Addr};

use arc_swap::ArcSwap;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use bytes::Bytes;
use jiff::Timestamp;
use switchboard::authenticate::{
    Mode, Outgoing, Policy, PolicySecrets, RequestHead, SignError, Unverified,
};
use switchboard::dialect::Dialect;
use switchboard::domain::secret::Secret;

/// Runs one input.
pub type Target = fn(&[u8]);

/// The targets by name.
pub const TARGETS: [(&str, Target); 11] = [
    ("call_ids", call_ids::run),
    ("dialects", dialects::run),
    ("forms", forms::run),
    ("numbers", numbers::run),
    ("reply_templates", reply_templates::run),
    ("requests", requests::run),
    ("rules", rules::run),
    ("settings", settings::run),
    ("signatures", signatures::run),
    ("templates", templates::run),
    ("urls", urls::run),
];

/// Secret of every source.
pub const SECRET: &str = "key_0123456789abcdef0123456789ab";

/// Time at which every request arrives.
pub fn now() -> Timestamp {
    Timestamp::from_millisecond(1_780_012_672_200).expect("a time")
}

/// Returns a policy with [`SECRET`] and without a second factor.
pub fn policy(dialect: &dyn Dialect, mode: Mode) -> Policy {
    policy_with(dialect, mode, SECRET)
}

/// Returns a policy with a secret and without a second factor.
pub fn policy_with(dialect: &dyn Dialect, mode: Mode, secret: &str) -> Policy {
    // A key pair for platforms that sign with one.
    let key = dialect.scheme().stand_in_key(&Secret::new(secret));
    let secrets = PolicySecrets { keys: vec![key], url_token: None };
    Policy {
        source: dialect.platform().as_str().into(),
        mode,
        scheme: dialect.scheme(),
        public_base_url: Some("https://calls.example".into()),
        secrets: ArcSwap::from_pointee(secrets),
        allow_from: Vec::new(),
    }
}

/// Signs a POST request to `/` with the key of a policy.
///
/// # Errors
/// Fails if the body contains nothing to sign.
pub fn sign(policy: &Policy, body: &[u8]) -> Result<HeaderMap, SignError> {
    let mut headers = HeaderMap::new();
    let outgoing = Outgoing { method: &Method::POST, target: "/", body };
    policy.sign(&outgoing, now(), &mut headers).map(|()| headers)
}

/// Returns a request of this machine.
pub fn request(headers: HeaderMap, body: &[u8]) -> Unverified {
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Unverified::new(RequestHead::new(headers, client, None), Bytes::copy_from_slice(body))
}

/// Splits an input into header lines and, after an empty line, a body. Ignores invalid lines.
pub fn split_headers(data: &[u8]) -> (HeaderMap, &[u8]) {
    let end = data.windows(2).position(|two| two == b"\n\n");
    let (head, body) = end.map_or((data, &[][..]), |end| (&data[..end], &data[end + 2..]));
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    (headers, body)
}

/// Returns the longest beginning of an input that is text.
pub fn text(data: &[u8]) -> &str {
    match std::str::from_utf8(data) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&data[..error.valid_up_to()]).unwrap_or_default(),
    }
}
