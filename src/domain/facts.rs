//! Facts that a decision needs besides the call.
//!
//! The caller supplies them, so that a decision stays a pure function of rule set, call and facts.

use jiff::Timestamp;

/// Facts about a call at the time of its arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Time of arrival; hours and dates are evaluated at this time.
    pub at: Timestamp,
}
