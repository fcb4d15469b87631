//! Locations of the rules and definitions of a table.

use std::sync::Arc;

use crate::diagnostics::{Location, SourceFile};

/// Locations of the rules, by index.
#[derive(Debug, Default)]
pub struct RuleLocations {
    files: Vec<Arc<SourceFile>>,
    spans: Vec<FileSpan>,
    /// Rules that are disabled, in order.
    disabled: Vec<DisabledLocation>,
}

/// Location of a disabled rule, which the rule set does not contain.
#[derive(Debug)]
struct DisabledLocation {
    name: Box<str>,
    /// Number of enabled rules before it.
    before: usize,
    span: FileSpan,
}

/// Locations of the definitions of a table, by index; none for a definition that is not in its files.
#[derive(Debug, Default)]
pub struct DefinitionLocations {
    /// Agents.
    pub agents: Vec<Option<Location>>,
    /// Hours.
    pub hours: Vec<Option<Location>>,
    /// Dates.
    pub dates: Vec<Option<Location>>,
    /// Named splits.
    pub splits: Vec<Option<Location>>,
    /// Look-ups.
    pub lookups: Vec<Option<Location>>,
    /// Lists.
    pub lists: Vec<Option<Location>>,
}

/// Span of a rule's name in one of the files. Compact, since a table can have a million rules.
#[derive(Debug, Clone, Copy)]
struct FileSpan {
    file: u32,
    start: u32,
    end: u32,
}

impl RuleLocations {
    /// Returns the location of a rule's name.
    pub fn get(&self, rule: usize) -> Location {
        self.location(self.spans[rule])
    }

    /// Returns the number of rules.
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Returns the disabled rules in order: the name and its location, and the number of enabled rules
    /// before it.
    pub fn disabled(&self) -> impl Iterator<Item = (&str, Location, usize)> {
        let rules = self.disabled.iter();
        rules.map(|rule| (&*rule.name, self.location(rule.span), rule.before))
    }

    fn location(&self, span: FileSpan) -> Location {
        let file = self.files[span.file as usize].clone();
        Location { file, span: span.start as usize..span.end as usize }
    }

    pub(super) fn push(&mut self, location: &Location) {
        let Location { file, span } = location;
        if !self.files.last().is_some_and(|last| Arc::ptr_eq(last, file)) {
            self.files.push(file.clone());
        }
        let compact = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        let file = compact(self.files.len() - 1);
        self.spans.push(FileSpan { file, start: compact(span.start), end: compact(span.end) });
    }

    /// Sets rules apart that are disabled; `disabled` are their indexes, ascending, with their names.
    pub(super) fn disable(&mut self, disabled: Vec<(usize, Box<str>)>) {
        let mut enabled = vec![true; self.spans.len()];
        for (position, (rule, name)) in disabled.into_iter().enumerate() {
            enabled[rule] = false;
            let span = self.spans[rule];
            self.disabled.push(DisabledLocation { name, before: rule - position, span });
        }
        retain_flagged(&mut self.spans, &enabled);
    }
}

/// Retains the elements whose flag is set.
pub(super) fn retain_flagged<T>(all: &mut Vec<T>, flags: &[bool]) {
    let mut flags = flags.iter();
    all.retain(|_| flags.next().is_some_and(|flag| *flag));
}
