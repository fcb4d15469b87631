//! The parties of a call, read from what platforms and carriers send in place of a number.
//!
//! A text becomes a number only if it has one reading: its `+`, the `phone-context` of its URI, the country
//! of the source, or enough digits tell the country code. Any other text is kept as it is.

mod address;
mod withheld;

use std::borrow::Cow;
use std::fmt;
use std::ops::AddAssign;

use self::address::{Address, extension_at, without_header_parameters};
use self::withheld::is_withheld;
use super::dialling_plan::{self, MAX_EXIT_DIGITS};
use super::phone_number::{
    Country, InvalidNumber, MAX_DIGITS, PhoneNumber, ascii_digit, is_dash, is_digit_separator,
    is_invisible,
};

pub(super) use self::address::without_display_name;

/// Minimum number of digits for reading a text without `+` as an international number. Anything
/// shorter is an extension or a short code.
const MIN_BARE_DIGITS: usize = 8;

/// A party of a call: the caller or the called number.
///
/// ```
/// use switchboard::domain::party::Party;
///
/// let parse = |text| Party::parse(Some(text)).party;
/// assert_eq!(parse("sip:+12137771234@203.0.113.9").unmasked(), "+12137771234");
/// assert_eq!(parse("anonymous"), Party::Withheld);
/// assert_eq!(parse("1001"), Party::Literal("1001".into()));
/// // Ten digits of North America are not a number of Algeria (+213).
/// assert_eq!(parse("2137771234"), Party::Literal("2137771234".into()));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Party {
    /// An international number.
    Number(PhoneNumber),
    /// A withheld number, in any of its spellings.
    Withheld,
    /// A text without a phone number: an extension, a short code, `client:jane`, `sip:bob@…`. The parameters
    /// behind an address in angle brackets are left out.
    Literal(Box<str>),
}

/// Where a source has the numbers of the parties, and how it writes them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NumberFormat {
    /// Country whose national numbers the source sends.
    pub country: Option<Country>,
    /// Texts for a withheld number, besides those that are known; in lower case.
    pub withheld: Vec<String>,
    /// Fields that can have the caller's number, in order. The platform's own field is the last one, even
    /// if it is not among them.
    pub from: Vec<NumberField>,
    /// Fields that can have the called number.
    pub to: Vec<NumberField>,
}

/// Where the number of a party stands in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NumberField {
    /// The platform's own field.
    Own,
    /// A SIP header, by its name in lower case.
    Sip(Box<str>),
}

/// Result of [`Party::parse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedParty {
    /// The party.
    pub party: Party,
    /// What was added or left out.
    pub reading: NumberReading,
}

/// How a number was read. Counted, since it tells what a sender's numbers look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NumberReading {
    /// As it was sent.
    AsSent,
    /// A `+` was added to an international number.
    PlusAdded,
    /// A national number was read with its country's code, or a 0 after the country code, an extension or the old
    /// mobile digit of Mexico was left out.
    Completed,
    /// Digits that may be a national number were kept as text.
    KeptAsText,
}

/// Numbers of parties by how they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadingCounts {
    /// [`NumberReading::PlusAdded`].
    pub plus_added: u8,
    /// [`NumberReading::Completed`].
    pub completed: u8,
    /// [`NumberReading::KeptAsText`].
    pub kept_as_text: u8,
}

impl AddAssign<NumberReading> for ReadingCounts {
    fn add_assign(&mut self, reading: NumberReading) {
        match reading {
            NumberReading::AsSent => {}
            NumberReading::PlusAdded => self.plus_added += 1,
            NumberReading::Completed => self.completed += 1,
            NumberReading::KeptAsText => self.kept_as_text += 1,
        }
    }
}

impl FromIterator<NumberReading> for ReadingCounts {
    fn from_iter<I: IntoIterator<Item = NumberReading>>(readings: I) -> ReadingCounts {
        let mut counts = ReadingCounts::default();
        readings.into_iter().for_each(|reading| counts += reading);
        counts
    }
}

impl Party {
    /// Parses the text that a platform sent in place of a number, of an unknown country. Never fails: an
    /// unreadable text is a [`Party::Literal`], an absent one is [`Party::Withheld`].
    pub fn parse(text: Option<&str>) -> ParsedParty {
        NumberFormat::default().parse(text)
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

impl NumberFormat {
    /// Parses a text as [`Party::parse`] does, with what is known about the source.
    pub fn parse(&self, text: Option<&str>) -> ParsedParty {
        let whole = text.unwrap_or_default().trim();
        // The settings may name a number, which a platform sends for all of these callers.
        if self.is_withheld(whole) {
            return WITHHELD;
        }
        // Most callers: no copy, no search.
        if let Some(digits) = whole.strip_prefix('+')
            && let Some(number) = PhoneNumber::from_plain_digits(digits.as_bytes())
            && !dialling_plan::may_have_trunk_zero(digits.as_bytes())
        {
            return international(number, NumberReading::AsSent);
        }
        let Address { user, context } = Address::parse(whole);
        if self.is_withheld(&user) {
            return WITHHELD;
        }
        let context = context.as_deref();
        let read = self.number(&user, context).or_else(|| {
            let without_extension = &user[..extension_at(&user)?];
            self.number(without_extension, context).map(ParsedParty::completed)
        });
        read.unwrap_or_else(|| match is_withheld(&user) {
            true => WITHHELD,
            false => self.literal(whole, &user),
        })
    }

    fn is_withheld(&self, text: &str) -> bool {
        !self.withheld.is_empty() && self.withheld.contains(&text.to_lowercase())
    }

    /// Reads a number, or keypad digits for a withheld one.
    fn number(&self, user: &str, context: Option<&str>) -> Option<ParsedParty> {
        let plain = plain_digits(user);
        if let Some(digits) = plain.strip_prefix('+') {
            // An end of a range, or an extension: there is no telling which number was meant.
            if dialling_plan::before_range(&plain).is_some() {
                return None;
            }
            return match PhoneNumber::from_digits(digits) {
                Ok(number) => Some(without_trunk_zero(number, NumberReading::AsSent)),
                Err(InvalidNumber::TrunkZero) => without_bracketed_zero(digits),
                Err(_) => None,
            };
        }
        let digits = national_digits(&plain)?;
        if let Some(code) = context {
            let number = dialling_plan::in_context(&digits, code)?;
            return Some(international(number, NumberReading::Completed));
        }
        let bare = PhoneNumber::from_digits(&digits).ok();
        if bare.is_some_and(|number| number.spells_withheld()) {
            return Some(WITHHELD);
        }
        if let Some(country) = self.country {
            // Without a +, any other reading would be a guess: mobile numbers of China begin with 1.
            let number = dialling_plan::read(&digits, country)?;
            return Some(international(number, NumberReading::Completed));
        }
        if dialling_plan::before_range(&["+", &*plain].concat()).is_some() {
            return None;
        }
        let is_long = digits.len() >= MIN_BARE_DIGITS;
        bare.filter(|_| is_long && !dialling_plan::is_north_american(&digits))
            .map(|number| without_trunk_zero(number, NumberReading::PlusAdded))
    }

    fn literal(&self, whole: &str, user: &str) -> ParsedParty {
        let may_be_national = national_digits(&plain_digits(user))
            .is_some_and(|digits| digits.len() >= MIN_BARE_DIGITS);
        let reading =
            if may_be_national { NumberReading::KeptAsText } else { NumberReading::AsSent };
        ParsedParty { party: Party::Literal(without_header_parameters(whole).into()), reading }
    }
}

impl ParsedParty {
    /// Returns the number if something was added or left out to read it.
    pub(crate) fn completed_number(&self) -> Option<PhoneNumber> {
        self.party.number().filter(|_| self.reading == NumberReading::Completed)
    }

    fn completed(self) -> ParsedParty {
        ParsedParty { reading: NumberReading::Completed, ..self }
    }
}

const WITHHELD: ParsedParty =
    ParsedParty { party: Party::Withheld, reading: NumberReading::AsSent };

fn international(number: PhoneNumber, reading: NumberReading) -> ParsedParty {
    if number.spells_withheld() {
        return WITHHELD;
    }
    let current = number.without_old_mobile_digit();
    let reading = if current == number { reading } else { NumberReading::Completed };
    ParsedParty { party: Party::Number(current), reading }
}

/// Reads `+49 (0) 30 901820`; the zero is kept where it is a part of the number.
fn without_bracketed_zero(digits: &str) -> Option<ParsedParty> {
    let without = PhoneNumber::from_digits(&digits.replacen("(0)", "", 1)).ok()?;
    let number = match dialling_plan::keeps_zero(without) {
        true => PhoneNumber::from_digits(&digits.replacen("(0)", "0", 1)).ok()?,
        false => without,
    };
    Some(international(number, NumberReading::Completed))
}

/// Leaves out a zero that is not dialled after the country code: `+44 020 7946 0958`.
fn without_trunk_zero(number: PhoneNumber, reading: NumberReading) -> ParsedParty {
    match dialling_plan::without_trunk_zero(number) {
        Some(without) => international(without, NumberReading::Completed),
        None => international(number, reading),
    }
}

/// Replaces digits and separators that people cannot tell from ASCII: digits of other scripts, spaces and
/// dashes of all kinds. Invisible characters are left out.
pub(crate) fn plain_digits(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let visible = text.chars().filter(|c| !is_invisible(*c));
    let plain = visible.map(|c| match c {
        '\u{ff0b}' => '+',
        c if is_dash(c) => '-',
        c if !c.is_ascii() && is_digit_separator(c) => ' ',
        c => ascii_digit(c),
    });
    Cow::Owned(plain.collect::<String>().trim().to_owned())
}

/// Returns the digits of a number without `+`, or `None` if the text contains anything else. Leading
/// zeros are kept.
fn national_digits(text: &str) -> Option<String> {
    let is_number = match PhoneNumber::from_digits(text) {
        Ok(_) | Err(InvalidNumber::LeadingZero) => true,
        // An exit code stands before a whole number: `011 49 1512 3456789`, `810 49…`.
        Err(InvalidNumber::Length(digits)) => {
            digits <= MAX_DIGITS + MAX_EXIT_DIGITS
                && digits > MAX_DIGITS
                && (text.starts_with('0') || text.starts_with("810"))
        }
        Err(_) => false,
    };
    is_number.then(|| text.chars().filter(char::is_ascii_digit).collect())
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
    use super::super::phone_number::WITHHELD_DIGITS;
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(Party::parse(Some(text)).party.unmasked(), expected, "read from {text:?}");
    }

    #[track_caller]
    fn check_in(country: &str, text: &str, expected: &str) {
        let format =
            NumberFormat { country: Country::from_code(country), ..NumberFormat::default() };
        assert_eq!(format.parse(Some(text)).party.unmasked(), expected, "{text:?} in {country}");
    }

    #[test]
    fn recognizes_every_spelling_of_a_withheld_number() {
        for text in [
            "",
            " ",
            "Anonymous",
            "UNKNOWN",
            "restricted",
            "private",
            "unavailable",
            "withheld",
            "blocked",
            "none",
            "null",
            "sip:anonymous@anonymous.invalid",
            "Private Number",
            "No Caller ID",
            "Unknown Caller",
            "Out of Area",
            "Unbekannt",
            "Anonym",
            "inconnu",
            "N/A",
            "undefined",
            "+anonymous",
            "sip:+anonymous@anonymous.invalid",
            "anonymous;phone-context=x",
            "0",
            "0000000000",
            "+0000000000",
            "+10000000000",
            "hidden",
            "\"Anonymous\" <sip:anonymous@anonymous.invalid>",
            "Restricted Caller ID",
            "NO CALLER-ID",
            "Number Withheld",
            "private number.",
            "(anonymous)",
            "[anonymous]",
            "número oculto",
            "Unbekannter Anrufer",
            "n.a.",
            "非通知",
        ] {
            check(text, "withheld");
        }
        for digits in WITHHELD_DIGITS {
            check(&digits.to_string(), "withheld");
            check(&format!("+{digits}"), "withheld");
            check(&format!("+1{digits}"), "withheld");
            check(&format!("{digits}@203.0.113.9"), "withheld");
        }
        assert_eq!(Party::parse(None).party, Party::Withheld);
        let format = NumberFormat {
            withheld: vec!["geheim".to_owned(), "+15005550001".to_owned()],
            ..NumberFormat::default()
        };
        for text in [
            "Geheim",
            "sip:geheim@h",
            "\"\" <sip:GEHEIM@h>;tag=1",
            "+15005550001",
            "sip:+15005550001@h",
        ] {
            assert_eq!(format.parse(Some(text)).party, Party::Withheld, "{text}");
        }
        for text in ["private eye", "unknown soldier", "none of them", "client:anonymous", "+1"] {
            assert_ne!(Party::parse(Some(text)).party, Party::Withheld, "{text}");
        }
    }

    #[test]
    fn extracts_the_number_of_a_uri() {
        check("sip:+17045551234@203.0.113.9;user=phone", "+17045551234");
        check("SIPS:+17045551234@host", "+17045551234");
        check("tel:+1-704-555-1234;phone-context=x", "+17045551234");
        check("\"Bob\" <sip:+17045551234@host>;party=calling", "+17045551234");
        check("sip:17045551234@host", "+17045551234");
        check("+17045551234@203.0.113.9", "+17045551234");
        check("sip:%2B16502530000@host", "+16502530000");
    }

    #[test]
    fn believes_a_phone_context() {
        check("tel:6502530000;phone-context=+1", "+16502530000");
        check("sip:030901820;phone-context=+49@pbx.example.de;user=phone", "+4930901820");
        check("tel:1001;phone-context=pbx.example.de", "tel:1001;phone-context=pbx.example.de");
        check("tel:4930901820;phone-context=+49", "+4930901820");
        check("tel:393331234567;phone-context=+39", "+393331234567");
        check("tel:5550177;phone-context=+1-213", "+12135550177");
        check("tel:555-0177;phone-context=%2B1213", "+12135550177");
        check("tel:2135550177;phone-context=%2B1", "+12135550177");
        check("tel:2135550177;phone-context=+1-213", "+12135550177");
        // No number of the country has these digits.
        for text in [
            "tel:911;phone-context=+1",
            "tel:5550177;phone-context=+1",
            "tel:1001;phone-context=+49",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn the_brackets_in_a_quoted_name_are_no_address() {
        check("\"Ada <x>\" <sip:+12137771234@h>", "+12137771234");
        check("\"Ada <tel:+13125550177>\" <sip:+12137771234@h>;tag=1", "+12137771234");
    }

    #[test]
    fn leaves_out_extensions_and_zeros_that_are_not_dialled() {
        for text in [
            "tel:+16502530000;ext=136",
            "+16502530000;ext=136",
            "+16502530000 x136",
            "+16502530000,136",
            "+1 650 253 0000 ext. 136",
            "+16502530000#136",
            "+16502530000x1",
        ] {
            check(text, "+16502530000");
            assert_eq!(
                Party::parse(Some(text)).reading,
                match text.starts_with("tel:") {
                    true => NumberReading::AsSent,
                    false => NumberReading::Completed,
                },
                "{text}"
            );
        }
        check("+49 (0) 30 901820", "+4930901820");
        check("+39 (0)6 12345678", "+390612345678");
        check("+44 (020) 7946 0958", "+442079460958");
        check("+39 (06) 12345678", "+390612345678");
        for text in ["+49 030 901820", "+49030901820", "+49-0-30-901820", "49 030 901820"] {
            check(text, "+4930901820");
            assert_eq!(Party::parse(Some(text)).reading, NumberReading::Completed, "{text}");
        }
        check("+33 06 12 34 56 78", "+33612345678");
        check("+44 07700 900123", "+447700900123");
        check("sip:+44 020 7946 0958@host", "+442079460958");
        // The zero belongs to the number, or to the calling code of Malaysia, 60.
        for whole in ["+390612345678", "+39 06 1234 5678", "+60123456789", "+2250707123456"] {
            check(whole, &whole.replace(' ', ""));
            assert_eq!(Party::parse(Some(whole)).reading, NumberReading::AsSent, "{whole}");
        }
        check("+49 30 / 901820", "+4930901820");
        check("+5215512345678", "+525512345678");
        check("sip:5215512345678@host", "+525512345678");
        check("+525512345678", "+525512345678");
        // In Argentina, the 9 belongs to a mobile number.
        check("+5491112345678", "+5491112345678");
        check("+１２１３７７７１２３４", "+12137771234");
        check("+1\u{a0}213\u{2011}777\u{2011}1234", "+12137771234");
    }

    #[test]
    fn keeps_a_text_without_a_number_unchanged() {
        for text in [
            "client:jane",
            "1001",
            "sip:bob@example.com",
            "+",
            "+12345678901234567890",
            "0301234567",
            "16502530000.0",
            "+16502530000.0",
            "2137771234",
            "(213) 777-1234",
            "2137771234.00",
            "+4930901820.00",
            "+49 30 901820 - 29",
            "+49 30 901820/29",
            "030 901820-0/-29",
            "+49 30 901820 \u{2013} 29",
            "+442079460958-60",
            "+442079460958 60",
            "+1 312 555 0177 8",
            "+44 20 7946 0958\u{2013}60",
            "+13125550177-8",
            "+33612345678-9",
            "442079460958-60",
            "+1-800-FLOWERS",
            "1001,5",
            "+12137771234,+13125550177",
            "+12137771234;13125550177",
            "+12137771234, Ann",
            "+12137771234 x",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn leaves_out_the_header_parameters_of_an_address() {
        check("<sip:1001@pbx>;tag=a1", "<sip:1001@pbx>");
        check("\"Ann\" <sip:1001@pbx> ; tag=a1", "\"Ann\" <sip:1001@pbx>");
        check("\"\" <31>;?4849", "\"\" <31>");
        // Parameters of the URI stay, and so does a text that is no address.
        check("<sip:1001@pbx;user=phone>;tag=a1", "<sip:1001@pbx;user=phone>");
        check("sip:1001@pbx;tag=a1", "sip:1001@pbx;tag=a1");
        check("a < b > c;d", "a < b > c;d");
    }

    #[test]
    fn reads_national_numbers_of_the_country_of_the_source() {
        check_in("US", "2137771234", "+12137771234");
        check_in("US", "(213) 777-1234", "+12137771234");
        check_in("US", "12137771234", "+12137771234");
        check_in("US", "011 49 30 901820", "+4930901820");
        check_in("US", "7771234", "7771234");
        check_in("DE", "030 901820", "+4930901820");
        check_in("DE", "0049 30 901820", "+4930901820");
        check_in("DE", "4930901820", "+4930901820");
        check_in("DE", "30901820", "30901820");
        check_in("NO", "22345678", "+4722345678");
        check_in("NO", "4722345678", "+4722345678");
        check_in("IT", "06 1234 5678", "+390612345678");
        check_in("IT", "3912345678", "+393912345678");
        // A landline with its calling code, or a mobile number that begins with 390.
        check_in("IT", "3906123456", "3906123456");
        check_in("RU", "89161234567", "+79161234567");
        check_in("RU", "810 49 30 901820", "+4930901820");
        check_in("DE", "+12137771234", "+12137771234");
        check_in("DE", "12137771234", "12137771234");
        check_in("CN", "131 2345 6789", "+8613123456789");
        check_in("BR", "(11) 96123-4567", "+5511961234567");
        check_in("BY", "8 029 491-19-11", "+375294911911");
        check_in("PL", "0 22 123 45 67", "+48221234567");
        check_in("PL", "22 123 45 67", "+48221234567");
        check_in("DE", "49 030 901820", "+4930901820");
    }

    /// In countries without a trunk prefix, service numbers can be as long as a number with its calling code.
    #[test]
    fn the_calling_code_of_the_country_is_not_added_twice() {
        for (country, text) in [
            ("SG", "6591234567"),
            ("HK", "85291234567"),
            ("IT", "393331234567"),
            ("IT", "390612345678"),
            ("GR", "306912345678"),
            ("EE", "3725123456"),
            ("PA", "5076123456"),
            ("PA", "50761234567"),
            ("GT", "50251234567"),
            ("SV", "50370123456"),
            ("QA", "97433123456"),
            ("NO", "4740612345"),
            ("BR", "5511961234567"),
            ("PL", "48512345678"),
            ("CO", "573211234567"),
        ] {
            check_in(country, text, &format!("+{text}"));
            check_in(country, &format!("+{text}"), &format!("+{text}"));
        }
        for (country, text, expected) in [
            ("SG", "65123456", "+6565123456"),
            ("SG", "1800 123 4567", "+6518001234567"),
            ("NO", "47123456", "+4747123456"),
            ("BR", "55 99123-4567", "+5555991234567"),
            ("PL", "48 123 45 67", "+48481234567"),
            // A digit too many, which is no reason to take it for a service number.
            ("SG", "65912345678", "65912345678"),
        ] {
            check_in(country, text, expected);
        }
    }

    #[test]
    fn an_exit_code_stands_before_a_number_of_any_length() {
        for (country, text, expected) in [
            ("US", "011 49 1512 3456789", "+4915123456789"),
            ("US", "011 55 11 91234 5678", "+5511912345678"),
            ("JP", "010 49 1512 3456789", "+4915123456789"),
            ("JP", "0049 1512 3456789", "+4915123456789"),
            ("AU", "0011 44 20 7946 0958", "+442079460958"),
            ("RU", "810 49 1512 3456789", "+4915123456789"),
            ("BR", "0049 1512 3456789", "+4915123456789"),
            ("CO", "00 1 213 777 1234", "+12137771234"),
            ("DE", "0044 020 7946 0958", "+442079460958"),
            // In Singapore, this could also be the exit code 003 and a number in +36.
            ("SG", "0033612345678", "0033612345678"),
            ("US", "1234567890123456", "1234567890123456"),
        ] {
            check_in(country, text, expected);
        }
    }

    #[test]
    fn tells_how_a_number_was_read() {
        for (text, expected) in [
            ("+12137771234", NumberReading::AsSent),
            ("+1 213 777 1234", NumberReading::AsSent),
            ("12137771234", NumberReading::PlusAdded),
            ("2137771234", NumberReading::KeptAsText),
            ("1001", NumberReading::AsSent),
        ] {
            assert_eq!(Party::parse(Some(text)).reading, expected, "{text}");
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
