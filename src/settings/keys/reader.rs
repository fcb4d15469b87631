//! Reads settings from the merged layers: each declared key once, and what is left over is unknown.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::{Map, Value, ValueKind};
use toml::de::DeTable;

use super::{AdminKeys, LogKeys, RootKeys, RulesKeys, ServerKeys, TracesKeys, misplaced};
use crate::diagnostics::{
    Diagnostic, Location, Problem, Report, Severity, SourceFile, did_you_mean, nearest,
};
use crate::dialect::Dialects;
use crate::domain::country::{Country, suggested_country};
use crate::file_kind::FileKind;
use crate::regular_file;
use crate::regular_file::SizeLimit;
use crate::rules;
use crate::rules::FileStamp;
use crate::schema::{Absent, TableSpec, units};
use crate::settings::LookupSecrets;
use crate::settings::layers;
use crate::settings::layers::is_from_environment;
use crate::settings::{
    AdminSettings, Inputs, LoadedSettings, LogFormat, LogSettings, Purpose, RulesSettings,
    ServerSettings, SettingValues, Settings, TracesSettings,
};
use crate::tls::LiveCertificates;
use crate::toml_advice;

/// Keys of a table, as `toml_table!` declares them.
pub(crate) trait TableKeys: Default {
    /// Returns the declaration.
    fn spec() -> &'static TableSpec;

    /// Reads a key into its field; false when the key is not declared.
    fn read_key(&mut self, key: &str, entry: &mut Entry<'_, '_>) -> bool;
}

/// A section whose keys are checked together.
pub(crate) trait SettingsTable: TableKeys {
    type Settings;

    /// Checks what depends on several keys; `None` when a key is missing or invalid, which has been
    /// reported.
    fn check(self, reader: &mut SettingsReader<'_>, section: &Section) -> Option<Self::Settings>;
}

/// Values that the settings name by a word.
pub(crate) trait Choice: Copy + 'static {
    /// All words with their values.
    const WORDS: &'static [(&'static str, Self)];
}

/// Reads and checks all layers.
pub(crate) fn read(inputs: &Inputs) -> io::Result<LoadedSettings> {
    let mut report = Report::default();
    let files = inputs.file.as_deref().map(FileStamp::current).into_iter().collect();
    let text = inputs.file.as_deref().map(read_text).transpose()?;
    let path = inputs.file.as_ref().map(|path| path.display().to_string());
    let file = SourceFile::private(&path.unwrap_or_default(), text.unwrap_or_default());
    let file = Arc::new(file);
    if let Some(problem) = other_kind(inputs, &file.text) {
        report.push(Severity::Error, None, problem);
        return Ok(LoadedSettings::invalid(report, files));
    }
    let (document, errors) = DeTable::parse_recoverable(&file.text);
    let mut starts: Vec<_> =
        errors.iter().map(|error| (error.span().unwrap_or_default(), error.message())).collect();
    starts.sort_by_key(|(span, _)| span.start);
    let line_of = |span: &Range<usize>| {
        file.text[..file.text.floor_char_boundary(span.start)].matches('\n').count()
    };
    // Further errors on the same line mostly follow from the first.
    starts.dedup_by_key(|(span, _)| line_of(span));
    for (span, message) in starts {
        let location = Location { file: file.clone(), span };
        let message = format!("invalid TOML: {message}");
        let start = location.span.start;
        // The value can be a secret.
        let help = toml_advice::advise(&file.text, start).map(|advice| advice.reason.into_owned());
        report.error("syntax", Some(location), message).hide_line().maybe_help(help);
    }
    if !errors.is_empty() {
        return Ok(LoadedSettings::invalid(report, files));
    }
    let document = document.get_ref();
    let Some(values) = layers::merge(inputs, &file, document, &mut report) else {
        return Ok(LoadedSettings::invalid(report, files));
    };
    let setting_values = SettingValues::new(&values);
    let mut reader = SettingsReader::new(inputs, &file, document, files, &mut report);
    let (settings, rules) = reader.settings(values);
    let SettingsReader { files, dialects, invalid_platforms, .. } = reader;
    let settings = settings.filter(|_| report.error_count() == 0);
    report.sort();
    let values = setting_values;
    Ok(LoadedSettings { settings, rules, dialects, invalid_platforms, report, files, values })
}

/// Returns what the file is, if it is not a settings file.
fn other_kind(inputs: &Inputs, text: &str) -> Option<Problem> {
    let path = inputs.file.as_deref()?;
    let kind = FileKind::of(path, text, &rules::json_schema(), &super::json_schema())?;
    let help = match kind {
        FileKind::Settings => return None,
        FileKind::Rules => format!(
            "check it with `switchboard check --rules {path}`; in the settings, write [rules] path = \
             \"{path}\"",
            path = path.display()
        ),
        FileKind::Variables => {
            "load it into the environment: set -a; . ./.env; set +a; the settings refer to its variables \
             by \"env:NAME\""
                .to_owned()
        }
        FileKind::Json | FileKind::Yaml => {
            "settings are TOML; `switchboard init` writes a file to start from".to_owned()
        }
    };
    let message = format!("{} is {}, not a settings file", path.display(), kind.as_str());
    Some(Problem::new("wrong-file", message).help(help))
}

/// Returns the dialects of all platforms that need no declaration: the built-in ones, and those of
/// `config/platforms/`.
pub(crate) fn known_dialects() -> Dialects {
    let inputs = Inputs { file: None, environment: HashMap::new(), purpose: Purpose::Inspect };
    let file = Arc::new(SourceFile::private("", String::new()));
    let (document, mut report) = (DeTable::new(), Report::default());
    SettingsReader::new(&inputs, &file, &document, Vec::new(), &mut report).dialects
}

fn read_text(path: &Path) -> io::Result<String> {
    let bytes = regular_file::read(path, SizeLimit::SETTINGS)?;
    let invalid = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
    String::from_utf8(bytes).map_err(invalid)
}

/// Reader of one set of inputs.
pub(crate) struct SettingsReader<'r> {
    pub(crate) inputs: &'r Inputs,
    pub(crate) report: &'r mut Report,
    file: &'r Arc<SourceFile>,
    document: &'r DeTable<'r>,
    /// Files that have been read so far.
    files: Vec<FileStamp>,
    /// See [`Settings::key_references`].
    pub(crate) key_references: Vec<(String, Option<String>)>,
    /// Names of declared platforms with mistakes, which have been reported.
    pub(crate) invalid_platforms: Vec<String>,
    /// Dialects that a source can name.
    pub(crate) dialects: Dialects,
}

impl<'r> SettingsReader<'r> {
    /// Creates a reader that knows the platforms of `config/platforms/`.
    fn new(
        inputs: &'r Inputs,
        file: &'r Arc<SourceFile>,
        document: &'r DeTable<'r>,
        files: Vec<FileStamp>,
        report: &'r mut Report,
    ) -> SettingsReader<'r> {
        let mut reader = SettingsReader {
            inputs,
            file,
            document,
            report,
            files,
            key_references: Vec::new(),
            invalid_platforms: Vec::new(),
            dialects: Dialects::default(),
        };
        reader.declare_presets();
        reader
    }
}

/// A table of settings that has been read: its path, and the keys that some layer sets.
pub(crate) struct Section {
    pub(crate) path: Vec<String>,
    present: Vec<&'static str>,
}

impl Section {
    pub(crate) fn has(&self, key: &str) -> bool {
        self.present.contains(&key)
    }

    /// Returns the keys that some layer sets, in the order of the declaration.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.present.iter().copied()
    }

    pub(crate) fn path_to(&self, key: &str) -> Vec<String> {
        path_to(&self.path, key)
    }
}

fn path_to(path: &[String], key: &str) -> Vec<String> {
    path.iter().cloned().chain([key.to_owned()]).collect()
}

impl SettingsReader<'_> {
    /// Removes the keys that belong in a rule table, and reports all of them at once.
    fn report_rules(&mut self, values: &mut Map<String, Value>) {
        let mut found = misplaced::keys_of_rules(values.keys());
        found.sort_by_key(|key| self.span(std::slice::from_ref(key)).map(|span| span.start));
        let Some(first) = found.first() else { return };
        let names: Vec<_> = found.iter().map(|key| format!("`{key}`")).collect();
        let verb = if found.len() == 1 { "belongs" } else { "belong" };
        let message = format!("{} {verb} in the rule table, not in the settings", names.join(", "));
        self.error("unknown-key", std::slice::from_ref(first), message).help(
            "move them into the file that `[rules] path` names, such as rules.toml: it has all rules, agents, lists \
             and tests",
        );
        found.iter().for_each(|key| drop(values.remove(key)));
    }

    /// Returns the settings, and the path of the rule table even when there are no settings.
    fn settings(&mut self, mut values: Map<String, Value>) -> (Option<Settings>, Option<PathBuf>) {
        self.report_rules(&mut values);
        // An empty `[sources]` is reported like an absent one, but not beside a misspelt one, which is reported.
        let names = RootKeys::spec().names();
        let is_misspelt = |key: &String| nearest(key, names.clone()) == Some("sources");
        if !values.keys().any(is_misspelt) {
            values.insert("sources".to_owned(), Value::new(None, Map::<String, Value>::new()));
        }
        let (keys, _) = self.read_keys::<RootKeys>(Vec::new(), values);
        let path = keys.rules.as_ref().map(|rules| rules.path.clone());
        let (Some(server), Some(admin)) = (keys.server, keys.admin) else {
            return (None, path);
        };
        self.check_addresses(&server, &admin);
        let (Some(mut rules), Some(records), Some(log), Some(sources)) =
            (keys.rules, keys.records, keys.log, keys.sources)
        else {
            return (None, path);
        };
        rules.last_good = rules.last_good.or_else(|| records.last_good_table());
        if rules.lists_dir.as_os_str().is_empty() {
            rules.lists_dir = records.lists_dir(&rules.path);
        }
        // There are no defaults, so the section may be absent.
        let traces = keys.traces.unwrap_or_default();
        let key_references = std::mem::take(&mut self.key_references);
        let secrets = Arc::new(LookupSecrets::new(&self.inputs.environment));
        let requires_secrets = self.inputs.purpose == Purpose::Serve;
        let settings = Settings {
            server,
            admin,
            rules,
            records,
            log,
            traces,
            dialects: self.dialects.clone(),
            sources,
            secrets,
            requires_secrets,
            key_references,
        };
        (Some(settings), path)
    }

    /// Reads the declared keys of a table, and reports all others.
    pub(crate) fn read_keys<T: TableKeys>(
        &mut self,
        path: Vec<String>,
        mut values: Map<String, Value>,
    ) -> (T, Section) {
        let mut keys = T::default();
        let mut section = Section { path, present: Vec::new() };
        for spec in T::spec().keys {
            let value = values.remove(spec.name);
            section.present.extend(value.is_some().then_some(spec.name));
            let default = match spec.absent {
                Absent::Default(default) => Some(Value::new(None, default)),
                Absent::Allowed | Absent::Rejected => None,
            };
            if let Some(value) = value.or(default) {
                let path = section.path_to(spec.name);
                keys.read_key(spec.name, &mut Entry { reader: self, path, value });
            }
        }
        for (key, value) in &values {
            // A value that is not written with a unit may be a secret, and is never shown.
            let text = value.clone().into_string().ok();
            let path = section.path_to(key);
            let names = T::spec().names();
            let all = names.clone().collect::<Vec<_>>().join(", ");
            let message = format!("unknown key `{}`", path.join("."));
            let is_variable = self.variable(&path).is_some();
            let elsewhere = misplaced::help(&section.path, key, text.as_deref(), is_variable);
            self.error("unknown-key", &path, message)
                .help(format!("{} has {all}", T::spec().noun))
                .maybe_help(did_you_mean(key, names.clone()))
                .maybe_help(units::with_unit(key, text.as_deref(), names).map(|(_, help)| help))
                .maybe_help(elsewhere);
        }
        (keys, section)
    }

    fn check_addresses(&mut self, server: &ServerSettings, admin: &AdminSettings) {
        let (public, admin) = (server.listen, admin.listen);
        if self.inputs.purpose == Purpose::Dev
            && !(public.ip().is_loopback() && admin.ip().is_loopback())
        {
            let message =
                format!("--dev listens on loopback only; the settings have {public} and {admin}");
            self.report
                .error("not-loopback", None, message)
                .help("leave out --dev, and give every source a secret");
        }
        if public == admin && public.port() != 0 {
            let message = format!("both listeners use {public}");
            let path = ["admin".to_owned(), "listen".to_owned()];
            self.error("same-address", &path, message).help("give admin.listen another port");
        }
    }
}

impl SettingsTable for ServerKeys {
    type Settings = ServerSettings;

    fn check(self, reader: &mut SettingsReader<'_>, section: &Section) -> Option<ServerSettings> {
        let mut require = |key: &str, other: &str, help: &str| {
            let message = format!("`server.{key}` requires `server.{other}`");
            reader.error("missing-key", &section.path_to(key), message).help(help);
        };
        if self.http2? && !section.has("tls") {
            require("http2", "tls", "platforms use HTTP/2 over TLS only; remove http2, or set tls");
        }
        if self.proxy_protocol? && self.trusted_proxies.is_empty() {
            let help = "set trusted_proxies to the addresses of the load balancer";
            require("proxy_protocol", "trusted_proxies", help);
        }
        Some(ServerSettings {
            listen: self.listen?,
            request_timeout: self.request_timeout_ms?,
            header_timeout: self.header_timeout_ms?,
            max_connections: self.max_connections?,
            max_unauthenticated_per_address: self.max_unauthenticated_per_address?,
            max_in_flight: self.max_in_flight?,
            body_memory_bytes: self.body_memory_mb? << 20,
            shutdown_grace: self.shutdown_grace_ms?,
            trusted_proxies: self.trusted_proxies,
            tls: self.tls.map(LiveCertificates::new),
            http2: self.http2?,
            proxy_protocol: self.proxy_protocol?,
            reuse_port: self.reuse_port?,
        })
    }
}

impl SettingsTable for AdminKeys {
    type Settings = AdminSettings;

    fn check(self, reader: &mut SettingsReader<'_>, section: &Section) -> Option<AdminSettings> {
        let listen = self.listen?;
        // With --dev, every address off loopback is an error, with or without a token.
        let needs_token = !listen.ip().is_loopback() && reader.inputs.purpose != Purpose::Dev;
        if needs_token && !section.has("token") {
            let message = format!("the admin listener on {listen} would be open to everyone");
            reader
                .error("open-admin", &section.path_to("listen"), message)
                .help("set admin.token = \"env:NAME\"");
        }
        if !self.users.is_empty() && !section.has("token") {
            let message = "`admin.users` requires `admin.token`".to_owned();
            reader.error("missing-key", &section.path_to("users"), message).help(
                "set admin.token = \"env:NAME\": without it, every program of this machine can read the \
                 records without a password",
            );
        }
        Some(AdminSettings {
            listen,
            token: self.token,
            users: self.users,
            reveal_numbers: self.reveal_numbers?,
            edit: self.edit?,
        })
    }
}

impl SettingsTable for RulesKeys {
    type Settings = RulesSettings;

    fn check(self, _: &mut SettingsReader<'_>, _: &Section) -> Option<RulesSettings> {
        // An invalid `poll_ms` has been reported; the rules can be checked all the same.
        Some(RulesSettings {
            path: self.path?,
            poll: self.poll_ms.filter(|poll| !poll.is_zero()),
            last_good: self.last_good,
            lists_dir: self.lists_dir.unwrap_or_default(),
            isolate: self.isolate.unwrap_or_default(),
        })
    }
}

impl SettingsTable for LogKeys {
    type Settings = LogSettings;

    fn check(self, reader: &mut SettingsReader<'_>, section: &Section) -> Option<LogSettings> {
        let is_default = !reader.is_set(&section.path_to("format"));
        let pretty = reader.inputs.purpose == Purpose::Dev && is_default;
        let format = if pretty { Some(LogFormat::Pretty) } else { self.format };
        Some(LogSettings { level: self.level?, format: format? })
    }
}

impl SettingsTable for TracesKeys {
    type Settings = TracesSettings;

    fn check(self, _: &mut SettingsReader<'_>, _: &Section) -> Option<TracesSettings> {
        Some(TracesSettings { otlp_endpoint: self.otlp_endpoint })
    }
}

impl LoadedSettings {
    /// Settings of which nothing can be read.
    fn invalid(report: Report, files: Vec<FileStamp>) -> LoadedSettings {
        LoadedSettings {
            settings: None,
            rules: None,
            dialects: known_dialects(),
            invalid_platforms: Vec::new(),
            report,
            files,
            values: SettingValues::default(),
        }
    }
}

/// Locations and errors.
impl SettingsReader<'_> {
    /// Notes a file, whose changes concern the settings.
    pub(crate) fn note_file(&mut self, path: &Path) {
        self.files.push(FileStamp::current(path));
    }

    /// Resolves a path relative to the folder of the settings file.
    pub(crate) fn resolve(&self, path: &Path) -> PathBuf {
        let folder = self.inputs.file.as_deref().and_then(Path::parent);
        folder.map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }

    pub(crate) fn error(
        &mut self,
        code: &'static str,
        path: &[String],
        message: String,
    ) -> &mut Diagnostic {
        self.push(Severity::Error, path, Problem::new(code, message))
    }

    pub(crate) fn warning(
        &mut self,
        code: &'static str,
        path: &[String],
        message: String,
    ) -> &mut Diagnostic {
        self.push(Severity::Warning, path, Problem::new(code, message))
    }

    pub(crate) fn note(
        &mut self,
        code: &'static str,
        path: &[String],
        message: String,
    ) -> &mut Diagnostic {
        self.push(Severity::Note, path, Problem::new(code, message))
    }

    fn push(
        &mut self,
        severity: Severity,
        path: &[String],
        mut problem: Problem,
    ) -> &mut Diagnostic {
        let (location, variable) = self.location(path);
        problem.message += &variable;
        self.report.push(severity, location, problem)
    }

    /// Returns the location of a key in the file, or the name of the variable that sets it.
    fn location(&self, path: &[String]) -> (Option<Location>, String) {
        if let Some(name) = self.variable(path) {
            return (None, format!(" (from {name})"));
        }
        let span = self.span(path);
        (span.map(|span| Location { file: self.file.clone(), span }), String::new())
    }

    /// The variable that sets this key or a key below it.
    fn variable(&self, path: &[String]) -> Option<&String> {
        self.inputs.variable(path)
    }

    /// The bytes of this key in the file.
    pub(crate) fn span(&self, path: &[String]) -> Option<Range<usize>> {
        let (last, parents) = path.split_last()?;
        let mut table = self.document;
        let mut parents = parents.iter();
        while let Some(name) = parents.next() {
            let value = table.get(name.as_str())?.get_ref();
            table = match value.as_array() {
                Some(list) => {
                    let index: usize = parents.next()?.parse().ok()?;
                    list.get(index)?.get_ref().as_table()?
                }
                None => value.as_table()?,
            };
        }
        table.get_key_value(last.as_str()).map(|(key, _)| key.span())
    }

    /// The file or a variable sets this key.
    fn is_set(&self, path: &[String]) -> bool {
        self.variable(path).is_some() || self.span(path).is_some()
    }
}

/// A key and its value.
pub(crate) struct Entry<'e, 'r> {
    pub(crate) reader: &'e mut SettingsReader<'r>,
    pub(crate) path: Vec<String>,
    pub(crate) value: Value,
}

/// Values of one type each. An invalid value is reported.
impl Entry<'_, '_> {
    /// Full name for messages: `server.listen`.
    pub(crate) fn name(&self) -> String {
        self.path.join(".")
    }

    pub(crate) fn error(&mut self, code: &'static str, message: String) -> &mut Diagnostic {
        self.reader.error(code, &self.path, message)
    }

    fn wrong_type(&mut self, wanted: &str) {
        let found = shown(&self.value);
        let text = self.value.clone().into_string().unwrap_or_default();
        let number = self.path.last().and_then(|key| units::number_for(key, &text));
        let help = number.map(|number| format!("write {number}"));
        self.error("bad-value", format!("`{}` must be {wanted}, not {found}", self.name()))
            .maybe_help(help);
    }

    /// A value that `parse` accepts. Numbers and booleans from variables are strings, so `parse`
    /// gets everything as a string.
    pub(crate) fn parsed<T>(
        &mut self,
        wanted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let parsed = self.value.clone().into_string().ok().and_then(|text| parse(&text));
        if parsed.is_none() {
            self.wrong_type(wanted);
        }
        parsed
    }

    /// The code of a country.
    pub(crate) fn country(&mut self) -> Option<Country> {
        let text = self.value.clone().into_string().unwrap_or_default();
        let country = Country::from_code(&text);
        if country.is_none() {
            let found = shown(&self.value);
            let meant = suggested_country(&text).map(|code| format!("did you mean `{code}`?"));
            let message = format!("`{}` must be a country code, like US, not {found}", self.name());
            self.error("bad-value", message).maybe_help(meant);
        }
        country
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        let text = plain_text(&self.value);
        if text.is_none() {
            self.wrong_type("a string");
        }
        text
    }

    /// A string, or a list of strings; a variable has commas between them.
    pub(crate) fn texts(&mut self) -> Vec<String> {
        let is_variable = is_from_environment(&self.value);
        let texts = if let ValueKind::Array(list) = &self.value.kind {
            list.iter().map(plain_text).collect()
        } else {
            plain_text(&self.value).map(|text| {
                let parts = text.split(|c| is_variable && c == ',').map(str::trim);
                parts.filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>()
            })
        };
        if texts.is_none() {
            self.wrong_type("a string or a list of strings");
        }
        texts.unwrap_or_default()
    }

    pub(crate) fn choice<T: Copy>(&mut self, words: &[(&str, T)]) -> Option<T> {
        let all = words.iter().map(|(word, _)| *word).collect::<Vec<_>>();
        let Some(text) = plain_text(&self.value) else {
            self.wrong_type(&format!("one of {}, in quotes", all.join(", ")));
            return None;
        };
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let message = format!("`{}` cannot be `{text}`", self.name());
            self.error("bad-value", message)
                .help(format!("use one of {}", all.join(", ")))
                .maybe_help(did_you_mean(&text, all));
        }
        found.map(|(_, value)| *value)
    }

    /// A path in the file is relative to the file, and one in a variable to the working directory.
    pub(crate) fn path(&mut self) -> Option<PathBuf> {
        let path = PathBuf::from(self.text()?);
        if path.as_os_str().is_empty() {
            let message = format!("`{}` is empty", self.name());
            self.error("bad-value", message).help("write a path, or remove the key");
            return None;
        }
        let is_variable = is_from_environment(&self.value);
        Some(if is_variable { path } else { self.reader.resolve(&path) })
    }

    pub(crate) fn table(&mut self) -> Option<Map<String, Value>> {
        let table = self.value.clone().into_table().ok();
        if table.is_none() {
            self.not_a_table();
        }
        table
    }

    /// A table with declared keys.
    pub(crate) fn table_keys<T: TableKeys>(&mut self) -> Option<(T, Section)> {
        if !matches!(self.value.kind, ValueKind::Table(_)) {
            let help = self.help_for_table(T::spec().keys[0].name);
            self.not_a_table().help(help);
            return None;
        }
        let values = self.table()?;
        Some(self.reader.read_keys(self.path.clone(), values))
    }

    fn not_a_table(&mut self) -> &mut Diagnostic {
        self.error("wrong-kind", format!("`{}` must be a table", self.name()))
    }

    /// Returns how to write a table whose first key is `first_key`.
    fn help_for_table(&self, first_key: &str) -> String {
        let name = self.name();
        let is_list = matches!(self.value.kind, ValueKind::Array(_));
        match (&self.value.kind, &self.path[..]) {
            (ValueKind::Boolean(false), [.., last]) if last == "tls" => {
                "remove the key: without it, the listener speaks HTTP".to_owned()
            }
            (_, [server, tls, ..]) if server == "server" && tls == "tls" => {
                misplaced::TLS.to_owned()
            }
            _ if is_list => format!("write [{name}], with one bracket at each end"),
            _ if is_from_environment(&self.value) => {
                format!(
                    "set SWITCHBOARD__{}__…, one variable for each of its keys",
                    self.path.join("__").to_uppercase()
                )
            }
            _ => format!("write [{name}], and on a line below it {first_key} = \"…\""),
        }
    }
}

/// A string, but not a number or a boolean, which `config` would convert to one.
pub(super) fn plain_text(value: &Value) -> Option<String> {
    let is_string = matches!(value.kind, ValueKind::String(_));
    value.clone().into_string().ok().filter(|_| is_string)
}

/// Describes a value for messages.
fn shown(value: &Value) -> String {
    if matches!(value.kind, ValueKind::Table(_)) {
        "a table".to_owned()
    } else if matches!(value.kind, ValueKind::Array(_)) {
        "a list".to_owned()
    } else {
        format!("`{value}`")
    }
}
