//! Retell's signature: `X-Retell-Signature: v=<unix ms>,d=<hex HMAC-SHA256(body, then v)>`.
//!
//! Parsed as strictly as the strictest of the released SDKs (`retell-sdk`, `lib/webhook_auth`): ASCII
//! digits only, no leading zero, nothing before or after. Computed over the raw bytes of the body, which
//! are never decoded or serialised again.

use axum::http::HeaderMap;
use jiff::Timestamp;

use super::{AuthError, Key, Scheme, SignatureScope, Unverified, matches_any_key, single_header};

const HEADER: &str = "x-retell-signature";
/// Maximum distance of a valid timestamp from now, in the past and in the future.
const WINDOW_MS: u64 = 300_000;

/// Retell's signature scheme.
pub struct RetellScheme;

impl Scheme for RetellScheme {
    fn verify(
        &self,
        request: &Unverified,
        keys: &[Key],
        now: Timestamp,
    ) -> Result<SignatureScope, AuthError> {
        let header = single_header(&request.head.headers, HEADER)?.ok_or(AuthError::Missing)?;
        let (timestamp, digest) = parse_header(header).ok_or(AuthError::Malformed)?;
        let signed_at = check_window(timestamp, now)?;
        if matches_any_key(&digest, keys, &[&request.body, timestamp]) {
            Ok(SignatureScope::Body { header: HEADER, signed_at })
        } else {
            Err(AuthError::NoMatch)
        }
    }

    fn check_head(&self, headers: &HeaderMap, now: Timestamp) -> Result<(), AuthError> {
        let header = single_header(headers, HEADER)?.ok_or(AuthError::Missing)?;
        let (timestamp, digest) = split_header(header).ok_or(AuthError::Malformed)?;
        if digest.len() != 64 || !digest.iter().all(u8::is_ascii_hexdigit) {
            return Err(AuthError::Malformed);
        }
        check_window(timestamp, now).map(drop)
    }

    fn sign(
        &self,
        key: &Key,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(&'static str, String), AuthError> {
        let timestamp = now.as_millisecond().to_string();
        let digest = hex::encode(key.mac(&[body, timestamp.as_bytes()]));
        Ok((HEADER, format!("v={timestamp},d={digest}")))
    }

    fn has_timestamp(&self) -> bool {
        true
    }

    fn weakness(&self) -> Option<&'static str> {
        None
    }
}

/// Returns the digits of the timestamp and the digest, or `None` if any character deviates.
fn parse_header(header: &[u8]) -> Option<(&[u8], [u8; 32])> {
    let (timestamp, hex) = split_header(header)?;
    let mut digest = [0; 32];
    hex::decode_to_slice(hex, &mut digest).ok()?;
    Some((timestamp, digest))
}

/// Returns the digits of the timestamp, and what should be the hexadecimal digits of the digest.
fn split_header(header: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = header.strip_prefix(b"v=")?;
    let comma = rest.iter().position(|&byte| byte == b',')?;
    let (timestamp, rest) = rest.split_at(comma);
    let is_plain = (1..=16).contains(&timestamp.len()) && timestamp.iter().all(u8::is_ascii_digit);
    if !is_plain || timestamp.starts_with(b"0") {
        return None;
    }
    Some((timestamp, rest.strip_prefix(b",d=")?))
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
