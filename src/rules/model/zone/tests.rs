//! Tests of zones: every text gets either its zone or a help that is itself a zone.

use super::*;

#[track_caller]
fn check(text: &str, help: &str) {
    let problem = parse_zone(text).unwrap_err();
    let message = match text {
        "" => "an empty text is not a time zone".to_owned(),
        text => format!("`{text}` is not a time zone"),
    };
    let found = (problem.code, problem.message.as_str(), problem.help.as_deref());
    assert_eq!(found, ("bad-zone", message.as_str(), Some(help)));
    check_proposals(text, help);
}

/// Whatever a help proposes must be accepted.
#[track_caller]
fn check_proposals(text: &str, help: &str) {
    for proposed in help.split('`').skip(1).step_by(2).filter(|proposed| *proposed != text) {
        let zone = parse_zone(proposed).unwrap();
        assert_eq!(zone.iana_name(), Some(proposed), "{text}: {help}");
        assert!(!proposed.starts_with("Etc/"), "{text}: {help}");
    }
}

#[track_caller]
fn check_city(text: &str, city: &str) {
    check(text, &format!("did you mean `{city}`?"));
}

#[test]
fn finds_zones_regardless_of_case() {
    for name in ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "UTC"] {
        assert_eq!(parse_zone(name).unwrap().iana_name(), Some(name));
        let lower = format!(" {} ", name.to_lowercase());
        assert_eq!(parse_zone(&lower).unwrap().iana_name(), Some(name));
    }
    for name in ["Europe/Kiev", "Asia/Calcutta", "America/Coyhaique", "US/Eastern", "Japan", "GB"] {
        assert!(parse_zone(name).is_ok(), "{name}");
    }
    for name in ["UTC", "Etc/UTC", "GMT", "Zulu"] {
        let summer = "2026-07-15T12:00:00Z".parse().unwrap();
        assert_eq!(parse_zone(name).unwrap().to_offset(summer).seconds(), 0, "{name}");
    }
}

#[test]
fn a_fixed_offset_is_refused_with_a_city() {
    let check = |text: &str, city: &str| {
        let help = "a fixed offset does not follow summer time; write the city, such as";
        check(text, &format!("{help} `{city}`"));
    };
    for text in ["GMT+1", "UTC+1", "utc+01:00", "+01:00", "+0100", "GMT +1", "UTC+1:00"] {
        check(text, "Europe/Berlin");
    }
    check("UTC-6", "America/Chicago");
    check("UTC\u{2212}5", "America/New_York");
    check("+05:30", "Asia/Kolkata");
    check("(UTC+01:00)", "Europe/Berlin");
    check("UTC-02", "America/Noronha");
    let form = "a fixed offset does not follow summer time; write the city of the zone, as in \
                `America/New_York`";
    super::tests::check("UTC-12", form);
    let etc = "the signs of these names are reversed, and a fixed offset does not follow summer time; for";
    for (text, cities) in [
        (
            "Etc/GMT+1",
            "UTC-1, write the city, such as `Atlantic/Azores`; for UTC+1, such as `Europe/Berlin`",
        ),
        (
            "etc/gmt-1",
            "UTC+1, write the city, such as `Europe/Berlin`; for UTC-1, such as `Atlantic/Azores`",
        ),
        (
            "Etc/GMT+6",
            "UTC-6, write the city, such as `America/Chicago`; for UTC+6, such as `Asia/Dhaka`",
        ),
    ] {
        super::tests::check(text, &format!("{etc} {cities}"));
    }
    let utc = "write `UTC`; if the clocks change in summer, the city, such as `Europe/London`";
    for text in ["UTC+0", "GMT+0", "GMT-0", "GMT0", "+00:00", "Etc/GMT+0", "Etc/GMT0", "Z"] {
        super::tests::check(text, utc);
    }
}

#[test]
fn an_abbreviation_is_refused_with_a_city() {
    let check = |text: &str, city: &str| {
        let help = "an abbreviation does not say when summer time begins; write the city, such as";
        check(text, &format!("{help} `{city}`"));
    };
    for text in ["EST", "EDT", "est", "EST5EDT", "EST5EDT,M3.2.0,M11.1.0", "ET"] {
        check(text, "America/New_York");
    }
    check("PST", "America/Los_Angeles");
    check("PST8PDT", "America/Los_Angeles");
    check("MST", "America/Denver");
    check("HST", "Pacific/Honolulu");
    check("BST", "Europe/London");
    for text in ["CET", "CEST", "MEZ", "MET", "CET-1CEST,M3.5.0,M10.5.0/3"] {
        check(text, "Europe/Berlin");
    }
    check("IST", "Asia/Kolkata");
}

#[test]
fn a_name_of_windows_is_refused_with_its_city() {
    check_city("W. Europe Standard Time", "Europe/Berlin");
    check_city("w. europe standard time", "Europe/Berlin");
    check_city("Eastern Standard Time", "America/New_York");
    check_city("Eastern Daylight Time", "America/New_York");
    check_city("Central Standard Time (Mexico)", "America/Mexico_City");
    check_city("(UTC-05:00) Eastern Time (US & Canada)", "America/New_York");
    check_city("(GMT-08:00) Pacific Time (US & Canada)", "America/Los_Angeles");
    check_city("(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna", "Europe/Amsterdam");
    check_city("(UTC+05:30) Chennai, Kolkata, Mumbai, New Delhi", "Asia/Kolkata");
    check_city("Pacific Time", "America/Los_Angeles");
    check_city("Central European Time", "Europe/Berlin");
    for (name, city) in WINDOWS_ZONES {
        let full = match name.split_once(" (") {
            Some((name, rest)) => format!("{name} Standard Time ({rest}"),
            None if name.contains(" Time") => name.to_owned(),
            None => format!("{name} Standard Time"),
        };
        check_city(&full, city);
    }
}

#[test]
fn a_place_is_refused_with_its_zone() {
    check_city("Germany", "Europe/Berlin");
    check_city("Europe/Munich", "Europe/Berlin");
    check_city("München", "Europe/Berlin");
    check_city("America/Boston", "America/New_York");
    check_city("Asia/Beijing", "Asia/Shanghai");
    check_city("Asia/Mumbai", "Asia/Kolkata");
    check_city("america/newyork", "America/New_York");
    check_city("America/New York", "America/New_York");
    check_city("New York", "America/New_York");
    check_city("New York, NY", "America/New_York");
    check_city("Berlin, Germany", "Europe/Berlin");
    check_city("Berlin/Europe", "Europe/Berlin");
    check_city("berlin", "Europe/Berlin");
    check_city("Europe/Berlni", "Europe/Berlin");
    check_city("Sao Paulo", "America/Sao_Paulo");
    check_city("UK", "Europe/London");
    check_city("US/California", "America/Los_Angeles");
    let usa = "`USA` has several time zones; write the city, such as `America/New_York`";
    check("USA", usa);
    for (city, places) in PLACES {
        for place in places.split(", ") {
            let help = parse_zone(place).unwrap_err().help.unwrap();
            assert!(help.contains(&format!("`{city}`")), "{place}: {help}");
            check_proposals(place, &help);
        }
    }
    for place in WIDE_PLACES {
        let help = parse_zone(place).unwrap_err().help.unwrap();
        assert!(help.contains("has several time zones"), "{place}: {help}");
    }
}

#[test]
fn every_proposal_is_a_zone() {
    for (city, names) in ABBREVIATIONS {
        for name in names.split(", ") {
            let help = parse_zone(name).unwrap_err().help.unwrap();
            assert!(help.contains(&format!("`{city}`")), "{name}: {help}");
            check_proposals(name, &help);
        }
    }
    let winter = "2026-01-15T12:00:00Z".parse().unwrap();
    for (minutes, city) in CITIES_BY_OFFSET {
        let zone = parse_zone(city).unwrap();
        let january = zone.to_offset(winter).seconds() / 60;
        let july = zone.to_offset("2026-07-15T12:00:00Z".parse().unwrap()).seconds() / 60;
        assert_eq!(january.min(july), i32::from(minutes), "{city}");
    }
}

#[test]
fn anything_else_gets_examples() {
    let form = "write an IANA name such as `America/New_York`, `Europe/Berlin` or `UTC`";
    for text in ["", "XYZ", "Etc/Unknown", "Factory", "localtime", "Moon/Tranquility", "+\u{f6}1"] {
        check(text, form);
    }
}
