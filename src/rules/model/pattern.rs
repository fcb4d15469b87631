//! Patterns of numbers, and the "any of these, but none of those" that every condition is made of.
//!
//! `+12137771234`, `+1213*`, `+1213555XXXX`, `DE`, `@list`, `withheld`, `=sip:bob@example.com`, and
//! a `!` before any of them. No regular expressions: a table must be readable by those who did not
//! write it.

use std::fmt;

use super::lists::{ListId, ResolvedParty};
use crate::diagnostics::{self, Problem};
use crate::domain::phone_number::{Country, InvalidNumber, Party, PhoneNumber};

/// One pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NumberPattern {
    /// This number.
    Exact(PhoneNumber),
    /// All numbers that begin so.
    Prefix(PhoneNumber),
    /// Numbers of this length, `None` standing for any digit.
    Digits(Box<[Option<u8>]>),
    /// All numbers of a country.
    Country(Country),
    /// All numbers of a list.
    List(ListId, Box<str>),
    /// Callers who show no number.
    Withheld,
    /// This text, which is no number; capitals make no difference.
    Literal(Box<str>),
}

impl NumberPattern {
    /// Whether it fits.
    pub fn fits(&self, known: &ResolvedParty<'_>) -> bool {
        match (self, known.party()) {
            (NumberPattern::List(list, _), _) => known.row(*list).is_some(),
            (NumberPattern::Exact(exact), Party::Number(number)) => exact == number,
            (NumberPattern::Prefix(prefix), Party::Number(number)) => number.starts_with(*prefix),
            (NumberPattern::Digits(digits), Party::Number(number)) => {
                let same = |(at, digit): (usize, &Option<u8>)| {
                    digit.is_none_or(|digit| number.digit(at) == digit)
                };
                number.digits() == digits.len() && digits.iter().enumerate().all(same)
            }
            (NumberPattern::Country(country), Party::Number(_)) => {
                known.country() == Some(*country)
            }
            (NumberPattern::Withheld, Party::Withheld) => true,
            (NumberPattern::Literal(text), Party::Literal(literal)) => {
                text.eq_ignore_ascii_case(literal)
            }
            _ => false,
        }
    }

    /// The digits before the first X, when it has some; they begin every number that it fits.
    pub fn leading_digits(&self) -> Option<PhoneNumber> {
        let NumberPattern::Digits(digits) = self else { return None };
        let mut leading = digits.iter().map_while(|digit| *digit);
        let mut number = PhoneNumber::parse(&format!("+{}", leading.next()?)).ok()?;
        for digit in leading {
            number = number.with_digit(digit)?;
        }
        Some(number)
    }

    /// Reads a pattern, without the `!`. What `@list` means only the table knows: it is none here.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right when that can be told.
    pub fn parse(text: &str) -> Result<NumberPattern, Problem> {
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

/// Whether a text stands for many callers, where one is asked for: `+1213*`, `DE`, `@vip`.
pub fn is_wide(text: &str) -> bool {
    // A call may come from any text, and from a number that nobody has. One from `@…` is withheld.
    match NumberPattern::parse(text.trim().trim_start_matches('!')) {
        _ if text.starts_with('@') => true,
        _ if text.starts_with('+')
            && matches!(Party::parse(Some(text)).party, Party::Literal(_)) =>
        {
            true
        }
        Ok(pattern) => matches!(
            pattern,
            NumberPattern::Prefix(_) | NumberPattern::Digits(_) | NumberPattern::Country(_)
        ),
        Err(_) => false,
    }
}

const BAD_NUMBER: &str = "bad-number";
const BAD_COUNTRY: &str = "bad-country";
const BAD_PATTERN: &str = "bad-pattern";

fn literal_pattern(text: &str) -> Result<NumberPattern, Problem> {
    if text.is_empty() {
        return Err(Problem::new(BAD_PATTERN, "`=` has no text behind it"));
    }
    // A spreadsheet writes ="+12137771234".
    match Party::parse(Some(text.trim_matches('"'))).party {
        Party::Literal(literal) => Ok(NumberPattern::Literal(literal)),
        Party::Number(number) => Err(Problem::new(
            BAD_PATTERN,
            format!("`={text}` holds a number, and callers with it are known by that number"),
        )
        .help(format!("write {}", number.unmasked()))),
        Party::Withheld => Err(Problem::new(
            BAD_PATTERN,
            format!("`={text}` is one of the words for a withheld number"),
        )
        .help("write withheld")),
    }
}

fn number_pattern(text: &str, digits: &str) -> Result<NumberPattern, Problem> {
    if text.contains("(0)") {
        let message = format!("`{text}` has a (0), which is not dialled behind a country code");
        let without = text.replace("(0)", "").split_whitespace().collect::<Vec<_>>().join(" ");
        return Err(Problem::new(BAD_NUMBER, message).help(format!("write {without}")));
    }
    if let Some(prefix) = text.strip_suffix('*') {
        let number = PhoneNumber::parse(prefix).map_err(|error| not_a_number(text, &error))?;
        return Ok(NumberPattern::Prefix(number));
    }
    if digits.contains(['X', 'x']) {
        return digits_pattern(text, digits);
    }
    let number = PhoneNumber::parse(text).map_err(|error| not_a_number(text, &error))?;
    if number.spells_withheld() {
        let message = format!("{text} is a keypad's word for a withheld number");
        return Err(Problem::new(BAD_PATTERN, message).help("write withheld"));
    }
    match usual_length(number) {
        Ok(()) => Ok(NumberPattern::Exact(number)),
        Err(wanted) => Err(Problem::new(
            BAD_NUMBER,
            format!("{text} has {} digits, {wanted}", number.digits()),
        )
        .maybe_help(
            (number.digits() < 11).then(|| format!("for a prefix write {}*", number.unmasked())),
        )),
    }
}

/// Numbers of +1 have 11 digits; others, as far as anybody can tell, 7 to 15.
fn usual_length(number: PhoneNumber) -> Result<(), &'static str> {
    match (number.digit(0), number.digits()) {
        (1, 11) | (2..=9, 7..=15) => Ok(()),
        (1, _) => Err("numbers of +1 have 11"),
        _ => Err("numbers have at least 7"),
    }
}

fn digits_pattern(text: &str, digits: &str) -> Result<NumberPattern, Problem> {
    let plain = digits.replace(['X', 'x'], "9");
    let length =
        PhoneNumber::parse(&format!("+{plain}")).map_err(|error| not_a_number(text, &error))?;
    usual_length(length).map_err(|wanted| {
        let message = format!("{text} has {} digits, {wanted}", length.digits());
        Problem::new(BAD_NUMBER, message).help("an X stands for exactly one digit")
    })?;
    let kept = digits.chars().filter(|c| c.is_ascii_digit() || matches!(c, 'X' | 'x'));
    let read = kept.map(|c| c.to_digit(10).map(|digit| digit as u8)).collect();
    Ok(NumberPattern::Digits(read))
}

fn country_pattern(text: &str) -> Result<NumberPattern, Problem> {
    if let Some(country) = Country::from_code(text) {
        return Ok(NumberPattern::Country(country));
    }
    let upper = text.to_ascii_uppercase();
    let meant = match upper.as_str() {
        "UK" => Some("GB"),
        "EN" => Some("GB"),
        _ => Country::from_code(&upper).map(|_| upper.as_str()),
    };
    let help = meant.map(|code| format!("did you mean `{code}`?"));
    let message = format!("`{text}` is not the code of a country that has numbers");
    Err(Problem::new(BAD_COUNTRY, message)
        .maybe_help(help.or(Some("countries are two capital letters, `DE`".to_owned()))))
}

fn not_a_number(text: &str, error: &InvalidNumber) -> Problem {
    let help = match error {
        InvalidNumber::Length(0) if text.ends_with('*') => EVERYBODY,
        InvalidNumber::Character('*') => "a `*` stands at the end, for all numbers that begin so",
        InvalidNumber::LeadingZero => "write the country code, without zeros in front",
        InvalidNumber::NoPlus | InvalidNumber::Character(_) | InvalidNumber::Length(_) => {
            "a number looks like +12137771234, a prefix like +1213*"
        }
    };
    Problem::new(BAD_NUMBER, format!("`{text}` is not a number: {error}")).help(help)
}

const EVERYBODY: &str = "leave the key out to match everybody";

fn unreadable(text: &str) -> Problem {
    let message = match text {
        "" => "an empty text is neither a number nor a country".to_owned(),
        text => format!("`{text}` is neither a number nor a country"),
    };
    let exactly = format!("for exactly this text write `={text}`");
    let only_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_with_x = text.contains('X') && text.bytes().all(|b| b == b'X' || b.is_ascii_digit());
    let help =
        if let "" | "*" | "any" | "anyone" | "anybody" | "all" | "everyone" | "everybody" = text {
            EVERYBODY.to_owned()
        } else if let Some(near) = diagnostics::nearest(text, ["withheld"]) {
            format!("did you mean `{near}`?")
        } else if matches!(Party::parse(Some(text)).party, Party::Withheld) {
            "callers without a number are `withheld`".to_owned()
        } else if text.starts_with('!') {
            "one `!` takes away".to_owned()
        } else if text.strip_suffix('*').is_some_and(only_digits) {
            format!("a prefix starts with `+` and the country code: +{text}?")
        } else if is_with_x {
            "a pattern with X starts with `+` and the country code: +1213555XXXX".to_owned()
        } else if let Some(help) = number_meant(text) {
            help
        } else if text.chars().all(char::is_alphabetic) {
            format!("countries are two capital letters, `DE`; {exactly}")
        } else {
            exactly
        };
    Problem::new(BAD_PATTERN, message).help(help)
}

/// How a text is written that is perhaps a number; none when it does not look like one.
pub(crate) fn number_meant(text: &str) -> Option<String> {
    let is_rounded = text.split_once(['E', 'e']).is_some_and(|(value, exponent)| {
        let part = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        value.split(['.', ',']).all(part) && part(exponent.trim_start_matches('+'))
    });
    if is_rounded {
        let help =
            "a spreadsheet has rounded this number: make the column text, and export it again";
        return Some(help.to_owned());
    }
    let quotes = ['\'', '"', '`', '\u{2018}', '\u{2019}'];
    let bare = text.trim_matches(quotes);
    let is_marked = bare != text || text.contains(':');
    if let (true, Party::Number(number)) = (is_marked, Party::parse(Some(bare)).party) {
        return Some(format!("write {}", number.unmasked()));
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let is_formatted = text.chars().all(|c| c.is_ascii_digit() || " -.()/".contains(c));
    if !is_formatted || digits.len() < 8 {
        return None;
    }
    let abroad = ["00", "011"].into_iter().find_map(|dialled| digits.strip_prefix(dialled));
    let whole = abroad.or(Some(&*digits).filter(|digits| digits.len() > 10));
    Some(match whole.filter(|whole| !whole.starts_with('0')) {
        Some(whole) => format!("numbers start with `+` and the country code: +{whole}?"),
        // Without its country code it is another number.
        None => "numbers start with `+` and the country code, as in +12137771234".to_owned(),
    })
}

/// "Any of these, but none of those"; without any of these: everything, but none of those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector<T> {
    /// At least one has to fit, when there are any.
    pub any_of: Vec<T>,
    /// None may fit.
    pub none_of: Vec<T>,
}

impl<T> Default for Selector<T> {
    fn default() -> Self {
        Selector { any_of: Vec::new(), none_of: Vec::new() }
    }
}

impl<T> Selector<T> {
    /// Whether it asks for nothing.
    pub fn is_anything(&self) -> bool {
        self.any_of.is_empty() && self.none_of.is_empty()
    }

    /// Whether what `fits` tells apart is wanted.
    pub fn holds(&self, fits: impl Fn(&T) -> bool) -> bool {
        (self.any_of.is_empty() || self.any_of.iter().any(&fits)) && !self.none_of.iter().any(&fits)
    }
}

/// As it could have been written: `+1900*, !+19005550100`.
impl<T: fmt::Display> fmt::Display for Selector<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let positive = self.any_of.iter().map(T::to_string);
        let negative = self.none_of.iter().map(|one| format!("!{one}"));
        f.write_str(&positive.chain(negative).collect::<Vec<_>>().join(", "))
    }
}

/// Which numbers a rule is for. Small, for a table has two million of them, and most are one
/// pattern or none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum NumberMatcher {
    /// Nothing is asked: every number, and who shows none.
    #[default]
    Anyone,
    /// This pattern.
    One(NumberPattern),
    /// Several, or some that are taken away.
    Several(Box<Selector<NumberPattern>>),
}

impl NumberMatcher {
    /// Whether it asks for nothing.
    pub fn is_anything(&self) -> bool {
        *self == NumberMatcher::Anyone
    }

    /// Of which at least one has to fit, when there are any.
    pub fn any_of(&self) -> &[NumberPattern] {
        match self {
            NumberMatcher::Anyone => &[],
            NumberMatcher::One(pattern) => std::slice::from_ref(pattern),
            NumberMatcher::Several(either) => &either.any_of,
        }
    }

    /// Of which none may fit.
    pub fn none_of(&self) -> &[NumberPattern] {
        match self {
            NumberMatcher::Anyone | NumberMatcher::One(_) => &[],
            NumberMatcher::Several(either) => &either.none_of,
        }
    }

    /// Whether this party is one of them. Who shows no number fits only what says `withheld`, and
    /// what asks for nothing.
    pub fn fit(&self, known: &ResolvedParty<'_>) -> bool {
        match self {
            NumberMatcher::Anyone => true,
            NumberMatcher::One(pattern) => pattern.fits(known),
            NumberMatcher::Several(either) => {
                let shown = *known.party() != Party::Withheld
                    || either.any_of.contains(&NumberPattern::Withheld);
                shown && either.holds(|pattern| pattern.fits(known))
            }
        }
    }
}

impl From<Selector<NumberPattern>> for NumberMatcher {
    fn from(mut either: Selector<NumberPattern>) -> NumberMatcher {
        match (either.any_of.len(), either.none_of.len()) {
            (0, 0) => NumberMatcher::Anyone,
            (1, 0) => either.any_of.pop().map(NumberMatcher::One).unwrap_or_default(),
            _ => NumberMatcher::Several(Box::new(either)),
        }
    }
}

/// As it could have been written: `+1900*, !+19005550100`.
impl fmt::Display for NumberMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NumberMatcher::Anyone => Ok(()),
            NumberMatcher::One(pattern) => pattern.fmt(f),
            NumberMatcher::Several(either) => either.fmt(f),
        }
    }
}

/// As it is written in a rule. Not masked: the operator wrote it, and reads it.
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
        assert_eq!(pattern.fits(&ResolvedParty::alone(&party)), expected, "{pattern} {caller}");
    }

    #[test]
    fn each_kind_fits_what_it_says() {
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
    fn countries_tell_the_us_from_canada() {
        check("US", "+12137771234", true);
        check("CA", "+12137771234", false);
        check("CA", "+16045550123", true);
        check("US", "+16045550123", false);
        check("DE", "+4930901820", true);
        check("DE", "anonymous", false);
    }

    #[track_caller]
    fn refused(pattern: &str, code: &str, help: &str) {
        let error = NumberPattern::parse(pattern).unwrap_err();
        assert_eq!((error.code, error.help.as_deref()), (code, Some(help)), "{pattern}");
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        refused("+1213777123", "bad-number", "for a prefix write +1213777123*");
        refused("UK", "bad-country", "did you mean `GB`?");
        refused("de", "bad-country", "did you mean `DE`?");
        refused(
            "12137771234",
            "bad-pattern",
            "numbers start with `+` and the country code: +12137771234?",
        );
        refused("witheld", "bad-pattern", "did you mean `withheld`?");
        refused("anonymous", "bad-pattern", "callers without a number are `withheld`");
        refused("1001", "bad-pattern", "for exactly this text write `=1001`");
        refused("=+12137771234", "bad-pattern", "write +12137771234");
        refused("=anonymous", "bad-pattern", "write withheld");
        refused("+1*213", "bad-number", "a `*` stands at the end, for all numbers that begin so");
    }

    #[test]
    fn who_withholds_the_number_fits_only_withheld_and_everything() {
        fn read(texts: &[&str]) -> Vec<NumberPattern> {
            texts.iter().map(|text| NumberPattern::parse(text).unwrap()).collect()
        }
        let fit = |any_of: &[&str], none_of: &[&str], party: &Party| {
            let either = Selector { any_of: read(any_of), none_of: read(none_of) };
            NumberMatcher::from(either).fit(&ResolvedParty::alone(party))
        };
        let withheld = Party::Withheld;
        assert!(!fit(&[], &["DE"], &withheld), "a negation is a condition on a number");
        assert!(fit(&[], &[], &withheld));
        assert!(fit(&["withheld"], &[], &withheld));
        assert!(!fit(&[], &["withheld"], &withheld));
        assert!(fit(&[], &["withheld"], &Party::parse(Some("+12137771234")).party));
    }
}
