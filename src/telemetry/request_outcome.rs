//! Outcomes of requests to a source, in the words of metrics, logs and traces.

/// Outcome of a request to a source. `http` knows the HTTP status of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOutcome {
    /// A call: the selected agent answers.
    Agent,
    /// A call: it is rejected.
    Reject,
    /// A call that is transferred.
    Transfer,
    /// A call: the platform's default agent answers.
    Keep,
    /// A call: handling failed, and the source's fallback reply was sent.
    Fallback,
    /// A repeated delivery, answered from memory.
    Retry,
    /// An event of a documented kind.
    Accepted,
    /// An event of a kind that the dialect does not know.
    UnknownEvent,
    /// An event that could not be stored; the platform sends it again.
    NotStored,
    /// A probe.
    Probe,
    /// A request that failed authentication.
    Refused,
    /// A body that the dialect cannot parse.
    Unreadable,
    /// A body that is not valid HTTP.
    BadRequest,
    /// A body that did not arrive in time.
    BodyTimeout,
    /// A body that is too large.
    BodyTooLarge,
    /// A request beyond the limit of requests in flight, or of memory for bodies.
    Overloaded,
    /// A request whose handling panicked before it was authenticated.
    Failed,
}

impl RequestOutcome {
    /// All outcomes, in the order of their declaration.
    pub const ALL: [RequestOutcome; 17] = [
        RequestOutcome::Agent,
        RequestOutcome::Reject,
        RequestOutcome::Transfer,
        RequestOutcome::Keep,
        RequestOutcome::Fallback,
        RequestOutcome::Retry,
        RequestOutcome::Accepted,
        RequestOutcome::UnknownEvent,
        RequestOutcome::NotStored,
        RequestOutcome::Probe,
        RequestOutcome::Refused,
        RequestOutcome::Unreadable,
        RequestOutcome::BadRequest,
        RequestOutcome::BodyTimeout,
        RequestOutcome::BodyTooLarge,
        RequestOutcome::Overloaded,
        RequestOutcome::Failed,
    ];

    /// Returns the kind of request; `unknown` before its body is parsed.
    pub fn kind(self) -> &'static str {
        match self {
            RequestOutcome::Agent
            | RequestOutcome::Reject
            | RequestOutcome::Transfer
            | RequestOutcome::Keep
            | RequestOutcome::Fallback
            | RequestOutcome::Retry => "call",
            RequestOutcome::Accepted | RequestOutcome::UnknownEvent | RequestOutcome::NotStored => {
                "event"
            }
            RequestOutcome::Probe => "probe",
            RequestOutcome::Refused
            | RequestOutcome::Unreadable
            | RequestOutcome::BadRequest
            | RequestOutcome::BodyTimeout
            | RequestOutcome::BodyTooLarge
            | RequestOutcome::Overloaded
            | RequestOutcome::Failed => "unknown",
        }
    }

    /// Returns the outcome in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            RequestOutcome::Agent => "agent",
            RequestOutcome::Reject => "reject",
            RequestOutcome::Transfer => "transfer",
            // A probe is answered like a call that matches no rule.
            RequestOutcome::Keep | RequestOutcome::Probe => "keep",
            RequestOutcome::Fallback => "fallback",
            RequestOutcome::Retry => "retry",
            RequestOutcome::Accepted => "accepted",
            RequestOutcome::UnknownEvent => "unknown_event",
            RequestOutcome::NotStored => "not_stored",
            RequestOutcome::Refused => "refused",
            RequestOutcome::Unreadable => "unreadable",
            RequestOutcome::BadRequest => "bad_request",
            RequestOutcome::BodyTimeout => "body_timeout",
            RequestOutcome::BodyTooLarge => "body_too_large",
            RequestOutcome::Overloaded => "overloaded",
            RequestOutcome::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_is_at_its_own_position() {
        for (at, outcome) in RequestOutcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, at);
        }
    }
}
