//! Spans of traces: one for each request, one for each step of its handling.
//!
//! Without `[traces] otlp_endpoint`, and in a build without the feature `otlp`, no span is enabled, and the
//! functions here do nothing. A span contains neither numbers nor names, variables, keys or tokens.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::HeaderMap;
use tracing::Span;
use tracing::field::Empty;

use super::RequestOutcome;

/// Target of all spans. The log ignores them, and nothing but spans has this target.
pub(super) const TARGET: &str = "switchboard::spans";

/// Starts the span of a request. Its parent is the span that `traceparent` names (W3C Trace Context).
pub fn request(source: &str, is_event: bool, headers: &HeaderMap) -> Span {
    if !cfg!(feature = "otlp") {
        return Span::none();
    }
    let span = tracing::info_span!(
        target: TARGET,
        "request",
        otel.name = if is_event { "POST /events" } else { "POST /inbound" },
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = "POST",
        http.response.status_code = Empty,
        source,
        kind = Empty,
        outcome = Empty,
    );
    #[cfg(feature = "otlp")]
    super::trace_context::continue_trace(&span, headers);
    #[cfg(not(feature = "otlp"))]
    let _ = headers;
    span
}

/// Starts the span of a step, as a child of the current span.
pub fn step(name: &'static str) -> Span {
    if !cfg!(feature = "otlp") {
        return Span::none();
    }
    tracing::info_span!(target: TARGET, "step", otel.name = name)
}

/// Adds the outcome of a request to its span.
pub fn record_outcome(span: &Span, outcome: RequestOutcome, status: u16) {
    span.record("kind", outcome.kind());
    span.record("outcome", outcome.as_str());
    span.record("http.response.status_code", status);
    if status >= 500 || outcome == RequestOutcome::Fallback {
        span.record("otel.status_code", "ERROR");
    }
}

/// Spans that were dropped since the start. The exporter belongs to the process, like the log.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Counts spans that could not be exported.
#[cfg(feature = "otlp")]
pub(super) fn count_dropped(spans: u64) {
    DROPPED.fetch_add(spans, Ordering::Relaxed);
}

/// Returns the number of spans that could not be exported since the start.
pub(super) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Returns the id of the trace to which a span belongs, in hexadecimal digits; `None` without traces.
pub fn trace_id(span: &Span) -> Option<String> {
    #[cfg(feature = "otlp")]
    return super::trace_context::trace_id(span);
    #[cfg(not(feature = "otlp"))]
    {
        let _ = span;
        None
    }
}
