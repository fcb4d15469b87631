//! Parts of the model in words, as they are written in a rule.

use std::fmt::Display;

use super::Overview;
use crate::rules::model::lists::Cell;
use crate::rules::model::request_template::RequestTemplate;
use crate::rules::{AgentRef, NumberMatcher, Selector, Template};

/// Maximum number of entries of a condition that are shown.
const MAX_ENTRIES: usize = 20;

impl Overview<'_> {
    /// Returns `stores.city`.
    pub(super) fn cell_name(&self, cell: Cell) -> String {
        let lists = &self.table.lists;
        let column = &lists.kept_columns(cell.list)[cell.column.index()];
        format!("{}.{column}", lists.list(cell.list).name)
    }

    pub(super) fn written(&self, template: &Template) -> String {
        template.written(&|cell| self.cell_name(cell), &|lookup| {
            self.table.lookup_name(lookup).to_owned()
        })
    }

    /// Returns the name of an agent, or the template that names one.
    pub(super) fn agent_words(&self, agent: &AgentRef) -> String {
        match agent {
            AgentRef::Agent(agent) => self.table.agents[*agent as usize].name.to_string(),
            AgentRef::Template(template) => self.written(template),
        }
    }
}

/// Returns `+1900*, !+19005550100`; the first entries of a long condition.
pub(super) fn matcher_words(matcher: &NumberMatcher) -> String {
    entries_words(matcher.any_of(), matcher.none_of())
}

/// Returns the entries of a condition as they are written.
pub(super) fn selector_words<T: Display>(selector: &Selector<T>) -> String {
    entries_words(&selector.any_of, &selector.none_of)
}

fn entries_words<T: Display>(any_of: &[T], none_of: &[T]) -> String {
    let negative = none_of.iter().map(|entry| format!("!{entry}"));
    let all = any_of.iter().map(T::to_string).chain(negative);
    let more = (any_of.len() + none_of.len()).saturating_sub(MAX_ENTRIES);
    let more = (more > 0).then(|| format!("and {more} more"));
    all.take(MAX_ENTRIES).chain(more).collect::<Vec<_>>().join(", ")
}

/// Returns what is written before the first placeholder of a URL, without a query.
pub(super) fn url_start(url: &RequestTemplate) -> &str {
    url.literal_start().split(['?', '#']).next().unwrap_or_default()
}

/// Returns hundredths of a percent as `12.5 %`.
pub(super) fn percent(hundredths: u16) -> String {
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    match rest {
        0 => format!("{whole} %"),
        rest if rest % 10 == 0 => format!("{whole}.{} %", rest / 10),
        rest => format!("{whole}.{rest:02} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_two_decimals_at_most() {
        let shares = [10_000, 1_250, 3, 9_999].map(percent);
        assert_eq!(shares, ["100 %", "12.5 %", "0.03 %", "99.99 %"]);
    }

    #[test]
    fn a_long_condition_is_cut() {
        let many = Selector { any_of: (0..25).collect(), none_of: vec![99] };
        let words = selector_words(&many);
        assert!(words.starts_with("0, 1, ") && words.ends_with("19, and 6 more"), "{words}");
        let few = Selector { any_of: vec![1], none_of: vec![2] };
        assert_eq!(selector_words(&few), "1, !2");
    }
}
