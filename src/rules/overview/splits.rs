//! Splits, with the declared share of each arm.

use super::words::percent;
use super::{Overview, Page, PageRequest, Place, RulesUsing, page};
use crate::rules::places::DefinitionKind;
use crate::rules::{Action, AgentRef, Rule, Split};

/// A split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitEntry {
    /// What defines it.
    pub owner: SplitOwner,
    /// Name of the rule or of the split.
    pub name: String,
    /// Place of that name.
    pub place: Option<Place>,
    /// Key that is hashed together with the caller.
    pub key: String,
    /// Arms in order; none if the row of a list names the split.
    pub arms: Vec<ArmEntry>,
    /// Column that names the split: `${stores.test}`.
    pub column: Option<String>,
    /// Rules that use a split with a name.
    pub used_by: RulesUsing,
}

/// What defines a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitOwner {
    /// A rule.
    Rule,
    /// `[splits.NAME]`, for rules and rows of lists.
    Name,
}

/// Arm of a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArmEntry {
    /// Name of the agent, or the template that names one.
    pub agent: String,
    /// The agent is in the table; otherwise a template names it.
    pub is_known: bool,
    /// Declared share, in hundredths of a percent.
    pub hundredths: u16,
    /// Declared share as text: `12.5 %`.
    pub share: String,
}

impl Overview<'_> {
    /// Returns the splits of rules, in order.
    pub fn rule_splits(&self, request: PageRequest<'_>) -> Page<SplitEntry> {
        let rules = self.table.rules.iter().enumerate();
        let rules = rules.filter(|(_, rule)| rule.action.is_split());
        let page = page(
            request,
            rules,
            |(_, rule)| &rule.name,
            |(index, rule)| self.split_of_rule(index, rule),
        );
        Page {
            items: page.items.into_iter().flatten().collect(),
            offset: page.offset,
            total: page.total,
        }
    }

    /// Returns the split of the rule with this name.
    pub fn rule_split(&self, rule: &str) -> Option<SplitEntry> {
        let mut rules = self.table.rules.iter().enumerate();
        let (index, rule) = rules.find(|(_, found)| *found.name == *rule)?;
        self.split_of_rule(index, rule)
    }

    fn split_of_rule(&self, index: usize, rule: &Rule) -> Option<SplitEntry> {
        let (key, arms, column) = match &rule.action {
            Action::Split(split) => (&*split.key, self.arms(split), None),
            Action::SplitOfRow(split) => {
                let key = split.key.as_deref().unwrap_or_default();
                (key, Vec::new(), Some(split.name.to_string()))
            }
            Action::Agent(_)
            | Action::Transfer(_)
            | Action::Reject(_)
            | Action::Keep
            | Action::Continue => return None,
        };
        Some(SplitEntry {
            owner: SplitOwner::Rule,
            name: rule.name.to_string(),
            place: self.places.and_then(|places| places.rule(index)),
            key: key.to_owned(),
            arms,
            column,
            used_by: RulesUsing::default(),
        })
    }

    /// Returns the splits with a name.
    pub fn named_splits(&self, request: PageRequest<'_>) -> Page<SplitEntry> {
        let mut uses = self.rules_by_split();
        let splits = self.table.splits.iter().enumerate();
        page(
            request,
            splits,
            |(_, named)| &named.name,
            |(index, _)| self.named_split_entry(index, std::mem::take(&mut uses[index])),
        )
    }

    /// Returns the split with this name.
    pub fn named_split(&self, name: &str) -> Option<SplitEntry> {
        let index = self.table.splits.iter().position(|named| *named.name == *name)?;
        Some(self.named_split_entry(index, self.rules_by_split().swap_remove(index)))
    }

    fn named_split_entry(&self, index: usize, used_by: RulesUsing) -> SplitEntry {
        let named = &self.table.splits[index];
        SplitEntry {
            owner: SplitOwner::Name,
            name: named.name.to_string(),
            place: self.place_of(DefinitionKind::Split, index),
            key: named.split.key.to_string(),
            arms: self.arms(&named.split),
            column: None,
            used_by,
        }
    }

    pub(super) fn arms(&self, split: &Split) -> Vec<ArmEntry> {
        let mut start = 0;
        let arms = split.arms.iter().map(|arm| {
            let hundredths = arm.end - start;
            start = arm.end;
            ArmEntry {
                agent: self.agent_words(&arm.agent),
                is_known: matches!(arm.agent, AgentRef::Agent(_)),
                hundredths,
                share: percent(hundredths),
            }
        });
        arms.collect()
    }

    pub(super) fn place_of(&self, kind: DefinitionKind, index: usize) -> Option<Place> {
        self.places.and_then(|places| places.definition(kind, index))
    }
}
