//! Easter Sunday, western and Orthodox.

use jiff::ToSpan;
use jiff::civil::Date;

/// Computes Gregorian Easter Sunday with the Meeus/Jones/Butcher algorithm.
pub(super) fn western(year: i16) -> Option<Date> {
    let year = i32::from(year);
    let (golden, century, in_century) = (year % 19, year / 100, year % 100);
    let moon_steps = (century - (century + 8) / 25 + 1) / 3;
    let epact = (19 * golden + century - century / 4 - moon_steps + 15) % 30;
    let to_sunday = (32 + 2 * (century % 4) + 2 * (in_century / 4) - epact - in_century % 4) % 7;
    let late = (golden + 11 * epact + 22 * to_sunday) / 451;
    let in_march = 22 + epact + to_sunday - 7 * late;
    let (month, day) = if in_march > 31 { (4, in_march - 31) } else { (3, in_march) };
    Date::new(i16::try_from(year).ok()?, month, i8::try_from(day).ok()?).ok()
}

/// Computes Orthodox Easter Sunday in the Gregorian calendar: Meeus' Julian algorithm, and the days
/// by which the calendars differ in that century.
pub(super) fn orthodox(year: i16) -> Option<Date> {
    let number = i32::from(year);
    let epact = (19 * (number % 19) + 15) % 30;
    let to_sunday = (2 * (number % 4) + 4 * (number % 7) - epact + 34) % 7;
    let in_march = epact + to_sunday + 22;
    let days_between_calendars = number / 100 - number / 400 - 2;
    let march = Date::new(year, 3, 1).ok()?;
    march.checked_add((in_march - 1 + days_between_calendars).days()).ok()
}
