//! Twilio's signature (`twilio` 9.13.0 of PyPI, `request_validator`): base64 of the HMAC over the public URL and
//! the sorted parameters of a form.
//!
//! * The key is the auth token with SHA-1. If `X-Twilio-Webhooks-Signature-Settings` names a shared key (public
//!   beta), it is that key with the algorithm it names, and the auth token is not tried.
//! * The URL is the configured base, and the path and query of the request line, untouched. Twilio's back ends
//!   differ in the port, so two spellings are tried: without a port, and with the standard one.
//! * A form adds each name and value, sorted and without repetitions. Any other body must have its SHA-256 in the
//!   URL, as `bodySHA256`.
//! * There is no timestamp: a captured request stays valid.

use axum::http::{HeaderMap, Method};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::encoding::Encoding;
use super::envelope::header_value;
use super::key::{Algorithm, HmacKey, Key, Material, SignatureBytes};
use super::scheme::{Coverage, Outgoing, Scheme, SignatureScope, VerifyInputs};
use super::{
    AuthError, KeyError, RequestHead, SignError, Unverified, media_type, required_header,
    single_header,
};
use crate::domain::form;
use crate::domain::secret::Secret;

const KIND: &str = "twilio";
const SIGNATURE: &str = "x-twilio-signature";
const SETTINGS: &str = "x-twilio-webhooks-signature-settings";
const BODY_HASH: &str = "bodySHA256";

/// Twilio's scheme.
pub struct TwilioScheme;

/// Content of the headers.
struct TwilioSignature<'h> {
    signature: SignatureBytes,
    algorithm: Algorithm,
    /// Id of the shared key; `None` for the auth token.
    key_id: Option<&'h str>,
}

impl Scheme for TwilioScheme {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn key(&self, secret: &Secret) -> Result<Key, KeyError> {
        Ok(self.stand_in_key(secret))
    }

    fn stand_in_key(&self, word: &Secret) -> Key {
        Key::hmac(Algorithm::Sha1, word.expose())
    }

    fn verify(
        &self,
        request: &Unverified,
        inputs: &VerifyInputs<'_>,
    ) -> Result<SignatureScope, AuthError> {
        let head = &request.head;
        let opened = open(&head.headers)?;
        let keys = valid_keys(inputs.keys, &opened)?;
        let parameters = signed_parameters(
            &head.method,
            media_type(&head.headers).as_deref(),
            head.query().unwrap_or_default(),
            &request.body,
        )?;
        let found =
            spellings(inputs.public_base_url).iter().fold(Choice::from(0), |found, base| {
                let parts = [base.as_bytes(), head.target().as_bytes(), &parameters];
                keys.iter()
                    .fold(found, |found, key| found | key.makes_any(&[opened.signature], &parts))
            });
        if found.into() {
            Ok(SignatureScope::Body { header: KIND, signed_at: None })
        } else {
            Err(AuthError::NoMatch)
        }
    }

    fn check_head(&self, head: &RequestHead, inputs: &VerifyInputs<'_>) -> Result<(), AuthError> {
        let opened = open(&head.headers)?;
        valid_keys(inputs.keys, &opened).map(drop)
    }

    fn sign(
        &self,
        request: &Outgoing<'_>,
        inputs: &VerifyInputs<'_>,
        headers: &mut HeaderMap,
    ) -> Result<(), SignError> {
        let query = request.target.split_once('?').map_or("", |(_, query)| query);
        let parameters =
            signed_parameters(request.method, media_type(headers).as_deref(), query, request.body)
                .map_err(|_| SignError::NoBodyHash)?;
        let key = match &inputs.keys.first().ok_or(SignError::NoKey)?.0 {
            Material::Named { id, sha256, .. } => {
                let settings = format!("key={id},algorithm=HMAC_SHA256");
                headers.insert(SETTINGS, header_value(&settings)?);
                sha256
            }
            Material::Hmac(key) => key,
            Material::Ed25519 { .. } | Material::Shared(_) | Material::Each(_) => {
                return Err(SignError::NoKey);
            }
        };
        let url = [inputs.public_base_url.as_bytes(), request.target.as_bytes(), &parameters];
        let signature = Encoding::Base64.encode(key.mac(url).as_bytes());
        headers.insert(SIGNATURE, header_value(&signature)?);
        Ok(())
    }

    fn coverage(&self) -> Coverage {
        Coverage { body: true, query: true, time: false }
    }

    fn covers_url(&self) -> bool {
        true
    }
}

fn open(headers: &HeaderMap) -> Result<TwilioSignature<'_>, AuthError> {
    let signature = required_header(headers, SIGNATURE)?;
    let (algorithm, key_id) = match single_header(headers, SETTINGS)? {
        None => (Algorithm::Sha1, None),
        Some(settings) => {
            let (algorithm, id) = read_settings(settings)?;
            (algorithm, Some(id))
        }
    };
    let signature = Encoding::Base64.decode(signature, algorithm.digest_bytes());
    Ok(TwilioSignature { signature: signature.ok_or(AuthError::Malformed)?, algorithm, key_id })
}

/// Reads `key=webhooks_sharedkey_…,algorithm=HMAC_SHA256`. Unknown names are skipped.
fn read_settings(settings: &[u8]) -> Result<(Algorithm, &str), AuthError> {
    let settings = std::str::from_utf8(settings).map_err(|_| AuthError::Malformed)?;
    let value = |wanted: &str| {
        let pairs = settings.split(',').filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == wanted).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            _ => Err(AuthError::Malformed),
        }
    };
    let algorithm = match value("algorithm")? {
        "HMAC_SHA1" => Algorithm::Sha1,
        "HMAC_SHA256" => Algorithm::Sha256,
        _ => return Err(AuthError::UnknownKey),
    };
    Ok((algorithm, value("key")?))
}

/// Returns the keys that may have made the signature.
fn valid_keys<'k>(
    keys: &'k [Key],
    opened: &TwilioSignature<'_>,
) -> Result<Vec<&'k HmacKey>, AuthError> {
    let Some(wanted) = opened.key_id else {
        return Ok(keys.iter().filter_map(Key::as_hmac).collect());
    };
    let named = keys.iter().find_map(|key| match &key.0 {
        Material::Named { id, sha1, sha256 } if **id == *wanted => Some(match opened.algorithm {
            Algorithm::Sha1 => sha1,
            Algorithm::Sha256 | Algorithm::Sha512 => sha256,
        }),
        Material::Named { .. }
        | Material::Hmac(_)
        | Material::Ed25519 { .. }
        | Material::Shared(_)
        | Material::Each(_) => None,
    });
    Ok(vec![named.ok_or(AuthError::UnknownKey)?])
}

/// Returns what is signed after the URL: the parameters of a form. Any other body has its hash in the URL.
fn signed_parameters(
    method: &Method,
    media_type: Option<&str>,
    query: &str,
    body: &[u8],
) -> Result<Vec<u8>, AuthError> {
    if *method == Method::POST && media_type == Some(form::MEDIA_TYPE) {
        let mut pairs: Vec<_> = form::pairs(body).collect();
        pairs.sort_unstable();
        pairs.dedup();
        return Ok(pairs
            .iter()
            .flat_map(|(name, value)| [&**name, &**value])
            .collect::<Vec<_>>()
            .concat());
    }
    if !body.is_empty() {
        let signed = form::only_parameter(query, BODY_HASH).ok_or(AuthError::BodyHash)?;
        let hash = hex::encode(Sha256::digest(body));
        if !bool::from(hash.as_bytes().ct_eq(&signed)) {
            return Err(AuthError::BodyHash);
        }
    }
    Ok(Vec::new())
}

/// Returns the base URL without a port, and with one: its own, or the standard port of its scheme.
fn spellings(base: &str) -> [String; 2] {
    let (scheme, rest) = base.split_once("://").unwrap_or(("https", base));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let port = authority.rfind(':').filter(|colon| {
        let digits = &authority[colon + 1..];
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    let host = &authority[..port.unwrap_or(authority.len())];
    let standard = if scheme == "https" { ":443" } else { ":80" };
    let port = port.map_or(standard, |colon| &authority[colon..]);
    [format!("{scheme}://{host}{path}"), format!("{scheme}://{host}{port}{path}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_spellings(base: &str, bare: &str, with_port: &str) {
        assert_eq!(spellings(base), [bare, with_port], "{base}");
    }

    #[test]
    fn the_url_has_two_spellings() {
        check_spellings("https://a.example", "https://a.example", "https://a.example:443");
        check_spellings("http://a.example/x", "http://a.example/x", "http://a.example:80/x");
        check_spellings("https://a.example:443", "https://a.example", "https://a.example:443");
        check_spellings(
            "https://a.example:8443/x:1",
            "https://a.example/x:1",
            "https://a.example:8443/x:1",
        );
        check_spellings(
            "https://[2001:db8::1]",
            "https://[2001:db8::1]",
            "https://[2001:db8::1]:443",
        );
        check_spellings(
            "https://[2001:db8::1]:8443",
            "https://[2001:db8::1]",
            "https://[2001:db8::1]:8443",
        );
    }

    #[track_caller]
    fn check_parameters(body: &str, expected: &str) {
        let parameters =
            signed_parameters(&Method::POST, Some(form::MEDIA_TYPE), "", body.as_bytes());
        assert_eq!(parameters.as_deref(), Ok(expected.as_bytes()), "{body}");
    }

    #[test]
    fn parameters_are_sorted_and_not_repeated() {
        check_parameters("b=2&a=1", "a1b2");
        check_parameters("a=2&a=1&a=2", "a1a2");
        check_parameters("From=%2B1&Body=++x&Empty=", "Body  xEmptyFrom+1");
        check_parameters("a=1&B=2", "B2a1");
        check_parameters("ab=1&a=2", "a2ab1");
        check_parameters("", "");
    }

    #[test]
    fn a_body_that_is_no_form_has_its_hash_in_the_url() {
        let check = |method, query: &str, body: &str| {
            signed_parameters(&method, Some("application/json"), query, body.as_bytes())
        };
        let hash = "bodySHA256=44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        assert_eq!(check(Method::POST, hash, "{}"), Ok(vec![]));
        assert_eq!(check(Method::POST, &format!("a=1&{hash}"), "{}"), Ok(vec![]));
        assert_eq!(check(Method::POST, hash, "{ }"), Err(AuthError::BodyHash));
        assert_eq!(check(Method::POST, "", "{}"), Err(AuthError::BodyHash));
        assert_eq!(check(Method::POST, &format!("{hash}&{hash}"), "{}"), Err(AuthError::BodyHash));
        assert_eq!(check(Method::GET, "", ""), Ok(vec![]));
        assert_eq!(check(Method::GET, "", "{}"), Err(AuthError::BodyHash));
    }
}
