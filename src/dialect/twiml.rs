//! TwiML and TeXML: forms in requests and XML in replies, which Twilio and Telnyx share.

mod endpoint;
mod events;
mod fields;
mod replies;
mod requests;
mod sip_headers;
mod xml;

use std::borrow::Cow;
use std::sync::Arc;

use super::{Dialect, Incoming, ParseError, RenderContext, Reply};
use crate::authenticate::{Scheme, Verified};
use crate::domain::call::{Channel, Fields};
use crate::domain::capabilities::{
    Capabilities, CarriedAdditions, Profile, Reject, Transfer, VariableLimits,
};
use crate::domain::decision::Decision;
use crate::domain::form;
use crate::domain::form::Form;
use crate::domain::json;
use crate::domain::party::NumberFormat;
use crate::domain::transfer::TransferTarget;

/// A platform that speaks TwiML, or its relative TeXML.
pub(super) struct TwimlDialect {
    pub(super) profile: Profile,
    pub(super) scheme: fn() -> Arc<dyn Scheme>,
    pub(super) channels: &'static [Channel],
    /// Whether users of the platform choose the method of requests.
    pub(super) accepts_get: bool,
    /// Whether the platform has assistants of its own, beside addresses that take calls.
    pub(super) has_assistants: bool,
    /// An account id for requests that no account sends.
    pub(super) account: &'static str,
}

/// Media type of replies.
const XML: &str = "text/xml; charset=utf-8";

/// Fields of events that are not stored: the text of a message, and a token with which calls can be made.
const NOT_STORED: [&str; 2] = ["Body", "CallToken"];

/// Outcomes and additions that both platforms can express.
pub(super) const CAPABILITIES: Capabilities = Capabilities {
    agent: true,
    agent_version: false,
    keep: false,
    reject: Reject::SilentOrSpoken,
    transfer: Transfer::Possible { spoken: true, sip_headers: true },
    greeting: true,
    variables: true,
    variable_limits: VariableLimits::NONE,
    metadata: false,
    agent_override: false,
    sip_headers: true,
    keep_additions: None,
};

impl TwimlDialect {
    /// Returns a channel, if it is one of the platform's, and otherwise that of its calls.
    fn own_channel(&self, channel: Channel) -> Channel {
        if self.channels.contains(&channel) { channel } else { Channel::Call }
    }
}

impl Dialect for TwimlDialect {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn scheme(&self) -> Arc<dyn Scheme> {
        (self.scheme)()
    }

    fn parse<'a>(
        &self,
        request: &'a Verified,
        numbers: &NumberFormat,
    ) -> Result<Incoming<'a>, ParseError> {
        requests::parse(self.profile.platform, self.channels(), request, numbers)
    }

    fn render(&self, context: &RenderContext<'_>, decision: &Decision<'_>) -> Reply {
        replies::render(self.has_assistants, context, decision)
    }

    fn default_reply(&self, channel: Channel) -> &'static str {
        match self.own_channel(channel) {
            Channel::Call => replies::BUSY,
            Channel::Sms => replies::NOTHING,
        }
    }

    fn content_type(&self) -> &'static str {
        XML
    }

    fn acknowledgement(&self) -> &'static str {
        replies::NOTHING
    }

    fn request_content_type(&self) -> &'static str {
        form::MEDIA_TYPE
    }

    fn accepts_get(&self) -> bool {
        self.accepts_get
    }

    /// A form becomes a JSON object: its numbers are readable, so that they can be redacted.
    fn redact_body<'b>(&self, body: &'b [u8]) -> Cow<'b, [u8]> {
        if json::object(body).is_ok() {
            return Cow::Borrowed(body);
        }
        Cow::Owned(json::to_vec(&Form::parse(body).to_object(&NOT_STORED)))
    }

    fn channels(&self) -> &'static [Channel] {
        self.channels
    }

    fn sends_sip_headers(&self) -> bool {
        true
    }

    fn attributes(&self) -> Vec<&str> {
        requests::attribute_names()
    }

    fn party_fields(&self) -> Option<[&'static str; 2]> {
        Some([fields::FROM, fields::TO])
    }

    fn check_agent_id(&self, id: &str) -> Result<(), String> {
        endpoint::Endpoint::parse(id, self.has_assistants).map(drop)
    }

    fn agent_id_form(&self) -> &'static str {
        match self.has_assistants {
            true => endpoint::FORM_WITH_ASSISTANTS,
            false => endpoint::FORM,
        }
    }

    /// An id that is no endpoint is reported on its own.
    fn carried_with(&self, id: &str, carried: CarriedAdditions) -> CarriedAdditions {
        let Ok(endpoint) = endpoint::Endpoint::parse(id, self.has_assistants) else {
            return carried;
        };
        CarriedAdditions {
            sip_headers: carried.sip_headers && endpoint.has_sip_headers(),
            variables: carried.variables && endpoint.has_variables(),
            ..carried
        }
    }

    fn carries_headers_to(&self, target: &TransferTarget) -> bool {
        matches!(target, TransferTarget::Sip(_))
    }

    fn encode_request(&self, call: &Fields<'_>) -> Vec<u8> {
        requests::encode(call, self.own_channel(call.channel), self.account)
    }
}
