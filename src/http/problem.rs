//! What is refused, and how that looks over HTTP: a status and a problem body (RFC 9457).
//!
//! One body for every 401: whoever is not proved learns nothing from it.

use std::fmt;

use axum::http::{HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::Full;
use serde_json::json;

use crate::authenticate::Unproved;
use crate::dialect::Unreadable;
use crate::pipeline::Refusal;
use crate::records::NotStored;

/// Everything that the public listener answers with something else than 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// 401. The reason is for the log.
    Unproved(Unproved),
    /// 400: proved, and not a body that the platform sends.
    Unreadable(Unreadable),
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

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        match refusal {
            Refusal::Unproved(why) => Refused::Unproved(why),
            Refusal::Unreadable(why) => Refused::Unreadable(why),
            Refusal::NotStored(why) => Refused::NotStored(why),
        }
    }
}

/// Why, for the log.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Refused::Unproved(why) = self { why.fmt(f) } else { f.write_str(&self.detail()) }
    }
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Refused::Unproved(_) => StatusCode::UNAUTHORIZED,
            Refused::Unreadable(_) | Refused::Malformed(_) => StatusCode::BAD_REQUEST,
            Refused::Path => StatusCode::NOT_FOUND,
            Refused::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Refused::Slow => StatusCode::REQUEST_TIMEOUT,
            Refused::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refused::Overloaded | Refused::NotStored(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// For whoever asked.
    fn detail(&self) -> String {
        match self {
            Refused::Unproved(_) => {
                "the request is not proved to come from the platform".to_owned()
            }
            Refused::Unreadable(why) => why.to_string(),
            Refused::Malformed(why) => (*why).to_owned(),
            Refused::Path => "nothing is here; calls come to /inbound/SOURCE".to_owned(),
            Refused::Method { allow } => format!("this path takes {allow}"),
            Refused::Slow => "the body did not arrive in time".to_owned(),
            Refused::TooLarge { most } => format!("the body may have {most} bytes"),
            Refused::Overloaded => "too many requests at once".to_owned(),
            Refused::NotStored(why) => why.to_string(),
        }
    }
}

impl Refused {
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
            Refused::Overloaded | Refused::NotStored(_) => put(header::RETRY_AFTER, "1"),
            Refused::Method { allow } => put(header::ALLOW, allow),
            // What is left of the body would be taken for the next request.
            Refused::Slow | Refused::TooLarge { .. } | Refused::Malformed(_) => {
                put(header::CONNECTION, "close")
            }
            Refused::Unproved(_) | Refused::Unreadable(_) | Refused::Path => None,
        };
        response
    }
}
