//! The spine: a request goes in, an answer comes out, one line a room.
//!
//! Once a request is proved it is always answered, in time: what panics or is late on the way
//! becomes the source's fallback reply.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use bytes::Bytes;
use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::authenticate::{Proof, Unproved, Unverified, Verified, authenticate};
use crate::call::{Call, Channel};
use crate::decide::{decide, fallback_to};
use crate::decision::{Decision, Kept, Outcome};
use crate::dialect::{Asked, Event, Reply, Unreadable};
use crate::facts::Facts;
use crate::reload::Current;
use crate::retries::Retries;
use crate::rules::Table;
use crate::source::{Fallback, Source};
use crate::telemetry::{Counters, SourceCounters};

/// Everything that an answer needs: who may ask, the rules, what was answered a moment ago.
pub struct Switchboard {
    sources: HashMap<Arc<str>, Desk>,
    current: Current,
    retries: Retries,
    clock: Clock,
    counters: Counters,
}

/// A source and its counters.
pub struct Desk {
    /// Who asks here.
    pub source: Source,
    /// What was counted.
    pub counters: SourceCounters,
}

/// What time it is. The walk asks once a request and hands the answer on.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// The machine's.
    System,
    /// Always the same, for tests.
    Fixed(Timestamp),
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
}

impl Switchboard {
    /// Of sources and a table, both checked.
    pub fn new(sources: Vec<Source>, table: Table, clock: Clock) -> Switchboard {
        let counters = Counters::default();
        let now = clock.now();
        counters.table(&table, now);
        let desks = sources.into_iter().map(|source| {
            let counters = counters.source(&source);
            (source.name.clone(), Desk { source, counters })
        });
        Switchboard {
            sources: desks.collect(),
            current: Current::new(table, now),
            retries: Retries::default(),
            clock,
            counters,
        }
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

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Clock {
    fn now(self) -> Timestamp {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is the clock that the walk asks")]
            Clock::System => Timestamp::now(),
            Clock::Fixed(at) => at,
        }
    }
}

/// Answers a request: proves it, walks it within the source's budget, holds the reply for as long
/// as the phone is to ring.
///
/// # Errors
/// When it is not proved, or proved and not readable.
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
            Ok(Err(_panic)) => broken(board, &table, desk, &verified, &arrival, "panic"),
            Err(_late) => broken(board, &table, desk, &verified, &arrival, "late"),
        }
    };
    if !answered.hold.is_zero() {
        tokio::time::sleep_until(deadline.min(arrival.at + answered.hold)).await;
    }
    Ok(answered.body)
}

/// A reply, and how long after the arrival it is due.
struct Answered {
    body: Bytes,
    hold: Duration,
}

impl Answered {
    fn at_once(body: Bytes) -> Answered {
        Answered { body, hold: Duration::ZERO }
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
) -> Result<Answered, Unreadable> {
    let dialect = desk.source.dialect;
    let asked = dialect.parse(verified).inspect_err(|_| desk.counters.unreadable.increment(1))?;
    let call = match asked {
        Asked::Inbound(call) => call,
        Asked::Event(event) => return Ok(told(desk, &event, arrival)),
        Asked::Probe => return Ok(probed(desk)),
    };
    let delivery = board.retries.delivery(&call);
    if let Some(body) = board.retries.recall(delivery, arrival.at) {
        return Ok(again(desk, &call, body, arrival));
    }
    let decision = decide(table, &call, facts);
    let reply = dialect.render(call.channel(), &decision);
    let body = reply.body();
    board.retries.remember(delivery, body.clone(), arrival.at);
    tell(desk, &call, &decision, &reply, verified.proof(), arrival);
    Ok(Answered { body, hold: decision.added().delay })
}

/// An event. Nothing is decided; the platform only wants to hear that it arrived.
fn told(desk: &Desk, event: &Event<'_>, arrival: &Arrival<'_>) -> Answered {
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
    Answered::at_once(Bytes::from_static(b"{}"))
}

/// A set-up probe: kept, like a call that no rule is for.
fn probed(desk: &Desk) -> Answered {
    desk.counters.probe.increment(1);
    tracing::info!(source = &*desk.source.name, "probe");
    Answered::at_once(desk.source.dialect.keep(Channel::Call).into())
}

/// The same delivery once more.
fn again(desk: &Desk, call: &Call<'_>, body: Bytes, arrival: &Arrival<'_>) -> Answered {
    desk.counters.retry.increment(1);
    tracing::info!(
        request_id = arrival.request_id,
        source = call.source(),
        call_id = call.call_id(),
        from = &*call.from().masked(),
        to = &*call.to().masked(),
        "retry"
    );
    Answered::at_once(body)
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

/// The reply for when everything else broke.
fn broken(
    board: &Switchboard,
    table: &Table,
    desk: &Desk,
    verified: &Verified,
    arrival: &Arrival<'_>,
    how: &str,
) -> Answered {
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
    let channel = channel_of(source, verified);
    let decision = match &source.fallback {
        Fallback::Keep => Decision::fallback(Outcome::Keep(Kept::Fallback)),
        Fallback::Reject => Decision::fallback(Outcome::Reject("fallback")),
        Fallback::Agent(name) => fallback_to(table, name, source.dialect.platform()),
    };
    desk.counters.fell_back(decision.outcome());
    let rendered =
        std::panic::catch_unwind(AssertUnwindSafe(|| source.dialect.render(channel, &decision)));
    Answered::at_once(match rendered {
        Ok(reply) => reply.body(),
        Err(_panic) => source.dialect.keep(channel).into(),
    })
}

/// The channel that was asked on, even when it was reading the body that broke.
fn channel_of(source: &Source, verified: &Verified) -> Channel {
    let read =
        std::panic::catch_unwind(AssertUnwindSafe(|| match source.dialect.parse(verified) {
            Ok(Asked::Inbound(call)) => Some(call.channel()),
            Ok(Asked::Event(_) | Asked::Probe) | Err(_) => None,
        }));
    read.ok().flatten().unwrap_or(Channel::Call)
}
