//! Checks a parsed table and builds the rule set: resolves names, parses patterns and templates, and
//! reports every problem.
//!
//! Definitions come first, wherever they are in the files; then the rules, chunk by chunk; then the rows
//! of the lists, of which only the columns in use are kept; then the tests. Each phase takes the results
//! of the phases before it, so they cannot run in another order.

mod additions;
mod agents;
mod capabilities;
mod columns;
mod conditions;
pub(crate) mod context;
mod dates;
mod definitions;
mod expectations;
mod finish;
pub(crate) mod guards;
mod lists;
mod live_lists;
pub(crate) mod live_rows;
mod locations;
mod lookup_names;
mod lookup_times;
mod lookups;
mod named;
mod opening_times;
mod outcome;
mod patterns;
mod raw_table;
mod reporter;
mod required_variables;
mod row_problems;
mod rows;
mod rule;
mod rules;
mod scopes;
mod scopes_compared;
mod sent_facts;
mod sessions;
mod sources;
mod speech;
mod table_tests;
mod transfer;
mod unreachable;
mod unusual_ids;
mod usage;
mod values;
mod where_rows;
mod whole_countries;

use std::sync::Arc;

use super::load::files::TableFiles;
use super::{CheckContext, LiveList, Progress, RuleSet, Test};
use crate::diagnostics::{Report, SourceFile};

use definitions::Definitions;
use finish::{CheckedParts, FinishedTable};
use guards::ShrunkList;
use lists::OpenLists;
use raw_table::RawTable;
use reporter::Reporter;
use rows::ListFiller;
use rules::RuleChecker;
use scopes_compared::ScopeComparison;
use sources::Origins;
use table_tests::TestChecker;

pub use locations::{DefinitionLocations, RuleLocations};
pub use unreachable::UnreachableRule;

/// Result of a check. The table must not be used if the report has errors.
pub(super) struct CheckedTable {
    pub(super) table: RuleSet,
    pub(super) tests: Vec<Test>,
    pub(super) locations: RuleLocations,
    pub(super) definitions: DefinitionLocations,
    pub(super) unreachable: Vec<UnreachableRule>,
    pub(super) shrunk_lists: Vec<ShrunkList>,
    pub(super) live_lists: Vec<Arc<LiveList>>,
    pub(super) missing_copies: Vec<Arc<LiveList>>,
}

/// Checks a table. Problems go into the report; with errors, the returned table must not be used.
pub(super) fn check(
    files: &[Arc<SourceFile>],
    context: &CheckContext,
    table_files: &mut TableFiles,
    report: &mut Report,
    progress: &mut dyn FnMut(Progress<'_>),
) -> CheckedTable {
    let reporter = &mut Reporter::new(report, context);
    let mut raw = RawTable::parse(files, reporter);
    let mut definitions = Definitions::new(&mut raw, context, table_files, reporter);
    let mut lists = OpenLists::open(&mut raw, definitions.country, context, table_files, reporter);
    lookup_names::check(&definitions.lookups, &lists, reporter);
    let rules = RuleChecker::new(context, &mut definitions, &mut lists, reporter);
    let mut rules = rules.check(&mut raw, progress);
    let filler = ListFiller { context, rules: &rules, definitions: &mut definitions, reporter };
    let mut lists = filler.fill(lists, progress);
    let shrunk_lists = std::mem::take(&mut lists.shrunk);
    let missing_copies = std::mem::take(&mut lists.missing_copies);
    let live_lists = lists.live.clone();
    let origins = Origins::new(context);
    let outside = ScopeComparison::new(&rules, &lists.lists, origins, reporter).check();
    outside.into_iter().for_each(|rule| rules.invalid[rule] = true);
    let tests = TestChecker {
        context,
        definitions: &definitions,
        rules: &rules,
        lists: &lists.lists,
        scope: None,
        reporter,
    };
    let tests = tests.check(raw);
    unusual_ids::warn_unusual(&definitions.agents, context, reporter.report);
    let rules = rules.into_enabled();
    lookup_times::warn_no_history(&definitions, &rules, context, reporter);
    lookup_times::warn_over_budget(&definitions, &rules, context, reporter);
    let parts = CheckedParts { definitions, lists, rules };
    let FinishedTable { table, locations, definitions, unreachable } =
        parts.finish(files, context, reporter, progress);
    CheckedTable {
        table,
        tests,
        locations,
        definitions,
        unreachable,
        shrunk_lists,
        live_lists,
        missing_copies,
    }
}
