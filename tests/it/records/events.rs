//! What became of a call: each event once, and with its call.

use axum::http::StatusCode;
use serde_json::{Value, json};
use switchboard::records::CallRecord;
use uuid::Uuid;

use super::{CALLER, DIALLED, Place, at, call, call_from, event, everywhere, kept, kept_at};
use crate::support::app::{NOW_MS, RULES};

#[tokio::test]
async fn an_event_is_stored_once_and_counted() {
    everywhere(async |place| {
        let kept = kept(&place);
        kept.ask(&call("call_1")).await;
        for _ in 0..3 {
            kept.tell(&event("call_ended", "call_1")).await;
        }
        kept.tell(&event("call_started", "call_1")).await;
        kept.tell(&event("invented", "call_1")).await;
        kept.tell(&event("invented", "call_1")).await;
        let mut other = event("invented", "call_1");
        other["more"] = json!("another body");
        kept.tell(&other).await;
        let call = kept.call().await;
        let mut told: Vec<_> = kept.events(&call).await;
        told.sort_by(|one, other| (&one.kind, other.attempts).cmp(&(&other.kind, one.attempts)));
        let told: Vec<_> = told.iter().map(|event| (&*event.kind, event.attempts)).collect();
        assert_eq!(
            told,
            [("call_ended", 3), ("call_started", 1), ("invented", 2), ("invented", 1)]
        );
        kept.stopped().await;
    })
    .await;
}

#[tokio::test]
async fn an_event_is_read_as_it_was_told() {
    everywhere(async |place| {
        let kept = kept(&place);
        kept.ask(&call("call_1")).await;
        let mut body = event("call_analyzed", "call_1");
        body["event_timestamp"] = NOW_MS.into();
        body["call"]["call_analysis"] =
            json!({ "call_summary": "nul \u{0}", "in_voicemail": true });
        body["call"]["metadata"] = json!({ "desk": 1 });
        kept.tell(&body).await;
        let call = kept.call().await;
        let [told] = &kept.events(&call).await[..] else { panic!("one event") };
        assert_eq!((told.call, told.at), (Some(call.id), at(NOW_MS)));
        assert_eq!((&*told.source, &*told.platform), ("retell", "retell"));
        assert_eq!(serde_json::from_str::<Value>(&told.body).unwrap(), body);
        assert_eq!(told.columns["summary"], "nul \u{0}");
        assert_eq!(told.columns["metadata"], json!({ "desk": 1 }));
        assert_eq!((&told.columns["from"], &told.columns["known"]), (&json!(CALLER), &json!(true)));
        kept.stopped().await;
    })
    .await;
}

#[tokio::test]
async fn of_transcripts_the_one_that_was_sent_last_is_kept() {
    everywhere(async |place| {
        let kept = kept(&place);
        kept.ask(&call("call_1")).await;
        for sent in [1, 3, 2] {
            let mut transcript = event("transcript_updated", "call_1");
            transcript["event_timestamp"] = (NOW_MS + sent).into();
            transcript["call"]["transcript"] = format!("said until {sent}").into();
            kept.tell(&transcript).await;
        }
        let call = kept.call().await;
        let [told] = &kept.events(&call).await[..] else { panic!("one event") };
        assert!(told.body.contains("said until 3"), "{}", told.body);
        assert_eq!(told.columns["event_timestamp_ms"], json!(NOW_MS + 3));
        assert_eq!(told.attempts, 3);
        kept.stopped().await;
    })
    .await;
}

#[tokio::test]
async fn two_transfers_of_a_call_are_two() {
    everywhere(async |place| {
        let kept = kept(&place);
        kept.ask(&call("call_1")).await;
        for destination in ["one", "two", "two"] {
            let mut transfer = event("transfer_started", "call_1");
            transfer["call"]["start_timestamp"] = NOW_MS.into();
            transfer["transfer_destination"] = destination.into();
            kept.tell(&transfer).await;
        }
        let call = kept.call().await;
        let mut attempts: Vec<_> =
            kept.events(&call).await.iter().map(|one| one.attempts).collect();
        attempts.sort_unstable();
        assert_eq!(attempts, [1, 2]);
        kept.stopped().await;
    })
    .await;
}

#[tokio::test]
async fn a_body_of_ten_megabytes_is_kept_whole() {
    everywhere(async |place| {
        let kept = kept(&place);
        let mut body = event("call_ended", "call_1");
        body["call"]["transcript"] = "ü 'x' ".repeat(1_450_000).into();
        let body = body.to_string();
        assert!(body.len() > 10_000_000 && body.len() < 10 << 20);
        // Its own budget is what this machine takes to read so much in a debug build.
        let answer = kept.send("/events/retell", body.as_bytes()).await;
        assert_eq!(answer.status, StatusCode::OK);
        let told = kept.events(&unrecorded("call_1")).await;
        assert!(told.len() == 1 && told[0].body == body);
        kept.stopped().await;
    })
    .await;
}

#[tokio::test]
async fn the_platform_hears_of_it_only_when_it_is_committed() {
    everywhere(async |place| {
        let (kept, writer) = super::unwritten(&place, RULES, NOW_MS);
        let body = event("call_ended", "call_1").to_string();
        let answer = kept.send("/events/retell", body.as_bytes());
        tokio::pin!(answer);
        let waits = tokio::time::timeout(std::time::Duration::from_millis(200), &mut answer);
        assert!(waits.await.is_err(), "nobody has written it");
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let writer = tokio::spawn(writer.run(stopped));
        assert_eq!(answer.await.status, StatusCode::OK);
        assert_eq!(kept.events(&unrecorded("call_1")).await.len(), 1);
        stop.send_replace(true);
        writer.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_is_told_before_its_call_is_written_belongs_to_it() {
    everywhere(async |place| {
        let kept = kept(&place);
        kept.tell(&event("call_started", "call_1")).await;
        kept.ask(&call("call_1")).await;
        kept.tell(&event("call_ended", "call_1")).await;
        kept.tell(&event("call_ended", "call_2")).await;
        assert_eq!(kept.events(&kept.call().await).await.len(), 2);
        kept.stopped().await;
    })
    .await;
}

#[tokio::test]
async fn a_stamp_finds_the_call() {
    everywhere(async |place| {
        let place = place.with(|records| records.stamp = true);
        let kept = kept(&place);
        let reply = kept.ask(&call_from("anonymous", None)).await;
        let stamp = &reply["call_inbound"]["metadata"];
        let call = kept.call().await;
        assert_eq!(stamp["switchboard_id"], json!(call.id.to_string()));
        let told = |call_id: &str, metadata: &Value| json!({ "event": "call_ended", "call": { "call_id": call_id, "metadata": metadata } });
        kept.tell(&told("call_1", stamp)).await;
        // Of no call that there is, and of another source's.
        kept.tell(&told("call_2", &json!({ "switchboard_id": Uuid::nil().to_string() }))).await;
        kept.tell(&told("call_3", &json!({ "switchboard_id": "x' OR 1=1" }))).await;
        let call = kept.call().await;
        assert_eq!(call.call_id.as_deref(), Some("call_1"), "the event told it");
        // A later one may only know the id.
        kept.tell(&told("call_1", &json!({ "switchboard_id": null, "n": 2 }))).await;
        kept.tell(&json!({ "event": "call_analyzed", "call": { "call_id": "call_1" } })).await;
        let told = kept.events(&call).await;
        assert!(told.iter().all(|event| event.call == Some(call.id)), "{told:?}");
        assert_eq!(told.len(), 2);
        kept.stopped().await;
    })
    .await;
}

/// A call to Synthflow, which sends no id, and the post-call webhook of one that began then.
fn asked(from: &str) -> Value {
    json!({ "event": "call_inbound", "call_inbound": { "from_number": from, "to_number": DIALLED } })
}

fn post_call(call_id: &str, from: &str, began_ms: i64) -> Value {
    let call = json!({ "call_id": call_id, "start_time": at(began_ms).to_string() });
    json!({ "status": "completed", "lead": { "phone_number": from }, "call": call })
}

/// Calls at these moments, each by a switchboard that remembers nothing, where records last.
async fn asked_at(place: &Place, moments: &[i64]) {
    for ms in moments {
        let kept = kept_at(place, RULES, *ms);
        kept.synthflow("/inbound/synthflow", &asked(CALLER)).await;
        kept.stopped().await;
    }
}

#[tokio::test]
async fn numbers_find_a_call_within_ten_minutes() {
    const MINUTE: i64 = 60_000;
    everywhere(async |place| {
        let kept = kept(&place);
        kept.synthflow("/inbound/synthflow", &asked(CALLER)).await;
        kept.synthflow("/inbound/synthflow", &asked("anonymous")).await;
        kept.ask(&call_from("+12137775678", None)).await;
        kept.ask(&call_from("+12137779999", Some("known"))).await;
        let tell = async |call_id: &str, from: &str, began: i64| {
            kept.synthflow("/events/synthflow", &post_call(call_id, from, NOW_MS + began)).await;
            kept.events(&unrecorded_of("synthflow", call_id)).await[0].call
        };
        assert_eq!(tell("too late", CALLER, 10 * MINUTE + 1).await, None);
        assert_eq!(tell("too early", CALLER, -10 * MINUTE - 1).await, None);
        assert_eq!(tell("withheld", "anonymous", 0).await, None, "such callers are all alike");
        assert_eq!(tell("of another source", "+12137775678", 0).await, None);
        assert_eq!(tell("nobody", "+12137770001", 0).await, None);
        let found = tell("in time", CALLER, 10 * MINUTE).await;
        let call = kept.store().call(found.unwrap()).await.unwrap().unwrap();
        assert_eq!((&*call.from, call.call_id.as_deref()), (CALLER, Some("in time")));
        assert_eq!(tell("another call", CALLER, 0).await, None, "the call has an id now");
        // Retell's says whom was dialled; a call whose id is known is another one.
        let told = |to: &str, from: &str| json!({ "event": "call_ended", "call": { "call_id": to, "from_number": from, "to_number": to } });
        kept.tell(&told("+12137770002", "+12137775678")).await;
        kept.tell(&told(DIALLED, "+12137779999")).await;
        for call_id in ["+12137770002", DIALLED] {
            assert_eq!(kept.events(&unrecorded(call_id)).await[0].call, None, "{call_id}");
        }
        kept.tell(&told(DIALLED, "+12137775678")).await;
        kept.stopped().await;
    })
    .await;
}

#[tokio::test]
async fn of_two_calls_of_a_number_the_nearer_one_is_meant() {
    everywhere(async |place| {
        if !place.lasts() {
            return;
        }
        let moments = [NOW_MS, NOW_MS + 180_000, NOW_MS + 360_000];
        asked_at(&place, &moments).await;
        let kept = kept(&place);
        for (call_id, began, nearest) in
            [("one", 170_000, 180_000), ("two", 200_000, 360_000), ("three", 200_000, 0)]
        {
            kept.synthflow("/events/synthflow", &post_call(call_id, CALLER, NOW_MS + began)).await;
            let told = kept.events(&unrecorded_of("synthflow", call_id)).await;
            let found = kept.store().call(told[0].call.unwrap()).await.unwrap().unwrap();
            assert_eq!(found.at, at(NOW_MS + nearest), "{call_id}");
        }
        kept.stopped().await;
    })
    .await;
}

#[tokio::test]
async fn no_moment_is_too_strange() {
    everywhere(async |place| {
        let kept = kept(&place);
        for (call_id, start) in [("one", i64::MIN), ("two", i64::MAX), ("three", 0)] {
            let mut told = event("call_ended", call_id);
            told["call"]["start_timestamp"] = start.into();
            told["event_timestamp"] = start.into();
            kept.tell(&told).await;
            assert_eq!(kept.events(&unrecorded(call_id)).await.len(), 1);
        }
        kept.stopped().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_nested_deeper_than_can_be_read_again_hides_nothing() {
    everywhere(async |place| {
        let kept = kept(&place);
        kept.ask(&call("call_1")).await;
        for depth in [120, 124, 125, 126, 127, 200] {
            let deep = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
            let body = format!(
                r#"{{"event":"deep_{depth}","call":{{"call_id":"call_1","metadata":{{"deep":{deep}}}}}}}"#
            );
            assert_eq!(kept.send("/events/retell", body.as_bytes()).await.status, 200, "{depth}");
        }
        assert_eq!(kept.events(&kept.call().await).await.len(), 6);
        kept.stopped().await;
    })
    .await;
}

/// To read the events of a call that nobody asked about.
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
