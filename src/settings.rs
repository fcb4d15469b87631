//! Settings: defaults that are compiled in, the operator's file, environment variables.
//!
//! The only module that reads the environment. Its output is checked: secrets are present and long
//! enough, paths are resolved, durations are [`Duration`]s.
//!
//! ```
//! use std::collections::HashMap;
//! use switchboard::settings::{self, Inputs, Purpose};
//!
//! # fn main() -> std::io::Result<()> {
//! let environment = HashMap::from([
//!     ("SWITCHBOARD__SERVER__LISTEN".to_owned(), "0.0.0.0:8080".to_owned()),
//!     ("SWITCHBOARD__SOURCES__RETELL__PLATFORM".to_owned(), "retell".to_owned()),
//!     ("SWITCHBOARD__SOURCES__RETELL__SECRETS".to_owned(), "env:RETELL_API_KEY".to_owned()),
//!     ("RETELL_API_KEY".to_owned(), "key_0123456789abcdef".to_owned()),
//! ]);
//! let loaded = settings::load(&Inputs { file: None, environment, purpose: Purpose::Serve })?;
//! let settings = loaded.settings.expect("the report has no errors");
//! assert_eq!(settings.server.listen.port(), 8080);
//! assert_eq!(&*settings.sources[0].name, "retell");
//! # Ok(())
//! # }
//! ```

mod keys;
mod layers;
mod secrets;
mod values;
mod variables;

use std::borrow::Borrow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use crate::diagnostics::Report;
use crate::dialect::Dialects;
use crate::domain::secret::Secret;
use crate::domain::user::User;
use crate::rules::{CheckContext, FileStamp, SourceInfo};
use crate::source::{Fallback, Source};
use crate::tls::LiveCertificates;

pub use keys::json_schema;
pub(crate) use keys::platforms::preset_names;
pub(crate) use keys::reader::known_dialects;
pub use secrets::LookupSecrets;
pub use values::SettingValues;

/// Defaults of all settings, in TOML with comments.
pub const DEFAULTS: &str = include_str!("../config/default.toml");

/// Paths at which a settings file is searched for, in this order.
pub const DEFAULT_PATHS: [&str; 3] =
    ["switchboard.toml", "config/switchboard.toml", "/etc/switchboard/switchboard.toml"];

/// Checked settings.
pub struct Settings {
    /// Public listener.
    pub server: ServerSettings,
    /// Admin listener.
    pub admin: AdminSettings,
    /// Rule table.
    pub rules: RulesSettings,
    /// Records of calls and events.
    pub records: RecordsSettings,
    /// Logging.
    pub log: LogSettings,
    /// Traces.
    pub traces: TracesSettings,
    /// Dialects of all platforms: those that are built in, and those that are declared.
    pub dialects: Dialects,
    /// Sources of requests, sorted by name.
    pub sources: Vec<Source>,
    /// Secrets to which look-ups of the rule table may refer.
    pub secrets: Arc<LookupSecrets>,
    /// The settings serve calls, so a missing secret is an error.
    pub requires_secrets: bool,
    /// References of all keys, with the names of their sources, in the order of the keys: `env:NAME`; `None`
    /// for one that leads to no secret.
    pub key_references: Vec<(String, Option<String>)>,
}

/// Settings of the public listener.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Address and port.
    pub listen: SocketAddr,
    /// Time limit for receiving a request body.
    pub request_timeout: Duration,
    /// Time limit for idle connections and for receiving headers.
    pub header_timeout: Duration,
    /// Maximum number of open connections.
    pub max_connections: usize,
    /// Maximum number of connections without an authenticated request from one address.
    pub max_unauthenticated_per_address: usize,
    /// Maximum number of authenticated requests in flight.
    pub max_in_flight: usize,
    /// Memory for the bodies of requests that are not authenticated yet, in bytes.
    pub body_memory_bytes: usize,
    /// Time for requests in flight to finish on shutdown.
    pub shutdown_grace: Duration,
    /// Reverse proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Certificates; `None` for HTTP in the clear.
    pub tls: Option<LiveCertificates>,
    /// Whether TLS clients may choose HTTP/2.
    pub http2: bool,
    /// Whether connections from trusted proxies begin with a PROXY header.
    pub proxy_protocol: bool,
    /// Whether several processes may listen on the address.
    pub reuse_port: bool,
}

/// Settings of the admin listener.
pub struct AdminSettings {
    /// Address and port.
    pub listen: SocketAddr,
    /// Token that requests must have.
    pub token: Option<Secret>,
    /// People who may log in to the console.
    pub users: Vec<User>,
    /// Whether viewers see whole phone numbers.
    pub reveal_numbers: bool,
    /// Whether editors may change the files of the rule table.
    pub edit: bool,
}

/// Settings of the rule table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesSettings {
    /// File, or folder whose `*.toml` files form one rule table.
    pub path: PathBuf,
    /// Interval at which the files of the rule table are checked for changes; `None` disables
    /// polling.
    pub poll: Option<Duration>,
    /// File with a copy of the last table without errors; `None` if there is none.
    pub last_good: Option<PathBuf>,
    /// Folder with the copies of lists that live elsewhere.
    pub lists_dir: PathBuf,
    /// Files of the folder that have errors stay at their last good version, and the others go live.
    pub isolate: bool,
}

/// Settings of the records. Not `Debug`: the URL and the hash key can be secret.
#[derive(Clone)]
pub struct RecordsSettings {
    /// Location of the record store.
    pub location: RecordsLocation,
    /// Age at which records are deleted.
    pub retain: Duration,
    /// Storage of callers' numbers.
    pub numbers: NumberStorage,
    /// Point at which a reply is sent.
    pub wait: Wait,
    /// Adds the decision's id to each reply, as `metadata.switchboard_id`.
    pub stamp: bool,
    /// Keeps what look-ups found.
    pub lookups: bool,
}

impl RecordsSettings {
    /// Returns the default path of the last good rule table, beside the records. There is none unless
    /// numbers are stored in full: a rule table may contain some.
    fn last_good_table(&self) -> Option<PathBuf> {
        match self.numbers {
            NumberStorage::Full => self.last_good_beside(),
            NumberStorage::Masked | NumberStorage::Hashed(_) => None,
        }
    }

    /// Returns the path beside the records at which a last good rule table can be.
    fn last_good_beside(&self) -> Option<PathBuf> {
        let RecordsLocation::Sqlite(path) = &self.location else { return None };
        let mut path = path.clone().into_os_string();
        path.push(".last-good-table");
        Some(path.into())
    }

    /// Returns the default folder for copies of lists: beside the records, or else beside the rules.
    fn lists_dir(&self, rules: &Path) -> PathBuf {
        let beside = match &self.location {
            RecordsLocation::Sqlite(path) => path,
            RecordsLocation::Off | RecordsLocation::Memory | RecordsLocation::Postgres(_) => rules,
        };
        let mut path = beside.to_owned().into_os_string();
        path.push(".lists");
        path.into()
    }

    /// Returns settings that disable records.
    pub fn off() -> RecordsSettings {
        RecordsSettings {
            location: RecordsLocation::Off,
            retain: Duration::MAX,
            numbers: NumberStorage::Full,
            wait: Wait::No,
            stamp: false,
            lookups: false,
        }
    }
}

/// Location of the record store.
#[derive(Clone)]
pub enum RecordsLocation {
    /// No records.
    Off,
    /// Memory, until the service stops.
    Memory,
    /// SQLite file.
    Sqlite(PathBuf),
    /// URL of a PostgreSQL database, which may contain a password.
    Postgres(Secret),
}

/// Storage of callers' numbers in records.
#[derive(Clone)]
pub enum NumberStorage {
    /// Unchanged.
    Full,
    /// `+1213***1234`: not replayable, and not searchable.
    Masked,
    /// Hashed with this key: searchable and erasable by number, but not replayable.
    Hashed(Secret),
}

/// Point at which a reply is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Before its record is written.
    No,
    /// After its record has been committed.
    Commit,
}

/// Settings of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// Directives of the `tracing` crate.
    pub level: String,
    /// Format of a line.
    pub format: LogFormat,
}

/// Settings of the traces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TracesSettings {
    /// Base URL of the collector; `None` disables traces.
    pub otlp_endpoint: Option<Url>,
}

/// Format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For reading in a terminal.
    Pretty,
    /// One JSON object per line.
    Json,
}

/// Inputs of [`load`], besides the defaults.
pub struct Inputs {
    /// Settings file of the operator.
    pub file: Option<PathBuf>,
    /// Environment variables.
    pub environment: HashMap<String, String>,
    /// Purpose, which determines how missing secrets are handled.
    pub purpose: Purpose,
}

/// Purpose of loading the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To serve: every secret must be present.
    Serve,
    /// To try Switchboard out (`--dev`): loopback only, pretty logs, and the key `dev` in place of
    /// missing secrets. Short secrets are accepted.
    Dev,
    /// To inspect the settings on a machine that may have no secrets: missing and short ones are
    /// reported as notes, and `dev` stands in for missing ones.
    Inspect,
}

impl Inputs {
    /// Returns the variable that sets a key or a key below it: `SWITCHBOARD__RULES__PATH`.
    pub fn variable<N: Borrow<str>>(&self, path: &[N]) -> Option<&String> {
        let variable = format!("SWITCHBOARD__{}", path.join("__").to_uppercase());
        let below = format!("{variable}__");
        let sets_it = |name: &&String| {
            let name = name.to_uppercase();
            name == variable || name.starts_with(&below)
        };
        self.environment.keys().filter(sets_it).min()
    }

    /// Takes the environment of the process, and the given file or the first one at
    /// [`DEFAULT_PATHS`].
    pub fn from_process(file: Option<&Path>, purpose: Purpose) -> Inputs {
        let found = || DEFAULT_PATHS.iter().map(PathBuf::from).find(|path| path.exists());
        #[expect(clippy::disallowed_methods, reason = "the only place that reads the environment")]
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

/// Returns the width of output that the variable `COLUMNS` asks for.
pub fn columns() -> Option<u16> {
    #[expect(clippy::disallowed_methods, reason = "this module reads the environment")]
    let columns = std::env::var("COLUMNS").ok()?;
    columns.trim().parse().ok().filter(|columns| *columns > 0)
}

/// Returns the name of the user of the operating system, for the records of changes: the one who called
/// `sudo`, if the process has it.
pub fn user_name() -> String {
    #[expect(clippy::disallowed_methods, reason = "this module reads the environment")]
    let user = |name: &str| std::env::var(name).ok().filter(|user| !user.trim().is_empty());
    let name = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(user);
    name.or_else(user_id).unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(target_os = "linux")]
fn user_id() -> Option<String> {
    Some(format!("user {}", rustix::process::getuid()))
}

#[cfg(not(target_os = "linux"))]
fn user_id() -> Option<String> {
    None
}

/// Result of [`load`].
pub struct LoadedSettings {
    /// The settings; `None` when the report has errors.
    pub settings: Option<Settings>,
    /// Path of the rule table, known even when other settings are invalid.
    pub rules: Option<PathBuf>,
    /// Platforms that rules can name, known even when other settings are invalid.
    pub dialects: Dialects,
    /// Names of declared platforms with mistakes, which have been reported.
    pub invalid_platforms: Vec<String>,
    /// Errors, warnings and notes.
    pub report: Report,
    /// The settings file, and the files of secrets and certificates, as they were read.
    pub files: Vec<FileStamp>,
    /// The value of each key, to find what has changed.
    pub values: SettingValues,
}

impl LoadedSettings {
    /// Returns what rules are checked against: the settings, or else the platforms that they declare.
    pub fn check_context(&self) -> CheckContext {
        match &self.settings {
            Some(settings) => settings.check_context(),
            None => CheckContext {
                dialects: self.dialects.clone(),
                invalid_platforms: self.invalid_platforms.clone(),
                ..CheckContext::default()
            },
        }
    }
}

/// Reads and checks the settings. Invalid settings are in the report, all of them at once.
///
/// # Errors
/// Returns an error when the file cannot be read.
pub fn load(inputs: &Inputs) -> std::io::Result<LoadedSettings> {
    keys::reader::read(inputs)
}

impl Settings {
    /// Returns the paths at which a last good table can be: the one in use, and the default one, which can
    /// remain from other settings.
    pub fn last_good_paths(&self) -> Vec<PathBuf> {
        let mut paths: Vec<_> =
            self.rules.last_good.iter().cloned().chain(self.records.last_good_beside()).collect();
        paths.dedup();
        paths
    }

    /// Returns the folders in which copies of lists can be, like [`Settings::last_good_paths`].
    pub fn lists_dirs(&self) -> Vec<PathBuf> {
        let mut folders =
            vec![self.rules.lists_dir.clone(), self.records.lists_dir(&self.rules.path)];
        folders.dedup();
        folders
    }

    /// Returns what rules are checked against: the sources and the agents of fallback replies.
    pub fn check_context(&self) -> CheckContext {
        let fallback_agent = |source: &Source| match &source.fallback {
            Fallback::Agent(name) => Some(name.to_string()),
            Fallback::Keep | Fallback::Reject => None,
        };
        let sources = self.sources.iter().map(|source| SourceInfo {
            source: source.name.to_string(),
            platform: source.dialect.platform(),
            reply_within: source.reply_within,
            fallback_agent: fallback_agent(source),
        });
        let no_history = match (&self.records.location, &self.records.numbers) {
            (RecordsLocation::Off, _) => Some("the settings turn records off"),
            (_, NumberStorage::Masked) => Some("records store masked numbers"),
            (_, NumberStorage::Full | NumberStorage::Hashed(_)) => None,
        };
        CheckContext {
            sources: sources.collect(),
            dialects: self.dialects.clone(),
            fallback_agents: self.sources.iter().filter_map(fallback_agent).collect(),
            environment: Some(self.secrets.names()),
            requires_secrets: self.requires_secrets,
            no_history,
            lists_dir: Some(self.rules.lists_dir.clone()),
            ..CheckContext::default()
        }
    }
}
