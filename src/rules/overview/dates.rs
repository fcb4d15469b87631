//! Dates, with the next days that they include.

use jiff::Timestamp;

use super::{Overview, Page, PageRequest, Place, RulesUsing, page};
use crate::rules::Dates;
use crate::rules::places::DefinitionKind;

/// A named set of days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatesEntry {
    /// Name.
    pub name: String,
    /// Place of the definition.
    pub place: Option<Place>,
    /// Time zone of its days; `None` for that of the hours or of the table.
    pub zone: Option<String>,
    /// Entries, as they are written; the first ones.
    pub entries: Vec<String>,
    /// Number of entries.
    pub entry_count: usize,
    /// Last day of the file with further days, if there is one.
    pub last_listed: Option<String>,
    /// The next days within a year.
    pub next: Vec<NamedDay>,
    /// Rules that name them as a condition.
    pub used_by: RulesUsing,
    /// Hours that are closed on them.
    pub hours: Vec<String>,
}

/// A day of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedDay {
    /// Date: `2026-11-26`.
    pub date: String,
    /// Entry that includes it: `4th thu of nov`.
    pub entry: String,
}

/// Maximum number of entries that are shown.
const MAX_ENTRIES: usize = 50;
/// Maximum number of next days.
const MAX_NEXT: usize = 5;
/// Number of days in which the next ones are looked for.
const DAYS_AHEAD: usize = 366;

impl Overview<'_> {
    /// Returns dates in the order of the table.
    pub fn dates(&self, request: PageRequest<'_>, now: Timestamp) -> Page<DatesEntry> {
        let mut uses = self.rules_by_dates();
        let all = self.table.dates.iter().enumerate();
        page(
            request,
            all,
            |(_, dates)| &dates.name,
            |(index, dates)| {
                let zone = dates.zone.as_ref();
                let hours = self.table.hours.iter();
                let closed =
                    hours.filter(|hours| hours.closed.iter().any(|it| it.name == dates.name));
                DatesEntry {
                    name: dates.name.to_string(),
                    place: self.place_of(DefinitionKind::Dates, index),
                    zone: zone.map(|zone| zone.iana_name().unwrap_or("UTC").to_owned()),
                    entries: dates.days.iter().take(MAX_ENTRIES).map(ToString::to_string).collect(),
                    entry_count: dates.days.len(),
                    last_listed: dates.listed.last().map(|last| last.to_string()),
                    next: self.next_days(dates, now),
                    used_by: std::mem::take(&mut uses[index]),
                    hours: closed.map(|hours| hours.name.to_string()).collect(),
                }
            },
        )
    }

    fn next_days(&self, dates: &Dates, now: Timestamp) -> Vec<NamedDay> {
        let today = dates.date_at(now, &self.table.zone);
        let days = std::iter::successors(Some(today), |date| date.tomorrow().ok());
        let days = days.take(DAYS_AHEAD).filter_map(|date| {
            let entry = dates.entry(date)?;
            Some(NamedDay { date: date.to_string(), entry })
        });
        days.take(MAX_NEXT).collect()
    }
}
