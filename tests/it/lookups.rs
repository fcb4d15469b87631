//! Look-ups against stand-ins: what they ask, what an answer does, and that no system can cost a call more
//! than the timeout.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::support::app::{App, SETTINGS, app, retell_call, settings_with_longest_deadline};
use crate::support::postgres::Postgres;
use crate::support::wait;

/// A server that answers every request as the test wants, and remembers the requests.
pub(crate) struct StandIn {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

/// How a stand-in answers.
#[derive(Clone)]
enum Manner {
    /// These bytes, then the connection stays open.
    Bytes(Vec<u8>),
    /// These bytes, then the connection is closed.
    ThenClose(Vec<u8>),
    /// Nothing, ever.
    Hang,
    /// The first half of an answer, and nothing more.
    Half,
}

impl StandIn {
    async fn start(manner: Manner) -> StandIn {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (requests, connections) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
        let stand_in = StandIn { port, requests, connections };
        let (requests, connections) = (stand_in.requests.clone(), stand_in.connections.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, manner.clone(), requests.clone()));
            }
        });
        stand_in
    }

    pub(crate) async fn json(value: Value) -> StandIn {
        StandIn::start(Manner::Bytes(response(200, &value.to_string()))).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) async fn requests(&self) -> Vec<String> {
        self.requests.lock().await.clone()
    }
}

fn response(status: u16, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

async fn serve(mut stream: TcpStream, manner: Manner, requests: Arc<Mutex<Vec<String>>>) {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => received.extend_from_slice(&buffer[..read]),
        }
        let text = String::from_utf8_lossy(&received).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() < length.map_or(0, |length| length.parse().expect("a length")) {
            continue;
        }
        requests.lock().await.push(text);
        received.clear();
        let written = match &manner {
            Manner::Bytes(bytes) => stream.write_all(bytes).await,
            Manner::ThenClose(bytes) => {
                drop(stream.write_all(bytes).await);
                return;
            }
            Manner::Hang => Ok(()),
            Manner::Half => {
                let answer = response(200, "{\"name\":\"Ann\"}");
                stream.write_all(&answer[..answer.len() - 5]).await
            }
        };
        if written.is_err() {
            return;
        }
    }
}

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
