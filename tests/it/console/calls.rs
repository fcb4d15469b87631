//! `/calls`: rows, filters, pages and charts.

use axum::http::StatusCode;

use super::client::{Client, service, service_with};
use crate::support::app::RULES;

#[tokio::test]
async fn calls_are_listed_newest_first_and_viewers_see_masked_numbers() {
    let service = service("", RULES).await;
    let first = service.call("+12137775678").await;
    let second = service.call("anonymous").await;
    let page = Client::logged_in(&service.admin, "vera").await.page("/calls").await;
    let at = |id: uuid::Uuid| page.find(&format!("data-id=\"{id}\"")).expect("a row");
    assert!(at(second) < at(first));
    assert!(page.contains("+1213***5678") && !page.contains("+12137775678"), "{page}");
    assert!(page.contains("withheld") && page.contains("everyone"));
    let page = Client::logged_in(&service.admin, "ed").await.page("/calls").await;
    assert!(page.contains("<td>+12137775678</td>"), "{page}");
    service.stop().await;
}

#[tokio::test]
async fn viewers_see_numbers_if_the_settings_reveal_them() {
    let service = service("reveal_numbers = true", RULES).await;
    service.call("+12137775678").await;
    let page = Client::logged_in(&service.admin, "vera").await.page("/calls").await;
    assert!(page.contains("<td>+12137775678</td>"), "{page}");
    service.stop().await;
}

#[tokio::test]
async fn a_filter_finds_calls_and_its_mistakes_are_shown_beside_it() {
    let service = service("", RULES).await;
    let id = service.call("+12137771234").await;
    service.call("+442079460000").await;
    let mut client = Client::logged_in(&service.admin, "ed").await;
    for query in ["number=%2B12137771234", "number=(213)+777-1234&since=&rule=", "call_id=call_0"] {
        let answer = client.get(&format!("/calls?{query}")).await;
        let page = String::from_utf8(answer.body).unwrap();
        if query.starts_with("number=(") {
            // A number without a country code is not guessed.
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
            assert!(page.contains("number: ") && page.contains("(213) 777-1234"), "{page}");
            continue;
        }
        assert_eq!(page.matches("<tr data-id").count(), 1, "{query}: {page}");
        assert!(page.contains(&id.to_string()));
    }
    let none = client.page("/calls?outcome=fallback").await;
    assert!(none.contains("No calls match"), "{none}");
    let answer = client.get("/calls?rule=evryone").await;
    let page = String::from_utf8(answer.body).unwrap();
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.contains("everyone"), "it proposes the rule: {page}");
    service.stop().await;
}

#[tokio::test]
async fn older_calls_are_on_further_pages() {
    let service = service("", RULES).await;
    for number in 0..53 {
        service.call(&format!("+121377712{number:02}")).await;
    }
    let mut client = Client::logged_in(&service.admin, "ed").await;
    let page = client.page("/calls?rule=everyone").await;
    assert_eq!(page.matches("<tr data-id").count(), 50);
    let (_, rest) = page.split_once("href=\"/calls?rule=everyone&").expect("a link");
    let link = rest.split('"').next().unwrap().replace("amp;", "").replace("#38;", "");
    let page = client.page(&format!("/calls?rule=everyone&{link}")).await;
    assert_eq!(page.matches("<tr data-id").count(), 3, "{page}");
    assert!(!page.contains("rel=\"next\""));
    service.stop().await;
}

#[tokio::test]
async fn the_charts_have_the_numbers_of_calls_as_a_table() {
    let service = service("", RULES).await;
    service.call("+12137771234").await;
    let part = Client::logged_in(&service.admin, "vera").await.page("/calls/charts").await;
    assert!(part.contains("Calls per hour") && part.contains("Decision times"), "{part}");
    assert!(part.contains("<td>1</td>"), "{part}");
    service.stop().await;
}

#[tokio::test]
async fn hours_of_the_chart_are_those_of_the_zone() {
    let rules = format!("zone = \"Asia/Kolkata\"\n{RULES}");
    let service = service("", &rules).await;
    service.call("+12137775678").await;
    let part = Client::logged_in(&service.admin, "vera").await.page("/calls/charts").await;
    let (_, rows) = part.split_once("<tbody>").expect("a table");
    let first = rows.split("</td>").next().unwrap();
    assert!(first.ends_with(":00"), "{first}");
    let (_, data) = part.split_once("data-chart=\"").expect("a chart");
    let at = data.split(['[', ']']).nth(1).unwrap().split(',').next().unwrap();
    // India is five and a half hours ahead of UTC.
    assert_eq!(at.parse::<i64>().unwrap().rem_euclid(3_600), 1_800);
    service.stop().await;
}

#[tokio::test]
async fn without_records_the_page_says_so() {
    let service = service_with("", "off", &[("rules.toml", RULES)]).await;
    let answer = Client::logged_in(&service.admin, "ed").await.get("/calls").await;
    let page = String::from_utf8(answer.body).unwrap();
    assert!(page.contains("records are off") && page.contains("aria-current"), "{page}");
    service.stop().await;
}
