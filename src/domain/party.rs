//! The parties of a call, read from what platforms and carriers send in place of a number.
//!
//! A text becomes a number only if it has one reading: its `+`, the `phone-context` of its URI, the country
//! of the source, or enough digits tell the country code. Any other text is kept as it is.

use std::borrow::Cow;
use std::fmt;
use std::ops::AddAssign;

use super::dialling_plan;
use super::phone_number::{
    Country, InvalidNumber, PhoneNumber, ascii_digit, is_digit_separator, is_invisible,
};

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
    /// A national number was read with its country's code, or `(0)`, an extension or the old mobile digit of
    /// Mexico was left out.
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
        // Most callers: no copy, no search.
        if let Some(digits) = whole.strip_prefix('+')
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(number) = PhoneNumber::from_digits(digits)
        {
            return international(number, NumberReading::AsSent);
        }
        if self.is_withheld(whole) {
            return ParsedParty { party: Party::Withheld, reading: NumberReading::AsSent };
        }
        let Address { user, context } = Address::parse(whole);
        let read = self.number(&user, context).or_else(|| {
            let without_extension = &user[..extension_at(&user)?];
            self.number(without_extension, context).map(ParsedParty::completed)
        });
        read.unwrap_or_else(|| match is_withheld(&user) {
            true => ParsedParty { party: Party::Withheld, reading: NumberReading::AsSent },
            false => self.literal(whole, &user),
        })
    }

    fn is_withheld(&self, whole: &str) -> bool {
        !self.withheld.is_empty() && self.withheld.contains(&whole.to_lowercase())
    }

    /// Reads a number, or keypad digits for a withheld one.
    fn number(&self, user: &str, context: Option<&str>) -> Option<ParsedParty> {
        let plain = plain_digits(user);
        if let Some(digits) = plain.strip_prefix('+') {
            return match PhoneNumber::from_digits(digits) {
                Ok(number) => Some(with_plus(digits, number)),
                Err(InvalidNumber::TrunkZero) => without_trunk_zero(digits),
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
            return Some(ParsedParty { party: Party::Withheld, reading: NumberReading::AsSent });
        }
        if let Some(country) = self.country {
            // Without a +, any other reading would be a guess: mobile numbers of China begin with 1.
            let number = dialling_plan::read(&digits, country)?;
            return Some(international(number, NumberReading::Completed));
        }
        let is_long = digits.len() >= MIN_BARE_DIGITS;
        bare.filter(|_| is_long && !dialling_plan::is_north_american(&digits))
            .map(|number| international(number, NumberReading::PlusAdded))
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

fn international(number: PhoneNumber, reading: NumberReading) -> ParsedParty {
    if number.spells_withheld() {
        return ParsedParty { party: Party::Withheld, reading: NumberReading::AsSent };
    }
    let current = number.without_old_mobile_digit();
    let reading = if current == number { reading } else { NumberReading::Completed };
    ParsedParty { party: Party::Number(current), reading }
}

/// Reads `+49 (0) 30 901820`; the zero is kept where it is a part of the number.
fn without_trunk_zero(digits: &str) -> Option<ParsedParty> {
    let without = PhoneNumber::from_digits(&digits.replacen("(0)", "", 1)).ok()?;
    let number = match dialling_plan::keeps_zero(without) {
        true => PhoneNumber::from_digits(&digits.replacen("(0)", "0", 1)).ok()?,
        false => without,
    };
    Some(international(number, NumberReading::Completed))
}

/// Reads a number with a `+` from its digits. `+44 (020) 7946 0958` has a zero that is not dialled.
fn with_plus(digits: &str, number: PhoneNumber) -> ParsedParty {
    let before = digits.split_once("(0").map(|(before, _)| before);
    let before = before.map(|before| before.bytes().filter(u8::is_ascii_digit).count());
    let is_after_code = before.is_some() && before == dialling_plan::calling_code_length(number);
    let without = dialling_plan::without_trunk_zero(number).filter(|_| is_after_code);
    match without {
        Some(without) => international(without, NumberReading::Completed),
        None => international(number, NumberReading::AsSent),
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
        c if !c.is_ascii() && is_digit_separator(c) => ' ',
        c => ascii_digit(c),
    });
    Cow::Owned(plain.collect::<String>().trim().to_owned())
}

/// Returns the digits of a number without `+`, or `None` if the text contains anything else. Leading
/// zeros are kept.
fn national_digits(text: &str) -> Option<String> {
    // A 1 before it makes a leading zero acceptable.
    let is_number = match PhoneNumber::from_digits(text) {
        Ok(_) | Err(InvalidNumber::LeadingZero) => true,
        Err(_) => false,
    };
    is_number.then(|| text.chars().filter(char::is_ascii_digit).collect())
}

/// The part of a URI that can hold a number, and the calling code of its `phone-context` (RFC 3966).
struct Address<'t> {
    user: Cow<'t, str>,
    context: Option<&'t str>,
}

impl<'t> Address<'t> {
    /// Parses `sip:+17045551234@host;user=phone`, `"Bob" <tel:+1…>`, or the same without a scheme.
    fn parse(text: &'t str) -> Address<'t> {
        let bracketed = text.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        let uri = bracketed.map_or(text, |(inside, _)| inside.trim());
        let is_scheme = |scheme: &str| {
            ["sip", "sips", "tel"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
        };
        let after_scheme = uri.split_once(':').filter(|(scheme, _)| is_scheme(scheme));
        let rest = after_scheme.map_or(uri, |(_, rest)| rest);
        let rest = match after_scheme {
            Some(_) => rest.split(['@', '?']).next().unwrap_or_default(),
            None => rest.split('@').next().unwrap_or_default(),
        };
        let mut parts = rest.split(';');
        let user = parts.next().unwrap_or_default().trim();
        let context = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            let code = value.trim().strip_prefix('+')?;
            let is_code = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_digit());
            (name.trim().eq_ignore_ascii_case("phone-context") && is_code).then_some(code)
        });
        // Without a scheme, a `;` may be a part of the text.
        let is_split = after_scheme.is_some() || context.is_some();
        let user = if is_split { user } else { rest.trim() };
        let user = match user.contains('%') {
            true => percent_encoding::percent_decode_str(user).decode_utf8_lossy(),
            false => Cow::Borrowed(user),
        };
        Address { user, context }
    }
}

/// Returns an address without the parameters behind it: `<sip:1001@pbx>;tag=1`. They differ from call to
/// call (RFC 3261, 20.20), so a rule could not name the party otherwise.
fn without_header_parameters(address: &str) -> &str {
    let is_end = |end: &usize| {
        let behind = address[end + 1..].trim_start();
        behind.is_empty() || behind.starts_with(';')
    };
    let end = address.find('<').and_then(|_| address.rfind('>')).filter(is_end);
    end.map_or(address, |end| &address[..=end])
}

/// Returns where an extension begins: `+16502530000 x136`, `…;ext=136`, `…,136`, `…#136`.
fn extension_at(text: &str) -> Option<usize> {
    let punctuation = text.find([';', ',', '#']);
    let word = text.char_indices().find(|(_, c)| c.is_ascii_alphabetic()).map(|(at, _)| at);
    let word = word.filter(|&at| {
        let word: String = text[at..].chars().take_while(char::is_ascii_alphabetic).collect();
        let word = word.to_ascii_lowercase();
        ["x", "ext", "extn", "extension"].contains(&&*word)
    });
    let at = [punctuation, word].into_iter().flatten().min()?;
    Some(text[..at].trim_end().len())
}

/// Words that platforms, carriers and phones send in place of a withheld number.
const WITHHELD_WORDS: [&str; 45] = [
    "anonymous",
    "unknown",
    "restricted",
    "private",
    "unavailable",
    "withheld",
    "blocked",
    "hidden",
    "none",
    "null",
    "nil",
    "undefined",
    "nan",
    "n/a",
    "anonym",
    "anonyme",
    "anonimo",
    "anónimo",
    "anônimo",
    "unbekannt",
    "unterdrückt",
    "inconnu",
    "masqué",
    "privé",
    "desconocido",
    "oculto",
    "privado",
    "desconhecido",
    "sconosciuto",
    "privato",
    "riservato",
    "nascosto",
    "onbekend",
    "anoniem",
    "afgeschermd",
    "okänd",
    "okänt",
    "ukjent",
    "ukendt",
    "skjult",
    "tuntematon",
    "nieznany",
    "neznámý",
    "неизвестно",
    "非通知",
];

/// Words that may follow one of [`WITHHELD_WORDS`], or stand before it.
const WITHHELD_TAILS: [&str; 10] =
    ["number", "caller", "call", "id", "name", "party", "nummer", "anrufer", "numéro", "número"];

/// Phrases for a withheld number that do not begin with one of [`WITHHELD_WORDS`].
const WITHHELD_PHRASES: [&str; 10] = [
    "no caller id",
    "no number",
    "not available",
    "out of area",
    "caller unknown",
    "caller id blocked",
    "caller withheld",
    "numéro masqué",
    "n a",
    "unbekannter anrufer",
];

/// Returns whether a text that is no number says that the number is withheld.
fn is_withheld(text: &str) -> bool {
    if text.is_empty() {
        return true;
    }
    let text = text.strip_prefix('+').unwrap_or(text).to_lowercase();
    let text = text.split(';').next().unwrap_or_default();
    if !text.is_empty() && text.bytes().all(|byte| byte == b'0') {
        return true;
    }
    let words = text.split([' ', '_', '-', '.', '(', ')', '[', ']', '"', '\'']);
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let are_tails =
        |words: &[&str]| words.len() <= 2 && words.iter().all(|word| WITHHELD_TAILS.contains(word));
    // `private number`, and `number withheld`.
    let is_word = match &words[..] {
        [word, tails @ ..] if WITHHELD_WORDS.contains(word) => are_tails(tails),
        [tails @ .., word] if WITHHELD_WORDS.contains(word) => are_tails(tails),
        _ => false,
    };
    is_word || WITHHELD_PHRASES.contains(&&*words.join(" "))
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
        let format =
            NumberFormat { withheld: vec!["geheim".to_owned()], ..NumberFormat::default() };
        assert_eq!(format.parse(Some("Geheim")).party, Party::Withheld);
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
        // The zero belongs to the calling code of Malaysia, 60.
        check("+6-(001) 0000000", "+60010000000");
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
            "+1-800-FLOWERS",
            "1001,5",
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
        check_in("RU", "89161234567", "+79161234567");
        check_in("RU", "810 49 30 901820", "+4930901820");
        check_in("DE", "+12137771234", "+12137771234");
        check_in("DE", "12137771234", "12137771234");
        check_in("CN", "131 2345 6789", "+8613123456789");
        check_in("BR", "(11) 96123-4567", "+5511961234567");
        check_in("BY", "8 029 491-19-11", "+375294911911");
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
