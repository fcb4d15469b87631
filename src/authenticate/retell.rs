//! Retell's signature: `X-Retell-Signature: v=<unix ms>,d=<hex HMAC-SHA256(body, then v)>`.
//!
//! Parsed as strictly as the strictest of the released SDKs (`retell-sdk`, `lib/webhook_auth`): ASCII
//! digits only, no leading zero, nothing before or after. Computed over the raw bytes of the body, which
//! are never decoded or serialised again.

use axum::http::HeaderMap;
use jiff::Timestamp;

use super::encoding::Encoding;
use super::envelope::header_value;
use super::key::{Key, SignatureBytes, matches_any_key};
use super::scheme::{Coverage, Outgoing, Scheme, SignatureScope, VerifyInputs};
use super::{AuthError, KeyError, RequestHead, SignError, Unverified, single_header};
use crate::domain::secret::Secret;

const HEADER: &str = "x-retell-signature";
/// Maximum distance of a valid timestamp from now, in the past and in the future.
const WINDOW_MS: u64 = 300_000;

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
        let header = single_header(&request.head.headers, HEADER)?.ok_or(AuthError::Missing)?;
        let (timestamp, digest) = parse_header(header).ok_or(AuthError::Malformed)?;
        let signed_at = check_window(timestamp, inputs.now)?;
        if matches_any_key(&[digest], inputs.keys, &[&request.body, timestamp]) {
            Ok(SignatureScope::Body { header: HEADER, signed_at })
        } else {
            Err(AuthError::NoMatch)
        }
    }

    fn check_head(&self, head: &RequestHead, inputs: &VerifyInputs<'_>) -> Result<(), AuthError> {
        let header = single_header(&head.headers, HEADER)?.ok_or(AuthError::Missing)?;
        let (timestamp, _) = parse_header(header).ok_or(AuthError::Malformed)?;
        check_window(timestamp, inputs.now).map(drop)
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
        headers.insert(HEADER, header_value(&format!("v={timestamp},d={digest}"))?);
        Ok(())
    }

    fn coverage(&self) -> Coverage {
        Coverage::BODY_AND_TIME
    }
}

/// Returns the digits of the timestamp and the digest, or `None` if any character deviates.
fn parse_header(header: &[u8]) -> Option<(&[u8], SignatureBytes)> {
    let rest = header.strip_prefix(b"v=")?;
    let comma = rest.iter().position(|&byte| byte == b',')?;
    let (timestamp, rest) = rest.split_at(comma);
    let is_plain = (1..=16).contains(&timestamp.len()) && timestamp.iter().all(u8::is_ascii_digit);
    if !is_plain || timestamp.starts_with(b"0") {
        return None;
    }
    let digest = Encoding::Hex.decode(rest.strip_prefix(b",d=")?, 32)?;
    Some((timestamp, digest))
}

/// Returns the time that the digits stand for, if it is near enough to now.
fn check_window(timestamp: &[u8], now: Timestamp) -> Result<Option<Timestamp>, AuthError> {
    let signed = timestamp.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let now = now.as_millisecond();
    let age = now - signed;
    if age.unsigned_abs() <= WINDOW_MS {
        return Ok(Timestamp::from_millisecond(signed).ok());
    }
    if (now - signed.saturating_mul(1000)).unsigned_abs() <= WINDOW_MS + 1000 {
        return Err(AuthError::Seconds);
    }
    let beyond = (age.unsigned_abs() - WINDOW_MS).div_ceil(1000) as i64;
    Err(AuthError::Stale { by_s: beyond * age.signum() })
}
