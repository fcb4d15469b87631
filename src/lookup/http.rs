//! Look-ups over HTTP: the request with values of the call, and its JSON answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Response};
use rustls::ClientConfig;
use serde_json::{Map, Value};
use url::Url;

use super::json::parse_answer;
use super::sql::TOO_LARGE;
use super::{NoRequest, SystemAnswer, client_config};
use crate::domain::call::Call;
use crate::domain::private_address::is_private;
use crate::domain::secret::SecretSource;
use crate::rules::{BodyNode, HttpLookup, HttpMethod, Lookup, RequestPart, RequestTemplate};

/// Statuses with which services say that they do not know a caller.
const UNKNOWN_CALLER: [u16; 3] = [204, 404, 410];
/// Statuses below 500 that do not depend on the question: no access, a timeout, too many requests.
const BROKEN: [u16; 4] = [401, 403, 408, 429];
/// Redirects within the same host that are followed.
const MAX_REDIRECTS: usize = 3;
/// Characters that are escaped in paths and queries: all but the unreserved ones of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a host of the own network is not asked.
pub(crate) const PRIVATE_ADDRESS: &str = "the host has a private address";
/// The connection ended before the answer.
const CONNECTION_BROKE: &str = "the connection broke";
/// What stands in the way of a client.
pub(crate) const NO_CLIENT: &str = "the HTTP client cannot be set up";

/// A connection pool for one look-up.
pub(super) struct HttpClient(Client);

/// A request with the values of a call.
pub(crate) struct HttpRequest {
    pub(crate) method: HttpMethod,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
}

impl HttpRequest {
    /// Renders the request for a call. Without a call, its values are unknown.
    pub(crate) fn new(
        lookup: &HttpLookup,
        call: Option<&Call<'_>>,
        secrets: &dyn SecretSource,
    ) -> Result<HttpRequest, NoRequest> {
        let values = RequestValues { call, secrets };
        let text =
            values.render(&lookup.url, |value| utf8_percent_encode(value, ESCAPED).to_string())?;
        let has_dots = |path: &str| path.split('/').any(|segment| matches!(segment, "." | ".."));
        let path = text.split_once("://").map_or("", |(_, rest)| rest);
        // A value of two dots would lead to another path, and cannot be escaped.
        if has_dots(path.split('?').next().unwrap_or_default()) {
            return Err(NoRequest::UnsafeValue);
        }
        let url = Url::parse(&text).map_err(|_| NoRequest::UnsafeValue)?;
        let mut headers = HeaderMap::new();
        for (name, template) in &lookup.headers {
            let name = HeaderName::try_from(&**name).map_err(|_| NoRequest::UnsafeValue)?;
            let value = values.render(template, str::to_owned)?;
            let mut value = HeaderValue::try_from(value).map_err(|_| NoRequest::UnsafeValue)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let body = lookup.body.as_ref().map(|body| values.json(body)).transpose()?;
        if body.is_some() && !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = body.map(|body| body.to_string().into_bytes());
        Ok(HttpRequest { method: lookup.method, url, headers, body })
    }
}

/// Values of the placeholders in a request.
struct RequestValues<'v, 'c> {
    call: Option<&'v Call<'c>>,
    secrets: &'v dyn SecretSource,
}

impl RequestValues<'_, '_> {
    fn render(
        &self,
        template: &RequestTemplate,
        escape: impl Fn(&str) -> String,
    ) -> Result<String, NoRequest> {
        let mut text = String::new();
        for part in template.parts() {
            match part {
                RequestPart::Text(literal) => text.push_str(literal),
                RequestPart::Value(value, default) => {
                    match (self.call.and_then(|call| value.of(call)), default) {
                        (Some(value), _) => text.push_str(&escape(&value)),
                        (None, Some(default)) => text.push_str(&escape(default)),
                        (None, None) => return Err(NoRequest::UnknownValue),
                    }
                }
                RequestPart::Secret(reference) => {
                    let secret = self.secrets.secret(reference);
                    let secret = secret.ok_or(NoRequest::MissingSecret)?;
                    text.push_str(&escape(&String::from_utf8_lossy(secret.expose())));
                }
            }
        }
        Ok(text)
    }

    fn json(&self, node: &BodyNode) -> Result<Value, NoRequest> {
        Ok(match node {
            BodyNode::Plain(value) => value.clone(),
            BodyNode::Text(template) => self.render(template, str::to_owned)?.into(),
            BodyNode::List(nodes) => {
                let items = nodes.iter().map(|node| self.json(node));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            BodyNode::Table(entries) => {
                let entries =
                    entries.iter().map(|(name, node)| Ok((name.to_string(), self.json(node)?)));
                Value::Object(entries.collect::<Result<Map<_, _>, NoRequest>>()?)
            }
        })
    }
}

impl HttpClient {
    /// Creates the pool. Connections stay open between calls.
    ///
    /// # Errors
    /// Fails if TLS cannot be set up.
    pub(super) fn new(lookup: &Lookup, http: &HttpLookup) -> Result<HttpClient, &'static str> {
        let client = client_builder(lookup.timeout, http.allow_private)?
            .redirect(Policy::custom(follow_within_host))
            .pool_max_idle_per_host(lookup.max_concurrent);
        client.build().map(HttpClient).map_err(|_| NO_CLIENT)
    }

    /// Sends the request and reads the answer.
    pub(super) async fn ask(
        &self,
        request: HttpRequest,
        lookup: &Lookup,
        http: &HttpLookup,
    ) -> SystemAnswer {
        // A name is checked when it is resolved; an address is not resolved.
        if !http.allow_private && literal_address(&request.url).is_some_and(is_private) {
            return SystemAnswer::failed(PRIVATE_ADDRESS);
        }
        let method = match request.method {
            HttpMethod::Get => Method::GET,
            HttpMethod::Post => Method::POST,
            HttpMethod::Put => Method::PUT,
        };
        let builder = self.0.request(method, request.url).headers(request.headers);
        let builder = match request.body {
            Some(body) => builder.body(body),
            None => builder,
        };
        let response = match send(builder, request.method).await {
            Ok(response) => response,
            Err(error) => return SystemAnswer::failed(describe(&error)),
        };
        match response.status().as_u16() {
            status if UNKNOWN_CALLER.contains(&status) => SystemAnswer::Empty,
            200..300 => read_answer(response, lookup.max_bytes, http).await,
            status if !BROKEN.contains(&status) && (400..500).contains(&status) => {
                SystemAnswer::Refused(format!("status {status}").into())
            }
            status => SystemAnswer::failed(&format!("status {status}")),
        }
    }
}

/// Sends a request. A system may have closed the connection that was kept open for it, so a request that only
/// reads is then sent once more.
async fn send(builder: RequestBuilder, method: HttpMethod) -> reqwest::Result<Response> {
    let again = builder.try_clone().filter(|_| method == HttpMethod::Get);
    match (builder.send().await, again) {
        (Err(error), Some(again)) if describe(&error) == CONNECTION_BROKE => again.send().await,
        (sent, _) => sent,
    }
}

/// Returns the settings that all HTTP clients for other systems have. Unless `allow_private`, names are
/// resolved to addresses on the internet only.
///
/// # Errors
/// Fails if TLS cannot be set up.
pub(crate) fn client_builder(
    connect_timeout: Duration,
    allow_private: bool,
) -> Result<ClientBuilder, &'static str> {
    let client = Client::builder()
        .tls_backend_preconfigured(ClientConfig::clone(&*client_config()?))
        .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        // The URL of a request can contain a secret, which a redirect would carry to another host.
        .referer(false)
        .connect_timeout(connect_timeout);
    Ok(match allow_private {
        true => client,
        false => client.dns_resolver(Arc::new(PublicResolver)),
    })
}

/// Returns the address that a URL has in place of a name.
pub(crate) fn literal_address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        url::Host::Ipv4(address) => Some(address.into()),
        url::Host::Ipv6(address) => Some(address.into()),
        url::Host::Domain(_) => None,
    }
}

async fn read_answer(mut response: Response, max_bytes: usize, http: &HttpLookup) -> SystemAnswer {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > max_bytes => {
                return SystemAnswer::Refused(TOO_LARGE.into());
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => return SystemAnswer::failed(describe(&error)),
        }
    }
    if body.is_empty() {
        return SystemAnswer::Empty;
    }
    // Some systems send a byte order mark, which RFC 8259 forbids and lets a reader ignore.
    let json = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&body);
    match parse_answer(json) {
        Ok(answer) => select(answer, &http.result),
        Err(_) => SystemAnswer::failed(why_not_json(json)),
    }
}

/// Returns what an answer is that cannot be parsed.
fn why_not_json(answer: &[u8]) -> &'static str {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    match answer {
        _ if answer.starts_with(&GZIP) => {
            "the answer is compressed, although nobody asked for that"
        }
        _ if answer.trim_ascii_start().starts_with(b"<") => {
            "the answer is a web page or XML, not JSON"
        }
        _ if str::from_utf8(answer).is_err() => "the answer is not in UTF-8",
        _ => "the answer is not JSON",
    }
}

/// Returns the part of the answer at the pointer. What is missing, null or empty is no answer.
fn select(mut answer: Value, pointer: &str) -> SystemAnswer {
    let Some(found) = answer.pointer_mut(pointer).map(Value::take) else {
        return SystemAnswer::Empty;
    };
    let is_empty = match &found {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    if is_empty { SystemAnswer::Empty } else { SystemAnswer::Found(found) }
}

/// Returns what went wrong, without the URL, which can contain a secret and the caller's number.
pub(crate) fn describe(error: &reqwest::Error) -> &'static str {
    match () {
        () if error.is_timeout() => "no connection in time",
        () if has_cause::<TooManyRedirects>(error) => "it redirects too often",
        () if error.is_redirect() => "it redirects to another host",
        () if has_cause::<OnlyPrivateAddresses>(error) => PRIVATE_ADDRESS,
        () if has_cause::<NoSuchHost>(error) => "the name of the host cannot be resolved",
        () if error.is_connect() => "cannot connect",
        () => CONNECTION_BROKE,
    }
}

fn has_cause<E: std::error::Error + 'static>(error: &reqwest::Error) -> bool {
    let first = std::error::Error::source(error);
    std::iter::successors(first, |cause| cause.source()).any(<dyn std::error::Error>::is::<E>)
}

/// Returns scheme, host and port.
pub(crate) fn origin(url: &Url) -> (&str, Option<&str>, Option<u16>) {
    (url.scheme(), url.host_str(), url.port())
}

/// Returns whether a URL differs from another one by TLS, on the usual ports.
fn is_secure_form(plain: &Url, secure: &Url) -> bool {
    origin(plain) == ("http", secure.host_str(), None)
        && origin(secure).0 == "https"
        && secure.port().is_none()
}

/// Follows redirects within the same host. Another host must not receive the request's headers.
fn follow_within_host(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let is_same = |first: &Url| {
        origin(first) == origin(attempt.url()) || is_secure_form(first, attempt.url())
    };
    match attempt.previous().first().is_some_and(is_same) {
        true if attempt.previous().len() > MAX_REDIRECTS => attempt.error(TooManyRedirects),
        true => attempt.follow(),
        false => attempt.error("redirected to another host"),
    }
}

/// A name has only private addresses.
#[derive(Debug, thiserror::Error)]
#[error("the host has only private addresses")]
struct OnlyPrivateAddresses;

/// A name cannot be resolved.
#[derive(Debug, thiserror::Error)]
#[error("the name of the host cannot be resolved")]
struct NoSuchHost;

/// A request was redirected more often than is followed.
#[derive(Debug, thiserror::Error)]
#[error("redirected too often")]
pub(crate) struct TooManyRedirects;

/// Resolves names, without the private addresses among the results.
struct PublicResolver;

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found = found.map_err(|_| NoSuchHost)?;
            let (private, public): (Vec<SocketAddr>, Vec<_>) =
                found.partition(|address| is_private(address.ip()));
            if public.is_empty() && !private.is_empty() {
                return Err(OnlyPrivateAddresses.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}
