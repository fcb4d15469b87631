//! `/rules` and the pages below it: what they show of the live table, and to whom.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};

use super::client::{ADMIN_TOKEN, Client, Service, service_with};
use crate::support::app::answer;

const TABLE: &str = r#"zone = "Europe/Berlin"

[agents]
desk = "agent_desk"
night = "agent_night"
spare = "agent_spare"

[lists.vip]
numbers = ["+12137771234", "+4930901820*"]

[lists.stores]
file = "stores.csv"

[dates.holidays]
days = ["12-25", "4th thu of nov"]

[hours.office]
mon-fri = "09:00-12:30, 13:30-18:00"
closed = "holidays"

[lookup.crm]
url = "https://crm.example.com/by-phone?phone=${from}"

[splits.trial]
arms = [{ agent = "desk", percent = 50 }, { agent = "night", percent = 50 }]

[[rule]]
name = "vip"
from = "@vip"
agent = "desk"
variables = { tier = "gold", number = "+12137771234" }

[[rule]]
name = "greeting & <b>test</b>"
from = "DE"
split = [{ agent = "desk", percent = 90.5 }, { agent = "night", percent = 9.5 }]

[[rule]]
name = "paused"
enabled = false
reject = true

[[rule]]
name = "office/stores"
to = "@stores"
hours = "office"
agent = "${stores.agent}"

[[rule]]
name = "known"
where = { "crm.tier" = "gold" }
transfer = "+12137775555"
unsupported = "keep"

[[rule]]
name = "trial"
channel = "sms"
split = "trial"

[[rule]]
name = "everyone"
agent = "night"

[[rule]]
name = "too late"
from = "US"
keep = true
"#;

const STORES: &str = "number,agent,city\n+13125550199,desk,Rome\n+13125550200,night,Oslo\n";

/// Pages and parts of pages.
const PAGES: [&str; 10] = [
    "/rules",
    "/rules/rule?name=vip",
    "/rules/hits",
    "/rules/lists",
    "/rules/lists?number=%2B12137771234",
    "/rules/hours",
    "/rules/splits",
    "/rules/splits/shares?name=greeting+%26+%3Cb%3Etest%3C%2Fb%3E",
    "/rules/agents",
    "/rules/lookups",
];

async fn service() -> Service {
    service_with("", "memory:", &[("rules.toml", TABLE), ("stores.csv", STORES)]).await
}

#[tokio::test]
async fn every_page_needs_a_session_and_hides_numbers_from_viewers() {
    let service = service().await;
    for page in PAGES {
        let answer = Client::new(&service.admin).get(page).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{page}");
        let location = answer.headers[header::LOCATION].to_str().unwrap();
        assert!(location.starts_with("/login?next=%2Frules"), "{location}");
    }
    let mut viewer = Client::logged_in(&service.admin, "vera").await;
    let mut editor = Client::logged_in(&service.admin, "ed").await;
    let mut whole_numbers = 0;
    for page in PAGES {
        let masked = viewer.page(page).await;
        let own_search = if page.contains("number=") { 1 } else { 0 };
        let found = masked.matches("+12137771234").count() + masked.matches("+12137775555").count();
        assert_eq!(found, own_search, "{page}: {masked}");
        assert!(!masked.contains("/change?"), "{page}: viewers change nothing");
        assert!(!masked.contains("<b>test"), "{page}: names are texts");
        assert!(!masked.contains(" style="), "{page}: the policy refuses inline styles");
        whole_numbers += editor.page(page).await.matches("+12137771234").count();
    }
    assert!(whole_numbers > 3, "editors see whole numbers");
    service.stop().await;
}

#[tokio::test]
async fn rules_are_in_order_with_marks_lines_and_links() {
    let service = service().await;
    let page = Client::logged_in(&service.admin, "ed").await.page("/rules").await;
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text} in {page}"));
    let names = ["vip", "greeting &#38; &#60;b&#62;test", "paused", "office/stores", "known"];
    let places = names.map(|name| at(&format!("<span class=\"name\">{name}")));
    assert!(places.is_sorted(), "{places:?}");
    assert!(page.contains("never reached") && page.contains("`everyone` above it takes its calls"));
    assert!(page.contains("<span class=\"tag\">disabled</span>"));
    assert!(page.contains("split</span> desk 90.5 %, night 9.5 %"), "{page}");
    assert!(page.contains("variables = { tier = &#34;gold&#34;"), "the lines of the rule: {page}");
    assert!(page.contains("/calls?rule=office%2Fstores"));
    let line = TABLE.lines().position(|line| line == "name = \"vip\"").unwrap() + 1;
    assert!(page.contains(&format!("/change?file=rules.toml&#38;line={line}\"")), "{page}");
    assert!(page.contains("hx-get=\"/rules/hits\""), "hits are loaded after the page");
    let unreachable =
        Client::logged_in(&service.admin, "ed").await.page("/rules?only=unreachable").await;
    assert!(unreachable.contains("too late") && !unreachable.contains("office/stores"));
    service.stop().await;
}

#[tokio::test]
async fn hits_are_counted_and_rules_without_any_are_marked() {
    let service = service().await;
    service.call("+12137771234").await;
    service.call("+12137771234").await;
    let mut client = Client::logged_in(&service.admin, "vera").await;
    for page in ["/rules/hits", "/rules?hits=shown"] {
        let part = client.page(page).await;
        assert!(part.contains("<b>2</b> 24 h"), "{page}: {part}");
        assert!(part.contains("no hit since "), "{page}: {part}");
    }
    let rule = client.page("/rules/rule?name=vip").await;
    assert!(rule.contains("<b>2</b> 7 d") && rule.contains("<h1>vip</h1>"), "{rule}");
    service.stop().await;
}

#[tokio::test]
async fn without_records_the_pages_say_that_hits_are_unknown() {
    let service = service_with("", "off", &[("rules.toml", TABLE), ("stores.csv", STORES)]).await;
    let mut client = Client::logged_in(&service.admin, "ed").await;
    for page in ["/rules/hits", "/rules?hits=shown"] {
        let part = client.page(page).await;
        assert!(part.contains("Hits are unknown: records are off"), "{page}: {part}");
    }
    let shares = client.page("/rules/splits/shares?name=trial").await;
    assert!(shares.contains("Real shares are unknown"), "{shares}");
    service.stop().await;
}

#[tokio::test]
async fn a_number_is_searched_in_all_lists_or_in_one() {
    let service = service().await;
    let mut client = Client::logged_in(&service.admin, "ed").await;
    let found = client.page("/rules/lists?number=%2B1+(312)+555-0199").await;
    assert!(found.contains("stores.csv, line 2") && found.contains("agent: desk"), "{found}");
    let prefix = client.page("/rules/lists?number=%2B4930901820777").await;
    assert!(prefix.contains("+4930901820*") && prefix.contains("prefix"), "{prefix}");
    let none = client.page("/rules/lists?number=%2B13125550199&list=vip").await;
    assert!(none.contains("The list vip does not contain it"), "{none}");
    let answer = client.get("/rules/lists?number=3125550199").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = String::from_utf8(answer.body).unwrap();
    assert!(page.contains("role=\"alert\"") && page.contains("value=\"3125550199\""), "{page}");
    let lists = client.page("/rules/lists").await;
    assert!(lists.contains("stores.csv") && lists.contains("in the rule table"), "{lists}");
    let mut viewer = Client::logged_in(&service.admin, "vera").await;
    let masked = viewer.page("/rules/lists?number=%2B13125550199").await;
    assert!(masked.contains("<code>+1312***0199</code>"), "{masked}");
    service.stop().await;
}

#[tokio::test]
async fn hours_splits_and_agents_are_shown_with_their_uses() {
    let service = service().await;
    let mut client = Client::logged_in(&service.admin, "vera").await;
    let hours = client.page("/rules/hours").await;
    assert!(hours.contains("<span class=\"times\">09:00–12:30,</span>"), "{hours}");
    assert!(hours.contains("<rect class=\"open\" x=\"540\" y=\"3\" width=\"210\""), "{hours}");
    assert!(hours.contains("4th thu of nov"), "{hours}");
    assert!(client.page("/rules/hours?name=office").await.contains("Next fourteen days"));
    let splits = client.page("/rules/splits").await;
    assert!(splits.contains("90.5 %") && splits.contains("Splits with a name"), "{splits}");
    let agents = client.page("/rules/agents").await;
    assert!(agents.contains("column agent, 1 row"), "{agents}");
    assert!(agents.contains("not used"), "{agents}");
    assert!(agents.contains("/calls?agent=desk"));
    let lookups = client.page("/rules/lookups").await;
    assert!(lookups.contains("GET https://crm.example.com/by-phone"), "{lookups}");
    service.stop().await;
}

#[tokio::test]
async fn real_shares_are_those_of_the_newest_calls() {
    let service = service().await;
    for caller in 0..6 {
        service.call(&format!("+493012345{caller:02}")).await;
    }
    let name = "greeting+%26+%3Cb%3Etest%3C%2Fb%3E";
    let mut client = Client::logged_in(&service.admin, "vera").await;
    let shares = client.page(&format!("/rules/splits/shares?name={name}")).await;
    assert!(shares.contains("over the newest 6 calls"), "{shares}");
    service.stop().await;
}

#[tokio::test]
async fn the_shares_of_a_split_that_rows_name_are_those_of_its_agents() {
    let table = "[lists.clients]\nfile = \"clients.csv\"\n[splits.trial]\n\
                 arms = [{ agent = \"desk\", percent = 100 }]\n[[rule]]\nname = \"clients\"\n\
                 to = \"@clients\"\nsplit = \"${clients.split}\"\n";
    let table = format!("{table}[agents]\ndesk = {{ retell = \"agent_1\" }}\n");
    let clients = "number,split\n+13125550100,trial\n";
    let files = [("rules.toml", &*table), ("clients.csv", clients)];
    let service = service_with("", "memory:", &files).await;
    service.call("+4930123456").await;
    let mut client = Client::logged_in(&service.admin, "vera").await;
    let page = client.page("/rules/splits").await;
    assert!(page.contains("${clients.split}") && page.contains("shares?name=clients"), "{page}");
    let shares = client.page("/rules/splits/shares?name=clients").await;
    assert!(shares.contains("desk") && shares.contains("100.0 %"), "{shares}");
    assert!(shares.contains("over the newest 1 calls"), "{shares}");
    service.stop().await;
}

#[tokio::test]
async fn a_name_that_is_not_in_the_table_is_not_found() {
    let service = service().await;
    let mut client = Client::logged_in(&service.admin, "vera").await;
    for page in [
        "/rules/rule?name=nobody",
        "/rules/lists?list=nobody",
        "/rules/hours?name=nobody",
        "/rules/splits?name=nobody",
        "/rules/splits/shares?name=vip",
        "/rules/agents?name=nobody",
    ] {
        assert_eq!(client.get(page).await.status, StatusCode::NOT_FOUND, "{page}");
    }
    service.stop().await;
}

#[tokio::test]
async fn after_a_reload_the_pages_show_the_new_table() {
    let service = service().await;
    let mut client = Client::logged_in(&service.admin, "ed").await;
    assert!(client.get("/rules/rule?name=new").await.status == StatusCode::NOT_FOUND);
    let path = service.folder.path().join("rules.toml");
    let added = "# Added later\n[[rule]]\nname = \"new\"\nfrom = \"FR\"\nkeep = true\n\n";
    let first = "[[rule]]\nname = \"vip\"";
    std::fs::write(&path, TABLE.replace(first, &format!("{added}{first}"))).unwrap();
    let request =
        Request::post("/reload").header(header::AUTHORIZATION, format!("Bearer {ADMIN_TOKEN}"));
    let answer = answer(&service.admin, request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json());
    let page = client.page("/rules/rule?name=new").await;
    assert!(page.contains("# Added later"), "the lines are those of the new table: {page}");
    service.stop().await;
}

#[tokio::test]
async fn long_tables_have_pages() {
    let rule = |number: usize| {
        format!("[[rule]]\nname = \"rule {number}\"\nto = \"+1213555{number:04}\"\nkeep = true\n")
    };
    let table: String = (0..120).map(rule).collect();
    let service = service_with("", "memory:", &[("rules.toml", &table)]).await;
    let mut client = Client::logged_in(&service.admin, "vera").await;
    let first = client.page("/rules").await;
    assert!(first.contains("1 to 50 of 120 rules") && first.contains("/rules?page=2"), "{first}");
    let last = client.page("/rules?page=3").await;
    assert!(last.contains("101 to 120 of 120 rules") && !last.contains("rel=\"next\""), "{last}");
    let found = client.page("/rules?q=RULE+11").await;
    assert_eq!(found.matches("<li class=\"rule").count(), 11, "{found}");
    assert!(client.page("/rules?page=99").await.contains("none of 120 rules"));
    service.stop().await;
}
