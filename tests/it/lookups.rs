//! Look-ups against stand-ins: what they ask, what an answer does, and that no system can cost a call more
//! than the timeout.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use switchboard::rules::{self, CheckContext};
use tokio::time::Instant;

use crate::rules::codes_of;
use crate::support::app::{App, SETTINGS, app, retell_call, settings_with_longest_deadline};
use crate::support::postgres::Postgres;
use crate::support::program::{self, Served, admin_request, start};
use crate::support::stand_in::{Manner, StandIn, response};
use crate::support::wait;

/// A table that greets a caller by the name that the look-up finds.
fn greeting(lookup: &str) -> String {
    format!(
        r#"
        [lookup.crm]
        {lookup}

        [[rule]]
        name = "gold"
        where = {{ "crm.tier" = "gold" }}
        agent = "agent_gold"
        variables = {{ name = "${{crm.name|there}}" }}

        [[rule]]
        name = "everyone"
        agent = "agent_1"
        variables = {{ name = "${{crm.name|there}}" }}
        "#
    )
}

fn http(stand_in: &StandIn, more: &str) -> String {
    let url = stand_in.url("/by-phone?phone=${from}");
    format!("url = \"{url}\"\nallow_private = true\ntimeout_ms = 8000\n{more}")
}

/// Returns the agent and the name in the reply to a new call.
async fn reply(app: &App, from: &str) -> (String, String) {
    let answer = app.retell(retell_call(from, "+12135550100")).await;
    let reply = answer.json();
    let call = &reply["call_inbound"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&call["override_agent_id"]), text(&call["dynamic_variables"]["name"]))
}

#[tokio::test]
async fn an_answer_selects_the_rule_and_fills_its_variables() {
    let crm = StandIn::json(json!({ "tier": "gold", "name": "Ann" })).await;
    let app = app(&settings_with_longest_deadline(), &greeting(&http(&crm, "")));
    assert_eq!(reply(&app, "+12137771234").await, ("agent_gold".into(), "Ann".into()));
    let requests = crm.requests().await;
    assert!(
        requests[0].starts_with("GET /by-phone?phone=%2B12137771234 HTTP/1.1\r\n"),
        "{requests:?}"
    );
    assert_eq!(requests.len(), 1, "one question for two rules");
}

#[tokio::test]
async fn a_value_of_the_call_never_becomes_syntax() {
    let crm = StandIn::json(json!({ "name": "Ann" })).await;
    let url = crm.url("/c/${from}/x?a=${from}&b=1");
    let table = greeting(&format!(
        "url = \"{url}\"\nallow_private = true\ntimeout_ms = 8000\n\
         headers = {{ x-from = \"${{from}}\" }}\nbody = {{ phone = \"${{from}}\" }}"
    ));
    let app = app(&settings_with_longest_deadline(), &table);
    let from = r#"a/../b?c&d#e" 'f;ü%"#;
    let quoted = Value::from(from).to_string();
    let body = format!(
        r#"{{"event":"call_inbound","call_inbound":{{"from_number":{quoted},"to_number":"+1"}}}}"#
    );
    app.retell(body).await;
    let request = crm.requests().await.remove(0);
    let escaped = "a%2F..%2Fb%3Fc%26d%23e%22%20%27f%3B%C3%BC%25";
    assert!(
        request.starts_with(&format!("POST /c/{escaped}/x?a={escaped}&b=1 HTTP/1.1\r\n")),
        "{request}"
    );
    assert!(request.contains(&format!("x-from: {from}\r\n")), "{request}");
    let sent = request.split_once("\r\n\r\n").expect("a body").1;
    assert_eq!(serde_json::from_str::<Value>(sent).expect("JSON"), json!({ "phone": from }));
}

#[tokio::test]
async fn a_withheld_caller_and_a_path_of_dots_are_not_asked_about() {
    let crm = StandIn::json(json!({ "name": "Ann" })).await;
    let url = crm.url("/c/${from}/x");
    let table = greeting(&format!("url = \"{url}\"\nallow_private = true\ntimeout_ms = 8000"));
    let app = app(&settings_with_longest_deadline(), &table);
    for from in ["anonymous", ".."] {
        assert_eq!(reply(&app, from).await, ("agent_1".into(), "there".into()), "{from}");
    }
    assert_eq!(crm.requests().await, [] as [String; 0]);
    let metrics = app.metrics().await;
    let counted = r#"switchboard_lookups_total{lookup="crm",state="not_asked"} 2"#;
    assert!(metrics.contains(counted), "{metrics}");
}

/// Whatever a system does, the call is answered without it.
#[tokio::test]
async fn a_system_that_misbehaves_costs_its_values_and_nothing_else() {
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(10 << 20));
    let lie = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"name\":\"Ann\"}".to_vec();
    let elsewhere = "HTTP/1.1 302 X\r\nlocation: http://127.0.0.2/\r\ncontent-length: 0\r\n\r\n";
    let manners = [
        ("status 500", Manner::Bytes(response(500, r#"{"name":"Ann"}"#)), "failed"),
        ("status 401", Manner::Bytes(response(401, r#"{"name":"Ann"}"#)), "failed"),
        ("not found", Manner::Bytes(response(404, r#"{"name":"Ann"}"#)), "empty"),
        ("HTML", Manner::Bytes(response(200, "<html>name</html>")), "failed"),
        ("10 MB", Manner::Bytes(response(200, &large)), "failed"),
        ("a length that is a lie", Manner::ThenClose(lie), "failed"),
        ("closes at once", Manner::ThenClose(Vec::new()), "failed"),
        ("no HTTP", Manner::ThenClose(b"hello\r\n\r\n".to_vec()), "failed"),
        ("another host", Manner::Bytes(elsewhere.into()), "failed"),
        ("null", Manner::Bytes(response(200, "null")), "empty"),
        ("an empty list", Manner::Bytes(response(200, "[]")), "empty"),
        ("no body", Manner::Bytes(response(200, "")), "empty"),
    ];
    for (what, manner, state) in manners {
        let crm = StandIn::start(manner).await;
        let app = app(&settings_with_longest_deadline(), &greeting(&http(&crm, "")));
        assert_eq!(reply(&app, "+12137771234").await, ("agent_1".into(), "there".into()), "{what}");
        let counted = format!(r#"switchboard_lookups_total{{lookup="crm",state="{state}"}} 1"#);
        let metrics = app.metrics().await;
        assert!(metrics.contains(&counted), "{what}: {metrics}");
    }
}

/// The connection that was kept for the next question turns out to be dead.
#[tokio::test]
async fn a_question_that_only_reads_is_asked_again_on_a_new_connection() {
    let crm = StandIn::start(Manner::Once(response(200, r#"{"name":"Ann"}"#))).await;
    let app =
        app(&settings_with_longest_deadline(), &greeting(&http(&crm, "breaker_failures = 1")));
    for call in 0..4 {
        assert_eq!(reply(&app, &format!("+121377712{call:02}")).await.1, "Ann", "call {call}");
    }
    let crm = StandIn::start(Manner::Once(response(200, r#"{"name":"Ann"}"#))).await;
    let posting = http(&crm, "method = \"POST\"");
    let app = self::app(&settings_with_longest_deadline(), &greeting(&posting));
    assert_eq!(reply(&app, "+12137771200").await.1, "Ann");
    assert_eq!(reply(&app, "+12137771201").await.1, "there", "a system may act on a POST");
    assert_eq!(crm.requests().await.len(), 2);
}

#[tokio::test]
async fn a_slow_system_is_waited_for_until_its_timeout() {
    for manner in [Manner::Hang, Manner::Half] {
        let crm = StandIn::start(manner).await;
        let lookup = http(&crm, "").replace("timeout_ms = 8000", "timeout_ms = 300");
        let app = app(&settings_with_longest_deadline(), &greeting(&lookup));
        let started = Instant::now();
        assert_eq!(reply(&app, "+12137771234").await, ("agent_1".into(), "there".into()));
        assert!(started.elapsed() >= Duration::from_millis(300), "it waited");
        let metrics = app.metrics().await;
        assert!(metrics.contains(r#"switchboard_lookups_total{lookup="crm",state="late"} 1"#));
    }
}

/// The deadline of the reply is earlier than the timeout of the look-up.
#[tokio::test]
async fn a_call_is_decided_before_the_deadline_of_its_reply() {
    let crm = StandIn::start(Manner::Hang).await;
    let settings = SETTINGS.replace("platform =", "reply_within_ms = 1000\nplatform =");
    let app = app(&settings, &greeting(&http(&crm, "")));
    assert_eq!(reply(&app, "+12137771234").await, ("agent_1".into(), "there".into()));
    let metrics = app.metrics().await;
    assert!(metrics.contains(r#"switchboard_lookups_total{lookup="crm",state="late"} 1"#));
    let fallbacks = metrics.lines().filter(|line| line.starts_with("switchboard_fallbacks_total{"));
    let fallbacks: Vec<_> = fallbacks.collect();
    assert!(
        !fallbacks.is_empty() && fallbacks.iter().all(|line| line.ends_with(" 0")),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_rule_that_decides_earlier_asks_nothing() {
    let crm = StandIn::json(json!({ "tier": "gold" })).await;
    let table = format!(
        "{}\n[[rule]]\nname = \"never\"\nagent = \"agent_2\"",
        greeting(&http(&crm, "")).replacen(
            "[[rule]]",
            "[[rule]]\nname = \"blocked\"\nfrom = \"+1900*\"\nreject = true\n\n[[rule]]",
            1
        )
    );
    let app = app(&settings_with_longest_deadline(), &table);
    app.retell(retell_call("+19005550123", "+12135550100")).await;
    assert_eq!(crm.connections.load(Ordering::Relaxed), 0);
    assert_eq!(reply(&app, "+12137771234").await.0, "agent_gold");
}

#[tokio::test]
async fn equal_questions_share_one_request_and_its_answer_is_kept() {
    let crm = StandIn::json(json!({ "name": "Ann" })).await;
    let app = app(&settings_with_longest_deadline(), &greeting(&http(&crm, "")));
    let calls = (0..20).map(|call| {
        let to = format!("+121355501{call:02}");
        let body = retell_call("+12137771234", &to);
        async { app.retell(body).await.json() }
    });
    let replies = futures_util::future::join_all(calls).await;
    for reply in &replies {
        assert_eq!(reply["call_inbound"]["dynamic_variables"]["name"], "Ann");
    }
    assert_eq!(reply(&app, "+12137771234").await.1, "Ann");
    assert_eq!(crm.requests().await.len(), 1);
    assert_eq!(reply(&app, "+12137775678").await.1, "Ann");
    assert_eq!(crm.requests().await.len(), 2, "another caller is another question");
}

#[tokio::test]
async fn a_system_that_fails_in_a_row_is_left_alone_and_tried_again() {
    let crm = StandIn::start(Manner::Bytes(response(500, ""))).await;
    let lookup = http(&crm, "breaker_failures = 3\nbreaker_pause_s = 1");
    let app = app(&settings_with_longest_deadline(), &greeting(&lookup));
    for call in 0..10 {
        reply(&app, &format!("+121377712{call:02}")).await;
    }
    assert_eq!(crm.requests().await.len(), 3);
    let metrics = app.metrics().await;
    assert!(metrics.contains(r#"switchboard_lookups_total{lookup="crm",state="suspended"} 7"#));
    // A repeated delivery would receive the same reply.
    let callers = AtomicUsize::new(0);
    let tried_again = wait::until_async(async || {
        let caller = callers.fetch_add(1, Ordering::Relaxed);
        reply(&app, &format!("+1213778{caller:04}")).await;
        crm.requests().await.len() > 3
    });
    assert!(tried_again.await, "the breaker stays open");
}

#[tokio::test]
async fn a_private_address_is_refused_unless_the_table_allows_it() {
    let crm = StandIn::json(json!({ "name": "Ann" })).await;
    let url = crm.url("/x").replace("127.0.0.1", "private.localhost");
    let table = greeting(&format!("url = \"{url}\"\ntimeout_ms = 8000"));
    let error = std::panic::catch_unwind(|| app(SETTINGS, &table)).err().expect("an error at load");
    let report = error.downcast_ref::<String>().expect("a report");
    assert!(report.contains("error[private-address]"), "{report}");
}

/// A database of customers, and the table of rules that asks it.
fn customers(folder: &std::path::Path) -> String {
    let database = folder.join("customers.db");
    let connection = rusqlite::Connection::open(&database).expect("a database");
    connection
        .execute_batch(
            "CREATE TABLE customers (phone TEXT PRIMARY KEY, name TEXT, tier TEXT, visits INTEGER);
             INSERT INTO customers VALUES ('+12137771234', 'Ann', 'gold', 7);",
        )
        .expect("a table");
    let url = folder.join("url");
    std::fs::write(&url, format!("sqlite:{}\n", database.display())).expect("a file");
    let query = "SELECT name, tier, visits FROM customers WHERE phone = :from";
    format!("database = \"file:{}\"\nquery = \"{query}\"\ntimeout_ms = 8000", url.display())
}

#[tokio::test]
async fn the_first_row_of_a_query_is_the_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = greeting(&customers(folder.path()));
    let app = app(&settings_with_longest_deadline(), &table);
    assert_eq!(reply(&app, "+12137771234").await, ("agent_gold".into(), "Ann".into()));
    assert_eq!(reply(&app, "+12137770000").await, ("agent_1".into(), "there".into()));
    let injected = "x' OR '1'='1";
    assert_eq!(reply(&app, injected).await, ("agent_1".into(), "there".into()), "{injected}");
    let metrics = app.metrics().await;
    assert!(metrics.contains(r#"switchboard_lookups_total{lookup="crm",state="empty"} 2"#));
}

/// The first row in the order of the query, which has a name, equal names and a comment of its own.
#[tokio::test]
async fn any_select_of_sqlite_can_be_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let query = "WITH answer AS (SELECT * FROM customers) SELECT 'none' AS tier, tier, name, 1.5 AS c0, \
                 x'42' AS bytes, NULL AS n FROM answer WHERE phone = :from \
                 UNION ALL SELECT 'a', 'b', 'Zoe', 2, 3, 4 ORDER BY 3 -- the first";
    let lookup = customers(folder.path());
    let lookup =
        lookup.replace("SELECT name, tier, visits FROM customers WHERE phone = :from", query);
    let app = app(&settings_with_longest_deadline(), &greeting(&lookup));
    assert_eq!(reply(&app, "+12137771234").await, ("agent_gold".into(), "Ann".into()));
    assert_eq!(reply(&app, "+12137770000").await, ("agent_1".into(), "Zoe".into()));
}

#[tokio::test]
async fn postgresql_answers_with_any_type() {
    let Some(postgres) = Postgres::shared() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let url = folder.path().join("url");
    std::fs::write(&url, postgres.fresh()).expect("a file");
    let query = "SELECT 'gold' AS tier, 12.50::numeric AS name, now() AS at WHERE :from::text = '+12137771234'";
    let table = greeting(&format!(
        "database = \"file:{}\"\nquery = \"{query}\"\ntimeout_ms = 8000",
        url.display()
    ));
    let app = app(&settings_with_longest_deadline(), &table);
    assert_eq!(reply(&app, "+12137771234").await, ("agent_gold".into(), "12.5".into()));
    assert_eq!(reply(&app, "+12137770000").await, ("agent_1".into(), "there".into()));
}

#[tokio::test]
async fn a_broken_database_costs_its_values_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let lookup = customers(folder.path());
    for (broken, problem) in [
        (lookup.replace("FROM customers", "FROM nobody"), "no such table"),
        (lookup.replace("/url\"", "/missing\""), "no secret"),
    ] {
        let app = app(&settings_with_longest_deadline(), &greeting(&broken));
        assert_eq!(reply(&app, "+12137771234").await.1, "there", "{problem}");
        let metrics = app.metrics().await;
        let counted = r#"switchboard_lookups_total{lookup="crm",state="failed"} 1"#;
        assert!(metrics.contains(counted), "{problem}: {metrics}");
    }
}

/// A caller whose number the system cannot read must not take the look-up from the others.
#[tokio::test]
async fn a_question_that_the_system_refuses_does_not_suspend_it() {
    let crm = StandIn::start(Manner::Bytes(response(422, "{}"))).await;
    let lookup = http(&crm, "breaker_failures = 2");
    let app = app(&settings_with_longest_deadline(), &greeting(&lookup));
    for call in 0..5 {
        assert_eq!(reply(&app, &format!("+121377712{call:02}")).await.1, "there");
    }
    assert_eq!(crm.requests().await.len(), 5);
    let metrics = app.metrics().await;
    assert!(
        metrics.contains(r#"switchboard_lookups_total{lookup="crm",state="failed"} 5"#),
        "{metrics}"
    );
}

/// `/c/` would be the list of all customers.
#[tokio::test]
async fn an_empty_value_is_unknown() {
    let crm = StandIn::json(json!({ "name": "Ann" })).await;
    let url = crm.url("/c/${sip.x-customer}");
    let table = greeting(&format!("url = \"{url}\"\nallow_private = true\ntimeout_ms = 8000"));
    let app = app(&settings_with_longest_deadline(), &table);
    let body = r#"{"event":"call_inbound","call_inbound":{"from_number":"+12137771234",
        "to_number":"+12137770000","custom_sip_headers":{"x-customer":""}}}"#;
    let answer = app.retell(body).await.json();
    assert_eq!(answer["call_inbound"]["dynamic_variables"]["name"], "there", "{answer}");
    assert_eq!(crm.requests().await, [] as [String; 0]);
}

/// Neither the first call nor any other builds a client, reads a file or opens the first connection.
#[tokio::test]
async fn a_look_up_is_ready_before_its_first_call() {
    let Some(postgres) = Postgres::shared() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let url = folder.path().join("url");
    std::fs::write(&url, postgres.fresh()).expect("a file");
    let query = "SELECT 'gold' AS tier, 'Ann' AS name";
    let lookup =
        format!("database = \"file:{}\"\nquery = \"{query}\"\ntimeout_ms = 8000", url.display());
    let app = app(&settings_with_longest_deadline(), &greeting(&lookup));
    let connections = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                       AND backend_type = 'client backend' AND application_name <> 'psql'";
    let database = std::fs::read_to_string(&url).expect("the URL");
    let is_connected = async || postgres.query(&database, connections) == "1";
    assert!(wait::until_async(is_connected).await, "no connection is opened");
    std::fs::remove_file(&url).expect("removed");
    assert_eq!(reply(&app, "+12137771234").await, ("agent_gold".into(), "Ann".into()));
}

#[tokio::test]
async fn a_look_up_that_cannot_be_asked_is_reported_before_its_first_call() {
    let folder = tempfile::tempdir().expect("a folder");
    let lookup = customers(folder.path());
    let (url, moved) = (folder.path().join("url"), folder.path().join("moved"));
    std::fs::rename(&url, &moved).expect("moved");
    let app = app(&settings_with_longest_deadline(), &greeting(&lookup));
    assert_eq!(app.app.lookups().suspended(), ["crm".into()]);
    assert_eq!(reply(&app, "+12137771234").await.1, "there");
    std::fs::rename(&moved, &url).expect("moved back");
    app.app.prepare_lookups(&app.app.live_table().shared_table());
    assert_eq!(app.app.lookups().suspended(), [] as [Box<str>; 0]);
    assert_eq!(reply(&app, "+12137775678").await.1, "there");
    assert_eq!(reply(&app, "+12137771234").await.0, "agent_1", "the same delivery again");
    let another = retell_call("+12137771234", "+12135550199");
    let reply = app.retell(another).await.json();
    assert_eq!(reply["call_inbound"]["override_agent_id"], "agent_gold");
    std::fs::rename(&url, &moved).expect("moved");
    app.app.prepare_lookups(&app.app.live_table().shared_table());
    assert_eq!(
        app.app.lookups().suspended(),
        [] as [Box<str>; 0],
        "the URL of before stays in use"
    );
}

/// A token is rotated: its file has another content.
#[tokio::test]
async fn a_secret_of_a_header_is_read_when_look_ups_are_prepared_and_by_no_call() {
    let crm = StandIn::json(json!({ "name": "Ann" })).await;
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    let header = format!("Bearer ${{file.{}}}", token.display());
    let lookup = http(&crm, &format!("headers = {{ authorization = \"{header}\" }}"));
    let app = app(&settings_with_longest_deadline(), &greeting(&lookup));
    let prepare = || app.app.prepare_lookups(&app.app.live_table().shared_table());
    assert_eq!(app.app.lookups().suspended(), ["crm".into()], "there is no token");
    std::fs::write(&token, "old-token\n").expect("a file");
    prepare();
    assert_eq!(app.app.lookups().suspended(), [] as [Box<str>; 0]);
    reply(&app, "+12137770001").await;
    std::fs::write(&token, "new-token\n").expect("a file");
    reply(&app, "+12137770002").await;
    prepare();
    reply(&app, "+12137770003").await;
    let tokens: Vec<bool> = crm
        .requests()
        .await
        .iter()
        .map(|request| request.contains("Bearer new-token\r\n"))
        .collect();
    assert_eq!(tokens, [false, false, true]);
}

/// The URL of the database changes while the service runs: polling finds that, and so does a reload without
/// polling.
#[test]
fn a_new_database_url_is_used_without_a_restart() {
    for poll in ["poll_ms = 20", "poll_ms = 0"] {
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let lookup = customers(folders[0].path());
        customers(folders[1].path());
        let other = rusqlite::Connection::open(folders[1].path().join("customers.db"));
        other
            .expect("a database")
            .execute("UPDATE customers SET tier = 'none'", [])
            .expect("a row");
        let settings = format!("{}[rules]\n{poll}\n", program::SETTINGS);
        let (_folder, settings) = program::folder(&settings, &greeting(&lookup));
        let served = Served::new(start(&["--config", &settings]));
        let explained = || {
            let path = "GET /explain?from=%2B12137771234&live=true";
            admin_request(&served.admin, path, "").1
        };
        assert!(explained().contains("agent_gold"), "{}", explained());
        let url = std::fs::read_to_string(folders[1].path().join("url")).expect("a URL");
        let next = folders[0].path().join("next");
        std::fs::write(&next, url).expect("a file");
        std::fs::rename(next, folders[0].path().join("url")).expect("replaced");
        if poll == "poll_ms = 0" {
            assert!(explained().contains("agent_gold"), "not before the reload");
            assert_eq!(admin_request(&served.admin, "POST /reload", "").0, 200);
        }
        let is_new = || !explained().contains("\"agent_gold\"");
        assert!(wait::until(is_new), "{poll}: {}\n{}", explained(), served.log());
    }
}

/// `max_bytes` limits the first row, whose values the database does not hand over if it is larger.
#[tokio::test]
async fn a_row_that_is_too_large_is_no_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let sqlite = customers(folder.path());
    let mut databases = vec![("sqlite", sqlite.clone())];
    if let Some(postgres) = Postgres::shared() {
        let (url, other) = (postgres.fresh(), folder.path().join("other"));
        postgres.query(&url, "CREATE TABLE customers AS SELECT '+12137771234' AS phone, 'gold' AS tier, 'Ann' AS name, 7 AS visits");
        std::fs::write(&other, url).expect("a file");
        let query = "SELECT name, tier, visits FROM customers WHERE phone = :from";
        let lookup = format!(
            "database = \"file:{}\"\nquery = \"{query}\"\ntimeout_ms = 8000",
            other.display()
        );
        databases.push(("postgres", lookup));
    }
    for (name, lookup) in databases {
        let column = match name {
            "sqlite" => "printf('%.*c', 3000, 'x') AS notes",
            _ => "repeat('x', 3000) AS notes",
        };
        let large = lookup.replace("SELECT name,", &format!("SELECT name, {column},"));
        for (max_bytes, expected) in [(2_000, "there"), (4_000, "Ann")] {
            let limited = format!("{large}\nmax_bytes = {max_bytes}");
            let app = app(&settings_with_longest_deadline(), &greeting(&limited));
            let found = reply(&app, "+12137771234").await.1;
            assert_eq!(found, expected, "{name}: {max_bytes}");
            let state = if expected == "Ann" { "found" } else { "failed" };
            let counted = format!(r#"switchboard_lookups_total{{lookup="crm",state="{state}"}} 1"#);
            assert!(app.metrics().await.contains(&counted), "{name}: {max_bytes}");
        }
    }
}

/// A column that is added to the table of customers while the service runs.
#[tokio::test]
async fn the_columns_of_a_database_may_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let lookup = customers(folder.path()).replace("SELECT name, tier, visits", "SELECT *");
    let app = app(&settings_with_longest_deadline(), &greeting(&lookup));
    assert_eq!(reply(&app, "+12137771234").await.1, "Ann");
    let customers = rusqlite::Connection::open(folder.path().join("customers.db"));
    let change = "ALTER TABLE customers ADD COLUMN notes TEXT;
                  INSERT INTO customers VALUES ('+12137770002', 'Bob', 'gold', 1, 'new');";
    customers.expect("a database").execute_batch(change).expect("a column");
    let calls = AtomicUsize::new(0);
    let is_found = wait::until_async(async || {
        let to = format!("+1213555{:04}", calls.fetch_add(1, Ordering::Relaxed));
        let answer = app.retell(retell_call("+12137770002", &to)).await.json();
        answer["call_inbound"]["dynamic_variables"]["name"] == "Bob"
    });
    assert!(is_found.await);
    assert!(calls.load(Ordering::Relaxed) <= 3, "at most one question fails");
}

/// Replaces a file of customers, as an export does at night.
#[tokio::test]
async fn a_sqlite_file_may_be_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let lookup = format!("{}\ncache_s = 0", customers(folder.path()));
    let app = app(&settings_with_longest_deadline(), &greeting(&lookup));
    assert_eq!(reply(&app, "+12137771234").await.1, "Ann");
    for name in ["Bea", "Cai"] {
        let export = tempfile::tempdir_in(folder.path()).expect("a folder");
        customers(export.path());
        let file = export.path().join("customers.db");
        let next = rusqlite::Connection::open(&file).expect("a database");
        next.execute("UPDATE customers SET name = ?1", [name]).expect("a row");
        drop(next);
        std::fs::rename(file, folder.path().join("customers.db")).expect("replaced");
        assert_eq!(explained_name(&app, name).await, name);
    }
}

/// Returns the name in the reply to a new call from the number of Ann, to a number of its own.
async fn explained_name(app: &App, to: &str) -> String {
    let answer = app.retell(retell_call("+12137771234", to)).await.json();
    answer["call_inbound"]["dynamic_variables"]["name"].as_str().unwrap_or_default().to_owned()
}

/// The rows of one caller cannot be used; the others are answered.
#[tokio::test]
async fn a_row_that_cannot_be_used_does_not_suspend_the_look_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let lookup = format!("{}\nbreaker_failures = 2\nmax_bytes = 1000", customers(folder.path()));
    let rows = rusqlite::Connection::open(folder.path().join("customers.db")).expect("a database");
    let insert = "INSERT INTO customers VALUES ('+12137770001', zeroblob(300000), 'gold', 1),
                  ('+12137770002', CAST(x'4ae46e' AS TEXT), 'gold', 1)";
    rows.execute(insert, []).expect("rows");
    let app = app(&settings_with_longest_deadline(), &greeting(&lookup));
    for _ in 0..3 {
        assert_eq!(reply(&app, "+12137770001").await.1, "there");
        assert_eq!(reply(&app, "+12137770002").await.1, "there");
    }
    assert_eq!(reply(&app, "+12137771234").await.1, "Ann");
    let crm =
        StandIn::start(Manner::Bytes(response(200, &format!("\"{}\"", "x".repeat(2_000))))).await;
    let table = greeting(&http(&crm, "breaker_failures = 2\nmax_bytes = 1000"));
    let app = self::app(&settings_with_longest_deadline(), &table);
    for call in 0..5 {
        reply(&app, &format!("+121377712{call:02}")).await;
    }
    assert_eq!(
        crm.requests().await.len(),
        5,
        "an answer that is too large is one about this caller"
    );
}

/// Numbers of an answer, in the form in which people expect them.
#[tokio::test]
async fn a_number_keeps_its_digits_and_loses_its_zeros() {
    let crm = StandIn::start(Manner::Bytes(response(200, r#"{"tier":"gold","name":12.00}"#))).await;
    let app = app(&settings_with_longest_deadline(), &greeting(&http(&crm, "")));
    assert_eq!(reply(&app, "+12137771234").await, ("agent_gold".into(), "12".into()));
    let crm =
        StandIn::start(Manner::Bytes(response(200, r#"{"name":89012608622912345678}"#))).await;
    let app = self::app(&settings_with_longest_deadline(), &greeting(&http(&crm, "")));
    assert_eq!(reply(&app, "+12137771234").await.1, "89012608622912345678");
    let Some(postgres) = Postgres::shared() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("url"), postgres.fresh()).expect("a file");
    for (number, expected) in [
        ("12.00", "12"),
        ("123456789012345678901234567890.50", "123456789012345678901234567890.50"),
    ] {
        let lookup = format!(
            "database = \"file:{}/url\"\nquery = \"SELECT {number}::numeric AS name\"\ntimeout_ms = 8000",
            folder.path().display()
        );
        let app = self::app(&settings_with_longest_deadline(), &greeting(&lookup));
        assert_eq!(reply(&app, "+12137771234").await.1, expected);
    }
}

#[test]
fn keys_without_an_effect_are_errors() {
    let http = "url = \"https://crm.example.com/${from}\"";
    let sql = "database = \"env:CRM_URL\"\nquery = \"SELECT name FROM c WHERE phone = :from\"";
    let codes = |text: &str| {
        let loaded = rules::parse("rules.toml", text.to_owned(), &CheckContext::default());
        codes_of(&loaded.report).join(" ")
    };
    for (lookup, is_refused) in [
        (format!("{http}\nallow_private = true"), false),
        (format!("{sql}\nmax_bytes = 1000"), false),
        (format!("{sql}\nallow_private = true"), true),
        (format!("{sql}\nallow_private = false"), true),
    ] {
        let codes = codes(&greeting(&lookup));
        assert_eq!(codes.contains("bad-lookup"), is_refused, "{lookup}: {codes}");
    }
    let rule = "[[rule]]\nname = \"all\"\nwhere = { \"history.calls_1h\" = 1 }\nkeep = true";
    for (key, is_refused) in [
        ("timeout_ms = 100\nmax_concurrent = 2\nbreaker_failures = 3\nbreaker_pause_s = 4", false),
        ("method = \"POST\"", true),
        ("headers = { a = \"b\" }", true),
        ("body = { a = \"b\" }", true),
        ("result = \"/a\"", true),
        ("allow_private = true", true),
        ("query = \"SELECT 1\"", true),
        ("cache_s = 1", true),
        ("negative_cache_s = 1", true),
        ("max_bytes = 1", true),
    ] {
        let codes = codes(&format!("[lookup.history]\n{key}\n{rule}"));
        assert_eq!(codes.contains("bad-lookup"), is_refused, "{key}: {codes}");
    }
    for (header, is_refused) in [
        ("Bearer ${file./run/secrets/token}", false),
        ("Bearer ${file.token}", true),
        ("Bearer ${file./run/secrets/token|none}", true),
    ] {
        let codes =
            codes(&greeting(&format!("{http}\nheaders = {{ authorization = \"{header}\" }}")));
        assert_eq!(codes.contains("bad-template"), is_refused, "{header}: {codes}");
        assert!(!codes.contains("inline-secret"), "{header}: {codes}");
    }
    let host = "https://crm.example.com";
    for (keys, is_refused) in [
        (format!("url = \"{host}/?api_key=abc&phone=${{from}}\""), true),
        (format!("url = \"{host}/?phone=${{from}}&Access-Token=abc\""), true),
        (format!("url = \"{host}/?phone=${{from}}&api_key=${{env.CRM_KEY}}\""), false),
        (format!("url = \"{host}/token/${{from}}?a=b&token=\""), false),
        (
            format!("url = \"{host}/\"\nbody = {{ phone = \"${{from}}\", password = \"abc\" }}"),
            true,
        ),
        (
            format!("url = \"{host}/\"\nbody = {{ a = {{ api_key = \"${{env.CRM_KEY}}\" }} }}"),
            false,
        ),
    ] {
        let loaded = rules::parse("rules.toml", greeting(&keys), &CheckContext::default());
        let report = loaded.report.to_string();
        assert_eq!(report.contains("error[inline-secret]"), is_refused, "{keys}: {report}");
        assert!(!report.contains("abc"), "the report shows the secret: {report}");
    }
}
