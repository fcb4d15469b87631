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

use crate::authenticate::{Proof, Unproved, Unverified, Verified, authenticate};
use crate::dialect::{Asked, Event, Reply, STAMP, Unreadable};
use crate::domain::call::{Call, Channel};
use crate::domain::clock::Clock;
use crate::domain::decision::{Decision, Kept, Outcome};
use crate::domain::facts::Facts;
use crate::records::{Answered as Recorded, Committed, NotStored, Recorder, Told, Writer};
use crate::rules::Table;
use crate::rules::engine::{decide, fallback_to};
use crate::rules::live::Current;
use crate::settings::Records;
use crate::source::{Fallback, Source};
use crate::telemetry::{Counters, SourceCounters};
use dedup::{Remembered, Retries};

/// Everything that an answer needs: who may ask, the rules, what was answered a moment ago.
pub struct Switchboard {
    sources: HashMap<Arc<str>, Desk>,
    current: Current,
    retries: Retries,
    clock: Clock,
    counters: Counters,
    recorder: Recorder,
}

/// A source and its counters.
pub struct Desk {
    /// Who asks here.
    pub source: Source,
    /// What was counted.
    pub counters: SourceCounters,
}

/// A request as it arrived, before anybody looked at it.
pub struct Arrival<'r> {
    /// Told to the client and in the log, to find the one by the other.
    pub request_id: &'r str,
    /// When its header had been read. Monotonic, so that no clock that is set disturbs it.
    pub at: Instant,
}

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody knows who sent it.
    #[error(transparent)]
    Unproved(#[from] Unproved),
    /// It is proved, and makes no sense.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It is an event, and is not stored: the platform is to send it again.
    #[error(transparent)]
    NotStored(#[from] NotStored),
}

impl Switchboard {
    /// Of sources and a table, both checked. It records nothing.
    pub fn new(sources: Vec<Source>, table: Table, clock: Clock) -> Switchboard {
        Switchboard::recording(sources, table, clock, Records::off()).0
    }

    /// The same with records, and their writer, which has to run; none where records are off.
    pub fn recording(
        sources: Vec<Source>,
        table: Table,
        clock: Clock,
        records: Records,
    ) -> (Switchboard, Option<Writer>) {
        let counters = Counters::default();
        let now = clock.now();
        counters.table(&table, now);
        let desks = sources.into_iter().map(|source| {
            let counters = counters.source(&source);
            (source.name.clone(), Desk { source, counters })
        });
        let sources = desks.collect();
        let (recorder, writer) = Recorder::new(records, &counters, clock);
        let current = Current::new(table, now);
        let retries = Retries::default();
        (Switchboard { sources, current, retries, clock, counters, recorder }, writer)
    }

    /// The source of this name.
    pub fn desk(&self, source: &str) -> Option<&Desk> {
        self.sources.get(source)
    }

    /// The table that answers now.
    pub fn table(&self) -> Guard<Arc<Table>> {
        self.current.table()
    }

    /// The table, and how another takes its place.
    pub fn current(&self) -> &Current {
        &self.current
    }

    /// All sources, by name.
    pub fn sources(&self) -> Vec<&Source> {
        let mut sources: Vec<_> = self.sources.values().map(|desk| &desk.source).collect();
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
        match self.recorder.stamps() {
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
    board: &Switchboard,
    desk: &Desk,
    request: Unverified,
    arrival: Arrival<'_>,
) -> Result<Bytes, Refusal> {
    let facts = Facts { at: board.now() };
    let verified = prove(desk, request, facts.at)?;
    let deadline = arrival.at + desk.source.reply_within;
    let answered = {
        let table = board.table();
        let walk = walk(board, &table, desk, &verified, &facts, &arrival);
        let walk = AssertUnwindSafe(walk).catch_unwind();
        match tokio::time::timeout_at(deadline, walk).await {
            Ok(Ok(answered)) => answered?,
            Ok(Err(_panic)) => broken(board, &table, desk, &verified, &facts, &arrival, "panic")?,
            Err(_late) => broken(board, &table, desk, &verified, &facts, &arrival, "late")?,
        }
    };
    if let Some(committed) = answered.committed
        && !committed.by(deadline).await
    {
        board.recorder.was_late();
    }
    if !answered.hold.is_zero() {
        tokio::time::sleep_until(deadline.min(arrival.at + answered.hold)).await;
    }
    Ok(answered.body)
}

/// A reply, how long after the arrival it is due, and the commit that it waits for.
struct Answered {
    body: Bytes,
    hold: Duration,
    committed: Option<Committed>,
}

impl Answered {
    fn at_once(body: Bytes) -> Answered {
        Answered { body, hold: Duration::ZERO, committed: None }
    }
}

fn prove(desk: &Desk, request: Unverified, now: Timestamp) -> Result<Verified, Unproved> {
    let verified = authenticate(request, &desk.source.policy, now);
    match &verified {
        Ok(verified) => {
            if let Proof::Observed(reason) = verified.proof() {
                desk.counters.observed(reason);
            }
        }
        Err(reason) => desk.counters.refused(*reason),
    }
    verified
}

async fn walk(
    board: &Switchboard,
    table: &Table,
    desk: &Desk,
    verified: &Verified,
    facts: &Facts,
    arrival: &Arrival<'_>,
) -> Result<Answered, Refusal> {
    let dialect = desk.source.dialect;
    let asked = dialect.parse(verified).inspect_err(|_| desk.counters.unreadable.increment(1))?;
    let call = match asked {
        Asked::Inbound(call) => call,
        Asked::Event(event) => return told(board, desk, &event, verified, facts, arrival).await,
        Asked::Probe => return Ok(probed(desk)),
    };
    let delivery = board.retries.delivery(&call);
    if let Some(remembered) = board.retries.recall(delivery, arrival.at) {
        return Ok(again(board, desk, &call, remembered, arrival));
    }
    let record = board.recorder.id(facts.at);
    let decision = board.stamped(decide(table, &call, facts), record);
    let reply = dialect.render(call.channel(), &decision);
    let body = reply.body();
    board.retries.remember(delivery, body.clone(), record, arrival.at);
    let committed = board.recorder.answered(Recorded {
        id: record,
        at: facts.at,
        call: &call,
        decision: &decision,
        fingerprint: &table.fingerprint,
        micros: arrival.at.elapsed().as_micros() as u64,
    });
    tell(desk, &call, &decision, &reply, verified.proof(), arrival);
    Ok(Answered { body, hold: decision.added().delay, committed })
}

/// An event. Nothing is decided; the platform hears that it arrived once it is stored.
async fn told(
    board: &Switchboard,
    desk: &Desk,
    event: &Event<'_>,
    verified: &Verified,
    facts: &Facts,
    arrival: &Arrival<'_>,
) -> Result<Answered, Refusal> {
    let counter = if event.known { &desk.counters.event } else { &desk.counters.unknown_event };
    counter.increment(1);
    // The platform's words, at a length that fits a log.
    let short = |text: &str| text.chars().take(64).collect::<String>();
    let kind = short(&event.kind);
    let call_id = event.call_id.as_deref().map(short);
    tracing::info!(
        request_id = arrival.request_id,
        source = &*desk.source.name,
        event = kind,
        call_id,
        known = event.known,
        "event"
    );
    let source = &desk.source;
    let told = Told {
        id: board.recorder.id(facts.at),
        at: facts.at,
        source: &source.name,
        platform: source.dialect.platform(),
        event,
        body: verified.body(),
    };
    // The walk ends at the same moment, and asks here first.
    board.recorder.told(told, arrival.at + source.reply_within).await?;
    Ok(Answered::at_once(Bytes::from_static(b"{}")))
}

/// A set-up probe: kept, like a call that no rule is for.
fn probed(desk: &Desk) -> Answered {
    desk.counters.probe.increment(1);
    tracing::info!(source = &*desk.source.name, "probe");
    Answered::at_once(desk.source.dialect.keep(Channel::Call).into())
}

/// The same delivery once more.
fn again(
    board: &Switchboard,
    desk: &Desk,
    call: &Call<'_>,
    remembered: Remembered,
    arrival: &Arrival<'_>,
) -> Answered {
    desk.counters.retry.increment(1);
    let committed = board.recorder.again(remembered.record);
    tracing::info!(
        request_id = arrival.request_id,
        source = call.source(),
        call_id = call.call_id(),
        from = &*call.from().masked(),
        to = &*call.to().masked(),
        "retry"
    );
    Answered { committed, ..Answered::at_once(remembered.reply) }
}

/// The one log line of a call, and its counters.
fn tell(
    desk: &Desk,
    call: &Call<'_>,
    decision: &Decision<'_>,
    reply: &Reply,
    proof: Proof,
    arrival: &Arrival<'_>,
) {
    desk.counters.decided(decision.outcome());
    desk.counters.plus_added.increment(call.plus_added().into());
    if reply.left_out_metadata() {
        desk.counters.metadata_left_out.increment(1);
        tracing::warn!(
            request_id = arrival.request_id,
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
        Proof::Signed(header) => (Some(header), None),
        Proof::Observed(reason) => (None, Some(reason.as_str())),
        Proof::SecondFactor | Proof::Off => (None, None),
    };
    tracing::info!(
        request_id = arrival.request_id,
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
        micros = arrival.at.elapsed().as_micros() as u64,
        "call"
    );
}

/// The reply for when everything else broke. An event is to be sent again.
fn broken(
    board: &Switchboard,
    table: &Table,
    desk: &Desk,
    verified: &Verified,
    facts: &Facts,
    arrival: &Arrival<'_>,
    how: &str,
) -> Result<Answered, Refusal> {
    if how == "panic" {
        board.counters.panics.increment(1);
    }
    tracing::error!(
        request_id = arrival.request_id,
        source = &*desk.source.name,
        how,
        "the walk broke, the fallback answers"
    );
    let source = &desk.source;
    // Even reading the body may be what broke.
    let asked = std::panic::catch_unwind(AssertUnwindSafe(|| source.dialect.parse(verified)));
    let call = match asked {
        Ok(Ok(Asked::Event(_))) => return Err(NotStored::Late.into()),
        Ok(Ok(Asked::Inbound(call))) => Some(call),
        Ok(Ok(Asked::Probe) | Err(_)) | Err(_) => None,
    };
    let channel = call.as_ref().map_or(Channel::Call, Call::channel);
    let decision = match &source.fallback {
        Fallback::Keep => Decision::fallback(Outcome::Keep(Kept::Fallback)),
        Fallback::Reject => Decision::fallback(Outcome::Reject("fallback")),
        Fallback::Agent(name) => fallback_to(table, name, source.dialect.platform()),
    };
    desk.counters.fell_back(decision.outcome());
    let rendered =
        std::panic::catch_unwind(AssertUnwindSafe(|| source.dialect.render(channel, &decision)));
    let recorded = std::panic::catch_unwind(AssertUnwindSafe(|| {
        board.recorder.answered(Recorded {
            id: board.recorder.id(facts.at),
            at: facts.at,
            call: call.as_ref()?,
            decision: &decision,
            fingerprint: &table.fingerprint,
            micros: arrival.at.elapsed().as_micros() as u64,
        })
    }));
    let body = match rendered {
        Ok(reply) => reply.body(),
        Err(_panic) => source.dialect.keep(channel).into(),
    };
    Ok(Answered { committed: recorded.ok().flatten(), ..Answered::at_once(body) })
}
