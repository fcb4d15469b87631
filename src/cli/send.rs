//! `switchboard send`: sends a signed request as the platform would.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use url::Url;

use super::http_client::{http_client, http_url, reachable};
use super::output::{exit_after, print_message, print_note};
use super::{CallFlags, ConfigFile, Exit, format_body, load_settings};
use crate::domain::clock::Clock;
use crate::settings::Settings;
use crate::signed_request::{SignedRequest, new_call, path_of};
use crate::source::Source;

/// Sign with the source's first secret, or with the key `dev` if it is not available. The reply goes to
/// standard output; the status and the time go to standard error.
///
/// Exit status: 0 the reply is a 2xx; 1 it is not; 2 there is no reply.
#[derive(Debug, Args)]
pub(super) struct Send {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    call: CallFlags,
    /// URL to send to [default: the public listener of the settings]. Without a path, /inbound/SOURCE
    /// is added
    #[arg(long)]
    url: Option<String>,
    /// Print a signed curl command instead, which is valid for five minutes
    #[arg(long)]
    curl: bool,
}

/// Longer than any platform waits.
const REPLY_TIMEOUT: Duration = Duration::from_secs(15);

impl Send {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let (settings, notes) = load_settings(&self.config)?;
        let source = self.call.select_source(&settings.sources)?;
        let prefix = format!("`sources.{}.", source.name);
        let mut keys = settings.key_references.iter().filter(|(name, _)| **name == *source.name);
        let lacks_key = keys.any(|(_, key)| key.is_none());
        // The platform's API is not asked, so its key is not needed.
        let api_key = format!("{prefix}api_key`");
        let messages = notes.diagnostics().iter().map(|note| &note.message);
        let is_needed =
            |message: &&String| message.starts_with(&prefix) && !message.starts_with(&api_key);
        for message in messages.filter(is_needed) {
            let instead = if lacks_key { "; using `dev`, like serve --dev" } else { "" };
            print_note(format!("note: {message}{instead}"));
        }
        let now = Clock::System.now();
        let fields = new_call(self.call.fields(source)?, now);
        note_keys(&settings, source);
        if !source.dialect.channels().contains(&fields.channel) {
            anyhow::bail!("{} has no channel `{}`", source.dialect.platform(), fields.channel);
        }
        let body = self.call.body(source, &fields)?;
        let signed = SignedRequest::new(self.url(&settings, source)?, source, body, now)?;
        if self.curl {
            writeln!(std::io::stdout(), "{}", signed.as_curl())?;
            return Ok(Exit::Success);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(transmit(signed, &settings))
    }

    fn url(&self, settings: &Settings, source: &Source) -> anyhow::Result<String> {
        let base = match &self.url {
            Some(url) => http_url(url)?,
            None if settings.server.tls.is_some() => anyhow::bail!(
                "the service uses TLS: write --url https://NAME, with a name in its certificate"
            ),
            None => format!("http://{}", reachable(settings.server.listen)),
        };
        let after_scheme = base.split_once("://").map_or(base.as_str(), |(_, rest)| rest);
        match after_scheme.trim_end_matches('/').contains('/') {
            true => Ok(base),
            false => Ok(format!("{}{}", base.trim_end_matches('/'), path_of(source))),
        }
    }
}

/// Says with which keys a request will be signed: one for each scheme of the source.
fn note_keys(settings: &Settings, source: &Source) {
    let keys = settings.key_references.iter().filter(|(name, _)| **name == *source.name);
    let count = if source.policy.scheme.kind() == "all" { usize::MAX } else { 1 };
    let found: Option<Vec<_>> = keys.take(count).map(|(_, key)| key.as_deref()).collect();
    if let Some(keys) = found.filter(|keys| !keys.is_empty()) {
        let (name, keys) = (&source.name, keys.join(" and "));
        print_note(format!("note: signing for the source `{name}` with {keys}"));
    }
}

/// Returns why there is no reply, without the URL, which the message has already.
fn no_reply(error: reqwest::Error, url: &str) -> anyhow::Error {
    let advice = match error.is_connect() {
        true if url.starts_with("https://") => {
            ": is `switchboard serve` running, and does it have server.tls? Without, write http://"
        }
        true => ": is `switchboard serve` running there?",
        false => "",
    };
    let error = anyhow::Error::from(error.without_url());
    let cause = error.root_cause();
    anyhow::anyhow!("no reply from {url}: {cause}{advice}")
}

/// Statuses of HTTP that have a usual cause.
const NOT_FOUND: u16 = 404;
const UNAUTHORIZED: u16 = 401;

/// Says what a refusal probably means.
fn advise_on(status: u16, url: &str, settings: &Settings) {
    let port = Url::parse(url).ok().and_then(|url| url.port_or_known_default());
    let is_admin = port == Some(settings.admin.listen.port());
    if status == NOT_FOUND && is_admin {
        let listen = settings.server.listen;
        print_message(format!("this is the admin listener; calls go to server.listen, {listen}"));
    } else if status == UNAUTHORIZED {
        print_message("the service may have another secret than this command".to_owned());
    }
}

/// Sends a request, and prints the reply.
async fn transmit(signed: SignedRequest, settings: &Settings) -> anyhow::Result<Exit> {
    let client = http_client()?;
    let started = Instant::now();
    let (method, url, headers, body) = signed.into_parts();
    let request = client.request(method, &url).timeout(REPLY_TIMEOUT).headers(headers).body(body);
    let response = request.send().await.map_err(|error| no_reply(error, &url))?;
    let status = response.status();
    let body = response.bytes().await.context("the reply was cut off")?;
    let duration = started.elapsed();
    let summary = format!("{status} in {:.1} ms", duration.as_secs_f64() * 1000.0);
    let exit = match status.is_success() {
        true => {
            print_note(summary);
            Exit::Success
        }
        false => {
            print_message(summary);
            advise_on(status.as_u16(), &url, settings);
            Exit::Failure
        }
    };
    let written = writeln!(std::io::stdout(), "{}", format_body(&body));
    exit_after(written.map_err(Into::into), exit)
}
