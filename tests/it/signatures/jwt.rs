//! JSON Web Tokens: the example of RFC 7515, and tokens of every wrong form.

use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use switchboard::authenticate::{AuthError, Policy};

use super::{Arriving, CALL, NOW, SECRET, load};

/// RFC 7515, appendix A.1, and its key in the standard alphabet.
const RFC_TOKEN: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
    eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
    dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const RFC_KEY: &str =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ+EstJQLr/T+1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow==";
const RFC_EXPIRES: i64 = 1_300_819_380;

fn policy(signature: &Value, key: &str) -> Policy {
    load(signature, &[key], None).0.expect("a policy")
}

fn request(value: &str, body: &str) -> Arriving {
    let headers = vec![("authorization".to_owned(), value.into())];
    Arriving { method: Method::POST, target: "/inbound/test".into(), headers, body: body.into() }
}

/// Signs a token with HS256, whatever its header says.
fn token(head: &Value, claims: &Value) -> String {
    let message = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

fn now_s() -> i64 {
    NOW.parse::<Timestamp>().unwrap().as_second()
}

#[test]
fn the_example_of_the_rfc_is_valid_until_it_expires() {
    let signature = json!({ "kind": "jwt", "key_encoding": "base64", "tolerance_s": 60 });
    let policy = policy(&signature, RFC_KEY);
    let check = |after: i64, token: &str| {
        let now = Timestamp::from_second(RFC_EXPIRES + after).unwrap();
        request(token, "{}").authenticate(&policy, now).map(drop)
    };
    assert_eq!(check(-1, RFC_TOKEN), Ok(()));
    assert_eq!(check(-1, &format!("bEARER {RFC_TOKEN}")), Ok(()));
    assert_eq!(check(60, RFC_TOKEN), Ok(()));
    assert_eq!(check(61, RFC_TOKEN), Err(AuthError::Stale { by_s: 1 }));
}

#[test]
fn the_settings_fix_the_algorithm() {
    let policy = policy(&json!({ "kind": "jwt" }), SECRET);
    let claims = json!({ "iat": now_s() });
    let check =
        |value: &str| request(value, CALL).authenticate(&policy, NOW.parse().unwrap()).map(drop);
    let with = |head: Value| check(&token(&head, &claims));
    assert_eq!(with(json!({ "alg": "HS256" })), Ok(()));
    assert_eq!(with(json!({ "alg": "HS256", "kid": "x", "typ": "at+jwt" })), Ok(()));
    for other in ["none", "None", "hs256", "HS512", "RS256", "ES256", ""] {
        assert_eq!(with(json!({ "alg": other })), Err(AuthError::UnknownKey), "{other}");
    }
    assert_eq!(with(json!({})), Err(AuthError::UnknownKey));
    assert_eq!(with(json!({ "alg": null })), Err(AuthError::UnknownKey));
    assert_eq!(with(json!({ "alg": "HS256", "crit": ["b64"] })), Err(AuthError::Malformed));

    let valid = token(&json!({ "alg": "HS256" }), &claims);
    let unsigned = valid.rsplit_once('.').unwrap().0;
    for wrong in [
        unsigned,
        &format!("{unsigned}."),
        &format!("{valid}."),
        &format!("{valid}="),
        &format!("{valid}A"),
        &format!(" {valid}"),
        "Bearer",
        "a.b.c",
        "...",
    ] {
        assert_eq!(check(wrong), Err(AuthError::Malformed), "{wrong}");
    }
    assert_eq!(check(""), Err(AuthError::Missing));
    let twice = Arriving {
        headers: vec![("authorization".to_owned(), valid.clone().into()); 2],
        ..request(&valid, CALL)
    };
    let refused = twice.authenticate(&policy, NOW.parse().unwrap()).err();
    assert_eq!(refused, Some(AuthError::Malformed));
}

#[test]
fn the_times_of_a_token_are_checked() {
    let policy = policy(&json!({ "kind": "jwt", "tolerance_s": 100 }), SECRET);
    let check = |claims: Value| {
        let token = token(&json!({ "alg": "HS256" }), &claims);
        request(&token, CALL).authenticate(&policy, NOW.parse().unwrap()).map(drop)
    };
    let at = |seconds: i64| now_s() + seconds;
    for valid in [
        json!({ "iat": at(-100) }),
        json!({ "iat": at(100) }),
        json!({ "iat": at(0), "nbf": at(100), "exp": at(-100) }),
        json!({ "exp": at(1) }),
        json!({ "nbf": 0, "exp": at(600) }),
        serde_json::from_str(&format!(r#"{{"iat":{}.5,"exp":{}e0}}"#, at(0), at(9))).unwrap(),
    ] {
        assert_eq!(check(valid.clone()), Ok(()), "{valid}");
    }
    for (stale, by_s) in [
        (json!({ "iat": at(-101) }), 1),
        (json!({ "iat": at(102) }), -2),
        (json!({ "iat": at(0), "exp": at(-101) }), 1),
        (json!({ "iat": at(0), "nbf": at(101) }), -1),
    ] {
        assert_eq!(check(stale.clone()), Err(AuthError::Stale { by_s }), "{stale}");
    }
    // A time that cannot be read is not left out.
    for malformed in [
        json!({}),
        json!({ "nbf": at(0) }),
        json!({ "iat": null }),
        json!({ "iat": at(0).to_string() }),
        json!({ "iat": at(0), "exp": "never" }),
        json!({ "iat": at(0), "exp": [at(9)] }),
    ] {
        assert_eq!(check(malformed.clone()), Err(AuthError::Malformed), "{malformed}");
    }
    let milliseconds = check(json!({ "iat": at(0) * 1000 }));
    assert_eq!(milliseconds, Err(AuthError::Milliseconds));
}

#[test]
fn a_claim_proves_the_body() {
    let hash = Sha256::digest(CALL);
    let check = |signature: Value, claim: Value, body: &str| {
        let claims = json!({ "iat": now_s(), "hash": claim });
        let token = token(&json!({ "alg": "HS256" }), &claims);
        let policy = policy(&signature, SECRET);
        request(&token, body).authenticate(&policy, NOW.parse().unwrap()).map(drop)
    };
    let hex = json!({ "kind": "jwt", "body_claim": "hash" });
    let base64 = json!({ "kind": "jwt", "body_claim": "hash", "encoding": "base64" });
    let standard = base64::engine::general_purpose::STANDARD.encode(hash);
    assert_eq!(check(hex.clone(), json!(hex::encode(hash)), CALL), Ok(()));
    assert_eq!(check(hex.clone(), json!(hex::encode_upper(hash)), CALL), Ok(()));
    assert_eq!(check(base64.clone(), json!(standard), CALL), Ok(()));
    for (signature, claim, body) in [
        (&hex, json!(hex::encode(hash)), "{}"),
        (&hex, json!(standard), CALL),
        (&base64, json!(hex::encode(hash)), CALL),
        (&hex, json!(null), CALL),
        (&hex, json!(""), CALL),
        (&hex, json!([hex::encode(hash)]), CALL),
    ] {
        let refused = check(signature.clone(), claim.clone(), body);
        assert_eq!(refused, Err(AuthError::BodyHash), "{claim}");
    }
    // Without the claim the token does not prove the body, which the settings warn of.
    assert_eq!(check(json!({ "kind": "jwt" }), json!(""), "{}"), Ok(()));
}

#[test]
fn the_encoding_belongs_to_the_claim() {
    let (policy, report) = load(&json!({ "kind": "jwt", "encoding": "hex" }), &[SECRET], None);
    assert!(policy.is_none());
    assert!(report.to_text(false).contains("without `body_claim`"), "{report}");
}
