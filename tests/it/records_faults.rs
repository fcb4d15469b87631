//! Records while their store breaks, and while the service is killed: acknowledged records are
//! kept, calls are answered, and queued records are written when the store is back.
//!
//! Tests the real program over real connections.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sqlx::{Connection, Executor, Row};
use switchboard::domain::clock::Clock;
use switchboard::domain::secret::Secret;
use switchboard::http::public;
use switchboard::pipeline::Switchboard;
use switchboard::records::Store;
use switchboard::settings::{Purpose, RecordsLocation};

use crate::support::app::{self, NOW_MS, SETTINGS, load_settings, retell_call, sign};
use crate::support::postgres::Postgres;
use crate::support::program::{self, Served, program, start, text};
use crate::support::wait::{self, DEADLINE, Running};

/// Reply deadline of the source. A call that takes less than `NOT_DELAYED` did not wait for it,
/// even on a busy machine.
const REPLY_WITHIN: Duration = Duration::from_millis(4_000);
const NOT_DELAYED: Duration = Duration::from_millis(3_000);
/// Tolerance for a busy machine.
const SLACK: Duration = Duration::from_millis(3_000);
/// Variable with the number of kills under load; see CONTRIBUTING.md.
const KILLS: &str = "KILLS";

const WAITS: [&str; 2] = ["no", "commit"];

/// Runs one load test at a time: two would starve each other.
fn load_test_lock() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder with the settings of a service and the location of its records.
pub(crate) struct Setup {
    folder: tempfile::TempDir,
    settings: String,
    store: StoreLocation,
}

#[derive(Clone)]
enum StoreLocation {
    /// A file, by its path below the folder.
    Sqlite(PathBuf),
    Postgres(String),
}

impl Setup {
    /// Keeps the records in this file below the folder.
    pub(crate) fn sqlite(path: &str, wait: &str) -> Setup {
        Setup::new(&format!("sqlite:{path}"), wait, |folder| {
            StoreLocation::Sqlite(folder.join(path))
        })
    }

    fn postgres(url: &str, wait: &str) -> Setup {
        Setup::new(url, wait, |_| StoreLocation::Postgres(url.to_owned()))
    }

    fn new(url: &str, wait: &str, store: impl FnOnce(&Path) -> StoreLocation) -> Setup {
        let settings = format!(
            "[sources.retell]\nplatform = \"retell\"\nsecrets = [\"env:RETELL_API_KEY\"]\n\
             reply_within_ms = {}\n[records]\nurl = \"{url}\"\nwait = \"{wait}\"\n\
             [rules]\npoll_ms = 0\n",
            REPLY_WITHIN.as_millis()
        );
        let rules = "[[rule]]\nname = \"everyone\"\nagent = \"agent_1\"\n";
        let (folder, settings) = program::folder(&settings, rules);
        let store = store(folder.path());
        Setup { folder, settings, store }
    }

    pub(crate) fn serve(&self) -> Served {
        Served::new(start(&["--config", &self.settings]))
    }

    /// Starts the service so that a write beyond the limit of a file's size is an error, as on a
    /// full disk, and not a signal.
    fn serve_without_xfsz(&self) -> Served {
        let service = program();
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' XFSZ && exec \"$0\" \"$@\""]).arg(service.get_program());
        shell.args(["serve", "--dev", "--config", &self.settings]);
        shell.current_dir(service.get_current_dir().expect("the repository"));
        for (name, value) in service.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        Served::new(Running::start(&mut shell))
    }

    pub(crate) fn file(&self) -> &Path {
        match &self.store {
            StoreLocation::Sqlite(path) => path,
            StoreLocation::Postgres(_) => panic!("no file"),
        }
    }

    /// Reads the records.
    pub(crate) fn recorded(&self) -> Recorded {
        self.store.recorded()
    }
}

/// Number of records of each call id.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    calls: HashMap<String, usize>,
    pub(crate) events: HashMap<String, usize>,
}

impl StoreLocation {
    #[track_caller]
    fn recorded(&self) -> Recorded {
        let (url, store) = match self {
            StoreLocation::Sqlite(path) => {
                (format!("sqlite:{}", path.display()), RecordsLocation::Sqlite(path.clone()))
            }
            StoreLocation::Postgres(url) => {
                (url.clone(), RecordsLocation::Postgres(Secret::new(url.as_str())))
            }
        };
        sqlx::any::install_default_drivers();
        blocking(async {
            Store::open(&store).await.expect("the store opens").close().await;
            let mut database =
                sqlx::AnyConnection::connect(&url).await.expect("the database accepts connections");
            let mut recorded = Recorded::default();
            let ids = "SELECT call_id, 0 FROM calls UNION ALL SELECT call_id, 1 FROM events";
            for row in database.fetch_all(ids).await.expect("the records can be read") {
                let id: String = row.try_get(0).expect("each call has its id");
                let is_event: i64 = row
                    .try_get::<i32, _>(1)
                    .map_or_else(|_| row.try_get(1).expect("a number"), i64::from);
                let kind = if is_event == 1 { &mut recorded.events } else { &mut recorded.calls };
                *kind.entry(id).or_default() += 1;
            }
            recorded
        })
    }
}

impl Recorded {
    /// Asserts that all acknowledged records exist once.
    #[track_caller]
    fn assert_holds(&self, calls: &[String], events: &[String], when: &str) {
        for (kind, here, acknowledged) in
            [("calls", &self.calls, calls), ("events", &self.events, events)]
        {
            let missing: Vec<_> =
                acknowledged.iter().filter(|id| !here.contains_key(*id)).collect();
            let first = &missing[..missing.len().min(5)];
            assert!(
                missing.is_empty(),
                "{when}: {} of {} {kind} are missing: {first:?}",
                missing.len(),
                acknowledged.len(),
            );
            let twice = here.iter().find(|(_, times)| **times > 1);
            assert_eq!(twice, None, "{when}: {kind}");
        }
    }
}

fn blocking<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// A connection of a platform, used for many requests.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    body: String,
    took: Duration,
}

impl Client {
    pub(crate) fn of(served: &Served) -> Client {
        Client::connect(served.url.trim_start_matches("http://")).expect("the service listens")
    }

    fn connect(address: &str) -> std::io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        Ok(Client { stream: BufReader::new(stream) })
    }

    /// Sends a call.
    fn call(&mut self, id: &str) -> std::io::Result<Reply> {
        let call = retell_call("+12137771234", "+12137771235");
        let call = call.replace("{\"from", &format!("{{\"call_id\":\"{id}\",\"from"));
        self.post("/inbound/retell", &call)
    }

    /// Sends the event that a call has ended.
    fn event(&mut self, id: &str) -> std::io::Result<Reply> {
        let event = format!(r#"{{"event":"call_ended","call":{{"call_id":"{id}"}}}}"#);
        self.post("/events/retell", &event)
    }

    pub(crate) fn post(&mut self, path: &str, body: &str) -> std::io::Result<Reply> {
        #[expect(clippy::disallowed_methods, reason = "the clock of the platform")]
        let now = jiff::Timestamp::now();
        let (name, signature) = sign("retell", body.as_bytes(), now.as_millisecond(), "dev");
        let start = Instant::now();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\n{name}: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let length = head.to_ascii_lowercase();
        let (_, length) = length.split_once("content-length: ").expect("a length");
        let length = length.split("\r\n").next().and_then(|length| length.parse().ok());
        let mut body = vec![0; length.expect("a number")];
        self.stream.read_exact(&mut body)?;
        let body = String::from_utf8(body).expect("text");
        Ok(Reply { status, body, took: start.elapsed() })
    }
}

/// Asserts that a call was answered by the rule, in time.
#[track_caller]
fn assert_answered(reply: &Reply, when: &str) {
    assert_eq!(reply.status, 200, "{when}: {reply:?}");
    assert!(reply.body.contains(r#""override_agent_id":"agent_1""#), "{when}: {reply:?}");
    assert!(reply.took < REPLY_WITHIN + SLACK, "{when}: {reply:?}");
}

/// Returns the response of the admin listener, head and body.
fn admin_response(served: &Served, path: &str) -> String {
    let mut stream = TcpStream::connect(&served.admin).expect("the service listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("the stream is open");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the service reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the service answers");
    answer
}

/// Returns the value of a metric; none while it is not exported.
fn metric(served: &Served, name: &str) -> Option<f64> {
    let metrics = admin_response(served, "/metrics");
    let of_name = |line: &str| line.strip_prefix(name)?.trim().parse().ok();
    metrics.lines().find_map(of_name)
}

/// Asserts that the service is ready, and returns whether it warns about records.
#[track_caller]
fn is_ready_for_records(served: &Served) -> bool {
    let ready = admin_response(served, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 200") && ready.contains(r#""ready":true"#), "{ready}");
    let warns = ready.contains(r#""warning":"records cannot be written"#);
    assert!(warns || ready.contains(r#""warning":null"#), "{ready}");
    !warns
}

fn store_up(served: &Served) -> bool {
    metric(served, "switchboard_records_store_up").expect("the metric is exported") == 1.0
}

#[track_caller]
pub(crate) fn until(served: &Served, what: &str, condition: impl FnMut() -> bool) {
    assert!(wait::until(condition), "{what}:\n{}", tail(&served.log()));
}

/// Returns the end of a log, without the lines of calls and events.
fn tail(log: &str) -> String {
    let is_relevant = |line: &&str| !line.contains(" call ") && !line.contains("refused");
    let lines: Vec<_> = log.lines().filter(is_relevant).collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Platforms that send calls and events, each on a connection of its own, until they are stopped or
/// the service is gone.
struct Load {
    stop: Arc<AtomicBool>,
    progress: Arc<Progress>,
    clients: Vec<JoinHandle<Acknowledged>>,
}

/// Number of requests that were answered with 200 so far. A client sends its first event after its first
/// call.
#[derive(Default)]
struct Progress {
    calls: AtomicUsize,
    events: AtomicUsize,
}

/// Ids of requests that were answered with 200.
#[derive(Default)]
struct Acknowledged {
    calls: Vec<String>,
    events: Vec<String>,
    /// Number of events that have to be sent again.
    not_stored: usize,
}

impl Load {
    /// Connects to each of these addresses; the clients of a `line` send the same calls.
    fn begin(lines: Vec<(String, Vec<String>)>) -> Load {
        let (stop, progress) = (Arc::new(AtomicBool::new(false)), Arc::new(Progress::default()));
        let begin = |(line, address): (String, String)| {
            let (stop, progress) = (stop.clone(), progress.clone());
            std::thread::spawn(move || Load::client(&line, &address, &stop, &progress))
        };
        let clients = lines
            .into_iter()
            .flat_map(|(line, addresses)| addresses.into_iter().map(move |to| (line.clone(), to)));
        Load { clients: clients.map(begin).collect(), stop, progress }
    }

    fn client(line: &str, address: &str, stop: &AtomicBool, progress: &Progress) -> Acknowledged {
        let mut acknowledged = Acknowledged::default();
        let Ok(mut client) = Client::connect(address) else { return acknowledged };
        for n in 0.. {
            let id = format!("{line}-{n}");
            let Ok(reply) = client.call(&id) else { break };
            assert_answered(&reply, "under load");
            acknowledged.calls.push(id.clone());
            progress.calls.fetch_add(1, Ordering::Relaxed);
            if n % 4 == 0 {
                let Ok(reply) = client.event(&id) else { break };
                match reply.status {
                    200 => {
                        acknowledged.events.push(id);
                        progress.events.fetch_add(1, Ordering::Relaxed);
                    }
                    503 => acknowledged.not_stored += 1,
                    _ => panic!("{reply:?}"),
                }
            }
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
        acknowledged
    }

    /// Waits until an event is acknowledged, and then until this many further calls are.
    #[track_caller]
    fn wait_for_calls(&self, calls: usize) {
        let Progress { calls: call_count, events } = &*self.progress;
        let has_event = wait::until(|| events.load(Ordering::Relaxed) > 0);
        assert!(has_event, "no event was acknowledged");
        let target = call_count.load(Ordering::Relaxed) + calls;
        let has_calls = wait::until(|| call_count.load(Ordering::Relaxed) >= target);
        assert!(has_calls, "fewer than {target} calls were answered");
    }

    /// Stops the clients and returns what was acknowledged.
    fn end(self) -> Acknowledged {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Acknowledged::default();
        for client in self.clients {
            let one = client.join().expect("all replies were correct");
            all.calls.extend(one.calls);
            all.events.extend(one.events);
            all.not_stored += one.not_stored;
        }
        all
    }
}

fn address(served: &Served) -> String {
    served.url.trim_start_matches("http://").to_owned()
}

/// Returns a number of calls that differs from round to round and is the same in each run.
fn calls_before_stop(round: usize) -> usize {
    20 + round * 37 % 150
}

#[test]
fn acknowledged_records_survive_kill_9() {
    let _lock = load_test_lock();
    #[expect(clippy::disallowed_methods, reason = "set by the developer who runs the tests")]
    let rounds = std::env::var(KILLS).map_or(10, |rounds| rounds.parse().expect("a number"));
    for wait in WAITS {
        let setup = Setup::sqlite("data/switchboard.db", wait);
        let mut all = Acknowledged::default();
        for round in 0..rounds {
            let served = setup.serve();
            let to = address(&served);
            // Two clients per line, so that each call is delivered twice, at about the same time.
            let lines = ["a", "b", "c"]
                .map(|line| (format!("{round}-{line}"), vec![to.clone(), to.clone()]));
            let load = Load::begin(lines.into());
            load.wait_for_calls(calls_before_stop(round));
            served.signal("-KILL");
            let acknowledged = load.end();
            drop(served);
            let calls = if wait == "commit" { &acknowledged.calls[..] } else { &[] };
            all.calls.extend_from_slice(calls);
            all.events.extend(acknowledged.events);
            setup.recorded().assert_holds(
                &all.calls,
                &all.events,
                &format!("{wait}, round {round}"),
            );
        }
        println!("{wait}: {} calls and {} events recorded", all.calls.len(), all.events.len());
        assert!(!all.events.is_empty(), "no request was acknowledged");
    }
}

/// Returns the threads of a process with their nice values; see `proc(5)`.
#[cfg(target_os = "linux")]
fn threads(process: u32) -> Vec<(String, i32)> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("the process runs");
    let threads = tasks.filter_map(|task| {
        let stat = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
        let (begin, rest) = stat.rsplit_once(") ")?;
        let name = begin.split_once('(')?.1.to_owned();
        Some((name, rest.split(' ').nth(16)?.parse().ok()?))
    });
    threads.collect()
}

#[cfg(target_os = "linux")]
#[test]
fn writer_threads_have_a_lower_priority_than_replies() {
    const WRITER: i32 = 5;
    // The service inherits the nice value of this process.
    let own = threads(std::process::id()).first().expect("this process has a thread").1;
    for (wait, writer) in [("no", WRITER), ("commit", own)] {
        let setup = Setup::sqlite("records.db", wait);
        let served = setup.serve();
        let is_writer = |name: &str| name == "records" || name.starts_with("sqlx-sqlite");
        let mut threads_now = Vec::new();
        let has_opened = wait::until(|| {
            threads_now = threads(served.id());
            threads_now.iter().any(|(name, _)| name.starts_with("sqlx-sqlite"))
        });
        assert!(has_opened, "{threads_now:?}");
        for (name, nice) in threads_now {
            let expected = if is_writer(&name) { writer } else { own };
            // Only root may raise the priority of a thread, from a nice value above `WRITER`.
            let is_unchanged = own > WRITER && nice == own;
            assert!(
                nice == expected || is_unchanged,
                "wait = {wait}: {name}: {nice}, not {expected}"
            );
        }
    }
}

#[test]
fn sigterm_under_load_loses_no_record() {
    let _lock = load_test_lock();
    let setup = Setup::sqlite("data/switchboard.db", "no");
    let mut all = Acknowledged::default();
    for round in 0..6 {
        let served = setup.serve();
        let lines =
            ["a", "b", "c", "d"].map(|line| (format!("{round}-{line}"), vec![address(&served)]));
        let load = Load::begin(lines.into());
        load.wait_for_calls(calls_before_stop(round));
        let (code, log) = served.terminate();
        let acknowledged = load.end();
        assert_eq!(code, Some(0), "{}", tail(&log));
        assert!(!acknowledged.calls.is_empty(), "no request was acknowledged");
        all.calls.extend(acknowledged.calls);
        all.events.extend(acknowledged.events);
        setup.recorded().assert_holds(&all.calls, &all.events, &format!("round {round}"));
    }
    println!("{} calls and {} events recorded", all.calls.len(), all.events.len());
}

#[test]
fn two_replicas_lose_no_record_when_they_stop_under_load() {
    let Some(postgres) = Postgres::shared() else { return };
    let _lock = load_test_lock();
    let setup = Setup::postgres(&postgres.fresh(), "no");
    let mut all = Acknowledged::default();
    for round in 0..4 {
        let (one, other) = std::thread::scope(|scope| {
            let one = scope.spawn(|| setup.serve());
            (one.join().expect("it serves"), setup.serve())
        });
        // Each call is delivered to both, at about the same time.
        let to = vec![address(&one), address(&other)];
        let lines = ["a", "b", "c", "d"].map(|line| (format!("{round}-{line}"), to.clone()));
        let load = Load::begin(lines.into());
        load.wait_for_calls(300 + calls_before_stop(round));
        let (code, log) = one.terminate();
        let (other_code, other_log) = other.terminate();
        let acknowledged = load.end();
        assert_eq!((code, other_code), (Some(0), Some(0)), "{}", tail(&log));
        for log in [log, other_log] {
            assert!(!log.contains("records cannot be written"), "round {round}: {}", tail(&log));
        }
        assert!(!acknowledged.calls.is_empty(), "no request was acknowledged");
        all.calls.extend(acknowledged.calls);
        all.events.extend(acknowledged.events);
        setup.recorded().assert_holds(&all.calls, &all.events, &format!("round {round}"));
    }
    println!("{} calls and {} events recorded", all.calls.len(), all.events.len());
}

/// Breaks a store and repairs it: calls are answered, events are not acknowledged, and all calls
/// are recorded in the end. Returns the service.
#[track_caller]
fn check(
    setup: &Setup,
    served: Served,
    break_store: impl FnOnce(),
    repair_store: impl FnOnce(),
) -> Served {
    let mut client = Client::of(&served);
    let mut calls: Vec<String> = Vec::new();
    let mut call = |client: &mut Client, when: &str| {
        let id = format!("call-{}", calls.len());
        let reply = client.call(&id).expect("an answer");
        assert_answered(&reply, when);
        calls.push(id);
        reply
    };
    call(&mut client, "before");
    break_store();
    until(&served, "the outage is detected", || {
        call(&mut client, "when it breaks");
        !is_ready_for_records(&served)
    });
    for _ in 0..50 {
        let reply = call(&mut client, "while it is broken");
        assert!(reply.took < NOT_DELAYED, "the reply waited for a broken store: {reply:?}");
    }
    let event = Client::of(&served).event("never stored").expect("an answer");
    assert_eq!(event.status, 503, "{event:?}");
    assert!(event.took < REPLY_WITHIN + SLACK, "{event:?}");
    assert!(!store_up(&served), "{}", tail(&served.log()));
    repair_store();
    until(&served, "the store is up again", || store_up(&served));
    until(&served, "readiness reports no outage", || is_ready_for_records(&served));
    let event = client.event("stored").expect("an answer");
    assert_eq!(event.status, 200, "{event:?}");
    call(&mut client, "after");
    until(&served, "all calls are written", || {
        let written = metric(&served, "switchboard_records_written_total{kind=\"call\"}");
        written >= Some(calls.len() as f64)
    });
    let log = served.log();
    assert!(!log.contains("+12137771234") && !log.contains("postgres://"), "{log}");
    let recorded = setup.recorded();
    recorded.assert_holds(&calls, &["stored".to_owned()], "after");
    served
}

#[test]
fn writes_after_a_file_lock_is_released() {
    for wait in WAITS {
        let setup = Setup::sqlite("data/switchboard.db", wait);
        let served = setup.serve();
        let lock = Mutex::new(None);
        let url = format!("sqlite:{}", setup.file().display());
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let lock_file = || {
            sqlx::any::install_default_drivers();
            let locked = runtime.block_on(async {
                let mut other = sqlx::AnyConnection::connect(&url).await?;
                other.execute("PRAGMA busy_timeout = 5000; BEGIN EXCLUSIVE").await?;
                Ok::<_, sqlx::Error>(other)
            });
            *lock.lock().unwrap() = Some(locked.expect("the file can be locked"));
        };
        check(&setup, served, lock_file, || {
            let other = lock.lock().unwrap().take().expect("the file was locked");
            runtime.block_on(other.close()).expect("the connection closes");
        });
    }
}

#[test]
fn writes_once_the_folder_can_be_created() {
    for wait in WAITS {
        let setup = Setup::sqlite("data/switchboard.db", wait);
        let data = setup.folder.path().join("data");
        std::fs::write(&data, "a file in place of the folder").unwrap();
        check(&setup, setup.serve(), || {}, || std::fs::remove_file(&data).unwrap());
    }
}

#[test]
fn leaves_a_file_that_is_not_a_database_unchanged_and_writes_once_it_is_removed() {
    for wait in WAITS {
        let setup = Setup::sqlite("switchboard.db", wait);
        let garbage = b"no database ".repeat(1_000);
        std::fs::write(setup.file(), &garbage).unwrap();
        check(
            &setup,
            setup.serve(),
            || {},
            || {
                assert!(std::fs::read(setup.file()).unwrap() == garbage, "the file has changed");
                std::fs::remove_file(setup.file()).unwrap();
            },
        );
    }
}

#[test]
fn creates_a_deleted_folder_again() {
    for wait in WAITS {
        let setup = Setup::sqlite("data/switchboard.db", wait);
        let served = setup.serve();
        let mut client = Client::of(&served);
        let send_calls = |client: &mut Client, name: &str| {
            let ids: Vec<_> = (0..20).map(|n| format!("{name}-{n}")).collect();
            for id in &ids {
                assert_answered(&client.call(id).expect("an answer"), name);
            }
            ids
        };
        send_calls(&mut client, "before");
        assert_eq!(client.event("before-0").expect("an answer").status, 200);
        std::fs::remove_dir_all(setup.folder.path().join("data")).unwrap();
        let calls = send_calls(&mut client, "after");
        assert_eq!(client.event("after-0").expect("an answer").status, 200);
        until(&served, "the file is created again", || setup.file().exists());
        let (code, log) = served.terminate();
        assert_eq!(code, Some(0), "{}", tail(&log));
        setup.recorded().assert_holds(&calls, &["after-0".to_owned()], wait);
    }
}

/// Limits the size of the files of a process. The limit can be raised again.
fn limit_file_size(process: u32, bytes: &str) {
    let mut limit = Command::new("prlimit");
    limit.args([format!("--pid={process}"), format!("--fsize={bytes}:")]);
    assert!(limit.status().expect("prlimit").success());
}

#[test]
fn a_full_disk_delays_no_call_and_queued_records_are_written_later() {
    for wait in WAITS {
        let setup = Setup::sqlite("data/switchboard.db", wait);
        let served = setup.serve_without_xfsz();
        let process = served.id();
        let full = || limit_file_size(process, "4096");
        check(&setup, served, full, || limit_file_size(process, "unlimited"));
    }
}

#[test]
fn a_reply_that_waits_for_a_commit_is_sent_when_the_commit_fails() {
    let setup = Setup::sqlite("data/switchboard.db", "commit");
    let served = setup.serve_without_xfsz();
    let mut client = Client::of(&served);
    assert_answered(&client.call("before").expect("an answer"), "before");
    limit_file_size(served.id(), "4096");
    let reply = client.call("when it breaks").expect("an answer");
    assert_answered(&reply, "when it breaks");
    assert!(reply.took < NOT_DELAYED, "{reply:?}");
    let uncommitted = metric(&served, "switchboard_records_uncommitted_total");
    assert_eq!(uncommitted, Some(1.0), "the reply did not wait");
}

#[test]
fn does_not_log_a_database_url_with_a_misspelt_option() {
    const PASSWORD: &str = "c0rrect-h0rse";
    let setup = Setup::postgres("env:RECORDS_URL", "no");
    let mut serve = program();
    serve.args(["serve", "--dev", "--config", &setup.settings]);
    serve.env("RECORDS_URL", format!("postgres://u:{PASSWORD}@127.0.0.1:9/d?passwrod={PASSWORD}"));
    let served = Served::new(Running::start(&mut serve));
    until(&served, "the outage is logged", || served.log().contains("cannot be written"));
    let (code, log) = served.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains(PASSWORD) && !log.contains("postgres://"), "{log}");
}

#[test]
fn writes_after_the_database_restarts() {
    let Some(postgres) = Postgres::own() else { return };
    let postgres = Mutex::new(postgres);
    for wait in WAITS {
        let setup = Setup::postgres(&postgres.lock().unwrap().fresh(), wait);
        let served = setup.serve();
        let stop = || postgres.lock().unwrap().stop();
        check(&setup, served, stop, || postgres.lock().unwrap().start());
    }
}

#[test]
fn writes_to_a_database_that_starts_after_the_service() {
    let Some(postgres) = Postgres::own() else { return };
    let postgres = Mutex::new(postgres);
    for wait in WAITS {
        let setup = Setup::postgres(&postgres.lock().unwrap().fresh(), wait);
        postgres.lock().unwrap().stop();
        check(&setup, setup.serve(), || {}, || postgres.lock().unwrap().start());
    }
}

/// A proxy of a database that can be blocked: data is accepted and not delivered.
struct Proxy {
    port: u16,
    gate: Arc<Gate>,
}

/// Blocks threads while it is closed.
#[derive(Default)]
struct Gate {
    is_closed: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) {
        let is_closed = self.is_closed.lock().unwrap();
        drop(self.changed.wait_while(is_closed, |is_closed| *is_closed).unwrap());
    }

    fn set_closed(&self, is_closed: bool) {
        *self.is_closed.lock().unwrap() = is_closed;
        self.changed.notify_all();
    }
}

impl Proxy {
    fn to(port: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let own = listener.local_addr().expect("an address").port();
        let gate = Arc::new(Gate::default());
        let proxy = Proxy { port: own, gate: gate.clone() };
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let near = near.expect("a connection");
                let gate = gate.clone();
                std::thread::spawn(move || {
                    gate.pass();
                    let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else { return };
                    let (from, to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                    std::thread::spawn({
                        let gate = gate.clone();
                        move || Proxy::forward(from, to, &gate)
                    });
                    Proxy::forward(far, near, &gate);
                });
            }
        });
        proxy
    }

    fn forward(mut from: TcpStream, mut to: TcpStream, gate: &Gate) {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            gate.pass();
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        drop(to.shutdown(std::net::Shutdown::Both));
    }

    /// Returns the URL of the database behind the proxy.
    fn url(&self, url: &str) -> String {
        let (before, rest) = url.split_once("127.0.0.1:").expect("loopback");
        let (_, database) = rest.split_once('/').expect("a database");
        format!("{before}127.0.0.1:{}/{database}", self.port)
    }
}

fn port_of(url: &str) -> u16 {
    let (_, rest) = url.split_once("127.0.0.1:").expect("loopback");
    rest.split('/').next().and_then(|port| port.parse().ok()).expect("a port")
}

#[test]
fn a_database_that_accepts_and_never_answers_delays_no_call() {
    let Some(postgres) = Postgres::shared() else { return };
    for wait in WAITS {
        for blocked_from_the_start in [true, false] {
            let url = postgres.fresh();
            let proxy = Proxy::to(port_of(&url));
            proxy.gate.set_closed(blocked_from_the_start);
            let setup = Setup {
                store: StoreLocation::Postgres(url.clone()),
                ..Setup::postgres(&proxy.url(&url), wait)
            };
            check(
                &setup,
                setup.serve(),
                || proxy.gate.set_closed(true),
                || proxy.gate.set_closed(false),
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn queued_events_leave_room_for_calls_while_the_store_is_broken() {
    let settings = format!("{SETTINGS}[records]\nurl = \"memory:\"\n");
    let (settings, report) = load_settings(&settings, Purpose::Serve);
    let settings = settings.unwrap_or_else(|| panic!("{report}"));
    let (table, _) = app::parse_rules("r", app::RULES.to_owned(), &settings.check_context());
    let clock = Clock::Fixed(jiff::Timestamp::from_millisecond(NOW_MS).unwrap());
    // The writer does not run.
    let (app, _writer) =
        Switchboard::with_records(settings.sources, table.unwrap(), clock, settings.records);
    let router = public::router(Arc::new(app), &settings.server);
    let event = |n: usize| {
        let event = format!(r#"{{"event":"call_ended","call":{{"call_id":"{n}"}}}}"#);
        app::answer(&router, app::retell_request("/events/retell", event.as_bytes()))
    };
    let events = join_all((0..5_000).map(event));
    let call = retell_call("+12137771234", "+12137771235");
    let call = app::answer(&router, app::retell_request("/inbound/retell", call.as_bytes()));
    let (events, call) = tokio::join!(biased; events, call);
    assert_eq!(call.status, 200, "{}", text(&call.body));
    assert!(events.iter().all(|event| event.status == 503), "an event was acknowledged");
}

/// Stops the service while calls wait for a store that does not come back.
#[track_caller]
fn check_shutdown(setup: &Setup) {
    const CALLS: usize = 3_000;
    let served = setup.serve();
    let mut client = Client::of(&served);
    until(&served, "the outage is detected", || {
        assert_answered(&client.call("first").expect("an answer"), "first");
        !store_up(&served)
    });
    for n in 0..CALLS {
        assert_answered(
            &client.call(&format!("call-{n}")).expect("an answer"),
            "while it is broken",
        );
    }
    let start = Instant::now();
    let (code, log) = served.terminate();
    let took = start.elapsed();
    assert_eq!(code, Some(0), "{}", tail(&log));
    assert!(took < Duration::from_secs(20), "{took:?}: {}", tail(&log));
    assert!(log.contains(&format!("lost={}", CALLS + 1)), "{}", tail(&log));
}

#[test]
fn a_service_with_a_broken_store_stops_in_time_and_logs_the_loss() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let silent_port = silent.local_addr().unwrap().port();
    let setup = Setup::sqlite("data/switchboard.db", "no");
    std::fs::write(setup.folder.path().join("data"), "a file in place of the folder").unwrap();
    check_shutdown(&setup);
    for port in [silent_port, refusing] {
        let setup = Setup::postgres(&format!("postgres://u@127.0.0.1:{port}/d"), "no");
        check_shutdown(&setup);
    }
}
