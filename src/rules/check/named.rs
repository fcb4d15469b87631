//! Hours, dates and splits that a rule names, itself or by a column of the matching row.

use std::ops::Range;

use super::columns::RuleColumns;
use super::lists::NameKind;
use super::raw_table::RawTable;
use super::reporter::{DATES, HOURS, SPLITS};
use super::rule::RuleNumbers;
use super::rules::{NameColumnUse, RuleChecker};
use crate::diagnostics::{Problem, did_you_mean};
use crate::rules::load::raw::suggest::arms_of_texts;
use crate::rules::load::raw::{RawRule, RawSplit, Spanned};
use crate::rules::model::lists::Cell;
use crate::rules::model::pattern::after_not;
use crate::rules::model::template::ColumnLookup;
use crate::rules::{Action, NamedRef, NamedSplit, NumberMatcher, RefTarget, Split, SplitOfRow};

impl RuleChecker<'_, '_> {
    /// Resolves hours or dates: a name, or a column with names.
    pub(super) fn named_ref(
        &mut self,
        text: &Spanned<String>,
        kind: NameKind,
        numbers: RuleNumbers<'_>,
    ) -> Option<NamedRef> {
        if self.report_negation(text, kind) {
            return None;
        }
        let target = match self.name_column(text, kind, numbers) {
            Some(cell) => RefTarget::Cell(cell?),
            None if kind == NameKind::Hours => {
                RefTarget::Position(self.definitions.find_hours(text, self.reporter)?)
            }
            None => RefTarget::Position(self.definitions.find_dates(text, self.reporter)?),
        };
        Some(NamedRef { target, name: text.value.as_str().into() })
    }

    /// Reports a name behind a word that excludes it: `not office`. Returns whether it is one.
    fn report_negation(&mut self, text: &Spanned<String>, kind: NameKind) -> bool {
        let Some(name) = after_not(&text.value) else { return false };
        let definitions = &self.definitions;
        let (section, is_defined) = match kind {
            NameKind::Hours => (&HOURS, definitions.hours.iter().any(|it| *it.name == *name)),
            NameKind::Dates | NameKind::Agent | NameKind::Split | NameKind::Target => {
                (&DATES, definitions.dates.iter().any(|it| *it.name == *name))
            }
        };
        if is_defined {
            let code = section.code;
            let message = format!("unknown {} `{}`", section.noun, text.value);
            let help = format!("a leading `!` excludes; write `!{name}`");
            self.reporter.error(code, &text.span, message).help(help);
        }
        is_defined
    }

    /// Reports the arms of a split in a text: `desk:50, night:50`. Returns whether they are some.
    fn report_arms(&mut self, text: &Spanned<String>) -> bool {
        let texts: Vec<&str> = text.value.split([',', ';', '|']).collect();
        let help = arms_of_texts("split", &texts).filter(|_| texts.len() > 1);
        let Some(help) = help else { return false };
        let message = format!("`{}` is no name of a split", text.value);
        self.reporter.error("bad-split", &text.span, message).help(help);
        true
    }

    /// Resolves the split of a rule: a name, or a column with names.
    pub(super) fn named_split(
        &mut self,
        raw: &RawRule,
        text: &Spanned<String>,
        numbers: RuleNumbers<'_>,
    ) -> Option<Action> {
        let key = raw.split_key.as_ref().map(|key| key.value.as_str().into());
        if let Some(cell) = self.name_column(text, NameKind::Split, numbers) {
            let name = text.value.as_str().into();
            return Some(Action::SplitOfRow(Box::new(SplitOfRow { cell: cell?, name, key })));
        }
        let index = self.definitions.splits.find(&text.value);
        let Some(index) = index else {
            if self.report_arms(text) {
                return None;
            }
            let splits = &self.definitions.splits.all;
            let defined: Vec<_> = splits.iter().map(|split| &*split.name).collect();
            self.reporter.unknown_name(&SPLITS, text, &defined, None);
            return None;
        };
        self.definitions.splits.usage.mark_used(index);
        let Split { key: name, arms } = self.definitions.splits.all[index].split.clone();
        Some(Action::Split(Box::new(Split { key: key.unwrap_or(name), arms })))
    }

    /// Parses `${LIST.column}`. `None` if the text is no such reference; `Some(None)` after an error.
    fn name_column(
        &mut self,
        text: &Spanned<String>,
        kind: NameKind,
        numbers: RuleNumbers<'_>,
    ) -> Option<Option<Cell>> {
        if !text.value.contains("${") {
            return None;
        }
        let name = text.value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let name = name.filter(|name| !name.contains(['$', '{', '}', '|', '?']));
        let mut columns = RuleColumns::new(self.lists, &mut self.definitions.lookups, numbers);
        let problem = match name.map(|name| (name, name.split_once('.'))) {
            Some((_, Some((list, column)))) if list != "sip" => match columns.cell(list, column) {
                Some(Ok((cell, _))) => {
                    self.add_name_column(kind, cell, &text.span, true);
                    return Some(Some(cell));
                }
                Some(Err(problem)) => problem,
                None => unknown_column(&text.value, columns.column_names()),
            },
            Some((_, None)) => unknown_column(&text.value, columns.column_names()),
            Some((_, Some(_))) => {
                let message = "the caller controls a SIP header, so it cannot name this";
                Problem::new("bad-template", message).help("use a column of a list")
            }
            None => {
                let message =
                    format!("`{}` is not one ${{LIST.column}} without a default", text.value);
                let help = "a rule does not match rows whose cell is empty; write a rule for them";
                Problem::new("bad-template", message).help(help)
            }
        };
        self.reporter.problem(&text.span, problem);
        Some(None)
    }

    /// Notes that the rule takes names of this kind from a column.
    pub(super) fn add_name_column(
        &mut self,
        kind: NameKind,
        cell: Cell,
        span: &Range<usize>,
        may_be_empty: bool,
    ) {
        self.lists.add_name_column(cell, kind, may_be_empty);
        let (rule, location) = (self.checked.rules.len(), self.reporter.location(span));
        self.checked.name_columns.push(NameColumnUse { rule, kind, location, cell });
    }

    /// Checks the splits of all files, to which rules refer.
    pub(super) fn named_splits(&mut self, table: &mut RawTable) {
        for file in &mut table.files {
            self.reporter.set_file(&file.source);
            let splits =
                file.definitions.iter_mut().flat_map(|raw| std::mem::take(&mut raw.splits));
            splits.for_each(|split| self.define_split(&split));
        }
    }

    fn define_split(&mut self, raw: &RawSplit) {
        let name = &raw.name;
        if let Some(first) = self.definitions.splits.find(&name.value) {
            let first = self.definitions.splits.usage.location(first);
            return self.reporter.duplicate_name("a split", name, first);
        }
        self.reporter.check_name("a split", name, false);
        let everyone = NumberMatcher::Anyone;
        let numbers =
            RuleNumbers { to: &everyone, from: &everyone, forwarded_from: &everyone, scope: None };
        let arms = match raw.invalid {
            true => Vec::new(),
            false => self.arms(&raw.arms, &raw.name.span, numbers).unwrap_or_default(),
        };
        let key: Box<str> = name.value.as_str().into();
        let split = NamedSplit { name: key.clone(), split: Split { key, arms } };
        self.definitions.splits.add(split, self.reporter.location(&name.span));
    }
}

fn unknown_column(text: &str, names: impl Iterator<Item = String>) -> Problem {
    let placeholders: Vec<_> = names.map(|name| format!("${{{name}}}")).collect();
    let help = did_you_mean(text, placeholders.iter().map(String::as_str));
    let help = help.unwrap_or_else(|| match placeholders.as_slice() {
        [] => "use ${LIST.column} of a list that the rule matches on".to_owned(),
        placeholders => format!("use one of {}", placeholders.join(", ")),
    });
    Problem::new("unknown-value", format!("`{text}` names no column")).help(help)
}
