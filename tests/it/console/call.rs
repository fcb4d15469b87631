//! `/calls/ID`: the reply, the explanation, the look-ups and the events of a call.

use axum::http::StatusCode;
use serde_json::json;

use super::client::{Client, service, service_with};
use crate::support::app::RULES;

/// A rule whose reply has the caller's number.
const GREETING: &str = r#"
[[rule]]
name = "vip"
from = "+12137771234"
agent = "agent_vip"
variables = { caller = "${from}" }

[[rule]]
name = "everyone"
agent = "agent_1"
"#;

#[tokio::test]
async fn a_call_has_its_reply_and_its_explanation() {
    let service = service("", GREETING).await;
    let id = service.call("+12137771234").await;
    let mut client = Client::logged_in(&service.admin, "ed").await;
    for path in [format!("/calls/{id}"), "/calls/call_0".to_owned()] {
        let page = client.page(&path).await;
        for part in [
            "<h1>+12137771234 → +13125550100</h1>",
            "decides",
            "from +12137771234",
            "&#34;override_agent_id&#34;: &#34;agent_vip&#34;",
            "[[test]]",
            "No events were received",
            &format!("/try?call={id}"),
            &format!("/calls/{id}/curl"),
        ] {
            assert!(page.contains(part), "{path}: {part}: {page}");
        }
    }
    let curl = client.page(&format!("/calls/{id}/curl")).await;
    for part in ["http://127.0.0.1:8080/inbound/retell", "x-retell-signature", "+12137771234"] {
        assert!(curl.contains(part), "{part}: {curl}");
    }
    service.stop().await;
}

#[tokio::test]
async fn viewers_see_masked_numbers_and_no_signed_command() {
    let service = service("", GREETING).await;
    let id = service.call("+12137771234").await;
    let event = json!({ "event": "call_ended", "call": {
        "call_id": "call_0", "call_type": "phone_call", "duration_ms": 61_300,
        "disconnection_reason": "user_hangup",
        "from_number": "+12137771234", "transcript": "Agent: Hi\nUser: call +12137771234",
        "recording_url": "https://example.com/recording.wav",
    } });
    service.event(&event).await;
    let mut vera = Client::logged_in(&service.admin, "vera").await;
    let path = format!("/calls/{id}?bodies=true");
    let page = vera.page(&path).await;
    assert!(!page.contains("2137771234"), "{page}");
    for part in ["+1213***1234", "call_ended", "61.3 s, user_hangup", "Transcript", "Agent: Hi"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(
        page.contains("href=\"https://example.com/recording.wav\" rel=\"noreferrer noopener\"")
    );
    assert!(page.contains("editors only") && !page.contains("/curl"));
    assert!(page.contains("whole phone numbers, which you may not see"));
    let answer = vera.get(&format!("/calls/{id}/curl")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let page = Client::logged_in(&service.admin, "ed").await.page(&path).await;
    assert!(page.contains("call +12137771234"), "{page}");
    service.stop().await;
}

#[tokio::test]
async fn bodies_are_sent_on_demand() {
    let service = service("", RULES).await;
    let id = service.call("+12137771234").await;
    service.event(&json!({ "event": "call_started", "call": { "call_id": "call_0" } })).await;
    let mut client = Client::logged_in(&service.admin, "vera").await;
    let page = client.page(&format!("/calls/{id}")).await;
    assert!(!page.contains("&#34;event&#34;"), "{page}");
    let (_, rest) = page.split_once(&format!("/calls/{id}/events/")).expect("a link");
    let event = rest.split('"').next().unwrap();
    let body = client.page(&format!("/calls/{id}/events/{event}")).await;
    assert!(body.contains("&#34;event&#34;: &#34;call_started&#34;"), "{body}");
    let other = uuid::Uuid::nil();
    let answer = client.get(&format!("/calls/{other}/events/{event}")).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "an event of another call");
    service.stop().await;
}

#[tokio::test]
async fn a_recording_without_https_is_not_linked() {
    let service = service("", RULES).await;
    let id = service.call("+12137771234").await;
    let event = json!({ "event": "call_ended", "call": {
        "call_id": "call_0", "recording_url": "javascript:alert(1)" } });
    service.event(&event).await;
    let page = Client::logged_in(&service.admin, "ed").await.page(&format!("/calls/{id}")).await;
    assert!(page.contains("It is not linked"), "{page}");
    assert!(!page.contains("href=\"javascript:"));
    service.stop().await;
}

#[tokio::test]
async fn an_ambiguous_id_is_a_choice_and_an_unknown_one_is_not_found() {
    let service = service("", RULES).await;
    let first = service.call("+12137771234").await;
    let second = service.call("+12137771235").await;
    let mut client = Client::logged_in(&service.admin, "vera").await;
    let (first, second) = (first.to_string(), second.to_string());
    if first[..8] == second[..8] {
        let page = client.page(&format!("/calls/{}", &first[..8])).await;
        for id in [&first, &second] {
            assert!(page.contains(&format!("href=\"/calls/{id}\"")), "{page}");
        }
    }
    let answer = client.get("/calls/call_none").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let page = String::from_utf8(answer.body).unwrap();
    assert!(page.contains("No such call") && page.contains("aria-current"), "{page}");
    service.stop().await;
}

#[tokio::test]
async fn a_call_of_masked_records_is_shown_without_an_explanation() {
    let service = service_with("", "memory:\"\nnumbers = \"masked", &[("rules.toml", RULES)]).await;
    let id = service.call("+12137771234").await;
    let page = Client::logged_in(&service.admin, "ed").await.page(&format!("/calls/{id}")).await;
    assert!(page.contains("+1213***1234") && page.contains("stored masked"), "{page}");
    assert!(!page.contains("/try?call="), "{page}");
    service.stop().await;
}
