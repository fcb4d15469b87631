//! Merges the additions of the rules that match a call. Later values win; objects merge recursively.
//!
//! What is too large is left out and named: a caller chooses the length of SIP headers, and one call must not
//! use up memory that the replies of others need.

use std::borrow::Cow;

use serde_json::Value;

use super::evaluate::MatchContext;
use crate::domain::decision::{Additions, LeftOut, LeftOutReason, Object, Variable};
use crate::rules::model::object_template::ObjectRoom;
use crate::rules::model::template::{MAX_SPEECH_BYTES, MAX_VARIABLES_BYTES};
use crate::rules::{ObjectTemplate, Rule, Template, TemplateContext};

/// Additions of one call, and the room that is left in its reply.
pub(super) struct Merger<'t, 'c> {
    pub(super) additions: Box<Additions<'t>>,
    context: &'c MatchContext<'c>,
    /// Size of the variables, names and values together.
    variables_bytes: usize,
    object_room: ObjectRoom,
}

impl<'t, 'c> Merger<'t, 'c> {
    pub(super) fn new(context: &'c MatchContext<'c>) -> Merger<'t, 'c> {
        let (additions, object_room) = (Box::default(), ObjectRoom::default());
        Merger { additions, context, variables_bytes: 0, object_room }
    }

    /// Merges the additions of a rule.
    pub(super) fn add(&mut self, rule: &'t Rule) {
        self.add_without_speech(rule);
        let Some(added) = &rule.additions else { return };
        let MatchContext { call, lookups, .. } = self.context;
        let values = TemplateContext { call, lookups, rule: &rule.name };
        if let Some(template) = &added.say {
            self.set_speech(template, values);
        }
        for (name, template) in &added.sip_headers {
            self.add_header(name, template, values, &rule.name);
        }
    }

    /// Merges the additions of a rule, except for the text to speak and the SIP headers.
    pub(super) fn add_without_speech(&mut self, rule: &'t Rule) {
        let Some(added) = &rule.additions else { return };
        let MatchContext { call, lookups, .. } = self.context;
        let values = TemplateContext { call, lookups, rule: &rule.name };
        self.additions.variables.reserve(added.variables.len());
        for (name, template) in &added.variables {
            let replaced = self.additions.variables.iter().position(|other| other.name == &**name);
            let replaced_bytes =
                replaced.map_or(0, |at| variable_bytes(&self.additions.variables[at]));
            let others = self.variables_bytes - replaced_bytes + name.len();
            match template.render(values, MAX_VARIABLES_BYTES.saturating_sub(others)) {
                Ok(value) => {
                    replaced.map(|at| self.additions.variables.remove(at));
                    self.variables_bytes = others + value.len();
                    let rule = Some(&*rule.name);
                    self.additions.variables.push(Variable { name, value, rule });
                }
                Err(no_text) => {
                    let left_out = no_text.left_out(LeftOutReason::VariablesTooLarge);
                    self.leave_out(format!("variables.{name}"), left_out);
                }
            }
        }
        let room = &mut self.object_room;
        merge_object(&mut self.additions.metadata, ("metadata", &added.metadata), values, room);
        let agent_override = ("agent_override", &added.agent_override);
        merge_object(&mut self.additions.agent_override, agent_override, values, room);
        self.additions.delay = added.delay.unwrap_or(self.additions.delay);
    }

    /// Sets the text that the caller hears. An empty one is silence.
    fn set_speech(&mut self, template: &'t Template, values: TemplateContext<'_>) {
        match template.render(values, MAX_SPEECH_BYTES) {
            Ok(text) => {
                self.additions.say = Some(text).filter(|text| !text.trim().is_empty());
            }
            Err(no_text) => {
                self.leave_out("say".to_owned(), no_text.left_out(LeftOutReason::TextTooLong));
            }
        }
    }

    fn add_header(
        &mut self,
        name: &'t str,
        template: &'t Template,
        values: TemplateContext<'_>,
        rule: &'t str,
    ) {
        match template.render(values, MAX_SPEECH_BYTES) {
            Ok(value) => {
                let headers = &mut self.additions.sip_headers;
                headers.retain(|other| !other.name.eq_ignore_ascii_case(name));
                let value = without_controls(value);
                headers.push(Variable { name, value, rule: Some(rule) });
            }
            Err(no_text) => {
                let left_out = no_text.left_out(LeftOutReason::TextTooLong);
                self.leave_out(format!("sip_headers.{name}"), left_out);
            }
        }
    }

    /// Notes a part of the reply that is left out, unless its own placeholder omits it.
    fn leave_out(&mut self, name: String, reason: Option<LeftOutReason>) {
        self.additions.left_out.extend(reason.map(|reason| LeftOut { name, reason }));
    }

    /// Returns the merged additions.
    pub(super) fn finish(mut self) -> Box<Additions<'t>> {
        self.additions.left_out.append(&mut self.object_room.left_out);
        self.additions
    }
}

/// Replaces line breaks and other control characters, which end a header. NUL becomes the character that stands
/// for it in records, so that a replay of the call has the same header.
fn without_controls(value: Cow<'_, str>) -> Cow<'_, str> {
    match value.contains(char::is_control) {
        true => Cow::Owned(value.replace('\0', "\u{fffd}").replace(char::is_control, " ")),
        false => value,
    }
}

fn variable_bytes(variable: &Variable<'_>) -> usize {
    variable.name.len() + variable.value.len()
}

fn merge_object<'t>(
    target: &mut Option<Cow<'t, Object>>,
    (name, template): (&'static str, &'t Option<ObjectTemplate>),
    values: TemplateContext<'_>,
    room: &mut ObjectRoom,
) {
    let Some(template) = template else { return };
    let added = template.render(name, values, room);
    match target {
        Some(target) => merge(target.to_mut(), added.into_owned()),
        None => *target = Some(added),
    }
}

fn merge(target: &mut Object, added: Object) {
    for (name, value) in added {
        match (target.get_mut(&name), value) {
            (Some(Value::Object(target)), Value::Object(added)) => merge(target, added),
            (_, value) => {
                target.insert(name, value);
            }
        }
    }
}
