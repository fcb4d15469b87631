//! Phone numbers of Daily whose calls are taken by agents of Pipecat Cloud: the pinless dial-in webhook.
//!
//! Daily holds the call and ignores the reply. A request to Pipecat Cloud creates a room and starts an agent in it;
//! the agent joins the room and fetches the held call itself (`pinlessCallUpdate`), with the ids that it receives. So
//! one request carries out a decision. Nothing makes it harmless to repeat: a second one would start a second agent.
//!
//! Sources: Pipecat Cloud's guide of Daily's dial-in and its REST reference (`/{agentName}/start`), `DialinSettings` of
//! the runner of Pipecat, and `fastapi-webhook-server` of `pipecat-examples`, read in November 2026. The signature is
//! that of the example. It was seen with milliseconds as well as seconds.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    Dialect, Event, Incoming, ParseError, RenderContext, Reply, known_attributes, wire_number,
};
use crate::authenticate::{
    Algorithm, Encoding, Envelope, HmacScheme, KeyEncoding, Layout, Scheme, SignedTime, TimeUnit,
    Verified,
};
use crate::domain::call::{Call, Channel, Fields, Platform};
use crate::domain::capabilities::{
    Capabilities, Profile, Reject, Timing, Transfer, VariableLimits,
};
use crate::domain::decision::{Decision, Outcome, SelectedAgent};
use crate::domain::effect::{Effect, PlatformApi, path_segment};
use crate::domain::json;
use crate::domain::json::JsonObject;
use crate::domain::party::NumberFormat;

/// The dialect of Daily's dial-in with Pipecat Cloud.
pub(super) struct Pipecat;

const API: PlatformApi =
    PlatformApi { url: "https://api.pipecat.daily.co/v1/public", actions: &["start"] };

const FROM: &str = "From";
const TO: &str = "To";
const CALL_ID: &str = "callId";
const CALL_DOMAIN: &str = "callDomain";
const SIP_HEADERS: &str = "sipHeaders";
/// Attribute with the id of the domain on Daily's SIP network, without which the call cannot be fetched.
const DOMAIN: &str = "call_domain";

const PROFILE: Profile = Profile {
    platform: Platform::new("pipecat"),
    capabilities: Capabilities {
        agent: true,
        agent_version: false,
        keep: false,
        reject: Reject::Impossible,
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
        reply_within: Duration::from_secs(2),
        timeout: None,
        silence: "not documented; the caller hears the music of Daily",
        retry_window: Duration::from_secs(300),
    },
};

impl Dialect for Pipecat {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn scheme(&self) -> Arc<dyn Scheme> {
        let layout = Layout::signature_and_timestamp("x-pinless-signature", "x-pinless-timestamp");
        let time = SignedTime { unit: TimeUnit::Auto, tolerance_s: 300 };
        let envelope = Envelope::of_platform(layout, "{timestamp}.{body}", Encoding::Base64, time);
        let key_encoding = KeyEncoding::Base64;
        Arc::new(HmacScheme { algorithm: Algorithm::Sha256, key_encoding, envelope })
    }

    fn parse<'a>(
        &self,
        request: &'a Verified,
        numbers: &NumberFormat,
    ) -> Result<Incoming<'a>, ParseError> {
        let body = json::object(request.body())?;
        if [FROM, TO, CALL_ID].iter().any(|key| body.has(key)) {
            let fields = call_fields(&body, numbers);
            return Ok(Incoming::Inbound(Call::from_verified(request, PROFILE.platform, fields)));
        }
        if body.has("Test") || body.has("test") {
            return Ok(Incoming::Probe);
        }
        let kind = body.word("type").ok_or(ParseError::Missing(CALL_ID))?;
        Ok(Incoming::Event(Box::new(Event::new(kind, false))))
    }

    fn render(&self, _: &RenderContext<'_>, _: &Decision<'_>) -> Reply {
        Reply::new(b"{}".to_vec())
    }

    /// A rejection and a transfer become *keep*.
    fn effects(&self, context: &RenderContext<'_>, decision: &Decision<'_>) -> Vec<Effect> {
        let Some(call) = context.call else { return Vec::new() };
        let agent = match decision.outcome() {
            Outcome::Agent(agent) => Some(agent),
            Outcome::Keep(_) | Outcome::Reject(_) | Outcome::Transfer(_) => context.stand_in,
        };
        agent.and_then(|agent| start(call, agent, decision)).into_iter().collect()
    }

    fn attributes_of_effects(&self) -> &'static [&'static str] {
        &[DOMAIN]
    }

    fn api(&self) -> Option<&'static PlatformApi> {
        Some(&API)
    }

    fn default_reply(&self, _: Channel) -> &str {
        "{}"
    }

    fn channels(&self) -> &'static [Channel] {
        &[Channel::Call]
    }

    fn sends_sip_headers(&self) -> bool {
        true
    }

    fn attributes(&self) -> Vec<&str> {
        vec![DOMAIN]
    }

    fn encode_request(&self, call: &Fields<'_>) -> Vec<u8> {
        let mut body = json!({
            TO: wire_number(&call.to),
            FROM: wire_number(&call.from),
            CALL_ID: call.call_id,
            CALL_DOMAIN: call.attribute(DOMAIN).unwrap_or("domain"),
        });
        if !call.sip.is_empty() {
            let headers = call.sip.iter();
            body[SIP_HEADERS] =
                headers.map(|(name, value)| (name.to_string(), json!(value))).collect();
        }
        json::to_vec(&body)
    }
}

fn call_fields<'a>(body: &JsonObject<'a>, numbers: &NumberFormat) -> Fields<'a> {
    let from = numbers.parse(body.text(FROM).as_deref());
    let to = numbers.parse(body.text(TO).as_deref());
    let sip = body.object(SIP_HEADERS).into_texts();
    Fields {
        call_id: body.non_empty_text(CALL_ID),
        attributes: known_attributes([DOMAIN], [body.non_empty_text(CALL_DOMAIN)]),
        sip: sip.map(|(name, value)| (name.to_ascii_lowercase().into(), value)).collect(),
        from: from.party,
        to: to.party,
        readings: [from.reading, to.reading].into_iter().collect(),
        ..Fields::unknown(Channel::Call)
    }
}

/// Returns the request that starts an agent for a call; `None` if the agent has no usable id.
fn start(call: &Call<'_>, agent: &SelectedAgent<'_>, decision: &Decision<'_>) -> Option<Effect> {
    let (call_id, call_domain) = (call.call_id(), call.attribute(DOMAIN));
    // Without both, the agent could not fetch the call.
    let missing = match (call_id, call_domain) {
        (None, _) => Some(CALL_ID),
        (Some(_), None) => Some(CALL_DOMAIN),
        (Some(_), Some(_)) => None,
    };
    let path = format!("/{}/start", path_segment(agent.id)?);
    let from = wire_number(call.from());
    let mut settings = json!({
        "From": from, "To": wire_number(call.to()), "call_id": call_id, "call_domain": call_domain,
    });
    let headers: Map<_, _> =
        call.sip_headers().map(|(name, value)| (name.to_owned(), value.into())).collect();
    if !headers.is_empty() {
        settings["sip_headers"] = Value::Object(headers);
    }
    let additions = decision.additions();
    let mut data = json!({ "dialin_settings": settings });
    if !additions.variables.is_empty() {
        data["variables"] = json!(json::Variables(&additions.variables));
    }
    if let Some(metadata) = &additions.metadata {
        data["metadata"] = json!(metadata);
    }
    let sip = json!({ "display_name": from, "sip_mode": "dial-in", "num_endpoints": 1 });
    let mut room = Map::from_iter([("sip".to_owned(), sip)]);
    if let Some(properties) = &additions.agent_override {
        room.extend(properties.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    let body = json!({ "createDailyRoom": true, "dailyRoomProperties": room, "body": data });
    Some(Effect {
        action: "start",
        path,
        body,
        idempotency_key: None,
        is_idempotent: false,
        missing,
    })
}
