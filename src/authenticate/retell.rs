//! Retell's signature: `X-Retell-Signature: v=<unix ms>,d=<hex HMAC-SHA256(body, then v)>`.
//!
//! Read as strictly as the strictest of their released SDKs (`retell-sdk`, `lib/webhook_auth`):
//! ASCII digits only, no leading zero, nothing before or after. Over the bytes of the body, which
//! are never decoded or written again first.

use jiff::Timestamp;

use super::{AuthError, Key, Scheme, SignatureScope, Unverified, matches_any_key, single_header};

const HEADER: &str = "x-retell-signature";
/// A stamp this far from now is still good, in the past and in the future.
const WINDOW_MS: u64 = 300_000;

/// The scheme; it has nothing to configure.
pub struct RetellScheme;

impl Scheme for RetellScheme {
    fn check(
        &self,
        request: &Unverified,
        keys: &[Key],
        now: Timestamp,
    ) -> Result<SignatureScope, AuthError> {
        let header = single_header(&request.headers, HEADER)?.ok_or(AuthError::Missing)?;
        let (stamp, digest) = read(header).ok_or(AuthError::Malformed)?;
        in_window(stamp, now)?;
        if matches_any_key(&digest, keys, &[&request.body, stamp]) {
            Ok(SignatureScope::Body { header: HEADER })
        } else {
            Err(AuthError::NoMatch)
        }
    }

    fn sign(
        &self,
        key: &Key,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(&'static str, String), AuthError> {
        let stamp = now.as_millisecond().to_string();
        let digest = hex::encode(key.mac(&[body, stamp.as_bytes()]));
        Ok((HEADER, format!("v={stamp},d={digest}")))
    }

    fn weakness(&self) -> Option<&'static str> {
        None
    }
}

/// The digits of the stamp, and the digest; none when a single character is off.
fn read(header: &[u8]) -> Option<(&[u8], [u8; 32])> {
    let rest = header.strip_prefix(b"v=")?;
    let comma = rest.iter().position(|&byte| byte == b',')?;
    let (stamp, rest) = rest.split_at(comma);
    let plain = (1..=16).contains(&stamp.len()) && stamp.iter().all(u8::is_ascii_digit);
    if !plain || stamp.starts_with(b"0") {
        return None;
    }
    let mut digest = [0; 32];
    hex::decode_to_slice(rest.strip_prefix(b",d=")?, &mut digest).ok()?;
    Some((stamp, digest))
}

fn in_window(stamp: &[u8], now: Timestamp) -> Result<(), AuthError> {
    let stamp = stamp.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let now = now.as_millisecond();
    let age = now - stamp;
    if age.unsigned_abs() <= WINDOW_MS {
        return Ok(());
    }
    if (now - stamp.saturating_mul(1000)).unsigned_abs() <= WINDOW_MS + 1000 {
        return Err(AuthError::Seconds);
    }
    let beyond = (age.unsigned_abs() - WINDOW_MS).div_ceil(1000) as i64;
    Err(AuthError::Stale { by_s: beyond * age.signum() })
}
