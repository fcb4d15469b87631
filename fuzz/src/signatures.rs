//! Signature headers: an input is header lines, an empty line, and a body.
//!
//! Nothing but the signature of exactly this body is accepted, and what the head alone refuses is refused
//! with the body too.

use super::{now, policy_with, request, sign, split_headers};
use switchboard::authenticate::{AuthMethod, Mode, RequestHead, authenticate, check_head};
use switchboard::dialect;

/// Secret with which no seed is signed.
const UNUSED_SECRET: &str = "key_that_no_seed_was_signed_with";

/// Runs one input.
pub fn run(data: &[u8]) {
    let (headers, body) = split_headers(data);
    for dialect in dialect::ALL {
        let policy = policy_with(dialect, Mode::Required, UNUSED_SECRET);
        let head = RequestHead::new(headers.clone(), [127, 0, 0, 1].into(), None);
        let by_head = check_head(&head, &policy, now());
        let result = authenticate(request(headers.clone(), body), &policy, now());
        assert!(by_head.is_ok() || result.is_err(), "the head is refused, but not the request");
        // The fuzzer cannot guess a digest, so it never finds a valid signature that we did not make.
        assert!(result.is_err(), "an unsigned request was accepted");
        let Ok(signature) = sign(&policy, body) else { continue };
        let mut signed = headers.clone();
        for name in ["synthflow-signature", "x-synthflow-signature", "http-synthflow-signature"] {
            signed.remove(name);
        }
        signed.remove("http_synthflow_signature");
        signed.extend(signature);
        let verified = authenticate(request(signed, body), &policy, now()).expect("signed by us");
        let method = verified.method();
        assert!(matches!(method, AuthMethod::Signed(_) | AuthMethod::SharedSecret(_)));
        assert_eq!(verified.body(), body);
    }
}
