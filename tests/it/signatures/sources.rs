//! Sources whose signature the settings describe: rotation, combinations, shared keys, and the listener.

use std::collections::{BTreeMap, HashMap};

use axum::http::{HeaderMap, Method};
use jiff::Timestamp;
use serde_json::json;
use switchboard::authenticate::{AuthError, Outgoing};
use switchboard::settings::Purpose;

use super::{Arriving, BASE, Case, FORM, NOW, PRIVATE, SECRET, cases, load, load_with, signed};
use crate::support::app::{self, load_settings_with};

const RULES: &str = "[[rule]]\nname = \"all\"\nreject = \"closed\"\n";

fn environment() -> HashMap<String, String> {
    let pairs = [
        ("SECRET", SECRET),
        ("TOKEN", app::URL_TOKEN),
        ("USER", "user:password_0123456789"),
        ("PRIVATE", PRIVATE),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// Returns the settings of a source `test` with these lines.
fn source(lines: &str) -> String {
    format!("[sources.test]\nplatform = \"retell\"\n{lines}\n")
}

#[tokio::test]
async fn every_scheme_of_a_combination_must_hold() {
    let settings = source(
        r#"signature = { all = [
            { kind = "url_token", secrets = ["env:TOKEN"] },
            { kind = "basic", secrets = ["env:USER"] },
            { kind = "hmac", signature_header = "x-sig", message = "{body}", secrets = ["env:SECRET"] },
        ] }"#,
    );
    let app = app::app_with(&settings, RULES, environment());
    let policy = &app.app.endpoint("test").unwrap().source.policy;
    let call = app::retell_call("+12137771234", "+12137771235");
    let path = format!("/inbound/test/{}", app::URL_TOKEN);
    let outgoing = Outgoing { method: &Method::POST, target: &path, body: call.as_bytes() };
    let mut headers = HeaderMap::new();
    policy.sign(&outgoing, NOW.parse().unwrap(), &mut headers).unwrap();
    let send = async |path: &str, headers: &HeaderMap| {
        let mut request = app::post(path, call.as_bytes());
        request.headers_mut().extend(headers.clone());
        app.send(request).await
    };
    assert_eq!(send(&path, &headers).await.status, 200);
    assert_eq!(send("/inbound/test/other_token_01234", &headers).await.status, 401);
    assert_eq!(send("/inbound/test", &headers).await.status, 401);
    for missing in ["x-sig", "authorization"] {
        let mut headers = headers.clone();
        headers.remove(missing);
        assert_eq!(send(&path, &headers).await.status, 401, "{missing}");
    }
}

#[tokio::test]
async fn a_refusal_names_the_scheme_of_http() {
    for (lines, challenge) in [
        ("secrets = [\"env:USER\"]\nsignature = { kind = \"basic\" }", Some("Basic realm=")),
        ("secrets = [\"env:SECRET\"]\nsignature = { kind = \"bearer\" }", Some("Bearer")),
        ("secrets = [\"env:SECRET\"]\nsignature = { kind = \"bearer\", header = \"x-a\" }", None),
        ("secrets = [\"env:SECRET\"]", None),
    ] {
        let app = app::app_with(&source(lines), RULES, environment());
        let answer = app.send(app::post("/inbound/test", b"{}")).await;
        assert_eq!(answer.status, 401);
        let found = answer.headers.get("www-authenticate").map(|value| value.to_str().unwrap());
        assert_eq!(found.is_some(), challenge.is_some(), "{lines}");
        assert!(found.unwrap_or_default().starts_with(challenge.unwrap_or_default()), "{lines}");
    }
}

#[tokio::test]
async fn a_signature_covers_the_target_as_it_was_sent() {
    let settings = source(
        "secrets = [\"env:SECRET\"]\npublic_base_url = \"https://hooks.example.net/\"\nsignature = { \
         kind = \"hmac\", signature_header = \"x-sig\", message = \"{method} {url} {body}\" }",
    );
    let app = app::app_with(&settings, RULES, environment());
    let policy = &app.app.endpoint("test").unwrap().source.policy;
    assert_eq!(policy.public_base_url.as_deref(), Some(BASE));
    let call = app::retell_call("+12137771234", "+12137771235");
    // The router removes doubled slashes, and decodes escapes.
    for target in ["/inbound/test", "/inbound//test/", "/inbound/test?a=%2b+'&&b"] {
        let outgoing = Outgoing { method: &Method::POST, target, body: call.as_bytes() };
        let mut headers = HeaderMap::new();
        policy.sign(&outgoing, NOW.parse().unwrap(), &mut headers).unwrap();
        for sent in ["/inbound/test", "/inbound//test/", "/inbound/test?a=%2b+'&&b"] {
            let mut request = app::post(sent, call.as_bytes());
            request.headers_mut().extend(headers.clone());
            let expected = if sent == target { 200 } else { 401 };
            assert_eq!(app.send(request).await.status, expected, "{target} as {sent}");
        }
    }
}

#[test]
fn a_request_tells_its_query_and_media_type() {
    let (policy, report) = load(&json!({ "kind": "bearer" }), &[SECRET], None);
    let policy = policy.unwrap_or_else(|| panic!("{report}"));
    let authorization = ("authorization".to_owned(), format!("Bearer {SECRET}").into_bytes());
    let verified_by = |method: Method, target: &str, content_type: &str| {
        let content_type = ("content-type".to_owned(), content_type.as_bytes().to_vec());
        let headers = vec![authorization.clone(), content_type];
        let request = Arriving { method, target: target.to_owned(), headers, body: Vec::new() };
        request
            .authenticate(&policy, NOW.parse().unwrap())
            .unwrap_or_else(|error| panic!("{error}"))
    };
    let verified =
        |target: &str, content_type: &str| verified_by(Method::GET, target, content_type);
    let request = verified("/inbound/test?a=%2B1&b", "Application/JSON; charset=UTF-8");
    assert_eq!(request.query(), Some("a=%2B1&b"));
    assert_eq!(request.content_type().as_deref(), Some("application/json"));
    assert_eq!(request.content(), b"a=%2B1&b");
    // No signature over the body alone covers the query.
    let posted = verified_by(Method::POST, "/inbound/test?a=%2B1&b", "text/plain");
    assert_eq!(posted.content(), b"");
    let request = verified("/inbound/test", " ;x");
    assert_eq!((request.query(), request.content_type()), (None, None));
}

#[test]
fn keys_rotate_for_every_kind() {
    let now: Timestamp = NOW.parse().unwrap();
    for case in cases() {
        let other = match case.key {
            PRIVATE => "whsk_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=",
            key if key.contains(':') => "user:another_password_01",
            key if key.starts_with("whsec_") => {
                "whsec_Z2VuZXJpYy1zdGFuZGFyZC13ZWJob29rcy1rZXktMzI="
            }
            _ => "another_key_0123456789",
        };
        let load = |keys: &[&str]| load(&case.signature, keys, Some(BASE)).0.expect("a policy");
        let request = signed(&case, &load(&[case.key]), now);
        for (keys, accepted) in
            [(&[other, case.key][..], true), (&[case.key, other], true), (&[other], false)]
        {
            let is_accepted = request.authenticate(&load(keys), now).is_ok();
            assert_eq!(is_accepted, accepted, "{} {keys:?}", case.signature);
        }
    }
}

#[test]
fn a_source_without_secrets_plays_its_platform_with_the_key_dev() {
    let now: Timestamp = NOW.parse().unwrap();
    for case in cases() {
        let load = || load(&case.signature, &[], Some(BASE)).0.expect("a policy");
        let request = signed(&case, &load(), now);
        assert!(request.authenticate(&load(), now).is_ok(), "{}", case.signature);
    }
}

#[test]
fn a_request_that_names_a_shared_key_is_verified_with_it_alone() {
    let signature = json!({ "kind": "twilio" });
    let shared =
        BTreeMap::from([("webhooks_sharedkey_1".to_owned(), "shared_0123456789ab".into())]);
    let load =
        |keys: &[&str]| load_with(&signature, keys, &shared, Some(BASE)).0.expect("a policy");
    let (only_shared, both) = (load(&[]), load(&[SECRET]));
    let case = Case {
        covers_target: true,
        content_type: FORM,
        body: "a=1",
        ..Case::new(signature.clone(), SECRET)
    };
    let now: Timestamp = NOW.parse().unwrap();
    let request = signed(&case, &only_shared, now);
    let settings = "x-twilio-webhooks-signature-settings";
    assert!(request.headers.iter().any(|(name, _)| name == settings));
    assert!(request.authenticate(&both, now).is_ok());
    let with = |value: Option<&str>| {
        let mut request = request.clone();
        request.headers.retain(|(name, _)| name != settings);
        request.headers.extend(value.map(|value| (settings.to_owned(), value.into())));
        request.authenticate(&both, now).err()
    };
    assert_eq!(with(None), Some(AuthError::Malformed), "SHA-1 has 20 bytes");
    assert_eq!(with(Some("key=other,algorithm=HMAC_SHA256")), Some(AuthError::UnknownKey));
    assert_eq!(with(Some("key=webhooks_sharedkey_1,algorithm=NONE")), Some(AuthError::UnknownKey));
    assert_eq!(with(Some("key=webhooks_sharedkey_1")), Some(AuthError::Malformed));
    assert_eq!(with(Some("algorithm=HMAC_SHA256, key=webhooks_sharedkey_1,new=1")), None);
}

#[test]
fn too_many_signatures_are_refused_before_any_is_compared() {
    let signature = json!({ "kind": "hmac", "signature_header": "x-sig", "message": "{body}", "list_separator": "," });
    let policy = load(&signature, &[SECRET], None).0.expect("a policy");
    let case = Case::new(signature, SECRET);
    let now: Timestamp = NOW.parse().unwrap();
    let request = signed(&case, &policy, now);
    let at = request.headers.iter().position(|(name, _)| name == "x-sig").unwrap();
    let with = |others: usize| {
        let mut request = request.clone();
        let value = String::from_utf8(request.headers[at].1.clone()).unwrap();
        request.headers[at].1 = format!("{}{value}", "00, ".repeat(others)).into_bytes();
        request.authenticate(&policy, now).map(drop)
    };
    assert_eq!(with(0), Ok(()));
    assert_eq!(with(15), Ok(()));
    assert_eq!(with(16), Err(AuthError::Malformed));
}

#[test]
fn the_examples_of_the_documentation_are_valid() {
    let page = std::fs::read_to_string(app::root().join("docs/signatures.md")).expect("the page");
    let blocks = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let variables = [
        ("KEY", "key_0123456789abcdef"),
        ("OLD_KEY", "key_abcdef0123456789"),
        ("BASE64_KEY", "a2V5XzAxMjM0NTY3ODlhYmNkZWY="),
        ("PUBLIC_KEY", "JxrnALKNHwnMeWFOOQPUdj+JCJeUeVMMBNdMJdONEKY="),
        ("WHSEC", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("TOKEN", app::URL_TOKEN),
        ("API_KEY", "sk_0123456789abcdef"),
    ];
    let mut kinds = std::collections::BTreeSet::new();
    for block in blocks {
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (settings, report) = load_settings_with(block, Purpose::Serve, variables.into());
        assert!(report.diagnostics().is_empty(), "{block}\n{}", report.to_text(false));
        let sources = settings.expect("valid settings").sources;
        kinds.extend(sources.iter().map(|source| source.policy.scheme.kind()));
    }
    let expected = [
        "all",
        "ed25519",
        "hmac",
        "jwt",
        "plivo_v3",
        "shared",
        "standard_webhooks",
        "twilio",
        "url_token",
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
}
