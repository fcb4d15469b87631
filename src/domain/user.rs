//! Users of the console: people, with a name, a role and the hash of a password.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc};

use super::secret::Secret;

/// Permissions of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Sees calls and rules, with masked numbers unless the settings reveal them.
    Viewer,
    /// Sees numbers, and changes rules where the settings allow it.
    Editor,
}

impl Role {
    /// Returns the role in the word of the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Editor => "editor",
        }
    }
}

/// A user of the console. Not `Debug`: a hash reveals weak passwords.
#[derive(Clone)]
pub struct User {
    /// Name, unique among the users.
    pub name: Box<str>,
    /// Permissions.
    pub role: Role,
    /// Hash of the password.
    pub password_hash: PasswordHash,
}

/// Argon2 hash of a password, as a PHC string: `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`.
///
/// ```
/// use switchboard::domain::user::PasswordHash;
///
/// let hash = PasswordHash::new("correct horse", [7; 16]);
/// assert!(hash.verify("correct horse"));
/// assert!(!hash.verify("correct house"));
/// assert!(PasswordHash::parse(hash.as_str()).is_some());
/// assert!(PasswordHash::parse("correct horse").is_none());
/// ```
#[derive(Clone)]
pub struct PasswordHash(Secret);

impl PasswordHash {
    /// Hashes a password with Argon2id and the parameters that OWASP recommends: 19 MiB, two passes. The
    /// salt must be random.
    pub fn new(password: &str, salt: [u8; 16]) -> PasswordHash {
        let hashed: Result<phc::PasswordHash, _> =
            Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
        let hashed = hashed.expect("a salt of 16 bytes, and a password below 4 GB");
        PasswordHash(Secret::new(hashed.to_string()))
    }

    /// Parses a PHC string. Returns `None` if it is not an Argon2 hash.
    pub fn parse(text: &str) -> Option<PasswordHash> {
        let parsed = phc::PasswordHash::new(text).ok()?;
        let is_argon2 = ["argon2id", "argon2i", "argon2d"].contains(&parsed.algorithm.as_str());
        (is_argon2 && parsed.hash.is_some()).then(|| PasswordHash(Secret::new(text)))
    }

    /// Returns the PHC string.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.0.expose()).expect("made from a string")
    }

    /// Returns whether this is the hash of a password. Takes as long as the parameters of the hash demand:
    /// some tens of milliseconds.
    pub fn verify(&self, password: &str) -> bool {
        let parsed = phc::PasswordHash::new(self.as_str()).expect("it was parsed before");
        Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok()
    }
}

/// The users, whom a reload replaces. Clones share them.
#[derive(Clone, Default)]
pub struct LiveUsers(Arc<ArcSwap<Vec<User>>>);

impl From<Vec<User>> for LiveUsers {
    fn from(users: Vec<User>) -> LiveUsers {
        LiveUsers(Arc::new(ArcSwap::from_pointee(users)))
    }
}

impl LiveUsers {
    /// Returns the current users.
    pub fn get(&self) -> Guard<Arc<Vec<User>>> {
        self.0.load()
    }

    /// Replaces the users, for requests from now on.
    pub fn replace(&self, users: Vec<User>) {
        self.0.store(Arc::new(users));
    }
}
