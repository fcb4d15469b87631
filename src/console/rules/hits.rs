//! Hits of rules: a part of the page of the rule table, which is sent after it.

use std::collections::BTreeMap;

use askama::Template;
use jiff::{SignedDuration, Timestamp};

use crate::console::calls::zone;
use crate::console::page::PageError;
use crate::console::state::Console;
use crate::records::RuleHits;
use crate::rules::overview::{OutcomeKind, RuleEntry};

/// Periods for which hits are counted.
const PERIODS: [SignedDuration; 3] = [
    SignedDuration::from_hours(24),
    SignedDuration::from_hours(7 * 24),
    SignedDuration::from_hours(30 * 24),
];

/// Hits of the rules of a page.
pub(super) struct Hits {
    by_rule: BTreeMap<String, RuleHits>,
    /// Date of the oldest call, or why nothing is known.
    since: Result<Option<String>, String>,
}

/// Hits of a rule, as words.
pub(super) enum HitsView {
    /// Calls in 24 hours, 7 days, 30 days, and in all.
    Counted([u64; 3], u64),
    /// No call since this date.
    Never(Option<String>),
    /// The rule only adds, and later rules decide.
    NotCounted,
    /// Nothing is known.
    Unknown,
}

impl Hits {
    /// Counts the hits of rules. If the records cannot be read, nothing is known.
    pub(super) async fn read(console: &Console, rules: &[RuleEntry]) -> Result<Hits, PageError> {
        let unknown = |reason: String| Hits { by_rule: BTreeMap::new(), since: Err(reason) };
        let store = match console.app.recorder().store() {
            Ok(store) => store,
            Err(error) => return Ok(unknown(error.to_string())),
        };
        let enabled = rules.iter().filter(|rule| rule.number.is_some());
        let names: Vec<&str> = enabled.map(|rule| &*rule.name).collect();
        let now = console.app.now();
        let since = PERIODS.map(|age| now.checked_sub(age).unwrap_or(Timestamp::MIN));
        let _turn = console.counting.wait().await;
        let by_rule = store.rule_hits(&names, since).await?;
        let oldest = store.oldest_call_at().await?;
        let zone = zone(console);
        let date = |at: Timestamp| at.to_zoned(zone).strftime("%d %b %Y").to_string();
        Ok(Hits { by_rule, since: Ok(oldest.map(date)) })
    }

    /// Returns the hits of a rule; none for a disabled one.
    pub(super) fn of(&self, rule: &RuleEntry) -> Option<HitsView> {
        let outcome = rule.outcome.as_ref()?;
        if outcome.kind == OutcomeKind::Continue {
            return Some(HitsView::NotCounted);
        }
        let Ok(since) = &self.since else { return Some(HitsView::Unknown) };
        Some(match self.by_rule.get(&rule.name) {
            Some(hits) => HitsView::Counted(hits.since, hits.all),
            None => HitsView::Never(since.clone()),
        })
    }

    /// Returns why nothing is known, if so.
    pub(super) fn problem(&self) -> Option<String> {
        self.since.as_ref().err().cloned()
    }
}

#[derive(Template)]
#[template(path = "rules/hits.html")]
pub(super) struct HitsPart {
    /// Ids of the elements, each with the hits.
    pub(super) rules: Vec<(String, HitsView)>,
    pub(super) problem: Option<String>,
}
