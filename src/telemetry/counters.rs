//! All metrics, and their text for Prometheus. Labels are bounded: fixed words, sources, and the first 500
//! rules and agents; never a number or an id.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use metrics::{
    Counter, Gauge, counter, describe_counter, describe_gauge, gauge, with_local_recorder,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::accept_errors;
use super::calls_by_name::CallsByName;
use super::exposition::{label, write_header, write_sample};
use super::histogram::Histogram;
use super::lookup_counters::LookupCounters;
use super::process;
use super::request_outcome::RequestOutcome;
use super::samples::Samples;
use super::source_counters::{SourceCounters, SourceHistograms};
use super::spans;
use crate::domain::decision::{Decision, Outcome};
use crate::rules::{HISTORY, RuleSet};
use crate::source::Source;
use crate::tls::Certificate;

/// Metrics of the whole service.
pub struct Counters {
    exporter: PrometheusHandle,
    recorder: PrometheusRecorder,
    /// Fingerprint of the live rule table.
    fingerprint: Mutex<String>,
    calls_by_rule: CallsByName,
    calls_by_agent: CallsByName,
    /// Time that the rules take to decide a call.
    pub decision_seconds: Histogram,
    /// Look-ups.
    pub lookups: LookupCounters,
    /// Ages of the copies of lists that live elsewhere, in seconds.
    list_ages: Mutex<Vec<(Box<str>, f64)>>,
    source_histograms: Mutex<Vec<SourceHistograms>>,
    /// Requests that panicked.
    pub panics: Counter,
}

impl Default for Counters {
    fn default() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let panics = with_local_recorder(&recorder, || {
            describe();
            gauge!("switchboard_credentials_reload_last_successful").set(1.0);
            gauge!("switchboard_rules_files_isolated").set(0.0);
            gauge!("switchboard_lists_held").set(0.0);
            gauge!("switchboard_table_last_good").set(0.0);
            counter!("switchboard_panics_total")
        });
        Counters {
            exporter: recorder.handle(),
            recorder,
            fingerprint: Mutex::default(),
            calls_by_rule: CallsByName::new(
                "switchboard_rule_calls_total",
                "rule",
                "Calls that a rule decided",
            ),
            calls_by_agent: CallsByName::new(
                "switchboard_agent_calls_total",
                "agent",
                "Calls routed to an agent",
            ),
            decision_seconds: Histogram::of_durations(),
            lookups: LookupCounters::default(),
            list_ages: Mutex::default(),
            source_histograms: Mutex::default(),
            panics,
        }
    }
}

/// Describes the metrics of the service and of its sources to the current recorder.
fn describe() {
    SourceCounters::describe();
    describe_counter!(
        "switchboard_requests_total",
        "Requests to a source, by kind, outcome and HTTP status"
    );
    describe_counter!(
        "switchboard_missed_paths_total",
        "Requests below /inbound and /events that reach no source, by reason"
    );
    describe_counter!("switchboard_panics_total", "Requests whose handling panicked");
    describe_gauge!("switchboard_rules", "Rules in the live rule table");
    describe_gauge!(
        "switchboard_table_loaded_timestamp_seconds",
        "Time at which the live rule table was loaded"
    );
    describe_counter!("switchboard_reloads_total", "Reloads of the rule table, by result");
    describe_gauge!(
        "switchboard_reload_last_successful",
        "Whether the last reload of the rule table succeeded: 1 or 0"
    );
    describe_gauge!(
        "switchboard_rules_files_isolated",
        "Files of the rule table that have errors while the others are live"
    );
    describe_gauge!(
        "switchboard_lists_held",
        "Lists that lost more rows than they may, and keep their last good ones"
    );
    describe_gauge!(
        "switchboard_table_last_good",
        "Whether the service started with the last good rule table, which is still live: 1 or 0"
    );
    describe_gauge!(
        "switchboard_credentials_reload_last_successful",
        "Whether the last reload of secrets and certificates succeeded: 1 or 0"
    );
    describe_gauge!(
        "switchboard_certificate_expiry_timestamp_seconds",
        "Time at which a certificate of the public listener expires"
    );
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
        table.fingerprint.clone_into(&mut lock(&self.fingerprint));
        self.calls_by_rule.replace_names(table.rules.iter().map(|rule| &*rule.name));
        self.calls_by_agent.replace_names(table.agents.iter().map(|agent| &*agent.name));
        let history = table.uses_history.then_some(HISTORY);
        self.lookups.replace_names(table.lookups.iter().map(|lookup| &*lookup.name).chain(history));
    }

    /// Counts a reload.
    pub fn reloaded(&self, ok: bool) {
        with_local_recorder(&self.recorder, || {
            let result = if ok { "success" } else { "failure" };
            counter!("switchboard_reloads_total", "result" => result).increment(1);
            gauge!("switchboard_reload_last_successful").set(f64::from(u8::from(ok)));
        });
    }

    /// Sets the number of files that are isolated.
    pub fn files_isolated(&self, count: usize) {
        with_local_recorder(&self.recorder, || {
            gauge!("switchboard_rules_files_isolated").set(count as f64);
        });
    }

    /// Sets the number of lists that keep their last good rows.
    pub fn lists_held(&self, count: usize) {
        with_local_recorder(&self.recorder, || {
            gauge!("switchboard_lists_held").set(count as f64);
        });
    }

    /// Sets the ages of the copies of lists that live elsewhere, in seconds; infinite without a copy.
    pub fn list_ages(&self, ages: Vec<(Box<str>, f64)>) {
        *lock(&self.list_ages) = ages;
    }

    /// Sets whether the live table is the last good one, with which the service started.
    pub fn started_from_last_good(&self, started: bool) {
        with_local_recorder(&self.recorder, || {
            gauge!("switchboard_table_last_good").set(f64::from(u8::from(started)));
        });
    }

    /// Counts a reload of secrets and certificates.
    pub fn credentials_reloaded(&self, ok: bool) {
        with_local_recorder(&self.recorder, || {
            gauge!("switchboard_credentials_reload_last_successful").set(f64::from(u8::from(ok)));
        });
    }

    /// Sets the times at which the certificates in use expire.
    pub fn certificates(&self, certificates: &[Certificate]) {
        with_local_recorder(&self.recorder, || {
            for Certificate { name, valid_until, .. } in certificates {
                let labels = [("certificate", name.to_string())];
                gauge!("switchboard_certificate_expiry_timestamp_seconds", &labels)
                    .set(valid_until.as_second() as f64);
            }
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
                expired: counter!("switchboard_records_expired_total"),
                store_up: gauge!("switchboard_records_store_up"),
                waiting: gauge!("switchboard_records_waiting"),
            }
        })
    }

    /// Returns the metrics of one source; all series exist from the start.
    pub fn source(&self, source: &Source) -> SourceCounters {
        let counters = with_local_recorder(&self.recorder, || SourceCounters::register(source));
        lock(&self.source_histograms).push(counters.histograms.clone());
        counters
    }

    /// Returns the counter of the requests to a source that end with this outcome and HTTP status.
    pub fn requests(&self, source: &str, outcome: RequestOutcome, status: &str) -> Counter {
        with_local_recorder(&self.recorder, || {
            counter!(
                "switchboard_requests_total",
                "source" => source.to_owned(),
                "kind" => outcome.kind(),
                "outcome" => outcome.as_str(),
                "status" => status.to_owned(),
            )
        })
    }

    /// Returns the counter of the requests below `/inbound` and `/events` that reach no source.
    pub fn missed_path(&self, reason: &'static str) -> Counter {
        with_local_recorder(
            &self.recorder,
            || counter!("switchboard_missed_paths_total", "reason" => reason),
        )
    }

    /// Counts a decided call by its rule and its agent.
    pub fn decided(&self, decision: &Decision<'_>) {
        if let Some(rule) = decision.rule() {
            self.calls_by_rule.increment(rule);
        }
        if let Outcome::Agent(agent) = decision.outcome() {
            self.calls_by_agent.increment(agent.name);
        }
    }

    /// Returns the current values of all metrics.
    pub fn samples(&self) -> Samples {
        Samples::parse(&self.to_text())
    }

    /// Renders all metrics in the Prometheus text format.
    pub fn to_text(&self) -> String {
        let mut text = self.exporter.render();
        // Rendered here because the recorder never drops a series: one would remain for each reload.
        let fingerprint = label("fingerprint", &lock(&self.fingerprint));
        write_info(
            &mut text,
            "switchboard_table_info",
            "Fingerprint of the live rule table",
            &fingerprint,
        );
        let version = label("version", env!("CARGO_PKG_VERSION"));
        write_info(&mut text, "switchboard_build_info", "Version of the program", &version);
        self.calls_by_rule.write(&mut text);
        self.calls_by_agent.write(&mut text);
        self.lookups.write(&mut text);
        self.write_list_ages(&mut text);
        self.write_histograms(&mut text);
        write_process_counter(
            &mut text,
            "switchboard_spans_dropped_total",
            "Spans that could not be exported",
            spans::dropped(),
        );
        write_process_counter(
            &mut text,
            "switchboard_accept_errors_total",
            "Connections that could not be accepted",
            accept_errors::count(),
        );
        process::write(&mut text);
        text
    }

    fn write_list_ages(&self, text: &mut String) {
        let ages = lock(&self.list_ages);
        let name = "switchboard_list_age_seconds";
        write_header(text, name, "gauge", "Age of the copy of a list that lives elsewhere");
        for (list, age) in &*ages {
            write_sample(text, name, &label("list", list), age.round());
        }
    }

    fn write_histograms(&self, text: &mut String) {
        let name = "switchboard_decision_seconds";
        write_header(text, name, "histogram", "Time that the rules take to decide a call");
        self.decision_seconds.write(text, name, "");
        let name = "switchboard_answer_seconds";
        let help = "Time from the arrival of a request to its reply, without delay_ms";
        write_header(text, name, "histogram", help);
        let sources = lock(&self.source_histograms);
        sources.iter().for_each(|source| source.write_answers(text, name));
        let name = "switchboard_effect_seconds";
        let help =
            "Time until a request to a platform's API ended, with its repetitions, if it was sent";
        write_header(text, name, "histogram", help);
        sources.iter().for_each(|source| source.write_effects(text, name));
        let name = "switchboard_clock_skew_seconds";
        let help = "Time from the timestamp of a verified signature to its verification";
        write_header(text, name, "histogram", help);
        sources.iter().for_each(|source| source.write_clock_skews(text, name));
    }
}

/// Appends a metric whose value is always 1.
fn write_info(text: &mut String, name: &str, help: &str, labels: &str) {
    write_header(text, name, "gauge", help);
    write_sample(text, name, labels, 1.0);
}

/// Appends a counter that belongs to the process.
fn write_process_counter(text: &mut String, name: &str, help: &str, value: u64) {
    write_header(text, name, "counter", help);
    write_sample(text, name, "", value as f64);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// Records deleted because of their age.
    pub expired: Counter,
    /// Whether the store is writable.
    pub store_up: Gauge,
    /// Records waiting to be written.
    pub waiting: Gauge,
}
