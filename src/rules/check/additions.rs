//! Additions of a rule: variables, metadata, agent settings, a delay.

use std::ops::Range;
use std::time::Duration;

use serde_json::Value;

use super::Checker;
use super::rule::{RuleNumbers, called};
use crate::dialect::METADATA_BYTES;
use crate::rules::load::raw::{Entries, RawRule, RawValue, Spanned};
use crate::rules::model::template::{ColumnLookup, InvalidTemplate, TemplateNode};
use crate::rules::{ObjectTemplate, RuleAdditions, Template};

/// Maximum delay: platforms end a request after about 9 s.
const LONGEST_DELAY_MS: i64 = 8_000;

impl Checker<'_> {
    pub(super) fn additions(
        &mut self,
        written: &RawRule,
        rule: &str,
        on: RuleNumbers<'_>,
    ) -> Option<Box<RuleAdditions>> {
        let variables = written.variables.iter();
        let variables: Vec<_> =
            variables.filter_map(|(name, value)| self.variable(name, value, on)).collect();
        let metadata = written.metadata.as_ref().map(|entries| self.shape(entries, on));
        let agent_override = written.agent_override.as_ref().map(|entries| {
            self.agent_override(entries);
            self.shape(entries, on)
        });
        self.metadata_size(written, rule);
        let delay = self.delay(written, rule);
        let nothing = variables.is_empty() && metadata.is_none() && agent_override.is_none();
        (!nothing || delay.is_some())
            .then(|| Box::new(RuleAdditions { variables, metadata, agent_override, delay }))
    }

    fn variable(
        &mut self,
        name: &Spanned<String>,
        value: &Spanned<RawValue>,
        on: RuleNumbers<'_>,
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
        let template = self.template(&text, &value.span, on)?;
        Some((name.value.as_str().into(), template))
    }

    pub(super) fn template(
        &mut self,
        text: &str,
        span: &Range<usize>,
        on: RuleNumbers<'_>,
    ) -> Option<Template> {
        self.double_braces(text, span, on);
        match Template::parse(text, &mut self.in_rule(on)) {
            Ok(template) => Some(template),
            Err(mistakes) => {
                self.bad_template(text, span, mistakes);
                None
            }
        }
    }

    /// Reports the problems of a template, each at its own location if the file contains the text verbatim.
    pub(super) fn bad_template(
        &mut self,
        text: &str,
        span: &Range<usize>,
        mistakes: Vec<InvalidTemplate>,
    ) {
        let as_is =
            self.reporter.file.text.get(span.clone()).and_then(|written| written.find(text));
        for InvalidTemplate { span: part, problem } in mistakes {
            let start = as_is.map(|offset| span.start + offset);
            let exact = start.map(|start| start + part.start..start + part.end);
            self.reporter.problem(exact.as_ref().unwrap_or(span), problem);
        }
    }

    /// Warns of `{{from}}`, the platforms' syntax for a variable, where `${from}` may be intended.
    fn double_braces(&mut self, text: &str, span: &Range<usize>, on: RuleNumbers<'_>) {
        let ours = ["from", "to", "channel", "source", "rule"];
        for inside in text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")) {
            let written = inside.0;
            let name = written.trim().to_lowercase();
            let name = name.trim_end_matches("_number").to_owned();
            let columns = self.in_rule(on).names();
            let is_ours = ours.contains(&&*name) || name.starts_with("sip.");
            if is_ours || columns.contains(&name) {
                let message = format!("{{{{{written}}}}} is passed to the platform unchanged");
                self.reporter
                    .warning("double-braces", span, message)
                    .help(format!("for the value of the call, write ${{{name}}}"));
            }
        }
    }

    fn shape(&mut self, entries: &Entries, on: RuleNumbers<'_>) -> ObjectTemplate {
        ObjectTemplate::new(self.nodes(entries, on))
    }

    fn nodes(&mut self, entries: &Entries, on: RuleNumbers<'_>) -> Vec<(Box<str>, TemplateNode)> {
        let read = entries
            .iter()
            .filter_map(|(name, value)| Some((name.value.as_str().into(), self.node(value, on)?)));
        read.collect()
    }

    fn node(&mut self, value: &Spanned<RawValue>, on: RuleNumbers<'_>) -> Option<TemplateNode> {
        Some(match &value.value {
            RawValue::Text(text) => TemplateNode::Text(self.template(text, &value.span, on)?),
            RawValue::Plain(plain) => TemplateNode::Plain(plain.clone()),
            RawValue::List(list) => {
                TemplateNode::List(list.iter().filter_map(|item| self.node(item, on)).collect())
            }
            RawValue::Table(entries) => TemplateNode::Table(self.nodes(entries, on)),
        })
    }

    fn metadata_size(&mut self, written: &RawRule, rule: &str) {
        let Some(entries) = &written.metadata else {
            return;
        };
        let bytes: usize = entries.iter().map(|(name, value)| name.value.len() + size(value)).sum();
        if bytes > METADATA_BYTES {
            let message = format!(
                "{}: the metadata has {bytes} bytes; the maximum is {METADATA_BYTES}",
                called(rule),
            );
            let span = entries.first().map_or(&written.span, |(name, _)| &name.span);
            self.reporter.error("metadata-too-big", span, message);
        }
    }

    fn delay(&mut self, written: &RawRule, rule: &str) -> Option<Duration> {
        self.milliseconds(written.delay_ms.as_ref()?, &called(rule))
    }

    pub(super) fn milliseconds(&mut self, delay: &Spanned<i64>, of: &str) -> Option<Duration> {
        if !(0..=LONGEST_DELAY_MS).contains(&delay.value) {
            let message = format!(
                "{of}: delay_ms is {}; it must be from 0 to {LONGEST_DELAY_MS}",
                delay.value
            );
            let too_long = "platforms end a request after about 9 seconds";
            let help = Some(too_long.to_owned()).filter(|_| delay.value > 0);
            self.reporter.error("delay-too-long", &delay.span, message).maybe_help(help);
            return None;
        }
        Some(Duration::from_millis(delay.value.unsigned_abs()))
    }

    /// Warns of values outside the documented ranges; all values are sent as written.
    fn agent_override(&mut self, entries: &Entries) {
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
            let known = RANGES.iter().find(|(key, ..)| *key == name.value);
            if let RawValue::Table(inner) = &value.value {
                self.agent_override(inner);
            }
            let RawValue::Plain(Value::Number(number)) = &value.value else { continue };
            let Some((key, least, most)) = known else { continue };
            if !number.as_f64().is_some_and(|number| (*least..=*most).contains(&number)) {
                let range = if most.is_finite() {
                    format!("outside the range {least} to {most}")
                } else {
                    format!("less than {least}")
                };
                let message = format!("{key} = {number} is {range}");
                self.reporter
                    .warning("outside-range", &value.span, message)
                    .help("it is sent as written, and the platform may refuse it");
            }
        }
    }
}

fn size(value: &Spanned<RawValue>) -> usize {
    match &value.value {
        RawValue::Text(text) => text.len(),
        RawValue::Plain(plain) => plain.to_string().len(),
        RawValue::List(list) => list.iter().map(size).sum(),
        RawValue::Table(entries) => {
            entries.iter().map(|(name, value)| name.value.len() + size(value)).sum()
        }
    }
}
