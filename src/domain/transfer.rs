//! Targets of transferred calls: phone numbers and SIP addresses.

use std::borrow::Cow;
use std::fmt;

use super::dialling_plan;
use super::party::NumberFormat;
use super::phone_number::{Country, PhoneNumber};

/// Number or SIP address to which a call is transferred. Prints numbers masked.
///
/// ```
/// use switchboard::domain::transfer::TransferTarget;
///
/// let target = TransferTarget::parse("tel:+1-213-777-1234").unwrap();
/// assert_eq!(target.unmasked(), "+12137771234");
/// assert!(TransferTarget::parse("sip:desk@pbx.example.com;transport=tls").is_ok());
/// assert!(TransferTarget::parse("desk@pbx.example.com").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferTarget {
    /// A phone number.
    Number(PhoneNumber),
    /// A SIP address: `sip:desk@pbx.example.com;transport=tls`.
    Sip(SipUri),
}

/// A URI with the scheme `sip` or `sips`, a host, and none of the characters that end a URI in SIP headers,
/// XML or HTTP (RFC 3261, section 19.1).
#[derive(Clone, PartialEq, Eq)]
pub struct SipUri(Box<str>);

/// Reason why no call can be transferred to a text. The messages address the author of a rule file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    /// Neither a number with a country code nor a SIP address.
    #[error("it is neither a number with `+` and a country code nor a SIP address")]
    Form,
    /// The SIP address has no host.
    #[error("the SIP address has no host")]
    NoHost,
    /// The SIP address contains a character that must be escaped.
    #[error("the SIP address contains `{0}`, which must be escaped")]
    Character(char),
}

impl TransferTarget {
    /// Parses `+12137771234`, `tel:+12137771234`, or a URI with the scheme `sip` or `sips`.
    ///
    /// # Errors
    /// Returns the reason why no call can be transferred to this text.
    pub fn parse(text: &str) -> Result<TransferTarget, InvalidTarget> {
        let text = text.trim();
        if let Some(uri) = SipUri::parse(text)? {
            return Ok(TransferTarget::Sip(uri));
        }
        let number = strip_scheme(text, "tel:").unwrap_or(text);
        if dialling_plan::before_range(number).is_some() {
            return Err(InvalidTarget::Form);
        }
        let number = PhoneNumber::parse(number).map_err(|_| InvalidTarget::Form)?;
        Ok(TransferTarget::Number(number))
    }

    /// Parses a target like [`TransferTarget::parse`], or a number as it is written in `country`.
    ///
    /// ```
    /// use switchboard::domain::phone_number::Country;
    /// use switchboard::domain::transfer::TransferTarget;
    ///
    /// let germany = Country::from_code("DE");
    /// let target = TransferTarget::parse_in("030 901820", germany).unwrap();
    /// assert_eq!(target.unmasked(), "+4930901820");
    /// ```
    ///
    /// # Errors
    /// Returns the reason why no call can be transferred to this text.
    pub fn parse_in(text: &str, country: Option<Country>) -> Result<TransferTarget, InvalidTarget> {
        match TransferTarget::parse(text) {
            Err(InvalidTarget::Form) if country.is_some() => {
                let format = NumberFormat { country, ..NumberFormat::default() };
                let number = format.parse(Some(text)).completed_number();
                number.map(TransferTarget::Number).ok_or(InvalidTarget::Form)
            }
            result => result,
        }
    }

    /// Returns the whole number or address.
    pub fn unmasked(&self) -> Cow<'_, str> {
        match self {
            TransferTarget::Number(number) => number.unmasked().into(),
            TransferTarget::Sip(uri) => uri.as_str().into(),
        }
    }
}

impl SipUri {
    /// Parses a SIP address. Returns `None` for a text with another scheme or without one.
    ///
    /// # Errors
    /// Fails if a text with the scheme `sip` or `sips` is not a URI.
    pub fn parse(text: &str) -> Result<Option<SipUri>, InvalidTarget> {
        let Some(rest) = strip_scheme(text, "sip:").or_else(|| strip_scheme(text, "sips:")) else {
            return Ok(None);
        };
        let is_forbidden = |c: &char| {
            c.is_whitespace() || c.is_control() || !c.is_ascii() || "<>\"'\\^`{|}#".contains(*c)
        };
        if let Some(found) = rest.chars().find(is_forbidden) {
            return Err(InvalidTarget::Character(found));
        }
        let (_, host) = rest.split_once('@').unwrap_or(("", rest));
        // Two of them would name two hosts.
        if host.contains('@') {
            return Err(InvalidTarget::Character('@'));
        }
        let host = host.split([':', ';', '?']).next().unwrap_or_default();
        if host.is_empty() {
            return Err(InvalidTarget::NoHost);
        }
        Ok(Some(SipUri(text.into())))
    }

    /// Returns the URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Prints the scheme and the host: the user part may be a number.
impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once(':').unwrap_or_default();
        let host = rest.rsplit_once('@').map(|(_, host)| format!("***@{host}"));
        write!(f, "{scheme}:{}", host.as_deref().unwrap_or(rest))
    }
}

impl fmt::Debug for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for TransferTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TransferTarget::Number(number) => number.fmt(f),
            TransferTarget::Sip(uri) => uri.fmt(f),
        }
    }
}

/// Returns the text behind a scheme, whose case does not matter.
fn strip_scheme<'t>(text: &'t str, scheme: &str) -> Option<&'t str> {
    let start = text.get(..scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then(|| &text[scheme.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_numbers_and_sip_addresses() {
        for (text, unmasked) in [
            ("+1 (213) 777-1234", "+12137771234"),
            ("TEL:+12137771234", "+12137771234"),
            ("sip:desk@pbx.example.com;transport=tls", "sip:desk@pbx.example.com;transport=tls"),
            ("SIPS:pbx.example.com", "SIPS:pbx.example.com"),
            ("sip:desk@[2001:db8::1]:5061", "sip:desk@[2001:db8::1]:5061"),
        ] {
            assert_eq!(
                TransferTarget::parse(text).map(|target| target.unmasked().into_owned()),
                Ok(unmasked.to_owned())
            );
        }
    }

    #[test]
    fn refuses_other_texts() {
        for (text, problem) in [
            ("2137771234", InvalidTarget::Form),
            ("+1 213 777 1234-60", InvalidTarget::Form),
            ("desk", InvalidTarget::Form),
            ("", InvalidTarget::Form),
            ("https://pbx.example.com", InvalidTarget::Form),
            ("sip:", InvalidTarget::NoHost),
            ("sip:desk@", InvalidTarget::NoHost),
            ("sip:desk[1]@:5061", InvalidTarget::NoHost),
            ("sip:desk@pbx.example.com>", InvalidTarget::Character('>')),
            ("sip:desk@pbx.example.com@pbx.example.org", InvalidTarget::Character('@')),
            ("sip:front desk@pbx.example.com", InvalidTarget::Character(' ')),
        ] {
            assert_eq!(TransferTarget::parse(text), Err(problem), "{text}");
        }
    }

    #[test]
    fn prints_no_number() {
        let printed = |text| TransferTarget::parse(text).expect("a target").to_string();
        assert_eq!(printed("+12137771234"), "+1213***1234");
        assert_eq!(printed("sip:+12137771234@pbx.example.com"), "sip:***@pbx.example.com");
    }
}
