//! Answers in JSON, with all digits of their numbers.

use std::borrow::Cow;

use serde_json::{Number, Value};

use crate::domain::facts::shortest_form;

/// Parses an answer. A number with more digits than 64 bits hold, such as that of a SIM card, is a text.
///
/// # Errors
/// Fails if the answer is not JSON.
pub(super) fn parse_answer(json: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice(&with_long_numbers_as_texts(json))
}

/// Quotes the numbers that would lose digits. Text that is not JSON stays so.
fn with_long_numbers_as_texts(json: &[u8]) -> Cow<'_, [u8]> {
    /// Digits that every float keeps (IEEE 754, `DBL_DIG`).
    const KEPT_DIGITS: usize = 15;
    let is_of_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    let (mut quoted, mut copied, mut at) = (Vec::new(), 0, 0);
    while at < json.len() {
        let rest = &json[at..];
        let length = match rest[0] {
            b'"' => length_of_text(rest),
            b'-' | b'0'..=b'9' => rest.iter().take_while(|byte| is_of_number(byte)).count(),
            _ => 1,
        };
        let token = &rest[..length];
        let is_long = token.len() > KEPT_DIGITS && token[0] != b'"';
        if is_long && loses_digits(token) {
            quoted.extend_from_slice(&json[copied..at]);
            quoted.extend([b"\"", token, b"\""].concat());
            copied = at + length;
        }
        at += length;
    }
    if copied == 0 {
        return json.into();
    }
    quoted.extend_from_slice(&json[copied..]);
    quoted.into()
}

/// Returns the length of a text in JSON with its quotes.
fn length_of_text(json: &[u8]) -> usize {
    let mut is_escaped = false;
    let end = json.iter().skip(1).position(|byte| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    });
    end.map_or(json.len(), |end| end + 2)
}

/// Returns whether a number of JSON becomes another one, written in full.
fn loses_digits(token: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(token) else { return false };
    let Ok(number) = text.parse::<Number>() else { return false };
    let is_plain = !text.contains(['e', 'E']);
    let shortest = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    };
    is_plain && shortest_form(&number) != shortest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        for (text, expected) in [
            ("7", json!(7)),
            ("-7.50", json!(-7.5)),
            ("18446744073709551615", json!(u64::MAX)),
            ("18446744073709551616", json!("18446744073709551616")),
            ("89012608622912345678", json!("89012608622912345678")),
            ("-12345678901234567890123", json!("-12345678901234567890123")),
            ("123456789012345678.25", json!("123456789012345678.25")),
            ("0.1000000000000000000", json!(0.1)),
            ("12.00000000000000000", json!(12.0)),
            ("1e300", json!(1e300)),
            (
                r#"{"a\"1": ["89012608622912345678", 89012608622912345678, {"b\\": 1}]}"#,
                json!({ "a\"1": ["89012608622912345678", "89012608622912345678", { "b\\": 1 }] }),
            ),
        ] {
            assert_eq!(parse_answer(text.as_bytes()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_json_stays_so() {
        for text in [
            "",
            "\"",
            "\"\\",
            "1-2",
            "89012608622912345678x",
            "{\"a\":89012608622912345678",
            "-",
            "\u{e4}",
        ] {
            assert!(parse_answer(text.as_bytes()).is_err(), "{text}");
        }
    }
}
