//! `/try`: explanations of calls that people describe.

use axum::http::StatusCode;

use super::client::{Client, service};

const RULES: &str = r#"
[lookup.crm]
url = "http://127.0.0.1:1/${from}"
timeout_ms = 100
allow_private = true

[[rule]]
name = "gold"
where = { "crm.tier" = "gold" }
agent = "agent_gold"

[[rule]]
name = "london"
from = "+4420*"
agent = "agent_london"

[[rule]]
name = "everyone"
agent = "agent_1"
"#;

#[tokio::test]
async fn a_call_is_explained_with_the_replies_of_each_platform() {
    let service = service("", RULES).await;
    let mut client = Client::logged_in(&service.admin, "ed").await;
    let page = client.page("/try").await;
    assert!(page.contains("value=\"+12137771234\"") && !page.contains("id=\"steps\""), "{page}");
    let page = client.page("/try?from=%2B442079460000&source=synthflow&why_not=everyone").await;
    for part in [
        "decides",
        "agent_london",
        "rule 2 decides; by itself it would match",
        "<h3>synthflow",
        "<h3>retell",
        "[[test]]",
        "crm: not asked",
        "name=\"lookup.crm\"",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let page =
        client.page("/try?from=%2B442079460000&lookup.crm=%7B%22tier%22%3A%22gold%22%7D").await;
    assert!(page.contains("agent_gold") && page.contains("crm: found"), "{page}");
    let page = client.page("/try?from=%2B442079460000&source=synthflow&attr=city%3DLONDON").await;
    let note = "source synthflow (synthflow) never sends attr.city: decided without";
    assert!(page.contains(note), "{page}");
    service.stop().await;
}

#[tokio::test]
async fn mistakes_stand_beside_their_fields_and_nothing_is_lost() {
    let service = service("", RULES).await;
    let mut client = Client::logged_in(&service.admin, "ed").await;
    let query = "from=2137771234&to=%2B13125550100&at=someday&lookup.crm=%7B&lookup.other=1\
                 &why_not=evryone&attr=x&channel=fax&form=1";
    let answer = client.get(&format!("/try?{query}")).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = String::from_utf8(answer.body).unwrap();
    // These are reported before the others are looked at.
    for part in ["is neither call nor sms", "form: this page does not know the parameter"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let query = query.replace("&channel=fax&form=1", "");
    let answer = client.get(&format!("/try?{query}")).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = String::from_utf8(answer.body).unwrap();
    for part in [
        "has no country code",
        "someday",
        "this is not JSON",
        "the table has no look-up `other`",
        "did you mean `everyone`?",
        "is not NAME=VALUE",
        "value=\"+13125550100\"",
        "value=\"2137771234\"",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(page.matches("aria-invalid").count() >= 5, "{page}");
    let answer = client.get("/try?source=nobody").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    service.stop().await;
}

#[tokio::test]
async fn viewers_try_recorded_calls_without_seeing_numbers_and_ask_nothing_live() {
    let service = service("", RULES).await;
    let id = service.call("+442079460000").await;
    let mut vera = Client::logged_in(&service.admin, "vera").await;
    let page = vera.page(&format!("/try?call={id}")).await;
    assert!(page.contains("agent_london") && !page.contains("442079460000"), "{page}");
    let (_, rest) = page.split_once("name=\"from\" value=\"").expect("a field");
    let masked = rest.split('"').next().unwrap();
    assert!(masked.contains("***"), "{masked}");
    let again = format!("/try?call={id}&from={}", masked.replace('+', "%2B").replace('*', "%2A"));
    let page = vera.page(&again).await;
    assert!(page.contains("agent_london") && !page.contains("442079460000"), "{page}");
    assert!(!page.contains("name=\"live\""));
    let answer = vera.get("/try?from=withheld&live=true").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let mut ed = Client::logged_in(&service.admin, "ed").await;
    let page = ed.page("/try?from=%2B442079460000&live=true").await;
    assert!(page.contains("crm: failed") || page.contains("crm: late"), "{page}");
    service.stop().await;
}
