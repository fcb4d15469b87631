//! Hours as a week's picture, and the next days with their exceptions.
//!
//! A picture is made of states that [`Hours::status`] returns, so it agrees with the decisions: between two
//! times at which the state can change, one evaluation stands for all.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::{Overview, Page, PageRequest, Place, RulesUsing, page};
use crate::rules::Hours;
use crate::rules::model::hours::OpenReason;
use crate::rules::places::DefinitionKind;

/// Hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoursEntry {
    /// Name.
    pub name: String,
    /// Place of the definition.
    pub place: Option<Place>,
    /// Time zone of the hours, in which all times are.
    pub zone: String,
    /// State now: `office is open on Fri 2026-11-27 at 10:00 (09:00-17:00 in Europe/Berlin)`.
    pub status: String,
    /// They are open now.
    pub is_open: bool,
    /// An ordinary week, from Monday, without its exceptions.
    pub week: Vec<HoursDay>,
    /// Fourteen days from today.
    pub days: Vec<HoursDay>,
    /// Dates on which they are closed.
    pub closed: Vec<String>,
    /// Number of days with other times.
    pub open_days: usize,
    /// Rules that name them.
    pub used_by: RulesUsing,
}

/// A day of hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoursDay {
    /// Date: `2026-11-27`.
    pub date: String,
    /// Name of the weekday: `Monday`.
    pub weekday: &'static str,
    /// Times at which they are open, in order. A span that began on the day before is among them.
    pub spans: Vec<OpenSpan>,
    /// Why the day is not as in an ordinary week.
    pub exceptions: Vec<DayException>,
    /// The clock changes on this day.
    pub has_clock_change: bool,
}

/// A time span within a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenSpan {
    /// Start in minutes after midnight on the wall clock.
    pub start: u16,
    /// End in minutes after midnight, up to 1440. On a day with a clock change, spans can overlap.
    pub end: u16,
    /// The same start as a time.
    pub from: Timestamp,
    /// The same end as a time.
    pub until: Timestamp,
}

/// Why a day is not as in an ordinary week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayException {
    /// Name of the dates on which the hours are closed; `None` for an entry of `open`.
    pub dates: Option<String>,
    /// The entry that includes the day: `4th thu of nov`.
    pub entry: String,
}

/// Number of days that are shown.
const DAYS: usize = 14;
const MINUTES_PER_DAY: u16 = 24 * 60;

impl Overview<'_> {
    /// Returns hours in the order of the table.
    pub fn hours(&self, request: PageRequest<'_>, now: Timestamp) -> Page<HoursEntry> {
        let mut uses = self.rules_by_hours();
        let all = self.table.hours.iter().enumerate();
        page(
            request,
            all,
            |(_, hours)| &hours.name,
            |(index, hours)| {
                let place = self.place_of(DefinitionKind::Hours, index);
                hours_entry(hours, place, std::mem::take(&mut uses[index]), now)
            },
        )
    }

    /// Returns the hours with this name.
    pub fn hours_named(&self, name: &str, now: Timestamp) -> Option<HoursEntry> {
        let index = self.table.hours_index(name)?;
        let used_by = self.rules_by_hours().swap_remove(index);
        let place = self.place_of(DefinitionKind::Hours, index);
        Some(hours_entry(&self.table.hours[index], place, used_by, now))
    }
}

fn hours_entry(
    hours: &Hours,
    place: Option<Place>,
    used_by: RulesUsing,
    now: Timestamp,
) -> HoursEntry {
    let status = hours.status(now);
    let today = hours.zone.to_datetime(now).date();
    HoursEntry {
        name: hours.name.to_string(),
        place,
        zone: hours.zone.iana_name().unwrap_or("UTC").to_owned(),
        status: format!("{status:#}"),
        is_open: status.open,
        week: ordinary_week(hours),
        days: days(hours, today, DAYS),
        closed: hours.closed.iter().map(|dates| dates.name.to_string()).collect(),
        open_days: hours.open.len(),
        used_by,
    }
}

/// Returns a week without exceptions and clock changes.
fn ordinary_week(hours: &Hours) -> Vec<HoursDay> {
    let ordinary = Hours {
        zone: TimeZone::UTC,
        closed: Vec::new(),
        open: Vec::new(),
        name: hours.name.clone(),
        week: hours.week.clone(),
    };
    const SOME_MONDAY: Date = Date::constant(2024, 1, 1);
    days(&ordinary, SOME_MONDAY, 7)
}

/// Returns consecutive days.
fn days(hours: &Hours, first: Date, count: usize) -> Vec<HoursDay> {
    let minutes = boundaries(hours);
    let dates = std::iter::successors(Some(first), |date| date.tomorrow().ok()).take(count);
    dates.filter_map(|date| day(hours, date, &minutes)).collect()
}

/// Returns the minutes of a day at which a span of the hours can start or end.
fn boundaries(hours: &Hours) -> Vec<u16> {
    let spans = hours.week.iter().chain(hours.open.iter().map(|(_, spans)| spans)).flatten();
    let ends = spans.flat_map(|span| [span.start, span.end]);
    let mut minutes: Vec<u16> = ends.map(|minute| minute % MINUTES_PER_DAY).collect();
    minutes.sort_unstable();
    minutes.dedup();
    minutes
}

/// Returns a day, or `None` if the calendar ends there.
fn day(hours: &Hours, date: Date, minutes: &[u16]) -> Option<HoursDay> {
    let zone = &hours.zone;
    let start = date.to_zoned(zone.clone()).ok()?.timestamp();
    let end = date.tomorrow().ok()?.to_zoned(zone.clone()).ok()?.timestamp();
    let changes = zone.following(start).map(|change| change.timestamp());
    let changes: Vec<_> = changes.take_while(|change| *change < end).collect();
    let mut times = vec![start];
    times.extend(&changes);
    // The wall clock runs evenly from one of these times to the next.
    for from in times.clone() {
        let offset = zone.to_offset(from);
        let at = minutes.iter().filter_map(|minute| {
            let (hour, minute) = ((minute / 60) as i8, (minute % 60) as i8);
            offset.to_timestamp(date.at(hour, minute, 0, 0)).ok()
        });
        times.extend(at.filter(|at| zone.to_offset(*at) == offset));
    }
    times.extend(midnights_of_closed_dates(hours, start, end));
    times.retain(|at| (start..end).contains(at));
    times.sort_unstable();
    times.dedup();
    let ends = times.iter().skip(1).copied().chain([end]);
    let mut found = HoursDay {
        date: date.to_string(),
        weekday: weekday(date),
        spans: Vec::new(),
        exceptions: Vec::new(),
        has_clock_change: !changes.is_empty(),
    };
    for (from, until) in times.iter().copied().zip(ends) {
        found.add(hours, from, until);
    }
    Some(found)
}

impl HoursDay {
    /// Adds a part of the day in which the state does not change.
    fn add(&mut self, hours: &Hours, from: Timestamp, until: Timestamp) {
        let status = hours.status(from);
        if let Some(exception) = exception(hours, from, status.reason)
            && !self.exceptions.contains(&exception)
        {
            self.exceptions.push(exception);
        }
        if !status.open {
            return;
        }
        let local = status.local;
        let start = local.hour().unsigned_abs() as u16 * 60 + local.minute().unsigned_abs() as u16;
        let length = u16::try_from(until.duration_since(from).as_mins()).unwrap_or_default();
        let end = (start + length).min(MINUTES_PER_DAY);
        match self.spans.last_mut() {
            Some(last) if last.until == from && last.end == start => {
                (last.end, last.until) = (end, until);
            }
            Some(_) | None => self.spans.push(OpenSpan { start, end, from, until }),
        }
    }
}

fn exception(hours: &Hours, at: Timestamp, reason: OpenReason<'_>) -> Option<DayException> {
    match reason {
        OpenReason::Week | OpenReason::DayBefore => None,
        OpenReason::Open(day) => Some(DayException { dates: None, entry: day.to_string() }),
        OpenReason::Closed(name) => {
            let dates = hours.closed.iter().find(|dates| *dates.name == *name)?;
            let entry = dates.entry(dates.date_at(at, &hours.zone)).unwrap_or_default();
            Some(DayException { dates: Some(name.to_owned()), entry })
        }
    }
}

/// Returns the times at which the date changes in the zones of closed dates that have one of their own.
fn midnights_of_closed_dates(hours: &Hours, start: Timestamp, end: Timestamp) -> Vec<Timestamp> {
    let zones = hours.closed.iter().filter_map(|dates| dates.zone.as_ref());
    let mut midnights = Vec::new();
    for zone in zones {
        let first = zone.to_datetime(start).date();
        let dates = (0..=3).filter_map(|days| first.checked_add(days.days()).ok());
        let times = dates.filter_map(|date| date.to_zoned(zone.clone()).ok());
        midnights.extend(times.map(|zoned| zoned.timestamp()).filter(|at| *at < end));
    }
    midnights
}

fn weekday(date: Date) -> &'static str {
    const NAMES: [&str; 7] =
        ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    NAMES[usize::from(date.weekday().to_monday_zero_offset().unsigned_abs())]
}
