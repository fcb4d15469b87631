//! `/calls`: rows, filters, pages and charts.

use std::sync::Arc;

use axum::http::StatusCode;
use switchboard::console;
use switchboard::domain::clock::Clock;
use switchboard::pipeline::Switchboard;
use switchboard::settings::Purpose;
use tokio_util::sync::CancellationToken;

use super::client::{Client, service, service_with};
use crate::support::app::{self, RULES};

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
async fn an_agent_is_found_by_its_id_as_well() {
    const AGENTS: &str = "[agents]\nfront = \"agent_fr0nt\"\nback = \"agent_b4ck\"\n\
                          one = \"agent_tw1ce\"\ntwo = \"agent_tw1ce\"\n\
                          [[rule]]\nname = \"british\"\nfrom = \"GB\"\nagent = \"back\"\n\
                          [[rule]]\nname = \"everyone\"\nagent = \"front\"\n";
    let service = service("", AGENTS).await;
    let id = service.call("+12137771234").await;
    service.call("+442079460000").await;
    let mut client = Client::logged_in(&service.admin, "ed").await;
    for agent in ["front", "agent_fr0nt"] {
        let page = client.page(&format!("/calls?agent={agent}")).await;
        assert_eq!(page.matches("<tr data-id").count(), 1, "{agent}: {page}");
        assert!(page.contains(&id.to_string()), "{agent}: {page}");
    }
    for (agent, part) in [("agent_n0body", "no agent"), ("agent_tw1ce", "several agents")] {
        let answer = client.get(&format!("/calls?agent={agent}")).await;
        let page = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{page}");
        assert!(page.contains(part), "{page}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_page_waits_for_a_store_that_is_being_opened() {
    let text = format!("[records]\nurl = \"memory:\"\n{}", app::SETTINGS);
    let environment = app::environment();
    let (settings, report) = app::load_settings_with(&text, Purpose::Serve, environment);
    let settings = settings.unwrap_or_else(|| panic!("{report}"));
    let context = settings.check_context();
    let loaded = switchboard::rules::parse("rules.toml", RULES.to_owned(), &context);
    let (app, writer) = Switchboard::with_records(
        settings.sources,
        loaded.table.unwrap(),
        Clock::System,
        settings.records,
    );
    let app = Arc::new(app);
    let stop = CancellationToken::new();
    let router = console::router(app::console_setup(&app, settings.admin, context));
    // The first request comes before the writer, which opens the store.
    let mut client = Client::new(&router);
    let mut running = None;
    let (page, ()) = tokio::join!(client.page("/calls"), async {
        running = Some(tokio::spawn(writer.unwrap().run(stop.clone())));
    });
    assert!(page.contains("No calls are recorded yet"), "{page}");
    stop.cancel();
    running.unwrap().await.unwrap();
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
