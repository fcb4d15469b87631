//! `switchboard health`: whether a running service is alive.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::Args;

use super::send::http_client;
use super::{ConfigFile, Exit, load_settings};

/// Exits 0 when it is, 1 when it is not or nobody answers.
#[derive(Debug, Args)]
pub(super) struct Health {
    #[command(flatten)]
    config: ConfigFile,
    /// What to ask [default: /healthz of the listener that the settings name]
    #[arg(long)]
    url: Option<String>,
}

const PATIENCE: Duration = Duration::from_secs(3);

impl Health {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let url = match &self.url {
            Some(url) => url.clone(),
            None => {
                let settings = load_settings(&self.config)?;
                format!("http://{}/healthz", reachable(settings.server.listen))
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let answered = runtime.block_on(async {
            http_client()?.get(&url).timeout(PATIENCE).send().await?.error_for_status()?;
            anyhow::Ok(())
        });
        match answered {
            Ok(()) => {
                writeln!(std::io::stdout(), "{url} is alive")?;
                Ok(Exit::Good)
            }
            Err(error) => {
                writeln!(std::io::stderr(), "{url} is not alive: {error:#}")?;
                Ok(Exit::Not)
            }
        }
    }
}

/// Where to reach what listens at `listen`: `0.0.0.0` is everywhere, so loopback will do.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), listen.port())
    } else {
        listen
    }
}
