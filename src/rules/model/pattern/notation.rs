//! What to write for patterns in the notation of other tools: `+1213555####`, `+1213.*`, `US|CA`, `not +1213*`,
//! `United States`. Only help texts use it. Each proposal is a pattern that can be read.

use super::{NumberPattern, is_national};
use crate::domain::country::suggested_country;

/// Returns the parts of a text that commas, words such as `or`, or other separators divide.
pub(super) fn parts(text: &str) -> impl Iterator<Item = &str> {
    let words = [" or ", " and ", " oder ", " und ", " ou ", " et ", " y ", " o "];
    let word = words.into_iter().find(|word| text.contains(word)).unwrap_or(",");
    let parts = text.split(word).flat_map(|part| part.split([',', ';', '|', '&', '\n']));
    parts.map(str::trim).filter(|part| !part.is_empty())
}

/// Returns how to write several patterns.
pub(super) fn as_list(patterns: &[String]) -> String {
    format!("write each number as an entry of its own: `[\"{}\"]`", patterns.join("\", \""))
}

/// Returns the help for a pattern that means countries, several numbers or an exclusion.
pub(super) fn other_notation(text: &str) -> Option<String> {
    countries(text).or_else(|| exclusion(text)).or_else(|| several_national(text))
}

/// Returns whether a text names a country.
pub(super) fn is_country(text: &str) -> bool {
    named_country(text).is_some()
}

fn countries(text: &str) -> Option<String> {
    let parts = parts(text).flat_map(|part| part.split('/')).map(str::trim);
    // Names contain spaces, so spaces only separate codes: `US CA`.
    let codes_with_spaces = || {
        let are_codes = text.split_whitespace().all(|word| word.len() == 2);
        are_codes.then(|| country_codes(text.split_whitespace()))?
    };
    let codes = country_codes(parts).or_else(codes_with_spaces)?;
    match &codes[..] {
        [] => None,
        [code] => Some(format!("for a country, write `{code}`")),
        codes => Some(format!(
            "write each country as an entry of its own: `[\"{}\"]`",
            codes.join("\", \"")
        )),
    }
}

/// Returns the code of each country, if every part names one.
fn country_codes<'t>(parts: impl Iterator<Item = &'t str>) -> Option<Vec<String>> {
    parts.map(|part| named_country(part.trim_end_matches('*').trim_end())).collect()
}

fn exclusion(text: &str) -> Option<String> {
    let pattern = after_not(text)?;
    // `not not …` is not parsed, since a text of many such words would recurse too deeply.
    let is_pattern = after_not(pattern).is_none() && NumberPattern::parse(pattern).is_ok();
    is_pattern.then(|| format!("to exclude it, write `!{pattern}`"))
}

/// Returns the text after a word or a sign for an exclusion. A minus with a space behind it begins an entry of a list
/// in other files.
pub(crate) fn after_not(text: &str) -> Option<&str> {
    let sign = ["!=", "<>", "-", "~"].into_iter().find_map(|sign| text.strip_prefix(sign));
    if let Some(rest) = sign.filter(|rest| rest.starts_with(['+', '@']) || is_country(rest)) {
        return Some(rest);
    }
    const WORDS: [&str; 8] = ["not", "no", "except", "outside", "without", "nicht", "!", "!="];
    let (word, rest) = text.split_once([' ', ':'])?;
    WORDS.contains(&&*word.to_ascii_lowercase()).then(|| rest.trim())
}

/// Returns how to write several lists in one text: `@blocked, @vip`.
pub(crate) fn several_lists(text: &str) -> Option<String> {
    let parts: Vec<String> = parts(text).map(str::to_owned).collect();
    let is_several = parts.len() > 1 && parts.iter().all(|part| part.starts_with('@'));
    is_several.then(|| {
        format!("write each list as an entry of its own: `[\"{}\"]`", parts.join("\", \""))
    })
}

/// Returns the area code of North America that a text is or names: `212`, `area code 212`. Codes such as 911 are no
/// area.
pub(super) fn area_code(text: &str) -> Option<&str> {
    let text = without_area_words(text);
    let digits = text.as_bytes();
    let is_area = digits.len() == 3
        && digits.iter().all(u8::is_ascii_digit)
        && digits[0] >= b'2'
        && digits[1..] != *b"11";
    is_area.then_some(text)
}

/// Returns a text without the words for an area code before its digits.
pub(super) fn without_area_words(text: &str) -> &str {
    const WORDS: [&str; 4] = ["area code", "area", "prefix", "code"];
    let word = WORDS
        .into_iter()
        .find(|word| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)));
    word.map_or(text, |word| text[word.len()..].trim_matches([' ', ':', '(', ')']))
}

/// Returns the help for several numbers of which no country is known.
fn several_national(text: &str) -> Option<String> {
    let is_number = |part: &str| is_national(part.trim_start_matches('+'));
    let is_several = parts(text).count() > 1 && parts(text).all(is_number);
    is_several.then(|| {
        "write each number as an entry of its own, with `+` and the country code".to_owned()
    })
}

/// Returns the pattern for a number that is followed by the wildcards of another notation: `+1213555####`,
/// `+1213.*`.
pub(super) fn other_wildcards(text: &str) -> Option<String> {
    let text = text.trim_start_matches('^').trim_end_matches('$');
    let text = text.trim_start_matches('\\');
    let end = text.find(|c: char| !(c.is_ascii_digit() || "+ -()/".contains(c)))?;
    let (lead, tail) = text.split_at(end);
    let lead = lead.strip_prefix('+')?;
    let digits: String = lead.chars().filter(char::is_ascii_digit).collect();
    let any = ["\\d", "[0-9]"].into_iter().find_map(|any| tail.strip_prefix(any));
    let count = any.and_then(|rest| rest.strip_prefix('{')?.strip_suffix('}')?.parse().ok());
    let is_any_digit = |c: char| "#.?_xXnN*".contains(c);
    let count: usize = match count {
        Some(count @ 1..=15) => count,
        Some(_) => return None,
        None => tail.chars().filter(|c| is_any_digit(*c)).count(),
    };
    let is_counted = any.is_some() || tail.chars().all(|c| is_any_digit(c) || " -".contains(c));
    let is_rest = [".*", ".+", "%", "#*", "?*", "*", "...", "…", "+", "-*"].contains(&tail)
        || any.is_some_and(|rest| ["*", "+"].contains(&rest));
    let proposed = match is_rest {
        true => format!("+{digits}*"),
        false if is_counted => format!("+{digits}{}", "X".repeat(count)),
        false => return None,
    };
    let is_right = proposed != text && NumberPattern::parse(&proposed).is_ok();
    is_right.then(|| format!("write `{proposed}`"))
}

/// Returns the code of a country that a text names: its code, a usual abbreviation, or its name.
fn named_country(text: &str) -> Option<String> {
    let is_code = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_short = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_code || is_short {
        return suggested_country(text);
    }
    let name = text.to_lowercase();
    let name = name.strip_prefix("the ").unwrap_or(&name);
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, code)| (*code).to_owned())
}

/// Names of countries, in English and in their own languages, in lower case.
const NAMES: [(&str, &str); 64] = [
    ("argentina", "AR"),
    ("australia", "AU"),
    ("austria", "AT"),
    ("österreich", "AT"),
    ("belgium", "BE"),
    ("belgië", "BE"),
    ("belgique", "BE"),
    ("brazil", "BR"),
    ("brasil", "BR"),
    ("canada", "CA"),
    ("chile", "CL"),
    ("china", "CN"),
    ("colombia", "CO"),
    ("czech republic", "CZ"),
    ("czechia", "CZ"),
    ("denmark", "DK"),
    ("danmark", "DK"),
    ("finland", "FI"),
    ("suomi", "FI"),
    ("france", "FR"),
    ("germany", "DE"),
    ("deutschland", "DE"),
    ("great britain", "GB"),
    ("england", "GB"),
    ("united kingdom", "GB"),
    ("greece", "GR"),
    ("hong kong", "HK"),
    ("hungary", "HU"),
    ("india", "IN"),
    ("indonesia", "ID"),
    ("ireland", "IE"),
    ("israel", "IL"),
    ("italy", "IT"),
    ("italia", "IT"),
    ("japan", "JP"),
    ("luxembourg", "LU"),
    ("malaysia", "MY"),
    ("mexico", "MX"),
    ("méxico", "MX"),
    ("netherlands", "NL"),
    ("nederland", "NL"),
    ("new zealand", "NZ"),
    ("nigeria", "NG"),
    ("norway", "NO"),
    ("norge", "NO"),
    ("philippines", "PH"),
    ("poland", "PL"),
    ("polska", "PL"),
    ("portugal", "PT"),
    ("romania", "RO"),
    ("russia", "RU"),
    ("singapore", "SG"),
    ("south africa", "ZA"),
    ("spain", "ES"),
    ("españa", "ES"),
    ("sweden", "SE"),
    ("sverige", "SE"),
    ("switzerland", "CH"),
    ("schweiz", "CH"),
    ("suisse", "CH"),
    ("turkey", "TR"),
    ("ukraine", "UA"),
    ("united states", "US"),
    ("united states of america", "US"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let problem = NumberPattern::parse(text).expect_err(text);
        assert_eq!(problem.help.as_deref(), Some(expected), "{text}");
    }

    #[test]
    fn wildcards_of_other_tools_become_those_of_the_language() {
        for text in [
            "+1213555####",
            "+1 213-555-####",
            "+1213555....",
            "+1213555????",
            "+1213555xxxx",
            "+1213555____",
            "+1213555****",
            "+1213555\\d{4}",
            "+1213555[0-9]{4}",
        ] {
            check(text, "write `+1213555XXXX`");
        }
        for text in ["+1213.*", "+1213%", "+1213...", "+1213\\d+", "+1213?*"] {
            check(text, "write `+1213*`");
        }
    }

    #[test]
    fn countries_are_written_by_their_codes() {
        for text in ["US*", "United States", "the United States", "USA", "usa"] {
            check(text, "for a country, write `US`");
        }
        for text in ["US|CA", "US,CA", "US, CA", "US / CA", "US or CA", "US CA", "USA & Canada"] {
            check(text, "write each country as an entry of its own: `[\"US\", \"CA\"]`");
        }
        check("not +1213*", "to exclude it, write `!+1213*`");
        check("not US", "to exclude it, write `!US`");
        check("-US", "to exclude it, write `!US`");
        check("-+1213*", "to exclude it, write `!+1213*`");
        // An entry of a list in YAML.
        check("- +12137771234", "write `+12137771234`");
    }

    #[test]
    fn a_text_of_many_exclusions_is_refused() {
        let text = "not ".repeat(100_000) + "US";
        assert_eq!(NumberPattern::parse(&text).expect_err("no pattern").code, "bad-pattern");
    }

    #[test]
    fn what_no_caller_sends_is_not_proposed_as_a_text() {
        for text in [
            "213-777-1234, 312-555-0177",
            "213-777-9999 or 312-555-0177",
            "US|CA|@vip",
            "213-777-1234 x5",
            "sales*",
            "Mexico*",
            "1234567 Ann",
        ] {
            let problem = NumberPattern::parse(text).expect_err(text);
            let help = problem.help.unwrap_or_default();
            assert!(!help.is_empty() && !help.contains("`="), "{text}: {help}");
        }
    }
}
