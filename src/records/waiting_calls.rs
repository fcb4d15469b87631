//! Calls that wait to be written, by caller: a history counts them, too.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::earlier_calls::{EarlierCall, HistoryQuestion};
use super::row::CallRow;
use crate::rules::MAX_CALLS;

/// Calls that wait to be written, by caller. Nothing is noted until a rule table asks for histories.
///
/// A caller can have as many of them as the queue holds while the store is down, so nothing here takes
/// longer than a search in a sorted map.
#[derive(Default)]
pub(crate) struct WaitingCalls {
    is_used: AtomicBool,
    by_caller: Mutex<HashMap<Caller, BTreeMap<Age, Arc<CallRow>>>>,
}

/// Name of a source, and a caller in the form in which records store numbers.
type Caller = (Box<str>, Box<str>);

/// Sorts calls: the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Age {
    at_ms: i64,
    id: Uuid,
}

impl Ord for Age {
    fn cmp(&self, other: &Age) -> Ordering {
        #[cfg(test)]
        tests::COMPARISONS.set(tests::COMPARISONS.get() + 1);
        (other.at_ms, other.id).cmp(&(self.at_ms, self.id))
    }
}

impl PartialOrd for Age {
    fn partial_cmp(&self, other: &Age) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A call that waits, until this value is dropped.
pub(crate) struct WaitingCall {
    calls: Arc<WaitingCalls>,
    caller: Caller,
    age: Age,
}

impl WaitingCalls {
    /// Begins to note calls. Returns whether it did not before.
    pub(crate) fn use_from_now_on(&self) -> bool {
        !self.is_used.swap(true, Relaxed)
    }

    /// Notes a call that is about to be queued.
    pub(crate) fn add(self: &Arc<WaitingCalls>, row: &Arc<CallRow>) -> Option<WaitingCall> {
        if !self.is_used.load(Relaxed) {
            return None;
        }
        let caller: Caller = (row.source.as_str().into(), row.from.as_str().into());
        let age = Age { at_ms: row.at_ms, id: row.id };
        self.guarded().entry(caller.clone()).or_default().insert(age, row.clone());
        Some(WaitingCall { calls: self.clone(), caller, age })
    }

    /// Returns the newest calls of a caller that wait, at most [`MAX_CALLS`] for each form of the number.
    pub(crate) fn of(&self, question: &HistoryQuestion) -> Vec<EarlierCall> {
        let rows: Vec<Arc<CallRow>> = {
            let by_caller = self.guarded();
            let source: Box<str> = question.source.as_str().into();
            let callers = question.forms.iter().map(|form| (source.clone(), form.as_str().into()));
            let calls = callers.filter_map(|caller| by_caller.get(&caller));
            calls.flat_map(|calls| calls.values().take(MAX_CALLS).cloned()).collect()
        };
        // The texts are copied outside of the lock.
        let rows = rows.iter().filter(|row| Some(row.dedup_key) != question.at_hand);
        rows.map(|row| EarlierCall::from(&**row)).collect()
    }

    fn guarded(&self) -> MutexGuard<'_, HashMap<Caller, BTreeMap<Age, Arc<CallRow>>>> {
        self.by_caller.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WaitingCall {
    fn drop(&mut self) {
        let mut by_caller = self.calls.guarded();
        if let Some(calls) = by_caller.get_mut(&self.caller) {
            calls.remove(&self.age);
            if calls.is_empty() {
                by_caller.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::records::DeliveryKey;

    thread_local! {
        /// Comparisons of calls in this thread: the work besides allocations.
        pub(super) static COMPARISONS: Cell<u64> = const { Cell::new(0) };
    }

    const FROM: &str = "+12137771234";

    fn row(number: u32) -> Arc<CallRow> {
        Arc::new(CallRow {
            id: Uuid::from_u128(number.into()),
            dedup_key: DeliveryKey::of_column(&format!("{number:016}")),
            at_ms: i64::from(number),
            source: "retell".to_owned(),
            platform: "retell",
            channel: "call",
            call_id: None,
            from: FROM.to_owned(),
            to: "+12137770000".to_owned(),
            outcome: "keep",
            rule: None,
            agent: None,
            fingerprint: String::new(),
            details: String::new(),
        })
    }

    fn question(at_hand: Option<u32>) -> HistoryQuestion {
        let key = |number| DeliveryKey::of_column(&format!("{number:016}"));
        let (source, forms) = ("retell".to_owned(), vec![FROM.to_owned()]);
        HistoryQuestion { source, forms, at_hand: at_hand.map(key) }
    }

    fn numbers(calls: &Arc<WaitingCalls>, at_hand: Option<u32>) -> Vec<i64> {
        calls.of(&question(at_hand)).iter().map(|call| call.at_ms).collect()
    }

    #[test]
    fn calls_of_one_caller_wait_until_they_are_dropped_and_the_call_at_hand_does_not_count() {
        let calls = Arc::<WaitingCalls>::default();
        assert!(calls.add(&row(1)).is_none(), "no table asks for histories");
        assert!(calls.use_from_now_on() && !calls.use_from_now_on());
        let mut waiting: Vec<_> = (1..=3).map(|number| calls.add(&row(number))).collect();
        assert_eq!(numbers(&calls, None), [3, 2, 1]);
        assert_eq!(numbers(&calls, Some(2)), [3, 1]);
        waiting.remove(1);
        assert_eq!(numbers(&calls, None), [3, 1]);
        waiting.clear();
        assert!(calls.guarded().is_empty());
    }

    /// A caller who calls all the time while the store is down. A search through the calls of the caller for
    /// each of them would take five thousand million comparisons.
    #[test]
    fn the_work_for_a_call_hardly_grows_with_the_calls_of_its_caller() {
        const CALLS: u32 = 100_000;
        let calls = Arc::<WaitingCalls>::default();
        calls.use_from_now_on();
        COMPARISONS.set(0);
        let waiting: Vec<_> = (0..CALLS).map(|number| calls.add(&row(number))).collect();
        assert_eq!(numbers(&calls, None).len(), MAX_CALLS);
        // Neither the oldest nor the newest first.
        let (odd, even): (Vec<_>, Vec<_>) =
            waiting.into_iter().enumerate().partition(|(number, _)| number % 2 == 1);
        drop((odd, even));
        assert!(calls.guarded().is_empty());
        let comparisons = COMPARISONS.get() / u64::from(CALLS);
        assert!(comparisons < 200, "{comparisons} comparisons for each call");
    }
}
