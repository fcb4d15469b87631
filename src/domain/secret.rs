//! A secret: an API key, a workspace secret, a token.
//!
//! It has neither `Debug` nor `Display`, so a type that holds one cannot be printed by accident.
//! It reads nothing itself: `settings` finds the bytes.

use subtle::ConstantTimeEq;

/// Bytes that prove who somebody is. Compared in constant time, never printed.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Keeps these bytes as they are; the caller has trimmed what does not belong to them.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Secret {
        Secret(bytes.into().into_boxed_slice())
    }

    /// Whether `offered` is this secret. The time taken tells nothing but the length.
    pub fn equals(&self, offered: &[u8]) -> bool {
        self.0.ct_eq(offered).into()
    }

    /// Length in bytes, for the check that it is not too short to mean anything.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes themselves, for the one who makes a MAC key or a signature of them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Secret {
    /// Overwrites the bytes, so that a later reader of this memory does not find them.
    fn drop(&mut self) {
        self.0.fill(0);
        std::hint::black_box(&self.0);
    }
}
