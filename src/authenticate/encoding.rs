//! Encodings of signatures and keys, read as strictly as the strictest verifier.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

use super::key::SignatureBytes;
use super::{AuthError, KeyError};

/// Maximum number of signatures in one request: each costs a comparison, or with Ed25519 a verification.
pub(super) const MAX_SIGNATURES: usize = 16;

/// Encoding of a signature in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Hexadecimal digits, in upper or lower case.
    Hex,
    /// Base64 in the standard alphabet, with padding.
    Base64,
}

impl Encoding {
    /// Decodes a signature of `length` bytes; `None` if it has another length or form.
    pub(super) fn decode(self, text: &[u8], length: usize) -> Option<SignatureBytes> {
        let mut bytes = [0; 66];
        let decoded = match self {
            // The length first: the decoder would accept `0x` before the digits.
            Encoding::Hex if text.len() == 2 * length => {
                hex::decode_to_slice(text, bytes.get_mut(..length)?).ok()?;
                length
            }
            Encoding::Hex => return None,
            Encoding::Base64 => STANDARD.decode_slice(text, &mut bytes).ok()?,
        };
        if decoded == length { SignatureBytes::new(&bytes[..length]) } else { None }
    }

    /// Decodes the signatures of a request, of `length` bytes each. Those of another length or form are skipped.
    pub(super) fn decode_all<'h>(
        self,
        items: impl Iterator<Item = &'h [u8]>,
        length: usize,
    ) -> Result<Vec<SignatureBytes>, AuthError> {
        let items: Vec<_> = items.take(MAX_SIGNATURES + 1).collect();
        let decoded: Vec<_> = items.iter().filter_map(|item| self.decode(item, length)).collect();
        let is_valid = !decoded.is_empty() && items.len() <= MAX_SIGNATURES;
        if is_valid { Ok(decoded) } else { Err(AuthError::Malformed) }
    }

    pub(super) fn encode(self, bytes: &[u8]) -> String {
        match self {
            Encoding::Hex => hex::encode(bytes),
            Encoding::Base64 => STANDARD.encode(bytes),
        }
    }
}

/// Form in which the operator has the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyEncoding {
    /// The bytes of the text itself.
    Text,
    /// Base64 in the standard alphabet; the padding may be missing.
    Base64,
    /// Hexadecimal digits.
    Hex,
    /// `whsec_`, followed by base64, as in Standard Webhooks.
    Whsec,
}

/// Keys are copied by hand, and some platforms show them without padding.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl KeyEncoding {
    /// Decodes a key.
    pub(super) fn decode(self, secret: &[u8]) -> Result<Vec<u8>, KeyError> {
        let decoded = match self {
            KeyEncoding::Text => secret.to_vec(),
            KeyEncoding::Base64 => KEY_BASE64.decode(secret).map_err(|_| KeyError {
                mistake: "is not base64",
                help: "copy the key as the platform shows it; key_encoding names its form",
            })?,
            KeyEncoding::Hex => {
                // The decoder would accept `0x` before the digits.
                let decoded = hex::decode(secret).ok();
                decoded.filter(|key| secret.len() == 2 * key.len()).ok_or(KeyError {
                    mistake: "does not consist of hexadecimal digits",
                    help: "copy the key as the platform shows it; key_encoding names its form",
                })?
            }
            KeyEncoding::Whsec => {
                let base64 = secret.strip_prefix(b"whsec_").ok_or(KeyError {
                    mistake: "does not begin with whsec_",
                    help: "copy the whole key, or set key_encoding = \"base64\"",
                })?;
                KEY_BASE64.decode(base64).map_err(|_| KeyError {
                    mistake: "is not base64 after whsec_",
                    help: "copy the whole key as the platform shows it",
                })?
            }
        };
        if decoded.is_empty() {
            return Err(KeyError {
                mistake: "is an empty key",
                help: "with an empty key everyone can sign; copy the whole key",
            });
        }
        Ok(decoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_nothing_but_its_hexadecimal_digits() {
        let is_signature = |text: &str| Encoding::Hex.decode(text.as_bytes(), 32).is_some();
        let digits = "00fF".repeat(16);
        assert!(is_signature(&digits));
        for other in [
            format!("0x{digits}"),
            format!("0x{}", &digits[2..]),
            digits[2..].to_owned(),
            format!("{digits}00"),
            digits.replace('F', "g"),
        ] {
            assert!(!is_signature(&other), "{other}");
        }
    }

    #[test]
    fn a_key_is_nothing_but_its_hexadecimal_digits() {
        assert_eq!(KeyEncoding::Hex.decode(b"6b65Fe").unwrap(), b"ke\xfe");
        for other in ["0x6b65", "0x", "6b6", "6g"] {
            assert!(KeyEncoding::Hex.decode(other.as_bytes()).is_err(), "{other}");
        }
    }
}
