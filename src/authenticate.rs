//! Authentication of requests: [`Unverified`] in, [`Verified`] out.
//!
//! Pure: the time is an argument. Each signature scheme has a file of its own below this one; this file
//! applies the source's [`Policy`] on top (URL token, allowed addresses, observe mode).

mod retell;
mod synthflow;

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::http::HeaderMap;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

use crate::domain::secret::Secret;

pub use retell::RetellScheme;
pub use synthflow::SynthflowScheme;
pub(crate) use synthflow::synthflow_call_id;

/// Everything of a request but its body.
pub struct RequestHead {
    headers: HeaderMap,
    client: IpAddr,
    token: Option<Box<str>>,
}

impl RequestHead {
    /// Wraps the headers of a request, the client's address, and the token at the end of its URL.
    pub fn new(headers: HeaderMap, client: IpAddr, token: Option<Box<str>>) -> RequestHead {
        RequestHead { headers, client, token }
    }

    /// Returns the headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the client's address.
    pub fn client(&self) -> IpAddr {
        self.client
    }
}

/// A request that has not been authenticated. It has no accessors: only [`authenticate`] reads it.
pub struct Unverified {
    head: RequestHead,
    body: Bytes,
}

impl Unverified {
    /// Adds the raw bytes of the body to the head of a request.
    pub fn new(head: RequestHead, body: Bytes) -> Unverified {
        Unverified { head, body }
    }
}

/// A request that its source's [`Policy`] accepts.
pub struct Verified {
    body: Bytes,
    source: Arc<str>,
    call_id: Option<Box<str>>,
    method: AuthMethod,
    clock_skew: Option<SignedDuration>,
}

impl Verified {
    /// Returns the raw body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the fields of a form: the raw body, or the raw query of a request without a body (a GET).
    pub fn content(&self) -> &[u8] {
        &self.body
    }

    /// Returns the name of the source that sent the request.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns the signed call id, for schemes that sign nothing else.
    pub fn call_id(&self) -> Option<&str> {
        self.call_id.as_deref()
    }

    /// Returns how the request was authenticated.
    pub fn method(&self) -> AuthMethod {
        self.method
    }

    /// Returns the time since the verified signature's timestamp; negative if the platform's clock is
    /// ahead of this one. `None` for schemes without a timestamp.
    pub fn clock_skew(&self) -> Option<SignedDuration> {
        self.clock_skew
    }
}

/// How a request was authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethod {
    /// By the signature in this header.
    Signed(&'static str),
    /// By its URL token or client address alone: it contained nothing that could be signed.
    SecondFactor,
    /// Not authenticated, but accepted in observe mode; the reason for which it would be refused.
    Observed(AuthError),
    /// Not checked: `auth = "off"`.
    Off,
}

/// Reason for which authentication failed. For logs and metrics; the sender receives no hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AuthError {
    /// The signature header is missing.
    #[error("the signature is missing")]
    Missing,
    /// The signature header does not have the form that the scheme requires.
    #[error("the signature is malformed")]
    Malformed,
    /// The signature's timestamp is too old or too far in the future.
    #[error("the signature is stale by {by_s} s")]
    Stale {
        /// Seconds outside the window; negative for a timestamp in the future.
        by_s: i64,
    },
    /// The signature's timestamp is in seconds instead of milliseconds.
    #[error("the signature's timestamp is in seconds; it must be in milliseconds")]
    Seconds,
    /// The signature matches none of the keys.
    #[error("the signature matches no key")]
    NoMatch,
    /// There is no call id, hence nothing that could be signed, and no second factor is configured.
    #[error(
        "the request has no call_id to verify a signature over, and no second factor is configured"
    )]
    NoCallId,
    /// The URL token is missing or wrong.
    #[error("the token in the URL is wrong or missing")]
    Token,
    /// The client's address is not in `allow_from`.
    #[error("the client address is not in allow_from")]
    Address,
}

impl AuthError {
    /// Returns the label used in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            AuthError::Missing => "missing",
            AuthError::Malformed => "malformed",
            AuthError::Stale { .. } => "stale",
            AuthError::Seconds => "seconds",
            AuthError::NoMatch => "no_match",
            AuthError::NoCallId => "no_call_id",
            AuthError::Token => "token",
            AuthError::Address => "address",
        }
    }

    /// One error of each kind.
    pub const ALL: [AuthError; 8] = [
        AuthError::Missing,
        AuthError::Malformed,
        AuthError::Stale { by_s: 0 },
        AuthError::Seconds,
        AuthError::NoMatch,
        AuthError::NoCallId,
        AuthError::Token,
        AuthError::Address,
    ];
}

/// Treatment of requests that fail authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Refuse them.
    Required,
    /// Answer them, and count them as requests that would have been refused.
    Observe,
    /// Ignore signatures; a second factor still applies.
    Off,
}

/// Authentication policy of a source.
pub struct Policy {
    /// Name of the source in the settings.
    pub source: Arc<str>,
    /// Treatment of requests that fail.
    pub mode: Mode,
    /// Signature scheme of the platform.
    pub scheme: &'static dyn Scheme,
    /// Keys and URL token, which a reload replaces.
    pub secrets: ArcSwap<PolicySecrets>,
    /// Second factor: networks that may send requests; empty for all.
    pub allow_from: Vec<IpNet>,
}

/// Secrets of a source.
#[derive(Default)]
pub struct PolicySecrets {
    /// Valid keys: one, or several during key rotation.
    pub keys: Vec<Key>,
    /// Second factor: the secret at the end of the URL.
    pub url_token: Option<Secret>,
}

impl Policy {
    /// Returns whether a URL token or allowed addresses are configured.
    pub fn has_second_factor(&self) -> bool {
        self.has_url_token() || !self.allow_from.is_empty()
    }

    /// Returns whether a URL token is configured.
    pub fn has_url_token(&self) -> bool {
        self.secrets.load().url_token.is_some()
    }
}

/// A platform's signature scheme.
pub trait Scheme: Sync {
    /// Verifies the signature of a request. Tries all keys, without an early exit.
    ///
    /// # Errors
    /// Returns the reason for which verification failed.
    fn verify(
        &self,
        request: &Unverified,
        keys: &[Key],
        now: Timestamp,
    ) -> Result<SignatureScope, AuthError>;

    /// Checks what the headers alone tell about the signature: its presence, its form, its time.
    ///
    /// # Errors
    /// Returns the reason for which no body can be authenticated with these headers.
    fn check_head(&self, headers: &HeaderMap, now: Timestamp) -> Result<(), AuthError>;

    /// Signs a body as the platform does. Returns the name and the value of the header.
    ///
    /// # Errors
    /// Fails if the body contains nothing that this scheme can sign.
    fn sign(
        &self,
        key: &Key,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(&'static str, String), AuthError>;

    /// Returns whether signatures contain the time at which they were made.
    fn has_timestamp(&self) -> bool;

    /// Describes the scheme's weakness to the operator, if it has one.
    fn weakness(&self) -> Option<&'static str>;
}

/// Part of a request that a valid signature covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureScope {
    /// The whole body.
    Body {
        /// Header that held the signature.
        header: &'static str,
        /// Time at which the signature was made, for schemes that sign it.
        signed_at: Option<Timestamp>,
    },
    /// The call id alone.
    CallId {
        /// Header that held the signature.
        header: &'static str,
        /// The signed call id.
        call_id: Box<str>,
    },
    /// Nothing: the request contains nothing that could be signed.
    Nothing,
}

/// An HMAC-SHA256 key with its state precomputed.
pub struct Key(Hmac<Sha256>);

impl Key {
    /// Derives the key from a secret.
    pub fn new(secret: &Secret) -> Key {
        Key(Hmac::new_from_slice(secret.expose()).expect("HMAC takes keys of any length"))
    }

    /// Computes HMAC-SHA256 over the concatenated parts.
    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// Returns the value of a header that may occur at most once; a repeated header is malformed.
fn single_header<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h [u8]>, AuthError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value.map(|value| value.as_bytes())),
        (_, Some(_)) => Err(AuthError::Malformed),
    }
}

/// Returns whether any key produces this digest. Tries all keys, in constant time.
fn matches_any_key(digest: &[u8; 32], keys: &[Key], parts: &[&[u8]]) -> bool {
    keys.iter().fold(Choice::from(0), |found, key| found | key.mac(parts).ct_eq(digest)).into()
}

/// Authenticates a request as `policy` demands. `now` is compared with the signature's timestamp.
///
/// # Errors
/// Returns the reason for a refusal, which is for the log only.
///
/// # Examples
/// ```
/// use switchboard::authenticate::{
///     AuthError, Key, Mode, Policy, PolicySecrets, RequestHead, Unverified, authenticate,
/// };
/// use switchboard::dialect;
/// use switchboard::domain::secret::Secret;
///
/// let key = Key::new(&Secret::new("key_0123456789abcdef"));
/// let secrets = PolicySecrets { keys: vec![key], url_token: None };
/// let policy = Policy {
///     source: "retell".into(),
///     mode: Mode::Required,
///     scheme: dialect::by_name("retell").unwrap().scheme(),
///     secrets: arc_swap::ArcSwap::from_pointee(secrets),
///     allow_from: Vec::new(),
/// };
/// let (body, now) = (r#"{"event":"call_inbound"}"#, "2026-11-26T12:00:00Z".parse()?);
/// let head = |headers| RequestHead::new(headers, [127, 0, 0, 1].into(), None);
/// let request = |headers| Unverified::new(head(headers), body.into());
///
/// let (name, signature) = policy.scheme.sign(&policy.secrets.load().keys[0], body.as_bytes(), now)?;
/// let mut headers = axum::http::HeaderMap::new();
/// headers.insert(name, signature.parse()?);
/// let verified = authenticate(request(headers), &policy, now)?;
/// assert_eq!(verified.body(), body.as_bytes());
///
/// let unsigned = authenticate(request(Default::default()), &policy, now);
/// assert_eq!(unsigned.err(), Some(AuthError::Missing));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn authenticate(
    request: Unverified,
    policy: &Policy,
    now: Timestamp,
) -> Result<Verified, AuthError> {
    let secrets = policy.secrets.load();
    let result = check_second_factor(&request.head, policy, &secrets)
        .and_then(|()| check_signature(&request, policy, &secrets, now));
    let (method, scope) = match (result, policy.mode) {
        (Ok(accepted), _) => accepted,
        (Err(reason), Mode::Observe) => (AuthMethod::Observed(reason), SignatureScope::Nothing),
        (Err(reason), Mode::Required | Mode::Off) => return Err(reason),
    };
    let (call_id, signed_at) = match scope {
        SignatureScope::Body { signed_at, .. } => (None, signed_at),
        SignatureScope::CallId { call_id, .. } => (Some(call_id), None),
        SignatureScope::Nothing => (None, None),
    };
    let clock_skew = signed_at.map(|signed_at| now.duration_since(signed_at));
    let source = policy.source.clone();
    Ok(Verified { body: request.body, source, call_id, method, clock_skew })
}

/// Refuses a request that its head alone gives away, before its body is read.
///
/// # Errors
/// Returns the reason for which [`authenticate`] would refuse the request with any body.
pub fn check_head(head: &RequestHead, policy: &Policy, now: Timestamp) -> Result<(), AuthError> {
    match policy.mode {
        Mode::Observe => Ok(()),
        Mode::Off => check_second_factor(head, policy, &policy.secrets.load()),
        Mode::Required => {
            check_second_factor(head, policy, &policy.secrets.load())?;
            policy.scheme.check_head(&head.headers, now)
        }
    }
}

fn check_second_factor(
    head: &RequestHead,
    policy: &Policy,
    secrets: &PolicySecrets,
) -> Result<(), AuthError> {
    let token = head.token.as_deref().unwrap_or_default();
    if secrets.url_token.as_ref().is_some_and(|secret| !secret.equals(token.as_bytes())) {
        return Err(AuthError::Token);
    }
    let allowed = policy.allow_from.iter().any(|net| net.contains(&head.client));
    if !policy.allow_from.is_empty() && !allowed {
        return Err(AuthError::Address);
    }
    Ok(())
}

fn check_signature(
    request: &Unverified,
    policy: &Policy,
    secrets: &PolicySecrets,
    now: Timestamp,
) -> Result<(AuthMethod, SignatureScope), AuthError> {
    if policy.mode == Mode::Off {
        return Ok((AuthMethod::Off, SignatureScope::Nothing));
    }
    let scope = policy.scheme.verify(request, &secrets.keys, now)?;
    let method = match scope {
        SignatureScope::Body { header, .. } | SignatureScope::CallId { header, .. } => {
            AuthMethod::Signed(header)
        }
        SignatureScope::Nothing if policy.has_second_factor() => AuthMethod::SecondFactor,
        SignatureScope::Nothing => return Err(AuthError::NoCallId),
    };
    Ok((method, scope))
}
