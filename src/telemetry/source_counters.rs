//! Metrics of one source besides its requests: failures of authentication, fallback replies, times.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::SignedDuration;
use metrics::{Counter, counter, describe_counter};

use super::exposition::label;
use super::histogram::Histogram;
use crate::authenticate::AuthError;
use crate::domain::decision::{KeepReason, LeftOutReason};
use crate::domain::effect::EffectResult;
use crate::domain::party::ReadingCounts;
use crate::source::Source;

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
    fallbacks: [Counter; FallbackCause::ALL.len()],
    kept: [Counter; KeepReason::ALL.len()],
    refused: [Counter; AuthError::ALL.len()],
    observed: [Counter; AuthError::ALL.len()],
    plus_added: Counter,
    completed: Counter,
    kept_as_text: Counter,
    left_out: [Counter; LeftOutReason::ALL.len()],
    /// Requests to the platform's API by action, each by result.
    effects: Vec<(&'static str, [Counter; EffectResult::ALL.len()])>,
    pub(super) histograms: SourceHistograms,
}

/// Histograms of one source, which the exposition reads as well.
#[derive(Clone)]
pub(super) struct SourceHistograms {
    source: Arc<str>,
    /// Time from the arrival of a call to its reply.
    call_seconds: Arc<Histogram>,
    /// Time from the arrival of an event to its reply.
    event_seconds: Arc<Histogram>,
    /// Time until a request to the platform's API ended, with its repetitions; empty before the first one.
    effect_seconds: Arc<OnceLock<Histogram>>,
    /// None if signatures have no timestamp.
    clock_skew_seconds: Option<Arc<Histogram>>,
}

impl SourceHistograms {
    fn new(source: &Source) -> SourceHistograms {
        let has_timestamp = source.policy.scheme.coverage().time;
        SourceHistograms {
            source: source.name.clone(),
            call_seconds: Arc::new(Histogram::of_durations()),
            event_seconds: Arc::new(Histogram::of_durations()),
            effect_seconds: Arc::default(),
            clock_skew_seconds: has_timestamp.then(|| Arc::new(Histogram::of_clock_skews())),
        }
    }

    /// Appends the samples of the time to reply.
    pub(super) fn write_answers(&self, text: &mut String, name: &str) {
        for (kind, histogram) in [("call", &self.call_seconds), ("event", &self.event_seconds)] {
            let labels = [label("source", &self.source), label("kind", kind)].join(",");
            histogram.write(text, name, &labels);
        }
    }

    /// Appends the samples of the requests to the platform's API.
    pub(super) fn write_effects(&self, text: &mut String, name: &str) {
        if let Some(histogram) = self.effect_seconds.get() {
            histogram.write(text, name, &label("source", &self.source));
        }
    }

    /// Appends the samples of the clock skew.
    pub(super) fn write_clock_skews(&self, text: &mut String, name: &str) {
        if let Some(histogram) = &self.clock_skew_seconds {
            histogram.write(text, name, &label("source", &self.source));
        }
    }
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
            left_out: LeftOutReason::ALL.map(|reason| {
                counter!("switchboard_values_left_out_total", "source" => name(), "reason" => reason.as_str())
            }),
            effects: effects(source),
            histograms: SourceHistograms::new(source),
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
            "switchboard_effects_total",
            "Requests to a platform's API that carry out decisions, by action and result"
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
            "switchboard_values_left_out_total",
            "Values left out of replies because of their size, by reason"
        );
    }

    /// Counts a call that received the source's fallback reply.
    pub fn fell_back(&self, cause: FallbackCause) {
        self.fallbacks[cause as usize].increment(1);
    }

    /// Counts a call that the platform's own agent answers.
    pub fn kept(&self, reason: KeepReason) {
        self.kept[reason as usize].increment(1);
    }

    /// Counts a value that was left out of a reply.
    pub fn left_out(&self, reason: LeftOutReason) {
        self.left_out[reason as usize].increment(1);
    }

    /// Counts a request that failed authentication.
    pub fn refused(&self, reason: AuthError) {
        increment(&self.refused, reason);
    }

    /// Counts a request that observe mode accepted despite failed authentication.
    pub fn observed(&self, reason: AuthError) {
        increment(&self.observed, reason);
    }

    /// Adds the time from the timestamp of a verified signature to now.
    pub fn clock_skew(&self, skew: SignedDuration) {
        if let Some(histogram) = &self.histograms.clock_skew_seconds {
            histogram.record_skew(skew);
        }
    }

    /// Counts a request to the platform's API, and the time that it took with its repetitions; `None` if it was
    /// never sent.
    pub fn effect(&self, action: &'static str, result: EffectResult, took: Option<Duration>) {
        let of_action = self.effects.iter().find(|(known, _)| *known == action);
        if let Some((_, results)) = of_action {
            results[result as usize].increment(1);
        }
        if let Some(took) = took {
            self.histograms.effect_seconds.get_or_init(Histogram::of_durations).record(took);
        }
    }

    /// Adds the time from the arrival of a call to its reply, without `delay_ms`.
    pub fn call_answered(&self, elapsed: Duration) {
        self.histograms.call_seconds.record(elapsed);
    }

    /// Adds the time from the arrival of an event to its reply.
    pub fn event_answered(&self, elapsed: Duration) {
        self.histograms.event_seconds.record(elapsed);
    }
}

fn effects(source: &Source) -> Vec<(&'static str, [Counter; EffectResult::ALL.len()])> {
    let name = || source.name.to_string();
    let actions = source.dialect.api().map_or(&[][..], |api| api.actions);
    let counters = |action: &'static str| {
        EffectResult::ALL.map(|result| {
            let result = result.as_str();
            counter!("switchboard_effects_total", "source" => name(), "action" => action, "result" => result)
        })
    };
    actions.iter().map(|action| (*action, counters(action))).collect()
}

fn increment(counters: &[Counter; AuthError::ALL.len()], reason: AuthError) {
    let at = AuthError::ALL.iter().position(|known| known.as_str() == reason.as_str());
    if let Some(at) = at {
        counters[at].increment(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_reason_and_result_is_at_its_own_position() {
        for (at, reason) in KeepReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at);
        }
        for (at, reason) in LeftOutReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at);
        }
        for (at, result) in EffectResult::ALL.into_iter().enumerate() {
            assert_eq!(result as usize, at);
        }
        for (at, cause) in FallbackCause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, at);
        }
    }
}
