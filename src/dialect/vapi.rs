//! Vapi: `assistant-request` for calls, and the other server messages as events.
//!
//! Sources: Vapi's "Server events" and "Inbound calls" pages, and `vapi-server-sdk` 3.0.0 for the types of
//! messages and replies. One URL receives every message. A number whose calls are asked about has no
//! assistant of its own: a reply without an assistant leaves the call to the number's
//! `fallbackDestination`, or ends it. Messages can contain the credentials of the operator's Twilio account.

mod reply;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use reply::{AgentKind, destination, select_agent};

use super::{
    Dialect, Event, Incoming, ParseError, RECORD_ID_KEY, RenderContext, Reply, accepted_variables,
    known_attributes, none_accepted, wire_number,
};
use crate::authenticate::{HmacScheme, Layout, Scheme, SignedTime, TimeUnit, Verified};
use crate::domain::agent_id;
use crate::domain::call::{Call, Channel, Fields, Platform};
use crate::domain::capabilities::{
    Capabilities, CarriedAdditions, Profile, Reject, Timing, Transfer, VariableLimits,
};
use crate::domain::decision::{Decision, Object, Outcome};
use crate::domain::json;
use crate::domain::json::JsonObject;
use crate::domain::party::{NumberFormat, Party};
use crate::domain::transfer::TransferTarget;

/// The Vapi dialect.
pub(super) struct Vapi;

const VARIABLES: VariableLimits =
    VariableLimits { reserved_names: &["customer"], ..VariableLimits::NONE };

const PROFILE: Profile = Profile {
    platform: Platform::new("vapi"),
    capabilities: Capabilities {
        agent: true,
        agent_version: false,
        keep: false,
        reject: Reject::Spoken,
        transfer: Transfer::Possible { spoken: true, sip_headers: true },
        greeting: true,
        variables: true,
        variable_limits: VARIABLES,
        metadata: true,
        agent_override: true,
        sip_headers: false,
        keep_additions: None,
    },
    timing: Timing {
        reply_within: Duration::from_secs(4),
        timeout: Some(Duration::from_millis(7_500)),
        silence: "the number's `fallbackDestination` takes the call; without one, it ends",
        retry_window: Duration::from_secs(300),
    },
};

const ASSISTANT_REQUEST: &str = "assistant-request";
/// Attributes of a call, in the order in which they are read.
const ATTRIBUTES: [&str; 6] =
    ["org_id", "carrier", "carrier_call_id", "transport", "name", "number_name"];

/// Sentence of a rejection whose rule has no `say`. Vapi speaks every rejection.
const REJECTION: &str = "Sorry, we cannot take your call. Goodbye.";

/// Reply without an assistant.
const NOTHING: &str = "{}";

/// The messages that need no reply. Others that Vapi documents need one that Switchboard does not give
/// (`tool-calls`, `transfer-destination-request`); they count as unknown.
const EVENTS: [&str; 27] = [
    "assistant.speechStarted",
    "assistant.started",
    "call.artifact.upload",
    "call.delete.failed",
    "call.deleted",
    "chat.created",
    "chat.deleted",
    "conversation-update",
    "end-of-call-report",
    "hang",
    "language-change-detected",
    "language-changed",
    "model-output",
    "phone-call-control",
    "session.created",
    "session.deleted",
    "session.updated",
    "speech-update",
    "status-update",
    "tool.completed",
    "transcript",
    "transcript[transcriptType='final']",
    "transcript[transcriptType=\"final\"]",
    "transfer-update",
    "user-interrupted",
    "voice-input",
    "workflow.node.started",
];

/// The messages of which a call has at most one.
const ONCE: [&str; 4] =
    ["end-of-call-report", "call.artifact.upload", "call.deleted", "call.delete.failed"];

/// Keys whose values are credentials, at any depth.
const CREDENTIALS: [&str; 7] = [
    "twilioAuthToken",
    "twilioApiKey",
    "twilioApiSecret",
    "authentication",
    "credentials",
    "secret",
    "serverUrlSecret",
];

impl Dialect for Vapi {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    /// Vapi's `hmac` credential with its default values. The unit of the timestamp is not documented.
    fn scheme(&self) -> Arc<dyn Scheme> {
        let layout = Layout::signature_and_timestamp("x-signature", "x-timestamp");
        let time = SignedTime { unit: TimeUnit::Auto, tolerance_s: 300 };
        Arc::new(HmacScheme::sha256(layout, "{timestamp}.{body}", time))
    }

    fn parse<'a>(
        &self,
        request: &'a Verified,
        numbers: &NumberFormat,
    ) -> Result<Incoming<'a>, ParseError> {
        let body = json::object(request.body())?;
        let message = body.object("message");
        let kind = message.word("type");
        // A message without a type that has a call may be a request, and a superfluous reply is ignored.
        let is_request = match &kind {
            Some(kind) => kind.trim().eq_ignore_ascii_case(ASSISTANT_REQUEST),
            None => message.has("call"),
        };
        if is_request {
            let fields = parse_call(&message, numbers);
            return Ok(Incoming::Inbound(Call::from_verified(request, PROFILE.platform, fields)));
        }
        let kind = kind.ok_or(ParseError::Missing("message.type"))?;
        Ok(Incoming::Event(Box::new(parse_event(&message, kind, numbers))))
    }

    fn render(&self, context: &RenderContext<'_>, decision: &Decision<'_>) -> Reply {
        let additions = decision.additions();
        // Only a transfer to an address of SIP has headers.
        let without_headers =
            || none_accepted("sip_headers", &additions.sip_headers).collect::<Vec<_>>();
        let agent = match decision.outcome() {
            Outcome::Reject(_) => {
                let say = additions.say.as_deref().filter(|text| !text.trim().is_empty());
                return Reply::new(json::to_vec(&json!({ "error": say.unwrap_or(REJECTION) })));
            }
            Outcome::Transfer(target) => {
                let destination = destination(target, additions);
                let reply = Reply::new(json::to_vec(&json!({ "destination": destination })));
                let has_headers = matches!(target, TransferTarget::Sip(_));
                let left_out = if has_headers { Vec::new() } else { without_headers() };
                return Reply { left_out, ..reply };
            }
            Outcome::Agent(agent) => agent,
            Outcome::Keep(_) => match context.stand_in {
                Some(agent) => agent,
                None => return Reply::new(NOTHING.into()),
            },
        };
        let (variables, mut left_out) = accepted_variables(&additions.variables, &VARIABLES);
        left_out.extend(without_headers());
        let body = select_agent(agent, additions, &variables, &mut left_out);
        Reply { left_out, ..Reply::new(json::to_vec(&body)) }
    }

    fn default_reply(&self, _: Channel) -> &'static str {
        NOTHING
    }

    fn unrecorded(&self) -> Option<json::IsRemoved> {
        Some(|parent, key| CREDENTIALS.contains(&key) || (parent, key) == ("server", "headers"))
    }

    fn transcript_places(&self) -> &'static [&'static str] {
        &["/message/artifact/transcript"]
    }

    fn channels(&self) -> &'static [Channel] {
        &[Channel::Call]
    }

    fn sends_number_id(&self) -> bool {
        true
    }

    fn attributes(&self) -> Vec<&str> {
        ATTRIBUTES.to_vec()
    }

    fn check_agent_id(&self, id: &str) -> Result<(), String> {
        match AgentKind::of(id).1 {
            "" => Err("it has no id behind the kind of agent".to_owned()),
            id => agent_id::check_plain(id),
        }
    }

    fn agent_id_form(&self) -> &'static str {
        "the id of an assistant, `squad:ID` or `workflow:ID`"
    }

    fn carried_with(&self, id: &str, carried: CarriedAdditions) -> CarriedAdditions {
        let (kind, _) = AgentKind::of(id);
        CarriedAdditions {
            greeting: carried.greeting && kind.can_greet(),
            metadata: carried.metadata && kind.has_metadata(),
            ..carried
        }
    }

    fn carries_headers_to(&self, target: &TransferTarget) -> bool {
        matches!(target, TransferTarget::Sip(_))
    }

    fn encode_request(&self, call: &Fields<'_>) -> Vec<u8> {
        let mut inner = Object::new();
        let mut put = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                inner.insert(name.to_owned(), value.into());
            }
        };
        put("id", call.call_id.as_deref());
        put("orgId", call.attribute("org_id"));
        put("type", Some("inboundPhoneCall"));
        put("status", Some("ringing"));
        put("phoneCallProvider", call.attribute("carrier"));
        put("phoneCallProviderId", call.attribute("carrier_call_id"));
        put("phoneCallTransport", call.attribute("transport"));
        put("phoneNumberId", call.number_id.as_deref());
        put("assistantId", call.agent.as_deref());
        let mut customer = address(&call.from);
        if let Some(name) = call.attribute("name") {
            customer["name"] = name.into();
        }
        inner.insert("customer".to_owned(), customer.clone());
        let mut number = address(&call.to);
        for (key, value) in
            [("id", call.number_id.as_deref()), ("name", call.attribute("number_name"))]
        {
            if let Some(value) = value {
                number[key] = value.into();
            }
        }
        let mut message = json!({
            "type": ASSISTANT_REQUEST, "call": inner, "phoneNumber": number, "customer": customer,
        });
        if let Some(at) = call.event_timestamp_ms {
            message["timestamp"] = at.into();
        }
        json::to_vec(&json!({ "message": message }))
    }
}

/// Returns a party as Vapi writes a customer or a phone number.
fn address(party: &Party) -> Value {
    let wire = wire_number(party);
    let key =
        if wire.starts_with("sip:") || wire.starts_with("sips:") { "sipUri" } else { "number" };
    json!({ key: wire })
}

/// Returns the first text that is not empty.
fn first_text<'a>(places: &[(&JsonObject<'a>, &str)]) -> Option<Cow<'a, str>> {
    places.iter().find_map(|(object, key)| object.non_empty_text(key))
}

/// The objects of a message that describe its call.
struct CallObjects<'a> {
    call: JsonObject<'a>,
    customer: JsonObject<'a>,
    call_customer: JsonObject<'a>,
    number: JsonObject<'a>,
    call_number: JsonObject<'a>,
}

impl<'a> CallObjects<'a> {
    fn of(message: &JsonObject<'a>) -> CallObjects<'a> {
        let call = message.object("call");
        CallObjects {
            customer: message.object("customer"),
            call_customer: call.object("customer"),
            number: message.object("phoneNumber"),
            call_number: call.object("phoneNumber"),
            call,
        }
    }

    /// Returns the address of the customer, who is the caller unless the assistant called.
    fn customer(&self) -> Option<Cow<'a, str>> {
        first_text(&[
            (&self.call_customer, "number"),
            (&self.customer, "number"),
            (&self.call_customer, "sipUri"),
            (&self.customer, "sipUri"),
        ])
    }

    /// Returns the operator's number or SIP address.
    fn number(&self) -> Option<Cow<'a, str>> {
        first_text(&[
            (&self.number, "number"),
            (&self.call_number, "number"),
            (&self.number, "sipUri"),
            (&self.call_number, "sipUri"),
        ])
    }
}

fn parse_call<'a>(message: &JsonObject<'a>, numbers: &NumberFormat) -> Fields<'a> {
    let objects = CallObjects::of(message);
    let call = &objects.call;
    let from = numbers.parse(objects.customer().as_deref());
    let to = numbers.parse(objects.number().as_deref());
    let call_id = call.non_empty_text("id");
    let attributes = [
        call.non_empty_text("orgId"),
        call.non_empty_text("phoneCallProvider"),
        call.non_empty_text("phoneCallProviderId"),
        call.non_empty_text("phoneCallTransport"),
        first_text(&[(&objects.call_customer, "name"), (&objects.customer, "name")]),
        objects.number.non_empty_text("name"),
    ];
    Fields {
        // The time is that of the message, so it tells one delivery from the next: only without an id.
        event_timestamp_ms: message.time_ms("timestamp").filter(|_| call_id.is_none()),
        call_id,
        agent: call.non_empty_text("assistantId"),
        from: from.party,
        to: to.party,
        number_id: first_text(&[(call, "phoneNumberId"), (&objects.number, "id")]),
        attributes: known_attributes(ATTRIBUTES, attributes),
        readings: [from.reading, to.reading].into_iter().collect(),
        ..Fields::unknown(Channel::Call)
    }
}

fn parse_event<'a>(
    message: &JsonObject<'a>,
    kind: Cow<'a, str>,
    numbers: &NumberFormat,
) -> Event<'a> {
    let objects = CallObjects::of(message);
    let call = &objects.call;
    let (analysis, artifact) = (message.object("analysis"), message.object("artifact"));
    let party = |text: Option<Cow<'_, str>>| text.map(|text| numbers.parse(Some(&text)).party);
    let (customer, number) = (party(objects.customer()), party(objects.number()));
    let direction = direction(call);
    let is_outbound = direction == Some("outbound");
    let (from, to) = if is_outbound { (number, customer) } else { (customer, number) };
    let end_reason = first_text(&[(message, "endedReason"), (call, "endedReason")]);
    let start_ms = message.time_ms("startedAt").or_else(|| call.time_ms("startedAt"));
    let end_ms = message.time_ms("endedAt").or_else(|| call.time_ms("endedAt"));
    let metadata = Metadata::of(message, call);
    Event {
        channel: (!call.is_empty()).then_some(Channel::Call),
        call_id: call.non_empty_text("id"),
        part: part(&kind, message),
        last_counts: kind == "conversation-update",
        event_timestamp_ms: message.time_ms("timestamp"),
        record_id: metadata.record_id(&artifact),
        from,
        to,
        agent: agent(call),
        status: first_text(&[(message, "status"), (call, "status")]),
        direction: direction.map(Cow::Borrowed),
        start_ms,
        end_ms,
        duration_ms: start_ms.zip(end_ms).and_then(|(start, end)| duration(start, end)),
        voicemail: (end_reason.as_deref() == Some("voicemail")).then_some(true),
        end_reason,
        cost: message.number("cost").or_else(|| call.number("cost")),
        summary: analysis.non_empty_text("summary"),
        successful: analysis.flag("successEvaluation"),
        recording_url: first_text(&[(&artifact, "recordingUrl"), (message, "recordingUrl")]),
        metadata: metadata.parsed(),
        variables: artifact.parsed_object("variableValues"),
        analysis: message.parsed_object("analysis"),
        known: EVENTS.contains(&&*kind),
        ..Event::new(kind, false)
    }
}

/// Returns what distinguishes messages of the same kind and call: their status, otherwise their time.
fn part<'a>(kind: &str, message: &JsonObject<'a>) -> Option<Cow<'a, str>> {
    if ONCE.contains(&kind) || kind == "conversation-update" {
        return None;
    }
    let key = if kind == "status-update" { "status" } else { "timestamp" };
    Some(message.text(key).unwrap_or_default())
}

fn direction(call: &JsonObject<'_>) -> Option<&'static str> {
    match &*call.text("type")? {
        "inboundPhoneCall" => Some("inbound"),
        "outboundPhoneCall" => Some("outbound"),
        _ => None,
    }
}

fn duration(start_ms: i64, end_ms: i64) -> Option<i64> {
    end_ms.checked_sub(start_ms).filter(|long| *long >= 0)
}

/// Returns the agent of a call in the form of rules.
fn agent<'a>(call: &JsonObject<'a>) -> Option<Cow<'a, str>> {
    let of_kind = |kind: &AgentKind| {
        let id = call.non_empty_text(kind.id_key)?;
        Some(if kind.prefix.is_empty() { id } else { format!("{}{id}", kind.prefix).into() })
    };
    AgentKind::ALL.iter().find_map(of_kind)
}

/// The objects in which Vapi returns the metadata of a reply, as their `metadata`.
struct Metadata<'a>([JsonObject<'a>; 4]);

impl<'a> Metadata<'a> {
    fn of(message: &JsonObject<'a>, call: &JsonObject<'a>) -> Metadata<'a> {
        Metadata([
            call.object("assistantOverrides"),
            call.object("squadOverrides"),
            message.object("assistant"),
            call.object("assistant"),
        ])
    }

    fn parsed(&self) -> Option<Object> {
        self.0.iter().find_map(|object| object.parsed_object("metadata"))
    }

    /// Returns the id of the record, which a workflow has among its variables.
    fn record_id(&self, artifact: &JsonObject<'a>) -> Option<Cow<'a, str>> {
        let found = self
            .0
            .iter()
            .find_map(|object| object.object("metadata").non_empty_text(RECORD_ID_KEY));
        found.or_else(|| artifact.object("variableValues").non_empty_text(RECORD_ID_KEY))
    }
}
