//! Who is asking: [`Unverified`] in, [`Verified`] out, and nobody reads a body in between.
//!
//! Pure: the time is an argument. A scheme is one file beside this one; what an operator allows
//! on top of it (a token in the URL, a list of addresses, only watching) is decided here.

mod retell;
mod synthflow;

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderMap;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use ipnet::IpNet;
use jiff::Timestamp;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

use crate::domain::secret::Secret;

pub use retell::RetellScheme;
pub use synthflow::SynthflowScheme;

/// A request of which nothing is proved. It has no getters: only [`authenticate`] opens it.
pub struct Unverified {
    headers: HeaderMap,
    body: Bytes,
    client: IpAddr,
    token: Option<Box<str>>,
}

impl Unverified {
    /// Wraps a request: its headers, the bytes of its body as they came over the wire, the
    /// address of the client, and the token that its URL ended in.
    pub fn new(
        headers: HeaderMap,
        body: Bytes,
        client: IpAddr,
        token: Option<Box<str>>,
    ) -> Unverified {
        Unverified { headers, body, client, token }
    }
}

/// A request whose sender is proved, as far as its source's [`Policy`] wants it proved.
pub struct Verified {
    body: Bytes,
    source: Arc<str>,
    call_id: Option<Box<str>>,
    proof: AuthMethod,
}

impl Verified {
    /// The body, as it came over the wire.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The source that it is proved to come from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The call id that the proof is about, for schemes that prove no more than that.
    pub fn call_id(&self) -> Option<&str> {
        self.call_id.as_deref()
    }

    /// How it was proved.
    pub fn proof(&self) -> AuthMethod {
        self.proof
    }
}

/// How a sender proved itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethod {
    /// By a signature, in the header of this name.
    Signed(&'static str),
    /// By the token or its address alone: there was nothing that could have been signed.
    SecondFactor,
    /// Not at all, and its source only observes: this is why it would have been refused.
    Observed(AuthError),
    /// Not asked to.
    Off,
}

/// Why a request is not proved. For logs and metrics; whoever sent it is told none of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AuthError {
    /// No signature header.
    #[error("the signature is missing")]
    Missing,
    /// A signature header that is not written as the scheme wants it.
    #[error("the signature is malformed")]
    Malformed,
    /// Signed too long ago, or (below zero) too far in the future.
    #[error("the signature is stale by {by_s} s")]
    Stale {
        /// Seconds beyond the window; negative for a stamp in the future.
        by_s: i64,
    },
    /// The stamp counts seconds where milliseconds are due.
    #[error("the signature's timestamp is in seconds, it has to be in milliseconds")]
    Seconds,
    /// No key makes this signature.
    #[error("the signature matches no key")]
    NoMatch,
    /// No call id, so nothing that was signed, and no second factor either.
    #[error("there is no call_id to check the signature over, and no second factor is set")]
    NoCallId,
    /// No token in the URL, or a wrong one.
    #[error("the token in the URL is wrong or missing")]
    Token,
    /// The client's address is not on the list.
    #[error("the address is not in allow_from")]
    Address,
}

impl AuthError {
    /// The word for a metric's label.
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

    /// One of each, for whoever has to list them.
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

/// What happens to a request that is not proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is refused.
    Required,
    /// It is answered, and counted as one that would have been refused.
    Observe,
    /// Signatures are not looked at; the second factor still is.
    Off,
}

/// Who may ask as this source.
pub struct Policy {
    /// The source's name in the settings.
    pub source: Arc<str>,
    /// Refuse, observe, or do not look.
    pub mode: Mode,
    /// How this platform signs.
    pub scheme: &'static dyn Scheme,
    /// Keys that are valid now: one, or several while they are rotated.
    pub keys: Vec<Key>,
    /// A secret that the URL has to end in.
    pub url_token: Option<Secret>,
    /// Networks that may ask; empty for all.
    pub allow_from: Vec<IpNet>,
}

impl Policy {
    /// Whether something besides the signature is asked for.
    pub fn has_second_factor(&self) -> bool {
        self.url_token.is_some() || !self.allow_from.is_empty()
    }
}

/// How a platform signs what it sends: one file each.
pub trait Scheme: Sync {
    /// Looks at the signature of a request, all keys, without an early way out.
    ///
    /// # Errors
    /// The reason why it proves nothing.
    fn check(
        &self,
        request: &Unverified,
        keys: &[Key],
        now: Timestamp,
    ) -> Result<SignatureScope, AuthError>;

    /// Signs like the platform: the name and the value of the header.
    ///
    /// # Errors
    /// When the body holds nothing that this scheme can sign.
    fn sign(
        &self,
        key: &Key,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(&'static str, String), AuthError>;

    /// What an operator has to know about this scheme's weakness, when it has one.
    fn weakness(&self) -> Option<&'static str>;
}

/// What a scheme established.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureScope {
    /// The whole body is covered.
    Body {
        /// The header that the signature stood in.
        header: &'static str,
    },
    /// Only this call id is covered.
    CallId {
        /// The header that the signature stood in.
        header: &'static str,
        /// The id, proved.
        call_id: Box<str>,
    },
    /// The request holds nothing that could have been signed.
    Nothing,
}

/// A key, ready to sign with.
pub struct Key(Hmac<Sha256>);

impl Key {
    /// The key that this secret's bytes make.
    pub fn new(secret: &Secret) -> Key {
        Key(Hmac::new_from_slice(secret.expose()).expect("HMAC takes keys of any length"))
    }

    /// HMAC-SHA256 over the parts, one after the other.
    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// The value of a header that may occur once; a repeated header is malformed.
fn single_header<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h [u8]>, AuthError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value.map(|value| value.as_bytes())),
        (_, Some(_)) => Err(AuthError::Malformed),
    }
}

/// Whether any key makes this digest. Looks at all of them, in constant time.
fn matches_any_key(digest: &[u8; 32], keys: &[Key], parts: &[&[u8]]) -> bool {
    keys.iter().fold(Choice::from(0), |found, key| found | key.mac(parts).ct_eq(digest)).into()
}

/// Proves who sent a request, as far as `policy` wants it proved.
///
/// # Errors
/// The reason for a refusal, which is for the log and for nobody else.
pub fn authenticate(
    request: Unverified,
    policy: &Policy,
    now: Timestamp,
) -> Result<Verified, AuthError> {
    let judged = second_factor(&request, policy).and_then(|()| first_factor(&request, policy, now));
    let (proof, call_id) = match (judged, policy.mode) {
        (Ok((proof, call_id)), _) => (proof, call_id),
        (Err(reason), Mode::Observe) => (AuthMethod::Observed(reason), None),
        (Err(reason), Mode::Required | Mode::Off) => return Err(reason),
    };
    Ok(Verified { body: request.body, source: policy.source.clone(), call_id, proof })
}

fn second_factor(request: &Unverified, policy: &Policy) -> Result<(), AuthError> {
    let token = request.token.as_deref().unwrap_or_default();
    if policy.url_token.as_ref().is_some_and(|secret| !secret.equals(token.as_bytes())) {
        return Err(AuthError::Token);
    }
    let listed = policy.allow_from.iter().any(|net| net.contains(&request.client));
    if !policy.allow_from.is_empty() && !listed {
        return Err(AuthError::Address);
    }
    Ok(())
}

fn first_factor(
    request: &Unverified,
    policy: &Policy,
    now: Timestamp,
) -> Result<(AuthMethod, Option<Box<str>>), AuthError> {
    if policy.mode == Mode::Off {
        return Ok((AuthMethod::Off, None));
    }
    match policy.scheme.check(request, &policy.keys, now)? {
        SignatureScope::Body { header } => Ok((AuthMethod::Signed(header), None)),
        SignatureScope::CallId { header, call_id } => {
            Ok((AuthMethod::Signed(header), Some(call_id)))
        }
        SignatureScope::Nothing if policy.has_second_factor() => {
            Ok((AuthMethod::SecondFactor, None))
        }
        SignatureScope::Nothing => Err(AuthError::NoCallId),
    }
}
