//! The clock: the system's, or a fixed time in tests.

use jiff::Timestamp;

/// Source of the current time. The pipeline reads it once per request and passes the result on.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// The system clock.
    System,
    /// A fixed time, for tests.
    Fixed(Timestamp),
}

impl Clock {
    pub(crate) fn now(self) -> Timestamp {
        match self {
            #[expect(
                clippy::disallowed_methods,
                reason = "this is the clock that everything else receives"
            )]
            Clock::System => Timestamp::now(),
            Clock::Fixed(at) => at,
        }
    }
}
