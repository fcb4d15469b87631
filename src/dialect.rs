//! What a platform says and wants to hear: a proved body in, a reply out. One file a platform.
//!
//! Pure. Nothing outside this room names a platform's field. [`Dialect::render`] cannot fail.

mod json;
mod retell;
mod synthflow;

use std::borrow::Cow;

use bytes::Bytes;

use crate::authenticate::{Scheme, Verified};
use crate::domain::call::{Call, Channel, Fields, Platform};
use crate::domain::decision::Decision;
use crate::domain::phone_number::Party;

pub use crate::domain::event::Event;

/// Every platform that Switchboard speaks with. A new one is a file, a line here, its fixtures.
pub const ALL: [&dyn Dialect; 2] = [&retell::Retell, &synthflow::Synthflow];

/// The most metadata that a reply may carry, in bytes (Retell: "50 kB at most").
pub const METADATA_BYTES: usize = 50_000;

/// The key in a call's metadata under which our own id of the call goes out, to come back on its
/// events ([`Event::stamp`]).
pub const STAMP: &str = "switchboard_id";

/// One platform's way of asking, and of being answered.
pub trait Dialect: Send + Sync {
    /// Its name in settings and rules.
    fn platform(&self) -> Platform;

    /// How it signs.
    fn scheme(&self) -> &'static dyn Scheme;

    /// Reads a proved body.
    ///
    /// # Errors
    /// When the body is not one that this platform sends.
    fn parse<'a>(&self, request: &'a Verified) -> Result<Incoming<'a>, ParseError>;

    /// Writes the reply that the platform acts on. `channel` is the one that it asked on.
    fn render(&self, channel: Channel, decision: &Decision<'_>) -> Reply;

    /// The reply that leaves the call to the platform's own agent, in bytes that need no making: for
    /// probes, and for the moment when even the fallback broke.
    fn default_reply(&self, channel: Channel) -> &'static str;

    /// The channels that the platform asks on.
    fn channels(&self) -> &'static [Channel];

    /// The body with which the platform would ask about this call: for `send` and for tests.
    fn encode_request(&self, call: &Fields<'_>) -> Vec<u8>;
}

/// The dialect of the platform with this name.
pub fn named(name: &str) -> Option<&'static dyn Dialect> {
    ALL.into_iter().find(|dialect| dialect.platform().as_str() == name)
}

/// What a proved request wants.
#[derive(Debug, PartialEq)]
pub enum Incoming<'a> {
    /// Who takes this call?
    Inbound(Call<'a>),
    /// Something happened to a call that was answered before.
    Event(Box<Event<'a>>),
    /// Is anybody there? Sent when an operator saves the URL.
    Probe,
}

/// Why a proved body cannot be read. Names no content of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not a JSON object.
    #[error("the body is not a JSON object: {category} at line {line}, column {column}")]
    Json {
        /// What kind of mistake it is.
        category: &'static str,
        /// Counted from 1; 0 when there is none.
        line: usize,
        /// Counted from 1; 0 when there is none.
        column: usize,
    },
    /// JSON, but without the key that says what it is about.
    #[error("the body has no `{0}`")]
    Missing(&'static str),
}

/// The body of a reply, as its platform accepts it. Only a dialect makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    body: Bytes,
    left_out: bool,
}

impl Reply {
    fn new(body: Vec<u8>) -> Reply {
        Reply { body: body.into(), left_out: false }
    }

    /// The bytes to send, JSON.
    pub fn body(&self) -> Bytes {
        self.body.clone()
    }

    /// Whether the metadata was left out, for the platform takes no more than so many bytes.
    pub fn left_out_metadata(&self) -> bool {
        self.left_out
    }
}

/// A number as platforms write it in a request: a withheld caller is the word `anonymous`.
fn wire_number(party: &Party) -> Cow<'_, str> {
    match party {
        Party::Withheld => Cow::Borrowed("anonymous"),
        Party::Number(_) | Party::Literal(_) => party.unmasked(),
    }
}
