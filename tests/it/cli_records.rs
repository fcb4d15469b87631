//! `switchboard records` and the admin listener's `/records`: find, show, export and erase records.

mod copies;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{Connection, Executor};
use switchboard::domain::clock::Clock;
use switchboard::http::admin;
use switchboard::http::public;
use switchboard::pipeline::Switchboard;
use switchboard::settings::Purpose;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::support::app::{
    self, Answer, answer, collect, load_settings, parse_rules, retell_call, retell_request_at,
};
use crate::support::postgres::Postgres;
use crate::support::program::{program, text};
use crate::support::wait::{self, LineReader, Running};

const RULES: &str = r#"
[[rule]]
name = "blocked"
from = "+1900*"
reject = "blocklist"

[[rule]]
name = "german"
from = "+49*"
agent = "agent_de"
variables = { caller = "${from}" }

[[rule]]
name = "text messages"
channel = "sms"
keep = true

[[rule]]
name = "everyone"
agent = "agent_1"
"#;

const BERLIN: &str = "+4930901820";
const BOSTON: &str = "+16175550123";
const OURS: &str = "+12137771235";

/// A service that records, and its settings file for the program.
struct Service {
    folder: tempfile::TempDir,
    public: axum::Router,
    admin: Router,
    app: Arc<Switchboard>,
    last_request_ms: AtomicI64,
    stop: CancellationToken,
    writer: JoinHandle<()>,
}

/// Starts a service with these settings in `[records]`.
fn service(records: &str) -> Service {
    service_with(records, RULES)
}

/// Starts a service with this table.
fn service_with(records: &str, rules: &str) -> Service {
    let folder = tempfile::tempdir().unwrap();
    let settings = format!("{}\n[records]\n{records}\n", app::settings_with_longest_deadline());
    std::fs::write(folder.path().join("s.toml"), &settings).unwrap();
    std::fs::write(folder.path().join("rules.toml"), rules).unwrap();
    let absolute = settings.replace("sqlite:", &format!("sqlite:{}/", folder.path().display()));
    let (settings, report) = load_settings(&absolute, Purpose::Dev);
    let settings = settings.unwrap_or_else(|| panic!("{report}"));
    let path = folder.path().join("rules.toml").display().to_string();
    let (table, report) = parse_rules(&path, rules.to_owned(), &settings.check_context());
    let table = table.unwrap_or_else(|| panic!("{report}"));
    let (app, writer) =
        Switchboard::with_records(settings.sources, table, Clock::System, settings.records);
    let app = Arc::new(app);
    let stop = CancellationToken::new();
    let writer = writer.map(|writer| tokio::spawn(writer.run(stop.clone())));
    let writer = writer.unwrap_or_else(|| tokio::spawn(std::future::ready(())));
    Service {
        public: public::router(app.clone(), &settings.server),
        admin: admin::router(app.clone(), None, settings.admin.token, axum::Router::new()),
        folder,
        app,
        last_request_ms: AtomicI64::new(0),
        stop,
        writer,
    }
}

fn now_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the program uses the same clock")]
    Timestamp::now().as_millisecond()
}

fn sqlite() -> &'static str {
    "url = \"sqlite:r.db\"\nwait = \"commit\""
}

impl Service {
    /// Sends a request. Each has a distinct millisecond, so that the order of records is known.
    async fn send(&self, body: &str) -> Answer {
        while now_ms() <= self.last_request_ms.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
        let body = body.as_bytes();
        let request = retell_request_at("/inbound/retell", body, now_ms(), app::RETELL_KEY);
        let response = answer(&self.public, request).await;
        self.last_request_ms.store(now_ms(), Ordering::Relaxed);
        assert_eq!(response.status, StatusCode::OK);
        response
    }

    async fn send_call(&self, from: &str) {
        self.send(&retell_call(from, OURS)).await;
    }

    /// Sends a call with an id, and its events.
    async fn send_call_and_events(&self, from: &str, call_id: &str) {
        let call = json!({
            "event": "call_inbound",
            "call_inbound": { "from_number": from, "to_number": OURS, "call_id": call_id },
        });
        self.send(&call.to_string()).await;
        for (kind, rest) in [
            ("call_started", json!({ "call_status": "ongoing" })),
            (
                "call_ended",
                json!({
                    "duration_ms": 61_300,
                    "disconnection_reason": "user_hangup",
                    "transcript": format!("call me back at {from}, please"),
                }),
            ),
        ] {
            let mut event = json!({ "event": kind, "call": rest });
            event["call"]["call_id"] = call_id.into();
            event["call"]["from_number"] = from.into();
            event["call"]["to_number"] = OURS.into();
            self.send(&event.to_string()).await;
        }
    }

    /// Runs `switchboard records`.
    fn run(&self, arguments: &[&str]) -> Output {
        wait::output(&mut self.command(arguments))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command
            .arg("records")
            .args(arguments)
            .arg("--config")
            .arg(self.folder.path().join("s.toml"));
        command
    }

    /// Runs `switchboard records`, which must succeed. Returns its output.
    #[track_caller]
    fn stdout(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.status.code(), Some(0), "{arguments:?}: {}", text(&ran.stderr));
        text(&ran.stdout)
    }

    /// Returns the callers in the output of `list`, newest first.
    #[track_caller]
    fn callers(&self, arguments: &[&str]) -> Vec<String> {
        let lines = self.stdout(&[&["list", "--json"], arguments].concat());
        let calls = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        calls.map(|call| call["from"].as_str().unwrap().to_owned()).collect()
    }

    async fn admin(&self, path: &str) -> (StatusCode, Value) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = collect(self.admin.clone().oneshot(request).await.unwrap()).await;
        (response.status, response.json())
    }

    async fn stop(self) -> tempfile::TempDir {
        self.stop.cancel();
        self.writer.await.unwrap();
        self.folder
    }
}

/// Sends three calls: from Berlin, from a blocked number, and from Boston.
async fn send_three_calls(service: &Service) {
    service.send_call_and_events(BERLIN, "call_b").await;
    service.send_call("+19005550100").await;
    service.send_call_and_events(BOSTON, "call_c").await;
}

/// Returns services with three calls: with SQLite, and with PostgreSQL if it is installed.
async fn services_with_calls() -> Vec<Service> {
    let mut all = vec![service(sqlite())];
    if let Some(postgres) = Postgres::shared() {
        let records = format!("url = \"{}\"\nwait = \"commit\"", postgres.fresh());
        all.push(service(&records));
    }
    for service in &all {
        send_three_calls(service).await;
    }
    all
}

#[tokio::test]
async fn list_prints_matching_calls_newest_first() {
    let (berlin, blocked, boston) = (BERLIN, "+19005550100", BOSTON);
    let (before, after) = ("1h", "2999-12-31");
    for service in services_with_calls().await {
        for (arguments, expected) in [
            (vec![], vec![boston, blocked, berlin]),
            (vec!["--limit", "2"], vec![boston, blocked]),
            (vec!["--number", "+49 (30) 901820"], vec![berlin]),
            (vec!["--number", "sip:+4930901820@host"], vec![berlin]),
            (vec!["--number", OURS], vec![boston, blocked, berlin]),
            (vec!["--number", "+4930901821"], vec![]),
            (vec!["--rule", "german"], vec![berlin]),
            (vec!["--outcome", "reject"], vec![blocked]),
            (vec!["--source", "synthflow"], vec![]),
            (vec!["--call-id", "call_c"], vec![boston]),
            (vec!["--since", before, "--until", after], vec![boston, blocked, berlin]),
            (vec!["--since", after], vec![]),
            (vec!["--until", before], vec![]),
            (vec!["--outcome", "agent", "--rule", "everyone"], vec![boston]),
        ] {
            assert_eq!(service.callers(&arguments), expected, "{arguments:?}");
        }
    }
}

#[tokio::test]
async fn list_prints_a_table_or_csv() {
    let service = self::service(sqlite());
    send_three_calls(&service).await;
    let shown = service.stdout(&["list", "--zone", "Europe/Berlin"]);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("time (Europe/Berlin)"), "{shown}");
    let json = service.stdout(&["list", "--json", "--limit", "1"]);
    let newest: Value = serde_json::from_str(&json).unwrap();
    let at: Timestamp = newest["at"].as_str().unwrap().parse().unwrap();
    let there = at.in_tz("Europe/Berlin").unwrap().strftime("%Y-%m-%d %H:%M:%S").to_string();
    assert!(lines[1].starts_with(&there), "{there}: {shown}");
    assert!(lines[1].contains("everyone") && lines[1].contains("call_ended"), "{shown}");
    assert!(lines[2].contains("reject: blocklist"), "{shown}");
    let csv = service.stdout(&["list", "--csv"]);
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let heading = rows.headers().unwrap().clone();
    let variables = heading.iter().position(|name| name == "variables").unwrap();
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(&rows[2][variables], r#"{"caller":"+4930901820"}"#);
}

#[tokio::test]
async fn tables_are_as_wide_as_columns_says() {
    let service = self::service(sqlite());
    send_three_calls(&service).await;
    let longest = |columns: &str| {
        let ran = wait::output(service.command(&["list"]).env("COLUMNS", columns));
        text(&ran.stdout).lines().map(|line| line.chars().count()).max().unwrap()
    };
    let whole = longest("");
    assert!(whole > 100, "{whole}");
    assert!(longest("100") <= 100 && longest("60") <= 60, "{} {}", longest("100"), longest("60"));
    assert_eq!(longest("300"), whole);
    service.stop().await;
}

#[tokio::test]
async fn an_invalid_filter_exits_with_2_and_help() {
    let service = self::service(sqlite());
    send_three_calls(&service).await;
    for (arguments, expected) in [
        (vec!["list", "--since", "soon"], "--since: `soon` is not a time"),
        (
            vec!["list", "--outcome", "no"],
            "unknown outcome `no`: use agent, reject, transfer, keep",
        ),
        (vec!["list", "--number", "+49*"], "is a pattern, not one number"),
        (vec!["list", "--zone", "Berlin"], "use a name such as Europe/Berlin"),
        (vec!["forget", "--number", "anonymous"], "withheld callers cannot be told apart"),
        (vec!["forget", "--number", "(312) 555-0177"], "did you mean `+13125550177`?"),
        (vec!["list", "--number", "4930901820"], "did you mean `+4930901820`?"),
        (vec!["list", "--number", "030 901820"], "has no country code: write a number with `+`"),
        (vec!["list", "--number", "0049 30 901820"], "has no `+`: did you mean `+4930901820`?"),
        (
            vec!["list", "--number", "312-555-0177 x5"],
            "has no country code: write a number with `+`",
        ),
        // As strictly as a rule table: another number would be searched for.
        (vec!["forget", "--number", "+49 030 901820", "--dry-run"], "write `+4930901820`"),
        (vec!["forget", "--number", "+44 020 7946 0958", "--dry-run"], "write `+442079460958`"),
        (vec!["forget", "--number", "+13125550177-8"], "write `+13125550177`"),
        (vec!["forget", "--number", "+442079460958-60"], "write `+442079460958`"),
        (vec!["forget", "--number", "+13125550177.0"], "write `+13125550177`"),
        (vec!["forget", "--number", "+13125550177 x5"], "write `+13125550177`"),
        (vec!["list", "--number", "+1312555017"], "has 10 digits, but numbers in +1 have 11"),
        (vec!["forget", "--number", "+13125550177,+13125550178"], "is several numbers"),
        (vec!["forget", "--number", "+13125550177;+13125550178"], "is several numbers"),
        (vec!["forget", "--number", "+13125550177 +13125550178"], "is several numbers"),
        (vec!["forget", "--number", ""], "--number: it is empty"),
        (vec!["forget", "--number", BERLIN], "write --yes to delete"),
    ] {
        let ran = service.run(&arguments);
        assert_eq!(ran.status.code(), Some(2), "{arguments:?}");
        assert!(text(&ran.stderr).contains(expected), "{arguments:?}: {}", text(&ran.stderr));
    }
}

#[test]
fn without_a_store_each_command_exits_with_2_and_a_reason() {
    for (records, expected) in [
        ("url = \"off\"", "records are off"),
        ("url = \"memory:\"", "ask its admin listener for /records"),
        ("url = \"sqlite:none.db\"", "nothing has been recorded yet"),
        ("url = \"postgres://switchboard@127.0.0.1:1/none\"", "cannot query the database"),
        ("url = \"env:NO_SUCH_URL\"", "set the environment variable NO_SUCH_URL"),
        ("numbers = \"hashed\"\nhash_key = \"env:NO_SUCH_KEY\"", "NO_SUCH_KEY"),
    ] {
        let settings = format!("{}\n[records]\n{records}\n", app::SETTINGS);
        let (folder, path) = crate::support::program::folder(&settings, RULES);
        for command in [vec!["list"], vec!["stats"], vec!["forget", "--number", BERLIN]] {
            let ran =
                wait::output(program().arg("records").args(&command).args(["--config", &path]));
            assert_eq!(ran.status.code(), Some(2), "{records} {command:?}");
            assert!(text(&ran.stderr).contains(expected), "{records}: {}", text(&ran.stderr));
        }
        assert!(!folder.path().join("none.db").exists(), "reading creates no file");
    }
}

#[tokio::test]
async fn show_prints_the_decision_its_events_and_its_explanation() {
    let service = self::service(sqlite());
    send_three_calls(&service).await;
    let shown = service.stdout(&["show", "call_b"]);
    for expected in [
        "from           +4930901820",
        "outcome        agent agent_de",
        "caller = +4930901820",
        " s  call_ended: 61.3 s, user_hangup",
        "2  DECIDES  german",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    let json: Value = serde_json::from_str(&service.stdout(&["show", "call_b", "--json"])).unwrap();
    assert_eq!(json["events"][1]["body"]["event"], "call_ended");
    assert_eq!(json["explanation"]["rule"], "german");
    let id = json["call"]["id"].as_str().unwrap();
    for id_or_prefix in [id, &id[..30]] {
        assert!(service.stdout(&["show", id_or_prefix]).contains("+4930901820"), "{id_or_prefix}");
    }
    // The first 8 digits are equal for calls of the same minute, which may just have ended.
    if service.stdout(&["list", "--json"]).matches(&id[..8]).count() > 1 {
        let several = service.run(&["show", &id[..8]]);
        assert_eq!(several.status.code(), Some(1));
        assert!(text(&several.stderr).contains("is ambiguous"), "{}", text(&several.stderr));
    }
    for unknown in ["call_z", "00000000-0000-7000-8000-000000000000", &id[..7]] {
        let ran = service.run(&["show", unknown]);
        assert_eq!(ran.status.code(), Some(1), "{unknown}");
        assert!(text(&ran.stderr).contains("no recorded call has the id"), "{}", text(&ran.stderr));
    }
}

#[tokio::test]
async fn a_call_is_explained_with_its_own_table_unless_another_is_named() {
    let service = self::service(sqlite());
    send_three_calls(&service).await;
    let rules = service.folder.path().join("rules.toml");
    let original = service.folder.path().join("original.toml");
    std::fs::copy(&rules, &original).unwrap();
    std::fs::write(&rules, RULES.replace("+49*", "+43*")).unwrap();
    let changed = service.stdout(&["show", "call_b"]);
    assert!(changed.contains("the rules have changed since the call"), "{changed}");
    assert!(!changed.contains("DECIDES"), "{changed}");
    let named = service.stdout(&["show", "call_b", "--rules", original.to_str().unwrap()]);
    assert!(named.contains("DECIDES  german"), "{named}");
    std::fs::write(&rules, "[[rule]]\n").unwrap();
    let broken = service.stdout(&["show", "call_b"]);
    assert!(broken.contains("the rules cannot be loaded"), "{broken}");
}

#[tokio::test]
async fn a_call_with_masked_numbers_is_shown_without_an_explanation() {
    let service = self::service(&format!("{}\nnumbers = \"masked\"", sqlite()));
    send_three_calls(&service).await;
    let shown = service.stdout(&["show", "call_b"]);
    assert!(shown.contains("its numbers are stored masked"), "{shown}");
    assert!(shown.contains("+493***1820") && !shown.contains(BERLIN), "{shown}");
    assert_eq!(service.callers(&["--number", BERLIN]), ["+493***1820"]);
}

/// Also where there is no explanation.
#[tokio::test]
async fn show_says_how_the_look_ups_of_a_call_ended() {
    let rules = "[lookup.history]\ntimeout_ms = 8000\n[[rule]]\nname = \"everyone\"\nagent = \"agent_1\"\n\
                 variables = { calls = \"${history.calls_1h|unknown}\" }\n";
    for (numbers, ended) in [("full", "history found ("), ("masked", "history failed, ")] {
        let records = format!("{}\nnumbers = \"{numbers}\"", sqlite());
        let service = service_with(&records, rules);
        // Its reply waits for the store.
        service.send_call(BOSTON).await;
        service.send_call_and_events(BERLIN, "call_b").await;
        let shown = service.stdout(&["show", "call_b"]);
        assert!(shown.contains(&format!("\n  look-ups       {ended}")), "{numbers}: {shown}");
    }
}

#[tokio::test]
async fn export_prints_all_calls_and_events_oldest_first() {
    let service = self::service(sqlite());
    let unlinked =
        json!({ "event": "call_ended", "call": { "call_id": "unlinked", "to_number": OURS } });
    service.send(&unlinked.to_string()).await;
    send_three_calls(&service).await;
    let output = service.stdout(&["export"]);
    let lines: Vec<Value> =
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["record"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["event", "call", "call", "call"], "{output}");
    assert_eq!(lines[0]["body"]["call"]["call_id"], "unlinked");
    assert_eq!(lines[1]["from"], BERLIN);
    assert_eq!(lines[1]["events"][1]["body"]["call"]["duration_ms"], 61_300);
    let filtered = service.stdout(&["export", "--rule", "german"]);
    assert_eq!(filtered.lines().count(), 1, "{filtered}");
    let csv = service.stdout(&["export", "--csv"]);
    assert_eq!(csv.lines().count(), 4, "{csv}");
}

/// Appends to an export of an event: a body that is not JSON, and one that is not in the form that is exported.
async fn send_unusual_events(service: &Service) {
    for body in [
        r#"{ "event": "call_ended", "call": { "call_id": "unlinked", "cost": 0.30000000000000004 } }"#,
        r#"{"event":"call_analyzed","call":{"call_id":"call_b","a":1,"a":2,"x":"\ud800"}}"#,
    ] {
        service.send(body).await;
    }
    let headers = json!({
        "event": "call_inbound",
        "call_inbound": {
            "from_number": BERLIN, "to_number": OURS, "call_id": "call_sip",
            "custom_sip_headers": { "x-tier": "gold", "X-Tier": "lead" },
        },
    });
    service.send(&headers.to_string()).await;
}

/// Stores the rule table that decided the calls.
async fn store_rule_table(service: &Service) {
    let path = service.folder.path().join("rules.toml");
    let context = switchboard::rules::CheckContext::default();
    let loaded = switchboard::reload::load(&path, &context, false, &mut |_| {}).unwrap();
    let fingerprint = &service.app.live_table().shared_table().fingerprint;
    service.app.recorder().store_snapshot(fingerprint, loaded.snapshot.as_ref(), service.app.now());
    // The next commit includes it.
    service.send_call(BOSTON).await;
}

/// Writes settings for the program, with this record store.
fn settings_with_store(service: &Service, name: &str, records: &str) -> String {
    let settings = format!("{}\n[records]\n{records}\n", app::SETTINGS);
    let path = service.folder.path().join(name);
    std::fs::write(&path, settings).unwrap();
    path.display().to_string()
}

#[track_caller]
fn records(arguments: &[&str], config: &str) -> Output {
    wait::output(program().arg("records").args(arguments).args(["--config", config]))
}

#[tokio::test]
async fn an_export_is_imported_into_another_store_and_exported_again_with_equal_bytes() {
    for service in services_with_calls().await {
        store_rule_table(&service).await;
        send_unusual_events(&service).await;
        let exported = service.stdout(&["export"]);
        for kind in ["call", "event", "rules"] {
            assert!(exported.contains(&format!("{{\"record\":\"{kind}\"")), "{exported}");
        }
        let file = service.folder.path().join("export.jsonl");
        std::fs::write(&file, &exported).unwrap();
        let mut stores = vec!["url = \"sqlite:moved.db\"".to_owned()];
        stores.extend(Postgres::shared().map(|server| format!("url = \"{}\"", server.fresh())));
        for store in stores {
            let config = settings_with_store(&service, "moved.toml", &store);
            let imported = records(&["import", file.to_str().unwrap()], &config);
            assert_eq!(imported.status.code(), Some(0), "{}", text(&imported.stderr));
            let output = text(&imported.stdout);
            assert!(output.starts_with("imported 5 calls, 6 events, 1 rule table\n"), "{output}");
            let again = text(&records(&["export"], &config).stdout);
            assert!(again == exported, "{store}\n{exported}\n{again}");
            let repeated = records(&["import", file.to_str().unwrap()], &config);
            let output = text(&repeated.stdout);
            assert!(output.starts_with("imported 0 calls, 0 events, 0 rule tables\n"), "{output}");
            assert!(output.contains("skipped  12 that are stored already"), "{output}");
            let replay = wait::output(program().args(["replay", "--config", &config]));
            let replay = text(&replay.stdout);
            assert!(replay.contains("5 calls"), "{replay}");
        }
        service.stop().await;
    }
}

#[tokio::test]
async fn an_import_names_each_faulty_line_and_stores_the_others() {
    let service = self::service(sqlite());
    send_three_calls(&service).await;
    let exported = service.stdout(&["export"]);
    let lines: Vec<&str> = exported.lines().collect();
    let broken = lines[1].replace("\"outcome\":\"reject\"", "\"outcome\":\"refuse\"");
    let incomplete = lines[2].replace("\"dedup_key\"", "\"key\"");
    let cut = &lines[0][..lines[0].len() - 1];
    let file = service.folder.path().join("damaged.jsonl");
    std::fs::write(&file, [lines[0], &broken, "", &incomplete, cut].join("\n")).unwrap();
    let config = settings_with_store(&service, "moved.toml", "url = \"sqlite:moved.db\"");
    let imported = records(&["import", file.to_str().unwrap()], &config);
    assert_eq!(imported.status.code(), Some(1));
    let errors = text(&imported.stderr);
    for expected in [
        "line 2: unknown outcome `refuse`: use agent, reject, transfer, keep",
        "line 4: missing field `dedup_key`, column",
        "line 5: EOF while parsing an object",
    ] {
        assert!(errors.contains(expected), "{expected}: {errors}");
    }
    let output = text(&imported.stdout);
    assert!(output.starts_with("imported 1 call, 2 events"), "{output}");
    assert!(output.contains("failed   3 lines"), "{output}");

    // From standard input; the rest of the file.
    let mut import = program();
    import.args(["records", "import", "-", "--config", &config]);
    import.stdin(std::process::Stdio::piped());
    let mut running = Running::start(&mut import);
    std::io::Write::write_all(&mut running.take_stdin(), exported.as_bytes()).unwrap();
    assert_eq!(running.wait(), Some(0));
    assert_eq!(text(&records(&["export"], &config).stdout), exported);
}

#[tokio::test]
async fn an_import_stores_redacted_numbers_as_they_are_and_no_full_ones_where_the_settings_redact()
{
    let masked = self::service(&format!("{}\nnumbers = \"masked\"", sqlite()));
    let full = self::service(sqlite());
    for service in [&masked, &full] {
        send_three_calls(service).await;
        std::fs::write(service.folder.path().join("e.jsonl"), service.stdout(&["export"])).unwrap();
    }
    let file = |service: &Service| service.folder.path().join("e.jsonl").display().to_string();
    let config = settings_with_store(&full, "moved.toml", "url = \"sqlite:moved.db\"");
    assert_eq!(records(&["import", &file(&masked)], &config).status.code(), Some(0));
    assert!(text(&records(&["list"], &config).stdout).contains("+493***1820"));
    let strict = "url = \"sqlite:strict.db\"\nnumbers = \"masked\"";
    let config = settings_with_store(&full, "strict.toml", strict);
    let refused = records(&["import", &file(&full)], &config);
    assert_eq!(refused.status.code(), Some(1));
    let errors = text(&refused.stderr);
    assert!(errors.contains("line 1: its numbers are stored in full"), "{errors}");
    assert!(files_named(full.folder.path(), "strict.db", &BERLIN[1..]).is_empty());
}

#[tokio::test]
async fn an_import_that_cannot_run_exits_with_2_and_a_reason() {
    let service = self::service(sqlite());
    send_three_calls(&service).await;
    let csv = service.folder.path().join("e.csv");
    std::fs::write(&csv, service.stdout(&["export", "--csv"])).unwrap();
    let csv = csv.to_str().unwrap();
    for (records_settings, file, expected) in [
        ("url = \"sqlite:moved.db\"", csv, "export without --csv"),
        ("url = \"sqlite:moved.db\"", "no/such/file", "cannot read no/such/file"),
        ("url = \"memory:\"", csv, "ends with the process"),
        ("url = \"off\"", csv, "records are off"),
    ] {
        let config = settings_with_store(&service, "moved.toml", records_settings);
        let ran = records(&["import", file], &config);
        assert_eq!(ran.status.code(), Some(2), "{records_settings} {file}");
        assert!(text(&ran.stderr).contains(expected), "{expected}: {}", text(&ran.stderr));
    }
}

#[tokio::test]
async fn stats_count_by_rule_outcome_and_local_hour() {
    let service = self::service(sqlite());
    send_three_calls(&service).await;
    let output = service.stdout(&["stats", "--json", "--zone", "Asia/Kathmandu"]);
    let json: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(json["calls"], 3);
    let mut hours = [0; 24];
    for line in service.stdout(&["list", "--json"]).lines() {
        let call: Value = serde_json::from_str(line).unwrap();
        let at: Timestamp = call["at"].as_str().unwrap().parse().unwrap();
        hours[at.in_tz("Asia/Kathmandu").unwrap().hour() as usize] += 1;
    }
    assert_eq!(json["by_hour"], json!(hours), "{output}");
    assert_eq!(json["by_outcome"][0], json!({ "outcome": "agent", "calls": 2 }));
    let output = service.stdout(&["stats"]);
    assert!(output.starts_with("3 calls since ") && output.contains("german"), "{output}");
    assert!(output.contains("33.3 %  ███"), "{output}");
    let empty = service.stdout(&["stats", "--until", "1h"]);
    assert!(empty.starts_with("0 calls since "), "{empty}");
}

#[tokio::test]
async fn stats_count_by_each_thing_and_list_what_got_no_call() {
    let service = self::service(sqlite());
    send_three_calls(&service).await;
    // The table is read again from the settings.
    let more = "[[rule]]\nname = \"nobody\"\nfrom = \"FR\"\nsplit = [{ agent = \"agent_x\", percent = 50 }, \
                { agent = \"agent_y\", percent = 50 }]\n";
    let rules = format!("zone = \"Asia/Kathmandu\"\n{more}{}", RULES.trim_start());
    std::fs::write(service.folder.path().join("rules.toml"), rules).unwrap();
    let by = "rule,agent,to,source,outcome,hour,day";
    let output = service.stdout(&["stats", "--json", "--by", by]);
    let json: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(json["zone"], "Asia/Kathmandu", "the zone of the rules: {output}");
    let nobody = json!({ "rule": "nobody", "calls": 0, "arms": [
        { "arm": 1, "agent": "agent_x", "calls": 0 }, { "arm": 2, "agent": "agent_y", "calls": 0 }] });
    assert!(json["by_rule"].as_array().unwrap().contains(&nobody), "{output}");
    assert!(
        json["by_agent"].as_array().unwrap().contains(&json!({ "agent": "agent_x", "calls": 0 }))
    );
    assert_eq!(json["by_to"], json!([{ "to": OURS, "calls": 3 }]));
    assert_eq!(json["by_source"][0], json!({ "source": "retell", "calls": 3 }));
    let days = json["by_day"].as_array().unwrap();
    assert_eq!(days.iter().map(|day| day["calls"].as_u64().unwrap()).sum::<u64>(), 3);
    let text = service.stdout(&["stats", "--by", "rule"]);
    assert!(text.contains("nobody") && text.contains("  arm 2: agent_y"), "{text}");
    assert!(!text.contains("by outcome"), "{text}");
    let one = service.stdout(&["stats", "--agent", "agent_de", "--json"]);
    let one: Value = serde_json::from_str(&one).unwrap();
    assert_eq!(one["calls"], 1, "{one}");
    // Without --since, the calls of the 7 days before --until.
    let before = service.stdout(&["stats", "--until", "2026-01-08", "--zone", "UTC"]);
    let expected = "0 calls since 2026-01-01 00:00:00 until 2026-01-08 00:00:00 (UTC)";
    assert!(before.starts_with(expected), "{before}");
}

#[tokio::test]
async fn stats_count_the_agents_of_a_split_that_a_row_or_a_template_names() {
    let service = self::service(sqlite());
    send_three_calls(&service).await;
    // The table is read again, with splits in place of the agents.
    let rules = "[lists.clients]\nfile = \"clients.csv\"\n[splits.trial]\n\
                 arms = [{ agent = \"agent_de\", percent = 100 }]\n\
                 [[rule]]\nname = \"german\"\nto = \"@clients\"\nsplit = \"${clients.split}\"\n\
                 [[rule]]\nname = \"everyone\"\nto = \"@clients\"\nsplit = [\
                 { agent = \"${clients.agent}\", percent = 50 }, { agent = \"c\", percent = 50 }]\n";
    let clients = format!("number,split,agent\n{OURS},trial,agent_1\n");
    std::fs::write(service.folder.path().join("rules.toml"), rules).unwrap();
    std::fs::write(service.folder.path().join("clients.csv"), clients).unwrap();
    let output = service.stdout(&["stats", "--json", "--by", "rule"]);
    let json: Value = serde_json::from_str(&output).unwrap();
    let arms = |rule: &str| {
        let rows = json["by_rule"].as_array().unwrap();
        rows.iter().find(|row| row["rule"] == rule).map(|row| row["arms"].clone())
    };
    let of_row = json!([{ "arm": null, "agent": "agent_de", "calls": 1 }]);
    assert_eq!(arms("german"), Some(of_row), "{output}");
    let of_template = json!([{ "arm": 2, "agent": "c", "calls": 0 },
                             { "arm": null, "agent": "agent_1", "calls": 1 }]);
    assert_eq!(arms("everyone"), Some(of_template), "{output}");
    let text = service.stdout(&["stats", "--by", "rule"]);
    assert!(text.contains("  arm: agent_de") && text.contains("  arm 2: c"), "{text}");
}

#[tokio::test]
async fn show_lists_further_rules_on_request() {
    let service = self::service(sqlite());
    send_three_calls(&service).await;
    let plain = service.stdout(&["show", "call_b"]);
    assert!(!plain.contains("text messages"), "{plain}");
    let why_not = service.stdout(&["show", "call_b", "--why-not", "text messages"]);
    assert!(why_not.contains("text messages"), "{why_not}");
    let all = service.stdout(&["show", "call_b", "--all"]);
    assert!(all.contains("text messages") && all.contains("everyone"), "{all}");
    let unknown = service.stdout(&["show", "call_b", "--why-not", "text message"]);
    assert!(unknown.contains("did you mean `text messages`?"), "{unknown}");
}

#[tokio::test]
async fn a_mistyped_name_is_an_error_with_a_suggestion() {
    let service = self::service(sqlite());
    send_three_calls(&service).await;
    for (flag, typed, near) in [
        ("rule", "germann", "german"),
        ("agent", "agent_dee", "agent_de"),
        ("source", "retel", "retell"),
    ] {
        let expected = format!(
            "no {flag} `{typed}` in the settings, the rules or the recorded calls; did you mean `{near}`?"
        );
        for command in ["list", "stats", "export", "follow"] {
            let ran = service.run(&[command, &format!("--{flag}"), typed]);
            assert_eq!(ran.status.code(), Some(2), "{command} --{flag}");
            let stderr = text(&ran.stderr);
            assert!(stderr.contains(&format!("--{flag}: {expected}")), "{command}: {stderr}");
        }
        let (status, body) = service.admin(&format!("/records?{flag}={typed}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(body["detail"], json!(format!("{flag}: {expected}")));
    }
    // A rule that has decided no call yet, and one that no longer exists.
    assert_eq!(service.callers(&["--rule", "german"]), [BERLIN]);
    let rules = service.folder.path().join("rules.toml");
    std::fs::write(&rules, "[[rule]]\nname = \"new\"\nagent = \"agent_new\"\n").unwrap();
    assert_eq!(service.callers(&["--rule", "new"]), Vec::<String>::new());
    assert_eq!(service.callers(&["--rule", "german"]), [BERLIN]);
    let reversed = service.run(&["list", "--since", "today", "--until", "yesterday"]);
    let expected = "--until: `yesterday` is not after the start of the time, `today`";
    assert!(text(&reversed.stderr).contains(expected), "{}", text(&reversed.stderr));
}

/// A running `records follow`.
struct Follow {
    running: Running,
    stdout: LineReader,
}

impl Follow {
    fn start(service: &Service, arguments: &[&str]) -> Follow {
        let mut command = service.command(&[&["follow"], arguments].concat());
        let mut running = Running::start(&mut command);
        let stdout = running.take_stdout();
        Follow { running, stdout }
    }

    #[track_caller]
    fn line(&mut self) -> String {
        self.stdout.read_line()
    }

    /// Closes the pipe that `follow` writes to. Returns its exit code.
    #[track_caller]
    fn exit_code_after_closed_pipe(self) -> Option<i32> {
        let Follow { mut running, stdout } = self;
        drop(stdout);
        running.wait()
    }
}

#[tokio::test]
async fn csv_cells_are_not_formulas() {
    let service = self::service(sqlite());
    for from in ["=HYPERLINK(A1)", "-1+1", "+cmd|' /C calc'!A0", BERLIN] {
        service.send_call(from).await;
    }
    for arguments in [&["list", "--csv"][..], &["export", "--csv"]] {
        let csv = service.stdout(arguments);
        let mut rows = csv::Reader::from_reader(csv.as_bytes());
        let from = rows.headers().unwrap().iter().position(|name| name == "from").unwrap();
        let mut cells: Vec<_> = rows.records().map(|row| row.unwrap()[from].to_owned()).collect();
        cells.sort();
        let formulas = ["'+cmd|' /C calc'!A0", "'-1+1", "'=HYPERLINK(A1)"];
        assert_eq!(cells, [&formulas[..], &[BERLIN]].concat());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn follow_prints_committed_records_until_its_output_closes_or_ctrl_c() {
    let service = self::service(sqlite());
    service.send_call_and_events(BOSTON, "call_c").await;
    // With --since, the first line shows that `follow` has started.
    let mut follow = Follow::start(&service, &["--since", "1h"]);
    assert!(follow.line().contains(BOSTON));
    assert!(follow.line().contains("call_started") && follow.line().contains("call_ended"));
    service.send_call_and_events(BERLIN, "call_b").await;
    let call = follow.line();
    assert!(call.contains(BERLIN) && call.contains("agent agent_de by rule german"), "{call}");
    let started = follow.line();
    assert!(started.contains("call_started"), "{started}");
    assert!(follow.line().contains("call_ended  61.3 s, user_hangup"));
    assert_eq!(follow.exit_code_after_closed_pipe(), Some(0));

    let mut json = Follow::start(&service, &["--json", "--since", "1h", "--rule", "german"]);
    let kinds: Vec<Value> = (0..3).map(|_| serde_json::from_str(&json.line()).unwrap()).collect();
    assert_eq!(kinds[0]["rule"], "german", "{kinds:?}");
    assert_eq!((&kinds[1]["record"], &kinds[2]["kind"]), (&json!("event"), &json!("call_ended")));
    json.running.signal("-INT");
    assert_eq!(json.running.wait(), Some(0), "Ctrl-C");
}

#[tokio::test(flavor = "multi_thread")]
async fn follow_prints_an_old_record_once() {
    let service = self::service(sqlite());
    service.send_call(BOSTON).await;
    // The id of a call that was received some months ago.
    let url = format!("sqlite:{}", service.folder.path().join("r.db").display());
    let mut database = sqlx::AnyConnection::connect(&url).await.unwrap();
    database.execute("UPDATE calls SET id = '0190' || substr(id, 5)").await.unwrap();
    database.close().await.unwrap();
    let mut follow = Follow::start(&service, &["--since", "2020-01-01"]);
    assert!(follow.line().contains(BOSTON));
    // Each new line shows that `follow` has queried the store again.
    for digit in 0..5 {
        let caller = format!("+493090182{digit}");
        service.send_call(&caller).await;
        let line = follow.line();
        assert!(line.contains(&caller), "{line}");
    }
    assert_eq!(follow.exit_code_after_closed_pipe(), Some(0));
}

/// Returns the files of the database that contain a text. Another process reads them: when this process
/// closed a file, it would release the locks that SQLite holds on it.
fn files_with(folder: &Path, wanted: &str) -> Vec<String> {
    files_named(folder, "r.db", wanted)
}

/// Returns the files of the database with this name that contain a text.
fn files_named(folder: &Path, name: &str, wanted: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.display().to_string().contains(name));
    let grep = wait::output(Command::new("grep").args(["-laF", wanted]).args(files));
    text(&grep.stdout).lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn an_erased_number_is_in_no_row_and_in_no_file_while_the_service_runs() {
    let digits = &BERLIN[1..];
    for service in services_with_calls().await {
        // An event of another call and an event without a call contain the number.
        let mention = json!({ "event": "call_analyzed", "call": {
            "call_id": "call_c", "call_analysis": { "call_summary": "asks for +49 30 901820" },
        }});
        service.send(&mention.to_string()).await;
        let unlinked =
            json!({ "event": "transfer_started", "call": { "call_id": "x", "n": 4930901820_u64 }});
        service.send(&unlinked.to_string()).await;
        let dry = service.stdout(&["forget", "--number", BERLIN, "--dry-run"]);
        assert!(dry.contains("found    1 call, 4 events"), "{dry}");
        assert!(dry.contains(&format!("number   {BERLIN}\n")), "a digit can be mistyped: {dry}");
        let is_sqlite = service.folder.path().join("r.db").exists();
        if is_sqlite {
            assert!(
                !files_with(service.folder.path(), digits).is_empty(),
                "no file contains the number"
            );
        }
        assert_eq!(service.callers(&["--number", BERLIN]), [BERLIN], "a dry run deletes nothing");

        let output = service.stdout(&["forget", "--number", "+49 30 901820", "--yes"]);
        assert!(output.contains("deleted  1 call, 4 events"), "{output}");
        assert!(output.contains("0 of ") && output.contains("within 60 s"), "{output}");
        assert!(!output.contains(digits), "the output contains the number: {output}");
        assert_eq!(service.callers(&[]), [BOSTON, "+19005550100"], "other calls remain");
        assert!(!service.stdout(&["export"]).contains("901820"));
        assert_eq!(files_with(service.folder.path(), digits), Vec::<String>::new());
        let again = service.stdout(&["forget", "--number", BERLIN, "-y"]);
        assert!(again.contains("deleted  0 calls, 0 events"), "{again}");

        service.send_call_and_events(BERLIN, "call_later").await;
        assert_eq!(service.callers(&["--number", BERLIN]), [BERLIN], "recording continues");
        service.stop().await;
    }
}

const RULES_WITH_A_NUMBER: &str = r#"
# the boss: +49 30 901820
[lists.blocked]
file = "blocked.csv"
[lists.friends]
numbers = ["+4930901820", "+12135550100"]
[[rule]]
name = "boss"
from = ["+4930901820", "@friends"]
agent = "agent_boss"
metadata = { phone = 4930901820 }
[[rule]]
name = "blocked callers"
from = "@blocked"
reject = "blocklist"
[[rule]]
name = "everyone"
agent = "agent_all"
[[test]]
name = "the boss"
from = "+4930901820"
to = "+12137771235"
expect = { agent = "agent_boss" }
"#;

#[tokio::test]
async fn a_stored_rule_table_explains_other_calls_after_an_erasure() {
    let service = self::service(sqlite());
    let folder = service.folder.path();
    std::fs::write(folder.join("rules.toml"), RULES_WITH_A_NUMBER).unwrap();
    let list =
        "number,note\n+19005550100,spam\n+49 30 901820,\"on two\nlines\"\n+19005550199,spam\n";
    std::fs::write(folder.join("blocked.csv"), list).unwrap();
    let settings = folder.join("s.toml").display().to_string();
    let context = switchboard::rules::CheckContext::default();
    let loaded =
        switchboard::reload::load(&folder.join("rules.toml"), &context, false, &mut |_| {});
    let loaded = loaded.unwrap();
    let fingerprint = loaded.table.as_ref().unwrap().fingerprint.clone();
    service.app.recorder().store_snapshot(
        &fingerprint,
        loaded.snapshot.as_ref(),
        service.app.now(),
    );
    // The direct dial of another caller begins with the same digits.
    service.send_call("+493090182017").await;
    for (caller, call_id) in [("+19005550199", "call_spam"), (BERLIN, "call_boss")] {
        service.send_call_and_events(caller, call_id).await;
    }
    // As if this table had decided the calls.
    let url = format!("sqlite:{}", folder.join("r.db").display());
    let mut database = sqlx::AnyConnection::connect(&url).await.unwrap();
    let decided = format!(
        "UPDATE calls SET fingerprint = '{fingerprint}', rule = 'blocked callers', \
         outcome = 'reject', agent = NULL, details = '{{\"numbers\":\"full\",\"reason\":\"blocklist\"}}'"
    );
    database.execute(sqlx::AssertSqlSafe(decided)).await.unwrap();
    database.close().await.unwrap();

    let before: Value =
        serde_json::from_str(&service.stdout(&["show", "call_spam", "--json"])).unwrap();
    let dry = service.stdout(&["forget", "--number", BERLIN, "--dry-run"]);
    assert!(dry.contains("found    1 call, 2 events, 1 stored rule table"), "{dry}");
    let output = service.stdout(&["forget", "--number", BERLIN, "--yes"]);
    assert!(output.contains("deleted  1 call, 2 events\n"), "{output}");
    assert!(output.contains("edited   1 stored rule table"), "{output}");
    assert!(output.contains("verified 0 of "), "{output}");
    assert_eq!(service.callers(&["--number", "+493090182017"]), ["+493090182017"]);

    let after: Value =
        serde_json::from_str(&service.stdout(&["show", "call_spam", "--json"])).unwrap();
    assert_eq!(before["explanation"]["notes"], json!([]), "{before:#}");
    let notes = after["explanation"]["notes"].as_array().unwrap();
    assert!(notes[0].as_str().unwrap().contains("edited by an erasure"), "{notes:?}");
    assert_eq!(before["explanation"]["rules"][1], after["explanation"]["rules"][1], "{after:#}");
    for key in ["outcome", "rule", "fingerprint"] {
        assert_eq!(before["explanation"][key], after["explanation"][key], "{key}: {after:#}");
    }
    assert_eq!(after["explanation"]["fingerprint"], json!(fingerprint));
    let (_, one) = service.admin("/records/call_spam").await;
    assert_eq!(one["explanation"], after["explanation"]);
    // The table keeps its edit in an export, and when the same table becomes live again.
    service.app.recorder().store_snapshot(
        &fingerprint,
        loaded.snapshot.as_ref(),
        service.app.now(),
    );
    service.send_call(BOSTON).await;
    let exported = service.stdout(&["export"]);
    assert!(exported.contains("\"edited\":true"), "{exported}");
    assert!(!exported.replace("493090182017", "").contains("901820"), "{exported}");
    let replayed = wait::output(program().args(["replay", "--json", "--config", &settings]));
    let replayed: Value = serde_json::from_slice(&replayed.stdout).unwrap();
    assert_eq!(replayed["replayed"], 3, "{replayed:#}");
}

#[tokio::test]
async fn forget_exits_with_1_while_a_reader_holds_the_log() {
    let service = self::service(sqlite());
    send_three_calls(&service).await;
    let path = service.folder.path().join("r.db");
    let url = format!("sqlite:{}", path.display());
    let mut reader = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT * FROM calls").execute(&mut reader).await.unwrap();
    let ran = service.run(&["forget", "--number", BERLIN, "--yes"]);
    assert_eq!(ran.status.code(), Some(1), "{}", text(&ran.stdout));
    assert!(text(&ran.stdout).contains("run the command again"), "{}", text(&ran.stdout));
    drop(reader);
    service.stdout(&["forget", "--number", BERLIN, "-y"]);
    assert_eq!(files_with(service.folder.path(), &BERLIN[1..]), Vec::<String>::new());
}

#[tokio::test]
async fn forget_erases_masked_and_hashed_numbers_and_warns_about_the_mask() {
    let hashed = "numbers = \"hashed\"\nhash_key = \"env:RETELL_API_KEY\"";
    for (numbers, warns) in [("numbers = \"masked\"", true), (hashed, false)] {
        let service = self::service(&format!("{}\n{numbers}", sqlite()));
        send_three_calls(&service).await;
        let mut forget = service.command(&["forget", "--number", BERLIN, "--yes"]);
        forget.env("RETELL_API_KEY", app::RETELL_KEY);
        let ran = wait::output(&mut forget);
        let output = text(&ran.stdout);
        assert_eq!(ran.status.code(), Some(0), "{output}{}", text(&ran.stderr));
        assert!(output.contains("deleted  1 call, 2 events"), "{numbers}: {output}");
        assert_eq!(output.contains("all callers with this mask"), warns, "{output}");
        assert_eq!(files_with(service.folder.path(), "+493***1820"), Vec::<String>::new());
        let (_, left) = service.admin("/records").await;
        assert_eq!(left["records"].as_array().unwrap().len(), 2, "{numbers}");
    }
}

#[tokio::test]
async fn the_admin_listener_returns_records_in_pages() {
    for records in [sqlite(), "url = \"memory:\"\nwait = \"commit\""] {
        let service = self::service(records);
        send_three_calls(&service).await;
        let (status, first) = service.admin("/records?limit=2").await;
        assert_eq!(status, StatusCode::OK);
        let callers = |page: &Value| -> Vec<String> {
            let calls = page["records"].as_array().unwrap().iter();
            calls.map(|call| call["from"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(callers(&first), [BOSTON, "+19005550100"]);
        assert_eq!(first["records"][0]["last_event"], "call_ended");
        let next = first["next"].as_str().unwrap();
        let (_, second) = service.admin(&format!("/records?limit=2&before={next}")).await;
        assert_eq!((callers(&second), &second["next"]), (vec![BERLIN.to_owned()], &Value::Null));
        // With `+` encoded, not encoded, and missing.
        for number in ["+4930901820", "%2B4930901820"] {
            let (_, found) = service.admin(&format!("/records?number={number}")).await;
            assert_eq!(callers(&found), [BERLIN], "{number}");
        }
        let (_, found) = service.admin("/records?since=1h&rule=everyone&outcome=agent").await;
        assert_eq!(callers(&found), [BOSTON]);

        let id = first["records"][0]["id"].as_str().unwrap();
        for id_or_prefix in [id, "call_c"] {
            let (status, one) = service.admin(&format!("/records/{id_or_prefix}")).await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(
                (&one["call"]["id"], &one["events"][1]["kind"]),
                (&json!(id), &json!("call_ended"))
            );
            assert_eq!(one["explanation"]["rule"], "everyone", "{one}");
            assert_eq!(one["events"][1].get("body"), None, "bodies only on request");
            let path = format!("/records/{id_or_prefix}?bodies=true");
            let (_, with_bodies) = service.admin(&path).await;
            assert_eq!(with_bodies["events"][1]["body"]["event"], "call_ended", "{with_bodies}");
        }
        service.stop().await;
    }
}

#[tokio::test]
async fn the_admin_listener_explains_rejected_requests() {
    let service = self::service(sqlite());
    send_three_calls(&service).await;
    for (path, status, expected) in [
        ("/records?form=1", StatusCode::BAD_REQUEST, "known are since, until, number"),
        ("/records?since=soon", StatusCode::BAD_REQUEST, "since: `soon` is not a time"),
        ("/records?limit=0", StatusCode::BAD_REQUEST, "from 1 to 1000"),
        ("/records?before=1", StatusCode::BAD_REQUEST, "before: "),
        ("/records/call_z", StatusCode::NOT_FOUND, "no call is recorded"),
        ("/records/call_b?bodies=maybe", StatusCode::BAD_REQUEST, "bodies"),
        ("/records/call_b?body=true", StatusCode::BAD_REQUEST, "known are bodies"),
    ] {
        let (actual, body) = service.admin(path).await;
        assert_eq!(actual, status, "{path}: {body}");
        assert!(body["detail"].as_str().unwrap().contains(expected), "{path}: {body}");
    }
    let admin = service.admin.clone();
    let app = service.app.clone();
    service.stop().await;
    let with_token = admin::router(
        app,
        None,
        Some(switchboard::domain::secret::Secret::new("a token")),
        axum::Router::new(),
    );
    for path in ["/records", "/records/call_b"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = with_token.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = admin.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "store closed: {path}");
    }
}

#[tokio::test]
async fn the_admin_listener_reports_that_records_are_off_or_unavailable() {
    let off = service("url = \"off\"");
    let (status, body) = off.admin("/records").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body["detail"].as_str().unwrap().contains("records are off"), "{body}");
    // A folder cannot be opened as a database.
    let closed = service("url = \"sqlite:r.db\"");
    std::fs::create_dir(closed.folder.path().join("r.db")).unwrap();
    let (status, body) = closed.admin("/records").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
}

#[test]
fn the_default_of_since_counts_back_from_until() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("r.db").display());
    let run = |arguments: &[&str]| {
        let mut command = program();
        let ran = wait::output(command.env("SWITCHBOARD__RECORDS__URL", &url).args(arguments));
        text(&ran.stdout) + &text(&ran.stderr)
    };
    // Creates the database.
    std::fs::write(folder.path().join("none.jsonl"), "").unwrap();
    run(&["records", "import", folder.path().join("none.jsonl").to_str().unwrap()]);
    let counted = run(&["records", "stats", "--until", "2026-01-08"]);
    assert!(counted.contains("0 calls since 2026-01-01 00:00:00 until 2026-01-08"), "{counted}");
    let replayed = run(&["replay", "--until", "8d"]);
    assert!(replayed.contains("no matching calls are recorded"), "{replayed}");
    let given = run(&["replay", "--since", "2026-01-09", "--until", "2026-01-08"]);
    assert!(given.contains("--until: ") && given.contains("is not after"), "{given}");
}

#[test]
fn an_error_of_the_database_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.db");
    std::fs::write(&path, "no database ".repeat(100)).unwrap();
    let mut command = program();
    command.env("SWITCHBOARD__RECORDS__URL", format!("sqlite:{}", path.display()));
    let ran = wait::output(command.args(["records", "list"]));
    assert_eq!(ran.status.code(), Some(2));
    let stderr = text(&ran.stderr);
    assert_eq!(stderr.matches("file is not a database").count(), 1, "{stderr}");
}
