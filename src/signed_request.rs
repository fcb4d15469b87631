//! Requests as platforms send them, signed with the keys of a source: for `send`, and for tests of a set-up.

use axum::body::Body;
use axum::http::uri::InvalidUri;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use jiff::Timestamp;

use crate::authenticate::{Outgoing, SignError, UrlToken};
use crate::domain::call::{Channel, Fields};
use crate::domain::party::Party;
use crate::domain::secret::Secret;
use crate::source::Source;

/// Caller of an example.
pub const FROM: &str = "+12137771234";
/// Called number of an example.
pub const TO: &str = "+12137771235";

/// Returns a call from [`FROM`] to [`TO`].
pub fn example_call() -> Fields<'static> {
    let number = |text| Party::parse(Some(text)).party;
    Fields { from: number(FROM), to: number(TO), ..Fields::unknown(Channel::Call) }
}

/// Returns `/inbound/SOURCE`, with the source's URL token if it has one.
pub fn path_of(source: &Source) -> String {
    url_path(source, false, true)
}

/// Returns the path of a source for calls or for events. A URL token is a part of it, or `TOKEN` stands in its
/// place.
pub fn url_path(source: &Source, is_events_path: bool, shows_token: bool) -> String {
    let policy = source.policy_of(is_events_path);
    let secrets = policy.secrets.load();
    let text = |token: &Secret| match shows_token {
        true => String::from_utf8_lossy(token.expose()).into_owned(),
        false => "TOKEN".to_owned(),
    };
    let mut path =
        format!("/{}/{}", if is_events_path { "events" } else { "inbound" }, source.name);
    let own = policy.scheme.url_token(&secrets.keys);
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
pub fn new_call(fields: Fields<'static>, now: Timestamp) -> Fields<'static> {
    Fields {
        call_id: Some(format!("call_{}", uuid::Uuid::now_v7().simple()).into()),
        event_timestamp_ms: Some(now.as_millisecond()),
        ..fields
    }
}

/// Reason for which a request cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum NotSigned {
    /// The text is not a URL.
    #[error("{0} is not a URL")]
    Url(String, #[source] InvalidUri),
    /// The source has nothing to sign with, or the request has nothing to sign.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// A request, signed as the platform would sign it.
pub struct SignedRequest {
    url: String,
    /// The headers of the signature; none if the body contains nothing to sign, so that the second factor
    /// must do.
    headers: HeaderMap,
    method: Method,
    body: Vec<u8>,
}

impl SignedRequest {
    /// Signs a request with this body at this time.
    ///
    /// # Errors
    /// Fails if the URL is none, or if the source cannot sign.
    pub fn new(
        url: String,
        source: &Source,
        body: Vec<u8>,
        now: Timestamp,
    ) -> Result<SignedRequest, NotSigned> {
        let (method, url, body) = match source.dialect.sends_query() {
            true => {
                let separator = if url.contains('?') { '&' } else { '?' };
                let query = String::from_utf8_lossy(&body);
                (Method::GET, format!("{url}{separator}{query}"), Vec::new())
            }
            false => (Method::POST, url, body),
        };
        let uri: Uri = url.parse().map_err(|cause| NotSigned::Url(url.clone(), cause))?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let content_type = HeaderValue::from_static(source.dialect.request_content_type());
        let mut headers = HeaderMap::new();
        if method == Method::POST {
            headers.insert(header::CONTENT_TYPE, content_type);
        }
        let outgoing = Outgoing { method: &method, target, body: &body };
        // Events can be signed in another way than requests about calls.
        let policy = source.policy_of(target.starts_with("/events/"));
        match policy.sign(&outgoing, now, &mut headers) {
            Err(SignError::NothingToSign) if policy.has_second_factor() => {}
            signed => signed?,
        }
        Ok(SignedRequest { url, headers, method, body })
    }

    /// Returns a curl command for a shell.
    pub fn as_curl(&self) -> String {
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

    /// Returns the request for a router of this process, which sees the path and not the host.
    pub fn into_request(self) -> Request<Body> {
        let uri: Uri = self.url.parse().expect("a URL that was parsed before");
        let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let mut request = Request::new(Body::from(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = target.parse().expect("a part of a URL");
        *request.headers_mut() = self.headers;
        request
    }

    /// Returns method, URL, headers and body.
    pub fn into_parts(self) -> (Method, String, HeaderMap, Vec<u8>) {
        (self.method, self.url, self.headers, self.body)
    }
}
