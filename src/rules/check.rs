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

#[cfg(test)]
mod tests {
    use super::CheckContext;
    use crate::rules::parse;

    #[track_caller]
    fn check(table: &str, code: &str, is_reported: bool) {
        let table = format!("{table}\nagent = \"agent_1\"\n");
        let loaded = parse("rules.toml", table, &CheckContext::default());
        let mut found = loaded.report.diagnostics().iter();
        assert_eq!(found.any(|found| found.code == code), is_reported, "{}", loaded.report);
    }

    #[test]
    fn spaces_behind_a_negation_change_nothing() {
        let closed = "[dates.closed]\nzone = \"Europe/Berlin\"\ndays = [\"2030-12-24\"]\n";
        let rule = "[[rule]]\nname = \"everyone\"\n";
        check(&format!("{closed}{rule}dates = \"! closed\""), "no-zone", false);
        check(&format!("{rule}forwarded_from = \"! withheld\""), "bad-pattern", true);
    }

    #[test]
    fn an_invalid_date_does_not_make_hours_never_open() {
        let hours = "[hours.office]\nopen = { \"2030-13-24\" = \"09:00-12:00\" }\n";
        let rule = "[[rule]]\nname = \"everyone\"\nhours = \"office\"";
        check(&format!("zone = \"UTC\"\n{hours}{rule}"), "bad-time", false);
    }

    #[test]
    fn braces_around_every_value_of_a_call_are_found() {
        for name in ["from", "forwarded_from", "number_id"] {
            let rule =
                format!("[[rule]]\nname = \"all\"\nvariables = {{ a = \"{{{{{name}}}}}\" }}");
            check(&rule, "double-braces", true);
        }
    }

    #[test]
    fn only_the_path_of_a_url_has_no_dots() {
        for (url, is_reported) in [
            ("https://crm.example.com/find?number=${from}&back=/../x", false),
            ("https://crm.example.com/${from}/../x", true),
        ] {
            let lookup = format!("[lookup.crm]\nurl = \"{url}\"\n");
            check(&format!("{lookup}[[rule]]\nname = \"all\""), "bad-url", is_reported);
        }
    }

    #[test]
    fn a_line_with_a_secret_is_not_shown_for_another_mistake() {
        let lookup = "[lookup.crm]\nurl = \"http://127.0.0.1/?token=abc\"\n";
        let loaded = parse("rules.toml", lookup.to_owned(), &CheckContext::default());
        let mut found = loaded.report.diagnostics().iter();
        let found = found.find(|found| found.code == "private-address").unwrap();
        assert!(found.hide_line);
    }

    #[test]
    fn a_table_with_unparsed_parts_is_never_used() {
        let mut table = "[[rule]]\nname = \"all\"\nagent = \"agent_1\"\n".to_owned();
        for number in 0..5_000 {
            table += &format!("[[test]]\nname = \"{number}\"\nexpect = {{ rule = \"gone\" }}\n");
        }
        table += "[[test]]\nname = \n";
        let loaded = parse("rules.toml", table, &CheckContext::default());
        assert!(loaded.table.is_none() && loaded.report.error_count() > 0);
    }
}
