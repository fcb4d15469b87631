//! Synthflow's signature: base64 of HMAC-SHA256 over the **call id alone**, no time in it.
//!
//! The signature identifies the sender but not the content, and a captured pair of call id and signature
//! stays valid forever. The call id is in the body, which is not authenticated yet: this file looks for
//! that value and for nothing else. The dialect calls the same function, so both find the same id.

use std::borrow::Cow;

use axum::http::HeaderMap;

use super::encoding::Encoding;
use super::envelope::header_value;
use super::key::{Key, SignatureBytes, matches_any_key};
use super::scheme::{Content, Coverage, Outgoing, Scheme, SignatureScope, VerifyInputs};
use super::{AuthError, KeyError, RequestHead, SignError, Unverified, single_header};
use crate::domain::json;
use crate::domain::json::JsonObject;
use crate::domain::secret::Secret;

/// Documented as `HTTP_SYNTHFLOW_SIGNATURE`, one framework's spelling of the first of these.
const HEADERS: [&str; 4] = [
    "synthflow-signature",
    "x-synthflow-signature",
    "http-synthflow-signature",
    "http_synthflow_signature",
];
/// Headers that can hold the call id if the body does not.
const CALL_ID_HEADERS: [&str; 4] = ["call_id", "call-id", "x-call-id", "x-synthflow-call-id"];

/// Synthflow's signature scheme.
pub struct SynthflowScheme;

impl Scheme for SynthflowScheme {
    fn kind(&self) -> &'static str {
        "synthflow"
    }

    fn key(&self, secret: &Secret) -> Result<Key, KeyError> {
        Ok(Key::hmac_sha256(secret.expose()))
    }

    fn verify(
        &self,
        request: &Unverified,
        inputs: &VerifyInputs<'_>,
    ) -> Result<SignatureScope, AuthError> {
        let signature = signature(&request.head.headers)?;
        let in_body = json::object(&request.body).ok().and_then(|body| synthflow_call_id(&body));
        let Some(call_id) = in_body.map(Into::into).or_else(|| call_id_in_headers(request)) else {
            return Ok(SignatureScope::Nothing);
        };
        let (header, digest) = signature.ok_or(AuthError::Missing)?;
        if matches_any_key(&[digest], inputs.keys, &[call_id.as_bytes()]) {
            Ok(SignatureScope::CallId { header, call_id })
        } else {
            Err(AuthError::NoMatch)
        }
    }

    /// The signature may be missing: a request without a call id has nothing to sign.
    fn check_head(&self, head: &RequestHead, _: &VerifyInputs<'_>) -> Result<(), AuthError> {
        signature(&head.headers).map(drop)
    }

    fn sign(
        &self,
        request: &Outgoing<'_>,
        inputs: &VerifyInputs<'_>,
        headers: &mut HeaderMap,
    ) -> Result<(), SignError> {
        let body = json::object(request.body).map_err(|_| SignError::NothingToSign)?;
        let call_id = synthflow_call_id(&body).ok_or(SignError::NothingToSign)?;
        let key = inputs.keys.iter().find_map(Key::as_hmac).ok_or(SignError::NoKey)?;
        let signature = Encoding::Base64.encode(key.mac([call_id.as_bytes()]).as_bytes());
        headers.insert(HEADERS[0], header_value(&signature)?);
        Ok(())
    }

    fn coverage(&self) -> Coverage {
        Coverage::SENDER
    }

    fn weakness(&self, _: Content) -> Option<Cow<'static, str>> {
        let weakness = "synthflow signs the call id alone: a captured signature stays valid forever, and its \
             inbound request, which has no call id, cannot be verified; set url_token or allow_from";
        Some(weakness.into())
    }
}

/// Returns the call id of a body: the first of `call.call_id`, `call_id` and `call_inbound.call_id` that
/// is present and not empty.
pub(crate) fn synthflow_call_id<'a>(body: &JsonObject<'a>) -> Option<Cow<'a, str>> {
    let inside = |key: &str| body.object(key).non_empty_text("call_id");
    inside("call").or_else(|| body.non_empty_text("call_id")).or_else(|| inside("call_inbound"))
}

/// Returns the name of the header with the signature, and the digest in it.
fn signature(headers: &HeaderMap) -> Result<Option<(&'static str, SignatureBytes)>, AuthError> {
    let mut found = None;
    for name in HEADERS {
        found = found.or(single_header(headers, name)?.map(|value| (name, value)));
    }
    let Some((name, value)) = found else { return Ok(None) };
    let digest = Encoding::Base64.decode(value, 32).ok_or(AuthError::Malformed)?;
    Ok(Some((name, digest)))
}

fn call_id_in_headers(request: &Unverified) -> Option<Box<str>> {
    let value = CALL_ID_HEADERS.iter().find_map(|name| request.head.headers.get(*name))?;
    value.to_str().ok().filter(|id| !id.is_empty()).map(Into::into)
}
