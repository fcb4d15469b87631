//! Look-ups: asks other systems about a call, within a time limit and without ever failing the call.
//!
//! A look-up whose system is slow, refuses or answers nonsense costs a call at most its timeout. Callers
//! who ask the same share one question, answers are kept for a while, the number of questions at the same
//! time is limited, and a system that fails several times in a row is left alone.

mod asker;
mod breaker;
mod gate;
mod history;
pub(crate) mod http;
mod json;
mod secrets;
pub(crate) mod sql;
mod tls;

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::Value;
use siphasher::sip128::SipHasher13;
use tokio::time::{Instant, timeout_at};

use crate::domain::call::Call;
use crate::domain::facts::{Facts, LookupAnswer, LookupId, LookupSet, LookupState};
use crate::domain::secret::{Secret, SecretSource};
use crate::rules::engine::decide;
use crate::rules::{HISTORY, Lookup, LookupBackend, RuleSet};
use crate::telemetry::LookupCounters;
pub use history::HistorySource;
pub(crate) use tls::client_config;

use asker::Asker;
use gate::with_problem;
use history::HistoryAsker;
use http::HttpRequest;
use secrets::ResolvedSecrets;

/// Longest timeout of a look-up.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(8);

/// Asks the look-ups of rule tables. Answers and connections outlive a table that is replaced by one with
/// the same look-up.
pub struct LookupService {
    /// None in tests, and where no table refers to a secret.
    secrets: Option<Arc<dyn SecretSource>>,
    counters: LookupCounters,
    prepared: ArcSwap<Prepared>,
    /// Held while look-ups are prepared. A call never waits for it.
    preparing: Mutex<()>,
    /// Hasher with random keys, chosen at start.
    hasher: SipHasher13,
}

/// The look-ups that can be asked.
#[derive(Clone, Default)]
struct Prepared {
    /// The look-ups of the live table, and of tables that requests still use. Equal ones share an asker.
    askers: Vec<(Arc<Lookup>, Arc<Asker>)>,
    history: Arc<HistoryAsker>,
}

/// Returns the question of a look-up about a call, for people: without secrets, and without the body.
/// `None` if it is not asked about this call.
pub fn describe_question(lookup: &Lookup, call: &Call<'_>) -> Option<String> {
    match &lookup.backend {
        LookupBackend::Http(http) => {
            let request = HttpRequest::new(http, Some(call), &HiddenSecrets).ok()?;
            Some(format!("{} {}", request.method.as_str(), request.url))
        }
        LookupBackend::Sql(sql) => {
            let values = sql::parameters(sql, call).ok()?;
            let names = sql.query.parameters.iter().zip(values);
            let named = names.map(|(name, value)| format!("{name} = {value}"));
            Some(format!("query with {}", named.collect::<Vec<_>>().join(", ")))
        }
    }
}

/// Stands in for every secret.
struct HiddenSecrets;

impl SecretSource for HiddenSecrets {
    fn secret(&self, _: &str) -> Option<Secret> {
        Some(Secret::new("SECRET"))
    }
}

/// Look-ups that a decision needs together.
pub struct LookupRound<'r> {
    /// Table that defines them.
    pub table: &'r RuleSet,
    /// The look-ups.
    pub needed: LookupSet,
    /// The call.
    pub call: &'r Call<'r>,
    /// Time of the call.
    pub at: Timestamp,
    /// Where the caller's history is.
    pub history: HistorySource<'r>,
    /// Moment at which the call goes on without the answers.
    pub deadline: Instant,
}

/// What came of asking a system.
#[derive(Debug, Clone, PartialEq)]
enum SystemAnswer {
    Found(Value),
    Empty,
    /// The system refuses this question, and may answer others.
    Refused(Arc<str>),
    /// The system gave up, since it would have been too late.
    Late,
    /// The system is broken, which counts for the breaker.
    Failed(Arc<str>),
}

impl SystemAnswer {
    fn failed(problem: &str) -> SystemAnswer {
        SystemAnswer::Failed(problem.into())
    }
}

/// Reason for which there is no question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRequest {
    /// The request needs a value that this call does not have.
    UnknownValue,
    /// A value of the call would change the meaning of the request.
    UnsafeValue,
    /// An environment variable or a file is missing.
    MissingSecret,
}

impl NoRequest {
    /// Returns the reason in words.
    pub(crate) fn problem(self) -> &'static str {
        match self {
            NoRequest::UnknownValue => "a value of the request is unknown",
            NoRequest::UnsafeValue => "a value does not fit into the request",
            NoRequest::MissingSecret => "a secret of the request is missing",
        }
    }

    fn answer(self) -> LookupAnswer {
        let state = match self {
            NoRequest::UnknownValue | NoRequest::UnsafeValue => LookupState::NotAsked,
            NoRequest::MissingSecret => LookupState::Failed,
        };
        LookupAnswer { problem: Some(self.problem().into()), ..LookupAnswer::unknown(state) }
    }
}

impl LookupService {
    /// Creates a service without secrets.
    pub fn new(counters: LookupCounters) -> LookupService {
        let random = RandomState::new();
        let hasher = SipHasher13::new_with_keys(random.hash_one(0), random.hash_one(1));
        let (prepared, preparing) = (ArcSwap::default(), Mutex::default());
        LookupService { secrets: None, counters, prepared, preparing, hasher }
    }

    /// Sets where secrets are found. Look-ups that refer to one can be prepared from now on.
    pub fn set_secrets(&mut self, secrets: Arc<dyn SecretSource>) {
        self.secrets = Some(secrets);
    }

    /// Prepares the look-ups of a table before it decides calls: reads their secrets and builds what connects
    /// to their systems. A look-up that is prepared stays as it is, unless one of its secrets has changed.
    pub fn prepare(&self, table: &RuleSet) {
        let _preparing = self.preparing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut prepared = Prepared::clone(&self.prepared.load());
        for lookup in &table.lookups {
            let is_ready = self.secrets.is_some() || lookup.backend.secret_references().is_empty();
            if is_ready {
                prepared.add(lookup, ResolvedSecrets::read(&lookup.backend, self));
            }
        }
        if prepared.history.policy != table.history {
            prepared.history = Arc::new(HistoryAsker::new(table.history));
        }
        self.prepared.store(Arc::new(prepared));
    }

    /// Drops the connections and answers of look-ups that none of these tables has.
    pub fn keep_only(&self, tables: &[&RuleSet]) {
        let _preparing = self.preparing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut prepared = Prepared::clone(&self.prepared.load());
        let in_use = |lookup: &Arc<Lookup>| {
            let mut lookups = tables.iter().flat_map(|table| &table.lookups);
            lookups.any(|used| Arc::ptr_eq(used, lookup))
        };
        prepared.askers.retain(|(lookup, _)| in_use(lookup));
        self.prepared.store(Arc::new(prepared));
    }

    /// Asks look-ups about a call, all at the same time.
    pub async fn ask_all(&self, round: LookupRound<'_>) -> Vec<(LookupId, LookupAnswer)> {
        let LookupRound { table, needed, call, at, history, deadline } = round;
        let asking = needed.iter().map(|id| async move {
            let answer = match id.position() {
                Some(position) => self.ask(&table.lookups[position], call, deadline).await,
                None => self.ask_history(history, call, at, deadline).await,
            };
            (id, answer)
        });
        join_all(asking).await
    }

    /// Asks the look-ups that the decision about a call needs, for an explanation.
    pub async fn gather(
        &self,
        table: &RuleSet,
        call: &Call<'_>,
        history: HistorySource<'_>,
        facts: &mut Facts,
    ) {
        while let Err(needed) = decide(table, call, facts) {
            let deadline = Instant::now() + LONGEST_TIMEOUT;
            let round = LookupRound { table, needed, call, at: facts.at, history, deadline };
            let answers = self.ask_all(round).await;
            answers.into_iter().for_each(|(id, answer)| facts.lookups.insert(id, answer));
        }
    }

    /// Asks a look-up about a call, and waits for the answer until the look-up's timeout or the deadline.
    async fn ask(&self, lookup: &Arc<Lookup>, call: &Call<'_>, deadline: Instant) -> LookupAnswer {
        let started = Instant::now();
        let asker = self.prepared.load().asker(lookup);
        let mut answer = match asker {
            Some(asker) => match asker.question(call) {
                Ok(question) => {
                    let key = question.key(self.hasher);
                    wait_for(asker.answer(key, question), deadline.min(started + lookup.timeout))
                        .await
                }
                Err(reason) => reason.answer(),
            },
            None => {
                let failed = LookupAnswer::unknown(LookupState::Failed);
                with_problem(failed, "the look-up is not ready".into())
            }
        };
        answer.took = started.elapsed();
        self.counters.asked(&lookup.name, &answer);
        answer
    }

    /// Asks the records for the history of a call's caller, like another system.
    async fn ask_history(
        &self,
        source: HistorySource<'_>,
        call: &Call<'_>,
        at: Timestamp,
        deadline: Instant,
    ) -> LookupAnswer {
        let started = Instant::now();
        let asker = self.prepared.load().history.clone();
        let deadline = deadline.min(started + asker.gate.timeout());
        let mut answer = match source.question(call, at) {
            Ok(question) => {
                wait_for(async move { asker.answer(question, at).await }, deadline).await
            }
            Err(answer) => answer,
        };
        answer.took = started.elapsed();
        self.counters.asked(HISTORY, &answer);
        answer
    }

    /// Returns the names of the look-ups that are suspended because they failed, or cannot be asked.
    pub fn suspended(&self) -> Vec<Box<str>> {
        let prepared = self.prepared.load();
        let askers = prepared.askers.iter().filter(|(_, asker)| asker.is_out_of_use());
        let mut names: Vec<Box<str>> = askers.map(|(lookup, _)| lookup.name.clone()).collect();
        if prepared.history.gate.is_suspended() {
            names.push(HISTORY.into());
        }
        names.sort();
        names.dedup();
        names
    }
}

/// Waits for an answer until the deadline. The question goes on without the call, so that a repeated delivery
/// may find its answer.
async fn wait_for(
    asking: impl Future<Output = LookupAnswer> + Send + 'static,
    deadline: Instant,
) -> LookupAnswer {
    match timeout_at(deadline, tokio::spawn(asking)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_panic)) => LookupAnswer::unknown(LookupState::Failed),
        Err(_elapsed) => LookupAnswer::unknown(LookupState::Late),
    }
}

impl Prepared {
    fn asker(&self, lookup: &Arc<Lookup>) -> Option<Arc<Asker>> {
        let found = self.askers.iter().find(|(known, _)| Arc::ptr_eq(known, lookup));
        found.map(|(_, asker)| asker.clone())
    }

    /// Adds a look-up, with the asker of an equal one if there is one with the same secrets.
    fn add(&mut self, lookup: &Arc<Lookup>, secrets: ResolvedSecrets) {
        let mut askers = self.askers.iter().map(|(_, asker)| asker);
        let known = askers.find(|asker| asker.is_for(lookup, &secrets)).cloned();
        let known = known.or_else(|| {
            // The file of a secret may be away for a moment.
            let mut askers = self.askers.iter().map(|(_, asker)| asker);
            let kept = askers.find(|asker| secrets.have_gaps() && asker.can_go_on(lookup))?;
            tracing::warn!(lookup = &*lookup.name, "a secret is missing, kept the previous one");
            Some(kept.clone())
        });
        let asker = known.unwrap_or_else(|| Arc::new(Asker::new(lookup.clone(), secrets)));
        match self.askers.iter_mut().find(|(known, _)| Arc::ptr_eq(known, lookup)) {
            Some(entry) => entry.1 = asker,
            None => self.askers.push((lookup.clone(), asker)),
        }
    }
}

impl SecretSource for LookupService {
    fn secret(&self, reference: &str) -> Option<Secret> {
        self.secrets.as_ref()?.secret(reference)
    }
}
