//! What is counted. Labels are bounded: sources, reasons and outcomes, never a number or an id.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use metrics::{
    Counter, Gauge, counter, describe_counter, describe_gauge, gauge, with_local_recorder,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::authenticate::AuthError;
use crate::domain::decision::{KeepReason, Outcome};
use crate::rules::RuleSet;
use crate::source::Source;

/// The counters of the whole service.
pub struct Counters {
    exporter: PrometheusHandle,
    recorder: PrometheusRecorder,
    /// Of the table that answers.
    fingerprint: Mutex<String>,
    /// Walks that panicked.
    pub panics: Counter,
    /// Requests that were turned away because there were too many.
    pub overloaded: Counter,
}

impl Default for Counters {
    fn default() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let (panics, overloaded) = with_local_recorder(&recorder, || {
            describe_counter!(
                "switchboard_requests_total",
                "Proved requests, by what came of them"
            );
            describe_counter!(
                "switchboard_refused_total",
                "Requests that were not proved, by reason"
            );
            describe_counter!(
                "switchboard_observed_total",
                "Requests of observed sources that would have been refused"
            );
            describe_counter!(
                "switchboard_kept_total",
                "Calls left to the platform's own agent, by why"
            );
            describe_counter!("switchboard_plus_added_total", "Numbers that came without their +");
            describe_counter!(
                "switchboard_metadata_left_out_total",
                "Replies whose metadata was too big to send"
            );
            describe_counter!(
                "switchboard_panics_total",
                "Walks that panicked and got the fallback reply"
            );
            describe_counter!(
                "switchboard_overloaded_total",
                "Requests answered 503 because too many were in flight"
            );
            describe_gauge!("switchboard_rules", "Rules in the table that answers");
            describe_gauge!(
                "switchboard_table_loaded_timestamp_seconds",
                "When the table that answers was loaded"
            );
            describe_counter!("switchboard_reloads_total", "Reloads of the table, by result");
            describe_gauge!(
                "switchboard_reload_last_successful",
                "Whether the last reload was successful: 1 or 0"
            );
            (counter!("switchboard_panics_total"), counter!("switchboard_overloaded_total"))
        });
        let fingerprint = Mutex::default();
        Counters { exporter: recorder.handle(), recorder, fingerprint, panics, overloaded }
    }
}

impl Counters {
    /// Shows which table answers, and since when.
    pub fn table(&self, table: &RuleSet, now: Timestamp) {
        with_local_recorder(&self.recorder, || {
            gauge!("switchboard_rules").set(table.rules.len() as f64);
            gauge!("switchboard_table_loaded_timestamp_seconds").set(now.as_second() as f64);
            gauge!("switchboard_reload_last_successful").set(1.0);
            // All there from the start.
            counter!("switchboard_reloads_total", "result" => "success").increment(0);
            counter!("switchboard_reloads_total", "result" => "failure").increment(0);
        });
        table.fingerprint.clone_into(&mut self.fingerprint());
    }

    /// Counts a reload.
    pub fn reloaded(&self, ok: bool) {
        with_local_recorder(&self.recorder, || {
            let result = if ok { "success" } else { "failure" };
            counter!("switchboard_reloads_total", "result" => result).increment(1);
            gauge!("switchboard_reload_last_successful").set(f64::from(u8::from(ok)));
        });
    }

    /// The counters of the records, all of them there from the start.
    pub fn records(&self) -> RecordCounters {
        with_local_recorder(&self.recorder, || {
            describe_counter!(
                "switchboard_records_written_total",
                "Records that are committed, by kind"
            );
            describe_counter!(
                "switchboard_records_lost_total",
                "Records that were never written, by why"
            );
            describe_counter!(
                "switchboard_records_uncommitted_total",
                "Replies that were to wait for their record, and went out before its commit"
            );
            describe_counter!(
                "switchboard_events_not_stored_total",
                "Events answered 503, to be sent again"
            );
            describe_counter!(
                "switchboard_records_expired_total",
                "Records that were deleted because of their age"
            );
            describe_gauge!(
                "switchboard_records_store_up",
                "Whether the store takes records: 1 or 0"
            );
            describe_gauge!("switchboard_records_waiting", "Records that wait to be written");
            let written =
                |kind: &'static str| counter!("switchboard_records_written_total", "kind" => kind);
            let lost = |why: &'static str| counter!("switchboard_records_lost_total", "why" => why);
            RecordCounters {
                calls: written("call"),
                events: written("event"),
                lost_full: lost("queue_full"),
                lost_refused: lost("refused"),
                lost_stopped: lost("stopped"),
                uncommitted: counter!("switchboard_records_uncommitted_total"),
                events_not_stored: counter!("switchboard_events_not_stored_total"),
                expired: counter!("switchboard_records_expired_total"),
                store_up: gauge!("switchboard_records_store_up"),
                waiting: gauge!("switchboard_records_waiting"),
            }
        })
    }

    fn fingerprint(&self) -> MutexGuard<'_, String> {
        self.fingerprint.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counters of one source, all of them there from the start.
    pub fn source(&self, source: &Source) -> SourceCounters {
        with_local_recorder(&self.recorder, || {
            let name = || source.name.to_string();
            let requests = |outcome: &'static str| counter!("switchboard_requests_total", "source" => name(), "outcome" => outcome);
            let unproved = |metric: &'static str| {
                AuthError::ALL
                    .map(|reason| counter!(metric, "source" => name(), "reason" => reason.as_str()))
            };
            SourceCounters {
                agent: requests("agent"),
                reject: requests("reject"),
                keep: requests("keep"),
                fallback: requests("fallback"),
                retry: requests("retry"),
                event: requests("event"),
                unknown_event: requests("unknown_event"),
                probe: requests("probe"),
                unreadable: requests("unreadable"),
                kept: KeepReason::ALL.map(|why| {
                    counter!("switchboard_kept_total", "source" => name(), "why" => why.as_str())
                }),
                refused: unproved("switchboard_refused_total"),
                observed: unproved("switchboard_observed_total"),
                plus_added: counter!("switchboard_plus_added_total", "source" => name()),
                metadata_left_out: counter!("switchboard_metadata_left_out_total", "source" => name()),
            }
        })
    }

    /// All counters in Prometheus' text format.
    pub fn to_text(&self) -> String {
        // Written by hand, for a recorder forgets no label: a series for each reload would stay.
        let info = format!(
            "# HELP switchboard_table_info Which table answers\n# TYPE switchboard_table_info gauge\n\
             switchboard_table_info{{fingerprint=\"{}\"}} 1\n",
            self.fingerprint(),
        );
        self.exporter.render() + &info
    }
}

/// The counters of the records.
#[derive(Clone)]
pub struct RecordCounters {
    /// Calls that are committed.
    pub calls: Counter,
    /// Events that are committed.
    pub events: Counter,
    /// Lost, for too much waits.
    pub lost_full: Counter,
    /// Lost, for the database does not take this row.
    pub lost_refused: Counter,
    /// Lost, for the service stopped while the store was broken.
    pub lost_stopped: Counter,
    /// Replies that did not wait for their commit, or not to the end.
    pub uncommitted: Counter,
    /// Events that are to be sent again.
    pub events_not_stored: Counter,
    /// Deleted because of their age.
    pub expired: Counter,
    /// Whether the store takes records.
    pub store_up: Gauge,
    /// Records that wait.
    pub waiting: Gauge,
}

/// The counters of one source.
pub struct SourceCounters {
    agent: Counter,
    reject: Counter,
    keep: Counter,
    fallback: Counter,
    /// Deliveries that came again and were answered from memory.
    pub retry: Counter,
    /// Events.
    pub event: Counter,
    /// Events of a kind that the dialect does not know.
    pub unknown_event: Counter,
    /// Set-up probes.
    pub probe: Counter,
    /// Bodies that the dialect cannot read.
    pub unreadable: Counter,
    kept: [Counter; KeepReason::ALL.len()],
    refused: [Counter; AuthError::ALL.len()],
    observed: [Counter; AuthError::ALL.len()],
    /// Numbers without their `+`.
    pub plus_added: Counter,
    /// Replies whose metadata was left out.
    pub metadata_left_out: Counter,
}

impl SourceCounters {
    /// Counts a decision.
    pub fn decided(&self, outcome: &Outcome<'_>) {
        match outcome {
            Outcome::Agent(_) => self.agent.increment(1),
            Outcome::Reject(_) => self.reject.increment(1),
            Outcome::Keep(_) => self.keep.increment(1),
        }
        self.kept(outcome);
    }

    /// Counts a call that was answered with the source's fallback.
    pub fn fell_back(&self, outcome: &Outcome<'_>) {
        self.fallback.increment(1);
        self.kept(outcome);
    }

    fn kept(&self, outcome: &Outcome<'_>) {
        if let Outcome::Keep(why) = outcome {
            let at = KeepReason::ALL.iter().position(|known| known == why);
            at.map(|at| self.kept[at].increment(1)).unwrap_or_default();
        }
    }

    /// Counts a refusal.
    pub fn refused(&self, reason: AuthError) {
        increment(&self.refused, reason);
    }

    /// Counts what would have been a refusal.
    pub fn observed(&self, reason: AuthError) {
        increment(&self.observed, reason);
    }
}

fn increment(counters: &[Counter; AuthError::ALL.len()], reason: AuthError) {
    let at = AuthError::ALL.iter().position(|known| known.as_str() == reason.as_str());
    at.map(|at| counters[at].increment(1)).unwrap_or_default();
}
