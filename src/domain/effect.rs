//! Effects: requests to a platform's API that carry out a decision, where the reply itself cannot.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// Characters that need no escape in a segment of a path: those that never do (RFC 3986, section 2.3), and the
/// colon, which ids of Telnyx contain.
const UNESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b':');

/// A request to a platform's API. The API's base URL and its key come from the source.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// Name for logs, metrics and records: `accept`, `reject`.
    pub action: &'static str,
    /// Path below the base URL, with a `/` first.
    pub path: String,
    /// JSON body; the method is POST.
    pub body: Value,
    /// Makes a repeated request harmless, on platforms that read it from a header. Others have it in the body.
    pub idempotency_key: Option<String>,
    /// A repetition does nothing that the first request has not done. Otherwise the request is
    /// repeated only if it cannot have been carried out.
    pub is_idempotent: bool,
    /// Field of the webhook without which the request cannot be sent, if it is absent or unusable.
    pub missing: Option<&'static str>,
}

impl Effect {
    /// Returns why the request cannot be sent, if that is so.
    pub fn problem(&self) -> Option<String> {
        let missing = self.missing?;
        Some(format!("not sent: the request has no usable {missing}"))
    }
}

/// Returns an id as one segment of a path. `None` for an id that would not be one: an empty one, and `.` and `..`,
/// which lead to another path.
pub fn path_segment(id: &str) -> Option<String> {
    let is_segment = !["", ".", ".."].contains(&id);
    is_segment.then(|| utf8_percent_encode(id, UNESCAPED).to_string())
}

/// The API of a platform that carries out decisions.
pub struct PlatformApi {
    /// Base URL, unless a source names another one.
    pub url: &'static str,
    /// Names of all actions: `accept`, `reject`.
    pub actions: &'static [&'static str],
}

/// How an effect ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EffectResult {
    /// The platform answered with a 2xx. Whether it acts accordingly, only later events show.
    Acknowledged,
    /// The platform answered with a status that a repetition does not change.
    Refused,
    /// No usable answer arrived in time.
    Late,
    /// The request could not be sent, or an earlier effect of the call failed.
    Failed,
}

impl EffectResult {
    /// All results.
    pub const ALL: [EffectResult; 4] = [
        EffectResult::Acknowledged,
        EffectResult::Refused,
        EffectResult::Late,
        EffectResult::Failed,
    ];

    /// Returns the name used in logs, metrics and records.
    pub fn as_str(self) -> &'static str {
        match self {
            EffectResult::Acknowledged => "acknowledged",
            EffectResult::Refused => "refused",
            EffectResult::Late => "late",
            EffectResult::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_segment_or_none() {
        for (id, expected) in [
            ("rtc_1-a.b~c", Some("rtc_1-a.b~c")),
            ("v3:ex", Some("v3:ex")),
            ("a/../b?c#d", Some("a%2F..%2Fb%3Fc%23d")),
            ("%2e%2e", Some("%252e%252e")),
            ("...", Some("...")),
            ("é", Some("%C3%A9")),
            ("", None),
            (".", None),
            ("..", None),
        ] {
            assert_eq!(path_segment(id).as_deref(), expected, "{id}");
        }
    }
}
