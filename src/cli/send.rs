//! `switchboard send`: plays the platform.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;

use super::http_client::{http_client, reachable};
use super::{CallFlags, ConfigFile, Exit, load_settings, readable};
use crate::authenticate::AuthError;
use crate::domain::call::Fields;
use crate::settings::Settings;
use crate::source::Source;

/// Signs with the source's first secret, or with the key `dev` when that is not at hand. Prints
/// the reply on standard output, the status and the time on standard error. Exits 1 when the
/// answer is not a 2xx.
#[derive(Debug, Args)]
pub(super) struct Send {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    call: CallFlags,
    /// Where to send it [default: the listener that the settings name]. Without a path,
    /// /inbound/SOURCE is added
    #[arg(long)]
    url: Option<String>,
    /// Print the signed curl command instead of sending; it works for five minutes
    #[arg(long)]
    curl: bool,
}

/// Longer than any platform waits.
const PATIENCE: Duration = Duration::from_secs(15);

impl Send {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let (settings, notes) = load_settings(&self.config)?;
        let source = self.call.choose(&settings.sources)?;
        let of_source = format!("`sources.{}.", source.name);
        for note in notes.diagnostics().iter().filter(|note| note.message.starts_with(&of_source)) {
            let message = &note.message;
            writeln!(std::io::stderr(), "note: {message}; using `dev`, as serve --dev does")?;
        }
        let fields = new_call(self.call.fields());
        if !source.dialect.channels().contains(&fields.channel) {
            anyhow::bail!("{} asks for no {}", source.dialect.platform(), fields.channel);
        }
        let body = self.call.body(source, &fields)?;
        let signed = SignedRequest::new(self.url(&settings, source), source, body)?;
        if self.curl {
            writeln!(std::io::stdout(), "{}", signed.as_curl())?;
            return Ok(Exit::Success);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(signed.send())
    }

    fn url(&self, settings: &Settings, source: &Source) -> String {
        let base = format!("http://{}", reachable(settings.server.listen));
        let base = self.url.clone().unwrap_or(base);
        let after_scheme = base.split_once("://").map_or(base.as_str(), |(_, rest)| rest);
        match after_scheme.trim_end_matches('/').contains('/') {
            true => base,
            false => format!("{}{}", base.trim_end_matches('/'), path_of(source)),
        }
    }
}

/// `/inbound/SOURCE`, and the token behind it where the source has one.
pub(super) fn path_of(source: &Source) -> String {
    let token =
        source.policy.url_token.as_ref().map(|token| String::from_utf8_lossy(token.expose()));
    let token = token.map(|token| format!("/{token}")).unwrap_or_default();
    format!("/inbound/{}{token}", source.name)
}

/// A call that is like no other, so that nobody takes it for a retry.
pub(super) fn new_call(fields: Fields<'static>) -> Fields<'static> {
    #[expect(clippy::disallowed_methods, reason = "a platform says when the call came in")]
    let now = Timestamp::now();
    Fields {
        call_id: Some(format!("call_{}", uuid::Uuid::now_v7().simple()).into()),
        event_timestamp_ms: Some(now.as_millisecond()),
        ..fields
    }
}

/// A request as the platform would send it.
pub(super) struct SignedRequest {
    url: String,
    /// None when the body holds nothing to sign, and the token in the URL has to do.
    header: Option<(&'static str, String)>,
    body: Vec<u8>,
}

impl SignedRequest {
    pub(super) fn new(
        url: String,
        source: &Source,
        body: Vec<u8>,
    ) -> anyhow::Result<SignedRequest> {
        let key = source.policy.keys.first().context("the source has no key to sign with")?;
        #[expect(clippy::disallowed_methods, reason = "a signature says when it was made")]
        let signed = source.policy.scheme.sign(key, &body, Timestamp::now());
        let header = match signed {
            Err(AuthError::NoCallId) if source.policy.has_second_factor() => None,
            signed => Some(signed?),
        };
        Ok(SignedRequest { url, header, body })
    }

    /// A command to paste into a shell.
    pub(super) fn as_curl(&self) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let header = self.header.as_ref();
        let signature =
            header.map(|(name, value)| format!(" -H {}", quoted(&format!("{name}: {value}"))));
        format!(
            "curl -sS {} -H 'content-type: application/json'{} --data-binary {}",
            quoted(&self.url),
            signature.unwrap_or_default(),
            quoted(&String::from_utf8_lossy(&self.body)),
        )
    }

    async fn send(self) -> anyhow::Result<Exit> {
        let client = http_client()?;
        let begun = Instant::now();
        let mut request = client.post(&self.url).timeout(PATIENCE);
        if let Some((name, value)) = self.header {
            request = request.header(name, value);
        }
        let request = request.header("content-type", "application/json").body(self.body);
        let response =
            request.send().await.with_context(|| format!("no answer from {}", self.url))?;
        let status = response.status();
        let body = response.bytes().await.context("the answer broke off")?;
        let took = begun.elapsed();
        writeln!(std::io::stderr(), "{status} in {:.1} ms", took.as_secs_f64() * 1000.0)?;
        writeln!(std::io::stdout(), "{}", readable(&body))?;
        Ok(if status.is_success() { Exit::Success } else { Exit::Failure })
    }
}
