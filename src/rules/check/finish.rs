//! Problems of a table as a whole, and its rule set.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::definitions::Definitions;
use super::locations::{DefinitionLocations, RuleLocations};
use super::reporter::Reporter;
use super::required_variables::RequiredVariables;
use super::rows::FilledLists;
use super::rules::{EnabledRules, Indexes};
use super::sources::{Origins, selects_agents};
use super::unreachable::{RuleComparison, UnreachableRule, warn_unreachable};
use crate::diagnostics::SourceFile;
use crate::domain::facts::{LookupId, LookupSet};
use crate::rules::model::name_index::NameIndex;
use crate::rules::{Agent, CheckContext, NamedSplit, Progress, Rule, RuleSet};

/// A table of which every part has been checked.
pub(super) struct CheckedParts {
    pub(super) definitions: Definitions,
    pub(super) lists: FilledLists,
    pub(super) rules: EnabledRules,
}

/// Rule set of a table, and what else is known about its rules.
pub(super) struct FinishedTable {
    pub(super) table: RuleSet,
    pub(super) locations: RuleLocations,
    pub(super) definitions: DefinitionLocations,
    pub(super) unreachable: Vec<UnreachableRule>,
}

impl CheckedParts {
    /// Reports problems of the table as a whole, and builds its rule set. If parts of the table could not
    /// be parsed, the rule set is never used and has no indexes.
    pub(super) fn finish(
        self,
        files: &[Arc<SourceFile>],
        context: &CheckContext,
        reporter: &mut Reporter<'_>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> FinishedTable {
        let (mut indexes, mut unreachable) = (Indexes::default(), Vec::new());
        if reporter.discard_consequences() {
            self.warn(files, context, reporter);
            progress(Progress::Comparing);
            indexes = Indexes::new(&self.rules);
            let (enabled, lists) = (&self.rules, &self.lists.lists);
            let origins = &Origins::new(context);
            let comparison = RuleComparison { enabled, lists, indexes: &indexes, origins };
            unreachable = warn_unreachable(&comparison, reporter.report);
        }
        let fingerprint = self.fingerprint(files);
        let CheckedParts { definitions, lists, rules } = self;
        let splits = definitions.splits.all;
        let lookups = lookups_of(&rules.rules, &splits);
        let names = |names: Vec<&str>| NameIndex::of(&names);
        let table = RuleSet {
            hours_by_name: names(definitions.hours.iter().map(|hours| &*hours.name).collect()),
            dates_by_name: names(definitions.dates.iter().map(|dates| &*dates.name).collect()),
            splits_by_name: names(splits.iter().map(|split| &*split.name).collect()),
            splits,
            history: definitions.lookups.history,
            live_lists: lists.live,
            lookups: definitions.lookups.all,
            uses_lookups: !lookups.is_empty(),
            uses_history: lookups.contains(LookupId::HISTORY),
            zone: definitions.zone.get(),
            country: definitions.country,
            has_required_variables: definitions.agents.have_required_variables(),
            agents: definitions.agents.all,
            agents_by_name: definitions.agents.by_name,
            raw_agent_ids: definitions.agents.raw_ids,
            hours: definitions.hours,
            dates: definitions.dates,
            lists: lists.lists,
            rules: rules.rules,
            deciding_index: indexes.deciding,
            continuing_index: indexes.continuing,
            fingerprint,
        };
        let definitions = DefinitionLocations {
            agents: definitions.agents.usage.into_locations(),
            hours: definitions.hours_usage.into_locations(),
            dates: definitions.dates_usage.into_locations(),
            splits: definitions.splits.usage.into_locations(),
            lookups: definitions.lookups.usage.into_locations(),
            lists: lists.locations.into_iter().map(Some).collect(),
        };
        FinishedTable { table, locations: rules.locations, definitions, unreachable }
    }

    fn warn(&self, files: &[Arc<SourceFile>], context: &CheckContext, reporter: &mut Reporter<'_>) {
        if reporter.report.error_count() == 0 {
            files.last().into_iter().for_each(|file| reporter.set_file(file));
            self.rules.check_catch_all(reporter);
        }
        if reporter.report.error_count() == 0 {
            let agents = &self.definitions.agents;
            let of_columns = &self.lists.agents_of_columns;
            RequiredVariables { agents, of_columns, context }
                .warn_unset(&self.rules, reporter.report);
            self.warn_unused(context, reporter);
        }
    }

    /// Warns of definitions that no rule uses.
    fn warn_unused(&self, context: &CheckContext, reporter: &mut Reporter<'_>) {
        let CheckedParts { definitions, lists, .. } = self;
        let report = &mut reporter.report;
        for (agent, location) in definitions.agents.usage.unused() {
            let agent = &definitions.agents.all[agent];
            if gives_variables(agent, context) {
                continue;
            }
            let name = &agent.name;
            let message = format!("no rule uses the agent `{name}`");
            report.warning("unused-agent", Some(location), message);
        }
        for (dates, location) in definitions.dates_usage.unused() {
            let message = format!("nothing uses the dates `{}`", definitions.dates[dates].name);
            report.warning("unused-dates", Some(location), message);
        }
        for (hours, location) in definitions.hours_usage.unused() {
            let message = format!("no rule uses the hours `{}`", definitions.hours[hours].name);
            report.warning("unused-hours", Some(location), message);
        }
        for (lookup, location) in definitions.lookups.usage.unused() {
            let name = &definitions.lookups.all[lookup].name;
            report.warning(
                "unused-lookup",
                Some(location),
                format!("no rule uses the look-up `{name}`"),
            );
        }
        for (split, location) in definitions.splits.usage.unused() {
            let message =
                format!("no rule uses the split `{}`", definitions.splits.all[split].name);
            report.warning("unused-split", Some(location), message);
        }
        for (list, location) in &lists.unused {
            let message = format!("no rule uses the list `{}`", lists.lists.list(*list).name);
            report.warning("unused-list", Some(location.clone()), message);
        }
    }

    /// Returns a hash of all files. If there are several, it covers their names and lengths, too: a rule
    /// that moves from one to the next changes it.
    fn fingerprint(&self, files: &[Arc<SourceFile>]) -> String {
        let mut digest = Sha256::new();
        for file in files {
            if files.len() > 1 {
                // Not the folder, which differs between instances.
                let name = file.path.rsplit('/').next().unwrap_or_default();
                digest.update((name.len() as u64).to_be_bytes());
                digest.update(name.as_bytes());
                digest.update((file.text.len() as u64).to_be_bytes());
            }
            digest.update(file.text.as_bytes());
        }
        self.lists.digests.iter().for_each(|list| digest.update(list));
        self.definitions.date_digests.iter().for_each(|file| digest.update(file));
        hex::encode(&digest.finalize()[..6])
    }
}

/// Returns the look-ups that rules use in conditions or values.
fn lookups_of(rules: &[Rule], splits: &[NamedSplit]) -> LookupSet {
    let lookups =
        rules.iter().map(|rule| rule.lookups_of_conditions().union(rule.lookups_of_values(splits)));
    lookups.fold(LookupSet::default(), LookupSet::union)
}

/// Returns whether an agent that no rule selects has a use nevertheless: a platform whose replies cannot select it
/// selects it itself, and its calls then receive the variables that it requires.
fn gives_variables(agent: &Agent, context: &CheckContext) -> bool {
    if agent.required_variables.is_empty() {
        return false;
    }
    let platforms = context.dialects.iter().map(|dialect| dialect.platform());
    platforms
        .filter(|platform| !selects_agents(*platform, &context.dialects))
        .any(|platform| agent.id_at(platform).is_some() && context.may_have_source_at(platform))
}

/// Help for a table whose rules leave some calls out.
const LAST_RULE: &str = "add a last rule without conditions: [[rule]], name = \"everyone else\", and \
                         agent = \"…\" or, to say that this is intended, keep = true";

impl EnabledRules {
    /// Reports a table without rules, and warns if some calls match no rule.
    fn check_catch_all(&self, reporter: &mut Reporter<'_>) {
        let Some(last) = &self.last_location else {
            let message = "the table has no rules".to_owned();
            let help = "the smallest table is one [[rule]] with a `name` and an `agent`";
            reporter.error("no-rules", &(0..0), message).help(help);
            return;
        };
        let last = Some(last.clone());
        if self.rules.is_empty() {
            let message = "all rules are disabled, so the platform's own agent keeps every call";
            reporter.report.warning("no-rule-for-everyone", last, message);
        } else if !self.rules.iter().any(Rule::matches_every_call) {
            let message = "no rule matches every call; the platform's own agent keeps the others";
            reporter.report.warning("no-rule-for-everyone", last, message).help(LAST_RULE);
        }
    }
}
