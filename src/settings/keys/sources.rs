//! `[sources.NAME]`: the workspaces that send requests, and how their requests are authenticated.
//!
//! The only module that follows references to secrets, for `records` as well. No message contains
//! the value of a secret.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use url::Url;

use super::SourceKeys;
use super::reader::{Entry, Section, SettingsReader};
use super::secret_mistakes::{SHORTEST_SECRET_BYTES, mistake_in_secret};
use super::signature::{KeySettings, NamedSecret, Signature};
use crate::authenticate::{Content, Mode, Policy, PolicySecrets};
use crate::diagnostics::did_you_mean;
use crate::dialect::{Dialect, DialectRef};
use crate::domain::party::{NumberField, NumberFormat};
use crate::domain::secret::Secret;
use crate::regular_file;
use crate::regular_file::SizeLimit;
use crate::settings::{DEFAULT_PATHS, Purpose};
use crate::source::{ApiAccess, Fallback, Source};

/// Stands in for a missing secret with `--dev`.
pub(crate) const DEV_KEY: &str = "dev";
/// Form of a reference to a secret.
pub(crate) const REFERENCE_PATTERN: &str = "^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$";
/// Form of a source's name, which is a part of the URL.
pub(crate) const SOURCE_NAME_PATTERN: &str = "^[A-Za-z0-9_-]+$";

/// Reason why a reference leads to no value.
pub(crate) enum NoTarget {
    /// The variable or file does not exist, or is unreadable. Contains advice how to provide it.
    Missing(String),
    /// The file is not a regular file, or too large.
    Unusable(String),
}

/// Values of sources.
impl Entry<'_, '_> {
    pub(crate) fn sources(&mut self) -> Option<Vec<Source>> {
        let mut sources: Vec<_> = self.table()?.into_iter().collect();
        sources.sort_by(|(a, _), (b, _)| a.cmp(b));
        if sources.is_empty() {
            self.reader.no_source();
        }
        let read = sources.into_iter().filter_map(|(name, value)| {
            let path = vec!["sources".to_owned(), name.clone()];
            let mut entry = Entry { reader: self.reader, path, value };
            let (keys, section) = entry.table_keys::<SourceKeys>()?;
            self.reader.source(name, keys, &section)
        });
        Some(read.collect())
    }

    pub(crate) fn platform(&mut self) -> Option<DialectRef> {
        let name = self.text()?;
        if self.reader.invalid_platforms.contains(&name) {
            return None;
        }
        let dialects = &self.reader.dialects;
        let found = dialects.by_name(&name).cloned();
        let names: Vec<_> = dialects.names().collect();
        if found.is_none() {
            self.error("unknown-platform", format!("unknown platform `{name}`"))
                .help(format!("use one of {}", names.join(", ")))
                .maybe_help(did_you_mean(&name, names));
        }
        found
    }

    pub(crate) fn fallback(&mut self) -> Option<Fallback> {
        Some(match self.text()?.trim() {
            "" => {
                let message = format!("`{}` is empty", self.name());
                self.error("bad-value", message)
                    .help("write keep, reject, or the name of an agent");
                return None;
            }
            "keep" => Fallback::Keep,
            "reject" => Fallback::Reject,
            agent => Fallback::Agent(agent.into()),
        })
    }

    pub(crate) fn secret(&mut self) -> Option<Secret> {
        let reference = self.text()?;
        self.reader.secret(&reference, &self.path)
    }

    pub(crate) fn secrets(&mut self) -> Vec<Option<NamedSecret>> {
        let references = self.texts().into_iter();
        let read = references.map(|reference| {
            let secret = self.reader.secret(&reference, &self.path)?;
            Some(NamedSecret { reference, secret })
        });
        read.collect()
    }

    /// A token must not need escaping in a URL.
    pub(crate) fn url_token(&mut self) -> Option<Secret> {
        let token = self.secret()?;
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
        if !token.expose().iter().all(plain) {
            let message = format!("`{}` contains characters that a URL must escape", self.name());
            self.error("bad-token", message).help("use letters, digits, - . _ and ~");
        }
        Some(token)
    }
}

impl SettingsReader<'_> {
    fn no_source(&mut self) {
        let help = self.inputs.file.as_ref().map_or_else(
            || {
                let paths = DEFAULT_PATHS.join(" or ");
                format!(
                    "there is no settings file at {paths}; name one with --config FILE, or write one \
                     with `switchboard init`"
                )
            },
            |path| format!("add [sources.retell] to {}", path.display()),
        );
        let message = "the settings have no source, so every request would be rejected";
        self.report.error("no-source", None, message).help(help);
    }

    fn source(
        &mut self,
        name: String,
        mut source: SourceKeys,
        section: &Section,
    ) -> Option<Source> {
        self.check_source(&name, section);
        let signature = signature_of(&mut source, section);
        let mode = source.auth;
        let key_settings =
            KeySettings { source: &name, mode, key: "secrets", secrets: &source.secrets };
        self.check_secrets(key_settings, signature.as_ref(), section);
        let keys = signature.as_ref().map(|signature| self.keys(key_settings, signature, section));
        let events_policy = self.events_policy(&name, &mut source, section);
        let (dialect, mode) = (source.platform.clone()?, source.auth?);
        let numbers = self.number_format(&source, &*dialect, section);
        let name: Arc<str> = name.into();
        let policy = Policy {
            source: name.clone(),
            mode,
            scheme: signature?.into_scheme(),
            public_base_url: source.public_base_url,
            secrets: ArcSwap::from_pointee(PolicySecrets {
                keys: keys?,
                url_token: source.url_token,
            }),
            allow_from: source.allow_from,
        };
        self.check_public_url(&policy, section);
        let content = if dialect.sends_query() { Content::Query } else { Content::Body };
        self.check_factors(&policy, content, section);
        if let Some(policy) = &events_policy {
            self.check_public_url(policy, section);
            self.check_factors(policy, content, section);
        }
        let api = self.api_access(&dialect, &policy, (source.api_key, source.api_url), section);
        let reply_within = self.reply_within(&*dialect, source.reply_within_ms, section);
        let fallback = self.checked_fallback(&*dialect, source.fallback?, section);
        let events_url = events_url(&policy);
        Some(Source {
            name,
            dialect,
            numbers,
            policy,
            events_policy,
            api,
            reply_within,
            fallback,
            events_url,
        })
    }

    /// Reports a name that cannot be one, and a source without a platform.
    fn check_source(&mut self, name: &str, section: &Section) {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.is_empty() || !name.chars().all(is_plain) {
            let message = format!("`{name}` cannot be the name of a source");
            self.error("bad-value", &section.path, message).help("use letters, digits, - and _");
        }
        if !section.has("platform") {
            let names = self.dialects.names().collect::<Vec<_>>().join(", ");
            let message = format!("source `{name}`: `platform` is missing");
            self.error("missing-key", &section.path, message)
                .help(format!("set it to one of {names}"));
        }
    }

    /// Returns the access to the platform's API, and reports a key that is missing or has no meaning.
    fn api_access(
        &mut self,
        dialect: &DialectRef,
        policy: &Policy,
        (key, url): (Option<Secret>, Option<Url>),
        section: &Section,
    ) -> Option<ApiAccess> {
        let name = &policy.source;
        let Some(api) = dialect.api() else {
            for unused in ["api_key", "api_url"].into_iter().filter(|unused| section.has(unused)) {
                let platform = dialect.platform();
                let message = format!("source `{name}`: replies to {platform} need no `{unused}`");
                self.error("bad-value", &section.path_to(unused), message).help("remove the key");
            }
            return None;
        };
        if !section.has("api_key") && self.inputs.purpose != Purpose::Dev {
            let message = format!("source `{name}` has no `api_key` to carry out decisions with");
            self.error("no-secret", &section.path, message)
                .help("set api_key = \"env:NAME\" to a key of the platform's API");
        }
        // No platform is asked with the key that stands in for a missing one.
        let key = key.filter(|key| !key.equals(DEV_KEY.as_bytes()));
        let own_url = Url::parse(api.url).expect("the URL of an API is valid");
        let allow_private = url.is_some();
        let base_url = url.unwrap_or(own_url);
        Some(ApiAccess { base_url, key: key.into(), allow_private })
    }

    /// Returns how the numbers of a source are written, and which fields have them.
    fn number_format(
        &mut self,
        source: &SourceKeys,
        dialect: &dyn Dialect,
        section: &Section,
    ) -> NumberFormat {
        let withheld = source.withheld.iter().map(|text| text.trim().to_lowercase());
        let [own_from, own_to] = match dialect.party_fields() {
            Some(fields) => fields.map(Some),
            None => [None, None],
        };
        NumberFormat {
            country: source.country,
            withheld: withheld.collect(),
            from: self.number_fields(&source.from, own_from, dialect, section, "from"),
            to: self.number_fields(&source.to, own_to, dialect, section, "to"),
        }
    }

    /// Returns the deadline for a reply, and warns of one at which the platform has stopped waiting. A platform
    /// whose own deadline is too late has been reported.
    fn reply_within(
        &mut self,
        dialect: &dyn Dialect,
        own: Option<Duration>,
        section: &Section,
    ) -> Duration {
        let timing = dialect.timing();
        let Some(reply_within) = own else { return timing.reply_within };
        let Some(timeout) = timing.timeout.filter(|timeout| reply_within > *timeout) else {
            return reply_within;
        };
        let path = section.path_to("reply_within_ms");
        let (platform, timeout) = (dialect.platform(), timeout.as_millis());
        let message = format!("`{}`: {platform} stops waiting after {timeout} ms", path.join("."));
        let default = timing.reply_within.as_millis();
        self.warning("late-reply", &path, message).help(match default <= timeout {
            true => format!("without the key, replies are sent within {default} ms"),
            false => format!("write less than {timeout}"),
        });
        reply_within
    }

    /// Reports a fallback that is no agent, at a platform whose numbers have none of their own.
    fn checked_fallback(
        &mut self,
        dialect: &dyn Dialect,
        fallback: Fallback,
        section: &Section,
    ) -> Fallback {
        if dialect.capabilities().keep || matches!(fallback, Fallback::Agent(_)) {
            return fallback;
        }
        let mut path = section.path.clone();
        path.push("fallback".to_owned());
        let (name, platform) = (path.join("."), dialect.platform());
        let message =
            format!("`{name}` must be an agent: numbers of {platform} have none of their own");
        let path = if section.has("fallback") { &path } else { &section.path };
        self.error("no-fallback-agent", path, message).help(
            "write fallback = \"front-desk\", the name of an agent in the rule table; it takes the calls that \
             rules keep",
        );
        fallback
    }

    /// Reads the fields that can have the number of a party. `own` is the platform's own field, if a SIP header
    /// can replace it.
    fn number_fields(
        &mut self,
        names: &[String],
        own: Option<&str>,
        dialect: &dyn Dialect,
        section: &Section,
        key: &str,
    ) -> Vec<NumberField> {
        let path = section.path_to(key);
        let Some(own) = own else {
            if !names.is_empty() {
                let message = format!(
                    "`{}`: numbers of {} are in one field alone",
                    path.join("."),
                    dialect.platform()
                );
                self.error("bad-value", &path, message).help("remove the key");
            }
            return Vec::new();
        };
        let mut fields = Vec::new();
        for name in names {
            let lower = name.trim().to_ascii_lowercase();
            match lower.strip_prefix("sip.") {
                Some(header) if !header.is_empty() => fields.push(NumberField::Sip(header.into())),
                _ if lower.eq_ignore_ascii_case(own) => fields.push(NumberField::Own),
                _ => {
                    let message = format!("`{}`: there is no field `{name}`", path.join("."));
                    let help = format!("write {own}, or sip. and the name of a header");
                    self.error("bad-value", &path, message).help(help);
                }
            }
        }
        fields
    }

    /// Rejects a source without authentication, or whose signature leaves out the query that has the call; and
    /// warns of one whose signature covers little.
    fn check_factors(&mut self, policy: &Policy, content: Content, section: &Section) {
        let name = &policy.source;
        if content == Content::Query && !policy.admits_queries() {
            let kind = policy.scheme.kind();
            let message = format!(
                "source `{name}`: the platform sends calls in the query of the URL, which the signature `{kind}` \
                 does not cover"
            );
            self.error("unsigned-query", &section.path, message).help(
                "a captured signature would be valid for any call: use a signature over {query} or {url}, or one \
                 that proves the sender, such as { kind = \"bearer\" }",
            );
            return;
        }
        if policy.mode == Mode::WhenPresent && policy.scheme.is_compound() {
            let message = format!(
                "source `{name}`: auth = \"when-present\" does not go with several signatures: a request could leave \
                 out one of them"
            );
            self.error("bad-value", &section.path_to("auth"), message)
                .help("write auth = \"required\", or a signature of one kind");
            return;
        }
        // A second factor that is set but invalid has been reported.
        if section.has("url_token") || section.has("allow_from") {
            return;
        }
        let (cause, alternative) = match policy.mode {
            Mode::Off => (Some("auth = \"off\""), ", or auth = \"observe\""),
            Mode::WhenPresent => (Some("auth = \"when-present\""), ", or auth = \"required\""),
            Mode::Required | Mode::Observe => (None, ""),
        };
        let has_no_keys = !policy.scheme.has_keys();
        if let Some(cause) = cause.or(has_no_keys.then_some("the signature `none`")) {
            let message = format!("source `{name}`: {cause} accepts requests from anyone");
            self.error("unauthenticated-source", &section.path, message)
                .help(format!("set url_token or allow_from as well{alternative}"));
        } else if let Some(weakness) = policy.scheme.weakness(content) {
            self.warning("one-factor", &section.path, format!("source `{name}`: {weakness}"));
        }
    }

    /// Reads the secret that `env:NAME` or `file:PATH` refers to. With `--dev`, `dev` stands in for a
    /// missing one.
    pub(crate) fn secret(&mut self, reference: &str, path: &[String]) -> Option<Secret> {
        let Some(target) = self.dereference(reference) else {
            let message = format!("`{}` must refer to a secret, not contain it", path.join("."));
            self.error("inline-secret", path, message)
                .help("write \"env:NAME\" or \"file:PATH\"")
                .hide_line();
            return None;
        };
        let target = target.map(without_newline);
        if let [section, source, rest @ ..] = path
            && section == "sources"
            && rest.first().is_some_and(|key| key != "events_signature")
            && rest.iter().any(|key| ["secrets", "shared_keys"].contains(&&**key))
        {
            let found = target.is_ok().then(|| reference.to_owned());
            self.key_references.push((source.clone(), found));
        }
        if let Ok(bytes) = &target
            && let Some((mistake, help)) = mistake_in_secret(bytes)
        {
            let message = format!("`{}`: {reference} {mistake}", path.join("."));
            self.error("unusable-secret", path, message).help(help);
            return None;
        }
        if let (Ok(_), Some(file)) = (&target, reference.strip_prefix("file:")) {
            let file = self.resolve(Path::new(file));
            self.warn_if_exposed(&file, path);
        }
        match target {
            Ok(bytes) if bytes.len() >= SHORTEST_SECRET_BYTES => Some(Secret::new(bytes)),
            Ok(bytes) => self.short_secret(bytes, reference, path),
            Err(NoTarget::Missing(advice)) => self.missing_secret(&advice, reference, path),
            Err(NoTarget::Unusable(reason)) => {
                let message = format!("`{}`: cannot read {reference}: {reason}", path.join("."));
                self.error("unusable-secret", path, message)
                    .help("store the secret, and nothing else, in a regular file");
                None
            }
        }
    }

    /// Warns of a file with a secret that every user of the machine may read. Other machines than the one
    /// that serves do not matter.
    pub(crate) fn warn_if_exposed(&mut self, file: &Path, path: &[String]) {
        if self.inputs.purpose == Purpose::Serve && regular_file::is_exposed(file) {
            let name = path.join(".");
            let message = format!("`{name}`: every user can read {}", file.display());
            let help = format!("run `chmod o-r {}`", file.display());
            self.warning("exposed-secret", path, message).help(help);
        }
    }

    fn missing_secret(&mut self, advice: &str, reference: &str, path: &[String]) -> Option<Secret> {
        let message = format!("`{}`: there is no secret at {reference}", path.join("."));
        match self.inputs.purpose {
            Purpose::Serve => {
                self.error("no-secret", path, message).help(advice);
                return None;
            }
            Purpose::Inspect => {
                let help = format!("before you run `serve`, {advice}");
                self.note("secret-missing", path, message).help(help);
            }
            Purpose::Dev => {}
        }
        Some(Secret::new(DEV_KEY))
    }

    fn short_secret(&mut self, bytes: Vec<u8>, reference: &str, path: &[String]) -> Option<Secret> {
        let length = bytes.len();
        let message = format!(
            "`{}`: {reference} has {length} bytes, and a secret needs at least {SHORTEST_SECRET_BYTES}",
            path.join("."),
        );
        let is_key = path.iter().any(|key| key == "secrets" || key == "shared_keys");
        let advice = if is_key {
            "use the key that the platform shows for webhooks"
        } else {
            "create one: openssl rand -hex 16"
        };
        match self.inputs.purpose {
            Purpose::Dev if length > 0 => {}
            Purpose::Inspect if length > 0 => {
                let help = format!("before you run `serve`, {advice}");
                self.note("short-secret", path, message).help(help);
            }
            Purpose::Serve | Purpose::Dev | Purpose::Inspect => {
                self.error("short-secret", path, message).help(advice);
                return None;
            }
        }
        Some(Secret::new(bytes))
    }

    /// Returns the target of a reference, or why there is none; `None` for anything that is not a
    /// reference.
    pub(crate) fn dereference(&mut self, reference: &str) -> Option<Result<Vec<u8>, NoTarget>> {
        match reference.split_once(':')? {
            ("env", name) if is_variable_name(name) => {
                let value = self.inputs.environment.get(name);
                let value = value.map(|value| value.clone().into_bytes());
                let advice = || format!("set the environment variable {name}");
                Some(value.ok_or_else(|| NoTarget::Missing(advice())))
            }
            ("file", file) => {
                let file = self.resolve(Path::new(file));
                self.note_file(&file);
                let read = regular_file::read(&file, SizeLimit::SECRET);
                Some(read.map_err(|error| match regular_file::is_unusable(&error) {
                    true => NoTarget::Unusable(error.to_string()),
                    false => NoTarget::Missing(format!(
                        "store the secret in {}: {error}",
                        file.display()
                    )),
                }))
            }
            _ => None,
        }
    }
}

/// Returns the URL of a source's events, if it is known and contains no secret.
fn events_url(policy: &Policy) -> Option<Box<str>> {
    let secrets = policy.secrets.load();
    let has_secret =
        secrets.url_token.is_some() || policy.scheme.url_token(&secrets.keys).is_some();
    let base = policy.public_base_url.as_deref().filter(|_| !has_secret)?;
    Some(format!("{base}/events/{}", policy.source).into())
}

/// Accepts names that a shell can set. Anything else after `env:` may be the secret itself.
fn is_variable_name(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    plain && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
}

/// Removes the newline that editors add at the end of a file.
pub(crate) fn without_newline(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    bytes
}

/// Returns the signature of a source: its own, or the one of its platform. `None` if it is invalid.
fn signature_of(source: &mut SourceKeys, section: &Section) -> Option<Signature> {
    source.signature.take().or_else(|| {
        let dialect = source.platform.as_ref().filter(|_| !section.has("signature"))?;
        Some(Signature::of(dialect.scheme(), &section.path))
    })
}
