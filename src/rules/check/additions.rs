//! Additions of a rule: variables, metadata, agent settings, a text to speak, SIP headers, a delay.

use std::ops::Range;

use serde_json::Value;

use super::columns::RuleColumns;
use super::rule::{RuleNumbers, describe_rule};
use super::rules::RuleChecker;
use super::values;
use crate::dialect::METADATA_BYTES;
use crate::domain::facts::LookupSet;
use crate::rules::load::raw::{Entries, RawRule, RawValue, Spanned};
use crate::rules::model::object_template::TemplateNode;
use crate::rules::model::template::{ColumnLookup, MAX_OBJECT_TEXTS_BYTES, MAX_VARIABLES_BYTES};
use crate::rules::{InvalidTemplate, ObjectTemplate, RuleAdditions, Template};

impl RuleChecker<'_, '_> {
    pub(super) fn additions(
        &mut self,
        raw: &RawRule,
        rule: &str,
        numbers: RuleNumbers<'_>,
    ) -> Option<Box<RuleAdditions>> {
        let variables = self.variables(raw, numbers);
        let metadata = raw.metadata.as_ref().map(|entries| self.object(entries, numbers));
        let agent_override = raw.agent_override.as_ref().map(|entries| {
            self.warn_unusual_settings(entries);
            self.object(entries, numbers)
        });
        self.check_metadata_size(raw, rule);
        let delay = raw.delay_ms.as_ref();
        let delay =
            delay.and_then(|delay| values::delay(delay, &describe_rule(rule), self.reporter));
        let say = self.say(raw, numbers);
        let sip_headers = self.sip_headers(raw, numbers);
        let is_empty = variables.is_empty()
            && metadata.is_none()
            && agent_override.is_none()
            && say.is_none()
            && sip_headers.is_empty()
            && delay.is_none();
        let objects = metadata.iter().chain(&agent_override).map(ObjectTemplate::lookups);
        let texts = variables.iter().chain(&sip_headers).map(|(_, template)| template);
        let texts = texts.chain(say.as_deref()).map(Template::lookups);
        let lookups = texts.chain(objects).fold(LookupSet::default(), LookupSet::union);
        let unsupported_at = Box::default();
        (!is_empty).then(|| {
            Box::new(RuleAdditions {
                variables,
                metadata,
                agent_override,
                say,
                sip_headers,
                delay,
                unsupported_at,
                lookups,
            })
        })
    }

    fn variables(&mut self, raw: &RawRule, numbers: RuleNumbers<'_>) -> Vec<(Box<str>, Template)> {
        let mut variables = Vec::new();
        let mut bytes = 0;
        for (name, value) in &raw.variables {
            let Some((name, template)) = self.variable(name, value, numbers) else { continue };
            let with_this = bytes + name.len() + template.literal_bytes();
            if with_this > MAX_VARIABLES_BYTES {
                let what = format!("variable `{name}`, with those before it,");
                self.warn_too_long(&what, with_this, MAX_VARIABLES_BYTES, &value.span);
            } else {
                bytes = with_this;
            }
            variables.push((name, template));
        }
        variables
    }

    fn variable(
        &mut self,
        name: &Spanned<String>,
        value: &Spanned<RawValue>,
        numbers: RuleNumbers<'_>,
    ) -> Option<(Box<str>, Template)> {
        let text = match &value.value {
            RawValue::Text(text) => text.clone(),
            RawValue::Plain(plain) => {
                let message =
                    format!("variable `{}` is sent as the string \"{plain}\"", name.value);
                self.reporter
                    .warning("sent-as-text", &value.span, message)
                    .help(format!("platforms accept only strings: write \"{plain}\""));
                plain.to_string()
            }
            RawValue::List(_) | RawValue::Table(_) => {
                let message = format!("variable `{}` must be a string", name.value);
                self.reporter.error("wrong-kind", &value.span, message).help(
                    "platforms accept only strings as variables; put arrays and tables into `metadata`",
                );
                return None;
            }
        };
        let template = self.template(&text, &value.span, numbers)?;
        Some((name.value.as_str().into(), template))
    }

    pub(super) fn template(
        &mut self,
        text: &str,
        span: &Range<usize>,
        numbers: RuleNumbers<'_>,
    ) -> Option<Template> {
        self.warn_double_braces(text, span, numbers);
        self.warn_other_placeholders(text, span, numbers);
        let columns = &mut RuleColumns::new(self.lists, &mut self.definitions.lookups, numbers);
        match Template::parse(text, columns) {
            Ok(template) => {
                template.cells().for_each(|cell| self.lists.note_text_column(cell));
                self.reporter.check_attributes(&template, span);
                Some(template)
            }
            Err(errors) => {
                self.reporter.template_problems(text, span, errors);
                None
            }
        }
    }

    /// Parses a template that must have a text for every call. `use_default` is the help for a value that can be
    /// unknown.
    pub(super) fn required_template(
        &mut self,
        text: &str,
        span: &Range<usize>,
        use_default: &str,
        numbers: RuleNumbers<'_>,
    ) -> Option<Template> {
        let columns = &mut RuleColumns::new(self.lists, &mut self.definitions.lookups, numbers);
        let template = Template::parse(text, columns).map_err(|mut errors| {
            for InvalidTemplate { problem, .. } in &mut errors {
                if problem.code == "may-be-unknown" {
                    problem.help = Some(use_default.to_owned());
                }
            }
            self.reporter.template_problems(text, span, errors);
        });
        template.ok()
    }

    /// Warns of `{{from}}`, the platforms' syntax for a variable, where `${from}` may be intended.
    fn warn_double_braces(&mut self, text: &str, span: &Range<usize>, numbers: RuleNumbers<'_>) {
        for (placeholder, _) in text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")) {
            let name = placeholder.trim().to_lowercase();
            let name = name.trim_end_matches("_number").to_owned();
            let columns =
                RuleColumns::new(self.lists, &mut self.definitions.lookups, numbers).names();
            let is_known = CALL_VALUES.contains(&&*name)
                || name.starts_with("sip.")
                || name.starts_with("attr.");
            if is_known || columns.contains(&name) {
                let message = format!("{{{{{placeholder}}}}} is passed to the platform unchanged");
                self.reporter
                    .warning("double-braces", span, message)
                    .help(format!("for the value of the call, write ${{{name}}}"));
            } else if !is_platform_variable(placeholder) {
                let message = format!(
                    "{{{{{placeholder}}}}} is not a variable of the platform: those have letters, \
                     digits and `_`"
                );
                self.reporter.warning("double-braces", span, message).help(
                    "callers hear what the platform makes of it; for a value of the call, write ${…}",
                );
            }
        }
    }

    /// Warns of `{from}`, `$from`, `%from%` and others, which other programs replace, where `${from}` may be intended.
    fn warn_other_placeholders(
        &mut self,
        text: &str,
        span: &Range<usize>,
        numbers: RuleNumbers<'_>,
    ) {
        let without = text.replace("${", "");
        if !without.contains(['{', '$', '%', '<', '[']) {
            return;
        }
        let columns = RuleColumns::new(self.lists, &mut self.definitions.lookups, numbers).names();
        let names = CALL_VALUES.iter().map(|name| (*name).to_owned()).chain(columns);
        for name in names {
            let written = [
                format!("{{{name}}}"),
                format!("${name}"),
                format!("%{name}%"),
                format!("$({name})"),
                format!("%{{{name}}}"),
                format!("<{name}>"),
                format!("[{name}]"),
            ];
            let Some(written) = written.iter().find(|written| stands_alone(text, written)) else {
                continue;
            };
            let message = format!("{written} is a text: nothing is filled in");
            self.reporter
                .warning("double-braces", span, message)
                .help(format!("for the value of the call, write ${{{name}}}"));
        }
    }

    fn object(&mut self, entries: &Entries, numbers: RuleNumbers<'_>) -> ObjectTemplate {
        ObjectTemplate::new(self.nodes(entries, numbers))
    }

    fn nodes(
        &mut self,
        entries: &Entries,
        numbers: RuleNumbers<'_>,
    ) -> Vec<(Box<str>, TemplateNode)> {
        let nodes = entries.iter().filter_map(|(name, value)| {
            Some((name.value.as_str().into(), self.node(value, numbers)?))
        });
        nodes.collect()
    }

    fn node(
        &mut self,
        value: &Spanned<RawValue>,
        numbers: RuleNumbers<'_>,
    ) -> Option<TemplateNode> {
        Some(match &value.value {
            RawValue::Text(text) => {
                let template = self.template(text, &value.span, numbers)?;
                let bytes = template.literal_bytes();
                if template.literal().is_none() && bytes > MAX_OBJECT_TEXTS_BYTES {
                    self.warn_too_long("the text", bytes, MAX_OBJECT_TEXTS_BYTES, &value.span);
                }
                TemplateNode::Text(template)
            }
            RawValue::Plain(plain) => TemplateNode::Plain(plain.clone()),
            RawValue::List(list) => TemplateNode::List(
                list.iter().filter_map(|item| self.node(item, numbers)).collect(),
            ),
            RawValue::Table(entries) => TemplateNode::Table(self.nodes(entries, numbers)),
        })
    }

    /// Warns of a text that exceeds its limit for every call.
    pub(super) fn warn_too_long(
        &mut self,
        what: &str,
        bytes: usize,
        max: usize,
        span: &Range<usize>,
    ) {
        let message = format!("{what} is never sent: {bytes} bytes, and the maximum is {max}");
        self.reporter
            .warning("value-too-long", span, message)
            .help("shorten it, or send an id with which the agent looks the text up");
    }

    fn check_metadata_size(&mut self, raw: &RawRule, rule: &str) {
        let Some(entries) = &raw.metadata else {
            return;
        };
        let bytes: usize =
            entries.iter().map(|(name, value)| name.value.len() + json_size(value)).sum();
        if bytes > METADATA_BYTES {
            let message = format!(
                "{}: the metadata has {bytes} bytes; the maximum is {METADATA_BYTES}",
                describe_rule(rule),
            );
            let span = entries.first().map_or(&raw.span, |(name, _)| &name.span);
            self.reporter.error("metadata-too-big", span, message);
        }
    }

    /// Warns of values outside the documented ranges; all values are sent as they are.
    fn warn_unusual_settings(&mut self, entries: &Entries) {
        const RANGES: [(&str, f64, f64); 9] = [
            ("voice_temperature", 0.0, 2.0),
            ("voice_speed", 0.5, 2.0),
            ("volume", 0.0, 2.0),
            ("responsiveness", 0.0, 1.0),
            ("interruption_sensitivity", 0.0, 1.0),
            ("max_call_duration_ms", 60_000.0, 7_200_000.0),
            ("end_call_after_silence_ms", 10_000.0, f64::INFINITY),
            ("begin_message_delay_ms", 0.0, 5_000.0),
            ("reminder_max_count", 0.0, f64::INFINITY),
        ];
        for (name, value) in entries {
            let range = RANGES.iter().find(|(key, ..)| *key == name.value);
            if let RawValue::Table(entries) = &value.value {
                self.warn_unusual_settings(entries);
            }
            let RawValue::Plain(Value::Number(number)) = &value.value else { continue };
            let Some((key, min, max)) = range else { continue };
            if !number.as_f64().is_some_and(|number| (*min..=*max).contains(&number)) {
                let range = if max.is_finite() {
                    format!("outside the range {min} to {max}")
                } else {
                    format!("less than {min}")
                };
                let message = format!("{key} = {number} is {range}");
                self.reporter
                    .warning("outside-range", &value.span, message)
                    .help("it is sent as written, and the platform may refuse it");
            }
        }
    }
}

/// Values of a call that have one name.
const CALL_VALUES: [&str; 7] =
    ["from", "to", "forwarded_from", "channel", "source", "rule", "number_id"];

/// Returns whether a text contains a placeholder of another program, and not as a part of `${…}`, `{{…}}` or a
/// longer name.
fn stands_alone(text: &str, placeholder: &str) -> bool {
    text.match_indices(placeholder).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + placeholder.len()..].chars().next();
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let continues = placeholder.starts_with('$') && after.is_some_and(is_word);
        !matches!(before, Some('$' | '{' | '%')) && after != Some('}') && !continues
    })
}

/// Returns whether the text between double braces can name a variable of a platform. Workflow tools write
/// expressions there: `$json.name`, `1.phone`, `a[0]`.
fn is_platform_variable(text: &str) -> bool {
    let name = text.trim();
    // Retell has `current_time_America/Los_Angeles`.
    let is_time = name.starts_with("current_") && name.chars().all(|c| c.is_ascii_graphic());
    is_time
        || name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn json_size(value: &Spanned<RawValue>) -> usize {
    match &value.value {
        RawValue::Text(text) => text.len(),
        RawValue::Plain(plain) => plain.to_string().len(),
        RawValue::List(list) => list.iter().map(json_size).sum(),
        RawValue::Table(entries) => {
            entries.iter().map(|(name, value)| name.value.len() + json_size(value)).sum()
        }
    }
}
