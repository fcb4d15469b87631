//! The table is replaced while it answers: good edits take its place, bad ones do not, and no call
//! notices either.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};
use switchboard::diagnostics::Severity;
use switchboard::domain::clock::Clock;
use switchboard::http::admin;
use switchboard::http::public;
use switchboard::pipeline::Switchboard;
use switchboard::reload;
use switchboard::reload::{ReloadHandle, Reloaded, Reloader};
use switchboard::rules;
use switchboard::settings::Purpose;
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::support::app::{self, App, NOW_MS, SETTINGS, load_settings};

/// A switchboard whose table is read from files and kept current.
struct Live {
    app: Arc<App>,
    reload_handle: ReloadHandle,
    stop: CancellationToken,
}

#[track_caller]
fn live(path: &Path, poll: Option<Duration>) -> Live {
    let (settings, report) = load_settings(SETTINGS, Purpose::Serve);
    let settings = settings.unwrap_or_else(|| panic!("{report}"));
    let around = settings.check_context();
    let loaded = reload::load(path, &around, false, &mut |_| {}).expect("a table");
    let rules::LoadedTable { table, report, files, .. } = loaded;
    let table = table.unwrap_or_else(|| panic!("{report}"));
    let clock = Clock::Fixed(Timestamp::from_millisecond(NOW_MS).expect("a time"));
    let app = Arc::new(Switchboard::new(settings.sources, table, clock));
    let (reloader, reload_handle) =
        Reloader::new(app.clone(), path.to_owned(), around, poll, files);
    let stop = CancellationToken::new();
    tokio::spawn(reloader.run(stop.clone()));
    let app = App {
        public: public::router(app.clone(), &settings.server),
        admin: admin::router(app.clone(), Some(reload_handle.clone()), None),
        app,
    };
    Live { app: Arc::new(app), reload_handle, stop }
}

const SOON: Duration = Duration::from_millis(20);
const DEADLINE: Duration = Duration::from_secs(10);

impl Live {
    async fn ring(&self) -> Reloaded {
        self.reload_handle.reload().await.expect("somebody reloads")
    }

    /// Who takes a call now.
    async fn agent(&self) -> String {
        answered(&self.app, &new_call()).await.agent
    }

    /// Waits until this agent takes the calls.
    async fn until_agent(&self, agent: &str, what: &str) {
        let deadline = Instant::now() + DEADLINE;
        while self.agent().await != agent {
            assert!(Instant::now() < deadline, "{what}: {agent} never came");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until so many reloads went well, or did not.
    async fn until_reloads(&self, result: &str, count: u64, what: &str) {
        let deadline = Instant::now() + DEADLINE;
        while self.reloads(result).await < count {
            assert!(Instant::now() < deadline, "{what}: no {count} {result} reloads");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn reloads(&self, result: &str) -> u64 {
        self.metric(&format!("switchboard_reloads_total{{result=\"{result}\"}}")).await
    }

    async fn last_was_successful(&self) -> bool {
        self.metric("switchboard_reload_last_successful").await == 1
    }

    async fn metric(&self, name: &str) -> u64 {
        let text = self.app.metrics().await;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name}: {text}"))
    }

    async fn admin(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = self.app.admin.clone().oneshot(request).await.unwrap();
        let answer = app::whole(response).await;
        (answer.status, answer.json())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.admin(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }
}

/// A call that is like no other, as Retell asks about it.
fn new_call() -> String {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    format!(
        r#"{{"event":"call_inbound","call_inbound":{{"call_id":"call_{call}","from_number":"+1213777{:04}"}}}}"#,
        call % 10_000
    )
}

struct Answered {
    agent: String,
    variables: Value,
}

async fn answered(app: &App, call: &str) -> Answered {
    let answer = app.retell(call).await;
    assert_eq!(answer.status, StatusCode::OK);
    let reply = &answer.json()["call_inbound"];
    let agent = reply["override_agent_id"].as_str().unwrap_or_default().to_owned();
    Answered { agent, variables: reply["dynamic_variables"].clone() }
}

/// Each error of a report: the code, and the place from the file's name on.
fn errors(reloaded: &Reloaded) -> Vec<String> {
    let errors = reloaded.report.diagnostics().iter().filter(|one| one.severity == Severity::Error);
    let told = errors.map(|error| {
        let place = error.location.as_ref().map(|place| place.to_string());
        let place = place.as_deref().and_then(|place| place.rsplit('/').next());
        format!("{} {}", error.code, place.unwrap_or("nowhere"))
    });
    told.collect()
}

/// One rule for everybody.
fn one_rule(agent: &str) -> String {
    format!("[[rule]]\nname = \"everyone\"\nagent = \"{agent}\"\n")
}

/// Puts another file in the place of one, at once.
fn rename_over(path: &Path, bytes: impl AsRef<[u8]>) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, bytes).unwrap();
    std::fs::rename(beside, path).unwrap();
}

/// A folder as a config map is mounted: its files are links into `..data`, which is a link to a
/// folder; when that link is replaced, all of them change at once.
struct Mount {
    folder: TempDir,
    swaps: usize,
}

impl Mount {
    fn new(files: &[(&str, &str)]) -> Mount {
        let mut mount = Mount { folder: tempfile::tempdir().unwrap(), swaps: 0 };
        mount.swap(files);
        for (name, _) in files {
            let target = Path::new("..data").join(name);
            std::os::unix::fs::symlink(target, mount.path(name)).unwrap();
        }
        mount
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// All files at once.
    fn swap(&mut self, files: &[(&str, &str)]) {
        let name = format!("..{}", self.swaps);
        std::fs::create_dir(self.path(&name)).unwrap();
        for (file, text) in files {
            std::fs::write(self.path(&name).join(file), text).unwrap();
        }
        self.point_to(&name);
    }

    fn point_to(&mut self, name: &str) {
        self.swaps += 1;
        std::os::unix::fs::symlink(name, self.path("..new")).unwrap();
        std::fs::rename(self.path("..new"), self.path("..data")).unwrap();
    }

    /// One file in place: it is truncated and written.
    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path("..data").join(name), bytes).unwrap();
    }

    fn rename_over(&self, name: &str, bytes: impl AsRef<[u8]>) {
        rename_over(&self.path("..data").join(name), bytes);
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.path("..data").join(name)).unwrap();
    }
}

const RULES: &str = "rules.toml";
const PEOPLE: &str = "people.csv";

/// A table that says of itself which one it is, in three places.
fn literal(generation: u64) -> String {
    format!(
        r#"[[rule]]
name = "who"
continue = true
variables = {{ a = "{generation}" }}

[[rule]]
name = "everyone"
agent = "agent_{generation}"
variables = {{ b = "{generation}" }}

[[test]]
name = "anybody"
from = "+12137770000"
expect = {{ agent = "agent_{generation}", variables = {{ a = "{generation}" }} }}
"#
    )
}

/// The same, but a list says it.
const LISTED: &str = r#"lists.people.file = "people.csv"

[[rule]]
name = "who"
from = "@people"
continue = true
variables = { a = "${people.generation|}" }

[[rule]]
name = "everyone"
from = "@people"
agent = "${people.agent|nobody}"
variables = { b = "${people.generation|}" }

[[rule]]
name = "nobody"
reject = true
"#;

fn people(generation: u64) -> String {
    format!("number,agent,generation\n+1*,agent_{generation},{generation}\n")
}

/// Breaks a table, mends it, and says what has to be told of it while it is broken.
struct Edits {
    bad: fn(&mut Mount),
    told: &'static str,
    good: fn(&mut Mount, u64),
}

/// A table that must never answer.
const BAD: u64 = 999_999;

const EDITS: [Edits; 10] = [
    Edits {
        bad: |mount| mount.write(RULES, literal(BAD).split("b =").next().unwrap()),
        told: "syntax rules.toml:9:14",
        good: |mount, generation| mount.write(RULES, literal(generation)),
    },
    Edits {
        bad: |mount| mount.write(RULES, literal(BAD).replace("\nagent", "\nagnet")),
        told: "unknown-key rules.toml:8:1",
        good: |mount, generation| mount.rename_over(RULES, literal(generation)),
    },
    Edits {
        bad: |mount| mount.write(RULES, ""),
        told: "no-rules rules.toml:1:1",
        good: |mount, generation| mount.write(RULES, literal(generation)),
    },
    Edits {
        bad: |mount| mount.remove(RULES),
        told: "no-table nowhere",
        good: |mount, generation| mount.write(RULES, literal(generation)),
    },
    Edits {
        bad: |mount| mount.swap(&[(RULES, &literal(BAD).replace("everyone", "who"))]),
        told: "duplicate-name rules.toml:7:8",
        good: |mount, generation| mount.swap(&[(RULES, &literal(generation))]),
    },
    Edits {
        bad: |mount| mount.point_to("..nowhere"),
        told: "no-table nowhere",
        good: |mount, generation| {
            mount.swap(&[(RULES, LISTED), (PEOPLE, &people(generation))]);
        },
    },
    Edits {
        bad: |mount| mount.write(PEOPLE, people(BAD).replace("+1*", "+1213")),
        told: "bad-number people.csv:2:1",
        good: |mount, generation| mount.write(PEOPLE, people(generation)),
    },
    Edits {
        bad: |mount| mount.remove(PEOPLE),
        told: "no-file rules.toml:1:21",
        good: |mount, generation| mount.rename_over(PEOPLE, people(generation)),
    },
    Edits {
        bad: |mount| {
            let text = literal(BAD).replacen("999999", "\u{e4}", 1);
            let latin_1: Vec<u8> = text.chars().map(|letter| letter as u8).collect();
            mount.rename_over(RULES, latin_1);
        },
        told: "syntax rules.toml:4:20",
        good: |mount, generation| mount.rename_over(RULES, literal(generation)),
    },
    Edits {
        bad: |mount| mount.write(RULES, literal(BAD).replacen("agent_999999", "agent_0", 1)),
        told: "failing-test rules.toml:12:8",
        good: |mount, generation| mount.write(RULES, literal(generation)),
    },
];

/// Which tables may answer: none before `settled`, none after `begun`.
#[derive(Default)]
struct Generations {
    settled: AtomicU64,
    begun: AtomicU64,
    done: AtomicBool,
}

/// Asks until it is told to stop, and returns how often.
async fn ask_without_pause(app: Arc<App>, generations: Arc<Generations>) -> u64 {
    let mut asked = 0;
    while !generations.done.load(Ordering::SeqCst) {
        let earliest = generations.settled.load(Ordering::SeqCst);
        let Answered { agent, variables } = answered(&app, &new_call()).await;
        let latest = generations.begun.load(Ordering::SeqCst);
        let a: u64 = variables["a"].as_str().and_then(|text| text.parse().ok()).unwrap();
        assert_eq!(agent, format!("agent_{a}"), "rules of two tables: {variables}");
        assert_eq!(variables["b"], variables["a"], "rules of two tables");
        assert!((earliest..=latest).contains(&a), "{a} answered between {earliest} and {latest}");
        asked += 1;
        tokio::task::yield_now().await;
    }
    asked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn two_hundred_edits_lose_no_call_and_mix_no_two_tables() {
    let mut mount = Mount::new(&[(RULES, &literal(0)), (PEOPLE, &people(0))]);
    let live = live(&mount.path(RULES), None);
    let generations = Arc::new(Generations::default());
    let askers: Vec<_> = (0..2)
        .map(|_| tokio::spawn(ask_without_pause(live.app.clone(), generations.clone())))
        .collect();
    let mut retired = Vec::new();
    for generation in 1..=100 {
        let Edits { bad, told, good } = &EDITS[(generation as usize - 1) % EDITS.len()];
        let kept = live.app.app.table().fingerprint.clone();
        bad(&mut mount);
        let reloaded = live.ring().await;
        assert!(!reloaded.ok, "{told}");
        assert!(errors(&reloaded).contains(&told.to_string()), "{told}: {}", reloaded.report);
        assert_eq!(live.app.app.table().fingerprint, kept);
        assert!(!live.last_was_successful().await);

        retired.push(Arc::downgrade(&live.app.app.table()));
        generations.begun.store(generation, Ordering::SeqCst);
        good(&mut mount, generation);
        let reloaded = live.ring().await;
        assert!(reloaded.ok, "after {told}: {}", reloaded.report);
        generations.settled.store(generation, Ordering::SeqCst);
        assert!(live.last_was_successful().await);
    }
    generations.done.store(true, Ordering::SeqCst);
    let mut asked = 0;
    for asker in askers {
        asked += asker.await.expect("every answer was right");
    }
    assert!(asked > 200, "there was a load");
    let counted =
        live.metric(r#"switchboard_requests_total{source="retell",outcome="agent"}"#).await;
    assert_eq!(counted, asked, "every call was decided, none was taken for a retry");
    assert_eq!((live.reloads("success").await, live.reloads("failure").await), (100, 100));
    let deadline = Instant::now() + DEADLINE;
    while retired.iter().any(|table| table.strong_count() > 0) {
        assert!(Instant::now() < deadline, "an old table stays");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn health_and_readiness_tell_of_a_bad_edit_until_the_next_good_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(RULES);
    std::fs::write(&path, one_rule("agent_1")).unwrap();
    let live = live(&path, None);
    let fingerprint = live.get("/healthz").await["table"]["fingerprint"].clone();
    std::fs::write(&path, one_rule("agent_2").replace("name", "nmae")).unwrap();
    live.ring().await;
    for probe in ["/healthz", "/readyz"] {
        let body = live.get(probe).await;
        assert_eq!(body["table"]["fingerprint"], fingerprint, "the old one answers: {body}");
        let last = &body["table"]["last_reload"];
        assert_eq!(last["ok"], json!(false));
        let mistake = last["mistakes"].as_array().unwrap().iter();
        let mistake =
            mistake.filter(|mistake| mistake["code"] == "unknown-key").collect::<Vec<_>>();
        let expected = json!({
            "severity": "error",
            "code": "unknown-key",
            "file": path.display().to_string(),
            "line": 2,
            "column": 1,
        });
        assert_eq!(mistake, [&expected], "places, and no messages");
    }
    let wrong = live.app.app.live_table().table_and_status().1.last_error.unwrap();
    let texts: Vec<_> =
        wrong.diagnostics().iter().filter_map(|one| one.location.as_ref()).collect();
    assert!(texts.iter().all(|place| !place.file.text.contains('\n')), "whole files are let go");
    let ready = live.get("/readyz").await;
    assert_eq!(ready["ready"], json!(true));
    assert!(ready["warning"].as_str().is_some_and(|warning| warning.contains("reload failed")));
    std::fs::write(&path, one_rule("agent_2")).unwrap();
    live.ring().await;
    let ready = live.get("/readyz").await;
    assert_eq!(ready["warning"], json!(null));
    assert_eq!(ready["table"]["last_reload"]["ok"], json!(true));
    assert_eq!(ready["table"]["last_reload"]["mistakes"], json!([]));
    assert_ne!(ready["table"]["fingerprint"], fingerprint);
    assert_eq!(live.agent().await, "agent_2");
}

#[tokio::test]
async fn posting_reload_tells_what_came_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(RULES);
    std::fs::write(&path, one_rule("agent_1")).unwrap();
    let live = live(&path, None);
    let reload = || Request::post("/reload").body(Body::empty()).unwrap();
    std::fs::write(&path, one_rule("agent_2")).unwrap();
    let (status, body) = live.admin(reload()).await;
    assert_eq!((status, &body["ok"]), (StatusCode::OK, &json!(true)));
    assert_eq!(live.agent().await, "agent_2");
    std::fs::write(&path, "[[rule]]\nname = \"a\"\nagent = \"b\"\nfrom = \"+1213777123\"\n")
        .unwrap();
    let (status, body) = live.admin(reload()).await;
    assert_eq!((status, &body["ok"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(false)));
    let mistake = &body["mistakes"][0];
    assert_eq!((&mistake["line"], &mistake["column"]), (&json!(4), &json!(8)), "{body}");
    assert!(mistake["message"].as_str().unwrap().contains("has 10 digits"), "{body}");
    assert_eq!(live.agent().await, "agent_2");
}

#[tokio::test]
async fn all_who_ask_during_a_reload_share_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(RULES);
    std::fs::write(&path, one_rule("agent_1")).unwrap();
    let live = live(&path, None);
    std::fs::write(&path, one_rule("agent_2")).unwrap();
    let told = join_all((0..20).map(|_| live.ring())).await;
    assert!(told.iter().all(|reloaded| reloaded.ok));
    assert_eq!(live.agent().await, "agent_2");
    assert!(live.reloads("success").await <= 2, "not one for each");
}

#[tokio::test]
async fn who_asks_for_a_reload_while_the_service_stops_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(RULES);
    std::fs::write(&path, one_rule("agent_1")).unwrap();
    let live = live(&path, None);
    live.stop.cancel();
    let (status, body) = live.admin(Request::post("/reload").body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["error"], json!("the service is stopping"));
}

// ---- polling

/// The same length, and the same time of writing to the nanosecond, as an archive restores it.
fn rewrite_unseen(path: &Path, text: &str) {
    let before = std::fs::metadata(path).unwrap();
    assert_eq!(before.len(), text.len() as u64);
    std::fs::write(path, text).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
}

#[tokio::test]
async fn every_way_to_change_a_file_is_noticed() {
    let mut mount = Mount::new(&[(RULES, &one_rule("agent_1")), (PEOPLE, "")]);
    let live = live(&mount.path(RULES), Some(SOON));
    mount.write(RULES, one_rule("agent_22"));
    live.until_agent("agent_22", "written in place").await;
    rewrite_unseen(&mount.path(RULES), &one_rule("agent_33"));
    live.until_agent("agent_33", "the same length and time").await;
    mount.rename_over(RULES, one_rule("agent_44"));
    live.until_agent("agent_44", "renamed over").await;
    mount.swap(&[(RULES, &one_rule("agent_55"))]);
    live.until_agent("agent_55", "the link to the folder").await;
    mount.remove(RULES);
    live.until_reloads("failure", 1, "deleted").await;
    mount.write(RULES, one_rule("agent_66"));
    live.until_agent("agent_66", "deleted and made again").await;
    mount.swap(&[(RULES, LISTED), (PEOPLE, &people(77))]);
    live.until_agent("agent_77", "a list comes in").await;
    mount.write(PEOPLE, people(88));
    live.until_agent("agent_88", "the list alone").await;
    let target = mount.path("elsewhere.toml");
    std::fs::write(&target, one_rule("agent_99")).unwrap();
    std::fs::remove_file(mount.path(RULES)).unwrap();
    std::os::unix::fs::symlink(target, mount.path(RULES)).unwrap();
    live.until_agent("agent_99", "the link to the file").await;
}

#[tokio::test]
async fn what_was_missing_is_noticed_when_it_appears() {
    let mut mount = Mount::new(&[(RULES, &one_rule("agent_1")), (PEOPLE, "")]);
    let live = live(&mount.path(RULES), Some(SOON));
    mount.swap(&[(RULES, LISTED)]);
    live.until_reloads("failure", 1, "the table names a list that is not there").await;
    mount.write(PEOPLE, people(2));
    live.until_agent("agent_2", "the list appears").await;
    mount.point_to("..later");
    live.until_reloads("failure", 2, "the folder is gone").await;
    std::fs::create_dir(mount.path("..later")).unwrap();
    mount.write(RULES, one_rule("agent_3"));
    live.until_agent("agent_3", "the folder appears").await;
}

#[tokio::test]
async fn a_table_that_stays_bad_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(RULES);
    std::fs::write(&path, one_rule("agent_1")).unwrap();
    let live = live(&path, Some(SOON));
    for (times, bad) in [(1, Some(&b"[[rule"[..])), (2, Some(b"\xff")), (3, None)] {
        match bad {
            Some(bytes) => rename_over(&path, bytes),
            None => std::fs::remove_file(&path).unwrap(),
        }
        live.until_reloads("failure", times, "a bad edit").await;
        tokio::time::sleep(10 * SOON).await;
        assert_eq!(live.reloads("failure").await, times, "nothing has changed since");
    }
    rename_over(&path, one_rule("agent_2"));
    live.until_agent("agent_2", "a good edit").await;
    tokio::time::sleep(10 * SOON).await;
    assert_eq!(live.reloads("success").await, 1, "nothing has changed since");
}

#[tokio::test]
async fn in_a_folder_each_file_counts() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("50-everyone.toml"), one_rule("agent_1")).unwrap();
    let live = live(folder.path(), Some(SOON));
    let first = |agent| one_rule(agent).replace("everyone", "first") + "from = \"+1*\"\n";
    rename_over(&file("10-first.toml"), first("agent_2"));
    live.until_agent("agent_2", "a new file, earlier by name").await;
    rename_over(&file("20-second.toml"), b"# \xff");
    live.until_reloads("failure", 1, "a file that is not UTF-8").await;
    std::fs::write(file("20-second.toml"), "# nothing").unwrap();
    live.until_reloads("success", 2, "the file is mended in place").await;
    std::fs::remove_file(file("10-first.toml")).unwrap();
    live.until_agent("agent_1", "the file goes").await;
    rename_over(&file("20-second.toml"), first("agent_3").replace("from", "form"));
    live.until_reloads("failure", 2, "a file is broken").await;
    assert_eq!(live.agent().await, "agent_1");
    std::fs::write(file("20-second.toml"), first("agent_3")).unwrap();
    live.until_agent("agent_3", "the file is mended").await;
    std::os::unix::fs::symlink("later", file("30-third.toml")).unwrap();
    live.until_reloads("failure", 3, "a link to nothing").await;
    let before = live.reloads("success").await;
    rename_over(&file("later"), "# nothing");
    live.until_reloads("success", before + 1, "the link leads somewhere").await;
    // What is no table of the folder is not looked at.
    let before = live.reloads("success").await;
    std::fs::write(file(".hidden.toml"), first("agent_4")).unwrap();
    std::fs::write(file("notes.txt"), first("agent_4")).unwrap();
    tokio::time::sleep(10 * SOON).await;
    assert_eq!(live.reloads("success").await, before);
    for name in ["20-second.toml", "30-third.toml", "50-everyone.toml"] {
        std::fs::remove_file(file(name)).unwrap();
    }
    live.until_reloads("failure", 4, "an empty folder").await;
    assert_eq!(live.agent().await, "agent_3");
    rename_over(&file("50-everyone.toml"), one_rule("agent_5"));
    live.until_agent("agent_5", "a file in the empty folder").await;
}

#[tokio::test]
async fn without_polling_an_edit_waits_until_somebody_asks() {
    let polls = |text: &str| {
        let (settings, report) = load_settings(&format!("{text}\n{SETTINGS}"), Purpose::Serve);
        settings.unwrap_or_else(|| panic!("{report}")).rules.poll
    };
    assert_eq!(polls("[rules]\npoll_ms = 0"), None);
    assert_eq!(polls(""), Some(Duration::from_secs(1)));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(RULES);
    std::fs::write(&path, one_rule("agent_1")).unwrap();
    let live = live(&path, None);
    std::fs::write(&path, one_rule("agent_2")).unwrap();
    tokio::time::sleep(10 * SOON).await;
    assert_eq!((live.agent().await.as_str(), live.reloads("success").await), ("agent_1", 0));
    assert!(live.ring().await.ok);
    assert_eq!(live.agent().await, "agent_2");
}

#[tokio::test]
async fn a_named_pipe_is_no_list() {
    let mut mount = Mount::new(&[(RULES, &one_rule("agent_1")), (PEOPLE, "")]);
    let live = live(&mount.path(RULES), None);
    mount.swap(&[(RULES, LISTED)]);
    let pipe = mount.path("..data").join(PEOPLE);
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let told = tokio::time::timeout(DEADLINE, live.ring()).await;
    // Lets a reader go that waits for a writer.
    drop(std::fs::File::options().read(true).write(true).open(pipe));
    let reloaded = told.expect("it does not wait for somebody to write");
    assert!(errors(&reloaded).contains(&"no-file rules.toml:1:21".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_while_it_is_read_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(RULES);
    std::fs::write(&path, one_rule("agent_1")).unwrap();
    let live = live(&path, None);
    std::fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let reload_handle = live.reload_handle.clone();
    let ringing = tokio::spawn(async move { reload_handle.reload().await.unwrap() });
    // A pipe opens when somebody reads it, and the reader waits for its end.
    let pipe = path.clone();
    let pipe = tokio::task::spawn_blocking(|| std::fs::File::options().write(true).open(pipe));
    let pipe = tokio::time::timeout(DEADLINE, pipe).await.expect("somebody reads");
    rename_over(&path, one_rule("agent_3"));
    pipe.unwrap().unwrap().write_all(one_rule("agent_2").as_bytes()).unwrap();
    assert!(ringing.await.unwrap().ok);
    assert_eq!(live.agent().await, "agent_3");
    assert_eq!(live.reloads("success").await, 1, "agent_2 never took a call");
}

// ---- requests that are going on

#[tokio::test]
async fn a_request_finishes_on_the_table_it_started_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(RULES);
    std::fs::write(&path, one_rule("agent_1") + "delay_ms = 600\n").unwrap();
    let live = live(&path, None);
    let app = live.app.clone();
    let rings = tokio::spawn(async move { answered(&app, &new_call()).await.agent });
    let decided = r#"switchboard_requests_total{source="retell",outcome="agent"}"#;
    while live.metric(decided).await == 0 {
        tokio::task::yield_now().await;
    }
    std::fs::write(&path, one_rule("agent_2")).unwrap();
    assert!(live.ring().await.ok);
    assert!(!rings.is_finished(), "it still rings");
    assert_eq!(live.agent().await, "agent_2");
    assert_eq!(rings.await.unwrap(), "agent_1");
}

#[tokio::test]
async fn a_retry_after_a_reload_gets_the_answer_from_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(RULES);
    std::fs::write(&path, one_rule("agent_1")).unwrap();
    let live = live(&path, None);
    let call = new_call();
    let before = live.app.retell(&call).await.body;
    std::fs::write(&path, one_rule("agent_2")).unwrap();
    assert!(live.ring().await.ok);
    assert_eq!(live.app.retell(&call).await.body, before);
    assert_eq!(live.agent().await, "agent_2");
}

#[tokio::test]
async fn an_old_table_goes_when_nobody_uses_it_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(RULES);
    std::fs::write(&path, one_rule("agent_1")).unwrap();
    let live = live(&path, None);
    let held = live.app.app.table();
    let old = Arc::downgrade(&held);
    for agent in ["agent_2", "agent_3"] {
        std::fs::write(&path, one_rule(agent)).unwrap();
        assert!(live.ring().await.ok);
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(old.strong_count(), 2, "a request has it, and who drops it later");
    assert_eq!(&*held.agents[0].name, "agent_1");
    drop(held);
    let deadline = Instant::now() + DEADLINE;
    while old.strong_count() > 0 {
        assert!(Instant::now() < deadline, "the old table stays");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
