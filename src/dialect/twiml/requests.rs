//! Requests of Twilio and of Telnyx's TeXML: forms whose fields have the same names.
//!
//! Sources: a recorded request, Twilio's "Request parameters" and "Status callbacks" pages, and Telnyx's "TeXML
//! callbacks" pages. New fields come unannounced. The text of a message is read by nothing and stored nowhere.

use std::borrow::Cow;

use crate::authenticate::Verified;
use crate::dialect::{Incoming, ParseError};
use crate::domain::call::{Call, Channel, Fields, Platform};
use crate::domain::event::Event;
use crate::domain::form;
use crate::domain::form::Form;
use crate::domain::json;
use crate::domain::party::{NumberFormat, Party};
use crate::domain::sip_address::{FORWARDED_FROM, select_party};

use super::events;
use super::fields::{CALL_ID, FROM, MESSAGE_IDS, TO, first_text, message_id};

/// Beginning of the fields that hold SIP headers.
const SIP_HEADER: &str = "SipHeader_";
/// Fields each of which shows that a request is about a call.
const OF_A_CALL: [&str; 6] = [CALL_ID, FROM, TO, "Caller", "Called", "CallStatus"];

/// Fields that rules can compare, with the names of their attributes.
const ATTRIBUTES: [(&str, &str); 16] = [
    ("FromCity", "from_city"),
    ("FromState", "from_state"),
    ("FromZip", "from_zip"),
    ("FromCountry", "from_country"),
    ("ToCity", "to_city"),
    ("ToState", "to_state"),
    ("ToZip", "to_zip"),
    ("ToCountry", "to_country"),
    ("CallerName", "caller_name"),
    ("ForwardedFrom", FORWARDED_FROM),
    ("StirVerstat", "stir_verstat"),
    ("ShakenStirAttestation", "shaken_stir_attestation"),
    ("ParentCallSid", "parent_call_sid"),
    ("SipDomain", "sip_domain"),
    ("AccountSid", "account_sid"),
    ("ConnectionId", "connection_id"),
];
/// Attribute that says whether the caller's number is proved: `true` or `false`.
const VERIFIED: &str = "verified";

/// Parses a request. `channels` are those of the platform.
pub(super) fn parse<'a>(
    platform: Platform,
    channels: &[Channel],
    request: &'a Verified,
    numbers: &NumberFormat,
) -> Result<Incoming<'a>, ParseError> {
    // A line break behind the form is that of a file with a saved request.
    let content = request.content().trim_ascii_end();
    if content.trim_ascii().is_empty() {
        return Ok(Incoming::Probe);
    }
    // Twilio's other products send JSON.
    if let Ok(body) = json::object(content) {
        let kind = body.non_empty_text("EventType").unwrap_or(Cow::Borrowed("json"));
        return Ok(Incoming::Event(Box::new(Event::new(kind, false))));
    }
    let form = Form::parse(content);
    let has_message = channels.contains(&Channel::Sms) && message_id(&form).is_some();
    let channel = if has_message { Channel::Sms } else { Channel::Call };
    if let Some(event) = events::parse(&form, channel, numbers) {
        return Ok(Incoming::Event(Box::new(event)));
    }
    if request.is_on_events_path()
        && let Some(event) = events::parse_unknown(&form, channel, numbers)
    {
        return Ok(Incoming::Event(Box::new(event)));
    }
    if !has_message && !OF_A_CALL.iter().any(|name| form.has(name)) {
        return Err(ParseError::Missing(CALL_ID));
    }
    let fields = parse_fields(&form, channel, numbers);
    Ok(Incoming::Inbound(Call::from_verified(request, platform, fields)))
}

fn parse_fields<'a>(form: &Form<'a>, channel: Channel, numbers: &NumberFormat) -> Fields<'a> {
    let sip = form.with_prefix(SIP_HEADER);
    let sip: Vec<(Cow<'a, str>, Cow<'a, str>)> =
        sip.map(|(name, value)| (name.to_ascii_lowercase().into(), value.clone())).collect();
    let headers = || sip.iter().map(|(name, value)| (&**name, &**value));
    let own = |names| numbers.parse(first_text(form, names).as_deref());
    let from = select_party(&numbers.from, own([FROM, "Caller"]), &headers(), numbers);
    let to = select_party(&numbers.to, own([TO, "Called"]), &headers(), numbers);
    let call_id = match channel {
        Channel::Call => form.text(CALL_ID),
        Channel::Sms => message_id(form),
    };
    Fields {
        call_id,
        event_timestamp_ms: events::timestamp_ms(form),
        from: from.party,
        to: to.party,
        attributes: attributes(form),
        sip,
        readings: [from.reading, to.reading].into_iter().collect(),
        ..Fields::unknown(channel)
    }
}

/// Returns the names of the attributes that a call can have.
pub(super) fn attribute_names() -> Vec<&'static str> {
    ATTRIBUTES.iter().map(|(_, name)| *name).chain([VERIFIED]).collect()
}

fn attributes<'a>(form: &Form<'a>) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    let fields = ATTRIBUTES.into_iter();
    let sent = fields.filter_map(|(field, name)| Some((Cow::Borrowed(name), form.text(field)?)));
    let mut attributes: Vec<_> = sent.collect();
    if let Some(is_verified) = is_verified(form) {
        let value = if is_verified { "true" } else { "false" };
        attributes.push((Cow::Borrowed(VERIFIED), Cow::Borrowed(value)));
    }
    attributes
}

/// Returns whether the caller's number is proved: attestation A, and a valid signature of the carrier. `None` if
/// the platform does not say.
fn is_verified(form: &Form<'_>) -> Option<bool> {
    if let Some(verdict) = form.text("StirVerstat") {
        return Some(verdict == "TN-Validation-Passed-A");
    }
    let is_valid = json::flag(&form.text("ShakenStirValidated")?)?;
    let attestation = form.text("ShakenStirAttestation")?;
    Some(is_valid && attestation.eq_ignore_ascii_case("a"))
}

/// Encodes the form that the platform would send for this call on this channel.
pub(super) fn encode(call: &Fields<'_>, channel: Channel, account: &str) -> Vec<u8> {
    let (from, to) = (wire(&call.from), wire(&call.to));
    let mut fields: Vec<(Cow<'_, str>, &str)> = Vec::new();
    let mut put = |name: &'static str, value| fields.push((Cow::Borrowed(name), value));
    if call.attributes.iter().all(|(name, _)| name != "account_sid") {
        put("AccountSid", account);
    }
    let id_field = match channel {
        Channel::Call => CALL_ID,
        Channel::Sms => MESSAGE_IDS[0],
    };
    if let Some(id) = &call.call_id {
        put(id_field, id);
    }
    match channel {
        Channel::Call => {
            put("CallStatus", "ringing");
            put("Direction", "inbound");
            put("Called", &to);
            put("Caller", &from);
        }
        Channel::Sms => {
            put("SmsStatus", "received");
            put("Body", "");
        }
    }
    put(FROM, &from);
    put(TO, &to);
    for (name, value) in &call.attributes {
        if let Some((field, _)) = ATTRIBUTES.iter().find(|(_, attribute)| attribute == name) {
            put(field, value);
        }
    }
    let sip = call.sip.iter();
    fields.extend(sip.map(|(name, value)| (format!("{SIP_HEADER}{name}").into(), &**value)));
    form::to_vec(fields.iter().map(|(name, value)| (&**name, *value)))
}

/// Returns a party as it is written in a form; a withheld caller is a word of the keypad.
fn wire(party: &Party) -> Cow<'_, str> {
    match party {
        Party::Withheld => Cow::Borrowed("+266696687"),
        Party::Number(_) | Party::Literal(_) => party.unmasked(),
    }
}
