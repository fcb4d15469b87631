//! News of a call, in columns that are the same for every platform.
//!
//! A dialect fills in what the body says and leaves the rest unknown; nothing here is made up. It
//! borrows from the body, of which the transcript, the largest part, is never taken apart.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use super::decision::Object;
use super::phone_number::Party;

/// News of a call. All of it but `kind` and `known` may be missing, for the bodies are young and
/// grow. Which field of which platform becomes what: `docs/platforms.md`.
#[derive(Clone, PartialEq, Default, Serialize)]
pub struct Event<'a> {
    /// What happened, in the platform's word; `post_call` where it has none (Synthflow).
    #[serde(skip)]
    pub kind: Cow<'a, str>,
    /// Whether this is a word that the dialect knows.
    #[serde(skip)]
    pub known: bool,
    /// The call or chat that it happened to.
    #[serde(skip)]
    pub call_id: Option<Cow<'a, str>>,
    /// What tells this one from others of its kind and call, as far as that is known; none where a
    /// call has only one (Retell: `start_timestamp` of a transfer, empty when it has none). A retry
    /// has the same.
    #[serde(skip)]
    pub part: Option<Cow<'a, str>>,
    /// Whether of this kind only the last one of a call counts, for each holds all that was in the
    /// one before (Retell: `transcript_updated`).
    #[serde(skip)]
    pub last_counts: bool,
    /// When the platform says that it was sent, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_timestamp_ms: Option<i64>,
    /// What stands under [`STAMP`](crate::dialect::STAMP) in the metadata that the platform gives back.
    #[serde(skip)]
    pub stamp: Option<Cow<'a, str>>,
    /// Who rang. None when the body does not say; a caller without a number is
    /// [`Party::Withheld`].
    #[serde(skip)]
    pub from: Option<Party>,
    /// What was dialled. None when the body does not say.
    #[serde(skip)]
    pub to: Option<Party>,
    /// The agent that had the call, by its id at the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<Cow<'a, str>>,
    /// The version of that agent: a number as text, or a tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<Cow<'a, str>>,
    /// How the call stands, in the platform's word (Retell: `ongoing`, `ended`; Synthflow:
    /// `completed`, `no-answer`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Cow<'a, str>>,
    /// `inbound` or `outbound`, in the platform's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Cow<'a, str>>,
    /// When the call began, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<i64>,
    /// When it ended, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<i64>,
    /// How long it was, in milliseconds; Synthflow says whole seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// Why it ended, in the platform's word (Retell: `user_hangup`; Synthflow: `agent_goodbye`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<Cow<'a, str>>,
    /// What it cost, in the platform's unit (Retell: US cents).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// What it was about, in a few sentences that a model wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Cow<'a, str>>,
    /// How the caller felt, in the platform's word in lower case: `positive`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentiment: Option<Cow<'a, str>>,
    /// Whether the agent did what it was there for, as a model judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successful: Option<bool>,
    /// Whether a machine answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voicemail: Option<bool>,
    /// Where the recording is. Whoever has it can listen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording_url: Option<Cow<'a, str>>,
    /// The metadata that went along with the answer, as the platform gives it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Object>,
    /// Variables of the call: those that it began with (Retell), overwritten by those that the
    /// agent collected (both).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variables: Option<Object>,
    /// What a model made of the call: at Retell as it came, at Synthflow with verdicts as booleans
    /// or words in lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Object>,
    /// What the agent did besides talking, by name (Synthflow), with JSON in place of texts that
    /// hold JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions: Option<Object>,
}

impl<'a> Event<'a> {
    /// An event of which only its kind is known.
    pub fn of(kind: impl Into<Cow<'a, str>>, known: bool) -> Event<'a> {
        Event { kind: kind.into(), known, ..Event::default() }
    }
}

/// Without what was said in the call, which can hold anything.
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
