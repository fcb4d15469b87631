//! Lists as spreadsheets, contact managers and telephone systems write them.

use switchboard::dialect;
use switchboard::domain::call::{Call, Channel, Fields};
use switchboard::domain::party::Party;
use switchboard::reload;
use switchboard::rules::{self, CheckContext, LoadedTable};

use crate::rules::codes_of;
use crate::support::app::decide;

/// Loads a rule table with the list `l` from a file, and the keys of the list.
fn load(file: &str, content: &[u8], keys: &str) -> LoadedTable {
    let folder = tempfile::tempdir().unwrap();
    let rules = format!(
        "[lists.l]\nfile = \"{file}\"\n{keys}\n\
         [[rule]]\nname = \"listed\"\nfrom = \"@l\"\nkeep = true\n\
         [[rule]]\nname = \"everyone\"\nreject = true\n"
    );
    std::fs::write(folder.path().join("rules.toml"), rules).unwrap();
    std::fs::write(folder.path().join(file), content).unwrap();
    let path = folder.path().join("rules.toml");
    reload::load(&path, &CheckContext::default(), false, &mut |_| {}).unwrap()
}

/// Checks which callers are on the list, and the codes of the warnings.
#[track_caller]
fn check(file: &str, content: &str, keys: &str, callers: &[&str], warnings: &[&str]) {
    let LoadedTable { table, report, .. } = load(file, content.as_bytes(), keys);
    let table = table.unwrap_or_else(|| panic!("{content:?}: {report}"));
    for caller in callers {
        let from = Party::parse(Some(caller)).party;
        let fields = Fields { from, ..Fields::unknown(Channel::Call) };
        let call =
            Call::synthetic("retell", dialect::by_name("retell").unwrap().platform(), fields);
        assert_eq!(decide(&table, &call).rule(), Some("listed"), "{caller} in {content:?}");
    }
    assert_eq!(table.lists.all()[0].size, callers.len(), "{content:?}");
    assert_eq!(codes_of(&report), warnings, "{content:?}: {report}");
}

const CALLER: &str = "+12137771234";
const OTHER: &str = "+12137779999";

#[test]
fn the_separator_is_a_comma_a_semicolon_a_tab_or_a_vertical_bar() {
    for separator in [",", ";", "\t", "|"] {
        let rows = format!("number{separator}name\n{CALLER}{separator}Ann\n");
        check("l.csv", &rows, "", &[CALLER], &[]);
        // A spreadsheet's own first line.
        let declared = format!("SEP={separator}\r\n{rows}");
        check("l.csv", &declared, "", &[CALLER], &[]);
        check("l.csv", &format!("sep={separator}\n{rows}"), "", &[CALLER], &[]);
        check("l.csv", &format!("\u{feff}sep={separator}\r\n{rows}"), "", &[CALLER], &[]);
    }
}

#[test]
fn blank_rows_are_skipped_and_rows_without_a_number_are_counted() {
    check("l.csv", &format!("number,name\n,\n{CALLER},Ann\n,\n , \n"), "", &[CALLER], &[]);
    let without = format!("number,name\n,Joe\n{CALLER},Ann\n0,Max\n,Eve\n");
    check("l.csv", &without, "", &[CALLER], &["bad-row", "bad-row"]);
    let report = load("l.csv", without.as_bytes(), "").report.to_string();
    assert!(report.contains("l.csv has 2 more rows without a number, skipped"), "{report}");
}

#[test]
fn empty_cells_beyond_the_header_are_ignored() {
    check(
        "l.csv",
        &format!("number,name\n{CALLER},Ann,,\n{OTHER},Joe\n"),
        "",
        &[CALLER, OTHER],
        &[],
    );
    let report = load("l.csv", format!("number,name\n{CALLER},Ann,,x\n").as_bytes(), "").report;
    assert_eq!(codes_of(&report), ["bad-row"]);
}

#[test]
fn what_cannot_be_seen_around_and_in_a_number_is_removed() {
    for cell in [
        "\u{202a}+12137771234\u{202c}",
        "\u{200b}+12137771234",
        "+1\u{a0}213\u{202f}777\u{2011}1234",
        "\u{ff0b}\u{ff11}\u{ff12}\u{ff11}\u{ff13}7771234",
        "+\u{661}\u{662}\u{661}\u{663}7771234",
    ] {
        check("l.csv", &format!("number,name\n{cell},Ann\n"), "", &[CALLER], &[]);
        check("l.txt", &format!("{cell}\n"), "", &[CALLER], &[]);
    }
}

#[test]
fn names_of_columns_and_cells_are_read_as_people_see_them() {
    let rows = format!(
        "\u{feff}Phone\u{a0}Number\u{200b},tier\n{CALLER},gold\u{200b}\n{OTHER},\u{a0}gold\n"
    );
    check("l.csv", &rows, "column = \"Phone Number\"", &[CALLER, OTHER], &[]);
    let folder = tempfile::tempdir().unwrap();
    let rules = "[lists.l]\nfile = \"l.csv\"\ncolumn = \"Phone Number\"\n\n[[rule]]\nname = \"gold\"\nfrom = \"@l\"\n\
                 where = { \"l.tier\" = \"gold\" }\nkeep = true\n\n[[rule]]\nname = \"everyone\"\nreject = true\n";
    std::fs::write(folder.path().join("rules.toml"), rules).unwrap();
    std::fs::write(folder.path().join("l.csv"), rows).unwrap();
    let path = folder.path().join("rules.toml");
    let loaded = reload::load(&path, &CheckContext::default(), false, &mut |_| {}).unwrap();
    let table = loaded.table.unwrap();
    for caller in [CALLER, OTHER] {
        let from = Party::parse(Some(caller)).party;
        let fields = Fields { from, ..Fields::unknown(Channel::Call) };
        let call =
            Call::synthetic("retell", dialect::by_name("retell").unwrap().platform(), fields);
        assert_eq!(decide(&table, &call).rule(), Some("gold"), "{caller}");
    }
    let report =
        load("l.csv", b"Phone Number\n", "column = \"Phone\u{a0}Number\"").report.to_string();
    assert!(report.contains("write `Phone Number` with plain spaces"), "{report}");
}

#[test]
fn a_header_is_no_title_though_rows_without_numbers_follow() {
    for rows in [
        format!("number,,\nwithheld,Ann,x\n{CALLER},Joe,y\n"),
        format!("phone\n=anonymous\n{CALLER}\n"),
        format!("name,number\nJoe,\nAnn,{CALLER}\n"),
    ] {
        let report = load("l.csv", rows.as_bytes(), "").report;
        assert!(!codes_of(&report).contains(&"no-header"), "{rows:?}: {report}");
    }
}

#[test]
fn what_a_spreadsheet_puts_around_a_number_is_removed() {
    for cell in ["'+12137771234", "\"=\"\"+12137771234\"\"\"", " +12137771234 ", "+1 213/777 1234"]
    {
        check("l.csv", &format!("number,name\n{cell},Ann\n"), "", &[CALLER], &[]);
    }
}

#[test]
fn a_cell_can_hold_several_numbers() {
    for cell in [
        "+1 213-777-1234 ::: +1 213-777-9999",
        "+12137771234; +12137779999",
        "+12137771234\n+12137779999",
        "+1 213-777-1234 or +1 213-777-9999",
    ] {
        check(
            "l.csv",
            &format!("name,number\nAnn,\"{cell}\"\n"),
            "column = \"number\"",
            &[CALLER, OTHER],
            &[],
        );
    }
}

#[test]
fn national_numbers_are_read_in_the_country_of_the_list_or_the_table() {
    let american = "number,name\n2137771234,Ann\n(213) 777-9999,Joe\n";
    check("l.csv", american, "country = \"US\"", &[CALLER, OTHER], &[]);
    check("l.txt", "2137771234\n1 213 777 9999\n", "country = \"US\"", &[CALLER, OTHER], &[]);
    let german = "number\n004930901820\n030 901821\n0\n+12137771234\n";
    let callers = ["+4930901820", "+4930901821", CALLER];
    check("l.csv", german, "country = \"DE\"", &callers, &["bad-row"]);
    let LoadedTable { table, report, .. } =
        load("l.csv", b"number\n30901820\n", "country = \"DE\"");
    assert!(table.is_none());
    assert!(
        report.to_string().contains("`30901820` is not a number as it is written in DE"),
        "{report}"
    );
    let LoadedTable { report, .. } = load("l.csv", b"number\n1\n", "country = \"Germany\"");
    assert!(codes_of(&report).contains(&"bad-country"), "{report}");
}

#[test]
fn numbers_without_a_country_code_are_reported_once() {
    let rows: String = (1000..2000).map(|last| format!("213777{last},caller\n")).collect();
    let LoadedTable { table, report, .. } =
        load("l.csv", format!("number,name\n{rows}").as_bytes(), "");
    assert!(table.is_none());
    assert_eq!(report.diagnostics().len(), 2, "{report}");
    let text = report.to_string();
    assert!(text.contains("set `country` on the list"), "{text}");
    assert!(text.contains("l.csv has 999 more rows without a country code"), "{text}");
}

#[test]
fn reading_stops_after_1000_bad_rows() {
    let rows: String = (0..100_000).map(|row| format!("number {row},caller\n")).collect();
    let report = load("l.csv", format!("number,name\n{rows}").as_bytes(), "").report;
    let text = report.to_string();
    assert!(text.contains("l.csv have errors, and the rest is not read"), "{text:.2000}");
    assert!(text.contains(": 900 more rows of "), "{text:.2000}");
}

#[test]
fn a_quote_that_is_not_closed_takes_no_more_than_a_megabyte() {
    // One quote, two rows that it takes, and the rest of a long file.
    let rows = "+12137771234,Ann\n".repeat(200_000);
    let content = format!("number,name\n+12137770000,Joe\n+12137770001,\"Max\n{rows}");
    let report = load("l.csv", content.as_bytes(), "").report;
    let text = report.to_string();
    assert_eq!(codes_of(&report), ["bad-row"], "{text}");
    assert!(text.contains("the row has more than 1048576 bytes"), "{text}");
    assert!(text.contains("l.csv:3"), "{text}");
    // A quote on each line closes the one of the line before, and the numbers are far too long.
    let content =
        format!("number\n{}", format!("\"{}\n", "+12137771234,".repeat(1_000)).repeat(1_000));
    let report = load("l.csv", content.as_bytes(), "").report;
    assert!(report.to_string().len() < 1_000_000 && report.error_count() <= 101, "{report:.3000}");
}

#[test]
fn a_quote_that_is_not_closed_on_each_line_of_a_long_table_is_reported_near_the_first() {
    let numbers: String = (0..200_000).map(|row| format!("  \"+1213{row:07},\n")).collect();
    let rules = format!(
        "[lists.l]\nnumbers = [\n  \"+12137770000\",\n{numbers}]\n\
         [[rule]]\nname = \"everyone\"\nkeep = true\n"
    );
    let report = rules::parse("rules.toml", rules, &CheckContext::default()).report;
    // Not one for each line, and none about the end of the part that was searched.
    assert!((1..=2_500).contains(&report.error_count()), "{}", report.error_count());
    let text = report.to_string();
    assert!(text.contains("rules.toml:5:3") || text.contains("rules.toml:4:3"), "{text:.2000}");
    assert!(!text.contains("unclosed array"), "{text:.2000}");
}

#[test]
fn a_cell_can_hold_several_national_numbers() {
    for cell in [
        "(213) 777-1234 ::: (213) 777-9999",
        "213-777-1234, 213-777-9999",
        "213.777.1234; 213.777.9999",
        "2137771234 / 2137779999",
        "+1 213 777 1234 ::: 2137779999",
    ] {
        let rows = format!("name,number\nAnn,\"{cell}\"\n");
        check("l.csv", &rows, "column = \"number\"\ncountry = \"US\"", &[CALLER, OTHER], &[]);
    }
    // Without a country, each number is an error.
    let report = load("l.csv", b"number\n\"213-777-1234, 213-777-9999\"\n", "").report;
    assert!(report.to_string().contains("`213-777-1234` is not a number"), "{report}");
}

#[test]
fn several_columns_can_hold_the_numbers() {
    let contacts = "Name,Phone 1 - Value,Phone 2 - Value\n\
                    Ann,+1 213-777-1234,+1 213-777-9999 ::: +12137770000\nJoe,,+12137770001\n";
    let keys = "column = [\"Phone 1 - Value\", \"Phone 2 - Value\"]";
    let callers = [CALLER, OTHER, "+12137770000", "+12137770001"];
    check("l.csv", contacts, keys, &callers, &[]);
    let nobody = format!("{contacts}Eve,,\n");
    check("l.csv", &nobody, keys, &callers, &["bad-row"]);
    let report =
        load("l.csv", contacts.as_bytes(), "column = [\"Phone 1 - Value\", \"Fax\"]").report;
    assert!(report.to_string().contains("the file has no column `Fax`"), "{report}");
}

#[test]
fn the_first_row_with_a_placeholder_is_shown_and_the_others_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let rules = "[lists.l]\nfile = \"l.csv\"\n[[rule]]\nname = \"listed\"\nto = \"@l\"\n\
                 agent = \"${l.agent|agent_1}\"\n[[rule]]\nname = \"everyone\"\nkeep = true\n";
    let rows: String = (1000..1300).map(|last| format!("+1213777{last},#N/A\n")).collect();
    std::fs::write(folder.path().join("rules.toml"), rules).unwrap();
    std::fs::write(folder.path().join("l.csv"), format!("number,agent\n{rows}")).unwrap();
    let path = folder.path().join("rules.toml");
    let report = reload::load(&path, &CheckContext::default(), false, &mut |_| {}).unwrap().report;
    assert_eq!(codes_of(&report), ["placeholder-id", "placeholder-id"], "{report}");
    assert!(
        report.to_string().contains("l.csv has 299 more rows whose agent is not an id"),
        "{report}"
    );
    let fallback = CheckContext { fallback_agents: vec!["TODO".into()], ..CheckContext::default() };
    std::fs::write(folder.path().join("l.csv"), "number,agent\n+12137771234,agent_1\n").unwrap();
    let report = reload::load(&path, &fallback, false, &mut |_| {}).unwrap().report;
    assert_eq!(codes_of(&report), ["placeholder-id"], "{report}");
}

#[test]
fn a_title_above_the_columns_is_recognized() {
    let content = "Customers 2026;;\n;;\nphone;name;tier\n+12137771234;Ada;gold\n";
    let report = load("l.csv", content.as_bytes(), "column = \"phone\"").report.to_string();
    assert!(report.contains("the columns are named on line 3"), "{report}");
    assert!(report.contains("remove the 2 lines above it"), "{report}");
    let content = "Customers\n\"name\",\"phone\"\n";
    let report = load("l.csv", content.as_bytes(), "column = \"phone\"").report.to_string();
    assert!(report.contains("named on line 2; remove the line above it"), "{report}");
}

#[test]
fn utf_16_is_read() {
    let text = format!("number;name\r\n{CALLER};Ann\u{1f600}\r\n");
    for to_bytes in [u16::to_le_bytes, u16::to_be_bytes] {
        let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
        let content: Vec<u8> = units.flat_map(to_bytes).collect();
        let LoadedTable { table, report, .. } = load("l.csv", &content, "");
        assert_eq!(table.unwrap_or_else(|| panic!("{report}")).lists.all()[0].size, 1);
        assert_eq!(codes_of(&report), [""; 0], "{report}");
    }
}

#[test]
fn both_forms_of_a_mexican_number_match() {
    check("l.csv", "number\n+52 1 55 1234 5678\n", "", &["+525512345678"], &[]);
    check("l.csv", "number\n+52 55 1234 5678\n", "", &["+5215512345678"], &[]);
    check("l.csv", "number\n+52155*\n", "", &["+525512345678"], &[]);
    let both = "number\n+5215512345678\n+525512345678\n";
    check("l.csv", both, "", &["+5215512345678"], &["duplicate-number"]);
}

#[test]
fn files_that_are_no_lists_are_recognized() {
    for (file, content, expected) in [
        ("l.csv", &b"PK\x03\x04..."[..], "it is a spreadsheet; export the sheet as CSV in UTF-8"),
        ("l.csv", b"\xd0\xcf\x11\xe0...", "it is a spreadsheet"),
        ("l.txt", b"BEGIN:VCARD\nTEL:+12137771234\n", "it consists of vCards"),
        ("l.csv", b"\xef\xbb\xbf<?xml version=\"1.0\"?>", "it is a web page or XML"),
        ("l.csv", b"\xef\xbb\xbf\n[{\"number\":1}]", "it is JSON"),
        ("l.csv", b"\n\nBEGIN:VCARD\n", "it consists of vCards"),
        ("l.csv", b"\xff\xfeB\0E\0G\0I\0N\0:\0V\0C\0A\0R\0D\0", "it consists of vCards"),
        ("l.csv", b"\xff\xfen\0u\0\0", "it is UTF-16 with errors; save it as CSV in UTF-8"),
    ] {
        let report = load(file, content, "").report;
        assert_eq!(codes_of(&report), ["no-file"], "{report}");
        assert!(report.to_string().contains(expected), "{report}");
    }
}

#[test]
fn a_pattern_of_a_telephone_system_is_not_proposed_as_a_text() {
    for cell in ["0049*", "49*", "_NXXNXXXXXX", "1-213-777-*", "01579263981*", "#NAME?"] {
        let report = load("l.csv", format!("number\n{cell}\n").as_bytes(), "").report.to_string();
        assert!(
            report.contains("bad-pattern") && !report.contains(&format!("={cell}")),
            "{report}"
        );
    }
}
