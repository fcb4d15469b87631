//! The signed message: a template over the parts of a request, such as `{timestamp}.{body}`.
//!
//! Every placeholder stands for bytes of the request as they arrived; nothing is decoded or normalised.

use axum::http::Method;

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message(Vec<MessagePart>);

/// Literal text, or the placeholder of a part of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum MessagePart {
    Literal(Box<str>),
    Body,
    Timestamp,
    Id,
    Method,
    /// The public URL: base, path and query.
    Url,
    /// The path of the request line.
    Path,
    /// The query of the request line, without the question mark.
    Query,
}

/// Reason for which a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// There is no such placeholder.
    #[error("there is no placeholder {{{0}}}")]
    Unknown(Box<str>),
    /// A brace is not closed, or was not opened.
    #[error("a brace has no partner")]
    Brace,
    /// The message is the same for every request.
    #[error("the message has no placeholder, so all requests would have the same signature")]
    Constant,
}

/// Lists the placeholders, as advice to the operator. `timestamp` is the name of the timestamp in a combined header.
pub(super) fn placeholders(timestamp: Option<&str>) -> String {
    let timestamp = timestamp.unwrap_or("timestamp");
    format!(
        "placeholders are {{body}}, {{method}}, {{url}}, {{path}}, {{query}}, {{{timestamp}}} and {{id}}"
    )
}

/// Parts of a request.
#[derive(Clone, Copy)]
pub(super) struct MessageValues<'v> {
    pub(super) body: &'v [u8],
    pub(super) timestamp: &'v [u8],
    pub(super) id: &'v [u8],
    pub(super) method: &'v Method,
    pub(super) public_base_url: &'v str,
    /// Path and query.
    pub(super) target: &'v str,
}

impl Message {
    /// Parses a template. `timestamp` is the name of the timestamp in a combined header, which is a
    /// placeholder too.
    ///
    /// # Errors
    /// Fails at an unknown placeholder, at a brace without its partner, and without any placeholder.
    pub fn parse(text: &str, timestamp: Option<&str>) -> Result<Message, MessageError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(brace) = rest.find(['{', '}']) {
            let (literal, after) = rest.split_at(brace);
            push_literal(&mut parts, literal);
            let inner = after.strip_prefix('{').ok_or(MessageError::Brace)?;
            let (name, after) = inner.split_once('}').ok_or(MessageError::Brace)?;
            parts.push(placeholder(name, timestamp)?);
            rest = after;
        }
        if parts.iter().all(|part| matches!(part, MessagePart::Literal(_))) {
            return Err(MessageError::Constant);
        }
        push_literal(&mut parts, rest);
        Ok(Message(parts))
    }

    /// Returns whether the message contains the body.
    pub fn has_body(&self) -> bool {
        self.0.contains(&MessagePart::Body)
    }

    /// Returns whether the message contains the timestamp.
    pub fn has_timestamp(&self) -> bool {
        self.0.contains(&MessagePart::Timestamp)
    }

    /// Returns whether the message contains the id of the request.
    pub fn has_id(&self) -> bool {
        self.0.contains(&MessagePart::Id)
    }

    /// Returns whether the message contains the public URL.
    pub fn has_url(&self) -> bool {
        self.0.contains(&MessagePart::Url)
    }

    /// Returns whether the message contains the query: alone, or in the public URL.
    pub fn has_query(&self) -> bool {
        self.0.contains(&MessagePart::Query) || self.has_url()
    }

    /// Returns the message in parts, to be concatenated.
    pub(super) fn render<'v>(&'v self, values: &MessageValues<'v>) -> Vec<&'v [u8]> {
        let (path, query) = values.target.split_once('?').unwrap_or((values.target, ""));
        let mut bytes = Vec::with_capacity(self.0.len() + 1);
        for part in &self.0 {
            if *part == MessagePart::Url {
                bytes.push(values.public_base_url.as_bytes());
            }
            bytes.push(match part {
                MessagePart::Literal(text) => text.as_bytes(),
                MessagePart::Body => values.body,
                MessagePart::Timestamp => values.timestamp,
                MessagePart::Id => values.id,
                MessagePart::Method => values.method.as_str().as_bytes(),
                MessagePart::Path => path.as_bytes(),
                MessagePart::Query => query.as_bytes(),
                MessagePart::Url => values.target.as_bytes(),
            });
        }
        bytes
    }
}

fn push_literal(parts: &mut Vec<MessagePart>, text: &str) {
    if !text.is_empty() {
        parts.push(MessagePart::Literal(text.into()));
    }
}

fn placeholder(name: &str, timestamp: Option<&str>) -> Result<MessagePart, MessageError> {
    Ok(match name {
        "body" => MessagePart::Body,
        "timestamp" => MessagePart::Timestamp,
        "id" => MessagePart::Id,
        "method" => MessagePart::Method,
        "url" => MessagePart::Url,
        "path" => MessagePart::Path,
        "query" => MessagePart::Query,
        name if Some(name) == timestamp => MessagePart::Timestamp,
        unknown => return Err(MessageError::Unknown(unknown.into())),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VALUES: MessageValues<'_> = MessageValues {
        body: b"{body}",
        timestamp: b"17",
        id: b"m1",
        method: &Method::POST,
        public_base_url: "https://a.example:8443/x",
        target: "/in%2Fbound/a?b=%2B1&c",
    };

    #[track_caller]
    fn check(template: &str, expected: &str) {
        let message = Message::parse(template, Some("t")).unwrap();
        assert_eq!(message.render(&VALUES).concat(), expected.as_bytes(), "{template}");
    }

    #[test]
    fn placeholders_stand_for_the_bytes_of_the_request() {
        check("{timestamp}.{body}", "17.{body}");
        check("{t}|{body}", "17|{body}");
        check("{id}.{timestamp}.{body}", "m1.17.{body}");
        check(
            "{method} {url} {body}",
            "POST https://a.example:8443/x/in%2Fbound/a?b=%2B1&c {body}",
        );
        check("{path}\n{query}", "/in%2Fbound/a\nb=%2B1&c");
        check("v0:{body}ß", "v0:{body}ß");
    }

    #[test]
    fn a_target_without_a_query_has_an_empty_one() {
        let message = Message::parse("{path}[{query}]", None).unwrap();
        let values = MessageValues { target: "/a", ..VALUES };
        assert_eq!(message.render(&values).concat(), b"/a[]");
    }

    #[test]
    fn other_texts_are_refused() {
        let parse = |text| Message::parse(text, None).unwrap_err();
        assert_eq!(parse("{svix-id}.{body}"), MessageError::Unknown("svix-id".into()));
        assert_eq!(parse("{t}.{body}"), MessageError::Unknown("t".into()));
        assert_eq!(parse("{}"), MessageError::Unknown("".into()));
        for text in ["{body", "body}", "{body}}", "}{body}"] {
            assert_eq!(parse(text), MessageError::Brace, "{text}");
        }
        assert_eq!(parse("{{body}}"), MessageError::Unknown("{body".into()));
        assert_eq!(parse(""), MessageError::Constant);
        assert_eq!(parse("body"), MessageError::Constant);
    }

    proptest! {
        /// A value that looks like a placeholder is not replaced a second time, and literals stay as they are.
        #[test]
        fn rendering_concatenates_literals_and_values(
            literals in prop::collection::vec("[^{}]{0,5}", 2..6),
            body in any::<Vec<u8>>(),
        ) {
            let template = literals.join("{body}");
            let message = Message::parse(&template, None).unwrap();
            let rendered = message.render(&MessageValues { body: &body, ..VALUES }).concat();
            let literals: Vec<_> = literals.iter().map(|text| text.as_bytes()).collect();
            prop_assert_eq!(rendered, literals.join(&*body));
        }
    }
}
