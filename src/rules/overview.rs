//! The rule table as plain data for people: rules in order, agents, lists, hours, dates and splits, with
//! their places in the files. No type of the model leaves this module.
//!
//! Tables can have a million rules, so everything that can be long is returned in pages.

mod agents;
mod dates;
mod hours;
mod lists;
mod lookups;
mod rule_entries;
mod splits;
mod uses;
mod words;

use super::{RuleSet, TablePlaces};

pub use super::places::{Place, SourceText, TextPiece};
pub use agents::{AgentEntry, AgentId, AgentUse};
pub use dates::{DatesEntry, NamedDay};
pub use hours::{DayException, HoursDay, HoursEntry, OpenSpan};
pub use lists::{FoundEntry, ListEntry, ListOrigin};
pub use lookups::LookupEntry;
pub use rule_entries::{Condition, OutcomeKind, RuleEntry, RuleOutcome, RuleState, RuleUses};
pub use splits::{ArmEntry, SplitEntry, SplitOwner};
pub use uses::RulesUsing;

/// A rule table, described for people.
///
/// ```
/// use switchboard::rules::overview::{Overview, PageRequest};
/// use switchboard::rules::{self, CheckContext, TablePlaces};
///
/// let text = "[[rule]]\nname = \"germany\"\nfrom = \"DE\"\nagent = \"agent_berlin\"\n";
/// let loaded = rules::parse("rules.toml", text.to_owned(), &CheckContext::default());
/// let places = TablePlaces::new(&loaded);
/// let table = loaded.table.expect("a valid table");
///
/// let rules = Overview::new(&table, Some(&places)).rules(PageRequest::first());
/// assert_eq!(rules.total, 1);
/// let germany = &rules.items[0];
/// assert_eq!(germany.outcome.as_ref().unwrap().text(), "agent agent_berlin");
/// assert_eq!(germany.place.as_ref().unwrap().line, 2);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Overview<'t> {
    table: &'t RuleSet,
    /// `None` if the places are unknown.
    places: Option<&'t TablePlaces>,
}

/// Part of a long sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest<'q> {
    /// Part of a name, in any case; empty for all.
    pub search: &'q str,
    /// Number of items before the first one.
    pub offset: usize,
    /// Maximum number of items, up to [`PageRequest::MAX_LIMIT`].
    pub limit: usize,
}

/// Items of a page.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Number of items before the first one.
    pub offset: usize,
    /// Number of items of all pages.
    pub total: usize,
}

impl PageRequest<'_> {
    /// Maximum number of items of a page.
    pub const MAX_LIMIT: usize = 500;

    /// Returns a request of the first items.
    pub fn first() -> PageRequest<'static> {
        PageRequest { search: "", offset: 0, limit: PageRequest::MAX_LIMIT }
    }
}

/// A page with one item or none.
impl<T> From<Option<T>> for Page<T> {
    fn from(item: Option<T>) -> Page<T> {
        let items: Vec<T> = item.into_iter().collect();
        Page { offset: 0, total: items.len(), items }
    }
}

impl<'t> Overview<'t> {
    /// Creates the overview of a table. Without `places` it has no lines.
    pub fn new(table: &'t RuleSet, places: Option<&'t TablePlaces>) -> Overview<'t> {
        Overview { table, places }
    }

    /// Returns whether rules have their lines. The lines of a large table are not kept.
    pub fn has_texts(&self) -> bool {
        self.places.is_some_and(TablePlaces::has_texts)
    }

    /// Returns the number of enabled rules that no call can reach.
    pub fn unreachable_count(&self) -> usize {
        self.places.map_or(0, TablePlaces::unreachable_count)
    }

    /// Returns the number of enabled rules.
    pub fn rule_count(&self) -> usize {
        self.table.rules.len()
    }

    /// Returns the number of agents.
    pub fn agent_count(&self) -> usize {
        self.table.agents.len()
    }

    /// Returns whether rules contain raw ids of agents, because the table has no `[agents]`.
    pub fn has_raw_agent_ids(&self) -> bool {
        self.table.raw_agent_ids
    }

    /// Returns the name of the table's time zone.
    pub fn zone(&self) -> &str {
        self.table.zone.iana_name().unwrap_or("UTC")
    }

    /// Returns the fingerprint of the table.
    pub fn fingerprint(&self) -> &str {
        &self.table.fingerprint
    }
}

/// Collects the items of a page: those whose name matches the search. `item` creates those that are shown.
fn page<T, R>(
    request: PageRequest<'_>,
    all: impl Iterator<Item = R>,
    name: impl Fn(&R) -> &str,
    mut item: impl FnMut(R) -> T,
) -> Page<T> {
    let search = NameSearch::new(request.search);
    let limit = request.limit.min(PageRequest::MAX_LIMIT);
    let mut items = Vec::new();
    let mut total = 0;
    for found in all.filter(|found| search.matches(name(found))) {
        if total >= request.offset && items.len() < limit {
            items.push(item(found));
        }
        total += 1;
    }
    Page { items, offset: request.offset, total }
}

/// A text to find in names, in any case.
struct NameSearch {
    lower: String,
}

impl NameSearch {
    fn new(text: &str) -> NameSearch {
        NameSearch { lower: text.trim().to_lowercase() }
    }

    fn matches(&self, name: &str) -> bool {
        let wanted = self.lower.as_bytes();
        let Some(first) = wanted.first() else { return true };
        if !self.lower.is_ascii() || !name.is_ascii() {
            return name.to_lowercase().contains(&self.lower);
        }
        let starts = name.as_bytes().windows(wanted.len());
        let mut starts = starts.filter(|part| part[0].eq_ignore_ascii_case(first));
        starts.any(|part| part.eq_ignore_ascii_case(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_counts_all_and_creates_only_its_own() {
        let names = ["Alpha", "beta", "ALPHABET", "gamma", "alp"];
        let request = PageRequest { search: " alp ", offset: 1, limit: 1 };
        let mut created = 0;
        let found = page(
            request,
            names.into_iter(),
            |name| name,
            |name| {
                created += 1;
                name
            },
        );
        assert_eq!(found, Page { items: vec!["ALPHABET"], offset: 1, total: 3 });
        assert_eq!(created, 1);
    }

    #[test]
    fn names_are_found_in_any_case() {
        for (search, name, matches) in [
            ("", "x", true),
            ("ÄRZTE", "notdienst ärzte", true),
            ("desk", "Front-Desk", true),
            ("desks", "desk", false),
        ] {
            assert_eq!(NameSearch::new(search).matches(name), matches, "{search} in {name}");
        }
    }
}
