//! Plivo's signature, version 3 (`plivo` 4.79.0 of npm, `v3Security`): base64 of HMAC-SHA256 over the public URL,
//! the sorted parameters and a nonce.
//!
//! * The URL is the configured base, and the path of the request line. The query follows, decoded and sorted:
//!   `?a=1&b=2`. A form adds each name and value, decoded and sorted, behind `?` or the query and a dot.
//! * A dot and the nonce end the message. Several signatures may be separated by commas, one for each auth token.
//! * There is no timestamp, and nonces are not remembered: a captured request stays valid.

use std::borrow::Cow;

use axum::http::{HeaderMap, Method};

use super::encoding::Encoding;
use super::envelope::header_value;
use super::key::{Key, SignatureBytes, matches_any_key};
use super::scheme::{Coverage, Outgoing, Scheme, SignatureScope, VerifyInputs};
use super::{AuthError, KeyError, RequestHead, SignError, Unverified, media_type, required_header};
use crate::domain::form;
use crate::domain::secret::Secret;

const KIND: &str = "plivo_v3";
const SIGNATURE: &str = "x-plivo-signature-v3";
const NONCE: &str = "x-plivo-signature-v3-nonce";

/// Version 3 of Plivo's scheme.
pub struct PlivoScheme;

/// Content of the headers.
struct PlivoSignature<'h> {
    nonce: &'h [u8],
    signatures: Vec<SignatureBytes>,
}

impl Scheme for PlivoScheme {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn key(&self, secret: &Secret) -> Result<Key, KeyError> {
        Ok(Key::hmac_sha256(secret.expose()))
    }

    fn verify(
        &self,
        request: &Unverified,
        inputs: &VerifyInputs<'_>,
    ) -> Result<SignatureScope, AuthError> {
        let head = &request.head;
        let opened = open(&head.headers)?;
        let content_type = media_type(&head.headers);
        let content =
            signed_content(&head.method, content_type.as_deref(), head.target(), &request.body)
                .ok_or(AuthError::Malformed)?;
        let parts = [inputs.public_base_url.as_bytes(), &content, b".", opened.nonce];
        if matches_any_key(&opened.signatures, inputs.keys, &parts) {
            Ok(SignatureScope::Body { header: KIND, signed_at: None })
        } else {
            Err(AuthError::NoMatch)
        }
    }

    fn check_head(&self, head: &RequestHead, _: &VerifyInputs<'_>) -> Result<(), AuthError> {
        open(&head.headers).map(drop)
    }

    /// A nonce that is among the headers already stays.
    fn sign(
        &self,
        request: &Outgoing<'_>,
        inputs: &VerifyInputs<'_>,
        headers: &mut HeaderMap,
    ) -> Result<(), SignError> {
        let content_type = media_type(headers);
        let content =
            signed_content(request.method, content_type.as_deref(), request.target, request.body)
                .ok_or(SignError::NotAForm)?;
        let key = inputs.keys.iter().find_map(Key::as_hmac).ok_or(SignError::NoKey)?;
        let new_nonce = || header_value(&inputs.now.as_microsecond().to_string());
        let nonce = headers.get(NONCE).cloned().map_or_else(new_nonce, Ok)?;
        let parts = [inputs.public_base_url.as_bytes(), &content, b".", nonce.as_bytes()];
        let signature = Encoding::Base64.encode(key.mac(parts).as_bytes());
        headers.insert(NONCE, nonce);
        headers.insert(SIGNATURE, header_value(&signature)?);
        Ok(())
    }

    fn coverage(&self) -> Coverage {
        Coverage { body: true, query: true, time: false }
    }

    fn covers_url(&self) -> bool {
        true
    }
}

fn open(headers: &HeaderMap) -> Result<PlivoSignature<'_>, AuthError> {
    let signatures = required_header(headers, SIGNATURE)?;
    let nonce = required_header(headers, NONCE)?;
    let items = signatures.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    Ok(PlivoSignature { nonce, signatures: Encoding::Base64.decode_all(items, 32)? })
}

/// Returns what is signed between the base of the URL and the nonce; `None` if the body is no form, since
/// nothing would sign it.
fn signed_content(
    method: &Method,
    media_type: Option<&str>,
    target: &str,
    body: &[u8],
) -> Option<Vec<u8>> {
    let is_form = *method == Method::POST && media_type == Some(form::MEDIA_TYPE);
    if !is_form && !body.is_empty() {
        return None;
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (query, fields) = (sorted(query.as_bytes()), sorted(body));
    let mut content = path.as_bytes().to_vec();
    if !query.is_empty() || !fields.is_empty() {
        content.push(b'?');
    }
    for (at, (name, value)) in query.iter().enumerate() {
        let separator: &[u8] = if at == 0 { b"" } else { b"&" };
        content.extend([separator, name, b"=", value].concat());
    }
    if !query.is_empty() && !fields.is_empty() {
        content.push(b'.');
    }
    content.extend(fields.iter().flat_map(|(name, value)| [&**name, &**value]).flatten());
    Some(content)
}

type Pair<'f> = (Cow<'f, [u8]>, Cow<'f, [u8]>);

fn sorted(form: &[u8]) -> Vec<Pair<'_>> {
    let mut pairs: Vec<_> = form::pairs(form).collect();
    pairs.sort_unstable();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(target: &str, body: &str, expected: &str) {
        let content =
            signed_content(&Method::POST, Some(form::MEDIA_TYPE), target, body.as_bytes());
        assert_eq!(content.as_deref(), Some(expected.as_bytes()), "{target} {body}");
    }

    /// The expectations are what `validateV3Signature` of `plivo` 4.79.0 (npm) computes.
    #[test]
    fn the_url_and_the_parameters_are_sorted() {
        check("/a", "", "/a");
        check("/a", "b=2&a=1", "/a?a1b2");
        check("/a?", "b=2&a=1&a=0", "/a?a0a1b2");
        check("/a?d=%2B4&c=3", "b=2&a=1", "/a?c=3&d=+4.a1b2");
        check("/a?c=3&c=1", "", "/a?c=1&c=3");
        check("/a%2Fb", "From=%2B1&Body=+x&Empty=", "/a%2Fb?Body xEmptyFrom+1");
    }

    #[test]
    fn a_body_that_is_no_form_is_not_signed() {
        let check = |method, media_type, body: &[u8]| {
            signed_content(&method, Some(media_type), "/a?b=1", body).is_some()
        };
        assert!(check(Method::GET, form::MEDIA_TYPE, b""));
        assert!(check(Method::POST, "application/json", b""));
        assert!(!check(Method::POST, "application/json", b"{}"));
        assert!(!check(Method::GET, form::MEDIA_TYPE, b"a=1"));
    }
}
