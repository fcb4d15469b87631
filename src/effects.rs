//! Carries out decisions by requests to a platform's API, after the reply to its webhook.
//!
//! A bounded queue leads from the pipeline to [`run`]. The effects of one call are sent in order, each within
//! one deadline for all, and each leaves an event in the records once all have been sent.

mod client;
pub mod queue;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::dialect::Event;
use crate::domain::call::Channel;
use crate::domain::effect::{Effect, EffectResult};
use crate::pipeline::{SourceEndpoint, Switchboard};
use crate::records::NewEvent;
use client::{ApiClient, Attempted, NO_KEY};
use queue::EffectsOfCall;

/// Time for the record of an effect to be committed.
const RECORD_TIMEOUT: Duration = Duration::from_secs(30);
/// Problem of an effect of a request that observe mode alone let in: anyone could have sent it.
const NOT_AUTHENTICATED: &str = "not sent: the request was not authenticated";
/// Problem of an effect that follows one that was not acknowledged.
const EARLIER_FAILED: &str = "not sent: an earlier request failed";
/// Maximum number of calls whose effects are sent at the same time; those of further ones wait in the queue. A
/// platform that hangs must not take all file descriptors.
const MAX_SENDING: usize = 1024;
/// Time for effects to end when the service stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(6);

/// Carries out the effects of all calls until `stop`, and then those that have been queued.
pub async fn run(app: Arc<Switchboard>, stop: CancellationToken) {
    let Some(mut waiting) = app.effects().take_waiting() else { return };
    let mut clients: HashMap<Arc<str>, ApiClient> = HashMap::new();
    let (tracker, places) = (TaskTracker::new(), Arc::new(Semaphore::new(MAX_SENDING)));
    loop {
        let of_call = tokio::select! {
            of_call = waiting.recv() => of_call,
            () = stop.cancelled(), if !waiting.is_closed() => {
                waiting.close();
                continue;
            }
        };
        let Some(of_call) = of_call else { break };
        let Some(endpoint) = app.endpoint(&of_call.source) else { continue };
        let source = &endpoint.source;
        let Some(access) = &source.api else { continue };
        let client = match clients.get(&source.name) {
            Some(client) => Ok(client.clone()),
            None => ApiClient::new(access).await.inspect(|client| {
                clients.insert(source.name.clone(), client.clone());
            }),
        };
        let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
        tracker.spawn(carry_out(app.clone(), endpoint.clone(), client, of_call, place));
    }
    tracker.close();
    if timeout(SHUTDOWN_TIMEOUT, tracker.wait()).await.is_err() {
        tracing::error!("stopped before all effects were carried out and recorded");
    }
}

/// Sends the effects of a call in order. After one that fails, the others are not sent. Those of a request that
/// was not authenticated are never sent. `place` is free again when all have been sent.
async fn carry_out(
    app: Arc<Switchboard>,
    endpoint: Arc<SourceEndpoint>,
    client: Result<ApiClient, &'static str>,
    of_call: EffectsOfCall,
    place: OwnedSemaphorePermit,
) {
    let mut obstacle = match of_call.is_authenticated {
        true => client.as_ref().err().copied(),
        false => Some(NOT_AUTHENTICATED),
    };
    let mut ended = Vec::new();
    for effect in &of_call.effects {
        let started = Instant::now();
        let problem = obstacle.map(str::to_owned).or_else(|| effect.problem());
        let attempted = match (problem, &client, &endpoint.source.api) {
            (None, Ok(client), Some(access)) => client.send(effect, access, of_call.deadline).await,
            (problem, ..) => Attempted::not_sent(problem.as_deref().unwrap_or(NO_KEY)),
        };
        if attempted.result != EffectResult::Acknowledged {
            obstacle = obstacle.or(Some(EARLIER_FAILED));
        }
        let ended_effect =
            EndedEffect { effect, attempted, took: started.elapsed(), at: app.now() };
        ended_effect.count_and_log(&endpoint, &of_call);
        ended.push(ended_effect);
    }
    drop(place);
    // Not between the effects: a store that fails must not keep the next one from being sent in time.
    for ended_effect in ended {
        ended_effect.record(&app, &endpoint, &of_call).await;
    }
}

/// An effect that was sent, or cannot be.
struct EndedEffect<'e> {
    effect: &'e Effect,
    attempted: Attempted,
    took: Duration,
    at: Timestamp,
}

impl EndedEffect<'_> {
    fn took_ms(&self) -> u64 {
        u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX)
    }

    fn count_and_log(&self, endpoint: &SourceEndpoint, of_call: &EffectsOfCall) {
        let Attempted { result, status, problem, attempts } = &self.attempted;
        let (action, took_ms) = (self.effect.action, self.took_ms());
        endpoint.counters.effect(action, *result, (*attempts > 0).then_some(self.took));
        let (request_id, source) = (&*of_call.request_id, &*endpoint.source.name);
        let (is_acknowledged, result) = (*result == EffectResult::Acknowledged, result.as_str());
        if is_acknowledged {
            tracing::info!(request_id, source, action, result, status, attempts, took_ms, "effect");
        } else {
            let problem = problem.as_deref();
            tracing::error!(
                request_id, source, action, result, status, problem, attempts, took_ms, "effect"
            );
        }
    }

    async fn record(&self, app: &Switchboard, endpoint: &SourceEndpoint, of_call: &EffectsOfCall) {
        let body = json!({
            "action": self.effect.action,
            "path": self.effect.path,
            "request": self.effect.body,
            "status": self.attempted.status,
            "problem": self.attempted.problem,
            "attempts": self.attempted.attempts,
            "took_ms": self.took_ms(),
        });
        let body = body.to_string();
        let id = app.recorder().id(self.at);
        let new_event = NewEvent {
            id,
            at: self.at,
            source: &endpoint.source.name,
            platform: endpoint.source.dialect.platform(),
            event: &event(of_call, self.effect, &self.attempted, id),
            body: body.as_bytes(),
        };
        let stored = app.recorder().store_event(new_event, Instant::now() + RECORD_TIMEOUT).await;
        if let Err(error) = stored {
            let (request_id, source) = (&*of_call.request_id, &*endpoint.source.name);
            tracing::error!(request_id, source, %error, "the record of an effect is lost");
        }
    }
}

/// Returns the event that records have of an effect. Each effect is an event of its own: one that was not sent hides
/// no later one of the same call.
fn event<'a>(
    of_call: &'a EffectsOfCall,
    effect: &Effect,
    attempted: &'a Attempted,
    id: Uuid,
) -> Event<'a> {
    let [from, to] = &of_call.parties;
    Event {
        channel: Some(Channel::Call),
        call_id: of_call.call_id.as_deref().map(Into::into),
        event_id: Some(id.to_string().into()),
        record_id: of_call.record.map(|record| record.to_string().into()),
        from: Some(from.clone()),
        to: Some(to.clone()),
        status: Some(attempted.result.as_str().into()),
        end_reason: attempted.problem.as_deref().map(Into::into),
        ..Event::new(format!("effect.{}", effect.action), true)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::domain::clock::Clock;
    use crate::domain::party::Party;
    use crate::pipeline::tests::load;
    use crate::settings::{RecordsLocation, RecordsSettings};
    use queue::Effects;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";

    #[tokio::test]
    async fn an_effect_does_not_wait_for_the_record_of_the_one_before() {
        let api = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", api.local_addr().unwrap());
        let (settings, table) = load(&format!("api_url = \"{url}\""));
        let records =
            RecordsSettings { location: RecordsLocation::Memory, ..RecordsSettings::off() };
        // The writer does not run, so nothing is committed.
        let (app, _writer) =
            Switchboard::with_records(settings.sources, table, Clock::System, records);
        let endpoint = app.endpoint("calls").unwrap().clone();
        let client = ApiClient::new(endpoint.source.api.as_ref().unwrap()).await;
        let effect = |action| Effect {
            action,
            path: format!("/{action}"),
            body: json!({}),
            idempotency_key: None,
            is_idempotent: true,
            missing: None,
        };
        let party = || Party::parse(Some("+12137771234")).party;
        let of_call = EffectsOfCall {
            source: "calls".into(),
            call_id: Some("rtc_1".into()),
            record: None,
            parties: [party(), party()],
            request_id: "r".into(),
            effects: vec![effect("accept"), effect("refer")],
            is_authenticated: true,
            deadline: Effects::deadline(),
        };
        let places = Arc::new(Semaphore::new(1));
        let place = places.clone().try_acquire_owned().unwrap();
        let sending = tokio::spawn(carry_out(Arc::new(app), endpoint, client, of_call, place));
        for action in ["accept", "refer"] {
            let accepted = timeout(Duration::from_secs(4), api.accept()).await;
            let (mut stream, _) = accepted.expect("a request in time").unwrap();
            let mut head = [0; 4096];
            let length = stream.read(&mut head).await.unwrap();
            let head = String::from_utf8_lossy(&head[..length]);
            assert!(head.starts_with(&format!("POST /{action} ")), "{head}");
            stream.write_all(ANSWER).await.unwrap();
        }
        let place = timeout(Duration::from_secs(4), places.acquire()).await;
        assert!(place.is_ok(), "a record takes no place");
        sending.abort();
    }
}
