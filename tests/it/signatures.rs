//! Signature schemes as values: the vectors of every platform, driven through the text of settings, and every
//! bit of a signed request.

mod jwt;
mod plivo;
mod sources;

use std::collections::{BTreeMap, HashMap};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use jiff::Timestamp;
use serde_json::{Value, json};
use switchboard::authenticate::{
    AuthError, Outgoing, Policy, RequestHead, Unverified, Verified, authenticate, check_head,
};
use switchboard::diagnostics::Report;
use switchboard::settings::Purpose;

use crate::support::app::{self, load_settings_with};

/// Files of vectors, with the number of their vectors.
const FILES: [(&str, usize); 6] = [
    ("vapi", 20),
    ("elevenlabs", 17),
    ("telnyx", 16),
    ("twilio", 32),
    ("openai", 20),
    ("generic", 27),
];

pub(crate) fn vectors(file: &str) -> Vec<Value> {
    let path = app::root().join(format!("tests/fixtures/vectors/{file}.json"));
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut file: Value = serde_json::from_slice(&text).expect("JSON");
    serde_json::from_value(file["vectors"].take()).expect("a list")
}

/// Writes a value as TOML in one line. Strings of JSON are strings of TOML.
pub(crate) fn to_toml(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members = members.iter();
            let members =
                members.map(|(key, value)| format!("{} = {}", json!(key), to_toml(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(to_toml).collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

/// Returns the settings of a source with this signature, keys and shared keys, and its environment.
fn settings_of(
    signature: &Value,
    keys: &[&str],
    shared_keys: &BTreeMap<String, String>,
    base: Option<&str>,
) -> (String, HashMap<String, String>) {
    let mut environment = HashMap::new();
    let mut references = Vec::new();
    for (at, key) in keys.iter().enumerate() {
        environment.insert(format!("KEY_{at}"), (*key).to_owned());
        references.push(format!("env:KEY_{at}"));
    }
    let mut signature = signature.clone();
    for (at, (id, key)) in shared_keys.iter().enumerate() {
        environment.insert(format!("SHARED_{at}"), key.clone());
        signature["shared_keys"][id] = json!(format!("env:SHARED_{at}"));
    }
    let base = base.map(|base| format!("public_base_url = {}\n", json!(base))).unwrap_or_default();
    let text = format!(
        "[sources.test]\nplatform = \"retell\"\nsecrets = {}\n{base}signature = {}\n",
        json!(references),
        to_toml(&signature)
    );
    (text, environment)
}

fn load(signature: &Value, keys: &[&str], base: Option<&str>) -> (Option<Policy>, Report) {
    load_with(signature, keys, &BTreeMap::new(), base)
}

/// Keys of vectors are short, which `--dev` accepts.
fn load_with(
    signature: &Value,
    keys: &[&str],
    shared_keys: &BTreeMap<String, String>,
    base: Option<&str>,
) -> (Option<Policy>, Report) {
    let (text, environment) = settings_of(signature, keys, shared_keys, base);
    let (settings, report) = load_settings_with(&text, Purpose::Dev, environment);
    (settings.map(|mut settings| settings.sources.remove(0).policy), report)
}

/// Returns the scheme of a vector as the settings write it. Vectors give every HMAC the tolerance of its
/// platform; without a timestamp in the message that is an error in settings, which this asserts.
fn signature_of(vector: &Value) -> Value {
    let mut signature = vector["scheme"].clone();
    let members = signature.as_object_mut().expect("an object");
    members.retain(|_, value| !value.is_null() && *value != json!(""));
    let message = members.get("message").and_then(Value::as_str).unwrap_or_default();
    let has_time = ["{timestamp}", "{t}", "{v}"].iter().any(|name| message.contains(name));
    if !message.is_empty() && !has_time && members.remove("tolerance_s").is_some() {
        members.remove("timestamp_unit");
        let mut written = json!({ "tolerance_s": 300 });
        written.as_object_mut().unwrap().extend(members.clone());
        let (policy, report) = load(&written, &["key"], Some("https://a.example"));
        assert!(policy.is_none() && report.to_text(false).contains("tolerance_s"), "{report}");
    }
    signature
}

/// A request that arrives.
#[derive(Clone)]
struct Arriving {
    method: Method,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Arriving {
    /// Returns the parts of a request as the listener reads them; `None` if HTTP refuses it.
    fn head(&self) -> Option<RequestHead> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            headers.append(name, HeaderValue::from_bytes(value).ok()?);
        }
        let uri: Uri = self.target.parse().ok()?;
        // The route is `/inbound/{source}/{token}`.
        let token = uri.path().split('/').nth(3).map(Into::into);
        Some(RequestHead::with_target(
            self.method.clone(),
            uri,
            headers,
            [127, 0, 0, 1].into(),
            token,
        ))
    }

    fn authenticate(&self, policy: &Policy, now: Timestamp) -> Result<Verified, AuthError> {
        let head = self.head().ok_or(AuthError::Malformed)?;
        let by_head = check_head(&head, policy, now);
        let result = authenticate(Unverified::new(head, self.body.clone().into()), policy, now);
        if let Err(reason) = by_head {
            assert_eq!(result.as_ref().err(), Some(&reason), "the head and the whole differ");
        }
        result
    }
}

fn request_of(vector: &Value) -> Arriving {
    let text = |key: &str| vector[key].as_str().expect("text").to_owned();
    let url = text("url");
    let (_, rest) = url.split_once("://").expect("a URL");
    let target = rest.find('/').map_or("/", |at| &rest[at..]);
    let headers = vector["headers"].as_object().expect("headers").iter();
    let headers = headers.map(|(name, value)| (name.clone(), value.as_str().expect("text").into()));
    Arriving {
        method: text("method").parse().expect("a method"),
        target: target.to_owned(),
        headers: headers.collect(),
        body: text("body").into_bytes(),
    }
}

/// Returns the base of the URL that the vector's platform knows.
fn base_of(vector: &Value) -> String {
    if let Some(base) = vector["public_base_url"].as_str() {
        return base.to_owned();
    }
    let url = vector["url"].as_str().expect("a URL");
    let (scheme, rest) = url.split_once("://").expect("a URL");
    format!("{scheme}://{}", rest.split('/').next().expect("a host"))
}

/// Returns how a vector is judged, as its `expect` writes it, and the reason.
fn judge(vector: &Value) -> (&'static str, String) {
    let keys: Vec<_> =
        vector["keys"].as_array().expect("keys").iter().filter_map(Value::as_str).collect();
    let shared_keys = serde_json::from_value(vector["shared_keys"].clone()).unwrap_or_default();
    let base = base_of(vector);
    let (policy, report) = load_with(&signature_of(vector), &keys, &shared_keys, Some(&base));
    let Some(policy) = policy else { return ("refuse", report.to_text(false)) };
    let now = Timestamp::from_second(vector["now_unix"].as_i64().expect("a time")).unwrap();
    match request_of(vector).authenticate(&policy, now) {
        Ok(_) => ("accept", String::new()),
        Err(reason) => ("refuse", reason.as_str().to_owned()),
    }
}

#[test]
fn every_vector_is_judged_as_it_expects() {
    let mut wrong = Vec::new();
    for (file, count) in FILES {
        let vectors = vectors(file);
        assert_eq!(vectors.len(), count, "{file}");
        for vector in vectors {
            let name = vector["name"].as_str().expect("a name").to_owned();
            let (judged, reason) = judge(&vector);
            if judged != vector["expect"] {
                wrong.push(format!("{file} {name}: {judged} {reason}"));
            }
            // Only an unusable key is refused by the settings; every other refusal is of the request.
            let by_settings = reason.contains("error[");
            assert_eq!(by_settings, name == "empty_key_configured", "{file} {name}: {reason}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

// ---- every bit of a signed request

const NOW: &str = "2026-11-26T13:33:20Z";
const BASE: &str = "https://hooks.example.net";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const CALL: &str = r#"{"call":{"from":"+441632960123","call_id":"c1"}}"#;

/// A signature, with a key, and what of a request it covers.
struct Case {
    signature: Value,
    key: &'static str,
    content_type: &'static str,
    body: &'static str,
    covers_body: bool,
    covers_target: bool,
}

impl Case {
    fn new(signature: Value, key: &'static str) -> Case {
        let (content_type, body) = (JSON, CALL);
        Case { signature, key, content_type, body, covers_body: true, covers_target: false }
    }

    fn sender_only(signature: Value, key: &'static str) -> Case {
        Case { covers_body: false, ..Case::new(signature, key) }
    }
}

const SECRET: &str = "key_0123456789abcdef";
const PRIVATE: &str = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn cases() -> Vec<Case> {
    let separate = |algorithm: &str, encoding: &str| {
        json!({
            "kind": "hmac", "algorithm": algorithm, "encoding": encoding, "signature_header": "x-sig",
            "timestamp_header": "x-time", "message": "{timestamp}.{body}", "prefix": "v1=",
        })
    };
    let whole = "{method} {url}|{path}|{query}|{id}|{timestamp}|{body}";
    let everything = json!({
        "kind": "hmac", "signature_header": "x-sig", "timestamp_header": "x-time", "id_header": "x-id",
        "timestamp_unit": "rfc3339", "message": whole,
    });
    let twilio = Case {
        content_type: FORM,
        body: "From=%2B441632960123&To=%2B15005550006&Body=++a+%C3%BC&Empty=",
        covers_target: true,
        ..Case::new(json!({ "kind": "twilio" }), SECRET)
    };
    let plivo = Case { signature: json!({ "kind": "plivo_v3" }), ..twilio };
    vec![
        Case::new(json!({ "kind": "retell" }), SECRET),
        Case::sender_only(json!({ "kind": "synthflow" }), SECRET),
        Case::new(separate("sha1", "hex"), SECRET),
        Case::new(separate("sha256", "base64"), SECRET),
        Case::new(separate("sha512", "hex"), SECRET),
        Case { covers_target: true, ..Case::new(everything, SECRET) },
        Case::new(
            json!({ "kind": "hmac", "header": "x-sig", "format": "t,v1", "message": "{t}.{body}" }),
            SECRET,
        ),
        Case::new(json!({ "kind": "ed25519" }), PRIVATE),
        Case::new(json!({ "kind": "standard_webhooks" }), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        Case::new(json!({ "kind": "standard_webhooks", "header_prefix": "svix-" }), PRIVATE),
        twilio,
        plivo,
        Case::new(json!({ "kind": "jwt", "body_claim": "payload_hash" }), SECRET),
        Case::sender_only(json!({ "kind": "jwt", "header": "x-token" }), SECRET),
        Case::sender_only(json!({ "kind": "shared", "header": "x-secret" }), SECRET),
        Case::sender_only(json!({ "kind": "bearer" }), SECRET),
        Case::sender_only(json!({ "kind": "basic" }), "user:password_0123456789"),
        Case { covers_target: true, ..Case::sender_only(json!({ "kind": "url_token" }), SECRET) },
        Case {
            covers_target: true,
            ..Case::sender_only(json!({ "kind": "url_token", "query": "token" }), SECRET)
        },
    ]
}

/// Signs a request as the platform of a case would.
fn signed(case: &Case, policy: &Policy, now: Timestamp) -> Arriving {
    let secrets = policy.secrets.load();
    let token = policy.scheme.url_token(&secrets.keys);
    let target = match token.map(|token| (token.parameter, token.token.expose().to_vec())) {
        Some((None, token)) => format!("/inbound/test/{}", String::from_utf8(token).unwrap()),
        Some((Some(name), token)) => {
            format!("/inbound/test?{name}={}", String::from_utf8(token).unwrap())
        }
        None if case.covers_target => "/inbound/test?tenant=t%2B1".to_owned(),
        None => "/inbound/test".to_owned(),
    };
    let content_type = HeaderValue::from_static(case.content_type);
    let mut headers = HeaderMap::from_iter([("content-type".parse().unwrap(), content_type)]);
    let outgoing = Outgoing { method: &Method::POST, target: &target, body: case.body.as_bytes() };
    policy.sign(&outgoing, now, &mut headers).expect("signable");
    let headers = headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    let headers = headers.collect();
    Arriving { method: Method::POST, target, headers, body: case.body.into() }
}

fn flips(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len() * 8).map(|bit| {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        changed
    })
}

/// Returns whether two texts differ in the case of hexadecimal digits or of an HTTP scheme alone, which means
/// the same.
fn is_same(kind: &str, a: &[u8], b: &[u8]) -> bool {
    let is_hex = kind == "hmac" || kind == "retell";
    let word = |text: &[u8]| text.iter().position(|byte| *byte == b' ').unwrap_or_default();
    match kind {
        "bearer" | "basic" | "jwt" => {
            let at = word(a);
            word(b) == at && a[..at].eq_ignore_ascii_case(&b[..at]) && a[at..] == b[at..]
        }
        // After the last `=` of `v1=`, `d=`.
        _ if is_hex => {
            let at = a.iter().rposition(|byte| *byte == b'=').map_or(0, |at| at + 1);
            let is_digits = a[at..].iter().all(u8::is_ascii_hexdigit);
            is_digits && a[..at] == b[..at] && a[at..].eq_ignore_ascii_case(&b[at..])
        }
        _ => false,
    }
}

/// Returns the pairs of a form, decoded and sorted: what Twilio and Plivo sign.
fn parameters(form: &[u8]) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = url::form_urlencoded::parse(form).into_owned().collect();
    pairs.sort();
    pairs
}

#[test]
fn every_flipped_bit_of_what_is_signed_is_refused() {
    let now: Timestamp = NOW.parse().unwrap();
    for case in cases() {
        let kind = case.signature["kind"].as_str().unwrap();
        let (policy, report) = load(&case.signature, &[case.key], Some(BASE));
        let policy = policy.unwrap_or_else(|| panic!("{report}"));
        let request = signed(&case, &policy, now);
        let is_accepted = |request: &Arriving| request.authenticate(&policy, now).is_ok();
        assert!(is_accepted(&request), "{}", case.signature);
        for (at, (name, value)) in request.headers.iter().enumerate() {
            if name == "content-type" {
                continue;
            }
            for changed in flips(value) {
                let same = is_same(kind, value, &changed);
                let mut request = request.clone();
                request.headers[at].1 = changed.clone();
                let text = String::from_utf8_lossy(&changed);
                assert_eq!(is_accepted(&request), same, "{} {name}: {text}", case.signature);
            }
        }
        for changed in flips(&request.body) {
            let same =
                case.content_type == FORM && parameters(&changed) == parameters(&request.body);
            let request = Arriving { body: changed, ..request.clone() };
            if case.covers_body {
                let text = String::from_utf8_lossy(&request.body);
                assert_eq!(is_accepted(&request), same, "{}: {text}", case.signature);
            }
        }
        for changed in flips(request.target.as_bytes()) {
            // Routing decides about the rest of the path.
            let start = "/inbound/test".len();
            let same_route = changed.starts_with(&request.target.as_bytes()[..start]);
            if !case.covers_target || (kind == "url_token" && !same_route) {
                continue;
            }
            let Ok(target) = String::from_utf8(changed) else { continue };
            // Plivo signs the query decoded: `%2b` is `%2B`.
            let [old, new] = [&request.target, &target].map(|target| target.split_once('?'));
            let same = kind == "plivo_v3"
                && old.zip(new).is_some_and(|((path, query), (new_path, new_query))| {
                    path == new_path
                        && parameters(query.as_bytes()) == parameters(new_query.as_bytes())
                });
            let request = Arriving { target, ..request.clone() };
            assert_eq!(is_accepted(&request), same, "{}: {}", case.signature, request.target);
        }
    }
}

#[test]
fn every_kind_is_among_the_cases() {
    let cases = cases();
    let kinds: std::collections::BTreeSet<_> =
        cases.iter().filter_map(|case| case.signature["kind"].as_str()).collect();
    let schema = switchboard::settings::json_schema();
    let kind = "/properties/sources/additionalProperties/properties/signature/properties/kind/enum";
    let all = schema.pointer(kind).and_then(Value::as_array).expect("kinds");
    let all = all.iter().filter_map(Value::as_str).filter(|kind| *kind != "none");
    assert_eq!(kinds, all.collect());
}
