//! The request pipeline: authenticate, parse, decide, render, record.
//!
//! An authenticated request always receives a reply in time: if its handling panics or misses the
//! deadline, the source's fallback reply is sent.

pub mod dedup;

use std::borrow::Cow;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::Guard;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::poll_immediate;
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

use crate::authenticate::{self, AuthError, AuthMethod, RequestHead, Unverified, Verified};
use crate::dialect::{Event, Incoming, ParseError, RECORD_ID_KEY, Reply};
use crate::domain::call::{Call, Channel};
use crate::domain::clock::Clock;
use crate::domain::decision::{Decision, KeepReason, LeftOut, Outcome};
use crate::domain::effect::EffectResult;
use crate::domain::facts::{Facts, LookupAnswers};
use crate::domain::party::ReadingCounts;
use crate::domain::secret::SecretSource;
use crate::effects::queue::{Effects, EffectsOfCall};
use crate::live_lists::LiveLists;
use crate::lookup::{HistorySource, LookupRound, LookupService};
use crate::records::{
    Committed, NewCall, NewEvent, NotStored, RecordedCall, Recorder, Redactor, Writer,
};
use crate::rules::RuleSet;
use crate::rules::engine::{decide, fallback_to, with_required_variables};
use crate::rules::live::LiveTable;
use crate::settings::RecordsSettings;
use crate::source::{Fallback, Source, time_for_lookups};
use crate::telemetry::{Counters, FallbackCause, RequestOutcome, SourceCounters, spans};
use dedup::{CachedReply, DedupCache, Delivery};

/// The service: sources, live rules, recent replies and the recorder.
pub struct Switchboard {
    sources: HashMap<Arc<str>, Arc<SourceEndpoint>>,
    live_table: LiveTable,
    dedup: DedupCache,
    clock: Clock,
    started_at: Timestamp,
    counters: Counters,
    recorder: Recorder,
    lookups: LookupService,
    live_lists: LiveLists,
    effects: Effects,
}

/// A source and its metrics.
pub struct SourceEndpoint {
    /// The source.
    pub source: Source,
    /// Metrics of the source.
    pub counters: SourceCounters,
    /// Time of the last authenticated request about a call, apart from test calls of the console.
    pub last_call: LastTime,
    /// Time of the last authenticated request on the path of events.
    pub last_event: LastTime,
}

/// Time of the last request of a kind since the start.
#[derive(Debug)]
pub struct LastTime(AtomicI64);

impl Default for LastTime {
    fn default() -> LastTime {
        LastTime(AtomicI64::new(i64::MIN))
    }
}

impl LastTime {
    /// Returns the time, if there was a request.
    pub fn get(&self) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.0.load(Ordering::Relaxed)).ok()
    }

    fn set(&self, now: Timestamp) {
        self.0.store(now.as_millisecond(), Ordering::Relaxed);
    }
}

/// Identity and arrival time of a request.
#[derive(Clone, Copy)]
pub struct RequestContext<'r> {
    /// Id of the request, in the response header and the log.
    pub request_id: &'r str,
    /// Id of the trace to which the request belongs, if there are traces.
    pub trace_id: Option<&'r str>,
    /// Whether the request arrived on the path of events.
    pub is_event: bool,
    /// Whether the request is a test call of the console, which no platform has sent.
    pub is_test: bool,
    /// Time at which the header had been read. Monotonic: unaffected by changes of the system clock.
    pub received_at: Instant,
}

/// Reason for which a request receives no reply of its platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Authentication failed.
    #[error(transparent)]
    Unauthenticated(#[from] AuthError),
    /// The dialect cannot parse the authenticated body.
    #[error(transparent)]
    Unreadable(#[from] ParseError),
    /// The event could not be stored; the platform sends it again.
    #[error(transparent)]
    NotStored(#[from] NotStored),
}

/// Answer to an authenticated request.
pub struct Answer {
    /// The reply in the platform's format.
    pub body: Bytes,
    /// Media type of the reply.
    pub content_type: &'static str,
    /// Outcome of the request.
    pub outcome: RequestOutcome,
}

impl Switchboard {
    /// Creates a service that records nothing.
    pub fn new(sources: Vec<Source>, table: RuleSet, clock: Clock) -> Switchboard {
        Switchboard::with_records(sources, table, clock, RecordsSettings::off()).0
    }

    /// Creates a service with records. Returns the writer, which must be run; `None` if records are off.
    pub fn with_records(
        sources: Vec<Source>,
        table: RuleSet,
        clock: Clock,
        records: RecordsSettings,
    ) -> (Switchboard, Option<Writer>) {
        let counters = Counters::default();
        let now = clock.now();
        counters.table(&table, now);
        let endpoints = sources.into_iter().map(|source| {
            let counters = counters.source(&source);
            let (last_call, last_event) = (LastTime::default(), LastTime::default());
            let name = source.name.clone();
            (name, Arc::new(SourceEndpoint { source, counters, last_call, last_event }))
        });
        let sources = endpoints.collect();
        let (recorder, writer) = Recorder::new(records, &counters, clock);
        let live_table = LiveTable::new(table, now);
        let dedup = DedupCache::default();
        let lookups = LookupService::new(counters.lookups.clone());
        let live_lists = LiveLists::default();
        let app = Switchboard {
            sources,
            live_table,
            dedup,
            clock,
            started_at: now,
            counters,
            recorder,
            lookups,
            live_lists,
            effects: Effects::default(),
        };
        app.prepare_lookups(&app.live_table.table());
        (app, writer)
    }

    /// Sets where look-ups find the secrets to which they refer.
    pub fn with_secrets(mut self, secrets: Arc<dyn SecretSource>) -> Switchboard {
        self.lookups.set_secrets(secrets.clone());
        self.live_lists.set_secrets(secrets);
        self.prepare_lookups(&self.live_table.table());
        self
    }

    /// Prepares the look-ups of a table that is live, or is about to be: reads their secrets, and builds what
    /// connects to their systems. Not for a thread that answers calls, since it takes a while.
    pub fn prepare_lookups(&self, table: &RuleSet) {
        self.lookups.prepare(table);
        if table.uses_history {
            self.recorder.use_history(table.history.timeout);
        }
    }

    /// Returns the endpoint of the source with this name.
    pub fn endpoint(&self, source: &str) -> Option<&Arc<SourceEndpoint>> {
        self.sources.get(source)
    }

    /// Iterates over the endpoints of all sources.
    pub fn endpoints(&self) -> impl Iterator<Item = &Arc<SourceEndpoint>> {
        self.sources.values()
    }

    /// Returns the live rule set.
    pub fn table(&self) -> Guard<Arc<RuleSet>> {
        self.live_table.table()
    }

    /// Returns the holder of the live rule set, which a reload replaces.
    pub fn live_table(&self) -> &LiveTable {
        &self.live_table
    }

    /// Returns all sources, sorted by name.
    pub fn sources(&self) -> Vec<&Source> {
        let mut sources: Vec<_> = self.sources.values().map(|endpoint| &endpoint.source).collect();
        sources.sort_by(|a, b| a.name.cmp(&b.name));
        sources
    }

    /// Returns the metrics of the whole service.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Returns the recorder of calls and events.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Returns the look-ups.
    pub fn lookups(&self) -> &LookupService {
        &self.lookups
    }

    /// Returns the lists that live elsewhere.
    pub fn live_lists(&self) -> &LiveLists {
        &self.live_lists
    }

    /// Returns the queue of effects.
    pub fn effects(&self) -> &Effects {
        &self.effects
    }

    /// Returns the time at which the service was created.
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// Returns the current time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Adds the id of the record to the reply's metadata if the settings ask for it.
    fn add_record_id<'t>(&self, decision: Decision<'t>, record: Uuid) -> Decision<'t> {
        match self.recorder.adds_record_ids() {
            true => decision.with_metadata(RECORD_ID_KEY, record.to_string()),
            false => decision,
        }
    }
}

/// Handles an authenticated request: finds the reply within the source's deadline, then holds it while
/// the phone is to ring, and until its record is committed if the settings ask for it.
///
/// # Errors
/// Fails if the dialect cannot parse the body, or if an event cannot be stored.
pub async fn handle(
    app: &Switchboard,
    endpoint: &SourceEndpoint,
    request: Verified,
    context: RequestContext<'_>,
    facts: Facts,
) -> Result<Answer, RequestError> {
    let deadline = context.received_at + endpoint.source.reply_within;
    let prepared = {
        let rules = app.live_table.shared_table();
        let exchange = Exchange { app, endpoint, rules: &rules, request: &request, facts, context };
        // The deadline covers the part that can wait. `AssertUnwindSafe`: a panic leaves nothing of
        // the exchange behind, and the shared state it uses is consistent between operations.
        let mut handling = pin!(AssertUnwindSafe(exchange.handle_request()).catch_unwind());
        // Nearly all requests are answered without waiting, and so without a timer.
        let handled = match poll_immediate(&mut handling).await {
            Some(handled) => Ok(handled),
            None => tokio::time::timeout_at(deadline, handling).await,
        };
        match handled {
            Ok(Ok(prepared)) => prepared?,
            Ok(Err(_panic)) => {
                app.counters.panics.increment(1);
                exchange.fallback_reply(FallbackCause::Panic)?
            }
            Err(_elapsed) => exchange.fallback_reply(FallbackCause::DeadlineExceeded)?,
        }
    };
    if let Some(committed) = prepared.committed
        && !committed.before(deadline).await
    {
        app.recorder.count_uncommitted();
    }
    match prepared.outcome.kind() {
        "call" => endpoint.counters.call_answered(context.received_at.elapsed()),
        "event" => endpoint.counters.event_answered(context.received_at.elapsed()),
        _ => {}
    }
    if !prepared.delay.is_zero() {
        let ring_until = context.received_at + prepared.delay;
        tokio::time::sleep_until(deadline.min(ring_until)).await;
    }
    let content_type = endpoint.source.dialect.content_type();
    Ok(Answer { body: prepared.body, content_type, outcome: prepared.outcome })
}

/// Refuses a request that its head alone gives away, and counts the refusal. `is_events_path` says on which of
/// the source's paths it arrived.
///
/// # Errors
/// Returns the reason for which authentication would fail with any body.
pub fn check_head(
    endpoint: &SourceEndpoint,
    head: &RequestHead,
    is_events_path: bool,
    now: Timestamp,
) -> Result<(), RequestError> {
    let policy = endpoint.source.policy_of(is_events_path);
    let result = authenticate::check_head(head, policy, now);
    result.map_err(|reason| refused(endpoint, reason))
}

/// Authenticates a request as its source demands on that path, and counts the result.
///
/// # Errors
/// Returns the reason for which authentication failed.
pub fn authenticate(
    endpoint: &SourceEndpoint,
    request: Unverified,
    context: RequestContext<'_>,
    now: Timestamp,
) -> Result<Verified, RequestError> {
    let RequestContext { is_event, is_test, .. } = context;
    let policy = endpoint.source.policy_of(is_event);
    let result = authenticate::authenticate(request, policy, now);
    let verified = result.map_err(|reason| refused(endpoint, reason))?;
    if let Some(skew) = verified.clock_skew() {
        endpoint.counters.clock_skew(skew);
    }
    if let AuthMethod::Observed(reason) = verified.method() {
        endpoint.counters.observed(reason);
    } else if is_event {
        endpoint.last_event.set(now);
    } else if !is_test {
        endpoint.last_call.set(now);
    }
    Ok(verified)
}

fn refused(endpoint: &SourceEndpoint, reason: AuthError) -> RequestError {
    endpoint.counters.refused(reason);
    RequestError::Unauthenticated(reason)
}

/// A reply that is ready to send, the time for which the phone rings first, and the commit to wait for.
struct PreparedReply {
    outcome: RequestOutcome,
    body: Bytes,
    delay: Duration,
    committed: Option<Committed>,
}

impl PreparedReply {
    fn immediate(outcome: RequestOutcome, body: Bytes) -> PreparedReply {
        PreparedReply { outcome, body, delay: Duration::ZERO, committed: None }
    }
}

/// An authenticated request and everything that its handling needs, fixed when it starts: a reload
/// during the request changes nothing for it.
struct Exchange<'x> {
    app: &'x Switchboard,
    endpoint: &'x SourceEndpoint,
    rules: &'x RuleSet,
    request: &'x Verified,
    facts: Facts,
    context: RequestContext<'x>,
}

impl Exchange<'_> {
    async fn handle_request(&self) -> Result<PreparedReply, RequestError> {
        let source = &self.endpoint.source;
        let parse = || source.dialect.parse(self.request, &source.numbers);
        // A temporary of the `match` would stay in the future, which is moved with each request.
        let incoming = spans::step("parse").in_scope(parse)?;
        match incoming {
            Incoming::Inbound(call) => Ok(self.handle_call(&call).await),
            Incoming::Event(mut event) => {
                if let Some(is_removed) = source.dialect.unrecorded() {
                    event.remove_values(is_removed);
                }
                self.handle_event(&event).await
            }
            Incoming::Probe => Ok(self.handle_probe()),
        }
    }

    async fn handle_call(&self, call: &Call<'_>) -> PreparedReply {
        let Exchange { app, rules, context, .. } = self;
        let has_effects = self.endpoint.source.api.is_some();
        let key = app.dedup.key(call, self.request.method(), &rules.fingerprint, has_effects);
        let first = match app.dedup.register(key, context.received_at).await {
            Delivery::First(first) => first,
            Delivery::Repeated(cached) => return self.handle_retry(call, cached),
        };
        let record = app.recorder.id(self.facts.at);
        let (decision, lookups) = self.decide(call).await;
        let source = &self.endpoint.source;
        let decision = source.with_variables_of_stand_in(rules, decision);
        let decision = app.add_record_id(decision, record);
        let render = || source.render(rules, call.channel(), Some(call), &decision);
        let reply = spans::step("render").in_scope(render);
        let latency_us = context.latency_us();
        // The record is queued first: a repeated delivery queues its own entry behind it, and so is not
        // acknowledged before the record is committed.
        let recorded = spans::step("record")
            .in_scope(|| self.record(record, call, &decision, &lookups, latency_us));
        let window = source.dialect.timing().retry_window;
        first.cache(reply.body(), recorded.as_ref().map(|recorded| recorded.key), window);
        let committed = recorded.and_then(|recorded| recorded.committed);
        self.log_call(call, &decision, &lookups, &reply, latency_us);
        self.start_effects(call, &decision, record);
        PreparedReply {
            outcome: match decision.outcome() {
                Outcome::Agent(_) => RequestOutcome::Agent,
                Outcome::Reject(_) => RequestOutcome::Reject,
                Outcome::Transfer(_) => RequestOutcome::Transfer,
                Outcome::Keep(_) => RequestOutcome::Keep,
            },
            body: reply.into_body(),
            delay: decision.additions().delay,
            committed,
        }
    }

    /// Starts the requests to the platform's API that carry out a decision. Those of a request that was not
    /// authenticated are reported as failed.
    fn start_effects(&self, call: &Call<'_>, decision: &Decision<'_>, record: Uuid) {
        let source = &self.endpoint.source;
        if source.api.is_none() {
            return;
        }
        let effects = source.effects(self.rules, call, decision);
        if effects.is_empty() {
            return;
        }
        let refused = self.app.effects.start(EffectsOfCall {
            source: Box::from(&*source.name),
            call_id: call.call_id().map(Into::into),
            record: call.call_id().is_none().then_some(record),
            parties: [call.from().clone(), call.to().clone()],
            request_id: self.context.request_id.into(),
            effects,
            is_authenticated: !matches!(self.request.method(), AuthMethod::Observed(_)),
            deadline: Effects::deadline(),
        });
        let Err(effects) = refused else { return };
        let request_id = self.context.request_id;
        tracing::error!(request_id, "too many effects wait, a decision was not carried out");
        for effect in effects {
            let counters = &self.endpoint.counters;
            counters.effect(effect.action, EffectResult::Failed, None);
        }
    }

    /// Decides a call, and asks the look-ups that its rules need on the way.
    async fn decide(&self, call: &Call<'_>) -> (Decision<'_>, LookupAnswers) {
        let Exchange { app, endpoint, rules, context, .. } = self;
        let deadline = context.received_at + time_for_lookups(endpoint.source.reply_within);
        let mut facts = self.facts.clone();
        loop {
            let needed = {
                let started = Instant::now();
                let decided = spans::step("decide").in_scope(|| decide(rules, call, &facts));
                app.counters.decision_seconds.record(started.elapsed());
                match decided {
                    Ok(decision) => return (decision, facts.lookups),
                    Err(needed) => needed,
                }
            };
            let asking = app.lookups.ask_all(LookupRound {
                table: rules,
                needed,
                call,
                at: facts.at,
                history: HistorySource::Recorder(&app.recorder),
                deadline,
            });
            let answers = asking.instrument(spans::step("look up")).await;
            answers.into_iter().for_each(|(id, answer)| facts.lookups.insert(id, answer));
        }
    }

    /// Stores an event. The platform receives the acknowledgement once the event is committed.
    async fn handle_event(&self, event: &Event<'_>) -> Result<PreparedReply, RequestError> {
        let Exchange { app, endpoint, context, .. } = self;
        let redactor = Redactor::new([event.from.as_ref(), event.to.as_ref()]);
        let call_id = event.call_id.as_deref().map(|id| redactor.id(shorten(id)));
        tracing::info!(
            request_id = context.request_id,
            trace_id = context.trace_id,
            source = &*endpoint.source.name,
            event = &*redactor.word(shorten(&event.kind), event.known),
            call_id = call_id.as_deref(),
            known = event.known,
            "event"
        );
        let source = &endpoint.source;
        let new_event = NewEvent {
            id: app.recorder.id(self.facts.at),
            at: self.facts.at,
            source: &source.name,
            platform: source.dialect.platform(),
            event,
            body: &source.dialect.redact_body(source.dialect.content(self.request)),
        };
        // The request's own deadline is the same moment; the recorder reports it as an error.
        let deadline = context.received_at + source.reply_within;
        let storing = app.recorder.store_event(new_event, deadline);
        storing.instrument(spans::step("record")).await?;
        let outcome = match event.known {
            true => RequestOutcome::Accepted,
            false => RequestOutcome::UnknownEvent,
        };
        let body = Bytes::from_static(source.dialect.acknowledgement().as_bytes());
        Ok(PreparedReply::immediate(outcome, body))
    }

    /// Answers a probe like a call that matches no rule. Where platforms have no agent of their own, the source's
    /// fallback agent answers: a probe looks like a call to the platform, and must not hang up.
    fn handle_probe(&self) -> PreparedReply {
        let source = &self.endpoint.source;
        tracing::info!(
            request_id = self.context.request_id,
            trace_id = self.context.trace_id,
            source = &*source.name,
            "probe"
        );
        let keep = Decision::fallback(Outcome::Keep(KeepReason::NoRule));
        let keep = source.with_variables_of_stand_in(self.rules, keep);
        let body = source.probe_reply(self.rules, &keep);
        PreparedReply::immediate(RequestOutcome::Probe, body)
    }

    /// Sends the reply of the first delivery again.
    fn handle_retry(&self, call: &Call<'_>, cached: CachedReply) -> PreparedReply {
        let recorder = &self.app.recorder;
        let committed = cached.record.and_then(|key| recorder.record_retry(key));
        let [call_id, _] = ids_to_log(call);
        tracing::info!(
            request_id = self.context.request_id,
            trace_id = self.context.trace_id,
            source = call.source(),
            call_id = call_id.as_deref(),
            from = &*call.from().masked(),
            to = &*call.to().masked(),
            "retry"
        );
        let body = Bytes::from_owner(cached.reply);
        PreparedReply { committed, ..PreparedReply::immediate(RequestOutcome::Retry, body) }
    }

    fn record(
        &self,
        id: Uuid,
        call: &Call<'_>,
        decision: &Decision<'_>,
        lookups: &LookupAnswers,
        latency_us: u64,
    ) -> Option<RecordedCall> {
        self.app.recorder.record_call(NewCall {
            id,
            at: self.facts.at,
            call,
            decision,
            fingerprint: &self.rules.fingerprint,
            lookups: &self.rules.named_answers(lookups),
            latency_us,
        })
    }

    fn count_decision(&self, decision: &Decision<'_>) {
        if let Outcome::Keep(reason) = decision.outcome() {
            self.endpoint.counters.kept(*reason);
        }
        self.app.counters.decided(decision);
    }

    /// Writes the log line of a call, and counts it.
    fn log_call(
        &self,
        call: &Call<'_>,
        decision: &Decision<'_>,
        lookups: &LookupAnswers,
        reply: &Reply,
        latency_us: u64,
    ) {
        let counters = &self.endpoint.counters;
        self.count_decision(decision);
        if call.readings() != ReadingCounts::default() {
            counters.readings(call.readings());
        }
        let left_out: Vec<_> =
            decision.additions().left_out.iter().chain(reply.left_out()).collect();
        left_out.iter().for_each(|left_out| counters.left_out(left_out.reason));
        let [call_id, agent_in] = ids_to_log(call);
        let (agent, reason) = match decision.outcome() {
            Outcome::Agent(selected) => (Some(selected.name), None),
            Outcome::Reject(reason) => (None, Some(*reason).filter(|reason| !reason.is_empty())),
            Outcome::Transfer(_) => (None, None),
            Outcome::Keep(reason) => (None, Some(reason.as_str())),
        };
        let (signed, auth_error) = match self.request.method() {
            AuthMethod::Signed(header) => (Some(header), None),
            AuthMethod::Observed(error) => (None, Some(error.as_str())),
            AuthMethod::SharedSecret(kind) => (Some(kind), None),
            AuthMethod::SecondFactor | AuthMethod::Off => (None, None),
        };
        tracing::info!(
            request_id = self.context.request_id,
            trace_id = self.context.trace_id,
            source = call.source(),
            channel = call.channel().as_str(),
            call_id = call_id.as_deref(),
            from = &*call.from().masked(),
            to = &*call.to().masked(),
            agent_in = agent_in.as_deref(),
            outcome = decision.outcome().as_str(),
            rule = decision.rule(),
            agent,
            reason,
            signed,
            auth_error,
            lookups = self.describe_lookups(lookups),
            left_out = names_to_log(&left_out),
            latency_us,
            "call"
        );
    }

    /// Returns the state of each look-up that was asked, for the log: `crm: found (12 ms)`.
    fn describe_lookups(&self, lookups: &LookupAnswers) -> Option<String> {
        let described = self.rules.named_answers(lookups).into_iter().map(|(name, answer)| {
            format!("{name}: {} ({} ms)", answer.state.as_str(), answer.took.as_millis())
        });
        Some(described.collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
    }

    /// Returns the source's fallback reply after `cause` ended the request, and starts its effects: where the reply
    /// decides nothing, they are the fallback. An event is refused, so that the platform sends it again.
    fn fallback_reply(&self, cause: FallbackCause) -> Result<PreparedReply, RequestError> {
        let source = &self.endpoint.source;
        tracing::error!(
            request_id = self.context.request_id,
            trace_id = self.context.trace_id,
            source = &*source.name,
            cause = cause.as_str(),
            "request failed, sent fallback reply"
        );
        let not_stored = match cause {
            FallbackCause::Panic => NotStored::Failed,
            FallbackCause::DeadlineExceeded => NotStored::Late,
        };
        // Parsing, rendering or recording may be what panicked, so each is guarded here again.
        let parsed =
            catch_unwind(AssertUnwindSafe(|| source.dialect.parse(self.request, &source.numbers)));
        let call = match parsed {
            Ok(Ok(Incoming::Event(_))) => return Err(not_stored.into()),
            Err(_panic) if self.context.is_event => return Err(not_stored.into()),
            Ok(Ok(Incoming::Inbound(call))) => Some(call),
            Ok(Ok(Incoming::Probe) | Err(_)) | Err(_) => None,
        };
        let channel = call.as_ref().map_or(Channel::Call, Call::channel);
        let decision = self.fallback_decision(call.as_ref());
        self.endpoint.counters.fell_back(cause);
        self.count_decision(&decision);
        let rendered = catch_unwind(AssertUnwindSafe(|| {
            source.render(self.rules, channel, call.as_ref(), &decision)
        }));
        let id = self.app.recorder.id(self.facts.at);
        let recorded = catch_unwind(AssertUnwindSafe(|| {
            let latency_us = self.context.latency_us();
            self.record(id, call.as_ref()?, &decision, &LookupAnswers::default(), latency_us)
        }));
        // A panic here has been logged, and there is nothing left to fall back to.
        drop(catch_unwind(AssertUnwindSafe(|| {
            if let Some(call) = &call {
                self.start_effects(call, &decision, id);
            }
        })));
        let body = match rendered {
            Ok(reply) => reply.into_body(),
            Err(_panic) => Bytes::copy_from_slice(source.dialect.default_reply(channel).as_bytes()),
        };
        let committed = recorded.ok().flatten().and_then(|recorded| recorded.committed);
        Ok(PreparedReply { committed, ..PreparedReply::immediate(RequestOutcome::Fallback, body) })
    }

    /// Returns the decision of the source's fallback. `call` is `None` if the request could not be parsed.
    fn fallback_decision(&self, call: Option<&Call<'_>>) -> Decision<'_> {
        let source = &self.endpoint.source;
        let decision = match &source.fallback {
            Fallback::Keep => Decision::fallback(Outcome::Keep(KeepReason::Fallback)),
            Fallback::Reject => Decision::fallback(Outcome::Reject("fallback")),
            Fallback::Agent(name) => fallback_to(self.rules, name, source.dialect.platform()),
        };
        let decision = match call {
            Some(call) => with_required_variables(self.rules, decision, call),
            None => decision,
        };
        source.with_variables_of_stand_in(self.rules, decision)
    }
}

impl RequestContext<'_> {
    /// Time since the request arrived, in microseconds.
    fn latency_us(&self) -> u64 {
        u64::try_from(self.received_at.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Returns the ids of a call and of its agent, without the parties' numbers.
fn ids_to_log<'c>(call: &'c Call<'_>) -> [Option<Cow<'c, str>>; 2] {
    let redactor = Redactor::new([Some(call.from()), Some(call.to())]);
    [call.call_id(), call.agent()].map(|id| id.map(|id| redactor.id(shorten(id))))
}

/// Returns the first names of what a reply leaves out, with the reasons.
fn names_to_log(left_out: &[&LeftOut]) -> Option<String> {
    const MAX_NAMES: usize = 5;
    let name = |left_out: &&LeftOut| format!("{} ({})", left_out.name, left_out.reason.as_str());
    let mut names: Vec<String> = left_out.iter().take(MAX_NAMES).map(name).collect();
    if left_out.len() > MAX_NAMES {
        names.push(format!("{} more", left_out.len() - MAX_NAMES));
    }
    (!names.is_empty()).then(|| names.join(", "))
}

/// Shortens a text of the platform for the log, which must not grow with it.
fn shorten(text: &str) -> &str {
    const MAX_CHARS: usize = 64;
    if text.len() <= MAX_CHARS {
        return text;
    }
    text.char_indices().nth(MAX_CHARS).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use axum::http::HeaderMap;

    use super::*;
    use crate::rules;
    use crate::settings::{self, Inputs, Purpose, Settings};

    const SETTINGS: &str = r#"
[sources.calls]
platform = "openai"
auth = "off"
allow_from = ["0.0.0.0/0"]
api_key = "env:API_KEY"
fallback = "desk"
"#;
    const RULES: &str = r#"
[agents.desk.openai]
model = "m"
instructions = "i"

[[rule]]
name = "everyone"
reject = "closed"
"#;
    const CALL: &str = r#"{ "object": "event", "type": "realtime.call.incoming", "created_at": 1,
        "data": { "call_id": "rtc_1", "sip_headers": [] } }"#;

    /// Loads the settings of a source whose decisions are requests to an API, with further keys, and a rule table.
    pub(crate) fn load(keys: &str) -> (Settings, RuleSet) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("switchboard.toml");
        std::fs::write(&file, format!("{SETTINGS}{keys}\n")).unwrap();
        let environment = [("API_KEY".to_owned(), "sk_0123456789abcdef".to_owned())].into();
        let inputs = Inputs { file: Some(file), environment, purpose: Purpose::Serve };
        let loaded = settings::load(&inputs).unwrap();
        let settings = loaded.settings.unwrap_or_else(|| panic!("{}", loaded.report));
        let loaded = rules::parse("rules.toml", RULES.to_owned(), &settings.check_context());
        let table = loaded.table.unwrap_or_else(|| panic!("{}", loaded.report));
        (settings, table)
    }

    #[tokio::test]
    async fn where_the_reply_decides_nothing_the_effects_are_the_fallback() {
        let (settings, table) = load("");
        let app = Switchboard::new(settings.sources, table, Clock::System);
        let endpoint = app.endpoint("calls").unwrap();
        let context = RequestContext {
            request_id: "r",
            trace_id: None,
            is_event: false,
            is_test: false,
            received_at: Instant::now(),
        };
        let head = RequestHead::new(HeaderMap::new(), IpAddr::V4(Ipv4Addr::LOCALHOST), None);
        let request = Unverified::new(head, Bytes::from_static(CALL.as_bytes()));
        let request = authenticate(endpoint, request, context, app.now()).unwrap();
        let rules = app.live_table.shared_table();
        let facts = Facts::before_lookups(app.now());
        let exchange =
            Exchange { app: &app, endpoint, rules: &rules, request: &request, facts, context };
        let prepared = exchange.fallback_reply(FallbackCause::Panic).unwrap();
        assert_eq!(prepared.outcome, RequestOutcome::Fallback);
        let started = app.effects.take_waiting().unwrap().try_recv().unwrap();
        assert_eq!(
            started.effects.iter().map(|effect| effect.action).collect::<Vec<_>>(),
            ["accept"]
        );
    }
}
