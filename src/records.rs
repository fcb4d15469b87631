//! Records: what was answered, and what became of it. Off the way of a call.
//!
//! [`Recorder`] is the side that the walk sees: it takes what is to be written and never waits for
//! it, unless it is asked to. A writer behind a bounded queue commits in groups. [`Store`] is the
//! side that reads.

mod erase;
mod filter;
mod health;
mod lookup;
mod query;
mod queue;
mod recorder;
mod redact;
mod replayable;
mod row;
mod store;
mod writer;

use jiff::Timestamp;

pub use erase::{NumberMatches, Overwritten, Traces};
pub use filter::{FilterArgs, InvalidFilter, moment, one_party};
pub use health::StoreHealth;
pub use lookup::{LookupResult, SHORTEST_PREFIX};
pub use query::{Counts, Order, Page};
pub use recorder::{Committed, NotStored, Recorder};
pub use redact::NumberPolicy;
pub use replayable::NotReplayable;
pub use row::{CallRecord, Details, EventRecord, NewCall, NewEvent, Texts};
pub(crate) use store::first_id_at;
pub use store::{RuleSnapshot, Store, StoreError};
pub use writer::Writer;

/// Which calls are wanted. What is not said is not asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Calls that came in at this moment or later.
    pub since: Option<Timestamp>,
    /// Calls that came in before.
    pub until: Option<Timestamp>,
    /// Who rang or was rung, in all the ways in which records may hold it: see
    /// [`NumberPolicy::ways`].
    pub number: Option<Vec<String>>,
    /// The source that asked.
    pub source: Option<String>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// `agent`, `reject` or `keep`.
    pub outcome: Option<String>,
    /// The platform's id of the call.
    pub call_id: Option<String>,
}
