//! Calls: one row each, with all fields.

use serde_json::{Value, json};
use switchboard::records::Filter;

use super::{CALLER, DIALLED, at, call, call_from, for_each_store, service, service_at};
use crate::support::app::{NOW_MS, RULES};

const EVERYTHING: &str = r#"
[agents]
desk = { retell = "agent_fr0nt", version = 3, synthflow = "1716a" }
tagged = { retell = "agent_tag", version = "latest" }

[[rule]]
name = "greet"
continue = true
variables = { caller = "${from}" }
metadata = { desk = 1, deep = { list = [1, "two", true] } }

[[rule]]
name = "turned away"
from = "+49*"
reject = "not our country \"here\""

[[rule]]
name = "own agent"
from = "+44*"
keep = true

[[rule]]
name = "tagged"
from = "+33*"
agent = "tagged"

[[rule]]
name = "everyone"
split = [{ agent = "desk", percent = 100 }, { agent = "tagged", percent = 0 }]
variables = { say = "hello 😀" }
agent_override = { agent = { voice_speed = 1.1 } }
delay_ms = 1
"#;

/// Returns the record of the only call without the fields that differ in each run.
async fn recorded(service: &super::Service) -> Value {
    let mut record = serde_json::to_value(service.call().await).unwrap();
    let object = record.as_object_mut().unwrap();
    for changing in ["id", "fingerprint", "latency_us"] {
        assert!(object.shift_remove(changing).is_some_and(|value| !value.is_null()), "{changing}");
    }
    record
}

#[tokio::test]
async fn a_stored_decision_has_all_fields() {
    for_each_store(async |test_store| {
        let service = service_at(&test_store, EVERYTHING, NOW_MS);
        let inner = json!({
            "call_id": "call_1", "from_number": CALLER, "to_number": DIALLED,
            "agent_id": "agent_number", "agent_version": 12,
            "custom_sip_headers": { "X-Tier": "gold", "x-empty": "" },
        });
        service.send_call(&json!({ "event": "call_inbound", "call_inbound": inner })).await;
        let expected = json!({
            "at": "2026-05-28T23:57:52.2Z", "source": "retell", "platform": "retell",
            "channel": "call", "call_id": "call_1", "from": CALLER, "to": DIALLED,
            "outcome": "agent", "rule": "everyone", "agent": "desk", "attempts": 1,
            "numbers": "full", "agent_in": "agent_number", "agent_version_in": 12,
            "agent_id": "agent_fr0nt", "agent_version": 3, "arm": 0, "added_by": ["greet"],
            "variables": { "caller": CALLER, "say": "hello 😀" },
            "metadata": { "desk": 1, "deep": { "list": [1, "two", true] } },
            "agent_override": { "agent": { "voice_speed": 1.1 } },
            "delay_ms": 1, "sip": { "x-tier": "gold", "x-empty": "" },
        });
        let mut record = recorded(&service).await;
        record["at"] = json!(service.call().await.at.to_string());
        assert_eq!(record["at"], json!(at(NOW_MS).to_string()));
        record["at"] = expected["at"].clone();
        assert_eq!(record, expected);
        let id = service.call().await.id;
        assert_eq!(service.store().call(id).await.unwrap(), Some(service.call().await));
        assert_eq!(service.call().await.fingerprint, service.app.table().fingerprint);
        service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn stores_every_outcome() {
    for_each_store(async |test_store| {
        let service = service_at(&test_store, EVERYTHING, NOW_MS);
        for (from, outcome, rule, agent, why, version) in [
            ("+4930901820", "reject", "turned away", None, Some("not our country \"here\""), None),
            ("+442079460000", "keep", "own agent", None, Some("rule"), None),
            ("+33123456789", "agent", "tagged", Some("tagged"), None, Some(json!("latest"))),
        ] {
            service.send_call(&call_from(from, None)).await;
            let filter = Filter { rule: Some(rule.to_owned()), ..Filter::default() };
            let found = service.find(&filter).await;
            assert_eq!(found.len(), 1, "{rule}");
            let [found] = &found[..] else { unreachable!() };
            assert_eq!((&*found.outcome, found.agent.as_deref()), (outcome, agent));
            assert_eq!(found.details.reason.as_deref(), why);
            assert_eq!(found.details.agent_version, version);
            assert_eq!((&*found.from, &found.call_id), (from, &None));
        }
        service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn stores_any_text() {
    // Random letters, because an index compresses repeated ones.
    let noise = |letters: usize| -> String {
        let next = |seed: &u32| Some(seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        let seeds = std::iter::successors(Some(7_u32), next).take(letters);
        seeds.map(|seed| char::from(b'a' + (seed >> 24) as u8 % 26)).collect()
    };
    let long = format!("call_{}", noise(60_000));
    let long_from = format!("client:{}", noise(40_000));
    for_each_store(async |test_store| {
        let service = service(&test_store);
        for (call_id, from, header, kept_from) in [
            ("a\u{0}b", "client:a\u{0}b", "nul \u{0} and \\u0000", "client:a\u{fffd}b"),
            ("'; DROP TABLE calls; --", "client:'\"\\", "\"quoted\" \\ 'text'", "client:'\"\\"),
            ("📞", "client:😀", "🤷🏽‍♀️ ü \u{202e}", "client:😀"),
            (&*long, "anonymous", "\r\n\t", "withheld"),
            ("long from", &*long_from, "", &*long_from),
        ] {
            let inner = json!({
                "call_id": call_id, "from_number": from, "to_number": "1001",
                "custom_sip_headers": { "x-text": header },
            });
            service.send_call(&json!({ "event": "call_inbound", "call_inbound": inner })).await;
            let filter = Filter { call_id: Some(call_id.to_owned()), ..Filter::default() };
            let found = service.find(&filter).await;
            assert_eq!(found.len(), 1, "{call_id:.20}");
            assert_eq!((&*found[0].from, &*found[0].to), (kept_from, "1001"));
            let sip = &found[0].details.sip.0;
            assert_eq!(sip[0].1, header.replace('\u{0}', "\u{fffd}"));
            let event = json!({ "event": "call_ended", "call": { "call_id": call_id } });
            service.send_event(&event).await;
            assert_eq!(service.events(&found[0]).await.len(), 1, "{call_id:.20}");
        }
        // Half of a surrogate pair is not valid text.
        let body = br#"{"event":"call_inbound","call_inbound":{"call_id":"half \ud800","from_number":"client:\ud800"}}"#;
        assert_eq!(service.send("/inbound/retell", body).await.status, 200);
        assert_eq!(service.calls().await.len(), 6);
        assert_eq!(service.metric("switchboard_records_lost_total{reason=\"refused\"}").await, 0);
        service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_repeated_delivery_is_one_row() {
    for_each_store(async |test_store| {
        let service = service(&test_store);
        for _ in 0..3 {
            service.send_call(&call("call_1")).await;
        }
        assert_eq!(service.call().await.attempts, 3, "answered from the cache");
        if test_store.is_persistent() {
            service.stop().await;
            let restarted = self::service(&test_store);
            restarted.send_call(&call("call_1")).await;
            assert_eq!(restarted.call().await.attempts, 4, "after a restart");
            let other = self::service(&test_store);
            other.send_call(&call("call_1")).await;
            assert_eq!(other.call().await.attempts, 5, "by a second service");
            other.stop().await;
            restarted.stop().await;
        } else {
            service.stop().await;
        }
    })
    .await;
}

/// The second delivery may replace the row of the first, and either service may receive the next one.
#[tokio::test]
async fn two_replicas_count_every_delivery() {
    for_each_store(async |test_store| {
        if !test_store.is_persistent() {
            return;
        }
        let replicas = [service(&test_store), service(&test_store)];
        for (call_id, order) in [("aba", &[0, 1, 0][..]), ("abba", &[0, 1, 1, 0])] {
            for replica in order {
                replicas[*replica].send_call(&call(call_id)).await;
                replicas[*replica].flush().await;
            }
            let filter = Filter { call_id: Some(call_id.to_owned()), ..Filter::default() };
            let found = replicas[0].find(&filter).await;
            assert_eq!(found.len(), 1, "{call_id}");
            assert_eq!(found[0].attempts as usize, order.len(), "{call_id}");
        }
        for replica in replicas {
            replica.stop().await;
        }
    })
    .await;
}

#[tokio::test]
async fn calls_without_an_id_are_distinguished_by_timestamp_or_minute() {
    for_each_store(async |test_store| {
        let stamped = |ms: i64| {
            let mut call = call_from(CALLER, None);
            call["event_timestamp"] = ms.into();
            call
        };
        let mut expected = 0;
        for (later_ms, body, is_new) in [
            (0, call_from(CALLER, None), true),
            (1_000, call_from(CALLER, None), false),
            (70_000, call_from(CALLER, None), true),
            (70_000, call_from("anonymous", None), true),
            (70_000, stamped(5), true),
            (100_000, stamped(5), false),
            (100_000, stamped(6), true),
        ] {
            if !test_store.is_persistent() {
                return;
            }
            // Each service starts with an empty cache, at an offset from the start of a minute.
            let service = service_at(&test_store, RULES, NOW_MS / 60_000 * 60_000 + later_ms);
            service.send_call(&body).await;
            expected += usize::from(is_new);
            assert_eq!(service.calls().await.len(), expected, "{later_ms} {body}");
            service.stop().await;
        }
    })
    .await;
}

#[tokio::test]
async fn keeps_the_last_decision_of_a_minute_and_ignores_replays() {
    const REJECTS: &str = "[[rule]]\nname = \"closed\"\nreject = true\n";
    for_each_store(async |test_store| {
        if !test_store.is_persistent() {
            return;
        }
        for (call_id, answers, counts) in [
            ("in time", [(RULES, 0), (REJECTS, 60_000)], "reject"),
            ("a replay", [(RULES, 0), (REJECTS, 60_001)], "agent"),
            ("written late", [(RULES, 30_000), (REJECTS, 0)], "agent"),
        ] {
            for (rules, later) in answers {
                let service = service_at(&test_store, rules, NOW_MS + later);
                service.send_call(&call(call_id)).await;
                service.stop().await;
            }
            let service = service(&test_store);
            service.flush().await;
            let filter = Filter { call_id: Some(call_id.to_owned()), ..Filter::default() };
            let found = service.find(&filter).await;
            assert_eq!(found.len(), 1, "{call_id}");
            assert_eq!((&*found[0].outcome, found[0].attempts), (counts, 2), "{call_id}");
            service.stop().await;
        }
    })
    .await;
}

#[tokio::test]
async fn events_stay_with_a_call_that_is_decided_again() {
    for_each_store(async |test_store| {
        if !test_store.is_persistent() {
            return;
        }
        let first = service(&test_store);
        first.send_call(&call("call_1")).await;
        first.send_event(&super::event("call_started", "call_1")).await;
        let before = first.call().await.id;
        first.stop().await;
        let second = service_at(&test_store, RULES, NOW_MS + 1_000);
        second.send_call(&call("call_1")).await;
        second.send_event(&super::event("call_ended", "call_1")).await;
        let call = second.call().await;
        assert_ne!(call.id, before);
        let kinds: Vec<_> =
            second.events(&call).await.into_iter().map(|event| event.kind).collect();
        assert_eq!(kinds, ["call_started", "call_ended"]);
        second.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_call_keeps_the_id_from_its_event() {
    for_each_store(async |test_store| {
        if !test_store.is_persistent() {
            return;
        }
        let fields = json!({ "from_number": CALLER, "to_number": DIALLED });
        let call_body = json!({ "event": "call_inbound", "call_inbound": fields });
        let event_body =
            json!({ "lead": { "phone_number": CALLER }, "call": { "call_id": "call_1" } });
        for attempts in [1, 2] {
            let service = service_at(&test_store, RULES, NOW_MS + attempts * 1_000);
            service.synthflow("/inbound/synthflow", &call_body).await;
            service.synthflow("/events/synthflow", &event_body).await;
            let call = service.call().await;
            assert_eq!((call.call_id.as_deref(), call.attempts), (Some("call_1"), attempts));
            service.stop().await;
        }
    })
    .await;
}
