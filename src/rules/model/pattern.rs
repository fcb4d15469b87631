//! Number patterns, and the selectors (any of these, none of those) that conditions consist of.
//!
//! `+12137771234`, `+1213*`, `+1213555XXXX`, `DE`, `@list`, `withheld`, `=sip:bob@example.com`, and
//! a `!` before any of them. Regular expressions are not supported, so that tables stay readable.

mod national;
mod near;
mod notation;

use std::borrow::Cow;
use std::fmt;

pub(crate) use self::national::national_help;
use self::near::{
    last_of_range, number_inside, several_numbers, similar_number, spreadsheet_advice,
};
pub(crate) use self::notation::{after_not, several_lists};
use self::notation::{area_code, is_country, other_notation, other_wildcards};
use super::lists::{ListId, ResolvedParty};
use crate::diagnostics::{self, Problem};
use crate::domain::country::suggested_country;
use crate::domain::dialling_plan::{self, EXIT_CODES, is_north_american, usual_length};
use crate::domain::party::{NumberFormat, NumberReading, ParsedParty, Party, plain_digits};
use crate::domain::phone_number::{Country, InvalidNumber, PhoneNumber, is_invisible};

/// A number pattern.
///
/// ```
/// use switchboard::domain::party::Party;
/// use switchboard::rules::{NumberPattern, ResolvedParty};
///
/// let pattern = NumberPattern::parse("+1213*").unwrap();
/// let caller = Party::parse(Some("+1 (213) 777-1234")).party;
/// assert!(pattern.matches(&ResolvedParty::unlisted(&caller)));
///
/// let problem = NumberPattern::parse("witheld").unwrap_err();
/// assert_eq!(problem.help.as_deref(), Some("did you mean `withheld`?"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NumberPattern {
    /// One number.
    Exact(PhoneNumber),
    /// All numbers with this prefix.
    Prefix(PhoneNumber),
    /// Numbers of this length; `None` is any digit.
    Digits(Box<[Option<u8>]>),
    /// All numbers of a country.
    Country(Country),
    /// All entries of a list.
    List(ListId, Box<str>),
    /// Withheld numbers.
    Withheld,
    /// Text that is not a number, compared without regard to case.
    Literal(Box<str>),
}

impl NumberPattern {
    /// Returns whether the pattern matches a party.
    pub fn matches(&self, party: &ResolvedParty<'_>) -> bool {
        match (self, party.party()) {
            (NumberPattern::List(list, _), _) => party.row(*list).is_some(),
            (NumberPattern::Exact(exact), Party::Number(number)) => exact == number,
            (NumberPattern::Prefix(prefix), Party::Number(number)) => number.starts_with(*prefix),
            (NumberPattern::Digits(digits), Party::Number(number)) => {
                let same = |(index, digit): (usize, &Option<u8>)| {
                    digit.is_none_or(|digit| number.digit(index) == digit)
                };
                number.digits() == digits.len() && digits.iter().enumerate().all(same)
            }
            (NumberPattern::Country(country), Party::Number(_)) => {
                party.country() == Some(*country)
            }
            (NumberPattern::Withheld, Party::Withheld) => true,
            (NumberPattern::Literal(text), Party::Literal(literal)) => {
                text.eq_ignore_ascii_case(literal)
            }
            _ => false,
        }
    }

    /// Returns the digits before the first X of a digit pattern, if any: a prefix of every number that
    /// it matches.
    pub fn leading_digits(&self) -> Option<PhoneNumber> {
        let NumberPattern::Digits(digits) = self else { return None };
        let mut leading = digits.iter().map_while(|digit| *digit);
        let mut number = PhoneNumber::parse(&format!("+{}", leading.next()?)).ok()?;
        for digit in leading {
            number = number.with_digit(digit)?;
        }
        Some(number)
    }

    /// Parses a pattern as [`NumberPattern::parse`] does, or a number as it is written in `country`.
    ///
    /// # Errors
    /// Returns the problem, with a suggested correction where possible.
    pub fn parse_in(text: &str, country: Option<Country>) -> Result<NumberPattern, Problem> {
        let Some(country) = country else { return NumberPattern::parse(text) };
        if !is_national(text) {
            return NumberPattern::parse(text)
                .map_err(|problem| problem.maybe_help(national_help(text, country)));
        }
        let format = NumberFormat { country: Some(country), ..NumberFormat::default() };
        let parsed = format.parse(Some(text));
        match parsed.completed_number() {
            Some(number) => Ok(NumberPattern::Exact(number)),
            None => {
                let message = format!("`{text}` is not a number as it is written in {country}");
                let help = "write it with `+` and the country code";
                let problem = Problem::new(BAD_NUMBER, message).help(help);
                Err(problem.maybe_help(national_help(text, country)))
            }
        }
    }

    /// Parses a pattern without its `!`. The check resolves `@list`, which is an error here.
    ///
    /// # Errors
    /// Returns the problem, with a suggested correction where possible.
    pub fn parse(text: &str) -> Result<NumberPattern, Problem> {
        if let Cow::Owned(plain) = plain_digits(text)
            && let Some(digits) = plain.strip_prefix('+')
            && let Ok(number) = number_pattern(&plain, digits)
        {
            return Ok(number);
        }
        if text == "withheld" {
            return Ok(NumberPattern::Withheld);
        }
        if let Some(literal) = text.strip_prefix('=') {
            return literal_pattern(literal.trim());
        }
        if let Some(digits) = text.strip_prefix('+') {
            return number_pattern(text, digits);
        }
        if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return country_pattern(text);
        }
        Err(unreadable(text))
    }
}

/// Returns whether a text consists of the digits of a number without a country code. Shorter ones are
/// extensions and short codes.
pub(crate) fn is_national(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits >= MIN_NATIONAL_DIGITS && text.chars().all(is_number_character)
}

/// Digits of the shortest national numbers.
pub(crate) const MIN_NATIONAL_DIGITS: usize = 6;

/// Returns whether a text is a pattern for many callers rather than one party: `+1213*`, `DE`,
/// `@vip`.
pub fn matches_many(text: &str) -> bool {
    // Any text can be a caller, and so can an unassigned number.
    let is_literal = || matches!(Party::parse(Some(text)).party, Party::Literal(_));
    let parsed = || NumberPattern::parse(text.trim().trim_start_matches('!'));
    text.starts_with('@')
        || (text.starts_with('+') && is_literal())
        || matches!(
            parsed(),
            Ok(NumberPattern::Prefix(_) | NumberPattern::Digits(_) | NumberPattern::Country(_))
        )
}

/// Parses the party that an operator names, in a command or a query. A number without a country code is not
/// guessed at: the error says what would be right.
///
/// # Errors
/// Fails if the text is a pattern for several parties, or a number of which no country is known.
pub fn parse_party(text: &str, numbers: &NumberFormat) -> Result<Party, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("it is empty: write a number with `+` and the country code".to_owned());
    }
    if let Some(exact) = text.strip_prefix('=') {
        return Ok(Party::Literal(exact.into()));
    }
    if plain_digits(text).starts_with('+') {
        return parse_with_plus(text);
    }
    if matches_many(text) {
        return Err(is_pattern(text));
    }
    let ParsedParty { party, reading } = numbers.parse(Some(text));
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let begins_like_a_number = text.starts_with(|c: char| c.is_ascii_digit() || c == '(');
    let is_text = digits.len() < MIN_NUMBER_DIGITS || !begins_like_a_number;
    let international = after_exit_code(&digits);
    let proposed = match reading {
        NumberReading::Completed => return Ok(party),
        NumberReading::AsSent if is_text || party.number().is_some() => return Ok(party),
        NumberReading::PlusAdded => Some(party.unmasked().into_owned()),
        NumberReading::AsSent | NumberReading::KeptAsText => match international {
            Some(rest) => Some(format!("+{rest}")),
            None => is_north_american(&digits).then(|| format!("+1{digits}")),
        },
    };
    let proposed = proposed.filter(|number| PhoneNumber::parse(number).is_ok());
    let missing = if international.is_some() { "`+`" } else { "country code" };
    let proposed = proposed.map(|number| format!("did you mean `{number}`? Otherwise, "));
    Err(format!(
        "`{text}` has no {missing}: {}write a number with `+` and the country code; \
         for the text itself, write `={text}`",
        proposed.unwrap_or_default()
    ))
}

fn is_pattern(text: &str) -> String {
    format!("`{text}` is a pattern, not one number")
}

/// Parses a number with `+` that an operator types, as strictly as a rule table does: what a carrier may send is
/// not what a person may type.
fn parse_with_plus(text: &str) -> Result<Party, String> {
    let problem = match NumberPattern::parse(text) {
        Ok(NumberPattern::Exact(number)) => return Ok(Party::Number(number)),
        Ok(_) => return Err(is_pattern(text)),
        Err(_) if Party::parse(Some(text)).party == Party::Withheld => return Ok(Party::Withheld),
        Err(problem) => problem,
    };
    let Problem { message, help, .. } = problem;
    if several_numbers(&plain_digits(text)).is_some() {
        return Err(format!("`{text}` is several numbers: write one of them"));
    }
    // A prefix or a list is no remedy here.
    let help = help.as_deref().and_then(|help| help.split(';').next());
    let help = help.filter(|help| !help.contains(['*', '[', 'X']));
    let help = help.map(|help| format!(": {help}")).unwrap_or_default();
    Err(format!("{message}{help}; for the text itself, write `={text}`"))
}

/// Returns the digits after one of the usual exit codes.
fn after_exit_code(digits: &str) -> Option<&str> {
    EXIT_CODES.into_iter().find_map(|code| digits.strip_prefix(code))
}

/// Fewest digits for which a text that an operator types is a number rather than an extension or a short code.
const MIN_NUMBER_DIGITS: usize = 7;

const BAD_NUMBER: &str = "bad-number";
const BAD_COUNTRY: &str = "bad-country";
const BAD_PATTERN: &str = "bad-pattern";

fn literal_pattern(text: &str) -> Result<NumberPattern, Problem> {
    if text.is_empty() {
        return Err(Problem::new(BAD_PATTERN, "`=` is not followed by a text"));
    }
    if is_dial_pattern(text) && text.contains(['*', 'X', '_', '^']) {
        let message =
            format!("`={text}` fits no caller: after `=`, every character stands for itself");
        let help = "a prefix is written `+49*`, and any digit `X`: `+1213555XXXX`";
        return Err(Problem::new(BAD_PATTERN, message).help(help));
    }
    // Spreadsheets export ="+12137771234".
    match Party::parse(Some(text.trim_matches('"'))).party {
        Party::Literal(literal) => Ok(NumberPattern::Literal(literal)),
        Party::Number(number) => Err(Problem::new(
            BAD_PATTERN,
            format!("`={text}` is a number, and `=` is for texts that are not numbers"),
        )
        .help(format!("write `{}`", number.unmasked()))),
        Party::Withheld => {
            Err(Problem::new(BAD_PATTERN, format!("`={text}` means a withheld number"))
                .help("write `withheld`"))
        }
    }
}

fn number_pattern(text: &str, digits: &str) -> Result<NumberPattern, Problem> {
    if let Some(prefix) = text.strip_suffix('*') {
        let number = PhoneNumber::parse(prefix).map_err(|error| not_a_number(text, &error))?;
        return Ok(NumberPattern::Prefix(without_old_mobile_digit(number)));
    }
    if let Some((first, last)) = last_of_range(text) {
        let message = format!("`{text}` is a range of numbers, which no pattern has");
        return Err(Problem::new(BAD_NUMBER, message).help(help_for_range(first, &last)));
    }
    if let Some(help) = several_numbers(text) {
        return Err(Problem::new(BAD_NUMBER, format!("`{text}` is several numbers")).help(help));
    }
    if let Some(problem) = range(text) {
        return Err(problem);
    }
    if let Some(problem) = extension(text) {
        return Err(problem);
    }
    if digits.contains('X') {
        return digits_pattern(text, digits);
    }
    let number = PhoneNumber::parse(text).map_err(|error| not_a_number(text, &error))?;
    if number.spells_withheld() {
        let message = format!("`{text}` spells a word for a withheld number");
        return Err(Problem::new(BAD_PATTERN, message).help("write `withheld`"));
    }
    if let Some(without) = dialling_plan::without_trunk_zero(number) {
        let message = format!("`{text}` has a 0 that is not dialled after the country code");
        let help = format!("write `{}`", without.unmasked());
        return Err(Problem::new(BAD_NUMBER, message).help(help));
    }
    match usual_length(number) {
        Ok(()) => Ok(NumberPattern::Exact(number.without_old_mobile_digit())),
        Err(expected) => Err(Problem::new(
            BAD_NUMBER,
            format!("`{text}` has {}, but {expected}", counted_digits(number)),
        )
        .maybe_help(
            (number.digits() < 11).then(|| format!("for a prefix, write `{}*`", number.unmasked())),
        )),
    }
}

/// Returns `1 digit`, `11 digits`.
fn counted_digits(number: PhoneNumber) -> String {
    let digits = number.digits();
    format!("{digits} digit{}", if digits == 1 { "" } else { "s" })
}

fn digits_pattern(text: &str, digits: &str) -> Result<NumberPattern, Problem> {
    let plain = digits.replace('X', "9");
    let length =
        PhoneNumber::parse(&format!("+{plain}")).map_err(|error| not_a_number(text, &error))?;
    usual_length(length).map_err(|expected| {
        let message = format!("`{text}` has {}, but {expected}", counted_digits(length));
        Problem::new(BAD_NUMBER, message).help("each `X` stands for exactly one digit")
    })?;
    let digits = digits.chars().filter(|c| c.is_ascii_digit() || *c == 'X');
    let mut digits: Vec<_> = digits.map(|c| c.to_digit(10).map(|digit| digit as u8)).collect();
    if digits.len() == 13 && digits.starts_with(&[Some(5), Some(2), Some(1)]) {
        digits.remove(2);
    }
    Ok(NumberPattern::Digits(digits.into()))
}

/// Returns a prefix without the 1 that mobile numbers of Mexico had after +52 until 2019, as calls have it.
fn without_old_mobile_digit(prefix: PhoneNumber) -> PhoneNumber {
    let digits = prefix.unmasked();
    let after = digits.strip_prefix("+521");
    after.and_then(|rest| PhoneNumber::parse(&format!("+52{rest}")).ok()).unwrap_or(prefix)
}

fn country_pattern(text: &str) -> Result<NumberPattern, Problem> {
    if let Some(country) = Country::from_code(text) {
        return Ok(NumberPattern::Country(country));
    }
    let help = suggested_country(text).map(|code| format!("did you mean `{code}`?"));
    let message = format!("`{text}` is not a known country code");
    let problem = Problem::new(BAD_COUNTRY, message);
    Err(problem.help("country codes have two capital letters, such as `DE`").maybe_help(help))
}

fn not_a_number(text: &str, error: &InvalidNumber) -> Problem {
    let near = || other_wildcards(text).or_else(|| near_number(text));
    let near = if *error == InvalidNumber::TrunkZero { None } else { near() };
    let help = near.unwrap_or_else(|| help_for_invalid(text, error));
    Problem::new(BAD_NUMBER, format!("`{text}` is not a number: {error}")).help(help)
}

/// Returns the help for a text that resembles no number.
fn help_for_invalid(text: &str, error: &InvalidNumber) -> String {
    match error {
        InvalidNumber::Length(0) if text.ends_with('*') => MATCH_EVERYONE.to_owned(),
        InvalidNumber::Character('*') => "`*` is only allowed at the end, for a prefix".to_owned(),
        InvalidNumber::Character('x') => "for any digit, write a capital `X`".to_owned(),
        InvalidNumber::LeadingZero => "write the country code, without leading zeros".to_owned(),
        InvalidNumber::TrunkZero => {
            let number = Party::parse(Some(text)).completed_number();
            match number.filter(|number| dialling_plan::keeps_zero(*number)) {
                Some(number) => format!("write `{}`", number.unmasked()),
                None => {
                    let without = text.replacen("(0)", "", 1);
                    format!("write `{}`", without.split_whitespace().collect::<Vec<_>>().join(" "))
                }
            }
        }
        InvalidNumber::Separator(separator) => {
            help_for_end(text, *separator).unwrap_or_else(|| LIKE_A_NUMBER.to_owned())
        }
        InvalidNumber::NoPlus | InvalidNumber::Character(_) | InvalidNumber::Length(_) => {
            LIKE_A_NUMBER.to_owned()
        }
    }
}

const LIKE_A_NUMBER: &str = "write a number like `+12137771234` or a prefix like `+1213*`";

/// Returns the help for a number that is followed by a separator and one or two digits: a decimal part, the end
/// of a range, or an extension.
fn help_for_end(text: &str, separator: char) -> Option<String> {
    let (number, end) = text.rsplit_once(separator)?;
    let number = number.trim_end().trim_end_matches(['-', '/']).trim_end();
    // A text with many such ends is not parsed, since it would recurse too deeply.
    PhoneNumber::parse(&plain_digits(number)).ok()?;
    let Ok(NumberPattern::Exact(exact)) = NumberPattern::parse(number) else { return None };
    let is_decimal = end.bytes().all(|byte| byte == b'0');
    Some(match separator {
        '.' if is_decimal => format!("if a spreadsheet added the end, write `{number}`"),
        '.' => format!("write `{number}`"),
        _ => help_for_range(exact, end.trim_matches([' ', '-', '/'])),
    })
}

/// Returns the help for a number that is followed by the end of a range or an extension: `+442079460958-60`.
fn help_for_range(first: PhoneNumber, end: &str) -> String {
    let first = first.unmasked();
    let last = first.get(..first.len().saturating_sub(end.len()));
    let last = last.map(|lead| [lead, end].concat()).filter(|last| *last > first);
    let last =
        last.filter(|last| matches!(NumberPattern::parse(last), Ok(NumberPattern::Exact(_))));
    let several = last.map(|last| {
        format!("; for several numbers, write each as an entry of its own, up to `{last}`")
    });
    format!("for the number before it, write `{first}`{}", several.unwrap_or_default())
}

/// Reports a number that is followed by a hyphen and the end of a range or an extension.
fn range(text: &str) -> Option<Problem> {
    let (first, end) = dialling_plan::before_range(text)?;
    let message = format!("`{text}` has a range or an extension after the number");
    Some(Problem::new(BAD_NUMBER, message).help(help_for_range(first, end)))
}

/// Suggests what to write for a text that contains a number, or that came from one.
fn near_number(text: &str) -> Option<String> {
    let text = &*plain_digits(text);
    spreadsheet_advice(text)
        .or_else(|| several_numbers(text))
        .or_else(|| number_inside(text))
        .or_else(|| similar_number(text))
}

/// Reports a number with an extension: `+44 20 7946 0958 x 4`, `+12137771234;ext=5`.
fn extension(text: &str) -> Option<Problem> {
    let number = Party::parse(Some(text)).completed_number()?;
    let rest = text.trim_start_matches(|c: char| c == '+' || is_number_character(c));
    let is_extension = rest.starts_with(['x', ';', ',', '#', 'e', 'E'])
        || (rest.starts_with('X') && text[..text.len() - rest.len()].ends_with(' '));
    is_extension.then(|| {
        let behind = match rest.trim_end().ends_with(|c: char| c.is_ascii_digit()) {
            true => "an extension",
            false => "a text",
        };
        let message = format!("`{text}` has {behind} after the number");
        let help =
            format!("write `{}`; for any digit, a capital `X` without a space", number.unmasked());
        Problem::new(BAD_NUMBER, message).help(help)
    })
}

fn is_number_character(c: char) -> bool {
    c.is_ascii_digit() || " -.()/".contains(c)
}

/// Texts that are meant to match every caller.
const EVERYONE: [&str; 8] = ["", "*", "any", "anyone", "anybody", "all", "everyone", "everybody"];
const MATCH_EVERYONE: &str = "omit the key to match every caller";

fn unreadable(text: &str) -> Problem {
    let message = match text {
        "" => "an empty text is not a number, country or list".to_owned(),
        text => format!("`{text}` is not a number, country or list"),
    };
    let only_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_with_x = text.contains('X') && text.bytes().all(|b| b == b'X' || b.is_ascii_digit());
    let help = if EVERYONE.contains(&text) {
        MATCH_EVERYONE.to_owned()
    } else if let Some(near) = diagnostics::nearest(text, ["withheld"]) {
        format!("did you mean `{near}`?")
    } else if text.bytes().all(|byte| byte == b'0') {
        "this is no number: remove it; for callers without a number, write `withheld`".to_owned()
    } else if matches!(Party::parse(Some(text)).party, Party::Withheld) {
        "for callers without a number, write `withheld`".to_owned()
    } else if text.starts_with('!') {
        "write a single `!` to exclude".to_owned()
    } else if let Some(help) = other_notation(text) {
        help
    } else if let Some(digits) = text.strip_suffix('*').filter(|digits| only_digits(digits)) {
        help_for_prefix(digits)
    } else if is_with_x {
        "a pattern with `X` starts with `+` and the country code, as in `+1213555XXXX`".to_owned()
    } else if suggest_number(text).is_none()
        && !is_file_name(text)
        && text.chars().all(char::is_alphabetic)
    {
        format!("country codes have two capital letters, such as `DE`; {}", exactly(text))
    } else {
        help_for(text)
    };
    Problem::new(BAD_PATTERN, message).help(help)
}

/// Returns the help for a prefix without `+`.
fn help_for_prefix(digits: &str) -> String {
    let international = after_exit_code(digits);
    match international.unwrap_or(digits) {
        // An area code of North America, or a country code.
        area if international.is_none() && area.len() >= 3 && !area.starts_with(['0', '1']) => {
            format!(
                "write `+1{area}*` for North America, or `+{area}*` if it begins with a country code"
            )
        }
        // A country code is not guessed.
        rest if rest.is_empty() || rest.starts_with('0') => {
            "a prefix starts with `+` and the country code, like `+49*`".to_owned()
        }
        rest => format!("a prefix starts with `+` and the country code; did you mean `+{rest}*`?"),
    }
}

/// Returns the help for a text that is no number.
pub(crate) fn help_for(text: &str) -> String {
    suggest_number(text).unwrap_or_else(|| match is_dial_pattern(text) {
        true => START_WITH_PLUS.to_owned(),
        false => exactly(text),
    })
}

/// Returns the pattern for a text that a caller may send. Nobody sends a text with invisible characters.
fn exactly(text: &str) -> String {
    if text.chars().any(|c| c.is_control() || is_invisible(c)) {
        return "it contains characters that cannot be seen; type the number again".to_owned();
    }
    // Digits are rather a number, unless they are a part of an address.
    if is_file_name(text) {
        return "the numbers of a file are a list: define [lists.NAME] with `file`".to_owned();
    }
    if let Some(area) = area_code(text) {
        return format!(
            "for an area code of North America, write `+1{area}*`; for exactly this text, `={text}`"
        );
    }
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_number = digits >= MIN_NATIONAL_DIGITS && !text.contains([':', '@']);
    match is_number || text.contains(['*', '|']) || is_country(text) {
        true => START_WITH_PLUS.to_owned(),
        false => format!("for exactly this text, write `={text}`"),
    }
}

/// Returns whether a text is the name of a file with numbers.
pub(crate) fn is_file_name(text: &str) -> bool {
    let end = text.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase());
    end.is_some_and(|end| ["csv", "tsv", "txt"].contains(&&*end))
}

const START_WITH_PLUS: &str =
    "numbers and prefixes start with `+` and the country code: `+49301234`, `+49*`";

/// Returns whether a text is a pattern of a telephone system or a part of a number, which no caller
/// sends: `0049*`, `_NXXNXXXXXX`, `^1213.*`, `0`.
fn is_dial_pattern(text: &str) -> bool {
    let is_special = |c: char| "*XNZxnz.^_[]{}|?\\$+#-() /".contains(c);
    let is_zeros = text.bytes().all(|byte| byte == b'0');
    let has_special = text.contains(is_special);
    is_zeros || (has_special && text.chars().all(|c| c.is_ascii_digit() || is_special(c)))
}

/// Suggests the correct spelling of a text that is probably a number.
pub(crate) fn suggest_number(text: &str) -> Option<String> {
    if let Some(help) = near_number(text) {
        return Some(help);
    }
    let quotes = ['\'', '"', '`', '\u{2018}', '\u{2019}'];
    let bare = text.trim_matches(quotes);
    let is_marked = bare != text || text.contains(':');
    if let (true, Party::Number(number)) = (is_marked, Party::parse(Some(bare)).party) {
        return Some(format!("write `{}`", number.unmasked()));
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if !text.chars().all(is_number_character) || digits.len() < 8 {
        return None;
    }
    let international =
        after_exit_code(&digits).or(Some(&*digits).filter(|digits| digits.len() > 10));
    Some(match international.filter(|digits| !digits.starts_with('0')) {
        Some(digits) => {
            format!("numbers start with `+` and the country code; did you mean `+{digits}`?")
        }
        // Adding a country code would be a guess.
        None => "numbers start with `+` and the country code, as in `+12137771234`".to_owned(),
    })
}

/// A set of accepted values and a set of excluded values. Without accepted values, everything that
/// is not excluded matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector<T> {
    /// Accepted values; at least one must match unless empty.
    pub any_of: Vec<T>,
    /// Excluded values; none may match.
    pub none_of: Vec<T>,
}

impl<T> Default for Selector<T> {
    fn default() -> Self {
        Selector { any_of: Vec::new(), none_of: Vec::new() }
    }
}

impl<T> Selector<T> {
    /// Returns whether the selector matches everything.
    pub fn is_anything(&self) -> bool {
        self.any_of.is_empty() && self.none_of.is_empty()
    }

    /// Returns the accepted and the excluded values.
    pub fn entries(&self) -> impl Iterator<Item = &T> {
        self.any_of.iter().chain(&self.none_of)
    }

    /// Returns whether a value matches, given a predicate that compares it with an entry.
    pub fn matches(&self, equals: impl Fn(&T) -> bool) -> bool {
        (self.any_of.is_empty() || self.any_of.iter().any(&equals))
            && !self.none_of.iter().any(&equals)
    }
}

/// Prints the entries as written in a rule: `+1900*, !+19005550100`.
impl<T: fmt::Display> fmt::Display for Selector<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let positive = self.any_of.iter().map(T::to_string);
        let negative = self.none_of.iter().map(|entry| format!("!{entry}"));
        f.write_str(&positive.chain(negative).collect::<Vec<_>>().join(", "))
    }
}

/// Condition on a number. Kept small, because a large table has two million of them, and most have
/// at most one pattern.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum NumberMatcher {
    /// Matches every party, including withheld numbers.
    #[default]
    Anyone,
    /// One pattern.
    One(NumberPattern),
    /// Several patterns, or exclusions.
    Several(Box<Selector<NumberPattern>>),
}

impl NumberMatcher {
    /// Returns whether every party matches.
    pub fn is_anything(&self) -> bool {
        *self == NumberMatcher::Anyone
    }

    /// Returns the accepted patterns; at least one must match unless empty.
    pub fn any_of(&self) -> &[NumberPattern] {
        match self {
            NumberMatcher::Anyone => &[],
            NumberMatcher::One(pattern) => std::slice::from_ref(pattern),
            NumberMatcher::Several(selector) => &selector.any_of,
        }
    }

    /// Returns the excluded patterns; none may match.
    pub fn none_of(&self) -> &[NumberPattern] {
        match self {
            NumberMatcher::Anyone | NumberMatcher::One(_) => &[],
            NumberMatcher::Several(selector) => &selector.none_of,
        }
    }

    /// Returns whether a party matches. A withheld number matches only `withheld`, or a matcher without
    /// any pattern.
    pub fn matches(&self, party: &ResolvedParty<'_>) -> bool {
        match self {
            NumberMatcher::Anyone => true,
            NumberMatcher::One(pattern) => pattern.matches(party),
            NumberMatcher::Several(selector) => {
                let may_match = *party.party() != Party::Withheld
                    || selector.any_of.contains(&NumberPattern::Withheld);
                may_match && selector.matches(|pattern| pattern.matches(party))
            }
        }
    }
}

impl From<Selector<NumberPattern>> for NumberMatcher {
    fn from(mut selector: Selector<NumberPattern>) -> NumberMatcher {
        match (selector.any_of.len(), selector.none_of.len()) {
            (0, 0) => NumberMatcher::Anyone,
            (1, 0) => selector.any_of.pop().map(NumberMatcher::One).unwrap_or_default(),
            _ => NumberMatcher::Several(Box::new(selector)),
        }
    }
}

/// Prints the entries as written in a rule: `+1900*, !+19005550100`.
impl fmt::Display for NumberMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NumberMatcher::Anyone => Ok(()),
            NumberMatcher::One(pattern) => pattern.fmt(f),
            NumberMatcher::Several(selector) => selector.fmt(f),
        }
    }
}

/// Prints the pattern as written in a rule. Numbers are not masked: only the operator reads them.
impl fmt::Display for NumberPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NumberPattern::Exact(number) => f.write_str(&number.unmasked()),
            NumberPattern::Prefix(number) => write!(f, "{}*", number.unmasked()),
            NumberPattern::Digits(digits) => {
                let texts =
                    digits.iter().map(|digit| digit.map_or('X', |digit| char::from(b'0' + digit)));
                write!(f, "+{}", texts.collect::<String>())
            }
            NumberPattern::Country(country) => country.fmt(f),
            NumberPattern::List(_, name) => write!(f, "@{name}"),
            NumberPattern::Withheld => f.write_str("withheld"),
            NumberPattern::Literal(text) => write!(f, "={text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, caller: &str, expected: bool) {
        let pattern = NumberPattern::parse(pattern).unwrap();
        let party = Party::parse(Some(caller)).party;
        assert_eq!(
            pattern.matches(&ResolvedParty::unlisted(&party)),
            expected,
            "{pattern} {caller}"
        );
    }

    #[test]
    fn matches_each_kind_of_pattern() {
        check("+1 (213) 777-1234", "+12137771234", true);
        check("+12137771234", "+12137771235", false);
        check("+1213*", "+12137771234", true);
        check("+1213*", "+12147771234", false);
        check("+1213*", "withheld", false);
        check("+1213555XXXX", "+12135551234", true);
        check("+1213555XXXX", "+12135561234", false);
        check("+1213555XXXX", "+121355512345", false);
        check("withheld", "Anonymous", true);
        check("withheld", "+12135551234", false);
        check("=sip:bob@example.com", "sip:BOB@example.com", true);
        check("=1001", "1001", true);
        check("=1001", "1002", false);
    }

    #[test]
    fn tells_us_numbers_from_canadian_ones() {
        check("US", "+12137771234", true);
        check("CA", "+12137771234", false);
        check("CA", "+16045550123", true);
        check("US", "+16045550123", false);
        check("DE", "+4930901820", true);
        check("DE", "anonymous", false);
    }

    #[track_caller]
    fn check_error(pattern: &str, code: &str, help: &str) {
        let error = NumberPattern::parse(pattern).unwrap_err();
        assert_eq!((error.code, error.help.as_deref()), (code, Some(help)), "{pattern}");
    }

    #[test]
    fn suggests_a_correction() {
        check_error("+1213777123", "bad-number", "for a prefix, write `+1213777123*`");
        check_error("UK", "bad-country", "did you mean `GB`?");
        check_error("de", "bad-country", "did you mean `DE`?");
        check_error(
            "12137771234",
            "bad-pattern",
            "numbers start with `+` and the country code; did you mean `+12137771234`?",
        );
        for (text, help) in [
            ("49*", "; did you mean `+49*`?"),
            ("0049*", "; did you mean `+49*`?"),
            ("0114930*", "; did you mean `+4930*`?"),
            ("030*", ", like `+49*`"),
            ("00*", ", like `+49*`"),
        ] {
            let help = format!("a prefix starts with `+` and the country code{help}");
            check_error(text, "bad-pattern", &help);
        }
        check_error(
            "213*",
            "bad-pattern",
            "write `+1213*` for North America, or `+213*` if it begins with a country code",
        );
        check_error("witheld", "bad-pattern", "did you mean `withheld`?");
        check_error("anonymous", "bad-pattern", "for callers without a number, write `withheld`");
        check_error("1001", "bad-pattern", "for exactly this text, write `=1001`");
        check_error("=+12137771234", "bad-pattern", "write `+12137771234`");
        check_error("=anonymous", "bad-pattern", "write `withheld`");
        check_error("+1*213", "bad-number", "`*` is only allowed at the end, for a prefix");
    }

    #[test]
    fn a_withheld_number_matches_only_withheld_or_no_pattern() {
        fn parse(texts: &[&str]) -> Vec<NumberPattern> {
            texts.iter().map(|text| NumberPattern::parse(text).unwrap()).collect()
        }
        let matches = |any_of: &[&str], none_of: &[&str], party: &Party| {
            let selector = Selector { any_of: parse(any_of), none_of: parse(none_of) };
            NumberMatcher::from(selector).matches(&ResolvedParty::unlisted(party))
        };
        let withheld = Party::Withheld;
        assert!(!matches(&[], &["DE"], &withheld), "an exclusion needs a number");
        assert!(matches(&[], &[], &withheld));
        assert!(matches(&["withheld"], &[], &withheld));
        assert!(!matches(&[], &["withheld"], &withheld));
        assert!(matches(&[], &["withheld"], &Party::parse(Some("+12137771234")).party));
    }
}
