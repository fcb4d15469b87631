//! Lenient reading and infallible writing of forms: bodies of the media type
//! `application/x-www-form-urlencoded`, and query strings.
//!
//! Every text is a form. A broken escape stands for itself, and bytes that are not UTF-8 become U+FFFD (WHATWG URL,
//! section 5). The fields are split as Twilio's signature splits them, so that no field is read otherwise than
//! it is signed.

use std::borrow::Cow;

use percent_encoding::percent_decode;
use url::form_urlencoded;

use super::decision::Object;

/// Media type of a form.
pub(crate) const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// Maximum number of fields that are read; those behind them are ignored. Platforms send up to 60.
const MAX_FIELDS: usize = 1_000;

/// The fields of a form, in their order. A name may be repeated; the last field counts.
pub struct Form<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Form<'a> {
    /// Parses a body or a query string.
    pub fn parse(encoded: &'a [u8]) -> Form<'a> {
        Form(
            pairs(encoded)
                .take(MAX_FIELDS)
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
        )
    }

    /// Returns whether a field is present, even without a value.
    pub fn has(&self, name: &str) -> bool {
        self.field(name).is_some()
    }

    /// Returns the value of a field, or `None` if it is empty.
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.field(name).filter(|value| !value.is_empty()).cloned()
    }

    /// Returns a whole number.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.text(name)?.trim().parse().ok()
    }

    /// Iterates over the fields whose names begin with `prefix`, without it.
    pub fn with_prefix(&self, prefix: &str) -> impl Iterator<Item = (&str, &Cow<'a, str>)> {
        let fields = self.0.iter();
        fields.filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value)))
    }

    /// Returns the fields without those that have one of the names in `without`, as an object of texts. The
    /// last field of a name counts.
    pub fn to_object(&self, without: &[&str]) -> Object {
        let kept = self.0.iter().filter(|(name, _)| !without.contains(&&**name));
        kept.map(|(name, value)| (name.to_string(), value.as_ref().into())).collect()
    }

    fn field(&self, name: &str) -> Option<&Cow<'a, str>> {
        self.0.iter().rev().find(|(field, _)| field == name).map(|(_, value)| value)
    }
}

/// Restores the `+` before digits: in a form or a query, an unencoded `+` means a blank.
pub fn restore_plus(text: &str) -> String {
    match text.strip_prefix(' ') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => format!("+{rest}"),
        Some(_) | None => text.to_owned(),
    }
}

/// Encodes fields as a form.
pub fn to_vec<'f>(fields: impl IntoIterator<Item = (&'f str, &'f str)>) -> Vec<u8> {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes()
}

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
pub(crate) fn only_parameter<'q>(query: &'q str, name: &str) -> Option<Cow<'q, [u8]>> {
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

fn text(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(form: &str, expected: Option<&str>) {
        assert_eq!(Form::parse(form.as_bytes()).text("a").as_deref(), expected, "{form}");
    }

    #[test]
    fn decodes_a_value_once() {
        check("a=%2B4416", Some("+4416"));
        check("a=x+y%20z", Some("x y z"));
        check("a=%252B", Some("%2B"));
        check("a=Gr%C3%BC%C3%9Fe", Some("Grüße"));
        check("a=1=2", Some("1=2"));
        check("%61=1", Some("1"));
    }

    #[test]
    fn accepts_every_text() {
        check("a=%", Some("%"));
        check("a=%4", Some("%4"));
        check("a=%zz", Some("%zz"));
        check("a=%ff", Some("\u{fffd}"));
        check("&&=&a=1&", Some("1"));
        check("a", None);
        check("a=", None);
        check("", None);
        check("{\"a\":1}", None);
    }

    #[test]
    fn the_last_repeated_field_counts() {
        check("a=1&b=2&a=3", Some("3"));
        check("a=1&a=", None);
        let form = Form::parse(b"a=1&a=2&b=3");
        assert_eq!(
            serde_json::Value::from(form.to_object(&["b"])),
            serde_json::json!({ "a": "2" })
        );
    }

    #[test]
    fn reads_a_limited_number_of_fields() {
        let form = "b=1&".repeat(MAX_FIELDS - 1);
        check(&format!("{form}a=1"), Some("1"));
        check(&format!("{form}b=1&a=1"), None);
    }

    #[test]
    fn reads_what_it_writes() {
        let fields = [("From", "+44 16&=%+\n"), ("ü", ""), ("From", "last")];
        let encoded = to_vec(fields);
        let read = Form::parse(&encoded);
        let read: Vec<_> = read.0.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(read, fields);
    }

    fn texts(form: &str) -> Vec<(String, String)> {
        let text = |bytes: Cow<'_, [u8]>| String::from_utf8_lossy(&bytes).into_owned();
        pairs(form.as_bytes()).map(|(name, value)| (text(name), text(value))).collect()
    }

    #[track_caller]
    fn check_pairs(form: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> =
            expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(texts(form), expected, "{form}");
    }

    #[test]
    fn a_form_is_decoded_once() {
        check_pairs("a=1&b=%2B1+2", &[("a", "1"), ("b", "+1 2")]);
        check_pairs("a=%252B", &[("a", "%2B")]);
        check_pairs("a=++x+%0A", &[("a", "  x \n")]);
        check_pairs("a%3D=b=c", &[("a=", "b=c")]);
        check_pairs("%C3%BC=%F0%9F%91%8B", &[("ü", "👋")]);
    }

    #[test]
    fn odd_forms_lose_nothing() {
        check_pairs("", &[]);
        check_pairs("&&a&=b&", &[("a", ""), ("", "b")]);
        check_pairs("a=%zz%4", &[("a", "%zz%4")]);
        check_pairs("a;b=1", &[("a;b", "1")]);
        check_pairs("a=1&a=2&a=1", &[("a", "1"), ("a", "2"), ("a", "1")]);
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
