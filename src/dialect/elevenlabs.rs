//! ElevenLabs Agents: the conversation initiation webhook, and the post-call webhooks as events.
//!
//! Sources: ElevenLabs' "Twilio personalization" and "Post-call webhooks" pages, and `elevenlabs` 2.78.0 for
//! the types of replies and conversations. A reply cannot choose the agent, reject or transfer: it adds
//! variables and settings for the agent that the platform has chosen. Without `type`, the call fails. There
//! is no metadata: its entries travel as variables, which come back after the call.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderName;
use serde_json::{Value, json};

use super::{
    Dialect, Event, Incoming, ParseError, RECORD_ID_KEY, RenderContext, Reply, accepted_variables,
    not_accepted, wire_number,
};
use crate::authenticate::{
    HmacScheme, Layout, Scheme, SharedScheme, SignedTime, TimeUnit, Verified,
};
use crate::domain::call::{Call, Channel, Fields, Platform};
use crate::domain::capabilities::{
    Capabilities, Profile, Reject, Timing, Transfer, VariableLimits,
};
use crate::domain::decision::{Additions, Decision, LeftOut, Object};
use crate::domain::json;
use crate::domain::json::JsonObject;
use crate::domain::party::NumberFormat;

/// The ElevenLabs dialect.
pub(super) struct ElevenLabs;

const VARIABLES: VariableLimits =
    VariableLimits { reserved: &["system__"], ..VariableLimits::NONE };

const PROFILE: Profile = Profile {
    platform: Platform::new("elevenlabs"),
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
        agent_override: true,
        sip_headers: false,
        keep_additions: None,
    },
    timing: Timing {
        reply_within: Duration::from_secs(2),
        timeout: None,
        silence: "not documented",
        retry_window: Duration::from_secs(300),
    },
};

/// Value of `type` in a reply.
const REPLY_TYPE: &str = "conversation_initiation_client_data";

const FROM: &str = "caller_id";
const TO: &str = "called_number";
const CALL_ID: &str = "call_sid";
const AGENT: &str = "agent_id";

/// The events that ElevenLabs documents.
const EVENTS: [&str; 3] = ["post_call_transcription", "post_call_audio", "call_initiation_failure"];

impl Dialect for ElevenLabs {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    /// A header whose name and value the operator enters at ElevenLabs.
    fn scheme(&self) -> Arc<dyn Scheme> {
        Arc::new(SharedScheme::Header(HeaderName::from_static("x-switchboard-secret")))
    }

    /// `ElevenLabs-Signature: t=<unix seconds>,v0=<hex>`. The SDKs accept it for 30 minutes.
    fn events_scheme(&self) -> Option<Arc<dyn Scheme>> {
        let layout = Layout::Combined {
            header: HeaderName::from_static("elevenlabs-signature"),
            timestamp: "t".into(),
            signature: "v0".into(),
        };
        let time = SignedTime { unit: TimeUnit::Seconds, tolerance_s: 1_800 };
        Some(Arc::new(HmacScheme::sha256(layout, "{t}.{body}", time)))
    }

    fn parse<'a>(
        &self,
        request: &'a Verified,
        numbers: &NumberFormat,
    ) -> Result<Incoming<'a>, ParseError> {
        let body = json::object(request.body())?;
        // The request about a call has no type, and an event has none of its fields.
        let is_request = [FROM, TO, CALL_ID, AGENT].iter().any(|key| body.has(key));
        match body.word("type").filter(|_| !is_request) {
            Some(kind) => Ok(Incoming::Event(Box::new(parse_event(&body, kind, numbers)))),
            None => {
                let fields = parse_call(&body, numbers);
                Ok(Incoming::Inbound(Call::from_verified(request, PROFILE.platform, fields)))
            }
        }
    }

    fn render(&self, _: &RenderContext<'_>, decision: &Decision<'_>) -> Reply {
        let additions = decision.additions();
        let (variables, left_out) = dynamic_variables(additions);
        let mut body = json!({ "type": REPLY_TYPE, "dynamic_variables": variables });
        if let Some(settings) = &additions.agent_override {
            body["conversation_config_override"] = settings.as_ref().clone().into();
        }
        Reply { left_out, ..Reply::new(json::to_vec(&body)) }
    }

    fn default_reply(&self, _: Channel) -> &'static str {
        r#"{"type":"conversation_initiation_client_data","dynamic_variables":{}}"#
    }

    /// The recording of a `post_call_audio`.
    fn unrecorded(&self) -> Option<json::IsRemoved> {
        Some(|_, key| key == "full_audio")
    }

    fn transcript_places(&self) -> &'static [&'static str] {
        &["/data/transcript"]
    }

    fn channels(&self) -> &'static [Channel] {
        &[Channel::Call]
    }

    fn agent_id_prefix(&self) -> Option<&'static str> {
        Some("agent_")
    }

    fn encode_request(&self, call: &Fields<'_>) -> Vec<u8> {
        let mut body = json!({ FROM: wire_number(&call.from), TO: wire_number(&call.to) });
        for (key, value) in [(AGENT, &call.agent), (CALL_ID, &call.call_id)] {
            if let Some(value) = value {
                body[key] = json!(value);
            }
        }
        json::to_vec(&body)
    }
}

fn parse_call<'a>(body: &JsonObject<'a>, numbers: &NumberFormat) -> Fields<'a> {
    let from = numbers.parse(body.text(FROM).as_deref());
    let to = numbers.parse(body.text(TO).as_deref());
    Fields {
        call_id: body.non_empty_text(CALL_ID),
        agent: body.non_empty_text(AGENT),
        from: from.party,
        to: to.party,
        readings: [from.reading, to.reading].into_iter().collect(),
        ..Fields::unknown(Channel::Call)
    }
}

/// Returns the variables of a reply: those of the rules, then the entries of the metadata under names that no
/// rule has set.
fn dynamic_variables(additions: &Additions<'_>) -> (Object, Vec<LeftOut>) {
    let (variables, mut left_out) = accepted_variables(&additions.variables, &VARIABLES);
    let mut all = json::Variables(&variables).to_object();
    for (name, value) in additions.metadata.iter().flat_map(|metadata| metadata.iter()) {
        match scalar(value) {
            Some(value) if !VARIABLES.reserves(name) => {
                all.entry(name.clone()).or_insert(value);
            }
            Some(_) | None => left_out.push(not_accepted(format!("metadata.{name}"))),
        }
    }
    (all, left_out)
}

/// Returns a value that can be a variable: a text, a number or a boolean. Lists and objects become texts.
fn scalar(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(value.clone()),
        Value::Array(_) | Value::Object(_) => Some(value.to_string().into()),
    }
}

fn parse_event<'a>(body: &JsonObject<'a>, kind: Cow<'a, str>, numbers: &NumberFormat) -> Event<'a> {
    let data = body.object("data");
    let (metadata, analysis) = (data.object("metadata"), data.object("analysis"));
    let phone = metadata.object("phone_call");
    let initiation = data.object(REPLY_TYPE);
    let conversation_id = data.non_empty_text("conversation_id");
    // The id of the call, which its request had; a conversation without one is no phone call.
    let call_sid = phone.non_empty_text(CALL_ID);
    let direction = phone.non_empty_text("direction");
    let party = |key: &str| phone.text(key).map(|text| numbers.parse(Some(&text)).party);
    let (other, own) = (party("external_number"), party("agent_number"));
    let is_outbound = direction.as_deref() == Some("outbound");
    let (from, to) = if is_outbound { (own, other) } else { (other, own) };
    let start_ms = metadata.integer("start_time_unix_secs").and_then(milliseconds);
    let duration_ms = metadata.integer("call_duration_secs").and_then(milliseconds);
    let reason = metadata.non_empty_text("termination_reason");
    Event {
        channel: Some(Channel::Call),
        part: call_sid.as_ref().and(conversation_id.clone()),
        call_id: call_sid.or(conversation_id),
        event_timestamp_ms: body.integer("event_timestamp").and_then(milliseconds),
        record_id: initiation.object("dynamic_variables").non_empty_text(RECORD_ID_KEY),
        from,
        to,
        agent: data.non_empty_text(AGENT),
        agent_version: data.non_empty_text("version_id"),
        status: data.non_empty_text("status"),
        direction,
        start_ms,
        end_ms: start_ms.zip(duration_ms).and_then(|(start, long)| start.checked_add(long)),
        duration_ms,
        end_reason: reason.or_else(|| data.non_empty_text("failure_reason")),
        cost: metadata.number("cost"),
        summary: analysis.non_empty_text("transcript_summary"),
        successful: analysis.text("call_successful").and_then(|verdict| successful(&verdict)),
        voicemail: (phone.text("call_result").as_deref() == Some("voicemail")).then_some(true),
        variables: initiation.parsed_object("dynamic_variables"),
        analysis: data.parsed_object("analysis"),
        known: EVENTS.contains(&&*kind),
        ..Event::new(kind, false)
    }
}

/// Returns the verdict on a call, which can be `unknown`.
fn successful(verdict: &str) -> Option<bool> {
    match verdict {
        "success" => Some(true),
        "failure" => Some(false),
        _ => None,
    }
}

fn milliseconds(seconds: i64) -> Option<i64> {
    seconds.checked_mul(1_000).filter(|ms| *ms >= 0)
}
