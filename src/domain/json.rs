//! Lenient JSON parsing and infallible JSON writing, for the dialects and for signature schemes.
//!
//! One unexpected field must not cost a call: parsing fails only if the body is not a JSON object, and
//! a missing value or one of the wrong type is `None`. The last of duplicate keys counts, as in most
//! other JSON parsers.

mod scrub;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::decision;
use super::decision::Variable;

pub use scrub::IsRemoved;
pub(crate) use scrub::{remove_values, without_values};

/// Reason for which a body is not a JSON object. Contains nothing of the body's content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the body is not a JSON object: {category} at line {line}, column {column}")]
pub struct InvalidJson {
    /// Category of the error.
    pub category: &'static str,
    /// Line, counted from 1; 0 if unknown.
    pub line: usize,
    /// Column, counted from 1; 0 if unknown.
    pub column: usize,
}

/// A JSON object with unparsed values, in the order of the body.
#[derive(Debug, Default)]
pub(crate) struct JsonObject<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// Parses a body.
pub(crate) fn object(body: &[u8]) -> Result<JsonObject<'_>, InvalidJson> {
    // Validating UTF-8 once is cheaper than once per value.
    let text = std::str::from_utf8(body).map_err(|error| {
        let line = body[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
        InvalidJson { category: "not UTF-8", line, column: 0 }
    })?;
    parse_object(text).map_err(|error| InvalidJson {
        category: match error.classify() {
            serde_json::error::Category::Syntax => "syntax error",
            serde_json::error::Category::Data => "unexpected type of value",
            serde_json::error::Category::Eof | serde_json::error::Category::Io => "unexpected end",
        },
        line: error.line(),
        column: error.column(),
    })
}

impl<'a> JsonObject<'a> {
    /// Returns a value as text; numbers and booleans as written. `None` if it is absent, null, an array
    /// or an object.
    pub(crate) fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.raw(key).and_then(text)
    }

    /// Returns a value as text, or `None` if it is empty.
    pub(crate) fn non_empty_text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.text(key).filter(|text| !text.is_empty())
    }

    /// Returns a string, or `None` if it is blank. Unlike a text, it is no number.
    pub(crate) fn word(&self, key: &str) -> Option<Cow<'a, str>> {
        self.text(key).filter(|text| self.is_text(key) && !text.trim().is_empty())
    }

    /// Returns a whole number, which may be written as `3.0` or as a string.
    pub(crate) fn integer(&self, key: &str) -> Option<i64> {
        let text = self.text(key)?;
        let text = text.trim();
        text.parse().ok().or_else(|| whole_number(text)?.parse().ok())
    }

    /// Returns a finite number, which may be written as a string.
    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        self.text(key)?.trim().parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// Returns a time in Unix milliseconds, which may be written as ISO 8601 with an offset. A local time is
    /// ambiguous and yields `None`.
    pub(crate) fn time_ms(&self, key: &str) -> Option<i64> {
        let text = self.text(key)?;
        let parse = || text.trim().parse().ok().map(|at: Timestamp| at.as_millisecond());
        self.integer(key).or_else(parse)
    }

    /// Returns a boolean, which may be written as a string in any case.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        flag(&self.text(key)?)
    }

    /// Returns whether a value is a string, as opposed to a number.
    pub(crate) fn is_text(&self, key: &str) -> bool {
        self.raw(key).is_some_and(|value| value.get().starts_with('"'))
    }

    /// Returns the value at a path of names and array indexes as text; see [`JsonObject::text`].
    pub(crate) fn text_at(&self, path: &[Box<str>]) -> Option<Cow<'a, str>> {
        text(self.raw_at(path)?)
    }

    /// Returns the object at a path of names and array indexes.
    pub(crate) fn object_at(&self, path: &[Box<str>]) -> Option<JsonObject<'a>> {
        parse_object(self.raw_at(path)?.get()).ok()
    }

    fn raw_at(&self, path: &[Box<str>]) -> Option<&'a RawValue> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.raw(first)?, |value, part| step(value, part))
    }

    /// Returns an object, or an empty one if the value is anything else.
    pub(crate) fn object(&self, key: &str) -> JsonObject<'a> {
        let inner = self.raw(key).and_then(|value| parse_object(value.get()).ok());
        inner.unwrap_or_default()
    }

    /// Iterates over the objects of an array. Other items, and a value that is no array, are left out.
    pub(crate) fn objects(&self, key: &str) -> impl Iterator<Item = JsonObject<'a>> {
        let items = self.raw(key).and_then(|value| serde_json::from_str(value.get()).ok());
        let items: Vec<&'a RawValue> = items.unwrap_or_default();
        items.into_iter().filter_map(|item| parse_object(item.get()).ok())
    }

    /// Parses an object completely. Memory use depends on its content: not for transcripts.
    pub(crate) fn parsed_object(&self, key: &str) -> Option<decision::Object> {
        self.raw(key).filter(|value| value.get().starts_with('{'))?;
        let entries = self.object(key).0.into_iter();
        let parsed =
            entries.filter_map(|(key, value)| Some((key.into_owned(), parse_value(value)?)));
        Some(parsed.collect())
    }

    /// Returns whether the object has no keys.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Iterates over the entries whose values are strings, numbers or booleans.
    pub(crate) fn into_texts(self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        self.0.into_iter().filter_map(|(key, value)| Some((key, text(value)?)))
    }

    /// Returns whether a key is present and not null.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.raw(key).is_some_and(|value| value.get() != "null")
    }

    fn raw(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
    }
}

/// Appends a value to `out`. Cannot fail: writing to memory always succeeds, and all keys are strings.
pub(crate) fn write(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("plain JSON into memory");
}

/// Serializes a value.
pub(crate) fn to_vec(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write(&mut out, value);
    out
}

/// Variables as an object of strings.
pub(crate) struct Variables<'d, 't>(pub(crate) &'d [Variable<'t>]);

impl Variables<'_, '_> {
    /// Returns the object.
    pub(crate) fn to_object(&self) -> decision::Object {
        self.0.iter().map(|variable| (variable.name.to_owned(), (*variable.value).into())).collect()
    }
}

impl Serialize for Variables<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|variable| (variable.name, &variable.value)))
    }
}

/// Returns the member of an object, or the item of an array.
fn step<'a>(value: &'a RawValue, part: &str) -> Option<&'a RawValue> {
    let json = value.get();
    if json.starts_with('[') {
        let items: Vec<&'a RawValue> = serde_json::from_str(json).ok()?;
        return items.get(part.parse::<usize>().ok()?).copied();
    }
    parse_object(json).ok()?.raw(part)
}

fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    let raw = value.get();
    match raw.as_bytes().first()? {
        b'"' => {
            let inner = &raw[1..raw.len() - 1];
            let has_escapes = inner.as_bytes().contains(&b'\\');
            if has_escapes { unescape(raw) } else { Some(Cow::Borrowed(inner)) }
        }
        b'{' | b'[' | b'n' => None,
        _ => Some(whole_number(raw).map_or(Cow::Borrowed(raw), Cow::Owned)),
    }
}

/// Parses `true` or `false`, in any case.
pub(crate) fn flag(text: &str) -> Option<bool> {
    let text = text.trim();
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if is("true") { Some(true) } else { is("false").then_some(false) }
}

/// Parses a value completely. A string with half a surrogate pair, as truncated model output sometimes
/// has, gets U+FFFD in its place; a number out of range becomes a string. An object or array that
/// contains either, or is nested more than 100 levels deep, is `None`.
fn parse_value(value: &RawValue) -> Option<Value> {
    serde_json::from_str(value.get()).ok().or_else(|| text(value).map(Value::from))
}

/// Converts `12137771234.0` and `1.2137771234e10` to `12137771234`.
fn whole_number(raw: &str) -> Option<String> {
    if !raw.contains(['.', 'e', 'E']) {
        return None;
    }
    let number: f64 = raw.parse().ok()?;
    (number.fract() == 0.0 && number.abs() < 1e15).then(|| format!("{number:.0}"))
}

/// Decodes a string with escapes. Half a surrogate pair, which Rust strings cannot hold, becomes U+FFFD.
fn unescape(raw: &str) -> Option<Cow<'static, str>> {
    let mut reader = serde_json::Deserializer::from_str(raw);
    reader.deserialize_bytes(Lossy).ok().map(Cow::Owned)
}

/// Decodes a string as bytes, which may have halves of surrogate pairs and control characters.
struct Lossy;

impl Visitor<'_> for Lossy {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
        Ok(without_half_pairs(bytes))
    }
}

/// Replaces each half of a surrogate pair by one U+FFFD, as JavaScript does before it computes a signature.
/// The parser encodes a half in three bytes, `ED A0 80` to `ED BF BF`, none of which is UTF-8 there.
fn without_half_pairs(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if chunk.invalid().starts_with(b"\xed") {
            text.push('\u{fffd}');
        }
    }
    text
}

fn parse_object(json: &str) -> serde_json::Result<JsonObject<'_>> {
    // Half a surrogate pair or a control character in one key must not hide the others. Hardly any key has
    // one, and checking keys leniently takes longer.
    let parsed: serde_json::Result<KeyedObject<'_, TextKey<'_>>> = serde_json::from_str(json);
    parsed.map(|parsed| parsed.object).or_else(|_| {
        let parsed: KeyedObject<'_, LenientKey> = serde_json::from_str(json)?;
        Ok(parsed.object)
    })
}

/// An object whose keys are parsed as `K`.
struct KeyedObject<'a, K> {
    object: JsonObject<'a>,
    keys: PhantomData<K>,
}

trait ObjectKey<'a>: Deserialize<'a> {
    fn into_text(self) -> Cow<'a, str>;
}

/// A key that is valid JSON and a text. Borrows if it has no escapes, which a derived `Cow` does not.
struct TextKey<'a>(Cow<'a, str>);

/// Any key, with U+FFFD for each half of a surrogate pair.
struct LenientKey(String);

impl<'a> ObjectKey<'a> for TextKey<'a> {
    fn into_text(self) -> Cow<'a, str> {
        self.0
    }
}

impl<'a> ObjectKey<'a> for LenientKey {
    fn into_text(self) -> Cow<'a, str> {
        self.0.into()
    }
}

impl<'de> Deserialize<'de> for LenientKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(Lossy).map(LenientKey)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for TextKey<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = TextKey<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(TextKey(text.into()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(TextKey(text.to_owned().into()))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl<'de, K: ObjectKey<'de>> Deserialize<'de> for KeyedObject<'de, K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keyed<K>(PhantomData<K>);
        impl<'de, K: ObjectKey<'de>> Visitor<'de> for Keyed<K> {
            type Value = KeyedObject<'de, K>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::with_capacity(8);
                while let Some((key, value)) = map.next_entry::<K, &'de RawValue>()? {
                    entries.push((key.into_text(), value));
                }
                Ok(KeyedObject { object: JsonObject(entries), keys: PhantomData })
            }
        }
        deserializer.deserialize_map(Keyed(PhantomData))
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
    fn returns_scalars_as_text_and_nothing_else() {
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
    fn parses_numbers_written_as_strings_or_with_a_zero_fraction() {
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
    fn parses_an_object_and_skips_unrepresentable_values() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let body = format!(
            r#"{{"k":{{"a":[1,{{"b":null}}],"half":"a\ud83d","big":1e999,"deep":{deep}}}}}"#
        );
        let parsed =
            object(body.as_bytes()).expect("an object").parsed_object("k").expect("an object");
        let expected = serde_json::json!({
            "a": [1, { "b": null }], "half": "a\u{fffd}", "big": "1e999",
        });
        assert_eq!(Value::Object(parsed), expected);
        for odd in ["null", "[]", "7", r#""{}""#] {
            let body = format!(r#"{{"k":{odd}}}"#);
            assert_eq!(
                object(body.as_bytes()).expect("an object").parsed_object("k"),
                None,
                "{odd}"
            );
        }
    }

    #[test]
    fn the_last_duplicate_key_counts() {
        check(r#"{"k":"a","k":"b"}"#, Some("b"));
    }

    #[test]
    fn decodes_escapes_and_replaces_half_surrogates() {
        check(r#"{"k":"Zo\u00eb \ud83d\ude00"}"#, Some("Zoë 😀"));
        check(r#"{"\u006b":"v"}"#, Some("v"));
        check(r#"{"k":"a\ud800b"}"#, Some("a\u{fffd}b"));
        check(r#"{"k":"\udfff\ud800\ud800"}"#, Some("\u{fffd}\u{fffd}\u{fffd}"));
        check(r#"{"\ud800":"v","k":"\ud7ff\ue000"}"#, Some("\u{d7ff}\u{e000}"));
    }

    #[test]
    fn a_control_character_in_a_key_does_not_hide_the_others() {
        check("{\"a\tkey\":1,\"k\":\"v\"}", Some("v"));
    }

    #[test]
    fn deep_nesting_is_harmless() {
        let deep = format!("{{\"k\":\"v\",\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        check(&deep, Some("v"));
    }
}
