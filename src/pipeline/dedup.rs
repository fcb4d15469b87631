//! Answers that were given a moment ago, so that a delivery that comes again gets the same one.
//!
//! A delivery is told by its call id; where a platform sends none, by source, channel, the two
//! numbers, the platform's own timestamp and the SIP headers. Bounded: when there are too many,
//! some are forgotten early.

use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use siphasher::sip128::{Hasher128, SipHasher13};
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::call::Call;

/// How long an answer is remembered. A platform has given up long before.
pub const WINDOW: Duration = Duration::from_secs(60);
/// The memory that answers may take: some 50,000 of them.
const CAPACITY_BYTES: u64 = 16 << 20;
const ESTIMATED_ITEMS: usize = 1024;
/// What an answer takes besides its own bytes, in the table and on the heap.
const ENTRY_BYTES: usize = 160;

/// What tells one delivery from another: 128 bits of a keyed hash, so that nobody outside can make
/// two alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DedupKey(u128);

/// The memory.
pub struct DedupCache {
    answers: Cache<DedupKey, CachedReply, Size>,
    /// Carries the keys of the hash, drawn at start.
    keyed: SipHasher13,
}

/// What a delivery was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedReply {
    /// The reply.
    pub reply: Bytes,
    /// The record of the call.
    pub record: Uuid,
    until: Instant,
}

#[derive(Clone)]
struct Size;

impl Weighter<DedupKey, CachedReply> for Size {
    fn weight(&self, _: &DedupKey, value: &CachedReply) -> u64 {
        (value.reply.len() + ENTRY_BYTES) as u64
    }
}

impl Default for DedupCache {
    fn default() -> Self {
        let answers = Cache::with_weighter(ESTIMATED_ITEMS, CAPACITY_BYTES, Size);
        let chance = RandomState::new();
        let keyed = SipHasher13::new_with_keys(chance.hash_one(0), chance.hash_one(1));
        DedupCache { answers, keyed }
    }
}

impl DedupCache {
    /// What identifies this call's delivery.
    pub fn key(&self, call: &Call<'_>) -> DedupKey {
        let mut hasher = self.keyed;
        (call.source(), call.channel(), call.call_id()).hash(&mut hasher);
        if call.call_id().is_none() {
            (call.from(), call.to(), call.event_timestamp_ms()).hash(&mut hasher);
            call.sip_headers().for_each(|header| header.hash(&mut hasher));
        }
        DedupKey(hasher.finish128().as_u128())
    }

    /// What this delivery was answered, when that was within [`WINDOW`].
    pub fn get(&self, delivery: DedupKey, now: Instant) -> Option<CachedReply> {
        self.answers.get(&delivery).filter(|remembered| now < remembered.until)
    }

    /// Remembers an answer, and where it is recorded.
    pub fn insert(&self, delivery: DedupKey, reply: Bytes, record: Uuid, now: Instant) {
        self.answers.insert(delivery, CachedReply { reply, record, until: now + WINDOW });
    }
}
