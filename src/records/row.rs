//! What a record holds: a row of calls, a row of events, and the shape in which they are written.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::NumberPolicy;
use super::redact::Redactor;
use crate::dialect::Event;
use crate::domain::call::{Call, Platform, Version};
use crate::domain::decision::{Decision, Object, Outcome};
use crate::domain::phone_number::Party;

/// A call and what was answered, as it was recorded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CallRecord {
    /// UUIDv7: its first bits are the time.
    pub id: Uuid,
    /// When the call came in.
    pub at: Timestamp,
    /// The source of the settings that asked.
    pub source: String,
    /// Its platform.
    pub platform: String,
    /// `call` or `sms`.
    pub channel: String,
    /// The platform's id of the call; where the request had none, that of its first event.
    pub call_id: Option<String>,
    /// Who rang: a number, `withheld`, or a text; masked or hashed where the settings say so.
    pub from: String,
    /// What was dialled.
    pub to: String,
    /// `agent`, `reject` or `keep`.
    pub outcome: String,
    /// The rule that decided.
    pub rule: Option<String>,
    /// The agent that was chosen, by its name in the table.
    pub agent: Option<String>,
    /// Which table answered.
    pub fingerprint: String,
    /// How often the platform delivered it.
    pub attempts: i64,
    /// Everything else.
    #[serde(flatten)]
    pub details: Details<'static>,
}

impl CallRecord {
    /// For programs.
    pub fn to_json(&self) -> Object {
        object(serde_json::to_value(self))
    }
}

fn object(value: serde_json::Result<Value>) -> Object {
    match value {
        Ok(Value::Object(object)) => object,
        Ok(_) | Err(_) => unreachable!("a record is an object with texts for keys"),
    }
}

/// What is known of a call besides what records are searched by. What is not there is left out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Details<'a> {
    /// How numbers are kept in this record: `full`, `masked` or `hashed`.
    pub numbers: Cow<'a, str>,
    /// The agent that the number has at the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_in: Option<Cow<'a, str>>,
    /// The version of that agent: a number or a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_version_in: Option<Value>,
    /// Why it was rejected or kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Cow<'a, str>>,
    /// The id of the chosen agent at the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<Cow<'a, str>>,
    /// The version that was pinned: a number or a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<Value>,
    /// The arm of the rule's split, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arm: Option<usize>,
    /// The rules that added something, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added_by: Vec<Cow<'a, str>>,
    /// The variables that were sent.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub variables: Texts<'a>,
    /// The metadata that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Cow<'a, Object>>,
    /// The settings of the agent that were sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_override: Option<Cow<'a, Object>>,
    /// How long it was to ring.
    #[serde(skip_serializing_if = "is_zero")]
    pub delay_ms: u64,
    /// The SIP headers that came.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub sip: Texts<'a>,
    /// From the arrival of the request to the decision, in microseconds.
    pub latency_us: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Names and texts, in order; an object in JSON.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Texts<'a>(pub Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl Texts<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Texts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Texts<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Vec<(Cow<'static, str>, Cow<'static, str>)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    entries.push((name.into(), value.into()));
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_map(Entries).map(Texts)
    }
}

/// A call that was just answered.
#[derive(Clone, Copy)]
pub struct NewCall<'a> {
    /// Of the record.
    pub id: Uuid,
    /// When the call came in.
    pub at: Timestamp,
    /// Who asked.
    pub call: &'a Call<'a>,
    /// What was answered.
    pub decision: &'a Decision<'a>,
    /// Which table answered.
    pub fingerprint: &'a str,
    /// From the arrival of the request to the decision.
    pub latency_us: u64,
}

/// A row of calls, ready to be written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CallRow {
    pub(crate) id: Uuid,
    pub(crate) delivery: String,
    /// All columns but the attempts, in the order of [`CallRow::COLUMNS`]: a JSON array.
    pub(crate) columns: String,
}

impl CallRow {
    /// As they stand in [`CallRow::columns`]; `at_ms` is the only one that is a number.
    pub(crate) const COLUMNS: [&str; 14] = [
        "id",
        "delivery",
        "at_ms",
        "source",
        "platform",
        "channel",
        "call_id",
        "from_party",
        "to_party",
        "outcome",
        "rule",
        "agent",
        "fingerprint",
        "details",
    ];

    pub(crate) fn of(answered: NewCall<'_>, numbers: &NumberPolicy) -> CallRow {
        let NewCall { id, at, call, decision, fingerprint, .. } = answered;
        let hiding = numbers.hiding([call.from(), call.to()]);
        let (from, to) = (numbers.kept(call.from()), numbers.kept(call.to()));
        let delivery = delivery(call, at, [&from, &to], &hiding);
        let agent = match decision.outcome() {
            Outcome::Agent(chosen) => Some(chosen.name),
            Outcome::Reject(_) | Outcome::Keep(_) => None,
        };
        let columns = (
            id,
            &delivery,
            at.as_millisecond(),
            call.source(),
            call.platform().as_str(),
            call.channel().as_str(),
            call.call_id().map(|id| hiding.id(id)),
            &from,
            &to,
            decision.outcome().as_str(),
            decision.rule(),
            agent,
            fingerprint,
            details(answered, numbers.word(), &hiding),
        );
        let columns = serde_json::to_string(&columns).expect("plain JSON into memory");
        CallRow { id, delivery, columns: storable_json(columns) }
    }
}

fn details<'a>(answered: NewCall<'a>, numbers: &'static str, hiding: &Redactor) -> Details<'a> {
    let NewCall { call, decision, latency_us, .. } = answered;
    let added = decision.additions();
    let (why, chosen) = match decision.outcome() {
        Outcome::Agent(chosen) => (None, Some(chosen)),
        Outcome::Reject("") => (None, None),
        Outcome::Reject(reason) => (Some(*reason), None),
        Outcome::Keep(kept) => (Some(kept.as_str()), None),
    };
    let object = |object: &'a Option<Cow<'a, Object>>| {
        object.as_deref().map(|object| hidden(object, hiding))
    };
    Details {
        numbers: numbers.into(),
        agent_in: call.agent().map(|agent| hiding.id(agent)),
        agent_version_in: call.agent_version().map(version),
        why: why.map(Cow::Borrowed),
        agent_id: chosen.map(|chosen| chosen.id.into()),
        agent_version: chosen.and_then(|chosen| chosen.version).map(version),
        arm: decision.arm(),
        added_by: added.rules.iter().map(|rule| Cow::Borrowed(*rule)).collect(),
        variables: Texts(
            added.variables.iter().map(|one| (one.name.into(), hiding.text(&one.value))).collect(),
        ),
        metadata: object(&added.metadata),
        agent_override: object(&added.agent_override),
        delay_ms: added.delay.as_millis() as u64,
        sip: Texts(
            call.sip_headers().map(|(name, value)| (hiding.id(name), hiding.text(value))).collect(),
        ),
        latency_us,
    }
}

/// The same where numbers are kept in full.
fn hidden<'a>(object: &'a Object, hiding: &Redactor) -> Cow<'a, Object> {
    if hiding.is_off() {
        return Cow::Borrowed(object);
    }
    let mut object = object.clone();
    hiding.object(&mut object);
    Cow::Owned(object)
}

fn version(version: &Version) -> Value {
    match version {
        Version::Number(number) => (*number).into(),
        Version::Tag(tag) => (**tag).into(),
    }
}

/// What tells a delivery from all others, in 32 digits. Where the platform sends neither a call id
/// nor a timestamp, the same parties within a minute count as one call.
fn delivery(call: &Call<'_>, at: Timestamp, numbers: [&str; 2], hiding: &Redactor) -> String {
    if let Some(call_id) = call.call_id() {
        return delivery_of(call.source(), call_id);
    }
    let when = call.event_timestamp_ms().unwrap_or_else(|| at.as_second().div_euclid(60));
    let channel = call.channel().as_str();
    let [from, to] = numbers;
    // As whoever remembers answers tells them apart, but by what is kept: a hash of a number tells
    // the number to whoever tries them all.
    let headers = call.sip_headers().flat_map(|(name, value)| [name.into(), hiding.text(value)]);
    let headers: Vec<Cow<'_, str>> = headers.collect();
    let when = when.to_string();
    let parts = ["call", call.source(), channel, from, to, &when];
    digest(parts.into_iter().chain(headers.iter().map(|text| &**text)))
}

/// That of the call with this id.
pub(crate) fn delivery_of(source: &str, call_id: &str) -> String {
    digest(["call id", source, call_id])
}

fn digest<'p>(parts: impl IntoIterator<Item = &'p str>) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    hex::encode(&digest.finalize()[..16])
}

/// JSON without the one character that PostgreSQL does not take.
fn storable_json(json: String) -> String {
    // It may be a backslash and letters: then nothing changes.
    if !json.contains("\\u0000") {
        return json;
    }
    let value = serde_json::from_str(&json).map(without_nul);
    value.map_or(json, |value| value.to_string())
}

fn without_nul(value: Value) -> Value {
    let own = |text: String| storable(&text).into_owned();
    match value {
        Value::String(text) => Value::String(own(text)),
        Value::Array(list) => list.into_iter().map(without_nul).collect(),
        Value::Object(object) => {
            object.into_iter().map(|(key, value)| (own(key), without_nul(value))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

/// A text without the one character that PostgreSQL does not take.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// Something that became of a call, as it was recorded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventRecord {
    /// UUIDv7: its first bits are the time.
    pub id: Uuid,
    /// When it came in.
    pub at: Timestamp,
    /// The source of the settings that told.
    pub source: String,
    /// Its platform.
    pub platform: String,
    /// What happened, in the platform's word.
    pub kind: String,
    /// The platform's id of the call.
    pub call_id: Option<String>,
    /// The record of the call, when it is known.
    pub call: Option<Uuid>,
    /// How often the platform delivered it.
    pub attempts: i64,
    /// What the platform tells, in columns of the same names for all platforms.
    #[serde(flatten)]
    pub columns: Object,
    /// The whole body as it came; with numbers masked where records keep no numbers.
    pub body: String,
}

impl EventRecord {
    /// For programs. A body that is JSON is an object in it, else a text.
    pub fn to_json(&self) -> Object {
        let mut object = object(serde_json::to_value(self));
        if let Ok(body) = serde_json::from_str::<Value>(&self.body) {
            object.insert("body".to_owned(), body);
        }
        object
    }
}

/// An event that was just told.
#[derive(Clone, Copy)]
pub struct NewEvent<'a> {
    /// Of the record.
    pub id: Uuid,
    /// When it came in.
    pub at: Timestamp,
    /// The source of the settings that told.
    pub source: &'a str,
    /// Its platform.
    pub platform: Platform,
    /// What the dialect read of it.
    pub event: &'a Event<'a>,
    /// The whole body.
    pub body: &'a [u8],
}

/// A row of events, ready to be written, and what finds its call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EventRow {
    pub(crate) id: Uuid,
    pub(crate) delivery: String,
    pub(crate) at_ms: i64,
    pub(crate) source: String,
    pub(crate) platform: &'static str,
    pub(crate) kind: String,
    pub(crate) call_id: Option<String>,
    /// The delivery of the call that has this id.
    pub(crate) call_delivery: Option<String>,
    pub(crate) sent_ms: Option<i64>,
    /// A JSON object.
    pub(crate) details: String,
    pub(crate) body: String,
    /// It takes the place of an earlier one of the same delivery.
    pub(crate) last_counts: bool,
    /// The record of the call, as its stamp says.
    pub(crate) stamp: Option<Uuid>,
    /// None also when the caller showed no number: such callers are all alike.
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    /// When the call came in, as far as the event knows.
    pub(crate) began_ms: i64,
}

impl EventRow {
    pub(crate) fn of(told: NewEvent<'_>, numbers: &NumberPolicy) -> EventRow {
        let NewEvent { id, at, source, platform, event, body } = told;
        let kept = |party: &Option<Party>| {
            let shown = party.as_ref().filter(|party| **party != Party::Withheld);
            shown.map(|party| storable(&numbers.kept(party)).into_owned())
        };
        let hiding = numbers.hiding(event.from.iter().chain(&event.to));
        let own = |text: &str| storable(text).into_owned();
        let call_id = event.call_id.as_deref().filter(|id| !id.is_empty());
        let kept_body = own(&body_as_kept(body, &hiding));
        // A hash of the body as it came would tell its numbers to whoever tries them all.
        let what_came = if hiding.is_off() { body } else { kept_body.as_bytes() };
        EventRow {
            id,
            delivery: delivery_of_event(event, source, call_id, what_came),
            at_ms: at.as_millisecond(),
            source: source.to_owned(),
            platform: platform.as_str(),
            kind: own(&hiding.id(&event.kind)),
            call_id: call_id.map(|id| own(&hiding.id(id))),
            call_delivery: call_id.map(|id| delivery_of(source, id)),
            sent_ms: event.event_timestamp_ms,
            details: EventColumns::of(event, numbers, &hiding).to_json(),
            body: kept_body,
            last_counts: event.last_counts,
            stamp: event.stamp.as_deref().and_then(|stamp| stamp.parse().ok()),
            from: kept(&event.from),
            to: kept(&event.to),
            began_ms: event.start_ms.unwrap_or(at.as_millisecond()),
        }
    }
}

/// An event without a call id, or of a kind that nobody knows, is the same when its body is. So is
/// one of which a call may have several: what tells them apart is not known well enough.
fn delivery_of_event(
    event: &Event<'_>,
    source: &str,
    call_id: Option<&str>,
    body: &[u8],
) -> String {
    let kind = &*event.kind;
    match (call_id, &event.part) {
        (Some(call_id), None) if event.known => digest(["event", source, kind, call_id]),
        (Some(_) | None, Some(_) | None) => {
            let body = hex::encode(Sha256::digest(body));
            digest(["event body", source, kind, &body])
        }
    }
}

fn body_as_kept<'b>(body: &'b [u8], hiding: &Redactor) -> Cow<'b, str> {
    if hiding.is_off() {
        return String::from_utf8_lossy(body);
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(mut value) => {
            hiding.value(&mut value);
            value.to_string().into()
        }
        // A dialect reads more than this does: lone surrogates, and what is nested very deep.
        Err(_) => hiding.text(&String::from_utf8_lossy(body)).into_owned().into(),
    }
}

/// The columns of an event, in the order in which they are shown. What is not there is left out.
#[derive(Serialize)]
struct EventColumns<'a> {
    numbers: &'static str,
    known: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_timestamp_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_version: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_reason: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sentiment: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    successful: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    voicemail: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recording_url: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variables: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    analysis: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actions: Option<Value>,
}

impl<'a> EventColumns<'a> {
    fn of(event: &'a Event<'a>, numbers: &NumberPolicy, hiding: &Redactor) -> EventColumns<'a> {
        let object = |object: &Option<Object>| {
            let mut object = object.clone()?;
            hiding.object(&mut object);
            Some(Value::Object(object))
        };
        let text = |text: &'a Option<Cow<'a, str>>| text.as_deref().map(|text| hiding.text(text));
        let word = |word: &'a Option<Cow<'a, str>>| word.as_deref().map(|word| hiding.id(word));
        EventColumns {
            numbers: numbers.word(),
            known: event.known,
            from: event.from.as_ref().map(|party| numbers.kept(party)),
            to: event.to.as_ref().map(|party| numbers.kept(party)),
            event_timestamp_ms: event.event_timestamp_ms,
            agent: word(&event.agent),
            agent_version: word(&event.agent_version),
            status: word(&event.status),
            direction: word(&event.direction),
            start_ms: event.start_ms,
            end_ms: event.end_ms,
            duration_ms: event.duration_ms,
            end_reason: word(&event.end_reason),
            cost: event.cost,
            summary: text(&event.summary),
            sentiment: word(&event.sentiment),
            successful: event.successful,
            voicemail: event.voicemail,
            recording_url: text(&event.recording_url),
            metadata: object(&event.metadata),
            variables: object(&event.variables),
            analysis: object(&event.analysis),
            actions: object(&event.actions),
        }
    }

    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain JSON into memory")
    }
}
