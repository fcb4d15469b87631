//! `/calls/live`: what pages that are live receive, and when they end.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode, header};
use futures_util::StreamExt;
use jiff::SignedDuration;
use switchboard::domain::user::{PasswordHash, Role, User};
use switchboard::records::{LookupResult, TransferLine};
use tower::ServiceExt;
use uuid::Uuid;

use super::client::{Client, PASSWORD, Service, service};
use crate::support::app::RULES;
use crate::support::wait::within_deadline;

/// Pages that can be live.
const MOST_PAGES: usize = 32;

/// A page that follows calls.
struct LivePage {
    body: BodyDataStream,
    received: String,
}

/// Asks for live calls as a client.
async fn ask(
    client: &Client,
    query: &str,
    last_event_id: Option<Uuid>,
) -> axum::response::Response {
    let cookie = client.cookie.as_deref().unwrap();
    let mut request = Request::get(format!("/calls/live{query}"))
        .header(header::COOKIE, cookie)
        .header(header::HOST, "localhost:9090");
    if let Some(id) = last_event_id {
        request = request.header("last-event-id", id.to_string());
    }
    client.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

impl LivePage {
    async fn open(client: &Client, query: &str, last_event_id: Option<Uuid>) -> LivePage {
        let response = ask(client, query, last_event_id).await;
        assert_eq!(response.status(), StatusCode::OK);
        // A proxy must send events on as they come.
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        LivePage { body: response.into_body().into_data_stream(), received: String::new() }
    }

    /// Waits for an event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<String> {
        within_deadline("an event", async {
            loop {
                if let Some((event, rest)) = self.received.split_once("\n\n") {
                    let (event, rest) = (event.to_owned(), rest.to_owned());
                    self.received = rest;
                    // Comments keep the connection open.
                    if event.starts_with(':') {
                        continue;
                    }
                    return Some(event);
                }
                let bytes = self.body.next().await?.expect("the stream does not fail");
                self.received.push_str(std::str::from_utf8(&bytes).unwrap());
            }
        })
        .await
    }

    /// Waits for the row of a call, and returns the event with it.
    async fn row(&mut self, id: Uuid) -> String {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.contains(&format!("data-id=\"{id}\"")) {
                return event;
            }
        }
    }
}

async fn logged_in(service: &Service, name: &str) -> Client {
    Client::logged_in(&service.admin, name).await
}

#[tokio::test]
async fn all_pages_of_a_filter_receive_a_call_as_their_reader_may_see_it() {
    let service = service("", RULES).await;
    let (ed, vera) = (logged_in(&service, "ed").await, logged_in(&service, "vera").await);
    let mut pages = [
        LivePage::open(&ed, "", None).await,
        LivePage::open(&ed, "?rule=everyone", None).await,
        LivePage::open(&ed, "?rule=&since=24h", None).await,
    ];
    let mut masked = LivePage::open(&vera, "", None).await;
    let mut others = LivePage::open(&ed, "?outcome=fallback", None).await;
    let id = service.call("+12137775678").await;
    for page in &mut pages {
        let event = page.row(id).await;
        assert!(event.contains("event: calls") && event.contains(&format!("id: {id}")), "{event}");
        assert!(event.contains("+12137775678"), "{event}");
    }
    let event = masked.row(id).await;
    assert!(event.contains("+1213***5678") && !event.contains("+12137775678"), "{event}");
    service.stop().await;
    assert_eq!(others.next().await, None, "no event of another filter, and an end at the stop");
}

#[tokio::test]
async fn a_page_that_connects_again_receives_what_it_missed() {
    let service = service("", RULES).await;
    let ed = logged_in(&service, "ed").await;
    let mut page = LivePage::open(&ed, "", None).await;
    let first = service.call("+12137770001").await;
    page.row(first).await;
    drop(page);
    let missed = service.call("+12137770002").await;
    for query in ["", "?rule=everyone"] {
        let mut again = LivePage::open(&ed, query, Some(first)).await;
        again.row(missed).await;
    }
    // The page of calls names the time at which it was loaded.
    let mut client = logged_in(&service, "ed").await;
    let text = client.page("/calls").await;
    let (_, live) = text.split_once("data-live=\"/calls/live").expect("the page is live");
    let query = live.split('"').next().unwrap().replace("&amp;", "&").replace("&#38;", "&");
    let later = service.call("+12137770003").await;
    LivePage::open(&ed, &query, None).await.row(later).await;
    service.stop().await;
}

#[tokio::test]
async fn a_page_that_was_away_for_long_receives_older_calls() {
    let service = service("", RULES).await;
    let ed = logged_in(&service, "ed").await;
    let old = import(&service, SignedDuration::from_mins(20)).await;
    let before = service.app.now().checked_sub(SignedDuration::from_mins(30)).unwrap();
    let before = service.app.recorder().id(before);
    LivePage::open(&ed, "", Some(before)).await.row(old).await;
    service.stop().await;
}

/// Stores a call as another process would, which arrived so long ago. Returns its id.
async fn import(service: &Service, age: SignedDuration) -> Uuid {
    let model = service.call("+12137770009").await.to_string();
    let store = service.app.recorder().store().unwrap();
    let LookupResult::One(mut call) = store.lookup(&model).await.unwrap() else {
        panic!("the call is recorded")
    };
    call.at = service.app.now().checked_sub(age).unwrap();
    call.id = service.app.recorder().id(call.at);
    call.dedup_key = "another_delivery".to_owned();
    call.call_id = Some("another".to_owned());
    let id = call.id;
    let new = store.import(&[TransferLine::Call(call, Vec::new())]).await.unwrap();
    assert_eq!(new.calls, 1);
    id
}

#[tokio::test]
async fn calls_that_another_process_records_late_appear() {
    let service = service("", RULES).await;
    let ed = logged_in(&service, "ed").await;
    let mut page = LivePage::open(&ed, "", None).await;
    let first = service.call("+12137770001").await;
    page.row(first).await;
    let late = import(&service, SignedDuration::from_secs(5)).await;
    assert!(late < first, "it arrived before a call that the page has");
    page.row(late).await;
    service.stop().await;
}

#[tokio::test]
async fn a_page_that_reads_slowly_loses_nothing() {
    let service = service("", RULES).await;
    let ed = logged_in(&service, "ed").await;
    let mut slow = LivePage::open(&ed, "", None).await;
    let mut fast = LivePage::open(&ed, "", None).await;
    let first = service.call("+12137770000").await;
    slow.row(first).await;
    fast.row(first).await;
    // Each in rows of its own: more than wait for a page.
    let mut calls = Vec::new();
    for number in 1..7 {
        let id = service.call(&format!("+1213777000{number}")).await;
        fast.row(id).await;
        calls.push(id);
    }
    let mut received = String::new();
    while !calls.iter().all(|id| received.contains(&id.to_string())) {
        received += &slow.next().await.expect("the stream goes on");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_stream_ends_when_its_reader_has_another_role() {
    let service = service("", RULES).await;
    let vera = logged_in(&service, "vera").await;
    let mut page = LivePage::open(&vera, "", None).await;
    let id = service.call("+12137775678").await;
    assert!(page.row(id).await.contains("+1213***5678"));
    let password_hash = PasswordHash::new(PASSWORD, [7; 16]);
    let editor = User { name: "vera".into(), role: Role::Editor, password_hash };
    service.users.replace(vec![editor]);
    while let Some(event) = page.next().await {
        assert!(!event.contains("+12137775678"), "{event}");
    }
    let mut again = LivePage::open(&vera, "", Some(id)).await;
    assert!(again.row(id).await.contains("+12137775678"));
    service.stop().await;
}

#[tokio::test]
async fn a_quiet_stream_is_written_to_often_so_that_a_page_that_was_left_is_noticed() {
    /// Proxies and browsers that went away keep one of few places until then.
    const LONGEST: Duration = Duration::from_secs(10);
    let service = service("", RULES).await;
    let ed = logged_in(&service, "ed").await;
    let mut page = LivePage::open(&ed, "", None).await;
    let written = tokio::time::timeout(LONGEST, page.body.next()).await;
    let bytes = written.expect("a comment").expect("the stream goes on").unwrap();
    assert_eq!(bytes, ":\n\n");
    service.stop().await;
}

#[tokio::test]
async fn a_stream_ends_with_its_session() {
    let service = service("", RULES).await;
    let mut ed = logged_in(&service, "ed").await;
    let mut page = LivePage::open(&ed, "", None).await;
    assert_eq!(ed.submit_with_token("/logout", "").await.status, StatusCode::SEE_OTHER);
    while page.next().await.is_some() {}
    service.stop().await;
}

#[tokio::test]
async fn too_many_live_pages_are_refused_until_one_is_closed() {
    let service = service("", RULES).await;
    let ed = logged_in(&service, "ed").await;
    let mut pages = Vec::new();
    for _ in 0..MOST_PAGES {
        pages.push(LivePage::open(&ed, "", None).await);
    }
    assert_eq!(ask(&ed, "", None).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    pages.pop();
    LivePage::open(&ed, "", None).await;
    // A request that is refused takes no place.
    let invalid = ask(&ed, "?rule=nothing", None).await;
    assert_eq!(invalid.status(), StatusCode::UNPROCESSABLE_ENTITY);
    LivePage::open(&ed, "", None).await;
    service.stop().await;
}
