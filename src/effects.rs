//! Carries out decisions by requests to a platform's API, after the reply to its webhook.
//!
//! A bounded queue leads from the pipeline to [`run`]. The effects of one call are sent in order, each within
//! one deadline for all, and each leaves an event in the records.

mod client;
pub mod queue;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
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
/// Time for effects to end when the service stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(6);

/// Carries out the effects of all calls until `stop`, and then those that have been queued.
pub async fn run(app: Arc<Switchboard>, stop: CancellationToken) {
    let Some(mut waiting) = app.effects().take_waiting() else { return };
    let mut clients: HashMap<Arc<str>, ApiClient> = HashMap::new();
    let tracker = TaskTracker::new();
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
        tracker.spawn(carry_out(app.clone(), endpoint.clone(), client, of_call));
    }
    tracker.close();
    if timeout(SHUTDOWN_TIMEOUT, tracker.wait()).await.is_err() {
        tracing::error!("stopped before all effects were carried out and recorded");
    }
}

/// Sends the effects of a call in order. After one that fails, the others are not sent. Those of a request that
/// was not authenticated are never sent.
async fn carry_out(
    app: Arc<Switchboard>,
    endpoint: Arc<SourceEndpoint>,
    client: Result<ApiClient, &'static str>,
    of_call: EffectsOfCall,
) {
    let mut obstacle = match of_call.is_authenticated {
        true => client.as_ref().err().copied(),
        false => Some(NOT_AUTHENTICATED),
    };
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
        report(&app, &endpoint, &of_call, effect, &attempted, started.elapsed()).await;
    }
}

/// Counts, logs and records an effect.
async fn report(
    app: &Switchboard,
    endpoint: &SourceEndpoint,
    of_call: &EffectsOfCall,
    effect: &Effect,
    attempted: &Attempted,
    took: Duration,
) {
    let request_id = &*of_call.request_id;
    let Attempted { result, status, problem, attempts } = attempted;
    endpoint.counters.effect(effect.action, *result, (*attempts > 0).then_some(took));
    let source = &*endpoint.source.name;
    let (action, result) = (effect.action, result.as_str());
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if attempted.result == EffectResult::Acknowledged {
        tracing::info!(request_id, source, action, result, status, attempts, took_ms, "effect");
    } else {
        let problem = problem.as_deref();
        tracing::error!(
            request_id, source, action, result, status, problem, attempts, took_ms, "effect"
        );
    }
    let body = json!({
        "action": action,
        "path": effect.path,
        "request": effect.body,
        "status": status,
        "problem": problem,
        "attempts": attempts,
        "took_ms": took_ms,
    });
    let (now, body) = (app.now(), body.to_string());
    let id = app.recorder().id(now);
    let event = event(of_call, effect, attempted, id);
    let new_event = NewEvent {
        id,
        at: now,
        source,
        platform: endpoint.source.dialect.platform(),
        event: &event,
        body: body.as_bytes(),
    };
    let stored = app.recorder().store_event(new_event, Instant::now() + RECORD_TIMEOUT).await;
    if let Err(error) = stored {
        tracing::error!(request_id, source, %error, "the record of an effect is lost");
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
