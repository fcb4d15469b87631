//! `switchboard records` and the admin listener's `/records`: what is found, shown and forgotten.

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
    self, Answer, answer, load_settings, parse_rules, retell_call, retell_request_at, whole,
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

/// A service that records, and its settings for the program.
struct Recorded {
    folder: tempfile::TempDir,
    public: axum::Router,
    admin: Router,
    app: Arc<Switchboard>,
    asked: AtomicI64,
    stop: CancellationToken,
    writing: JoinHandle<()>,
}

/// With `[records]` as it is said here.
fn recorded(records: &str) -> Recorded {
    let folder = tempfile::tempdir().unwrap();
    let settings = format!("{}\n[records]\n{records}\n", app::SETTINGS);
    std::fs::write(folder.path().join("s.toml"), &settings).unwrap();
    std::fs::write(folder.path().join("rules.toml"), RULES).unwrap();
    let absolute = settings.replace("sqlite:", &format!("sqlite:{}/", folder.path().display()));
    let (settings, report) = load_settings(&absolute, Purpose::Dev);
    let settings = settings.unwrap_or_else(|| panic!("{report}"));
    let path = folder.path().join("rules.toml").display().to_string();
    let (table, report) = parse_rules(&path, RULES.to_owned(), &settings.check_context());
    let table = table.unwrap_or_else(|| panic!("{report}"));
    let (app, writer) =
        Switchboard::with_records(settings.sources, table, Clock::System, settings.records);
    let app = Arc::new(app);
    let stop = CancellationToken::new();
    let writing = writer.map(|writer| tokio::spawn(writer.run(stop.clone())));
    let writing = writing.unwrap_or_else(|| tokio::spawn(std::future::ready(())));
    Recorded {
        public: public::router(app.clone(), &settings.server),
        admin: admin::router(app.clone(), None, settings.admin.token),
        folder,
        app,
        asked: AtomicI64::new(0),
        stop,
        writing,
    }
}

fn now_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the program asks the same clock")]
    Timestamp::now().as_millisecond()
}

fn sqlite() -> &'static str {
    "url = \"sqlite:r.db\"\nwait = \"commit\""
}

impl Recorded {
    /// Each in a millisecond of its own, so that their order is known.
    async fn ask(&self, body: &str) -> Answer {
        while now_ms() <= self.asked.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
        let body = body.as_bytes();
        let request = retell_request_at("/inbound/retell", body, now_ms(), app::RETELL_KEY);
        let answered = answer(&self.public, request).await;
        self.asked.store(now_ms(), Ordering::Relaxed);
        assert_eq!(answered.status, StatusCode::OK);
        answered
    }

    async fn call(&self, from: &str) {
        self.ask(&retell_call(from, OURS)).await;
    }

    /// A call with an id, and what became of it.
    async fn whole_call(&self, from: &str, call_id: &str) {
        let call = json!({
            "event": "call_inbound",
            "call_inbound": { "from_number": from, "to_number": OURS, "call_id": call_id },
        });
        self.ask(&call.to_string()).await;
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
            self.ask(&event.to_string()).await;
        }
    }

    /// The program, asked about these records.
    fn records(&self, arguments: &[&str]) -> Output {
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

    #[track_caller]
    fn say(&self, arguments: &[&str]) -> String {
        let ran = self.records(arguments);
        assert_eq!(ran.status.code(), Some(0), "{arguments:?}: {}", text(&ran.stderr));
        text(&ran.stdout)
    }

    /// What `list` finds: who rang, newest first.
    #[track_caller]
    fn callers(&self, arguments: &[&str]) -> Vec<String> {
        let said = self.say(&[&["list", "--json"], arguments].concat());
        let calls = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        calls.map(|call| call["from"].as_str().unwrap().to_owned()).collect()
    }

    async fn admin(&self, path: &str) -> (StatusCode, Value) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answered = whole(self.admin.clone().oneshot(request).await.unwrap()).await;
        (answered.status, answered.json())
    }

    async fn stop(self) -> tempfile::TempDir {
        self.stop.cancel();
        self.writing.await.unwrap();
        self.folder
    }
}

/// Three calls, oldest first: Berlin, a blocked one, Boston.
async fn three_calls(recorded: &Recorded) {
    recorded.whole_call(BERLIN, "call_b").await;
    recorded.call("+19005550100").await;
    recorded.whole_call(BOSTON, "call_c").await;
}

/// The three calls, in SQLite and where there is one in PostgreSQL.
async fn everywhere() -> Vec<Recorded> {
    let mut all = vec![recorded(sqlite())];
    if let Some(postgres) = Postgres::shared() {
        let records = format!("url = \"{}\"\nwait = \"commit\"", postgres.fresh());
        all.push(recorded(&records));
    }
    for recorded in &all {
        three_calls(recorded).await;
    }
    all
}

#[tokio::test]
async fn list_finds_calls_by_what_is_asked_for_newest_first() {
    let (berlin, blocked, boston) = (BERLIN, "+19005550100", BOSTON);
    let (before, after) = ("1h", "2999-12-31");
    for recorded in everywhere().await {
        for (asked, expected) in [
            (vec![], vec![boston, blocked, berlin]),
            (vec!["--limit", "2"], vec![boston, blocked]),
            (vec!["--number", "+49 (30) 901820"], vec![berlin]),
            (vec!["--number", "sip:4930901820@host"], vec![berlin]),
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
            assert_eq!(recorded.callers(&asked), expected, "{asked:?}");
        }
    }
}

#[tokio::test]
async fn list_is_a_table_for_people_and_csv_for_spreadsheets() {
    let recorded = recorded(sqlite());
    three_calls(&recorded).await;
    let shown = recorded.say(&["list", "--zone", "Europe/Berlin"]);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("time (Europe/Berlin)"), "{shown}");
    let json = recorded.say(&["list", "--json", "--limit", "1"]);
    let newest: Value = serde_json::from_str(&json).unwrap();
    let at: Timestamp = newest["at"].as_str().unwrap().parse().unwrap();
    let there = at.in_tz("Europe/Berlin").unwrap().strftime("%Y-%m-%d %H:%M:%S").to_string();
    assert!(lines[1].starts_with(&there), "{there}: {shown}");
    assert!(lines[1].contains("everyone") && lines[1].contains("call_ended"), "{shown}");
    assert!(lines[2].contains("reject: blocklist"), "{shown}");
    let csv = recorded.say(&["list", "--csv"]);
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let heading = rows.headers().unwrap().clone();
    let variables = heading.iter().position(|name| name == "variables").unwrap();
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(&rows[2][variables], r#"{"caller":"+4930901820"}"#);
}

#[tokio::test]
async fn what_cannot_be_asked_says_what_would_be_right() {
    let recorded = recorded(sqlite());
    three_calls(&recorded).await;
    for (asked, expected) in [
        (vec!["list", "--since", "soon"], "--since: `soon` is not a time"),
        (vec!["list", "--outcome", "no"], "unknown outcome `no`: use agent, reject, keep"),
        (vec!["list", "--number", "+49*"], "is not one number"),
        (vec!["list", "--zone", "Berlin"], "use a name such as Europe/Berlin"),
        (vec!["forget", "--number", "anonymous"], "withheld callers cannot be told apart"),
    ] {
        let ran = recorded.records(&asked);
        assert_eq!(ran.status.code(), Some(2), "{asked:?}");
        assert!(text(&ran.stderr).contains(expected), "{asked:?}: {}", text(&ran.stderr));
    }
}

#[test]
fn without_a_store_it_says_why_and_exits_2() {
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
        assert!(!folder.path().join("none.db").exists(), "asking makes no file");
    }
}

#[tokio::test]
async fn show_tells_the_decision_what_became_of_it_and_why() {
    let recorded = recorded(sqlite());
    three_calls(&recorded).await;
    let shown = recorded.say(&["show", "call_b"]);
    for expected in [
        "from           +4930901820",
        "outcome        agent agent_de",
        "caller = +4930901820",
        " s  call_ended: 61.3 s, user_hangup",
        "2  DECIDES  german",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    let json: Value = serde_json::from_str(&recorded.say(&["show", "call_b", "--json"])).unwrap();
    assert_eq!(json["events"][1]["body"]["event"], "call_ended");
    assert_eq!(json["explanation"]["rule"], "german");
    let id = json["call"]["id"].as_str().unwrap();
    for known in [id, &id[..30]] {
        assert!(recorded.say(&["show", known]).contains("+4930901820"), "{known}");
    }
    // The first 8 digits are those of a minute, which may just have ended.
    if recorded.say(&["list", "--json"]).matches(&id[..8]).count() > 1 {
        let several = recorded.records(&["show", &id[..8]]);
        assert_eq!(several.status.code(), Some(1));
        assert!(text(&several.stderr).contains("is ambiguous"), "{}", text(&several.stderr));
    }
    for nothing in ["call_z", "00000000-0000-7000-8000-000000000000", &id[..7]] {
        let ran = recorded.records(&["show", nothing]);
        assert_eq!(ran.status.code(), Some(1), "{nothing}");
        assert!(text(&ran.stderr).contains("no recorded call has the id"), "{}", text(&ran.stderr));
    }
}

#[tokio::test]
async fn a_call_is_explained_by_the_table_of_then_and_no_other_unless_it_is_named() {
    let recorded = recorded(sqlite());
    three_calls(&recorded).await;
    let rules = recorded.folder.path().join("rules.toml");
    let then = recorded.folder.path().join("then.toml");
    std::fs::copy(&rules, &then).unwrap();
    std::fs::write(&rules, RULES.replace("+49*", "+43*")).unwrap();
    let changed = recorded.say(&["show", "call_b"]);
    assert!(changed.contains("the rules have changed since the call"), "{changed}");
    assert!(!changed.contains("DECIDES"), "{changed}");
    let named = recorded.say(&["show", "call_b", "--rules", then.to_str().unwrap()]);
    assert!(named.contains("DECIDES  german"), "{named}");
    std::fs::write(&rules, "[[rule]]\n").unwrap();
    let broken = recorded.say(&["show", "call_b"]);
    assert!(broken.contains("the rules cannot be loaded"), "{broken}");
}

#[tokio::test]
async fn a_call_without_its_numbers_is_shown_and_says_why_it_is_not_explained() {
    let recorded = recorded(&format!("{}\nnumbers = \"masked\"", sqlite()));
    three_calls(&recorded).await;
    let shown = recorded.say(&["show", "call_b"]);
    assert!(shown.contains("its numbers are stored masked"), "{shown}");
    assert!(shown.contains("+493***1820") && !shown.contains(BERLIN), "{shown}");
    assert_eq!(recorded.callers(&["--number", BERLIN]), ["+493***1820"]);
}

#[tokio::test]
async fn export_writes_everything_oldest_first_with_events_and_those_of_nobody() {
    let recorded = recorded(sqlite());
    let lone = json!({ "event": "call_ended", "call": { "call_id": "nobody", "to_number": OURS } });
    recorded.ask(&lone.to_string()).await;
    three_calls(&recorded).await;
    let said = recorded.say(&["export"]);
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["record"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["event", "call", "call", "call"], "{said}");
    assert_eq!(lines[0]["body"]["call"]["call_id"], "nobody");
    assert_eq!(lines[1]["from"], BERLIN);
    assert_eq!(lines[1]["events"][1]["body"]["call"]["duration_ms"], 61_300);
    let of_a_rule = recorded.say(&["export", "--rule", "german"]);
    assert_eq!(of_a_rule.lines().count(), 1, "{of_a_rule}");
    let csv = recorded.say(&["export", "--csv"]);
    assert_eq!(csv.lines().count(), 4, "{csv}");
}

#[tokio::test]
async fn stats_count_by_rule_by_outcome_and_by_hour_in_a_zone() {
    let recorded = recorded(sqlite());
    three_calls(&recorded).await;
    let said = recorded.say(&["stats", "--json", "--zone", "Asia/Kathmandu"]);
    let json: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(json["calls"], 3);
    let mut hours = [0; 24];
    for line in recorded.say(&["list", "--json"]).lines() {
        let call: Value = serde_json::from_str(line).unwrap();
        let at: Timestamp = call["at"].as_str().unwrap().parse().unwrap();
        hours[at.in_tz("Asia/Kathmandu").unwrap().hour() as usize] += 1;
    }
    assert_eq!(json["by_hour"], json!(hours), "{said}");
    assert_eq!(json["by_outcome"][0], json!({ "outcome": "agent", "calls": 2 }));
    let said = recorded.say(&["stats"]);
    assert!(said.starts_with("3 calls since ") && said.contains("german"), "{said}");
    assert!(said.contains("33.3 %  ███"), "{said}");
    let nothing = recorded.say(&["stats", "--until", "1h"]);
    assert!(nothing.starts_with("0 calls since "), "{nothing}");
}

/// A running `records follow`.
struct Follow {
    running: Running,
    stdout: LineReader,
}

impl Follow {
    fn start(recorded: &Recorded, arguments: &[&str]) -> Follow {
        let mut command = recorded.command(&[&["follow"], arguments].concat());
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
async fn what_a_spreadsheet_would_run_is_a_text_there() {
    let recorded = recorded(sqlite());
    for from in ["=HYPERLINK(A1)", "-1+1", "+cmd|' /C calc'!A0", BERLIN] {
        recorded.call(from).await;
    }
    for arguments in [&["list", "--csv"][..], &["export", "--csv"]] {
        let csv = recorded.say(arguments);
        let mut rows = csv::Reader::from_reader(csv.as_bytes());
        let from = rows.headers().unwrap().iter().position(|name| name == "from").unwrap();
        let mut cells: Vec<_> = rows.records().map(|row| row.unwrap()[from].to_owned()).collect();
        cells.sort();
        let formulas = ["'+cmd|' /C calc'!A0", "'-1+1", "'=HYPERLINK(A1)"];
        assert_eq!(cells, [&formulas[..], &[BERLIN]].concat());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn follow_prints_what_is_committed_and_ends_when_nobody_reads_or_at_ctrl_c() {
    let recorded = recorded(sqlite());
    recorded.whole_call(BOSTON, "call_c").await;
    // With --since the one that is there already says that it follows.
    let mut following = Follow::start(&recorded, &["--since", "1h"]);
    assert!(following.line().contains(BOSTON));
    assert!(following.line().contains("call_started") && following.line().contains("call_ended"));
    recorded.whole_call(BERLIN, "call_b").await;
    let call = following.line();
    assert!(call.contains(BERLIN) && call.contains("agent agent_de by rule german"), "{call}");
    let started = following.line();
    assert!(started.contains("call_started"), "{started}");
    assert!(following.line().contains("call_ended  61.3 s, user_hangup"));
    assert_eq!(following.exit_code_after_closed_pipe(), Some(0));

    let mut json = Follow::start(&recorded, &["--json", "--since", "1h", "--rule", "german"]);
    let kinds: Vec<Value> = (0..3).map(|_| serde_json::from_str(&json.line()).unwrap()).collect();
    assert_eq!(kinds[0]["rule"], "german", "{kinds:?}");
    assert_eq!((&kinds[1]["record"], &kinds[2]["kind"]), (&json!("event"), &json!("call_ended")));
    json.running.signal("-INT");
    assert_eq!(json.running.wait(), Some(0), "Ctrl-C");
}

#[tokio::test(flavor = "multi_thread")]
async fn follow_prints_an_old_record_once() {
    let recorded = recorded(sqlite());
    recorded.call(BOSTON).await;
    // The id of a call that was received some months ago.
    let url = format!("sqlite:{}", recorded.folder.path().join("r.db").display());
    let mut database = sqlx::AnyConnection::connect(&url).await.unwrap();
    database.execute("UPDATE calls SET id = '0190' || substr(id, 5)").await.unwrap();
    database.close().await.unwrap();
    let mut follow = Follow::start(&recorded, &["--since", "2020-01-01"]);
    assert!(follow.line().contains(BOSTON));
    // Each new line shows that `follow` has queried the store again.
    for digit in 0..5 {
        let caller = format!("+493090182{digit}");
        recorded.call(&caller).await;
        let line = follow.line();
        assert!(line.contains(&caller), "{line}");
    }
    assert_eq!(follow.exit_code_after_closed_pipe(), Some(0));
}

/// The files beside and with the database in which these bytes stand. Another process reads them:
/// whoever closes a file gives up the locks that its process has on it, and SQLite relies on those.
fn holding(folder: &Path, wanted: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.display().to_string().contains("r.db"));
    // Not by this process: SQLite's locks of a file end when the process closes it, anywhere.
    let grep = wait::output(Command::new("grep").args(["-laF", wanted]).args(files));
    text(&grep.stdout).lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_forgotten_number_is_in_no_row_and_in_no_byte_while_the_service_runs() {
    let digits = &BERLIN[1..];
    for recorded in everywhere().await {
        // Somebody else's call speaks of it, and so does an event of no call.
        let spoken = json!({ "event": "call_analyzed", "call": {
            "call_id": "call_c", "call_analysis": { "call_summary": "asks for +49 30 901820" },
        }});
        recorded.ask(&spoken.to_string()).await;
        let lone =
            json!({ "event": "transfer_started", "call": { "call_id": "x", "n": 4930901820_u64 }});
        recorded.ask(&lone.to_string()).await;
        let dry = recorded.say(&["forget", "--number", BERLIN, "--dry-run"]);
        assert!(dry.contains("found    1 call, 4 events"), "{dry}");
        let is_sqlite = recorded.folder.path().join("r.db").exists();
        if is_sqlite {
            assert!(!holding(recorded.folder.path(), digits).is_empty(), "the search finds");
        }
        assert_eq!(recorded.callers(&["--number", BERLIN]), [BERLIN], "a dry run deletes nothing");

        let said = recorded.say(&["forget", "--number", "+49 30 901820"]);
        assert!(said.contains("deleted  1 call, 4 events"), "{said}");
        assert!(said.contains("0 of ") && said.contains("within 60 s"), "{said}");
        assert!(!said.contains(digits), "the number itself is not shown: {said}");
        assert_eq!(recorded.callers(&[]), [BOSTON, "+19005550100"], "the others stay");
        assert!(!recorded.say(&["export"]).contains("901820"));
        assert_eq!(holding(recorded.folder.path(), digits), Vec::<String>::new());
        let again = recorded.say(&["forget", "--number", BERLIN]);
        assert!(again.contains("deleted  0 calls, 0 events"), "{again}");

        recorded.whole_call(BERLIN, "call_later").await;
        assert_eq!(recorded.callers(&["--number", BERLIN]), [BERLIN], "it goes on recording");
        recorded.stop().await;
    }
}

#[tokio::test]
async fn whoever_reads_from_the_log_keeps_the_proof_away() {
    let recorded = recorded(sqlite());
    three_calls(&recorded).await;
    let path = recorded.folder.path().join("r.db");
    let url = format!("sqlite:{}", path.display());
    let mut reader = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT * FROM calls").execute(&mut reader).await.unwrap();
    let ran = recorded.records(&["forget", "--number", BERLIN]);
    assert_eq!(ran.status.code(), Some(1), "{}", text(&ran.stdout));
    assert!(text(&ran.stdout).contains("run the command again"), "{}", text(&ran.stdout));
    drop(reader);
    recorded.say(&["forget", "--number", BERLIN]);
    assert_eq!(holding(recorded.folder.path(), &BERLIN[1..]), Vec::<String>::new());
}

#[tokio::test]
async fn masked_and_hashed_numbers_are_forgotten_too_and_the_mask_is_told() {
    let hashed = "numbers = \"hashed\"\nhash_key = \"env:RETELL_API_KEY\"";
    for (numbers, told) in [("numbers = \"masked\"", true), (hashed, false)] {
        let recorded = recorded(&format!("{}\n{numbers}", sqlite()));
        three_calls(&recorded).await;
        let mut forget = recorded.command(&["forget", "--number", BERLIN]);
        forget.env("RETELL_API_KEY", app::RETELL_KEY);
        let ran = wait::output(&mut forget);
        let said = text(&ran.stdout);
        assert_eq!(ran.status.code(), Some(0), "{said}{}", text(&ran.stderr));
        assert!(said.contains("deleted  1 call, 2 events"), "{numbers}: {said}");
        assert_eq!(said.contains("all callers with this mask"), told, "{said}");
        assert_eq!(holding(recorded.folder.path(), "+493***1820"), Vec::<String>::new());
        let (_, left) = recorded.admin("/records").await;
        assert_eq!(left["records"].as_array().unwrap().len(), 2, "{numbers}");
    }
}

#[tokio::test]
async fn the_admin_listener_tells_records_page_by_page() {
    for records in [sqlite(), "url = \"memory:\"\nwait = \"commit\""] {
        let recorded = recorded(records);
        three_calls(&recorded).await;
        let (status, first) = recorded.admin("/records?limit=2").await;
        assert_eq!(status, StatusCode::OK);
        let callers = |page: &Value| -> Vec<String> {
            let calls = page["records"].as_array().unwrap().iter();
            calls.map(|call| call["from"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(callers(&first), [BOSTON, "+19005550100"]);
        assert_eq!(first["records"][0]["last_event"], "call_ended");
        let next = first["next"].as_str().unwrap();
        let (_, second) = recorded.admin(&format!("/records?limit=2&before={next}")).await;
        assert_eq!((callers(&second), &second["next"]), (vec![BERLIN.to_owned()], &Value::Null));
        // A `+` that nobody encoded.
        for number in ["+4930901820", "%2B4930901820", "4930901820"] {
            let (_, found) = recorded.admin(&format!("/records?number={number}")).await;
            assert_eq!(callers(&found), [BERLIN], "{number}");
        }
        let (_, found) = recorded.admin("/records?since=1h&rule=everyone&outcome=agent").await;
        assert_eq!(callers(&found), [BOSTON]);

        let id = first["records"][0]["id"].as_str().unwrap();
        for known in [id, "call_c"] {
            let (status, one) = recorded.admin(&format!("/records/{known}")).await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(
                (&one["call"]["id"], &one["events"][1]["kind"]),
                (&json!(id), &json!("call_ended"))
            );
            assert_eq!(one["explanation"]["rule"], "everyone", "{one}");
        }
        recorded.stop().await;
    }
}

#[tokio::test]
async fn what_the_admin_listener_cannot_tell_it_says_in_words() {
    let recorded = recorded(sqlite());
    three_calls(&recorded).await;
    for (asked, status, expected) in [
        ("/records?form=1", StatusCode::BAD_REQUEST, "known are since, until, number"),
        ("/records?since=soon", StatusCode::BAD_REQUEST, "since: `soon` is not a time"),
        ("/records?limit=0", StatusCode::BAD_REQUEST, "from 1 to 1000"),
        ("/records?before=1", StatusCode::BAD_REQUEST, "before: "),
        ("/records/call_z", StatusCode::NOT_FOUND, "no call is recorded"),
    ] {
        let (answered, said) = recorded.admin(asked).await;
        assert_eq!(answered, status, "{asked}: {said}");
        assert!(said["detail"].as_str().unwrap().contains(expected), "{asked}: {said}");
    }
    let admin = recorded.admin.clone();
    let app = recorded.app.clone();
    recorded.stop().await;
    let guarded =
        admin::router(app, None, Some(switchboard::domain::secret::Secret::new("a token")));
    for path in ["/records", "/records/call_b"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answered = guarded.clone().oneshot(request).await.unwrap();
        assert_eq!(answered.status(), StatusCode::UNAUTHORIZED, "{path}");
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answered = admin.clone().oneshot(request).await.unwrap();
        assert_eq!(answered.status(), StatusCode::SERVICE_UNAVAILABLE, "closed: {path}");
    }
}

#[tokio::test]
async fn where_records_are_off_or_not_open_the_admin_listener_says_so() {
    let off = recorded("url = \"off\"");
    let (status, said) = off.admin("/records").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(said["detail"].as_str().unwrap().contains("records are off"), "{said}");
    // A folder is no database.
    let closed = recorded("url = \"sqlite:r.db\"");
    std::fs::create_dir(closed.folder.path().join("r.db")).unwrap();
    let (status, said) = closed.admin("/records").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{said}");
}
