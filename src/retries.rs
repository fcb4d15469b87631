//! Answers that were given a moment ago, so that a delivery that comes again gets the same one.
//!
//! A delivery is told by its call id; where a platform sends none, by source, channel, the two
//! numbers, the platform's own timestamp and the SIP headers. Bounded: the oldest are forgotten
//! first.

use std::time::Duration;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::time::Instant;

use crate::call::Call;

/// How long an answer is remembered. A platform has given up long before.
pub const WINDOW: Duration = Duration::from_secs(60);
/// The memory that answers may take: some 200,000 of them.
const CAPACITY_BYTES: u64 = 64 << 20;
const ESTIMATED_ITEMS: usize = 1024;

/// What tells one delivery from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Delivery(Box<[u8]>);

impl Delivery {
    /// What identifies this call's delivery.
    pub fn of(call: &Call<'_>) -> Delivery {
        let mut key = Vec::with_capacity(96);
        let mut part = |bytes: &[u8]| {
            key.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            key.extend_from_slice(bytes);
        };
        part(call.source().as_bytes());
        part(call.channel().as_str().as_bytes());
        if let Some(id) = call.call_id() {
            part(id.as_bytes());
            return Delivery(key.into());
        }
        part(call.from().in_full().as_bytes());
        part(call.to().in_full().as_bytes());
        part(&call.event_timestamp_ms().unwrap_or_default().to_le_bytes());
        for (name, value) in call.sip_headers() {
            part(name.as_bytes());
            part(value.as_bytes());
        }
        Delivery(key.into())
    }
}

/// The memory.
pub struct Retries(Cache<Delivery, Remembered, Size>);

#[derive(Clone)]
struct Remembered {
    until: Instant,
    reply: Bytes,
}

#[derive(Clone)]
struct Size;

impl Weighter<Delivery, Remembered> for Size {
    fn weight(&self, key: &Delivery, value: &Remembered) -> u64 {
        (key.0.len() + value.reply.len() + size_of::<(Delivery, Remembered)>()) as u64
    }
}

impl Default for Retries {
    fn default() -> Self {
        Retries(Cache::with_weighter(ESTIMATED_ITEMS, CAPACITY_BYTES, Size))
    }
}

impl Retries {
    /// What this delivery was answered, when that was within [`WINDOW`].
    pub fn recall(&self, delivery: &Delivery, now: Instant) -> Option<Bytes> {
        let remembered = self.0.get(delivery)?;
        (now < remembered.until).then_some(remembered.reply)
    }

    /// Remembers an answer.
    pub fn remember(&self, delivery: Delivery, reply: Bytes, now: Instant) {
        self.0.insert(delivery, Remembered { until: now + WINDOW, reply });
    }
}
