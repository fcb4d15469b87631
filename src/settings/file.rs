//! From values to checked settings: every key is taken by name, and what is left over is unknown.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use config::{Map, Value, ValueKind};
use ipnet::IpNet;
use toml::de::DeTable;

use super::layers;
use super::layers::is_from_environment;
use super::{
    AdminSettings, Inputs, LoadedSettings, LogFormat, LogSettings, Purpose, RulesSettings,
    ServerSettings, Settings,
};
use crate::diagnostics::{Diagnostic, Location, Report, SourceFile, did_you_mean};

/// More milliseconds or connections than this are a slip of the pen.
const MOST: usize = 10_000_000;

/// Reads all layers.
pub(super) fn read(from: &Inputs) -> std::io::Result<LoadedSettings> {
    let mut report = Report::default();
    let text = from.file.as_deref().map(std::fs::read_to_string).transpose()?;
    let path = from.file.as_ref().map(|path| path.display().to_string());
    let file = SourceFile::private(&path.unwrap_or_default(), text.unwrap_or_default());
    let file = Arc::new(file);
    let (document, errors) = DeTable::parse_recoverable(&file.text);
    for error in &errors {
        let place = Location { file: file.clone(), span: error.span().unwrap_or_default() };
        let message = format!("this is not TOML: {}", error.message());
        report.error("syntax", Some(place), message).hide_line();
    }
    if !errors.is_empty() {
        return Ok(LoadedSettings { settings: None, rules: None, report });
    }
    let document = document.get_ref();
    let Some(values) = layers::stack(from, &file, document, &mut report) else {
        return Ok(LoadedSettings { settings: None, rules: None, report });
    };
    let mut reader = SettingsReader { from, file: &file, document, report: &mut report };
    let (settings, rules) = reader.settings(values);
    let settings = settings.filter(|_| report.error_count() == 0);
    Ok(LoadedSettings { settings, rules, report })
}

/// Takes the settings key by key, and reports what is wrong with them.
pub(super) struct SettingsReader<'r> {
    pub(super) from: &'r Inputs,
    pub(super) report: &'r mut Report,
    file: &'r Arc<SourceFile>,
    document: &'r DeTable<'r>,
}

/// A table of settings from which keys are taken one by one.
pub(super) struct Section {
    pub(super) path: Vec<String>,
    pub(super) values: Map<String, Value>,
    pub(super) known: Vec<&'static str>,
}

impl Section {
    pub(super) fn path_to(&self, key: &str) -> Vec<String> {
        self.path.iter().cloned().chain([key.to_owned()]).collect()
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.values.remove(key)
    }
}

/// The tables of the settings, one function each; `[records]` and `[sources]` have files of
/// their own.
impl SettingsReader<'_> {
    /// The settings, and where the rules are even when there are no settings.
    fn settings(&mut self, values: Map<String, Value>) -> (Option<Settings>, Option<PathBuf>) {
        let mut root = Section { path: Vec::new(), values, known: Vec::new() };
        let server = self.section(&mut root, "server").and_then(|section| self.server(section));
        let admin = self.section(&mut root, "admin").and_then(|section| self.admin(section));
        let rules = self.section(&mut root, "rules").and_then(|section| self.rules(section));
        let records = self.section(&mut root, "records").and_then(|section| self.records(section));
        let log = self.section(&mut root, "log").and_then(|section| self.log(section));
        let sources = self.section(&mut root, "sources").map(|section| self.sources(section));
        self.finish(&root);
        let path = rules.as_ref().map(|rules| rules.path.clone());
        let (Some(server), Some(admin)) = (server, admin) else {
            return (None, path);
        };
        self.addresses(server.listen, admin.listen);
        let (Some(rules), Some(records), Some(log), Some(sources)) = (rules, records, log, sources)
        else {
            return (None, path);
        };
        (Some(Settings { server, admin, rules, records, log, sources }), path)
    }

    fn server(&mut self, mut section: Section) -> Option<ServerSettings> {
        let listen = self.address(&mut section, "listen");
        let request_timeout = self.milliseconds(&mut section, "request_timeout_ms");
        let header_timeout = self.milliseconds(&mut section, "header_timeout_ms");
        let max_connections = self.count(&mut section, "max_connections");
        let max_in_flight = self.count(&mut section, "max_in_flight");
        let shutdown_grace = self.milliseconds(&mut section, "shutdown_grace_ms");
        let trusted_proxies = self.networks(&mut section, "trusted_proxies");
        self.finish(&section);
        Some(ServerSettings {
            listen: listen?,
            request_timeout: request_timeout?,
            header_timeout: header_timeout?,
            max_connections: max_connections?,
            max_in_flight: max_in_flight?,
            shutdown_grace: shutdown_grace?,
            trusted_proxies,
        })
    }

    fn admin(&mut self, mut section: Section) -> Option<AdminSettings> {
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
        Some(AdminSettings { listen, token })
    }

    fn rules(&mut self, mut section: Section) -> Option<RulesSettings> {
        let value = section.take("path");
        let from_environment = value.as_ref().is_some_and(is_from_environment);
        let path = self
            .typed(&section, "path", value, "a path", |value| plain_text(value).map(PathBuf::from));
        let poll_ms = self.whole_number(&mut section, "poll_ms", 0..=MOST);
        self.finish(&section);
        let path = path?;
        let path = if from_environment { path } else { self.beside_the_file(&path) };
        // Where the table is stays known when `poll_ms` is wrong, which has been reported.
        let poll = poll_ms.filter(|ms| *ms > 0).map(|ms| Duration::from_millis(ms as u64));
        Some(RulesSettings { path, poll })
    }

    fn log(&mut self, mut section: Section) -> Option<LogSettings> {
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
        let format = self.choice(&mut section, "format", &formats);
        self.finish(&section);
        let format =
            if self.from.purpose == Purpose::Dev && !chosen { LogFormat::Pretty } else { format? };
        Some(LogSettings { level: level?, format })
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
}

/// Ways to take a key, and to say where a mistake stands.
impl SettingsReader<'_> {
    /// A table of the settings; none when it is something else, which has been reported.
    fn section(&mut self, root: &mut Section, key: &'static str) -> Option<Section> {
        let path = root.path_to(key);
        let values = match root.take(key) {
            Some(value) => self.table(&path, value)?,
            None => Map::new(),
        };
        Some(Section { path, values, known: Vec::new() })
    }

    pub(super) fn table(&mut self, path: &[String], value: Value) -> Option<Map<String, Value>> {
        let read = value.into_table();
        if read.is_err() {
            self.error("wrong-kind", path, format!("`{}` has to be a table", path.join(".")));
        }
        read.ok()
    }

    pub(super) fn finish(&mut self, section: &Section) {
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

    /// What `read` makes of a key, or the default where the key is left out.
    pub(super) fn or<T>(
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

    pub(super) fn text(&mut self, section: &mut Section, key: &'static str) -> Option<String> {
        let value = section.take(key);
        self.typed(section, key, value, "a text", plain_text)
    }

    /// A text, several in a list, or several with commas between them (from a variable).
    pub(super) fn texts(&mut self, section: &mut Section, key: &'static str) -> Vec<String> {
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

    pub(super) fn choice<T: Copy>(
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

    fn address(&mut self, section: &mut Section, key: &'static str) -> Option<SocketAddr> {
        let value = section.take(key);
        self.typed(section, key, value, "an address and a port, like 127.0.0.1:8080", |value| {
            value.into_string().map_err(drop_reason)?.parse().map_err(|_| "no address")
        })
    }

    pub(super) fn networks(&mut self, section: &mut Section, key: &'static str) -> Vec<IpNet> {
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

    pub(super) fn milliseconds(
        &mut self,
        section: &mut Section,
        key: &'static str,
    ) -> Option<Duration> {
        self.count(section, key).map(|count| Duration::from_millis(count as u64))
    }

    fn count(&mut self, section: &mut Section, key: &'static str) -> Option<usize> {
        self.whole_number(section, key, 1..=MOST)
    }

    pub(super) fn whole_number(
        &mut self,
        section: &mut Section,
        key: &'static str,
        bounds: RangeInclusive<usize>,
    ) -> Option<usize> {
        let value = section.take(key);
        let wanted = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        self.typed(section, key, value, &wanted, |value| {
            let number = value.into_string().map_err(drop_reason)?.parse();
            let number = number.ok().filter(|number| bounds.contains(number));
            number.ok_or("too much or too little")
        })
    }

    /// True or false, in quotes from a variable.
    pub(super) fn boolean(&mut self, section: &mut Section, key: &'static str) -> Option<bool> {
        let value = section.take(key);
        self.typed(section, key, value, "true or false", |value| {
            value.into_string().map_err(drop_reason)?.parse().map_err(|_| "neither")
        })
    }

    /// Relative paths are taken from the folder of the file that names them.
    pub(super) fn beside_the_file(&self, path: &Path) -> PathBuf {
        let folder = self.from.file.as_deref().and_then(Path::parent);
        folder.map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }

    pub(super) fn error(
        &mut self,
        code: &'static str,
        path: &[String],
        message: String,
    ) -> &mut Diagnostic {
        let (place, variable) = self.place(path);
        self.report.error(code, place, message + &variable)
    }

    pub(super) fn warning(
        &mut self,
        code: &'static str,
        path: &[String],
        message: String,
    ) -> &mut Diagnostic {
        let (place, variable) = self.place(path);
        self.report.warning(code, place, message + &variable)
    }

    pub(super) fn note(
        &mut self,
        code: &'static str,
        path: &[String],
        message: String,
    ) -> &mut Diagnostic {
        let (place, variable) = self.place(path);
        self.report.note(code, place, message + &variable)
    }

    /// Where the file says it; else, which variable does.
    fn place(&self, path: &[String]) -> (Option<Location>, String) {
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
        (span.map(|span| Location { file: self.file.clone(), span }), String::new())
    }

    /// The bytes of the file that say this key.
    pub(super) fn lookup(&self, path: &[String]) -> Option<Range<usize>> {
        let (last, parents) = path.split_last()?;
        let mut table = self.document;
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

fn drop_reason(_: config::ConfigError) -> &'static str {
    "another kind of value"
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
