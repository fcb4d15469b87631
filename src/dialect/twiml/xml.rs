//! Writing of the XML that TwiML and TeXML consist of.
//!
//! The form is the one that the official builders produce: no white space between elements, `&` and `<` escaped in
//! texts, `"` in attributes too. A character that XML 1.0 does not allow is left out: a reply that contains one
//! is invalid as a whole, which ends the call.

/// A reply that is being written. Elements are children of `<Response>`.
pub(super) struct Document(String);

const START: &str = r#"<?xml version="1.0" encoding="UTF-8"?><Response>"#;
const END: &str = "</Response>";

/// Name and value of an attribute.
pub(super) type Attribute<'x> = (&'x str, &'x str);

impl Document {
    /// Creates a reply without elements.
    pub(super) fn new() -> Document {
        Document(START.to_owned())
    }

    /// Writes the start of an element, which [`Document::end`] must close.
    pub(super) fn start(&mut self, name: &str, attributes: &[Attribute<'_>]) {
        self.tag(name, attributes);
        self.0.push('>');
    }

    /// Writes the end of an element.
    pub(super) fn end(&mut self, name: &str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// Writes an element without content.
    pub(super) fn empty(&mut self, name: &str, attributes: &[Attribute<'_>]) {
        self.tag(name, attributes);
        self.0.push_str("/>");
    }

    /// Writes an element that contains a text.
    pub(super) fn text(&mut self, name: &str, attributes: &[Attribute<'_>], text: &str) {
        self.start(name, attributes);
        escape(&mut self.0, text, XmlPlace::Text);
        self.end(name);
    }

    /// Returns the whole reply.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.push_str(END);
        self.0.into_bytes()
    }

    fn tag(&mut self, name: &str, attributes: &[Attribute<'_>]) {
        self.0.push('<');
        self.0.push_str(name);
        for (attribute, value) in attributes {
            self.0.push(' ');
            self.0.push_str(attribute);
            self.0.push_str("=\"");
            escape(&mut self.0, value, XmlPlace::Attribute);
            self.0.push('"');
        }
    }
}

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum XmlPlace {
    Text,
    Attribute,
}

/// Appends a value. Line breaks and tabs are escaped where a parser would replace them (XML 1.0, sections 2.11
/// and 3.3.3).
fn escape(out: &mut String, value: &str, place: XmlPlace) {
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '"' if place == XmlPlace::Attribute => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\n' if place == XmlPlace::Attribute => out.push_str("&#10;"),
            '\t' if place == XmlPlace::Attribute => out.push_str("&#9;"),
            // `]]>` must not occur in a text (section 2.4).
            '>' if place == XmlPlace::Text && out.ends_with("]]") => out.push_str("&gt;"),
            c if is_allowed(c) => out.push(c),
            _ => {}
        }
    }
}

/// Returns whether XML 1.0 allows a character (section 2.2). Rust has no surrogates.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(write: impl FnOnce(&mut Document), expected: &str) {
        let mut document = Document::new();
        write(&mut document);
        let written = String::from_utf8(document.finish()).expect("UTF-8");
        assert_eq!(written, format!("{START}{expected}{END}"));
    }

    #[test]
    fn writes_elements() {
        check(
            |document| {
                document.start("Dial", &[("timeout", "20")]);
                document.text("Sip", &[], "sip:a@b?x=1&y=2");
                document.end("Dial");
                document.empty("Hangup", &[]);
            },
            r#"<Dial timeout="20"><Sip>sip:a@b?x=1&amp;y=2</Sip></Dial><Hangup/>"#,
        );
    }

    #[test]
    fn escapes_what_has_a_meaning_in_xml() {
        check(
            |document| document.text("Say", &[], "\"a\" & 'b' <c> ]]>"),
            "<Say>\"a\" &amp; 'b' &lt;c> ]]&gt;</Say>",
        );
        check(
            |document| document.empty("P", &[("v", "\"a\" & 'b' <c>\r\n\t")]),
            r#"<P v="&quot;a&quot; &amp; 'b' &lt;c>&#13;&#10;&#9;"/>"#,
        );
    }

    #[test]
    fn leaves_out_what_xml_does_not_allow() {
        check(
            |document| document.text("Say", &[], "a\0\u{1b}\u{fffe}\u{7f}🙂"),
            "<Say>a\u{7f}🙂</Say>",
        );
    }
}
