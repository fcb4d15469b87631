//! The recipes of `docs/recipes.md` against stand-ins that check the requests and answer in the shape of the
//! vendors. Those that need a history are in `records::recipes`.

use axum::Router;
use jiff::Timestamp;
use serde_json::{Value, json};
use switchboard::domain::call::{Call, Channel, Fields};
use switchboard::domain::party::Party;
use switchboard::domain::secret::{Secret, SecretSource};
use switchboard::live_lists::{self, Fetched};
use switchboard::rules::{self, CheckContext, RuleSet};

use crate::live_lists::{StandIn as Sheet, response};
use crate::support::app::{
    self, environment, retell_call, retell_request, root, settings_with_longest_deadline,
};
use crate::support::postgres::Postgres;
use crate::support::stand_in::StandIn;

/// Returns the file of this name in the recipes.
pub(crate) fn recipe(name: &str) -> String {
    let page = std::fs::read_to_string(root().join("docs/recipes.md")).expect("the page");
    let (_, rest) = page.split_once(&format!("<!-- file: {name} -->\n```")).expect("the recipe");
    let (_, block) = rest.split_once('\n').expect("a block");
    block.split("\n```").next().expect("a block").to_owned() + "\n"
}

/// Returns a recipe whose URL leads to a stand-in, and which waits for it on a busy machine.
fn with_stand_in(name: &str, origin: &str, stand_in: &StandIn) -> String {
    let text = recipe(name).replace(origin, &stand_in.url(""));
    let (start, rest) = text.split_once("\nresult").expect("a result");
    format!("{start}\nallow_private = true\ntimeout_ms = 8000\nresult{rest}")
}

/// Starts a service with secrets beside those of all tests.
fn service(rules_text: &str, secrets: &[(&str, &str)]) -> Router {
    let mut variables = environment();
    variables.extend(secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    app::app_with(&settings_with_longest_deadline(), rules_text, variables).public
}

/// Returns the agent and the variables in the reply to a call.
async fn reply(service: &Router, from: &str) -> (Value, Value) {
    let body = retell_call(from, "+12135550100");
    let request = retell_request("/inbound/retell", body.as_bytes());
    let reply = app::answer(service, request).await.json();
    let call = &reply["call_inbound"];
    (call["override_agent_id"].clone(), call["dynamic_variables"].clone())
}

/// Returns the first request of a stand-in: its line, its head in lower case, and its body.
async fn request_of(stand_in: &StandIn) -> (String, String, String) {
    let request = stand_in.requests().await.remove(0);
    let (head, body) = request.split_once("\r\n\r\n").expect("a body");
    let line = head.lines().next().expect("a line").to_owned();
    (line, head.to_lowercase(), body.to_owned())
}

#[tokio::test]
async fn hubspot_is_asked_as_its_search_documents() {
    let contact = json!({ "id": "100451", "properties": {
        "createdate": "2024-01-17T19:55:04.281Z", "firstname": "Ann", "hs_object_id": "100451",
        "lastmodifieddate": "2024-09-11T13:27:39.356Z", "lifecyclestage": "customer",
    }, "createdAt": "2024-01-17T19:55:04.281Z", "updatedAt": "2024-09-11T13:27:39.356Z", "archived": false });
    for (results, name) in [(json!([contact]), "Ann"), (json!([]), "there")] {
        let answer = json!({ "total": results.as_array().map(Vec::len), "results": results });
        let hubspot = StandIn::json(answer).await;
        let rules = with_stand_in("hubspot.toml", "https://api.hubapi.com", &hubspot);
        let service = service(&rules, &[("HUBSPOT_TOKEN", "pat-na1-0123")]);
        assert_eq!(reply(&service, "+12137771234").await.1, json!({ "first_name": name }));
        let (line, head, body) = request_of(&hubspot).await;
        assert_eq!(line, "POST /crm/v3/objects/contacts/search HTTP/1.1");
        assert!(head.contains("\r\nauthorization: bearer pat-na1-0123\r\n"), "{head}");
        assert!(head.contains("\r\ncontent-type: application/json\r\n"), "{head}");
        let filter = |property: &str| {
            json!({ "filters": [
            { "propertyName": property, "operator": "EQ", "value": "+12137771234" },
        ] })
        };
        let expected = json!({
            "limit": 1,
            "properties": ["firstname", "lifecyclestage"],
            "filterGroups": [filter("phone"), filter("mobilephone")],
        });
        assert_eq!(serde_json::from_str::<Value>(&body).expect("JSON"), expected);
    }
}

#[tokio::test]
async fn salesforce_is_asked_as_its_parameterized_search_documents() {
    let path = "/services/data/v63.0/sobjects/Contact/003D000000IqhSLIAZ";
    let contact = json!({ "attributes": { "type": "Contact", "url": path },
        "FirstName": "Ann", "Tier__c": "gold", "Id": "003D000000IqhSLIAZ" });
    for (records, name) in [(json!([contact]), "Ann"), (json!([]), "there")] {
        let salesforce = StandIn::json(json!({ "searchRecords": records })).await;
        let origin = "https://example.my.salesforce.com";
        let rules = with_stand_in("salesforce.toml", origin, &salesforce);
        let service = service(&rules, &[("SALESFORCE_TOKEN", "00d-token")]);
        assert_eq!(reply(&service, "+12137771234").await.1, json!({ "first_name": name }));
        let (line, head, body) = request_of(&salesforce).await;
        let (path, query) = line.split_once('?').expect("a query");
        assert_eq!(path, "GET /services/data/v63.0/parameterizedSearch/");
        let query = query.strip_suffix(" HTTP/1.1").expect("a request line");
        let parameters: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let expected = [
            ("q", "+12137771234"),
            ("in", "PHONE"),
            ("sobject", "Contact"),
            ("Contact.fields", "FirstName,Tier__c"),
            ("Contact.limit", "1"),
        ];
        assert_eq!(parameters, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(head.contains("\r\nauthorization: bearer 00d-token\r\n"), "{head}");
        assert_eq!(body, "");
    }
}

#[tokio::test]
async fn go_high_level_is_asked_as_its_search_for_duplicates_documents() {
    let contact = json!({ "id": "con_123", "locationId": "loc_1", "firstName": "Ann", "phone": "+12137771234" });
    for (contact, name) in [(contact, "Ann"), (Value::Null, "there")] {
        let ghl = StandIn::json(json!({ "contact": contact, "traceId": "t-1" })).await;
        let rules = with_stand_in("gohighlevel.toml", "https://services.leadconnectorhq.com", &ghl);
        let service = service(&rules, &[("GHL_TOKEN", "pit-0123"), ("GHL_LOCATION", "loc_1")]);
        assert_eq!(reply(&service, "+12137771234").await.1, json!({ "first_name": name }));
        let (line, head, _) = request_of(&ghl).await;
        let expected =
            "GET /contacts/search/duplicate?locationId=loc_1&number=%2B12137771234 HTTP/1.1";
        assert_eq!(line, expected);
        assert!(head.contains("\r\nauthorization: bearer pit-0123\r\n"), "{head}");
        assert!(head.contains("\r\nversion: 2021-07-28\r\n"), "{head}");
    }
}

#[tokio::test]
async fn customers_in_postgresql_are_found_by_their_number() {
    let Some(postgres) = Postgres::shared() else { return };
    let url = postgres.fresh();
    let pool = sqlx::PgPool::connect(&url).await.expect("the database");
    for statement in [
        "CREATE TABLE customers (phone TEXT PRIMARY KEY, name TEXT, balance_due NUMERIC)",
        "INSERT INTO customers VALUES ('+12137771234', 'Ann', 12.50), ('+12137775678', 'Bob', 0)",
    ] {
        sqlx::query(statement).execute(&pool).await.expect("a statement");
    }
    let rules = recipe("customers.toml").replace("query ", "timeout_ms = 8000\nquery ");
    let service = service(&rules, &[("CUSTOMERS_URL", &url)]);
    assert_eq!(reply(&service, "+12137771234").await.0, "agent_b1ll");
    let name = |name: &str| (json!("agent_fr0nt"), json!({ "name": name }));
    assert_eq!(reply(&service, "+12137775678").await, name("Bob"));
    assert_eq!(reply(&service, "+12137779999").await, name("there"));
}

struct NoSecrets;

impl SecretSource for NoSecrets {
    fn secret(&self, _: &str) -> Option<Secret> {
        None
    }
}

/// Returns the variable `name` that a caller's agent receives.
fn name_for(table: &RuleSet, from: &str) -> Option<String> {
    let fields = Fields { from: Party::parse(Some(from)).party, ..Fields::unknown(Channel::Call) };
    let platform = switchboard::dialect::ALL[0].platform();
    let call = Call::synthetic("retell", platform, fields);
    let decision = app::decide(table, &call);
    decision.additions().variables.first().map(|variable| variable.value.to_string())
}

#[tokio::test]
async fn a_google_sheet_is_fetched_as_a_list_and_only_when_it_has_changed() {
    let headers = "content-type: text/csv\r\netag: \"sheet-1\"\r\n";
    let rows = "phone,name\r\n+12137771234,Ann\r\n(415) 555-0100,\"Smith, Bob\"\r\n";
    let sheet = Sheet::start(response(200, headers, rows));
    let folder = tempfile::tempdir().expect("a folder");
    let lists_dir = Some(folder.path().join("lists"));
    let context = CheckContext { lists_dir, ..CheckContext::default() };
    let text = recipe("sheet.toml");
    let url = "https://docs.google.com/spreadsheets/d/ID/export?format=csv&gid=0";
    assert!(text.contains(url), "{text}");
    let text =
        text.replace(&format!("\"{url}\""), &format!("\"{}\"\nallow_private = true", sheet.url()));
    let load = || rules::parse("rules.toml", text.clone(), &context);
    let list = load().live_lists.first().cloned().expect("a list");
    let fetch = || live_lists::fetch(&list, &NoSecrets, false, Timestamp::UNIX_EPOCH);
    assert_eq!(fetch().await, Ok(Fetched::Replaced(2)));
    let loaded = load();
    let table = loaded.table.unwrap_or_else(|| panic!("{}", loaded.report));
    assert_eq!(name_for(&table, "+12137771234").as_deref(), Some("Ann"));
    assert_eq!(name_for(&table, "+14155550100").as_deref(), Some("Smith, Bob"));
    assert_eq!(name_for(&table, "+13125550177"), None);
    sheet.answers(response(304, "", ""));
    assert_eq!(fetch().await, Ok(Fetched::Unchanged));
    let request = sheet.last_request();
    assert!(request.contains("if-none-match: \"sheet-1\""), "{request}");
}
