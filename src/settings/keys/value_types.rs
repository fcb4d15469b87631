//! Types of values in the settings: the JSON Schema and the reader of each.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use axum::http::HeaderName;
use ipnet::IpNet;
use serde_json::{Value, json};
use url::{Host, Url};

use super::platforms::{PLATFORM_NAME_PATTERN, POINTER_PATTERN};
use super::reader::{Choice, Entry, SettingsTable, TableKeys};
use super::records::URL_PATTERN;
use super::signature::{self, NamedSecret, Signature, SignaturePart};
use super::sources::{REFERENCE_PATTERN, SOURCE_NAME_PATTERN};
use super::users::{HASH_PATTERN, USER_NAME_PATTERN};
use super::{CertificateKeys, FieldMatchKeys, PlatformKeys, SignatureKeys, SourceKeys, UserKeys};
use crate::authenticate::Mode;
use crate::dialect::generic::{FieldMatch, Pointer, ReplyTemplate};
use crate::dialect::{self, DialectRef};
use crate::domain::phone_number::Country;
use crate::domain::secret::Secret;
use crate::domain::user::{self, User};
use crate::schema::value_types;
use crate::settings::{LogFormat, RecordsLocation, Wait};
use crate::source::{Fallback, Source};
use crate::tls::Certificate;

/// Type of a key's value.
pub(crate) trait ValueType {
    /// Result of the reader; the default stands for a key that is absent or invalid.
    type Raw: Default;

    /// Returns the JSON Schema.
    fn schema() -> Value;

    /// Reads the value, and reports what is wrong with it.
    fn read(entry: &mut Entry<'_, '_>) -> Self::Raw;
}

value_types! {
    /// `true` or `false`, or the same as a string from an environment variable.
    Boolean -> Option<bool> {
        json!({ "type": "boolean" }),
        |entry| entry.parsed("true or false", |text| text.parse().ok())
    }

    /// Address and port.
    Address -> Option<SocketAddr> {
        json!({ "type": "string" }),
        |entry| entry.parsed("an address and a port, like 127.0.0.1:8080 or, for all addresses, 0.0.0.0:8080", |text| text.parse().ok())
    }

    /// Addresses and networks.
    Networks -> Vec<IpNet> { strings(), |entry| networks(entry) }

    /// Path of a file or folder.
    FilePath -> Option<PathBuf> { json!({ "type": "string" }), |entry| entry.path() }

    /// Certificate of the public listener, or a list of them.
    Certificates -> Option<Vec<Certificate>> {
        {
            let one = CertificateKeys::spec().json_schema();
            json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
        },
        |entry| entry.certificates()
    }

    /// Location of the record store, or a reference to it.
    RecordsUrl -> Option<RecordsLocation> {
        json!({ "type": "string", "pattern": URL_PATTERN }),
        |entry| entry.records_location()
    }

    /// Reference to a secret. The schema rejects everything else, which may be the secret itself.
    SecretReference -> Option<Secret> {
        json!({ "type": "string", "pattern": REFERENCE_PATTERN }),
        |entry| entry.secret()
    }

    /// References to secrets, with `None` for those that cannot be used.
    SecretReferences -> Vec<Option<NamedSecret>> {
        json!({
            "type": ["string", "array"],
            "pattern": REFERENCE_PATTERN,
            "items": { "type": "string", "pattern": REFERENCE_PATTERN },
        }),
        |entry| entry.secrets()
    }

    /// Reference to a token that is a part of the URL.
    UrlToken -> Option<Secret> { SecretReference::schema(), |entry| entry.url_token() }

    /// Signature scheme of a source.
    SignatureScheme -> Option<Signature> {
        SignatureKeys::spec().json_schema(),
        |entry| entry.signature()
    }

    /// Signature schemes that must all hold.
    SchemeList -> Option<Vec<SignaturePart>> {
        signature::list_schema(),
        |entry| entry.signature_list()
    }

    /// References to shared keys, by their ids.
    SharedKeys -> Vec<(String, NamedSecret)> {
        json!({
            "type": "object",
            "additionalProperties": { "type": "string", "pattern": REFERENCE_PATTERN },
        }),
        |entry| entry.shared_keys()
    }

    /// Name of an HTTP header, in any case.
    HttpHeader -> Option<HeaderName> {
        json!({ "type": "string", "minLength": 1 }),
        |entry| entry.parsed("the name of an HTTP header", |text| text.parse().ok())
    }

    /// A text that is not empty.
    Text -> Option<String> {
        json!({ "type": "string", "minLength": 1 }),
        |entry| non_empty_text(entry)
    }

    /// URL of the service as a platform knows it, without the path of a source.
    PublicUrl -> Option<Box<str>> {
        json!({ "type": "string", "pattern": "^https?://[^@?#]+$" }),
        |entry| public_url(entry)
    }

    /// Directives of the `tracing` crate.
    LogLevel -> Option<String> { json!({ "type": "string" }), |entry| log_level(entry) }

    /// Base URL of a collector of traces.
    CollectorUrl -> Option<Url> {
        json!({ "type": "string", "pattern": "^https?://[^@?#]+$" }),
        |entry| collector_url(entry)
    }

    /// Base URL of a platform's API.
    ApiUrl -> Option<Url> {
        json!({ "type": "string", "pattern": "^https?://[^@?#]+$" }),
        |entry| api_url(entry)
    }

    /// Name of a platform.
    PlatformName -> Option<DialectRef> {
        json!({ "type": "string", "pattern": PLATFORM_NAME_PATTERN, "examples": dialect::ALL.map(|dialect| dialect.platform().as_str()) }),
        |entry| entry.platform()
    }

    /// Country, by its ISO code.
    CountryCode -> Option<Country> {
        json!({ "type": "string", "pattern": "^[A-Z]{2}$" }),
        |entry| entry.country()
    }

    /// Texts.
    Texts -> Vec<String> { strings(), |entry| entry.texts() }

    /// Deadline for a reply.
    ReplyBudget -> Option<Duration> {
        Milliseconds::<1, 9000>::schema(),
        |entry| {
            let wanted = "an integer from 1 to 9000 (platforms stop waiting after 10 seconds)";
            let ms = entry.parsed(wanted, |text| text.parse().ok().filter(|ms| (1..=9000).contains(ms)));
            ms.map(Duration::from_millis)
        }
    }

    /// Reply when an internal error occurs.
    FallbackReply -> Option<Fallback> {
        json!({ "type": "string", "minLength": 1 }),
        |entry| entry.fallback()
    }

    /// Users of the console by name.
    Users -> Vec<User> {
        json!({
            "type": "object",
            "propertyNames": { "pattern": USER_NAME_PATTERN },
            "additionalProperties": UserKeys::spec().json_schema(),
        }),
        |entry| entry.users()
    }

    /// Hash of a password, or a reference to it.
    PasswordHash -> Option<user::PasswordHash> {
        json!({ "type": "string", "pattern": HASH_PATTERN }),
        |entry| entry.password_hash()
    }

    /// Sources by name.
    Sources -> Option<Vec<Source>> {
        json!({
            "type": "object",
            "propertyNames": { "pattern": SOURCE_NAME_PATTERN },
            "additionalProperties": SourceKeys::spec().json_schema(),
        }),
        |entry| entry.sources()
    }

    /// Platforms by name, which the reader notes.
    Platforms -> () {
        json!({
            "type": "object",
            "propertyNames": { "pattern": PLATFORM_NAME_PATTERN },
            "additionalProperties": PlatformKeys::spec().json_schema(),
        }),
        |entry| entry.platforms()
    }

    /// JSON pointer.
    OnePointer -> Option<Pointer> {
        json!({ "type": "string", "pattern": POINTER_PATTERN }),
        |entry| entry.pointer()
    }

    /// JSON pointers.
    Pointers -> Vec<Pointer> {
        json!({
            "type": ["string", "array"],
            "pattern": POINTER_PATTERN,
            "items": { "type": "string", "pattern": POINTER_PATTERN },
        }),
        |entry| entry.pointers()
    }

    /// JSON pointers by name.
    NamedPointers -> Vec<(Box<str>, Pointer)> {
        json!({ "type": "object", "additionalProperties": OnePointer::schema() }),
        |entry| entry.named_pointers()
    }

    /// Values by which a request is recognized.
    FieldMatches -> Option<FieldMatch> {
        FieldMatchKeys::spec().json_schema(),
        |entry| entry.field_match()
    }

    /// Reply template.
    ReplyJson -> Option<ReplyTemplate> { json!({ "type": "string" }), |entry| entry.reply_template() }

    /// One of several words.
    OneOf[T: Choice] -> Option<T> {
        json!({ "type": "string", "enum": T::WORDS.iter().map(|(word, _)| word).collect::<Vec<_>>() }),
        |entry| entry.choice(T::WORDS)
    }

    /// A table of settings.
    Section[T: SettingsTable] -> Option<T::Settings> {
        T::spec().json_schema(),
        |entry| {
            let (keys, section) = entry.table_keys::<T>()?;
            keys.check(entry.reader, &section)
        }
    }
}

/// Number in a range.
pub(crate) struct BoundedInteger<const MIN: usize, const MAX: usize>;

impl<const MIN: usize, const MAX: usize> ValueType for BoundedInteger<MIN, MAX> {
    type Raw = Option<usize>;

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }

    fn read(entry: &mut Entry<'_, '_>) -> Option<usize> {
        let wanted = match MIN == MAX {
            true => format!("the integer {MIN}"),
            false => format!("an integer from {MIN} to {MAX}"),
        };
        entry
            .parsed(&wanted, |text| text.parse().ok().filter(|number| (MIN..=MAX).contains(number)))
    }
}

/// A duration in milliseconds.
pub(crate) struct Milliseconds<const MIN: usize, const MAX: usize>;

impl<const MIN: usize, const MAX: usize> ValueType for Milliseconds<MIN, MAX> {
    type Raw = Option<Duration>;

    fn schema() -> Value {
        BoundedInteger::<MIN, MAX>::schema()
    }

    fn read(entry: &mut Entry<'_, '_>) -> Option<Duration> {
        BoundedInteger::<MIN, MAX>::read(entry).map(|ms| Duration::from_millis(ms as u64))
    }
}

impl Choice for Wait {
    const WORDS: &'static [(&'static str, Wait)] = &[("no", Wait::No), ("commit", Wait::Commit)];
}

impl Choice for LogFormat {
    const WORDS: &'static [(&'static str, LogFormat)] =
        &[("json", LogFormat::Json), ("pretty", LogFormat::Pretty)];
}

const WHEN_PRESENT: &str = "when-present";

impl Choice for Mode {
    const WORDS: &'static [(&'static str, Mode)] = &[
        ("required", Mode::Required),
        (WHEN_PRESENT, Mode::WhenPresent),
        ("observe", Mode::Observe),
        ("off", Mode::Off),
    ];
}

fn strings() -> Value {
    json!({ "type": ["string", "array"], "items": { "type": "string" } })
}

fn networks(entry: &mut Entry<'_, '_>) -> Vec<IpNet> {
    let texts = entry.texts().into_iter();
    let networks = texts.filter_map(|text| {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        if network.is_err() {
            entry
                .error("bad-value", format!("`{text}` is neither an address nor a network"))
                .help("write 100.20.5.228 or 10.0.0.0/8");
        }
        network.ok()
    });
    networks.collect()
}

fn log_level(entry: &mut Entry<'_, '_>) -> Option<String> {
    let level = entry.text()?;
    let filter = level.parse::<tracing_subscriber::EnvFilter>();
    if filter.is_ok() && level.split(',').all(has_level) {
        return Some(level);
    }
    entry
        .error("bad-value", format!("`{level}` is not a log level"))
        .help("write error, warn, info, debug or trace, or directives like \"info,hyper=debug\"");
    None
}

/// Returns a URL without a password, a query and a fragment.
fn base_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let has_password = !url.username().is_empty() || url.password().is_some();
    let is_base = url.query().is_none() && url.fragment().is_none();
    let is_http = ["http", "https"].contains(&url.scheme()) && url.has_host();
    (is_http && is_base && !has_password).then_some(url)
}

fn api_url(entry: &mut Entry<'_, '_>) -> Option<Url> {
    let url = base_url(&entry.text()?);
    if url.is_none() {
        let message = format!("`{}` is not the base URL of an API", entry.name());
        entry
            .error("bad-value", message)
            .help("write https://HOST/PATH, without a password, a query or a fragment")
            .hide_line();
    }
    if url.as_ref().is_some_and(|url| url.scheme() == "http" && !is_loopback(url)) {
        let message = format!("`{}` would send the key of the API in clear text", entry.name());
        entry.error("bad-value", message).help(
            "write https://HOST/PATH; http:// is for this machine alone: http://127.0.0.1:8080",
        );
        return None;
    }
    url
}

/// Returns whether the host of a URL is this machine.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

fn non_empty_text(entry: &mut Entry<'_, '_>) -> Option<String> {
    let text = entry.text()?;
    if text.is_empty() {
        entry.error("bad-value", format!("`{}` is empty", entry.name())).help("remove the key");
        return None;
    }
    Some(text)
}

/// The text itself is part of what is signed, so it is not normalised.
fn public_url(entry: &mut Entry<'_, '_>) -> Option<Box<str>> {
    let text = entry.text()?;
    let is_base = is_base_url(&text);
    if !is_base {
        let message = format!("`{}` is not the base of a public URL", entry.name());
        entry
            .error("bad-value", message)
            .help("write https://NAME, without a password, a query or a fragment")
            .hide_line();
    }
    is_base.then(|| text.trim_end_matches('/').into())
}

fn is_base_url(text: &str) -> bool {
    let url = Url::parse(text).ok();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"@?#".contains(&byte));
    is_plain && url.is_some_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host())
}

/// A URL may contain a password, so messages do not repeat it.
fn collector_url(entry: &mut Entry<'_, '_>) -> Option<Url> {
    let url = base_url(&entry.text()?);
    if url.is_none() {
        let message = format!("`{}` is not the base URL of a collector", entry.name());
        entry
            .error("bad-value", message)
            .help("write http://HOST:PORT, without a password, a query or a fragment")
            .hide_line();
    } else if !cfg!(feature = "otlp") {
        let message = format!("`{}`: this build cannot export traces", entry.name());
        entry
            .error("bad-value", message)
            .help("use the container image, or build with `cargo build --release --features otlp`");
    }
    url
}

/// Accepts `info` and `hyper=debug`, but not `inof`, which `tracing` takes for the name of a target.
fn has_level(directive: &str) -> bool {
    let level = directive.rsplit('=').next().unwrap_or_default().trim();
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    levels.iter().any(|known| known.eq_ignore_ascii_case(level))
}
