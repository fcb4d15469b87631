//! Synthflow: the inbound webhook, its probe, and the post-call webhook.
//!
//! Sources: Synthflow's "Inbound call webhook" and "Post-call webhook" pages. The reply
//! `{"call_inbound":{}}`, which means "continue" on other platforms, hangs up: every reply has an
//! `override_model_id` unless the call is rejected. There are no versions, agent settings or text
//! messages. Public receivers document the actual content of the post-call webhook: strings that contain
//! JSON, and verdicts in mixed case.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::{Value, json};

use super::{
    Dialect, Event, Incoming, ParseError, RECORD_ID_KEY, RenderContext, Reply, wire_number,
};
use crate::authenticate;
use crate::authenticate::{Scheme, Verified, synthflow_call_id};
use crate::domain::call::{Call, Channel, Fields, Platform};
use crate::domain::capabilities::{
    Capabilities, Profile, Reject, Timing, Transfer, VariableLimits,
};
use crate::domain::decision;
use crate::domain::decision::{Decision, Outcome, SelectedAgent};
use crate::domain::json;
use crate::domain::json::JsonObject;
use crate::domain::party::NumberFormat;

/// The Synthflow dialect.
pub(super) struct Synthflow;

const PROFILE: Profile = Profile {
    platform: Platform::new("synthflow"),
    capabilities: Capabilities {
        agent: true,
        agent_version: false,
        keep: true,
        reject: Reject::Silent,
        transfer: Transfer::Impossible,
        greeting: false,
        variables: true,
        variable_limits: VariableLimits::NONE,
        metadata: true,
        agent_override: false,
        sip_headers: false,
        keep_additions: None,
    },
    timing: Timing {
        reply_within: Duration::from_secs(3),
        timeout: None,
        silence: "the webhook is sent again up to 3 times, then the default agent takes the call; without one, it ends",
        retry_window: Duration::from_secs(60),
    },
};

const INBOUND: &str = "call_inbound";

impl Dialect for Synthflow {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn scheme(&self) -> Arc<dyn Scheme> {
        Arc::new(authenticate::SynthflowScheme)
    }

    fn parse<'a>(
        &self,
        request: &'a Verified,
        numbers: &NumberFormat,
    ) -> Result<Incoming<'a>, ParseError> {
        if request.body().trim_ascii().is_empty() {
            return Ok(Incoming::Probe);
        }
        let body = json::object(request.body())?;
        let event = body.text("event");
        // Whatever the event's name: the reply to a call must never be `{}`, which hangs up.
        if event.as_deref() == Some(INBOUND) || body.has(INBOUND) {
            return Ok(Incoming::Inbound(Call::from_verified(
                request,
                PROFILE.platform,
                parse_inbound(&body, request, numbers),
            )));
        }
        let event = match event {
            Some(kind) => Event::new(kind, false),
            None if body.has("status") || body.has("call") => Event::new("post_call", true),
            None => return Err(ParseError::Missing("event")),
        };
        Ok(Incoming::Event(Box::new(parse_event(&body, request, event, numbers))))
    }

    fn render(&self, _: &RenderContext<'_>, decision: &Decision<'_>) -> Reply {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(b"{\"call_inbound\":");
        json::write(&mut out, &Inbound(decision));
        out.push(b'}');
        Reply::new(out)
    }

    fn default_reply(&self, _: Channel) -> &'static str {
        r#"{"call_inbound":{"override_model_id":""}}"#
    }

    fn transcript_places(&self) -> &'static [&'static str] {
        &["/call/transcript"]
    }

    fn channels(&self) -> &'static [Channel] {
        &[Channel::Call]
    }

    fn encode_request(&self, call: &Fields<'_>) -> Vec<u8> {
        let mut inner = decision::Object::new();
        if let Some(id) = &call.call_id {
            inner.insert("call_id".to_owned(), json!(id));
        }
        if let Some(agent) = &call.agent {
            inner.insert("model_id".to_owned(), json!(agent));
        }
        inner.insert("from_number".to_owned(), json!(wire_number(&call.from)));
        inner.insert("to_number".to_owned(), json!(wire_number(&call.to)));
        let mut body = decision::Object::new();
        body.insert("event".to_owned(), INBOUND.into());
        body.insert(INBOUND.to_owned(), inner.into());
        json::to_vec(&body)
    }
}

fn parse_inbound<'a>(
    body: &JsonObject<'a>,
    request: &'a Verified,
    numbers: &NumberFormat,
) -> Fields<'a> {
    let inner = body.object(INBOUND);
    let from = numbers.parse(inner.text("from_number").as_deref());
    let to = numbers.parse(inner.text("to_number").as_deref());
    Fields {
        call_id: call_id(body, request),
        event_timestamp_ms: body.integer("event_timestamp"),
        agent: inner.non_empty_text("model_id"),
        from: from.party,
        to: to.party,
        readings: [from.reading, to.reading].into_iter().collect(),
        ..Fields::unknown(Channel::Call)
    }
}

/// Returns the verified call id. A request that was not verified has the id of its body, which the
/// signature scheme finds in the same way.
fn call_id<'a>(body: &JsonObject<'a>, request: &'a Verified) -> Option<Cow<'a, str>> {
    request.call_id().map(Cow::from).or_else(|| synthflow_call_id(body))
}

/// Parses the fields of an event into `event`, which has its kind.
fn parse_event<'a>(
    body: &JsonObject<'a>,
    request: &'a Verified,
    event: Event<'a>,
    numbers: &NumberFormat,
) -> Event<'a> {
    let (call, lead) = (body.object("call"), body.object("lead"));
    let direction = call.non_empty_text("direction");
    // The lead is the remote party, whatever the direction of the call.
    let other = lead.text("phone_number").map(|text| numbers.parse(Some(&text)).party);
    let outbound = direction.as_deref().is_some_and(|word| word.eq_ignore_ascii_case("outbound"));
    let (from, to) = if outbound { (None, other) } else { (other, None) };
    let status = call.non_empty_text("status").or_else(|| body.non_empty_text("status"));
    let start_ms = call.time_ms("start_time").filter(|ms| *ms > 0);
    let duration_ms = call.number("duration").and_then(milliseconds);
    let analysis = body.parsed_object("analysis").map(normalize_verdicts);
    let verdict = |key: &str| analysis.as_ref().and_then(|analysis| analysis.get(key));
    let end_reason = call.non_empty_text("end_call_reason");
    Event {
        channel: Some(Channel::Call),
        call_id: call_id(body, request),
        event_timestamp_ms: body.integer("event_timestamp"),
        record_id: record_id(body, &call, &lead),
        from,
        to,
        agent: call.non_empty_text("model_id"),
        direction,
        start_ms,
        end_ms: start_ms.zip(duration_ms).and_then(|(start, long)| start.checked_add(long)),
        duration_ms,
        sentiment: verdict("user_sentiment").and_then(sentiment),
        successful: verdict("call_completion").and_then(Value::as_bool),
        voicemail: voicemail(
            status.as_deref(),
            end_reason.as_deref(),
            verdict("answered_by_human").and_then(Value::as_bool),
        ),
        status,
        end_reason,
        recording_url: call.non_empty_text("recording_url"),
        metadata: body.parsed_object("metadata").or_else(|| call.parsed_object("metadata")),
        variables: body.parsed_object("collected_variables").as_ref().map(collected),
        actions: body.parsed_object("executed_actions").map(parse_embedded_json),
        analysis,
        ..event
    }
}

/// Finds the record id of the reply. Synthflow does not document whether or where it returns metadata, so
/// the likely places are tried, and the initial variables of the call.
fn record_id<'a>(
    body: &JsonObject<'a>,
    call: &JsonObject<'a>,
    lead: &JsonObject<'a>,
) -> Option<Cow<'a, str>> {
    let candidates = [
        body.object("metadata"),
        call.object("metadata"),
        lead.object("prompt_variables"),
        call.object("custom_variables"),
        body.object("custom_variables"),
    ];
    candidates.iter().find_map(|object| object.non_empty_text(RECORD_ID_KEY))
}

fn milliseconds(seconds: f64) -> Option<i64> {
    const YEAR: f64 = 366.0 * 86_400.0;
    (0.0..=YEAR).contains(&seconds).then(|| (seconds * 1000.0).round() as i64)
}

/// Returns whether voicemail answered: according to the status or end reason, otherwise according to the
/// analysis.
fn voicemail(status: Option<&str>, end_reason: Option<&str>, human: Option<bool>) -> Option<bool> {
    const STATUS: [&str; 2] = ["left_voicemail", "hangup_on_voicemail"];
    const END_REASON: [&str; 2] = ["voicemail", "voicemail_message_left"];
    let is_any = |text: Option<&str>, words: [&str; 2]| {
        text.is_some_and(|text| words.iter().any(|word| text.eq_ignore_ascii_case(word)))
    };
    if is_any(status, STATUS) || is_any(end_reason, END_REASON) {
        return Some(true);
    }
    human.map(|human| !human)
}

/// Converts verdicts to booleans or lower-case words and drops empty ones. Feedback is prose and stays
/// unchanged.
fn normalize_verdicts(analysis: decision::Object) -> decision::Object {
    let normalized = analysis.into_iter().filter_map(|(key, value)| {
        let value = match value.as_str() {
            Some(text) if !key.ends_with("_feedback") => normalize_verdict(text)?,
            _ if value.is_null() => return None,
            _ => value,
        };
        Some((key, value))
    });
    normalized.collect()
}

fn normalize_verdict(text: &str) -> Option<Value> {
    if let Some(flag) = json::flag(text) {
        return Some(flag.into());
    }
    let word = text.trim().to_lowercase();
    (!["", "null", "none"].contains(&word.as_str())).then(|| word.into())
}

/// Returns the sentiment if it is a word. `true` means only that the analysis succeeded.
fn sentiment(verdict: &Value) -> Option<Cow<'static, str>> {
    let word = verdict.as_str().filter(|word| *word != "not_applicable")?;
    Some(Cow::Owned(word.to_owned()))
}

/// Flattens collected variables, which arrive by name or grouped by agent id. An object without a `value`
/// is an agent's group, since collected values are texts. Variables without a value are dropped.
fn collected(variables: &decision::Object) -> decision::Object {
    let mut flattened = decision::Object::new();
    let mut put = |name: &str, value: &Value| {
        let bare = value.as_object().filter(|object| is_wrapped(object));
        let bare = bare.map_or(value, |object| &object["value"]);
        if !bare.is_null() {
            flattened.insert(name.to_owned(), bare.clone());
        }
    };
    for (name, value) in variables {
        if let Some(agents) = value.as_object().filter(|object| !is_wrapped(object)) {
            agents.iter().for_each(|(name, value)| put(name, value));
        } else {
            put(name, value);
        }
    }
    flattened
}

/// Returns whether an object has the form `{"value": "Julian", "collected": true}`. An agent's group may
/// contain a variable named `value`, which is an object itself.
fn is_wrapped(object: &decision::Object) -> bool {
    let inner = object.get("value");
    inner.is_some_and(|inner| inner.get("value").is_none())
}

/// Parses parameters and results of actions that are strings containing JSON.
fn parse_embedded_json(mut actions: decision::Object) -> decision::Object {
    const FIELDS: [&str; 3] = ["parameters_hard_coded", "parameters_from_llm", "return_value"];
    for action in actions.values_mut() {
        for field in FIELDS {
            let Some(value) = action.get_mut(field) else { continue };
            let inner = value.as_str().and_then(|text| serde_json::from_str(text).ok());
            if let Some(inner) = inner.filter(|inner: &Value| inner.is_object() || inner.is_array())
            {
                *value = inner;
            }
        }
    }
    actions
}

/// The value of `call_inbound` in the reply.
struct Inbound<'d, 't>(&'d Decision<'t>);

impl Serialize for Inbound<'_, '_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0.outcome() {
            Outcome::Reject(_) => return map.end(),
            Outcome::Agent(SelectedAgent { id, .. }) => {
                map.serialize_entry("override_model_id", id)?
            }
            Outcome::Transfer(_) | Outcome::Keep(_) => {
                map.serialize_entry("override_model_id", "")?
            }
        }
        let additions = self.0.additions();
        if !additions.variables.is_empty() {
            map.serialize_entry("custom_variables", &json::Variables(&additions.variables))?;
        }
        if let Some(metadata) = &additions.metadata {
            map.serialize_entry("metadata", metadata.as_ref())?;
        }
        map.end()
    }
}
