//! Checks a parsed table and builds the rule set: resolves names, parses patterns and templates, and
//! reports every problem.
//!
//! Definitions come first, wherever they are in the files; then the rules, chunk by chunk; then the rows
//! of the lists, of which only the columns in use are kept.

mod additions;
mod columns;
mod conditions;
pub(crate) mod context;
mod definitions;
mod lists;
mod locations;
mod outcome;
mod reporter;
mod rule;
mod test;
mod unreachable;

use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use super::load::chunks::{CHUNK_BYTES, Chunk, ChunkKind, split_chunks};
use super::load::files::TableFiles;
use super::load::raw::{RawDefinitions, parse};
use super::model::lists::Lists;
use super::model::name_index::NameIndex;
use super::{Action, Agent, CheckContext, Dates, Hours, Index, Progress, Rule, RuleSet, Test};
use crate::diagnostics::{Diagnostic, Location, Report, Severity, SourceFile};

use definitions::UsageTracker;
use lists::OpenList;
use reporter::Reporter;

pub use locations::RuleLocations;

/// Result of a check. The table must not be used if the report has errors.
pub(super) struct Checked {
    pub(super) table: RuleSet,
    pub(super) tests: Vec<Test>,
    pub(super) locations: RuleLocations,
}

/// Checks a table. Problems go into the report; with errors, the returned table must not be used.
pub(super) fn check(
    files: &[Arc<SourceFile>],
    context: &CheckContext,
    table_files: &mut TableFiles,
    report: &mut Report,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Checked {
    let mut checker = Checker::new(files, context, report);
    let pieces: Vec<_> = files.iter().map(|file| split_chunks(&file.text, CHUNK_BYTES)).collect();
    let houses = checker.houses(files, &pieces);
    let readable = houses.is_some();
    let mut house_of_files = checker.house(houses.unwrap_or_default(), table_files);
    checker.rules(files, &pieces, &mut house_of_files, progress);
    checker.rows(progress);
    let tests = checker.tests(files, &pieces, house_of_files);
    checker.remove_disabled_rules();
    checker.finish(readable, progress);
    checker.checked(files, tests)
}

struct Checker<'r> {
    reporter: Reporter<'r>,
    context: &'r CheckContext,
    zone: Option<TimeZone>,
    /// Whether a missing zone needs no report: it is invalid, or has been reported.
    zone_reported: bool,
    agents: Vec<Agent>,
    agents_by_name: NameIndex,
    /// Whether the table has no `[agents]`, so that rules contain raw ids.
    any_agent: bool,
    lists: Lists,
    open_lists: Vec<OpenList>,
    dates: Vec<Arc<Dates>>,
    hours: Vec<Hours>,
    /// Definitions, and whether a rule uses them.
    agents_used: UsageTracker,
    dates_used: UsageTracker,
    hours_used: UsageTracker,
    rules: Vec<Rule>,
    rules_by_name: NameIndex,
    places: RuleLocations,
    /// For each rule, whether it has an error.
    invalid: Vec<bool>,
    /// Indexes of disabled rules.
    off: Vec<usize>,
    /// Number of rules, including disabled ones.
    written: usize,
    /// Location of the last rule.
    last: Option<Location>,
    /// Indexes of the rules without errors: `continue` rules, and deciding rules.
    indexes: (Index, Index),
    /// Rules that take their agent from a column of a list.
    said: Vec<definitions::AgentColumnUse>,
}

impl<'r> Checker<'r> {
    fn new(
        files: &[Arc<SourceFile>],
        context: &'r CheckContext,
        report: &'r mut Report,
    ) -> Checker<'r> {
        let mut reporter = Reporter::new(report);
        files.first().into_iter().for_each(|file| reporter.set_file(file));
        Checker {
            reporter,
            context,
            zone: None,
            zone_reported: false,
            agents: Vec::new(),
            agents_by_name: NameIndex::default(),
            any_agent: true,
            lists: Lists::default(),
            open_lists: Vec::new(),
            dates: Vec::new(),
            hours: Vec::new(),
            agents_used: UsageTracker::default(),
            dates_used: UsageTracker::default(),
            hours_used: UsageTracker::default(),
            rules: Vec::new(),
            rules_by_name: NameIndex::default(),
            places: RuleLocations::default(),
            invalid: Vec::new(),
            off: Vec::new(),
            written: 0,
            last: None,
            indexes: Default::default(),
            said: Vec::new(),
        }
    }

    /// Parses the definitions of all files. Returns `None` if some of them are not TOML.
    fn houses(
        &mut self,
        files: &[Arc<SourceFile>],
        pieces: &[Vec<Chunk>],
    ) -> Option<Vec<(Arc<SourceFile>, RawDefinitions)>> {
        let mut houses = Vec::new();
        let mut readable = true;
        for (file, pieces) in files.iter().zip(pieces) {
            for piece in pieces.iter().filter(|piece| piece.kind == ChunkKind::Definitions) {
                match parse::definitions(file, &piece.span, self.reporter.report) {
                    Some(house) => houses.push((file.clone(), house)),
                    None => readable = false,
                }
            }
        }
        readable.then_some(houses)
    }

    fn rules(
        &mut self,
        files: &[Arc<SourceFile>],
        pieces: &[Vec<Chunk>],
        houses: &mut [(Arc<SourceFile>, RawDefinitions)],
        progress: &mut dyn FnMut(Progress<'_>),
    ) {
        // Each house is a piece; there are none when one of them cannot be read.
        let mut houses = houses.iter_mut();
        let whole = files.iter().map(|file| file.text.len()).sum();
        let mut read = 0;
        for (file, pieces) in files.iter().zip(pieces) {
            self.reporter.set_file(file);
            for piece in pieces {
                match piece.kind {
                    ChunkKind::Definitions => {
                        let rules =
                            houses.next().map(|(_, house)| std::mem::take(&mut house.rules));
                        rules.into_iter().flatten().for_each(|rule| self.rule(&rule));
                    }
                    ChunkKind::Rules => {
                        for rule in self.reporter.parse_chunk(&piece.span, parse::rules) {
                            self.rule(&rule);
                        }
                    }
                    ChunkKind::Tests => {}
                }
                read += piece.span.len();
                progress(Progress::Reading(read, whole));
            }
        }
    }

    /// Removes the disabled rules, which have been checked.
    fn remove_disabled_rules(&mut self) {
        self.written = self.rules.len();
        self.last = self.written.checked_sub(1).map(|last| self.places.of(last));
        let mut off = std::mem::take(&mut self.off).into_iter().peekable();
        let is_on: Vec<bool> =
            (0..self.rules.len()).map(|at| off.next_if_eq(&at).is_none()).collect();
        retain_flagged(&mut self.rules, &is_on);
        self.places.retain(&is_on);
        retain_flagged(&mut self.invalid, &is_on);
    }

    fn tests(
        &mut self,
        files: &[Arc<SourceFile>],
        pieces: &[Vec<Chunk>],
        houses: Vec<(Arc<SourceFile>, RawDefinitions)>,
    ) -> Vec<Test> {
        let mut tests = Vec::new();
        for (file, house) in houses {
            self.reporter.set_file(&file);
            tests.extend(house.tests.iter().filter_map(|test| self.test(test)));
        }
        for (file, pieces) in files.iter().zip(pieces) {
            self.reporter.set_file(file);
            for piece in pieces.iter().filter(|piece| piece.kind == ChunkKind::Tests) {
                for test in self.reporter.parse_chunk(&piece.span, parse::tests) {
                    tests.extend(self.test(&test));
                }
            }
        }
        tests
    }

    /// Reports problems that concern the table as a whole.
    fn finish(&mut self, readable: bool, progress: &mut dyn FnMut(Progress<'_>)) {
        if !readable {
            // The definitions are unknown, so other errors would be misleading.
            return self.reporter.report.retain(|mistake| mistake.code == "syntax");
        }
        if self.reporter.is_incomplete() {
            let whole = |mistake: &Diagnostic| {
                mistake.severity == Severity::Error && mistake.code != "unknown-rule"
            };
            return self.reporter.report.retain(whole);
        }
        if self.reporter.report.error_count() == 0 {
            self.warn_if_no_catch_all();
        }
        if self.reporter.report.error_count() == 0 {
            self.unused();
        }
        progress(Progress::Comparing);
        self.indexes = indexes(&self.rules, |at| !self.invalid[at]);
        let (adding, deciding) = &self.indexes;
        let rules = unreachable::RuleIndex {
            rules: &self.rules,
            invalid: &self.invalid,
            lists: &self.lists,
            places: &self.places,
            deciding,
            adding,
        };
        unreachable::look_for(&rules, self.reporter.report);
    }

    fn warn_if_no_catch_all(&mut self) {
        if self.written == 0 {
            let message = "the table has no rules".to_owned();
            let help = "the smallest table is one [[rule]] with a `name` and an `agent`";
            self.reporter.error("no-rules", &(0..0), message).help(help);
        } else if self.rules.is_empty() {
            let message = "all rules are disabled, so the platform's own agent keeps every call";
            self.reporter.report.warning("no-rule-for-everyone", self.last.clone(), message);
        } else if !self.rules.iter().any(matches_every_call) {
            let message = "no rule matches every call; the platform's own agent keeps the others";
            let last = self.last.clone();
            self.reporter
                .report
                .warning("no-rule-for-everyone", last, message)
                .help("add a last rule that has only a `name` and an outcome");
        }
    }

    fn checked(self, files: &[Arc<SourceFile>], tests: Vec<Test>) -> Checked {
        let mut digest = Sha256::new();
        files.iter().for_each(|file| digest.update(file.text.as_bytes()));
        self.open_lists.iter().for_each(|list| digest.update(list.digest));
        let (adding, deciding) = self.indexes;
        let table = RuleSet {
            agents: self.agents,
            rules: self.rules,
            lists: self.lists,
            hours: self.hours,
            dates: self.dates,
            zone: self.zone.unwrap_or(TimeZone::UTC),
            fingerprint: hex::encode(&digest.finalize()[..6]),
            deciding_index: deciding,
            continuing_index: adding,
            agents_by_name: self.agents_by_name,
            raw_agent_ids: self.any_agent,
        };
        Checked { table, tests, locations: self.places }
    }

    /// Resolves a path relative to the file that contains it.
    fn resolve_path(&self, path: &str) -> std::path::PathBuf {
        let folder = Path::new(&self.reporter.file.path).parent();
        folder.map_or_else(|| path.into(), |folder| folder.join(path))
    }
}

/// Retains the elements whose flag is set.
fn retain_flagged<T>(all: &mut Vec<T>, flags: &[bool]) {
    let mut flags = flags.iter();
    all.retain(|_| flags.next().is_some_and(|flag| *flag));
}

/// Builds the indexes of the `continue` rules and of the deciding rules.
fn indexes(rules: &[Rule], wanted: impl Fn(usize) -> bool) -> (Index, Index) {
    let of = |continues: bool| {
        let numbered = rules.iter().enumerate();
        let those = numbered
            .filter(|(at, rule)| (rule.action == Action::Continue) == continues && wanted(*at));
        Index::new(those.map(|(at, rule)| (at as u32, &rule.to, &rule.from)))
    };
    (of(true), of(false))
}

fn matches_every_call(rule: &Rule) -> bool {
    let anything = rule.to.is_anything() && rule.from.is_anything() && rule.conditions.is_none();
    anything && rule.action != Action::Continue
}
