//! `[sources.NAME.signature]`: the signature scheme that replaces the platform's own.

use std::sync::Arc;

use axum::http::{HeaderName, header};
use config::ValueKind;
use serde_json::{Value, json};

use super::SignatureKeys;
use super::reader::{Choice, Entry, Section, TableKeys};
use crate::authenticate::{
    Algorithm, BodyClaim, Ed25519Scheme, Encoding, Envelope, EnvelopeError, HmacScheme, JwtScheme,
    KeyEncoding, Layout, Mode, NoScheme, PlivoScheme, RetellScheme, Scheme, SharedScheme,
    SignedTime, StandardWebhooksScheme, SynthflowScheme, TimeUnit, TwilioScheme,
};
use crate::domain::secret::Secret;

/// Tolerance of most platforms, in seconds.
const DEFAULT_TOLERANCE_S: u32 = 300;
/// Maximum tolerance: a day.
pub(crate) const LONGEST_TOLERANCE_S: usize = 86_400;

/// A secret with its reference, for messages.
pub(crate) struct NamedSecret {
    pub(crate) reference: String,
    pub(crate) secret: Secret,
}

/// The signature of a source: one scheme, or several that must all hold.
pub(crate) struct Signature {
    pub(crate) parts: Vec<SignaturePart>,
    pub(crate) is_all: bool,
}

/// A scheme, with the secrets that belong to it alone.
pub(crate) struct SignaturePart {
    pub(crate) scheme: Arc<dyn Scheme>,
    /// `None` if it uses the secrets of the source.
    pub(crate) secrets: Option<Vec<Option<NamedSecret>>>,
    /// Shared keys of Twilio, by their id.
    pub(crate) shared_keys: Vec<(String, NamedSecret)>,
    /// Path of the table.
    pub(crate) path: Vec<String>,
}

/// The settings from which the keys of one signature come.
#[derive(Clone, Copy)]
pub(crate) struct KeySettings<'s> {
    /// Name of the source.
    pub(crate) source: &'s str,
    /// Treatment of requests that fail; `None` if it is invalid.
    pub(crate) mode: Option<Mode>,
    /// Key of the settings with the secrets: `secrets`.
    pub(crate) key: &'static str,
    /// The secrets under this key.
    pub(crate) secrets: &'s [Option<NamedSecret>],
}

/// Kind of a scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SchemeKind {
    Hmac,
    Ed25519,
    StandardWebhooks,
    Twilio,
    PlivoV3,
    Jwt,
    Shared,
    Bearer,
    Basic,
    UrlToken,
    None,
    Retell,
    Synthflow,
}

impl Choice for SchemeKind {
    const WORDS: &'static [(&'static str, SchemeKind)] = &[
        ("hmac", SchemeKind::Hmac),
        ("ed25519", SchemeKind::Ed25519),
        ("standard_webhooks", SchemeKind::StandardWebhooks),
        ("twilio", SchemeKind::Twilio),
        ("plivo_v3", SchemeKind::PlivoV3),
        ("jwt", SchemeKind::Jwt),
        ("shared", SchemeKind::Shared),
        ("bearer", SchemeKind::Bearer),
        ("basic", SchemeKind::Basic),
        ("url_token", SchemeKind::UrlToken),
        ("none", SchemeKind::None),
        ("retell", SchemeKind::Retell),
        ("synthflow", SchemeKind::Synthflow),
    ];
}

impl Choice for Algorithm {
    const WORDS: &'static [(&'static str, Algorithm)] =
        &[("sha1", Algorithm::Sha1), ("sha256", Algorithm::Sha256), ("sha512", Algorithm::Sha512)];
}

impl Choice for Encoding {
    const WORDS: &'static [(&'static str, Encoding)] =
        &[("hex", Encoding::Hex), ("base64", Encoding::Base64)];
}

impl Choice for KeyEncoding {
    const WORDS: &'static [(&'static str, KeyEncoding)] = &[
        ("text", KeyEncoding::Text),
        ("base64", KeyEncoding::Base64),
        ("hex", KeyEncoding::Hex),
        ("whsec", KeyEncoding::Whsec),
    ];
}

impl Choice for TimeUnit {
    const WORDS: &'static [(&'static str, TimeUnit)] = &[
        ("s", TimeUnit::Seconds),
        ("ms", TimeUnit::Milliseconds),
        ("auto", TimeUnit::Auto),
        ("rfc3339", TimeUnit::Rfc3339),
    ];
}

impl SchemeKind {
    fn as_str(self) -> &'static str {
        let found = SchemeKind::WORDS.iter().find(|(_, kind)| *kind == self);
        found.map_or("", |(word, _)| word)
    }

    /// Returns the keys that this kind has, besides `kind`, and `secrets` in a list.
    fn keys(self) -> &'static [&'static str] {
        match self {
            SchemeKind::Hmac => &[
                "algorithm",
                "encoding",
                "key_encoding",
                "message",
                "signature_header",
                "timestamp_header",
                "id_header",
                "prefix",
                "list_separator",
                "header",
                "format",
                "timestamp_unit",
                "tolerance_s",
            ],
            SchemeKind::Ed25519 => &[
                "encoding",
                "key_encoding",
                "message",
                "signature_header",
                "timestamp_header",
                "id_header",
                "prefix",
                "list_separator",
                "timestamp_unit",
                "tolerance_s",
            ],
            SchemeKind::StandardWebhooks => &["header_prefix", "tolerance_s"],
            SchemeKind::Twilio => &["shared_keys"],
            SchemeKind::Jwt => &["header", "key_encoding", "body_claim", "encoding", "tolerance_s"],
            SchemeKind::Shared | SchemeKind::Bearer => &["header"],
            SchemeKind::UrlToken => &["query", "path_segment"],
            SchemeKind::PlivoV3
            | SchemeKind::Basic
            | SchemeKind::None
            | SchemeKind::Retell
            | SchemeKind::Synthflow => &[],
        }
    }
}

/// Adds to the JSON Schema that a signature is one scheme or a list of them.
pub(crate) fn constrain(schema: &mut Value) {
    schema["anyOf"] = json!([{ "required": ["kind"] }, { "required": ["all"] }]);
}

/// Returns the JSON Schema of the list `all`: the keys of a signature without `all` itself.
pub(crate) fn list_schema() -> Value {
    let properties = SignatureKeys::spec().keys.iter().filter(|key| key.name != "all");
    let properties: serde_json::Map<_, _> =
        properties.map(|key| (key.name.to_owned(), key.json_schema())).collect();
    let scheme = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "required": ["kind"],
    });
    json!({ "type": "array", "items": scheme, "minItems": 2 })
}

/// Values of signatures.
impl Entry<'_, '_> {
    pub(crate) fn signature(&mut self) -> Option<Signature> {
        let (keys, section) = self.table_keys::<SignatureKeys>()?;
        if !section.has("all") {
            if section.has("secrets") {
                let path = section.path_to("secrets");
                self.reader
                    .error("unknown-key", &path, format!("`{}` has no place here", path.join(".")))
                    .help(
                        "set the secrets of the source; only the schemes of `all` have their own",
                    );
            }
            let part = self.signature_part(keys, &section)?;
            return Some(Signature { parts: vec![part], is_all: false });
        }
        let others: Vec<_> = section.names().filter(|name| *name != "all").collect();
        for key in others {
            let message = format!("`{}.{key}` beside `all`", self.name());
            self.reader
                .error("unknown-key", &section.path_to(key), message)
                .help("move it into the scheme of `all` to which it belongs");
        }
        Some(Signature { parts: keys.all?, is_all: true })
    }

    /// Reads the list `all`. Schemes that cannot be used have been reported.
    pub(crate) fn signature_list(&mut self) -> Option<Vec<SignaturePart>> {
        let ValueKind::Array(list) = &self.value.kind else { return self.no_list() };
        let list = list.clone();
        if list.len() < 2 {
            return self.no_list();
        }
        let length = list.len();
        let parts = list.into_iter().enumerate().filter_map(|(index, value)| {
            let path = [&self.path[..], &[index.to_string()]].concat();
            let mut entry = Entry { reader: self.reader, path, value };
            let (keys, section) = entry.table_keys::<SignatureKeys>()?;
            if section.has("all") || keys.kind == Some(SchemeKind::None) {
                let message = format!("`{}` cannot be in a list", entry.name());
                entry.error("bad-value", message).help("name schemes that prove something");
                return None;
            }
            entry.signature_part(keys, &section)
        });
        let parts: Vec<_> = parts.collect();
        if parts.len() < length {
            return None;
        }
        let without = parts.iter().filter(|part| part.secrets.is_none()).count();
        if without > 1 {
            let message = format!("`{}`: {without} schemes would share their secrets", self.name());
            self.error("no-secret", message).help("give each its own: secrets = [\"env:NAME\"]");
        }
        Some(parts)
    }

    fn no_list<T>(&mut self) -> Option<T> {
        let message = format!("`{}` must be a list of two schemes or more", self.name());
        self.error("bad-value", message)
            .help("write all = [{ kind = \"url_token\", secrets = [\"env:TOKEN\"] }, …]");
        None
    }

    /// Reads a table of shared keys of Twilio: references by the id of the key.
    pub(crate) fn shared_keys(&mut self) -> Vec<(String, NamedSecret)> {
        let keys = self.table().unwrap_or_default();
        let mut keys: Vec<_> = keys.into_iter().collect();
        keys.sort_by(|(a, _), (b, _)| a.cmp(b));
        let read = keys.into_iter().filter_map(|(id, value)| {
            let path = [&self.path[..], std::slice::from_ref(&id)].concat();
            let mut entry = Entry { reader: self.reader, path, value };
            let reference = entry.text()?;
            let secret = entry.reader.secret(&reference, &entry.path)?;
            Some((id, NamedSecret { reference, secret }))
        });
        read.collect()
    }

    fn signature_part(&mut self, keys: SignatureKeys, section: &Section) -> Option<SignaturePart> {
        if !section.has("kind") {
            let message = format!("`{}`: `kind` is missing", self.name());
            let kinds =
                SchemeKind::WORDS.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
            self.error("missing-key", message).help(format!("set it to one of {kinds}"));
        }
        let kind = keys.kind?;
        self.refuse_foreign_keys(kind, section);
        let scheme = self.scheme(kind, &keys, section)?;
        Some(SignaturePart {
            scheme,
            secrets: section.has("secrets").then_some(keys.secrets),
            shared_keys: keys.shared_keys,
            path: self.path.clone(),
        })
    }

    fn refuse_foreign_keys(&mut self, kind: SchemeKind, section: &Section) {
        let own = kind.keys();
        let foreign = section.names().filter(|name| !["kind", "secrets", "all"].contains(name));
        let foreign: Vec<_> = foreign.filter(|name| !own.contains(name)).collect();
        let help = match own {
            [] => format!("`{}` has no further keys", kind.as_str()),
            own => format!("`{}` has {}", kind.as_str(), own.join(", ")),
        };
        for key in foreign {
            let path = section.path_to(key);
            let message = format!("`{}` is no key of `{}`", path.join("."), kind.as_str());
            self.reader.error("unknown-key", &path, message).help(&*help);
        }
    }

    fn scheme(
        &mut self,
        kind: SchemeKind,
        keys: &SignatureKeys,
        section: &Section,
    ) -> Option<Arc<dyn Scheme>> {
        Some(match kind {
            SchemeKind::Retell => Arc::new(RetellScheme),
            SchemeKind::Synthflow => Arc::new(SynthflowScheme),
            SchemeKind::Twilio => Arc::new(TwilioScheme),
            SchemeKind::PlivoV3 => Arc::new(PlivoScheme),
            SchemeKind::Jwt => Arc::new(self.jwt(keys, section)?),
            SchemeKind::None => Arc::new(NoScheme),
            SchemeKind::Basic => Arc::new(SharedScheme::Basic),
            SchemeKind::Bearer => {
                Arc::new(SharedScheme::Bearer(keys.header.clone().unwrap_or(header::AUTHORIZATION)))
            }
            SchemeKind::Shared => {
                self.require("header", kind, section);
                Arc::new(SharedScheme::Header(keys.header.clone()?))
            }
            SchemeKind::UrlToken => Arc::new(self.url_token_scheme(keys, section)?),
            SchemeKind::StandardWebhooks => Arc::new(self.standard_webhooks(keys, section)?),
            SchemeKind::Hmac => {
                self.require("message", kind, section);
                let layout = self.layout(keys, section);
                let time = time_of(layout.as_ref(), keys, section);
                let encoding = keys.encoding.unwrap_or(Encoding::Hex);
                let message = keys.message.as_deref()?;
                Arc::new(HmacScheme {
                    algorithm: keys.algorithm.unwrap_or(Algorithm::Sha256),
                    key_encoding: keys.key_encoding.unwrap_or(KeyEncoding::Text),
                    envelope: self.envelope(layout?, message, encoding, time, section)?,
                })
            }
            SchemeKind::Ed25519 => Arc::new(self.ed25519(keys, section)?),
        })
    }

    fn require(&mut self, key: &str, kind: SchemeKind, section: &Section) {
        if !section.has(key) {
            let message = format!("`{}`: `{key}` is missing", self.name());
            let help = format!("`{}` needs it; see the platform's documentation", kind.as_str());
            self.error("missing-key", message).help(help);
        }
    }

    fn url_token_scheme(
        &mut self,
        keys: &SignatureKeys,
        section: &Section,
    ) -> Option<SharedScheme> {
        if section.has("query") && section.has("path_segment") {
            let message = format!("`{}` has both query and path_segment", self.name());
            self.error("bad-value", message).help("remove one of them");
        }
        Some(match section.has("query") {
            true => SharedScheme::QueryToken(keys.query.as_deref()?.into()),
            false => SharedScheme::PathToken,
        })
    }

    fn standard_webhooks(
        &mut self,
        keys: &SignatureKeys,
        section: &Section,
    ) -> Option<StandardWebhooksScheme> {
        let default = StandardWebhooksScheme::PREFIX;
        let prefix =
            if section.has("header_prefix") { keys.header_prefix.as_deref()? } else { default };
        let scheme = StandardWebhooksScheme::new(prefix, tolerance(keys));
        if scheme.is_none() {
            let path = section.path_to("header_prefix");
            let message = format!("`{}`: no header begins with `{prefix}`", path.join("."));
            self.reader
                .error("bad-value", &path, message)
                .help(format!("write {default}, or svix-"));
        }
        scheme
    }

    fn jwt(&mut self, keys: &SignatureKeys, section: &Section) -> Option<JwtScheme> {
        if section.has("encoding") && !section.has("body_claim") {
            let path = section.path_to("encoding");
            let message = format!("`{}` without `body_claim`", path.join("."));
            self.reader
                .error("bad-value", &path, message)
                .help("it is the encoding of the body's hash; set body_claim to the claim with it");
        }
        let encoding = keys.encoding.unwrap_or(Encoding::Hex);
        let body_claim = match section.has("body_claim") {
            true => Some(BodyClaim { name: keys.body_claim.as_deref()?.into(), encoding }),
            false => None,
        };
        Some(JwtScheme {
            header: keys.header.clone().unwrap_or(header::AUTHORIZATION),
            key_encoding: keys.key_encoding.unwrap_or(KeyEncoding::Text),
            body_claim,
            tolerance_s: tolerance(keys),
        })
    }

    /// Telnyx's form, with what the settings change of it.
    fn ed25519(&mut self, keys: &SignatureKeys, section: &Section) -> Option<Ed25519Scheme> {
        let default = |name| Some(HeaderName::from_static(name));
        let is_telnyx = ["message", "signature_header", "timestamp_header"];
        let is_telnyx = is_telnyx.iter().all(|key| !section.has(key));
        if !is_telnyx {
            self.require("signature_header", SchemeKind::Ed25519, section);
            self.require("message", SchemeKind::Ed25519, section);
        }
        let (signature, timestamp, message) = match is_telnyx {
            true => (
                default(Ed25519Scheme::TELNYX_SIGNATURE),
                default(Ed25519Scheme::TELNYX_TIMESTAMP),
                Some(Ed25519Scheme::TELNYX_MESSAGE),
            ),
            false => (
                keys.signature_header.clone(),
                keys.timestamp_header.clone(),
                keys.message.as_deref(),
            ),
        };
        let layout = Layout::Separate {
            signature: signature?,
            timestamp,
            id: keys.id_header.clone(),
            prefix: keys.prefix.clone().unwrap_or_default().into(),
            separator: keys.list_separator.clone().map(Into::into),
        };
        if let Some(KeyEncoding::Text | KeyEncoding::Whsec) = keys.key_encoding {
            let path = section.path_to("key_encoding");
            let message = format!("`{}`: a public key has 32 bytes, not a text", path.join("."));
            self.reader.error("bad-value", &path, message).help("write base64 or hex");
        }
        let time = time_of(Some(&layout), keys, section);
        let encoding = keys.encoding.unwrap_or(Encoding::Base64);
        Some(Ed25519Scheme {
            key_encoding: keys.key_encoding.unwrap_or(KeyEncoding::Base64),
            envelope: self.envelope(layout, message?, encoding, time, section)?,
        })
    }

    fn layout(&mut self, keys: &SignatureKeys, section: &Section) -> Option<Layout> {
        let combined = ["header", "format"].iter().any(|key| section.has(key));
        let separate =
            ["signature_header", "timestamp_header", "id_header", "prefix", "list_separator"];
        let separate = separate.iter().any(|key| section.has(key));
        if combined && separate {
            let message = format!("`{}` has both `header` and `signature_header`", self.name());
            self.error("bad-value", message).help(
                "set header and format if one header holds the time and the signature, otherwise \
                 signature_header and timestamp_header",
            );
            return None;
        }
        if combined {
            self.require("header", SchemeKind::Hmac, section);
            self.require("format", SchemeKind::Hmac, section);
            let (timestamp, signature) = self.format(keys.format.as_deref()?, section)?;
            return Some(Layout::Combined { header: keys.header.clone()?, timestamp, signature });
        }
        self.require("signature_header", SchemeKind::Hmac, section);
        Some(Layout::Separate {
            signature: keys.signature_header.clone()?,
            timestamp: keys.timestamp_header.clone(),
            id: keys.id_header.clone(),
            prefix: keys.prefix.clone().unwrap_or_default().into(),
            separator: keys.list_separator.clone().map(Into::into),
        })
    }

    /// Reads `t,v1`: the names of the timestamp and of the signature.
    fn format(&mut self, format: &str, section: &Section) -> Option<(Box<str>, Box<str>)> {
        let is_name = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let names = format.split_once(',');
        let names = names.filter(|(a, b)| is_name(a) && is_name(b) && a != b);
        if names.is_none() {
            let path = section.path_to("format");
            let message = format!("`{}` cannot be `{format}`", path.join("."));
            self.reader
                .error("bad-value", &path, message)
                .help("write the names of the timestamp and of the signature: t,v1");
        }
        names.map(|(timestamp, signature)| (timestamp.into(), signature.into()))
    }

    fn envelope(
        &mut self,
        layout: Layout,
        message: &str,
        encoding: Encoding,
        time: Option<SignedTime>,
        section: &Section,
    ) -> Option<Envelope> {
        let errors = match Envelope::new(layout, message, encoding, time) {
            Ok(envelope) => return Some(envelope),
            Err(errors) => errors,
        };
        for EnvelopeError { key, message, help } in errors {
            let key = if section.has(key) { key } else { "message" };
            let path = section.path_to(key);
            let message = format!("`{}`: {message}", path.join("."));
            self.reader.error("bad-value", &path, message).help(help);
        }
        None
    }
}

/// Returns the rule for the timestamp, if there is one; or if there is none and the settings have one.
fn time_of(layout: Option<&Layout>, keys: &SignatureKeys, section: &Section) -> Option<SignedTime> {
    let has_timestamp = match layout {
        Some(Layout::Separate { timestamp, .. }) => timestamp.is_some(),
        Some(Layout::Combined { .. }) => true,
        None => false,
    };
    let is_set = section.has("tolerance_s") || section.has("timestamp_unit");
    let unit = keys.timestamp_unit.unwrap_or(TimeUnit::Seconds);
    (has_timestamp || is_set).then(|| SignedTime { unit, tolerance_s: tolerance(keys) })
}

fn tolerance(keys: &SignatureKeys) -> u32 {
    let seconds = keys.tolerance_s.and_then(|seconds| u32::try_from(seconds).ok());
    seconds.unwrap_or(DEFAULT_TOLERANCE_S)
}
