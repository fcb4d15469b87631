//! Deduplication: recent replies, so that a repeated delivery receives the same reply.
//!
//! The key of a delivery consists of everything that a rule can match or send along, and of how the
//! request was authenticated: a signature that covers the call id alone must not obtain the reply to
//! another caller, and an unauthenticated request must not choose the reply to an authenticated one. Where
//! decisions are carried out by effects, the id of the call is enough: no call is acted on twice. The cache is
//! bounded; when it is full, the oldest replies expire early.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::{Cache, DefaultLifecycle, PlaceholderGuard};
use quick_cache::{OptionsBuilder, Weighter};
use siphasher::sip128::{Hasher128, SipHasher13};
use tokio::time::Instant;

use crate::authenticate::AuthMethod;
use crate::domain::call::Call;
use crate::records::DeliveryKey;

/// Maximum memory of the cache, enough for some 40,000 replies: all calls of a minute at 600 a second.
const CAPACITY_BYTES: u64 = 16 << 20;
const ESTIMATED_ITEMS: usize = 1024;
/// Parts of the cache with a lock of their own.
const SHARDS: usize = 8;
/// Share of the cache that keeps its first entries. The rest evicts in the order of insertion: a reply
/// is needed again soon or never. An entry must fit into this share of a shard, which is 200 kB.
const HOT_SHARE: f64 = 0.1;
/// Memory of an entry besides the bytes of the reply, in the table and on the heap. Measured: resident
/// memory per entry of a full cache, less the reply.
const ENTRY_BYTES: usize = 260;

/// Identity of a delivery: 128 bits of a keyed hash, so that nobody can construct a collision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DedupKey(u128);

/// Cache of recent replies, and of the deliveries that are being answered.
pub struct DedupCache {
    replies: Cache<DedupKey, CachedReply, Size, KeyHasher>,
    /// Hasher with random keys, chosen at start.
    hasher: SipHasher13,
}

/// Reply to an earlier delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedReply {
    /// Body of the reply. One allocation, since a cache can hold many.
    pub reply: Arc<[u8]>,
    /// Key of the call's record; `None` if records are off.
    pub record: Option<DeliveryKey>,
    expires_at: Instant,
}

/// Whether a call has been delivered before.
pub enum Delivery<'c> {
    /// It has not. Other deliveries of the call wait until its reply is cached, or the value dropped.
    First(FirstDelivery<'c>),
    /// It has, and received this reply.
    Repeated(CachedReply),
}

/// The first delivery of a call, until its reply is cached.
pub struct FirstDelivery<'c> {
    /// None if the reply is not to be cached.
    entry: Option<Placeholder<'c>>,
    received_at: Instant,
}

/// The entry of a reply that is being made.
type Placeholder<'c> = PlaceholderGuard<
    'c,
    DedupKey,
    CachedReply,
    Size,
    KeyHasher,
    DefaultLifecycle<DedupKey, CachedReply>,
>;

/// Finds the place of a key in the cache. A fast hash will do: keys are keyed hashes, which nobody can choose.
type KeyHasher = foldhash::fast::FixedState;

#[derive(Clone)]
struct Size;

impl Weighter<DedupKey, CachedReply> for Size {
    fn weight(&self, _: &DedupKey, value: &CachedReply) -> u64 {
        (value.reply.len() + ENTRY_BYTES) as u64
    }
}

impl Default for DedupCache {
    fn default() -> Self {
        let options = OptionsBuilder::new()
            .shards(SHARDS)
            .estimated_items_capacity(ESTIMATED_ITEMS)
            .weight_capacity(CAPACITY_BYTES)
            .hot_allocation(HOT_SHARE)
            .ghost_allocation(0.0)
            .build()
            .expect("both capacities are set");
        let replies =
            Cache::with_options(options, Size, KeyHasher::default(), DefaultLifecycle::default());
        let random = RandomState::new();
        let hasher = SipHasher13::new_with_keys(random.hash_one(0), random.hash_one(1));
        DedupCache { replies, hasher }
    }
}

impl DedupCache {
    /// Returns the key of a call's delivery, or `None` if nothing tells two calls apart. Without an id and
    /// a timestamp, the rule table with this fingerprint replies to its own retries only. `has_effects` says that
    /// decisions are requests to the platform's API: such a platform reports one call in several events.
    pub fn key(
        &self,
        call: &Call<'_>,
        method: AuthMethod,
        fingerprint: &str,
        has_effects: bool,
    ) -> Option<DedupKey> {
        if !call.is_distinguishable() {
            return None;
        }
        let mut hasher = self.hasher;
        std::mem::discriminant(&method).hash(&mut hasher);
        (call.source(), call.channel(), call.call_id()).hash(&mut hasher);
        if has_effects && call.call_id().is_some() {
            return Some(DedupKey(hasher.finish128().as_u128()));
        }
        (call.from(), call.to()).hash(&mut hasher);
        (call.agent(), call.agent_version(), call.event_timestamp_ms()).hash(&mut hasher);
        call.sip_headers().for_each(|header| header.hash(&mut hasher));
        call.number_id().hash(&mut hasher);
        call.attributes().for_each(|attribute| attribute.hash(&mut hasher));
        // With an id or a timestamp, the request is a retry for certain, and a reload must not change the
        // reply. Without, it is more likely a person who edits the rules and tries again.
        if call.call_id().is_none() && call.event_timestamp_ms().is_none() {
            fingerprint.hash(&mut hasher);
        }
        Some(DedupKey(hasher.finish128().as_u128()))
    }

    /// Registers a delivery that was received at `now`. Of several at once, one is the first; the others
    /// wait until its reply is cached. Without a key, each delivery is the first.
    pub async fn register(&self, key: Option<DedupKey>, now: Instant) -> Delivery<'_> {
        let Some(key) = key else {
            return Delivery::First(FirstDelivery { entry: None, received_at: now });
        };
        loop {
            match self.replies.get_value_or_guard_async(&key).await {
                Ok(cached) if now < cached.expires_at => return Delivery::Repeated(cached),
                Ok(_expired) => {
                    drop(self.replies.remove_if(&key, |cached| cached.expires_at <= now));
                }
                Err(entry) => {
                    return Delivery::First(FirstDelivery { entry: Some(entry), received_at: now });
                }
            }
        }
    }
}

impl FirstDelivery<'_> {
    /// Caches the reply and the key of the call's record for later deliveries within `window`.
    pub fn cache(self, reply: &[u8], record: Option<DeliveryKey>, window: Duration) {
        let Some(entry) = self.entry else { return };
        let expires_at = self.received_at + window;
        // Fails only if the entry was removed meanwhile, and nothing removes one that is not cached.
        drop(entry.insert(CachedReply { reply: reply.into(), record, expires_at }));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use futures_util::FutureExt;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    /// Registers a delivery that no other one holds up.
    fn register(cache: &DedupCache, key: u128, now: Instant) -> Delivery<'_> {
        cache.register(Some(DedupKey(key)), now).now_or_never().expect("nothing to wait for")
    }

    fn cached(cache: &DedupCache, key: u128, now: Instant) -> Option<Arc<[u8]>> {
        match register(cache, key, now) {
            Delivery::First(_) => None,
            Delivery::Repeated(cached) => Some(cached.reply),
        }
    }

    #[test]
    fn one_of_two_simultaneous_deliveries_is_the_first() {
        let cache = DedupCache::default();
        let start = Barrier::new(2);
        let now = Instant::now();
        let deliver = |thread: &str| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let replies = (0..2_000).map(|key| {
                start.wait();
                match runtime.block_on(cache.register(Some(DedupKey(key)), now)) {
                    Delivery::First(first) => {
                        let reply = format!("{key} {thread}");
                        first.cache(reply.as_bytes(), None, WINDOW);
                        (true, reply.into_bytes().into())
                    }
                    Delivery::Repeated(cached) => (false, cached.reply),
                }
            });
            replies.collect::<Vec<(bool, Arc<[u8]>)>>()
        };
        let (one, other) = std::thread::scope(|scope| {
            let other = scope.spawn(|| deliver("other"));
            (deliver("one"), other.join().expect("no panic"))
        });
        for ((first, reply), (other_first, other_reply)) in one.into_iter().zip(other) {
            assert_ne!(first, other_first);
            assert_eq!(reply, other_reply);
        }
    }

    #[test]
    fn a_reply_expires_after_the_window() {
        let cache = DedupCache::default();
        let now = Instant::now();
        let Delivery::First(first) = register(&cache, 1, now) else { panic!("cached") };
        first.cache(b"{}", None, WINDOW);
        let last_moment = now + WINDOW - Duration::from_nanos(1);
        assert_eq!(cached(&cache, 1, last_moment), Some(b"{}".as_slice().into()));
        assert_eq!(cached(&cache, 1, now + WINDOW), None);
    }

    #[test]
    fn a_full_cache_keeps_the_newest_replies() {
        let cache = DedupCache::default();
        let (now, reply) = (Instant::now(), [0; 140]);
        let deliveries = 4 * CAPACITY_BYTES as usize / (reply.len() + ENTRY_BYTES);
        for key in 0..deliveries as u128 {
            let Delivery::First(first) = register(&cache, key, now) else { panic!("{key} is new") };
            first.cache(&reply, None, WINDOW);
        }
        let is_cached = |key: &u128| cache.replies.peek(&DedupKey(*key)).is_some();
        let newest = (0..deliveries as u128).rev().take_while(is_cached).count();
        assert!(newest > cache.replies.len() * 8 / 10, "{newest} of {}", cache.replies.len());
    }

    #[test]
    fn a_first_delivery_that_fails_leaves_its_place_to_the_next() {
        let cache = DedupCache::default();
        let now = Instant::now();
        assert_eq!(cached(&cache, 1, now), None);
        assert_eq!(cached(&cache, 1, now), None);
    }
}
