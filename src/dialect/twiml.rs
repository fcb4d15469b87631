//! TwiML and TeXML: forms in requests and XML in replies, which Twilio and Telnyx share.

mod endpoint;
mod events;
mod fields;
mod replies;
mod requests;
mod sip_headers;
mod xml;

pub(super) use fields::{FROM, TO};
pub(super) use replies::{BUSY, NOTHING, render};
pub(super) use requests::{attribute_names, encode, parse};

use std::borrow::Cow;

use crate::domain::form::Form;
use crate::domain::json;

/// Media type of replies.
pub(super) const XML: &str = "text/xml; charset=utf-8";
/// Media type of requests.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// Fields of events that are not stored: the text of a message, and a token with which calls can be made.
const NOT_STORED: [&str; 2] = ["Body", "CallToken"];

/// Checks the id of an agent.
///
/// # Errors
/// Returns the reason why the text is no id, as a clause about it.
pub(super) fn check_agent_id(id: &str, has_assistants: bool) -> Result<(), String> {
    endpoint::Endpoint::parse(id, has_assistants).map(drop)
}

/// Returns the form of the ids of agents, in words.
pub(super) fn agent_id_form(has_assistants: bool) -> &'static str {
    if has_assistants { endpoint::FORM_WITH_ASSISTANTS } else { endpoint::FORM }
}

/// Returns a form as a JSON object, for records: its numbers are readable, so that they can be redacted. JSON is
/// returned as it is.
pub(super) fn redact_body(content: &[u8]) -> Cow<'_, [u8]> {
    if json::object(content).is_ok() {
        return Cow::Borrowed(content);
    }
    Cow::Owned(json::to_vec(&Form::parse(content).to_object(&NOT_STORED)))
}
