//! A call or an event as a row: for a terminal, for programs, for spreadsheets.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::plain;
use crate::domain::decision::Object;
use crate::records::{CallRecord, EventRecord};

/// The columns of a CSV file, by the names that they have in JSON.
pub(super) const COLUMNS: [&str; 27] = [
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
    "why",
    "arm",
    "added_by",
    "variables",
    "metadata",
    "agent_override",
    "delay_ms",
    "attempts",
    "agent_in",
    "agent_version_in",
    "sip",
    "numbers",
    "latency_us",
    "fingerprint",
];

/// The cells of a call under [`COLUMNS`]. What is no text is JSON; what a spreadsheet would take for
/// a formula has a `'` before it, for callers write some of it.
pub(super) fn cells(call: &CallRecord) -> Vec<String> {
    let object = call.to_json();
    let cells = COLUMNS.iter().map(|name| match object.get(*name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) if is_formula(text) => format!("'{text}"),
        Some(Value::String(text)) => text.clone(),
        Some(value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
            value.to_string()
        }
    });
    cells.collect()
}

fn is_formula(text: &str) -> bool {
    let is_number = |rest: &str| rest.chars().all(|c| c.is_ascii_digit() || c == '*');
    text.strip_prefix('+').is_some_and(|rest| !is_number(rest))
        || text.starts_with(['=', '-', '@', '\t', '\r'])
}

/// An object for programs, with the word that tells calls from events.
pub(super) fn named(word: &str, object: Object) -> Value {
    let mut named = Object::from_iter([("record".to_owned(), json!(word))]);
    named.extend(object);
    Value::Object(named)
}

/// To whom it came: `front desk`, `reject: blocked`, `keep: no rule`.
pub(super) fn outcome(call: &CallRecord) -> String {
    match (&call.agent, &call.details.why) {
        (Some(agent), _) => format!("agent {}", plain(agent)),
        (None, Some(why)) => format!("{}: {}", call.outcome, plain(why)),
        (None, None) => call.outcome.clone(),
    }
}

/// What an event tells besides its kind, shortly: `61.3 s, user_hangup, cost 0.12`.
pub(super) fn told(event: &EventRecord) -> String {
    let get = |name: &str| event.columns.get(name);
    let text = |name: &str| get(name).and_then(Value::as_str).map(plain);
    let duration = get("duration_ms").and_then(Value::as_i64).map(seconds);
    let flag = |name: &str, yes: &str, no: &str| {
        let told = get(name).and_then(Value::as_bool);
        told.map(|told| if told { yes } else { no }.to_owned()).filter(|word| !word.is_empty())
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

/// `12.3 s`.
pub(super) fn seconds(ms: i64) -> String {
    format!("{:.1} s", ms as f64 / 1000.0)
}

/// `2026-11-21 09:30:12`.
pub(super) fn time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The zone by its name, to stand in a heading.
pub(super) fn zone_name(zone: &TimeZone) -> String {
    zone.iana_name().unwrap_or("UTC").to_owned()
}
