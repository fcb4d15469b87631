//! Synthflow's signature: base64 of HMAC-SHA256 over the **call id alone**, no time in it.
//!
//! It says who sent, not what, and a captured pair stays valid for ever. The call id has to be
//! looked for in the unproved body: this file looks for that one value and for nothing else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{AuthError, Key, Scheme, SignatureScope, Unverified, matches_any_key, single_header};

/// Documented as `HTTP_SYNTHFLOW_SIGNATURE`, which is how one framework shows the first of these.
const HEADERS: [&str; 4] = [
    "synthflow-signature",
    "x-synthflow-signature",
    "http-synthflow-signature",
    "http_synthflow_signature",
];
/// Where the call id may stand when the body has none.
const CALL_ID_HEADERS: [&str; 4] = ["call_id", "call-id", "x-call-id", "x-synthflow-call-id"];

/// The scheme; it has nothing to configure.
pub struct SynthflowScheme;

impl Scheme for SynthflowScheme {
    fn check(
        &self,
        request: &Unverified,
        keys: &[Key],
        _: Timestamp,
    ) -> Result<SignatureScope, AuthError> {
        let mut header = None;
        for name in HEADERS {
            header = header.or(single_header(&request.headers, name)?.map(|value| (name, value)));
        }
        let Some(call_id) = call_id_in(&request.body).or_else(|| call_id_header(request)) else {
            return Ok(SignatureScope::Nothing);
        };
        let (header, value) = header.ok_or(AuthError::Missing)?;
        let digest = STANDARD.decode(value).map_err(|_| AuthError::Malformed)?;
        let digest: [u8; 32] = digest.try_into().map_err(|_| AuthError::Malformed)?;
        if matches_any_key(&digest, keys, &[call_id.as_bytes()]) {
            Ok(SignatureScope::CallId { header, call_id })
        } else {
            Err(AuthError::NoMatch)
        }
    }

    fn sign(
        &self,
        key: &Key,
        body: &[u8],
        _: Timestamp,
    ) -> Result<(&'static str, String), AuthError> {
        let call_id = call_id_in(body).ok_or(AuthError::NoCallId)?;
        Ok((HEADERS[0], STANDARD.encode(key.mac(&[call_id.as_bytes()]))))
    }

    fn weakness(&self) -> Option<&'static str> {
        Some(
            "synthflow signs the call id alone, so a captured signature is valid for ever and \
             its inbound request, which has none, cannot be checked: set url_token or allow_from",
        )
    }
}

/// The call id in `call.call_id`, `call_id` or `call_inbound.call_id`, the first that is there.
fn call_id_in<'a>(body: &'a [u8]) -> Option<Box<str>> {
    #[derive(Deserialize)]
    struct Outer<'a> {
        #[serde(borrow)]
        call: Option<&'a RawValue>,
        #[serde(borrow)]
        call_id: Option<&'a RawValue>,
        #[serde(borrow)]
        call_inbound: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Inner<'a> {
        #[serde(borrow)]
        call_id: Option<&'a RawValue>,
    }
    let inside = |value: &'a RawValue| serde_json::from_str::<Inner<'a>>(value.get()).ok()?.call_id;
    let outer: Outer<'_> = serde_json::from_slice(body).ok()?;
    let places = [outer.call.and_then(inside), outer.call_id, outer.call_inbound.and_then(inside)];
    places.into_iter().flatten().filter_map(as_text).find(|id| !id.is_empty())
}

/// A text as it is meant, a number as it is written.
fn as_text(value: &RawValue) -> Option<Box<str>> {
    let is_number = value.get().starts_with(|c: char| c == '-' || c.is_ascii_digit());
    if is_number { Some(value.get().into()) } else { serde_json::from_str(value.get()).ok() }
}

fn call_id_header(request: &Unverified) -> Option<Box<str>> {
    let found = CALL_ID_HEADERS.iter().find_map(|name| request.headers.get(*name))?;
    found.to_str().ok().filter(|id| !id.is_empty()).map(Into::into)
}
