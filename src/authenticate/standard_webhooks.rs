//! Standard Webhooks 1.0 (OpenAI, Svix, Vapi's recommended form): `webhook-id`, `webhook-timestamp` and
//! `webhook-signature: v1,BASE64 v1,BASE64`, over `{id}.{timestamp}.{body}`.
//!
//! `v1` is HMAC-SHA256, `v1a` is Ed25519; other versions are skipped. A secret is `whsec_` and base64, a public
//! key `whpk_` and base64, a private key `whsk_` and base64; any other secret is a text, as in OpenAI's SDKs. The
//! `openai` SDKs also accept a signature without a version; the specification does not, and neither does this.

use axum::http::{HeaderMap, HeaderName};
use jiff::Timestamp;

use super::ed25519::private_key;
use super::encoding::{Encoding, KeyEncoding, MAX_SIGNATURES};
use super::envelope::{header_value, message_id};
use super::key::{Key, SignatureBytes, matches_any_key};
use super::scheme::{Coverage, Outgoing, Scheme, SignatureScope, VerifyInputs};
use super::signed_time::{SignedTime, TimeUnit};
use super::{AuthError, KeyError, RequestHead, SignError, Unverified, required_header};
use crate::domain::secret::Secret;

const KIND: &str = "standard_webhooks";

/// A scheme of Standard Webhooks.
pub struct StandardWebhooksScheme {
    id: HeaderName,
    timestamp: HeaderName,
    signature: HeaderName,
    time: SignedTime,
}

impl StandardWebhooksScheme {
    /// Prefix of the headers in the specification.
    pub const PREFIX: &str = "webhook-";
    /// Tolerance of all reference libraries.
    pub const TOLERANCE_S: u32 = 300;

    /// Creates the scheme with a prefix of its headers (`webhook-`, `svix-`); `None` if it cannot be one.
    pub fn new(prefix: &str, tolerance_s: u32) -> Option<StandardWebhooksScheme> {
        let header = |name: &str| format!("{prefix}{name}").to_ascii_lowercase().parse().ok();
        Some(StandardWebhooksScheme {
            id: header("id")?,
            timestamp: header("timestamp")?,
            signature: header("signature")?,
            time: SignedTime { unit: TimeUnit::Seconds, tolerance_s },
        })
    }

    fn open<'h>(
        &self,
        headers: &'h HeaderMap,
        now: Timestamp,
    ) -> Result<WebhookSignatures<'h>, AuthError> {
        let id = required_header(headers, &self.id)?;
        let timestamp = required_header(headers, &self.timestamp)?;
        let signature = required_header(headers, &self.signature)?;
        let mut opened = WebhookSignatures {
            id,
            timestamp,
            signed_at: Timestamp::UNIX_EPOCH,
            macs: Vec::new(),
            signatures: Vec::new(),
        };
        let items: Vec<_> =
            signature.split(|byte| *byte == b' ').take(MAX_SIGNATURES + 1).collect();
        for item in &items {
            if let Some(text) = item.strip_prefix(b"v1,") {
                opened.macs.extend(Encoding::Base64.decode(text, 32));
            } else if let Some(text) = item.strip_prefix(b"v1a,") {
                opened.signatures.extend(Encoding::Base64.decode(text, 64));
            }
        }
        let is_empty = opened.macs.is_empty() && opened.signatures.is_empty();
        if is_empty || items.len() > MAX_SIGNATURES {
            return Err(AuthError::Malformed);
        }
        opened.signed_at = self.time.check(timestamp, now)?;
        Ok(opened)
    }
}

/// Content of the headers.
struct WebhookSignatures<'h> {
    id: &'h [u8],
    timestamp: &'h [u8],
    signed_at: Timestamp,
    /// Version `v1`.
    macs: Vec<SignatureBytes>,
    /// Version `v1a`.
    signatures: Vec<SignatureBytes>,
}

/// The scheme as specified: headers that begin with `webhook-`, a tolerance of five minutes.
impl Default for StandardWebhooksScheme {
    fn default() -> StandardWebhooksScheme {
        let scheme = StandardWebhooksScheme::new(Self::PREFIX, Self::TOLERANCE_S);
        scheme.expect("the specified prefix is the beginning of a header")
    }
}

impl Scheme for StandardWebhooksScheme {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn key(&self, secret: &Secret) -> Result<Key, KeyError> {
        if let Some(key) = private_key(secret) {
            return key;
        }
        let bytes = secret.expose();
        match bytes.strip_prefix(b"whpk_") {
            Some(public) => Key::ed25519_public(&KeyEncoding::Base64.decode(public)?),
            None => Ok(Key::hmac_sha256(&encoding_of(bytes).decode(bytes)?)),
        }
    }

    fn key_bytes(&self, secret: &Secret) -> usize {
        encoding_of(secret.expose()).decode(secret.expose()).map_or(0, |key| key.len())
    }

    fn verify(
        &self,
        request: &Unverified,
        inputs: &VerifyInputs<'_>,
    ) -> Result<SignatureScope, AuthError> {
        let opened = self.open(&request.head.headers, inputs.now)?;
        let parts = [opened.id, b".", opened.timestamp, b".", &request.body];
        let mut is_valid = matches_any_key(&opened.macs, inputs.keys, &parts);
        if !opened.signatures.is_empty() {
            let message = parts.concat();
            is_valid |= inputs.keys.iter().any(|key| {
                let mut signatures = opened.signatures.iter();
                signatures.any(|signature| key.verifies(&message, signature.as_bytes()))
            });
        }
        if is_valid {
            Ok(SignatureScope::Body { header: KIND, signed_at: Some(opened.signed_at) })
        } else {
            Err(AuthError::NoMatch)
        }
    }

    fn check_head(&self, head: &RequestHead, inputs: &VerifyInputs<'_>) -> Result<(), AuthError> {
        self.open(&head.headers, inputs.now).map(drop)
    }

    /// An id that is among the headers already stays.
    fn sign(
        &self,
        request: &Outgoing<'_>,
        inputs: &VerifyInputs<'_>,
        headers: &mut HeaderMap,
    ) -> Result<(), SignError> {
        let key = inputs.keys.first().ok_or(SignError::NoKey)?;
        let id = message_id(headers, &self.id, inputs.now)?;
        let timestamp = self.time.write(inputs.now);
        let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", request.body];
        let signature = match key.as_hmac() {
            Some(key) => format!("v1,{}", Encoding::Base64.encode(key.mac(parts).as_bytes())),
            None => {
                let signature = key.sign_ed25519(&parts.concat()).ok_or(SignError::PublicKey)?;
                format!("v1a,{}", Encoding::Base64.encode(&signature))
            }
        };
        headers.insert(&self.id, id);
        headers.insert(&self.timestamp, header_value(&timestamp)?);
        headers.insert(&self.signature, header_value(&signature)?);
        Ok(())
    }

    fn coverage(&self) -> Coverage {
        Coverage::BODY_AND_TIME
    }
}

/// Returns the form of an HMAC key: base64 after `whsec_`, otherwise a text.
fn encoding_of(secret: &[u8]) -> KeyEncoding {
    if secret.starts_with(b"whsec_") { KeyEncoding::Whsec } else { KeyEncoding::Text }
}
