//! A look-up with its connections and the answers that are kept.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use moka::Expiry;
use moka::future::Cache;
use serde_json::Value;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::gate::{Gate, with_problem};
use super::http::{HttpClient, HttpRequest};
use super::secrets::ResolvedSecrets;
use super::sql::{self, SqlPool};
use super::{NoRequest, SystemAnswer};
use crate::domain::call::Call;
use crate::domain::facts::{LookupAnswer, LookupState};
use crate::domain::secret::SecretSource;
use crate::rules::{Lookup, LookupBackend, SqlLookup};

/// Memory for the answers that one look-up keeps, in bytes.
const CACHE_BYTES: u64 = 16 << 20;
/// Memory of a kept answer besides its values.
const ENTRY_BYTES: usize = 200;

/// A look-up with its connections, its kept answers and its breaker.
pub(super) struct Asker {
    lookup: Arc<Lookup>,
    secrets: ResolvedSecrets,
    gate: Gate,
    system: System,
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
pub(super) enum PreparedQuestion {
    Http(HttpRequest),
    Sql(Vec<String>),
}

impl PreparedQuestion {
    /// Identifies the question among those of its look-up.
    pub(super) fn key(&self, mut hasher: SipHasher13) -> u128 {
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
    /// Builds the connections of a look-up, which takes a while. A look-up that cannot be asked is logged.
    pub(super) fn new(lookup: Arc<Lookup>, secrets: ResolvedSecrets) -> Asker {
        let system = System::new(&lookup, &secrets).unwrap_or_else(|problem| {
            let name = &*lookup.name;
            tracing::error!(
                lookup = name,
                problem,
                "look-up cannot be asked, its values are unknown"
            );
            System::Broken(problem)
        });
        let answers = Cache::builder()
            .max_capacity(CACHE_BYTES)
            .weigher(|_, answer: &LookupAnswer| weight(answer))
            .expire_after(KeepFor { found: lookup.cache, empty: lookup.negative_cache })
            .build();
        let gate = Gate::new(&lookup.name, lookup.timeout, lookup.max_concurrent, lookup.breaker);
        Asker { lookup, secrets, gate, system, answers }
    }

    /// Returns whether this is what a look-up with these secrets needs. One that could not be built is built
    /// again.
    pub(super) fn is_for(&self, lookup: &Lookup, secrets: &ResolvedSecrets) -> bool {
        let is_broken = matches!(self.system, System::Broken(_));
        !is_broken && *self.lookup == *lookup && self.secrets.equal(secrets)
    }

    /// Returns whether this is what a look-up needs, with the secrets of before.
    pub(super) fn can_go_on(&self, lookup: &Lookup) -> bool {
        !matches!(self.system, System::Broken(_)) && *self.lookup == *lookup
    }

    /// Returns whether nothing is asked: the system failed, or it cannot be asked at all.
    pub(super) fn is_out_of_use(&self) -> bool {
        matches!(self.system, System::Broken(_)) || self.gate.is_suspended()
    }

    pub(super) fn question(&self, call: &Call<'_>) -> Result<PreparedQuestion, NoRequest> {
        match &self.lookup.backend {
            LookupBackend::Http(http) => {
                HttpRequest::new(http, Some(call), &self.secrets).map(PreparedQuestion::Http)
            }
            LookupBackend::Sql(sql) => sql::parameters(sql, call).map(PreparedQuestion::Sql),
        }
    }

    /// Returns the kept answer, or asks. Equal questions at the same time are asked once.
    pub(super) async fn answer(
        self: Arc<Asker>,
        key: u128,
        question: PreparedQuestion,
    ) -> LookupAnswer {
        if let System::Broken(problem) = self.system {
            return with_problem(LookupAnswer::unknown(LookupState::Failed), problem.into());
        }
        if let Some(answer) = self.answers.get(&key).await {
            return LookupAnswer { cached: true, ..answer };
        }
        // What is no answer is not kept; those who waited for it share it.
        let asking = self.gate.ask(self.ask_system(question));
        let asked = self.answers.try_get_with(key, asking).await;
        asked.unwrap_or_else(|unanswered| LookupAnswer::clone(&unanswered))
    }

    async fn ask_system(&self, question: PreparedQuestion) -> SystemAnswer {
        match (&self.system, question, &self.lookup.backend) {
            (System::Http(client), PreparedQuestion::Http(request), LookupBackend::Http(http)) => {
                client.ask(request, &self.lookup, http).await
            }
            (System::Sql(pool), PreparedQuestion::Sql(parameters), LookupBackend::Sql(sql)) => {
                pool.ask(sql, parameters, &self.lookup).await
            }
            (System::Broken(problem), ..) => SystemAnswer::failed(problem),
            (System::Http(_) | System::Sql(_), ..) => {
                unreachable!("system and question come from the same backend")
            }
        }
    }
}

impl System {
    fn new(lookup: &Lookup, secrets: &ResolvedSecrets) -> Result<System, &'static str> {
        match &lookup.backend {
            LookupBackend::Http(_) if secrets.have_gaps() => {
                Err(NoRequest::MissingSecret.problem())
            }
            LookupBackend::Http(http) => HttpClient::new(lookup, http).map(System::Http),
            LookupBackend::Sql(SqlLookup { database, .. }) => {
                let url = secrets.secret(database).ok_or("the URL of the database is missing")?;
                let pool = SqlPool::new(&url, lookup.max_concurrent, lookup.timeout)?;
                pool.connect();
                Ok(System::Sql(pool))
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
