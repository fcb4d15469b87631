//! JSON Web Tokens (RFC 7519) as signatures of requests, as Vonage and LiveKit send them: `HS256` alone.
//!
//! The settings fix the algorithm. The token must name the same one, so a token that says `none` or names
//! another algorithm is refused before its signature is compared. `kid` and `typ` are not read, and a token
//! with critical extensions (`crit`) is refused.
//!
//! A claim may have the hash of the body. Without it, a token proves the sender and the time alone.

use axum::http::{HeaderMap, HeaderName, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::encoding::{Encoding, KeyEncoding};
use super::envelope::header_value;
use super::key::{Key, SignatureBytes, matches_any_key};
use super::scheme::{Coverage, Outgoing, Scheme, SignatureScope, VerifyInputs};
use super::signed_time::{SignedTime, TimeUnit};
use super::{AuthError, KeyError, RequestHead, SignError, Unverified, required_header};
use crate::domain::json;
use crate::domain::json::JsonObject;
use crate::domain::secret::Secret;

const KIND: &str = "jwt";
const ALGORITHM: &str = "HS256";
/// Lifetime of the tokens that [`JwtScheme`] makes, in seconds.
const LIFETIME_S: i64 = 60;

/// A token in a header, with or without `Bearer` before it.
pub struct JwtScheme {
    /// Header with the token.
    pub header: HeaderName,
    /// Form of the secret.
    pub key_encoding: KeyEncoding,
    /// Claim with the SHA-256 of the body, if the platform sends one.
    pub body_claim: Option<BodyClaim>,
    /// Greatest distance of `iat` from now, and greatest error of the clocks for `nbf` and `exp`, in seconds.
    pub tolerance_s: u32,
}

/// A claim with the SHA-256 of the body.
pub struct BodyClaim {
    /// Name of the claim: `payload_hash`.
    pub name: Box<str>,
    /// Encoding of the hash.
    pub encoding: Encoding,
}

/// Content of a token.
struct Token<'h> {
    /// Header and claims, as they are signed.
    message: &'h [u8],
    signature: SignatureBytes,
    claims: Vec<u8>,
    /// `iat`, if the token has it.
    signed_at: Option<Timestamp>,
}

impl Scheme for JwtScheme {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn key(&self, secret: &Secret) -> Result<Key, KeyError> {
        Ok(Key::hmac_sha256(&self.key_encoding.decode(secret.expose())?))
    }

    fn key_bytes(&self, secret: &Secret) -> usize {
        self.key_encoding.decode(secret.expose()).map_or(0, |key| key.len())
    }

    fn verify(
        &self,
        request: &Unverified,
        inputs: &VerifyInputs<'_>,
    ) -> Result<SignatureScope, AuthError> {
        let token = self.open(&request.head.headers, inputs.now)?;
        if !matches_any_key(&[token.signature], inputs.keys, &[token.message]) {
            return Err(AuthError::NoMatch);
        }
        if let Some(claim) = &self.body_claim
            && !claim.matches(&object(&token.claims)?, &request.body)
        {
            return Err(AuthError::BodyHash);
        }
        Ok(SignatureScope::Body { header: KIND, signed_at: token.signed_at })
    }

    fn check_head(&self, head: &RequestHead, inputs: &VerifyInputs<'_>) -> Result<(), AuthError> {
        self.open(&head.headers, inputs.now).map(drop)
    }

    fn sign(
        &self,
        request: &Outgoing<'_>,
        inputs: &VerifyInputs<'_>,
        headers: &mut HeaderMap,
    ) -> Result<(), SignError> {
        let key = inputs.keys.iter().find_map(Key::as_hmac).ok_or(SignError::NoKey)?;
        let iat = inputs.now.as_second();
        let mut claims = json!({ "iat": iat, "exp": iat.saturating_add(LIFETIME_S) });
        if let Some(BodyClaim { name, encoding }) = &self.body_claim {
            claims[&**name] = encoding.encode(&Sha256::digest(request.body)).into();
        }
        let parts = [json!({ "alg": ALGORITHM, "typ": "JWT" }), claims];
        let message = parts.map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = URL_SAFE_NO_PAD.encode(key.mac([message.as_bytes()]).as_bytes());
        headers.insert(&self.header, header_value(&format!("Bearer {message}.{signature}"))?);
        Ok(())
    }

    fn coverage(&self) -> Coverage {
        Coverage { body: self.body_claim.is_some(), query: false, time: true }
    }

    fn challenge(&self) -> Option<&'static str> {
        (self.header == header::AUTHORIZATION).then_some("Bearer")
    }
}

impl JwtScheme {
    fn open<'h>(&self, headers: &'h HeaderMap, now: Timestamp) -> Result<Token<'h>, AuthError> {
        let token = without_bearer(required_header(headers, &self.header)?);
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(head), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(AuthError::Malformed);
        };
        let decode = |part| URL_SAFE_NO_PAD.decode(part).map_err(|_| AuthError::Malformed);
        check_algorithm(&object(&decode(head)?)?)?;
        let message = &token[..token.len() - signature.len() - 1];
        let signature = decode(signature)?;
        let signature =
            SignatureBytes::new(&signature).filter(|bytes| bytes.as_bytes().len() == 32);
        let claims = decode(claims)?;
        let signed_at = self.check_time(&object(&claims)?, now)?;
        Ok(Token { message, signature: signature.ok_or(AuthError::Malformed)?, claims, signed_at })
    }

    /// Checks `iat`, `nbf` and `exp`. Without `iat` and `exp`, the token would be valid forever.
    fn check_time(
        &self,
        claims: &JsonObject<'_>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, AuthError> {
        let time = SignedTime { unit: TimeUnit::Seconds, tolerance_s: self.tolerance_s };
        let [iat, nbf, exp] = ["iat", "nbf", "exp"].map(|name| milliseconds(claims, name));
        let (iat, nbf, exp) = (iat?, nbf?, exp?);
        if iat.is_none() && exp.is_none() {
            return Err(AuthError::Malformed);
        }
        let now_ms = now.as_millisecond();
        if let Some(not_yet) = nbf.filter(|nbf| *nbf > now_ms) {
            time.check_milliseconds(not_yet, now)?;
        }
        if let Some(expired) = exp.filter(|exp| *exp < now_ms) {
            time.check_milliseconds(expired, now)?;
        }
        iat.map(|iat| time.check_milliseconds(iat, now)).transpose()
    }
}

impl BodyClaim {
    fn matches(&self, claims: &JsonObject<'_>, body: &[u8]) -> bool {
        let signed = claims.text(&self.name).unwrap_or_default();
        let signed = self.encoding.decode(signed.as_bytes(), 32);
        signed.is_some_and(|hash| hash.as_bytes().ct_eq(&Sha256::digest(body)).into())
    }
}

fn object(json: &[u8]) -> Result<JsonObject<'_>, AuthError> {
    json::object(json).map_err(|_| AuthError::Malformed)
}

fn check_algorithm(head: &JsonObject<'_>) -> Result<(), AuthError> {
    if head.text("alg").as_deref() != Some(ALGORITHM) {
        return Err(AuthError::UnknownKey);
    }
    if head.has("crit") { Err(AuthError::Malformed) } else { Ok(()) }
}

/// Returns a time of the claims in milliseconds; `None` if there is none.
fn milliseconds(claims: &JsonObject<'_>, name: &str) -> Result<Option<i64>, AuthError> {
    if !claims.has(name) {
        return Ok(None);
    }
    let seconds = claims.number(name).filter(|_| !claims.is_text(name));
    let milliseconds = seconds.ok_or(AuthError::Malformed)? * 1000.0;
    // A cast to an integer stops at its limits, which are far from any valid time.
    Ok(Some(milliseconds.round() as i64))
}

/// Returns the token behind `Bearer`, in any case, which LiveKit leaves out.
fn without_bearer(value: &[u8]) -> &[u8] {
    match value.split_at_checked(7) {
        Some((word, token)) if word.eq_ignore_ascii_case(b"bearer ") => token,
        _ => value,
    }
}
