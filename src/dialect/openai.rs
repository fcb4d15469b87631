//! OpenAI's SIP interface: `realtime.call.incoming` and `live.transport.incoming`.
//!
//! The reply to the webhook acknowledges it and decides nothing: a call is accepted, rejected or referred by a
//! request to the API. The same call can arrive in both families of events, under different ids. So each
//! family is a platform of its own, `openai` (Realtime) and `openai-live`, which acts on its own events and
//! acknowledges the others.
//!
//! Sources: the types of the `openai` package 6.49.0 (npm) and 3.57.0 (PyPI), and OpenAI's guides of
//! November 2026. Webhooks are signed by Standard Webhooks.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    Dialect, Event, Incoming, ParseError, Presence, RenderContext, Reply, SessionKey, wire_number,
};
use crate::authenticate::{Scheme, StandardWebhooksScheme, Verified};
use crate::domain::call::{Call, Channel, Fields, Platform};
use crate::domain::capabilities::{
    Capabilities, Profile, Reject, Timing, Transfer, VariableLimits,
};
use crate::domain::decision::{Decision, Outcome, SelectedAgent, is_busy};
use crate::domain::effect::{Effect, PlatformApi, path_segment};
use crate::domain::json;
use crate::domain::json::JsonObject;
use crate::domain::party::{NumberField, NumberFormat, Party};
use crate::domain::session::SessionTemplate;
use crate::domain::sip_address::select_party;

/// The OpenAI dialect of one family of events.
pub(super) struct OpenAi {
    profile: Profile,
    family: Family,
}

/// Family of events and of the API that answers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Realtime,
    Live,
}

/// The Realtime API.
pub(super) const REALTIME: OpenAi = OpenAi::new("openai", Family::Realtime);
/// GPT-Live.
pub(super) const LIVE: OpenAi = OpenAi::new("openai-live", Family::Live);

const REALTIME_CALL: &str = "realtime.call.incoming";
const LIVE_CALL: &str = "live.transport.incoming";

const API: PlatformApi =
    PlatformApi { url: "https://api.openai.com/v1", actions: &["accept", "reject", "refer"] };

impl OpenAi {
    const fn new(name: &'static str, family: Family) -> OpenAi {
        let profile = Profile {
            platform: Platform::new(name),
            capabilities: Capabilities {
                agent: true,
                agent_version: false,
                keep: false,
                reject: Reject::Silent,
                transfer: Transfer::Possible { spoken: false, sip_headers: false },
                greeting: false,
                variables: true,
                variable_limits: VariableLimits::NONE,
                metadata: false,
                agent_override: true,
                sip_headers: false,
                keep_additions: None,
            },
            timing: Timing {
                reply_within: Duration::from_secs(2),
                timeout: None,
                silence: "the webhook is sent again for up to 72 hours; the caller hears ringing",
                // Longer than a call rings.
                retry_window: Duration::from_secs(1800),
            },
        };
        OpenAi { profile, family }
    }
}

/// Age beyond which an event is about a call that no longer rings: the webhook is sent again for days.
const MAX_AGE_S: i64 = 30;
/// SIP statuses of a rejection (RFC 3261, section 21).
const BUSY_HERE: u16 = 486;
const DECLINE: u16 = 603;

impl Family {
    /// Returns whether an event of this type is a call of this family. `live.call.incoming` is the deprecated
    /// form of `live.transport.incoming`.
    fn is_call(self, kind: &str, data: &JsonObject<'_>) -> bool {
        let is_sip = || data.text("type").is_none_or(|transport| transport == "sip");
        match self {
            Family::Realtime => kind == REALTIME_CALL,
            Family::Live => kind == "live.call.incoming" || kind == LIVE_CALL && is_sip(),
        }
    }

    /// Returns the type of the event of an incoming call.
    fn kind(self) -> &'static str {
        match self {
            Family::Realtime => REALTIME_CALL,
            Family::Live => LIVE_CALL,
        }
    }

    fn id_key(self) -> &'static str {
        match self {
            Family::Realtime => "call_id",
            Family::Live => "session_id",
        }
    }

    /// Returns the path of an action on a call. `segment` is the id of the call in a path.
    fn path(self, segment: &str, action: &str) -> String {
        match self {
            Family::Realtime => format!("/realtime/calls/{segment}/{action}"),
            Family::Live => format!("/live/sessions/{segment}/{action}"),
        }
    }

    /// Returns the body that accepts a call with a session.
    fn accept(self, mut session: Map<String, Value>) -> Value {
        let kind = match self {
            Family::Realtime => "realtime",
            Family::Live => "live",
        };
        session.remove("type");
        session.shift_insert(0, "type".to_owned(), kind.into());
        match self {
            Family::Realtime => Value::Object(session),
            Family::Live => json!({ "session": session }),
        }
    }
}

const MODEL: SessionKey = SessionKey {
    path: "model",
    presence: Presence::Required,
    accepts: is_non_empty_text,
    form: "write the name of a model: model = \"gpt-realtime-2.1\"",
};
const INSTRUCTIONS: SessionKey = SessionKey::optional(
    "instructions",
    Value::is_string,
    "write a text: instructions = \"You answer for ACME.\"",
);
const VOICE_FORM: &str = "write a table: audio = { output = { voice = \"marin\" } }";
const AUDIO: SessionKey = SessionKey::optional("audio", Value::is_object, VOICE_FORM);
const AUDIO_OUTPUT: SessionKey = SessionKey::optional("audio.output", Value::is_object, VOICE_FORM);
const VOICE: SessionKey = SessionKey::optional(
    "audio.output.voice",
    // A voice of one's own is an object with its id.
    |voice| is_non_empty_text(voice) || voice.is_object(),
    VOICE_FORM,
);
const TOOLS: SessionKey = SessionKey::optional(
    "tools",
    |tools| tools.as_array().is_some_and(|tools| tools.iter().all(is_tool)),
    "write a list of tables: tools = [{ type = \"function\", name = \"…\" }]",
);
const PROMPT_FORM: &str =
    "write the id of a stored prompt: prompt = { id = \"pmpt_…\", version = \"2\" }";

/// Keys of a session of the Realtime API.
const REALTIME_KEYS: [SessionKey; 9] = [
    MODEL,
    INSTRUCTIONS,
    SessionKey::optional(
        "prompt",
        |prompt| prompt.get("id").is_some_and(is_non_empty_text),
        PROMPT_FORM,
    ),
    SessionKey::optional("prompt.version", is_non_empty_text, PROMPT_FORM),
    SessionKey::optional(
        "prompt.variables",
        Value::is_object,
        "write a table: prompt = { id = \"pmpt_…\", variables = { name = \"{{name}}\" } }",
    ),
    AUDIO,
    AUDIO_OUTPUT,
    VOICE,
    TOOLS,
];

/// Keys of a session of GPT-Live. It has no stored prompts, and chooses the format of audio itself.
const LIVE_KEYS: [SessionKey; 8] = [
    SessionKey { form: "write the name of a model: model = \"gpt-live-1\"", ..MODEL },
    INSTRUCTIONS,
    SessionKey::refused("prompt", "remove it: GPT-Live has no stored prompts, only instructions"),
    AUDIO,
    SessionKey::refused("audio.format", "remove it: GPT-Live chooses the format"),
    AUDIO_OUTPUT,
    VOICE,
    TOOLS,
];

fn is_tool(tool: &Value) -> bool {
    tool.get("type").is_some_and(is_non_empty_text)
}

fn is_non_empty_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

impl Dialect for OpenAi {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn scheme(&self) -> Arc<dyn Scheme> {
        Arc::new(StandardWebhooksScheme::default())
    }

    fn parse<'a>(
        &self,
        request: &'a Verified,
        numbers: &NumberFormat,
    ) -> Result<Incoming<'a>, ParseError> {
        let body = json::object(request.body())?;
        let data = body.object("data");
        // A call must not be lost because its type is odd.
        let is_call = data.has("sip_headers") && data.has(self.family.id_key());
        let kind = match body.text("type") {
            None if is_call => self.family.kind().into(),
            kind => kind.ok_or(ParseError::Missing("type"))?,
        };
        let created_at = body.integer("created_at");
        let sent_at = request.signed_at().map(|signed_at| signed_at.as_second());
        let age = sent_at.zip(created_at).map(|(sent, created)| sent.saturating_sub(created));
        let still_rings = age.is_none_or(|age| age <= MAX_AGE_S);
        if self.family.is_call(&kind, &data) && still_rings {
            let fields = self.call_fields(&data, created_at, numbers);
            return Ok(Incoming::Inbound(Call::from_verified(
                request,
                self.profile.platform,
                fields,
            )));
        }
        let is_known = ["realtime.", "live."].iter().any(|start| kind.starts_with(start));
        Ok(Incoming::Event(Box::new(Event {
            channel: Some(Channel::Call),
            call_id: data.non_empty_text("call_id").or_else(|| data.non_empty_text("session_id")),
            event_timestamp_ms: created_at.and_then(|seconds| seconds.checked_mul(1000)),
            ..Event::new(kind, is_known)
        })))
    }

    fn render(&self, _: &RenderContext<'_>, _: &Decision<'_>) -> Reply {
        Reply::new(b"{}".to_vec())
    }

    fn effects(&self, context: &RenderContext<'_>, decision: &Decision<'_>) -> Vec<Effect> {
        let Some(call) = context.call else { return Vec::new() };
        let id = call.call_id();
        let segment = id.and_then(path_segment);
        let missing = segment.is_none().then_some(self.family.id_key());
        let segment = segment.unwrap_or_default();
        let effect = |action: &'static str, body: Value| Effect {
            action,
            path: self.family.path(&segment, action),
            body,
            idempotency_key: id.map(|id| format!("{id}-{action}")),
            is_idempotent: true,
            missing,
        };
        let accept = |agent: &SelectedAgent<'_>| effect("accept", self.session(agent, decision));
        let decline = |status: u16| effect("reject", json!({ "status_code": status }));
        match decision.outcome() {
            Outcome::Agent(agent) => vec![accept(agent)],
            Outcome::Reject(reason) if is_busy(reason) => vec![decline(BUSY_HERE)],
            Outcome::Reject(_) => vec![decline(DECLINE)],
            Outcome::Keep(_) => context.stand_in.map(accept).into_iter().collect(),
            // Only a call that has been accepted can be referred.
            Outcome::Transfer(target) => {
                let target = match target.unmasked() {
                    number if number.starts_with('+') => format!("tel:{number}"),
                    uri => uri.into_owned(),
                };
                let accept = context.stand_in.map(accept);
                let refer = effect("refer", json!({ "target_uri": target }));
                accept.into_iter().chain([refer]).collect()
            }
        }
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

    fn attributes(&self) -> Vec<&str> {
        vec![NAME]
    }

    fn sends_sip_headers(&self) -> bool {
        true
    }

    fn party_fields(&self) -> Option<[&'static str; 2]> {
        Some([FROM, TO])
    }

    fn session_keys(&self) -> Option<&'static [SessionKey]> {
        Some(match self.family {
            Family::Realtime => &REALTIME_KEYS,
            Family::Live => &LIVE_KEYS,
        })
    }

    fn check_agent_id(&self, _: &str) -> Result<(), String> {
        Err("an agent is the settings of a session here".to_owned())
    }

    fn agent_id_form(&self) -> &'static str {
        "{ model = \"…\", instructions = \"…\" }"
    }

    fn encode_request(&self, call: &Fields<'_>) -> Vec<u8> {
        let header = |name: &str, value: String| json!({ "name": name, "value": value });
        let own = [
            header("From", address(&call.from, "carrier.example")),
            header("To", address(&call.to, "sip.api.openai.com")),
        ];
        let is_own = |name: &str| name == FROM || name == TO;
        let sip = call.sip.iter().filter(|(name, _)| !is_own(name));
        let sip = sip.map(|(name, value)| header(name, value.to_string()));
        let mut data = Map::new();
        if self.family == Family::Live {
            data.insert("type".to_owned(), "sip".into());
        }
        data.insert(self.family.id_key().to_owned(), json!(call.call_id));
        data.insert("sip_headers".to_owned(), own.into_iter().chain(sip).collect());
        let created_at = call.event_timestamp_ms.map(|ms| ms.div_euclid(1000));
        json::to_vec(&json!({
            "object": "event", "type": self.family.kind(), "created_at": created_at, "data": data,
        }))
    }
}

const FROM: &str = "from";
const TO: &str = "to";
/// Attribute with the caller's display name.
const NAME: &str = "name";

impl OpenAi {
    fn call_fields<'a>(
        &self,
        data: &JsonObject<'a>,
        created_at: Option<i64>,
        numbers: &NumberFormat,
    ) -> Fields<'a> {
        let sip: Vec<_> = data
            .objects("sip_headers")
            .filter_map(|header| {
                let name = header.non_empty_text("name")?.to_ascii_lowercase();
                Some((Cow::Owned(name), header.text("value").unwrap_or_default()))
            })
            .collect();
        let headers = || sip.iter().map(|(name, value): &(Cow<'_, str>, _)| (&**name, &**value));
        let party = |name: &str, fields: &[NumberField]| {
            let value = headers().find(|(other, _)| *other == name).map(|(_, value)| value);
            let own = numbers.parse(value);
            select_party(fields, own, &headers(), numbers)
        };
        let from = party(FROM, &numbers.from);
        let to = party(TO, &numbers.to);
        let name = headers().find(|(name, _)| *name == FROM);
        let name = name.and_then(|(_, value)| display_name(value)).map(str::to_owned);
        let attributes = name.map(|name| (Cow::Borrowed(NAME), Cow::Owned(name)));
        Fields {
            call_id: data.non_empty_text(self.family.id_key()),
            event_timestamp_ms: created_at.and_then(|seconds| seconds.checked_mul(1000)),
            attributes: attributes.into_iter().collect(),
            from: from.party,
            to: to.party,
            readings: [from.reading, to.reading].into_iter().collect(),
            sip,
            ..Fields::unknown(Channel::Call)
        }
    }

    /// Returns the body that accepts a call: the agent's session with the variables of the decision.
    fn session(&self, agent: &SelectedAgent<'_>, decision: &Decision<'_>) -> Value {
        let additions = decision.additions();
        let value_of = |name: &str| {
            let found = additions.variables.iter().find(|variable| variable.name == name);
            found.map(|variable| &*variable.value)
        };
        // The agent's settings for this call are a part of the template, and have its variables.
        let mut settings = agent.session.map(|own| own.settings().clone()).unwrap_or_default();
        if let Some(changed) = &additions.agent_override {
            settings.extend(changed.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        let mut session = SessionTemplate::new(settings).fill(&value_of);
        // A stored prompt has its own variables, in the only place of a session that has some.
        if let Some(Value::Object(prompt)) = session.get_mut("prompt")
            && !prompt.contains_key("variables")
            && !additions.variables.is_empty()
        {
            let variables = json::Variables(&additions.variables).to_object();
            prompt.insert("variables".to_owned(), variables.into());
        }
        self.family.accept(session)
    }
}

/// Returns a party as a SIP header has it. A text stands for itself.
fn address(party: &Party, host: &str) -> String {
    match party {
        Party::Number(number) => format!("<sip:{}@{host}>", number.unmasked()),
        Party::Withheld | Party::Literal(_) => wire_number(party).into_owned(),
    }
}

/// Returns the name before the address of a header: `"Ada" <sip:…>`.
fn display_name(value: &str) -> Option<&str> {
    let (name, _) = value.rsplit_once('<')?;
    let name = name.trim().trim_matches('"').trim();
    (!name.is_empty()).then_some(name)
}
