//! Calls and events as rows, for terminals, programs and spreadsheets.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::sanitize;
use crate::domain::decision::Object;
use crate::records::{CallRecord, EventRecord};

/// Columns of a CSV file, by their JSON keys.
pub(super) const COLUMNS: [&str; 32] = [
    "id",
    "at",
    "source",
    "platform",
    "channel",
    "call_id",
    "from",
    "to",
    "outcome",
    "rule",
    "agent",
    "agent_id",
    "agent_version",
    "reason",
    "transfer",
    "arm",
    "added_by",
    "variables",
    "metadata",
    "agent_override",
    "say",
    "sip_headers",
    "delay_ms",
    "attempts",
    "agent_in",
    "agent_version_in",
    "sip",
    "number_id",
    "attributes",
    "numbers",
    "latency_us",
    "fingerprint",
];

/// Returns the cells of a call for [`COLUMNS`]. Values other than text are JSON. A `'` precedes text that
/// a spreadsheet would take for a formula, since callers control some of it.
pub(super) fn cells(call: &CallRecord) -> Vec<String> {
    let object = call.to_json();
    let cells = COLUMNS.iter().map(|name| match object.get(*name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => cell(text),
        Some(value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
            value.to_string()
        }
    });
    cells.collect()
}

/// Returns a text as a cell that a spreadsheet takes for text.
pub(super) fn cell(text: &str) -> String {
    if is_formula(text) { format!("'{text}") } else { text.to_owned() }
}

/// Returns whether a spreadsheet could take a text for a formula. Spreadsheets ignore white space before
/// it, and take full-width signs for their ASCII forms.
fn is_formula(text: &str) -> bool {
    let is_number = |rest: &str| rest.chars().all(|c| c.is_ascii_digit() || c == '*');
    let shown = text.trim_start_matches(|c: char| c.is_whitespace() || c.is_control());
    text.starts_with(['\t', '\r', '\n'])
        || shown.strip_prefix('+').is_some_and(|rest| !is_number(rest))
        || shown.starts_with(['=', '-', '@', '＝', '＋', '－', '＠'])
}

/// Adds the key `record`, which distinguishes calls from events.
pub(super) fn tagged(kind: &str, object: Object) -> Value {
    let mut tagged = Object::from_iter([("record".to_owned(), json!(kind))]);
    tagged.extend(object);
    Value::Object(tagged)
}

/// Returns the outcome: `agent front-desk`, `reject: blocklist`, `transfer to +12135550100`, `keep: no_rule`.
pub(super) fn format_outcome(call: &CallRecord) -> String {
    if let Some(target) = &call.details.transfer {
        return format!("{} to {}", call.outcome, sanitize(target));
    }
    match (&call.agent, &call.details.reason) {
        (Some(agent), _) => format!("agent {}", sanitize(agent)),
        (None, Some(reason)) => format!("{}: {}", call.outcome, sanitize(reason)),
        (None, None) => call.outcome.clone(),
    }
}

/// Summarizes an event: `61.3 s, user_hangup, cost 0.12`.
pub(super) fn summarize_event(event: &EventRecord) -> String {
    let get = |name: &str| event.columns.get(name);
    let text = |name: &str| get(name).and_then(Value::as_str).map(sanitize);
    let duration = get("duration_ms").and_then(Value::as_i64).map(format_seconds);
    let flag = |name: &str, yes: &str, no: &str| {
        let value = get(name).and_then(Value::as_bool);
        value.map(|value| if value { yes } else { no }.to_owned()).filter(|word| !word.is_empty())
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

/// Returns `12.3 s`.
pub(super) fn format_seconds(ms: i64) -> String {
    format!("{:.1} s", ms as f64 / 1000.0)
}

/// Returns `2026-11-21 09:30:12`.
pub(super) fn format_time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Returns the name of the zone, for headings.
pub(super) fn zone_name(zone: &TimeZone) -> String {
    zone.iana_name().unwrap_or("UTC").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula() {
        for text in
            ["=1+1", "-1", "@a", "+1+1", " =1", "\n=1", "\u{3000}=1", "＝1", "\t", "\u{7f}=1"]
        {
            assert_eq!(cell(text), format!("'{text}"));
        }
        for text in ["", "+12137771234", "+1213*", "front-desk", "a=b", "call_ended"] {
            assert_eq!(cell(text), text);
        }
    }
}
