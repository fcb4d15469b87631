//! Reloads: valid edits are published, invalid ones are not, and no call is affected by either.

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
use switchboard::settings::{Purpose, RulesSettings};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::support::app::{self, App, NOW_MS, SETTINGS, load_settings};
use crate::support::wait::{self, DEADLINE};

/// A service with a table on disk and a reloader.
pub(crate) struct Live {
    pub(crate) app: Arc<App>,
    pub(crate) reload_handle: ReloadHandle,
    stop: CancellationToken,
}

#[track_caller]
pub(crate) fn live(path: &Path, poll: Option<Duration>) -> Live {
    let (settings, report) = load_settings(SETTINGS, Purpose::Serve);
    let settings = settings.unwrap_or_else(|| panic!("{report}"));
    let context = settings.check_context();
    let loaded = reload::load(path, &context, false, &mut |_| {}).expect("a table");
    let rules::LoadedTable { table, report, files, snapshot, .. } = loaded;
    let table = table.unwrap_or_else(|| panic!("{report}"));
    let clock = Clock::Fixed(Timestamp::from_millisecond(NOW_MS).expect("a time"));
    let app = Arc::new(Switchboard::new(settings.sources, table, clock));
    let rules_settings = RulesSettings {
        path: path.to_owned(),
        poll,
        last_good: None,
        isolate: false,
        lists_dir: path.with_extension("lists"),
    };
    let (reloader, reload_handle) =
        Reloader::new(app.clone(), rules_settings, context, files, None);
    let reloader = reloader.keeping(snapshot, true);
    let stop = CancellationToken::new();
    tokio::spawn(reloader.run(stop.clone()));
    let app = App {
        public: public::router(app.clone(), &settings.server),
        admin: admin::router(app.clone(), Some(reload_handle.clone()), None, axum::Router::new()),
        app,
    };
    Live { app: Arc::new(app), reload_handle, stop }
}

const POLL: Duration = Duration::from_millis(20);

impl Live {
    pub(crate) async fn reload(&self) -> Reloaded {
        self.reload_handle.reload().await.expect("the reloader is running")
    }

    /// Returns the agent that takes a new call.
    async fn agent(&self) -> String {
        reply_to(&self.app, &new_call()).await.agent
    }

    /// Waits until this agent takes new calls.
    async fn until_agent(&self, agent: &str, what: &str) {
        let takes_calls = wait::until_async(async || self.agent().await == agent).await;
        assert!(takes_calls, "{what}: {agent} takes no calls");
    }

    /// Waits for a number of reloads with this result.
    async fn until_reloads(&self, result: &str, count: u64, what: &str) {
        let is_reached = wait::until_async(async || self.reloads(result).await >= count).await;
        assert!(is_reached, "{what}: fewer than {count} reloads with result {result}");
    }

    /// Lets the time of ten polls pass. The test starts with paused time, so that ten polls happen.
    async fn after_polls(&self) {
        wait::pass_virtual_time(10 * POLL).await;
    }

    async fn reloads(&self, result: &str) -> u64 {
        self.metric(&format!("switchboard_reloads_total{{result=\"{result}\"}}")).await
    }

    async fn last_was_successful(&self) -> bool {
        self.metric("switchboard_reload_last_successful").await == 1
    }

    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let text = self.app.metrics().await;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name}: {text}"))
    }

    pub(crate) async fn admin(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = self.app.admin.clone().oneshot(request).await.unwrap();
        let answer = app::collect(response).await;
        (answer.status, answer.json())
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.admin(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }
}

/// Returns a Retell request with a new call id.
fn new_call() -> String {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    format!(
        r#"{{"event":"call_inbound","call_inbound":{{"call_id":"call_{call}","from_number":"+1213777{:04}"}}}}"#,
        call % 10_000
    )
}

struct Reply {
    agent: String,
    variables: Value,
}

async fn reply_to(app: &App, call: &str) -> Reply {
    let answer = app.retell(call).await;
    assert_eq!(answer.status, StatusCode::OK);
    let reply = &answer.json()["call_inbound"];
    let agent = reply["override_agent_id"].as_str().unwrap_or_default().to_owned();
    Reply { agent, variables: reply["dynamic_variables"].clone() }
}

/// Returns code and location (file name, line, column) of each error.
fn errors(reloaded: &Reloaded) -> Vec<String> {
    let errors = reloaded.report.diagnostics().iter().filter(|d| d.severity == Severity::Error);
    let lines = errors.map(|error| {
        let location = error.location.as_ref().map(|location| location.to_string());
        let location = location.as_deref().and_then(|location| location.rsplit('/').next());
        format!("{} {}", error.code, location.unwrap_or("no location"))
    });
    lines.collect()
}

/// Returns a table with one rule for every call.
fn one_rule(agent: &str) -> String {
    format!("[[rule]]\nname = \"everyone\"\nagent = \"{agent}\"\n")
}

/// Replaces a file atomically.
fn rename_over(path: &Path, bytes: impl AsRef<[u8]>) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, bytes).unwrap();
    std::fs::rename(beside, path).unwrap();
}

/// A folder like a mounted Kubernetes ConfigMap: its files are links into `..data`, which is a link
/// to a folder. Replacing that link changes all files at once.
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

    /// Replaces all files at once.
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

    /// Truncates and writes one file in place.
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

/// Returns a table whose agent and variables contain its generation.
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

/// A table that takes its generation from a list.
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

/// An invalid edit, the expected error, and a valid edit.
struct Edits {
    bad: fn(&mut Mount),
    expected: &'static str,
    good: fn(&mut Mount, u64),
}

/// Generation of a table that must never be published.
const BAD: u64 = 999_999;

const EDITS: [Edits; 10] = [
    Edits {
        bad: |mount| mount.write(RULES, literal(BAD).split("b =").next().unwrap()),
        expected: "syntax rules.toml:9:13",
        good: |mount, generation| mount.write(RULES, literal(generation)),
    },
    Edits {
        bad: |mount| mount.write(RULES, literal(BAD).replace("\nagent", "\nagnet")),
        expected: "unknown-key rules.toml:8:1",
        good: |mount, generation| mount.rename_over(RULES, literal(generation)),
    },
    Edits {
        bad: |mount| mount.write(RULES, ""),
        expected: "no-rules rules.toml:1:1",
        good: |mount, generation| mount.write(RULES, literal(generation)),
    },
    Edits {
        bad: |mount| mount.remove(RULES),
        expected: "no-table no location",
        good: |mount, generation| mount.write(RULES, literal(generation)),
    },
    Edits {
        bad: |mount| mount.swap(&[(RULES, &literal(BAD).replace("everyone", "who"))]),
        expected: "duplicate-name rules.toml:7:8",
        good: |mount, generation| mount.swap(&[(RULES, &literal(generation))]),
    },
    Edits {
        bad: |mount| mount.point_to("..nowhere"),
        expected: "no-table no location",
        good: |mount, generation| {
            mount.swap(&[(RULES, LISTED), (PEOPLE, &people(generation))]);
        },
    },
    Edits {
        bad: |mount| mount.write(PEOPLE, people(BAD).replace("+1*", "+1213")),
        expected: "bad-number people.csv:2:1",
        good: |mount, generation| mount.write(PEOPLE, people(generation)),
    },
    Edits {
        bad: |mount| mount.remove(PEOPLE),
        expected: "no-file rules.toml:1:21",
        good: |mount, generation| mount.rename_over(PEOPLE, people(generation)),
    },
    Edits {
        bad: |mount| {
            let text = literal(BAD).replacen("999999", "\u{e4}", 1);
            let latin_1: Vec<u8> = text.chars().map(|letter| letter as u8).collect();
            mount.rename_over(RULES, latin_1);
        },
        expected: "syntax rules.toml:4:20",
        good: |mount, generation| mount.rename_over(RULES, literal(generation)),
    },
    Edits {
        bad: |mount| mount.write(RULES, literal(BAD).replacen("agent_999999", "agent_0", 1)),
        expected: "failing-test rules.toml:12:8",
        good: |mount, generation| mount.write(RULES, literal(generation)),
    },
];

/// Generations that may decide calls: from `settled` to `begun`.
#[derive(Default)]
struct Generations {
    settled: AtomicU64,
    begun: AtomicU64,
    done: AtomicBool,
    calls: AtomicU64,
}

/// Sends calls until `done`, and returns their number.
async fn send_calls(app: Arc<App>, generations: Arc<Generations>) -> u64 {
    let mut sent = 0;
    while !generations.done.load(Ordering::SeqCst) {
        let earliest = generations.settled.load(Ordering::SeqCst);
        let Reply { agent, variables } = reply_to(&app, &new_call()).await;
        let latest = generations.begun.load(Ordering::SeqCst);
        let a: u64 = variables["a"].as_str().and_then(|text| text.parse().ok()).unwrap();
        assert_eq!(agent, format!("agent_{a}"), "the reply mixes two tables: {variables}");
        assert_eq!(variables["b"], variables["a"], "the reply mixes two tables");
        assert!(
            (earliest..=latest).contains(&a),
            "generation {a} decided, expected {earliest} to {latest}"
        );
        sent += 1;
        generations.calls.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn two_hundred_edits_lose_no_call_and_never_mix_tables() {
    let mut mount = Mount::new(&[(RULES, &literal(0)), (PEOPLE, &people(0))]);
    let live = live(&mount.path(RULES), None);
    let generations = Arc::new(Generations::default());
    let senders: Vec<_> =
        (0..2).map(|_| tokio::spawn(send_calls(live.app.clone(), generations.clone()))).collect();
    let mut retired = Vec::new();
    for generation in 1..=100 {
        let Edits { bad, expected, good } = &EDITS[(generation as usize - 1) % EDITS.len()];
        let previous = live.app.app.table().fingerprint.clone();
        bad(&mut mount);
        let reloaded = live.reload().await;
        assert!(!reloaded.ok, "{expected}");
        assert!(
            errors(&reloaded).contains(&expected.to_string()),
            "{expected}: {}",
            reloaded.report
        );
        assert_eq!(live.app.app.table().fingerprint, previous);
        assert!(!live.last_was_successful().await);

        retired.push(Arc::downgrade(&live.app.app.table()));
        generations.begun.store(generation, Ordering::SeqCst);
        good(&mut mount, generation);
        let reloaded = live.reload().await;
        assert!(reloaded.ok, "after {expected}: {}", reloaded.report);
        generations.settled.store(generation, Ordering::SeqCst);
        assert!(live.last_was_successful().await);
    }
    let enough_calls = async || generations.calls.load(Ordering::SeqCst) > 200;
    assert!(wait::until_async(enough_calls).await, "200 calls or fewer");
    generations.done.store(true, Ordering::SeqCst);
    let mut sent = 0;
    for sender in senders {
        sent += sender.await.expect("every reply was correct");
    }
    let counted =
        live.metric(r#"switchboard_requests_total{source="retell",kind="call",outcome="agent",status="200"}"#).await;
    assert_eq!(counted, sent, "every call was decided, none as a retry");
    assert_eq!((live.reloads("success").await, live.reloads("failure").await), (100, 100));
    let all_dropped = async || retired.iter().all(|table| table.strong_count() == 0);
    assert!(wait::until_async(all_dropped).await, "a replaced table was not dropped");
}

#[tokio::test]
async fn health_and_readiness_report_a_failed_reload_until_the_next_success() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(RULES);
    std::fs::write(&path, one_rule("agent_1")).unwrap();
    let live = live(&path, None);
    let fingerprint = live.get("/healthz").await["table"]["fingerprint"].clone();
    std::fs::write(&path, one_rule("agent_2").replace("name", "nmae")).unwrap();
    live.reload().await;
    for probe in ["/healthz", "/readyz"] {
        let body = live.get(probe).await;
        assert_eq!(body["table"]["fingerprint"], fingerprint, "the previous table is live: {body}");
        let last = &body["table"]["last_reload"];
        assert_eq!(last["ok"], json!(false));
        let diagnostics = last["diagnostics"].as_array().unwrap().iter();
        let diagnostics = diagnostics
            .filter(|diagnostic| diagnostic["code"] == "unknown-key")
            .collect::<Vec<_>>();
        let expected = json!({
            "severity": "error",
            "code": "unknown-key",
            "file": path.display().to_string(),
            "line": 2,
            "column": 1,
        });
        assert_eq!(diagnostics, [&expected], "only locations, no messages");
    }
    let wrong = live.app.app.live_table().table_and_status().1.last_error.unwrap();
    let texts: Vec<_> =
        wrong.diagnostics().iter().filter_map(|diagnostic| diagnostic.location.as_ref()).collect();
    assert!(
        texts.iter().all(|location| !location.file.text.contains('\n')),
        "reports keep no whole files"
    );
    let ready = live.get("/readyz").await;
    assert_eq!(ready["ready"], json!(true));
    assert!(ready["warning"].as_str().is_some_and(|warning| warning.contains("reload failed")));
    std::fs::write(&path, one_rule("agent_2")).unwrap();
    live.reload().await;
    let ready = live.get("/readyz").await;
    assert_eq!(ready["warning"], json!(null));
    assert_eq!(ready["table"]["last_reload"]["ok"], json!(true));
    assert_eq!(ready["table"]["last_reload"]["diagnostics"], json!([]));
    assert_ne!(ready["table"]["fingerprint"], fingerprint);
    assert_eq!(live.agent().await, "agent_2");
}

#[tokio::test]
async fn post_reload_returns_the_result() {
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
    let diagnostic = &body["diagnostics"][0];
    assert_eq!((&diagnostic["line"], &diagnostic["column"]), (&json!(4), &json!(8)), "{body}");
    assert!(diagnostic["message"].as_str().unwrap().contains("has 10 digits"), "{body}");
    assert_eq!(live.agent().await, "agent_2");
}

#[tokio::test]
async fn concurrent_reload_requests_share_one_reload() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(RULES);
    std::fs::write(&path, one_rule("agent_1")).unwrap();
    let live = live(&path, None);
    std::fs::write(&path, one_rule("agent_2")).unwrap();
    let results = join_all((0..20).map(|_| live.reload())).await;
    assert!(results.iter().all(|reloaded| reloaded.ok));
    assert_eq!(live.agent().await, "agent_2");
    assert!(live.reloads("success").await <= 2, "one reload for several requests");
}

#[tokio::test]
async fn reload_returns_503_while_the_service_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(RULES);
    std::fs::write(&path, one_rule("agent_1")).unwrap();
    let live = live(&path, None);
    live.stop.cancel();
    let (status, body) = live.admin(Request::post("/reload").body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["detail"], json!("the service is stopping"));
}

// ---- polling

/// Rewrites a file with the same length and modification time, as restoring from an archive does.
fn rewrite_unseen(path: &Path, text: &str) {
    let before = std::fs::metadata(path).unwrap();
    assert_eq!(before.len(), text.len() as u64);
    std::fs::write(path, text).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
}

#[tokio::test]
async fn detects_every_kind_of_change() {
    let mut mount = Mount::new(&[(RULES, &one_rule("agent_1")), (PEOPLE, "")]);
    let live = live(&mount.path(RULES), Some(POLL));
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
    live.until_agent("agent_66", "deleted and created again").await;
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
async fn detects_missing_files_that_appear() {
    let mut mount = Mount::new(&[(RULES, &one_rule("agent_1")), (PEOPLE, "")]);
    let live = live(&mount.path(RULES), Some(POLL));
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

#[tokio::test(start_paused = true)]
async fn an_invalid_table_is_reported_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(RULES);
    std::fs::write(&path, one_rule("agent_1")).unwrap();
    let live = live(&path, Some(POLL));
    for (times, bad) in [(1, Some(&b"[[rule"[..])), (2, Some(b"\xff")), (3, None)] {
        match bad {
            Some(bytes) => rename_over(&path, bytes),
            None => std::fs::remove_file(&path).unwrap(),
        }
        live.until_reloads("failure", times, "a bad edit").await;
        live.after_polls().await;
        assert_eq!(live.reloads("failure").await, times, "no change since then");
    }
    rename_over(&path, one_rule("agent_2"));
    live.until_agent("agent_2", "a good edit").await;
    live.after_polls().await;
    assert_eq!(live.reloads("success").await, 1, "no change since then");
}

#[tokio::test(start_paused = true)]
async fn detects_changes_of_each_file_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("50-everyone.toml"), one_rule("agent_1")).unwrap();
    let live = live(folder.path(), Some(POLL));
    let first = |agent| one_rule(agent).replace("everyone", "first") + "from = \"+1*\"\n";
    rename_over(&file("10-first.toml"), first("agent_2"));
    live.until_agent("agent_2", "a new file, earlier by name").await;
    rename_over(&file("20-second.toml"), b"# \xff");
    live.until_reloads("failure", 1, "a file that is not UTF-8").await;
    std::fs::write(file("20-second.toml"), "# nothing").unwrap();
    live.until_reloads("success", 2, "the file is fixed in place").await;
    std::fs::remove_file(file("10-first.toml")).unwrap();
    live.until_agent("agent_1", "the file is removed").await;
    rename_over(&file("20-second.toml"), first("agent_3").replace("from", "form"));
    live.until_reloads("failure", 2, "a file is broken").await;
    assert_eq!(live.agent().await, "agent_1");
    std::fs::write(file("20-second.toml"), first("agent_3")).unwrap();
    live.until_agent("agent_3", "the file is fixed").await;
    std::os::unix::fs::symlink("later", file("30-third.toml")).unwrap();
    live.until_reloads("failure", 3, "a link to nothing").await;
    let before = live.reloads("success").await;
    rename_over(&file("later"), "# nothing");
    live.until_reloads("success", before + 1, "the target of the link appears").await;
    // Files that are not tables are ignored.
    let before = live.reloads("success").await;
    std::fs::write(file(".hidden.toml"), first("agent_4")).unwrap();
    std::fs::write(file("notes.txt"), first("agent_4")).unwrap();
    live.after_polls().await;
    assert_eq!(live.reloads("success").await, before);
    for name in ["20-second.toml", "30-third.toml", "50-everyone.toml"] {
        std::fs::remove_file(file(name)).unwrap();
    }
    live.until_reloads("failure", 4, "an empty folder").await;
    assert_eq!(live.agent().await, "agent_3");
    rename_over(&file("50-everyone.toml"), one_rule("agent_5"));
    live.until_agent("agent_5", "a file in the empty folder").await;
}

#[tokio::test(start_paused = true)]
async fn without_polling_an_edit_waits_for_a_reload_request() {
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
    live.after_polls().await;
    assert_eq!((live.agent().await.as_str(), live.reloads("success").await), ("agent_1", 0));
    assert!(live.reload().await.ok);
    assert_eq!(live.agent().await, "agent_2");
}

#[tokio::test]
async fn rejects_a_named_pipe_as_a_list_file() {
    let mut mount = Mount::new(&[(RULES, &one_rule("agent_1")), (PEOPLE, "")]);
    let live = live(&mount.path(RULES), None);
    mount.swap(&[(RULES, LISTED)]);
    let pipe = mount.path("..data").join(PEOPLE);
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let result = tokio::time::timeout(DEADLINE, live.reload()).await;
    // Releases a reader that waits for a writer.
    drop(std::fs::File::options().read(true).write(true).open(pipe));
    let reloaded = result.expect("the reload does not wait for a writer");
    assert!(errors(&reloaded).contains(&"no-file rules.toml:1:21".to_owned()));
}

#[tokio::test]
async fn rejects_a_named_pipe_as_a_rule_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(RULES);
    std::fs::write(&path, one_rule("agent_1")).unwrap();
    let live = live(&path, None);
    std::fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let result = tokio::time::timeout(DEADLINE, live.reload()).await;
    // Releases a reader that waits for a writer.
    drop(std::fs::File::options().read(true).write(true).open(&path));
    let reloaded = result.expect("the reload does not wait for a writer");
    let report = reloaded.report.to_string();
    assert!(report.contains("rules.toml: it is a named pipe, not a regular file"), "{report}");
    std::fs::remove_file(&path).unwrap();
    std::fs::File::create(&path).unwrap().set_len(256_000_001).unwrap();
    let report = live.reload().await.report.to_string();
    assert!(report.contains("it has 256000001 bytes, and the limit is 256 MB"), "{report}");
    assert_eq!(live.agent().await, "agent_1");
}

// ---- files that are still being written

/// A table with a rule for a list, whose file a test writes piece by piece.
const BLOCKING: &str = r#"lists.people.file = "people.csv"

[[rule]]
name = "blocked"
from = "@people"
reject = true

[[rule]]
name = "everyone"
agent = "agent_1"
"#;

impl Live {
    /// Lets the time of so many polls pass. The test starts with paused time.
    async fn polls(&self, count: u32) {
        wait::pass_virtual_time(count * POLL).await;
    }

    /// Returns the number of entries of the only list of the live table.
    fn rows(&self) -> usize {
        self.app.app.table().lists.all()[0].rows
    }
}

/// Returns a file with so many numbers.
fn numbers(count: usize) -> String {
    let rows = (0..count).map(|at| format!("+1213777{at:04}\n"));
    std::iter::once("number\n".to_owned()).chain(rows).collect()
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_still_being_written_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let (path, list) = (folder.path().join(RULES), folder.path().join(PEOPLE));
    std::fs::write(&path, BLOCKING).unwrap();
    std::fs::write(&list, numbers(100)).unwrap();
    let live = live(&path, Some(POLL));
    // A writer that pauses for longer than a poll takes, again and again.
    for rows in 0..20 {
        std::fs::write(&list, numbers(rows)).unwrap();
        live.polls(1).await;
        assert_eq!(live.rows(), 100, "{rows} rows are written");
    }
    std::fs::write(&list, numbers(120)).unwrap();
    live.until_reloads("success", 1, "the whole list").await;
    assert_eq!(live.rows(), 120);
}

#[tokio::test(start_paused = true)]
async fn a_new_file_of_a_folder_is_not_used_while_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("50-everyone.toml"), one_rule("agent_1")).unwrap();
    let live = live(folder.path(), Some(POLL));
    let first =
        |name: &str, agent: &str| one_rule(agent).replace("everyone", name) + "from = \"+1*\"\n";
    let mut text = String::new();
    for piece in 0..10 {
        text += &first(&format!("piece {piece}"), "agent_2");
        std::fs::write(file("10-new.toml"), &text).unwrap();
        live.polls(1).await;
        assert_eq!(live.agent().await, "agent_1", "after piece {piece}");
    }
    live.until_agent("agent_2", "the whole file").await;
    assert_eq!((live.reloads("success").await, live.reloads("failure").await), (1, 0));

    // A list that a new file names has not been seen by the poll that saw the file.
    std::fs::write(file("people.csv"), numbers(3)).unwrap();
    let listed = BLOCKING.replace("everyone", "someone");
    std::fs::write(file("05-lists.toml"), listed).unwrap();
    live.until_reloads("success", 2, "the list").await;
    assert_eq!(live.rows(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_loss_waits_for_five_more_polls_and_a_request_does_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    let (path, list) = (folder.path().join(RULES), folder.path().join(PEOPLE));
    std::fs::write(&path, BLOCKING).unwrap();
    std::fs::write(&list, numbers(100)).unwrap();
    let live = live(&path, Some(POLL));
    // Truncated, and filled a few polls later.
    std::fs::write(&list, numbers(0)).unwrap();
    live.polls(5).await;
    assert_eq!(live.rows(), 100, "an empty list waits");
    std::fs::write(&list, numbers(90)).unwrap();
    live.until_reloads("success", 1, "the filled list").await;
    assert_eq!(live.rows(), 90);

    std::fs::write(&list, numbers(0)).unwrap();
    live.polls(5).await;
    assert_eq!(live.rows(), 90);
    live.until_reloads("success", 2, "the list stays empty").await;
    assert_eq!(live.rows(), 0);

    let half = BLOCKING.split("[[rule]]\nname = \"everyone\"").next().unwrap();
    std::fs::write(&path, half).unwrap();
    live.polls(5).await;
    assert_eq!(live.agent().await, "agent_1", "the last rule is missing");
    assert!(live.reload().await.ok, "a request does not wait");
    assert_eq!(live.agent().await, "");
}

// ---- requests in progress

#[tokio::test(start_paused = true)]
async fn a_request_finishes_with_the_table_it_started_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(RULES);
    std::fs::write(&path, one_rule("agent_1") + "delay_ms = 3000\n").unwrap();
    let live = live(&path, None);
    let app = live.app.clone();
    let delayed = tokio::spawn(async move { reply_to(&app, &new_call()).await.agent });
    // Counted with the decision, before the delay.
    let decided = r#"switchboard_rule_calls_total{rule="everyone"}"#;
    while live.metric(decided).await == 0 {
        tokio::task::yield_now().await;
    }
    std::fs::write(&path, one_rule("agent_2")).unwrap();
    assert!(live.reload().await.ok);
    assert!(!delayed.is_finished(), "the delay has elapsed");
    assert_eq!(live.agent().await, "agent_2");
    assert_eq!(delayed.await.unwrap(), "agent_1");
}

#[tokio::test]
async fn a_retry_after_a_reload_gets_the_previous_reply() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(RULES);
    std::fs::write(&path, one_rule("agent_1")).unwrap();
    let live = live(&path, None);
    let call = new_call();
    let before = live.app.retell(&call).await.body;
    std::fs::write(&path, one_rule("agent_2")).unwrap();
    assert!(live.reload().await.ok);
    assert_eq!(live.app.retell(&call).await.body, before);
    assert_eq!(live.agent().await, "agent_2");
}

#[tokio::test]
async fn a_request_without_an_id_is_decided_again_by_new_rules_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(RULES);
    std::fs::write(&path, one_rule("agent_1")).unwrap();
    let live = live(&path, None);
    let without_id = app::retell_call("+12137771234", "+12137771235");
    let open = &without_id[..without_id.len() - 1];
    let with_time = format!("{open},\"event_timestamp\":{NOW_MS}}}");
    let agents = async || {
        let mut agents = Vec::new();
        for call in [&without_id, &with_time] {
            agents.push(reply_to(&live.app, call).await.agent);
        }
        agents
    };
    assert_eq!(agents().await, ["agent_1", "agent_1"]);
    // The same rules again: still retries.
    assert!(live.reload().await.ok);
    assert_eq!(agents().await, ["agent_1", "agent_1"]);
    let retries =
        r#"switchboard_requests_total{source="retell",kind="call",outcome="retry",status="200"}"#;
    let before = live.metric(retries).await;
    std::fs::write(&path, one_rule("agent_2")).unwrap();
    assert!(live.reload().await.ok);
    assert_eq!(agents().await, ["agent_2", "agent_1"], "the timestamp tells a retry");
    assert_eq!(live.metric(retries).await, before + 1);
}

#[tokio::test]
async fn a_replaced_table_is_dropped_once_no_request_uses_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(RULES);
    std::fs::write(&path, one_rule("agent_1")).unwrap();
    let live = live(&path, None);
    let held = live.app.app.live_table().shared_table();
    let old = Arc::downgrade(&held);
    for agent in ["agent_2", "agent_3"] {
        std::fs::write(&path, one_rule(agent)).unwrap();
        assert!(live.reload().await.ok);
    }
    assert_eq!(old.strong_count(), 2, "held by a request and by the list of retired tables");
    assert_eq!(&*held.agents[0].name, "agent_1");
    drop(held);
    let is_dropped = async || old.strong_count() == 0;
    assert!(wait::until_async(is_dropped).await, "the replaced table was not dropped");
}
