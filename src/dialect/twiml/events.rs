//! Status callbacks of Twilio and of Telnyx's TeXML, as events.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::fields::{CALL_ID, FROM, TO, first_text, message_id};
use crate::domain::call::Channel;
use crate::domain::event::Event;
use crate::domain::form::Form;
use crate::domain::party::NumberFormat;

/// Fields that only callbacks about a call have, with the kinds of their events. The value is the status.
const CALLBACKS: [(&str, &str); 4] = [
    ("StreamEvent", "stream_status"),
    ("TranscriptionEvent", "transcription_status"),
    ("TranscriptionStatus", "transcription_status"),
    // A conference has no status of a call.
    ("StatusCallbackEvent", "conference_status"),
];

/// Kind of an event of which nothing else is known.
const UNKNOWN: &str = "callback";

/// Status of a call that waits for an answer.
const RINGING: &str = "ringing";
/// Status of a message that has arrived.
const RECEIVED: &str = "received";

/// Statuses with which a call ends.
const ENDED: [&str; 5] = ["completed", "busy", "failed", "no-answer", "canceled"];

/// Parses an event. Returns `None` for a request that needs a decision: only a request that is clearly about
/// something that has happened is an event, because the acknowledgement of an event ends a call.
pub(super) fn parse<'a>(
    form: &Form<'a>,
    channel: Channel,
    numbers: &NumberFormat,
) -> Option<Event<'a>> {
    match channel {
        Channel::Sms => parse_message(form, numbers),
        Channel::Call => parse_call(form, numbers),
    }
}

/// Returns an event about which nothing is known but its call, for a request on the path of events that is no new
/// call or message. `None` for one that is.
pub(super) fn parse_unknown<'a>(
    form: &Form<'a>,
    channel: Channel,
    numbers: &NumberFormat,
) -> Option<Event<'a>> {
    let (call_id, status, new) = match channel {
        Channel::Call => (form.text(CALL_ID), form.text("CallStatus"), RINGING),
        Channel::Sms => {
            let status = form.text("SmsStatus").or_else(|| form.text("MessageStatus"));
            (message_id(form), status, RECEIVED)
        }
    };
    if status.as_deref() == Some(new) {
        return None;
    }
    Some(Event {
        channel: Some(channel),
        call_id,
        event_timestamp_ms: timestamp_ms(form),
        known: false,
        ..with_status(UNKNOWN, status.unwrap_or_default(), form, numbers)
    })
}

/// Parses the status of a message that was sent. A message that arrives has the status `received`.
fn parse_message<'a>(form: &Form<'a>, numbers: &NumberFormat) -> Option<Event<'a>> {
    let status = form.text("MessageStatus").filter(|status| status != RECEIVED)?;
    Some(Event {
        channel: Some(Channel::Sms),
        call_id: message_id(form),
        direction: Some(Cow::Borrowed("outbound")),
        end_reason: form.text("ErrorCode"),
        ..with_status("message_status", status, form, numbers)
    })
}

fn parse_call<'a>(form: &Form<'a>, numbers: &NumberFormat) -> Option<Event<'a>> {
    let (kind, status) = kind_and_status(form)?;
    let ended = ENDED.contains(&&*status);
    let event_timestamp_ms = timestamp_ms(form);
    let end_ms = time_ms(form, "EndTime").or(event_timestamp_ms.filter(|_| ended));
    let seconds = ["CallDuration", "SessionDuration", "DialCallDuration", "RecordingDuration"];
    let seconds = seconds.iter().find_map(|name| form.integer(name));
    let duration_ms = seconds.filter(|seconds| *seconds >= 0).and_then(|it| it.checked_mul(1_000));
    let start_ms = end_ms.zip(duration_ms).and_then(|(end, long)| end.checked_sub(long));
    let sip_code = form.text("SipResponseCode").filter(|code| code != "200");
    let end_reason = form.text("HangupCause").or_else(|| form.text("ErrorCode"));
    Some(Event {
        channel: Some(Channel::Call),
        call_id: form.text(CALL_ID),
        event_timestamp_ms,
        direction: form.text("Direction").map(direction),
        start_ms: time_ms(form, "StartTime").or(start_ms),
        end_ms,
        duration_ms,
        end_reason: end_reason.or_else(|| Some(format!("sip {}", sip_code?).into())),
        voicemail: form.text("AnsweredBy").and_then(|who| voicemail(&who)),
        recording_url: form.text("RecordingUrl"),
        ..with_status(kind, status, form, numbers)
    })
}

/// Returns the kind of an event about a call, and its status.
fn kind_and_status<'a>(form: &Form<'a>) -> Option<(&'static str, Cow<'a, str>)> {
    let call_status = form.text("CallStatus");
    // The action of `<Connect>` and of `<Dial>`, and the callback of `<Record>`.
    for (field, kind) in [
        ("SessionStatus", "connect_done"),
        ("DialCallStatus", "dial_done"),
        ("RecordingStatus", "recording_status"),
    ] {
        // Telnyx adds the status of a dialled call to that of the call itself.
        if let Some(status) = form.text(field).filter(|_| !form.has("CallbackSource")) {
            return Some((kind, status));
        }
    }
    if form.has("SessionId") && form.has("SessionDuration") {
        return Some(("connect_done", call_status.unwrap_or_default()));
    }
    let Some(call_status) = call_status else { return without_call_status(form) };
    // Telnyx has a status of its own for a call that has been answered.
    let is_past = ENDED.contains(&&*call_status) || call_status == "answered";
    let is_callback = form.has("CallbackSource");
    let status = Some(call_status).filter(|_| is_callback || is_past)?;
    Some(("call_status", status))
}

/// Returns the kind and the status of a callback that has no status of the call: that of a stream, a transcription or a
/// conference, or what answered the call.
fn without_call_status<'a>(form: &Form<'a>) -> Option<(&'static str, Cow<'a, str>)> {
    let callbacks = CALLBACKS.iter().map(|(field, kind)| (*kind, form.text(field)));
    let answered_by = ("answered_by", form.text("AnsweredBy"));
    let found = callbacks.chain([answered_by]).find_map(|(kind, status)| Some((kind, status?)));
    found.or_else(|| form.has("ConferenceSid").then(|| ("conference_status", Cow::default())))
}

fn with_status<'a>(
    kind: &'static str,
    status: Cow<'a, str>,
    form: &Form<'a>,
    numbers: &NumberFormat,
) -> Event<'a> {
    let party = |names| first_text(form, names).map(|text| numbers.parse(Some(&text)).party);
    let part = match form.text("SequenceNumber") {
        // A conference, a stream and a transcription report the same status several times.
        Some(number) if !form.has("CallStatus") => format!("{status} {number}").into(),
        Some(_) | None => status.clone(),
    };
    Event {
        part: Some(part),
        from: party([FROM, "Caller"]),
        to: party([TO, "Called"]),
        status: Some(status),
        ..Event::new(kind, true)
    }
}

/// Returns `outbound` for `outbound-api` and `outbound-dial`.
fn direction(direction: Cow<'_, str>) -> Cow<'_, str> {
    match direction.starts_with("outbound") {
        true => Cow::Borrowed("outbound"),
        false => direction,
    }
}

/// Returns whether voicemail answered; `None` if the platform could not tell.
fn voicemail(answered_by: &str) -> Option<bool> {
    match answered_by {
        "human" => Some(false),
        machine if machine.starts_with("machine") => Some(true),
        // A fax, or `unknown`.
        _ => None,
    }
}

/// Returns the time of an event, in Unix milliseconds.
pub(super) fn timestamp_ms(form: &Form<'_>) -> Option<i64> {
    time_ms(form, "Timestamp")
}

/// Parses a time: `Mon, 16 Aug 2010 03:45:01 +0000` (Twilio), `2024-01-15T10:30:00Z` or `2021-04-28
/// 21:51:18.731479Z` (Telnyx).
fn time_ms(form: &Form<'_>, name: &str) -> Option<i64> {
    let text = form.text(name)?;
    let iso = text.parse::<Timestamp>().ok();
    let at = iso.or_else(|| Some(rfc2822::parse(&text).ok()?.timestamp()))?;
    Some(at.as_millisecond())
}
