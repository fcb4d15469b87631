//! What to write for a text that is no number as it is written in a known country. Only help texts use it.

use std::ops::RangeInclusive;

use super::{NumberPattern, is_number_character, notation};
use crate::domain::dialling_plan;
use crate::domain::party::NumberFormat;
use crate::domain::phone_number::Country;

/// Returns the help for a text without `+`: an extension or a spreadsheet's `.0` after a number, several numbers,
/// a prefix, or a pattern with `X`, each with the country code.
pub(crate) fn national_help(text: &str, country: Country) -> Option<String> {
    let text = text.trim();
    if text.starts_with(['+', '=', '@', '!']) {
        return None;
    }
    if let Some(number) = read(text, country) {
        return Some(format!("an extension is no part of a number; write `{number}`"));
    }
    several(text, country)
        .or_else(|| {
            let number = without_decimals(text).and_then(|number| read(number, country))?;
            Some(format!("if a spreadsheet added the end, write `{number}`"))
        })
        .or_else(|| prefix(text, country))
        .or_else(|| area(text, country))
        .or_else(|| digits_pattern(text, country))
}

/// Returns the number that a text means, as a table has it.
fn read(text: &str, country: Country) -> Option<String> {
    let format = NumberFormat { country: Some(country), ..NumberFormat::default() };
    let number = format.parse(Some(text)).completed_number()?.unmasked();
    NumberPattern::parse(&number).is_ok().then_some(number)
}

fn several(text: &str, country: Country) -> Option<String> {
    let numbers = notation::parts(text).map(|part| match NumberPattern::parse(part) {
        Ok(NumberPattern::Exact(number)) => Some(number.unmasked()),
        _ => read(part, country),
    });
    let numbers: Vec<String> = numbers.collect::<Option<_>>()?;
    (numbers.len() > 1).then(|| notation::as_list(&numbers))
}

/// Returns a text without the `.0` or `,00` at its end.
fn without_decimals(text: &str) -> Option<&str> {
    let (number, decimals) = text.rsplit_once(['.', ','])?;
    let is_zero = !decimals.is_empty() && decimals.bytes().all(|byte| byte == b'0');
    is_zero.then_some(number)
}

fn prefix(text: &str, country: Country) -> Option<String> {
    let digits = text.strip_suffix('*').filter(|text| text.chars().all(is_number_character))?;
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    let prefix = dialling_plan::read_prefix(&digits, country);
    let prefix = prefix.map(|prefix| format!("{}*", prefix.unmasked()));
    let prefix = prefix.filter(|prefix| NumberPattern::parse(prefix).is_ok());
    Some(match prefix {
        Some(prefix) => format!("did you mean `{prefix}`?"),
        // Without its trunk prefix, it could be the beginning of a number of another country.
        None => "a prefix starts with `+` and the country code".to_owned(),
    })
}

/// Returns the help for the area code of a country: `212`, `area code 212`, `030`. Fewer digits are no area, and more
/// are rather an extension.
fn area(text: &str, country: Country) -> Option<String> {
    const DIGITS: RangeInclusive<usize> = 3..=5;
    let digits = notation::without_area_words(text);
    let is_named = digits != text;
    let is_area = DIGITS.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let is_trunk = digits.starts_with('0') && !digits.starts_with("00");
    if !is_area || !(is_named || is_trunk || notation::area_code(digits).is_some()) {
        return None;
    }
    let prefix = dialling_plan::read_prefix(digits, country)?.unmasked();
    let is_right = NumberPattern::parse(&format!("{prefix}*")).is_ok();
    is_right
        .then(|| format!("for an area code, write `{prefix}*`; for exactly this text, `={text}`"))
}

/// Returns `+1213555XXXX` for `(213) 555-XXXX`.
fn digits_pattern(text: &str, country: Country) -> Option<String> {
    let digits: Vec<char> = text.chars().filter(|c| c.is_ascii_digit() || *c == 'X').collect();
    if !text.contains('X') || !text.chars().all(|c| c == 'X' || is_number_character(c)) {
        return None;
    }
    let mut pattern: Vec<char> = read(&text.replace('X', "5"), country)?.chars().collect();
    for (place, digit) in pattern.iter_mut().rev().zip(digits.iter().rev()) {
        if *digit == 'X' {
            *place = 'X';
        }
    }
    let pattern: String = pattern.into_iter().collect();
    NumberPattern::parse(&pattern).is_ok().then(|| format!("write `{pattern}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_of_a_country_names_its_numbers() {
        for (country, text, help) in [
            ("US", "213-777-1234 x5", "an extension is no part of a number; write `+12137771234`"),
            ("US", "12137771234.0", "if a spreadsheet added the end, write `+12137771234`"),
            ("US", "2137771234.00", "if a spreadsheet added the end, write `+12137771234`"),
            ("DE", "0900*", "did you mean `+49900*`?"),
            ("DE", "0044 20*", "did you mean `+4420*`?"),
            ("DE", "4930*", "did you mean `+4930*`?"),
            ("US", "900*", "did you mean `+1900*`?"),
            ("US", "1900*", "did you mean `+1900*`?"),
            ("US", "213*", "did you mean `+1213*`?"),
            ("US", "212", "for an area code, write `+1212*`; for exactly this text, `=212`"),
            (
                "US",
                "area code 212",
                "for an area code, write `+1212*`; for exactly this text, `=area code 212`",
            ),
            ("DE", "030", "for an area code, write `+4930*`; for exactly this text, `=030`"),
            ("DE", "110", "for exactly this text, write `=110`"),
            ("US", "911", "for exactly this text, write `=911`"),
            ("US", "(213) 555-XXXX", "write `+1213555XXXX`"),
            ("DE", "030 9018XX", "write `+49309018XX`"),
            (
                "US",
                "213-777-1234, 312-555-0177",
                "write each number as an entry of its own: `[\"+12137771234\", \"+13125550177\"]`",
            ),
            (
                "US",
                "213-777-1234 or (312) 555-0177",
                "write each number as an entry of its own: `[\"+12137771234\", \"+13125550177\"]`",
            ),
        ] {
            let known = Country::from_code(country);
            let problem = NumberPattern::parse_in(text, known).expect_err(text);
            assert_eq!(problem.help.as_deref(), Some(help), "{text} in {country}");
        }
        // What it begins with is not clear.
        for (country, text) in [("DE", "30*"), ("PL", "48*"), ("US", "5550177")] {
            let known = Country::from_code(country);
            let problem = NumberPattern::parse_in(text, known).expect_err(text);
            let help = problem.help.unwrap_or_default();
            assert!(!help.contains("did you mean") && !help.contains("`="), "{text}: {help}");
        }
    }
}
