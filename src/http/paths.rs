//! Paths that no route has: surplus slashes are tolerated; a wrong name is reported to the operator, since every
//! caller of the platform waits in vain.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{Method, Uri};
use axum::response::{IntoResponse, Response};
use metrics::Counter;
use tokio::time::Instant;
use tower::ServiceExt;

use super::HttpProblem;
use crate::domain::phone_number::mask_numbers;
use crate::pipeline::SourceEndpoint;
use crate::telemetry::{Counters, RefusalLog};

/// The target of a request as it was sent, in its extensions if the path was changed: a signature that covers
/// the URL covers this one.
#[derive(Debug, Clone)]
pub struct OriginalTarget(pub Uri);

/// Answers a path that no route has like the path without doubled slashes and the one at its end. Requests
/// that have a route do not pass through here.
pub(super) fn tolerate_slashes(routes: Router) -> Router {
    let exact = routes.clone();
    routes.fallback(move |request: Request| without_slashes(exact.clone(), request))
}

async fn without_slashes(exact: Router, mut request: Request) -> Response {
    if let Some(uri) = normalized(request.uri()) {
        let original = std::mem::replace(request.uri_mut(), uri);
        request.extensions_mut().insert(OriginalTarget(original));
    }
    let answered: Result<Response<Body>, Infallible> = exact.oneshot(request).await;
    match answered {
        Ok(response) => response,
        Err(impossible) => match impossible {},
    }
}

/// Returns the target without doubled slashes and the one at its end, if it has some.
fn normalized(uri: &Uri) -> Option<Uri> {
    let parts: Vec<_> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
    let path = format!("/{}", parts.join("/"));
    if path == uri.path() || uri.path() == "*" {
        return None;
    }
    let whole = uri.query().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    let mut changed = uri.clone().into_parts();
    changed.path_and_query = Some(PathAndQuery::try_from(whole).ok()?);
    Uri::from_parts(changed).ok()
}

/// Reason for which a request below `/inbound` or `/events` reaches no source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Miss {
    /// The path differs from that of a source in upper and lower case only.
    LetterCase,
    /// There is no source of this name.
    UnknownSource,
    /// The path ends with a token, and the source has no `url_token`.
    UnexpectedToken,
    /// There is no source in the path, or more than a source and a token.
    Path,
    /// The path is right, and the method is neither GET nor POST, or is GET with a query at a source that has no
    /// calls by GET.
    Method,
}

impl Miss {
    const ALL: [Miss; 5] =
        [Miss::LetterCase, Miss::UnknownSource, Miss::UnexpectedToken, Miss::Path, Miss::Method];

    /// Returns the reason in the word of the metric.
    fn as_str(self) -> &'static str {
        match self {
            Miss::LetterCase => "letter_case",
            Miss::UnknownSource => "unknown_source",
            Miss::UnexpectedToken => "unexpected_token",
            Miss::Path => "path",
            Miss::Method => "method",
        }
    }
}

/// Counts and logs the requests below `/inbound` and `/events` that reach no source.
pub(super) struct Misses {
    endpoints: Vec<Arc<SourceEndpoint>>,
    counters: [Counter; Miss::ALL.len()],
    log: RefusalLog,
}

/// Maximum length of a part of a path in the log.
const MAX_LOGGED_BYTES: usize = 40;

impl Misses {
    pub(super) fn new(counters: &Counters, mut endpoints: Vec<Arc<SourceEndpoint>>) -> Misses {
        endpoints.sort_by(|a, b| a.source.name.cmp(&b.source.name));
        Misses {
            endpoints,
            counters: Miss::ALL.map(|miss| counters.missed_path(miss.as_str())),
            log: RefusalLog::default(),
        }
    }

    /// Answers a path that no route has.
    pub(super) fn wrong_path(&self, request: &Request, client: IpAddr) -> Response {
        let parts: Vec<_> = request.uri().path().split('/').skip(1).collect();
        let Some((miss, proposed)) = self.classify(&parts) else {
            return HttpProblem::Path.into_response();
        };
        self.report(miss, request.method(), &parts, client);
        match proposed {
            Some(path) => HttpProblem::LetterCase { path }.into_response(),
            None => HttpProblem::Path.into_response(),
        }
    }

    /// Answers a method that a path does not have.
    pub(super) fn wrong_method(&self, request: &Request, client: IpAddr) -> Response {
        let parts: Vec<_> = request.uri().path().split('/').skip(1).collect();
        if parts.len() > 1 {
            self.report(Miss::Method, request.method(), &parts, client);
        }
        HttpProblem::Method.into_response()
    }

    /// Returns why the path of a webhook reaches no source, and the path that differs only in case.
    /// `None` for other paths.
    fn classify(&self, parts: &[&str]) -> Option<(Miss, Option<String>)> {
        let (kind, rest) = parts.split_first()?;
        let right =
            ["inbound", "events"].into_iter().find(|right| right.eq_ignore_ascii_case(kind))?;
        let (name, token) = match rest {
            [name] => (*name, false),
            [name, _token] => (*name, true),
            _ => return Some((Miss::Path, None)),
        };
        let find = |is_equal: fn(&str, &str) -> bool| {
            self.endpoints.iter().find(|endpoint| is_equal(&endpoint.source.name, name))
        };
        let exact = find(|a, b| a == b);
        let Some(endpoint) = exact.or_else(|| find(|a, b| a.eq_ignore_ascii_case(b))) else {
            return Some((Miss::UnknownSource, None));
        };
        if token && !endpoint.source.policy.has_url_token() {
            return Some((Miss::UnexpectedToken, None));
        }
        Some((Miss::LetterCase, Some(format!("/{right}/{}", endpoint.source.name))))
    }

    fn report(&self, miss: Miss, method: &Method, parts: &[&str], client: IpAddr) {
        self.counters[miss as usize].increment(1);
        let reason = miss.as_str();
        let Some(suppressed) = self.log.admit(reason, Instant::now()) else { return };
        let path = self.loggable(parts);
        let names: Vec<_> = self.endpoints.iter().map(|endpoint| &*endpoint.source.name).collect();
        let sources = names.join(", ");
        tracing::warn!(
            %method, path, sources, reason, %client, suppressed, "request reaches no source"
        );
    }

    /// Returns a path without what may be a token: the parts after the name, and a name that is a token.
    fn loggable(&self, parts: &[&str]) -> String {
        let is_token = |part: &str| {
            self.endpoints.iter().any(|endpoint| {
                let secrets = endpoint.source.policy.secrets.load();
                secrets.url_token.as_ref().is_some_and(|token| token.equals(part.as_bytes()))
            })
        };
        let shown = parts.iter().enumerate().map(|(at, part)| match part {
            part if at > 1 || is_token(part) || part.len() > MAX_LOGGED_BYTES => "…".to_owned(),
            part => mask_numbers(part),
        });
        shown.map(|part| format!("/{part}")).take(4).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_are_removed_and_nothing_else() {
        for (target, expected) in [
            ("/inbound/retell", None),
            ("/", None),
            ("*", None),
            ("/inbound/retell/", Some("/inbound/retell")),
            ("//inbound///retell//", Some("/inbound/retell")),
            ("/inbound/retell/?a=//b/", Some("/inbound/retell?a=//b/")),
            ("/in%2Fbound/x/", Some("/in%2Fbound/x")),
            ("http://host:80//inbound/retell/", Some("http://host:80/inbound/retell")),
            ("//", Some("/")),
        ] {
            let uri: Uri = target.parse().unwrap();
            let normalized = normalized(&uri).map(|uri| uri.to_string());
            assert_eq!(normalized.as_deref(), expected, "{target}");
        }
    }

    #[test]
    fn each_reason_is_at_its_own_position() {
        for (at, miss) in Miss::ALL.into_iter().enumerate() {
            assert_eq!(miss as usize, at);
        }
    }
}
