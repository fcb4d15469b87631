//! Verifies signed requests from standard input, one JSON object a line, and prints `accept` or `refuse`
//! for each. `tests/differential` compares these answers with those of the platforms' own libraries.
//!
//! A line is `{"signature": {"kind": "retell"}, "keys": [TEXT, …], "headers": [[NAME, VALUE], …], "body": BASE64,
//! "time_ms": NUMBER}`. `signature` is the table `[sources.NAME.signature]` of the settings. `method`, `target`
//! (path and query), `public_base_url` and `shared_keys` (of Twilio) may follow. There is no second factor, and
//! short keys are accepted.

use std::collections::HashMap;
use std::io::{self, BufRead, Write};

use anyhow::Context;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use switchboard::authenticate::{Policy, RequestHead, Unverified, authenticate};
use switchboard::settings::{self, Inputs, LoadedSettings, Purpose};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    signature: Value,
    keys: Vec<String>,
    #[serde(default)]
    shared_keys: HashMap<String, String>,
    #[serde(default)]
    public_base_url: Option<String>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    target: Option<String>,
    headers: Vec<(String, String)>,
    body: String,
    time_ms: i64,
}

fn main() -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut policies = HashMap::new();
    for line in io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line?)?;
        writeln!(
            out,
            "{}",
            if is_accepted(&request, &mut policies)? { "accept" } else { "refuse" }
        )?;
    }
    out.flush().context("cannot write")
}

/// Policies by the text of their settings and their secrets; `None` for settings that are refused.
type Policies = HashMap<(String, Vec<String>), Option<Policy>>;

fn is_accepted(request: &Request, policies: &mut Policies) -> anyhow::Result<bool> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        // An HTTP server refuses a value that contains control characters.
        let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) else {
            return Ok(false);
        };
        headers.append(HeaderName::from_bytes(name.as_bytes())?, value);
    }
    let text = settings_of(request);
    let mut secrets: Vec<_> = request.shared_keys.values().cloned().collect();
    secrets.extend(request.keys.iter().cloned());
    let key = (text, secrets);
    if !policies.contains_key(&key) {
        let policy = load(&key.0, request)?;
        policies.insert(key.clone(), policy);
    }
    let Some(policy) = &policies[&key] else { return Ok(false) };
    let method = request.method.as_deref().unwrap_or("POST").parse::<Method>()?;
    // Neither does it accept such a target.
    let Ok(uri) = request.target.as_deref().unwrap_or("/").parse() else { return Ok(false) };
    let head = RequestHead::with_target(method, uri, headers, [127, 0, 0, 1].into(), None);
    let unverified = Unverified::new(head, STANDARD.decode(&request.body)?.into());
    let now = Timestamp::from_millisecond(request.time_ms)?;
    Ok(authenticate(unverified, policy, now).is_ok())
}

/// Returns the text of a settings file with one source.
fn settings_of(request: &Request) -> String {
    let secrets = (0..request.keys.len()).map(|at| format!("\"env:KEY_{at}\""));
    let secrets = secrets.collect::<Vec<_>>().join(", ");
    let mut signature = request.signature.clone();
    for (at, id) in sorted(&request.shared_keys).enumerate() {
        signature["shared_keys"][id] = format!("env:SHARED_{at}").into();
    }
    let url = request.public_base_url.as_ref();
    let url = url
        .map_or(String::new(), |url| format!("public_base_url = {}\n", Value::from(url.as_str())));
    format!(
        "[sources.test]\nplatform = \"retell\"\nsecrets = [{secrets}]\n{url}signature = {}\n",
        to_toml(&signature)
    )
}

fn sorted(keys: &HashMap<String, String>) -> impl Iterator<Item = &String> {
    let mut ids: Vec<_> = keys.keys().collect();
    ids.sort();
    ids.into_iter()
}

fn load(text: &str, request: &Request) -> anyhow::Result<Option<Policy>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("switchboard.toml");
    std::fs::write(&file, text)?;
    let keys = request.keys.iter().enumerate();
    let keys = keys.map(|(at, key)| (format!("KEY_{at}"), key.clone()));
    let shared = sorted(&request.shared_keys).enumerate();
    let shared = shared.map(|(at, id)| (format!("SHARED_{at}"), request.shared_keys[id].clone()));
    let environment = keys.chain(shared).collect();
    let inputs = Inputs { file: Some(file), environment, purpose: Purpose::Dev };
    let LoadedSettings { settings, report, .. } = settings::load(&inputs)?;
    if settings.is_none() {
        writeln!(io::stderr(), "{}", report.to_text(false))?;
    }
    Ok(settings.and_then(|mut settings| settings.sources.pop()).map(|source| source.policy))
}

/// Writes a value as TOML in one line. Strings of JSON are strings of TOML.
fn to_toml(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(key, value)| format!("{} = {}", Value::from(key.as_str()), to_toml(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(to_toml).collect::<Vec<_>>().join(", "))
        }
        scalar => scalar.to_string(),
    }
}
