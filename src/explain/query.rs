//! Explanations of calls that parameters describe: for `/explain` and for the page of the console.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;
use tokio::runtime::Handle;

use super::{
    Explained, Question, ask_lookups, explain_call, listed_rules, parse_saved_call, parse_time,
    select_source,
};
use crate::domain::call::{Channel, Fields};
use crate::domain::facts::{Facts, LookupAnswer, LookupId};
use crate::domain::form::restore_plus;
use crate::domain::party::{NumberFormat, Party};
use crate::lookup::HistorySource;
use crate::pipeline::Switchboard;
use crate::rules::engine::explain::IndexMismatch;
use crate::rules::{RuleSet, parse_party};
use crate::source::Source;

/// Parameters of an explanation. Without `from`, `to`, `channel`, `number_id` and `attr`, it may be about a saved
/// request body.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainQuery {
    /// The caller.
    pub from: Option<String>,
    /// The called number.
    pub to: Option<String>,
    /// Voice call or text message.
    pub channel: Option<ChannelParam>,
    /// The platform's id of the called number.
    pub number_id: Option<String>,
    /// Further facts that the platform sends: `account=acme,tier=gold`.
    pub attr: Option<String>,
    /// Name of the source.
    pub source: Option<String>,
    /// Time of the call.
    pub at: Option<String>,
    /// Lists every rule.
    #[serde(default)]
    pub all: bool,
    /// A rule that is explained even if it is not tried.
    pub why_not: Option<String>,
    /// Asks the look-ups.
    #[serde(default)]
    pub live: bool,
    /// Answers of look-ups, by name, as JSON. They are not asked.
    #[serde(skip)]
    pub lookups: Vec<(String, String)>,
}

/// A channel as a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelParam {
    /// A voice call.
    Call,
    /// A text message.
    Sms,
}

impl From<ChannelParam> for Channel {
    fn from(channel: ChannelParam) -> Channel {
        match channel {
            ChannelParam::Call => Channel::Call,
            ChannelParam::Sms => Channel::Sms,
        }
    }
}

/// A parameter with a mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidParameter {
    /// Name of the parameter.
    pub name: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl InvalidParameter {
    fn new(name: &str, reason: impl Into<String>) -> InvalidParameter {
        InvalidParameter { name: name.to_owned(), reason: reason.into() }
    }
}

impl fmt::Display for InvalidParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.reason)
    }
}

/// Why there is no explanation.
#[derive(Debug)]
pub enum ExplainError {
    /// These parameters have mistakes.
    Invalid(Vec<InvalidParameter>),
    /// The body is not a call.
    Body(String),
    /// The index and the scan disagree, a defect.
    Mismatch(IndexMismatch),
}

/// The call on which parameters are based.
pub enum Base<'b> {
    /// Nothing is known.
    Unknown,
    /// A saved request body, which no parameter may change.
    Body(&'b [u8]),
    /// A call, of which parameters replace parts.
    Call(Box<Fields<'static>>),
}

/// Explains the call that parameters describe, and passes the explanation on. Waits for look-ups, so not for a
/// thread that answers calls.
///
/// # Errors
/// Fails if parameters have mistakes, or the body is no call.
pub fn explain_query<T>(
    app: &Switchboard,
    query: &ExplainQuery,
    base: Base<'_>,
    runtime: &Handle,
    then: impl FnOnce(&Explained<'_>) -> T,
) -> Result<T, ExplainError> {
    let sources = app.sources();
    let source = select_source(&sources, query.source.as_deref())
        .map_err(|reason| ExplainError::Invalid(vec![InvalidParameter::new("source", reason)]))?;
    let table = app.live_table().shared_table();
    let mut invalid = Vec::new();
    let fields = query.call(source, base, &mut invalid);
    let at = query.at.as_ref().map_or_else(|| Ok(app.now()), |text| parse_time(text, &table));
    let at = at.map_err(|reason| InvalidParameter::new("at", reason));
    let listed = listed_rules(&table, query.all, query.why_not.as_deref())
        .map_err(|reason| InvalidParameter::new("why_not", reason));
    let answers = query.answers(&table, &mut invalid);
    let (fields, at, listed) = match (fields, at, listed) {
        (Ok(fields), Ok(at), Ok(listed)) if invalid.is_empty() => (fields, at, listed),
        (Err(body), Ok(_), Ok(_)) if invalid.is_empty() => return Err(ExplainError::Body(body)),
        (_, at, listed) => {
            invalid.extend(at.err().into_iter().chain(listed.err()));
            return Err(ExplainError::Invalid(invalid));
        }
    };
    let mut facts = if query.live { Facts::before_lookups(at) } else { Facts::at(at) };
    for (id, answer) in answers {
        facts.lookups.insert(id, answer);
    }
    if query.live {
        let history = HistorySource::Recorder(app.recorder());
        let asking = ask_lookups(app.lookups(), &table, source, &fields, facts, history);
        facts = runtime.block_on(asking);
    }
    let question = Question { source, fields: &fields, facts: &facts, listed };
    let explained = explain_call(&table, sources.iter().copied(), question);
    Ok(then(&explained.map_err(ExplainError::Mismatch)?))
}

impl ExplainQuery {
    /// Returns the parameters without those whose value is empty.
    #[must_use]
    pub fn without_blanks(self) -> ExplainQuery {
        let filled = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        ExplainQuery {
            from: filled(self.from),
            to: filled(self.to),
            number_id: filled(self.number_id),
            attr: filled(self.attr),
            source: filled(self.source),
            at: filled(self.at),
            why_not: filled(self.why_not),
            lookups: self.lookups.into_iter().filter(|(_, v)| !v.trim().is_empty()).collect(),
            ..self
        }
    }

    /// Returns the call, or the reason for which the body is none. Mistakes in parameters are added to
    /// `invalid`.
    fn call(
        &self,
        source: &Source,
        base: Base<'_>,
        invalid: &mut Vec<InvalidParameter>,
    ) -> Result<Fields<'static>, String> {
        let has_none = self.from.is_none()
            && self.to.is_none()
            && self.channel.is_none()
            && self.number_id.is_none()
            && self.attr.is_none();
        let base = match base {
            Base::Unknown => Fields::unknown(Channel::Call),
            Base::Call(fields) => *fields,
            Base::Body(body) if has_none => return parse_saved_call(source, body.to_vec()),
            Base::Body(_) => {
                return Err("send either from, to and channel, or a request body".to_owned());
            }
        };
        Ok(self.replace_parts(base, &source.numbers, invalid))
    }

    fn replace_parts(
        &self,
        mut fields: Fields<'static>,
        numbers: &NumberFormat,
        invalid: &mut Vec<InvalidParameter>,
    ) -> Fields<'static> {
        let mut party = |name: &str, text: &Option<String>, field: &mut Party| {
            let Some(text) = text else { return };
            match parse_party(&restore_plus(text), numbers) {
                Ok(party) => *field = party,
                Err(reason) => invalid.push(InvalidParameter::new(name, reason)),
            }
        };
        party("from", &self.from, &mut fields.from);
        party("to", &self.to, &mut fields.to);
        if let Some(channel) = self.channel {
            fields.channel = channel.into();
        }
        if let Some(id) = &self.number_id {
            fields.number_id = Some(id.clone().into());
        }
        if let Some(texts) = &self.attr {
            fields.attributes.clear();
            for text in texts.split(',') {
                match text.split_once('=').filter(|(name, _)| !name.is_empty()) {
                    Some((name, value)) => {
                        fields.attributes.push((name.to_owned().into(), value.to_owned().into()));
                    }
                    None => {
                        let reason = format!("`{text}` is not NAME=VALUE");
                        invalid.push(InvalidParameter::new("attr", reason));
                    }
                }
            }
        }
        fields
    }

    /// Returns the answers of look-ups that the parameters give.
    fn answers(
        &self,
        table: &RuleSet,
        invalid: &mut Vec<InvalidParameter>,
    ) -> Vec<(LookupId, LookupAnswer)> {
        let mut answers = Vec::new();
        for (name, text) in &self.lookups {
            let parameter = format!("lookup.{name}");
            let value = serde_json::from_str::<Value>(text);
            match (table.lookup_id(name), value) {
                (Some(id), Ok(value)) => answers.push((id, LookupAnswer::found(value))),
                (None, _) => {
                    let reason = format!("the table has no look-up `{name}`");
                    invalid.push(InvalidParameter::new(&parameter, reason));
                }
                (Some(_), Err(error)) => {
                    let reason = format!("this is not JSON: {error}");
                    invalid.push(InvalidParameter::new(&parameter, reason));
                }
            }
        }
        answers
    }
}
