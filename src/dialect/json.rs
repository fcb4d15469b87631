//! JSON as the dialects need it: read leniently, written without a way to fail.
//!
//! Somebody else writes the bodies: what is missing or of an odd kind is simply unknown.
//!
//! A call must not be lost over one strange field, so nothing here fails but on a body that is no
//! JSON object at all. Duplicate keys: the last one counts, as in every other JSON reader.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::ParseError;
use crate::domain::decision;
use crate::domain::decision::Variable;

/// A JSON object whose values are not read yet, its keys in the order they came.
#[derive(Debug, Default)]
pub(super) struct JsonObject<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// Reads a body.
pub(super) fn object(body: &[u8]) -> Result<JsonObject<'_>, ParseError> {
    // One look at the whole is cheaper than one at each value.
    let text = std::str::from_utf8(body).map_err(|error| {
        let line = body[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
        ParseError::Json { category: "not UTF-8", line, column: 0 }
    })?;
    serde_json::from_str(text).map_err(|error| ParseError::Json {
        category: match error.classify() {
            serde_json::error::Category::Syntax => "syntax error",
            serde_json::error::Category::Data => "another kind of value",
            serde_json::error::Category::Eof | serde_json::error::Category::Io => {
                "it ends too early"
            }
        },
        line: error.line(),
        column: error.column(),
    })
}

impl<'a> JsonObject<'a> {
    /// The value of a key, as text: numbers and booleans as they are written. Unknown when it is
    /// absent, null, a list or an object.
    pub(super) fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.raw(key).and_then(text)
    }

    /// The value of a key as text, and unknown when it is empty.
    pub(super) fn filled(&self, key: &str) -> Option<Cow<'a, str>> {
        self.text(key).filter(|text| !text.is_empty())
    }

    /// The value of a key, when it is a whole number, also written `3.0` or as a text.
    pub(super) fn integer(&self, key: &str) -> Option<i64> {
        let text = self.text(key)?;
        let text = text.trim();
        text.parse().ok().or_else(|| whole_number(text)?.parse().ok())
    }

    /// The value of a key, when it is a finite number, also written as a text.
    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.text(key)?.trim().parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// The value of a key, when it is `true` or `false`, also written as a text, in any capitals.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        flag(&self.text(key)?)
    }

    /// Whether the value of a key is a text, and not a number that looks like one.
    pub(super) fn is_text(&self, key: &str) -> bool {
        self.raw(key).is_some_and(|value| value.get().starts_with('"'))
    }

    /// The value of a key, when it is an object; else an empty one.
    pub(super) fn object(&self, key: &str) -> JsonObject<'a> {
        let inner = self.raw(key).and_then(|value| serde_json::from_str(value.get()).ok());
        inner.unwrap_or_default()
    }

    /// The value of a key, read whole, when it is an object. What is in it decides how much memory
    /// that takes: not for transcripts.
    pub(super) fn whole(&self, key: &str) -> Option<decision::Object> {
        self.raw(key).filter(|value| value.get().starts_with('{'))?;
        let entries = self.object(key).0.into_iter();
        let read = entries.filter_map(|(key, value)| Some((key.into_owned(), whole(value)?)));
        Some(read.collect())
    }

    /// Whether there is no key in it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All keys whose values are texts, numbers or booleans.
    pub(super) fn into_texts(self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        self.0.into_iter().filter_map(|(key, value)| Some((key, text(value)?)))
    }

    /// Whether the key is there, and not null.
    pub(super) fn has(&self, key: &str) -> bool {
        self.raw(key).is_some_and(|value| value.get() != "null")
    }

    fn raw(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
    }
}

/// Writes a value behind what stands in `out`. Memory takes every byte, and what we write has
/// only texts for keys, so nothing can go wrong.
pub(super) fn write(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("plain JSON into memory");
}

/// A value, written.
pub(super) fn written(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write(&mut out, value);
    out
}

/// Variables as an object of texts.
pub(super) struct Variables<'d, 't>(pub(super) &'d [Variable<'t>]);

impl Serialize for Variables<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|variable| (variable.name, &variable.value)))
    }
}

fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    let raw = value.get();
    match raw.as_bytes().first()? {
        b'"' => {
            let inner = &raw[1..raw.len() - 1];
            if inner.contains('\\') { unescaped(raw) } else { Some(Cow::Borrowed(inner)) }
        }
        b'{' | b'[' | b'n' => None,
        _ => Some(whole_number(raw).map_or(Cow::Borrowed(raw), Cow::Owned)),
    }
}

/// `true` or `false`, in any capitals.
pub(super) fn flag(text: &str) -> Option<bool> {
    let text = text.trim();
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if is("true") { Some(true) } else { is("false").then_some(false) }
}

/// A value, read whole. A text with half a surrogate pair, as the shortened words of a model end
/// at times, has U+FFFD for it; a number beyond every range is a text. An object or a list that
/// has such a thing in it, or is nested deeper than 100 times, is unknown.
fn whole(value: &RawValue) -> Option<Value> {
    serde_json::from_str(value.get()).ok().or_else(|| text(value).map(Value::from))
}

/// `12137771234.0` and `1.2137771234e10` are `12137771234`.
fn whole_number(raw: &str) -> Option<String> {
    let written_otherwise = raw.contains(['.', 'e', 'E']) && raw != "true" && raw != "false";
    let number: f64 = if written_otherwise { raw.parse().ok()? } else { return None };
    (number.fract() == 0.0 && number.abs() < 1e15).then(|| format!("{number:.0}"))
}

/// A text with escapes. Half a surrogate pair, which no Rust string can hold, becomes U+FFFD.
fn unescaped(raw: &str) -> Option<Cow<'static, str>> {
    struct Lossy;
    impl Visitor<'_> for Lossy {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
            Ok(String::from_utf8_lossy(bytes).into_owned())
        }
    }
    let mut reader = serde_json::Deserializer::from_str(raw);
    reader.deserialize_bytes(Lossy).ok().map(Cow::Owned)
}

impl<'de: 'a, 'a> Deserialize<'de> for JsonObject<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct JsonKeys;
        impl<'de> Visitor<'de> for JsonKeys {
            type Value = JsonObject<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::with_capacity(8);
                while let Some((JsonKey(key), value)) =
                    map.next_entry::<JsonKey<'de>, &'de RawValue>()?
                {
                    entries.push((key, value));
                }
                Ok(JsonObject(entries))
            }
        }
        deserializer.deserialize_map(JsonKeys)
    }
}

/// A key, borrowed when it has no escapes, which plain `Cow` does not do.
struct JsonKey<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for JsonKey<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = JsonKey<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(JsonKey(String::from_utf8_lossy(bytes)))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(JsonKey(Cow::Owned(String::from_utf8_lossy(bytes).into_owned())))
            }
        }
        // As bytes, for half a surrogate pair in a key must not hide what stands beside it.
        deserializer.deserialize_bytes(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Option<&str>) {
        let object = object(body.as_bytes()).expect("an object");
        assert_eq!(object.text("k").as_deref(), expected, "read from {body}");
    }

    #[test]
    fn odd_values_are_text_or_unknown() {
        check(r#"{"k":"v"}"#, Some("v"));
        check(r#"{"k":12137771234}"#, Some("12137771234"));
        check(r#"{"k":true}"#, Some("true"));
        check(r#"{"k":null}"#, None);
        check(r#"{"k":{"a":1}}"#, None);
        check(r#"{"k":[1]}"#, None);
        check("{}", None);
    }

    #[track_caller]
    fn check_numbers(value: &str, integer: Option<i64>, number: Option<f64>) {
        let body = format!(r#"{{"k":{value}}}"#);
        let object = object(body.as_bytes()).expect("an object");
        assert_eq!(object.integer("k"), integer, "the integer in {body}");
        assert_eq!(object.number("k"), number, "the number in {body}");
    }

    #[test]
    fn numbers_are_read_as_texts_and_with_a_fraction_that_is_none() {
        check_numbers("113", Some(113), Some(113.0));
        check_numbers(r#""113""#, Some(113), Some(113.0));
        check_numbers("113.0", Some(113), Some(113.0));
        check_numbers(r#"" 1.13e2 ""#, Some(113), Some(113.0));
        check_numbers("-2.5", None, Some(-2.5));
        check_numbers("9223372036854775807", Some(i64::MAX), Some(9.223_372_036_854_776e18));
        for odd in ["1e999", r#""""#, r#""NaN""#, r#""inf""#, "true", "null", "[1]", r#"{"a":1}"#] {
            check_numbers(odd, None, None);
        }
    }

    #[test]
    fn an_object_is_read_whole_but_for_what_no_value_can_hold() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let body = format!(
            r#"{{"k":{{"a":[1,{{"b":null}}],"half":"a\ud83d","big":1e999,"deep":{deep}}}}}"#
        );
        let whole = object(body.as_bytes()).expect("an object").whole("k").expect("an object");
        let expected = serde_json::json!({
            "a": [1, { "b": null }], "half": "a\u{fffd}\u{fffd}\u{fffd}", "big": "1e999",
        });
        assert_eq!(Value::Object(whole), expected);
        for odd in ["null", "[]", "7", r#""{}""#] {
            let body = format!(r#"{{"k":{odd}}}"#);
            assert_eq!(object(body.as_bytes()).expect("an object").whole("k"), None, "{odd}");
        }
    }

    #[test]
    fn of_duplicate_keys_the_last_one_counts() {
        check(r#"{"k":"a","k":"b"}"#, Some("b"));
    }

    #[test]
    fn escapes_are_read_and_half_surrogates_replaced() {
        check(r#"{"k":"Zo\u00eb \ud83d\ude00"}"#, Some("Zoë 😀"));
        check(r#"{"\u006b":"v"}"#, Some("v"));
        check(r#"{"k":"a\ud800b"}"#, Some("a\u{fffd}\u{fffd}\u{fffd}b"));
    }

    #[test]
    fn depth_is_no_danger() {
        let deep = format!("{{\"k\":\"v\",\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        check(&deep, Some("v"));
    }
}
