//! Ed25519 signatures with a configured message: Telnyx (`telnyx` SDKs, `webhooks/ed25519`), Discord, and others.
//!
//! The source has the platform's public key. `verify_strict` refuses a scalar that is not reduced, and points
//! of small order (RFC 8032).

use std::iter;

use axum::http::HeaderMap;

use super::encoding::{Encoding, KeyEncoding};
use super::envelope::{Envelope, Layout};
use super::key::Key;
use super::scheme::{Coverage, Outgoing, Scheme, SignatureScope, VerifyInputs};
use super::signed_time::{SignedTime, TimeUnit};
use super::{AuthError, KeyError, RequestHead, SignError, Unverified};
use crate::domain::secret::Secret;

const KIND: &str = "ed25519";
const SIGNATURE_BYTES: usize = 64;
/// Beginning of a private key in Standard Webhooks.
const PRIVATE_PREFIX: &[u8] = b"whsk_";

/// An Ed25519 scheme.
pub struct Ed25519Scheme {
    /// Form of the public keys.
    pub key_encoding: KeyEncoding,
    /// Headers and message.
    pub envelope: Envelope,
}

impl Ed25519Scheme {
    /// Header with Telnyx's signature.
    pub(crate) const TELNYX_SIGNATURE: &str = "telnyx-signature-ed25519";
    /// Header with Telnyx's timestamp.
    pub(crate) const TELNYX_TIMESTAMP: &str = "telnyx-timestamp";
    /// Telnyx's message.
    pub(crate) const TELNYX_MESSAGE: &str = "{timestamp}|{body}";

    /// Returns Telnyx's scheme: base64, a timestamp in seconds, within 300 s.
    pub fn telnyx() -> Ed25519Scheme {
        let layout =
            Layout::signature_and_timestamp(Self::TELNYX_SIGNATURE, Self::TELNYX_TIMESTAMP);
        let time = SignedTime { unit: TimeUnit::Seconds, tolerance_s: 300 };
        let envelope = Envelope::of_platform(layout, Self::TELNYX_MESSAGE, Encoding::Base64, time);
        Ed25519Scheme { key_encoding: KeyEncoding::Base64, envelope }
    }
}

impl Scheme for Ed25519Scheme {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn key(&self, secret: &Secret) -> Result<Key, KeyError> {
        match private_key(secret) {
            Some(key) => key,
            None => Key::ed25519_public(&self.key_encoding.decode(secret.expose())?),
        }
    }

    fn stand_in_key(&self, word: &Secret) -> Key {
        Key::ed25519_from_word(word)
    }

    fn verify(
        &self,
        request: &Unverified,
        inputs: &VerifyInputs<'_>,
    ) -> Result<SignatureScope, AuthError> {
        let opened = self.envelope.open(&request.head.headers, SIGNATURE_BYTES, inputs.now)?;
        let message = self.envelope.message(request, &opened, inputs).concat();
        let mut pairs =
            inputs.keys.iter().flat_map(|key| iter::repeat(key).zip(&opened.signatures));
        if pairs.any(|(key, signature)| key.verifies(&message, signature.as_bytes())) {
            Ok(SignatureScope::Body { header: KIND, signed_at: opened.signed_at })
        } else {
            Err(AuthError::NoMatch)
        }
    }

    fn check_head(&self, head: &RequestHead, inputs: &VerifyInputs<'_>) -> Result<(), AuthError> {
        self.envelope.open(&head.headers, SIGNATURE_BYTES, inputs.now).map(drop)
    }

    fn sign(
        &self,
        request: &Outgoing<'_>,
        inputs: &VerifyInputs<'_>,
        headers: &mut HeaderMap,
    ) -> Result<(), SignError> {
        let key = inputs.keys.first().ok_or(SignError::NoKey)?;
        self.envelope.seal(request, inputs, headers, |message| {
            let signature = key.sign_ed25519(&message.concat());
            Ok(signature.ok_or(SignError::PublicKey)?.to_vec())
        })
    }

    fn coverage(&self) -> Coverage {
        self.envelope.coverage()
    }

    fn covers_url(&self) -> bool {
        self.envelope.covers_url()
    }
}

/// Returns the key of a secret that begins with `whsk_`: a private key of the operator's own, for tests. It
/// has 32 bytes, or 64 with the public key after it.
pub(super) fn private_key(secret: &Secret) -> Option<Result<Key, KeyError>> {
    let base64 = secret.expose().strip_prefix(PRIVATE_PREFIX)?;
    let decoded = KeyEncoding::Base64.decode(base64);
    let seed = decoded.ok().filter(|bytes| [32, 64].contains(&bytes.len()));
    let seed = seed.and_then(|bytes| bytes.first_chunk::<32>().copied());
    Some(seed.map(|seed| Key::ed25519_private(&seed)).ok_or(KeyError {
        mistake: "is not an Ed25519 private key",
        help: "write whsk_ and the base64 of 32 bytes, or use the platform's public key",
    }))
}
