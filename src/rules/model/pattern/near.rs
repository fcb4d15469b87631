//! What to write for texts that contain a number or came from one: `fax +49 30 901820`, `1-800-FLOWERS`,
//! `#NAME?`. Only help texts use it.

use crate::domain::dialling_plan::{is_north_american, usual_length};
use crate::domain::party::Party;
use crate::domain::phone_number::PhoneNumber;

/// Returns what to do about a cell that a spreadsheet has changed.
pub(super) fn spreadsheet_advice(text: &str) -> Option<String> {
    let again = |what: &str| Some(format!("{what}; format the column as text and export it again"));
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let is_rounded = unsigned.split_once(['E', 'e']).is_some_and(|(value, exponent)| {
        let part = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        value.split(['.', ',']).all(part) && part(exponent.trim_start_matches('+'))
    });
    let error = text.strip_prefix('#').unwrap_or_default();
    let is_error = error.starts_with(char::is_alphabetic)
        && (error.trim_end().ends_with(['!', '?']) || ["N/A", "NV", "N/D"].contains(&error));
    if is_rounded {
        again("a spreadsheet rounded this number")
    } else if is_error {
        again("a spreadsheet took this for a formula")
    } else if text.len() > 2 && text.bytes().all(|byte| byte == b'#') {
        again("the column of the spreadsheet was too narrow for the number")
    } else {
        None
    }
}

/// Returns how to write several numbers.
pub(super) fn several_numbers(text: &str) -> Option<String> {
    let starts = text.match_indices('+').map(|(at, _)| at);
    if starts.clone().count() < 2 {
        return None;
    }
    let ends = starts.clone().skip(1).chain([text.len()]);
    let numbers = starts.zip(ends).map(|(start, end)| whole_number(&text[start..end]));
    let numbers: Vec<String> = numbers.collect::<Option<_>>()?;
    Some(format!("put each number in quotes of its own: `[\"{}\"]`", numbers.join("\", \"")))
}

/// Returns the first number and the last one of a range: `+12135550101 to +12135550199`.
pub(super) fn last_of_range(text: &str) -> Option<(PhoneNumber, String)> {
    const BETWEEN: [&str; 11] =
        ["to", "-", "--", "..", "...", "\u{2013}", "\u{2014}", "until", "through", "bis", "thru"];
    let (_, rest) = text.split_once('+')?;
    let at = text.len() - rest.len() + rest.find('+')?;
    let (first, last) = text.split_at(at);
    let lead = first.trim_end_matches(|c: char| !c.is_ascii_digit());
    let between = first[lead.len()..].trim();
    if !BETWEEN.contains(&between) || last[1..].contains('+') {
        return None;
    }
    let (first, last) = (whole_number(lead)?, whole_number(last)?);
    // Digits behind a common beginning.
    let same = first.bytes().zip(last.bytes()).take_while(|(first, last)| first == last).count();
    let is_range = first.len() == last.len() && first < last;
    is_range.then(|| Some((PhoneNumber::parse(&first).ok()?, last[same..].to_owned())))?
}

/// Returns how to write the only number in a text with words before or after it.
pub(super) fn number_inside(text: &str) -> Option<String> {
    let is_one = text.matches('+').count() == 1 || text.contains(";phone-context=");
    let at = text.find('+').filter(|_| is_one)?;
    // `whatsapp:+1…` is the name of a caller at some platforms.
    let before = &text[..at];
    let is_name = before.ends_with(':') && before.to_ascii_lowercase().starts_with("whatsapp");
    if is_name || before.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    whole_number(&text[at..]).map(|number| format!("write `{number}`"))
}

/// Returns the number with which a text begins, if what follows is no part of it.
fn whole_number(text: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_digit() || "+ -.()/".contains(c);
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let word = rest.chars().take_while(|c| c.is_alphabetic()).count();
    // One letter can stand for a digit: `O958`.
    if word == 1 || rest.starts_with(['*', '?', '[', '{', '|', '\\', '^', '$']) {
        return None;
    }
    // `(` and `-` belong to what follows, a bracket before the number to what precedes.
    let number = number.trim_end_matches(|c: char| !c.is_ascii_digit());
    plausible(&number.replace(['(', ')'], " "))
}

/// Returns the number that a text is, if it has a usual length.
fn plausible(text: &str) -> Option<String> {
    let number = PhoneNumber::parse(text).ok()?;
    usual_length(number).is_ok().then(|| number.unmasked())
}

/// Returns the number that was meant by letters in place of digits, or by zeros before the country code.
pub(super) fn similar_number(text: &str) -> Option<String> {
    let rest = text.strip_prefix('+').unwrap_or(text);
    if let Some(number) = keypad_number(rest) {
        return Some(format!("write `{number}`"));
    }
    if !text.starts_with('+') {
        return None;
    }
    let digits = rest.trim_start_matches(['0', '+', ' ']);
    if digits.len() < rest.len() {
        let number = plausible(&format!("+{digits}"))?;
        return Some(format!("did you mean `{number}`?"));
    }
    let typed = rest.replace(['O', 'o'], "0").replace(['I', 'l'], "1");
    let number = plausible(&format!("+{typed}"))?;
    (typed != rest).then(|| format!("it has letters in place of digits; did you mean `{number}`?"))
}

/// Returns the number of North America that a word on a keypad stands for: `1-800-FLOWERS`.
fn keypad_number(text: &str) -> Option<String> {
    const KEYS: [&str; 8] = ["ABC", "DEF", "GHI", "JKL", "MNO", "PQRS", "TUV", "WXYZ"];
    let key = |letter: char| KEYS.iter().position(|letters| letters.contains(letter));
    let mut digits = String::new();
    let mut letters = 0;
    for c in text.chars() {
        match c.to_ascii_uppercase() {
            c if c.is_ascii_digit() => digits.push(c),
            c if c.is_ascii_alphabetic() => {
                letters += 1;
                digits.extend(key(c).and_then(|key| char::from_digit(key as u32 + 2, 10)));
            }
            c if " -.()".contains(c) => {}
            _ => return None,
        }
    }
    let national = match digits.len() {
        11 => digits.strip_prefix('1')?,
        _ => &digits,
    };
    let area = text.trim_start_matches(['1', ' ', '-', '.', '(']).get(..3)?;
    // `X` is any digit of a pattern.
    let is_pattern = text.contains("XX") || text.contains("xx");
    let is_number = letters >= 3 && !is_pattern && area.bytes().all(|byte| byte.is_ascii_digit());
    let is_national = is_number && is_north_american(national);
    is_national
        .then(|| format!("+1{national}"))
        .filter(|number| matches!(Party::parse(Some(number)).party, Party::Number(_)))
}

#[cfg(test)]
mod tests {
    use crate::rules::NumberPattern;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let problem = NumberPattern::parse(text).expect_err(text);
        let help = problem.help.unwrap_or_default();
        assert!(help.contains(expected), "{text}: {help}");
        assert!(!help.contains("`="), "{text}: {help}");
    }

    #[test]
    fn the_number_in_a_text_is_proposed() {
        for text in [
            "fax +44 20 7946 0958",
            "Mobile: +44 20 7946 0958",
            "callto:+442079460958",
            "(+44) 20 7946 0958",
            "+44 20 7946 0958 (mobile)",
            "+44 20 7946 0958 home",
            "+44 20 7946 0958 \u{2013} Ann",
            "+44 20 7946 0958 poste 12",
            "+44 20 7946 0958 Durchwahl 12",
            "+44 20 7946 0958 ramal 12",
            "+442079460958@s.whatsapp.net",
            "+44-20-7946-0958;phone-context=+44",
            "++442079460958",
            "+00442079460958",
            "+44 20 7946 O958",
            "+44 020 7946 0958",
            "\u{201c}+442079460958\u{201d}",
        ] {
            check(text, "`+442079460958`");
        }
        check("+44 (020) 7946 0958", "`+442079460958`");
        check("+39 (0) 6 12345678", "`+390612345678`");
        check("1-800-FLOWERS", "`+18003569377`");
        check("+1-800-FLOWERS", "`+18003569377`");
        check("+442079460958 or +442079460959", "`[\"+442079460958\", \"+442079460959\"]`");
        check("+442079460958 / +442079460959", "`[\"+442079460958\", \"+442079460959\"]`");
    }

    #[test]
    fn the_x_of_a_pattern_is_no_key_of_a_keypad() {
        for text in ["(213) 777-XXXX", "213-777-xxxx"] {
            let problem = NumberPattern::parse(text).expect_err(text);
            let help = problem.help.unwrap_or_default();
            assert!(!help.contains("9999"), "{text}: {help}");
        }
    }

    #[test]
    fn what_no_number_came_from_gets_no_number() {
        for text in ["^\\+4420", "+44 20 7946 095[89]", "+1 or so"] {
            let problem = NumberPattern::parse(text).expect_err(text);
            let help = problem.help.unwrap_or_default();
            assert!(!help.contains("write `="), "{text}: {help}");
            assert!(!help.contains("+44207946"), "{text}: {help}");
        }
        for (text, expected) in [
            ("#ERROR!", "took this for a formula"),
            ("#BEZUG!", "took this for a formula"),
            ("#NOM?", "took this for a formula"),
            ("########", "too narrow"),
            ("+4.42E+11", "rounded this number"),
        ] {
            check(text, expected);
        }
    }

    #[test]
    fn a_number_with_many_decimal_parts_is_refused() {
        let text = "+442079460958".to_owned() + &".0".repeat(100_000);
        assert_eq!(NumberPattern::parse(&text).expect_err("no number").code, "bad-number");
    }

    #[test]
    fn characters_that_look_like_a_number_are_one() {
        for text in [
            "+44\u{a0}20\u{202f}7946\u{2011}0958",
            "\u{202a}+442079460958\u{202c}",
            "\u{200b}+44 20 7946 0958\u{feff}",
            "\u{ff0b}\u{ff14}\u{ff14}2079460958",
            "+\u{664}\u{664}\u{662}\u{660}79460958",
        ] {
            assert_eq!(NumberPattern::parse(text), NumberPattern::parse("+442079460958"), "{text}");
        }
        assert_eq!(
            NumberPattern::parse("+39 (06) 12345678"),
            NumberPattern::parse("+390612345678")
        );
    }
}
