//! Position of a span in its trace, after W3C Trace Context.

use axum::http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Header that names the parent span. `tracestate` is ignored: it can contain anything.
const TRACEPARENT: &str = "traceparent";

/// Makes a span the child of the span that the headers name, if they do.
pub(super) fn continue_trace(span: &Span, headers: &HeaderMap) {
    if span.is_disabled() || !headers.contains_key(TRACEPARENT) {
        return;
    }
    let parent = TraceContextPropagator::new().extract(&Traceparent(headers));
    // Fails for a span that has started already; this one has not.
    drop(span.set_parent(parent));
}

/// Returns the id of a span's trace.
pub(super) fn trace_id(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    Some(span.context().span().span_context().trace_id().to_string())
}

/// The header `traceparent`, and no other.
struct Traceparent<'h>(&'h HeaderMap);

impl Extractor for Traceparent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).filter(|_| key == TRACEPARENT)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}
