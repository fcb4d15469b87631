//! Replaces values of a JSON text by `null`, wherever their keys occur, and leaves every other byte alone.
//!
//! Bodies of events have megabytes and any depth: nothing is parsed into a tree, and nothing recurses.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;

use super::decision::Object;
use super::unescape;

/// Returns whether a value is removed, by the key of the object that holds it, which is empty for the outermost
/// object, and by the value's own key.
pub type IsRemoved = fn(parent: &str, key: &str) -> bool;

/// Replaces the values of some keys by `null`, in an object that its parent holds under `name`.
pub(crate) fn remove_values(name: &str, object: &mut Object, is_removed: IsRemoved) {
    for (key, value) in object {
        if is_removed(name, key) {
            *value = Value::Null;
        } else {
            remove_inside(key, value, is_removed);
        }
    }
}

fn remove_inside(name: &str, value: &mut Value, is_removed: IsRemoved) {
    match value {
        Value::Object(object) => remove_values(name, object, is_removed),
        Value::Array(items) => {
            items.iter_mut().for_each(|item| remove_inside(name, item, is_removed));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Replaces the values of some keys by `null`. The text must be JSON.
pub(crate) fn without_values(text: &[u8], is_removed: IsRemoved) -> Cow<'_, [u8]> {
    let mut out = Vec::new();
    let mut copied = 0;
    let mut scanner = Scrubber { text, at: 0, objects: Vec::new(), key: Cow::Borrowed("") };
    while scanner.find_key() {
        let parent = scanner.objects.last().map_or("", |name| name);
        if is_removed(parent, &scanner.key) {
            let value = scanner.skip_value();
            out.extend_from_slice(&text[copied..value.start]);
            out.extend_from_slice(b"null");
            copied = value.end;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(&text[copied..]);
    Cow::Owned(out)
}

/// Position in a JSON text, with the keys of the objects around it.
struct Scrubber<'b> {
    text: &'b [u8],
    at: usize,
    /// Keys of the open objects, outermost first.
    objects: Vec<Cow<'b, str>>,
    /// The last key whose value has not ended.
    key: Cow<'b, str>,
}

impl Scrubber<'_> {
    /// Moves behind the next key and its colon. Returns false at the end of the text.
    fn find_key(&mut self) -> bool {
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'"' => {
                    let string = self.skip_string();
                    self.skip_white_space();
                    if self.text.get(self.at) == Some(&b':') {
                        self.at += 1;
                        self.key = decoded(&self.text[string]);
                        return true;
                    }
                }
                b'{' => {
                    self.objects.push(std::mem::take(&mut self.key));
                    self.at += 1;
                }
                b'}' => {
                    // The next object of an array has the same key.
                    self.key = self.objects.pop().unwrap_or_default();
                    self.at += 1;
                }
                _ => self.at += 1,
            }
        }
        false
    }

    /// Skips a value of any kind. Returns its place.
    fn skip_value(&mut self) -> Range<usize> {
        self.skip_white_space();
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'"' => drop(self.skip_string()),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                b'}' | b']' | b',' if depth == 0 => break,
                _ => self.at += 1,
            }
        }
        let end = start + self.text[start..self.at].trim_ascii_end().len();
        start..end
    }

    /// Skips a string. Returns its place, with the quotes.
    fn skip_string(&mut self) -> Range<usize> {
        let start = self.at;
        self.at += 1;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'\\' => self.at += 2,
                b'"' => {
                    self.at += 1;
                    break;
                }
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(self.text.len());
        start..self.at
    }

    fn skip_white_space(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }
}

/// Decodes a key in quotes.
fn decoded(string: &[u8]) -> Cow<'_, str> {
    let text = std::str::from_utf8(string).unwrap_or_default();
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
    if inner.contains('\\') { unescape(text).unwrap_or_default() } else { Cow::Borrowed(inner) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let is_removed =
            |parent: &str, key: &str| key == "secret" || (parent, key) == ("server", "headers");
        let scrubbed = without_values(text.as_bytes(), is_removed);
        assert_eq!(String::from_utf8_lossy(&scrubbed), expected);
        assert_eq!(matches!(scrubbed, Cow::Borrowed(_)), text == expected);
    }

    #[test]
    fn replaces_values_of_every_kind_at_every_depth() {
        check(r#"{"secret":"a"}"#, r#"{"secret":null}"#);
        check(r#"{"secret" : -1.5e3 , "b":1}"#, r#"{"secret" : null , "b":1}"#);
        check(r#"[[{"x":{"secret":[1,{"a":"]}"}]}}]]"#, r#"[[{"x":{"secret":null}}]]"#);
        check(r#"{"secret":{"secret":"a"},"secret":true}"#, r#"{"secret":null,"secret":null}"#);
        check("{\"secret\"\n:\t\"\\\"\\\\\"}\n", "{\"secret\"\n:\tnull}\n");
    }

    #[test]
    fn decides_by_the_object_that_holds_the_value() {
        check(
            r#"{"server":{"url":"u","headers":{"a":"b"}}}"#,
            r#"{"server":{"url":"u","headers":null}}"#,
        );
        check(r#"{"server":{"x":{"headers":1}}}"#, r#"{"server":{"x":{"headers":1}}}"#);
        check(r#"{"server":{"x":{}},"headers":1}"#, r#"{"server":{"x":{}},"headers":1}"#);
        check(
            r#"{"server":[{"x":{"y":1}},{"headers":1},[{"headers":2}]],"headers":3}"#,
            r#"{"server":[{"x":{"y":1}},{"headers":null},[{"headers":null}]],"headers":3}"#,
        );
    }

    #[test]
    fn leaves_texts_and_similar_keys_alone() {
        for text in ["{}", "[]", r#""secret""#, r#"["secret"]"#, r#"{"a":"secret","Secret":1}"#] {
            check(text, text);
        }
        check(
            r#"{"a":"\"secret\":1","secrets":{"a":1}}"#,
            r#"{"a":"\"secret\":1","secrets":{"a":1}}"#,
        );
    }

    #[test]
    fn finds_keys_with_escapes() {
        check(r#"{"\u0073ecret":"a","b":"\u00e9"}"#, r#"{"\u0073ecret":null,"b":"\u00e9"}"#);
    }

    #[test]
    fn ends_at_the_end_of_a_text_that_is_no_json() {
        for text in ["{\"secret\":", "{\"secret\":\"\\", "{\"secret", "\"", "}}}", "{\"secret\":["]
        {
            without_values(text.as_bytes(), |_, key| key == "secret");
        }
    }

    #[test]
    fn depth_is_harmless() {
        let text = format!("{}{{\"secret\":1}}{}", "[".repeat(500_000), "]".repeat(500_000));
        let scrubbed = without_values(text.as_bytes(), |_, key| key == "secret");
        assert!(String::from_utf8_lossy(&scrubbed).contains("{\"secret\":null}"));
    }
}
