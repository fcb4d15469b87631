//! Telnyx Call Control: `call.initiated`, and the events of the call.
//!
//! The reply to the webhook decides nothing: a call is answered by an assistant, rejected or transferred by a
//! command to the API. Telnyx ignores a command whose `command_id` it has received within 60 seconds, so the id
//! of the event makes repetitions harmless.
//!
//! Sources: the types of the `telnyx` package 7.24.0 (npm) and 4.189.0 (PyPI), and Telnyx's documentation of Call
//! Control webhooks and commands, read in November 2026.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Dialect, Incoming, ParseError, RenderContext, Reply, known_attributes, telnyx, wire_number,
};
use crate::authenticate::{Ed25519Scheme, Scheme, Verified};
use crate::domain::call::{Call, Channel, Fields, Platform};
use crate::domain::capabilities::{
    Capabilities, Profile, Reject, Timing, Transfer, VariableLimits,
};
use crate::domain::decision::{Decision, Outcome, SelectedAgent, is_busy};
use crate::domain::effect::{Effect, PlatformApi, path_segment};
use crate::domain::json;
use crate::domain::json::JsonObject;
use crate::domain::party::NumberFormat;

/// The dialect of Telnyx Call Control.
pub(super) struct TelnyxCallControl;

const API: PlatformApi =
    PlatformApi { url: "https://api.telnyx.com/v2", actions: &["answer", "reject", "transfer"] };
const INITIATED: &str = "call.initiated";
const CALL_CONTROL_ID: &str = "call_control_id";
/// Attribute with the id of the event, which becomes the `command_id`.
const EVENT_ID: &str = "event_id";
/// Attributes of a call, in the order in which they are read.
const ATTRIBUTES: [&str; 4] = [EVENT_ID, "name", "attestation", "verified"];

const PROFILE: Profile = Profile {
    platform: Platform::new("telnyx-call-control"),
    capabilities: Capabilities {
        agent: true,
        agent_version: false,
        keep: false,
        reject: Reject::Silent,
        transfer: Transfer::Possible { spoken: false, sip_headers: true },
        greeting: false,
        variables: true,
        variable_limits: VariableLimits::NONE,
        metadata: false,
        agent_override: false,
        sip_headers: false,
        keep_additions: None,
    },
    timing: Timing {
        reply_within: Duration::from_secs(2),
        timeout: None,
        silence: "the webhook is sent again; the caller hears ringing",
        retry_window: Duration::from_secs(300),
    },
};

impl Dialect for TelnyxCallControl {
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
        let kind = match data.text("event_type") {
            // A call must not be lost because its type is odd.
            None if payload.text("state").is_some_and(|state| state == "parked") => {
                INITIATED.into()
            }
            kind => kind.ok_or(ParseError::Missing("data.event_type"))?,
        };
        let is_outgoing =
            payload.text("direction").is_some_and(|direction| direction == "outgoing");
        if kind == INITIATED && !is_outgoing {
            let fields = call_fields(&data, &payload, numbers);
            return Ok(Incoming::Inbound(Call::from_verified(request, PROFILE.platform, fields)));
        }
        Ok(Incoming::Event(Box::new(telnyx::parse_event(&data, &payload, kind, numbers))))
    }

    fn render(&self, _: &RenderContext<'_>, _: &Decision<'_>) -> Reply {
        Reply::new(b"{}".to_vec())
    }

    fn effects(&self, context: &RenderContext<'_>, decision: &Decision<'_>) -> Vec<Effect> {
        let Some(call) = context.call else { return Vec::new() };
        let command = |action: &'static str, body: Value| command(call, action, body);
        let answer = |agent: &SelectedAgent<'_>| command("answer", answer(agent, decision));
        let command = match decision.outcome() {
            Outcome::Agent(agent) => Some(answer(agent)),
            Outcome::Keep(_) => context.stand_in.map(answer),
            Outcome::Reject(reason) => {
                let cause = if is_busy(reason) { "USER_BUSY" } else { "CALL_REJECTED" };
                Some(command("reject", json!({ "cause": cause })))
            }
            Outcome::Transfer(target) => {
                let mut body = json!({ "to": target.unmasked() });
                let headers = decision.additions().sip_headers.iter();
                let headers: Vec<_> = headers
                    .map(|header| json!({ "name": header.name, "value": header.value }))
                    .collect();
                if !headers.is_empty() {
                    body["custom_headers"] = headers.into();
                }
                Some(command("transfer", body))
            }
        };
        command.into_iter().collect()
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

    fn sends_number_id(&self) -> bool {
        true
    }

    fn attributes(&self) -> Vec<&str> {
        ATTRIBUTES.to_vec()
    }

    fn agent_id_prefix(&self) -> Option<&'static str> {
        Some("assistant-")
    }

    fn encode_request(&self, call: &Fields<'_>) -> Vec<u8> {
        let headers = call.sip.iter();
        let headers: Vec<_> =
            headers.map(|(name, value)| json!({ "name": name, "value": value })).collect();
        let event_id = call.call_id.as_deref().map(|id| format!("event-{id}"));
        json::to_vec(&json!({ "data": {
            "record_type": "event",
            "event_type": INITIATED,
            "id": event_id,
            "payload": {
                CALL_CONTROL_ID: call.call_id,
                "connection_id": call.number_id,
                "from": wire_number(&call.from),
                "to": wire_number(&call.to),
                "direction": "incoming",
                "state": "parked",
                "sip_headers": headers,
            },
        } }))
    }
}

/// Returns a command about a call.
fn command(call: &Call<'_>, action: &'static str, mut body: Value) -> Effect {
    let id = call.call_id().and_then(path_segment);
    let missing = id.is_none().then_some(CALL_CONTROL_ID);
    // An event without an id is about a new call, for which there is one command of a kind.
    let command_id = call.attribute(EVENT_ID).map(str::to_owned);
    let command_id = command_id.or_else(|| Some(format!("{action}-{}", call.call_id()?)));
    body["command_id"] = command_id.into();
    let path = format!("/calls/{}/actions/{action}", id.unwrap_or_default());
    Effect { action, path, body, idempotency_key: None, is_idempotent: true, missing }
}

fn answer(agent: &SelectedAgent<'_>, decision: &Decision<'_>) -> Value {
    let mut assistant = json!({ "id": agent.id });
    let variables = &decision.additions().variables;
    if !variables.is_empty() {
        assistant["dynamic_variables"] = json!(json::Variables(variables));
    }
    json!({ "assistant": assistant })
}

fn call_fields<'a>(
    data: &JsonObject<'a>,
    payload: &JsonObject<'a>,
    numbers: &NumberFormat,
) -> Fields<'a> {
    let from = numbers.parse(payload.text("from").as_deref());
    let to = numbers.parse(payload.text("to").as_deref());
    let sip = ["sip_headers", "custom_headers"].into_iter().flat_map(|key| payload.objects(key));
    let sip = sip.filter_map(|header| {
        let name = header.non_empty_text("name")?.to_ascii_lowercase();
        Some((Cow::Owned(name), header.text("value").unwrap_or_default()))
    });
    let attributes = [
        data.non_empty_text("id"),
        payload.non_empty_text("caller_id_name"),
        payload.non_empty_text("shaken_stir_attestation"),
        payload.non_empty_text("shaken_stir_validated"),
    ];
    Fields {
        call_id: payload.non_empty_text(CALL_CONTROL_ID),
        number_id: payload.non_empty_text("connection_id"),
        attributes: known_attributes(ATTRIBUTES, attributes),
        sip: sip.collect(),
        from: from.party,
        to: to.party,
        readings: [from.reading, to.reading].into_iter().collect(),
        ..Fields::unknown(Channel::Call)
    }
}
