//! Synthflow: the inbound webhook, its set-up probe, and the post-call webhook.
//!
//! Facts: Synthflow's "Inbound call webhook" and "Post-call webhook" pages. The reply
//! `{"call_inbound":{}}`, which means "go on" elsewhere, hangs up here: `override_model_id` is
//! always there unless the call is rejected. No versions, no settings of the agent, no text
//! messages.

use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::json;

use super::json::{self, Object};
use super::{Asked, Dialect, Event, Reply, Unreadable, spoken};
use crate::authenticate::{self, Scheme, Verified};
use crate::call::{Call, Channel, Fields, Platform};
use crate::decision::{self, Chosen, Decision, Outcome};
use crate::number::Party;

/// The dialect; it has nothing to configure.
pub(super) struct Synthflow;

const PLATFORM: Platform = Platform::named("synthflow");
const INBOUND: &str = "call_inbound";

impl Dialect for Synthflow {
    fn platform(&self) -> Platform {
        PLATFORM
    }

    fn scheme(&self) -> &'static dyn Scheme {
        &authenticate::Synthflow
    }

    fn parse<'a>(&self, request: &'a Verified) -> Result<Asked<'a>, Unreadable> {
        if request.body().trim_ascii().is_empty() {
            return Ok(Asked::Probe);
        }
        let body = json::object(request.body())?;
        let event = body.text("event");
        // Whatever the event is called: who asks about a call must not be told `{}`.
        if event.as_deref() == Some(INBOUND) || body.has(INBOUND) {
            return Ok(Asked::Inbound(Call::of(request, PLATFORM, inbound(&body, request))));
        }
        let call = body.object("call");
        let call_id = call.text("call_id").or_else(|| body.text("call_id"));
        match event {
            Some(kind) => Ok(Asked::Event(Event { kind, call_id, known: false })),
            None if body.has("status") || body.has("call") => {
                Ok(Asked::Event(Event { kind: "post_call".into(), call_id, known: true }))
            }
            None => Err(Unreadable::Missing("event")),
        }
    }

    fn render(&self, _: Channel, decision: &Decision<'_>) -> Reply {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(b"{\"call_inbound\":");
        json::write(&mut out, &Inbound(decision));
        out.push(b'}');
        Reply::new(out)
    }

    fn keep(&self, _: Channel) -> &'static str {
        r#"{"call_inbound":{"override_model_id":""}}"#
    }

    fn channels(&self) -> &'static [Channel] {
        &[Channel::Call]
    }

    fn ask(&self, call: &Fields<'_>) -> Vec<u8> {
        let mut inner = decision::Object::new();
        if let Some(id) = &call.call_id {
            inner.insert("call_id".to_owned(), json!(id));
        }
        if let Some(agent) = &call.agent {
            inner.insert("model_id".to_owned(), json!(agent));
        }
        inner.insert("from_number".to_owned(), json!(spoken(&call.from)));
        inner.insert("to_number".to_owned(), json!(spoken(&call.to)));
        let mut body = decision::Object::new();
        body.insert("event".to_owned(), INBOUND.into());
        body.insert(INBOUND.to_owned(), inner.into());
        json::written(&body)
    }
}

fn inbound<'a>(body: &Object<'a>, request: &'a Verified) -> Fields<'a> {
    let inner = body.object(INBOUND);
    let from = Party::read(inner.text("from_number").as_deref());
    let to = Party::read(inner.text("to_number").as_deref());
    let call_id = request.call_id().map(Into::into);
    Fields {
        call_id: call_id.or_else(|| inner.id("call_id")).or_else(|| body.id("call_id")),
        event_timestamp_ms: body.integer("event_timestamp"),
        agent: inner.text("model_id"),
        from: from.party,
        to: to.party,
        plus_added: u8::from(from.plus_added) + u8::from(to.plus_added),
        ..Fields::unknown(Channel::Call)
    }
}

/// What stands under `call_inbound` in the reply.
struct Inbound<'d, 't>(&'d Decision<'t>);

impl Serialize for Inbound<'_, '_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0.outcome() {
            Outcome::Reject(_) => return map.end(),
            Outcome::Agent(Chosen { id, .. }) => map.serialize_entry("override_model_id", id)?,
            Outcome::Keep(_) => map.serialize_entry("override_model_id", "")?,
        }
        let added = self.0.added();
        if !added.variables.is_empty() {
            map.serialize_entry("custom_variables", &json::Variables(&added.variables))?;
        }
        if let Some(metadata) = &added.metadata {
            map.serialize_entry("metadata", metadata.as_ref())?;
        }
        map.end()
    }
}
