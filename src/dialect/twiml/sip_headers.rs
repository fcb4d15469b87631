//! SIP headers in the address of a `<Sip>` element.
//!
//! Twilio documents the names (error 13252) and the length (error 21227): `X-…` and four others, of letters, digits
//! and hyphens; the headers of an address have fewer than 1,024 characters.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::dialect::not_accepted;
use crate::domain::decision::{Additions, LeftOut, Variable};

/// Maximum length of the headers of an address, in characters.
const MAX_CHARS: usize = 1_023;

/// Characters that are escaped in the value of a header or of a query: all but those that RFC 3986 calls unreserved.
pub(super) const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Names that do not begin with `X-`, in lower case.
const OTHER_NAMES: [&str; 4] =
    ["user-to-user", "remote-party-id", "p-preferred-identity", "p-called-party-id"];

/// A SIP address with headers.
pub(super) struct SipAddress {
    /// The address with its headers.
    pub(super) text: String,
    /// Headers for which there was no room, or whose names no header can have.
    pub(super) left_out: Vec<LeftOut>,
    /// Names of the headers, in lower case.
    names: Vec<String>,
    /// Length of the headers.
    length: usize,
}

impl SipAddress {
    /// Wraps an address, which may have headers already.
    pub(super) fn new(uri: &str) -> SipAddress {
        let headers = uri.split_once('?').map_or("", |(_, headers)| headers);
        let name = |header: &str| header.split('=').next().unwrap_or_default().to_ascii_lowercase();
        SipAddress {
            text: uri.to_owned(),
            left_out: Vec::new(),
            names: headers.split('&').filter(|header| !header.is_empty()).map(name).collect(),
            length: headers.len(),
        }
    }

    /// Adds the SIP headers that rules set, as they are named.
    pub(super) fn add_headers(&mut self, additions: &Additions<'_>) {
        for header in &additions.sip_headers {
            let name = is_header_name(header.name).then(|| header.name.to_owned());
            self.add("sip_headers", header, name);
        }
    }

    /// Adds the variables that rules set: `customer_name` becomes `X-Customer-Name`.
    pub(super) fn add_variables(&mut self, additions: &Additions<'_>) {
        for variable in &additions.variables {
            self.add("variables", variable, header_name(variable.name));
        }
    }

    fn add(&mut self, key: &str, variable: &Variable<'_>, name: Option<String>) {
        let added = name.filter(|name| !self.names.contains(&name.to_ascii_lowercase()));
        let added = added.map(|name| {
            let header = format!("{name}={}", utf8_percent_encode(&variable.value, ESCAPED));
            (name.to_ascii_lowercase(), header)
        });
        match added {
            // One character separates a header from the text before it.
            Some((name, header)) if self.length + header.len() < MAX_CHARS => {
                self.text.push(if self.text.contains('?') { '&' } else { '?' });
                self.text.push_str(&header);
                self.length += header.len() + 1;
                self.names.push(name);
            }
            Some(_) | None => {
                self.left_out.push(not_accepted(format!("{key}.{}", variable.name)));
            }
        }
    }
}

/// Returns whether a header may have this name.
fn is_header_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let is_known = OTHER_NAMES.contains(&&*lower);
    let rest = lower.strip_prefix("x-").unwrap_or_default();
    is_known
        || !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Returns the name of the header that carries a variable, or `None` if no header can have its name.
fn header_name(variable: &str) -> Option<String> {
    let dashed = variable.replace('_', "-").to_ascii_lowercase();
    let rest = dashed.strip_prefix("x-").unwrap_or(&dashed);
    let mut name = "X".to_owned();
    for word in rest.split('-') {
        let mut letters = word.chars();
        name.push('-');
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    is_header_name(&name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables<'t>(pairs: &[(&'t str, &'t str)]) -> Vec<Variable<'t>> {
        let variable = |(name, value): &(&'t str, &'t str)| Variable {
            name,
            value: (*value).into(),
            rule: None,
        };
        pairs.iter().map(variable).collect()
    }

    #[track_caller]
    fn check(
        uri: &str,
        [headers, values]: [&[(&str, &str)]; 2],
        expected: &str,
        left_out: &[&str],
    ) {
        let additions = Additions {
            sip_headers: variables(headers),
            variables: variables(values),
            ..Additions::default()
        };
        let mut address = SipAddress::new(uri);
        address.add_headers(&additions);
        address.add_variables(&additions);
        assert_eq!(address.text, expected);
        let names: Vec<_> = address.left_out.iter().map(|left_out| &*left_out.name).collect();
        assert_eq!(names, left_out);
    }

    #[test]
    fn adds_headers_and_variables() {
        check("sip:a@b", [&[], &[]], "sip:a@b", &[]);
        check(
            "sip:a@b;transport=tls",
            [&[("X-Tier", "gold&1")], &[("customer_name", "Ada B"), ("x_é", "1"), ("ok", "ü")]],
            "sip:a@b;transport=tls?X-Tier=gold%261&X-Customer-Name=Ada%20B&X-Ok=%C3%BC",
            &["variables.x_é"],
        );
        check(
            "sip:a@b?X-A=1",
            [&[("User-to-User", "2")], &[]],
            "sip:a@b?X-A=1&User-to-User=2",
            &[],
        );
    }

    #[test]
    fn the_first_header_of_a_name_counts() {
        check(
            "sip:a@b?x-a=1",
            [&[("X-B", "2"), ("X-A", "3")], &[("b", "4"), ("x_c", "5")]],
            "sip:a@b?x-a=1&X-B=2&X-C=5",
            &["sip_headers.X-A", "variables.b"],
        );
    }

    #[test]
    fn leaves_out_what_is_no_header() {
        check(
            "sip:a@b",
            [
                &[("Via", "1"), ("X-", "1"), ("X-a b", "1")],
                &[("current_time_Europe/Berlin", "1"), ("", "2")],
            ],
            "sip:a@b",
            &[
                "sip_headers.Via",
                "sip_headers.X-",
                "sip_headers.X-a b",
                "variables.current_time_Europe/Berlin",
                "variables.",
            ],
        );
    }

    #[test]
    fn headers_have_fewer_than_1_024_characters() {
        let fits = "1".repeat(MAX_CHARS - "?X-A=".len());
        check(
            "sip:a@b",
            [&[], &[("a", &fits), ("b", "1")]],
            &format!("sip:a@b?X-A={fits}"),
            &["variables.b"],
        );
        let long = format!("{fits}1");
        check("sip:a@b", [&[], &[("a", &long), ("b", "1")]], "sip:a@b?X-B=1", &["variables.a"]);
    }
}
