//! Secrets: API keys, workspace secrets and tokens.
//!
//! [`Secret`] implements neither `Debug` nor `Display`, so that no type that contains one can be
//! printed by accident. `settings` reads the bytes.

use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Secret bytes: compared in constant time, never printed, overwritten with zeros when dropped.
///
/// ```
/// use switchboard::domain::secret::Secret;
///
/// let token = Secret::new("token_0123456789abcdef");
/// assert!(token.equals(b"token_0123456789abcdef"));
/// assert!(!token.equals(b"token_0123456789abcdeg"));
/// ```
///
/// A secret cannot be printed:
/// ```compile_fail
/// println!("{:?}", switchboard::domain::secret::Secret::new("key"));
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// Wraps the bytes unchanged; the caller trims line ends and blanks.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Secret {
        Secret(Zeroizing::new(bytes.into().into_boxed_slice()))
    }

    /// Returns whether `offered` equals this secret. The time taken reveals only the length.
    pub fn equals(&self, offered: &[u8]) -> bool {
        self.0.ct_eq(offered).into()
    }

    /// Returns the length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the secret is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the bytes, to derive a MAC key or a signature from them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

/// Returns whether a header, a parameter, a field or a variable of this name usually holds a secret: `X-Api-Key`,
/// `sslpassword`.
pub(crate) fn names_a_secret(name: &str) -> bool {
    const WORDS: [&str; 7] =
        ["authorization", "api-key", "api_key", "apikey", "token", "secret", "password"];
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

/// Reads the secrets to which settings and look-ups refer.
pub trait SecretSource: Send + Sync {
    /// Returns the secret at `env:NAME` or `file:PATH`, or `None` if it is missing or empty.
    fn secret(&self, reference: &str) -> Option<Secret>;
}

/// A secret that a reload replaces; there may be none. Clones share it.
#[derive(Clone)]
pub struct LiveSecret(Arc<ArcSwapOption<Secret>>);

impl From<Option<Secret>> for LiveSecret {
    fn from(secret: Option<Secret>) -> LiveSecret {
        LiveSecret(Arc::new(ArcSwapOption::from_pointee(secret)))
    }
}

impl LiveSecret {
    /// Returns the current secret.
    pub fn get(&self) -> Guard<Option<Arc<Secret>>> {
        self.0.load()
    }

    /// Takes over the secret of another holder.
    pub fn replace_by(&self, other: &LiveSecret) {
        self.0.store(other.0.load_full());
    }

    /// Replaces the secret, for requests from now on.
    pub fn replace(&self, secret: Option<Secret>) {
        self.0.store(secret.map(Arc::new));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_found_in_any_case() {
        for name in ["X-Api-Key", "Authorization", "sslpassword", "CLIENT_SECRET", "access_token"] {
            assert!(names_a_secret(name), "{name}");
        }
        for name in ["x-account", "sort_key", "sslkey", "customer"] {
            assert!(!names_a_secret(name), "{name}");
        }
    }
}
