//! What a decision needs to know besides the call itself.
//!
//! Handed in, never fetched: a decision stays a function of table, call and facts.

use jiff::Timestamp;

/// What is known at the moment of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// When the call came in: what hours and dates are held against.
    pub at: Timestamp,
}
