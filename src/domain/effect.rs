//! Effects: requests to a platform's API that carry out a decision, where the reply itself cannot.

use serde_json::Value;

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
