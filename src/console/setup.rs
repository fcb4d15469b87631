//! `/setup`: the URLs of each source, what its platform needs, when it last asked, and a test call.

use std::collections::BTreeMap;

use askama::Template;
use axum::body::to_bytes;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use tokio::time::Instant;
use tower::ServiceExt;

use super::access::Reader;
use super::calls;
use super::health::{LabelledCount, age, counts};
use super::page::{
    Editor, Frame, HtmlPage, PageError, PageSection, Parameters, Submitted, with_problem,
};
use super::platform_notes::of_platform;
use super::state::{Console, UNKNOWN_HOST};
use crate::authenticate::{Content, Coverage, Mode, Policy};
use crate::domain::call::Fields;
use crate::http::HttpProblem;
use crate::http::public::TestCall;
use crate::pipeline::SourceEndpoint;
use crate::records::{LastRecorded, TEST_CALL};
use crate::rules::parse_party;
use crate::signed_request::{FROM, SignedRequest, TO, example_call, new_call, path_of, url_path};
use crate::source::Source;
use crate::telemetry::Samples;

/// Bytes of a reply that the page reads.
const MAX_REPLY: usize = 1 << 20;

/// Query parameters of the page.
#[derive(Debug, Default, Deserialize)]
pub(super) struct SetupQuery {
    /// Base URL under which platforms reach this service.
    #[serde(default)]
    base: String,
}

/// The form of a test call.
#[derive(Debug, Deserialize)]
pub(super) struct TestForm {
    source: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    base: String,
}

/// A source on the page.
struct SourcePart {
    name: String,
    platform: &'static str,
    calls_url: String,
    events_url: String,
    /// Whether a token was left out of the URLs.
    hides_token: bool,
    steps: Vec<String>,
    page: &'static str,
    /// Kind of the signature scheme.
    scheme: &'static str,
    proves: &'static str,
    weaknesses: Vec<String>,
    last_call: String,
    last_event: String,
    /// Refusals by reason.
    refused: Vec<LabelledCount>,
    /// Whether a decision leads to requests to the platform's API.
    has_effects: bool,
    has_address_filter: bool,
    test: Option<TestCallResult>,
    from: String,
    to: String,
}

/// Result of a test call.
struct TestCallResult {
    ok: bool,
    summary: String,
    reply: String,
    /// The platform's id of the call, by which its record is found.
    call_id: Option<String>,
}

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    frame: Frame,
    reader: Reader,
    base: String,
    base_error: Option<String>,
    sources: Vec<SourcePart>,
    has_test: bool,
    started: String,
}

pub(super) async fn show(
    State(console): State<Console>,
    reader: Reader,
    Parameters(SetupQuery { base }): Parameters<SetupQuery>,
) -> Result<Response, PageError> {
    let page = SetupPage::new(&console, reader, base).await;
    match &page.base_error {
        Some(error) => Ok(with_problem(HttpProblem::Invalid(error.clone()), page)),
        None => Ok(HtmlPage(page).into_response()),
    }
}

/// Sends a signed test call through the routes for platforms, and shows the reply.
pub(super) async fn test(
    State(console): State<Console>,
    Editor(reader): Editor,
    Submitted(form): Submitted<TestForm>,
) -> Result<Response, PageError> {
    let endpoint = console.app.endpoint(&form.source).cloned();
    let endpoint =
        endpoint.ok_or_else(|| HttpProblem::NotFound(format!("no source `{}`", form.source)))?;
    tracing::info!(user = reader.name, source = form.source, "sent a test call in the console");
    let test = match send(&console, &endpoint, &form).await {
        Ok(test) => test,
        Err(reason) => {
            TestCallResult { ok: false, summary: reason, reply: String::new(), call_id: None }
        }
    };
    let mut page = SetupPage::new(&console, reader, form.base).await;
    if let Some(part) = page.sources.iter_mut().find(|part| part.name == form.source) {
        part.from = form.from;
        part.to = form.to;
        part.test = Some(test);
    }
    Ok(HtmlPage(page).into_response())
}

async fn send(
    console: &Console,
    endpoint: &SourceEndpoint,
    form: &TestForm,
) -> Result<TestCallResult, String> {
    let source = &endpoint.source;
    let public = console.public.clone();
    let public = public.ok_or_else(|| "this process has no routes for platforms".to_owned())?;
    let mut fields = example_call();
    for (text, name, field) in
        [(&form.from, "from", &mut fields.from), (&form.to, "to", &mut fields.to)]
    {
        if !text.trim().is_empty() {
            let party = parse_party(text, &source.numbers);
            *field = party.map_err(|reason| format!("{name}: {reason}"))?;
        }
    }
    let now = console.app.now();
    let id = format!("{TEST_CALL}{}", uuid::Uuid::now_v7().simple());
    let fields = Fields { call_id: Some(id.clone().into()), ..new_call(fields, now) };
    let body = source.dialect.encode_request(&fields);
    let url = format!("{}{}", console.public_url_of(source), path_of(source));
    let signed = SignedRequest::new(url, source, body, now).map_err(|error| error.to_string())?;
    let mut request = signed.into_request();
    if let Ok(id) = HeaderValue::try_from(&id) {
        request.headers_mut().insert(&crate::http::public::REQUEST_ID, id);
    }
    request.extensions_mut().insert(TestCall);
    let started = Instant::now();
    let response = public.oneshot(request).await.unwrap_or_else(|never| match never {});
    let (status, took) = (response.status(), started.elapsed());
    let body = to_bytes(response.into_body(), MAX_REPLY).await;
    let body = body.map_err(|error| format!("the reply could not be read: {error}"))?;
    let json = serde_json::from_slice::<serde_json::Value>(&body).ok();
    let text = || String::from_utf8_lossy(&body).into_owned();
    Ok(TestCallResult {
        ok: status.is_success(),
        summary: format!("{status} in {:.1} ms", took.as_secs_f64() * 1000.0),
        reply: json.map_or_else(text, |json| format!("{json:#}")),
        call_id: status.is_success().then_some(id),
    })
}

impl SetupPage {
    async fn new(console: &Console, reader: Reader, base: String) -> SetupPage {
        let (app, zone) = (&console.app, calls::zone(console));
        let samples = app.counters().samples();
        let parsed = base_url(&base);
        let given = parsed.as_ref().ok().cloned().flatten();
        let sources = app.sources().into_iter().filter_map(|source| app.endpoint(&source.name));
        let recorded = recorded_times(console).await;
        let context = Context {
            recorded: recorded.as_ref(),
            base: given.as_deref(),
            reader: &reader,
            samples: &samples,
            zone: &zone,
            now: app.now(),
        };
        let sources = sources.map(|endpoint| SourcePart::new(endpoint, &context)).collect();
        SetupPage {
            frame: Frame::new("Set-up", PageSection::SetUp, &reader),
            base,
            base_error: parsed.err(),
            sources,
            has_test: console.public.is_some(),
            started: context.time(app.started_at()),
            reader,
        }
    }
}

/// Returns whether all recorded requests of a source were authenticated.
fn is_verified_when_recorded(source: &Source) -> bool {
    [false, true].iter().all(|is_events| source.policy_of(*is_events).mode != Mode::Observe)
}

/// Returns the times of the newest records by source, if a source has had no request of a kind since the start.
async fn recorded_times(console: &Console) -> Option<BTreeMap<String, LastRecorded>> {
    let app = &console.app;
    let mut times =
        app.endpoints().flat_map(|endpoint| [endpoint.last_call.get(), endpoint.last_event.get()]);
    if times.all(|at| at.is_some()) {
        return None;
    }
    let store = app.recorder().store().ok()?;
    let _turn = console.counting.wait().await;
    match store.last_recorded().await {
        Ok(recorded) => Some(recorded),
        Err(error) => {
            tracing::warn!(%error, "cannot read the times of the newest records");
            None
        }
    }
}

/// Returns a base URL without a slash at its end; `None` if the text is empty.
fn base_url(text: &str) -> Result<Option<String>, String> {
    let text = text.trim().trim_end_matches('/');
    if text.is_empty() {
        return Ok(None);
    }
    let url = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let is_http = url::Url::parse(&url)
        .is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
    match is_http {
        true => Ok(Some(url)),
        false => Err(format!("`{text}` is not a URL like https://calls.example.com")),
    }
}

/// Inputs that all sources of the page share.
struct Context<'c> {
    /// Base URL that the reader has given.
    base: Option<&'c str>,
    reader: &'c Reader,
    samples: &'c Samples,
    zone: &'c TimeZone,
    now: Timestamp,
    /// Times of the newest records by source; `None` if they are not known.
    recorded: Option<&'c BTreeMap<String, LastRecorded>>,
}

impl Context<'_> {
    fn time(&self, at: Timestamp) -> String {
        let ago = age(self.now.duration_since(at).as_secs());
        let at = at.to_zoned(self.zone.clone()).strftime("%a %d %b %Y %H:%M:%S").to_string();
        format!("{at} ({ago} ago)")
    }

    /// Returns the time of the last request of a kind: since the start, or else that of the newest record.
    fn last(
        &self,
        source: &Source,
        since_start: Option<Timestamp>,
        of_record: fn(&LastRecorded) -> Option<Timestamp>,
    ) -> String {
        const NONE: &str = "none since the start";
        if let Some(at) = since_start {
            return format!("{}, since the start", self.time(at));
        }
        let Some(recorded) = self.recorded.filter(|_| is_verified_when_recorded(source)) else {
            return NONE.to_owned();
        };
        match recorded.get(&*source.name).and_then(of_record) {
            Some(at) => format!("{}, from the records; {NONE}", self.time(at)),
            None => format!("{NONE}, and none in the newest records"),
        }
    }
}

impl SourcePart {
    fn new(endpoint: &SourceEndpoint, context: &Context<'_>) -> SourcePart {
        let source = &endpoint.source;
        let known = source.policy.public_base_url.as_deref();
        let base = context.base.or(known).unwrap_or(UNKNOWN_HOST);
        let shows_token = context.reader.is_editor();
        let url = |is_events| format!("{base}{}", url_path(source, is_events, shows_token));
        let (calls_url, events_url) = (url(false), url(true));
        let hides_token = !shows_token
            && [false, true].iter().any(|is_events| {
                url_path(source, *is_events, true) != url_path(source, *is_events, false)
            });
        let platform = source.dialect.platform().as_str();
        let notes = of_platform(platform);
        let steps = notes
            .steps
            .iter()
            .map(|step| step.replace("{calls}", &calls_url).replace("{events}", &events_url));
        let refused =
            context.samples.by("switchboard_refused_total", &[("source", &*source.name)], "reason");
        SourcePart {
            name: source.name.to_string(),
            platform,
            steps: steps.collect(),
            calls_url,
            events_url,
            hides_token,
            page: notes.page,
            scheme: source.policy.scheme.kind(),
            proves: proof(&source.policy),
            weaknesses: weaknesses(source),
            last_call: context.last(source, endpoint.last_call.get(), |last| last.call),
            last_event: context.last(source, endpoint.last_event.get(), |last| last.event),
            refused: counts(refused),
            has_effects: source.api.is_some(),
            has_address_filter: !source.policy.allow_from.is_empty(),
            test: None,
            from: FROM.to_owned(),
            to: TO.to_owned(),
        }
    }
}

/// Returns what a valid signature proves.
fn proof(policy: &Policy) -> &'static str {
    let Coverage { body, query, time } = policy.scheme.coverage();
    match (policy.mode, body || query, time) {
        (Mode::Off, _, _) => "nothing: signatures are not checked",
        (Mode::WhenPresent, ..) => {
            "the sender of a request with a signature; the others need the second factor alone"
        }
        (Mode::Observe, _, _) => "nothing yet: requests that fail are answered, and counted",
        (Mode::Required, _, _) if !policy.scheme.has_keys() => "nothing: there is no signature",
        (Mode::Required, true, true) => "the sender, the content and the time",
        (Mode::Required, true, false) => "the sender and the content",
        (Mode::Required, false, true) => "the sender and the time",
        (Mode::Required, false, false) => "the sender",
    }
}

/// Returns what the signatures of a source do not prove, and what the source has beside them.
fn weaknesses(source: &Source) -> Vec<String> {
    let content = if source.dialect.sends_query() { Content::Query } else { Content::Body };
    let of_calls = source.policy.scheme.weakness(content).map(|text| text.into_owned());
    let of_events = source.events_policy.as_ref();
    let of_events = of_events.and_then(|policy| policy.scheme.weakness(content));
    let of_events = of_events.map(|text| format!("events: {text}"));
    let factor = match (source.policy.has_url_token(), source.policy.allow_from.is_empty()) {
        (true, false) => Some("second factor: a URL token, and the addresses of allow_from"),
        (true, true) => Some("second factor: a URL token"),
        (false, false) => Some("second factor: the addresses of allow_from"),
        (false, true) => None,
    };
    of_calls.into_iter().chain(of_events).chain(factor.map(str::to_owned)).collect()
}
