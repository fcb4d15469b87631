//! The secrets of one look-up, as they were when it was prepared. A call reads no file.

use crate::domain::secret::{Secret, SecretSource};
use crate::rules::LookupBackend;

/// Secrets by their references. `None` for those that are missing.
pub(super) struct ResolvedSecrets(Vec<(String, Option<Secret>)>);

impl ResolvedSecrets {
    /// Reads the secrets to which a look-up refers.
    pub(super) fn read(backend: &LookupBackend, source: &dyn SecretSource) -> ResolvedSecrets {
        let references = backend.secret_references().into_iter();
        ResolvedSecrets(
            references
                .map(|reference| {
                    let secret = source.secret(&reference);
                    (reference, secret)
                })
                .collect(),
        )
    }

    /// Returns whether a secret is missing.
    pub(super) fn have_gaps(&self) -> bool {
        self.0.iter().any(|(_, secret)| secret.is_none())
    }

    /// Returns whether each secret is the same.
    pub(super) fn equal(&self, other: &ResolvedSecrets) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|((reference, one), (other_reference, other))| {
                let is_same = match (one, other) {
                    (Some(one), Some(other)) => one.equals(other.expose()),
                    (None, None) => true,
                    (Some(_), None) | (None, Some(_)) => false,
                };
                reference == other_reference && is_same
            })
    }
}

impl SecretSource for ResolvedSecrets {
    fn secret(&self, reference: &str) -> Option<Secret> {
        let found = self.0.iter().find(|(known, _)| known == reference);
        found.and_then(|(_, secret)| secret.clone())
    }
}
