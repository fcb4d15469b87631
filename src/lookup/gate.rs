//! Limits the questions to one system: how many at the same time, for how long, and none for a while after
//! several failures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::SystemAnswer;
use super::breaker::Breaker;
use crate::domain::facts::{LookupAnswer, LookupState};
use crate::rules::BreakerPolicy;
use crate::telemetry::RefusalLog;

/// Why a question that had to wait for others is not asked.
const TOO_MANY: &str = "too many questions at the same time";

/// The way to one system.
pub(super) struct Gate {
    /// Name of the look-up, for the log.
    name: Box<str>,
    timeout: Duration,
    pause: Duration,
    max_concurrent: usize,
    permits: Semaphore,
    usual_time: UsualTime,
    refusals: RefusalLog,
    breaker: Breaker,
}

/// Moving average of the time in which a system answers, in microseconds; 0 before the first answer.
#[derive(Default)]
struct UsualTime(AtomicU64);

impl UsualTime {
    /// Part of the average that an answer replaces.
    const WEIGHT: u64 = 8;

    fn add(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let average = match self.0.load(Ordering::Relaxed) {
            0 => took,
            average => average - average / UsualTime::WEIGHT + took / UsualTime::WEIGHT,
        };
        // Of two answers at the same moment, one may be left out.
        self.0.store(average, Ordering::Relaxed);
    }

    /// Returns for how long a question may wait to be asked, if its answer has to be there after `timeout`.
    fn leaves(&self, timeout: Duration) -> Duration {
        let average = self.0.load(Ordering::Relaxed);
        // Many answers take longer than the average.
        timeout.saturating_sub(Duration::from_micros(average + average / 4))
    }
}

impl Gate {
    /// Creates a gate through which questions pass.
    pub(super) fn new(
        name: &str,
        timeout: Duration,
        max_concurrent: usize,
        breaker: BreakerPolicy,
    ) -> Gate {
        Gate {
            name: name.into(),
            timeout,
            pause: breaker.pause,
            max_concurrent,
            permits: Semaphore::new(max_concurrent),
            usual_time: UsualTime::default(),
            refusals: RefusalLog::default(),
            breaker: Breaker::new(breaker),
        }
    }

    /// Longest time for which a call waits for an answer.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Returns whether nothing is asked because the system failed.
    pub(super) fn is_suspended(&self) -> bool {
        self.breaker.refuses(Instant::now())
    }

    /// Asks the system. The error is an answer that is not kept.
    pub(super) async fn ask(
        &self,
        asking: impl Future<Output = SystemAnswer>,
    ) -> Result<LookupAnswer, LookupAnswer> {
        if self.is_suspended() {
            return Err(LookupAnswer::unknown(LookupState::Suspended));
        }
        // Asking when its caller is about to give up would only delay the others.
        let longest_wait = self.usual_time.leaves(self.timeout);
        let Ok(Ok(_permit)) = timeout(longest_wait, self.permits.acquire()).await else {
            self.log_refusal();
            let late = LookupAnswer::unknown(LookupState::Late);
            return Err(with_problem(late, TOO_MANY.into()));
        };
        // After the wait: the breaker may have opened meanwhile. The question has the whole timeout, although
        // its call may give up earlier, so that only the system's own slowness counts for the breaker.
        let Some(permission) = self.breaker.permission(Instant::now()) else {
            return Err(LookupAnswer::unknown(LookupState::Suspended));
        };
        let failed = || LookupAnswer::unknown(LookupState::Failed);
        let asked_at = Instant::now();
        let answer = timeout(self.timeout, asking).await;
        if !matches!(answer, Ok(SystemAnswer::Failed(_))) {
            self.usual_time.add(asked_at.elapsed());
        }
        let answered = match answer {
            Ok(SystemAnswer::Found(value)) => Ok(LookupAnswer::found(value)),
            Ok(SystemAnswer::Empty) => Ok(LookupAnswer::unknown(LookupState::Empty)),
            Ok(SystemAnswer::Refused(problem)) => {
                permission.succeeded();
                return Err(with_problem(failed(), problem));
            }
            Ok(SystemAnswer::Failed(problem)) => Err(with_problem(failed(), problem)),
            Ok(SystemAnswer::Late) | Err(_) => Err(LookupAnswer::unknown(LookupState::Late)),
        };
        match &answered {
            Ok(_) => {
                if permission.succeeded() {
                    tracing::info!(lookup = &*self.name, "look-up answers again");
                }
            }
            Err(answer) => {
                if permission.failed(Instant::now()) {
                    self.log_suspension(answer);
                }
            }
        }
        answered
    }

    fn log_refusal(&self) {
        let Some(suppressed) = self.refusals.admit(TOO_MANY, Instant::now()) else { return };
        tracing::warn!(
            lookup = &*self.name,
            max_concurrent = self.max_concurrent,
            suppressed,
            "look-up not asked, too many questions at the same time"
        );
    }

    fn log_suspension(&self, answer: &LookupAnswer) {
        tracing::warn!(
            lookup = &*self.name,
            state = answer.state.as_str(),
            problem = answer.problem.as_deref(),
            pause_s = self.pause.as_secs(),
            "look-up failed several times in a row, suspended"
        );
    }
}

/// Adds what went wrong.
pub(super) fn with_problem(answer: LookupAnswer, problem: Arc<str>) -> LookupAnswer {
    LookupAnswer { problem: Some(problem), ..answer }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PERIOD: Duration = Duration::from_secs(6);

    /// Asks this many questions a second about other callers, of a system that answers four at a time in 200 ms.
    /// Returns how many were answered in time in each second.
    async fn answered(rate: u32) -> Vec<usize> {
        let breaker = BreakerPolicy { failures: 5, pause: Duration::from_secs(10) };
        let gate = Arc::new(Gate::new("crm", Duration::from_millis(300), 4, breaker));
        let start = Instant::now();
        let questions = (0..rate * PERIOD.as_secs() as u32).map(|number| {
            let gate = gate.clone();
            tokio::spawn(async move {
                let asked_at = start + Duration::from_secs(1) * number / rate;
                tokio::time::sleep_until(asked_at).await;
                let answer = gate.ask(async {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    SystemAnswer::Found(json!({}))
                });
                let is_in_time = answer.await.is_ok() && asked_at.elapsed() <= gate.timeout();
                is_in_time.then(|| (asked_at - start).as_secs() as usize)
            })
        });
        let mut by_second = vec![0; PERIOD.as_secs() as usize];
        for question in questions.collect::<Vec<_>>() {
            if let Some(second) = question.await.unwrap() {
                by_second[second] += 1;
            }
        }
        by_second
    }

    #[tokio::test(start_paused = true)]
    async fn a_system_answers_as_many_as_it_can_however_many_ask() {
        assert_eq!(answered(20).await, [20; 6]);
        for rate in [22, 25, 40, 80, 500] {
            let answered = answered(rate).await;
            // In the first second, the gate learns how long an answer takes.
            assert!(answered[1..].iter().all(|number| *number >= 18), "{rate}: {answered:?}");
        }
    }
}
