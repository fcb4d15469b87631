//! Look-ups of the rules of a table together: how long they can take, and whether there is a history.

use std::time::Duration;

use super::definitions::Definitions;
use super::reporter::Reporter;
use super::rules::EnabledRules;
use super::sources::can_match_source;
use crate::domain::facts::{LookupId, LookupSet};
use crate::rules::CheckContext;

/// Warns of calls whose look-ups can take longer than the reply may: one after the other, as rules need
/// them.
pub(super) fn warn_over_budget(
    definitions: &Definitions,
    rules: &EnabledRules,
    context: &CheckContext,
    reporter: &mut Reporter<'_>,
) {
    let Definitions { lookups, splits, .. } = definitions;
    let splits = splits.all.as_slice();
    if let (Some(reason), true) = (context.no_history, lookups.uses_history) {
        let message = format!("the caller's history is always unknown: {reason}");
        let first = rules.rules.iter().position(|rule| {
            let needed = rule.lookups_of_conditions().union(rule.lookups_of_values(splits));
            needed.contains(LookupId::HISTORY)
        });
        let location = first.map(|number| rules.locations.get(number));
        reporter
            .report
            .warning("no-history", location, message)
            .help("see `[records]` in the settings");
    }
    for source in &context.sources {
        let mut asked = LookupSet::default();
        let mut total = Duration::ZERO;
        for (number, rule) in rules.rules.iter().enumerate() {
            if !can_match_source(rule, source) {
                continue;
            }
            // Those of the conditions first, then those of the values; each group at the same time.
            for group in [rule.lookups_of_conditions(), rule.lookups_of_values(splits)] {
                let new = group.iter().filter(|id| !asked.contains(*id));
                let timeouts = new.map(|id| lookups.timeout(id));
                total += timeouts.max().unwrap_or_default();
                asked = asked.union(group);
            }
            if total > source.reply_within {
                let message = format!(
                    "the look-ups up to rule `{}` can take {} ms, and source `{}` answers within {} ms",
                    rule.name,
                    total.as_millis(),
                    source.source,
                    source.reply_within.as_millis(),
                );
                reporter
                    .report
                    .warning("lookups-over-budget", Some(rules.locations.get(number)), message)
                    .help(
                        "lower timeout_ms of the look-ups, or raise reply_within_ms of the source",
                    );
                break;
            }
        }
    }
}
