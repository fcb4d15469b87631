//! Reply templates: JSON in which `"$name"` stands for a value of the decision.
//!
//! A string that is nothing but a placeholder is replaced by the value with its type; a placeholder inside
//! a longer string, by its text. `$$` is a dollar sign.

use serde_json::{Map, Value};

use crate::diagnostics::did_you_mean;
use crate::domain::capabilities::CarriedAdditions;

/// Values of a decision that a reply template can contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    /// Id of the selected agent.
    Agent,
    /// Version of the selected agent: a number or a text.
    AgentVersion,
    /// Dynamic variables.
    Variables,
    /// Metadata: an object.
    Metadata,
    /// Settings of the agent for this call: an object.
    AgentOverride,
    /// Reason of the rejection.
    Reason,
    /// SIP status for the rejection: 486 for the reason `busy`, else 603.
    SipStatus,
    /// Text that the caller hears.
    Say,
    /// Number or SIP address to which the call is transferred.
    Target,
    /// SIP headers for the agent or the target.
    SipHeaders,
}

impl Placeholder {
    /// All placeholders with their names, in the order of the documentation.
    pub const ALL: [(&'static str, Placeholder); 10] = [
        ("agent", Placeholder::Agent),
        ("agent_version", Placeholder::AgentVersion),
        ("variables", Placeholder::Variables),
        ("metadata", Placeholder::Metadata),
        ("agent_override", Placeholder::AgentOverride),
        ("reason", Placeholder::Reason),
        ("sip_status", Placeholder::SipStatus),
        ("say", Placeholder::Say),
        ("target", Placeholder::Target),
        ("sip_headers", Placeholder::SipHeaders),
    ];

    fn name(self) -> &'static str {
        let found = Placeholder::ALL.iter().find(|(_, placeholder)| *placeholder == self);
        found.map_or("", |(name, _)| name)
    }

    fn parse(name: &str) -> Option<Placeholder> {
        let found = Placeholder::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, placeholder)| *placeholder)
    }
}

/// Outcome for which a reply template is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateOutcome {
    /// An agent is selected.
    Agent,
    /// The platform's own agent answers.
    Keep,
    /// The call is rejected.
    Reject,
    /// The call is transferred.
    Transfer,
}

impl TemplateOutcome {
    /// Returns the placeholders that can have a value.
    pub fn placeholders(self) -> &'static [Placeholder] {
        use Placeholder::{
            Agent, AgentOverride, AgentVersion, Metadata, Reason, Say, SipHeaders, SipStatus,
            Target, Variables,
        };
        match self {
            TemplateOutcome::Agent => {
                &[Agent, AgentVersion, Variables, Metadata, AgentOverride, Say, SipHeaders]
            }
            TemplateOutcome::Keep => &[Variables, Metadata, AgentOverride, Say, SipHeaders],
            TemplateOutcome::Reject => &[Reason, SipStatus, Say],
            TemplateOutcome::Transfer => &[Target, Say, SipHeaders],
        }
    }

    /// Returns the placeholder without which a reply would mean nothing.
    fn required(self) -> Option<Placeholder> {
        match self {
            TemplateOutcome::Agent => Some(Placeholder::Agent),
            TemplateOutcome::Transfer => Some(Placeholder::Target),
            TemplateOutcome::Keep | TemplateOutcome::Reject => None,
        }
    }
}

/// Reason why a reply template does not fit its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnfitTemplate {
    /// The template contains a placeholder that never has a value there.
    #[error("`${0}` has no value in this outcome")]
    Valueless(&'static str),
    /// The template lacks the placeholder that the outcome is about.
    #[error("it does not contain `${0}`")]
    Missing(&'static str),
}

/// A reply template without mistakes.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplyTemplate {
    root: Node,
    placeholders: Vec<Placeholder>,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    /// A value without placeholders.
    Plain(Value),
    /// A placeholder that is all of a string.
    Value(Placeholder),
    /// A string with placeholders and other text.
    Text(Vec<ReplyTextPart>),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// Part of a string in a reply.
#[derive(Debug, Clone, PartialEq)]
enum ReplyTextPart {
    Text(String),
    Placeholder(Placeholder),
}

/// Reason why a text is no reply template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReplyTemplate {
    /// The text is not JSON.
    #[error("it is not JSON: {0}")]
    Json(String),
    /// The text contains a placeholder that does not exist.
    #[error("there is no value `${name}`")]
    Unknown {
        /// Name behind the dollar sign.
        name: String,
        /// Name that may be meant.
        similar: Option<String>,
    },
}

impl ReplyTemplate {
    /// Parses a template.
    ///
    /// # Errors
    /// Fails if the text is not JSON, or contains an unknown placeholder.
    pub fn parse(text: &str) -> Result<ReplyTemplate, InvalidReplyTemplate> {
        let json: Value = serde_json::from_str(text)
            .map_err(|error| InvalidReplyTemplate::Json(error.to_string()))?;
        let mut placeholders = Vec::new();
        let root = node(json, &mut placeholders)?;
        Ok(ReplyTemplate { root, placeholders })
    }

    /// Compares the placeholders with those of an outcome.
    ///
    /// # Errors
    /// Fails at a placeholder that never has a value in this outcome, and without the one that it is about.
    pub fn check_outcome(&self, outcome: TemplateOutcome) -> Result<(), UnfitTemplate> {
        let known = outcome.placeholders();
        if let Some(other) = self.placeholders.iter().find(|one| !known.contains(one)) {
            return Err(UnfitTemplate::Valueless(other.name()));
        }
        match outcome.required().filter(|required| !self.has(*required)) {
            Some(missing) => Err(UnfitTemplate::Missing(missing.name())),
            None => Ok(()),
        }
    }

    /// Returns whether the template contains a placeholder.
    pub(super) fn has(&self, placeholder: Placeholder) -> bool {
        self.placeholders.contains(&placeholder)
    }

    /// Returns the additions that the template has places for.
    pub(super) fn carried_additions(&self) -> CarriedAdditions {
        CarriedAdditions {
            greeting: self.has(Placeholder::Say),
            variables: self.has(Placeholder::Variables),
            metadata: self.has(Placeholder::Metadata),
            agent_override: self.has(Placeholder::AgentOverride),
            sip_headers: self.has(Placeholder::SipHeaders),
        }
    }

    /// Fills in the values. Members of objects whose value is unknown are left out, and with
    /// `drops_empty` also those whose value is an empty object or list.
    pub(super) fn render(
        &self,
        value: &dyn Fn(Placeholder) -> Option<Value>,
        drops_empty: bool,
    ) -> Value {
        render(&self.root, value, drops_empty).unwrap_or(Value::Null)
    }
}

fn node(json: Value, found: &mut Vec<Placeholder>) -> Result<Node, InvalidReplyTemplate> {
    Ok(match json {
        Value::String(text) => text_node(&text, found)?,
        Value::Array(list) => {
            Node::List(list.into_iter().map(|item| node(item, found)).collect::<Result<_, _>>()?)
        }
        Value::Object(object) => {
            let members = object.into_iter().map(|(name, value)| Ok((name, node(value, found)?)));
            Node::Object(members.collect::<Result<_, _>>()?)
        }
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_)) => Node::Plain(plain),
    })
}

fn text_node(text: &str, found: &mut Vec<Placeholder>) -> Result<Node, InvalidReplyTemplate> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        literal.push_str(before);
        if let Some(behind) = behind.strip_prefix('$') {
            literal.push('$');
            rest = behind;
            continue;
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = behind.find(|c| !is_name(c)).unwrap_or(behind.len());
        let (name, behind) = behind.split_at(end);
        let placeholder = Placeholder::parse(name).ok_or_else(|| unknown(name))?;
        found.push(placeholder);
        if !literal.is_empty() {
            parts.push(ReplyTextPart::Text(std::mem::take(&mut literal)));
        }
        parts.push(ReplyTextPart::Placeholder(placeholder));
        rest = behind;
    }
    literal.push_str(rest);
    Ok(match parts.as_slice() {
        [] => Node::Plain(literal.into()),
        [ReplyTextPart::Placeholder(placeholder)] if literal.is_empty() => {
            Node::Value(*placeholder)
        }
        _ => {
            parts.push(ReplyTextPart::Text(literal));
            Node::Text(parts)
        }
    })
}

fn unknown(name: &str) -> InvalidReplyTemplate {
    let names = Placeholder::ALL.iter().map(|(name, _)| *name);
    InvalidReplyTemplate::Unknown { name: name.to_owned(), similar: did_you_mean(name, names) }
}

/// Returns `None` for a value that is unknown.
fn render(
    node: &Node,
    value: &dyn Fn(Placeholder) -> Option<Value>,
    drops_empty: bool,
) -> Option<Value> {
    Some(match node {
        Node::Plain(plain) => plain.clone(),
        Node::Value(placeholder) => value(*placeholder)?,
        Node::Text(parts) => {
            let text = |part: &ReplyTextPart| match part {
                ReplyTextPart::Text(text) => text.clone(),
                ReplyTextPart::Placeholder(placeholder) => {
                    value(*placeholder).map(as_text).unwrap_or_default()
                }
            };
            Value::String(parts.iter().map(text).collect())
        }
        Node::List(items) => {
            Value::Array(items.iter().filter_map(|item| render(item, value, drops_empty)).collect())
        }
        Node::Object(members) => {
            let mut object = Map::new();
            for (name, node) in members {
                let Some(value) = render(node, value, drops_empty) else { continue };
                if !(drops_empty && is_empty(&value)) {
                    object.insert(name.clone(), value);
                }
            }
            Value::Object(object)
        }
    })
}

fn as_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Array(_)
        | Value::Object(_)) => other.to_string(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fill(template: &str, drops_empty: bool) -> Value {
        let template = ReplyTemplate::parse(template).expect("a template");
        let value = |placeholder| match placeholder {
            Placeholder::Agent => Some(json!("agent_1")),
            Placeholder::SipStatus => Some(json!(486)),
            Placeholder::Variables => Some(json!({ "name": "Ann \"A\" $agent" })),
            Placeholder::Metadata => Some(json!({})),
            Placeholder::AgentVersion
            | Placeholder::AgentOverride
            | Placeholder::Reason
            | Placeholder::Say
            | Placeholder::Target
            | Placeholder::SipHeaders => None,
        };
        template.render(&value, drops_empty)
    }

    #[test]
    fn a_placeholder_alone_keeps_its_type() {
        let template = r#"{"id":"$agent","v":"$variables","m":"$metadata","s":["$sip_status"]}"#;
        let variables = json!({ "name": "Ann \"A\" $agent" });
        assert_eq!(
            fill(template, false),
            json!({ "id": "agent_1", "v": variables, "m": {}, "s": [486] })
        );
        assert_eq!(fill(template, true), json!({ "id": "agent_1", "v": variables, "s": [486] }));
        assert_eq!(fill(r#""$variables""#, false), variables);
    }

    #[test]
    fn a_placeholder_in_a_text_becomes_text() {
        assert_eq!(
            fill(r#"["sip:$agent@host", "$$5 $sip_status", "$say!"]"#, false),
            json!(["sip:agent_1@host", "$5 486", "!"])
        );
    }

    #[test]
    fn an_unknown_value_leaves_its_member_out() {
        assert_eq!(fill(r#"{"greeting":"$say","x":null}"#, false), json!({ "x": null }));
        assert_eq!(fill(r#"["$say",1]"#, false), json!([1]));
    }

    #[test]
    fn each_outcome_has_its_own_placeholders() {
        let check = |text: &str, outcome| {
            ReplyTemplate::parse(text).expect("a template").check_outcome(outcome)
        };
        for (text, outcome, expected) in [
            (r#"["$agent","$agent_version"]"#, TemplateOutcome::Agent, Ok(())),
            (r#""$target""#, TemplateOutcome::Transfer, Ok(())),
            ("true", TemplateOutcome::Keep, Ok(())),
            ("true", TemplateOutcome::Reject, Ok(())),
            ("true", TemplateOutcome::Agent, Err(UnfitTemplate::Missing("agent"))),
            (r#""$say""#, TemplateOutcome::Transfer, Err(UnfitTemplate::Missing("target"))),
            (r#""$agent""#, TemplateOutcome::Keep, Err(UnfitTemplate::Valueless("agent"))),
            (
                r#""$variables""#,
                TemplateOutcome::Reject,
                Err(UnfitTemplate::Valueless("variables")),
            ),
        ] {
            assert_eq!(check(text, outcome), expected, "{text} {outcome:?}");
        }
    }

    #[test]
    fn names_its_mistakes() {
        let error = |text| ReplyTemplate::parse(text).expect_err("a mistake");
        assert!(matches!(error("{"), InvalidReplyTemplate::Json(_)));
        let InvalidReplyTemplate::Unknown { name, similar } = error(r#"{"a":"$agnt"}"#) else {
            panic!("another mistake");
        };
        assert_eq!((&*name, similar.is_some()), ("agnt", true));
    }
}
