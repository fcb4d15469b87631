//! What is refused, and how that looks over HTTP: a status and a problem body (RFC 9457).
//!
//! One body for every 401: whoever is not proved learns nothing from it.

use std::fmt;

use axum::http::{HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::Full;
use serde_json::json;

use crate::authenticate::AuthError;
use crate::dialect::ParseError;
use crate::pipeline::RequestError;
use crate::records::NotStored;

/// Everything that the public listener answers with something else than 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpProblem {
    /// 401. The reason is for the log.
    Unauthenticated(AuthError),
    /// 400: proved, and not a body that the platform sends.
    Unreadable(ParseError),
    /// 400: not HTTP as it should be.
    Malformed(&'static str),
    /// 404: nothing is at this path.
    Path,
    /// 405.
    Method {
        /// What may be asked here.
        allow: &'static str,
    },
    /// 408: the body took too long.
    Slow,
    /// 413.
    TooLarge {
        /// The most that this path takes, in bytes.
        most: usize,
    },
    /// 503: too many at once.
    Overloaded,
    /// 503: an event that is not stored, to be sent again.
    NotStored(NotStored),
}

impl From<RequestError> for HttpProblem {
    fn from(refusal: RequestError) -> HttpProblem {
        match refusal {
            RequestError::Unauthenticated(why) => HttpProblem::Unauthenticated(why),
            RequestError::Unreadable(why) => HttpProblem::Unreadable(why),
            RequestError::NotStored(why) => HttpProblem::NotStored(why),
        }
    }
}

/// Why, for the log.
impl fmt::Display for HttpProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let HttpProblem::Unauthenticated(why) = self {
            why.fmt(f)
        } else {
            f.write_str(&self.detail())
        }
    }
}

impl HttpProblem {
    fn status(&self) -> StatusCode {
        match self {
            HttpProblem::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            HttpProblem::Unreadable(_) | HttpProblem::Malformed(_) => StatusCode::BAD_REQUEST,
            HttpProblem::Path => StatusCode::NOT_FOUND,
            HttpProblem::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            HttpProblem::Slow => StatusCode::REQUEST_TIMEOUT,
            HttpProblem::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            HttpProblem::Overloaded | HttpProblem::NotStored(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// For whoever asked.
    fn detail(&self) -> String {
        match self {
            HttpProblem::Unauthenticated(_) => {
                "the request is not proved to come from the platform".to_owned()
            }
            HttpProblem::Unreadable(why) => why.to_string(),
            HttpProblem::Malformed(why) => (*why).to_owned(),
            HttpProblem::Path => "nothing is here; calls come to /inbound/SOURCE".to_owned(),
            HttpProblem::Method { allow } => format!("this path takes {allow}"),
            HttpProblem::Slow => "the body did not arrive in time".to_owned(),
            HttpProblem::TooLarge { most } => format!("the body may have {most} bytes"),
            HttpProblem::Overloaded => "too many requests at once".to_owned(),
            HttpProblem::NotStored(why) => why.to_string(),
        }
    }
}

impl HttpProblem {
    /// The response: a status, a problem body, and what a client needs to go on.
    pub fn into_response(self) -> Response<Full<Bytes>> {
        let status = self.status();
        let title = status.canonical_reason().unwrap_or_default();
        let problem = json!({ "title": title, "status": status.as_u16(), "detail": self.detail() });
        let mut response = Response::new(Full::from(problem.to_string()));
        *response.status_mut() = status;
        let mut put =
            |name, value| response.headers_mut().insert(name, HeaderValue::from_static(value));
        put(header::CONTENT_TYPE, "application/problem+json");
        match self {
            HttpProblem::Overloaded | HttpProblem::NotStored(_) => put(header::RETRY_AFTER, "1"),
            HttpProblem::Method { allow } => put(header::ALLOW, allow),
            // What is left of the body would be taken for the next request.
            HttpProblem::Slow | HttpProblem::TooLarge { .. } | HttpProblem::Malformed(_) => {
                put(header::CONNECTION, "close")
            }
            HttpProblem::Unauthenticated(_) | HttpProblem::Unreadable(_) | HttpProblem::Path => {
                None
            }
        };
        response
    }
}
