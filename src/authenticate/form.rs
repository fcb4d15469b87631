//! Forms and queries: `application/x-www-form-urlencoded`, decoded once into bytes.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// Returns the names and values of a form, in its order. A name without `=` has an empty value; nothing is
/// trimmed, and an invalid escape stays as it is.
pub(crate) fn pairs(form: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    let parts = form.split(|byte| *byte == b'&').filter(|part| !part.is_empty());
    parts.map(|part| {
        let equals = part.iter().position(|byte| *byte == b'=');
        let (name, value) = match equals {
            Some(at) => (&part[..at], &part[at + 1..]),
            None => (part, &[][..]),
        };
        (decode(name), decode(value))
    })
}

/// Returns the value of a query parameter that occurs exactly once.
pub(super) fn only_parameter<'q>(query: &'q str, name: &str) -> Option<Cow<'q, [u8]>> {
    let mut values = pairs(query.as_bytes()).filter(|(found, _)| **found == *name.as_bytes());
    match (values.next(), values.next()) {
        (Some((_, value)), None) => Some(value),
        _ => None,
    }
}

fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'+') {
        return percent_decode(text).into();
    }
    // Before the escapes are decoded: `%2B` is a plus sign.
    let spaced: Vec<_> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Cow::Owned(percent_decode(&spaced).collect())
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
    use proptest::prelude::*;

    use super::*;

    fn texts(form: &str) -> Vec<(String, String)> {
        let text = |bytes: Cow<'_, [u8]>| String::from_utf8_lossy(&bytes).into_owned();
        pairs(form.as_bytes()).map(|(name, value)| (text(name), text(value))).collect()
    }

    #[track_caller]
    fn check(form: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> =
            expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(texts(form), expected, "{form}");
    }

    #[test]
    fn a_form_is_decoded_once() {
        check("a=1&b=%2B1+2", &[("a", "1"), ("b", "+1 2")]);
        check("a=%252B", &[("a", "%2B")]);
        check("a=++x+%0A", &[("a", "  x \n")]);
        check("a%3D=b=c", &[("a=", "b=c")]);
        check("%C3%BC=%F0%9F%91%8B", &[("ü", "👋")]);
    }

    #[test]
    fn odd_forms_lose_nothing() {
        check("", &[]);
        check("&&a&=b&", &[("a", ""), ("", "b")]);
        check("a=%zz%4", &[("a", "%zz%4")]);
        check("a;b=1", &[("a;b", "1")]);
        check("a=1&a=2&a=1", &[("a", "1"), ("a", "2"), ("a", "1")]);
    }

    #[test]
    fn a_repeated_parameter_has_no_value() {
        assert_eq!(only_parameter("a=1&b=2", "b").as_deref(), Some(&b"2"[..]));
        assert_eq!(only_parameter("b=1&b=2", "b"), None);
        assert_eq!(only_parameter("", "b"), None);
    }

    proptest! {
        #[test]
        fn every_pair_survives_encoding(wanted in prop::collection::vec(any::<(Vec<u8>, Vec<u8>)>(), 0..5)) {
            let encode = |bytes| percent_encode(bytes, NON_ALPHANUMERIC).to_string();
            let form = wanted.iter().map(|(a, b)| format!("{}={}", encode(a), encode(b)));
            let form = form.collect::<Vec<_>>().join("&");
            let found: Vec<_> =
                pairs(form.as_bytes()).map(|(a, b)| (a.into_owned(), b.into_owned())).collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
