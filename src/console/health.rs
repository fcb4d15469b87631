//! `/health`: readiness with its reasons, the rule table and its reloads, records, sources, look-ups and lists.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::access::Reader;
use super::calls;
use super::explained::in_words;
use super::page::{
    Editor, EmptyForm, Frame, HtmlPage, PageError, PageSection, Parameters, Submitted, counted,
    with_problem,
};
use super::state::Console;
use crate::http::HttpProblem;
use crate::reload::{PastReload, Reloaded};
use crate::status::Readiness;
use crate::telemetry::Samples;

/// Diagnostics that the page lists.
const MOST_DIAGNOSTICS: usize = 20;

/// Query parameters of the page.
#[derive(Debug, Default, Deserialize)]
pub(super) struct HealthQuery {
    /// `off`: the page stays as it is.
    #[serde(default)]
    refresh: String,
}

/// A mistake in the rules or the settings, as a row.
struct DiagnosticRow {
    severity: &'static str,
    place: String,
    message: String,
    help: Option<String>,
}

/// A reload, as a row.
struct ReloadRow {
    at: String,
    ok: bool,
    errors: usize,
    warnings: usize,
    fingerprint: String,
    requester: String,
}

/// A number with its label: `missing 3`.
pub(super) struct LabelledCount {
    pub(super) word: String,
    pub(super) count: String,
}

/// A source, as a row.
struct SourceRow {
    name: String,
    calls: String,
    events: String,
    retries: String,
    answered: String,
    refused: Vec<LabelledCount>,
    observed: Vec<LabelledCount>,
    fallbacks: Vec<LabelledCount>,
    kept: Vec<LabelledCount>,
    skew: String,
}

/// A look-up, as a row.
struct LookupRow {
    name: String,
    is_suspended: bool,
    states: Vec<LabelledCount>,
    cached: String,
    took: String,
}

/// Requests to a platform's API, as a row.
struct EffectRow {
    source: String,
    results: Vec<LabelledCount>,
    took: String,
}

/// A list that lives elsewhere, as a row.
struct ListRow {
    name: String,
    state: &'static str,
    age: String,
}

/// Numbers of the records.
struct Records {
    is_ok: bool,
    failing_since: Option<String>,
    waiting: usize,
    calls: String,
    events: String,
    lost: Vec<LabelledCount>,
    uncommitted: String,
    expired: String,
}

#[derive(Template)]
#[template(path = "health.html")]
struct HealthPage {
    frame: Frame,
    reader: Reader,
    refreshes: bool,
    can_reload: bool,
    /// Result of a reload that was asked for: whether it succeeded, and what to say.
    result: Option<(bool, String)>,
    now: String,
    started: String,
    version: &'static str,
    warnings: Vec<&'static str>,
    fingerprint: String,
    rules: usize,
    loaded: String,
    isolated: Vec<String>,
    held: Vec<String>,
    problems: Vec<DiagnosticRow>,
    more_problems: usize,
    reloads: Vec<ReloadRow>,
    records: Option<Records>,
    sources: Vec<SourceRow>,
    lookups: Vec<LookupRow>,
    lists: Vec<ListRow>,
    effects: Vec<EffectRow>,
    panics: String,
}

pub(super) async fn show(
    State(console): State<Console>,
    reader: Reader,
    Parameters(query): Parameters<HealthQuery>,
) -> Response {
    let refreshes = query.refresh != "off";
    HtmlPage(HealthPage { refreshes, ..HealthPage::new(&console, reader, None) }).into_response()
}

/// Reloads the rules, secrets and certificates, and shows the result.
pub(super) async fn reload(
    State(console): State<Console>,
    Editor(reader): Editor,
    Submitted(EmptyForm {}): Submitted<EmptyForm>,
) -> Result<Response, PageError> {
    let unavailable = |reason: &str| HttpProblem::Unavailable(reason.to_owned());
    let handle = console.reload_handle.as_ref();
    let handle = handle.ok_or_else(|| unavailable("reloading is not available"))?;
    tracing::info!(user = reader.name, "asked for a reload in the console");
    let reloaded = handle.reload_for(&reader.name).await;
    let Reloaded { ok, report } = reloaded.ok_or_else(|| unavailable("the service is stopping"))?;
    let (errors, warnings) = (report.error_count(), report.warning_count());
    let result = match ok {
        true => format!("Reloaded: no errors, {}.", counted(warnings, "warning")),
        false => {
            format!("Not reloaded: {}. The previous rules stay live.", counted(errors, "error"))
        }
    };
    let page = HealthPage::new(&console, reader, Some((ok, result.clone())));
    Ok(match ok {
        true => HtmlPage(page).into_response(),
        false => with_problem(HttpProblem::Invalid(result), page),
    })
}

impl HealthPage {
    fn new(console: &Console, reader: Reader, result: Option<(bool, String)>) -> HealthPage {
        let app = &console.app;
        let (zone, now, samples) = (calls::zone(console), app.now(), app.counters().samples());
        let handle = console.reload_handle.as_ref();
        let readiness = Readiness::of(app, handle);
        let (problems, more_problems) = problems(console, &reader);
        let reloads = handle.map(|handle| handle.history().newest_first()).unwrap_or_default();
        let sources = app.sources();
        let sources = sources.iter().map(|source| SourceRow::new(&source.name, &samples));
        let table = &readiness.table;
        let held = table.held_lists.iter().map(|held| {
            let list = reader.text(&held.list).into_owned();
            format!("{list}: {} rows in use, {} in its file", held.rows, held.rows_of_file)
        });
        HealthPage {
            frame: Frame::new("Health", PageSection::Health, &reader),
            refreshes: result.is_none(),
            can_reload: handle.is_some() && reader.is_editor(),
            result,
            now: shown_time(now, &zone),
            started: format!(
                "{}, {} ago",
                shown_time(app.started_at(), &zone),
                age(now.duration_since(app.started_at()).as_secs())
            ),
            version: env!("CARGO_PKG_VERSION"),
            warnings: readiness.warnings.clone(),
            fingerprint: table.fingerprint.clone(),
            rules: table.rules,
            loaded: age(table.age_seconds),
            isolated: table.isolated.iter().map(|file| file.file.clone()).collect(),
            held: held.collect(),
            problems,
            more_problems,
            reloads: reloads.into_iter().map(|past| ReloadRow::new(past, &zone)).collect(),
            records: Records::new(&readiness, &samples),
            sources: sources.collect(),
            lookups: lookups(&readiness, &samples, &reader),
            lists: lists(&readiness, &reader),
            effects: effects(console, &samples),
            panics: number(samples.sum("switchboard_panics_total", &[])),
            reader,
        }
    }
}

/// Returns the mistakes of the last reload, and how many more there are.
fn problems(console: &Console, reader: &Reader) -> (Vec<DiagnosticRow>, usize) {
    let (_, status) = console.app.live_table().table_and_status();
    let handle = console.reload_handle.as_ref();
    let credentials = handle.and_then(|handle| handle.credential_errors());
    let reports: Vec<_> = status.last_error.into_iter().chain(credentials).collect();
    let all = reports.iter().flat_map(|report| report.diagnostics());
    let count = all.clone().count();
    let shown = all.take(MOST_DIAGNOSTICS).map(|diagnostic| DiagnosticRow {
        severity: diagnostic.severity.as_str(),
        place: diagnostic.location.as_ref().map(ToString::to_string).unwrap_or_default(),
        message: reader.text(&diagnostic.message).into_owned(),
        help: diagnostic.help.as_deref().map(|help| reader.text(help).into_owned()),
    });
    (shown.collect(), count.saturating_sub(MOST_DIAGNOSTICS))
}

impl ReloadRow {
    fn new(past: PastReload, zone: &TimeZone) -> ReloadRow {
        let PastReload { at, ok, errors, warnings, fingerprint, requesters } = past;
        let requester = match requesters.as_slice() {
            [] => "changed files".to_owned(),
            requesters => requesters.join(", "),
        };
        ReloadRow { at: shown_time(at, zone), ok, errors, warnings, fingerprint, requester }
    }
}

impl SourceRow {
    fn new(name: &str, samples: &Samples) -> SourceRow {
        let of = [("source", name)];
        let requests = |label: &str, value: &str| {
            number(samples.sum("switchboard_requests_total", &[("source", name), (label, value)]))
        };
        let counts = |metric: &str, label: &str| counts(samples.by(metric, &of, label));
        SourceRow {
            name: name.to_owned(),
            calls: requests("kind", "call"),
            events: requests("kind", "event"),
            retries: requests("outcome", "retry"),
            answered: times(
                samples,
                "switchboard_answer_seconds",
                &[("source", name), ("kind", "call")],
            ),
            refused: counts("switchboard_refused_total", "reason"),
            observed: counts("switchboard_observed_total", "reason"),
            fallbacks: counts("switchboard_fallbacks_total", "cause"),
            kept: counts("switchboard_kept_total", "reason"),
            skew: times(samples, "switchboard_clock_skew_seconds", &of),
        }
    }
}

impl Records {
    fn new(readiness: &Readiness, samples: &Samples) -> Option<Records> {
        let status = readiness.records.as_ref()?;
        let written = |kind: &str| {
            number(samples.sum("switchboard_records_written_total", &[("kind", kind)]))
        };
        let total = |metric: &str| number(samples.sum(metric, &[]));
        Some(Records {
            is_ok: status.ok,
            failing_since: status.failing_since.clone(),
            waiting: status.waiting,
            calls: written("call"),
            events: written("event"),
            lost: counts(samples.by("switchboard_records_lost_total", &[], "reason")),
            uncommitted: total("switchboard_records_uncommitted_total"),
            expired: total("switchboard_records_expired_total"),
        })
    }
}

fn lookups(readiness: &Readiness, samples: &Samples, reader: &Reader) -> Vec<LookupRow> {
    let names = samples.values("switchboard_lookups_total", "lookup");
    let row = |name: String| {
        let of = [("lookup", name.as_str())];
        LookupRow {
            is_suspended: readiness.suspended_lookups.iter().any(|known| **known == *name),
            states: counts(samples.by("switchboard_lookups_total", &of, "state")),
            cached: number(samples.sum("switchboard_lookups_cached_total", &of)),
            took: times(samples, "switchboard_lookup_seconds", &of),
            name: reader.text(&name).into_owned(),
        }
    };
    names.into_iter().map(row).collect()
}

fn lists(readiness: &Readiness, reader: &Reader) -> Vec<ListRow> {
    let lists = readiness.live_lists.iter().map(|list| ListRow {
        name: reader.text(&list.list).into_owned(),
        state: list.state,
        age: list.age_seconds.map_or_else(|| "no copy".to_owned(), age),
    });
    lists.collect()
}

fn effects(console: &Console, samples: &Samples) -> Vec<EffectRow> {
    let sources = console.app.sources();
    let with_api = sources.iter().filter(|source| source.api.is_some());
    let rows = with_api.map(|source| {
        let of = [("source", &*source.name)];
        let actions = samples.values_of("switchboard_effects_total", &of, "action");
        let results = actions.iter().flat_map(|action| {
            let of = [("source", &*source.name), ("action", action.as_str())];
            let results = counts(samples.by("switchboard_effects_total", &of, "result"));
            results.into_iter().map(move |LabelledCount { word, count }| LabelledCount {
                word: format!("{action} {word}"),
                count,
            })
        });
        EffectRow {
            source: source.name.to_string(),
            results: results.collect(),
            took: times(samples, "switchboard_effect_seconds", &of),
        }
    });
    rows.collect()
}

pub(super) fn counts(by: Vec<(String, f64)>) -> Vec<LabelledCount> {
    let count = |(word, count): (String, f64)| LabelledCount {
        word: in_words(&word),
        count: number(count),
    };
    by.into_iter().map(count).collect()
}

fn number(value: f64) -> String {
    format!("{value:.0}")
}

/// Returns within which times half and 99 % of the samples of a histogram are; empty without samples.
fn times(samples: &Samples, metric: &str, labels: &[(&str, &str)]) -> String {
    let [half, most] = [0.5, 0.99].map(|part| samples.quantile(metric, labels, part));
    let text = half.zip(most);
    text.map(|(half, most)| format!("half ≤ {}, 99 % ≤ {}", seconds(half), seconds(most)))
        .unwrap_or_default()
}

/// Formats seconds: `25 µs`, `5 ms`, `2 s`.
fn seconds(seconds: f64) -> String {
    let shown = |value: f64, unit: &str| format!("{} {unit}", (value * 10.0).round() / 10.0);
    match seconds.abs() {
        size if size.is_infinite() => "more".to_owned(),
        size if size >= 1.0 || size == 0.0 => shown(seconds, "s"),
        size if size >= 0.001 => shown(seconds * 1e3, "ms"),
        _ => shown(seconds * 1e6, "µs"),
    }
}

fn shown_time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%a %d %b %H:%M:%S").to_string()
}

/// Formats an age: `12 s`, `3 min`, `5 h`, `2 days`.
pub(super) fn age(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_of_their_size() {
        for (value, text) in [
            (0.000_025, "25 µs"),
            (0.005, "5 ms"),
            (2.0, "2 s"),
            (-0.5, "-500 ms"),
            (0.0, "0 s"),
            (f64::INFINITY, "more"),
        ] {
            assert_eq!(seconds(value), text);
        }
        for (value, text) in
            [(0, "0 s"), (119, "119 s"), (180, "3 min"), (7_200, "2 h"), (200_000, "2 days")]
        {
            assert_eq!(age(value), text);
        }
    }
}
