//! `/setup`: URLs of sources, and test calls.

use axum::http::StatusCode;

use super::client::{Client, service, service_with};
use crate::support::app::{RULES, URL_TOKEN};

#[tokio::test]
async fn the_urls_have_tokens_for_editors_only() {
    let service = service("", RULES).await;
    let mut vera = Client::logged_in(&service.admin, "vera").await;
    let page = vera.page("/setup").await;
    for part in [
        "https://YOUR.HOST/inbound/retell</code>",
        "https://YOUR.HOST/inbound/synthflow/TOKEN</code>",
        "set the inbound webhook to https://YOUR.HOST/inbound/retell",
        "none since the start",
        "docs/platforms/retell.md",
        "the sender, the content and the time",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains(URL_TOKEN) && !page.contains("/setup/test"));
    let mut ed = Client::logged_in(&service.admin, "ed").await;
    let page = ed.page("/setup?base=calls.example.com%2F").await;
    let url = format!("https://calls.example.com/events/synthflow/{URL_TOKEN}</code>");
    assert!(page.contains(&url), "{page}");
    let answer = ed.get("/setup?base=ftp%3A%2F%2Fx").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = String::from_utf8(answer.body).unwrap();
    assert!(page.contains("is not a URL like") && page.contains("value=\"ftp://x\""), "{page}");
    service.stop().await;
}

#[tokio::test]
async fn the_last_requests_come_from_this_process_or_from_the_records() {
    let folder = tempfile::tempdir().unwrap();
    let records = format!("sqlite:{}", folder.path().join("records.db").display());
    let files = [("rules.toml", RULES)];
    let before = service_with("", &records, &files).await;
    before.call("+12137771234").await;
    before.event(&serde_json::json!({ "event": "call_ended", "call": { "call_id": "1" } })).await;
    before.stop().await;
    let service = service_with("", &records, &files).await;
    let mut vera = Client::logged_in(&service.admin, "vera").await;
    let page = vera.page("/setup").await;
    let found = page.matches("ago), from the records; none since the start").count();
    assert_eq!(found, 2, "the call and the event of one source: {page}");
    assert!(page.contains("none since the start, and none in the newest records"), "{page}");
    service.call("+12137771234").await;
    let page = vera.page("/setup").await;
    assert_eq!(page.matches("ago), from the records").count(), 1, "the event: {page}");
    assert_eq!(page.matches("ago), since the start").count(), 1, "the call: {page}");
    service.stop().await;
}

#[tokio::test]
async fn a_test_call_takes_the_way_of_a_real_one_and_is_recognised() {
    let service = service("", RULES).await;
    let mut ed = Client::logged_in(&service.admin, "ed").await;
    for source in ["retell", "synthflow"] {
        let answer = ed.submit_with_token("/setup/test", &format!("source={source}")).await;
        let page = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{page}");
        for part in ["200 OK in", "agent_1", "href=\"/calls/switchboard_test_"] {
            assert!(page.contains(part), "{source}: {part}: {page}");
        }
    }
    // No platform has sent a call yet, whatever the tests say.
    let page = ed.page("/setup").await;
    let none = "<dt>last call</dt><dd>none since the start, and none in the newest records</dd>";
    assert_eq!(page.matches(none).count(), 2, "{page}");
    let test = ed.page("/calls").await;
    assert!(test.contains("data-id"), "the test call is recorded: {test}");
    service.call("+12137771234").await;
    let page = ed.page("/setup").await;
    assert_eq!(page.matches("ago), since the start</dd>").count(), 1, "{page}");
    let form = "source=retell&from=2137771234";
    let answer = ed.submit_with_token("/setup/test", form).await;
    let page = String::from_utf8(answer.body).unwrap();
    assert!(
        page.contains("has no country code") && page.contains("value=\"2137771234\""),
        "{page}"
    );
    let answer = ed.submit_with_token("/setup/test", "source=nobody").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let mut vera = Client::logged_in(&service.admin, "vera").await;
    let answer = vera.submit_with_token("/setup/test", "source=retell").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    service.stop().await;
}
