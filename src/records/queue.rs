//! Entries that wait for the writer.

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use uuid::Uuid;

use super::RuleSnapshot;
use super::row::{CallRow, EventRow};

/// Something to be written.
pub(crate) enum Entry {
    Call(QueuedCall),
    Retry(Uuid, Option<oneshot::Sender<()>>),
    Event(Box<QueuedEvent>),
    Table(Box<QueuedSnapshot>),
}

/// Who asked may wait.
pub(crate) struct QueuedCall {
    pub(crate) row: CallRow,
    pub(crate) tell: Option<oneshot::Sender<()>>,
    /// Makes room for others when this one is written.
    pub(crate) _room: OwnedSemaphorePermit,
}

/// Who told it waits.
pub(crate) struct QueuedEvent {
    pub(crate) row: EventRow,
    pub(crate) tell: oneshot::Sender<()>,
    /// Makes room for others when this one is written.
    pub(crate) _room: OwnedSemaphorePermit,
}

/// Nobody waits for it.
pub(crate) struct QueuedSnapshot {
    pub(crate) copy: RuleSnapshot,
    /// Makes room for others when this one is written.
    pub(crate) _room: OwnedSemaphorePermit,
}

impl Entry {
    /// Nobody waits for it any more, and the platform sends it again.
    pub(crate) fn is_given_up(&self) -> bool {
        matches!(self, Entry::Event(event) if event.tell.is_closed())
    }
}
