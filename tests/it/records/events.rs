//! Events: stored once, and linked to their calls.

use axum::http::StatusCode;
use serde_json::{Value, json};
use switchboard::records::CallRecord;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{CALLER, DIALLED, Place, at, call, call_from, event, everywhere, service, service_at};
use crate::support::app::{NOW_MS, RULES};
use crate::support::wait;

#[tokio::test]
async fn stores_a_repeated_event_once_and_counts_it() {
    everywhere(async |place| {
        let service = service(&place);
        service.ask(&call("call_1")).await;
        for _ in 0..3 {
            service.tell(&event("call_ended", "call_1")).await;
        }
        service.tell(&event("call_started", "call_1")).await;
        service.tell(&event("invented", "call_1")).await;
        service.tell(&event("invented", "call_1")).await;
        let mut other = event("invented", "call_1");
        other["more"] = json!("another body");
        service.tell(&other).await;
        let call = service.call().await;
        let mut told: Vec<_> = service.events(&call).await;
        told.sort_by(|one, other| (&one.kind, other.attempts).cmp(&(&other.kind, one.attempts)));
        let told: Vec<_> = told.iter().map(|event| (&*event.kind, event.attempts)).collect();
        assert_eq!(
            told,
            [("call_ended", 3), ("call_started", 1), ("invented", 2), ("invented", 1)]
        );
        service.stopped().await;
    })
    .await;
}

#[tokio::test]
async fn reads_an_event_as_it_was_received() {
    everywhere(async |place| {
        let service = service(&place);
        service.ask(&call("call_1")).await;
        let mut body = event("call_analyzed", "call_1");
        body["event_timestamp"] = NOW_MS.into();
        body["call"]["call_analysis"] =
            json!({ "call_summary": "nul \u{0}", "in_voicemail": true });
        body["call"]["metadata"] = json!({ "desk": 1 });
        service.tell(&body).await;
        let call = service.call().await;
        let [told] = &service.events(&call).await[..] else { panic!("one event") };
        assert_eq!((told.call, told.at), (Some(call.id), at(NOW_MS)));
        assert_eq!((&*told.source, &*told.platform), ("retell", "retell"));
        assert_eq!(serde_json::from_str::<Value>(&told.body).unwrap(), body);
        assert_eq!(told.columns["summary"], "nul \u{0}");
        assert_eq!(told.columns["metadata"], json!({ "desk": 1 }));
        assert_eq!((&told.columns["from"], &told.columns["known"]), (&json!(CALLER), &json!(true)));
        service.stopped().await;
    })
    .await;
}

#[tokio::test]
async fn keeps_the_transcript_that_was_sent_last() {
    everywhere(async |place| {
        let service = service(&place);
        service.ask(&call("call_1")).await;
        for sent in [1, 3, 2] {
            let mut transcript = event("transcript_updated", "call_1");
            transcript["event_timestamp"] = (NOW_MS + sent).into();
            transcript["call"]["transcript"] = format!("said until {sent}").into();
            service.tell(&transcript).await;
        }
        let call = service.call().await;
        let [told] = &service.events(&call).await[..] else { panic!("one event") };
        assert!(told.body.contains("said until 3"), "{}", told.body);
        assert_eq!(told.columns["event_timestamp_ms"], json!(NOW_MS + 3));
        assert_eq!(told.attempts, 3);
        service.stopped().await;
    })
    .await;
}

#[tokio::test]
async fn two_transfers_of_a_call_are_two_events() {
    everywhere(async |place| {
        let service = service(&place);
        service.ask(&call("call_1")).await;
        for destination in ["one", "two", "two"] {
            let mut transfer = event("transfer_started", "call_1");
            transfer["call"]["start_timestamp"] = NOW_MS.into();
            transfer["transfer_destination"] = destination.into();
            service.tell(&transfer).await;
        }
        let call = service.call().await;
        let mut attempts: Vec<_> =
            service.events(&call).await.iter().map(|one| one.attempts).collect();
        attempts.sort_unstable();
        assert_eq!(attempts, [1, 2]);
        service.stopped().await;
    })
    .await;
}

#[tokio::test]
async fn stores_a_body_of_ten_megabytes() {
    everywhere(async |place| {
        let service = service(&place);
        let mut body = event("call_ended", "call_1");
        body["call"]["transcript"] = "ü 'x' ".repeat(1_450_000).into();
        let body = body.to_string();
        assert!(body.len() > 10_000_000 && body.len() < 10 << 20);
        // A debug build on a busy machine may miss the reply deadline. The platform sends it again.
        let is_stored =
            async || service.send("/events/retell", body.as_bytes()).await.status == StatusCode::OK;
        assert!(wait::until_async(is_stored).await, "the event was not stored");
        let told = service.events(&unrecorded("call_1")).await;
        assert!(told.len() == 1 && told[0].body == body);
        service.stopped().await;
    })
    .await;
}

#[tokio::test]
async fn acknowledges_an_event_after_its_commit() {
    everywhere(async |place| {
        let (service, writer) = super::service_without_writer(&place, RULES, NOW_MS);
        let body = event("call_ended", "call_1").to_string();
        let answer = service.send("/events/retell", body.as_bytes());
        tokio::pin!(answer);
        let waits = tokio::time::timeout(std::time::Duration::from_millis(200), &mut answer);
        assert!(waits.await.is_err(), "nobody has written it");
        let stop = CancellationToken::new();
        let writer = tokio::spawn(writer.run(stop.clone()));
        assert_eq!(answer.await.status, StatusCode::OK);
        assert_eq!(service.events(&unrecorded("call_1")).await.len(), 1);
        stop.cancel();
        writer.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_event_stored_before_its_call_belongs_to_it() {
    everywhere(async |place| {
        let service = service(&place);
        service.tell(&event("call_started", "call_1")).await;
        service.ask(&call("call_1")).await;
        service.tell(&event("call_ended", "call_1")).await;
        service.tell(&event("call_ended", "call_2")).await;
        assert_eq!(service.events(&service.call().await).await.len(), 2);
        service.stopped().await;
    })
    .await;
}

#[tokio::test]
async fn a_record_id_in_the_metadata_finds_the_call() {
    everywhere(async |place| {
        let place = place.with(|records| records.stamp = true);
        let service = service(&place);
        let reply = service.ask(&call_from("anonymous", None)).await;
        let stamp = &reply["call_inbound"]["metadata"];
        let call = service.call().await;
        assert_eq!(stamp["switchboard_id"], json!(call.id.to_string()));
        let told = |call_id: &str, metadata: &Value| json!({ "event": "call_ended", "call": { "call_id": call_id, "metadata": metadata } });
        service.tell(&told("call_1", stamp)).await;
        // Of no call that there is, and of another source's.
        service.tell(&told("call_2", &json!({ "switchboard_id": Uuid::nil().to_string() }))).await;
        service.tell(&told("call_3", &json!({ "switchboard_id": "x' OR 1=1" }))).await;
        let call = service.call().await;
        assert_eq!(call.call_id.as_deref(), Some("call_1"), "the event told it");
        // A later one may only know the id.
        service.tell(&told("call_1", &json!({ "switchboard_id": null, "n": 2 }))).await;
        service.tell(&json!({ "event": "call_analyzed", "call": { "call_id": "call_1" } })).await;
        let told = service.events(&call).await;
        assert!(told.iter().all(|event| event.call == Some(call.id)), "{told:?}");
        assert_eq!(told.len(), 2);
        service.stopped().await;
    })
    .await;
}

/// Builds a call to Synthflow, without an id, and the post-call webhook of a call that began then.
fn asked(from: &str) -> Value {
    json!({ "event": "call_inbound", "call_inbound": { "from_number": from, "to_number": DIALLED } })
}

fn post_call(call_id: &str, from: &str, began_ms: i64) -> Value {
    let call = json!({ "call_id": call_id, "start_time": at(began_ms).to_string() });
    json!({ "status": "completed", "lead": { "phone_number": from }, "call": call })
}

/// Sends calls at these times, each to a service with an empty cache of replies.
async fn asked_at(place: &Place, moments: &[i64]) {
    for ms in moments {
        let service = service_at(place, RULES, *ms);
        service.synthflow("/inbound/synthflow", &asked(CALLER)).await;
        service.stopped().await;
    }
}

#[tokio::test]
async fn parties_find_a_call_within_ten_minutes() {
    const MINUTE: i64 = 60_000;
    everywhere(async |place| {
        let service = service(&place);
        service.synthflow("/inbound/synthflow", &asked(CALLER)).await;
        service.synthflow("/inbound/synthflow", &asked("anonymous")).await;
        service.ask(&call_from("+12137775678", None)).await;
        service.ask(&call_from("+12137779999", Some("known"))).await;
        let tell = async |call_id: &str, from: &str, began: i64| {
            service.synthflow("/events/synthflow", &post_call(call_id, from, NOW_MS + began)).await;
            service.events(&unrecorded_of("synthflow", call_id)).await[0].call
        };
        assert_eq!(tell("too late", CALLER, 10 * MINUTE + 1).await, None);
        assert_eq!(tell("too early", CALLER, -10 * MINUTE - 1).await, None);
        assert_eq!(tell("withheld", "anonymous", 0).await, None, "such callers are all alike");
        assert_eq!(tell("of another source", "+12137775678", 0).await, None);
        assert_eq!(tell("nobody", "+12137770001", 0).await, None);
        let found = tell("in time", CALLER, 10 * MINUTE).await;
        let call = service.store().call(found.unwrap()).await.unwrap().unwrap();
        assert_eq!((&*call.from, call.call_id.as_deref()), (CALLER, Some("in time")));
        assert_eq!(tell("another call", CALLER, 0).await, None, "the call has an id now");
        // Retell's says whom was dialled; a call whose id is known is another one.
        let told = |to: &str, from: &str| json!({ "event": "call_ended", "call": { "call_id": to, "from_number": from, "to_number": to } });
        service.tell(&told("+12137770002", "+12137775678")).await;
        service.tell(&told(DIALLED, "+12137779999")).await;
        for call_id in ["+12137770002", DIALLED] {
            assert_eq!(service.events(&unrecorded(call_id)).await[0].call, None, "{call_id}");
        }
        service.tell(&told(DIALLED, "+12137775678")).await;
        service.stopped().await;
    })
    .await;
}

#[tokio::test]
async fn an_event_joins_the_nearest_call_of_its_parties() {
    everywhere(async |place| {
        if !place.lasts() {
            return;
        }
        let moments = [NOW_MS, NOW_MS + 180_000, NOW_MS + 360_000];
        asked_at(&place, &moments).await;
        let service = service(&place);
        for (call_id, began, nearest) in
            [("one", 170_000, 180_000), ("two", 200_000, 360_000), ("three", 200_000, 0)]
        {
            service
                .synthflow("/events/synthflow", &post_call(call_id, CALLER, NOW_MS + began))
                .await;
            let told = service.events(&unrecorded_of("synthflow", call_id)).await;
            let found = service.store().call(told[0].call.unwrap()).await.unwrap().unwrap();
            assert_eq!(found.at, at(NOW_MS + nearest), "{call_id}");
        }
        service.stopped().await;
    })
    .await;
}

#[tokio::test]
async fn accepts_extreme_timestamps() {
    everywhere(async |place| {
        let service = service(&place);
        for (call_id, start) in [("one", i64::MIN), ("two", i64::MAX), ("three", 0)] {
            let mut told = event("call_ended", call_id);
            told["call"]["start_timestamp"] = start.into();
            told["event_timestamp"] = start.into();
            service.tell(&told).await;
            assert_eq!(service.events(&unrecorded(call_id)).await.len(), 1);
        }
        service.stopped().await;
    })
    .await;
}

#[tokio::test]
async fn lists_events_with_very_deep_nesting() {
    everywhere(async |place| {
        let service = service(&place);
        service.ask(&call("call_1")).await;
        for depth in [120, 124, 125, 126, 127, 200] {
            let deep = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
            let body = format!(
                r#"{{"event":"deep_{depth}","call":{{"call_id":"call_1","metadata":{{"deep":{deep}}}}}}}"#
            );
            assert_eq!(service.send("/events/retell", body.as_bytes()).await.status, 200, "{depth}");
        }
        assert_eq!(service.events(&service.call().await).await.len(), 6);
        service.stopped().await;
    })
    .await;
}

/// Builds a record to read the events of a call that was not recorded.
pub(super) fn unrecorded(call_id: &str) -> CallRecord {
    unrecorded_of("retell", call_id)
}

fn unrecorded_of(source: &str, call_id: &str) -> CallRecord {
    CallRecord {
        id: Uuid::nil(),
        at: at(NOW_MS),
        source: source.to_owned(),
        platform: String::new(),
        channel: String::new(),
        call_id: Some(call_id.to_owned()),
        from: String::new(),
        to: String::new(),
        outcome: String::new(),
        rule: None,
        agent: None,
        fingerprint: String::new(),
        attempts: 1,
        details: switchboard::records::Details::default(),
    }
}
