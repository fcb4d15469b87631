//! `[records]`: the record store, the retention and the storage of numbers.
//!
//! A URL may contain a password, so messages name its location and never repeat it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::RecordsKeys;
use super::reader::{Choice, Entry, Section, SettingsReader, SettingsTable, plain_text};
use super::sources::{DEV_KEY, NoTarget, without_newline};
use crate::domain::secret::{Secret, names_a_secret};
use crate::settings::layers::is_from_environment;
use crate::settings::{NumberStorage, Purpose, RecordsLocation, RecordsSettings};

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// Forms of `url`, as the JSON Schema describes them.
pub(crate) const URL_PATTERN: &str = "^(off|memory:(//)?|sqlite:[^?]*[^?/]|\
                                      postgres(ql)?://([^:@?]*@)?[^@?]+([?].*)?|\
                                      env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$";

/// Forms of `url`, for help texts.
const FORMS: &str = "write sqlite:PATH, postgres://USER@HOST/DATABASE, memory: or off; \
                     or env:NAME or file:PATH, which refer to one of these";

/// Value of `numbers`, without the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberStorageKind {
    Full,
    Masked,
    Hashed,
}

impl Choice for NumberStorageKind {
    const WORDS: &'static [(&'static str, NumberStorageKind)] = &[
        ("full", NumberStorageKind::Full),
        ("masked", NumberStorageKind::Masked),
        ("hashed", NumberStorageKind::Hashed),
    ];
}

impl SettingsTable for RecordsKeys {
    type Settings = RecordsSettings;

    fn check(
        mut self,
        reader: &mut SettingsReader<'_>,
        section: &Section,
    ) -> Option<RecordsSettings> {
        let numbers = self.number_storage(reader, section);
        let days = self.retain_days.map(|days| days as u64);
        Some(RecordsSettings {
            location: self.url?,
            retain: Duration::from_secs(days? * SECONDS_PER_DAY),
            numbers: numbers?,
            wait: self.wait?,
            stamp: self.stamp?,
            lookups: self.lookups?,
        })
    }
}

impl RecordsKeys {
    fn number_storage(
        &mut self,
        reader: &mut SettingsReader<'_>,
        section: &Section,
    ) -> Option<NumberStorage> {
        let has_key = section.has("hash_key");
        if has_key && self.numbers.is_some_and(|numbers| numbers != NumberStorageKind::Hashed) {
            let path = section.path_to("hash_key");
            let message = format!("`{}` has no effect: numbers are not hashed", path.join("."));
            reader
                .warning("never-used", &path, message)
                .help("remove it, or write numbers = \"hashed\"");
        }
        match self.numbers? {
            NumberStorageKind::Full => Some(NumberStorage::Full),
            NumberStorageKind::Masked => Some(NumberStorage::Masked),
            NumberStorageKind::Hashed if has_key => self.hash_key.take().map(NumberStorage::Hashed),
            NumberStorageKind::Hashed if reader.inputs.purpose == Purpose::Dev => {
                Some(NumberStorage::Hashed(Secret::new(DEV_KEY)))
            }
            NumberStorageKind::Hashed => {
                let key = section.path_to("hash_key").join(".");
                let message = format!("numbers = \"hashed\" requires `{key}`");
                reader
                    .error("no-secret", &section.path_to("numbers"), message)
                    .help("set hash_key = \"env:NAME\"; to create a key: openssl rand -hex 24");
                None
            }
        }
    }
}

impl Entry<'_, '_> {
    /// Location of the record store.
    pub(crate) fn records_location(&mut self) -> Option<RecordsLocation> {
        let Some(text) = plain_text(&self.value) else {
            let message = format!("`{}` must be a string", self.name());
            let is_off = self.value.clone().into_bool().is_ok_and(|on| !on);
            let help = if is_off { "write \"off\", in quotes" } else { FORMS };
            self.error("bad-value", message).help(help);
            return None;
        };
        if text.starts_with("env:") || text.starts_with("file:") {
            return self.referenced_location(&text);
        }
        let in_file = !is_from_environment(&self.value) && self.reader.span(&self.path).is_some();
        let file = self.reader.inputs.file.as_deref().filter(|_| in_file);
        match parse(&text, file) {
            Ok(RecordsLocation::Postgres(_)) if has_password(&text) => {
                let message = format!("`{}` contains a password", self.name());
                self.error("inline-secret", message)
                    .help("store the whole URL elsewhere, and write \"env:NAME\" or \"file:PATH\"")
                    .hide_line();
                None
            }
            Ok(location) => Some(location),
            Err(problem) => {
                let message = format!("`{}` {problem}", self.name());
                self.error("bad-value", message).help(FORMS).hide_line();
                None
            }
        }
    }

    /// Follows a reference. If its target is missing, `serve` fails; other commands use memory and
    /// report a note.
    fn referenced_location(&mut self, reference: &str) -> Option<RecordsLocation> {
        let name = self.name();
        let target = self.reader.dereference(reference).filter(|_| reference != "file:");
        let Some(target) = target else {
            // The text may be a password.
            let message = format!("`{name}` is not a valid reference");
            self.error("bad-value", message).help(FORMS).hide_line();
            return None;
        };
        let bytes = match target {
            Ok(bytes) => without_newline(bytes),
            Err(NoTarget::Unusable(reason)) => {
                let message = format!("`{name}`: cannot read {reference}: {reason}");
                self.error("unusable-secret", message)
                    .help("store the URL, and nothing else, in a regular file");
                return None;
            }
            Err(NoTarget::Missing(advice)) if self.reader.inputs.purpose == Purpose::Serve => {
                let message = format!("`{name}`: there is no URL at {reference}");
                self.error("no-secret", message).help(advice);
                return None;
            }
            Err(NoTarget::Missing(advice)) => {
                let message =
                    format!("`{name}`: there is no URL at {reference}, so records stay in memory");
                self.reader
                    .note("secret-missing", &self.path, message)
                    .help(format!("before you run `serve`, {advice}"));
                return Some(RecordsLocation::Memory);
            }
        };
        let file = reference.strip_prefix("file:").map(|file| self.reader.resolve(file.as_ref()));
        let text = std::str::from_utf8(&bytes).map_err(|_| "is not UTF-8");
        match text.and_then(|text| parse(text, file.as_deref())) {
            Ok(location) => Some(location),
            Err(problem) => {
                let message = format!("`{name}`: the URL at {reference} {problem}");
                self.error("bad-value", message).help(FORMS);
                None
            }
        }
    }
}

/// Parses a URL, or returns what is wrong with it, without repeating it. A relative path starts
/// from the folder of the file that contains the URL, or else from the working directory.
fn parse(text: &str, file: Option<&Path>) -> Result<RecordsLocation, &'static str> {
    match text.split_once(':') {
        _ if text.is_empty() => Err("is empty"),
        None if text == "off" => Ok(RecordsLocation::Off),
        Some(("memory", "" | "//")) => Ok(RecordsLocation::Memory),
        Some(("sqlite", path)) => {
            let path = sqlite_path(path)?;
            let folder = file.and_then(Path::parent);
            let path = folder.map_or_else(|| PathBuf::from(path), |folder| folder.join(path));
            Ok(RecordsLocation::Sqlite(path))
        }
        Some(("postgres" | "postgresql", rest)) => {
            let url = Url::parse(text).map_err(|_| "is not a valid URL")?;
            match rest {
                "//" => Err("has no database"),
                _ if url.cannot_be_a_base() || !rest.starts_with("//") => {
                    Err("lacks // after the scheme")
                }
                _ => Ok(RecordsLocation::Postgres(Secret::new(text))),
            }
        }
        _ => Err("has an unknown form"),
    }
}

/// The path of a SQLite URL, as it is: percent signs and spaces are part of the file name.
/// `sqlite://a.db` is relative and `sqlite:///a.db` absolute, as in sqlx and SQLAlchemy.
fn sqlite_path(path: &str) -> Result<&str, &'static str> {
    let path = path.strip_prefix("//").unwrap_or(path);
    match path {
        "" => Err("has no file name"),
        ":memory:" => Err("has no file name; for records in memory, write `memory:`"),
        _ if path.contains(['?', '\0']) => Err("has options, which are not supported"),
        _ if path.ends_with('/') || Path::new(path).file_name().is_none() => {
            Err("is a folder, not a file")
        }
        _ => Ok(path),
    }
}

/// Returns whether a URL has a password before the host, or a secret in a parameter such as `sslpassword`.
fn has_password(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| {
        let mut parameters = url.query_pairs();
        url.password().is_some() || parameters.any(|(name, _)| names_a_secret(&name))
    })
}
