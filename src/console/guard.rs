//! Lets in people with a session, and sends the others to the log-in.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use cookie::{Cookie, SameSite};

use super::page::{HtmlPage, PageError, with_query};
use super::state::Console;
use crate::http::{Connection, HttpProblem, is_for_loopback};

const COOKIE: &str = "switchboard_session";
/// Time after which a browser forgets the cookie; sessions end before.
const COOKIE_AGE: cookie::time::Duration = cookie::time::Duration::days(7);
const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");

/// A page that asks for the same URL again.
#[derive(Template)]
#[template(path = "again.html")]
struct AgainPage {
    url: String,
}

/// Puts the reader of a request into its extensions. Requests without a session get no further.
pub(super) async fn let_in(
    State(console): State<Console>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let cookie = session_cookie(headers);
    let reader = cookie.as_deref().and_then(|cookie| console.access.reader(cookie));
    if let Some(reader) = reader {
        if let Some(connection) = request.extensions().get::<Arc<Connection>>() {
            connection.authenticated();
        }
        request.extensions_mut().insert(reader);
        return next.run(request).await;
    }
    if console.access.is_open() {
        return enter(&console, request, next).await;
    }
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    if request.headers().contains_key("hx-request") {
        // A part of a page cannot be a log-in; the whole page is asked for again.
        let page = headers.get("hx-current-url").and_then(|url| url.to_str().ok());
        let page = page.and_then(|url| url.parse::<axum::http::Uri>().ok());
        let page = page.and_then(|url| url.path_and_query().map(ToString::to_string));
        let path = log_in_path(page.as_deref().unwrap_or("/"));
        let path = HeaderValue::try_from(path).unwrap_or(HeaderValue::from_static("/login"));
        return ([(HX_REDIRECT, path)], "").into_response();
    }
    if request.method() != Method::GET {
        let reason =
            "the session has ended: log in again in another window, then send the form again";
        return PageError(HttpProblem::Forbidden(reason)).into_response();
    }
    if is_followed_from_elsewhere(headers) && cookie.is_none() {
        // The browser keeps a strict cookie from a link on another site, but not from this page.
        return HtmlPage(AgainPage { url: target.to_owned() }).into_response();
    }
    Redirect::to(&log_in_path(target)).into_response()
}

/// Lets in someone on this machine.
async fn enter(console: &Console, mut request: Request, next: Next) -> Response {
    if !is_for_loopback(request.headers()) {
        let reason = "without admin.token, the Host must be localhost or a loopback address";
        return PageError(HttpProblem::Forbidden(reason)).into_response();
    }
    let cookie = console.access.enter();
    let set_cookie = set_cookie(&cookie, request.headers());
    if let Some(reader) = console.access.reader(&cookie) {
        request.extensions_mut().insert(reader);
    }
    let mut response = next.run(request).await;
    response.headers_mut().append(header::SET_COOKIE, set_cookie);
    response
}

/// Returns whether a person has followed a link on a page of another site.
fn is_followed_from_elsewhere(headers: &HeaderMap) -> bool {
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|found| found == value);
    is("sec-fetch-site", "cross-site") && is("sec-fetch-mode", "navigate")
}

fn log_in_path(target: &str) -> String {
    if target == "/" {
        return "/login".to_owned();
    }
    with_query("/login", &[("next", target)])
}

/// Returns the session cookie of a request.
pub(super) fn session_cookie(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut cookies = lines.flat_map(Cookie::split_parse).filter_map(Result::ok);
    let found = cookies.find(|cookie| cookie.name() == COOKIE)?;
    Some(found.value().to_owned())
}

/// Returns the header that sets a session cookie. Behind a proxy with TLS, browsers send it with TLS only.
pub(super) fn set_cookie(value: &str, headers: &HeaderMap) -> HeaderValue {
    let scheme = headers.get("x-forwarded-proto").map(HeaderValue::as_bytes);
    let cookie = Cookie::build((COOKIE, value))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(scheme == Some(b"https"))
        .max_age(COOKIE_AGE)
        .build();
    HeaderValue::try_from(cookie.to_string()).expect("a cookie of hexadecimal digits")
}

/// Returns the header that deletes the session cookie.
pub(super) fn delete_cookie() -> HeaderValue {
    let cookie = Cookie::build((COOKIE, "")).path("/").removal().build();
    HeaderValue::try_from(cookie.to_string()).expect("a cookie without a value")
}
