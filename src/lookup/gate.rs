//! Limits the questions to one system: how many at the same time, for how long, and none for a while after
//! several failures.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::SystemAnswer;
use super::breaker::Breaker;
use crate::domain::facts::{LookupAnswer, LookupState};
use crate::rules::BreakerPolicy;

/// The way to one system.
pub(super) struct Gate {
    /// Name of the look-up, for the log.
    name: Box<str>,
    timeout: Duration,
    pause: Duration,
    permits: Semaphore,
    breaker: Breaker,
}

impl Gate {
    /// Creates a gate through which questions pass.
    pub(super) fn new(
        name: &str,
        timeout: Duration,
        max_concurrent: usize,
        breaker: BreakerPolicy,
    ) -> Gate {
        let (permits, pause) = (Semaphore::new(max_concurrent), breaker.pause);
        Gate { name: name.into(), timeout, pause, permits, breaker: Breaker::new(breaker) }
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
        let Ok(Ok(_permit)) = timeout(self.timeout, self.permits.acquire()).await else {
            let late = LookupAnswer::unknown(LookupState::Late);
            return Err(with_problem(late, "too many questions at the same time".into()));
        };
        // After the wait: the breaker may have opened meanwhile. The question has the whole timeout, although
        // its call may give up earlier, so that only the system's own slowness counts for the breaker.
        let Some(permission) = self.breaker.permission(Instant::now()) else {
            return Err(LookupAnswer::unknown(LookupState::Suspended));
        };
        let failed = || LookupAnswer::unknown(LookupState::Failed);
        let answered = match timeout(self.timeout, asking).await {
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
