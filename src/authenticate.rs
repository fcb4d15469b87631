//! Authentication of requests: [`Unverified`] in, [`Verified`] out.
//!
//! Pure: the time is an argument. The signature schemes are values ([`Scheme`]), one file per kind below this one;
//! this file applies the source's [`Policy`] on top (URL token, allowed addresses, observe mode).

mod all;
mod ed25519;
mod encoding;
mod envelope;
mod error;
mod hmac;
mod jwt;
mod key;
mod message;
mod plivo;
mod retell;
mod scheme;
mod shared;
mod signed_time;
mod standard_webhooks;
mod synthflow;
mod twilio;

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::http::header::{AsHeaderName, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, Uri};
use bytes::Bytes;
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};

use crate::domain::secret::Secret;

pub use all::AllScheme;
pub use ed25519::Ed25519Scheme;
pub use encoding::{Encoding, KeyEncoding};
pub use envelope::{Envelope, EnvelopeError, Layout};
pub use error::{AuthError, KeyError, SignError};
pub use hmac::HmacScheme;
pub use jwt::{BodyClaim, JwtScheme};
pub use key::{Algorithm, Key};
pub use message::{Message, MessageError};
pub use plivo::PlivoScheme;
pub use retell::RetellScheme;
pub use scheme::{Content, Coverage, Outgoing, Scheme, SignatureScope, UrlToken, VerifyInputs};
pub(crate) use shared::credentials;
pub use shared::{NoScheme, SharedScheme};
pub use signed_time::{SignedTime, TimeUnit};
pub use standard_webhooks::StandardWebhooksScheme;
pub use synthflow::SynthflowScheme;
pub(crate) use synthflow::synthflow_call_id;
pub use twilio::TwilioScheme;

/// Everything of a request but its body.
pub struct RequestHead {
    method: Method,
    /// As the request line has it, never decoded or normalised.
    uri: Uri,
    headers: HeaderMap,
    client: IpAddr,
    token: Option<Box<str>>,
}

impl RequestHead {
    /// Wraps the headers of a POST request to `/`, the client's address, and the token at the end of its URL.
    pub fn new(headers: HeaderMap, client: IpAddr, token: Option<Box<str>>) -> RequestHead {
        RequestHead::with_target(Method::POST, Uri::default(), headers, client, token)
    }

    /// Wraps a request with the method and the target of its request line.
    pub fn with_target(
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        client: IpAddr,
        token: Option<Box<str>>,
    ) -> RequestHead {
        RequestHead { method, uri, headers, client, token }
    }

    /// Returns the headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the client's address.
    pub fn client(&self) -> IpAddr {
        self.client
    }

    /// Returns the raw path and query.
    fn target(&self) -> &str {
        self.uri.path_and_query().map_or("/", |target| target.as_str())
    }

    /// Returns the method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the raw query.
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }
}

/// A request that has not been authenticated. It has no accessors: only [`authenticate`] reads it.
pub struct Unverified {
    /// In a box, since it is large and handed on several times.
    head: Box<RequestHead>,
    body: Bytes,
}

impl Unverified {
    /// Adds the raw bytes of the body to the head of a request.
    pub fn new(head: impl Into<Box<RequestHead>>, body: Bytes) -> Unverified {
        Unverified { head: head.into(), body }
    }
}

/// A request that its source's [`Policy`] accepts.
pub struct Verified {
    head: Box<RequestHead>,
    body: Bytes,
    source: Arc<str>,
    call_id: Option<Box<str>>,
    method: AuthMethod,
    clock_skew: Option<SignedDuration>,
    signed_at: Option<Timestamp>,
}

impl Verified {
    /// Returns the raw body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the raw query of the URL, without the question mark; `None` if there is none.
    pub fn query(&self) -> Option<&str> {
        self.head.query()
    }

    /// Returns the fields of a form: the raw body, or the raw query of a GET request.
    pub fn content(&self) -> &[u8] {
        match (&self.head.method, self.query()) {
            (&Method::GET, Some(query)) => query.as_bytes(),
            _ => &self.body,
        }
    }

    /// Returns whether the request arrived on the path of events.
    pub fn is_on_events_path(&self) -> bool {
        self.head.uri.path().starts_with("/events/")
    }

    /// Returns the media type of the body in lower case and without parameters: `application/json`.
    pub fn content_type(&self) -> Option<String> {
        media_type(&self.head.headers)
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

    /// Returns the verified signature's timestamp. `None` for schemes without one.
    pub fn signed_at(&self) -> Option<Timestamp> {
        self.signed_at
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
    /// By the signature in this header, or by this kind of signature if the settings name the header.
    Signed(&'static str),
    /// By a secret that it carries, of this kind: `bearer`.
    SharedSecret(&'static str),
    /// By its URL token or client address alone: it contained nothing that could be signed, or no signature where
    /// none is needed.
    SecondFactor,
    /// Not authenticated, but accepted in observe mode; the reason for which it would be refused.
    Observed(AuthError),
    /// Not checked: `auth = "off"`.
    Off,
}

/// Treatment of requests that fail authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Refuse them.
    Required,
    /// Refuse them, but accept a request without a signature if a second factor proves it.
    WhenPresent,
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
    /// Signature scheme: the platform's own, or the one of the settings.
    pub scheme: Arc<dyn Scheme>,
    /// Base URL under which the platform knows this service, without a slash at its end; for signatures that
    /// cover the URL.
    pub public_base_url: Option<Box<str>>,
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
        self.secrets.load().url_token.is_some() || !self.allow_from.is_empty()
    }

    /// Returns whether the path ends with a token: the second factor, or the scheme's own.
    pub fn has_url_token(&self) -> bool {
        let secrets = self.secrets.load();
        let has_own = || self.scheme.url_token(&secrets.keys);
        secrets.url_token.is_some() || has_own().is_some_and(|token| token.parameter.is_none())
    }

    /// Returns whether requests may have their content in the query: the scheme covers it, or proves no content
    /// at all, or is not applied.
    pub fn admits_queries(&self) -> bool {
        self.mode == Mode::Off || self.scheme.coverage().admits_queries()
    }

    /// Adds the headers with which the platform would send a request, signed with the first key.
    ///
    /// # Errors
    /// Fails if there is nothing to sign, or no key to sign with.
    pub fn sign(
        &self,
        request: &Outgoing<'_>,
        now: Timestamp,
        headers: &mut HeaderMap,
    ) -> Result<(), SignError> {
        self.scheme.sign(request, &self.inputs(&self.secrets.load(), now), headers)
    }

    fn inputs<'a>(&'a self, secrets: &'a PolicySecrets, now: Timestamp) -> VerifyInputs<'a> {
        let public_base_url = self.public_base_url.as_deref().unwrap_or_default();
        VerifyInputs { keys: &secrets.keys, public_base_url, now }
    }
}

/// Returns the value of a header that may occur at most once; a repeated header is malformed.
fn single_header(headers: &HeaderMap, name: impl AsHeaderName) -> Result<Option<&[u8]>, AuthError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value.map(|value| value.as_bytes())),
        (_, Some(_)) => Err(AuthError::Malformed),
    }
}

/// Returns the value of a header that occurs once and is not empty.
fn required_header(headers: &HeaderMap, name: impl AsHeaderName) -> Result<&[u8], AuthError> {
    single_header(headers, name)?.filter(|value| !value.is_empty()).ok_or(AuthError::Missing)
}

/// Returns the media type of a body in lower case and without parameters.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let media_type = value.split(';').next().unwrap_or_default().trim();
    (!media_type.is_empty()).then(|| media_type.to_ascii_lowercase())
}

/// Authenticates a request as `policy` demands. `now` is compared with the signature's timestamp.
///
/// # Errors
/// Returns the reason for a refusal, which is for the log only.
///
/// # Examples
/// ```
/// use axum::http::{HeaderMap, Method};
/// use switchboard::authenticate::{
///     AuthError, Mode, Outgoing, Policy, PolicySecrets, RequestHead, Unverified, authenticate,
/// };
/// use switchboard::dialect;
/// use switchboard::domain::secret::Secret;
///
/// let scheme = dialect::by_name("retell").unwrap().scheme();
/// let key = scheme.key(&Secret::new("key_0123456789abcdef"))?;
/// let secrets = PolicySecrets { keys: vec![key], url_token: None };
/// let policy = Policy {
///     source: "retell".into(),
///     mode: Mode::Required,
///     scheme,
///     public_base_url: None,
///     secrets: arc_swap::ArcSwap::from_pointee(secrets),
///     allow_from: Vec::new(),
/// };
/// let (body, now) = (r#"{"event":"call_inbound"}"#, "2026-11-26T12:00:00Z".parse()?);
/// let head = |headers| RequestHead::new(headers, [127, 0, 0, 1].into(), None);
/// let request = |headers| Unverified::new(head(headers), body.into());
///
/// let mut headers = HeaderMap::new();
/// let outgoing = Outgoing { method: &Method::POST, target: "/", body: body.as_bytes() };
/// policy.sign(&outgoing, now, &mut headers)?;
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
        (Err(reason), Mode::Required | Mode::WhenPresent | Mode::Off) => return Err(reason),
    };
    let (call_id, signed_at) = match scope {
        SignatureScope::Body { signed_at, .. } => (None, signed_at),
        SignatureScope::CallId { call_id, .. } => (Some(call_id), None),
        SignatureScope::Sender { .. } | SignatureScope::Nothing => (None, None),
    };
    let clock_skew = signed_at.map(|signed_at| now.duration_since(signed_at));
    let source = policy.source.clone();
    let Unverified { head, body } = request;
    Ok(Verified { head, body, source, call_id, method, clock_skew, signed_at })
}

/// Refuses a request that its head alone gives away, before its body is read.
///
/// # Errors
/// Returns the reason for which [`authenticate`] would refuse the request with any body.
pub fn check_head(head: &RequestHead, policy: &Policy, now: Timestamp) -> Result<(), AuthError> {
    match policy.mode {
        Mode::Observe => Ok(()),
        Mode::Off => check_second_factor(head, policy, &policy.secrets.load()),
        Mode::Required | Mode::WhenPresent => {
            let secrets = policy.secrets.load();
            check_second_factor(head, policy, &secrets)?;
            match policy.scheme.check_head(head, &policy.inputs(&secrets, now)) {
                Err(AuthError::Missing) if policy.mode == Mode::WhenPresent => Ok(()),
                result => result,
            }
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
    let scope = match policy.scheme.verify(request, &policy.inputs(secrets, now)) {
        Err(AuthError::Missing) if policy.mode == Mode::WhenPresent => SignatureScope::Nothing,
        result => result?,
    };
    let method = match scope {
        SignatureScope::Body { header, .. } | SignatureScope::CallId { header, .. } => {
            AuthMethod::Signed(header)
        }
        SignatureScope::Sender { kind } => AuthMethod::SharedSecret(kind),
        SignatureScope::Nothing if policy.has_second_factor() => AuthMethod::SecondFactor,
        SignatureScope::Nothing => return Err(AuthError::NoCallId),
    };
    Ok((method, scope))
}
