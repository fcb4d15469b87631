//! Telephone numbers, and what stands where a number should be.
//!
//! Numbers are personal data: `Display` and `Debug` are masked (`+1213***1234`), and the whole
//! number comes out only through methods whose names say so. Nothing here invents a country code.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU64;

pub use super::country::Country;

/// The most digits that an international number has (ITU-T E.164).
const MAX_DIGITS: usize = 15;
/// A bare number with fewer digits is an extension or a short code, not a number without its `+`.
const MIN_BARE_DIGITS: usize = 8;

/// An international number (E.164): up to 15 digits after the `+`, the first of them not 0. Eight
/// bytes: a table holds a million of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneNumber(NonZeroU64);

/// A [`PhoneNumber`] is its digits as a value, and below that the count of them in so many bits.
const LEN_BITS: u32 = 4;

/// Why a text is no international number. The messages are for the reader of a rule file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNumber {
    /// There is no `+` in front.
    #[error("a number starts with `+` and the country code")]
    NoPlus,
    /// A character that is neither a digit nor one of `space - . ( )`.
    #[error("`{0}` does not belong in a number")]
    Character(char),
    /// No digits at all, or more than 15.
    #[error("it has {0} digits, and a number has 1 to 15")]
    Length(usize),
    /// No country code starts with 0.
    #[error("no country code starts with 0")]
    LeadingZero,
}

impl PhoneNumber {
    /// Reads `+12137771234` or `+1 (213) 777-1234`: a plus, then digits; space - . ( ) are skipped.
    ///
    /// # Errors
    /// Says what is in the way; see [`InvalidNumber`].
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
                // Whatever stands before it is one byte each, so that a character begins here.
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
        Ok(PhoneNumber::of(digits, len as u32))
    }

    /// Of `len` digits, the first of them not 0.
    fn of(value: u64, len: u32) -> PhoneNumber {
        let packed = NonZeroU64::new(value << LEN_BITS | u64::from(len));
        PhoneNumber(packed.expect("a number has digits, so its length is not 0"))
    }

    fn value(&self) -> u64 {
        self.0.get() >> LEN_BITS
    }

    fn len(&self) -> u32 {
        (self.0.get() & ((1 << LEN_BITS) - 1)) as u32
    }

    /// What no other number has: for tables of numbers. The highest two bits are never set.
    pub fn key(&self) -> u64 {
        self.0.get()
    }

    /// The number that has this [`PhoneNumber::key`].
    pub fn of_key(key: u64) -> Option<PhoneNumber> {
        let number = PhoneNumber(NonZeroU64::new(key)?);
        (number.value().checked_ilog10()? + 1 == number.len()).then_some(number)
    }

    /// Its first digits, so many of them; none when it has fewer.
    pub fn first(&self, digits: usize) -> Option<PhoneNumber> {
        let rest = self.digits().checked_sub(digits)?;
        (digits > 0).then(|| PhoneNumber::of(self.value() / 10_u64.pow(rest as u32), digits as u32))
    }

    /// The number with one more digit at its end; none when it has 15 already.
    pub fn followed_by(&self, digit: u8) -> Option<PhoneNumber> {
        let room = self.digits() < MAX_DIGITS && digit < 10;
        room.then(|| PhoneNumber::of(self.value() * 10 + u64::from(digit), self.len() + 1))
    }

    /// Whether its digits are a keypad's word for a withheld number.
    pub fn spells_withheld(&self) -> bool {
        WITHHELD_DIGITS.iter().any(|word| {
            word.len() == self.digits() && word.parse().is_ok_and(|word: u64| word == self.value())
        })
    }

    /// How many digits it has, the country code among them.
    pub fn digits(&self) -> usize {
        self.len() as usize
    }

    /// The digit at `at`, counted from the left, 0 for the first.
    ///
    /// # Panics
    /// When `at` is not below [`PhoneNumber::digits`].
    pub fn digit(&self, at: usize) -> u8 {
        assert!(at < self.digits(), "a digit inside the number");
        (self.value() / 10_u64.pow((self.digits() - 1 - at) as u32) % 10) as u8
    }

    /// Whether the digits begin with all digits of `prefix`.
    pub fn starts_with(&self, prefix: PhoneNumber) -> bool {
        self.first(prefix.digits()) == Some(prefix)
    }

    /// The country whose calling code it has; none for codes of no country (`+800`).
    pub fn country(&self) -> Option<Country> {
        Country::of_digits(self.value(), self.len() as u8)
    }

    /// The country of every number that begins with these digits; none when they belong to several.
    pub fn country_as_prefix(&self) -> Option<Country> {
        Country::of_prefix(self.value(), self.len())
    }

    /// `+1213***1234`: at most the first and last four digits, three or more hidden between them.
    pub fn masked(&self) -> String {
        let visible = self.digits().saturating_sub(3);
        let head = (visible / 2).min(4);
        let tail = (visible - head).min(4);
        let mut masked = String::with_capacity(12);
        masked.push('+');
        push_digits(&mut masked, self.value() / 10_u64.pow((self.digits() - head) as u32), head);
        masked.push_str("***");
        push_digits(&mut masked, self.value(), tail);
        masked
    }

    /// The whole number, `+` and digits. For rules, replies and stores, never for a log.
    pub fn unmasked(&self) -> String {
        format!("+{}", self.value())
    }
}

/// What people write between the digits of a number, and programs that set their texts: blanks and
/// dashes of all kinds.
pub(crate) fn stands_between_digits(c: char) -> bool {
    c.is_whitespace()
        || "-.()/_".contains(c)
        || matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{200b}'..='\u{200f}' | '\u{2060}')
}

/// A text in which every number is masked that stands in it, written with a `+` or of seven digits
/// and more.
pub fn mask_numbers(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c == '+' || c.is_ascii_digit()) {
        masked.push_str(&rest[..at]);
        let with_plus = rest[at..].starts_with('+');
        let belongs = |c: char| c.is_ascii_digit() || (with_plus && stands_between_digits(c));
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

/// The last `count` digits of `value`, at most eight of them.
fn push_digits(text: &mut String, mut value: u64, count: usize) {
    let mut digits = [0_u8; 8];
    for digit in digits[..count].iter_mut().rev() {
        *digit = (value % 10) as u8;
        value /= 10;
    }
    text.extend(digits[..count].iter().map(|digit| char::from(b'0' + digit)));
}

/// As [`PhoneNumber::masked`].
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

/// One end of a call: who rings, or what was dialled.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Party {
    /// An international number.
    Number(PhoneNumber),
    /// No number at all, in whichever of the many spellings it came.
    Withheld,
    /// Something that holds no number: an extension, a short code, `client:jane`, `sip:bob@…`.
    Literal(Box<str>),
}

/// A party as it was read, and whether the `+` had to be put in front of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedParty {
    /// Who it is.
    pub party: Party,
    /// The number came without its `+`: worth counting, for some senders never write it.
    pub plus_added: bool,
}

/// What platforms and carriers write for a caller who shows no number.
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

/// The same words typed on a keypad: ANONYMOUS, RESTRICTED, UNAVAILABLE, BLOCKED, UNKNOWN, PRIVATE.
/// Taken as numbers they look like Lesotho, Russia and China.
const WITHHELD_DIGITS: [&str; 6] =
    ["266696687", "7378742833", "86282452253", "2562533", "8656696", "7748283"];

impl Party {
    /// Reads what a platform wrote in a number's place. Cannot fail: the strangest text is a
    /// [`Party::Literal`], and an absent one is [`Party::Withheld`].
    pub fn read(text: Option<&str>) -> ParsedParty {
        let whole = text.unwrap_or_default().trim();
        let core = inside_uri(whole);
        // No word for a withheld number has an `@`, so what stands before one is enough to look at.
        if is_withheld(core.split('@').next().unwrap_or_default()) {
            return ParsedParty { party: Party::Withheld, plus_added: false };
        }
        if let Ok(number) = PhoneNumber::parse(core) {
            return ParsedParty { party: Party::Number(number), plus_added: false };
        }
        match PhoneNumber::from_digits(core) {
            Ok(number) if number.digits() >= MIN_BARE_DIGITS => {
                ParsedParty { party: Party::Number(number), plus_added: true }
            }
            _ => ParsedParty { party: Party::Literal(whole.into()), plus_added: false },
        }
    }

    /// The number, when it is one.
    pub fn number(&self) -> Option<PhoneNumber> {
        match self {
            Party::Number(number) => Some(*number),
            Party::Withheld | Party::Literal(_) => None,
        }
    }

    /// Masked like a number; a literal shows its first two characters, where they are letters.
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

    /// The whole of it: the number, the word `withheld`, or the literal text. Never for a log.
    pub fn unmasked(&self) -> Cow<'_, str> {
        match self {
            Party::Number(number) => Cow::Owned(number.unmasked()),
            Party::Withheld => Cow::Borrowed("withheld"),
            Party::Literal(text) => Cow::Borrowed(text),
        }
    }
}

/// `sip:+17045551234@host;user=phone`, `"Bob" <tel:+1…>` → the part where a number can stand.
fn inside_uri(text: &str) -> &str {
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

fn is_withheld(text: &str) -> bool {
    let typed = |word: &&str| {
        let separators = |c: &char| matches!(c, ' ' | '-' | '.' | '(' | ')');
        let bare = text.strip_prefix('+').unwrap_or(text);
        bare.chars().filter(|c| !separators(c)).eq(word.chars())
    };
    text.is_empty()
        || WITHHELD_DIGITS.iter().any(typed)
        || WITHHELD_WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// As [`Party::masked`].
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
        assert_eq!(Party::read(Some(text)).party.unmasked(), expected, "read from {text:?}");
    }

    #[test]
    fn every_spelling_of_no_number_is_withheld() {
        for text in ["", " ", "Anonymous", "UNKNOWN", "restricted", "private", "unavailable"] {
            check(text, "withheld");
        }
        for text in ["withheld", "blocked", "none", "null", "sip:anonymous@anonymous.invalid"] {
            check(text, "withheld");
        }
        for digits in WITHHELD_DIGITS {
            check(digits, "withheld");
            check(&format!("+{digits}"), "withheld");
        }
        assert_eq!(Party::read(None).party, Party::Withheld);
    }

    #[test]
    fn uris_give_their_number() {
        check("sip:+17045551234@203.0.113.9;user=phone", "+17045551234");
        check("SIPS:+17045551234@host", "+17045551234");
        check("tel:+1-704-555-1234;phone-context=x", "+17045551234");
        check("\"Bob\" <sip:+17045551234@host>;party=calling", "+17045551234");
        check("sip:17045551234@host", "+17045551234");
    }

    #[test]
    fn what_holds_no_number_stays_as_it_is() {
        for text in ["client:jane", "1001", "sip:bob@example.com", "+", "+12345678901234567890"] {
            check(text, text);
        }
        check("0301234567", "0301234567");
    }

    #[test]
    fn a_missing_plus_is_added_and_told() {
        let heard = Party::read(Some("12137771234"));
        assert_eq!(heard.party.unmasked(), "+12137771234");
        assert!(heard.plus_added);
        assert!(!Party::read(Some("+12137771234")).plus_added);
    }

    #[test]
    fn prefixes_and_digits() {
        let number = PhoneNumber::parse("+1 (213) 777-1234").unwrap();
        assert!(number.starts_with(PhoneNumber::parse("+1213").unwrap()));
        assert!(!number.starts_with(PhoneNumber::parse("+1214").unwrap()));
        assert!(!number.starts_with(PhoneNumber::parse("+121377712345").unwrap()));
        assert_eq!((number.digit(0), number.digit(1), number.digit(10)), (1, 2, 4));
    }

    #[test]
    fn numbers_in_a_text_are_masked() {
        for (text, expected) in [
            (
                "`+12137771234` stands on this list already",
                "`+1213***1234` stands on this list already",
            ),
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
    fn printing_masks() {
        let masked = |text: &str| Party::read(Some(text)).party.to_string();
        assert_eq!(masked("+12137771234"), "+1213***1234");
        assert_eq!(masked("+12345678"), "+12***678");
        assert_eq!(masked("+12"), "+***");
        assert_eq!(masked("client:jane"), "cl***");
        assert_eq!(masked("1001"), "***");
        assert_eq!(format!("{:?}", Party::read(Some("+12137771234")).party), "+1213***1234");
    }
}
