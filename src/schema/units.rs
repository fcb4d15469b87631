//! Units in the names of keys: `delay_ms`, `cache_s`, `retain_days`. People leave them out, and write
//! durations such as `"3s"`.

/// Units by the ending of a key, in milliseconds.
const KEY_UNITS: [(&str, u64); 3] = [("_ms", 1), ("_s", 1_000), ("_days", DAY_MS)];

/// Words for units, in milliseconds.
const UNIT_WORDS: [(&str, u64); 22] = [
    ("ms", 1),
    ("millis", 1),
    ("milliseconds", 1),
    ("s", 1_000),
    ("sec", 1_000),
    ("secs", 1_000),
    ("second", 1_000),
    ("seconds", 1_000),
    ("m", 60_000),
    ("min", 60_000),
    ("mins", 60_000),
    ("minute", 60_000),
    ("minutes", 60_000),
    ("h", 3_600_000),
    ("hour", 3_600_000),
    ("hours", 3_600_000),
    ("d", DAY_MS),
    ("day", DAY_MS),
    ("days", DAY_MS),
    ("w", 7 * DAY_MS),
    ("week", 7 * DAY_MS),
    ("weeks", 7 * DAY_MS),
];

const DAY_MS: u64 = 86_400_000;

/// Help for a key that lacks its unit or has another one: `delay = "3s"` in place of `delay_ms = 3000`.
/// `value` is the value as text, if it is a text or a number.
pub(crate) fn with_unit(
    key: &str,
    value: Option<&str>,
    known: impl IntoIterator<Item = &'static str>,
) -> Option<(&'static str, String)> {
    let (stem, unit) = match key.rsplit_once('_') {
        Some((stem, word)) => match word_ms(word) {
            Some(unit) => (stem, Some(unit)),
            None => (key, None),
        },
        None => (key, None),
    };
    let intended = known.into_iter().find(|known| {
        let mut endings = KEY_UNITS.iter().map(|(ending, _)| ending);
        endings.any(|ending| known.strip_suffix(ending) == Some(stem))
    })?;
    let plain = || value?.trim().parse::<u64>().ok()?.checked_mul(unit?);
    let duration = value.and_then(duration_ms).or_else(plain);
    let help = match duration.and_then(|ms| in_unit_of(intended, ms)) {
        Some(number) => format!("write {intended} = {number}"),
        None => format!("did you mean `{intended}`?"),
    };
    Some((intended, help))
}

/// Returns the number to write for a duration with a unit, such as `3s`, in the unit of the key.
pub(crate) fn number_for(key: &str, value: &str) -> Option<u64> {
    in_unit_of(key, duration_ms(value)?)
}

/// Parses a whole number with a unit.
fn duration_ms(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    number.parse::<u64>().ok()?.checked_mul(word_ms(unit.trim())?)
}

fn word_ms(word: &str) -> Option<u64> {
    let found = UNIT_WORDS.iter().find(|(known, _)| word.eq_ignore_ascii_case(known));
    found.map(|(_, ms)| *ms)
}

/// Converts a duration to the unit of a key, if it is a whole number of it.
fn in_unit_of(key: &str, ms: u64) -> Option<u64> {
    let (_, unit) = KEY_UNITS.iter().find(|(ending, _)| key.ends_with(ending))?;
    ms.is_multiple_of(*unit).then(|| ms / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["delay_ms", "cache_s", "retain_days", "url"];

    #[track_caller]
    fn check(key: &str, value: &str, expected: Option<&str>) {
        let help = with_unit(key, Some(value), KNOWN).map(|(_, help)| help);
        assert_eq!(help.as_deref(), expected, "{key} = {value}");
    }

    #[test]
    fn a_duration_is_written_in_the_unit_of_the_key() {
        check("delay", "3s", Some("write delay_ms = 3000"));
        check("delay", "250 ms", Some("write delay_ms = 250"));
        check("delay_seconds", "3", Some("write delay_ms = 3000"));
        check("cache", "5 minutes", Some("write cache_s = 300"));
        check("retain", "30d", Some("write retain_days = 30"));
        check("retain", "1 week", Some("write retain_days = 7"));
        check("retain_h", "48", Some("write retain_days = 2"));
    }

    #[test]
    fn a_number_without_a_unit_is_no_guess() {
        check("delay", "3", Some("did you mean `delay_ms`?"));
        check("retain", "36h", Some("did you mean `retain_days`?"));
        check("cache", "a while", Some("did you mean `cache_s`?"));
        check("delay", "99999999999999999999s", Some("did you mean `delay_ms`?"));
    }

    #[test]
    fn other_keys_have_no_unit() {
        check("url_ms", "3s", None);
        check("path", "3s", None);
    }

    #[test]
    fn values_of_the_wrong_type_are_converted() {
        assert_eq!(number_for("delay_ms", "3s"), Some(3_000));
        assert_eq!(number_for("delay_ms", "3"), None);
        assert_eq!(number_for("url", "3s"), None);
    }
}
