//! The envelope of a signature: the headers that hold it with its time and id, and the message it covers.
//!
//! `hmac` and `ed25519` share it. A header either holds one thing each, or everything in one:
//! `t=1795700000,v1=00ff…`.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;

use super::encoding::Encoding;
use super::key::SignatureBytes;
use super::message::{self, Message, MessageError, MessageValues};
use super::scheme::{Coverage, Outgoing, VerifyInputs};
use super::signed_time::SignedTime;
use super::{AuthError, SignError, Unverified, required_header};

/// Headers of a signature, and the message that it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    layout: Layout,
    message: Message,
    encoding: Encoding,
    time: Option<SignedTime>,
}

/// Location of a signature, its timestamp and the id of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// A header each.
    Separate {
        /// Header with the signature.
        signature: HeaderName,
        /// Header with the timestamp.
        timestamp: Option<HeaderName>,
        /// Header with the id of the request.
        id: Option<HeaderName>,
        /// Text before each signature; signatures with another one are skipped.
        prefix: Box<str>,
        /// Text between several signatures.
        separator: Option<Box<str>>,
    },
    /// One header with a comma-separated list of `name=value`. Unknown names are skipped.
    Combined {
        /// The header.
        header: HeaderName,
        /// Name of the timestamp, which occurs once.
        timestamp: Box<str>,
        /// Name of each signature.
        signature: Box<str>,
    },
}

/// Reason for which headers and message do not fit together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvelopeError {
    /// Key of the settings that is at fault.
    pub key: &'static str,
    /// Statement of the mistake.
    pub message: String,
    /// Advice to the operator.
    pub help: String,
}

/// Content of the headers.
pub(super) struct OpenedEnvelope<'h> {
    timestamp: &'h [u8],
    id: &'h [u8],
    /// One or more.
    pub(super) signatures: Vec<SignatureBytes>,
    pub(super) signed_at: Option<Timestamp>,
}

impl Envelope {
    /// Combines headers and message.
    ///
    /// # Errors
    /// Returns every mistake: an unknown placeholder, or a header or a tolerance that the message leaves
    /// uncovered.
    pub fn new(
        layout: Layout,
        message: &str,
        encoding: Encoding,
        time: Option<SignedTime>,
    ) -> Result<Envelope, Vec<EnvelopeError>> {
        let name = layout.timestamp_name();
        let message =
            Message::parse(message, name).map_err(|error| vec![no_message(&error, name)])?;
        let errors = layout.mistakes(&message, time.is_some());
        if errors.is_empty() {
            Ok(Envelope { layout, message, encoding, time })
        } else {
            Err(errors)
        }
    }

    /// Creates a platform's own envelope.
    ///
    /// # Panics
    /// Panics if the message does not fit the headers, which a test of the platform would show.
    pub(crate) fn of_platform(
        layout: Layout,
        message: &str,
        encoding: Encoding,
        time: SignedTime,
    ) -> Envelope {
        let envelope = Envelope::new(layout, message, encoding, Some(time));
        envelope.unwrap_or_else(|errors| unreachable!("{errors:?}"))
    }

    /// Returns whether the message contains the public URL.
    pub fn covers_url(&self) -> bool {
        self.message.has_url()
    }

    /// Returns what the message proves.
    pub fn coverage(&self) -> Coverage {
        Coverage {
            body: self.message.has_body(),
            query: self.message.has_query(),
            time: self.time.is_some(),
        }
    }

    /// Reads the headers: signatures of `length` bytes, and a time near enough to now.
    pub(super) fn open<'h>(
        &self,
        headers: &'h HeaderMap,
        length: usize,
        now: Timestamp,
    ) -> Result<OpenedEnvelope<'h>, AuthError> {
        let mut opened = match &self.layout {
            Layout::Separate { signature, timestamp, id, prefix, separator } => {
                let value = required_header(headers, signature)?;
                let items = signatures_of(value, prefix, separator.as_deref());
                OpenedEnvelope {
                    timestamp: optional(headers, timestamp.as_ref())?,
                    id: optional(headers, id.as_ref())?,
                    signatures: self.encoding.decode_all(items, length)?,
                    signed_at: None,
                }
            }
            Layout::Combined { header, timestamp, signature } => {
                let value = required_header(headers, header)?;
                let pairs = || value.split(|byte| *byte == b',').filter_map(name_and_value);
                let mut times = pairs().filter(|(name, _)| *name == timestamp.as_bytes());
                let (Some((_, time)), None) = (times.next(), times.next()) else {
                    return Err(AuthError::Malformed);
                };
                let items = pairs().filter(|(name, _)| *name == signature.as_bytes());
                OpenedEnvelope {
                    timestamp: time,
                    id: &[],
                    signatures: self.encoding.decode_all(items.map(|(_, value)| value), length)?,
                    signed_at: None,
                }
            }
        };
        if let Some(time) = self.time {
            opened.signed_at = Some(time.check(opened.timestamp, now)?);
        }
        Ok(opened)
    }

    /// Returns the message of a request, in parts.
    pub(super) fn message<'v>(
        &'v self,
        request: &'v Unverified,
        opened: &OpenedEnvelope<'v>,
        inputs: &VerifyInputs<'v>,
    ) -> Vec<&'v [u8]> {
        self.message.render(&MessageValues {
            body: &request.body,
            timestamp: opened.timestamp,
            id: opened.id,
            method: &request.head.method,
            public_base_url: inputs.public_base_url,
            target: request.head.target(),
        })
    }

    /// Adds the headers of a request that `sign` signs. An id that is there already stays.
    pub(super) fn seal(
        &self,
        request: &Outgoing<'_>,
        inputs: &VerifyInputs<'_>,
        headers: &mut HeaderMap,
        sign: impl FnOnce(&[&[u8]]) -> Result<Vec<u8>, SignError>,
    ) -> Result<(), SignError> {
        let timestamp = self.time.map(|time| time.write(inputs.now)).unwrap_or_default();
        let id = match &self.layout {
            Layout::Separate { id: Some(name), .. } => {
                let id = message_id(headers, name, inputs.now)?;
                headers.insert(name, id.clone());
                Some(id)
            }
            Layout::Separate { id: None, .. } | Layout::Combined { .. } => None,
        };
        let message = self.message.render(&MessageValues {
            body: request.body,
            timestamp: timestamp.as_bytes(),
            id: id.as_ref().map(HeaderValue::as_bytes).unwrap_or_default(),
            method: request.method,
            public_base_url: inputs.public_base_url,
            target: request.target,
        });
        let signature = self.encoding.encode(&sign(&message)?);
        match &self.layout {
            Layout::Separate { signature: name, timestamp: time, prefix, .. } => {
                headers.insert(name, header_value(&format!("{prefix}{signature}"))?);
                if let Some(name) = time {
                    headers.insert(name, header_value(&timestamp)?);
                }
            }
            Layout::Combined { header, timestamp: time, signature: name } => {
                let value = format!("{time}={timestamp},{name}={signature}");
                headers.insert(header, header_value(&value)?);
            }
        }
        Ok(())
    }
}

impl Layout {
    /// Returns the layout of a signature and a timestamp in a header each.
    pub(crate) fn signature_and_timestamp(
        signature: &'static str,
        timestamp: &'static str,
    ) -> Layout {
        Layout::Separate {
            signature: HeaderName::from_static(signature),
            timestamp: Some(HeaderName::from_static(timestamp)),
            id: None,
            prefix: "".into(),
            separator: None,
        }
    }

    /// Returns the placeholder of the timestamp, if the layout names it.
    fn timestamp_name(&self) -> Option<&str> {
        match self {
            Layout::Combined { timestamp, .. } => Some(timestamp),
            Layout::Separate { .. } => None,
        }
    }

    fn mistakes(&self, message: &Message, has_time: bool) -> Vec<EnvelopeError> {
        let (timestamp, id) = match self {
            Layout::Separate { timestamp, id, .. } => (timestamp.is_some(), id.is_some()),
            Layout::Combined { .. } => (true, false),
        };
        let timestamp_key = match self {
            Layout::Separate { .. } => "timestamp_header",
            Layout::Combined { .. } => "message",
        };
        let placeholder = format!("{{{}}}", self.timestamp_name().unwrap_or("timestamp"));
        let uncovered = |key, what: &str| EnvelopeError {
            key,
            message: format!("the message does not contain {what}, so anyone can change it"),
            help: format!("add {what} to message, as the platform documents it, or remove {key}"),
        };
        let absent = |what: &str, key: &str| EnvelopeError {
            key: "message",
            message: format!("the message contains {what}, and no header holds it"),
            help: format!("set {key} to the header that the platform documents"),
        };
        let mut found = Vec::new();
        match (timestamp, message.has_timestamp()) {
            (true, false) => found.push(uncovered(timestamp_key, &placeholder)),
            (false, true) => found.push(absent("{timestamp}", "timestamp_header")),
            (true, true) | (false, false) => {}
        }
        match (id, message.has_id()) {
            (true, false) => found.push(uncovered("id_header", "{id}")),
            (false, true) => found.push(absent("{id}", "id_header")),
            (true, true) | (false, false) => {}
        }
        if has_time && !timestamp && !message.has_timestamp() {
            found.push(EnvelopeError {
                key: "tolerance_s",
                message: "the message contains no timestamp that could be too old".to_owned(),
                help: "remove tolerance_s, or set timestamp_header and add {timestamp} to message"
                    .to_owned(),
            });
        }
        found
    }
}

fn no_message(error: &MessageError, timestamp: Option<&str>) -> EnvelopeError {
    let help = message::placeholders(timestamp);
    EnvelopeError { key: "message", message: error.to_string(), help }
}

/// Returns the value of a header, if there is one to read.
fn optional<'h>(headers: &'h HeaderMap, name: Option<&HeaderName>) -> Result<&'h [u8], AuthError> {
    name.map_or(Ok(&[][..]), |name| required_header(headers, name))
}

/// Returns the signatures in a header, without their prefix.
fn signatures_of<'h>(
    value: &'h [u8],
    prefix: &str,
    separator: Option<&str>,
) -> impl Iterator<Item = &'h [u8]> {
    let mut rest = Some(value);
    let items = std::iter::from_fn(move || {
        let value = rest?;
        let end = separator.and_then(|separator| find(value, separator.as_bytes()));
        let (item, after) = match (end, separator) {
            (Some(end), Some(separator)) => (&value[..end], Some(&value[end + separator.len()..])),
            (None, _) | (_, None) => (value, None),
        };
        rest = after;
        Some(if separator.is_some() { item.trim_ascii() } else { item })
    });
    items.filter_map(move |item| item.strip_prefix(prefix.as_bytes()))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn name_and_value(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    Some((&pair[..equals], &pair[equals + 1..]))
}

/// Returns the id of a message to be signed: the one that is among the headers already, or a new one.
pub(super) fn message_id(
    headers: &HeaderMap,
    name: &HeaderName,
    now: Timestamp,
) -> Result<HeaderValue, SignError> {
    let new = || header_value(&format!("msg_{}", now.as_microsecond()));
    headers.get(name).cloned().map_or_else(new, Ok)
}

/// Converts a text to the value of a header.
pub(super) fn header_value(text: &str) -> Result<HeaderValue, SignError> {
    HeaderValue::from_str(text).map_err(|_| SignError::NotAHeader)
}
