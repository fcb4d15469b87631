//! `switchboard health`: checks that a running service is alive.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use super::http_client::{http_client, http_url, reachable};
use super::output::{is_quiet, print_message};
use super::{ConfigFile, Exit, describe, load_settings, print_error};
use crate::settings::Settings;

/// Request /healthz of a running service.
///
/// Exit status: 0 the service is alive; 1 it is not, or does not answer.
#[derive(Debug, Args)]
pub(super) struct Health {
    #[command(flatten)]
    config: ConfigFile,
    /// URL to request [default: /healthz of the public listener of the settings, or of the admin listener with
    /// tls or proxy_protocol]
    #[arg(long)]
    url: Option<String>,
}

const REPLY_TIMEOUT: Duration = Duration::from_secs(3);

/// Returns the address of the listener to ask: the public one, unless its connections begin with TLS or a PROXY
/// header. A process that serves one serves the other.
fn listener(settings: &Settings) -> SocketAddr {
    match settings.server.tls.is_some() || settings.server.proxy_protocol {
        true => settings.admin.listen,
        false => settings.server.listen,
    }
}

impl Health {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let from_settings = || {
            let (settings, _) = load_settings(&self.config)?;
            Ok(format!("http://{}/healthz", reachable(listener(&settings))))
        };
        let url = match self.url.as_deref().map_or_else(from_settings, http_url) {
            Ok(url) => url,
            Err(error) => {
                print_error(&error);
                return Ok(Exit::Failure);
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let result = runtime.block_on(async {
            http_client()?.get(&url).timeout(REPLY_TIMEOUT).send().await?.error_for_status()?;
            anyhow::Ok(())
        });
        match result {
            Ok(()) => {
                if !is_quiet() {
                    writeln!(std::io::stdout(), "{url} is alive")?;
                }
                Ok(Exit::Success)
            }
            Err(error) => {
                print_message(format!("{url} is not alive: {}", describe(&error)));
                Ok(Exit::Failure)
            }
        }
    }
}
