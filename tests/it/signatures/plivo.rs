//! Version 3 of Plivo's signature, compared with what Plivo's library for Node signs.

use axum::http::Method;
use serde_json::json;
use switchboard::authenticate::{AuthError, Policy};

use super::{Arriving, BASE, FORM, NOW, load};

const KEY: &str = "plivo-token";
const NONCE: &str = "12345678901234567890";
/// `/a?d=%2B4&c=3` with the form `b=2&a=1&a=0`.
const SIGNATURE: &str = "dBHtvOCBC+m9vkk2DIAwIjG1PCn8mNO6+qWgzUCIovg=";

fn policy() -> Policy {
    load(&json!({ "kind": "plivo_v3" }), &[KEY], Some(BASE)).0.expect("a policy")
}

fn request(target: &str, body: &str, signature: &str, nonce: Option<&str>) -> Arriving {
    let mut headers = vec![
        ("content-type".to_owned(), FORM.into()),
        ("x-plivo-signature-v3".to_owned(), signature.into()),
    ];
    headers.extend(nonce.map(|nonce| ("x-plivo-signature-v3-nonce".to_owned(), nonce.into())));
    Arriving { method: Method::POST, target: target.to_owned(), headers, body: body.into() }
}

#[track_caller]
fn check(request: &Arriving, expected: Result<(), AuthError>) {
    assert_eq!(request.authenticate(&policy(), NOW.parse().unwrap()).map(drop), expected);
}

#[test]
fn the_order_of_parameters_means_nothing() {
    for (target, body) in [("/a?d=%2B4&c=3", "b=2&a=1&a=0"), ("/a?c=3&d=%2b4", "a=0&a=1&b=2")] {
        check(&request(target, body, SIGNATURE, Some(NONCE)), Ok(()));
    }
    for (target, body) in [
        ("/a?d=%2B4", "b=2&a=1&a=0"),
        ("/a?d=%2B4&c=3", "b=2&a=1"),
        ("/a/?d=%2B4&c=3", "b=2&a=1&a=0"),
    ] {
        check(&request(target, body, SIGNATURE, Some(NONCE)), Err(AuthError::NoMatch));
    }
}

#[test]
fn a_nonce_is_signed_and_any_of_several_signatures_may_match() {
    let with = |signature: &str, nonce| request("/a?d=%2B4&c=3", "b=2&a=1&a=0", signature, nonce);
    let other = format!("{},{SIGNATURE}", SIGNATURE.replace(&SIGNATURE[..4], "AAAA"));
    check(&with(&other, Some(NONCE)), Ok(()));
    check(&with(&format!("x, {SIGNATURE}"), Some(NONCE)), Ok(()));
    check(
        &with(&format!("{}{SIGNATURE}", "x,".repeat(16)), Some(NONCE)),
        Err(AuthError::Malformed),
    );
    check(&with(SIGNATURE, Some("1")), Err(AuthError::NoMatch));
    check(&with(SIGNATURE, Some("")), Err(AuthError::Missing));
    check(&with(SIGNATURE, None), Err(AuthError::Missing));
    check(&with("x", Some(NONCE)), Err(AuthError::Malformed));
}

#[test]
fn a_body_that_is_no_form_is_refused() {
    let mut json = request("/a?d=%2B4&c=3", "{}", SIGNATURE, Some(NONCE));
    json.headers[0].1 = "application/json".into();
    check(&json, Err(AuthError::Malformed));
}
