//! Calls as rows, on the page of calls and in what is live.

use askama::Template;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::access::NumberView;
use super::name_link::NameLink;
use crate::records::{FALLBACK, ListedCall};

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
    pub(super) fn new(calls: &[ListedCall], view: NumberView, zone: &TimeZone) -> RowsPart {
        RowsPart { rows: calls.iter().map(|call| CallItem::new(call, view, zone)).collect() }
    }
}

impl CallItem {
    pub(super) fn new(call: &ListedCall, view: NumberView, zone: &TimeZone) -> CallItem {
        let at = call.at.to_zoned(zone.clone());
        let target = match (&call.agent, &call.transfer, &call.reason) {
            (Some(agent), _, _) => view.text(agent).into_owned(),
            (None, Some(target), _) => view.party(target),
            (None, None, Some(reason)) => view.text(reason).into_owned(),
            (None, None, None) => String::new(),
        };
        let outcome = if call.is_fallback { FALLBACK } else { &call.outcome };
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
            decided_ms: format_ms(call.latency_us),
            last_event: call.last_event.clone(),
        }
    }
}

/// Formats microseconds as milliseconds.
pub(super) fn format_ms(us: u64) -> String {
    format!("{:.1}", us as f64 / 1000.0)
}
