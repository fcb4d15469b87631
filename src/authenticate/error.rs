//! Reasons of failure: of authentication, of a secret that is no key, and of signing.

/// Reason for which authentication failed. For logs and metrics; the sender receives no hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AuthError {
    /// The header with the signature, or the secret that the scheme demands, is missing.
    #[error("the signature is missing")]
    Missing,
    /// The signature, or what belongs to it, does not have the form that the scheme requires.
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
    /// The signature's timestamp is in milliseconds instead of seconds.
    #[error("the signature's timestamp is in milliseconds; it must be in seconds")]
    Milliseconds,
    /// The signature matches none of the keys.
    #[error("the signature matches no key")]
    NoMatch,
    /// The request names a key or an algorithm that the settings do not have.
    #[error("the request names a key or an algorithm that is not in the settings")]
    UnknownKey,
    /// The signed hash of the body is missing or differs from that of the body.
    #[error("the body is not the one whose hash is signed")]
    BodyHash,
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
            AuthError::Milliseconds => "milliseconds",
            AuthError::NoMatch => "no_match",
            AuthError::UnknownKey => "unknown_key",
            AuthError::BodyHash => "body_hash",
            AuthError::NoCallId => "no_call_id",
            AuthError::Token => "token",
            AuthError::Address => "address",
        }
    }

    /// One error of each kind.
    pub const ALL: [AuthError; 11] = [
        AuthError::Missing,
        AuthError::Malformed,
        AuthError::Stale { by_s: 0 },
        AuthError::Seconds,
        AuthError::Milliseconds,
        AuthError::NoMatch,
        AuthError::UnknownKey,
        AuthError::BodyHash,
        AuthError::NoCallId,
        AuthError::Token,
        AuthError::Address,
    ];
}

/// Reason for which a secret cannot be a key of a scheme. Contains nothing of the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{mistake}")]
pub struct KeyError {
    /// Continues a sentence that begins with the reference of the secret: `is not base64`.
    pub mistake: &'static str,
    /// Advice to the operator.
    pub help: &'static str,
}

/// Reason for which a request cannot be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The source has no key.
    #[error("the source has no key to sign with")]
    NoKey,
    /// The keys of the source verify signatures, and cannot make any.
    #[error(
        "the source has the platform's public key, with which nobody can sign; to test, set secrets \
         to a private key of your own, whsk_ followed by 32 bytes in base64"
    )]
    PublicKey,
    /// The body contains nothing that this scheme signs.
    #[error("the body has no call_id, which is all that this scheme signs")]
    NothingToSign,
    /// The body is neither a form nor named by its hash in the URL.
    #[error("the body is no form, so the URL needs bodySHA256, the SHA-256 of the body in hex")]
    NoBodyHash,
    /// The body is not a form.
    #[error("the body is no form, which is all that this scheme signs")]
    NotAForm,
    /// The key cannot be a part of a header.
    #[error("the key contains characters that a header cannot have")]
    NotAHeader,
}
