//! Texts to speak, `say`, and SIP headers of replies, `sip_headers`.

use std::ops::Range;

use super::rule::RuleNumbers;
use super::rules::RuleChecker;
use crate::rules::Template;
use crate::rules::load::raw::{RawRule, RawValue, Spanned};
use crate::rules::model::template::MAX_SPEECH_BYTES;

/// Headers without `X-` that platforms let a reply set, in lower case.
const STANDARD_HEADERS: [&str; 4] =
    ["user-to-user", "remote-party-id", "p-preferred-identity", "p-called-party-id"];

/// Maximum length of the name of a header, in bytes.
const MAX_NAME_BYTES: usize = 64;

impl RuleChecker<'_, '_> {
    /// Checks the text that the caller hears.
    pub(super) fn say(&mut self, raw: &RawRule, numbers: RuleNumbers<'_>) -> Option<Box<Template>> {
        let Spanned { value: text, span } = raw.say.as_ref()?;
        if text.trim().is_empty() {
            let message = "`say` must be a text, not an empty string".to_owned();
            self.reporter.error("wrong-kind", span, message).help("remove the key");
            return None;
        }
        self.speech_template(text, span, numbers).map(Box::new)
    }

    /// Parses a text to speak or the value of a header.
    fn speech_template(
        &mut self,
        text: &str,
        span: &Range<usize>,
        numbers: RuleNumbers<'_>,
    ) -> Option<Template> {
        let template = self.template(text, span, numbers)?;
        let bytes = template.literal_bytes();
        if bytes > MAX_SPEECH_BYTES {
            self.warn_too_long("the text", bytes, MAX_SPEECH_BYTES, span);
        }
        Some(template)
    }

    /// Checks the SIP headers of the reply.
    pub(super) fn sip_headers(
        &mut self,
        raw: &RawRule,
        numbers: RuleNumbers<'_>,
    ) -> Box<[(Box<str>, Template)]> {
        let mut headers: Vec<(Box<str>, Template)> = Vec::new();
        for (name, value) in &raw.sip_headers {
            let is_known =
                |(known, _): &(Box<str>, Template)| known.eq_ignore_ascii_case(&name.value);
            if headers.iter().any(is_known) {
                let message = format!("the header `{}` is set twice", name.value);
                self.reporter
                    .error("bad-header", &name.span, message)
                    .help("the case of a header's name does not matter");
                continue;
            }
            if !self.check_header_name(name) {
                continue;
            }
            let RawValue::Text(text) = &value.value else {
                let message = format!("the header `{}` must be a string", name.value);
                self.reporter.error("wrong-kind", &value.span, message);
                continue;
            };
            let template = self.speech_template(text, &value.span, numbers);
            headers.extend(template.map(|template| (name.value.as_str().into(), template)));
        }
        headers.into()
    }

    /// Reports a header that a reply cannot set.
    fn check_header_name(&mut self, name: &Spanned<String>) -> bool {
        let lower = name.value.to_ascii_lowercase();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let message = if !lower.chars().all(is_plain) || lower.len() > MAX_NAME_BYTES {
            format!("`{}` is not the name of a header", name.value)
        } else if STANDARD_HEADERS.contains(&&*lower) || lower.len() > 2 && lower.starts_with("x-")
        {
            return true;
        } else {
            format!("a reply cannot set the header `{}`", name.value)
        };
        self.reporter.error("bad-header", &name.span, message).help(
            "names have letters, digits and `-`, and begin with `X-`; others are User-to-User, \
             Remote-Party-ID, P-Preferred-Identity and P-Called-Party-ID",
        );
        false
    }
}
