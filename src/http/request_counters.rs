//! Counts the requests to one source by their outcome and HTTP status.

use axum::http::StatusCode;
use metrics::Counter;

use crate::telemetry::{Counters, RequestOutcome};

/// Counters of the requests to one source.
pub(super) struct RequestCounters([Counter; RequestOutcome::ALL.len()]);

impl RequestCounters {
    /// Registers the counters; all series exist from the start.
    pub(super) fn register(counters: &Counters, source: &str) -> RequestCounters {
        RequestCounters(
            RequestOutcome::ALL
                .map(|outcome| counters.requests(source, outcome, status_of(outcome).as_str())),
        )
    }

    /// Counts a request.
    pub(super) fn count(&self, outcome: RequestOutcome) {
        self.0[outcome as usize].increment(1);
    }
}

/// Returns the HTTP status of an outcome.
pub(super) fn status_of(outcome: RequestOutcome) -> StatusCode {
    match outcome {
        RequestOutcome::Agent
        | RequestOutcome::Reject
        | RequestOutcome::Transfer
        | RequestOutcome::Keep
        | RequestOutcome::Fallback
        | RequestOutcome::Retry
        | RequestOutcome::Accepted
        | RequestOutcome::UnknownEvent
        | RequestOutcome::Probe => StatusCode::OK,
        RequestOutcome::Refused => StatusCode::UNAUTHORIZED,
        RequestOutcome::Unreadable | RequestOutcome::BadRequest => StatusCode::BAD_REQUEST,
        RequestOutcome::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
        RequestOutcome::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        RequestOutcome::NotStored | RequestOutcome::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        RequestOutcome::Failed => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
