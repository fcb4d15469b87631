//! Holidays that move from a weekend: `07-04 observed`, `12-26 next workday`.

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};

use super::day::{DaySpec, ListedDays, MonthDay, MovesTo};

/// Days before a date in which a holiday can be that moves to it, however many holidays follow each
/// other.
const LOOK_BACK_DAYS: i32 = 31;

/// Returns whether a holiday of the set, one that falls on a weekend, moves to this date.
pub(super) fn contains(days: &[DaySpec], listed: &ListedDays, date: Date) -> bool {
    if is_weekend(date) {
        return false;
    }
    let moves_here = |day| is_observed(day, date);
    days.iter().filter_map(|day| moving(day, MovesTo::NearestWorkday)).any(moves_here)
        || days.iter().any(|day| moving(day, MovesTo::NextWorkday).is_some())
            && is_substitute(days, listed, date)
}

/// Returns the day of a holiday that moves in this way.
fn moving(day: &DaySpec, wanted: MovesTo) -> Option<MonthDay> {
    let DaySpec::Moved { day, to } = day else { return None };
    (*to == wanted).then_some(*day)
}

fn is_weekend(date: Date) -> bool {
    matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// Returns whether a holiday on a weekend is observed on this workday.
fn is_observed(day: MonthDay, date: Date) -> bool {
    let weekend = if date.weekday() == Weekday::Friday {
        date.tomorrow()
    } else if date.weekday() == Weekday::Monday {
        date.yesterday()
    } else {
        return false;
    };
    weekend.is_ok_and(|weekend| day.is_on(weekend))
}

/// Returns whether this workday is the substitute of an earlier holiday. Holidays on weekends take
/// the workdays that follow in their order, and skip those that are in the set.
fn is_substitute(days: &[DaySpec], listed: &ListedDays, date: Date) -> bool {
    let mut without_a_day = 0;
    for before in (0..=LOOK_BACK_DAYS).rev() {
        let Ok(today) = date.checked_sub(before.days()) else { continue };
        if is_weekend(today) {
            let moving = days.iter().filter_map(|day| moving(day, MovesTo::NextWorkday));
            without_a_day += moving.filter(|day| day.is_on(today)).count();
        } else if without_a_day > 0 && !listed.contains(today) && !is_holiday(days, today) {
            without_a_day -= 1;
            if before == 0 {
                return true;
            }
        }
    }
    false
}

/// Returns whether the set has this date for another reason than a move to the next workday.
fn is_holiday(days: &[DaySpec], date: Date) -> bool {
    let moves_here = |day| is_observed(day, date);
    days.iter()
        .any(|day| day.names(date) || moving(day, MovesTo::NearestWorkday).is_some_and(moves_here))
}
