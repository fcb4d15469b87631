//! How often rules decided, and how calls were shared among the arms of a split.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use sqlx::{AssertSqlSafe, Row};

use super::query::{QUARTER_MS, json, time};
use super::{Store, StoreError};

/// Calls that a rule decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RuleHits {
    /// Calls since each of the three times that were asked for.
    pub since: [u64; 3],
    /// All calls that are retained.
    pub all: u64,
}

/// How the newest calls of a rule were shared among the arms of its split, and among their agents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ArmCounts {
    /// Calls of each arm, counted from 0.
    pub by_arm: BTreeMap<usize, u64>,
    /// Calls of each agent.
    pub by_agent: BTreeMap<String, u64>,
    /// Calls that were counted.
    pub calls: u64,
    /// Time of the oldest of them.
    pub oldest: Option<Timestamp>,
}

/// A call that a split decided has the arm in its details.
#[derive(Deserialize)]
struct ArmOfCall {
    #[serde(default)]
    arm: Option<usize>,
}

impl Store {
    /// Counts the calls that these rules decided, since three times and altogether. A rule without calls is
    /// not in the result. Rules that only add, and let a later rule decide, have no calls.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn rule_hits(
        &self,
        rules: &[&str],
        since: [Timestamp; 3],
    ) -> Result<BTreeMap<String, RuleHits>, StoreError> {
        if rules.is_empty() {
            return Ok(BTreeMap::new());
        }
        let names = (0..rules.len()).map(|at| format!("${}", at + since.len() + 1));
        let names = names.collect::<Vec<_>>().join(", ");
        let sums = |number: usize| format!("SUM(CASE WHEN at_ms >= ${number} THEN 1 ELSE 0 END)");
        let [first, second, third] = [1, 2, 3].map(sums);
        // The inner groups are in the order of the index `calls_counts`, which covers them.
        let statement = format!(
            "SELECT rule, CAST(SUM(a) AS BIGINT), CAST(SUM(b) AS BIGINT), CAST(SUM(c) AS BIGINT), \
             CAST(SUM(calls) AS BIGINT) FROM (SELECT rule, {first} AS a, {second} AS b, \
             {third} AS c, COUNT(*) AS calls FROM calls WHERE rule IN ({names}) \
             GROUP BY at_ms / {QUARTER_MS}, outcome, rule) AS quarters GROUP BY rule"
        );
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for at in since {
            query = query.bind(at.as_millisecond());
        }
        for rule in rules {
            query = query.bind((*rule).to_owned());
        }
        let mut hits = BTreeMap::new();
        for row in query.fetch_all(&self.pool).await? {
            let count = |at: usize| row.try_get::<i64, _>(at).map(i64::unsigned_abs);
            let since = [count(1)?, count(2)?, count(3)?];
            hits.insert(row.try_get(0)?, RuleHits { since, all: count(4)? });
        }
        Ok(hits)
    }

    /// Returns the time of the oldest call that is retained.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn oldest_call_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let oldest = sqlx::query("SELECT at_ms FROM calls ORDER BY id LIMIT 1");
        let row = oldest.fetch_optional(&self.pool).await?;
        row.map(|row| time(&row, 0)).transpose()
    }

    /// Counts the arms of the newest calls that a rule decided, up to `most` of them. Calls of the last quarter
    /// of an hour come in no order.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn arm_counts(&self, rule: &str, most: usize) -> Result<ArmCounts, StoreError> {
        // Along the index `calls_counts`, whose rule is compared before a row is read.
        let statement = format!(
            "SELECT at_ms, details, agent FROM calls WHERE rule = $1 \
             ORDER BY at_ms / {QUARTER_MS} DESC LIMIT {most}"
        );
        let query = sqlx::query(AssertSqlSafe(statement)).bind(rule.to_owned());
        let mut counts = ArmCounts::default();
        for row in query.fetch_all(&self.pool).await? {
            let ArmOfCall { arm: Some(arm) } = json(&row, 1)? else { continue };
            *counts.by_arm.entry(arm).or_default() += 1;
            if let Some(agent) = row.try_get(2)? {
                *counts.by_agent.entry(agent).or_default() += 1;
            }
            counts.calls += 1;
            let at = time(&row, 0)?;
            counts.oldest = Some(counts.oldest.map_or(at, |oldest| oldest.min(at)));
        }
        Ok(counts)
    }
}
