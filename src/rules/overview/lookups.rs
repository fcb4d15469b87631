//! Look-ups, and the rules that need them.

use super::words::url_start;
use super::{Overview, Page, PageRequest, Place, RulesUsing, page};
use crate::domain::facts::LookupId;
use crate::rules::LookupBackend;
use crate::rules::places::DefinitionKind;

/// A look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupEntry {
    /// Name.
    pub name: String,
    /// Place of the definition.
    pub place: Option<Place>,
    /// What is asked: the start of a URL, or where the URL of a database is.
    pub target: String,
    /// Longest time for which a call waits, in milliseconds.
    pub timeout_ms: u128,
    /// Rules that need its answer.
    pub used_by: RulesUsing,
}

impl Overview<'_> {
    /// Returns look-ups in the order of the table.
    pub fn lookups(&self, request: PageRequest<'_>) -> Page<LookupEntry> {
        let mut uses = self.rules_by_lookup();
        let all = self.table.lookups.iter().enumerate();
        page(
            request,
            all,
            |(_, lookup)| &lookup.name,
            |(index, lookup)| {
                let target = match &lookup.backend {
                    LookupBackend::Http(http) => {
                        format!("{} {}", http.method.as_str(), url_start(&http.url))
                    }
                    LookupBackend::Sql(sql) => format!("database of {}", sql.database),
                };
                LookupEntry {
                    name: lookup.name.to_string(),
                    place: self.place_of(DefinitionKind::Lookup, index),
                    target,
                    timeout_ms: lookup.timeout.as_millis(),
                    used_by: std::mem::take(&mut uses[index]),
                }
            },
        )
    }

    /// Returns the rules that need each look-up.
    fn rules_by_lookup(&self) -> Vec<RulesUsing> {
        let splits = &self.table.splits;
        self.rules_by(self.table.lookups.len(), |rule| {
            let needed = rule.lookups_of_conditions().union(rule.lookups_of_values(splits));
            needed.iter().filter_map(LookupId::position).collect()
        })
    }
}
