//! Tests of days and of their parser.

use super::easter;
use jiff::ToSpan;
use jiff::civil::Weekday;

use super::*;

fn on(date: &str) -> Date {
    date.parse().unwrap()
}

#[track_caller]
fn check(day: &str, date: &str, expected: bool) {
    let day = DaySpec::parse(day).unwrap();
    assert_eq!(day.contains(on(date)), expected, "{day} {date}");
}

#[test]
fn a_day_without_a_year_recurs() {
    check("01-01", "2026-01-01", true);
    check("01-01", "2031-01-01", true);
    check("01-01", "2026-01-02", false);
    check("01-02", "2026-02-01", false);
}

#[test]
fn the_leap_day_occurs_only_in_leap_years() {
    check("02-29", "2028-02-29", true);
    check("02-29", "2026-02-28", false);
    check("02-29", "2026-03-01", false);
    check("02-29..03-01", "2026-03-01", true);
    check("02-28..03-01", "2028-02-29", true);
    check("2028-02-29", "2028-02-29", true);
}

#[test]
fn a_yearly_range_includes_both_ends() {
    check("12-24..12-26", "2026-12-23", false);
    check("12-24..12-26", "2026-12-24", true);
    check("12-24..12-26", "2027-12-26", true);
    check("12-24..12-26", "2026-12-27", false);
    check("07-04..07-04", "2026-07-04", true);
    check("07-04..07-04", "2026-07-05", false);
}

#[test]
fn a_yearly_range_may_wrap_the_new_year() {
    check("12-28..01-02", "2026-12-27", false);
    check("12-28..01-02", "2026-12-28", true);
    check("12-28..01-02", "2027-01-02", true);
    check("12-28..01-02", "2027-01-03", false);
    check("12-28..01-02", "2026-06-15", false);
}

#[test]
fn weekdays_of_a_month_are_counted_from_its_first_day() {
    check("3rd mon of jan", "2026-01-19", true);
    check("3rd mon of jan", "2026-01-12", false);
    check("3rd mon of jan", "2026-01-26", false);
    check("3rd mon of jan", "2026-01-20", false);
    check("3rd mon of jan", "2026-02-16", false);
    check("1st mon of sep", "2026-09-07", true);
    check("1st tue of sep", "2026-09-01", true);
    check("2nd mon of oct", "2026-10-12", true);
    check("4th thu of nov", "2026-11-26", true);
    check("4th thu of nov", "2027-11-25", true);
    check("5th sun of aug", "2026-08-30", true);
    check("5th mon of aug", "2026-08-31", true);
    check("5th tue of aug", "2026-09-01", false);
}

#[test]
fn the_last_weekday_is_the_fourth_or_the_fifth() {
    check("last mon of may", "2026-05-25", true);
    check("last mon of may", "2026-05-18", false);
    check("last mon of may", "2027-05-31", true);
    check("last mon of may", "2027-05-24", false);
    check("last sun of feb", "2026-02-22", true);
    check("last tue of feb", "2028-02-29", true);
    check("last tue of feb", "2028-02-22", false);
}

#[test]
fn computes_easter_for_every_year() {
    let sundays = [
        "1583-04-10",
        "1818-03-22",
        "1954-04-18",
        "1981-04-19",
        "2000-04-23",
        "2008-03-23",
        "2011-04-24",
        "2019-04-21",
        "2024-03-31",
        "2025-04-20",
        "2026-04-05",
        "2027-03-28",
        "2028-04-16",
        "2029-04-01",
        "2030-04-21",
        "2038-04-25",
        "2049-04-18",
        "2076-04-19",
        "2285-03-22",
    ];
    for sunday in sundays {
        assert_eq!(easter::western(on(sunday).year()), Some(on(sunday)));
    }
    for year in 1583..=9999 {
        let sunday = easter::western(year).unwrap();
        assert_eq!(sunday.weekday(), Weekday::Sunday, "{sunday}");
        let day = (sunday.month(), sunday.day());
        assert!(((3, 22)..=(4, 25)).contains(&day), "{sunday}");
    }
}

#[test]
fn supports_offsets_from_easter() {
    check("easter", "2026-04-05", true);
    check("easter", "2026-04-06", false);
    check("easter-2", "2026-04-03", true);
    check("easter+1", "2026-04-06", true);
    check("easter+39", "2026-05-14", true);
    check("easter-47", "2027-02-09", true);
    check("easter+300", "2027-01-30", true);
    check("easter-1", "9999-12-31", false);
}

#[test]
fn a_date_with_a_year_occurs_once() {
    check("2026-12-24", "2026-12-24", true);
    check("2026-12-24", "2027-12-24", false);
    check("2026-12-28..2027-01-02", "2026-12-27", false);
    check("2026-12-28..2027-01-02", "2026-12-28", true);
    check("2026-12-28..2027-01-02", "2027-01-02", true);
    check("2026-12-28..2027-01-02", "2027-01-03", false);
    check("2026-12-28..2027-01-02", "2027-12-30", false);
}

#[test]
fn dates_contain_all_of_their_days() {
    let days = ["12-25", "easter-2"].map(|day| DaySpec::parse(day).unwrap()).to_vec();
    let dates = Dates::new("holidays", days);
    assert!(dates.contains(on("2026-12-25")));
    assert!(dates.contains(on("2026-04-03")));
    assert!(!dates.contains(on("2026-04-04")));
}

#[test]
fn only_dates_with_a_year_can_be_over() {
    let is_over = |day: &str, today| DaySpec::parse(day).unwrap().is_over(on(today));
    assert!(!is_over("2026-12-24", "2026-12-24"));
    assert!(is_over("2026-12-24", "2026-12-25"));
    assert!(!is_over("2026-12-28..2026-12-30", "2026-12-30"));
    assert!(is_over("2026-12-28..2026-12-30", "2026-12-31"));
    for yearly in ["01-01", "01-01..01-02", "1st mon of jan", "last mon of jan", "easter"] {
        assert!(!is_over(yearly, "2026-12-31"), "{yearly}");
    }
}

#[track_caller]
fn check_printed(day: &str, expected: &str) {
    let read = DaySpec::parse(day).unwrap();
    assert_eq!(read.to_string(), expected);
    assert_eq!(
        DaySpec::parse(expected).unwrap(),
        read,
        "the printed form parses to the same entry"
    );
}

#[test]
fn prints_the_canonical_form() {
    check_printed(" 01-01 ", "01-01");
    check_printed("12-28 .. 01-02", "12-28..01-02");
    check_printed("3RD  Monday of JANUARY", "3rd mon of jan");
    check_printed("Last fri OF sep", "last fri of sep");
    check_printed("3rd\u{a0}mon\u{a0}of\tjan", "3rd mon of jan");
    check_printed("5th sunday of may", "5th sun of may");
    check_printed("Easter", "easter");
    check_printed("easter+0", "easter");
    check_printed("EASTER - 2", "easter-2");
    check_printed("easter+1", "easter+1");
    check_printed("2026-12-24", "2026-12-24");
    check_printed(" 2026-12-28..2026-12-30", "2026-12-28..2026-12-30");
}

#[track_caller]
fn check_error(day: &str, message: &str, help: Option<&str>) {
    let error = DaySpec::parse(day).unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str(), error.help.as_deref()),
        ("bad-date", message, help)
    );
}

#[test]
fn rejects_days_and_months_that_do_not_exist() {
    check_error("02-30", "`02-30` is not a date: February has at most 29 days", None);
    check_error("04-31", "`04-31` is not a date: April has 30 days", None);
    check_error("01-00", "`01-00` is not a date: January has 31 days", None);
    check_error("2026-02-29", "`2026-02-29` is not a date: February 2026 has 28 days", None);
    check_error("02-28..02-30", "`02-30` is not a date: February has at most 29 days", None);
    check_error(
        "25-12",
        "`25-12` is not a date: there is no month 25",
        Some("did you mean `12-25`?"),
    );
    check_error(
        "2026-24-12",
        "`2026-24-12` is not a date: there is no month 24",
        Some("did you mean `2026-12-24`?"),
    );
    check_error(
        "13-32",
        "`13-32` is not a date: there is no month 13",
        Some("write the month first, 01 to 12"),
    );
}

#[test]
fn rejects_text_that_is_not_a_date() {
    let help = Some(
        "write `12-24`, `2026-12-24`, `3rd mon of jan`, `last mon of may` or `easter-2`, \
         or a range such as `12-24..12-26`",
    );
    check_error("", "an empty text is not a date", help);
    check_error("christmas", "`christmas` is not a date", Some("did you mean `12-25`?"));
    check_error("party", "`party` is not a date", help);
    check_error("12/25", "`12/25` is not a date", Some("did you mean `12-25`?"));
    check_error("24.12.", "`24.12.` is not a date", Some("did you mean `12-24`?"));
    check_error("12/25/2026", "`12/25/2026` is not a date", Some("did you mean `2026-12-25`?"));
    check_error("03/04/2026", "`03/04/2026` is not a date", help);
    check_error("+1-01", "`+1-01` is not a date", help);
    check_error("26-12-24", "`26-12-24` is not a date", help);
    check_error("12-24..", "an empty text is not a date", help);
    check_error("12\u{2013}24", "`12\u{2013}24` is not a date", Some("did you mean `12-24`?"));
    check_error("1-1", "`1-1` is not a date", Some("did you mean `01-01`?"));
    check_error("2026-1-5", "`2026-1-5` is not a date", Some("did you mean `2026-01-05`?"));
    check_error("eastre", "`eastre` is not a date", Some("did you mean `easter`?"));
}

#[test]
fn rejects_invalid_ranges() {
    check_error(
        "2026-12-30..2026-12-28",
        "`2026-12-30..2026-12-28` ends before it starts",
        Some("did you mean `2026-12-28..2026-12-30`?"),
    );
    check_error(
        "2026-12-28..12-30",
        "`2026-12-28..12-30` has a year at one end only",
        Some("did you mean `2026-12-28..2026-12-30`?"),
    );
    check_error(
        "12-28..2027-01-02",
        "`12-28..2027-01-02` has a year at one end only",
        Some("did you mean `2026-12-28..2027-01-02`?"),
    );
}

#[test]
fn rejects_invalid_weekdays_of_a_month() {
    let message = |word: &str| format!("`{word}` is not an occurrence in a month");
    check_error("6th mon of jan", &message("6th"), None);
    check_error("12th mon of jan", &message("12th"), None);
    check_error("3th mon of jan", &message("3th"), Some("did you mean `3rd`?"));
    check_error("lsat mon of jan", &message("lsat"), Some("did you mean `last`?"));
    check_error("1st thur of jan", "`thur` is not a weekday", Some("did you mean `thu`?"));
    check_error(
        "1st workday of jan",
        "`workday` is not a weekday",
        Some("weekdays are mon, tue, wed, thu, fri, sat, sun"),
    );
    check_error("aaa\u{20ac}\tmon\tof\tjan", &message("aaa\u{20ac}"), None);
    check_error("1st mon of sept", "`sept` is not a month", Some("did you mean `sep`?"));
    check_error(
        "1st mon of brumaire",
        "`brumaire` is not a month",
        Some("months are jan, feb, mar, apr, may, jun, jul, aug, sep, oct, nov, dec"),
    );
}

#[test]
fn rejects_invalid_offsets_from_easter() {
    let help = Some("write `easter`, `easter-2` or `easter+1`");
    check_error("easter days", "`easter days` is not a date", help);
    check_error("easter2", "`easter2` is not a date", help);
    let help = Some("write an offset of at most 366 days, as in `easter-2`");
    check_error("easter-", "`easter-` is not a valid offset from Easter", help);
    check_error("easter+one", "`easter+one` is not a valid offset from Easter", help);
    check_error("easter+367", "`easter+367` is not a valid offset from Easter", help);
    check_error("easter+99999", "`easter+99999` is not a valid offset from Easter", help);
    check_error("easter--2", "`easter--2` is not a valid offset from Easter", help);
}

/// Every day of the years in which the rules for moved days and weeks are compared with an oracle.
fn days_of_2024_to_2040() -> impl Iterator<Item = Date> {
    on("2024-01-01").series(1.day()).take_while(|date| date.year() <= 2040)
}

#[track_caller]
fn check_all_days(days: &[&str], expected: impl Fn(Date) -> bool) {
    let dates = Dates::new("set", days.iter().map(|day| DaySpec::parse(day).unwrap()).collect());
    for date in days_of_2024_to_2040() {
        assert_eq!(dates.contains(date), expected(date), "{days:?} on {date}");
    }
}

#[test]
fn an_observed_day_moves_to_the_nearest_workday() {
    for (month, day) in [(1, 1), (6, 19), (7, 4), (11, 11), (12, 25)] {
        let entry = format!("{month:02}-{day:02} observed");
        let mut expected = Vec::new();
        for year in 2023..=2041 {
            let holiday = Date::new(year, month, day).unwrap();
            expected.push(holiday);
            if holiday.weekday() == Weekday::Saturday {
                expected.push(holiday.yesterday().unwrap());
            } else if holiday.weekday() == Weekday::Sunday {
                expected.push(holiday.tomorrow().unwrap());
            }
        }
        check_all_days(&[&entry], |date| expected.contains(&date));
    }
    check("07-04 observed", "2026-07-03", true);
    check("07-04 observed", "2026-07-04", true);
    check("07-04 observed", "2026-07-06", false);
    check("07-04 observed", "2027-07-05", true);
    check("01-01 observed", "2027-12-31", true);
    check("12-25 observed", "2027-12-24", true);
    check("02-29 observed", "2032-03-01", true);
    check("02-29 observed", "2031-02-28", false);
}

/// The bank holidays of England and Wales in winter, as the government has published or will compute
/// them.
#[test]
fn a_substitute_is_the_next_workday_that_is_not_a_holiday() {
    let set = ["01-01 next workday", "12-25 next workday", "12-26 next workday"];
    let substitutes = [
        "2026-12-28",
        "2027-12-27",
        "2027-12-28",
        "2028-01-03",
        "2032-12-27",
        "2032-12-28",
        "2033-01-03",
        "2033-12-27",
        "2033-12-26",
        "2034-01-02",
        "2037-12-28",
        "2038-12-27",
        "2038-12-28",
        "2039-01-03",
        "2039-12-27",
        "2039-12-26",
        "2040-01-02",
    ];
    let substitutes = substitutes.map(on);
    check_all_days(&set, |date| {
        let holidays = [(1, 1), (12, 25), (12, 26)];
        holidays.contains(&(date.month(), date.day())) || substitutes.contains(&date)
    });
}

#[test]
fn substitutes_follow_an_oracle_that_lists_the_holidays() {
    let sets: [&[(i8, i8)]; 4] =
        [&[(12, 25), (12, 26)], &[(1, 1), (1, 2)], &[(12, 31), (1, 1)], &[(2, 29), (3, 1)]];
    for holidays in sets {
        let entries: Vec<String> = holidays
            .iter()
            .map(|(month, day)| format!("{month:02}-{day:02} next workday"))
            .collect();
        let mut all: Vec<Date> = Vec::new();
        for year in 2023..=2041 {
            all.extend(
                holidays.iter().filter_map(|(month, day)| Date::new(year, *month, *day).ok()),
            );
        }
        all.sort();
        let mut taken = all.clone();
        let is_weekend = |date: Date| matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
        for holiday in all.into_iter().filter(|date| is_weekend(*date)) {
            let mut days = holiday.series(1.day());
            let free = days.find(|date| !is_weekend(*date) && !taken.contains(date)).unwrap();
            taken.push(free);
        }
        let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
        check_all_days(&entries, |date| taken.contains(&date));
    }
}

#[test]
fn a_substitute_skips_every_other_day_of_the_set() {
    let days = ["12-25 next workday", "2027-12-27", "12-28..12-29"];
    let mut dates = Dates::new("set", days.map(|day| DaySpec::parse(day).unwrap()).to_vec());
    assert!(dates.contains(on("2027-12-30")));
    assert!(!dates.contains(on("2027-12-31")));
    dates.listed = ListedDays::new(vec![(on("2027-12-30"), on("2027-12-30"))]);
    assert!(dates.contains(on("2027-12-31")));
}

#[test]
fn offsets_count_from_a_weekday_of_a_month() {
    for (entry, weekday, nth, month, offset) in [
        ("4th thu of nov+1", Weekday::Thursday, 4, 11, 1),
        ("1st mon of jan-3", Weekday::Monday, 1, 1, -3),
        ("last mon of may-3", Weekday::Monday, -1, 5, -3),
        ("last sun of dec+10", Weekday::Sunday, -1, 12, 10),
    ] {
        let expected: Vec<Date> = (2023..=2041)
            .map(|year| {
                Date::new(year, month, 1).unwrap().nth_weekday_of_month(nth, weekday).unwrap()
            })
            .map(|date| date.checked_add(offset.days()).unwrap())
            .collect();
        check_all_days(&[entry], |date| expected.contains(&date));
    }
    check("4th thu of nov+1", "2026-11-27", true);
    check("4th thu of nov+1", "2026-11-26", false);
}

#[test]
fn computes_orthodox_easter() {
    let sundays = [
        "2024-05-05",
        "2025-04-20",
        "2026-04-12",
        "2027-05-02",
        "2028-04-16",
        "2029-04-08",
        "2030-04-28",
        "2031-04-13",
        "2032-05-02",
        "2033-04-24",
        "2034-04-09",
        "2035-04-29",
        "2036-04-20",
        "2037-04-05",
        "2038-04-25",
        "2039-04-17",
        "2040-05-06",
    ];
    let sundays = sundays.map(on);
    check_all_days(&["orthodox-easter"], |date| sundays.contains(&date));
    check_all_days(&["orthodox-easter+1"], |date| sundays.contains(&date.yesterday().unwrap()));
    assert_eq!(easter::orthodox(2100), Some(on("2100-05-02")));
}

#[test]
fn weeks_have_the_parity_of_their_iso_number() {
    // The Thursday of a week is in the year of the week.
    let number = |date: Date| {
        let monday = date.checked_sub(date.weekday().to_monday_zero_offset().days()).unwrap();
        let thursday = monday.checked_add(3.days()).unwrap();
        (thursday.day_of_year() - 1) / 7 + 1
    };
    check_all_days(&["even weeks"], |date| number(date) % 2 == 0);
    check_all_days(&["odd weeks"], |date| number(date) % 2 == 1);
    check("odd weeks", "2026-12-31", true);
    check("odd weeks", "2027-01-04", true);
}

#[test]
fn every_nth_week_and_weekday_count_from_a_date() {
    let every = |first: &str, days: i32, length: i32| {
        let starts: Vec<Date> =
            on(first).series(days.days()).take_while(|date| date.year() <= 2041).collect();
        move |date: Date| {
            starts.iter().any(|start| (0..length).contains(&(date - *start).get_days()))
        }
    };
    check_all_days(&["every 2nd week from 2026-11-30"], every("2026-11-30", 14, 7));
    check_all_days(&["every 3rd week from 2024-02-29"], every("2024-02-29", 21, 7));
    check_all_days(&["every 2nd fri from 2026-11-27"], every("2026-11-27", 14, 1));
    check_all_days(&["every 2nd fri from 2026-11-28"], every("2026-12-04", 14, 1));
    check_all_days(&["every mon from 2026-11-28"], every("2026-11-30", 7, 1));
    check("every 2nd week from 2026-11-30", "2026-11-29", false);
}

#[test]
fn prints_the_canonical_form_of_moved_days_and_weeks() {
    check_printed("07-04 Observed", "07-04 observed");
    check_printed("07-04 (observed)", "07-04 observed");
    check_printed(" 12-26  next  workday", "12-26 next workday");
    check_printed("4th Thursday of Nov + 1", "4th thu of nov+1");
    check_printed("last mon of may-3", "last mon of may-3");
    check_printed("Orthodox-Easter", "orthodox-easter");
    check_printed("orthodox-easter+1", "orthodox-easter+1");
    check_printed("Even weeks", "even weeks");
    check_printed("odd weeks", "odd weeks");
    check_printed("every 2nd week from 2026-11-30", "every 2nd week from 2026-11-30");
    check_printed("every 1st week from 2026-11-30", "every week from 2026-11-30");
    check_printed("Every 11th Friday from 2026-11-27", "every 11th fri from 2026-11-27");
}

#[test]
fn rejects_moved_days_and_weeks_in_other_words() {
    let check = |day: &str, help: &str| {
        let error = DaySpec::parse(day).unwrap_err();
        assert_eq!((error.code, error.help.as_deref()), ("bad-date", Some(help)), "{day}");
        if let Some(proposed) = help.strip_prefix("did you mean `") {
            let proposed = proposed.trim_end_matches(['`', '?']);
            assert!(DaySpec::parse(proposed).is_ok(), "{proposed}");
        }
    };
    check("07-04 observed day", "did you mean `07-04 observed`?");
    check("12-26 next working day", "did you mean `12-26 next workday`?");
    check("12-26 substitute", "did you mean `12-26 next workday`?");
    check("even week", "did you mean `even weeks`?");
    check("odd calendar weeks", "did you mean `odd weeks`?");
    check("every other week from 2026-11-30", "did you mean `every 2nd week from 2026-11-30`?");
    check("every 2th fri from 2026-11-27", "did you mean `every 2nd fri from 2026-11-27`?");
    check("orthodox easter", "did you mean `orthodox-easter`?");
    let weeks = "write `every 2nd week from 2026-11-30`, `every 2nd fri from 2026-11-27`, \
                 `even weeks` or `odd weeks`";
    check("every 2nd week", weeks);
    check("biweekly", weeks);
    let years = "write the day itself and the day on which it is observed, each with its year";
    check("2026-07-04 observed", years);
    let fixed = "write `07-04 observed` or `12-26 next workday`; what falls on the same weekday every \
                 year takes an offset, as in `easter+1`";
    check("christmas observed", fixed);
    let offset = "write an offset of at most 366 days, as in `4th thu of nov+1`";
    check("4th thu of nov+x", offset);
    check("4th thu of nov+999", offset);
}

#[test]
fn a_range_of_days_around_easter_is_listed_day_by_day() {
    let error = DaySpec::parse("easter-2..easter+1").unwrap_err();
    assert_eq!(error.message, "`easter-2` cannot be an end of the range `easter-2..easter+1`");
    let help = error.help.unwrap();
    assert_eq!(help, "name each day: \"easter-2\", \"easter-1\", \"easter\", \"easter+1\"");
    for day in help.split('"').skip(1).step_by(2) {
        assert!(DaySpec::parse(day).is_ok(), "{day}");
    }
    let help = |text: &str| DaySpec::parse(text).unwrap_err().help.unwrap();
    assert_eq!(
        help("4th thu of nov..4th thu of nov+1"),
        "name each day: \"4th thu of nov\", \"4th thu of nov+1\""
    );
    let dates = "ends are dates, as in `12-24..12-26` or `2026-12-24..2026-12-26`";
    for text in
        ["12-24..easter", "easter..orthodox-easter", "easter+1..easter", "easter..easter+99"]
    {
        assert_eq!(help(text), dates, "{text}");
    }
}

#[test]
fn a_text_of_many_ranges_is_refused() {
    for part in ["..", "easter.."] {
        assert_eq!(DaySpec::parse(&part.repeat(100_000)).unwrap_err().code, "bad-date");
    }
}

#[test]
fn a_range_over_the_new_year_that_leaves_out_a_few_days_is_doubted() {
    let meant =
        |text: &str| DaySpec::parse(text).unwrap().turned_around().map(|day| day.to_string());
    assert_eq!(meant("12-26..12-24").as_deref(), Some("12-24..12-26"));
    assert_eq!(meant("01-02..12-24"), None);
    assert_eq!(meant("03-05..02-25").as_deref(), Some("02-25..03-05"));
    for text in
        ["12-24..01-06", "10-01..04-30", "09-01..06-30", "12-24..12-26", "2026-12-24..2026-12-26"]
    {
        assert_eq!(meant(text), None, "{text}");
    }
}

#[test]
fn days_in_other_words_are_corrected_in_one_step() {
    for (text, meant) in [
        ("Dec 25", "12-25"),
        ("24-Dec-26", "2026-12-24"),
        ("12-24 - 12-26", "12-24..12-26"),
        ("Dec 24..Dec 26", "12-24..12-26"),
        ("1st monday in september", "1st mon of sep"),
        ("good friday", "easter-2"),
        ("every 2 weeks from 2026-11-27", "every 2nd week from 2026-11-27"),
    ] {
        let error = DaySpec::parse(text).unwrap_err();
        assert_eq!(error.message, format!("`{text}` is not a date"));
        assert_eq!(error.help.unwrap(), format!("did you mean `{meant}`?"), "{text}");
    }
}
