//! Locations of the rules of a table.

use std::sync::Arc;

use crate::diagnostics::{Location, SourceFile};

/// Locations of the rules, by index.
#[derive(Debug, Default)]
pub struct RuleLocations {
    files: Vec<Arc<SourceFile>>,
    spans: Vec<FileSpan>,
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
        let span = &self.spans[rule];
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

    /// Retains the locations of the rules whose flag is set.
    pub(super) fn retain(&mut self, flags: &[bool]) {
        retain_flagged(&mut self.spans, flags);
    }
}

/// Retains the elements whose flag is set.
pub(super) fn retain_flagged<T>(all: &mut Vec<T>, flags: &[bool]) {
    let mut flags = flags.iter();
    all.retain(|_| flags.next().is_some_and(|flag| *flag));
}
