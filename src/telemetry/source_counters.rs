//! Metrics of one source: its requests, their replies and their failures.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, counter, describe_counter};

use super::exposition::label;
use super::histogram::Histogram;
use crate::authenticate::AuthError;
use crate::domain::decision::{KeepReason, Outcome};
use crate::domain::party::ReadingCounts;
use crate::source::Source;

/// Kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// A call or text that needs a decision.
    Call,
    /// An event of a call.
    Event,
    /// A request by which the platform tests the URL.
    Probe,
}

/// Result of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOutcome {
    /// A call: the selected agent answers.
    Agent,
    /// A call: it is rejected.
    Reject,
    /// A call: the platform's default agent answers.
    Keep,
    /// A call: handling failed, and the source's fallback reply was sent.
    Fallback,
    /// A repeated delivery, answered from memory.
    Retry,
    /// An event of a documented kind.
    Accepted,
    /// An event of a kind that the dialect does not know.
    UnknownEvent,
    /// An event that could not be stored; the platform sends it again.
    NotStored,
    /// A probe.
    Probe,
    /// A request that failed authentication.
    Refused,
    /// A body that the dialect cannot parse.
    Unreadable,
}

impl RequestOutcome {
    const ALL: [RequestOutcome; 11] = [
        RequestOutcome::Agent,
        RequestOutcome::Reject,
        RequestOutcome::Keep,
        RequestOutcome::Fallback,
        RequestOutcome::Retry,
        RequestOutcome::Accepted,
        RequestOutcome::UnknownEvent,
        RequestOutcome::NotStored,
        RequestOutcome::Probe,
        RequestOutcome::Refused,
        RequestOutcome::Unreadable,
    ];

    /// Returns the labels `kind`, `outcome` and `status`, which `http::problem` maps the errors to.
    fn labels(self) -> [&'static str; 3] {
        match self {
            RequestOutcome::Agent => ["call", "agent", "200"],
            RequestOutcome::Reject => ["call", "reject", "200"],
            RequestOutcome::Keep => ["call", "keep", "200"],
            RequestOutcome::Fallback => ["call", "fallback", "200"],
            RequestOutcome::Retry => ["call", "retry", "200"],
            RequestOutcome::Accepted => ["event", "accepted", "200"],
            RequestOutcome::UnknownEvent => ["event", "unknown_event", "200"],
            RequestOutcome::NotStored => ["event", "not_stored", "503"],
            RequestOutcome::Probe => ["probe", "keep", "200"],
            RequestOutcome::Refused => ["unknown", "refused", "401"],
            RequestOutcome::Unreadable => ["unknown", "unreadable", "400"],
        }
    }
}

/// Cause of a fallback reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FallbackCause {
    /// Handling the request panicked.
    Panic,
    /// Handling the request took longer than `reply_within_ms`.
    DeadlineExceeded,
}

impl FallbackCause {
    const ALL: [FallbackCause; 2] = [FallbackCause::Panic, FallbackCause::DeadlineExceeded];

    /// Returns the label used in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            FallbackCause::Panic => "panic",
            FallbackCause::DeadlineExceeded => "deadline_exceeded",
        }
    }
}

/// Metrics of one source.
pub struct SourceCounters {
    requests: [Counter; RequestOutcome::ALL.len()],
    fallbacks: [Counter; FallbackCause::ALL.len()],
    kept: [Counter; KeepReason::ALL.len()],
    refused: [Counter; AuthError::ALL.len()],
    observed: [Counter; AuthError::ALL.len()],
    plus_added: Counter,
    completed: Counter,
    kept_as_text: Counter,
    /// Replies whose metadata was omitted.
    pub metadata_left_out: Counter,
    /// Time from the arrival of a call to its reply.
    call_seconds: Arc<Histogram>,
    /// Time from the arrival of an event to its reply.
    event_seconds: Arc<Histogram>,
}

impl SourceCounters {
    /// Registers the metrics of a source with the current recorder.
    pub(super) fn register(source: &Source) -> SourceCounters {
        let name = || source.name.to_string();
        let auth_errors = |metric: &'static str| {
            AuthError::ALL
                .map(|reason| counter!(metric, "source" => name(), "reason" => reason.as_str()))
        };
        SourceCounters {
            requests: RequestOutcome::ALL.map(|request| {
                let [kind, outcome, status] = request.labels();
                counter!("switchboard_requests_total", "source" => name(), "kind" => kind, "outcome" => outcome, "status" => status)
            }),
            fallbacks: FallbackCause::ALL.map(|cause| {
                counter!("switchboard_fallbacks_total", "source" => name(), "cause" => cause.as_str())
            }),
            kept: KeepReason::ALL.map(|reason| {
                counter!("switchboard_kept_total", "source" => name(), "reason" => reason.as_str())
            }),
            refused: auth_errors("switchboard_refused_total"),
            observed: auth_errors("switchboard_observed_total"),
            plus_added: counter!("switchboard_plus_added_total", "source" => name()),
            completed: counter!("switchboard_numbers_completed_total", "source" => name()),
            kept_as_text: counter!("switchboard_numbers_kept_as_text_total", "source" => name()),
            metadata_left_out: counter!("switchboard_metadata_left_out_total", "source" => name()),
            call_seconds: Arc::default(),
            event_seconds: Arc::default(),
        }
    }

    /// Counts the numbers of a call that were not read as they were sent.
    pub fn readings(&self, counts: ReadingCounts) {
        self.plus_added.increment(counts.plus_added.into());
        self.completed.increment(counts.completed.into());
        self.kept_as_text.increment(counts.kept_as_text.into());
    }

    /// Describes the metrics of all sources to the current recorder.
    pub(super) fn describe() {
        describe_counter!(
            "switchboard_requests_total",
            "Requests whose body was read, by kind, outcome and HTTP status"
        );
        describe_counter!("switchboard_fallbacks_total", "Fallback replies, by cause");
        describe_counter!(
            "switchboard_refused_total",
            "Requests that failed authentication, by reason"
        );
        describe_counter!(
            "switchboard_observed_total",
            "Requests accepted in observe mode that would have been refused, by reason"
        );
        describe_counter!(
            "switchboard_kept_total",
            "Calls left to the platform's own agent, by reason"
        );
        describe_counter!(
            "switchboard_plus_added_total",
            "Phone numbers that arrived without their +"
        );
        describe_counter!(
            "switchboard_numbers_completed_total",
            "Phone numbers that were completed by a country code, or shortened by an extension or (0)"
        );
        describe_counter!(
            "switchboard_numbers_kept_as_text_total",
            "Digits that may be a national number, and were kept as text"
        );
        describe_counter!(
            "switchboard_metadata_left_out_total",
            "Replies whose metadata was omitted because it exceeded the platform's limit"
        );
    }

    /// Returns the histograms of the time to reply, with their labels.
    pub(super) fn answer_seconds(&self, source: &Source) -> [(String, Arc<Histogram>); 2] {
        let histograms = [("call", &self.call_seconds), ("event", &self.event_seconds)];
        histograms.map(|(kind, histogram)| {
            let labels = [label("source", &source.name), label("kind", kind)].join(",");
            (labels, histogram.clone())
        })
    }

    /// Counts a request.
    pub fn count(&self, outcome: RequestOutcome) {
        self.requests[outcome as usize].increment(1);
    }

    /// Counts a decision.
    pub fn decided(&self, outcome: &Outcome<'_>) {
        self.count(match outcome {
            Outcome::Agent(_) => RequestOutcome::Agent,
            Outcome::Reject(_) => RequestOutcome::Reject,
            Outcome::Keep(_) => RequestOutcome::Keep,
        });
        self.kept(outcome);
    }

    /// Counts a call that received the source's fallback reply.
    pub fn fell_back(&self, cause: FallbackCause, outcome: &Outcome<'_>) {
        self.count(RequestOutcome::Fallback);
        self.fallbacks[cause as usize].increment(1);
        self.kept(outcome);
    }

    fn kept(&self, outcome: &Outcome<'_>) {
        if let Outcome::Keep(reason) = outcome {
            let at = KeepReason::ALL.iter().position(|known| known == reason);
            at.map(|at| self.kept[at].increment(1)).unwrap_or_default();
        }
    }

    /// Counts a request that failed authentication.
    pub fn refused(&self, reason: AuthError) {
        self.count(RequestOutcome::Refused);
        increment(&self.refused, reason);
    }

    /// Counts a request that observe mode accepted despite failed authentication.
    pub fn observed(&self, reason: AuthError) {
        increment(&self.observed, reason);
    }

    /// Adds the time from the arrival of a request to its reply, without `delay_ms`.
    pub fn answered(&self, kind: RequestKind, elapsed: Duration) {
        match kind {
            RequestKind::Call => self.call_seconds.record(elapsed),
            RequestKind::Event => self.event_seconds.record(elapsed),
            RequestKind::Probe => {}
        }
    }
}

fn increment(counters: &[Counter; AuthError::ALL.len()], reason: AuthError) {
    let at = AuthError::ALL.iter().position(|known| known.as_str() == reason.as_str());
    at.map(|at| counters[at].increment(1)).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variant_is_at_its_own_position() {
        for (at, outcome) in RequestOutcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, at);
        }
        for (at, cause) in FallbackCause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, at);
        }
    }
}
