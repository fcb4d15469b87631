//! Splits, with the declared share of each arm.

use super::words::percent;
use super::{Overview, Page, PageRequest, Place, RulesUsing, page};
use crate::rules::places::DefinitionKind;
use crate::rules::{Action, AgentRef, Split};

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
        let splits = rules.filter_map(|(index, rule)| match &rule.action {
            Action::Split(split) => Some((index, rule, &*split.key, Ok(&**split))),
            Action::SplitOfRow(split) => {
                let key = split.key.as_deref().unwrap_or_default();
                Some((index, rule, key, Err(split.name.to_string())))
            }
            Action::Agent(_)
            | Action::Transfer(_)
            | Action::Reject(_)
            | Action::Keep
            | Action::Continue => None,
        });
        page(
            request,
            splits,
            |(_, rule, ..)| &rule.name,
            |(index, rule, key, split)| {
                let (arms, column) = match split {
                    Ok(split) => (self.arms(split), None),
                    Err(column) => (Vec::new(), Some(column)),
                };
                SplitEntry {
                    owner: SplitOwner::Rule,
                    name: rule.name.to_string(),
                    place: self.places.and_then(|places| places.rule(index)),
                    key: key.to_owned(),
                    arms,
                    column,
                    used_by: RulesUsing::default(),
                }
            },
        )
    }

    /// Returns the splits with a name.
    pub fn named_splits(&self, request: PageRequest<'_>) -> Page<SplitEntry> {
        let mut uses = self.rules_by_split();
        let splits = self.table.splits.iter().enumerate();
        page(
            request,
            splits,
            |(_, named)| &named.name,
            |(index, named)| SplitEntry {
                owner: SplitOwner::Name,
                name: named.name.to_string(),
                place: self.place_of(DefinitionKind::Split, index),
                key: named.split.key.to_string(),
                arms: self.arms(&named.split),
                column: None,
                used_by: std::mem::take(&mut uses[index]),
            },
        )
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
