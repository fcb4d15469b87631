//! Zones, hours and dates in rule tables: help that is right when it is followed, days of another zone,
//! and files of days.

use std::path::Path;

use switchboard::dialect;
use switchboard::domain::call::{Call, Channel, Fields};
use switchboard::domain::facts::Facts;
use switchboard::reload;
use switchboard::rules::engine::explain::{Listed, explain};
use switchboard::rules::{self, CheckContext, LoadedTable, RuleSet};

use crate::rules::codes_of;
use crate::support::app::{decide_at, parse_rules};

fn call() -> Call<'static> {
    let platform = dialect::by_name("retell").unwrap().platform();
    Call::synthetic("retell", platform, Fields::unknown(Channel::Call))
}

#[track_caller]
fn table(text: &str) -> RuleSet {
    let (table, report) = parse_rules("rules.toml", text.to_owned(), &CheckContext::default());
    table.unwrap_or_else(|| panic!("{report}"))
}

/// Returns the rule that decides a call at this time.
fn rule_at(table: &RuleSet, at: &str) -> String {
    decide_at(table, &call(), at.parse().unwrap()).rule().unwrap_or("-").to_owned()
}

// ---- the help for hours

const RULES: &str = "\n[[rule]]\nname = \"open\"\nhours = \"office\"\nkeep = true\n\n\
                     [[rule]]\nname = \"closed\"\nreject = true\n";

fn with_hours(lines: &str) -> String {
    format!("zone = \"America/New_York\"\n\n[hours.office]\n{lines}\n{RULES}")
}

/// Checks that the only diagnostic about a line proposes these lines, and that a table with them has
/// none.
#[track_caller]
fn check_followed(line: &str, code: &str, expected: &str) {
    let (_, report) = parse_rules("rules.toml", with_hours(line), &CheckContext::default());
    let problems = report.diagnostics();
    assert_eq!(codes_of(&report), [code], "{line}: {report}");
    let help = problems[0].help.as_deref().unwrap_or_default();
    let proposed: Vec<&str> = help.split('`').skip(1).step_by(2).collect();
    assert_eq!(proposed.join("\n"), expected, "{line}: {help}");
    let (table, report) = parse_rules("rules.toml", with_hours(expected), &CheckContext::default());
    assert!(table.is_some() && codes_of(&report).is_empty(), "{expected}: {report}");
}

#[test]
fn hours_in_other_words_have_one_error_with_the_line_to_write() {
    let office = "mon-fri = \"09:00-17:00\"";
    for times in [
        "9 AM\u{2013}5 PM",
        "9\u{202f}AM\u{2009}\u{2013}\u{2009}5\u{202f}PM",
        "9am - 5pm",
        "9-17",
        "9.00-17.00",
        "0900-1700",
        "09h00-17h00",
        "9:00 to 17:00",
        "09:00\u{2014}17:00",
        "9:00-17:00 Uhr",
        "Mo-Fr 09:00-17:00",
    ] {
        check_followed(&format!("mon-fri = \"{times}\""), "bad-time", office);
    }
    for key in ["\"Mon \u{2013} Fri\"", "Mo-Fr", "weekdays", "\"Monday to Friday\"", "openingHours"]
    {
        let times = if key == "openingHours" { "Mo-Fr 9am-5pm" } else { "9am-5pm" };
        check_followed(&format!("{key} = \"{times}\""), "bad-time", office);
    }
    for (line, expected) in [
        ("mon-fri = \"noon-midnight\"", "mon-fri = \"12:00-24:00\""),
        ("mon-sun = \"24/7\"", "mon-sun = \"00:00-24:00\""),
        ("daily = \"all day\"", "mon-sun = \"00:00-24:00\""),
        ("mon-sun = \"00:00-23:59:59\"", "mon-sun = \"00:00-24:00\""),
        ("\"mon,tue\" = \"09:00-17:00\"", "mon-tue = \"09:00-17:00\""),
        ("\"sat & sun\" = \"10-14\"", "sat-sun = \"10:00-14:00\""),
        ("\"mon,wed\" = \"10-14\"", "mon = \"10:00-14:00\"\nwed = \"10:00-14:00\""),
        ("mon = [\"9-12\", \"13:00-17:00\"]", "mon = \"09:00-12:00, 13:00-17:00\""),
        ("mon-fri = [\"09:00\", \"17:00\"]", "mon-fri = \"09:00-17:00\""),
        ("mon-fri = \"09:00-12:00 13:00-17:00\"", "mon-fri = \"09:00-12:00, 13:00-17:00\""),
        ("mon-fri = \"\u{ff19}:00-17:00\"", "mon-fri = \"09:00-17:00\""),
        ("mon_fri = \"09:00-17:00\"", "mon-fri = \"09:00-17:00\""),
        ("ma-vr = \"9 tot 17\"", "mon-fri = \"09:00-17:00\""),
        ("seg-sex = \"das 9 às 18\"", "mon-fri = \"09:00-18:00\""),
        ("\"segunda-feira\" = \"9-18\"", "mon = \"09:00-18:00\""),
        ("lunes-viernes = \"de 9:00 a 17:00\"", "mon-fri = \"09:00-17:00\""),
        ("\"lunedì-venerdì\" = \"9-17\"", "mon-fri = \"09:00-17:00\""),
        ("\"mån-fre\" = \"9-17\"", "mon-fri = \"09:00-17:00\""),
        ("pon-pt = \"9-17\"", "mon-fri = \"09:00-17:00\""),
        ("\"tous les jours\" = \"9 à 17\"", "mon-sun = \"09:00-17:00\""),
    ] {
        check_followed(line, "bad-time", expected);
    }
}

#[test]
fn hours_until_23_59_are_a_warning_with_the_line_to_write() {
    let whole = "mon-sun = \"00:00-24:00\"";
    check_followed("mon-sun = \"00:00-23:59\"", "last-minute", whole);
    let evening = "fri = \"09:00-12:00, 18:00-24:00\"";
    check_followed("fri = \"09:00-12:00, 18:00-23:59\"", "last-minute", evening);
    let lines = "mon = \"09:00-17:00\"\nopen = { \"2036-12-31\" = \"18:00-23:59\" }";
    let (table, report) = parse_rules("rules.toml", with_hours(lines), &CheckContext::default());
    assert!(table.is_some());
    assert_eq!(codes_of(&report), ["last-minute"]);
    let help = report.diagnostics()[0].help.as_deref();
    assert_eq!(help, Some("write `\"2036-12-31\" = \"18:00-24:00\"`"));
}

#[test]
fn times_of_a_12_hour_clock_are_a_warning_with_the_line_to_write() {
    for (line, expected) in [
        ("mon-fri = \"9:00-5:00\"", "mon-fri = \"09:00-17:00\""),
        ("mon-fri = \"08:30-06:00\"", "mon-fri = \"08:30-18:00\""),
        ("sat = \"9:00-12:00, 1:00-5:00\"", "sat = \"09:00-12:00, 13:00-17:00\""),
        ("sat = [\"9:00-12:00\", \"1:00-5:00\"]", "sat = \"09:00-12:00, 13:00-17:00\""),
    ] {
        check_followed(line, "twelve-hour-clock", expected);
    }
    let lines = "mon = \"22:00-06:00, 18:00-02:00\"\nopen = { \"2036-12-31\" = \"9:00-1:00\" }";
    let (table, report) = parse_rules("rules.toml", with_hours(lines), &CheckContext::default());
    assert!(table.is_some());
    assert_eq!(codes_of(&report), ["twelve-hour-clock"]);
    let help = report.diagnostics()[0].help.as_deref();
    assert_eq!(help, Some("write `\"2036-12-31\" = \"09:00-13:00\"`"));
}

#[test]
fn a_closed_day_is_an_error_that_says_to_remove_it() {
    let lines = "mon-sat = \"09:00-17:00\"\nsun = \"closed\"";
    let (_, report) = parse_rules("rules.toml", with_hours(lines), &CheckContext::default());
    assert_eq!(codes_of(&report), ["bad-time"]);
    let help = report.diagnostics()[0].help.as_deref().unwrap();
    assert!(help.starts_with("remove this entry: a weekday without a key is closed"), "{help}");
}

// ---- zones

const CHRISTMAS: &str = "\n[[rule]]\nname = \"christmas\"\ndates = \"xmas\"\nkeep = true\n\n\
                         [[rule]]\nname = \"office\"\nhours = \"office\"\nkeep = true\n\n\
                         [[rule]]\nname = \"closed\"\nreject = true\n";

/// Returns a table of New York, with hours in Los Angeles that dates close.
fn two_zones(dates_zone: &str) -> RuleSet {
    table(&format!(
        "zone = \"America/New_York\"\n\n[dates.xmas]\ndays = [\"12-25\"]\n{dates_zone}\n\
         [hours.office]\nzone = \"America/Los_Angeles\"\nmon-sun = \"00:00-24:00\"\n\
         closed = \"xmas\"\n{CHRISTMAS}"
    ))
}

#[test]
fn dates_have_their_own_zone_or_that_of_their_user() {
    // 21:30 in Los Angeles is 00:30 in New York and 05:30 in UTC.
    let (eve, evening) = ("2026-12-25T05:30:00Z", "2026-12-26T05:30:00Z");
    let without = two_zones("");
    assert_eq!(rule_at(&without, eve), "christmas");
    assert_eq!(rule_at(&without, evening), "closed");
    let western = two_zones("zone = \"America/Los_Angeles\"");
    assert_eq!(rule_at(&western, eve), "office");
    assert_eq!(rule_at(&western, evening), "christmas");
    // On the other side of the date line, Christmas is from 11:00 UTC on the 24th on.
    let eastern = two_zones("zone = \"Pacific/Auckland\"");
    let office = &eastern.hours[0];
    assert!(office.is_open("2026-12-24T10:59:00Z".parse().unwrap()));
    assert!(!office.is_open("2026-12-24T11:00:00Z".parse().unwrap()));
    assert!(!office.is_open("2026-12-25T10:59:00Z".parse().unwrap()));
    assert!(office.is_open("2026-12-25T11:00:00Z".parse().unwrap()));
}

#[test]
fn explain_names_the_zone_of_dates() {
    let western = two_zones("zone = \"America/Los_Angeles\"");
    let facts = Facts::at("2026-12-25T05:30:00Z".parse().unwrap());
    let explained = explain(&western, &call(), &facts, Listed::All).unwrap().to_string();
    let expected = "dates xmas: today is 2026-12-24 in America/Los_Angeles";
    assert!(explained.contains(expected), "{explained}");
}

#[test]
fn dates_with_a_zone_need_none_of_the_table() {
    let text = "[dates.xmas]\ndays = [\"12-25\"]\nzone = \"Europe/Berlin\"\n\n\
                [[rule]]\nname = \"christmas\"\ndates = \"xmas\"\nkeep = true\n\n\
                [[rule]]\nname = \"closed\"\nreject = true\n";
    assert_eq!(rule_at(&table(text), "2026-12-24T23:30:00Z"), "christmas");
    let without = text.replace("zone = \"Europe/Berlin\"\n", "");
    let (_, report) = parse_rules("rules.toml", without, &CheckContext::default());
    assert_eq!(codes_of(&report), ["no-zone"]);
}

#[test]
fn a_test_can_have_a_zone() {
    let with_test = |zone: &str, rule: &str| {
        let test = format!(
            "\n[[test]]\nname = \"eve\"\nat = \"2026-12-24 22:00\"\n{zone}expect = {{ rule = \"{rule}\" }}\n"
        );
        table(&format!(
            "zone = \"America/New_York\"\n[dates.xmas]\ndays = [\"12-25\"]\n\
             [hours.office]\nmon-sun = \"00:00-24:00\"\n{CHRISTMAS}{test}"
        ))
    };
    with_test("", "office");
    with_test("zone = \"America/Los_Angeles\"\n", "christmas");
}

// ---- files of dates

/// Writes and loads a table whose dates are in a file.
fn load(folder: &Path, file: &str, content: impl AsRef<[u8]>, keys: &str) -> LoadedTable {
    let rules = format!(
        "zone = \"Europe/Berlin\"\n[dates.closed]\nfile = \"{file}\"\n{keys}\n\
         [[rule]]\nname = \"closed\"\ndates = \"closed\"\nkeep = true\n\n\
         [[rule]]\nname = \"everyone\"\nreject = true\n"
    );
    std::fs::write(folder.join("rules.toml"), rules).unwrap();
    std::fs::write(folder.join(file), content).unwrap();
    reload::load(&folder.join("rules.toml"), &CheckContext::default(), false, &mut |_| {}).unwrap()
}

#[track_caller]
fn check_closed(table: &RuleSet, date: &str, expected: bool) {
    let rule = rule_at(table, &format!("{date}T12:00:00Z"));
    assert_eq!(rule == "closed", expected, "{date}");
}

const CALENDAR: &str = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20261224\r\n\
                        DTEND;VALUE=DATE:20261227\r\nSUMMARY:Betriebsferien\r\nEND:VEVENT\r\n\
                        BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20260501\r\nRRULE:FREQ=YEARLY\r\n\
                        END:VEVENT\r\nEND:VCALENDAR\r\n";

#[test]
fn days_come_from_csv_and_calendars() {
    let csv = "day;until;name\n2026-12-24;2026-12-26;Betriebsferien\n05-01;;Tag der Arbeit\n";
    for (file, content) in [("closed.csv", csv), ("closed.ics", CALENDAR)] {
        let folder = tempfile::tempdir().unwrap();
        let loaded = load(folder.path(), file, content, "days = [\"10-03\"]");
        let table = loaded.table.unwrap_or_else(|| panic!("{}", loaded.report));
        for (date, expected) in [
            ("2026-12-23", false),
            ("2026-12-24", true),
            ("2026-12-26", true),
            ("2026-12-27", false),
            ("2027-12-24", false),
            ("2027-05-01", true),
            ("2026-10-03", true),
        ] {
            check_closed(&table, date, expected);
        }
    }
}

#[test]
fn a_file_of_dates_in_utf_16_is_read_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let text = "\u{feff}day;name\r\n2026-12-24;Heiligabend f\u{fc}r alle\r\n";
    let content: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let loaded = load(folder.path(), "closed.csv", content, "");
    let table = loaded.table.unwrap_or_else(|| panic!("{}", loaded.report));
    check_closed(&table, "2026-12-24", true);
    check_closed(&table, "2026-12-25", false);
    let snapshot = loaded.snapshot.expect("the decoded text");
    let stored = rules::parse_snapshot(&snapshot, &CheckContext::default()).table.unwrap();
    assert_eq!(stored.fingerprint, table.fingerprint);
}

#[test]
fn a_file_of_dates_is_part_of_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let first = load(folder.path(), "closed.csv", "2026-12-24\n", "");
    let file = folder.path().join("closed.csv");
    assert!(first.files.iter().any(|stamp| stamp.path() == file), "reload watches it");
    let table = first.table.unwrap();
    let stored = rules::parse_snapshot(&first.snapshot.unwrap(), &CheckContext::default());
    let second = load(folder.path(), "closed.csv", "2026-12-31\n", "").table.unwrap();
    assert_ne!(table.fingerprint, second.fingerprint);
    let stored = stored.table.expect("a replay of the snapshot");
    assert_eq!(stored.fingerprint, table.fingerprint);
    check_closed(&stored, "2026-12-24", true);
    check_closed(&second, "2026-12-24", false);
}
