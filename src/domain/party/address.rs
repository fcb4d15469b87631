//! Addresses with a number in them: SIP and `tel` URIs, names before and parameters behind them, extensions.

use std::borrow::Cow;

use super::super::phone_number::MAX_DIGITS;

/// The part of a URI that can hold a number, and the digits of its `phone-context` (RFC 3966).
pub(super) struct Address<'t> {
    pub(super) user: Cow<'t, str>,
    pub(super) context: Option<String>,
}

impl<'t> Address<'t> {
    /// Parses `sip:+17045551234@host;user=phone`, `"Bob" <tel:+1…>`, or the same without a scheme.
    pub(super) fn parse(text: &'t str) -> Address<'t> {
        let address = without_display_name(text);
        let bracketed = address.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        let uri = bracketed.map_or(text, |(inside, _)| inside.trim());
        let is_scheme = |scheme: &str| {
            ["sip", "sips", "tel"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
        };
        let after_scheme = uri.split_once(':').filter(|(scheme, _)| is_scheme(scheme));
        let rest = after_scheme.map_or(uri, |(_, rest)| rest);
        let rest = match after_scheme {
            Some(_) => rest.split(['@', '?']).next().unwrap_or_default(),
            None => rest.split('@').next().unwrap_or_default(),
        };
        let mut parts = rest.split(';');
        let user = parts.next().unwrap_or_default().trim();
        let context = parts.find_map(phone_context);
        // Without a scheme, a `;` may be a part of the text.
        let is_split = after_scheme.is_some() || context.is_some();
        let user = if is_split { user } else { rest.trim() };
        Address { user: percent_decoded(user), context }
    }
}

fn percent_decoded(text: &str) -> Cow<'_, str> {
    match text.contains('%') {
        true => percent_encoding::percent_decode_str(text).decode_utf8_lossy(),
        false => Cow::Borrowed(text),
    }
}

/// Returns the digits of a parameter `phone-context=+1-213`; `None` for any other and for a domain name.
fn phone_context(parameter: &str) -> Option<String> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("phone-context") {
        return None;
    }
    let value = percent_decoded(value.trim());
    let digits: String =
        value.strip_prefix('+')?.chars().filter(|c| !"-.() ".contains(*c)).collect();
    let is_code = (1..=MAX_DIGITS).contains(&digits.len());
    (is_code && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

/// Returns an address without the quoted name before it, which may look like an address.
pub(in crate::domain) fn without_display_name(address: &str) -> &str {
    let address = address.trim();
    let Some(quoted) = address.strip_prefix('"') else { return address };
    let mut is_escaped = false;
    let end = quoted.find(|c: char| {
        let was_escaped = std::mem::take(&mut is_escaped);
        is_escaped = c == '\\' && !was_escaped;
        c == '"' && !was_escaped
    });
    match end.map(|end| quoted[end + 1..].trim_start()) {
        Some(rest) if !rest.is_empty() => rest,
        Some(_) | None => address,
    }
}

/// Returns an address without the parameters behind it: `<sip:1001@pbx>;tag=1`. They differ from call to
/// call (RFC 3261, 20.20), so a rule could not name the party otherwise.
pub(super) fn without_header_parameters(address: &str) -> &str {
    let is_end = |end: &usize| {
        let behind = address[end + 1..].trim_start();
        behind.is_empty() || behind.starts_with(';')
    };
    let end = address.find('<').and_then(|_| address.rfind('>')).filter(is_end);
    end.map_or(address, |end| &address[..=end])
}

/// Maximum number of digits of an extension behind a punctuation mark. More of them are another number.
const MAX_EXTENSION_DIGITS: usize = 6;

/// Returns where an extension begins, or a parameter: `+16502530000 x136`, `…;ext=136`, `…,136`, `…#136`.
/// Digits must follow; `…, Ann` is a text, and so is `…,+16502530001`.
pub(super) fn extension_at(text: &str) -> Option<usize> {
    let at = text.find(|c: char| c.is_ascii_alphabetic() || ";,#".contains(c))?;
    let behind = &text[at..];
    let rest = behind.trim_start_matches([';', ',', '#', ' ']);
    let name =
        &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len())];
    let is_parameter = behind.starts_with(';')
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && rest[name.len()..].starts_with('=');
    let without_word = rest.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let word = rest[..rest.len() - without_word.len()].to_ascii_lowercase();
    let is_extension = match &*word {
        "" => {
            let digits = rest.bytes().filter(u8::is_ascii_digit).count();
            let others =
                rest.trim_start_matches(|c: char| c.is_ascii_digit() || " ,;#*".contains(c));
            (1..=MAX_EXTENSION_DIGITS).contains(&digits) && others.is_empty()
        }
        "x" | "ext" | "extn" | "extension" => {
            let digits = without_word.trim_start_matches([' ', '.', ':', '-', '=', '#']);
            digits.starts_with(|c: char| c.is_ascii_digit()) && !digits.contains('+')
        }
        _ => false,
    };
    (is_parameter || is_extension).then(|| text[..at].trim_end().len())
}
