//! From layers of text to checked settings: every key is taken by name, and what is left over is
//! unknown.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use config::{Config, Environment, File, FileFormat, Map, Source as _, Value, ValueKind};
use ipnet::IpNet;
use toml::Spanned;
use toml::de::DeTable;

use super::{
    Admin, DEFAULTS, Ingredients, Loaded, Log, LogFormat, PLACES, Purpose, Server, Settings,
};
use crate::authenticate::{Key, Mode, Policy};
use crate::dialect::{self, Dialect};
use crate::report::{Mistake, Place, Report, SourceFile, did_you_mean};
use crate::secret::Secret;
use crate::source::{Fallback, Source};

/// A shorter secret can be guessed.
const SHORTEST_SECRET_BYTES: usize = 16;
/// Beyond this a platform may have stopped waiting.
const LONGEST_REPLY_MS: u64 = 9_000;
const DEFAULT_REPLY_MS: u64 = 3_000;
/// More milliseconds or connections than this are a slip of the pen.
const MOST: usize = 10_000_000;
/// The key of sources without a secret under `--dev`.
const DEV_KEY: &str = "dev";

/// Reads all layers.
pub(super) fn read(from: &Ingredients) -> std::io::Result<Loaded> {
    let mut report = Report::default();
    let text = from.file.as_deref().map(std::fs::read_to_string).transpose()?;
    let path = from.file.as_ref().map(|path| path.display().to_string());
    let file = SourceFile {
        path: path.unwrap_or_default(),
        text: text.unwrap_or_default(),
        private: true,
    };
    let file = Arc::new(file);
    let (document, errors) = DeTable::parse_recoverable(&file.text);
    for error in &errors {
        let place = Place { file: file.clone(), span: error.span().unwrap_or_default() };
        let message = format!("this is not TOML: {}", error.message());
        report.error("syntax", Some(place), message).hide_line();
    }
    if !errors.is_empty() {
        return Ok(Loaded { settings: None, rules: None, report });
    }
    let mut strange = Vec::new();
    beyond_bounds(document.get_ref(), &mut Vec::new(), &file, &mut report, &mut strange);
    let variables = usable_variables(from, &mut report);
    // What has been reported is blanked, so that the rest can be looked at as well.
    let mut text = file.text.clone();
    for span in strange {
        text.replace_range(span.clone(), &" ".repeat(span.len()));
    }
    let environment =
        Environment::with_prefix("SWITCHBOARD").prefix_separator("__").separator("__");
    let layers = Config::builder()
        .add_source(File::from_str(DEFAULTS, FileFormat::Toml))
        .add_source(File::from_str(&text, FileFormat::Toml))
        .add_source(environment.source(Some(variables)))
        .build()
        .and_then(|config| config.collect());
    let (settings, rules) = match layers {
        Ok(values) => {
            let mut reader = Reader { from, file: &file, document: &document, report: &mut report };
            reader.settings(values)
        }
        // The reason would quote the file, and with it a secret.
        Err(_) => {
            let message = "the settings' file and variables cannot be put together";
            report
                .error("bad-value", None, message)
                .help("does a variable SWITCHBOARD__… name a table, or a key below a value?");
            (None, None)
        }
    };
    let settings = settings.filter(|_| report.errors() == 0);
    Ok(Loaded { settings, rules, report })
}

/// What `config` would refuse without saying where: whole numbers that no program could hold, and
/// keys that it takes for a place in a list.
fn beyond_bounds(
    table: &DeTable<'_>,
    path: &mut Vec<String>,
    file: &Arc<SourceFile>,
    report: &mut Report,
    strange: &mut Vec<Range<usize>>,
) {
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        let place = Place { file: file.clone(), span: key.span() };
        if let Some(inner) = value.get_ref().as_table() {
            beyond_bounds(inner, path, file, report, strange);
        }
        if key.get_ref().contains(['[', ']']) {
            let message = format!("unknown key `{}`", path.join("."));
            report.error("unknown-key", Some(place.clone()), message);
            strange.push(key.span().start..value.span().end);
        }
        let number = value.get_ref().as_integer();
        if number
            .is_some_and(|number| i64::from_str_radix(number.as_str(), number.radix()).is_err())
        {
            let message = format!("`{}` is a number beyond all bounds", path.join("."));
            report.error("bad-value", Some(place), message);
            strange.push(key.span().start..value.span().end);
        }
        path.pop();
    }
}

/// The environment without names that `config` would take for a place in a list: a shell cannot
/// set such a name, but other programs can.
fn usable_variables(from: &Ingredients, report: &mut Report) -> HashMap<String, String> {
    let is_strange = |name: &String| name.starts_with("SWITCHBOARD__") && name.contains(['[', ']']);
    let mut usable = from.environment.clone();
    let mut names: Vec<_> = from.environment.keys().filter(|name| is_strange(name)).collect();
    names.sort();
    for name in names {
        report.error("unknown-key", None, format!("unknown key (from {name})"));
        usable.remove(name);
    }
    usable
}

struct Reader<'r> {
    from: &'r Ingredients,
    file: &'r Arc<SourceFile>,
    document: &'r Spanned<DeTable<'r>>,
    report: &'r mut Report,
}

/// A table of settings from which keys are taken one by one.
struct Section {
    path: Vec<String>,
    values: Map<String, Value>,
    known: Vec<&'static str>,
}

impl Section {
    fn path_to(&self, key: &str) -> Vec<String> {
        self.path.iter().cloned().chain([key.to_owned()]).collect()
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.values.remove(key)
    }
}

impl Reader<'_> {
    /// The settings, and where the rules are even when there are no settings.
    fn settings(&mut self, values: Map<String, Value>) -> (Option<Settings>, Option<PathBuf>) {
        let mut root = Section { path: Vec::new(), values, known: Vec::new() };
        let server = self.section(&mut root, "server").and_then(|section| self.server(section));
        let admin = self.section(&mut root, "admin").and_then(|section| self.admin(section));
        let rules = self.section(&mut root, "rules").and_then(|section| self.rules(section));
        let log = self.section(&mut root, "log").and_then(|section| self.log(section));
        let sources = self.section(&mut root, "sources").map(|section| self.sources(section));
        self.finish(&root);
        let (Some(server), Some(admin), Some(log), Some(sources)) = (server, admin, log, sources)
        else {
            return (None, rules);
        };
        self.addresses(server.listen, admin.listen);
        let settings = |rules| Settings { server, admin, rules, log, sources };
        (rules.clone().map(settings), rules)
    }

    fn server(&mut self, mut section: Section) -> Option<Server> {
        let listen = self.address(&mut section, "listen");
        let request_timeout = self.milliseconds(&mut section, "request_timeout_ms");
        let header_timeout = self.milliseconds(&mut section, "header_timeout_ms");
        let max_connections = self.count(&mut section, "max_connections");
        let max_in_flight = self.count(&mut section, "max_in_flight");
        let shutdown_grace = self.milliseconds(&mut section, "shutdown_grace_ms");
        let trusted_proxies = self.networks(&mut section, "trusted_proxies");
        self.finish(&section);
        Some(Server {
            listen: listen?,
            request_timeout: request_timeout?,
            header_timeout: header_timeout?,
            max_connections: max_connections?,
            max_in_flight: max_in_flight?,
            shutdown_grace: shutdown_grace?,
            trusted_proxies,
        })
    }

    fn admin(&mut self, mut section: Section) -> Option<Admin> {
        let listen = self.address(&mut section, "listen");
        let given = section.values.contains_key("token");
        let token = self.token(&mut section, "token");
        let listen = listen?;
        // Under --dev a token would not help.
        if !listen.ip().is_loopback() && !given && self.from.purpose != Purpose::Dev {
            let message = format!("the admin listener on {listen} would be open to everybody");
            self.error("open-admin", &section.path_to("listen"), message)
                .help("set admin.token = \"env:NAME\"");
        }
        self.finish(&section);
        Some(Admin { listen, token })
    }

    fn rules(&mut self, mut section: Section) -> Option<PathBuf> {
        let value = section.take("path");
        let from_environment = value.as_ref().is_some_and(is_from_environment);
        let path = self
            .typed(&section, "path", value, "a path", |value| plain_text(value).map(PathBuf::from));
        self.finish(&section);
        path.map(|path| if from_environment { path } else { self.beside_the_file(&path) })
    }

    fn log(&mut self, mut section: Section) -> Option<Log> {
        let level = self.text(&mut section, "level");
        let is_level = |level: &String| {
            let filter = level.parse::<tracing_subscriber::EnvFilter>();
            filter.is_ok() && level.split(',').all(names_a_level)
        };
        if let Some(level) = level.as_ref().filter(|level| !is_level(level)) {
            let path = section.path_to("level");
            self.error("bad-value", &path, format!("`{level}` is not a level"))
                .help("error, warn, info, debug or trace, or directives like \"info,hyper=debug\"");
        }
        let chosen = self.lookup(&section.path_to("format")).is_some()
            || section.values.get("format").is_some_and(is_from_environment);
        let formats = [("pretty", LogFormat::Pretty), ("json", LogFormat::Json)];
        let format = self.word(&mut section, "format", &formats);
        self.finish(&section);
        let format =
            if self.from.purpose == Purpose::Dev && !chosen { LogFormat::Pretty } else { format? };
        Some(Log { level: level?, format })
    }

    fn sources(&mut self, section: Section) -> Vec<Source> {
        if section.values.is_empty() {
            let found = self.from.file.as_ref().map_or_else(
                || {
                    format!(
                        "no settings file was found at {}; give one with --config FILE",
                        PLACES.join(" or ")
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
            reader.word(section, "auth", &modes)
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
        let found = dialect::named(&name);
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

    /// The one secret that a key refers to.
    fn token(&mut self, section: &mut Section, key: &'static str) -> Option<Secret> {
        let path = section.path_to(key);
        let reference =
            self.or(section, key, None, |reader, section| Some(reader.text(section, key)));
        reference.flatten().and_then(|reference| self.secret(&reference, &path))
    }

    /// `env:NAME` or `file:PATH` → what stands there. Under `--dev` what is missing is `dev`.
    fn secret(&mut self, reference: &str, path: &[String]) -> Option<Secret> {
        let found = match reference.split_once(':') {
            Some(("env", name)) if is_a_variable(name) => match self.from.environment.get(name) {
                Some(value) => Ok(value.clone().into_bytes()),
                None => Err(format!("set the environment variable {name}")),
            },
            Some(("file", file)) => {
                let file = self.beside_the_file(Path::new(file));
                let read = std::fs::read(&file);
                read.map_err(|error| format!("put the secret into {}: {error}", file.display()))
            }
            _ => {
                let message =
                    format!("`{}` has to say where the secret is, not what it is", path.join("."));
                self.error("secret-in-the-open", path, message)
                    .help("write \"env:NAME\" or \"file:PATH\"")
                    .hide_line();
                return None;
            }
        };
        let purpose = self.from.purpose;
        match found.map(without_newline) {
            Ok(bytes) if bytes.len() >= SHORTEST_SECRET_BYTES => Some(Secret::new(bytes)),
            Ok(bytes) if purpose != Purpose::Serve && !bytes.is_empty() => {
                if purpose == Purpose::Look {
                    let message =
                        format!("`{}`: the secret at {reference} is short", path.join("."));
                    let help = format!("before it serves, give it {SHORTEST_SECRET_BYTES} bytes");
                    self.remark("short-secret", path, message).help(help);
                }
                Some(Secret::new(bytes))
            }
            Err(_) if purpose == Purpose::Dev => Some(Secret::new(DEV_KEY)),
            Err(what_to_do) if purpose == Purpose::Look => {
                let message =
                    format!("`{}`: there is no secret at {reference} here", path.join("."));
                self.remark("secret-not-here", path, message)
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

    /// What `read` makes of a key, or the default where the key is left out.
    fn or<T>(
        &mut self,
        section: &mut Section,
        key: &'static str,
        default: T,
        read: impl FnOnce(&mut Self, &mut Section) -> Option<T>,
    ) -> Option<T> {
        if section.values.contains_key(key) {
            read(self, section)
        } else {
            section.known.push(key);
            Some(default)
        }
    }

    /// Refuses a source that anybody could speak for, and warns of one that nearly anybody could.
    fn factors(&mut self, policy: &Policy, path: &[String], bare: bool) {
        if policy.mode == Mode::Off && bare {
            let message = format!("source `{}`: auth = \"off\" lets anybody ask", policy.source);
            self.error("no-factor", path, message)
                .help("set url_token or allow_from as well, or auth = \"observe\"");
        } else if let (true, Some(caution)) = (bare, policy.scheme.caution()) {
            self.warning("one-factor", path, format!("source `{}`: {caution}", policy.source));
        }
    }

    /// A token stands in a path as it is.
    fn fits_a_url(&mut self, token: Option<&Secret>, path: &[String]) {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
        if token.is_some_and(|token| !token.expose().iter().all(plain)) {
            let message = format!("`{}` cannot stand in a URL", path.join("."));
            self.error("bad-token", path, message).help("use letters, digits, - . _ and ~");
        }
    }

    fn addresses(&mut self, public: SocketAddr, admin: SocketAddr) {
        if self.from.purpose == Purpose::Dev
            && !(public.ip().is_loopback() && admin.ip().is_loopback())
        {
            let message =
                format!("--dev listens on loopback only, the settings say {public} and {admin}");
            self.report
                .error("not-loopback", None, message)
                .help("leave out --dev, and give every source a secret");
        }
        if public == admin && public.port() != 0 {
            let message = format!("both listeners are at {public}");
            let path = ["admin".to_owned(), "listen".to_owned()];
            self.error("same-address", &path, message).help("give admin.listen another port");
        }
    }

    /// A table of the settings; none when it is something else, which has been reported.
    fn section(&mut self, root: &mut Section, key: &'static str) -> Option<Section> {
        let path = root.path_to(key);
        let values = match root.take(key) {
            Some(value) => self.table(&path, value)?,
            None => Map::new(),
        };
        Some(Section { path, values, known: Vec::new() })
    }

    fn table(&mut self, path: &[String], value: Value) -> Option<Map<String, Value>> {
        let read = value.into_table();
        if read.is_err() {
            self.error("wrong-kind", path, format!("`{}` has to be a table", path.join(".")));
        }
        read.ok()
    }

    fn finish(&mut self, section: &Section) {
        let known = &section.known;
        let mut unknown: Vec<_> = section.values.keys().collect();
        unknown.sort();
        for key in unknown {
            let path = section.path_to(key);
            let all = format!("there are {}", known.join(", "));
            let help = did_you_mean(key, known.iter().copied());
            let message = format!("unknown key `{}`", path.join("."));
            self.error("unknown-key", &path, message).help(all).maybe_help(help);
        }
    }

    fn typed<T, E: Display>(
        &mut self,
        section: &Section,
        key: &str,
        value: Option<Value>,
        wanted: &str,
        read: impl FnOnce(Value) -> Result<T, E>,
    ) -> Option<T> {
        let path = section.path_to(key);
        let Some(value) = value else {
            let message = format!("`{}` is missing: it has to be {wanted}", path.join("."));
            self.error("missing-key", &section.path, message);
            return None;
        };
        let text = shown(&value);
        let read = read(value);
        if read.is_err() {
            let message = format!("`{}` has to be {wanted}, this is {text}", path.join("."));
            self.error("bad-value", &path, message);
        }
        read.ok()
    }

    fn text(&mut self, section: &mut Section, key: &'static str) -> Option<String> {
        let value = section.take(key);
        self.typed(section, key, value, "a text", plain_text)
    }

    fn address(&mut self, section: &mut Section, key: &'static str) -> Option<SocketAddr> {
        let value = section.take(key);
        self.typed(section, key, value, "an address and a port, like 127.0.0.1:8080", |value| {
            value.into_string().map_err(drop_reason)?.parse().map_err(|_| "no address")
        })
    }

    fn milliseconds(&mut self, section: &mut Section, key: &'static str) -> Option<Duration> {
        self.count(section, key).map(|count| Duration::from_millis(count as u64))
    }

    fn count(&mut self, section: &mut Section, key: &'static str) -> Option<usize> {
        let value = section.take(key);
        self.typed(section, key, value, "a whole number from 1 to 10000000", |value| {
            let number = value.into_string().map_err(drop_reason)?.parse();
            number.ok().filter(|number| (1..=MOST).contains(number)).ok_or("too much or too little")
        })
    }

    fn word<T: Copy>(
        &mut self,
        section: &mut Section,
        key: &'static str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let path = section.path_to(key);
        let text = self.text(section, key)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let all = words.iter().map(|(word, _)| *word).collect::<Vec<_>>();
            self.error("bad-value", &path, format!("`{}` cannot be `{text}`", path.join(".")))
                .help(format!("it is one of {}", all.join(", ")))
                .maybe_help(did_you_mean(&text, all));
        }
        found.map(|(_, value)| *value)
    }

    /// A text, several in a list, or several with commas between them (from a variable).
    fn texts(&mut self, section: &mut Section, key: &'static str) -> Vec<String> {
        let Some(value) = section.take(key) else {
            return Vec::new();
        };
        let wanted = "a text or a list of texts";
        if matches!(value.kind, ValueKind::Array(_)) {
            let read = self.typed(section, key, Some(value), wanted, |value| {
                value.into_array().map_err(drop_reason)?.into_iter().map(plain_text).collect()
            });
            return read.unwrap_or_default();
        }
        let split = is_from_environment(&value);
        let text = self.typed(section, key, Some(value), wanted, plain_text);
        let text = text.unwrap_or_default();
        let parts = text.split(|c| split && c == ',').map(|part| part.trim().to_owned());
        parts.filter(|part| !part.is_empty()).collect()
    }

    fn networks(&mut self, section: &mut Section, key: &'static str) -> Vec<IpNet> {
        let path = section.path_to(key);
        let mut networks = Vec::new();
        for text in self.texts(section, key) {
            let read = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            match read {
                Ok(network) => networks.push(network),
                Err(_) => {
                    let message = format!("`{text}` is neither an address nor a network");
                    self.error("bad-value", &path, message)
                        .help("write 100.20.5.228 or 10.0.0.0/8");
                }
            }
        }
        networks
    }

    /// Relative paths are taken from the folder of the file that names them.
    fn beside_the_file(&self, path: &Path) -> PathBuf {
        let folder = self.from.file.as_deref().and_then(Path::parent);
        folder.map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }

    fn error(&mut self, code: &'static str, path: &[String], message: String) -> &mut Mistake {
        let (place, variable) = self.place(path);
        self.report.error(code, place, message + &variable)
    }

    fn warning(&mut self, code: &'static str, path: &[String], message: String) -> &mut Mistake {
        let (place, variable) = self.place(path);
        self.report.warning(code, place, message + &variable)
    }

    fn remark(&mut self, code: &'static str, path: &[String], message: String) -> &mut Mistake {
        let (place, variable) = self.place(path);
        self.report.remark(code, place, message + &variable)
    }

    /// Where the file says it; else, which variable does.
    fn place(&self, path: &[String]) -> (Option<Place>, String) {
        let variable = format!("SWITCHBOARD__{}", path.join("__").to_uppercase());
        let below = format!("{variable}__");
        let says_it = |name: &&String| {
            let name = name.to_uppercase();
            name == variable || name.starts_with(&below)
        };
        if let Some(name) = self.from.environment.keys().filter(says_it).min() {
            return (None, format!(" (from {name})"));
        }
        let span = self.lookup(path);
        (span.map(|span| Place { file: self.file.clone(), span }), String::new())
    }

    /// The bytes of the file that say this key.
    fn lookup(&self, path: &[String]) -> Option<Range<usize>> {
        let (last, parents) = path.split_last()?;
        let mut table = self.document.get_ref();
        for name in parents {
            table = table.get(name.as_str())?.get_ref().as_table()?;
        }
        table.get_key_value(last.as_str()).map(|(key, _)| key.span())
    }
}

/// A text, and not a number or a truth that could be written as one.
fn plain_text(value: Value) -> Result<String, &'static str> {
    let is_text = matches!(value.kind, ValueKind::String(_));
    let text = value.into_string().ok().filter(|_| is_text);
    text.ok_or("another kind of value")
}

/// `info`, `hyper=debug`; not `inof`, which `tracing` takes for the name of a target.
fn names_a_level(directive: &str) -> bool {
    let level = directive.rsplit('=').next().unwrap_or_default().trim();
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    levels.iter().any(|known| known.eq_ignore_ascii_case(level))
}

/// Whether a shell could set it; what else stands behind `env:` may be a secret itself.
fn is_a_variable(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    plain && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
}

fn drop_reason(_: config::ConfigError) -> &'static str {
    "another kind of value"
}

fn is_from_environment(value: &Value) -> bool {
    value.origin() == Some("the environment")
}

/// What stands there, for the message.
fn shown(value: &Value) -> String {
    if matches!(value.kind, ValueKind::Table(_)) {
        "a table".to_owned()
    } else if matches!(value.kind, ValueKind::Array(_)) {
        "a list".to_owned()
    } else {
        format!("`{value}`")
    }
}

/// Editors end files with a newline that is no part of the secret.
fn without_newline(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    bytes
}
