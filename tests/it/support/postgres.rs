//! A PostgreSQL server for the tests, on a free port of loopback and with its own folder. It ends with the
//! test process, even if that is killed.
//!
//! Without an installed PostgreSQL, tests that need it print that they are skipped. They fail in CI, and if
//! `SWITCHBOARD_TESTS_REQUIRE` contains `postgres`.

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::program::text;
use crate::support::required::{self, variable};
use crate::support::wait::{self, LineReader, Running};

/// Runs the server: reads one command per line. At the end of its input it stops the server and
/// deletes the folder.
const KEEPER: &str = r#"
folder=$1 bin=$2
trap '' PIPE
trap : HUP INT TERM
control() { "$bin/pg_ctl" -D "$folder/data" -s -w "$@" >>"$folder/log" 2>&1 </dev/null; }
while read -r what port; do
    case $what in
        init) "$bin/initdb" -D "$folder/data" -U switchboard -A trust -E UTF8 --locale=C \
                  --no-sync >>"$folder/log" 2>&1 </dev/null ;;
        start) control -l "$folder/log" -o "-p $port -c listen_addresses=127.0.0.1 \
                   -c unix_socket_directories= -c max_connections=200" start ;;
        stop) control -m fast stop ;;
    esac && echo done || echo failed
done
control -m fast stop
cd / && rm -rf "$folder"
"#;

/// A server and the shell that runs it.
pub(crate) struct Postgres {
    psql: PathBuf,
    folder: PathBuf,
    port: u16,
    databases: AtomicUsize,
    keeper: Running,
    /// Closed by `drop`, which ends the keeper.
    commands: Option<ChildStdin>,
    results: LineReader,
}

impl Postgres {
    /// Returns the server that all tests of this process share. None without the programs, after
    /// printing that the test is skipped.
    pub(crate) fn shared() -> Option<&'static Postgres> {
        static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
        let programs = Programs::find_or_skip()?;
        SHARED.get_or_init(|| Some(Postgres::start_new(programs))).as_ref()
    }

    /// Starts a server for one test, which may stop it.
    pub(crate) fn own() -> Option<Postgres> {
        Programs::find_or_skip().map(Postgres::start_new)
    }

    /// Returns the URL of a database, which need not exist. `postgres` always does.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://switchboard@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates an empty database and returns its URL.
    #[track_caller]
    pub(crate) fn fresh(&self) -> String {
        let name = format!("fresh_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.query("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// Stops the server. Clients are disconnected; committed data stays.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        assert!(self.run_command("stop"), "PostgreSQL does not stop:\n{}", self.log());
    }

    /// Starts the server again on the same port with the same data.
    #[track_caller]
    pub(crate) fn start(&mut self) {
        let command = format!("start {}", self.port);
        assert!(self.run_command(&command), "PostgreSQL does not start:\n{}", self.log());
    }

    /// Runs SQL and returns one row per line. The database is a name or a URL.
    #[track_caller]
    pub(crate) fn query(&self, database: &str, sql: &str) -> String {
        let url = if database.contains("://") { database.to_owned() } else { self.url(database) };
        let mut psql = Command::new(&self.psql);
        psql.args(["-X", "-w", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql, &url]);
        let ran = wait::output(&mut psql);
        assert!(ran.status.success(), "{sql}: {}\n{}", text(&ran.stderr), self.log());
        text(&ran.stdout).trim_end().to_owned()
    }

    fn start_new(programs: Programs) -> Postgres {
        let Programs { server, psql } = programs;
        let folder = tempfile::Builder::new().prefix("switchboard-postgres-").tempdir();
        // The keeper deletes the folder, because a killed process cannot.
        let folder = folder.expect("a folder").keep();
        let mut keep = unprivileged_command(&folder);
        keep.args(["sh", "-c", KEEPER, "sh"]).arg(&folder).arg(&server);
        // Ctrl-C ends the tests only; the keeper then reads the end of its input.
        keep.current_dir("/").process_group(0);
        keep.stdin(Stdio::piped()).stderr(Stdio::null());
        let mut keeper = Running::start(&mut keep);
        let (commands, results) = (Some(keeper.take_stdin()), keeper.take_stdout());
        let databases = AtomicUsize::new(0);
        let mut postgres = Postgres { psql, folder, port: 0, databases, keeper, commands, results };
        assert!(postgres.run_command("init"), "no data folder:\n{}", postgres.log());
        // Another process may take the port first.
        let started = (0..5).any(|_| {
            postgres.port = free_port();
            postgres.run_command(&format!("start {}", postgres.port))
        });
        assert!(started, "PostgreSQL does not start:\n{}", postgres.log());
        postgres
    }

    /// Sends a command and returns whether it succeeded.
    fn run_command(&mut self, command: &str) -> bool {
        let commands = self.commands.as_mut().expect("the keeper runs");
        writeln!(commands, "{command}").expect("the keeper reads");
        self.results.read_line() == "done\n"
    }

    fn log(&self) -> String {
        let log = std::fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.commands.take());
        self.keeper.wait_or_kill();
    }
}

/// The programs of PostgreSQL.
struct Programs {
    /// The folder of `initdb`, `postgres` and `pg_ctl`.
    server: PathBuf,
    psql: PathBuf,
}

impl Programs {
    /// Finds the programs; without them, prints which test is skipped.
    fn find_or_skip() -> Option<Programs> {
        match Programs::find() {
            Ok(programs) => Some(programs),
            Err(missing) => {
                required::skip_test("postgres", missing);
                None
            }
        }
    }

    fn find() -> Result<Programs, &'static str> {
        let path = variable("PATH");
        let on_path: Vec<_> = std::env::split_paths(&path).collect();
        // Debian installs the programs of each version in a separate folder.
        let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok()?.parse::<u32>().ok())
            .collect();
        versions.sort_unstable();
        let versions = versions.iter().rev();
        let debian_folders = versions.map(|version| format!("/usr/lib/postgresql/{version}/bin"));
        let folders = on_path.iter().cloned().chain(debian_folders.map(PathBuf::from));
        // `postgres` can be a link. The other programs are beside its target.
        let real = |folder: PathBuf| {
            folder.join("postgres").canonicalize().ok()?.parent().map(Path::to_path_buf)
        };
        let is_complete =
            |folder: &PathBuf| ["initdb", "pg_ctl"].iter().all(|name| folder.join(name).is_file());
        let server = folders.filter_map(real).find(is_complete);
        let server = server.ok_or("no initdb and postgres on this machine")?;
        let mut client_folders = std::iter::once(&server).chain(&on_path);
        let psql = client_folders
            .find_map(|folder| Some(folder.join("psql")).filter(|psql| psql.is_file()));
        let psql = psql.ok_or("no psql on this machine")?;
        Ok(Programs { server, psql })
    }
}

/// Builds a command that runs as a user other than root, because PostgreSQL refuses to run as root. The user
/// becomes the owner of the folder.
fn unprivileged_command(folder: &Path) -> Command {
    let id = |arguments: &[&str]| -> Option<u32> {
        let ran = Command::new("id").args(arguments).stderr(Stdio::null()).output().ok()?;
        text(&ran.stdout).trim().parse().ok()
    };
    if id(&["-u"]) != Some(0) {
        return Command::new("env");
    }
    let other = ["postgres", "nobody"].iter().find_map(|name| {
        let (user, group) = (id(&["-u", name])?, id(&["-g", name])?);
        Some((user, group))
    });
    let (user, group) = other.expect("a user besides root");
    std::os::unix::fs::chown(folder, Some(user), Some(group)).expect("root can change the owner");
    let mut keep = Command::new("setpriv");
    keep.args([format!("--reuid={user}"), format!("--regid={group}")]).arg("--clear-groups");
    keep
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.local_addr().expect("an address").port()
}

#[test]
fn each_fresh_database_is_empty() {
    let Some(postgres) = Postgres::shared() else { return };
    let (one, other) = (postgres.fresh(), postgres.fresh());
    assert_ne!(one, other);
    postgres.query(&one, "CREATE TABLE numbers (n int)");
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(postgres.query(&one, tables), "1");
    assert_eq!(postgres.query(&other, tables), "0");
    let url = Postgres::shared().expect("PostgreSQL is installed").url("postgres");
    assert_eq!(postgres.query(&url, "SELECT current_database()"), "postgres");
}

#[test]
fn a_restarted_server_keeps_its_data_and_a_dropped_one_leaves_no_files() {
    let Some(mut postgres) = Postgres::own() else { return };
    let database = postgres.fresh();
    postgres.query(&database, "CREATE TABLE numbers AS SELECT 7 AS n");
    postgres.stop();
    let at = ("127.0.0.1", postgres.port);
    assert!(std::net::TcpStream::connect(at).is_err(), "PostgreSQL is still running");
    postgres.start();
    assert_eq!(postgres.query(&database, "SELECT n FROM numbers"), "7");
    let folder = postgres.folder.clone();
    drop(postgres);
    assert!(
        std::net::TcpStream::connect(at).is_err() && !folder.exists(),
        "PostgreSQL or its folder still exists"
    );
}
