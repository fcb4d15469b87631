//! Resolution of `LIST.column` in a rule: a cell of the matching row.

use super::Checker;
use super::lists::{OpenList, no_column};
use super::rule::RuleNumbers;
use crate::diagnostics::Problem;
use crate::rules::model::lists::{Cell, ListId, Side};
use crate::rules::model::template::ColumnLookup;
use crate::rules::{Lists, NumberPattern};

impl Checker<'_> {
    /// Returns the resolver for a rule with these numbers.
    pub(super) fn in_rule<'c>(&'c mut self, on: RuleNumbers<'_>) -> InRule<'c> {
        let mut matched: Vec<Matched> = Vec::new();
        for (side, numbers) in [(Side::From, on.from), (Side::To, on.to)] {
            for pattern in numbers.any_of() {
                let NumberPattern::List(list, _) = pattern else { continue };
                let always = numbers.any_of().iter().all(|other| other == pattern);
                let known = matched.iter_mut().find(|known| known.list == *list);
                match known {
                    Some(known) if always && !known.always => {
                        *known = Matched { list: *list, side, always }
                    }
                    Some(_) => {}
                    None => matched.push(Matched { list: *list, side, always }),
                }
            }
        }
        let columns = self.open_lists.iter().map(OpenList::columns).collect();
        InRule { lists: &mut self.lists, columns, matched }
    }
}

/// Resolves `LIST.column` in one rule.
pub(super) struct InRule<'c> {
    lists: &'c mut Lists,
    /// Columns of all lists; `None` for a list that could not be read, which has been reported.
    columns: Vec<Option<&'c [String]>>,
    /// Lists that the rule matches on.
    matched: Vec<Matched>,
}

struct Matched {
    list: ListId,
    side: Side,
    /// Whether every call that matches the rule has a row in the list.
    always: bool,
}

impl ColumnLookup for InRule<'_> {
    fn cell(&mut self, list: &str, column: &str) -> Option<Result<(Cell, bool), Problem>> {
        let id = self.lists.find(list)?;
        if let Some(bad) = self.columns[id.index()]
            .and_then(|columns| no_column(&format!("list `{list}`"), columns, column))
        {
            return Some(Err(bad));
        }
        let Some(matched) = self.matched.iter().find(|matched| matched.list == id) else {
            let message = format!("`{list}.{column}`: the rule does not match on @{list}");
            return Some(Err(Problem::new("list-not-matched", message).help(format!(
                "the value comes from the matching row: set from = \"@{list}\" or to = \"@{list}\""
            ))));
        };
        let cell =
            Cell { side: matched.side, list: id, column: self.lists.keep_column(id, column) };
        Some(Ok((cell, matched.always)))
    }

    fn names(&self) -> Vec<String> {
        let of = |matched: &Matched| {
            let name = self.lists.list(matched.list).name.clone();
            let columns = self.columns[matched.list.index()].unwrap_or_default();
            columns.iter().map(move |column| format!("{name}.{column}"))
        };
        self.matched.iter().flat_map(of).collect()
    }
}
