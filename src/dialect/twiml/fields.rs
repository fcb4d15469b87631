//! Fields that requests and status callbacks have in common.

use std::borrow::Cow;

use crate::domain::form::Form;

/// Field of the caller.
pub(super) const FROM: &str = "From";
/// Field of the called number.
pub(super) const TO: &str = "To";

/// Fields that name a message.
pub(super) const MESSAGE_IDS: [&str; 3] = ["MessageSid", "SmsMessageSid", "SmsSid"];
/// Field of the id of a call.
pub(super) const CALL_ID: &str = "CallSid";

/// Returns the id of a message.
pub(super) fn message_id<'a>(form: &Form<'a>) -> Option<Cow<'a, str>> {
    MESSAGE_IDS.iter().find_map(|name| form.text(name))
}

/// Returns the text in the first of these fields that has one.
pub(super) fn first_text<'a>(form: &Form<'a>, names: [&str; 2]) -> Option<Cow<'a, str>> {
    names.iter().find_map(|name| form.text(name))
}
