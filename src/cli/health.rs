//! `switchboard health`: checks that a running service is alive.

use std::io::Write;
use std::time::Duration;

use clap::Args;

use super::http_client::{http_client, http_url, reachable};
use super::output::is_quiet;
use super::{ConfigFile, Exit, describe, load_settings, print_error};

/// Request /healthz of a running service.
///
/// Exit status: 0 the service is alive; 1 it is not, or does not answer.
#[derive(Debug, Args)]
pub(super) struct Health {
    #[command(flatten)]
    config: ConfigFile,
    /// URL to request [default: /healthz of the public listener of the settings]
    #[arg(long)]
    url: Option<String>,
}

const REPLY_TIMEOUT: Duration = Duration::from_secs(3);

impl Health {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let from_settings = || {
            let (settings, _) = load_settings(&self.config)?;
            Ok(format!("http://{}/healthz", reachable(settings.server.listen)))
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
                writeln!(std::io::stderr(), "{url} is not alive: {}", describe(&error))?;
                Ok(Exit::Failure)
            }
        }
    }
}
