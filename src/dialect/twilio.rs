//! Twilio: the webhooks of a phone number for voice and for messages, and status callbacks.
//!
//! Sources: Twilio's "TwiML for Programmable Voice" and "Webhooks" pages, `twilio` 6.2.0 (npm) and 9.13.0 (PyPI).
//! Twilio has no agents of its own: an agent is an address that takes the call. Replies to messages are empty:
//! whoever answers messages does so with Twilio's API.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::{Dialect, Incoming, ParseError, RenderContext, Reply, twiml};
use crate::authenticate::{Scheme, TwilioScheme, Verified};
use crate::domain::call::{Channel, Fields, Platform};
use crate::domain::capabilities::{Capabilities, Reject, Timing, Transfer, VariableLimits};
use crate::domain::decision::Decision;
use crate::domain::party::NumberFormat;

/// The Twilio dialect.
pub(super) struct Twilio;

const PLATFORM: Platform = Platform::new("twilio");

const CAPABILITIES: Capabilities = Capabilities {
    agent: true,
    agent_version: false,
    keep: false,
    reject: Reject::SilentOrSpoken,
    transfer: Transfer::Possible { spoken: true },
    greeting: true,
    variables: Some(VariableLimits::NONE),
    metadata: false,
    agent_override: false,
    sip_headers: true,
    keep_additions: None,
};

const TIMING: Timing = Timing {
    reply_within: Duration::from_secs(8),
    timeout: Some(Duration::from_secs(15)),
    silence: "Twilio asks the number's fallback URL; without one, the caller hears an error and the call ends",
    retry_window: Duration::from_secs(300),
};

/// An account id for requests that no account sends.
const ACCOUNT: &str = "AC00000000000000000000000000000000";

impl Dialect for Twilio {
    fn platform(&self) -> Platform {
        PLATFORM
    }

    fn capabilities(&self) -> &Capabilities {
        &CAPABILITIES
    }

    fn timing(&self) -> &Timing {
        &TIMING
    }

    fn scheme(&self) -> Arc<dyn Scheme> {
        Arc::new(TwilioScheme)
    }

    fn parse<'a>(
        &self,
        request: &'a Verified,
        numbers: &NumberFormat,
    ) -> Result<Incoming<'a>, ParseError> {
        twiml::parse(PLATFORM, self.channels(), request, numbers)
    }

    fn render(&self, context: &RenderContext<'_>, decision: &Decision<'_>) -> Reply {
        twiml::render(false, context, decision)
    }

    fn default_reply(&self, channel: Channel) -> &'static str {
        match channel {
            Channel::Call => twiml::BUSY,
            Channel::Sms => twiml::NOTHING,
        }
    }

    fn content_type(&self) -> &'static str {
        twiml::XML
    }

    fn acknowledgement(&self) -> &'static str {
        twiml::NOTHING
    }

    fn request_content_type(&self) -> &'static str {
        twiml::FORM
    }

    fn accepts_get(&self) -> bool {
        true
    }

    fn redact_body<'b>(&self, body: &'b [u8]) -> Cow<'b, [u8]> {
        twiml::redact_body(body)
    }

    fn channels(&self) -> &'static [Channel] {
        &Channel::ALL
    }

    fn attributes(&self) -> Vec<&str> {
        twiml::attribute_names()
    }

    fn party_fields(&self) -> Option<[&'static str; 2]> {
        Some([twiml::FROM, twiml::TO])
    }

    fn check_agent_id(&self, id: &str) -> Result<(), String> {
        twiml::check_agent_id(id, false)
    }

    fn agent_id_form(&self) -> &'static str {
        twiml::agent_id_form(false)
    }

    fn encode_request(&self, call: &Fields<'_>) -> Vec<u8> {
        twiml::encode(call, call.channel, ACCOUNT)
    }
}
