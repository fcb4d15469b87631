//! `switchboard serve`: runs the service until SIGTERM or Ctrl-C.

mod service_manager;
mod start;

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::output::{is_coloured, is_quiet};
use start::{Fault, Start};

use super::http_client::reachable;
use super::{ConfigFile, Exit, LoadedOk};
use crate::console::{self, ConsoleSetup};
use crate::domain::clock::Clock;
use crate::domain::secret::LiveSecret;
use crate::domain::user::LiveUsers;
use crate::effects;
use crate::http::{self, ConnectionLimits, PassedSockets, Transport, admin, public};
use crate::pipeline::Switchboard;
use crate::records::{Writer, watch_for_other_instances};
use crate::reload::{
    Credentials, ReloadHandle, Reloader, keep_fresh, log_diagnostics, note_isolated,
};
use crate::rules::{RuleSet, Snapshot, TablePlaces};
use crate::settings::{Inputs, Purpose, ServerSettings, Settings};
use crate::signed_request::{SignedRequest, example_call, new_call, path_of};
use crate::source::Source;
use crate::telemetry;

/// Run the service. On SIGTERM or Ctrl-C, it finishes the requests in flight and exits.
///
/// Exit status: 0 stopped by a signal; 2 the service could not start.
#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    config: ConfigFile,
    /// Development mode: bind to loopback, use the key `dev` for sources without a secret, log in a
    /// readable format, and print a curl command to try
    #[arg(long)]
    dev: bool,
    /// Refuse to start if the rules have errors, even if the last good rules are on disk or files could be
    /// isolated
    #[arg(long)]
    strict_start: bool,
}

impl Serve {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let inputs = self.config.inputs(if self.dev { Purpose::Dev } else { Purpose::Serve });
        // Before the runtime starts its threads: this changes the environment.
        let names = inputs.environment.get("LISTEN_FDNAMES").map(String::as_str);
        let passed = PassedSockets::take(names).context("cannot use the sockets of systemd")?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        // First of all: without a handler, SIGHUP ends the process.
        let hangup = {
            let _context = runtime.enter();
            signal(SignalKind::hangup())?
        };
        let Some(loaded) = start::load(&inputs, self.strict_start, &runtime)? else {
            return Ok(Exit::Error);
        };
        let colour = is_coloured(&std::io::stdout());
        let _telemetry = {
            let Settings { log, traces, .. } = &loaded.loaded.settings;
            telemetry::start(log, traces, colour)?
        };
        telemetry::log_panics();
        let result = runtime.block_on(self.serve(inputs, loaded, passed, hangup));
        // Does not wait for a reload in progress.
        runtime.shutdown_background();
        result
    }

    async fn serve(
        &self,
        inputs: Inputs,
        Start { loaded, places, fault }: Start,
        passed: PassedSockets,
        hangup: Signal,
    ) -> anyhow::Result<Exit> {
        let LoadedOk { mut settings, table, files, snapshot, origin } = loaded;
        // Before the log says "serving": a reader of the log may then send a signal.
        let shutdown_signal = shutdown_signal()?;
        settings.server.max_connections = allowed_connections(settings.server.max_connections);
        let listeners = Listeners::open(passed, &settings)?;
        self.announce(&listeners, &settings, &table)?;
        let context = settings.check_context();
        let Settings { server, admin, sources, rules, records, secrets, .. } = settings;
        tokio::spawn(watch_for_other_instances(records.location.clone()));
        let (app, writer) = Switchboard::with_records(sources, table, Clock::System, records);
        let app = Arc::new(app.with_secrets(secrets));
        let is_last_good = fault.as_ref().is_some_and(|fault| fault.last_good_at.is_some());
        note_start(&app, snapshot.as_ref(), places, fault);
        let stop = CancellationToken::new();
        let queues = Queues::start(app.clone(), writer)?;
        let (admin_token, admin_users) =
            (LiveSecret::from(admin.token), LiveUsers::from(admin.users));
        let people = (admin_token.clone(), admin_users.clone());
        let certificates = server.tls.clone();
        let credentials = Credentials::new(inputs, origin, app.clone(), people, certificates);
        let (rules_path, console_context) = (rules.path.clone(), context.clone());
        let has_polling = rules.poll.is_some();
        let (reloader, reload_handle) =
            Reloader::new(app.clone(), rules, context, files, Some(credentials));
        tokio::spawn(reloader.keeping(snapshot, is_last_good).run(stop.clone()));
        let reload_lists = (!has_polling).then(|| reload_handle.clone());
        tokio::spawn(keep_fresh(app.clone(), reload_lists, stop.clone()));
        tokio::spawn(reload_on_hangup(hangup, reload_handle.clone()));
        let public_router = public::router(app.clone(), &server);
        let public_url = listeners.public_url(&server)?;
        let console = console::router(ConsoleSetup {
            app: app.clone(),
            reload_handle: Some(reload_handle.clone()),
            token: admin_token.clone(),
            users: admin_users,
            reveal_numbers: admin.reveal_numbers,
            edit: admin.edit,
            rules_path,
            context: console_context,
            trusted_proxies: server.trusted_proxies.clone(),
            public: Some(public_router.clone()),
            public_url,
            stop: stop.clone(),
        });
        let router = admin::router(app.clone(), Some(reload_handle), admin_token, console);
        let admin = serve_admin(listeners.admin, router, stop.clone());
        let public = serve_public(listeners.public, public_router, server, app, stop.clone());
        let served = serve_until(shutdown_signal, public, admin, stop).await;
        // What is queued is written although a listener has failed.
        let finished = queues.finish().await;
        served.and(finished)?;
        tracing::info!("stopped");
        Ok(Exit::Success)
    }
}

/// Serves both listeners until the signal that ends the service, and then finishes the requests in flight.
async fn serve_until(
    shutdown_signal: impl Future<Output = ()>,
    public: impl Future<Output = ()> + Send + 'static,
    admin: impl Future<Output = ()> + Send + 'static,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut admin = tokio::spawn(admin);
    let mut public = tokio::spawn(public);
    tokio::spawn(service_manager::report_alive());
    service_manager::notify_ready();
    tokio::select! {
        () = shutdown_signal => {}
        ended = &mut public => anyhow::bail!("the public listener failed: {ended:?}"),
        ended = &mut admin => anyhow::bail!("the admin listener failed: {ended:?}"),
    }
    tracing::info!("stopping: waiting for requests in flight");
    service_manager::notify_stopping();
    stop.cancel();
    public.await.context("the public listener failed")?;
    admin.await.context("the admin listener failed")
}

impl Serve {
    /// Tells operators and the log that the service accepts connections.
    fn announce(
        &self,
        listeners: &Listeners,
        settings: &Settings,
        table: &RuleSet,
    ) -> anyhow::Result<()> {
        let address = listeners.public.local_addr()?;
        let admin_address = listeners.admin.local_addr()?;
        let scheme = if settings.server.tls.is_some() { "https" } else { "http" };
        if self.dev && !is_quiet() {
            // A closed pipe is no reason not to serve.
            drop(print_quickstart(&settings.sources, &format!("{scheme}://{address}")));
        }
        let (rules, fingerprint) = (table.rules.len(), &table.fingerprint);
        tracing::info!(%address, scheme, %admin_address, rules, fingerprint, "serving");
        if settings.rules.isolate && !settings.rules.path.is_dir() {
            tracing::warn!("[rules] isolate has no effect: the rules are one file, not a folder");
        }
        Ok(())
    }
}

/// What empties the queues that requests fill. It ends after the listeners, when nothing more can be queued.
struct Queues {
    effects: JoinHandle<()>,
    stop_effects: CancellationToken,
    writer: Option<std::thread::JoinHandle<()>>,
    stop_writer: CancellationToken,
}

impl Queues {
    fn start(app: Arc<Switchboard>, writer: Option<Writer>) -> anyhow::Result<Queues> {
        let (stop_effects, stop_writer) = (CancellationToken::new(), CancellationToken::new());
        let writer = writer.map(|writer| writer.start(stop_writer.clone())).transpose()?;
        let effects = tokio::spawn(effects::run(app, stop_effects.clone()));
        Ok(Queues { effects, stop_effects, writer, stop_writer })
    }

    /// Waits until both queues are empty: first that of the effects, which are recorded.
    async fn finish(self) -> anyhow::Result<()> {
        self.stop_effects.cancel();
        self.effects.await.context("the effects failed")?;
        self.stop_writer.cancel();
        if let Some(writer) = self.writer {
            let ended = tokio::task::spawn_blocking(move || writer.join()).await?;
            ended.map_err(|_panic| anyhow::anyhow!("the records writer panicked"))?;
        }
        Ok(())
    }
}

/// Records and publishes the rules with which the service starts, and what is wrong with them.
fn note_start(
    app: &Switchboard,
    snapshot: Option<&Snapshot>,
    places: TablePlaces,
    fault: Option<Fault>,
) {
    let table = app.live_table().table();
    app.recorder().store_snapshot(&table.fingerprint, snapshot, app.now());
    app.live_table().note_places(places);
    if let Some(fault) = fault {
        note_fault(app, fault);
    }
}

/// Publishes and logs that the service does not start with the rules as they are.
fn note_fault(app: &Switchboard, Fault { report, last_good_at, isolated }: Fault) {
    let errors = report.error_count();
    if let Some(saved_at) = last_good_at {
        let age_seconds = app.now().duration_since(saved_at).as_secs();
        tracing::error!(
            errors,
            %saved_at,
            age_seconds,
            "the rules have errors, started with the last good ones"
        );
        app.live_table().note_errors(report.clone(), last_good_at, Vec::new());
        app.counters().started_from_last_good(true);
    }
    app.counters().reloaded(false);
    log_diagnostics(&report, "rules");
    note_isolated(app, &report, isolated);
}

/// Sockets of both listeners.
struct Listeners {
    public: TcpListener,
    admin: TcpListener,
}

impl Listeners {
    /// Returns the URL at which this machine reaches the public listener; `None` if the name of its
    /// certificate is unknown.
    fn public_url(&self, server: &ServerSettings) -> anyhow::Result<Option<String>> {
        Ok(match server.tls {
            Some(_) => None,
            None => Some(format!("http://{}", reachable(self.public.local_addr()?))),
        })
    }

    /// Adopts the sockets that systemd passed, and binds the others to the addresses of the settings.
    fn open(passed: PassedSockets, settings: &Settings) -> anyhow::Result<Listeners> {
        let Settings { server, admin, .. } = settings;
        if let Some(socket) = &passed.admin {
            let address = socket.local_addr()?;
            let is_open = !address.ip().is_loopback() && admin.token.is_none();
            anyhow::ensure!(
                !is_open,
                "the admin socket on {address} would be open to everyone: set admin.token"
            );
        }
        let open = |passed: Option<StdListener>, address: SocketAddr, key: &str| match passed {
            Some(socket) => http::adopt(socket).context("cannot use the socket of systemd"),
            None => http::bind(address, server.reuse_port)
                .map_err(|error| not_bound(&error, address, key)),
        };
        Ok(Listeners {
            public: open(passed.public, server.listen, "server")?,
            // The next process needs an admin listener while this one finishes its requests.
            admin: open(passed.admin, admin.listen, "admin")?,
        })
    }
}

/// Returns why a listener cannot be opened, with the setting that has its address.
fn not_bound(error: &std::io::Error, address: SocketAddr, section: &str) -> anyhow::Error {
    let help = if error.kind() == ErrorKind::AddrInUse {
        "; stop the program that has the port, or set another one"
    } else if error.kind() == ErrorKind::AddrNotAvailable {
        "; write an address of this machine, or 0.0.0.0 for all"
    } else {
        ""
    };
    anyhow::anyhow!("cannot listen on {address}, which is `{section}.listen`: {error}{help}")
}

/// File descriptors besides those of public connections: listeners, admin connections, files, databases.
#[cfg(target_os = "linux")]
const OTHER_DESCRIPTORS: u64 = 200;

/// Raises the soft limit of open files to what the connections need. Returns how many connections the limit
/// allows, and warns if they are fewer: without a descriptor, the service could neither accept a probe nor
/// open a file.
#[cfg(target_os = "linux")]
fn allowed_connections(max_connections: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let needed = max_connections as u64 + OTHER_DESCRIPTORS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|limit| limit >= needed) {
        return max_connections;
    }
    let possible = maximum.map_or(needed, |limit| limit.min(needed));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(possible), maximum });
    if raised.is_ok() && possible == needed {
        return max_connections;
    }
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(needed);
    let allowed = limit.saturating_sub(OTHER_DESCRIPTORS).max(limit / 2);
    tracing::warn!(
        limit,
        max_connections,
        allowed,
        "the limit of open files is below max_connections"
    );
    max_connections.min(allowed as usize)
}

/// Limits of other systems are left to the operator.
#[cfg(not(target_os = "linux"))]
fn allowed_connections(max_connections: usize) -> usize {
    max_connections
}

async fn serve_public(
    listener: TcpListener,
    router: Router,
    server: ServerSettings,
    app: Arc<Switchboard>,
    stop: CancellationToken,
) {
    let limits = ConnectionLimits {
        max_connections: server.max_connections,
        max_unauthenticated_per_address: server.max_unauthenticated_per_address,
        trusted_proxies: server.trusted_proxies.clone(),
        first_header_timeout: ConnectionLimits::FIRST_HEADER_TIMEOUT,
        header_timeout: server.header_timeout,
        write_timeout: ConnectionLimits::WRITE_TIMEOUT,
        shutdown_grace: server.shutdown_grace,
    };
    let transport = Transport {
        tls: server.tls.clone(),
        http2: server.http2,
        proxy_protocol: server.proxy_protocol,
    };
    if let Some(tls) = &server.tls {
        app.counters().certificates(&tls.current());
    }
    http::serve(listener, router, limits, transport, stop.cancelled()).await;
}

async fn serve_admin(listener: TcpListener, router: Router, stop: CancellationToken) {
    let (limits, transport) = (ConnectionLimits::ADMIN, Transport::default());
    http::serve(listener, router, limits, transport, stop.cancelled()).await;
}

/// Reloads rules, secrets and certificates on every SIGHUP. A signal during a reload causes another reload.
async fn reload_on_hangup(mut hangup: Signal, reload_handle: ReloadHandle) {
    while hangup.recv().await.is_some() {
        service_manager::notify_reloading();
        if reload_handle.reload_for("SIGHUP").await.is_none() {
            return;
        }
        service_manager::notify_ready();
    }
}

/// Returns a future that completes on SIGTERM or Ctrl-C. From this call on, neither ends the process by
/// itself.
fn shutdown_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Prints a signed curl command, for a source whose URL contains no secret.
fn print_quickstart(sources: &[Source], base: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    if base.starts_with("https") {
        writeln!(stdout, "Listening on {base}. Try: switchboard send --url https://NAME\n")?;
        stdout.flush()?;
        return Ok(());
    }
    writeln!(stdout, "Listening on {base}. Try, from another terminal:\n")?;
    let without_token = sources.iter().find(|source| !source.policy.has_url_token());
    if let Some(source) = without_token {
        let now = Clock::System.now();
        let body = source.dialect.encode_request(&new_call(example_call(), now));
        let signed = SignedRequest::new(format!("{base}{}", path_of(source)), source, body, now)?;
        writeln!(stdout, "  {}\n", signed.as_curl())?;
        writeln!(
            stdout,
            "The signature is valid for five minutes; `switchboard send` creates a new one each time.\n"
        )?;
    } else {
        writeln!(stdout, "  switchboard send\n")?;
    }
    stdout.flush()?;
    Ok(())
}
