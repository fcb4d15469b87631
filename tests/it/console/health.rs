//! `/health`: the state of the service, and reloads.

use axum::http::StatusCode;

use super::client::{Client, service, service_with};
use crate::support::app::{RULES, answer, post};

#[tokio::test]
async fn the_page_has_the_state_and_the_numbers_of_the_service() {
    let service = service("", RULES).await;
    service.call("+12137771234").await;
    let refused = post("/inbound/retell", b"{}");
    assert_eq!(answer(&service.public, refused).await.status, StatusCode::UNAUTHORIZED);
    let mut vera = Client::logged_in(&service.admin, "vera").await;
    let page = vera.page("/health").await;
    for part in [
        "Nothing to report",
        "writable",
        "1 calls, 0 events",
        "missing 1",
        "every 10s",
        "None since the start",
        "half ≤",
        &service.app.table().fingerprint,
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("Reload now"), "for editors");
    assert!(!vera.page("/health?refresh=off").await.contains("every 10s"));
    assert_eq!(
        vera.submit_with_token("/health/reload", "").await.status,
        StatusCode::FORBIDDEN,
        "viewers reload nothing"
    );
    service.stop().await;
}

#[tokio::test]
async fn editors_reload_and_see_what_is_wrong() {
    let service = service("", RULES).await;
    let mut ed = Client::logged_in(&service.admin, "ed").await;
    assert!(ed.page("/health").await.contains("Reload now"));
    let answer = ed.submit_with_token("/health/reload", "").await;
    let page = String::from_utf8(answer.body).unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    assert!(page.contains("Reloaded: no errors") && page.contains("<td>ed</td>"), "{page}");
    let broken = "[[rule]]\nname = \"a\"\nfrom = \"+12137771234\"\nagnet = \"b\"\n";
    std::fs::write(service.folder.path().join("rules.toml"), broken).unwrap();
    let answer = ed.submit_with_token("/health/reload", "").await;
    let page = String::from_utf8(answer.body).unwrap();
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    for part in ["Not reloaded", "agnet", "the last reload failed", "rules.toml:4"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert_eq!(page.matches("<td>ed</td>").count(), 2, "{page}");
    service.stop().await;
}

#[tokio::test]
async fn without_records_the_page_says_so() {
    let service = service_with("", "off", &[("rules.toml", RULES)]).await;
    let page = Client::logged_in(&service.admin, "vera").await.page("/health").await;
    assert!(page.contains("Records are off"), "{page}");
    service.stop().await;
}
