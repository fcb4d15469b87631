//! Pages: their frame, their errors, and what they take from a request.

use std::time::Duration;

use askama::Template;
use axum::body::Body;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, FromRequest, FromRequestParts, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response};
use axum::response::{Html, IntoResponse};
use futures_util::TryFutureExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::form_urlencoded::Serializer;

use super::access::Reader;
use super::assets;
use crate::http::HttpProblem;
use crate::http::admin::{MAX_BODY_BYTES, within};

/// A section of the console, as in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageSection {
    Calls,
    Rules,
    Try,
    Change,
    Health,
    SetUp,
}

impl PageSection {
    /// All sections, in the order of the navigation.
    const ALL: [PageSection; 6] = [
        PageSection::Calls,
        PageSection::Rules,
        PageSection::Try,
        PageSection::Change,
        PageSection::Health,
        PageSection::SetUp,
    ];

    fn title(self) -> &'static str {
        match self {
            PageSection::Calls => "Calls",
            PageSection::Rules => "Rules",
            PageSection::Try => "Try",
            PageSection::Change => "Change",
            PageSection::Health => "Health",
            PageSection::SetUp => "Set-up",
        }
    }

    fn path(self) -> &'static str {
        match self {
            PageSection::Calls => "/calls",
            PageSection::Rules => "/rules",
            PageSection::Try => "/try",
            PageSection::Change => "/change",
            PageSection::Health => "/health",
            PageSection::SetUp => "/setup",
        }
    }
}

/// The frame of a page: title, navigation, and the person who reads it.
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) section: Option<PageSection>,
    pub(super) reader: Option<Reader>,
}

impl Frame {
    /// The frame of a page of a section.
    pub(super) fn new(title: impl Into<String>, section: PageSection, reader: &Reader) -> Frame {
        Frame { title: title.into(), section: Some(section), reader: Some(reader.clone()) }
    }

    /// The frame of a page that everyone may see.
    pub(super) fn outside(title: impl Into<String>) -> Frame {
        Frame { title: title.into(), section: None, reader: None }
    }

    /// Entries of the navigation: path, title, and whether it is this section.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        let current = self.section;
        PageSection::ALL
            .into_iter()
            .map(move |section| (section.path(), section.title(), Some(section) == current))
    }

    /// Path of a file that pages load.
    #[expect(clippy::unused_self, reason = "templates call methods")]
    pub(super) fn asset(&self, name: &str) -> String {
        assets::path(name)
    }
}

/// A rendered template.
pub(super) struct HtmlPage<T>(pub(super) T);

impl<T: Template> IntoResponse for HtmlPage<T> {
    fn into_response(self) -> Response<Body> {
        match self.0.render() {
            Ok(html) => Html(html).into_response(),
            Err(error) => HttpProblem::Internal(format!("a page failed: {error}")).into_response(),
        }
    }
}

/// A problem as a page.
#[derive(Debug)]
pub(super) struct PageError(pub(super) HttpProblem);

impl<E: Into<HttpProblem>> From<E> for PageError {
    fn from(error: E) -> PageError {
        PageError(error.into())
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    message: String,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response<Body> {
        let message = self.0.to_string();
        let problem = self.0.into_response();
        let title = problem.status().canonical_reason().unwrap_or("Error");
        let page = ErrorPage { frame: Frame::outside(title), message };
        with_status_of(problem, page)
    }
}

/// Returns a page with the status and the headers of a problem.
pub(super) fn with_problem(problem: HttpProblem, page: impl Template) -> Response<Body> {
    with_status_of(problem.into_response(), page)
}

fn with_status_of(problem: Response<Body>, page: impl Template) -> Response<Body> {
    let (mut parts, _) = problem.into_parts();
    let (html, body) = HtmlPage(page).into_response().into_parts();
    if let Some(kind) = html.headers.get(CONTENT_TYPE) {
        parts.headers.insert(CONTENT_TYPE, kind.clone());
    }
    parts.headers.remove(axum::http::header::CONTENT_LENGTH);
    Response::from_parts(parts, body)
}

/// Query parameters of a page. A mistake is a page that says what is wrong.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, PageError> {
        let read: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        let Query(parameters) =
            read.map_err(|error| HttpProblem::BadRequest(error.body_text().into()))?;
        Ok(Parameters(parameters))
    }
}

/// The person who reads a page. Requests of others do not get this far.
impl<S: Send + Sync> FromRequestParts<S> for Reader {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PageError> {
        let reader = parts.extensions.get::<Reader>().cloned();
        Ok(reader.ok_or(HttpProblem::AdminToken)?)
    }
}

/// A person who may change something.
pub(super) struct Editor(pub(super) Reader);

impl<S: Send + Sync> FromRequestParts<S> for Editor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, PageError> {
        let reader = Reader::from_request_parts(parts, state).await?;
        if !reader.is_editor() {
            return Err(HttpProblem::Forbidden("this needs the role `editor`").into());
        }
        Ok(Editor(reader))
    }
}

/// Maximum time for receiving a form: an edit of the rules can have megabytes.
pub(super) const FORM_TIMEOUT: Duration = Duration::from_secs(60);

async fn read_form<T: DeserializeOwned, S: Send + Sync>(
    request: Request,
    state: &S,
) -> Result<T, HttpProblem> {
    let reading = Form::from_request(request, state).map_err(|error: FormRejection| {
        HttpProblem::unread_body(error.status(), error.body_text(), MAX_BODY_BYTES)
    });
    let Form(form) = within(FORM_TIMEOUT, reading).await?;
    Ok(form)
}

/// A form of a person without a session: the log-in.
pub(super) struct LogInFields<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for LogInFields<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PageError> {
        Ok(LogInFields(read_form(request, state).await?))
    }
}

/// A form without fields of its own.
#[derive(Debug, Deserialize)]
pub(super) struct EmptyForm {}

/// A form that was sent by a page of the session itself.
pub(super) struct Submitted<T>(pub(super) T);

#[derive(Deserialize)]
struct WithCsrf<T> {
    #[serde(default)]
    csrf: String,
    #[serde(flatten)]
    form: T,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Submitted<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        let reader = Reader::from_request_parts(&mut parts, state).await?;
        let request = Request::from_parts(parts, body);
        let WithCsrf { csrf, form } = read_form(request, state).await?;
        reader.check_form(&csrf)?;
        Ok(Submitted(form))
    }
}

/// Runs work that takes a while on a thread of its own. The message of a panic can contain a part of a body, so the
/// problem does not repeat it.
pub(super) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, HttpProblem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_panic| panicked())
}

/// Returns the problem of work that panicked.
pub(super) fn panicked() -> HttpProblem {
    HttpProblem::Internal(
        "the work for this page panicked, which is a defect: see the log".to_owned(),
    )
}

/// Returns a path with a query.
pub(super) fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    if pairs.is_empty() {
        return path.to_owned();
    }
    let query = Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("{path}?{query}")
}

/// Returns `1 error` or `2 errors`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Security headers of every page: nothing from elsewhere, no inline script or style, no frame.
pub(super) const HEADERS: [(&str, HeaderValue); 4] = [
    (
        "content-security-policy",
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
             connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ),
    ("referrer-policy", HeaderValue::from_static("same-origin")),
    ("x-frame-options", HeaderValue::from_static("DENY")),
    ("cross-origin-opener-policy", HeaderValue::from_static("same-origin")),
];
