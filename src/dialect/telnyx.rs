//! Telnyx AI assistants: the dynamic variables webhook, and the events of calls.
//!
//! Sources: Telnyx's "Dynamic variables" page for AI assistants, and `telnyx` 4.189.0 for the types of events.
//! A reply cannot choose the assistant, reject or transfer: it adds variables, and metadata of the
//! conversation. Variables that are not inside `dynamic_variables` are silently ignored. The event
//! `call.initiated` of Call Control is not such a request: it is answered by commands, not by its reply.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Dialect, Event, Incoming, ParseError, RECORD_ID_KEY, RenderContext, Reply, accepted_variables,
    known_attributes, not_accepted, wire_number,
};
use crate::authenticate::{Ed25519Scheme, Scheme, Verified};
use crate::domain::call::{Call, Channel, Fields, Platform};
use crate::domain::capabilities::{
    Capabilities, Profile, Reject, Timing, Transfer, VariableLimits,
};
use crate::domain::decision::{Decision, LeftOut, Object};
use crate::domain::json;
use crate::domain::json::JsonObject;
use crate::domain::party::NumberFormat;

/// The dialect of Telnyx AI assistants.
pub(super) struct Telnyx;

const VARIABLES: VariableLimits = VariableLimits { reserved: &["telnyx_"], ..VariableLimits::NONE };

const PROFILE: Profile = Profile {
    platform: Platform::new("telnyx"),
    capabilities: Capabilities {
        agent: false,
        agent_version: false,
        keep: true,
        reject: Reject::Impossible,
        transfer: Transfer::Impossible,
        greeting: false,
        variables: true,
        variable_limits: VARIABLES,
        metadata: true,
        agent_override: false,
        sip_headers: false,
        keep_additions: None,
    },
    timing: Timing {
        reply_within: Duration::from_secs(1),
        timeout: Some(Duration::from_millis(1_500)),
        silence: "the assistant answers with the default values of its variables",
        retry_window: Duration::from_secs(300),
    },
};

const INITIALIZATION: &str = "assistant.initialization";
const FROM: &str = "telnyx_end_user_target";
const TO: &str = "telnyx_agent_target";
const CHANNEL: &str = "telnyx_conversation_channel";
const VERIFIED: &str = "telnyx_end_user_target_verified";
/// Attributes of a call, in the order in which they are read.
const ATTRIBUTES: [&str; 2] = ["conversation_channel", "verified"];

/// The events of calls that Telnyx documents for assistants and for Call Control.
const EVENTS: [&str; 15] = [
    "call.analyzed",
    "call.answered",
    "call.bridged",
    "call.conversation.created",
    "call.conversation.ended",
    "call.conversation.start_failed",
    "call.conversation_insights.generated",
    "call.cost",
    "call.dtmf.received",
    "call.hangup",
    "call.hold",
    "call.initiated",
    "call.machine.detection.ended",
    "call.recording.saved",
    "call.unhold",
];

impl Dialect for Telnyx {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn scheme(&self) -> Arc<dyn Scheme> {
        Arc::new(Ed25519Scheme::telnyx())
    }

    fn parse<'a>(
        &self,
        request: &'a Verified,
        numbers: &NumberFormat,
    ) -> Result<Incoming<'a>, ParseError> {
        let body = json::object(request.body())?;
        let data = body.object("data");
        let payload = data.object("payload");
        let kind = data.word("event_type");
        let is_request = match &kind {
            Some(kind) => kind.trim().eq_ignore_ascii_case(INITIALIZATION),
            // A superfluous reply is ignored.
            None => data.has("payload"),
        };
        if is_request {
            let fields = parse_call(&data, &payload, numbers);
            return Ok(Incoming::Inbound(Call::from_verified(request, PROFILE.platform, fields)));
        }
        let kind = kind.ok_or(ParseError::Missing("data.event_type"))?;
        Ok(Incoming::Event(Box::new(parse_event(&data, &payload, kind, numbers))))
    }

    fn render(&self, _: &RenderContext<'_>, decision: &Decision<'_>) -> Reply {
        let additions = decision.additions();
        let (variables, mut left_out) = accepted_variables(&additions.variables, &VARIABLES);
        let mut body = Object::new();
        if !variables.is_empty() {
            body.insert("dynamic_variables".to_owned(), json!(json::Variables(&variables)));
        }
        if let Some(metadata) = additions.metadata.as_deref() {
            let metadata = text_values(metadata, &mut left_out);
            body.insert("conversation".to_owned(), json!({ "metadata": metadata }));
        }
        Reply { left_out, ..Reply::new(json::to_vec(&body)) }
    }

    fn default_reply(&self, _: Channel) -> &'static str {
        "{}"
    }

    fn channels(&self) -> &'static [Channel] {
        &Channel::ALL
    }

    fn attributes(&self) -> Vec<&str> {
        ATTRIBUTES.to_vec()
    }

    fn agent_id_prefix(&self) -> Option<&'static str> {
        Some("assistant-")
    }

    fn encode_request(&self, call: &Fields<'_>) -> Vec<u8> {
        let channel = match call.channel {
            Channel::Call => "phone_call",
            Channel::Sms => "sms",
        };
        let channel = call.attribute("conversation_channel").unwrap_or(channel);
        let verified = call.attribute("verified").is_some_and(|text| text == "true");
        let mut payload = json!({
            CHANNEL: channel, TO: wire_number(&call.to), FROM: wire_number(&call.from), VERIFIED: verified,
        });
        for (key, value) in [("call_control_id", &call.call_id), ("assistant_id", &call.agent)] {
            if let Some(value) = value {
                payload[key] = json!(value);
            }
        }
        let data = json!({
            "record_type": "event", "event_type": INITIALIZATION, "payload": payload,
        });
        json::to_vec(&json!({ "data": data }))
    }
}

fn parse_call<'a>(
    data: &JsonObject<'a>,
    payload: &JsonObject<'a>,
    numbers: &NumberFormat,
) -> Fields<'a> {
    let party = |key: &str, other: &str| {
        numbers.parse(payload.non_empty_text(key).or_else(|| payload.text(other)).as_deref())
    };
    let (from, to) = (party(FROM, "from"), party(TO, "to"));
    let channel = payload.non_empty_text(CHANNEL);
    let is_message = channel.as_deref().is_some_and(|channel| channel.starts_with("sms"));
    let verified = payload.flag(VERIFIED).map(|flag| flag.to_string().into());
    Fields {
        // A conversation that is no call has the id of its event, which every retry repeats.
        call_id: payload.non_empty_text("call_control_id").or_else(|| data.non_empty_text("id")),
        agent: payload.non_empty_text("assistant_id"),
        from: from.party,
        to: to.party,
        attributes: known_attributes(ATTRIBUTES, [channel, verified]),
        readings: [from.reading, to.reading].into_iter().collect(),
        ..Fields::unknown(if is_message { Channel::Sms } else { Channel::Call })
    }
}

pub(super) fn parse_event<'a>(
    data: &JsonObject<'a>,
    payload: &JsonObject<'a>,
    kind: Cow<'a, str>,
    numbers: &NumberFormat,
) -> Event<'a> {
    let party = |key: &str| payload.text(key).map(|text| numbers.parse(Some(&text)).party);
    let start_ms = payload.time_ms("start_time");
    let occurred_ms = data.time_ms("occurred_at");
    let end_ms = payload.time_ms("end_time").or(occurred_ms.filter(|_| kind == "call.hangup"));
    let measured = payload.integer("duration_sec").and_then(|seconds| seconds.checked_mul(1_000));
    let between = || start_ms.zip(end_ms).and_then(|(start, end)| end.checked_sub(start));
    let metadata = payload.object("conversation").parsed_object("metadata");
    Event {
        channel: kind.starts_with("call.").then_some(Channel::Call),
        call_id: payload.non_empty_text("call_control_id"),
        event_id: data.non_empty_text("id"),
        event_timestamp_ms: occurred_ms,
        record_id: payload.object("conversation").object("metadata").non_empty_text(RECORD_ID_KEY),
        from: party("from"),
        to: party("to"),
        agent: payload.non_empty_text("assistant_id"),
        status: payload.non_empty_text("state").or_else(|| payload.non_empty_text("status")),
        direction: payload.non_empty_text("direction").map(direction),
        start_ms,
        end_ms,
        duration_ms: measured.or_else(between).filter(|long| *long >= 0),
        end_reason: payload
            .non_empty_text("hangup_cause")
            .or_else(|| payload.non_empty_text("reason")),
        cost: payload.number("total_cost"),
        voicemail: voicemail(&kind, payload),
        recording_url: payload.object("recording_urls").non_empty_text("mp3"),
        metadata,
        known: EVENTS.contains(&&*kind),
        ..Event::new(kind, false)
    }
}

/// Returns whether a machine answered, which `call.machine.detection.ended` says.
fn voicemail(kind: &str, payload: &JsonObject<'_>) -> Option<bool> {
    let result = payload.text("result").filter(|_| kind == "call.machine.detection.ended")?;
    match &*result {
        "machine" => Some(true),
        "human" => Some(false),
        _ => None,
    }
}

/// Returns the direction in the words of other platforms.
fn direction(word: Cow<'_, str>) -> Cow<'_, str> {
    match &*word {
        "incoming" => Cow::Borrowed("inbound"),
        "outgoing" => Cow::Borrowed("outbound"),
        _ => word,
    }
}

/// Returns the metadata of a conversation, whose values are texts. `null` is left out.
fn text_values(metadata: &Object, left_out: &mut Vec<LeftOut>) -> Object {
    let mut texts = Object::new();
    for (name, value) in metadata {
        let text = match value {
            Value::Null => {
                left_out.push(not_accepted(format!("metadata.{name}")));
                continue;
            }
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                value.to_string()
            }
        };
        texts.insert(name.clone(), text.into());
    }
    texts
}
