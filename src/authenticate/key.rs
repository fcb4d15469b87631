//! Keys: secrets in the form in which a scheme compares or computes with them.

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use subtle::{Choice, ConstantTimeEq};

use super::KeyError;
use crate::domain::secret::Secret;

/// Hash function of an HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-1, 20 bytes. HMAC does not depend on its resistance to collisions.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl Algorithm {
    /// Returns the length of a digest in bytes.
    pub fn digest_bytes(self) -> usize {
        match self {
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 => 32,
            Algorithm::Sha512 => 64,
        }
    }
}

/// A key of a source. Its scheme creates it ([`Scheme::key`](super::Scheme::key)); a key of another scheme
/// matches nothing.
pub struct Key(pub(super) Material);

pub(super) enum Material {
    Hmac(HmacKey),
    /// Key of Twilio with an id, by which the request names it.
    Named {
        id: Box<str>,
        sha1: HmacKey,
        sha256: HmacKey,
    },
    Ed25519 {
        public: VerifyingKey,
        /// Only in tests of the operator: the platform keeps its own.
        private: Option<SigningKey>,
    },
    /// A secret that the request carries.
    Shared(Secret),
    /// The keys of each scheme of a combination, in order.
    Each(Vec<Vec<Key>>),
}

/// An HMAC key with its state precomputed.
pub(super) enum HmacKey {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
}

impl HmacKey {
    pub(super) fn new(algorithm: Algorithm, key: &[u8]) -> HmacKey {
        const ANY_LENGTH: &str = "HMAC takes keys of any length";
        match algorithm {
            Algorithm::Sha1 => HmacKey::Sha1(Hmac::new_from_slice(key).expect(ANY_LENGTH)),
            Algorithm::Sha256 => HmacKey::Sha256(Hmac::new_from_slice(key).expect(ANY_LENGTH)),
            Algorithm::Sha512 => HmacKey::Sha512(Hmac::new_from_slice(key).expect(ANY_LENGTH)),
        }
    }

    /// Compares the MAC of the concatenated parts with all digests, in constant time.
    pub(super) fn makes_any(&self, digests: &[SignatureBytes], parts: &[&[u8]]) -> Choice {
        let mac = self.mac(parts.iter().copied());
        digests
            .iter()
            .fold(Choice::from(0), |found, digest| found | mac.as_bytes().ct_eq(digest.as_bytes()))
    }

    /// Computes the MAC of the concatenated parts.
    pub(super) fn mac<'p>(&self, parts: impl IntoIterator<Item = &'p [u8]>) -> SignatureBytes {
        match self {
            HmacKey::Sha1(mac) => digest(mac, parts),
            HmacKey::Sha256(mac) => digest(mac, parts),
            HmacKey::Sha512(mac) => digest(mac, parts),
        }
    }
}

fn digest<'p, M: Mac + Clone>(
    mac: &M,
    parts: impl IntoIterator<Item = &'p [u8]>,
) -> SignatureBytes {
    let mut mac = mac.clone();
    for part in parts {
        mac.update(part);
    }
    SignatureBytes::new(&mac.finalize().into_bytes()).expect("no digest is longer than 64 bytes")
}

/// A signature or MAC of at most 64 bytes.
#[derive(Clone, Copy)]
pub(super) struct SignatureBytes {
    bytes: [u8; 64],
    length: usize,
}

impl SignatureBytes {
    pub(super) fn new(from: &[u8]) -> Option<SignatureBytes> {
        let mut bytes = [0; 64];
        bytes.get_mut(..from.len())?.copy_from_slice(from);
        Some(SignatureBytes { bytes, length: from.len() })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Key {
    /// Creates an HMAC-SHA256 key.
    pub(super) fn hmac_sha256(secret: &[u8]) -> Key {
        Key::hmac(Algorithm::Sha256, secret)
    }

    pub(super) fn hmac(algorithm: Algorithm, secret: &[u8]) -> Key {
        Key(Material::Hmac(HmacKey::new(algorithm, secret)))
    }

    /// Combines the keys of each scheme of [`AllScheme`](super::AllScheme), in their order.
    pub fn each(keys: Vec<Vec<Key>>) -> Key {
        Key(Material::Each(keys))
    }

    /// Creates a shared key of Twilio, which requests name by its id.
    pub fn twilio_shared(id: &str, secret: &Secret) -> Key {
        Key(Material::Named {
            id: id.into(),
            sha1: HmacKey::new(Algorithm::Sha1, secret.expose()),
            sha256: HmacKey::new(Algorithm::Sha256, secret.expose()),
        })
    }

    /// Creates a public key from its 32 bytes.
    pub(super) fn ed25519_public(bytes: &[u8]) -> Result<Key, KeyError> {
        const NOT_A_KEY: KeyError = KeyError {
            mistake: "is not an Ed25519 public key",
            help: "copy the public key that the platform shows: 32 bytes",
        };
        let bytes = bytes.try_into().map_err(|_| NOT_A_KEY)?;
        let public = VerifyingKey::from_bytes(bytes).map_err(|_| NOT_A_KEY)?;
        // With a key of small order, many messages have the same signature.
        if public.is_weak() { Err(NOT_A_KEY) } else { Ok(Key::ed25519(public, None)) }
    }

    /// Creates a key pair from the 32 bytes of the private key.
    pub(super) fn ed25519_private(seed: &[u8; 32]) -> Key {
        let private = SigningKey::from_bytes(seed);
        Key::ed25519(private.verifying_key(), Some(private))
    }

    /// Derives a key pair from a word, for `--dev`.
    pub(super) fn ed25519_from_word(word: &Secret) -> Key {
        Key::ed25519_private(&Sha256::digest(word.expose()).into())
    }

    fn ed25519(public: VerifyingKey, private: Option<SigningKey>) -> Key {
        Key(Material::Ed25519 { public, private })
    }

    pub(super) fn shared(secret: &Secret) -> Key {
        Key(Material::Shared(secret.clone()))
    }

    pub(super) fn as_hmac(&self) -> Option<&HmacKey> {
        if let Material::Hmac(key) = &self.0 { Some(key) } else { None }
    }

    pub(super) fn as_shared(&self) -> Option<&Secret> {
        if let Material::Shared(secret) = &self.0 { Some(secret) } else { None }
    }

    /// Returns whether this is the key of an Ed25519 signature of the message.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let Material::Ed25519 { public, .. } = &self.0 else { return false };
        let signature = ed25519_dalek::Signature::from_slice(signature);
        signature.is_ok_and(|signature| public.verify_strict(message, &signature).is_ok())
    }

    /// Signs a message with the private key, if there is one.
    pub(super) fn sign_ed25519(&self, message: &[u8]) -> Option<[u8; 64]> {
        let Material::Ed25519 { private: Some(private), .. } = &self.0 else { return None };
        Some(private.sign(message).to_bytes())
    }
}

/// Returns whether any key produces one of these digests. Tries all, in constant time.
pub(super) fn matches_any_key(digests: &[SignatureBytes], keys: &[Key], parts: &[&[u8]]) -> bool {
    let hmac_keys = keys.iter().filter_map(Key::as_hmac);
    let found = hmac_keys.fold(Choice::from(0), |found, key| found | key.makes_any(digests, parts));
    found.into()
}

/// Returns whether a secret that the request carries is one of the keys. Tries all, in constant time.
pub(super) fn is_any_secret(offered: &[u8], keys: &[Key]) -> bool {
    keys.iter().filter_map(Key::as_shared).fold(false, |found, key| found | key.equals(offered))
}
