//! The clock: the machine's, or a fixed moment in tests.

use jiff::Timestamp;

/// What time it is. The walk asks once a request and hands the answer on.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// The machine's.
    System,
    /// Always the same, for tests.
    Fixed(Timestamp),
}

impl Clock {
    pub(crate) fn now(self) -> Timestamp {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is the clock that the walk asks")]
            Clock::System => Timestamp::now(),
            Clock::Fixed(at) => at,
        }
    }
}
