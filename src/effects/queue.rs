//! The queue of effects, between the pipeline and the task that sends them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::effect::Effect;
use crate::domain::party::Party;

/// Maximum number of calls whose effects wait to be sent. Further ones fail.
const QUEUE: usize = 1024;
/// Time for all effects of a call.
const DEADLINE: Duration = Duration::from_secs(5);

/// The queue of effects.
pub struct Effects {
    queue: mpsc::Sender<EffectsOfCall>,
    /// Taken by the task that sends the effects.
    waiting: Mutex<Option<mpsc::Receiver<EffectsOfCall>>>,
}

/// Effects of one call, in order.
pub struct EffectsOfCall {
    /// Name of the call's source.
    pub source: Box<str>,
    /// The platform's id of the call.
    pub call_id: Option<Box<str>>,
    /// The call's record, if the call has no id by which the records of its effects find it.
    pub record: Option<Uuid>,
    /// Caller and called number, whose digits records may have to mask.
    pub parties: [Party; 2],
    /// Id of the request, for the log.
    pub request_id: Box<str>,
    /// The effects.
    pub effects: Vec<Effect>,
    /// Whether the request was authenticated. Effects of others are not sent, only reported as failed.
    pub is_authenticated: bool,
    /// Time by which all of them must be acknowledged.
    pub deadline: Instant,
}

impl Default for Effects {
    fn default() -> Effects {
        let (queue, waiting) = mpsc::channel(QUEUE);
        Effects { queue, waiting: Mutex::new(Some(waiting)) }
    }
}

impl Effects {
    /// Returns the deadline of effects that start now.
    pub fn deadline() -> Instant {
        Instant::now() + DEADLINE
    }

    /// Queues the effects of a call.
    ///
    /// # Errors
    /// Returns them if too many wait.
    pub fn start(&self, effects: EffectsOfCall) -> Result<(), Vec<Effect>> {
        self.queue.try_send(effects).map_err(|error| error.into_inner().effects)
    }

    /// Returns the effects to send; `None` if another task has them.
    pub(crate) fn take_waiting(&self) -> Option<mpsc::Receiver<EffectsOfCall>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
