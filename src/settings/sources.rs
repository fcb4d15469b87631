//! `[sources.NAME]`: who asks, and how they prove it: keys, tokens, addresses.
//!
//! The only place that follows a reference to a secret, for `records`, too. No message holds what stands there.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::file::{Section, SettingsReader};
use super::{DEFAULT_PATHS, Purpose};
use crate::authenticate::{Key, Mode, Policy};
use crate::diagnostics::did_you_mean;
use crate::dialect;
use crate::dialect::Dialect;
use crate::domain::secret::Secret;
use crate::source::{Fallback, Source};

/// A shorter secret can be guessed.
const SHORTEST_SECRET_BYTES: usize = 16;
/// Beyond this a platform may have stopped waiting.
const LONGEST_REPLY_MS: u64 = 9_000;
const DEFAULT_REPLY_MS: u64 = 3_000;
/// The secret that is missing under `--dev`.
pub(super) const DEV_KEY: &str = "dev";

impl SettingsReader<'_> {
    pub(super) fn sources(&mut self, section: Section) -> Vec<Source> {
        if section.values.is_empty() {
            let found = self.from.file.as_ref().map_or_else(
                || {
                    format!(
                        "no settings file was found at {}; give one with --config FILE",
                        DEFAULT_PATHS.join(" or ")
                    )
                },
                |path| format!("write [sources.retell] into {}", path.display()),
            );
            self.report
                .error("no-source", None, "the settings name no source: nobody could ask")
                .help(found);
        }
        let mut names: Vec<_> = section.values.into_iter().collect();
        names.sort_by(|(a, _), (b, _)| a.cmp(b));
        let read = names.into_iter().filter_map(|(name, value)| {
            let path = vec!["sources".to_owned(), name.clone()];
            let values = self.table(&path, value)?;
            let section = Section { path, values, known: Vec::new() };
            self.source(name, section)
        });
        read.collect()
    }

    fn source(&mut self, name: String, mut section: Section) -> Option<Source> {
        let fine = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.is_empty() || !name.chars().all(fine) {
            let message = format!("`{name}` cannot stand in a path");
            self.error("bad-value", &section.path.clone(), message)
                .help("use letters, digits, - and _");
        }
        let dialect = self.platform(&mut section);
        let modes = [("required", Mode::Required), ("observe", Mode::Observe), ("off", Mode::Off)];
        let mode = self.or(&mut section, "auth", Mode::Required, |reader, section| {
            reader.choice(section, "auth", &modes)
        });
        let factors = ["url_token", "allow_from"];
        let second_factor = factors.iter().any(|key| section.values.contains_key(*key));
        let token_path = section.path_to("url_token");
        let url_token = self.token(&mut section, "url_token");
        self.fits_a_url(url_token.as_ref(), &token_path);
        let allow_from = self.networks(&mut section, "allow_from");
        let keys = self.keys(&mut section, mode);
        let reply_within = self.reply_within(&mut section);
        let fallback = self.fallback(&mut section);
        let path = section.path.clone();
        self.finish(&section);
        let (dialect, mode) = (dialect?, mode?);
        let name: Arc<str> = name.into();
        let scheme = dialect.scheme();
        let policy = Policy { source: name.clone(), mode, scheme, keys, url_token, allow_from };
        self.factors(&policy, &path, !second_factor);
        Some(Source { name, dialect, policy, reply_within: reply_within?, fallback: fallback? })
    }

    fn platform(&mut self, section: &mut Section) -> Option<&'static dyn Dialect> {
        let path = section.path_to("platform");
        let known = dialect::ALL.map(|dialect| dialect.platform().as_str());
        if !section.values.contains_key("platform") {
            let message = format!("source `{}` does not say its `platform`", section.path[1]);
            section.known.push("platform");
            self.error("missing-key", &section.path, message)
                .help(format!("there are {}", known.join(", ")));
            return None;
        }
        let name = self.text(section, "platform")?;
        let found = dialect::by_name(&name);
        if found.is_none() {
            self.error("unknown-platform", &path, format!("there is no platform `{name}`"))
                .help(format!("there are {}", known.join(", ")))
                .maybe_help(did_you_mean(&name, known));
        }
        found
    }

    fn keys(&mut self, section: &mut Section, mode: Option<Mode>) -> Vec<Key> {
        let path = section.path_to("secrets");
        let references = self.texts(section, "secrets");
        let mut keys: Vec<_> = references
            .iter()
            .filter_map(|reference| self.secret(reference, &path))
            .map(|secret| Key::new(&secret))
            .collect();
        let running = self.from.purpose == Purpose::Serve;
        if keys.is_empty() && !running {
            keys.push(Key::new(&Secret::new(DEV_KEY)));
        }
        let nothing_said = references.is_empty() && self.from.purpose != Purpose::Dev;
        if nothing_said && mode.is_some_and(|mode| mode != Mode::Off) {
            let message =
                format!("source `{}` has no secret to check signatures with", section.path[1]);
            self.error("no-secret", &section.path, message)
                .help("set secrets = [\"env:NAME\"] to the API key that signs its webhooks");
        }
        keys
    }

    fn reply_within(&mut self, section: &mut Section) -> Option<Duration> {
        let default = Duration::from_millis(DEFAULT_REPLY_MS);
        let within = self.or(section, "reply_within_ms", default, |reader, section| {
            reader.milliseconds(section, "reply_within_ms")
        })?;
        if within > Duration::from_millis(LONGEST_REPLY_MS) {
            let message = format!(
                "reply_within_ms is {}, and {LONGEST_REPLY_MS} is the most",
                within.as_millis()
            );
            self.error("bad-value", &section.path_to("reply_within_ms"), message)
                .help("a platform stops waiting after 10 seconds");
            return None;
        }
        Some(within)
    }

    fn fallback(&mut self, section: &mut Section) -> Option<Fallback> {
        self.or(section, "fallback", Fallback::Keep, |reader, section| {
            let path = section.path_to("fallback");
            Some(match reader.text(section, "fallback")?.trim() {
                "" => {
                    let message = format!("`{}` is empty", path.join("."));
                    reader
                        .error("bad-value", &path, message)
                        .help("it is keep, reject, or the name of an agent");
                    return None;
                }
                "keep" => Fallback::Keep,
                "reject" => Fallback::Reject,
                agent => Fallback::Agent(agent.into()),
            })
        })
    }

    /// Refuses a source that anybody could speak for, and warns of one that nearly anybody could.
    fn factors(&mut self, policy: &Policy, path: &[String], bare: bool) {
        if policy.mode == Mode::Off && bare {
            let message = format!("source `{}`: auth = \"off\" lets anybody ask", policy.source);
            self.error("unauthenticated-source", path, message)
                .help("set url_token or allow_from as well, or auth = \"observe\"");
        } else if let (true, Some(weakness)) = (bare, policy.scheme.weakness()) {
            self.warning("one-factor", path, format!("source `{}`: {weakness}", policy.source));
        }
    }

    /// The one secret that a key refers to.
    pub(super) fn token(&mut self, section: &mut Section, key: &'static str) -> Option<Secret> {
        let path = section.path_to(key);
        let reference =
            self.or(section, key, None, |reader, section| Some(reader.text(section, key)));
        reference.flatten().and_then(|reference| self.secret(&reference, &path))
    }

    /// A token stands in a path as it is.
    fn fits_a_url(&mut self, token: Option<&Secret>, path: &[String]) {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
        if token.is_some_and(|token| !token.expose().iter().all(plain)) {
            let message = format!("`{}` cannot stand in a URL", path.join("."));
            self.error("bad-token", path, message).help("use letters, digits, - . _ and ~");
        }
    }

    /// `env:NAME` or `file:PATH` → what stands there. Under `--dev` what is missing is `dev`.
    fn secret(&mut self, reference: &str, path: &[String]) -> Option<Secret> {
        let Some(found) = self.behind(reference) else {
            let message =
                format!("`{}` has to say where the secret is, not what it is", path.join("."));
            self.error("inline-secret", path, message)
                .help("write \"env:NAME\" or \"file:PATH\"")
                .hide_line();
            return None;
        };
        let purpose = self.from.purpose;
        match found.map(without_newline) {
            Ok(bytes) if bytes.len() >= SHORTEST_SECRET_BYTES => Some(Secret::new(bytes)),
            Ok(bytes) if purpose != Purpose::Serve && !bytes.is_empty() => {
                if purpose == Purpose::Inspect {
                    let message =
                        format!("`{}`: the secret at {reference} is short", path.join("."));
                    let help = format!("before it serves, give it {SHORTEST_SECRET_BYTES} bytes");
                    self.note("short-secret", path, message).help(help);
                }
                Some(Secret::new(bytes))
            }
            Err(_) if purpose == Purpose::Dev => Some(Secret::new(DEV_KEY)),
            Err(what_to_do) if purpose == Purpose::Inspect => {
                let message =
                    format!("`{}`: there is no secret at {reference} here", path.join("."));
                self.note("secret-missing", path, message)
                    .help(format!("before it serves, {what_to_do}"));
                Some(Secret::new(DEV_KEY))
            }
            Ok(bytes) => {
                let message = format!(
                    "`{}`: {reference} holds {} bytes, and a secret has at least {SHORTEST_SECRET_BYTES}",
                    path.join("."),
                    bytes.len(),
                );
                let of_a_platform = path.last().is_some_and(|key| key == "secrets");
                self.error("short-secret", path, message).help(if of_a_platform {
                    "use the key that the platform shows for webhooks"
                } else {
                    "make one up: openssl rand -hex 16"
                });
                None
            }
            Err(what_to_do) => {
                let message = format!("`{}`: there is no secret at {reference}", path.join("."));
                self.error("no-secret", path, message).help(what_to_do);
                None
            }
        }
    }

    /// What stands where a reference points, else what would put it there; none when it is no
    /// reference.
    pub(super) fn behind(&self, reference: &str) -> Option<Result<Vec<u8>, String>> {
        match reference.split_once(':')? {
            ("env", name) if is_a_variable(name) => {
                let value = self.from.environment.get(name);
                let value = value.map(|value| value.clone().into_bytes());
                Some(value.ok_or_else(|| format!("set the environment variable {name}")))
            }
            ("file", file) => {
                let file = self.beside_the_file(Path::new(file));
                let read = std::fs::read(&file);
                let to_do = |error| format!("put the secret into {}: {error}", file.display());
                Some(read.map_err(to_do))
            }
            _ => None,
        }
    }
}

/// Whether a shell could set it; what else stands behind `env:` may be a secret itself.
fn is_a_variable(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    plain && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
}

/// Editors end files with a newline that is no part of the secret.
pub(super) fn without_newline(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    bytes
}
