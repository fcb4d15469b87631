//! Reading records, and deleting expired ones.

use jiff::Timestamp;
use serde_json::json;
use switchboard::records::{Filter, Order, PageCursor};
use uuid::Uuid;

use super::{CALLER, at, call, call_from, event, for_each_store, service, service_at};
use crate::support::app::{NOW_MS, RULES};
use crate::support::wait;

const RULES_FOR_FILTERS: &str = r#"
[[rule]]
name = "vip"
from = "+4930*"
agent = "agent_1"

[[rule]]
name = "closed"
from = "+44*"
reject = true
"#;

#[tokio::test]
async fn a_page_has_the_newest_calls_that_match() {
    for_each_store(async |test_store| {
        let service = service_at(&test_store, RULES_FOR_FILTERS, NOW_MS);
        service.send_call(&call_from("+4930901820", Some("one"))).await;
        service.send_call(&call_from("+442079460000", Some("two"))).await;
        service.send_call(&call_from(CALLER, Some("three"))).await;
        service.send_event(&event("call_ended", "one")).await;
        let mut calls = service.calls().await;
        calls.reverse();
        let store = service.store();
        let ids: Vec<_> = calls.iter().map(|call| call.id).collect();
        let all = Filter::default();
        let page = |limit| PageCursor { limit, order: Order::NewestFirst, beyond: None };
        assert_eq!(store.calls(&all, page(10)).await.unwrap(), calls);
        let newest: Vec<_> = store.calls(&all, page(2)).await.unwrap();
        assert_eq!(newest.iter().map(|call| call.id).collect::<Vec<_>>(), ids[..2]);
        let events = store.last_events(&calls).await.unwrap();
        assert_eq!(events.into_values().collect::<Vec<_>>(), ["call_ended"]);
        let number = Filter { number: Some(vec!["+442079460000".to_owned()]), ..all };
        let rows = store.calls(&number, page(10)).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.outcome.as_str()).collect::<Vec<_>>(), ["reject"]);
        let last = &store.last_recorded().await.unwrap()["retell"];
        let newest = calls.iter().map(|call| call.at).max();
        assert_eq!((last.call, last.event.is_some()), (newest, true));
        service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn each_filter_finds_its_calls() {
    for_each_store(async |test_store| {
        let service = service_at(&test_store, RULES_FOR_FILTERS, NOW_MS);
        service.send_call(&call_from("+4930901820", Some("one"))).await;
        service.send_call(&call_from("+442079460000", Some("two"))).await;
        service.send_call(&call_from(CALLER, Some("three"))).await;
        let from_synthflow = json!({ "from_number": "+442079460000", "to_number": CALLER });
        let body = json!({ "event": "call_inbound", "call_inbound": from_synthflow });
        service.synthflow("/inbound/synthflow", &body).await;
        let some = |text: &str| Some(text.to_owned());
        let none = Filter::default;
        let number = |text: &str| Some(vec![text.to_owned()]);
        for (filter, expected) in [
            (none(), 4),
            (Filter { source: some("retell"), ..none() }, 3),
            (Filter { source: some("nobody"), ..none() }, 0),
            (Filter { rule: some("vip"), ..none() }, 1),
            (Filter { outcome: some("reject"), ..none() }, 2),
            (Filter { outcome: some("keep"), ..none() }, 1),
            (Filter { call_id: some("two"), ..none() }, 1),
            (Filter { call_id: some("t\u{0}o"), ..none() }, 0),
            (Filter { number: number(CALLER), ..none() }, 2),
            (Filter { number: number("+4930901820"), ..none() }, 1),
            (
                Filter {
                    number: Some(vec![CALLER.to_owned(), "+4930901820".to_owned()]),
                    ..none()
                },
                3,
            ),
            (Filter { number: number(CALLER), source: some("retell"), ..none() }, 1),
            (
                Filter {
                    number: number(CALLER),
                    outcome: some("reject"),
                    since: Some(at(NOW_MS)),
                    until: Some(at(NOW_MS + 1)),
                    ..none()
                },
                1,
            ),
            (Filter { since: Some(at(NOW_MS)), ..none() }, 4),
            (Filter { since: Some(at(NOW_MS + 1)), ..none() }, 0),
            (Filter { until: Some(at(NOW_MS)), ..none() }, 0),
            (Filter { until: Some(at(NOW_MS + 1)), ..none() }, 4),
            (Filter { since: Some(Timestamp::MIN), until: Some(Timestamp::MAX), ..none() }, 4),
        ] {
            assert_eq!(service.find(&filter).await.len(), expected, "{filter:?}");
            assert_eq!(
                service.store().count(&filter).await.unwrap(),
                expected as u64,
                "{filter:?}"
            );
        }
        let counts = service.store().counts(&Filter::default()).await.unwrap();
        assert_eq!(counts.by_rule, [(some("closed"), 2), (None, 1), (some("vip"), 1)]);
        assert_eq!(
            counts.by_outcome,
            [("reject".to_owned(), 2), ("agent".to_owned(), 1), ("keep".to_owned(), 1)]
        );
        assert_eq!(counts.by_quarter, [(at(NOW_MS / 900_000 * 900_000), 4)]);
        service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn pages_contain_each_call_once_in_both_orders() {
    for_each_store(async |test_store| {
        // All calls have the same timestamp.
        let service = service(&test_store);
        for n in 0..25 {
            service.send_call(&call(&format!("call_{n}"))).await;
        }
        service.flush().await;
        let all: Vec<Uuid> = service.calls().await.iter().map(|call| call.id).collect();
        assert_eq!(all.len(), 25);
        assert!(all.is_sorted());
        for order in [Order::NewestFirst, Order::OldestFirst] {
            let mut seen: Vec<Uuid> = Vec::new();
            loop {
                let page = PageCursor { limit: 7, order, beyond: seen.last().copied() };
                let calls = service.store().calls(&Filter::default(), page).await.unwrap();
                assert!(calls.len() <= 7);
                if calls.is_empty() {
                    break;
                }
                seen.extend(calls.iter().map(|call| call.id));
            }
            if order == Order::NewestFirst {
                seen.reverse();
            }
            assert_eq!(seen, all, "{order:?}");
        }
        service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn deletes_expired_records_only() {
    const DAY: i64 = 24 * 3_600_000;
    for_each_store(async |test_store| {
        if !test_store.is_persistent() {
            return;
        }
        for days in [31, 30, 29] {
            let service = service_at(&test_store, RULES, NOW_MS - days * DAY);
            service.send_call(&call(&format!("before {days}"))).await;
            service.send_event(&event("call_ended", &format!("before {days}"))).await;
            service.stop().await;
        }
        // The writer deletes expired records when it starts.
        let service = service(&test_store);
        let has_expired = async || service.metric("switchboard_records_expired_total").await > 0;
        assert!(wait::until_async(has_expired).await, "no record was deleted");
        let left: Vec<_> =
            service.calls().await.into_iter().filter_map(|call| call.call_id).collect();
        assert_eq!(left, ["before 30", "before 29"]);
        for (days, events) in [(31, 0), (30, 1), (29, 1)] {
            let found = service.events_with_id("retell", &format!("before {days}")).await;
            assert_eq!(found.len(), events, "{days}");
        }
        service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn memory_keeps_the_newest_records() {
    let test_store =
        super::TestStore::new("memory", switchboard::settings::RecordsLocation::Memory);
    let test_store = test_store.with(|records| records.wait = switchboard::settings::Wait::No);
    let service = service(&test_store);
    for n in 0..12_000 {
        service.send_call(&call(&format!("call_{n}"))).await;
        if n % 1_000 == 0 {
            service.flush().await;
        }
    }
    service.flush().await;
    let left = service.store().count(&Filter::default()).await.unwrap();
    assert!((10_000..=11_000).contains(&left), "{left}");
    service.stop().await;
}

const RULES_WITH_SPLIT: &str = r#"
[[rule]]
name = "trial"
from = "+4930*"
split = [{ agent = "agent_1", percent = 50 }, { agent = "agent_2", percent = 50 }]

[[rule]]
name = "closed"
reject = true
"#;

#[tokio::test]
async fn calls_are_counted_by_rule_and_by_arm() {
    for_each_store(async |test_store| {
        let service = service_at(&test_store, RULES_WITH_SPLIT, NOW_MS);
        for caller in 0..20 {
            let from = format!("+49309018{caller:02}");
            service.send_call(&call_from(&from, Some(&from))).await;
        }
        service.send_call(&call_from(CALLER, Some("other"))).await;
        service.flush().await;
        let store = service.store();
        let since = [at(NOW_MS + 1), at(NOW_MS), at(0)];
        let hits = store.rule_hits(&["trial", "closed", "nobody"], since).await.unwrap();
        let counts = |rule: &str| hits.get(rule).map(|hits| (hits.since, hits.all));
        assert_eq!(counts("trial"), Some(([0, 20, 20], 20)));
        assert_eq!(counts("closed"), Some(([0, 1, 1], 1)));
        assert_eq!(counts("nobody"), None);
        assert!(store.rule_hits(&[], since).await.unwrap().is_empty());
        assert_eq!(store.oldest_call_at().await.unwrap(), Some(at(NOW_MS)));
        let arms = store.arm_counts("trial", 1_000).await.unwrap();
        let calls = service.calls().await;
        let of_arm = |arm| calls.iter().filter(|call| call.details.arm == Some(arm)).count() as u64;
        assert_eq!(arms.by_arm.values().sum::<u64>(), 20);
        assert_eq!((arms.by_arm[&0], arms.by_arm[&1]), (of_arm(0), of_arm(1)));
        assert_eq!((arms.calls, arms.oldest), (20, Some(at(NOW_MS))));
        assert_eq!(store.arm_counts("trial", 5).await.unwrap().calls, 5);
        assert_eq!(store.arm_counts("closed", 5).await.unwrap().calls, 0);
        service.stop().await;
    })
    .await;
}
