//! Records: calls and events as they are read, and the rows in which they are written.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::NumberPolicy;
use super::redact::Redactor;
use crate::dialect::Event;
use crate::domain::call::{Call, Channel, Platform, Version};
use crate::domain::decision::{Decision, Object, Outcome, Variable};
use crate::domain::facts::{LookupAnswer, LookupState};
use crate::domain::party::Party;
use crate::rules::Snapshot;

/// The files of a rule table when it began to decide calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSnapshot {
    /// Fingerprint of the table.
    pub fingerprint: String,
    /// Time of the first decision.
    pub at: Timestamp,
    /// Text of the files.
    pub files: Snapshot,
}

/// A recorded call with its decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    /// Id of the record, a UUIDv7: its first 48 bits are the time.
    pub id: Uuid,
    /// Identifies the delivery. Only exports show it.
    #[serde(skip_serializing)]
    pub dedup_key: String,
    /// Time of arrival.
    pub at: Timestamp,
    /// Name of the source.
    pub source: String,
    /// Platform of the source.
    pub platform: String,
    /// `call` or `sms`.
    pub channel: String,
    /// The platform's id of the call; where the request had none, that of its first event.
    pub call_id: Option<String>,
    /// Caller: a number, `withheld`, or a text; masked or hashed where the settings say so.
    pub from: String,
    /// Called number.
    pub to: String,
    /// `agent`, `reject`, `transfer` or `keep`.
    pub outcome: String,
    /// The rule that decided.
    pub rule: Option<String>,
    /// Name of the selected agent in the rules.
    pub agent: Option<String>,
    /// Fingerprint of the rule table that decided.
    pub fingerprint: String,
    /// Number of deliveries.
    pub attempts: i64,
    /// All other fields.
    #[serde(flatten)]
    pub details: Details<'static>,
}

impl CallRecord {
    /// Returns whether the call received the fallback reply: it has neither a rule nor the reason `no_rule`.
    pub fn is_fallback(&self) -> bool {
        let no_rule = self.outcome == "keep" && self.details.reason.as_deref() == Some("no_rule");
        self.rule.is_none() && !no_rule
    }

    /// Returns the record as a JSON object.
    pub fn to_json(&self) -> Object {
        object(serde_json::to_value(self))
    }

    /// Returns the record as an item of a list: a JSON object with the type of the call's last event,
    /// or null without one.
    pub fn to_list_item(&self, last_event: Option<&String>) -> Value {
        let mut object = self.to_json();
        object.insert("last_event".to_owned(), last_event.cloned().into());
        Value::Object(object)
    }
}

fn object(value: serde_json::Result<Value>) -> Object {
    match value {
        Ok(Value::Object(object)) => object,
        Ok(_) | Err(_) => unreachable!("a record is an object with texts for keys"),
    }
}

/// Fields of a call that records are not searched by. Fields without a value are left out of JSON.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Details<'a> {
    /// Form of the numbers in this record: `full`, `masked` or `hashed`.
    pub numbers: Cow<'a, str>,
    /// Agent that the platform would use by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_in: Option<Cow<'a, str>>,
    /// Version of that agent: a number or a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_version_in: Option<Value>,
    /// Reason of a rejection, or for keeping the platform's agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'a, str>>,
    /// Id of the selected agent at the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<Cow<'a, str>>,
    /// Pinned version of the agent: a number or a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<Value>,
    /// Arm of the rule's split, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arm: Option<usize>,
    /// Names of the rules that added something, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added_by: Vec<Cow<'a, str>>,
    /// Variables of the reply.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub variables: Texts<'a>,
    /// Metadata of the reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Cow<'a, Object>>,
    /// Agent settings of the reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_override: Option<Cow<'a, Object>>,
    /// Ringing time before the reply.
    #[serde(skip_serializing_if = "is_zero")]
    pub delay_ms: u64,
    /// Look-ups that were asked, in the order of their answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lookups: Vec<AskedLookup<'a>>,
    /// SIP headers of the request.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub sip: Texts<'a>,
    /// The platform's id of the called number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_id: Option<Cow<'a, str>>,
    /// Further facts that the platform sent.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub attributes: Texts<'a>,
    /// Number or SIP address to which the call was transferred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<Cow<'a, str>>,
    /// Text that the caller heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub say: Option<Cow<'a, str>>,
    /// SIP headers of the reply.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub sip_headers: Texts<'a>,
    /// Time from the arrival of the request to the decision, in microseconds.
    pub latency_us: u64,
}

/// A look-up that was asked about a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AskedLookup<'a> {
    /// Name in the rule table.
    pub name: Cow<'a, str>,
    /// How it ended: `found`, `empty`, `late`, `failed`, `suspended` or `not_asked`.
    pub state: Cow<'a, str>,
    /// Time for which the call waited, in microseconds.
    pub took_us: u64,
    /// The answer came from the cache.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cached: bool,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Cow<'a, str>>,
    /// What it found, where the settings keep that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Cow<'a, Value>>,
}

fn is_false(flag: &bool) -> bool {
    !flag
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

/// A call that was just decided.
#[derive(Clone, Copy)]
pub struct NewCall<'a> {
    /// Id of the record.
    pub id: Uuid,
    /// Time of arrival.
    pub at: Timestamp,
    /// The call.
    pub call: &'a Call<'a>,
    /// The decision.
    pub decision: &'a Decision<'a>,
    /// Fingerprint of the rule table that decided.
    pub fingerprint: &'a str,
    /// Look-ups that were asked, with their names.
    pub lookups: &'a [(&'a str, &'a LookupAnswer)],
    /// Time from the arrival of the request to the decision, in microseconds.
    pub latency_us: u64,
}

/// Identifies a delivery in the store: 16 characters, 96 bits. Replicas compute the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeliveryKey([u8; 16]);

impl DeliveryKey {
    fn new(hash: &[u8]) -> DeliveryKey {
        let mut key = [0; 16];
        URL_SAFE_NO_PAD.encode_slice(&hash[..12], &mut key).expect("12 bytes have 16 characters");
        DeliveryKey(key)
    }

    /// Returns the key of a call, which all its deliveries share. `None` if nothing tells them from other
    /// calls.
    pub(crate) fn of_call(
        call: &Call<'_>,
        at: Timestamp,
        numbers: &NumberPolicy,
    ) -> Option<DeliveryKey> {
        if !call.is_distinguishable() {
            return None;
        }
        let redactor = numbers.redactor([Some(call.from()), Some(call.to())]);
        Some(dedup_key(call, Uuid::nil(), at, numbers, &redactor))
    }

    /// Returns the key in a column, which an import may have filled with any text.
    pub(crate) fn of_column(text: &str) -> DeliveryKey {
        match text.as_bytes().try_into() {
            Ok(key) if text.is_ascii() => DeliveryKey(key),
            Ok(_) | Err(_) => DeliveryKey::new(&digest([text])),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("base64 is ASCII")
    }
}

/// A row of `calls`, ready to be written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CallRow {
    pub(crate) id: Uuid,
    /// Identifies the delivery.
    pub(crate) dedup_key: DeliveryKey,
    pub(crate) at_ms: i64,
    pub(crate) source: String,
    pub(crate) platform: &'static str,
    pub(crate) channel: &'static str,
    pub(crate) call_id: Option<String>,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) outcome: &'static str,
    pub(crate) rule: Option<String>,
    pub(crate) agent: Option<String>,
    pub(crate) fingerprint: String,
    /// [`Details`] as JSON.
    pub(crate) details: String,
}

impl CallRow {
    /// The columns in the order in which rows are written and read.
    pub(crate) const COLUMNS: [&'static str; 14] = [
        "id",
        "dedup_key",
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

    pub(crate) fn new(
        new_call: NewCall<'_>,
        numbers: &NumberPolicy,
        keeps_lookups: bool,
    ) -> CallRow {
        let NewCall { id, at, call, decision, fingerprint, .. } = new_call;
        let redactor = numbers.redactor([Some(call.from()), Some(call.to())]);
        let (from, to) = (numbers.stored(call.from()), numbers.stored(call.to()));
        let agent = match decision.outcome() {
            Outcome::Agent(selected) => Some(own(selected.name)),
            Outcome::Reject(_) | Outcome::Transfer(_) | Outcome::Keep(_) => None,
        };
        let mut details = details(new_call, numbers.as_str(), &redactor);
        // An answer about a caller can contain the number in any form.
        let keeps_lookups = keeps_lookups && numbers.stores_full();
        details.lookups =
            new_call.lookups.iter().map(|asked| asked_lookup(asked, keeps_lookups)).collect();
        let details = serde_json::to_string(&details).expect("plain JSON into memory");
        CallRow {
            id,
            dedup_key: dedup_key(call, id, at, numbers, &redactor),
            at_ms: at.as_millisecond(),
            source: own(call.source()),
            platform: call.platform().as_str(),
            channel: call.channel().as_str(),
            call_id: call.call_id().map(|id| own(&redactor.id(id))),
            from: own(&from),
            to: own(&to),
            outcome: decision.outcome().as_str(),
            rule: decision.rule().map(own),
            agent,
            fingerprint: own(fingerprint),
            details: storable_json(details),
        }
    }

    /// Approximate size in memory.
    pub(crate) fn bytes(&self) -> usize {
        let optional = [&self.call_id, &self.rule, &self.agent];
        let optional = optional.into_iter().flatten().map(String::len).sum::<usize>();
        let texts = [&self.source, &self.from, &self.to, &self.fingerprint, &self.details];
        size_of::<CallRow>() + optional + texts.into_iter().map(String::len).sum::<usize>()
    }

    /// An array in the order of [`CallRow::COLUMNS`].
    pub(crate) fn to_json(&self) -> String {
        let columns = (
            self.id,
            self.dedup_key.as_str(),
            self.at_ms,
            &self.source,
            self.platform,
            self.channel,
            &self.call_id,
            &self.from,
            &self.to,
            self.outcome,
            &self.rule,
            &self.agent,
            &self.fingerprint,
            &self.details,
        );
        serde_json::to_string(&columns).expect("plain JSON into memory")
    }
}

fn details<'a>(
    new_call: NewCall<'a>,
    numbers: &'static str,
    redactor: &Redactor<'_>,
) -> Details<'a> {
    let NewCall { call, decision, latency_us, .. } = new_call;
    let added = decision.additions();
    let (reason, selected) = match decision.outcome() {
        Outcome::Agent(selected) => (None, Some(selected)),
        Outcome::Reject("") => (None, None),
        Outcome::Reject(reason) => (Some(*reason), None),
        Outcome::Transfer(_) => (None, None),
        Outcome::Keep(reason) => (Some(reason.as_str()), None),
    };
    let object = |object: &'a Option<Cow<'a, Object>>| {
        object.as_deref().map(|object| redacted(object, redactor))
    };
    let texts = |variables: &'a [Variable<'a>]| {
        let texts = variables.iter();
        Texts(texts.map(|text| (text.name.into(), redactor.text(&text.value))).collect())
    };
    let transfer = match decision.outcome() {
        Outcome::Transfer(target) => Some(redactor.text(&target.unmasked()).into_owned().into()),
        Outcome::Agent(_) | Outcome::Reject(_) | Outcome::Keep(_) => None,
    };
    let sip = call.sip_headers().map(|(name, value)| (redactor.id(name), redactor.text(value)));
    let attributes = call.attributes().map(|(name, value)| (name.into(), redactor.text(value)));
    Details {
        numbers: numbers.into(),
        agent_in: call.agent().map(|agent| redactor.id(agent)),
        agent_version_in: call.agent_version().map(version),
        reason: reason.map(Cow::Borrowed),
        agent_id: selected.map(|selected| selected.id.into()),
        agent_version: selected.and_then(|selected| selected.version).map(version),
        arm: decision.arm(),
        added_by: added.rules.iter().map(|rule| Cow::Borrowed(*rule)).collect(),
        variables: texts(&added.variables),
        metadata: object(&added.metadata),
        agent_override: object(&added.agent_override),
        delay_ms: added.delay.as_millis() as u64,
        lookups: Vec::new(),
        sip: Texts(sip.collect()),
        number_id: call.number_id().map(|id| redactor.id(id)),
        attributes: Texts(attributes.collect()),
        transfer,
        say: added.say.as_deref().map(|text| redactor.text(text)),
        sip_headers: texts(&added.sip_headers),
        latency_us,
    }
}

fn asked_lookup<'a>(asked: &(&'a str, &'a LookupAnswer), keeps_value: bool) -> AskedLookup<'a> {
    let (name, answer) = *asked;
    let has_value = keeps_value && answer.state == LookupState::Found;
    AskedLookup {
        name: name.into(),
        state: answer.state.as_str().into(),
        took_us: u64::try_from(answer.took.as_micros()).unwrap_or(u64::MAX),
        cached: answer.cached,
        problem: answer.problem.as_deref().map(Cow::Borrowed),
        value: has_value.then(|| Cow::Borrowed(&*answer.value)),
    }
}

/// Borrows the object where numbers are stored in full.
fn redacted<'a>(object: &'a Object, redactor: &Redactor<'_>) -> Cow<'a, Object> {
    if redactor.is_off() {
        return Cow::Borrowed(object);
    }
    let mut object = object.clone();
    redactor.object(&mut object);
    Cow::Owned(object)
}

fn own(text: &str) -> String {
    storable(text).into_owned()
}

fn version(version: &Version) -> Value {
    match version {
        Version::Number(number) => (*number).into(),
        Version::Tag(tag) => (**tag).into(),
    }
}

/// Identifies a delivery. Where the platform sends neither a call id nor a timestamp, the same parties
/// within a minute count as one call, and each delivery of a withheld caller as a call of its own.
fn dedup_key(
    call: &Call<'_>,
    id: Uuid,
    at: Timestamp,
    numbers: &NumberPolicy,
    redactor: &Redactor<'_>,
) -> DeliveryKey {
    if let Some(call_id) = call.call_id() {
        return dedup_key_of_call_id(call.source(), call_id);
    }
    let when = match call.event_timestamp_ms() {
        Some(sent_ms) => sent_ms.to_string(),
        None if call.is_distinguishable() => at.as_second().div_euclid(60).to_string(),
        None => id.to_string(),
    };
    let channel = call.channel().as_str();
    let (from, to) = (numbers.identity(call.from()), numbers.identity(call.to()));
    // The cache of replies tells deliveries apart by the same fields. Here they are redacted: a
    // hash of a number reveals the number to anyone who tries them all.
    let headers = call.sip_headers().flat_map(|(name, value)| [name.into(), redactor.text(value)]);
    let attributes = call.attributes();
    let attributes = attributes.flat_map(|(name, value)| [name.into(), redactor.text(value)]);
    let number_id = call.number_id().map(|id| redactor.id(id));
    let headers: Vec<Cow<'_, str>> = headers.chain(number_id).chain(attributes).collect();
    let parts = ["call", call.source(), channel, &from, &to, &when];
    DeliveryKey::new(&digest(parts.into_iter().chain(headers.iter().map(|text| &**text))))
}

/// The key of the call with this id: half of it hashes the id alone, so that a call can be found by
/// its id where the source is not known.
pub(crate) fn dedup_key_of_call_id(source: &str, call_id: &str) -> DeliveryKey {
    let (id, both) = (digest(["call id", call_id]), digest(["call id", source, call_id]));
    DeliveryKey::new(&[&id[..6], &both[..6]].concat())
}

/// The first half of the keys of all calls with this id.
pub(crate) fn dedup_key_prefix(call_id: &str) -> String {
    encoded(&digest(["call id", call_id])[..6])
}

fn digest<'p>(parts: impl IntoIterator<Item = &'p str>) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// Short text that sorts as bytes and that both databases compare alike.
fn encoded(hash: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(hash)
}

/// Replaces in JSON the one character that PostgreSQL rejects, NUL.
fn storable_json(json: String) -> String {
    if !json.contains(r"\u0000") {
        return json;
    }
    // After an escaped backslash, the letters are text.
    let parts = json.split(r"\\").map(|part| part.replace(r"\u0000", r"\ufffd"));
    parts.collect::<Vec<_>>().join(r"\\")
}

/// Replaces the one character that PostgreSQL rejects, NUL.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// A recorded event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Id of the record, a UUIDv7: its first 48 bits are the time.
    pub id: Uuid,
    /// Identifies the delivery. Only exports show it.
    #[serde(skip_serializing)]
    pub dedup_key: String,
    /// Time of sending in Unix milliseconds. Only exports show it.
    #[serde(skip_serializing, default)]
    pub sent_ms: Option<i64>,
    /// Time of arrival.
    pub at: Timestamp,
    /// Name of the source.
    pub source: String,
    /// Platform of the source.
    pub platform: String,
    /// Kind of the event, in the platform's word.
    pub kind: String,
    /// The platform's id of the call.
    pub call_id: Option<String>,
    /// Id of the call's record, if the call is known.
    pub call: Option<Uuid>,
    /// Number of deliveries.
    pub attempts: i64,
    /// Fields that Switchboard reads from the body, with the same names for all platforms.
    #[serde(flatten)]
    pub columns: Object,
    /// Body as received; numbers are masked where records do not store them in full.
    pub body: String,
}

impl EventRecord {
    /// Returns the record as a JSON object, with the body as JSON if it is JSON.
    pub fn to_json(&self) -> Object {
        let mut object = object(serde_json::to_value(self));
        if let Ok(body) = serde_json::from_str::<Value>(&self.body) {
            object.insert("body".to_owned(), body);
        }
        object
    }
}

/// An event that was just received.
#[derive(Clone, Copy)]
pub struct NewEvent<'a> {
    /// Id of the record.
    pub id: Uuid,
    /// Time of arrival.
    pub at: Timestamp,
    /// Name of the source.
    pub source: &'a str,
    /// Platform of the source.
    pub platform: Platform,
    /// Fields that the dialect read.
    pub event: &'a Event<'a>,
    /// Body as received.
    pub body: &'a [u8],
}

/// A row of `events`, ready to be written, and the keys that find its call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EventRow {
    pub(crate) id: String,
    pub(crate) dedup_key: String,
    pub(crate) at_ms: i64,
    pub(crate) source: String,
    pub(crate) platform: &'static str,
    pub(crate) kind: String,
    pub(crate) call_id: Option<String>,
    /// The key of the call that has this id.
    pub(crate) call_dedup_key: Option<DeliveryKey>,
    pub(crate) sent_ms: Option<i64>,
    /// A JSON object.
    pub(crate) details: String,
    pub(crate) body: String,
    /// Replaces an earlier event of the same key.
    pub(crate) last_counts: bool,
    /// The id of the call's record, from the metadata that the platform returns.
    pub(crate) call_record_id: Option<String>,
    /// Channel of the call, if the event reveals it.
    pub(crate) channel: Option<&'static str>,
    /// None for a withheld number, too: it identifies no caller. None if the agent called: only
    /// inbound calls are decided.
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    /// Start of the call, as far as the event knows.
    pub(crate) began_ms: i64,
}

impl EventRow {
    pub(crate) fn new(new_event: NewEvent<'_>, numbers: &NumberPolicy) -> EventRow {
        let NewEvent { id, at, source, platform, event, body } = new_event;
        let stored = |party: &Option<Party>| {
            let shown = party.as_ref().filter(|party| **party != Party::Withheld);
            shown.map(|party| own(&numbers.stored(party)))
        };
        let redactor = numbers.redactor([event.from.as_ref(), event.to.as_ref()]);
        let call_id = event.call_id.as_deref().filter(|id| !id.is_empty());
        let stored_body = own(&redacted_body(body, &redactor));
        // A hash of the original body would reveal its numbers to anyone who tries them all.
        let hashed_body = if redactor.is_off() { body } else { stored_body.as_bytes() };
        let call_record_id = event.record_id.as_deref().and_then(|id| id.parse::<Uuid>().ok());
        EventRow {
            id: id.to_string(),
            dedup_key: event_dedup_key(event, source, call_id, hashed_body),
            at_ms: at.as_millisecond(),
            source: source.to_owned(),
            platform: platform.as_str(),
            kind: own(&redactor.word(&event.kind, event.known)),
            call_id: call_id.map(|id| own(&redactor.id(id))),
            call_dedup_key: call_id.map(|id| dedup_key_of_call_id(source, id)),
            sent_ms: event.event_timestamp_ms,
            details: event_details(event, numbers, &redactor),
            body: stored_body,
            last_counts: event.last_counts,
            call_record_id: call_record_id.map(|id| id.to_string()),
            channel: event.channel.map(Channel::as_str),
            from: stored(&event.from).filter(|_| !event.is_outbound()),
            to: stored(&event.to),
            began_ms: event.start_ms.unwrap_or(at.as_millisecond()),
        }
    }
}

/// Identifies an event by the platform's id of it; else by its call and kind where a call has one event of
/// the kind; else by its body.
fn event_dedup_key(event: &Event<'_>, source: &str, call_id: Option<&str>, body: &[u8]) -> String {
    let kind = &*event.kind;
    if let Some(event_id) = event.event_id.as_deref() {
        return encoded(&digest(["event id", source, kind, event_id])[..12]);
    }
    let hash = match (call_id, &event.part) {
        (Some(call_id), None) if event.known => digest(["event", source, kind, call_id]),
        (Some(_) | None, Some(_) | None) => {
            let body = hex::encode(Sha256::digest(body));
            digest(["event body", source, kind, &body])
        }
    };
    encoded(&hash[..12])
}

fn redacted_body<'b>(body: &'b [u8], redactor: &Redactor<'_>) -> Cow<'b, str> {
    if redactor.is_off() {
        return String::from_utf8_lossy(body);
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(mut value) => {
            redactor.value(&mut value);
            value.to_string().into()
        }
        // A dialect reads more than this parser: lone surrogates, and very deep nesting.
        Err(_) => redactor.text(&String::from_utf8_lossy(body)).into_owned().into(),
    }
}

/// The fields of an event in the order in which they are shown. Fields without a value are left
/// out.
#[derive(Serialize)]
struct EventDetails<'a> {
    numbers: &'static str,
    known: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Cow<'a, str>>,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

fn event_details(event: &Event<'_>, numbers: &NumberPolicy, redactor: &Redactor<'_>) -> String {
    let details = EventDetails {
        numbers: numbers.as_str(),
        known: event.known,
        from: event.from.as_ref().map(|party| numbers.stored(party)),
        to: event.to.as_ref().map(|party| numbers.stored(party)),
        event,
    };
    if redactor.is_off() {
        return serde_json::to_string(&details).expect("plain JSON into memory");
    }
    let mut columns = object(serde_json::to_value(&details));
    for (name, value) in &mut columns {
        redact_column(name, value, redactor);
    }
    Value::Object(columns).to_string()
}

/// Texts are masked thoroughly; an id keeps digits that are no number.
fn redact_column(name: &str, value: &mut Value, redactor: &Redactor<'_>) {
    match (name, value) {
        // Stored as the policy says already.
        ("numbers" | "from" | "to", _) => {}
        ("agent" | "agent_version", Value::String(id)) => *id = redactor.id(id).into_owned(),
        (_, Value::String(text)) => *text = redactor.text(text).into_owned(),
        (_, Value::Object(object)) => redactor.object(object),
        (_, Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_stored_without_nul_and_otherwise_as_it_is() {
        for (json, expected) in [
            (r#"{"a":1,"a":"x"}"#, r#"{"a":1,"a":"x"}"#),
            (r#"{"a\u0000":1,"a\u0000":"\u0000"}"#, r#"{"a\ufffd":1,"a\ufffd":"\ufffd"}"#),
            (r#""\\u0000""#, r#""\\u0000""#),
            (r#""\\\u0000\n\\\\u0000""#, r#""\\\ufffd\n\\\\u0000""#),
        ] {
            assert_eq!(storable_json(json.to_owned()), expected);
        }
    }

    #[test]
    fn the_platforms_id_of_an_event_identifies_it_whatever_its_body() {
        let key = |event_id: &'static str, kind: &'static str, body: &[u8]| {
            let event = Event { event_id: Some(event_id.into()), ..Event::new(kind, true) };
            event_dedup_key(&event, "telnyx", Some("call_1"), body)
        };
        let first = key("e1", "call.hangup", b"attempt 1");
        assert_eq!(key("e1", "call.hangup", b"attempt 2"), first);
        assert_ne!(key("e2", "call.hangup", b"attempt 1"), first);
        assert_ne!(key("e1", "call.cost", b"attempt 1"), first);
    }
}
