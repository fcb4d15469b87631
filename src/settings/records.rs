//! `[records]`: where what was answered is kept, for how long, and how much of it.
//!
//! A URL may hold a password, so no message repeats what was written or found, only where.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{Section, SettingsReader};
use super::layers::is_from_environment;
use super::sources::{DEV_KEY, without_newline};
use super::{NumberStorage, Purpose, RecordsLocation, RecordsSettings, Wait};
use crate::domain::secret::Secret;

/// A hundred years.
const LONGEST_DAYS: usize = 36_500;
const SECONDS_A_DAY: u64 = 24 * 60 * 60;
/// What `url` may be.
const FORMS: &str = "it is sqlite:PATH, postgres://USER@HOST/DATABASE, memory: or off; \
                     or env:NAME or file:PATH, where one of these stands";

/// What `numbers` says, before there is a key to hash with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NumberStorageKind {
    Full,
    Masked,
    Hashed,
}

impl SettingsReader<'_> {
    pub(super) fn records(&mut self, mut section: Section) -> Option<RecordsSettings> {
        let place = self.place_of_records(&mut section);
        let retain_days = self.whole_number(&mut section, "retain_days", 1..=LONGEST_DAYS);
        let numbers = self.kept_numbers(&mut section);
        let wait = self.choice(&mut section, "wait", &[("no", Wait::No), ("commit", Wait::Commit)]);
        let stamp = self.boolean(&mut section, "stamp");
        self.finish(&section);
        let retain = retain_days.map(|days| Duration::from_secs(days as u64 * SECONDS_A_DAY));
        Some(RecordsSettings {
            place: place?,
            retain: retain?,
            numbers: numbers?,
            wait: wait?,
            stamp: stamp?,
        })
    }

    fn place_of_records(&mut self, section: &mut Section) -> Option<RecordsLocation> {
        let path = section.path_to("url");
        let from_environment = section.values.get("url").is_some_and(is_from_environment);
        let text = self.text(section, "url")?;
        let named_by_the_file = !from_environment && self.lookup(&path).is_some();
        let settings_file = self.from.file.as_deref().filter(|_| named_by_the_file);
        if text.starts_with("env:") || text.starts_with("file:") {
            return self.place_behind(&text, &path);
        }
        match parse(&text) {
            Ok(Url::Postgres) if has_a_password(&text) => {
                let message = format!("`{}` holds a password", path.join("."));
                self.error("inline-secret", &path, message)
                    .help("put the whole URL elsewhere, and write \"env:NAME\" or \"file:PATH\"")
                    .hide_line();
                None
            }
            Ok(url) => Some(url.place(&text, settings_file)),
            Err(wrong) => {
                let message = format!("`{}` {wrong}", path.join("."));
                self.error("bad-value", &path, message).help(FORMS).hide_line();
                None
            }
        }
    }

    /// Follows a reference. What is missing is an error when it is to serve, else a note, and
    /// memory stands in.
    fn place_behind(&mut self, reference: &str, path: &[String]) -> Option<RecordsLocation> {
        let name = path.join(".");
        let Some(found) = self.behind(reference).filter(|_| reference != "file:") else {
            // What stands there may be a password.
            let message = format!("`{name}` refers to nothing that could be there");
            self.error("bad-value", path, message).help(FORMS).hide_line();
            return None;
        };
        let bytes = match found {
            Ok(bytes) => without_newline(bytes),
            Err(what_to_do) if self.from.purpose == Purpose::Serve => {
                let message = format!("`{name}`: there is no URL at {reference}");
                self.error("no-secret", path, message).help(what_to_do);
                return None;
            }
            Err(what_to_do) => {
                let message = format!(
                    "`{name}`: there is no URL at {reference} here, records stay in memory"
                );
                self.note("secret-missing", path, message)
                    .help(format!("before it serves, {what_to_do}"));
                return Some(RecordsLocation::Memory);
            }
        };
        let file = reference.strip_prefix("file:").map(|file| self.beside_the_file(file.as_ref()));
        let text = std::str::from_utf8(&bytes).map_err(|_| "is no text");
        match text.and_then(|text| Ok(parse(text)?.place(text, file.as_deref()))) {
            Ok(place) => Some(place),
            Err(wrong) => {
                let message = format!("`{name}`: what stands at {reference} {wrong}");
                self.error("bad-value", path, message).help(FORMS);
                None
            }
        }
    }

    fn kept_numbers(&mut self, section: &mut Section) -> Option<NumberStorage> {
        let words = [
            ("full", NumberStorageKind::Full),
            ("masked", NumberStorageKind::Masked),
            ("hashed", NumberStorageKind::Hashed),
        ];
        let numbers = self.choice(section, "numbers", &words);
        let path = section.path_to("hash_key");
        let given = section.values.contains_key("hash_key");
        let key = self.token(section, "hash_key");
        if given && numbers.is_some_and(|numbers| numbers != NumberStorageKind::Hashed) {
            let message = format!("`{}` is never used: numbers are not hashed", path.join("."));
            self.warning("never-used", &path, message)
                .help("take it out, or write numbers = \"hashed\"");
        }
        match numbers? {
            NumberStorageKind::Full => Some(NumberStorage::Full),
            NumberStorageKind::Masked => Some(NumberStorage::Masked),
            NumberStorageKind::Hashed if given => key.map(NumberStorage::Hashed),
            NumberStorageKind::Hashed if self.from.purpose == Purpose::Dev => {
                Some(NumberStorage::Hashed(Secret::new(DEV_KEY)))
            }
            NumberStorageKind::Hashed => {
                let message = format!("`{}` is needed to hash numbers", path.join("."));
                self.error("no-secret", &section.path_to("numbers"), message)
                    .help("set hash_key = \"env:NAME\"; to make one: openssl rand -hex 24");
                None
            }
        }
    }
}

/// Which of the forms a URL has.
enum Url<'t> {
    Off,
    Memory,
    Sqlite(&'t str),
    Postgres,
}

impl Url<'_> {
    /// The place of `text`, which is this URL; paths are taken from the folder of `named_by`, else
    /// from the one in which the program runs.
    fn place(&self, text: &str, named_by: Option<&Path>) -> RecordsLocation {
        match self {
            Url::Off => RecordsLocation::Off,
            Url::Memory => RecordsLocation::Memory,
            Url::Postgres => RecordsLocation::Postgres(Secret::new(text)),
            Url::Sqlite(path) => {
                let folder = named_by.and_then(Path::parent);
                let path = folder.map_or_else(|| PathBuf::from(path), |folder| folder.join(path));
                RecordsLocation::Sqlite(path)
            }
        }
    }
}

/// The form of a URL, or what is wrong with it, without repeating it.
fn parse(text: &str) -> Result<Url<'_>, &'static str> {
    match text {
        "" => return Err("is empty"),
        "off" => return Ok(Url::Off),
        "memory:" | "memory://" => return Ok(Url::Memory),
        _ => {}
    }
    if let Some(path) = text.strip_prefix("sqlite:") {
        // `sqlite://a.db` is beside, `sqlite:///a.db` in the root: as sqlx and SQLAlchemy have it.
        let path = path.strip_prefix("//").unwrap_or(path);
        return match path {
            "" => Err("names no file"),
            ":memory:" => Err("names no file: records in memory are `memory:`"),
            _ if path.contains(['?', '\0']) => Err("takes no options"),
            _ if path.ends_with('/') || Path::new(path).file_name().is_none() => {
                Err("names a folder, not a file")
            }
            _ => Ok(Url::Sqlite(path)),
        };
    }
    let database = ["postgres://", "postgresql://"].iter().find_map(|with| text.strip_prefix(with));
    match database {
        Some("") => Err("names no database"),
        Some(_) => Ok(Url::Postgres),
        None => Err("has none of the forms that there are"),
    }
}

/// Whether a PostgreSQL URL says a password, before its host or as an option.
fn has_a_password(url: &str) -> bool {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    let user = place.rsplit_once('@').map(|(user, _)| user);
    let is_password = |option: &str| {
        let (name, _) = option.split_once('=').unwrap_or((option, ""));
        name.to_ascii_lowercase().ends_with("password")
    };
    user.is_some_and(|user| user.contains(':')) || options.split('&').any(is_password)
}
