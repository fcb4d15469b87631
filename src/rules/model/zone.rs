//! Time zones: IANA names of the database that is compiled into the program, and help for everything
//! else that people write.

mod places;
mod windows;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::spelling::number;
use crate::diagnostics::{self, Problem};
use places::{ABBREVIATIONS, CITIES_BY_OFFSET, PLACES, WIDE_PLACES};
use windows::WINDOWS_ZONES;

const BAD_ZONE: &str = "bad-zone";

/// Names that the IANA database has for fixed offsets and for rules without a place, besides
/// `Etc/GMT+1`.
const NAMES_WITHOUT_A_PLACE: [&str; 17] = [
    "EST",
    "MST",
    "HST",
    "EST5EDT",
    "CST6CDT",
    "MST7MDT",
    "PST8PDT",
    "CET",
    "EET",
    "MET",
    "WET",
    "GMT0",
    "GMT+0",
    "GMT-0",
    "Etc/GMT0",
    "Factory",
    "Etc/Unknown",
];

/// Finds a time zone in the database that is compiled into the program, so that every machine gives
/// the same result.
///
/// # Errors
/// Returns a problem for an unknown zone, a fixed offset and an abbreviation; `UTC` and `GMT` are
/// zones.
pub(crate) fn parse_zone(text: &str) -> Result<TimeZone, Problem> {
    let text = text.trim();
    let zones = TimeZoneDatabase::bundled();
    if let Ok(zone) = zones.get(text)
        && !zone.is_unknown()
        && zone.iana_name().is_none_or(is_a_place)
    {
        return Ok(zone);
    }
    let help = help(text, &zones);
    let text = if text.is_empty() { "an empty text".into() } else { format!("`{text}`") };
    Err(Problem::new(BAD_ZONE, format!("{text} is not a time zone")).help(help))
}

/// Returns whether an IANA name stands for a place, or for UTC.
fn is_a_place(name: &str) -> bool {
    let is_offset = name.starts_with("Etc/GMT") && name.len() > "Etc/GMT".len();
    !is_offset && !NAMES_WITHOUT_A_PLACE.contains(&name)
}

/// Returns the help for a text that is not a zone.
fn help(text: &str, zones: &TimeZoneDatabase) -> String {
    let did_you_mean = |city: &str| format!("did you mean `{city}`?");
    if let Some(city) = city_of_abbreviation(text) {
        return format!(
            "an abbreviation does not say when summer time begins; write the city, such as `{city}`"
        );
    }
    // Windows shows `(UTC-05:00) Eastern Time (US & Canada)`.
    let (offset, rest) = match text.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
        Some((offset, rest)) => (parse_offset(offset.trim()), rest.trim()),
        None => (parse_offset(text), ""),
    };
    let names: Vec<String> = zones.available().map(|name| name.to_string()).collect();
    let names: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| is_a_place(name)).collect();
    if let Some(offset) = offset {
        return match find_place(rest, &names) {
            Some(place) => did_you_mean(place.city),
            None => help_for_offset(text, offset),
        };
    }
    match find_place(text, &names) {
        Some(NamedCity { city, is_wide: true }) => {
            format!("`{text}` has several time zones; write the city, such as `{city}`")
        }
        Some(place) => did_you_mean(place.city),
        None => suggest_similar(text, &names).map_or_else(
            || "write an IANA name such as `America/New_York`, `Europe/Berlin` or `UTC`".to_owned(),
            did_you_mean,
        ),
    }
}

fn help_for_offset(text: &str, minutes: i16) -> String {
    let city_at = |minutes: i16| {
        let found = CITIES_BY_OFFSET.iter().find(|(offset, _)| *offset == minutes);
        found.map(|(_, city)| *city)
    };
    match city_at(minutes) {
        Some(city) if minutes == 0 => {
            format!("write `UTC`; if the clocks change in summer, the city, such as `{city}`")
        }
        Some(city) if is_etc(text) => {
            // Whoever writes this name often means the other sign.
            let shown = |minutes: i16| format!("UTC{:+}", minutes / 60);
            let other = city_at(-minutes)
                .map(|other| format!("; for {}, such as `{other}`", shown(-minutes)))
                .unwrap_or_default();
            format!(
                "the signs of these names are reversed, and a fixed offset does not follow summer time; for \
                 {}, write the city, such as `{city}`{other}",
                shown(minutes),
            )
        }
        Some(city) => {
            format!("a fixed offset does not follow summer time; write the city, such as `{city}`")
        }
        None => "a fixed offset does not follow summer time; write the city of the zone, as in \
                 `America/New_York`"
            .to_owned(),
    }
}

fn is_etc(text: &str) -> bool {
    text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("etc/"))
}

/// Splits the abbreviation of a zone from times, as in `9:00-17:00 EST`. Returns the times, and the city of the zone.
pub(crate) fn split_abbreviation(times: &str) -> Option<(&str, &'static str)> {
    let times = times.trim().trim_end_matches(')');
    let (times, zone) = times.rsplit_once([' ', '('])?;
    let is_abbreviation = zone.len() > 1 && zone.bytes().all(|byte| byte.is_ascii_alphabetic());
    let city = city_of_abbreviation(zone).filter(|_| is_abbreviation)?;
    Some((times.trim(), city))
}

/// Returns the city of `EST`, `EST5EDT` or `CET-1CEST,M3.5.0,M10.5.0/3`.
fn city_of_abbreviation(text: &str) -> Option<&'static str> {
    let is_posix = text.contains(|c: char| c.is_ascii_digit() || c == ',');
    let word = text.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    let has = |names: &str| {
        let mut names = names.split(", ");
        names.any(|name| {
            name.eq_ignore_ascii_case(text) || is_posix && name.eq_ignore_ascii_case(word)
        })
    };
    ABBREVIATIONS.iter().find(|(_, names)| has(names)).map(|(city, _)| *city)
}

/// Parses `GMT+1`, `UTC-6`, `UTC+01:00`, `+0530` and `Etc/GMT-1` into minutes east of Greenwich.
fn parse_offset(text: &str) -> Option<i16> {
    let upper = text.to_ascii_uppercase().replace(['\u{2212}', '\u{2013}'], "-");
    let mut rest = upper.trim_start_matches("ETC/");
    for prefix in ["UTC", "GMT", "Z"] {
        rest = rest.strip_prefix(prefix).unwrap_or(rest).trim_start();
    }
    if rest.is_empty() && upper != rest {
        return Some(0);
    }
    let (sign, digits) = match rest.as_bytes().first()? {
        b'+' => (1, &rest[1..]),
        b'-' => (-1, &rest[1..]),
        b'0' if rest == "0" => (1, rest),
        _ => return None,
    };
    let digits = digits.trim();
    let (hours, minutes): (i16, i16) = match digits.split_once([':', '.']) {
        Some((hours, minutes)) => (number(hours)?, number(minutes)?),
        None if digits.len() > 2 && digits.is_ascii() => {
            let (hours, minutes) = digits.split_at(digits.len() - 2);
            (number(hours)?, number(minutes)?)
        }
        None => (number(digits)?, 0),
    };
    if hours > 14 || minutes > 59 {
        return None;
    }
    // The database counts `Etc/GMT+1` west of Greenwich.
    let sign = if is_etc(text) { -sign } else { sign };
    Some(sign * (hours * 60 + minutes))
}

/// City of the place that a text names.
#[derive(Clone, Copy)]
struct NamedCity<'n> {
    city: &'n str,
    /// The place has several time zones, of which the city has one.
    is_wide: bool,
}

/// Finds the place in `Berlin`, `Germany`, `Boston, MA`, `America/Boston`, `Eastern Time (US & Canada)`
/// or `W. Europe Standard Time`.
fn find_place<'n>(text: &str, names: &[&'n str]) -> Option<NamedCity<'n>> {
    let whole = key(text);
    if whole.is_empty() {
        return None;
    }
    let whole_name = names.iter().find(|name| key(name) == whole);
    if let Some(city) = whole_name {
        return Some(NamedCity { city, is_wide: false });
    }
    // `Central European Standard Time` is Warsaw in Windows, and no more than a region elsewhere.
    let is_windows = text.to_lowercase().contains("standard time");
    let windows = || find_windows_zone(text);
    let found = if is_windows { windows() } else { None };
    found.or_else(|| find_city(text, names)).or_else(windows).or_else(|| {
        let parts: Vec<&str> = text.split(['/', '\\', ',', ';', '(', ')', '&']).collect();
        let is_path = text.contains(['/', '\\']);
        let find = |part: &&str| find_city(part, names);
        if is_path { parts.iter().rev().find_map(find) } else { parts.iter().find_map(find) }
    })
}

fn find_windows_zone(text: &str) -> Option<NamedCity<'static>> {
    let wanted = key(&without_time(text));
    let zone = WINDOWS_ZONES.iter().find(|(name, _)| key(&without_time(name)) == wanted)?;
    // `Pacific` alone is as much a time as a name of Windows; `Paris` is none.
    text.to_lowercase().contains("time").then_some(NamedCity { city: zone.1, is_wide: false })
}

/// Finds a city of the database, or a country, state or city of [`PLACES`].
fn find_city<'n>(text: &str, names: &[&'n str]) -> Option<NamedCity<'n>> {
    let wanted = key(&without_time(text));
    if wanted.is_empty() {
        return None;
    }
    let in_places = || {
        let has = |places: &str| places.split(", ").any(|place| key(place) == wanted);
        PLACES.iter().find(|(_, places)| has(places)).map(|(city, _)| *city)
    };
    let city_of = |name: &&&str| name.rsplit_once('/').is_some_and(|(_, city)| key(city) == wanted);
    let is_wide = WIDE_PLACES.iter().any(|place| key(place) == wanted);
    let city = in_places().or_else(|| names.iter().find(city_of).copied())?;
    Some(NamedCity { city, is_wide })
}

/// Returns a name such as `Eastern Standard Time` without the words for the time.
fn without_time(text: &str) -> String {
    let is_time = |word: &&str| {
        let words = ["time", "standard", "daylight", "summer", "zone", "timezone"];
        words.iter().any(|time| word.eq_ignore_ascii_case(time))
    };
    let words: Vec<&str> = text.split_whitespace().filter(|word| !is_time(word)).collect();
    words.join(" ")
}

/// Returns the letters and digits of a name in lower case, without accents.
fn key(name: &str) -> String {
    let plain = |letter: char| match letter {
        'á' | 'à' | 'â' | 'ä' | 'ã' | 'å' => 'a',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'í' | 'ì' | 'î' | 'ï' => 'i',
        'ó' | 'ò' | 'ô' | 'ö' | 'õ' | 'ø' => 'o',
        'ú' | 'ù' | 'û' | 'ü' => 'u',
        'ç' => 'c',
        'ñ' => 'n',
        other => other,
    };
    let lower = name.chars().flat_map(char::to_lowercase).map(plain);
    lower.filter(|letter| letter.is_alphanumeric()).collect()
}

/// Suggests the zone of a city with a similar name.
fn suggest_similar<'n>(text: &str, names: &[&'n str]) -> Option<&'n str> {
    let city_of = |name: &'n str| name.rsplit_once('/').map_or(name, |(_, city)| city);
    let same_initial = |name: &str, text: &str| {
        let first = |text: &str| text.chars().next().map(|letter| letter.to_ascii_lowercase());
        first(name) == first(text)
    };
    let text = text.replace(' ', "_");
    let city = text.rsplit_once('/').map_or(&*text, |(_, city)| city);
    let names = names.iter().copied();
    // A name with a different initial is not a misspelling.
    let alike = names.clone().map(city_of).filter(|name| same_initial(name, city));
    let near = diagnostics::nearest(city, alike).filter(|_| city.len() > 4)?;
    let mut zones_of_city = names.filter(|name| city_of(name) == near);
    let first = zones_of_city.next();
    first.into_iter().chain(zones_of_city).find(|name| same_initial(name, &text)).or(first)
}

#[cfg(test)]
mod tests;
