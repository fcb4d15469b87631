//! `/login` and `/logout`.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::access::{LogInError, Reader};
use super::guard::{delete_cookie, session_cookie, set_cookie};
use super::page::{
    EmptyForm, Frame, HtmlPage, LogInFields, PageError, Parameters, Submitted, with_problem,
};
use super::state::Console;
use crate::http::{Connection, HttpProblem, client_address};

#[derive(Template)]
#[template(path = "log_in.html")]
struct LogInPage {
    frame: Frame,
    name: String,
    next: String,
    error: Option<String>,
}

/// Query parameters of the log-in.
#[derive(Debug, Default, Deserialize)]
pub(super) struct LogInQuery {
    #[serde(default)]
    next: String,
}

/// The form of the log-in.
#[derive(Deserialize)]
pub(super) struct LogInForm {
    #[serde(default)]
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

pub(super) async fn show(
    State(console): State<Console>,
    headers: HeaderMap,
    Parameters(LogInQuery { next }): Parameters<LogInQuery>,
) -> Response {
    let cookie = session_cookie(&headers);
    let has_session = cookie.is_some_and(|cookie| console.access.reader(&cookie).is_some());
    if has_session || console.access.is_open() {
        return Redirect::to(local_path(&next)).into_response();
    }
    let frame = Frame::outside("Log in");
    HtmlPage(LogInPage { frame, name: String::new(), next, error: None }).into_response()
}

pub(super) async fn log_in(
    State(console): State<Console>,
    connection: Option<Extension<Arc<Connection>>>,
    headers: HeaderMap,
    LogInFields(LogInForm { name, password, next }): LogInFields<LogInForm>,
) -> Response {
    let peer = connection.map(|connection| connection.peer());
    let address = client_address(peer, &headers, &console.trusted_proxies);
    match console.access.log_in(name.trim(), &password, address).await {
        Ok(cookie) => {
            tracing::info!(user = shown_name(&name), %address, "logged in to the console");
            let set = [(header::SET_COOKIE, set_cookie(&cookie, &headers))];
            (set, Redirect::to(local_path(&next))).into_response()
        }
        Err(error) => {
            let problem = match error {
                LogInError::Wrong => HttpProblem::LogIn,
                LogInError::TooMany => HttpProblem::TooManyLogIns,
            };
            // A name can be a password that was typed into the wrong field, so it is not logged.
            tracing::warn!(%address, reason = %problem, "a log-in to the console was refused");
            let frame = Frame::outside("Log in");
            let error = Some(problem.to_string());
            with_problem(problem, LogInPage { frame, name, next, error })
        }
    }
}

pub(super) async fn log_out(
    State(console): State<Console>,
    reader: Reader,
    headers: HeaderMap,
    Submitted(EmptyForm {}): Submitted<EmptyForm>,
) -> Result<Response, PageError> {
    if let Some(cookie) = session_cookie(&headers) {
        console.access.log_out(&cookie);
    }
    tracing::info!(user = reader.name, "logged out of the console");
    Ok(([(header::SET_COOKIE, delete_cookie())], Redirect::to("/login")).into_response())
}

fn shown_name(name: &str) -> &str {
    if name.trim().is_empty() { "admin token" } else { name.trim() }
}

/// Returns a path of this site, whatever a link to the log-in says.
fn local_path(next: &str) -> &str {
    // Browsers leave out control characters, and take a backslash for a slash.
    let is_plain = !next.contains(|c: char| c.is_control() || c == '\\');
    let is_local = is_plain && next.starts_with('/') && !next.starts_with("//");
    if is_local { next } else { "/calls" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_the_log_in_leads_to_no_other_site() {
        for (next, path) in [
            ("/calls?rule=a", "/calls?rule=a"),
            ("//evil.example/", "/calls"),
            ("/\\evil.example", "/calls"),
            ("/\t/evil.example", "/calls"),
            ("/\r\nset-cookie: a", "/calls"),
            ("https://evil.example/", "/calls"),
            ("", "/calls"),
        ] {
            assert_eq!(local_path(next), path, "{next}");
        }
    }
}
