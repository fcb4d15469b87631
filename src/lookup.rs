//! Look-ups: asks other systems about a call, within a time limit and without ever failing the call.
//!
//! A look-up whose system is slow, refuses or answers nonsense costs a call at most its timeout. Callers
//! who ask the same share one question, answers are kept for a while, the number of questions at the same
//! time is limited, and a system that fails several times in a row is left alone.

mod breaker;
mod history;
pub(crate) mod http;
pub(crate) mod sql;

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use moka::Expiry;
use moka::future::Cache;
use serde_json::Value;
use siphasher::sip128::{Hasher128, SipHasher13};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use crate::domain::call::Call;
use crate::domain::facts::{Facts, LookupAnswer, LookupId, LookupSet, LookupState};
use crate::domain::secret::{Secret, SecretSource};
use crate::rules::engine::decide;
use crate::rules::{HISTORY, Lookup, LookupBackend, RuleSet};
use crate::telemetry::LookupCounters;
pub use history::HistorySource;

use breaker::Breaker;
use http::{HttpClient, HttpRequest};
use sql::SqlPool;

/// Longest timeout of a look-up.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(8);
/// Memory for the answers that one look-up keeps, in bytes.
const CACHE_BYTES: u64 = 16 << 20;
/// Memory of a kept answer besides its values.
const ENTRY_BYTES: usize = 200;

/// Asks the look-ups of rule tables. Answers and connections outlive a table that is replaced by one with
/// the same look-up.
pub struct LookupService {
    /// None in tests, and where no table refers to a secret.
    secrets: Option<Arc<dyn SecretSource>>,
    counters: LookupCounters,
    askers: RwLock<Vec<Arc<Asker>>>,
    /// Hasher with random keys, chosen at start.
    hasher: SipHasher13,
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
        LookupService { secrets: None, counters, askers: RwLock::default(), hasher }
    }

    /// Sets where secrets are found.
    pub fn set_secrets(&mut self, secrets: Arc<dyn SecretSource>) {
        self.secrets = Some(secrets);
    }

    /// Asks look-ups about a call, all at the same time.
    pub async fn ask_all(&self, round: LookupRound<'_>) -> Vec<(LookupId, LookupAnswer)> {
        let LookupRound { table, needed, call, at, history, deadline } = round;
        let asking = needed.iter().map(|id| async move {
            let answer = match id.position() {
                Some(position) => self.ask(&table.lookups[position], call, deadline).await,
                None => {
                    let started = Instant::now();
                    let deadline = deadline.min(started + table.history_timeout);
                    let answer = history::ask(history, call, at, deadline).await;
                    let answer = LookupAnswer { took: started.elapsed(), ..answer };
                    self.counters.asked(HISTORY, &answer);
                    answer
                }
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
    /// The question goes on without the call, so that a repeated delivery may find its answer.
    async fn ask(&self, lookup: &Arc<Lookup>, call: &Call<'_>, deadline: Instant) -> LookupAnswer {
        let started = Instant::now();
        let asker = self.asker(lookup);
        let mut answer = match asker.question(call, self) {
            Ok(question) => {
                let key = question.key(self.hasher);
                let asking = tokio::spawn(asker.clone().answer(key, question));
                match timeout_at(deadline.min(started + lookup.timeout), asking).await {
                    Ok(Ok(answer)) => answer,
                    Ok(Err(_panic)) => LookupAnswer::unknown(LookupState::Failed),
                    Err(_elapsed) => LookupAnswer::unknown(LookupState::Late),
                }
            }
            Err(reason) => reason.answer(),
        };
        answer.took = started.elapsed();
        self.counters.asked(&lookup.name, &answer);
        answer
    }

    /// Drops the connections and answers of look-ups that the new table does not have.
    pub fn keep_only(&self, lookups: &[Arc<Lookup>]) {
        let mut askers = self.askers.write().unwrap_or_else(PoisonError::into_inner);
        askers.retain(|asker| lookups.contains(&asker.lookup));
    }

    /// Returns the names of the look-ups that are suspended because they failed.
    pub fn suspended(&self) -> Vec<Box<str>> {
        let askers = self.askers.read().unwrap_or_else(PoisonError::into_inner);
        let open = askers.iter().filter(|asker| asker.breaker.refuses(Instant::now()));
        open.map(|asker| asker.lookup.name.clone()).collect()
    }

    fn asker(&self, lookup: &Arc<Lookup>) -> Arc<Asker> {
        let find = |askers: &[Arc<Asker>]| {
            let known =
                |asker: &&Arc<Asker>| Arc::ptr_eq(&asker.lookup, lookup) || asker.lookup == *lookup;
            askers.iter().find(known).cloned()
        };
        if let Some(known) = find(&self.askers.read().unwrap_or_else(PoisonError::into_inner)) {
            return known;
        }
        let mut askers = self.askers.write().unwrap_or_else(PoisonError::into_inner);
        find(&askers).unwrap_or_else(|| {
            let asker = Arc::new(Asker::new(lookup.clone(), self));
            askers.push(asker.clone());
            asker
        })
    }
}

impl SecretSource for LookupService {
    fn secret(&self, reference: &str) -> Option<Secret> {
        self.secrets.as_ref()?.secret(reference)
    }
}

/// A look-up with its connections, its kept answers and its breaker.
struct Asker {
    lookup: Arc<Lookup>,
    system: System,
    permits: Semaphore,
    breaker: Breaker,
    answers: Cache<u128, LookupAnswer>,
}

/// The system that an [`Asker`] asks.
enum System {
    Http(HttpClient),
    Sql(SqlPool),
    /// The look-up cannot be asked at all.
    Broken(&'static str),
}

/// A question to a system, about one call.
enum PreparedQuestion {
    Http(HttpRequest),
    Sql(Vec<String>),
}

impl PreparedQuestion {
    /// Identifies the question among those of all look-ups.
    fn key(&self, mut hasher: SipHasher13) -> u128 {
        match self {
            PreparedQuestion::Http(HttpRequest { method, url, headers, body }) => {
                (method.as_str(), url.as_str(), body).hash(&mut hasher);
                for (name, value) in headers {
                    (name.as_str(), value.as_bytes()).hash(&mut hasher);
                }
            }
            PreparedQuestion::Sql(parameters) => parameters.hash(&mut hasher),
        }
        hasher.finish128().as_u128()
    }
}

impl Asker {
    fn new(lookup: Arc<Lookup>, secrets: &dyn SecretSource) -> Asker {
        let system = match &lookup.backend {
            LookupBackend::Http(http) => match HttpClient::new(&lookup, http) {
                Ok(client) => System::Http(client),
                Err(_) => System::Broken("TLS cannot be set up"),
            },
            LookupBackend::Sql(sql) => match secrets.secret(&sql.database) {
                Some(url) => match SqlPool::new(&url, lookup.max_concurrent, lookup.timeout) {
                    Ok(pool) => System::Sql(pool),
                    Err(problem) => System::Broken(problem),
                },
                None => System::Broken("the URL of the database is missing"),
            },
        };
        let answers = Cache::builder()
            .max_capacity(CACHE_BYTES)
            .weigher(|_, answer: &LookupAnswer| weight(answer))
            .expire_after(KeepFor { found: lookup.cache, empty: lookup.negative_cache })
            .build();
        let permits = Semaphore::new(lookup.max_concurrent);
        let breaker = Breaker::new(lookup.breaker);
        Asker { lookup, system, permits, breaker, answers }
    }

    fn question(
        &self,
        call: &Call<'_>,
        secrets: &dyn SecretSource,
    ) -> Result<PreparedQuestion, NoRequest> {
        match &self.lookup.backend {
            LookupBackend::Http(http) => {
                HttpRequest::new(http, Some(call), secrets).map(PreparedQuestion::Http)
            }
            LookupBackend::Sql(sql) => sql::parameters(sql, call).map(PreparedQuestion::Sql),
        }
    }

    /// Returns the kept answer, or asks. Equal questions at the same time are asked once.
    async fn answer(self: Arc<Asker>, key: u128, question: PreparedQuestion) -> LookupAnswer {
        if let Some(answer) = self.answers.get(&key).await {
            return LookupAnswer { cached: true, ..answer };
        }
        // What is no answer is not kept; those who waited for it share it.
        let asked = self.answers.try_get_with(key, self.ask(question)).await;
        asked.unwrap_or_else(|unanswered| LookupAnswer::clone(&unanswered))
    }

    /// Asks the system. The error is an answer that is not kept.
    async fn ask(&self, question: PreparedQuestion) -> Result<LookupAnswer, LookupAnswer> {
        if self.breaker.refuses(Instant::now()) {
            return Err(LookupAnswer::unknown(LookupState::Suspended));
        }
        let Ok(Ok(_permit)) = timeout(self.lookup.timeout, self.permits.acquire()).await else {
            let problem = Some("too many questions at the same time".into());
            return Err(LookupAnswer { problem, ..LookupAnswer::unknown(LookupState::Late) });
        };
        // After the wait: the breaker may have opened meanwhile. The question has the whole timeout, although
        // its call may give up earlier, so that only the system's own slowness counts for the breaker.
        let Some(permission) = self.breaker.permission(Instant::now()) else {
            return Err(LookupAnswer::unknown(LookupState::Suspended));
        };
        let outcome = timeout(self.lookup.timeout, self.ask_system(question)).await;
        let (answer, failed) = match outcome {
            Ok(SystemAnswer::Found(value)) => (LookupAnswer::found(value), false),
            Ok(SystemAnswer::Empty) => (LookupAnswer::unknown(LookupState::Empty), false),
            Ok(SystemAnswer::Refused(problem)) => {
                permission.succeeded();
                let unknown = LookupAnswer::unknown(LookupState::Failed);
                return Err(LookupAnswer { problem: Some(problem), ..unknown });
            }
            Ok(SystemAnswer::Failed(problem)) => {
                let unknown = LookupAnswer::unknown(LookupState::Failed);
                (LookupAnswer { problem: Some(problem), ..unknown }, true)
            }
            Err(_elapsed) => (LookupAnswer::unknown(LookupState::Late), true),
        };
        if failed {
            if permission.failed(Instant::now()) {
                tracing::warn!(
                    lookup = &*self.lookup.name,
                    state = answer.state.as_str(),
                    problem = answer.problem.as_deref(),
                    pause_s = self.lookup.breaker.pause.as_secs(),
                    "look-up failed several times in a row, suspended"
                );
            }
            return Err(answer);
        }
        if permission.succeeded() {
            tracing::info!(lookup = &*self.lookup.name, "look-up answers again");
        }
        Ok(answer)
    }

    async fn ask_system(&self, question: PreparedQuestion) -> SystemAnswer {
        match (&self.system, question, &self.lookup.backend) {
            (System::Http(client), PreparedQuestion::Http(request), LookupBackend::Http(http)) => {
                client.ask(request, &self.lookup, http).await
            }
            (System::Sql(pool), PreparedQuestion::Sql(parameters), LookupBackend::Sql(sql)) => {
                pool.ask(sql, parameters).await
            }
            (System::Broken(problem), ..) => SystemAnswer::failed(problem),
            (System::Http(_) | System::Sql(_), ..) => {
                unreachable!("system and question come from the same backend")
            }
        }
    }
}

/// Approximate memory of an answer.
fn weight(answer: &LookupAnswer) -> u32 {
    fn bytes(value: &Value) -> usize {
        size_of::<Value>()
            + match value {
                Value::Null | Value::Bool(_) | Value::Number(_) => 0,
                Value::String(text) => text.len(),
                Value::Array(items) => items.iter().map(bytes).sum(),
                Value::Object(fields) => fields
                    .iter()
                    .map(|(name, value)| 2 * ENTRY_BYTES / 3 + name.len() + bytes(value))
                    .sum(),
            }
    }
    u32::try_from(ENTRY_BYTES + bytes(&answer.value)).unwrap_or(u32::MAX)
}

/// Time for which answers are kept.
struct KeepFor {
    found: Duration,
    empty: Duration,
}

impl Expiry<u128, LookupAnswer> for KeepFor {
    fn expire_after_create(
        &self,
        _: &u128,
        answer: &LookupAnswer,
        _: std::time::Instant,
    ) -> Option<Duration> {
        Some(if answer.state == LookupState::Found { self.found } else { self.empty })
    }
}
