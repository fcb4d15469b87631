//! Settings: defaults that are compiled in, the operator's file, environment variables.
//!
//! The only room that reads the environment. What comes out is checked: secrets are there and
//! long enough, paths are absolute or taken from the right folder, durations are durations.

mod file;
mod layers;
mod records;
mod sources;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use crate::diagnostics::Report;
use crate::domain::secret::Secret;
use crate::rules::{CheckContext, SourceInfo};
use crate::source::{Fallback, Source};

/// Every default, explained.
pub const DEFAULTS: &str = include_str!("../config/default.toml");

/// Where settings are looked for when nobody says where they are.
pub const DEFAULT_PATHS: [&str; 2] =
    ["config/switchboard.toml", "/etc/switchboard/switchboard.toml"];

/// All settings, checked.
pub struct Settings {
    /// The public listener.
    pub server: ServerSettings,
    /// The operator's listener.
    pub admin: AdminSettings,
    /// The rule table.
    pub rules: RulesSettings,
    /// What is kept of what was answered.
    pub records: RecordsSettings,
    /// Logging.
    pub log: LogSettings,
    /// Who asks.
    pub sources: Vec<Source>,
}

/// The public listener.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// A body that has not arrived by then is not waited for.
    pub request_timeout: Duration,
    /// A connection that is silent for this long is closed.
    pub header_timeout: Duration,
    /// Connections at once.
    pub max_connections: usize,
    /// Requests at once.
    pub max_in_flight: usize,
    /// What requests in flight are given when the service stops.
    pub shutdown_grace: Duration,
    /// Whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// The operator's listener.
pub struct AdminSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What it asks for, when it asks for anything.
    pub token: Option<Secret>,
}

/// The rule table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesSettings {
    /// A file, or a folder whose `*.toml` files are one table.
    pub path: PathBuf,
    /// How often its files, and the lists they name, are looked at for a change. None: never.
    pub poll: Option<Duration>,
}

/// What is kept of what was answered. Not printable: a place and a key can be secret.
#[derive(Clone)]
pub struct RecordsSettings {
    /// Where.
    pub place: RecordsLocation,
    /// What is older than this is deleted.
    pub retain: Duration,
    /// How callers' numbers are kept.
    pub numbers: NumberStorage,
    /// Whether a reply waits for its record.
    pub wait: Wait,
    /// Whether each reply carries its decision's id, as `metadata.switchboard_id`.
    pub stamp: bool,
}

impl RecordsSettings {
    /// Nothing is kept.
    pub fn off() -> RecordsSettings {
        RecordsSettings {
            place: RecordsLocation::Off,
            retain: Duration::MAX,
            numbers: NumberStorage::Full,
            wait: Wait::No,
            stamp: false,
        }
    }
}

/// Where records are kept.
#[derive(Clone)]
pub enum RecordsLocation {
    /// Nowhere.
    Off,
    /// In memory, until the service stops.
    Memory,
    /// In this file of SQLite's.
    Sqlite(PathBuf),
    /// In the PostgreSQL database of this URL, kept whole: a password can be in it.
    Postgres(Secret),
}

/// How records keep a caller's number.
#[derive(Clone)]
pub enum NumberStorage {
    /// As it is.
    Full,
    /// `+1213***1234`: neither replayed nor searched.
    Masked,
    /// Hashed with this key: searched and forgotten by number, and never replayed.
    Hashed(Secret),
}

/// What a reply waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Nothing: its record is written afterwards.
    No,
    /// Its record, committed.
    Commit,
}

/// Logging.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// `tracing`'s directives.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One object a line.
    Json,
}

/// What settings are made of, besides the defaults.
pub struct Inputs {
    /// The operator's file.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: HashMap<String, String>,
    /// What they are read for.
    pub purpose: Purpose,
}

/// What settings are read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To run: every secret has to be there.
    Serve,
    /// To try out (`--dev`): loopback only, pretty logs, and the key `dev` where a secret is
    /// missing or short.
    Dev,
    /// To look at them on a machine that may have no secrets. Missing ones are noted, and `dev`
    /// stands in for them.
    Inspect,
}

impl Inputs {
    /// From the process's own environment, and the file that was named or found.
    pub fn from_process(file: Option<&Path>, purpose: Purpose) -> Inputs {
        let found = || DEFAULT_PATHS.iter().map(PathBuf::from).find(|path| path.exists());
        #[expect(clippy::disallowed_methods, reason = "this is where the environment comes in")]
        let environment = std::env::vars_os();
        let environment = environment.filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Inputs {
            file: file.map(Path::to_path_buf).or_else(found),
            environment: environment.collect(),
            purpose,
        }
    }
}

/// Settings as far as they could be read.
pub struct LoadedSettings {
    /// None when the report has errors.
    pub settings: Option<Settings>,
    /// Where the rule table is, which can be checked even when something else is wrong.
    pub rules: Option<PathBuf>,
    /// Everything that is wrong.
    pub report: Report,
}

/// Reads and checks the settings.
///
/// # Errors
/// When the file cannot be read.
pub fn load(ingredients: &Inputs) -> std::io::Result<LoadedSettings> {
    file::read(ingredients)
}

impl Settings {
    /// What the rules are checked against.
    pub fn surroundings(&self) -> CheckContext {
        let agents = self.sources.iter().filter_map(|source| match &source.fallback {
            Fallback::Agent(name) => Some(name.to_string()),
            Fallback::Keep | Fallback::Reject => None,
        });
        let sources = self.sources.iter().map(|source| SourceInfo {
            source: source.name.to_string(),
            platform: source.dialect.platform(),
            reply_within: source.reply_within,
        });
        CheckContext {
            sources: sources.collect(),
            fallback_agents: agents.collect(),
            ..CheckContext::default()
        }
    }
}
