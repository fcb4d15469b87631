//! Look-ups of the rules of a table together: how long they can take, and whether there is a history.

use std::collections::VecDeque;
use std::time::Duration;

use super::definitions::Definitions;
use super::lookups::LookupDefinitions;
use super::reporter::Reporter;
use super::rules::EnabledRules;
use super::sources::can_match_source;
use crate::domain::facts::{LookupId, LookupSet};
use crate::rules::{Action, CheckContext, NamedSplit, Rule};
use crate::source::time_for_lookups;

/// Warns of a history that is always unknown.
pub(super) fn warn_no_history(
    definitions: &Definitions,
    rules: &EnabledRules,
    context: &CheckContext,
    reporter: &mut Reporter<'_>,
) {
    let Some(reason) = context.no_history.filter(|_| definitions.lookups.uses_history) else {
        return;
    };
    let first = rules.rules.iter().position(|rule| {
        let needed =
            rule.lookups_of_conditions().union(rule.lookups_of_values(&definitions.splits.all));
        needed.contains(LookupId::HISTORY)
    });
    let location = first.map(|number| rules.locations.get(number));
    let message = format!("the caller's history is always unknown: {reason}");
    reporter
        .report
        .warning("no-history", location, message)
        .help("set `url` in `[records]` of the settings, as in url = \"sqlite:records.db\"");
}

/// Warns of calls whose look-ups can take longer than the source waits for them: one round after the other,
/// as rules need them.
pub(super) fn warn_over_budget(
    definitions: &Definitions,
    rules: &EnabledRules,
    context: &CheckContext,
    reporter: &mut Reporter<'_>,
) {
    if definitions.lookups.all.is_empty() && !definitions.lookups.uses_history {
        return;
    }
    for source in &context.sources {
        let available = time_for_lookups(source.reply_within);
        let mut rounds = Rounds::new(definitions);
        for (number, rule) in rules.rules.iter().enumerate() {
            if !can_match_source(rule, source, context) {
                continue;
            }
            let total = rounds.until_decided_by(rule);
            if total > available {
                let message = format!(
                    "the look-ups up to rule `{}` can take {} ms; source `{}` waits {} ms for them, since \
                     it answers within {} ms",
                    rule.name,
                    total.as_millis(),
                    source.source,
                    available.as_millis(),
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

/// Look-ups of a call in the order in which rules need them. Those of a round are asked at the same time.
struct Rounds<'d> {
    lookups: &'d LookupDefinitions,
    splits: &'d [NamedSplit],
    asked: LookupSet,
    /// Longest time of the rounds so far.
    total: Duration,
    /// What the `continue` rules so far need next, each once: their conditions, then their values.
    continuing: Vec<VecDeque<LookupSet>>,
}

impl<'d> Rounds<'d> {
    fn new(definitions: &'d Definitions) -> Rounds<'d> {
        Rounds {
            lookups: &definitions.lookups,
            splits: &definitions.splits.all,
            asked: LookupSet::default(),
            total: Duration::ZERO,
            continuing: Vec::new(),
        }
    }

    /// Returns the longest time of the look-ups of a call that this rule decides, or that it continues. The
    /// values of a rule that does not decide are not needed.
    fn until_decided_by(&mut self, rule: &Rule) -> Duration {
        let conditions = rule.lookups_of_conditions();
        let values = rule.lookups_of_values(self.splits);
        if rule.action == Action::Continue {
            let needed = [conditions, values].into_iter().filter(|lookups| !lookups.is_empty());
            let needed: VecDeque<_> = needed.collect();
            if !needed.is_empty() && !self.continuing.contains(&needed) {
                self.continuing.push(needed);
            }
            return self.total_with(LookupSet::default());
        }
        if matches!(rule.action, Action::Reject(_)) {
            self.ask(conditions);
            return self.total;
        }
        if !conditions.is_empty() {
            let beside = self.next_of_continuing();
            self.ask(conditions.union(beside));
        }
        self.total_with(values)
    }

    /// Returns the total after these look-ups, and all those of the `continue` rules so far.
    fn total_with(&self, values: LookupSet) -> Duration {
        let (lookups, splits, asked, total) = (self.lookups, self.splits, self.asked, self.total);
        let continuing = self.continuing.clone();
        let mut rest = Rounds { lookups, splits, asked, total, continuing };
        let mut needed = values;
        loop {
            needed = needed.union(rest.next_of_continuing());
            rest.ask(needed);
            if rest.continuing.iter().all(VecDeque::is_empty) {
                return rest.total;
            }
            needed = LookupSet::default();
        }
    }

    fn next_of_continuing(&mut self) -> LookupSet {
        self.continuing.retain(|needed| !needed.is_empty());
        let next = self.continuing.iter_mut().filter_map(VecDeque::pop_front);
        next.fold(LookupSet::default(), LookupSet::union)
    }

    /// Asks those of the look-ups that have not been asked, at the same time.
    fn ask(&mut self, needed: LookupSet) {
        let new = needed.iter().filter(|id| !self.asked.contains(*id));
        let longest = new.map(|id| self.lookups.timeout(id)).max();
        self.total += longest.unwrap_or_default();
        self.asked = self.asked.union(needed);
    }
}
