//! An incoming call or text message, in the same form for every platform.
//!
//! Borrows from the request body. Names of platform fields belong to the dialects.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::party::{Party, ReadingCounts};
use crate::authenticate::Verified;

/// A voice platform, by the name that settings and rules use: `retell`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Platform(&'static str);

impl Platform {
    /// Creates a platform from its lower-case name, which settings, rules, logs and metrics use.
    pub const fn new(name: &'static str) -> Platform {
        Platform(name)
    }

    /// Returns the platform with a name that settings declare. Each distinct name is kept for the life of the
    /// process: settings declare few, and they are read once.
    pub fn declared(name: &str) -> Platform {
        static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        let known = names.get(name).copied();
        Platform(known.unwrap_or_else(|| {
            let name: &'static str = Box::leak(name.into());
            names.insert(name);
            name
        }))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Kind of contact: a voice call or a text message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// A voice call.
    Call,
    /// A text message.
    Sms,
}

impl Channel {
    /// All channels, in the order of the documentation.
    pub const ALL: [Channel; 2] = [Channel::Call, Channel::Sms];

    /// Returns the name used in rules, logs and metrics.
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

/// Version of an agent: a number, or a tag such as `latest`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Version {
    /// A version number.
    Number(i64),
    /// `latest`, `latest_published`, or a tag of the operator's own.
    Tag(Box<str>),
}

/// Fields that a dialect parsed from a request body. Any of them may be missing: platforms add fields
/// over time.
#[derive(Clone, PartialEq, Eq)]
pub struct Fields<'a> {
    /// Voice call or text message.
    pub channel: Channel,
    /// The platform's id for this call or chat; identical on every retry.
    pub call_id: Option<Cow<'a, str>>,
    /// Time of the event according to the platform, in Unix milliseconds.
    pub event_timestamp_ms: Option<i64>,
    /// Agent that the platform has assigned to the number.
    pub agent: Option<Cow<'a, str>>,
    /// Version of that agent.
    pub agent_version: Option<Version>,
    /// The caller.
    pub from: Party,
    /// The called number.
    pub to: Party,
    /// The platform's id of the called number.
    pub number_id: Option<Cow<'a, str>>,
    /// Further facts that the platform sends, by the names that rules use after `attr.`.
    pub attributes: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// SIP headers of the call; names in lower case.
    pub sip: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Numbers of parties (0 to 2) that were not read as they were sent.
    pub readings: ReadingCounts,
}

/// Omits the values of SIP headers and attributes, which can hold unmasked numbers.
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
    /// Copies the borrowed fields, so that they outlive the request body.
    pub fn into_owned(self) -> Fields<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        let pairs = |pairs: Vec<(Cow<'_, str>, Cow<'_, str>)>| {
            pairs.into_iter().map(|(name, value)| (own(name), own(value))).collect()
        };
        Fields {
            sip: pairs(self.sip),
            attributes: pairs(self.attributes),
            number_id: self.number_id.map(own),
            call_id: self.call_id.map(own),
            agent: self.agent.map(own),
            channel: self.channel,
            event_timestamp_ms: self.event_timestamp_ms,
            agent_version: self.agent_version,
            from: self.from,
            to: self.to,
            readings: self.readings,
        }
    }

    /// Returns the value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let attribute = self.attributes.iter().find(|(attribute, _)| attribute == name);
        attribute.map(|(_, value)| value.as_ref())
    }

    /// Returns fields that hold a channel and nothing else; both parties are withheld.
    pub fn unknown(channel: Channel) -> Fields<'static> {
        Fields {
            channel,
            call_id: None,
            event_timestamp_ms: None,
            agent: None,
            agent_version: None,
            from: Party::Withheld,
            to: Party::Withheld,
            number_id: None,
            attributes: Vec::new(),
            sip: Vec::new(),
            readings: ReadingCounts::default(),
        }
    }
}

/// Returns whether two names of SIP headers in lower case differ in a leading `x-` alone.
pub(super) fn is_other_spelling(name: &str, other: &str) -> bool {
    name.strip_prefix("x-") == Some(other) || other.strip_prefix("x-") == Some(name)
}

/// A call to decide. Only a dialect creates one from a [`Verified`] request; the exception,
/// [`Call::synthetic`], is for explanations, tests and replays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call<'a> {
    fields: Fields<'a>,
    platform: Platform,
    source: Cow<'a, str>,
}

impl<'a> Call<'a> {
    /// Creates the call of an authenticated request. The request supplies only the source's name; its
    /// type proves that authentication succeeded.
    pub fn from_verified(
        request: &'a Verified,
        platform: Platform,
        fields: Fields<'a>,
    ) -> Call<'a> {
        Call { fields, platform, source: Cow::Borrowed(request.source()) }
    }

    /// Creates a call that did not arrive in a request, for explanations, tests and replays. No reply is
    /// ever sent for it.
    pub fn synthetic(source: &'a str, platform: Platform, fields: Fields<'a>) -> Call<'a> {
        Call { fields, platform, source: Cow::Borrowed(source) }
    }

    /// Returns the fields, dropping the source and the platform.
    pub fn into_fields(self) -> Fields<'a> {
        self.fields
    }

    /// Returns the name of the source in the settings.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns the platform that sent the request.
    pub fn platform(&self) -> Platform {
        self.platform
    }

    /// Returns the channel.
    pub fn channel(&self) -> Channel {
        self.fields.channel
    }

    /// Returns the caller.
    pub fn from(&self) -> &Party {
        &self.fields.from
    }

    /// Returns the called number.
    pub fn to(&self) -> &Party {
        &self.fields.to
    }

    /// Returns the platform's id for this call or chat.
    pub fn call_id(&self) -> Option<&str> {
        self.fields.call_id.as_deref()
    }

    /// Returns the platform's timestamp of the event, in Unix milliseconds.
    pub fn event_timestamp_ms(&self) -> Option<i64> {
        self.fields.event_timestamp_ms
    }

    /// Returns the agent that the platform has assigned to the number.
    pub fn agent(&self) -> Option<&str> {
        self.fields.agent.as_deref()
    }

    /// Returns the version of that agent.
    pub fn agent_version(&self) -> Option<&Version> {
        self.fields.agent_version.as_ref()
    }

    /// Returns the platform's id of the called number.
    pub fn number_id(&self) -> Option<&str> {
        self.fields.number_id.as_deref()
    }

    /// Returns the value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.fields.attribute(name)
    }

    /// Iterates over all attributes in the order in which the dialect declares them.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.fields.attributes.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// Returns the value of a SIP header: the last one if it is repeated. `name` is in lower case. Platforms pass on
    /// `X-Tier` with or without its `X-`, so the other spelling counts if there is no header of that name.
    pub fn sip_header(&self, name: &str) -> Option<&str> {
        let last = |is_meant: &dyn Fn(&str) -> bool| {
            let header = self.fields.sip.iter().rev().find(|(header, _)| is_meant(header));
            header.map(|(_, value)| value.as_ref())
        };
        last(&|header| header == name).or_else(|| last(&|header| is_other_spelling(header, name)))
    }

    /// Iterates over all SIP headers in the order of arrival.
    pub fn sip_headers(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.fields.sip.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// Returns whether the call can be told from another one that arrives within the same minute: by its
    /// id, its timestamp or its caller. Otherwise, a repeated delivery looks like another call.
    pub fn is_distinguishable(&self) -> bool {
        let is_withheld = self.fields.from == Party::Withheld;
        self.fields.call_id.is_some() || self.fields.event_timestamp_ms.is_some() || !is_withheld
    }

    /// Returns how many numbers of parties were not read as they were sent.
    pub fn readings(&self) -> ReadingCounts {
        self.fields.readings
    }
}
