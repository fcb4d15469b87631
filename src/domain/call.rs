//! A call that came in, or a text: who asks to be connected, as every platform's dialect reads it.
//!
//! Borrows from the body it was read from. It knows no platform's field names, only the
//! telephone's own nouns.

use std::borrow::Cow;
use std::fmt;

use super::phone_number::Party;
use crate::authenticate::Verified;

/// A platform by the name that settings and rules use, `retell`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Platform(&'static str);

impl Platform {
    /// A name in lower case, used in settings, rules, logs and metrics.
    pub const fn named(name: &'static str) -> Platform {
        Platform(name)
    }

    /// The name.
    pub fn as_str(&self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// How the caller comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// A voice call.
    Call,
    /// A text message.
    Sms,
}

impl Channel {
    /// All of them, in the order in which they are documented.
    pub const ALL: [Channel; 2] = [Channel::Call, Channel::Sms];

    /// The name in rules, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Channel::Call => "call",
            Channel::Sms => "sms",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The version of an agent: some platforms count, some let you name one (`latest`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// A counted version.
    Number(i64),
    /// `latest`, `latest_published`, or a tag of the operator's own.
    Tag(Box<str>),
}

/// What a dialect found in a body. All of it may be missing, for the bodies are young and grow.
#[derive(Clone, PartialEq, Eq)]
pub struct Fields<'a> {
    /// Voice or text.
    pub channel: Channel,
    /// The platform's id of this call or chat; the same on every retry.
    pub call_id: Option<Cow<'a, str>>,
    /// When the platform says that it happened, in Unix milliseconds.
    pub event_timestamp_ms: Option<i64>,
    /// The agent that the number has at the platform.
    pub agent: Option<Cow<'a, str>>,
    /// The version of that agent.
    pub agent_version: Option<Version>,
    /// Who rings.
    pub from: Party,
    /// What was dialled.
    pub to: Party,
    /// SIP headers of the call, with lower-case names.
    pub sip: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// How many of the two numbers came without their `+`.
    pub plus_added: u8,
}

/// Without the values of SIP headers, which carry the true numbers of forwarded calls.
impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.sip.iter().map(|(name, _)| name).collect();
        f.debug_struct("Fields")
            .field("channel", &self.channel)
            .field("call_id", &self.call_id)
            .field("from", &self.from)
            .field("to", &self.to)
            .field("sip", &headers)
            .finish_non_exhaustive()
    }
}

impl Fields<'_> {
    /// The same, without the body that it was read from.
    pub fn into_owned(self) -> Fields<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        let sip = self.sip.into_iter().map(|(name, value)| (own(name), own(value)));
        Fields {
            sip: sip.collect(),
            call_id: self.call_id.map(own),
            agent: self.agent.map(own),
            channel: self.channel,
            event_timestamp_ms: self.event_timestamp_ms,
            agent_version: self.agent_version,
            from: self.from,
            to: self.to,
            plus_added: self.plus_added,
        }
    }

    /// A call of which nothing is known yet.
    pub fn unknown(channel: Channel) -> Fields<'static> {
        Fields {
            channel,
            call_id: None,
            event_timestamp_ms: None,
            agent: None,
            agent_version: None,
            from: Party::Withheld,
            to: Party::Withheld,
            sip: Vec::new(),
            plus_added: 0,
        }
    }
}

/// A call to be decided. Only a dialect makes one, of a [`Verified`] body; the one exception says
/// in its name that the call is synthetic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call<'a> {
    fields: Fields<'a>,
    platform: Platform,
    source: Cow<'a, str>,
}

impl<'a> Call<'a> {
    /// The call that a proved body tells of. `proof` is only looked at: whoever has it may ask.
    pub fn of(proof: &'a Verified, platform: Platform, fields: Fields<'a>) -> Call<'a> {
        Call { fields, platform, source: Cow::Borrowed(proof.source()) }
    }

    /// A call that nobody made, to explain or to test a table with. It is never answered.
    pub fn synthetic(source: &'a str, platform: Platform, fields: Fields<'a>) -> Call<'a> {
        Call { fields, platform, source: Cow::Borrowed(source) }
    }

    /// What the dialect found, without who asked.
    pub fn into_fields(self) -> Fields<'a> {
        self.fields
    }

    /// The name of the source in the settings.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The platform that asks.
    pub fn platform(&self) -> Platform {
        self.platform
    }

    /// Voice or text.
    pub fn channel(&self) -> Channel {
        self.fields.channel
    }

    /// Who rings.
    pub fn from(&self) -> &Party {
        &self.fields.from
    }

    /// What was dialled.
    pub fn to(&self) -> &Party {
        &self.fields.to
    }

    /// The platform's id of this call or chat.
    pub fn call_id(&self) -> Option<&str> {
        self.fields.call_id.as_deref()
    }

    /// When the platform says that it happened, in Unix milliseconds.
    pub fn event_timestamp_ms(&self) -> Option<i64> {
        self.fields.event_timestamp_ms
    }

    /// The agent that the number has at the platform.
    pub fn agent(&self) -> Option<&str> {
        self.fields.agent.as_deref()
    }

    /// The version of that agent.
    pub fn agent_version(&self) -> Option<&Version> {
        self.fields.agent_version.as_ref()
    }

    /// The value of a SIP header, the last one of that name; `name` in lower case.
    pub fn sip(&self, name: &str) -> Option<&str> {
        let found = self.fields.sip.iter().rev().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_ref())
    }

    /// All SIP headers, in the order they came.
    pub fn sip_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.sip.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// How many of the two numbers came without their `+`.
    pub fn plus_added(&self) -> u8 {
        self.fields.plus_added
    }
}
