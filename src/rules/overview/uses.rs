//! Rules that use a definition.

use super::Overview;
use crate::rules::model::lists::ListId;
use crate::rules::{
    Action, Conditions, NamedRef, NumberMatcher, NumberPattern, RefTarget, Rule, Selector,
};

/// Rules that use a definition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RulesUsing {
    /// Names of the first rules.
    pub first: Vec<String>,
    /// Number of rules.
    pub total: usize,
}

/// Maximum number of rules that are named for a definition.
const MAX_NAMED: usize = 20;

impl RulesUsing {
    fn add(&mut self, rule: &str) {
        if self.first.len() < MAX_NAMED {
            self.first.push(rule.to_owned());
        }
        self.total += 1;
    }
}

impl Overview<'_> {
    /// Returns the rules that match on each list.
    pub(super) fn rules_by_list(&self) -> Vec<RulesUsing> {
        self.rules_by(self.table.lists.all().len(), lists_of)
    }

    /// Returns the rules that use each of the hours. Rules whose hours the row of a list names are not among
    /// them.
    pub(super) fn rules_by_hours(&self) -> Vec<RulesUsing> {
        let hours = |conditions: &Conditions| positions(&conditions.hours);
        self.rules_by(self.table.hours.len(), |rule| conditions_of(rule, hours))
    }

    /// Returns the rules that use each of the dates as a condition.
    pub(super) fn rules_by_dates(&self) -> Vec<RulesUsing> {
        let dates = |conditions: &Conditions| positions(&conditions.dates);
        self.rules_by(self.table.dates.len(), |rule| conditions_of(rule, dates))
    }

    /// Returns the rules that use each of the named splits with its own key.
    pub(super) fn rules_by_split(&self) -> Vec<RulesUsing> {
        let splits = &self.table.splits;
        let named = |rule: &Rule| match &rule.action {
            Action::Split(split) => {
                let same = splits.iter().position(|named| *named.name == *split.key);
                same.filter(|named| splits[*named].split.arms == split.arms).into_iter().collect()
            }
            Action::Agent(_)
            | Action::SplitOfRow(_)
            | Action::Transfer(_)
            | Action::Reject(_)
            | Action::Keep
            | Action::Continue => Vec::new(),
        };
        self.rules_by(splits.len(), named)
    }

    pub(super) fn rules_by(
        &self,
        count: usize,
        used: impl Fn(&Rule) -> Vec<usize>,
    ) -> Vec<RulesUsing> {
        let mut all = vec![RulesUsing::default(); count];
        if count == 0 {
            return all;
        }
        for rule in &self.table.rules {
            let mut found = used(rule);
            found.sort_unstable();
            found.dedup();
            found.into_iter().for_each(|index| all[index].add(&rule.name));
        }
        all
    }
}

/// Returns the positions of the lists that a rule or its scope matches on.
fn lists_of(rule: &Rule) -> Vec<usize> {
    lists_in_order(rule).into_iter().map(ListId::index).collect()
}

/// Returns the lists that a rule or its scope matches on, each once.
pub(super) fn lists_in_order(rule: &Rule) -> Vec<ListId> {
    let scope = rule.scope.as_ref();
    let forwarded = rule.conditions.as_ref().map(|conditions| &conditions.forwarded_from);
    let own = [Some(&rule.to), Some(&rule.from), forwarded];
    let scoped = [scope.map(|scope| &scope.to), scope.map(|scope| &scope.from)];
    let mut lists = Vec::new();
    let matchers = own.into_iter().chain(scoped).flatten();
    for pattern in matchers.flat_map(patterns) {
        if let NumberPattern::List(list, _) = pattern
            && !lists.contains(list)
        {
            lists.push(*list);
        }
    }
    lists
}

fn patterns(matcher: &NumberMatcher) -> impl Iterator<Item = &NumberPattern> {
    matcher.any_of().iter().chain(matcher.none_of())
}

fn conditions_of(rule: &Rule, of: impl Fn(&Conditions) -> Vec<usize>) -> Vec<usize> {
    rule.conditions.as_deref().map(of).unwrap_or_default()
}

fn positions(selector: &Selector<NamedRef>) -> Vec<usize> {
    let entries = selector.entries();
    let positions = entries.filter_map(|entry| match entry.target {
        RefTarget::Position(position) => Some(position),
        RefTarget::Cell(_) => None,
    });
    positions.collect()
}
