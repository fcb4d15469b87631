//! `switchboard send`: sends a signed request as the platform would.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use clap::Args;
use jiff::Timestamp;

use super::http_client::{http_client, http_url, reachable};
use super::output::print_note;
use super::{CallFlags, ConfigFile, Exit, format_body, load_settings};
use crate::authenticate::{Outgoing, SignError, UrlToken};
use crate::domain::call::Fields;
use crate::domain::secret::Secret;
use crate::settings::Settings;
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
        for note in notes.diagnostics().iter().filter(|note| note.message.starts_with(&prefix)) {
            let message = &note.message;
            print_note(format!("note: {message}; using `dev`, like serve --dev"))?;
        }
        let fields = new_call(self.call.fields()?);
        note_keys(&settings, source)?;
        if !source.dialect.channels().contains(&fields.channel) {
            anyhow::bail!("{} has no channel `{}`", source.dialect.platform(), fields.channel);
        }
        let body = self.call.body(source, &fields)?;
        let signed = SignedRequest::new(self.url(&settings, source)?, source, body)?;
        if self.curl {
            writeln!(std::io::stdout(), "{}", signed.as_curl())?;
            return Ok(Exit::Success);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(signed.send())
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
fn note_keys(settings: &Settings, source: &Source) -> anyhow::Result<()> {
    let keys = settings.key_references.iter().filter(|(name, _)| **name == *source.name);
    let count = if source.policy.scheme.kind() == "all" { usize::MAX } else { 1 };
    let found: Option<Vec<_>> = keys.take(count).map(|(_, key)| key.as_deref()).collect();
    match found.as_deref() {
        None | Some([]) => Ok(()),
        Some(keys) => {
            let (name, keys) = (&source.name, keys.join(" and "));
            Ok(print_note(format!("note: signing for the source `{name}` with {keys}"))?)
        }
    }
}

/// Returns `/inbound/SOURCE`, with the source's URL token if it has one.
pub(super) fn path_of(source: &Source) -> String {
    let secrets = source.policy.secrets.load();
    let text = |token: &Secret| String::from_utf8_lossy(token.expose()).into_owned();
    let mut path = format!("/inbound/{}", source.name);
    let own = source.policy.scheme.url_token(&secrets.keys);
    match (&secrets.url_token, own) {
        (Some(token), _) | (None, Some(UrlToken { parameter: None, token })) => {
            path.extend(["/", &text(token)]);
        }
        (None, Some(UrlToken { parameter: Some(name), token })) => {
            path.extend(["?", name, "=", &text(token)]);
        }
        (None, None) => {}
    }
    path
}

/// Gives a call a new id, so that it is not taken for a retry.
pub(super) fn new_call(fields: Fields<'static>) -> Fields<'static> {
    #[expect(clippy::disallowed_methods, reason = "a platform sends the time of the call")]
    let now = Timestamp::now();
    Fields {
        call_id: Some(format!("call_{}", uuid::Uuid::now_v7().simple()).into()),
        event_timestamp_ms: Some(now.as_millisecond()),
        ..fields
    }
}

/// A request, signed as the platform would sign it.
pub(super) struct SignedRequest {
    url: String,
    /// The headers of the signature; none if the body contains nothing to sign, so that the second factor
    /// must do.
    headers: HeaderMap,
    method: Method,
    body: Vec<u8>,
}

impl SignedRequest {
    pub(super) fn new(
        url: String,
        source: &Source,
        body: Vec<u8>,
    ) -> anyhow::Result<SignedRequest> {
        let (method, url, body) = match source.dialect.sends_query() {
            true => {
                let separator = if url.contains('?') { '&' } else { '?' };
                let query = String::from_utf8_lossy(&body);
                (Method::GET, format!("{url}{separator}{query}"), Vec::new())
            }
            false => (Method::POST, url, body),
        };
        let uri: Uri = url.parse().with_context(|| format!("{url} is not a URL"))?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let content_type = HeaderValue::from_static(source.dialect.request_content_type());
        let mut headers = HeaderMap::new();
        if method == Method::POST {
            headers.insert(header::CONTENT_TYPE, content_type);
        }
        let outgoing = Outgoing { method: &method, target, body: &body };
        #[expect(clippy::disallowed_methods, reason = "a signature contains its time")]
        let now = Timestamp::now();
        // Events can be signed in another way than requests about calls.
        let policy = source.policy_of(target.starts_with("/events/"));
        match policy.sign(&outgoing, now, &mut headers) {
            Err(SignError::NothingToSign) if policy.has_second_factor() => {}
            signed => signed?,
        }
        Ok(SignedRequest { url, headers, method, body })
    }

    /// Returns a curl command for a shell.
    pub(super) fn as_curl(&self) -> String {
        let quote = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let headers = self.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            format!(" -H {}", quote(&format!("{name}: {value}")))
        });
        let (url, headers) = (quote(&self.url), headers.collect::<String>());
        if self.method == Method::GET {
            return format!("curl -sS {url}{headers}");
        }
        let body = quote(&String::from_utf8_lossy(&self.body));
        format!("curl -sS {url}{headers} --data-binary {body}")
    }

    async fn send(self) -> anyhow::Result<Exit> {
        let client = http_client()?;
        let started = Instant::now();
        let request = client.request(self.method, &self.url).timeout(REPLY_TIMEOUT);
        let request = request.headers(self.headers).body(self.body);
        let response =
            request.send().await.with_context(|| format!("no reply from {}", self.url))?;
        let status = response.status();
        let body = response.bytes().await.context("the reply was cut off")?;
        let duration = started.elapsed();
        let summary = format!("{status} in {:.1} ms", duration.as_secs_f64() * 1000.0);
        match status.is_success() {
            true => print_note(summary)?,
            false => writeln!(std::io::stderr(), "{summary}")?,
        }
        writeln!(std::io::stdout(), "{}", format_body(&body))?;
        Ok(if status.is_success() { Exit::Success } else { Exit::Failure })
    }
}
