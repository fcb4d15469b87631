//! Kinds of days, and the dates that each includes.

use std::fmt;

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};

use super::easter;

/// Most weeks from one occurrence to the next.
pub(super) const MAX_WEEKS: i32 = 52;

/// Entry of `days`: one date or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DaySpec {
    /// Day of every year that has it.
    Yearly(MonthDay),
    /// Days of every year; the range includes the new year when `to` comes before `from`.
    YearlyRange {
        /// First day.
        from: MonthDay,
        /// Last day.
        to: MonthDay,
    },
    /// First to fifth such weekday of a month; not every month has a fifth.
    Nth {
        /// Occurrence in the month, from 1 to 5.
        nth: i8,
        /// Weekday.
        weekday: Weekday,
        /// Month, from 1 to 12.
        month: i8,
        /// Days after that weekday; negative before it.
        offset_days: i16,
    },
    /// Last such weekday of a month.
    Last {
        /// Weekday.
        weekday: Weekday,
        /// Month, from 1 to 12.
        month: i8,
        /// Days after that weekday; negative before it.
        offset_days: i16,
    },
    /// Western Easter Sunday, or a day relative to it.
    Easter {
        /// Days after Easter Sunday; negative before it.
        offset_days: i16,
    },
    /// Orthodox Easter Sunday, or a day relative to it.
    OrthodoxEaster {
        /// Days after Easter Sunday; negative before it.
        offset_days: i16,
    },
    /// Day of every year that, on a weekend, is also observed on a workday.
    Moved {
        /// The holiday itself.
        day: MonthDay,
        /// The workday.
        to: MovesTo,
    },
    /// Weeks whose ISO number is even, or odd.
    Weeks {
        /// Even numbers.
        even: bool,
    },
    /// Every nth week, or one weekday of it, from a date on.
    EveryNth {
        /// Weeks from one occurrence to the next.
        weeks: i32,
        /// Weekday; all seven days from the weekday of `from` without one.
        weekday: Option<Weekday>,
        /// First day on which it can occur.
        from: Date,
    },
    /// Single date.
    Once(Date),
    /// Date range; `to` is never before `from`.
    Range {
        /// First day.
        from: Date,
        /// Last day.
        to: Date,
    },
}

/// Where a holiday on a Saturday or Sunday moves. The holiday itself remains one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MovesTo {
    /// From Saturday to Friday, from Sunday to Monday, as in the United States.
    NearestWorkday,
    /// To the next workday that is not in the set, as in the United Kingdom and Ireland.
    NextWorkday,
}

/// Day of the year, ordered by month and day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MonthDay {
    /// Month, from 1 to 12.
    pub month: i8,
    /// Day of the month, valid for that month in a leap year.
    pub day: i8,
}

impl MonthDay {
    pub(super) fn is_on(self, date: Date) -> bool {
        self == MonthDay { month: date.month(), day: date.day() }
    }
}

impl DaySpec {
    /// Returns whether the entry includes this date, leaving aside the workdays to which holidays
    /// move.
    pub(super) fn names(&self, date: Date) -> bool {
        let today = MonthDay { month: date.month(), day: date.day() };
        match *self {
            DaySpec::Yearly(day) | DaySpec::Moved { day, .. } => day == today,
            DaySpec::YearlyRange { from, to } if from <= to => (from..=to).contains(&today),
            DaySpec::YearlyRange { from, to } => today >= from || today <= to,
            DaySpec::Nth { nth, weekday, month, offset_days } => minus_days(date, offset_days)
                .is_some_and(|date| {
                    month == date.month()
                        && weekday == date.weekday()
                        && nth == (date.day() - 1) / 7 + 1
                }),
            DaySpec::Last { weekday, month, offset_days } => minus_days(date, offset_days)
                .is_some_and(|date| {
                    month == date.month()
                        && weekday == date.weekday()
                        && date.day() > date.days_in_month() - 7
                }),
            DaySpec::Easter { offset_days } => minus_days(date, offset_days)
                .is_some_and(|sunday| easter::western(sunday.year()) == Some(sunday)),
            DaySpec::OrthodoxEaster { offset_days } => minus_days(date, offset_days)
                .is_some_and(|sunday| easter::orthodox(sunday.year()) == Some(sunday)),
            DaySpec::Weeks { even } => (date.iso_week_date().week() % 2 == 0) == even,
            DaySpec::EveryNth { weeks, weekday, from } => {
                let days = (date - from).get_days();
                match weekday {
                    None => days >= 0 && (days / 7) % weeks == 0,
                    Some(weekday) => {
                        let first = i32::from(from.weekday().until(weekday));
                        weekday == date.weekday()
                            && days >= first
                            && ((days - first) / 7) % weeks == 0
                    }
                }
            }
            DaySpec::Once(once) => once == date,
            DaySpec::Range { from, to } => (from..=to).contains(&date),
        }
    }

    /// Returns whether the entry names days of a specific year.
    pub fn has_a_year(&self) -> bool {
        matches!(self, DaySpec::Once(_) | DaySpec::Range { .. })
    }

    /// Returns the range that was probably meant, if this one goes over the new year and leaves out a few days only.
    pub fn turned_around(&self) -> Option<DaySpec> {
        let DaySpec::YearlyRange { from, to } = *self else { return None };
        let left_out = day_of_year(from)? - day_of_year(to)?;
        let is_short = (1..=MOST_DAYS_LEFT_OUT).contains(&left_out);
        is_short.then_some(DaySpec::YearlyRange { from: to, to: from })
    }

    /// Returns whether all its dates are before `today`. Entries without a year are never over.
    pub fn is_over(&self, today: Date) -> bool {
        match self {
            DaySpec::Once(last) | DaySpec::Range { to: last, .. } => *last < today,
            DaySpec::Yearly(_)
            | DaySpec::YearlyRange { .. }
            | DaySpec::Nth { .. }
            | DaySpec::Last { .. }
            | DaySpec::Easter { .. }
            | DaySpec::OrthodoxEaster { .. }
            | DaySpec::Moved { .. }
            | DaySpec::Weeks { .. }
            | DaySpec::EveryNth { .. } => false,
        }
    }
}

impl fmt::Display for MonthDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}-{:02}", self.month, self.day)
    }
}

/// Most days that a range over the new year leaves out if its ends were probably interchanged.
const MOST_DAYS_LEFT_OUT: i16 = 14;

/// Leap year, which has every day that an entry without a year can name.
pub(super) const LEAP_YEAR: i16 = 2024;

/// Returns the number of a day in a leap year.
fn day_of_year(MonthDay { month, day }: MonthDay) -> Option<i16> {
    Date::new(LEAP_YEAR, month, day).ok().map(Date::day_of_year)
}

fn minus_days(date: Date, days: i16) -> Option<Date> {
    date.checked_sub(i64::from(days).days()).ok()
}

/// Single dates and ranges of a file, for binary search.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListedDays {
    /// First and last days of ranges that are sorted and disjoint.
    ranges: Box<[(Date, Date)]>,
}

impl ListedDays {
    /// Sorts and merges ranges, each with its first and last day.
    pub fn new(mut ranges: Vec<(Date, Date)>) -> ListedDays {
        ranges.sort_unstable();
        let mut merged: Vec<(Date, Date)> = Vec::with_capacity(ranges.len());
        for (from, to) in ranges {
            match merged.last_mut().filter(|(_, last)| from <= *last) {
                Some((_, last)) => *last = to.max(*last),
                None => merged.push((from, to)),
            }
        }
        ListedDays { ranges: merged.into() }
    }

    /// Returns whether a range includes this date.
    pub fn contains(&self, date: Date) -> bool {
        let after = self.ranges.partition_point(|(from, _)| *from <= date);
        self.ranges[..after].last().is_some_and(|(_, to)| date <= *to)
    }

    /// Returns the last day of all.
    pub fn last(&self) -> Option<Date> {
        self.ranges.last().map(|(_, to)| *to)
    }
}
