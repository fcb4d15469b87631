//! The interface of the signature schemes: verify, refuse by the head alone, sign.

use std::borrow::Cow;

use axum::http::{HeaderMap, Method};
use jiff::Timestamp;

use super::key::Key;
use super::{AuthError, KeyError, RequestHead, SignError, Unverified};
use crate::domain::secret::Secret;

/// A signature scheme with its parameters, as a platform's default or as `[sources.NAME.signature]`
/// describes it.
pub trait Scheme: Send + Sync {
    /// Returns the name of the kind in settings: `hmac`.
    fn kind(&self) -> &'static str;

    /// Derives a key from a secret.
    ///
    /// # Errors
    /// Fails if the secret does not have the form of a key.
    fn key(&self, secret: &Secret) -> Result<Key, KeyError>;

    /// Returns the key that stands in for a missing secret (`--dev`). Others derive the same one.
    fn stand_in_key(&self, word: &Secret) -> Key {
        Key::hmac_sha256(word.expose())
    }

    /// Returns the length of the key that a secret contains, in bytes; 0 if it contains none.
    fn key_bytes(&self, secret: &Secret) -> usize {
        secret.len()
    }

    /// Verifies the signature of a request. Compares with all keys that are secret, without an early exit.
    ///
    /// # Errors
    /// Returns the reason for which verification failed.
    fn verify(
        &self,
        request: &Unverified,
        inputs: &VerifyInputs<'_>,
    ) -> Result<SignatureScope, AuthError>;

    /// Checks what the head alone tells: the presence of a signature, its form, its time; or a secret that
    /// the head carries.
    ///
    /// # Errors
    /// Returns the reason for which no body can be authenticated with this head.
    fn check_head(&self, head: &RequestHead, inputs: &VerifyInputs<'_>) -> Result<(), AuthError>;

    /// Adds the headers with which the platform would send a request.
    ///
    /// # Errors
    /// Fails if there is nothing to sign, or no key to sign with.
    fn sign(
        &self,
        request: &Outgoing<'_>,
        inputs: &VerifyInputs<'_>,
        headers: &mut HeaderMap,
    ) -> Result<(), SignError>;

    /// Returns what a valid signature proves besides its sender.
    fn coverage(&self) -> Coverage;

    /// Describes to the operator what the scheme does not prove of requests with this content; `None` if it
    /// proves everything.
    fn weakness(&self, content: Content) -> Option<Cow<'static, str>> {
        self.coverage().weakness(self.kind(), content)
    }

    /// Returns whether the signature covers the URL, so that the source needs `public_base_url`.
    fn covers_url(&self) -> bool {
        false
    }

    /// Returns whether the scheme has keys.
    fn has_keys(&self) -> bool {
        true
    }

    /// Returns whether a request has several signatures.
    fn is_compound(&self) -> bool {
        false
    }

    /// Returns the `WWW-Authenticate` header of a refusal, for schemes of HTTP itself.
    fn challenge(&self) -> Option<&'static str> {
        None
    }

    /// Returns the secret that is a part of the URL, with its place.
    fn url_token<'k>(&self, _keys: &'k [Key]) -> Option<UrlToken<'_, 'k>> {
        None
    }
}

/// Inputs of a verification and of a signature, besides the request.
#[derive(Clone, Copy)]
pub struct VerifyInputs<'a> {
    /// Valid keys: one, or several during key rotation.
    pub keys: &'a [Key],
    /// Base URL that the platform knows, without a slash at its end; the path and query of the request follow
    /// it. Empty if the source has none.
    pub public_base_url: &'a str,
    /// Time with which the signature's timestamp is compared.
    pub now: Timestamp,
}

/// A request to be signed. Its content type is among the headers.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// Method.
    pub method: &'a Method,
    /// Path and query, as the request line has them.
    pub target: &'a str,
    /// Raw body.
    pub body: &'a [u8],
}

/// A secret that is a part of the URL.
pub struct UrlToken<'s, 'k> {
    /// Name of the query parameter; `None` for the last segment of the path.
    pub parameter: Option<&'s str>,
    /// The secret.
    pub token: &'k Secret,
}

/// Part of a request that a valid signature covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureScope {
    /// The whole body, unless the message of the scheme leaves it out ([`Scheme::coverage`]).
    Body {
        /// Header that held the signature, or the kind of a scheme whose headers are configured.
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
    /// Nothing but the sender: the request carries a secret.
    Sender {
        /// Kind of the scheme.
        kind: &'static str,
    },
    /// Nothing: the request contains nothing that could be signed.
    Nothing,
}

/// Part of a request that has the facts of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The body of a POST request.
    Body,
    /// The query of a GET request, which has no body.
    Query,
}

/// Content of a request that a valid signature proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// The body is the one that was signed.
    pub body: bool,
    /// The query of the URL is the one that was signed.
    pub query: bool,
    /// The request was signed within the tolerance of now.
    pub time: bool,
}

impl Coverage {
    /// The body and the time, but not the query.
    pub const BODY_AND_TIME: Coverage = Coverage { body: true, query: false, time: true };
    /// Nothing but the sender.
    pub const SENDER: Coverage = Coverage { body: false, query: false, time: false };

    /// Returns what either of two signatures proves, if both are valid.
    pub fn union(self, other: Coverage) -> Coverage {
        Coverage {
            body: self.body || other.body,
            query: self.query || other.query,
            time: self.time || other.time,
        }
    }

    /// Returns whether a request may have its content in the query. It must not if the scheme proves a body,
    /// which such a request does not have: a captured signature would be valid for any query.
    pub fn admits_queries(self) -> bool {
        self.query || !self.body
    }

    /// Describes what is missing; `None` if nothing is.
    pub(super) fn weakness(self, kind: &str, content: Content) -> Option<Cow<'static, str>> {
        let (is_covered, part) = match content {
            Content::Body => (self.body, "body"),
            Content::Query => (self.query, "query"),
        };
        let gap = match (is_covered, self.time) {
            (true, true) => return None,
            (false, false) => format!(
                "proves the sender alone: whoever captures a request can send it again, with any {part}"
            ),
            (true, false) => "has no time: a captured request stays valid forever".to_owned(),
            (false, true) => format!(
                "does not cover the {part}: a captured signature is valid for any {part} until it expires"
            ),
        };
        Some(format!("`{kind}` {gap}; set url_token or allow_from").into())
    }
}
