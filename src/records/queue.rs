//! Entries that wait for the writer.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::RuleSnapshot;
use super::row::{CallRow, DeliveryKey, EventRow};
use super::waiting_calls::WaitingCall;

/// A record to be written.
pub(crate) enum QueueEntry {
    Call(QueuedCall),
    /// Another delivery of a call.
    Retry(DeliveryKey, Option<oneshot::Sender<()>>),
    Event(Box<QueuedEvent>),
    Snapshot(Box<QueuedSnapshot>),
}

/// A call, and the reply that may wait for its commit.
pub(crate) struct QueuedCall {
    pub(crate) row: Arc<CallRow>,
    pub(crate) committed: Option<oneshot::Sender<()>>,
    /// Frees the queue's budget when the entry is dropped.
    pub(crate) _permit: OwnedSemaphorePermit,
    /// Ends the wait of the call when the entry is dropped.
    pub(crate) _waiting: Option<WaitingCall>,
}

/// An event, and the reply that waits for its commit.
pub(crate) struct QueuedEvent {
    pub(crate) row: Arc<EventRow>,
    pub(crate) committed: oneshot::Sender<()>,
    /// Frees the queue's budget when the entry is dropped.
    pub(crate) _permit: OwnedSemaphorePermit,
}

/// A rule table; no reply waits for it.
pub(crate) struct QueuedSnapshot {
    pub(crate) snapshot: Arc<RuleSnapshot>,
    /// Frees the queue's budget when the entry is dropped.
    pub(crate) _permit: OwnedSemaphorePermit,
}

impl QueueEntry {
    /// True for an event whose reply no longer waits: the platform sends it again.
    pub(crate) fn is_abandoned(&self) -> bool {
        matches!(self, QueueEntry::Event(event) if event.committed.is_closed())
    }
}
