//! Telnyx TeXML: the webhook of a TeXML application, and its status callbacks.
//!
//! Sources: Telnyx's "TeXML" and "TeXML callbacks" pages. TeXML has the elements of TwiML, and `<AIAssistant>`, which
//! selects an assistant of Telnyx. It carries no variables to an assistant: these come from the webhook of
//! the assistant (platform `telnyx`).

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::{Dialect, Incoming, ParseError, RenderContext, Reply, twiml};
use crate::authenticate::{Ed25519Scheme, Scheme, Verified};
use crate::domain::call::{Channel, Fields, Platform};
use crate::domain::capabilities::{Capabilities, Reject, Timing, Transfer, VariableLimits};
use crate::domain::decision::Decision;
use crate::domain::party::NumberFormat;

/// The TeXML dialect.
pub(super) struct Texml;

const PLATFORM: Platform = Platform::new("texml");

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
    reply_within: Duration::from_secs(4),
    // A setting of the application: `first_command_timeout_secs`.
    timeout: None,
    silence: "Telnyx asks the application's failover URL; without one, the call ends",
    retry_window: Duration::from_secs(300),
};

/// An account id for requests that no account sends.
const ACCOUNT: &str = "00000000-0000-0000-0000-000000000000";

impl Dialect for Texml {
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
        Arc::new(Ed25519Scheme::telnyx())
    }

    fn parse<'a>(
        &self,
        request: &'a Verified,
        numbers: &NumberFormat,
    ) -> Result<Incoming<'a>, ParseError> {
        twiml::parse(PLATFORM, self.channels(), request, numbers)
    }

    fn render(&self, context: &RenderContext<'_>, decision: &Decision<'_>) -> Reply {
        twiml::render(true, context, decision)
    }

    fn default_reply(&self, _: Channel) -> &'static str {
        twiml::BUSY
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

    fn redact_body<'b>(&self, body: &'b [u8]) -> Cow<'b, [u8]> {
        twiml::redact_body(body)
    }

    fn channels(&self) -> &'static [Channel] {
        &[Channel::Call]
    }

    fn attributes(&self) -> Vec<&str> {
        twiml::attribute_names()
    }

    fn party_fields(&self) -> Option<[&'static str; 2]> {
        Some([twiml::FROM, twiml::TO])
    }

    fn check_agent_id(&self, id: &str) -> Result<(), String> {
        twiml::check_agent_id(id, true)
    }

    fn agent_id_form(&self) -> &'static str {
        twiml::agent_id_form(true)
    }

    fn encode_request(&self, call: &Fields<'_>) -> Vec<u8> {
        twiml::encode(call, Channel::Call, ACCOUNT)
    }
}
