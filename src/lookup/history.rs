//! The built-in look-up `history`: what the records know of the caller's earlier calls.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::SystemAnswer;
use super::gate::{Gate, with_problem};
use crate::domain::call::Call;
use crate::domain::facts::{LookupAnswer, LookupState};
use crate::domain::party::Party;
use crate::records::{EarlierCall, HistoryReading, NumberPolicy, Recorder, Store};
use crate::rules::{HISTORY, HistoryPolicy, of_withheld_caller};

/// Difference between the clocks of replicas that is tolerated.
const CLOCK_DIFFERENCE_MS: i64 = 2_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Where the calls of callers are recorded.
#[derive(Clone, Copy)]
pub enum HistorySource<'r> {
    /// The records of this service.
    Recorder(&'r Recorder),
    /// The records of another process, which does not tell what it has not written yet.
    Store(&'r Store, &'r NumberPolicy),
    /// There are none, for this reason.
    None(&'static str),
}

impl HistorySource<'_> {
    /// Returns the question about a call's caller. A withheld caller has no history.
    ///
    /// # Errors
    /// Returns the answer if there is no question.
    pub(super) fn question(
        self,
        call: &Call<'_>,
        now: Timestamp,
    ) -> Result<HistoryReading, LookupAnswer> {
        if *call.from() == Party::Withheld {
            return Err(of_withheld_caller());
        }
        let reading = match self {
            HistorySource::Recorder(recorder) => recorder.history(call, now),
            HistorySource::Store(store, numbers) => store.history(call, now, numbers),
            HistorySource::None(reason) => Err(reason),
        };
        let failed = LookupAnswer::unknown(LookupState::Failed);
        reading.map_err(|problem| with_problem(failed, problem.into()))
    }
}

/// The records, as a system that is asked within limits.
pub(super) struct HistoryAsker {
    pub(super) policy: HistoryPolicy,
    pub(super) gate: Gate,
}

impl Default for HistoryAsker {
    fn default() -> HistoryAsker {
        HistoryAsker::new(HistoryPolicy::default())
    }
}

impl HistoryAsker {
    pub(super) fn new(policy: HistoryPolicy) -> HistoryAsker {
        let HistoryPolicy { timeout, max_concurrent, breaker } = policy;
        HistoryAsker { policy, gate: Gate::new(HISTORY, timeout, max_concurrent, breaker) }
    }

    /// Asks the question about a call that arrived at `now`.
    pub(super) async fn answer(&self, question: HistoryReading, now: Timestamp) -> LookupAnswer {
        let asking = async {
            match question.calls(self.policy.timeout).await {
                Ok(calls) => SystemAnswer::Found(summary(&calls, now.as_millisecond())),
                Err(_) => SystemAnswer::failed("the record store cannot be read"),
            }
        };
        match self.gate.ask(asking).await {
            Ok(answer) | Err(answer) => answer,
        }
    }
}

/// Counts calls, and describes the newest one.
fn summary(calls: &[EarlierCall], now_ms: i64) -> Value {
    // An explanation can be about a call in the past. The clocks of replicas differ a little.
    let calls = calls.iter().filter(|call| call.at_ms <= now_ms + CLOCK_DIFFERENCE_MS);
    let calls: Vec<&EarlierCall> = calls.collect();
    let since = |age: i64| calls.iter().filter(|call| now_ms - call.at_ms <= age).count();
    let mut summary = json!({
        "calls_1h": since(HOUR_MS),
        "calls_24h": since(DAY_MS),
        "calls_30d": since(30 * DAY_MS),
    });
    if let Some(last) = calls.iter().max_by_key(|call| (call.at_ms, call.id)) {
        summary["last_rule"] = last.rule.clone().into();
        summary["last_seen_days"] = ((now_ms - last.at_ms).max(0) / DAY_MS).into();
    }
    let with_agent = calls.iter().filter(|call| call.agent.is_some());
    if let Some(last) = with_agent.max_by_key(|call| (call.at_ms, call.id)) {
        summary["last_agent"] = last.agent.clone().into();
    }
    summary
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::records::DeliveryKey;

    fn call(id: u128, days: f64, agent: Option<&str>) -> EarlierCall {
        let (agent, rule) = (agent.map(str::to_owned), Some(format!("rule {id}")));
        let key = DeliveryKey::of_column(&id.to_string());
        let at_ms = -(days * DAY_MS as f64) as i64;
        EarlierCall { id: Uuid::from_u128(id), key, at_ms, agent, rule }
    }

    #[test]
    fn calls_are_counted_by_age_and_the_newest_is_described() {
        let calls = [
            call(1, 40.0, Some("old")),
            call(2, 29.0, Some("desk")),
            call(3, 2.5, None),
            call(4, 0.5, Some("desk")),
            call(5, 0.01, None),
        ];
        let newest_first = summary(&calls, 0);
        assert_eq!(
            newest_first,
            json!({
                "calls_1h": 1, "calls_24h": 2, "calls_30d": 4,
                "last_rule": "rule 5", "last_seen_days": 0, "last_agent": "desk",
            })
        );
        assert_eq!(summary(&[], 0), json!({ "calls_1h": 0, "calls_24h": 0, "calls_30d": 0 }));
    }
}
