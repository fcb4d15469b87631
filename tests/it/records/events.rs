//! Events: stored once, and linked to their calls.

use axum::http::StatusCode;
use serde_json::{Value, json};
use switchboard::records::EventRecord;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    CALLER, DIALLED, TestStore, at, call, call_from, event, for_each_store, service, service_at,
};
use crate::support::app::{NOW_MS, RULES};
use crate::support::wait;

#[tokio::test]
async fn stores_a_repeated_event_once_and_counts_it() {
    for_each_store(async |test_store| {
        let service = service(&test_store);
        service.send_call(&call("call_1")).await;
        for _ in 0..3 {
            service.send_event(&event("call_ended", "call_1")).await;
        }
        service.send_event(&event("call_started", "call_1")).await;
        service.send_event(&event("invented", "call_1")).await;
        service.send_event(&event("invented", "call_1")).await;
        let mut other = event("invented", "call_1");
        other["more"] = json!("another body");
        service.send_event(&other).await;
        let call = service.call().await;
        let mut stored: Vec<_> = service.events(&call).await;
        stored.sort_by(|one, other| (&one.kind, other.attempts).cmp(&(&other.kind, one.attempts)));
        let stored: Vec<_> = stored.iter().map(|event| (&*event.kind, event.attempts)).collect();
        assert_eq!(
            stored,
            [("call_ended", 3), ("call_started", 1), ("invented", 2), ("invented", 1)]
        );
        service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn reads_an_event_as_it_was_received() {
    for_each_store(async |test_store| {
        let service = service(&test_store);
        service.send_call(&call("call_1")).await;
        let mut body = event("call_analyzed", "call_1");
        body["event_timestamp"] = NOW_MS.into();
        body["call"]["call_analysis"] =
            json!({ "call_summary": "nul \u{0}", "in_voicemail": true });
        body["call"]["metadata"] = json!({ "desk": 1 });
        service.send_event(&body).await;
        let call = service.call().await;
        let [stored] = &service.events(&call).await[..] else { panic!("not one event") };
        assert_eq!((stored.call, stored.at), (Some(call.id), at(NOW_MS)));
        assert_eq!((&*stored.source, &*stored.platform), ("retell", "retell"));
        assert_eq!(serde_json::from_str::<Value>(&stored.body).unwrap(), body);
        assert_eq!(stored.columns["summary"], "nul \u{0}");
        assert_eq!(stored.columns["metadata"], json!({ "desk": 1 }));
        assert_eq!(
            (&stored.columns["from"], &stored.columns["known"]),
            (&json!(CALLER), &json!(true))
        );
        service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn keeps_the_transcript_that_was_sent_last() {
    for_each_store(async |test_store| {
        let service = service(&test_store);
        service.send_call(&call("call_1")).await;
        for sent in [1, 3, 2] {
            let mut transcript = event("transcript_updated", "call_1");
            transcript["event_timestamp"] = (NOW_MS + sent).into();
            transcript["call"]["transcript"] = format!("transcript {sent}").into();
            service.send_event(&transcript).await;
        }
        let call = service.call().await;
        let [stored] = &service.events(&call).await[..] else { panic!("not one event") };
        assert!(stored.body.contains("transcript 3"), "{}", stored.body);
        assert_eq!(stored.columns["event_timestamp_ms"], json!(NOW_MS + 3));
        assert_eq!(stored.attempts, 3);
        service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn two_transfers_of_a_call_are_two_events() {
    for_each_store(async |test_store| {
        let service = service(&test_store);
        service.send_call(&call("call_1")).await;
        for destination in ["one", "two", "two"] {
            let mut transfer = event("transfer_started", "call_1");
            transfer["call"]["start_timestamp"] = NOW_MS.into();
            transfer["transfer_destination"] = destination.into();
            service.send_event(&transfer).await;
        }
        let call = service.call().await;
        let mut attempts: Vec<_> =
            service.events(&call).await.iter().map(|one| one.attempts).collect();
        attempts.sort_unstable();
        assert_eq!(attempts, [1, 2]);
        service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn stores_a_body_of_ten_megabytes() {
    for_each_store(async |test_store| {
        let service = service(&test_store);
        let mut body = event("call_ended", "call_1");
        body["call"]["transcript"] = "ü 'x' ".repeat(1_450_000).into();
        let body = body.to_string();
        assert!(body.len() > 10_000_000 && body.len() < 10 << 20);
        // A debug build on a busy machine may miss the reply deadline. The platform sends it again.
        let is_stored =
            async || service.send("/events/retell", body.as_bytes()).await.status == StatusCode::OK;
        assert!(wait::until_async(is_stored).await, "the event was not stored");
        let stored = service.events_with_id("retell", "call_1").await;
        assert!(stored.len() == 1 && stored[0].body == body);
        service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn acknowledges_an_event_after_its_commit() {
    for_each_store(async |test_store| {
        let (service, writer) = super::service_without_writer(&test_store, RULES, NOW_MS);
        let body = event("call_ended", "call_1").to_string();
        let answer = service.send("/events/retell", body.as_bytes());
        tokio::pin!(answer);
        let waits = tokio::time::timeout(std::time::Duration::from_millis(200), &mut answer);
        assert!(waits.await.is_err(), "the writer does not run yet");
        let stop = CancellationToken::new();
        let writer = tokio::spawn(writer.run(stop.clone()));
        assert_eq!(answer.await.status, StatusCode::OK);
        assert_eq!(service.events_with_id("retell", "call_1").await.len(), 1);
        stop.cancel();
        writer.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_event_stored_before_its_call_belongs_to_it() {
    for_each_store(async |test_store| {
        let service = service(&test_store);
        service.send_event(&event("call_started", "call_1")).await;
        service.send_call(&call("call_1")).await;
        service.send_event(&event("call_ended", "call_1")).await;
        service.send_event(&event("call_ended", "call_2")).await;
        assert_eq!(service.events(&service.call().await).await.len(), 2);
        service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_record_id_in_the_metadata_finds_the_call() {
    for_each_store(async |test_store| {
        let test_store = test_store.with(|records| records.stamp = true);
        let service = service(&test_store);
        let reply = service.send_call(&call_from("anonymous", None)).await;
        let stamp = &reply["call_inbound"]["metadata"];
        let call = service.call().await;
        assert_eq!(stamp["switchboard_id"], json!(call.id.to_string()));
        let stamped = |call_id: &str, metadata: &Value| json!({ "event": "call_ended", "call": { "call_id": call_id, "metadata": metadata } });
        service.send_event(&stamped("call_1", stamp)).await;
        // An unknown record id, and an invalid one.
        service.send_event(&stamped("call_2", &json!({ "switchboard_id": Uuid::nil().to_string() }))).await;
        service.send_event(&stamped("call_3", &json!({ "switchboard_id": "x' OR 1=1" }))).await;
        let call = service.call().await;
        assert_eq!(call.call_id.as_deref(), Some("call_1"), "the call has the id of the event");
        // A later event may contain the call id only.
        service.send_event(&stamped("call_1", &json!({ "switchboard_id": null, "n": 2 }))).await;
        service.send_event(&json!({ "event": "call_analyzed", "call": { "call_id": "call_1" } })).await;
        let stored = service.events(&call).await;
        assert!(stored.iter().all(|event| event.call == Some(call.id)), "{stored:?}");
        assert_eq!(stored.len(), 2);
        service.stop().await;
    })
    .await;
}

/// Builds a call to Synthflow without an id.
fn synthflow_call(from: &str) -> Value {
    json!({ "event": "call_inbound", "call_inbound": { "from_number": from, "to_number": DIALLED } })
}

/// Builds the post-call webhook of a call.
fn post_call(call_id: &str, from: &str, began_ms: i64) -> Value {
    let call = json!({ "call_id": call_id, "start_time": at(began_ms).to_string() });
    json!({ "status": "completed", "lead": { "phone_number": from }, "call": call })
}

/// Sends a call at each time, to a service with an empty cache of replies.
async fn send_calls_at(test_store: &TestStore, times: &[i64]) {
    for ms in times {
        let service = service_at(test_store, RULES, *ms);
        service.synthflow("/inbound/synthflow", &synthflow_call(CALLER)).await;
        service.stop().await;
    }
}

#[tokio::test]
async fn parties_find_a_call_within_ten_minutes() {
    const MINUTE: i64 = 60_000;
    for_each_store(async |test_store| {
        let service = service(&test_store);
        service.synthflow("/inbound/synthflow", &synthflow_call(CALLER)).await;
        service.synthflow("/inbound/synthflow", &synthflow_call("anonymous")).await;
        service.send_call(&call_from("+12137775678", None)).await;
        service.send_call(&call_from("+12137779999", Some("known"))).await;
        let call_of_event = async |call_id: &str, from: &str, began: i64| {
            service.synthflow("/events/synthflow", &post_call(call_id, from, NOW_MS + began)).await;
            service.events_with_id("synthflow", call_id).await[0].call
        };
        assert_eq!(call_of_event("too late", CALLER, 10 * MINUTE + 1).await, None);
        assert_eq!(call_of_event("too early", CALLER, -10 * MINUTE - 1).await, None);
        assert_eq!(call_of_event("withheld", "anonymous", 0).await, None, "withheld callers cannot be distinguished");
        assert_eq!(call_of_event("of another source", "+12137775678", 0).await, None);
        assert_eq!(call_of_event("nobody", "+12137770001", 0).await, None);
        let found = call_of_event("in time", CALLER, 10 * MINUTE).await;
        let call = service.store().call(found.unwrap()).await.unwrap().unwrap();
        assert_eq!((&*call.from, call.call_id.as_deref()), (CALLER, Some("in time")));
        assert_eq!(call_of_event("another call", CALLER, 0).await, None, "the call has an id now");
        // Retell's events contain the dialled number. A call with another id does not match.
        let ended = |to: &str, from: &str| json!({ "event": "call_ended", "call": { "call_id": to, "from_number": from, "to_number": to } });
        service.send_event(&ended("+12137770002", "+12137775678")).await;
        service.send_event(&ended(DIALLED, "+12137779999")).await;
        for call_id in ["+12137770002", DIALLED] {
            assert_eq!(service.events_with_id("retell", call_id).await[0].call, None, "{call_id}");
        }
        service.send_event(&ended(DIALLED, "+12137775678")).await;
        service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_event_joins_the_nearest_call_of_its_parties() {
    for_each_store(async |test_store| {
        if !test_store.is_persistent() {
            return;
        }
        let times = [NOW_MS, NOW_MS + 180_000, NOW_MS + 360_000];
        send_calls_at(&test_store, &times).await;
        let service = service(&test_store);
        for (call_id, began, nearest) in
            [("one", 170_000, 180_000), ("two", 200_000, 360_000), ("three", 200_000, 0)]
        {
            service
                .synthflow("/events/synthflow", &post_call(call_id, CALLER, NOW_MS + began))
                .await;
            let stored = service.events_with_id("synthflow", call_id).await;
            let found = service.store().call(stored[0].call.unwrap()).await.unwrap().unwrap();
            assert_eq!(found.at, at(NOW_MS + nearest), "{call_id}");
        }
        service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn accepts_extreme_timestamps() {
    for_each_store(async |test_store| {
        let service = service(&test_store);
        for (call_id, start) in [("one", i64::MIN), ("two", i64::MAX), ("three", 0)] {
            let mut stored = event("call_ended", call_id);
            stored["call"]["start_timestamp"] = start.into();
            stored["event_timestamp"] = start.into();
            service.send_event(&stored).await;
            assert_eq!(service.events_with_id("retell", call_id).await.len(), 1);
        }
        service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn lists_events_with_very_deep_nesting() {
    for_each_store(async |test_store| {
        let service = service(&test_store);
        service.send_call(&call("call_1")).await;
        for depth in [120, 124, 125, 126, 127, 200] {
            let deep = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
            let body = format!(
                r#"{{"event":"deep_{depth}","call":{{"call_id":"call_1","metadata":{{"deep":{deep}}}}}}}"#
            );
            assert_eq!(service.send("/events/retell", body.as_bytes()).await.status, 200, "{depth}");
        }
        assert_eq!(service.events(&service.call().await).await.len(), 6);
        service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn every_reader_finds_the_same_call_of_an_event() {
    for_each_store(async |test_store| {
        let service = service(&test_store);
        service.send_call(&call_from("+12137775678", None)).await;
        service.send_call(&call_from("+12137779999", Some("other"))).await;
        // The first event has no numbers; the second one finds the call by them.
        let without_numbers = json!({ "event": "call_started", "call": { "call_id": "late" } });
        service.send_event(&without_numbers).await;
        let ended = json!({ "event": "call_ended", "call": {
            "call_id": "late", "from_number": "+12137775678", "to_number": DIALLED } });
        service.send_event(&ended).await;
        service.send_event(&event("call_ended", "of no call")).await;
        let calls = service.calls().await;
        let call = calls.iter().find(|call| call.from == "+12137775678").unwrap();
        let kinds = |events: &[EventRecord]| -> Vec<String> {
            let mut kinds: Vec<_> = events.iter().map(|event| event.kind.clone()).collect();
            kinds.sort();
            kinds
        };
        assert_eq!(kinds(&service.events(call).await), ["call_ended", "call_started"]);
        for event in service.events_with_id("retell", "late").await {
            assert_eq!(event.call, Some(call.id), "{}", event.kind);
        }
        let (lone, _) = service.store().lone_events(Uuid::nil(), 10).await.unwrap();
        let lone: Vec<_> = lone.iter().filter_map(|event| event.call_id.as_deref()).collect();
        assert_eq!(lone, ["of no call"]);
        let last = service.store().last_events(&calls).await.unwrap();
        assert_eq!(last.keys().collect::<Vec<_>>(), [&call.id]);
        service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn the_last_event_is_found_by_the_call_id_too() {
    for_each_store(async |test_store| {
        let service = service(&test_store);
        service.send_event(&event("call_started", "call_1")).await;
        service.send_call(&call("call_1")).await;
        let calls = service.calls().await;
        let last = service.store().last_events(&calls).await.unwrap();
        assert_eq!(last, [(calls[0].id, "call_started".to_owned())].into());
        service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn parties_find_only_inbound_calls_of_the_channel_that_were_answered() {
    const REJECTING: &str = "[[rule]]\nname = \"blocked\"\nfrom = \"+12135550100\"\nreject = \"spam\"\n\
                             [[rule]]\nname = \"everyone\"\nagent = \"agent_a\"\n";
    for_each_store(async |test_store| {
        let service = service_at(&test_store, REJECTING, NOW_MS);
        for from in ["+12135550100", "+12135550101", "+12135550102", "+12135550103"] {
            service.send_call(&call_from(from, None)).await;
        }
        let ended = |from: &str, object: &str, direction: &str| {
            let id = format!("{}_id", if object == "chat" { "chat" } else { "call" });
            json!({ "event": format!("{object}_ended"), object: {
                id: from, "from_number": from, "to_number": DIALLED, "direction": direction } })
        };
        for (from, object, direction, is_joined) in [
            ("+12135550100", "call", "inbound", false),
            ("+12135550101", "chat", "inbound", false),
            ("+12135550102", "call", "outbound", false),
            ("+12135550103", "call", "inbound", true),
        ] {
            service.send_event(&ended(from, object, direction)).await;
            let stored = service.events_with_id("retell", from).await;
            assert_eq!(stored[0].call.is_some(), is_joined, "{from} {object} {direction}");
        }
        service.stop().await;
    })
    .await;
}
