//! Secrets that the request carries: in a header, as a bearer token or password, or in the URL.
//!
//! They prove the sender, but neither the body nor the time. An empty secret is never equal to a key.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::key::{Key, is_any_secret};
use super::scheme::{Coverage, Outgoing, Scheme, SignatureScope, UrlToken, VerifyInputs};
use super::{AuthError, KeyError, RequestHead, SignError, Unverified, required_header};
use crate::domain::form::only_parameter;
use crate::domain::secret::Secret;

/// A secret that the request carries.
pub enum SharedScheme {
    /// The value of a header.
    Header(HeaderName),
    /// `Bearer`, in any case, and the secret (RFC 6750), in this header.
    Bearer(HeaderName),
    /// `Basic` and the base64 of `user:password` (RFC 7617) in `Authorization`.
    Basic,
    /// The token of `/inbound/SOURCE/TOKEN`.
    PathToken,
    /// A parameter of the query, which occurs once.
    QueryToken(Box<str>),
}

impl SharedScheme {
    /// Checks the secret of a request.
    fn check(&self, head: &RequestHead, keys: &[Key]) -> Result<(), AuthError> {
        let is_valid = match self {
            SharedScheme::Header(name) => {
                is_any_secret(required_header(&head.headers, name)?, keys)
            }
            SharedScheme::Bearer(name) => {
                let value = required_header(&head.headers, name)?;
                is_any_secret(credentials(value, b"bearer")?, keys)
            }
            SharedScheme::Basic => {
                let value = required_header(&head.headers, header::AUTHORIZATION)?;
                let decoded = STANDARD.decode(credentials(value, b"basic")?);
                is_any_secret(&decoded.map_err(|_| AuthError::Malformed)?, keys)
            }
            SharedScheme::PathToken => {
                return check_token(head.token.as_deref().unwrap_or_default().as_bytes(), keys);
            }
            SharedScheme::QueryToken(name) => {
                let token = only_parameter(head.query().unwrap_or_default(), name);
                return check_token(&token.unwrap_or_default(), keys);
            }
        };
        if is_valid { Ok(()) } else { Err(AuthError::NoMatch) }
    }
}

impl Scheme for SharedScheme {
    fn kind(&self) -> &'static str {
        match self {
            SharedScheme::Header(_) => "shared",
            SharedScheme::Bearer(_) => "bearer",
            SharedScheme::Basic => "basic",
            SharedScheme::PathToken | SharedScheme::QueryToken(_) => "url_token",
        }
    }

    fn key(&self, secret: &Secret) -> Result<Key, KeyError> {
        let bytes = secret.expose();
        match self {
            _ if bytes.is_empty() => {
                Err(KeyError { mistake: "is empty", help: "store the secret there" })
            }
            SharedScheme::Basic if !bytes.contains(&b':') => Err(KeyError {
                mistake: "is no user name and password",
                help: "store both with a colon between them: user:password",
            }),
            SharedScheme::PathToken | SharedScheme::QueryToken(_)
                if !bytes.iter().all(|byte| is_unreserved(*byte)) =>
            {
                Err(KeyError {
                    mistake: "contains characters that a URL must escape",
                    help: "use letters, digits, - . _ and ~",
                })
            }
            SharedScheme::Header(_)
            | SharedScheme::Bearer(_)
            | SharedScheme::Basic
            | SharedScheme::PathToken
            | SharedScheme::QueryToken(_) => Ok(Key::shared(secret)),
        }
    }

    fn stand_in_key(&self, word: &Secret) -> Key {
        match self {
            SharedScheme::Basic => {
                Key::shared(&Secret::new([word.expose(), b":", word.expose()].concat()))
            }
            SharedScheme::Header(_)
            | SharedScheme::Bearer(_)
            | SharedScheme::PathToken
            | SharedScheme::QueryToken(_) => Key::shared(word),
        }
    }

    fn verify(
        &self,
        request: &Unverified,
        inputs: &VerifyInputs<'_>,
    ) -> Result<SignatureScope, AuthError> {
        self.check(&request.head, inputs.keys)?;
        Ok(SignatureScope::Sender { kind: self.kind() })
    }

    fn check_head(&self, head: &RequestHead, inputs: &VerifyInputs<'_>) -> Result<(), AuthError> {
        self.check(head, inputs.keys)
    }

    /// A token of the URL needs no header.
    fn sign(
        &self,
        _: &Outgoing<'_>,
        inputs: &VerifyInputs<'_>,
        headers: &mut HeaderMap,
    ) -> Result<(), SignError> {
        let key = inputs.keys.iter().find_map(Key::as_shared).ok_or(SignError::NoKey)?;
        let (name, value) = match self {
            SharedScheme::Header(name) => (name, key.expose().to_vec()),
            SharedScheme::Bearer(name) => (name, [b"Bearer ", key.expose()].concat()),
            SharedScheme::Basic => {
                (&header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(key.expose())).into())
            }
            SharedScheme::PathToken | SharedScheme::QueryToken(_) => return Ok(()),
        };
        let value = HeaderValue::from_bytes(&value).map_err(|_| SignError::NotAHeader)?;
        headers.insert(name, value);
        Ok(())
    }

    fn coverage(&self) -> Coverage {
        Coverage::SENDER
    }

    fn challenge(&self) -> Option<&'static str> {
        match self {
            SharedScheme::Bearer(name) if *name == header::AUTHORIZATION => Some("Bearer"),
            SharedScheme::Basic => Some(r#"Basic realm="switchboard", charset="UTF-8""#),
            SharedScheme::Bearer(_)
            | SharedScheme::Header(_)
            | SharedScheme::PathToken
            | SharedScheme::QueryToken(_) => None,
        }
    }

    fn url_token<'k>(&self, keys: &'k [Key]) -> Option<UrlToken<'_, 'k>> {
        let token = keys.iter().find_map(Key::as_shared)?;
        match self {
            SharedScheme::PathToken => Some(UrlToken { parameter: None, token }),
            SharedScheme::QueryToken(name) => Some(UrlToken { parameter: Some(name), token }),
            SharedScheme::Header(_) | SharedScheme::Bearer(_) | SharedScheme::Basic => None,
        }
    }
}

/// No signature: the second factor of the source authenticates its requests.
pub struct NoScheme;

impl Scheme for NoScheme {
    fn kind(&self) -> &'static str {
        "none"
    }

    fn key(&self, secret: &Secret) -> Result<Key, KeyError> {
        Ok(Key::shared(secret))
    }

    fn verify(&self, _: &Unverified, _: &VerifyInputs<'_>) -> Result<SignatureScope, AuthError> {
        Ok(SignatureScope::Nothing)
    }

    fn check_head(&self, _: &RequestHead, _: &VerifyInputs<'_>) -> Result<(), AuthError> {
        Ok(())
    }

    fn sign(
        &self,
        _: &Outgoing<'_>,
        _: &VerifyInputs<'_>,
        _: &mut HeaderMap,
    ) -> Result<(), SignError> {
        Ok(())
    }

    fn coverage(&self) -> Coverage {
        Coverage::SENDER
    }

    fn has_keys(&self) -> bool {
        false
    }
}

/// Returns what follows the name of an HTTP authentication scheme, which is written in any case (RFC 9110).
pub(crate) fn credentials<'h>(value: &'h [u8], scheme: &[u8]) -> Result<&'h [u8], AuthError> {
    let space = value.iter().position(|byte| *byte == b' ').ok_or(AuthError::Malformed)?;
    let (name, rest) = value.split_at(space);
    if name.eq_ignore_ascii_case(scheme) { Ok(&rest[1..]) } else { Err(AuthError::Malformed) }
}

fn check_token(token: &[u8], keys: &[Key]) -> Result<(), AuthError> {
    if is_any_secret(token, keys) { Ok(()) } else { Err(AuthError::Token) }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}
