//! Retell AI: `call_inbound` for calls, `chat_inbound` for text messages, and the call events.
//!
//! Sources: Retell's "Inbound call webhook" and "Webhook overview" pages, and `retell-sdk` 5.66.1 for
//! the types of replies and of the calls and chats in events. The request has three documented
//! generations: without versions, without text messages, and without `call_id`. All are accepted.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::json;

use super::{
    Dialect, Event, Incoming, METADATA_BYTES, ParseError, RECORD_ID_KEY, RenderContext, Reply,
    not_accepted, wire_number,
};
use crate::authenticate;
use crate::authenticate::{Scheme, Verified};
use crate::domain::call::{Call, Channel, Fields, Platform, Version};
use crate::domain::capabilities::{
    Capabilities, Profile, Reject, Timing, Transfer, VariableLimits,
};
use crate::domain::decision;
use crate::domain::decision::{Decision, Outcome, SelectedAgent};
use crate::domain::json;
use crate::domain::json::JsonObject;
use crate::domain::party::NumberFormat;
use crate::domain::sip_address::select_party;

/// The Retell dialect.
pub(super) struct Retell;

const PROFILE: Profile = Profile {
    platform: Platform::new("retell"),
    capabilities: Capabilities {
        agent: true,
        agent_version: true,
        keep: true,
        reject: Reject::Silent,
        transfer: Transfer::Impossible,
        greeting: false,
        variables: true,
        variable_limits: VariableLimits::NONE,
        metadata: true,
        agent_override: true,
        sip_headers: false,
        keep_additions: None,
    },
    timing: Timing {
        reply_within: Duration::from_secs(3),
        timeout: Some(Duration::from_secs(10)),
        silence: "the webhook is sent again up to 3 times, then the number's own agent takes the call; without one, it ends",
        retry_window: Duration::from_secs(60),
    },
};

const FROM: &str = "from_number";
const TO: &str = "to_number";

/// The call events that Retell documents.
const EVENTS: [&str; 11] = [
    "call_started",
    "call_ended",
    "call_analyzed",
    "transcript_updated",
    "transfer_started",
    "transfer_bridged",
    "transfer_cancelled",
    "transfer_ended",
    "chat_started",
    "chat_ended",
    "chat_analyzed",
];

impl Dialect for Retell {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn scheme(&self) -> Arc<dyn Scheme> {
        Arc::new(authenticate::RetellScheme)
    }

    fn parse<'a>(
        &self,
        request: &'a Verified,
        numbers: &NumberFormat,
    ) -> Result<Incoming<'a>, ParseError> {
        let body = json::object(request.body())?;
        let event = body.text("event").ok_or(ParseError::Missing("event"))?;
        // An unexpected spelling of the event must not cost a call its reply.
        let is_inbound = |channel: &Channel| {
            event.trim().eq_ignore_ascii_case(key(*channel)) || body.has(key(*channel))
        };
        let channel = Channel::ALL.into_iter().find(is_inbound);
        Ok(match channel {
            Some(channel) => Incoming::Inbound(Call::from_verified(
                request,
                PROFILE.platform,
                parse_inbound(&body, channel, numbers),
            )),
            None => Incoming::Event(Box::new(parse_event(&body, event, numbers))),
        })
    }

    fn render(&self, context: &RenderContext<'_>, decision: &Decision<'_>) -> Reply {
        let channel = context.channel;
        let reply = InboundReply { decision, metadata: decision.additions().metadata.as_deref() };
        let body = encode_reply(channel, &reply);
        // Metadata is measured on its own only if the whole reply could exceed the limit.
        let is_too_large = |object| json::to_vec(object).len() > METADATA_BYTES;
        if body.len() > METADATA_BYTES && reply.metadata.is_some_and(is_too_large) {
            let body = encode_reply(channel, &InboundReply { metadata: None, ..reply });
            let left_out = vec![not_accepted("metadata".to_owned())];
            return Reply { left_out, ..Reply::new(body) };
        }
        Reply::new(body)
    }

    fn default_reply(&self, channel: Channel) -> &'static str {
        match channel {
            Channel::Call => r#"{"call_inbound":{}}"#,
            Channel::Sms => r#"{"chat_inbound":{}}"#,
        }
    }

    fn transcript_places(&self) -> &'static [&'static str] {
        &["/call/transcript", "/chat/transcript"]
    }

    fn channels(&self) -> &'static [Channel] {
        &Channel::ALL
    }

    fn sends_sip_headers(&self) -> bool {
        true
    }

    fn party_fields(&self) -> Option<[&'static str; 2]> {
        Some([FROM, TO])
    }

    fn agent_id_prefix(&self) -> Option<&'static str> {
        Some("agent_")
    }

    fn encode_request(&self, call: &Fields<'_>) -> Vec<u8> {
        let id = match call.channel {
            Channel::Call => "call_id",
            Channel::Sms => "chat_id",
        };
        let mut inner = decision::Object::new();
        let mut put = |name: &str, value: Option<serde_json::Value>| {
            if let Some(value) = value {
                inner.insert(name.to_owned(), value);
            }
        };
        put(id, call.call_id.as_deref().map(Into::into));
        put("agent_id", call.agent.as_deref().map(Into::into));
        put(
            "agent_version",
            call.agent_version.as_ref().map(|version| json!(VersionText(version))),
        );
        put(FROM, Some(json!(wire_number(&call.from))));
        put(TO, Some(json!(wire_number(&call.to))));
        if !call.sip.is_empty() {
            let headers: decision::Object =
                call.sip.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
            put("custom_sip_headers", Some(headers.into()));
        }
        let mut body = decision::Object::new();
        body.insert("event".to_owned(), key(call.channel).into());
        if let Some(at) = call.event_timestamp_ms {
            body.insert("event_timestamp".to_owned(), at.into());
        }
        body.insert(key(call.channel).to_owned(), inner.into());
        json::to_vec(&body)
    }
}

/// Returns the name of the event, which is also the key of its fields.
fn key(channel: Channel) -> &'static str {
    match channel {
        Channel::Call => "call_inbound",
        Channel::Sms => "chat_inbound",
    }
}

fn parse_inbound<'a>(
    body: &JsonObject<'a>,
    channel: Channel,
    numbers: &NumberFormat,
) -> Fields<'a> {
    let inner = body.object(key(channel));
    let sip = inner.object("custom_sip_headers").into_texts();
    let sip: Vec<_> = sip.map(|(name, value)| (lower_case(name), value)).collect();
    let own = |key: &str| numbers.parse(inner.text(key).as_deref());
    let headers = || sip.iter().map(|(name, value)| (&**name, &**value));
    let from = select_party(&numbers.from, own(FROM), &headers(), numbers);
    let to = select_party(&numbers.to, own(TO), &headers(), numbers);
    let agent_version = match inner.integer("agent_version") {
        Some(number) if !inner.is_text("agent_version") => Some(Version::Number(number)),
        _ => inner.text("agent_version").map(|tag| Version::Tag(tag.into())),
    };
    Fields {
        channel,
        call_id: inner.non_empty_text("call_id").or_else(|| inner.non_empty_text("chat_id")),
        event_timestamp_ms: body.integer("event_timestamp"),
        agent: inner.non_empty_text("agent_id"),
        agent_version,
        from: from.party,
        to: to.party,
        number_id: None,
        attributes: Vec::new(),
        sip,
        readings: [from.reading, to.reading].into_iter().collect(),
    }
}

fn lower_case(name: Cow<'_, str>) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        name
    }
}

/// Parses the fields of an event. Calls and chats use different names for the same fields, so both names
/// are tried.
fn parse_event<'a>(body: &JsonObject<'a>, kind: Cow<'a, str>, numbers: &NumberFormat) -> Event<'a> {
    let (call, chat) = (body.object("call"), body.object("chat"));
    let (call, channel) = match (call.is_empty(), chat.is_empty()) {
        (false, _) => (call, Some(Channel::Call)),
        (true, false) => (chat, Some(Channel::Sms)),
        (true, true) => (chat, None),
    };
    let either = |call_key: &str, chat_key: &str| {
        call.non_empty_text(call_key).or_else(|| call.non_empty_text(chat_key))
    };
    let party = |key: &str| call.text(key).map(|text| numbers.parse(Some(&text)).party);
    let analysis = either_object(&call, "call_analysis", "chat_analysis");
    let analysis_text = |call_key: &str, chat_key: &str| {
        analysis.non_empty_text(call_key).or_else(|| analysis.non_empty_text(chat_key))
    };
    let (known, is_transfer) = (EVENTS.contains(&&*kind), kind.starts_with("transfer_"));
    let successful = analysis.flag("call_successful").or_else(|| analysis.flag("chat_successful"));
    Event {
        channel,
        call_id: either("call_id", "chat_id"),
        part: is_transfer.then(|| transfer_id(body, &call)),
        last_counts: kind == "transcript_updated",
        event_timestamp_ms: body.integer("event_timestamp"),
        record_id: call.object("metadata").non_empty_text(RECORD_ID_KEY),
        from: party(FROM),
        to: party(TO),
        agent: call.non_empty_text("agent_id"),
        agent_version: either("agent_version", "version"),
        status: either("call_status", "chat_status"),
        direction: call.non_empty_text("direction"),
        start_ms: call.integer("start_timestamp"),
        end_ms: call.integer("end_timestamp"),
        duration_ms: call.integer("duration_ms"),
        end_reason: call.non_empty_text("disconnection_reason"),
        cost: either_object(&call, "call_cost", "chat_cost").number("combined_cost"),
        summary: analysis_text("call_summary", "chat_summary"),
        sentiment: analysis.non_empty_text("user_sentiment").map(lower_case),
        successful,
        voicemail: analysis.flag("in_voicemail"),
        recording_url: call.non_empty_text("recording_url"),
        metadata: call.parsed_object("metadata"),
        variables: variables(&call),
        analysis: call
            .parsed_object("call_analysis")
            .or_else(|| call.parsed_object("chat_analysis")),
        ..Event::new(kind, known)
    }
}

fn either_object<'a>(call: &JsonObject<'a>, call_key: &str, chat_key: &str) -> JsonObject<'a> {
    let object = call.object(call_key);
    if object.is_empty() { call.object(chat_key) } else { object }
}

/// Returns the timestamp that distinguishes transfers of one call. Retell's documentation leaves open
/// whether it is beside the call or inside it, where it could be the call's own.
fn transfer_id<'a>(body: &JsonObject<'a>, call: &JsonObject<'a>) -> Cow<'a, str> {
    let start =
        body.non_empty_text("start_timestamp").or_else(|| call.non_empty_text("start_timestamp"));
    start.unwrap_or_default()
}

/// Returns the initial variables of the call, overwritten by those collected during the call.
fn variables(call: &JsonObject<'_>) -> Option<decision::Object> {
    let initial = call.parsed_object("retell_llm_dynamic_variables");
    match (initial, call.parsed_object("collected_dynamic_variables")) {
        (Some(mut variables), Some(collected)) => {
            variables.extend(collected);
            Some(variables)
        }
        (initial, collected) => initial.or(collected),
    }
}

fn encode_reply(channel: Channel, inbound: &InboundReply<'_, '_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(key(channel).as_bytes());
    out.extend_from_slice(b"\":");
    json::write(&mut out, inbound);
    out.push(b'}');
    out
}

/// The value of `call_inbound` in the reply. A `reject` has no other field beside it: an invalid one
/// would void the rejection.
#[derive(Clone, Copy)]
struct InboundReply<'d, 't> {
    decision: &'d Decision<'t>,
    metadata: Option<&'d decision::Object>,
}

impl Serialize for InboundReply<'_, '_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.decision.outcome() {
            Outcome::Reject(_) => {
                map.serialize_entry("reject", &true)?;
                return map.end();
            }
            Outcome::Agent(SelectedAgent { id, version, .. }) => {
                map.serialize_entry("override_agent_id", id)?;
                if let Some(version) = version {
                    map.serialize_entry("override_agent_version", &VersionText(version))?;
                }
            }
            Outcome::Transfer(_) | Outcome::Keep(_) => {}
        }
        let additions = self.decision.additions();
        if !additions.variables.is_empty() {
            map.serialize_entry("dynamic_variables", &json::Variables(&additions.variables))?;
        }
        if let Some(metadata) = self.metadata {
            map.serialize_entry("metadata", metadata)?;
        }
        if let Some(agent_override) = &additions.agent_override {
            map.serialize_entry("agent_override", agent_override.as_ref())?;
        }
        map.end()
    }
}

/// Serializes a version number as a number and a tag as a string.
struct VersionText<'a>(&'a Version);

impl Serialize for VersionText<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Version::Number(number) => serializer.serialize_i64(*number),
            Version::Tag(tag) => serializer.serialize_str(tag),
        }
    }
}
