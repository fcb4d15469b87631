//! Retell's signature: `X-Retell-Signature: v=<unix ms>,d=<hex HMAC-SHA256(body, then v)>`.
//!
//! Parsed as strictly as the strictest of the released SDKs (`retell-sdk`, `lib/webhook_auth`): ASCII
//! digits only, no leading zero, nothing before or after. Computed over the raw bytes of the body, which
//! are never decoded or serialised again.

use axum::http::{HeaderMap, HeaderName};
use jiff::Timestamp;

use super::encoding::Encoding;
use super::envelope::header_value;
use super::key::{Key, SignatureBytes, matches_any_key};
use super::scheme::{Coverage, Outgoing, Scheme, SignatureScope, VerifyInputs};
use super::signed_time::{SignedTime, TimeUnit};
use super::{AuthError, KeyError, RequestHead, SignError, Unverified, single_header};
use crate::domain::secret::Secret;

const HEADER: &str = "x-retell-signature";
/// The header as a name that is not parsed for each request.
static HEADER_NAME: HeaderName = HeaderName::from_static(HEADER);
const TIME: SignedTime = SignedTime { unit: TimeUnit::Milliseconds, tolerance_s: 300 };

/// Retell's signature scheme.
pub struct RetellScheme;

impl Scheme for RetellScheme {
    fn kind(&self) -> &'static str {
        "retell"
    }

    fn key(&self, secret: &Secret) -> Result<Key, KeyError> {
        Ok(Key::hmac_sha256(secret.expose()))
    }

    fn verify(
        &self,
        request: &Unverified,
        inputs: &VerifyInputs<'_>,
    ) -> Result<SignatureScope, AuthError> {
        let (timestamp, digest, signed_at) = open(&request.head.headers, inputs.now)?;
        if matches_any_key(&[digest], inputs.keys, &[&request.body, timestamp]) {
            Ok(SignatureScope::Body { header: HEADER, signed_at: Some(signed_at) })
        } else {
            Err(AuthError::NoMatch)
        }
    }

    fn check_head(&self, head: &RequestHead, inputs: &VerifyInputs<'_>) -> Result<(), AuthError> {
        open(&head.headers, inputs.now).map(drop)
    }

    fn sign(
        &self,
        request: &Outgoing<'_>,
        inputs: &VerifyInputs<'_>,
        headers: &mut HeaderMap,
    ) -> Result<(), SignError> {
        let key = inputs.keys.iter().find_map(Key::as_hmac).ok_or(SignError::NoKey)?;
        let timestamp = inputs.now.as_millisecond().to_string();
        let digest = hex::encode(key.mac([request.body, timestamp.as_bytes()]).as_bytes());
        headers.insert(&HEADER_NAME, header_value(&format!("v={timestamp},d={digest}"))?);
        Ok(())
    }

    fn coverage(&self) -> Coverage {
        Coverage::BODY_AND_TIME
    }
}

/// Returns the digits of the timestamp, the digest, and the time, which is near enough to now.
fn open(
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<(&[u8], SignatureBytes, Timestamp), AuthError> {
    let header = single_header(headers, &HEADER_NAME)?.ok_or(AuthError::Missing)?;
    let (timestamp, digest) = parse_header(header).ok_or(AuthError::Malformed)?;
    Ok((timestamp, digest, TIME.check(timestamp, now)?))
}

/// Returns the timestamp, whose digits are not checked yet, and the digest; `None` if anything else deviates.
fn parse_header(header: &[u8]) -> Option<(&[u8], SignatureBytes)> {
    let rest = header.strip_prefix(b"v=")?;
    let comma = rest.iter().position(|&byte| byte == b',')?;
    let (timestamp, rest) = rest.split_at(comma);
    if timestamp.starts_with(b"0") {
        return None;
    }
    let digest = Encoding::Hex.decode(rest.strip_prefix(b",d=")?, 32)?;
    Some((timestamp, digest))
}
