//! Verifies signed requests from standard input, one JSON object a line, and prints `accept` or `refuse`
//! for each. `tests/differential` compares these answers with those of the platforms' own libraries.
//!
//! A line is `{"signature": {"kind": "retell"}, "keys": [TEXT, …], "headers": [[NAME, VALUE], …], "body": BASE64,
//! "time_ms": NUMBER}`. `signature` is the table `[sources.NAME.signature]` of the settings. `method`, `target`
//! (path and query), `public_base_url` and `shared_keys` (of Twilio) may follow. There is no second factor.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead, Write};
use std::sync::Arc;

use anyhow::Context;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use switchboard::authenticate::{
    Key, Policy, PolicySecrets, RequestHead, Unverified, authenticate,
};
use switchboard::domain::secret::Secret;
use switchboard::settings::{self, Inputs, LoadedSettings, Purpose};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    signature: Value,
    keys: Vec<String>,
    #[serde(default)]
    shared_keys: BTreeMap<String, String>,
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
    let shared = request.shared_keys.iter().flat_map(|(id, key)| [id.clone(), key.clone()]);
    let key = (text, request.keys.iter().cloned().chain(shared).collect());
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
    let base = request.public_base_url.as_deref();
    let base =
        base.map_or(String::new(), |base| format!("public_base_url = {}\n", Value::from(base)));
    format!(
        "[sources.test]\nplatform = \"retell\"\n{base}signature = {}\n",
        to_toml(&request.signature)
    )
}

/// Loads the policy of a request; `None` if the settings or a key are refused. The keys do not pass through
/// the settings, which refuse those that were copied with something around them.
fn load(text: &str, request: &Request) -> anyhow::Result<Option<Policy>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("switchboard.toml");
    std::fs::write(&file, text)?;
    let inputs = Inputs { file: Some(file), environment: HashMap::new(), purpose: Purpose::Dev };
    let LoadedSettings { settings, report, .. } = settings::load(&inputs)?;
    let Some(source) = settings.and_then(|mut settings| settings.sources.pop()) else {
        writeln!(io::stderr(), "{}", report.to_text(false))?;
        return Ok(None);
    };
    let policy = source.policy;
    let keys = request.keys.iter().map(|key| policy.scheme.key(&Secret::new(key.as_str())));
    let Ok(mut keys) = keys.collect::<Result<Vec<_>, _>>() else { return Ok(None) };
    let shared = request.shared_keys.iter();
    keys.extend(shared.map(|(id, key)| Key::twilio_shared(id, &Secret::new(key.as_str()))));
    policy.secrets.store(Arc::new(PolicySecrets { keys, url_token: None }));
    Ok(Some(policy))
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
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}
