//! `[platforms.NAME]`: platforms that the settings declare, and those of `config/platforms/`.

use std::sync::Arc;
use std::time::Duration;

use config::{Config, File, FileFormat, Map, Value};

use super::reader::{Choice, Entry, Section, SettingsReader, SettingsTable};
use super::signature::Signature;
use super::{FieldMatchKeys, PlatformKeys, ReplyKeys, VariableKeys};
use crate::authenticate::NoScheme;
use crate::dialect::generic::{
    FieldMatch, GenericDialect, InvalidReplyTemplate, Placeholder, Pointer, ReplyTemplate,
    ReplyTemplates, RequestFormat, RequestShape, TemplateOutcome, UnfitTemplate, VariableNames,
    VariableShape,
};
use crate::domain::call::Platform;
use crate::domain::capabilities::Timing;

/// Declarations that are compiled in, by the names of their platforms.
const PRESETS: [(&str, &str); 8] = [
    ("assemblyai", include_str!("../../../config/platforms/assemblyai.toml")),
    ("bolna", include_str!("../../../config/platforms/bolna.toml")),
    ("fish", include_str!("../../../config/platforms/fish.toml")),
    ("jambonz", include_str!("../../../config/platforms/jambonz.toml")),
    ("millis", include_str!("../../../config/platforms/millis.toml")),
    ("signalwire", include_str!("../../../config/platforms/signalwire.toml")),
    ("turncall", include_str!("../../../config/platforms/turncall.toml")),
    ("vogent", include_str!("../../../config/platforms/vogent.toml")),
];

/// Returns the names of the platforms of `config/platforms/`.
pub(crate) fn preset_names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}

/// Form of a platform's name.
pub(crate) const PLATFORM_NAME_PATTERN: &str = "^[a-z][a-z0-9-]*$";
/// Form of a JSON pointer to a member.
pub(crate) const POINTER_PATTERN: &str = "^(/[^/]+)+$";
/// Time for which a repeated delivery receives the first reply again: longer than any platform retries.
const RETRY_WINDOW: Duration = Duration::from_secs(300);
/// Reply deadline of a platform that declares none, unless the platform waits too short a time for it.
const REPLY_WITHIN: Duration = Duration::from_millis(3000);

/// Handling of members whose value is an empty object or list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EmptyMembers {
    Keep,
    Drop,
}

/// Form of the variables in a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VariableForm {
    Object,
    List,
}

impl Choice for EmptyMembers {
    const WORDS: &'static [(&'static str, EmptyMembers)] =
        &[("keep", EmptyMembers::Keep), ("drop", EmptyMembers::Drop)];
}

impl Choice for VariableNames {
    const WORDS: &'static [(&'static str, VariableNames)] =
        &[("any", VariableNames::Any), ("identifiers", VariableNames::Identifiers)];
}

impl Choice for VariableForm {
    const WORDS: &'static [(&'static str, VariableForm)] =
        &[("object", VariableForm::Object), ("list", VariableForm::List)];
}

impl Choice for RequestFormat {
    const WORDS: &'static [(&'static str, RequestFormat)] = &[
        ("json", RequestFormat::Json),
        ("form", RequestFormat::Form),
        ("query", RequestFormat::Query),
    ];
}

/// Values of platforms.
impl Entry<'_, '_> {
    pub(crate) fn pointer(&mut self) -> Option<Pointer> {
        let text = self.text()?;
        self.parse_pointer(&text)
    }

    pub(crate) fn pointers(&mut self) -> Vec<Pointer> {
        let texts = self.texts();
        texts.iter().filter_map(|text| self.parse_pointer(text)).collect()
    }

    fn parse_pointer(&mut self, text: &str) -> Option<Pointer> {
        let pointer = Pointer::parse(text);
        if pointer.is_none() {
            let message = format!("`{}`: `{text}` is not a pointer", self.name());
            let path = text.trim_start_matches(['$', '.', '/']).replace('.', "/");
            self.error("bad-value", message).help(format!(
                "write the names on the way to the value, each behind a `/`: /{path}"
            ));
        }
        pointer
    }

    pub(crate) fn named_pointers(&mut self) -> Vec<(Box<str>, Pointer)> {
        let mut entries: Vec<_> = self.table().unwrap_or_default().into_iter().collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        let read = entries.into_iter().filter_map(|(name, value)| {
            let path = self.path.iter().cloned().chain([name.clone()]).collect();
            let pointer = Entry { reader: self.reader, path, value }.pointer()?;
            Some((name.into(), pointer))
        });
        read.collect()
    }

    pub(crate) fn field_match(&mut self) -> Option<FieldMatch> {
        let errors = self.reader.report.error_count();
        let (keys, section) = self.table_keys::<FieldMatchKeys>()?;
        for key in ["pointer", "equals"] {
            if !section.has(key) {
                let message = format!("`{}`: `{key}` is missing", self.name());
                self.error("missing-key", message)
                    .help("write { pointer = \"/event\", equals = \"call.inbound\" }");
            }
        }
        if keys.equals.is_empty() {
            // Any other mistake has been reported.
            if self.reader.report.error_count() == errors {
                let message = format!("`{}.equals` is empty", self.name());
                self.error("bad-value", message).help("write the text of the value");
            }
            return None;
        }
        let equals = keys.equals.into_iter().map(Into::into).collect();
        Some(FieldMatch { pointer: keys.pointer?, equals })
    }

    pub(crate) fn reply_template(&mut self) -> Option<ReplyTemplate> {
        let text = self.text()?;
        let error = match ReplyTemplate::parse(&text) {
            Ok(template) => return Some(template),
            Err(error) => error,
        };
        let message = format!("`{}`: {error}", self.name());
        let help = match error {
            InvalidReplyTemplate::Json(_) => {
                "write JSON in single quotes: '{ \"agent\": \"$agent\" }'".to_owned()
            }
            InvalidReplyTemplate::Unknown { similar, .. } => similar.unwrap_or_else(|| {
                let names = Placeholder::ALL.map(|(name, _)| name);
                format!("use one of ${}; a dollar sign itself is $$", names.join(", $"))
            }),
        };
        self.error("bad-value", message).help(help);
        None
    }

    /// Reads `[platforms]`, and adds the platforms to the dialects that sources can name.
    pub(crate) fn platforms(&mut self) {
        let mut platforms: Vec<_> = self.table().unwrap_or_default().into_iter().collect();
        platforms.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (name, value) in platforms {
            let path = vec!["platforms".to_owned(), name.clone()];
            let mut entry = Entry { reader: self.reader, path, value };
            let keys = entry.table_keys::<PlatformKeys>();
            let dialect =
                keys.and_then(|(keys, section)| self.reader.platform(&name, keys, &section));
            match dialect {
                Some(dialect) => self.reader.dialects.declare(dialect),
                None => self.reader.invalid_platforms.push(name),
            }
        }
    }
}

impl SettingsReader<'_> {
    /// Adds the platforms of `config/platforms/` to the dialects that sources can name.
    pub(crate) fn declare_presets(&mut self) {
        for (name, text) in PRESETS {
            let file = File::from_str(text, FileFormat::Toml);
            let values = Config::builder().add_source(file).build();
            let values = values.and_then(Config::try_deserialize::<Map<String, Value>>);
            let values = values.expect("a declaration in config/platforms is TOML");
            let path = vec!["platforms".to_owned(), name.to_owned()];
            let (keys, section) = self.read_keys::<PlatformKeys>(path, values);
            if let Some(dialect) = self.platform(name, keys, &section) {
                self.dialects.declare(dialect);
            }
        }
    }

    fn platform(
        &mut self,
        name: &str,
        mut keys: PlatformKeys,
        section: &Section,
    ) -> Option<GenericDialect> {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(is_name) {
            let message = format!("`{name}` cannot be the name of a platform");
            self.error("bad-value", &section.path, message)
                .help("use lower-case letters, digits and -, with a letter first");
        }
        if crate::dialect::by_name(name).is_some() {
            let message = format!("`{name}` is a platform that Switchboard knows");
            self.error("bad-value", &section.path, message).help("give yours another name");
        }
        let Some(reply) = keys.reply.take() else {
            if !section.has("reply") {
                let message = format!("platform `{name}` has no reply");
                self.error("missing-key", &section.path, message)
                    .help("write a [platforms.NAME.reply] with the template `keep` or `agent`");
            }
            return None;
        };
        self.check_pointers(name, &keys, section);
        let variables = keys.variables.unwrap_or_default();
        let request = RequestShape {
            format: keys.request?,
            when: keys.when,
            probe: keys.probe,
            from: keys.from,
            to: keys.to,
            call_id: keys.call_id,
            agent: keys.agent,
            number_id: keys.number_id,
            sip: keys.sip,
            attributes: keys.attributes,
            event: keys.event,
        };
        let timing = self.platform_timing(name, (keys.reply_within_ms, keys.timeout_ms), section);
        let platform = Platform::declared(name);
        let scheme = match keys.signature {
            Some(signature) => {
                self.refuse_secrets(&signature);
                signature.into_scheme()
            }
            None if section.has("signature") => return None,
            None => Arc::new(NoScheme),
        };
        Some(GenericDialect::new(platform, timing, scheme, request, reply, variables))
    }

    /// Returns the times of a platform, and warns of a reply deadline at which it has stopped waiting.
    fn platform_timing(
        &mut self,
        name: &str,
        (reply_within, timeout): (Option<Duration>, Option<Duration>),
        section: &Section,
    ) -> Timing {
        // Leaves two fifths of the time to the network.
        let in_time = timeout.map_or(REPLY_WITHIN, |timeout| (timeout * 3 / 5).min(REPLY_WITHIN));
        let default = in_time.max(Duration::from_millis(1));
        if let (Some(reply_within), Some(timeout)) = (reply_within, timeout)
            && reply_within > timeout
        {
            let path = section.path_to("reply_within_ms");
            let timeout = timeout.as_millis();
            let message = format!("`{}`: {name} stops waiting after {timeout} ms", path.join("."));
            self.warning("late-reply", &path, message).help(format!(
                "without the key, replies are sent within {} ms",
                default.as_millis()
            ));
        }
        Timing {
            reply_within: reply_within.unwrap_or(default),
            timeout,
            silence: "depends on the platform",
            retry_window: RETRY_WINDOW,
        }
    }

    /// Reports pointers into a form that lead nowhere, and a platform whose calls cannot be told apart.
    fn check_pointers(&mut self, name: &str, keys: &PlatformKeys, section: &Section) {
        if keys.from.is_empty() && keys.call_id.is_empty() {
            let message = format!("platform `{name}` has neither `from` nor `call_id`");
            self.error("missing-key", &section.path, message)
                .help("write from = \"/POINTER\", where the request has the caller's number");
        }
        if keys.request == Some(RequestFormat::Json) {
            return;
        }
        let lists = [
            ("from", &keys.from),
            ("to", &keys.to),
            ("call_id", &keys.call_id),
            ("agent", &keys.agent),
            ("number_id", &keys.number_id),
            ("event", &keys.event),
        ];
        let matches = [("when", &keys.when), ("probe", &keys.probe)].into_iter();
        let pointers = lists
            .into_iter()
            .flat_map(|(key, pointers)| pointers.iter().map(move |pointer| (key, pointer)))
            .chain(matches.filter_map(|(key, found)| Some((key, &found.as_ref()?.pointer))))
            .chain(keys.attributes.iter().map(|(_, pointer)| ("attributes", pointer)));
        for (key, pointer) in pointers.filter(|(_, pointer)| !pointer.has_one_part()) {
            let message = format!("`{pointer}`: a form or a query has no fields inside fields");
            self.error("bad-value", &section.path_to(key), message)
                .help("write a pointer with one part: \"/from\"");
        }
    }

    /// Reports secrets in the signature of a platform: each source has its own.
    fn refuse_secrets(&mut self, signature: &Signature) {
        for part in &signature.parts {
            let keys = [
                ("secrets", part.secrets.is_some()),
                ("shared_keys", !part.shared_keys.is_empty()),
            ];
            for (key, _) in keys.into_iter().filter(|(_, is_set)| *is_set) {
                let path = [&part.path[..], &[key.to_owned()]].concat();
                let message = format!("`{}` has no place here", path.join("."));
                self.error("unknown-key", &path, message)
                    .help("secrets belong to a source: write this signature and its secrets there");
            }
        }
    }

    /// Reports a template that does not fit its outcome, and returns whether it does.
    fn check_template(
        &mut self,
        key: &str,
        outcome: TemplateOutcome,
        template: &ReplyTemplate,
        section: &Section,
    ) -> bool {
        let Err(error) = template.check_outcome(outcome) else { return true };
        let path = section.path_to(key);
        let message = format!("`{}`: {error}", path.join("."));
        let names: Vec<_> = Placeholder::ALL
            .iter()
            .filter(|(_, placeholder)| outcome.placeholders().contains(placeholder))
            .map(|(name, _)| format!("${name}"))
            .collect();
        let help = match error {
            UnfitTemplate::Valueless(_) => format!("`{key}` can have {}", names.join(", ")),
            UnfitTemplate::Missing(name) => {
                format!("write \"${name}\" where the platform expects it")
            }
        };
        self.error("bad-value", &path, message).help(help);
        false
    }
}

impl SettingsTable for ReplyKeys {
    type Settings = ReplyTemplates;

    fn check(self, reader: &mut SettingsReader<'_>, section: &Section) -> Option<ReplyTemplates> {
        if !section.has("agent") && !section.has("keep") {
            let message = format!("`{}` needs `keep` or `agent`", section.path.join("."));
            reader.error("missing-key", &section.path, message).help(
                "write keep = '{ \"variables\": \"$variables\" }' if the platform has an agent of its own, or \
                 agent = '{ \"agent\": \"$agent\" }'",
            );
            return None;
        }
        let templates = [
            ("agent", TemplateOutcome::Agent, &self.agent),
            ("keep", TemplateOutcome::Keep, &self.keep),
            ("reject", TemplateOutcome::Reject, &self.reject),
            ("transfer", TemplateOutcome::Transfer, &self.transfer),
        ];
        let mut is_valid = true;
        for (key, outcome, template) in templates {
            is_valid &= match template {
                Some(template) => reader.check_template(key, outcome, template, section),
                // An invalid one has been reported.
                None => !section.has(key),
            };
        }
        if !is_valid {
            return None;
        }
        Some(ReplyTemplates {
            agent: self.agent,
            keep: self.keep,
            reject: self.reject,
            transfer: self.transfer,
            drops_empty: self.empty? == EmptyMembers::Drop,
        })
    }
}

impl SettingsTable for VariableKeys {
    type Settings = VariableShape;

    fn check(self, _: &mut SettingsReader<'_>, _: &Section) -> Option<VariableShape> {
        Some(VariableShape {
            is_list: self.form? == VariableForm::List,
            max_count: self.max,
            max_chars: self.max_chars,
            reserved: self.reserved.into_iter().map(Into::into).collect(),
            names: self.names?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use crate::settings::{self, Inputs, Purpose};

    #[test]
    fn reports_what_would_have_no_effect() {
        for (line, expected) in [
            (
                "when = { pointer = \"/event\", equals = [] }",
                "`platforms.nova.when.equals` is empty",
            ),
            ("when = { pointer = \"/call/event\", equals = \"inbound\" }", "`/call/event`: a form"),
            ("attributes = { city = \"/call/city\" }", "`/call/city`: a form"),
            (
                "signature = { all = [{ kind = \"basic\", secrets = \"env:A\" }, { kind = \"bearer\" }] }",
                "`platforms.nova.signature.all.0.secrets` has no place here",
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("switchboard.toml");
            let text = format!(
                "[platforms.nova]\nrequest = \"form\"\nfrom = \"/from\"\n{line}\n\
                 [platforms.nova.reply]\nkeep = '{{}}'\n\
                 [sources.nova]\nplatform = \"nova\"\nallow_from = \"192.0.2.1\"\nsecrets = \"env:KEY\"\n"
            );
            std::fs::write(&file, text).unwrap();
            let (file, environment) = (Some(file), HashMap::new());
            let inputs = Inputs { file, environment, purpose: Purpose::Inspect };
            let report = settings::load(&inputs).unwrap().report;
            assert_eq!(report.error_count(), 1, "{report}");
            assert!(report.to_string().contains(expected), "{report}");
        }
    }
}
