//! `/calls/ID`: one call, with its reply, its explanation, its look-ups and its events.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::access::Reader;
use super::call_rows;
use super::calls;
use super::explained::{ExplainedPart, in_words, shortened};
use super::name_link::NameLink;
use super::page::{
    Editor, Frame, HtmlPage, PageError, PageSection, Parameters, off_thread, with_problem,
};
use super::state::Console;
use crate::dialect;
use crate::domain::transcript::transcript;
use crate::explain::recorded::{RecordedExplanation, explain_with_snapshot};
use crate::http::HttpProblem;
use crate::records::{
    AskedLookup, CallRecord, EventRecord, FALLBACK, LookupResult, SHORTEST_PREFIX, Store,
    format_seconds,
};
use crate::signed_request::{SignedRequest, new_call, path_of};

/// Events of a call that a page lists.
const MOST_EVENTS: usize = 200;
/// Events whose bodies are searched for a transcript.
const MOST_SEARCHED: usize = 3;
/// Size of a body up to which it is searched or printed with indentation, in bytes.
const MAX_PARSED: usize = 1 << 20;
/// Size of the bodies that the page of a call has at most; the others are asked for one by one.
const MAX_BODIES: usize = 4 << 20;
/// Characters of a body or a transcript that a page shows.
const MOST_CHARS: usize = 100_000;

/// Query parameters of the page.
#[derive(Debug, Default, Deserialize)]
pub(super) struct CallQuery {
    /// Shows the bodies of events.
    #[serde(default)]
    bodies: bool,
}

#[derive(Template)]
#[template(path = "call.html")]
struct CallPage {
    frame: Frame,
    reader: Reader,
    id: Uuid,
    at: String,
    zone: String,
    from: String,
    to: String,
    /// Outcome as a word, which a class has too.
    outcome: String,
    outcome_text: String,
    rule: Option<NameLink>,
    decided_ms: String,
    /// Fields by their names.
    facts: Vec<(&'static str, String)>,
    explained: Option<ExplainedPart>,
    /// Reason for which there is no explanation.
    unexplained: Option<String>,
    notes: Vec<String>,
    /// Whether the fallback reply was sent, which no rule explains.
    is_fallback: bool,
    lookups: Vec<LookupDetail>,
    events: Vec<TimelineEvent>,
    /// Events that are not listed.
    more_events: usize,
    shows_bodies: bool,
    deliveries: i64,
    transcript: Option<String>,
    recording: Option<Recording>,
    /// Whether the record has everything that an explanation needs.
    is_whole: bool,
}

/// A look-up that was asked.
struct LookupDetail {
    name: String,
    state: String,
    took_ms: u64,
    cached: bool,
    problem: Option<String>,
    question: Option<String>,
    value: Option<String>,
}

/// An event of the timeline.
struct TimelineEvent {
    id: Uuid,
    /// Time since the arrival of the call: `+61.3 s`.
    offset: String,
    kind: String,
    attempts: i64,
    summary: String,
    body: Option<String>,
}

/// The recording of a call.
enum Recording {
    Link(String),
    /// The platform sent something that this page does not link, for this reason.
    Hidden(&'static str),
}

#[derive(Template)]
#[template(path = "call_choice.html")]
struct ChoicePage {
    frame: Frame,
    id: String,
    ids: Vec<Uuid>,
}

#[derive(Template)]
#[template(path = "event_body.html")]
struct BodyPart {
    body: String,
}

#[derive(Template)]
#[template(path = "curl.html")]
struct CurlPart {
    curl: Result<String, String>,
}

/// Shows a call by the id of its record, the beginning of it, or its id at the platform.
pub(super) async fn show(
    State(console): State<Console>,
    reader: Reader,
    Path(id): Path<String>,
    Parameters(query): Parameters<CallQuery>,
) -> Result<Response, PageError> {
    let store = console.store().await?;
    let call = match store.lookup(&id).await? {
        LookupResult::One(call) => *call,
        LookupResult::Several(ids) => return Ok(HtmlPage(choice(id, ids, &reader)).into_response()),
        LookupResult::None => {
            let problem = HttpProblem::NotFound("no call is recorded under this id".to_owned());
            return Ok(with_problem(problem, choice(id, Vec::new(), &reader)));
        }
    };
    let call = Arc::new(call);
    let explanation = explain(&console, &store, call.clone()).await?;
    let zone = calls::zone(&console);
    let mut page = CallPage::new(&call, explanation, reader, &zone);
    page.add_events(&store, &call, query.bodies).await?;
    Ok(HtmlPage(page).into_response())
}

fn choice(id: String, ids: Vec<Uuid>, reader: &Reader) -> ChoicePage {
    let title = if ids.is_empty() { "No such call" } else { "Several calls" };
    ChoicePage { frame: Frame::new(title, PageSection::Calls, reader), id, ids }
}

impl ChoicePage {
    #[expect(clippy::unused_self, reason = "templates call methods")]
    fn shortest_prefix(&self) -> usize {
        SHORTEST_PREFIX
    }
}

/// Explains a call with the rules of its time.
async fn explain(
    console: &Console,
    store: &Store,
    call: Arc<CallRecord>,
) -> Result<RecordedExplanation, PageError> {
    let snapshot = store.rule_snapshot(&call.fingerprint).await?;
    let app = console.app.clone();
    // The scan of a million rules takes a while; calls must not wait for it.
    let explained = off_thread(move || explain_with_snapshot(&call, snapshot.as_ref(), &app));
    let panicked = |_| RecordedExplanation::Unavailable("the explanation panicked".to_owned());
    Ok(explained.await.unwrap_or_else(panicked))
}

impl CallPage {
    fn new(
        call: &CallRecord,
        explanation: RecordedExplanation,
        reader: Reader,
        zone: &TimeZone,
    ) -> CallPage {
        let (explained, unexplained, notes) = match explanation {
            RecordedExplanation::Available { view, notes, .. } => {
                let notes = notes.iter().map(|note| reader.text(note).into_owned()).collect();
                (Some(ExplainedPart::new(*view, &reader)), None, notes)
            }
            RecordedExplanation::Unavailable(reason) => (None, Some(reason), Vec::new()),
        };
        let question = |name: &str| {
            let lookups = explained.iter().flat_map(|part| &part.view.lookups);
            lookups.into_iter().find(|lookup| lookup.name == name)?.question.clone()
        };
        let lookups = call.details.lookups.iter();
        let lookups = lookups.map(|asked| LookupDetail::new(asked, question(&asked.name), &reader));
        let is_fallback = call.is_fallback();
        let outcome = if is_fallback { FALLBACK } else { &call.outcome };
        CallPage {
            frame: Frame::new(format!("Call {}", short(call.id)), PageSection::Calls, &reader),
            id: call.id,
            at: call.at.to_zoned(zone.clone()).strftime("%a %d %b %Y %H:%M:%S").to_string(),
            zone: calls::zone_name(zone),
            from: reader.party(&call.from),
            to: reader.party(&call.to),
            outcome: outcome.to_owned(),
            outcome_text: reader.text(&call.outcome_text()).into_owned(),
            rule: call.rule.as_deref().map(|rule| NameLink::new(rule, reader.number_view())),
            decided_ms: call_rows::format_ms(call.details.latency_us),
            facts: facts(call, &reader, zone),
            lookups: lookups.collect(),
            explained,
            unexplained,
            notes,
            is_fallback,
            events: Vec::new(),
            more_events: 0,
            shows_bodies: false,
            deliveries: call.attempts,
            transcript: None,
            recording: None,
            is_whole: call.fields().is_ok(),
            reader,
        }
    }

    /// Adds the timeline, the transcript and the recording.
    async fn add_events(
        &mut self,
        store: &Store,
        call: &CallRecord,
        bodies: bool,
    ) -> Result<(), HttpProblem> {
        let ids = store.event_ids_of(call).await?;
        self.more_events = ids.len().saturating_sub(MOST_EVENTS);
        self.shows_bodies = bodies;
        let mut events = Vec::new();
        for id in ids.into_iter().take(MOST_EVENTS) {
            // All bodies together can be larger than the memory.
            events.extend(store.event_without_body(id).await?);
        }
        let mut left = MAX_BODIES;
        for event in &events {
            let mut row = TimelineEvent::new(event, call, &self.reader);
            if bodies
                && left > 0
                && let Some(event) = store.event(event.id).await?
            {
                left = left.saturating_sub(event.body.len());
                row.body = Some(shown_body(event.body, &self.reader).await?);
            }
            self.events.push(row);
        }
        self.recording = events.iter().rev().find_map(|event| self.recording_of(event));
        if let Some(text) = find_transcript(store, &events).await? {
            let reader = self.reader.clone();
            self.transcript = Some(off_thread(move || limited(&text, &reader)).await?);
        }
        Ok(())
    }

    fn recording_of(&self, event: &EventRecord) -> Option<Recording> {
        let url = event.columns.get("recording_url")?.as_str().filter(|url| !url.is_empty())?;
        let is_https = url::Url::parse(url).is_ok_and(|url| url.scheme() == "https");
        Some(if !is_https {
            Recording::Hidden("its address is not an https URL")
        } else if self.reader.text(url) != url {
            Recording::Hidden("its address contains a phone number")
        } else {
            Recording::Link(url.to_owned())
        })
    }
}

/// Returns the first digits of an id.
fn short(id: Uuid) -> String {
    id.to_string().chars().take(SHORTEST_PREFIX).collect()
}

/// Returns the fields of a record, in which numbers are masked unless the reader may see them.
fn facts(call: &CallRecord, reader: &Reader, zone: &TimeZone) -> Vec<(&'static str, String)> {
    // Others can contain what the caller or the platform has sent.
    let of_operator = ["at", "source", "split arm", "delay", "deliveries", "numbers", "rule table"];
    let fact = |(name, value): (&'static str, String)| match name {
        "from" | "to" => (name, reader.party(&value)),
        name if of_operator.contains(&name) => (name, value),
        name => (name, reader.text(&value).into_owned()),
    };
    call.in_words(zone).into_iter().map(fact).collect()
}

impl LookupDetail {
    fn new(asked: &AskedLookup<'_>, question: Option<String>, reader: &Reader) -> LookupDetail {
        let AskedLookup { name, state, took_us, cached, problem, value } = asked;
        let value = value.as_deref().map(Value::to_string);
        LookupDetail {
            name: reader.text(name).into_owned(),
            state: in_words(state),
            took_ms: took_us / 1_000,
            cached: *cached,
            problem: problem.as_deref().map(|problem| reader.text(problem).into_owned()),
            question,
            value: value.map(|value| shortened(reader.text(&value).into_owned())),
        }
    }
}

impl TimelineEvent {
    fn new(event: &EventRecord, call: &CallRecord, reader: &Reader) -> TimelineEvent {
        let offset = event.at.duration_since(call.at).as_millis() as i64;
        let sign = if offset < 0 { "" } else { "+" };
        TimelineEvent {
            id: event.id,
            offset: format!("{sign}{}", format_seconds(offset)),
            kind: event.kind.clone(),
            attempts: event.attempts,
            summary: reader.text(&event.summary()).into_owned(),
            body: None,
        }
    }
}

/// Finds the transcript in the last events that report the end of the call.
async fn find_transcript(
    store: &Store,
    events: &[EventRecord],
) -> Result<Option<String>, HttpProblem> {
    let reports_end = |event: &&EventRecord| {
        let columns = ["end_ms", "duration_ms", "summary", "analysis", "recording_url"];
        columns.iter().any(|column| event.columns.contains_key(*column))
    };
    for event in events.iter().rev().filter(reports_end).take(MOST_SEARCHED) {
        let Some(dialect) = dialect::by_name(&event.platform) else { continue };
        let Some(EventRecord { body, .. }) = store.event(event.id).await? else { continue };
        if body.len() > MAX_PARSED {
            continue;
        }
        let places = dialect.transcript_places();
        let found = off_thread(move || {
            let body: Value = serde_json::from_str(&body).unwrap_or_default();
            transcript(&body, places)
        });
        if let Some(text) = found.await? {
            return Ok(Some(text));
        }
    }
    Ok(None)
}

/// Returns a body for people: with indentation, without what is too long, and masked.
async fn shown_body(body: String, reader: &Reader) -> Result<String, HttpProblem> {
    let reader = reader.clone();
    let show = move || {
        let parsed = (body.len() <= MAX_PARSED).then(|| serde_json::from_str::<Value>(&body).ok());
        let text = parsed.flatten().map_or(body, |json| format!("{json:#}"));
        limited(&text, &reader)
    };
    off_thread(show).await
}

/// Returns the beginning of a text, in which numbers are masked. A number at the end is not shown in part.
fn limited(text: &str, reader: &Reader) -> String {
    let Some((end, _)) = text.char_indices().nth(MOST_CHARS) else {
        return reader.text(text).into_owned();
    };
    let whole = text[..end].trim_end_matches(|c: char| !c.is_alphabetic());
    format!("{}\n… ({} bytes in all)", reader.text(whole), text.len())
}

/// Sends the body of an event, a part of the page.
pub(super) async fn event_body(
    State(console): State<Console>,
    reader: Reader,
    Path((call, event)): Path<(Uuid, Uuid)>,
) -> Result<Response, PageError> {
    let store = console.store().await?;
    let event = store.event(event).await?.filter(|event| event.call == Some(call));
    let event = event.ok_or_else(|| {
        HttpProblem::NotFound("the call has no such event, or no longer".to_owned())
    })?;
    let body = shown_body(event.body, &reader).await?;
    Ok(HtmlPage(BodyPart { body }).into_response())
}

/// Sends a curl command that makes the call again, a part of the page. It contains a signature, and the URL token
/// if there is one.
pub(super) async fn curl(
    State(console): State<Console>,
    Editor(_): Editor,
    Path(id): Path<Uuid>,
) -> Result<Response, PageError> {
    let store = console.store().await?;
    let call = store.call(id).await?;
    let call = call.ok_or_else(|| HttpProblem::NotFound("no such call".to_owned()))?;
    let curl = curl_command(&console, &call);
    Ok(HtmlPage(CurlPart { curl }).into_response())
}

fn curl_command(console: &Console, call: &CallRecord) -> Result<String, String> {
    let endpoint = console.app.endpoint(&call.source);
    let endpoint = endpoint
        .ok_or_else(|| format!("the settings no longer have the source `{}`", call.source))?;
    let source = &endpoint.source;
    let fields = call.fields().map_err(|error| error.to_string())?;
    let now = console.app.now();
    let body = source.dialect.encode_request(&new_call(fields, now));
    let url = format!("{}{}", console.public_url_of(source), path_of(source));
    let signed = SignedRequest::new(url, source, body, now).map_err(|error| error.to_string())?;
    Ok(signed.as_curl())
}
