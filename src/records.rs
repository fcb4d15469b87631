//! Records: the calls that were decided, and their events.
//!
//! [`Recorder`] queues records and never waits, unless the settings ask for it. [`Writer`] commits
//! the bounded queue in groups. [`Store`] reads.

mod batch;
mod belonging;
mod connections;
mod earlier_calls;
mod erase;
mod expiry;
mod filter;
mod health;
mod history;
mod history_index;
mod instance;
mod known_names;
mod last_recorded;
mod lookup;
mod number_traces;
mod postgres;
mod query;
mod queue;
mod recorder;
mod redact;
mod replayable;
mod reserve;
mod row;
mod rule_change;
mod rule_changes;
mod rule_history;
mod rule_hits;
mod rule_tables;
mod search;
mod sql;
mod sqlite;
mod store;
mod summary;
mod times;
mod transfer;
mod waiting_calls;
mod writer;

pub use earlier_calls::EarlierCall;
pub use erase::{Erased, MatchedCall, NumberMatches, Overwritten};
pub use filter::{FALLBACK, Filter, FilterArgs, InvalidFilter, OUTCOMES};
pub use health::{Outage, StoreHealth, WrittenCalls};
pub use history::HistoryReading;
pub use instance::watch_for_other_instances;
pub use known_names::{FilterError, KnownNames};
pub use last_recorded::LastRecorded;
pub(crate) use last_recorded::TEST_CALL;
pub use lookup::{LookupResult, SHORTEST_PREFIX};
pub use number_traces::NumberTraces;
pub use query::{CountedColumn, Counts, Order, PageCursor};
pub use recorder::{Committed, NoStore, NotStored, RecordedCall, Recorder};
pub use redact::NumberPolicy;
pub(crate) use redact::Redactor;
pub use replayable::NotReplayable;
pub use row::{
    AskedLookup, CallRecord, DeliveryKey, Details, EventRecord, NewCall, NewEvent, RuleSnapshot,
    Texts,
};
pub use rule_change::{RuleAction, RuleChange};
pub use rule_history::{RuleStep, rule_history};
pub use rule_hits::{ArmCounts, RuleHits};
pub use rule_tables::StoredTable;
pub use search::{FoundCalls, OutcomeCounts};
pub use store::{Store, StoreError};
pub(crate) use store::{first_id_at, new_id, time_of_id};
pub use summary::format_seconds;
pub use times::parse_time;
pub use transfer::{ImportError, RowCounts, TransferLine};
pub use writer::Writer;
