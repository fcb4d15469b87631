//! The forms in which a phone number may occur in stored texts, and the places where it does.

use std::borrow::Cow;
use std::ops::Range;

use super::NumberPolicy;
use crate::domain::dialling_plan::EXIT_CODES;
use crate::domain::party::Party;
use crate::domain::phone_number::ascii_digit;

/// The forms in which records may contain a number.
pub struct NumberTraces {
    /// Values of the party columns: in full, masked, hashed.
    columns: Vec<String>,
    masked: String,
    /// Texts to search for, besides the digits.
    texts: Vec<String>,
    /// Digits of the number, if it has some.
    digits: Option<String>,
    /// The party is a text, not an international number.
    is_text: bool,
}

/// A run of so many digits is a number, whatever surrounds it.
const SURE_DIGITS: usize = 7;
/// Maximum number of characters between two groups of digits of one number.
const BETWEEN_GROUPS: usize = 5;

impl NumberTraces {
    /// Returns the forms of this party; none for a withheld number, which identifies no caller.
    pub fn new(party: &Party, numbers: &NumberPolicy) -> Option<NumberTraces> {
        let mut columns = numbers.stored_forms(party);
        let whole = columns.first()?.clone();
        let masked = party.masked().into_owned();
        if !columns.contains(&masked) {
            columns.push(masked.clone());
        }
        let digits_of = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
        let (texts, digits) = match party {
            Party::Withheld => return None,
            Party::Number(_) => (columns.clone(), Some(digits_of(&whole))),
            // The text is not known to be a number of any country, so its digits behind a `+` are another's.
            Party::Literal(text) => {
                let is_dialled = text.chars().all(|c| c.is_ascii_digit() || " -.()+".contains(c));
                let digits = Some(digits_of(text)).filter(|digits| digits.len() >= SURE_DIGITS);
                // A masked literal is so short that it occurs in other texts, too.
                let others = columns.iter().filter(|form| **form != masked);
                // As a value of JSON or TOML, and as a pattern of a rule.
                let quoted = others.flat_map(|form| {
                    let quoted = |text: &str| serde_json::Value::from(text).to_string();
                    [quoted(form), quoted(&format!("={form}"))]
                });
                (quoted.collect(), digits.filter(|_| is_dialled))
            }
        };
        let is_text = matches!(party, Party::Literal(_));
        Some(NumberTraces { columns, masked, texts, digits, is_text })
    }

    /// Returns the number in the form that may be printed.
    pub fn masked(&self) -> &str {
        &self.masked
    }

    /// Returns the byte sequences that no file may contain after erasure.
    pub fn bytes(&self) -> Vec<Vec<u8>> {
        let digits = self.digits.iter().filter(|digits| digits.len() >= SURE_DIGITS);
        let texts = self.texts.iter().filter(|text| text.len() > SURE_DIGITS);
        texts.chain(digits).map(|text| text.clone().into_bytes()).collect()
    }

    /// Returns the longer numbers in a text that contain the digits, as other callers' numbers do.
    pub(super) fn longer_numbers<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let Some(digits) = self.digits.as_deref().filter(|digits| text.contains(digits)) else {
            return Vec::new();
        };
        let runs = text.split(|c: char| !c.is_ascii_digit());
        runs.filter(|run| run.len() > digits.len() && run.contains(digits)).collect()
    }

    /// Returns whether a party column holds the number.
    pub(super) fn match_column(&self, text: &str) -> bool {
        self.columns.iter().any(|form| form == text)
    }

    /// Returns whether a text contains the number.
    pub(crate) fn match_text(&self, text: &str) -> bool {
        !self.places(text).is_empty()
    }

    /// Returns where a text contains the number, in order and without overlaps. Quotes around it are
    /// not included; a `+` before it is.
    pub(crate) fn places(&self, text: &str) -> Vec<Range<usize>> {
        let mut places: Vec<Range<usize>> =
            self.texts.iter().flat_map(|known| text_places(known, text)).collect();
        if let Some(digits) = &self.digits {
            let unescaped = View::unescaped(text);
            // As it is written, an escaped `+` is not one.
            let plain = (!self.is_text || unescaped.is_none()).then(|| View::plain(text));
            let views = unescaped.into_iter().chain(plain);
            places.extend(views.flat_map(|view| view.places(digits, self.is_text)));
        }
        places.sort_by_key(|place| (place.start, place.end));
        let mut merged: Vec<Range<usize>> = Vec::new();
        for place in places {
            match merged.last_mut() {
                Some(last) if place.start < last.end => last.end = last.end.max(place.end),
                _ => merged.push(place),
            }
        }
        merged
    }
}

/// Returns where `text` contains `known` with no further digit: `+1***23` is not in `+1***234`.
fn text_places(known: &str, text: &str) -> impl Iterator<Item = Range<usize>> {
    let is_quoted = known.starts_with('"');
    text.match_indices(known).filter_map(move |(at, _)| {
        let end = at + known.len();
        let is_longer = text[end..].starts_with(|after: char| after.is_ascii_digit());
        let quote = usize::from(is_quoted);
        (!is_longer).then_some(at + quote..end - quote)
    })
}

/// A text as it is meant, with the offset of each of its bytes in the text as it is written.
struct View<'t> {
    text: Cow<'t, str>,
    /// One more than the text has bytes; none where the two are the same.
    offsets: Option<Vec<usize>>,
}

/// Escapes of JSON, TOML and URLs for characters that separate digits.
const ESCAPES: [(&str, char); 9] = [
    ("\\n", '\n'),
    ("\\t", '\t'),
    ("\\r", '\r'),
    ("\\/", '/'),
    ("%20", ' '),
    ("%2B", '+'),
    ("%2D", '-'),
    ("%28", '('),
    ("%29", ')'),
];

impl<'t> View<'t> {
    /// The text with full-width digits replaced.
    fn plain(text: &'t str) -> View<'t> {
        if text.is_ascii() {
            return View { text: text.into(), offsets: None };
        }
        View::mapped(text, |rest| {
            let first = rest.chars().next().unwrap_or_default();
            (ascii_digit(first), first.len_utf8())
        })
    }

    /// The text with its escapes decoded, too; none where it has no escapes.
    fn unescaped(text: &'t str) -> Option<View<'t>> {
        text.contains(['\\', '%']).then(|| View::mapped(text, first_character))
    }

    /// Maps a text by a function that returns its first character, and the length of that as written.
    fn mapped(text: &str, first: impl Fn(&str) -> (char, usize)) -> View<'t> {
        let (mut meant, mut offsets) = (String::new(), Vec::new());
        let mut at = 0;
        while at < text.len() {
            let (character, length) = first(&text[at..]);
            offsets.extend(std::iter::repeat_n(at, character.len_utf8()));
            meant.push(character);
            at += length;
        }
        offsets.push(at);
        View { text: meant.into(), offsets: Some(offsets) }
    }

    /// Returns where the text as it is written contains the digits.
    fn places(&self, digits: &str, is_text: bool) -> Vec<Range<usize>> {
        let written = |at: usize| self.offsets.as_ref().map_or(at, |offsets| offsets[at]);
        let places = digit_places(digits, &self.text).into_iter();
        let places = places.filter(|place| !is_text || !is_international(&self.text, place));
        places.map(|place| written(place.start)..written(place.end)).collect()
    }
}

/// Returns the first character of a text that is not empty, decoded, and its length as written.
fn first_character(rest: &str) -> (char, usize) {
    if let Some((escape, plain)) = ESCAPES.iter().find(|(escape, _)| rest.starts_with(escape)) {
        return (*plain, escape.len());
    }
    let unicode = rest.strip_prefix("\\u").and_then(|rest| rest.get(..4));
    if let Some(code) = unicode.and_then(|hex| u32::from_str_radix(hex, 16).ok()) {
        // Half of a surrogate pair is no digit and no separator.
        return (char::from_u32(code).map_or('\u{fffd}', ascii_digit), 6);
    }
    let first = rest.chars().next().unwrap_or_default();
    (ascii_digit(first), first.len_utf8())
}

/// Returns whether digits are a part of a number with a `+` or an exit code.
fn is_international(text: &str, place: &Range<usize>) -> bool {
    let before =
        text[..place.start].trim_end_matches(|c: char| c.is_ascii_digit() || " -.()".contains(c));
    let found = &text[place.clone()];
    before.ends_with('+')
        || found.starts_with('+')
        || EXIT_CODES.iter().any(|code| found.starts_with(code))
}

/// Returns where `text` contains the digits, in one run or in groups: `+1 (213) 777-1234`. A longer
/// number that contains them is another one.
fn digit_places(digits: &str, text: &str) -> Vec<Range<usize>> {
    const LONGEST_PREFIX: usize = "011".len();
    let mut groups: Vec<Range<usize>> = Vec::new();
    for group in text.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty()) {
        let start = group.as_ptr().addr() - text.as_ptr().addr();
        groups.push(start..start + group.len());
    }
    let place = |first: usize| {
        let mut joined = String::new();
        let start = groups[first].start;
        let mut end = start;
        for group in &groups[first..] {
            let between = &text[end..group.start];
            let is_near = between.chars().count() <= BETWEEN_GROUPS
                && !between.chars().any(char::is_alphabetic);
            let is_too_long = joined.len() >= digits.len() + LONGEST_PREFIX;
            if !is_near || is_too_long {
                return None;
            }
            joined.push_str(&text[group.clone()]);
            end = group.end;
            let mut codes = EXIT_CODES.iter().chain(&[""]);
            if codes.any(|code| joined.strip_prefix(code) == Some(digits)) {
                let plus = usize::from(text[..start].ends_with('+'));
                return Some(start - plus..end);
            }
        }
        None
    };
    (0..groups.len()).filter_map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::NumberStorage;

    #[track_caller]
    fn check(party: &str, text: &str, expected: bool) {
        let party = Party::parse(Some(party)).party;
        let traces = NumberTraces::new(&party, &NumberPolicy::new(NumberStorage::Full)).unwrap();
        assert_eq!(traces.match_text(text), expected, "{text}");
    }

    #[test]
    fn a_text_of_digits_is_not_in_a_number_of_another_country() {
        let text = "(312) 555-0177";
        for found in ["312-555-0177", "tel 3125550177", "\"(312) 555-0177\"", "x=3125550177&y=1"] {
            check(text, found, true);
        }
        for other in
            ["+3125550177", "+31 255 501 77", "003125550177", "0113125550177", "%2B3125550177"]
        {
            check(text, other, false);
        }
        check("13125550177", "+13125550177", true);
    }

    #[test]
    fn finds_a_number_in_any_notation() {
        for text in [
            r#"{"from":"+12137771234"}"#,
            r#"{"from":12137771234}"#,
            "call me at +1 (213) 777-1234, please",
            "1.213.777.1234",
            "0012137771234",
            "011 1 213 777 1234",
            "001 213 777 123 4",
            "0111 213 777 12 34",
            "https://host/a?from=%2B12137771234&to=1",
            "recording_12137771234_1780012672200.wav",
            "seen before: +1213***1234",
            "+1\u{2011}213\u{2011}777\u{2011}1234",
            "+1\u{a0}213\u{a0}777 – 1234",
            "+1_213_777_1234",
            "tel=%2B1%20213%20777%201234",
            r#"{"said":"+1\u2011213\u2011777\u20111234"}"#,
            r#"{"said":"+1 213\n777 1234"}"#,
            "at 9 12137771234",
            "one: 1 2 1 3, 7 7 7, 1 2 3 4",
            "1+213+777+1234",
            "whatsapp:+12137771234",
            "+1 213 777 1234 x5",
            "sip:%2B12137771234@h",
            "\u{ff11}\u{ff12}\u{ff11}\u{ff13}7771234",
            "১২১৩৭৭৭১২৩৪",
            "𝟏𝟐𝟏𝟑 𝟕𝟕𝟕 𝟏𝟐𝟑𝟒",
        ] {
            check("+12137771234", text, true);
        }
        for text in [
            "+12137771235",
            "1 2137771235 1234",
            "+121377712345",
            "912137771234",
            "12137771 and 234",
            "213 777 1234",
            "1780012672200",
            "+1213***12345",
            "",
        ] {
            check("+12137771234", text, false);
        }
    }

    #[test]
    fn does_not_find_a_short_number_inside_another() {
        check("+4911", "+4911", true);
        check("+4911", "dial 49 11 now", true);
        check("+4911", "+491155501234", false);
        check("+4911", "1780012649110", false);
    }

    #[test]
    fn finds_a_literal_only_as_a_whole() {
        check("client:jane", r#"{"from":"client:jane"}"#, true);
        check("client:jane", r#"{"from":"client:janet"}"#, false);
        check("1001", r#"{"at":1780010012200}"#, false);
    }

    #[test]
    fn names_the_places_as_they_are_written() {
        let party = Party::parse(Some("+12137771234")).party;
        let traces = NumberTraces::new(&party, &NumberPolicy::new(NumberStorage::Full)).unwrap();
        for (text, expected) in [
            ("from = \"+12137771234\"", vec!["+12137771234"]),
            (
                "é \u{ff11} 213 777 1234 or +1213***1234",
                vec!["\u{ff11} 213 777 1234", "+1213***1234"],
            ),
            (r"said: \u00fc, +1 213\n777 1234.", vec![r"+1 213\n777 1234"]),
            ("tel=%2B1%20213%20777%201234&", vec!["%2B1%20213%20777%201234"]),
            ("+121377712345", vec![]),
        ] {
            let places = traces.places(text);
            let found: Vec<&str> = places.into_iter().map(|place| &text[place]).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn finds_longer_numbers_that_contain_the_digits() {
        let party = Party::parse(Some("+4930901820")).party;
        let traces = NumberTraces::new(&party, &NumberPolicy::new(NumberStorage::Full)).unwrap();
        let text = "+493090182017, +4930901820 and 004930901820, +4930901821";
        assert_eq!(traces.longer_numbers(text), ["493090182017", "004930901820"]);
    }

    #[test]
    fn cannot_erase_a_withheld_number() {
        assert!(
            NumberTraces::new(&Party::Withheld, &NumberPolicy::new(NumberStorage::Full)).is_none()
        );
    }
}
