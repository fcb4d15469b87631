//! Records in words, for terminals and pages.

use jiff::tz::TimeZone;
use serde_json::Value;

use super::{AskedLookup, CallRecord, EventRecord, Texts};

impl CallRecord {
    /// Returns the outcome: `agent front-desk`, `reject: blocklist`, `transfer to +12135550100`, `keep: no_rule`.
    pub fn outcome_text(&self) -> String {
        if let Some(target) = &self.details.transfer {
            return format!("{} to {}", self.outcome, target);
        }
        match (&self.agent, &self.details.reason) {
            (Some(agent), _) => format!("agent {}", agent),
            (None, Some(reason)) => format!("{}: {}", self.outcome, reason),
            (None, None) => self.outcome.clone(),
        }
    }

    /// Returns the fields that have a value, with their names in words. Times are those of `zone`.
    pub fn in_words(&self, zone: &TimeZone) -> Vec<(&'static str, String)> {
        let details = &self.details;
        let at = self.at.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M:%S%.3f").to_string();
        let with_version = |agent: &str, version: &Option<Value>| match version {
            Some(version) => format!("{agent}, version {}", format_value(version)),
            None => agent.to_owned(),
        };
        let agent_in = details.agent_in.as_deref();
        let agent_id = details.agent_id.as_deref();
        let object = |object: &Value| object.to_string();
        let metadata = serde_json::to_value(&details.metadata).unwrap_or_default();
        let settings = serde_json::to_value(&details.agent_override).unwrap_or_default();
        let texts = |texts: &Texts<'_>| {
            let texts = texts.0.iter().map(|(name, value)| format!("{name} = {value}"));
            Some(texts.collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
        };
        let lines = [
            ("at", Some(format!("{at} {}", zone.iana_name().unwrap_or("UTC")))),
            ("source", Some(format!("{} ({}), {}", self.source, self.platform, self.channel))),
            ("call id", self.call_id.clone()),
            ("from", Some(self.from.clone())),
            ("to", Some(self.to.clone())),
            (
                "platform agent",
                agent_in.map(|agent| with_version(agent, &details.agent_version_in)),
            ),
            ("number id", details.number_id.as_deref().map(str::to_owned)),
            ("attributes", texts(&details.attributes)),
            ("sip", texts(&details.sip)),
            ("outcome", Some(self.outcome_text())),
            ("agent id", agent_id.map(|id| with_version(id, &details.agent_version))),
            ("rule", Some(self.rule.clone().unwrap_or_else(|| "none".to_owned()))),
            ("split arm", details.arm.map(|arm| (arm + 1).to_string())),
            ("continued by", Some(details.added_by.join(", ")).filter(|by| !by.is_empty())),
            ("look-ups", lookups(&details.lookups)),
            ("says", details.say.as_deref().map(str::to_owned)),
            ("variables", texts(&details.variables)),
            ("metadata", Some(&metadata).filter(|value| !value.is_null()).map(object)),
            ("override", Some(&settings).filter(|value| !value.is_null()).map(object)),
            ("sip headers", texts(&details.sip_headers)),
            (
                "delay",
                Some(details.delay_ms).filter(|ms| *ms > 0).map(|ms| format_seconds(ms as i64)),
            ),
            ("deliveries", Some(self.attempts.to_string())),
            ("numbers", Some(format!("stored {}", details.numbers))),
            ("rule table", Some(self.fingerprint.clone())),
        ];
        let lines = lines.into_iter();
        lines.filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Returns how the look-ups ended, in the order in which they were asked.
fn lookups(asked: &[AskedLookup<'_>]) -> Option<String> {
    let ended =
        asked.iter().map(|AskedLookup { name, state, took_us, cached, problem, .. }| {
            let problem = problem.iter().map(|problem| format!(", {problem}")).collect::<String>();
            let from_cache = if *cached { ", from the cache" } else { "" };
            format!(
                "{name} {}{problem} ({} ms{from_cache})",
                state.replace('_', " "),
                took_us / 1_000
            )
        });
    Some(ended.collect::<Vec<_>>().join("; ")).filter(|ended| !ended.is_empty())
}

fn format_value(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl EventRecord {
    /// Summarizes an event: `61.3 s, user_hangup, cost 0.12`.
    pub fn summary(&self) -> String {
        let get = |name: &str| self.columns.get(name);
        let text = |name: &str| get(name).and_then(Value::as_str).map(str::to_owned);
        let duration = get("duration_ms").and_then(Value::as_i64).map(format_seconds);
        let flag = |name: &str, yes: &str, no: &str| {
            let value = get(name).and_then(Value::as_bool);
            value
                .map(|value| if value { yes } else { no }.to_owned())
                .filter(|word| !word.is_empty())
        };
        let parts = [
            text("status"),
            duration,
            text("end_reason"),
            get("cost").map(|cost| format!("cost {cost}")),
            text("sentiment"),
            flag("successful", "successful", "not successful"),
            flag("voicemail", "voicemail", ""),
            text("summary").map(|summary| format!("\u{201c}{summary}\u{201d}")),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// Returns `12.3 s`.
pub fn format_seconds(ms: i64) -> String {
    format!("{:.1} s", ms as f64 / 1000.0)
}
