//! Phone numbers, and the parties of a call.
//!
//! Numbers are personal data: `Display` and `Debug` print them masked (`+1213***1234`); only
//! `unmasked` returns all digits. No function here guesses a country code.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU64;

pub use super::country::Country;

/// Maximum number of digits of an international number (ITU-T E.164).
const MAX_DIGITS: usize = 15;
/// Minimum number of digits for reading a text without `+` as an international number. Anything
/// shorter is an extension or a short code.
const MIN_BARE_DIGITS: usize = 8;

/// An international number (E.164): 1 to 15 digits after the `+`, the first of them not 0.
///
/// Packed into eight bytes, since a rule table can hold a million of them.
///
/// ```
/// use switchboard::domain::phone_number::PhoneNumber;
///
/// let number = PhoneNumber::parse("+1 (213) 777-1234")?;
/// assert_eq!(number.unmasked(), "+12137771234");
/// assert_eq!(number.to_string(), "+1213***1234");
/// assert_eq!(number.country().unwrap().as_str(), "US");
/// # Ok::<(), switchboard::domain::phone_number::InvalidNumber>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneNumber(NonZeroU64);

/// Width of the digit count, which occupies the lowest bits of a [`PhoneNumber`]; the digits' value is
/// above it.
const LEN_BITS: u32 = 4;

/// Reason why a text is not an international number. The messages address the author of a rule file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNumber {
    /// The leading `+` is missing.
    #[error("a number starts with `+` and the country code")]
    NoPlus,
    /// A character that is neither a digit nor one of `space - . ( )`.
    #[error("`{0}` does not belong in a number")]
    Character(char),
    /// There are no digits, or more than 15.
    #[error("it has {0} digits, and a number has 1 to 15")]
    Length(usize),
    /// The first digit is 0, which starts no country code.
    #[error("no country code starts with 0")]
    LeadingZero,
}

impl PhoneNumber {
    /// Parses `+12137771234` or `+1 (213) 777-1234`: a `+` and digits; `space - . ( )` are ignored.
    ///
    /// # Errors
    /// Returns the first obstacle; see [`InvalidNumber`].
    pub fn parse(text: &str) -> Result<PhoneNumber, InvalidNumber> {
        let rest = text.trim().strip_prefix('+').ok_or(InvalidNumber::NoPlus)?;
        PhoneNumber::from_digits(rest)
    }

    fn from_digits(text: &str) -> Result<PhoneNumber, InvalidNumber> {
        let mut digits = 0_u64;
        let mut len = 0_usize;
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'0'..=b'9' if len < MAX_DIGITS => {
                    digits = digits * 10 + u64::from(byte - b'0');
                    len += 1;
                }
                b'0'..=b'9' => len += 1,
                b' ' | b'-' | b'.' | b'(' | b')' => {}
                // Every byte before this one is ASCII, so a character starts here.
                _ => {
                    return Err(text[at..]
                        .chars()
                        .next()
                        .map_or(InvalidNumber::NoPlus, InvalidNumber::Character));
                }
            }
        }
        if len == 0 || len > MAX_DIGITS {
            return Err(InvalidNumber::Length(len));
        }
        if digits < 10_u64.pow(len as u32 - 1) {
            return Err(InvalidNumber::LeadingZero);
        }
        Ok(PhoneNumber::pack(digits, len as u32))
    }

    /// Packs a value of `len` digits, the first of them not 0.
    fn pack(value: u64, len: u32) -> PhoneNumber {
        let packed = NonZeroU64::new(value << LEN_BITS | u64::from(len));
        PhoneNumber(packed.expect("a number has digits, so its length is not 0"))
    }

    fn value(&self) -> u64 {
        self.0.get() >> LEN_BITS
    }

    fn len(&self) -> u32 {
        (self.0.get() & ((1 << LEN_BITS) - 1)) as u32
    }

    /// Returns a unique key for hash tables. The two highest bits are always 0.
    pub fn key(&self) -> u64 {
        self.0.get()
    }

    /// Returns the number with this [`PhoneNumber::key`].
    pub fn from_key(key: u64) -> Option<PhoneNumber> {
        let number = PhoneNumber(NonZeroU64::new(key)?);
        (number.value().checked_ilog10()? + 1 == number.len()).then_some(number)
    }

    /// Returns the first `digits` digits, or `None` if the number has fewer.
    pub fn prefix(&self, digits: usize) -> Option<PhoneNumber> {
        let rest = self.digits().checked_sub(digits)?;
        (digits > 0)
            .then(|| PhoneNumber::pack(self.value() / 10_u64.pow(rest as u32), digits as u32))
    }

    /// Appends a digit, or returns `None` if the number already has 15.
    pub fn with_digit(&self, digit: u8) -> Option<PhoneNumber> {
        let fits = self.digits() < MAX_DIGITS && digit < 10;
        fits.then(|| PhoneNumber::pack(self.value() * 10 + u64::from(digit), self.len() + 1))
    }

    /// Returns whether the digits spell a word for a withheld number on a phone keypad.
    pub fn spells_withheld(&self) -> bool {
        WITHHELD_DIGITS.contains(&self.value())
    }

    /// Returns the number of digits, including the country code.
    pub fn digits(&self) -> usize {
        self.len() as usize
    }

    /// Returns the digit at index `at`, counted from the left.
    ///
    /// # Panics
    /// Panics if `at` is not less than [`PhoneNumber::digits`].
    pub fn digit(&self, at: usize) -> u8 {
        assert!(at < self.digits(), "the index of a digit");
        (self.value() / 10_u64.pow((self.digits() - 1 - at) as u32) % 10) as u8
    }

    /// Returns whether the number starts with all digits of `prefix`.
    pub fn starts_with(&self, prefix: PhoneNumber) -> bool {
        self.prefix(prefix.digits()) == Some(prefix)
    }

    /// Returns the country of the calling code, or `None` for codes of no country (`+800`).
    pub fn country(&self) -> Option<Country> {
        Country::from_digits(self.value(), self.len() as u8)
    }

    /// Returns the country of all numbers with this prefix, or `None` if they belong to several.
    pub fn country_as_prefix(&self) -> Option<Country> {
        Country::from_prefix(self.value(), self.len())
    }

    /// Returns `+1213***1234`: at most the first and last four digits, with at least three hidden.
    pub fn masked(&self) -> String {
        let digits = self.value().to_string();
        let visible = digits.len().saturating_sub(3);
        let head = (visible / 2).min(4);
        let tail = (visible - head).min(4);
        ["+", &digits[..head], "***", &digits[digits.len() - tail..]].concat()
    }

    /// Returns all digits after a `+`. For rules, replies and records; never for a log.
    pub fn unmasked(&self) -> String {
        format!("+{}", self.value())
    }
}

/// Returns whether `c` occurs between the digits of a written number: white space and dashes of all
/// kinds, and the punctuation that people and word processors use.
pub(crate) fn is_digit_separator(c: char) -> bool {
    c.is_whitespace()
        || "-.()/_".contains(c)
        || matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{200b}'..='\u{200f}' | '\u{2060}')
}

/// Masks every phone number in a text: `+` followed by at least five digits, or at least seven digits.
pub fn mask_numbers(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c == '+' || c.is_ascii_digit()) {
        masked.push_str(&rest[..at]);
        let with_plus = rest[at..].starts_with('+');
        let belongs = |c: char| c.is_ascii_digit() || (with_plus && is_digit_separator(c));
        let after = rest[at + 1..].find(|c| !belongs(c)).map_or(rest.len(), |end| at + 1 + end);
        let number = rest[at..after].trim_end_matches(|c: char| !c.is_ascii_digit() && c != '+');
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        let shown = digits.len() < if with_plus { 5 } else { 7 };
        match PhoneNumber::from_digits(&digits) {
            _ if shown => masked.push_str(number),
            Ok(number) => masked.push_str(&number.masked()),
            Err(_) => masked.push_str("***"),
        }
        rest = &rest[at + number.len()..];
    }
    masked + rest
}

/// Prints [`PhoneNumber::masked`].
impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A party of a call: the caller or the called number.
///
/// ```
/// use switchboard::domain::phone_number::Party;
///
/// let parse = |text| Party::parse(Some(text)).party;
/// assert_eq!(parse("sip:+12137771234@203.0.113.9").unmasked(), "+12137771234");
/// assert_eq!(parse("anonymous"), Party::Withheld);
/// assert_eq!(parse("1001"), Party::Literal("1001".into()));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Party {
    /// An international number.
    Number(PhoneNumber),
    /// A withheld number, in any of its spellings.
    Withheld,
    /// A text without a phone number: an extension, a short code, `client:jane`, `sip:bob@…`.
    Literal(Box<str>),
}

/// Result of [`Party::parse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedParty {
    /// The party.
    pub party: Party,
    /// Whether the number arrived without its `+`. Counted, since some senders never send it.
    pub plus_added: bool,
}

/// Words that platforms and carriers send instead of a withheld number.
const WITHHELD_WORDS: [&str; 9] = [
    "anonymous",
    "unknown",
    "restricted",
    "private",
    "unavailable",
    "withheld",
    "blocked",
    "none",
    "null",
];

/// The same words typed on a phone keypad: ANONYMOUS, RESTRICTED, UNAVAILABLE, BLOCKED, UNKNOWN,
/// PRIVATE. Read as numbers, they would belong to Lesotho, Russia and China.
const WITHHELD_DIGITS: [u64; 6] =
    [266_696_687, 7_378_742_833, 86_282_452_253, 2_562_533, 8_656_696, 7_748_283];

impl Party {
    /// Parses the text that a platform sent in place of a number. Never fails: an unreadable text is a
    /// [`Party::Literal`], an absent one is [`Party::Withheld`].
    pub fn parse(text: Option<&str>) -> ParsedParty {
        let whole = text.unwrap_or_default().trim();
        let user = uri_user_part(whole);
        // Without a scheme, a host may follow.
        let user = user.split('@').next().unwrap_or_default().trim();
        let bare = user.strip_prefix('+');
        let (party, plus_added) = match PhoneNumber::from_digits(bare.unwrap_or(user)) {
            Ok(number) if number.spells_withheld() => (Party::Withheld, false),
            Ok(number) if bare.is_some() => (Party::Number(number), false),
            Ok(number) if number.digits() >= MIN_BARE_DIGITS => (Party::Number(number), true),
            _ if is_withheld(user) => (Party::Withheld, false),
            _ => (Party::Literal(whole.into()), false),
        };
        ParsedParty { party, plus_added }
    }

    /// Returns the phone number, if the party has one.
    pub fn number(&self) -> Option<PhoneNumber> {
        match self {
            Party::Number(number) => Some(*number),
            Party::Withheld | Party::Literal(_) => None,
        }
    }

    /// Returns the masked form. A literal shows its first two characters if they are letters.
    pub fn masked(&self) -> Cow<'static, str> {
        match self {
            Party::Number(number) => Cow::Owned(number.masked()),
            Party::Withheld => Cow::Borrowed("withheld"),
            Party::Literal(text) => {
                let head = text.chars().take(2).filter(char::is_ascii_alphabetic);
                Cow::Owned(head.chain("***".chars()).collect())
            }
        }
    }

    /// Returns the number, the word `withheld`, or the literal text in full. Never for a log.
    pub fn unmasked(&self) -> Cow<'_, str> {
        match self {
            Party::Number(number) => Cow::Owned(number.unmasked()),
            Party::Withheld => Cow::Borrowed("withheld"),
            Party::Literal(text) => Cow::Borrowed(text),
        }
    }
}

/// Extracts the part that can hold a number from `sip:+17045551234@host;user=phone` or
/// `"Bob" <tel:+1…>`.
fn uri_user_part(text: &str) -> &str {
    let bracketed = text.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    let uri = bracketed.map_or(text, |(inside, _)| inside.trim());
    let Some((scheme, rest)) = uri.split_once(':') else {
        return uri;
    };
    let known = ["sip", "sips", "tel"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    if !known {
        return uri;
    }
    let end = rest.find(['@', ';', '?']).unwrap_or(rest.len());
    &rest[..end]
}

/// Returns whether a text that is no number says that the number is withheld.
fn is_withheld(text: &str) -> bool {
    text.is_empty() || WITHHELD_WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Prints [`Party::masked`].
impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Debug for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(Party::parse(Some(text)).party.unmasked(), expected, "read from {text:?}");
    }

    #[test]
    fn recognizes_every_spelling_of_a_withheld_number() {
        for text in ["", " ", "Anonymous", "UNKNOWN", "restricted", "private", "unavailable"] {
            check(text, "withheld");
        }
        for text in ["withheld", "blocked", "none", "null", "sip:anonymous@anonymous.invalid"] {
            check(text, "withheld");
        }
        for digits in WITHHELD_DIGITS {
            check(&digits.to_string(), "withheld");
            check(&format!("+{digits}"), "withheld");
            check(&format!("{digits}@203.0.113.9"), "withheld");
        }
        assert_eq!(Party::parse(None).party, Party::Withheld);
    }

    #[test]
    fn extracts_the_number_of_a_uri() {
        check("sip:+17045551234@203.0.113.9;user=phone", "+17045551234");
        check("SIPS:+17045551234@host", "+17045551234");
        check("tel:+1-704-555-1234;phone-context=x", "+17045551234");
        check("\"Bob\" <sip:+17045551234@host>;party=calling", "+17045551234");
        check("sip:17045551234@host", "+17045551234");
        check("+17045551234@203.0.113.9", "+17045551234");
    }

    #[test]
    fn keeps_a_text_without_a_number_unchanged() {
        for text in ["client:jane", "1001", "sip:bob@example.com", "+", "+12345678901234567890"] {
            check(text, text);
        }
        check("0301234567", "0301234567");
    }

    #[test]
    fn reports_a_plus_that_it_added() {
        let parsed = Party::parse(Some("12137771234"));
        assert_eq!(parsed.party.unmasked(), "+12137771234");
        assert!(parsed.plus_added);
        assert!(!Party::parse(Some("+12137771234")).plus_added);
    }

    #[test]
    fn compares_prefixes_and_returns_digits() {
        let number = PhoneNumber::parse("+1 (213) 777-1234").unwrap();
        assert!(number.starts_with(PhoneNumber::parse("+1213").unwrap()));
        assert!(!number.starts_with(PhoneNumber::parse("+1214").unwrap()));
        assert!(!number.starts_with(PhoneNumber::parse("+121377712345").unwrap()));
        assert_eq!((number.digit(0), number.digit(1), number.digit(10)), (1, 2, 4));
    }

    #[test]
    fn masks_the_numbers_in_a_text() {
        for (text, expected) in [
            ("`+12137771234` is already in this list", "`+1213***1234` is already in this list"),
            ("+1 (415) 555-0100, twice", "+1415***0100, twice"),
            ("+1\u{2011}415\u{2011}555 \u{2013} 0100: a model's", "+1415***0100: a model's"),
            ("12137771234 and 2026-12-24", "+1213***1234 and 2026-12-24"),
            ("+1213* has 4 digits, 50000 bytes", "+1213* has 4 digits, 50000 bytes"),
            ("+ 1 + 2", "+ 1 + 2"),
            ("0301234567", "***"),
            ("für +4930901820 ü", "für +493***1820 ü"),
        ] {
            assert_eq!(mask_numbers(text), expected);
        }
    }

    #[test]
    fn prints_masked() {
        let masked = |text: &str| Party::parse(Some(text)).party.to_string();
        assert_eq!(masked("+12137771234"), "+1213***1234");
        assert_eq!(masked("+12345678"), "+12***678");
        assert_eq!(masked("+12"), "+***");
        assert_eq!(masked("client:jane"), "cl***");
        assert_eq!(masked("1001"), "***");
        assert_eq!(format!("{:?}", Party::parse(Some("+12137771234")).party), "+1213***1234");
    }
}
