//! The names by which records can be filtered: a mistyped one is an error, not zero calls.

use sqlx::{AssertSqlSafe, Row};

use super::{Filter, InvalidFilter, Store, StoreError};
use crate::diagnostics::nearest;
use crate::rules::{Agent, PlatformIds, RuleSet};
use crate::source::Source;

/// Names in the settings and in the rule table; recorded calls may have others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownNames {
    rules: Vec<String>,
    agents: Vec<String>,
    /// Ids of agents at platforms, each with the agent's name.
    agent_ids: Vec<(String, String)>,
    sources: Vec<String>,
}

/// Error of reading a filter.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// A field of the filter is invalid, or names something unknown.
    #[error(transparent)]
    Invalid(#[from] InvalidFilter),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl KnownNames {
    /// Collects the names; without a table, rules and agents have those of recorded calls only.
    pub fn new<'s>(
        table: Option<&RuleSet>,
        sources: impl IntoIterator<Item = &'s Source>,
    ) -> KnownNames {
        let mut known = KnownNames::default();
        if let Some(table) = table {
            known.rules = table.rules.iter().map(|rule| rule.name.to_string()).collect();
            known.agents = table.agents.iter().map(|agent| agent.name.to_string()).collect();
            known.agent_ids = table.agents.iter().flat_map(ids_with_name).collect();
        }
        known.sources = sources.into_iter().map(|source| source.name.to_string()).collect();
        known
    }

    /// Replaces the id of an agent by the agent's name, unless it is the name of an agent.
    ///
    /// # Errors
    /// Fails with the names if several agents have the id.
    fn resolve_agent(&self, filter: &mut Filter) -> Result<(), InvalidFilter> {
        let Some(wanted) = filter.agent.as_mut() else { return Ok(()) };
        if self.agents.contains(wanted) {
            return Ok(());
        }
        let with_id = self.agent_ids.iter().filter(|(id, _)| id == wanted);
        let mut names: Vec<&str> = with_id.map(|(_, name)| name.as_str()).collect();
        names.dedup();
        match names.as_slice() {
            [] => {}
            [name] => *wanted = (*name).to_owned(),
            names => {
                let names = names.join("`, `");
                let reason = format!("several agents have the id `{wanted}`: `{names}`");
                return Err(InvalidFilter { name: "agent", reason });
            }
        }
        Ok(())
    }

    /// Checks the source of a filter while there are no records, which could have the calls of a source
    /// that the settings no longer have.
    ///
    /// # Errors
    /// Fails with the nearest source if the settings do not have it.
    pub fn check_source(&self, filter: &Filter) -> Result<(), InvalidFilter> {
        match &filter.source {
            Some(wanted) if !self.sources.contains(wanted) => {
                Err(unknown_name("source", wanted, self.sources.iter().map(String::as_str)))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Returns the ids of an agent at platforms, each with its name.
fn ids_with_name(agent: &Agent) -> Vec<(String, String)> {
    let with_name = |id: &str| (id.to_owned(), agent.name.to_string());
    match &agent.ids {
        PlatformIds::Everywhere(id) => vec![with_name(id)],
        PlatformIds::ByPlatform(ids) => ids.iter().map(|(_, id)| with_name(id)).collect(),
    }
}

fn unknown_name<'n>(
    name: &'static str,
    wanted: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> InvalidFilter {
    let help = nearest(wanted, names).map(|near| format!("; did you mean `{near}`?"));
    let help = help.unwrap_or_default();
    let reason =
        format!("no {name} `{wanted}` in the settings, the rules or the recorded calls{help}");
    InvalidFilter { name, reason }
}

impl Store {
    /// Returns whether the names of a filter are names of recorded calls, so that no others are
    /// needed to check them.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn has_names(&self, filter: &Filter) -> Result<bool, StoreError> {
        for (column, name) in
            [("rule", &filter.rule), ("agent", &filter.agent), ("source", &filter.source)]
        {
            if let Some(name) = name
                && !self.has_name(column, name).await?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Checks that the names of a filter exist: in the settings, in the table, or in a record. The id of an agent
    /// of the table becomes the agent's name.
    ///
    /// # Errors
    /// Fails with the nearest name if one does not exist, or when the database returns an error.
    pub async fn check_names(
        &self,
        filter: &mut Filter,
        known: &KnownNames,
    ) -> Result<(), FilterError> {
        if let Some(agent) = &filter.agent
            && !self.has_name("agent", agent).await?
        {
            known.resolve_agent(filter)?;
        }
        for (column, wanted, known) in [
            ("rule", &filter.rule, &known.rules),
            ("agent", &filter.agent, &known.agents),
            ("source", &filter.source, &known.sources),
        ] {
            let Some(wanted) = wanted else { continue };
            if known.contains(wanted) || self.has_name(column, wanted).await? {
                continue;
            }
            let recorded = self.names(column).await?;
            let names = known.iter().chain(&recorded).map(String::as_str);
            return Err(unknown_name(column, wanted, names).into());
        }
        Ok(())
    }

    async fn has_name(&self, column: &str, name: &str) -> Result<bool, StoreError> {
        let statement = format!("SELECT id FROM calls WHERE {column} = $1 LIMIT 1");
        let query = sqlx::query(AssertSqlSafe(statement)).bind(name.to_owned());
        Ok(query.fetch_optional(&self.pool).await?.is_some())
    }

    async fn names(&self, column: &str) -> Result<Vec<String>, StoreError> {
        let statement =
            format!("SELECT DISTINCT {column} FROM calls WHERE {column} IS NOT NULL ORDER BY 1");
        let rows = sqlx::query(AssertSqlSafe(statement)).fetch_all(&self.pool).await?;
        Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
    }
}
