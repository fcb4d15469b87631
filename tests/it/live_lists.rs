//! Lists that live elsewhere, against stand-ins: only a good answer replaces the copy, and the copy is used
//! whatever happens to the other system.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use switchboard::domain::secret::{Secret, SecretSource};
use switchboard::live_lists::{self, Fetched, LiveLists, NotFetched};
use switchboard::reload;
use switchboard::rules::{self, CheckContext, LiveList, LoadedTable};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::rules::codes_of;
use crate::support::postgres::Postgres;
use crate::support::program::{self, SETTINGS, Served, admin_request, run, start, text};
use crate::support::wait;

/// A server that gives the answer of the moment to every request, and remembers the requests.
pub(crate) struct StandIn {
    port: u16,
    answer: Arc<Mutex<Vec<u8>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl StandIn {
    pub(crate) fn start(answer: Vec<u8>) -> StandIn {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let stand_in =
            StandIn { port, answer: Arc::new(Mutex::new(answer)), requests: Arc::default() };
        let (answer, requests) = (stand_in.answer.clone(), stand_in.requests.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, &answer.lock().unwrap().clone(), &requests);
            }
        });
        stand_in
    }

    pub(crate) fn answers(&self, answer: Vec<u8>) {
        *self.answer.lock().unwrap() = answer;
    }

    pub(crate) fn last_request(&self) -> String {
        self.requests.lock().unwrap().last().cloned().expect("a request").to_lowercase()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/export?format=csv", self.port)
    }
}

fn serve(mut stream: TcpStream, answer: &[u8], requests: &Mutex<Vec<String>>) {
    let (mut received, mut buffer) = (Vec::new(), [0; 4096]);
    while !received.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(read) => received.extend_from_slice(&buffer[..read]),
        }
    }
    requests.lock().unwrap().push(String::from_utf8_lossy(&received).into_owned());
    drop(stream.write_all(answer));
}

pub(crate) fn response(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
        .into_bytes()
}

fn csv(body: &str) -> Vec<u8> {
    response(200, "content-type: text/csv\r\n", body)
}

fn rows(count: usize) -> String {
    let rows: String = (0..count).map(|row| format!("+1213777{row:04},Ann\n")).collect();
    format!("phone,name\n{rows}")
}

/// A table with the list `vip`, of which the keys are given.
fn table(keys: &str) -> String {
    format!(
        r#"
        [lists.vip]
        {keys}

        [[rule]]
        name = "vip"
        from = "@vip"
        agent = "agent_vip"
        variables = {{ name = "${{vip.name|you}}" }}

        [[rule]]
        name = "everyone"
        agent = "agent_1"
        "#
    )
}

fn http_keys(stand_in: &StandIn, more: &str) -> String {
    format!("url = \"{}\"\nallow_private = true\n{more}", stand_in.url())
}

/// The one secret of these tests.
struct OneSecret(String);

impl SecretSource for OneSecret {
    fn secret(&self, reference: &str) -> Option<Secret> {
        (reference == "env:PLACE").then(|| Secret::new(&*self.0))
    }
}

/// A list with its folder of copies.
struct Case {
    folder: TempDir,
    text: String,
    secret: OneSecret,
}

impl Case {
    fn new(keys: &str) -> Case {
        let secret = OneSecret("secret-of-the-sheet".to_owned());
        Case { folder: tempfile::tempdir().unwrap(), text: table(keys), secret }
    }

    fn load(&self) -> LoadedTable {
        let lists_dir = Some(self.folder.path().join("lists"));
        let context = CheckContext { lists_dir, ..CheckContext::default() };
        rules::parse("rules.toml", self.text.clone(), &context)
    }

    fn list(&self) -> Arc<LiveList> {
        let LoadedTable { live_lists, report, .. } = self.load();
        live_lists.first().cloned().unwrap_or_else(|| panic!("{report}"))
    }

    async fn fetch(&self) -> Result<Fetched, NotFetched> {
        live_lists::fetch(&self.list(), &self.secret, false, Timestamp::UNIX_EPOCH).await
    }

    /// Fetches and returns the words of the problem.
    async fn problem(&self) -> String {
        let problem = self.fetch().await.expect_err("the answer is not good");
        problem.problem()
    }

    fn copy(&self) -> Option<String> {
        std::fs::read_to_string(&self.list().copy).ok()
    }

    /// Returns the number of rows of the list in the table.
    fn rows(&self) -> usize {
        let LoadedTable { table, report, .. } = self.load();
        table.unwrap_or_else(|| panic!("{report}")).lists.all()[0].rows
    }
}

#[tokio::test]
async fn a_good_answer_becomes_the_copy_and_the_list() {
    let stand_in = StandIn::start(csv(&rows(3)));
    let headers = "headers = { authorization = \"Bearer ${env.PLACE}\" }";
    let case = Case::new(&http_keys(&stand_in, headers));
    let before = case.load();
    assert_eq!(codes_of(&before.report), ["no-list-copy"], "{}", before.report);
    assert_eq!((before.missing_copies.len(), case.rows()), (1, 0));
    assert_eq!(case.fetch().await, Ok(Fetched::Replaced(3)));
    assert!(stand_in.last_request().contains("authorization: bearer secret-of-the-sheet"));
    let after = case.load();
    assert!(after.report.diagnostics().is_empty(), "{}", after.report);
    assert_eq!((after.missing_copies.len(), case.rows()), (0, 3));
    for file in ["vip.live.csv", "vip.live.json"] {
        let path = case.folder.path().join("lists").join(file);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
        assert!(!std::fs::read_to_string(path).unwrap().contains("secret-of-the-sheet"));
    }
}

#[tokio::test]
async fn what_is_unchanged_is_not_sent_again() {
    let headers = "content-type: text/csv\r\netag: \"v1\"\r\nlast-modified: Thu, 26 Nov 2026 10:00:00 GMT\r\n";
    let stand_in = StandIn::start(response(200, headers, &rows(3)));
    let case = Case::new(&http_keys(&stand_in, ""));
    assert_eq!(case.fetch().await, Ok(Fetched::Replaced(3)));
    assert!(!stand_in.last_request().contains("if-none-match"));
    stand_in.answers(response(304, "", ""));
    let later: Timestamp = "2026-11-27T12:00:00Z".parse().unwrap();
    let list = case.list();
    let fetched = live_lists::fetch(&list, &case.secret, false, later).await;
    assert_eq!(fetched, Ok(Fetched::Unchanged));
    let request = stand_in.last_request();
    assert!(request.contains("if-none-match: \"v1\""), "{request}");
    assert!(request.contains("if-modified-since: thu, 26 nov 2026 10:00:00 gmt"), "{request}");
    assert_eq!(live_lists::confirmed_at(&list.copy), Some(later), "the copy is current");
    // Nobody asked for it without a copy.
    let without_copy = Case::new(&http_keys(&stand_in, ""));
    assert!(without_copy.problem().await.contains("status 304"));
    // The same text again is no change either.
    stand_in.answers(csv(&rows(3)));
    assert_eq!(case.fetch().await, Ok(Fetched::Unchanged));
    // Another place knows nothing of this ETag.
    let other = Case {
        folder: case.folder,
        ..Case::new(&http_keys(&stand_in, "refresh_s = 10\nheaders = { x = \"y\" }"))
    };
    assert_eq!(other.fetch().await, Ok(Fetched::Unchanged));
    assert!(!stand_in.last_request().contains("if-none-match"));
}

#[tokio::test]
async fn an_answer_that_is_no_list_leaves_the_copy() {
    let stand_in = StandIn::start(csv(&rows(3)));
    let case = Case::new(&http_keys(&stand_in, "column = \"phone\""));
    case.fetch().await.expect("a list");
    let half = &csv(&rows(3))[..90];
    let html = "<!DOCTYPE html><html><title>Sign in</title></html>";
    for (answer, problem) in [
        (response(500, "", "oh"), "status 500"),
        (response(404, "", ""), "status 404"),
        (response(204, "", ""), "status 204"),
        (response(200, "content-type: text/html; charset=utf-8\r\n", html), "web page"),
        (csv(html), "web page"),
        (half.to_vec(), "the connection broke"),
        (Vec::new(), "the connection broke"),
        (csv(""), "its first line must name the columns"),
        (csv("number,name\n+12137771234,Ann\n"), "no column `phone`"),
        (csv("phone,tier\n+12137771234,gold\n"), "no column `name`"),
        (csv("phone,name,name\n+12137771234,Ann,Bo\n"), "several columns `name`"),
        (csv("+12137771234,Ann\n"), "must name its columns"),
        (csv("Service temporarily unavailable, try again"), "no column `phone`"),
    ] {
        stand_in.answers(answer);
        let found = case.problem().await;
        assert!(found.contains(problem), "{found} in place of {problem}");
        assert_eq!(case.copy(), Some(rows(3)), "{problem}");
    }
    let latin = b"HTTP/1.1 200 X\r\nconnection: close\r\ncontent-length: 8\r\n\r\nphone,\xe4\n";
    stand_in.answers(latin.to_vec());
    assert!(case.problem().await.contains("not UTF-8"));
}

#[tokio::test]
async fn an_answer_that_is_no_list_is_no_first_copy_either() {
    for answer in ["Service temporarily unavailable, try again", "+12137771234,Ann\n"] {
        let stand_in = StandIn::start(csv(answer));
        let case = Case::new(&http_keys(&stand_in, ""));
        assert!(matches!(case.fetch().await, Err(NotFetched::Failed(_))), "{answer}");
        assert_eq!(case.copy(), None, "{answer}");
        assert_eq!(case.rows(), 0, "the table can go live without the list");
    }
}

#[tokio::test]
async fn a_message_of_the_other_system_does_not_empty_a_list() {
    let numbers = "number\n+12137770000\n+12137770001\n";
    let stand_in = StandIn::start(csv(numbers));
    let mut case = Case::new(&http_keys(&stand_in, ""));
    case.text = case.text.replace("variables", "# variables");
    case.fetch().await.expect("a list");
    stand_in.answers(csv("Service temporarily unavailable, try again"));
    assert!(case.problem().await.contains("it is no list"));
    assert_eq!(case.rows(), 2);
    stand_in.answers(csv("number\n"));
    assert_eq!(case.fetch().await, Ok(Fetched::Replaced(0)), "an empty list is one");
}

#[tokio::test]
async fn a_damaged_copy_is_fetched_again() {
    let headers = "content-type: text/csv\r\netag: \"v1\"\r\n";
    let stand_in = StandIn::start(response(200, headers, &rows(3)));
    let case = Case::new(&http_keys(&stand_in, "column = \"phone\""));
    for damage in [&b"garb\xff"[..], b"", b"PK\x03\x04", b"phone,name\n+1213777"] {
        case.fetch().await.expect("a list");
        std::fs::write(&case.list().copy, damage).unwrap();
        let loaded = case.load();
        assert!(loaded.table.is_some(), "{}", loaded.report);
        assert_eq!(case.fetch().await, Ok(Fetched::Replaced(3)));
        assert!(!stand_in.last_request().contains("if-none-match"), "{damage:?}");
        assert_eq!((case.load().missing_copies.len(), case.rows()), (0, 3));
    }
    std::fs::write(&case.list().copy, b"garb\xff").unwrap();
    let damaged = case.load();
    assert_eq!(codes_of(&damaged.report), ["no-list-copy"], "{}", damaged.report);
    assert_eq!(damaged.missing_copies.len(), 1, "it is fetched before the table goes live");
}

/// `records forget` removes a number from the copy, which would come back with a new answer.
#[tokio::test]
async fn a_copy_without_a_forgotten_number_is_not_fetched_again() {
    let headers = "content-type: text/csv\r\netag: \"v1\"\r\n";
    let stand_in = StandIn::start(response(200, headers, &rows(3)));
    let case = Case::new(&http_keys(&stand_in, ""));
    case.fetch().await.expect("a list");
    let copy = case.list().copy.clone();
    std::fs::write(&copy, rows(2)).unwrap();
    live_lists::note_edited(&copy, &rows(2)).unwrap();
    stand_in.answers(response(304, "", ""));
    assert_eq!(case.fetch().await, Ok(Fetched::Unchanged));
    assert!(stand_in.last_request().contains("if-none-match: \"v1\""));
    assert_eq!(case.rows(), 2);
}

#[tokio::test]
async fn guards_hold_a_shrunk_answer_unless_it_is_forced() {
    let stand_in = StandIn::start(csv(&rows(100)));
    let case = Case::new(&http_keys(&stand_in, "max_shrink = \"50%\"\nmin_rows = 30"));
    case.fetch().await.expect("a list");
    stand_in.answers(csv(&rows(49)));
    assert!(case.problem().await.contains("has 49 rows and had 100"));
    stand_in.answers(csv("phone,name\n"));
    assert!(case.problem().await.contains("has 0 rows and had 100"));
    assert_eq!(case.rows(), 100);
    stand_in.answers(csv(&rows(50)));
    assert_eq!(case.fetch().await, Ok(Fetched::Replaced(50)));
    stand_in.answers(csv(&rows(29)));
    assert!(case.problem().await.contains("at least 30"));
    let forced = live_lists::fetch(&case.list(), &case.secret, true, Timestamp::UNIX_EPOCH).await;
    assert_eq!((forced, case.rows()), (Ok(Fetched::Replaced(29)), 29));
}

#[tokio::test]
async fn rows_with_errors_are_left_out_unless_the_list_is_strict() {
    let body = format!("{}no,Bob\n+12,Cid\n", rows(2));
    let stand_in = StandIn::start(csv(&body));
    let lenient = Case::new(&http_keys(&stand_in, ""));
    assert_eq!(lenient.fetch().await, Ok(Fetched::Replaced(2)));
    let report = lenient.load().report.to_string();
    assert!(report.contains("`no` is not a number; the row is skipped"), "{report}");
    assert_eq!(lenient.rows(), 2);
    let strict = Case::new(&http_keys(&stand_in, "strict = true"));
    let problem = strict.problem().await;
    assert!(problem.contains("2 rows have errors, the first on line 4"), "{problem}");
    assert_eq!(strict.copy(), None);
}

#[tokio::test]
async fn redirects_lead_to_another_host_but_without_headers_only() {
    let target = StandIn::start(csv(&rows(2)));
    let location = format!("location: {}\r\n", target.url());
    let stand_in = StandIn::start(response(307, &location, ""));
    assert_eq!(Case::new(&http_keys(&stand_in, "")).fetch().await, Ok(Fetched::Replaced(2)));
    let with_headers = Case::new(&http_keys(&stand_in, "headers = { x-key = \"${env.PLACE}\" }"));
    with_headers.fetch().await.expect_err("the other host must not receive the key");
    assert_eq!(target.requests.lock().unwrap().len(), 1);
    // The URL can contain a secret.
    assert!(!target.last_request().contains("referer"), "{}", target.last_request());
}

#[tokio::test]
async fn a_list_that_comes_from_another_place_is_fetched_before_its_columns_are_judged() {
    let without_name: String = (0..10).map(|row| format!("+1213777{row:04},gold\n")).collect();
    let stand_in = StandIn::start(csv(&format!("phone,tier\n{without_name}")));
    let mut old = Case::new(&http_keys(&stand_in, "headers = { a = \"1\" }"));
    let with_name = old.text.clone();
    old.text = with_name.replace("${vip.name|you}", "${vip.tier|you}");
    assert_eq!(old.fetch().await, Ok(Fetched::Replaced(10)));
    old.text = with_name;
    let loaded = old.load();
    assert!(codes_of(&loaded.report).contains(&"unknown-column"), "{}", loaded.report);

    let keys = "headers = { a = \"2\" }\nmax_shrink = \"50%\"\ncolumn = \"phone\"";
    let new = Case { folder: old.folder, ..Case::new(&http_keys(&stand_in, keys)) };
    let loaded = new.load();
    assert_eq!(codes_of(&loaded.report), ["no-list-copy"], "{}", loaded.report);
    assert_eq!((loaded.missing_copies.len(), new.rows()), (1, 0));
    // What the other place had is no measure for this one.
    stand_in.answers(csv(&rows(3)));
    assert_eq!(new.fetch().await, Ok(Fetched::Replaced(3)));
    assert!(new.load().report.diagnostics().is_empty(), "{}", new.load().report);
    assert_eq!(new.rows(), 3);
}

#[tokio::test]
async fn a_copy_from_another_place_stays_in_use_if_it_has_the_columns() {
    let stand_in = StandIn::start(csv(&rows(3)));
    let old = Case::new(&http_keys(&stand_in, ""));
    old.fetch().await.expect("a list");
    let new =
        Case { folder: old.folder, ..Case::new(&http_keys(&stand_in, "headers = { a = \"b\" }")) };
    assert_eq!((new.load().missing_copies.len(), new.rows()), (0, 3));
}

#[tokio::test]
async fn a_list_in_utf_16_is_read_like_a_file() {
    let text = "\u{feff}phone,name\r\n+12137771234,Ännchen\r\n";
    let mut answer = b"HTTP/1.1 200 X\r\nconnection: close\r\n\r\n".to_vec();
    answer.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    let case = Case::new(&http_keys(&StandIn::start(answer), ""));
    assert_eq!(case.fetch().await, Ok(Fetched::Replaced(1)));
    assert_eq!(case.rows(), 1);
}

#[tokio::test]
async fn private_addresses_need_permission() {
    let stand_in = StandIn::start(csv(&rows(2)));
    let url = format!("url = \"http://localhost.example:{}/\"", stand_in.port);
    let refused = Case::new(&format!("url = \"{}\"", stand_in.url()));
    assert!(codes_of(&refused.load().report).contains(&"private-address"));
    Case::new(&url).fetch().await.expect_err("the name leads nowhere");
    assert!(stand_in.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_query_in_sqlite_is_a_list() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("customers.db");
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE customers (phone TEXT, name TEXT, visits INTEGER);
             INSERT INTO customers VALUES ('+12137770001', 'Ann, \"A\"', 7), ('+12137770002', NULL, 0);",
        )
        .unwrap();
    let query = "SELECT phone, name, visits FROM customers ORDER BY phone";
    let mut case = Case::new(&format!("database = \"env:PLACE\"\nquery = \"{query}\""));
    case.secret = OneSecret(format!("sqlite:{}", database.display()));
    assert_eq!(case.fetch().await, Ok(Fetched::Replaced(2)));
    let text = "phone,name,visits\n+12137770001,\"Ann, \"\"A\"\"\",7\n+12137770002,,0\n";
    assert_eq!((case.copy().as_deref(), case.rows()), (Some(text), 2));
    let large = "UPDATE customers SET name = printf('%.*c', 1100000, 'x') WHERE visits = 0";
    connection.execute_batch(large).unwrap();
    assert!(case.problem().await.contains("a row has more than 1 MiB"));
    connection.execute_batch("DELETE FROM customers").unwrap();
    assert_eq!(case.fetch().await, Ok(Fetched::Replaced(0)), "the columns are still known");
    assert_eq!(case.rows(), 0);
    connection.execute_batch("DROP TABLE customers").unwrap();
    assert!(case.problem().await.contains("database error"));
    case.secret = OneSecret("mysql:nothing".to_owned());
    assert!(case.problem().await.contains("neither sqlite: nor postgres:"));
}

/// PostgreSQL has types that SQLite does not, and a row can be too large.
#[tokio::test]
async fn a_query_in_postgresql_is_a_list() {
    let Some(postgres) = Postgres::shared() else { return };
    let url = postgres.fresh();
    postgres.query(
        &url,
        "CREATE TABLE customers (phone text, name text, visits bigint, vip boolean, due numeric, answer uuid);
         INSERT INTO customers VALUES
            ('+12137770001', 'Ann, \"A\"', 7, true, 12.50, '6ba7b810-9dad-11d1-80b4-00c04fd430c8'),
            ('+12137770002', NULL, 0, false, NULL, NULL)",
    );
    let query = "SELECT phone, name, visits, vip, due, answer FROM customers ORDER BY phone -- all";
    let mut case = Case::new(&format!("database = \"env:PLACE\"\nquery = \"{query}\""));
    case.secret = OneSecret(url.clone());
    assert_eq!(case.fetch().await, Ok(Fetched::Replaced(2)));
    let text = "phone,name,visits,vip,due,answer\n\
                +12137770001,\"Ann, \"\"A\"\"\",7,true,12.5,6ba7b810-9dad-11d1-80b4-00c04fd430c8\n\
                +12137770002,,0,false,,\n";
    assert_eq!((case.copy().as_deref(), case.rows()), (Some(text), 2));
    assert_eq!(case.fetch().await, Ok(Fetched::Unchanged));

    postgres.query(&url, "UPDATE customers SET name = repeat('x', 1100000) WHERE visits = 0");
    assert!(case.problem().await.contains("a row has more than 1 MiB"));
    assert_eq!(case.rows(), 2, "the copy stays");
    postgres.query(&url, "DELETE FROM customers");
    assert_eq!(case.fetch().await, Ok(Fetched::Replaced(0)), "the columns are still known");
    // The connection cannot write.
    let write = "WITH new AS (INSERT INTO customers (phone) VALUES ('+12137770003') RETURNING phone) SELECT phone FROM new";
    let mut writing = Case::new(&format!("database = \"env:PLACE\"\nquery = \"{write}\""));
    writing.secret = OneSecret(url.clone());
    assert!(writing.problem().await.contains("database error"));
    assert_eq!(postgres.query(&url, "SELECT count(*) FROM customers"), "0");
    postgres.query(&url, "DROP TABLE customers");
    assert!(case.problem().await.contains("database error 42P01"));
}

#[test]
fn a_list_is_due_when_its_secret_may_have_changed() {
    let with_secret = Case::new("database = \"env:PLACE\"\nquery = \"SELECT phone FROM c\"");
    let without = Case::new("url = \"https://sheets.example.com/export\"");
    for (case, is_due) in [(with_secret, true), (without, false)] {
        let (lists, list) = (LiveLists::default(), case.list());
        lists.update(&[list]);
        let now = Instant::now();
        assert_eq!(lists.take_due(now).len(), 1, "a new list");
        assert_eq!(lists.take_due(now).len(), 0);
        lists.secrets_have_changed();
        assert_eq!(lists.take_due(Instant::now()).len(), usize::from(is_due));
    }
}

#[test]
fn a_snapshot_contains_the_copy_wherever_it_was() {
    let case = Case::new("url = \"https://sheets.example.com/export\"");
    let list = case.list();
    std::fs::create_dir_all(list.copy.parent().unwrap()).unwrap();
    std::fs::write(&list.copy, rows(4)).unwrap();
    let path = case.folder.path().join("rules.toml");
    std::fs::write(&path, &case.text).unwrap();
    let context = |lists_dir: &str| CheckContext {
        lists_dir: Some(case.folder.path().join(lists_dir)),
        ..CheckContext::default()
    };
    let loaded = reload::load(&path, &context("lists"), false, &mut |_| {}).unwrap();
    let snapshot = loaded.snapshot.expect("a snapshot");
    let again = rules::parse_snapshot(&snapshot, &context("elsewhere"));
    let table = again.table.unwrap_or_else(|| panic!("{}", again.report));
    assert_eq!(table.lists.all()[0].rows, 4);
}

#[test]
fn keys_that_do_not_fit_together_are_errors() {
    for keys in [
        "url = \"https://a.example/\"\nfile = \"a.csv\"",
        "url = \"https://a.example/\"\nnumbers = []",
        "url = \"https://a.example/\"\ndatabase = \"env:A\"\nquery = \"SELECT 1\"",
        "url = \"https://a.example/\"\nquery = \"SELECT 1\"",
        "url = \"https://a.example/?from=${from}\"",
        "url = \"https://a.example/\"\nrefresh_s = 9",
        "url = \"https://a.example/\"\nbad_rows = \"skip\"",
        "database = \"env:A\"",
        "database = \"env:A\"\nquery = \"SELECT a FROM b WHERE c = :from\"",
        "database = \"env:A\"\nquery = \"SELECT 1\"\nheaders = { a = \"b\" }",
        "database = \"env:A\"\nquery = \"SELECT 1\"\nallow_private = true",
        "database = \"env:A\"\nquery = \"SELECT 1\"\nallow_private = false",
        "numbers = []\nallow_private = true",
        "numbers = []\nstrict = false",
    ] {
        let codes: Vec<_> = codes_of(&Case::new(keys).load().report);
        assert!(codes.contains(&"list-form"), "{keys}: {codes:?}");
    }
}

/// Writes settings and rules of a service with a list of the stand-in.
fn service(stand_in: &StandIn, more: &str, tests: &str) -> (TempDir, String) {
    let table = format!("{}{tests}", table(&http_keys(stand_in, more)));
    program::folder(&format!("{SETTINGS}[rules]\npoll_ms = 20\nlists_dir = \"lists\"\n"), &table)
}

const TEST: &str = r#"
[[test]]
name   = "a vip"
from   = "+12137770000"
expect = { rule = "vip" }
"#;

fn agent(served: &Served) -> String {
    let path = "GET /explain?from=%2B12137770000";
    admin_request(&served.admin, path, "").1
}

fn until_agent(served: &Served, agent_name: &str) {
    let takes_calls = wait::until(|| agent(served).contains(agent_name));
    assert!(takes_calls, "{agent_name}: {}", served.log());
}

#[test]
fn a_service_fetches_before_it_serves_and_again_and_again() {
    let stand_in = StandIn::start(csv(&rows(3)));
    let (folder, settings) = service(&stand_in, "refresh_s = 10", TEST);
    let served = Served::new(start(&["--config", &settings]));
    assert!(agent(&served).contains("agent_vip"), "{}", served.log());
    let (_, ready) = admin_request(&served.admin, "GET /readyz", "");
    assert!(ready.contains("\"list\":\"vip\"") && ready.contains("\"warning\":null"), "{ready}");
    let has_age = || {
        let (_, metrics) = admin_request(&served.admin, "GET /metrics", "");
        metrics.contains("switchboard_list_age_seconds{list=\"vip\"} ")
    };
    assert!(wait::until(has_age));
    stand_in.answers(csv("phone,name\n+12137770000,Ann\n+12137779999,Joe\n"));
    let is_new = || {
        admin_request(&served.admin, "GET /explain?from=%2B12137779999", "").1.contains("agent_vip")
    };
    assert!(wait::until(is_new), "{}", served.log());

    // The source is down: the copy stays in use, also at the next start.
    served.terminate();
    stand_in.answers(response(500, "", ""));
    let served = Served::new(start(&["--config", &settings]));
    until_agent(&served, "agent_vip");
    let warns =
        || admin_request(&served.admin, "GET /readyz", "").1.contains("could not be fetched");
    assert!(wait::until(warns), "{}", served.log());
    served.wait_for_log("kept its last good copy");

    let checked = run(&["check", "--config", &settings]);
    let output = text(&checked.stdout);
    assert!(output.contains("list `vip` is a copy, "), "{output}");
    drop(folder);
}

#[test]
fn a_first_start_without_an_answer_has_an_empty_list_and_says_so() {
    let stand_in = StandIn::start(response(500, "", ""));
    let (_folder, settings) = service(&stand_in, "", TEST);
    let served = Served::new(start(&["--config", &settings]));
    until_agent(&served, "agent_1");
    let says_so = || served.log().contains("it has no copy: it is empty");
    assert!(wait::until(says_so), "{}", served.log());
    let (_, ready) = admin_request(&served.admin, "GET /readyz", "");
    assert!(ready.contains("\"ready\":true") && ready.contains("they are empty"), "{ready}");
    let metrics = || admin_request(&served.admin, "GET /metrics", "").1;
    let is_infinite = || metrics().contains("switchboard_list_age_seconds{list=\"vip\"} +Inf\n");
    assert!(wait::until(is_infinite), "{}", metrics());

    stand_in.answers(csv(&rows(2)));
    let (status, answer) = admin_request(&served.admin, "POST /reload?force=true", "");
    assert_eq!(status, 200, "{answer}");
    assert!(agent(&served).contains("agent_vip"), "a forced reload fetches");
}

#[test]
fn a_list_that_could_not_be_fetched_is_asked_for_again_soon() {
    let stand_in = StandIn::start(response(500, "", ""));
    let (_folder, settings) = service(&stand_in, "refresh_s = 86400", "");
    let served = Served::new(start(&["--config", &settings]));
    let (_, ready) = admin_request(&served.admin, "GET /readyz", "");
    assert!(ready.contains("lists were never fetched; they are empty"), "{ready}");
    stand_in.answers(csv(&rows(2)));
    until_agent(&served, "agent_vip");
}

#[test]
fn a_reload_waits_for_the_rows_of_a_new_list() {
    let stand_in = StandIn::start(csv(&rows(3)));
    let (folder, settings) = service(&stand_in, "", "");
    let served = Served::new(start(&["--config", &settings]));
    stand_in.answers(csv("phone,name,tier\n+12137770000,Ann,gold\n"));
    let keys = http_keys(&stand_in, "headers = { a = \"b\" }");
    let rules = table(&keys).replace("${vip.name|you}", "${vip.tier}");
    std::fs::write(folder.path().join("rules.toml"), rules).unwrap();
    let (status, answer) = admin_request(&served.admin, "POST /reload", "");
    assert_eq!(status, 200, "{answer}");
    let (_, explained) = admin_request(&served.admin, "GET /explain?from=%2B12137770000", "");
    assert!(explained.contains("gold"), "{explained} {}", served.log());
}

#[test]
fn a_forced_reload_takes_a_shrunk_answer() {
    let stand_in = StandIn::start(csv(&rows(10)));
    let (_folder, settings) = service(&stand_in, "min_rows = 5", "");
    let served = Served::new(start(&["--config", &settings]));
    stand_in.answers(csv("phone,name\n+12137779999,Joe\n"));
    assert_eq!(admin_request(&served.admin, "POST /reload", "").0, 200);
    assert!(agent(&served).contains("agent_vip"));
    assert_eq!(admin_request(&served.admin, "POST /reload?force=true", "").0, 200);
    assert!(agent(&served).contains("agent_1"), "{}", served.log());
}

#[test]
fn check_fetches_once_if_there_is_no_copy() {
    let stand_in = StandIn::start(csv(&rows(3)));
    let (folder, settings) = service(&stand_in, "", TEST);
    for arguments in [
        vec!["check", "--config", &settings],
        vec!["check", folder.path().join("rules.toml").to_str().unwrap()],
    ] {
        let checked = run(&arguments);
        let output = text(&checked.stdout);
        assert!(output.contains("has no copy, and was fetched once: 3 rows"), "{output}");
        assert!(
            output.contains("1 list with 3 numbers, 1 test passed; 0 errors, 0 warnings"),
            "{output}"
        );
    }
    let json = run(&["check", "--json", "--config", &settings]);
    assert!(text(&json.stdout).contains("\"fetched\": true"), "{}", text(&json.stdout));
    stand_in.answers(response(500, "", ""));
    let failed = run(&["check", "--config", &settings]);
    let output = text(&failed.stdout);
    assert!(output.contains("cannot be fetched: status 500"), "{output}");
    assert!(output.contains("no-list-copy"), "{output}");
    assert!(!folder.path().join("lists").exists(), "`check` keeps nothing");
}

#[test]
fn restoring_a_table_leaves_the_copies_alone() {
    let stand_in = StandIn::start(csv(&rows(3)));
    let sections =
        "[rules]\npoll_ms = 0\nlists_dir = \"lists\"\n[records]\nurl = \"sqlite:r.db\"\n";
    let table = table(&http_keys(&stand_in, ""));
    let (folder, settings) = program::folder(&format!("{SETTINGS}{sections}"), &table);
    let served = Served::new(start(&["--config", &settings]));
    let send = || {
        let sent = run(&["send", "--config", &settings, "--url", &served.url]);
        assert_eq!(sent.status.code(), Some(0), "{}", text(&sent.stderr));
    };
    send();
    stand_in.answers(csv(&rows(5)));
    assert_eq!(admin_request(&served.admin, "POST /reload?force=true", "").0, 200);
    send();
    served.terminate();
    let listed = text(&run(&["rules", "list", "--json", "--config", &settings]).stdout);
    let oldest = listed.lines().last().expect("a table").to_owned();
    let oldest: serde_json::Value = serde_json::from_str(&oldest).unwrap();
    let oldest = oldest["fingerprint"].as_str().unwrap();
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let restored = run(&["rules", "restore", oldest, "--yes", "--config", &settings]);
    let output = format!("{}{}", text(&restored.stdout), text(&restored.stderr));
    assert!(!output.contains("live.csv"), "{output}");
    let copy = std::fs::read_to_string(folder.path().join("lists/vip.live.csv")).unwrap();
    assert_eq!(copy, rows(5), "{output}");
}
