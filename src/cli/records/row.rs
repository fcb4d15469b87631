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

/// Returns the outcome for a terminal: `agent front-desk`, `reject: blocklist`.
pub(super) fn format_outcome(call: &CallRecord) -> String {
    sanitize(&call.outcome_text())
}

/// Summarizes an event for a terminal: `61.3 s, user_hangup, cost 0.12`.
pub(super) fn summarize_event(event: &EventRecord) -> String {
    sanitize(&event.summary())
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
