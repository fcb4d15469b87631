//! Lists that live elsewhere, for commands: fetched once for `check`, and before `serve` answers calls.

use std::sync::Arc;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::output::print_message;
use crate::domain::secret::SecretSource;
use crate::live_lists::{confirmed_at, fetch_new, fetch_text};
use crate::rules::{LiveList, LoadedTable, Replacements};

/// Lists without a copy that were fetched once, to check a table.
#[derive(Default)]
pub(super) struct FetchedOnce {
    /// The answers, in place of the copies.
    pub(super) texts: Replacements,
    /// Each list with the number of its rows, or what went wrong.
    results: Vec<(Box<str>, Result<usize, String>)>,
}

/// Fetches the lists of a table that have no copy, without keeping the answers.
pub(super) fn fetch_once(
    loaded: Option<&LoadedTable>,
    secrets: &dyn SecretSource,
) -> anyhow::Result<FetchedOnce> {
    let mut fetched = FetchedOnce::default();
    let missing = loaded.map(|loaded| loaded.missing_copies.as_slice()).unwrap_or_default();
    if missing.is_empty() {
        return Ok(fetched);
    }
    let runtime = Runtime::new()?;
    let fetches = missing.iter().map(|list| fetch_text(list, secrets));
    let answers = runtime.block_on(join_all(fetches));
    for (list, answer) in missing.iter().zip(answers) {
        let result = match answer {
            Ok((text, rows)) => {
                fetched.texts.add(list.copy.clone(), Some(text));
                Ok(rows)
            }
            Err(reason) => Err(reason.problem()),
        };
        fetched.results.push((list.name.clone(), result));
    }
    Ok(fetched)
}

impl FetchedOnce {
    /// Returns whether an answer can be used.
    pub(super) fn has_texts(&self) -> bool {
        self.results.iter().any(|(_, result)| result.is_ok())
    }

    /// Returns a line for each list of a table: where its rows come from, and how old they are.
    pub(super) fn describe(&self, lists: &[Arc<LiveList>], now: Timestamp) -> Vec<String> {
        let lines = lists.iter().map(|list| {
            let name = &list.name;
            match (self.result(name), age(list, now)) {
                (Some(Ok(rows)), _) => {
                    format!("list `{name}` has no copy, and was fetched once: {rows} rows")
                }
                (Some(Err(problem)), _) => {
                    format!("list `{name}` has no copy, and cannot be fetched: {problem}")
                }
                (None, Some(age)) => format!("list `{name}` is a copy, {age} seconds old"),
                (None, None) if list.copy.exists() => {
                    format!("list `{name}` is a copy of unknown age")
                }
                (None, None) => format!("list `{name}` has no copy, and was not fetched"),
            }
        });
        lines.collect()
    }

    /// Returns the same as [`FetchedOnce::describe`], as JSON.
    pub(super) fn to_json(&self, lists: &[Arc<LiveList>], now: Timestamp) -> Value {
        let lists = lists.iter().map(|list| {
            let result = self.result(&list.name);
            json!({
                "list": list.name,
                "age_seconds": age(list, now),
                "fetched": result.is_some_and(Result::is_ok),
                "problem": result.and_then(|result| result.as_ref().err()),
            })
        });
        lists.collect()
    }

    fn result(&self, list: &str) -> Option<&Result<usize, String>> {
        let found = self.results.iter().find(|(name, _)| **name == *list);
        found.map(|(_, result)| result)
    }
}

fn age(list: &LiveList, now: Timestamp) -> Option<i64> {
    confirmed_at(&list.copy).map(|at| now.duration_since(at).as_secs())
}

/// Fetches the lists that have no copy, before the service answers calls. Returns whether one has a copy
/// now; what goes wrong is printed to standard error.
pub(super) fn fetch_before_start(
    runtime: &Runtime,
    missing: &[Arc<LiveList>],
    secrets: &dyn SecretSource,
    now: Timestamp,
) -> bool {
    for (list, reason) in runtime.block_on(fetch_new(missing, secrets, now)) {
        let (name, problem) = (&list.name, reason.problem());
        print_message(format!(
            "list `{name}` is empty: it has no copy and cannot be fetched: {problem}\n"
        ));
    }
    missing.iter().any(|list| list.copy.exists())
}
