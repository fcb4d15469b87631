//! The spine: a request goes in, an answer comes out, one line a room.
//!
//! Once a request is proved it is always answered, in time: what panics or is late on the way
//! becomes the source's fallback reply.

pub mod dedup;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use bytes::Bytes;
use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use crate::authenticate::{AuthError, AuthMethod, Unverified, Verified, authenticate};
use crate::dialect::{Event, Incoming, ParseError, Reply, STAMP};
use crate::domain::call::{Call, Channel};
use crate::domain::clock::Clock;
use crate::domain::decision::{Decision, KeepReason, Outcome};
use crate::domain::facts::Facts;
use crate::records::{Committed, NewCall, NewEvent, NotStored, Recorder, Writer};
use crate::rules::RuleSet;
use crate::rules::engine::{decide, fallback_to};
use crate::rules::live::LiveTable;
use crate::settings::RecordsSettings;
use crate::source::{Fallback, Source};
use crate::telemetry::{Counters, SourceCounters};
use dedup::{CachedReply, DedupCache};

/// Everything that an answer needs: who may ask, the rules, what was answered a moment ago.
pub struct Switchboard {
    sources: HashMap<Arc<str>, SourceEndpoint>,
    current: LiveTable,
    retries: DedupCache,
    clock: Clock,
    counters: Counters,
    recorder: Recorder,
}

/// A source and its counters.
pub struct SourceEndpoint {
    /// Who asks here.
    pub source: Source,
    /// What was counted.
    pub counters: SourceCounters,
}

/// A request as it arrived, before anybody looked at it.
pub struct RequestContext<'r> {
    /// Told to the client and in the log, to find the one by the other.
    pub request_id: &'r str,
    /// When its header had been read. Monotonic, so that no clock that is set disturbs it.
    pub at: Instant,
}

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Nobody knows who sent it.
    #[error(transparent)]
    Unauthenticated(#[from] AuthError),
    /// It is proved, and makes no sense.
    #[error(transparent)]
    Unreadable(#[from] ParseError),
    /// It is an event, and is not stored: the platform is to send it again.
    #[error(transparent)]
    NotStored(#[from] NotStored),
}

impl Switchboard {
    /// Of sources and a table, both checked. It records nothing.
    pub fn new(sources: Vec<Source>, table: RuleSet, clock: Clock) -> Switchboard {
        Switchboard::recording(sources, table, clock, RecordsSettings::off()).0
    }

    /// The same with records, and their writer, which has to run; none where records are off.
    pub fn recording(
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
            (source.name.clone(), SourceEndpoint { source, counters })
        });
        let sources = endpoints.collect();
        let (recorder, writer) = Recorder::new(records, &counters, clock);
        let current = LiveTable::new(table, now);
        let retries = DedupCache::default();
        (Switchboard { sources, current, retries, clock, counters, recorder }, writer)
    }

    /// The source of this name.
    pub fn endpoint(&self, source: &str) -> Option<&SourceEndpoint> {
        self.sources.get(source)
    }

    /// The table that answers now.
    pub fn table(&self) -> Guard<Arc<RuleSet>> {
        self.current.table()
    }

    /// The table, and how another takes its place.
    pub fn current(&self) -> &LiveTable {
        &self.current
    }

    /// All sources, by name.
    pub fn sources(&self) -> Vec<&Source> {
        let mut sources: Vec<_> = self.sources.values().map(|endpoint| &endpoint.source).collect();
        sources.sort_by(|one, other| one.name.cmp(&other.name));
        sources
    }

    /// The counters of the whole service.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Where answers and events are recorded.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Switchboard {
    /// With the id of its record in the metadata, where the settings ask for it.
    fn stamped<'t>(&self, decision: Decision<'t>, record: Uuid) -> Decision<'t> {
        match self.recorder.stamps_replies() {
            true => decision.with_metadata(STAMP, record.to_string()),
            false => decision,
        }
    }
}

/// Answers a request: proves it, walks it within the source's budget, holds the reply for as long
/// as the phone is to ring, and until it is recorded where that is asked for.
///
/// # Errors
/// When it is not proved, or proved and not readable; or when it is an event that is not stored.
pub async fn answer(
    app: &Switchboard,
    endpoint: &SourceEndpoint,
    request: Unverified,
    context: RequestContext<'_>,
) -> Result<Bytes, RequestError> {
    let facts = Facts { at: app.now() };
    let verified = prove(endpoint, request, facts.at)?;
    let deadline = context.at + endpoint.source.reply_within;
    let answered = {
        let table = app.table();
        let walk = walk(app, &table, endpoint, &verified, &facts, &context);
        let walk = AssertUnwindSafe(walk).catch_unwind();
        match tokio::time::timeout_at(deadline, walk).await {
            Ok(Ok(answered)) => answered?,
            Ok(Err(_panic)) => broken(app, &table, endpoint, &verified, &facts, &context, "panic")?,
            Err(_late) => broken(app, &table, endpoint, &verified, &facts, &context, "late")?,
        }
    };
    if let Some(committed) = answered.committed
        && !committed.before(deadline).await
    {
        app.recorder.count_uncommitted();
    }
    if !answered.hold.is_zero() {
        tokio::time::sleep_until(deadline.min(context.at + answered.hold)).await;
    }
    Ok(answered.body)
}

/// A reply, how long after the arrival it is due, and the commit that it waits for.
struct PreparedReply {
    body: Bytes,
    hold: Duration,
    committed: Option<Committed>,
}

impl PreparedReply {
    fn at_once(body: Bytes) -> PreparedReply {
        PreparedReply { body, hold: Duration::ZERO, committed: None }
    }
}

fn prove(
    endpoint: &SourceEndpoint,
    request: Unverified,
    now: Timestamp,
) -> Result<Verified, AuthError> {
    let verified = authenticate(request, &endpoint.source.policy, now);
    match &verified {
        Ok(verified) => {
            if let AuthMethod::Observed(reason) = verified.proof() {
                endpoint.counters.observed(reason);
            }
        }
        Err(reason) => endpoint.counters.refused(*reason),
    }
    verified
}

async fn walk(
    app: &Switchboard,
    table: &RuleSet,
    endpoint: &SourceEndpoint,
    verified: &Verified,
    facts: &Facts,
    context: &RequestContext<'_>,
) -> Result<PreparedReply, RequestError> {
    let dialect = endpoint.source.dialect;
    let asked =
        dialect.parse(verified).inspect_err(|_| endpoint.counters.unreadable.increment(1))?;
    let call = match asked {
        Incoming::Inbound(call) => call,
        Incoming::Event(event) => {
            return told(app, endpoint, &event, verified, facts, context).await;
        }
        Incoming::Probe => return Ok(probed(endpoint)),
    };
    let delivery = app.retries.key(&call);
    if let Some(remembered) = app.retries.get(delivery, context.at) {
        return Ok(again(app, endpoint, &call, remembered, context));
    }
    let record = app.recorder.id(facts.at);
    let decision = app.stamped(decide(table, &call, facts), record);
    let reply = dialect.render(call.channel(), &decision);
    let body = reply.body();
    app.retries.insert(delivery, body.clone(), record, context.at);
    let committed = app.recorder.record_call(NewCall {
        id: record,
        at: facts.at,
        call: &call,
        decision: &decision,
        fingerprint: &table.fingerprint,
        latency_us: context.at.elapsed().as_micros() as u64,
    });
    tell(endpoint, &call, &decision, &reply, verified.proof(), context);
    Ok(PreparedReply { body, hold: decision.added().delay, committed })
}

/// An event. Nothing is decided; the platform hears that it arrived once it is stored.
async fn told(
    app: &Switchboard,
    endpoint: &SourceEndpoint,
    event: &Event<'_>,
    verified: &Verified,
    facts: &Facts,
    context: &RequestContext<'_>,
) -> Result<PreparedReply, RequestError> {
    let counter =
        if event.known { &endpoint.counters.event } else { &endpoint.counters.unknown_event };
    counter.increment(1);
    // The platform's words, at a length that fits a log.
    let short = |text: &str| text.chars().take(64).collect::<String>();
    let kind = short(&event.kind);
    let call_id = event.call_id.as_deref().map(short);
    tracing::info!(
        request_id = context.request_id,
        source = &*endpoint.source.name,
        event = kind,
        call_id,
        known = event.known,
        "event"
    );
    let source = &endpoint.source;
    let told = NewEvent {
        id: app.recorder.id(facts.at),
        at: facts.at,
        source: &source.name,
        platform: source.dialect.platform(),
        event,
        body: verified.body(),
    };
    // The walk ends at the same moment, and asks here first.
    app.recorder.store_event(told, context.at + source.reply_within).await?;
    Ok(PreparedReply::at_once(Bytes::from_static(b"{}")))
}

/// A set-up probe: kept, like a call that no rule is for.
fn probed(endpoint: &SourceEndpoint) -> PreparedReply {
    endpoint.counters.probe.increment(1);
    tracing::info!(source = &*endpoint.source.name, "probe");
    PreparedReply::at_once(endpoint.source.dialect.default_reply(Channel::Call).into())
}

/// The same delivery once more.
fn again(
    app: &Switchboard,
    endpoint: &SourceEndpoint,
    call: &Call<'_>,
    remembered: CachedReply,
    context: &RequestContext<'_>,
) -> PreparedReply {
    endpoint.counters.retry.increment(1);
    let committed = app.recorder.record_retry(remembered.record);
    tracing::info!(
        request_id = context.request_id,
        source = call.source(),
        call_id = call.call_id(),
        from = &*call.from().masked(),
        to = &*call.to().masked(),
        "retry"
    );
    PreparedReply { committed, ..PreparedReply::at_once(remembered.reply) }
}

/// The one log line of a call, and its counters.
fn tell(
    endpoint: &SourceEndpoint,
    call: &Call<'_>,
    decision: &Decision<'_>,
    reply: &Reply,
    proof: AuthMethod,
    context: &RequestContext<'_>,
) {
    endpoint.counters.decided(decision.outcome());
    endpoint.counters.plus_added.increment(call.plus_added().into());
    if reply.left_out_metadata() {
        endpoint.counters.metadata_left_out.increment(1);
        tracing::warn!(
            request_id = context.request_id,
            rule = decision.rule(),
            "metadata too big, left out"
        );
    }
    let (agent, why) = match decision.outcome() {
        Outcome::Agent(chosen) => (Some(chosen.name), None),
        Outcome::Reject(reason) => (None, Some(*reason)),
        Outcome::Keep(kept) => (None, Some(kept.as_str())),
    };
    let (signed, unproved) = match proof {
        AuthMethod::Signed(header) => (Some(header), None),
        AuthMethod::Observed(reason) => (None, Some(reason.as_str())),
        AuthMethod::SecondFactor | AuthMethod::Off => (None, None),
    };
    tracing::info!(
        request_id = context.request_id,
        source = call.source(),
        channel = call.channel().as_str(),
        call_id = call.call_id(),
        from = &*call.from().masked(),
        to = &*call.to().masked(),
        agent_in = call.agent(),
        outcome = decision.outcome().as_str(),
        rule = decision.rule(),
        agent,
        why,
        signed,
        unproved,
        latency_us = context.at.elapsed().as_micros() as u64,
        "call"
    );
}

/// The reply for when everything else broke. An event is to be sent again.
fn broken(
    app: &Switchboard,
    table: &RuleSet,
    endpoint: &SourceEndpoint,
    verified: &Verified,
    facts: &Facts,
    context: &RequestContext<'_>,
    how: &str,
) -> Result<PreparedReply, RequestError> {
    if how == "panic" {
        app.counters.panics.increment(1);
    }
    tracing::error!(
        request_id = context.request_id,
        source = &*endpoint.source.name,
        how,
        "the walk broke, the fallback answers"
    );
    let source = &endpoint.source;
    // Even reading the body may be what broke.
    let asked = std::panic::catch_unwind(AssertUnwindSafe(|| source.dialect.parse(verified)));
    let call = match asked {
        Ok(Ok(Incoming::Event(_))) => return Err(NotStored::Late.into()),
        Ok(Ok(Incoming::Inbound(call))) => Some(call),
        Ok(Ok(Incoming::Probe) | Err(_)) | Err(_) => None,
    };
    let channel = call.as_ref().map_or(Channel::Call, Call::channel);
    let decision = match &source.fallback {
        Fallback::Keep => Decision::fallback(Outcome::Keep(KeepReason::Fallback)),
        Fallback::Reject => Decision::fallback(Outcome::Reject("fallback")),
        Fallback::Agent(name) => fallback_to(table, name, source.dialect.platform()),
    };
    endpoint.counters.fell_back(decision.outcome());
    let rendered =
        std::panic::catch_unwind(AssertUnwindSafe(|| source.dialect.render(channel, &decision)));
    let recorded = std::panic::catch_unwind(AssertUnwindSafe(|| {
        app.recorder.record_call(NewCall {
            id: app.recorder.id(facts.at),
            at: facts.at,
            call: call.as_ref()?,
            decision: &decision,
            fingerprint: &table.fingerprint,
            latency_us: context.at.elapsed().as_micros() as u64,
        })
    }));
    let body = match rendered {
        Ok(reply) => reply.body(),
        Err(_panic) => source.dialect.default_reply(channel).into(),
    };
    Ok(PreparedReply { committed: recorded.ok().flatten(), ..PreparedReply::at_once(body) })
}
