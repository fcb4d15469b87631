//! Call events, with the same fields for every platform.
//!
//! A dialect fills in the fields that the body contains and leaves the rest empty. Borrows from the
//! body; the transcript, its largest part, is never parsed.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use super::call::Channel;
use super::decision::Object;
use super::json;
use super::json::IsRemoved;
use super::party::Party;

/// An event in the life of a call. Every field except `kind` and `known` can be missing: platforms add
/// fields over time. `docs/platforms/` maps the fields of each platform to these.
#[derive(Clone, PartialEq, Default, Serialize)]
pub struct Event<'a> {
    /// Kind of event in the platform's terms; `post_call` if the platform sends none (Synthflow).
    #[serde(skip)]
    pub kind: Cow<'a, str>,
    /// Whether the dialect knows this kind.
    #[serde(skip)]
    pub known: bool,
    /// Channel of the call, if the body reveals it.
    #[serde(skip)]
    pub channel: Option<Channel>,
    /// Id of the call or chat.
    #[serde(skip)]
    pub call_id: Option<Cow<'a, str>>,
    /// Distinguishes events of the same kind and call; identical on a retry. `None` if a call has at
    /// most one such event. (Retell: `start_timestamp` of a transfer; empty if absent.)
    #[serde(skip)]
    pub part: Option<Cow<'a, str>>,
    /// The platform's own id of the event, which is identical on every retry. `None` if the platform sends
    /// none; then the fields above identify the event.
    #[serde(skip)]
    pub event_id: Option<Cow<'a, str>>,
    /// Whether the latest event of this kind replaces earlier ones of the same call, because it contains
    /// everything that they contained (Retell: `transcript_updated`).
    #[serde(skip)]
    pub last_counts: bool,
    /// Time of sending according to the platform, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_timestamp_ms: Option<i64>,
    /// Record id under [`RECORD_ID_KEY`](crate::dialect::RECORD_ID_KEY) in the metadata that the platform returns.
    #[serde(skip)]
    pub record_id: Option<Cow<'a, str>>,
    /// The caller, or `None` if the body does not contain one. A caller without a number is
    /// [`Party::Withheld`].
    #[serde(skip)]
    pub from: Option<Party>,
    /// The called number, or `None` if the body does not contain one.
    #[serde(skip)]
    pub to: Option<Party>,
    /// Platform id of the agent that handled the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<Cow<'a, str>>,
    /// Version of that agent: a number as text, or a tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<Cow<'a, str>>,
    /// Status of the call in the platform's terms (Retell: `ongoing`, `ended`; Synthflow:
    /// `completed`, `no-answer`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Cow<'a, str>>,
    /// Direction in the platform's terms: `inbound` or `outbound`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Cow<'a, str>>,
    /// Start of the call, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<i64>,
    /// End of the call, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<i64>,
    /// Duration of the call, in milliseconds. Synthflow reports whole seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// Reason for the end of the call in the platform's terms (Retell: `user_hangup`; Synthflow: `agent_goodbye`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<Cow<'a, str>>,
    /// Cost of the call in the platform's unit (Retell: US cents; Vapi: US dollars).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// Summary of the call, written by a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Cow<'a, str>>,
    /// Sentiment of the caller in the platform's terms, in lower case: `positive`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentiment: Option<Cow<'a, str>>,
    /// Whether the agent achieved its goal, as judged by a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successful: Option<bool>,
    /// Whether voicemail answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voicemail: Option<bool>,
    /// URL of the recording. Anyone who has it can listen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording_url: Option<Cow<'a, str>>,
    /// Metadata of the reply, as returned by the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Object>,
    /// Variables of the call: the initial ones, overwritten by those that the agent collected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variables: Option<Object>,
    /// Analysis by a model, as the platform sends it; for Synthflow with verdicts as booleans or lower-case
    /// words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Object>,
    /// Actions that the agent executed, by name (Synthflow). Texts that contain JSON are parsed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions: Option<Object>,
}

impl<'a> Event<'a> {
    /// Returns whether the event says that the agent called.
    pub fn is_outbound(&self) -> bool {
        self.direction.as_deref().is_some_and(|word| word.eq_ignore_ascii_case("outbound"))
    }

    /// Replaces the values of some keys by `null`, at any depth of the columns that are objects.
    pub fn remove_values(&mut self, is_removed: IsRemoved) {
        let Event { metadata, variables, analysis, actions, .. } = self;
        for (name, column) in [
            ("metadata", metadata),
            ("variables", variables),
            ("analysis", analysis),
            ("actions", actions),
        ] {
            if let Some(object) = column {
                json::remove_values(name, object, is_removed);
            }
        }
    }

    /// Creates an event that has a kind and no other field.
    pub fn new(kind: impl Into<Cow<'a, str>>, known: bool) -> Event<'a> {
        Event { kind: kind.into(), known, ..Event::default() }
    }
}

/// Omits the content of the call, which can contain any personal data.
impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("kind", &self.kind)
            .field("known", &self.known)
            .field("call_id", &self.call_id)
            .field("part", &self.part)
            .field("from", &self.from)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}
