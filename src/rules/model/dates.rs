//! Calendar days: the entries of `[dates.NAME]`, and the keys of `open` in `[hours.NAME]`.
//!
//! `01-01`, `12-24..12-26`, `07-04 observed`, `3rd mon of jan`, `last mon of may`, `easter-2`,
//! `2026-12-24`, `2026-12-28..2026-12-30`, `even weeks`, `every 2nd fri from 2026-11-27`. This module
//! does not read the clock: dates and times are arguments.

mod day;
mod easter;
mod moved;
pub(crate) mod parse;
pub(crate) mod suggest;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

pub use day::{DaySpec, ListedDays};

/// `[dates.NAME]`: a named set of days.
///
/// ```
/// use switchboard::rules::{Dates, DaySpec};
///
/// let days = ["12-25", "4th thu of nov"].map(|day| DaySpec::parse(day).unwrap());
/// let holidays = Dates::new("holidays", days.to_vec());
/// assert!(holidays.contains("2026-11-26".parse().unwrap()));
/// assert!(!holidays.contains("2026-11-27".parse().unwrap()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dates {
    /// Name used by rules and hours.
    pub name: Box<str>,
    /// Time zone of the days; `None` for the zone of the hours or of the table that uses them.
    pub zone: Option<TimeZone>,
    /// Days of the set.
    pub days: Vec<DaySpec>,
    /// Days from a file.
    pub listed: ListedDays,
}

impl Dates {
    /// Creates a set without a zone of its own.
    pub fn new(name: &str, days: Vec<DaySpec>) -> Dates {
        Dates { name: name.into(), zone: None, days, listed: ListedDays::default() }
    }

    /// Returns whether the set contains this date.
    pub fn contains(&self, date: Date) -> bool {
        self.listed.contains(date)
            || self.days.iter().any(|day| day.names(date))
            || moved::contains(&self.days, &self.listed, date)
    }

    /// Describes the entry that includes this date: the first one, or the file.
    pub fn entry(&self, date: Date) -> Option<String> {
        let entry = self.days.iter().find(|day| day.contains(date)).map(DaySpec::to_string);
        let other = || if self.listed.contains(date) { "its file" } else { "a day in lieu" };
        self.contains(date).then(|| entry.unwrap_or_else(|| other().to_owned()))
    }

    /// Returns the date at this time: in the zone of the set, if it has one, else in the other zone.
    pub fn date_at(&self, at: Timestamp, other: &TimeZone) -> Date {
        self.zone.as_ref().unwrap_or(other).to_datetime(at).date()
    }
}

impl DaySpec {
    /// Returns whether the entry, without others in its set, includes this date.
    pub fn contains(&self, date: Date) -> bool {
        self.names(date)
            || moved::contains(std::slice::from_ref(self), &ListedDays::default(), date)
    }
}
