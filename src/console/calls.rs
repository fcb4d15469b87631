//! `/calls`: the recorded calls, newest first, with filters, live rows and charts.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;
use url::form_urlencoded::Serializer;
use uuid::Uuid;

use super::access::Reader;
use super::call_rows::{CallItem, call_items};
use super::page::{Frame, HtmlPage, PageError, PageSection, Parameters, with_problem};
use super::state::Console;
use crate::http::HttpProblem;
use crate::records::{
    CallRecord, FALLBACK, Filter, FilterArgs, FilterError, KnownNames, OUTCOMES, Store,
    first_id_at, time_of_id,
};

/// Calls on a page.
const PAGE: usize = 50;
/// Records that one page looks at, if few of them match.
pub(super) const MOST_SEARCHED: usize = 200_000;
/// Calls whose decision times the chart shows.
const TIMED_CALLS: usize = 2_000;
/// Time that the charts show if the filter has no start.
const CHART_AGE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Names that a field proposes.
const MOST_NAMES: usize = 500;

/// Query parameters of the page.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct CallsQuery {
    #[serde(flatten)]
    pub(super) filter: FilterArgs,
    /// Id of a record: older calls only.
    before: Option<Uuid>,
}

#[derive(Template)]
#[template(path = "calls.html")]
struct CallsPage {
    frame: Frame,
    filter: FilterArgs,
    /// Query of the filter, for links.
    query: String,
    zone: String,
    sources: Vec<String>,
    rules: Vec<String>,
    agents: Vec<String>,
    rows: Vec<CallItem>,
    /// The smallest id of the time at which the page was loaded: live rows are newer.
    loaded: Uuid,
    /// Whether this is the newest page, which is live.
    is_live: bool,
    next: Option<NextPage>,
    error: Option<String>,
}

/// Where the list goes on.
struct NextPage {
    link: String,
    /// If the search ended before the page was full: how far it went.
    searched_to: Option<String>,
}

impl CallsPage {
    fn outcomes(&self) -> impl Iterator<Item = &'static str> {
        OUTCOMES.into_iter().chain([FALLBACK])
    }

    fn has_filter(&self) -> bool {
        !self.query.is_empty()
    }
}

/// Shows the calls that match.
pub(super) async fn list(
    State(console): State<Console>,
    reader: Reader,
    Parameters(CallsQuery { filter, before }): Parameters<CallsQuery>,
) -> Result<Response, PageError> {
    let args = filter.without_blanks();
    let zone = zone(&console);
    let mut page = CallsPage::empty(&console, &reader, args.clone(), &zone);
    let store = match console.store().await {
        Ok(store) => store,
        Err(reason) => {
            page.error = Some(reason.to_string());
            return Ok(with_problem(reason.into(), page));
        }
    };
    page.is_live = before.is_none() && args.until.is_none();
    let filter = match read_filter(&console, &store, &args).await {
        Ok(filter) => filter,
        Err(FilterError::Store(error)) => return Err(error.into()),
        Err(FilterError::Invalid(invalid)) => {
            let message = reader.text(&invalid.to_string()).into_owned();
            let problem = HttpProblem::Invalid(message.clone());
            page.error = Some(message);
            page.is_live = false;
            return Ok(with_problem(problem, page));
        }
    };
    let found = store.search(&filter, before, PAGE, MOST_SEARCHED).await?;
    let last_events = store.last_events(&found.calls).await?;
    page.rows = call_items(&found.calls, &last_events, reader.number_view(), &zone);
    page.next = found.resume_before.map(|id| NextPage {
        link: format!("/calls?{}", pairs(&args, Some(id))),
        searched_to: (found.calls.len() < PAGE).then(|| {
            let at = time_of_id(id).to_zoned(zone.clone());
            at.strftime("%a %d %b %Y %H:%M").to_string()
        }),
    });
    Ok(HtmlPage(page).into_response())
}

impl CallsPage {
    fn empty(console: &Console, reader: &Reader, args: FilterArgs, zone: &TimeZone) -> CallsPage {
        let table = console.app.table();
        let sources = console.app.sources();
        CallsPage {
            frame: Frame::new("Calls", PageSection::Calls, reader),
            query: pairs(&args, None),
            zone: zone_name(zone),
            sources: sources.iter().map(|source| source.name.to_string()).collect(),
            rules: reader.whole_names(table.rule_names(), MOST_NAMES),
            agents: reader.whole_names(table.agent_names(), MOST_NAMES),
            rows: Vec::new(),
            loaded: first_id_at(console.app.now()),
            is_live: true,
            next: None,
            error: None,
            filter: args,
        }
    }
}

/// Reads a filter whose times are on the clock of the rule table.
pub(super) async fn read_filter(
    console: &Console,
    store: &Store,
    args: &FilterArgs,
) -> Result<Filter, FilterError> {
    let app = &console.app;
    let known = || KnownNames::new(Some(&app.table()), app.sources());
    app.recorder().read_filter(store, args, app.now(), &zone(console), known).await
}

/// Returns the problem of a part of a page whose filter could not be read.
pub(super) fn filter_problem(error: FilterError, reader: &Reader) -> HttpProblem {
    match error {
        FilterError::Invalid(invalid) => {
            HttpProblem::Invalid(reader.text(&invalid.to_string()).into_owned())
        }
        FilterError::Store(error) => error.into(),
    }
}

/// Returns the time zone of the live rule table.
pub(super) fn zone(console: &Console) -> TimeZone {
    console.app.table().zone.clone()
}

/// Returns the name of a zone for people.
pub(super) fn zone_name(zone: &TimeZone) -> String {
    zone.iana_name().unwrap_or("local time").to_owned()
}

/// Returns the fields of a filter that are set, as a query.
fn pairs(args: &FilterArgs, before: Option<Uuid>) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in [
        ("since", &args.since),
        ("until", &args.until),
        ("number", &args.number),
        ("source", &args.source),
        ("rule", &args.rule),
        ("agent", &args.agent),
        ("outcome", &args.outcome),
        ("call_id", &args.call_id),
    ] {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    if let Some(id) = before {
        query.append_pair("before", &id.to_string());
    }
    query.finish()
}

/// A chart: its data for the script, and a table of the same numbers.
struct Chart {
    title: &'static str,
    /// Unit of the values.
    unit: &'static str,
    /// `bars` or `points`.
    kind: &'static str,
    /// `{ "at": [seconds], "series": [{ "name", "values" }] }`
    data: String,
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

#[derive(Template)]
#[template(path = "charts.html")]
struct ChartsPart {
    charts: Vec<Chart>,
    /// Time zone of the axes.
    zone: String,
}

/// Sends the charts of the calls that match, a part of the page.
pub(super) async fn charts(
    State(console): State<Console>,
    reader: Reader,
    Parameters(CallsQuery { filter, .. }): Parameters<CallsQuery>,
) -> Result<Response, PageError> {
    let store = console.store().await?;
    let args = filter.without_blanks();
    let filter = read_filter(&console, &store, &args).await;
    let mut filter = filter.map_err(|error| filter_problem(error, &reader))?;
    let end = filter.until.unwrap_or_else(|| console.app.now());
    filter.since = filter.since.or(end.checked_sub(CHART_AGE).ok());
    let zone = zone(&console);
    let _turn = console.counting.wait().await;
    let by_index = Filter { since: None, until: None, rule: None, ..filter.clone() };
    let is_fallback = filter.outcome.as_deref() == Some(FALLBACK);
    let is_by_index = Filter { outcome: None, ..by_index } == Filter::default() && !is_fallback;
    if !is_by_index {
        // Read row by row.
        let oldest = store.time_of_record(&filter, MOST_SEARCHED).await?;
        filter.since = filter.since.max(oldest);
    }
    let times = decision_times(&store, &filter, &zone).await?;
    let charts = vec![outcomes_per_hour(&store, &filter, end, &zone).await?, times];
    Ok(HtmlPage(ChartsPart { charts, zone: zone_name(&zone) }).into_response())
}

/// Returns the chart of calls per hour by outcome.
async fn outcomes_per_hour(
    store: &Store,
    filter: &Filter,
    end: Timestamp,
    zone: &TimeZone,
) -> Result<Chart, PageError> {
    const HOUR_S: i64 = 3_600;
    // Hours on the clock of the zone: in some, they begin half an hour apart from those of UTC.
    let hour_of = |at: Timestamp| {
        let offset = i64::from(zone.to_offset(at).seconds());
        (at.as_second() + offset).div_euclid(HOUR_S) * HOUR_S - offset
    };
    let mut hours: BTreeMap<i64, [u64; OUTCOMES.len()]> = BTreeMap::new();
    for ((quarter, outcome), count) in store.outcome_counts(filter).await? {
        let counts = hours.entry(hour_of(quarter)).or_default();
        if let Some(at) = OUTCOMES.iter().position(|known| *known == outcome) {
            counts[at] += count;
        }
    }
    // Hours without calls are zeros, not gaps.
    let first = filter.since.map(hour_of).or(hours.keys().next().copied());
    let mut hour = first.unwrap_or(i64::MAX);
    while hour <= end.as_second() && hours.len() < 24 * 370 {
        hours.entry(hour).or_default();
        hour += HOUR_S;
    }
    let series = OUTCOMES.iter().enumerate().map(|(at, name)| {
        json!({ "name": name, "values": hours.values().map(|counts| counts[at]).collect::<Vec<_>>() })
    });
    let data = json!({
        "at": hours.keys().collect::<Vec<_>>(),
        "series": series.collect::<Vec<_>>(),
    });
    let with_calls = hours.iter().rev().filter(|(_, counts)| counts.iter().sum::<u64>() > 0);
    let row = |(hour, counts): (&i64, &[u64; OUTCOMES.len()])| {
        let at = Timestamp::from_second(*hour).unwrap_or_default().to_zoned(zone.clone());
        let at = at.strftime("%a %d %b %H:%M").to_string();
        [at].into_iter().chain(counts.iter().map(u64::to_string)).collect()
    };
    Ok(Chart {
        title: "Calls per hour",
        unit: "calls",
        kind: "bars",
        data: data.to_string(),
        columns: ["hour"].into_iter().chain(OUTCOMES).collect(),
        rows: with_calls.take(200).map(row).collect(),
    })
}

/// Returns the chart of the times from arrival to decision of the newest calls.
async fn decision_times(
    store: &Store,
    filter: &Filter,
    zone: &TimeZone,
) -> Result<Chart, PageError> {
    let mut found = store.search(filter, None, TIMED_CALLS, MOST_SEARCHED).await?.calls;
    found.reverse();
    let at: Vec<i64> = found.iter().map(|call| call.at.as_second()).collect();
    let ms = |call: &CallRecord| call.details.latency_us as f64 / 1000.0;
    let values: Vec<f64> = found.iter().map(ms).collect();
    let mut sorted = values.clone();
    sorted.sort_by(f64::total_cmp);
    let percentile = |part: f64| {
        let at = ((sorted.len() as f64 * part).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
        sorted.get(at).map(|ms| format!("{ms:.2} ms")).unwrap_or_default()
    };
    let mut rows = Vec::new();
    if let (Some(first), Some(last)) = (found.first(), found.last()) {
        let shown = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%d %b %H:%M").to_string();
        let span = format!("{} – {}", shown(first.at), shown(last.at));
        let [half, most, all] = [0.5, 0.99, 1.0].map(percentile);
        rows.push(vec![span, found.len().to_string(), half, most, all]);
    }
    Ok(Chart {
        title: "Decision times of the newest calls",
        unit: "ms",
        kind: "points",
        data: json!({ "at": at, "series": [{ "name": "decision time", "values": values }] })
            .to_string(),
        columns: vec!["time", "calls", "half within", "99 % within", "slowest"],
        rows,
    })
}
