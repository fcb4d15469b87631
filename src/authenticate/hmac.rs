//! HMAC signatures with a configured message: Vapi, ElevenLabs, Fish Audio, GitHub, and most others.
//!
//! The settings choose the algorithm, never the sender.

use axum::http::HeaderMap;

use super::encoding::{Encoding, KeyEncoding};
use super::envelope::{Envelope, Layout};
use super::key::{Algorithm, Key, matches_any_key};
use super::scheme::{Coverage, Outgoing, Scheme, SignatureScope, VerifyInputs};
use super::signed_time::SignedTime;
use super::{AuthError, KeyError, RequestHead, SignError, Unverified};
use crate::domain::secret::Secret;

const KIND: &str = "hmac";

/// An HMAC scheme.
pub struct HmacScheme {
    /// Hash function.
    pub algorithm: Algorithm,
    /// Form of the secrets.
    pub key_encoding: KeyEncoding,
    /// Headers and message.
    pub envelope: Envelope,
}

impl HmacScheme {
    /// Creates a platform's own scheme: SHA-256 in hex, keys as texts.
    ///
    /// # Panics
    /// Panics if the message does not fit the headers; see [`Envelope::of_platform`].
    pub(crate) fn sha256(layout: Layout, message: &str, time: SignedTime) -> HmacScheme {
        let envelope = Envelope::of_platform(layout, message, Encoding::Hex, time);
        HmacScheme { algorithm: Algorithm::Sha256, key_encoding: KeyEncoding::Text, envelope }
    }
}

impl Scheme for HmacScheme {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn key(&self, secret: &Secret) -> Result<Key, KeyError> {
        Ok(Key::hmac(self.algorithm, &self.key_encoding.decode(secret.expose())?))
    }

    fn key_bytes(&self, secret: &Secret) -> usize {
        self.key_encoding.decode(secret.expose()).map_or(0, |key| key.len())
    }

    fn stand_in_key(&self, word: &Secret) -> Key {
        Key::hmac(self.algorithm, word.expose())
    }

    fn verify(
        &self,
        request: &Unverified,
        inputs: &VerifyInputs<'_>,
    ) -> Result<SignatureScope, AuthError> {
        let length = self.algorithm.digest_bytes();
        let opened = self.envelope.open(&request.head.headers, length, inputs.now)?;
        let message = self.envelope.message(request, &opened, inputs);
        if matches_any_key(&opened.signatures, inputs.keys, &message) {
            Ok(SignatureScope::Body { header: KIND, signed_at: opened.signed_at })
        } else {
            Err(AuthError::NoMatch)
        }
    }

    fn check_head(&self, head: &RequestHead, inputs: &VerifyInputs<'_>) -> Result<(), AuthError> {
        let length = self.algorithm.digest_bytes();
        self.envelope.open(&head.headers, length, inputs.now).map(drop)
    }

    fn sign(
        &self,
        request: &Outgoing<'_>,
        inputs: &VerifyInputs<'_>,
        headers: &mut HeaderMap,
    ) -> Result<(), SignError> {
        let key = inputs.keys.iter().find_map(Key::as_hmac).ok_or(SignError::NoKey)?;
        self.envelope.seal(request, inputs, headers, |message| {
            Ok(key.mac(message.iter().copied()).as_bytes().to_vec())
        })
    }

    fn coverage(&self) -> Coverage {
        self.envelope.coverage()
    }

    fn covers_url(&self) -> bool {
        self.envelope.covers_url()
    }
}
