//! The HTTP side of an effect: attempts within a deadline.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::domain::effect::{Effect, EffectResult};
use crate::lookup::http::{NO_CLIENT, client_builder, describe};
use crate::source::ApiAccess;

/// Time for one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause after the first failed attempt; doubles with each, up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause, so that attempts go on until the deadline.
const MAX_PAUSE: Duration = Duration::from_millis(500);
/// Problem of an effect whose source has no key for the API.
pub(super) const NO_KEY: &str = "not sent: the source has no usable api_key";
/// Header that makes a repeated request harmless.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Statuses below 500 after which a repetition may help: a timeout, too many requests.
const TEMPORARY: [u16; 2] = [408, 429];
/// Statuses of requests that were not carried out: too many requests, no capacity.
const NOT_CARRIED_OUT: [u16; 2] = [429, 503];
/// Addition to the problem of an effect whose last attempt changed nothing, but an earlier one may have.
const MAY_HAVE_ACTED: &str = "; an earlier attempt may have been carried out";
/// Bytes of an answer that are read, so that the connection can be used again.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Report on an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attempted {
    pub(super) result: EffectResult,
    /// Status of the last answer.
    pub(super) status: Option<u16>,
    /// Problem of the last attempt.
    pub(super) problem: Option<String>,
    /// Number of requests; 0 if the effect was not sent.
    pub(super) attempts: u32,
}

impl Attempted {
    /// Returns the report on an effect that was not sent.
    pub(super) fn not_sent(problem: &str) -> Attempted {
        let problem = Some(problem.to_owned());
        Attempted { result: EffectResult::Failed, status: None, problem, attempts: 0 }
    }
}

/// Connections to the API of one source.
#[derive(Clone)]
pub(super) struct ApiClient(Client);

impl ApiClient {
    /// Creates the pool, on a thread of its own: it reads the certificate authorities of the machine.
    ///
    /// # Errors
    /// Fails if TLS cannot be set up.
    pub(super) async fn new(access: &ApiAccess) -> Result<ApiClient, &'static str> {
        let allow_private = access.allow_private;
        let create = move || {
            let client = client_builder(ATTEMPT_TIMEOUT, allow_private)?;
            let client = client.redirect(Policy::none()).build();
            client.map(ApiClient).map_err(|_| NO_CLIENT)
        };
        tokio::task::spawn_blocking(create).await.unwrap_or(Err(NO_CLIENT))
    }

    /// Sends the request until the platform answers, at most until `deadline`.
    pub(super) async fn send(
        &self,
        effect: &Effect,
        access: &ApiAccess,
        deadline: Instant,
    ) -> Attempted {
        let Some(authorization) = authorization(access) else {
            return Attempted::not_sent(NO_KEY);
        };
        let mut pause = FIRST_PAUSE;
        let (mut attempts, mut may_have_acted) = (0, false);
        loop {
            attempts += 1;
            let ends_at = match effect.is_idempotent {
                true => deadline.min(Instant::now() + ATTEMPT_TIMEOUT),
                false => deadline,
            };
            let attempt =
                match timeout_at(ends_at, self.attempt(effect, access, &authorization)).await {
                    Ok(attempt) => attempt,
                    Err(_elapsed) => AttemptResult::unanswered(effect, "no answer in time"),
                };
            let next = Instant::now() + pause;
            let is_last = attempt.result.is_some() || next >= deadline;
            if is_last {
                return attempt.report(attempts, may_have_acted);
            }
            may_have_acted |= attempt.may_have_acted;
            sleep_until(next).await;
            pause = MAX_PAUSE.min(pause * 2);
        }
    }

    async fn attempt(
        &self,
        effect: &Effect,
        access: &ApiAccess,
        authorization: &HeaderValue,
    ) -> AttemptResult {
        let url = format!("{}{}", access.base_url.as_str().trim_end_matches('/'), effect.path);
        let body = effect.body.to_string();
        let request = self.0.post(url).header(CONTENT_TYPE, "application/json").body(body);
        let request = request.header(reqwest::header::AUTHORIZATION, authorization.clone());
        let request = match &effect.idempotency_key {
            Some(key) => request.header(IDEMPOTENCY_KEY, key),
            None => request,
        };
        match request.send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                drain(response).await;
                AttemptResult::answered(effect, status)
            }
            Err(error) if error.is_connect() => {
                AttemptResult::repeatable(None, describe(&error), false)
            }
            Err(error) => AttemptResult::unanswered(effect, describe(&error)),
        }
    }
}

/// Result of one attempt: `None` if a repetition may help.
struct AttemptResult {
    result: Option<EffectResult>,
    status: Option<u16>,
    problem: Option<String>,
    /// The platform may have carried out the request.
    may_have_acted: bool,
}

impl AttemptResult {
    fn of(result: EffectResult, status: Option<u16>, problem: Option<&str>) -> AttemptResult {
        let may_have_acted = result != EffectResult::Refused;
        let problem = problem.map(str::to_owned);
        AttemptResult { result: Some(result), status, problem, may_have_acted }
    }

    fn repeatable(status: Option<u16>, problem: &str, may_have_acted: bool) -> AttemptResult {
        AttemptResult { result: None, status, problem: Some(problem.to_owned()), may_have_acted }
    }

    /// Returns the report on an effect after its last attempt. `may_have_acted` says whether an earlier attempt may
    /// have been carried out: then a refusal does not mean that nothing has happened.
    fn report(self, attempts: u32, may_have_acted: bool) -> Attempted {
        let result = self.result.unwrap_or(EffectResult::Late);
        let note = if may_have_acted && !self.may_have_acted { MAY_HAVE_ACTED } else { "" };
        let problem = self.problem.map(|problem| problem + note);
        Attempted { result, status: self.status, problem, attempts }
    }

    /// The request may have been carried out.
    fn unanswered(effect: &Effect, problem: &str) -> AttemptResult {
        match effect.is_idempotent {
            true => AttemptResult::repeatable(None, problem, true),
            false => AttemptResult::of(EffectResult::Late, None, Some(problem)),
        }
    }

    fn answered(effect: &Effect, status: u16) -> AttemptResult {
        let problem = format!("status {status}");
        let may_help = match effect.is_idempotent {
            true => TEMPORARY.contains(&status) || status >= 500,
            false => NOT_CARRIED_OUT.contains(&status),
        };
        match status {
            200..300 => AttemptResult::of(EffectResult::Acknowledged, Some(status), None),
            status if may_help => {
                let may_have_acted = !NOT_CARRIED_OUT.contains(&status);
                AttemptResult::repeatable(Some(status), &problem, may_have_acted)
            }
            _ => AttemptResult::of(EffectResult::Refused, Some(status), Some(&problem)),
        }
    }
}

fn authorization(access: &ApiAccess) -> Option<HeaderValue> {
    let key = access.key.get();
    let mut value = b"Bearer ".to_vec();
    value.extend_from_slice(key.as_ref()?.expose());
    let mut value = HeaderValue::from_bytes(&value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

async fn drain(mut response: Response) {
    let mut bytes = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes += chunk.len();
        if bytes > MAX_ANSWER_BYTES {
            return;
        }
    }
}
