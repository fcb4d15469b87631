//! Keys of a source: its secrets, in the form that its signature scheme needs.

use std::sync::Arc;

use super::SourceKeys;
use super::reader::{Section, SettingsReader};
use super::signature::{NamedSecret, Signature, SignaturePart};
use super::sources::{DEV_KEY, SHORTEST_SECRET_BYTES};
use crate::authenticate::{AllScheme, Key, Mode, Policy, Scheme};
use crate::domain::secret::Secret;
use crate::settings::Purpose;

impl SignaturePart {
    /// Describes a platform's own scheme.
    pub(super) fn of(scheme: Arc<dyn Scheme>, path: &[String]) -> SignaturePart {
        SignaturePart { scheme, secrets: None, shared_keys: Vec::new(), path: path.to_vec() }
    }

    fn lacks_secrets(&self, source: &SourceKeys) -> bool {
        let secrets = self.secrets.as_ref().unwrap_or(&source.secrets);
        secrets.is_empty() && self.shared_keys.is_empty() && self.scheme.has_keys()
    }
}

impl Signature {
    /// Returns the scheme.
    pub(super) fn into_scheme(self) -> Arc<dyn Scheme> {
        let mut schemes: Vec<_> = self.parts.into_iter().map(|part| part.scheme).collect();
        match (self.is_all, schemes.pop()) {
            (false, Some(scheme)) => scheme,
            (_, last) => Arc::new(AllScheme(schemes.into_iter().chain(last).collect())),
        }
    }
}

impl SettingsReader<'_> {
    /// Refuses a source without a secret that its signature needs. Without a signature, which has been reported,
    /// it needs one too.
    pub(super) fn check_secrets(
        &mut self,
        name: &str,
        source: &SourceKeys,
        signature: Option<&Signature>,
        section: &Section,
    ) {
        let is_checked = source.auth.is_some_and(|mode| mode != Mode::Off);
        let is_missing = signature.map_or(source.secrets.is_empty(), |signature| {
            signature.parts.iter().any(|part| part.lacks_secrets(source))
        });
        if self.inputs.purpose != Purpose::Dev && is_checked && is_missing {
            let message = format!("source `{name}` has no secret to verify signatures with");
            self.error("no-secret", &section.path, message)
                .help("set secrets = [\"env:NAME\"] to the API key that signs its webhooks");
        }
    }

    /// Derives the keys of a source. Those that are invalid are reported.
    pub(super) fn keys(
        &mut self,
        source: &SourceKeys,
        signature: &Signature,
        section: &Section,
    ) -> Vec<Key> {
        let mut each = Vec::new();
        for part in &signature.parts {
            let (secrets, mut path) = match &part.secrets {
                Some(own) => (own, part.path.clone()),
                None => (&source.secrets, section.path.clone()),
            };
            path.push("secrets".to_owned());
            each.push(self.keys_of(part, secrets, &path));
        }
        if signature.is_all { vec![Key::each(each)] } else { each.pop().unwrap_or_default() }
    }

    fn keys_of(
        &mut self,
        part: &SignaturePart,
        secrets: &[Option<NamedSecret>],
        path: &[String],
    ) -> Vec<Key> {
        let mut keys: Vec<_> = secrets
            .iter()
            .flatten()
            .filter_map(|named| self.key(&*part.scheme, named, path))
            .collect();
        let shared = part.shared_keys.iter();
        keys.extend(shared.map(|(id, named)| Key::twilio_shared(id, &named.secret)));
        if keys.is_empty() && self.inputs.purpose != Purpose::Serve {
            keys.push(part.scheme.stand_in_key(&Secret::new(DEV_KEY)));
        }
        keys
    }

    fn key(&mut self, scheme: &dyn Scheme, named: &NamedSecret, path: &[String]) -> Option<Key> {
        let NamedSecret { reference, secret } = named;
        // A missing secret has been reported, and the word has not the form of every key.
        if secret.equals(DEV_KEY.as_bytes()) {
            return Some(scheme.stand_in_key(secret));
        }
        let error = match scheme.key(secret) {
            Ok(key) => {
                self.check_key_length(scheme, named, path);
                return Some(key);
            }
            Err(error) => error,
        };
        let message = format!("`{}`: {reference} {}", path.join("."), error.mistake);
        self.error("unusable-secret", path, message).help(error.help);
        None
    }

    /// Refuses a secret that is long enough, but contains a key that is not.
    fn check_key_length(&mut self, scheme: &dyn Scheme, named: &NamedSecret, path: &[String]) {
        let length = scheme.key_bytes(&named.secret);
        // A short secret has been reported.
        let is_short =
            length < SHORTEST_SECRET_BYTES && named.secret.len() >= SHORTEST_SECRET_BYTES;
        if is_short && self.inputs.purpose != Purpose::Dev {
            let message = format!(
                "`{}`: {} contains a key of {length} bytes, and a key needs at least \
                 {SHORTEST_SECRET_BYTES}",
                path.join("."),
                named.reference,
            );
            self.error("short-secret", path, message)
                .help("use the key that the platform shows for webhooks");
        }
    }

    /// Refuses a signature that covers a URL which the settings do not have.
    pub(super) fn check_public_url(&mut self, policy: &Policy, section: &Section) {
        // An invalid URL has been reported.
        if policy.scheme.covers_url() && !section.has("public_base_url") {
            let message = format!(
                "source `{}`: `public_base_url` is missing, and the signature covers the URL",
                policy.source
            );
            self.error("missing-key", &section.path, message).help(
                "set public_base_url = \"https://NAME\", as the platform's URL of this service begins",
            );
        }
    }
}
