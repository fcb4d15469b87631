//! Phone numbers.
//!
//! Numbers are personal data: `Display` and `Debug` print them masked (`+1213***1234`); only
//! `unmasked` returns all digits. No function here guesses a country code.

use std::fmt;
use std::num::NonZeroU64;

pub use super::country::Country;

/// Maximum number of digits of an international number (ITU-T E.164).
pub(crate) const MAX_DIGITS: usize = 15;

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
    /// A character that is neither a digit nor one of `space - . ( ) /`.
    #[error("`{0}` does not belong in a number")]
    Character(char),
    /// A `.` or `/` that does not separate groups of digits: `16502530000.0`.
    #[error("`{0}` must have at least two digits after it")]
    Separator(char),
    /// `(0)`, which is not dialled after a country code.
    #[error("it contains (0), which is not dialled after a country code")]
    TrunkZero,
    /// There are no digits, or more than 15.
    #[error("it has {0} digits, and a number has 1 to 15")]
    Length(usize),
    /// The first digit is 0, which starts no country code.
    #[error("no country code starts with 0")]
    LeadingZero,
}

impl PhoneNumber {
    /// Parses `+12137771234` or `+1 (213) 777-1234`: a `+` and digits; `space - . ( ) /` between them are
    /// ignored.
    ///
    /// # Errors
    /// Returns the first obstacle; see [`InvalidNumber`].
    pub fn parse(text: &str) -> Result<PhoneNumber, InvalidNumber> {
        let rest = text.trim().strip_prefix('+').ok_or(InvalidNumber::NoPlus)?;
        PhoneNumber::from_digits(rest)
    }

    /// Parses the part after the `+`.
    pub(super) fn from_digits(text: &str) -> Result<PhoneNumber, InvalidNumber> {
        let mut digits = 0_u64;
        let mut len = 0_usize;
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'0'..=b'9' if len < MAX_DIGITS => {
                    digits = digits * 10 + u64::from(byte - b'0');
                    len += 1;
                }
                b'0'..=b'9' => len += 1,
                b'-' if text[..at].ends_with(' ') && is_range(&text[..at], &text[at..]) => {
                    return Err(InvalidNumber::Separator('-'));
                }
                b' ' | b'-' => {}
                b'(' if text[at..].starts_with("(0)") && len > 0 => {
                    return Err(InvalidNumber::TrunkZero);
                }
                b'(' | b')' => {}
                b'.' | b'/' => check_separator(char::from(byte), &text[at + 1..])?,
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

    /// Parses ASCII digits without anything between them, as nearly all platforms send them after the `+`.
    pub(super) fn from_plain_digits(digits: &[u8]) -> Option<PhoneNumber> {
        let is_number = (1..=MAX_DIGITS).contains(&digits.len()) && digits[0] != b'0';
        let mut value = 0_u64;
        for byte in digits.iter().take(MAX_DIGITS) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            value = value * 10 + u64::from(digit);
        }
        is_number.then(|| PhoneNumber::pack(value, digits.len() as u32))
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

    /// Returns whether the digits spell a word for a withheld number on a phone keypad, with or without
    /// the calling code of North America.
    pub fn spells_withheld(&self) -> bool {
        let spells = |value| WITHHELD_DIGITS.contains(&value);
        let after_code = self.prefix(1).filter(|code| code.value() == 1);
        let rest = after_code.map(|_| self.value() - 10_u64.pow(self.len() - 1));
        spells(self.value())
            || rest.is_some_and(|rest| spells(rest) || (rest == 0 && self.len() > 1))
    }

    /// Returns a number of Mexico without the 1 that mobile phones had after +52 until 2019: `+5215512345678`
    /// is `+525512345678`. Carriers and address books still have both; no area code begins with 1. Any
    /// other number is returned as it is.
    #[must_use]
    pub fn without_old_mobile_digit(self) -> PhoneNumber {
        const OLD_MOBILE: u64 = 521;
        const DIGITS: usize = 13;
        match self.prefix(3) {
            Some(prefix) if prefix.value() == OLD_MOBILE && self.digits() == DIGITS => {
                let after_code = self.value() % 10_u64.pow(10);
                PhoneNumber::pack(52 * 10_u64.pow(10) + after_code, 12)
            }
            _ => self,
        }
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

    /// Returns the countries all of whose numbers have this prefix.
    pub fn countries_within(&self) -> Vec<Country> {
        Country::all_within(self.value())
    }

    /// Returns `+1213***1234`: at most the first and last four digits, with at least three hidden.
    pub fn masked(&self) -> String {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(self.value());
        let visible = digits.len().saturating_sub(3);
        let head = (visible / 2).min(4);
        let tail = (visible - head).min(4);
        ["+", &digits[..head], "***", &digits[digits.len() - tail..]].concat()
    }

    /// Returns all digits after a `+`. For rules, replies and records; never for a log.
    pub fn unmasked(&self) -> String {
        ["+", itoa::Buffer::new().format(self.value())].concat()
    }
}

/// Words for a withheld number, typed on a phone keypad: ANONYMOUS, RESTRICTED, UNAVAILABLE, BLOCKED,
/// UNKNOWN, PRIVATE. Read as numbers, they would belong to Lesotho, Russia and China.
pub(super) const WITHHELD_DIGITS: [u64; 6] =
    [266_696_687, 7_378_742_833, 86_282_452_253, 2_562_533, 8_656_696, 7_748_283];

/// Checks that `.` or `/` separates groups of digits. A spreadsheet adds `.0` or `.00` to a number, and two digits
/// behind a `/` are the end of a range: `+49 30 901820/29`.
fn check_separator(separator: char, rest: &str) -> Result<(), InvalidNumber> {
    let rest = rest.trim_start_matches([' ', '-']);
    let group = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (group, behind) = rest.split_at(group);
    let is_last = !behind.contains(|c: char| c.is_ascii_digit());
    let is_wrong = match separator {
        '.' => is_last && group.bytes().all(|digit| digit == b'0'),
        _ => is_last && group.len() <= 2,
    };
    let is_group = group.len() >= 2 && !is_wrong;
    if is_group { Ok(()) } else { Err(InvalidNumber::Separator(separator)) }
}

/// Returns whether a text ends as a range of extensions: ` - 29` behind a number.
fn is_range(before: &str, rest: &str) -> bool {
    let end = rest.trim_start_matches([' ', '-', '/']);
    let is_end = (1..=2).contains(&end.len()) && end.bytes().all(|byte| byte.is_ascii_digit());
    let digits = before.bytes().filter(u8::is_ascii_digit).count();
    is_end && digits >= MIN_RANGE_DIGITS
}

/// Digits before the end of a range: those of a short national number with its calling code.
const MIN_RANGE_DIGITS: usize = 7;

/// First digits, the zeros, of other scripts, Arabic and Devanagari among them, and of full-width and
/// mathematical digits.
const ZEROS: [u32; 41] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6,
    0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50,
    0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6,
];

/// Replaces a digit of another script by the ASCII one.
pub(crate) fn ascii_digit(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    let after = ZEROS.partition_point(|zero| *zero <= u32::from(c));
    let zero = after.checked_sub(1).map(|last| ZEROS[last]);
    zero.and_then(|zero| char::from_digit(u32::from(c) - zero, 10)).unwrap_or(c)
}

/// Returns whether `c` is invisible, as those around a number that was copied from an address book.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}

/// Returns whether `c` is a hyphen, a dash or a minus sign other than `-`.
pub(crate) fn is_dash(c: char) -> bool {
    matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// Returns whether `c` occurs between the digits of a written number: white space and dashes of all
/// kinds, and the punctuation that people and word processors use.
pub(crate) fn is_digit_separator(c: char) -> bool {
    c.is_whitespace() || "-.()/_".contains(c) || is_dash(c) || is_invisible(c)
}

/// The numbers with which help texts show the form of a number, in their quotes, with the words before them.
pub const EXAMPLE_NUMBERS: [&str; 6] = [
    "like `+12137771234`",
    "as in `+12137771234`",
    "any digit `X`: `+1213555XXXX`",
    "as in `+1213555XXXX`",
    "country code: `+49301234`",
    "such as `+12135550100`",
];

/// Masks every phone number in a text: `+` followed by at least five digits, or at least seven digits.
pub fn mask_numbers(text: &str) -> String {
    let is_digit = |c: char| ascii_digit(c).is_ascii_digit();
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c == '+' || is_digit(c)) {
        masked.push_str(&rest[..at]);
        rest = &rest[at..];
        let with_plus = rest.starts_with('+');
        let belongs = |c: char| is_digit(c) || (with_plus && is_digit_separator(c));
        let unsigned = rest.strip_prefix('+').unwrap_or(rest);
        let number = &rest[..rest.len() - unsigned.trim_start_matches(belongs).len()];
        let number = number.trim_end_matches(|c: char| !is_digit(c) && c != '+');
        let digits: String = number.chars().map(ascii_digit).filter(char::is_ascii_digit).collect();
        let shown = digits.len() < if with_plus { 5 } else { 7 };
        match PhoneNumber::from_digits(&digits) {
            _ if shown => masked.push_str(number),
            Ok(number) => masked.push_str(&number.masked()),
            Err(_) => masked.push_str("***"),
        }
        rest = &rest[number.len()..];
    }
    masked + rest
}

/// Masks phone numbers in a text for people, as [`mask_numbers`] does, and also those that are written with
/// separators and without `+`: at least seven digits with blanks, dashes, dots, slashes or parentheses between
/// them. Dates like 2026-11-26, and groups that letters belong to, such as ids, are kept.
pub fn mask_written_numbers(text: &str) -> String {
    let text = mask_numbers(text);
    let mut masked = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit() || c == '(') {
        let before = rest[..at].chars().next_back().or(masked.chars().next_back());
        masked.push_str(&rest[..at]);
        rest = &rest[at..];
        if is_date(rest) {
            masked.push_str(&rest[..DATE_LENGTH]);
            rest = &rest[DATE_LENGTH..];
            continue;
        }
        let belongs = |c: char| c.is_ascii_digit() || is_digit_separator(c) && c != '\n';
        let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        let group = &rest[..end];
        let number = group.trim_end_matches(|c: char| !c.is_ascii_digit());
        let is_within_word =
            |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphabetic() || c == '*');
        let after = rest[end..].chars().next();
        let is_word =
            is_within_word(before) || number.len() == group.len() && is_within_word(after);
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        match digits.len() >= 7 && !is_word {
            true => masked.push_str("***"),
            false => masked.push_str(number),
        }
        masked.push_str(&group[number.len()..]);
        rest = &rest[end..];
    }
    masked + rest
}

/// Length of a date like 2026-11-26.
const DATE_LENGTH: usize = 10;

/// Returns whether a text begins with a date like 2026-11-26.
fn is_date(text: &str) -> bool {
    let Some(date) = text.as_bytes().get(..DATE_LENGTH) else { return false };
    let is_shaped = date.iter().enumerate().all(|(at, byte)| match at {
        4 | 7 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    is_shaped && (date.starts_with(b"19") || date.starts_with(b"20"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_people_write_are_masked_for_people() {
        for (text, masked) in [
            ("call (206) 555-0142 now", "call *** now"),
            ("206-555-0143,gold", "***,gold"),
            ("a 206 555 0188", "a ***"),
            ("from +12065550177.", "from +1206***0177."),
            ("2026-11-26 10:30, 2 calls", "2026-11-26 10:30, 2 calls"),
            ("01a21f15-4596-7641-b813", "01a21f15-4596-7641-b813"),
            ("08:00-12:00, 13:00-17:30", "08:00-12:00, 13:00-17:30"),
            ("555-01", "555-01"),
        ] {
            assert_eq!(mask_written_numbers(text), masked, "{text}");
        }
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
    fn reads_the_digits_of_other_scripts() {
        for text in ["١٢٣", "۱۲۳", "१२३", "১২৩", "๑๒๓", "１２３", "𝟏𝟐𝟑", "𝟷𝟸𝟹", "123"]
        {
            assert_eq!(text.chars().map(ascii_digit).collect::<String>(), "123");
        }
        for c in ['a', 'é', '٪', '½', '²', '①', '一', '\u{10ffff}'] {
            assert_eq!(ascii_digit(c), c);
        }
        assert!(ZEROS.is_sorted());
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
            ("١٢١٣٧٧٧١٢٣٤ and ２０２６", "+1213***1234 and ２０２６"),
            ("+１ ２１３ ７７７ 1234.", "+1213***1234."),
            ("++4930901820 +", "++493***1820 +"),
        ] {
            assert_eq!(mask_numbers(text), expected);
        }
    }
}
