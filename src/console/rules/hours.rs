//! `/rules/hours`: hours as a week's picture, with the next fourteen days, and dates.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::info::{TableInfo, TablePart, read_table};
use super::links::{Link, Links, PlaceView, UsedBy, element_id};
use super::pages::{PageQuery, Pager};
use crate::console::access::Reader;
use crate::console::page::{Frame, HtmlPage, PageError, Parameters};
use crate::console::state::Console;
use crate::http::HttpProblem;
use crate::rules::overview::{
    DatesEntry, DayException, HoursDay, HoursEntry, OpenSpan, Overview, PageRequest,
};

/// Hours on a page.
const HOURS: usize = 20;
const MINUTES_PER_DAY: u16 = 24 * 60;

/// Query parameters of the page.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct HoursQuery {
    #[serde(flatten)]
    pages: PageQuery,
    /// Name of the only hours to show.
    #[serde(default)]
    name: String,
}

/// A day as a row with a picture.
struct DayView {
    /// `Mon`, `Fri 27 Nov`
    day: String,
    /// Open spans as parts of the picture: start and width in minutes.
    bars: Vec<(u16, u16)>,
    /// `09:00–12:30`, or `closed`
    times: Vec<String>,
    exceptions: Vec<String>,
    has_clock_change: bool,
}

impl DayView {
    fn new(day: &HoursDay, with_date: bool) -> DayView {
        let weekday = &day.weekday[..3];
        let bars = day.spans.iter().map(|span| (span.start, span.end - span.start));
        DayView {
            day: match with_date {
                true => format!("{weekday} {}", day_of_year(&day.date)),
                false => weekday.to_owned(),
            },
            bars: bars.collect(),
            times: times(&day.spans),
            exceptions: day.exceptions.iter().map(exception).collect(),
            has_clock_change: day.has_clock_change,
        }
    }
}

/// Returns `2026-11-27` as `27 Nov`.
fn day_of_year(date: &str) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut parts = date.rsplit('-');
    let day = parts.next().unwrap_or_default();
    let month = parts.next().and_then(|month| month.parse::<usize>().ok());
    let month = month.and_then(|month| MONTHS.get(month.checked_sub(1)?));
    month.map_or_else(|| date.to_owned(), |month| format!("{day} {month}"))
}

fn exception(exception: &DayException) -> String {
    match &exception.dates {
        Some(dates) => format!("closed: {dates} ({})", exception.entry),
        None => format!("own times for {}", exception.entry),
    }
}

fn times(spans: &[OpenSpan]) -> Vec<String> {
    match spans {
        [] => vec!["closed".to_owned()],
        [OpenSpan { start: 0, end: MINUTES_PER_DAY, .. }] => vec!["open all day".to_owned()],
        spans => {
            let span = |span: &OpenSpan| format!("{}–{}", clock(span.start), clock(span.end));
            spans.iter().map(span).collect()
        }
    }
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// Hours as a part of the page.
struct HoursView {
    link: Link,
    id: String,
    place: Option<PlaceView>,
    status: String,
    is_open: bool,
    week: Vec<DayView>,
    days: Vec<DayView>,
    closed: Vec<Link>,
    open_days: usize,
    used_by: UsedBy,
}

impl HoursView {
    fn new(hours: &HoursEntry, links: &Links) -> HoursView {
        HoursView {
            link: links.hours(&hours.name),
            id: element_id("hours", &hours.name),
            place: PlaceView::of(hours.place.as_ref(), links),
            status: hours.status.clone(),
            is_open: hours.is_open,
            week: hours.week.iter().map(|day| DayView::new(day, false)).collect(),
            days: hours.days.iter().map(|day| DayView::new(day, true)).collect(),
            closed: hours.closed.iter().map(|name| links.dates(name)).collect(),
            open_days: hours.open_days,
            used_by: links.used_by(&hours.used_by),
        }
    }
}

/// Dates as a part of the page.
struct DatesView {
    id: String,
    name: String,
    place: Option<PlaceView>,
    zone: Option<String>,
    entries: String,
    more_entries: usize,
    last_listed: Option<String>,
    /// The next days: date and entry.
    next: Vec<(String, String)>,
    used_by: UsedBy,
    hours: Vec<Link>,
}

impl DatesView {
    fn new(dates: &DatesEntry, links: &Links) -> DatesView {
        let next = dates.next.iter().map(|day| (day.date.clone(), day.entry.clone()));
        DatesView {
            id: element_id("dates", &dates.name),
            name: links.dates(&dates.name).name,
            place: PlaceView::of(dates.place.as_ref(), links),
            zone: dates.zone.clone(),
            entries: dates.entries.join(", "),
            more_entries: dates.entry_count - dates.entries.len(),
            last_listed: dates.last_listed.clone(),
            next: next.collect(),
            used_by: links.used_by(&dates.used_by),
            hours: dates.hours.iter().map(|name| links.hours(name)).collect(),
        }
    }
}

#[derive(Template)]
#[template(path = "rules/hours.html")]
struct HoursPage {
    frame: Frame,
    table: TableInfo,
    search: String,
    /// Name of the only hours that are shown.
    name: Option<String>,
    hours: Vec<HoursView>,
    pages: Pager,
    dates: Vec<DatesView>,
    more_dates: usize,
}

/// Shows hours and dates.
pub(super) async fn show(
    State(console): State<Console>,
    reader: Reader,
    Parameters(query): Parameters<HoursQuery>,
) -> Result<Response, PageError> {
    let (asked, now) = (query.clone(), console.app.now());
    let name = Some(query.name.clone()).filter(|name| !name.is_empty());
    let only = name.clone();
    let read = move |overview: Overview<'_>| match &only {
        Some(name) => (overview.hours_named(name, now).into(), None),
        None => {
            let hours = overview.hours(asked.pages.request(HOURS), now);
            (hours, Some(overview.dates(PageRequest::first(), now)))
        }
    };
    let (hours, dates) = read_table(&console, read).await?;
    if let (Some(name), []) = (&name, &hours.items[..]) {
        return Err(HttpProblem::NotFound(format!("the live table has no hours `{name}`")).into());
    }
    let links = Links::new(&console, &reader);
    let views: Vec<_> = hours.items.iter().map(|hours| HoursView::new(hours, &links)).collect();
    let counts = (views.len(), hours.total, HOURS);
    let all = dates.as_ref().map_or(&[][..], |dates| &dates.items);
    let total = dates.as_ref().map_or(0, |dates| dates.total);
    Ok(HtmlPage(HoursPage {
        frame: TablePart::Hours.frame(&reader),
        table: TableInfo::new(&console, TablePart::Hours),
        search: query.pages.search().to_owned(),
        name,
        pages: Pager::new("/rules/hours", &query.pages, &[], counts),
        hours: views,
        dates: all.iter().map(|dates| DatesView::new(dates, &links)).collect(),
        more_dates: total - all.len(),
    })
    .into_response())
}
