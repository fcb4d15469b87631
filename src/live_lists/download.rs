//! Lists over HTTP.

use reqwest::header::{
    CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED,
};
use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Method, Response};
use tokio::task::spawn_blocking;

use super::{Download, MAX_BYTES, TIMEOUT, Validators};
use crate::domain::private_address::is_private;
use crate::domain::secret::SecretSource;
use crate::lookup::http::{
    HttpRequest, NO_CLIENT, PRIVATE_ADDRESS, TooManyRedirects, client_builder, describe,
    literal_address, origin,
};
use crate::rules::HttpLookup;

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 5;
const OK: u16 = 200;
const NOT_MODIFIED: u16 = 304;

/// Requests a list. Returns `None` if it is unchanged.
pub(super) async fn download(
    http: &HttpLookup,
    validators: Option<Validators>,
    secrets: &dyn SecretSource,
) -> Result<Option<Download>, String> {
    let request = HttpRequest::new(http, None, secrets);
    let mut request = request.map_err(|reason| reason.problem().to_owned())?;
    if !http.allow_private && literal_address(&request.url).is_some_and(is_private) {
        return Err(PRIVATE_ADDRESS.to_owned());
    }
    add_validators(&mut request.headers, validators);
    let (has_headers, allow_private) = (!http.headers.is_empty(), http.allow_private);
    let redirect = Policy::custom(move |attempt| follow(attempt, has_headers, allow_private));
    // Reading the certificate authorities for the first time takes a while.
    let builder = spawn_blocking(move || client_builder(TIMEOUT, allow_private)).await;
    let builder = builder.map_err(|_panic| NO_CLIENT)??;
    let client = builder.redirect(redirect).build().map_err(|_| NO_CLIENT)?;
    let sent = client.request(Method::GET, request.url).headers(request.headers).send().await;
    let response = sent.map_err(|error| describe(&error).to_owned())?;
    match response.status().as_u16() {
        NOT_MODIFIED => Ok(None),
        OK => read(response).await.map(Some),
        status => Err(format!("status {status}")),
    }
}

fn add_validators(headers: &mut HeaderMap, validators: Option<Validators>) {
    let Some(Validators { etag, last_modified }) = validators else { return };
    for (name, value) in [(IF_NONE_MATCH, etag), (IF_MODIFIED_SINCE, last_modified)] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            headers.insert(name, value);
        }
    }
}

async fn read(mut response: Response) -> Result<Download, String> {
    let header = |name: HeaderName| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let (etag, last_modified) = (header(ETAG), header(LAST_MODIFIED));
    if header(CONTENT_TYPE).is_some_and(|kind| kind.trim_start().starts_with("text/html")) {
        let problem = "the answer is a web page, not CSV; is the table shared with everyone?";
        return Err(problem.to_owned());
    }
    let mut content = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if content.len() + chunk.len() > MAX_BYTES => {
                return Err("the answer has more than 64 MiB".to_owned());
            }
            Ok(Some(chunk)) => content.extend_from_slice(&chunk),
            Ok(None) => return Ok(Download { content, etag, last_modified }),
            Err(error) => return Err(describe(&error).to_owned()),
        }
    }
}

/// Follows redirects. Published spreadsheets redirect to another host, which must not receive the headers of
/// the list.
fn follow(attempt: Attempt<'_>, has_headers: bool, allow_private: bool) -> Action {
    let first = attempt.previous().first();
    let is_same_host = first.is_some_and(|first| origin(first) == origin(attempt.url()));
    let is_weaker =
        first.is_some_and(|first| first.scheme() == "https") && attempt.url().scheme() != "https";
    let is_inside = literal_address(attempt.url()).is_some_and(is_private);
    let is_refused = is_inside && !allow_private;
    let is_allowed = (is_same_host || !has_headers) && !is_weaker && !is_refused;
    match is_allowed {
        true if attempt.previous().len() > MAX_REDIRECTS => attempt.error(TooManyRedirects),
        true => attempt.follow(),
        false => attempt.error("redirected to a host that is not allowed"),
    }
}
