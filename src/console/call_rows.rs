//! Calls as rows, on the page of calls and in what is live.

use std::collections::HashMap;

use askama::Template;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::access::NumberView;
use super::name_link::NameLink;
use crate::records::{CallRecord, FALLBACK};

/// A call as a row.
pub(super) struct CallItem {
    pub(super) id: Uuid,
    /// Date and time in the zone of the rule table.
    pub(super) date: String,
    pub(super) time: String,
    pub(super) source: String,
    pub(super) channel: String,
    pub(super) from: String,
    pub(super) to: String,
    /// Outcome as a word, which a class has too.
    pub(super) outcome: String,
    /// Agent, reason or target.
    pub(super) target: String,
    pub(super) rule: Option<NameLink>,
    pub(super) attempts: i64,
    pub(super) decided_ms: String,
    pub(super) last_event: Option<String>,
}

/// Rows without a page around them.
#[derive(Template)]
#[template(path = "call_rows.html")]
pub(super) struct RowsPart {
    rows: Vec<CallItem>,
}

impl RowsPart {
    pub(super) fn new(
        calls: &[CallRecord],
        last_events: &HashMap<Uuid, String>,
        view: NumberView,
        zone: &TimeZone,
    ) -> RowsPart {
        RowsPart { rows: call_items(calls, last_events, view, zone) }
    }
}

/// Returns calls as rows, each with the kind of its last event.
pub(super) fn call_items(
    calls: &[CallRecord],
    last_events: &HashMap<Uuid, String>,
    view: NumberView,
    zone: &TimeZone,
) -> Vec<CallItem> {
    let item = |call: &CallRecord| CallItem::new(call, last_events.get(&call.id), view, zone);
    calls.iter().map(item).collect()
}

impl CallItem {
    fn new(
        call: &CallRecord,
        last_event: Option<&String>,
        view: NumberView,
        zone: &TimeZone,
    ) -> CallItem {
        let at = call.at.to_zoned(zone.clone());
        let details = &call.details;
        let target = match (&call.agent, &details.transfer, &details.reason) {
            (Some(agent), _, _) => view.text(agent).into_owned(),
            (None, Some(target), _) => view.party(target),
            (None, None, Some(reason)) => view.text(reason).into_owned(),
            (None, None, None) => String::new(),
        };
        let outcome = if call.is_fallback() { FALLBACK } else { &call.outcome };
        CallItem {
            id: call.id,
            date: at.strftime("%a %d %b").to_string(),
            time: at.strftime("%H:%M:%S").to_string(),
            source: call.source.clone(),
            channel: call.channel.clone(),
            from: view.party(&call.from),
            to: view.party(&call.to),
            outcome: outcome.to_owned(),
            target,
            rule: call.rule.as_deref().map(|rule| NameLink::new(rule, view)),
            attempts: call.attempts,
            decided_ms: format_ms(details.latency_us),
            last_event: last_event.cloned(),
        }
    }
}

/// Formats microseconds as milliseconds.
pub(super) fn format_ms(us: u64) -> String {
    format!("{:.1}", us as f64 / 1000.0)
}
