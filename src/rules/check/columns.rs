//! Resolution of `LIST.column` in a rule, a cell of the matching row, and of `LOOKUP.field`.

use super::lists::{OpenList, OpenLists, column_problem};
use super::lookups::LookupDefinitions;
use super::rule::RuleNumbers;
use crate::diagnostics::Problem;
use crate::domain::facts::{FieldPath, LookupId};
use crate::rules::model::lists::{Cell, ListId, Side};
use crate::rules::model::template::ColumnLookup;
use crate::rules::{Lists, NumberPattern};

/// Resolves `LIST.column` and `LOOKUP.field` in one rule.
pub(super) struct RuleColumns<'c> {
    lookups: &'c mut LookupDefinitions,
    lists: &'c mut Lists,
    open: &'c [OpenList],
    /// Lists that the rule or its scope matches on.
    matched: Vec<MatchedList>,
}

struct MatchedList {
    id: ListId,
    side: Side,
    /// Every call that matches the rule has a row in the list.
    always: bool,
}

impl<'c> RuleColumns<'c> {
    /// Creates the resolver for a rule with these numbers.
    pub(super) fn new(
        lists: &'c mut OpenLists,
        lookups: &'c mut LookupDefinitions,
        numbers: RuleNumbers<'_>,
    ) -> RuleColumns<'c> {
        let mut matched: Vec<MatchedList> = Vec::new();
        let scope = numbers.scope.into_iter();
        let scope = scope.flat_map(|scope| [(Side::From, &scope.from), (Side::To, &scope.to)]);
        let own = [
            (Side::From, numbers.from),
            (Side::To, numbers.to),
            (Side::ForwardedFrom, numbers.forwarded_from),
        ];
        for (side, numbers) in own.into_iter().chain(scope) {
            for pattern in numbers.any_of() {
                let NumberPattern::List(id, _) = pattern else { continue };
                let always = numbers.any_of().iter().all(|other| other == pattern);
                let list = MatchedList { id: *id, side, always };
                match matched.iter_mut().find(|known| known.id == *id) {
                    Some(known) if always && !known.always => *known = list,
                    Some(_) => {}
                    None => matched.push(list),
                }
            }
        }
        RuleColumns { lookups, lists: &mut lists.lists, open: &lists.open, matched }
    }
}

impl ColumnLookup for RuleColumns<'_> {
    fn cell(&mut self, list: &str, column: &str) -> Option<Result<(Cell, bool), Problem>> {
        let id = self.lists.find(list)?;
        // The columns of an invalid list are unknown.
        if let Some(problem) = self.open[id.index()]
            .columns()
            .and_then(|columns| column_problem(&format!("list `{list}`"), columns, column))
        {
            let title = self.open[id.index()].title_help(column);
            return Some(Err(problem.maybe_help(title)));
        }
        let Some(matched) = self.matched.iter().find(|matched| matched.id == id) else {
            let message = format!("`{list}.{column}`: the rule does not match on @{list}");
            return Some(Err(Problem::new("list-not-matched", message).help(format!(
                "the value comes from the matching row: set from = \"@{list}\" or to = \"@{list}\""
            ))));
        };
        let cell =
            Cell { side: matched.side, list: id, column: self.lists.keep_column(id, column) };
        Some(Ok((cell, matched.always)))
    }

    fn lookup(
        &mut self,
        name: &str,
        field: &str,
    ) -> Option<Result<(LookupId, FieldPath), Problem>> {
        self.lookups.field(name, field)
    }

    fn names(&self) -> Vec<String> {
        self.column_names().chain(self.lookups.names()).collect()
    }
}

impl RuleColumns<'_> {
    /// Iterates over the columns of the lists that the rule matches on, as `LIST.column`.
    pub(super) fn column_names(&self) -> impl Iterator<Item = String> {
        let names_of = |matched: &MatchedList| {
            let name = self.lists.list(matched.id).name.clone();
            let columns = self.open[matched.id.index()].columns().unwrap_or_default();
            columns.iter().map(move |column| format!("{name}.{column}"))
        };
        self.matched.iter().flat_map(names_of)
    }
}
