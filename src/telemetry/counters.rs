//! Prometheus metrics. Labels are bounded: sources, reasons and outcomes, never a number or an id.

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

/// Metrics of the whole service.
pub struct Counters {
    exporter: PrometheusHandle,
    recorder: PrometheusRecorder,
    /// Fingerprint of the live rule table.
    fingerprint: Mutex<String>,
    /// Requests that panicked.
    pub panics: Counter,
    /// Requests refused with 503 because too many were in flight.
    pub overloaded: Counter,
}

impl Default for Counters {
    fn default() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let (panics, overloaded) = with_local_recorder(&recorder, || {
            describe_counter!("switchboard_requests_total", "Authenticated requests, by outcome");
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
                "switchboard_metadata_left_out_total",
                "Replies whose metadata was omitted because it exceeded the platform's limit"
            );
            describe_counter!(
                "switchboard_panics_total",
                "Requests that panicked and received the fallback reply"
            );
            describe_counter!(
                "switchboard_overloaded_total",
                "Requests refused with 503 because too many were in flight"
            );
            describe_gauge!("switchboard_rules", "Rules in the live rule table");
            describe_gauge!(
                "switchboard_table_loaded_timestamp_seconds",
                "Time at which the live rule table was loaded"
            );
            describe_counter!("switchboard_reloads_total", "Reloads of the rule table, by result");
            describe_gauge!(
                "switchboard_reload_last_successful",
                "Whether the last reload succeeded: 1 or 0"
            );
            (counter!("switchboard_panics_total"), counter!("switchboard_overloaded_total"))
        });
        let fingerprint = Mutex::default();
        Counters { exporter: recorder.handle(), recorder, fingerprint, panics, overloaded }
    }
}

impl Counters {
    /// Publishes the live rule table and the time at which it was loaded.
    pub fn table(&self, table: &RuleSet, now: Timestamp) {
        with_local_recorder(&self.recorder, || {
            gauge!("switchboard_rules").set(table.rules.len() as f64);
            gauge!("switchboard_table_loaded_timestamp_seconds").set(now.as_second() as f64);
            gauge!("switchboard_reload_last_successful").set(1.0);
            // Both series exist from the start.
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

    /// Returns the metrics of the records; all series exist from the start.
    pub fn records(&self) -> RecordCounters {
        with_local_recorder(&self.recorder, || {
            describe_counter!("switchboard_records_written_total", "Records committed, by kind");
            describe_counter!(
                "switchboard_records_lost_total",
                "Records lost before they were committed, by reason"
            );
            describe_counter!(
                "switchboard_records_uncommitted_total",
                "Replies sent before the commit that wait = commit asks for"
            );
            describe_counter!(
                "switchboard_events_not_stored_total",
                "Events refused with 503, so that the platform sends them again"
            );
            describe_counter!(
                "switchboard_records_expired_total",
                "Records deleted because of their age"
            );
            describe_gauge!(
                "switchboard_records_store_up",
                "Whether the record store is writable: 1 or 0"
            );
            describe_gauge!("switchboard_records_waiting", "Records waiting to be written");
            let written =
                |kind: &'static str| counter!("switchboard_records_written_total", "kind" => kind);
            let lost = |reason: &'static str| counter!("switchboard_records_lost_total", "reason" => reason);
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

    /// Returns the metrics of one source; all series exist from the start.
    pub fn source(&self, source: &Source) -> SourceCounters {
        with_local_recorder(&self.recorder, || {
            let name = || source.name.to_string();
            let requests = |outcome: &'static str| counter!("switchboard_requests_total", "source" => name(), "outcome" => outcome);
            let auth_errors = |metric: &'static str| {
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
                kept: KeepReason::ALL.map(|reason| {
                    counter!("switchboard_kept_total", "source" => name(), "reason" => reason.as_str())
                }),
                refused: auth_errors("switchboard_refused_total"),
                observed: auth_errors("switchboard_observed_total"),
                plus_added: counter!("switchboard_plus_added_total", "source" => name()),
                metadata_left_out: counter!("switchboard_metadata_left_out_total", "source" => name()),
            }
        })
    }

    /// Renders all metrics in the Prometheus text format.
    pub fn to_text(&self) -> String {
        // Rendered here because the recorder never drops a series: one would remain for each reload.
        let info = format!(
            "# HELP switchboard_table_info Fingerprint of the live rule table\n# TYPE switchboard_table_info gauge\n\
             switchboard_table_info{{fingerprint=\"{}\"}} 1\n",
            self.fingerprint(),
        );
        self.exporter.render() + &info
    }
}

/// Metrics of the records.
#[derive(Clone)]
pub struct RecordCounters {
    /// Calls committed.
    pub calls: Counter,
    /// Events committed.
    pub events: Counter,
    /// Lost because the queue was full.
    pub lost_full: Counter,
    /// Lost because the database refused the row.
    pub lost_refused: Counter,
    /// Lost because the service stopped while the store was unavailable.
    pub lost_stopped: Counter,
    /// Replies sent before their record was committed, despite `wait = "commit"`.
    pub uncommitted: Counter,
    /// Events refused, so that the platform sends them again.
    pub events_not_stored: Counter,
    /// Records deleted because of their age.
    pub expired: Counter,
    /// Whether the store is writable.
    pub store_up: Gauge,
    /// Records waiting to be written.
    pub waiting: Gauge,
}

/// Metrics of one source.
pub struct SourceCounters {
    agent: Counter,
    reject: Counter,
    keep: Counter,
    fallback: Counter,
    /// Repeated deliveries, answered from memory.
    pub retry: Counter,
    /// Events.
    pub event: Counter,
    /// Events of a kind that the dialect does not know.
    pub unknown_event: Counter,
    /// Probes.
    pub probe: Counter,
    /// Bodies that the dialect cannot parse.
    pub unreadable: Counter,
    kept: [Counter; KeepReason::ALL.len()],
    refused: [Counter; AuthError::ALL.len()],
    observed: [Counter; AuthError::ALL.len()],
    /// Phone numbers that arrived without their `+`.
    pub plus_added: Counter,
    /// Replies whose metadata was omitted.
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

    /// Counts a call that received the source's fallback reply.
    pub fn fell_back(&self, outcome: &Outcome<'_>) {
        self.fallback.increment(1);
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
        increment(&self.refused, reason);
    }

    /// Counts a request that observe mode accepted despite failed authentication.
    pub fn observed(&self, reason: AuthError) {
        increment(&self.observed, reason);
    }
}

fn increment(counters: &[Counter; AuthError::ALL.len()], reason: AuthError) {
    let at = AuthError::ALL.iter().position(|known| known.as_str() == reason.as_str());
    at.map(|at| counters[at].increment(1)).unwrap_or_default();
}
