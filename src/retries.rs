//! Answers that were given a moment ago, so that a delivery that comes again gets the same one.
//!
//! A delivery is told by its call id; where a platform sends none, by source, channel, the two
//! numbers, the platform's own timestamp and the SIP headers. Bounded: when there are too many,
//! some are forgotten early.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::time::Duration;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::time::Instant;

use crate::call::Call;

/// How long an answer is remembered. A platform has given up long before.
pub const WINDOW: Duration = Duration::from_secs(60);
/// The memory that answers may take: some 50,000 of them.
const CAPACITY_BYTES: u64 = 16 << 20;
const ESTIMATED_ITEMS: usize = 1024;
/// What an answer takes besides its own bytes, in the table and on the heap.
const ENTRY_BYTES: usize = 160;

/// What tells one delivery from another: a keyed hash, so that nobody outside can make two alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Delivery(u64, u64);

/// The memory.
pub struct Retries {
    answers: Cache<Delivery, Remembered, Size>,
    /// Two keys, drawn at start: together they make 128 bits.
    keys: (RandomState, RandomState),
}

#[derive(Clone)]
struct Remembered {
    until: Instant,
    reply: Bytes,
}

#[derive(Clone)]
struct Size;

impl Weighter<Delivery, Remembered> for Size {
    fn weight(&self, _: &Delivery, value: &Remembered) -> u64 {
        (value.reply.len() + ENTRY_BYTES) as u64
    }
}

impl Default for Retries {
    fn default() -> Self {
        let answers = Cache::with_weighter(ESTIMATED_ITEMS, CAPACITY_BYTES, Size);
        Retries { answers, keys: (RandomState::new(), RandomState::new()) }
    }
}

impl Retries {
    /// What identifies this call's delivery.
    pub fn delivery(&self, call: &Call<'_>) -> Delivery {
        let identity = Identity(call);
        Delivery(self.keys.0.hash_one(&identity), self.keys.1.hash_one(&identity))
    }

    /// What this delivery was answered, when that was within [`WINDOW`].
    pub fn recall(&self, delivery: Delivery, now: Instant) -> Option<Bytes> {
        let remembered = self.answers.get(&delivery)?;
        (now < remembered.until).then_some(remembered.reply)
    }

    /// Remembers an answer.
    pub fn remember(&self, delivery: Delivery, reply: Bytes, now: Instant) {
        self.answers.insert(delivery, Remembered { until: now + WINDOW, reply });
    }
}

/// The parts of a call that are the same when it is delivered again.
struct Identity<'c>(&'c Call<'c>);

impl Hash for Identity<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let call = self.0;
        (call.source(), call.channel(), call.call_id()).hash(state);
        if call.call_id().is_none() {
            (call.from(), call.to(), call.event_timestamp_ms()).hash(state);
            call.sip_headers().for_each(|header| header.hash(state));
        }
    }
}
