//! `switchboard serve`: runs the service until SIGTERM or Ctrl-C.

use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::send::{SignedRequest, new_call, path_of};
use super::{CallFlags, ConfigFile, Exit, LoadedOk, load_without_errors};
use crate::domain::clock::Clock;
use crate::http::{self, ConnectionLimits, admin, public};
use crate::pipeline::Switchboard;
use crate::records::watch_for_other_instances;
use crate::reload::{ReloadHandle, Reloader};
use crate::settings::{AdminSettings, Purpose, ServerSettings, Settings};
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
}

impl Serve {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let purpose = if self.dev { Purpose::Dev } else { Purpose::Serve };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        // First of all: without a handler, SIGHUP ends the process.
        let hangup = {
            let _context = runtime.enter();
            signal(SignalKind::hangup())?
        };
        let Some(loaded) = load_without_errors(&self.config, purpose)? else {
            return Ok(Exit::Error);
        };
        let _log = telemetry::start_logging(&loaded.settings.log)?;
        let result = runtime.block_on(self.serve(loaded, hangup));
        // Does not wait for a reload in progress.
        runtime.shutdown_background();
        result
    }

    async fn serve(&self, loaded: LoadedOk, hangup: Signal) -> anyhow::Result<Exit> {
        let LoadedOk { settings, table, files, snapshot } = loaded;
        let context = settings.check_context();
        let Settings { server, admin, sources, rules, records, .. } = settings;
        // Before the log says "serving": a reader of the log may then send a signal.
        let shutdown_signal = shutdown_signal()?;
        raise_open_file_limit(server.max_connections);
        let public = bind(server.listen)?;
        let private = bind(admin.listen)?;
        let (address, admin_address) = (public.local_addr()?, private.local_addr()?);
        if self.dev {
            // A closed pipe is no reason not to serve.
            drop(print_quickstart(&sources, &format!("http://{address}")));
        }
        let fingerprint = table.fingerprint.clone();
        tracing::info!(%address, %admin_address, rules = table.rules.len(), fingerprint, "serving");
        tokio::spawn(watch_for_other_instances(records.location.clone()));
        let (app, writer) = Switchboard::with_records(sources, table, Clock::System, records);
        let app = Arc::new(app);
        app.recorder().store_snapshot(&fingerprint, snapshot.as_ref(), app.now());
        // The writer stops after the listeners, when nothing more can be queued.
        let (stop, stop_writer) = (CancellationToken::new(), CancellationToken::new());
        let writer = writer.map(|writer| writer.start(stop_writer.clone())).transpose()?;
        let (reloader, reload_handle) =
            Reloader::new(app.clone(), rules.path, context, rules.poll, files);
        tokio::spawn(reloader.run(stop.clone()));
        tokio::spawn(reload_on_hangup(hangup, reload_handle.clone()));
        let mut admin =
            tokio::spawn(serve_admin(private, admin, app.clone(), reload_handle, stop.clone()));
        let mut public = tokio::spawn(serve_public(public, server, app, stop.clone()));
        tokio::select! {
            () = shutdown_signal => {}
            ended = &mut public => anyhow::bail!("the public listener failed: {ended:?}"),
            ended = &mut admin => anyhow::bail!("the admin listener failed: {ended:?}"),
        }
        tracing::info!("stopping: waiting for requests in flight");
        stop.cancel();
        public.await.context("the public listener failed")?;
        admin.await.context("the admin listener failed")?;
        stop_writer.cancel();
        if let Some(writer) = writer {
            let ended = tokio::task::spawn_blocking(move || writer.join()).await?;
            ended.map_err(|_panic| anyhow::anyhow!("the records writer panicked"))?;
        }
        tracing::info!("stopped");
        Ok(Exit::Success)
    }
}

/// File descriptors besides those of public connections: listeners, admin connections, files, databases.
#[cfg(target_os = "linux")]
const OTHER_DESCRIPTORS: u64 = 200;

/// Raises the soft limit of open files to what the connections need, and warns if the hard limit is lower.
#[cfg(target_os = "linux")]
fn raise_open_file_limit(max_connections: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let needed = max_connections as u64 + OTHER_DESCRIPTORS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|limit| limit >= needed) {
        return;
    }
    let possible = maximum.map_or(needed, |limit| limit.min(needed));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(possible), maximum });
    if raised.is_err() || possible < needed {
        tracing::warn!(
            limit = getrlimit(Resource::Nofile).current,
            max_connections,
            "the limit of open files is below max_connections"
        );
    }
}

/// Limits of other systems are left to the operator.
#[cfg(not(target_os = "linux"))]
fn raise_open_file_limit(_: usize) {}

fn bind(address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    http::bind(address).with_context(|| format!("cannot listen on {address}"))
}

async fn serve_public(
    listener: TcpListener,
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
    http::serve(listener, public::router(app, &server), limits, stop.cancelled()).await;
}

async fn serve_admin(
    listener: TcpListener,
    admin: AdminSettings,
    app: Arc<Switchboard>,
    reload_handle: ReloadHandle,
    stop: CancellationToken,
) {
    let router = admin::router(app, Some(reload_handle), admin.token);
    http::serve(listener, router, ConnectionLimits::ADMIN, stop.cancelled()).await;
}

/// Reloads the rules on every SIGHUP. A signal during a reload causes another reload.
async fn reload_on_hangup(mut hangup: Signal, reload_handle: ReloadHandle) {
    while hangup.recv().await.is_some() {
        if reload_handle.reload().await.is_none() {
            return;
        }
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
    writeln!(stdout, "Listening on {base}. Try, from another terminal:\n")?;
    let without_token = sources.iter().find(|source| source.policy.url_token.is_none());
    if let Some(source) = without_token {
        let body = source.dialect.encode_request(&new_call(CallFlags::example()));
        let signed = SignedRequest::new(format!("{base}{}", path_of(source)), source, body)?;
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
