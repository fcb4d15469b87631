//! Errors of both listeners as HTTP: a status and a problem body (RFC 9457).
//!
//! Every 401 has the same body: a client that fails authentication learns nothing about the reason.

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::request_counters::status_of;
use crate::authenticate::AuthError;
use crate::dialect::ParseError;
use crate::pipeline::RequestError;
use crate::records::NotStored;
use crate::telemetry::RequestOutcome;

/// Error response to a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpProblem {
    /// 401: authentication failed. The message is for the log only; it begins with the reason that the
    /// metrics count.
    #[error("{reason}: {0}", reason = .0.as_str())]
    Unauthenticated(AuthError),
    /// 401: the admin token is missing or wrong.
    #[error("the admin token is missing or wrong")]
    AdminToken,
    /// 401: the name or the password of a log-in is wrong.
    #[error("the name or the password is wrong")]
    LogIn,
    /// 429: too many log-ins from this address have failed.
    #[error("too many attempts; wait a minute")]
    TooManyLogIns,
    /// 409: what the request changes has changed since the client read it.
    #[error("{0}")]
    Conflict(String),
    /// 422: the values of a form are invalid.
    #[error("{0}")]
    Invalid(String),
    /// 400: the request is authenticated, but its dialect cannot parse the body.
    #[error(transparent)]
    Unreadable(ParseError),
    /// 400: the request is not valid HTTP, or a parameter is invalid.
    #[error("{0}")]
    BadRequest(Cow<'static, str>),
    /// 403: the request is not allowed without an admin token.
    #[error("{0}")]
    Forbidden(&'static str),
    /// 404: no such path or source.
    #[error("not found; calls are accepted at /inbound/SOURCE")]
    Path,
    /// 404: no such path, but one that differs only in upper and lower case. The client knows its name
    /// already.
    #[error("not found; paths are case-sensitive: {path}")]
    LetterCase {
        /// Path of the source, without a token.
        path: String,
    },
    /// 404: no such resource.
    #[error("{0}")]
    NotFound(String),
    /// 405: the path does not support this method. Whoever answers adds the `Allow` header.
    #[error("this path does not support this method; see the Allow header")]
    Method,
    /// 408: the body did not arrive in time.
    #[error("the body did not arrive in time")]
    BodyTimeout,
    /// 413: the body is too large.
    #[error("the body exceeds {limit_bytes} bytes")]
    TooLarge {
        /// Maximum size of the body on this path, in bytes.
        limit_bytes: usize,
    },
    /// 500: a defect of the service.
    #[error("{0}")]
    Internal(String),
    /// 503: too many requests are in flight.
    #[error("too many concurrent requests")]
    Overloaded,
    /// 503: an event could not be stored; the platform sends it again.
    #[error(transparent)]
    NotStored(NotStored),
    /// 503: a part of the service is not available.
    #[error("{0}")]
    Unavailable(String),
}

impl From<RequestError> for HttpProblem {
    fn from(error: RequestError) -> HttpProblem {
        match error {
            RequestError::Unauthenticated(error) => HttpProblem::Unauthenticated(error),
            RequestError::Unreadable(error) => HttpProblem::Unreadable(error),
            RequestError::NotStored(error) => HttpProblem::NotStored(error),
        }
    }
}

/// Body of a problem response; the type is the default `about:blank`.
#[derive(Serialize)]
struct ProblemBody<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl HttpProblem {
    /// Returns the problem of a body that axum rejected, on a path with this limit.
    pub(crate) fn unread_body(
        status: StatusCode,
        message: String,
        limit_bytes: usize,
    ) -> HttpProblem {
        match status {
            StatusCode::PAYLOAD_TOO_LARGE => HttpProblem::TooLarge { limit_bytes },
            _ => HttpProblem::BadRequest(message.into()),
        }
    }

    /// Returns the outcome of a request to a source, or the status of a problem that is none.
    fn classify(&self) -> Result<RequestOutcome, StatusCode> {
        match self {
            HttpProblem::Unauthenticated(_) => Ok(RequestOutcome::Refused),
            HttpProblem::Unreadable(_) => Ok(RequestOutcome::Unreadable),
            HttpProblem::BadRequest(_) => Ok(RequestOutcome::BadRequest),
            HttpProblem::BodyTimeout => Ok(RequestOutcome::BodyTimeout),
            HttpProblem::TooLarge { .. } => Ok(RequestOutcome::BodyTooLarge),
            HttpProblem::Overloaded => Ok(RequestOutcome::Overloaded),
            HttpProblem::NotStored(_) => Ok(RequestOutcome::NotStored),
            HttpProblem::Internal(_) => Ok(RequestOutcome::Failed),
            HttpProblem::AdminToken | HttpProblem::LogIn => Err(StatusCode::UNAUTHORIZED),
            HttpProblem::TooManyLogIns => Err(StatusCode::TOO_MANY_REQUESTS),
            HttpProblem::Conflict(_) => Err(StatusCode::CONFLICT),
            HttpProblem::Invalid(_) => Err(StatusCode::UNPROCESSABLE_ENTITY),
            HttpProblem::Forbidden(_) => Err(StatusCode::FORBIDDEN),
            HttpProblem::Path | HttpProblem::LetterCase { .. } | HttpProblem::NotFound(_) => {
                Err(StatusCode::NOT_FOUND)
            }
            HttpProblem::Method => Err(StatusCode::METHOD_NOT_ALLOWED),
            HttpProblem::Unavailable(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    fn status(&self) -> StatusCode {
        self.classify().map_or_else(|status| status, status_of)
    }

    /// Returns the outcome of the request to a source that ends with this problem, if it is one.
    pub(super) fn outcome(&self) -> Option<RequestOutcome> {
        self.classify().ok()
    }

    /// Returns what the client may know.
    fn detail(&self) -> Cow<'static, str> {
        if let HttpProblem::Unauthenticated(_) = self {
            return Cow::Borrowed("request authentication failed");
        }
        Cow::Owned(self.to_string())
    }

    /// Returns the header that belongs to the status, if there is one.
    fn header(&self) -> Option<(HeaderName, &'static str)> {
        match self {
            HttpProblem::AdminToken => Some((header::WWW_AUTHENTICATE, "Bearer")),
            HttpProblem::Overloaded | HttpProblem::NotStored(_) | HttpProblem::Unavailable(_) => {
                Some((header::RETRY_AFTER, "1"))
            }
            HttpProblem::TooManyLogIns => Some((header::RETRY_AFTER, "60")),
            // The unread rest of the body would be parsed as the next request.
            HttpProblem::BodyTimeout
            | HttpProblem::TooLarge { .. }
            | HttpProblem::BadRequest(_) => Some((header::CONNECTION, "close")),
            HttpProblem::Unauthenticated(_)
            | HttpProblem::Unreadable(_)
            | HttpProblem::Forbidden(_)
            | HttpProblem::LogIn
            | HttpProblem::Conflict(_)
            | HttpProblem::Invalid(_)
            | HttpProblem::Path
            | HttpProblem::LetterCase { .. }
            | HttpProblem::NotFound(_)
            | HttpProblem::Method
            | HttpProblem::Internal(_) => None,
        }
    }
}

impl IntoResponse for HttpProblem {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = ProblemBody {
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: &self.detail(),
        };
        let mut response = (status, Json(body)).into_response();
        let mut set =
            |name, value| response.headers_mut().insert(name, HeaderValue::from_static(value));
        set(header::CONTENT_TYPE, "application/problem+json");
        if let Some((name, value)) = self.header() {
            set(name, value);
        }
        response
    }
}
