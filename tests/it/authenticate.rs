//! Authentication: requests signed by the platforms' own SDKs, and every way to get a signature wrong.

use std::net::{IpAddr, Ipv4Addr};

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use switchboard::authenticate::{
    AuthError, AuthMethod, Mode, Policy, PolicySecrets, RequestHead, Unverified, authenticate,
};
use switchboard::dialect;
use switchboard::dialect::Incoming;
use switchboard::domain::party::NumberFormat;
use switchboard::domain::secret::Secret;

use crate::support::app::{
    self, NOW_MS, RETELL_KEY, SETTINGS, SYNTHFLOW_SECRET, URL_TOKEN, app, post, retell_call,
    retell_request, retell_request_at, root, sign,
};

fn vectors(name: &str) -> Value {
    let path = root().join("tests/fixtures/vectors").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn policy(platform: &str, keys: &[&str]) -> Policy {
    let scheme = dialect::by_name(platform).unwrap().scheme();
    let keys = keys.iter().map(|key| scheme.key(&Secret::new(*key)).unwrap()).collect();
    Policy {
        source: "test".into(),
        mode: Mode::Required,
        scheme,
        public_base_url: None,
        secrets: ArcSwap::from_pointee(PolicySecrets { keys, url_token: None }),
        allow_from: Vec::new(),
    }
}

fn verify(
    policy: &Policy,
    headers: &[(&'static str, &[u8])],
    body: &[u8],
    now_ms: i64,
) -> Result<AuthMethod, AuthError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        // A value that is invalid in a header never arrives.
        let Ok(value) = axum::http::HeaderValue::from_bytes(value) else {
            return Err(AuthError::Malformed);
        };
        map.insert(*name, value);
    }
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let request = Unverified::new(RequestHead::new(map, client, None), body.to_vec().into());
    let now = Timestamp::from_millisecond(now_ms).unwrap();
    authenticate(request, policy, now).map(|verified| verified.method())
}

fn retell(key: &str, header: &[u8], body: &[u8], now_ms: i64) -> Result<AuthMethod, AuthError> {
    verify(&policy("retell", &[key]), &[("x-retell-signature", header)], body, now_ms)
}

#[test]
fn accepts_requests_signed_by_retells_sdks() {
    let vectors = vectors("retell_vectors.json");
    let vectors = vectors["vectors"].as_array().unwrap();
    assert!(!vectors.is_empty());
    for vector in vectors {
        let (key, body) = (vector["api_key"].as_str().unwrap(), vector["body"].as_str().unwrap());
        let header = vector["header"].as_str().unwrap();
        let now = vector["verify_at_ms"].as_i64().unwrap();
        let method = retell(key, header.as_bytes(), body.as_bytes(), now);
        assert_eq!(method, Ok(AuthMethod::Signed("x-retell-signature")), "{}", vector["name"]);
        let ours = sign("retell", body.as_bytes(), vector["timestamp_ms"].as_i64().unwrap(), key);
        assert_eq!(
            ours,
            ("x-retell-signature", header.to_owned()),
            "our signature differs from the SDK's"
        );
    }
}

#[test]
fn parses_the_header_as_strictly_as_the_strictest_sdk() {
    let vectors = vectors("retell_vectors.json");
    for case in vectors["header_matrix"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let strictest = case["sdk_results"].as_object().unwrap().values().all(|r| r == true);
        let method = retell(
            case["api_key"].as_str().unwrap(),
            case["header"].as_str().unwrap().as_bytes(),
            case["body"].as_str().unwrap().as_bytes(),
            case["now_ms"].as_i64().unwrap(),
        );
        assert_eq!(method.is_ok(), strictest, "{name}: {method:?}");
    }
}

#[test]
fn accepts_synthflows_vectors_with_any_location_of_id_and_signature() {
    let policy = policy("synthflow", &[SYNTHFLOW_SECRET]);
    let bodies = |id: &str| {
        [
            format!(r#"{{"call":{{"call_id":"{id}"}}}}"#),
            format!(r#"{{"call_id":"{id}"}}"#),
            format!(r#"{{"event":"call_inbound","call_inbound":{{"call_id":"{id}"}}}}"#),
        ]
    };
    for vector in vectors("synthflow_vectors.json")["vectors"].as_array().unwrap() {
        let id = vector["call_id"].as_str().unwrap();
        let signature = vector["signature_base64"].as_str().unwrap().as_bytes();
        for header in [
            "synthflow-signature",
            "x-synthflow-signature",
            "http-synthflow-signature",
            "http_synthflow_signature",
        ] {
            for body in bodies(id) {
                let method = verify(&policy, &[(header, signature)], body.as_bytes(), 0);
                assert_eq!(method, Ok(AuthMethod::Signed(header)), "{body}");
            }
            for id_header in ["call_id", "call-id", "x-call-id", "x-synthflow-call-id"] {
                let headers = [(header, signature), (id_header, id.as_bytes())];
                assert_eq!(verify(&policy, &headers, b"{}", 0), Ok(AuthMethod::Signed(header)));
            }
        }
        let body = &bodies("another")[0];
        let method = verify(&policy, &[("synthflow-signature", signature)], body.as_bytes(), 0);
        assert_eq!(method, Err(AuthError::NoMatch));
    }
}

const BODY: &str = r#"{"event":"call_inbound","call_inbound":{"from_number":"+12137771234"}}"#;

/// Calls `check` with each copy of `bytes` that has one bit flipped.
fn every_flip(bytes: &[u8], mut check: impl FnMut(usize, &[u8])) {
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        check(bit / 8, &changed);
    }
}

#[test]
fn refuses_every_flipped_bit_of_header_and_body() {
    for request in 0..20 {
        let body = BODY.replace("1234", &format!("{request:04}"));
        let (_, header) = sign("retell", body.as_bytes(), NOW_MS, RETELL_KEY);
        let verify = |header: &[u8], body: &[u8]| retell(RETELL_KEY, header, body, NOW_MS);
        assert!(verify(header.as_bytes(), body.as_bytes()).is_ok());
        every_flip(body.as_bytes(), |_, changed| {
            assert!(verify(header.as_bytes(), changed).is_err(), "a changed body was accepted");
        });
        every_flip(header.as_bytes(), |at, changed| {
            let only_case = changed.eq_ignore_ascii_case(header.as_bytes())
                && at > header.find(',').unwrap() + 2;
            assert_eq!(
                verify(changed, body.as_bytes()).is_ok(),
                only_case,
                "{:?}",
                String::from_utf8_lossy(changed)
            );
        });
    }
}

#[test]
fn refuses_every_flipped_bit_of_synthflows_signature_and_id() {
    let policy = policy("synthflow", &[SYNTHFLOW_SECRET]);
    let id = "ebe4bd96-dcb1-4abd-9aa5-686877dab061";
    let body = |id: &[u8]| [br#"{"call_id":""#.as_slice(), id, br#""}"#].concat();
    let (header, signature) = sign("synthflow", &body(id.as_bytes()), 0, SYNTHFLOW_SECRET);
    let verify =
        |signature: &[u8], id: &[u8]| verify(&policy, &[(header, signature)], &body(id), 0);
    assert!(verify(signature.as_bytes(), id.as_bytes()).is_ok());
    every_flip(signature.as_bytes(), |_, changed| assert!(verify(changed, id.as_bytes()).is_err()));
    every_flip(id.as_bytes(), |_, changed| assert!(verify(signature.as_bytes(), changed).is_err()));
}

#[test]
fn accepts_timestamps_within_five_minutes_in_both_directions() {
    let (_, header) = sign("retell", BODY.as_bytes(), NOW_MS, RETELL_KEY);
    let at = |now_ms: i64| retell(RETELL_KEY, header.as_bytes(), BODY.as_bytes(), now_ms);
    assert!(at(NOW_MS + 300_000).is_ok());
    assert!(at(NOW_MS - 300_000).is_ok());
    assert_eq!(at(NOW_MS + 300_001), Err(AuthError::Stale { by_s: 1 }));
    assert_eq!(at(NOW_MS - 312_000), Err(AuthError::Stale { by_s: -12 }));
}

#[test]
fn reports_the_reason_of_a_failure() {
    let verify = |header: &str| retell(RETELL_KEY, header.as_bytes(), BODY.as_bytes(), NOW_MS);
    let digest = "0".repeat(64);
    assert_eq!(verify(&format!("v={},d={digest}", NOW_MS / 1000)), Err(AuthError::Seconds));
    assert_eq!(verify(&format!("v={NOW_MS},d={digest}")), Err(AuthError::NoMatch));
    for malformed in
        ["", "v=1", "d=,v=", &format!("v=,d={digest}"), &format!("v=12345678901234567,d={digest}")]
    {
        assert_eq!(verify(malformed), Err(AuthError::Malformed), "{malformed}");
    }
    let none =
        super::authenticate::verify(&policy("retell", &[RETELL_KEY]), &[], BODY.as_bytes(), NOW_MS);
    assert_eq!(none, Err(AuthError::Missing));
}

#[test]
fn accepts_both_keys_during_rotation() {
    let both = policy("retell", &["key_new_0123456789abcdef", RETELL_KEY]);
    for key in ["key_new_0123456789abcdef", RETELL_KEY] {
        let (name, header) = sign("retell", BODY.as_bytes(), NOW_MS, key);
        assert!(verify(&both, &[(name, header.as_bytes())], BODY.as_bytes(), NOW_MS).is_ok());
    }
    let (name, header) = sign("retell", BODY.as_bytes(), NOW_MS, "key_old_0123456789abcdef");
    let method = verify(&both, &[(name, header.as_bytes())], BODY.as_bytes(), NOW_MS);
    assert_eq!(method, Err(AuthError::NoMatch));
}

#[tokio::test]
async fn every_failure_receives_the_same_401() {
    let app = app(SETTINGS, app::RULES);
    let call = retell_call("+12137771234", "+12137771235");
    let call = call.as_bytes();
    let mut garbled = post("/inbound/retell", call);
    garbled.headers_mut().insert("x-retell-signature", "v=1,d=2".parse().unwrap());
    let id = br#"{"call_inbound":{"call_id":"1"}}"#;
    let refused = [
        post("/inbound/retell", call),
        garbled,
        retell_request_at("/inbound/retell", call, NOW_MS - 400_000, RETELL_KEY),
        retell_request_at("/inbound/retell", call, NOW_MS, "key_of_somebody_else"),
        post("/inbound/retell", b"not even JSON"),
        post("/inbound/synthflow", id),
        post("/inbound/synthflow/wrong", b"{}"),
        post(&format!("/inbound/synthflow/{URL_TOKEN}"), id),
    ];
    let mut bodies = Vec::new();
    for request in refused {
        let answer = app.send(request).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        bodies.push(answer.body);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "the bodies of 401 responses differ");
    let metrics = app.metrics().await;
    for reason in ["missing", "malformed", "stale", "no_match"] {
        let line = format!(r#"switchboard_refused_total{{source="retell",reason="{reason}"}}"#);
        let counted = metrics.lines().find(|found| found.starts_with(&line)).unwrap();
        assert!(!counted.ends_with(" 0"), "{counted}");
    }
    assert!(metrics.contains(r#"switchboard_refused_total{source="synthflow",reason="token"} 2"#));
}

#[tokio::test]
async fn synthflow_without_a_call_id_needs_a_second_factor() {
    let inbound = r#"{"event":"call_inbound","call_inbound":{"from_number":"+12137771234"}}"#;
    let with_token = app(SETTINGS, app::RULES).synthflow(inbound).await;
    assert_eq!(with_token.status, StatusCode::OK);
    let bare =
        "[sources.synthflow]\nplatform = \"synthflow\"\nsecrets = [\"env:SYNTHFLOW_SECRET\"]\n";
    let bare_app = app(bare, app::RULES);
    let answer = bare_app.send(post("/inbound/synthflow", inbound.as_bytes())).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(bare_app.metrics().await.contains(r#"reason="no_call_id"} 1"#));
    let listed = app(&format!("{bare}allow_from = [\"127.0.0.0/8\"]\n"), app::RULES);
    let answer = listed.send(post("/inbound/synthflow", inbound.as_bytes())).await;
    assert_eq!(answer.status, StatusCode::OK);
}

/// Synthflow sends the webhooks of subaccounts without a signature.
#[tokio::test]
async fn a_signature_may_be_missing_beside_a_second_factor_but_not_wrong() {
    let settings = "[sources.synthflow]\nplatform = \"synthflow\"\nsecrets = [\"env:SYNTHFLOW_SECRET\"]\n\
                    url_token = \"env:URL_TOKEN\"\nauth = \"when-present\"\n";
    let event = r#"{"status":"completed","call":{"call_id":"c1"}}"#;
    let path = format!("/events/synthflow/{}", URL_TOKEN);
    let (_, valid) = sign("synthflow", event.as_bytes(), NOW_MS, SYNTHFLOW_SECRET);
    let (_, wrong) = sign("synthflow", event.as_bytes(), NOW_MS, "another-secret-0123456789");
    for (path, signature, status) in [
        (&*path, None, StatusCode::OK),
        (&*path, Some(&valid), StatusCode::OK),
        (&*path, Some(&wrong), StatusCode::UNAUTHORIZED),
        (&*path, Some(&"?".to_owned()), StatusCode::UNAUTHORIZED),
        ("/events/synthflow/wrong-token", None, StatusCode::UNAUTHORIZED),
    ] {
        for (auth, unsigned) in
            [("when-present", StatusCode::OK), ("required", StatusCode::UNAUTHORIZED)]
        {
            let app = app(&settings.replace("when-present", auth), app::RULES);
            let mut request = post(path, event.as_bytes());
            if let Some(signature) = signature {
                let header = signature.parse().unwrap();
                request.headers_mut().insert("synthflow-signature", header);
            }
            let expected =
                if signature.is_none() && status == StatusCode::OK { unsigned } else { status };
            assert_eq!(app.send(request).await.status, expected, "{auth} {path} {signature:?}");
        }
    }
}

#[test]
fn synthflows_dialect_finds_the_call_id_that_was_verified() {
    let dialect = dialect::by_name("synthflow").unwrap();
    let policy = policy("synthflow", &[SYNTHFLOW_SECRET]);
    let now = Timestamp::from_millisecond(NOW_MS).unwrap();
    for (body, expected) in [
        (r#"{"event":"call_inbound","call_inbound":{"call_id":"a","call_id":"b"}}"#, "b"),
        (r#"{"event":"call_inbound","call_id":"a","call_inbound":{"call_id":"b"}}"#, "a"),
        (r#"{"event":"call_inbound","\ud800":1,"call_inbound":{"call_id":"b"}}"#, "b"),
        (r#"{"call_inbound":1,"event":"call_inbound","call_inbound":{"call_id":"b"}}"#, "b"),
        (r#"{"event":"call_inbound","call":{"call_id":"a"},"call_inbound":{"call_id":"b"}}"#, "a"),
        (r#"{"event":"call_inbound","call":{"call_id":""},"call_id":7,"call_inbound":{}}"#, "7"),
        (r#"{"event":"call_inbound","call_inbound":{"call_id":{}},"call_id":"a"}"#, "a"),
    ] {
        let authenticated = |signed_id: &str| {
            let signed = json!({ "call_id": signed_id }).to_string();
            let (name, value) = sign("synthflow", signed.as_bytes(), NOW_MS, SYNTHFLOW_SECRET);
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
            let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
            let head = RequestHead::new(headers, client, None);
            authenticate(Unverified::new(head, body.into()), &policy, now)
        };
        for id in ["a", "b", "7"].into_iter().filter(|id| *id != expected) {
            assert_eq!(authenticated(id).err(), Some(AuthError::NoMatch), "{body} signed for {id}");
        }
        let verified = authenticated(expected).unwrap();
        let Ok(Incoming::Inbound(call)) = dialect.parse(&verified, &NumberFormat::default()) else {
            panic!("{body}")
        };
        assert_eq!(call.call_id(), Some(expected), "{body}");
    }
}

#[tokio::test]
async fn observe_mode_answers_and_counts_would_be_refusals() {
    let settings =
        SETTINGS.replace("\n[sources.synthflow]", "auth = \"observe\"\n[sources.synthflow]");
    let app = app(&settings, app::RULES);
    let call = retell_call("+12137771234", "+12137771235");
    let unsigned = app.send(post("/inbound/retell", call.as_bytes())).await;
    let signed = app.retell(&call).await;
    assert_eq!((unsigned.status, &unsigned.body), (StatusCode::OK, &signed.body));
    let metrics = app.metrics().await;
    assert!(metrics.contains(r#"switchboard_observed_total{source="retell",reason="missing"} 1"#));
    assert!(metrics.contains(r#"switchboard_refused_total{source="retell",reason="missing"} 0"#));
}

#[tokio::test]
async fn a_second_factor_applies_even_with_auth_off() {
    let settings =
        SETTINGS.replace("platform = \"synthflow\"", "platform = \"synthflow\"\nauth = \"off\"");
    let app = app(&settings, app::RULES);
    let with_id = r#"{"event":"call_inbound","call_inbound":{"call_id":"1"}}"#;
    assert_eq!(app.synthflow(with_id).await.status, StatusCode::OK);
    let wrong = app.send(post("/inbound/synthflow/wrong", with_id.as_bytes())).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn allow_from_applies_to_the_address_behind_trusted_proxies() {
    let settings = format!("[server]\ntrusted_proxies = [\"127.0.0.1\"]\n{SETTINGS}")
        .replace("\n[sources.synthflow]", "allow_from = [\"100.20.5.228\"]\n[sources.synthflow]");
    let app = app(&settings, app::RULES);
    let call = retell_call("+12137771234", "+12137771235");
    let from = |address: &str| -> Request<Body> {
        let mut request = retell_request("/inbound/retell", call.as_bytes());
        request.headers_mut().insert("x-forwarded-for", address.parse().unwrap());
        request
    };
    assert_eq!(app.send(from("100.20.5.228")).await.status, StatusCode::OK);
    assert_eq!(app.send(from("100.20.5.229")).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(app.send(from("100.20.5.228, 100.20.5.229")).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(app.retell(&call).await.status, StatusCode::UNAUTHORIZED, "the proxy itself");
}
