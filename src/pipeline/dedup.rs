//! Deduplication: recent replies, so that a repeated delivery receives the same reply.
//!
//! The key of a delivery is its call id or, if the platform sends none, the source, the channel, both
//! parties, the platform's timestamp and the SIP headers. The cache is bounded; when it is full, some
//! replies expire early.

use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use siphasher::sip128::{Hasher128, SipHasher13};
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::call::Call;

/// Lifetime of a cached reply. Platforms stop retrying long before.
pub const WINDOW: Duration = Duration::from_secs(60);
/// Maximum memory of the cache, enough for some 50,000 replies.
const CAPACITY_BYTES: u64 = 16 << 20;
const ESTIMATED_ITEMS: usize = 1024;
/// Memory of an entry besides the bytes of the reply, in the table and on the heap.
const ENTRY_BYTES: usize = 160;

/// Identity of a delivery: 128 bits of a keyed hash, so that nobody can construct a collision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DedupKey(u128);

/// Cache of recent replies.
pub struct DedupCache {
    replies: Cache<DedupKey, CachedReply, Size>,
    /// Hasher with random keys, chosen at start.
    hasher: SipHasher13,
}

/// Reply to an earlier delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedReply {
    /// Body of the reply.
    pub reply: Bytes,
    /// Id of the call's record.
    pub record: Uuid,
    expires_at: Instant,
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
        let replies = Cache::with_weighter(ESTIMATED_ITEMS, CAPACITY_BYTES, Size);
        let random = RandomState::new();
        let hasher = SipHasher13::new_with_keys(random.hash_one(0), random.hash_one(1));
        DedupCache { replies, hasher }
    }
}

impl DedupCache {
    /// Returns the key of a call's delivery.
    pub fn key(&self, call: &Call<'_>) -> DedupKey {
        let mut hasher = self.hasher;
        (call.source(), call.channel(), call.call_id()).hash(&mut hasher);
        if call.call_id().is_none() {
            (call.from(), call.to(), call.event_timestamp_ms()).hash(&mut hasher);
            call.sip_headers().for_each(|header| header.hash(&mut hasher));
        }
        DedupKey(hasher.finish128().as_u128())
    }

    /// Returns the reply to an earlier delivery with this key, if it is not older than [`WINDOW`].
    pub fn get(&self, key: DedupKey, now: Instant) -> Option<CachedReply> {
        self.replies.get(&key).filter(|cached| now < cached.expires_at)
    }

    /// Caches a reply and the id of its record.
    pub fn insert(&self, key: DedupKey, reply: Bytes, record: Uuid, now: Instant) {
        self.replies.insert(key, CachedReply { reply, record, expires_at: now + WINDOW });
    }
}
