//! Synthflow: the inbound webhook, its set-up probe, and the post-call webhook.
//!
//! Facts: Synthflow's "Inbound call webhook" and "Post-call webhook" pages. The reply
//! `{"call_inbound":{}}`, which means "go on" elsewhere, hangs up here: `override_model_id` is
//! always there unless the call is rejected. No versions, no settings of the agent, no text
//! messages. What the post-call webhook really holds, strings with JSON and verdicts in mixed case,
//! is from public receivers.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::{Value, json};

use super::json;
use super::json::JsonObject;
use super::{Dialect, Event, Incoming, ParseError, Reply, STAMP, wire_number};
use crate::authenticate;
use crate::authenticate::{Scheme, Verified};
use crate::domain::call::{Call, Channel, Fields, Platform};
use crate::domain::decision;
use crate::domain::decision::{Decision, Outcome, SelectedAgent};
use crate::domain::phone_number::Party;

/// The dialect; it has nothing to configure.
pub(super) struct Synthflow;

const PLATFORM: Platform = Platform::named("synthflow");
const INBOUND: &str = "call_inbound";

impl Dialect for Synthflow {
    fn platform(&self) -> Platform {
        PLATFORM
    }

    fn scheme(&self) -> &'static dyn Scheme {
        &authenticate::SynthflowScheme
    }

    fn parse<'a>(&self, request: &'a Verified) -> Result<Incoming<'a>, ParseError> {
        if request.body().trim_ascii().is_empty() {
            return Ok(Incoming::Probe);
        }
        let body = json::object(request.body())?;
        let event = body.text("event");
        // Whatever the event is called: who asks about a call must not be told `{}`.
        if event.as_deref() == Some(INBOUND) || body.has(INBOUND) {
            return Ok(Incoming::Inbound(Call::from_verified(
                request,
                PLATFORM,
                inbound(&body, request),
            )));
        }
        let event = match event {
            Some(kind) => Event::new(kind, false),
            None if body.has("status") || body.has("call") => Event::new("post_call", true),
            None => return Err(ParseError::Missing("event")),
        };
        Ok(Incoming::Event(Box::new(parse_event(&body, request, event))))
    }

    fn render(&self, _: Channel, decision: &Decision<'_>) -> Reply {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(b"{\"call_inbound\":");
        json::write(&mut out, &Inbound(decision));
        out.push(b'}');
        Reply::new(out)
    }

    fn default_reply(&self, _: Channel) -> &'static str {
        r#"{"call_inbound":{"override_model_id":""}}"#
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
        json::written(&body)
    }
}

fn inbound<'a>(body: &JsonObject<'a>, request: &'a Verified) -> Fields<'a> {
    let inner = body.object(INBOUND);
    let from = Party::parse(inner.text("from_number").as_deref());
    let to = Party::parse(inner.text("to_number").as_deref());
    let call_id = request.call_id().map(Into::into);
    Fields {
        call_id: call_id.or_else(|| inner.filled("call_id")).or_else(|| body.filled("call_id")),
        event_timestamp_ms: body.integer("event_timestamp"),
        agent: inner.text("model_id"),
        from: from.party,
        to: to.party,
        plus_added: u8::from(from.plus_added) + u8::from(to.plus_added),
        ..Fields::unknown(Channel::Call)
    }
}

/// The columns of an event; `event` has its kind.
fn parse_event<'a>(body: &JsonObject<'a>, request: &'a Verified, event: Event<'a>) -> Event<'a> {
    let (call, lead) = (body.object("call"), body.object("lead"));
    let direction = call.filled("direction");
    // The lead is the other side, whoever rang whom.
    let other = lead.text("phone_number").map(|text| Party::parse(Some(&text)).party);
    let outbound = direction.as_deref().is_some_and(|word| word.eq_ignore_ascii_case("outbound"));
    let (from, to) = if outbound { (None, other) } else { (other, None) };
    let status = call.filled("status").or_else(|| body.filled("status"));
    let start_ms = call.filled("start_time").and_then(|text| moment(&text));
    let duration_ms = call.number("duration").and_then(milliseconds);
    let analysis = body.whole("analysis").map(verdicts);
    let verdict = |key: &str| analysis.as_ref().and_then(|analysis| analysis.get(key));
    let end_reason = call.filled("end_call_reason");
    let signed = request.call_id().map(Cow::from);
    Event {
        call_id: signed.or_else(|| call.filled("call_id")).or_else(|| body.filled("call_id")),
        event_timestamp_ms: body.integer("event_timestamp"),
        stamp: stamp(body, &call, &lead),
        from,
        to,
        agent: call.filled("model_id"),
        direction,
        start_ms,
        end_ms: start_ms.zip(duration_ms).and_then(|(start, long)| start.checked_add(long)),
        duration_ms,
        sentiment: verdict("user_sentiment").and_then(word),
        successful: verdict("call_completion").and_then(Value::as_bool),
        voicemail: voicemail(
            status.as_deref(),
            end_reason.as_deref(),
            verdict("answered_by_human").and_then(Value::as_bool),
        ),
        status,
        end_reason,
        recording_url: call.filled("recording_url"),
        metadata: body.whole("metadata").or_else(|| call.whole("metadata")),
        variables: body.whole("collected_variables").as_ref().map(collected),
        actions: body.whole("executed_actions").map(opened),
        analysis,
        ..event
    }
}

/// Whether the metadata of the answer comes back, and where, no document says: it is looked for
/// in the likely places, and among the variables that the call began with.
fn stamp<'a>(
    body: &JsonObject<'a>,
    call: &JsonObject<'a>,
    lead: &JsonObject<'a>,
) -> Option<Cow<'a, str>> {
    let places = [
        body.object("metadata"),
        call.object("metadata"),
        lead.object("prompt_variables"),
        call.object("custom_variables"),
        body.object("custom_variables"),
    ];
    places.iter().find_map(|place| place.filled(STAMP))
}

/// ISO 8601 with an offset, without which nobody knows the moment.
fn moment(text: &str) -> Option<i64> {
    text.trim().parse().ok().map(|at: Timestamp| at.as_millisecond())
}

fn milliseconds(seconds: f64) -> Option<i64> {
    const YEAR: f64 = 366.0 * 86_400.0;
    (0.0..=YEAR).contains(&seconds).then(|| (seconds * 1000.0).round() as i64)
}

/// A machine answered when the status or the reason says so, whatever the judge made of it;
/// otherwise the judge knows, where there is one.
fn voicemail(status: Option<&str>, end_reason: Option<&str>, human: Option<bool>) -> Option<bool> {
    const STATUS: [&str; 2] = ["left_voicemail", "hangup_on_voicemail"];
    const END_REASON: [&str; 2] = ["voicemail", "voicemail_message_left"];
    let says = |text: Option<&str>, words: [&str; 2]| {
        text.is_some_and(|text| words.iter().any(|word| text.eq_ignore_ascii_case(word)))
    };
    if says(status, STATUS) || says(end_reason, END_REASON) {
        return Some(true);
    }
    human.map(|human| !human)
}

/// Verdicts as booleans or words in lower case, in whichever capitals they came; without those
/// that are none. Feedback is written for people, and stays as it is.
fn verdicts(analysis: decision::Object) -> decision::Object {
    let read = analysis.into_iter().filter_map(|(key, value)| {
        let value = match value.as_str() {
            Some(text) if !key.ends_with("_feedback") => verdict(text)?,
            _ if value.is_null() => return None,
            _ => value,
        };
        Some((key, value))
    });
    read.collect()
}

fn verdict(text: &str) -> Option<Value> {
    if let Some(flag) = json::flag(text) {
        return Some(flag.into());
    }
    let word = text.trim().to_lowercase();
    (!["", "null", "none"].contains(&word.as_str())).then(|| word.into())
}

/// How somebody felt is a word: `true` says only that the judge was content.
fn word(verdict: &Value) -> Option<Cow<'static, str>> {
    let word = verdict.as_str().filter(|word| *word != "not_applicable")?;
    Some(Cow::Owned(word.to_owned()))
}

/// Variables by name, whether they came so or below the id of their agent. An object without a
/// `value` is an agent's: what is collected are texts. Without those that nothing was collected
/// for.
fn collected(variables: &decision::Object) -> decision::Object {
    let mut named = decision::Object::new();
    let mut put = |name: &str, value: &Value| {
        let bare = value.as_object().filter(|object| is_wrapped(object));
        let bare = bare.map_or(value, |object| &object["value"]);
        if !bare.is_null() {
            named.insert(name.to_owned(), bare.clone());
        }
    };
    for (name, value) in variables {
        if let Some(agents) = value.as_object().filter(|object| !is_wrapped(object)) {
            agents.iter().for_each(|(name, value)| put(name, value));
        } else {
            put(name, value);
        }
    }
    named
}

/// `{"value": "Julian", "collected": true}`; an agent may have a variable that is called `value`.
fn is_wrapped(object: &decision::Object) -> bool {
    let inner = object.get("value");
    inner.is_some_and(|inner| inner.get("value").is_none())
}

/// Actions whose parameters and results are JSON, whether they came as that or as texts.
fn opened(mut actions: decision::Object) -> decision::Object {
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

/// What stands under `call_inbound` in the reply.
struct Inbound<'d, 't>(&'d Decision<'t>);

impl Serialize for Inbound<'_, '_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0.outcome() {
            Outcome::Reject(_) => return map.end(),
            Outcome::Agent(SelectedAgent { id, .. }) => {
                map.serialize_entry("override_model_id", id)?
            }
            Outcome::Keep(_) => map.serialize_entry("override_model_id", "")?,
        }
        let added = self.0.additions();
        if !added.variables.is_empty() {
            map.serialize_entry("custom_variables", &json::Variables(&added.variables))?;
        }
        if let Some(metadata) = &added.metadata {
            map.serialize_entry("metadata", metadata.as_ref())?;
        }
        map.end()
    }
}
