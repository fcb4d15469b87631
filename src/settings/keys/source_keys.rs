//! Keys of a source: its secrets, in the form that its signature scheme needs.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::SourceKeys;
use super::reader::{Section, SettingsReader};
use super::secret_mistakes::SHORTEST_SECRET_BYTES;
use super::signature::{KeySettings, NamedSecret, Signature, SignaturePart};
use super::sources::DEV_KEY;
use crate::authenticate::{AllScheme, Key, Mode, Policy, PolicySecrets, Scheme};
use crate::dialect::DialectRef;
use crate::domain::secret::Secret;
use crate::settings::Purpose;

impl SignaturePart {
    fn of(scheme: Arc<dyn Scheme>, path: &[String]) -> SignaturePart {
        SignaturePart { scheme, secrets: None, shared_keys: Vec::new(), path: path.to_vec() }
    }

    fn lacks_secrets(&self, of_source: &[Option<NamedSecret>]) -> bool {
        let secrets = self.secrets.as_deref().unwrap_or(of_source);
        secrets.is_empty() && self.shared_keys.is_empty() && self.scheme.has_keys()
    }
}

impl Signature {
    /// Describes a platform's own scheme.
    pub(super) fn of(scheme: Arc<dyn Scheme>, path: &[String]) -> Signature {
        Signature { parts: vec![SignaturePart::of(scheme, path)], is_all: false }
    }

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
        settings: KeySettings<'_>,
        signature: Option<&Signature>,
        section: &Section,
    ) {
        let KeySettings { source, mode, key, secrets } = settings;
        let is_checked = mode.is_some_and(|mode| mode != Mode::Off);
        let is_missing = signature.map_or(secrets.is_empty(), |signature| {
            signature.parts.iter().any(|part| part.lacks_secrets(secrets))
        });
        if self.inputs.purpose != Purpose::Dev && is_checked && is_missing {
            let what = if key == "secrets" { "signatures" } else { "signatures of events" };
            let message = format!("source `{source}` has no secret to verify {what} with");
            self.error("no-secret", &section.path, message)
                .help(format!("set {key} = [\"env:NAME\"] to the API key that signs its webhooks"));
        }
    }

    /// Derives the keys of a source. Those that are invalid are reported.
    pub(super) fn keys(
        &mut self,
        settings: KeySettings<'_>,
        signature: &Signature,
        section: &Section,
    ) -> Vec<Key> {
        let mut each = Vec::new();
        for part in &signature.parts {
            let (secrets, path) = match &part.secrets {
                Some(own) => (&own[..], [&part.path[..], &["secrets".to_owned()]].concat()),
                None => (settings.secrets, section.path_to(settings.key)),
            };
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

    /// Reads the policy of events, if they are signed in another way than requests about calls. A platform's
    /// own scheme of events needs a key: without one, events are authenticated like the other requests.
    pub(super) fn events_policy(
        &mut self,
        name: &str,
        source: &mut SourceKeys,
        section: &Section,
    ) -> Option<Policy> {
        let has_keys = section.has("events_secrets") || self.inputs.purpose == Purpose::Dev;
        let dialect = source.platform.clone();
        let own = || dialect.as_ref().filter(|_| has_keys)?.events_scheme();
        let signature = match source.events_signature.take() {
            Some(signature) => signature,
            None if section.has("events_signature") => return None,
            None => match own() {
                Some(scheme) => Signature::of(scheme, &section.path),
                None => {
                    self.refuse_events_secrets(name, dialect.as_ref(), section);
                    return None;
                }
            },
        };
        let (mode, secrets) = (source.auth, &source.events_secrets);
        let keys = KeySettings { source: name, mode, key: "events_secrets", secrets };
        self.check_secrets(keys, Some(&signature), section);
        let keys = self.keys(keys, &signature, section);
        Some(Policy {
            source: name.into(),
            mode: source.auth?,
            scheme: signature.into_scheme(),
            public_base_url: source.public_base_url.clone(),
            secrets: ArcSwap::from_pointee(PolicySecrets {
                keys,
                url_token: source.url_token.clone(),
            }),
            allow_from: source.allow_from.clone(),
        })
    }

    /// Refuses keys that no scheme uses.
    fn refuse_events_secrets(
        &mut self,
        name: &str,
        platform: Option<&DialectRef>,
        section: &Section,
    ) {
        let Some(dialect) = platform.filter(|_| section.has("events_secrets")) else { return };
        let platform = dialect.platform();
        let message = format!("source `{name}`: {platform} signs events like its other requests");
        self.error("bad-value", &section.path_to("events_secrets"), message)
            .help("remove the key, or describe the signature of events in events_signature");
    }
}
