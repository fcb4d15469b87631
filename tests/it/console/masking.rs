//! Names and reasons of the rule table that contain phone numbers: whole for editors, masked for viewers.

use super::client::{Client, Service, service};

/// Numbers in a rule, an agent, a reason, a split and an unreachable rule.
const TABLE: &str = r#"
[agents]
"desk of +14157771111" = "agent_desk"
quay = "quay+14157779999"
other = "agent_other"

[splits."trial 4157774444"]
arms = [{ agent = "desk of +14157771111", percent = 50 }, { agent = "other", percent = 50 }]

[lookup."crm of +14157770000"]
url = "https://crm.example.com/${from}"

[[rule]]
name = "asks"
from = "+12135550000"
where = { "crm of +14157770000.tier" = "gold" }
agent = "quay"

[[rule]]
name = "extras of +14157776666"
continue = true
variables = { tier = "gold" }

[[rule]]
name = "rejects +14157772222"
from = "+442079460000"
reject = "complaint of (415) 777-3333"

[[rule]]
name = "splits (+14157777777)"
from = "DE"
split = [{ agent = "desk of +14157771111", percent = 50 }, { agent = "other", percent = 50 }]

[[rule]]
name = "everyone, +14157775555 too"
agent = "desk of +14157771111"

[[rule]]
name = "never +14157778888"
agent = "other"
"#;

/// The last four digits are those that masks show, too.
const NUMBERS: [&str; 9] = [
    "4157771111",
    "4157772222",
    "777-3333",
    "4157774444",
    "4157775555",
    "4157776666",
    "4157779999",
    "4157770000",
    "415777",
];

async fn pages(service: &Service) -> Vec<String> {
    let rejected = service.call("+442079460000").await;
    let selected = service.call("+390612345678").await;
    let mut paths: Vec<String> =
        ["/calls", "/calls?rule=x", "/rules", "/rules/agents", "/rules/splits", "/setup"]
            .into_iter()
            .chain(["/rules/lookups", "/health"])
            .map(str::to_owned)
            .collect();
    paths.extend([rejected, selected].map(|id| format!("/calls/{id}")));
    paths.push("/rules?only=unreachable".to_owned());
    paths.push("/try?from=%2B12135550000&to=%2B13125550100&source=retell".to_owned());
    paths.push("/try?from=%2B390612345678&to=%2B13125550100&source=retell".to_owned());
    paths
}

async fn texts(service: &Service, name: &str, paths: &[String]) -> Vec<(String, String)> {
    let mut client = Client::logged_in(&service.admin, name).await;
    let mut texts = Vec::new();
    for path in paths {
        texts.push((path.clone(), String::from_utf8(client.get(path).await.body).unwrap()));
    }
    texts
}

#[tokio::test]
async fn viewers_see_no_number_in_names_and_reasons() {
    let service = service("", TABLE).await;
    let paths = pages(&service).await;
    let mut found = Vec::new();
    for (path, text) in texts(&service, "vera", &paths).await {
        for at in NUMBERS.iter().filter_map(|number| text.find(number)) {
            let around = text.get(at.saturating_sub(200)..at + 20).unwrap_or_default();
            found.push(format!("{path}: {around}"));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    let editor = texts(&service, "ed", &paths).await;
    for number in NUMBERS {
        assert!(editor.iter().any(|(_, text)| text.contains(number)), "{number}");
    }
    let (_, calls) = &editor[0];
    assert!(calls.contains("/calls?rule=rejects%20%2B14157772222"), "{calls}");
    service.stop().await;
}
