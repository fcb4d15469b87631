//! Circuit breaker: after several failures in a row, a look-up is not asked for a while, so that a
//! broken system costs callers nothing. Then a single request probes it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

use crate::rules::BreakerPolicy;

/// A circuit breaker.
pub(super) struct Breaker {
    policy: BreakerPolicy,
    phase: Mutex<Phase>,
}

#[derive(Clone, Copy)]
enum Phase {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// A probe is in flight.
    Probing,
}

/// Permission to send one request, which must be told how it went. Dropped without a result, it leaves
/// the breaker as it was: the request was never answered because its caller went away.
pub(super) struct Permission<'b> {
    breaker: &'b Breaker,
    is_probe: bool,
    reported: bool,
}

impl Breaker {
    /// Creates a closed breaker.
    pub(super) fn new(policy: BreakerPolicy) -> Breaker {
        Breaker { policy, phase: Mutex::new(Phase::Closed { failures: 0 }) }
    }

    /// Returns the permission to send a request, or `None` while the breaker is open.
    pub(super) fn permission(&self, now: Instant) -> Option<Permission<'_>> {
        let mut phase = self.phase();
        let is_probe = match *phase {
            Phase::Closed { .. } => false,
            Phase::Open { until } if until <= now => true,
            Phase::Open { .. } | Phase::Probing => return None,
        };
        if is_probe {
            *phase = Phase::Probing;
        }
        Some(Permission { breaker: self, is_probe, reported: false })
    }

    /// Returns whether no request is sent now: the breaker is open, or a probe is in flight.
    pub(super) fn refuses(&self, now: Instant) -> bool {
        match *self.phase() {
            Phase::Closed { .. } => false,
            Phase::Open { until } => now < until,
            Phase::Probing => true,
        }
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        // Nothing panics while the lock is held.
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permission<'_> {
    /// Notes that the system answered. Returns whether this closed the breaker.
    pub(super) fn succeeded(mut self) -> bool {
        self.reported = true;
        let mut phase = self.breaker.phase();
        // A late success of an older request does not close a breaker that opened meanwhile.
        let closes = self.is_probe;
        if closes || matches!(*phase, Phase::Closed { .. }) {
            *phase = Phase::Closed { failures: 0 };
        }
        closes
    }

    /// Notes that the system failed at `now`. Returns whether this opened a closed breaker.
    pub(super) fn failed(mut self, now: Instant) -> bool {
        self.reported = true;
        let BreakerPolicy { failures: limit, pause } = self.breaker.policy;
        let mut phase = self.breaker.phase();
        let open = Phase::Open { until: now + pause };
        match *phase {
            Phase::Closed { failures } if failures + 1 < limit => {
                *phase = Phase::Closed { failures: failures + 1 };
                false
            }
            Phase::Closed { .. } => {
                *phase = open;
                true
            }
            Phase::Probing if self.is_probe => {
                *phase = open;
                false
            }
            Phase::Open { .. } | Phase::Probing => false,
        }
    }
}

impl Drop for Permission<'_> {
    fn drop(&mut self) {
        if self.is_probe && !self.reported {
            *self.breaker.phase() = Phase::Open { until: Instant::now() };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const POLICY: BreakerPolicy = BreakerPolicy { failures: 3, pause: Duration::from_secs(10) };

    fn fail(breaker: &Breaker, now: Instant) -> bool {
        breaker.permission(now).expect("closed").failed(now)
    }

    fn open(breaker: &Breaker, now: Instant) {
        let failures = (0..POLICY.failures).map(|_| fail(breaker, now));
        assert_eq!(failures.filter(|opened| *opened).count(), 1);
    }

    #[test]
    fn failures_in_a_row_open_the_breaker_and_a_probe_closes_it() {
        let breaker = Breaker::new(POLICY);
        let now = Instant::now();
        assert!(!fail(&breaker, now) && !fail(&breaker, now));
        assert!(!breaker.permission(now).expect("closed").succeeded());
        assert!(!fail(&breaker, now) && !fail(&breaker, now) && fail(&breaker, now));
        assert!(breaker.refuses(now));
        assert!(breaker.permission(now + Duration::from_secs(9)).is_none());

        let later = now + POLICY.pause;
        let probe = breaker.permission(later).expect("one probe");
        assert!(breaker.permission(later).is_none(), "only one probe at a time");
        assert!(!probe.failed(later));
        assert!(breaker.permission(later).is_none());

        let probe = breaker.permission(later + POLICY.pause).expect("the next probe");
        assert!(probe.succeeded());
        assert!(!breaker.refuses(now));
    }

    #[test]
    fn a_probe_that_is_abandoned_leaves_its_place_to_the_next() {
        let breaker = Breaker::new(POLICY);
        let now = Instant::now();
        open(&breaker, now);
        drop(breaker.permission(now + POLICY.pause).expect("a probe"));
        assert!(breaker.permission(now + POLICY.pause + Duration::from_secs(60)).is_some());
    }

    #[test]
    fn an_old_success_does_not_close_an_open_breaker() {
        let breaker = Breaker::new(POLICY);
        let now = Instant::now();
        let slow = breaker.permission(now).expect("closed");
        open(&breaker, now);
        assert!(!slow.succeeded());
        assert!(breaker.refuses(now));
    }
}
