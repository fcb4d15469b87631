//! Rules of a table, chunk by chunk.

use std::ops::Range;
use std::sync::Arc;

use super::definitions::Definitions;
use super::lists::{NameKind, OpenLists};
use super::locations::{RuleLocations, retain_flagged};
use super::raw_table::RawTable;
use super::reporter::Reporter;
use crate::diagnostics::{Location, SourceFile};
use crate::rules::load::chunks::ChunkKind;
use crate::rules::load::raw::parse;
use crate::rules::model::lists::{Cell, Side};
use crate::rules::model::name_index::NameIndex;
use crate::rules::{Action, CheckContext, Index, Progress, Rule, Scope};

/// Checks rules, and notes the definitions, lists and columns that they use.
pub(super) struct RuleChecker<'c, 'r> {
    pub(super) context: &'c CheckContext,
    pub(super) definitions: &'c mut Definitions,
    pub(super) lists: &'c mut OpenLists,
    pub(super) reporter: &'c mut Reporter<'r>,
    pub(super) checked: CheckedRules,
    /// Scope of the file that is being checked.
    pub(super) file_scope: Option<Arc<Scope>>,
    /// That scope has an error, so nothing is known about the calls that its rules match.
    pub(super) scope_is_invalid: bool,
}

/// Rules that have been checked, including disabled ones.
#[derive(Default)]
pub(super) struct CheckedRules {
    pub(super) rules: Vec<Rule>,
    pub(super) by_name: NameIndex,
    pub(super) locations: RuleLocations,
    /// For each rule, whether it has an error.
    pub(super) invalid: Vec<bool>,
    /// Indexes of disabled rules, ascending.
    pub(super) disabled: Vec<usize>,
    /// Rules that take the name of an agent, hours, dates or a split from a column of a list.
    pub(super) name_columns: Vec<NameColumnUse>,
    /// Scopes of the files that have one.
    pub(super) scopes: Vec<FileScope>,
    /// Keys that a rule and its scope both may have.
    pub(super) scoped_keys: Vec<ScopedKeys>,
}

/// A rule that takes a name from a column of a list.
pub(super) struct NameColumnUse {
    pub(super) rule: usize,
    pub(super) kind: NameKind,
    pub(super) location: Location,
    pub(super) cell: Cell,
}

/// Scope of a file.
pub(super) struct FileScope {
    pub(super) source: Arc<SourceFile>,
    pub(super) scope: Arc<Scope>,
    /// Span of the `[scope]`.
    pub(super) span: Range<usize>,
    /// The scope has an error, which has been reported.
    pub(super) invalid: bool,
}

impl FileScope {
    pub(super) fn location(&self) -> Location {
        Location { file: self.source.clone(), span: self.span.clone() }
    }
}

/// Keys of a rule that its file's scope has as well.
pub(super) struct ScopedKeys {
    pub(super) rule: usize,
    pub(super) file: Arc<SourceFile>,
    /// Names of the keys, with the spans of their first values.
    pub(super) keys: Vec<(&'static str, Range<usize>)>,
}

/// The rules of a table without the disabled ones.
pub(super) struct EnabledRules {
    pub(super) rules: Vec<Rule>,
    pub(super) locations: RuleLocations,
    /// For each rule, whether it has an error.
    pub(super) invalid: Vec<bool>,
    /// Location of the last rule of the table, which may be disabled; `None` if it has no rules.
    pub(super) last_location: Option<Location>,
}

/// Indexes of the valid rules.
#[derive(Default)]
pub(super) struct Indexes {
    pub(super) deciding: Index,
    pub(super) continuing: Index,
}

impl<'c, 'r> RuleChecker<'c, 'r> {
    pub(super) fn new(
        context: &'c CheckContext,
        definitions: &'c mut Definitions,
        lists: &'c mut OpenLists,
        reporter: &'c mut Reporter<'r>,
    ) -> RuleChecker<'c, 'r> {
        let checked = CheckedRules::default();
        RuleChecker {
            context,
            definitions,
            lists,
            reporter,
            checked,
            file_scope: None,
            scope_is_invalid: false,
        }
    }

    /// Checks the rules of all files in order.
    pub(super) fn check(
        mut self,
        table: &mut RawTable,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> CheckedRules {
        self.named_splits(table);
        let total = table.bytes();
        let mut read = 0;
        for file in &mut table.files {
            self.reporter.set_file(&file.source);
            let scope = file.definitions.iter_mut().find_map(|raw| raw.scope.take());
            self.scope_is_invalid = false;
            self.file_scope = scope.map(|raw| {
                let scope = self.scope(&raw);
                self.scope_is_invalid = scope.invalid;
                let shared = scope.scope.clone();
                self.checked.scopes.push(scope);
                shared
            });
            for chunk in &file.chunks {
                let rules = match chunk.kind {
                    ChunkKind::Definitions => file
                        .definitions
                        .as_mut()
                        .map_or(Vec::new(), |definitions| std::mem::take(&mut definitions.rules)),
                    ChunkKind::Rules => self.reporter.parse_chunk(chunk, parse::rules),
                    ChunkKind::Tests => Vec::new(),
                };
                rules.into_iter().for_each(|rule| self.rule(&rule));
                read += chunk.bytes();
                progress(Progress::Reading(read, total));
            }
        }
        self.checked
    }
}

impl CheckedRules {
    /// Returns the scope of a file.
    pub(super) fn scope_of(&self, file: &Arc<SourceFile>) -> Option<&FileScope> {
        self.scopes.iter().find(|scope| Arc::ptr_eq(&scope.source, file))
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.find(name, |index| &self.rules[index].name)
    }

    pub(super) fn is_disabled(&self, rule: usize) -> bool {
        self.disabled.binary_search(&rule).is_ok()
    }

    /// Removes the disabled rules.
    pub(super) fn into_enabled(self) -> EnabledRules {
        let CheckedRules { mut rules, mut locations, mut invalid, disabled, .. } = self;
        let last_location = rules.len().checked_sub(1).map(|last| locations.get(last));
        if !disabled.is_empty() {
            let named = disabled.iter().map(|rule| (*rule, rules[*rule].name.clone()));
            locations.disable(named.collect());
            let mut enabled = vec![true; rules.len()];
            disabled.into_iter().for_each(|rule| enabled[rule] = false);
            retain_flagged(&mut rules, &enabled);
            retain_flagged(&mut invalid, &enabled);
        }
        EnabledRules { rules, locations, invalid, last_location }
    }
}

impl Indexes {
    pub(super) fn new(enabled: &EnabledRules) -> Indexes {
        let index = |continues: bool| {
            let rules = enabled.rules.iter().zip(&enabled.invalid).enumerate();
            let indexed = rules.filter(|(_, (rule, invalid))| {
                (rule.action == Action::Continue) == continues && !**invalid
            });
            Index::new(indexed.map(|(number, (rule, _))| {
                (number as u32, rule.narrowest(Side::To), rule.narrowest(Side::From))
            }))
        };
        Indexes { deciding: index(false), continuing: index(true) }
    }
}
