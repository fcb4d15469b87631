//! Reading of request bodies, within a size and a budget of memory; and their time limits, which the caller applies.
//!
//! A body is read before its request can be authenticated, so anyone can make the service hold one. All
//! bodies that are being read share a budget; events, which may be large, cannot take all of it, and
//! neither can the requests of one address. The first kilobytes of a body are free: the limit on
//! connections bounds them, and the bodies of calls have no more.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use super::HttpProblem;

/// Maximum size of the body of an inbound request, in bytes.
pub const INBOUND_BYTES: usize = 64 << 10;
/// Maximum size of the body of an event, in bytes: the transcript of a long call has megabytes.
pub const EVENT_BYTES: usize = 10 << 20;
/// Bytes of each body that the budget does not count.
const FREE_BYTES: usize = 4 << 10;
/// Maximum time for receiving the body of an inbound request.
const INBOUND_TIMEOUT: Duration = Duration::from_secs(2);

/// Kind of request, by its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyKind {
    /// A call or text message that waits for a reply.
    Inbound,
    /// An event of a call.
    Event,
}

impl BodyKind {
    fn limit_bytes(self) -> usize {
        match self {
            BodyKind::Inbound => INBOUND_BYTES,
            BodyKind::Event => EVENT_BYTES,
        }
    }

    /// Maximum time for receiving the body.
    pub(super) fn timeout(self, request_timeout: Duration) -> Duration {
        match self {
            BodyKind::Inbound => request_timeout.min(INBOUND_TIMEOUT),
            BodyKind::Event => request_timeout,
        }
    }
}

/// Memory for the bodies of requests that are not authenticated yet.
pub(super) struct BodyBudget {
    limit_bytes: usize,
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    all: usize,
    events: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Part of the budget that one request uses. Dropping it returns the part.
pub(super) struct Reservation<'b> {
    budget: &'b BodyBudget,
    kind: BodyKind,
    client: IpAddr,
    bytes: usize,
}

impl BodyBudget {
    pub(super) fn new(limit_bytes: usize) -> BodyBudget {
        BodyBudget { limit_bytes, used: Mutex::default() }
    }

    pub(super) fn reservation(&self, kind: BodyKind, client: IpAddr) -> Reservation<'_> {
        Reservation { budget: self, kind, client, bytes: 0 }
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation<'_> {
    /// Adds bytes to the reservation, or returns `None` if the budget does not allow it: three quarters
    /// of it for all events, half of it for one address.
    fn grow(&mut self, bytes: usize) -> Option<()> {
        let limit = self.budget.limit_bytes;
        let mut used = self.budget.used();
        let of_address = used.by_address.get(&self.client).copied().unwrap_or_default();
        let is_event = self.kind == BodyKind::Event;
        let fits = used.all + bytes <= limit
            && of_address + bytes <= limit / 2
            && (!is_event || used.events + bytes <= limit / 4 * 3);
        if !fits {
            return None;
        }
        used.all += bytes;
        used.events += if is_event { bytes } else { 0 };
        used.by_address.insert(self.client, of_address + bytes);
        self.bytes += bytes;
        Some(())
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut used = self.budget.used();
        used.all -= self.bytes;
        used.events -= if self.kind == BodyKind::Event { self.bytes } else { 0 };
        if let Some(of_address) = used.by_address.get_mut(&self.client) {
            *of_address -= self.bytes;
            if *of_address == 0 {
                used.by_address.remove(&self.client);
            }
        }
    }
}

/// Reads the whole body. The caller limits the time.
pub(super) async fn read_body(
    body: Body,
    headers: &HeaderMap,
    reservation: &mut Reservation<'_>,
) -> Result<Bytes, HttpProblem> {
    let limit_bytes = reservation.kind.limit_bytes();
    let content_length = headers.get(header::CONTENT_LENGTH);
    let announced = content_length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > limit_bytes as u64) {
        return Err(HttpProblem::TooLarge { limit_bytes });
    }
    collect(body, reservation).await
}

/// Collects the frames of a body. A body of one frame, as nearly all are, is not copied.
async fn collect(mut body: Body, reservation: &mut Reservation<'_>) -> Result<Bytes, HttpProblem> {
    let limit_bytes = reservation.kind.limit_bytes();
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_invalid| {
            let detail = "the body ends before its announced length, or its chunks are invalid";
            HttpProblem::BadRequest(detail.into())
        })?;
        let Ok(data) = frame.into_data() else { continue };
        let received = first.len().max(all.len()) + data.len();
        if received > limit_bytes {
            return Err(HttpProblem::TooLarge { limit_bytes });
        }
        let counted = received.saturating_sub(FREE_BYTES).min(data.len());
        if counted > 0 {
            reservation.grow(counted).ok_or(HttpProblem::Overloaded)?;
        }
        if first.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 1));
    const TWO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 2));
    const THREE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 3));

    fn hold(
        budget: &BodyBudget,
        kind: BodyKind,
        client: IpAddr,
        bytes: usize,
    ) -> Option<Reservation<'_>> {
        let mut reservation = budget.reservation(kind, client);
        reservation.grow(bytes).map(|()| reservation)
    }

    #[test]
    fn one_address_has_half_of_the_budget() {
        let budget = BodyBudget::new(100);
        let held = hold(&budget, BodyKind::Inbound, ONE, 50);
        assert!(held.is_some());
        assert!(hold(&budget, BodyKind::Inbound, ONE, 1).is_none());
        assert!(hold(&budget, BodyKind::Inbound, TWO, 50).is_some());
        drop(held);
        assert!(hold(&budget, BodyKind::Inbound, ONE, 50).is_some());
    }

    #[test]
    fn events_leave_a_quarter_of_the_budget_to_calls() {
        let budget = BodyBudget::new(100);
        let _events = [ONE, TWO].map(|client| hold(&budget, BodyKind::Event, client, 37));
        assert!(hold(&budget, BodyKind::Event, THREE, 2).is_none());
        assert!(hold(&budget, BodyKind::Inbound, THREE, 26).is_some());
        assert!(hold(&budget, BodyKind::Inbound, THREE, 27).is_none());
    }

    #[test]
    fn a_dropped_reservation_leaves_nothing_behind() {
        let budget = BodyBudget::new(100);
        for _ in 0..3 {
            let mut reservation = budget.reservation(BodyKind::Event, ONE);
            assert!(reservation.grow(20).and_then(|()| reservation.grow(20)).is_some());
        }
        let used = budget.used();
        assert_eq!((used.all, used.events, used.by_address.len()), (0, 0, 0));
    }
}
