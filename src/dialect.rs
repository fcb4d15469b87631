//! Dialects: each platform's request and reply formats, one file per platform.
//!
//! Pure. No other module names a field of a platform. [`Dialect::render`] cannot fail.

mod elevenlabs;
pub mod generic;
mod openai;
mod pipecat;
mod retell;
mod synthflow;
mod telnyx;
mod telnyx_call_control;
mod texml;
mod twilio;
mod twiml;
mod vapi;

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::authenticate::{Scheme, Verified};
use crate::domain::agent_id;
use crate::domain::call::{Call, Channel, Fields, Platform};
use crate::domain::capabilities::{
    Capabilities, CarriedAdditions, Profile, Timing, VariableLimits,
};
use crate::domain::decision::{Decision, LeftOut, LeftOutReason, SelectedAgent, Variable};
use crate::domain::effect::{Effect, PlatformApi};
use crate::domain::json;
use crate::domain::json::InvalidJson;
use crate::domain::party::{NumberFormat, Party};
use crate::domain::transfer::TransferTarget;

pub use crate::domain::event::Event;
pub use generic::GenericDialect;

/// All supported platforms. A new platform is one file, one entry in this list, and its fixtures.
pub const ALL: [&dyn Dialect; 11] = [
    &retell::Retell,
    &synthflow::Synthflow,
    &vapi::Vapi,
    &elevenlabs::ElevenLabs,
    &telnyx::Telnyx,
    &telnyx_call_control::TelnyxCallControl,
    &openai::REALTIME,
    &openai::LIVE,
    &pipecat::Pipecat,
    &texml::TEXML,
    &twilio::TWILIO,
];

/// Maximum size of a reply's metadata, in bytes (Retell documents "50 kB at most").
pub const METADATA_BYTES: usize = 50_000;

/// Metadata key under which a reply carries the id of its record; the platform returns it with events
/// ([`Event::record_id`]).
pub const RECORD_ID_KEY: &str = "switchboard_id";

/// A platform's request and reply format.
///
/// ```
/// use switchboard::dialect;
/// use switchboard::domain::call::Channel;
///
/// let retell = dialect::by_name("retell").unwrap();
/// assert_eq!(retell.channels(), [Channel::Call, Channel::Sms]);
/// assert_eq!(retell.default_reply(Channel::Call), r#"{"call_inbound":{}}"#);
/// ```
pub trait Dialect: Send + Sync {
    /// Returns the platform with its constant properties.
    fn profile(&self) -> &Profile;

    /// Returns the platform, by its name in settings and rules.
    fn platform(&self) -> Platform {
        self.profile().platform
    }

    /// Returns what the platform's replies can express.
    fn capabilities(&self) -> &Capabilities {
        &self.profile().capabilities
    }

    /// Returns the times that the platform keeps.
    fn timing(&self) -> &Timing {
        &self.profile().timing
    }

    /// Returns the platform's signature scheme, which the settings of a source can replace.
    fn scheme(&self) -> Arc<dyn Scheme>;

    /// Returns the signature scheme of events, if the platform signs them in another way than requests about
    /// calls. Their keys are the source's `events_secrets`.
    fn events_scheme(&self) -> Option<Arc<dyn Scheme>> {
        None
    }

    /// Parses the body of an authenticated request.
    ///
    /// # Errors
    /// Fails if this platform does not send such a body.
    fn parse<'a>(
        &self,
        request: &'a Verified,
        numbers: &NumberFormat,
    ) -> Result<Incoming<'a>, ParseError>;

    /// Renders the reply to a request. A decision that the platform cannot express becomes *keep*.
    fn render(&self, context: &RenderContext<'_>, decision: &Decision<'_>) -> Reply;

    /// Returns the requests to the platform's API that carry out a decision, where the reply cannot.
    fn effects(&self, _: &RenderContext<'_>, _: &Decision<'_>) -> Vec<Effect> {
        Vec::new()
    }

    /// Returns the attributes of a call without which its effects cannot be built.
    fn attributes_of_effects(&self) -> &'static [&'static str] {
        &[]
    }

    /// Returns the platform's API, if decisions are carried out by requests to it. Sources then need an
    /// `api_key`.
    fn api(&self) -> Option<&'static PlatformApi> {
        None
    }

    /// Returns the constant reply that leaves the call to the platform's own agent: for probes, and for
    /// a request whose fallback failed too.
    fn default_reply(&self, channel: Channel) -> &str;

    /// Returns the media type of the body of every request.
    fn request_content_type(&self) -> &'static str {
        "application/json"
    }

    /// Returns whether a GET request with a query is a call or an event, whose fields are in the query. The
    /// platform lets its users choose the method.
    fn accepts_get(&self) -> bool {
        false
    }

    /// Returns whether an encoded request is the query of a GET request, and not the body of a POST request.
    fn sends_query(&self) -> bool {
        false
    }

    /// Returns the media type of every reply.
    fn content_type(&self) -> &'static str {
        "application/json"
    }

    /// Returns the reply to an event that has been stored.
    fn acknowledgement(&self) -> &'static str {
        "{}"
    }

    /// Returns the part of a request that has its fields: the body, or the query of a GET request.
    fn content<'r>(&self, request: &'r Verified) -> &'r [u8] {
        request.content()
    }

    /// Returns which values of an event are never recorded, neither in its body nor in its columns: the
    /// operator's credentials, and recordings. `None` if all are.
    fn unrecorded(&self) -> Option<json::IsRemoved> {
        None
    }

    /// Returns the body of an event for records: as JSON, without the values that [`Dialect::unrecorded`] names.
    /// `body` is the query of a GET request.
    fn redact_body<'b>(&self, body: &'b [u8]) -> Cow<'b, [u8]> {
        match self.unrecorded() {
            Some(is_removed) => json::without_values(body, is_removed),
            None => Cow::Borrowed(body),
        }
    }

    /// Returns the places of transcripts in the bodies of events, as JSON pointers.
    fn transcript_places(&self) -> &'static [&'static str] {
        &[]
    }

    /// Returns the channels on which the platform sends requests.
    fn channels(&self) -> &'static [Channel];

    /// Returns which of the additions that replies carry beside an agent they carry beside the one with this id.
    fn carried_with(&self, _id: &str, carried: CarriedAdditions) -> CarriedAdditions {
        carried
    }

    /// Returns whether the platform accepts a variable of this name.
    fn accepts_variable_name(&self, name: &str) -> bool {
        !self.capabilities().variable_limits.reserves(name)
    }

    /// Returns whether a reply that transfers a call to this target carries SIP headers.
    fn carries_headers_to(&self, _: &TransferTarget) -> bool {
        self.capabilities().transfer.has_sip_headers()
    }

    /// Returns whether requests about calls can have the caller's number.
    fn sends_caller(&self) -> bool {
        true
    }

    /// Returns whether requests about calls can have the called number.
    fn sends_called_number(&self) -> bool {
        true
    }

    /// Returns whether requests about calls can have SIP headers of the call.
    fn sends_sip_headers(&self) -> bool {
        false
    }

    /// Returns whether requests about calls can have the platform's id of the called number, `number_id`.
    fn sends_number_id(&self) -> bool {
        false
    }

    /// Returns the names of the attributes that requests about calls can have: `attr.NAME` in rules.
    fn attributes(&self) -> Vec<&str> {
        Vec::new()
    }

    /// Returns the platform's own fields for the caller and the called number, or `None` if no SIP header
    /// can name them instead.
    fn party_fields(&self) -> Option<[&'static str; 2]> {
        None
    }

    /// Returns what every id of an agent begins with, if the platform says so.
    fn agent_id_prefix(&self) -> Option<&'static str> {
        None
    }

    /// Checks the id of an agent that a table gives for this platform. Platforms with several kinds of agents
    /// accept their forms beside plain ids: `squad:ID`, or a URI.
    ///
    /// # Errors
    /// Returns the reason why the platform cannot know such an id, as a clause: `it contains a space`.
    fn check_agent_id(&self, id: &str) -> Result<(), String> {
        agent_id::check_plain(id)
    }

    /// Returns the keys of the sessions that the platform receives with each call in place of an agent's id;
    /// `None` for a platform whose agents have ids.
    fn session_keys(&self) -> Option<&'static [SessionKey]> {
        None
    }

    /// Returns the form of the ids that [`Dialect::check_agent_id`] accepts, in words.
    fn agent_id_form(&self) -> &'static str {
        agent_id::PLAIN_FORM
    }

    /// Encodes the body that the platform would send for this call, or its query ([`Dialect::sends_query`]), for
    /// `send` and for tests.
    fn encode_request(&self, call: &Fields<'_>) -> Vec<u8>;
}

/// A key of a session that a rule table is checked for. Sessions may have further keys.
pub struct SessionKey {
    /// Names on the way to the value: `audio.output.voice`.
    pub path: &'static str,
    /// Which sessions have it.
    pub presence: Presence,
    /// Returns whether a value has the right form.
    pub accepts: fn(&Value) -> bool,
    /// Advice on the right form.
    pub form: &'static str,
}

/// Which sessions have a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// All.
    Required,
    /// Some.
    Optional,
    /// None: the platform refuses it.
    Refused,
}

impl SessionKey {
    const fn optional(
        path: &'static str,
        accepts: fn(&Value) -> bool,
        form: &'static str,
    ) -> SessionKey {
        SessionKey { path, presence: Presence::Optional, accepts, form }
    }

    const fn refused(path: &'static str, form: &'static str) -> SessionKey {
        SessionKey { path, presence: Presence::Refused, accepts: |_| false, form }
    }

    /// Returns the names on the way to the value.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.path.split('.')
    }
}

/// Circumstances of a reply besides the decision.
#[derive(Clone, Copy)]
pub struct RenderContext<'r> {
    /// Channel of the request.
    pub channel: Channel,
    /// The call; `None` if its request could not be parsed.
    pub call: Option<&'r Call<'r>>,
    /// Agent that answers where the decision is *keep* and the platform has no agent of its own: the source's
    /// fallback agent.
    pub stand_in: Option<&'r SelectedAgent<'r>>,
    /// URL to which the platform can send events of the call, if it is known and contains no secret.
    pub events_url: Option<&'r str>,
}

impl<'r> RenderContext<'r> {
    /// Returns a context without a call and without a fallback agent.
    pub fn of_channel(channel: Channel) -> RenderContext<'r> {
        RenderContext { channel, call: None, stand_in: None, events_url: None }
    }
}

/// Dialect of a source: a built-in one, or one that the settings declare.
#[derive(Clone)]
pub enum DialectRef {
    /// One of [`ALL`].
    BuiltIn(&'static dyn Dialect),
    /// Declared in the settings, or by a file of `config/platforms/`.
    Declared(Arc<GenericDialect>),
}

impl Deref for DialectRef {
    type Target = dyn Dialect;

    fn deref(&self) -> &(dyn Dialect + 'static) {
        match self {
            DialectRef::BuiltIn(dialect) => *dialect,
            DialectRef::Declared(dialect) => &**dialect,
        }
    }
}

impl From<&'static dyn Dialect> for DialectRef {
    fn from(dialect: &'static dyn Dialect) -> DialectRef {
        DialectRef::BuiltIn(dialect)
    }
}

/// Dialects by the names of their platforms: the built-in ones, and those that are declared.
#[derive(Clone)]
pub struct Dialects(Vec<DialectRef>);

impl Default for Dialects {
    fn default() -> Dialects {
        Dialects(ALL.map(DialectRef::BuiltIn).into())
    }
}

impl Dialects {
    /// Adds a declared platform, in place of an earlier one with its name.
    pub fn declare(&mut self, dialect: GenericDialect) {
        let platform = dialect.platform();
        self.0.retain(|known| known.platform() != platform);
        self.0.push(DialectRef::Declared(Arc::new(dialect)));
    }

    /// Returns the dialect of the platform with this name.
    pub fn by_name(&self, name: &str) -> Option<&DialectRef> {
        self.0.iter().find(|dialect| dialect.platform().as_str() == name)
    }

    /// Iterates over all dialects: those that are built in first.
    pub fn iter(&self) -> impl Iterator<Item = &DialectRef> + Clone {
        self.0.iter()
    }

    /// Iterates over the names of all platforms.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.0.iter().map(|dialect| dialect.platform().as_str())
    }
}

/// Lists the names of the platforms.
impl fmt::Debug for Dialects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// Returns the built-in dialect of the platform with this name.
pub fn by_name(name: &str) -> Option<&'static dyn Dialect> {
    ALL.into_iter().find(|dialect| dialect.platform().as_str() == name)
}

/// Content of an authenticated request.
#[derive(Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a box would cost an allocation for each call")]
pub enum Incoming<'a> {
    /// A call or text message that needs a decision.
    Inbound(Call<'a>),
    /// An event of a call that was answered earlier.
    Event(Box<Event<'a>>),
    /// A probe, which the platform sends when an operator saves the URL.
    Probe,
}

/// Reason for which an authenticated body cannot be parsed. Contains nothing of the body's content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not a JSON object.
    #[error(transparent)]
    Json(#[from] InvalidJson),
    /// The key that identifies the kind of request is missing.
    #[error("the body has no `{0}`")]
    Missing(&'static str),
}

/// Body of a reply in the platform's format. Only a dialect creates one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    body: Vec<u8>,
    left_out: Vec<LeftOut>,
}

impl Reply {
    fn new(body: Vec<u8>) -> Reply {
        Reply { body, left_out: Vec::new() }
    }

    /// Returns the body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the body, to be sent.
    pub fn into_body(self) -> Bytes {
        self.body.into()
    }

    /// Returns what the dialect left out of the decision because the platform does not accept it.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }
}

/// Removes from the fields of a call what requests of this platform never have. Returns the names of what it removed,
/// as rules have them.
pub fn remove_unsent(dialect: &dyn Dialect, fields: &mut Fields<'_>) -> Vec<String> {
    let mut removed = Vec::new();
    for (name, is_sent, party) in [
        ("from", dialect.sends_caller(), &mut fields.from),
        ("to", dialect.sends_called_number(), &mut fields.to),
    ] {
        if !is_sent && *party != Party::Withheld {
            *party = Party::Withheld;
            removed.push(name.to_owned());
        }
    }
    if !dialect.sends_number_id() && fields.number_id.take().is_some() {
        removed.push("number_id".to_owned());
    }
    if !dialect.sends_sip_headers() {
        removed.extend(fields.sip.drain(..).map(|(name, _)| format!("sip.{name}")));
    }
    let sent = dialect.attributes();
    fields.attributes.retain(|(name, _)| {
        let is_sent = sent.contains(&&**name);
        if !is_sent {
            removed.push(format!("attr.{name}"));
        }
        is_sent
    });
    removed
}

/// Splits variables into those that the platform accepts and those that a reply leaves out.
fn accepted_variables<'d, 't>(
    variables: &'d [Variable<'t>],
    limits: &VariableLimits,
) -> (Cow<'d, [Variable<'t>]>, Vec<LeftOut>) {
    let is_accepted = |variable: &&Variable<'_>| {
        !limits.reserves(variable.name) && !limits.is_too_long(&variable.value)
    };
    let count = limits.count.unwrap_or(usize::MAX);
    if variables.len() <= count && variables.iter().all(|variable| is_accepted(&variable)) {
        return (Cow::Borrowed(variables), Vec::new());
    }
    let (mut accepted, mut left_out) = (Vec::new(), Vec::new());
    for variable in variables {
        match is_accepted(&variable) && accepted.len() < count {
            true => accepted.push(variable.clone()),
            false => left_out.push(not_accepted(format!("variables.{}", variable.name))),
        }
    }
    (Cow::Owned(accepted), left_out)
}

/// Returns the values of a table for which a reply has no place.
fn none_accepted<'a>(
    key: &'a str,
    values: &'a [Variable<'_>],
) -> impl Iterator<Item = LeftOut> + use<'a> {
    values.iter().map(move |value| not_accepted(format!("{key}.{}", value.name)))
}

/// Returns a part of a reply that the platform does not accept.
fn not_accepted(name: String) -> LeftOut {
    LeftOut { name, reason: LeftOutReason::PlatformLimit }
}

/// Returns the attributes of a call that are known.
fn known_attributes<'a, const N: usize>(
    names: [&'static str; N],
    values: [Option<Cow<'a, str>>; N],
) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    names.into_iter().zip(values).filter_map(|(name, value)| Some((name.into(), value?))).collect()
}

/// Returns a party as platforms write it in a request; a withheld caller is `anonymous`.
fn wire_number(party: &Party) -> Cow<'_, str> {
    match party {
        Party::Withheld => Cow::Borrowed("anonymous"),
        Party::Number(_) | Party::Literal(_) => party.unmasked(),
    }
}
