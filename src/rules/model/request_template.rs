//! Texts of a look-up's request, with values of the call: `https://crm.example.com/${from}`.
//!
//! The request escapes each value for the place at which it stands, so that text that a caller controls
//! never becomes syntax.

use std::borrow::Cow;

use super::placeholder::{self, BAD_TEMPLATE, IfUnknown, InvalidTemplate, TextPart};
use crate::diagnostics::{Problem, did_you_mean};
use crate::domain::call::Call;
use crate::domain::party::Party;

/// A text of a request with any number of placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestTemplate(Vec<RequestPart>);

/// A part of a [`RequestTemplate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestPart {
    /// Literal text.
    Text(Box<str>),
    /// Value of the call, and the text that replaces it if it is unknown. Without that text, the
    /// look-up is not asked.
    Value(RequestValue, Option<Box<str>>),
    /// Environment variable of the service or content of a file, usually a secret: `env:NAME` or
    /// `file:/PATH`.
    Secret(Box<str>),
}

/// Value of the call that a request can contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestValue {
    /// Caller; unknown if the number is withheld.
    From,
    /// Called number; unknown if it is withheld.
    To,
    /// The platform's id of the call.
    CallId,
    /// `call` or `sms`.
    Channel,
    /// Name of the source.
    Source,
    /// The platform's id of the called number.
    NumberId,
    /// SIP header, by its name in lower case.
    Sip(Box<str>),
    /// A further fact that the platform sends.
    Attribute(Box<str>),
}

const NAMES: [&str; 10] = [
    "from",
    "to",
    "call_id",
    "channel",
    "source",
    "number_id",
    "sip.HEADER",
    "attr.NAME",
    "env.NAME",
    "file./PATH",
];

impl RequestTemplate {
    /// Parses a text with placeholders.
    ///
    /// # Errors
    /// Returns every problem in the text.
    pub fn parse(text: &str) -> Result<RequestTemplate, Vec<InvalidTemplate>> {
        let mut errors = Vec::new();
        let mut parts = Vec::new();
        for part in placeholder::split(text)? {
            match part {
                TextPart::Text(text) => parts.push(RequestPart::Text(text.into())),
                TextPart::Placeholder { inside, span } => match request_part(inside) {
                    Ok(part) => parts.push(part),
                    Err(problem) => errors.push(InvalidTemplate { span, problem }),
                },
            }
        }
        if errors.is_empty() { Ok(RequestTemplate(parts)) } else { Err(errors) }
    }

    /// Returns the parts in order.
    pub fn parts(&self) -> &[RequestPart] {
        &self.0
    }

    /// Returns the text before the first placeholder.
    pub fn literal_start(&self) -> &str {
        match self.0.first() {
            Some(RequestPart::Text(text)) => text,
            Some(RequestPart::Value(..) | RequestPart::Secret(_)) | None => "",
        }
    }

    /// Returns the values of the call.
    pub(crate) fn values(&self) -> impl Iterator<Item = &RequestValue> {
        self.0.iter().filter_map(|part| match part {
            RequestPart::Value(value, _) => Some(value),
            RequestPart::Text(_) | RequestPart::Secret(_) => None,
        })
    }

    /// Returns the values without which the look-up is not asked.
    pub(crate) fn required_values(&self) -> impl Iterator<Item = &RequestValue> {
        self.0.iter().filter_map(|part| {
            let RequestPart::Value(value, None) = part else { return None };
            Some(value)
        })
    }

    /// Returns the names of the environment variables.
    pub fn environment(&self) -> impl Iterator<Item = &str> {
        self.secrets().filter_map(|reference| reference.strip_prefix("env:"))
    }

    /// Returns the references to secrets: `env:NAME` and `file:/PATH`.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            RequestPart::Secret(reference) => Some(&**reference),
            RequestPart::Text(_) | RequestPart::Value(..) => None,
        })
    }
}

fn request_part(inside: &str) -> Result<RequestPart, Problem> {
    let (name, if_unknown) = placeholder::name_and_default(inside)?;
    let invalid = |message: &str, help: String| {
        Err(Problem::new(BAD_TEMPLATE, format!("`${{{inside}}}`: {message}")).help(help))
    };
    let default = match if_unknown {
        IfUnknown::Impossible => None,
        IfUnknown::Default(text) => Some(text),
        IfUnknown::Omit => {
            let help = format!(
                "write `${{{name}}}`: without the value, the look-up is not asked; or `${{{name}|default}}`"
            );
            return invalid("a request has no part that can be omitted", help);
        }
    };
    match name.split_once('.') {
        Some(("env", variable)) if !variable.is_empty() => match default {
            None => Ok(RequestPart::Secret(format!("env:{variable}").into())),
            Some(_) => {
                let help = format!("write `${{{name}}}`, and set the variable");
                invalid("an environment variable has no default", help)
            }
        },
        Some(("file", path)) if path.starts_with('/') && path.len() > 1 => match default {
            None => Ok(RequestPart::Secret(format!("file:{path}").into())),
            Some(_) => {
                let help = format!("write `${{{name}}}`, and create the file");
                invalid("a file has no default", help)
            }
        },
        Some(("file", path)) => {
            let name = path.trim_start_matches('/');
            let help = format!("write `${{file./run/secrets/{name}}}`");
            invalid("the path of a secret must be absolute", help)
        }
        _ => match RequestValue::parse(name) {
            Some(value) => Ok(RequestPart::Value(value, default)),
            None => Err(unknown_name(name)),
        },
    }
}

fn unknown_name(name: &str) -> Problem {
    let message = match name {
        "" => "the placeholder is empty".to_owned(),
        name => format!("a request has no value `{name}`"),
    };
    let all = || NAMES.map(|name| format!("`${{{name}}}`")).join(", ");
    let help = did_you_mean(name, NAMES).unwrap_or_else(|| format!("use one of {}", all()));
    Problem::new("unknown-value", message).help(help)
}

/// Prints the name, as in a placeholder.
impl std::fmt::Display for RequestValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RequestValue::From => f.write_str("from"),
            RequestValue::To => f.write_str("to"),
            RequestValue::CallId => f.write_str("call_id"),
            RequestValue::Channel => f.write_str("channel"),
            RequestValue::Source => f.write_str("source"),
            RequestValue::NumberId => f.write_str("number_id"),
            RequestValue::Sip(header) => write!(f, "sip.{header}"),
            RequestValue::Attribute(name) => write!(f, "attr.{name}"),
        }
    }
}

impl RequestValue {
    /// Parses the name of a value; `None` for an unknown name.
    pub fn parse(name: &str) -> Option<RequestValue> {
        Some(match name {
            "from" => RequestValue::From,
            "to" => RequestValue::To,
            "call_id" => RequestValue::CallId,
            "channel" => RequestValue::Channel,
            "source" => RequestValue::Source,
            "number_id" => RequestValue::NumberId,
            _ => match name.split_once('.')? {
                ("sip", header) if !header.is_empty() => {
                    RequestValue::Sip(header.to_ascii_lowercase().into())
                }
                ("attr", name) if !name.is_empty() => RequestValue::Attribute(name.into()),
                _ => return None,
            },
        })
    }

    /// Returns the value for a call, if it is known.
    pub fn of<'c>(&self, call: &'c Call<'_>) -> Option<Cow<'c, str>> {
        let party = |party: &'c Party| (*party != Party::Withheld).then(|| party.unmasked());
        let value = match self {
            RequestValue::From => party(call.from()),
            RequestValue::To => party(call.to()),
            RequestValue::CallId => call.call_id().map(Cow::Borrowed),
            RequestValue::Channel => Some(Cow::Borrowed(call.channel().as_str())),
            RequestValue::Source => Some(Cow::Borrowed(call.source())),
            RequestValue::NumberId => call.number_id().map(Cow::Borrowed),
            RequestValue::Sip(header) => call.sip_header(header).map(Cow::Borrowed),
            RequestValue::Attribute(name) => call.attribute(name).map(Cow::Borrowed),
        };
        // With an empty value, `/customers/${sip.x-id}` would be the list of all customers.
        value.filter(|value| !value.is_empty())
    }
}
